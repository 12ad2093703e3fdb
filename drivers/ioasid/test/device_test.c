// SPDX-License-Identifier: GPL-2.0
/*
 * Which device uses which space: attaching, replacing and detaching in any
 * order, by siblings and through two contexts, against a model of the table,
 * while the IOMMU refuses now and then. Refused, everything is as before.
 */
#include <kunit/device.h>
#include <linux/mman.h>
#include <linux/sizes.h>
#include "test.h"

#define NR_CTX		2
#define NR_SPACES	2	/* of each context */
#define NR_DEVICES	5
#define NR_GROUPS	4
#define NOWHERE		(-1)
#define RW		(IOASID_MAP_READ | IOASID_MAP_WRITE)

/* Two siblings, one alone, one behind another unit, one more */
static const struct itest_device_conf confs[NR_DEVICES] = {
	{ .unit = 0, .group = 0 }, { .unit = 0, .group = 0 },
	{ .unit = 0, .group = 1 }, { .unit = 1, .group = 2 },
	{ .unit = 0, .group = 3 },
};

/**
 * struct table - the model, and what it is a model of
 * @it: contexts
 * @fake: the IOMMU
 * @dev: devices
 * @id: spaces
 * @known: device is known to a context
 * @rid: space that it is attached to, through a context
 * @pages: mapped in each space
 * @refused: times that the IOMMU made an attach fail
 */
struct table {
	struct itest *it[NR_CTX];
	struct itest_iommu *fake;
	struct device *dev[NR_DEVICES];
	u32 id[NR_CTX][NR_SPACES];
	bool known[NR_CTX][NR_DEVICES];
	int rid[NR_CTX][NR_DEVICES];
	u32 pages[NR_CTX][NR_SPACES];
	u32 refused;
};

static const struct ioasid_attach_params itest_params = {
	.owner = "test", .unsafe_interrupts = true,
};

static struct table *new_table(struct kunit *test)
{
	struct table *t = kunit_kzalloc(test, sizeof(*t), GFP_KERNEL);
	u32 c, i;

	KUNIT_ASSERT_NOT_NULL(test, t);
	itest_memory(test);
	t->fake = itest_iommu_new(test);
	for (i = 0; i < NR_DEVICES; i++)
		t->dev[i] = itest_device_new(test, t->fake, &confs[i]);
	for (c = 0; c < NR_CTX; c++) {
		t->it[c] = itest_open(test);
		for (i = 0; i < NR_SPACES; i++)
			t->id[c][i] = itest_alloc_space(t->it[c]);
		for (i = 0; i < NR_DEVICES; i++)
			t->rid[c][i] = NOWHERE;
	}
	return t;
}

/* How many devices of a group are attached, through which context, where */
static u32 group_users(struct table *t, u32 group, u32 *ctx, int *space)
{
	u32 c, i, users = 0;

	for (c = 0; c < NR_CTX; c++)
		for (i = 0; i < NR_DEVICES; i++)
			if (confs[i].group == group &&
			    t->rid[c][i] != NOWHERE) {
				*ctx = c;
				*space = t->rid[c][i];
				users++;
			}
	return users;
}

static bool unit_has_domain(struct table *t, u32 c, int space, u32 unit)
{
	u32 i;

	for (i = 0; i < NR_DEVICES; i++)
		if (t->rid[c][i] == space && confs[i].unit == unit)
			return true;
	return false;
}

static void check_device(struct kunit *test, struct table *t, u32 i)
{
	struct itest_domain *d = itest_device_domain(t->dev[i]);
	u32 c, k, page;
	int space;

	if (!group_users(t, confs[i].group, &c, &space)) {
		KUNIT_ASSERT_NULL(test, d);
		return;
	}
	KUNIT_ASSERT_NOT_NULL(test, d);
	KUNIT_ASSERT_EQ(test, d->pages, t->pages[c][space]);
	for (page = 0; page < d->pages; page++)
		KUNIT_ASSERT_NE(test, itest_domain_pfn(d, SZ_1M + page *
						       PAGE_SIZE, NULL),
				ULONG_MAX);
	itest_domain_check(test, d);
	/* Groups of the same unit share a page table of the same space */
	for (k = 0; k < NR_DEVICES; k++) {
		u32 other_ctx;
		int other;

		if (confs[k].unit == confs[i].unit &&
		    group_users(t, confs[k].group, &other_ctx, &other) &&
		    other_ctx == c && other == space)
			KUNIT_ASSERT_PTR_EQ(test,
					    itest_device_domain(t->dev[k]), d);
	}
}

static void check_space(struct kunit *test, struct table *t, u32 c, u32 s)
{
	struct ioasid_space_info info = { .ioasid = t->id[c][s] };
	u32 i, attached = 0, domains;

	for (i = 0; i < NR_DEVICES; i++)
		attached += t->rid[c][i] == (int)s;
	domains = unit_has_domain(t, c, s, 0) + unit_has_domain(t, c, s, 1);
	KUNIT_ASSERT_EQ(test, ITEST_CMD(t->it[c], IOASID_SPACE_INFO, &info), 0);
	KUNIT_ASSERT_EQ(test, info.nr_attachments, attached);
	KUNIT_ASSERT_EQ(test, info.nr_domains, domains);
}

static void check_table(struct kunit *test, struct table *t)
{
	u32 c, s, i, domains = 0;

	for (c = 0; c < NR_CTX; c++) {
		u32 known = 0;

		for (s = 0; s < NR_SPACES; s++) {
			check_space(test, t, c, s);
			domains += unit_has_domain(t, c, s, 0) +
				   unit_has_domain(t, c, s, 1);
		}
		for (i = 0; i < NR_DEVICES; i++)
			known += t->known[c][i];
		KUNIT_ASSERT_EQ(test, itest_info(t->it[c]).nr_devices, known);
	}
	for (i = 0; i < NR_DEVICES; i++)
		check_device(test, t, i);
	KUNIT_ASSERT_EQ(test, atomic_read(&t->fake->knobs.nr_domains), domains);
}

/* What the IOMMU will refuse, and what a fresh attach then returns */
static int arm(struct table *t, u32 c, int space, u32 i, struct rnd_state *rnd,
	       u32 *code)
{
	struct itest_iommu_knobs *k = &t->fake->knobs;
	bool fresh = !unit_has_domain(t, c, space, confs[i].unit);

	k->fail_attach = 0;
	k->fail_alloc = 0;
	k->fail_map = 0;
	*code = IOASID_REASON_IOMMU;
	switch (itest_below(rnd, 8)) {
	case 0:
		k->fail_alloc = -ENOSPC;
		return fresh ? k->fail_alloc : 0;
	case 1:
		/* The second device of a group as well as the first */
		k->fail_attach = confs[i].group ? 1 : 1 + itest_below(rnd, 2);
		k->attach_err = itest_below(rnd, 2) ? -EIO : -EBUSY;
		if (k->attach_err == -EBUSY)
			*code = IOASID_REASON_RESET;
		return k->attach_err;
	case 2:
		k->fail_map = 1;
		return fresh && t->pages[c][space] ? -EIO : 0;
	default:
		return 0;
	}
}

static int model_attach(struct table *t, u32 c, u32 i, int space, bool replace,
			struct rnd_state *rnd, u32 *code)
{
	u32 group_ctx, users;
	int where, rc;

	users = group_users(t, confs[i].group, &group_ctx, &where);
	rc = arm(t, c, space, i, rnd, code);
	if (t->rid[c][i] == NOWHERE && users) {
		*code = group_ctx != c ? IOASID_REASON_OWNER :
					 IOASID_REASON_SIBLING;
		return group_ctx == c && where == space ? 0 : -EBUSY;
	}
	if (t->rid[c][i] == NOWHERE)
		return rc;
	if (!replace) {
		*code = IOASID_REASON_ATTACHED;
		return -EBUSY;
	}
	if (t->rid[c][i] == space)
		return 0;
	if (users > 1) {
		*code = IOASID_REASON_SIBLING;
		return -EBUSY;
	}
	return rc;
}

static void random_attach(struct kunit *test, struct table *t,
			  struct rnd_state *rnd)
{
	u32 c = itest_below(rnd, NR_CTX), i = itest_below(rnd, NR_DEVICES), code;
	int space = itest_below(rnd, NR_SPACES), want, rc;
	bool replace = itest_below(rnd, 2);
	struct ioasid_attach_params params = itest_params;
	struct ioasid_attachment *att;
	struct ioasid_extack extack;

	params.ioasid = t->id[c][space];
	want = model_attach(t, c, i, space, replace, rnd, &code);
	ioasid_extack_init(&extack);
	if (replace) {
		rc = sva_replace_device_pasid(t->it[c]->ctx, IOASID_RID,
					      t->dev[i], &params, &extack);
	} else {
		att = sva_register_device_to_pasid(t->it[c]->ctx, IOASID_RID,
						   t->dev[i], &params, &extack);
		rc = PTR_ERR_OR_ZERO(att);
	}
	KUNIT_ASSERT_EQ_MSG(test, rc, want, "%s", extack.msg);
	if (rc) {
		KUNIT_ASSERT_EQ_MSG(test, extack.code, code, "%s", extack.msg);
		t->refused += code == IOASID_REASON_IOMMU;
		return;
	}
	t->known[c][i] = true;
	t->rid[c][i] = space;
	/* What did not have to map anything must not refuse to later */
	itest_device_domain(t->dev[i])->fail_map = 0;
}

static void random_detach(struct kunit *test, struct table *t,
			  struct rnd_state *rnd)
{
	u32 c = itest_below(rnd, NR_CTX), i = itest_below(rnd, NR_DEVICES);
	struct ioasid_ctx *ctx = t->it[c]->ctx;
	bool attached = t->rid[c][i] != NOWHERE;
	struct ioasid_extack extack;
	int rc;

	ioasid_extack_init(&extack);
	switch (itest_below(rnd, 3)) {
	case 0:
		rc = sva_unregister_device_from_pasid(ctx, IOASID_RID,
						      t->dev[i], &extack);
		KUNIT_ASSERT_EQ(test, rc, attached ? 0 : -ENOENT);
		if (rc)
			KUNIT_ASSERT_EQ(test, extack.code,
					(u32)IOASID_REASON_NOT_ATTACHED);
		t->rid[c][i] = NOWHERE;
		break;
	case 1:
		rc = sva_unbind_device(ctx, t->dev[i], &extack);
		KUNIT_ASSERT_EQ(test, rc, attached ? -EBUSY : 0);
		if (!rc)
			t->known[c][i] = false;
		break;
	default:
		sva_remove_device(ctx, t->dev[i]);
		t->rid[c][i] = NOWHERE;
		t->known[c][i] = false;
	}
}

/* Mappings that come while devices are attached get to all page tables */
static void random_mapping(struct kunit *test, struct table *t,
			   struct rnd_state *rnd)
{
	u32 c = itest_below(rnd, NR_CTX), s = itest_below(rnd, NR_SPACES);

	if (t->pages[c][s]) {
		KUNIT_ASSERT_EQ(test, itest_unmap(t->it[c], t->id[c][s], NULL, 0,
						  NULL), 0);
		t->pages[c][s] = 0;
		return;
	}
	t->pages[c][s] = 1 + itest_below(rnd, 20);
	KUNIT_ASSERT_EQ(test, itest_map_one(t->it[c], t->id[c][s], SZ_1M,
					    ITEST_MEM, t->pages[c][s] *
					    PAGE_SIZE, RW), 0);
}

static void random_table(struct kunit *test)
{
	struct table *t = new_table(test);
	struct rnd_state rnd;
	u32 i, c;

	itest_seed(test, &rnd);
	for (i = 0; i < itest_rounds(4000); i++) {
		switch (itest_below(&rnd, 8)) {
		case 0 ... 3:
			random_attach(test, t, &rnd);
			break;
		case 4 ... 6:
			random_detach(test, t, &rnd);
			break;
		default:
			random_mapping(test, t, &rnd);
		}
		check_table(test, t);
	}
	KUNIT_EXPECT_GE(test, t->refused, itest_rounds(5));
	for (c = 0; c < NR_CTX; c++)
		for (i = 0; i < NR_DEVICES; i++) {
			sva_remove_device(t->it[c]->ctx, t->dev[i]);
			t->rid[c][i] = NOWHERE;
			t->known[c][i] = false;
		}
	check_table(test, t);
}

/* A device and a context, for what needs no model */
static struct itest *one_device(struct kunit *test,
				const struct itest_device_conf *conf,
				struct itest_iommu **fake, struct device **dev)
{
	itest_memory(test);
	*fake = itest_iommu_new(test);
	*dev = itest_device_new(test, *fake, conf);
	return itest_open(test);
}

static int attach(struct itest *it, struct device *dev, u32 id,
		  struct ioasid_extack *extack)
{
	struct ioasid_attach_params params = itest_params;

	params.ioasid = id;
	ioasid_extack_init(extack);
	return PTR_ERR_OR_ZERO(sva_register_device_to_pasid(it->ctx, IOASID_RID,
							    dev, &params,
							    extack));
}

/* The glue's promises are its own; what the core can see, it checks */
static void who_may_come_in(struct kunit *test)
{
	static const struct itest_device_conf conf = { .no_coherency = true };
	struct ioasid_attach_params params = itest_params;
	struct device *dev, *good, *plain;
	struct itest_iommu *fake;
	struct ioasid_extack extack;
	struct itest *it = one_device(test, &conf, &fake, &dev);
	u32 id, again;

	good = itest_device_new(test, fake, &confs[3]);
	plain = kunit_device_register(test, "ioasid-test-plain");
	KUNIT_ASSERT_NOT_ERR_OR_NULL(test, plain);
	ioasid_extack_init(&extack);
	KUNIT_EXPECT_EQ(test,
			sva_bind_device(it->ctx, plain, &params, &id, &extack),
			-ENODEV);
	KUNIT_EXPECT_EQ(test, extack.code, (u32)IOASID_REASON_IOMMU);
	ioasid_extack_init(&extack);
	KUNIT_EXPECT_EQ(test,
			sva_bind_device(it->ctx, dev, &params, &id, &extack),
			-EINVAL);
	KUNIT_EXPECT_EQ(test, extack.code, (u32)IOASID_REASON_COHERENCY);
	params.unsafe_interrupts = false;
	ioasid_extack_init(&extack);
	KUNIT_EXPECT_EQ(test,
			sva_bind_device(it->ctx, good, &params, &id, &extack),
			-EPERM);
	KUNIT_EXPECT_EQ(test, extack.code, (u32)IOASID_REASON_MSI);
	KUNIT_EXPECT_EQ(test, it->ctx->nr_devices, 0U);
	params.unsafe_interrupts = true;
	ioasid_extack_init(&extack);
	KUNIT_EXPECT_EQ(test,
			sva_bind_device(it->ctx, good, &params, &id, &extack),
			0);
	KUNIT_EXPECT_EQ(test,
			sva_bind_device(it->ctx, good, &params, &again,
					&extack),
			0);
	KUNIT_EXPECT_EQ(test, id, again);
	KUNIT_EXPECT_EQ(test,
			sva_unregister_device_from_pasid(it->ctx, 0, dev,
							 &extack),
			-ENOENT);
	KUNIT_EXPECT_EQ(test, extack.code, (u32)IOASID_REASON_NOT_ATTACHED);
	sva_remove_device(it->ctx, good);
	sva_remove_device(it->ctx, good);
	KUNIT_EXPECT_EQ(test, it->ctx->nr_devices, 0U);
}

/* The commands: by the device's id */
static void commands(struct kunit *test)
{
	struct ioasid_device_attach in = { .pasid = 5 };
	struct ioasid_device_detach out = { .pasid = 5 };
	struct ioasid_extack extack;
	struct itest_iommu *fake;
	struct device *dev;
	struct itest *it = one_device(test, &confs[2], &fake, &dev);
	u32 id[2] = { itest_alloc_space(it), itest_alloc_space(it) };

	ioasid_extack_init(&extack);
	KUNIT_ASSERT_EQ(test,
			sva_bind_device(it->ctx, dev, &itest_params, &in.dev_id,
					&extack),
			0);
	in.ioasid = id[0];
	out.dev_id = in.dev_id;
	ITEST_EXPECT_ERR(it, ITEST_CMD(it, IOASID_DEVICE_ATTACH, &in),
			 -EOPNOTSUPP, IOASID_REASON_NO_PASID);
	KUNIT_EXPECT_EQ(test, it->ext.pasid, 5U);
	KUNIT_EXPECT_EQ(test, it->ext.dev_id, in.dev_id);
	ITEST_EXPECT_ERR(it, ITEST_CMD(it, IOASID_DEVICE_DETACH, &out), -ENOENT,
			 IOASID_REASON_NOT_ATTACHED);
	in.pasid = IOASID_RID;
	out.pasid = IOASID_RID;
	in.ioasid = 99;
	ITEST_EXPECT_ERR(it, ITEST_CMD(it, IOASID_DEVICE_ATTACH, &in), -ENOENT,
			 IOASID_REASON_NO_SPACE_ID);
	in.ioasid = id[0];
	ITEST_EXPECT_ERR(it, ITEST_CMD(it, IOASID_DEVICE_DETACH, &out), -ENOENT,
			 IOASID_REASON_NOT_ATTACHED);
	KUNIT_EXPECT_EQ(test, ITEST_CMD(it, IOASID_DEVICE_ATTACH, &in), 0);
	ITEST_EXPECT_ERR(it, ITEST_CMD(it, IOASID_DEVICE_ATTACH, &in), -EBUSY,
			 IOASID_REASON_ATTACHED);
	ITEST_EXPECT_ERR(it, itest_free_space(it, id[0]), -EBUSY,
			 IOASID_REASON_IN_USE);
	in.ioasid = id[1];
	in.flags = IOASID_ATTACH_REPLACE;
	KUNIT_EXPECT_EQ(test, ITEST_CMD(it, IOASID_DEVICE_ATTACH, &in), 0);
	KUNIT_EXPECT_EQ(test, itest_free_space(it, id[0]), 0);
	KUNIT_EXPECT_EQ(test, ITEST_CMD(it, IOASID_DEVICE_DETACH, &out), 0);
	KUNIT_EXPECT_NULL(test, itest_device_domain(dev));
	sva_remove_device(it->ctx, dev);
}

/* A mapping is where the device cannot have one, or the other way round */
static void reserved_regions(struct kunit *test)
{
	static const struct itest_device_conf conf = { .resv = {
		{ SZ_1M + 0x10, 0x20, IOMMU_RESV_RESERVED },
		{ SZ_4M, SZ_1M, IOMMU_RESV_DIRECT_RELAXABLE },
		{ 0xfee00000, SZ_1M, IOMMU_RESV_MSI },
	} };
	static const struct ioasid_iova_range want[] = {
		{ 0, SZ_1M - 1 }, { SZ_1M + SZ_4K, 0xfedfffff },
		{ 0xfef00000, U64_MAX },
	};
	struct ioasid_space_info info = {
		.nr_ranges = 8, .ranges = ITEST_VEC,
		.range_size = sizeof(*want),
	};
	struct ioasid_iova_range got[ARRAY_SIZE(want)];
	struct ioasid_extack extack;
	struct itest_iommu *fake;
	struct device *dev;
	struct itest *it = one_device(test, &conf, &fake, &dev);
	u32 id = itest_alloc_space(it);

	KUNIT_ASSERT_EQ(test, itest_map_one(it, id, 0xfee00000 - SZ_4K,
					    ITEST_MEM, SZ_8K, RW), 0);
	KUNIT_EXPECT_EQ(test, attach(it, dev, id, &extack), -EADDRINUSE);
	KUNIT_EXPECT_EQ(test, extack.code, (u32)IOASID_REASON_RESERVED);
	KUNIT_EXPECT_EQ(test, extack.value, 0xfee00000ULL - SZ_4K);
	/* It was made known for that, and is forgotten again */
	KUNIT_EXPECT_EQ(test, it->ctx->nr_devices, 0U);
	KUNIT_ASSERT_EQ(test, itest_unmap(it, id, NULL, 0, NULL), 0);
	KUNIT_ASSERT_EQ(test, itest_map_one(it, id, SZ_4M, ITEST_MEM, SZ_4K, RW),
			0);
	KUNIT_EXPECT_EQ(test, attach(it, dev, id, &extack), 0);
	info.ioasid = id;
	KUNIT_ASSERT_EQ(test, ITEST_CMD(it, IOASID_SPACE_INFO, &info), 0);
	KUNIT_ASSERT_EQ(test, info.nr_ranges, (u32)ARRAY_SIZE(want));
	itest_get_user(test, got, ITEST_VEC, sizeof(got));
	KUNIT_EXPECT_MEMEQ(test, got, want, sizeof(got));
	ITEST_EXPECT_ERR(it, itest_map_one(it, id, SZ_1M, ITEST_MEM, SZ_4K, RW),
			 -ERANGE, IOASID_REASON_UNUSABLE);
	sva_remove_device(it->ctx, dev);
	/* Nobody reserves it any more */
	KUNIT_EXPECT_EQ(test, itest_map_one(it, id, SZ_1M, ITEST_MEM, SZ_4K, RW),
			0);
}

static void aperture(struct kunit *test)
{
	struct ioasid_extack extack;
	struct itest_iommu *fake;
	struct device *dev;
	struct itest *it = one_device(test, &confs[2], &fake, &dev);
	u32 id = itest_alloc_space(it);

	fake->knobs.aperture_end = SZ_4G - 1;
	KUNIT_ASSERT_EQ(test, itest_map_one(it, id, SZ_4G, ITEST_MEM, SZ_4K, RW),
			0);
	KUNIT_EXPECT_EQ(test, attach(it, dev, id, &extack), -ERANGE);
	KUNIT_EXPECT_EQ(test, extack.code, (u32)IOASID_REASON_APERTURE);
	KUNIT_ASSERT_EQ(test, itest_unmap(it, id, NULL, 0, NULL), 0);
	KUNIT_EXPECT_EQ(test, attach(it, dev, id, &extack), 0);
	ITEST_EXPECT_ERR(it, itest_map_one(it, id, SZ_4G, ITEST_MEM, SZ_4K, RW),
			 -ERANGE, IOASID_REASON_UNUSABLE);
	sva_remove_device(it->ctx, dev);
}

/* KVM goes by the device: its page table must keep what the device promises */
static void coherency_is_enforced(struct kunit *test)
{
	static const struct itest_device_conf enforcing = {
		.group = 1, .enforce = true,
	};
	struct ioasid_extack extack;
	struct itest_iommu *fake;
	struct device *dev[2];
	struct itest *it = one_device(test, &confs[0], &fake, &dev[0]);
	u32 id = itest_alloc_space(it);

	dev[1] = itest_device_new(test, fake, &enforcing);
	fake->knobs.enforce = true;
	/* A page table that was not made for it does not do */
	KUNIT_EXPECT_EQ(test, attach(it, dev[0], id, &extack), 0);
	KUNIT_EXPECT_EQ(test, attach(it, dev[1], id, &extack), 0);
	KUNIT_EXPECT_PTR_NE(test, itest_device_domain(dev[0]),
			    itest_device_domain(dev[1]));
	sva_remove_device(it->ctx, dev[0]);
	/* The other way round it does */
	KUNIT_EXPECT_EQ(test, attach(it, dev[0], id, &extack), 0);
	KUNIT_EXPECT_PTR_EQ(test, itest_device_domain(dev[0]),
			    itest_device_domain(dev[1]));
	sva_remove_device(it->ctx, dev[0]);
	sva_remove_device(it->ctx, dev[1]);
}

/* The file is closed; DMA goes on until the device goes */
static void closing_keeps_dma(struct kunit *test)
{
	struct ioasid_extack extack;
	struct itest_iommu *fake;
	struct ioasid_ctx *ctx;
	struct device *dev;
	struct itest *it = one_device(test, &confs[2], &fake, &dev);
	u32 id[2] = { itest_alloc_space(it), itest_alloc_space(it) };
	u32 i;

	for (i = 0; i < 2; i++)
		KUNIT_ASSERT_EQ(test, itest_map_one(it, id[i], 0, ITEST_MEM,
						    SZ_8K, RW), 0);
	KUNIT_ASSERT_EQ(test, attach(it, dev, id[0], &extack), 0);
	ctx = sva_get_from_fd(itest_fd(it), &extack);
	KUNIT_ASSERT_PTR_EQ(test, ctx, it->ctx);
	itest_close(it);
	/* What no device can reach is gone at once */
	KUNIT_EXPECT_EQ(test, atomic64_read(&ctx->pinned), 2LL);
	KUNIT_EXPECT_EQ(test, atomic_read(&ctx->nr_spaces), 1);
	KUNIT_ASSERT_NOT_NULL(test, itest_device_domain(dev));
	KUNIT_EXPECT_EQ(test, itest_device_domain(dev)->pages, 2ULL);
	sva_remove_device(ctx, dev);
	KUNIT_EXPECT_NULL(test, itest_device_domain(dev));
	sva_put(ctx);
}

static struct kunit_case ioasid_device_cases[] = {
	KUNIT_CASE_SLOW(random_table),
	KUNIT_CASE(who_may_come_in),
	KUNIT_CASE(commands),
	KUNIT_CASE(reserved_regions),
	KUNIT_CASE(aperture),
	KUNIT_CASE(coherency_is_enforced),
	KUNIT_CASE(closing_keeps_dma),
	{}
};

static struct kunit_suite ioasid_device_suite = {
	.name = "ioasid_device",
	.test_cases = ioasid_device_cases,
};
kunit_test_suite(ioasid_device_suite);
