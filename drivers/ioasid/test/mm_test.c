// SPDX-License-Identifier: GPL-2.0
/*
 * Spaces that are the address space of a process: who may attach them, their
 * charges, errors and their reasons, and complete cleanup. The selftests test that
 * devices can access the memory.
 */
#include <linux/cred.h>
#include <linux/delay.h>
#include <linux/kthread.h>
#include <linux/sched/mm.h>
#include "test.h"

static const struct itest_device_conf confs[] = {
	{ .group = 0, .pasid_bits = 8, .pri = true },
	{ .group = 1, .pasid_bits = 8, .pri = true },
	{ .group = 2 },
};

/**
 * struct mine - a context with the address space of the test
 * @it: the context
 * @fake: the IOMMU
 * @dev: devices
 * @id: their ids
 * @mm: the space
 */
struct mine {
	struct itest *it;
	struct itest_iommu *fake;
	struct device *dev[ARRAY_SIZE(confs)];
	u32 id[ARRAY_SIZE(confs)];
	u32 mm;
};

static void new_mine(struct kunit *test, struct mine *m)
{
	u32 i;

	itest_memory(test);
	m->fake = itest_iommu_new(test);
	for (i = 0; i < ARRAY_SIZE(confs); i++)
		m->dev[i] = itest_device_new(test, m->fake, &confs[i]);
	m->it = itest_open(test);
	for (i = 0; i < ARRAY_SIZE(confs); i++)
		m->id[i] = itest_bind_device(m->it, m->dev[i]);
	m->mm = itest_alloc_kind(m->it, IOASID_KIND_MM, 0);
}

static void end_mine(struct mine *m)
{
	u32 i;

	for (i = 0; i < ARRAY_SIZE(confs); i++)
		sva_remove_device(m->it->ctx, m->dev[i]);
	KUNIT_EXPECT_EQ(m->it->test, atomic_read(&m->fake->knobs.nr_sva), 0);
}

static int attach(struct mine *m, u32 i, u32 *pasid, u32 vpasid)
{
	*pasid = IOASID_PASID_ANY;
	return itest_attach(m->it, m->id[i], m->mm, pasid, vpasid, 0);
}

/* One PASID for all devices, beside a mapped space and a RID */
static void one_pasid_everywhere(struct kunit *test)
{
	u32 p, q, other, rid = IOASID_RID, any = IOASID_PASID_ANY;
	struct ioasid_space_info info = {};
	struct mine m;

	new_mine(test, &m);
	KUNIT_ASSERT_EQ(test, attach(&m, 0, &p, 0), 0);
	KUNIT_ASSERT_EQ(test, attach(&m, 1, &q, 0), 0);
	KUNIT_EXPECT_EQ(test, p, q);
	KUNIT_EXPECT_PTR_EQ(test, itest_device_mm(m.dev[0], p), current->mm);
	KUNIT_EXPECT_PTR_EQ(test, itest_device_mm(m.dev[1], p), current->mm);
	/* It is the process', and the context that made it have one pays */
	KUNIT_EXPECT_EQ(test, itest_info(m.it).nr_pasids, 1U);
	info.ioasid = m.mm;
	KUNIT_ASSERT_EQ(test, ITEST_CMD(m.it, IOASID_SPACE_INFO, &info), 0);
	KUNIT_EXPECT_EQ(test, info.kind, (u32)IOASID_KIND_MM);
	KUNIT_EXPECT_EQ(test, info.nr_attachments, 2U);
	KUNIT_EXPECT_EQ(test, info.nr_domains, 0U);
	other = itest_alloc_space(m.it);
	KUNIT_EXPECT_EQ(test, itest_attach(m.it, m.id[0], other, &rid, 0, 0), 0);
	KUNIT_EXPECT_EQ(test, itest_attach(m.it, m.id[0], other, &any, 0, 0), 0);
	KUNIT_EXPECT_NE(test, any, p);
	/* It cannot be used for another space, nor freed */
	q = p;
	ITEST_EXPECT_ERR(m.it, itest_attach(m.it, m.id[1], other, &q, 0, 0),
			 -EPERM, IOASID_REASON_NO_PASID_ID);
	ITEST_EXPECT_ERR(m.it, itest_pasid_free(m.it, 1, &p), -ENOENT,
			 IOASID_REASON_NO_PASID_ID);
	ITEST_EXPECT_ERR(m.it, itest_free_space(m.it, m.mm), -EBUSY,
			 IOASID_REASON_IN_USE);
	KUNIT_EXPECT_EQ(test, itest_detach(m.it, m.id[0], p), 0);
	KUNIT_EXPECT_NULL(test, itest_device_mm(m.dev[0], p));
	KUNIT_EXPECT_PTR_EQ(test, itest_device_mm(m.dev[1], p), current->mm);
	/* A vpasid, and another attach: the process keeps its PASID */
	KUNIT_EXPECT_EQ(test, attach(&m, 0, &q, 99), 0);
	KUNIT_EXPECT_EQ(test, q, p);
	KUNIT_EXPECT_EQ(test, itest_detach(m.it, m.id[0], p), -ENOENT);
	KUNIT_EXPECT_EQ(test, itest_detach(m.it, m.id[0], 99), 0);
	end_mine(&m);
	KUNIT_EXPECT_EQ(test, itest_free_space(m.it, m.mm), 0);
}

/* Operations that only mapped spaces have, and failures of the IOMMU driver */
static void refusals(struct kunit *test)
{
	static const struct {
		int err;
		int want;
		u32 code;
	} sva[] = {
		{ -ENODEV, -ENODEV, IOASID_REASON_NO_SVA },
		{ -EOPNOTSUPP, -EOPNOTSUPP, IOASID_REASON_NO_SVA },
		{ -ENOSPC, -ENOSPC, IOASID_REASON_LIMIT },
		{ -EBUSY, -EBUSY, IOASID_REASON_RESET },
		{ -EIO, -EIO, IOASID_REASON_IOMMU },
	};
	struct ioasid_alloc arg = {
		.kind = IOASID_KIND_MM, .flags = IOASID_ALLOC_FAULTS,
	};
	u32 p, i, other, n;
	struct mine m;

	new_mine(test, &m);
	ITEST_EXPECT_ERR(m.it, ITEST_CMD(m.it, IOASID_ALLOC, &arg), -EINVAL,
			 IOASID_REASON_KIND);
	ITEST_EXPECT_ERR(m.it, itest_map_one(m.it, m.mm, 0, ITEST_MEM, PAGE_SIZE,
					     IOASID_MAP_READ), -EINVAL,
			 IOASID_REASON_KIND);
	ITEST_EXPECT_ERR(m.it, attach(&m, 2, &p, 0), -EOPNOTSUPP,
			 IOASID_REASON_NO_PASID);
	for (i = 0; i < ARRAY_SIZE(sva); i++) {
		m.fake->knobs.sva_err = sva[i].err;
		ITEST_EXPECT_ERR(m.it, attach(&m, 0, &p, 0), sva[i].want,
				 sva[i].code);
	}
	m.fake->knobs.sva_err = 0;
	m.fake->knobs.fail_attach = 1;
	m.fake->knobs.attach_err = -EIO;
	ITEST_EXPECT_ERR(m.it, attach(&m, 0, &p, 0), -EIO, IOASID_REASON_IOMMU);
	KUNIT_EXPECT_EQ(test, atomic_read(&m.fake->knobs.nr_sva), 0);
	KUNIT_ASSERT_EQ(test, attach(&m, 0, &p, 7), 0);
	/* Attached twice, and with a number that is in use */
	ITEST_EXPECT_ERR(m.it, attach(&m, 0, &n, 7), -EBUSY,
			 IOASID_REASON_ATTACHED);
	/* Cannot be replaced by, or replace, another space */
	other = itest_alloc_space(m.it);
	n = IOASID_PASID_ANY;
	ITEST_EXPECT_ERR(m.it, itest_attach(m.it, m.id[0], other, &n, 7,
					    IOASID_ATTACH_REPLACE), -EOPNOTSUPP,
			 IOASID_REASON_KIND);
	KUNIT_EXPECT_PTR_EQ(test, itest_device_mm(m.dev[0], p), current->mm);
	KUNIT_EXPECT_EQ(test, itest_info(m.it).nr_pasids, 1U);
	end_mine(&m);
}

/**
 * struct stranger - another process with the same open file
 * @m: the context and its space
 * @mm: its own address space
 * @rc: result of the attach
 * @code: its reason
 * @done: it has ended
 */
struct stranger {
	struct mine *m;
	struct mm_struct *mm;
	int rc;
	u32 code;
	struct completion done;
};

static int strange(void *data)
{
	struct stranger *s = data;
	struct ioasid_attach_params params = {
		.ioasid = s->m->mm, .owner = "test", .unsafe_interrupts = true,
	};
	struct ioasid_extack extack;

	kthread_use_mm(s->mm);
	ioasid_extack_init(&extack);
	s->rc = sva_register_device_to_pasid(s->m->it->ctx, IOASID_PASID_ANY,
					     s->m->dev[0], &params, &extack);
	s->code = extack.code;
	kthread_unuse_mm(s->mm);
	complete(&s->done);
	return 0;
}

static void strange_try(struct kunit *test, struct stranger *s)
{
	struct task_struct *t;

	init_completion(&s->done);
	t = kthread_run(strange, s, "ioasid-test");
	KUNIT_ASSERT_FALSE(test, IS_ERR(t));
	wait_for_completion(&s->done);
}

/* Access to the file gives no access to the memory of another process */
static void only_the_process_itself(struct kunit *test)
{
	struct stranger s = {};
	struct mine m;

	new_mine(test, &m);
	s.m = &m;
	s.mm = mm_alloc();
	KUNIT_ASSERT_NOT_NULL(test, s.mm);
	strange_try(test, &s);
	KUNIT_EXPECT_EQ(test, s.rc, -EPERM);
	KUNIT_EXPECT_EQ(test, s.code, (u32)IOASID_REASON_OWNER);
	KUNIT_EXPECT_EQ(test, atomic_read(&m.fake->knobs.nr_sva), 0);
	mmput(s.mm);
	/* A thread with the same address space may attach it */
	s.mm = current->mm;
	strange_try(test, &s);
	KUNIT_EXPECT_EQ(test, s.rc, 0);
	end_mine(&m);
}

/* The space keeps the mm_struct and its PASID, but none of the memory */
static void holds_no_memory(struct kunit *test)
{
	int users, count;
	struct mine m;
	u32 p;

	new_mine(test, &m);
	users = atomic_read(&current->mm->mm_users);
	count = atomic_read(&current->mm->mm_count);
	KUNIT_ASSERT_EQ(test, attach(&m, 0, &p, 0), 0);
	KUNIT_EXPECT_EQ(test, atomic_read(&current->mm->mm_users), users);
	KUNIT_EXPECT_EQ(test, itest_info(m.it).pinned, 0ULL);
	end_mine(&m);
	KUNIT_EXPECT_EQ(test, itest_free_space(m.it, m.mm), 0);
	rcu_barrier();
	/* One for the space less, one for the charge more */
	KUNIT_EXPECT_EQ(test, atomic_read(&current->mm->mm_count), count);
	KUNIT_EXPECT_EQ(test, atomic_read(&current->mm->mm_users), users);
}

static s64 pasids_of(struct itest *it)
{
	return atomic64_read(&it->ctx->user->used[IOASID_QUOTA_PASIDS]);
}

/* One process pays once, by however many spaces and contexts, while it has it */
static void counts_once(struct kunit *test)
{
	struct itest *other, *again;
	const struct cred *old;
	u32 p, id, space;
	struct mine m;

	old = itest_become_user(test, 4321);
	new_mine(test, &m);
	itest_restore_cred(old);
	other = itest_open(test);
	KUNIT_EXPECT_EQ(test, pasids_of(m.it), 0LL);
	KUNIT_ASSERT_EQ(test, attach(&m, 0, &p, 0), 0);
	KUNIT_EXPECT_EQ(test, itest_detach(m.it, m.id[0], p), 0);
	KUNIT_ASSERT_EQ(test, attach(&m, 1, &p, 0), 0);
	space = itest_alloc_kind(m.it, IOASID_KIND_MM, 0);
	p = IOASID_PASID_ANY;
	KUNIT_ASSERT_EQ(test, itest_attach(m.it, m.id[0], space, &p, 0, 0), 0);
	KUNIT_EXPECT_EQ(test, pasids_of(m.it), 1LL);
	KUNIT_EXPECT_EQ(test, itest_info(m.it).nr_pasids, 1U);
	/* By another context of somebody else: it is still the first that pays */
	sva_remove_device(m.it->ctx, m.dev[0]);
	id = itest_bind_device(other, m.dev[0]);
	space = itest_alloc_kind(other, IOASID_KIND_MM, 0);
	p = IOASID_PASID_ANY;
	KUNIT_ASSERT_EQ(test, itest_attach(other, id, space, &p, 0, 0), 0);
	KUNIT_EXPECT_EQ(test, itest_info(other).nr_pasids, 0U);
	KUNIT_EXPECT_EQ(test, itest_info(m.it).nr_pasids, 1U);
	sva_remove_device(other->ctx, m.dev[0]);
	/* The spaces go, the PASID stays, and so does what is owed */
	end_mine(&m);
	KUNIT_EXPECT_EQ(test, itest_free_space(m.it, m.mm), 0);
	KUNIT_EXPECT_EQ(test, itest_free_space(other, space), 0);
	rcu_barrier();
	KUNIT_EXPECT_TRUE(test, mm_valid_pasid(current->mm));
	KUNIT_EXPECT_EQ(test, itest_info(m.it).nr_pasids, 1U);
	itest_close(m.it);
	old = itest_become_user(test, 4321);
	again = itest_open(test);
	itest_restore_cred(old);
	KUNIT_EXPECT_EQ(test, itest_info(again).nr_pasids, 0U);
	KUNIT_EXPECT_EQ(test, pasids_of(again), 1LL);
}

/* As many as the user may have: then there is none for a process */
static void quota(struct kunit *test)
{
	u32 *got = kunit_kcalloc(test, 1024, sizeof(*got), GFP_KERNEL), i, p;
	static const struct itest_device_conf wide = {
		.group = 3, .pasid_bits = 16,
	};
	const struct cred *old;
	struct itest *it[4];
	struct device *dev;
	struct mine m;
	u32 id[4];

	KUNIT_ASSERT_NOT_NULL(test, got);
	old = itest_become_user(test, 4322);
	new_mine(test, &m);
	dev = itest_device_new(test, m.fake, &wide);
	for (i = 0; i < 4; i++) {
		it[i] = itest_open(test);
		id[i] = itest_bind_device(it[i], dev);
		KUNIT_ASSERT_EQ(test, itest_pasid_alloc(it[i], id[i], 1024,
							got), 0);
	}
	itest_restore_cred(old);
	ITEST_EXPECT_ERR(m.it, attach(&m, 0, &p, 0), -EDQUOT,
			 IOASID_REASON_LIMIT);
	KUNIT_EXPECT_FALSE(test, mm_valid_pasid(current->mm));
	KUNIT_EXPECT_EQ(test, itest_info(m.it).nr_pasids, 0U);
	for (i = 0; i < 4; i++)
		sva_remove_device(it[i]->ctx, dev);
	end_mine(&m);
}

static int attach_as_process(void *data)
{
	struct stranger *s = data;
	struct ioasid_space_params kind = { .kind = IOASID_KIND_MM };
	struct ioasid_attach_params params = {
		.owner = "test", .unsafe_interrupts = true,
	};
	struct ioasid_ctx *ctx = s->m->it->ctx;
	struct ioasid_extack extack;

	kthread_use_mm(s->mm);
	ioasid_extack_init(&extack);
	s->rc = ioasid_space_alloc(ctx, &kind, &params.ioasid, &extack) ?:
			sva_register_device_to_pasid(ctx, IOASID_PASID_ANY,
						     s->m->dev[0], &params,
						     &extack);
	if (!s->rc)
		sva_remove_device(ctx, s->m->dev[0]);
	s->rc = s->rc ?: ioasid_space_free(ctx, params.ioasid, &extack);
	kthread_unuse_mm(s->mm);
	complete(&s->done);
	return 0;
}

/* The process is dead, and something of it is still held: it has its PASID */
static void until_nothing_is_left_of_it(struct kunit *test)
{
	unsigned long end;
	struct task_struct *t;
	struct stranger s = {};
	struct mine m;
	u32 i;

	new_mine(test, &m);
	s.m = &m;
	s.mm = mm_alloc();
	KUNIT_ASSERT_NOT_NULL(test, s.mm);
	mmgrab(s.mm);
	for (i = 0; i < 2; i++) {
		init_completion(&s.done);
		t = kthread_run(attach_as_process, &s, "ioasid-test");
		KUNIT_ASSERT_FALSE(test, IS_ERR(t));
		wait_for_completion(&s.done);
		KUNIT_EXPECT_EQ(test, s.rc, 0);
		KUNIT_EXPECT_EQ(test, itest_info(m.it).nr_pasids, 1U);
	}
	mmput(s.mm);
	msleep(100);
	KUNIT_EXPECT_FALSE(test, ioasid_mm_pasid_reap_one());
	KUNIT_EXPECT_EQ(test, itest_info(m.it).nr_pasids, 1U);
	mmdrop(s.mm);
	/* A processor that is idle may still have it, for a moment */
	for (end = jiffies + 30 * HZ; time_before(jiffies, end); msleep(20))
		if (!itest_info(m.it).nr_pasids)
			break;
	KUNIT_EXPECT_EQ(test, itest_info(m.it).nr_pasids, 0U);
	end_mine(&m);
}

static struct kunit_case ioasid_mm_cases[] = {
	KUNIT_CASE(one_pasid_everywhere),
	KUNIT_CASE(refusals),
	KUNIT_CASE(only_the_process_itself),
	KUNIT_CASE(holds_no_memory),
	KUNIT_CASE(counts_once),
	KUNIT_CASE(quota),
	KUNIT_CASE(until_nothing_is_left_of_it),
	{}
};

static struct kunit_suite ioasid_mm_suite = {
	.name = "ioasid_mm",
	.test_cases = ioasid_mm_cases,
};
kunit_test_suite(ioasid_mm_suite);
