// SPDX-License-Identifier: GPL-2.0
/*
 * One thing over and over on one side, for whoever watches where the
 * instructions go. With --trace the machine itself writes down each
 * instruction (QEMU's log, switched on over the lab's control wire after a
 * first loop that warms up); where.py counts them by function. What would be
 * too long to write down is done with less memory here.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "bench.h"

#define PART		(8 * MIB)
#define VECTOR		100
#define POPULATION	20000
#define PART_PAGES	500

static void prof_64k(struct bench *b, struct bed *bed, struct memory *m)
{
	bed_map(bed, BENCH_IOVA, m->addr + m->length / 2, SMALL);
	bed_unmap(bed, BENCH_IOVA, SMALL);
}

static void prof_part(struct bench *b, struct bed *bed, struct memory *m)
{
	bed_map(bed, BENCH_IOVA, m->addr + m->length / 2, PART);
	bed_unmap(bed, BENCH_IOVA, PART);
}

static void prof_whole(struct bench *b, struct bed *bed, struct memory *m)
{
	bed_map(bed, BENCH_IOVA, m->addr, m->length);
	bed_unmap(bed, BENCH_IOVA, m->length);
}

static void prof_vector(struct bench *b, struct bed *bed, struct memory *m)
{
	static struct piece p[VECTOR];
	int i;

	for (i = 0; i < VECTOR; i++)
		p[i] = (struct piece){ BENCH_IOVA + i * SMALL, m->addr + m->length / 2 + i * SMALL,
				       SMALL };
	bed_map_pieces(bed, p, VECTOR);
	bed_unmap_pieces(bed, p, VECTOR);
}

/* The first loop populates the space */
static void prof_4k(struct bench *b, struct bed *bed, struct memory *m)
{
	static bool populated;
	u32 i, nr = populated ? POPULATION + PART_PAGES : POPULATION;

	for (i = populated ? POPULATION : 0; i < nr; i++)
		bed_map(bed, BENCH_IOVA + b->order[i] * 2 * T_PAGE, m->addr + i * T_PAGE,
			T_PAGE);
	for (i = POPULATION; i < nr; i++)
		bed_unmap(bed, BENCH_IOVA + b->order[i] * 2 * T_PAGE, T_PAGE);
	populated = true;
}

/* The first loop populates the space */
static void prof_join(struct bed *bed, struct memory *m, const char *name)
{
	static bool populated;
	struct steps s;

	if (!populated)
		bed_map(bed, BENCH_IOVA, m->addr + m->length / 2, PART);
	populated = true;
	join_and_leave(bed, name, &s);
}

static void prof_second(struct bench *b, struct bed *bed, struct memory *m)
{
	prof_join(bed, m, device_name(1));
}

static void prof_foreign(struct bench *b, struct bed *bed, struct memory *m)
{
	allow_unsafe(bed->side, "1");
	prof_join(bed, m, FOREIGN);
}

static void prof_first(struct bench *b, struct bed *bed, struct memory *m)
{
	const struct side *side = bed->side;

	bed_close(bed);
	bed_open(bed, side, false);
	bed_map(bed, BENCH_IOVA, m->addr + m->length / 2, PART);
	bed_attach(bed);
}

static void prof_close(struct bench *b, struct bed *bed, struct memory *m)
{
	const struct side *side = bed->side;

	bed_map(bed, BENCH_IOVA, m->addr + m->length / 2, PART);
	bed_close(bed);
	bed_open(bed, side, true);
}

/* These have a bed of their own, which stays; type1 has no such thing */
static void prof_pasid(struct bench *b, struct bed *bed, struct memory *m)
{
	if (bed->side->kind != VIA_TYPE1)
		profile_pasids(bed->side);
}

static void prof_nested(struct bench *b, struct bed *bed, struct memory *m)
{
	if (bed->side->kind != VIA_TYPE1)
		profile_nested(bed->side);
}

static void prof_fault(struct bench *b, struct bed *bed, struct memory *m)
{
	if (bed->side->kind != VIA_TYPE1)
		profile_faults(bed->side, true);
}

static void prof_fault_read(struct bench *b, struct bed *bed, struct memory *m)
{
	if (bed->side->kind != VIA_TYPE1)
		profile_faults(bed->side, false);
}

static const struct {
	const char *name;
	enum layout layout;
	void (*fn)(struct bench *b, struct bed *bed, struct memory *m);
} profiles[] = {
	{ "64k-seq", SEQUENTIAL, prof_64k },
	{ "64k-shuf", SHUFFLED, prof_64k },
	{ "64k-vector-seq", SEQUENTIAL, prof_vector },
	{ "64k-vector-shuf", SHUFFLED, prof_vector },
	{ "8m-seq", SEQUENTIAL, prof_part },
	{ "8m-shuf", SHUFFLED, prof_part },
	{ "256m-huge", HUGE, prof_whole },
	{ "4k", SEQUENTIAL, prof_4k },
	{ "join-8m-shuf", SHUFFLED, prof_second },
	{ "foreign-8m-shuf", SHUFFLED, prof_foreign },
	{ "first-attach-8m-shuf", SHUFFLED, prof_first },
	{ "close-8m-shuf", SHUFFLED, prof_close },
	{ "pasid", SEQUENTIAL, prof_pasid },
	{ "nested", SEQUENTIAL, prof_nested },
	{ "fault-ring", SEQUENTIAL, prof_fault },
	{ "fault-rw", SEQUENTIAL, prof_fault_read },
};

#define NR_PROFILES (sizeof(profiles) / sizeof(*profiles))

void profile_list(void)
{
	unsigned int i;

	for (i = 0; i < NR_PROFILES; i++)
		printf(" %s", profiles[i].name);
}

static void monitor(const char *command)
{
	char line[256];

	snprintf(line, sizeof(line),
		 "hostctl > /dev/null 'qmp {\"execute\":\"human-monitor-command\",\"arguments\":{\"command-line\":\"%s\"}}'",
		 command);
	if (system(line))
		bench_die("the machine's monitor did not take '%s'", command);
}

static void trace_on(const char *what, const struct side *side)
{
	char command[128];

	snprintf(command, sizeof(command), "logfile /build/insns-%s-%s", side->name, what);
	monitor(command);
	monitor("one-insn-per-tb on");
	monitor("log exec,nochain");
}

static void trace_off(void)
{
	monitor("log none");
	monitor("one-insn-per-tb off");
}

int profile(struct bench *b, const char *what, const struct side *side, unsigned long loops,
	    bool trace)
{
	struct memory *m;
	struct bed bed;
	unsigned int i;
	unsigned long n;

	for (i = 0; i < NR_PROFILES && strcmp(profiles[i].name, what); i++)
		;
	if (i == NR_PROFILES)
		bench_die("no profile %s", what);
	m = &b->mem[profiles[i].layout];
	memory_get(m, profiles[i].layout);
	printf("%s, %s: memory of 256 MiB in %llu physical runs, 64 KiB in its middle in %llu\n",
	       what, side->name, (unsigned long long)m->runs,
	       (unsigned long long)memory_runs(m->addr + m->length / 2, SMALL));
	fflush(stdout);
	bed_open(&bed, side, true);
	profiles[i].fn(b, &bed, m);
	if (trace)
		trace_on(what, side);
	for (n = 0; !loops || n < loops; n++)
		profiles[i].fn(b, &bed, m);
	if (trace)
		trace_off();
	bed_close(&bed);
	return 0;
}
