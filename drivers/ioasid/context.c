// SPDX-License-Identifier: GPL-2.0
/*
 * Contexts: the objects of one open of /dev/ioasid, and its lifetime. A context
 * must never be freed while a glue or a fault queue has a reference.
 */
#include <linux/sched.h>
#include <linux/slab.h>
#include "ioasid_private.h"

static atomic_t ioasid_last_ctx;

/**
 * ioasid_ctx_create() - create the context of a newly opened file
 *
 * Context: a user process; can sleep.
 *
 * Return: the context, to be closed by ioasid_ctx_close(), ERR_PTR(-EDQUOT)
 * above the limit of the user, or ERR_PTR(-ENOMEM).
 */
struct ioasid_ctx *ioasid_ctx_create(void)
{
	struct ioasid_ctx *ctx = kzalloc(sizeof(*ctx), GFP_KERNEL_ACCOUNT);
	struct ioasid_extack extack;
	int rc = -ENOMEM;

	if (!ctx)
		return ERR_PTR(rc);
	ctx->user = ioasid_user_get();
	if (!ctx->user)
		goto free;
	ctx->deferred = ioasid_deferred_new(ctx->user);
	if (!ctx->deferred)
		goto put_user;
	ioasid_extack_init(&extack);
	rc = ioasid_charge_user(ctx->user, IOASID_QUOTA_CONTEXTS, 1, &extack);
	if (rc)
		goto put_deferred;
	kref_init(&ctx->ref);
	mutex_init(&ctx->lock);
	mutex_init(&ctx->ledger_lock);
	INIT_LIST_HEAD(&ctx->payers);
	xa_init_flags(&ctx->spaces, XA_FLAGS_ALLOC1 | XA_FLAGS_ACCOUNT);
	xa_init_flags(&ctx->devices, XA_FLAGS_ALLOC1 | XA_FLAGS_ACCOUNT);
	INIT_LIST_HEAD(&ctx->device_list);
	xa_init_flags(&ctx->pasids, XA_FLAGS_ACCOUNT);
	INIT_LIST_HEAD(&ctx->mm_pasids);
	xa_init_flags(&ctx->queues, XA_FLAGS_ALLOC1 | XA_FLAGS_ACCOUNT);
	ctx->nr = atomic_inc_return(&ioasid_last_ctx);
	ctx->opener = task_tgid_nr(current);
	ioasid_debugfs_add(ctx);
	return ctx;
put_deferred:
	ioasid_deferred_put(ctx->deferred);
put_user:
	ioasid_user_put(ctx->user);
free:
	kfree(ctx);
	return ERR_PTR(rc);
}

/*
 * Frees the spaces without devices. The file is closed, so no command is in
 * progress. A glue that holds the context can still attach a device, which
 * either keeps the space or fails with -ENOENT, and can free a space of its own
 * at the same time.
 */
static void ioasid_ctx_free_spaces_that(struct ioasid_ctx *ctx, bool are_nested)
{
	struct ioasid_extack gone;
	struct ioasid_space *space;
	unsigned long id;

	ioasid_extack_init(&gone);
	xa_for_each(&ctx->spaces, id, space) {
		space = ioasid_space_get(ctx, id, &gone);
		if (IS_ERR(space))
			continue;
		if (!!space->parent == are_nested &&
		    !ioasid_space_release_id(space, &gone))
			ioasid_space_put(space);
		ioasid_space_put(space);
	}
}

static void ioasid_ctx_free_spaces(struct ioasid_ctx *ctx)
{
	/* A parent can only be freed without children */
	ioasid_ctx_free_spaces_that(ctx, true);
	ioasid_ctx_free_spaces_that(ctx, false);
}

static void ioasid_ctx_free(struct kref *ref)
{
	struct ioasid_ctx *ctx = container_of(ref, struct ioasid_ctx, ref);
	u32 i;

	ioasid_debugfs_remove(ctx);
	ioasid_ctx_free_spaces(ctx);
	ioasid_pasid_free_all(ctx);
	ioasid_mm_pasids_end_ctx(ctx);
	if (ctx->payer)
		ioasid_payer_put(ctx, ctx->payer);
	WARN_ON(!xa_empty(&ctx->spaces) || !xa_empty(&ctx->devices) ||
		!xa_empty(&ctx->queues));
	WARN_ON(!list_empty(&ctx->payers) || atomic64_read(&ctx->pinned));
	for (i = 0; i < IOASID_NR_QUOTAS; i++)
		WARN_ON(atomic64_read(&ctx->used[i]));
	xa_destroy(&ctx->spaces);
	xa_destroy(&ctx->devices);
	xa_destroy(&ctx->pasids);
	xa_destroy(&ctx->queues);
	ioasid_uncharge_user(ctx->user, IOASID_QUOTA_CONTEXTS, 1);
	ioasid_deferred_put(ctx->deferred);
	ioasid_user_put(ctx->user);
	kfree(ctx);
}

/**
 * ioasid_ctx_put() - put a reference on a context
 * @ctx: the context; freed with the last reference, with its spaces and PASIDs
 *
 * Context: can sleep. The last put takes mmap_lock if memory is charged to an
 * mm.
 */
void ioasid_ctx_put(struct ioasid_ctx *ctx)
{
	kref_put(&ctx->ref, ioasid_ctx_free);
}

/**
 * ioasid_ctx_close() - close the file of a context
 * @ctx: the context
 *
 * Unbinds the devices that are bound by a file. Unpins at once all memory that
 * no attached device can reach, and the rest with the last device.
 *
 * Context: can sleep; takes ioasid_file_info.lock and ioasid_ctx.lock.
 */
void ioasid_ctx_close(struct ioasid_ctx *ctx)
{
	ioasid_unbind_files(ctx);
	ioasid_ctx_free_spaces(ctx);
	ioasid_ctx_put(ctx);
}
