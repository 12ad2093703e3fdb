// SPDX-License-Identifier: GPL-2.0
/*
 * PASIDs: taken from the kernel's pool and given back, attached to spaces of
 * their own beside the RID, and the address space of a process. Whether DMA
 * goes where it should is asked of the device, never of the kernel. Each case names
 * the device by its id, bound by its container, and by its file.
 */
#include <errno.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include "harness.h"

#define AT	0x100000000ULL
#define LEN	(16 * T_PAGE)

FIXTURE(pasid) {
	int fd;
	struct t_dma dev;
	u32 dev_id;
	u32 bits;
	u32 rid;		/* space of the RID */
	u32 other;		/* space for a PASID */
	char *mem;		/* mapped at AT of rid */
	char *mem2;		/* mapped at AT of other */
	long pins;
};

FIXTURE_VARIANT(pasid) {
	bool by_file;
};

FIXTURE_VARIANT_ADD(pasid, by_id) { .by_file = false };
FIXTURE_VARIANT_ADD(pasid, by_file) { .by_file = true };

static int way_know(bool by_file, struct t_vfio *v, int ctx)
{
	return by_file ? t_bind_fd(ctx, v->device, &v->dev_id) : t_vfio_bind(v, ctx);
}

static int way_attach(bool by_file, const struct t_vfio *v, int ctx, u32 ioasid, u32 *pasid,
		      u32 vpasid, u32 flags)
{
	return by_file ? t_attach_fd(ctx, v->device, ioasid, pasid, vpasid, flags, NULL) :
			 t_attach_pasid(ctx, v->dev_id, ioasid, pasid, vpasid, flags);
}

static int way_detach(bool by_file, const struct t_vfio *v, int ctx, u32 number)
{
	return by_file ? t_detach_fd(ctx, v->device, number) :
			 t_detach_pasid(ctx, v->dev_id, number);
}

#define attach(ioasid, pasid, vpasid, flags)	\
	way_attach(variant->by_file, &self->dev.vfio, self->fd, ioasid, pasid, vpasid, flags)
#define detach(number)	way_detach(variant->by_file, &self->dev.vfio, self->fd, number)

FIXTURE_SETUP(pasid)
{
	struct ioasid_device_info info = { .size = sizeof(info) };

	self->pins = t_pinned_pages();
	NEED_DMA(&self->dev, T_EDU, 0);
	self->fd = t_open();
	ASSERT_FD(self->fd);
	ASSERT_OK(t_alloc(self->fd, &self->rid));
	ASSERT_OK(t_alloc(self->fd, &self->other));
	ASSERT_OK(way_know(variant->by_file, &self->dev.vfio, self->fd));
	self->dev_id = self->dev.vfio.dev_id;
	ASSERT_OK(t_attach(self->fd, self->dev_id, self->rid, 0));
	ASSERT_OK(t_device_info(self->fd, self->dev_id, &info));
	NEED(info.caps & IOASID_DEVICE_PASID, "needs a device with PASIDs");
	NEED(t_on_sim(), "needs ioasid_sim");
	self->bits = info.pasid_bits;
	self->mem = t_memory(T_ANON, LEN);
	self->mem2 = t_memory(T_ANON, LEN);
	ASSERT_NE(NULL, self->mem);
	ASSERT_NE(NULL, self->mem2);
	t_fill(self->mem, LEN, 1);
	t_fill(self->mem2, LEN, 2);
	ASSERT_OK(t_map_at(self->fd, self->rid, self->mem, LEN, T_RW, AT));
	ASSERT_OK(t_map_at(self->fd, self->other, self->mem2, LEN, T_RW, AT));
}

FIXTURE_TEARDOWN(pasid)
{
	t_dma_close(&self->dev);
	close(self->fd);
	if (self->pins >= 0)
		EXPECT_EQ(self->pins, t_pinned_pages());
}

static int sim_read(struct t_dma *d, u32 pasid, u64 iova, u32 length)
{
	struct ioasid_sim_command cmd = {
		.opcode = IOASID_SIM_OP_READ, .iova = iova, .length = length,
		.pasid = pasid, .flags = pasid ? IOASID_SIM_CMD_PASID : 0,
	};
	struct ioasid_sim_completion c;
	int ret;

	memset(t_sim_buffer(&d->sim, 0), 0, length);
	ret = t_sim_run(&d->sim, &cmd, &c);
	return ret ?: t_sim_error(&c);
}

/* 0 if the device reads @seed's pattern there with that PASID */
static int reads(struct t_dma *d, u32 pasid, u64 iova, u32 seed)
{
	int ret = sim_read(d, pasid, iova, T_PAGE);

	if (ret)
		return ret;
	return t_differs(t_sim_buffer(&d->sim, 0), T_PAGE, seed) < 0 ? 0 : -EILSEQ;
}

TEST_F(pasid, alloc_and_free)
{
	struct ioasid_info info = { .size = sizeof(info) };
	u32 p[64];
	int i, j;

	ASSERT_OK(t_pasid_alloc(self->fd, self->dev_id, 64, p));
	for (i = 0; i < 64; i++) {
		EXPECT_NE(0, p[i]);
		EXPECT_GT(1u << self->bits, p[i]);
		for (j = 0; j < i; j++)
			EXPECT_NE(p[j], p[i]);
	}
	ASSERT_OK(t_info(self->fd, &info));
	EXPECT_EQ(64, info.nr_pasids);
	EXPECT_TRUE(info.caps & IOASID_CAP_PASID);
	ASSERT_OK(t_pasid_free(self->fd, 64, p));
	EXPECT_FAIL(ENOENT, NO_PASID_ID, t_pasid_free(self->fd, 1, p));
	ASSERT_OK(t_info(self->fd, &info));
	EXPECT_EQ(0, info.nr_pasids);
}

/* What the device reserves is out of the space as long as one of its PASIDs is in it */
TEST_F(pasid, usable_ranges)
{
	struct ioasid_iova_range without[16], with[16], now[16];
	u32 id, p[3];
	int i, nr, nr_with;

	ASSERT_OK(t_alloc(self->fd, &id));
	nr = t_space_ranges(self->fd, id, without, 16);
	for (i = 0; i < 3; i++) {
		p[i] = IOASID_PASID_ANY;
		ASSERT_OK(attach(id, &p[i], 0, 0));
		if (!i)
			nr_with = t_space_ranges(self->fd, id, with, 16);
		ASSERT_EQ(nr_with, t_space_ranges(self->fd, id, now, 16));
		EXPECT_EQ(0, memcmp(with, now, nr_with * sizeof(now[0])));
	}
	/* The window of interrupt messages, among others */
	EXPECT_LT(nr, nr_with);
	for (i = 0; i < 2; i++) {
		ASSERT_OK(detach(p[i]));
		ASSERT_EQ(nr_with, t_space_ranges(self->fd, id, now, 16));
		EXPECT_EQ(0, memcmp(with, now, nr_with * sizeof(now[0])));
		EXPECT_FAIL(ERANGE, UNUSABLE,
			    t_map_at(self->fd, id, self->mem, T_PAGE, T_RW, with[0].last + 1));
	}
	ASSERT_OK(detach(p[2]));
	ASSERT_EQ(nr, t_space_ranges(self->fd, id, now, 16));
	EXPECT_EQ(0, memcmp(without, now, nr * sizeof(now[0])));
}

TEST_F(pasid, bad_numbers)
{
	u32 q;

	EXPECT_FAIL(EINVAL, VALUE, t_pasid_alloc(self->fd, self->dev_id, 0, &q));
	EXPECT_FAIL(E2BIG, LIMIT, t_pasid_alloc(self->fd, self->dev_id, 65537, &q));
}

TEST_F(pasid, quota)
{
	struct ioasid_info info = { .size = sizeof(info) };
	static u32 p[1025];

	EXPECT_FAIL(EDQUOT, LIMIT, t_pasid_alloc(self->fd, self->dev_id, 1025, p));
	ASSERT_OK(t_info(self->fd, &info));
	EXPECT_EQ(0, info.nr_pasids);
	ASSERT_OK(t_pasid_alloc(self->fd, self->dev_id, 1024, p));
	EXPECT_FAIL(EDQUOT, LIMIT, t_pasid_alloc(self->fd, self->dev_id, 1, p + 1024));
	ASSERT_OK(t_pasid_free(self->fd, 1024, p));
}

TEST_F(pasid, free_all_or_none)
{
	struct ioasid_info info = { .size = sizeof(info) };
	u32 p[3];

	ASSERT_OK(t_pasid_alloc(self->fd, self->dev_id, 2, p));
	p[2] = 0xfffff;
	EXPECT_FAIL(ENOENT, NO_PASID_ID, t_pasid_free(self->fd, 3, p));
	EXPECT_EQ(2, t_extack.index);
	ASSERT_OK(t_info(self->fd, &info));
	EXPECT_EQ(2, info.nr_pasids);
	p[2] = p[0];
	ASSERT_OK(t_pasid_free(self->fd, 3, p));
}

TEST_F(pasid, two_spaces_of_one_device)
{
	struct ioasid_device_info info = { .size = sizeof(info) };
	u32 p;

	ASSERT_OK(t_pasid_alloc(self->fd, self->dev_id, 1, &p));
	EXPECT_EQ(-EFAULT, reads(&self->dev, p, AT, 2));
	ASSERT_OK(attach(self->other, &p, 0, 0));
	EXPECT_EQ(0, reads(&self->dev, 0, AT, 1));
	EXPECT_EQ(0, reads(&self->dev, p, AT, 2));
	EXPECT_EQ(-EFAULT, reads(&self->dev, p + 1, AT, 2));
	ASSERT_OK(t_device_info(self->fd, self->dev_id, &info));
	EXPECT_EQ(1, info.nr_pasids);
	EXPECT_EQ(self->rid, info.ioasid);
	EXPECT_FAIL(EBUSY, IN_USE, t_pasid_free(self->fd, 1, &p));
	EXPECT_FAIL(EBUSY, IN_USE, t_free(self->fd, self->other));
	/* What is unmapped is gone for the PASID, and only there */
	EXPECT_EQ((long long)LEN, t_unmap(self->fd, self->other, AT, LEN));
	EXPECT_EQ(-EFAULT, reads(&self->dev, p, AT, 2));
	EXPECT_EQ(0, reads(&self->dev, 0, AT, 1));
	ASSERT_OK(detach(p));
	EXPECT_FAIL(ENOENT, NOT_ATTACHED, detach(p));
	EXPECT_EQ(0, reads(&self->dev, 0, AT, 1));
	ASSERT_OK(t_pasid_free(self->fd, 1, &p));
}

/* A PASID does not need the RID, and outlives its detach */
TEST_F(pasid, without_the_rid)
{
	u32 p = IOASID_PASID_ANY;

	ASSERT_OK(attach(self->other, &p, 0, 0));
	ASSERT_OK(t_detach(self->fd, self->dev_id));
	EXPECT_EQ(-EFAULT, reads(&self->dev, 0, AT, 1));
	EXPECT_EQ(0, reads(&self->dev, p, AT, 2));
}

TEST_F(pasid, any)
{
	struct ioasid_info info = { .size = sizeof(info) };
	u32 p = IOASID_PASID_ANY, q;

	ASSERT_OK(attach(self->other, &p, 0, 0));
	EXPECT_NE(IOASID_PASID_ANY, p);
	EXPECT_EQ(0, reads(&self->dev, p, AT, 2));
	/* It is the attachment's, not the user's */
	EXPECT_FAIL(ENOENT, NO_PASID_ID, t_pasid_free(self->fd, 1, &p));
	ASSERT_OK(detach(p));
	EXPECT_EQ(-EFAULT, reads(&self->dev, p, AT, 2));
	ASSERT_OK(t_info(self->fd, &info));
	EXPECT_EQ(0, info.nr_pasids);
	q = p;
	EXPECT_FAIL(EPERM, NO_PASID_ID, attach(self->other, &q, 0, 0));
}

TEST_F(pasid, foreign)
{
	int fd = t_open();
	u32 p = 1, id;

	ASSERT_FD(fd);
	EXPECT_FAIL(EPERM, NO_PASID_ID, attach(self->other, &p, 0, 0));
	ASSERT_OK(t_pasid_alloc(self->fd, self->dev_id, 1, &p));
	EXPECT_FAIL(ENOENT, NO_PASID_ID, t_pasid_free(fd, 1, &p));
	EXPECT_FAIL(ENOENT, NO_DEVICE_ID, t_pasid_alloc(fd, self->dev_id, 1, &p));
	ASSERT_OK(t_alloc(fd, &id));
	close(fd);
}

TEST_F(pasid, virtual_number)
{
	u32 p = IOASID_PASID_ANY, q = IOASID_PASID_ANY;

	ASSERT_OK(attach(self->other, &p, 0x777, 0));
	EXPECT_NE(0x777, p);
	EXPECT_EQ(0, reads(&self->dev, p, AT, 2));
	EXPECT_FAIL(EBUSY, ATTACHED, attach(self->rid, &q, 0x777, 0));
	EXPECT_FAIL(ENOENT, NOT_ATTACHED, detach(p));
	q = p;
	EXPECT_FAIL(EBUSY, ATTACHED, attach(self->other, &q, 0x778, 0));
	ASSERT_OK(detach(0x777));
	EXPECT_EQ(-EFAULT, reads(&self->dev, p, AT, 2));
	q = IOASID_PASID_ANY;
	EXPECT_FAIL(EINVAL, VALUE, attach(self->other, &q, 1u << 20, 0));
	q = IOASID_RID;
	EXPECT_FAIL(EINVAL, VALUE, attach(self->other, &q, 5, 0));
}

TEST_F(pasid, replace)
{
	u32 p = IOASID_PASID_ANY, q;
	int ret;

	ASSERT_OK(attach(self->other, &p, 0, 0));
	EXPECT_EQ(0, reads(&self->dev, p, AT, 2));
	q = p;
	EXPECT_FAIL(EBUSY, ATTACHED, attach(self->rid, &q, 0, 0));
	ret = attach(self->rid, &q, 0, IOASID_ATTACH_REPLACE);
	if (ret == -EOPNOTSUPP) {
		EXPECT_EQ(0, reads(&self->dev, p, AT, 2));
		SKIP(return, "needs a kernel that replaces the domain of a PASID");
	}
	ASSERT_EQ(0, ret) TH_LOG("%s", t_explain());
	EXPECT_EQ(p, q);
	EXPECT_EQ(0, reads(&self->dev, p, AT, 1));
	ASSERT_OK(t_free(self->fd, self->other));
	ASSERT_OK(detach(p));
}

/* A PASID through another context must not take the RID away */
TEST_F(pasid, other_context)
{
	int fd = t_open();
	struct vfio_device_attach arg = {
		.argsz = sizeof(arg), .ioasid_fd = fd, .device_fd = self->dev.vfio.device,
		.pasid = IOASID_PASID_ANY,
	};
	u32 id, any = IOASID_PASID_ANY;

	ASSERT_FD(fd);
	ASSERT_OK(t_alloc(fd, &id));
	arg.ioasid = id;
	EXPECT_EQ(0, reads(&self->dev, 0, AT, 1));
	if (variant->by_file)
		EXPECT_FAIL(EBUSY, OWNER, way_attach(true, &self->dev.vfio, fd, id, &any, 0, 0));
	else
		EXPECT_FAIL(EBUSY, OWNER,
			    t_cmd(self->dev.vfio.container, VFIO_DEVICE_ATTACH, &arg));
	EXPECT_EQ(0, reads(&self->dev, 0, AT, 1));
	close(fd);
}

/* Two names for what is replaced must agree */
TEST_F(pasid, replace_mismatch)
{
	u32 p = IOASID_PASID_ANY, q;

	ASSERT_OK(attach(self->other, &p, 0x777, 0));
	ASSERT_OK(t_pasid_alloc(self->fd, self->dev_id, 1, &q));
	EXPECT_EQ(-EINVAL, attach(self->rid, &q, 0x777, IOASID_ATTACH_REPLACE));
}

/*
 * Closing detaches everything, and the next user finds nothing. A file that the context
 * has as well is not closed before the context unbinds the device.
 */
TEST_F(pasid, close_attached)
{
	u32 p = IOASID_PASID_ANY, rid = IOASID_RID;

	ASSERT_OK(attach(self->other, &p, 0, 0));
	if (variant->by_file) {
		ASSERT_EQ(0, t_dma_reopen(&self->dev));
		EXPECT_EQ(0, reads(&self->dev, p, AT, 2));
		ASSERT_OK(t_unbind(self->fd, self->dev_id));
	}
	ASSERT_EQ(0, t_dma_reopen(&self->dev));
	EXPECT_EQ(-EFAULT, reads(&self->dev, p, AT, 2));
	ASSERT_OK(way_know(variant->by_file, &self->dev.vfio, self->fd));
	ASSERT_OK(attach(self->rid, &rid, 0, 0));
	EXPECT_EQ(0, reads(&self->dev, 0, AT, 1));
	EXPECT_EQ(-EFAULT, reads(&self->dev, p, AT, 2));
}

/* --- the address space of a process ------------------------------------------- */

static int sim_mm(struct t_dma *d, u32 opcode, u32 pasid, void *at, u32 length)
{
	struct ioasid_sim_command cmd = {
		.opcode = opcode, .iova = (uintptr_t)at, .length = length, .pasid = pasid,
		.flags = IOASID_SIM_CMD_PASID | IOASID_SIM_CMD_REQUEST,
	};
	struct ioasid_sim_completion c;
	int ret = t_sim_run(&d->sim, &cmd, &c);

	return ret ?: t_sim_error(&c);
}

FIXTURE(mm) {
	int fd;
	struct t_dma dev;
	u32 id;
	u32 pasid;
	long pins;
};

FIXTURE_VARIANT(mm) {
	bool by_file;
};

FIXTURE_VARIANT_ADD(mm, by_id) { .by_file = false };
FIXTURE_VARIANT_ADD(mm, by_file) { .by_file = true };

FIXTURE_SETUP(mm)
{
	NEED_DMA(&self->dev, T_EDU, 0);
	NEED(t_on_sim(), "needs ioasid_sim");
	self->fd = t_open();
	ASSERT_FD(self->fd);
	NEED(t_shares_mm(self->fd), "needs a kernel that shares a process' memory");
	ASSERT_OK(way_know(variant->by_file, &self->dev.vfio, self->fd));
	ASSERT_OK(t_alloc_mm(self->fd, &self->id));
	self->pins = t_pinned_pages();
	self->pasid = IOASID_PASID_ANY;
	ASSERT_OK(attach(self->id, &self->pasid, 0, 0));
}

FIXTURE_TEARDOWN(mm)
{
	t_dma_close(&self->dev);
	close(self->fd);
}

TEST_F(mm, malloc)
{
	char *mem = malloc(LEN);

	ASSERT_NE(NULL, mem);
	t_fill(mem, LEN, 7);
	memset(t_sim_buffer(&self->dev.sim, 0), 0, LEN);
	ASSERT_EQ(0, sim_mm(&self->dev, IOASID_SIM_OP_READ, self->pasid, mem, LEN));
	EXPECT_EQ(-1, t_differs(t_sim_buffer(&self->dev.sim, 0), LEN, 7));
	t_fill(t_sim_buffer(&self->dev.sim, 0), LEN, 8);
	ASSERT_EQ(0, sim_mm(&self->dev, IOASID_SIM_OP_WRITE, self->pasid, mem, LEN));
	EXPECT_EQ(-1, t_differs(mem, LEN, 8));
	free(mem);
	/* Nothing is pinned */
	if (self->pins >= 0)
		EXPECT_EQ(self->pins, t_pinned_pages());
}

/* Memory that was never touched arrives by a page request */
TEST_F(mm, fault)
{
	char *mem = mmap(NULL, LEN, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	ASSERT_NE(MAP_FAILED, mem);
	t_fill(t_sim_buffer(&self->dev.sim, 0), LEN, 9);
	ASSERT_EQ(0, sim_mm(&self->dev, IOASID_SIM_OP_WRITE, self->pasid, mem, LEN));
	EXPECT_EQ(-1, t_differs(mem, LEN, 9));
	munmap(mem, LEN);
	EXPECT_EQ(-EIO, sim_mm(&self->dev, IOASID_SIM_OP_READ, self->pasid, mem, T_PAGE));
	EXPECT_EQ(-EIO, sim_mm(&self->dev, IOASID_SIM_OP_READ, self->pasid, (void *)0x10, 8));
}

TEST_F(mm, protection)
{
	char *mem = mmap(NULL, LEN, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	ASSERT_NE(MAP_FAILED, mem);
	t_fill(mem, LEN, 3);
	ASSERT_EQ(0, sim_mm(&self->dev, IOASID_SIM_OP_WRITE, self->pasid, mem, T_PAGE));
	t_fill(mem, LEN, 3);
	ASSERT_EQ(0, mprotect(mem, LEN, PROT_READ));
	EXPECT_EQ(-EIO, sim_mm(&self->dev, IOASID_SIM_OP_WRITE, self->pasid, mem, T_PAGE));
	EXPECT_EQ(-1, t_differs(mem, LEN, 3));
	EXPECT_EQ(0, sim_mm(&self->dev, IOASID_SIM_OP_READ, self->pasid, mem, T_PAGE));
	munmap(mem, LEN);
}

/* After a fork the device writes to the parent's copy */
TEST_F(mm, copy_on_write)
{
	char *mem = mmap(NULL, LEN, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	int go[2], status;
	char c;
	pid_t pid;

	ASSERT_NE(MAP_FAILED, mem);
	ASSERT_EQ(0, pipe(go));
	t_fill(mem, LEN, 4);
	ASSERT_EQ(0, sim_mm(&self->dev, IOASID_SIM_OP_READ, self->pasid, mem, LEN));
	pid = fork();
	if (!pid)
		_exit(read(go[0], &c, 1) != 1 || t_differs(mem, LEN, 4) >= 0);
	t_fill(t_sim_buffer(&self->dev.sim, 0), LEN, 5);
	EXPECT_EQ(0, sim_mm(&self->dev, IOASID_SIM_OP_WRITE, self->pasid, mem, LEN));
	EXPECT_EQ(-1, t_differs(mem, LEN, 5));
	ASSERT_EQ(1, write(go[1], "g", 1));
	ASSERT_EQ(pid, waitpid(pid, &status, 0));
	EXPECT_EQ(0, status);
	munmap(mem, LEN);
}

struct mm_child {
	int fd;
	const struct t_vfio *vfio;
	u32 id;
	bool by_file;
};

static int attach_other_process(void *arg)
{
	struct mm_child *c = arg;
	u32 p = IOASID_PASID_ANY;

	T_CHECK(way_attach(c->by_file, c->vfio, c->fd, c->id, &p, 0x99, 0) == -EPERM);
	T_CHECK(t_extack.code == IOASID_REASON_OWNER);
	return 0;
}

/* Whoever has the fd cannot reach the memory of who made the space */
TEST_F(mm, another_process)
{
	struct mm_child c = { self->fd, &self->dev.vfio, self->id, variant->by_file };

	EXPECT_EQ(0, t_child(attach_other_process, &c));
	EXPECT_OK(detach(self->pasid));
	EXPECT_EQ(0, t_child(attach_other_process, &c));
}

/* The page table of a process is shared with others: nothing takes its place, nor it another's */
TEST_F(mm, not_replaced)
{
	u32 mapped, p = IOASID_PASID_ANY, q = IOASID_PASID_ANY;
	char *mem = t_memory(T_ANON, LEN), *own = t_memory(T_ANON, LEN);
	struct ioasid_info info;

	ASSERT_OK(t_alloc(self->fd, &mapped));
	ASSERT_OK(t_map_at(self->fd, mapped, mem, LEN, T_RW, AT));
	ASSERT_OK(attach(mapped, &q, 0x88, 0));
	EXPECT_FAIL(EOPNOTSUPP, KIND, attach(mapped, &p, self->pasid, IOASID_ATTACH_REPLACE));
	p = IOASID_PASID_ANY;
	EXPECT_FAIL(EOPNOTSUPP, KIND, attach(self->id, &p, 0x88, IOASID_ATTACH_REPLACE));
	ASSERT_OK(t_info(self->fd, &info));
	/* That of the mapped space, and that of the process */
	EXPECT_EQ(2, info.nr_pasids);
	t_fill(mem, LEN, 1);
	t_fill(own, LEN, 2);
	EXPECT_EQ(0, reads(&self->dev, q, AT, 1));
	ASSERT_EQ(0, sim_mm(&self->dev, IOASID_SIM_OP_READ, self->pasid, own, LEN));
	EXPECT_EQ(-1, t_differs(t_sim_buffer(&self->dev.sim, 0), LEN, 2));
	EXPECT_OK(detach(0x88));
	EXPECT_OK(detach(self->pasid));
}

TEST_F(mm, not_for_the_rid)
{
	static char page[T_PAGE] __attribute__((aligned(4096)));
	u32 p = IOASID_RID;

	EXPECT_FAIL(EINVAL, KIND, attach(self->id, &p, 0, 0));
	p = 5;
	EXPECT_FAIL(EINVAL, VALUE, attach(self->id, &p, 0, 0));
	EXPECT_FAIL(EINVAL, KIND, t_map_at(self->fd, self->id, page, T_PAGE, T_RW, AT));
	EXPECT_EQ(-EINVAL, (int)t_unmap_all(self->fd, self->id));
	EXPECT_EQ(IOASID_REASON_KIND, t_extack.code);
}

static int child_dies(void *arg)
{
	bool by_file = *(const bool *)arg;
	struct t_dma dev;
	int fd = t_open();
	u32 id, p = IOASID_PASID_ANY;

	T_CHECK(fd >= 0);
	T_CHECK(!t_dma_open(&dev, T_EDU, 1, VFIO_IOASID_IOMMU));
	T_CHECK(!way_know(by_file, &dev.vfio, fd));
	T_CHECK(!t_alloc_mm(fd, &id));
	T_CHECK(!way_attach(by_file, &dev.vfio, fd, id, &p, 0, 0));
	T_CHECK(!sim_mm(&dev, IOASID_SIM_OP_READ, p, child_dies, 64));
	kill(getpid(), SIGKILL);
	return 1;
}

/* A process that is killed with its device attached leaves nothing */
TEST_F(mm, killed)
{
	int i;

	for (i = 0; i < 5; i++)
		EXPECT_EQ(-SIGKILL, t_child(child_dies, (void *)&variant->by_file));
}

TEST_HARNESS_MAIN
