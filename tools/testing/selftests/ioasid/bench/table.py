#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0
"""Makes a table of what ioasid-bench has printed, with the targets, and JSON
rows. Reads stdin or a file. A figure below its target is marked; with --strict
it is an error. It must never print a ratio of which a side is missing.

  table.py [--bed NAME] [--json FILE] [--strict] [ROWS]
"""

import argparse
import json
import sys

PEER, OURS, OURS_MM = "type1", "ioasid", "ioasid-mm"

# Name: what it is, and how many times faster than type1 it is meant to be.
ROWS = {
    "map-64k-own": ("map a buffer of 64 KiB, touched in order", 2),
    "unmap-64k-own": ("unmap a buffer of 64 KiB, touched in order", 5),
    "map-64k-seq": ("map 64 KiB, cut from contiguous memory", 2),
    "unmap-64k-seq": ("unmap 64 KiB, cut from contiguous memory", 5),
    "map-64k-shuf": ("map 64 KiB, scattered pages", 2),
    "unmap-64k-shuf": ("unmap 64 KiB, scattered pages", 5),
    "map-64k-vector-seq": ("map 1,000 x 64 KiB in one call, contiguous, each", 3),
    "unmap-64k-vector-seq": ("unmap 1,000 x 64 KiB in one call, contiguous, each", 6),
    "map-64k-vector-shuf": ("map 1,000 x 64 KiB in one call, scattered, each", 3),
    "unmap-64k-vector-shuf": ("unmap 1,000 x 64 KiB in one call, scattered, each", 6),
    "map-256m-seq": ("map 256 MiB, 4 KiB pages in sequence", 3),
    "unmap-256m-seq": ("unmap 256 MiB, 4 KiB pages in sequence", 8),
    "map-256m-shuf": ("map 256 MiB, 4 KiB pages, all scattered", 2.3),
    "unmap-256m-shuf": ("unmap 256 MiB, 4 KiB pages, all scattered", 7),
    "map-256m-huge": ("map 256 MiB, huge pages", 1.5),
    "unmap-256m-huge": ("unmap 256 MiB, huge pages", 20),
    "join-256m-shuf": ("a second device joins a space with 256 MiB", None),
    "join-256m-shuf-leave": ("it leaves", None),
    "foreign-256m-shuf": ("a second, foreign domain for 256 MiB scattered", 3),
    "foreign-256m-shuf-leave": ("it leaves", None),
    "foreign-256m-huge": ("a second, foreign domain for 256 MiB in huge pages", 3),
    "foreign-256m-huge-leave": ("it leaves", None),
    "first-attach-256m-shuf": ("first device attaches to 256 MiB scattered", None),
    "first-attach-256m-huge": ("first device attaches to 256 MiB in huge pages", None),
    "map-256m-shuf-no-device": ("map 256 MiB scattered before any device", None),
    "map-256m-huge-no-device": ("map 256 MiB in huge pages before any device", None),
    "map-4k": ("map a page, 100,000 of them at random IOVA", 1.3),
    "unmap-4k": ("unmap a page, 100,000 of them at random IOVA", None),
    "slab-4k": ("kernel memory of each of these mappings", None),
    "iommu-tables-4k": ("IOMMU page tables of each of these mappings", None),
    "close-256m-shuf": ("close with 256 MiB scattered, less close-nothing", 7),
    "close-256m-huge": ("close with 256 MiB in huge pages, less close-nothing", 15),
    "close-256m-shuf-whole": ("close with 256 MiB scattered", None),
    "close-256m-huge-whole": ("close with 256 MiB in huge pages", None),
    "close-nothing": ("close with nothing mapped", None),
    "kill-256m-shuf": ("SIGKILL with 256 MiB scattered, less nothing mapped", 7),
    "kill-256m-huge": ("SIGKILL with 256 MiB in huge pages, less nothing mapped", 15),
    "kill-256m-shuf-whole": ("SIGKILL with 256 MiB scattered", None),
    "kill-256m-huge-whole": ("SIGKILL with 256 MiB in huge pages", None),
}
# Not a ratio but a bound, in the row's unit.
AT_MOST = {"slab-4k": 128}


def read(lines):
    """{name: {side: (value, unit)}} and {name: note}."""
    values, notes = {}, {}
    for line in lines:
        word = line.split()
        if len(word) == 8 and word[0] == "ROW":
            values.setdefault(word[1], {})[word[3]] = (float(word[4]), word[2])
        elif len(word) > 2 and word[0] == "NOTE":
            notes[word[1]] = line.split(None, 2)[2].strip()
    return values, notes


def rows_of(values, bed):
    known = [n for n in ROWS if n in values]
    for name in known:
        sides = values[name]
        if PEER not in sides:
            continue
        peer, unit = sides[PEER]
        for side in (OURS, OURS_MM):
            if side in sides:
                ours = sides[side][0]
                yield {"name": name + ("-mm" if side == OURS_MM else ""), "bed": bed,
                       "unit": unit, "ours": ours, "peer": PEER, "peer_value": peer,
                       "ratio": round(peer / ours, 3) if ours else None}


def judge(row):
    """What is wanted, in words, and whether it is so (None: nothing is wanted)."""
    name = row["name"]
    if name in AT_MOST:
        return "<=%d%s" % (AT_MOST[name], row["unit"]), row["ours"] <= AT_MOST[name]
    target = ROWS.get(name, (None, None))[1]
    if target is None:
        return "", None
    return "%gx" % target, row["ratio"] is not None and row["ratio"] >= target


def print_table(rows, notes):
    print("%-26s %-4s %12s %12s %8s %7s %-6s %s"
          % ("name", "unit", "/dev/ioasid", PEER, "ratio", "target", "", "what"))
    below = 0
    for r in rows:
        want, ok = judge(r)
        below += ok is False
        base = r["name"][:-3] if r["name"].endswith("-mm") else r["name"]
        what = ROWS[base][0] + (", memory counted as type1 does" if base != r["name"] else "")
        print("%-26s %-4s %12.3f %12.3f %8s %7s %-6s %s"
              % (r["name"], r["unit"], r["ours"], r["peer_value"],
                 "-" if r["ratio"] is None else "%.2f" % r["ratio"], want,
                 {True: "ok", False: "below", None: ""}[ok], what))
    print("\nus: a thousand instructions of the machine, not time: no cache, TLB or IOMMU hardware.")
    print("ratio: type1 / ours.")
    for name, text in notes.items():
        print("%s: %s" % (name, text))
    return below


def main():
    p = argparse.ArgumentParser(description=__doc__,
                                formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("--bed", default="stock")
    p.add_argument("--json")
    p.add_argument("--strict", action="store_true")
    p.add_argument("rows", nargs="?")
    opt = p.parse_args()
    with open(opt.rows) if opt.rows else sys.stdin as f:
        values, notes = read(f)
    rows = list(rows_of(values, opt.bed))
    if not rows:
        sys.exit("table.py: no rows")
    below = print_table(rows, notes)
    if opt.json:
        with open(opt.json, "w") as f:
            f.write("[\n" + ",\n".join(json.dumps(r) for r in rows) + "\n]\n")
    if below:
        print("\n%d below target" % below)
        if opt.strict:
            sys.exit(1)


if __name__ == "__main__":
    main()
