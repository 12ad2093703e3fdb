// SPDX-License-Identifier: GPL-2.0
/*
 * What all spaces share: ids, locking, lifetime, information and reserved ranges.
 */
#include <linux/completion.h>
#include <linux/kthread.h>
#include <linux/mman.h>
#include <linux/sizes.h>
#include "test.h"

#define NR_IDS	64

/* Ids are unique, belong to one context, and are invalid after the free */
static void random_ids(struct kunit *test)
{
	struct itest *it[2];
	u32 id[2][NR_IDS] = {}, nr[2] = {}, c, i, k, step;
	struct rnd_state rnd;

	itest_memory(test);
	itest_seed(test, &rnd);
	for (c = 0; c < 2; c++)
		it[c] = itest_open(test);
	for (step = 0; step < itest_rounds(3000); step++) {
		struct ioasid_space_info info = {};

		c = itest_below(&rnd, 2);
		i = itest_below(&rnd, NR_IDS);
		if (id[c][i]) {
			KUNIT_ASSERT_EQ(test, itest_free_space(it[c], id[c][i]),
					0);
			ITEST_EXPECT_ERR(it[c],
					 itest_free_space(it[c], id[c][i]),
					 -ENOENT, IOASID_REASON_NO_SPACE_ID);
			info.ioasid = id[c][i];
			ITEST_EXPECT_ERR(it[c], ITEST_CMD(it[c],
							  IOASID_SPACE_INFO,
							  &info),
					 -ENOENT, IOASID_REASON_NO_SPACE_ID);
			KUNIT_ASSERT_EQ(test, it[c]->ext.ioasid, id[c][i]);
			id[c][i] = 0;
			nr[c]--;
		} else {
			id[c][i] = itest_alloc_space(it[c]);
			nr[c]++;
			KUNIT_ASSERT_NE(test, id[c][i], 0U);
			for (k = 0; k < NR_IDS; k++)
				KUNIT_ASSERT_TRUE(test, k == i ||
						  id[c][k] != id[c][i]);
		}
		KUNIT_ASSERT_EQ(test, itest_info(it[c]).nr_spaces, nr[c]);
	}
}

/* Round and round, past those in use; never again at once */
static void ids_go_round(struct kunit *test)
{
	const struct ioasid_fault_queue like = { .depth = 16 };
	static const struct itest_device_conf conf = {};
	u32 kept, id, last, i;
	struct itest_queue tq;
	struct device *dev;
	struct itest *it;

	itest_memory(test);
	dev = itest_device_new(test, itest_iommu_new(test), &conf);
	it = itest_open(test);
	kept = itest_alloc_space(it);
	for (i = 0, last = kept; i < 200; i++, last = id) {
		id = itest_alloc_space(it);
		KUNIT_ASSERT_EQ(test, id, last + 1);
		KUNIT_ASSERT_EQ(test, itest_free_space(it, id), 0);
		KUNIT_ASSERT_EQ(test, itest_free_space(it, last == kept ?
						       id : last), -ENOENT);
	}
	it->ctx->next_space = S32_MAX;
	KUNIT_EXPECT_EQ(test, itest_alloc_space(it), (u32)S32_MAX);
	KUNIT_EXPECT_EQ(test, itest_alloc_space(it), kept + 1);
	for (i = 0, last = 0; i < 5; i++, last = tq.id) {
		itest_queue_open(it, &tq, &like);
		KUNIT_EXPECT_EQ(test, tq.id, last + 1);
		itest_queue_close(it, &tq);
	}
	for (i = 0, last = 0; i < 5; i++, last = id) {
		id = itest_bind_device(it, dev);
		KUNIT_EXPECT_EQ(test, id, last + 1);
		sva_remove_device(it->ctx, dev);
	}
}

static void label_and_kind_are_told(struct kunit *test)
{
	struct ioasid_alloc arg = {
		.kind = IOASID_KIND_MAPPED,
		.label = "1234567890123456789012345678901",
	};
	struct ioasid_space_info info = { .parent = 7, .mapped = 7 };
	struct itest *it;

	itest_memory(test);
	it = itest_open(test);
	KUNIT_ASSERT_EQ(test, ITEST_CMD(it, IOASID_ALLOC, &arg), 0);
	info.ioasid = arg.ioasid;
	KUNIT_ASSERT_EQ(test, ITEST_CMD(it, IOASID_SPACE_INFO, &info), 0);
	KUNIT_EXPECT_STREQ(test, info.label, arg.label);
	KUNIT_EXPECT_EQ(test, info.kind, (u32)IOASID_KIND_MAPPED);
	KUNIT_EXPECT_EQ(test, info.parent, 0U);
	KUNIT_EXPECT_EQ(test, info.mapped, 0ULL);
	KUNIT_EXPECT_EQ(test, info.nr_ranges, 1U);
	KUNIT_EXPECT_EQ(test, info.page_sizes, (u64)PAGE_MASK);
}

/* Page sizes are those of all domains; totals are of this space only */
static void info_is_of_this_space(struct kunit *test)
{
	struct itest_domain *d[2] = {
		itest_domain_new(test), itest_domain_new(test),
	};
	struct ioasid_space_info info = {};
	struct ioasid_space *space;
	struct ioasid_copy copy;
	struct itest *it;
	u32 id, other;

	itest_memory(test);
	it = itest_open(test);
	id = itest_alloc_space(it);
	other = itest_alloc_space(it);
	space = itest_space_get(it, id);
	itest_space_add_domain(test, space, d[0]);
	itest_space_add_domain(test, space, d[1]);
	d[1]->domain.pgsize_bitmap = SZ_4K | SZ_1G;
	KUNIT_EXPECT_EQ(test, itest_map_one(it, other, SZ_1M, ITEST_MEM, SZ_16K,
					    IOASID_MAP_READ), 0);
	KUNIT_EXPECT_EQ(test, itest_map_one(it, id, SZ_1M, ITEST_MEM, SZ_8K,
					    IOASID_MAP_READ), 0);
	copy = (struct ioasid_copy) {
		.flags = IOASID_MAP_READ, .src_ioasid = other,
		.dst_ioasid = id, .src_iova = SZ_1M, .length = SZ_16K,
	};
	KUNIT_EXPECT_EQ(test, ITEST_CMD(it, IOASID_COPY, &copy), 0);
	info.ioasid = id;
	KUNIT_ASSERT_EQ(test, ITEST_CMD(it, IOASID_SPACE_INFO, &info), 0);
	KUNIT_EXPECT_EQ(test, info.nr_domains, 2U);
	KUNIT_EXPECT_EQ(test, info.page_sizes, (u64)(SZ_4K | SZ_1G));
	KUNIT_EXPECT_EQ(test, info.nr_mappings, 2ULL);
	KUNIT_EXPECT_EQ(test, info.mapped, (u64)SZ_8K + SZ_16K);
	KUNIT_EXPECT_EQ(test, info.pinned, (u64)SZ_8K);
	KUNIT_EXPECT_EQ(test, itest_unmap(it, id, NULL, 0, NULL), 0);
	itest_space_del_domain(space, d[0]);
	itest_space_del_domain(space, d[1]);
	ioasid_space_put(space);
}

/* A freed space with a reference cannot be locked and has no memory */
static void free_does_not_wait(struct kunit *test)
{
	struct ioasid_space *space;
	struct ioasid_extack extack;
	struct itest *it;
	u32 id;

	itest_memory(test);
	it = itest_open(test);
	id = itest_alloc_space(it);
	KUNIT_ASSERT_EQ(test, itest_map_one(it, id, 0, ITEST_MEM, SZ_64K,
					    IOASID_MAP_READ), 0);
	space = itest_space_get(it, id);
	ioasid_extack_init(&extack);
	KUNIT_EXPECT_EQ(test, itest_free_space(it, id), 0);
	KUNIT_EXPECT_EQ(test, atomic64_read(&it->ctx->pinned), 0LL);
	KUNIT_EXPECT_EQ(test, itest_info(it).nr_spaces, 0U);
	KUNIT_EXPECT_EQ(test, kref_read(&space->obj.ref), 1U);
	KUNIT_EXPECT_EQ(test, ioasid_space_lock(space, &extack), -ENOENT);
	KUNIT_EXPECT_EQ(test, extack.code, (u32)IOASID_REASON_NO_SPACE_ID);
	KUNIT_EXPECT_EQ(test, ioasid_space_release_id(space, &extack), -ENOENT);
	KUNIT_EXPECT_TRUE(test,
			  IS_ERR(ioasid_space_get_read(it->ctx, id, &extack)));
	/* It is not locked any more */
	KUNIT_EXPECT_TRUE(test, down_write_trylock(&space->rwsem));
	up_write(&space->rwsem);
	ioasid_space_put(space);
}

/* A command that is killed, or whose space is freed, while it waits for the lock */
static void killed_while_waiting(struct kunit *test)
{
	struct ioasid_space *space;
	struct ioasid_extack extack;
	struct itest *it;
	u32 id;

	itest_memory(test);
	it = itest_open(test);
	id = itest_alloc_space(it);
	space = itest_space_get(it, id);
	ioasid_extack_init(&extack);
	down_write(&space->rwsem);
	itest_set_killed(true);
	lockdep_off();
	KUNIT_EXPECT_EQ(test,
			PTR_ERR(ioasid_space_get_read(it->ctx, id, &extack)),
			(long)-EINTR);
	KUNIT_EXPECT_EQ(test, extack.code, (u32)IOASID_REASON_KILLED);
	/* Waiting for a writer that runs would spin forever */
	downgrade_write(&space->rwsem);
	ioasid_extack_init(&extack);
	KUNIT_EXPECT_EQ(test, ioasid_space_lock(space, &extack), -EINTR);
	KUNIT_EXPECT_EQ(test, extack.code, (u32)IOASID_REASON_KILLED);
	ITEST_EXPECT_ERR(it, itest_free_space(it, id), -EINTR,
			 IOASID_REASON_KILLED);
	lockdep_on();
	itest_set_killed(false);
	up_read(&space->rwsem);
	KUNIT_EXPECT_EQ(test, kref_read(&space->obj.ref), 2U);
	/* A device is attached: it cannot be freed */
	space->nr_devices = 1;
	ITEST_EXPECT_ERR(it, itest_free_space(it, id), -EBUSY,
			 IOASID_REASON_IN_USE);
	space->nr_devices = 0;
	/* Freed between the lookup and the lock */
	space->dead = true;
	KUNIT_EXPECT_EQ(test,
			PTR_ERR(ioasid_space_get_read(it->ctx, id, &extack)),
			(long)-ENOENT);
	ITEST_EXPECT_ERR(it, itest_free_space(it, id), -ENOENT,
			 IOASID_REASON_NO_SPACE_ID);
	space->dead = false;
	ioasid_space_put(space);
}

/**
 * struct visitor - a thread that locks spaces while they are allocated and freed
 * @ctx: the context
 * @stop: it has to end
 * @entered: number of spaces locked
 * @missed: number of spaces not found
 * @done: it has ended
 */
struct visitor {
	struct ioasid_ctx *ctx;
	bool stop;
	u32 entered;
	u32 missed;
	struct completion done;
};

static int visit(void *data)
{
	struct visitor *v = data;
	struct ioasid_space *space;
	struct ioasid_extack extack;

	while (!READ_ONCE(v->stop)) {
		ioasid_extack_init(&extack);
		space = ioasid_space_get_read(v->ctx, 1, &extack);
		if (IS_ERR(space)) {
			v->missed++;
			/* No other call here reschedules */
			schedule_timeout_uninterruptible(1);
			continue;
		}
		v->entered++;
		WARN_ON(space->dead || space->ctx != v->ctx);
		schedule();
		ioasid_space_put_read(space);
	}
	complete(&v->done);
	return 0;
}

static void visitors_and_free(struct kunit *test)
{
	struct visitor *v = kunit_kcalloc(test, 3, sizeof(*v), GFP_KERNEL);
	struct task_struct *t;
	struct rnd_state rnd;
	unsigned long end;
	struct itest *it;
	u32 i;

	KUNIT_ASSERT_NOT_NULL(test, v);
	itest_seed(test, &rnd);
	itest_memory(test);
	it = itest_open(test);
	for (i = 0; i < 3; i++) {
		v[i].ctx = it->ctx;
		init_completion(&v[i].done);
		t = kthread_run(visit, &v[i], "ioasid-test-%u", i);
		KUNIT_ASSERT_FALSE(test, IS_ERR(t));
	}
	end = jiffies + HZ / 2;
	while (time_before(jiffies, end)) {
		it->ctx->next_space = 1;
		KUNIT_EXPECT_EQ(test, itest_alloc_space(it), 1U);
		schedule_timeout_uninterruptible(itest_below(&rnd, 3));
		KUNIT_EXPECT_EQ(test, itest_free_space(it, 1), 0);
	}
	/* Keeps one space, so that they can lock it even on one slow processor */
	it->ctx->next_space = 1;
	KUNIT_EXPECT_EQ(test, itest_alloc_space(it), 1U);
	for (i = 0; i < 3; i++) {
		while (!READ_ONCE(v[i].entered))
			schedule_timeout_interruptible(1);
		WRITE_ONCE(v[i].stop, true);
		wait_for_completion(&v[i].done);
	}
	itest_close(it);
}

/* SPACE_INFO must report exactly the usable ranges @want */
static void check_usable(struct itest *it, u32 id,
		       const struct ioasid_iova_range *want, u32 nr)
{
	struct ioasid_space_info info = {
		.ioasid = id, .nr_ranges = nr, .ranges = ITEST_VEC,
		.range_size = sizeof(*want),
	};
	struct ioasid_iova_range got[8];

	KUNIT_ASSERT_LE(it->test, nr, (u32)ARRAY_SIZE(got));
	KUNIT_ASSERT_EQ(it->test, ITEST_CMD(it, IOASID_SPACE_INFO, &info), 0);
	KUNIT_ASSERT_EQ(it->test, info.nr_ranges, nr);
	itest_get_user(it->test, got, ITEST_VEC, nr * sizeof(*got));
	KUNIT_EXPECT_MEMEQ(it->test, got, want, nr * sizeof(*got));
	/* With too little room the number is still reported */
	info.nr_ranges = nr - 1;
	ITEST_EXPECT_ERR(it, ITEST_CMD(it, IOASID_SPACE_INFO, &info), -EMSGSIZE,
			 IOASID_REASON_LIMIT);
	KUNIT_EXPECT_EQ(it->test, info.nr_ranges, nr);
	KUNIT_EXPECT_EQ(it->test, it->ext.value, (u64)nr);
	/* No room given, which is no error */
	info.ranges = 0;
	info.nr_ranges = 0;
	KUNIT_EXPECT_EQ(it->test, ITEST_CMD(it, IOASID_SPACE_INFO, &info), 0);
	KUNIT_EXPECT_EQ(it->test, info.nr_ranges, nr);
}

static int do_reserve(struct itest *it, u32 id,
		      const struct ioasid_iova_range *r, u32 nr)
{
	struct ioasid_reserve arg = {
		.ioasid = id, .nr = nr, .ranges = ITEST_VEC,
		.range_size = sizeof(*r),
	};

	if (nr)
		itest_put_user(it->test, ITEST_VEC, r, nr * sizeof(*r));
	return ITEST_CMD(it, IOASID_RESERVE, &arg);
}

static void reserve_replaces(struct kunit *test)
{
	static const struct ioasid_iova_range all[] = { { 0, U64_MAX } };
	static const struct ioasid_iova_range ends[] = {
		{ 0, SZ_1M - 1 }, { SZ_1G, SZ_2G - 1 },
		{ -(u64)SZ_1M, U64_MAX },
	};
	static const struct ioasid_iova_range between[] = {
		{ SZ_1M, SZ_1G - 1 }, { SZ_2G, -(u64)SZ_1M - 1 },
	};
	static const struct ioasid_iova_range collide[] = {
		{ 0, SZ_1M - 1 }, { SZ_2G + SZ_4K, SZ_2G + SZ_8K - 1 },
	};
	struct itest *it;
	u32 id;

	itest_memory(test);
	it = itest_open(test);
	id = itest_alloc_space(it);
	check_usable(it, id, all, 1);
	KUNIT_EXPECT_EQ(test, do_reserve(it, id, ends, ARRAY_SIZE(ends)), 0);
	check_usable(it, id, between, ARRAY_SIZE(between));
	ITEST_EXPECT_ERR(it, itest_map_one(it, id, SZ_1G, ITEST_MEM, SZ_4K,
					   IOASID_MAP_READ), -ERANGE,
			 IOASID_REASON_UNUSABLE);
	KUNIT_EXPECT_EQ(test, itest_map_one(it, id, SZ_2G, ITEST_MEM, SZ_64K,
					    IOASID_MAP_READ), 0);
	/* A failure does not change the list */
	ITEST_EXPECT_ERR(it, do_reserve(it, id, collide, ARRAY_SIZE(collide)),
			 -EADDRINUSE, IOASID_REASON_RESERVED);
	KUNIT_EXPECT_EQ(test, it->ext.index, 1U);
	KUNIT_EXPECT_EQ(test, it->ext.value, (u64)SZ_2G);
	check_usable(it, id, between, ARRAY_SIZE(between));
	/* Everything is reserved, so nothing is usable */
	KUNIT_EXPECT_EQ(test, itest_unmap(it, id, NULL, 0, NULL), 0);
	KUNIT_EXPECT_EQ(test, do_reserve(it, id, all, 1), 0);
	{
		struct ioasid_space_info info = {
			.ioasid = id, .ranges = ITEST_HOLE,
			.range_size = sizeof(*all),
		};

		KUNIT_EXPECT_EQ(test, ITEST_CMD(it, IOASID_SPACE_INFO, &info),
				0);
		KUNIT_EXPECT_EQ(test, info.nr_ranges, 0U);
	}
	KUNIT_EXPECT_EQ(test, do_reserve(it, id, NULL, 0), 0);
	check_usable(it, id, all, 1);
}

static struct kunit_case ioasid_space_cases[] = {
	KUNIT_CASE(random_ids),
	KUNIT_CASE(ids_go_round),
	KUNIT_CASE(label_and_kind_are_told),
	KUNIT_CASE(info_is_of_this_space),
	KUNIT_CASE(free_does_not_wait),
	KUNIT_CASE(killed_while_waiting),
	KUNIT_CASE(visitors_and_free),
	KUNIT_CASE(reserve_replaces),
	{}
};

static struct kunit_suite ioasid_space_suite = {
	.name = "ioasid_space",
	.test_cases = ioasid_space_cases,
};
kunit_test_suite(ioasid_space_suite);
