// SPDX-License-Identifier: GPL-2.0
/*
 * Attachments: the space that a group uses with its RID and with each PASID.
 * The IOMMU core attaches whole groups, so the devices of a group share the
 * group's table of attachments; a struct ioasid_dev_pasid is the part of one
 * device in it, with the user's number for the PASID. Detaching must never fail
 * and never allocate.
 */
#include <linux/iommu.h>
#include <linux/pm_runtime.h>
#include <linux/slab.h>
#include "compat/drain.h"
#include "compat/nest.h"
#include "ioasid_private.h"
#include "trace.h"

static int ioasid_check_collision(struct ioasid_space *space,
				  struct ioasid_attachment *att,
				  struct device *dev,
				  struct ioasid_extack *extack)
{
	struct ioasid_area *area;
	u32 i;

	lockdep_assert_held_write(&space->rwsem);
	guard(mutex)(&space->iova_lock);
	for (i = 0; i < att->regions->nr; i++) {
		struct ioasid_iova_range *r = &att->regions->range[i];

		area = ioasid_iova_first(space, r->first, r->last);
		if (!area)
			continue;
		extack->value = area->first;
		return ioasid_fail(extack, -EADDRINUSE, IOASID_REASON_RESERVED,
				   "device %s reserves %#llx-%#llx, and %#llx-%#llx is mapped",
				   dev_name(dev), r->first, r->last,
				   area->first, ioasid_area_last(area));
	}
	return 0;
}

static int ioasid_set_domain(struct ioasid_attachment *att,
			     struct ioasid_domain *d, struct device *dev)
{
	lockdep_assert_held(&att->group->lock);
	if (att->pasid != IOASID_RID)
		return iommu_attach_device_pasid(d->domain, dev, att->pasid,
						 &att->handle);
	return iommu_attach_group_handle(d->domain, att->group->group,
					 &att->handle);
}

static int ioasid_swap_domain(struct ioasid_attachment *att,
			      struct ioasid_domain *d, struct device *dev)
{
	struct semaphore *turn = ioasid_drain_begin(dev);
	int rc;

	lockdep_assert_held(&att->group->lock);
	if (att->pasid != IOASID_RID)
		rc = compat_replace_device_pasid(d->domain, dev, att->pasid,
						 &att->handle);
	else
		rc = iommu_replace_group_handle(att->group->group, d->domain,
						&att->handle);
	ioasid_drain_end(turn);
	return rc;
}

static void ioasid_detach_domain(struct ioasid_attachment *att,
				 struct device *dev)
{
	struct semaphore *turn = ioasid_drain_begin(dev);

	lockdep_assert_held(&att->group->lock);
	if (att->pasid != IOASID_RID)
		iommu_detach_device_pasid(att->domain->domain, dev, att->pasid);
	else
		iommu_detach_group_handle(att->domain->domain,
					  att->group->group);
	ioasid_drain_end(turn);
}

/*
 * A driver that has refused to replace may have blocked the device by then, and the
 * IOMMU core neither undoes that nor attaches what it believes attached. So the old
 * domain is attached afresh.
 */
static void ioasid_restore_domain(struct ioasid_attachment *old,
				  struct device *dev)
{
	int rc;

	lockdep_assert_held(&old->group->lock);
	ioasid_detach_domain(old, dev);
	rc = ioasid_set_domain(old, old->domain, dev);
	if (rc)
		dev_warn_ratelimited(dev, "ioasid: space %u cannot be attached again (error %d): the DMA of the device is blocked\n",
				     old->space->id, -rc);
}

/* Drivers lose count of who needs page requests when they replace by a nested one */
static bool ioasid_must_detach_first(const struct ioasid_attachment *old,
				     const struct ioasid_space *space)
{
	return space->nest && old->space->faults && old->pasid == IOASID_RID;
}

static int ioasid_attach_domain(struct ioasid_attachment *att,
				struct ioasid_domain *d,
				struct ioasid_attachment *old,
				struct device *dev)
{
	int rc;

	lockdep_assert_held(&att->group->lock);
	if (!old)
		return ioasid_set_domain(att, d, dev);
	if (ioasid_must_detach_first(old, att->space)) {
		ioasid_detach_domain(old, dev);
		rc = ioasid_set_domain(att, d, dev);
		att->refused = rc;
		return rc;
	}
	rc = ioasid_swap_domain(att, d, dev);
	/* Otherwise the IOMMU core has not asked the driver */
	if (rc && rc != -EBUSY && rc != -EOPNOTSUPP)
		att->refused = true;
	return rc;
}

static int ioasid_attach_failed(struct ioasid_space *space, struct device *dev,
				int rc, struct ioasid_extack *extack)
{
	if (rc == -ENODEV && space->faults)
		return ioasid_fail(extack, rc, IOASID_REASON_NO_PRI,
				   "device %s or its IOMMU does not support page requests",
				   dev_name(dev));
	if (rc == -EBUSY)
		return ioasid_fail(extack, rc, IOASID_REASON_RESET,
				   "device %s is being reset, or its group is attached by another owner: try again",
				   dev_name(dev));
	return ioasid_fail(extack, rc, IOASID_REASON_IOMMU,
			   "device %s: the IOMMU driver cannot attach it (error %d)",
			   dev_name(dev), -rc);
}

static struct iommu_domain *ioasid_domain_alloc(struct ioasid_space *space,
						struct device *dev,
						struct ioasid_domain *base,
						struct ioasid_extack *extack)
{
	struct iommu_domain *domain;

	if (base)
		return space->ops->alloc(space, dev, base, extack);
	if (!space->nest_parent)
		return compat_paging_domain_alloc(dev);
	domain = compat_nest_parent_alloc(dev);
	if (domain == ERR_PTR(-EOPNOTSUPP))
		ioasid_fail(extack, -EOPNOTSUPP, IOASID_REASON_FORMAT,
			    "device %s: its IOMMU cannot nest, so it cannot use the parent of nested spaces",
			    dev_name(dev));
	return domain;
}

/* An empty domain, charged to the user of the space */
static struct ioasid_domain *ioasid_domain_new(struct ioasid_space *space,
					       struct device *dev,
					       struct ioasid_domain *base,
					       struct ioasid_extack *extack)
{
	struct ioasid_domain *d = kzalloc(sizeof(*d), GFP_KERNEL_ACCOUNT);
	struct ioasid_user *user = space->ctx->user;
	int rc;

	if (!d) {
		ioasid_fail(extack, -ENOMEM, IOASID_REASON_NO_MEMORY,
			    "no memory for a domain");
		return ERR_PTR(-ENOMEM);
	}
	rc = ioasid_charge_user(user, IOASID_QUOTA_DOMAINS, 1, extack);
	if (rc)
		goto free;
	d->domain = ioasid_domain_alloc(space, dev, base, extack);
	/* An id or memory may come back with a domain whose free is deferred */
	if (IS_ERR(d->domain) && ioasid_deferred_free_wait())
		d->domain = ioasid_domain_alloc(space, dev, base, extack);
	if (IS_ERR(d->domain)) {
		rc = ioasid_fail(extack, PTR_ERR(d->domain),
				 IOASID_REASON_IOMMU,
				 "device %s: the IOMMU driver cannot allocate a domain (error %d)",
				 dev_name(dev), -(int)PTR_ERR(d->domain));
		goto uncharge;
	}
	d->user = ioasid_user_ref(user);
	refcount_set(&d->ref, 1);
	if (base)
		refcount_inc(&base->ref);
	d->base = base;
	return d;
uncharge:
	ioasid_uncharge_user(user, IOASID_QUOTA_DOMAINS, 1);
free:
	kfree(d);
	return ERR_PTR(rc);
}

/**
 * ioasid_domain_create() - create a domain with the mappings of a space
 * @space: the space
 * @dev: a device behind the IOMMU that the domain is for
 * @base: the domain of the parent that it is nested in, or NULL
 * @extack: the reason if it fails
 *
 * Context: ioasid_space.rwsem is held for writing; can sleep.
 *
 * Return: the domain, in no list yet, ERR_PTR(-EDQUOT) above the limit of the
 * user, ERR_PTR(-ENOMEM), or the error of the IOMMU driver or of the kind's
 * @fill.
 */
struct ioasid_domain *ioasid_domain_create(struct ioasid_space *space,
					   struct device *dev,
					   struct ioasid_domain *base,
					   struct ioasid_extack *extack)
{
	struct ioasid_domain *d = ioasid_domain_new(space, dev, base, extack);
	int rc;

	lockdep_assert_held_write(&space->rwsem);
	if (IS_ERR(d))
		return d;
	/*
	 * Before the first map, since some formats set it in each entry; only
	 * if the device supports it, since an empty domain always accepts it.
	 */
	if (base)
		d->enforced = base->enforced;
	else if (device_iommu_capable(dev, IOMMU_CAP_ENFORCE_CACHE_COHERENCY) &&
		 d->domain->ops->enforce_cache_coherency)
		d->enforced =
			d->domain->ops->enforce_cache_coherency(d->domain);
	ioasid_fault_prepare(space, d->domain);
	ioasid_unrecoverable_prepare(d, dev);
	rc = space->ops->fill(space, d, extack);
	if (rc) {
		ioasid_domain_put(d);
		return ERR_PTR(rc);
	}
	return d;
}

static void ioasid_domain_use(struct ioasid_space *space,
			      struct ioasid_domain *d)
{
	lockdep_assert_held_write(&space->rwsem);
	if (d->users++)
		return;
	list_add_tail(&d->link, &space->domains);
	space->nr_domains++;
}

/* Removes a domain without users from a space; it keeps the reference */
static bool ioasid_domain_unuse(struct ioasid_space *space,
				struct ioasid_domain *d)
{
	lockdep_assert_held_write(&space->rwsem);
	if (--d->users)
		return false;
	list_del(&d->link);
	space->nr_domains--;
	/*
	 * No device can reach the page table any more, and detaching has flushed
	 * it, so it is freed without unmapping each entry.
	 */
	space->ops->unfill(space, d);
	return true;
}

/* Attaches the group to a domain that is new unless it has users */
static int ioasid_try_domain(struct ioasid_space *space,
			     struct ioasid_attachment *att,
			     struct ioasid_domain *d,
			     struct ioasid_attachment *old, struct device *dev,
			     struct ioasid_extack *extack)
{
	int rc = ioasid_attach_domain(att, d, old, dev);

	if (!rc) {
		ioasid_domain_use(space, d);
		att->domain = d;
		return 0;
	}
	if (!d->users) {
		space->ops->unfill(space, d);
		att->orphan = d;
	}
	return ioasid_attach_failed(space, dev, rc, extack);
}

/* The domain of a space, or of what is nested in it, behind the same IOMMU */
static struct ioasid_domain *
ioasid_domain_behind(struct ioasid_space *space, struct ioasid_attachment *att,
		     struct device *dev)
{
	struct ioasid_attachment *other;

	lockdep_assert_held_write(&space->rwsem);
	list_for_each_entry(other, &space->attachments, space_link)
		if (other->iommu == att->iommu &&
		    ioasid_domain_suits(other->domain, dev))
			return other->domain;
	list_for_each_entry(other, &space->nested, parent_link)
		if (other->iommu == att->iommu &&
		    ioasid_domain_suits(other->domain->base, dev))
			return other->domain->base;
	return NULL;
}

/* A domain nested in that of the parent, which can be new, too */
static int ioasid_nest_domain(struct ioasid_space *space,
			      struct ioasid_attachment *att,
			      struct ioasid_attachment *old, struct device *dev,
			      struct ioasid_extack *extack)
{
	struct ioasid_space *parent = space->parent;
	struct ioasid_domain *base = ioasid_domain_behind(parent, att, dev);
	struct ioasid_domain *d;
	int rc;

	if (!base)
		base = ioasid_domain_create(parent, dev, NULL, extack);
	if (IS_ERR(base))
		return PTR_ERR(base);
	d = ioasid_domain_create(space, dev, base, extack);
	rc = IS_ERR(d) ? PTR_ERR(d) :
			 ioasid_try_domain(space, att, d, old, dev, extack);
	if (!rc) {
		ioasid_domain_use(parent, base);
		return 0;
	}
	/* Without users it is new */
	if (!base->users) {
		parent->ops->unfill(parent, base);
		ioasid_domain_put(base);
	}
	return rc;
}

/*
 * As below. No domain is tried that may not suit, since a driver that refuses one
 * has blocked the device by then.
 */
static int ioasid_find_nested(struct ioasid_space *space,
			      struct ioasid_attachment *att,
			      struct ioasid_attachment *old, struct device *dev,
			      struct ioasid_extack *extack)
{
	struct ioasid_domain *d = ioasid_domain_behind(space, att, dev);

	if (d)
		return ioasid_try_domain(space, att, d, old, dev, extack);
	return ioasid_nest_domain(space, att, old, dev, extack);
}

/* Attaches the group to an existing domain of the space, or to a new one */
static int ioasid_find_domain(struct ioasid_space *space,
			      struct ioasid_attachment *att,
			      struct ioasid_attachment *old, struct device *dev,
			      struct ioasid_extack *extack)
{
	struct ioasid_domain *d;
	int rc;

	lockdep_assert_held_write(&space->rwsem);
	list_for_each_entry(d, &space->domains, link) {
		if (!ioasid_domain_suits(d, dev))
			continue;
		rc = ioasid_attach_domain(att, d, old, dev);
		if (!rc) {
			ioasid_domain_use(space, d);
			att->domain = d;
			return 0;
		}
		/* -EINVAL: an IOMMU with other features, so try the next */
		if (rc != -EINVAL)
			return ioasid_attach_failed(space, dev, rc, extack);
	}
	d = ioasid_domain_create(space, dev, NULL, extack);
	if (IS_ERR(d))
		return PTR_ERR(d);
	return ioasid_try_domain(space, att, d, old, dev, extack);
}

static int ioasid_fault_enable(struct ioasid_device *idev,
			       struct ioasid_space *space,
			       struct ioasid_extack *extack)
{
	int rc = space->faults ? ioasid_iopf_get(idev) : 0;

	if (!rc)
		return 0;
	return ioasid_fail(extack, rc, IOASID_REASON_NO_PRI,
			   "device %s or its IOMMU does not support page requests",
			   dev_name(idev->dev));
}

static void ioasid_fault_disable(struct ioasid_device *idev,
				 struct ioasid_space *space)
{
	if (space->faults)
		ioasid_iopf_put(idev);
}

/*
 * True if another attachment reserves the same IOVA. Saves updating the usable
 * ranges, which walks all attachments, for each of many PASIDs of a group, or of
 * many devices behind one IOMMU.
 */
static bool ioasid_space_reserves(struct ioasid_space *space,
				  const struct ioasid_attachment *att)
{
	struct ioasid_attachment *other;

	lockdep_assert_held_write(&space->rwsem);
	list_for_each_entry(other, &space->attachments, space_link)
		if (ioasid_regions_equal(other->regions, att->regions))
			return true;
	list_for_each_entry(other, &space->nested, parent_link)
		if (ioasid_regions_equal(other->regions, att->regions))
			return true;
	return false;
}

/* Where what the devices of a group reserve cannot be mapped */
static struct ioasid_space *ioasid_space_of_mappings(struct ioasid_space *space)
{
	return space->nest ? space->parent : space;
}

static int ioasid_space_attach(struct ioasid_space *space,
			       struct ioasid_attachment *att,
			       struct ioasid_attachment *old,
			       struct device *dev, struct ioasid_extack *extack)
{
	struct ioasid_space *mapped = ioasid_space_of_mappings(space);
	bool covered = ioasid_space_reserves(mapped, att);
	u32 nr_domains = mapped->nr_domains;
	int rc = covered ? 0 : ioasid_check_collision(mapped, att, dev, extack);

	lockdep_assert_held(&att->group->lock);
	lockdep_assert_held_write(&space->rwsem);
	if (rc)
		return rc;
	if (!covered && ioasid_iova_make_room(mapped, att->regions->nr))
		return ioasid_fail(extack, -ENOMEM, IOASID_REASON_NO_MEMORY,
				   "no memory for the usable ranges");
	if (space->nest)
		rc = ioasid_find_nested(space, att, old, dev, extack);
	else
		rc = ioasid_find_domain(space, att, old, dev, extack);
	if (rc && att->refused)
		ioasid_restore_domain(old, dev);
	if (rc)
		return rc;
	kref_get(&space->obj.ref);
	list_add_tail(&att->space_link, &space->attachments);
	if (space->nest)
		list_add_tail(&att->parent_link, &space->parent->nested);
	space->nr_devices++;
	if (!covered || mapped->nr_domains != nr_domains)
		ioasid_iova_update(mapped);
	return 0;
}

/* The domain of the parent is freed after the one that is nested in it */
static bool ioasid_leave_base(struct ioasid_space *parent,
			      struct ioasid_domain *d)
{
	struct ioasid_domain *base = d->base;

	if (!ioasid_domain_unuse(parent, base))
		return false;
	d->tables += base->tables;
	ioasid_domain_put(base);
	return true;
}

/* Returns true if the space of mappings has lost a domain */
static bool ioasid_leave_domain(struct ioasid_attachment *att)
{
	struct ioasid_space *space = att->space;
	struct ioasid_domain *d = att->domain;

	att->domain = NULL;
	if (!d || !ioasid_domain_unuse(space, d))
		return false;
	att->orphan = d;
	return d->base ? ioasid_leave_base(space->parent, d) : true;
}

/* Removes an attachment that is detached in the hardware; cannot fail */
static void ioasid_space_detach(struct ioasid_attachment *att)
{
	struct ioasid_space *space = att->space;
	struct ioasid_space *mapped = ioasid_space_of_mappings(space);

	lockdep_assert_held(&att->group->lock);
	ioasid_space_lock_both_always(space);
	list_del(&att->space_link);
	if (space->nest)
		list_del(&att->parent_link);
	space->nr_devices--;
	if (ioasid_leave_domain(att) ||
	    (ioasid_space_has_domains(space) &&
	     !ioasid_space_reserves(mapped, att)))
		ioasid_iova_update(mapped);
	ioasid_space_unlock_both(space);
	ioasid_attachment_free_deferred(att);
	ioasid_space_put(space);
}

static void ioasid_count_device(struct ioasid_space *space, int n)
{
	down_write(&space->rwsem);
	space->nr_devices += n;
	up_write(&space->rwsem);
}

/*
 * Before the attach, so that nothing can fail after it; nobody looks at the table
 * until ioasid_ctx.lock is released. Not xa_reserve(), which would search the
 * table twice, and for a RID allocate a node that the entry itself does not need.
 */
static int ioasid_dev_pasid_insert(struct ioasid_dev_pasid *dev_pasid,
				   struct ioasid_extack *extack)
{
	int rc = xa_insert(&dev_pasid->idev->dev_pasids, dev_pasid->vpasid,
			   dev_pasid, GFP_KERNEL_ACCOUNT);

	lockdep_assert_held(&dev_pasid->idev->ctx->lock);
	if (!rc)
		return 0;
	if (rc == -EBUSY)
		return ioasid_fail(extack, rc, IOASID_REASON_ATTACHED,
				   "device %s already uses PASID %u",
				   dev_name(dev_pasid->idev->dev),
				   dev_pasid->vpasid);
	return ioasid_fail(extack, rc, IOASID_REASON_NO_MEMORY,
			   "no memory for an attachment");
}

static void ioasid_dev_pasid_begin(struct ioasid_dev_pasid *dev_pasid,
				   struct ioasid_attachment *att)
{
	lockdep_assert_held(&dev_pasid->idev->ctx->lock);
	lockdep_assert_held(&dev_pasid->idev->group->lock);
	dev_pasid->att = att;
	ioasid_fault_begin(dev_pasid);
	ioasid_unrecoverable_begin(dev_pasid);
}

static int ioasid_attachment_join(struct ioasid_attachment *att,
				  struct ioasid_space *space,
				  struct ioasid_dev_pasid *dev_pasid,
				  struct ioasid_extack *extack)
{
	struct device *dev = dev_pasid->idev->dev;
	struct ioasid_dev_pasid *other;

	lockdep_assert_held(&att->group->lock);
	if (att->space->ctx != space->ctx)
		return ioasid_fail(extack, -EBUSY, IOASID_REASON_OWNER,
				   "device %s: its group %d is attached through another context",
				   dev_name(dev),
				   iommu_group_id(att->group->group));
	list_for_each_entry(other, &att->dev_pasids, node)
		if (other->idev == dev_pasid->idev)
			return ioasid_fail(extack, -EBUSY,
					   IOASID_REASON_ATTACHED,
					   "device %s already uses PASID %u as %u",
					   dev_name(dev), att->pasid,
					   other->vpasid);
	if (att->space != space)
		return ioasid_fail(extack, -EBUSY, IOASID_REASON_SIBLING,
				   "device %s: another device of its group %d is attached to another space",
				   dev_name(dev),
				   iommu_group_id(att->group->group));
	ioasid_count_device(space, 1);
	ioasid_dev_pasid_begin(dev_pasid, att);
	return 0;
}

/* A new attachment of the group, in its table unless @old has that entry */
static struct ioasid_attachment *
ioasid_attachment_new(struct ioasid_space *space, struct ioasid_group *g,
		      struct device *dev, u32 pasid,
		      struct ioasid_attachment *old,
		      struct ioasid_extack *extack)
{
	struct ioasid_attachment *att = ioasid_attachment_alloc(g, extack);
	int rc;

	lockdep_assert_held(&g->lock);
	if (!att)
		return ERR_PTR(-ENOMEM);
	/* Whoever has ioasid_group.lock finds attached ones only: see the caller */
	rc = old ? 0 : xa_insert(&g->table, pasid, att, GFP_KERNEL_ACCOUNT);
	if (rc) {
		ioasid_attachment_free(att);
		ioasid_fail(extack, rc, IOASID_REASON_NO_MEMORY,
			    "no memory for an attachment");
		return ERR_PTR(rc);
	}
	att->pasid = pasid;
	att->space = space;
	att->iommu = dev->iommu->iommu_dev;
	att->deferred = ioasid_deferred_get(space->ctx->deferred);
	return att;
}

/* Attaches the device's group to the space, replacing @old if given */
static struct ioasid_attachment *
ioasid_attachment_create(struct ioasid_space *space,
			 struct ioasid_dev_pasid *dev_pasid, u32 pasid,
			 struct ioasid_attachment *old,
			 struct ioasid_extack *extack)
{
	struct ioasid_group *g = dev_pasid->idev->group;
	struct device *dev = dev_pasid->idev->dev;
	struct ioasid_attachment *att;
	int rc;

	lockdep_assert_held(&dev_pasid->idev->group->lock);
	att = ioasid_attachment_new(space, g, dev, pasid, old, extack);
	if (IS_ERR(att))
		return att;
	rc = ioasid_space_lock_both(space, extack);
	if (rc)
		goto erase;
	rc = ioasid_space_attach(space, att, old, dev, extack);
	ioasid_space_unlock_both(space);
	if (rc)
		goto erase;
	/* Cannot fail, since there is an entry */
	if (old)
		xa_store(&g->table, pasid, att, GFP_KERNEL);
	return att;
erase:
	if (!old)
		xa_erase(&g->table, pasid);
	/* Some kernels (6.12) publish the handle before the attach can fail */
	ioasid_fault_fail(att);
	ioasid_attachment_free_deferred(att);
	return ERR_PTR(rc);
}

/*
 * Without an owner the kernel may give the group to a driver at any time. Who it
 * is cannot be asked, and a driver that uses the kernel's own DMA is one as well:
 * the glue answers for the rest. A PASID leaves the RID to whoever has it.
 */
static int ioasid_check_owned(struct ioasid_device *idev, u32 pasid,
			      struct ioasid_extack *extack)
{
	struct iommu_group *group = idev->group->group;

	if (pasid != IOASID_RID || iommu_group_dma_owner_claimed(group))
		return 0;
	return ioasid_fail(extack, -EPERM, IOASID_REASON_OWNER,
			   "device %s: nobody owns the DMA of its group %d",
			   dev_name(idev->dev), iommu_group_id(group));
}

static int ioasid_attach_group(struct ioasid_space *space,
			       struct ioasid_dev_pasid *dev_pasid, u32 pasid,
			       struct ioasid_extack *extack)
{
	struct ioasid_group *g = dev_pasid->idev->group;
	struct ioasid_attachment *att = xa_load(&g->table, pasid);
	int rc;

	lockdep_assert_held(&dev_pasid->idev->group->lock);
	if (att)
		return ioasid_attachment_join(att, space, dev_pasid, extack);
	rc = ioasid_check_owned(dev_pasid->idev, pasid, extack);
	if (rc)
		return rc;
	att = ioasid_attachment_create(space, dev_pasid, pasid, NULL, extack);
	if (IS_ERR(att))
		return PTR_ERR(att);
	ioasid_pasid_get(space->ctx, pasid);
	ioasid_dev_pasid_begin(dev_pasid, att);
	return 0;
}

/*
 * Attaches a space whose page table and PASID are the IOMMU core's. It has no
 * entry in the group's table, and its PASID is not known before it is attached.
 */
static int ioasid_attach_foreign(struct ioasid_space *space,
				 struct ioasid_dev_pasid *dev_pasid, u32 vpasid,
				 struct ioasid_extack *extack)
{
	struct ioasid_attachment *att = kzalloc(sizeof(*att),
						GFP_KERNEL_ACCOUNT);
	int rc;

	lockdep_assert_held(&dev_pasid->idev->group->lock);
	if (!att)
		return ioasid_fail(extack, -ENOMEM, IOASID_REASON_NO_MEMORY,
				   "no memory for an attachment");
	ioasid_fault_init(att);
	att->group = dev_pasid->idev->group;
	rc = space->ops->attach(space, dev_pasid, &att->pasid, extack);
	if (rc)
		goto free;
	dev_pasid->vpasid = vpasid ?: att->pasid;
	rc = ioasid_dev_pasid_insert(dev_pasid, extack);
	if (rc)
		goto detach;
	rc = ioasid_space_lock(space, extack);
	if (rc)
		goto erase;
	kref_get(&space->obj.ref);
	att->space = space;
	list_add_tail(&att->space_link, &space->attachments);
	space->nr_devices++;
	ioasid_space_unlock(space);
	ioasid_dev_pasid_begin(dev_pasid, att);
	return 0;
erase:
	xa_erase(&dev_pasid->idev->dev_pasids, dev_pasid->vpasid);
detach:
	space->ops->detach(dev_pasid);
free:
	kfree(att);
	return rc;
}

/* Moves the group to another space, unless a sibling shares the attachment */
static int ioasid_dev_pasid_move(struct ioasid_dev_pasid *dev_pasid,
				 struct ioasid_space *space, u64 cookie,
				 struct ioasid_extack *extack)
{
	struct ioasid_attachment *old = dev_pasid->att, *att;
	struct device *dev = dev_pasid->idev->dev;
	bool off;
	int rc;

	lockdep_assert_held(&dev_pasid->idev->group->lock);
	if (old->space == space) {
		/* A record may be made at the same time, with either */
		if (cookie)
			WRITE_ONCE(dev_pasid->cookie, cookie);
		return 0;
	}
	if (!ioasid_space_has_domains(old->space) ||
	    !ioasid_space_has_domains(space))
		return ioasid_fail(extack, -EOPNOTSUPP, IOASID_REASON_KIND,
				   "device %s: the address space of a process cannot be replaced: detach, then attach",
				   dev_name(dev));
	if (!list_is_singular(&old->dev_pasids))
		return ioasid_fail(extack, -EBUSY, IOASID_REASON_SIBLING,
				   "device %s: %zu devices of its group are attached, and would all be moved",
				   dev_name(dev),
				   list_count_nodes(&old->dev_pasids));
	rc = ioasid_fault_enable(dev_pasid->idev, space, extack);
	if (rc)
		return rc;
	off = !space->faults || ioasid_must_detach_first(old, space);
	ioasid_fault_move(dev_pasid, off);
	att = ioasid_attachment_create(space, dev_pasid, old->pasid, old,
				       extack);
	if (IS_ERR(att)) {
		ioasid_fault_unmove(dev_pasid);
		ioasid_fault_disable(dev_pasid->idev, space);
		return PTR_ERR(att);
	}
	ioasid_fault_end(dev_pasid, space->faults ? IOASID_FAULT_SUCCESS :
						    IOASID_FAULT_INVALID);
	ioasid_fault_report_detached(dev_pasid);
	dev_pasid->cookie = cookie ?: dev_pasid->cookie;
	ioasid_dev_pasid_begin(dev_pasid, att);
	ioasid_fault_disable(dev_pasid->idev, old->space);
	ioasid_space_detach(old);
	return 0;
}

/*
 * Attaching invalidates caches in the device, which user space may have
 * suspended before.
 */
static int ioasid_device_wake(struct device *dev, struct ioasid_extack *extack)
{
	int rc = pm_runtime_resume_and_get(dev);

	/* -EACCES: runtime PM is disabled, so the device is not suspended */
	if (!rc || rc == -EACCES)
		return rc;
	return ioasid_fail(extack, rc, IOASID_REASON_OTHER,
			   "device %s cannot be resumed (error %d)",
			   dev_name(dev), -rc);
}

static int ioasid_attach_new(struct ioasid_space *space,
			     struct ioasid_dev_pasid *dev_pasid,
			     struct ioasid_attach_request *req,
			     struct ioasid_extack *extack)
{
	int rc;

	lockdep_assert_held(&dev_pasid->idev->group->lock);
	if (!ioasid_space_has_domains(space))
		return ioasid_attach_foreign(space, dev_pasid, req->vpasid,
					     extack);
	dev_pasid->vpasid = req->vpasid ?: req->pasid;
	rc = ioasid_dev_pasid_insert(dev_pasid, extack);
	if (rc)
		return rc;
	rc = ioasid_fault_enable(dev_pasid->idev, space, extack);
	if (rc)
		goto erase;
	rc = ioasid_attach_group(space, dev_pasid, req->pasid, extack);
	if (!rc)
		return 0;
	ioasid_fault_disable(dev_pasid->idev, space);
erase:
	xa_erase(&dev_pasid->idev->dev_pasids, dev_pasid->vpasid);
	return rc;
}

static int ioasid_attach_locked(struct ioasid_space *space,
				struct ioasid_device *idev,
				struct ioasid_attach_request *req,
				struct ioasid_extack *extack)
{
	struct ioasid_dev_pasid *dev_pasid = NULL;
	int rc;

	lockdep_assert_held(&idev->group->lock);
	/* An mm space without vpasid has no key before it is attached */
	if (ioasid_space_has_domains(space) || req->vpasid)
		dev_pasid = ioasid_dev_pasid_find(idev, req->key);
	if (dev_pasid && req->replace &&
	    ioasid_space_has_domains(dev_pasid->att->space) &&
	    ioasid_space_has_domains(space) &&
	    req->pasid != dev_pasid->att->pasid)
		return ioasid_fail(extack, -EINVAL, IOASID_REASON_VALUE,
				   "device %s: number %u is PASID %u, not %u",
				   dev_name(idev->dev), req->key,
				   dev_pasid->att->pasid, req->pasid);
	if (dev_pasid && req->replace)
		return ioasid_dev_pasid_move(dev_pasid, space, req->cookie,
					     extack);
	if (dev_pasid)
		return ioasid_fail(extack, -EBUSY, IOASID_REASON_ATTACHED,
				   "device %s is already attached to space %u",
				   dev_name(idev->dev),
				   dev_pasid->att->space->id);
	dev_pasid = kzalloc(sizeof(*dev_pasid), GFP_KERNEL_ACCOUNT);
	if (!dev_pasid)
		return ioasid_fail(extack, -ENOMEM, IOASID_REASON_NO_MEMORY,
				   "no memory for an attachment");
	dev_pasid->idev = idev;
	dev_pasid->cookie = req->cookie ?: idev->cookie;
	ioasid_unrecoverable_init(dev_pasid);
	rc = ioasid_attach_new(space, dev_pasid, req, extack);
	if (rc) {
		kfree(dev_pasid);
		return rc;
	}
	req->key = dev_pasid->vpasid;
	return 0;
}

static int ioasid_attach_awake(struct ioasid_space *space,
			       struct ioasid_device *idev,
			       struct ioasid_attach_request *req,
			       struct ioasid_extack *extack)
{
	int awake = ioasid_device_wake(idev->dev, extack);
	int rc;

	if (awake && awake != -EACCES)
		return awake;
	mutex_lock(&idev->group->lock);
	rc = ioasid_attach_locked(space, idev, req, extack);
	if (!rc)
		trace_ioasid_attach(space, idev->dev, req->key);
	mutex_unlock(&idev->group->lock);
	if (!awake)
		pm_runtime_put(idev->dev);
	return rc;
}

/*
 * If the group's table does not explain -EBUSY, the cause is a reset or another
 * owner. Attachments of another owner have a handle in the IOMMU core, except
 * for the RID of VFIO type1.
 */
static int ioasid_attach_busy(struct ioasid_device *idev, u32 asked,
			      const struct ioasid_attach_request *req,
			      struct ioasid_extack *extack)
{
	struct ioasid_group *g = idev->group;

	lockdep_assert_held(&idev->ctx->lock);
	if (extack->code != IOASID_REASON_RESET ||
	    xa_load(&g->table, req->pasid))
		return -EBUSY;
	if (req->pasid == IOASID_RID && asked != IOASID_RID)
		return -EBUSY;
	if (IS_ERR(iommu_attach_handle_get(g->group, req->pasid, 0)) &&
	    !(req->pasid == IOASID_RID && idev->file_ref.info.rid_taken))
		return -EBUSY;
	/* Overrides the first reason, which is less exact */
	extack->code = IOASID_REASON_NONE;
	if (req->pasid != IOASID_RID)
		return ioasid_fail(extack, -EBUSY, IOASID_REASON_OWNER,
				   "device %s: another owner has attached PASID %u",
				   dev_name(idev->dev), req->pasid);
	return ioasid_fail(extack, -EBUSY, IOASID_REASON_OWNER,
			   "device %s: its owner uses the RID (VFIO type1 or iommufd), but not its PASIDs",
			   dev_name(idev->dev));
}

/**
 * ioasid_device_attach() - attach a device to a space of its context
 * @idev: the device
 * @req: the space and the PASID; out: @key
 * @extack: the reason if it fails
 *
 * Context: ioasid_ctx.lock is held; can sleep. Takes ioasid_group.lock and
 * ioasid_space.rwsem.
 *
 * Return: 0 or an error of sva_register_device_to_pasid().
 */
int ioasid_device_attach(struct ioasid_device *idev,
			 struct ioasid_attach_request *req,
			 struct ioasid_extack *extack)
{
	struct ioasid_space *space;
	u32 asked = req->pasid;
	int rc;

	lockdep_assert_held(&idev->ctx->lock);
	extack->pasid = req->pasid;
	space = ioasid_space_get(idev->ctx, req->ioasid, extack);
	if (IS_ERR(space))
		return PTR_ERR(space);
	rc = ioasid_deferred_free_throttle(idev->ctx->deferred, extack) ?:
	     ioasid_pasid_choose(idev, space, req, extack);
	if (!rc) {
		req->key = req->vpasid ?: req->pasid;
		rc = ioasid_attach_awake(space, idev, req, extack);
		/* An attachment has its own reference on the PASID */
		ioasid_pasid_put(idev->ctx, req->pasid);
	}
	ioasid_space_put(space);
	return rc == -EBUSY ? ioasid_attach_busy(idev, asked, req, extack) : rc;
}

static void ioasid_attachment_end(struct ioasid_attachment *att,
				  struct ioasid_dev_pasid *dev_pasid)
{
	lockdep_assert_held(&att->group->lock);
	if (!ioasid_space_has_domains(att->space)) {
		att->space->ops->detach(dev_pasid);
		return;
	}
	ioasid_detach_domain(att, dev_pasid->idev->dev);
	xa_erase(&att->group->table, att->pasid);
}

static void ioasid_dev_pasid_end(struct ioasid_dev_pasid *dev_pasid)
{
	struct ioasid_attachment *att = dev_pasid->att;
	struct ioasid_space *space = att->space;
	bool last = list_is_singular(&att->dev_pasids);

	lockdep_assert_held(&dev_pasid->idev->group->lock);
	ioasid_fault_end(dev_pasid, IOASID_FAULT_INVALID);
	if (last)
		ioasid_attachment_end(att, dev_pasid);
	else
		ioasid_count_device(space, -1);
	ioasid_fault_report_detached(dev_pasid);
	ioasid_fault_disable(dev_pasid->idev, space);
	if (!last)
		return;
	/* After the last response with that PASID; no-op for an mm space */
	ioasid_pasid_put(dev_pasid->idev->ctx, att->pasid);
	ioasid_space_detach(att);
}

/**
 * ioasid_dev_pasid_detach() - detach a device
 * @dev_pasid: its attachment; freed
 *
 * Cannot fail. Goes on if the device cannot be resumed, since it must not reach
 * the memory any longer.
 *
 * Context: ioasid_ctx.lock is held; can sleep. Takes ioasid_group.lock and
 * ioasid_space.rwsem.
 */
void ioasid_dev_pasid_detach(struct ioasid_dev_pasid *dev_pasid)
{
	struct ioasid_device *idev = dev_pasid->idev;
	struct ioasid_extack extack;
	int awake;

	lockdep_assert_held(&dev_pasid->idev->ctx->lock);
	ioasid_extack_init(&extack);
	awake = ioasid_device_wake(idev->dev, &extack);
	mutex_lock(&idev->group->lock);
	trace_ioasid_detach(dev_pasid->att->space, idev->dev,
			    dev_pasid->vpasid);
	xa_erase(&idev->dev_pasids, dev_pasid->vpasid);
	ioasid_dev_pasid_end(dev_pasid);
	mutex_unlock(&idev->group->lock);
	kfree(dev_pasid);
	if (!awake)
		pm_runtime_put(idev->dev);
}

/* Finds the device with the fewest PASIDs: all others can use them too */
static u32 ioasid_narrowest(struct ioasid_device **idevs, u32 nr)
{
	u32 i, least = 0;

	for (i = 1; i < nr; i++)
		if (idevs[i]->dev->iommu->max_pasids <
		    idevs[least]->dev->iommu->max_pasids)
			least = i;
	return least;
}

static void ioasid_extack_set_device(struct ioasid_device **idevs, u32 i,
				     struct ioasid_extack *extack)
{
	extack->dev_id = idevs[i]->id;
	extack->index = i;
}

static int ioasid_attach_each(struct ioasid_device **idevs, u32 nr,
			      struct ioasid_attach_request *req,
			      struct ioasid_extack *extack)
{
	struct ioasid_attach_request one;
	u32 i;
	int rc;

	for (i = 0; i < nr; i++) {
		one = *req;
		rc = ioasid_device_attach(idevs[i], &one, extack);
		if (rc)
			goto undo;
		/* The key is the same for all devices, even of an mm space */
		req->key = one.key;
	}
	return 0;
undo:
	ioasid_extack_set_device(idevs, i, extack);
	while (i--)
		ioasid_dev_pasid_detach(
			ioasid_dev_pasid_find(idevs[i], req->key));
	return rc;
}

/**
 * ioasid_devices_attach() - attach devices to a space, all of them or none
 * @idevs: devices of one context
 * @nr: number of devices, not 0
 * @req: the space and the PASID, without @replace; out: @key, the same for all
 * @extack: the reason if it fails, and the device
 *
 * IOASID_PASID_ANY takes one PASID that all of them can use. If the devices are
 * behind different IOMMUs, the space has a page table for each.
 *
 * Context: ioasid_ctx.lock is held; can sleep. Takes ioasid_group.lock and
 * ioasid_space.rwsem.
 *
 * Return: 0 or an error of sva_register_device_to_pasid().
 */
int ioasid_devices_attach(struct ioasid_device **idevs, u32 nr,
			  struct ioasid_attach_request *req,
			  struct ioasid_extack *extack)
{
	struct ioasid_ctx *ctx = idevs[0]->ctx;
	struct ioasid_attach_request chosen = *req;
	struct ioasid_space *space;
	u32 least;
	int rc;

	lockdep_assert_held(&ctx->lock);
	space = ioasid_space_get(ctx, req->ioasid, extack);
	if (IS_ERR(space))
		return PTR_ERR(space);
	least = ioasid_narrowest(idevs, nr);
	rc = ioasid_pasid_choose(idevs[least], space, &chosen, extack);
	if (rc) {
		ioasid_extack_set_device(idevs, least, extack);
		goto put;
	}
	/* IOASID_RID if an mm space needs no PASID from the pool */
	if (chosen.pasid != IOASID_RID)
		req->pasid = chosen.pasid;
	rc = ioasid_attach_each(idevs, nr, req, extack);
	ioasid_pasid_put(ctx, chosen.pasid);
put:
	ioasid_space_put(space);
	return rc;
}
