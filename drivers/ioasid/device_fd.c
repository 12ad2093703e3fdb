// SPDX-License-Identifier: GPL-2.0
/*
 * Devices that a user names by an open file: a resolver of a glue finds the
 * device behind it, and the context keeps the file open as long as it knows the
 * device by it. It must never know what kind of file that is, and never let go
 * of one with a lock held: that can close the device.
 */
#include <linux/file.h>
#include <linux/module.h>
#include "ioasid_private.h"

static DEFINE_MUTEX(ioasid_resolvers_lock);
static LIST_HEAD(ioasid_resolvers);

/**
 * ioasid_register_resolver() - let users name devices by files of a framework
 * @resolver: stays until ioasid_unregister_resolver()
 */
void ioasid_register_resolver(struct ioasid_resolver *resolver)
{
	mutex_lock(&ioasid_resolvers_lock);
	list_add_tail(&resolver->link, &ioasid_resolvers);
	mutex_unlock(&ioasid_resolvers_lock);
}
IOASID_EXPORT(ioasid_register_resolver);

/**
 * ioasid_unregister_resolver() - undo ioasid_register_resolver()
 * @resolver: no device is known by it any more, as its module has no references
 */
void ioasid_unregister_resolver(struct ioasid_resolver *resolver)
{
	mutex_lock(&ioasid_resolvers_lock);
	list_del(&resolver->link);
	mutex_unlock(&ioasid_resolvers_lock);
}
IOASID_EXPORT(ioasid_unregister_resolver);

/**
 * ioasid_resolver_exists() - can devices be named by files?
 *
 * Return: true if a glue that can tell has been loaded.
 */
bool ioasid_resolver_exists(void)
{
	bool exists;

	mutex_lock(&ioasid_resolvers_lock);
	exists = !list_empty(&ioasid_resolvers);
	mutex_unlock(&ioasid_resolvers_lock);
	return exists;
}

/* Asks one after the other, and keeps the module of the one that knows */
static int ioasid_resolve(struct ioasid_hold *hold, struct ioasid_explain *why)
{
	struct ioasid_resolver *resolver;
	int rc = -ENOTTY;

	mutex_lock(&ioasid_resolvers_lock);
	list_for_each_entry(resolver, &ioasid_resolvers, link) {
		if (!try_module_get(resolver->module))
			continue;
		rc = resolver->resolve(hold->file, &hold->claim, why);
		if (!rc) {
			hold->resolver = resolver;
			break;
		}
		module_put(resolver->module);
		if (rc != -ENOTTY)
			break;
	}
	mutex_unlock(&ioasid_resolvers_lock);
	return rc;
}

/* The device behind a user's fd: to be given back by ioasid_hold_put() */
static int ioasid_hold_get(struct ioasid_hold *hold, int fd,
			   struct ioasid_explain *why)
{
	int rc;

	hold->file = fget(fd);
	if (!hold->file)
		return ioasid_fail(why, -EBADF, IOASID_REASON_FD,
				   "device_fd %d is not open", fd);
	rc = ioasid_resolve(hold, why);
	if (!rc)
		return 0;
	fput(hold->file);
	hold->file = NULL;
	if (rc == -ENOTTY)
		rc = ioasid_fail(why, -EINVAL, IOASID_REASON_FD,
				 "device_fd %d is no device of a framework whose glue is loaded",
				 fd);
	return rc;
}

/**
 * ioasid_hold_copy() - another reference on a file and its resolver
 * @to: where to put it; what it was is forgotten
 * @from: a hold on a file
 */
void ioasid_hold_copy(struct ioasid_hold *to, const struct ioasid_hold *from)
{
	*to = *from;
	get_file(to->file);
	__module_get(to->resolver->module);
}

/**
 * ioasid_hold_put() - let go of a file
 * @hold: the hold; nothing happens if there is no file
 *
 * It may be the last reference on the file: no lock is held.
 */
void ioasid_hold_put(struct ioasid_hold *hold)
{
	if (!hold->file)
		return;
	fput(hold->file);
	module_put(hold->resolver->module);
	hold->file = NULL;
}

static int ioasid_hold_lock(struct ioasid_hold *hold,
			    struct ioasid_explain *why)
{
	if (!hold->claim.lock || !mutex_lock_killable(hold->claim.lock))
		return 0;
	return ioasid_fail(why, -EINTR, IOASID_REASON_KILLED,
			   "killed while waiting for the device");
}

/* The device behind a user's fd, which does not close until ioasid_hold_end() */
static int ioasid_hold_begin(struct ioasid_hold *hold, int fd,
			     struct ioasid_explain *why)
{
	int rc = ioasid_hold_get(hold, fd, why);

	if (rc)
		return rc;
	rc = ioasid_hold_lock(hold, why);
	if (rc)
		ioasid_hold_put(hold);
	return rc;
}

static void ioasid_hold_end(struct ioasid_hold *hold)
{
	if (hold->claim.lock)
		mutex_unlock(hold->claim.lock);
	ioasid_hold_put(hold);
}

/* A field that is not there must not be taken for fd 0 */
static int ioasid_check_fd_size(struct ioasid_command *cmd, size_t size)
{
	if (cmd->usize >= size)
		return 0;
	cmd->why->value = size;
	return ioasid_fail(cmd->why, -EINVAL, IOASID_REASON_SIZE,
			   "a struct of %u bytes has no device_fd", cmd->usize);
}

static int ioasid_check_attach_fd(struct ioasid_command *cmd)
{
	struct ioasid_device_attach *arg = cmd->arg;
	int rc = ioasid_check_fd_size(cmd, sizeof(*arg));

	if (rc)
		return rc;
	if (!(arg->flags & IOASID_ATTACH_KNOW))
		return 0;
	if (arg->flags & IOASID_ATTACH_REPLACE)
		return ioasid_fail(cmd->why, -EINVAL, IOASID_REASON_VALUE,
				   "a device that is only made known replaces nothing");
	if (arg->ioasid || arg->pasid != IOASID_RID || arg->vpasid)
		return ioasid_fail(cmd->why, -EINVAL, IOASID_REASON_VALUE,
				   "a device that is only made known has no space and no PASID");
	return 0;
}

/* The device is locked, and does not close */
static int ioasid_attach_held(struct ioasid_command *cmd,
			      struct ioasid_hold *hold)
{
	struct ioasid_device_attach *arg = cmd->arg;
	const struct ioasid_attach_params params = {
		.ioasid = arg->ioasid,
		.owner = hold->resolver->owner,
		.cookie = arg->cookie,
		.vpasid = arg->vpasid,
		.pasid = &arg->pasid,
		.unsafe_interrupts = hold->claim.unsafe_interrupts,
	};
	int rc;

	if (arg->flags & IOASID_ATTACH_KNOW) {
		hold->stay = true;
		return ioasid_device_add(cmd->ctx, hold->claim.dev, &params,
					 hold, &arg->dev_id, cmd->why);
	}
	rc = PTR_ERR_OR_ZERO(ioasid_device_register(cmd->ctx, arg->pasid,
						    hold->claim.dev, &params,
						    arg->flags & IOASID_ATTACH_REPLACE,
						    hold, cmd->why));
	/* Nothing is wrong, but the device has been named there */
	arg->dev_id = cmd->why->dev_id;
	return rc;
}

/**
 * ioasid_attach_by_fd() - IOASID_DEVICE_ATTACH with IOASID_ATTACH_FD
 * @cmd: the command
 *
 * Return: 0, an error of sva_register_device_to_pasid(), -EBADF, -EINVAL for a
 * file that is no device or a wrong argument, -EOPNOTSUPP for a reserved field,
 * -EINTR if killed, or what the resolver says.
 */
int ioasid_attach_by_fd(struct ioasid_command *cmd)
{
	struct ioasid_device_attach *arg = cmd->arg;
	struct ioasid_hold hold = {};
	int rc = ioasid_check_attach_fd(cmd);

	if (!rc)
		rc = ioasid_hold_begin(&hold, arg->device_fd, cmd->why);
	if (rc)
		return rc;
	rc = ioasid_attach_held(cmd, &hold);
	ioasid_hold_end(&hold);
	return rc ?: ioasid_respond(cmd, sizeof(*arg));
}

static int ioasid_check_detach_fd(struct ioasid_command *cmd)
{
	struct ioasid_device_detach *arg = cmd->arg;
	int rc = ioasid_check_fd_size(cmd, sizeof(*arg));

	if (rc)
		return rc;
	if (arg->__reserved)
		return ioasid_fail(cmd->why, -EOPNOTSUPP, IOASID_REASON_FLAGS,
				   "a reserved field is not zero");
	if (arg->dev_id)
		return ioasid_fail(cmd->why, -EINVAL, IOASID_REASON_VALUE,
				   "dev_id and device_fd both name a device");
	return 0;
}

/**
 * ioasid_detach_by_fd() - IOASID_DEVICE_DETACH with IOASID_DETACH_FD
 * @cmd: the command
 *
 * Return: 0, -ENOENT if it is not attached, -EBUSY if it cannot be forgotten,
 * and as ioasid_attach_by_fd() for the file.
 */
int ioasid_detach_by_fd(struct ioasid_command *cmd)
{
	struct ioasid_device_detach *arg = cmd->arg;
	struct ioasid_hold hold = {};
	int rc = ioasid_check_detach_fd(cmd);

	if (!rc)
		rc = ioasid_hold_begin(&hold, arg->device_fd, cmd->why);
	if (rc)
		return rc;
	if (arg->flags & IOASID_DETACH_FORGET)
		rc = ioasid_device_forget(cmd->ctx, hold.claim.dev, cmd->why);
	else
		rc = ioasid_device_unregister(cmd->ctx, arg->pasid,
					      hold.claim.dev, cmd->why);
	ioasid_hold_end(&hold);
	return rc;
}

/**
 * ioasid_held_close() - detach all devices that are known by a file
 * @ctx: the context; its own file is gone, so no command is at work
 *
 * Cannot fail. A glue may still make one of them its own: it is left to it then.
 */
void ioasid_held_close(struct ioasid_ctx *ctx)
{
	struct ioasid_explain why;
	struct ioasid_hold hold;

	while (ioasid_device_held(ctx, &hold)) {
		ioasid_explain_init(&why);
		if (hold.claim.lock)
			mutex_lock(hold.claim.lock);
		ioasid_device_forget(ctx, hold.claim.dev, &why);
		ioasid_hold_end(&hold);
	}
}
