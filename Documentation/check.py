#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0
"""The checks of check.sh: each compares one thing that the documentation says
with the code. A check returns the lines that are wrong; it must never judge
what only a person can (whether a sentence is true).
"""

import glob
import os
import re
import shutil
import subprocess
import sys

TOP = os.path.realpath(sys.argv[1])
UAPI_PAGE = "Documentation/userspace-api/ioasid.rst"
DRIVER_PAGE = "Documentation/driver-api/ioasid.rst"
MAN = "Documentation/man"
REQUIREMENTS = "Documentation/requirements.rst"
SELFTESTS = "tools/testing/selftests/ioasid"


class Skip(Exception):
    """The check cannot be made on this machine."""


def read(path):
    with open(os.path.join(TOP, path)) as f:
        return f.read()


def paths(pattern):
    return sorted(os.path.relpath(p, TOP) for p in glob.glob(os.path.join(TOP, pattern)))


def exists(path):
    return os.path.exists(os.path.join(TOP, path))


# --- what the code says --------------------------------------------------

def uncommented(text):
    return re.sub(r"/\*.*?\*/|//[^\n]*", " ", text, flags=re.S)


UAPI = read("include/uapi/linux/ioasid.h")
SOURCES = uncommented("\n".join(read(p) for d in ("drivers/ioasid", "drivers/ioasid/cmd",
                                                  "drivers/ioasid/compat", "vfio_glue")
                                for p in paths(d + "/*.[ch]")))
COMMANDS = re.findall(r"#define (\w+)\s+_IO\(", UAPI)
REASONS = re.findall(r"^\t(IOASID_REASON_\w+) =", UAPI, re.M)
CONSTANTS = sorted(set(re.findall(r"#define ((?:IOASID|VFIO)_\w+)\s+\S", UAPI)
                       + re.findall(r"^\t(IOASID_\w+) =", UAPI, re.M)) - {"IOASID_TYPE"})


def structs():
    """Name of each struct -> its fields."""
    out = {}
    for name, body in re.findall(r"^struct (\w+) \{(.*?)^\};", uncommented(UAPI), re.M | re.S):
        out[name] = re.findall(r"(\w+)(?:\[\w+\])?;", body)
    return out


def call_arguments(text, function):
    """The arguments of each call of a function, as lists of strings."""
    for m in re.finditer(r"\b%s\(" % function, text):
        depth, args, quoted, i = 1, [""], False, m.end()
        while depth:
            c = text[i]
            if quoted and c == "\\":
                args[-1] += c + text[i + 1]
                i += 2
                continue
            if c == '"':
                quoted = not quoted
            if not quoted:
                depth += (c == "(") - (c == ")")
            if not quoted and c == "," and depth == 1:
                args.append("")
            elif depth:
                args[-1] += c
            i += 1
        yield [" ".join(a.split()) for a in args]


def code_errors():
    """Pairs of errno and reason in the code, and reasons with a computed errno."""
    pairs, computed = set(), set()
    for args in call_arguments(SOURCES, "ioasid_no_id"):
        pairs |= {("ENOENT", r) for r in re.findall(r"IOASID_REASON_(\w+)", args[1])}
    for args in call_arguments(SOURCES, "ioasid_fail"):
        reasons = re.findall(r"IOASID_REASON_(\w+)", args[2] if len(args) > 2 else "")
        errno = re.fullmatch(r"-(E[A-Z0-9]+)", args[1] if len(args) > 1 else "")
        for reason in reasons:
            if errno:
                pairs.add((errno.group(1), reason))
            else:
                computed.add(reason)
    return pairs, computed


def selftest_names():
    """program.fixture.case, and program.case of what has no fixture."""
    out = set()
    for path in paths(SELFTESTS + "/*_test.c"):
        program, macros = os.path.basename(path)[:-2], {}
        text = uncommented(read(path)).replace("\\\n", " ")
        for macro, argument, fixture in re.findall(
                r"^#define (\w+)\((\w+).*?\bTEST_F\w*\((\w+), (?=\2\b)", text, re.M):
            macros[macro] = fixture
        out |= {"%s.%s" % (program, c) for c in re.findall(r"^TEST\((\w+)\)", text, re.M)}
        out |= {"%s.%s.%s" % (program, f, c)
                for f, c in re.findall(r"^TEST_F(?:_TIMEOUT)?\((\w+), (\w+)", text, re.M)}
        out |= {"%s.%s.%s" % (program, f, c) for m, f in macros.items()
                for c in re.findall(r"^%s\((\w+)" % m, text, re.M)}
    for path in paths(SELFTESTS + "/*_test.sh"):
        out |= {"%s.%s" % (os.path.basename(path)[:-3], c)
                for c in re.findall(r"^\s*(?:check \d+ ([\w-]+)|ok \"([^\"]+)\")", read(path), re.M)
                for c in c if c}
    return out


def kunit_names():
    """suite.case of each KUnit test."""
    out = set()
    for path in paths("drivers/ioasid/test/*_test.c") + paths("drivers/ioasid/sim/*_test.c"):
        text = uncommented(read(path))
        cases = dict(re.findall(r"struct kunit_case (\w+)\[\] = \{(.*?)\n\};", text, re.S))
        for suite in re.findall(r"struct kunit_suite \w+ = \{(.*?)\n\};", text, re.S):
            name = re.search(r'\.name = "([^"]+)"', suite).group(1)
            table = re.search(r"\.test_cases = (\w+)", suite).group(1)
            out |= {"%s.%s" % (name, c)
                    for c in re.findall(r"KUNIT_CASE\w*\((\w+)", cases[table])}
    return out


def bench_names():
    return set(re.findall(r'^    "([\w-]+)": \("', read(SELFTESTS + "/bench/table.py"), re.M))


# --- what the documentation says -----------------------------------------

def rst_tables(path):
    """Each simple table as (title of its section, rows); a row is a list of cells."""
    lines, title, i = read(path).splitlines(), "", 0
    while i < len(lines):
        if re.fullmatch(r"([=-])\1{3,}", lines[i]) and i and lines[i - 1].strip():
            title = lines[i - 1].strip()
        m = re.fullmatch(r"\s*=+( =+)+", lines[i])
        if not m:
            i += 1
            continue
        spans = [s.span() for s in re.finditer("=+", lines[i])]
        spans[-1] = (spans[-1][0], None)
        rows, rules, i = [], 1, i + 1
        while rules < 3:
            if re.fullmatch(r"\s*=+( =+)+", lines[i]):
                rules += 1
            elif rules == 2 and lines[i].strip():
                cells = [lines[i][a:b].strip() for a, b in spans]
                if cells[0]:
                    rows.append(cells)
                else:
                    rows[-1] = [(a + " " + b).strip() for a, b in zip(rows[-1], cells)]
            i += 1
        yield title, rows


def page_errors():
    """Command -> pairs of errno and reason in its tables; "" has those of all."""
    out = {}
    for title, rows in rst_tables(UAPI_PAGE):
        for cells in rows:
            errno = re.fullmatch(r"(?:``)?(E[A-Z0-9]+|other)(?:``)?", cells[0])
            if errno and len(cells) == 3:
                for name in title.split(", ") if title.split(", ")[0] in COMMANDS else [""]:
                    out.setdefault(name, set()).add((errno.group(1), cells[1]))
    return out


def requirements():
    """The rows of the tables: id, requirement, shown by."""
    rows = []
    for line in read(REQUIREMENTS).splitlines():
        m = re.match(r" {3}([* ]) - (.*)| {7}(\S.*)", line)
        if m and m.group(1) == "*":
            rows.append([m.group(2)])
        elif m and m.group(1) and rows:
            rows[-1].append(m.group(2))
        elif m and rows:
            rows[-1][-1] += " " + m.group(3)
    return [cells for cells in rows if cells[0] != "id"]


def man_pages():
    """Path -> (names, text) of each page that is not just a link."""
    out = {}
    for path in paths(MAN + "/*"):
        text = read(path)
        if not text.startswith(".so "):
            names = re.search(r"^\.SH NAME\n(.*?) \\-", text, re.M)
            out[path] = (names.group(1).split(", ") if names else [], text)
    return out


# --- the checks ----------------------------------------------------------

def commands_have_sections():
    sections = re.findall(r"^(.+)\n-{4,}$", read(UAPI_PAGE), re.M)
    have = {name for s in sections for name in s.split(", ")}
    return ["%s has no section" % c for c in COMMANDS if c not in have]


def constants_are_in_the_page():
    page = read(UAPI_PAGE)
    return ["%s is missing" % c for c in CONSTANTS if not re.search(r"\b%s\b" % c, page)]


def fields_are_in_the_page():
    page = read(UAPI_PAGE)
    return ["struct %s: %s is missing" % (s, f) for s, fields in structs().items()
            for f in fields if not f.startswith("__reserved") and "``%s``" % f not in page]


def errors_are_in_tables():
    pairs, _ = code_errors()
    have = set().union(*page_errors().values())
    return ["%s with %s is in the code and in no table" % p for p in sorted(pairs - have)]


def tables_are_in_the_code():
    pairs, computed = code_errors()
    return ["%s: %s with %s is in no code" % (name or "all", errno, reason)
            for name, have in sorted(page_errors().items()) for errno, reason in sorted(have)
            if reason not in ("-",) and reason not in computed and (errno, reason) not in pairs]


def reasons_have_their_errnos():
    rows = {cells[0].strip("`"): cells[1] for title, rows in rst_tables(UAPI_PAGE)
            for cells in rows if cells[0].startswith("``IOASID_REASON_")}
    bad = ["%s has no row" % r for r in REASONS if r not in rows]
    for errno, reason in sorted(code_errors()[0]):
        if not re.search(r"\b%s\b" % errno, rows.get("IOASID_REASON_" + reason, errno)):
            bad.append("IOASID_REASON_%s: %s is missing in its row" % (reason, errno))
    return bad


def commands_have_man_pages():
    bad = ["%s has no page" % c for c in COMMANDS if not exists("%s/%s.2ioasid" % (MAN, c))]
    for path in paths(MAN + "/*"):
        link = re.match(r"\.so man2/(\S+)\n$", read(path))
        if link and not exists("%s/%s" % (MAN, link.group(1))):
            bad.append("%s: there is no %s" % (path, link.group(1)))
    names = {n for page in man_pages().values() for n in page[0]}
    return bad + ["%s is in no NAME section" % c for c in COMMANDS if c not in names]


def man_pages_have_the_same_errors():
    bad, page = [], page_errors()
    for path, (names, text) in man_pages().items():
        want = set().union(*(page.get(n if n in COMMANDS else "", set()) for n in names))
        have = set(re.findall(r'^\.BR (E[A-Z0-9]+|other) " \((\S+)\)"', text, re.M))
        bad += ["%s: %s with %s is not in the uAPI page" % (path, *p) for p in sorted(have - want)]
        bad += ["%s: %s with %s is missing" % (path, *p) for p in sorted(want - have)]
    return bad


def man_pages_have_the_structs():
    text = "\n".join(page[1] for page in man_pages().values())
    bad = []
    for name, fields in structs().items():
        m = re.search(r"^\.B struct %s \{\n(.*?)^\.B \};" % name, text, re.M | re.S)
        have = re.findall(r"(\w+)(?:\[\w+\])?;", uncommented(m.group(1))) if m else []
        if have != fields:
            bad.append("struct %s: %s, and not %s" % (name, " ".join(fields), " ".join(have)))
    return bad


def man_pages_are_well_formed():
    if not shutil.which("mandoc"):
        raise Skip("no mandoc")
    bad = []
    for path in man_pages():
        r = subprocess.run(["mandoc", "-T", "lint", "-W", "warning", os.path.join(TOP, path)],
                           stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False)
        bad += r.stdout.splitlines()
    return bad


def what_can_be_watched_is_in_the_page():
    page = read(UAPI_PAGE)
    names = re.findall(r"(?:TRACE_EVENT|DEFINE_EVENT)\((?:\w+_class,\s*)?(\w+),", SOURCES)
    names += re.findall(r'debugfs_create_file\("(\w+)"', SOURCES)
    names += re.findall(r"module_param_named\((\w+),", SOURCES)
    return ["%s is missing" % n for n in names if "``%s``" % n not in page]


def exports_are_in_the_driver_page():
    page = read(DRIVER_PAGE)
    return ["%s is missing" % n for n in re.findall(r"IOASID_EXPORT\((\w+)\)", SOURCES)
            if n != "sym" and n + "(" not in page]


def has_words(path, words):
    """A document has such a section, another file such words in it."""
    if not os.path.isfile(os.path.join(TOP, path)):
        return False
    text = read(path)
    if path.endswith(".rst"):
        return bool(re.search(r"^%s\n([=-])\1{3,}$" % re.escape(words), text, re.M))
    if path.endswith(".md"):
        return bool(re.search(r"^#+ %s$" % re.escape(words), text, re.M))
    return words in text


def names_of_evidence_exist(cell, names, rows):
    """What is named in a cell of the table and is nowhere."""
    bad = []
    for name in re.findall(r"``(.+?)``", cell):
        path, _, words = name.partition(": ")
        if name.startswith("bench "):
            good = name[len("bench "):] in rows
        elif words:
            good = has_words(path, words)
        else:
            good = name in names or "/" in name and exists(name)
        if not good:
            bad.append(name)
    return bad


def requirements_are_shown():
    want = [s + str(n) for s, last in (("A", 16), ("B", 8), ("C", 8), ("D", 18), ("E", 24))
            for n in range(1, last + 1)]
    names, rows, bad, have, shown = selftest_names() | kunit_names(), bench_names(), [], [], 0
    for cells in requirements():
        have.append(cells[0])
        if len(cells) != 3 or not all(cells):
            bad.append("%s: not an id, a requirement and what shows it" % cells[0])
            continue
        bad += ["%s: there is no %s" % (cells[0], n)
                for n in names_of_evidence_exist(cells[2], names, rows)]
        not_yet = re.search(r"\bnot yet(: \w)?", cells[2])
        if not_yet and not not_yet.group(1):
            bad.append("%s: not yet, and not what is missing" % cells[0])
        if not not_yet and "``" not in cells[2]:
            bad.append("%s: nothing shows it" % cells[0])
        shown += not not_yet and "``" in cells[2]
    bad += ["%s is missing" % i for i in want if i not in have]
    bad += ["%s is not one of them" % i for i in sorted(set(have) - set(want))]
    bad += ["%s is there %d times" % (i, have.count(i)) for i in want if have.count(i) > 1]
    print("# requirements: %d of %d shown" % (shown, len(want)))
    return bad


def no_hypervisor_in_the_code():
    """The core and the glues: comments may name one."""
    files = paths("drivers/ioasid/*.[ch]") + paths("drivers/ioasid/*/*.[ch]")
    return ["%s: %s" % (p, w) for p in files + paths("v*_glue/*.[ch]")
            for w in re.findall(r"\b(?:CONFIG_)?(?:KVM|XEN|HYPERV|QEMU)(?:_\w+)?\b",
                                uncommented(read(p)), re.I)]


def glues_leave_the_iommu_alone():
    """They ask about groups, and call the core for all the rest."""
    return ["%s calls %s()" % (p, f) for p in paths("v*_glue/*.[ch]") for f in re.findall(
        r"\b((?:iommu_(?!group_)|iopf_|pin_user_|unpin_|dma_map|dma_unmap|memfd_pin)\w*)\(",
        uncommented(read(p)))]


def rst_parses():
    try:
        import docutils.core
        import docutils.utils
    except ImportError as e:
        raise Skip("no docutils (Debian package python3-docutils)") from e
    bad = []
    for path in paths("Documentation/**/*.rst") + paths("Documentation/*.rst"):
        class Stream:
            @staticmethod
            def write(text, path=path):
                bad.extend(re.sub(r"^<string>", path, line) for line in text.splitlines())
        docutils.core.publish_doctree(read(path), settings_overrides={
            "report_level": 2, "halt_level": 5, "warning_stream": Stream})
    return bad


def prose():
    return [p for p in ["README.md", "CONTRIBUTING.md"] + paths("Documentation/*.rst")
            + paths("Documentation/*/*.rst") if exists(p)]


def files_exist():
    """What looks like a path in this repository: `dir/name`, or the target of a link."""
    bad = []
    for path in prose():
        text = re.sub(r"https?://\S+", "", read(path))
        named = re.findall(r"`([\w.-]+/[\w./-]*)`", text) + re.findall(r"\]\(([\w./-]+)\)", text)
        named += re.findall(r"(?<![\w/.`-])((?:Documentation|lab|samples|tools|include|drivers"
                            r"|vfio_glue|udev)/[\w./-]*\w)", text)
        for name in sorted(set(named)):
            inside = [name, "drivers/ioasid/" + name]
            if not any(exists(n) for n in inside) and not name.startswith(("linux/", "events/")):
                bad.append("%s names %s, which does not exist" % (path, name))
    return bad


def maintained_files_exist():
    return ["%s does not exist" % f for f in re.findall(r"^F:\s+(\S+)", read("MAINTAINERS"), re.M)
            if not paths(f)]


def make_targets_exist():
    makefile = read("Makefile")
    return ["%s names make %s" % (p, t) for p in prose()
            for t in sorted(set(re.findall(r"(?:^|[`\s])make ([a-z][a-z-]*)(?=[`\s])", read(p), re.M)))
            if re.search(r"`make %s[` ]|^\s*(?:\S+=\S+ |sudo )*make %s\b" % (t, t), read(p), re.M)
            and not re.search(r"^%s:" % t, makefile, re.M)]


def lab_options_exist():
    code = read("lab/vm") + read("lab/build")
    return ["%s: lab has no option %s" % (p, o) for p in prose()
            for line in read(p).splitlines() if re.search(r"lab/(vm|build) ", line)
            for o in re.findall(r" (--[a-z]+)", line.split(" -- ")[0]) if o not in code]


def readme_example_is_the_sample():
    m = re.search(r"```c\n(.*?)```", read("README.md"), re.S)
    if not m:
        return ["README.md has no example"]
    if not exists("samples/hello.c"):
        return ["samples/hello.c does not exist"]
    want = [line.strip() for line in m.group(1).splitlines() if line.strip()]
    have = [line.strip() for line in read("samples/hello.c").splitlines() if line.strip()]
    if any(have[i:i + len(want)] == want for i in range(len(have))):
        return []
    return ["not in samples/hello.c: " + line for line in want if line not in have] or \
        ["the lines are there, but not one after the other"]


CHECKS = [
    ("every command has a section in the uAPI page", commands_have_sections),
    ("every constant is in the uAPI page", constants_are_in_the_page),
    ("every field is in the uAPI page", fields_are_in_the_page),
    ("every error of the code is in a table", errors_are_in_tables),
    ("every error of a table is in the code", tables_are_in_the_code),
    ("every reason has a row with its errnos", reasons_have_their_errnos),
    ("every command has a man page", commands_have_man_pages),
    ("man pages have the errors of the uAPI page", man_pages_have_the_same_errors),
    ("man pages have the structs as they are", man_pages_have_the_structs),
    ("man pages are well formed", man_pages_are_well_formed),
    ("tracepoints, debugfs files and parameters are in the uAPI page",
     what_can_be_watched_is_in_the_page),
    ("every exported function is in the driver page", exports_are_in_the_driver_page),
    ("every requirement names what shows it", requirements_are_shown),
    ("no hypervisor in the code", no_hypervisor_in_the_code),
    ("glues leave the IOMMU alone", glues_leave_the_iommu_alone),
    ("rst files parse", rst_parses),
    ("every file that is named exists", files_exist),
    ("every file in MAINTAINERS exists", maintained_files_exist),
    ("every make target that is named exists", make_targets_exist),
    ("every option of the lab that is named exists", lab_options_exist),
    ("the example in README is the sample", readme_example_is_the_sample),
]


def main():
    failed = 0
    print("KTAP version 1\n1..%d" % len(CHECKS))
    for n, (name, check) in enumerate(CHECKS, 1):
        try:
            bad = check()
        except Skip as e:
            print("ok %d %s # SKIP %s" % (n, name, e))
            continue
        for line in bad:
            print("# " + line)
        print("%s %d %s" % ("not ok" if bad else "ok", n, name))
        failed += bool(bad)
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
