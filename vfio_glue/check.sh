#!/bin/sh
# SPDX-License-Identifier: GPL-2.0
#
# Compares vfio_private.h with the type information (BTF) of a kernel's VFIO:
# prints the types as C under other names, for the compiler to compare. VFIO's
# interface for backends is private and can change in any kernel, and a module
# that is built with the wrong one would crash the machine. Stops the build with
# a sentence if they differ; only prints a note if there is no BTF.
#
#   check.sh STAMP OBJTREE RELEASE VFIO_KO|"" COMPILER [FLAG...]

set -eu
here=$(cd "$(dirname "$0")" && pwd)
stamp=$1 objtree=$2 release=$3 vfio_ko=$4
shift 4
tmp=$(mktemp -d)
trap 'rm -rf "$tmp"' EXIT
. "$here/../drivers/ioasid/compat/btf.sh"

skip()
{
	echo "ioasid_vfio: note: vfio_private.h is not checked against the kernel $release: $*" >&2
	echo "not checked: $*" > "$stamp"
	exit 0
}

fail()
{
	echo "ioasid_vfio: the VFIO of the kernel $release is not what vfio_private.h declares: $*" >&2
	exit 1
}

missing_symbols()
{
	[ -s "$1" ] || return 0
	for s in vfio_register_iommu_driver vfio_unregister_iommu_driver \
		vfio_file_is_valid vfio_file_is_group; do
		grep -q "	$s	" "$1" || echo "$s"
	done
}

types()
{
	if [ "$vmlinux" = "$ko" ]; then
		pahole -F btf -C "$1" "$vmlinux"
	else
		pahole -F btf --btf_base "$vmlinux" -C "$1" "$ko"
	fi 2> /dev/null
}

for s in $(missing_symbols "${IOASID_SYMVERS:-$objtree/Module.symvers}"); do
	echo "ioasid_vfio: the kernel $release does not export $s, which is needed to serve VFIO containers (CONFIG_VFIO_CONTAINER)" >&2
	exit 1
done

vmlinux=$(btf_vmlinux "$objtree" "$release")
[ -n "$vmlinux" ] || skip "no vmlinux with BTF beside its headers"
command -v pahole > /dev/null || skip "no pahole (Debian package pahole)"
if grep -q '^CONFIG_VFIO=y' "$objtree/include/config/auto.conf" 2> /dev/null; then
	ko=$vmlinux
else
	ko=$(btf_module vfio "$vfio_ko" "$objtree" "$release" "$tmp")
fi
[ -n "$ko" ] || skip "no vfio.ko of that kernel found; name it in IOASID_VFIO_KO"

for t in vfio_iommu_driver_ops vfio_device_file vfio_group_type; do
	types "$t" > "$tmp/$t"
	grep -q "^\(struct\|enum\) $t {" "$tmp/$t" ||
		fail "it has no $t (looked in $ko)"
done

{
	cat "$here/vfio_check.h"
	sed 's/^struct vfio_/struct btf_vfio_/' "$tmp/vfio_iommu_driver_ops" \
		"$tmp/vfio_device_file"
	sed 's/^enum vfio_/enum btf_vfio_/; s/\bVFIO_/BTF_VFIO_/' "$tmp/vfio_group_type"
	echo 'CHECK_ALL'
} > "$tmp/check.c"
"$@" -DMODULE -DKBUILD_MODNAME='"check"' -DKBUILD_BASENAME='"check"' \
	-DKBUILD_MODFILE='"check"' -w -I"$here" -fsyntax-only "$tmp/check.c" \
	> "$tmp/log" 2>&1 ||
	fail "$(grep -m1 -o 'error: .*' "$tmp/log" || head -n1 "$tmp/log")"
echo "checked against $ko" > "$stamp"
