// SPDX-License-Identifier: GPL-2.0
/*
 * Contexts: what one open of /dev/ioasid owns, and how long it lives.
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
	ioasid_unbind_files(ctx);
	ioasid_ctx_free_spaces(ctx);
	ioasid_ctx_put(ctx);
}
