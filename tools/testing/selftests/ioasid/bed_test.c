// SPDX-License-Identifier: GPL-2.0
/*
 * The bed itself, through VFIO type1 and without /dev/ioasid: do the devices
 * do DMA, does the IOMMU refuse what is not mapped, do our device drivers get
 * over it? If these fail, no other failure means anything.
 */
#include "harness.h"

#define AT	0x100000000ULL
#define LEN	(1024 * 1024)
#define RW	(VFIO_DMA_MAP_FLAG_READ | VFIO_DMA_MAP_FLAG_WRITE)

FIXTURE(bed) {
	struct t_dma dev;
	char *mem;
	int container;
};

FIXTURE_VARIANT(bed) {
	enum t_pci_kind kind;
	int nth;
};

FIXTURE_VARIANT_ADD(bed, edu_1) { .kind = T_EDU, .nth = 0 };
FIXTURE_VARIANT_ADD(bed, edu_2) { .kind = T_EDU, .nth = 1 };
FIXTURE_VARIANT_ADD(bed, nvme_1) { .kind = T_NVME, .nth = 0 };
FIXTURE_VARIANT_ADD(bed, nvme_2) { .kind = T_NVME, .nth = 1 };

FIXTURE_VARIANT_ADD(bed, sibling) { .kind = T_SIBLING, .nth = 1 };

FIXTURE_SETUP(bed)
{
	int ret = t_dma_open(&self->dev, variant->kind, variant->nth, VFIO_TYPE1v2_IOMMU);

	NEED(ret != -ENOENT, "no such device here");
	ASSERT_EQ(0, ret) TH_LOG("%s failed", t_vfio_step);
	self->container = self->dev.vfio.container;
	self->mem = t_memory(T_ANON, LEN);
	ASSERT_NE(NULL, self->mem);
	ASSERT_EQ(0, t_type1_map(self->container, self->dev.own_iova, self->dev.own,
				 T_DMA_OWN_BYTES, RW));
	ASSERT_EQ(0, t_dma_start(&self->dev));
}

FIXTURE_TEARDOWN(bed)
{
	t_dma_close(&self->dev);
}

TEST_F(bed, dma_both_ways)
{
	u32 len = self->dev.fast ? LEN / 2 : 2 * T_EDU_BUFFER;

	ASSERT_EQ(0, t_type1_map(self->container, AT, self->mem, LEN, RW));
	t_fill(self->mem, len, 1);
	ASSERT_EQ(0, t_dma_copy(&self->dev, AT + LEN / 2, AT, len));
	EXPECT_EQ(-1, t_differs(self->mem + LEN / 2, len, 1));
	EXPECT_EQ(t_crc32(self->mem, len), t_crc32(self->mem + LEN / 2, len));
}

TEST_F(bed, unaligned_dma)
{
	ASSERT_EQ(0, t_type1_map(self->container, AT, self->mem, LEN, RW));
	t_fill(self->mem, 3 * T_PAGE, 2);
	ASSERT_EQ(0, t_dma_pull(&self->dev, AT + T_PAGE - 512, 4096));
	ASSERT_EQ(0, t_dma_push(&self->dev, AT + 8 * T_PAGE + 1024, 4096));
	EXPECT_EQ(0, memcmp(self->mem + T_PAGE - 512, self->mem + 8 * T_PAGE + 1024, 4096));
	EXPECT_EQ(-1, t_not_byte(self->mem + 9 * T_PAGE + 1024, T_PAGE, 0));
}

TEST_F(bed, refused_dma_changes_nothing)
{
	EXPECT_EQ(0, t_dma_writes(&self->dev, AT, self->mem));
	t_fill(self->mem, T_PAGE, 3);
	EXPECT_EQ(0, t_dma_reads(&self->dev, AT, self->mem));
	ASSERT_EQ(0, t_type1_map(self->container, AT, self->mem, LEN, RW));
	EXPECT_EQ(1, t_dma_reads(&self->dev, AT, self->mem));
	EXPECT_EQ(1, t_dma_writes(&self->dev, AT, self->mem));
	ASSERT_EQ(0, t_type1_unmap(self->container, AT, LEN));
	t_fill(self->mem, T_PAGE, 4);
	EXPECT_EQ(0, t_dma_writes(&self->dev, AT, self->mem));
	EXPECT_EQ(0, t_dma_reads(&self->dev, AT, self->mem));
}

/* Cut from its own queues, a controller answers nothing; mapped again, it works */
TEST_F(bed, comes_back_after_losing_its_queues)
{
	ASSERT_EQ(0, t_type1_map(self->container, AT, self->mem, LEN, RW));
	ASSERT_EQ(0, t_type1_unmap(self->container, self->dev.own_iova, T_DMA_OWN_BYTES));
	t_dma_push_blindly(&self->dev, AT);
	t_dma_push_blindly(&self->dev, AT);
	ASSERT_EQ(0, t_type1_map(self->container, self->dev.own_iova, self->dev.own,
				 T_DMA_OWN_BYTES, RW));
	ASSERT_EQ(0, t_dma_start(&self->dev));
	t_fill(self->mem, T_PAGE, 5);
	EXPECT_EQ(1, t_dma_reads(&self->dev, AT, self->mem));
}

TEST_F(bed, reset)
{
	NEED(t_vfio_can_reset(&self->dev.vfio), "the device has no reset");
	ASSERT_EQ(0, t_type1_map(self->container, AT, self->mem, LEN, RW));
	ASSERT_EQ(0, t_vfio_reset(&self->dev.vfio));
	ASSERT_EQ(0, t_dma_start(&self->dev));
	EXPECT_EQ(1, t_dma_reads(&self->dev, AT, self->mem));
}

/* The speed that the other tests count on */
TEST_F(bed, speed)
{
	int i, nr = self->dev.fast ? t_rounds(2000) : 5;
	uint64_t start;

	ASSERT_EQ(0, t_type1_map(self->container, AT, self->mem, LEN, RW));
	if (self->dev.nvme.bar)
		EXPECT_NE(0, self->dev.nvme.nr_blocks);
	start = t_now_ns();
	for (i = 0; i < nr; i++)
		ASSERT_EQ(0, t_dma_push(&self->dev, AT + i % 64 * T_PAGE, T_PAGE));
	TH_LOG("%s: %d DMAs of 4 KiB, one after the other, in %llu ms", self->dev.vfio.addr, nr,
	       (unsigned long long)(t_now_ns() - start) / 1000000);
	EXPECT_WITHIN_MS(self->dev.fast ? 10 * nr : 20000, start);
}

TEST_HARNESS_MAIN
