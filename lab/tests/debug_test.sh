#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# Proves that the debug kernel finds what it is there to find, and that the
# machine says so: a module does everything wrong once. Prints KTAP. It must
# never need our own modules.

set -u
. "$(dirname "$0")/../lib.sh"
use_lab
tmp=$(mktemp -d)
trap 'rm -rf "$tmp"' EXIT
n=0 failed=0

check() # NAME COMMAND...
{
	local name=$1

	shift
	n=$((n + 1))
	if "$@"; then
		echo "ok $n $name"
	else
		failed=1
		tail -n 30 "$tmp/err" | sed 's/^/# /'
		echo "not ok $n $name"
	fi
}

vm() { "$LAB/vm" run --kernel debug --load vfio_pci,vfio_iommu_type1 "$@" > "$tmp/out" 2> "$tmp/err"; }
logs() { grep -q -- "$1" "$tmp/run/klog"; }
tells() { grep -q -- "$1" "$tmp/err"; }

echo "TAP version 13"
echo "1..9"
mkdir -p "$BUILD/bad"
cp -u "$LAB/tests/bad/"* "$BUILD/bad"
builds() { "$LAB/kernel" debug -- make -s -C /linux O=/obj ARCH=x86_64 M=/build/bad modules > "$tmp/err" 2>&1; }
check "the module builds" builds

# lockdep first: it ends with its own first report, and with the first of KASAN.
# shellcheck disable=SC2016 # for the shell of the machine
vm --module "$BUILD/bad/ioasid_bad.ko" --keep "$tmp/run" -- 'for w in lockdep kasan leak pagealloc atomic; do
	modprobe ioasid_bad what=$w || echo "$w failed"
	rmmod ioasid_bad
done'
status=$?
check "reports fail the run" [ $status = 125 ]
check "each kind of mistake was made" [ ! -s "$tmp/out" ]
check "KASAN finds what reads behind the end" logs 'BUG: KASAN: slab-out-of-bounds in bad_kasan'
check "a page that is freed while it is mapped is found" logs 'iommu: Detected page leak'
check "what may sleep under a spinlock is found" logs 'BUG: sleeping function called from invalid context'
check "lockdep finds two locks in both orders" logs 'WARNING: possible circular locking dependency'
check "kmemleak finds what nobody holds" logs 'kmemleak: unreferenced object'
check "the machine says that lockdep is off, and the kernel tainted" \
	tells 'the kernel is tainted.*lockdep is off'
exit $failed
