// SPDX-License-Identifier: GPL-2.0
/*
 * The benchmark: /dev/ioasid against VFIO type1, and iommufd where the kernel
 * has it, in one boot, with the same memory and the same device at the same
 * place of the script. Prints rows for table.py. In a machine that counts
 * instructions (lab/vm run --icount) two runs print the same to the last digit.
 *
 *   ioasid-bench [--only NAME]...
 *   ioasid-bench --guest
 *   ioasid-bench --profile NAME [--side SIDE] [--loops N] [--trace]
 */
#include <errno.h>
#include <linux/capability.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "../lib/device.h"
#include "bench.h"

#define REPS	2

void bench_die(const char *format, ...)
{
	va_list args;

	fprintf(stderr, "ioasid-bench: ");
	va_start(args, format);
	vfprintf(stderr, format, args);
	va_end(args);
	fprintf(stderr, "\n");
	exit(1);
}

/* Limits hold for both sides: no capability that would switch them off */
static void obey_memlock(void)
{
	struct __user_cap_header_struct head = { .version = _LINUX_CAPABILITY_VERSION_3 };
	struct __user_cap_data_struct data[2];

	MUST(t_set_memlock(4096 * MIB));
	if (syscall(SYS_capget, &head, data))
		bench_die("capget: %s", strerror(errno));
	data[CAP_IPC_LOCK / 32].effective &= ~(1u << CAP_IPC_LOCK % 32);
	if (syscall(SYS_capset, &head, data))
		bench_die("capset: %s", strerror(errno));
}

/* 100,000 mappings are more than type1 allows by itself */
static void allow_type1(void)
{
	int ret = t_write_file("/sys/module/vfio_iommu_type1/parameters/dma_entry_limit",
			       "1000000");

	if (ret)
		bench_die("vfio_iommu_type1: dma_entry_limit: %s", strerror(-ret));
}

/* Endpoints of ioasid_sim have interrupts that nothing isolates, on all sides */
static void allow_sim(void)
{
	int s;

	for (s = 0; t_on_sim() && s < NR_SIDES; s++)
		if (side_available(&sides[s]))
			allow_unsafe(&sides[s], "1");
}

static bool wanted(const char *name, char **only, int nr)
{
	int i;

	for (i = 0; i < nr; i++)
		if (!strcmp(only[i], name))
			return true;
	return !nr;
}

/* Every measurement on all sides in turn; the second time in reversed order */
static void run(struct bench *b, char **only, int nr)
{
	unsigned int rep, i;
	u64 start;
	int s;

	b->own = memory_small();
	for (i = 0; i < NR_LAYOUTS; i++)
		if (memory_available(i))
			memory_get(&b->mem[i], i);
	for (rep = 0; rep < REPS; rep++) {
		for (i = 0; i < nr_measures; i++) {
			if (!wanted(measures[i].name, only, nr) ||
			    !memory_available(measures[i].layout))
				continue;
			for (s = 0; s < NR_SIDES; s++) {
				int side = rep % 2 ? NR_SIDES - 1 - s : s;

				if ((side == OURS_MM && !measures[i].mm) ||
				    !side_available(&sides[side]))
					continue;
				start = t_now_ns();
				measures[i].fn(b, &sides[side]);
				sample(&sides[side], "us", t_now_ns() - start, "all-of-%s",
				       measures[i].name);
			}
		}
	}
	print_rows();
}

static int usage(void)
{
	unsigned int i;

	printf("ioasid-bench [--only NAME]...\nioasid-bench --guest\nioasid-bench --profile NAME [--side SIDE] [--loops N] [--trace]\n"
	       "measurements:");
	for (i = 0; i < nr_measures; i++)
		printf(" %s", measures[i].name);
	printf("\nprofiles:");
	profile_list();
	printf("\n");
	return 2;
}

int main(int argc, char **argv)
{
	static struct bench b;
	const struct side *side = &sides[OURS];
	const char *what = NULL;
	unsigned long loops = 0;
	bool trace = false, guest = false;
	char *only[16];
	int nr = 0, i;

	if (argc == 5 && !strcmp(argv[1], "--child"))
		return kill_child(argv[2], argv[3], argv[4]);
	for (i = 1; i < argc; i++) {
		if (!strcmp(argv[i], "--only") && i + 1 < argc && nr < 16)
			only[nr++] = argv[++i];
		else if (!strcmp(argv[i], "--profile") && i + 1 < argc)
			what = argv[++i];
		else if (!strcmp(argv[i], "--loops") && i + 1 < argc)
			loops = strtoul(argv[++i], NULL, 0);
		else if (!strcmp(argv[i], "--side") && i + 1 < argc)
			side = find_side(argv[++i]);
		else if (!strcmp(argv[i], "--trace"))
			trace = true;
		else if (!strcmp(argv[i], "--guest"))
			guest = true;
		else
			return usage();
	}
	b.order = shuffled(NR_PAGES);
	obey_memlock();
	allow_type1();
	allow_sim();
	if (what)
		return profile(&b, what, side, loops, trace);
	if (guest) {
		measure_guests();
		print_rows();
		return 0;
	}
	run(&b, only, nr);
	return 0;
}
