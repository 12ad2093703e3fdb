// SPDX-License-Identifier: GPL-2.0
/*
 * Attaching devices: by VFIO's container, by their files and by id, twice,
 * elsewhere, in place of one another, to spaces whose mappings they cannot have, and
 * what DEVICE_INFO reports. DMA proves each time where the device really is.
 *
 * Each case runs by container and by file. They differ for one reason: a device that
 * is bound by its file is the context's, which keeps the file open and unbinds the
 * device when its last attachment goes; one that is bound by its container stays bound
 * until VFIO closes it.
 */
#include <fcntl.h>
#include <sys/ioctl.h>
#include <sys/mman.h>

#include "harness.h"

#define AT	0x100000000ULL

FIXTURE(device) {
	int fd;
	u32 id;
	u32 other;
	char *mem;		/* page 0 is mapped in id, page 1 in other, both at AT */
	struct t_dma dev;
	struct t_vfio *vfio;
	long pins;
};

FIXTURE_VARIANT(device) {
	enum t_pci_kind kind;
	bool by_file;
};

FIXTURE_VARIANT_ADD(device, edu) { .kind = T_EDU };
FIXTURE_VARIANT_ADD(device, nvme) { .kind = T_NVME };
FIXTURE_VARIANT_ADD(device, edu_by_file) { .kind = T_EDU, .by_file = true };
FIXTURE_VARIANT_ADD(device, nvme_by_file) { .kind = T_NVME, .by_file = true };

/* The two ways; both put the id into v->dev_id */
static int way_attach(bool by_file, struct t_vfio *v, int ctx, u32 ioasid, u32 flags)
{
	u32 rid = IOASID_RID;

	return by_file ? t_attach_fd(ctx, v->device, ioasid, &rid, 0, flags, &v->dev_id) :
			 t_vfio_attach(v, ctx, ioasid, flags);
}

static int way_bind(bool by_file, struct t_vfio *v, int ctx)
{
	return by_file ? t_bind_fd(ctx, v->device, &v->dev_id) : t_vfio_bind(v, ctx);
}

/* A container needs no context: it has only one */
static int way_detach(bool by_file, struct t_vfio *v, int ctx)
{
	return by_file ? t_detach_fd(ctx, v->device, IOASID_RID) : t_vfio_detach(v);
}

#define attach(ctx, ioasid, flags)	\
	way_attach(variant->by_file, self->vfio, ctx, ioasid, flags)
#define bind_to(ctx)	way_bind(variant->by_file, self->vfio, ctx)
#define detach(ctx)	way_detach(variant->by_file, self->vfio, ctx)

FIXTURE_SETUP(device)
{
	self->pins = t_pinned_pages();
	NEED_DMA(&self->dev, variant->kind, 0);
	self->vfio = &self->dev.vfio;
	self->fd = t_open();
	ASSERT_FD(self->fd);
	self->mem = t_memory(T_ANON, 16 * T_PAGE);
	ASSERT_NE(NULL, self->mem);
	ASSERT_OK(t_alloc_label(self->fd, &self->id, "first"));
	ASSERT_OK(t_alloc_label(self->fd, &self->other, "other"));
	t_fill(self->mem, T_PAGE, 100);
	t_fill(self->mem + T_PAGE, T_PAGE, 101);
	ASSERT_OK(t_map_at(self->fd, self->id, self->mem, T_PAGE, T_RW, AT));
	ASSERT_OK(t_map_at(self->fd, self->other, self->mem + T_PAGE, T_PAGE, T_RW, AT));
	ASSERT_OK(t_dma_map_own(&self->dev, self->fd, self->id));
	ASSERT_OK(t_copy_at(self->fd, self->id, self->dev.own_iova, self->other, self->dev.own_iova,
			    T_DMA_OWN_BYTES, T_RW));
}

FIXTURE_TEARDOWN(device)
{
	t_dma_close(&self->dev);
	close(self->fd);
	if (self->pins >= 0)
		EXPECT_EQ(self->pins, t_pinned_pages());
}

/* The device is in the space where page @page of self->mem is at AT, or in none (-1) */
#define EXPECT_DEVICE_IN(page) do {						\
	int __page = (page);							\
										\
	if (__page >= 0) {							\
		EXPECT_EQ(0, t_dma_start(&self->dev));				\
		EXPECT_EQ(1, t_dma_reads(&self->dev, AT, self->mem + __page * T_PAGE));	\
	} else {								\
		u32 __crc = t_crc32(self->mem, 2 * T_PAGE);			\
										\
		t_dma_push_blindly(&self->dev, AT);				\
		EXPECT_EQ(__crc, t_crc32(self->mem, 2 * T_PAGE));		\
	}									\
} while (0)

static u32 attachments(int fd, u32 id)
{
	struct ioasid_space_info info;

	return t_space_info(fd, id, &info) ? ~0u : info.nr_attachments;
}

TEST_F(device, blocked_before_attach)
{
	t_dma_push_blindly(&self->dev, AT);
	t_dma_push_blindly(&self->dev, self->dev.own_iova);
	EXPECT_EQ(-1, t_differs(self->mem, T_PAGE, 100));
	/* Where an NVMe controller would have answered */
	EXPECT_EQ(-1, t_not_byte(self->dev.own + T_PAGE, T_PAGE, 0));
	ASSERT_OK(bind_to(self->fd));
	EXPECT_DEVICE_IN(-1);
}

TEST_F(device, attach_and_detach)
{
	struct ioasid_space_info info;

	ASSERT_OK(attach(self->fd, self->id, 0));
	EXPECT_NE(0, self->vfio->dev_id);
	EXPECT_DEVICE_IN(0);
	ASSERT_OK(t_space_info(self->fd, self->id, &info));
	EXPECT_EQ(1, info.nr_attachments);
	EXPECT_EQ(1, info.nr_domains);
	ASSERT_OK(detach(self->fd));
	EXPECT_DEVICE_IN(-1);
	ASSERT_OK(t_space_info(self->fd, self->id, &info));
	EXPECT_EQ(0, info.nr_attachments);
	EXPECT_EQ(0, info.nr_domains);
	ASSERT_OK(attach(self->fd, self->id, 0));
	EXPECT_DEVICE_IN(0);
}

/* Bound by VFIO or by its file, then everything goes by the id */
TEST_F(device, attach_by_id)
{
	struct ioasid_info info;

	ASSERT_OK(bind_to(self->fd));
	ASSERT_OK(t_info(self->fd, &info));
	EXPECT_EQ(1, info.nr_devices);
	ASSERT_OK(t_attach(self->fd, self->vfio->dev_id, self->id, 0));
	EXPECT_DEVICE_IN(0);
	ASSERT_OK(t_detach(self->fd, self->vfio->dev_id));
	EXPECT_DEVICE_IN(-1);
	/* Both ways mean the same device */
	ASSERT_OK(t_attach(self->fd, self->vfio->dev_id, self->other, 0));
	EXPECT_DEVICE_IN(1);
	ASSERT_OK(detach(self->fd));
	EXPECT_DEVICE_IN(-1);
	EXPECT_FAIL(ENOENT, NOT_ATTACHED, t_detach(self->fd, self->vfio->dev_id));
}

TEST_F(device, attach_twice)
{
	ASSERT_OK(attach(self->fd, self->id, 0));
	EXPECT_FAIL(EBUSY, ATTACHED, attach(self->fd, self->id, 0));
	EXPECT_EQ(self->vfio->dev_id, t_extack.dev_id);
	EXPECT_FAIL(EBUSY, ATTACHED, attach(self->fd, self->other, 0));
	EXPECT_FAIL(EBUSY, ATTACHED, t_attach(self->fd, self->vfio->dev_id, self->id, 0));
	EXPECT_FAIL(EBUSY, ATTACHED, t_attach(self->fd, self->vfio->dev_id, self->other, 0));
	EXPECT_NE(NULL, strstr(t_extack.msg, self->vfio->addr)) TH_LOG("%s", t_explain());
	EXPECT_EQ(1, attachments(self->fd, self->id));
	EXPECT_EQ(0, attachments(self->fd, self->other));
	EXPECT_DEVICE_IN(0);
}

TEST_F(device, detach_unattached)
{
	EXPECT_FAIL(ENOENT, NOT_ATTACHED, detach(self->fd));
	ASSERT_OK(bind_to(self->fd));
	EXPECT_FAIL(ENOENT, NOT_ATTACHED, detach(self->fd));
	EXPECT_FAIL(ENOENT, NOT_ATTACHED, t_detach(self->fd, self->vfio->dev_id));
	EXPECT_EQ(self->vfio->dev_id, t_extack.dev_id);
}

TEST_F(device, replace)
{
	int i;

	ASSERT_OK(attach(self->fd, self->id, 0));
	EXPECT_DEVICE_IN(0);
	for (i = 0; i < 2; i++) {
		ASSERT_OK(attach(self->fd, self->other, IOASID_ATTACH_REPLACE));
		EXPECT_DEVICE_IN(1);
		EXPECT_EQ(0, attachments(self->fd, self->id));
		EXPECT_EQ(1, attachments(self->fd, self->other));
		ASSERT_OK(t_attach(self->fd, self->vfio->dev_id, self->id, IOASID_ATTACH_REPLACE));
		EXPECT_DEVICE_IN(0);
	}
	/* By what it has already */
	EXPECT_OK(t_attach(self->fd, self->vfio->dev_id, self->id, IOASID_ATTACH_REPLACE));
	EXPECT_EQ(1, attachments(self->fd, self->id));
	EXPECT_DEVICE_IN(0);
	/* The space that was left can go */
	ASSERT_OK(t_free(self->fd, self->other));
	EXPECT_DEVICE_IN(0);
}

/* Nothing to replace: then it is an attach */
TEST_F(device, replace_unattached)
{
	ASSERT_OK(attach(self->fd, self->id, IOASID_ATTACH_REPLACE));
	EXPECT_DEVICE_IN(0);
}

/* A replacement that fails leaves the device where it is, working */
TEST_F(device, replace_that_fails)
{
	ASSERT_OK(attach(self->fd, self->id, 0));
	ASSERT_OK(t_map_at(self->fd, self->other, self->mem, T_PAGE, T_RW, 0xfee00000));
	EXPECT_FAIL(EADDRINUSE, RESERVED, t_attach(self->fd, self->vfio->dev_id, self->other,
						   IOASID_ATTACH_REPLACE));
	EXPECT_EQ(1, attachments(self->fd, self->id));
	EXPECT_EQ(0, attachments(self->fd, self->other));
	EXPECT_DEVICE_IN(0);
	EXPECT_FAIL(ENOENT, NO_SPACE_ID, t_attach(self->fd, self->vfio->dev_id, 4242,
						  IOASID_ATTACH_REPLACE));
	EXPECT_DEVICE_IN(0);
}

TEST_F(device, mapping_in_the_interrupt_window)
{
	struct ioasid_translate tr;

	ASSERT_OK(t_map_at(self->fd, self->id, self->mem, 4 * T_PAGE, T_RW, 0xfee00000 - 2 * T_PAGE));
	EXPECT_FAIL(EADDRINUSE, RESERVED, attach(self->fd, self->id, 0));
	EXPECT_NE(NULL, strstr(t_extack.msg, self->vfio->addr)) TH_LOG("%s", t_explain());
	EXPECT_EQ(0, attachments(self->fd, self->id));
	EXPECT_DEVICE_IN(-1);
	/* The space is as it was, also for those to come */
	EXPECT_OK(t_translate(self->fd, self->id, 0xfee00000, 0, &tr));
	EXPECT_OK(t_map_at(self->fd, self->id, self->mem, T_PAGE, T_RW, 0xfee80000));
	EXPECT_EQ(4 * T_PAGE, t_unmap(self->fd, self->id, 0xfee00000 - 2 * T_PAGE, 4 * T_PAGE));
	EXPECT_EQ(T_PAGE, t_unmap(self->fd, self->id, 0xfee80000, T_PAGE));
	ASSERT_OK(attach(self->fd, self->id, 0));
	EXPECT_DEVICE_IN(0);
}

TEST_F(device, mapping_beyond_the_aperture)
{
	struct ioasid_iova_range r[32];
	int nr;

	ASSERT_OK(bind_to(self->fd));
	nr = t_device_ranges(self->fd, self->vfio->dev_id, r, 32);
	ASSERT_GT(nr, 0);
	NEED(r[nr - 1].last != UINT64_MAX, "this IOMMU addresses everything");
	ASSERT_OK(t_map_at(self->fd, self->id, self->mem, T_PAGE, T_RW, -T_PAGE));
	EXPECT_FAIL(ERANGE, APERTURE, attach(self->fd, self->id, 0));
	EXPECT_EQ(0, attachments(self->fd, self->id));
	EXPECT_EQ(T_PAGE, t_unmap(self->fd, self->id, -T_PAGE, T_PAGE));
	ASSERT_OK(attach(self->fd, self->id, 0));
	EXPECT_DEVICE_IN(0);
}

/* The ranges narrow with the first device and widen when it leaves */
TEST_F(device, usable_ranges_follow)
{
	struct ioasid_iova_range before[32], with[32], after[32], dev[32];
	int nr_before = t_space_ranges(self->fd, self->id, before, 32), nr, nr_dev;

	ASSERT_OK(attach(self->fd, self->id, 0));
	nr = t_space_ranges(self->fd, self->id, with, 32);
	nr_dev = t_device_ranges(self->fd, self->vfio->dev_id, dev, 32);
	ASSERT_GT(nr, 0);
	/* With one device they are exactly the device's */
	ASSERT_EQ(nr_dev, nr);
	EXPECT_EQ(0, memcmp(dev, with, nr * sizeof(*dev)));
	EXPECT_FALSE(t_usable(with, nr, 0xfee00000, T_PAGE));
	EXPECT_TRUE(t_usable(with, nr, AT, T_HUGE));
	ASSERT_OK(detach(self->fd));
	EXPECT_EQ(nr_before, t_space_ranges(self->fd, self->id, after, 32));
	EXPECT_EQ(0, memcmp(before, after, nr_before * sizeof(*before)));
}

TEST_F(device, pasid_is_refused)
{
	struct vfio_device_attach attach = {
		.argsz = sizeof(attach), .ioasid_fd = self->fd, .device_fd = self->vfio->device,
		.ioasid = self->id, .pasid = 1,
	};
	struct vfio_device_detach detach = {
		.argsz = sizeof(detach), .device_fd = self->vfio->device, .pasid = 1,
	};
	struct ioasid_device_attach by_id = {
		.size = sizeof(by_id), .ioasid = self->id, .pasid = 1,
	};
	u32 one = 1;
	struct ioasid_device_detach away = { .size = sizeof(away), .pasid = 1 };
	struct ioasid_device_info info = { .size = sizeof(info) };

	ASSERT_OK(bind_to(self->fd));
	ASSERT_OK(t_device_info(self->fd, self->vfio->dev_id, &info));
	NEED(!(info.caps & IOASID_DEVICE_PASID), "needs a device without PASIDs");
	if (variant->by_file)
		EXPECT_FAIL(EOPNOTSUPP, NO_PASID, t_attach_fd(self->fd, self->vfio->device,
							      self->id, &one, 0, 0, NULL));
	else
		EXPECT_FAIL(EOPNOTSUPP, NO_PASID,
			    t_cmd(self->vfio->container, VFIO_DEVICE_ATTACH, &attach));
	by_id.dev_id = self->vfio->dev_id;
	away.dev_id = self->vfio->dev_id;
	EXPECT_FAIL(EOPNOTSUPP, NO_PASID, t_cmd(self->fd, IOASID_DEVICE_ATTACH, &by_id));
	EXPECT_EQ(1, t_extack.pasid);
	by_id.pasid = UINT32_MAX;
	EXPECT_FAIL(EOPNOTSUPP, NO_PASID, t_cmd(self->fd, IOASID_DEVICE_ATTACH, &by_id));
	EXPECT_NE(0, t_cmd(self->fd, IOASID_DEVICE_DETACH, &away));
	EXPECT_NE(0, t_cmd(self->vfio->container, VFIO_DEVICE_DETACH, &detach));
	EXPECT_NE(0, t_detach_fd(self->fd, self->vfio->device, 1));
	/* A PASID that cannot be attached must not have touched the RID */
	ASSERT_OK(t_attach(self->fd, self->vfio->dev_id, self->id, 0));
	EXPECT_NE(0, t_cmd(self->fd, IOASID_DEVICE_DETACH, &away));
	EXPECT_NE(0, t_cmd(self->vfio->container, VFIO_DEVICE_DETACH, &detach));
	EXPECT_NE(0, t_detach_fd(self->fd, self->vfio->device, 1));
	EXPECT_DEVICE_IN(0);
}

TEST_F(device, wrong_fds)
{
	struct vfio_device_attach attach = { .argsz = sizeof(attach), .ioasid = self->id };
	struct vfio_device_detach detach = { .argsz = sizeof(detach) };
	int fds[2], null = open("/dev/null", O_RDWR);
	int not_devices[] = { self->vfio->container, self->vfio->group, self->fd, null, 0 };
	int not_contexts[] = { self->vfio->container, self->vfio->group, self->vfio->device, null };
	size_t i;

	ASSERT_EQ(0, pipe(fds));
	not_devices[4] = fds[0];
	attach.ioasid_fd = self->fd;
	for (i = 0; i < ARRAY_SIZE(not_devices); i++) {
		attach.device_fd = not_devices[i];
		detach.device_fd = not_devices[i];
		EXPECT_FAIL(ENODEV, FD, t_cmd(self->vfio->container, VFIO_DEVICE_ATTACH, &attach));
		EXPECT_FAIL(ENODEV, FD, t_cmd(self->vfio->container, VFIO_DEVICE_DETACH, &detach));
	}
	attach.device_fd = -1;
	EXPECT_FAIL(EBADF, FD, t_cmd(self->vfio->container, VFIO_DEVICE_ATTACH, &attach));
	EXPECT_EQ(self->id, t_extack.ioasid);
	attach.device_fd = self->vfio->device;
	for (i = 0; i < ARRAY_SIZE(not_contexts); i++) {
		attach.ioasid_fd = not_contexts[i];
		EXPECT_FAIL(EINVAL, FD, t_cmd(self->vfio->container, VFIO_DEVICE_ATTACH, &attach));
	}
	attach.ioasid_fd = -1;
	EXPECT_FAIL(EBADF, FD, t_cmd(self->vfio->container, VFIO_DEVICE_ATTACH, &attach));
	EXPECT_EQ(0, attachments(self->fd, self->id));
}

/*
 * The container is the proof that the caller has the device: another one is none. Its
 * file is one by itself, whatever container it was opened in.
 */
TEST_F(device, device_of_another_container)
{
	struct t_dma stranger;
	struct vfio_device_attach attach = {
		.argsz = sizeof(attach), .ioasid_fd = self->fd, .ioasid = self->id,
	};

	NEED_DMA(&stranger, T_EDU, variant->kind == T_EDU);
	attach.device_fd = stranger.vfio.device;
	EXPECT_FAIL(ENODEV, FD, t_cmd(self->vfio->container, VFIO_DEVICE_ATTACH, &attach));
	EXPECT_EQ(0, attachments(self->fd, self->id));
	if (variant->by_file) {
		ASSERT_OK(way_attach(true, &stranger.vfio, self->fd, self->id, 0));
		ASSERT_OK(t_map_at(self->fd, self->id, self->mem + 3 * T_PAGE, T_PAGE, T_RW,
				   AT + T_HUGE));
		ASSERT_EQ(0, t_dma_pull(&stranger, AT, T_PAGE));
		ASSERT_EQ(0, t_dma_push(&stranger, AT + T_HUGE, T_PAGE));
		EXPECT_EQ(-1, t_differs(self->mem + 3 * T_PAGE, T_PAGE, 100));
		ASSERT_OK(way_detach(true, &stranger.vfio, self->fd));
	}
	t_dma_close(&stranger);
}

/*
 * A device without attachments can be bound to another context: bound by its
 * container, it moves. By its file it is the first context's, which has to unbind it:
 * two users could otherwise take it away from one another.
 */
TEST_F(device, bound_device_changes_its_context)
{
	int second = t_open();
	struct ioasid_info info;
	u32 id, dev_id;

	ASSERT_FD(second);
	ASSERT_OK(t_alloc(second, &id));
	ASSERT_OK(bind_to(self->fd));
	dev_id = self->vfio->dev_id;
	/* Once more is no more */
	ASSERT_OK(bind_to(self->fd));
	EXPECT_EQ(dev_id, self->vfio->dev_id);
	ASSERT_OK(t_info(self->fd, &info));
	EXPECT_EQ(1, info.nr_devices);
	if (variant->by_file) {
		EXPECT_FAIL(EBUSY, OWNER, bind_to(second));
		EXPECT_FAIL(EBUSY, OWNER, attach(second, id, 0));
		ASSERT_OK(t_unbind(self->fd, dev_id));
	}
	ASSERT_OK(bind_to(second));
	ASSERT_OK(t_info(self->fd, &info));
	EXPECT_EQ(0, info.nr_devices);
	EXPECT_FAIL(ENOENT, NO_DEVICE_ID, t_attach(self->fd, dev_id, self->id, 0));
	/* An attach does it just as well */
	if (variant->by_file)
		ASSERT_OK(t_unbind_fd(second, self->vfio->device));
	ASSERT_OK(attach(self->fd, self->id, 0));
	ASSERT_OK(t_info(second, &info));
	EXPECT_EQ(0, info.nr_devices);
	EXPECT_DEVICE_IN(0);
	/* And one that fails moves nothing */
	ASSERT_OK(detach(self->fd));
	if (variant->by_file)
		ASSERT_OK(bind_to(self->fd));
	EXPECT_NE(0, attach(second, 4242, 0));
	EXPECT_EQ(variant->by_file ? IOASID_REASON_OWNER : IOASID_REASON_NO_SPACE_ID, t_extack.code)
		TH_LOG("%s", t_explain());
	ASSERT_OK(t_attach(self->fd, self->vfio->dev_id, self->id, 0));
	close(second);
	EXPECT_DEVICE_IN(0);
}

TEST_F(device, attached_device_keeps_its_context)
{
	int second = t_open();
	struct ioasid_info info;
	u32 id;

	ASSERT_FD(second);
	ASSERT_OK(t_alloc(second, &id));
	ASSERT_OK(attach(self->fd, self->id, 0));
	EXPECT_FAIL(EBUSY, OWNER, bind_to(second));
	EXPECT_FAIL(EBUSY, OWNER, attach(second, id, 0));
	EXPECT_FAIL(EBUSY, OWNER, attach(second, id, IOASID_ATTACH_REPLACE));
	EXPECT_FAIL(ENOENT, NO_DEVICE_ID, t_attach(second, self->vfio->dev_id, id, 0));
	ASSERT_OK(t_info(second, &info));
	EXPECT_EQ(0, info.nr_devices);
	EXPECT_DEVICE_IN(0);
	close(second);
}

TEST_F(device, cookie_of_a_failed_attach)
{
	struct vfio_device_attach arg = {
		.argsz = sizeof(arg), .ioasid_fd = self->fd, .device_fd = self->vfio->device,
		.ioasid = self->id, .cookie = 1,
	};
	struct ioasid_device_attach by_file = {
		.size = sizeof(by_file), .flags = IOASID_ATTACH_FD, .ioasid = self->id,
		.device_fd = self->vfio->device, .cookie = 1,
	};
	int fd = variant->by_file ? self->fd : self->vfio->container;
	unsigned long cmd = variant->by_file ? IOASID_DEVICE_ATTACH : VFIO_DEVICE_ATTACH;
	void *uarg = variant->by_file ? (void *)&by_file : &arg;
	struct ioasid_device_info info;

	ASSERT_OK(t_cmd(fd, cmd, uarg));
	arg.cookie = 2;
	by_file.cookie = 2;
	EXPECT_FAIL(EBUSY, ATTACHED, t_cmd(fd, cmd, uarg));
	ASSERT_OK(t_device_info(self->fd, variant->by_file ? by_file.dev_id : arg.dev_id, &info));
	EXPECT_EQ(1, info.cookie);
}

TEST_F(device, cookie_and_name)
{
	struct ioasid_device_info info;

	ASSERT_OK(attach(self->fd, self->id, 0));
	ASSERT_OK(t_device_info(self->fd, self->vfio->dev_id, &info));
	EXPECT_EQ(variant->by_file ? (u64)self->vfio->device : (uintptr_t)self->vfio, info.cookie);
	EXPECT_STREQ(self->vfio->addr, info.name);
	EXPECT_EQ((u32)t_device_group(self->vfio->addr), info.group_id);
	EXPECT_NE(NULL, memchr(info.owner, 0, sizeof(info.owner)));
	EXPECT_EQ(0, strncmp(info.owner, "vfio", 4));
	EXPECT_EQ(self->id, info.ioasid);
	EXPECT_TRUE(info.caps & IOASID_DEVICE_ATTACHED);
	EXPECT_TRUE(info.caps & IOASID_DEVICE_COHERENT);
	/* Endpoints of ioasid_sim have no message interrupts, so nothing isolates them */
	EXPECT_EQ(!self->vfio->sim, !!(info.caps & IOASID_DEVICE_ISOLATED_MSI));
	EXPECT_TRUE(info.caps & IOASID_DEVICE_SINGLETON);
	if (!(info.caps & IOASID_DEVICE_PASID))
		EXPECT_EQ(0, info.pasid_bits);
	/* By its file, or the detach would unbind it */
	if (variant->by_file)
		ASSERT_OK(bind_to(self->fd));
	ASSERT_OK(detach(self->fd));
	ASSERT_OK(t_device_info(self->fd, self->vfio->dev_id, &info));
	EXPECT_EQ(0, info.ioasid);
	EXPECT_FALSE(info.caps & IOASID_DEVICE_ATTACHED);
}

TEST_F(device, info_ranges_too_small)
{
	struct ioasid_iova_range ranges[32];
	struct ioasid_device_info info = {
		.size = sizeof(info), .nr_ranges = 1, .ranges = (uintptr_t)ranges,
		.range_size = sizeof(*ranges),
	};
	u32 nr;

	ASSERT_OK(bind_to(self->fd));
	nr = t_device_ranges(self->fd, self->vfio->dev_id, ranges, 32);
	/* The interrupt window makes two of one */
	ASSERT_GE(nr, 2);
	memset(ranges, 0xaa, sizeof(ranges));
	info.dev_id = self->vfio->dev_id;
	EXPECT_EQ(-EMSGSIZE, t_cmd(self->fd, IOASID_DEVICE_INFO, &info)) TH_LOG("%s", t_explain());
	EXPECT_EQ(nr, info.nr_ranges);
	EXPECT_EQ(-1, t_not_byte(&ranges[1], sizeof(ranges) - sizeof(*ranges), 0xaa));
	info.ranges = 0x10000;
	EXPECT_FAIL(EFAULT, POINTER, t_cmd(self->fd, IOASID_DEVICE_INFO, &info));
	info.ranges = 0;
	info.nr_ranges = 0;
	EXPECT_OK(t_cmd(self->fd, IOASID_DEVICE_INFO, &info));
	EXPECT_EQ(nr, info.nr_ranges);
}

TEST_F(device, info_of_the_iommu)
{
	struct ioasid_device_info info;
	unsigned char blob[1024];
	u32 len;

	ASSERT_OK(bind_to(self->fd));
	ASSERT_OK(t_device_info(self->fd, self->vfio->dev_id, &info));
	len = info.hw_info_len;
	NEED(len, "this IOMMU driver does not describe its hardware");
	EXPECT_NE(0, info.hw_info_type);
	ASSERT_LE(len, sizeof(blob));
	memset(blob, 0xaa, sizeof(blob));
	info.hw_info = (uintptr_t)blob;
	info.hw_info_len = sizeof(blob);
	ASSERT_OK(t_cmd(self->fd, IOASID_DEVICE_INFO, &info));
	EXPECT_EQ(len, info.hw_info_len);
	EXPECT_NE(-1, t_not_byte(blob, len, 0xaa));
	EXPECT_EQ(-1, t_not_byte(blob + len, sizeof(blob) - len, 0xaa));
	memset(blob, 0xaa, sizeof(blob));
	info.hw_info_len = len - 1;
	EXPECT_EQ(-EMSGSIZE, t_cmd(self->fd, IOASID_DEVICE_INFO, &info)) TH_LOG("%s", t_explain());
	EXPECT_EQ(len, info.hw_info_len);
	EXPECT_EQ(-1, t_not_byte(blob + len - 1, sizeof(blob) - len + 1, 0xaa));
}

/* A reset while attached: the space stays, the device has to be set up again */
TEST_F(device, reset_while_attached)
{
	NEED(t_vfio_can_reset(self->vfio), "the device has no reset");
	ASSERT_OK(attach(self->fd, self->id, 0));
	EXPECT_DEVICE_IN(0);
	ASSERT_EQ(0, t_vfio_reset(self->vfio));
	EXPECT_EQ(1, attachments(self->fd, self->id));
	EXPECT_DEVICE_IN(0);
	ASSERT_OK(t_attach(self->fd, self->vfio->dev_id, self->other, IOASID_ATTACH_REPLACE));
	EXPECT_DEVICE_IN(1);
}

/*
 * Closing the device fd takes it out of the context and out of its space. Not so if
 * the context has its file, too: then the last one is closed by a detach.
 */
TEST_F(device, close_and_open_again)
{
	struct ioasid_info info;
	u32 old_id;

	ASSERT_OK(attach(self->fd, self->id, 0));
	old_id = self->vfio->dev_id;
	EXPECT_FAIL(EBUSY, IN_USE, t_free(self->fd, self->id));
	t_vfio_close_device(self->vfio);
	if (variant->by_file) {
		ASSERT_OK(t_info(self->fd, &info));
		EXPECT_EQ(1, info.nr_devices);
		EXPECT_EQ(1, attachments(self->fd, self->id));
		EXPECT_FAIL(EBUSY, IN_USE, t_free(self->fd, self->id));
		ASSERT_OK(t_detach(self->fd, old_id));
	}
	ASSERT_OK(t_info(self->fd, &info));
	EXPECT_EQ(0, info.nr_devices);
	EXPECT_EQ(0, attachments(self->fd, self->id));
	EXPECT_FAIL(ENOENT, NO_DEVICE_ID, t_attach(self->fd, old_id, self->id, 0));
	ASSERT_EQ(0, t_dma_reopen(&self->dev));
	EXPECT_DEVICE_IN(-1);
	ASSERT_OK(attach(self->fd, self->id, 0));
	EXPECT_DEVICE_IN(0);
}

/*
 * The ioasid fd goes first: DMA goes on as it is until the device goes, and the
 * device keeps the context. By its file it is the context that keeps the device, and
 * lets go of it.
 */
TEST_F(device, context_closed_while_attached)
{
	int second = t_open();
	long with;
	u32 id;

	ASSERT_FD(second);
	ASSERT_OK(t_alloc(second, &id));
	ASSERT_OK(t_map_at(second, id, self->mem + 2 * T_PAGE, T_PAGE, T_RW, AT));
	t_fill(self->mem + 2 * T_PAGE, T_PAGE, 102);
	ASSERT_OK(t_dma_map_own(&self->dev, second, id));
	ASSERT_OK(attach(second, id, 0));
	EXPECT_DEVICE_IN(2);
	with = t_pinned_pages();
	close(second);
	if (!variant->by_file) {
		EXPECT_DEVICE_IN(2);
		EXPECT_EQ(with, t_pinned_pages());
		EXPECT_EQ(1, t_dma_writes(&self->dev, AT, self->mem + 2 * T_PAGE));
		/* Leaving the space that nobody can name any more */
		ASSERT_OK(detach(self->fd));
	}
	EXPECT_DEVICE_IN(-1);
	ASSERT_OK(attach(self->fd, self->id, 0));
	EXPECT_DEVICE_IN(0);
	/* It has gone with its last user, pages and all */
	if (with >= 0)
		EXPECT_EQ(with - 1 - (long)(T_DMA_OWN_BYTES / T_PAGE), t_pinned_pages());
}

/* Two groups in one container, two spaces */
TEST_F(device, two_groups_in_a_container)
{
	struct t_dma second;
	int ret = t_dma_open_in(&second, T_EDU, variant->kind == T_EDU, self->vfio);

	NEED(ret != -ENOENT, "needs one more edu");
	ASSERT_EQ(0, ret) TH_LOG("%s failed", t_vfio_step);
	ASSERT_OK(attach(self->fd, self->id, 0));
	ASSERT_OK(way_attach(variant->by_file, &second.vfio, self->fd, self->other, 0));
	EXPECT_NE(second.vfio.dev_id, self->vfio->dev_id);
	EXPECT_DEVICE_IN(0);
	/* The second one carries a page of the other space */
	ASSERT_OK(t_map_at(self->fd, self->other, self->mem + 3 * T_PAGE, T_PAGE, T_RW, AT + T_HUGE));
	ASSERT_EQ(0, t_dma_pull(&second, AT, T_PAGE));
	ASSERT_EQ(0, t_dma_push(&second, AT + T_HUGE, T_PAGE));
	EXPECT_EQ(-1, t_differs(self->mem + 3 * T_PAGE, T_PAGE, 101));
	/* Closing does not detach it if the context has its file */
	if (variant->by_file)
		ASSERT_OK(way_detach(true, &second.vfio, self->fd));
	t_dma_close(&second);
	EXPECT_EQ(0, attachments(self->fd, self->other));
	EXPECT_DEVICE_IN(0);
}

TEST_F(device, container_extensions)
{
	int fd = open("/dev/vfio/vfio", O_RDWR);
	struct vfio_iommu_type1_info info = { .argsz = sizeof(info) };

	ASSERT_FD(fd);
	/* Whichever way a device of it is attached */
	ASSERT_OK(attach(self->fd, self->id, 0));
	EXPECT_EQ(1, ioctl(fd, VFIO_CHECK_EXTENSION, VFIO_IOASID_IOMMU));
	EXPECT_EQ(1, ioctl(self->vfio->container, VFIO_CHECK_EXTENSION, VFIO_IOASID_IOMMU));
	EXPECT_EQ(0, ioctl(self->vfio->container, VFIO_CHECK_EXTENSION, VFIO_TYPE1v2_IOMMU));
	/* It is no type1, and an empty container takes no IOMMU type */
	EXPECT_EQ(-ENOTTY, t_ioctl(self->vfio->container, VFIO_IOMMU_GET_INFO, &info));
	EXPECT_EQ(-ENOTTY, t_type1_map(self->vfio->container, AT, self->mem, T_PAGE,
				       VFIO_DMA_MAP_FLAG_READ));
	EXPECT_EQ(-ENOTTY, t_ioctl(self->vfio->container, _IO(IOASID_TYPE, 0x42), &info));
	EXPECT_EQ(-ENOTTY, t_ioctl(self->vfio->container, IOASID_GET_INFO, &info));
	EXPECT_NE(0, t_ioctl(fd, VFIO_SET_IOMMU, (void *)VFIO_IOASID_IOMMU));
	close(fd);
}

/* Another device works through type1 at the same time, at the same IOVA */
TEST_F(device, type1_beside_it)
{
	struct t_dma peer;
	int ret = t_dma_open(&peer, T_EDU, variant->kind == T_EDU, VFIO_TYPE1v2_IOMMU);
	u32 rw = VFIO_DMA_MAP_FLAG_READ | VFIO_DMA_MAP_FLAG_WRITE;

	NEED(ret != -ENOENT, "needs one more edu");
	ASSERT_EQ(0, ret) TH_LOG("%s failed", t_vfio_step);
	ASSERT_OK(attach(self->fd, self->id, 0));
	t_fill(self->mem + 5 * T_PAGE, T_PAGE, 105);
	ASSERT_EQ(0, t_type1_map(peer.vfio.container, AT, self->mem + 5 * T_PAGE, T_PAGE, rw));
	ASSERT_EQ(0, t_type1_map(peer.vfio.container, peer.own_iova, peer.own, T_DMA_OWN_BYTES, rw));
	EXPECT_EQ(1, t_dma_reads(&peer, AT, self->mem + 5 * T_PAGE));
	EXPECT_DEVICE_IN(0);
	/*
	 * type1 does not have our commands, and we do not have its devices. By its file a
	 * device of type1 can be bound all the same, but type1 has its RID.
	 */
	if (variant->by_file)
		EXPECT_FAIL(EBUSY, OWNER, way_attach(true, &peer.vfio, self->fd, self->id, 0));
	else
		EXPECT_EQ(-ENOTTY, t_vfio_attach(&peer.vfio, self->fd, self->id, 0));
	ASSERT_EQ(0, t_type1_unmap(peer.vfio.container, AT, T_PAGE));
	EXPECT_EQ(0, t_dma_writes(&peer, AT, self->mem + 5 * T_PAGE));
	EXPECT_DEVICE_IN(0);
	t_dma_close(&peer);
	EXPECT_DEVICE_IN(0);
}

/* From ioasid to type1 and back: nothing of the one is left for the other */
TEST_F(device, type1_after_it)
{
	u32 rw = VFIO_DMA_MAP_FLAG_READ | VFIO_DMA_MAP_FLAG_WRITE;
	int round, container;

	for (round = 0; round < 2; round++) {
		ASSERT_OK(attach(self->fd, self->id, 0));
		EXPECT_DEVICE_IN(0);
		/* Its file stays open otherwise, and with it the container */
		if (variant->by_file)
			ASSERT_OK(detach(self->fd));
		t_dma_close(&self->dev);
		ASSERT_EQ(0, t_dma_open(&self->dev, variant->kind, 0, VFIO_TYPE1v2_IOMMU));
		container = self->vfio->container;
		ASSERT_EQ(0, t_type1_map(container, AT, self->mem + T_PAGE, T_PAGE, rw));
		ASSERT_EQ(0, t_type1_map(container, self->dev.own_iova, self->dev.own,
					 T_DMA_OWN_BYTES, rw));
		EXPECT_DEVICE_IN(1);
		t_dma_close(&self->dev);
		ASSERT_EQ(0, t_dma_open(&self->dev, variant->kind, 0, VFIO_IOASID_IOMMU));
		EXPECT_EQ((long long)T_DMA_OWN_BYTES, t_unmap(self->fd, self->id, self->dev.own_iova,
							       T_DMA_OWN_BYTES));
		ASSERT_OK(t_dma_map_own(&self->dev, self->fd, self->id));
	}
}

/* A device that the user has put to sleep can be attached and detached */
TEST_F(device, attach_and_detach_many_times)
{
	int i;

	for (i = 0; i < 100; i++) {
		ASSERT_OK(attach(self->fd, i % 2 ? self->id : self->other, 0));
		ASSERT_OK(detach(self->fd));
	}
	ASSERT_OK(attach(self->fd, self->id, 0));
	EXPECT_DEVICE_IN(0);
}

/* --- two devices of one group ------------------------------------------------ */

FIXTURE(siblings) {
	int fd;
	u32 id;
	u32 other;
	char *mem;
	struct t_dma a;
	struct t_dma b;
};

FIXTURE_VARIANT(siblings) {
	bool by_file;
};

FIXTURE_VARIANT_ADD(siblings, by_container) { .by_file = false };
FIXTURE_VARIANT_ADD(siblings, by_file) { .by_file = true };

#define attach_in(d, ctx, ioasid, flags)	\
	way_attach(variant->by_file, &self->d.vfio, ctx, ioasid, flags)
#define detach_of(d, ctx)	way_detach(variant->by_file, &self->d.vfio, ctx)

FIXTURE_SETUP(siblings)
{
	const char *b = t_device(T_SIBLING, 1);

	NEED(b, "needs two devices in one IOMMU group");
	self->fd = t_open();
	ASSERT_FD(self->fd);
	/* Both must be out of the hands of other drivers first */
	ASSERT_EQ(0, t_device_to_vfio(b));
	ASSERT_EQ(0, t_dma_open(&self->a, T_SIBLING, 0, VFIO_IOASID_IOMMU)) TH_LOG("%s", t_vfio_step);
	ASSERT_EQ(0, t_dma_open_in(&self->b, T_SIBLING, 1, &self->a.vfio)) TH_LOG("%s", t_vfio_step);
	ASSERT_OK(t_alloc(self->fd, &self->id));
	ASSERT_OK(t_alloc(self->fd, &self->other));
	self->mem = t_memory(T_ANON, 8 * T_PAGE);
	ASSERT_OK(t_map_at(self->fd, self->id, self->mem, 2 * T_PAGE, T_RW, AT));
	ASSERT_OK(t_map_at(self->fd, self->other, self->mem + 4 * T_PAGE, 2 * T_PAGE, T_RW, AT));
}

FIXTURE_TEARDOWN(siblings)
{
	t_dma_close(&self->b);
	t_dma_close(&self->a);
	close(self->fd);
}

/* Is the device where pages 0 and 1 of @mem are at AT? */
static bool is_in(struct t_dma *dev, char *mem, u32 seed)
{
	t_fill(mem, T_PAGE, seed);
	memset(mem + T_PAGE, 0, T_PAGE);
	return !t_dma_pull(dev, AT, T_PAGE) && !t_dma_push(dev, AT + T_PAGE, T_PAGE) &&
	       t_differs(mem + T_PAGE, T_PAGE, seed) == -1;
}

TEST_F(siblings, share_a_space)
{
	struct ioasid_space_info info;
	struct ioasid_device_info dev;

	ASSERT_OK(attach_in(a, self->fd, self->id, 0));
	ASSERT_OK(attach_in(b, self->fd, self->id, 0));
	EXPECT_NE(self->a.vfio.dev_id, self->b.vfio.dev_id);
	ASSERT_OK(t_space_info(self->fd, self->id, &info));
	EXPECT_EQ(2, info.nr_attachments);
	EXPECT_EQ(1, info.nr_domains);
	ASSERT_OK(t_device_info(self->fd, self->a.vfio.dev_id, &dev));
	EXPECT_FALSE(dev.caps & IOASID_DEVICE_SINGLETON);
	EXPECT_EQ((u32)t_device_group(self->b.vfio.addr), dev.group_id);
	EXPECT_TRUE(is_in(&self->a, self->mem, 1));
	EXPECT_TRUE(is_in(&self->b, self->mem, 2));
	/* The first one leaves: the other goes on */
	ASSERT_OK(detach_of(a, self->fd));
	EXPECT_TRUE(is_in(&self->b, self->mem, 3));
	EXPECT_FAIL(EBUSY, IN_USE, t_free(self->fd, self->id));
	/* The last one leaves: nobody is let through any more */
	ASSERT_OK(detach_of(b, self->fd));
	EXPECT_FALSE(is_in(&self->a, self->mem, 4));
	EXPECT_FALSE(is_in(&self->b, self->mem, 5));
	EXPECT_OK(t_free(self->fd, self->id));
}

TEST_F(siblings, cannot_part)
{
	ASSERT_OK(attach_in(a, self->fd, self->id, 0));
	EXPECT_FAIL(EBUSY, SIBLING, attach_in(b, self->fd, self->other, 0));
	EXPECT_FAIL(EBUSY, SIBLING,
		    attach_in(b, self->fd, self->other, IOASID_ATTACH_REPLACE));
	ASSERT_OK(attach_in(b, self->fd, self->id, 0));
	EXPECT_FAIL(EBUSY, SIBLING,
		    attach_in(b, self->fd, self->other, IOASID_ATTACH_REPLACE));
	EXPECT_TRUE(is_in(&self->a, self->mem, 1));
	EXPECT_TRUE(is_in(&self->b, self->mem, 2));
	/* Alone, it can move, and then the other follows */
	ASSERT_OK(detach_of(a, self->fd));
	ASSERT_OK(attach_in(b, self->fd, self->other, IOASID_ATTACH_REPLACE));
	EXPECT_TRUE(is_in(&self->b, self->mem + 4 * T_PAGE, 3));
	EXPECT_FAIL(EBUSY, SIBLING, attach_in(a, self->fd, self->id, 0));
	ASSERT_OK(attach_in(a, self->fd, self->other, 0));
	EXPECT_TRUE(is_in(&self->a, self->mem + 4 * T_PAGE, 4));
}

TEST_F(siblings, in_two_contexts)
{
	int second = t_open();
	u32 id;

	ASSERT_FD(second);
	ASSERT_OK(t_alloc(second, &id));
	ASSERT_OK(attach_in(a, self->fd, self->id, 0));
	EXPECT_FAIL(EBUSY, OWNER, attach_in(b, second, id, 0));
	ASSERT_OK(detach_of(a, self->fd));
	ASSERT_OK(attach_in(b, second, id, 0));
	EXPECT_FAIL(EBUSY, OWNER, attach_in(a, self->fd, self->id, 0));
	close(second);
	/* Its space lives on behind the device, unless the context had the device's file */
	if (!variant->by_file)
		EXPECT_FAIL(EBUSY, OWNER, attach_in(a, self->fd, self->id, 0));
	t_vfio_close_device(&self->b.vfio);
	ASSERT_OK(attach_in(a, self->fd, self->id, 0));
	EXPECT_TRUE(is_in(&self->a, self->mem, 1));
}

TEST_F(siblings, close_one)
{
	ASSERT_OK(attach_in(a, self->fd, self->id, 0));
	ASSERT_OK(attach_in(b, self->fd, self->id, 0));
	t_vfio_close_device(&self->a.vfio);
	EXPECT_TRUE(is_in(&self->b, self->mem, 1));
	/* The context still has the files */
	if (variant->by_file) {
		ASSERT_OK(t_unbind(self->fd, self->a.vfio.dev_id));
		EXPECT_TRUE(is_in(&self->b, self->mem, 2));
	}
	t_vfio_close_device(&self->b.vfio);
	if (variant->by_file)
		ASSERT_OK(t_unbind(self->fd, self->b.vfio.dev_id));
	EXPECT_OK(t_free(self->fd, self->id));
}

TEST_HARNESS_MAIN
