# SPDX-License-Identifier: GPL-2.0
"""The kernels that a machine can boot: the stock ones, and those of our own that
lab/kernel has built. It must never build one, nor take one that is not whole.
"""

import glob
import os

LAB = os.path.dirname(os.path.dirname(os.path.realpath(__file__)))

# Taints that are no fault. Stock: modules from out of tree, and unsigned.
TAINT_STOCK = 1 << 12 | 1 << 13
# Ours: tests have run in the kernel.
TAINT_OWN = 1 << 18


class Missing(Exception):
    """No such kernel, in one line."""


class Kernel:
    """Where a kernel is, and what its configuration asks of the machine."""

    def __init__(self, path, own=False):
        self.path, self.own = path, own
        self.release = self.read("release").strip()
        # Only ours are looked into: what a stock one has is what people have.
        self.config = set(self.read("config").splitlines()) if own else set()

    def read(self, name):
        with open(os.path.join(self.path, name)) as f:
            return f.read()

    def has(self, option):
        return "CONFIG_%s=y" % option in self.config

    def modules(self):
        return [os.path.join(self.path, "modules", n.strip() + ".ko")
                for n in self.read("modules/order").splitlines()]

    def append(self):
        """What must be said at boot, or the check sleeps."""
        return [a for o, a in (("IOMMU_DEBUG_PAGEALLOC", "iommu.debug_pagealloc=1"),
                               ("DEBUG_KMEMLEAK", "kmemleak=on"),
                               ("KUNIT", "kunit.enable=1 kunit.autorun=1")) if self.has(o)]

    def checks(self):
        """What the machine proves to be awake, before and after the command."""
        return [w for o, w in (("PROVE_LOCKING", "lockdep"), ("DEBUG_KMEMLEAK", "kmemleak"),
                               ("KASAN", "kasan"), ("IOMMU_DEBUG_PAGEALLOC", "pagealloc"),
                               ("KCSAN", "kcsan"))
                if self.has(o)]

    def taint_ok(self, more_modules=False):
        """MORE_MODULES: some were asked for that are not of this kernel's build."""
        return TAINT_OWN | (TAINT_STOCK if more_modules else 0) if self.own else TAINT_STOCK


def own(lab=LAB):
    """Names of the kernels that lab/kernel builds for machines."""
    out = []
    for path in sorted(glob.glob(os.path.join(lab, "kconfig", "*"))):
        name = os.path.basename(path)
        with open(path) as f:
            if not name.startswith("uml") and "\nCONFIG_LOCALVERSION=" in f.read():
                out.append(name)
    return out


def pick(stock, build, want, lab=LAB):
    """The kernel that WANT names: 6.12, 7.x, the start of a release, or one of ours."""
    if want in own(lab):
        path = os.path.join(build, "kernel", want, "out")
        if not os.path.exists(os.path.join(path, "modules/order")):
            raise Missing("no kernel %s yet: run lab/kernel %s" % (want, want))
        return Kernel(path, own=True)
    found = {name: Kernel(os.path.join(stock, name)) for name in ("stable", "new")}
    if want in ("", "7.x", "newest"):
        return found["new"]
    for kernel in found.values():
        if kernel.release.startswith(want):
            return kernel
    raise Missing("no kernel %s here: there are %s"
                  % (want, ", ".join([k.release for k in found.values()] + own(lab))))
