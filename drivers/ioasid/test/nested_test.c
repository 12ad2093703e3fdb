// SPDX-License-Identifier: GPL-2.0
/*
 * Nested spaces on the fake IOMMU: which domain is nested in which, that parents
 * outlive their children whatever is detached first, that what the user said is
 * what the driver gets, and what is left when a driver refuses. How DMA goes is
 * tested by the selftests.
 */
#include <linux/sizes.h>
#include <uapi/linux/iommufd.h>
#include "test.h"

#define ROOT	0x5000

/**
 * struct setup - a parent with a nested space, and devices
 * @it: the context
 * @fake: two IOMMUs
 * @dev: two devices behind the first one, and one behind the other
 * @dev_id: their ids
 * @parent: the parent, with four pages mapped
 * @nested: a space nested in it
 */
struct setup {
	struct itest *it;
	struct itest_iommu *fake[2];
	struct device *dev[3];
	u32 dev_id[3];
	u32 parent;
	u32 nested;
};

static int alloc_nested(struct setup *s, u32 flags, u32 *id)
{
	const struct iommu_hwpt_vtd_s1 s1 = {
		.pgtbl_addr = ROOT, .addr_width = 48,
	};
	struct ioasid_alloc arg = {
		.kind = IOASID_KIND_NESTED, .flags = flags, .parent = s->parent,
		.data_type = IOMMU_HWPT_DATA_VTD_S1, .data_len = sizeof(s1),
		.data = ITEST_VEC,
	};
	int rc;

	itest_put_user(s->it->test, ITEST_VEC, &s1, sizeof(s1));
	rc = ITEST_CMD(s->it, IOASID_ALLOC, &arg);
	*id = arg.ioasid;
	return rc;
}

static struct setup *set_up(struct kunit *test, bool no_nesting)
{
	struct setup *s = kunit_kzalloc(test, sizeof(*s), GFP_KERNEL);
	u32 i;

	KUNIT_ASSERT_NOT_NULL(test, s);
	itest_memory(test);
	for (i = 0; i < 2; i++)
		s->fake[i] = itest_iommu_new(test);
	for (i = 0; i < 3; i++) {
		const struct itest_device_conf conf = {
			.group = i, .pasid_bits = 8, .pri = true,
			.no_nesting = no_nesting,
		};

		s->dev[i] = itest_device_new(test, s->fake[i / 2], &conf);
	}
	s->it = itest_open(test);
	for (i = 0; i < 3; i++)
		s->dev_id[i] = itest_bind_device(s->it, s->dev[i]);
	s->parent = itest_alloc_kind(s->it, IOASID_KIND_MAPPED,
				     IOASID_ALLOC_NEST_PARENT);
	KUNIT_ASSERT_EQ(test, itest_map_one(s->it, s->parent, SZ_1M, ITEST_MEM,
					    4 * PAGE_SIZE, IOASID_MAP_READ |
					    IOASID_MAP_WRITE), 0);
	KUNIT_ASSERT_EQ(test, alloc_nested(s, 0, &s->nested), 0);
	return s;
}

static int attach(struct setup *s, u32 i, u32 id, u32 *pasid, u32 flags)
{
	return itest_attach(s->it, s->dev_id[i], id, pasid, 0, flags);
}

static int nr_domains(struct setup *s)
{
	return atomic_read(&s->fake[0]->knobs.nr_domains) +
	       atomic_read(&s->fake[1]->knobs.nr_domains);
}

static void remove_all(struct setup *s)
{
	u32 i;

	for (i = 0; i < 3; i++)
		sva_remove_device(s->it->ctx, s->dev[i]);
	ioasid_deferred_free_flush();
	KUNIT_EXPECT_EQ(s->it->test, nr_domains(s), 0);
}

/* One domain of the parent for each IOMMU, shared by whoever uses it */
static void shares_the_parent(struct kunit *test)
{
	struct setup *s = set_up(test, false);
	u32 rid = IOASID_RID, p = IOASID_PASID_ANY, q = IOASID_PASID_ANY, id;
	struct itest_domain *above, *d, *e;

	KUNIT_ASSERT_EQ(test, attach(s, 0, s->parent, &rid, 0), 0);
	above = itest_device_domain(s->dev[0]);
	KUNIT_ASSERT_EQ(test, attach(s, 0, s->nested, &p, 0), 0);
	d = itest_device_pasid(s->dev[0], p);
	KUNIT_ASSERT_NOT_NULL(test, d);
	KUNIT_EXPECT_PTR_EQ(test, d->parent, above);
	KUNIT_EXPECT_EQ(test, d->root, (u64)ROOT);
	KUNIT_ASSERT_EQ(test, attach(s, 1, s->nested, &rid, 0), 0);
	KUNIT_EXPECT_PTR_EQ(test, itest_device_domain(s->dev[1]), d);
	KUNIT_ASSERT_EQ(test, alloc_nested(s, 0, &id), 0);
	KUNIT_ASSERT_EQ(test, attach(s, 1, id, &q, 0), 0);
	e = itest_device_pasid(s->dev[1], q);
	KUNIT_EXPECT_PTR_NE(test, e, d);
	KUNIT_EXPECT_PTR_EQ(test, e->parent, above);
	/* Behind another IOMMU all is new, and the parent's mappings are there */
	KUNIT_ASSERT_EQ(test, attach(s, 2, s->nested, &rid, 0), 0);
	e = itest_device_domain(s->dev[2]);
	KUNIT_EXPECT_PTR_NE(test, e->parent, above);
	KUNIT_EXPECT_EQ(test, e->parent->pages, 4ULL);
	KUNIT_EXPECT_EQ(test, above->pages, 4ULL);
	KUNIT_EXPECT_EQ(test, nr_domains(s), 5);
	/* What is unmapped in the parent is flushed in both */
	KUNIT_EXPECT_EQ(test, itest_unmap_one(s->it, s->parent, SZ_1M,
					      4 * PAGE_SIZE), 0);
	KUNIT_EXPECT_EQ(test, e->parent->pages + above->pages, 0ULL);
	itest_domain_check(test, above);
	itest_domain_check(test, e->parent);
	remove_all(s);
}

/* Whatever goes first; the fake IOMMU objects to a parent freed too early */
static void parents_outlive_children(struct kunit *test)
{
	struct setup *s = set_up(test, false);
	u32 order;

	for (order = 0; order < 4; order++) {
		u32 rid = IOASID_RID, p = IOASID_PASID_ANY, id;

		KUNIT_ASSERT_EQ(test, alloc_nested(s, order & 2 ?
						   IOASID_ALLOC_FAULTS : 0,
						   &id), 0);
		KUNIT_ASSERT_EQ(test, attach(s, 0, s->parent, &rid, 0), 0);
		KUNIT_ASSERT_EQ(test, attach(s, 0, id, &p, 0), 0);
		KUNIT_EXPECT_EQ(test, itest_detach(s->it, s->dev_id[0],
						   order & 1 ? p : rid), 0);
		KUNIT_EXPECT_EQ(test, itest_detach(s->it, s->dev_id[0],
						   order & 1 ? rid : p), 0);
		/* The child may be deferred, and then so is its parent */
		KUNIT_EXPECT_EQ(test, nr_domains(s), order & 2 ? 2 : 0);
		ioasid_deferred_free_flush();
		KUNIT_EXPECT_EQ(test, nr_domains(s), 0);
		ITEST_EXPECT_ERR(s->it, itest_free_space(s->it, s->parent),
				 -EBUSY, IOASID_REASON_IN_USE);
		KUNIT_EXPECT_EQ(test, itest_free_space(s->it, id), 0);
	}
	KUNIT_EXPECT_EQ(test, itest_free_space(s->it, s->nested), 0);
	KUNIT_EXPECT_EQ(test, itest_free_space(s->it, s->parent), 0);
	remove_all(s);
}

/* A driver that refuses may have blocked the device: the old space works again */
static void restored_after_refusal(struct kunit *test)
{
	struct setup *s = set_up(test, false);
	struct itest_iommu_knobs *k = &s->fake[0]->knobs;
	u32 rid = IOASID_RID, p = IOASID_PASID_ANY;
	struct itest_domain *above, *below;

	KUNIT_ASSERT_EQ(test, attach(s, 0, s->parent, &rid, 0), 0);
	KUNIT_ASSERT_EQ(test, attach(s, 0, s->parent, &p, 0), 0);
	above = itest_device_domain(s->dev[0]);
	k->blocks_first = true;
	k->attach_err = -EINVAL;
	k->fail_attach = 1;
	ITEST_EXPECT_ERR(s->it, attach(s, 0, s->nested, &rid,
				       IOASID_ATTACH_REPLACE), -EINVAL,
			 IOASID_REASON_IOMMU);
	KUNIT_EXPECT_PTR_EQ(test, itest_device_domain(s->dev[0]), above);
	k->fail_attach = 1;
	ITEST_EXPECT_ERR(s->it, attach(s, 0, s->nested, &p,
				       IOASID_ATTACH_REPLACE), -EINVAL,
			 IOASID_REASON_IOMMU);
	KUNIT_EXPECT_PTR_EQ(test, itest_device_pasid(s->dev[0], p), above);
	/* And the other way round */
	KUNIT_ASSERT_EQ(test, attach(s, 0, s->nested, &rid,
				     IOASID_ATTACH_REPLACE), 0);
	below = itest_device_domain(s->dev[0]);
	KUNIT_EXPECT_PTR_EQ(test, below->parent, above);
	k->fail_attach = 1;
	k->attach_err = -EIO;
	ITEST_EXPECT_ERR(s->it, attach(s, 0, s->parent, &rid,
				       IOASID_ATTACH_REPLACE), -EIO,
			 IOASID_REASON_IOMMU);
	KUNIT_EXPECT_PTR_EQ(test, itest_device_domain(s->dev[0]), below);
	k->blocks_first = false;
	remove_all(s);
}

/* With page requests the old space is left first, and they still work after it */
static void replaced_with_requests(struct kunit *test)
{
	struct setup *s = set_up(test, false);
	const u64 addr = SZ_1G;
	u32 rid = IOASID_RID, from, to, i;
	struct itest_queue tq;

	from = itest_alloc_kind(s->it, IOASID_KIND_MAPPED, IOASID_ALLOC_FAULTS |
				IOASID_ALLOC_NEST_PARENT);
	KUNIT_ASSERT_EQ(test, alloc_nested(s, IOASID_ALLOC_FAULTS, &to), 0);
	itest_queue_open(s->it, &tq, &(struct ioasid_fault_queue){ .depth = 16,
			 .eventfd = -1 });
	KUNIT_ASSERT_EQ(test, itest_bind(s->it, to, 0, 0, tq.id), 0);
	KUNIT_ASSERT_EQ(test, attach(s, 0, from, &rid, 0), 0);
	for (i = 0; i < 4; i++) {
		KUNIT_ASSERT_EQ(test, attach(s, 0, i % 2 ? from : to, &rid,
					     IOASID_ATTACH_REPLACE), 0);
		itest_ask(test, s->dev[0], IOASID_RID, i, &addr, 1);
		iopf_queue_flush_dev(s->dev[0]);
		KUNIT_EXPECT_EQ(test, itest_answer(s->dev[0], i),
				i % 2 ? IOMMU_PAGE_RESP_INVALID : ITEST_WAITS);
	}
	KUNIT_EXPECT_EQ(test, itest_waiting(s->dev[0]), 0U);
	remove_all(s);
	itest_queue_close(s->it, &tq);
}

static void iommu_that_cannot_nest(struct kunit *test)
{
	struct setup *s = set_up(test, true);
	u32 rid = IOASID_RID;

	ITEST_EXPECT_ERR(s->it, attach(s, 0, s->parent, &rid, 0), -EOPNOTSUPP,
			 IOASID_REASON_FORMAT);
	ITEST_EXPECT_ERR(s->it, attach(s, 0, s->nested, &rid, 0), -EOPNOTSUPP,
			 IOASID_REASON_FORMAT);
	KUNIT_EXPECT_EQ(test, s->it->ext.dev_id, s->dev_id[0]);
	remove_all(s);
}

/* What the user said, not what stands there now */
static void data_is_kept(struct kunit *test)
{
	struct setup *s = set_up(test, false);
	const u64 junk[3] = { U64_MAX, U64_MAX, U64_MAX };
	u32 rid = IOASID_RID;

	itest_put_user(test, ITEST_VEC, junk, sizeof(junk));
	KUNIT_ASSERT_EQ(test, attach(s, 0, s->nested, &rid, 0), 0);
	KUNIT_EXPECT_EQ(test, itest_device_domain(s->dev[0])->root, (u64)ROOT);
	remove_all(s);
}

static void nothing_is_left(struct kunit *test)
{
	struct setup *s = set_up(test, false);
	u32 rid = IOASID_RID, i;

	/* Neither allocation fails without a trace of the other */
	for (i = 1; i <= 2; i++) {
		s->fake[0]->knobs.fail_alloc = i == 1 ? -ENOSPC : 0;
		s->fake[0]->knobs.fail_attach = i == 2;
		s->fake[0]->knobs.attach_err = -EIO;
		ITEST_EXPECT_ERR(s->it, attach(s, 0, s->nested, &rid, 0),
				 i == 1 ? -ENOSPC : -EIO, IOASID_REASON_IOMMU);
		KUNIT_EXPECT_EQ(test, nr_domains(s), 0);
	}
	KUNIT_EXPECT_EQ(test, atomic64_read(&s->it->ctx->user->used[IOASID_QUOTA_DOMAINS]),
			0LL);
	KUNIT_ASSERT_EQ(test, attach(s, 0, s->nested, &rid, 0), 0);
	remove_all(s);
}

static struct kunit_case nested_cases[] = {
	KUNIT_CASE(shares_the_parent),
	KUNIT_CASE(parents_outlive_children),
	KUNIT_CASE(restored_after_refusal),
	KUNIT_CASE(replaced_with_requests),
	KUNIT_CASE(iommu_that_cannot_nest),
	KUNIT_CASE(data_is_kept),
	KUNIT_CASE(nothing_is_left),
	{}
};

static struct kunit_suite nested_suite = {
	.name = "ioasid_nested",
	.test_cases = nested_cases,
};
kunit_test_suite(nested_suite);
