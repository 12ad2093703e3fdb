#!/bin/sh
# SPDX-License-Identifier: GPL-2.0
#
# The samples do what they say: each ends with status 0 and its last words.

echo "TAP version 13"
echo "1..3"

# check NUMBER NAME WORDS [ARGUMENT]...: the words are in its last line
check()
{
	if ! command -v "$2" > /dev/null; then
		echo "ok $1 $2 # SKIP not built"
		return
	fi
	number=$1 name=$2 words=$3
	shift 3
	out=$("$name" "$@" 2>&1)
	status=$?
	echo "$out" | sed 's/^/# /'
	last=$(echo "$out" | tail -n 1)
	if [ $status = 0 ] && [ "${last#*"$words"}" != "$last" ]; then
		echo "ok $number $name"
	else
		echo "not ok $number $name"
		failed=1
	fi
}

failed=
check 1 hello "must be multiples of 4096"
if [ "$IOASID_NVME" ] && [ "$IOASID_EDU" ]; then
	check 2 ioasid-demo "demo: passed"
else
	echo "ok 2 ioasid-demo # SKIP needs an NVMe disk and an edu device"
fi
device=${IOASID_EDU%% *}
if [ "$device" ]; then
	check 3 ioasid-vmm "reaches 64 MiB of guest memory" \
		"/dev/vfio/$(basename "$(readlink "/sys/bus/pci/devices/$device/iommu_group")")" "$device"
else
	echo "ok 3 ioasid-vmm # SKIP needs an edu device"
fi
[ -z "$failed" ]
