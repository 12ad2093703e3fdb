// SPDX-License-Identifier: GPL-2.0
/*
 * The commands DEVICE_ATTACH and DEVICE_DETACH, by id or by file. They must
 * never depend on what kind of file names a device.
 */
#include <linux/slab.h>
#include "cmd.h"

static int ioasid_check_attach(const struct ioasid_device_attach *arg,
			       struct ioasid_extack *extack)
{
	bool by_file = arg->flags & IOASID_ATTACH_FD;

	if ((arg->devices && !arg->nr_devices) ||
	    (!by_file && arg->device_fd))
		return ioasid_fail(extack, -EOPNOTSUPP, IOASID_REASON_FLAGS,
				   "an unused field is not zero");
	if (!by_file && arg->flags & IOASID_ATTACH_BIND_ONLY)
		return ioasid_fail(extack, -EINVAL, IOASID_REASON_VALUE,
				   "IOASID_ATTACH_BIND_ONLY without IOASID_ATTACH_FD");
	if (!arg->nr_devices)
		return 0;
	if (by_file)
		return ioasid_fail(extack, -EINVAL, IOASID_REASON_VALUE,
				   "device_fd and devices must not both be given");
	if (arg->nr_devices > IOASID_MAX_DEVICES) {
		extack->value = arg->nr_devices;
		return ioasid_fail(extack, -E2BIG, IOASID_REASON_LIMIT,
				   "%u devices, but at most %u are allowed", arg->nr_devices,
				   IOASID_MAX_DEVICES);
	}
	if (arg->dev_id)
		return ioasid_fail(extack, -EINVAL, IOASID_REASON_VALUE,
				   "dev_id and devices must not both be given");
	if (arg->flags & IOASID_ATTACH_REPLACE)
		return ioasid_fail(extack, -EINVAL, IOASID_REASON_VALUE,
				   "IOASID_ATTACH_REPLACE is for a single device");
	return 0;
}

/* A missing device_fd must not be taken for fd 0 */
static int ioasid_check_fd_size(struct ioasid_command *cmd, size_t size)
{
	if (cmd->usize >= size)
		return 0;
	cmd->extack->value = size;
	return ioasid_fail(cmd->extack, -EINVAL, IOASID_REASON_SIZE,
			   "a struct of %u bytes has no device_fd", cmd->usize);
}

static int ioasid_check_attach_fd(struct ioasid_command *cmd)
{
	struct ioasid_device_attach *arg = cmd->arg;
	int rc = ioasid_check_fd_size(cmd, sizeof(*arg));

	if (rc)
		return rc;
	if (!(arg->flags & IOASID_ATTACH_BIND_ONLY))
		return 0;
	if (arg->flags & IOASID_ATTACH_REPLACE)
		return ioasid_fail(cmd->extack, -EINVAL, IOASID_REASON_VALUE,
				   "IOASID_ATTACH_BIND_ONLY and IOASID_ATTACH_REPLACE exclude each other");
	if (arg->ioasid || arg->pasid != IOASID_RID || arg->vpasid)
		return ioasid_fail(cmd->extack, -EINVAL, IOASID_REASON_VALUE,
				   "IOASID_ATTACH_BIND_ONLY takes no space and no PASID");
	return 0;
}

/* Detaches again if the answer cannot be written; what was replaced is gone */
static int ioasid_attach_answer(struct ioasid_command *cmd, const u32 *ids,
				u32 nr)
{
	struct ioasid_device_attach *arg = cmd->arg;
	struct ioasid_extack ignored;
	int rc = ioasid_respond(cmd, sizeof(*arg));
	u32 i;

	if (!rc || arg->flags & (IOASID_ATTACH_REPLACE | IOASID_ATTACH_BIND_ONLY))
		return rc;
	ioasid_extack_init(&ignored);
	for (i = 0; i < nr; i++)
		ioasid_detach_by_id(cmd->ctx, ids[i], arg->vpasid ?: arg->pasid,
				    &ignored);
	return rc;
}

/* Called between ioasid_file_ref_begin() and ioasid_file_ref_end() */
static int ioasid_attach_file_ref(struct ioasid_command *cmd,
				  struct ioasid_file_ref *file_ref)
{
	struct ioasid_device_attach *arg = cmd->arg;
	const struct ioasid_attach_params params = {
		.ioasid = arg->ioasid,
		.owner = file_ref->resolver->owner,
		.cookie = arg->cookie,
		.vpasid = arg->vpasid,
		.pasid = &arg->pasid,
		.dev_id = &arg->dev_id,
		.unsafe_interrupts = file_ref->info.unsafe_interrupts,
	};

	if (arg->flags & IOASID_ATTACH_BIND_ONLY) {
		file_ref->stay = true;
		return ioasid_device_bind(cmd->ctx, file_ref->info.dev, &params,
					  file_ref, &arg->dev_id, cmd->extack);
	}
	return ioasid_device_register(cmd->ctx, arg->pasid,
				      file_ref->info.dev, &params,
				      arg->flags & IOASID_ATTACH_REPLACE,
				      file_ref, cmd->extack);
}

static int ioasid_attach_by_fd(struct ioasid_command *cmd)
{
	struct ioasid_device_attach *arg = cmd->arg;
	struct ioasid_file_ref file_ref = {};
	int rc = ioasid_check_attach_fd(cmd);

	if (!rc)
		rc = ioasid_file_ref_begin(&file_ref, arg->device_fd,
					   cmd->extack);
	if (rc)
		return rc;
	rc = ioasid_attach_file_ref(cmd, &file_ref);
	ioasid_file_ref_end(&file_ref);
	return rc ?: ioasid_attach_answer(cmd, &arg->dev_id, 1);
}

static int ioasid_attach_vector(struct ioasid_command *cmd,
				struct ioasid_attach_request *req)
{
	struct ioasid_device_attach *arg = cmd->arg;
	const struct ioasid_array array = {
		.uptr = arg->devices,
		.stride = sizeof(u32),
		.nr = arg->nr_devices,
		.what = "devices",
	};
	u32 *ids = ioasid_get_array(&array, sizeof(*ids), cmd->extack);
	int rc;

	if (IS_ERR(ids))
		return PTR_ERR(ids);
	rc = ioasid_attach_by_ids(cmd->ctx, ids, arg->nr_devices, req,
				  cmd->extack);
	if (!rc) {
		arg->pasid = req->pasid;
		rc = ioasid_attach_answer(cmd, ids, arg->nr_devices);
	}
	kvfree(ids);
	return rc;
}

/**
 * ioasid_cmd_device_attach() - IOASID_DEVICE_ATTACH: attach or bind a device
 * @cmd: the command, with a struct ioasid_device_attach
 *
 * Context: a user process, no locks held; can sleep.
 *
 * Return: 0, or an error of IOASID_DEVICE_ATTACH.
 */
int ioasid_cmd_device_attach(struct ioasid_command *cmd)
{
	struct ioasid_device_attach *arg = cmd->arg;
	struct ioasid_attach_request req = {
		.ioasid = arg->ioasid,
		.pasid = arg->pasid,
		.vpasid = arg->vpasid,
		.replace = arg->flags & IOASID_ATTACH_REPLACE,
		.cookie = arg->cookie,
	};
	int rc = ioasid_check_attach(arg, cmd->extack);

	if (rc)
		return rc;
	if (arg->flags & IOASID_ATTACH_FD)
		return ioasid_attach_by_fd(cmd);
	if (arg->nr_devices)
		return ioasid_attach_vector(cmd, &req);
	rc = ioasid_attach_by_id(cmd->ctx, arg->dev_id, &req, cmd->extack);
	if (rc)
		return rc;
	arg->pasid = req.pasid;
	return ioasid_attach_answer(cmd, &arg->dev_id, 1);
}

static int ioasid_check_detach(struct ioasid_command *cmd)
{
	struct ioasid_device_detach *arg = cmd->arg;

	if (arg->flags & IOASID_DETACH_UNBIND && arg->pasid != IOASID_RID)
		return ioasid_fail(cmd->extack, -EINVAL, IOASID_REASON_VALUE,
				   "IOASID_DETACH_UNBIND detaches all PASIDs, so pasid must not be %u",
				   arg->pasid);
	if (arg->flags & IOASID_DETACH_FD)
		return 0;
	if (arg->device_fd || arg->__reserved)
		return ioasid_fail(cmd->extack, -EOPNOTSUPP,
				   IOASID_REASON_FLAGS,
				   "device_fd without IOASID_DETACH_FD");
	return 0;
}

static int ioasid_check_detach_fd(struct ioasid_command *cmd)
{
	struct ioasid_device_detach *arg = cmd->arg;
	int rc = ioasid_check_fd_size(cmd, sizeof(*arg)) ?:
			 ioasid_check_zero(arg->__reserved, cmd->extack);

	if (rc)
		return rc;
	if (arg->dev_id)
		return ioasid_fail(cmd->extack, -EINVAL, IOASID_REASON_VALUE,
				   "dev_id and device_fd must not both be given");
	return 0;
}

static int ioasid_detach_by_fd(struct ioasid_command *cmd)
{
	struct ioasid_device_detach *arg = cmd->arg;
	struct ioasid_file_ref file_ref = {};
	int rc = ioasid_check_detach_fd(cmd);

	if (!rc)
		rc = ioasid_file_ref_begin(&file_ref, arg->device_fd,
					   cmd->extack);
	if (rc)
		return rc;
	if (arg->flags & IOASID_DETACH_UNBIND)
		rc = ioasid_device_unbind(cmd->ctx, file_ref.info.dev,
					  cmd->extack);
	else
		rc = ioasid_device_unregister(cmd->ctx, arg->pasid,
					      file_ref.info.dev, cmd->extack);
	ioasid_file_ref_end(&file_ref);
	return rc;
}

/**
 * ioasid_cmd_device_detach() - IOASID_DEVICE_DETACH: detach or unbind a device
 * @cmd: the command, with a struct ioasid_device_detach
 *
 * Context: a user process, no locks held; can sleep.
 *
 * Return: 0, or an error of IOASID_DEVICE_DETACH.
 */
int ioasid_cmd_device_detach(struct ioasid_command *cmd)
{
	struct ioasid_device_detach *arg = cmd->arg;
	int rc = ioasid_check_detach(cmd);

	if (rc)
		return rc;
	if (arg->flags & IOASID_DETACH_FD)
		return ioasid_detach_by_fd(cmd);
	if (arg->flags & IOASID_DETACH_UNBIND)
		return ioasid_unbind_by_id(cmd->ctx, arg->dev_id, cmd->extack);
	return ioasid_detach_by_id(cmd->ctx, arg->dev_id, arg->pasid,
				   cmd->extack);
}
