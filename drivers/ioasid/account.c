// SPDX-License-Identifier: GPL-2.0
/*
 * Accounting: the ledger of pinned memory, and the quotas of contexts, mappings,
 * reserved ranges, spaces, PASIDs and fault records. Nothing may ever be taken
 * before it is charged, or uncharged before it is released.
 */
#include <linux/cred.h>
#include <linux/hashtable.h>
#include <linux/mm.h>
#include <linux/moduleparam.h>
#include <linux/sched/mm.h>
#include <linux/sched/signal.h>
#include <linux/sched/user.h>
#include <linux/sizes.h>
#include <linux/slab.h>
#include <linux/user_namespace.h>
#include "ioasid_private.h"

static void ioasid_payer_free(struct ioasid_payer *payer)
{
	free_uid(payer->user);
	mmdrop(payer->mm);
	kfree(payer);
}

static struct ioasid_payer *ioasid_payer_find(struct ioasid_ctx *ctx)
{
	struct ioasid_payer *payer;

	lockdep_assert_held(&ctx->ledger_lock);
	list_for_each_entry(payer, &ctx->payers, link)
		if (payer->mm == current->mm && payer->user == current_user() &&
		    payer->mode == ctx->account_mode)
			return payer;
	return NULL;
}

static struct ioasid_payer *ioasid_payer_add(struct ioasid_ctx *ctx)
{
	struct ioasid_payer *payer = kzalloc(sizeof(*payer), GFP_KERNEL_ACCOUNT);

	lockdep_assert_held(&ctx->ledger_lock);
	if (!payer)
		return NULL;
	refcount_set(&payer->ref, 1);
	payer->mode = ctx->account_mode;
	payer->mm = current->mm;
	mmgrab(payer->mm);
	payer->user = get_uid(current_user());
	list_add(&payer->link, &ctx->payers);
	return payer;
}

/**
 * ioasid_payer_get() - get the payer of the current process
 * @ctx: the context
 *
 * Context: a user process; can sleep. Takes ioasid_ctx.ledger_lock.
 *
 * Return: the payer with a reference, or NULL without memory.
 */
struct ioasid_payer *ioasid_payer_get(struct ioasid_ctx *ctx)
{
	struct ioasid_payer *old = NULL, *payer;

	mutex_lock(&ctx->ledger_lock);
	payer = ioasid_payer_find(ctx);
	if (!payer)
		payer = ioasid_payer_add(ctx);
	else
		refcount_inc(&payer->ref);
	/* Cached, so that mapping and unmapping in turn does not allocate */
	if (payer && ctx->payer != payer) {
		old = ctx->payer;
		refcount_inc(&payer->ref);
		ctx->payer = payer;
	}
	mutex_unlock(&ctx->ledger_lock);
	if (old)
		ioasid_payer_put(ctx, old);
	return payer;
}

/* Drops the cached reference if the caller has the only other one */
static void ioasid_payer_uncache(struct ioasid_ctx *ctx,
				 struct ioasid_payer *payer)
{
	guard(mutex)(&ctx->ledger_lock);
	if (ctx->payer != payer || refcount_read(&payer->ref) != 2)
		return;
	ctx->payer = NULL;
	refcount_dec(&payer->ref);
}

/**
 * ioasid_payer_put() - put a reference on a payer
 * @ctx: the context
 * @payer: the payer; freed with the last reference
 *
 * Context: can sleep; takes ioasid_ctx.ledger_lock.
 */
void ioasid_payer_put(struct ioasid_ctx *ctx, struct ioasid_payer *payer)
{
	/* A process that has exited keeps its PASID as long as its mm is held */
	if (unlikely(!atomic_read(&payer->mm->mm_users)))
		ioasid_payer_uncache(ctx, payer);
	if (!refcount_dec_and_mutex_lock(&payer->ref, &ctx->ledger_lock))
		return;
	list_del(&payer->link);
	mutex_unlock(&ctx->ledger_lock);
	ioasid_payer_free(payer);
}

static int ioasid_charge_locked_vm(struct ioasid_payer *payer,
				   unsigned long pages)
{
	unsigned long limit = rlimit(RLIMIT_MEMLOCK) >> PAGE_SHIFT;
	long old = atomic_long_read(&payer->user->locked_vm);
	bool unlimited = false;

	do {
		if (old + pages > limit && !unlimited) {
			if (!capable(CAP_IPC_LOCK))
				return -ENOMEM;
			unlimited = true;
		}
	} while (!atomic_long_try_cmpxchg(&payer->user->locked_vm, &old,
					  old + pages));
	return 0;
}

static int ioasid_charge_mm(struct ioasid_payer *payer, unsigned long pages)
{
	int rc;

	if (mmap_write_lock_killable(payer->mm))
		return -EINTR;
	rc = __account_locked_vm(payer->mm, pages, true, current,
				 capable(CAP_IPC_LOCK));
	mmap_write_unlock(payer->mm);
	return rc;
}

/**
 * ioasid_charge_pages() - reserve pages in the ledger before they are pinned
 * @ctx: the context
 * @payer: payer of the current process
 * @pages: number of pages
 * @extack: the reason if it fails
 *
 * Context: a user process; can sleep. Takes mmap_lock if accounting to an mm.
 *
 * Return: 0, -ENOMEM above RLIMIT_MEMLOCK without CAP_IPC_LOCK, -EINTR if
 * killed.
 */
int ioasid_charge_pages(struct ioasid_ctx *ctx, struct ioasid_payer *payer,
			unsigned long pages, struct ioasid_extack *extack)
{
	int rc;

	if (payer->mode == IOASID_ACCOUNT_USER)
		rc = ioasid_charge_locked_vm(payer, pages);
	else
		rc = ioasid_charge_mm(payer, pages);
	if (rc == -EINTR)
		return ioasid_fail(extack, rc, IOASID_REASON_KILLED,
				   "killed while waiting to charge memory");
	if (rc) {
		extack->value = rlimit(RLIMIT_MEMLOCK);
		return ioasid_fail(extack, rc, IOASID_REASON_MEMLOCK,
				   "%lu KiB more would exceed RLIMIT_MEMLOCK of %lu KiB of this %s",
				   pages << (PAGE_SHIFT - 10),
				   rlimit(RLIMIT_MEMLOCK) >> 10,
				   payer->mode == IOASID_ACCOUNT_USER ?
					   "user" :
					   "process");
	}
	atomic64_add(pages, &payer->mm->pinned_vm);
	atomic64_add(pages, &ctx->pinned);
	return 0;
}

/**
 * ioasid_uncharge_pages() - undo ioasid_charge_pages()
 * @ctx: the context
 * @payer: payer that was charged; its process may have exited
 * @pages: number of pages
 *
 * Context: can sleep; takes mmap_lock if accounting to an mm.
 */
void ioasid_uncharge_pages(struct ioasid_ctx *ctx, struct ioasid_payer *payer,
			   unsigned long pages)
{
	atomic64_sub(pages, &ctx->pinned);
	atomic64_sub(pages, &payer->mm->pinned_vm);
	if (payer->mode == IOASID_ACCOUNT_USER) {
		atomic_long_sub(pages, &payer->user->locked_vm);
		return;
	}
	mmap_write_lock(payer->mm);
	__account_locked_vm(payer->mm, pages, false, current, true);
	mmap_write_unlock(payer->mm);
}

/**
 * ioasid_set_account_mode() - choose whose limit pinned memory counts against
 * @ctx: the context
 * @mode: enum ioasid_account_mode
 * @extack: the reason if it fails
 *
 * Context: can sleep; takes ioasid_ctx.ledger_lock.
 *
 * Return: 0, -EINVAL for an unknown mode, -EBUSY while memory is pinned.
 */
int ioasid_set_account_mode(struct ioasid_ctx *ctx, u64 mode,
			    struct ioasid_extack *extack)
{
	if (mode > IOASID_ACCOUNT_MM) {
		extack->value = mode;
		return ioasid_fail(extack, -EINVAL, IOASID_REASON_VALUE,
				   "%llu is not an accounting mode", mode);
	}
	guard(mutex)(&ctx->ledger_lock);
	if (atomic64_read(&ctx->pinned))
		return ioasid_fail(extack, -EBUSY, IOASID_REASON_IN_USE,
				   "the accounting mode cannot change while %llu KiB are pinned",
				   (u64)atomic64_read(&ctx->pinned) <<
				   (PAGE_SHIFT - 10));
	/* GET_INFO, OPTION and debugfs read it without the lock */
	WRITE_ONCE(ctx->account_mode, mode);
	return 0;
}

/* --- quotas of a context and of its user -------------------------------- */

/**
 * struct ioasid_limit - a limit of each context and of each user
 * @what: what is limited, in messages
 * @per_context: maximum of one context
 * @per_user: maximum of all contexts of one user
 */
struct ioasid_limit {
	const char *what;
	uint per_context;
	uint per_user;
};

static struct ioasid_limit ioasid_limits[IOASID_NR_QUOTAS] = {
	[IOASID_QUOTA_CONTEXTS] = { "contexts", 1, 4096 },
	[IOASID_QUOTA_PASIDS] = { "PASIDs", 1024, 4096 },
	[IOASID_QUOTA_DOMAINS] = { "page tables", 0, 4096 },
	[IOASID_QUOTA_MAPPINGS] = { "mappings", SZ_1M, 2 * SZ_1M },
	[IOASID_QUOTA_RESERVED] = { "reserved ranges", SZ_64K, 4 * SZ_64K },
	[IOASID_QUOTA_SPACES] = { "spaces", SZ_64K, 4 * SZ_64K },
	[IOASID_QUOTA_SLICES] = { "slices of shadow spaces", SZ_1M, 2 * SZ_1M },
};

#define IOASID_LIMIT_PER_CONTEXT(_name, _quota, _what)			\
	module_param_named(_name##_per_context,				\
			   ioasid_limits[_quota].per_context, uint, 0644); \
	MODULE_PARM_DESC(_name##_per_context,				\
			 "Maximum number of " _what " of one context")

#define IOASID_LIMIT_PER_USER(_name, _quota, _what)			\
	module_param_named(_name##_per_user,				\
			   ioasid_limits[_quota].per_user, uint, 0644);	\
	MODULE_PARM_DESC(_name##_per_user, "Maximum number of " _what	\
			 " of all contexts of one user")

IOASID_LIMIT_PER_USER(contexts, IOASID_QUOTA_CONTEXTS, "contexts");
IOASID_LIMIT_PER_CONTEXT(pasids, IOASID_QUOTA_PASIDS, "PASIDs");
IOASID_LIMIT_PER_USER(pasids, IOASID_QUOTA_PASIDS, "PASIDs");
IOASID_LIMIT_PER_USER(domains, IOASID_QUOTA_DOMAINS, "page tables");
IOASID_LIMIT_PER_CONTEXT(mappings, IOASID_QUOTA_MAPPINGS, "mappings");
IOASID_LIMIT_PER_USER(mappings, IOASID_QUOTA_MAPPINGS, "mappings");
IOASID_LIMIT_PER_CONTEXT(reserved, IOASID_QUOTA_RESERVED, "reserved ranges");
IOASID_LIMIT_PER_USER(reserved, IOASID_QUOTA_RESERVED, "reserved ranges");
IOASID_LIMIT_PER_CONTEXT(spaces, IOASID_QUOTA_SPACES, "spaces");
IOASID_LIMIT_PER_USER(spaces, IOASID_QUOTA_SPACES, "spaces");
IOASID_LIMIT_PER_CONTEXT(slices, IOASID_QUOTA_SLICES, "slices of shadow spaces");
IOASID_LIMIT_PER_USER(slices, IOASID_QUOTA_SLICES, "slices of shadow spaces");

static DEFINE_SPINLOCK(ioasid_users_lock);
static DEFINE_HASHTABLE(ioasid_users, 6);

/**
 * ioasid_owner_of() - find out who pays for what a user does
 * @ns: his user namespace
 * @uid: his uid
 *
 * Whoever has a user namespace has many uids, and would have as many quotas. So
 * a namespace of the machine's, with all in it, counts as one user: the one who
 * has made it, or the root user in it if root has made it for somebody else.
 *
 * Context: any; @ns stays valid.
 *
 * Return: the uid that pays.
 */
kuid_t ioasid_owner_of(struct user_namespace *ns, kuid_t uid)
{
	if (!ns->parent)
		return uid;
	while (ns->parent->parent)
		ns = ns->parent;
	uid = uid_eq(ns->owner, GLOBAL_ROOT_UID) ? make_kuid(ns, 0) : ns->owner;
	return uid_valid(uid) ? uid : ns->owner;
}

static struct ioasid_user *ioasid_user_find(kuid_t uid)
{
	struct ioasid_user *user;

	lockdep_assert_held(&ioasid_users_lock);
	hash_for_each_possible(ioasid_users, user, node, __kuid_val(uid))
		if (uid_eq(user->uid, uid))
			return user;
	return NULL;
}

/**
 * ioasid_user_get() - get the counts of the current user
 *
 * Context: a user process; can sleep. Takes ioasid_users_lock.
 *
 * Return: the counts with a reference, or NULL without memory.
 */
struct ioasid_user *ioasid_user_get(void)
{
	kuid_t uid = ioasid_owner_of(current_user_ns(), current_uid());
	struct ioasid_user *user, *new;

	/* Before the lock, since allocating can take long */
	new = kzalloc(sizeof(*new), GFP_KERNEL_ACCOUNT);
	if (!new)
		return NULL;
	refcount_set(&new->ref, 1);
	new->uid = uid;
	spin_lock(&ioasid_users_lock);
	user = ioasid_user_find(uid);
	if (user)
		refcount_inc(&user->ref);
	else
		hash_add(ioasid_users, &new->node, __kuid_val(uid));
	spin_unlock(&ioasid_users_lock);
	if (!user)
		return new;
	kfree(new);
	return user;
}

/**
 * ioasid_user_ref() - take another reference on the counts of a user
 * @user: the counts
 *
 * Context: any.
 *
 * Return: @user.
 */
struct ioasid_user *ioasid_user_ref(struct ioasid_user *user)
{
	refcount_inc(&user->ref);
	return user;
}

/**
 * ioasid_user_put() - put a reference on the counts of a user
 * @user: the counts
 *
 * Context: can sleep; takes ioasid_users_lock.
 */
void ioasid_user_put(struct ioasid_user *user)
{
	scoped_guard(spinlock, &ioasid_users_lock) {
		if (!refcount_dec_and_test(&user->ref))
			return;
		hash_del(&user->node);
	}
	if (user->mm_wq)
		destroy_workqueue(user->mm_wq);
	kfree(user);
}

/* Never more than the limit, not even for a moment: others would see it */
static int ioasid_charge_count(atomic64_t *used, enum ioasid_quota quota,
			       u32 nr, u32 limit, const char *whose,
			       struct ioasid_extack *extack)
{
	s64 old = atomic64_read(used);

	do {
		if (old + nr <= limit)
			continue;
		extack->value = limit;
		return ioasid_fail(extack, -EDQUOT, IOASID_REASON_LIMIT,
				   "%u more would exceed the limit of %u %s of this %s",
				   nr, limit, ioasid_limits[quota].what, whose);
	} while (!atomic64_try_cmpxchg(used, &old, old + nr));
	return 0;
}

/**
 * ioasid_charge_user() - charge only the user, before something is made
 * @user: the counts of the user
 * @quota: what it is
 * @nr: how many
 * @extack: the reason if it fails
 *
 * Context: any.
 *
 * Return: 0, or -EDQUOT above the limit of the user.
 */
int ioasid_charge_user(struct ioasid_user *user, enum ioasid_quota quota,
		       u32 nr, struct ioasid_extack *extack)
{
	return ioasid_charge_count(&user->used[quota], quota, nr,
				   READ_ONCE(ioasid_limits[quota].per_user),
				   "user", extack);
}

/**
 * ioasid_uncharge_user() - undo ioasid_charge_user()
 * @user: the counts of the user
 * @quota: what it is
 * @nr: how many
 *
 * Context: any.
 */
void ioasid_uncharge_user(struct ioasid_user *user, enum ioasid_quota quota,
			  u32 nr)
{
	atomic64_sub(nr, &user->used[quota]);
}

/**
 * ioasid_charge() - charge a context, and its user, before something is made
 * @ctx: the context
 * @quota: what it is
 * @nr: how many
 * @extack: the reason if it fails
 *
 * Context: any.
 *
 * Return: 0, or -EDQUOT above the limit of the context or of the user.
 */
int ioasid_charge(struct ioasid_ctx *ctx, enum ioasid_quota quota, u32 nr,
		  struct ioasid_extack *extack)
{
	int rc = ioasid_charge_count(&ctx->used[quota], quota, nr,
				     READ_ONCE(ioasid_limits[quota].per_context),
				     "context", extack);

	if (rc)
		return rc;
	rc = ioasid_charge_user(ctx->user, quota, nr, extack);
	if (rc)
		atomic64_sub(nr, &ctx->used[quota]);
	return rc;
}

/**
 * ioasid_uncharge() - undo ioasid_charge()
 * @ctx: the context
 * @quota: what it is
 * @nr: how many
 *
 * Context: any.
 */
void ioasid_uncharge(struct ioasid_ctx *ctx, enum ioasid_quota quota, u32 nr)
{
	atomic64_sub(nr, &ctx->used[quota]);
	ioasid_uncharge_user(ctx->user, quota, nr);
}

/**
 * ioasid_quota_max() - get how many a context could have
 * @ctx: the context
 * @quota: of what
 *
 * Context: any.
 *
 * Return: the limit of the context, or what the user's other contexts leave of
 * that of the user, if this is less.
 */
u64 ioasid_quota_max(struct ioasid_ctx *ctx, enum ioasid_quota quota)
{
	s64 others = atomic64_read(&ctx->user->used[quota]) -
		     atomic64_read(&ctx->used[quota]);
	s64 left = (s64)READ_ONCE(ioasid_limits[quota].per_user) - others;

	return clamp_t(s64, left, 0, READ_ONCE(ioasid_limits[quota].per_context));
}

static uint ioasid_records_per_context = 4 * IOASID_FAULT_MAX_DEPTH;
module_param_named(fault_records_per_context, ioasid_records_per_context, uint,
		   0644);
MODULE_PARM_DESC(fault_records_per_context,
		 "Maximum number of records of all fault queues of one context");

/**
 * ioasid_charge_records() - charge the records of a fault queue to a context
 * @ctx: the context
 * @depth: number of records
 * @extack: the reason if it fails
 *
 * Context: any.
 *
 * Return: 0, or -EDQUOT above the limit of the context.
 */
int ioasid_charge_records(struct ioasid_ctx *ctx, u32 depth,
			  struct ioasid_extack *extack)
{
	u32 limit = READ_ONCE(ioasid_records_per_context);
	u32 has = atomic_add_return(depth, &ctx->nr_records);

	if (has <= limit)
		return 0;
	atomic_sub(depth, &ctx->nr_records);
	extack->value = limit;
	return ioasid_fail(extack, -EDQUOT, IOASID_REASON_LIMIT,
			   "the fault queues of this context would have %u records, above the limit of %u",
			   has, limit);
}

/**
 * ioasid_uncharge_records() - undo ioasid_charge_records()
 * @ctx: the context
 * @depth: number of records
 *
 * Context: any.
 */
void ioasid_uncharge_records(struct ioasid_ctx *ctx, u32 depth)
{
	atomic_sub(depth, &ctx->nr_records);
}
