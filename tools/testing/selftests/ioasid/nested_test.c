// SPDX-License-Identifier: GPL-2.0
/*
 * Nested spaces: the program plays a guest that has its own page table, in memory
 * that the parent maps. What a device reaches is always found out by the device.
 * Whatever the table says, it must never reach what the parent does not map.
 */
#include <errno.h>
#include <linux/iommufd.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include "harness.h"
#include "lib/guest.h"

/* The guest's memory, from its address 0 on: tables, then pages for DMA */
#define TABLES		(1ULL << 20)
#define BYTES		(8ULL << 20)
#define PAGE(nr)	(4 * T_HUGE / 2 + (nr) * T_PAGE)	/* guest address */
#define AT		0x7000000000ULL

FIXTURE(nested) {
	int fd;
	struct t_dma dev;
	u32 dev_id;
	u32 pasid;
	u32 parent;
	u32 id;
	char *mem;
	struct t_guest guest;
	long pins;
};

/* How the device uses the nested space; with a PASID its RID uses the parent */
FIXTURE_VARIANT(nested) {
	bool pasid;
};

FIXTURE_VARIANT_ADD(nested, rid) { .pasid = false };
FIXTURE_VARIANT_ADD(nested, pasid) { .pasid = true };

#define attach(space)	t_attach_pasid(self->fd, self->dev_id, space, &self->pasid, 0, 0)
#define detach()	t_detach_pasid(self->fd, self->dev_id, self->pasid)

FIXTURE_SETUP(nested)
{
	struct ioasid_device_info info = { .size = sizeof(info) };

	self->pins = t_pinned_pages();
	NEED_DMA(&self->dev, T_EDU, 0);
	NEED(t_on_sim(), "needs ioasid_sim");
	self->fd = t_open();
	ASSERT_FD(self->fd);
	ASSERT_OK(t_alloc_parent(self->fd, &self->parent));
	ASSERT_OK(t_vfio_bind(&self->dev.vfio, self->fd));
	self->dev_id = self->dev.vfio.dev_id;
	ASSERT_OK(t_device_info(self->fd, self->dev_id, &info));
	NEED(info.nest_formats & (1 << IOMMU_HWPT_DATA_VTD_S1),
	     "needs an IOMMU that walks page tables of guests");
	self->mem = t_memory(T_ANON, BYTES);
	ASSERT_NE(NULL, self->mem);
	t_guest_init(&self->guest, self->mem, BYTES, TABLES);
	ASSERT_OK(t_map_at(self->fd, self->parent, self->mem, BYTES, T_RW, 0));
	ASSERT_OK(t_alloc_nested(self->fd, &self->id, self->parent, &self->guest, 0));
	self->pasid = variant->pasid ? IOASID_PASID_ANY : IOASID_RID;
	if (variant->pasid)
		ASSERT_OK(t_attach(self->fd, self->dev_id, self->parent, 0));
	ASSERT_OK(attach(self->id));
}

FIXTURE_TEARDOWN(nested)
{
	t_dma_close(&self->dev);
	close(self->fd);
	if (self->pins >= 0)
		EXPECT_EQ(self->pins, t_pinned_pages());
}

static int command(struct t_dma *d, u32 pasid, u32 opcode, u64 iova, u64 value, u32 flags)
{
	struct ioasid_sim_command cmd = {
		.opcode = opcode, .iova = iova, .length = T_PAGE, .pasid = pasid,
		.value = value * 0x0101010101010101ULL,
		.flags = flags | (pasid ? IOASID_SIM_CMD_PASID : 0),
	};
	struct ioasid_sim_completion c;
	int ret;

	if (opcode == IOASID_SIM_OP_READ)
		memset(t_sim_buffer(&d->sim, 0), 0, T_PAGE);
	ret = t_sim_run(&d->sim, &cmd, &c);
	return ret ?: t_sim_error(&c);
}

/* 0 if the device reads @seed's pattern there */
static int reads_as(struct t_dma *d, u32 pasid, u64 iova, u32 seed)
{
	int ret = command(d, pasid, IOASID_SIM_OP_READ, iova, 0, 0);

	if (ret)
		return ret;
	return t_differs(t_sim_buffer(&d->sim, 0), T_PAGE, seed) < 0 ? 0 : -EILSEQ;
}

#define reads(iova, seed)	reads_as(&self->dev, self->pasid, iova, seed)
#define fills(iova, byte)	command(&self->dev, self->pasid, IOASID_SIM_OP_FILL, iova, byte, 0)
#define fill_page(nr, seed)	t_fill(self->mem + PAGE(nr), T_PAGE, seed)
#define map(iova, nr, bits)	t_guest_map(&self->guest, iova, PAGE(nr), bits, 1)

TEST_F(nested, both_stages)
{
	u64 *entry;

	fill_page(0, 1);
	map(AT, 0, T_GUEST_RW);
	EXPECT_EQ(0, reads(AT, 1));
	EXPECT_EQ(0, fills(AT, 0x5a));
	EXPECT_EQ(-1, t_not_byte(self->mem + PAGE(0), T_PAGE, 0x5a));
	/* As hardware does, for the guest to see */
	entry = t_guest_entry(&self->guest, AT, 1);
	EXPECT_EQ(T_GUEST_A | T_GUEST_D, *entry & (T_GUEST_A | T_GUEST_D));
	EXPECT_EQ(-EFAULT, reads(AT + T_PAGE, 1));
	/* The parent's own addresses are not those of the nested space */
	EXPECT_EQ(-EFAULT, reads(PAGE(0), 1));
	if (variant->pasid)
		EXPECT_EQ(-EILSEQ, reads_as(&self->dev, IOASID_RID, PAGE(0), 1));
}

TEST_F(nested, every_level)
{
	static const u64 at[] = { 0, AT, AT + (1ULL << 30), AT + (1ULL << 39), 0x7fffffe00000ULL };
	size_t i;

	for (i = 0; i < ARRAY_SIZE(at); i++) {
		fill_page(i, i + 1);
		map(at[i], i, T_GUEST_RW);
	}
	for (i = 0; i < ARRAY_SIZE(at); i++)
		EXPECT_EQ(0, reads(at[i], i + 1)) TH_LOG("%zu", i);
	/* 2 MiB, whose pages the parent has one by one */
	t_guest_map(&self->guest, AT + (2ULL << 30), 2 * T_HUGE, T_GUEST_RW, 2);
	fill_page(3, 77);
	EXPECT_EQ(0, reads(AT + (2ULL << 30) + 3 * T_PAGE, 77));
	/* 1 GiB, most of which the parent does not have */
	t_guest_map(&self->guest, AT + (4ULL << 30), 0, T_GUEST_RW, 3);
	EXPECT_EQ(0, reads(AT + (4ULL << 30) + PAGE(3), 77));
	EXPECT_EQ(-EFAULT, reads(AT + (4ULL << 30) + BYTES, 77));
}

TEST_F(nested, permissions)
{
	map(AT, 0, T_GUEST_RO);
	fill_page(0, 1);
	EXPECT_EQ(0, reads(AT, 1));
	EXPECT_EQ(-EFAULT, fills(AT, 1));
	/* Any level can take the right away */
	map(AT + T_PAGE, 1, T_GUEST_RW);
	t_guest_protect(&self->guest, AT, T_GUEST_RO, 3);
	ASSERT_OK(t_invalidate_all(self->fd, self->id));
	EXPECT_EQ(-EFAULT, fills(AT + T_PAGE, 1));
	t_guest_protect(&self->guest, AT, T_GUEST_RW, 3);
	ASSERT_OK(t_invalidate_all(self->fd, self->id));
	EXPECT_EQ(0, fills(AT + T_PAGE, 1));
	/* A device accesses as a user */
	map(AT + 2 * T_PAGE, 2, T_GUEST_P | T_GUEST_W);
	EXPECT_EQ(-EFAULT, reads(AT + 2 * T_PAGE, 1));
	EXPECT_EQ(-1, t_differs(self->mem + PAGE(0), T_PAGE, 1));
}

/* A table says anything, and so do its tables */
TEST_F(nested, hostile_tables)
{
	static const u64 to[] = { BYTES, 1ULL << 40, T_GUEST_ADDR, 0xfee00000ULL };
	u64 loop = AT + (8ULL << 30);
	size_t i;

	for (i = 0; i < ARRAY_SIZE(to); i++) {
		t_guest_map(&self->guest, AT + i * T_PAGE, to[i], T_GUEST_RW, 1);
		EXPECT_EQ(-EFAULT, reads(AT + i * T_PAGE, 1)) TH_LOG("%zu", i);
		EXPECT_EQ(-EFAULT, fills(AT + i * T_PAGE, 1)) TH_LOG("%zu", i);
		/* A table there */
		*t_guest_entry(&self->guest, loop + i * T_HUGE, 2) = to[i] | T_GUEST_RW;
		EXPECT_EQ(-EFAULT, reads(loop + i * T_HUGE, 1)) TH_LOG("%zu", i);
	}
	/* The top table is its own last one: a walk ends all the same */
	*t_guest_entry(&self->guest, loop + (1ULL << 30), 3) = 0 | T_GUEST_RW;
	reads(loop + (1ULL << 30), 1);
	/* Reserved bits of a large page */
	*t_guest_entry(&self->guest, loop + (2ULL << 30), 3) =
		T_PAGE * 2 | T_GUEST_PS | T_GUEST_RW;
	EXPECT_EQ(-EFAULT, reads(loop + (2ULL << 30), 1));
}

/* --- invalidation --- */

TEST_F(nested, stale_until_invalidated)
{
	fill_page(0, 1);
	fill_page(1, 2);
	map(AT, 0, T_GUEST_RW);
	ASSERT_EQ(0, reads(AT, 1));
	map(AT, 1, T_GUEST_RW);
	EXPECT_EQ(0, reads(AT, 1)) TH_LOG("forgotten too early");
	ASSERT_OK(t_invalidate_vtd(self->fd, self->id, AT, 1));
	EXPECT_EQ(0, reads(AT, 2));
	map(AT, 0, T_GUEST_RW);
	ASSERT_OK(t_invalidate_all(self->fd, self->id));
	EXPECT_EQ(0, reads(AT, 1));
	*t_guest_entry(&self->guest, AT, 1) = 0;
	ASSERT_OK(t_invalidate_vtd(self->fd, self->id, 0, ~0ULL));
	EXPECT_EQ(-EFAULT, reads(AT, 1));
}

TEST_F(nested, invalidate_many)
{
	static struct iommu_hwpt_vtd_s1_invalidate e[IOASID_MAX_VECTOR];
	struct ioasid_invalidate cmd = {
		.ioasid = self->id, .entry_size = sizeof(e[0]), .nr = IOASID_MAX_VECTOR,
		.entries = (uintptr_t)e,
	};
	u32 i;

	for (i = 0; i < IOASID_MAX_VECTOR; i++)
		e[i] = (struct iommu_hwpt_vtd_s1_invalidate){ .addr = AT + i * T_PAGE, .npages = 1 };
	fill_page(0, 1);
	fill_page(1, 2);
	map(AT + 65535 * T_PAGE, 0, T_GUEST_RW);
	ASSERT_EQ(0, reads(AT + 65535 * T_PAGE, 1));
	map(AT + 65535 * T_PAGE, 1, T_GUEST_RW);
	ASSERT_OK(t_invalidate_any(self->fd, &cmd));
	EXPECT_EQ(IOASID_MAX_VECTOR, cmd.done);
	EXPECT_EQ(0, reads(AT + 65535 * T_PAGE, 2));
	/* Up to the first one that is wrong */
	map(AT, 0, T_GUEST_RW);
	map(AT + 1000 * T_PAGE, 0, T_GUEST_RW);
	ASSERT_EQ(0, reads(AT, 1));
	ASSERT_EQ(0, reads(AT + 1000 * T_PAGE, 1));
	map(AT, 1, T_GUEST_RW);
	map(AT + 1000 * T_PAGE, 1, T_GUEST_RW);
	e[777].npages = 0;
	EXPECT_FAIL(EINVAL, IOMMU, t_invalidate_any(self->fd, &cmd));
	EXPECT_EQ(777, cmd.done);
	EXPECT_EQ(777, t_extack.index);
	EXPECT_EQ(0, reads(AT, 2));
	EXPECT_EQ(0, reads(AT + 1000 * T_PAGE, 1)) TH_LOG("done beyond the wrong one");
}

TEST_F(nested, invalidate_generic)
{
	struct ioasid_invalidate_entry e[3] = {
		{ .type = IOASID_INVALIDATE_IOTLB, .pasid = IOASID_PASID_ANY },
		{ .type = IOASID_INVALIDATE_DEVICE_IOTLB, .dev_id = self->dev_id,
		  .pasid = IOASID_PASID_ANY, .addr = AT, .length = T_PAGE },
		{ .type = IOASID_INVALIDATE_IOTLB, .pasid = IOASID_PASID_ANY },
	};
	u32 done;

	ASSERT_OK(t_invalidate(self->fd, self->id, e, 3, &done));
	EXPECT_EQ(3, done);
	e[1].type = 3;
	EXPECT_FAIL(EOPNOTSUPP, VALUE, t_invalidate(self->fd, self->id, e, 3, &done));
	EXPECT_EQ(1, done);
	EXPECT_EQ(1, t_extack.index);
	e[1].type = IOASID_INVALIDATE_IOTLB;
	e[1].flags = 1;
	EXPECT_FAIL(EOPNOTSUPP, FLAGS, t_invalidate(self->fd, self->id, e, 3, &done));
	e[1].flags = 0;
	e[1].dev_id = 4711;
	EXPECT_FAIL(ENOENT, NO_DEVICE_ID, t_invalidate(self->fd, self->id, e, 3, &done));
	e[1].dev_id = 0;
	e[1].length = ~0ULL;
	EXPECT_FAIL(EINVAL, OVERFLOW, t_invalidate(self->fd, self->id, e, 3, &done));
	e[1].length = 0;
	EXPECT_FAIL(EINVAL, OVERFLOW, t_invalidate(self->fd, self->id, e, 3, &done));
	EXPECT_FAIL(EINVAL, KIND, t_invalidate(self->fd, self->parent, e, 1, &done));
	EXPECT_EQ(0, done);
	EXPECT_FAIL(ENOENT, NO_SPACE_ID, t_invalidate(self->fd, 4711, e, 1, &done));
	EXPECT_FAIL(EINVAL, VALUE, t_invalidate(self->fd, self->id, e, 0, &done));
	EXPECT_FAIL(E2BIG, LIMIT, t_invalidate(self->fd, self->id, e, IOASID_MAX_VECTOR + 1, &done));
}

TEST_F(nested, invalidate_bad_arrays)
{
	struct iommu_hwpt_vtd_s1_invalidate e[2] = { { .npages = 1 }, { .npages = 1 } };
	struct ioasid_invalidate cmd = {
		.ioasid = self->id, .entry_size = sizeof(e[0]), .nr = 2,
		.entries = (uintptr_t)e,
	};
	char *pages = mmap(NULL, 2 * T_PAGE, PROT_READ | PROT_WRITE,
			   MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	ASSERT_NE(MAP_FAILED, pages);
	ASSERT_OK(t_invalidate_any(self->fd, &cmd));
	EXPECT_EQ(2, cmd.done);
	cmd.entry_size = sizeof(e[0]) - 1;
	EXPECT_FAIL(EINVAL, SIZE, t_invalidate_any(self->fd, &cmd));
	EXPECT_EQ(0, cmd.done);
	cmd.entry_size = 2 * T_PAGE;
	EXPECT_FAIL(E2BIG, SIZE, t_invalidate_any(self->fd, &cmd));
	cmd.entry_size = sizeof(e[0]);
	cmd.data_type = 1;
	EXPECT_FAIL(EOPNOTSUPP, FORMAT, t_invalidate_any(self->fd, &cmd));
	cmd.data_type = 0;
	/* Entries that nobody has touched yet, and entries that end in nothing */
	ASSERT_EQ(0, munmap(pages + T_PAGE, T_PAGE));
	cmd.entries = (uintptr_t)pages;
	EXPECT_FAIL(EINVAL, IOMMU, t_invalidate_any(self->fd, &cmd));
	memcpy(pages + T_PAGE - sizeof(e[0]), e, sizeof(e[0]));
	cmd.entries = (uintptr_t)pages + T_PAGE - sizeof(e[0]);
	EXPECT_FAIL(EFAULT, POINTER, t_invalidate_any(self->fd, &cmd));
	EXPECT_EQ(1, cmd.done);
	EXPECT_EQ(1, t_extack.index);
	cmd.flags = 2;
	EXPECT_FAIL(EOPNOTSUPP, FLAGS, t_invalidate_any(self->fd, &cmd));
}

/* Swapped out, or never touched: still executed, and executed once */
TEST_F(nested, invalidate_absent_entries)
{
	const u32 nr = 1000;
	const size_t len = nr * sizeof(struct iommu_hwpt_vtd_s1_invalidate);
	struct iommu_hwpt_vtd_s1_invalidate *e;
	struct ioasid_invalidate cmd = {
		.ioasid = self->id, .entry_size = sizeof(*e), .nr = nr,
	};
	int memfd = memfd_create("entries", 0);
	u32 i;

	ASSERT_LE(0, memfd);
	ASSERT_EQ(0, ftruncate(memfd, len));
	e = mmap(NULL, len, PROT_READ | PROT_WRITE, MAP_SHARED, memfd, 0);
	ASSERT_NE(MAP_FAILED, e);
	for (i = 0; i < nr; i++)
		e[i] = (struct iommu_hwpt_vtd_s1_invalidate){ .addr = AT, .npages = 1 };
	/* In no page table of the process */
	ASSERT_EQ(0, munmap(e, len));
	e = mmap(NULL, len, PROT_READ, MAP_SHARED, memfd, 0);
	ASSERT_NE(MAP_FAILED, e);
	cmd.entries = (uintptr_t)e;
	ASSERT_OK(t_invalidate_any(self->fd, &cmd));
	EXPECT_EQ(nr, cmd.done);
	close(memfd);
}

/* --- parent and child --- */

TEST_F(nested, parent_unmapped)
{
	u64 extra = 1ULL << 32;
	char *page = t_memory(T_ANON, T_PAGE);

	ASSERT_NE(NULL, page);
	t_fill(page, T_PAGE, 5);
	ASSERT_OK(t_map_at(self->fd, self->parent, page, T_PAGE, T_RW, extra));
	t_guest_map(&self->guest, AT, extra, T_GUEST_RW, 1);
	ASSERT_EQ(0, reads(AT, 5));
	/* The device has cached what both stages give together */
	ASSERT_EQ((long long)T_PAGE, t_unmap(self->fd, self->parent, extra, T_PAGE));
	EXPECT_EQ(-EFAULT, reads(AT, 5));
	EXPECT_EQ(-EFAULT, fills(AT, 9));
	EXPECT_EQ(-1, t_differs(page, T_PAGE, 5));
	ASSERT_OK(t_map_at(self->fd, self->parent, page, T_PAGE, T_RW, extra));
	EXPECT_EQ(0, reads(AT, 5));
}

TEST_F(nested, parent_is_for_writing)
{
	char *page = t_memory(T_ANON, T_PAGE);
	u64 iova;

	ASSERT_NE(NULL, page);
	EXPECT_FAIL(EOPNOTSUPP, PERMISSION,
		    t_map_at(self->fd, self->parent, page, T_PAGE, IOASID_MAP_READ, 1ULL << 32));
	EXPECT_FAIL(EOPNOTSUPP, PERMISSION,
		    t_copy(self->fd, self->parent, 0, self->parent, &iova, T_PAGE, IOASID_MAP_READ));
	EXPECT_FAIL(EINVAL, KIND, t_map_at(self->fd, self->id, page, T_PAGE, T_RW, 1ULL << 32));
}

TEST_F(nested, order_of_frees)
{
	struct ioasid_space_info info;
	u32 second;

	ASSERT_OK(t_space_info(self->fd, self->id, &info));
	EXPECT_EQ(IOASID_KIND_NESTED, info.kind);
	EXPECT_EQ(self->parent, info.parent);
	EXPECT_EQ(1, info.nr_attachments);
	EXPECT_FAIL(EBUSY, IN_USE, t_free(self->fd, self->parent));
	EXPECT_FAIL(EBUSY, IN_USE, t_free(self->fd, self->id));
	ASSERT_OK(detach());
	if (variant->pasid)
		ASSERT_OK(t_detach(self->fd, self->dev_id));
	EXPECT_FAIL(EBUSY, IN_USE, t_free(self->fd, self->parent));
	ASSERT_OK(t_alloc_nested(self->fd, &second, self->parent, &self->guest, 0));
	ASSERT_OK(t_free(self->fd, self->id));
	EXPECT_FAIL(EBUSY, IN_USE, t_free(self->fd, self->parent));
	ASSERT_OK(t_free(self->fd, second));
	ASSERT_OK(t_free(self->fd, self->parent));
	EXPECT_EQ(0, t_pinned(self->fd));
}

/* A child without devices, freed with its context in whatever order */
TEST_F(nested, left_to_close)
{
	u32 i, id;

	for (i = 0; i < 5; i++)
		ASSERT_OK(t_alloc_nested(self->fd, &id, self->parent, &self->guest, 0));
}

TEST_F(nested, two_tables_one_parent)
{
	struct iommu_hwpt_vtd_s1 s1 = { .pgtbl_addr = TABLES / 2, .addr_width = 48 };
	struct t_guest other = { .mem = self->mem, .bytes = TABLES, .tables = TABLES / 2 };
	u32 id, pasid = IOASID_PASID_ANY;

	ASSERT_OK(t_alloc_any(self->fd, &id, (struct ioasid_alloc){
		.kind = IOASID_KIND_NESTED, .parent = self->parent,
		.data_type = IOMMU_HWPT_DATA_VTD_S1, .data_len = sizeof(s1),
		.data = (uintptr_t)&s1 }));
	/* Its top table is not page 0 */
	other.mem = self->mem + TABLES / 2;
	((u64 *)other.mem)[(AT >> 39) % 512] = (TABLES / 2 + T_PAGE) | T_GUEST_RW;
	((u64 *)(other.mem + T_PAGE))[(AT >> 30) % 512] = (TABLES / 2 + 2 * T_PAGE) | T_GUEST_RW;
	((u64 *)(other.mem + 2 * T_PAGE))[(AT >> 21) % 512] = (2 * T_HUGE) | T_GUEST_PS | T_GUEST_RW;
	ASSERT_OK(t_attach_pasid(self->fd, self->dev_id, id, &pasid, 0, 0));
	fill_page(0, 1);
	fill_page(7, 7);
	map(AT, 7, T_GUEST_RW);
	EXPECT_EQ(0, reads(AT, 7));
	EXPECT_EQ(0, reads_as(&self->dev, pasid, AT, 1));
	ASSERT_OK(t_detach_pasid(self->fd, self->dev_id, pasid));
	EXPECT_EQ(0, reads(AT, 7));
}

/* As a guest turns its IOMMU on and off */
TEST_F(nested, replaced)
{
	u32 other, pasid = self->pasid, vpasid = variant->pasid ? pasid : 0;
	int i;

	NEED(!variant->pasid || !t_old_kernel(), "Linux 6.12 does not replace in place");
	fill_page(0, 1);
	fill_page(1, 2);
	map(AT, 0, T_GUEST_RW);
	ASSERT_OK(t_alloc_nested(self->fd, &other, self->parent, &self->guest, 0));
	for (i = 0; i < 100; i++) {
		ASSERT_OK(t_attach_pasid(self->fd, self->dev_id, self->parent, &pasid, vpasid,
					 IOASID_ATTACH_REPLACE));
		ASSERT_EQ(0, reads(PAGE(1), 2));
		ASSERT_EQ(-EFAULT, reads(AT, 1));
		ASSERT_OK(t_attach_pasid(self->fd, self->dev_id, i % 2 ? self->id : other, &pasid,
					 vpasid, IOASID_ATTACH_REPLACE));
		ASSERT_EQ(0, reads(AT, 1));
	}
}

/* --- what the user says of his table --- */

TEST_F(nested, data_is_copied)
{
	struct iommu_hwpt_vtd_s1 s1 = { .pgtbl_addr = 0, .addr_width = 48 };
	pid_t child;
	int status;
	u32 id;

	ASSERT_OK(detach());
	ASSERT_OK(t_alloc_any(self->fd, &id, (struct ioasid_alloc){
		.kind = IOASID_KIND_NESTED, .parent = self->parent,
		.data_type = IOMMU_HWPT_DATA_VTD_S1, .data_len = sizeof(s1),
		.data = (uintptr_t)&s1 }));
	memset(&s1, 0xff, sizeof(s1));
	fill_page(0, 1);
	map(AT, 0, T_GUEST_RW);
	self->pasid = variant->pasid ? IOASID_PASID_ANY : IOASID_RID;
	ASSERT_OK(attach(id));
	EXPECT_EQ(0, reads(AT, 1));
	ASSERT_OK(detach());
	/* Another process attaches */
	child = fork();
	if (!child) {
		self->pasid = variant->pasid ? IOASID_PASID_ANY : IOASID_RID;
		_exit(attach(id) || reads(AT, 1) || detach());
	}
	ASSERT_EQ(child, waitpid(child, &status, 0));
	EXPECT_EQ(0, status);
}

TEST_F(nested, bad_data)
{
	struct iommu_hwpt_vtd_s1 s1[2] = { { .pgtbl_addr = 0, .addr_width = 48 } };
	struct ioasid_alloc good = {
		.kind = IOASID_KIND_NESTED, .parent = self->parent,
		.data_type = IOMMU_HWPT_DATA_VTD_S1, .data_len = sizeof(s1[0]),
		.data = (uintptr_t)s1,
	}, bad;
	u32 id, mapped;

#define BAD(err, reason, field, value) do {					\
	bad = good;								\
	bad.field = value;							\
	EXPECT_FAIL(err, reason, t_alloc_any(self->fd, &id, bad));		\
} while (0)
	ASSERT_OK(t_alloc(self->fd, &mapped));
	BAD(EINVAL, VALUE, parent, 0);
	BAD(ENOENT, NO_SPACE_ID, parent, 4711);
	BAD(EINVAL, KIND, parent, mapped);
	BAD(EINVAL, KIND, parent, self->id);
	BAD(EOPNOTSUPP, FORMAT, data_type, 0);
	BAD(EOPNOTSUPP, FORMAT, data_type, 77);
	BAD(EINVAL, SIZE, data_len, sizeof(s1[0]) - 1);
	BAD(EINVAL, SIZE, data_len, 0);
	BAD(E2BIG, SIZE, data_len, 2 * T_PAGE);
	BAD(EFAULT, POINTER, data, 0);
	BAD(EINVAL, KIND, flags, IOASID_ALLOC_NEST_PARENT);
	s1[1].addr_width = 1;
	BAD(E2BIG, SIZE, data_len, sizeof(s1));
	s1[1].addr_width = 0;
	good.data_len = sizeof(s1);
	ASSERT_OK(t_alloc_any(self->fd, &id, good));
	s1[0].addr_width = 47;
	EXPECT_FAIL(EINVAL, VALUE, t_alloc_any(self->fd, &id, good));
	s1[0].addr_width = 48;
	s1[0].pgtbl_addr = 8;
	EXPECT_FAIL(EINVAL, ALIGNMENT, t_alloc_any(self->fd, &id, good));
	s1[0].pgtbl_addr = 0;
	s1[0].flags = 1 << 3;
	EXPECT_FAIL(EOPNOTSUPP, FLAGS, t_alloc_any(self->fd, &id, good));
#undef BAD
}

/* --- page requests --- */

TEST_F(nested, page_requests)
{
	struct ioasid_fault_record record;
	struct t_queue queue;
	char got[T_PAGE];
	u32 id;
	int slot;
	struct ioasid_sim_completion c;
	struct ioasid_sim_command cmd = {
		.opcode = IOASID_SIM_OP_READ, .iova = AT, .length = T_PAGE,
	};

	ASSERT_OK(detach());
	ASSERT_OK(t_alloc_nested(self->fd, &id, self->parent, &self->guest, IOASID_ALLOC_FAULTS));
	ASSERT_OK(t_queue_open(&queue, self->fd, &(struct ioasid_fault_queue){ .depth = 16, .eventfd = -1 }));
	ASSERT_OK(t_fault_bind(self->fd, id, 0, 0, queue.id));
	EXPECT_FAIL(EINVAL, KIND, t_fault_policy(self->fd, id, 0, IOASID_FAULT_KERNEL));
	self->pasid = variant->pasid ? IOASID_PASID_ANY : IOASID_RID;
	ASSERT_OK(attach(id));
	cmd.pasid = self->pasid;
	cmd.flags = IOASID_SIM_CMD_REQUEST | (self->pasid ? IOASID_SIM_CMD_PASID : 0);
	slot = t_sim_submit(&self->dev.sim, &cmd);
	ASSERT_LE(0, slot);
	ASSERT_OK(t_queue_next(&queue, &record, 5000));
	EXPECT_EQ(IOASID_FAULT_REQUEST, record.type);
	EXPECT_EQ(AT, record.addr);
	EXPECT_EQ(id, record.ioasid);
	EXPECT_EQ(self->pasid, record.pasid);
	/* The guest brings the page */
	fill_page(0, 1);
	map(AT, 0, T_GUEST_RW);
	ASSERT_OK(t_queue_answer(&queue, record.cookie, IOASID_FAULT_SUCCESS));
	ASSERT_OK(t_sim_wait(&self->dev.sim, slot, &c, 10000));
	EXPECT_EQ(0, t_sim_error(&c));
	memcpy(got, t_sim_buffer(&self->dev.sim, 0), T_PAGE);
	EXPECT_EQ(-1, t_differs(got, T_PAGE, 1));
	/* Replaced while one waits: the device asks again, and nobody answers */
	ASSERT_OK(detach());
	t_queue_close(&queue);
}

TEST_HARNESS_MAIN
