// SPDX-License-Identifier: GPL-2.0
/*
 * Domains: mapping and unmapping areas in the page tables of a space, filling a
 * new one, and checking whether a device can share one. Nothing here may attach
 * a device to anything.
 */
#include <linux/iommu.h>
#include <linux/slab.h>
#include "ioasid_private.h"

/**
 * ioasid_domain_put() - put a reference on a domain
 * @domain: the domain; freed with its page table with the last reference, and is
 *	then in no list, not attached, and unfilled or never filled
 *
 * A parent is freed after all that is nested in it: drivers rely on it.
 *
 * Context: can sleep.
 */
void ioasid_domain_put(struct ioasid_domain *domain)
{
	struct ioasid_domain *base;

	while (domain && refcount_dec_and_test(&domain->ref)) {
		base = domain->base;
		iommu_domain_free(domain->domain);
		ioasid_uncharge_user(domain->user, IOASID_QUOTA_DOMAINS, 1);
		ioasid_user_put(domain->user);
		kfree(domain);
		domain = base;
	}
}

/**
 * ioasid_domain_suits() - check whether a device may share a domain
 * @d: the domain
 * @dev: the device
 *
 * Context: any.
 *
 * Return: false if it cannot; true if it may, though the attach can still fail.
 */
bool ioasid_domain_suits(struct ioasid_domain *d, struct device *dev)
{
	/* KVM relies on the capability, so the domain must enforce it */
	if (device_iommu_capable(dev, IOMMU_CAP_ENFORCE_CACHE_COHERENCY) &&
	    !d->enforced)
		return false;
	return d->domain->owner == dev->iommu->iommu_dev->ops;
}

/**
 * ioasid_domain_unmap() - unmap an area in a domain
 * @domain: the domain
 * @area: the area
 * @gather: as in ioasid_area_unmap()
 *
 * Cannot fail: pages that the IOMMU driver fails to unmap get another user, so
 * that they are never unpinned.
 *
 * Context: can sleep.
 */
void ioasid_domain_unmap(struct iommu_domain *domain,
			 const struct ioasid_area *area,
			 struct iommu_iotlb_gather *gather)
{
	if (ioasid_area_unmap(domain, area, gather))
		return;
	/* A device can still reach the pages, so leak them */
	pr_err_once("ioasid: the IOMMU driver cannot unmap %#llx-%#llx: its pages stay pinned forever\n",
		    area->first, ioasid_area_last(area));
	refcount_inc(&ioasid_area_pages(area)->users);
}

/**
 * ioasid_unmap_areas() - unmap areas in all domains of a space, and flush
 * @space: the space
 * @area: the areas, which are mapped in all domains
 * @nr: number of areas
 *
 * Cannot fail: pages that the IOMMU driver fails to unmap get another user, so
 * that they are never unpinned. One flush for each domain, after which the
 * areas can be freed.
 *
 * Context: ioasid_space.rwsem is held; can sleep.
 */
void ioasid_unmap_areas(struct ioasid_space *space, struct ioasid_area **area,
			u32 nr)
{
	struct iommu_iotlb_gather gather;
	struct ioasid_domain *domain;
	u32 i;

	lockdep_assert_held(&space->rwsem);
	if (!nr)
		return;
	if (space->ops->unmap_areas) {
		space->ops->unmap_areas(space, area, nr);
		return;
	}
	/* Before the pages may be unpinned */
	if (!list_empty_careful(&space->shadows))
		ioasid_shadows_leave(space, area, nr);
	list_for_each_entry(domain, &space->domains, link) {
		iommu_iotlb_gather_init(&gather);
		for (i = 0; i < nr; i++)
			ioasid_domain_unmap(domain->domain, area[i], &gather);
		/* Nothing may be unpinned before this flush */
		ioasid_flush(domain->domain, &gather);
	}
}

/**
 * ioasid_map_area() - map an area in all domains of a space, or in none
 * @space: the space
 * @area: the area, PENDING in the tree
 * @extack: the reason if it fails
 *
 * Context: ioasid_space.rwsem is held; can sleep.
 *
 * Return: 0, -ENOMEM, -EINTR if killed, or the error of the IOMMU driver.
 */
int ioasid_map_area(struct ioasid_space *space, struct ioasid_area *area,
		    struct ioasid_extack *extack)
{
	struct iommu_iotlb_gather gather;
	struct ioasid_domain *domain;
	int rc;

	lockdep_assert_held(&space->rwsem);
	if (space->ops->map_area)
		return space->ops->map_area(space, area, extack);
	list_for_each_entry(domain, &space->domains, link) {
		rc = ioasid_area_map(domain->domain, area, extack);
		if (rc)
			goto undo;
	}
	rc = ioasid_shadows_join(space, area, extack);
	if (!rc)
		return 0;
undo:
	list_for_each_entry_continue_reverse(domain, &space->domains, link) {
		iommu_iotlb_gather_init(&gather);
		ioasid_domain_unmap(domain->domain, area, &gather);
		ioasid_flush(domain->domain, &gather);
	}
	return rc;
}

/**
 * ioasid_check_aperture() - check whether a domain can address an area
 * @domain: the domain
 * @area: the area
 * @extack: the reason if it cannot
 *
 * Context: any.
 *
 * Return: 0 or -ERANGE.
 */
int ioasid_check_aperture(struct ioasid_domain *domain,
			  const struct ioasid_area *area,
			  struct ioasid_extack *extack)
{
	struct iommu_domain_geometry *g = &domain->domain->geometry;

	if (!g->force_aperture || (area->first >= g->aperture_start &&
				   ioasid_area_last(area) <= g->aperture_end))
		return 0;
	extack->value = area->first;
	return ioasid_fail(extack, -ERANGE, IOASID_REASON_APERTURE,
			   "the mapping at %#llx-%#llx is beyond the last address of the IOMMU (%#llx)",
			   area->first, ioasid_area_last(area),
			   (u64)g->aperture_end);
}

/**
 * ioasid_count_leftovers() - count the tables that are left when an area is unmapped
 * @area: the area; to be given in ascending order
 * @left: the count
 *
 * Unmapping an area frees the tables that it covers as a whole; those at its ends
 * stay until the domain is freed.
 *
 * Context: any.
 */
void ioasid_count_leftovers(const struct ioasid_area *area,
			    struct ioasid_leftovers *left)
{
	static const u32 shift[2] = { 21, 30 };
	u64 end[2] = { area->first, ioasid_area_last(area) + 1 };
	u32 level, i;

	for (level = 0; level < 2; level++)
		for (i = 0; i < 2; i++) {
			u64 table = (end[i] - i) >> shift[level];

			if (!(end[i] & (BIT_ULL(shift[level]) - 1)) ||
			    left->seen[level] == table + 1)
				continue;
			left->seen[level] = table + 1;
			left->tables++;
		}
}

/*
 * Unmaps the areas below @end in a domain; all of them if @end is NULL. Returns
 * how many pages of page tables are left, about.
 */
static u32 ioasid_unfill(struct ioasid_space *space,
			 struct ioasid_domain *domain, struct ioasid_area *end)
{
	struct ioasid_area *area = ioasid_iova_first(space, 0, U64_MAX);
	struct iommu_iotlb_gather gather;
	struct ioasid_leftovers left = {};

	lockdep_assert_held(&space->iova_lock);
	if (area == end)
		return 0;
	iommu_iotlb_gather_init(&gather);
	for (; area != end; area = ioasid_iova_next(area)) {
		ioasid_domain_unmap(domain->domain, area, &gather);
		ioasid_count_leftovers(area, &left);
		cond_resched();
	}
	ioasid_flush(domain->domain, &gather);
	return left.tables;
}

/**
 * ioasid_domain_fill() - map all areas of a space in a new domain
 * @space: the space
 * @domain: the domain; not used by any device yet, and empty again on failure
 * @extack: the reason if it fails
 *
 * Maps from the runs, without walking a page table or pinning.
 *
 * Context: ioasid_space.rwsem is held for writing; can sleep. Takes iova_lock.
 *
 * Return: 0, -ERANGE if the domain cannot address a mapping, or the error of
 * the IOMMU driver.
 */
int ioasid_domain_fill(struct ioasid_space *space, struct ioasid_domain *domain,
		       struct ioasid_extack *extack)
{
	struct ioasid_area *area;
	int rc = 0;

	lockdep_assert_held_write(&space->rwsem);
	mutex_lock(&space->iova_lock);
	area = ioasid_iova_first(space, 0, U64_MAX);
	for (; area; area = ioasid_iova_next(area)) {
		rc = ioasid_check_aperture(domain, area, extack) ?:
			     ioasid_area_map(domain->domain, area, extack);
		if (rc) {
			ioasid_unfill(space, domain, area);
			break;
		}
		cond_resched();
	}
	mutex_unlock(&space->iova_lock);
	return rc;
}

/**
 * ioasid_domain_must_be_emptied() - check whether to unmap all before the free
 * @space: the space
 * @domain: its domain
 *
 * Freeing a domain frees its page table without unmapping each entry. But where
 * the free is deferred, nobody looks at the page table in the meantime, whose
 * memory is not to be kept. Kernels with CONFIG_IOMMU_DEBUG_PAGEALLOC count the
 * mappings of each page.
 *
 * Context: any.
 *
 * Return: false if it is not necessary.
 */
bool ioasid_domain_must_be_emptied(struct ioasid_space *space,
				   const struct ioasid_domain *domain)
{
	return IS_ENABLED(CONFIG_IOMMU_DEBUG_PAGEALLOC) ||
	       ioasid_space_may_report(space) || domain->reports_unlocked;
}

/**
 * ioasid_domain_unfill() - prepare a domain to be freed
 * @space: the space
 * @domain: its domain; not used by any device any more
 *
 * Context: ioasid_space.rwsem is held for writing; can sleep. Takes iova_lock.
 */
void ioasid_domain_unfill(struct ioasid_space *space,
			  struct ioasid_domain *domain)
{
	lockdep_assert_held_write(&space->rwsem);
	if (!ioasid_domain_must_be_emptied(space, domain))
		return;
	mutex_lock(&space->iova_lock);
	domain->tables = ioasid_unfill(space, domain, NULL);
	mutex_unlock(&space->iova_lock);
}
