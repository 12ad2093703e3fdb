// SPDX-License-Identifier: GPL-2.0
/*
 * Spaces by the kAPI: a glue and the commands see the same spaces and mappings. The
 * functions behind them are tested by the commands.
 */
#include <linux/completion.h>
#include <linux/delay.h>
#include <linux/kthread.h>
#include <linux/mman.h>
#include <linux/sched/signal.h>
#include "test.h"

/* A context, memory to map, and the extack of the last error */
static struct itest *kapi_open(struct kunit *test, struct ioasid_extack *extack)
{
	itest_memory(test);
	ioasid_extack_init(extack);
	return itest_open(test);
}

static u32 kapi_alloc(struct kunit *test, struct itest *it,
		      struct ioasid_extack *extack)
{
	const struct ioasid_space_params params = {
		.kind = IOASID_KIND_MAPPED,
		.label = "kapi",
	};
	u32 id = 0;

	KUNIT_ASSERT_EQ_MSG(test, 0,
			    ioasid_space_alloc(it->ctx, &params, &id, extack),
			    "%s", extack->msg);
	KUNIT_ASSERT_NE(test, 0, id);
	return id;
}

/* A glue's label is checked like that of a command */
static void label_prints(struct kunit *test)
{
	static const char *const bad[] = { "a\nb", "\x1b[2J", "caf\xc3\xa9", "\t" };
	struct ioasid_space_params params = { .kind = IOASID_KIND_MAPPED };
	struct ioasid_extack extack;
	struct itest *it = kapi_open(test, &extack);
	u32 i, id = 0;

	for (i = 0; i < ARRAY_SIZE(bad); i++) {
		ioasid_extack_init(&extack);
		params.label = bad[i];
		KUNIT_EXPECT_EQ(test, -EINVAL,
				ioasid_space_alloc(it->ctx, &params, &id,
						   &extack));
		KUNIT_EXPECT_EQ(test, IOASID_REASON_VALUE, (int)extack.code);
	}
	KUNIT_EXPECT_EQ(test, id, 0U);
	ioasid_extack_init(&extack);
	params.label = NULL;
	KUNIT_EXPECT_EQ(test, 0, ioasid_space_alloc(it->ctx, &params, &id,
						    &extack));
}

static void maps_for_the_commands(struct kunit *test)
{
	struct ioasid_extack extack;
	struct itest *it = kapi_open(test, &extack);
	u32 id = kapi_alloc(test, it, &extack), i;
	struct page **page = itest_pages(test, 2, 0);
	u64 addr = itest_map_pages(test, page, 2, PROT_READ | PROT_WRITE);
	struct ioasid_map_range range[2] = {};
	u64 bytes = 0;

	for (i = 0; i < 2; i++) {
		range[i].addr = addr + i * PAGE_SIZE;
		range[i].length = PAGE_SIZE;
		range[i].flags = IOASID_MAP_READ;
	}
	KUNIT_ASSERT_EQ_MSG(test, 0,
			    ioasid_space_map(it->ctx, id, range, 2, &extack),
			    "%s", extack.msg);
	KUNIT_EXPECT_EQ(test, 2ULL, itest_info(it).nr_mappings);
	KUNIT_EXPECT_NE(test, range[0].iova, range[1].iova);
	KUNIT_EXPECT_EQ(test, 0,
			itest_unmap_one(it, id, range[1].iova, PAGE_SIZE));
	KUNIT_EXPECT_EQ(test, 1ULL, itest_info(it).nr_mappings);
	KUNIT_EXPECT_EQ(test, 0,
			ioasid_space_unmap_all(it->ctx, id, &bytes, &extack));
	KUNIT_EXPECT_EQ(test, (u64)PAGE_SIZE, bytes);
	KUNIT_EXPECT_EQ(test, 0ULL, itest_info(it).pinned);
	KUNIT_EXPECT_EQ(test, 0, itest_free_space(it, id));
	itest_close(it);
}

static void unmaps_what_a_command_mapped(struct kunit *test)
{
	struct ioasid_extack extack;
	struct itest *it = kapi_open(test, &extack);
	u32 id = itest_alloc_space(it);
	struct page **page = itest_pages(test, 2, 0);
	u64 addr = itest_map_pages(test, page, 2, PROT_READ | PROT_WRITE);
	const struct ioasid_unmap_range whole = {
		.iova = SZ_1G,
		.length = 2 * PAGE_SIZE,
	}, half = {
		.iova = SZ_1G,
		.length = PAGE_SIZE,
	};
	u64 bytes = 0;

	KUNIT_ASSERT_EQ(test, 0,
			itest_map_one(it, id, SZ_1G, addr, 2 * PAGE_SIZE,
				      IOASID_MAP_READ | IOASID_MAP_FIXED));
	KUNIT_EXPECT_EQ(test, -EINVAL,
			ioasid_space_unmap(it->ctx, id, &half, 1, 0, &bytes,
					   &extack));
	KUNIT_EXPECT_EQ(test, (u32)IOASID_REASON_SPLIT, extack.code);
	KUNIT_EXPECT_EQ(test, 0,
			ioasid_space_unmap(it->ctx, id, &whole, 1, 0, &bytes,
					   &extack));
	KUNIT_EXPECT_EQ(test, 2 * (u64)PAGE_SIZE, bytes);
	KUNIT_EXPECT_EQ(test, 0, ioasid_space_free(it->ctx, id, &extack));
	KUNIT_EXPECT_EQ(test, 0, itest_info(it).nr_spaces);
	itest_close(it);
}

/**
 * struct killed - a thread that frees a space although it is killed
 * @it: the context
 * @id: the space
 * @by: ioasid_space_free() or what IOASID_FREE calls
 * @rc: out
 * @done: completed at the end
 */
struct killed {
	struct itest *it;
	u32 id;
	int (*by)(struct ioasid_ctx *ctx, u32 id, struct ioasid_extack *extack);
	int rc;
	struct completion done;
};

static int free_while_killed(void *data)
{
	struct killed *k = data;
	struct ioasid_extack extack;

	ioasid_extack_init(&extack);
	allow_signal(SIGKILL);
	send_sig(SIGKILL, current, 1);
	k->rc = fatal_signal_pending(current) ?
			k->by(k->it->ctx, k->id, &extack) : -EINVAL;
	flush_signals(current);
	complete(&k->done);
	return 0;
}

/* The space is kept from it until the thread waits, or has given up */
static void run_killed(struct kunit *test, struct killed *k)
{
	struct ioasid_space *space = itest_space_get(k->it, k->id);
	struct task_struct *t;

	init_completion(&k->done);
	down_read(&space->rwsem);
	t = kthread_run(free_while_killed, k, "ioasid-test");
	if (!IS_ERR(t))
		while (!rwsem_is_contended(&space->rwsem) &&
		       !completion_done(&k->done))
			usleep_range(1000, 2000);
	up_read(&space->rwsem);
	KUNIT_ASSERT_NOT_ERR_OR_NULL(test, t);
	wait_for_completion(&k->done);
	ioasid_space_put(space);
}

/* A program that waits for another's work can be killed; a glue must go on */
static void killed_while_freeing(struct kunit *test)
{
	struct ioasid_extack extack;
	struct itest *it = kapi_open(test, &extack);
	struct killed k = {
		.it = it,
		.id = kapi_alloc(test, it, &extack),
		.by = ioasid_space_delete,
	};

	run_killed(test, &k);
	KUNIT_EXPECT_EQ(test, k.rc, -EINTR);
	KUNIT_EXPECT_EQ(test, itest_info(it).nr_spaces, 1);
	k.by = ioasid_space_free;
	run_killed(test, &k);
	KUNIT_EXPECT_EQ(test, k.rc, 0);
	KUNIT_EXPECT_EQ(test, itest_info(it).nr_spaces, 0);
	itest_close(it);
}

static void ranges_are_those_of_the_space(struct kunit *test)
{
	struct ioasid_extack extack;
	struct itest *it = kapi_open(test, &extack);
	u32 id = kapi_alloc(test, it, &extack), nr = 0;
	struct ioasid_iova_range *ranges;

	ranges = ioasid_space_ranges(it->ctx, id, &nr, &extack);
	KUNIT_ASSERT_NOT_ERR_OR_NULL(test, ranges);
	KUNIT_EXPECT_EQ(test, 1, nr);
	KUNIT_EXPECT_EQ(test, 0ULL, ranges[0].first);
	KUNIT_EXPECT_EQ(test, U64_MAX, ranges[0].last);
	kvfree(ranges);
	KUNIT_EXPECT_EQ(test, 0, ioasid_space_free(it->ctx, id, &extack));
	ranges = ioasid_space_ranges(it->ctx, id, &nr, &extack);
	KUNIT_EXPECT_EQ(test, -ENOENT, (int)PTR_ERR(ranges));
	KUNIT_EXPECT_EQ(test, (u32)IOASID_REASON_NO_SPACE_ID, extack.code);
	itest_close(it);
}

static void nonsense_is_refused(struct kunit *test)
{
	struct ioasid_extack extack;
	struct itest *it = kapi_open(test, &extack);
	u32 id = kapi_alloc(test, it, &extack), none;
	struct ioasid_space_params params = { .kind = IOASID_KIND_MAPPED };
	const struct ioasid_unmap_range range = { .length = PAGE_SIZE };
	u64 bytes;

	KUNIT_EXPECT_EQ(test, -EINVAL,
			ioasid_space_map(it->ctx, id, NULL, 0, &extack));
	KUNIT_EXPECT_EQ(test, (u32)IOASID_REASON_VALUE, extack.code);
	KUNIT_EXPECT_EQ(test, id, extack.ioasid);
	ioasid_extack_init(&extack);
	KUNIT_EXPECT_EQ(test, -E2BIG,
			ioasid_space_unmap(it->ctx, id, NULL,
					   IOASID_MAX_VECTOR + 1, 0, &bytes,
					   &extack));
	KUNIT_EXPECT_EQ(test, (u32)IOASID_REASON_LIMIT, extack.code);
	KUNIT_EXPECT_EQ(test, id, extack.ioasid);
	ioasid_extack_init(&extack);
	KUNIT_EXPECT_EQ(test, -EOPNOTSUPP,
			ioasid_space_unmap(it->ctx, id, &range, 1,
					   IOASID_UNMAP_ALL, &bytes, &extack));
	KUNIT_EXPECT_EQ(test, (u32)IOASID_REASON_FLAGS, extack.code);
	ioasid_extack_init(&extack);
	params.flags = BIT(7);
	KUNIT_EXPECT_EQ(test, -EOPNOTSUPP, ioasid_space_alloc(it->ctx, &params,
							      &none, &extack));
	KUNIT_EXPECT_EQ(test, (u32)IOASID_REASON_FLAGS, extack.code);
	ioasid_extack_init(&extack);
	params.flags = 0;
	params.parent = id;
	KUNIT_EXPECT_EQ(test, -EOPNOTSUPP,
			ioasid_space_alloc(it->ctx, &params, &none, &extack));
	KUNIT_EXPECT_EQ(test, (u32)IOASID_REASON_FLAGS, extack.code);
	ioasid_extack_init(&extack);
	params.parent = 0;
	params.kind = 77;
	KUNIT_EXPECT_EQ(test, -EOPNOTSUPP,
			ioasid_space_alloc(it->ctx, &params, &none, &extack));
	KUNIT_EXPECT_EQ(test, (u32)IOASID_REASON_KIND, extack.code);
	KUNIT_EXPECT_EQ(test, 1, itest_info(it).nr_spaces);
	itest_close(it);
}

/* A kernel thread has no memory to map, and no address space to share */
static void without_a_process(struct kunit *test)
{
	const struct ioasid_space_params params = { .kind = IOASID_KIND_MM };
	struct ioasid_map_range range = {
		.length = PAGE_SIZE,
		.flags = IOASID_MAP_READ,
	};
	struct ioasid_extack extack;
	struct itest *it = itest_open(test);
	u32 id, none;

	KUNIT_ASSERT_NULL(test, current->mm);
	ioasid_extack_init(&extack);
	id = kapi_alloc(test, it, &extack);
	KUNIT_EXPECT_EQ(test, -EINVAL, ioasid_space_map(it->ctx, id, &range, 1,
							&extack));
	KUNIT_EXPECT_EQ(test, (u32)IOASID_REASON_VALUE, extack.code);
	if (IS_ENABLED(CONFIG_IOMMU_SVA)) {
		ioasid_extack_init(&extack);
		KUNIT_EXPECT_EQ(test, -EINVAL,
				ioasid_space_alloc(it->ctx, &params, &none,
						   &extack));
		KUNIT_EXPECT_EQ(test, (u32)IOASID_REASON_VALUE, extack.code);
	}
	itest_close(it);
}

static struct kunit_case ioasid_kapi_cases[] = {
	KUNIT_CASE(label_prints),
	KUNIT_CASE(maps_for_the_commands),
	KUNIT_CASE(unmaps_what_a_command_mapped),
	KUNIT_CASE(killed_while_freeing),
	KUNIT_CASE(ranges_are_those_of_the_space),
	KUNIT_CASE(nonsense_is_refused),
	KUNIT_CASE(without_a_process),
	{}
};

static struct kunit_suite ioasid_kapi_suite = {
	.name = "ioasid-kapi",
	.test_cases = ioasid_kapi_cases,
};

kunit_test_suite(ioasid_kapi_suite);
