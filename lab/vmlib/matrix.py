# SPDX-License-Identifier: GPL-2.0
"""Reads lab/matrix, the table that says which test runs on which machine. It
must never lose a test: what is missing on either side is an error.
"""

import re
import shlex

CHECK, ALL = "check", "check-all"
MARKS = {"c": (CHECK, ALL), "a": (ALL,), ".": ()}
# Is in every machine, and is no selftest: see lab/guest.
MORE = ("unload",)
# Compares what the machine has before and after a test; a row of `run` has it itself.
COUNTERS = "counters "


class Wrong(Exception):
    """The table is wrong, in one line."""


class Bed:
    """A machine: its options, and the tests on it in the order of the rows."""

    def __init__(self, cost, name, options):
        self.cost, self.name, self.options = cost, name, options
        self.args, self.env = "", {CHECK: [], ALL: []}
        self.instead = {}
        self.tests = {CHECK: [], ALL: []}

    def option(self, name, default=None):
        """The value of one of its options."""
        if name in self.options:
            return self.options[self.options.index(name) + 1]
        return default

    @property
    def kernel(self):
        return self.option("--kernel")

    @property
    def is_uml(self):
        return self.kernel.startswith("uml")

    def command(self, test):
        """What is said in the machine to run TEST."""
        if test in MORE:
            return test
        return self.instead.get(test, COUNTERS + test) + self.args

    def argv(self):
        """The arguments of lab/vm or lab/uml; the latter has an option for its debug kernel."""
        if not self.is_uml:
            return ["vm", "run"] + self.options
        at = self.options.index("--kernel")
        return (["uml", "run", "--no-build"] + ["--debug"] * (self.kernel == "uml-debug")
                + self.options[:at] + self.options[at + 2:])

    @property
    def cpus(self):
        """How many processors it keeps busy."""
        if self.is_uml:
            return int(self.option("--cpus", "1"))
        return 1 if "--icount" in self.options else 2

    @property
    def has_kunit(self):
        """Have the suites run when the modules were loaded?"""
        return self.kernel == "debug" and "kunit.enable=0" not in self.options


class Table:
    def __init__(self, text):
        self.words, self.beds, self.rows, self.columns = {}, {}, {}, []
        for number, line in enumerate(text.splitlines(), 1):
            line = re.sub(r"(^|\s)#.*", "", line).rstrip()
            if not line:
                continue
            try:
                self.line(line)
            except (Wrong, ValueError, KeyError, IndexError) as e:
                raise Wrong("lab/matrix:%d: %s" % (number, e)) from e

    def line(self, line):
        first, *rest = line.split()
        if first == "let":
            self.words[rest[0]] = self.options(line.split("=", 1)[1])
        elif first == "bed":
            self.bed(line)
        elif first == "args":
            self.beds[rest[0]].args = " " + " ".join(rest[1:])
        elif first == "run":
            self.beds[rest[0]].instead[rest[1]] = " ".join(self.options(" ".join(rest[2:])))
        elif first == "env":
            for tier in MARKS["c"] if rest[1] == "both" else (rest[1],):
                self.beds[rest[0]].env[tier] += rest[2:]
        elif first == "test":
            self.columns = [self.beds[key] for key in rest]
        else:
            self.row(first, rest)

    def options(self, text):
        """The words, and what `let` has made of some of them."""
        out = []
        for w in shlex.split(text):
            out += self.words.get(w, [w])
        return out

    def bed(self, line):
        head, name, options = line.split("|")
        _, key, cost = head.split()
        if key in self.beds:
            raise Wrong("there are two beds %s" % key)
        self.beds[key] = Bed(int(cost), name.strip(), self.options(options))

    def row(self, test, marks):
        if len(marks) != len(self.columns):
            raise Wrong("%s: %d marks for %d beds" % (test, len(marks), len(self.columns)))
        for bed, mark in zip(self.columns, marks):
            if mark not in MARKS:
                raise Wrong("%s: %s is no mark" % (test, mark))
            self.rows.setdefault(test, []).append(mark)
            for tier in MARKS[mark]:
                if test in bed.tests[tier]:
                    raise Wrong("%s is twice on %s" % (test, bed.name))
                bed.tests[tier].append(test)

    def compare(self, there):
        """THERE: names of the tests that were built. What is wrong, a line each."""
        out = ["%s: a test that is not in lab/matrix" % t for t in there if t not in self.rows]
        out += ["%s: in lab/matrix, but there is no such test" % t for t in self.rows
                if t not in there and t not in MORE]
        out += ["%s: in lab/matrix, but runs nowhere in make check" % t
                for t, marks in self.rows.items() if "c" not in marks]
        out += ["bed %s: nothing runs there" % b.name for b in self.beds.values()
                if not b.tests[ALL]]
        return out

    def only_in_all(self):
        """What make check leaves out, a line each."""
        for b in self.beds.values():
            left = [t for t in b.tests[ALL] if t not in b.tests[CHECK]]
            if not b.tests[CHECK]:
                yield "bed %s" % b.name
                continue
            if left:
                yield "bed %s: %s" % (b.name, " ".join(left))
            more = [w for w in b.env[ALL] if w not in b.env[CHECK]]
            if more:
                yield "bed %s: with %s" % (b.name, " ".join(more))


def read(path):
    with open(path) as f:
        return Table(f.read())
