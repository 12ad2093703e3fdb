// SPDX-License-Identifier: GPL-2.0
/*
 * Devices, groups and attachments: which device uses which space. A domain
 * belongs to a whole IOMMU group, so the devices of a group share what is in
 * the group's table. The core trusts its glues for who owns a device, and
 * never claims ownership itself.
 */
#include <linux/file.h>
#include <linux/iommu.h>
#include <linux/module.h>
#include <linux/pci.h>
#include <linux/pm_runtime.h>
#include <linux/seq_file.h>
#include <linux/slab.h>
#include <linux/uaccess.h>
#include "ioasid_private.h"
#include "trace.h"

static DEFINE_MUTEX(ioasid_groups_lock);
static LIST_HEAD(ioasid_groups);

static struct ioasid_group *ioasid_group_find(struct iommu_group *group)
{
	struct ioasid_group *g;

	list_for_each_entry(g, &ioasid_groups, link)
		if (g->group == group)
			return g;
	return NULL;
}

/* Takes over the caller's reference on @group */
static struct ioasid_group *ioasid_group_get(struct iommu_group *group)
{
	struct ioasid_group *g;

	mutex_lock(&ioasid_groups_lock);
	g = ioasid_group_find(group);
	if (g) {
		g->users++;
		iommu_group_put(group);
		goto unlock;
	}
	g = kzalloc(sizeof(*g), GFP_KERNEL_ACCOUNT);
	if (!g) {
		iommu_group_put(group);
		goto unlock;
	}
	g->users = 1;
	g->group = group;
	mutex_init(&g->lock);
	INIT_LIST_HEAD(&g->attachments);
	list_add(&g->link, &ioasid_groups);
unlock:
	mutex_unlock(&ioasid_groups_lock);
	return g;
}

static void ioasid_group_put(struct ioasid_group *g)
{
	mutex_lock(&ioasid_groups_lock);
	if (!--g->users) {
		WARN_ON(!list_empty(&g->attachments));
		list_del(&g->link);
		iommu_group_put(g->group);
		kfree(g);
	}
	mutex_unlock(&ioasid_groups_lock);
}

static struct ioasid_device *ioasid_device_find(struct ioasid_ctx *ctx,
						struct device *dev)
{
	struct ioasid_device *idev;
	unsigned long id;

	xa_for_each(&ctx->devices, id, idev)
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
	ctx->nr_devices++;
	return 0;
}

static struct ioasid_device *
ioasid_device_create(struct ioasid_ctx *ctx, struct device *dev,
		     const struct ioasid_attach_params *params,
		     struct ioasid_explain *why)
{
	struct iommu_group *group = iommu_group_get(dev);
	struct ioasid_device *idev;
	int rc;

	if (!group) {
		ioasid_fail(why, -ENODEV, IOASID_REASON_IOMMU,
			    "device %s is behind no IOMMU", dev_name(dev));
		return ERR_PTR(-ENODEV);
	}
	rc = ioasid_device_check(dev, group, params, why);
	if (rc) {
		iommu_group_put(group);
		return ERR_PTR(rc);
	}
	idev = kzalloc(sizeof(*idev), GFP_KERNEL_ACCOUNT);
	if (!idev) {
		iommu_group_put(group);
		goto no_memory;
	}
	idev->dev = dev;
	idev->owner = params->owner;
	idev->cookie = params->cookie;
	idev->group = ioasid_group_get(group);
	if (!idev->group)
		goto free;
	rc = ioasid_device_publish(ctx, idev, why);
	if (!rc)
		return idev;
	ioasid_group_put(idev->group);
free:
	kfree(idev);
no_memory:
	ioasid_fail(why, -ENOMEM, IOASID_REASON_NO_MEMORY,
		    "no memory for a device");
	return ERR_PTR(-ENOMEM);
}

static void ioasid_device_destroy(struct ioasid_ctx *ctx,
				  struct ioasid_device *idev)
{
	xa_erase(&ctx->devices, idev->id);
	ctx->nr_devices--;
	ioasid_group_put(idev->group);
	kfree(idev);
}

/* Finds or makes the device; ctx->lock is held */
static struct ioasid_device *
ioasid_device_know(struct ioasid_ctx *ctx, struct device *dev,
		   const struct ioasid_attach_params *params, bool *is_new,
		   struct ioasid_explain *why)
{
	struct ioasid_device *idev = ioasid_device_find(ctx, dev);

	*is_new = !idev;
	if (!idev)
		idev = ioasid_device_create(ctx, dev, params, why);
	if (!IS_ERR(idev))
		why->dev_id = idev->id;
	return idev;
}

/* PASIDs come with the fault queues; until then saying yes would be a lie */
static int ioasid_check_pasid(struct ioasid_device *idev, u32 pasid,
			      struct ioasid_explain *why)
{
	why->pasid = pasid;
	if (pasid == IOASID_RID)
		return 0;
	return ioasid_fail(why, -EOPNOTSUPP, IOASID_REASON_NO_PASID,
			   "device %s: this version attaches no PASIDs",
			   dev_name(idev->dev));
}

/* What the devices of a group cannot use, as an attachment's array */
static struct ioasid_attachment *
ioasid_attachment_alloc(struct ioasid_group *g, struct ioasid_explain *why)
{
	struct ioasid_attachment *att = NULL;
	struct iommu_resv_region *region;
	LIST_HEAD(regions);
	u32 nr = 0;

	/* A group that reserves nothing gives an empty list */
	if (iommu_get_group_resv_regions(g->group, &regions))
		goto out;
	list_for_each_entry(region, &regions, list)
		nr++;
	att = kzalloc(struct_size(att, reserved, nr), GFP_KERNEL_ACCOUNT);
	if (!att)
		goto out;
	att->group = g;
	list_for_each_entry(region, &regions, list) {
		struct ioasid_iova_range *r = &att->reserved[att->nr_reserved];

		/* Relaxable ones matter only to the firmware */
		if (region->type == IOMMU_RESV_DIRECT_RELAXABLE ||
		    !region->length)
			continue;
		r->first = region->start & PAGE_MASK;
		r->last = (region->start + region->length - 1) | ~PAGE_MASK;
		att->nr_reserved++;
	}
out:
	while (!list_empty(&regions)) {
		region = list_first_entry(&regions, struct iommu_resv_region,
					  list);
		list_del(&region->list);
		kfree(region);
	}
	if (!att)
		ioasid_fail(why, -ENOMEM, IOASID_REASON_NO_MEMORY,
			    "no memory for an attachment");
	return att;
}

static int ioasid_check_collision(struct ioasid_space *space,
				  struct ioasid_attachment *att,
				  struct device *dev,
				  struct ioasid_explain *why)
{
	struct ioasid_area *area;
	u32 i;
	int rc = 0;

	mutex_lock(&space->iova_lock);
	for (i = 0; i < att->nr_reserved && !rc; i++) {
		struct ioasid_iova_range *r = &att->reserved[i];

		area = ioasid_iova_first(space, r->first, r->last);
		if (!area)
			continue;
		why->value = area->first;
		rc = ioasid_fail(why, -EADDRINUSE, IOASID_REASON_RESERVED,
				 "device %s reserves %#llx-%#llx, and %#llx-%#llx is mapped",
				 dev_name(dev), r->first, r->last, area->first,
				 area->last);
	}
	mutex_unlock(&space->iova_lock);
	return rc;
}

static void ioasid_domain_free(struct ioasid_domain *domain)
{
	iommu_domain_free(domain->domain);
	kfree(domain);
}

/* A page table for @dev with all that is mapped in the space */
static struct ioasid_domain *ioasid_domain_create(struct ioasid_space *space,
						  struct device *dev,
						  struct ioasid_explain *why)
{
	struct ioasid_domain *d = kzalloc(sizeof(*d), GFP_KERNEL_ACCOUNT);
	int rc;

	if (!d) {
		ioasid_fail(why, -ENOMEM, IOASID_REASON_NO_MEMORY,
			    "no memory for a domain");
		return ERR_PTR(-ENOMEM);
	}
	d->domain = compat_paging_domain_alloc(dev);
	if (IS_ERR(d->domain)) {
		rc = PTR_ERR(d->domain);
		kfree(d);
		ioasid_fail(why, rc, IOASID_REASON_IOMMU,
			    "device %s: the IOMMU driver makes no domain (error %d)",
			    dev_name(dev), -rc);
		return ERR_PTR(rc);
	}
	/*
	 * Before the first map, since some formats have it in each entry. Only
	 * where the device can: a fresh domain says yes to anything.
	 */
	if (device_iommu_capable(dev, IOMMU_CAP_ENFORCE_CACHE_COHERENCY) &&
	    d->domain->ops->enforce_cache_coherency)
		d->enforced =
			d->domain->ops->enforce_cache_coherency(d->domain);
	rc = ioasid_mapped_fill(space, d, why);
	if (rc) {
		ioasid_domain_free(d);
		return ERR_PTR(rc);
	}
	return d;
}

/* What @domain leaves of all IOVA for the device of @att */
static int ioasid_try_ranges(struct ioasid_space *space,
			     struct ioasid_attachment *att,
			     struct iommu_domain *domain)
{
	struct ioasid_domain d = { .domain = domain };

	if (ioasid_iova_make_room(space, att->nr_reserved))
		return -ENOMEM;
	list_add(&d.link, &space->domains);
	list_add(&att->space_link, &space->attachments);
	ioasid_iova_update(space);
	list_del(&att->space_link);
	list_del(&d.link);
	return 0;
}

/**
 * ioasid_group_ranges() - the IOVA that a space with this device alone can use
 * @idev: the device; its context's lock is held
 * @nr: out: number of ranges
 * @why: the reason if it fails
 *
 * Tried on a space that nobody else knows. A device that is not attached is
 * asked by a domain that never is; drivers that look at the device only when
 * it is attached (VT-d in 6.12) then tell more than it has.
 *
 * Return: an array to be freed by kvfree(), or an ERR_PTR.
 */
struct ioasid_iova_range *ioasid_group_ranges(struct ioasid_device *idev,
					      u32 *nr,
					      struct ioasid_explain *why)
{
	struct ioasid_iova_range *ranges = ERR_PTR(-ENOMEM);
	struct iommu_domain *domain = NULL;
	struct ioasid_attachment *att;
	struct ioasid_space *space;

	att = ioasid_attachment_alloc(idev->group, why);
	space = att ? ioasid_space_scratch(why) : NULL;
	if (!space)
		goto free;
	if (!idev->rid)
		domain = compat_paging_domain_alloc(idev->dev);
	if (IS_ERR(domain)) {
		ioasid_fail(why, PTR_ERR(domain), IOASID_REASON_IOMMU,
			    "device %s: the IOMMU driver makes no domain (error %ld)",
			    dev_name(idev->dev), -PTR_ERR(domain));
		ranges = ERR_CAST(domain);
		goto put;
	}
	if (!ioasid_try_ranges(space, att, domain ?:
			       idev->rid->domain->domain)) {
		ranges = space->usable;
		*nr = space->nr_usable;
		space->usable = NULL;
	} else {
		ioasid_fail(why, -ENOMEM, IOASID_REASON_NO_MEMORY,
			    "no memory for the usable ranges");
	}
	if (domain)
		iommu_domain_free(domain);
put:
	ioasid_space_put(space);
free:
	kfree(att);
	return ranges;
}

static bool ioasid_domain_suits(struct ioasid_domain *d, struct device *dev)
{
	/* KVM goes by the device's capability, so the domain must live up to it */
	if (device_iommu_capable(dev, IOMMU_CAP_ENFORCE_CACHE_COHERENCY) &&
	    !d->enforced)
		return false;
	return d->domain->owner == dev->iommu->iommu_dev->ops;
}

static int ioasid_attach_domain(struct ioasid_attachment *att,
				struct ioasid_domain *d,
				struct ioasid_attachment *old)
{
	if (old)
		return iommu_replace_group_handle(att->group->group, d->domain,
						  &att->handle);
	return iommu_attach_group_handle(d->domain, att->group->group,
					 &att->handle);
}

static int ioasid_explain_attach(struct device *dev, int rc,
				 struct ioasid_explain *why)
{
	if (rc == -EBUSY)
		return ioasid_fail(why, rc, IOASID_REASON_RESET,
				   "device %s: it is being reset, or its group is attached by somebody else: try again",
				   dev_name(dev));
	return ioasid_fail(why, rc, IOASID_REASON_IOMMU,
			   "device %s: the IOMMU driver refuses to attach (error %d)",
			   dev_name(dev), -rc);
}

/* Attaches the group to a domain of the space, an old one or a new one */
static int ioasid_find_domain(struct ioasid_space *space,
			      struct ioasid_attachment *att,
			      struct ioasid_attachment *old, struct device *dev,
			      struct ioasid_explain *why)
{
	struct ioasid_domain *d;
	int rc;

	list_for_each_entry(d, &space->domains, link) {
		if (!ioasid_domain_suits(d, dev))
			continue;
		rc = ioasid_attach_domain(att, d, old);
		if (!rc)
			goto attached;
		/* -EINVAL: another IOMMU with other features needs its own */
		if (rc != -EINVAL)
			return ioasid_explain_attach(dev, rc, why);
	}
	d = ioasid_domain_create(space, dev, why);
	if (IS_ERR(d))
		return PTR_ERR(d);
	rc = ioasid_attach_domain(att, d, old);
	if (rc) {
		ioasid_mapped_drain(space, d);
		ioasid_domain_free(d);
		return ioasid_explain_attach(dev, rc, why);
	}
	list_add_tail(&d->link, &space->domains);
	space->nr_domains++;
attached:
	d->users++;
	att->domain = d;
	return 0;
}

/* Makes @att the space's; the group's lock and the space are held */
static int ioasid_space_attach(struct ioasid_space *space,
			       struct ioasid_attachment *att,
			       struct ioasid_attachment *old,
			       struct device *dev, struct ioasid_explain *why)
{
	int rc = ioasid_check_collision(space, att, dev, why);

	if (rc)
		return rc;
	if (ioasid_iova_make_room(space, att->nr_reserved))
		return ioasid_fail(why, -ENOMEM, IOASID_REASON_NO_MEMORY,
				   "no memory for the usable ranges");
	rc = ioasid_find_domain(space, att, old, dev, why);
	if (rc)
		return rc;
	kref_get(&space->ref);
	att->space = space;
	list_add_tail(&att->space_link, &space->attachments);
	space->nr_devices++;
	ioasid_iova_update(space);
	return 0;
}

/* Forgets @att, whose group uses its domain no more; cannot fail */
static void ioasid_space_detach(struct ioasid_attachment *att)
{
	struct ioasid_space *space = att->space;
	struct ioasid_domain *d = att->domain;

	down_write(&space->rwsem);
	list_del(&att->space_link);
	space->nr_devices--;
	if (!--d->users) {
		/*
		 * No device can reach the page table any more, and detaching
		 * has flushed it: it goes as a whole, not entry by entry.
		 */
		list_del(&d->link);
		space->nr_domains--;
		ioasid_mapped_drain(space, d);
		ioasid_domain_free(d);
	}
	ioasid_iova_update(space);
	up_write(&space->rwsem);
	ioasid_space_put(space);
	kfree(att);
}

static int ioasid_attachment_join(struct ioasid_attachment *att,
				  struct ioasid_space *space,
				  struct ioasid_device *idev,
				  struct ioasid_explain *why)
{
	if (att->space->ctx != space->ctx)
		return ioasid_fail(why, -EBUSY, IOASID_REASON_OWNER,
				   "device %s: its group %d is attached through another context",
				   dev_name(idev->dev),
				   iommu_group_id(att->group->group));
	if (att->space != space)
		return ioasid_fail(why, -EBUSY, IOASID_REASON_SIBLING,
				   "device %s: another device of its group %d is attached to another space",
				   dev_name(idev->dev),
				   iommu_group_id(att->group->group));
	down_write(&space->rwsem);
	att->devices++;
	space->nr_devices++;
	up_write(&space->rwsem);
	idev->rid = att;
	return 0;
}

static struct ioasid_attachment *ioasid_attachment_find(struct ioasid_group *g,
							u32 pasid)
{
	struct ioasid_attachment *att;

	list_for_each_entry(att, &g->attachments, link)
		if (att->pasid == pasid)
			return att;
	return NULL;
}

/* Puts the device's group behind the space, in the place of @old if given */
static int ioasid_attachment_create(struct ioasid_space *space,
				    struct ioasid_device *idev,
				    struct ioasid_attachment *old,
				    struct ioasid_explain *why)
{
	struct ioasid_attachment *att = ioasid_attachment_alloc(idev->group, why);
	int rc;

	if (!att)
		return -ENOMEM;
	att->pasid = IOASID_RID;
	att->devices = 1;
	rc = ioasid_space_lock(space, why);
	if (rc)
		goto free;
	rc = ioasid_space_attach(space, att, old, idev->dev, why);
	ioasid_space_unlock(space);
	if (rc)
		goto free;
	list_add(&att->link, &idev->group->attachments);
	idev->rid = att;
	if (old) {
		list_del(&old->link);
		ioasid_space_detach(old);
	}
	return 0;
free:
	kfree(att);
	return rc;
}

/* ctx->lock and the group's lock are held */
static int ioasid_attach_locked(struct ioasid_space *space,
				struct ioasid_device *idev, bool replace,
				struct ioasid_explain *why)
{
	struct ioasid_attachment *att =
		ioasid_attachment_find(idev->group, IOASID_RID);

	if (!idev->rid && att)
		return ioasid_attachment_join(att, space, idev, why);
	if (!idev->rid)
		return ioasid_attachment_create(space, idev, NULL, why);
	if (!replace)
		return ioasid_fail(why, -EBUSY, IOASID_REASON_ATTACHED,
				   "device %s is attached to space %u already",
				   dev_name(idev->dev), att->space->id);
	if (att->space == space)
		return 0;
	if (att->devices > 1)
		return ioasid_fail(why, -EBUSY, IOASID_REASON_SIBLING,
				   "device %s: %u devices of its group are attached, and would all be moved",
				   dev_name(idev->dev), att->devices);
	return ioasid_attachment_create(space, idev, att, why);
}

/*
 * The device must be awake: attaching invalidates caches in it. Nothing else
 * keeps a user from having put it to sleep before.
 */
static int ioasid_device_wake(struct device *dev, struct ioasid_explain *why)
{
	int rc = pm_runtime_resume_and_get(dev);

	/* Without runtime power management it never sleeps */
	if (!rc || rc == -EACCES)
		return rc;
	return ioasid_fail(why, rc, IOASID_REASON_OTHER,
			   "device %s does not wake up (error %d)",
			   dev_name(dev), -rc);
}

/* ctx->lock is held */
static int ioasid_device_attach(struct ioasid_ctx *ctx,
				struct ioasid_device *idev, u32 ioasid,
				u32 pasid, bool replace,
				struct ioasid_explain *why)
{
	struct ioasid_space *space;
	int rc = ioasid_check_pasid(idev, pasid, why);
	int awake;

	if (rc)
		return rc;
	space = ioasid_space_get(ctx, ioasid, why);
	if (IS_ERR(space))
		return PTR_ERR(space);
	awake = ioasid_device_wake(idev->dev, why);
	if (awake && awake != -EACCES) {
		rc = awake;
		goto put;
	}
	mutex_lock(&idev->group->lock);
	rc = ioasid_attach_locked(space, idev, replace, why);
	if (!rc)
		trace_ioasid_attach(space, idev->dev, pasid);
	mutex_unlock(&idev->group->lock);
	if (!awake)
		pm_runtime_put(idev->dev);
put:
	ioasid_space_put(space);
	return rc;
}

/* ctx->lock is held; the device is attached */
static void ioasid_device_detach(struct ioasid_device *idev)
{
	struct ioasid_attachment *att = idev->rid;
	struct ioasid_space *space = att->space;
	struct ioasid_explain why;
	int awake;

	ioasid_explain_init(&why);
	/* Detaching goes on if it fails: nothing may keep the memory reachable */
	awake = ioasid_device_wake(idev->dev, &why);
	mutex_lock(&idev->group->lock);
	idev->rid = NULL;
	trace_ioasid_detach(space, idev->dev, IOASID_RID);
	if (att->devices > 1) {
		down_write(&space->rwsem);
		att->devices--;
		space->nr_devices--;
		up_write(&space->rwsem);
	} else {
		iommu_detach_group_handle(att->domain->domain,
					  att->group->group);
		list_del(&att->link);
		ioasid_space_detach(att);
	}
	mutex_unlock(&idev->group->lock);
	if (!awake)
		pm_runtime_put(idev->dev);
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
 * without isolated interrupts, -ENOMEM.
 */
int sva_add_device(struct ioasid_ctx *sva, struct device *dev,
		   const struct ioasid_attach_params *params, u32 *dev_id,
		   struct ioasid_explain *why)
{
	struct ioasid_device *idev;
	bool is_new;

	mutex_lock(&sva->lock);
	idev = ioasid_device_know(sva, dev, params, &is_new, why);
	if (!IS_ERR(idev)) {
		idev->cookie = params->cookie;
		if (dev_id)
			*dev_id = idev->id;
	}
	mutex_unlock(&sva->lock);
	return PTR_ERR_OR_ZERO(idev);
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
	struct ioasid_device *idev;
	int rc = 0;

	mutex_lock(&sva->lock);
	idev = ioasid_device_find(sva, dev);
	if (idev && idev->rid)
		rc = ioasid_fail(why, -EBUSY, IOASID_REASON_OWNER,
				 "device %s is attached through another context",
				 dev_name(dev));
	else if (idev)
		ioasid_device_destroy(sva, idev);
	mutex_unlock(&sva->lock);
	return rc;
}
IOASID_EXPORT(sva_forget_device);

/**
 * sva_remove_device() - detach a device from everything and forget it
 * @sva: the context
 * @dev: the device; nothing happens if it is not known
 *
 * Cannot fail. To be called before the device's group loses its owner.
 */
void sva_remove_device(struct ioasid_ctx *sva, struct device *dev)
{
	struct ioasid_device *idev;

	mutex_lock(&sva->lock);
	idev = ioasid_device_find(sva, dev);
	if (idev) {
		if (idev->rid)
			ioasid_device_detach(idev);
		ioasid_device_destroy(sva, idev);
	}
	mutex_unlock(&sva->lock);
}
IOASID_EXPORT(sva_remove_device);

/* What attaching and replacing have in common */
static struct ioasid_attachment *
sva_attach(struct ioasid_ctx *sva, u32 pasid, struct device *dev,
	   const struct ioasid_attach_params *params, bool replace,
	   struct ioasid_explain *why)
{
	struct ioasid_attachment *att;
	struct ioasid_device *idev;
	bool is_new;
	int rc;

	mutex_lock(&sva->lock);
	idev = ioasid_device_know(sva, dev, params, &is_new, why);
	if (IS_ERR(idev)) {
		att = ERR_CAST(idev);
		goto unlock;
	}
	rc = ioasid_device_attach(sva, idev, params->ioasid, pasid, replace,
				  why);
	att = rc ? ERR_PTR(rc) : idev->rid;
	if (!rc)
		idev->cookie = params->cookie;
	else if (is_new)
		ioasid_device_destroy(sva, idev);
unlock:
	mutex_unlock(&sva->lock);
	return att;
}

/**
 * sva_register_device_to_pasid() - attach a device to a space
 * @sva: the context
 * @pasid: IOASID_RID
 * @dev: the device; made known if it is not yet, see sva_add_device()
 * @params: the space, owner, cookie
 * @why: the reason if it fails
 *
 * Return: the attachment, only to be compared, or ERR_PTR of: what
 * sva_add_device() returns; -ENOENT without such a space; -EBUSY if attached,
 * if a sibling uses another space, or during a reset; -EADDRINUSE or -ERANGE
 * if a mapping is where the device cannot have one; -EOPNOTSUPP for a PASID;
 * what the IOMMU driver returns. On failure a device that was made known is
 * forgotten again.
 */
struct ioasid_attachment *
sva_register_device_to_pasid(struct ioasid_ctx *sva, u32 pasid,
			     struct device *dev,
			     const struct ioasid_attach_params *params,
			     struct ioasid_explain *why)
{
	return sva_attach(sva, pasid, dev, params, false, why);
}
IOASID_EXPORT(sva_register_device_to_pasid);

/**
 * sva_replace_device_pasid() - move a device to another space
 * @sva: the context
 * @pasid: IOASID_RID
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
	return PTR_ERR_OR_ZERO(sva_attach(sva, pasid, dev, params, true, why));
}
IOASID_EXPORT(sva_replace_device_pasid);

static int ioasid_detach_checked(struct ioasid_device *idev, u32 pasid,
				 struct ioasid_explain *why)
{
	why->pasid = pasid;
	if (pasid != IOASID_RID || !idev->rid)
		return ioasid_fail(why, -ENOENT, IOASID_REASON_NOT_ATTACHED,
				   "device %s is not attached with PASID %u",
				   dev_name(idev->dev), pasid);
	ioasid_device_detach(idev);
	return 0;
}

/**
 * sva_unregister_device_from_pasid() - detach a device
 * @sva: the context
 * @pasid: IOASID_RID
 * @dev: the device; stays known
 * @why: the reason if it fails
 *
 * Return: 0, or -ENOENT if it is not attached. Nothing else can fail.
 */
int sva_unregister_device_from_pasid(struct ioasid_ctx *sva, u32 pasid,
				     struct device *dev,
				     struct ioasid_explain *why)
{
	struct ioasid_device *idev;
	int rc;

	mutex_lock(&sva->lock);
	idev = ioasid_device_find(sva, dev);
	if (idev)
		rc = ioasid_detach_checked(idev, pasid, why);
	else
		rc = ioasid_fail(why, -ENOENT, IOASID_REASON_NOT_ATTACHED,
				 "device %s is not attached", dev_name(dev));
	mutex_unlock(&sva->lock);
	return rc;
}
IOASID_EXPORT(sva_unregister_device_from_pasid);

int ioasid_cmd_device_attach(struct ioasid_command *cmd)
{
	struct ioasid_device_attach *arg = cmd->arg;
	struct ioasid_ctx *ctx = cmd->ctx;
	struct ioasid_device *idev;
	int rc = -ENOENT;

	if (arg->__reserved)
		return ioasid_fail(cmd->why, -EOPNOTSUPP, IOASID_REASON_FLAGS,
				   "a reserved field is not zero");
	mutex_lock(&ctx->lock);
	idev = ioasid_device_by_id(ctx, arg->dev_id, cmd->why);
	if (idev)
		rc = ioasid_device_attach(ctx, idev, arg->ioasid, arg->pasid,
					  arg->flags & IOASID_ATTACH_REPLACE,
					  cmd->why);
	mutex_unlock(&ctx->lock);
	return rc;
}

int ioasid_cmd_device_detach(struct ioasid_command *cmd)
{
	struct ioasid_device_detach *arg = cmd->arg;
	struct ioasid_ctx *ctx = cmd->ctx;
	struct ioasid_device *idev;
	int rc = -ENOENT;

	mutex_lock(&ctx->lock);
	idev = ioasid_device_by_id(ctx, arg->dev_id, cmd->why);
	if (idev)
		rc = ioasid_detach_checked(idev, arg->pasid, cmd->why);
	mutex_unlock(&ctx->lock);
	return rc;
}

void ioasid_device_show(struct seq_file *m, struct ioasid_ctx *ctx)
{
	struct ioasid_device *idev;
	unsigned long id;

	mutex_lock(&ctx->lock);
	xa_for_each(&ctx->devices, id, idev)
		seq_printf(m, "dev_id=%lu dev=%s group=%d owner=%s cookie=%#llx rid=%u\n",
			   id, dev_name(idev->dev),
			   iommu_group_id(idev->group->group), idev->owner,
			   idev->cookie, idev->rid ? idev->rid->space->id : 0);
	mutex_unlock(&ctx->lock);
}
