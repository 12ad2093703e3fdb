# SPDX-License-Identifier: GPL-2.0
"""Reads KTAP, what test programs print. It must never take silence for
success: a plan that is not fulfilled is a failure of its own.
"""

import re

POINT = re.compile(r"^(\s*)(ok|not ok)\s+(\d+)?\s*(?:-\s*)?(.*)$")
PLAN = re.compile(r"^(\s*)1\.\.(\d+)")
SKIP = re.compile(r"#\s*SKIP\b", re.I)
EXPECTED = re.compile(r"#\s*(XFAIL|TODO)\b", re.I)


class Result:
    def __init__(self):
        self.passed = self.failed = self.skipped = 0
        self.failures = []      # (name, the lines said before it)
        self.notes = []         # worth reading, but no failure

    def add(self, other):
        self.passed += other.passed
        self.failed += other.failed
        self.skipped += other.skipped
        self.failures += other.failures
        self.notes += other.notes

    def fail(self, name, detail=()):
        self.failed += 1
        self.failures.append((name, list(detail)))

    def __str__(self):
        return "%d passed, %d failed, %d skipped" % (self.passed, self.failed, self.skipped)


def parse(text, status, name):
    """The result of one program: its output and its exit status."""
    r = Result()
    plans, seen, said, inner = {}, {}, [], {}
    for line in text.splitlines():
        m = PLAN.match(line)
        if m:
            plans[len(m.group(1))] = plans.get(len(m.group(1)), 0) + int(m.group(2))
            continue
        m = POINT.match(line)
        if not m:
            said.append(line)
            continue
        depth, what = len(m.group(1)), m.group(4).strip()
        seen[depth] = seen.get(depth, 0) + 1
        # A point that sums up points below it is not one more test.
        deeper = [d for d in inner if d > depth and inner[d]]
        for d in deeper:
            inner[d] = 0
        inner[depth] = inner.get(depth, 0) + 1
        if not deeper:
            if SKIP.search(what):
                r.skipped += 1
            elif m.group(2) == "ok" or EXPECTED.search(what):
                r.passed += 1
            else:
                r.fail("%s: %s" % (name, what), said[-20:])
        said = []
    for depth, want in plans.items():
        if seen.get(depth, 0) != want:
            r.fail("%s: %d tests planned, %d reported" % (name, want, seen.get(depth, 0)), said[-20:])
    if not plans and not (status == 4 and not seen):
        r.fail("%s: said no plan" % name, said[-20:])
    if status == 4 and not r.passed and not r.failed:
        r.skipped = r.skipped or 1
    elif status != 0 and not r.failed:
        r.fail("%s: exit status %d" % (name, status), said[-20:])
    return r
