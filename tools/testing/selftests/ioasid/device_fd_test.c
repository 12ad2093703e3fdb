// SPDX-License-Identifier: GPL-2.0
/*
 * Devices that are attached by their own file, whoever owns their RID: a
 * container of ours, one of type1, or an empty iommufd that a device node is
 * bound to. Who may, what fails and why, and how long a file stays open.
 * Whether DMA goes where it should is asked of the device, never of the kernel.
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/iommufd.h>
#include <pthread.h>
#include <signal.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "harness.h"

#define AT	0x100000000ULL
#define LEN	(4 * T_PAGE)

FIXTURE(device_fd) {
	int fd;
	struct t_dma dev;
	u32 id;			/* a space with mem at AT, and what the device wants */
	char *mem;
	bool pasids;
	long pins;
};

FIXTURE_VARIANT(device_fd) {
	unsigned long iommu;
};

FIXTURE_VARIANT_ADD(device_fd, ours) { .iommu = VFIO_IOASID_IOMMU };
FIXTURE_VARIANT_ADD(device_fd, type1) { .iommu = VFIO_TYPE1v2_IOMMU };
FIXTURE_VARIANT_ADD(device_fd, node) { .iommu = T_VFIO_NODE };

/* A file or memory that outlives its test makes the next one fail */
FIXTURE_SETUP(device_fd)
{
	struct ioasid_device_info info = { 0 };
	u32 dev_id;
	int ret;

	self->pins = t_pinned_pages();
	ret = t_dma_open(&self->dev, T_EDU, 0, variant->iommu);
	NEED(ret != -ENOENT, "needs an edu, or ioasid_sim in its place");
	NEED(ret != -EOPNOTSUPP, "needs a kernel with iommufd and VFIO device nodes");
	ASSERT_EQ(0, ret) TH_LOG("%s failed", t_vfio_step);
	self->fd = t_open();
	ASSERT_FD(self->fd);
	ASSERT_OK(t_bind_fd(self->fd, self->dev.vfio.device, &dev_id));
	ASSERT_OK(t_device_info(self->fd, dev_id, &info));
	self->pasids = info.caps & IOASID_DEVICE_PASID;
	ASSERT_OK(t_unbind(self->fd, dev_id));
	ASSERT_OK(t_alloc(self->fd, &self->id));
	self->mem = t_memory(T_ANON, 2 * LEN);
	ASSERT_NE(NULL, self->mem);
	t_fill(self->mem, LEN, 1);
	t_fill(self->mem + LEN, LEN, 2);
	ASSERT_OK(t_map_at(self->fd, self->id, self->mem, LEN, T_RW, AT));
	ASSERT_OK(t_dma_map_own(&self->dev, self->fd, self->id));
}

static int is_free(const char *addr, unsigned long iommu);

FIXTURE_TEARDOWN(device_fd)
{
	char addr[T_PCI_ADDR];

	snprintf(addr, sizeof(addr), "%s", self->dev.vfio.addr);
	t_dma_close(&self->dev);
	close(self->fd);
	EXPECT_EQ(0, is_free(addr, variant->iommu));
	if (self->pins >= 0)
		EXPECT_EQ(self->pins, t_pinned_pages_settled(self->pins));
}

/* Nobody has the device any more. The last reference can be put after close() returns */
static int is_free(const char *addr, unsigned long iommu)
{
	u64 end = t_end_of_patience(5000);
	struct t_vfio v;
	int ret;

	while ((ret = t_vfio_open(&v, addr, iommu)) && t_now_ns() < end)
		t_sleep_ms(20);
	if (!ret)
		t_vfio_close(&v);
	return ret;
}

/* As is_free(), but it is expected that somebody has it */
static bool is_held(const char *addr, unsigned long iommu)
{
	struct t_vfio v;

	t_sleep_ms(50);
	if (t_vfio_open(&v, addr, iommu))
		return true;
	t_vfio_close(&v);
	return false;
}

static u32 nr_devices(int fd)
{
	struct ioasid_info info;

	return t_info(fd, &info) ? ~0U : info.nr_devices;
}

static int attach_rid(FIXTURE_DATA(device_fd) *self, u32 flags, u32 *dev_id)
{
	u32 rid = IOASID_RID;

	return t_attach_fd(self->fd, self->dev.vfio.device, self->id, &rid, 0, flags, dev_id);
}

/* By PASID; only endpoints of ioasid_sim can */
static int reads(struct t_dma *d, u32 pasid, u64 iova, u32 seed)
{
	struct ioasid_sim_command cmd = {
		.opcode = IOASID_SIM_OP_READ, .iova = iova, .length = T_PAGE,
		.pasid = pasid, .flags = pasid ? IOASID_SIM_CMD_PASID : 0,
	};
	struct ioasid_sim_completion c;
	int ret;

	memset(t_sim_buffer(&d->sim, 0), 0, T_PAGE);
	ret = t_sim_run(&d->sim, &cmd, &c) ?: t_sim_error(&c);
	if (ret)
		return ret;
	return t_differs(t_sim_buffer(&d->sim, 0), T_PAGE, seed) < 0 ? 0 : -EILSEQ;
}

/* For type1, whose RID is its own: everything is about a PASID */
#define IS_TYPE1	(variant->iommu == VFIO_TYPE1v2_IOMMU)
#define NEED_RID	NEED(!IS_TYPE1, "the RID is type1's")
#define NEED_PASIDS	NEED(self->pasids && t_on_sim(), "needs PASIDs of ioasid_sim")
/* An attach that this owner leaves room for */
#define NEED_ATTACH	NEED(!IS_TYPE1 || self->pasids, "needs a PASID, the RID is type1's")

static int attach_any(FIXTURE_DATA(device_fd) *self, unsigned long iommu, int fd, u32 id,
		      u32 *dev_id)
{
	u32 pasid = iommu == VFIO_TYPE1v2_IOMMU ? IOASID_PASID_ANY : IOASID_RID;

	return t_attach_fd(fd, self->dev.vfio.device, id, &pasid, 0, 0, dev_id);
}

TEST_F(device_fd, rid)
{
	struct ioasid_device_info info;
	struct ioasid_info ctx;
	u32 dev_id, again;

	NEED_RID;
	ASSERT_OK(t_info(self->fd, &ctx));
	EXPECT_TRUE(ctx.caps & IOASID_CAP_DEVICE_FD);
	EXPECT_EQ(0, ctx.nr_devices);
	ASSERT_OK(attach_rid(self, 0, &dev_id));
	ASSERT_OK(t_dma_start(&self->dev));
	EXPECT_EQ(1, t_dma_reads(&self->dev, AT, self->mem));
	ASSERT_OK(t_device_info(self->fd, dev_id, &info));
	EXPECT_STREQ("vfio", info.owner);
	EXPECT_STREQ(self->dev.vfio.addr, info.name);
	EXPECT_EQ(self->id, info.ioasid);
	EXPECT_EQ(self->dev.vfio.device, info.cookie);
	EXPECT_EQ(1, nr_devices(self->fd));
	EXPECT_FAIL(EBUSY, ATTACHED, attach_rid(self, 0, &again));
	EXPECT_FAIL(EBUSY, IN_USE, t_free(self->fd, self->id));
	ASSERT_OK(t_detach_fd(self->fd, self->dev.vfio.device, 0));
	EXPECT_EQ(0, nr_devices(self->fd));
	t_dma_push_blindly(&self->dev, AT);
	EXPECT_EQ(-1, t_differs(self->mem, LEN, 1));
	EXPECT_FAIL(ENOENT, NO_DEVICE_ID, t_device_info(self->fd, dev_id, &info));
	EXPECT_FAIL(ENOENT, NOT_ATTACHED, t_detach_fd(self->fd, self->dev.vfio.device, 0));
	EXPECT_FAIL(ENOENT, NO_DEVICE_ID, t_unbind_fd(self->fd, self->dev.vfio.device));
}

TEST_F(device_fd, replace)
{
	u32 dev_id, other, rid = IOASID_RID;

	NEED_RID;
	ASSERT_OK(t_alloc(self->fd, &other));
	ASSERT_OK(t_map_at(self->fd, other, self->mem + LEN, LEN, T_RW, AT));
	ASSERT_OK(t_dma_map_own(&self->dev, self->fd, other));
	/* What is attached nowhere is attached */
	ASSERT_OK(attach_rid(self, IOASID_ATTACH_REPLACE, &dev_id));
	ASSERT_OK(t_dma_start(&self->dev));
	EXPECT_EQ(1, t_dma_reads(&self->dev, AT, self->mem));
	ASSERT_OK(t_attach_fd(self->fd, self->dev.vfio.device, other, &rid, 0,
			      IOASID_ATTACH_REPLACE, NULL));
	ASSERT_OK(t_dma_start(&self->dev));
	EXPECT_EQ(1, t_dma_reads(&self->dev, AT, self->mem + LEN));
	ASSERT_OK(t_free(self->fd, self->id));
	ASSERT_OK(t_detach(self->fd, dev_id));
	EXPECT_EQ(0, nr_devices(self->fd));
}

/* The RID is type1's or iommufd's: EBUSY, with the reason, and its DMA goes on */
TEST_F(device_fd, rid_of_the_owner)
{
	struct vfio_device_attach_iommufd_pt pt = { .argsz = sizeof(pt) };
	struct iommu_ioas_alloc ioas = { .size = sizeof(ioas) };
	struct iommu_ioas_map map = {
		.size = sizeof(map), .iova = AT, .user_va = (uintptr_t)self->mem, .length = LEN,
		.flags = IOMMU_IOAS_MAP_FIXED_IOVA | IOMMU_IOAS_MAP_READABLE |
			 IOMMU_IOAS_MAP_WRITEABLE,
	};
	int container = self->dev.vfio.container;
	u32 dev_id = 77;

	NEED(variant->iommu != VFIO_IOASID_IOMMU, "the RID is nobody's");
	if (IS_TYPE1) {
		ASSERT_EQ(0, t_type1_map(container, AT, self->mem, LEN,
					 VFIO_DMA_MAP_FLAG_READ | VFIO_DMA_MAP_FLAG_WRITE));
		ASSERT_EQ(0, t_type1_map(container, self->dev.own_iova, self->dev.own,
					 T_DMA_OWN_BYTES,
					 VFIO_DMA_MAP_FLAG_READ | VFIO_DMA_MAP_FLAG_WRITE));
	} else {
		ASSERT_EQ(0, t_ioctl(container, IOMMU_IOAS_ALLOC, &ioas));
		map.ioas_id = pt.pt_id = ioas.out_ioas_id;
		ASSERT_EQ(0, t_ioctl(container, IOMMU_IOAS_MAP, &map));
		map.iova = self->dev.own_iova;
		map.user_va = (uintptr_t)self->dev.own;
		map.length = T_DMA_OWN_BYTES;
		ASSERT_EQ(0, t_ioctl(container, IOMMU_IOAS_MAP, &map));
		ASSERT_EQ(0, t_ioctl(self->dev.vfio.device, VFIO_DEVICE_ATTACH_IOMMUFD_PT, &pt));
	}
	EXPECT_FAIL(EBUSY, OWNER, attach_rid(self, 0, &dev_id));
	EXPECT_EQ(77, dev_id);
	EXPECT_FAIL(EBUSY, OWNER, attach_rid(self, IOASID_ATTACH_REPLACE, &dev_id));
	EXPECT_EQ(0, nr_devices(self->fd));
	/* By its id it is the same */
	ASSERT_OK(t_bind_fd(self->fd, self->dev.vfio.device, &dev_id));
	EXPECT_FAIL(EBUSY, OWNER, t_attach(self->fd, dev_id, self->id, 0));
	ASSERT_OK(t_dma_start(&self->dev));
	EXPECT_EQ(1, t_dma_reads(&self->dev, AT, self->mem));
	ASSERT_OK(t_unbind(self->fd, dev_id));
	EXPECT_EQ(1, t_dma_reads(&self->dev, AT, self->mem));
}

/* A PASID with other memory at the same address, beside the owner's RID */
TEST_F(device_fd, pasid_beside_rid)
{
	u32 other, pasid = IOASID_PASID_ANY, same, dev_id, again;
	int ret;

	NEED_PASIDS;
	ASSERT_OK(t_alloc(self->fd, &other));
	ASSERT_OK(t_map_at(self->fd, other, self->mem + LEN, LEN, T_RW, AT));
	if (IS_TYPE1) {
		ASSERT_EQ(0, t_type1_map(self->dev.vfio.container, AT, self->mem, LEN,
					 VFIO_DMA_MAP_FLAG_READ));
	} else {
		ASSERT_OK(attach_rid(self, 0, &dev_id));
	}
	ASSERT_OK(t_attach_fd(self->fd, self->dev.vfio.device, other, &pasid, 0x55, 0, &again));
	EXPECT_EQ(IS_TYPE1 ? again : dev_id, again);
	EXPECT_NE(0x55, pasid);
	EXPECT_EQ(0, reads(&self->dev, 0, AT, 1));
	EXPECT_EQ(0, reads(&self->dev, pasid, AT, 2));
	EXPECT_EQ(-EFAULT, reads(&self->dev, pasid + 1, AT, 2));
	same = IOASID_PASID_ANY;
	ret = t_attach_fd(self->fd, self->dev.vfio.device, self->id, &same, 0x55,
			  IOASID_ATTACH_REPLACE, &again);
	/* Linux 6.12 cannot, and then nothing has changed */
	if (ret != -EOPNOTSUPP || t_extack.code != IOASID_REASON_IOMMU) {
		EXPECT_EQ(0, ret) TH_LOG("%s", t_explain());
		EXPECT_EQ(pasid, same);
	}
	EXPECT_EQ(0, reads(&self->dev, pasid, AT, ret ? 2 : 1));
	EXPECT_FAIL(ENOENT, NOT_ATTACHED,
		    t_detach_fd(self->fd, self->dev.vfio.device, pasid));
	ASSERT_OK(t_detach_fd(self->fd, self->dev.vfio.device, 0x55));
	EXPECT_EQ(-EFAULT, reads(&self->dev, pasid, AT, 1));
	EXPECT_EQ(0, reads(&self->dev, 0, AT, 1));
	EXPECT_EQ(IS_TYPE1 ? 0 : 1, nr_devices(self->fd));
}

/* PASIDs of the pool need a device that is bound: bind, allocate, attach, unbind */
TEST_F(device_fd, pasid_of_the_pool)
{
	u32 dev_id, p[3], i;

	NEED_PASIDS;
	ASSERT_OK(t_bind_fd(self->fd, self->dev.vfio.device, &dev_id));
	ASSERT_OK(t_pasid_alloc(self->fd, dev_id, 3, p));
	for (i = 0; i < 3; i++)
		ASSERT_OK(t_attach_fd(self->fd, self->dev.vfio.device, self->id, &p[i], 0, 0,
				      NULL));
	for (i = 0; i < 3; i++)
		EXPECT_EQ(0, reads(&self->dev, p[i], AT, 1));
	ASSERT_OK(t_detach_pasid(self->fd, dev_id, p[0]));
	EXPECT_EQ(-EFAULT, reads(&self->dev, p[0], AT, 1));
	ASSERT_OK(t_unbind(self->fd, dev_id));
	for (i = 0; i < 3; i++)
		EXPECT_EQ(-EFAULT, reads(&self->dev, p[i], AT, 1));
	/* They are the context's, not the device's */
	EXPECT_OK(t_pasid_free(self->fd, 3, p));
}

TEST_F(device_fd, no_pasids)
{
	u32 dev_id, pasid = IOASID_PASID_ANY;

	NEED(!self->pasids, "needs a device without PASIDs");
	EXPECT_FAIL(EOPNOTSUPP, NO_PASID, t_attach_fd(self->fd, self->dev.vfio.device, self->id,
						      &pasid, 0, 0, &dev_id));
	EXPECT_EQ(0, nr_devices(self->fd));
}

TEST_F(device_fd, bound_until_unbound)
{
	u32 dev_id, again;

	ASSERT_OK(t_bind_fd(self->fd, self->dev.vfio.device, &dev_id));
	ASSERT_OK(t_bind_fd(self->fd, self->dev.vfio.device, &again));
	EXPECT_EQ(dev_id, again);
	if (!IS_TYPE1) {
		ASSERT_OK(t_attach(self->fd, dev_id, self->id, 0));
		ASSERT_OK(t_detach(self->fd, dev_id));
		ASSERT_OK(attach_rid(self, 0, &again));
		EXPECT_EQ(dev_id, again);
		ASSERT_OK(t_detach_fd(self->fd, self->dev.vfio.device, 0));
	}
	EXPECT_EQ(1, nr_devices(self->fd));
	/* The context keeps its file open */
	t_dma_close(&self->dev);
	EXPECT_TRUE(is_held(self->dev.vfio.addr, variant->iommu));
	EXPECT_EQ(1, nr_devices(self->fd));
	ASSERT_OK(t_unbind(self->fd, dev_id));
	EXPECT_EQ(0, nr_devices(self->fd));
	EXPECT_EQ(0, is_free(self->dev.vfio.addr, variant->iommu));
	EXPECT_FAIL(ENOENT, NO_DEVICE_ID, t_unbind(self->fd, dev_id));
}

/* The file of an attached device stays open, until it is detached by its id */
TEST_F(device_fd, outlives_its_user)
{
	struct ioasid_device_info info;
	u32 dev_id, pasid = IS_TYPE1 ? IOASID_PASID_ANY : IOASID_RID;

	NEED_ATTACH;
	ASSERT_OK(t_attach_fd(self->fd, self->dev.vfio.device, self->id, &pasid, 0, 0, &dev_id));
	t_dma_close(&self->dev);
	EXPECT_TRUE(is_held(self->dev.vfio.addr, variant->iommu));
	ASSERT_OK(t_device_info(self->fd, dev_id, &info));
	EXPECT_EQ(IS_TYPE1 ? 0 : self->id, info.ioasid);
	EXPECT_EQ(IS_TYPE1 ? 1 : 0, info.nr_pasids);
	ASSERT_OK(t_detach_pasid(self->fd, dev_id, pasid));
	EXPECT_EQ(0, nr_devices(self->fd));
	EXPECT_EQ(0, is_free(self->dev.vfio.addr, variant->iommu));
	EXPECT_OK(t_free(self->fd, self->id));
}

/* Closing the context detaches, and the device does no more DMA of its own */
TEST_F(device_fd, context_closes)
{
	u32 dev_id;

	NEED_RID;
	ASSERT_OK(attach_rid(self, 0, &dev_id));
	ASSERT_OK(t_dma_start(&self->dev));
	EXPECT_EQ(1, t_dma_reads(&self->dev, AT, self->mem));
	close(self->fd);
	t_dma_push_blindly(&self->dev, AT);
	EXPECT_EQ(-1, t_differs(self->mem, LEN, 1));
	if (self->pins >= 0)
		EXPECT_EQ(self->pins, t_pinned_pages_settled(self->pins));
	/* And the next context can have it */
	self->fd = t_open();
	ASSERT_FD(self->fd);
	ASSERT_OK(t_alloc(self->fd, &self->id));
	ASSERT_OK(t_map_at(self->fd, self->id, self->mem, LEN, T_RW, AT));
	ASSERT_OK(t_dma_map_own(&self->dev, self->fd, self->id));
	ASSERT_OK(attach_rid(self, 0, &dev_id));
	ASSERT_OK(t_dma_start(&self->dev));
	EXPECT_EQ(1, t_dma_reads(&self->dev, AT, self->mem));
}

static void close_one(FIXTURE_DATA(device_fd) *self, int which)
{
	int *fd[] = { &self->fd, &self->dev.vfio.device, &self->dev.vfio.group,
		      &self->dev.vfio.container };

	if (which == 1)
		t_vfio_unmap_bar(&self->dev.vfio);
	if (*fd[which] >= 0)
		close(*fd[which]);
	*fd[which] = -1;
}

/*
 * Context, device, group, and container or iommufd, in every order; a PCI device is
 * reset each time, so that there each is the first and the last in its turn.
 */
TEST_F_TIMEOUT(device_fd, every_order_of_closing, 300)
{
	char addr[T_PCI_ADDR];
	int order[4], n, i, j;
	u32 dev_id;

	NEED_ATTACH;
	snprintf(addr, sizeof(addr), "%s", self->dev.vfio.addr);
	for (n = 0; n < 256; n++) {
		for (i = 0; i < 4; i++)
			order[i] = n >> 2 * i & 3;
		for (i = 0, j = 0; i < 4; i++)
			j |= 1 << order[i];
		if (j != 15 || (!t_on_sim() && order[1] != (order[0] + 1) % 4))
			continue;
		ASSERT_OK(attach_any(self, variant->iommu, self->fd, self->id, &dev_id));
		for (i = 0; i < 4; i++)
			close_one(self, order[i]);
		t_dma_close(&self->dev);
		ASSERT_EQ(0, is_free(addr, variant->iommu)) TH_LOG("order %x", n);
		ASSERT_EQ(0, t_dma_open(&self->dev, T_EDU, 0, variant->iommu));
		self->fd = t_open();
		ASSERT_OK(t_alloc(self->fd, &self->id));
		ASSERT_OK(t_dma_map_own(&self->dev, self->fd, self->id));
	}
}

static int attach_raw(int fd, struct ioasid_device_attach *arg)
{
	arg->size = arg->size ?: sizeof(*arg);
	return t_cmd(fd, IOASID_DEVICE_ATTACH, arg);
}

static int detach_raw(int fd, struct ioasid_device_detach arg)
{
	arg.size = arg.size ?: sizeof(arg);
	return t_cmd(fd, IOASID_DEVICE_DETACH, &arg);
}

TEST_F(device_fd, wrong_files)
{
	int fds[] = { open("/dev/null", O_RDWR), eventfd(0, 0), memfd_create("x", 0), self->fd,
		      self->dev.vfio.container, open("/dev/ioasid", O_RDWR) };
	int node = t_vfio_open_node(&self->dev.vfio);
	u32 dev_id, pasid = IOASID_RID;
	unsigned int i;

	EXPECT_FAIL(EBADF, FD, t_attach_fd(self->fd, -1, self->id, &pasid, 0, 0, &dev_id));
	EXPECT_FAIL(EBADF, FD, t_attach_fd(self->fd, 12345, self->id, &pasid, 0, 0, &dev_id));
	EXPECT_FAIL(EBADF, FD, t_detach_fd(self->fd, 12345, 0));
	for (i = 0; i < sizeof(fds) / sizeof(*fds); i++) {
		ASSERT_FD(fds[i]);
		EXPECT_FAIL(EINVAL, FD, t_attach_fd(self->fd, fds[i], self->id, &pasid, 0, 0,
						    &dev_id));
		EXPECT_FAIL(EINVAL, FD, t_bind_fd(self->fd, fds[i], &dev_id));
		EXPECT_FAIL(EINVAL, FD, t_detach_fd(self->fd, fds[i], 0));
	}
	if (self->dev.vfio.group >= 0)
		EXPECT_FAIL(EINVAL, FD, t_bind_fd(self->fd, self->dev.vfio.group, &dev_id));
	/* An open device that its holder may not use yet: the file is that of a device */
	if (variant->iommu == T_VFIO_NODE) {
		ASSERT_FD(node);
		EXPECT_FAIL(EPERM, OWNER, t_bind_fd(self->fd, node, &dev_id));
		EXPECT_FAIL(EPERM, OWNER, t_detach_fd(self->fd, node, 0));
	}
	EXPECT_EQ(0, nr_devices(self->fd));
	for (i = 0; i < 3; i++)
		close(fds[i]);
	close(fds[5]);
	if (node >= 0)
		close(node);
}

TEST_F(device_fd, wrong_arguments)
{
	struct ioasid_device_attach a = { .device_fd = self->dev.vfio.device };
	u32 fd = IOASID_ATTACH_FD, bind = IOASID_ATTACH_FD | IOASID_ATTACH_BIND_ONLY;
	u32 old_size = offsetof(struct ioasid_device_attach, nr_devices);
	int device = self->dev.vfio.device;

#define ATTACH(...)	({ a = (struct ioasid_device_attach){ __VA_ARGS__ };	\
			   attach_raw(self->fd, &a); })
#define DETACH(...)	detach_raw(self->fd, (struct ioasid_device_detach){ __VA_ARGS__ })
	/* A struct that has no device_fd yet */
	EXPECT_FAIL(EINVAL, SIZE, ATTACH(.size = old_size, .flags = fd, .ioasid = self->id));
	EXPECT_FAIL(EINVAL, SIZE, DETACH(.size = 24, .flags = IOASID_DETACH_FD));
	EXPECT_FAIL(EOPNOTSUPP, FLAGS, ATTACH(.dev_id = 1, .device_fd = device));
	EXPECT_FAIL(EOPNOTSUPP, FLAGS, ATTACH(.flags = fd, .device_fd = device, .devices = 8));
	EXPECT_FAIL(EINVAL, VALUE, ATTACH(.flags = fd, .device_fd = device, .nr_devices = 1,
					  .devices = (uintptr_t)&old_size));
	EXPECT_FAIL(EINVAL, SIZE, ATTACH(.size = old_size + 16, .flags = fd, .ioasid = self->id));
	EXPECT_FAIL(EOPNOTSUPP, FLAGS, ATTACH(.flags = fd | 4, .device_fd = device));
	EXPECT_FAIL(EINVAL, VALUE, ATTACH(.flags = IOASID_ATTACH_BIND_ONLY, .dev_id = 1));
	EXPECT_FAIL(EINVAL, VALUE, ATTACH(.flags = bind | IOASID_ATTACH_REPLACE,
					  .device_fd = device));
	EXPECT_FAIL(EINVAL, VALUE, ATTACH(.flags = bind, .device_fd = device, .ioasid = self->id));
	EXPECT_FAIL(EINVAL, VALUE, ATTACH(.flags = bind, .device_fd = device, .pasid = 1));
	EXPECT_FAIL(EINVAL, VALUE, ATTACH(.flags = bind, .device_fd = device, .vpasid = 1));
	EXPECT_FAIL(ENOENT, NO_SPACE_ID, ATTACH(.flags = fd, .device_fd = device, .ioasid = 999));
	EXPECT_FAIL(EOPNOTSUPP, FLAGS, DETACH(.dev_id = 1, .device_fd = device));
	EXPECT_FAIL(EOPNOTSUPP, FLAGS, DETACH(.flags = IOASID_DETACH_FD, .__reserved = 1));
	EXPECT_FAIL(EINVAL, VALUE, DETACH(.flags = IOASID_DETACH_FD, .dev_id = 1,
					  .device_fd = device));
	EXPECT_FAIL(EINVAL, VALUE, DETACH(.flags = IOASID_DETACH_UNBIND, .dev_id = 1, .pasid = 5));
	EXPECT_EQ(0, nr_devices(self->fd));
	/* A command struct that cannot be read */
	t_extack.code = 0;
	EXPECT_EQ(-EFAULT, t_ioctl(self->fd, IOASID_DEVICE_ATTACH, NULL));
	/* The old struct still does by id what it did */
	EXPECT_FAIL(ENOENT, NO_DEVICE_ID, ATTACH(.size = old_size, .dev_id = 1,
						 .ioasid = self->id));
	EXPECT_EQ(0, nr_devices(self->fd));
}

/* A device is bound to one context at a time */
TEST_F(device_fd, two_contexts)
{
	int fd = t_open();
	u32 dev_id, id, pasid;

	ASSERT_FD(fd);
	ASSERT_OK(t_alloc(fd, &id));
	ASSERT_OK(t_bind_fd(self->fd, self->dev.vfio.device, &dev_id));
	EXPECT_FAIL(EBUSY, OWNER, t_bind_fd(fd, self->dev.vfio.device, &dev_id));
	pasid = IOASID_PASID_ANY;
	EXPECT_FAIL(EBUSY, OWNER, t_attach_fd(fd, self->dev.vfio.device, id, &pasid, 0, 0, NULL));
	EXPECT_FAIL(ENOENT, NOT_ATTACHED, t_detach_fd(fd, self->dev.vfio.device, 0));
	EXPECT_FAIL(ENOENT, NO_DEVICE_ID, t_unbind_fd(fd, self->dev.vfio.device));
	EXPECT_EQ(0, nr_devices(fd));
	if (variant->iommu == VFIO_IOASID_IOMMU) {
		EXPECT_FAIL(EBUSY, OWNER, t_vfio_bind(&self->dev.vfio, fd));
		EXPECT_FAIL(EBUSY, OWNER, t_vfio_attach(&self->dev.vfio, fd, id, 0));
	}
	ASSERT_OK(t_unbind_fd(self->fd, self->dev.vfio.device));
	ASSERT_OK(t_bind_fd(fd, self->dev.vfio.device, &dev_id));
	if (!IS_TYPE1)
		EXPECT_OK(t_attach(fd, dev_id, id, 0));
	close(fd);
	/* Closing the context has unbound it */
	EXPECT_OK(t_bind_fd(self->fd, self->dev.vfio.device, &dev_id));
	EXPECT_EQ(1, nr_devices(self->fd));
}

/* In a container of ours both ways lead to the same device, and the container keeps it */
TEST_F(device_fd, container_and_file)
{
	int fd = t_open();
	u32 dev_id, id;

	NEED(variant->iommu == VFIO_IOASID_IOMMU, "needs a container of ours");
	ASSERT_OK(t_alloc(fd, &id));
	/* Bound by the container: the file is not kept */
	ASSERT_OK(t_vfio_bind(&self->dev.vfio, self->fd));
	ASSERT_OK(attach_rid(self, 0, &dev_id));
	EXPECT_EQ(self->dev.vfio.dev_id, dev_id);
	EXPECT_FAIL(EBUSY, OWNER, t_unbind_fd(self->fd, self->dev.vfio.device));
	EXPECT_FAIL(EBUSY, OWNER, t_unbind(self->fd, dev_id));
	EXPECT_FAIL(EBUSY, OWNER, t_bind_fd(fd, self->dev.vfio.device, &dev_id));
	ASSERT_EQ(0, t_dma_reopen(&self->dev));
	EXPECT_EQ(0, nr_devices(self->fd));
	EXPECT_OK(t_free(self->fd, self->id));
	/* By its file, and then by the container, which takes over */
	ASSERT_OK(t_alloc(self->fd, &self->id));
	ASSERT_OK(t_map_at(self->fd, self->id, self->mem, LEN, T_RW, AT));
	ASSERT_OK(t_dma_map_own(&self->dev, self->fd, self->id));
	ASSERT_OK(attach_rid(self, 0, &dev_id));
	/* Or it fails to, and all is as it was */
	EXPECT_FAIL(ENOENT, NO_SPACE_ID, t_vfio_attach(&self->dev.vfio, self->fd, 4711, 0));
	EXPECT_EQ(1, nr_devices(self->fd));
	ASSERT_OK(t_dma_start(&self->dev));
	EXPECT_EQ(1, t_dma_reads(&self->dev, AT, self->mem));
	ASSERT_OK(t_vfio_bind(&self->dev.vfio, self->fd));
	EXPECT_EQ(dev_id, self->dev.vfio.dev_id);
	ASSERT_OK(t_dma_start(&self->dev));
	EXPECT_EQ(1, t_dma_reads(&self->dev, AT, self->mem));
	/* So a detach does not unbind it, and closing the context changes nothing */
	ASSERT_OK(t_detach(self->fd, dev_id));
	EXPECT_EQ(1, nr_devices(self->fd));
	ASSERT_OK(attach_rid(self, 0, &dev_id));
	ASSERT_OK(t_dma_start(&self->dev));
	close(self->fd);
	EXPECT_EQ(1, t_dma_reads(&self->dev, AT, self->mem));
	self->fd = t_open();
	close(fd);
}

struct borrower {
	FIXTURE_DATA(device_fd) *self;
	unsigned long iommu;
};

/* With the device's file and a context of its own, until it is killed */
static int borrows(void *arg)
{
	struct borrower *b = arg;
	int fd = t_open();
	u32 id, dev_id;

	T_CHECK(fd >= 0);
	T_CHECK(!t_alloc(fd, &id));
	T_CHECK(!t_map_at(fd, id, b->self->mem, LEN, T_RW, AT));
	T_CHECK(!t_dma_map_own(&b->self->dev, fd, id));
	T_CHECK(!attach_any(b->self, b->iommu, fd, id, &dev_id));
	kill(getpid(), SIGKILL);
	return 1;
}

TEST_F(device_fd, another_process_is_killed)
{
	struct borrower b = { self, variant->iommu };
	long pins = t_pinned_pages();
	u32 dev_id;
	int i;

	NEED_ATTACH;
	for (i = 0; i < 10; i++) {
		EXPECT_EQ(-SIGKILL, t_child(borrows, &b));
		/* All of it is given back when the child can be waited for, or soon after */
		if (pins >= 0)
			EXPECT_EQ(pins, t_pinned_pages_settled(pins));
		ASSERT_OK(attach_any(self, variant->iommu, self->fd, self->id, &dev_id));
		ASSERT_OK(t_unbind(self->fd, dev_id));
	}
	if (!IS_TYPE1) {
		t_dma_push_blindly(&self->dev, AT);
		EXPECT_EQ(-1, t_differs(self->mem, LEN, 1));
	}
}

static int opens_and_dies(void *arg)
{
	struct borrower *b = arg;

	T_CHECK(!t_dma_open(&b->self->dev, T_EDU, 0, b->iommu));
	return borrows(arg);
}

TEST_F(device_fd, killed)
{
	struct borrower b = { self, variant->iommu };
	int i;

	NEED_ATTACH;
	t_dma_close(&self->dev);
	for (i = 0; i < 5; i++) {
		EXPECT_EQ(-SIGKILL, t_child(opens_and_dies, &b));
		ASSERT_EQ(0, is_free(self->dev.vfio.addr, variant->iommu));
	}
}

#define REFCNT	"/sys/module/ioasid_vfio/refcnt"

static long refcnt(void)
{
	char text[32];

	return t_read_file(REFCNT, text, sizeof(text)) < 0 ? -1 : atol(text);
}

/* The glue stays as long as one of its files is kept, whoever owns the device */
TEST_F(device_fd, module_stays)
{
	long before = refcnt();
	u32 dev_id;

	NEED(before >= 0, "needs ioasid_vfio as a module");
	ASSERT_OK(t_bind_fd(self->fd, self->dev.vfio.device, &dev_id));
	ASSERT_EQ(before + 1, refcnt());
	EXPECT_EQ(-1, syscall(SYS_delete_module, "ioasid_vfio", O_NONBLOCK));
	EXPECT_EQ(EWOULDBLOCK, errno);
	ASSERT_OK(t_unbind(self->fd, dev_id));
	EXPECT_EQ(before, refcnt());
}

static int takes_away(void *arg)
{
	struct borrower *b = arg;

	close(b->self->fd);
	t_dma_close(&b->self->dev);
	return t_sim_unbind(b->self->dev.vfio.addr) ? 1 : 0;
}

static bool waitable(pid_t pid)
{
	siginfo_t info = { 0 };

	return !waitid(P_PID, pid, &info, WEXITED | WNOHANG | WNOWAIT) && info.si_pid == pid;
}

/* The kernel wants the device back: VFIO asks, and waits for the context, too */
TEST_F(device_fd, unbind)
{
	struct borrower b = { self, variant->iommu };
	int event = eventfd(0, EFD_CLOEXEC);
	char addr[T_PCI_ADDR];
	pid_t remover;
	u32 dev_id, n;
	u64 count;

	NEED(t_on_sim(), "needs ioasid_sim");
	NEED_ATTACH;
	snprintf(addr, sizeof(addr), "%s", self->dev.vfio.addr);
	for (n = 0; n < 2; n++) {
		ASSERT_OK(attach_any(self, variant->iommu, self->fd, self->id, &dev_id));
		ASSERT_EQ(0, t_vfio_request_eventfd(&self->dev.vfio, event));
		remover = t_fork(takes_away, &b);
		EXPECT_TRUE(t_readable(event, 10000));
		/* Until all have let go it works as before */
		if (!IS_TYPE1)
			EXPECT_EQ(1, t_dma_reads(&self->dev, AT, self->mem));
		t_dma_close(&self->dev);
		t_sleep_ms(200);
		EXPECT_FALSE(waitable(remover));
		EXPECT_EQ(1, nr_devices(self->fd));
		if (n)
			close(self->fd);
		else
			EXPECT_OK(t_unbind(self->fd, dev_id));
		EXPECT_EQ(0, t_wait(remover));
		EXPECT_FALSE(t_device_present(addr));
		ASSERT_EQ(0, t_sim_bind(addr));
		ASSERT_EQ(0, t_dma_open(&self->dev, T_EDU, 0, variant->iommu));
		ASSERT_EQ(8, read(event, &count, 8));
		if (n)
			break;
		t_unmap(self->fd, self->id, self->dev.own_iova, T_DMA_OWN_BYTES);
		ASSERT_OK(t_dma_map_own(&self->dev, self->fd, self->id));
	}
	self->fd = t_open();
	close(event);
}

#define RACE_ROUNDS	500

struct racer {
	FIXTURE_DATA(device_fd) *self;
	unsigned long iommu;
	int how;
	int done;		/* what went well */
	int bad;		/* an errno that nobody expects */
};

static void note(struct racer *r, int ret)
{
	if (!ret)
		r->done++;
	else if (ret != -EBUSY)
		r->bad = ret;
}

/*
 * A context of its own each time: attached and unbound, bound and closed, or attached
 * and closed. The last of the racers has nobody in its way, so that it gets done.
 */
static void *races(void *arg)
{
	struct racer *r = arg;
	struct t_dma *dev = &r->self->dev;
	u32 id, dev_id;
	int fd, ret, i, rounds = t_rounds(RACE_ROUNDS);

	for (i = 0; (i < rounds || !r->done) && !r->bad; i++) {
		fd = t_open();
		ret = t_alloc(fd, &id);
		if (!ret && r->how == 1)
			ret = t_bind_fd(fd, dev->vfio.device, &dev_id);
		else if (!ret)
			ret = attach_any(r->self, r->iommu, fd, id, &dev_id);
		note(r, ret);
		if (!ret && r->how == 0)
			note(r, t_unbind(fd, dev_id));
		close(fd);
	}
	return NULL;
}

TEST_F_TIMEOUT(device_fd, races, 300)
{
	struct racer r[3] = { };
	pthread_t thread[3];
	int i;

	NEED_ATTACH;
	for (i = 0; i < 3; i++) {
		r[i] = (struct racer){ .self = self, .iommu = variant->iommu, .how = i };
		ASSERT_EQ(0, pthread_create(&thread[i], NULL, races, &r[i]));
	}
	for (i = 0; i < 3; i++) {
		pthread_join(thread[i], NULL);
		EXPECT_LT(0, r[i].done);
		EXPECT_EQ(0, r[i].bad);
	}
}

TEST_HARNESS_MAIN
