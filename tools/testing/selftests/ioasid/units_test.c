// SPDX-License-Identifier: GPL-2.0
/*
 * One PASID, and one space, for devices behind different IOMMUs: all of them or
 * none. Some of the IOMMUs lack something, so that what is asked for fails in
 * the middle: then everything must be as it was. That is asked of the devices,
 * whose DMA must not get through. Needs units of ioasid_sim that differ:
 *
 *	units=6 no_share=1 no_pasid_units=2 no_pri_units=4 narrow_units=8
 *	no_coherency_units=16
 */
#include <sys/mman.h>
#include <unistd.h>

#include "harness.h"
#include "lib/host.h"

#define AT	0x100000000ULL
#define LEN	(16 * T_PAGE)
#define WAYS	"needs units of ioasid_sim that differ (see the head of this test)"

/* The devices of a test, by what their IOMMUs have */
enum {
	GOOD,		/* everything */
	NO_PASID,
	NO_PRI,
	NARROW,		/* PASIDs below 16 only */
	GOOD2,		/* everything, another unit */
	SAME,		/* another device of the unit of GOOD */
	NR,
};

#define NOT_COHERENT	8

/* Each unit has two devices of that sort, see t_sim_find() */
static const int place[NR] = {
	[GOOD] = 0, [SAME] = 1, [NO_PASID] = 2, [NO_PRI] = 4, [NARROW] = 6, [GOOD2] = 10,
};

FIXTURE(units) {
	int fd;
	struct t_dma dev[NR];
	u32 id[NR];		/* of the devices */
	u32 space;
	char *mem;		/* mapped at AT */
};

static bool is_param(const char *name, const char *want)
{
	char path[128], text[32];

	snprintf(path, sizeof(path), "/sys/module/ioasid_sim/parameters/%s", name);
	return t_read_file(path, text, sizeof(text)) >= 0 && !strcmp(text, want);
}

FIXTURE_SETUP(units)
{
	int i;

	NEED(t_on_sim() && is_param("units", "6") && is_param("no_pasid_units", "2") &&
	     is_param("no_pri_units", "4") && is_param("narrow_units", "8") &&
	     is_param("no_coherency_units", "16") && is_param("no_share", "Y"), WAYS);
	self->fd = t_open();
	ASSERT_FD(self->fd);
	ASSERT_OK(t_alloc(self->fd, &self->space));
	self->mem = t_memory(T_ANON, LEN);
	ASSERT_NE(NULL, self->mem);
	t_fill(self->mem, LEN, 1);
	ASSERT_OK(t_map_at(self->fd, self->space, self->mem, LEN, T_RW, AT));
	for (i = 0; i < NR; i++) {
		NEED_DMA(&self->dev[i], T_EDU, place[i]);
		ASSERT_OK(t_vfio_bind(&self->dev[i].vfio, self->fd));
		self->id[i] = self->dev[i].vfio.dev_id;
	}
}

FIXTURE_TEARDOWN(units)
{
	int i;

	for (i = 0; i < NR; i++)
		t_dma_close(&self->dev[i]);
	close(self->fd);
}

/* 0 if the device reads our memory with that PASID */
static int reads(struct t_dma *d, u32 pasid, u64 iova, u32 flags)
{
	struct ioasid_sim_command cmd = {
		.opcode = IOASID_SIM_OP_READ, .iova = iova, .length = T_PAGE,
		.pasid = pasid, .flags = flags | (pasid ? IOASID_SIM_CMD_PASID : 0),
	};
	struct ioasid_sim_completion c;
	int ret;

	memset(t_sim_buffer(&d->sim, 0), 0, T_PAGE);
	ret = t_sim_run(&d->sim, &cmd, &c);
	if (ret || t_sim_error(&c))
		return ret ?: t_sim_error(&c);
	return t_differs(t_sim_buffer(&d->sim, 0), T_PAGE, 1) < 0 ? 0 : -EILSEQ;
}

/* Nothing is attached and nothing is taken */
#define EXPECT_NOTHING(space_id) do {							\
	struct ioasid_space_info __s = { .size = sizeof(__s) };				\
											\
	EXPECT_OK(t_space_info(self->fd, space_id, &__s));				\
	EXPECT_EQ(0, __s.nr_attachments);						\
	EXPECT_EQ(0, __s.nr_domains);							\
} while (0)

static u32 nr_pasids(int fd)
{
	struct ioasid_info info = { .size = sizeof(info) };

	return t_info(fd, &info) ? ~0U : info.nr_pasids;
}

TEST_F(units, all)
{
	struct ioasid_space_info info = { .size = sizeof(info) };
	u32 ids[] = { self->id[GOOD], self->id[NO_PRI], self->id[GOOD2], self->id[SAME] };
	u32 p = IOASID_PASID_ANY;

	ASSERT_OK(t_attach_many(self->fd, ids, 4, self->space, &p, 0));
	EXPECT_NE(IOASID_PASID_ANY, p);
	EXPECT_EQ(1, nr_pasids(self->fd));
	EXPECT_EQ(0, reads(&self->dev[GOOD], p, AT, 0));
	EXPECT_EQ(0, reads(&self->dev[NO_PRI], p, AT, 0));
	EXPECT_EQ(0, reads(&self->dev[GOOD2], p, AT, 0));
	EXPECT_EQ(0, reads(&self->dev[SAME], p, AT, 0));
	EXPECT_EQ(-EFAULT, reads(&self->dev[NARROW], p, AT, 0));
	ASSERT_OK(t_space_info(self->fd, self->space, &info));
	EXPECT_EQ(4, info.nr_attachments);
	/* No unit takes the page table of another one */
	EXPECT_EQ(3, info.nr_domains);
	/* An unmap reaches all of them */
	EXPECT_EQ((long long)LEN, t_unmap(self->fd, self->space, AT, LEN));
	EXPECT_EQ(-EFAULT, reads(&self->dev[GOOD], p, AT, 0));
	EXPECT_EQ(-EFAULT, reads(&self->dev[NO_PRI], p, AT, 0));
	EXPECT_EQ(-EFAULT, reads(&self->dev[GOOD2], p, AT, 0));
	EXPECT_EQ(-EFAULT, reads(&self->dev[SAME], p, AT, 0));
	/* The PASID is there until the last one is gone */
	ASSERT_OK(t_detach_pasid(self->fd, ids[2], p));
	ASSERT_OK(t_detach_pasid(self->fd, ids[0], p));
	ASSERT_OK(t_detach_pasid(self->fd, ids[3], p));
	EXPECT_EQ(1, nr_pasids(self->fd));
	ASSERT_OK(t_detach_pasid(self->fd, ids[1], p));
	EXPECT_EQ(0, nr_pasids(self->fd));
	EXPECT_NOTHING(self->space);
}

TEST_F(units, by_rid)
{
	u32 ids[] = { self->id[NO_PASID], self->id[NARROW], self->id[GOOD2] };
	u32 p = IOASID_RID;

	ASSERT_OK(t_attach_many(self->fd, ids, 3, self->space, &p, 0));
	EXPECT_EQ(0, reads(&self->dev[NO_PASID], 0, AT, 0));
	EXPECT_EQ(0, reads(&self->dev[NARROW], 0, AT, 0));
	EXPECT_EQ(0, reads(&self->dev[GOOD2], 0, AT, 0));
	EXPECT_EQ(-EFAULT, reads(&self->dev[GOOD], 0, AT, 0));
}

/* The kernel chooses a PASID that all of them can have, wherever the narrow one is */
TEST_F(units, narrow)
{
	u32 ids[] = { self->id[GOOD], self->id[NARROW], self->id[GOOD2] };
	u32 p = IOASID_PASID_ANY, q, low[14], i;

	ASSERT_OK(t_attach_many(self->fd, ids, 3, self->space, &p, 0));
	EXPECT_GT(16, p);
	for (i = 0; i < 3; i++)
		ASSERT_OK(t_detach_pasid(self->fd, ids[i], p));
	/* Not if all of these are taken, though two of them could have others */
	for (i = 0; i < 14; i++)
		if (t_pasid_alloc(self->fd, ids[1], 1, &low[i]))
			break;
	p = IOASID_PASID_ANY;
	while (!t_pasid_alloc(self->fd, ids[1], 1, &q))
		;
	EXPECT_FAIL(ENOSPC, LIMIT, t_attach_many(self->fd, ids, 3, self->space, &p, 0));
	EXPECT_EQ(1, t_extack.index);
	EXPECT_NOTHING(self->space);
	/* One that is too wide for it */
	ASSERT_OK(t_pasid_alloc(self->fd, ids[0], 1, &p));
	q = p;
	EXPECT_FAIL(ERANGE, NO_PASID, t_attach_many(self->fd, ids, 3, self->space, &q, 0));
	EXPECT_EQ(1, t_extack.index);
	EXPECT_EQ(ids[1], t_extack.dev_id);
	EXPECT_EQ(-EFAULT, reads(&self->dev[GOOD], p, AT, 0));
	EXPECT_NOTHING(self->space);
	EXPECT_OK(t_pasid_free(self->fd, 1, &p));
}

/* The IOMMU core would attach it with success, and do nothing */
TEST_F(units, no_pasid_in_the_middle)
{
	u32 ids[] = { self->id[GOOD], self->id[NO_PASID], self->id[GOOD2] };
	u32 p = IOASID_PASID_ANY, q;

	EXPECT_FAIL(EOPNOTSUPP, NO_PASID, t_attach_many(self->fd, ids, 3, self->space, &p, 0));
	EXPECT_EQ(1, t_extack.index);
	EXPECT_EQ(ids[1], t_extack.dev_id);
	EXPECT_EQ(0, nr_pasids(self->fd));
	EXPECT_NOTHING(self->space);
	EXPECT_FAIL(EOPNOTSUPP, NO_PASID, t_pasid_alloc(self->fd, ids[1], 1, &q));
	/* And alone */
	p = IOASID_PASID_ANY;
	EXPECT_FAIL(EOPNOTSUPP, NO_PASID,
		    t_attach_pasid(self->fd, ids[1], self->space, &p, 0, 0));
	ASSERT_OK(t_pasid_alloc(self->fd, ids[0], 1, &p));
	EXPECT_FAIL(EOPNOTSUPP, NO_PASID,
		    t_attach_pasid(self->fd, ids[1], self->space, &p, 0, 0));
	EXPECT_OK(t_pasid_free(self->fd, 1, &p));
}

/* The first one was attached, and is detached again */
TEST_F(units, no_page_requests_in_the_middle)
{
	u32 ids[] = { self->id[GOOD], self->id[NO_PRI], self->id[GOOD2] };
	u32 space, p, q;

	ASSERT_OK(t_alloc_faults(self->fd, &space));
	ASSERT_OK(t_map_at(self->fd, space, self->mem, LEN, T_RW, AT));
	ASSERT_OK(t_pasid_alloc(self->fd, ids[0], 1, &p));
	q = p;
	EXPECT_FAIL(ENODEV, NO_PRI, t_attach_many(self->fd, ids, 3, space, &q, 0));
	EXPECT_EQ(1, t_extack.index);
	EXPECT_EQ(ids[1], t_extack.dev_id);
	EXPECT_EQ(-EFAULT, reads(&self->dev[GOOD], p, AT, 0));
	EXPECT_EQ(-EFAULT, reads(&self->dev[GOOD2], p, AT, 0));
	EXPECT_NOTHING(space);
	EXPECT_EQ(1, nr_pasids(self->fd));
	EXPECT_OK(t_pasid_free(self->fd, 1, &p));
	/* One of the kernel's choice goes back, too */
	q = IOASID_PASID_ANY;
	EXPECT_FAIL(ENODEV, NO_PRI, t_attach_many(self->fd, ids, 3, space, &q, 0));
	EXPECT_EQ(0, nr_pasids(self->fd));
	/* Without the bad one in the middle it works */
	ids[1] = ids[2];
	q = IOASID_PASID_ANY;
	ASSERT_OK(t_attach_many(self->fd, ids, 2, space, &q, 0));
	EXPECT_EQ(0, reads(&self->dev[GOOD2], q, AT, 0));
}

/* What was attached before stays; a device cannot come twice */
TEST_F(units, attached_before)
{
	u32 ids[] = { self->id[GOOD], self->id[GOOD2], self->id[SAME] };
	u32 other, p, q;

	ASSERT_OK(t_alloc(self->fd, &other));
	ASSERT_OK(t_pasid_alloc(self->fd, ids[0], 1, &p));
	q = p;
	ASSERT_OK(t_attach_pasid(self->fd, ids[1], self->space, &q, 0, 0));
	q = p;
	EXPECT_FAIL(EBUSY, ATTACHED, t_attach_many(self->fd, ids, 3, other, &q, 0));
	EXPECT_EQ(1, t_extack.index);
	EXPECT_EQ(0, reads(&self->dev[GOOD2], p, AT, 0));
	EXPECT_NOTHING(other);
	ids[1] = ids[0];
	q = p;
	EXPECT_FAIL(EBUSY, ATTACHED, t_attach_many(self->fd, ids, 3, self->space, &q, 0));
	EXPECT_EQ(1, t_extack.index);
	EXPECT_EQ(-EFAULT, reads(&self->dev[GOOD], p, AT, 0));
	EXPECT_EQ(0, reads(&self->dev[GOOD2], p, AT, 0));
	/* Other numbers of a device that is detached again are not touched */
	q = IOASID_PASID_ANY;
	ASSERT_OK(t_attach_pasid(self->fd, ids[0], self->space, &q, 0, 0));
	ids[1] = 0x7fff;
	p = IOASID_PASID_ANY;
	EXPECT_FAIL(ENOENT, NO_DEVICE_ID, t_attach_many(self->fd, ids, 3, self->space, &p, 0));
	EXPECT_EQ(1, t_extack.index);
	EXPECT_EQ(0, reads(&self->dev[GOOD], q, AT, 0));
}

TEST_F(units, bad_vectors)
{
	struct ioasid_device_attach cmd = {
		.size = sizeof(cmd), .ioasid = self->space, .nr_devices = 1,
		.devices = (uintptr_t)self->id, .flags = IOASID_ATTACH_REPLACE,
	};
	u32 p = IOASID_RID;

	EXPECT_FAIL(EINVAL, VALUE, t_cmd(self->fd, IOASID_DEVICE_ATTACH, &cmd));
	cmd.flags = 0;
	cmd.dev_id = self->id[0];
	EXPECT_FAIL(EINVAL, VALUE, t_cmd(self->fd, IOASID_DEVICE_ATTACH, &cmd));
	EXPECT_FAIL(E2BIG, LIMIT, t_attach_many(self->fd, self->id, IOASID_MAX_DEVICES + 1,
						self->space, &p, 0));
	EXPECT_FAIL(EFAULT, POINTER, t_attach_many(self->fd, (u32 *)16, 2, self->space, &p, 0));
	EXPECT_FAIL(ENOENT, NO_SPACE_ID, t_attach_many(self->fd, self->id, 2, 0x7fff, &p, 0));
	EXPECT_NOTHING(self->space);
}

/* A process, and a device that cannot have its address space */
TEST_F(units, process)
{
	u32 ids[] = { self->id[GOOD], self->id[NO_PRI], self->id[GOOD2] };
	u32 mm, p = IOASID_PASID_ANY, q = IOASID_PASID_ANY;

	NEED(t_shares_mm(self->fd), "needs a kernel that shares a process' memory");
	ASSERT_OK(t_alloc_mm(self->fd, &mm));
	/* To find out the PASID of the process */
	ASSERT_OK(t_attach_pasid(self->fd, self->id[SAME], mm, &q, 0, 0));
	ASSERT_OK(t_detach_pasid(self->fd, self->id[SAME], q));
	EXPECT_EQ(-EOPNOTSUPP, t_attach_many(self->fd, ids, 3, mm, &p, 0));
	EXPECT_EQ(IOASID_REASON_NO_SVA, t_extack.code);
	EXPECT_EQ(1, t_extack.index);
	EXPECT_EQ(-EFAULT, reads(&self->dev[GOOD], q, (uintptr_t)self->mem, 0));
	EXPECT_EQ(-EFAULT, reads(&self->dev[GOOD2], q, (uintptr_t)self->mem, 0));
	EXPECT_NOTHING(mm);
	ids[1] = self->id[NO_PASID];
	EXPECT_FAIL(EOPNOTSUPP, NO_PASID, t_attach_many(self->fd, ids, 3, mm, &p, 0));
	EXPECT_EQ(-EFAULT, reads(&self->dev[GOOD], q, (uintptr_t)self->mem, 0));
	ids[1] = self->id[SAME];
	p = IOASID_PASID_ANY;
	ASSERT_OK(t_attach_many(self->fd, ids, 3, mm, &p, 0x77));
	EXPECT_EQ(q, p);
	EXPECT_EQ(0, reads(&self->dev[GOOD], p, (uintptr_t)self->mem, IOASID_SIM_CMD_REQUEST));
	EXPECT_EQ(0, reads(&self->dev[GOOD2], p, (uintptr_t)self->mem, IOASID_SIM_CMD_REQUEST));
	EXPECT_OK(t_detach_pasid(self->fd, ids[1], 0x77));
	EXPECT_EQ(-EFAULT, reads(&self->dev[SAME], p, (uintptr_t)self->mem, 0));
	EXPECT_EQ(0, reads(&self->dev[GOOD2], p, (uintptr_t)self->mem, IOASID_SIM_CMD_REQUEST));
}

/* VFIO does not take it at all; to a driver's glue the core gives the reason */
TEST_F(units, not_coherent)
{
	u32 p = IOASID_PASID_ANY, mm;
	struct t_host h;

	ASSERT_TRUE(t_host_load());
	ASSERT_EQ(0, t_host_open(&h, t_device(T_EDU, NOT_COHERENT)));
	EXPECT_FAIL(EINVAL, COHERENCY, t_host_attach(h.fd, self->fd, self->space, &p, 0, 0));
	mm = t_shares_mm(self->fd);
	if (mm) {
		ASSERT_OK(t_alloc_mm(self->fd, &mm));
		EXPECT_FAIL(EINVAL, COHERENCY, t_host_attach(h.fd, self->fd, mm, &p, 0, 0));
	}
	/* Back to VFIO, which does not take it */
	t_host_close(&h);
	if (!mm)
		return;
	/* The same of page requests, which a process needs on this IOMMU */
	ASSERT_EQ(0, t_host_open(&h, t_device(T_NVME, place[NO_PRI])));
	EXPECT_EQ(-EOPNOTSUPP, t_host_attach(h.fd, self->fd, mm, &p, 0, 0));
	EXPECT_EQ(IOASID_REASON_NO_SVA, t_extack.code);
	EXPECT_EQ(0, t_host_close(&h));
}

TEST_HARNESS_MAIN
