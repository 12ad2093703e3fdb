// SPDX-License-Identifier: GPL-2.0
/*
 * Two processes side by side, each on a processor of its own: they map and
 * unmap disjoint ranges of one space, or of two contexts. A row is what a round
 * costs beside the other process, relative to the same round alone: 1 if they do
 * not hinder each other, 2 if they take turns. It means something only in a
 * machine with two processors whose clock is real.
 */
#include <errno.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include "bench.h"

#define ROUNDS	100
#define CHUNK	(4 * MIB)
#define STRIDE	(64 * MIB)

/* Shared by the processes, which begin together */
struct together {
	atomic_uint ready, go;
	u64 end[2];	/* ns */
};

static void *map_pages(u64 length, int flags)
{
	void *addr = mmap(NULL, length, PROT_READ | PROT_WRITE,
			  flags | MAP_ANONYMOUS | MAP_POPULATE, -1, 0);

	if (addr == MAP_FAILED)
		bench_die("mmap: %s", strerror(errno));
	return addr;
}

static void rounds(struct bed *bed, void *memory, u64 iova, u32 nr)
{
	while (nr--) {
		bed_map(bed, iova, memory, CHUNK);
		bed_unmap(bed, iova, CHUNK);
	}
}

static void child(struct bed *bed, struct together *t, u32 i)
{
	void *memory = map_pages(CHUNK, MAP_PRIVATE);
	u64 iova = BENCH_IOVA + i * STRIDE;

	rounds(bed, memory, iova, 2);
	t->ready++;
	while (!t->go)
		;
	rounds(bed, memory, iova, ROUNDS);
	t->end[i] = t_now_ns();
	_exit(0);
}

static u64 last_end(const struct together *t, u32 nr)
{
	return nr == 2 && t->end[1] > t->end[0] ? t->end[1] : t->end[0];
}

/* Until the last of @nr processes has made its rounds; in ns */
static u64 side_by_side(struct bed *beds[2], u32 nr)
{
	struct together *t = map_pages(T_PAGE, MAP_SHARED);
	pid_t pid[2];
	u64 start;
	u32 i;
	int status;

	for (i = 0; i < nr; i++) {
		pid[i] = fork();
		MUST(pid[i]);
		if (!pid[i])
			child(beds[i], t, i);
	}
	while (t->ready < nr)
		usleep(1000);
	start = t_now_ns();
	t->go = 1;
	for (i = 0; i < nr; i++) {
		MUST(waitpid(pid[i], &status, 0));
		if (status)
			bench_die("a process of two ended with status %#x", status);
	}
	start = last_end(t, nr) - start;
	munmap(t, T_PAGE);
	return start;
}

static void two(struct bed *a, struct bed *b, const char *row)
{
	struct bed *beds[2] = { a, b };
	u64 alone = side_by_side(beds, 1);
	u64 both = side_by_side(beds, 2);

	sample(a->side, "us", alone / ROUNDS, "%s-alone", row);
	sample(a->side, "x", both * 1000 / alone, "%s", row);
}

void measure_smp(struct bench *b, const struct side *side)
{
	struct bed one, other;

	if (sysconf(_SC_NPROCESSORS_ONLN) < 2)
		return;
	bed_open(&one, side, true);
	bed_open_on(&other, side, device_name(1), true);
	two(&one, &one, "smp-space");
	two(&one, &other, "smp-contexts");
	bed_close(&other);
	bed_close(&one);
}
