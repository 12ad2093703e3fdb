# SPDX-License-Identifier: GPL-2.0
"""One QEMU test machine: its command line, its ports and its end. It must
never mix the output of the command with the console, never report success for
a machine that did not say so itself, and never leave a process or a mount.
"""

import base64
import json
import os
import selectors
import signal
import socket
import subprocess
import time

IOMMU = {
    "fsts": ("intel-iommu,intremap=on,scalable-mode=on,fsts=on", "intel_iommu=on,sm_on"),
    "legacy": ("intel-iommu,intremap=on", "intel_iommu=on"),
    "aw39": ("intel-iommu,intremap=on,aw-bits=39", "intel_iommu=on"),
    "amd": ("amd-iommu,intremap=on,dma-remap=on", "amd_iommu=on"),
    "none": (None, ""),
}

HANG, BROKEN, NO_START = 124, 125, 126
# To boot, on a host that is busy with something else.
BOOT_SECONDS = 600
SO_SNDBUFFORCE = 32         # of Linux; the module does not have it


class Start(Exception):
    """The machine could not be started, in one line."""


def device_args(opt, run_dir):
    """Test devices at fixed slots, so that their order is that of their ids."""
    args = []
    for i in range(opt.edu):
        args += ["-device", "edu,id=edu%d,addr=0x%x,dma_mask=0xffffffffffffffff" % (i, 3 + i)]
    if opt.pair:
        # Two functions of one slot, without ACS: one group.
        for i in range(2):
            args += ["-device", "edu,id=pair%d,addr=0xf.%d,multifunction=on,"
                     "dma_mask=0xffffffffffffffff" % (i, i)]
    for i in range(opt.nvme):
        disk = os.path.join(run_dir, "nvme%d.raw" % i)
        with open(disk, "wb") as f:
            f.truncate(64 << 20)
        args += ["-device", "pcie-root-port,id=rp%d,chassis=%d,slot=%d,addr=0x%x"
                 % (i, i + 1, i + 1, 0x10 + i),
                 "-drive", "if=none,id=disk%d,format=raw,cache=unsafe,file=/build/nvme%d.raw"
                 % (i, i),
                 "-device", "nvme,id=nvme%d,serial=lab%d,drive=disk%d,bus=rp%d" % (i, i, i, i)]
    for i in range(opt.testdev):
        args += ["-device", "pcie-root-port,id=rt%d,chassis=%d,slot=%d,addr=0x%x"
                 % (i, 20 + i, 20 + i, 0x18 + i),
                 "-device", "ioasid-testdev,id=testdev%d,bus=rt%d" % (i, i)]
    if opt.iommu == "amd":
        args += ["-device", "ioasid-southbridge,addr=0x14"]
    for d in opt.device:
        args += ["-device", d]
    return args


def needs_hw(opt):
    """Has the machine a device that QEMU itself has not? See lab/hw."""
    return opt.testdev or opt.iommu == "amd"


def qemu_args(opt, run_dir, fds):
    cpu, machine = "max,la57=off", "q35"
    accel = "tcg,thread=multi"
    if opt.kvm:
        machine, accel, cpu = "q35,kernel-irqchip=split", "kvm", "host"
    args = ["qemu-system-x86_64", "-no-user-config", "-nodefaults", "-display", "none",
            "-no-reboot", "-M", machine, "-m", opt.mem]
    if opt.icount:
        # Time is the number of instructions; two boots are the same to the bit.
        args += ["-accel", "tcg", "-cpu", cpu + ",rdrand=off,rdseed=off", "-seed", "42",
                 "-icount", "shift=0,sleep=off",
                 "-rtc", "base=2026-01-01T00:00:00,clock=vm", "-smp", "1"]
    else:
        args += ["-accel", accel, "-cpu", cpu, "-smp", str(opt.smp)]
    iommu, kernel_args = IOMMU[opt.iommu]
    if needs_hw(opt):
        # For the emulator only: a shell would miss the functions that it needs.
        args = ["env", "LD_PRELOAD=/build/ioasid-testdev.so"] + args
    if opt.testdev and opt.iommu == "fsts":
        iommu += ",device-iotlb=on,svm=on,pasid-bits=20"
    if iommu:
        args += ["-device", iommu]
    args += device_args(opt, run_dir)
    # Four ports with an interrupt each: an ISA interrupt cannot be shared.
    for i, (name, base, irq) in enumerate((("console", 0x3f8, 4), ("stdout", 0x2f8, 3),
                                           ("stderr", 0x3e8, 5), ("control", 0x2e8, 7))):
        args += ["-chardev", "socket,id=%s,fd=%d" % (name, fds[name]),
                 "-device", "isa-serial,chardev=%s,index=%d,iobase=0x%x,irq=%d"
                 % (name, i, base, irq)]
    args += ["-chardev", "socket,id=qmp,fd=%d" % fds["qmp"], "-mon", "chardev=qmp,mode=control"]
    append = ["console=ttyS0", "rdinit=/init", "quiet", "panic=-1", "oops=panic",
              "log_buf_len=4M", "8250.nr_uarts=4", "random.trust_cpu=on",
              # A busy host can miss the tick that the kernel waits for at boot, and let
              # a processor stand still for long.
              "no_timer_check", "watchdog_thresh=60", "rcupdate.rcu_cpu_stall_timeout=120",
              kernel_args]
    if opt.icount or opt.gdb:
        append.append("nokaslr")
    append += opt.append
    args += ["-kernel", "/mnt/vmlinuz", "-initrd", "/build/initramfs",
             "-append", " ".join(a for a in append if a)]
    if opt.gdb:
        args += ["-s", "-S"]
    return args


# QEMU runs in the test root; the mounts die with it.
ENTER = """
set -e
mount -t tmpfs -o mode=755,size=1m lab "$1/tmp"
mount --rbind /dev "$1/dev"
mount --bind "$2" "$1/build"
mount --bind "$3" "$1/mnt"
r=$1
shift 3
exec chroot "$r" "$@"
"""


class Machine:
    def __init__(self, opt, root, kernel, run_dir, out=1, err=2):
        self.opt, self.run_dir, self.out, self.err = opt, run_dir, out, err
        self.sel = selectors.DefaultSelector()
        self.socks, self.pending = {}, {}
        self.status = None          # of the command
        self.finished = False       # the machine said that it is done
        self.errors = []            # what the guest's init could not do
        self.klog = None
        self.ready_at = None
        self.section, self.lines = None, []
        self.deleted, self.waiting = set(), None
        self.qmp_ready, self.qmp_queue, self.qmp_asked = False, [], []
        self.console = open(os.path.join(run_dir, "console"), "wb")

        fds, theirs = {}, []
        for name in ("console", "stdout", "stderr", "control", "qmp"):
            a, b = socket.socketpair()
            a.setblocking(False)
            self.socks[name], fds[name] = a, b.fileno()
            b.set_inheritable(True)
            # A machine that waits for a busy host would see its own time go by.
            b.setsockopt(socket.SOL_SOCKET, SO_SNDBUFFORCE, 8 << 20)
            theirs.append(b)
            self.sel.register(a, selectors.EVENT_READ, name)
            self.pending[name] = b""
        self.log = open(os.path.join(run_dir, "qemu.log"), "wb")
        self.proc = self.spawn(root, kernel, fds)
        for b in theirs:
            b.close()

    def spawn(self, root, kernel, fds):
        """Start it; FDS are its ends of the ports."""
        args = qemu_args(self.opt, self.run_dir, fds)
        with open(os.path.join(self.run_dir, "qemu"), "w") as f:
            f.write(" ".join(args) + "\n")
        return subprocess.Popen(
            # Whatever ends this process ends QEMU.
            ["setpriv", "--pdeathsig", "KILL", "unshare", "-m", "--propagation", "private", "sh", "-c", ENTER, "sh",
             root, self.run_dir, kernel] + args,
            stdin=subprocess.DEVNULL, stdout=self.log, stderr=self.log,
            pass_fds=list(fds.values()), start_new_session=True)

    # --- ports ---------------------------------------------------------

    def read(self, name):
        """One read of a port; False when QEMU has closed it."""
        try:
            data = self.socks[name].recv(65536)
        except BlockingIOError:
            return True
        except ConnectionResetError:
            data = b""
        if not data:
            self.sel.unregister(self.socks[name])
            return False
        if name == "console":
            self.console.write(data)
            self.console.flush()
            if self.opt.mode == "shell":
                os.write(1, data)
        elif name == "stdout":
            write_all(self.out, data)
        elif name == "stderr":
            write_all(self.err, data)
        else:
            *lines, rest = (self.pending[name] + data).split(b"\n")
            self.pending[name] = rest
            for line in lines:
                text = line.decode(errors="replace").rstrip("\r")
                (self.on_control if name == "control" else self.on_qmp)(text)
        return True

    def send(self, name, text):
        sock = self.socks[name]
        sock.setblocking(True)
        try:
            sock.sendall(text.encode() + b"\n")
        except OSError:
            pass
        sock.setblocking(False)

    # --- the control port: one line asked, one line answered ------------

    def on_control(self, line):
        if self.section:
            if line.startswith(" "):
                self.lines.append(line[1:])
                return
            if line == "end":
                self.end_section()
                return
        word, _, rest = line.partition(" ")
        if word in ("klog", "artifacts") and not rest:
            self.section, self.lines = word, []
        elif word == "ready":
            self.ready_at = time.monotonic()
        elif word == "exit":
            self.status = int(rest)
        elif word == "done":
            self.finished = True
        elif word == "error":
            self.errors.append(rest)
        else:
            self.request(word, rest)

    def end_section(self):
        if self.section == "klog":
            self.klog = "\n".join(self.lines) + "\n"
        else:
            data = base64.b64decode("".join(self.lines))
            top = os.path.join(self.run_dir, "artifacts")
            os.makedirs(top, exist_ok=True)
            subprocess.run(["tar", "-x", "--no-same-owner", "-C", top], input=data, check=False)
        self.section = None

    def request(self, word, rest):
        if word == "device_del" and rest:
            self.qmp("device_del", {"id": rest})
        elif word == "device_add" and rest:
            first, *more = rest.split(",")
            args = {"driver": first}
            for kv in more:
                k, _, v = kv.partition("=")
                args[k] = v
            self.deleted.discard(args.get("id"))
            self.qmp("device_add", args)
        elif word == "device_wait" and rest:
            name, _, seconds = rest.partition(" ")
            self.waiting = (name, time.monotonic() + float(seconds or 10))
            self.check_waiting()
        elif word == "qmp" and rest:
            try:
                q = json.loads(rest)
                self.qmp(q["execute"], q.get("arguments", {}), answer=True)
            except (ValueError, KeyError, TypeError) as e:
                self.send("control", "error not a QMP command: %s" % e)
        elif word == "ping":
            self.send("control", "ok")
        else:
            self.send("control", "error unknown request: %s" % word)

    def check_waiting(self):
        if not self.waiting:
            return
        name, until = self.waiting
        if name in self.deleted:
            self.send("control", "ok")
        elif time.monotonic() > until:
            self.send("control", "error %s is still there" % name)
        else:
            return
        self.waiting = None

    # --- QMP -------------------------------------------------------------

    def qmp(self, command, args, answer=False):
        self.qmp_queue.append((command, args, answer))
        self.flush_qmp()

    def flush_qmp(self):
        while self.qmp_ready and self.qmp_queue:
            command, args, answer = self.qmp_queue.pop(0)
            self.qmp_asked.append(answer)
            self.send("qmp", json.dumps({"execute": command, "arguments": args}))

    def on_qmp(self, line):
        if not line.strip():
            return
        m = json.loads(line)
        if "QMP" in m:
            self.send("qmp", '{"execute": "qmp_capabilities"}')
        elif "event" in m:
            if m["event"] == "DEVICE_DELETED" and "device" in m["data"]:
                self.deleted.add(m["data"]["device"])
                self.check_waiting()
        elif not self.qmp_ready:
            self.qmp_ready = True
            self.flush_qmp()
        elif "error" in m:
            self.qmp_asked.pop(0)
            self.send("control", "error " + m["error"]["desc"].replace("\n", " "))
        elif "return" in m:
            full = self.qmp_asked.pop(0)
            self.send("control", "ok " + json.dumps(m["return"]) if full else "ok")

    # --- life --------------------------------------------------------------

    def run(self, timeout, stdin=None):
        """Until the machine is done, dead or too late; True if not too late.
        The time of the command begins when it does."""
        begin = time.monotonic()
        if stdin is not None:
            self.sel.register(stdin, selectors.EVENT_READ, "stdin")
        while not self.finished:
            for key, _ in self.sel.select(0.2):
                if key.data == "stdin":
                    data = os.read(stdin, 4096)
                    if data:
                        self.socks["console"].setblocking(True)
                        self.socks["console"].sendall(data)
                        self.socks["console"].setblocking(False)
                    else:
                        self.sel.unregister(stdin)
                elif not self.read(key.data) and key.data == "console":
                    return True
            self.check_waiting()
            if self.ready_at:
                end = self.ready_at + timeout
            else:
                end = begin + max(timeout, BOOT_SECONDS)
            if timeout and time.monotonic() > end:
                return False
        return True

    def drain(self):
        """What is still in the sockets, before they are closed."""
        for name in ("control", "stdout", "stderr", "console"):
            while True:
                try:
                    if not self.socks[name].recv(1, socket.MSG_PEEK):
                        break
                except OSError:
                    break
                self.read(name)

    def stop(self):
        try:
            os.killpg(self.proc.pid, signal.SIGKILL)
        except ProcessLookupError:
            pass
        self.proc.wait()
        for s in self.socks.values():
            s.close()
        self.console.close()
        self.log.close()


def write_all(fd, data):
    while data:
        data = data[os.write(fd, data):]
