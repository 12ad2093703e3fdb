// SPDX-License-Identifier: GPL-2.0
/*
 * Contexts: what one open of /dev/ioasid owns, how long it lives, and the
 * ledger of pinned memory. The ledger must never fall behind: pages are
 * charged before they are pinned and given back after they are unpinned.
 */
#include <linux/cred.h>
#include <linux/mm.h>
#include <linux/sched/mm.h>
#include <linux/sched/signal.h>
#include <linux/sched/user.h>
#include <linux/slab.h>
#include "ioasid_private.h"

static atomic_t ioasid_last_ctx;

struct ioasid_ctx *ioasid_ctx_create(void)
{
	struct ioasid_ctx *ctx = kzalloc(sizeof(*ctx), GFP_KERNEL_ACCOUNT);

	if (!ctx)
		return ERR_PTR(-ENOMEM);
	kref_init(&ctx->ref);
	mutex_init(&ctx->lock);
	mutex_init(&ctx->ledger_lock);
	INIT_LIST_HEAD(&ctx->payers);
	xa_init_flags(&ctx->spaces, XA_FLAGS_ALLOC1 | XA_FLAGS_ACCOUNT);
	xa_init_flags(&ctx->devices, XA_FLAGS_ALLOC1 | XA_FLAGS_ACCOUNT);
	INIT_LIST_HEAD(&ctx->device_list);
	xa_init_flags(&ctx->pasids, XA_FLAGS_ACCOUNT);
	xa_init_flags(&ctx->queues, XA_FLAGS_ALLOC1 | XA_FLAGS_ACCOUNT);
	ctx->nr = atomic_inc_return(&ioasid_last_ctx);
	ctx->opener = task_tgid_nr(current);
	ioasid_debugfs_add(ctx);
	return ctx;
}

/*
 * Frees the spaces that no device uses. The file is closed, so no command is
 * at work; a glue that has just looked the fd up can still attach a device, and
 * finds the space attached in time or not at all.
 */
static void ioasid_ctx_free_spaces(struct ioasid_ctx *ctx)
{
	struct ioasid_space *space;
	unsigned long id;

	xa_for_each(&ctx->spaces, id, space)
		if (ioasid_space_release_id(space))
			ioasid_space_put(space);
}

static void ioasid_ctx_free(struct kref *ref)
{
	struct ioasid_ctx *ctx = container_of(ref, struct ioasid_ctx, ref);

	ioasid_debugfs_remove(ctx);
	ioasid_ctx_free_spaces(ctx);
	ioasid_pasid_free_all(ctx);
	if (ctx->payer)
		ioasid_payer_put(ctx, ctx->payer);
	WARN_ON(!xa_empty(&ctx->spaces) || !xa_empty(&ctx->devices) ||
		!xa_empty(&ctx->queues));
	WARN_ON(!list_empty(&ctx->payers) || atomic64_read(&ctx->pinned));
	xa_destroy(&ctx->spaces);
	xa_destroy(&ctx->devices);
	xa_destroy(&ctx->pasids);
	xa_destroy(&ctx->queues);
	kfree(ctx);
}

void ioasid_ctx_put(struct ioasid_ctx *ctx)
{
	kref_put(&ctx->ref, ioasid_ctx_free);
}

/**
 * ioasid_ctx_close() - the file is gone
 * @ctx: the context
 *
 * Devices that are known by a file are detached. Memory that no attached device
 * can reach is unpinned at once; the rest goes with the last device.
 */
void ioasid_ctx_close(struct ioasid_ctx *ctx)
{
	ioasid_held_close(ctx);
	ioasid_ctx_free_spaces(ctx);
	ioasid_ctx_put(ctx);
}

static void ioasid_payer_free(struct ioasid_payer *payer)
{
	free_uid(payer->user);
	mmdrop(payer->mm);
	kfree(payer);
}

static struct ioasid_payer *ioasid_payer_find(struct ioasid_ctx *ctx)
{
	struct ioasid_payer *payer;

	list_for_each_entry(payer, &ctx->payers, link)
		if (payer->mm == current->mm && payer->user == current_user() &&
		    payer->mode == ctx->account_mode)
			return payer;
	return NULL;
}

static struct ioasid_payer *ioasid_payer_add(struct ioasid_ctx *ctx)
{
	struct ioasid_payer *payer = kzalloc(sizeof(*payer), GFP_KERNEL_ACCOUNT);

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
 * ioasid_charge() - reserve pages in the ledger before they are pinned
 * @ctx: the context
 * @payer: who pays; the current process
 * @pages: number of pages
 * @why: the reason if it fails
 *
 * Return: 0, -ENOMEM above RLIMIT_MEMLOCK without CAP_IPC_LOCK, -EINTR if
 * killed.
 */
int ioasid_charge(struct ioasid_ctx *ctx, struct ioasid_payer *payer,
		  unsigned long pages, struct ioasid_explain *why)
{
	int rc;

	if (payer->mode == IOASID_ACCOUNT_USER)
		rc = ioasid_charge_user(payer, pages);
	else
		rc = ioasid_charge_mm(payer, pages);
	if (rc == -EINTR)
		return ioasid_fail(why, rc, IOASID_REASON_KILLED,
				   "killed while waiting to charge memory");
	if (rc) {
		why->value = rlimit(RLIMIT_MEMLOCK);
		return ioasid_fail(why, rc, IOASID_REASON_MEMLOCK,
				   "%lu KiB more would exceed RLIMIT_MEMLOCK of %lu KiB of this %s",
				   pages << (PAGE_SHIFT - 10),
				   rlimit(RLIMIT_MEMLOCK) >> 10,
				   payer->mode == IOASID_ACCOUNT_USER ?
				   "user" : "process");
	}
	atomic64_add(pages, &payer->mm->pinned_vm);
	atomic64_add(pages, &ctx->pinned);
	return 0;
}

/**
 * ioasid_uncharge() - give back what ioasid_charge() took
 * @ctx: the context
 * @payer: who paid; need not be the current process, which may be gone
 * @pages: number of pages
 */
void ioasid_uncharge(struct ioasid_ctx *ctx, struct ioasid_payer *payer,
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

int ioasid_cmd_get_info(struct ioasid_command *cmd)
{
	struct ioasid_info *info = cmd->arg;
	struct ioasid_ctx *ctx = cmd->ctx;
	struct ioasid_explain gone;
	struct ioasid_space *space;
	unsigned long id;

	ioasid_explain_init(&gone);
	info->caps = IOASID_CAP_MAPPED | IOASID_CAP_FILE | IOASID_CAP_REPLACE |
		     IOASID_CAP_PASID | IOASID_CAP_REFUSED;
	if (IS_ENABLED(CONFIG_IOMMU_SVA))
		info->caps |= IOASID_CAP_MM;
	if (IS_ENABLED(CONFIG_IOMMU_IOPF))
		info->caps |= IOASID_CAP_FAULT | IOASID_CAP_POLICY;
	if (ioasid_resolver_exists())
		info->caps |= IOASID_CAP_DEVICE_FD;
	info->max_vector = IOASID_MAX_VECTOR;
	info->page_size = PAGE_SIZE;
	info->nr_mappings = 0;
	info->mapped = 0;
	mutex_lock(&ctx->lock);
	info->account_mode = ctx->account_mode;
	info->nr_devices = ctx->nr_devices;
	info->nr_pasids = ctx->nr_pasids;
	info->nr_spaces = atomic_read(&ctx->nr_spaces);
	mutex_unlock(&ctx->lock);
	xa_for_each(&ctx->spaces, id, space) {
		space = ioasid_space_get(ctx, id, &gone);
		if (IS_ERR(space))
			continue;
		info->nr_mappings += atomic64_read(&space->nr_mappings);
		info->mapped += atomic64_read(&space->mapped) << PAGE_SHIFT;
		ioasid_space_put(space);
		cond_resched();
	}
	info->pinned = atomic64_read(&ctx->pinned) << PAGE_SHIFT;
	return ioasid_respond(cmd, sizeof(*info));
}

static int ioasid_set_account_mode(struct ioasid_command *cmd, u64 mode)
{
	struct ioasid_ctx *ctx = cmd->ctx;
	int rc = 0;

	if (mode > IOASID_ACCOUNT_MM) {
		cmd->why->value = mode;
		return ioasid_fail(cmd->why, -EINVAL, IOASID_REASON_VALUE,
				   "%llu is not an accounting mode", mode);
	}
	mutex_lock(&ctx->ledger_lock);
	if (atomic64_read(&ctx->pinned))
		rc = ioasid_fail(cmd->why, -EBUSY, IOASID_REASON_IN_USE,
				 "the accounting mode cannot change while %llu KiB are pinned",
				 (u64)atomic64_read(&ctx->pinned) <<
				 (PAGE_SHIFT - 10));
	else
		ctx->account_mode = mode;
	mutex_unlock(&ctx->ledger_lock);
	return rc;
}

int ioasid_cmd_option(struct ioasid_command *cmd)
{
	struct ioasid_option *arg = cmd->arg;

	if (arg->__reserved)
		return ioasid_fail(cmd->why, -EOPNOTSUPP, IOASID_REASON_FLAGS,
				   "a reserved field is not zero");
	if (arg->option != IOASID_OPTION_ACCOUNT_MODE) {
		cmd->why->value = arg->option;
		return ioasid_fail(cmd->why, -EINVAL, IOASID_REASON_VALUE,
				   "%u is not an option", arg->option);
	}
	if (arg->flags & IOASID_OPTION_SET)
		return ioasid_set_account_mode(cmd, arg->value);
	arg->value = READ_ONCE(cmd->ctx->account_mode);
	return ioasid_respond(cmd, sizeof(*arg));
}
