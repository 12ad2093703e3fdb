# SPDX-License-Identifier: GPL-2.0
"""Writes the initramfs of one test machine: busybox, modules, test binaries and
the files of guest/, put together by the kernel's own gen_init_cpio. The same
input gives the same bytes. It must never read anything from the host's own
system, only from the test root, the kernels, the build directory and what the
caller names.
"""

import os
import re
import subprocess
import tempfile

TOOL = "gen_init_cpio"
DIRS = ("proc", "sys", "dev", "tmp", "root", "mnt", "run", "usr/bin", "usr/sbin", "sbin",
        "var", "home/lab")
ETC = {
    "etc/passwd": "root:x:0:0:root:/root:/bin/sh\n"
                  "lab:x:1000:1000:lab:/home/lab:/bin/sh\n",
    # As README.md has it: who is in kvm may open /dev/ioasid.
    "etc/group": "root:x:0:\nlab:x:1000:\nkvm:x:104:lab\nioasid:x:990:\n",
    "etc/profile": "PS1='guest# '\n",
}


class Spec:
    """The input of gen_init_cpio: a line for each entry, parents first."""

    def __init__(self, tmp):
        self.tmp, self.lines, self.dirs = tmp, [], set()

    def directory(self, name):
        if name and name not in self.dirs:
            self.directory(os.path.dirname(name))
            self.dirs.add(name)
            self.lines.append("dir /%s 755 0 0" % name)

    def copy(self, src, name):
        name = name.lstrip("/")
        self.directory(os.path.dirname(name))
        mode = os.stat(src).st_mode & 0o777
        self.lines.append("file /%s %s %o 0 0" % (name, os.path.abspath(src), mode))

    def text(self, name, data):
        path = os.path.join(self.tmp, name.replace("/", "_"))
        with open(path, "w") as f:
            f.write(data)
        os.chmod(path, 0o644)
        self.copy(path, name)

    def link(self, name, target):
        self.directory(os.path.dirname(name))
        self.lines.append("slink /%s %s 777 0 0" % (name, target))

    def archive(self, tool, path):
        spec = os.path.join(self.tmp, "spec")
        with open(spec, "w") as f:
            f.write("\n".join(self.lines) + "\n")
        with open(path, "wb") as f:
            # Not compressed: the kernel reads it faster than it unpacks.
            subprocess.run([tool, "-t", "0", spec], stdout=f, check=True)


def tool(lab, build):
    """The kernel's tool; it is one file, which the test root's compiler makes."""
    path = os.path.join(build, TOOL)
    if not os.path.exists(path):
        new = "%s.%d" % (TOOL, os.getpid())
        subprocess.run([os.path.join(lab, "chroot"), "gcc", "-O2", "-static", "-o",
                        "/build/" + new, "/ksrc/usr/gen_init_cpio.c"], check=True)
        os.rename(os.path.join(build, new), path)
    return path


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


def busybox(spec, root):
    """A directory tree, and a shell in it."""
    for d in DIRS:
        spec.directory(d)
    program = os.path.join(root, "usr/bin/busybox")
    spec.copy(program, "bin/busybox")
    for a in applets(program):
        if a != "busybox":
            spec.link("bin/" + a, "busybox")


def kernel_modules(spec, release, modules):
    """The modules, where modprobe finds them."""
    names = {mod_name(m): (m, os.path.basename(m)) for m in modules}
    top = "lib/modules/%s/" % release
    for src, dest in names.values():
        spec.copy(src, top + dest)
    spec.text(top + "modules.dep", modules_dep(names))


def system(spec, lab, root):
    """What every machine has."""
    busybox(spec, root)
    spec.copy(os.path.join(lab, "guest/init"), "init")
    for name in ("hostctl", "resim", "unload", "demo-vm"):
        spec.copy(os.path.join(lab, "guest", name), "bin/" + name)
    for name, data in ETC.items():
        spec.text(name, data)


def inner(path, *, lab, root, build, release, modules, load):
    """The initramfs of a guest of a machine: the same kernel, and no program of ours."""
    with tempfile.TemporaryDirectory(dir=os.path.dirname(path)) as tmp:
        spec = Spec(tmp)
        busybox(spec, root)
        spec.copy(os.path.join(lab, "guest/inner"), "init")
        for name, data in ETC.items():
            spec.text(name, data)
        kernel_modules(spec, release, modules)
        spec.text("lab/load", "".join(m + "\n" for m in load))
        spec.archive(tool(lab, build), path)


def write(path, *, lab, root, build, release, modules, programs, copies, conf, load, command):
    """modules, programs: host files. copies: (host file, guest path)."""
    with tempfile.TemporaryDirectory(dir=os.path.dirname(path)) as tmp:
        spec = Spec(tmp)
        system(spec, lab, root)
        kernel_modules(spec, release, modules)
        spec.text("lab/conf", "".join("%s=%s\n" % (k, quote(v)) for k, v in conf.items()))
        spec.text("lab/load", "".join(m + "\n" for m in load))
        spec.text("lab/cmd", command + "\n")
        for p in programs:
            spec.copy(p, "bin/" + os.path.basename(p))
        for src, dest in copies:
            spec.copy(src, dest)
        spec.archive(tool(lab, build), path)


def quote(v):
    return "'" + str(v).replace("'", "'\\''") + "'"
