// SPDX-License-Identifier: GPL-2.0
/*
 * Much of everything: far-apart addresses, a million mappings, many contexts
 * and spaces, many threads. What it costs is printed; what is checked is that
 * the answers stay right and that nothing is left behind.
 */
#include <pthread.h>
#include <sched.h>

#include "spaces.h"

#define BATCH	50000

static long kernel_memory_kib(void)
{
	return t_meminfo_kib("Slab") + t_meminfo_kib("SecPageTables");
}

/* 1 TiB of addresses, or what this IOMMU has, a page in every GiB of it */
TEST_F(space, sparse_tebibyte)
{
	struct ioasid_translate tr;
	u64 iova, end = 1ULL << 40;
	long long nr = 0;

	for (iova = 0; iova < end; iova += 1ULL << 30) {
		if (!t_usable(self->ranges, self->nr_ranges, iova, T_PAGE))
			continue;
		ASSERT_OK(t_map_at(self->fd, self->id, self->mem + nr % SPACE_PAGES * T_PAGE, T_PAGE,
				   T_RW, iova));
		nr++;
	}
	EXPECT_GE(nr, 500);
	for (iova = 0; iova < end; iova += 1ULL << 30) {
		if (!t_usable(self->ranges, self->nr_ranges, iova, T_PAGE))
			continue;
		ASSERT_OK(t_translate(self->fd, self->id, iova, 0, &tr));
		EXPECT_EQ(iova, tr.map_iova);
		EXPECT_NE(0, t_translate(self->fd, self->id, iova + T_PAGE, 0, &tr));
	}
	TH_LOG("%lld mappings, 1 GiB apart", nr);
	EXPECT_EQ(nr * (long long)T_PAGE, t_unmap(self->fd, self->id, 0, end));
}

static void fill_ranges(FIXTURE_DATA(space) *self, struct ioasid_map_range *r, u64 first, u32 nr)
{
	u32 i;

	for (i = 0; i < nr; i++)
		r[i] = (struct ioasid_map_range){
			SPACE_AT + (first + i) * 2 * T_PAGE,
			(uintptr_t)self->mem + (first + i) % SPACE_PAGES * T_PAGE,
			T_PAGE, T_FIXED_RW, 0 };
}

/* In 50,000s; with a device fewer: there each one costs a walk of an emulated IOMMU's table */
TEST_F_TIMEOUT(space, million_mappings, 600)
{
	struct ioasid_map_range *r = calloc(BATCH, sizeof(*r));
	const u64 nr = t_mappings(variant->attached ? 250000 : 1000000) / BATCH * BATCH;
	struct ioasid_translate tr;
	uint64_t start;
	long before, after;
	u64 i;

	NEED(t_meminfo_kib("MemAvailable") > 450 * 1024, "not enough memory");
	before = kernel_memory_kib();
	start = t_now_ns();
	for (i = 0; i < nr; i += BATCH) {
		fill_ranges(self, r, i, BATCH);
		ASSERT_OK(t_mapv(self->fd, self->id, r, BATCH));
	}
	after = kernel_memory_kib();
	TH_LOG("%llu ns and %ld bytes of kernel memory for each",
	       (unsigned long long)((t_now_ns() - start) / nr), (after - before) * 1024 / (long)nr);
	EXPECT_EQ(nr, t_nr_mappings(self->fd));
	for (i = 0; i < nr; i += 9973) {
		ASSERT_OK(t_translate(self->fd, self->id, SPACE_AT + i * 2 * T_PAGE, 0, &tr));
		EXPECT_EQ((uintptr_t)self->mem + i % SPACE_PAGES * T_PAGE, tr.addr);
	}
	/* In the midst of them a command takes no longer than among few */
	start = t_now_ns();
	for (i = 0; i < 1000; i++) {
		u64 iova = SPACE_AT + i * (nr / 1000) * 2 * T_PAGE;

		ASSERT_EQ(T_PAGE, t_unmap(self->fd, self->id, iova, T_PAGE));
		ASSERT_OK(t_map_at(self->fd, self->id, self->mem, T_PAGE, T_RW, iova));
	}
	EXPECT_WITHIN_MS(2000, start);
	start = t_now_ns();
	EXPECT_EQ((long long)(nr * T_PAGE), t_unmap_all(self->fd, self->id));
	TH_LOG("%llu ns to unmap each", (unsigned long long)((t_now_ns() - start) / nr));
	EXPECT_EQ(0, t_pinned(self->fd));
	if (self->pins >= 0)
		EXPECT_EQ(self->pins, t_pinned_pages());
}

/* The kernel finds room among many mappings as fast as among none */
TEST_F_TIMEOUT(space, chosen_among_many, 300)
{
	struct ioasid_map_range *r = calloc(BATCH, sizeof(*r));
	int nr = t_mappings(2 * BATCH) / 4, i, round;
	uint64_t first = 0, last = 0, start;

	for (round = 0; round < 4; round++) {
		for (i = 0; i < nr; i++)
			r[i] = (struct ioasid_map_range){ 0, (uintptr_t)self->mem, T_PAGE, T_RW, 0 };
		start = t_now_ns();
		ASSERT_OK(t_mapv(self->fd, self->id, r, nr));
		last = t_now_ns() - start;
		if (!round)
			first = last;
	}
	TH_LOG("first %d in %llu us, last %d in %llu us", nr,
	       (unsigned long long)first / 1000, nr, (unsigned long long)last / 1000);
	if (t_time_is_exact())
		EXPECT_LT(last, 10 * first);
	EXPECT_EQ(4 * nr, t_nr_mappings(self->fd));
}

TEST_F_TIMEOUT(space, many_contexts, 300)
{
	const int nr = t_rounds(900);
	int *fds = calloc(nr, sizeof(*fds)), i;
	u32 id;

	for (i = 0; i < nr; i++) {
		fds[i] = t_open();
		ASSERT_FD(fds[i]);
		ASSERT_OK(t_alloc(fds[i], &id));
		ASSERT_OK(t_map_at(fds[i], id, self->mem, 8 * T_PAGE, T_RW, SPACE_AT));
	}
	if (self->pins >= 0)
		EXPECT_EQ(self->pins + nr * 8, t_pinned_pages());
	for (i = 0; i < nr; i += 2)
		close(fds[i]);
	for (i = 1; i < nr; i += 2)
		EXPECT_EQ(8 * T_PAGE, t_pinned(fds[i]));
	for (i = 1; i < nr; i += 2)
		close(fds[i]);
}

TEST_F_TIMEOUT(space, many_spaces, 300)
{
	const int nr = t_rounds(10000);
	u32 *ids = calloc(nr, sizeof(*ids));
	struct ioasid_info info;
	int i;

	for (i = 0; i < nr; i++) {
		ASSERT_OK(t_alloc(self->fd, &ids[i]));
		ASSERT_OK(t_map_at(self->fd, ids[i], self->mem, T_PAGE, T_RW, SPACE_AT));
	}
	ASSERT_OK(t_info(self->fd, &info));
	EXPECT_EQ((u32)nr + 1, info.nr_spaces);
	EXPECT_EQ((u64)nr, info.nr_mappings);
	for (i = 0; i < nr; i += 2)
		ASSERT_OK(t_free(self->fd, ids[i]));
	ASSERT_OK(t_info(self->fd, &info));
	EXPECT_EQ((u32)nr / 2 + 1, info.nr_spaces);
	EXPECT_EQ((u64)nr / 2, info.nr_mappings);
}

/* A mapping that is larger than all memory fails quickly */
TEST_F(space, absurdly_large_map)
{
	u64 len = 1ULL << 45, iova;
	uint64_t start = t_now_ns();
	char *mem = mmap(NULL, len, PROT_READ | PROT_WRITE,
			 MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	int ret;

	NEED(mem != MAP_FAILED, "no 32 TiB of addresses");
	ASSERT_EQ(0, munmap(mem + T_HUGE, len - T_HUGE));
	ret = t_map(self->fd, self->id, mem, len, T_RW, &iova);
	EXPECT_NE(0, ret);
	EXPECT_WITHIN_MS(10000, start);
	EXPECT_EQ(0, t_nr_mappings(self->fd));
	if (self->pins >= 0)
		EXPECT_EQ(self->pins, t_pinned_pages());
}

/* --- threads ---------------------------------------------------------------- */

#define THREADS	4
#define ROUNDS	1500

struct worker {
	FIXTURE_DATA(space) *self;
	int nr;
	int failed;
	int err;
	u64 iovas[64];
};

static u64 own_place(struct worker *w, int i)
{
	return SPACE_AT + ((u64)w->nr << 30) + i % 64 * 16 * T_PAGE;
}

#define WORKER_CHECK(cond) do {							\
	if (!(cond)) {								\
		fprintf(stderr, "# thread %d, round %d: %s is not true; %s\n",	\
			w->nr, i, #cond, t_explain());				\
		w->failed = 1;							\
		return NULL;							\
	}									\
} while (0)

/* Each in its own GiB, in and out, always seeing what it has just done */
static void *works_apart(void *arg)
{
	struct worker *w = arg;
	FIXTURE_DATA(space) *self = w->self;
	struct ioasid_translate tr;
	int i;

	for (i = 0; i < (int)t_rounds(ROUNDS); i++) {
		u64 iova = own_place(w, i), pages = 1 + i % 7;
		char *mem = self->mem + (w->nr * 16 + i % 9) * T_PAGE;

		WORKER_CHECK(!t_map_at(self->fd, self->id, mem, pages * T_PAGE, T_RW, iova));
		WORKER_CHECK(!t_translate(self->fd, self->id, iova, 0, &tr));
		WORKER_CHECK(tr.addr == (uintptr_t)mem && tr.map_length == pages * T_PAGE);
		if (i % 3)
			WORKER_CHECK(t_unmap(self->fd, self->id, iova, pages * T_PAGE) ==
				     (long long)(pages * T_PAGE));
		else
			WORKER_CHECK(t_unmap(self->fd, self->id, iova, 16 * T_PAGE) ==
				     (long long)(pages * T_PAGE));
		WORKER_CHECK(t_translate(self->fd, self->id, iova, 0, &tr) == -ENOENT);
	}
	return NULL;
}

static int run_workers(FIXTURE_DATA(space) *self, void *(*fn)(void *), struct worker *w, int nr)
{
	pthread_t threads[16];
	int i, failed = 0;

	for (i = 0; i < nr; i++) {
		w[i].self = self;
		w[i].nr = i;
		pthread_create(&threads[i], NULL, fn, &w[i]);
	}
	for (i = 0; i < nr; i++) {
		pthread_join(threads[i], NULL);
		failed += w[i].failed;
	}
	return failed;
}

TEST_F_TIMEOUT(space, threads_apart, 300)
{
	struct worker w[THREADS] = { 0 };

	EXPECT_EQ(0, run_workers(self, works_apart, w, THREADS));
	EXPECT_EQ(0, t_nr_mappings(self->fd));
	EXPECT_EQ(0, t_pinned(self->fd));
}

/* The kernel chooses for all of them at once: nobody's place is given twice */
static void *gets_places(void *arg)
{
	struct worker *w = arg;
	FIXTURE_DATA(space) *self = w->self;
	int i;

	for (i = 0; i < 64; i++)
		WORKER_CHECK(!t_map(self->fd, self->id, self->mem, 4 * T_PAGE, T_RW, &w->iovas[i]));
	return NULL;
}

static int by_value(const void *a, const void *b)
{
	u64 x = *(const u64 *)a, y = *(const u64 *)b;

	return x < y ? -1 : x > y;
}

TEST_F_TIMEOUT(space, threads_choose, 300)
{
	struct worker w[THREADS] = { 0 };
	u64 all[THREADS * 64];
	int i;

	ASSERT_EQ(0, run_workers(self, gets_places, w, THREADS));
	for (i = 0; i < THREADS; i++)
		memcpy(all + i * 64, w[i].iovas, sizeof(w[i].iovas));
	qsort(all, ARRAY_SIZE(all), sizeof(*all), by_value);
	for (i = 1; i < THREADS * 64; i++)
		EXPECT_GE(all[i], all[i - 1] + 4 * T_PAGE);
	EXPECT_EQ(THREADS * 64, t_nr_mappings(self->fd));
}

/* All want the same place: one gets it each time, the others get the reason */
static void *fights(void *arg)
{
	struct worker *w = arg;
	FIXTURE_DATA(space) *self = w->self;
	int i, ret;

	for (i = 0; i < (int)t_rounds(ROUNDS); i++) {
		ret = t_map_at(self->fd, self->id, self->mem, 8 * T_PAGE, T_RW, SPACE_AT);
		WORKER_CHECK(!ret || (ret == -EEXIST && t_extack.code == IOASID_REASON_OVERLAP) ||
			     (ret == -EBUSY && t_extack.code == IOASID_REASON_RACE));
		if (ret)
			continue;
		ret = t_unmap(self->fd, self->id, SPACE_AT, 8 * T_PAGE);
		WORKER_CHECK(ret == 8 * (int)T_PAGE);
	}
	return NULL;
}

TEST_F_TIMEOUT(space, threads_fight, 300)
{
	struct worker w[THREADS] = { 0 };

	EXPECT_EQ(0, run_workers(self, fights, w, THREADS));
	EXPECT_EQ(0, t_nr_mappings(self->fd));
	EXPECT_EQ(0, t_pinned(self->fd));
}

/*
 * Everything at once, most of it bound to fail: spaces come and go while they
 * are mapped, copied, reserved and asked about. What must hold is the end.
 */
static void *does_anything(void *arg)
{
	struct worker *w = arg;
	FIXTURE_DATA(space) *self = w->self;
	struct ioasid_iova_range reserve = { T_HUGE, 2 * T_HUGE - 1 };
	u32 seed = w->nr * 7919 + 1, ids[4] = { self->id, 0, 0, 0 };
	struct ioasid_space_info info;
	struct ioasid_translate tr;
	int i;

	for (i = 0; i < 3 * (int)t_rounds(ROUNDS); i++) {
		u32 a, b;
		u64 iova, dst;

		seed = seed * 1103515245 + 12345;
		/* Ids are small numbers: those of other threads are hit too */
		a = seed >> 12 & 4 ? self->id + (seed >> 20) % 12 : ids[seed >> 20 & 3];
		b = self->id + (seed >> 24) % 12;
		iova = SPACE_AT + (seed >> 8 & 15) * 4 * T_PAGE;
		dst = SPACE_AT + (seed >> 9 & 15) * 4 * T_PAGE;
		switch (seed >> 28) {
		case 0: case 1: case 2: case 3:
			t_map_at(self->fd, a, self->mem, 4 * T_PAGE, T_RW, iova);
			break;
		case 4: case 5: case 6:
			t_unmap(self->fd, a, iova, 4 * T_PAGE);
			break;
		case 7: case 8: case 9:
			t_copy_at(self->fd, a, iova, b, dst, 4 * T_PAGE, T_RW);
			break;
		case 10:
			t_alloc(self->fd, &ids[1 + (seed >> 16) % 3]);
			break;
		case 11:
			if (b != self->id)
				t_free(self->fd, b);
			break;
		case 12:
			t_unmap_all(self->fd, a);
			break;
		case 13:
			t_reserve(self->fd, a, &reserve, seed >> 16 & 1);
			break;
		case 14:
			t_translate(self->fd, a, iova, IOASID_TRANSLATE_PHYS, &tr);
			break;
		case 15:
			t_space_info(self->fd, a, &info);
			break;
		}
	}
	return NULL;
}

TEST_F_TIMEOUT(space, threads_do_anything, 300)
{
	struct worker w[THREADS] = { 0 };
	struct ioasid_info info;
	u32 id;

	run_workers(self, does_anything, w, THREADS);
	for (id = 1; id < 10000; id++)
		if (id != self->id)
			t_free(self->fd, id);
	t_unmap_all(self->fd, self->id);
	ASSERT_OK(t_info(self->fd, &info));
	EXPECT_EQ(1, info.nr_spaces);
	EXPECT_EQ(0, info.nr_mappings);
	EXPECT_EQ(0, info.mapped);
	EXPECT_EQ(0, info.pinned);
	if (self->pins >= 0)
		EXPECT_EQ(self->pins, t_pinned_pages());
	EXPECT_OK(t_map_at(self->fd, self->id, self->mem, T_PAGE, T_RW, SPACE_AT));
}

TEST_HARNESS_MAIN
