// SPDX-License-Identifier: GPL-2.0
/*
 * A device that has PASIDs, behind an IOMMU that has them, below a switch without
 * access control services: the kernel does not enable them. Its IOMMU core
 * attaches a PASID all the same, with success, and nothing comes through. That
 * must be refused, with the reason, before anything is done.
 */
#include <unistd.h>

#include "harness.h"
#include "lib/testdev.h"

#define AT	0x100000000ULL

FIXTURE(acs) {
	int fd;
	struct t_testdev good;
	struct t_testdev bad;
	u32 space;
	char *mem;
};

FIXTURE_SETUP(acs)
{
	/* There may be more of them; the one below the switch comes last */
	int last = t_testdev_find(2) ? 2 : 1;

	NEED(t_testdev_find(1), "needs two ioasid-testdev, the last one below a switch");
	self->fd = t_open();
	ASSERT_FD(self->fd);
	ASSERT_EQ(0, t_testdev_open(&self->good, 0, VFIO_IOASID_IOMMU));
	ASSERT_EQ(0, t_testdev_open(&self->bad, last, VFIO_IOASID_IOMMU));
	ASSERT_OK(t_alloc(self->fd, &self->space));
	ASSERT_OK(t_vfio_attach(&self->good.vfio, self->fd, self->space, 0));
	ASSERT_OK(t_vfio_attach(&self->bad.vfio, self->fd, self->space, 0));
	self->mem = t_memory(T_ANON, T_PAGE);
	ASSERT_NE(NULL, self->mem);
	t_fill(self->mem, T_PAGE, 1);
	ASSERT_OK(t_map_at(self->fd, self->space, self->mem, T_PAGE, T_RW, AT));
}

FIXTURE_TEARDOWN(acs)
{
	t_testdev_close(&self->good);
	t_testdev_close(&self->bad);
	close(self->fd);
}

TEST_F(acs, not_enabled)
{
	u32 good = self->good.vfio.dev_id, bad = self->bad.vfio.dev_id, p, q, mm;
	u32 both[] = { good, bad };
	struct ioasid_device_info info = { .size = sizeof(info) };

	/* It could, and is not allowed to */
	ASSERT_LT(0, t_testdev_read32(&self->bad, TESTDEV_PASID_BITS));
	ASSERT_EQ(0, t_testdev_read32(&self->bad, TESTDEV_ENABLED) & TESTDEV_HAS_PASID);
	ASSERT_OK(t_device_info(self->fd, bad, &info));
	EXPECT_EQ(0, info.caps & IOASID_DEVICE_PASID);
	EXPECT_EQ(0, info.pasid_bits);
	info.nr_ranges = 0;
	ASSERT_OK(t_device_info(self->fd, good, &info));
	ASSERT_TRUE(info.caps & IOASID_DEVICE_PASID);
	EXPECT_FAIL(EOPNOTSUPP, NO_PASID, t_pasid_alloc(self->fd, bad, 1, &p));
	ASSERT_OK(t_pasid_alloc(self->fd, good, 1, &p));
	q = p;
	EXPECT_FAIL(EOPNOTSUPP, NO_PASID, t_attach_pasid(self->fd, bad, self->space, &q, 0, 0));
	EXPECT_EQ(bad, t_extack.dev_id);
	q = IOASID_PASID_ANY;
	EXPECT_FAIL(EOPNOTSUPP, NO_PASID, t_attach_pasid(self->fd, bad, self->space, &q, 0, 0));
	if (t_shares_mm(self->fd)) {
		ASSERT_OK(t_alloc_mm(self->fd, &mm));
		EXPECT_FAIL(EOPNOTSUPP, NO_PASID, t_attach_pasid(self->fd, bad, mm, &q, 0, 0));
	}
	/* Nor with one that can: that one is as it was */
	q = p;
	EXPECT_FAIL(EOPNOTSUPP, NO_PASID, t_attach_many(self->fd, both, 2, self->space, &q, 0));
	EXPECT_EQ(1, t_extack.index);
	EXPECT_NE(0, t_testdev_reads(&self->good, p, 0, AT, 1));
	/* By their RIDs both of them work */
	EXPECT_EQ(0, t_testdev_reads(&self->good, 0, 0, AT, 1));
	EXPECT_EQ(0, t_testdev_reads(&self->bad, 0, 0, AT, 1));
	q = p;
	ASSERT_OK(t_attach_pasid(self->fd, good, self->space, &q, 0, 0));
	EXPECT_EQ(0, t_testdev_reads(&self->good, p, 0, AT, 1));
}

TEST_HARNESS_MAIN
