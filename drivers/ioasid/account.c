// SPDX-License-Identifier: GPL-2.0
/*
 * Who pays for what: the ledger of pinned memory, and the quotas of PASIDs and of
 * fault records. It must never fall behind: a thing is charged before it is taken
 * and given back after it is gone.
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
 * ioasid_payer_get() - who pays for what the current process maps
 * @ctx: the context
 *
 * Return: a payer with a reference, or NULL without memory.
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
	/* A program that maps and unmaps in turn must not make it anew each time */
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
 * @payer: who pays; the current process
 * @pages: number of pages
 * @extack: the reason if it fails
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
 * ioasid_uncharge_pages() - give back what ioasid_charge_pages() took
 * @ctx: the context
 * @payer: who paid; need not be the current process, which may be gone
 * @pages: number of pages
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

static unsigned int ioasid_pasids_per_context = 1024;
module_param_named(pasids_per_context, ioasid_pasids_per_context, uint, 0644);
MODULE_PARM_DESC(pasids_per_context, "PASIDs that one context can have");

static unsigned int ioasid_pasids_per_user = 4096;
module_param_named(pasids_per_user, ioasid_pasids_per_user, uint, 0644);
MODULE_PARM_DESC(pasids_per_user, "PASIDs that all contexts of one user can have");

/* uid -> PASIDs that it has, as a value; an entry of 0 is erased */
static DEFINE_XARRAY_FLAGS(ioasid_pasid_users, XA_FLAGS_ACCOUNT);

static DEFINE_MUTEX(ioasid_pasid_lock);

/**
 * ioasid_charge_user_pasid() - a user has a PASID more
 * @uid: the user
 * @extack: the reason if it fails
 *
 * Return: 0, -EDQUOT, -ENOMEM.
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
				 "user %u has %lu PASIDs, and may not have more",
				 uid, has);
	else if (xa_err(xa_store(&ioasid_pasid_users, uid, xa_mk_value(has + 1),
				 GFP_KERNEL_ACCOUNT)))
		rc = ioasid_fail(extack, -ENOMEM, IOASID_REASON_NO_MEMORY,
				 "no memory for a PASID");
	mutex_unlock(&ioasid_pasid_lock);
	return rc;
}

/**
 * ioasid_uncharge_user_pasid() - a user has a PASID less
 * @uid: the user; ioasid_charge_user_pasid() has succeeded for it
 */
void ioasid_uncharge_user_pasid(uid_t uid)
{
	unsigned long has;

	mutex_lock(&ioasid_pasid_lock);
	has = xa_to_value(xa_load(&ioasid_pasid_users, uid));
	/* Over an entry that is there: needs no memory */
	if (has > 1)
		xa_store(&ioasid_pasid_users, uid, xa_mk_value(has - 1),
			 GFP_KERNEL);
	else
		xa_erase(&ioasid_pasid_users, uid);
	mutex_unlock(&ioasid_pasid_lock);
}

/**
 * ioasid_charge_pasid() - a context, and a user, have a PASID more
 * @ctx: the context; its lock is held
 * @uid: the user
 * @extack: the reason if it fails
 *
 * Return: 0, -EDQUOT, -ENOMEM.
 */
int ioasid_charge_pasid(struct ioasid_ctx *ctx, uid_t uid,
			struct ioasid_extack *extack)
{
	int rc;

	lockdep_assert_held(&ctx->lock);
	if (ctx->nr_pasids >= READ_ONCE(ioasid_pasids_per_context)) {
		extack->value = ctx->nr_pasids;
		return ioasid_fail(extack, -EDQUOT, IOASID_REASON_LIMIT,
				   "this context has %u PASIDs, and may not have more",
				   ctx->nr_pasids);
	}
	rc = ioasid_charge_user_pasid(uid, extack);
	if (!rc)
		ctx->nr_pasids++;
	return rc;
}

/**
 * ioasid_uncharge_pasid() - give back what ioasid_charge_pasid() took
 * @ctx: the context; its lock is held, or nobody else has it
 * @uid: the user
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
		 "records that all fault queues of a context may have room for");

/**
 * ioasid_charge_records() - a context has a fault queue more
 * @ctx: the context
 * @depth: records that fit into it
 * @extack: the reason if it fails
 *
 * Return: 0 or -EDQUOT.
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
			   "the fault queues of this context would have %u records: %u at most",
			   has, limit);
}

/**
 * ioasid_uncharge_records() - give back what ioasid_charge_records() took
 * @ctx: the context
 * @depth: records
 */
void ioasid_uncharge_records(struct ioasid_ctx *ctx, u32 depth)
{
	atomic_sub(depth, &ctx->nr_records);
}
