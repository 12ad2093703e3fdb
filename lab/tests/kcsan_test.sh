#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# Proves that the kernel kcsan finds a data race, and that the machine says so: a
# module makes one. Prints KTAP. It must never need our own modules.

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

vm()
{
	"$LAB/vm" run --kernel kcsan --load vfio_pci,vfio_iommu_type1 --keep "$tmp/run" \
		--module "$BUILD/bad.kcsan/ioasid_bad.ko" -- "$@" > "$tmp/out" 2> "$tmp/err"
}
logs() { grep -q -- "$1" "$tmp/run/klog"; }
tells() { grep -q -- "$1" "$tmp/err"; }

echo "TAP version 13"
echo "1..6"
mkdir -p "$BUILD/bad.kcsan"
cp -u "$LAB/tests/bad/"* "$BUILD/bad.kcsan"
builds() { "$LAB/kernel" kcsan -- make -s -C /linux O=/obj ARCH=x86_64 M=/build/bad.kcsan modules > "$tmp/err" 2>&1; }
check "the module builds" builds

vm true
check "a machine without a race of ours is good" [ $? = 0 ]
vm 'modprobe ioasid_bad what=race && rmmod ioasid_bad'
status=$?
check "a report fails the run" [ $status = 125 ]
check "KCSAN finds what two threads count" logs 'BUG: KCSAN: data-race in bad_race'
check "both are shown" logs 'bad_racer.*\[ioasid_bad\]'
check "the report is told" tells 'BUG: KCSAN: data-race in bad_race'
exit $failed
