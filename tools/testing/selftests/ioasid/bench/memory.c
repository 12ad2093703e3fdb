// SPDX-License-Identifier: GPL-2.0
/*
 * The memory that is mapped: allocated once and used by every side, since its
 * physical layout decides the figures more than anything else does.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "bench.h"

const char *const layout_name[NR_LAYOUTS] = {
	[SEQUENTIAL] = "seq",
	[SHUFFLED] = "shuf",
	[HUGE] = "huge",
};

bool memory_available(enum layout layout)
{
	return layout != HUGE || !access("/sys/kernel/mm/transparent_hugepage", F_OK);
}

static u32 next_random(u64 *state)
{
	*state = *state * 6364136223846793005ULL + 1442695040888963407ULL;
	return *state >> 33;
}

u32 *shuffled(u32 nr)
{
	u32 *order = malloc(nr * sizeof(*order));
	u64 state = 42;
	u32 i;

	if (!order)
		bench_die("no memory");
	for (i = 0; i < nr; i++)
		order[i] = i;
	for (i = nr - 1; i > 0; i--) {
		u32 other = next_random(&state) % (i + 1);
		u32 swap = order[i];

		order[i] = order[other];
		order[other] = swap;
	}
	return order;
}

static char *reserve(u64 length)
{
	char *hole = mmap(NULL, length + T_HUGE, PROT_READ | PROT_WRITE,
			  MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);

	if (hole == MAP_FAILED)
		bench_die("no address space: %s", strerror(errno));
	return (char *)(((uintptr_t)hole + T_HUGE - 1) & ~(T_HUGE - 1));
}

static void advise(const struct memory *m)
{
	int ret = 0;

	if (memory_available(HUGE))
		ret = madvise(m->addr, m->length,
			      m->layout == HUGE ? MADV_HUGEPAGE : MADV_NOHUGEPAGE);
	if (ret || madvise(m->addr, m->length, MADV_DONTFORK))
		bench_die("madvise: %s", strerror(errno));
}

/*
 * By the kernel where there are no huge pages: a page fault is very slow on a
 * machine that is a program, and its memory has no layout that would matter.
 */
static void touch(struct memory *m)
{
	u32 nr = m->length / T_PAGE, i;
	u32 *order = m->layout == SHUFFLED ? shuffled(nr) : NULL;

	if (memory_available(HUGE))
		for (i = 0; i < nr; i++)
			m->addr[(order ? order[i] : i) * T_PAGE] = 1;
	else if (madvise(m->addr, m->length, MADV_POPULATE_WRITE))
		bench_die("MADV_POPULATE_WRITE: %s", strerror(errno));
	free(order);
}

void memory_get(struct memory *m, enum layout layout)
{
	m->layout = layout;
	m->length = LARGE;
	m->addr = reserve(m->length);
	advise(m);
	touch(m);
	m->runs = memory_runs(m->addr, m->length);
	if (layout == HUGE && m->runs > m->length / T_HUGE)
		bench_die("no huge pages: %llu runs", (unsigned long long)m->runs);
}

char *memory_small(void)
{
	struct memory m = { .layout = SEQUENTIAL, .addr = reserve(SMALL), .length = SMALL };

	advise(&m);
	touch(&m);
	return m.addr;
}

u64 memory_runs(const void *addr, u64 length)
{
	int fd = open("/proc/self/pagemap", O_RDONLY | O_CLOEXEC);
	u64 entry[512], runs = 0, last = 0;
	u64 page = (uintptr_t)addr / T_PAGE, end = page + length / T_PAGE;
	u32 i, nr;

	if (fd < 0)
		bench_die("/proc/self/pagemap: %s", strerror(errno));
	for (; page < end; page += nr) {
		nr = end - page < 512 ? end - page : 512;
		if (pread(fd, entry, nr * 8, page * 8) != (ssize_t)nr * 8)
			bench_die("cannot read /proc/self/pagemap");
		for (i = 0; i < nr; i++) {
			u64 pfn = entry[i] & ((1ULL << 55) - 1);

			runs += pfn != last + 1;
			last = pfn;
		}
	}
	close(fd);
	return runs;
}
