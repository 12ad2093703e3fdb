// SPDX-License-Identifier: GPL-2.0
/*
 * The table of attachments, (RID | PASID) -> space, of devices with and without a
 * shared group: attached, joined, moved and detached in any order, against a
 * model, while the IOMMU driver fails at random. device_test.c tests RIDs and two
 * contexts; this file tests PASIDs and errors.
 */
#include <linux/pm_domain.h>
#include <linux/pm_runtime.h>
#include <linux/sizes.h>
#include "test.h"

#define NR_DEVICES	3
#define NR_SPACES	3
#define NR_KEYS		4	/* the RID, and three PASIDs */
#define NOWHERE		(-1)
#define RW		(IOASID_MAP_READ | IOASID_MAP_WRITE)

/* Two siblings, and one behind another unit */
static const struct itest_device_conf confs[NR_DEVICES] = {
	{ .unit = 0, .group = 0, .pasid_bits = 8 },
	{ .unit = 0, .group = 0, .pasid_bits = 8 },
	{ .unit = 1, .group = 1, .pasid_bits = 8 },
};

/**
 * struct table - the model, and the objects that it describes
 * @it: the context
 * @fake: the IOMMU
 * @dev: devices
 * @dev_id: their ids
 * @space: spaces; the first one has a mapping
 * @key: IOASID_RID and PASIDs
 * @at: space that a device is attached to by a key
 * @failed: number of attaches that the IOMMU driver made fail
 */
struct table {
	struct itest *it;
	struct itest_iommu *fake;
	struct device *dev[NR_DEVICES];
	u32 dev_id[NR_DEVICES];
	u32 space[NR_SPACES];
	u32 key[NR_KEYS];
	int at[NR_DEVICES][NR_KEYS];
	u32 failed;
};

static struct table *new_table(struct kunit *test)
{
	struct table *t = kunit_kzalloc(test, sizeof(*t), GFP_KERNEL);
	u32 i, k;

	KUNIT_ASSERT_NOT_NULL(test, t);
	itest_memory(test);
	t->fake = itest_iommu_new(test);
	for (i = 0; i < NR_DEVICES; i++)
		t->dev[i] = itest_device_new(test, t->fake, &confs[i]);
	t->it = itest_open(test);
	for (i = 0; i < NR_DEVICES; i++) {
		t->dev_id[i] = itest_bind_device(t->it, t->dev[i]);
		for (k = 0; k < NR_KEYS; k++)
			t->at[i][k] = NOWHERE;
	}
	for (i = 0; i < NR_SPACES; i++)
		t->space[i] = itest_alloc_space(t->it);
	KUNIT_ASSERT_EQ(test, itest_map_one(t->it, t->space[0], SZ_1M, ITEST_MEM,
					    SZ_16K, RW), 0);
	KUNIT_ASSERT_EQ(test, itest_pasid_alloc(t->it, t->dev_id[0],
						NR_KEYS - 1, &t->key[1]), 0);
	return t;
}

static struct itest_domain *domain_of(struct table *t, u32 i, u32 k)
{
	return k ? itest_device_pasid(t->dev[i], t->key[k]) :
		   itest_device_domain(t->dev[i]);
}

/* The space of a device's group by a key, and the number of its devices there */
static int group_at(struct table *t, u32 i, u32 k, u32 *users)
{
	int at = NOWHERE;
	u32 n;

	*users = 0;
	for (n = 0; n < NR_DEVICES; n++)
		if (confs[n].group == confs[i].group && t->at[n][k] != NOWHERE) {
			at = t->at[n][k];
			++*users;
		}
	return at;
}

static bool unit_has(struct table *t, u32 unit, int s)
{
	u32 i, k, users;

	for (i = 0; i < NR_DEVICES; i++)
		for (k = 0; k < NR_KEYS; k++)
			if (confs[i].unit == unit &&
			    group_at(t, i, k, &users) == s)
				return true;
	return false;
}

/* A space has one page table for each unit with a device that is attached to it */
static void check_domains(struct kunit *test, struct table *t)
{
	struct itest_domain *of[2][NR_SPACES] = {}, *d;
	u32 i, k, users, unit, nr = 0;
	int s;

	for (i = 0; i < NR_DEVICES; i++)
		for (k = 0; k < NR_KEYS; k++) {
			d = domain_of(t, i, k);
			s = group_at(t, i, k, &users);
			unit = confs[i].unit;
			KUNIT_ASSERT_EQ_MSG(test, !d, s == NOWHERE,
					    "device %u, key %u", i, k);
			if (!d)
				continue;
			if (!of[unit][s])
				of[unit][s] = d;
			KUNIT_ASSERT_PTR_EQ(test, d, of[unit][s]);
			KUNIT_ASSERT_EQ(test, d->pages, s ? 0ULL : 4ULL);
		}
	for (unit = 0; unit < 2; unit++)
		for (s = 0; s < NR_SPACES; s++) {
			nr += !!of[unit][s];
			for (k = 0; k < NR_SPACES; k++)
				KUNIT_ASSERT_TRUE(test, k == s || !of[unit][s] ||
						  of[unit][k] != of[unit][s]);
		}
	KUNIT_ASSERT_EQ(test, atomic_read(&t->fake->knobs.nr_domains), (int)nr);
}

static void check_spaces(struct kunit *test, struct table *t)
{
	u32 i, k, s;

	for (s = 0; s < NR_SPACES; s++) {
		struct ioasid_space_info info = { .ioasid = t->space[s] };
		u32 nr = 0;

		for (i = 0; i < NR_DEVICES; i++)
			for (k = 0; k < NR_KEYS; k++)
				nr += t->at[i][k] == (int)s;
		KUNIT_ASSERT_EQ(test, ITEST_CMD(t->it, IOASID_SPACE_INFO, &info),
				0);
		KUNIT_ASSERT_EQ(test, info.nr_attachments, nr);
		KUNIT_ASSERT_EQ(test, info.nr_domains,
				(u32)unit_has(t, 0, s) + unit_has(t, 1, s));
	}
}

/* The expected result; @code is the reason of an error */
static int model_attach(struct table *t, u32 i, u32 k, int s, bool replace,
			u32 *code)
{
	struct itest_iommu_knobs *knobs = &t->fake->knobs;
	int own = t->at[i][k], rc = 0, at;
	u32 users;

	at = group_at(t, i, k, &users);
	*code = IOASID_REASON_SIBLING;
	if (own != NOWHERE && !replace) {
		*code = IOASID_REASON_ATTACHED;
		return -EBUSY;
	}
	if (at == s)
		return 0;
	if (own == NOWHERE ? users : users > 1)
		return -EBUSY;
	if (knobs->fail_attach)
		rc = knobs->attach_err;
	else if (!unit_has(t, confs[i].unit, s))
		rc = knobs->fail_alloc;
	*code = rc == -EBUSY ? IOASID_REASON_RESET : IOASID_REASON_IOMMU;
	return rc;
}

static void random_attach(struct kunit *test, struct table *t,
			  struct rnd_state *rnd)
{
	u32 i = itest_below(rnd, NR_DEVICES), k = itest_below(rnd, NR_KEYS), code;
	struct itest_iommu_knobs *knobs = &t->fake->knobs;
	int s = itest_below(rnd, NR_SPACES), want, rc;
	bool replace = itest_below(rnd, 2);
	u32 key = t->key[k];

	/* Fails for the first of two siblings, or only for the second */
	if (!itest_below(rnd, 6)) {
		knobs->fail_attach = 1 + (!confs[i].group && itest_below(rnd, 2));
		knobs->attach_err = itest_below(rnd, 2) ? -EIO : -EBUSY;
	} else if (!itest_below(rnd, 8)) {
		knobs->fail_alloc = -ENOSPC;
	}
	want = model_attach(t, i, k, s, replace, &code);
	rc = itest_attach(t->it, t->dev_id[i], t->space[s], &key, 0,
			  replace ? IOASID_ATTACH_REPLACE : 0);
	knobs->fail_attach = 0;
	knobs->fail_alloc = 0;
	KUNIT_ASSERT_EQ_MSG(test, rc, want, "%s", t->it->ext.msg);
	if (rc) {
		KUNIT_ASSERT_EQ_MSG(test, t->it->ext.code, code, "%s",
				    t->it->ext.msg);
		t->failed += code == IOASID_REASON_IOMMU;
		return;
	}
	KUNIT_ASSERT_EQ(test, key, t->key[k]);
	t->at[i][k] = s;
}

static void random_detach(struct kunit *test, struct table *t,
			  struct rnd_state *rnd)
{
	u32 i = itest_below(rnd, NR_DEVICES), k = itest_below(rnd, NR_KEYS), n;
	bool attached = t->at[i][k] != NOWHERE;
	u32 users = 0;
	int rc;

	for (n = 0; n < NR_DEVICES; n++)
		users += k && t->at[n][k] != NOWHERE;
	if (k && users) {
		/* Whoever uses it, it cannot be freed */
		ITEST_EXPECT_ERR(t->it, itest_pasid_free(t->it, 1, &t->key[k]),
				 -EBUSY, IOASID_REASON_IN_USE);
	}
	rc = itest_detach(t->it, t->dev_id[i], t->key[k]);
	KUNIT_ASSERT_EQ(test, rc, attached ? 0 : -ENOENT);
	t->at[i][k] = NOWHERE;
}

static void random_table(struct kunit *test)
{
	struct table *t = new_table(test);
	struct rnd_state rnd;
	u32 i;

	itest_seed(test, &rnd);
	for (i = 0; i < itest_rounds(3000); i++) {
		if (itest_below(&rnd, 8) < 5)
			random_attach(test, t, &rnd);
		else
			random_detach(test, t, &rnd);
		check_domains(test, t);
		check_spaces(test, t);
	}
	KUNIT_EXPECT_GE(test, t->failed, itest_rounds(5));
	for (i = 0; i < NR_DEVICES; i++)
		sva_remove_device(t->it->ctx, t->dev[i]);
	memset(t->at, 0xff, sizeof(t->at));
	check_domains(test, t);
	KUNIT_EXPECT_EQ(test, itest_pasid_free(t->it, NR_KEYS - 1, &t->key[1]),
			0);
}

/* Siblings share a PASID under two numbers, and it lives until the last detach */
static void siblings_share(struct kunit *test)
{
	u32 a = IOASID_PASID_ANY, b, foreign = IOASID_PASID_ANY;
	struct table *t = new_table(test);
	struct ioasid_attach_params params = {
		.owner = "test", .unsafe_interrupts = true,
	};
	struct ioasid_extack extack;
	struct itest *other;

	KUNIT_ASSERT_EQ(test, itest_attach(t->it, t->dev_id[0], t->space[0], &a,
					   10, 0), 0);
	b = a;
	ITEST_EXPECT_ERR(t->it, itest_attach(t->it, t->dev_id[0], t->space[0],
					     &b, 11, 0), -EBUSY,
			 IOASID_REASON_ATTACHED);
	KUNIT_ASSERT_EQ(test, itest_attach(t->it, t->dev_id[1], t->space[0], &b,
					   20, 0), 0);
	KUNIT_EXPECT_EQ(test, itest_detach(t->it, t->dev_id[0], 10), 0);
	KUNIT_EXPECT_NOT_NULL(test, itest_device_pasid(t->dev[0], a));
	KUNIT_EXPECT_EQ(test, itest_info(t->it).nr_pasids, (u32)NR_KEYS);
	KUNIT_EXPECT_EQ(test, itest_detach(t->it, t->dev_id[1], 20), 0);
	KUNIT_EXPECT_NULL(test, itest_device_pasid(t->dev[0], a));
	KUNIT_EXPECT_EQ(test, itest_info(t->it).nr_pasids, NR_KEYS - 1U);
	/* The RID of the group belongs to one context at a time */
	a = IOASID_RID;
	KUNIT_ASSERT_EQ(test, itest_attach(t->it, t->dev_id[0], t->space[0], &a,
					   0, 0), 0);
	other = itest_open(test);
	params.ioasid = itest_alloc_space(other);
	ioasid_extack_init(&extack);
	KUNIT_EXPECT_EQ(test, sva_register_device_to_pasid(other->ctx,
							   IOASID_RID,
							   t->dev[1], &params,
							   &extack), -EBUSY);
	KUNIT_EXPECT_EQ(test, extack.code, (u32)IOASID_REASON_OWNER);
	/* Its PASIDs do not, since they are allocated from one pool */
	ioasid_extack_init(&extack);
	params.pasid = &foreign;
	KUNIT_EXPECT_EQ(test, sva_register_device_to_pasid(other->ctx,
							   IOASID_PASID_ANY,
							   t->dev[1], &params,
							   &extack), 0);
	KUNIT_EXPECT_NE(test, foreign, IOASID_PASID_ANY);
	KUNIT_EXPECT_PTR_NE(test, itest_device_pasid(t->dev[1], foreign),
			    itest_device_domain(t->dev[0]));
	sva_remove_device(other->ctx, t->dev[1]);
	KUNIT_EXPECT_NULL(test, itest_device_pasid(t->dev[1], foreign));
	for (b = 0; b < NR_DEVICES; b++)
		sva_remove_device(t->it->ctx, t->dev[b]);
}

/* A driver that refuses may have blocked the device: the old space works again */
static void old_space_after_refusal(struct kunit *test)
{
	struct table *t = new_table(test);
	struct itest_iommu_knobs *knobs = &t->fake->knobs;
	struct itest_domain *d;
	u32 k, key;

	knobs->blocks_first = true;
	knobs->attach_err = -EIO;
	for (k = 0; k < 2; k++) {
		key = t->key[k];
		KUNIT_ASSERT_EQ(test, itest_attach(t->it, t->dev_id[2],
						   t->space[0], &key, 0, 0), 0);
		d = domain_of(t, 2, k);
		knobs->fail_attach = 1;
		ITEST_EXPECT_ERR(t->it, itest_attach(t->it, t->dev_id[2],
						     t->space[1], &key, 0,
						     IOASID_ATTACH_REPLACE),
				 -EIO, IOASID_REASON_IOMMU);
		KUNIT_EXPECT_PTR_EQ(test, domain_of(t, 2, k), d);
		/* Not when the driver is not asked: of a reset, it would block */
		knobs->fail_attach = 1;
		knobs->attach_err = -EBUSY;
		knobs->nr_attach = 0;
		knobs->blocks_first = false;
		ITEST_EXPECT_ERR(t->it, itest_attach(t->it, t->dev_id[2],
						     t->space[1], &key, 0,
						     IOASID_ATTACH_REPLACE),
				 -EBUSY, IOASID_REASON_RESET);
		KUNIT_EXPECT_EQ(test, knobs->nr_attach, 1U);
		knobs->blocks_first = true;
		knobs->attach_err = -EIO;
	}
	knobs->blocks_first = false;
	for (k = 0; k < NR_DEVICES; k++)
		sva_remove_device(t->it->ctx, t->dev[k]);
}

/* A move affects the sibling's number for the PASID, too; a wrong PASID fails */
static void replaced_by_number(struct kunit *test)
{
	struct table *t = new_table(test);
	u32 a = t->key[1], b = t->key[2], any = IOASID_PASID_ANY, i;
	struct itest_domain *d;

	KUNIT_ASSERT_EQ(test, itest_attach(t->it, t->dev_id[2], t->space[0], &a,
					   30, 0), 0);
	d = itest_device_pasid(t->dev[2], a);
	ITEST_EXPECT_ERR(t->it, itest_attach(t->it, t->dev_id[2], t->space[1],
					     &b, 30, IOASID_ATTACH_REPLACE),
			 -EINVAL, IOASID_REASON_VALUE);
	KUNIT_EXPECT_PTR_EQ(test, itest_device_pasid(t->dev[2], a), d);
	KUNIT_ASSERT_EQ(test, itest_attach(t->it, t->dev_id[2], t->space[1], &any,
					   30, IOASID_ATTACH_REPLACE), 0);
	KUNIT_EXPECT_EQ(test, any, a);
	KUNIT_EXPECT_PTR_NE(test, itest_device_pasid(t->dev[2], a), d);
	/* Without an attachment to replace, it is attached */
	any = IOASID_PASID_ANY;
	KUNIT_ASSERT_EQ(test, itest_attach(t->it, t->dev_id[2], t->space[0], &any,
					   31, IOASID_ATTACH_REPLACE), 0);
	for (i = 0; i < NR_DEVICES; i++)
		sva_remove_device(t->it->ctx, t->dev[i]);
	KUNIT_EXPECT_EQ(test, itest_info(t->it).nr_pasids, NR_KEYS - 1U);
}

/* A mapping collides with a reserved region of the sibling or of the new device */
static void collisions(struct kunit *test)
{
	static const struct itest_device_conf conf = {
		.group = 2, .pasid_bits = 8,
		.resv = { { SZ_1M + SZ_4K, SZ_4K, IOMMU_RESV_RESERVED } },
	};
	struct table *t = new_table(test);
	struct device *dev = itest_device_new(test, t->fake, &conf);
	u32 id = itest_bind_device(t->it, dev), rid = IOASID_RID, i, any;

	ITEST_EXPECT_ERR(t->it, itest_attach(t->it, id, t->space[0], &rid, 0, 0),
			 -EADDRINUSE, IOASID_REASON_RESERVED);
	any = IOASID_PASID_ANY;
	ITEST_EXPECT_ERR(t->it, itest_attach(t->it, id, t->space[0], &any, 0, 0),
			 -EADDRINUSE, IOASID_REASON_RESERVED);
	/* Its PASID was freed again */
	KUNIT_EXPECT_EQ(test, itest_info(t->it).nr_pasids, NR_KEYS - 1U);
	KUNIT_EXPECT_EQ(test, itest_attach(t->it, id, t->space[1], &rid, 0, 0), 0);
	ITEST_EXPECT_ERR(t->it, itest_attach(t->it, id, t->space[0], &rid, 0,
					     IOASID_ATTACH_REPLACE),
			 -EADDRINUSE, IOASID_REASON_RESERVED);
	KUNIT_EXPECT_NOT_NULL(test, itest_device_domain(dev));
	sva_remove_device(t->it->ctx, dev);
	for (i = 0; i < NR_DEVICES; i++)
		sva_remove_device(t->it->ctx, t->dev[i]);
}

static int no_resume(struct device *dev)
{
	return -EIO;
}

static struct dev_pm_domain asleep = {
	.ops = { .runtime_resume = no_resume },
};

/* A device that cannot be resumed is not attached, but it is detached */
static void sleeping_device(struct kunit *test)
{
	struct table *t;
	u32 rid = IOASID_RID, i;

	if (!IS_ENABLED(CONFIG_PM))
		kunit_skip(test, "devices never sleep without CONFIG_PM");
	t = new_table(test);
	KUNIT_ASSERT_EQ(test, itest_attach(t->it, t->dev_id[0], t->space[0],
					   &rid, 0, 0), 0);
	for (i = 0; i < NR_DEVICES; i += 2) {
		dev_pm_domain_set(t->dev[i], &asleep);
		pm_runtime_set_suspended(t->dev[i]);
		pm_runtime_enable(t->dev[i]);
	}
	ITEST_EXPECT_ERR(t->it, itest_attach(t->it, t->dev_id[2], t->space[0],
					     &rid, 0, 0), -EIO,
			 IOASID_REASON_OTHER);
	KUNIT_EXPECT_NULL(test, itest_device_domain(t->dev[2]));
	KUNIT_EXPECT_EQ(test, itest_detach(t->it, t->dev_id[0], IOASID_RID), 0);
	KUNIT_EXPECT_NULL(test, itest_device_domain(t->dev[0]));
	for (i = 0; i < NR_DEVICES; i += 2) {
		pm_runtime_disable(t->dev[i]);
		dev_pm_domain_set(t->dev[i], NULL);
	}
	for (i = 0; i < NR_DEVICES; i++)
		sva_remove_device(t->it->ctx, t->dev[i]);
}

static struct kunit_case ioasid_attach_cases[] = {
	KUNIT_CASE_SLOW(random_table),
	KUNIT_CASE(siblings_share),
	KUNIT_CASE(old_space_after_refusal),
	KUNIT_CASE(replaced_by_number),
	KUNIT_CASE(collisions),
	KUNIT_CASE(sleeping_device),
	{}
};

static struct kunit_suite ioasid_attach_suite = {
	.name = "ioasid_attach",
	.test_cases = ioasid_attach_cases,
};
kunit_test_suite(ioasid_attach_suite);
