# SPDX-License-Identifier: GPL-2.0
#
# Finds the type information (BTF) of a kernel. Sourced by probe.sh and
# vfio_glue/check.sh; prints a path, or nothing if there is none.
# shellcheck shell=sh

# btf_vmlinux OBJTREE RELEASE: OBJTREE has the real vmlinux in a kernel tree,
# and one with only BTF in Debian's header packages.
btf_vmlinux()
{
	if [ -n "${IOASID_VMLINUX:-}" ]; then
		echo "$IOASID_VMLINUX"
	elif [ -s "$1/vmlinux" ]; then
		echo "$1/vmlinux"
	elif [ "$(uname -r)" = "$2" ] && [ -r /sys/kernel/btf/vmlinux ]; then
		echo /sys/kernel/btf/vmlinux
	fi
}

# btf_module NAME FILE OBJTREE RELEASE TMPDIR: FILE if given, else the installed
# module of that kernel, decompressed to TMPDIR if necessary.
btf_module()
{
	for ko in "$2" "$3/drivers/$1/$1.ko" \
		"/lib/modules/$4/kernel/drivers/$1/$1.ko" \
		"/lib/modules/$4/kernel/drivers/$1/$1.ko.xz" \
		"/lib/modules/$4/kernel/drivers/$1/$1.ko.zst" \
		"/lib/modules/$4/kernel/drivers/$1/$1.ko.gz"; do
		[ -n "$ko" ] && [ -r "$ko" ] || continue
		case $ko in
		*.xz)	xz -dc "$ko" > "$5/$1.ko" ;;
		*.zst)	zstd -qdc "$ko" > "$5/$1.ko" ;;
		*.gz)	gzip -dc "$ko" > "$5/$1.ko" ;;
		*)	echo "$ko"
			return ;;
		esac && echo "$5/$1.ko" && return
	done
	if [ "$(uname -r)" = "$4" ] && [ -r "/sys/kernel/btf/$1" ]; then
		echo "/sys/kernel/btf/$1"
	fi
}
