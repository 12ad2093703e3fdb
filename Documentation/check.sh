#!/bin/sh
# SPDX-License-Identifier: GPL-2.0
#
# Compares the documentation with the code: commands, fields, flags, errors,
# files, options. Prints KTAP and fails if they differ. It must never change a
# file.
#
#   Documentation/check.sh

here=$(cd "$(dirname "$0")" && pwd) || exit 1
command -v python3 > /dev/null || {
	echo 'Bail out! python3 is missing'
	exit 1
}
PYTHONDONTWRITEBYTECODE=1 exec python3 "$here/check.py" "$here/.."
