#!/bin/sh
# SPDX-License-Identifier: GPL-2.0
#
# Copies everything that belongs into a kernel tree to its place there, and
# adds the lines that make kbuild and Kconfig see it. Doing it twice changes
# nothing. See the top-level Kconfig for what goes where.
#
#   in_tree.sh KERNEL_TREE

set -eu
src=$(cd "$(dirname "$0")/../../.." && pwd)
tree=${1:?use: in_tree.sh KERNEL_TREE}
[ -f "$tree/drivers/vfio/vfio.h" ] || {
	echo "in_tree.sh: $tree is not a kernel tree with VFIO" >&2
	exit 1
}

# line FILE TEXT: TEXT is a line of FILE; new files break hard links
line()
{
	grep -qxF "$2" "$1" || { cat "$1"; echo "$2"; } > "$1.new"
	[ ! -s "$1.new" ] || mv "$1.new" "$1"
	rm -f "$1.new"
}

# menu_line FILE TEXT: TEXT is a line before the last endmenu or endif of FILE
menu_line()
{
	grep -qxF "$2" "$1" && return
	awk -v text="$2" '
	{ line[NR] = $0 }
	/^end(menu|if)/ { last = NR }
	END {
		for (i = 1; i <= NR; i++) {
			if (i == last)
				print text
			print line[i]
		}
	}' "$1" > "$1.new"
	mv "$1.new" "$1"
}

mkdir -p "$tree/drivers/ioasid" "$tree/drivers/vfio/ioasid"
cp -R "$src/drivers/ioasid/." "$tree/drivers/ioasid/"
[ ! -d "$src/samples/driver" ] || {
	mkdir -p "$tree/drivers/ioasid/sample"
	cp -R "$src/samples/driver/." "$tree/drivers/ioasid/sample/"
}
cp -R "$src/vfio_glue/." "$tree/drivers/vfio/ioasid/"
cp "$src"/include/linux/*.h "$tree/include/linux/"
cp "$src"/include/uapi/linux/*.h "$tree/include/uapi/linux/"
# shellcheck disable=SC2016 # for make
{
	line "$tree/drivers/Makefile" 'obj-$(CONFIG_IOASID) += ioasid/'
	line "$tree/drivers/vfio/Makefile" 'obj-$(CONFIG_IOASID_VFIO) += ioasid/'
}
menu_line "$tree/drivers/Kconfig" 'source "drivers/ioasid/Kconfig"'
menu_line "$tree/drivers/vfio/Kconfig" 'source "drivers/vfio/ioasid/Kconfig"'
