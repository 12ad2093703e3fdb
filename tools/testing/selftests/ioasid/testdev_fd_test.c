// SPDX-License-Identifier: GPL-2.0
/*
 * PASIDs of a device whose RID is somebody else's, on the kernel's own VT-d
 * driver, by ioasid-testdev: beside VFIO type1 on a stock kernel, beside iommufd
 * where there is one. The PASID, the memory of a process and page requests are
 * given by the device's own file. What the device reads is asked of the device.
 */
#include <fcntl.h>
#include <linux/iommufd.h>
#include <sys/mman.h>
#include <unistd.h>

#include "harness.h"
#include "lib/testdev.h"

#define AT	0x100000000ULL
#define LEN	(4 * T_PAGE)

FIXTURE(testdev_fd) {
	int fd;
	struct t_testdev dev;
	char *mem;		/* the RID's, at AT */
	char *mem2;		/* of space id, at AT */
	u32 id;
	u32 dev_id;
	struct t_queue q;
};

FIXTURE_VARIANT(testdev_fd) {
	unsigned long iommu;
};

FIXTURE_VARIANT_ADD(testdev_fd, ours) { .iommu = VFIO_IOASID_IOMMU };
FIXTURE_VARIANT_ADD(testdev_fd, type1) { .iommu = VFIO_TYPE1v2_IOMMU };
FIXTURE_VARIANT_ADD(testdev_fd, node) { .iommu = T_VFIO_NODE };

/* The RID gets its memory from who owns it */
static int map_by_owner(FIXTURE_DATA(testdev_fd) *self, unsigned long iommu)
{
	struct vfio_device_attach_iommufd_pt pt = { .argsz = sizeof(pt) };
	struct iommu_ioas_alloc ioas = { .size = sizeof(ioas) };
	struct iommu_ioas_map map = {
		.size = sizeof(map), .iova = AT, .user_va = (uintptr_t)self->mem, .length = LEN,
		.flags = IOMMU_IOAS_MAP_FIXED_IOVA | IOMMU_IOAS_MAP_READABLE |
			 IOMMU_IOAS_MAP_WRITEABLE,
	};
	int owner = self->dev.vfio.container, ret;
	u32 id, rid = IOASID_RID;

	if (iommu == VFIO_TYPE1v2_IOMMU)
		return t_type1_map(owner, AT, self->mem, LEN,
				   VFIO_DMA_MAP_FLAG_READ | VFIO_DMA_MAP_FLAG_WRITE);
	if (iommu == VFIO_IOASID_IOMMU) {
		ret = t_alloc(self->fd, &id);
		ret = ret ?: t_map_at(self->fd, id, self->mem, LEN, T_RW, AT);
		return ret ?: t_attach_fd(self->fd, self->dev.vfio.device, id, &rid, 0, 0, NULL);
	}
	ret = t_ioctl(owner, IOMMU_IOAS_ALLOC, &ioas);
	map.ioas_id = pt.pt_id = ioas.out_ioas_id;
	ret = ret ?: t_ioctl(owner, IOMMU_IOAS_MAP, &map);
	return ret ?: t_ioctl(self->dev.vfio.device, VFIO_DEVICE_ATTACH_IOMMUFD_PT, &pt);
}

FIXTURE_SETUP(testdev_fd)
{
	struct ioasid_device_info info = { 0 };
	int ret;

	NEED(t_testdev_find(0), "needs ioasid-testdev (lab/vm run --testdev 1)");
	ret = t_testdev_open(&self->dev, 0, variant->iommu);
	NEED(ret != -EOPNOTSUPP, "needs a kernel with iommufd and VFIO device nodes");
	ASSERT_EQ(0, ret) TH_LOG("%s failed", t_vfio_step);
	self->fd = t_open();
	ASSERT_FD(self->fd);
	ASSERT_OK(t_bind_fd(self->fd, self->dev.vfio.device, &self->dev_id));
	ASSERT_OK(t_device_info(self->fd, self->dev_id, &info));
	NEED(info.caps & IOASID_DEVICE_PASID, "needs an IOMMU with PASIDs");
	self->mem = t_memory(T_ANON, LEN);
	self->mem2 = t_memory(T_ANON, LEN);
	ASSERT_NE(NULL, self->mem);
	ASSERT_NE(NULL, self->mem2);
	t_fill(self->mem, T_PAGE, 1);
	t_fill(self->mem2, T_PAGE, 2);
	ASSERT_OK(t_alloc(self->fd, &self->id));
	ASSERT_OK(t_map_at(self->fd, self->id, self->mem2, LEN, T_RW, AT));
	ASSERT_OK(map_by_owner(self, variant->iommu));
}

FIXTURE_TEARDOWN(testdev_fd)
{
	t_queue_close(&self->q);
	t_testdev_close(&self->dev);
	close(self->fd);
}

#define DEVICE	(self->dev.vfio.device)

/* The same address, other memory: by the PASID, and by the RID as before */
TEST_F(testdev_fd, beside_the_rid)
{
	u32 flags[] = { 0, TESTDEV_F_ATS }, pasid = IOASID_PASID_ANY, rid = IOASID_RID, i;

	if (variant->iommu == VFIO_IOASID_IOMMU)
		EXPECT_FAIL(EBUSY, ATTACHED, t_attach_fd(self->fd, DEVICE, self->id, &rid, 0, 0,
							 NULL));
	else
		EXPECT_FAIL(EBUSY, OWNER, t_attach_fd(self->fd, DEVICE, self->id, &rid, 0, 0,
						      NULL));
	ASSERT_OK(t_attach_fd(self->fd, DEVICE, self->id, &pasid, 0, 0, NULL));
	for (i = 0; i < 2; i++) {
		EXPECT_EQ(0, t_testdev_reads(&self->dev, pasid, flags[i], AT, 2));
		EXPECT_EQ(0, t_testdev_reads(&self->dev, 0, flags[i], AT, 1));
		EXPECT_EQ(0, t_testdev_writes(&self->dev, pasid, flags[i], AT + T_PAGE,
					      self->mem2 + T_PAGE, 10 + i));
		EXPECT_NE(0, t_testdev_reads(&self->dev, pasid + 1, flags[i], AT, 2));
	}
	EXPECT_EQ((long long)LEN, t_unmap(self->fd, self->id, AT, LEN));
	EXPECT_NE(0, t_testdev_reads(&self->dev, pasid, TESTDEV_F_ATS, AT, 2));
	EXPECT_EQ(0, t_testdev_reads(&self->dev, 0, TESTDEV_F_ATS, AT, 1));
	ASSERT_OK(t_map_at(self->fd, self->id, self->mem2, LEN, T_RW, AT));
	EXPECT_EQ(0, t_testdev_reads(&self->dev, pasid, TESTDEV_F_ATS, AT, 2));
	ASSERT_OK(t_detach_fd(self->fd, DEVICE, pasid));
	for (i = 0; i < 2; i++) {
		EXPECT_NE(0, t_testdev_reads(&self->dev, pasid, flags[i], AT, 2));
		EXPECT_EQ(0, t_testdev_reads(&self->dev, 0, flags[i], AT, 1));
	}
}

/* The context closes while the device is in use: only the PASID goes */
TEST_F(testdev_fd, context_closes)
{
	u32 pasid = IOASID_PASID_ANY;

	NEED(variant->iommu != VFIO_IOASID_IOMMU, "the RID would go, too");
	ASSERT_OK(t_attach_fd(self->fd, DEVICE, self->id, &pasid, 0, 0, NULL));
	EXPECT_EQ(0, t_testdev_reads(&self->dev, pasid, TESTDEV_F_ATS, AT, 2));
	close(self->fd);
	EXPECT_NE(0, t_testdev_reads(&self->dev, pasid, TESTDEV_F_ATS, AT, 2));
	EXPECT_NE(0, t_testdev_reads(&self->dev, pasid, 0, AT, 2));
	EXPECT_EQ(0, t_testdev_reads(&self->dev, 0, 0, AT, 1));
	self->fd = t_open();
}

/* A page request of the PASID, answered by this program, beside a RID that has none */
TEST_F(testdev_fd, page_request)
{
	struct t_testdev_cmd read = {
		.opcode = TESTDEV_OP_READ, .addr = AT, .length = 8,
		.flags = TESTDEV_F_ATS | TESTDEV_F_PRI,
	};
	u32 id, pasid = IOASID_PASID_ANY;
	struct ioasid_fault_record r;

	ASSERT_OK(t_alloc_faults(self->fd, &id));
	ASSERT_OK(t_attach_fd(self->fd, DEVICE, id, &pasid, 0x123, 0, NULL));
	ASSERT_OK(t_queue_open(&self->q, self->fd, NULL));
	ASSERT_OK(t_fault_bind(self->fd, id, 0, 0, self->q.id));
	read.pasid = pasid;
	t_testdev_begin(&self->dev, 3, &read);
	ASSERT_EQ(0, t_queue_next(&self->q, &r, 5000));
	EXPECT_EQ(IOASID_FAULT_REQUEST, r.type);
	EXPECT_EQ(0x123, r.pasid);
	EXPECT_EQ(DEVICE, r.device_cookie);
	EXPECT_EQ(self->dev_id, r.dev_id);
	ASSERT_OK(t_map_at(self->fd, id, self->mem2, LEN, T_RW, AT));
	ASSERT_EQ(0, t_queue_answer(&self->q, r.cookie, IOASID_FAULT_SUCCESS));
	EXPECT_EQ(0, t_testdev_end(&self->dev, 3, &read, 5000));
	EXPECT_EQ(0, t_testdev_reads(&self->dev, pasid, TESTDEV_F_ATS, AT, 2));
}

/* Plain memory of this process, beside a RID that sees only what is mapped */
TEST_F(testdev_fd, process)
{
	char *mem = mmap(NULL, LEN, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	u32 id, pasid = IOASID_PASID_ANY, pri = TESTDEV_F_ATS | TESTDEV_F_PRI;

	ASSERT_NE(MAP_FAILED, mem);
	NEED(t_shares_mm(self->fd), "needs a kernel that shares a process' memory");
	ASSERT_OK(t_alloc_mm(self->fd, &id));
	ASSERT_OK(t_attach_fd(self->fd, DEVICE, id, &pasid, 0, 0, NULL));
	EXPECT_EQ(0, t_testdev_writes(&self->dev, pasid, pri, (uintptr_t)mem, mem, 6));
	EXPECT_EQ(0, t_testdev_reads(&self->dev, pasid, pri, (uintptr_t)mem, 6));
	EXPECT_NE(0, t_testdev_reads(&self->dev, 0, 0, (uintptr_t)mem, 6));
	EXPECT_EQ(0, t_testdev_reads(&self->dev, 0, 0, AT, 1));
	/* All of it by one command */
	ASSERT_OK(t_unbind_fd(self->fd, DEVICE));
	EXPECT_NE(0, t_testdev_reads(&self->dev, pasid, TESTDEV_F_ATS, (uintptr_t)mem, 6));
	munmap(mem, LEN);
}

TEST_HARNESS_MAIN
