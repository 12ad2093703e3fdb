// SPDX-License-Identifier: GPL-2.0
/*
 * PASIDs of a context: allocated from the kernel's global pool, so that no
 * driver or process uses the same one, and charged to the context and the user.
 * A PASID must never be freed while anything is attached to it.
 */
#include <linux/iommu.h>
#include <linux/pci.h>
#include <linux/slab.h>
#include "ioasid_private.h"

/**
 * struct ioasid_pasid - a PASID of a context
 * @pasid: the PASID
 * @users: number of attachments, and of commands in progress
 * @automatic: allocated by an attach; freed with its last user
 */
struct ioasid_pasid {
	u32 pasid;
	u32 users;
	bool automatic;
};

#ifdef CONFIG_PCI_PASID
static bool ioasid_pci_pasid_enabled(struct pci_dev *pdev)
{
	/* A virtual function has no capability of its own */
	return pci_physfn(pdev)->pasid_enabled;
}
#else
static bool ioasid_pci_pasid_enabled(struct pci_dev *pdev)
{
	return false;
}
#endif

/**
 * ioasid_pasid_enabled() - check whether a device can use PASIDs
 * @dev: a device behind an IOMMU
 *
 * On other buses than PCI only the firmware reports PASIDs.
 *
 * Context: any.
 *
 * Return: false if the device or its IOMMU does not support PASIDs, or they are
 * not enabled in the device.
 */
bool ioasid_pasid_enabled(struct device *dev)
{
	/* max_pasids is set even if enabling PASIDs failed */
	return dev->iommu->max_pasids &&
	       (!dev_is_pci(dev) || ioasid_pci_pasid_enabled(to_pci_dev(dev)));
}

/*
 * Without this check the IOMMU core would report success without attaching
 * anything.
 */
static int ioasid_check_pasids(struct device *dev, struct ioasid_extack *extack)
{
	if (!dev->iommu->max_pasids)
		return ioasid_fail(extack, -EOPNOTSUPP, IOASID_REASON_NO_PASID,
				   "device %s or its IOMMU does not support PASIDs",
				   dev_name(dev));
	if (!ioasid_pasid_enabled(dev))
		return ioasid_fail(extack, -EOPNOTSUPP, IOASID_REASON_NO_PASID,
				   "device %s: its PASIDs are not enabled (no ACS in a bridge above it, or disabled by the kernel)",
				   dev_name(dev));
	return 0;
}

static int ioasid_check_width(struct device *dev, u32 pasid,
			      struct ioasid_extack *extack)
{
	if (pasid < dev->iommu->max_pasids)
		return 0;
	extack->value = dev->iommu->max_pasids;
	return ioasid_fail(extack, -ERANGE, IOASID_REASON_NO_PASID,
			   "device %s: PASID %u is not below %u", dev_name(dev),
			   pasid, dev->iommu->max_pasids);
}

static void ioasid_pasid_free(struct ioasid_ctx *ctx, struct ioasid_pasid *p)
{
	xa_erase(&ctx->pasids, p->pasid);
	iommu_free_global_pasid(p->pasid);
	ioasid_uncharge(ctx, IOASID_QUOTA_PASIDS, 1);
	kfree(p);
}

static void ioasid_pasid_drop(struct ioasid_ctx *ctx, u32 pasid)
{
	struct ioasid_pasid *p = xa_load(&ctx->pasids, pasid);

	lockdep_assert_held(&ctx->lock);
	if (p && !p->users)
		ioasid_pasid_free(ctx, p);
}

static int ioasid_pasid_from_pool(struct ioasid_ctx *ctx, struct device *dev,
				  struct ioasid_pasid *p,
				  struct ioasid_extack *extack)
{
	p->pasid = iommu_alloc_global_pasid(dev);
	while (p->pasid == IOMMU_PASID_INVALID && ioasid_mm_pasid_reap_one())
		p->pasid = iommu_alloc_global_pasid(dev);
	if (p->pasid == IOMMU_PASID_INVALID)
		return ioasid_fail(extack, -ENOSPC, IOASID_REASON_LIMIT,
				   "device %s: all its %u PASIDs are in use",
				   dev_name(dev), dev->iommu->max_pasids);
	if (!xa_err(xa_store(&ctx->pasids, p->pasid, p, GFP_KERNEL_ACCOUNT)))
		return 0;
	iommu_free_global_pasid(p->pasid);
	return ioasid_fail(extack, -ENOMEM, IOASID_REASON_NO_MEMORY,
			   "no memory for a PASID");
}

static struct ioasid_pasid *ioasid_pasid_new(struct ioasid_ctx *ctx,
					     struct device *dev,
					     struct ioasid_extack *extack)
{
	struct ioasid_pasid *p = kzalloc(sizeof(*p), GFP_KERNEL_ACCOUNT);
	int rc = -ENOMEM;

	lockdep_assert_held(&ctx->lock);
	if (!p) {
		ioasid_fail(extack, rc, IOASID_REASON_NO_MEMORY,
			    "no memory for a PASID");
		return ERR_PTR(rc);
	}
	rc = ioasid_charge_pasid(ctx, extack);
	if (rc)
		goto free;
	rc = ioasid_pasid_from_pool(ctx, dev, p, extack);
	if (rc)
		goto uncharge;
	return p;
uncharge:
	ioasid_uncharge(ctx, IOASID_QUOTA_PASIDS, 1);
free:
	kfree(p);
	return ERR_PTR(rc);
}

static int ioasid_pasid_find(struct ioasid_device *idev,
			     struct ioasid_attach_request *req,
			     struct ioasid_extack *extack)
{
	struct ioasid_ctx *ctx = idev->ctx;
	struct ioasid_pasid *p;

	lockdep_assert_held(&idev->ctx->lock);
	if (req->pasid == IOASID_PASID_ANY) {
		p = ioasid_pasid_new(ctx, idev->dev, extack);
		if (IS_ERR(p))
			return PTR_ERR(p);
		p->automatic = true;
		req->pasid = p->pasid;
	} else {
		p = xa_load(&ctx->pasids, req->pasid);
		if (!p)
			return ioasid_fail(extack, -EPERM,
					   IOASID_REASON_NO_PASID_ID,
					   "PASID %u does not belong to this context",
					   req->pasid);
	}
	p->users++;
	return ioasid_check_width(idev->dev, p->pasid, extack);
}

static int ioasid_check_request(struct ioasid_space *space,
				const struct ioasid_attach_request *req,
				struct ioasid_extack *extack)
{
	bool own_pasid = !ioasid_space_has_domains(space);

	if (req->pasid == IOASID_RID && own_pasid)
		return ioasid_fail(extack, -EINVAL, IOASID_REASON_KIND,
				   "the address space of a process needs a PASID: use IOASID_PASID_ANY");
	if (req->pasid == IOASID_RID && req->vpasid)
		return ioasid_fail(extack, -EINVAL, IOASID_REASON_VALUE,
				   "vpasid %u without a PASID", req->vpasid);
	if (req->pasid != IOASID_PASID_ANY && own_pasid)
		return ioasid_fail(extack, -EINVAL, IOASID_REASON_VALUE,
				   "the kernel chooses the PASID of a process, not %u: use IOASID_PASID_ANY",
				   req->pasid);
	if (req->vpasid > IOASID_MAX_PASID)
		return ioasid_fail(extack, -EINVAL, IOASID_REASON_VALUE,
				   "vpasid %#x has more than 20 bits",
				   req->vpasid);
	if (req->replace && req->pasid == IOASID_PASID_ANY && !req->vpasid)
		return ioasid_fail(extack, -EINVAL, IOASID_REASON_VALUE,
				   "IOASID_PASID_ANY with IOASID_ATTACH_REPLACE needs a vpasid");
	return 0;
}

/**
 * ioasid_pasid_choose() - choose the PASID of an attach
 * @idev: the device
 * @space: the space
 * @req: in: @pasid; out: the real one, or IOASID_RID if it needs none of the
 *	pool
 * @extack: the reason if it fails
 *
 * On success the caller puts the PASID by ioasid_pasid_put().
 *
 * Context: ioasid_ctx.lock is held; can sleep.
 *
 * Return: 0, -EINVAL if PASID and kind do not match, -EPERM if the context does
 * not have the PASID, -EOPNOTSUPP if the device has no PASIDs, -ERANGE if the
 * PASID is too large for it; -EDQUOT above a limit, -ENOSPC if none is free,
 * -ENOMEM.
 */
int ioasid_pasid_choose(struct ioasid_device *idev, struct ioasid_space *space,
			struct ioasid_attach_request *req,
			struct ioasid_extack *extack)
{
	struct ioasid_dev_pasid *dev_pasid;
	int rc = ioasid_check_request(space, req, extack);

	lockdep_assert_held(&idev->ctx->lock);
	if (rc || req->pasid == IOASID_RID)
		return rc;
	rc = ioasid_check_pasids(idev->dev, extack);
	if (rc)
		return rc;
	if (!ioasid_space_has_domains(space)) {
		req->pasid = IOASID_RID;
		return 0;
	}
	/* Replacing keeps the PASID */
	dev_pasid = req->replace && req->vpasid ?
			    ioasid_dev_pasid_find(idev, req->vpasid) :
			    NULL;
	if (dev_pasid && req->pasid == IOASID_PASID_ANY &&
	    ioasid_space_has_domains(dev_pasid->att->space))
		req->pasid = dev_pasid->att->pasid;
	rc = ioasid_pasid_find(idev, req, extack);
	if (rc)
		ioasid_pasid_put(idev->ctx, req->pasid);
	return rc;
}

/**
 * ioasid_pasid_get() - take a reference on a PASID
 * @ctx: the context
 * @pasid: the PASID; no-op if the context does not have it, as for IOASID_RID
 *
 * Context: ioasid_ctx.lock is held.
 */
void ioasid_pasid_get(struct ioasid_ctx *ctx, u32 pasid)
{
	struct ioasid_pasid *p = xa_load(&ctx->pasids, pasid);

	lockdep_assert_held(&ctx->lock);
	if (p)
		p->users++;
}

/**
 * ioasid_pasid_put() - put a reference on a PASID
 * @ctx: the context
 * @pasid: the PASID; no-op if the context does not have it, as for IOASID_RID
 *
 * Context: ioasid_ctx.lock is held; can sleep.
 */
void ioasid_pasid_put(struct ioasid_ctx *ctx, u32 pasid)
{
	struct ioasid_pasid *p = xa_load(&ctx->pasids, pasid);

	lockdep_assert_held(&ctx->lock);
	if (p && p->users && !--p->users && p->automatic)
		ioasid_pasid_free(ctx, p);
}

/**
 * ioasid_pasid_free_all() - free all PASIDs of a context
 * @ctx: the context, without other users; nothing is attached any more
 *
 * Context: can sleep.
 */
void ioasid_pasid_free_all(struct ioasid_ctx *ctx)
{
	struct ioasid_pasid *p;
	unsigned long pasid;

	xa_for_each(&ctx->pasids, pasid, p)
		ioasid_pasid_free(ctx, p);
}

static int ioasid_pasid_fill(struct ioasid_ctx *ctx, struct device *dev,
			     u32 *pasids, u32 nr, struct ioasid_extack *extack)
{
	struct ioasid_pasid *p;
	u32 i;

	for (i = 0; i < nr; i++) {
		p = ioasid_pasid_new(ctx, dev, extack);
		if (IS_ERR(p)) {
			extack->index = i;
			goto undo;
		}
		pasids[i] = p->pasid;
		cond_resched();
	}
	return 0;
undo:
	while (i--)
		ioasid_pasid_free(ctx, xa_load(&ctx->pasids, pasids[i]));
	return PTR_ERR(p);
}

/**
 * ioasid_pasids_alloc() - allocate PASIDs from the pool, all of them or none
 * @ctx: the context
 * @dev_id: a device that is to use them
 * @pasids: out: the PASIDs
 * @nr: number of PASIDs
 * @extack: the reason if it fails
 *
 * Context: can sleep; takes ioasid_ctx.lock.
 *
 * Return: 0, or an error of IOASID_PASID_ALLOC.
 */
int ioasid_pasids_alloc(struct ioasid_ctx *ctx, u32 dev_id, u32 *pasids, u32 nr,
			struct ioasid_extack *extack)
{
	struct ioasid_device *idev;
	int rc;

	guard(mutex)(&ctx->lock);
	idev = ioasid_device_by_id(ctx, dev_id, extack);
	if (IS_ERR(idev))
		return PTR_ERR(idev);
	rc = ioasid_check_pasids(idev->dev, extack);
	return rc ?: ioasid_pasid_fill(ctx, idev->dev, pasids, nr, extack);
}

/**
 * ioasid_pasids_drop() - free PASIDs that could not be reported to the user
 * @ctx: the context
 * @pasids: PASIDs of ioasid_pasids_alloc(); those in use meanwhile are kept
 * @nr: number of PASIDs
 *
 * Context: can sleep; takes ioasid_ctx.lock.
 */
void ioasid_pasids_drop(struct ioasid_ctx *ctx, const u32 *pasids, u32 nr)
{
	u32 i;

	guard(mutex)(&ctx->lock);
	for (i = 0; i < nr; i++)
		ioasid_pasid_drop(ctx, pasids[i]);
}

/**
 * ioasid_pasids_free() - free PASIDs, all of them or none
 * @ctx: the context
 * @pasids: the PASIDs
 * @nr: number of PASIDs
 * @extack: the reason if it fails
 *
 * Context: can sleep; takes ioasid_ctx.lock.
 *
 * Return: 0, -ENOENT if the user has not allocated one of them, -EBUSY if one
 * of them is attached.
 */
int ioasid_pasids_free(struct ioasid_ctx *ctx, const u32 *pasids, u32 nr,
		       struct ioasid_extack *extack)
{
	struct ioasid_pasid *p;
	u32 i;

	guard(mutex)(&ctx->lock);
	for (i = 0; i < nr; i++) {
		extack->index = i;
		extack->pasid = pasids[i];
		p = xa_load(&ctx->pasids, pasids[i]);
		if (!p || p->automatic)
			return ioasid_fail(extack, -ENOENT,
					   IOASID_REASON_NO_PASID_ID,
					   "PASID %u was not allocated by this context",
					   pasids[i]);
		if (p->users)
			return ioasid_fail(extack, -EBUSY, IOASID_REASON_IN_USE,
					   "PASID %u is attached", pasids[i]);
	}
	extack->index = IOASID_NO_INDEX;
	extack->pasid = 0;
	/* A PASID that is listed twice is not found the second time */
	for (i = 0; i < nr; i++)
		ioasid_pasid_drop(ctx, pasids[i]);
	return 0;
}
