// SPDX-License-Identifier: GPL-2.0
/*
 * Domains: the reserved regions of a group, filling a new domain completely or not
 * at all, and the usable IOVA of a device that is not attached. Nothing is attached
 * to a domain here.
 */
#include <linux/mman.h>
#include <linux/sizes.h>
#include "test.h"

#define RW	(IOASID_MAP_READ | IOASID_MAP_WRITE)

static const struct itest_device_conf plain = { .pasid_bits = 8, .pri = true };

/**
 * struct setup - a device that is bound to a context, and a space
 * @it: the context
 * @fake: the IOMMU
 * @dev: the device
 * @idev: the same as an object of the context
 * @space: the space; referenced until end_setup()
 * @id: its id
 */
struct setup {
	struct itest *it;
	struct itest_iommu *fake;
	struct device *dev;
	struct ioasid_device *idev;
	struct ioasid_space *space;
	u32 id;
};

static void new_setup(struct kunit *test, struct setup *s,
		      const struct itest_device_conf *conf, u32 flags)
{
	struct ioasid_extack extack;
	u32 dev_id;

	itest_memory(test);
	s->fake = itest_iommu_new(test);
	s->dev = itest_device_new(test, s->fake, conf);
	s->it = itest_open(test);
	dev_id = itest_bind_device(s->it, s->dev);
	s->id = itest_alloc_kind(s->it, IOASID_KIND_MAPPED, flags);
	ioasid_extack_init(&extack);
	scoped_guard(mutex, &s->it->ctx->lock)
		s->idev = ioasid_device_by_id(s->it->ctx, dev_id, &extack);
	KUNIT_ASSERT_FALSE(test, IS_ERR(s->idev));
	s->space = itest_space_get(s->it, s->id);
}

static void end_setup(struct setup *s)
{
	ioasid_space_put(s->space);
	sva_remove_device(s->it->ctx, s->dev);
}

static struct ioasid_domain *create(struct setup *s,
				    struct ioasid_extack *extack)
{
	struct ioasid_domain *d;

	ioasid_extack_init(extack);
	down_write(&s->space->rwsem);
	d = ioasid_domain_create(s->space, s->dev, NULL, extack);
	up_write(&s->space->rwsem);
	return d;
}

static void drop(struct setup *s, struct ioasid_domain *d)
{
	down_write(&s->space->rwsem);
	ioasid_domain_unfill(s->space, d);
	up_write(&s->space->rwsem);
	ioasid_domain_put(d);
}

/* Rounded to pages, sorted or not; without those that only the firmware needs */
static void reserved_regions(struct kunit *test)
{
	static const struct itest_device_conf conf = { .resv = {
		{ 0xfee00000, SZ_1M, IOMMU_RESV_MSI },
		{ SZ_4M, SZ_1M, IOMMU_RESV_DIRECT_RELAXABLE },
		{ SZ_1M + 0xfff, 2, IOMMU_RESV_RESERVED },
		{ SZ_8M, 1, IOMMU_RESV_RESERVED },
	} };
	struct ioasid_iova_range want[] = {
		{ 0xfee00000, 0xfeefffff }, { SZ_1M, SZ_1M + SZ_8K - 1 },
		{ SZ_8M, SZ_8M + SZ_4K - 1 },
	};
	struct ioasid_attachment *att;
	struct ioasid_extack extack;
	struct setup s;
	u32 i, k, found = 0;

	new_setup(test, &s, &conf, 0);
	ioasid_extack_init(&extack);
	scoped_guard(mutex, &s.idev->group->lock)
		att = ioasid_attachment_alloc(s.idev->group, &extack);
	KUNIT_ASSERT_NOT_NULL(test, att);
	KUNIT_EXPECT_EQ(test, att->regions->nr, (u32)ARRAY_SIZE(want));
	KUNIT_EXPECT_PTR_EQ(test, att->group, s.idev->group);
	for (i = 0; i < ARRAY_SIZE(want); i++)
		for (k = 0; k < att->regions->nr; k++)
			found += !memcmp(&want[i], &att->regions->range[k],
					 sizeof(want[i]));
	KUNIT_EXPECT_EQ(test, found, (u32)ARRAY_SIZE(want));
	ioasid_attachment_free(att);
	end_setup(&s);
}

/* A new domain has all mappings, or creating it fails */
static void filled_or_none(struct kunit *test)
{
	struct ioasid_extack extack;
	struct ioasid_domain *d;
	struct setup s;
	u32 i;

	new_setup(test, &s, &plain, 0);
	for (i = 0; i < 3; i++)
		KUNIT_ASSERT_EQ(test, itest_map_one(s.it, s.id, i * SZ_1G,
						    ITEST_MEM, SZ_16K, RW), 0);
	s.fake->knobs.fail_alloc = -ENOSPC;
	d = create(&s, &extack);
	KUNIT_EXPECT_EQ(test, PTR_ERR(d), (long)-ENOSPC);
	KUNIT_EXPECT_EQ(test, extack.code, (u32)IOASID_REASON_IOMMU);
	s.fake->knobs.fail_alloc = 0;
	for (i = 1; i <= 3; i++) {
		s.fake->knobs.fail_map = i;
		d = create(&s, &extack);
		KUNIT_EXPECT_EQ(test, PTR_ERR(d), (long)-EIO);
		KUNIT_EXPECT_EQ(test, extack.code, (u32)IOASID_REASON_IOMMU);
		KUNIT_EXPECT_EQ(test, atomic_read(&s.fake->knobs.nr_domains), 0);
	}
	s.fake->knobs.fail_map = 0;
	d = create(&s, &extack);
	KUNIT_ASSERT_FALSE(test, IS_ERR(d));
	KUNIT_EXPECT_EQ(test, to_itest_domain(d->domain)->pages, 12ULL);
	KUNIT_EXPECT_EQ(test, d->users, 0U);
	/* Not in the list of the space yet */
	KUNIT_EXPECT_EQ(test, s.space->nr_domains, 0U);
	drop(&s, d);
	KUNIT_EXPECT_EQ(test, atomic_read(&s.fake->knobs.nr_domains), 0);
	end_setup(&s);
}

/* Only domains of a space with page requests have a handler */
static void takes_faults(struct kunit *test)
{
	struct ioasid_extack extack;
	struct ioasid_domain *d;
	struct setup s;
	u32 other;

	new_setup(test, &s, &plain, IOASID_ALLOC_FAULTS);
	d = create(&s, &extack);
	KUNIT_ASSERT_FALSE(test, IS_ERR(d));
	KUNIT_EXPECT_NOT_NULL(test, d->domain->iopf_handler);
	drop(&s, d);
	ioasid_space_put(s.space);
	other = itest_alloc_space(s.it);
	s.space = itest_space_get(s.it, other);
	d = create(&s, &extack);
	KUNIT_ASSERT_FALSE(test, IS_ERR(d));
	KUNIT_EXPECT_NULL(test, d->domain->iopf_handler);
	drop(&s, d);
	end_setup(&s);
}

/* An empty domain always accepts it, so it is only asked if the device supports it */
static void enforced_where_it_can_be(struct kunit *test)
{
	struct ioasid_extack extack;
	struct ioasid_domain *d;
	struct device *strict;
	struct setup s;

	new_setup(test, &s, &plain, 0);
	s.fake->knobs.enforce = true;
	d = create(&s, &extack);
	KUNIT_ASSERT_FALSE(test, IS_ERR(d));
	KUNIT_EXPECT_FALSE(test, d->enforced);
	KUNIT_EXPECT_TRUE(test, ioasid_domain_suits(d, s.dev));
	strict = itest_device_new(test, s.fake, &(struct itest_device_conf) {
		.group = 1, .enforce = true });
	KUNIT_EXPECT_FALSE(test, ioasid_domain_suits(d, strict));
	drop(&s, d);
	ioasid_extack_init(&extack);
	down_write(&s.space->rwsem);
	d = ioasid_domain_create(s.space, strict, NULL, &extack);
	up_write(&s.space->rwsem);
	KUNIT_ASSERT_FALSE(test, IS_ERR(d));
	KUNIT_EXPECT_TRUE(test, d->enforced);
	KUNIT_EXPECT_TRUE(test, ioasid_domain_suits(d, strict));
	KUNIT_EXPECT_TRUE(test, ioasid_domain_suits(d, s.dev));
	drop(&s, d);
	end_setup(&s);
}

/* The same ranges before and after the attach; the query leaves nothing behind */
static void ranges_of_a_group(struct kunit *test)
{
	static const struct itest_device_conf conf = { .resv = {
		{ SZ_1M, SZ_64K, IOMMU_RESV_RESERVED },
	} };
	static const struct ioasid_iova_range want[] = {
		{ 0, SZ_1M - 1 }, { SZ_1M + SZ_64K, SZ_4G - 1 },
	};
	struct ioasid_iova_range *got;
	struct ioasid_extack extack;
	u32 rid = IOASID_RID, nr = 0, i;
	struct setup s;

	new_setup(test, &s, &conf, 0);
	s.fake->knobs.aperture_end = SZ_4G - 1;
	for (i = 0; i < 2; i++) {
		ioasid_extack_init(&extack);
		scoped_guard(mutex, &s.it->ctx->lock)
			got = ioasid_group_ranges(s.idev, &nr, &extack);
		KUNIT_ASSERT_FALSE(test, IS_ERR(got));
		KUNIT_ASSERT_EQ(test, nr, (u32)ARRAY_SIZE(want));
		KUNIT_EXPECT_MEMEQ(test, got, want, sizeof(want));
		kvfree(got);
		KUNIT_EXPECT_EQ(test, atomic_read(&s.fake->knobs.nr_domains), (int)i);
		if (!i)
			KUNIT_ASSERT_EQ(test, itest_attach(s.it, s.idev->id, s.id,
							   &rid, 0, 0), 0);
	}
	KUNIT_EXPECT_EQ(test, itest_detach(s.it, s.idev->id, IOASID_RID), 0);
	s.fake->knobs.fail_alloc = -ENODEV;
	ioasid_extack_init(&extack);
	scoped_guard(mutex, &s.it->ctx->lock)
		got = ioasid_group_ranges(s.idev, &nr, &extack);
	KUNIT_EXPECT_EQ(test, PTR_ERR(got), (long)-ENODEV);
	KUNIT_EXPECT_EQ(test, extack.code, (u32)IOASID_REASON_IOMMU);
	end_setup(&s);
}

static struct kunit_case ioasid_domain_cases[] = {
	KUNIT_CASE(reserved_regions),
	KUNIT_CASE(filled_or_none),
	KUNIT_CASE(takes_faults),
	KUNIT_CASE(enforced_where_it_can_be),
	KUNIT_CASE(ranges_of_a_group),
	{}
};

static struct kunit_suite ioasid_domain_suite = {
	.name = "ioasid_domain",
	.test_cases = ioasid_domain_cases,
};
kunit_test_suite(ioasid_domain_suite);
