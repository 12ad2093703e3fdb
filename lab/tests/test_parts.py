#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0
"""Tests of the parts of the lab that judge others: the KTAP reader and the
kernel log reader. Prints KTAP. It must never need a machine.
"""

import os
import sys

sys.dont_write_bytecode = True
sys.path.insert(0, os.path.join(os.path.dirname(os.path.realpath(__file__)), ".."))

from vmlib import klog, ktap  # noqa: E402

number = 0
bad = 0


def check(name, is_true):
    global number, bad
    number += 1
    bad += not is_true
    print("%s %d %s" % ("ok" if is_true else "not ok", number, name))


def counts(text, status=0):
    r = ktap.parse(text, status, "t")
    return r.passed, r.failed, r.skipped


FULL = "TAP version 13\n1..3\nok 1 a\nok 2 b # SKIP no device\nnot ok 3 c\n"
PASS = "1..1\nok 1 a\n"

print("TAP version 13\n1..21")
check("pass, skip and fail are told apart", counts(FULL, 1) == (1, 1, 1))
check("a truncated plan fails", counts("1..3\nok 1 a\n") == (1, 1, 0))
check("no plan fails", counts("hello\n") == (0, 1, 0))
check("silence fails", counts("") == (0, 1, 0))
check("an exit status fails though all passed", counts(PASS, 139) == (1, 1, 0))
check("exit status 4 is a skip", counts("1..0 # SKIP nothing here\n", 4) == (0, 0, 1))
check("exit status 4 with a failed test fails", counts(FULL, 4) == (1, 1, 1))
check("nested points are counted once",
      counts("1..1\n    1..2\n    ok 1 x\n    ok 2 y\nok 1 suite\n") == (2, 0, 0))
check("a nested truncated plan fails",
      counts("1..1\n    1..3\n    ok 1 x\nok 1 suite\n") == (1, 1, 0))
check("what was said before a failure is kept",
      ktap.parse("1..1\n# why\nnot ok 1 a\n", 1, "t").failures == [("t: a", ["# why"])])
for line in ("WARNING: CPU: 0 PID: 1 at kernel/x.c:1 f+0x1/0x2",
             "BUG: kernel NULL pointer dereference", "refcount_t: underflow; use-after-free.",
             "INFO: task x:1 blocked for more than 120 seconds.",
             "rcu: INFO: rcu_preempt detected stalls on CPUs/tasks:",
             "BUG: KASAN: slab-use-after-free in f+0x1",
             "WARNING: possible circular locking dependency detected",
             "UBSAN: array-index-out-of-bounds in x.c:1"):
    check("bad: " + line[:40].replace("#", ""), klog.bad_lines("fine\n[ 1.0] " + line) == [1])
for line in ("DMAR: [DMA Write NO_PASID] Request device [00:03.0] fault addr 0x10001000",
             "ioasid: loading out-of-tree module taints kernel.",
             "ioasid: module verification failed: signature and/or required key missing"):
    check("harmless: " + line[:40], klog.bad_lines("[ 1.0] " + line) == [])
sys.exit(1 if bad else 0)
