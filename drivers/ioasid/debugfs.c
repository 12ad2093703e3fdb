// SPDX-License-Identifier: GPL-2.0
/*
 * /sys/kernel/debug/ioasid: a directory for each context. It must never change
 * any state, and no program may rely on its format.
 */
#include <linux/debugfs.h>
#include <linux/seq_file.h>
#include "ioasid_private.h"

static struct dentry *ioasid_debugfs_root;

static int context_show(struct seq_file *m, void *unused)
{
	struct ioasid_ctx *ctx = m->private;
	u32 nr_devices;

	scoped_guard(mutex, &ctx->lock)
		nr_devices = ctx->nr_devices;
	seq_printf(m, "opener=%d account_mode=%s spaces=%d devices=%u pinned_kib=%llu\n",
		   ctx->opener,
		   READ_ONCE(ctx->account_mode) == IOASID_ACCOUNT_USER ?
			   "user" : "mm",
		   atomic_read(&ctx->nr_spaces), nr_devices,
		   (u64)atomic64_read(&ctx->pinned) << (PAGE_SHIFT - 10));
	return 0;
}
DEFINE_SHOW_ATTRIBUTE(context);

static void space_show(struct seq_file *m, struct ioasid_space *space)
{
	u32 i;

	down_read(&space->rwsem);
	/* The label last, so that it cannot forge a field */
	seq_printf(m, "ioasid=%u kind=%s domains=%u devices=%u mappings=%lld mapped_kib=%llu pinned_kib=%llu label=%s\n",
		   space->id, space->ops->name, space->nr_domains,
		   space->nr_devices, atomic64_read(&space->nr_mappings),
		   (u64)atomic64_read(&space->mapped) << (PAGE_SHIFT - 10),
		   (u64)atomic64_read(&space->pinned) << (PAGE_SHIFT - 10),
		   space->label);
	for (i = 0; i < space->nr_usable; i++)
		seq_printf(m, "  usable %#llx-%#llx\n", space->usable[i].first,
			   space->usable[i].last);
	up_read(&space->rwsem);
}

static int spaces_show(struct seq_file *m, void *unused)
{
	struct ioasid_ctx *ctx = m->private;
	struct ioasid_space *space;
	struct ioasid_extack extack;
	unsigned long id;

	xa_for_each(&ctx->spaces, id, space) {
		ioasid_extack_init(&extack);
		space = ioasid_space_get(ctx, id, &extack);
		if (IS_ERR(space))
			continue;
		space_show(m, space);
		ioasid_space_put(space);
	}
	return 0;
}
DEFINE_SHOW_ATTRIBUTE(spaces);

static int attachments_show(struct seq_file *m, void *unused)
{
	ioasid_device_show(m, m->private);
	return 0;
}
DEFINE_SHOW_ATTRIBUTE(attachments);

/**
 * ioasid_debugfs_setup() - create the directory of the module
 *
 * Errors are ignored, as by everything that uses debugfs.
 *
 * Context: can sleep.
 */
void ioasid_debugfs_setup(void)
{
	ioasid_debugfs_root = debugfs_create_dir("ioasid", NULL);
}

/**
 * ioasid_debugfs_teardown() - undo ioasid_debugfs_setup()
 *
 * Context: can sleep; no context is left.
 */
void ioasid_debugfs_teardown(void)
{
	debugfs_remove(ioasid_debugfs_root);
}

/**
 * ioasid_debugfs_add() - add the directory of a context
 * @ctx: the context; stays valid for readers until ioasid_debugfs_remove()
 *	returns
 *
 * Context: can sleep.
 */
void ioasid_debugfs_add(struct ioasid_ctx *ctx)
{
	char name[16];

	snprintf(name, sizeof(name), "%u", ctx->nr);
	ctx->debugfs = debugfs_create_dir(name, ioasid_debugfs_root);
	debugfs_create_file("context", 0400, ctx->debugfs, ctx, &context_fops);
	debugfs_create_file("spaces", 0400, ctx->debugfs, ctx, &spaces_fops);
	debugfs_create_file("attachments", 0400, ctx->debugfs, ctx,
			    &attachments_fops);
}

/**
 * ioasid_debugfs_remove() - undo ioasid_debugfs_add()
 * @ctx: the context
 *
 * Context: can sleep; waits for readers, which take ioasid_ctx.lock and
 * ioasid_space.rwsem.
 */
void ioasid_debugfs_remove(struct ioasid_ctx *ctx)
{
	debugfs_remove(ctx->debugfs);
}
