#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# Proves that the test machine tells the truth: exit status and output come
# back exactly, and a hang, a warning or a crash is a failure. Prints KTAP. It
# must never need our own modules, so that it works when they do not build.

set -u
lab=$(cd "$(dirname "$0")/.." && pwd)
tmp=$(mktemp -d)
trap 'rm -rf "$tmp"' EXIT
n=0 failed=0

vm() { "$lab/vm" run --load vfio_pci,vfio_iommu_type1 "$@" > "$tmp/out" 2> "$tmp/err"; }

check() # NAME COMMAND...
{
	local name=$1

	shift
	n=$((n + 1))
	if "$@"; then
		echo "ok $n $name"
	else
		failed=1
		sed 's/^/# /' "$tmp/err" | tail -n 20
		echo "not ok $n $name"
	fi
}

says() { grep -q -- "$1" "$tmp/$2"; }

echo "TAP version 13"
echo "1..18"

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
	id -u lab
} > /tmp/report 2>&1
exit 3
SH
vm --nvme 1 --edu 2 --copy "$tmp/bytes.sh:t/bytes.sh" --artifact '/tmp/rep*' --keep "$tmp/run" \
	-- sh /t/bytes.sh
status=$?
report=$tmp/run/artifacts/tmp/report
LC_ALL=C awk 'BEGIN { for (i = 0; i < 256; i++) printf "%c", i; printf "no newline at the end" }' \
	> "$tmp/want"
check "the exit status is that of the command" [ $status = 3 ]
check "stdout comes back to the byte" cmp -s "$tmp/out" "$tmp/want"
check "stderr comes back to the byte" [ "$(cat "$tmp/err")" = "only this on stderr" ]
check "a file comes back" [ -s "$report" ]
check "the host answers" [ "$(sed -n 1p "$report")" = ok ]
check "an unknown request is refused" grep -q '^error unknown request' "$report"
check "a device can be unplugged" [ "$(sed -n 3,4p "$report" | tr '\n' ' ')" = "ok ok " ]
check "an unplug of nothing is refused" grep -q '^error.*nvme0' "$report"
check "devices are named in order" \
	grep -q '^edu 0000:00:03.0 0000:00:04.0 (edu0 edu1) nvme 0000:01:00.0 (nvme0)$' "$report"
check "devices are given to vfio-pci" grep -q 'drivers/vfio-pci$' "$report"

vm -- 'echo "WARNING: fake" > /dev/kmsg; echo 512 > /proc/sys/kernel/tainted'
status=$?
check "a warning in the kernel log fails the run" [ $status = 125 ]
check "the warning is shown" says 'WARNING: fake' err
check "a taint is told, too" says 'the kernel is tainted' err

vm --timeout 20 -- 'echo before; sleep 1000'
status=$?
check "a hang fails the run" [ $status = 124 ]
check "what was said before the hang is kept" says before out

vm -- 'echo c > /proc/sysrq-trigger'
status=$?
check "a crash fails the run" [ $status = 125 ]
check "the crash is shown" says 'sysrq triggered crash' err

"$lab/vm" run --kernel 1.2 -- true > /dev/null 2> "$tmp/err"
check "an unknown kernel is refused" [ $? = 126 ]
exit $failed
