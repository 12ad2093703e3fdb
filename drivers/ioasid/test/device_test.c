// SPDX-License-Identifier: GPL-2.0
/*
 * Devices and their spaces: attaching, replacing and detaching in any order, by
 * siblings and through two contexts, against a model, while the IOMMU driver fails
 * at random. After a failure everything must be as before.
 */
#include <kunit/device.h>
#include <linux/anon_inodes.h>
#include <linux/file.h>
#include <linux/fs.h>
#include <linux/mman.h>
#include <linux/module.h>
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
 * struct table - the model, and the objects that it describes
 * @it: contexts
 * @fake: the IOMMU
 * @dev: devices
 * @id: spaces
 * @bound: device is bound to a context
 * @rid: space that it is attached to, through a context
 * @pages: number of pages mapped in each space
 * @failed: times that the IOMMU made an attach fail
 */
struct table {
	struct itest *it[NR_CTX];
	struct itest_iommu *fake;
	struct device *dev[NR_DEVICES];
	u32 id[NR_CTX][NR_SPACES];
	bool bound[NR_CTX][NR_DEVICES];
	int rid[NR_CTX][NR_DEVICES];
	u32 pages[NR_CTX][NR_SPACES];
	u32 failed;
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

/* Number of attached devices of a group, their context and space */
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
	/* Groups of a unit share the page table of a space */
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
		u32 bound = 0;

		for (s = 0; s < NR_SPACES; s++) {
			check_space(test, t, c, s);
			domains += unit_has_domain(t, c, s, 0) +
				   unit_has_domain(t, c, s, 1);
		}
		for (i = 0; i < NR_DEVICES; i++)
			bound += t->bound[c][i];
		KUNIT_ASSERT_EQ(test, itest_info(t->it[c]).nr_devices, bound);
	}
	for (i = 0; i < NR_DEVICES; i++)
		check_device(test, t, i);
	KUNIT_ASSERT_EQ(test, atomic_read(&t->fake->knobs.nr_domains), domains);
}

/* Chooses a failure of the IOMMU driver; returns the result of an attach */
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
		/* Fails for the first device of a group, or only for the second */
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
	struct ioasid_extack extack;

	params.ioasid = t->id[c][space];
	want = model_attach(t, c, i, space, replace, rnd, &code);
	ioasid_extack_init(&extack);
	if (replace)
		rc = sva_replace_device_pasid(t->it[c]->ctx, IOASID_RID,
					      t->dev[i], &params, &extack);
	else
		rc = sva_register_device_to_pasid(t->it[c]->ctx, IOASID_RID,
						  t->dev[i], &params, &extack);
	KUNIT_ASSERT_EQ_MSG(test, rc, want, "%s", extack.msg);
	if (rc) {
		KUNIT_ASSERT_EQ_MSG(test, extack.code, code, "%s", extack.msg);
		t->failed += code == IOASID_REASON_IOMMU;
		return;
	}
	t->bound[c][i] = true;
	t->rid[c][i] = space;
	/* If the attach mapped nothing, it must not fail a later map */
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
			t->bound[c][i] = false;
		break;
	default:
		sva_remove_device(ctx, t->dev[i]);
		t->rid[c][i] = NOWHERE;
		t->bound[c][i] = false;
	}
}

/* Mapping and unmapping affect all page tables of attached devices */
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
	KUNIT_EXPECT_GE(test, t->failed, itest_rounds(5));
	for (c = 0; c < NR_CTX; c++)
		for (i = 0; i < NR_DEVICES; i++) {
			sva_remove_device(t->it[c]->ctx, t->dev[i]);
			t->rid[c][i] = NOWHERE;
			t->bound[c][i] = false;
		}
	check_table(test, t);
}

/* Sets up one device and one context, for tests without the model */
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
	u32 dev_id = 0;
	int rc;

	params.ioasid = id;
	params.dev_id = &dev_id;
	ioasid_extack_init(extack);
	rc = sva_register_device_to_pasid(it->ctx, IOASID_RID, dev, &params,
					  extack);
	KUNIT_EXPECT_EQ(it->test, !rc, !!dev_id);
	return rc;
}

/* The core trusts a glue, but checks what it can check itself */
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

static const struct file_operations device_fops = { .owner = THIS_MODULE };

static int bind(struct itest *it, struct device *dev,
		const struct ioasid_file_ref *file_ref,
		struct ioasid_extack *extack)
{
	ioasid_extack_init(extack);
	return ioasid_device_bind(it->ctx, dev, &itest_params, file_ref, NULL,
				  extack);
}

/* A device bound by its file has one context, until a glue takes it over */
static void one_context_by_file(struct kunit *test)
{
	struct ioasid_resolver resolver = {
		.owner = "test", .module = THIS_MODULE,
	};
	struct ioasid_file_ref file_ref = {
		.resolver = &resolver, .stay = true,
	};
	struct ioasid_extack extack;
	struct itest_iommu *fake;
	struct itest *it[2];
	struct device *dev;

	it[0] = one_device(test, &confs[2], &fake, &dev);
	it[1] = itest_open(test);
	file_ref.info.dev = dev;
	file_ref.file = anon_inode_getfile("[ioasid-test-device]", &device_fops,
					   NULL, O_RDWR | O_CLOEXEC);
	KUNIT_ASSERT_NOT_ERR_OR_NULL(test, file_ref.file);
	KUNIT_EXPECT_EQ(test, bind(it[0], dev, &file_ref, &extack), 0);
	KUNIT_EXPECT_EQ(test, bind(it[1], dev, &file_ref, &extack), -EBUSY);
	KUNIT_EXPECT_EQ(test, extack.code, (u32)IOASID_REASON_OWNER);
	KUNIT_EXPECT_EQ(test, bind(it[1], dev, NULL, &extack), -EBUSY);
	KUNIT_EXPECT_EQ(test, extack.code, (u32)IOASID_REASON_OWNER);
	/* A glue may move its device through two contexts */
	KUNIT_EXPECT_EQ(test, bind(it[0], dev, NULL, &extack), 0);
	KUNIT_EXPECT_EQ(test, bind(it[1], dev, NULL, &extack), 0);
	sva_remove_device(it[0]->ctx, dev);
	KUNIT_EXPECT_EQ(test, bind(it[0], dev, &file_ref, &extack), -EBUSY);
	sva_remove_device(it[1]->ctx, dev);
	KUNIT_EXPECT_EQ(test, it[0]->ctx->nr_devices, 0U);
	KUNIT_EXPECT_EQ(test, it[1]->ctx->nr_devices, 0U);
	fput(file_ref.file);
}

/* A RID that nobody owns belongs to the kernel, which may give it to a driver */
static void rid_has_an_owner(struct kunit *test)
{
	static const struct itest_device_conf conf = { .pasid_bits = 8 };
	struct ioasid_extack extack;
	struct itest_iommu *fake;
	struct device *dev;
	struct itest *it = one_device(test, &conf, &fake, &dev);
	u32 id = itest_alloc_space(it), pasid = IOASID_PASID_ANY, dev_id;

	itest_disown(dev);
	KUNIT_EXPECT_EQ(test, attach(it, dev, id, &extack), -EPERM);
	KUNIT_EXPECT_EQ(test, extack.code, (u32)IOASID_REASON_OWNER);
	KUNIT_EXPECT_EQ(test, fake->knobs.nr_attach, 0U);
	KUNIT_EXPECT_EQ(test, it->ctx->nr_devices, 0U);
	itest_own(test, dev);
	KUNIT_EXPECT_EQ(test, attach(it, dev, id, &extack), 0);
	sva_remove_device(it->ctx, dev);
	/* The RID of its driver stays as it is beside a PASID */
	itest_disown(dev);
	dev_id = itest_bind_device(it, dev);
	KUNIT_EXPECT_EQ(test, itest_attach(it, dev_id, id, &pasid, 0, 0), 0);
	sva_remove_device(it->ctx, dev);
}

/* Commands by the id of the device */
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

/* Mappings collide with what a device reserves, in either order */
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
	/* It was bound for the attach, and is unbound again */
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
	/* It is not reserved any more */
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

/* KVM relies on the capability of the device, so its domain must enforce it */
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
	/* It cannot use a domain that does not enforce it */
	KUNIT_EXPECT_EQ(test, attach(it, dev[0], id, &extack), 0);
	KUNIT_EXPECT_EQ(test, attach(it, dev[1], id, &extack), 0);
	KUNIT_EXPECT_PTR_NE(test, itest_device_domain(dev[0]),
			    itest_device_domain(dev[1]));
	sva_remove_device(it->ctx, dev[0]);
	/* The other device can use a domain that does */
	KUNIT_EXPECT_EQ(test, attach(it, dev[0], id, &extack), 0);
	KUNIT_EXPECT_PTR_EQ(test, itest_device_domain(dev[0]),
			    itest_device_domain(dev[1]));
	sva_remove_device(it->ctx, dev[0]);
	sva_remove_device(it->ctx, dev[1]);
}

/* Attached devices keep their DMA after the file is closed, until they are removed */
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
	/* Memory that no device can reach is unpinned at once */
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
	KUNIT_CASE(one_context_by_file),
	KUNIT_CASE(rid_has_an_owner),
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
