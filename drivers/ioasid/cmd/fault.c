// SPDX-License-Identifier: GPL-2.0
/*
 * The commands FAULT_QUEUE and FAULT_BIND. The fd of a queue must never be
 * installed while making the queue can still fail.
 */
#include <linux/eventfd.h>
#include <linux/file.h>
#include <linux/log2.h>
#include "cmd.h"
#include "../queue.h"

static int ioasid_check_queue(const struct ioasid_fault_queue *arg,
			      struct ioasid_extack *extack)
{
	extack->value = arg->depth;
	if (!is_power_of_2(arg->depth) || arg->depth < IOASID_FAULT_MIN_DEPTH ||
	    arg->depth > IOASID_FAULT_MAX_DEPTH)
		return ioasid_fail(extack, -EINVAL, IOASID_REASON_VALUE,
				   "depth is %u, and must be a power of two from %u to %u",
				   arg->depth, IOASID_FAULT_MIN_DEPTH,
				   IOASID_FAULT_MAX_DEPTH);
	extack->value = arg->max_pending;
	if (arg->max_pending > arg->depth)
		return ioasid_fail(extack, -EINVAL, IOASID_REASON_VALUE,
				   "max_pending is %u, and must not exceed the depth of %u",
				   arg->max_pending, arg->depth);
	extack->value = arg->deadline_ms;
	if (arg->deadline_ms > IOASID_FAULT_MAX_DEADLINE)
		return ioasid_fail(extack, -EINVAL, IOASID_REASON_VALUE,
				   "the deadline is %u ms, and must not exceed %u ms",
				   arg->deadline_ms, IOASID_FAULT_MAX_DEADLINE);
	extack->value = 0;
	return 0;
}

static int ioasid_queue_set_eventfd(struct ioasid_queue *q, s32 fd,
				    struct ioasid_extack *extack)
{
	struct eventfd_ctx *eventfd;

	if (fd == -1)
		return 0;
	eventfd = eventfd_ctx_fdget(fd);
	if (IS_ERR(eventfd))
		return ioasid_fail(extack, PTR_ERR(eventfd), IOASID_REASON_FD,
				   "%d is not an eventfd", fd);
	q->eventfd = eventfd;
	return 0;
}

static int ioasid_queue_install(struct ioasid_command *cmd,
				struct ioasid_queue *q)
{
	struct ioasid_fault_queue *arg = cmd->arg;
	struct file *file;
	int rc;

	rc = get_unused_fd_flags(O_CLOEXEC | O_RDWR);
	if (rc < 0) {
		ioasid_queue_put(q);
		return ioasid_fail(cmd->extack, rc, IOASID_REASON_LIMIT,
				   "no file descriptor is left");
	}
	arg->fd = rc;
	file = ioasid_queue_open(q, cmd->extack);
	if (IS_ERR(file)) {
		rc = PTR_ERR(file);
		goto put_fd;
	}
	arg->queue_id = q->id;
	arg->ring_bytes = ioasid_ring_bytes(q->depth);
	rc = ioasid_respond(cmd, sizeof(*arg));
	if (!rc) {
		fd_install(arg->fd, file);
		return 0;
	}
	/* Its release puts the queue */
	fput(file);
put_fd:
	put_unused_fd(arg->fd);
	return rc;
}

/**
 * ioasid_cmd_fault_queue() - IOASID_FAULT_QUEUE: create a fault queue
 * @cmd: the command, with a struct ioasid_fault_queue
 *
 * Context: a user process, no locks held; can sleep.
 *
 * Return: 0, or an error of IOASID_FAULT_QUEUE.
 */
int ioasid_cmd_fault_queue(struct ioasid_command *cmd)
{
	struct ioasid_fault_queue *arg = cmd->arg;
	struct ioasid_queue *q;
	int rc = ioasid_check_queue(arg, cmd->extack);

	if (rc)
		return rc;
	q = ioasid_queue_create(cmd->ctx, arg, cmd->extack);
	if (IS_ERR(q))
		return PTR_ERR(q);
	rc = ioasid_queue_set_eventfd(q, arg->eventfd, cmd->extack);
	if (!rc)
		return ioasid_queue_install(cmd, q);
	ioasid_queue_put(q);
	return rc;
}

static int ioasid_check_bind(const struct ioasid_fault_bind *arg,
			     struct ioasid_extack *extack)
{
	int rc = ioasid_check_zero(arg->__reserved, extack);

	if (rc)
		return rc;
	if (!arg->ioasid == !arg->dev_id)
		return ioasid_fail(extack, -EINVAL, IOASID_REASON_VALUE,
				   "either ioasid or dev_id must be given, not %s",
				   arg->ioasid ? "both" : "neither");
	extack->value = arg->policy;
	if (arg->policy > IOASID_FAULT_KERNEL)
		return ioasid_fail(extack, -EINVAL, IOASID_REASON_VALUE,
				   "%u is not a policy", arg->policy);
	if (arg->policy && arg->dev_id)
		return ioasid_fail(extack, -EINVAL, IOASID_REASON_VALUE,
				   "only a space has a policy, an attachment has none");
	extack->value = 0;
	return 0;
}

/**
 * ioasid_cmd_fault_bind() - IOASID_FAULT_BIND: bind a space or attachment
 * @cmd: the command, with a struct ioasid_fault_bind
 *
 * Context: a user process, no locks held; can sleep.
 *
 * Return: 0, or an error of IOASID_FAULT_BIND.
 */
int ioasid_cmd_fault_bind(struct ioasid_command *cmd)
{
	struct ioasid_fault_bind *arg = cmd->arg;
	struct ioasid_queue *q = NULL;
	int rc = ioasid_check_bind(arg, cmd->extack);

	if (rc)
		return rc;
	if (arg->queue_id)
		q = ioasid_queue_get(cmd->ctx, arg->queue_id, cmd->extack);
	if (IS_ERR(q))
		return PTR_ERR(q);
	if (arg->ioasid)
		rc = ioasid_fault_bind_space(cmd->ctx, arg->ioasid, arg->policy,
					     q, cmd->extack);
	else
		rc = ioasid_fault_bind_dev_pasid(cmd->ctx, arg->dev_id,
						 arg->pasid, q, cmd->extack);
	if (rc)
		ioasid_queue_put(q);
	return rc;
}
