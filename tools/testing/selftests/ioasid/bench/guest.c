// SPDX-License-Identifier: GPL-2.0
/*
 * What a virtual machine costs whose device is assigned to it: our QEMU in this machine,
 * with guest/guest.bin in it, once on each side. A preloaded library (guest/count.c)
 * counts the commands for DMA and the processor time in them, so that QEMU and the
 * guest themselves, which are emulated, are not counted. The guest's memory has been
 * touched before it is mapped.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/personality.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "bench.h"
#include "guest/count.h"
#include "guest/guest.h"

#define TOP		"/qemu"
#define COUNTS		"/tmp/ioasid-bench.count"
#define THP		"/sys/kernel/mm/transparent_hugepage/enabled"
#define COMPACT		"/proc/sys/vm/compact_memory"

struct config {
	const char *name;
	u32 mib;
	bool huge;
	bool cold;	/* the memory has not been touched before */
	bool iommu;	/* the guest has an IOMMU, in caching mode; so each device has a container */
	bool loop;	/* it is used */
};

struct vm {
	pid_t pid;
	int qmp;
	int tty;
	volatile struct count *counts;
};

/* What has been used until now */
struct usage {
	struct count counts[NR_COUNTS];
	u64 all;	/* by QEMU with its guest */
};

static void read_usage(struct vm *vm, struct usage *u)
{
	struct timespec t;
	clockid_t clock;
	int i;

	for (i = 0; i < NR_COUNTS; i++) {
		u->counts[i].calls = vm->counts[i].calls;
		u->counts[i].ns = vm->counts[i].ns;
	}
	if (clock_getcpuclockid(vm->pid, &clock) || clock_gettime(clock, &t))
		bench_die("no processor time of QEMU");
	u->all = t.tv_sec * 1000000000ULL + t.tv_nsec;
}

static u64 calls_ns(const struct usage *u)
{
	u64 ns = 0;
	int i;

	for (i = 0; i < NR_COUNTS; i++)
		ns += u->counts[i].ns;
	return ns;
}

static void less(struct usage *u, const struct usage *before)
{
	int i;

	for (i = 0; i < NR_COUNTS; i++) {
		u->counts[i].calls -= before->counts[i].calls;
		u->counts[i].ns -= before->counts[i].ns;
	}
	u->all -= before->all;
}

/* --- one QEMU ------------------------------------------------------------ */

static volatile struct count *map_counts(void)
{
	int fd = open(COUNTS, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
	void *at;

	if (fd < 0 || ftruncate(fd, NR_COUNTS * sizeof(struct count)))
		bench_die("%s: %s", COUNTS, strerror(errno));
	at = mmap(NULL, NR_COUNTS * sizeof(struct count), PROT_READ, MAP_SHARED, fd, 0);
	close(fd);
	if (at == MAP_FAILED)
		bench_die("mmap: %s", strerror(errno));
	return at;
}

static void become_qemu(const struct config *c, const struct side *side, int qmp, int tty)
{
	bool ours = side && side->kind == VIA_IOASID;
	char mib[16], memory[96], device[96], qmp_arg[48], tty_arg[48];
	const char *args[64] = {
		TOP "/lib/ld-linux-x86-64.so.2", "--library-path", TOP "/lib",
		"--preload", TOP "/count.so", TOP "/bin/qemu-system-x86_64",
		"-L", TOP "/share", "-no-user-config", "-nodefaults", "-display", "none",
		"-M", "q35,memory-backend=ram", "-accel", "tcg,thread=single", "-cpu", "max",
		"-seed", "42", "-rtc", "base=2026-01-01T00:00:00",
		"-chardev", qmp_arg, "-mon", "chardev=qmp,mode=control",
		"-chardev", tty_arg, "-serial", "chardev:tty", "-m", mib, "-object", memory,
		"-kernel", TOP "/guest.bin", "-append", c->loop ? "iommu" : "none",
		"-device", "pcie-root-port,id=rp1,chassis=1,slot=1,addr=8",
	};
	int nr = 0;

	while (args[nr])
		nr++;
	/* Before the devices that are behind it */
	if (c->iommu) {
		args[nr++] = "-device";
		args[nr++] = "intel-iommu,caching-mode=on,aw-bits=39";
	}
	if (ours) {
		args[nr++] = "-object";
		args[nr++] = "ioasid,id=io0";
	}
	args[nr++] = "-device";
	args[nr++] = device;
	snprintf(mib, sizeof(mib), "%uM", c->mib);
	snprintf(memory, sizeof(memory), "memory-backend-ram,id=ram,size=%uM,prealloc=%s", c->mib,
		 c->cold ? "off" : "on");
	/* The memory of devices would be mapped by type1 alone */
	if (!side)
		snprintf(device, sizeof(device), "edu,addr=2");
	else
		snprintf(device, sizeof(device), "vfio-pci,host=%s,addr=2,x-no-mmap=on%s",
			 device_name(0), ours ? ",ioasid=io0" : "");
	snprintf(qmp_arg, sizeof(qmp_arg), "socket,id=qmp,fd=%d", qmp);
	snprintf(tty_arg, sizeof(tty_arg), "socket,id=tty,fd=%d", tty);
	setenv(COUNT_FILE, COUNTS, 1);
	/* The same addresses for all sides */
	personality(ADDR_NO_RANDOMIZE);
	execv(args[0], (char *const *)args);
	fprintf(stderr, "%s: %s\n", args[0], strerror(errno));
	_exit(127);
}

static void read_line(struct vm *vm, int fd, char *line, size_t room)
{
	size_t nr = 0;
	char c;

	while (read(fd, &c, 1) == 1) {
		if (c == '\n') {
			line[nr] = 0;
			return;
		}
		if (nr + 1 < room)
			line[nr++] = c;
	}
	bench_die("QEMU has ended");
}

static void qmp(struct vm *vm, const char *command)
{
	char line[4096];

	if (command)
		dprintf(vm->qmp, "%s\n", command);
	do {
		read_line(vm, vm->qmp, line, sizeof(line));
		if (strstr(line, "\"error\":"))
			bench_die("QEMU: %s", line);
	} while (!strstr(line, command ? "\"return\":" : "\"QMP\":"));
}

static void wait_for(struct vm *vm, const char *word)
{
	char line[256];

	do
		read_line(vm, vm->tty, line, sizeof(line));
	while (!strstr(line, word));
}

static void tell_kernel(const char *path, const char *value)
{
	int ret = t_write_file(path, value);

	if (ret)
		bench_die("%s: %s", path, strerror(-ret));
}

/* Without a @side QEMU emulates the device itself */
static void start(struct vm *vm, const struct config *c, const struct side *side)
{
	int qmp_fds[2], tty_fds[2];

	tell_kernel(THP, c->huge ? "always" : "never");
	/* All find the same memory, which the one before has left in pieces */
	tell_kernel(COMPACT, "1");
	vm->counts = map_counts();
	if (socketpair(AF_UNIX, SOCK_STREAM, 0, qmp_fds) ||
	    socketpair(AF_UNIX, SOCK_STREAM, 0, tty_fds))
		bench_die("socketpair: %s", strerror(errno));
	vm->pid = fork();
	if (!vm->pid) {
		close(qmp_fds[0]);
		close(tty_fds[0]);
		become_qemu(c, side, qmp_fds[1], tty_fds[1]);
	}
	close(qmp_fds[1]);
	close(tty_fds[1]);
	vm->qmp = qmp_fds[0];
	vm->tty = tty_fds[0];
	qmp(vm, NULL);
	qmp(vm, "{\"execute\": \"qmp_capabilities\"}");
	wait_for(vm, "ready");
}

static void stop(struct vm *vm)
{
	int status;

	qmp(vm, "{\"execute\": \"quit\"}");
	if (waitpid(vm->pid, &status, 0) != vm->pid || status)
		bench_die("QEMU has failed, %#x", status);
	close(vm->qmp);
	close(vm->tty);
	munmap((void *)vm->counts, NR_COUNTS * sizeof(struct count));
	tell_kernel(THP, "always");
}

/* --- what is measured ----------------------------------------------------- */

static void note_calls(const struct usage *u, const char *name, const char *side)
{
	char text[160];

	snprintf(text, sizeof(text), "map: %llu in %llu calls, unmap: %llu in %llu, others: %llu in %llu",
		 u->counts[COUNT_MAP].ns / 1000, u->counts[COUNT_MAP].calls,
		 u->counts[COUNT_UNMAP].ns / 1000, u->counts[COUNT_UNMAP].calls,
		 u->counts[COUNT_OTHER].ns / 1000, u->counts[COUNT_OTHER].calls);
	note(text, "%s of %s", name, side);
}

/* The commands, and what QEMU has done in all beside @none, which it does anyway */
static void report(const struct usage *u, u64 none, const char *what, const char *name,
		   const struct side *side)
{
	char row[40];

	snprintf(row, sizeof(row), "%s-%s", what, name);
	sample(side, "us", calls_ns(u), "%s", row);
	sample(side, "us", u->all - none, "%s-whole", row);
	note_calls(u, row, side->name);
}

static void add_device(struct vm *vm, const struct config *c, const struct side *side)
{
	struct usage u, before;
	char command[256];

	/* The guest would go on meanwhile */
	qmp(vm, "{\"execute\": \"stop\"}");
	read_usage(vm, &before);
	snprintf(command, sizeof(command),
		 "{\"execute\": \"device_add\", \"arguments\": {\"driver\": \"vfio-pci\", \"bus\": \"rp1\", \"x-no-mmap\": true, \"host\": \"%s\"%s}}",
		 device_name(1), side->kind == VIA_IOASID ? ", \"ioasid\": \"io0\"" : "");
	qmp(vm, command);
	read_usage(vm, &u);
	less(&u, &before);
	report(&u, 0, c->iommu ? "guest-add" : "guest-add-same", c->name, side);
}

/* Until the firmware is done; and then one more device */
static void guest_start(const struct config *c, const struct side *side, u64 *none)
{
	struct usage u;
	struct vm vm;

	if (!side && !c->iommu)
		return;
	start(&vm, c, side);
	read_usage(&vm, &u);
	if (!side)
		*none = u.all;
	else if (c->iommu)
		report(&u, *none, "guest-start", c->name, side);
	if (side && !c->cold)
		add_device(&vm, c, side);
	stop(&vm);
}

static void guest_loop(const struct config *c, const struct side *side, u64 *none)
{
	struct usage u, before;
	struct vm vm;

	if (!side)
		return;
	start(&vm, c, side);
	wait_for(&vm, "go");
	read_usage(&vm, &before);
	if (write(vm.tty, "\n", 1) != 1)
		bench_die("the guest's port: %s", strerror(errno));
	wait_for(&vm, "done");
	read_usage(&vm, &u);
	less(&u, &before);
	stop(&vm);
	if (u.counts[COUNT_MAP].calls != NR_PAIRS || u.counts[COUNT_UNMAP].calls != NR_PAIRS)
		bench_die("%llu maps and %llu unmaps of %d", u.counts[COUNT_MAP].calls,
			  u.counts[COUNT_UNMAP].calls, NR_PAIRS);
	sample(side, "us", u.counts[COUNT_MAP].ns / NR_PAIRS, "guest-strict-map");
	sample(side, "us", u.counts[COUNT_UNMAP].ns / NR_PAIRS, "guest-strict-unmap");
	sample(side, "us", calls_ns(&u) / NR_PAIRS, "guest-strict");
	sample(side, "us", u.all / NR_PAIRS, "guest-strict-whole");
}

static const struct {
	void (*fn)(const struct config *c, const struct side *side, u64 *none);
	struct config c;
} guests[] = {
	{ guest_loop, { .name = "strict", .mib = 256, .iommu = true, .loop = true } },
	{ guest_start, { .name = "256m-4k", .mib = 256, .iommu = true } },
	{ guest_start, { .name = "256m-huge", .mib = 256, .iommu = true, .huge = true } },
	{ guest_start, { .name = "256m-4k-cold", .mib = 256, .iommu = true, .cold = true } },
	{ guest_start, { .name = "256m-4k", .mib = 256 } },
	{ guest_start, { .name = "1g-4k", .mib = 1024, .iommu = true } },
	{ guest_start, { .name = "1g-huge", .mib = 1024, .iommu = true, .huge = true } },
};

void measure_guests(void)
{
	/* The first of them with a device that QEMU emulates */
	const struct side *const by[] = { NULL, &sides[TYPE1], &sides[OURS] };
	unsigned int i, s;
	u64 none;

	if (access(TOP "/count.so", R_OK))
		bench_die("no QEMU here: lab/bench --guest");
	for (i = 0; i < sizeof(guests) / sizeof(*guests); i++)
		for (s = 0; s < sizeof(by) / sizeof(*by); s++)
			guests[i].fn(&guests[i].c, by[s], &none);
}
