// SPDX-License-Identifier: GPL-2.0
/*
 * The two commands on a VFIO container: they bind an open device to a context
 * of /dev/ioasid, and attach it to and detach it from spaces. They must never
 * accept a device unless the caller has both the container and the device open.
 *
 * Errors of both commands, besides those of the core's attach and detach:
 *   EFAULT      the struct, @extack or @dev_id cannot be read or written
 *   EINVAL      @argsz is too small; VFIO has released the container
 *   E2BIG       the struct is longer than this kernel's, and the rest is not
 *               zero
 *   EOPNOTSUPP  an unknown flag, or a reserved field that is not zero
 *   EBADF       @device_fd or @ioasid_fd is not open
 *   EINVAL      @ioasid_fd is not /dev/ioasid; both flags at once; @ioasid
 *               with VFIO_DEVICE_ATTACH_BIND_ONLY
 *   ENODEV      @device_fd is not an open device of this container
 *   EBUSY       the device is attached through another context
 *   ENOENT      to detach: the device is not attached
 *   EINTR       killed while the device was being opened, closed or reset
 */
#include <linux/file.h>
#include <linux/uaccess.h>
#include <linux/vfio.h>
#include "glue.h"
#include "vfio_private.h"

#define IOASID_VFIO_ATTACH_FLAGS \
	(IOASID_ATTACH_REPLACE | VFIO_DEVICE_ATTACH_BIND_ONLY)

/* The common head of both structs */
struct ioasid_vfio_header {
	__u32 argsz;
	__u32 flags;
	__aligned_u64 extack;
};

static_assert(offsetof(struct vfio_device_attach, extack) ==
	      offsetof(struct ioasid_vfio_header, extack));
static_assert(offsetof(struct vfio_device_detach, extack) ==
	      offsetof(struct ioasid_vfio_header, extack));

/**
 * struct ioasid_vfio_command - a command being executed
 * @container: the container
 * @device: the device
 * @uptr: the user's struct
 * @extack: the reason if it fails
 */
struct ioasid_vfio_command {
	struct ioasid_vfio_container *container;
	struct ioasid_vfio_device *device;
	void __user *uptr;
	struct ioasid_extack extack;
};

/* Errors here have no reason, since the extack is not checked yet */
static int ioasid_vfio_get_header(struct ioasid_vfio_header *header,
				  const void __user *uptr)
{
	if (get_user(header->argsz, (const __u32 __user *)uptr))
		return -EFAULT;
	if (header->argsz < sizeof(*header))
		return -EINVAL;
	if (copy_from_user(header, uptr, sizeof(*header)))
		return -EFAULT;
	return ioasid_extack_check(header->extack);
}

static int ioasid_vfio_get_struct(struct ioasid_vfio_command *cmd, void *arg,
				  size_t size, size_t min_size, u32 argsz,
				  u32 flags)
{
	struct ioasid_vfio_header *header = arg;
	int rc;

	if (argsz < min_size) {
		cmd->extack.value = min_size;
		return ioasid_fail(&cmd->extack, -EINVAL, IOASID_REASON_SIZE,
				   "argsz %u is less than %zu", argsz,
				   min_size);
	}
	rc = argsz > PAGE_SIZE ? -E2BIG :
	     copy_struct_from_user(arg, size, cmd->uptr, argsz);
	if (rc == -E2BIG)
		return ioasid_fail(&cmd->extack, rc, IOASID_REASON_SIZE,
				   "the struct is longer than the %zu bytes of this kernel, and the rest is not zero",
				   size);
	if (rc)
		return ioasid_fail(&cmd->extack, rc, IOASID_REASON_POINTER,
				   "cannot read the struct");
	if (header->flags & ~flags) {
		cmd->extack.value = header->flags & ~flags;
		return ioasid_fail(&cmd->extack, -EOPNOTSUPP,
				   IOASID_REASON_FLAGS, "unknown flags %#x",
				   header->flags & ~flags);
	}
	return 0;
}

/*
 * Returns the VFIO device of a file that was opened through a group. The caller
 * must not dereference it before it has found it in the list of a container.
 */
static struct vfio_device *ioasid_vfio_file_device(struct file *file)
{
	struct vfio_device_file *df;

	if (!vfio_file_is_valid(file) || vfio_file_is_group(file))
		return NULL;
	df = file->private_data;
	/* A device node without group gives no rights in a container */
	return df->group ? df->device : NULL;
}

/*
 * Finds the device of @file in the container, and takes its dev_set lock
 * against open, close and reset. @file keeps it open meanwhile.
 */
static int ioasid_vfio_lock_device(struct ioasid_vfio_command *cmd,
				   struct file *file, int fd)
{
	struct vfio_device *vdev = ioasid_vfio_file_device(file);

	if (!vdev || !ioasid_vfio_find_device(cmd->container, vdev))
		return ioasid_fail(&cmd->extack, -ENODEV, IOASID_REASON_FD,
				   "device_fd %d is not an open device of this container",
				   fd);
	if (mutex_lock_killable(&vdev->dev_set->lock))
		return ioasid_fail(&cmd->extack, -EINTR, IOASID_REASON_KILLED,
				   "killed while waiting for the device");
	cmd->device = ioasid_vfio_find_device(cmd->container, vdev);
	if (cmd->device)
		return 0;
	mutex_unlock(&vdev->dev_set->lock);
	return ioasid_fail(&cmd->extack, -ENODEV, IOASID_REASON_FD,
			   "device_fd %d is being closed", fd);
}

static int ioasid_vfio_begin(struct ioasid_vfio_command *cmd, struct fd f, int fd,
			     void *iommu_data)
{
	int rc;

	if (fd_empty(f))
		return ioasid_fail(&cmd->extack, -EBADF, IOASID_REASON_FD,
				   "device_fd %d is not open", fd);
	cmd->container = ioasid_vfio_container_get(iommu_data);
	if (!cmd->container)
		return ioasid_fail(&cmd->extack, -EINVAL, IOASID_REASON_RACE,
				   "the last group has left the container");
	rc = ioasid_vfio_lock_device(cmd, fd_file(f), fd);
	if (rc)
		ioasid_vfio_container_put(cmd->container);
	return rc;
}

static void ioasid_vfio_end(struct ioasid_vfio_command *cmd)
{
	mutex_unlock(&cmd->device->vdev->dev_set->lock);
	ioasid_vfio_container_put(cmd->container);
}

/**
 * ioasid_vfio_unbind() - detach a device from all spaces and unbind it
 * @device: the device; no-op if it is not bound
 *
 * When it returns, the DMA of the device is blocked.
 *
 * Context: vdev->dev_set->lock is held; can sleep.
 */
void ioasid_vfio_unbind(struct ioasid_vfio_device *device)
{
	lockdep_assert_held(&device->vdev->dev_set->lock);
	if (!device->ctx)
		return;
	sva_remove_device(device->ctx, device->vdev->dev);
	sva_put(device->ctx);
	device->ctx = NULL;
}

static int ioasid_vfio_check_attach(struct ioasid_vfio_command *cmd,
				    const struct vfio_device_attach *arg)
{
	if (!(arg->flags & VFIO_DEVICE_ATTACH_BIND_ONLY))
		return 0;
	if (arg->flags & IOASID_ATTACH_REPLACE)
		return ioasid_fail(&cmd->extack, -EINVAL, IOASID_REASON_VALUE,
				   "VFIO_DEVICE_ATTACH_BIND_ONLY and IOASID_ATTACH_REPLACE exclude each other");
	if (arg->ioasid || arg->pasid != IOASID_RID || arg->vpasid)
		return ioasid_fail(&cmd->extack, -EINVAL, IOASID_REASON_VALUE,
				   "VFIO_DEVICE_ATTACH_BIND_ONLY takes no space and no PASID");
	return 0;
}

static int ioasid_vfio_attach_to(struct ioasid_vfio_command *cmd,
				 const struct vfio_device_attach *arg,
				 struct ioasid_ctx *ctx,
				 const struct ioasid_attach_params *params)
{
	struct device *dev = cmd->device->vdev->dev;

	if (arg->flags & VFIO_DEVICE_ATTACH_BIND_ONLY)
		return sva_bind_device(ctx, dev, params, params->dev_id,
				       &cmd->extack);
	if (arg->flags & IOASID_ATTACH_REPLACE)
		return sva_replace_device_pasid(ctx, arg->pasid, dev, params,
						&cmd->extack);
	return sva_register_device_to_pasid(ctx, arg->pasid, dev, params,
					    &cmd->extack);
}

/*
 * For a device that is not bound by its container. It may be bound to @ctx by
 * its file, with attachments, which the core takes over on success and leaves
 * unchanged on failure.
 */
static int ioasid_vfio_set_context(struct ioasid_vfio_command *cmd,
				   const struct vfio_device_attach *arg,
				   struct ioasid_ctx *ctx,
				   const struct ioasid_attach_params *params)
{
	struct ioasid_vfio_device *device = cmd->device;
	int rc = ioasid_vfio_attach_to(cmd, arg, ctx, params);

	lockdep_assert_held(&device->vdev->dev_set->lock);
	if (rc)
		return rc;
	device->ctx = ctx;
	return 0;
}

/*
 * Moves a device without attachments to another context. Only the core knows of
 * all attachments, since user space can also attach the device by its id.
 */
static int ioasid_vfio_change_context(struct ioasid_vfio_command *cmd,
				      const struct vfio_device_attach *arg,
				      struct ioasid_ctx *ctx,
				      const struct ioasid_attach_params *params)
{
	struct ioasid_vfio_device *device = cmd->device;
	int rc;

	lockdep_assert_held(&device->vdev->dev_set->lock);
	rc = sva_bind_device(ctx, device->vdev->dev, params, params->dev_id,
			     &cmd->extack);
	if (rc)
		return rc;
	if (!(arg->flags & VFIO_DEVICE_ATTACH_BIND_ONLY))
		rc = ioasid_vfio_attach_to(cmd, arg, ctx, params);
	/* -EBUSY if another PASID is still attached through the old context */
	if (!rc)
		rc = sva_unbind_device(device->ctx, device->vdev->dev,
				       &cmd->extack);
	if (rc) {
		sva_remove_device(ctx, device->vdev->dev);
		return rc;
	}
	ioasid_vfio_unbind(device);
	device->ctx = ctx;
	return 0;
}

/* Sets @keep if the device keeps the reference on @ctx */
static int ioasid_vfio_attach_device(struct ioasid_vfio_command *cmd,
				     struct vfio_device_attach *arg,
				     struct ioasid_ctx *ctx, bool *keep)
{
	const struct ioasid_attach_params params = {
		.ioasid = arg->ioasid,
		.owner = "vfio",
		.cookie = arg->cookie,
		.vpasid = arg->vpasid,
		.pasid = &arg->pasid,
		.dev_id = &arg->dev_id,
		.unsafe_interrupts =
			READ_ONCE(ioasid_vfio_allow_unsafe_interrupts),
	};
	int rc;

	lockdep_assert_held(&cmd->device->vdev->dev_set->lock);
	if (cmd->device->ctx == ctx)
		return ioasid_vfio_attach_to(cmd, arg, ctx, &params);
	if (cmd->device->ctx)
		rc = ioasid_vfio_change_context(cmd, arg, ctx, &params);
	else
		rc = ioasid_vfio_set_context(cmd, arg, ctx, &params);
	*keep = !rc;
	return rc;
}

/*
 * Also called before the attach, so that it fails without effect if the struct
 * cannot be written; never under a lock, since user memory can block for any
 * length of time.
 */
static int ioasid_vfio_put_answer(struct ioasid_vfio_command *cmd,
				  const struct vfio_device_attach *arg)
{
	struct vfio_device_attach __user *uarg = cmd->uptr;

	if (put_user(arg->dev_id, &uarg->dev_id) ||
	    put_user(arg->pasid, &uarg->pasid))
		return ioasid_fail(&cmd->extack, -EFAULT, IOASID_REASON_POINTER,
				   "cannot write the answer");
	return 0;
}

static int ioasid_vfio_do_attach(struct ioasid_vfio_command *cmd,
				 struct vfio_device_attach *arg,
				 void *iommu_data)
{
	CLASS(fd, f)(arg->device_fd);
	struct ioasid_ctx *ctx;
	bool keep = false;
	int rc = ioasid_vfio_check_attach(cmd, arg);

	if (!rc)
		rc = ioasid_vfio_put_answer(cmd, arg);
	if (rc)
		return rc;
	ctx = sva_get_from_fd(arg->ioasid_fd, &cmd->extack);
	if (IS_ERR(ctx))
		return PTR_ERR(ctx);
	rc = ioasid_vfio_begin(cmd, f, arg->device_fd, iommu_data);
	if (!rc) {
		rc = ioasid_vfio_attach_device(cmd, arg, ctx, &keep);
		ioasid_vfio_end(cmd);
	}
	if (!keep)
		sva_put(ctx);
	return rc ?: ioasid_vfio_put_answer(cmd, arg);
}

/**
 * ioasid_vfio_attach() - VFIO_DEVICE_ATTACH
 * @iommu_data: id of the container
 * @arg: user address of a struct vfio_device_attach
 *
 * Context: a user process, no locks held; can sleep.
 *
 * Return: 0, or an error of the table at the top of this file.
 */
long ioasid_vfio_attach(void *iommu_data, unsigned long arg)
{
	struct ioasid_vfio_command cmd = { .uptr = (void __user *)arg };
	struct vfio_device_attach attach;
	struct ioasid_vfio_header header;
	int rc = ioasid_vfio_get_header(&header, cmd.uptr);

	if (rc)
		return rc;
	ioasid_extack_init(&cmd.extack);
	rc = ioasid_vfio_get_struct(&cmd, &attach, sizeof(attach),
				    offsetofend(struct vfio_device_attach,
						vpasid),
				    header.argsz, IOASID_VFIO_ATTACH_FLAGS);
	if (!rc) {
		cmd.extack.ioasid = attach.ioasid;
		rc = ioasid_vfio_do_attach(&cmd, &attach, iommu_data);
	}
	ioasid_extack_to_user(&cmd.extack, header.extack, rc);
	return rc;
}

static int ioasid_vfio_do_detach(struct ioasid_vfio_command *cmd,
				 const struct vfio_device_detach *arg,
				 void *iommu_data)
{
	CLASS(fd, f)(arg->device_fd);
	struct ioasid_vfio_device *device;
	int rc = ioasid_vfio_begin(cmd, f, arg->device_fd, iommu_data);

	if (rc)
		return rc;
	device = cmd->device;
	if (device->ctx)
		rc = sva_unregister_device_from_pasid(device->ctx, arg->pasid,
						      device->vdev->dev,
						      &cmd->extack);
	else
		rc = ioasid_fail(&cmd->extack, -ENOENT,
				 IOASID_REASON_NOT_ATTACHED,
				 "device %s is not attached",
				 dev_name(device->vdev->dev));
	ioasid_vfio_end(cmd);
	return rc;
}

/**
 * ioasid_vfio_detach() - VFIO_DEVICE_DETACH
 * @iommu_data: id of the container
 * @arg: user address of a struct vfio_device_detach
 *
 * Context: a user process, no locks held; can sleep.
 *
 * Return: 0, or an error of the table at the top of this file.
 */
long ioasid_vfio_detach(void *iommu_data, unsigned long arg)
{
	struct ioasid_vfio_command cmd = { .uptr = (void __user *)arg };
	struct vfio_device_detach detach;
	struct ioasid_vfio_header header;
	int rc = ioasid_vfio_get_header(&header, cmd.uptr);

	if (rc)
		return rc;
	ioasid_extack_init(&cmd.extack);
	rc = ioasid_vfio_get_struct(&cmd, &detach, sizeof(detach),
				    offsetofend(struct vfio_device_detach, pasid),
				    header.argsz, 0);
	if (!rc)
		rc = ioasid_vfio_do_detach(&cmd, &detach, iommu_data);
	ioasid_extack_to_user(&cmd.extack, header.extack, rc);
	return rc;
}
