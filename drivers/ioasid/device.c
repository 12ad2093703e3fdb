// SPDX-License-Identifier: GPL-2.0
/*
 * Devices: binds them to a context, on behalf of a glue or by a file, and
 * attaches and detaches them by pointer or id. The core trusts its glues about
 * who owns a device, and must never claim ownership itself.
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
	int rc = ioasid_id_alloc(&ctx->devices, &ctx->next_device, &idev->id,
				 idev);

	lockdep_assert_held(&ctx->lock);
	if (rc)
		return ioasid_fail(extack, rc, IOASID_REASON_NO_MEMORY,
				   "no memory for a device");
	list_add_tail(&idev->node, &ctx->device_list);
	ctx->nr_devices++;
	return 0;
}

/*
 * A device that is bound by a file is bound to one context only. A glue may
 * bind its device to two contexts for a moment, to move it.
 */
static int ioasid_device_enlist(struct ioasid_device *idev, bool by_file,
				struct ioasid_extack *extack)
{
	struct ioasid_group *g = idev->group;
	struct ioasid_device *other;

	guard(mutex)(&g->lock);
	list_for_each_entry(other, &g->devices, group_node)
		if (other->dev == idev->dev && (by_file || other->exclusive))
			return ioasid_fail(extack, -EBUSY, IOASID_REASON_OWNER,
					   "device %s is bound to another context",
					   dev_name(idev->dev));
	if (ioasid_group_update_regions(g))
		return ioasid_fail(extack, -ENOMEM, IOASID_REASON_NO_MEMORY,
				   "no memory for a device");
	idev->exclusive = by_file;
	list_add_tail(&idev->group_node, &g->devices);
	return 0;
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

/* Consumes the reference on @group, even on failure */
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

	/* Emulated groups of devices without IOMMU lack dev->iommu */
	if (!group || !dev->iommu) {
		iommu_group_put(group);
		ioasid_fail(extack, -ENODEV, IOASID_REASON_IOMMU,
			    "device %s is not behind an IOMMU", dev_name(dev));
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
 * Once nothing can fail any more, sets what keeps the device bound: the file of
 * a new device, or the glue, which takes over from a file.
 */
static void ioasid_device_commit(struct ioasid_device *idev, bool is_new,
				 const struct ioasid_attach_params *params,
				 const struct ioasid_file_ref *file_ref)
{
	lockdep_assert_held(&idev->ctx->lock);
	if (!file_ref) {
		scoped_guard(mutex, &idev->group->lock)
			idev->exclusive = false;
		if (idev->file_ref.file)
			WRITE_ONCE(idev->cookie, params->cookie);
		ioasid_file_ref_put(&idev->file_ref);
		idev->owner = params->owner;
	} else if (is_new) {
		ioasid_file_ref_copy(&idev->file_ref, file_ref);
	} else if (idev->file_ref.file) {
		idev->file_ref.stay |= file_ref->stay;
	}
}

/* A device that is bound by a file is unbound after its last detach */
static void ioasid_device_put_if_idle(struct ioasid_ctx *ctx,
				      struct ioasid_device *idev)
{
	lockdep_assert_held(&ctx->lock);
	if (idev->file_ref.file && !idev->file_ref.stay &&
	    xa_empty(&idev->dev_pasids))
		ioasid_device_destroy(ctx, idev);
}

/**
 * ioasid_device_bind() - bind a device to a context
 * @ctx: the context
 * @dev: the device
 * @params: owner, cookie
 * @file_ref: the file that keeps it bound, or NULL if a glue does
 * @dev_id: out: its id; or NULL
 * @extack: the reason if it fails
 *
 * Context: can sleep; takes ioasid_ctx.lock and ioasid_group.lock.
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
	WRITE_ONCE(idev->cookie, params->cookie);
	if (dev_id)
		*dev_id = idev->id;
	return 0;
}

/**
 * ioasid_device_unbind_idle() - unbind a device that is not attached
 * @ctx: the context
 * @dev: the device; no-op if it is not bound
 * @extack: the reason if it fails
 *
 * Context: can sleep; takes ioasid_ctx.lock and ioasid_group.lock.
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
 * ioasid_device_remove() - detach a device from all spaces and unbind it
 * @ctx: the context
 * @dev: the device; no-op if it is not bound
 *
 * Cannot fail.
 *
 * Context: can sleep; takes ioasid_ctx.lock.
 */
void ioasid_device_remove(struct ioasid_ctx *ctx, struct device *dev)
{
	struct ioasid_device *idev;

	guard(mutex)(&ctx->lock);
	idev = ioasid_device_find(ctx, dev);
	if (idev)
		ioasid_device_detach_all(ctx, idev);
}

/* Finds a device that is bound by a file, and references the file */
static bool ioasid_device_by_file(struct ioasid_ctx *ctx,
				  struct ioasid_file_ref *file_ref)
{
	struct ioasid_device *idev;

	guard(mutex)(&ctx->lock);
	list_for_each_entry(idev, &ctx->device_list, node) {
		if (!idev->file_ref.file)
			continue;
		ioasid_file_ref_copy(file_ref, &idev->file_ref);
		return true;
	}
	return false;
}

static int ioasid_unbind_checked(struct ioasid_ctx *ctx,
				 struct ioasid_device *idev,
				 struct ioasid_extack *extack)
{
	lockdep_assert_held(&ctx->lock);
	if (!idev->file_ref.file)
		return ioasid_fail(extack, -EBUSY, IOASID_REASON_OWNER,
				   "device %s is bound by its container, and stays bound until it is closed",
				   dev_name(idev->dev));
	ioasid_device_detach_all(ctx, idev);
	return 0;
}

/**
 * ioasid_device_unbind() - detach a device from all spaces and unbind it
 * @ctx: the context
 * @dev: the device
 * @extack: the reason if it fails
 *
 * Context: can sleep; takes ioasid_ctx.lock.
 *
 * Return: 0, -ENOENT if it is not bound, -EBUSY if a glue keeps it bound.
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
			   "device %s is not bound to this context",
			   dev_name(dev));
}

/**
 * ioasid_unbind_by_id() - like ioasid_device_unbind(), by id
 * @ctx: the context
 * @dev_id: the device
 * @extack: the reason if it fails
 *
 * Context: can sleep; takes ioasid_ctx.lock.
 *
 * Return: as ioasid_device_unbind().
 */
int ioasid_unbind_by_id(struct ioasid_ctx *ctx, u32 dev_id,
			struct ioasid_extack *extack)
{
	struct ioasid_device *idev;

	guard(mutex)(&ctx->lock);
	idev = ioasid_device_by_id(ctx, dev_id, extack);
	return IS_ERR(idev) ? PTR_ERR(idev) :
			      ioasid_unbind_checked(ctx, idev, extack);
}

/**
 * ioasid_unbind_files() - unbind all devices that are bound by a file
 * @ctx: the context; its own file is closed, so no command is in progress
 *
 * Cannot fail. If a glue takes over one of them meanwhile, that one stays
 * bound.
 *
 * Context: can sleep; takes ioasid_file_info.lock and ioasid_ctx.lock.
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
 * @dev: the device; bound if it is not yet
 * @params: the space, owner, cookie, the user's number for the PASID
 * @replace: replace the present space
 * @file_ref: the file that keeps it bound, or NULL if a glue does
 * @extack: the reason if it fails
 *
 * Context: can sleep; takes ioasid_ctx.lock.
 *
 * Return: as sva_register_device_to_pasid().
 */
int ioasid_device_register(struct ioasid_ctx *ctx, u32 pasid,
			   struct device *dev,
			   const struct ioasid_attach_params *params,
			   bool replace, const struct ioasid_file_ref *file_ref,
			   struct ioasid_extack *extack)
{
	struct ioasid_attach_request req = {
		.ioasid = params->ioasid,
		.pasid = pasid,
		.vpasid = params->vpasid,
		.replace = replace,
		.cookie = params->cookie,
	};
	struct ioasid_device *idev;
	bool is_new;
	int rc;

	extack->ioasid = params->ioasid;
	guard(mutex)(&ctx->lock);
	idev = ioasid_device_find_or_create(ctx, dev, params, !!file_ref,
					    &is_new, extack);
	if (IS_ERR(idev))
		return PTR_ERR(idev);
	if (is_new && file_ref)
		idev->file_ref.info = file_ref->info;
	rc = ioasid_device_attach(idev, &req, extack);
	if (rc) {
		if (is_new)
			ioasid_device_destroy(ctx, idev);
		return rc;
	}
	ioasid_device_commit(idev, is_new, params, file_ref);
	if (params->pasid)
		*params->pasid =
			ioasid_dev_pasid_find(idev, req.key)->att->pasid;
	if (params->dev_id)
		*params->dev_id = idev->id;
	return 0;
}

/* Can unbind the device and free it */
static int ioasid_detach_checked(struct ioasid_device *idev, u32 vpasid,
				 struct ioasid_extack *extack)
{
	struct ioasid_dev_pasid *dev_pasid =
		ioasid_dev_pasid_by_vpasid(idev, vpasid, extack);

	lockdep_assert_held(&idev->ctx->lock);
	if (IS_ERR(dev_pasid))
		return PTR_ERR(dev_pasid);
	ioasid_dev_pasid_detach(dev_pasid);
	ioasid_device_put_if_idle(idev->ctx, idev);
	return 0;
}

/**
 * ioasid_device_unregister() - detach a device
 * @ctx: the context
 * @pasid: IOASID_RID, or the user's number for the PASID
 * @dev: the device; stays bound if a glue keeps it bound
 * @extack: the reason if it fails
 *
 * Context: can sleep; takes ioasid_ctx.lock.
 *
 * Return: 0, or -ENOENT if it is not attached.
 */
int ioasid_device_unregister(struct ioasid_ctx *ctx, u32 pasid,
			     struct device *dev, struct ioasid_extack *extack)
{
	struct ioasid_device *idev;

	guard(mutex)(&ctx->lock);
	idev = ioasid_device_find(ctx, dev);
	if (!idev)
		return ioasid_fail(extack, -ENOENT, IOASID_REASON_NOT_ATTACHED,
				   "device %s is not attached", dev_name(dev));
	return ioasid_detach_checked(idev, pasid, extack);
}

/**
 * ioasid_detach_by_id() - detach a device, by its id
 * @ctx: the context
 * @dev_id: the device
 * @pasid: IOASID_RID, or the user's number for the PASID
 * @extack: the reason if it fails
 *
 * Context: can sleep; takes ioasid_ctx.lock.
 *
 * Return: 0, or -ENOENT if there is no such device or it is not attached.
 */
int ioasid_detach_by_id(struct ioasid_ctx *ctx, u32 dev_id, u32 pasid,
			struct ioasid_extack *extack)
{
	struct ioasid_device *idev;

	guard(mutex)(&ctx->lock);
	idev = ioasid_device_by_id(ctx, dev_id, extack);
	if (IS_ERR(idev))
		return PTR_ERR(idev);
	return ioasid_detach_checked(idev, pasid, extack);
}

/**
 * ioasid_attach_by_id() - attach a bound device, by its id
 * @ctx: the context
 * @dev_id: the device
 * @req: the space and the PASID; out: @pasid, the real one
 * @extack: the reason if it fails
 *
 * Context: can sleep; takes ioasid_ctx.lock.
 *
 * Return: 0, -ENOENT if there is no such device, or an error of
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
	if (IS_ERR(idev))
		return PTR_ERR(idev);
	rc = ioasid_device_attach(idev, req, extack);
	if (!rc)
		req->pasid = ioasid_dev_pasid_find(idev, req->key)->att->pasid;
	return rc;
}

/**
 * ioasid_attach_by_ids() - attach bound devices, all of them or none
 * @ctx: the context
 * @ids: the devices
 * @nr: number of devices, not 0
 * @req: the space and the PASID, without @replace; out: @pasid, the same for
 *	all
 * @extack: the reason if it fails, and the device
 *
 * Context: can sleep; takes ioasid_ctx.lock.
 *
 * Return: as ioasid_attach_by_id(), or -ENOMEM.
 */
int ioasid_attach_by_ids(struct ioasid_ctx *ctx, const u32 *ids, u32 nr,
			 struct ioasid_attach_request *req,
			 struct ioasid_extack *extack)
{
	struct ioasid_device **idevs __free(kfree) =
		kcalloc(nr, sizeof(*idevs), GFP_KERNEL_ACCOUNT);
	int rc;
	u32 i;

	if (!idevs)
		return ioasid_fail(extack, -ENOMEM, IOASID_REASON_NO_MEMORY,
				   "no memory for %u devices", nr);
	guard(mutex)(&ctx->lock);
	for (i = 0; i < nr; i++) {
		idevs[i] = ioasid_device_by_id(ctx, ids[i], extack);
		if (IS_ERR(idevs[i])) {
			extack->index = i;
			return PTR_ERR(idevs[i]);
		}
	}
	rc = ioasid_devices_attach(idevs, nr, req, extack);
	if (!rc)
		req->pasid =
			ioasid_dev_pasid_find(idevs[0], req->key)->att->pasid;
	return rc;
}

static void ioasid_dev_pasids_show(struct seq_file *m,
				   struct ioasid_device *idev)
{
	struct ioasid_dev_pasid *dev_pasid;
	unsigned long vpasid;

	lockdep_assert_held(&idev->ctx->lock);
	xa_for_each_start(&idev->dev_pasids, vpasid, dev_pasid, 1)
		seq_printf(m, "dev_id=%u pasid=%u vpasid=%lu ioasid=%u cookie=%#llx\n",
			   idev->id, dev_pasid->att->pasid, vpasid,
			   dev_pasid->att->space->id, dev_pasid->cookie);
}

/**
 * ioasid_device_show() - list the devices of a context and their attachments
 * @m: where to print
 * @ctx: the context
 *
 * Context: can sleep; takes ioasid_ctx.lock.
 */
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
