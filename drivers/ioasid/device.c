// SPDX-License-Identifier: GPL-2.0
/*
 * Devices: what the glues say of them, and the functions that glues and users
 * call to attach them. The core trusts its glues for who owns a device, and
 * never claims ownership itself.
 */
#include <linux/file.h>
#include <linux/iommu.h>
#include <linux/module.h>
#include <linux/seq_file.h>
#include <linux/slab.h>
#include <linux/uaccess.h>
#include "ioasid_private.h"

static struct ioasid_device *ioasid_device_find(struct ioasid_ctx *ctx,
						struct device *dev)
{
	struct ioasid_device *idev;

	list_for_each_entry(idev, &ctx->device_list, node)
		if (idev->dev == dev)
			return idev;
	return NULL;
}

/**
 * ioasid_device_by_id() - find a device by its id
 * @ctx: the context; its lock is held
 * @id: the id
 * @why: the reason if there is none
 *
 * Return: the device, or NULL (-ENOENT).
 */
struct ioasid_device *ioasid_device_by_id(struct ioasid_ctx *ctx, u32 id,
					  struct ioasid_explain *why)
{
	struct ioasid_device *idev = xa_load(&ctx->devices, id);

	why->dev_id = id;
	if (!idev)
		ioasid_fail(why, -ENOENT, IOASID_REASON_NO_DEVICE_ID,
			    "this context knows no device %u", id);
	return idev;
}

static int ioasid_device_check(struct device *dev, struct iommu_group *group,
			       const struct ioasid_attach_params *params,
			       struct ioasid_explain *why)
{
	if (!device_iommu_capable(dev, IOMMU_CAP_CACHE_COHERENCY))
		return ioasid_fail(why, -EINVAL, IOASID_REASON_COHERENCY,
				   "device %s: its DMA is not cache coherent",
				   dev_name(dev));
	if (!params->unsafe_interrupts && !iommu_group_has_isolated_msi(group))
		return ioasid_fail(why, -EPERM, IOASID_REASON_MSI,
				   "device %s: the platform does not isolate its interrupts (no interrupt remapping)",
				   dev_name(dev));
	return 0;
}

static int ioasid_device_publish(struct ioasid_ctx *ctx,
				 struct ioasid_device *idev,
				 struct ioasid_explain *why)
{
	int rc = xa_alloc(&ctx->devices, &idev->id, idev, XA_LIMIT(1, S32_MAX),
			  GFP_KERNEL_ACCOUNT);

	if (rc)
		return ioasid_fail(why, rc, IOASID_REASON_NO_MEMORY,
				   "no memory for a device");
	list_add_tail(&idev->node, &ctx->device_list);
	ctx->nr_devices++;
	return 0;
}

/*
 * By its file a device is known to one context. A glue that moves it makes it
 * known to two for a moment.
 */
static int ioasid_device_enlist(struct ioasid_device *idev, bool by_file,
				struct ioasid_explain *why)
{
	struct ioasid_group *g = idev->group;
	struct ioasid_device *other;
	int rc = 0;

	mutex_lock(&g->lock);
	list_for_each_entry(other, &g->devices, group_node)
		if (other->dev == idev->dev && (by_file || other->hold.file))
			rc = ioasid_fail(why, -EBUSY, IOASID_REASON_OWNER,
					 "device %s is known to another context",
					 dev_name(idev->dev));
	if (!rc)
		list_add_tail(&idev->group_node, &g->devices);
	mutex_unlock(&g->lock);
	return rc;
}

static void ioasid_device_free(struct ioasid_device *idev)
{
	ioasid_group_put(idev->group);
	xa_destroy(&idev->links);
	kfree(idev);
}

static void ioasid_device_unlist(struct ioasid_device *idev)
{
	mutex_lock(&idev->group->lock);
	list_del(&idev->group_node);
	mutex_unlock(&idev->group->lock);
}

/* The reference on @group is taken over */
static struct ioasid_device *
ioasid_device_alloc(struct ioasid_ctx *ctx, struct device *dev,
		    struct iommu_group *group,
		    const struct ioasid_attach_params *params)
{
	struct ioasid_device *idev = kzalloc(sizeof(*idev), GFP_KERNEL_ACCOUNT);

	if (!idev) {
		iommu_group_put(group);
		return NULL;
	}
	idev->ctx = ctx;
	idev->dev = dev;
	xa_init_flags(&idev->links, XA_FLAGS_ACCOUNT);
	idev->owner = params->owner;
	idev->cookie = params->cookie;
	idev->group = ioasid_group_get(group);
	if (idev->group)
		return idev;
	kfree(idev);
	return NULL;
}

static struct ioasid_device *
ioasid_device_create(struct ioasid_ctx *ctx, struct device *dev,
		     const struct ioasid_attach_params *params, bool by_file,
		     struct ioasid_explain *why)
{
	struct iommu_group *group = iommu_group_get(dev);
	struct ioasid_device *idev;
	int rc;

	/* What frameworks make for a device without IOMMU has no dev->iommu */
	if (!group || !dev->iommu) {
		iommu_group_put(group);
		ioasid_fail(why, -ENODEV, IOASID_REASON_IOMMU,
			    "device %s is behind no IOMMU", dev_name(dev));
		return ERR_PTR(-ENODEV);
	}
	rc = ioasid_device_check(dev, group, params, why);
	if (rc) {
		iommu_group_put(group);
		return ERR_PTR(rc);
	}
	idev = ioasid_device_alloc(ctx, dev, group, params);
	if (!idev) {
		ioasid_fail(why, -ENOMEM, IOASID_REASON_NO_MEMORY,
			    "no memory for a device");
		return ERR_PTR(-ENOMEM);
	}
	rc = ioasid_device_enlist(idev, by_file, why);
	if (rc)
		goto free;
	rc = ioasid_device_publish(ctx, idev, why);
	if (!rc)
		return idev;
	ioasid_device_unlist(idev);
free:
	ioasid_device_free(idev);
	return ERR_PTR(rc);
}

/* Returns the file by which it was known, to be let go of without a lock */
static struct ioasid_hold ioasid_device_destroy(struct ioasid_ctx *ctx,
						struct ioasid_device *idev)
{
	struct ioasid_hold hold = idev->hold;

	xa_erase(&ctx->devices, idev->id);
	list_del(&idev->node);
	ctx->nr_devices--;
	ioasid_device_unlist(idev);
	ioasid_device_free(idev);
	return hold;
}

/* Finds or makes the device; ctx->lock is held */
static struct ioasid_device *
ioasid_device_know(struct ioasid_ctx *ctx, struct device *dev,
		   const struct ioasid_attach_params *params, bool by_file,
		   bool *is_new, struct ioasid_explain *why)
{
	struct ioasid_device *idev = ioasid_device_find(ctx, dev);

	*is_new = !idev;
	if (!idev)
		idev = ioasid_device_create(ctx, dev, params, by_file, why);
	if (!IS_ERR(idev))
		why->dev_id = idev->id;
	return idev;
}

/*
 * Nothing can fail any more: a new device is kept by the file that named it, or
 * by the glue, which also takes over what a file has kept. Returns that file.
 */
static struct ioasid_hold
ioasid_device_settle(struct ioasid_device *idev, bool is_new,
		     const struct ioasid_attach_params *params,
		     const struct ioasid_hold *hold)
{
	struct ioasid_hold old = {};

	idev->cookie = params->cookie;
	if (!hold) {
		old = idev->hold;
		idev->hold.file = NULL;
		idev->owner = params->owner;
	} else if (is_new) {
		ioasid_hold_copy(&idev->hold, hold);
	} else if (idev->hold.file) {
		idev->hold.stay |= hold->stay;
	}
	return old;
}

/* What a file made known is forgotten when it is attached to nothing any more */
static struct ioasid_hold ioasid_device_idle(struct ioasid_ctx *ctx,
					     struct ioasid_device *idev)
{
	if (idev->hold.file && !idev->hold.stay && xa_empty(&idev->links))
		return ioasid_device_destroy(ctx, idev);
	return (struct ioasid_hold){};
}

/**
 * sva_get_from_fd() - the context behind a user's fd
 * @fd: an open /dev/ioasid
 * @why: the reason if it is none
 *
 * Return: the context with a reference that keeps it alive beyond the fd, or
 * ERR_PTR of -EBADF (not open) or -EINVAL (something else).
 */
struct ioasid_ctx *sva_get_from_fd(int fd, struct ioasid_explain *why)
{
	struct ioasid_ctx *ctx = ERR_PTR(-EINVAL);
	struct file *file = fget(fd);

	if (!file) {
		ioasid_fail(why, -EBADF, IOASID_REASON_FD,
			    "%d is not an open file", fd);
		return ERR_PTR(-EBADF);
	}
	if (file->f_op == &ioasid_fops) {
		ctx = file->private_data;
		kref_get(&ctx->ref);
	} else {
		ioasid_fail(why, -EINVAL, IOASID_REASON_FD,
			    "fd %d is not /dev/ioasid", fd);
	}
	fput(file);
	return ctx;
}
IOASID_EXPORT(sva_get_from_fd);

/**
 * sva_put() - give back what sva_get_from_fd() returned
 * @sva: the context
 */
void sva_put(struct ioasid_ctx *sva)
{
	ioasid_ctx_put(sva);
}
IOASID_EXPORT(sva_put);

/**
 * ioasid_device_add() - make a device known to a context
 * @ctx: the context
 * @dev: the device
 * @params: owner, cookie
 * @hold: the file that keeps it known, or NULL if a glue does
 * @dev_id: where to put its id, or NULL
 * @why: the reason if it fails
 *
 * Return: as sva_add_device().
 */
int ioasid_device_add(struct ioasid_ctx *ctx, struct device *dev,
		      const struct ioasid_attach_params *params,
		      const struct ioasid_hold *hold, u32 *dev_id,
		      struct ioasid_explain *why)
{
	struct ioasid_hold old = {};
	struct ioasid_device *idev;
	bool is_new;

	mutex_lock(&ctx->lock);
	idev = ioasid_device_know(ctx, dev, params, !!hold, &is_new, why);
	if (!IS_ERR(idev)) {
		old = ioasid_device_settle(idev, is_new, params, hold);
		if (dev_id)
			*dev_id = idev->id;
	}
	mutex_unlock(&ctx->lock);
	ioasid_hold_put(&old);
	return PTR_ERR_OR_ZERO(idev);
}

/**
 * sva_add_device() - make a device known to a context
 * @sva: the context
 * @dev: the device; the caller keeps it, and its driver, until
 *	sva_remove_device()
 * @params: owner, cookie
 * @dev_id: where to put its id, or NULL
 * @why: the reason if it fails
 *
 * The caller has proved that whoever holds the context controls the device,
 * and that it owns the DMA of the device's group. A device that is known
 * already keeps its id and gets the new cookie.
 *
 * Return: 0, -ENODEV without an IOMMU, -EINVAL if DMA is not coherent, -EPERM
 * without isolated interrupts, -EBUSY if another context knows it by its file,
 * -ENOMEM.
 */
int sva_add_device(struct ioasid_ctx *sva, struct device *dev,
		   const struct ioasid_attach_params *params, u32 *dev_id,
		   struct ioasid_explain *why)
{
	return ioasid_device_add(sva, dev, params, NULL, dev_id, why);
}
IOASID_EXPORT(sva_add_device);

/**
 * sva_forget_device() - forget a device that is not attached
 * @sva: the context
 * @dev: the device; nothing happens if it is not known
 * @why: the reason if it fails
 *
 * Return: 0, or -EBUSY if the device is attached.
 */
int sva_forget_device(struct ioasid_ctx *sva, struct device *dev,
		      struct ioasid_explain *why)
{
	struct ioasid_hold old = {};
	struct ioasid_device *idev;
	int rc = 0;

	mutex_lock(&sva->lock);
	idev = ioasid_device_find(sva, dev);
	if (idev && !xa_empty(&idev->links))
		rc = ioasid_fail(why, -EBUSY, IOASID_REASON_OWNER,
				 "device %s is attached through another context",
				 dev_name(dev));
	else if (idev)
		old = ioasid_device_destroy(sva, idev);
	mutex_unlock(&sva->lock);
	ioasid_hold_put(&old);
	return rc;
}
IOASID_EXPORT(sva_forget_device);

/* ctx->lock is held */
static struct ioasid_hold ioasid_device_remove(struct ioasid_ctx *ctx,
					       struct ioasid_device *idev)
{
	struct ioasid_link *link;
	unsigned long number;

	xa_for_each(&idev->links, number, link)
		ioasid_link_detach(link);
	return ioasid_device_destroy(ctx, idev);
}

/**
 * sva_remove_device() - detach a device from everything and forget it
 * @sva: the context
 * @dev: the device; nothing happens if it is not known
 *
 * Cannot fail. To be called before the device's group loses its owner.
 */
void sva_remove_device(struct ioasid_ctx *sva, struct device *dev)
{
	struct ioasid_hold old = {};
	struct ioasid_device *idev;

	mutex_lock(&sva->lock);
	idev = ioasid_device_find(sva, dev);
	if (idev)
		old = ioasid_device_remove(sva, idev);
	mutex_unlock(&sva->lock);
	ioasid_hold_put(&old);
}
IOASID_EXPORT(sva_remove_device);

/**
 * ioasid_device_held() - a device that is known by a file
 * @ctx: the context
 * @hold: out: the file, to be given back by ioasid_hold_put()
 *
 * Return: false if there is none.
 */
bool ioasid_device_held(struct ioasid_ctx *ctx, struct ioasid_hold *hold)
{
	struct ioasid_device *idev;
	bool found = false;

	mutex_lock(&ctx->lock);
	list_for_each_entry(idev, &ctx->device_list, node) {
		found = idev->hold.file;
		if (!found)
			continue;
		ioasid_hold_copy(hold, &idev->hold);
		break;
	}
	mutex_unlock(&ctx->lock);
	return found;
}

/* ctx->lock is held */
static int ioasid_forget_checked(struct ioasid_ctx *ctx,
				 struct ioasid_device *idev,
				 struct ioasid_hold *old,
				 struct ioasid_explain *why)
{
	if (!idev->hold.file)
		return ioasid_fail(why, -EBUSY, IOASID_REASON_OWNER,
				   "device %s is known by its container until it is closed",
				   dev_name(idev->dev));
	*old = ioasid_device_remove(ctx, idev);
	return 0;
}

/**
 * ioasid_device_forget() - detach a device from everything and forget it
 * @ctx: the context
 * @dev: the device
 * @why: the reason if it fails
 *
 * Return: 0, -ENOENT if it is not known, -EBUSY if a glue keeps it known.
 */
int ioasid_device_forget(struct ioasid_ctx *ctx, struct device *dev,
			 struct ioasid_explain *why)
{
	struct ioasid_hold old = {};
	struct ioasid_device *idev;
	int rc;

	mutex_lock(&ctx->lock);
	idev = ioasid_device_find(ctx, dev);
	if (idev)
		rc = ioasid_forget_checked(ctx, idev, &old, why);
	else
		rc = ioasid_fail(why, -ENOENT, IOASID_REASON_NO_DEVICE_ID,
				 "this context does not know device %s",
				 dev_name(dev));
	mutex_unlock(&ctx->lock);
	ioasid_hold_put(&old);
	return rc;
}

/*
 * What is in the way of an attach, and in no table of ours, is a reset or
 * somebody else's attachment: that one has a handle, but for the RID of VFIO
 * type1.
 */
static int ioasid_explain_busy(struct ioasid_device *idev, u32 asked,
			       const struct ioasid_attach_request *req,
			       struct ioasid_explain *why)
{
	struct ioasid_group *g = idev->group;

	if (why->code != IOASID_REASON_RESET || xa_load(&g->table, req->pasid))
		return -EBUSY;
	if (req->pasid == IOASID_RID && asked != IOASID_RID)
		return -EBUSY;
	if (IS_ERR(iommu_attach_handle_get(g->group, req->pasid, 0)) &&
	    !(req->pasid == IOASID_RID && idev->hold.claim.rid_taken))
		return -EBUSY;
	/* Instead of the first reason: more is known here */
	why->code = IOASID_REASON_NONE;
	if (req->pasid != IOASID_RID)
		return ioasid_fail(why, -EBUSY, IOASID_REASON_OWNER,
				   "device %s: somebody else has attached PASID %u",
				   dev_name(idev->dev), req->pasid);
	return ioasid_fail(why, -EBUSY, IOASID_REASON_OWNER,
			   "device %s: its RID is in use by its owner (VFIO type1 or iommufd); PASIDs are not",
			   dev_name(idev->dev));
}

static int ioasid_attach_explained(struct ioasid_device *idev,
				   struct ioasid_attach_request *req,
				   struct ioasid_explain *why)
{
	u32 asked = req->pasid;
	int rc = ioasid_device_attach(idev, req, why);

	return rc == -EBUSY ? ioasid_explain_busy(idev, asked, req, why) : rc;
}

/**
 * ioasid_device_register() - attach a device to a space, or move it there
 * @ctx: the context
 * @pasid: IOASID_RID, a PASID of the context, or IOASID_PASID_ANY
 * @dev: the device; made known if it is not yet
 * @params: the space, owner, cookie, the user's number for the PASID
 * @replace: leave the present space
 * @hold: the file that keeps it known, or NULL if a glue does
 * @why: the reason if it fails
 *
 * Return: as sva_register_device_to_pasid().
 */
struct ioasid_attachment *
ioasid_device_register(struct ioasid_ctx *ctx, u32 pasid, struct device *dev,
		       const struct ioasid_attach_params *params, bool replace,
		       const struct ioasid_hold *hold,
		       struct ioasid_explain *why)
{
	struct ioasid_attach_request req = {
		.ioasid = params->ioasid,
		.pasid = pasid,
		.vpasid = params->vpasid,
		.replace = replace,
	};
	struct ioasid_hold old = {};
	struct ioasid_attachment *att;
	struct ioasid_device *idev;
	bool is_new;
	int rc;

	mutex_lock(&ctx->lock);
	idev = ioasid_device_know(ctx, dev, params, !!hold, &is_new, why);
	if (IS_ERR(idev)) {
		att = ERR_CAST(idev);
		goto unlock;
	}
	if (is_new && hold)
		idev->hold.claim = hold->claim;
	rc = ioasid_attach_explained(idev, &req, why);
	att = rc ? ERR_PTR(rc) : ioasid_device_link(idev, req.number)->att;
	if (!rc)
		old = ioasid_device_settle(idev, is_new, params, hold);
	else if (is_new)
		ioasid_device_destroy(ctx, idev);
	if (!rc && params->pasid)
		*params->pasid = att->pasid;
unlock:
	mutex_unlock(&ctx->lock);
	ioasid_hold_put(&old);
	return att;
}

/**
 * sva_register_device_to_pasid() - attach a device to a space
 * @sva: the context
 * @pasid: IOASID_RID, a PASID of the context, or IOASID_PASID_ANY
 * @dev: the device; made known if it is not yet, see sva_add_device()
 * @params: the space, owner, cookie, the user's number for the PASID
 * @why: the reason if it fails
 *
 * Return: the attachment, only to be compared, or ERR_PTR of: what
 * sva_add_device() returns; -ENOENT without such a space; -EBUSY if attached,
 * if a sibling uses another space with that PASID, or during a reset;
 * -EADDRINUSE or -ERANGE if a mapping is where the device cannot have one;
 * -EOPNOTSUPP for a PASID that device or IOMMU cannot have; -ERANGE for one
 * that is too wide; -EPERM for a PASID, or the memory of a process, of
 * somebody else; -EDQUOT or -ENOSPC without a PASID; -EINVAL where PASID and
 * kind of space do not go together; what the IOMMU driver returns. On failure a
 * device that was made known is forgotten again.
 */
struct ioasid_attachment *
sva_register_device_to_pasid(struct ioasid_ctx *sva, u32 pasid,
			     struct device *dev,
			     const struct ioasid_attach_params *params,
			     struct ioasid_explain *why)
{
	return ioasid_device_register(sva, pasid, dev, params, false, NULL, why);
}
IOASID_EXPORT(sva_register_device_to_pasid);

/**
 * sva_replace_device_pasid() - move a device to another space
 * @sva: the context
 * @pasid: IOASID_RID or a PASID that it is attached with; IOASID_PASID_ANY if
 *	@params names it by the user's number
 * @dev: the device
 * @params: the new space
 * @why: the reason if it fails
 *
 * A device that is not attached yet is attached. DMA in flight may be refused
 * for a moment: not every IOMMU driver replaces without a gap.
 *
 * Return: 0, or as sva_register_device_to_pasid(); on failure the device
 * stays where it is.
 */
int sva_replace_device_pasid(struct ioasid_ctx *sva, u32 pasid,
			     struct device *dev,
			     const struct ioasid_attach_params *params,
			     struct ioasid_explain *why)
{
	return PTR_ERR_OR_ZERO(ioasid_device_register(sva, pasid, dev, params,
						      true, NULL, why));
}
IOASID_EXPORT(sva_replace_device_pasid);

static int ioasid_detach_checked(struct ioasid_device *idev, u32 number,
				 struct ioasid_explain *why)
{
	struct ioasid_link *link = ioasid_device_link(idev, number);

	why->pasid = number;
	if (!link)
		return ioasid_fail(why, -ENOENT, IOASID_REASON_NOT_ATTACHED,
				   "device %s is not attached with PASID %u",
				   dev_name(idev->dev), number);
	ioasid_link_detach(link);
	return 0;
}

/**
 * ioasid_device_unregister() - detach a device
 * @ctx: the context
 * @pasid: IOASID_RID, or the number by which the user knows the PASID
 * @dev: the device; stays known if a glue keeps it
 * @why: the reason if it fails
 *
 * Return: 0, or -ENOENT if it is not attached.
 */
int ioasid_device_unregister(struct ioasid_ctx *ctx, u32 pasid,
			     struct device *dev, struct ioasid_explain *why)
{
	struct ioasid_hold old = {};
	struct ioasid_device *idev;
	int rc;

	mutex_lock(&ctx->lock);
	idev = ioasid_device_find(ctx, dev);
	if (idev)
		rc = ioasid_detach_checked(idev, pasid, why);
	else
		rc = ioasid_fail(why, -ENOENT, IOASID_REASON_NOT_ATTACHED,
				 "device %s is not attached", dev_name(dev));
	if (!rc)
		old = ioasid_device_idle(ctx, idev);
	mutex_unlock(&ctx->lock);
	ioasid_hold_put(&old);
	return rc;
}

/**
 * sva_unregister_device_from_pasid() - detach a device
 * @sva: the context
 * @pasid: IOASID_RID, or the number by which the user knows the PASID
 * @dev: the device; stays known
 * @why: the reason if it fails
 *
 * Return: 0, or -ENOENT if it is not attached. Nothing else can fail.
 */
int sva_unregister_device_from_pasid(struct ioasid_ctx *sva, u32 pasid,
				     struct device *dev,
				     struct ioasid_explain *why)
{
	return ioasid_device_unregister(sva, pasid, dev, why);
}
IOASID_EXPORT(sva_unregister_device_from_pasid);

static int ioasid_check_attach(const struct ioasid_device_attach *arg,
			       struct ioasid_explain *why)
{
	bool by_file = arg->flags & IOASID_ATTACH_FD;

	if ((arg->devices && !arg->nr_devices) ||
	    (!by_file && (arg->device_fd || arg->cookie)))
		return ioasid_fail(why, -EOPNOTSUPP, IOASID_REASON_FLAGS,
				   "a field that is not used is not zero");
	if (!by_file && arg->flags & IOASID_ATTACH_KNOW)
		return ioasid_fail(why, -EINVAL, IOASID_REASON_VALUE,
				   "IOASID_ATTACH_KNOW without IOASID_ATTACH_FD");
	if (!arg->nr_devices)
		return 0;
	if (by_file)
		return ioasid_fail(why, -EINVAL, IOASID_REASON_VALUE,
				   "one device by device_fd, or several by devices");
	if (arg->nr_devices > IOASID_MAX_DEVICES) {
		why->value = arg->nr_devices;
		return ioasid_fail(why, -E2BIG, IOASID_REASON_LIMIT,
				   "%u devices: %u at most", arg->nr_devices,
				   IOASID_MAX_DEVICES);
	}
	if (arg->dev_id)
		return ioasid_fail(why, -EINVAL, IOASID_REASON_VALUE,
				   "one device by dev_id, or several by devices");
	if (arg->flags & IOASID_ATTACH_REPLACE)
		return ioasid_fail(why, -EINVAL, IOASID_REASON_VALUE,
				   "several devices are attached, not replaced");
	return 0;
}

/* The devices of a vector, by their ids; ctx->lock is held */
static int ioasid_attach_ids(struct ioasid_ctx *ctx, const u32 *ids, u32 nr,
			     struct ioasid_attach_request *req,
			     struct ioasid_explain *why)
{
	struct ioasid_device **idevs;
	int rc = -ENOENT;
	u32 i;

	idevs = kcalloc(nr, sizeof(*idevs), GFP_KERNEL_ACCOUNT);
	if (!idevs)
		return ioasid_fail(why, -ENOMEM, IOASID_REASON_NO_MEMORY,
				   "no memory for %u devices", nr);
	for (i = 0; i < nr; i++) {
		idevs[i] = ioasid_device_by_id(ctx, ids[i], why);
		if (!idevs[i]) {
			why->index = i;
			goto free;
		}
	}
	rc = ioasid_devices_attach(idevs, nr, req, why);
free:
	kfree(idevs);
	return rc;
}

static int ioasid_attach_by_id(struct ioasid_command *cmd, u32 *ids,
			       struct ioasid_attach_request *req)
{
	struct ioasid_device_attach *arg = cmd->arg;
	struct ioasid_ctx *ctx = cmd->ctx;
	struct ioasid_device *idev;
	int rc;

	mutex_lock(&ctx->lock);
	/* Of several the first one tells the PASID: it is the same for all */
	idev = ioasid_device_by_id(ctx, ids ? *ids : arg->dev_id, cmd->why);
	if (ids)
		rc = ioasid_attach_ids(ctx, ids, arg->nr_devices, req, cmd->why);
	else
		rc = idev ? ioasid_attach_explained(idev, req, cmd->why) :
			    -ENOENT;
	if (!rc)
		arg->pasid = ioasid_device_link(idev, req->number)->att->pasid;
	mutex_unlock(&ctx->lock);
	return rc;
}

int ioasid_cmd_device_attach(struct ioasid_command *cmd)
{
	struct ioasid_device_attach *arg = cmd->arg;
	struct ioasid_attach_request req = {
		.ioasid = arg->ioasid,
		.pasid = arg->pasid,
		.vpasid = arg->vpasid,
		.replace = arg->flags & IOASID_ATTACH_REPLACE,
	};
	u32 *ids = NULL;
	int rc = ioasid_check_attach(arg, cmd->why);

	if (rc)
		return rc;
	if (arg->flags & IOASID_ATTACH_FD)
		return ioasid_attach_by_fd(cmd);
	if (arg->nr_devices)
		ids = ioasid_get_ranges(arg->devices, arg->nr_devices,
					sizeof(*ids), cmd->why);
	if (IS_ERR(ids))
		return PTR_ERR(ids);
	rc = ioasid_attach_by_id(cmd, ids, &req);
	kvfree(ids);
	return rc ?: ioasid_respond(cmd, sizeof(*arg));
}

static int ioasid_check_detach(struct ioasid_command *cmd)
{
	struct ioasid_device_detach *arg = cmd->arg;

	if (arg->flags & IOASID_DETACH_FORGET && arg->pasid != IOASID_RID)
		return ioasid_fail(cmd->why, -EINVAL, IOASID_REASON_VALUE,
				   "a device that is forgotten has no PASID %u left",
				   arg->pasid);
	if (arg->flags & IOASID_DETACH_FD)
		return 0;
	if (arg->device_fd || arg->__reserved)
		return ioasid_fail(cmd->why, -EOPNOTSUPP, IOASID_REASON_FLAGS,
				   "device_fd without IOASID_DETACH_FD");
	return 0;
}

int ioasid_cmd_device_detach(struct ioasid_command *cmd)
{
	struct ioasid_device_detach *arg = cmd->arg;
	struct ioasid_ctx *ctx = cmd->ctx;
	struct ioasid_hold old = {};
	struct ioasid_device *idev;
	int rc = ioasid_check_detach(cmd);

	if (rc)
		return rc;
	if (arg->flags & IOASID_DETACH_FD)
		return ioasid_detach_by_fd(cmd);
	mutex_lock(&ctx->lock);
	idev = ioasid_device_by_id(ctx, arg->dev_id, cmd->why);
	if (!idev)
		rc = -ENOENT;
	else if (arg->flags & IOASID_DETACH_FORGET)
		rc = ioasid_forget_checked(ctx, idev, &old, cmd->why);
	else
		rc = ioasid_detach_checked(idev, arg->pasid, cmd->why);
	if (!rc && !(arg->flags & IOASID_DETACH_FORGET))
		old = ioasid_device_idle(ctx, idev);
	mutex_unlock(&ctx->lock);
	ioasid_hold_put(&old);
	return rc;
}

static void ioasid_links_show(struct seq_file *m, struct ioasid_device *idev)
{
	struct ioasid_link *link;
	unsigned long number;

	xa_for_each_start(&idev->links, number, link, 1)
		seq_printf(m, "dev_id=%u pasid=%u vpasid=%lu ioasid=%u\n",
			   idev->id, link->att->pasid, number,
			   link->att->space->id);
}

void ioasid_device_show(struct seq_file *m, struct ioasid_ctx *ctx)
{
	struct ioasid_device *idev;
	struct ioasid_link *rid;
	unsigned long id;

	mutex_lock(&ctx->lock);
	xa_for_each(&ctx->devices, id, idev) {
		rid = ioasid_device_link(idev, IOASID_RID);
		seq_printf(m, "dev_id=%lu dev=%s group=%d owner=%s cookie=%#llx rid=%u\n",
			   id, dev_name(idev->dev),
			   iommu_group_id(idev->group->group), idev->owner,
			   idev->cookie, rid ? rid->att->space->id : 0);
		ioasid_links_show(m, idev);
	}
	mutex_unlock(&ctx->lock);
}
