# SPDX-License-Identifier: GPL-2.0
"""Writes the initramfs of a test machine: busybox, modules, test binaries and
the files of guest/. The same input gives the same bytes. It must never read
anything from the host's own system, only from the test root, the kernels, the
build directory and what the caller names.
"""

import os
import re
import stat
import subprocess


class Cpio:
    """A "newc" archive, uncompressed: the kernel reads it faster than it unpacks."""

    def __init__(self, path):
        self.file = open(path, "wb")
        self.ino = 0
        self.dirs = set()

    def add(self, name, mode, data=b"", rdev=(0, 0)):
        name = name.lstrip("/")
        if not stat.S_ISDIR(mode):
            self.parents(name)
        self.ino += 1
        raw = name.encode() + b"\0"
        fields = (self.ino, mode, 0, 0, 1, 0, len(data), 0, 0,
                  rdev[0], rdev[1], len(raw), 0)
        head = b"070701" + b"".join(b"%08x" % f for f in fields) + raw
        self.file.write(head + b"\0" * (-len(head) % 4))
        self.file.write(data + b"\0" * (-len(data) % 4))

    def parents(self, name):
        parts = name.split("/")[:-1]
        for i in range(len(parts)):
            self.directory("/".join(parts[:i + 1]))

    def directory(self, name, mode=0o755):
        name = name.strip("/")
        if name not in self.dirs:
            self.parents(name)
            self.dirs.add(name)
            self.add(name, stat.S_IFDIR | mode)

    def text(self, name, data, mode=0o644):
        self.add(name, stat.S_IFREG | mode, data.encode())

    def copy(self, src, name):
        with open(src, "rb") as f:
            data = f.read()
        self.add(name, stat.S_IFREG | (os.stat(src).st_mode & 0o777), data)

    def link(self, name, target):
        self.add(name, stat.S_IFLNK | 0o777, target.encode())

    def close(self):
        self.add("TRAILER!!!", 0)
        self.file.close()


def mod_name(path):
    return os.path.basename(path).split(".ko")[0].replace("-", "_")


def mod_info(path):
    """What the module says it depends on; modinfo is not needed for that."""
    with open(path, "rb") as f:
        data = f.read()
    m = re.search(rb"\0depends=([^\0]*)\0", data)
    return [d.replace("-", "_") for d in m.group(1).decode().split(",") if d] if m else []


def modules_dep(names):
    """modules.dep for {name: path in the guest}, from {name: file on the host}."""
    deps = {n: [d for d in mod_info(src) if d in names] for n, (src, _) in names.items()}

    def closure(n, seen):
        for d in deps[n]:
            if d not in seen:
                seen.append(d)
                closure(d, seen)
        return seen

    lines = []
    for n, (_, dest) in sorted(names.items()):
        lines.append("%s: %s" % (dest, " ".join(names[d][1] for d in closure(n, []))))
    return "\n".join(lines) + "\n"


def applets(busybox):
    return subprocess.check_output([busybox, "--list"], text=True).split()


def write(path, *, lab, root, release, modules, programs, copies, conf, load, command):
    """modules, programs: host files. copies: (host file, guest path)."""
    c = Cpio(path)
    for d in ("proc", "sys", "dev", "tmp", "root", "mnt", "run", "usr/bin", "usr/sbin",
              "sbin", "var", "home/lab"):
        c.directory(d)
    busybox = os.path.join(root, "usr/bin/busybox")
    c.copy(busybox, "bin/busybox")
    for a in applets(busybox):
        if a != "busybox":
            c.link("bin/" + a, "busybox")
    c.copy(os.path.join(lab, "guest/init"), "init")
    for name in ("hostctl", "unload"):
        c.copy(os.path.join(lab, "guest", name), "bin/" + name)

    names = {}
    for m in modules:
        names[mod_name(m)] = (m, os.path.basename(m))
    top = "lib/modules/%s/" % release
    for src, dest in names.values():
        c.copy(src, top + dest)
    c.text(top + "modules.dep", modules_dep(names))

    c.text("etc/passwd", "root:x:0:0:root:/root:/bin/sh\n"
                         "lab:x:1000:1000:lab:/home/lab:/bin/sh\n")
    c.text("etc/group", "root:x:0:\nlab:x:1000:\nkvm:x:104:\nioasid:x:990:\n")
    c.text("etc/profile", "PS1='guest# '\n")
    c.text("lab/conf", "".join("%s=%s\n" % (k, quote(v)) for k, v in conf.items()))
    c.text("lab/load", "".join(m + "\n" for m in load))
    c.text("lab/cmd", command + "\n")
    for p in programs:
        c.copy(p, "bin/" + os.path.basename(p))
    for src, dest in copies:
        c.copy(src, dest)
    c.close()


def quote(v):
    return "'" + str(v).replace("'", "'\\''") + "'"
