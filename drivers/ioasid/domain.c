// SPDX-License-Identifier: GPL-2.0
/*
 * Page tables for devices: what the IOMMU behind a device can address, what
 * its group reserves, and a domain that holds all that is mapped in a space.
 * Nothing here may attach a device to anything.
 */
#include <linux/iommu.h>
#include <linux/slab.h>
#include "ioasid_private.h"

/**
 * ioasid_attachment_alloc() - an attachment with what its group reserves
 * @g: the group
 * @why: the reason if there is no memory
 *
 * Return: the attachment, to be freed by kfree(), or NULL.
 */
struct ioasid_attachment *
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

void ioasid_domain_free(struct ioasid_domain *domain)
{
	iommu_domain_free(domain->domain);
	kfree(domain);
}

/**
 * ioasid_domain_create() - a page table with all that is mapped in a space
 * @space: the space; rwsem is held for writing
 * @dev: a device behind the IOMMU that it is for
 * @why: the reason if it fails
 *
 * Return: the domain, in no list yet, or ERR_PTR of -ENOMEM, what
 * ioasid_mapped_fill() returns or the IOMMU driver says.
 */
struct ioasid_domain *ioasid_domain_create(struct ioasid_space *space,
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
	ioasid_fault_prepare(space, d->domain);
	ioasid_refused_prepare(d, dev);
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
	struct ioasid_link *rid;

	att = ioasid_attachment_alloc(idev->group, why);
	space = att ? ioasid_space_scratch(why) : NULL;
	if (!space)
		goto free;
	rid = ioasid_device_link(idev, IOASID_RID);
	if (!rid)
		domain = compat_paging_domain_alloc(idev->dev);
	if (IS_ERR(domain)) {
		ioasid_fail(why, PTR_ERR(domain), IOASID_REASON_IOMMU,
			    "device %s: the IOMMU driver makes no domain (error %ld)",
			    dev_name(idev->dev), -PTR_ERR(domain));
		ranges = ERR_CAST(domain);
		goto put;
	}
	if (!ioasid_try_ranges(space, att, domain ?:
			       rid->att->domain->domain)) {
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

/**
 * ioasid_domain_suits() - can a device use a page table of another one?
 * @d: the page table
 * @dev: the device
 *
 * Return: false if it cannot; true if attaching will tell.
 */
bool ioasid_domain_suits(struct ioasid_domain *d, struct device *dev)
{
	/* KVM goes by the device's capability, so the domain must live up to it */
	if (device_iommu_capable(dev, IOMMU_CAP_ENFORCE_CACHE_COHERENCY) &&
	    !d->enforced)
		return false;
	return d->domain->owner == dev->iommu->iommu_dev->ops;
}
