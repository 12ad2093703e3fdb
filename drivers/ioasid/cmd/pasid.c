// SPDX-License-Identifier: GPL-2.0
/*
 * The commands PASID_ALLOC and PASID_FREE. They must allocate or free all
 * PASIDs of a command or none.
 */
#include <linux/slab.h>
#include <linux/uaccess.h>
#include "cmd.h"

static int ioasid_check_pasid_alloc(const struct ioasid_pasid_alloc *arg,
				    struct ioasid_extack *extack)
{
	extack->value = arg->nr;
	if (!arg->nr)
		return ioasid_fail(extack, -EINVAL, IOASID_REASON_VALUE,
				   "the number of PASIDs is 0");
	if (arg->nr > IOASID_MAX_VECTOR)
		return ioasid_fail(extack, -E2BIG, IOASID_REASON_LIMIT,
				   "%u PASIDs, but at most %u are allowed", arg->nr,
				   IOASID_MAX_VECTOR);
	extack->value = 0;
	return 0;
}

/**
 * ioasid_cmd_pasid_alloc() - IOASID_PASID_ALLOC: allocate PASIDs
 * @cmd: the command, with a struct ioasid_pasid_alloc
 *
 * Context: a user process, no locks held; can sleep.
 *
 * Return: 0, or an error of IOASID_PASID_ALLOC.
 */
int ioasid_cmd_pasid_alloc(struct ioasid_command *cmd)
{
	struct ioasid_pasid_alloc *arg = cmd->arg;
	const struct ioasid_array array = {
		.uptr = arg->pasids,
		.stride = sizeof(u32),
		.nr = arg->nr,
		.what = "PASIDs",
	};
	u32 *pasids;
	int rc = ioasid_check_pasid_alloc(arg, cmd->extack);

	if (rc)
		return rc;
	/* Detects an unreadable array before anything is allocated */
	pasids = ioasid_get_array(&array, sizeof(*pasids), cmd->extack);
	if (IS_ERR(pasids))
		return PTR_ERR(pasids);
	rc = ioasid_pasids_alloc(cmd->ctx, arg->dev_id, pasids, arg->nr,
				 cmd->extack);
	if (!rc && copy_to_user(u64_to_user_ptr(arg->pasids), pasids,
				arg->nr * sizeof(*pasids))) {
		rc = ioasid_fail(cmd->extack, -EFAULT, IOASID_REASON_POINTER,
				 "cannot write the PASIDs");
		ioasid_pasids_drop(cmd->ctx, pasids, arg->nr);
	}
	kvfree(pasids);
	return rc;
}

/**
 * ioasid_cmd_pasid_free() - IOASID_PASID_FREE: free PASIDs
 * @cmd: the command, with a struct ioasid_pasid_free
 *
 * Context: a user process, no locks held; can sleep.
 *
 * Return: 0, or an error of IOASID_PASID_FREE.
 */
int ioasid_cmd_pasid_free(struct ioasid_command *cmd)
{
	struct ioasid_pasid_free *arg = cmd->arg;
	const struct ioasid_array array = {
		.uptr = arg->pasids,
		.stride = sizeof(u32),
		.nr = arg->nr,
		.what = "PASIDs",
	};
	int rc = ioasid_check_zero(arg->__reserved, cmd->extack);
	u32 *pasids;

	if (rc)
		return rc;
	if (!arg->nr || arg->nr > IOASID_MAX_VECTOR) {
		cmd->extack->value = arg->nr;
		return ioasid_fail(cmd->extack, arg->nr ? -E2BIG : -EINVAL,
				   arg->nr ? IOASID_REASON_LIMIT :
					     IOASID_REASON_VALUE,
				   "%u PASIDs, but 1 to %u are allowed", arg->nr,
				   IOASID_MAX_VECTOR);
	}
	pasids = ioasid_get_array(&array, sizeof(*pasids), cmd->extack);
	if (IS_ERR(pasids))
		return PTR_ERR(pasids);
	rc = ioasid_pasids_free(cmd->ctx, pasids, arg->nr, cmd->extack);
	kvfree(pasids);
	return rc;
}
