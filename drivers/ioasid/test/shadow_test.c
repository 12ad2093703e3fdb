// SPDX-License-Identifier: GPL-2.0
/*
 * Shadow spaces against a model: after every step the page tables of the shadow have
 * exactly what it and its parent map together, with the permissions of both; also
 * when the IOMMU driver fails in the middle, and when a page table is made anew.
 */
#include <linux/sizes.h>
#include "test.h"

#define PAGES	64	/* of the parent, and of the shadow */
#define RW	(IOASID_MAP_READ | IOASID_MAP_WRITE)

/**
 * struct mapping - a mapping of the model
 * @nr: number of pages; 0 if there is none
 * @to: first page of what is mapped: memory, or the parent
 * @prot: IOASID_MAP_READ, _WRITE
 */
struct mapping {
	u32 nr;
	u32 to;
	u32 prot;
};

/**
 * struct model - the model, and the objects that it describes
 * @it: the context
 * @fake: two IOMMUs
 * @dev: a device of the parent, and one of the shadow behind each IOMMU
 * @dev_id: their ids
 * @attached: whether they are attached
 * @parent: a space
 * @shadow: its shadow
 * @above: mappings of the parent, by their first page
 * @below: those of the shadow
 * @failed: number of maps that the IOMMU driver made fail
 */
struct model {
	struct itest *it;
	struct itest_iommu *fake[2];
	struct device *dev[3];
	u32 dev_id[3];
	bool attached[3];
	u32 parent;
	u32 shadow;
	struct mapping above[PAGES];
	struct mapping below[PAGES];
	u32 failed;
};

static struct model *new_model(struct kunit *test)
{
	struct model *m = kunit_kzalloc(test, sizeof(*m), GFP_KERNEL);
	struct ioasid_alloc arg = { .kind = IOASID_KIND_SHADOW };
	u32 i;

	KUNIT_ASSERT_NOT_NULL(test, m);
	itest_memory(test);
	for (i = 0; i < 2; i++)
		m->fake[i] = itest_iommu_new(test);
	for (i = 0; i < 3; i++) {
		const struct itest_device_conf conf = { .group = i };

		m->dev[i] = itest_device_new(test, m->fake[i / 2], &conf);
	}
	m->it = itest_open(test);
	for (i = 0; i < 3; i++)
		m->dev_id[i] = itest_bind_device(m->it, m->dev[i]);
	m->parent = itest_alloc_space(m->it);
	arg.parent = m->parent;
	KUNIT_ASSERT_EQ(test, ITEST_CMD(m->it, IOASID_ALLOC, &arg), 0);
	m->shadow = arg.ioasid;
	return m;
}

static void attach(struct model *m, u32 i)
{
	u32 rid = IOASID_RID;

	KUNIT_ASSERT_EQ(m->it->test,
			itest_attach(m->it, m->dev_id[i],
				     i ? m->shadow : m->parent, &rid, 0, 0), 0);
	m->attached[i] = true;
}

static void detach(struct model *m, u32 i)
{
	KUNIT_ASSERT_EQ(m->it->test, itest_detach(m->it, m->dev_id[i],
						  IOASID_RID), 0);
	m->attached[i] = false;
}

/* The mapping of the model that a page is in, or NULL; *@at is where it begins */
static struct mapping *mapping_at(struct mapping *all, u32 page, u32 *at)
{
	for (*at = page; ; --*at) {
		if (all[*at].nr > page - *at)
			return &all[*at];
		if (all[*at].nr || !*at)
			return NULL;
	}
}

static void check_page(struct kunit *test, struct model *m, u32 page, u32 i)
{
	struct itest_domain *own = itest_device_domain(m->dev[0]), *d;
	struct mapping *below, *above = NULL;
	unsigned long want = ULONG_MAX, pfn;
	u32 at, from, prot = 0;
	int has = 0;

	below = mapping_at(m->below, page, &at);
	if (below && below->to + (page - at) < PAGES)
		above = mapping_at(m->above, below->to + (page - at), &from);
	if (above)
		prot = above->prot & below->prot;
	if (prot & IOASID_MAP_READ)
		want = itest_domain_pfn(own, (u64)(below->to + page - at) <<
					PAGE_SHIFT, NULL);
	d = itest_device_domain(m->dev[i]);
	pfn = itest_domain_pfn(d, SZ_1M + ((u64)page << PAGE_SHIFT), &has);
	KUNIT_ASSERT_EQ_MSG(test, pfn, want, "page %u, device %u", page, i);
	if (want != ULONG_MAX)
		KUNIT_ASSERT_EQ(test, !!(has & IOMMU_WRITE),
				!!(prot & IOASID_MAP_WRITE));
}

static void check_model(struct kunit *test, struct model *m)
{
	u32 page, i;

	for (i = 1; i < 3; i++) {
		if (!m->attached[i])
			continue;
		for (page = 0; page < PAGES; page++)
			check_page(test, m, page, i);
		itest_domain_check(test, itest_device_domain(m->dev[i]));
	}
	itest_domain_check(test, itest_device_domain(m->dev[0]));
}

static bool is_free(struct mapping *all, u32 first, u32 nr)
{
	u32 page, at;

	for (page = first; page < first + nr; page++)
		if (mapping_at(all, page, &at))
			return false;
	return true;
}

static void random_map(struct kunit *test, struct model *m,
		       struct rnd_state *rnd, bool shadow)
{
	struct mapping *all = shadow ? m->below : m->above;
	u32 nr = 1 + itest_below(rnd, shadow ? 24 : 8);
	u32 first = itest_below(rnd, PAGES - nr + 1);
	u32 to = itest_below(rnd, PAGES - nr + 1);
	u32 prot = itest_below(rnd, 3) ? RW : IOASID_MAP_READ, i;
	bool fail = !itest_below(rnd, 8);
	int rc;

	for (i = 0; fail && i < 3; i++) {
		struct itest_domain *d = m->attached[i] ?
				itest_device_domain(m->dev[i]) : NULL;

		if (d)
			d->fail_map = 1 + itest_below(rnd, 3);
	}
	rc = itest_map_one(m->it, shadow ? m->shadow : m->parent,
			   (shadow ? SZ_1M : 0) + ((u64)first << PAGE_SHIFT),
			   (shadow ? 0 : ITEST_MEM) + ((u64)to << PAGE_SHIFT),
			   (u64)nr << PAGE_SHIFT, prot | IOASID_MAP_FIXED |
			   (shadow ? IOASID_MAP_PARENT : 0));
	for (i = 0; i < 3; i++)
		if (m->attached[i])
			itest_device_domain(m->dev[i])->fail_map = 0;
	if (!is_free(all, first, nr)) {
		KUNIT_ASSERT_EQ(test, rc, -EEXIST);
	} else if (rc) {
		KUNIT_ASSERT_TRUE(test, fail);
		KUNIT_ASSERT_EQ(test, rc, -EIO);
		m->failed++;
	} else {
		all[first] = (struct mapping) { nr, to, prot };
	}
}

static void random_unmap(struct kunit *test, struct model *m,
			 struct rnd_state *rnd, bool shadow)
{
	struct mapping *all = shadow ? m->below : m->above;
	u32 first = itest_below(rnd, PAGES);

	if (!all[first].nr)
		return;
	KUNIT_ASSERT_EQ(test, itest_unmap_one(m->it, shadow ? m->shadow : m->parent,
					      (shadow ? SZ_1M : 0) +
					      ((u64)first << PAGE_SHIFT),
					      (u64)all[first].nr << PAGE_SHIFT), 0);
	all[first].nr = 0;
}

static void never_more_than_both(struct kunit *test)
{
	struct model *m = new_model(test);
	struct rnd_state rnd;
	u32 i, k;

	itest_seed(test, &rnd);
	/* For the frames; and it has no shadows yet when it begins */
	attach(m, 0);
	for (i = 0; i < itest_rounds(20000); i++) {
		switch (itest_below(&rnd, 16)) {
		case 0:
			k = 1 + itest_below(&rnd, 2);
			if (m->attached[k])
				detach(m, k);
			else
				attach(m, k);
			break;
		case 1 ... 3:
			random_unmap(test, m, &rnd, false);
			break;
		case 4 ... 8:
			random_unmap(test, m, &rnd, true);
			break;
		case 9 ... 11:
			random_map(test, m, &rnd, false);
			break;
		default:
			random_map(test, m, &rnd, true);
		}
		check_model(test, m);
	}
	KUNIT_EXPECT_GE(test, m->failed, itest_rounds(20));
	for (i = 0; i < 3; i++)
		sva_remove_device(m->it->ctx, m->dev[i]);
}

/* What was mapped before there was a shadow, and after the last one has gone */
static void shadows_come_and_go(struct kunit *test)
{
	struct model *m = new_model(test);
	struct ioasid_alloc arg = { .kind = IOASID_KIND_SHADOW,
				    .parent = m->parent };
	u32 i, id;

	attach(m, 0);
	KUNIT_ASSERT_EQ(test, itest_free_space(m->it, m->shadow), 0);
	for (i = 0; i < 3; i++) {
		KUNIT_ASSERT_EQ(test, itest_map_one(m->it, m->parent,
						    i * PAGE_SIZE, ITEST_MEM,
						    PAGE_SIZE, RW |
						    IOASID_MAP_FIXED), 0);
		KUNIT_ASSERT_EQ(test, ITEST_CMD(m->it, IOASID_ALLOC, &arg), 0);
		id = m->shadow = arg.ioasid;
		KUNIT_ASSERT_EQ(test, itest_map_one(m->it, id, SZ_1M, 0,
						    8 * PAGE_SIZE, RW |
						    IOASID_MAP_FIXED |
						    IOASID_MAP_PARENT), 0);
		attach(m, 1);
		KUNIT_EXPECT_EQ(test, itest_device_domain(m->dev[1])->pages,
				i + 1ULL);
		ITEST_EXPECT_ERR(m->it, itest_free_space(m->it, m->parent),
				 -EBUSY, IOASID_REASON_IN_USE);
		detach(m, 1);
		KUNIT_ASSERT_EQ(test, itest_free_space(m->it, id), 0);
	}
	KUNIT_EXPECT_EQ(test, itest_info(m->it).nr_mappings, 3ULL);
	sva_remove_device(m->it->ctx, m->dev[0]);
	KUNIT_EXPECT_EQ(test, itest_free_space(m->it, m->parent), 0);
	for (i = 1; i < 3; i++)
		sva_remove_device(m->it->ctx, m->dev[i]);
}

/* The product of two numbers of the user has a limit, however little he maps */
static void slices_have_a_quota(struct kunit *test)
{
	struct model *m = new_model(test);
	const u32 nr = 1024, fixed = RW | IOASID_MAP_FIXED;
	atomic64_t *used = &m->it->ctx->used[IOASID_QUOTA_SLICES];
	u32 i;

	for (i = 0; i < nr; i++)
		KUNIT_ASSERT_EQ(test, itest_map_one(m->it, m->parent,
						    (u64)i << PAGE_SHIFT,
						    ITEST_MEM, PAGE_SIZE,
						    i ? IOASID_MAP_WRITE |
							IOASID_MAP_FIXED :
							fixed), 0);
	for (i = 0; i < nr; i++)
		KUNIT_ASSERT_EQ(test, itest_map_one(m->it, m->shadow,
						    (u64)i * SZ_4M, 0, SZ_4M,
						    fixed | IOASID_MAP_PARENT),
				0);
	KUNIT_EXPECT_EQ(test, atomic64_read(used), (s64)SZ_1M);
	ITEST_EXPECT_ERR(m->it, itest_map_one(m->it, m->shadow, (u64)nr * SZ_4M,
					      0, PAGE_SIZE,
					      fixed | IOASID_MAP_PARENT),
			 -EDQUOT, IOASID_REASON_LIMIT);
	/* The parent meets it as well, and as a whole */
	KUNIT_ASSERT_EQ(test, itest_unmap_one(m->it, m->parent, 0, PAGE_SIZE), 0);
	KUNIT_EXPECT_EQ(test, atomic64_read(used), (s64)SZ_1M - nr);
	KUNIT_ASSERT_EQ(test, itest_map_one(m->it, m->shadow, (u64)nr * SZ_4M,
					    PAGE_SIZE, PAGE_SIZE,
					    fixed | IOASID_MAP_PARENT), 0);
	ITEST_EXPECT_ERR(m->it, itest_map_one(m->it, m->parent, 0, ITEST_MEM,
					      PAGE_SIZE, fixed),
			 -EDQUOT, IOASID_REASON_LIMIT);
	KUNIT_EXPECT_EQ(test, atomic64_read(used), (s64)SZ_1M - nr + 1);
	KUNIT_ASSERT_EQ(test, itest_free_space(m->it, m->shadow), 0);
	KUNIT_EXPECT_EQ(test, atomic64_read(used), 0LL);
	for (i = 0; i < 3; i++)
		sva_remove_device(m->it->ctx, m->dev[i]);
}

static void refused(struct kunit *test)
{
	struct model *m = new_model(test);
	const u32 fixed = RW | IOASID_MAP_FIXED;
	struct ioasid_alloc arg = { .kind = IOASID_KIND_SHADOW,
				    .parent = m->shadow };
	struct ioasid_copy copy = { .flags = RW, .src_ioasid = m->shadow,
				    .dst_ioasid = m->parent,
				    .length = PAGE_SIZE };
	u32 i;

	ITEST_EXPECT_ERR(m->it, ITEST_CMD(m->it, IOASID_ALLOC, &arg), -EINVAL,
			 IOASID_REASON_KIND);
	ITEST_EXPECT_ERR(m->it, itest_map_one(m->it, m->shadow, SZ_1M, ITEST_MEM,
					      PAGE_SIZE, fixed),
			 -EINVAL, IOASID_REASON_KIND);
	ITEST_EXPECT_ERR(m->it, itest_map_one(m->it, m->parent, SZ_1M, 0,
					      PAGE_SIZE, fixed | IOASID_MAP_PARENT),
			 -EINVAL, IOASID_REASON_KIND);
	ITEST_EXPECT_ERR(m->it, itest_map_one(m->it, m->shadow, SZ_1M, 0,
					      PAGE_SIZE, IOASID_MAP_WRITE |
					      IOASID_MAP_FIXED |
					      IOASID_MAP_PARENT),
			 -EOPNOTSUPP, IOASID_REASON_PERMISSION);
	ITEST_EXPECT_ERR(m->it, itest_map_one(m->it, m->shadow, SZ_1M, 0,
					      PAGE_SIZE, fixed | IOASID_MAP_FILE |
					      IOASID_MAP_PARENT),
			 -EINVAL, IOASID_REASON_VALUE);
	KUNIT_ASSERT_EQ(test, itest_map_one(m->it, m->shadow, SZ_1M, 0, PAGE_SIZE,
					    fixed | IOASID_MAP_PARENT), 0);
	copy.src_iova = SZ_1M;
	ITEST_EXPECT_ERR(m->it, ITEST_CMD(m->it, IOASID_COPY, &copy), -EINVAL,
			 IOASID_REASON_KIND);
	KUNIT_ASSERT_EQ(test, itest_map_one(m->it, m->parent, 0, ITEST_MEM,
					    PAGE_SIZE, fixed), 0);
	copy = (struct ioasid_copy) { .flags = RW, .src_ioasid = m->parent,
				      .dst_ioasid = m->shadow,
				      .length = PAGE_SIZE };
	ITEST_EXPECT_ERR(m->it, ITEST_CMD(m->it, IOASID_COPY, &copy), -EINVAL,
			 IOASID_REASON_KIND);
	for (i = 0; i < 3; i++)
		sva_remove_device(m->it->ctx, m->dev[i]);
}

static struct kunit_case shadow_cases[] = {
	KUNIT_CASE_SLOW(never_more_than_both),
	KUNIT_CASE(shadows_come_and_go),
	KUNIT_CASE_SLOW(slices_have_a_quota),
	KUNIT_CASE(refused),
	{}
};

static struct kunit_suite shadow_suite = {
	.name = "ioasid_shadow",
	.test_cases = shadow_cases,
};
kunit_test_suite(shadow_suite);
