// SPDX-License-Identifier: GPL-2.0
/*
 * The commands MAP, UNMAP, COPY and TRANSLATE. They only copy from and
 * to user space, and must leave all work to mapped.c.
 */
#include <linux/capability.h>
#include <linux/slab.h>
#include <linux/uaccess.h>
#include "cmd.h"

/*
 * Writes the IOVA that the kernel has chosen. Also called before the command
 * takes effect, so that it only fails afterwards if user space unmaps the array
 * meanwhile.
 */
static int ioasid_put_iovas(const struct ioasid_map_range *r, u32 nr, u64 uptr,
			    struct ioasid_extack *extack)
{
	struct ioasid_map_range __user *ur = u64_to_user_ptr(uptr);
	u32 i;

	for (i = 0; i < nr; i++)
		if (!(r[i].flags & IOASID_MAP_FIXED) &&
		    put_user(r[i].iova, &ur[i].iova)) {
			extack->index = i;
			return ioasid_fail(extack, -EFAULT,
					   IOASID_REASON_POINTER,
					   "cannot write the IOVA of range %u",
					   i);
		}
	return 0;
}

static int ioasid_map_user_ranges(struct ioasid_command *cmd,
				  struct ioasid_map_range *r)
{
	struct ioasid_map *arg = cmd->arg;
	int rc = ioasid_put_iovas(r, arg->nr, arg->ranges, cmd->extack);

	if (!rc)
		rc = ioasid_map_ranges(cmd->ctx, arg->ioasid, r, arg->nr,
				       cmd->extack);
	return rc ?: ioasid_put_iovas(r, arg->nr, arg->ranges, cmd->extack);
}

static int ioasid_map_vector(struct ioasid_command *cmd)
{
	struct ioasid_map *arg = cmd->arg;
	struct ioasid_map_range *r;
	int rc;

	r = ioasid_get_array(arg->ranges, arg->nr, sizeof(*r), "ranges",
			     cmd->extack);
	if (IS_ERR(r))
		return PTR_ERR(r);
	rc = ioasid_map_user_ranges(cmd, r);
	kvfree(r);
	return rc;
}

/**
 * ioasid_cmd_map() - IOASID_MAP: map ranges
 * @cmd: the command, with a struct ioasid_map
 *
 * Context: a user process, no locks held; can sleep.
 *
 * Return: 0, or an error of IOASID_MAP.
 */
int ioasid_cmd_map(struct ioasid_command *cmd)
{
	struct ioasid_map *arg = cmd->arg;
	struct ioasid_map_range r;
	int rc = ioasid_check_vector(arg->nr, cmd->extack);

	if (rc)
		return rc;
	/* Avoids an allocation for a single range */
	if (arg->nr > 1)
		return ioasid_map_vector(cmd);
	if (copy_from_user(&r, u64_to_user_ptr(arg->ranges), sizeof(r)))
		return ioasid_fail(cmd->extack, -EFAULT, IOASID_REASON_POINTER,
				   "cannot read the range");
	return ioasid_map_user_ranges(cmd, &r);
}

static int ioasid_unmap_vector(struct ioasid_command *cmd)
{
	struct ioasid_unmap *arg = cmd->arg;
	struct ioasid_unmap_range *r;
	int rc;

	r = ioasid_get_array(arg->ranges, arg->nr, sizeof(*r), "ranges",
			     cmd->extack);
	if (IS_ERR(r))
		return PTR_ERR(r);
	rc = ioasid_unmap_ranges(cmd->ctx, arg->ioasid, r, arg->nr, arg->flags,
				 &arg->unmapped, cmd->extack);
	kvfree(r);
	return rc;
}

static int ioasid_unmap_one(struct ioasid_command *cmd)
{
	struct ioasid_unmap *arg = cmd->arg;
	struct ioasid_unmap_range r;

	if (copy_from_user(&r, u64_to_user_ptr(arg->ranges), sizeof(r)))
		return ioasid_fail(cmd->extack, -EFAULT, IOASID_REASON_POINTER,
				   "cannot read the range");
	return ioasid_unmap_ranges(cmd->ctx, arg->ioasid, &r, 1, arg->flags,
				   &arg->unmapped, cmd->extack);
}

/**
 * ioasid_cmd_unmap() - IOASID_UNMAP: unmap ranges, or all
 * @cmd: the command, with a struct ioasid_unmap
 *
 * Context: a user process, no locks held; can sleep.
 *
 * Return: 0, or an error of IOASID_UNMAP.
 */
int ioasid_cmd_unmap(struct ioasid_command *cmd)
{
	struct ioasid_unmap *arg = cmd->arg;
	int rc;

	if (arg->flags & IOASID_UNMAP_ALL) {
		if (arg->nr || arg->ranges)
			return ioasid_fail(cmd->extack, -EINVAL,
					   IOASID_REASON_VALUE,
					   "IOASID_UNMAP_ALL takes no ranges");
		rc = ioasid_unmap_all(cmd->ctx, arg->ioasid, &arg->unmapped,
				      cmd->extack);
		return rc ?: ioasid_respond(cmd, sizeof(*arg));
	}
	rc = ioasid_check_vector(arg->nr, cmd->extack);
	if (rc)
		return rc;
	/* Avoids an allocation for a single range */
	rc = arg->nr > 1 ? ioasid_unmap_vector(cmd) : ioasid_unmap_one(cmd);
	return rc ?: ioasid_respond(cmd, sizeof(*arg));
}

/**
 * ioasid_cmd_copy() - IOASID_COPY: map memory of a space in another one
 * @cmd: the command, with a struct ioasid_copy
 *
 * Context: a user process, no locks held; can sleep.
 *
 * Return: 0, or an error of IOASID_COPY.
 */
int ioasid_cmd_copy(struct ioasid_command *cmd)
{
	struct ioasid_copy *arg = cmd->arg;

	return ioasid_copy_range(cmd->ctx, arg, cmd->extack) ?:
		       ioasid_respond(cmd, sizeof(*arg));
}

/**
 * ioasid_cmd_translate() - IOASID_TRANSLATE: look up a mapping
 * @cmd: the command, with a struct ioasid_translate
 *
 * Context: a user process, no locks held; can sleep.
 *
 * Return: 0, or an error of IOASID_TRANSLATE.
 */
int ioasid_cmd_translate(struct ioasid_command *cmd)
{
	struct ioasid_translate *arg = cmd->arg;

	if (arg->flags & IOASID_TRANSLATE_PHYS && !capable(CAP_SYS_ADMIN))
		return ioasid_fail(cmd->extack, -EPERM, IOASID_REASON_PRIVILEGE,
				   "IOASID_TRANSLATE_PHYS needs CAP_SYS_ADMIN");
	return ioasid_translate(cmd->ctx, arg, cmd->extack) ?:
		       ioasid_respond(cmd, sizeof(*arg));
}
