// SPDX-License-Identifier: GPL-2.0
/*
 * One thing over and over on our side alone, for whoever watches where the
 * time goes.
 */
#include <stdio.h>
#include <string.h>

#include "bench.h"

static void prof_64k(struct bench *b, struct bed *bed, enum layout layout)
{
	bed_map(bed, BENCH_IOVA, b->mem[layout].addr, SMALL);
	bed_unmap(bed, BENCH_IOVA, SMALL);
}

static void prof_256m(struct bench *b, struct bed *bed, enum layout layout)
{
	bed_map(bed, BENCH_IOVA, b->mem[layout].addr, LARGE);
	bed_unmap(bed, BENCH_IOVA, LARGE);
}

static void prof_vector(struct bench *b, struct bed *bed, enum layout layout)
{
	static struct piece p[1000];
	int i;

	for (i = 0; i < 1000; i++)
		p[i] = (struct piece){ BENCH_IOVA + i * SMALL,
				       b->mem[layout].addr + i * SMALL, SMALL };
	bed_map_pieces(bed, p, 1000);
	bed_unmap_pieces(bed, p, 1000);
}

static void prof_4k(struct bench *b, struct bed *bed, enum layout layout)
{
	struct memory *m = &b->mem[layout];
	u32 i;

	for (i = 0; i < NR_PAGES; i++)
		bed_map(bed, BENCH_IOVA + b->order[i] * 2 * T_PAGE,
			m->addr + i % (m->length / T_PAGE) * T_PAGE, T_PAGE);
	for (i = 0; i < NR_PAGES; i++)
		bed_unmap(bed, BENCH_IOVA + b->order[i] * 2 * T_PAGE, T_PAGE);
}

static const struct {
	const char *name;
	enum layout layout;
	void (*fn)(struct bench *b, struct bed *bed, enum layout layout);
} profiles[] = {
	{ "64k-seq", SEQUENTIAL, prof_64k },
	{ "64k-shuf", SHUFFLED, prof_64k },
	{ "64k-vector-seq", SEQUENTIAL, prof_vector },
	{ "64k-vector-shuf", SHUFFLED, prof_vector },
	{ "256m-seq", SEQUENTIAL, prof_256m },
	{ "256m-shuf", SHUFFLED, prof_256m },
	{ "256m-huge", HUGE, prof_256m },
	{ "4k", SEQUENTIAL, prof_4k },
};

#define NR_PROFILES (sizeof(profiles) / sizeof(*profiles))

void profile_list(void)
{
	unsigned int i;

	for (i = 0; i < NR_PROFILES; i++)
		printf(" %s", profiles[i].name);
}

int profile(struct bench *b, const char *what, const struct side *side, unsigned long loops)
{
	struct bed bed;
	unsigned int i;
	unsigned long n;

	for (i = 0; i < NR_PROFILES && strcmp(profiles[i].name, what); i++)
		;
	if (i == NR_PROFILES)
		bench_die("no profile %s: see --list", what);
	memory_get(&b->mem[profiles[i].layout], profiles[i].layout);
	bed_open(&bed, side, true);
	for (n = 0; !loops || n < loops; n++)
		profiles[i].fn(b, &bed, profiles[i].layout);
	bed_close(&bed);
	return 0;
}
