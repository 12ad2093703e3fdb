// SPDX-License-Identifier: GPL-2.0
/*
 * Page requests for the memory of a process: the answers, and that nobody but
 * the process waits for its memory. mmap_lock, held for writing, stands for
 * memory that does not come.
 */
#include <linux/delay.h>
#include <linux/kthread.h>
#include <linux/mm.h>
#include "../mm.h"
#include "test.h"

static const struct itest_device_conf confs[] = {
	{ .group = 0, .pasid_bits = 8, .pri = true },
	{ .group = 1, .pasid_bits = 8, .pri = true },
	{ .group = 2, .pasid_bits = 8, .pri = true },
	{ .group = 2, .pasid_bits = 8, .pri = true },
};

/**
 * struct asked - devices that ask for memory of the test
 * @test: the test
 * @it: the context
 * @dev: devices
 * @id: their ids
 * @mm: the space
 * @pasid: PASID of the test
 */
struct asked {
	struct kunit *test;
	struct itest *it;
	struct device *dev[ARRAY_SIZE(confs)];
	u32 id[ARRAY_SIZE(confs)];
	u32 mm;
	u32 pasid;
};

static int attach(struct asked *a, u32 i)
{
	a->pasid = IOASID_PASID_ANY;
	return itest_attach(a->it, a->id[i], a->mm, &a->pasid, 0, 0);
}

static void new_asked(struct kunit *test, struct asked *a)
{
	struct itest_iommu *fake;
	u32 i;

	itest_memory(test);
	fake = itest_iommu_new(test);
	for (i = 0; i < ARRAY_SIZE(confs); i++)
		a->dev[i] = itest_device_new(test, fake, &confs[i]);
	a->test = test;
	a->it = itest_open(test);
	for (i = 0; i < ARRAY_SIZE(confs); i++)
		a->id[i] = itest_bind_device(a->it, a->dev[i]);
	a->mm = itest_alloc_kind(a->it, IOASID_KIND_MM, 0);
	KUNIT_ASSERT_EQ(test, attach(a, 0), 0);
}

static void end_asked(struct asked *a)
{
	u32 i;

	for (i = 0; i < ARRAY_SIZE(confs); i++)
		sva_remove_device(a->it->ctx, a->dev[i]);
}

static void ask(struct asked *a, u32 i, u32 group, u64 addr)
{
	itest_ask(a->test, a->dev[i], a->pasid, group, &addr, 1);
}

static int answer(struct asked *a, u32 i, u32 group)
{
	unsigned long end;
	int code;

	for (end = jiffies + 30 * HZ; time_before(jiffies, end); msleep(1)) {
		code = itest_answer(a->dev[i], group);
		if (code != ITEST_WAITS)
			return code;
	}
	return ITEST_WAITS;
}

/* The workers have all returned */
static bool is_idle(struct asked *a)
{
	struct ioasid_mm_faults *f = ioasid_mm_faults_of(current->mm);
	unsigned long end;
	u32 i, busy = 1;

	for (end = jiffies + 30 * HZ; busy && time_before(jiffies, end); msleep(1))
		scoped_guard(spinlock, &f->lock)
			for (i = 0, busy = 0; i < IOASID_MM_WORKERS; i++)
				busy += f->workers[i].busy;
	return !busy;
}

/**
 * struct stop - a thread that keeps the memory of the test from coming
 * @mm: memory of the test
 * @begun: it does
 * @end: it is to stop
 * @ended: it has stopped
 */
struct stop {
	struct mm_struct *mm;
	struct completion begun;
	struct completion end;
	struct completion ended;
};

static int stop_fn(void *data)
{
	struct stop *s = data;

	mmap_write_lock(s->mm);
	complete(&s->begun);
	wait_for_completion(&s->end);
	mmap_write_unlock(s->mm);
	complete(&s->ended);
	return 0;
}

static void stop_memory(struct kunit *test, struct stop *s)
{
	s->mm = current->mm;
	init_completion(&s->begun);
	init_completion(&s->end);
	init_completion(&s->ended);
	KUNIT_ASSERT_FALSE(test, IS_ERR(kthread_run(stop_fn, s, "ioasid-test")));
	wait_for_completion(&s->begun);
}

static void go_on(struct stop *s)
{
	complete(&s->end);
	wait_for_completion(&s->ended);
}

static void answers(struct kunit *test)
{
	const u64 both[] = { ITEST_MEM, ITEST_MEM + PAGE_SIZE };
	const u64 hole[] = { ITEST_MEM, 0 };
	struct asked a;

	new_asked(test, &a);
	ask(&a, 0, 1, ITEST_MEM + PAGE_SIZE);
	KUNIT_EXPECT_EQ(test, answer(&a, 0, 1), (int)IOMMU_PAGE_RESP_SUCCESS);
	itest_ask(test, a.dev[0], a.pasid, 2, both, 2);
	KUNIT_EXPECT_EQ(test, answer(&a, 0, 2), (int)IOMMU_PAGE_RESP_SUCCESS);
	itest_ask(test, a.dev[0], a.pasid, 3, hole, 2);
	KUNIT_EXPECT_EQ(test, answer(&a, 0, 3), (int)IOMMU_PAGE_RESP_INVALID);
	KUNIT_EXPECT_TRUE(test, is_idle(&a));
	end_asked(&a);
}

/* A detach answers; the worker, once it has the memory, has nobody to tell */
static void detach_does_not_wait(struct kunit *test)
{
	u32 pasid, i;
	struct asked a;
	struct stop s;

	new_asked(test, &a);
	KUNIT_ASSERT_EQ(test, attach(&a, 1), 0);
	pasid = a.pasid;
	stop_memory(test, &s);
	/* More than there are workers */
	for (i = 0; i < 2 * IOASID_MM_WORKERS; i++) {
		ask(&a, 0, i, ITEST_MEM);
		ask(&a, 1, i, ITEST_MEM);
	}
	msleep(20);
	KUNIT_EXPECT_EQ(test, itest_waiting(a.dev[0]), 2 * IOASID_MM_WORKERS);
	KUNIT_EXPECT_EQ(test, itest_waiting(a.dev[1]), 2 * IOASID_MM_WORKERS);
	KUNIT_EXPECT_EQ(test, itest_detach(a.it, a.id[0], pasid), 0);
	for (i = 0; i < 2 * IOASID_MM_WORKERS; i++)
		KUNIT_EXPECT_EQ(test, itest_answer(a.dev[0], i),
				(int)IOMMU_PAGE_RESP_INVALID);
	KUNIT_EXPECT_EQ(test, itest_waiting(a.dev[1]), 2 * IOASID_MM_WORKERS);
	go_on(&s);
	for (i = 0; i < 2 * IOASID_MM_WORKERS; i++)
		KUNIT_EXPECT_EQ(test, answer(&a, 1, i),
				(int)IOMMU_PAGE_RESP_SUCCESS);
	KUNIT_EXPECT_TRUE(test, is_idle(&a));
	end_asked(&a);
}

/* All sizes that a device chooses have an end */
static void limit(struct kunit *test)
{
	const u32 max = IOASID_MM_WORKERS + 4096;
	struct asked a;
	struct stop s;
	u32 i;

	new_asked(test, &a);
	stop_memory(test, &s);
	for (i = 0; i < IOASID_MM_WORKERS; i++)
		ask(&a, 0, i, ITEST_MEM);
	msleep(20);
	for (; i < max + 3; i++)
		ask(&a, 0, i, ITEST_MEM);
	KUNIT_EXPECT_EQ(test, itest_waiting(a.dev[0]), max);
	KUNIT_EXPECT_EQ(test, itest_answer(a.dev[0], max),
			(int)IOMMU_PAGE_RESP_INVALID);
	go_on(&s);
	KUNIT_EXPECT_EQ(test, answer(&a, 0, max - 1),
			(int)IOMMU_PAGE_RESP_SUCCESS);
	KUNIT_EXPECT_TRUE(test, is_idle(&a));
	KUNIT_EXPECT_EQ(test, itest_waiting(a.dev[0]), 0U);
	end_asked(&a);
}

/* The second number for the same PASID is the same device */
static void attached_twice(struct kunit *test)
{
	u32 any = IOASID_PASID_ANY, first;
	struct asked a;

	new_asked(test, &a);
	first = a.pasid;
	KUNIT_ASSERT_EQ(test, itest_attach(a.it, a.id[0], a.mm, &any, 99, 0), 0);
	KUNIT_EXPECT_TRUE(test, list_is_singular(&ioasid_mm_faults_of(current->mm)->bonds));
	KUNIT_EXPECT_EQ(test, itest_detach(a.it, a.id[0], first), 0);
	ask(&a, 0, 1, ITEST_MEM);
	KUNIT_EXPECT_EQ(test, answer(&a, 0, 1), (int)IOMMU_PAGE_RESP_SUCCESS);
	KUNIT_EXPECT_EQ(test, itest_detach(a.it, a.id[0], 99), 0);
	KUNIT_EXPECT_TRUE(test, list_empty(&ioasid_mm_faults_of(current->mm)->bonds));
	end_asked(&a);
}

/* A device of the group that is not attached has no right to the memory */
static void sibling(struct kunit *test)
{
	struct asked a;

	new_asked(test, &a);
	KUNIT_ASSERT_EQ(test, attach(&a, 2), 0);
	ask(&a, 3, 1, ITEST_MEM);
	KUNIT_EXPECT_EQ(test, itest_answer(a.dev[3], 1),
			(int)IOMMU_PAGE_RESP_INVALID);
	ask(&a, 2, 1, ITEST_MEM);
	KUNIT_EXPECT_EQ(test, answer(&a, 2, 1), (int)IOMMU_PAGE_RESP_SUCCESS);
	KUNIT_EXPECT_TRUE(test, is_idle(&a));
	end_asked(&a);
}

/* What a driver has attached without us is the IOMMU core's, before and after */
static void other_driver(struct kunit *test)
{
	struct ioasid_mm_faults *f;
	struct iommu_sva *sva;
	struct asked a;
	struct stop s;

	new_asked(test, &a);
	f = ioasid_mm_faults_of(current->mm);
	sva = iommu_sva_bind_device(a.dev[1], current->mm);
	KUNIT_ASSERT_EQ(test, PTR_ERR_OR_ZERO(sva), 0);
	stop_memory(test, &s);
	ask(&a, 1, 1, ITEST_MEM);
	scoped_guard(spinlock, &f->lock)
		KUNIT_EXPECT_FALSE(test, f->workers[0].busy);
	go_on(&s);
	KUNIT_EXPECT_EQ(test, answer(&a, 1, 1), (int)IOMMU_PAGE_RESP_SUCCESS);
	KUNIT_EXPECT_EQ(test, itest_detach(a.it, a.id[0], a.pasid), 0);
	KUNIT_EXPECT_TRUE(test, ioasid_mm_faults_in_use(f));
	ask(&a, 1, 2, ITEST_MEM);
	KUNIT_EXPECT_EQ(test, answer(&a, 1, 2), (int)IOMMU_PAGE_RESP_SUCCESS);
	iommu_sva_unbind_device(sva);
	KUNIT_EXPECT_FALSE(test, ioasid_mm_faults_in_use(f));
	end_asked(&a);
}

static struct kunit_case ioasid_mm_fault_cases[] = {
	KUNIT_CASE(answers),
	KUNIT_CASE(detach_does_not_wait),
	KUNIT_CASE(limit),
	KUNIT_CASE(attached_twice),
	KUNIT_CASE(sibling),
	KUNIT_CASE(other_driver),
	{}
};

static struct kunit_suite ioasid_mm_fault_suite = {
	.name = "ioasid_mm_fault",
	.test_cases = ioasid_mm_fault_cases,
};
kunit_test_suite(ioasid_mm_fault_suite);
