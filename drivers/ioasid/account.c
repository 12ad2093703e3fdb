// SPDX-License-Identifier: GPL-2.0
/*
 * Accounting: the ledger of pinned memory, and the quotas of PASIDs and of
 * fault records. Nothing may ever be taken before it is charged, or uncharged
 * before it is released.
 */
#include <linux/cred.h>
#include <linux/mm.h>
#include <linux/moduleparam.h>
#include <linux/sched/mm.h>
#include <linux/sched/signal.h>
#include <linux/sched/user.h>
#include <linux/slab.h>
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

/**
 * ioasid_payer_put() - put a reference on a payer
 * @ctx: the context
 * @payer: the payer; freed with the last reference
 *
 * Context: can sleep; takes ioasid_ctx.ledger_lock.
 */
void ioasid_payer_put(struct ioasid_ctx *ctx, struct ioasid_payer *payer)
{
	if (!refcount_dec_and_mutex_lock(&payer->ref, &ctx->ledger_lock))
		return;
	list_del(&payer->link);
	mutex_unlock(&ctx->ledger_lock);
	ioasid_payer_free(payer);
}

static int ioasid_charge_user(struct ioasid_payer *payer, unsigned long pages)
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
		rc = ioasid_charge_user(payer, pages);
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
	ctx->account_mode = mode;
	return 0;
}

static unsigned int ioasid_pasids_per_context = 1024;
module_param_named(pasids_per_context, ioasid_pasids_per_context, uint, 0644);
MODULE_PARM_DESC(pasids_per_context, "Maximum number of PASIDs of one context");

static unsigned int ioasid_pasids_per_user = 4096;
module_param_named(pasids_per_user, ioasid_pasids_per_user, uint, 0644);
MODULE_PARM_DESC(pasids_per_user, "Maximum number of PASIDs of all contexts of one user");

/* uid -> number of its PASIDs, as a value; never 0 */
static DEFINE_XARRAY_FLAGS(ioasid_pasid_users, XA_FLAGS_ACCOUNT);

static DEFINE_MUTEX(ioasid_pasid_lock);

/**
 * ioasid_charge_user_pasid() - charge a PASID to a user
 * @uid: the user
 * @extack: the reason if it fails
 *
 * Context: can sleep; takes ioasid_pasid_lock.
 *
 * Return: 0, -EDQUOT above the limit of the user, -ENOMEM.
 */
int ioasid_charge_user_pasid(uid_t uid, struct ioasid_extack *extack)
{
	u32 limit = READ_ONCE(ioasid_pasids_per_user);
	unsigned long has;
	int rc = 0;

	mutex_lock(&ioasid_pasid_lock);
	has = xa_to_value(xa_load(&ioasid_pasid_users, uid) ?: xa_mk_value(0));
	if (has >= limit)
		rc = ioasid_fail(extack, -EDQUOT, IOASID_REASON_LIMIT,
				 "user %u has reached the limit with %lu PASIDs",
				 uid, has);
	else if (xa_err(xa_store(&ioasid_pasid_users, uid, xa_mk_value(has + 1),
				 GFP_KERNEL_ACCOUNT)))
		rc = ioasid_fail(extack, -ENOMEM, IOASID_REASON_NO_MEMORY,
				 "no memory for a PASID");
	mutex_unlock(&ioasid_pasid_lock);
	return rc;
}

/**
 * ioasid_uncharge_user_pasid() - undo ioasid_charge_user_pasid()
 * @uid: the user
 *
 * Context: can sleep; takes ioasid_pasid_lock.
 */
void ioasid_uncharge_user_pasid(uid_t uid)
{
	unsigned long has;

	mutex_lock(&ioasid_pasid_lock);
	has = xa_to_value(xa_load(&ioasid_pasid_users, uid));
	/* Cannot fail, since the entry exists */
	if (has > 1)
		xa_store(&ioasid_pasid_users, uid, xa_mk_value(has - 1),
			 GFP_KERNEL);
	else
		xa_erase(&ioasid_pasid_users, uid);
	mutex_unlock(&ioasid_pasid_lock);
}

/**
 * ioasid_charge_pasid() - charge a PASID to a context and a user
 * @ctx: the context
 * @uid: the user
 * @extack: the reason if it fails
 *
 * Context: ioasid_ctx.lock is held; can sleep. Takes ioasid_pasid_lock.
 *
 * Return: 0, -EDQUOT above the limit of the context or the user, -ENOMEM.
 */
int ioasid_charge_pasid(struct ioasid_ctx *ctx, uid_t uid,
			struct ioasid_extack *extack)
{
	int rc;

	lockdep_assert_held(&ctx->lock);
	if (ctx->nr_pasids >= READ_ONCE(ioasid_pasids_per_context)) {
		extack->value = ctx->nr_pasids;
		return ioasid_fail(extack, -EDQUOT, IOASID_REASON_LIMIT,
				   "this context has reached the limit with %u PASIDs",
				   ctx->nr_pasids);
	}
	rc = ioasid_charge_user_pasid(uid, extack);
	if (!rc)
		ctx->nr_pasids++;
	return rc;
}

/**
 * ioasid_uncharge_pasid() - undo ioasid_charge_pasid()
 * @ctx: the context
 * @uid: the user
 *
 * Context: ioasid_ctx.lock is held, or @ctx has no other user; can sleep. Takes
 * ioasid_pasid_lock.
 */
void ioasid_uncharge_pasid(struct ioasid_ctx *ctx, uid_t uid)
{
	ctx->nr_pasids--;
	ioasid_uncharge_user_pasid(uid);
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
