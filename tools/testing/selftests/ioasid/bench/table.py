#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0
"""Makes a table of what ioasid-bench has printed, with the targets, and JSON
rows. Reads stdin or a file. A figure below its target is marked; with --strict
it is an error. It must never print a ratio of which a side is missing.

  table.py [--bed NAME] [--json FILE] [--strict] [--peers NAME,...] [ROWS]

Of several files, runs of the same on a machine whose time is real, each row is
the median. --peers names the peers that have to be there.
"""

import argparse
import json
import statistics
import sys

PEERS, OURS, OURS_MM = ("type1", "iommufd"), "ioasid", "ioasid-mm"

# How many times faster than the best peer, where iommufd is one of them.
MAP, UNMAP = 1.4, 2
CLOSE = KILL = UNMAP
# Of virtual machines, which are compared with type1 alone
GUEST, ADD = 1.5, 10
ATTACH, LEAVE = MAP, None
FAULT = 2
NEST = 1.5
# Name: what it is; the target beside type1 alone; the target beside both.
ROWS = {
    "map-64k-own": ("map a buffer of 64 KiB, touched in order", 2, MAP),
    "unmap-64k-own": ("unmap a buffer of 64 KiB, touched in order", 5, UNMAP),
    "map-64k-seq": ("map 64 KiB, cut from contiguous memory", 2, MAP),
    "unmap-64k-seq": ("unmap 64 KiB, cut from contiguous memory", 5, UNMAP),
    "map-64k-shuf": ("map 64 KiB, scattered pages", 2, MAP),
    "unmap-64k-shuf": ("unmap 64 KiB, scattered pages", 5, UNMAP),
    "map-64k-vector-seq": ("map 1,000 x 64 KiB in one call, contiguous, each", 3, MAP),
    "unmap-64k-vector-seq": ("unmap 1,000 x 64 KiB in one call, contiguous, each", 6, UNMAP),
    "map-64k-vector-shuf": ("map 1,000 x 64 KiB in one call, scattered, each", 3, MAP),
    "unmap-64k-vector-shuf": ("unmap 1,000 x 64 KiB in one call, scattered, each", 6, UNMAP),
    "map-256m-seq": ("map 256 MiB, 4 KiB pages in sequence", 3, MAP),
    "unmap-256m-seq": ("unmap 256 MiB, 4 KiB pages in sequence", 8, UNMAP),
    "map-256m-shuf": ("map 256 MiB, 4 KiB pages, all scattered", 2.3, MAP),
    "unmap-256m-shuf": ("unmap 256 MiB, 4 KiB pages, all scattered", 7, UNMAP),
    "map-256m-huge": ("map 256 MiB, huge pages", 1.5, MAP),
    "unmap-256m-huge": ("unmap 256 MiB, huge pages", 20, UNMAP),
    "join-256m-shuf": ("a second device joins a space with 256 MiB", None, ATTACH),
    "join-256m-shuf-leave": ("it leaves", None, LEAVE),
    "join-attach-256m-shuf": ("the attach alone", None, ATTACH),
    "join-attach-256m-shuf-leave": ("the detach alone", None, LEAVE),
    "join-whole-256m-shuf": ("to claim, open and attach it", None, None),
    "join-whole-256m-shuf-leave": ("to detach and close it", None, None),
    "foreign-256m-shuf": ("a second, foreign domain for 256 MiB scattered", 3, ATTACH),
    "foreign-256m-shuf-leave": ("it leaves", None, LEAVE),
    "foreign-256m-huge": ("a second, foreign domain for 256 MiB in huge pages", 3, ATTACH),
    "foreign-256m-huge-leave": ("it leaves", None, LEAVE),
    "first-attach-256m-shuf": ("first device attaches to 256 MiB scattered", None, ATTACH),
    "first-attach-256m-huge": ("first device attaches to 256 MiB in huge pages", None, ATTACH),
    "populate-attach-256m-shuf": ("map 256 MiB scattered, then attach the first device", None, ATTACH),
    "populate-attach-256m-huge": ("map 256 MiB in huge pages, then attach the first device", None, ATTACH),
    "map-256m-shuf-no-device": ("map 256 MiB scattered before any device", None, None),
    "map-256m-huge-no-device": ("map 256 MiB in huge pages before any device", None, None),
    "map-4k": ("map a page, 100,000 of them at random IOVA", 1.3, MAP),
    "unmap-4k": ("unmap a page, 100,000 of them at random IOVA", None, UNMAP),
    "slab-4k": ("kernel memory of each of these mappings", None, None),
    "iommu-tables-4k": ("IOMMU page tables of each of these mappings", None, None),
    "close-256m-shuf": ("close with 256 MiB scattered, less close-nothing", 7, CLOSE),
    "close-256m-huge": ("close with 256 MiB in huge pages, less close-nothing", 15, CLOSE),
    "close-256m-shuf-whole": ("close with 256 MiB scattered", None, None),
    "close-256m-huge-whole": ("close with 256 MiB in huge pages", None, None),
    "close-nothing": ("close with nothing mapped", None, None),
    "kill-256m-shuf": ("SIGKILL with 256 MiB scattered, less nothing mapped", 7, KILL),
    "kill-256m-huge": ("SIGKILL with 256 MiB in huge pages, less nothing mapped", 15, KILL),
    "kill-256m-shuf-whole": ("SIGKILL with 256 MiB scattered", None, None),
    "kill-256m-huge-whole": ("SIGKILL with 256 MiB in huge pages", None, None),
    "fault-ring-1": ("a page request and its answer, one at a time, ring", None, 1),
    "fault-rw-1": ("the same by read() and write()", None, None),
    "fault-refused-1": ("a page request without a queue", None, None),
    "fault-ring-32": ("32 page requests and their answers, ring, each", None, FAULT),
    "fault-rw-32": ("the same by read() and write()", None, None),
    "fault-batch": ("ours, ring, 32 at once; the peer one at a time", None, FAULT),
    "fault-refused-32": ("32 page requests without a queue, each", None, None),
    "fault-bare-ring-1": ("one page request, of a device that costs nothing, ring", None, 1),
    "fault-bare-rw-1": ("the same by read() and write()", None, None),
    "fault-bare-refused-1": ("such a page request without a queue", None, None),
    "fault-bare-ring-32": ("32 page requests of that device, ring, each", None, FAULT),
    "fault-bare-rw-32": ("the same by read() and write()", None, None),
    "fault-bare-batch": ("ours, ring, 32 at once; the peer one at a time", None, FAULT),
    "fault-bare-refused-32": ("32 such page requests without a queue, each", None, None),
    "fault-memory": ("memory of a fault queue for each group that can wait", None, None),
    "pasid-attach": ("take a PASID and attach it, 500 to one space", None, None),
    "pasid-detach": ("detach it and give it back", None, None),
    "pasid-alloc": ("take 500 PASIDs in one call, each", None, None),
    "pasid-free": ("give them back in one call, each", None, None),
    "nested-attach": ("a guest's page table, made and attached", None, None),
    "nested-detach": ("detached and freed", None, None),
    "invalidate-1": ("forget one page of it", None, NEST),
    "invalidate-1000": ("forget 1,000 pages in one call, each", None, NEST),
    "mm-attach": ("the memory of a process for a device", None, None),
    "mm-detach": ("take it away", None, None),
    "smp-space-alone": ("map and unmap 4 MiB, one process", None, None),
    "smp-space": ("one of two that use one space / alone", None, None),
    "smp-contexts-alone": ("map and unmap 4 MiB, one process", None, None),
    "smp-contexts": ("one of two that use two contexts / alone", None, None),
    "guest-start-256m-4k": ("a guest with 256 MiB in 4 KiB pages starts", GUEST, None),
    "guest-start-256m-4k-whole": ("all that QEMU does for it", None, None),
    "guest-start-256m-huge": ("a guest with 256 MiB in huge pages starts", GUEST, None),
    "guest-start-256m-huge-whole": ("all that QEMU does for it", None, None),
    "guest-start-1g-4k": ("a guest with 1 GiB in 4 KiB pages starts", GUEST, None),
    "guest-start-1g-4k-whole": ("all that QEMU does for it", None, None),
    "guest-start-1g-huge": ("a guest with 1 GiB in huge pages starts", GUEST, None),
    "guest-start-1g-huge-whole": ("all that QEMU does for it", None, None),
    "guest-start-256m-4k-cold": ("256 MiB in 4 KiB pages that are not there yet", None, None),
    "guest-start-256m-4k-cold-whole": ("all that QEMU does for it", None, None),
    "guest-add-256m-4k": ("a second device, in a container of its own", ADD, None),
    "guest-add-256m-4k-whole": ("all that QEMU does for it", None, None),
    "guest-add-256m-huge": ("the same, 256 MiB in huge pages", ADD, None),
    "guest-add-256m-huge-whole": ("all that QEMU does for it", None, None),
    "guest-add-1g-4k": ("the same, 1 GiB in 4 KiB pages", ADD, None),
    "guest-add-1g-4k-whole": ("all that QEMU does for it", None, None),
    "guest-add-1g-huge": ("the same, 1 GiB in huge pages", ADD, None),
    "guest-add-1g-huge-whole": ("all that QEMU does for it", None, None),
    "guest-add-same-256m-4k": ("a second device, in the container of the first", None, None),
    "guest-add-same-256m-4k-whole": ("all that QEMU does for it", None, None),
    "guest-strict": ("a guest's IOMMU, strict: map and unmap a page", GUEST, None),
    "guest-strict-map": ("the map alone", None, None),
    "guest-strict-unmap": ("the unmap alone", None, None),
    "guest-strict-whole": ("all that QEMU and the guest do for it", None, None),
}
# Rows of which ours is one row and the peers' another
DERIVED = {
    "fault-batch": ("fault-ring-32", "fault-ring-1"),
    "fault-bare-batch": ("fault-bare-ring-32", "fault-bare-ring-1"),
}
# What type1 does not have
NO_TYPE1 = ("fault-", "pasid-", "nested-", "invalidate-", "mm-")
# Not a ratio but a bound, in the row's unit.
AT_MOST = {"slab-4k": 100, "smp-space": 1.11, "smp-contexts": 1.11}


def read(lines, values, notes):
    """Into {name: {side: [(value, unit)]}} and {name: note}."""
    for line in lines:
        word = line.split()
        if len(word) == 8 and word[0] == "ROW":
            values.setdefault(word[1], {}).setdefault(word[3], []).append(
                (float(word[4]), word[2]))
        elif len(word) > 2 and word[0] == "NOTE":
            notes[word[1]] = line.split(None, 2)[2].strip()


def derive(values):
    for name, (ours, peers) in DERIVED.items():
        if OURS in values.get(ours, {}) and peers in values:
            values[name] = {s: v for s, v in values[peers].items() if s in PEERS}
            values[name][OURS] = values[ours][OURS]


def rows_of(values):
    """Each: name, base (the name in ROWS), unit, ours, peers {name: value}."""
    derive(values)
    for base in [n for n in ROWS if n in values]:
        sides = {s: (statistics.median(v for v, _ in samples), samples[0][1])
                 for s, samples in values[base].items()}
        peers = {p: sides[p][0] for p in PEERS if p in sides}
        for side in (OURS, OURS_MM):
            if side in sides:
                ours, unit = sides[side]
                yield {"name": base + ("-mm" if side == OURS_MM else ""), "base": base,
                       "unit": unit, "ours": ours, "peers": peers}


def ratio(row, value):
    return round(value / row["ours"], 3) if row["ours"] else None


def best(row):
    return ratio(row, min(row["peers"].values())) if row["peers"] else None


def judge(row, alone):
    """What is wanted, in words, and whether it is so (None: nothing is wanted)."""
    name = row["name"]
    if name in AT_MOST:
        return "<=%g%s" % (AT_MOST[name], row["unit"]), row["ours"] <= AT_MOST[name]
    # Counting memory in another way is not a row of its own beside iommufd
    target = ROWS[row["base"]][1 if alone else 2] if name in ROWS else None
    if target is None:
        return "", None
    return "%gx" % target, best(row) is not None and best(row) >= target


def figure(value):
    if value is None:
        return "-"
    return "%.3f" % value if value < 100 else "%.1f" % value if value < 10000 else "%.0f" % value


def print_table(rows, notes, peers):
    columns = "%-29s %-4s %9s" + " %9s" * len(peers) + " %7s %6s %-5s  %s"
    print(columns % ("name", "unit", "ours", *peers, "ratio", "target", "", "what"))
    below = 0
    for r in rows:
        want, ok = judge(r, len(peers) == 1)
        below += ok is False
        what = ROWS[r["base"]][0] + (", memory counted as type1 does" if r["name"] != r["base"] else "")
        print(columns % (r["name"], r["unit"], figure(r["ours"]),
                         *(figure(r["peers"].get(p)) for p in peers),
                         "-" if best(r) is None else "%.2f" % best(r), want,
                         {True: "ok", False: "BELOW", None: ""}[ok], what))
    print("\nratio: the best of %s / ours." % " and ".join(peers))
    for name, text in notes.items():
        print("%s: %s" % (name, text))
    return below


def write_json(path, rows, bed):
    """Rows of other beds that are there already stay."""
    try:
        with open(path) as f:
            flat = [r for r in json.load(f) if r["bed"] != bed]
    except FileNotFoundError:
        flat = []
    flat += [{"name": r["name"], "bed": bed, "unit": r["unit"], "ours": r["ours"], "peer": p,
              "peer_value": v, "ratio": ratio(r, v) if v is not None else None}
             for r in rows for p, v in (r["peers"] or {None: None}).items()]
    with open(path, "w") as f:
        f.write("[\n" + ",\n".join(json.dumps(r) for r in flat) + "\n]\n")


def main():
    p = argparse.ArgumentParser(description=__doc__,
                                formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("--bed", default="stock")
    p.add_argument("--json")
    p.add_argument("--strict", action="store_true")
    p.add_argument("--peers", default="type1")
    p.add_argument("--real-time", action="store_true", help="us are microseconds")
    p.add_argument("rows", nargs="*")
    opt = p.parse_args()
    values, notes = {}, {}
    for path in opt.rows or ["/dev/stdin"]:
        with open(path) as f:
            read(f, values, notes)
    rows = list(rows_of(values))
    if not rows:
        sys.exit("table.py: no rows")
    peers = [p for p in PEERS if any(p in r["peers"] for r in rows)]
    wanted = set(opt.peers.split(","))
    if all(r["name"].startswith(NO_TYPE1) for r in rows):
        wanted.discard("type1")
    if wanted != set(peers):
        sys.exit("table.py: there are rows of %s, not of %s" % (",".join(peers), opt.peers))
    below = print_table(rows, notes, peers)
    if not opt.real_time:
        print("us: a thousand instructions of the machine, not time: no cache, TLB or IOMMU hardware.")
    if opt.json:
        write_json(opt.json, rows, opt.bed)
    if below:
        print("\n%d below target" % below)
        if opt.strict:
            sys.exit(1)


if __name__ == "__main__":
    main()
