# SPDX-License-Identifier: GPL-2.0
"""A test machine that is a program: User-Mode Linux. It has the ports and the
guest of a QEMU machine, everything it writes is in memory or goes through the
ports, and it must never see a file of the host beyond its own image.
"""

import os
import subprocess

from . import machine

SHM = "/dev/shm"

# It reads /proc about itself.
ENTER = machine.ENTER.replace("exec chroot", 'mount -t proc proc "$r/proc"\nexec chroot')


def mem_bytes(text):
    return int(text[:-1]) << {"K": 10, "M": 20, "G": 30}[text[-1]]


class Uml(machine.Machine):
    """KERNEL is the directory that has `linux`; it runs in the test root, whose
    C library it was linked with."""

    def spawn(self, root, kernel, fds):
        # As in a QEMU machine: 0 console, 1 stdout, 2 stderr, 3 control. The shell's
        # terminal is not the kernel's, but ends in the same port: by a number of its
        # own, for one file gets one interrupt.
        shell = [os.dup(fds["console"])] if self.opt.mode == "shell" else []
        args = ["/mnt/linux", "mem=%s" % self.opt.mem,
                "initrd=/build/initramfs", "rdinit=/init",
                "con=null", "con0=null,fd:%d" % fds["console"], "console=tty0",
                "ssl=null", "ssl0=fd:%d" % shell[0] if shell else "ssl0=null",
                "ssl1=fd:%d" % fds["stdout"], "ssl2=fd:%d" % fds["stderr"],
                "ssl3=fd:%d" % fds["control"],
                "seccomp=on", "umid=lab", "uml_dir=/build/",
                # What the suites say is on the console, too, if it hangs.
                "loglevel=7" if self.opt.kunit else "quiet", "panic=-1", "oops=panic", "log_buf_len=4M",
                "rcupdate.rcu_cpu_stall_timeout=120",
                "kunit.enable=%d" % self.opt.kunit, "kunit.autorun=%d" % self.opt.kunit] + self.opt.append
        if self.opt.cpus > 1:
            args.append("ncpus=%d" % self.opt.cpus)
        with open(os.path.join(self.run_dir, "linux"), "w") as f:
            f.write(" ".join(args) + "\n")
        env = {"PATH": "/usr/sbin:/usr/bin:/sbin:/bin", "TMPDIR": self.memory_dir()}
        proc = subprocess.Popen(
            # Whatever ends this process ends the machine.
            ["setpriv", "--pdeathsig", "KILL", "unshare", "-m", "--propagation", "private",
             "sh", "-c", ENTER, "sh", root, self.run_dir, kernel] + args, env=env,
            stdin=subprocess.DEVNULL, stdout=self.log, stderr=self.log,
            pass_fds=list(fds.values()) + shell, start_new_session=True)
        for fd in shell:
            os.close(fd)
        return proc

    def memory_dir(self):
        """Where the machine's memory can be a file without a name."""
        try:
            s = os.statvfs(SHM)
            if s.f_bavail * s.f_frsize > mem_bytes(self.opt.mem):
                return SHM
        except OSError:
            pass
        return "/build"
