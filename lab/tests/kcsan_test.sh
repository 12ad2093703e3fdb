#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# Proves that the kernel kcsan finds a data race, and that the machine reports
# it: a module makes one. Prints KTAP.

set -u
# shellcheck source=lab/tests/lib.sh
. "$(dirname "$0")/lib.sh"

race() { vm --kernel kcsan --keep "$tmp/run" --module "$bad" -- "$@"; }

plan 6
check "the module builds" build_bad kcsan

race true
check "a machine without a race of ours passes" ended 0
race 'modprobe ioasid_bad what=race && rmmod ioasid_bad'
check "a race of ours fails the run" ended 125
check "KCSAN finds two threads that increment one counter" logged 'BUG: KCSAN: data-race in bad_race'
check "the stack of a thread is in the kernel log" logged 'bad_racer.*\[ioasid_bad\]'
check "the machine reports the race" reported 'BUG: KCSAN: data-race in bad_race'
finish
