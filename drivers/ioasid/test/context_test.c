// SPDX-License-Identifier: GPL-2.0
/*
 * Contexts and their ledger, for all payers and modes: it is never negative, exact
 * at the limit, and zero at the end.
 */
#include <kunit/visibility.h>
#include <linux/completion.h>
#include <linux/cred.h>
#include <linux/kthread.h>
#include <linux/mm.h>
#include <linux/rcupdate.h>
#include <linux/resource.h>
#include <linux/sched/mm.h>
#include <linux/sched/signal.h>
#include <linux/sched/user.h>
#include <linux/slab.h>
#include "../cmd/cmd.h"
#include "test.h"

#define NR_WHO	2

/**
 * struct people - users and processes that only the test charges
 * @user: users
 * @mm: processes; the first one is the test's own
 * @limit: their RLIMIT_MEMLOCK in pages
 */
struct people {
	struct user_struct *user[NR_WHO];
	struct mm_struct *mm[NR_WHO];
	u64 limit;
};

static void free_user(void *user)
{
	/* Credentials put their user after a grace period */
	rcu_barrier();
	WARN_ON(refcount_read(&((struct user_struct *)user)->__count) != 1);
	WARN_ON(atomic_long_read(&((struct user_struct *)user)->locked_vm));
	kfree(user);
}

static void free_mm(void *mm)
{
	WARN_ON(((struct mm_struct *)mm)->locked_vm);
	WARN_ON(atomic64_read(&((struct mm_struct *)mm)->pinned_vm));
	mmput(mm);
}

static struct people *new_people(struct kunit *test)
{
	struct people *p = kunit_kzalloc(test, sizeof(*p), GFP_KERNEL);
	u32 i;

	KUNIT_ASSERT_NOT_NULL(test, p);
	KUNIT_ASSERT_EQ(test, kunit_attach_mm(), 0);
	for (i = 0; i < NR_WHO; i++) {
		p->user[i] = kzalloc(sizeof(*p->user[i]), GFP_KERNEL);
		KUNIT_ASSERT_NOT_NULL(test, p->user[i]);
		refcount_set(&p->user[i]->__count, 1);
		KUNIT_ASSERT_EQ(test, kunit_add_action_or_reset(test, free_user,
								p->user[i]), 0);
	}
	p->mm[0] = current->mm;
	p->mm[1] = mm_alloc();
	KUNIT_ASSERT_NOT_NULL(test, p->mm[1]);
	KUNIT_ASSERT_EQ(test, kunit_add_action_or_reset(test, free_mm,
							p->mm[1]), 0);
	p->limit = U32_MAX;
	return p;
}

/* Continues as a user and a process, without privileges */
static const struct cred *become(struct kunit *test, struct people *p, u32 user,
				 u32 mm)
{
	struct cred *cred = prepare_creds();

	KUNIT_ASSERT_NOT_NULL(test, cred);
	free_uid(cred->user);
	cred->user = get_uid(p->user[user]);
	cap_lower(cred->cap_effective, CAP_IPC_LOCK);
	if (current->mm != p->mm[mm]) {
		kthread_unuse_mm(current->mm);
		kthread_use_mm(p->mm[mm]);
	}
	itest_set_memlock(p->limit << PAGE_SHIFT);
	return override_creds(cred);
}

static void unbecome(struct people *p, const struct cred *old)
{
	itest_restore_cred(old);
	if (current->mm != p->mm[0]) {
		kthread_unuse_mm(current->mm);
		kthread_use_mm(p->mm[0]);
	}
}

static void close_ctx(void *ctx)
{
	ioasid_ctx_close(ctx);
}

static struct ioasid_ctx *new_ctx(struct kunit *test)
{
	struct ioasid_ctx *ctx = ioasid_ctx_create();

	KUNIT_ASSERT_NOT_ERR_OR_NULL(test, ctx);
	KUNIT_ASSERT_EQ(test, kunit_add_action_or_reset(test, close_ctx, ctx),
			0);
	return ctx;
}

static int set_mode(struct ioasid_ctx *ctx, u64 mode,
		    struct ioasid_extack *extack)
{
	struct ioasid_option arg = {
		.flags = IOASID_OPTION_SET,
		.option = IOASID_OPTION_ACCOUNT_MODE, .value = mode,
	};
	struct ioasid_command cmd = { .ctx = ctx,
				      .arg = &arg,
				      .extack = extack };

	ioasid_extack_init(extack);
	return ioasid_cmd_option(&cmd);
}

#define NR_BILLS	24

/**
 * struct bill - a charge
 * @payer: the payer; NULL if the entry is free
 * @ctx: the context
 * @pages: number of pages
 * @user: index of the user
 * @mm: index of the process
 * @mode: enum ioasid_account_mode
 */
struct bill {
	struct ioasid_payer *payer;
	u32 ctx;
	unsigned long pages;
	u32 user;
	u32 mm;
	u32 mode;
};

/**
 * struct ledger - the model: all charges
 * @ctx: contexts
 * @bill: bills
 */
struct ledger {
	struct ioasid_ctx *ctx[NR_WHO];
	struct bill bill[NR_BILLS];
};

static u64 sum(struct ledger *l, int ctx, int user, int mm, int mode)
{
	u64 pages = 0;
	u32 i;

	for (i = 0; i < NR_BILLS; i++) {
		struct bill *b = &l->bill[i];

		if (b->payer && (ctx < 0 || b->ctx == ctx) &&
		    (user < 0 || b->user == user) && (mm < 0 || b->mm == mm) &&
		    (mode < 0 || b->mode == mode))
			pages += b->pages;
	}
	return pages;
}

static void check_ledger(struct kunit *test, struct people *p, struct ledger *l)
{
	u32 i;

	for (i = 0; i < NR_WHO; i++) {
		KUNIT_ASSERT_EQ(test, atomic64_read(&l->ctx[i]->pinned),
				sum(l, i, -1, -1, -1));
		KUNIT_ASSERT_EQ(test,
				atomic_long_read(&p->user[i]->locked_vm),
				sum(l, -1, i, -1, IOASID_ACCOUNT_USER));
		KUNIT_ASSERT_EQ(test, p->mm[i]->locked_vm,
				sum(l, -1, -1, i, IOASID_ACCOUNT_MM));
		KUNIT_ASSERT_EQ(test, atomic64_read(&p->mm[i]->pinned_vm),
				sum(l, -1, -1, i, -1));
	}
}

static void random_charge(struct kunit *test, struct people *p,
			  struct ledger *l, struct bill *b,
			  struct rnd_state *rnd)
{
	struct ioasid_extack extack;
	struct ioasid_ctx *ctx;
	const struct cred *old;
	u64 used;
	int rc;

	b->ctx = itest_below(rnd, NR_WHO);
	b->user = itest_below(rnd, NR_WHO);
	b->mm = itest_below(rnd, NR_WHO);
	ctx = l->ctx[b->ctx];
	b->mode = ctx->account_mode;
	b->pages = 1 + itest_below(rnd, 40);
	p->limit = 20 + itest_below(rnd, 200);
	used = b->mode == IOASID_ACCOUNT_USER ?
	       sum(l, -1, b->user, -1, b->mode) :
	       sum(l, -1, -1, b->mm, b->mode);

	old = become(test, p, b->user, b->mm);
	ioasid_extack_init(&extack);
	b->payer = ioasid_payer_get(ctx);
	KUNIT_ASSERT_NOT_NULL(test, b->payer);
	KUNIT_ASSERT_EQ(test, b->payer->mode, b->mode);
	KUNIT_ASSERT_PTR_EQ(test, b->payer->mm, p->mm[b->mm]);
	KUNIT_ASSERT_PTR_EQ(test, b->payer->user, p->user[b->user]);
	rc = ioasid_charge_pages(ctx, b->payer, b->pages, &extack);
	unbecome(p, old);
	KUNIT_ASSERT_EQ(test, rc, used + b->pages > p->limit ? -ENOMEM : 0);
	if (!rc)
		return;
	KUNIT_ASSERT_EQ(test, extack.code, (u32)IOASID_REASON_MEMLOCK);
	KUNIT_ASSERT_EQ(test, extack.value, p->limit << PAGE_SHIFT);
	ioasid_payer_put(ctx, b->payer);
	b->payer = NULL;
}

/* By anyone, since the process of the payer may have exited */
static void random_refund(struct kunit *test, struct people *p,
			  struct ledger *l, struct bill *b,
			  struct rnd_state *rnd)
{
	const struct cred *old = become(test, p, itest_below(rnd, NR_WHO),
					itest_below(rnd, NR_WHO));

	ioasid_uncharge_pages(l->ctx[b->ctx], b->payer, b->pages);
	ioasid_payer_put(l->ctx[b->ctx], b->payer);
	unbecome(p, old);
	b->payer = NULL;
}

static void random_mode(struct kunit *test, struct ledger *l,
			struct rnd_state *rnd)
{
	u32 i = itest_below(rnd, NR_WHO), mode = itest_below(rnd, 2);
	u32 before = l->ctx[i]->account_mode;
	struct ioasid_extack extack;
	int rc = set_mode(l->ctx[i], mode, &extack);

	if (sum(l, i, -1, -1, -1)) {
		KUNIT_ASSERT_EQ(test, rc, -EBUSY);
		KUNIT_ASSERT_EQ(test, extack.code, (u32)IOASID_REASON_IN_USE);
		KUNIT_ASSERT_EQ(test, l->ctx[i]->account_mode, before);
	} else {
		KUNIT_ASSERT_EQ(test, rc, 0);
		KUNIT_ASSERT_EQ(test, l->ctx[i]->account_mode, mode);
	}
}

static void random_bills(struct kunit *test)
{
	struct people *p = new_people(test);
	struct ledger *l = kunit_kzalloc(test, sizeof(*l), GFP_KERNEL);
	struct rnd_state rnd;
	u32 i, k;

	KUNIT_ASSERT_NOT_NULL(test, l);
	for (i = 0; i < NR_WHO; i++)
		l->ctx[i] = new_ctx(test);
	itest_seed(test, &rnd);
	for (k = 0; k < itest_rounds(4000); k++) {
		struct bill *b = &l->bill[itest_below(&rnd, NR_BILLS)];

		/* Long periods with few charges, so that the mode can change */
		if (b->payer)
			random_refund(test, p, l, b, &rnd);
		else if (itest_below(&rnd, 400) > k % 400)
			random_charge(test, p, l, b, &rnd);
		random_mode(test, l, &rnd);
		check_ledger(test, p, l);
	}
	for (i = 0; i < NR_BILLS; i++)
		if (l->bill[i].payer)
			random_refund(test, p, l, &l->bill[i], &rnd);
	check_ledger(test, p, l);
	for (i = 0; i < NR_WHO; i++) {
		KUNIT_ASSERT_EQ(test, atomic64_read(&l->ctx[i]->pinned), 0LL);
		/* Only the cached payer is left */
		KUNIT_ASSERT_LE(test, list_count_nodes(&l->ctx[i]->payers), 1UL);
	}
}

/* Without privileges, one page more than the limit fails */
static void limit_is_exact(struct kunit *test)
{
	struct people *p = new_people(test);
	struct ioasid_extack extack;
	struct ioasid_payer *payer;
	struct ioasid_ctx *ctx;
	const struct cred *old;
	u32 mode;

	for (mode = 0; mode < 2; mode++) {
		ctx = new_ctx(test);
		KUNIT_ASSERT_EQ(test, set_mode(ctx, mode, &extack), 0);
		p->limit = 10;
		old = become(test, p, 0, 0);
		payer = ioasid_payer_get(ctx);
		KUNIT_ASSERT_NOT_NULL(test, payer);
		KUNIT_EXPECT_EQ(test,
				ioasid_charge_pages(ctx, payer, 11, &extack),
				-ENOMEM);
		KUNIT_EXPECT_EQ(test,
				ioasid_charge_pages(ctx, payer, 10, &extack),
				0);
		KUNIT_EXPECT_EQ(test,
				ioasid_charge_pages(ctx, payer, 1, &extack),
				-ENOMEM);
		/* An enormous number must not wrap */
		KUNIT_EXPECT_EQ(test,
				ioasid_charge_pages(ctx, payer, U32_MAX,
						    &extack),
				-ENOMEM);
		itest_set_memlock(RLIM_INFINITY);
		KUNIT_EXPECT_EQ(test,
				ioasid_charge_pages(ctx, payer, 1, &extack), 0);
		itest_set_memlock(10 * PAGE_SIZE);
		unbecome(p, old);
		/* With CAP_IPC_LOCK the limit can be exceeded, and pages are still counted */
		KUNIT_EXPECT_EQ(test,
				ioasid_charge_pages(ctx, payer, 100, &extack),
				0);
		KUNIT_EXPECT_EQ(test, atomic64_read(&ctx->pinned), 111LL);
		ioasid_uncharge_pages(ctx, payer, 111);
		ioasid_payer_put(ctx, payer);
		KUNIT_EXPECT_EQ(test, atomic64_read(&ctx->pinned), 0LL);
	}
}

/**
 * struct racer - a thread that charges the same user as others
 * @p: users and processes
 * @ctx: its context
 * @cred: its credentials
 * @over: number of times that more than the limit was charged
 * @denied: number of charges that failed
 * @done: it has ended
 */
struct racer {
	struct people *p;
	struct ioasid_ctx *ctx;
	struct cred *cred;
	u32 over;
	u32 denied;
	struct completion done;
};

#define NR_RACERS	4

static int race(void *data)
{
	struct racer *r = data;
	const struct cred *old = override_creds(r->cred);
	struct user_struct *user = r->p->user[0];
	struct ioasid_extack extack;
	struct ioasid_payer *payer;
	u32 i;

	kthread_use_mm(r->p->mm[1]);
	itest_set_memlock(2 * PAGE_SIZE);
	for (i = 0; i < itest_rounds(2000); i++) {
		payer = ioasid_payer_get(r->ctx);
		if (!payer)
			break;
		ioasid_extack_init(&extack);
		if (ioasid_charge_pages(r->ctx, payer, 1, &extack)) {
			r->denied++;
		} else {
			if (atomic_long_read(&user->locked_vm) > 2)
				r->over++;
			cond_resched();
			ioasid_uncharge_pages(r->ctx, payer, 1);
		}
		ioasid_payer_put(r->ctx, payer);
	}
	kthread_unuse_mm(r->p->mm[1]);
	revert_creds(old);
	complete(&r->done);
	return 0;
}

static void racers_keep_the_limit(struct kunit *test)
{
	struct people *p = new_people(test);
	struct ioasid_ctx *ctx = new_ctx(test);
	struct racer *r = kunit_kcalloc(test, NR_RACERS, sizeof(*r), GFP_KERNEL);
	const struct cred *old;
	struct task_struct *t;
	u32 i;

	KUNIT_ASSERT_NOT_NULL(test, r);
	for (i = 0; i < NR_RACERS; i++) {
		r[i].p = p;
		r[i].ctx = ctx;
		old = become(test, p, 0, 0);
		r[i].cred = prepare_creds();
		unbecome(p, old);
		KUNIT_ASSERT_NOT_NULL(test, r[i].cred);
		init_completion(&r[i].done);
		t = kthread_run(race, &r[i], "ioasid-test-%u", i);
		KUNIT_ASSERT_FALSE(test, IS_ERR(t));
	}
	for (i = 0; i < NR_RACERS; i++) {
		wait_for_completion(&r[i].done);
		put_cred(r[i].cred);
		KUNIT_EXPECT_EQ(test, r[i].over, 0U);
		KUNIT_EXPECT_LT(test, r[i].denied, 2000U);
	}
	KUNIT_EXPECT_EQ(test, atomic_long_read(&p->user[0]->locked_vm), 0L);
	KUNIT_EXPECT_EQ(test, atomic64_read(&ctx->pinned), 0LL);
}

static void killed_while_charging(struct kunit *test)
{
	struct people *p = new_people(test);
	struct ioasid_ctx *ctx = new_ctx(test);
	struct ioasid_extack extack;
	struct ioasid_payer *payer;

	KUNIT_ASSERT_EQ(test, set_mode(ctx, IOASID_ACCOUNT_MM, &extack), 0);
	payer = ioasid_payer_get(ctx);
	KUNIT_ASSERT_NOT_NULL(test, payer);
	/* It waits for our write lock, until SIGKILL */
	mmap_read_lock(p->mm[0]);
	itest_set_killed(true);
	lockdep_off();
	KUNIT_EXPECT_EQ(test, ioasid_charge_pages(ctx, payer, 1, &extack),
			-EINTR);
	lockdep_on();
	itest_set_killed(false);
	mmap_read_unlock(p->mm[0]);
	KUNIT_EXPECT_EQ(test, extack.code, (u32)IOASID_REASON_KILLED);
	KUNIT_EXPECT_EQ(test, atomic64_read(&ctx->pinned), 0LL);
	ioasid_payer_put(ctx, payer);
}

/* Results of GET_INFO and OPTION */
static void info_and_option(struct kunit *test)
{
	struct ioasid_option arg = { .option = IOASID_OPTION_ACCOUNT_MODE };
	struct ioasid_info info;
	struct itest *it;
	u32 id[2];

	itest_memory(test);
	it = itest_open(test);
	info = itest_info(it);
	KUNIT_EXPECT_EQ(test, info.caps,
			IOASID_CAP_MAPPED | IOASID_CAP_FILE |
				IOASID_CAP_REPLACE | IOASID_CAP_PASID |
				IOASID_CAP_MM | IOASID_CAP_FAULT |
				IOASID_CAP_POLICY | IOASID_CAP_UNRECOVERABLE |
				IOASID_CAP_NESTED | IOASID_CAP_SHADOW);
	KUNIT_EXPECT_EQ(test, info.max_vector, (u32)IOASID_MAX_VECTOR);
	KUNIT_EXPECT_EQ(test, info.page_size, (u32)PAGE_SIZE);
	KUNIT_EXPECT_EQ(test, info.account_mode, (u32)IOASID_ACCOUNT_USER);
	arg.flags = IOASID_OPTION_SET;
	arg.value = IOASID_ACCOUNT_MM;
	KUNIT_EXPECT_EQ(test, ITEST_CMD(it, IOASID_OPTION, &arg), 0);
	arg.flags = 0;
	arg.value = 77;
	KUNIT_EXPECT_EQ(test, ITEST_CMD(it, IOASID_OPTION, &arg), 0);
	KUNIT_EXPECT_EQ(test, arg.value, (u64)IOASID_ACCOUNT_MM);
	KUNIT_EXPECT_EQ(test, itest_info(it).account_mode,
			(u32)IOASID_ACCOUNT_MM);
	id[0] = itest_alloc_space(it);
	id[1] = itest_alloc_space(it);
	KUNIT_EXPECT_EQ(test, itest_map_one(it, id[0], 0, ITEST_MEM,
					    3 * PAGE_SIZE, IOASID_MAP_READ), 0);
	KUNIT_EXPECT_EQ(test, itest_map_one(it, id[1], 0, ITEST_MEM, PAGE_SIZE,
					    IOASID_MAP_READ), 0);
	info = itest_info(it);
	KUNIT_EXPECT_EQ(test, info.nr_spaces, 2U);
	KUNIT_EXPECT_EQ(test, info.nr_mappings, 2ULL);
	KUNIT_EXPECT_EQ(test, info.mapped, 4ULL * PAGE_SIZE);
	KUNIT_EXPECT_EQ(test, info.pinned, 4ULL * PAGE_SIZE);
	KUNIT_EXPECT_EQ(test, current->mm->locked_vm, 4UL);
	arg.flags = IOASID_OPTION_SET;
	ITEST_EXPECT_ERR(it, ITEST_CMD(it, IOASID_OPTION, &arg), -EBUSY,
			 IOASID_REASON_IN_USE);
	KUNIT_EXPECT_EQ(test, itest_free_space(it, id[0]), 0);
	KUNIT_EXPECT_EQ(test, current->mm->locked_vm, 1UL);
	/* Closing uncharges everything */
	itest_close(it);
	KUNIT_EXPECT_EQ(test, current->mm->locked_vm, 0UL);
	KUNIT_EXPECT_EQ(test, atomic64_read(&current->mm->pinned_vm), 0LL);
}

static struct kunit_case ioasid_context_cases[] = {
	KUNIT_CASE(random_bills),
	KUNIT_CASE(limit_is_exact),
	KUNIT_CASE(racers_keep_the_limit),
	KUNIT_CASE(killed_while_charging),
	KUNIT_CASE(info_and_option),
	{}
};

static struct kunit_suite ioasid_context_suite = {
	.name = "ioasid_context",
	.test_cases = ioasid_context_cases,
};
kunit_test_suite(ioasid_context_suite);
IOASID_IMPORT_NS(EXPORTED_FOR_KUNIT_TESTING);
