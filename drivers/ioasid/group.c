// SPDX-License-Identifier: GPL-2.0
/*
 * IOMMU groups: one struct ioasid_group for each group with a bound device,
 * shared by all contexts, and the IOVA that a group leaves usable. Nothing here
 * may attach anything.
 */
#include <linux/iommu.h>
#include <linux/refcount.h>
#include <linux/slab.h>
#include "ioasid_private.h"

static DEFINE_MUTEX(ioasid_groups_lock);
static LIST_HEAD(ioasid_groups);

static struct ioasid_group *ioasid_group_find(struct iommu_group *group)
{
	struct ioasid_group *g;

	lockdep_assert_held(&ioasid_groups_lock);
	list_for_each_entry(g, &ioasid_groups, link)
		if (g->group == group)
			return g;
	return NULL;
}

/**
 * ioasid_group_get() - find or create the struct ioasid_group of a group
 * @group: the group; its reference is consumed, even on failure
 *
 * Context: can sleep; takes ioasid_groups_lock.
 *
 * Return: the group, to be put by ioasid_group_put(), or NULL without memory.
 */
struct ioasid_group *ioasid_group_get(struct iommu_group *group)
{
	struct ioasid_group *g;

	guard(mutex)(&ioasid_groups_lock);
	g = ioasid_group_find(group);
	if (g) {
		g->users++;
		iommu_group_put(group);
		return g;
	}
	g = kzalloc(sizeof(*g), GFP_KERNEL_ACCOUNT);
	if (!g) {
		iommu_group_put(group);
		return NULL;
	}
	g->users = 1;
	g->group = group;
	mutex_init(&g->lock);
	INIT_LIST_HEAD(&g->devices);
	xa_init_flags(&g->table, XA_FLAGS_ACCOUNT);
	list_add(&g->link, &ioasid_groups);
	return g;
}

/**
 * ioasid_group_put() - undo ioasid_group_get()
 * @g: the group; freed with its last user, which has nothing attached any more
 *
 * Context: can sleep; takes ioasid_groups_lock.
 */
void ioasid_group_put(struct ioasid_group *g)
{
	guard(mutex)(&ioasid_groups_lock);
	if (--g->users)
		return;
	WARN_ON(!xa_empty(&g->table));
	xa_destroy(&g->table);
	list_del(&g->link);
	ioasid_regions_put(g->regions);
	iommu_group_put(g->group);
	kfree(g);
}

static struct ioasid_regions *ioasid_regions_new(struct list_head *list)
{
	struct iommu_resv_region *region;
	struct ioasid_regions *r;

	r = kzalloc(struct_size(r, range, list_count_nodes(list)),
		    GFP_KERNEL_ACCOUNT);
	if (!r)
		return NULL;
	refcount_set(&r->ref, 1);
	list_for_each_entry(region, list, list) {
		/* Relaxable regions matter only to the firmware */
		if (region->type == IOMMU_RESV_DIRECT_RELAXABLE ||
		    !region->length)
			continue;
		r->range[r->nr].first = region->start & PAGE_MASK;
		r->range[r->nr].last = (region->start + region->length - 1) |
				       ~PAGE_MASK;
		r->nr++;
	}
	return r;
}

/**
 * ioasid_regions_get() - take a reference on reserved ranges
 * @r: the ranges
 *
 * Context: any.
 *
 * Return: @r.
 */
struct ioasid_regions *ioasid_regions_get(struct ioasid_regions *r)
{
	refcount_inc(&r->ref);
	return r;
}

/**
 * ioasid_regions_put() - put a reference on reserved ranges
 * @r: the ranges, or NULL
 *
 * Context: any but interrupts.
 */
void ioasid_regions_put(struct ioasid_regions *r)
{
	if (r && refcount_dec_and_test(&r->ref))
		kfree(r);
}

/**
 * ioasid_regions_equal() - compare reserved ranges
 * @a: some
 * @b: others
 *
 * Context: any.
 *
 * Return: true if they are the same, in the same order.
 */
bool ioasid_regions_equal(const struct ioasid_regions *a,
			  const struct ioasid_regions *b)
{
	return a == b || (a->nr == b->nr &&
			  !memcmp(a->range, b->range,
				  array_size(a->nr, sizeof(a->range[0]))));
}

/**
 * ioasid_group_update_regions() - ask which IOVA a group cannot use
 * @g: the group, which gets another device
 *
 * The IOMMU driver is asked here and not by each attach, for which that is a
 * tenth of the work.
 *
 * Context: ioasid_group.lock is held; can sleep.
 *
 * Return: 0 or -ENOMEM.
 */
int ioasid_group_update_regions(struct ioasid_group *g)
{
	struct iommu_resv_region *region, *next;
	struct ioasid_regions *r = NULL;
	LIST_HEAD(list);

	lockdep_assert_held(&g->lock);
	/* Without reserved regions this succeeds with an empty list */
	if (!iommu_get_group_resv_regions(g->group, &list))
		r = ioasid_regions_new(&list);
	list_for_each_entry_safe(region, next, &list, list)
		kfree(region);
	if (!r)
		return -ENOMEM;
	/* Attachments that share the object are compared by its address */
	if (g->regions && ioasid_regions_equal(r, g->regions))
		swap(r, g->regions);
	ioasid_regions_put(g->regions);
	g->regions = r;
	return 0;
}

/* Computes the usable ranges of a space with only @domain and @att */
static int ioasid_try_ranges(struct ioasid_space *space,
			     struct ioasid_attachment *att,
			     struct iommu_domain *domain)
{
	struct ioasid_domain d = { .domain = domain };

	if (ioasid_iova_make_room(space, att->regions->nr))
		return -ENOMEM;
	list_add(&d.link, &space->domains);
	list_add(&att->space_link, &space->attachments);
	ioasid_iova_update(space);
	list_del(&att->space_link);
	list_del(&d.link);
	return 0;
}

/* Ours, if the user's page table is nested in it */
static struct iommu_domain *
ioasid_domain_of_mappings(const struct ioasid_domain *d)
{
	return d->base ? d->base->domain : d->domain;
}

/**
 * ioasid_group_ranges() - get the ranges that a device alone leaves usable
 * @idev: the device
 * @nr: out: number of ranges
 * @extack: the reason if it fails
 *
 * Computed in a scratch space, with a new domain unless the device is attached.
 * Drivers that adapt a domain only when it is attached (VT-d in 6.12) then
 * report more than the device can use.
 *
 * Context: ioasid_ctx.lock is held; can sleep.
 *
 * Return: the ranges, to be freed by kvfree(), ERR_PTR(-ENOMEM), or the error
 * of the IOMMU driver.
 */
struct ioasid_iova_range *ioasid_group_ranges(struct ioasid_device *idev,
					      u32 *nr,
					      struct ioasid_extack *extack)
{
	struct ioasid_iova_range *ranges = ERR_PTR(-ENOMEM);
	struct iommu_domain *domain = NULL;
	struct ioasid_attachment *att;
	struct ioasid_space *space;
	struct ioasid_dev_pasid *rid;

	lockdep_assert_held(&idev->ctx->lock);
	scoped_guard(mutex, &idev->group->lock)
		att = ioasid_attachment_alloc(idev->group, extack);
	space = att ? ioasid_space_scratch(extack) : ERR_PTR(-ENOMEM);
	if (IS_ERR(space))
		goto free;
	rid = ioasid_dev_pasid_find(idev, IOASID_RID);
	if (!rid)
		domain = compat_paging_domain_alloc(idev->dev);
	if (IS_ERR(domain)) {
		ioasid_fail(extack, PTR_ERR(domain), IOASID_REASON_IOMMU,
			    "device %s: the IOMMU driver cannot allocate a domain (error %ld)",
			    dev_name(idev->dev), -PTR_ERR(domain));
		ranges = ERR_CAST(domain);
		goto put;
	}
	if (!ioasid_try_ranges(space, att, domain ?:
			       ioasid_domain_of_mappings(rid->att->domain))) {
		ranges = space->usable;
		*nr = space->nr_usable;
		space->usable = NULL;
	} else {
		ioasid_fail(extack, -ENOMEM, IOASID_REASON_NO_MEMORY,
			    "no memory for the usable ranges");
	}
	if (domain)
		iommu_domain_free(domain);
put:
	ioasid_space_put(space);
free:
	if (att)
		ioasid_attachment_free(att);
	return ranges;
}
