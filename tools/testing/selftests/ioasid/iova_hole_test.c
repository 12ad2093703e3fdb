// SPDX-License-Identifier: GPL-2.0
/*
 * The order of things: mappings before the first device, between devices and
 * after them, spaces that lose their last device and get another one. However
 * it came about, all that is mapped must be reachable and nothing else.
 */
#include <pthread.h>
#include <sys/mman.h>

#include "harness.h"

#define AT	0x100000000ULL
#define NR	48		/* mappings of populate() */

FIXTURE(hole) {
	int fd;
	u32 id[2];
	char *mem[2];
	char *big;		/* huge pages if there are any */
	struct t_dma dev;
	struct t_vfio *vfio;
	long pins;
};

FIXTURE_VARIANT(hole) {
	enum t_pci_kind kind;
};

FIXTURE_VARIANT_ADD(hole, edu) { .kind = T_EDU };
FIXTURE_VARIANT_ADD(hole, nvme) { .kind = T_NVME };

FIXTURE_SETUP(hole)
{
	int i;

	self->pins = t_pinned_pages();
	NEED_DMA(&self->dev, variant->kind, 0);
	NEED(t_phys(self->dev.own), "no /proc/self/pagemap");
	self->vfio = &self->dev.vfio;
	self->fd = t_open();
	ASSERT_FD(self->fd);
	for (i = 0; i < 2; i++) {
		ASSERT_OK(t_alloc(self->fd, &self->id[i]));
		self->mem[i] = t_memory(T_ANON, NR * T_PAGE);
		t_fill(self->mem[i], NR * T_PAGE, i);
	}
	self->big = t_memory(T_THP, 2 * T_HUGE);
	if (!self->big)
		self->big = t_memory(T_ANON, 2 * T_HUGE);
	ASSERT_OK(t_dma_map_own(&self->dev, self->fd, self->id[0]));
	ASSERT_OK(t_copy_at(self->fd, self->id[0], self->dev.own_iova, self->id[1],
			    self->dev.own_iova, T_DMA_OWN_BYTES, T_RW));
}

FIXTURE_TEARDOWN(hole)
{
	t_dma_close(&self->dev);
	close(self->fd);
	if (self->pins >= 0)
		EXPECT_EQ(self->pins, t_pinned_pages());
}

/* Mapping @i: its IOVA leaves holes of every size, its memory goes backwards */
static u64 iova_of(int i)
{
	return AT + i * (i + 1) / 2 * T_PAGE;
}

static char *mem_of(FIXTURE_DATA(hole) *self, int space, int i)
{
	return self->mem[space] + (NR - 1 - i) * T_PAGE;
}

#define BIG_AT	(AT + 64 * T_HUGE)

static void populate(struct __test_metadata *_metadata, FIXTURE_DATA(hole) *self, int space)
{
	int i;

	for (i = 0; i < NR; i++)
		ASSERT_OK(t_map_at(self->fd, self->id[space], mem_of(self, space, i), T_PAGE, T_RW,
				   iova_of(i)));
	ASSERT_OK(t_map_at(self->fd, self->id[space], self->big + space * T_PAGE, T_HUGE + 7 * T_PAGE,
			   T_RW, BIG_AT + space * T_PAGE));
}

/* Every page that should be there is, by the IOMMU's own table; every hole is one */
static void expect_table(struct __test_metadata *_metadata, FIXTURE_DATA(hole) *self, int space)
{
	struct ioasid_translate tr;
	u64 off;
	int i;

	for (i = 0; i < NR; i++) {
		ASSERT_OK(t_translate(self->fd, self->id[space], iova_of(i), IOASID_TRANSLATE_PHYS, &tr));
		ASSERT_EQ(t_phys(mem_of(self, space, i)), tr.phys) TH_LOG("mapping %d", i);
		if (i)
			EXPECT_EQ(-ENOENT, t_translate(self->fd, self->id[space], iova_of(i) + T_PAGE,
						       IOASID_TRANSLATE_PHYS, &tr));
	}
	for (off = 0; off < T_HUGE + 7 * T_PAGE; off += 61 * T_PAGE) {
		ASSERT_OK(t_translate(self->fd, self->id[space], BIG_AT + space * T_PAGE + off,
				      IOASID_TRANSLATE_PHYS, &tr));
		ASSERT_EQ(t_phys(self->big + space * T_PAGE + off), tr.phys);
	}
}

/* DMA to the first, one of the middle and the last page, and to a hole */
static void expect_space(struct __test_metadata *_metadata, FIXTURE_DATA(hole) *self, int space)
{
	static const int probes[] = { 0, NR / 2, NR - 1 };
	size_t i;

	expect_table(_metadata, self, space);
	ASSERT_EQ(0, t_dma_start(&self->dev));
	for (i = 0; i < ARRAY_SIZE(probes); i++) {
		char *page = mem_of(self, space, probes[i]);

		EXPECT_EQ(1, t_dma_reads(&self->dev, iova_of(probes[i]), page));
	}
	EXPECT_EQ(0, t_dma_reads(&self->dev, iova_of(NR - 1) + T_PAGE, mem_of(self, space, NR - 1)));
	EXPECT_EQ(1, t_dma_reads(&self->dev, BIG_AT + T_HUGE, self->big + T_HUGE));
}

TEST_F(hole, mapped_before_the_first_attach)
{
	populate(_metadata, self, 0);
	ASSERT_OK(t_vfio_attach(self->vfio, self->fd, self->id[0], 0));
	expect_space(_metadata, self, 0);
}

TEST_F(hole, mapped_after_the_attach)
{
	ASSERT_OK(t_vfio_attach(self->vfio, self->fd, self->id[0], 0));
	populate(_metadata, self, 0);
	expect_space(_metadata, self, 0);
}

TEST_F(hole, unmapped_before_the_first_attach)
{
	populate(_metadata, self, 0);
	EXPECT_EQ(T_PAGE, t_unmap(self->fd, self->id[0], iova_of(NR / 2), T_PAGE));
	ASSERT_OK(t_vfio_attach(self->vfio, self->fd, self->id[0], 0));
	ASSERT_EQ(0, t_dma_start(&self->dev));
	EXPECT_EQ(0, t_dma_reads(&self->dev, iova_of(NR / 2), mem_of(self, 0, NR / 2)));
	ASSERT_OK(t_map_at(self->fd, self->id[0], mem_of(self, 0, NR / 2), T_PAGE, T_RW,
			   iova_of(NR / 2)));
	expect_space(_metadata, self, 0);
}

/* Changed while no device is there: the next one sees the new state */
TEST_F(hole, changed_between_devices)
{
	int i;

	populate(_metadata, self, 0);
	ASSERT_OK(t_vfio_attach(self->vfio, self->fd, self->id[0], 0));
	expect_space(_metadata, self, 0);
	ASSERT_OK(t_vfio_detach(self->vfio));
	/* Everything elsewhere: what was even is exchanged with what was odd */
	for (i = 0; i < NR; i++)
		ASSERT_EQ(T_PAGE, t_unmap(self->fd, self->id[0], iova_of(i), T_PAGE));
	for (i = 0; i < NR; i++)
		ASSERT_OK(t_map_at(self->fd, self->id[0], mem_of(self, 0, i ^ 1), T_PAGE, T_RW,
				   iova_of(i)));
	ASSERT_OK(t_vfio_attach(self->vfio, self->fd, self->id[0], 0));
	ASSERT_EQ(0, t_dma_start(&self->dev));
	for (i = 0; i < NR; i += 13)
		EXPECT_EQ(1, t_dma_reads(&self->dev, iova_of(i), mem_of(self, 0, i ^ 1)));
	EXPECT_EQ(0, t_dma_reads(&self->dev, iova_of(4), mem_of(self, 0, 4)));
}

TEST_F(hole, second_device_joins)
{
	struct t_dma second;

	populate(_metadata, self, 0);
	ASSERT_OK(t_vfio_attach(self->vfio, self->fd, self->id[0], 0));
	NEED_DMA(&second, T_EDU, variant->kind == T_EDU);
	second.own_iova += T_DMA_OWN_BYTES;
	ASSERT_OK(t_dma_up(&second, self->fd, self->id[0]));
	EXPECT_EQ(1, t_dma_reads(&second, iova_of(NR - 1), mem_of(self, 0, NR - 1)));
	EXPECT_EQ(1, t_dma_reads(&second, BIG_AT + T_HUGE, self->big + T_HUGE));
	/* The first goes, the page tables must not */
	ASSERT_OK(t_vfio_detach(self->vfio));
	EXPECT_EQ(1, t_dma_reads(&second, iova_of(1), mem_of(self, 0, 1)));
	expect_table(_metadata, self, 0);
	ASSERT_OK(t_vfio_attach(self->vfio, self->fd, self->id[0], 0));
	t_dma_close(&second);
	expect_space(_metadata, self, 0);
}

TEST_F(hole, replace_between_populated_spaces)
{
	int i;

	populate(_metadata, self, 0);
	populate(_metadata, self, 1);
	ASSERT_OK(t_vfio_attach(self->vfio, self->fd, self->id[0], 0));
	for (i = 0; i < 3; i++) {
		expect_space(_metadata, self, i % 2);
		/* The other space's memory, at the same address, is out of reach */
		EXPECT_EQ(0, t_dma_reads(&self->dev, iova_of(7), mem_of(self, !(i % 2), 7)));
		ASSERT_OK(t_attach(self->fd, self->vfio->dev_id, self->id[!(i % 2)],
				   IOASID_ATTACH_REPLACE));
	}
	expect_space(_metadata, self, 1);
}

/* A device that cannot have the space leaves it as it was */
TEST_F(hole, failed_attach_leaves_the_space)
{
	populate(_metadata, self, 0);
	ASSERT_OK(t_map_at(self->fd, self->id[0], self->mem[1], T_PAGE, T_RW, 0xfee00000));
	EXPECT_FAIL(EADDRINUSE, RESERVED, t_vfio_attach(self->vfio, self->fd, self->id[0], 0));
	EXPECT_EQ(T_PAGE, t_unmap(self->fd, self->id[0], 0xfee00000, T_PAGE));
	ASSERT_OK(t_vfio_attach(self->vfio, self->fd, self->id[0], 0));
	expect_space(_metadata, self, 0);
}

TEST_F_TIMEOUT(hole, attach_to_many_mappings, 300)
{
	u32 nr = t_mappings(IOASID_MAX_VECTOR), i;
	struct ioasid_map_range *r = calloc(nr, sizeof(*r));
	struct ioasid_translate tr;
	uint64_t start;

	for (i = 0; i < nr; i++)
		r[i] = (struct ioasid_map_range){ AT + i * 3 * T_PAGE,
						  (uintptr_t)self->mem[0] + i % NR * T_PAGE,
						  T_PAGE, T_FIXED_RW, 0 };
	ASSERT_OK(t_mapv(self->fd, self->id[0], r, nr));
	start = t_now_ns();
	ASSERT_OK(t_vfio_attach(self->vfio, self->fd, self->id[0], 0));
	TH_LOG("attached to %u mappings in %llu us", nr,
	       (unsigned long long)(t_now_ns() - start) / 1000);
	for (i = 0; i < nr; i += 997) {
		ASSERT_OK(t_translate(self->fd, self->id[0], r[i].iova, IOASID_TRANSLATE_PHYS, &tr));
		ASSERT_EQ(t_phys((char *)(uintptr_t)r[i].addr), tr.phys);
	}
	start = t_now_ns();
	ASSERT_OK(t_vfio_detach(self->vfio));
	TH_LOG("detached in %llu us", (unsigned long long)(t_now_ns() - start) / 1000);
	EXPECT_EQ(nr + 1 + 1, t_nr_mappings(self->fd));
}

/* --- all at once ----------------------------------------------------------------- */

struct changer {
	FIXTURE_DATA(hole) *self;
	bool stop;
	int failed;
	long rounds;
};

static void *changes_mappings(void *arg)
{
	struct changer *c = arg;
	FIXTURE_DATA(hole) *self = c->self;
	u32 seed = 5, kept[NR] = { 0 };
	int i;

	while (!__atomic_load_n(&c->stop, __ATOMIC_RELAXED)) {
		seed = seed * 1103515245 + 12345;
		i = (seed >> 16) % NR;
		if (kept[i] && t_unmap(self->fd, self->id[0], iova_of(i), T_PAGE) != T_PAGE)
			c->failed = __LINE__;
		if (!kept[i] && t_map_at(self->fd, self->id[0], mem_of(self, 0, i), T_PAGE, T_RW,
					 iova_of(i)))
			c->failed = __LINE__;
		if (c->failed) {
			fprintf(stderr, "# changer, round %ld: %s\n", c->rounds, t_explain());
			break;
		}
		kept[i] ^= 1;
		__atomic_fetch_add(&c->rounds, 1, __ATOMIC_RELAXED);
	}
	for (i = 0; i < NR; i++)
		if (!kept[i] && t_map_at(self->fd, self->id[0], mem_of(self, 0, i), T_PAGE, T_RW,
					 iova_of(i)))
			c->failed = __LINE__;
	return NULL;
}

static long rounds(struct changer *c)
{
	return __atomic_load_n(&c->rounds, __ATOMIC_RELAXED);
}

#define ATTACHES	500	/* at least, and a tenth as many changes */

/* Devices come and go while the space changes: in the end its table is right */
TEST_F_TIMEOUT(hole, attach_while_mapping, 300)
{
	struct changer c = { .self = self };
	uint64_t end = t_end_of_patience(5000);
	long attaches = 0, want = t_rounds(ATTACHES), before;
	pthread_t thread;

	ASSERT_OK(t_vfio_bind(self->vfio, self->fd));
	ASSERT_EQ(0, pthread_create(&thread, NULL, changes_mappings, &c));
	while (!c.failed &&
	       (attaches < want || (rounds(&c) < want / 10 && t_now_ns() < end))) {
		ASSERT_OK(t_attach(self->fd, self->vfio->dev_id, self->id[0], 0));
		ASSERT_OK(t_attach(self->fd, self->vfio->dev_id, self->id[1], IOASID_ATTACH_REPLACE));
		if (attaches % 2)
			ASSERT_OK(t_attach(self->fd, self->vfio->dev_id, self->id[0],
					   IOASID_ATTACH_REPLACE));
		ASSERT_OK(t_detach(self->fd, self->vfio->dev_id));
		attaches++;
	}
	ASSERT_OK(t_attach(self->fd, self->vfio->dev_id, self->id[0], 0));
	/* And goes on when it is attached for good */
	before = rounds(&c);
	while (!c.failed && rounds(&c) < before + 10 && t_now_ns() < end)
		t_sleep_ms(1);
	__atomic_store_n(&c.stop, true, __ATOMIC_RELAXED);
	pthread_join(thread, NULL);
	EXPECT_EQ(0, c.failed);
	TH_LOG("%ld rounds of attaching, %ld changes", attaches, c.rounds);
	ASSERT_OK(t_map_at(self->fd, self->id[0], self->big, T_HUGE + 7 * T_PAGE, T_RW, BIG_AT));
	expect_space(_metadata, self, 0);
}

TEST_HARNESS_MAIN
