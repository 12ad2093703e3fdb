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

/* How far a range of PASIDs can be above the first free one */
#define IOASID_MAX_SKIPPED_PASIDS	4096

static unsigned int ioasid_pasids_per_context = 1024;
module_param_named(pasids_per_context, ioasid_pasids_per_context, uint, 0644);
MODULE_PARM_DESC(pasids_per_context, "PASIDs that one context can have");

static unsigned int ioasid_pasids_per_user = 4096;
module_param_named(pasids_per_user, ioasid_pasids_per_user, uint, 0644);
MODULE_PARM_DESC(pasids_per_user, "PASIDs that all contexts of one user can have");

/* uid -> PASIDs that it has, as a value; an entry of 0 is erased */
static DEFINE_XARRAY_FLAGS(ioasid_pasid_users, XA_FLAGS_ACCOUNT);
static DEFINE_MUTEX(ioasid_pasid_lock);

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

/**
 * ioasid_quota_take() - a user has a PASID more
 * @uid: the user
 * @why: the reason if it fails
 *
 * Return: 0, -EDQUOT, -ENOMEM.
 */
int ioasid_quota_take(uid_t uid, struct ioasid_explain *why)
{
	u32 limit = READ_ONCE(ioasid_pasids_per_user);
	unsigned long has;
	int rc = 0;

	mutex_lock(&ioasid_pasid_lock);
	has = xa_to_value(xa_load(&ioasid_pasid_users, uid) ?: xa_mk_value(0));
	if (has >= limit)
		rc = ioasid_fail(why, -EDQUOT, IOASID_REASON_LIMIT,
				 "user %u has %lu PASIDs, and may not have more",
				 uid, has);
	else if (xa_err(xa_store(&ioasid_pasid_users, uid, xa_mk_value(has + 1),
				 GFP_KERNEL_ACCOUNT)))
		rc = ioasid_fail(why, -ENOMEM, IOASID_REASON_NO_MEMORY,
				 "no memory for a PASID");
	mutex_unlock(&ioasid_pasid_lock);
	return rc;
}

/**
 * ioasid_quota_give() - a user has a PASID less
 * @uid: the user; ioasid_quota_take() has succeeded for it
 */
void ioasid_quota_give(uid_t uid)
{
	unsigned long has;

	mutex_lock(&ioasid_pasid_lock);
	has = xa_to_value(xa_load(&ioasid_pasid_users, uid));
	/* Over an entry that is there: needs no memory */
	if (has > 1)
		xa_store(&ioasid_pasid_users, uid, xa_mk_value(has - 1),
			 GFP_KERNEL);
	else
		xa_erase(&ioasid_pasid_users, uid);
	mutex_unlock(&ioasid_pasid_lock);
}

static int ioasid_quota_charge(struct ioasid_ctx *ctx, uid_t uid,
			       struct ioasid_explain *why)
{
	if (ctx->nr_pasids < READ_ONCE(ioasid_pasids_per_context))
		return ioasid_quota_take(uid, why);
	why->value = ctx->nr_pasids;
	return ioasid_fail(why, -EDQUOT, IOASID_REASON_LIMIT,
			   "this context has %u PASIDs, and may not have more",
			   ctx->nr_pasids);
}

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
static int ioasid_check_pasids(struct device *dev, struct ioasid_explain *why)
{
	if (!dev->iommu->max_pasids)
		return ioasid_fail(why, -EOPNOTSUPP, IOASID_REASON_NO_PASID,
				   "device %s: it or its IOMMU has no PASIDs",
				   dev_name(dev));
	if (ioasid_pasid_off(dev))
		return ioasid_fail(why, -EOPNOTSUPP, IOASID_REASON_NO_PASID,
				   "device %s: its PASIDs are not enabled (a bridge above it without ACS, or the kernel refused)",
				   dev_name(dev));
	return 0;
}

static int ioasid_check_width(struct device *dev, u32 pasid,
			      struct ioasid_explain *why)
{
	if (pasid < dev->iommu->max_pasids)
		return 0;
	why->value = dev->iommu->max_pasids;
	return ioasid_fail(why, -ERANGE, IOASID_REASON_NO_PASID,
			   "device %s: PASID %u is not below %u", dev_name(dev),
			   pasid, dev->iommu->max_pasids);
}

/* The number stays taken */
static void ioasid_pasid_forget(struct ioasid_ctx *ctx, struct ioasid_pasid *p)
{
	xa_erase(&ctx->pasids, p->pasid);
	ctx->nr_pasids--;
	ioasid_quota_give(p->uid);
	kfree(p);
}

static void ioasid_pasid_free(struct ioasid_ctx *ctx, struct ioasid_pasid *p)
{
	u32 pasid = p->pasid;

	ioasid_pasid_forget(ctx, p);
	iommu_free_global_pasid(pasid);
}

static void ioasid_pasid_drop(struct ioasid_ctx *ctx, u32 pasid)
{
	struct ioasid_pasid *p = xa_load(&ctx->pasids, pasid);

	if (p && !p->users)
		ioasid_pasid_free(ctx, p);
}

static int ioasid_pasid_from_pool(struct ioasid_ctx *ctx, struct device *dev,
				  struct ioasid_pasid *p,
				  struct ioasid_explain *why)
{
	p->pasid = iommu_alloc_global_pasid(dev);
	if (p->pasid == IOMMU_PASID_INVALID)
		return ioasid_fail(why, -ENOSPC, IOASID_REASON_LIMIT,
				   "device %s: all its %u PASIDs are in use",
				   dev_name(dev), dev->iommu->max_pasids);
	if (!xa_err(xa_store(&ctx->pasids, p->pasid, p, GFP_KERNEL_ACCOUNT)))
		return 0;
	iommu_free_global_pasid(p->pasid);
	return ioasid_fail(why, -ENOMEM, IOASID_REASON_NO_MEMORY,
			   "no memory for a PASID");
}

/* ctx->lock is held */
static struct ioasid_pasid *ioasid_pasid_new(struct ioasid_ctx *ctx,
					     struct device *dev,
					     struct ioasid_explain *why)
{
	struct ioasid_pasid *p = kzalloc(sizeof(*p), GFP_KERNEL_ACCOUNT);
	int rc = -ENOMEM;

	if (!p) {
		ioasid_fail(why, rc, IOASID_REASON_NO_MEMORY,
			    "no memory for a PASID");
		return ERR_PTR(rc);
	}
	p->uid = from_kuid(&init_user_ns, current_uid());
	rc = ioasid_quota_charge(ctx, p->uid, why);
	if (rc)
		goto free;
	rc = ioasid_pasid_from_pool(ctx, dev, p, why);
	if (rc)
		goto uncharge;
	ctx->nr_pasids++;
	return p;
uncharge:
	ioasid_quota_give(p->uid);
free:
	kfree(p);
	return ERR_PTR(rc);
}

/* Finds the PASID that an attach to a mapped space asks for */
static int ioasid_pasid_find(struct ioasid_device *idev,
			     struct ioasid_attach_request *req,
			     struct ioasid_explain *why)
{
	struct ioasid_ctx *ctx = idev->ctx;
	struct ioasid_pasid *p;

	if (req->pasid == IOASID_PASID_ANY) {
		p = ioasid_pasid_new(ctx, idev->dev, why);
		if (IS_ERR(p))
			return PTR_ERR(p);
		p->automatic = true;
		req->pasid = p->pasid;
	} else {
		p = xa_load(&ctx->pasids, req->pasid);
		if (!p)
			return ioasid_fail(why, -EPERM, IOASID_REASON_NO_PASID_ID,
					   "PASID %u is not one of this context",
					   req->pasid);
	}
	p->users++;
	return ioasid_check_width(idev->dev, p->pasid, why);
}

static int ioasid_check_request(struct ioasid_space *space,
				const struct ioasid_attach_request *req,
				struct ioasid_explain *why)
{
	if (req->pasid == IOASID_RID && space->kind == IOASID_KIND_MM)
		return ioasid_fail(why, -EINVAL, IOASID_REASON_KIND,
				   "the address space of a process is reached by its PASID: use IOASID_PASID_ANY");
	if (req->pasid == IOASID_RID && req->vpasid)
		return ioasid_fail(why, -EINVAL, IOASID_REASON_VALUE,
				   "vpasid %u without a PASID", req->vpasid);
	if (req->pasid != IOASID_PASID_ANY && space->kind == IOASID_KIND_MM)
		return ioasid_fail(why, -EINVAL, IOASID_REASON_VALUE,
				   "a process has its own PASID, and not %u: use IOASID_PASID_ANY",
				   req->pasid);
	if (req->vpasid > IOASID_MAX_PASID)
		return ioasid_fail(why, -EINVAL, IOASID_REASON_VALUE,
				   "vpasid %#x has more than 20 bits", req->vpasid);
	if (req->replace && req->pasid == IOASID_PASID_ANY && !req->vpasid)
		return ioasid_fail(why, -EINVAL, IOASID_REASON_VALUE,
				   "which PASID to replace is not said");
	return 0;
}

/**
 * ioasid_pasid_take() - settle which PASID an attach is about
 * @idev: the device; its context's lock is held
 * @space: the space
 * @req: in: @pasid; out: the real one, or IOASID_RID if it needs none of ours
 * @why: the reason if it fails
 *
 * Return: 0 and the caller gives it back by ioasid_pasid_release(); -EINVAL,
 * -EPERM for one that is not the context's, -EOPNOTSUPP, -ERANGE, -EDQUOT,
 * -ENOSPC, -ENOMEM.
 */
int ioasid_pasid_take(struct ioasid_device *idev, struct ioasid_space *space,
		      struct ioasid_attach_request *req,
		      struct ioasid_explain *why)
{
	struct ioasid_link *link;
	int rc = ioasid_check_request(space, req, why);

	if (rc || req->pasid == IOASID_RID)
		return rc;
	rc = ioasid_check_pasids(idev->dev, why);
	if (rc)
		return rc;
	if (space->kind == IOASID_KIND_MM) {
		req->pasid = IOASID_RID;
		return 0;
	}
	/* What is replaced keeps its PASID */
	link = req->replace && req->vpasid ?
	       ioasid_device_link(idev, req->vpasid) : NULL;
	if (link && !link->sva && req->pasid == IOASID_PASID_ANY)
		req->pasid = link->att->pasid;
	rc = ioasid_pasid_find(idev, req, why);
	if (rc)
		ioasid_pasid_release(idev->ctx, req->pasid);
	return rc;
}

/**
 * ioasid_pasid_hold() - an attachment uses a PASID
 * @ctx: the context; its lock is held
 * @pasid: a PASID that has been taken, or IOASID_RID
 */
void ioasid_pasid_hold(struct ioasid_ctx *ctx, u32 pasid)
{
	struct ioasid_pasid *p = xa_load(&ctx->pasids, pasid);

	if (p)
		p->users++;
}

/**
 * ioasid_pasid_release() - one user of a PASID less
 * @ctx: the context; its lock is held
 * @pasid: the PASID; nothing happens for one that the context does not have
 */
void ioasid_pasid_release(struct ioasid_ctx *ctx, u32 pasid)
{
	struct ioasid_pasid *p = xa_load(&ctx->pasids, pasid);

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
			     struct ioasid_explain *why)
{
	int rc = -ENOSPC;

	why->value = pasid;
	if (range->nr_skipped == IOASID_MAX_SKIPPED_PASIDS)
		ioasid_fail(why, rc, IOASID_REASON_LIMIT,
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
	return ioasid_fail(why, rc, IOASID_REASON_NO_MEMORY,
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
		      struct ioasid_explain *why)
{
	struct ioasid_pasid *p;
	u32 pasid;
	int rc;

	for (;;) {
		p = ioasid_pasid_new(ctx, range->dev, why);
		if (IS_ERR(p))
			return p;
		if (p->pasid >= range->first && p->pasid <= range->last)
			return p;
		pasid = p->pasid;
		ioasid_pasid_forget(ctx, p);
		if (pasid > range->last) {
			iommu_free_global_pasid(pasid);
			rc = ioasid_fail(why, -ENOSPC, IOASID_REASON_LIMIT,
					 "no PASID from %u to %u is free",
					 range->first, range->last);
			return ERR_PTR(rc);
		}
		rc = ioasid_pasid_skip(range, pasid, why);
		if (rc)
			return ERR_PTR(rc);
		cond_resched();
	}
}

static int ioasid_pasid_fill(struct ioasid_ctx *ctx,
			     struct ioasid_pasid_range *range, u32 *pasids,
			     u32 nr, struct ioasid_explain *why)
{
	struct ioasid_pasid *p;
	u32 i;

	for (i = 0; i < nr; i++) {
		p = ioasid_pasid_in_range(ctx, range, why);
		if (IS_ERR(p)) {
			why->index = i;
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

static int ioasid_pasid_alloc_locked(struct ioasid_command *cmd, u32 *pasids)
{
	struct ioasid_pasid_alloc *arg = cmd->arg;
	struct ioasid_pasid_range range = {
		.first = arg->first,
		.last = arg->last ?: IOASID_MAX_PASID,
	};
	struct ioasid_device *idev;
	int rc;

	idev = ioasid_device_by_id(cmd->ctx, arg->dev_id, cmd->why);
	if (!idev)
		return -ENOENT;
	rc = ioasid_check_pasids(idev->dev, cmd->why);
	if (rc)
		return rc;
	range.dev = idev->dev;
	xa_init_flags(&range.skipped, XA_FLAGS_ACCOUNT);
	rc = ioasid_pasid_fill(cmd->ctx, &range, pasids, arg->nr, cmd->why);
	ioasid_pasid_unskip(&range);
	return rc;
}

static int ioasid_check_pasid_alloc(const struct ioasid_pasid_alloc *arg,
				    struct ioasid_explain *why)
{
	why->value = arg->nr;
	if (!arg->nr)
		return ioasid_fail(why, -EINVAL, IOASID_REASON_VALUE,
				   "no PASID is asked for");
	if (arg->nr > IOASID_MAX_VECTOR)
		return ioasid_fail(why, -E2BIG, IOASID_REASON_LIMIT,
				   "%u PASIDs: %u at most", arg->nr,
				   IOASID_MAX_VECTOR);
	why->value = arg->last;
	if (arg->last > IOASID_MAX_PASID || (arg->last && arg->last < arg->first))
		return ioasid_fail(why, -EINVAL, IOASID_REASON_VALUE,
				   "%u to %u is no range of PASIDs", arg->first,
				   arg->last);
	why->value = 0;
	return 0;
}

int ioasid_cmd_pasid_alloc(struct ioasid_command *cmd)
{
	struct ioasid_pasid_alloc *arg = cmd->arg;
	struct ioasid_ctx *ctx = cmd->ctx;
	u32 *pasids, i;
	int rc = ioasid_check_pasid_alloc(arg, cmd->why);

	if (rc)
		return rc;
	/* What is there now: finds memory that cannot be written before the deed */
	pasids = ioasid_get_ranges(arg->pasids, arg->nr, sizeof(*pasids),
				   cmd->why);
	if (IS_ERR(pasids))
		return PTR_ERR(pasids);
	mutex_lock(&ctx->lock);
	rc = ioasid_pasid_alloc_locked(cmd, pasids);
	mutex_unlock(&ctx->lock);
	if (!rc && copy_to_user(u64_to_user_ptr(arg->pasids), pasids,
				arg->nr * sizeof(*pasids))) {
		rc = ioasid_fail(cmd->why, -EFAULT, IOASID_REASON_POINTER,
				 "cannot write the PASIDs");
		mutex_lock(&ctx->lock);
		for (i = 0; i < arg->nr; i++)
			ioasid_pasid_drop(ctx, pasids[i]);
		mutex_unlock(&ctx->lock);
	}
	kvfree(pasids);
	return rc;
}

/* All of them, or none; ctx->lock is held */
static int ioasid_pasids_free(struct ioasid_ctx *ctx, u32 *pasids, u32 nr,
			      struct ioasid_explain *why)
{
	struct ioasid_pasid *p;
	u32 i;

	for (i = 0; i < nr; i++) {
		why->index = i;
		why->pasid = pasids[i];
		p = xa_load(&ctx->pasids, pasids[i]);
		if (!p || p->automatic)
			return ioasid_fail(why, -ENOENT,
					   IOASID_REASON_NO_PASID_ID,
					   "PASID %u was not allocated by this context",
					   pasids[i]);
		if (p->users)
			return ioasid_fail(why, -EBUSY, IOASID_REASON_IN_USE,
					   "PASID %u is attached", pasids[i]);
	}
	why->index = IOASID_NO_INDEX;
	why->pasid = 0;
	/* One that is named twice is gone the second time */
	for (i = 0; i < nr; i++)
		ioasid_pasid_drop(ctx, pasids[i]);
	return 0;
}

int ioasid_cmd_pasid_free(struct ioasid_command *cmd)
{
	struct ioasid_pasid_free *arg = cmd->arg;
	u32 *pasids;
	int rc;

	if (arg->__reserved)
		return ioasid_fail(cmd->why, -EOPNOTSUPP, IOASID_REASON_FLAGS,
				   "a reserved field is not zero");
	if (!arg->nr || arg->nr > IOASID_MAX_VECTOR) {
		cmd->why->value = arg->nr;
		return ioasid_fail(cmd->why, arg->nr ? -E2BIG : -EINVAL,
				   arg->nr ? IOASID_REASON_LIMIT :
					     IOASID_REASON_VALUE,
				   "%u PASIDs: 1 to %u", arg->nr,
				   IOASID_MAX_VECTOR);
	}
	pasids = ioasid_get_ranges(arg->pasids, arg->nr, sizeof(*pasids),
				   cmd->why);
	if (IS_ERR(pasids))
		return PTR_ERR(pasids);
	mutex_lock(&cmd->ctx->lock);
	rc = ioasid_pasids_free(cmd->ctx, pasids, arg->nr, cmd->why);
	mutex_unlock(&cmd->ctx->lock);
	kvfree(pasids);
	return rc;
}
