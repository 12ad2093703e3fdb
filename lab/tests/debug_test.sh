#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# Proves that the debug kernel finds what it is there to find, and that the
# machine reports it: a module makes every mistake once. Prints KTAP.

set -u
# shellcheck source=lab/tests/lib.sh
. "$(dirname "$0")/lib.sh"

plan 9
check "the module builds" build_bad debug

# lockdep first: it ends with its own first report, and with the first of KASAN.
# shellcheck disable=SC2016 # for the shell of the machine
vm --kernel debug --module "$bad" --keep "$tmp/run" -- 'for w in lockdep kasan leak pagealloc atomic; do
	modprobe ioasid_bad what=$w || echo "$w failed"
	rmmod ioasid_bad
done'
check "what the checks find fails the run" ended 125
check "every mistake was made" [ ! -s "$tmp/out" ]
check "KASAN finds a read beyond the end of an object" logged 'BUG: KASAN: slab-out-of-bounds in bad_kasan'
check "a page that is freed while it is mapped is found" logged 'iommu: Detected page leak'
check "sleeping under a spinlock is found" logged 'BUG: sleeping function called from invalid context'
check "lockdep finds two locks taken in both orders" logged 'WARNING: possible circular locking dependency'
check "kmemleak finds memory that nothing points to" logged 'kmemleak: unreferenced object'
check "the machine reports that the kernel is tainted and lockdep off" \
	reported 'the kernel is tainted.*lockdep is off'
finish
