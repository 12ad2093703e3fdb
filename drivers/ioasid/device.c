// SPDX-License-Identifier: GPL-2.0
/*
 * Devices: which ones a context knows, by whom, and what they are attached to. The
 * core trusts its glues for who owns a device, and never claims ownership itself.
 */
#include <linux/iommu.h>
#include <linux/seq_file.h>
#include <linux/slab.h>
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

static void ioasid_device_destroy(struct ioasid_ctx *ctx,
				  struct ioasid_device *idev)
{
	xa_erase(&ctx->devices, idev->id);
	list_del(&idev->node);
	ctx->nr_devices--;
	ioasid_device_unlist(idev);
	ioasid_hold_put(&idev->hold);
	ioasid_device_free(idev);
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
 * by the glue, which also takes over what a file has kept.
 */
static void ioasid_device_settle(struct ioasid_device *idev, bool is_new,
				 const struct ioasid_attach_params *params,
				 const struct ioasid_hold *hold)
{
	idev->cookie = params->cookie;
	if (!hold) {
		ioasid_hold_put(&idev->hold);
		idev->owner = params->owner;
	} else if (is_new) {
		ioasid_hold_copy(&idev->hold, hold);
	} else if (idev->hold.file) {
		idev->hold.stay |= hold->stay;
	}
}

/* What a file made known is forgotten when it is attached to nothing any more */
static void ioasid_device_idle(struct ioasid_ctx *ctx,
			       struct ioasid_device *idev)
{
	if (idev->hold.file && !idev->hold.stay && xa_empty(&idev->links))
		ioasid_device_destroy(ctx, idev);
}

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
	struct ioasid_device *idev;
	bool is_new;

	guard(mutex)(&ctx->lock);
	idev = ioasid_device_know(ctx, dev, params, !!hold, &is_new, why);
	if (IS_ERR(idev))
		return PTR_ERR(idev);
	ioasid_device_settle(idev, is_new, params, hold);
	if (dev_id)
		*dev_id = idev->id;
	return 0;
}

/**
 * ioasid_device_forget_idle() - forget a device that is not attached
 * @ctx: the context
 * @dev: the device; nothing happens if it is not known
 * @why: the reason if it fails
 *
 * Return: 0, or -EBUSY if the device is attached.
 */
int ioasid_device_forget_idle(struct ioasid_ctx *ctx, struct device *dev,
			      struct ioasid_explain *why)
{
	struct ioasid_device *idev;

	guard(mutex)(&ctx->lock);
	idev = ioasid_device_find(ctx, dev);
	if (idev && !xa_empty(&idev->links))
		return ioasid_fail(why, -EBUSY, IOASID_REASON_OWNER,
				   "device %s is attached through another context",
				   dev_name(dev));
	if (idev)
		ioasid_device_destroy(ctx, idev);
	return 0;
}

static void ioasid_device_detach_all(struct ioasid_ctx *ctx,
				     struct ioasid_device *idev)
{
	struct ioasid_link *link;
	unsigned long number;

	xa_for_each(&idev->links, number, link)
		ioasid_link_detach(link);
	ioasid_device_destroy(ctx, idev);
}

/**
 * ioasid_device_remove() - detach a device from everything and forget it
 * @ctx: the context
 * @dev: the device; nothing happens if it is not known
 *
 * Cannot fail.
 */
void ioasid_device_remove(struct ioasid_ctx *ctx, struct device *dev)
{
	struct ioasid_device *idev;

	guard(mutex)(&ctx->lock);
	idev = ioasid_device_find(ctx, dev);
	if (idev)
		ioasid_device_detach_all(ctx, idev);
}

/* Some device that is known by a file, which is the caller's to put */
static bool ioasid_device_held(struct ioasid_ctx *ctx, struct ioasid_hold *hold)
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

static int ioasid_forget_checked(struct ioasid_ctx *ctx,
				 struct ioasid_device *idev,
				 struct ioasid_explain *why)
{
	if (!idev->hold.file)
		return ioasid_fail(why, -EBUSY, IOASID_REASON_OWNER,
				   "device %s is known by its container until it is closed",
				   dev_name(idev->dev));
	ioasid_device_detach_all(ctx, idev);
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
	struct ioasid_device *idev;

	guard(mutex)(&ctx->lock);
	idev = ioasid_device_find(ctx, dev);
	if (idev)
		return ioasid_forget_checked(ctx, idev, why);
	return ioasid_fail(why, -ENOENT, IOASID_REASON_NO_DEVICE_ID,
			   "this context does not know device %s",
			   dev_name(dev));
}

/**
 * ioasid_forget_by_id() - the same, by its id
 * @ctx: the context
 * @dev_id: the device
 * @why: the reason if it fails
 *
 * Return: as ioasid_device_forget().
 */
int ioasid_forget_by_id(struct ioasid_ctx *ctx, u32 dev_id,
			struct ioasid_explain *why)
{
	struct ioasid_device *idev;

	guard(mutex)(&ctx->lock);
	idev = ioasid_device_by_id(ctx, dev_id, why);
	return idev ? ioasid_forget_checked(ctx, idev, why) : -ENOENT;
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
	struct ioasid_attachment *att;
	struct ioasid_device *idev;
	bool is_new;
	int rc;

	guard(mutex)(&ctx->lock);
	idev = ioasid_device_know(ctx, dev, params, !!hold, &is_new, why);
	if (IS_ERR(idev))
		return ERR_CAST(idev);
	if (is_new && hold)
		idev->hold.claim = hold->claim;
	rc = ioasid_device_attach(idev, &req, why);
	if (rc) {
		if (is_new)
			ioasid_device_destroy(ctx, idev);
		return ERR_PTR(rc);
	}
	ioasid_device_settle(idev, is_new, params, hold);
	att = ioasid_device_link(idev, req.number)->att;
	if (params->pasid)
		*params->pasid = att->pasid;
	return att;
}

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
	struct ioasid_device *idev;
	int rc;

	guard(mutex)(&ctx->lock);
	idev = ioasid_device_find(ctx, dev);
	if (!idev)
		return ioasid_fail(why, -ENOENT, IOASID_REASON_NOT_ATTACHED,
				   "device %s is not attached", dev_name(dev));
	rc = ioasid_detach_checked(idev, pasid, why);
	if (!rc)
		ioasid_device_idle(ctx, idev);
	return rc;
}

/**
 * ioasid_detach_by_id() - detach a device, by its id
 * @ctx: the context
 * @dev_id: the device
 * @pasid: IOASID_RID, or the number by which the user knows the PASID
 * @why: the reason if it fails
 *
 * Return: 0, or -ENOENT if there is none or it is not attached.
 */
int ioasid_detach_by_id(struct ioasid_ctx *ctx, u32 dev_id, u32 pasid,
			struct ioasid_explain *why)
{
	struct ioasid_device *idev;
	int rc;

	guard(mutex)(&ctx->lock);
	idev = ioasid_device_by_id(ctx, dev_id, why);
	if (!idev)
		return -ENOENT;
	rc = ioasid_detach_checked(idev, pasid, why);
	if (!rc)
		ioasid_device_idle(ctx, idev);
	return rc;
}

/**
 * ioasid_attach_by_id() - attach a device that is known, by its id
 * @ctx: the context
 * @dev_id: the device
 * @req: the space, the PASID; out: @pasid, the real one
 * @why: the reason if it fails
 *
 * Return: 0, -ENOENT without such a device, or an error of
 * sva_register_device_to_pasid().
 */
int ioasid_attach_by_id(struct ioasid_ctx *ctx, u32 dev_id,
			struct ioasid_attach_request *req,
			struct ioasid_explain *why)
{
	struct ioasid_device *idev;
	int rc;

	guard(mutex)(&ctx->lock);
	idev = ioasid_device_by_id(ctx, dev_id, why);
	if (!idev)
		return -ENOENT;
	rc = ioasid_device_attach(idev, req, why);
	if (!rc)
		req->pasid = ioasid_device_link(idev, req->number)->att->pasid;
	return rc;
}

/**
 * ioasid_attach_by_ids() - the same for several devices: all of them or none
 * @ctx: the context
 * @ids: the devices
 * @nr: how many, not 0
 * @req: the space, the PASID; not to replace; out: @pasid, the same for all
 * @why: the reason if it fails, and which device
 *
 * Return: as ioasid_attach_by_id().
 */
int ioasid_attach_by_ids(struct ioasid_ctx *ctx, const u32 *ids, u32 nr,
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
	mutex_lock(&ctx->lock);
	for (i = 0; i < nr; i++) {
		idevs[i] = ioasid_device_by_id(ctx, ids[i], why);
		if (!idevs[i]) {
			why->index = i;
			goto unlock;
		}
	}
	rc = ioasid_devices_attach(idevs, nr, req, why);
	if (!rc)
		req->pasid = ioasid_device_link(idevs[0], req->number)->att->pasid;
unlock:
	mutex_unlock(&ctx->lock);
	kfree(idevs);
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
