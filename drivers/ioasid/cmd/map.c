// SPDX-License-Identifier: GPL-2.0
/*
 * The commands MAP, UNMAP, COPY and TRANSLATE. They only copy from and
 * to user space, and must leave all work to mapped.c.
 */
#include <linux/capability.h>
#include <linux/slab.h>
#include <linux/uaccess.h>
#include "cmd.h"

/* Writes the IOVAs that the kernel has chosen; returns how many ranges it did */
static u32 ioasid_put_iovas(const struct ioasid_array *array,
			    const struct ioasid_map_range *r)
{
	struct ioasid_map_range __user *ur;
	u32 i;

	for (i = 0; i < array->nr; i++) {
		if (r[i].flags & IOASID_MAP_FIXED)
			continue;
		ur = ioasid_array_at(array, i);
		if (put_user(r[i].iova, &ur->iova))
			break;
	}
	return i;
}

/*
 * Brings the pages of the array in, with values that do not matter yet, or
 * finds out that it cannot be written.
 */
static int ioasid_check_iovas(const struct ioasid_array *array,
			      const struct ioasid_map_range *r,
			      struct ioasid_extack *extack)
{
	u32 done = ioasid_put_iovas(array, r);

	if (done == array->nr)
		return 0;
	extack->index = done;
	return ioasid_fail(extack, -EFAULT, IOASID_REASON_POINTER,
			   "cannot write the IOVA of range %u", done);
}

static int ioasid_map_user_ranges(struct ioasid_command *cmd,
				  const struct ioasid_array *array,
				  struct ioasid_map_range *r)
{
	struct ioasid_map_job job __uninitialized;
	struct ioasid_map *arg = cmd->arg;
	int rc = ioasid_check_iovas(array, r, cmd->extack);
	u32 done;

	if (!rc)
		rc = ioasid_map_begin(&job, cmd->ctx, r, arg->nr, cmd->extack);
	if (rc)
		return rc;
	do {
		rc = ioasid_map_place(&job, arg->ioasid, cmd->extack);
		if (rc)
			break;
		/* The space is locked, and the ranges can still be unmapped */
		pagefault_disable();
		done = ioasid_put_iovas(array, r);
		pagefault_enable();
		if (done == arg->nr) {
			ioasid_map_commit(&job);
			return 0;
		}
		ioasid_map_unplace(&job);
		rc = ioasid_check_iovas(array, r, cmd->extack);
	} while (!rc);
	ioasid_map_abort(&job);
	return rc;
}

static int ioasid_map_vector(struct ioasid_command *cmd,
			     const struct ioasid_array *array)
{
	struct ioasid_map_range *r;
	int rc;

	r = ioasid_get_array(array, sizeof(*r), cmd->extack);
	if (IS_ERR(r))
		return PTR_ERR(r);
	rc = ioasid_map_user_ranges(cmd, array, r);
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
	const struct ioasid_array array = {
		.uptr = arg->ranges,
		.stride = arg->range_size,
		.nr = arg->nr,
		.what = "ranges",
	};
	struct ioasid_map_range r;
	int rc = ioasid_check_vector(arg->nr, cmd->extack) ?:
			 ioasid_check_zero(arg->__reserved, cmd->extack);

	if (rc)
		return rc;
	/* Avoids an allocation for a single range */
	if (arg->nr > 1)
		return ioasid_map_vector(cmd, &array);
	return ioasid_get_element(&array, &r, sizeof(r), cmd->extack) ?:
		       ioasid_map_user_ranges(cmd, &array, &r);
}

static int ioasid_unmap_vector(struct ioasid_command *cmd,
			       const struct ioasid_array *array)
{
	struct ioasid_unmap *arg = cmd->arg;
	struct ioasid_unmap_range *r;
	int rc;

	r = ioasid_get_array(array, sizeof(*r), cmd->extack);
	if (IS_ERR(r))
		return PTR_ERR(r);
	rc = ioasid_unmap_ranges(cmd->ctx, arg->ioasid, r, arg->nr, arg->flags,
				 &arg->unmapped, cmd->extack);
	kvfree(r);
	return rc;
}

static int ioasid_unmap_one(struct ioasid_command *cmd,
			    const struct ioasid_array *array)
{
	struct ioasid_unmap *arg = cmd->arg;
	struct ioasid_unmap_range r;

	return ioasid_get_element(array, &r, sizeof(r), cmd->extack) ?:
		       ioasid_unmap_ranges(cmd->ctx, arg->ioasid, &r, 1,
					   arg->flags, &arg->unmapped,
					   cmd->extack);
}

static int ioasid_unmap_everything(struct ioasid_command *cmd)
{
	struct ioasid_unmap *arg = cmd->arg;

	if (arg->nr || arg->ranges)
		return ioasid_fail(cmd->extack, -EINVAL, IOASID_REASON_VALUE,
				   "IOASID_UNMAP_ALL takes no ranges");
	return ioasid_unmap_all(cmd->ctx, arg->ioasid, &arg->unmapped,
				cmd->extack);
}

/* The only field of the answer: to write all of the struct costs ten times that */
static int ioasid_put_unmapped(struct ioasid_command *cmd)
{
	struct ioasid_unmap __user *uarg = cmd->uptr;
	struct ioasid_unmap *arg = cmd->arg;

	if (!put_user(arg->unmapped, &uarg->unmapped))
		return 0;
	return ioasid_fail(cmd->extack, -EFAULT, IOASID_REASON_POINTER,
			   "cannot write the command's struct back");
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
	const struct ioasid_array array = {
		.uptr = arg->ranges,
		.stride = arg->range_size,
		.nr = arg->nr,
		.what = "ranges",
	};
	int rc = ioasid_check_zero(arg->__reserved, cmd->extack);

	if (rc)
		return rc;
	if (arg->flags & IOASID_UNMAP_ALL) {
		rc = ioasid_unmap_everything(cmd);
	} else {
		rc = ioasid_check_vector(arg->nr, cmd->extack);
		/* Avoids an allocation for a single range */
		if (!rc)
			rc = arg->nr > 1 ? ioasid_unmap_vector(cmd, &array) :
					   ioasid_unmap_one(cmd, &array);
	}
	return rc ?: ioasid_put_unmapped(cmd);
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
	struct ioasid_map_job job __uninitialized;
	int rc = ioasid_copy_begin(&job, cmd->ctx, arg, cmd->extack);

	if (rc)
		return rc;
	do {
		rc = ioasid_copy_place(&job, arg, cmd->extack);
		if (rc)
			break;
		if (ioasid_try_respond(cmd, sizeof(*arg))) {
			ioasid_map_commit(&job);
			return 0;
		}
		ioasid_map_unplace(&job);
		/* Brings the struct in, or finds out that it cannot be written */
		rc = ioasid_respond(cmd, sizeof(*arg));
	} while (!rc);
	ioasid_map_abort(&job);
	return rc;
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
