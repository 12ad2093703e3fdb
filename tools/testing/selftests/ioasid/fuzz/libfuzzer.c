// SPDX-License-Identifier: GPL-2.0
/*
 * The programs of ops.c, found by libFuzzer with the coverage of the kernel:
 * what KCOV has seen after a program is counted in an array that libFuzzer
 * reads like the counters of instrumented code. It must never go on after
 * anything was not as it must be: libFuzzer keeps the program that was running.
 *
 * IOASID_FUZZ_LAST names a file that always has the running program, for
 * whoever looks at a machine that has panicked.
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/kcov.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <unistd.h>

#include "lib/proc.h"
#include "ops.h"

#define PCS		(64 << 10)
#define COUNTERS	(64 << 10)

static __attribute__((section("__libfuzzer_extra_counters"), used)) uint8_t counters[COUNTERS];
static uint64_t *pcs;
static int kcov = -1, klog = -1, last = -1;
static struct ops ops;
static struct t_vfio dev[OPS_DEVS];
static long pins;

static void die(const char *what)
{
	fprintf(stderr, "fuzz: %s\n", what);
	abort();
}

static void open_kcov(void)
{
	kcov = open("/sys/kernel/debug/kcov", O_RDWR | O_CLOEXEC);
	if (kcov < 0 || ioctl(kcov, KCOV_INIT_TRACE, PCS)) {
		fprintf(stderr, "fuzz: no KCOV in this kernel: %s\n", strerror(errno));
		exit(4);
	}
	pcs = mmap(NULL, PCS * sizeof(*pcs), PROT_READ | PROT_WRITE, MAP_SHARED, kcov, 0);
	if (pcs == MAP_FAILED)
		die("KCOV cannot be mapped");
}

/* Not before the first program: what only hands programs out must not keep the devices */
static void set_up(void)
{
	const char *path = getenv("IOASID_FUZZ_LAST");
	int i, nr = 0;

	open_kcov();
	klog = open("/dev/kmsg", O_RDONLY | O_NONBLOCK | O_CLOEXEC);
	if (klog < 0 || lseek(klog, 0, SEEK_END) < 0)
		die("/dev/kmsg cannot be read");
	if (path)
		last = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
	if (ops_open(&ops))
		die("/dev/ioasid cannot be opened");
	for (i = 0; i < OPS_DEVS; i++)
		if (!ops_device(&dev[i], i)) {
			ops.dev[i] = &dev[i];
			nr++;
		}
	pins = t_pinned_pages();
	fprintf(stderr, "fuzz: %d devices, fail-nth %s\n", nr, ops.nth_fd < 0 ? "no" : "yes");
}

/* Edges, not places: that a branch was taken after another one is new */
static void count(void)
{
	uint64_t nr = __atomic_load_n(&pcs[0], __ATOMIC_RELAXED), i, before = 0;

	for (i = 1; i <= nr && i < PCS; i++) {
		uint64_t here = pcs[i] * 0x9e3779b97f4a7c15ULL >> 48;
		uint8_t *counter = &counters[(here ^ before) % COUNTERS];

		if (*counter != UINT8_MAX)
			++*counter;
		before = here >> 1;
	}
}

/* What the kernel says about itself: the machine is set to panic where it can */
static void look_at_log(void)
{
	static const char *const bad[] = {
		"WARNING:", "BUG:", "KASAN", "UBSAN", "Oops", "INFO: possible", "INFO: suspicious",
		"lock held", "locks held", "ODEBUG", "refcount_t",
	};
	char line[1024];
	ssize_t len;
	size_t i;

	while ((len = read(klog, line, sizeof(line) - 1)) > 0 || errno == EPIPE) {
		if (len <= 0)
			continue;
		line[len] = '\0';
		for (i = 0; i < sizeof(bad) / sizeof(*bad); i++)
			if (strstr(line, bad[i]))
				die(line);
	}
}

static void keep(const uint8_t *data, size_t size)
{
	if (last < 0)
		return;
	if (pwrite(last, data, size, 0) != (ssize_t)size || ftruncate(last, size) || fsync(last))
		die("IOASID_FUZZ_LAST cannot be written");
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	int ret;

	if (kcov < 0)
		set_up();
	keep(data, size);
	if (ioctl(kcov, KCOV_ENABLE, KCOV_TRACE_PC))
		die("KCOV cannot be enabled");
	__atomic_store_n(&pcs[0], 0, __ATOMIC_RELAXED);
	ret = ops_run(&ops, data, size);
	if (!ret && ops_reset(&ops))
		die("the files of a program cannot be opened anew");
	if (ioctl(kcov, KCOV_DISABLE, 0))
		die("KCOV cannot be disabled");
	count();
	if (ret)
		die(ops.wrong);
	if (pins >= 0 && t_pinned_pages_settled(pins) != pins)
		die("memory stays pinned after the last close");
	look_at_log();
	return 0;
}
