/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The fixture of tests that look at a space and do not care whether a device
 * is behind it: every one of them runs on a bare space and on a space with an
 * edu attached, since the kernel takes different ways (no IOMMU domain, one).
 */
#ifndef T_SPACES_H
#define T_SPACES_H

#include <sys/mman.h>

#include "harness.h"

#define SPACE_RANGES	32
#define SPACE_PAGES	64		/* of self->mem */
#define SPACE_AT	0x100000000ULL	/* a place that every IOMMU can reach */

FIXTURE(space) {
	int fd;
	u32 id;
	char *mem;
	struct t_dma dev;
	struct ioasid_iova_range ranges[SPACE_RANGES];
	int nr_ranges;
	long pins;		/* of the whole system, before */
};

FIXTURE_VARIANT(space) {
	bool attached;
};

FIXTURE_VARIANT_ADD(space, bare) {
	.attached = false,
};

FIXTURE_VARIANT_ADD(space, attached) {
	.attached = true,
};

FIXTURE_SETUP(space)
{
	self->fd = t_open();
	ASSERT_FD(self->fd);
	ASSERT_OK(t_alloc_label(self->fd, &self->id, "test"));
	if (variant->attached) {
		NEED_DMA(&self->dev, T_EDU, 0);
		ASSERT_OK(t_vfio_attach(&self->dev.vfio, self->fd, self->id, 0));
	}
	self->nr_ranges = t_space_ranges(self->fd, self->id, self->ranges, SPACE_RANGES);
	ASSERT_GT(self->nr_ranges, 0) TH_LOG("%s", t_explain());
	self->mem = t_memory(T_ANON, SPACE_PAGES * T_PAGE);
	ASSERT_NE(NULL, self->mem);
	self->pins = t_pinned_pages();
}

/* Whatever a test did: with its last fd nothing stays pinned */
FIXTURE_TEARDOWN(space)
{
	if (variant->attached)
		t_dma_close(&self->dev);
	close(self->fd);
	if (self->pins >= 0)
		EXPECT_EQ(self->pins, t_pinned_pages());
}

#endif /* T_SPACES_H */
