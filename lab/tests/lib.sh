# shellcheck shell=bash
# SPDX-License-Identifier: GPL-2.0
#
# What the tests of the test machines share: KTAP, running a machine, and
# looking at what it printed. Sourced, never run. It must never need our own
# modules, so that these tests work when they do not build.

. "$(dirname "${BASH_SOURCE[0]}")/../lib.sh"

tmp=$(mktemp -d)
trap 'rm -rf "$tmp"' EXIT
number=0 failed=0

plan() # NUMBER
{
	echo "TAP version 13"
	echo "1..$1"
}

check() # NAME COMMAND...
{
	local name=$1

	shift
	number=$((number + 1))
	if "$@"; then
		echo "ok $number $name"
	else
		failed=1
		tail -n 30 "$tmp/err" | sed 's/^/# /'
		echo "not ok $number $name"
	fi
}

finish() { exit "$failed"; }

# vm ARGUMENT...: lab/vm run; its output, its messages and its status are kept
vm()
{
	"$LAB/vm" run --load vfio_pci,vfio_iommu_type1 "$@" > "$tmp/out" 2> "$tmp/err"
	status=$?
}

# The last machine: ended STATUS, printed TEXT, reported PATTERN on stderr, and
# logged PATTERN in its kernel log, if it ran with --keep "$tmp/run"
ended() { [ "$status" = "$1" ]; }
printed() { grep -q -- "$1" "$tmp/out"; }
reported() { grep -q -- "$1" "$tmp/err"; }
logged() { grep -q -- "$1" "$tmp/run/klog"; }

# build_bad KERNEL: the module that does everything wrong, to $bad
build_bad()
{
	local dir=bad.$1

	use_lab
	# shellcheck disable=SC2034 # for who sources this
	bad=$BUILD/$dir/ioasid_bad.ko
	mkdir -p "$BUILD/$dir"
	cp -u "$LAB/tests/bad/"* "$BUILD/$dir"
	"$LAB/kernel" "$1" -- make -s -C /linux O=/obj ARCH=x86_64 "M=/build/$dir" modules \
		> "$tmp/err" 2>&1
}
