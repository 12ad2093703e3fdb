// SPDX-License-Identifier: GPL-2.0
/*
 * Which IOVA of a space is taken, and which can be used at all. The tree of
 * areas is under iova_lock, the usable ranges under rwsem. Nothing here may
 * touch memory or a page table.
 */
#include <linux/sizes.h>
#include <linux/slab.h>
#include "ioasid_private.h"

/*
 * Stands in the tree where an area was. Putting it there replaces an entry of
 * the same size, which needs no memory, so that taking away cannot fail; and a
 * program that maps at the same IOVA again finds its place without the tree
 * being rebuilt. Remains are swept up when there are more of them than areas.
 */
static struct ioasid_area ioasid_area_gone = { .state = IOASID_AREA_LEAVING };

/* Remains that are not worth a sweep */
#define IOASID_GONE_FEW		1024

static void ioasid_tree_init(struct ioasid_space *space)
{
	mt_init_flags(&space->areas,
		      MT_FLAGS_ALLOC_RANGE | MT_FLAGS_LOCK_EXTERN);
	mt_set_external_lock(&space->areas, &space->iova_lock);
}

/* Leaves the tree empty */
static void ioasid_tree_clear(struct ioasid_space *space)
{
	__mt_destroy(&space->areas);
	ioasid_tree_init(space);
	space->nr_areas = 0;
	space->nr_gone = 0;
}

int ioasid_iova_init(struct ioasid_space *space)
{
	mutex_init(&space->iova_lock);
	ioasid_tree_init(space);
	if (ioasid_iova_make_room(space, 0))
		return -ENOMEM;
	ioasid_iova_update(space);
	return 0;
}

/**
 * ioasid_iova_clear() - forget all areas, which have been freed
 * @space: the space
 */
void ioasid_iova_clear(struct ioasid_space *space)
{
	mutex_lock(&space->iova_lock);
	ioasid_tree_clear(space);
	mutex_unlock(&space->iova_lock);
}

void ioasid_iova_destroy(struct ioasid_space *space)
{
	ioasid_iova_clear(space);
	kvfree(space->usable);
	kvfree(space->reserved);
}

/* The first usable range that ends at or behind @iova; nr_usable if none does */
static u32 ioasid_usable_find(struct ioasid_space *space, u64 iova)
{
	u32 low = 0, high = space->nr_usable;

	while (low < high) {
		u32 mid = low + (high - low) / 2;

		if (space->usable[mid].last < iova)
			low = mid + 1;
		else
			high = mid;
	}
	return low;
}

static bool ioasid_iova_usable(struct ioasid_space *space, u64 first, u64 last)
{
	u32 i = ioasid_usable_find(space, first);

	return i < space->nr_usable && first >= space->usable[i].first &&
	       last <= space->usable[i].last;
}

/* Erases the remains of areas, with the gaps between them */
static void ioasid_iova_sweep(struct ioasid_space *space)
{
	MA_STATE(mas, &space->areas, 0, 0);
	struct ioasid_area *area;
	u64 first, last;

	area = mas_find(&mas, ULONG_MAX);
	while (area) {
		cond_resched();
		if (area != &ioasid_area_gone) {
			area = mas_find(&mas, ULONG_MAX);
			continue;
		}
		first = mas.index;
		do {
			last = mas.last;
			area = mas_find(&mas, ULONG_MAX);
		} while (area == &ioasid_area_gone);
		mas_set_range(&mas, first, last);
		/* Without memory they stay until the next time */
		if (mas_store_gfp(&mas, NULL, GFP_KERNEL_ACCOUNT))
			return;
		if (last == ULONG_MAX)
			break;
		mas_set(&mas, last + 1);
		area = mas_find(&mas, ULONG_MAX);
	}
	space->nr_gone = 0;
}

/**
 * ioasid_iova_tidy() - sweep if there are many more remains than areas
 * @space: the space; iova_lock is held
 *
 * Fewer are cheaper to keep: a program that unmaps all of its mappings one by
 * one shall not pay for the tree's balance each time.
 */
void ioasid_iova_tidy(struct ioasid_space *space)
{
	if (space->nr_gone > 16ULL * space->nr_areas + IOASID_GONE_FEW)
		ioasid_iova_sweep(space);
}

/* The first area that is in the way at [first, last], or NULL */
static struct ioasid_area *ioasid_iova_blocker(struct ma_state *mas, u64 first,
					       u64 last)
{
	struct ioasid_area *area;

	mas_set(mas, first);
	area = mas_walk(mas);
	if ((!area || area == &ioasid_area_gone) && mas->last >= last)
		return NULL;
	while (!area || area == &ioasid_area_gone) {
		cond_resched();
		if (mas->last >= last)
			area = NULL;
		else
			area = mas_find(mas, last);
		if (!area) {
			/* What the walk has found is not where we began */
			mas_set(mas, first);
			return NULL;
		}
	}
	return area;
}

static int ioasid_iova_store(struct ioasid_space *space, struct ma_state *mas,
			     u64 first, u64 last, struct ioasid_area *area)
{
	int rc;

	/* Keeps the node that the walk before has found */
	__mas_set_range(mas, first, last);
	rc = mas_store_gfp(mas, area, GFP_KERNEL_ACCOUNT);
	if (!rc)
		space->nr_areas++;
	return rc;
}

static int ioasid_iova_insert_fixed(struct ioasid_space *space,
				    struct ioasid_area *area, u64 first,
				    u64 last, struct ioasid_explain *why)
{
	MA_STATE(mas, &space->areas, first, last);
	struct ioasid_area *other;

	if (!ioasid_iova_usable(space, first, last)) {
		why->value = first;
		return ioasid_fail(why, -ERANGE, IOASID_REASON_UNUSABLE,
				   "IOVA %#llx-%#llx is not in a usable range of space %u",
				   first, last, space->id);
	}
	other = ioasid_iova_blocker(&mas, first, last);
	if (other) {
		why->value = mas.index;
		return ioasid_fail(why, -EEXIST, IOASID_REASON_OVERLAP,
				   "IOVA %#llx-%#llx overlaps the mapping at %#lx-%#lx",
				   first, last, mas.index, mas.last);
	}
	if (ioasid_iova_store(space, &mas, first, last, area))
		return ioasid_fail(why, -ENOMEM, IOASID_REASON_NO_MEMORY,
				   "no memory for the tree of mappings");
	return 0;
}

/*
 * Looks for a free IOVA that is @offset modulo @align, so that huge pages of
 * the memory can be huge pages of the IOMMU.
 */
static int ioasid_iova_find(struct ioasid_space *space, u64 length, u64 align,
			    u64 offset, u64 *iova)
{
	u64 need;
	u32 i;

	if (check_add_overflow(length, align - PAGE_SIZE, &need))
		return -ENOSPC;
	offset &= align - 1;
	for (i = 0; i < space->nr_usable; i++) {
		u64 first = max_t(u64, space->usable[i].first, PAGE_SIZE);
		u64 last = space->usable[i].last;
		MA_STATE(mas, &space->areas, 0, 0);

		if (last < first || last - first < need - 1)
			continue;
		if (mas_empty_area(&mas, first, last, need))
			continue;
		*iova = mas.index + ((offset - mas.index) & (align - 1));
		return 0;
	}
	return -ENOSPC;
}

/* Tries the largest page that fits into the length first */
static int ioasid_iova_find_aligned(struct ioasid_space *space, u64 length,
				    u64 addr, u64 *iova)
{
	static const u64 aligns[] = { SZ_1G, SZ_2M, PAGE_SIZE };
	u32 i;

	for (i = 0; i < ARRAY_SIZE(aligns); i++)
		if (length >= aligns[i] &&
		    !ioasid_iova_find(space, length, aligns[i], addr, iova))
			return 0;
	return -ENOSPC;
}

static int ioasid_iova_insert_anywhere(struct ioasid_space *space,
				       struct ioasid_area *area, u64 *iova,
				       u64 length, u64 addr,
				       struct ioasid_explain *why)
{
	int rc = ioasid_iova_find_aligned(space, length, addr, iova);

	if (rc && space->nr_gone) {
		ioasid_iova_sweep(space);
		rc = ioasid_iova_find_aligned(space, length, addr, iova);
	}
	if (!rc)
		return ioasid_iova_insert_fixed(space, area, *iova,
						*iova + length - 1, why);
	why->value = length;
	return ioasid_fail(why, -ENOSPC, IOASID_REASON_NO_ROOM,
			   "no free IOVA range of %llu KiB in space %u",
			   length >> 10, space->id);
}

/**
 * ioasid_iova_insert() - take a range of IOVA
 * @space: the space; rwsem is held for reading
 * @area: what to put there
 * @iova: where; set if not @fixed
 * @length: bytes, not 0
 * @fixed: at @iova and nowhere else; otherwise *@iova is the address of the
 *	memory, for alignment
 * @why: the reason if it fails
 *
 * Return: 0, -EEXIST, -ERANGE outside of the usable ranges, -ENOSPC, -ENOMEM.
 */
int ioasid_iova_insert(struct ioasid_space *space, struct ioasid_area *area,
		       u64 *iova, u64 length, bool fixed,
		       struct ioasid_explain *why)
{
	int rc;

	mutex_lock(&space->iova_lock);
	if (space->nr_gone > space->nr_areas + IOASID_GONE_FEW)
		ioasid_iova_sweep(space);
	if (fixed)
		rc = ioasid_iova_insert_fixed(space, area, *iova,
					      *iova + length - 1, why);
	else
		rc = ioasid_iova_insert_anywhere(space, area, iova, length,
						 *iova, why);
	mutex_unlock(&space->iova_lock);
	return rc;
}

/**
 * ioasid_iova_erase() - give a range of IOVA back
 * @space: the space; iova_lock is held
 * @first: first address of an area
 * @last: last address of the same area
 *
 * Cannot fail.
 */
void ioasid_iova_erase(struct ioasid_space *space, u64 first, u64 last)
{
	MA_STATE(mas, &space->areas, first, last);

	space->nr_areas--;
	space->nr_gone++;
	if (!space->nr_areas && space->nr_gone > IOASID_GONE_FEW) {
		ioasid_tree_clear(space);
		return;
	}
	/* In the place of an entry of the same size: needs no memory */
	WARN_ON(mas_store_gfp(&mas, &ioasid_area_gone, GFP_KERNEL_ACCOUNT));
}

/**
 * ioasid_iova_split() - let another area begin within an area
 * @space: the space; iova_lock is held
 * @first: where the new area begins
 * @last: last address of the present area, and so of the new one
 * @area: the new area
 *
 * Return: 0 or -ENOMEM.
 */
int ioasid_iova_split(struct ioasid_space *space, u64 first, u64 last,
		      struct ioasid_area *area)
{
	MA_STATE(mas, &space->areas, first, last);

	return ioasid_iova_store(space, &mas, first, last, area);
}

/**
 * ioasid_iova_first() - the first area of a range
 * @space: the space; iova_lock is held
 * @first: first address of the range
 * @last: last address of the range
 * @area_first: where to put the area's first address
 * @area_last: where to put the area's last address
 *
 * Return: the lowest area that has an address in the range, or NULL.
 */
struct ioasid_area *ioasid_iova_first(struct ioasid_space *space, u64 first,
				      u64 last, u64 *area_first, u64 *area_last)
{
	MA_STATE(mas, &space->areas, first, first);
	struct ioasid_area *area;

	do {
		area = mas_find(&mas, last);
		cond_resched();
	} while (area == &ioasid_area_gone);
	*area_first = mas.index;
	*area_last = mas.last;
	return area;
}

/**
 * ioasid_iova_make_room() - prepare for more constraints on a space
 * @space: the space; rwsem is held for writing, or nobody else knows it
 * @more: how many reserved ranges and domains are to come
 *
 * The array of usable ranges never shrinks, so that taking constraints away
 * needs no memory.
 *
 * Return: 0 or -ENOMEM.
 */
int ioasid_iova_make_room(struct ioasid_space *space, u32 more)
{
	struct ioasid_attachment *att;
	struct ioasid_iova_range *bigger;
	u32 need = 1 + more + space->nr_reserved;

	list_for_each_entry(att, &space->attachments, space_link)
		need += att->nr_reserved;
	if (need <= space->max_usable)
		return 0;
	bigger = kvmalloc_array(need, sizeof(*bigger), GFP_KERNEL_ACCOUNT);
	if (!bigger)
		return -ENOMEM;
	if (space->nr_usable)
		memcpy(bigger, space->usable,
		       space->nr_usable * sizeof(*bigger));
	kvfree(space->usable);
	space->usable = bigger;
	space->max_usable = need;
	return 0;
}

static void ioasid_usable_delete(struct ioasid_space *space, u32 i)
{
	space->nr_usable--;
	memmove(&space->usable[i], &space->usable[i + 1],
		(space->nr_usable - i) * sizeof(*space->usable));
}

static void ioasid_usable_split(struct ioasid_space *space, u32 i, u64 first,
				u64 last)
{
	struct ioasid_iova_range *r = &space->usable[i];

	if (WARN_ON(space->nr_usable >= space->max_usable))
		return;
	memmove(r + 1, r, (space->nr_usable - i) * sizeof(*r));
	space->nr_usable++;
	r[0].last = first - 1;
	r[1].first = last + 1;
}

/* Takes [first, last] out of the usable ranges */
static void ioasid_usable_cut(struct ioasid_space *space, u64 first, u64 last)
{
	u32 i = ioasid_usable_find(space, first);

	while (i < space->nr_usable) {
		struct ioasid_iova_range *r = &space->usable[i];

		if (last < r->first)
			return;
		if (first > r->first && last < r->last) {
			ioasid_usable_split(space, i, first, last);
			return;
		} else if (first <= r->first && last >= r->last) {
			ioasid_usable_delete(space, i);
		} else if (first > r->first) {
			r->last = first - 1;
			i++;
		} else {
			r->first = last + 1;
			return;
		}
	}
}

/**
 * ioasid_iova_update() - work out the usable ranges anew
 * @space: the space; rwsem is held for writing, or nobody else knows it
 *
 * What every domain can address, less what any attached group and the user
 * reserve. Cannot fail: see ioasid_iova_make_room().
 */
void ioasid_iova_update(struct ioasid_space *space)
{
	struct ioasid_attachment *att;
	struct ioasid_domain *domain;
	u32 i;

	space->usable[0].first = 0;
	space->usable[0].last = U64_MAX;
	space->nr_usable = 1;
	list_for_each_entry(domain, &space->domains, link) {
		struct iommu_domain_geometry *g = &domain->domain->geometry;

		if (!g->force_aperture)
			continue;
		if (g->aperture_start)
			ioasid_usable_cut(space, 0, g->aperture_start - 1);
		if (g->aperture_end != U64_MAX)
			ioasid_usable_cut(space, g->aperture_end + 1, U64_MAX);
	}
	list_for_each_entry(att, &space->attachments, space_link)
		for (i = 0; i < att->nr_reserved; i++)
			ioasid_usable_cut(space, att->reserved[i].first,
					  att->reserved[i].last);
	for (i = 0; i < space->nr_reserved; i++)
		ioasid_usable_cut(space, space->reserved[i].first,
				  space->reserved[i].last);
}
