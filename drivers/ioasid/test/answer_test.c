// SPDX-License-Identifier: GPL-2.0
/*
 * Answers that cannot be written when a command is done, since user memory has
 * changed meanwhile: the command is undone. The commands are called behind the
 * check that finds memory which was never writable.
 */
#include <linux/sizes.h>
#include "../cmd/cmd.h"
#include "test.h"

#define RW	(IOASID_MAP_READ | IOASID_MAP_WRITE)

/* Calls a command whose struct is in memory that cannot be written (any more) */
static int call(struct itest *it, int (*fn)(struct ioasid_command *cmd),
		void *arg, size_t size)
{
	struct ioasid_command cmd = {
		.ctx = it->ctx,
		.uptr = (void __user *)ITEST_RO,
		.usize = size,
		.arg = arg,
		.extack = &it->ext,
	};
	int rc;

	ioasid_extack_init(&it->ext);
	rc = fn(&cmd);
	ITEST_EXPECT_ERR(it, rc, -EFAULT, IOASID_REASON_POINTER);
	return rc;
}

#define CALL(_it, _fn, _arg)	call(_it, _fn, _arg, sizeof(*(_arg)))

/* Nothing is half done: every count is as before */
static void check_same(struct itest *it, const struct ioasid_info *before)
{
	struct ioasid_info now = itest_info(it);

	KUNIT_EXPECT_EQ(it->test, now.nr_spaces, before->nr_spaces);
	KUNIT_EXPECT_EQ(it->test, now.nr_devices, before->nr_devices);
	KUNIT_EXPECT_EQ(it->test, now.nr_pasids, before->nr_pasids);
	KUNIT_EXPECT_EQ(it->test, now.nr_mappings, before->nr_mappings);
	KUNIT_EXPECT_EQ(it->test, now.mapped, before->mapped);
	KUNIT_EXPECT_EQ(it->test, now.pinned, before->pinned);
	KUNIT_EXPECT_EQ(it->test, now.max_mappings, before->max_mappings);
	KUNIT_EXPECT_EQ(it->test, now.max_spaces, before->max_spaces);
}

static void spaces_and_mappings(struct kunit *test)
{
	struct ioasid_alloc alloc = { .kind = IOASID_KIND_MAPPED };
	struct ioasid_map_range r = {
		.addr = ITEST_MEM, .length = PAGE_SIZE, .flags = RW,
	};
	struct ioasid_map map = {
		.nr = 1, .ranges = ITEST_RO, .range_size = sizeof(r),
	};
	struct ioasid_copy copy = {
		.flags = RW, .src_iova = SZ_1M, .length = 2 * PAGE_SIZE,
	};
	struct ioasid_unmap unmap = { .flags = IOASID_UNMAP_ALL };
	struct itest_domain *d = itest_domain_new(test);
	struct ioasid_space *space;
	struct ioasid_info before;
	struct itest *it;
	u32 id;

	itest_memory(test);
	it = itest_open(test);
	id = itest_alloc_space(it);
	space = itest_space_get(it, id);
	itest_space_add_domain(test, space, d);
	KUNIT_ASSERT_EQ(test, itest_map_one(it, id, SZ_1M, ITEST_MEM,
					    2 * PAGE_SIZE, RW), 0);
	before = itest_info(it);
	CALL(it, ioasid_cmd_alloc, &alloc);
	check_same(it, &before);
	/* The page at ITEST_RO is all zero: a range without a length */
	map.ioasid = id;
	CALL(it, ioasid_cmd_map, &map);
	check_same(it, &before);
	copy.src_ioasid = id;
	copy.dst_ioasid = id;
	CALL(it, ioasid_cmd_copy, &copy);
	check_same(it, &before);
	KUNIT_EXPECT_EQ(test, d->pages, 2ULL);
	KUNIT_EXPECT_EQ(test, space->nr_areas, 1U);
	itest_domain_check(test, d);
	/* What cannot be undone, as the header says */
	unmap.ioasid = id;
	CALL(it, ioasid_cmd_unmap, &unmap);
	KUNIT_EXPECT_EQ(test, itest_info(it).nr_mappings, 0ULL);
	itest_space_del_domain(space, d);
	ioasid_space_put(space);
}

static const struct itest_device_conf conf = { .pasid_bits = 8 };

static void devices(struct kunit *test)
{
	struct ioasid_device_attach attach = {}, again;
	struct ioasid_info before;
	struct itest_iommu *fake;
	struct device *dev[2];
	struct itest *it;
	u32 ids[2], i;

	itest_memory(test);
	fake = itest_iommu_new(test);
	for (i = 0; i < 2; i++)
		dev[i] = itest_device_new(test, fake, &conf);
	it = itest_open(test);
	for (i = 0; i < 2; i++)
		ids[i] = itest_bind_device(it, dev[i]);
	attach.ioasid = itest_alloc_space(it);
	before = itest_info(it);
	/* By the RID, a PASID of its own choice, and by another number */
	for (i = 0; i < 3; i++) {
		attach.dev_id = ids[0];
		attach.pasid = i ? IOASID_PASID_ANY : IOASID_RID;
		attach.vpasid = i == 2 ? 77 : 0;
		again = attach;
		CALL(it, ioasid_cmd_device_attach, &again);
		check_same(it, &before);
		KUNIT_EXPECT_EQ(test, atomic_read(&fake->knobs.nr_domains), 0);
	}
	/* Two at once */
	itest_put_user(test, ITEST_VEC, ids, sizeof(ids));
	attach.dev_id = 0;
	attach.nr_devices = 2;
	attach.devices = ITEST_VEC;
	CALL(it, ioasid_cmd_device_attach, &attach);
	check_same(it, &before);
	KUNIT_EXPECT_EQ(test, atomic_read(&fake->knobs.nr_domains), 0);
	KUNIT_EXPECT_EQ(test, itest_free_space(it, attach.ioasid), 0);
	for (i = 0; i < 2; i++)
		sva_remove_device(it->ctx, dev[i]);
}

static struct kunit_case ioasid_answer_cases[] = {
	KUNIT_CASE(spaces_and_mappings),
	KUNIT_CASE(devices),
	{}
};

static struct kunit_suite ioasid_answer_suite = {
	.name = "ioasid_answer",
	.test_cases = ioasid_answer_cases,
};
kunit_test_suite(ioasid_answer_suite);
