// SPDX-License-Identifier: GPL-2.0
/*
 * The commands ALLOC, FREE, SPACE_INFO and RESERVE. They must never depend on
 * what a kind of space can do.
 */
#include <linux/slab.h>
#include "cmd.h"

static int ioasid_check_alloc(struct ioasid_command *cmd)
{
	struct ioasid_alloc *arg = cmd->arg;
	int rc = ioasid_check_zero(arg->__reserved, cmd->extack);

	if (rc)
		return rc;
	if (strnlen(arg->label, sizeof(arg->label)) == sizeof(arg->label))
		return ioasid_fail(cmd->extack, -EINVAL, IOASID_REASON_VALUE,
				   "the label is not terminated within %zu bytes",
				   sizeof(arg->label));
	return 0;
}

/**
 * ioasid_cmd_alloc() - IOASID_ALLOC: allocate a space
 * @cmd: the command, with a struct ioasid_alloc
 *
 * Context: a user process, no locks held; can sleep.
 *
 * Return: 0, or an error of IOASID_ALLOC.
 */
int ioasid_cmd_alloc(struct ioasid_command *cmd)
{
	struct ioasid_alloc *arg = cmd->arg;
	const struct ioasid_space_params params = {
		.kind = arg->kind,
		.flags = arg->flags,
		.parent = arg->parent,
		.data_type = arg->data_type,
		.data_len = arg->data_len,
		.data = arg->data,
		.label = arg->label,
	};
	struct ioasid_space *space;
	int rc = ioasid_check_alloc(cmd);

	if (rc)
		return rc;
	space = ioasid_space_create(cmd->ctx, &params, cmd->extack);
	if (IS_ERR(space))
		return PTR_ERR(space);
	arg->ioasid = space->id;
	rc = ioasid_respond(cmd, sizeof(*arg));
	if (rc)
		ioasid_space_abort(space);
	else
		ioasid_space_publish(space);
	return rc;
}

/**
 * ioasid_cmd_free() - IOASID_FREE: free a space
 * @cmd: the command, with a struct ioasid_free
 *
 * Context: a user process, no locks held; can sleep.
 *
 * Return: 0, or an error of IOASID_FREE.
 */
int ioasid_cmd_free(struct ioasid_command *cmd)
{
	struct ioasid_free *arg = cmd->arg;

	return ioasid_check_zero(arg->__reserved, cmd->extack) ?:
	       ioasid_space_delete(cmd->ctx, arg->ioasid, cmd->extack);
}

static void ioasid_space_describe(struct ioasid_space *space,
				  struct ioasid_space_info *arg)
{
	struct ioasid_domain *domain;

	lockdep_assert_held(&space->rwsem);
	arg->kind = space->kind;
	arg->parent = space->parent ? space->parent->id : 0;
	arg->nr_domains = space->nr_domains;
	arg->nr_attachments = space->nr_devices;
	arg->nr_reserved = space->nr_reserved;
	arg->page_sizes = ~(u64)(PAGE_SIZE - 1);
	list_for_each_entry(domain, &space->domains, link)
		arg->page_sizes &= domain->domain->pgsize_bitmap;
	arg->nr_mappings = atomic64_read(&space->nr_mappings);
	arg->mapped = atomic64_read(&space->mapped) << PAGE_SHIFT;
	arg->pinned = atomic64_read(&space->pinned) << PAGE_SHIFT;
	memcpy(arg->label, space->label, sizeof(arg->label));
}

/**
 * ioasid_cmd_space_info() - IOASID_SPACE_INFO: describe a space
 * @cmd: the command, with a struct ioasid_space_info
 *
 * Context: a user process, no locks held; can sleep.
 *
 * Return: 0, or an error of IOASID_SPACE_INFO.
 */
int ioasid_cmd_space_info(struct ioasid_command *cmd)
{
	struct ioasid_space_info *arg = cmd->arg;
	const struct ioasid_array array = {
		.uptr = arg->ranges,
		.stride = arg->range_size,
		.nr = arg->nr_ranges,
	};
	struct ioasid_iova_range *ranges = NULL;
	struct ioasid_space *space;
	u32 nr;
	int rc;

	space = ioasid_space_get_read(cmd->ctx, arg->ioasid, cmd->extack);
	if (IS_ERR(space))
		return PTR_ERR(space);
	ioasid_space_describe(space, arg);
	nr = space->nr_usable;
	if (arg->ranges)
		ranges = ioasid_space_usable(space, &nr, cmd->extack);
	ioasid_space_put_read(space);
	if (IS_ERR(ranges))
		return PTR_ERR(ranges);

	rc = ioasid_put_ranges(&array, ranges, nr, cmd->extack);
	kvfree(ranges);
	arg->nr_ranges = nr;
	/* Reports the count even if the ranges do not fit */
	if (rc && rc != -EMSGSIZE)
		return rc;
	return ioasid_respond(cmd, sizeof(*arg)) ?: rc;
}

/**
 * ioasid_cmd_reserve() - IOASID_RESERVE: reserve ranges of a space
 * @cmd: the command, with a struct ioasid_reserve
 *
 * Context: a user process, no locks held; can sleep.
 *
 * Return: 0, or an error of IOASID_RESERVE.
 */
int ioasid_cmd_reserve(struct ioasid_command *cmd)
{
	struct ioasid_reserve *arg = cmd->arg;
	const struct ioasid_array array = {
		.uptr = arg->ranges,
		.stride = arg->range_size,
		.nr = arg->nr,
		.what = "ranges",
	};
	struct ioasid_iova_range *ranges = NULL;
	int rc = ioasid_check_zero(arg->__reserved, cmd->extack);

	if (rc)
		return rc;
	/* Whoever looks for a free range passes them one by one */
	if (arg->nr > IOASID_MAX_RESERVE) {
		cmd->extack->value = arg->nr;
		return ioasid_fail(cmd->extack, -E2BIG, IOASID_REASON_LIMIT,
				   "%u ranges, but at most %u are allowed", arg->nr,
				   IOASID_MAX_RESERVE);
	}
	if (arg->nr)
		ranges = ioasid_get_array(&array, sizeof(*ranges), cmd->extack);
	if (IS_ERR(ranges))
		return PTR_ERR(ranges);
	rc = ioasid_space_reserve(cmd->ctx, arg->ioasid, &ranges, arg->nr,
				  cmd->extack);
	kvfree(ranges);
	return rc;
}
