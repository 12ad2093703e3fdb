#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0
"""Tests of the parts of the lab that judge others: the KTAP reader, the kernel
log reader, what picks a kernel, what reads the table of tests, and what shares
out the jobs. Prints KTAP. It must never need a machine.
"""

import contextlib
import importlib.machinery
import importlib.util
import io
import os
import shutil
import sys
import tempfile
import threading

sys.dont_write_bytecode = True
sys.path.insert(0, os.path.join(os.path.dirname(os.path.realpath(__file__)), ".."))

from vmlib import bed, kernels, klog, ktap, matrix  # noqa: E402

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

print("TAP version 13\n1..98")
check("pass, skip and fail are counted apart", counts(FULL, 1) == (1, 1, 1))
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
             "UBSAN: array-index-out-of-bounds in x.c:1",
             "BUG: MAX_LOCKDEP_CHAINS too low!", "turning off the locking correctness validator.",
             "INFO: lockdep is turned off.", "WARNING: possible irq lock inversion dependency detected",
             "WARNING: suspicious RCU usage", "BUG: sleeping function called from invalid context",
             "kmemleak: 3 new suspected memory leaks (see /sys/kernel/debug/kmemleak)",
             "kmemleak: unreferenced object 0xffff888003b5f000 (size 64):",
             "kmemleak: Kernel memory leak detector disabled",
             "iommu: Detected page leak!", "ODEBUG: Out of memory. ODEBUG disabled",
             "BUG: KFENCE: memory corruption in f+0x1"):
    check("bad: " + line[:40].replace("#", ""), klog.bad_lines("fine\n[ 1.0] " + line) == [1])
for line in ("DMAR: [DMA Write NO_PASID] Request device [00:03.0] fault addr 0x10001000",
             "ioasid: loading out-of-tree module taints kernel.",
             "ioasid: module verification failed: signature and/or required key missing",
             "kmemleak: Kernel memory leak detector initialized (mem pool available: 15000)",
             "kmemleak: Automatic memory scanning thread ended",
             "Lock dependency validator: Copyright (c) 2006 Red Hat, Inc., Ingo Molnar",
             "kasan: KernelAddressSanitizer initialized"):
    check("harmless: " + line[:40], klog.bad_lines("[ 1.0] " + line) == [])

RACE = """
[ 9.1] ==================================================================
[ 9.1] BUG: KCSAN: data-race in filemap_map_pages / unmap_page_range
[ 9.1]
[ 9.1] write to 0xffff88800 of 8 bytes by task 7 on cpu 1:
[ 9.1]  unmap_page_range+0x1/0x2
[ 9.1]
[ 9.1] read to 0xffff88800 of 8 bytes by task 8 on cpu 0:
[ 9.1]  filemap_map_pages+0x1/0x2%s
[ 9.1]
[ 9.1] Reported by Kernel Concurrency Sanitizer on:
[ 9.1] ==================================================================
[ 9.2]  ioasid_map+0x1/0x2 [ioasid]
"""
check("a race between others is not bad", klog.bad_lines(RACE % "") == [])
check("it is noted", klog.notes(RACE % "" * 2) ==
      ["2 times: data-race in filemap_map_pages / unmap_page_range"])
check("a race with us in one of the stacks is bad", klog.bad_lines(RACE % " [ioasid_vfio]") == [2])
check("each race is judged by itself",
      klog.bad_lines(RACE % "" + RACE % " [ioasid]") == [15] and
      len(klog.notes(RACE % "" + RACE % " [ioasid]")) == 1)
check("a race in a log that is cut is judged by what is there",
      klog.bad_lines("BUG: KCSAN: data-race in x\n f+0x1/0x2 [ioasid]") == [0])


# --- what picks a kernel -------------------------------------------------------

def make(path, **files):
    for name, text in files.items():
        name = os.path.join(path, name.replace("__", "/"))
        os.makedirs(os.path.dirname(name), exist_ok=True)
        with open(name, "w") as f:
            f.write(text)


def picked(want):
    """The release of what is picked, or None."""
    try:
        return kernels.pick(top + "/stock", top + "/build", want, lab=top + "/lab").release
    except kernels.Missing:
        return None


top = tempfile.mkdtemp()
make(top + "/stock/stable", release="6.12.1-amd64\n", modules__order="")
make(top + "/stock/new", release="7.9.1-amd64\n", modules__order="vfio\n")
make(top + "/lab/kconfig", debug='# x\nCONFIG_LOCALVERSION="-d"\n', x86="CONFIG_SMP=y\n",
     uml='# x\nCONFIG_LOCALVERSION="-u"\n', bench='# x\nCONFIG_LOCALVERSION="-b"\n')
make(top + "/build/kernel/debug/out", release="7.9.1-d\n", modules__order="vfio\nioasid\n",
     config="CONFIG_KASAN=y\nCONFIG_PROVE_LOCKING=y\n# CONFIG_DEBUG_KMEMLEAK is not set\n"
            "CONFIG_IOMMU_DEBUG_PAGEALLOC=y\n")
make(top + "/build/kernel/bench/out", release="7.9.1-b\n")
check("the newest stock kernel is the default", picked("7.x") == "7.9.1-amd64")
check("a prefix picks a stock kernel", picked("6.12") == "6.12.1-amd64")
check("one of ours is picked by its name", picked("debug") == "7.9.1-d")
check("half of a kernel is not picked", picked("bench") is None)
check("a kernel that nobody has is not picked", picked("5.4") is None)
check("a program is no kernel for a machine", kernels.own(top + "/lab") == ["bench", "debug"])
own = kernels.pick(top + "/stock", top + "/build", "debug", lab=top + "/lab")
stock = kernels.pick(top + "/stock", top + "/build", "7.x", lab=top + "/lab")
check("its modules come in their order",
      [os.path.basename(m) for m in own.modules()] == ["vfio.ko", "ioasid.ko"])
check("what it can check must be on", own.checks() == ["lockdep", "kasan", "pagealloc"])
check("checks that are off are turned on at boot", own.append() == ["iommu.debug_pagealloc=1"])
check("nothing is asked of a stock kernel", stock.checks() == stock.append() == [])
check("a module from elsewhere taints ours", own.taint_ok() & 1 << 12 == 0)
check("a warning taints both", not (own.taint_ok() | stock.taint_ok()) & 1 << 9)

# --- configurations of our kernels: those that make check never builds, too ---------

KCONFIG = os.path.join(os.path.dirname(os.path.realpath(__file__)), "../kconfig")


def lines(name, prefix):
    """What follows the prefix, of the lines of a fragment that begin with it."""
    with open(os.path.join(KCONFIG, name)) as f:
        return [line[len(prefix):].strip() for line in f if line.startswith(prefix)]


def fragments(name):
    """The fragment and those that it is made with."""
    return [name] + [f for words in lines(name, "# with: ") for w in words.split() for f in fragments(w)]


def contradicts(name):
    """Whether an option has two values in them."""
    values = {}
    return not all(values.setdefault(option, value) == value for f in fragments(name)
                   for option, value in (o.split("=", 1) for o in lines(f, "CONFIG_")))


files = sorted(f for f in os.listdir(KCONFIG) if f != "Kconfig")
check("every kernel of ours has our modules", [
    f for f in files if lines(f, "CONFIG_LOCALVERSION=")
    and not any(w.startswith("ioasid") for w in fragments(f))] == [])
check("no fragment contradicts another one that it is made with",
      [f for f in files if contradicts(f)] == [])

# --- the table of tests ------------------------------------------------------------

TABLE = """
let DISK = --nvme 1
bed v 10 | 7.x fsts | --kernel 7.x --icount DISK   # a machine
bed u  5 | uml      | --kernel uml-debug --mem 1G
args u -v x
run u b_test y b_test
env u check A=1
env v both B=2
env v check-all C=3
test      v  u
a_test    c  .
b_test    a  c
"""


def wrong(text):
    """What is wrong with the table, or nothing."""
    try:
        matrix.Table(text)
    except matrix.Wrong as e:
        return str(e)
    return ""


t = matrix.Table(TABLE)
v, u = t.beds["v"], t.beds["u"]
check("a mark says where a test runs", v.tests == {"check": ["a_test"], "check-all": ["a_test", "b_test"]})
check("a word stands for others", v.options == ["--kernel", "7.x", "--icount", "--nvme", "1"])
check("a bed has its arguments and variables",
      (u.args, u.env["check"], u.env["check-all"], v.env["check-all"]) == (" -v x", ["A=1"], [], ["B=2", "C=3"]))
check("something else can run in its place",
      [u.command(t) for t in ("a_test", "b_test", "unload")]
      == ["counters a_test -v x", "y b_test -v x", "unload"])
check("a machine gets its kernel as an option", v.argv() == ["vm", "run"] + v.options)
check("a program has an option for it", u.argv() == ["uml", "run", "--no-build", "--debug", "--mem", "1G"])
check("a table that fits is right", t.compare(["a_test", "b_test"]) == [])
check("a test that is not in the table is reported",
      t.compare(["a_test", "b_test", "c_test"]) == ["c_test: a test that is not in lab/matrix"])
check("a row without a test is reported",
      t.compare(["a_test"]) == ["b_test: in lab/matrix, but there is no such test"])
check("a test that make check runs nowhere is reported",
      matrix.Table(TABLE + "c_test a a\n").compare(["a_test", "b_test", "c_test"])
      == ["c_test: in lab/matrix, but runs nowhere in make check"])
check("what is left out is listed", list(t.only_in_all()) == ["bed 7.x fsts: b_test", "bed 7.x fsts: with C=3"])
check("a mark too few is an error", "1 marks for 2 beds" in wrong(TABLE + "c_test c\n"))
check("an unknown mark is an error", "x is no mark" in wrong(TABLE + "c_test c x\n"))
check("a second row for the same bed is an error", "twice" in wrong(TABLE + "a_test c c\n"))
check("a column without a bed is an error", wrong(TABLE + "test w\n") != "")
check("a second bed of the same key is an error", "two beds" in wrong(TABLE + "bed u 1 | x | --kernel x\n"))

# --- what a machine must have before it boots -------------------------------------


def program(name):
    """A program of the lab, as a module."""
    loader = importlib.machinery.SourceFileLoader(
        "lab_" + name, os.path.join(os.path.dirname(os.path.realpath(__file__)), "..", name))
    module = importlib.util.module_from_spec(importlib.util.spec_from_loader(loader.name, loader))
    loader.exec_module(module)
    return module


def refused(argv, kernel, *names):
    """What lab/vm says about modules it does not have, and its exit status."""
    said = io.StringIO()
    try:
        with contextlib.redirect_stderr(said):
            lab_vm.to_load(lab_vm.parse(["run"] + argv + ["--", "true"]), kernel, set(names))
    except SystemExit as e:
        return e.code, said.getvalue()
    return 0, ""


lab_vm = program("vm")
VFIO = ("vfio_pci", "vfio_iommu_type1")
check("no machine boots without our modules", refused([], stock, *VFIO)
      == (126, "vm: no modules for 7.9.1-amd64: run lab/build\n"))
check("nor one with a kernel of ours", refused(["--kernel", "debug"], own, *VFIO)
      == (126, "vm: no modules for 7.9.1-d: run lab/kernel debug\n"))
check("it boots with them", refused([], stock, "ioasid", *VFIO) == (0, ""))
check("and without, if others are named", refused(["--load", "vfio_pci"], stock, *VFIO) == (0, ""))
make(top + "/src/tools/testing/selftests/ioasid", **{"a_test.c": "", "b_test.sh": "", "spaces.h": ""})
make(top + "/src/samples", **{"hello.c": "", "demo.c": ""})


def not_built(*command):
    return bed.not_built(["/build/a_test", "x/b_test.sh:bin/b"], command, top + "/src")


check("a test that is not built is found", not_built("b_test.sh", "-v") == ["b_test.sh"])
check("so is a sample, wherever it stands",
      not_built("cd /; a_test && for i in 1 2; do hello; done") == ["hello"])
check("what is built is there", not_built("counters a_test -t x") == [])
check("words that name no program of ours are left alone",
      not_built("sh", "-c", "echo hello; demo; spaces; uname") == [])

# --- what shares out the jobs ----------------------------------------------------

lab_check = program("check")
Job = lab_check.Job


def passes():
    r = ktap.Result()
    r.passed = 1
    return r


def board(jobs):
    b = lab_check.Board(jobs)
    said = io.StringIO()
    with contextlib.redirect_stdout(said):
        b.run()
    return b, said.getvalue()


order = []


def noted(name, result=passes):
    return lambda: (order.append(name), result())[1]


def broken():
    raise OSError("gone")


lab_check.PROCESSORS = 1.0
check("the longest chain is first, and nothing is before what it needs",
      [j.name for j in lab_check.in_order([
          Job("short", passes, 1), Job("long", passes, 50, after=["build"]),
          Job("middle", passes, 20), Job("build", passes, 2)])]
      == ["build", "long", "middle", "short"])
check("what is needed is picked, too",
      [j.name for j in lab_check.pick([Job("a", passes), Job("b", passes, after=["a"]),
                                       Job("c", passes, after=["b"]), Job("d", passes)], ["c"])]
      == ["a", "b", "c"])
b, said = board([Job("c", noted("c"), 1, after=["b"]), Job("b", noted("b"), 1, after=["a"]),
                 Job("a", noted("a"), 1)])
check("jobs run after what they need", order == ["a", "b", "c"] and b.total.passed == 3)
order.clear()
b, said = board([Job("a", noted("a", broken), 9), Job("b", noted("b"), 1, after=["a"]),
                 Job("c", noted("c"), 1, after=["b"]), Job("d", noted("d"), 1)])
check("a job that breaks fails, and who needs it fails without a run",
      order == ["a", "d"] and (b.total.passed, b.total.failed) == (1, 3))
check("the reason is printed", "OSError: gone" in said and "needs what failed: a" in said)
together, most = [0], [0]
gate = threading.Lock()
pair = threading.Barrier(2)


def counted():
    with gate:
        together[0] += 1
        most[0] = max(most[0], together[0])
    # Two at once, however busy the host is; and time for a third, which must not come.
    pair.wait(timeout=60)
    threading.Event().wait(0.05)
    with gate:
        together[0] -= 1
    return passes()


lab_check.PROCESSORS = 2.0
b, said = board([Job("j%d" % i, counted, 1, 1) for i in range(6)])
check("no more processors are promised than there are", most[0] == 2 and b.total.passed == 6)
b, said = board([Job("big", passes, 1, 16)])
check("a job bigger than the machine runs alone", b.total.passed == 1)
said = ("# lab: begin a\n1..1\nok 1 a\n# machine: as before\n\n# lab: end 0 1\n"
        "# lab: begin b\n1..1\nok 1 b # SKIP no device\n# machine: as before; not seen here: x\n"
        "\n# lab: end 0 1\n")
r = lab_check.judge("bed", ["a"], 0, said[:said.index("# lab: begin b")], "vm: note: x\n")
check("tests of a machine are counted", (r.passed, r.failed, r.notes) == (1, 0, ["x"]))
r = lab_check.judge("bed", ["a", "b"], 0, said, "")
check("a test that was only skipped has failed", (r.passed, r.failed) == (1, 1))
r = lab_check.judge("bed", ["a", "c"], 0, said[:said.index("# lab: begin b")], "")
check("so has one that did not get its turn", (r.passed, r.failed) == (1, 1))
r = lab_check.judge("bed", ["a", "c"], 124, said[:said.index("# lab: end 0")], "")
check("and one in which the machine ended", (r.passed, r.failed) == (1, 2))
r = lab_check.judge("bed", ["a"], 125, said[:said.index("# lab: begin b")], "vm: bad lines\n")
check("and a machine with a bad log", (r.passed, r.failed) == (1, 1))
r = lab_check.judge("bed", ["a"], 0, "# lab: begin a\n1..1\nok 1 a\n# machine: x: 1 before, 2 after\n"
                    "# machine: changed\n\n# lab: end 1 1\n", "")
check("a test that changes the machine has failed", r.failed and r.failures[-1] == (
    "a: the machine is not as it was", ["x: 1 before, 2 after", "changed"]))
r = lab_check.judge("bed", ["a"], 0, "# lab: begin a\n1..1\nok 1 a\n\n# lab: end 0 1\n", "")
check("so has one that nobody compared the machine for", (r.passed, r.failed) == (1, 1))
r = lab_check.judge("bed", ["unload"], 0, "# lab: begin unload\n1..1\nok 1 a\n\n# lab: end 0 1\n", "")
check("without our modules there is nothing to compare", (r.passed, r.failed) == (1, 0))
lab_check.LOGS = top
status, out, err = lab_check.run("t", ["sh", "-c", "echo out; echo err >&2; exit 3"])
check("a job's status and outputs come back", (status, out, err) == (3, "out\n", "err\n"))
status, out, err = lab_check.run("t", ["sh", "-c", "while :; do :; done"], timeout=0.5)
check("a job that does not end is ended", status == 124 and "more than" in err)
lab_check.spent.cpu = 0
lab_check.run("t", ["sh", "-c", "i=0; while [ $i -lt 200000 ]; do i=$((i+1)); done"])
check("its processor time is counted", lab_check.spent.cpu > 0.05)
shutil.rmtree(top)
sys.exit(1 if bad else 0)
