#!/bin/sh
# SPDX-License-Identifier: GPL-2.0
#
# Turns the corpus (hexadecimal, one program a line, the comment before it says
# what it is) into a C header on stdout. It must never drop a line silently.
#
#   corpus.sh FILE...

set -eu
echo '/* SPDX-License-Identifier: GPL-2.0 */'
echo 'static const struct {'
printf '\tconst char *name;\n\tunsigned int size;\n\tconst unsigned char *data;\n} corpus[] = {\n'
for f; do
	n=0
	while read -r line; do
		n=$((n + 1))
		case $line in
		''|'#'*) continue ;;
		*[!0-9a-f]*) echo "$f:$n: not hexadecimal" >&2; exit 1 ;;
		esac
		printf '\t{ "%s:%d", %d, (const unsigned char *)"%s" },\n' "${f##*/}" "$n" \
			$((${#line} / 2)) "$(echo "$line" | sed 's/../\\x&/g')"
	done < "$f"
done
echo '};'
