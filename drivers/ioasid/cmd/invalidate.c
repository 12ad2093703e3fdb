// SPDX-License-Identifier: GPL-2.0
/*
 * The command INVALIDATE. It must always say how many entries were executed, and
 * never depend on their format.
 */
#include <linux/slab.h>
#include "../nested.h"
#include "cmd.h"

static int ioasid_invalidate_format(struct ioasid_command *cmd)
{
	struct ioasid_invalidate *arg = cmd->arg;
	struct ioasid_invalidate_request req = {
		.ioasid = arg->ioasid,
		.data_type = arg->data_type,
		.entry_size = arg->entry_size,
		.nr = arg->nr,
		.entries = arg->entries,
	};
	int rc = ioasid_nested_invalidate(cmd->ctx, &req, cmd->extack);

	arg->done = req.done;
	return rc;
}

static int ioasid_invalidate_generic(struct ioasid_command *cmd)
{
	struct ioasid_invalidate *arg = cmd->arg;
	const struct ioasid_array array = {
		.uptr = arg->entries,
		.stride = arg->entry_size,
		.nr = arg->nr,
		.what = "entries",
	};
	struct ioasid_invalidate_entry *entries;
	int rc = ioasid_check_zero(arg->data_type, cmd->extack);

	if (rc)
		return rc;
	entries = ioasid_get_array(&array, sizeof(*entries), cmd->extack);
	if (IS_ERR(entries))
		return PTR_ERR(entries);
	rc = ioasid_nested_flush(cmd->ctx, arg->ioasid, entries, arg->nr,
				 &arg->done, cmd->extack);
	kvfree(entries);
	return rc;
}

static int ioasid_put_done(struct ioasid_command *cmd)
{
	struct ioasid_invalidate __user *uarg = cmd->uptr;
	struct ioasid_invalidate *arg = cmd->arg;

	if (!put_user(arg->done, &uarg->done))
		return 0;
	return ioasid_fail(cmd->extack, -EFAULT, IOASID_REASON_POINTER,
			   "cannot write the command's struct back");
}

/**
 * ioasid_cmd_invalidate() - IOASID_INVALIDATE: forget translations
 * @cmd: the command, with a struct ioasid_invalidate
 *
 * Context: a user process, no locks held; can sleep.
 *
 * Return: 0, or an error of IOASID_INVALIDATE.
 */
int ioasid_cmd_invalidate(struct ioasid_command *cmd)
{
	struct ioasid_invalidate *arg = cmd->arg;
	int rc, rc2;

	arg->done = 0;
	rc = ioasid_check_zero(arg->__reserved, cmd->extack) ?:
		     ioasid_check_vector(arg->nr, cmd->extack);
	if (!rc)
		rc = arg->flags & IOASID_INVALIDATE_GENERIC ?
			     ioasid_invalidate_generic(cmd) :
			     ioasid_invalidate_format(cmd);
	rc2 = ioasid_put_done(cmd);
	return rc ?: rc2;
}
