// SPDX-License-Identifier: GPL-2.0
/*
 * Quotas of contexts and users: what is charged is counted once for the context
 * and once for its user, whatever commands fail, and is all given back.
 */
#include <linux/cred.h>
#include <linux/sizes.h>
#include <linux/uidgid.h>
#include "test.h"

#define UID	4711

static void close_ctx(void *ctx)
{
	ioasid_ctx_close(ctx);
}

static struct ioasid_ctx *open_as(struct kunit *test, uid_t uid)
{
	struct cred *cred = prepare_creds();
	const struct cred *old;
	struct ioasid_ctx *ctx;

	KUNIT_ASSERT_NOT_NULL(test, cred);
	cred->uid = KUIDT_INIT(uid);
	old = override_creds(cred);
	ctx = ioasid_ctx_create();
	put_cred(revert_creds(old));
	KUNIT_ASSERT_NOT_ERR_OR_NULL(test, ctx);
	KUNIT_ASSERT_EQ(test, kunit_add_action_or_reset(test, close_ctx, ctx),
			0);
	return ctx;
}

static int charge(struct ioasid_ctx *ctx, u32 quota, u32 nr)
{
	struct ioasid_extack extack;
	int rc;

	ioasid_extack_init(&extack);
	rc = ioasid_charge(ctx, quota, nr, &extack);
	WARN_ON(rc && (rc != -EDQUOT || extack.code != IOASID_REASON_LIMIT ||
		       !extack.value || !extack.msg[0]));
	return rc;
}

/* The defaults, to the last one: two contexts fill what a user may have */
static void limits_exactly(struct kunit *test)
{
	struct ioasid_ctx *a = open_as(test, UID), *b = open_as(test, UID);
	struct ioasid_ctx *c = open_as(test, UID), *other = open_as(test, UID + 1);
	const u32 q = IOASID_QUOTA_MAPPINGS;

	KUNIT_EXPECT_PTR_EQ(test, a->user, c->user);
	KUNIT_EXPECT_PTR_NE(test, a->user, other->user);
	KUNIT_EXPECT_EQ(test, ioasid_quota_max(a, q), (u64)SZ_1M);
	KUNIT_EXPECT_EQ(test, charge(a, q, SZ_1M + 1), -EDQUOT);
	KUNIT_EXPECT_EQ(test, charge(a, q, U32_MAX), -EDQUOT);
	KUNIT_EXPECT_EQ(test, charge(a, q, SZ_1M), 0);
	KUNIT_EXPECT_EQ(test, charge(a, q, 1), -EDQUOT);
	KUNIT_EXPECT_EQ(test, charge(b, q, SZ_1M - 5), 0);
	KUNIT_EXPECT_EQ(test, ioasid_quota_max(c, q), 5ULL);
	/* By the limit of the user, in the place of the context's */
	KUNIT_EXPECT_EQ(test, charge(c, q, 6), -EDQUOT);
	KUNIT_EXPECT_EQ(test, charge(c, q, 5), 0);
	KUNIT_EXPECT_EQ(test, ioasid_quota_max(c, q), 5ULL);
	KUNIT_EXPECT_EQ(test, ioasid_quota_max(b, q), (u64)SZ_1M - 5);
	/* Nobody else notices, nor other quotas */
	KUNIT_EXPECT_EQ(test, charge(other, q, SZ_1M), 0);
	KUNIT_EXPECT_EQ(test, charge(c, IOASID_QUOTA_RESERVED, SZ_64K), 0);
	KUNIT_EXPECT_EQ(test, charge(c, IOASID_QUOTA_RESERVED, 1), -EDQUOT);
	ioasid_uncharge(c, IOASID_QUOTA_RESERVED, SZ_64K);
	ioasid_uncharge(other, q, SZ_1M);
	ioasid_uncharge(a, q, SZ_1M);
	KUNIT_EXPECT_EQ(test, ioasid_quota_max(c, q), (u64)SZ_1M);
	ioasid_uncharge(b, q, SZ_1M - 5);
	ioasid_uncharge(c, q, 5);
	KUNIT_EXPECT_EQ(test, atomic64_read(&a->user->used[q]), 0LL);
}

/* A failed command gives back what it has charged */
static void commands_charge(struct kunit *test)
{
	struct ioasid_map_range r[3];
	struct ioasid_copy copy = {
		.flags = IOASID_MAP_READ, .src_iova = SZ_1M,
		.length = 3 * PAGE_SIZE,
	};
	struct itest *it;
	atomic64_t *used;
	u32 id, i;

	itest_memory(test);
	it = itest_open(test);
	used = it->ctx->used;
	id = itest_alloc_space(it);
	KUNIT_EXPECT_EQ(test, atomic64_read(&used[IOASID_QUOTA_SPACES]), 1LL);
	for (i = 0; i < 3; i++)
		r[i] = (struct ioasid_map_range) {
			.iova = SZ_1M + i * PAGE_SIZE, .addr = ITEST_MEM,
			.length = PAGE_SIZE,
			.flags = IOASID_MAP_READ | IOASID_MAP_FIXED,
		};
	KUNIT_ASSERT_EQ(test, itest_map(it, id, r, 3), 0);
	KUNIT_EXPECT_EQ(test, atomic64_read(&used[IOASID_QUOTA_MAPPINGS]), 3LL);
	/* Cannot be pinned, is taken, is not there */
	r[2].addr = ITEST_HOLE;
	ITEST_EXPECT_ERR(it, itest_map(it, id, r, 3), -EFAULT,
			 IOASID_REASON_PIN);
	r[2].addr = ITEST_MEM;
	ITEST_EXPECT_ERR(it, itest_map(it, id, r, 3), -EEXIST,
			 IOASID_REASON_OVERLAP);
	copy.src_ioasid = id;
	copy.dst_ioasid = 99;
	ITEST_EXPECT_ERR(it, ITEST_CMD(it, IOASID_COPY, &copy), -ENOENT,
			 IOASID_REASON_NO_SPACE_ID);
	KUNIT_EXPECT_EQ(test, atomic64_read(&used[IOASID_QUOTA_MAPPINGS]), 3LL);
	copy.dst_ioasid = id;
	KUNIT_EXPECT_EQ(test, ITEST_CMD(it, IOASID_COPY, &copy), 0);
	KUNIT_EXPECT_EQ(test, atomic64_read(&used[IOASID_QUOTA_MAPPINGS]), 6LL);
	/* No room left: of a copy nothing is made */
	KUNIT_ASSERT_EQ(test, charge(it->ctx, IOASID_QUOTA_MAPPINGS, SZ_1M - 8),
			0);
	ITEST_EXPECT_ERR(it, ITEST_CMD(it, IOASID_COPY, &copy), -EDQUOT,
			 IOASID_REASON_LIMIT);
	ioasid_uncharge(it->ctx, IOASID_QUOTA_MAPPINGS, SZ_1M - 8);
	KUNIT_EXPECT_EQ(test, itest_unmap_one(it, id, SZ_1M, PAGE_SIZE), 0);
	KUNIT_EXPECT_EQ(test, atomic64_read(&used[IOASID_QUOTA_MAPPINGS]), 5LL);
	KUNIT_EXPECT_EQ(test, itest_free_space(it, id), 0);
	for (i = 0; i < IOASID_NR_QUOTAS; i++)
		KUNIT_EXPECT_EQ(test, atomic64_read(&used[i]), 0LL);
}

static int do_reserve(struct itest *it, u32 id, u32 nr)
{
	struct ioasid_reserve arg = {
		.ioasid = id, .nr = nr, .ranges = ITEST_VEC,
		.range_size = sizeof(struct ioasid_iova_range),
	};
	struct ioasid_iova_range r;
	u32 i;

	for (i = 0; i < nr; i++) {
		r.first = SZ_1G + 2 * i * PAGE_SIZE;
		r.last = r.first + PAGE_SIZE - 1;
		itest_put_user(it->test, ITEST_VEC + i * sizeof(r), &r,
			       sizeof(r));
	}
	return ITEST_CMD(it, IOASID_RESERVE, &arg);
}

/* What is replaced does not count twice, and goes with its space */
static void reserve_charges(struct kunit *test)
{
	struct ioasid_info info;
	struct itest *it;
	atomic64_t *used;
	u32 a, b;

	itest_memory(test);
	it = itest_open(test);
	used = &it->ctx->used[IOASID_QUOTA_RESERVED];
	a = itest_alloc_space(it);
	b = itest_alloc_space(it);
	KUNIT_ASSERT_EQ(test, do_reserve(it, a, 8), 0);
	KUNIT_ASSERT_EQ(test, do_reserve(it, b, 5), 0);
	info = itest_info(it);
	KUNIT_EXPECT_EQ(test, info.nr_reserved, 13U);
	KUNIT_EXPECT_EQ(test, info.max_reserved, (u32)SZ_64K);
	KUNIT_ASSERT_EQ(test, charge(it->ctx, IOASID_QUOTA_RESERVED,
				     SZ_64K - 14), 0);
	KUNIT_EXPECT_EQ(test, do_reserve(it, a, 9), 0);
	ITEST_EXPECT_ERR(it, do_reserve(it, a, 10), -EDQUOT,
			 IOASID_REASON_LIMIT);
	KUNIT_EXPECT_EQ(test, do_reserve(it, b, 0), 0);
	KUNIT_EXPECT_EQ(test, do_reserve(it, a, 14), 0);
	ioasid_uncharge(it->ctx, IOASID_QUOTA_RESERVED, SZ_64K - 14);
	KUNIT_EXPECT_EQ(test, atomic64_read(used), 14LL);
	/* A list that is refused changes nothing */
	KUNIT_ASSERT_EQ(test, itest_map_one(it, a, SZ_1G + 29 * PAGE_SIZE,
					    ITEST_MEM, 2 * PAGE_SIZE,
					    IOASID_MAP_READ), 0);
	ITEST_EXPECT_ERR(it, do_reserve(it, a, 16), -EADDRINUSE,
			 IOASID_REASON_RESERVED);
	KUNIT_EXPECT_EQ(test, atomic64_read(used), 14LL);
	KUNIT_EXPECT_EQ(test, itest_free_space(it, a), 0);
	KUNIT_EXPECT_EQ(test, atomic64_read(used), 0LL);
}

/* A page is copied until a count would be full, which must never saturate */
static void same_page_too_often(struct kunit *test)
{
	struct ioasid_copy copy = {
		.flags = IOASID_MAP_READ, .length = PAGE_SIZE,
	};
	struct ioasid_space *space;
	struct ioasid_area *area;
	refcount_t *users;
	struct itest *it;
	u32 id;

	itest_memory(test);
	it = itest_open(test);
	id = itest_alloc_space(it);
	KUNIT_ASSERT_EQ(test, itest_map_one(it, id, 0, ITEST_MEM, PAGE_SIZE,
					    IOASID_MAP_READ), 0);
	space = itest_space_get(it, id);
	scoped_guard(mutex, &space->iova_lock)
		area = ioasid_iova_first(space, 0, 0);
	users = &ioasid_area_pages(area)->users;
	refcount_set(users, 1U << 28);
	copy.src_ioasid = id;
	copy.dst_ioasid = id;
	ITEST_EXPECT_ERR(it, ITEST_CMD(it, IOASID_COPY, &copy), -EDQUOT,
			 IOASID_REASON_LIMIT);
	KUNIT_EXPECT_EQ(test, it->ext.value, 1ULL << 28);
	refcount_set(users, (1U << 28) - 1);
	KUNIT_EXPECT_EQ(test, ITEST_CMD(it, IOASID_COPY, &copy), 0);
	KUNIT_EXPECT_EQ(test, refcount_read(users), 1U << 28);
	refcount_set(users, 2);
	KUNIT_EXPECT_EQ(test, itest_unmap(it, id, NULL, 0, NULL), 0);
	KUNIT_EXPECT_EQ(test, itest_info(it).pinned, 0ULL);
	ioasid_space_put(space);
}

static struct kunit_case ioasid_account_cases[] = {
	KUNIT_CASE(limits_exactly),
	KUNIT_CASE(commands_charge),
	KUNIT_CASE(reserve_charges),
	KUNIT_CASE(same_page_too_often),
	{}
};

static struct kunit_suite ioasid_account_suite = {
	.name = "ioasid_account",
	.test_cases = ioasid_account_cases,
};
kunit_test_suite(ioasid_account_suite);
