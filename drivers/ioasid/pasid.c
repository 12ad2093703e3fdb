// SPDX-License-Identifier: GPL-2.0
/*
 * The PASIDs of a context: out of the kernel's global pool, so that none is ever
 * one that a driver or a process uses; within the quotas of the context and of
 * the user. A PASID must not go back to the pool while anything is attached to
 * it.
 */
#include <linux/cred.h>
#include <linux/iommu.h>
#include <linux/moduleparam.h>
#include <linux/pci.h>
#include <linux/slab.h>
#include <linux/uaccess.h>
#include "ioasid_private.h"

/**
 * struct ioasid_pasid - a PASID that a context has
 * @pasid: the number
 * @users: attachments, and commands at work
 * @automatic: made by an attach; goes with its last user
 * @uid: against whose quota it counts
 */
struct ioasid_pasid {
	u32 pasid;
	u32 users;
	bool automatic;
	uid_t uid;
};

#ifdef CONFIG_PCI_PASID
static bool ioasid_pasid_off(struct device *dev)
{
	return dev_is_pci(dev) && !pci_physfn(to_pci_dev(dev))->pasid_enabled;
}
#else
static bool ioasid_pasid_off(struct device *dev)
{
	return dev_is_pci(dev);
}
#endif

/*
 * The IOMMU core attaches a PASID to a group without PASIDs with success, and
 * does nothing.
 */
static int ioasid_check_pasids(struct device *dev, struct ioasid_extack *extack)
{
	if (!dev->iommu->max_pasids)
		return ioasid_fail(extack, -EOPNOTSUPP, IOASID_REASON_NO_PASID,
				   "device %s: it or its IOMMU has no PASIDs",
				   dev_name(dev));
	if (ioasid_pasid_off(dev))
		return ioasid_fail(extack, -EOPNOTSUPP, IOASID_REASON_NO_PASID,
				   "device %s: its PASIDs are not enabled (a bridge above it without ACS, or the kernel refused)",
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

/* The number stays taken */
static void ioasid_pasid_remove(struct ioasid_ctx *ctx, struct ioasid_pasid *p)
{
	xa_erase(&ctx->pasids, p->pasid);
	ioasid_uncharge_pasid(ctx, p->uid);
	kfree(p);
}

static void ioasid_pasid_free(struct ioasid_ctx *ctx, struct ioasid_pasid *p)
{
	u32 pasid = p->pasid;

	ioasid_pasid_remove(ctx, p);
	iommu_free_global_pasid(pasid);
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

/* ctx->lock is held */
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
	p->uid = from_kuid(&init_user_ns, current_uid());
	rc = ioasid_charge_pasid(ctx, p->uid, extack);
	if (rc)
		goto free;
	rc = ioasid_pasid_from_pool(ctx, dev, p, extack);
	if (rc)
		goto uncharge;
	return p;
uncharge:
	ioasid_uncharge_pasid(ctx, p->uid);
free:
	kfree(p);
	return ERR_PTR(rc);
}

/* Finds the PASID that an attach to a mapped space asks for */
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
					   "PASID %u is not one of this context",
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
				   "the address space of a process is reached by its PASID: use IOASID_PASID_ANY");
	if (req->pasid == IOASID_RID && req->vpasid)
		return ioasid_fail(extack, -EINVAL, IOASID_REASON_VALUE,
				   "vpasid %u without a PASID", req->vpasid);
	if (req->pasid != IOASID_PASID_ANY && own_pasid)
		return ioasid_fail(extack, -EINVAL, IOASID_REASON_VALUE,
				   "a process has its own PASID, and not %u: use IOASID_PASID_ANY",
				   req->pasid);
	if (req->vpasid > IOASID_MAX_PASID)
		return ioasid_fail(extack, -EINVAL, IOASID_REASON_VALUE,
				   "vpasid %#x has more than 20 bits",
				   req->vpasid);
	if (req->replace && req->pasid == IOASID_PASID_ANY && !req->vpasid)
		return ioasid_fail(extack, -EINVAL, IOASID_REASON_VALUE,
				   "which PASID to replace is not said");
	return 0;
}

/**
 * ioasid_pasid_choose() - settle which PASID an attach is about
 * @idev: the device; its context's lock is held
 * @space: the space
 * @req: in: @pasid; out: the real one, or IOASID_RID if it needs none of ours
 * @extack: the reason if it fails
 *
 * Return: 0 and the caller gives it back by ioasid_pasid_put(); -EINVAL,
 * -EPERM for one that is not the context's, -EOPNOTSUPP, -ERANGE, -EDQUOT,
 * -ENOSPC, -ENOMEM.
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
	/* What is replaced keeps its PASID */
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
 * ioasid_pasid_get() - an attachment uses a PASID
 * @ctx: the context; its lock is held
 * @pasid: a PASID that has been taken, or IOASID_RID
 */
void ioasid_pasid_get(struct ioasid_ctx *ctx, u32 pasid)
{
	struct ioasid_pasid *p = xa_load(&ctx->pasids, pasid);

	lockdep_assert_held(&ctx->lock);
	if (p)
		p->users++;
}

/**
 * ioasid_pasid_put() - one user of a PASID less
 * @ctx: the context; its lock is held
 * @pasid: the PASID; nothing happens for one that the context does not have
 */
void ioasid_pasid_put(struct ioasid_ctx *ctx, u32 pasid)
{
	struct ioasid_pasid *p = xa_load(&ctx->pasids, pasid);

	lockdep_assert_held(&ctx->lock);
	if (p && p->users && !--p->users && p->automatic)
		ioasid_pasid_free(ctx, p);
}

/**
 * ioasid_pasid_free_all() - give back the PASIDs of a context that ends
 * @ctx: the context; nothing is attached any more
 */
void ioasid_pasid_free_all(struct ioasid_ctx *ctx)
{
	struct ioasid_pasid *p;
	unsigned long pasid;

	xa_for_each(&ctx->pasids, pasid, p)
		ioasid_pasid_free(ctx, p);
}

/* How far a range of PASIDs can be above the first free one */
#define IOASID_MAX_SKIPPED_PASIDS	4096

/**
 * struct ioasid_pasid_range - which PASIDs a command wants
 * @dev: a device that is to use them
 * @first: smallest
 * @last: largest
 * @skipped: taken from the pool to get at those behind
 * @nr_skipped: how many
 */
struct ioasid_pasid_range {
	struct device *dev;
	u32 first;
	u32 last;
	struct xarray skipped;
	u32 nr_skipped;
};

/* The pool gives the smallest that is free: those below @first step aside */
static int ioasid_pasid_skip(struct ioasid_pasid_range *range, u32 pasid,
			     struct ioasid_extack *extack)
{
	int rc = -ENOSPC;

	extack->value = pasid;
	if (range->nr_skipped == IOASID_MAX_SKIPPED_PASIDS)
		ioasid_fail(extack, rc, IOASID_REASON_LIMIT,
			    "more than %u PASIDs below %u are free",
			    IOASID_MAX_SKIPPED_PASIDS, range->first);
	else
		rc = xa_err(xa_store(&range->skipped, pasid, xa_mk_value(1),
				     GFP_KERNEL_ACCOUNT));
	if (!rc) {
		range->nr_skipped++;
		return 0;
	}
	iommu_free_global_pasid(pasid);
	return ioasid_fail(extack, rc, IOASID_REASON_NO_MEMORY,
			   "no memory for a PASID");
}

static void ioasid_pasid_unskip(struct ioasid_pasid_range *range)
{
	unsigned long pasid;
	void *entry;

	xa_for_each(&range->skipped, pasid, entry)
		iommu_free_global_pasid(pasid);
	xa_destroy(&range->skipped);
}

static struct ioasid_pasid *
ioasid_pasid_in_range(struct ioasid_ctx *ctx, struct ioasid_pasid_range *range,
		      struct ioasid_extack *extack)
{
	struct ioasid_pasid *p;
	u32 pasid;
	int rc;

	for (;;) {
		p = ioasid_pasid_new(ctx, range->dev, extack);
		if (IS_ERR(p))
			return p;
		if (p->pasid >= range->first && p->pasid <= range->last)
			return p;
		pasid = p->pasid;
		ioasid_pasid_remove(ctx, p);
		if (pasid > range->last) {
			iommu_free_global_pasid(pasid);
			rc = ioasid_fail(extack, -ENOSPC, IOASID_REASON_LIMIT,
					 "no PASID from %u to %u is free",
					 range->first, range->last);
			return ERR_PTR(rc);
		}
		rc = ioasid_pasid_skip(range, pasid, extack);
		if (rc)
			return ERR_PTR(rc);
		cond_resched();
	}
}

static int ioasid_pasid_fill(struct ioasid_ctx *ctx,
			     struct ioasid_pasid_range *range, u32 *pasids,
			     u32 nr, struct ioasid_extack *extack)
{
	struct ioasid_pasid *p;
	u32 i;

	for (i = 0; i < nr; i++) {
		p = ioasid_pasid_in_range(ctx, range, extack);
		if (IS_ERR(p)) {
			extack->index = i;
			goto undo;
		}
		pasids[i] = p->pasid;
	}
	return 0;
undo:
	while (i--)
		ioasid_pasid_free(ctx, xa_load(&ctx->pasids, pasids[i]));
	return PTR_ERR(p);
}

/**
 * ioasid_pasids_alloc() - take PASIDs from the pool, all of them or none
 * @ctx: the context
 * @dev_id: a device that is to use them
 * @first: the smallest that will do
 * @last: the largest that will do
 * @pasids: out: the PASIDs
 * @nr: how many
 * @extack: the reason if it fails
 *
 * Return: 0, or an error of IOASID_PASID_ALLOC.
 */
int ioasid_pasids_alloc(struct ioasid_ctx *ctx, u32 dev_id, u32 first, u32 last,
			u32 *pasids, u32 nr, struct ioasid_extack *extack)
{
	struct ioasid_pasid_range range = { .first = first, .last = last };
	struct ioasid_device *idev;
	int rc;

	guard(mutex)(&ctx->lock);
	idev = ioasid_device_by_id(ctx, dev_id, extack);
	if (!idev)
		return -ENOENT;
	rc = ioasid_check_pasids(idev->dev, extack);
	if (rc)
		return rc;
	range.dev = idev->dev;
	xa_init_flags(&range.skipped, XA_FLAGS_ACCOUNT);
	rc = ioasid_pasid_fill(ctx, &range, pasids, nr, extack);
	ioasid_pasid_unskip(&range);
	return rc;
}

/**
 * ioasid_pasids_drop() - give PASIDs back that nobody has been told of
 * @ctx: the context
 * @pasids: what ioasid_pasids_alloc() returned; what is in use meanwhile stays
 * @nr: how many
 */
void ioasid_pasids_drop(struct ioasid_ctx *ctx, const u32 *pasids, u32 nr)
{
	u32 i;

	guard(mutex)(&ctx->lock);
	for (i = 0; i < nr; i++)
		ioasid_pasid_drop(ctx, pasids[i]);
}

/**
 * ioasid_pasids_free() - give PASIDs back, all of them or none
 * @ctx: the context
 * @pasids: the PASIDs
 * @nr: how many
 * @extack: the reason if it fails
 *
 * Return: 0, -ENOENT for one that the user has not allocated, -EBUSY for one that
 * is attached.
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
	/* One that is named twice is gone the second time */
	for (i = 0; i < nr; i++)
		ioasid_pasid_drop(ctx, pasids[i]);
	return 0;
}
