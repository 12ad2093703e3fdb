#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# Proves that the test machine reports what happened: exit status and output come
# back exactly, and a hang, a warning or a crash is a failure. Prints KTAP.

set -u
# shellcheck source=lab/tests/lib.sh
. "$(dirname "$0")/lib.sh"

# A machine that boots with the least work
small() { vm --iommu none --edu 0 --smp 1 "$@"; }

plan 19

# All that one good machine can show.
cat > "$tmp/bytes.sh" <<'SH'
i=0
while [ $i -lt 256 ]; do printf "\\$(printf %o $i)"; i=$((i + 1)); done
printf 'no newline at the end'
printf 'only this on stderr' >&2
{
	hostctl ping
	hostctl nonsense
	hostctl device_del nvme0
	hostctl device_wait nvme0 60
	hostctl device_del nvme0
	echo "edu $IOASID_EDU ($IOASID_EDU_IDS) nvme $IOASID_NVME ($IOASID_NVME_IDS)"
	readlink /sys/bus/pci/devices/0000:00:03.0/driver
	id -nG lab
} > /tmp/report 2>&1
exit 3
SH
vm --timeout 300 --nvme 1 --edu 2 --copy "$tmp/bytes.sh:t/bytes.sh" --artifact '/tmp/rep*' --keep "$tmp/run" \
	-- sh /t/bytes.sh
report=$tmp/run/artifacts/tmp/report
LC_ALL=C awk 'BEGIN { for (i = 0; i < 256; i++) printf "%c", i; printf "no newline at the end" }' \
	> "$tmp/want"
check "the exit status is that of the command" ended 3
check "stdout comes back to the byte" cmp -s "$tmp/out" "$tmp/want"
check "stderr comes back to the byte" [ "$(cat "$tmp/err")" = "only this on stderr" ]
check "a file comes back" [ -s "$report" ]
check "the host answers" [ "$(sed -n 1p "$report")" = ok ]
check "an unknown request is an error" grep -q '^error unknown request' "$report"
check "a device can be unplugged" [ "$(sed -n 3,4p "$report" | tr '\n' ' ')" = "ok ok " ]
check "unplugging what is not there is an error" grep -q '^error.*nvme0' "$report"
check "devices are named in order" \
	grep -q '^edu 0000:00:03.0 0000:00:04.0 (edu0 edu1) nvme 0000:01:00.0 (nvme0)$' "$report"
check "devices are given to vfio-pci" grep -q 'drivers/vfio-pci$' "$report"
check "the user may open /dev/ioasid" [ "$(tail -n 1 "$report")" = "lab kvm" ]

small -- 'echo "WARNING: fake" > /dev/kmsg; echo 512 > /proc/sys/kernel/tainted'
check "a warning in the kernel log fails the run" ended 125
check "the warning is shown" reported 'WARNING: fake'
check "a taint is reported as well" reported 'the kernel is tainted'

small --timeout 20 -- 'echo before; sleep 1000'
check "a hang fails the run" ended 124
check "the output before the hang is kept" printed before

small -- 'echo c > /proc/sysrq-trigger'
check "a crash fails the run" ended 125
check "the crash is shown" reported 'sysrq triggered crash'

vm --kernel 1.2 -- true
check "an unknown kernel is an error" ended 126
finish
