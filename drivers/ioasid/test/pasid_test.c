// SPDX-License-Identifier: GPL-2.0
/*
 * PASIDs: allocated one by one and several at once, freed and attached by two
 * contexts in any order, against a table of owners. No PASID is allocated twice or
 * freed while it is attached, and at the end all are in the pool and nothing is
 * charged.
 */
#include <linux/cred.h>
#include <linux/user_namespace.h>
#include "test.h"

#define NR_CTX	2
#define BITS	6
#define NR	(1 << BITS)
#define FREE	(-1)
#define OTHERS	(-2)	/* of the machine that the test runs on */

static const struct itest_device_conf conf = { .pasid_bits = BITS };
static const struct itest_device_conf wide = { .group = 1, .pasid_bits = 16 };

/**
 * struct pool - the owners of all PASIDs
 * @it: contexts
 * @dev: a device of each context
 * @dev_id: their ids
 * @space: a space of each context
 * @owner: context, FREE or OTHERS
 * @automatic: allocated by an attach
 * @attached: it is attached
 */
struct pool {
	struct itest *it[NR_CTX];
	struct device *dev[NR_CTX];
	u32 dev_id[NR_CTX];
	u32 space[NR_CTX];
	int owner[NR];
	bool automatic[NR];
	bool attached[NR];
};

static struct pool *new_pool(struct kunit *test)
{
	struct pool *p = kunit_kzalloc(test, sizeof(*p), GFP_KERNEL);
	struct itest_device_conf c = conf;
	struct itest_iommu *fake;
	u32 i;

	KUNIT_ASSERT_NOT_NULL(test, p);
	itest_memory(test);
	fake = itest_iommu_new(test);
	for (i = 0; i < NR_CTX; i++) {
		c.group = i;
		p->dev[i] = itest_device_new(test, fake, &c);
		p->it[i] = itest_open(test);
		p->dev_id[i] = itest_bind_device(p->it[i], p->dev[i]);
		p->space[i] = itest_alloc_space(p->it[i]);
	}
	return p;
}

/* A PASID that cannot be allocated now belongs to someone else */
static void find_others(struct kunit *test, struct pool *p)
{
	u32 i, got[NR], nr = 0;

	for (i = 0; i < NR; i++)
		p->owner[i] = OTHERS;
	while (!itest_pasid_alloc(p->it[0], p->dev_id[0], 1, &got[nr])) {
		KUNIT_ASSERT_LT(test, got[nr], (u32)NR);
		KUNIT_ASSERT_EQ(test, p->owner[got[nr]], OTHERS);
		p->owner[got[nr++]] = FREE;
	}
	KUNIT_ASSERT_EQ(test, p->it[0]->ext.code, (u32)IOASID_REASON_LIMIT);
	KUNIT_ASSERT_GT(test, nr, 20U);
	KUNIT_ASSERT_EQ(test, p->owner[0], OTHERS);
	KUNIT_ASSERT_EQ(test, itest_pasid_free(p->it[0], nr, got), 0);
}

static u32 how_many(struct pool *p, int owner)
{
	u32 i, nr = 0;

	for (i = 0; i < NR; i++)
		nr += p->owner[i] == owner;
	return nr;
}

static void got_one(struct kunit *test, struct pool *p, u32 c, u32 pasid)
{
	KUNIT_ASSERT_GT(test, pasid, 0U);
	KUNIT_ASSERT_LT(test, pasid, (u32)NR);
	KUNIT_ASSERT_LT(test, p->owner[pasid], 0);
	p->owner[pasid] = c;
	p->automatic[pasid] = false;
	p->attached[pasid] = false;
}

/* Allocates all of them, or none */
static void random_alloc(struct kunit *test, struct pool *p,
			 struct rnd_state *rnd)
{
	u32 c = itest_below(rnd, NR_CTX), nr = 1 + itest_below(rnd, 6);
	u32 room = how_many(p, FREE), got[6], i;
	int rc = itest_pasid_alloc(p->it[c], p->dev_id[c], nr, got);

	if (room < nr) {
		KUNIT_ASSERT_EQ(test, rc, -ENOSPC);
		KUNIT_ASSERT_EQ(test, p->it[c]->ext.code,
				(u32)IOASID_REASON_LIMIT);
		KUNIT_ASSERT_EQ(test, p->it[c]->ext.index, room);
		return;
	}
	KUNIT_ASSERT_EQ_MSG(test, rc, 0, "%s", p->it[c]->ext.msg);
	for (i = 0; i < nr; i++)
		got_one(test, p, c, got[i]);
}

static void random_free(struct kunit *test, struct pool *p,
			struct rnd_state *rnd)
{
	u32 c = itest_below(rnd, NR_CTX), nr = 1 + itest_below(rnd, 3), i;
	u32 which[3], bad = nr, code = 0;

	for (i = 0; i < nr; i++) {
		u32 n = itest_below(rnd, NR), k;

		/* Mostly one of its own */
		for (k = 0; k < NR && p->owner[n] != c; k++)
			n = (n + 1) % NR;
		if (!itest_below(rnd, 10))
			n = itest_below(rnd, NR + 2);
		which[i] = n;
		if (bad < nr)
			continue;
		if (n >= NR || p->owner[n] != c || p->automatic[n])
			code = IOASID_REASON_NO_PASID_ID;
		else if (p->attached[n])
			code = IOASID_REASON_IN_USE;
		if (code)
			bad = i;
	}
	if (code) {
		ITEST_EXPECT_ERR(p->it[c], itest_pasid_free(p->it[c], nr, which),
				 code == IOASID_REASON_IN_USE ? -EBUSY : -ENOENT,
				 code);
		KUNIT_ASSERT_EQ(test, p->it[c]->ext.index, bad);
		KUNIT_ASSERT_EQ(test, p->it[c]->ext.pasid, which[bad]);
		return;
	}
	KUNIT_ASSERT_EQ(test, itest_pasid_free(p->it[c], nr, which), 0);
	for (i = 0; i < nr; i++)
		p->owner[which[i]] = FREE;
}

static void random_attach(struct kunit *test, struct pool *p,
			  struct rnd_state *rnd)
{
	u32 c = itest_below(rnd, NR_CTX), n = 1 + itest_below(rnd, NR - 1);
	u32 pasid = itest_below(rnd, 2) ? n : IOASID_PASID_ANY;
	bool any = pasid == IOASID_PASID_ANY;
	int rc = itest_attach(p->it[c], p->dev_id[c], p->space[c], &pasid, 0, 0);

	if (any && !how_many(p, FREE)) {
		KUNIT_ASSERT_EQ(test, rc, -ENOSPC);
	} else if (any) {
		KUNIT_ASSERT_EQ_MSG(test, rc, 0, "%s", p->it[c]->ext.msg);
		got_one(test, p, c, pasid);
		p->automatic[pasid] = true;
		p->attached[pasid] = true;
	} else if (p->owner[n] != c) {
		KUNIT_ASSERT_EQ(test, rc, -EPERM);
		KUNIT_ASSERT_EQ(test, p->it[c]->ext.code,
				(u32)IOASID_REASON_NO_PASID_ID);
	} else if (p->attached[n]) {
		KUNIT_ASSERT_EQ(test, rc, -EBUSY);
	} else {
		KUNIT_ASSERT_EQ_MSG(test, rc, 0, "%s", p->it[c]->ext.msg);
		p->attached[n] = true;
	}
}

static void random_detach(struct kunit *test, struct pool *p,
			  struct rnd_state *rnd)
{
	u32 c = itest_below(rnd, NR_CTX), n = 1 + itest_below(rnd, NR - 1);
	int rc = itest_detach(p->it[c], p->dev_id[c], n);

	if (p->owner[n] != c || !p->attached[n]) {
		KUNIT_ASSERT_EQ(test, rc, -ENOENT);
		return;
	}
	KUNIT_ASSERT_EQ(test, rc, 0);
	p->attached[n] = false;
	if (p->automatic[n])
		p->owner[n] = FREE;
}

static void check_pool(struct kunit *test, struct pool *p)
{
	u32 c, n;

	for (c = 0; c < NR_CTX; c++)
		KUNIT_ASSERT_EQ(test, itest_info(p->it[c]).nr_pasids,
				how_many(p, c));
	for (n = 1; n < NR; n++)
		for (c = 0; c < NR_CTX; c++)
			KUNIT_ASSERT_EQ(test, !!itest_device_pasid(p->dev[c], n),
					p->owner[n] == c && p->attached[n]);
}

static void random_pasids(struct kunit *test)
{
	struct pool *p = new_pool(test);
	struct rnd_state rnd;
	u32 i, others;

	find_others(test, p);
	others = how_many(p, OTHERS);
	itest_seed(test, &rnd);
	for (i = 0; i < itest_rounds(3000); i++) {
		switch (itest_below(&rnd, 8)) {
		case 0 ... 1:
			random_alloc(test, p, &rnd);
			break;
		case 2 ... 3:
			random_free(test, p, &rnd);
			break;
		case 4 ... 5:
			random_attach(test, p, &rnd);
			break;
		default:
			random_detach(test, p, &rnd);
		}
		check_pool(test, p);
	}
	/* One by removing the device, the other by closing: all PASIDs are freed */
	sva_remove_device(p->it[0]->ctx, p->dev[0]);
	for (i = 0; i < NR; i++)
		if (!p->owner[i])
			p->owner[i] = p->automatic[i] ? FREE : 0;
	KUNIT_EXPECT_EQ(test, itest_info(p->it[0]).nr_pasids,
			how_many(p, 0));
	sva_remove_device(p->it[1]->ctx, p->dev[1]);
	itest_close(p->it[0]);
	itest_close(p->it[1]);
	p->it[0] = itest_open(test);
	p->dev_id[0] = itest_bind_device(p->it[0], p->dev[0]);
	find_others(test, p);
	KUNIT_EXPECT_EQ(test, how_many(p, OTHERS), others);
	sva_remove_device(p->it[0]->ctx, p->dev[0]);
}

#define PER_CONTEXT	1024
#define PER_USER	4096

/*
 * Exactly as many as the parameters allow, for a context and for a user, who is the
 * one who has opened the context, whoever uses it.
 */
static void quotas(struct kunit *test)
{
	u32 nr_ctx = PER_USER / PER_CONTEXT + 1, dev_id[5], one, i;
	u32 *got = kunit_kcalloc(test, PER_CONTEXT, sizeof(*got), GFP_KERNEL);
	struct itest *it[5], *other;
	const struct cred *old;
	struct device *dev;

	KUNIT_ASSERT_NOT_NULL(test, got);
	itest_memory(test);
	dev = itest_device_new(test, itest_iommu_new(test), &wide);
	other = itest_open(test);
	old = itest_become_user(test, 1234);
	for (i = 0; i < nr_ctx; i++) {
		it[i] = itest_open(test);
		dev_id[i] = itest_bind_device(it[i], dev);
	}
	itest_restore_cred(old);
	for (i = 0; i + 1 < nr_ctx; i++) {
		/* One too many gives none at all */
		ITEST_EXPECT_ERR(it[i],
				 itest_pasid_alloc(it[i], dev_id[i],
						   PER_CONTEXT + 1, got),
				 -EDQUOT, IOASID_REASON_LIMIT);
		KUNIT_EXPECT_EQ(test, it[i]->ext.index, (u32)PER_CONTEXT);
		KUNIT_EXPECT_EQ(test, itest_info(it[i]).nr_pasids, 0U);
		KUNIT_ASSERT_EQ(test, itest_pasid_alloc(it[i], dev_id[i],
							PER_CONTEXT, got), 0);
	}
	ITEST_EXPECT_ERR(it[i], itest_pasid_alloc(it[i], dev_id[i], 1, &one),
			 -EDQUOT, IOASID_REASON_LIMIT);
	KUNIT_EXPECT_EQ(test, it[i]->ext.value, (u64)PER_USER);
	/* What somebody else has opened is not concerned, not even in his hands */
	old = itest_become_user(test, 1234);
	KUNIT_EXPECT_EQ(test, itest_pasid_alloc(other,
						itest_bind_device(other, dev),
						1, &one), 0);
	sva_remove_device(other->ctx, dev);
	itest_restore_cred(old);
	KUNIT_EXPECT_EQ(test, itest_pasid_free(it[i - 1], 1, got), 0);
	KUNIT_EXPECT_EQ(test, itest_pasid_alloc(it[i], dev_id[i], 1, &one), 0);
	ITEST_EXPECT_ERR(it[i], itest_pasid_alloc(it[i], dev_id[i], 1, &one),
			 -EDQUOT, IOASID_REASON_LIMIT);
	for (i = 0; i < nr_ctx; i++) {
		sva_remove_device(it[i]->ctx, dev);
		itest_close(it[i]);
	}
	/* All of it was given back */
	old = itest_become_user(test, 1234);
	it[0] = itest_open(test);
	itest_restore_cred(old);
	KUNIT_EXPECT_EQ(test, atomic64_read(&it[0]->ctx->user->used[IOASID_QUOTA_PASIDS]),
			0LL);
	KUNIT_EXPECT_EQ(test, atomic64_read(&it[0]->ctx->user->used[IOASID_QUOTA_CONTEXTS]),
			1LL);
	dev_id[0] = itest_bind_device(it[0], dev);
	KUNIT_EXPECT_EQ(test, itest_pasid_alloc(it[0], dev_id[0],
						PER_CONTEXT, got), 0);
	sva_remove_device(it[0]->ctx, dev);
}

/* Whoever has a user namespace has as many uids as he likes, and is one user */
static void a_namespace_is_one_user(struct kunit *test)
{
	/* Of uid 1000; in it, one of a uid of it; of root, uids from 100000 */
	struct user_namespace *ns = kunit_kcalloc(test, 3, sizeof(*ns),
						  GFP_KERNEL);
	kuid_t far = KUIDT_INIT(100007);

	KUNIT_ASSERT_NOT_NULL(test, ns);
	ns[0].parent = &init_user_ns;
	ns[0].owner = KUIDT_INIT(1000);
	ns[1].parent = &ns[0];
	ns[1].owner = far;
	ns[2].parent = &init_user_ns;
	ns[2].owner = GLOBAL_ROOT_UID;
	KUNIT_EXPECT_EQ(test, 100007,
			__kuid_val(ioasid_owner_of(&init_user_ns, far)));
	KUNIT_EXPECT_EQ(test, 1000, __kuid_val(ioasid_owner_of(&ns[0], far)));
	KUNIT_EXPECT_EQ(test, 1000, __kuid_val(ioasid_owner_of(&ns[1], far)));
	/* Without a root user in it, whoever has made it */
	KUNIT_EXPECT_EQ(test, 0, __kuid_val(ioasid_owner_of(&ns[2], far)));
	ns[2].uid_map.nr_extents = 1;
	ns[2].uid_map.extent[0] = (struct uid_gid_extent){
		.first = 0, .lower_first = 100000, .count = 65536,
	};
	KUNIT_EXPECT_EQ(test, 100000, __kuid_val(ioasid_owner_of(&ns[2], far)));
	ns[1].parent = &ns[2];
	KUNIT_EXPECT_EQ(test, 100000, __kuid_val(ioasid_owner_of(&ns[1], far)));
}

/* A user's numbers are his, and need not be the IOMMU's */
static void virtual_numbers(struct kunit *test)
{
	u32 space, other, dev_id, a = IOASID_PASID_ANY, b = IOASID_PASID_ANY, n;
	struct itest_domain *d;
	struct device *dev;
	struct itest *it;

	itest_memory(test);
	dev = itest_device_new(test, itest_iommu_new(test), &conf);
	it = itest_open(test);
	dev_id = itest_bind_device(it, dev);
	space = itest_alloc_space(it);
	other = itest_alloc_space(it);
	/* A number without PASID of the device, and the number of another one */
	KUNIT_ASSERT_EQ(test, itest_attach(it, dev_id, space, &a, 0xffff, 0), 0);
	KUNIT_ASSERT_EQ(test, itest_attach(it, dev_id, other, &b, a, 0), 0);
	KUNIT_EXPECT_NE(test, a, b);
	KUNIT_ASSERT_NOT_NULL(test, itest_device_pasid(dev, a));
	KUNIT_EXPECT_PTR_NE(test, itest_device_pasid(dev, a),
			    itest_device_pasid(dev, b));
	n = IOASID_PASID_ANY;
	ITEST_EXPECT_ERR(it, itest_attach(it, dev_id, space, &n, 0xffff, 0),
			 -EBUSY, IOASID_REASON_ATTACHED);
	/* Replacing by the vpasid keeps the PASID */
	d = itest_device_pasid(dev, b);
	n = IOASID_PASID_ANY;
	KUNIT_ASSERT_EQ(test, itest_attach(it, dev_id, other, &n, 0xffff,
					   IOASID_ATTACH_REPLACE), 0);
	KUNIT_EXPECT_EQ(test, n, a);
	KUNIT_EXPECT_PTR_EQ(test, itest_device_pasid(dev, a), d);
	KUNIT_EXPECT_EQ(test, itest_info(it).nr_pasids, 2U);
	/* By the vpasid, never by the PASID */
	KUNIT_EXPECT_EQ(test, itest_detach(it, dev_id, b), -ENOENT);
	KUNIT_EXPECT_EQ(test, itest_detach(it, dev_id, a), 0);
	KUNIT_EXPECT_NULL(test, itest_device_pasid(dev, b));
	KUNIT_EXPECT_PTR_EQ(test, itest_device_pasid(dev, a), d);
	KUNIT_EXPECT_EQ(test, itest_detach(it, dev_id, 0xffff), 0);
	KUNIT_EXPECT_EQ(test, itest_info(it).nr_pasids, 0U);
	sva_remove_device(it->ctx, dev);
}

/* Each error of an attach by PASID, with its reason; nothing stays charged */
static void bad_attaches(struct kunit *test)
{
	static const struct itest_device_conf none = { .group = 2 };
	u32 any = IOASID_PASID_ANY, rid = IOASID_RID, space, mm, id, big, bare, n;
	u32 many[NR];
	struct device *dev, *no_pasid, *wider;
	struct itest_iommu *fake;
	struct itest *it;

	itest_memory(test);
	fake = itest_iommu_new(test);
	dev = itest_device_new(test, fake, &conf);
	no_pasid = itest_device_new(test, fake, &none);
	wider = itest_device_new(test, fake, &wide);
	it = itest_open(test);
	id = itest_bind_device(it, dev);
	bare = itest_bind_device(it, no_pasid);
	big = itest_bind_device(it, wider);
	space = itest_alloc_space(it);
	mm = itest_alloc_kind(it, IOASID_KIND_MM, 0);
	ITEST_EXPECT_ERR(it, itest_attach(it, bare, space, &any, 0, 0),
			 -EOPNOTSUPP, IOASID_REASON_NO_PASID);
	ITEST_EXPECT_ERR(it, itest_pasid_alloc(it, bare, 1, &n),
			 -EOPNOTSUPP, IOASID_REASON_NO_PASID);
	ITEST_EXPECT_ERR(it, itest_attach(it, id, mm, &rid, 0, 0), -EINVAL,
			 IOASID_REASON_KIND);
	n = 5;
	ITEST_EXPECT_ERR(it, itest_attach(it, id, mm, &n, 0, 0), -EINVAL,
			 IOASID_REASON_VALUE);
	ITEST_EXPECT_ERR(it, itest_attach(it, id, space, &rid, 5, 0), -EINVAL,
			 IOASID_REASON_VALUE);
	ITEST_EXPECT_ERR(it, itest_attach(it, id, space, &any,
					  IOASID_MAX_PASID + 1, 0), -EINVAL,
			 IOASID_REASON_VALUE);
	ITEST_EXPECT_ERR(it, itest_attach(it, id, space, &any, 0,
					  IOASID_ATTACH_REPLACE), -EINVAL,
			 IOASID_REASON_VALUE);
	KUNIT_ASSERT_EQ(test, itest_attach(it, id, space, &any, 9, 0), 0);
	/* A PASID of the context, too wide for this device */
	KUNIT_ASSERT_EQ(test, itest_pasid_alloc(it, big, NR, many), 0);
	n = many[NR - 1];
	ITEST_EXPECT_ERR(it, itest_attach(it, id, space, &n, 0, 0), -ERANGE,
			 IOASID_REASON_NO_PASID);
	KUNIT_EXPECT_EQ(test, itest_attach(it, big, space, &n, 0, 0), 0);
	/* The vpasid of another PASID */
	ITEST_EXPECT_ERR(it, itest_attach(it, id, space, &n, 9,
					  IOASID_ATTACH_REPLACE), -ERANGE,
			 IOASID_REASON_NO_PASID);
	ITEST_EXPECT_ERR(it, itest_pasid_alloc(it, id, 1, many), -ENOSPC,
			 IOASID_REASON_LIMIT);
	KUNIT_EXPECT_EQ(test, itest_info(it).nr_pasids, NR + 1U);
	sva_remove_device(it->ctx, dev);
	sva_remove_device(it->ctx, no_pasid);
	sva_remove_device(it->ctx, wider);
	KUNIT_EXPECT_EQ(test, itest_info(it).nr_pasids, (u32)NR);
}

static struct kunit_case ioasid_pasid_cases[] = {
	KUNIT_CASE_SLOW(random_pasids),
	KUNIT_CASE(quotas),
	KUNIT_CASE(a_namespace_is_one_user),
	KUNIT_CASE(virtual_numbers),
	KUNIT_CASE(bad_attaches),
	{}
};

static struct kunit_suite ioasid_pasid_suite = {
	.name = "ioasid_pasid",
	.test_cases = ioasid_pasid_cases,
};
kunit_test_suite(ioasid_pasid_suite);
