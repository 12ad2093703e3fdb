#!/bin/sh
# SPDX-License-Identifier: GPL-2.0
#
# Probes the kernel that the modules are built for, and writes config.h. Stops
# the build with a sentence for each required feature that is missing.
#
#   probe.sh CONFIG_H OBJTREE RELEASE COMPILER [FLAG...]
#
# IOASID_SYMVERS overrides the path of Module.symvers, for tests. Required
# symbols are listed in needs; have_X.c in probe/ sets IOASID_HAVE_X to 0 or 1,
# and need_X.c must compile.

set -eu
here=$(cd "$(dirname "$0")" && pwd)
out=$1 objtree=$2 release=$3
shift 3
tmp=$(mktemp -d)
trap 'rm -rf "$tmp"' EXIT
. "$here/btf.sh"

compile()
{
	src=$1
	shift
	"$@" -DMODULE -DKBUILD_MODNAME='"probe"' -DKBUILD_BASENAME='"probe"' \
		-DKBUILD_MODFILE='"probe"' -Werror=implicit-function-declaration \
		-Werror=int-conversion -Werror=incompatible-pointer-types \
		-w -fsyntax-only "$src" > "$tmp/${src##*/}.log" 2>&1 ||
		touch "$tmp/${src##*/}.failed"
}

WANTED=iommu_replace_device_pasid

fail() { echo "ioasid: $*" >&2; touch "$tmp/stop"; }

missing_symbols()
{
	symvers=${IOASID_SYMVERS:-$objtree/Module.symvers}
	[ -s "$symvers" ] || return 0
	awk -v needs="$here/needs" '
	BEGIN {
		while ((getline line < needs) > 0) {
			if (line ~ /^(#|$)/)
				continue
			n = split(line, w, " ")
			order[++nr] = w[1]
			ns[w[1]] = w[2] == "-" ? "" : w[2]
			sub(/^[^ ]+ [^ ]+ /, "", line)
			purpose[w[1]] = line
			n = split(w[1], alt, "|")
			for (i = 1; i <= n; i++)
				key[alt[i]] = w[1]
		}
		FS = "\t"
	}
	$2 in key && $5 == ns[key[$2]] { found[key[$2]] = 1 }
	END {
		for (i = 1; i <= nr; i++) {
			s = order[i]
			if (!(s in found))
				printf "%s%s, which is needed %s\n", s,
					ns[s] ? " in namespace " ns[s] : "", purpose[s]
		}
	}' "$symvers"
}

# Symbols that only some kernels export, for probes that depend on them
exported()
{
	for s in $WANTED; do
		! grep -qs "	$s	" "${IOASID_SYMVERS:-$objtree/Module.symvers}" ||
			echo "-DIOASID_SYMBOL_$s"
	done
}

missing_symbols > "$tmp/missing"
while read -r line; do
	fail "the kernel $release does not export $line"
done < "$tmp/missing"
[ ! -e "$tmp/stop" ] || exit 1

# A compiler that fails for another reason must not pass for an old kernel
printf '#include <linux/iommu.h>\n#include <linux/module.h>\n' > "$tmp/nothing.c"
compile "$tmp/nothing.c" "$@" &
for p in "$here"/probe/*.c; do
	# shellcheck disable=SC2046 # words, or none
	compile "$p" "$@" $(exported) &
done
wait

if [ -e "$tmp/nothing.c.failed" ]; then
	fail "cannot compile for the kernel $release at all: $(grep -m1 error "$tmp/nothing.c.log" ||
		head -n1 "$tmp/nothing.c.log")"
	exit 1
fi

{
	echo "/* Made by compat/probe.sh for the kernel $release: do not edit */"
	for p in "$here"/probe/*.c; do
		name=$(basename "$p" .c)
		case $name in
		have_*)	value=1
			[ ! -e "$tmp/$name.c.failed" ] || value=0
			echo "#define IOASID_$(echo "$name" | tr '[:lower:]' '[:upper:]') $value" ;;
		need_*)	[ -e "$tmp/$name.c.failed" ] || continue
			fail "the kernel $release lacks $(sed -n 's,^/\* NEEDED: \(.*\) \*/$,\1,p' "$p")" \
				"($(grep -m1 -o 'error: .*' "$tmp/$name.c.log" || echo "it does not compile"))" ;;
		esac
	done
} > "$tmp/config.h"
[ ! -e "$tmp/stop" ] || exit 1

# Compiles the declarations of private.h together with those from the kernel's
# BTF, so that the compiler reports conflicting types where they differ.
check_private()
{
	funcs=$(sed -n 's/^.*\(iommu_[a-z_]*_handle[a-z_]*\)(.*$/\1/p' "$here/private.h")
	funcs="$funcs $(exported | sed 's/.*SYMBOL_//')"
	vmlinux=$(btf_vmlinux "$objtree" "$release")
	if [ -z "$vmlinux" ] || ! command -v pfunct > /dev/null; then
		echo "ioasid: note: the private functions of the kernel $release are not checked:" \
			"${vmlinux:+no pfunct (Debian package pahole)}${vmlinux:-no vmlinux with BTF beside its headers}" >&2
		return 0
	fi
	echo "#include \"$here/private.h\"" > "$tmp/check.c"
	for f in $funcs; do
		pfunct -F btf -P -f "$f" "$vmlinux" 2> /dev/null | grep "$f(" ||
			fail "the kernel $release has no function $f() any more; see compat/private.h"
	done >> "$tmp/check.c"
	compile "$tmp/check.c" "$@"
	if [ -e "$tmp/check.c.failed" ]; then
		fail "the kernel $release declares a private function otherwise than compat/private.h: $(
			grep -m1 -o 'error: .*' "$tmp/check.c.log")"
	fi
}

# In a kernel tree the real header is used
case " $* " in
*\ -DIOASID_IN_TREE\ *) ;;
*)	check_private "$@" ;;
esac
[ ! -e "$tmp/stop" ] || exit 1

mkdir -p "$(dirname "$out")"
cp "$tmp/config.h" "$out"
