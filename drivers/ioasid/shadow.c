// SPDX-License-Identifier: GPL-2.0
/*
 * Shadow spaces: nesting in software, for IOMMUs that cannot nest. The user maps
 * IOVA of a mapped space, the parent, and the page tables of the shadow space have
 * what both map at this moment, with the permissions of both. A device must never
 * reach more than that: what is unmapped in the parent has left its shadows before
 * it is unpinned.
 *
 * A slice is where a mapping of the shadow and one of the parent meet. It is mapped
 * and unmapped as a whole, in all domains of the shadow, so that no huge page of an
 * IOMMU is ever split.
 */
#include <linux/interval_tree_generic.h>
#include <linux/iommu.h>
#include <linux/sched/signal.h>
#include <linux/slab.h>
#include "ioasid_private.h"

#define ioasid_link_first(l)	((l)->to)
#define ioasid_link_last(l)	((l)->to + ioasid_area_length(&(l)->area) - 1)

INTERVAL_TREE_DEFINE(struct ioasid_shadow_area, rb, u64, subtree_last,
		     ioasid_link_first, ioasid_link_last, static, ioasid_links)

/**
 * ioasid_shadow_area_alloc() - allocate a mapping of IOVA of the parent
 * @r: the range
 * @extack: the reason if there is no memory
 *
 * Context: can sleep.
 *
 * Return: the PENDING area, to be freed by ioasid_area_free(), or
 * ERR_PTR(-ENOMEM).
 */
struct ioasid_area *ioasid_shadow_area_alloc(const struct ioasid_map_range *r,
					     struct ioasid_extack *extack)
{
	struct ioasid_shadow_area *link = kzalloc(sizeof(*link),
						  GFP_KERNEL_ACCOUNT);

	if (!link)
		return ERR_PTR(ioasid_fail(extack, -ENOMEM,
					   IOASID_REASON_NO_MEMORY,
					   "no memory for a mapping"));
	link->to = r->addr;
	link->area.nr = r->length >> PAGE_SHIFT;
	link->area.prot = r->flags & (IOASID_MAP_READ | IOASID_MAP_WRITE);
	link->area.state = IOASID_AREA_PENDING;
	link->area.type = IOASID_AREA_SHADOW;
	return &link->area;
}

/*
 * Where @link and an area of the parent meet. False if nothing is mapped there: a
 * first-stage page table has no writing without reading.
 */
static bool ioasid_slice(const struct ioasid_area *above,
			 const struct ioasid_shadow_area *link,
			 struct ioasid_copied_area *slice)
{
	u64 first = max(above->first, link->to);
	u64 last = min(ioasid_area_last(above), ioasid_link_last(link));
	u32 prot = above->prot & link->area.prot;

	if (first > last || !(prot & IOASID_MAP_READ))
		return false;
	*slice = (struct ioasid_copied_area) {
		.area = {
			.first = link->area.first + (first - link->to),
			.nr = (last - first + 1) >> PAGE_SHIFT,
			.prot = prot,
			.type = IOASID_AREA_COPIED,
		},
		.pages = ioasid_area_pages(above),
		.page = ioasid_area_page(above) +
			((first - above->first) >> PAGE_SHIFT),
	};
	return true;
}

/* For each step, also those that find nothing to be mapped */
static int ioasid_merge_killed(struct ioasid_extack *extack)
{
	cond_resched();
	if (!fatal_signal_pending(current))
		return 0;
	return ioasid_fail(extack, -EINTR, IOASID_REASON_KILLED,
			   "killed while mapping");
}

/*
 * How often mappings of a shadow and of its parent meet is the product of two
 * numbers that the user chooses, and loops that cannot be interrupted take that
 * long: so it has a quota, whether or not anything is mapped there.
 */
static int ioasid_slices_charge(struct ioasid_space *space, u32 nr,
				struct ioasid_extack *extack)
{
	int rc = ioasid_charge(space->ctx, IOASID_QUOTA_SLICES, nr, extack);

	lockdep_assert_held(&space->parent->merge_lock);
	if (!rc)
		space->nr_slices += nr;
	return rc;
}

static void ioasid_slices_uncharge(struct ioasid_space *space, u32 nr)
{
	lockdep_assert_held(&space->parent->merge_lock);
	space->nr_slices -= nr;
	ioasid_uncharge(space->ctx, IOASID_QUOTA_SLICES, nr);
}

/* How many mappings of the parent a mapping of the shadow meets */
static u32 ioasid_link_count(struct ioasid_space *parent,
			     const struct ioasid_shadow_area *link)
{
	struct ioasid_area *above;
	u32 nr = 0;

	lockdep_assert_held(&parent->merge_lock);
	lockdep_assert_held(&parent->iova_lock);
	above = ioasid_iova_first(parent, link->to, ioasid_link_last(link));
	for (; above && above->first <= ioasid_link_last(link);
	     above = ioasid_iova_next(above)) {
		nr += above->merged;
		cond_resched();
	}
	return nr;
}

/* And the other way round */
static u32 ioasid_area_count(struct ioasid_space *space,
			     const struct ioasid_area *area)
{
	struct ioasid_shadow_area *link;
	u32 nr = 0;

	lockdep_assert_held(&space->parent->merge_lock);
	link = ioasid_links_iter_first(&space->links, area->first,
				       ioasid_area_last(area));
	for (; link; link = ioasid_links_iter_next(link, area->first,
						   ioasid_area_last(area))) {
		nr++;
		cond_resched();
	}
	return nr;
}

/* --- a mapping of the shadow against all of the parent ------------------------- */

/* Unmaps the slices of @link below the area @end of the parent, or all */
static void ioasid_link_unmap(struct ioasid_space *parent,
			      struct iommu_domain *domain,
			      const struct ioasid_shadow_area *link,
			      const struct ioasid_area *end,
			      struct iommu_iotlb_gather *gather,
			      struct ioasid_leftovers *left)
{
	struct ioasid_copied_area slice;
	struct ioasid_area *above;

	lockdep_assert_held(&parent->merge_lock);
	lockdep_assert_held(&parent->iova_lock);
	above = ioasid_iova_first(parent, link->to, ioasid_link_last(link));
	for (; above && above != end && above->first <= ioasid_link_last(link);
	     above = ioasid_iova_next(above)) {
		if (above->merged && ioasid_slice(above, link, &slice)) {
			ioasid_domain_unmap(domain, &slice.area, gather);
			ioasid_count_leftovers(&slice.area, left);
		}
		cond_resched();
	}
}

/* Maps the slices of @link in a domain, all of them or none */
static int ioasid_link_map(struct ioasid_space *parent,
			   struct iommu_domain *domain,
			   const struct ioasid_shadow_area *link,
			   struct ioasid_extack *extack)
{
	struct ioasid_leftovers ignored = {};
	struct iommu_iotlb_gather gather;
	struct ioasid_copied_area slice;
	struct ioasid_area *above;
	int rc = 0;

	lockdep_assert_held(&parent->merge_lock);
	lockdep_assert_held(&parent->iova_lock);
	above = ioasid_iova_first(parent, link->to, ioasid_link_last(link));
	for (; above && above->first <= ioasid_link_last(link);
	     above = ioasid_iova_next(above)) {
		rc = ioasid_merge_killed(extack);
		if (!rc && above->merged && ioasid_slice(above, link, &slice))
			rc = ioasid_area_map(domain, &slice.area, extack);
		if (rc)
			goto undo;
	}
	return 0;
undo:
	iommu_iotlb_gather_init(&gather);
	ioasid_link_unmap(parent, domain, link, above, &gather, &ignored);
	ioasid_flush(domain, &gather);
	return rc;
}

static int ioasid_shadow_map_area(struct ioasid_space *space,
				  struct ioasid_area *area,
				  struct ioasid_extack *extack)
{
	struct ioasid_shadow_area *link = to_shadow_area(area);
	struct ioasid_space *parent = space->parent;
	struct ioasid_leftovers ignored = {};
	struct iommu_iotlb_gather gather;
	struct ioasid_domain *d;
	u32 nr;
	int rc;

	lockdep_assert_held(&parent->rwsem);
	lockdep_assert_held(&space->rwsem);
	guard(mutex)(&parent->merge_lock);
	guard(mutex)(&parent->iova_lock);
	nr = ioasid_link_count(parent, link);
	rc = ioasid_slices_charge(space, nr, extack);
	if (rc)
		return rc;
	list_for_each_entry(d, &space->domains, link) {
		rc = ioasid_link_map(parent, d->domain, link, extack);
		if (rc)
			goto undo;
	}
	ioasid_links_insert(link, &space->links);
	return 0;
undo:
	list_for_each_entry_continue_reverse(d, &space->domains, link) {
		iommu_iotlb_gather_init(&gather);
		ioasid_link_unmap(parent, d->domain, link, NULL, &gather,
				  &ignored);
		ioasid_flush(d->domain, &gather);
	}
	ioasid_slices_uncharge(space, nr);
	return rc;
}

static void ioasid_shadow_unmap_areas(struct ioasid_space *space,
				      struct ioasid_area **area, u32 nr)
{
	struct ioasid_space *parent = space->parent;
	struct ioasid_leftovers ignored = {};
	struct iommu_iotlb_gather gather;
	struct ioasid_domain *d;
	u32 i;

	lockdep_assert_held(&parent->rwsem);
	lockdep_assert_held(&space->rwsem);
	guard(mutex)(&parent->merge_lock);
	guard(mutex)(&parent->iova_lock);
	list_for_each_entry(d, &space->domains, link) {
		iommu_iotlb_gather_init(&gather);
		for (i = 0; i < nr; i++)
			ioasid_link_unmap(parent, d->domain,
					  to_shadow_area(area[i]), NULL,
					  &gather, &ignored);
		ioasid_flush(d->domain, &gather);
	}
	for (i = 0; i < nr; i++) {
		struct ioasid_shadow_area *link = to_shadow_area(area[i]);

		ioasid_slices_uncharge(space, ioasid_link_count(parent, link));
		ioasid_links_remove(link, &space->links);
	}
}

/* --- a mapping of the parent against all shadows --------------------------------- */

/* Unmaps the slices of an area of the parent in a domain, up to @end, or all */
static void ioasid_area_leave(struct ioasid_space *space,
			      struct iommu_domain *domain,
			      const struct ioasid_area *area,
			      const struct ioasid_shadow_area *end,
			      struct iommu_iotlb_gather *gather)
{
	struct ioasid_shadow_area *link;
	struct ioasid_copied_area slice;

	lockdep_assert_held(&space->parent->merge_lock);
	link = ioasid_links_iter_first(&space->links, area->first,
				       ioasid_area_last(area));
	for (; link && link != end;
	     link = ioasid_links_iter_next(link, area->first,
					   ioasid_area_last(area))) {
		if (ioasid_slice(area, link, &slice))
			ioasid_domain_unmap(domain, &slice.area, gather);
		cond_resched();
	}
}

static int ioasid_area_join(struct ioasid_space *space,
			    struct iommu_domain *domain,
			    const struct ioasid_area *area,
			    struct ioasid_extack *extack)
{
	struct iommu_iotlb_gather gather;
	struct ioasid_shadow_area *link;
	struct ioasid_copied_area slice;
	int rc = 0;

	lockdep_assert_held(&space->parent->merge_lock);
	link = ioasid_links_iter_first(&space->links, area->first,
				       ioasid_area_last(area));
	for (; link; link = ioasid_links_iter_next(link, area->first,
						   ioasid_area_last(area))) {
		rc = ioasid_merge_killed(extack);
		if (!rc && ioasid_slice(area, link, &slice))
			rc = ioasid_area_map(domain, &slice.area, extack);
		if (rc)
			goto undo;
	}
	return 0;
undo:
	iommu_iotlb_gather_init(&gather);
	ioasid_area_leave(space, domain, area, link, &gather);
	ioasid_flush(domain, &gather);
	return rc;
}

/* The same in all domains of a shadow */
static int ioasid_area_join_all(struct ioasid_space *space,
				const struct ioasid_area *area,
				struct ioasid_extack *extack)
{
	u32 nr = ioasid_area_count(space, area);
	struct iommu_iotlb_gather gather;
	struct ioasid_domain *d;
	int rc = ioasid_slices_charge(space, nr, extack);

	lockdep_assert_held(&space->parent->merge_lock);
	if (rc)
		return rc;
	list_for_each_entry(d, &space->domains, link) {
		rc = ioasid_area_join(space, d->domain, area, extack);
		if (rc)
			goto undo;
	}
	return 0;
undo:
	list_for_each_entry_continue_reverse(d, &space->domains, link) {
		iommu_iotlb_gather_init(&gather);
		ioasid_area_leave(space, d->domain, area, NULL, &gather);
		ioasid_flush(d->domain, &gather);
	}
	ioasid_slices_uncharge(space, nr);
	return rc;
}

/* One flush for each domain of a shadow */
static void ioasid_areas_leave_all(struct ioasid_space *space,
				   struct ioasid_area **area, u32 nr)
{
	struct iommu_iotlb_gather gather;
	struct ioasid_domain *d;
	u32 i;

	lockdep_assert_held(&space->parent->merge_lock);
	list_for_each_entry(d, &space->domains, link) {
		iommu_iotlb_gather_init(&gather);
		for (i = 0; i < nr; i++)
			if (area[i]->merged)
				ioasid_area_leave(space, d->domain, area[i],
						  NULL, &gather);
		ioasid_flush(d->domain, &gather);
	}
	for (i = 0; i < nr; i++)
		if (area[i]->merged)
			ioasid_slices_uncharge(space, ioasid_area_count(space,
									area[i]));
}

/**
 * ioasid_shadows_join() - map an area in all shadows of its space, or in none
 * @space: the parent
 * @area: its area, mapped in all its own domains
 * @extack: the reason if it fails
 *
 * Context: ioasid_space.rwsem is held, and so keeps the domains of the shadows as
 * they are; can sleep. Takes ioasid_space.merge_lock.
 *
 * Return: 0, or an error of ioasid_area_map().
 */
int ioasid_shadows_join(struct ioasid_space *space, struct ioasid_area *area,
			struct ioasid_extack *extack)
{
	struct ioasid_space *shadow;
	int rc;

	lockdep_assert_held(&space->rwsem);
	if (list_empty_careful(&space->shadows))
		return 0;
	guard(mutex)(&space->merge_lock);
	list_for_each_entry(shadow, &space->shadows, shadow_link) {
		rc = ioasid_area_join_all(shadow, area, extack);
		if (rc)
			goto undo;
	}
	area->merged = true;
	return 0;
undo:
	area->merged = true;
	list_for_each_entry_continue_reverse(shadow, &space->shadows,
					     shadow_link)
		ioasid_areas_leave_all(shadow, &area, 1);
	area->merged = false;
	return rc;
}

/**
 * ioasid_shadows_leave() - unmap areas in all shadows of their space, and flush
 * @space: the parent
 * @area: its areas
 * @nr: number of areas
 *
 * Cannot fail, as ioasid_unmap_areas().
 *
 * Context: ioasid_space.rwsem is held; can sleep. Takes ioasid_space.merge_lock.
 */
void ioasid_shadows_leave(struct ioasid_space *space,
			  struct ioasid_area **area, u32 nr)
{
	struct ioasid_space *shadow;
	u32 i;

	lockdep_assert_held(&space->rwsem);
	guard(mutex)(&space->merge_lock);
	list_for_each_entry(shadow, &space->shadows, shadow_link)
		ioasid_areas_leave_all(shadow, area, nr);
	for (i = 0; i < nr; i++) {
		area[i]->merged = false;
		cond_resched();
	}
}

/* --- the kind ---------------------------------------------------------------------- */

static int ioasid_shadow_check(const struct ioasid_space_params *params,
			       struct ioasid_extack *extack)
{
	if (params->flags & IOASID_ALLOC_NEST_PARENT)
		return ioasid_fail(extack, -EINVAL, IOASID_REASON_KIND,
				   "a shadow space cannot be a parent itself");
	if (!params->parent)
		return ioasid_fail(extack, -EINVAL, IOASID_REASON_VALUE,
				   "a shadow space needs a parent");
	if (params->data_type || params->data_len || params->data)
		return ioasid_fail(extack, -EOPNOTSUPP, IOASID_REASON_FORMAT,
				   "a shadow space has no page table of the user, so data must be 0");
	return 0;
}

static const char *ioasid_why_no_shadow_parent(struct ioasid_space *parent)
{
	return parent->ops->no_map || parent->parent ?
	       "it is not a mapped space" : NULL;
}

/* With its first shadow, what a space has mapped counts as merged */
static int ioasid_shadow_init(struct ioasid_space *space,
			      const struct ioasid_space_params *params,
			      struct ioasid_extack *extack)
{
	struct ioasid_area *area;
	struct ioasid_space *parent;
	int rc = ioasid_space_set_parent(space, params->parent,
					 ioasid_why_no_shadow_parent, extack);

	if (rc)
		return rc;
	parent = space->parent;
	/* Nothing is being mapped or unmapped then */
	down_write(&parent->rwsem);
	scoped_guard(mutex, &parent->merge_lock) {
		guard(mutex)(&parent->iova_lock);
		area = list_empty(&parent->shadows) ?
		       ioasid_iova_first(parent, 0, U64_MAX) : NULL;
		for (; area; area = ioasid_iova_next(area)) {
			area->merged = true;
			cond_resched();
		}
		list_add_tail(&space->shadow_link, &parent->shadows);
	}
	up_write(&parent->rwsem);
	return 0;
}

static void ioasid_shadow_empty(struct ioasid_space *space)
{
	/* From here on the parent does not look at it any more */
	scoped_guard(mutex, &space->parent->merge_lock) {
		list_del_init(&space->shadow_link);
		space->links = RB_ROOT_CACHED;
		ioasid_slices_uncharge(space, space->nr_slices);
	}
	ioasid_mapped_empty(space);
}

/*
 * Unmaps the areas below @end in a domain; all of them if @end is NULL. Returns how
 * many pages of page tables are left, about.
 */
static u32 ioasid_shadow_unfill_to(struct ioasid_space *space,
				   struct iommu_domain *domain,
				   const struct ioasid_area *end)
{
	struct ioasid_area *area = ioasid_iova_first(space, 0, U64_MAX);
	struct ioasid_leftovers left = {};
	struct iommu_iotlb_gather gather;

	lockdep_assert_held(&space->iova_lock);
	if (area == end)
		return 0;
	iommu_iotlb_gather_init(&gather);
	for (; area != end; area = ioasid_iova_next(area))
		ioasid_link_unmap(space->parent, domain, to_shadow_area(area),
				  NULL, &gather, &left);
	ioasid_flush(domain, &gather);
	return left.tables;
}

static int ioasid_shadow_fill(struct ioasid_space *space,
			      struct ioasid_domain *domain,
			      struct ioasid_extack *extack)
{
	struct ioasid_space *parent = space->parent;
	struct ioasid_area *area;
	int rc;

	lockdep_assert_held_write(&space->rwsem);
	guard(mutex)(&parent->merge_lock);
	guard(mutex)(&parent->iova_lock);
	guard(mutex)(&space->iova_lock);
	area = ioasid_iova_first(space, 0, U64_MAX);
	for (; area; area = ioasid_iova_next(area)) {
		rc = ioasid_merge_killed(extack) ?:
			     ioasid_check_aperture(domain, area, extack) ?:
			     ioasid_link_map(parent, domain->domain,
					     to_shadow_area(area), extack);
		if (rc) {
			ioasid_shadow_unfill_to(space, domain->domain, area);
			return rc;
		}
	}
	return 0;
}

/* See ioasid_domain_unfill() */
static void ioasid_shadow_unfill(struct ioasid_space *space,
				 struct ioasid_domain *domain)
{
	struct ioasid_space *parent = space->parent;

	lockdep_assert_held_write(&space->rwsem);
	if (!ioasid_domain_must_be_emptied(space, domain))
		return;
	guard(mutex)(&parent->merge_lock);
	guard(mutex)(&parent->iova_lock);
	guard(mutex)(&space->iova_lock);
	domain->tables = ioasid_shadow_unfill_to(space, domain->domain, NULL);
}

const struct ioasid_space_ops ioasid_shadow_ops = {
	.name = "shadow",
	.check = ioasid_shadow_check,
	.init = ioasid_shadow_init,
	.empty = ioasid_shadow_empty,
	.map_area = ioasid_shadow_map_area,
	.unmap_areas = ioasid_shadow_unmap_areas,
	.fill = ioasid_shadow_fill,
	.unfill = ioasid_shadow_unfill,
};
