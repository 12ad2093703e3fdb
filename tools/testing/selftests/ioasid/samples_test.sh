#!/bin/sh
# SPDX-License-Identifier: GPL-2.0
#
# The samples do what they say: each ends with status 0 and its last words.

echo "TAP version 13"
echo "1..2"

# check NUMBER NAME WORDS: the words are in its last line
check()
{
	if ! command -v "$2" > /dev/null; then
		echo "ok $1 $2 # SKIP not built"
		return
	fi
	out=$("$2" 2>&1)
	status=$?
	echo "$out" | sed 's/^/# /'
	last=$(echo "$out" | tail -n 1)
	if [ $status = 0 ] && [ "${last#*"$3"}" != "$last" ]; then
		echo "ok $1 $2"
	else
		echo "not ok $1 $2"
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
[ -z "$failed" ]
