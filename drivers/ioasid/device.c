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

	lockdep_assert_held(&ctx->lock);
	list_for_each_entry(idev, &ctx->device_list, node)
		if (idev->dev == dev)
			return idev;
	return NULL;
}

static int ioasid_device_check(struct device *dev, struct iommu_group *group,
			       const struct ioasid_attach_params *params,
			       struct ioasid_extack *extack)
{
	if (!device_iommu_capable(dev, IOMMU_CAP_CACHE_COHERENCY))
		return ioasid_fail(extack, -EINVAL, IOASID_REASON_COHERENCY,
				   "device %s: its DMA is not cache coherent",
				   dev_name(dev));
	if (!params->unsafe_interrupts && !iommu_group_has_isolated_msi(group))
		return ioasid_fail(extack, -EPERM, IOASID_REASON_MSI,
				   "device %s: the platform does not isolate its interrupts (no interrupt remapping)",
				   dev_name(dev));
	return 0;
}

static int ioasid_device_publish(struct ioasid_ctx *ctx,
				 struct ioasid_device *idev,
				 struct ioasid_extack *extack)
{
	int rc = xa_alloc(&ctx->devices, &idev->id, idev, XA_LIMIT(1, S32_MAX),
			  GFP_KERNEL_ACCOUNT);

	lockdep_assert_held(&ctx->lock);
	if (rc)
		return ioasid_fail(extack, rc, IOASID_REASON_NO_MEMORY,
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
				struct ioasid_extack *extack)
{
	struct ioasid_group *g = idev->group;
	struct ioasid_device *other;
	int rc = 0;

	mutex_lock(&g->lock);
	list_for_each_entry(other, &g->devices, group_node)
		if (other->dev == idev->dev &&
		    (by_file || other->file_ref.file))
			rc = ioasid_fail(extack, -EBUSY, IOASID_REASON_OWNER,
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
	xa_destroy(&idev->dev_pasids);
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
	xa_init_flags(&idev->dev_pasids, XA_FLAGS_ACCOUNT);
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
		     struct ioasid_extack *extack)
{
	struct iommu_group *group = iommu_group_get(dev);
	struct ioasid_device *idev;
	int rc;

	/* What frameworks make for a device without IOMMU has no dev->iommu */
	if (!group || !dev->iommu) {
		iommu_group_put(group);
		ioasid_fail(extack, -ENODEV, IOASID_REASON_IOMMU,
			    "device %s is behind no IOMMU", dev_name(dev));
		return ERR_PTR(-ENODEV);
	}
	rc = ioasid_device_check(dev, group, params, extack);
	if (rc) {
		iommu_group_put(group);
		return ERR_PTR(rc);
	}
	idev = ioasid_device_alloc(ctx, dev, group, params);
	if (!idev) {
		ioasid_fail(extack, -ENOMEM, IOASID_REASON_NO_MEMORY,
			    "no memory for a device");
		return ERR_PTR(-ENOMEM);
	}
	rc = ioasid_device_enlist(idev, by_file, extack);
	if (rc)
		goto free;
	rc = ioasid_device_publish(ctx, idev, extack);
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
	lockdep_assert_held(&ctx->lock);
	xa_erase(&ctx->devices, idev->id);
	list_del(&idev->node);
	ctx->nr_devices--;
	ioasid_device_unlist(idev);
	ioasid_file_ref_put(&idev->file_ref);
	ioasid_device_free(idev);
}

/* Finds or makes the device; ctx->lock is held */
static struct ioasid_device *
ioasid_device_find_or_create(struct ioasid_ctx *ctx, struct device *dev,
			     const struct ioasid_attach_params *params,
			     bool by_file, bool *is_new,
			     struct ioasid_extack *extack)
{
	struct ioasid_device *idev = ioasid_device_find(ctx, dev);

	lockdep_assert_held(&ctx->lock);
	*is_new = !idev;
	if (!idev)
		idev = ioasid_device_create(ctx, dev, params, by_file, extack);
	if (!IS_ERR(idev))
		extack->dev_id = idev->id;
	return idev;
}

/*
 * Nothing can fail any more: a new device is kept by the file that named it, or
 * by the glue, which also takes over what a file has kept.
 */
static void ioasid_device_commit(struct ioasid_device *idev, bool is_new,
				 const struct ioasid_attach_params *params,
				 const struct ioasid_file_ref *file_ref)
{
	lockdep_assert_held(&idev->ctx->lock);
	idev->cookie = params->cookie;
	if (!file_ref) {
		ioasid_file_ref_put(&idev->file_ref);
		idev->owner = params->owner;
	} else if (is_new) {
		ioasid_file_ref_copy(&idev->file_ref, file_ref);
	} else if (idev->file_ref.file) {
		idev->file_ref.stay |= file_ref->stay;
	}
}

/* What a file made known is forgotten when it is attached to nothing any more */
static void ioasid_device_put_if_idle(struct ioasid_ctx *ctx,
				      struct ioasid_device *idev)
{
	lockdep_assert_held(&ctx->lock);
	if (idev->file_ref.file && !idev->file_ref.stay &&
	    xa_empty(&idev->dev_pasids))
		ioasid_device_destroy(ctx, idev);
}

/**
 * ioasid_device_bind() - make a device known to a context
 * @ctx: the context
 * @dev: the device
 * @params: owner, cookie
 * @file_ref: the file that keeps it known, or NULL if a glue does
 * @dev_id: where to put its id, or NULL
 * @extack: the reason if it fails
 *
 * Return: as sva_bind_device().
 */
int ioasid_device_bind(struct ioasid_ctx *ctx, struct device *dev,
		       const struct ioasid_attach_params *params,
		       const struct ioasid_file_ref *file_ref, u32 *dev_id,
		       struct ioasid_extack *extack)
{
	struct ioasid_device *idev;
	bool is_new;

	guard(mutex)(&ctx->lock);
	idev = ioasid_device_find_or_create(ctx, dev, params, !!file_ref,
					    &is_new, extack);
	if (IS_ERR(idev))
		return PTR_ERR(idev);
	ioasid_device_commit(idev, is_new, params, file_ref);
	if (dev_id)
		*dev_id = idev->id;
	return 0;
}

/**
 * ioasid_device_unbind_idle() - forget a device that is not attached
 * @ctx: the context
 * @dev: the device; nothing happens if it is not known
 * @extack: the reason if it fails
 *
 * Return: 0, or -EBUSY if the device is attached.
 */
int ioasid_device_unbind_idle(struct ioasid_ctx *ctx, struct device *dev,
			      struct ioasid_extack *extack)
{
	struct ioasid_device *idev;

	guard(mutex)(&ctx->lock);
	idev = ioasid_device_find(ctx, dev);
	if (idev && !xa_empty(&idev->dev_pasids))
		return ioasid_fail(extack, -EBUSY, IOASID_REASON_OWNER,
				   "device %s is attached through another context",
				   dev_name(dev));
	if (idev)
		ioasid_device_destroy(ctx, idev);
	return 0;
}

static void ioasid_device_detach_all(struct ioasid_ctx *ctx,
				     struct ioasid_device *idev)
{
	struct ioasid_dev_pasid *dev_pasid;
	unsigned long vpasid;

	lockdep_assert_held(&ctx->lock);
	xa_for_each(&idev->dev_pasids, vpasid, dev_pasid)
		ioasid_dev_pasid_detach(dev_pasid);
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
static bool ioasid_device_by_file(struct ioasid_ctx *ctx,
				  struct ioasid_file_ref *file_ref)
{
	struct ioasid_device *idev;
	bool found = false;

	mutex_lock(&ctx->lock);
	list_for_each_entry(idev, &ctx->device_list, node) {
		found = idev->file_ref.file;
		if (!found)
			continue;
		ioasid_file_ref_copy(file_ref, &idev->file_ref);
		break;
	}
	mutex_unlock(&ctx->lock);
	return found;
}

static int ioasid_unbind_checked(struct ioasid_ctx *ctx,
				 struct ioasid_device *idev,
				 struct ioasid_extack *extack)
{
	lockdep_assert_held(&ctx->lock);
	if (!idev->file_ref.file)
		return ioasid_fail(extack, -EBUSY, IOASID_REASON_OWNER,
				   "device %s is known by its container until it is closed",
				   dev_name(idev->dev));
	ioasid_device_detach_all(ctx, idev);
	return 0;
}

/**
 * ioasid_device_unbind() - detach a device from everything and forget it
 * @ctx: the context
 * @dev: the device
 * @extack: the reason if it fails
 *
 * Return: 0, -ENOENT if it is not known, -EBUSY if a glue keeps it known.
 */
int ioasid_device_unbind(struct ioasid_ctx *ctx, struct device *dev,
			 struct ioasid_extack *extack)
{
	struct ioasid_device *idev;

	guard(mutex)(&ctx->lock);
	idev = ioasid_device_find(ctx, dev);
	if (idev)
		return ioasid_unbind_checked(ctx, idev, extack);
	return ioasid_fail(extack, -ENOENT, IOASID_REASON_NO_DEVICE_ID,
			   "this context does not know device %s",
			   dev_name(dev));
}

/**
 * ioasid_unbind_by_id() - the same, by its id
 * @ctx: the context
 * @dev_id: the device
 * @extack: the reason if it fails
 *
 * Return: as ioasid_device_unbind().
 */
int ioasid_unbind_by_id(struct ioasid_ctx *ctx, u32 dev_id,
			struct ioasid_extack *extack)
{
	struct ioasid_device *idev;

	guard(mutex)(&ctx->lock);
	idev = ioasid_device_by_id(ctx, dev_id, extack);
	return idev ? ioasid_unbind_checked(ctx, idev, extack) : -ENOENT;
}

/**
 * ioasid_unbind_files() - detach all devices that are known by a file
 * @ctx: the context; its own file is gone, so no command is at work
 *
 * Cannot fail. A glue may still make one of them its own: it is left to it then.
 */
void ioasid_unbind_files(struct ioasid_ctx *ctx)
{
	struct ioasid_extack extack;
	struct ioasid_file_ref file_ref;

	while (ioasid_device_by_file(ctx, &file_ref)) {
		ioasid_extack_init(&extack);
		if (file_ref.info.lock)
			mutex_lock(file_ref.info.lock);
		ioasid_device_unbind(ctx, file_ref.info.dev, &extack);
		ioasid_file_ref_end(&file_ref);
	}
}

/**
 * ioasid_device_register() - attach a device to a space, or move it there
 * @ctx: the context
 * @pasid: IOASID_RID, a PASID of the context, or IOASID_PASID_ANY
 * @dev: the device; made known if it is not yet
 * @params: the space, owner, cookie, the user's number for the PASID
 * @replace: leave the present space
 * @file_ref: the file that keeps it known, or NULL if a glue does
 * @extack: the reason if it fails
 *
 * Return: as sva_register_device_to_pasid().
 */
struct ioasid_attachment *
ioasid_device_register(struct ioasid_ctx *ctx, u32 pasid, struct device *dev,
		       const struct ioasid_attach_params *params, bool replace,
		       const struct ioasid_file_ref *file_ref,
		       struct ioasid_extack *extack)
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
	idev = ioasid_device_find_or_create(ctx, dev, params, !!file_ref,
					    &is_new, extack);
	if (IS_ERR(idev))
		return ERR_CAST(idev);
	if (is_new && file_ref)
		idev->file_ref.info = file_ref->info;
	rc = ioasid_device_attach(idev, &req, extack);
	if (rc) {
		if (is_new)
			ioasid_device_destroy(ctx, idev);
		return ERR_PTR(rc);
	}
	ioasid_device_commit(idev, is_new, params, file_ref);
	att = ioasid_dev_pasid_find(idev, req.key)->att;
	if (params->pasid)
		*params->pasid = att->pasid;
	return att;
}

static int ioasid_detach_checked(struct ioasid_device *idev, u32 vpasid,
				 struct ioasid_extack *extack)
{
	struct ioasid_dev_pasid *dev_pasid =
		ioasid_dev_pasid_find(idev, vpasid);

	lockdep_assert_held(&idev->ctx->lock);
	extack->pasid = vpasid;
	if (!dev_pasid)
		return ioasid_fail(extack, -ENOENT, IOASID_REASON_NOT_ATTACHED,
				   "device %s is not attached with PASID %u",
				   dev_name(idev->dev), vpasid);
	ioasid_dev_pasid_detach(dev_pasid);
	return 0;
}

/**
 * ioasid_device_unregister() - detach a device
 * @ctx: the context
 * @pasid: IOASID_RID, or the number by which the user knows the PASID
 * @dev: the device; stays known if a glue keeps it
 * @extack: the reason if it fails
 *
 * Return: 0, or -ENOENT if it is not attached.
 */
int ioasid_device_unregister(struct ioasid_ctx *ctx, u32 pasid,
			     struct device *dev, struct ioasid_extack *extack)
{
	struct ioasid_device *idev;
	int rc;

	guard(mutex)(&ctx->lock);
	idev = ioasid_device_find(ctx, dev);
	if (!idev)
		return ioasid_fail(extack, -ENOENT, IOASID_REASON_NOT_ATTACHED,
				   "device %s is not attached", dev_name(dev));
	rc = ioasid_detach_checked(idev, pasid, extack);
	if (!rc)
		ioasid_device_put_if_idle(ctx, idev);
	return rc;
}

/**
 * ioasid_detach_by_id() - detach a device, by its id
 * @ctx: the context
 * @dev_id: the device
 * @pasid: IOASID_RID, or the number by which the user knows the PASID
 * @extack: the reason if it fails
 *
 * Return: 0, or -ENOENT if there is none or it is not attached.
 */
int ioasid_detach_by_id(struct ioasid_ctx *ctx, u32 dev_id, u32 pasid,
			struct ioasid_extack *extack)
{
	struct ioasid_device *idev;
	int rc;

	guard(mutex)(&ctx->lock);
	idev = ioasid_device_by_id(ctx, dev_id, extack);
	if (!idev)
		return -ENOENT;
	rc = ioasid_detach_checked(idev, pasid, extack);
	if (!rc)
		ioasid_device_put_if_idle(ctx, idev);
	return rc;
}

/**
 * ioasid_attach_by_id() - attach a device that is known, by its id
 * @ctx: the context
 * @dev_id: the device
 * @req: the space, the PASID; out: @pasid, the real one
 * @extack: the reason if it fails
 *
 * Return: 0, -ENOENT without such a device, or an error of
 * sva_register_device_to_pasid().
 */
int ioasid_attach_by_id(struct ioasid_ctx *ctx, u32 dev_id,
			struct ioasid_attach_request *req,
			struct ioasid_extack *extack)
{
	struct ioasid_device *idev;
	int rc;

	guard(mutex)(&ctx->lock);
	idev = ioasid_device_by_id(ctx, dev_id, extack);
	if (!idev)
		return -ENOENT;
	rc = ioasid_device_attach(idev, req, extack);
	if (!rc)
		req->pasid = ioasid_dev_pasid_find(idev, req->key)->att->pasid;
	return rc;
}

/**
 * ioasid_attach_by_ids() - the same for several devices: all of them or none
 * @ctx: the context
 * @ids: the devices
 * @nr: how many, not 0
 * @req: the space, the PASID; not to replace; out: @pasid, the same for all
 * @extack: the reason if it fails, and which device
 *
 * Return: as ioasid_attach_by_id().
 */
int ioasid_attach_by_ids(struct ioasid_ctx *ctx, const u32 *ids, u32 nr,
			 struct ioasid_attach_request *req,
			 struct ioasid_extack *extack)
{
	struct ioasid_device **idevs;
	int rc = -ENOENT;
	u32 i;

	idevs = kcalloc(nr, sizeof(*idevs), GFP_KERNEL_ACCOUNT);
	if (!idevs)
		return ioasid_fail(extack, -ENOMEM, IOASID_REASON_NO_MEMORY,
				   "no memory for %u devices", nr);
	mutex_lock(&ctx->lock);
	for (i = 0; i < nr; i++) {
		idevs[i] = ioasid_device_by_id(ctx, ids[i], extack);
		if (!idevs[i]) {
			extack->index = i;
			goto unlock;
		}
	}
	rc = ioasid_devices_attach(idevs, nr, req, extack);
	if (!rc)
		req->pasid =
			ioasid_dev_pasid_find(idevs[0], req->key)->att->pasid;
unlock:
	mutex_unlock(&ctx->lock);
	kfree(idevs);
	return rc;
}

static void ioasid_dev_pasids_show(struct seq_file *m,
				   struct ioasid_device *idev)
{
	struct ioasid_dev_pasid *dev_pasid;
	unsigned long vpasid;

	lockdep_assert_held(&idev->ctx->lock);
	xa_for_each_start(&idev->dev_pasids, vpasid, dev_pasid, 1)
		seq_printf(m, "dev_id=%u pasid=%u vpasid=%lu ioasid=%u\n",
			   idev->id, dev_pasid->att->pasid, vpasid,
			   dev_pasid->att->space->id);
}

void ioasid_device_show(struct seq_file *m, struct ioasid_ctx *ctx)
{
	struct ioasid_device *idev;
	struct ioasid_dev_pasid *rid;
	unsigned long id;

	mutex_lock(&ctx->lock);
	xa_for_each(&ctx->devices, id, idev) {
		rid = ioasid_dev_pasid_find(idev, IOASID_RID);
		seq_printf(m, "dev_id=%lu dev=%s group=%d owner=%s cookie=%#llx rid=%u\n",
			   id, dev_name(idev->dev),
			   iommu_group_id(idev->group->group), idev->owner,
			   idev->cookie, rid ? rid->att->space->id : 0);
		ioasid_dev_pasids_show(m, idev);
	}
	mutex_unlock(&ctx->lock);
}
