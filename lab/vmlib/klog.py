# SPDX-License-Identifier: GPL-2.0
"""Finds what must not be in a kernel log. It must never call a line harmless
because a test expects it: a test that provokes a warning is a broken test.
"""

import re

BAD = re.compile(
    r"WARNING:|BUG:|\bBUG at\b|kernel BUG|Oops|general protection fault|"
    r"Call Trace|KASAN|UBSAN|KCSAN|refcount_t|"
    r"possible (recursive|circular) locking|inconsistent lock state|"
    r"suspicious RCU|rcu: INFO|detected stalls?|self-detected stall|"
    r"soft lockup|hard LOCKUP|blocked for more than|Kernel panic|"
    r"unable to handle|unchecked MSR|list_(add|del) corruption|"
    r"scheduling while atomic|sleeping function called|"
    r"Bad page state|Bad rss-counter|double fault|stack guard|"
    r"Slab .*corruption|DEBUG_LOCKS|held lock freed|still has locks held|"
    r"lockdep is turned off|turning off the locking correctness|irq lock inversion|"
    r"kmemleak: (unreferenced|\d+ new suspected|.*(disabled|[Cc]annot|out of memory))|"
    r"Detected page leak|ODEBUG|DMA-API: .*(leak|not allocated|error)|"
    r"unregister_netdevice: waiting|percpu ref .* <= 0")

# Said by healthy machines. Each with the reason why.
HARMLESS = re.compile(
    # a program tries an instruction that the kernel is not built for
    r"traps: \S+\[\d+\] general protection fault ip:|"
    # a speculation notice of the CPU model, at boot
    r"Spectre|MDS|RETBleed|SRSO|TAA:|Register File Data Sampling|"
    # our modules are not signed
    r"module verification failed|loading out-of-tree module")


# A race between two others is not for us to mend. One of ours is who stands in a
# stack with the name of our module behind it.
RACE = re.compile(r"BUG: KCSAN: (.*)")
OURS = re.compile(r"\[ioasid\w*\]")
RACE_END = "=" * 66


def races(text):
    """The reports of KCSAN: (number of the line, what it says, is it ours)."""
    lines = text.splitlines()
    out = []
    for i, line in enumerate(lines):
        m = RACE.search(line)
        if not m:
            continue
        end = next((j for j in range(i, len(lines)) if lines[j].endswith(RACE_END)), len(lines))
        out.append((i, m.group(1), any(OURS.search(line) for line in lines[i:end])))
    return out


def bad_lines(text):
    """Numbers of the bad lines."""
    foreign = {i for i, _, ours in races(text) if not ours}
    return [i for i, line in enumerate(text.splitlines())
            if BAD.search(line) and not HARMLESS.search(line) and i not in foreign]


def notes(text):
    """What is wrong with others: each once, with how often it was said."""
    foreign = [what for _, what, ours in races(text) if not ours]
    return ["%d times: %s" % (foreign.count(w), w) for w in sorted(set(foreign))]


def excerpt(text, numbers, before=2, after=14, limit=60):
    """The bad lines with what stands around them."""
    lines = text.splitlines()
    wanted = set()
    for n in numbers:
        wanted.update(range(max(0, n - before), min(len(lines), n + after + 1)))
    out, last = [], None
    for n in sorted(wanted)[:limit]:
        if last is not None and n != last + 1:
            out.append("  ...")
        out.append("  " + lines[n])
        last = n
    return "\n".join(out)
