# shellcheck shell=bash
# SPDX-License-Identifier: GPL-2.0
#
# What every shell script of the lab shares: where things are kept, progress
# lines with the seconds since the start, and one way to die. Sourced, never
# run. It must never do work by itself: sourcing it changes nothing on disk.

LAB=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
SRC=$(dirname "$LAB")
CACHE=${XDG_CACHE_HOME:-${HOME:-/root}/.cache}/ioasid
: "${LAB_T0:=$EPOCHREALTIME}"
export LAB_T0

# One build directory per checkout, so that two checkouts never mix.
checkout_id() { printf '%s' "$SRC" | sha256sum | cut -c1-12; }
BUILD=$CACHE/build/$(checkout_id)

# say TEXT: one progress line on stderr, with the seconds since the start.
say()
{
	local us=$(( ${EPOCHREALTIME/[.,]/} - ${LAB_T0/[.,]/} ))

	printf '[%6d.%ds] %s\n' $((us / 1000000)) $((us / 100000 % 10)) "$*" >&2
}

# die REASON: the reason in one line, and what to do about it.
die()
{
	printf 'lab/%s: %s\n' "${0##*/}" "$*" >&2
	exit 1
}

need_root()
{
	[ "$(id -u)" = 0 ] ||
		die "not root: the test root needs mounts and chroot; run it with sudo"
}

# use_lab: set ROOT, KERNELS and KSRC to the pieces that lab/root makes.
use_lab()
{
	local out

	need_root
	out=$("$LAB/root" --where) || exit 1
	# shellcheck disable=SC2034 # for who sources this
	ROOT=$(sed -n 's/^ROOT=//p' <<< "$out")
	KERNELS=$(sed -n 's/^KERNELS=//p' <<< "$out")
	# shellcheck disable=SC2034
	KSRC=$(sed -n 's/^KSRC=//p' <<< "$out")
	mkdir -p "$BUILD"
}

# kernel_dirs WHICH: the kernel directories that WHICH (6.12, 7.x, all, or
# nothing for the newest) names, one a line.
kernel_dirs()
{
	local d v found=

	case ${1:-7.x} in
	7.x|new|newest) set -- new ;;
	6.12*) set -- stable ;;
	all) set -- stable new ;;
	esac
	for v in "$@"; do
		for d in "$KERNELS/stable" "$KERNELS/new"; do
			case $v in
			stable|new) [ "${d##*/}" = "$v" ] || continue ;;
			*) case $(cat "$d/release") in
				"$v"*) ;;
				*) continue ;;
				esac ;;
			esac
			echo "$d"
			found=1
		done
	done
	[ "$found" ] || die "no such kernel: $1 (use 6.12, 7.x or all)"
}
