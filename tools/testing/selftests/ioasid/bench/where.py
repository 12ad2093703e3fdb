#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0
"""Where the instructions of a command go: reads QEMU's log of every
instruction (ioasid-bench --profile NAME --trace) and the machine's
/proc/kallsyms, follows calls and returns, and prints, for each kind of command,
a tree of functions with their instructions per system call. Closing is many
system calls: the tree is of all of them together.

  where.py KALLSYMS LOG [--min PERCENT] [--flat]
"""

import argparse
import bisect
import collections
import gzip
import re

LINE = re.compile(rb"^Trace \d+: 0x[0-9a-f]+ \[[0-9a-f]+/([0-9a-f]+)/")
KERNEL = 1 << 63
ROOT = "do_syscall_64"


class Node:
    __slots__ = ("name", "self", "calls", "children")

    def __init__(self, name):
        self.name, self.self, self.calls, self.children = name, 0, 0, {}

    def child(self, name):
        c = self.children.get(name)
        if c is None:
            c = self.children[name] = Node(name)
        return c

    def total(self):
        return self.self + sum(c.total() for c in self.children.values())


def read_symbols(path):
    syms = {}
    with gzip.open(path, "rt") if path.endswith(".gz") else open(path) as f:
        for line in f:
            addr, letter, name = line.split()[:3]
            if letter in "tTwW" and not name.startswith(("__pfx_", "__cfi_", "$")):
                syms.setdefault(int(addr, 16), name)
    addrs = sorted(syms)
    return addrs, [syms[a] for a in addrs]


def follow(log, addrs, names, wanted):
    """A call tree for each call of the wanted function."""
    root = Node("all")
    trees = []
    stack = [root]
    where = {}
    for line in log:
        m = LINE.match(line)
        if not m:
            continue
        pc = int(m.group(1), 16)
        if pc < KERNEL:
            stack = [root]
            continue
        known = where.get(pc)
        if known is None:
            i = bisect.bisect_right(addrs, pc) - 1
            known = where[pc] = (names[i], addrs[i] == pc)
        name, entry = known
        top = stack[-1]
        if entry and name == wanted:
            top = Node(name)
            top.calls += 1
            trees.append(top)
            stack.append(top)
        elif entry or len(stack) == 1:
            top = top.child(name)
            top.calls += 1
            stack.append(top)
        elif top.name != name:
            for depth in range(len(stack) - 1, 0, -1):
                if stack[depth].name == name:
                    del stack[depth + 1:]
                    break
            else:
                # A jump into the middle: a cold part, or an alternative
                top = top.child(name)
                top.calls += 1
                stack.append(top)
        stack[-1].self += 1
    return trees


# A system call is what the first of these in its tree says; others are left out.
KINDS = (("iommu_report_device_fault", "request"),
         ("ioasid_queue_ioctl", "answer"), ("ioasid_queue_write", "answer"),
         ("iommufd_fault_fops_write", "answer"), ("ioasid_queue_read", "read"),
         ("iommufd_fault_fops_read", "read"),
         ("ioasid_cmd_device_attach", "attach"), ("ioasid_cmd_device_detach", "detach"),
         ("ioasid_cmd_map", "map"), ("ioasid_cmd_unmap", "unmap"),
         ("iommufd_ioas_map", "map"), ("iommufd_ioas_unmap", "unmap"),
         ("vfio_remove_dma", "unmap"), ("vfio_pin_pages_remote", "map"),
         ("ioasid_vfio_attach", "attach"), ("ioasid_vfio_detach", "detach"),
         ("vfio_df_ioctl_attach_pt", "attach"), ("vfio_df_ioctl_detach_pt", "detach"),
         ("vfio_iommu_type1_attach_group", "attach"), ("vfio_iommu_type1_detach_group", "detach"),
         ("ioasid_release", "close"), ("iommufd_fops_release", "close"),
         ("vfio_device_fops_release", "close"), ("vfio_group_fops_release", "close"),
         ("vfio_fops_release", "close"))


def has(tree, name):
    return tree.name == name or any(has(c, name) for c in tree.children.values())


def kind(tree):
    for name, what in KINDS:
        if has(tree, name):
            return what
    return None


def merge(into, node):
    into.self += node.self
    into.calls += node.calls
    for c in node.children.values():
        merge(into.child(c.name), c)


def show(node, per, whole, least, depth=0):
    total = node.total()
    if total < whole * least / 100:
        return
    print("%10.1f %5.1f%% %10.1f %8.2f  %s%s" % (
        total / per, 100 * total / whole, node.self / per, node.calls / per,
        "  " * depth, node.name))
    for c in sorted(node.children.values(), key=lambda c: -c.total()):
        show(c, per, whole, least, depth + 1)


def flatten(node, flat):
    flat[node.name][0] += node.self
    flat[node.name][1] += node.calls
    for c in node.children.values():
        flatten(c, flat)


def main():
    p = argparse.ArgumentParser(description=__doc__,
                                formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("kallsyms")
    p.add_argument("log")
    p.add_argument("--min", type=float, default=1.0)
    p.add_argument("--flat", action="store_true")
    opt = p.parse_args()
    addrs, names = read_symbols(opt.kallsyms)
    with open(opt.log, "rb") as f:
        trees = follow(f, addrs, names, ROOT)
    kinds = {}
    for t in trees:
        what = kind(t)
        if what:
            merge(kinds.setdefault(what, Node(ROOT)), t)
    for name, top in kinds.items():
        print("\n%s: %d system calls; instructions %s"
              % (name, top.calls, "of all" if name == "close" else "per call"))
        if name == "close":
            top.calls = 1
        print("%10s %6s %10s %8s  %s" % ("total", "", "itself", "calls", "function"))
        show(top, top.calls, top.total(), opt.min)
        if opt.flat:
            flat = collections.defaultdict(lambda: [0, 0])
            flatten(top, flat)
            print("  flat:")
            for f, (n, calls) in sorted(flat.items(), key=lambda x: -x[1][0])[:25]:
                print("%10.1f %5.1f%% %8.2f  %s" % (n / top.calls, 100 * n / top.total(),
                                                    calls / top.calls, f))


if __name__ == "__main__":
    main()
