# SPDX-License-Identifier: GPL-2.0
"""What every machine of the lab has in common, whatever it runs on: the rights
of its nodes, the programs in it, its logs, and what is wrong with them. It
must never judge a machine by less than all that the machine has said.
"""

import glob
import os
import re
import shutil
import sys
import time

from . import klog, machine

SRC = os.path.dirname(os.path.dirname(os.path.dirname(os.path.realpath(__file__))))
# Of each program of programs() the source that has its name.
PROGRAM_SOURCES = ("tools/testing/selftests/ioasid/*_test.c", "tools/testing/selftests/ioasid/*_test.sh",
                   "tools/testing/selftests/ioasid/counters.c",
                   "tools/testing/selftests/ioasid/bench/ioasid-bench.c",
                   "samples/hello.c", "samples/ioasid-*.c")


def forget_old(runs):
    """Logs of failed runs are kept for a day."""
    for name in os.listdir(runs):
        path = os.path.join(runs, name)
        try:
            if os.stat(path).st_mtime < time.time() - 86400:
                shutil.rmtree(path, ignore_errors=True)
        except OSError:
            pass


def udev_rule():
    """Group and mode of /dev/ioasid as the rule that we install says."""
    group, mode = "ioasid", "0660"
    try:
        with open(os.path.join(SRC, "udev/60-ioasid.rules")) as f:
            text = f.read()
    except OSError:
        return group, mode
    m = re.search(r'GROUP="([^"]+)"', text)
    group = m.group(1) if m else group
    m = re.search(r'MODE="([^"]+)"', text)
    return group, m.group(1) if m else mode


def programs(build):
    """The selftests, samples and benchmarks that are built."""
    return [p for d in ("selftests", "samples", "bench")
            for p in sorted(glob.glob(os.path.join(build, d, "*")))
            if os.path.isfile(p) and os.access(p, os.X_OK)]


def not_built(there, command, src=SRC):
    """Which programs of ours a command runs that are not among the files THERE."""
    known = {os.path.basename(p).rsplit(".c", 1)[0] for d in PROGRAM_SOURCES
             for p in glob.glob(os.path.join(src, d))}
    there = {os.path.basename(p) for p in there}
    runs = re.findall(r"(?:^|[;&|(])\s*(?:(?:if|then|else|while|do|counters)\s+)*([\w.-]+)",
                      " ".join(command))
    return [w for w in runs if w in known - there]


def report(vm, run_dir, in_time):
    """What went wrong beyond the command's own status; None if nothing."""
    try:
        with open(os.path.join(run_dir, "console"), errors="replace") as f:
            console = f.read().replace("\r", "")
    except OSError:
        console = ""
    log = vm.klog if vm.klog is not None else console
    with open(os.path.join(run_dir, "klog"), "w") as f:
        f.write(log)
    bad = klog.bad_lines(log)
    for note in klog.notes(log):
        sys.stderr.write("vm: note: not ours: %s\n" % note)
    tail = "\n".join("  " + line for line in console.splitlines()[-40:])
    if not in_time:
        return machine.HANG, "the machine hung; the end of its console:\n" + tail
    wrong = []
    if vm.errors:
        wrong.append("in the machine: " + "; ".join(vm.errors))
    if bad:
        wrong.append("the kernel log has %d bad lines:\n%s" % (len(bad), klog.excerpt(log, bad)))
    if wrong:
        return machine.BROKEN, "\n".join(wrong)
    if vm.status is None:
        with open(os.path.join(run_dir, "qemu.log"), errors="replace") as f:
            said = f.read().strip()
        return machine.BROKEN, ("the machine died; %s\nthe end of its console:\n%s"
                                % (said or "QEMU said nothing", tail))
    return None
