#!/bin/sh
# SPDX-License-Identifier: GPL-2.0
#
# Tests that the modules build, install and uninstall as a user would do it,
# and that a build for a kernel which they do not fit says why. Runs as root on
# a Debian machine with kernel headers, make and dkms that may be spoiled:
# lab/chroot tools/testing/install/install.sh. Prints KTAP.
#
#   install.sh [--quick [DIR]] [TEST...]
#
# --quick: that what is built can be installed, for the newest kernel only. What is
# built stays in DIR, and the next run builds what has changed since.
#
# shellcheck disable=SC2086 # lists of words

set -u
SRC=$(cd "$(dirname "$0")/../../.." && pwd)
KERNELS=$(for d in /lib/modules/*/build; do
	d=${d%/build}; echo "${d##*/}"; done)
TMP=$(mktemp -d)
trap 'rm -rf "$TMP"' EXIT
LOG=$TMP/log
KEEP=
n=0 failed=0

# --- results -----------------------------------------------------------------

say_result()
{
	n=$((n + 1))
	case $1 in
	0)	echo "ok $n $2" ;;
	4)	echo "ok $n $2 # SKIP $(tail -n1 "$LOG")" ;;
	*)	echo "not ok $n $2"
		tail -n 20 "$LOG" | sed 's/^/# /'
		failed=$((failed + 1)) ;;
	esac
}

skip() { echo "$*"; exit 4; }
fail() { echo "FAILED: $*"; exit 1; }
must() { "$@" || fail "exit status $? of: $*"; }
must_fail() { ! "$@" || fail "no error from: $*"; }
# said TEXT: the last build said so
said() { grep -qF "$1" "$TMP/build.log" || { cat "$TMP/build.log"; fail "the build did not say: $1"; }; }
not_said() { ! grep -qF "$1" "$TMP/build.log" || fail "the build said: $1"; }

# --- builds ------------------------------------------------------------------

SOURCES="Makefile Kbuild Kconfig dkms.conf drivers include udev vfio_glue Documentation/man"

# sources DIR: what out-of-tree builds need, in a directory that may be spoiled
sources()
{
	mkdir -p "$1"
	(cd "$SRC" && tar -c --exclude='*.o' --exclude='*.ko' $SOURCES) | tar -x -C "$1"
}

# start_anew DIR: unless it holds a build that was good, of the same files, by the same
# compiler: one that has failed or warned must do so again
start_anew()
{
	{
		gcc --version | head -n 1
		(cd "$SRC" && find $SOURCES -type f | LC_ALL=C sort)
	} > "$TMP/list"
	cmp -s "$TMP/list" "$1/.good" || rm -rf "$1"
	rm -f "$1/.good"
}

# build KERNEL DIR [ARGUMENT...]
build()
{
	kernel=$1 dir=$2
	shift 2
	make -j"$(nproc)" -C "/lib/modules/$kernel/build" M="$dir" \
		IOASID_VFIO_KO="$(vfio_ko "$kernel")" "$@" > "$TMP/build.log" 2>&1
}

# vfio_ko KERNEL: where the lab keeps it, since its root has no kernels installed
vfio_ko()
{
	for r in /kernels/*/release; do
		[ "$(cat "$r" 2> /dev/null)" != "$1" ] || echo "${r%/release}/modules/vfio.ko"
	done
}

no_warning()
{
	! grep -iE 'warning:' "$TMP/build.log" || fail "the build warns"
}

# A thing or two of each module are enough to see that the build goes through
FEW="drivers/ioasid/explain.o vfio_glue/attach.o"

test_build_install()
{
	b=${KEEP:-$TMP/b}
	[ -z "$KEEP" ] || start_anew "$b"
	sources "$b"
	must build "$1" "$b" modules
	no_warning
	modinfo -F vermagic "$b/vfio_glue/ioasid_vfio.ko" | grep -q "^$1 " ||
		fail "built for another kernel"
	modinfo -F depends "$b/vfio_glue/ioasid_vfio.ko" | grep -q ioasid ||
		fail "ioasid_vfio does not pull in ioasid"
	must make -C "$b" install KVER="$1" DESTDIR="$TMP/d"
	(cd "$TMP/d" && find . -type f | LC_ALL=C sort) > "$TMP/installed"
	{
		(cd "$SRC/Documentation/man" && printf './usr/share/man/man2/%s\n' ./*.2ioasid |
			sed 's,/\./,/,' && echo ./usr/share/man/man4/ioasid.4)
		cat <<-END
		./lib/modules/$1/updates/ioasid.ko
		./lib/modules/$1/updates/ioasid_sim.ko
		./lib/modules/$1/updates/ioasid_sim_vfio.ko
		./lib/modules/$1/updates/ioasid_vfio.ko
		./usr/include/linux/ioasid.h
		./usr/include/linux/ioasid_sim.h
		./usr/lib/udev/rules.d/60-ioasid.rules
		END
	} | LC_ALL=C sort > "$TMP/expected"
	must diff "$TMP/expected" "$TMP/installed"
	must make -C "$b" uninstall KVER="$1" DESTDIR="$TMP/d"
	left=$(find "$TMP/d" -type f -o -name updates)
	[ -z "$left" ] || fail "uninstall left behind: $left"
	# A module of others stays, and that is no error to be ignored
	mkdir "$TMP/d/lib/modules/$1/updates"
	touch "$TMP/d/lib/modules/$1/updates/other.ko"
	make -C "$b" uninstall KVER="$1" DESTDIR="$TMP/d" > "$TMP/build.log" 2>&1 ||
		fail "uninstall beside a module of others"
	not_said rror
	[ -e "$TMP/d/lib/modules/$1/updates/other.ko" ] || fail "uninstall took what is not ours"
	[ -z "$KEEP" ] || cp "$TMP/list" "$b/.good"
}

test_rebuild_clean()
{
	sources "$TMP/b"
	(cd "$TMP/b" && find . -type f | sort) > "$TMP/before"
	must build "$1" "$TMP/b" $FEW
	said PROBE
	must build "$1" "$TMP/b" $FEW
	not_said PROBE
	not_said CHECKED
	touch "$TMP/b/drivers/ioasid/compat/probe/have_bare_namespace.c"
	must build "$1" "$TMP/b" $FEW
	said PROBE
	must build "$1" "$TMP/b" clean
	(cd "$TMP/b" && find . -type f | sort) > "$TMP/after"
	must diff "$TMP/before" "$TMP/after"
}

# --- kernels that do not fit -------------------------------------------------

test_missing_symbols()
{
	sources "$TMP/b"
	grep -v "	memfd_pin_folios	" "/lib/modules/$1/build/Module.symvers" |
		sed 's/IOMMUFD_INTERNAL/ANOTHER/' > "$TMP/symvers"
	export IOASID_SYMVERS="$TMP/symvers"
	must_fail build "$1" "$TMP/b" $FEW
	said "ioasid: the kernel $1 does not export memfd_pin_folios, which is needed to map memory"
	said "iommu_attach_group_handle in namespace IOMMUFD_INTERNAL, which is needed"
}

test_missing_container()
{
	sources "$TMP/b"
	grep -v "	vfio_register_iommu_driver	" \
		"/lib/modules/$1/build/Module.symvers" > "$TMP/symvers"
	export IOASID_SYMVERS="$TMP/symvers"
	must_fail build "$1" "$TMP/b" vfio_glue/attach.o
	said "does not export vfio_register_iommu_driver, which is needed to serve VFIO containers"
}

test_missing_feature()
{
	sources "$TMP/b"
	cat > "$TMP/b/drivers/ioasid/compat/probe/need_magic.c" <<-'END'
	/* NEEDED: iommu_magic(), to do magic */
	#include <linux/iommu.h>
	int probe(void) { return iommu_magic(); }
	END
	must_fail build "$1" "$TMP/b" $FEW
	said "ioasid: the kernel $1 lacks iommu_magic(), to do magic"
}

test_private_function_drift()
{
	sources "$TMP/b"
	sed -i 's/^int iommu_attach_group_handle(/long iommu_attach_group_handle(/' \
		"$TMP/b/drivers/ioasid/compat/private.h"
	must_fail build "$1" "$TMP/b" $FEW
	said "declares a private function otherwise than compat/private.h"
}

test_vfio_drift()
{
	sources "$TMP/b"
	sed -i 's/dma_addr_t iova, int nr);/dma_addr_t iova, long nr);/' \
		"$TMP/b/vfio_glue/vfio_private.h"
	build "$1" "$TMP/b" vfio_glue/attach.o && {
		! grep -q 'is not checked against' "$TMP/build.log" ||
			skip "no vfio.ko of the kernel $1 here (IOASID_VFIO_KO)"
		fail "drift was not seen"
	}
	said "ioasid_vfio: the VFIO of the kernel $1 is not what vfio_private.h declares"
	said "vfio_iommu_driver_ops.unpin_pages has another type"
}

test_no_btf()
{
	sources "$TMP/b"
	mkdir "$TMP/bin"
	for p in /usr/bin/*; do
		case $p in */pahole|*/pfunct) ;; *) ln -s "$p" "$TMP/bin" ;; esac
	done
	export PATH="$TMP/bin"
	must build "$1" "$TMP/b" $FEW
	said "ioasid: note: the private functions of the kernel $1 are not checked"
	said "ioasid_vfio: note: vfio_private.h is not checked"
}

# --- DKMS --------------------------------------------------------------------

dkms_left_over()
{
	find /lib/modules /var/lib/dkms /usr/src \( -name 'ioasid.ko*' -o \
		-name 'ioasid_vfio.ko*' -o -name 'ioasid_sim*.ko*' -o -path '/var/lib/dkms/ioasid/*' -o \
		-name 'ioasid-*' \) -print
}

test_dkms()
{
	command -v dkms > /dev/null || skip "no dkms here"
	sources "$TMP/b"
	must make -C "$TMP/b" dkms-install KVER="$1"
	for m in ioasid ioasid_vfio ioasid_sim ioasid_sim_vfio; do
		find "/lib/modules/$1/updates/dkms" -name "$m.ko*" | grep -q . ||
			fail "DKMS did not install $m"
	done
	must make -C "$TMP/b" dkms-uninstall KVER="$1"
	left=$(dkms_left_over)
	[ -z "$left" ] || fail "DKMS left behind: $left"
}

# --- the list ----------------------------------------------------------------

EACH="build_install rebuild_clean missing_symbols missing_container missing_feature
	private_function_drift vfio_drift no_btf dkms"

# run NAME [KERNEL]: in a directory and a process of its own
run()
{
	TMP_ALL=$TMP
	TMP=$TMP_ALL/$n
	LOG=$TMP/log
	mkdir -p "$TMP"
	("test_$1" "${2:-}") > "$LOG" 2>&1
	say_result $? "$1${2:+ $2}"
	rm -rf "$TMP"
	TMP=$TMP_ALL
}

echo "KTAP version 1"
[ "$(id -u)" = 0 ] || { echo "1..0 # SKIP not root"; exit 4; }
[ -n "$KERNELS" ] || { echo "1..0 # SKIP no kernel headers in /lib/modules"; exit 4; }
if [ "${1:-}" = --quick ]; then
	shift
	KERNELS=$(echo "$KERNELS" | sort -V | tail -n 1)
	EACH=build_install
	case ${1:-} in
	/*)	KEEP=$1/$KERNELS
		shift ;;
	esac
fi
[ $# -gt 0 ] || set -- $EACH
for t; do
	for k in $KERNELS; do
		run "$t" "$k"
	done
done
echo "1..$n"
[ "$failed" = 0 ]
