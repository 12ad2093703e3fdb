// SPDX-License-Identifier: GPL-2.0
/*
 * Contexts: the objects of one open of /dev/ioasid, and its lifetime. A context
 * must never be freed while a glue or a fault queue has a reference.
 */
#include <linux/sched.h>
#include <linux/slab.h>
#include "ioasid_private.h"

static atomic_t ioasid_last_ctx;

struct ioasid_ctx *ioasid_ctx_create(void)
{
	struct ioasid_ctx *ctx = kzalloc(sizeof(*ctx), GFP_KERNEL_ACCOUNT);

	if (!ctx)
		return ERR_PTR(-ENOMEM);
	ctx->user = ioasid_user_get();
	if (!ctx->user) {
		kfree(ctx);
		return ERR_PTR(-ENOMEM);
	}
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
 * Frees the spaces without devices. The file is closed, so no command is in
 * progress. A glue that holds the context can still attach a device, which
 * either keeps the space or fails with -ENOENT, and can free a space of its own
 * at the same time.
 */
static void ioasid_ctx_free_spaces(struct ioasid_ctx *ctx)
{
	struct ioasid_extack gone;
	struct ioasid_space *space;
	unsigned long id;

	ioasid_extack_init(&gone);
	xa_for_each(&ctx->spaces, id, space) {
		space = ioasid_space_get(ctx, id, &gone);
		if (IS_ERR(space))
			continue;
		if (ioasid_space_release_id(space))
			ioasid_space_put(space);
		ioasid_space_put(space);
	}
}

static void ioasid_ctx_free(struct kref *ref)
{
	struct ioasid_ctx *ctx = container_of(ref, struct ioasid_ctx, ref);
	u32 i;

	ioasid_debugfs_remove(ctx);
	ioasid_ctx_free_spaces(ctx);
	ioasid_pasid_free_all(ctx);
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
	ioasid_user_put(ctx->user);
	kfree(ctx);
}

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
