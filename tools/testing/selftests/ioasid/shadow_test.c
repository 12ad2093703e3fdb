// SPDX-License-Identifier: GPL-2.0
/*
 * Shadow spaces: the program maps IOVA of the parent, and the kernel merges. What a
 * device reaches is found out by the device, which caches translations: whatever
 * leaves the parent or the shadow must leave the device, too.
 */
#include <errno.h>
#include <pthread.h>
#include <sys/mman.h>
#include <unistd.h>

#include "harness.h"
#include "lib/guest.h"

#define AT	0x7000000000ULL		/* in the shadow */
#define GPA	0x40000000ULL		/* in the parent */
#define PAGES	16

FIXTURE(shadow) {
	int fd;
	struct t_dma dev;
	u32 dev_id;
	u32 pasid;
	u32 parent;
	u32 id;
	char *mem;
	u64 own;		/* bytes that the device needs for itself */
	long pins;
};

FIXTURE_VARIANT(shadow) {
	bool pasid;
};

FIXTURE_VARIANT_ADD(shadow, rid) { .pasid = false };
FIXTURE_VARIANT_ADD(shadow, pasid) { .pasid = true };

static int alloc_shadow(int fd, u32 *id, u32 parent, u32 flags)
{
	return t_alloc_any(fd, id, (struct ioasid_alloc){
		.kind = IOASID_KIND_SHADOW, .parent = parent, .flags = flags });
}

/* What the device needs for itself, at the same address in both */
static int bring_own(struct t_dma *d, int fd, u32 parent, u32 id)
{
	int ret = t_dma_map_own(d, fd, parent);

	return ret ?: t_map_at(fd, id, (void *)(uintptr_t)d->own_iova, T_DMA_OWN_BYTES,
			       T_RW | IOASID_MAP_PARENT, d->own_iova);
}

#define attach(space)	t_attach_pasid(self->fd, self->dev_id, space, &self->pasid, 0, 0)
#define detach()	t_detach_pasid(self->fd, self->dev_id, self->pasid)
#define map_parent(page, flags)							\
	t_map_at(self->fd, self->parent, self->mem + (page) * T_PAGE, T_PAGE, flags,	\
		 GPA + (page) * T_PAGE)
#define map(at, page, nr, flags)						\
	t_map_at(self->fd, self->id, (void *)(uintptr_t)(GPA + (page) * T_PAGE),	\
		 (nr) * T_PAGE, (flags) | IOASID_MAP_PARENT, (at))

FIXTURE_SETUP(shadow)
{
	struct ioasid_device_info info = { .size = sizeof(info) };

	self->pins = t_pinned_pages();
	NEED_DMA(&self->dev, T_EDU, 0);
	NEED(!variant->pasid || t_on_sim(), "needs ioasid_sim");
	self->fd = t_open();
	ASSERT_FD(self->fd);
	ASSERT_OK(t_alloc(self->fd, &self->parent));
	ASSERT_OK(t_vfio_bind(&self->dev.vfio, self->fd));
	self->dev_id = self->dev.vfio.dev_id;
	ASSERT_OK(t_device_info(self->fd, self->dev_id, &info));
	NEED(!variant->pasid || info.caps & IOASID_DEVICE_PASID, "needs a device with PASIDs");
	self->mem = t_memory(T_ANON, PAGES * T_PAGE);
	ASSERT_NE(NULL, self->mem);
	t_fill(self->mem, PAGES * T_PAGE, 1);
	ASSERT_OK(alloc_shadow(self->fd, &self->id, self->parent, 0));
	ASSERT_OK(variant->pasid ? t_attach(self->fd, self->dev_id, self->parent, 0) :
				   bring_own(&self->dev, self->fd, self->parent, self->id));
	self->own = t_pinned(self->fd);
	self->pasid = variant->pasid ? IOASID_PASID_ANY : IOASID_RID;
	ASSERT_OK(attach(self->id));
	ASSERT_OK(variant->pasid ? 0 : t_dma_start(&self->dev));
}

FIXTURE_TEARDOWN(shadow)
{
	t_dma_close(&self->dev);
	close(self->fd);
	if (self->pins >= 0)
		EXPECT_EQ(self->pins, t_pinned_pages());
}

/* An endpoint of ioasid_sim says for certain how a command ended */
static int command(struct t_dma *d, u32 pasid, u32 opcode, u64 iova, u64 value)
{
	struct ioasid_sim_command cmd = {
		.opcode = opcode, .iova = iova, .length = T_PAGE, .pasid = pasid,
		.value = value * 0x0101010101010101ULL,
		.flags = pasid ? IOASID_SIM_CMD_PASID : 0,
	};
	struct ioasid_sim_completion c;
	int ret;

	if (opcode == IOASID_SIM_OP_READ)
		memset(t_sim_buffer(&d->sim, 0), 0, T_PAGE);
	ret = t_sim_run(&d->sim, &cmd, &c);
	return ret ?: t_sim_error(&c);
}

/* 0 if the device reads that page of the memory there */
static int reads_as(struct t_dma *d, u32 pasid, u64 iova, char *page)
{
	int ret;

	if (!t_on_sim()) {
		ret = t_dma_reads(d, iova, page);
		return ret < 0 ? ret : ret ? 0 : -EFAULT;
	}
	ret = command(d, pasid, IOASID_SIM_OP_READ, iova, 0);
	if (ret)
		return ret;
	return memcmp(t_sim_buffer(&d->sim, 0), page, T_PAGE) ? -EILSEQ : 0;
}

/* 0 if that page of the memory changes when the device writes there */
static int writes_as(struct t_dma *d, u32 pasid, u64 iova, char *page)
{
	int ret;

	if (!t_on_sim()) {
		ret = t_dma_writes(d, iova, page);
		return ret < 0 ? ret : ret ? 0 : -EFAULT;
	}
	memset(page, 0, T_PAGE);
	ret = command(d, pasid, IOASID_SIM_OP_FILL, iova, 0x5a);
	if (ret)
		return t_not_byte(page, T_PAGE, 0) < 0 ? ret : -EILSEQ;
	return t_not_byte(page, T_PAGE, 0x5a) < 0 ? 0 : -EILSEQ;
}

#define reads(iova, page)	reads_as(&self->dev, self->pasid, iova, self->mem + (page) * T_PAGE)
#define writes(iova, page)	writes_as(&self->dev, self->pasid, iova, self->mem + (page) * T_PAGE)

/* Whichever comes first */
TEST_F(shadow, both_must_map)
{
	long pins;

	ASSERT_OK(map(AT, 0, 4, T_RW));
	EXPECT_EQ(-EFAULT, reads(AT, 0));
	ASSERT_OK(map_parent(1, T_RW));
	EXPECT_EQ(-EFAULT, reads(AT, 0));
	EXPECT_EQ(0, reads(AT + T_PAGE, 1));
	EXPECT_EQ(0, writes(AT + T_PAGE, 1));
	ASSERT_OK(map_parent(6, T_RW));
	EXPECT_EQ(-EFAULT, reads(AT + 6 * T_PAGE, 6));
	pins = t_pinned(self->fd);
	ASSERT_OK(map(AT + 6 * T_PAGE, 6, 1, T_RW));
	EXPECT_EQ(0, reads(AT + 6 * T_PAGE, 6));
	/* Twice, elsewhere */
	ASSERT_OK(map(AT + (1ULL << 30), 6, 1, IOASID_MAP_READ));
	EXPECT_EQ(0, reads(AT + (1ULL << 30), 6));
	EXPECT_EQ(pins, t_pinned(self->fd));
	/* The parent's addresses are not those of the shadow */
	EXPECT_EQ(-EFAULT, reads(GPA + 6 * T_PAGE, 6));
}

TEST_F(shadow, parent_comes_and_goes)
{
	unsigned int i, rounds = self->dev.fast ? 50 : 5;

	ASSERT_OK(map(AT, 0, PAGES, T_RW));
	for (i = 0; i < rounds; i++) {
		ASSERT_OK(map_parent(3, T_RW));
		ASSERT_OK(map_parent(4, T_RW));
		ASSERT_EQ(0, reads(AT + 3 * T_PAGE, 3));
		ASSERT_EQ(0, reads(AT + 4 * T_PAGE, 4));
		/* What the device has cached is gone as well */
		ASSERT_EQ((long long)T_PAGE, t_unmap(self->fd, self->parent, GPA + 3 * T_PAGE, T_PAGE));
		ASSERT_EQ(-EFAULT, reads(AT + 3 * T_PAGE, 3));
		ASSERT_EQ(-EFAULT, writes(AT + 3 * T_PAGE, 3));
		ASSERT_EQ(0, reads(AT + 4 * T_PAGE, 4));
		ASSERT_EQ((long long)T_PAGE, t_unmap(self->fd, self->parent, GPA + 4 * T_PAGE, T_PAGE));
		ASSERT_EQ(-EFAULT, reads(AT + 4 * T_PAGE, 4));
	}
	EXPECT_EQ(self->own, t_pinned(self->fd));
}

TEST_F(shadow, shadow_comes_and_goes)
{
	unsigned int i, rounds = self->dev.fast ? 50 : 5;

	for (i = 0; i < PAGES; i++)
		ASSERT_OK(map_parent(i, T_RW));
	for (i = 0; i < rounds; i++) {
		ASSERT_OK(map(AT, 2, 8, T_RW));
		ASSERT_EQ(0, reads(AT + 7 * T_PAGE, 9));
		ASSERT_EQ(-EFAULT, reads(AT + 8 * T_PAGE, 10));
		EXPECT_FAIL(EINVAL, SPLIT, (int)t_unmap(self->fd, self->id, AT, T_PAGE));
		ASSERT_EQ((long long)(8 * T_PAGE), t_unmap(self->fd, self->id, AT, 8 * T_PAGE));
		ASSERT_EQ(-EFAULT, reads(AT + 7 * T_PAGE, 9));
	}
	EXPECT_EQ(self->own + PAGES * T_PAGE, t_pinned(self->fd));
}

TEST_F(shadow, permissions_of_both)
{
	struct ioasid_translate tr;

	ASSERT_OK(map_parent(0, T_RW));
	ASSERT_OK(map_parent(1, IOASID_MAP_READ));
	ASSERT_OK(map(AT, 0, 2, T_RW));
	ASSERT_OK(map(AT + 2 * T_PAGE, 0, 2, IOASID_MAP_READ));
	EXPECT_EQ(0, writes(AT, 0));
	EXPECT_EQ(-EFAULT, writes(AT + T_PAGE, 1));
	EXPECT_EQ(0, reads(AT + T_PAGE, 1));
	EXPECT_EQ(-EFAULT, writes(AT + 2 * T_PAGE, 0));
	EXPECT_EQ(0, reads(AT + 2 * T_PAGE, 0));
	EXPECT_FAIL(EOPNOTSUPP, PERMISSION, map(AT + 4 * T_PAGE, 0, 1, IOASID_MAP_WRITE));
	ASSERT_OK(t_translate(self->fd, self->id, AT + 3 * T_PAGE, 0, &tr));
	EXPECT_EQ(GPA + T_PAGE, tr.addr);
	EXPECT_EQ(IOASID_MAP_READ | IOASID_MAP_PARENT, tr.map_flags);
}

/* A page table that is made when all is mapped already */
TEST_F(shadow, attached_late)
{
	ASSERT_OK(map_parent(2, T_RW));
	ASSERT_OK(map(AT, 0, PAGES, T_RW));
	ASSERT_OK(detach());
	self->pasid = variant->pasid ? IOASID_PASID_ANY : IOASID_RID;
	ASSERT_OK(attach(self->id));
	EXPECT_EQ(0, reads(AT + 2 * T_PAGE, 2));
	EXPECT_EQ(-EFAULT, reads(AT + 3 * T_PAGE, 3));
}

TEST_F(shadow, all_or_none)
{
	struct ioasid_map_range r[3];
	u32 i;

	ASSERT_OK(map_parent(0, T_RW));
	for (i = 0; i < 3; i++)
		r[i] = (struct ioasid_map_range){
			.iova = AT + i * T_PAGE, .addr = GPA, .length = T_PAGE,
			.flags = T_RW | IOASID_MAP_FIXED | IOASID_MAP_PARENT };
	r[2].iova = AT;
	EXPECT_FAIL(EEXIST, OVERLAP, t_mapv(self->fd, self->id, r, 3));
	EXPECT_EQ(-EFAULT, reads(AT, 0));
	r[2].iova = AT + 2 * T_PAGE;
	ASSERT_OK(t_mapv(self->fd, self->id, r, 3));
	for (i = 0; i < 3; i++)
		EXPECT_EQ(0, reads(AT + i * T_PAGE, 0));
}

TEST_F(shadow, order_of_frees)
{
	struct ioasid_space_info info;

	ASSERT_OK(map_parent(0, T_RW));
	ASSERT_OK(map(AT, 0, 1, T_RW));
	ASSERT_OK(t_space_info(self->fd, self->id, &info));
	EXPECT_EQ(IOASID_KIND_SHADOW, info.kind);
	EXPECT_EQ(self->parent, info.parent);
	EXPECT_EQ(variant->pasid ? 1 : 2, info.nr_mappings);
	EXPECT_EQ(0, info.pinned);
	EXPECT_FAIL(EBUSY, IN_USE, t_free(self->fd, self->parent));
	ASSERT_OK(detach());
	if (variant->pasid)
		ASSERT_OK(t_detach(self->fd, self->dev_id));
	ASSERT_OK(t_free(self->fd, self->id));
	ASSERT_OK(t_free(self->fd, self->parent));
	EXPECT_EQ(0, t_pinned(self->fd));
	EXPECT_EQ(0, t_nr_mappings(self->fd));
}

/* The guest's IOMMU is turned on and off */
TEST_F(shadow, replaced)
{
	u32 pasid = self->pasid, vpasid = variant->pasid ? pasid : 0;
	unsigned int i, rounds = self->dev.fast ? 20 : 3;

	NEED(!variant->pasid || !t_old_kernel(), "Linux 6.12 does not replace in place");
	ASSERT_OK(map_parent(5, T_RW));
	ASSERT_OK(map(AT, 5, 1, T_RW));
	for (i = 0; i < rounds; i++) {
		ASSERT_OK(t_attach_pasid(self->fd, self->dev_id, self->parent, &pasid, vpasid,
					 IOASID_ATTACH_REPLACE));
		ASSERT_EQ(0, reads(GPA + 5 * T_PAGE, 5));
		ASSERT_EQ(-EFAULT, reads(AT, 5));
		ASSERT_OK(t_attach_pasid(self->fd, self->dev_id, self->id, &pasid, vpasid,
					 IOASID_ATTACH_REPLACE));
		ASSERT_EQ(0, reads(AT, 5));
		ASSERT_EQ(-EFAULT, reads(GPA + 5 * T_PAGE, 5));
	}
}

/* --- at the same time --- */

struct race {
	int fd;
	u32 parent;
	char *mem;
	volatile bool end;
	unsigned long rounds;
};

static void *unmap_parent_again(void *arg)
{
	struct race *r = arg;

	while (!r->end) {
		if (t_map_at(r->fd, r->parent, r->mem, T_PAGE, T_RW, GPA) ||
		    t_unmap(r->fd, r->parent, GPA, T_PAGE) != (long long)T_PAGE)
			break;
		r->rounds++;
	}
	return NULL;
}

/* Both sides change, and the device asks all the time: it reads the page, or nothing */
TEST_F(shadow, racing)
{
	struct race r = { .fd = self->fd, .parent = self->parent, .mem = self->mem };
	unsigned int i, rounds = self->dev.fast ? t_rounds(500) : 10, read = 0;
	pthread_t thread;
	int ret;

	ASSERT_EQ(0, pthread_create(&thread, NULL, unmap_parent_again, &r));
	for (i = 0; i < rounds; i++) {
		ASSERT_OK(map(AT, 0, 4, T_RW));
		ret = reads(AT, 0);
		ASSERT_TRUE(!ret || ret == -EFAULT) TH_LOG("%d", ret);
		read += !ret;
		ASSERT_EQ((long long)(4 * T_PAGE), t_unmap(self->fd, self->id, AT, 4 * T_PAGE));
		ASSERT_EQ(-EFAULT, reads(AT, 0));
	}
	r.end = true;
	pthread_join(thread, NULL);
	EXPECT_LT(1, r.rounds);
	TH_LOG("%u of %u reads, %lu rounds of the parent", read, rounds, r.rounds);
}

/* --- page requests --- */

TEST_F(shadow, page_requests)
{
	struct ioasid_fault_record record;
	struct ioasid_sim_completion c;
	struct ioasid_sim_command cmd = {
		.opcode = IOASID_SIM_OP_READ, .iova = AT, .length = T_PAGE,
	};
	struct t_queue queue;
	int slot;
	u32 id;

	NEED(t_on_sim(), "needs ioasid_sim");
	ASSERT_OK(detach());
	ASSERT_OK(alloc_shadow(self->fd, &id, self->parent, IOASID_ALLOC_FAULTS));
	self->id = id;
	ASSERT_OK(t_queue_open(&queue, self->fd,
			       &(struct ioasid_fault_queue){ .depth = 16, .eventfd = -1 }));
	ASSERT_OK(t_fault_bind(self->fd, id, 0, 0, queue.id));
	EXPECT_FAIL(EINVAL, KIND, t_fault_policy(self->fd, id, 0, IOASID_FAULT_KERNEL));
	self->pasid = variant->pasid ? IOASID_PASID_ANY : IOASID_RID;
	ASSERT_OK(attach(id));
	ASSERT_OK(map(AT, 0, 1, T_RW));
	cmd.pasid = self->pasid;
	cmd.flags = IOASID_SIM_CMD_REQUEST | (self->pasid ? IOASID_SIM_CMD_PASID : 0);
	slot = t_sim_submit(&self->dev.sim, &cmd);
	ASSERT_LE(0, slot);
	ASSERT_OK(t_queue_next(&queue, &record, 5000));
	EXPECT_EQ(IOASID_FAULT_REQUEST, record.type);
	EXPECT_EQ(AT, record.addr);
	EXPECT_EQ(id, record.ioasid);
	/* The parent gets the memory, and the shadow with it */
	ASSERT_OK(map_parent(0, T_RW));
	ASSERT_OK(t_queue_answer(&queue, record.cookie, IOASID_FAULT_SUCCESS));
	ASSERT_OK(t_sim_wait(&self->dev.sim, slot, &c, 10000));
	EXPECT_EQ(0, t_sim_error(&c));
	EXPECT_EQ(0, memcmp(t_sim_buffer(&self->dev.sim, 0), self->mem, T_PAGE));
	ASSERT_OK(detach());
	t_queue_close(&queue);
}

TEST_HARNESS_MAIN
