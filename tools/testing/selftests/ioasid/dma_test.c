// SPDX-License-Identifier: GPL-2.0
/*
 * DMA by devices through spaces: that it arrives wherever it is mapped, and
 * nowhere else. The verdict is always in the data, never in what a device or
 * the fault log says. What kind of memory it is makes a difference to
 * memory_test.
 */
#include <pthread.h>
#include <sys/mman.h>

#include "harness.h"

#define AT	0x100000000ULL
#define PAGES	64

FIXTURE(dma) {
	int fd;
	u32 id;
	char *mem;
	struct t_dma dev;
	struct ioasid_iova_range ranges[32];
	int nr_ranges;
	long pins;
};

FIXTURE_VARIANT(dma) {
	enum t_pci_kind kind;
	int nth;
};

FIXTURE_VARIANT_ADD(dma, edu) { .kind = T_EDU, .nth = 0 };
FIXTURE_VARIANT_ADD(dma, nvme) { .kind = T_NVME, .nth = 0 };

FIXTURE_SETUP(dma)
{
	self->pins = t_pinned_pages();
	NEED_DMA(&self->dev, variant->kind, variant->nth);
	self->fd = t_open();
	ASSERT_FD(self->fd);
	ASSERT_OK(t_alloc(self->fd, &self->id));
	ASSERT_OK(t_dma_up(&self->dev, self->fd, self->id));
	self->nr_ranges = t_space_ranges(self->fd, self->id, self->ranges, 32);
	self->mem = t_memory(T_ANON, PAGES * T_PAGE);
	ASSERT_NE(NULL, self->mem);
}

FIXTURE_TEARDOWN(dma)
{
	t_dma_close(&self->dev);
	close(self->fd);
	if (self->pins >= 0)
		EXPECT_EQ(self->pins, t_pinned_pages());
}

TEST_F(dma, sanity_both_ways)
{
	u32 len = self->dev.fast ? 32 * T_PAGE : 2 * T_PAGE;

	ASSERT_OK(t_map_at(self->fd, self->id, self->mem, PAGES * T_PAGE, T_RW, AT));
	t_fill(self->mem, len, 1);
	ASSERT_EQ(0, t_dma_copy(&self->dev, AT + 32 * T_PAGE, AT, len));
	EXPECT_EQ(-1, t_differs(self->mem + 32 * T_PAGE, len, 1));
	EXPECT_EQ(t_crc32(self->mem, len), t_crc32(self->mem + 32 * T_PAGE, len));
	EXPECT_EQ(-1, t_differs(self->mem, len, 1));
}

/* Low, high, either side of the interrupt window and of 4 GiB, the very ends */
TEST_F(dma, sanity_addresses)
{
	u64 places[] = {
		0, T_PAGE, T_HUGE - T_PAGE, 0x80000000ULL, 0xfee00000ULL - T_PAGE, 0xfef00000ULL,
		0x100000000ULL - T_PAGE, 0x100000000ULL, 0x4000000000ULL - T_PAGE,
		0x7fffffffffULL + 1 - T_PAGE, 0x123456000000ULL,
		self->ranges[self->nr_ranges - 1].last + 1 - T_PAGE,
	};
	int done = 0;
	size_t i, j;

	for (i = 0; i < ARRAY_SIZE(places); i++) {
		char *page = self->mem + i * T_PAGE;

		for (j = 0; j < i; j++)
			if (places[j] == places[i])
				break;
		if (j < i || !t_usable(self->ranges, self->nr_ranges, places[i], T_PAGE))
			continue;
		ASSERT_OK(t_map_at(self->fd, self->id, page, T_PAGE, T_RW, places[i]));
		expect_dma(_metadata, &self->dev, places[i], page, 100 + i);
		done++;
	}
	EXPECT_GE(done, 9);
}

TEST_F(dma, fault_never_mapped)
{
	expect_no_dma(_metadata, &self->dev, AT, self->mem, 1);
	expect_no_dma(_metadata, &self->dev, 0, self->mem, 2);
	/* The device is still in order */
	ASSERT_OK(t_map_at(self->fd, self->id, self->mem, T_PAGE, T_RW, AT));
	expect_dma(_metadata, &self->dev, AT, self->mem, 3);
}

/* The pages on either side of a mapping are not mapped, though memory is there too */
TEST_F(dma, fault_beside_a_mapping)
{
	ASSERT_OK(t_map_at(self->fd, self->id, self->mem + T_PAGE, T_PAGE, T_RW, AT + T_PAGE));
	expect_dma(_metadata, &self->dev, AT + T_PAGE, self->mem + T_PAGE, 1);
	expect_no_dma(_metadata, &self->dev, AT, self->mem, 2);
	expect_no_dma(_metadata, &self->dev, AT + 2 * T_PAGE, self->mem + 2 * T_PAGE, 3);
}

TEST_F(dma, fault_after_unmap)
{
	int i;

	for (i = 0; i < 3; i++) {
		ASSERT_OK(t_map_at(self->fd, self->id, self->mem, 4 * T_PAGE, T_RW, AT));
		/* The IOMMU has it in its cache now */
		expect_dma(_metadata, &self->dev, AT + T_PAGE, self->mem + T_PAGE, i);
		ASSERT_EQ(4 * T_PAGE, t_unmap(self->fd, self->id, AT, 4 * T_PAGE));
		expect_no_dma(_metadata, &self->dev, AT + T_PAGE, self->mem + T_PAGE, 10 + i);
	}
}

/* Each way of unmapping flushes what it takes, and leaves its neighbours alone */
TEST_F(dma, fault_after_unmap_vector_and_all)
{
	struct ioasid_unmap_range u[2] = { { AT, T_PAGE }, { AT + 4 * T_PAGE, T_PAGE } };
	int i;

	for (i = 0; i < 6; i++) {
		ASSERT_OK(t_map_at(self->fd, self->id, self->mem + i * T_PAGE, T_PAGE, T_RW,
				   AT + i * T_PAGE));
		ASSERT_EQ(0, t_dma_pull(&self->dev, AT + i * T_PAGE, T_PAGE));
	}
	ASSERT_EQ(2 * T_PAGE, t_unmapv(self->fd, self->id, u, 2));
	expect_no_dma(_metadata, &self->dev, AT, self->mem, 1);
	expect_no_dma(_metadata, &self->dev, AT + 4 * T_PAGE, self->mem + 4 * T_PAGE, 2);
	expect_dma(_metadata, &self->dev, AT + 3 * T_PAGE, self->mem + 3 * T_PAGE, 3);
	expect_dma(_metadata, &self->dev, AT + 5 * T_PAGE, self->mem + 5 * T_PAGE, 4);
	ASSERT_LT(4 * (long long)T_PAGE, t_unmap_all(self->fd, self->id));
	/* Its own queues as well: give them back first, at the same place */
	ASSERT_OK(t_dma_map_own(&self->dev, self->fd, self->id));
	ASSERT_EQ(0, t_dma_start(&self->dev));
	expect_no_dma(_metadata, &self->dev, AT + 3 * T_PAGE, self->mem + 3 * T_PAGE, 5);
}

/*
 * Blocks that no single invalidation can name: across boundaries of 1, 2 and
 * 4 GiB, and one unmap over pages that lie far apart.
 */
TEST_F(dma, fault_after_unmap_across_boundaries)
{
	static const u64 places[] = { 0x40000000, 0x80000000, 0x100000000, 0x140000000,
				      0x4000000000 };
	size_t i;

	for (i = 0; i < ARRAY_SIZE(places); i++) {
		u64 at = places[i] - 2 * T_PAGE;

		if (!t_usable(self->ranges, self->nr_ranges, at, 4 * T_PAGE))
			continue;
		ASSERT_OK(t_map_at(self->fd, self->id, self->mem, 4 * T_PAGE, T_RW, at));
		ASSERT_EQ(0, t_dma_pull(&self->dev, at, T_PAGE));
		ASSERT_EQ(0, t_dma_pull(&self->dev, at + 3 * T_PAGE, T_PAGE));
		ASSERT_EQ(4 * T_PAGE, t_unmap(self->fd, self->id, at, 4 * T_PAGE));
		expect_no_dma(_metadata, &self->dev, at, self->mem, i);
		expect_no_dma(_metadata, &self->dev, at + 3 * T_PAGE, self->mem + 3 * T_PAGE, i);
	}
}

TEST_F(dma, fault_after_unmap_far_apart)
{
	struct ioasid_unmap_range u[3];
	int i;

	for (i = 0; i < 3; i++) {
		u[i] = (struct ioasid_unmap_range){ AT + i * 0x123456000ULL, T_PAGE };
		ASSERT_OK(t_map_at(self->fd, self->id, self->mem + i * T_PAGE, T_PAGE, T_RW, u[i].iova));
		ASSERT_EQ(0, t_dma_pull(&self->dev, u[i].iova, T_PAGE));
	}
	ASSERT_EQ(3 * T_PAGE, t_unmapv(self->fd, self->id, u, 3));
	for (i = 0; i < 3; i++)
		expect_no_dma(_metadata, &self->dev, u[i].iova, self->mem + i * T_PAGE, i);
	for (i = 0; i < 3; i++) {
		ASSERT_OK(t_map_at(self->fd, self->id, self->mem + i * T_PAGE, T_PAGE, T_RW, u[i].iova));
		ASSERT_EQ(0, t_dma_pull(&self->dev, u[i].iova, T_PAGE));
	}
	ASSERT_EQ(3 * T_PAGE, t_unmap(self->fd, self->id, AT, 1ULL << 40));
	for (i = 0; i < 3; i++)
		expect_no_dma(_metadata, &self->dev, u[i].iova, self->mem + i * T_PAGE, i);
}

/* Other memory at the same place at once: nothing may go to the old page */
TEST_F(dma, remap_goes_to_the_new_page)
{
	int i;

	for (i = 0; i < 4; i++) {
		char *old = self->mem + (i + 1) % 2 * T_PAGE, *page = self->mem + i % 2 * T_PAGE;

		t_fill(old, T_PAGE, 50 + i);
		ASSERT_OK(t_map_at(self->fd, self->id, page, T_PAGE, T_RW, AT));
		expect_dma(_metadata, &self->dev, AT, page, i);
		EXPECT_EQ(-1, t_differs(old, T_PAGE, 50 + i));
		ASSERT_EQ(T_PAGE, t_unmap(self->fd, self->id, AT, T_PAGE));
	}
}

TEST_F(dma, fault_write_to_read_only)
{
	ASSERT_OK(t_map_at(self->fd, self->id, self->mem, T_PAGE, IOASID_MAP_READ, AT));
	ASSERT_OK(t_map_at(self->fd, self->id, self->mem + T_PAGE, T_PAGE, T_RW, AT + T_PAGE));
	t_fill(self->mem, T_PAGE, 1);
	EXPECT_EQ(1, t_dma_reads(&self->dev, AT, self->mem));
	EXPECT_EQ(0, t_dma_writes(&self->dev, AT, self->mem));
	EXPECT_EQ(-1, t_differs(self->mem, T_PAGE, 1));
	expect_dma(_metadata, &self->dev, AT + T_PAGE, self->mem + T_PAGE, 2);
	/* A copy of memory that may be written is still read-only if it was asked to be */
	ASSERT_OK(t_copy_at(self->fd, self->id, AT + T_PAGE, self->id, AT + 2 * T_PAGE, T_PAGE,
			    IOASID_MAP_READ));
	t_fill(self->mem + T_PAGE, T_PAGE, 3);
	EXPECT_EQ(1, t_dma_reads(&self->dev, AT + 2 * T_PAGE, self->mem + T_PAGE));
	EXPECT_EQ(0, t_dma_writes(&self->dev, AT + 2 * T_PAGE, self->mem + T_PAGE));
}

TEST_F(dma, fault_after_detach)
{
	ASSERT_OK(t_map_at(self->fd, self->id, self->mem, 2 * T_PAGE, T_RW, AT));
	expect_dma(_metadata, &self->dev, AT, self->mem, 1);
	ASSERT_OK(t_vfio_detach(&self->dev.vfio));
	t_fill(self->mem, 2 * T_PAGE, 2);
	t_dma_push_blindly(&self->dev, AT);
	t_dma_push_blindly(&self->dev, AT + T_PAGE);
	EXPECT_EQ(-1, t_differs(self->mem, 2 * T_PAGE, 2));
	ASSERT_OK(t_vfio_attach(&self->dev.vfio, self->fd, self->id, 0));
	ASSERT_EQ(0, t_dma_start(&self->dev));
	expect_dma(_metadata, &self->dev, AT, self->mem, 3);
}

TEST_F(dma, fault_after_close)
{
	ASSERT_OK(t_map_at(self->fd, self->id, self->mem, 2 * T_PAGE, T_RW, AT));
	expect_dma(_metadata, &self->dev, AT, self->mem, 1);
	ASSERT_EQ(0, t_dma_reopen(&self->dev));
	t_fill(self->mem, 2 * T_PAGE, 2);
	t_dma_push_blindly(&self->dev, AT);
	EXPECT_EQ(-1, t_differs(self->mem, 2 * T_PAGE, 2));
}

/* What a copy reaches is the same page: written through one, seen through the other */
TEST_F(dma, copies_are_the_same_memory)
{
	ASSERT_OK(t_map_at(self->fd, self->id, self->mem, 4 * T_PAGE, T_RW, AT));
	ASSERT_OK(t_copy_at(self->fd, self->id, AT + T_PAGE, self->id, AT + T_HUGE, 2 * T_PAGE, T_RW));
	expect_dma(_metadata, &self->dev, AT + T_HUGE, self->mem + T_PAGE, 1);
	ASSERT_EQ(4 * T_PAGE, t_unmap(self->fd, self->id, AT, 4 * T_PAGE));
	expect_dma(_metadata, &self->dev, AT + T_HUGE + T_PAGE, self->mem + 2 * T_PAGE, 2);
	expect_no_dma(_metadata, &self->dev, AT + T_PAGE, self->mem + T_PAGE, 3);
	ASSERT_EQ(2 * T_PAGE, t_unmap(self->fd, self->id, AT + T_HUGE, 2 * T_PAGE));
	expect_no_dma(_metadata, &self->dev, AT + T_HUGE, self->mem + T_PAGE, 4);
}

/*
 * UNMAP in the midst of DMA. What was begun before may still land, which is
 * waited for; what is begun after must not, though the device never stops.
 */
static void unmap_under_load_slow(struct __test_metadata *_metadata, FIXTURE_DATA(dma) *self)
{
	int round;

	/* An edu moves its data 100 ms after the command: usually after the unmap */
	for (round = 0; round < 5; round++) {
		ASSERT_OK(t_map_at(self->fd, self->id, self->mem, 32 * T_PAGE, T_RW, AT));
		ASSERT_EQ(0, t_dma_pull(&self->dev, AT + T_PAGE, T_PAGE));
		ASSERT_EQ(0, t_dma_begin(&self->dev, true, 0, AT));
		ASSERT_EQ(32 * (long long)T_PAGE, t_unmap(self->fd, self->id, AT, 32 * T_PAGE));
		t_fill(self->mem, 32 * T_PAGE, 1000 + round);
		ASSERT_EQ(0, t_dma_end(&self->dev, 0));
		EXPECT_EQ(-1, t_differs(self->mem, 32 * T_PAGE, 1000 + round));
	}
}

static void unmap_under_load_fast(struct __test_metadata *_metadata, FIXTURE_DATA(dma) *self)
{
	int ids[24], round, i;

	for (round = 0; round < 20; round++) {
		ASSERT_OK(t_map_at(self->fd, self->id, self->mem, 32 * T_PAGE, T_RW, AT));
		for (i = 0; i < 24; i++)
			ids[i] = t_dma_begin(&self->dev, true, i, AT + i * T_PAGE);
		ASSERT_EQ(32 * (long long)T_PAGE, t_unmap(self->fd, self->id, AT, 32 * T_PAGE));
		for (i = 0; i < 24; i++)
			t_dma_end(&self->dev, ids[i]);
		t_fill(self->mem, 32 * T_PAGE, round);
		for (i = 0; i < 24; i++)
			t_dma_end(&self->dev, t_dma_begin(&self->dev, true, i, AT + i * T_PAGE));
		ASSERT_EQ(-1, t_differs(self->mem, 32 * T_PAGE, round)) TH_LOG("round %d", round);
	}
}

TEST_F(dma, fault_after_unmap_under_load)
{
	if (self->dev.fast)
		unmap_under_load_fast(_metadata, self);
	else
		unmap_under_load_slow(_metadata, self);
}

/* --- store loop ----------------------------------------------------------------- */

#define LOOP_TRANSFERS	10000	/* by a fast device; a slow one does a few */
#define LOOP_SLOTS	16

struct mapper {
	int fd;
	u32 id;
	int nr;
	char *mem;
	bool *stop;
	long rounds;
	int failed;
};

/* Maps and unmaps close to where the DMA goes on, and far away */
static void *maps_other_ranges(void *arg)
{
	struct mapper *m = arg;
	u64 base = AT + T_HUGE * 4 * (1 + m->nr), iova;

	while (!__atomic_load_n(m->stop, __ATOMIC_RELAXED)) {
		u64 pages = 1 + m->rounds % 16;

		iova = base + m->rounds % 3 * 32 * T_PAGE;
		if (t_map_at(m->fd, m->id, m->mem, pages * T_PAGE, T_RW, iova) ||
		    t_unmap(m->fd, m->id, iova, pages * T_PAGE) != (long long)(pages * T_PAGE)) {
			fprintf(stderr, "# mapper %d, round %ld: %s\n", m->nr, m->rounds, t_explain());
			__atomic_store_n(&m->failed, 1, __ATOMIC_RELAXED);
			break;
		}
		__atomic_fetch_add(&m->rounds, 1, __ATOMIC_RELAXED);
	}
	return NULL;
}

/* Has it done too little to disturb anybody? */
static bool lags(struct mapper *m)
{
	return !__atomic_load_n(&m->failed, __ATOMIC_RELAXED) &&
	       __atomic_load_n(&m->rounds, __ATOMIC_RELAXED) <= 10;
}

/* All slots at once from @iova (a write) or to it; number of transfers or a negative errno */
static int store(struct t_dma *dev, bool write, u64 iova)
{
	int ids[LOOP_SLOTS], i, ret;

	if (!dev->fast) {
		/* One page through the only buffer */
		ret = write ? t_dma_pull(dev, iova, T_PAGE) : t_dma_push(dev, iova, T_PAGE);
		return ret ? ret : 1;
	}
	for (i = 0; i < LOOP_SLOTS; i++)
		ids[i] = t_dma_begin(dev, !write, i, iova + i * T_PAGE);
	for (i = 0; i < LOOP_SLOTS; i++) {
		ret = t_dma_end(dev, ids[i]);
		if (ret)
			return ret;
	}
	return LOOP_SLOTS;
}

/*
 * Many transfers, each of which is checked, while two threads change other
 * ranges of the same space: their flushes and page-table pages must not
 * disturb it.
 */
TEST_F_TIMEOUT(dma, store_loop, 180)
{
	int slots = self->dev.fast ? LOOP_SLOTS : 1;
	int want = self->dev.fast ? t_rounds(LOOP_TRANSFERS) : 24;
	char *out, *in;
	struct mapper m[2];
	pthread_t threads[2];
	bool stop = false;
	int i, done = 0;

	out = t_memory(T_ANON, LOOP_SLOTS * T_PAGE);
	in = t_memory(T_ANON, LOOP_SLOTS * T_PAGE);
	ASSERT_OK(t_map_at(self->fd, self->id, out, LOOP_SLOTS * T_PAGE, IOASID_MAP_READ, AT));
	ASSERT_OK(t_map_at(self->fd, self->id, in, LOOP_SLOTS * T_PAGE, T_RW, AT + T_HUGE));
	for (i = 0; i < 2; i++) {
		m[i] = (struct mapper){ .fd = self->fd, .id = self->id, .nr = i,
					.mem = self->mem + i * 16 * T_PAGE, .stop = &stop };
		ASSERT_EQ(0, pthread_create(&threads[i], NULL, maps_other_ranges, &m[i]));
	}
	for (i = 0; done < want || lags(&m[0]) || lags(&m[1]); i++) {
		t_fill(out, slots * T_PAGE, i);
		ASSERT_EQ(slots, store(&self->dev, true, AT));
		memset(in, 0, slots * T_PAGE);
		ASSERT_EQ(slots, store(&self->dev, false, AT + T_HUGE));
		ASSERT_EQ(-1, t_differs(in, slots * T_PAGE, i)) TH_LOG("after %d", done);
		done += 2 * slots;
	}
	__atomic_store_n(&stop, true, __ATOMIC_RELAXED);
	for (i = 0; i < 2; i++) {
		pthread_join(threads[i], NULL);
		EXPECT_EQ(0, m[i].failed);
	}
	TH_LOG("%d transfers checked, %ld maps and unmaps beside them", done,
	       m[0].rounds + m[1].rounds);
}

/* A large transfer, described by a list, over pages that lie anywhere */
TEST_F(dma, scattered_large_transfer)
{
	u64 pages = self->dev.fast ? 128 : 4, len = pages * T_PAGE, i;
	char *from, *to;

	from = t_memory(T_ANON, len);
	to = t_memory(T_ANON, len);
	t_fill(from, len, 1);
	/* The pages of the second half in reverse */
	for (i = 0; i < pages; i++) {
		ASSERT_OK(t_map_at(self->fd, self->id, from + i * T_PAGE, T_PAGE, T_RW,
				   AT + i * T_PAGE));
		ASSERT_OK(t_map_at(self->fd, self->id, to + (pages - 1 - i) * T_PAGE, T_PAGE, T_RW,
				   AT + T_HUGE + i * T_PAGE));
	}
	ASSERT_EQ(0, t_dma_copy(&self->dev, AT + T_HUGE, AT, len));
	for (i = 0; i < pages; i++)
		ASSERT_EQ(0, memcmp(from + i * T_PAGE, to + (pages - 1 - i) * T_PAGE, T_PAGE));
}

/* --- two devices ----------------------------------------------------------------- */

FIXTURE(pair) {
	int fd;
	u32 id[2];
	struct t_dma dev[2];
	char *mem;
};

FIXTURE_VARIANT(pair) {
	enum t_pci_kind kind[2];
	int nth[2];
};

FIXTURE_VARIANT_ADD(pair, edu_edu) { .kind = { T_EDU, T_EDU }, .nth = { 0, 1 } };
FIXTURE_VARIANT_ADD(pair, nvme_nvme) { .kind = { T_NVME, T_NVME }, .nth = { 0, 1 } };
FIXTURE_VARIANT_ADD(pair, edu_nvme) { .kind = { T_EDU, T_NVME }, .nth = { 0, 0 } };

FIXTURE_SETUP(pair)
{
	int i;

	for (i = 0; i < 2; i++)
		NEED_DMA(&self->dev[i], variant->kind[i], variant->nth[i]);
	self->fd = t_open();
	ASSERT_FD(self->fd);
	self->dev[1].own_iova += T_DMA_OWN_BYTES;
	self->mem = t_memory(T_ANON, 16 * T_PAGE);
	for (i = 0; i < 2; i++)
		ASSERT_OK(t_alloc(self->fd, &self->id[i]));
}

FIXTURE_TEARDOWN(pair)
{
	t_dma_close(&self->dev[0]);
	t_dma_close(&self->dev[1]);
	close(self->fd);
}

TEST_F(pair, one_space)
{
	struct ioasid_space_info info;
	char *page = self->mem;
	int i;

	ASSERT_OK(t_map_at(self->fd, self->id[0], page, T_PAGE, T_RW, AT));
	for (i = 0; i < 2; i++)
		ASSERT_OK(t_dma_up(&self->dev[i], self->fd, self->id[0]));
	ASSERT_OK(t_space_info(self->fd, self->id[0], &info));
	EXPECT_EQ(2, info.nr_attachments);
	EXPECT_EQ(1, info.nr_domains);
	/* What one writes the other reads */
	t_fill(page, T_PAGE, 1);
	ASSERT_EQ(0, t_dma_pull(&self->dev[0], AT, T_PAGE));
	memset(page, 0, T_PAGE);
	ASSERT_EQ(0, t_dma_push(&self->dev[0], AT, T_PAGE));
	EXPECT_EQ(-1, t_differs(page, T_PAGE, 1));
	expect_dma(_metadata, &self->dev[1], AT, page, 2);
	/* Unmapped for one is unmapped for both */
	ASSERT_EQ(T_PAGE, t_unmap(self->fd, self->id[0], AT, T_PAGE));
	expect_no_dma(_metadata, &self->dev[0], AT, page, 3);
	expect_no_dma(_metadata, &self->dev[1], AT, page, 4);
	/* One leaves, the other stays */
	ASSERT_OK(t_map_at(self->fd, self->id[0], page, T_PAGE, T_RW, AT));
	ASSERT_OK(t_vfio_detach(&self->dev[0].vfio));
	expect_dma(_metadata, &self->dev[1], AT, page, 5);
	t_fill(page, T_PAGE, 6);
	t_dma_push_blindly(&self->dev[0], AT);
	EXPECT_EQ(-1, t_differs(page, T_PAGE, 6));
}

TEST_F(pair, two_spaces)
{
	char *page[2] = { self->mem, self->mem + T_PAGE };
	int i;

	for (i = 0; i < 2; i++) {
		ASSERT_OK(t_map_at(self->fd, self->id[i], page[i], T_PAGE, T_RW, AT));
		ASSERT_OK(t_dma_up(&self->dev[i], self->fd, self->id[i]));
	}
	/* The same address, each its own memory */
	for (i = 0; i < 2; i++) {
		t_fill(page[!i], T_PAGE, 10 + i);
		expect_dma(_metadata, &self->dev[i], AT, page[i], i);
		EXPECT_EQ(-1, t_differs(page[!i], T_PAGE, 10 + i));
	}
	/* What only one space has, only its device reaches */
	ASSERT_OK(t_map_at(self->fd, self->id[0], self->mem + 2 * T_PAGE, T_PAGE, T_RW, AT + T_HUGE));
	expect_dma(_metadata, &self->dev[0], AT + T_HUGE, self->mem + 2 * T_PAGE, 20);
	expect_no_dma(_metadata, &self->dev[1], AT + T_HUGE, self->mem + 2 * T_PAGE, 21);
	/* Unmapping in one leaves the other alone */
	ASSERT_EQ(T_PAGE, t_unmap(self->fd, self->id[0], AT, T_PAGE));
	expect_no_dma(_metadata, &self->dev[0], AT, page[0], 22);
	expect_dma(_metadata, &self->dev[1], AT, page[1], 23);
}

/* One page in both spaces by COPY: a mailbox between two devices that share no more */
TEST_F(pair, shared_page_by_copy)
{
	char *page = self->mem;
	int i;

	ASSERT_OK(t_map_at(self->fd, self->id[0], page, T_PAGE, T_RW, AT));
	ASSERT_OK(t_copy_at(self->fd, self->id[0], AT, self->id[1], AT + T_HUGE, T_PAGE, T_RW));
	for (i = 0; i < 2; i++)
		ASSERT_OK(t_dma_up(&self->dev[i], self->fd, self->id[i]));
	expect_dma(_metadata, &self->dev[0], AT, page, 1);
	expect_dma(_metadata, &self->dev[1], AT + T_HUGE, page, 2);
	expect_no_dma(_metadata, &self->dev[1], AT, page, 3);
	ASSERT_EQ(T_PAGE, t_unmap(self->fd, self->id[0], AT, T_PAGE));
	expect_no_dma(_metadata, &self->dev[0], AT, page, 4);
	expect_dma(_metadata, &self->dev[1], AT + T_HUGE, page, 5);
}

TEST_HARNESS_MAIN
