// SPDX-License-Identifier: GPL-2.0
/*
 * The rules of all commands: sizes, tails, flags, addresses, and a reason of every
 * error. The tests probe which commands exist, so that they cover new ones too.
 */
#include <linux/fdtable.h>
#include <linux/file.h>
#include <linux/mm.h>
#include <linux/mman.h>
#include <linux/shmem_fs.h>
#include <linux/uaccess.h>
#include <uapi/linux/iommufd.h>
#include "test.h"

#define NR_COMMANDS	256
#define HEADER		16

/* The header of any command, with room for all of its struct */
struct raw {
	u32 size;
	u32 flags;
	u64 extack;
	u8 rest[PAGE_SIZE];
};

/**
 * struct probed - a command that the kernel has
 * @nr: its number
 * @cmd: the ioctl
 * @size: smallest size of its struct in bytes
 * @now: size of its struct in this kernel, in bytes
 * @flags: supported flags
 */
struct probed {
	u32 nr;
	unsigned int cmd;
	u32 size;
	u32 now;
	u32 flags;
};

static void put_header(struct itest *it, u64 uptr, u32 size, u32 flags)
{
	struct raw *raw = kunit_kzalloc(it->test, sizeof(*raw), GFP_KERNEL);
	struct ioasid_extack ext = { .size = sizeof(ext) };

	KUNIT_ASSERT_NOT_NULL(it->test, raw);
	raw->size = size;
	raw->flags = flags;
	raw->extack = ITEST_EXT;
	itest_put_user(it->test, ITEST_EXT, &ext, sizeof(ext));
	itest_put_user(it->test, uptr, raw,
		       min_t(u32, max_t(u32, size, HEADER),
			     PAGE_SIZE - offset_in_page(uptr)));
	kunit_kfree(it->test, raw);
}

static int try_header(struct itest *it, unsigned int cmd, u32 size, u32 flags)
{
	int rc;

	put_header(it, ITEST_ARG, size, flags);
	rc = itest_ioctl(it, cmd, ITEST_ARG);
	itest_get_user(it->test, &it->ext, ITEST_EXT, sizeof(it->ext));
	return rc;
}

/* The error for a struct that is too large reports the size in this kernel */
static u32 ask_size(struct itest *it, unsigned int cmd)
{
	u32 size = 0;
	u8 one = 1;
	char *at;
	int rc;

	put_header(it, ITEST_ARG, PAGE_SIZE, 0);
	itest_put_user(it->test, ITEST_ARG + PAGE_SIZE - 1, &one, 1);
	rc = itest_ioctl(it, cmd, ITEST_ARG);
	itest_get_user(it->test, &it->ext, ITEST_EXT, sizeof(it->ext));
	ITEST_EXPECT_ERR(it, rc, -E2BIG, IOASID_REASON_SIZE);
	at = strstr(it->ext.msg, "than the ");
	KUNIT_ASSERT_NOT_NULL(it->test, at);
	if (sscanf(at, "than the %u bytes", &size) != 1)
		KUNIT_FAIL(it->test, "no size in '%s'", it->ext.msg);
	return size;
}

/* Errors report the smallest size, and the unknown flags */
static bool ask(struct itest *it, u32 nr, struct probed *k)
{
	k->nr = nr;
	k->cmd = _IO(IOASID_TYPE, nr);
	if (try_header(it, k->cmd, HEADER, 0) == -ENOTTY)
		return false;
	ITEST_EXPECT_ERR(it, try_header(it, k->cmd, HEADER, 0), -EINVAL,
			 IOASID_REASON_SIZE);
	k->size = it->ext.value;
	ITEST_EXPECT_ERR(it, try_header(it, k->cmd, k->size, U32_MAX),
			 -EOPNOTSUPP, IOASID_REASON_FLAGS);
	k->flags = ~(u32)it->ext.value;
	k->now = ask_size(it, k->cmd);
	return true;
}

static u32 ask_all(struct itest *it, struct probed *all)
{
	u32 nr, found = 0;

	for (nr = 0; nr < NR_COMMANDS; nr++)
		if (ask(it, nr, &all[found]))
			found++;
	KUNIT_ASSERT_GE(it->test, found, 15U);
	return found;
}

static struct itest *open_all(struct kunit *test, struct probed **all, u32 *nr)
{
	struct itest *it;

	itest_memory(test);
	it = itest_open(test);
	*all = kunit_kcalloc(test, NR_COMMANDS, sizeof(**all), GFP_KERNEL);
	KUNIT_ASSERT_NOT_NULL(test, *all);
	*nr = ask_all(it, *all);
	return it;
}

static void published_sizes(struct kunit *test)
{
	static const u32 size[] = {
		sizeof(struct ioasid_info),
		sizeof(struct ioasid_device_info),
		sizeof(struct ioasid_alloc), sizeof(struct ioasid_free),
		sizeof(struct ioasid_space_info), sizeof(struct ioasid_map),
		sizeof(struct ioasid_unmap), sizeof(struct ioasid_copy),
		sizeof(struct ioasid_reserve), sizeof(struct ioasid_translate),
		sizeof(struct ioasid_option),
		offsetofend(struct ioasid_device_attach, vpasid),
		offsetofend(struct ioasid_device_detach, pasid),
		0, 0,	/* for dirty tracking */
		sizeof(struct ioasid_pasid_alloc),
		sizeof(struct ioasid_pasid_free),
		sizeof(struct ioasid_fault_queue),
		sizeof(struct ioasid_fault_bind),
		sizeof(struct ioasid_invalidate),
	};
	struct probed *k;
	u32 nr, i;

	open_all(test, &k, &nr);
	KUNIT_ASSERT_EQ(test, nr, ARRAY_SIZE(size) - 2);
	for (i = 0; i < nr; i++) {
		KUNIT_ASSERT_LT(test, k[i].nr, ARRAY_SIZE(size));
		KUNIT_EXPECT_NE(test, k[i].size, 0U);
		KUNIT_EXPECT_EQ(test, k[i].size, size[k[i].nr]);
	}
}

static void only_these_are_commands(struct kunit *test)
{
	struct probed *k;
	struct itest *it;
	u32 nr, i;

	it = open_all(test, &k, &nr);
	put_header(it, ITEST_ARG, HEADER, 0);
	for (i = 0; i < nr; i++) {
		u32 cmd = k[i].cmd;

		KUNIT_EXPECT_EQ(test, itest_ioctl(it, _IO('V', k[i].nr),
						  ITEST_ARG), -ENOTTY);
		KUNIT_EXPECT_EQ(test, itest_ioctl(it, cmd |
						  _IOC_READ << _IOC_DIRSHIFT,
						  ITEST_ARG), -ENOTTY);
		KUNIT_EXPECT_EQ(test, itest_ioctl(it, cmd | 8 << _IOC_SIZESHIFT,
						  ITEST_ARG), -ENOTTY);
	}
	/* Fails before user memory is accessed */
	KUNIT_EXPECT_EQ(test, itest_ioctl(it, _IO(IOASID_TYPE, 0xff),
					  ITEST_HOLE), -ENOTTY);
}

static void too_small(struct kunit *test)
{
	struct probed *k;
	struct itest *it;
	u32 nr, i, size;

	it = open_all(test, &k, &nr);
	for (i = 0; i < nr; i++) {
		for (size = 0; size < HEADER; size++) {
			KUNIT_EXPECT_EQ(test, try_header(it, k[i].cmd, size, 0),
					-EINVAL);
			/* Too early for a reason */
			KUNIT_EXPECT_EQ(test, it->ext.code, 0U);
		}
		for (; size < k[i].size; size++) {
			ITEST_EXPECT_ERR(it, try_header(it, k[i].cmd, size, 0),
					 -EINVAL, IOASID_REASON_SIZE);
			KUNIT_EXPECT_EQ(test, it->ext.value, (u64)k[i].size);
		}
	}
}

/* A struct of a later kernel, whose tail must be zero */
static void too_large(struct kunit *test)
{
	struct probed *k;
	struct itest *it;
	u32 nr, i, size, code;
	u8 one = 1;
	int rc;

	it = open_all(test, &k, &nr);
	for (i = 0; i < nr; i++) {
		rc = try_header(it, k[i].cmd, k[i].size, 0);
		code = it->ext.code;
		for (size = k[i].now + 1; size <= PAGE_SIZE;
		     size += size < k[i].now + 16 ? 1 : 1021) {
			KUNIT_EXPECT_EQ(test, try_header(it, k[i].cmd, size, 0),
					rc);
			KUNIT_EXPECT_EQ(test, it->ext.code, code);
			put_header(it, ITEST_ARG, size, 0);
			itest_put_user(test, ITEST_ARG + size - 1, &one, 1);
			rc = itest_ioctl(it, k[i].cmd, ITEST_ARG);
			itest_get_user(test, &it->ext, ITEST_EXT,
				       sizeof(it->ext));
			ITEST_EXPECT_ERR(it, rc, -E2BIG, IOASID_REASON_SIZE);
			rc = try_header(it, k[i].cmd, k[i].size, 0);
		}
		ITEST_EXPECT_ERR(it, try_header(it, k[i].cmd, PAGE_SIZE + 1, 0),
				 -E2BIG, IOASID_REASON_SIZE);
		ITEST_EXPECT_ERR(it, try_header(it, k[i].cmd, U32_MAX, 0),
				 -E2BIG, IOASID_REASON_SIZE);
	}
}

static void unknown_flags(struct kunit *test)
{
	struct probed *k;
	struct itest *it;
	u32 nr, i, bit;

	it = open_all(test, &k, &nr);
	for (i = 0; i < nr; i++)
		for (bit = 0; bit < 32; bit++) {
			if (k[i].flags & BIT(bit))
				continue;
			ITEST_EXPECT_ERR(it, try_header(it, k[i].cmd, k[i].size,
							BIT(bit) | k[i].flags),
					 -EOPNOTSUPP, IOASID_REASON_FLAGS);
			KUNIT_EXPECT_EQ(test, it->ext.value, (u64)BIT(bit));
			/* The name of the command, as the user writes it */
			KUNIT_EXPECT_TRUE_MSG(test, strstarts(it->ext.msg, "IOASID_"),
					      "%s", it->ext.msg);
		}
}

static void bad_addresses(struct kunit *test)
{
	struct ioasid_extack ext = { .size = sizeof(ext) };
	struct probed *k;
	struct itest *it;
	u32 nr, i, size;
	u64 bad, at;
	int rc;

	it = open_all(test, &k, &nr);
	for (i = 0; i < nr; i++) {
		unsigned int cmd = k[i].cmd;

		KUNIT_EXPECT_EQ(test, itest_ioctl(it, cmd, ITEST_HOLE), -EFAULT);
		KUNIT_EXPECT_EQ(test, itest_ioctl(it, cmd, 0), -EFAULT);
		KUNIT_EXPECT_EQ(test, itest_ioctl(it, cmd, (u64)test), -EFAULT);
		/* At the end of memory: only the size can be read */
		size = k[i].size;
		at = ITEST_VEC + ITEST_VEC_PAGES * PAGE_SIZE;
		put_header(it, at - 8, size, 0);
		KUNIT_EXPECT_EQ(test, itest_ioctl(it, cmd, at - 8), -EFAULT);
		put_header(it, at - HEADER, size, 0);
		itest_put_user(test, ITEST_EXT, &ext, sizeof(ext));
		rc = itest_ioctl(it, cmd, at - HEADER);
		itest_get_user(test, &it->ext, ITEST_EXT, sizeof(it->ext));
		if (size > HEADER)
			ITEST_EXPECT_ERR(it, rc, -EFAULT,
					 IOASID_REASON_POINTER);
		/* A bad extack is found before anything is done */
		put_header(it, ITEST_ARG, size, 0);
		bad = ITEST_HOLE;
		itest_put_user(test, ITEST_ARG + 8, &bad, sizeof(bad));
		KUNIT_EXPECT_EQ(test, itest_ioctl(it, cmd, ITEST_ARG), -EFAULT);
	}
	KUNIT_EXPECT_EQ(test, itest_info(it).nr_spaces, 0U);
}

/* A command whose result cannot be written has no effect; others need not write */
static void read_only_struct(struct kunit *test)
{
	struct page **page = itest_pages(test, 1, 0);
	struct probed *k;
	struct itest *it;
	u32 nr, i, read_only = 0;
	u64 addr;
	struct raw *raw = page_address(page[0]);

	it = open_all(test, &k, &nr);
	addr = itest_map_pages(test, page, 1, PROT_READ);
	for (i = 0; i < nr; i++) {
		struct ioasid_extack ext = { .size = sizeof(ext) };
		int rc;

		memset(raw, 0, PAGE_SIZE);
		raw->size = k[i].size;
		raw->extack = ITEST_EXT;
		/* It would succeed if its result could be written */
		if (k[i].cmd == IOASID_ALLOC)
			((struct ioasid_alloc *)raw)->kind = IOASID_KIND_MAPPED;
		itest_put_user(test, ITEST_EXT, &ext, sizeof(ext));
		rc = itest_ioctl(it, k[i].cmd, addr);
		itest_get_user(test, &it->ext, ITEST_EXT, sizeof(it->ext));
		if (it->ext.code != IOASID_REASON_POINTER)
			continue;
		read_only++;
		ITEST_EXPECT_ERR(it, rc, -EFAULT, IOASID_REASON_POINTER);
		KUNIT_EXPECT_NOT_NULL(test, strstr(it->ext.msg, "write"));
	}
	/* All but FREE, MAP, RESERVE, DETACH, BIND and the PASID ones */
	KUNIT_EXPECT_EQ(test, read_only, 11U);
	KUNIT_EXPECT_EQ(test, itest_info(it).nr_spaces, 0U);
}

/* --- the reason of each error of each command --- */

union args {
	struct ioasid_info info;
	struct ioasid_device_info device_info;
	struct ioasid_alloc alloc;
	struct ioasid_free free;
	struct ioasid_space_info space_info;
	struct ioasid_map map;
	struct ioasid_unmap unmap;
	struct ioasid_copy copy;
	struct ioasid_reserve reserve;
	struct ioasid_translate translate;
	struct ioasid_option option;
	struct ioasid_device_attach attach;
	struct ioasid_device_detach detach;
	struct ioasid_pasid_alloc pasid_alloc;
	struct ioasid_pasid_free pasid_free;
	struct ioasid_fault_queue fault_queue;
	struct ioasid_fault_bind fault_bind;
	struct ioasid_invalidate invalidate;
};

/**
 * struct bad - a command that fails
 * @cmd: the command
 * @size: size of its struct
 * @arg: its struct. Space 1 has ITEST_MEM mapped at BUSY, 4 pages for reading and
 *	writing and 4 for reading; space 2 is empty; there is no space 9
 * @vec: contents of ITEST_VEC
 * @err: expected errno
 * @code: expected reason
 * @index: expected index in the extack, plus 1
 */
struct bad {
	unsigned int cmd;
	u32 size;
	union args arg;
	union {
		struct ioasid_map_range map[2];
		struct ioasid_unmap_range unmap[2];
		struct ioasid_iova_range range[2];
		struct iommu_hwpt_vtd_s1 s1;
	} vec;
	int err;
	u32 code;
	u32 index;
};

#define BUSY	0x100000
#define FREE	0x200000
#define PG	PAGE_SIZE
#define RW	(IOASID_MAP_READ | IOASID_MAP_WRITE)
#define FIXED	(RW | IOASID_MAP_FIXED)

#define BAD(_cmd, _arm, _err, _code, ...) {				\
	.cmd = IOASID_##_cmd, .size = sizeof(((union args *)0)->_arm),	\
	.err = -(_err), .code = IOASID_REASON_##_code, __VA_ARGS__ }
#define MSIZE	.range_size = sizeof(struct ioasid_map_range)
#define USIZE	.range_size = sizeof(struct ioasid_unmap_range)
#define RSIZE	.range_size = sizeof(struct ioasid_iova_range)
#define MAP1(...)	.arg.map = { .ioasid = 1, .nr = 1, .ranges = ITEST_VEC, MSIZE }, \
			.vec.map[0] = { __VA_ARGS__ }
#define MAP2(...)	.arg.map = { .ioasid = 1, .nr = 2, .ranges = ITEST_VEC, MSIZE }, \
			.vec.map[0] = { FREE, ITEST_MEM, PG, FIXED },	\
			.vec.map[1] = { __VA_ARGS__ }, .index = 2
#define UNMAP1(...)	.arg.unmap = { .ioasid = 1, .nr = 1, .ranges = ITEST_VEC, USIZE }, \
			.vec.unmap[0] = { __VA_ARGS__ }, .index = 1
#define UNMAP2(...)	.arg.unmap = { .ioasid = 1, .nr = 2, .ranges = ITEST_VEC, USIZE }, \
			.vec.unmap = { __VA_ARGS__ }
#define COPY(...)	.arg.copy = { .src_ioasid = 1, .dst_ioasid = 2,	\
			.flags = RW, .src_iova = BUSY, .length = PG, __VA_ARGS__ }
#define NEST(...)	.arg.alloc = { .kind = IOASID_KIND_NESTED, .parent = 1,	\
			.data_type = IOMMU_HWPT_DATA_VTD_S1,		\
			.data_len = sizeof(struct iommu_hwpt_vtd_s1),	\
			.data = ITEST_VEC, __VA_ARGS__ }
#define RESERVE(...)	.arg.reserve = { .ioasid = 1, .nr = 2, .ranges = ITEST_VEC, RSIZE }, \
			.vec.range = { __VA_ARGS__ }

static const struct bad bads[] = {
	BAD(DEVICE_INFO, device_info, ENOENT, NO_DEVICE_ID,
	    .arg.device_info.dev_id = 1),
	BAD(ALLOC, alloc, EOPNOTSUPP, KIND, .arg.alloc.kind = 0),
	BAD(ALLOC, alloc, EOPNOTSUPP, KIND, .arg.alloc.kind = 5),
	BAD(ALLOC, alloc, EINVAL, KIND, .arg.alloc = {
	    .kind = IOASID_KIND_MM, .flags = IOASID_ALLOC_NEST_PARENT }),
	BAD(ALLOC, alloc, EINVAL, VALUE, .arg.alloc.kind = IOASID_KIND_NESTED),
	BAD(ALLOC, alloc, EOPNOTSUPP, FORMAT, .arg.alloc = {
	    .kind = IOASID_KIND_NESTED, .parent = 1 }),
	BAD(ALLOC, alloc, EINVAL, KIND, NEST(), .vec.s1.addr_width = 48),
	BAD(ALLOC, alloc, EINVAL, VALUE, NEST(), .vec.s1.addr_width = 39),
	BAD(ALLOC, alloc, EINVAL, ALIGNMENT, NEST(),
	    .vec.s1 = { .addr_width = 57, .pgtbl_addr = PG + 8 }),
	BAD(ALLOC, alloc, EOPNOTSUPP, FLAGS, NEST(),
	    .vec.s1 = { .addr_width = 48, .flags = BIT(3) }),
	BAD(ALLOC, alloc, EOPNOTSUPP, FLAGS, NEST(),
	    .vec.s1 = { .addr_width = 48, .__reserved = 1 }),
	BAD(ALLOC, alloc, ENOENT, NO_SPACE_ID, NEST(.parent = 9),
	    .vec.s1.addr_width = 48),
	BAD(ALLOC, alloc, EFAULT, POINTER, NEST(.data = ITEST_HOLE),
	    .vec.s1.addr_width = 48),
	BAD(ALLOC, alloc, EINVAL, SIZE, NEST(.data_len = 8),
	    .vec.s1.addr_width = 48),
	BAD(INVALIDATE, invalidate, EINVAL, VALUE, .arg.invalidate.ioasid = 1),
	BAD(INVALIDATE, invalidate, E2BIG, LIMIT, .arg.invalidate = {
	    .ioasid = 1, .nr = IOASID_MAX_VECTOR + 1 }),
	BAD(INVALIDATE, invalidate, ENOENT, NO_SPACE_ID, .arg.invalidate = {
	    .ioasid = 9, .nr = 1 }),
	BAD(INVALIDATE, invalidate, EINVAL, KIND, .arg.invalidate = {
	    .ioasid = 1, .nr = 1 }),
	BAD(INVALIDATE, invalidate, EOPNOTSUPP, FLAGS, .arg.invalidate = {
	    .ioasid = 1, .nr = 1, .__reserved = 1 }),
	BAD(INVALIDATE, invalidate, EINVAL, SIZE, .arg.invalidate = {
	    .ioasid = 1, .nr = 1, .flags = IOASID_INVALIDATE_GENERIC }),
	BAD(INVALIDATE, invalidate, EOPNOTSUPP, FLAGS, .arg.invalidate = {
	    .ioasid = 1, .nr = 1, .flags = IOASID_INVALIDATE_GENERIC,
	    .data_type = 1 }),
	BAD(ALLOC, alloc, EINVAL, KIND, .arg.alloc = {
	    .kind = IOASID_KIND_MM, .flags = IOASID_ALLOC_FAULTS }),
	BAD(PASID_ALLOC, pasid_alloc, EINVAL, VALUE, .arg.pasid_alloc.dev_id = 9),
	BAD(PASID_ALLOC, pasid_alloc, E2BIG, LIMIT, .arg.pasid_alloc.nr = 65537),
	BAD(PASID_ALLOC, pasid_alloc, EFAULT, POINTER, .arg.pasid_alloc = {
	    .nr = 1, .pasids = ITEST_HOLE }),
	BAD(PASID_ALLOC, pasid_alloc, ENOENT, NO_DEVICE_ID, .arg.pasid_alloc = {
	    .dev_id = 9, .nr = 1, .pasids = ITEST_VEC }),
	BAD(PASID_FREE, pasid_free, EINVAL, VALUE, .arg.pasid_free.nr = 0),
	BAD(PASID_FREE, pasid_free, E2BIG, LIMIT, .arg.pasid_free.nr = 65537),
	BAD(PASID_FREE, pasid_free, EOPNOTSUPP, FLAGS, .arg.pasid_free.__reserved = 1),
	BAD(PASID_FREE, pasid_free, EFAULT, POINTER, .arg.pasid_free = {
	    .nr = 1, .pasids = ITEST_HOLE }),
	BAD(FAULT_QUEUE, fault_queue, EINVAL, VALUE, .arg.fault_queue.depth = 15),
	BAD(FAULT_QUEUE, fault_queue, EINVAL, VALUE, .arg.fault_queue = {
	    .depth = 16, .max_pending = 17 }),
	BAD(FAULT_QUEUE, fault_queue, EINVAL, VALUE, .arg.fault_queue = {
	    .depth = 16, .deadline_ms = 60001 }),
	BAD(FAULT_BIND, fault_bind, EINVAL, VALUE, .arg.fault_bind.ioasid = 0),
	BAD(FAULT_BIND, fault_bind, EOPNOTSUPP, FLAGS, .arg.fault_bind = {
	    .ioasid = 1, .__reserved = 1 }),
	BAD(FAULT_BIND, fault_bind, ENOENT, NO_SPACE_ID, .arg.fault_bind.ioasid = 9),
	BAD(FAULT_BIND, fault_bind, ENOENT, NO_DEVICE_ID, .arg.fault_bind.dev_id = 9),
	BAD(FAULT_BIND, fault_bind, EINVAL, KIND, .arg.fault_bind = {
		.ioasid = 1, .policy = IOASID_FAULT_REFUSE }),
	BAD(FAULT_BIND, fault_bind, EINVAL, VALUE, .arg.fault_bind = {
		.ioasid = 1, .policy = IOASID_FAULT_KERNEL + 1 }),
	BAD(FAULT_BIND, fault_bind, EINVAL, VALUE, .arg.fault_bind = {
		.dev_id = 1, .policy = IOASID_FAULT_REFUSE }),
	BAD(FAULT_BIND, fault_bind, ENOENT, NO_QUEUE_ID, .arg.fault_bind = {
	    .ioasid = 1, .queue_id = 9 }),
	BAD(ALLOC, alloc, EOPNOTSUPP, FLAGS, .arg.alloc = { .kind = 1, .parent = 1 }),
	BAD(ALLOC, alloc, EOPNOTSUPP, FLAGS, .arg.alloc = { .kind = 1, .data_type = 1 }),
	BAD(ALLOC, alloc, EOPNOTSUPP, FLAGS, .arg.alloc = { .kind = 1, .data_len = 1 }),
	BAD(ALLOC, alloc, EOPNOTSUPP, FLAGS, .arg.alloc = { .kind = 1, .data = 1 }),
	BAD(ALLOC, alloc, EOPNOTSUPP, FLAGS, .arg.alloc = { .kind = 1, .__reserved = 1 }),
	BAD(ALLOC, alloc, EINVAL, VALUE, .arg.alloc = { .kind = 1,
	    .label = "12345678901234567890123456789012" }),
	BAD(ALLOC, alloc, EINVAL, VALUE, .arg.alloc = { .kind = 1,
	    .label = "one\nioasid=7" }),
	BAD(ALLOC, alloc, EINVAL, VALUE, .arg.alloc = { .kind = 2,
	    .label = "\x7f" }),
	BAD(FREE, free, EOPNOTSUPP, FLAGS, .arg.free = { .ioasid = 2, .__reserved = 1 }),
	BAD(FREE, free, ENOENT, NO_SPACE_ID, .arg.free.ioasid = 0),
	BAD(FREE, free, ENOENT, NO_SPACE_ID, .arg.free.ioasid = 9),
	BAD(SPACE_INFO, space_info, ENOENT, NO_SPACE_ID, .arg.space_info.ioasid = 9),
	BAD(SPACE_INFO, space_info, EMSGSIZE, LIMIT,
	    .arg.space_info = { .ioasid = 1, .ranges = ITEST_VEC, RSIZE }),
	BAD(SPACE_INFO, space_info, EFAULT, POINTER,
	    .arg.space_info = { .ioasid = 1, .nr_ranges = 8, .ranges = ITEST_HOLE, RSIZE }),
	BAD(SPACE_INFO, space_info, EINVAL, SIZE,
	    .arg.space_info = { .ioasid = 1, .nr_ranges = 8, .ranges = ITEST_VEC }),

	BAD(MAP, map, ENOENT, NO_SPACE_ID, .arg.map = { .ioasid = 9, .nr = 1,
	    .ranges = ITEST_VEC, MSIZE }, .vec.map[0] = { FREE, ITEST_MEM, PG, FIXED }),
	BAD(MAP, map, EINVAL, VALUE, .arg.map = { .ioasid = 1 }),
	BAD(MAP, map, E2BIG, LIMIT, .arg.map = { .ioasid = 1, .nr = IOASID_MAX_VECTOR + 1 }),
	BAD(MAP, map, EFAULT, POINTER, .arg.map = { .ioasid = 1, .nr = 1, .ranges = ITEST_HOLE, MSIZE }),
	BAD(MAP, map, EFAULT, POINTER, .arg.map = { .ioasid = 1, .nr = 2, .ranges = ITEST_HOLE, MSIZE }),
	/* The kernel chooses and cannot say what */
	BAD(MAP, map, EFAULT, POINTER, .arg.map = { .ioasid = 1, .nr = 1, .ranges = ITEST_RO, MSIZE },
	    .index = 1),
	BAD(MAP, map, EOPNOTSUPP, FLAGS, MAP2(0, ITEST_MEM, PG, RW | 0x20)),
	BAD(MAP, map, EOPNOTSUPP, FLAGS, MAP2(0, ITEST_MEM, PG, RW, .fd = 1)),
	BAD(MAP, map, EINVAL, VALUE, MAP2(0, ITEST_MEM, PG, 0)),
	BAD(MAP, map, EINVAL, VALUE, MAP2(0, ITEST_MEM, 0, RW)),
	BAD(MAP, map, EINVAL, ALIGNMENT, MAP2(0, ITEST_MEM + 1, PG, RW)),
	BAD(MAP, map, EINVAL, ALIGNMENT, MAP2(0, ITEST_MEM, PG + 1, RW)),
	BAD(MAP, map, EINVAL, ALIGNMENT, MAP2(FREE + PG + 8, ITEST_MEM, PG, FIXED)),
	BAD(MAP, map, EOVERFLOW, OVERFLOW, MAP2(-PG, ITEST_MEM, 2 * PG, FIXED)),
	BAD(MAP, map, EOVERFLOW, OVERFLOW, MAP2(0, -PG, 2 * PG, RW)),
	BAD(MAP, map, E2BIG, LIMIT, MAP2(0, ITEST_MEM, PG << 32, RW)),
	BAD(MAP, map, EOVERFLOW, OVERFLOW,
	    MAP2(0, S64_MAX - PG + 1, PG, RW | IOASID_MAP_FILE)),
	BAD(MAP, map, EBADF, FD, MAP2(0, 0, PG, RW | IOASID_MAP_FILE, .fd = -1)),
	BAD(MAP, map, EFAULT, PIN, MAP2(0, ITEST_HOLE, PG, RW)),
	BAD(MAP, map, EFAULT, PIN, MAP2(0, ITEST_RO, PG, RW)),
	BAD(MAP, map, EEXIST, OVERLAP, MAP2(BUSY + PG, ITEST_MEM, PG, FIXED)),
	BAD(MAP, map, EEXIST, OVERLAP, MAP2(FREE, ITEST_MEM, PG, FIXED)),
	BAD(MAP, map, EINVAL, ALIGNMENT, MAP1(0, ITEST_MEM + 1, PG, RW), .index = 1),

	BAD(MAP, map, EOPNOTSUPP, FLAGS, .arg.map = { .ioasid = 1, .nr = 1,
	    .ranges = ITEST_VEC, MSIZE, .__reserved = 1 }),
	BAD(MAP, map, EINVAL, SIZE, .arg.map = { .ioasid = 1, .nr = 1, .ranges = ITEST_VEC }),
	BAD(MAP, map, EINVAL, SIZE, .arg.map = { .ioasid = 1, .nr = 2, .ranges = ITEST_VEC,
	    .range_size = sizeof(struct ioasid_map_range) - 1 }),
	BAD(MAP, map, E2BIG, SIZE, .arg.map = { .ioasid = 1, .nr = 2, .ranges = ITEST_VEC,
	    .range_size = PAGE_SIZE + 1 }),

	BAD(UNMAP, unmap, ENOENT, NO_SPACE_ID, .arg.unmap = { .ioasid = 9, .nr = 1,
	    .ranges = ITEST_VEC, USIZE }),
	BAD(UNMAP, unmap, EOPNOTSUPP, FLAGS, .arg.unmap = { .ioasid = 1, .nr = 1,
	    .ranges = ITEST_VEC, USIZE, .__reserved = 1 }),
	BAD(UNMAP, unmap, EINVAL, SIZE, .arg.unmap = { .ioasid = 1, .nr = 1,
	    .ranges = ITEST_VEC }),
	BAD(UNMAP, unmap, EINVAL, VALUE, .arg.unmap = { .ioasid = 1 }),
	BAD(UNMAP, unmap, E2BIG, LIMIT, .arg.unmap = { .ioasid = 1, .nr = U32_MAX }),
	BAD(UNMAP, unmap, EFAULT, POINTER, .arg.unmap = { .ioasid = 1, .nr = 1, .ranges = 8, USIZE }),
	BAD(UNMAP, unmap, EFAULT, POINTER, .arg.unmap = { .ioasid = 1, .nr = 2, .ranges = 8, USIZE }),
	BAD(UNMAP, unmap, EINVAL, VALUE, .arg.unmap = { .ioasid = 1, .nr = 1,
	    .flags = IOASID_UNMAP_ALL }),
	BAD(UNMAP, unmap, EINVAL, VALUE, .arg.unmap = { .ioasid = 1, .ranges = 8,
	    .flags = IOASID_UNMAP_ALL }),
	BAD(UNMAP, unmap, EINVAL, VALUE, UNMAP1(BUSY, 0)),
	BAD(UNMAP, unmap, EINVAL, ALIGNMENT, UNMAP1(BUSY, 1)),
	BAD(UNMAP, unmap, EOVERFLOW, OVERFLOW, UNMAP1(BUSY, -PG)),
	BAD(UNMAP, unmap, ENOENT, NOT_MAPPED, UNMAP1(FREE, PG)),
	BAD(UNMAP, unmap, EINVAL, SPLIT, UNMAP1(BUSY, PG)),
	BAD(UNMAP, unmap, EINVAL, SPLIT, UNMAP1(BUSY + PG, 3 * PG)),
	BAD(UNMAP, unmap, EINVAL, SPLIT, UNMAP1(BUSY, 5 * PG)),
	BAD(UNMAP, unmap, EINVAL, OVERLAP,
	    UNMAP2({ BUSY, 4 * PG }, { BUSY, 4 * PG }), .index = 2),
	BAD(UNMAP, unmap, EINVAL, OVERLAP,
	    UNMAP2({ BUSY + 3 * PG, 4 * PG }, { BUSY, 4 * PG }), .index = 2),
	BAD(UNMAP, unmap, ENOENT, NOT_MAPPED,
	    UNMAP2({ BUSY, 4 * PG }, { FREE, PG }), .index = 2),

	BAD(COPY, copy, EINVAL, VALUE, COPY(.flags = 0)),
	BAD(COPY, copy, EINVAL, VALUE, COPY(.length = 0)),
	BAD(COPY, copy, EINVAL, ALIGNMENT, COPY(.src_iova = 1)),
	BAD(COPY, copy, EINVAL, ALIGNMENT, COPY(.flags = FIXED, .dst_iova = 1)),
	BAD(COPY, copy, EOVERFLOW, OVERFLOW, COPY(.length = -PG)),
	BAD(COPY, copy, ENOENT, NO_SPACE_ID, COPY(.src_ioasid = 9)),
	BAD(COPY, copy, ENOENT, NO_SPACE_ID, COPY(.dst_ioasid = 9)),
	BAD(COPY, copy, ENOENT, NOT_MAPPED, COPY(.src_iova = FREE)),
	BAD(COPY, copy, ENOENT, NOT_MAPPED, COPY(.length = 9 * PG,
						 .flags = IOASID_MAP_READ)),
	BAD(COPY, copy, ENOENT, NOT_MAPPED, COPY(.src_iova = BUSY - PG,
						 .length = 2 * PG)),
	BAD(COPY, copy, EPERM, PERMISSION, COPY(.length = 5 * PG)),
	BAD(COPY, copy, EEXIST, OVERLAP, COPY(.flags = FIXED, .dst_ioasid = 1,
					      .dst_iova = BUSY + PG)),

	BAD(RESERVE, reserve, ENOENT, NO_SPACE_ID, .arg.reserve = { .ioasid = 9 }),
	BAD(RESERVE, reserve, E2BIG, LIMIT, .arg.reserve = { .ioasid = 1,
	    .nr = IOASID_MAX_RESERVE + 1 }),
	BAD(RESERVE, reserve, EFAULT, POINTER, .arg.reserve = { .ioasid = 1, .nr = 1,
	    .ranges = ITEST_HOLE, RSIZE }),
	BAD(RESERVE, reserve, EOPNOTSUPP, FLAGS, .arg.reserve = { .ioasid = 1, .__reserved = 1 }),
	BAD(RESERVE, reserve, EINVAL, SIZE, .arg.reserve = { .ioasid = 1, .nr = 1,
	    .ranges = ITEST_VEC }),
	BAD(RESERVE, reserve, EINVAL, ALIGNMENT,
	    RESERVE({ 0, PG - 1 }, { PG + 1, 2 * PG - 1 }), .index = 2),
	BAD(RESERVE, reserve, EINVAL, ALIGNMENT,
	    RESERVE({ 0, PG }, { 4 * PG, 5 * PG - 1 }), .index = 1),
	BAD(RESERVE, reserve, EINVAL, VALUE,
	    RESERVE({ 4 * PG, PG - 1 }, { 0, PG - 1 }), .index = 1),
	BAD(RESERVE, reserve, EINVAL, VALUE,
	    RESERVE({ 0, 2 * PG - 1 }, { PG, 2 * PG - 1 }), .index = 2),
	BAD(RESERVE, reserve, EADDRINUSE, RESERVED,
	    RESERVE({ 0, PG - 1 }, { BUSY - PG, BUSY + PG - 1 }), .index = 2),

	BAD(TRANSLATE, translate, ENOENT, NO_SPACE_ID, .arg.translate.ioasid = 9),
	BAD(TRANSLATE, translate, ENOENT, NOT_MAPPED,
	    .arg.translate = { .ioasid = 1, .iova = BUSY - 1 }),
	BAD(TRANSLATE, translate, ENOENT, NOT_MAPPED,
	    .arg.translate = { .ioasid = 1, .iova = U64_MAX }),
	BAD(OPTION, option, EOPNOTSUPP, FLAGS, .arg.option = { .option = 1, .__reserved = 1 }),
	BAD(OPTION, option, EINVAL, VALUE, .arg.option.option = 0),
	BAD(OPTION, option, EINVAL, VALUE, .arg.option.option = 2),
	BAD(OPTION, option, EINVAL, VALUE, .arg.option = { .option = 1,
	    .flags = IOASID_OPTION_SET, .value = 2 }),
	BAD(OPTION, option, EBUSY, IN_USE, .arg.option = { .option = 1,
	    .flags = IOASID_OPTION_SET, .value = IOASID_ACCOUNT_MM }),
	BAD(DEVICE_ATTACH, attach, ENOENT, NO_DEVICE_ID,
	    .arg.attach = { .dev_id = 1, .ioasid = 1 }),
	BAD(DEVICE_DETACH, detach, ENOENT, NO_DEVICE_ID, .arg.detach.dev_id = 1),
};

/* What the extack must say: the space of the struct, or of COPY one of the two */
static bool names_the_space(const struct bad *b, u32 ioasid)
{
	switch (b->cmd) {
	case IOASID_ALLOC:
		return !ioasid || ioasid == b->arg.alloc.parent;
	case IOASID_FREE:
		return ioasid == b->arg.free.ioasid;
	case IOASID_SPACE_INFO:
		return ioasid == b->arg.space_info.ioasid;
	case IOASID_MAP:
		return ioasid == b->arg.map.ioasid;
	case IOASID_UNMAP:
		return ioasid == b->arg.unmap.ioasid;
	case IOASID_COPY:
		return ioasid == b->arg.copy.src_ioasid ||
		       ioasid == b->arg.copy.dst_ioasid;
	case IOASID_RESERVE:
		return ioasid == b->arg.reserve.ioasid;
	case IOASID_TRANSLATE:
		return ioasid == b->arg.translate.ioasid;
	case IOASID_DEVICE_ATTACH:
		return ioasid == b->arg.attach.ioasid;
	case IOASID_FAULT_BIND:
		return ioasid == b->arg.fault_bind.ioasid;
	case IOASID_INVALIDATE:
		return ioasid == b->arg.invalidate.ioasid;
	}
	return !ioasid;
}

static void walk_errors(struct kunit *test)
{
	struct itest *it;
	struct ioasid_info before, after;
	union args arg;
	u32 i;

	itest_memory(test);
	it = itest_open(test);
	KUNIT_ASSERT_EQ(test, itest_alloc_space(it), 1U);
	KUNIT_ASSERT_EQ(test, itest_alloc_space(it), 2U);
	KUNIT_ASSERT_EQ(test, itest_map_one(it, 1, BUSY, ITEST_MEM, 4 * PG, RW), 0);
	KUNIT_ASSERT_EQ(test, itest_map_one(it, 1, BUSY + 4 * PG,
					    ITEST_MEM + 4 * PG, 4 * PG,
					    IOASID_MAP_READ), 0);
	before = itest_info(it);
	for (i = 0; i < ARRAY_SIZE(bads); i++) {
		const struct bad *b = &bads[i];
		int rc;

		arg = b->arg;
		itest_put_user(test, ITEST_VEC, &b->vec, sizeof(b->vec));
		rc = itest_cmd(it, b->cmd, &arg, b->size);
		KUNIT_EXPECT_EQ_MSG(test, rc, b->err, "entry %u: %s", i,
				    it->ext.msg);
		KUNIT_EXPECT_EQ_MSG(test, it->ext.code, b->code, "entry %u: %s",
				    i, it->ext.msg);
		KUNIT_EXPECT_GT_MSG(test, strlen(it->ext.msg), 9UL, "entry %u",
				    i);
		KUNIT_EXPECT_EQ_MSG(test, it->ext.index + 1, b->index,
				    "entry %u: %s", i, it->ext.msg);
		KUNIT_EXPECT_TRUE_MSG(test, names_the_space(b, it->ext.ioasid),
				      "entry %u: space %u: %s", i,
				      it->ext.ioasid, it->ext.msg);
	}
	/* None of them has had an effect */
	after = itest_info(it);
	KUNIT_EXPECT_MEMEQ(test, &after, &before, sizeof(before));
}

/* @there and @not_there: words of the sentence of the last error */
static void check_sentence(struct itest *it, int rc, int err, const char *there,
			   const char *not_there)
{
	KUNIT_EXPECT_EQ(it->test, rc, err);
	KUNIT_EXPECT_NOT_NULL_MSG(it->test, strstr(it->ext.msg, there),
				  "no '%s' in '%s'", there, it->ext.msg);
	KUNIT_EXPECT_NULL_MSG(it->test, strstr(it->ext.msg, not_there),
			      "'%s' in '%s'", not_there, it->ext.msg);
}

/* They say what the caller knows, in his words */
static void sentences(struct kunit *test)
{
	struct ioasid_alloc kind = { .kind = 5 };
	struct itest *it;
	u32 id;

	itest_memory(test);
	it = itest_open(test);
	id = itest_alloc_space(it);
	check_sentence(it, ITEST_CMD(it, IOASID_ALLOC, &kind), -EOPNOTSUPP,
		       "spaces of kind 5 are not supported", "no kind");
	check_sentence(it, itest_map_one(it, id, 0, ITEST_HOLE, PG, RW), -EFAULT,
		       "not mapped in the process", "14");
	check_sentence(it, itest_map_one(it, id, 0, ITEST_RO, PG, RW), -EFAULT,
		       "pinned for writing", "14");
	/* The kernel would have chosen the IOVA */
	check_sentence(it, itest_map_one(it, id, 0, ITEST_MEM, 1, RW), -EINVAL,
		       "address 0x10100000 and length 0x1 must", "IOVA");
	check_sentence(it, itest_map_one(it, id, 0, 0, 1, RW), -EINVAL,
		       "length 0x1 must", "address");
	check_sentence(it, itest_map_one(it, id, FREE, ITEST_MEM, 1, FIXED),
		       -EINVAL, "IOVA 0x200000, address", "IOVA 0x0");
	check_sentence(it, itest_unmap_one(it, id, FREE, 1), -EINVAL,
		       "IOVA 0x200000 and length", "address");
	check_sentence(it, itest_map_one(it, id, 0, -PG, 2 * PG, RW), -EOVERFLOW,
		       "address 0xfffffffffffff000 plus", "IOVA");
	check_sentence(it, itest_map_one(it, id, -PG, ITEST_MEM, 2 * PG, FIXED),
		       -EOVERFLOW, "IOVA 0xfffffffffffff000 plus", "address");
}

static void physical_addresses_are_privileged(struct kunit *test)
{
	struct ioasid_translate arg = {
		.flags = IOASID_TRANSLATE_PHYS, .iova = BUSY,
	};
	const struct cred *old;
	struct itest *it;

	itest_memory(test);
	it = itest_open(test);
	arg.ioasid = itest_alloc_space(it);
	KUNIT_ASSERT_EQ(test, itest_map_one(it, arg.ioasid, BUSY, ITEST_MEM, PG,
					    RW), 0);
	old = itest_drop_cap(test, CAP_SYS_ADMIN);
	ITEST_EXPECT_ERR(it, ITEST_CMD(it, IOASID_TRANSLATE, &arg), -EPERM,
			 IOASID_REASON_PRIVILEGE);
	arg.flags = 0;
	KUNIT_EXPECT_EQ(test, ITEST_CMD(it, IOASID_TRANSLATE, &arg), 0);
	itest_restore_cred(old);
	arg.flags = IOASID_TRANSLATE_PHYS;
	KUNIT_EXPECT_EQ(test, ITEST_CMD(it, IOASID_TRANSLATE, &arg), 0);
	KUNIT_EXPECT_EQ(test, arg.phys, 0ULL);
}

/* An fd of a context, and other fds */
static void context_of_an_fd(struct kunit *test)
{
	struct ioasid_extack extack;
	struct ioasid_ctx *ctx;
	struct itest *it;
	struct file *other;
	int fd;

	itest_memory(test);
	it = itest_open(test);
	ioasid_extack_init(&extack);
	ctx = sva_get_from_fd(itest_fd(it), &extack);
	KUNIT_EXPECT_PTR_EQ(test, ctx, it->ctx);
	KUNIT_EXPECT_EQ(test, kref_read(&it->ctx->ref), 2U);
	/* The context outlives the file */
	itest_close(it);
	KUNIT_EXPECT_EQ(test, kref_read(&ctx->ref), 1U);
	sva_put(ctx);
	ctx = sva_get_from_fd(-1, &extack);
	KUNIT_EXPECT_EQ(test, PTR_ERR(ctx), (long)-EBADF);
	KUNIT_EXPECT_EQ(test, extack.code, (u32)IOASID_REASON_FD);
	fd = get_unused_fd_flags(O_CLOEXEC);
	KUNIT_ASSERT_GE(test, fd, 0);
	other = shmem_file_setup("ioasid-test", PG, EMPTY_VMA_FLAGS);
	KUNIT_ASSERT_NOT_ERR_OR_NULL(test, other);
	fd_install(fd, other);
	ioasid_extack_init(&extack);
	ctx = sva_get_from_fd(fd, &extack);
	KUNIT_EXPECT_EQ(test, PTR_ERR(ctx), (long)-EINVAL);
	KUNIT_EXPECT_EQ(test, extack.code, (u32)IOASID_REASON_FD);
	close_fd(fd);
}

static struct kunit_case ioasid_main_cases[] = {
	KUNIT_CASE(published_sizes),
	KUNIT_CASE(only_these_are_commands),
	KUNIT_CASE(too_small),
	KUNIT_CASE(too_large),
	KUNIT_CASE(unknown_flags),
	KUNIT_CASE(bad_addresses),
	KUNIT_CASE(read_only_struct),
	KUNIT_CASE(walk_errors),
	KUNIT_CASE(sentences),
	KUNIT_CASE(physical_addresses_are_privileged),
	KUNIT_CASE(context_of_an_fd),
	{}
};

static struct kunit_suite ioasid_main_suite = {
	.name = "ioasid_main",
	.test_cases = ioasid_main_cases,
};
kunit_test_suite(ioasid_main_suite);
