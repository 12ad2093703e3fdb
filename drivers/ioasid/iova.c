// SPDX-License-Identifier: GPL-2.0
/*
 * IOVA allocation of a space: the tree of areas, under iova_lock, and the
 * ranges that are usable at all, under rwsem. Nothing here may access pinned
 * memory or a page table.
 */
#include <linux/rbtree_augmented.h>
#include <linux/sizes.h>
#include <linux/slab.h>
#include "ioasid_private.h"

/*
 * A red-black tree, not a maple tree, since the node is embedded in the area,
 * so that inserting and erasing need no memory. Each node has the widest hole
 * of its subtree, to find free IOVA without a scan.
 */
#define ioasid_area_of(n)	rb_entry(n, struct ioasid_area, node)

static u64 ioasid_area_widest(struct ioasid_area *area)
{
	u64 widest = area->hole;

	if (area->node.rb_left)
		widest = max(widest, ioasid_area_of(area->node.rb_left)->widest);
	if (area->node.rb_right)
		widest = max(widest, ioasid_area_of(area->node.rb_right)->widest);
	return widest;
}

static bool ioasid_area_refresh(struct ioasid_area *area, bool exit)
{
	u64 widest = ioasid_area_widest(area);

	if (exit && area->widest == widest)
		return true;
	area->widest = widest;
	return false;
}

RB_DECLARE_CALLBACKS(static, ioasid_area_callbacks, struct ioasid_area, node,
		     widest, ioasid_area_refresh)

/**
 * ioasid_iova_init() - prepare the IOVA allocation of a new space
 * @space: the space, not published; everything is usable afterwards
 *
 * Context: can sleep.
 *
 * Return: 0 or -ENOMEM.
 */
int ioasid_iova_init(struct ioasid_space *space)
{
	mutex_init(&space->iova_lock);
	space->areas = RB_ROOT;
	if (ioasid_iova_make_room(space, 0))
		return -ENOMEM;
	ioasid_iova_update(space);
	return 0;
}

/**
 * ioasid_iova_destroy() - undo ioasid_iova_init()
 * @space: the space, without areas and without other users
 *
 * Context: can sleep.
 */
void ioasid_iova_destroy(struct ioasid_space *space)
{
	kvfree(space->usable);
	kvfree(space->reserved);
}

/* Index of the first usable range that ends at or above @iova, or nr_usable */
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

/* Returns -EEXIST if the area overlaps another one */
static int ioasid_iova_link(struct ioasid_space *space, struct ioasid_area *area)
{
	struct rb_node **link = &space->areas.rb_node, *parent = NULL;
	struct ioasid_area *below = NULL, *above = NULL;
	u64 last = ioasid_area_last(area);

	lockdep_assert_held(&space->iova_lock);
	while (*link) {
		struct ioasid_area *at = ioasid_area_of(*link);

		parent = *link;
		if (last < at->first) {
			above = at;
			link = &parent->rb_left;
		} else if (area->first > ioasid_area_last(at)) {
			below = at;
			link = &parent->rb_right;
		} else {
			return -EEXIST;
		}
	}
	area->hole = area->first - (below ? ioasid_area_last(below) + 1 : 0);
	area->widest = area->hole;
	rb_link_node(&area->node, parent, link);
	if (above)
		above->hole = above->first - last - 1;
	/* Before the rebalancing, which relies on up-to-date nodes */
	if (parent)
		ioasid_area_callbacks_propagate(parent, NULL);
	if (above)
		ioasid_area_callbacks_propagate(&above->node, NULL);
	rb_insert_augmented(&area->node, &space->areas, &ioasid_area_callbacks);
	space->nr_areas++;
	return 0;
}

/* The usable range that is next to [first, last], or has a part of it; or NULL */
static const struct ioasid_iova_range *
ioasid_usable_nearest(struct ioasid_space *space, u64 first, u64 last)
{
	u32 i = ioasid_usable_find(space, first);
	const struct ioasid_iova_range *above = space->usable + i;

	if (!space->nr_usable)
		return NULL;
	if (i == space->nr_usable)
		return above - 1;
	if (!i || above->first <= last ||
	    above->first - last < first - above[-1].last)
		return above;
	return above - 1;
}

static int ioasid_check_usable(struct ioasid_space *space, u64 first, u64 last,
			       struct ioasid_extack *extack)
{
	const struct ioasid_iova_range *near;

	lockdep_assert_held(&space->rwsem);
	if (ioasid_iova_usable(space, first, last))
		return 0;
	extack->value = first;
	near = ioasid_usable_nearest(space, first, last);
	if (!near)
		return ioasid_fail(extack, -ERANGE, IOASID_REASON_UNUSABLE,
				   "space %u has no usable range", space->id);
	return ioasid_fail(extack, -ERANGE, IOASID_REASON_UNUSABLE,
			   "IOVA %#llx-%#llx is not in a usable range of space %u, the nearest is %#llx-%#llx",
			   first, last, space->id, near->first, near->last);
}

static int ioasid_check_free(struct ioasid_space *space, u64 first, u64 last,
			     struct ioasid_extack *extack)
{
	struct ioasid_area *other = ioasid_iova_first(space, first, last);

	lockdep_assert_held(&space->iova_lock);
	if (!other)
		return 0;
	extack->value = other->first;
	return ioasid_fail(extack, -EEXIST, IOASID_REASON_OVERLAP,
			   "IOVA %#llx-%#llx overlaps the mapping at %#llx-%#llx",
			   first, last, other->first, ioasid_area_last(other));
}

/* True if the left subtree may have a hole of @need bytes above @low */
static bool ioasid_try_left(struct ioasid_area *area, u64 low, u64 need)
{
	struct rb_node *left = area->node.rb_left;

	/* All of the subtree is below the hole of @area */
	return left && ioasid_area_of(left)->widest >= need &&
	       area->first - area->hole > low;
}

static bool ioasid_try_right(struct ioasid_area *area, u64 need)
{
	struct rb_node *right = area->node.rb_right;

	return right && ioasid_area_of(right)->widest >= need;
}

/* Returns the next area above the subtree of @area, or NULL */
static struct ioasid_area *ioasid_climb(struct ioasid_area *area)
{
	struct rb_node *node = &area->node, *parent;

	while ((parent = rb_parent(node))) {
		if (node == parent->rb_left)
			return ioasid_area_of(parent);
		node = parent;
	}
	return NULL;
}

/* Finds the lowest area with @need free bytes between @low and itself */
static struct ioasid_area *ioasid_hole_find(struct ioasid_space *space, u64 low,
					    u64 need)
{
	struct rb_node *root = space->areas.rb_node;
	struct ioasid_area *area = root ? ioasid_area_of(root) : NULL;

	lockdep_assert_held(&space->iova_lock);
	if (!area || area->widest < need)
		return NULL;
	while (ioasid_try_left(area, low, need))
		area = ioasid_area_of(area->node.rb_left);
	while (area) {
		u64 start = max(area->first - area->hole, low);

		if (area->first > start && area->first - start >= need)
			return area;
		if (!ioasid_try_right(area, need)) {
			area = ioasid_climb(area);
			continue;
		}
		area = ioasid_area_of(area->node.rb_right);
		while (ioasid_try_left(area, low, need))
			area = ioasid_area_of(area->node.rb_left);
	}
	return NULL;
}

/* Finds the lowest gap of @need bytes within [first, last] */
static bool ioasid_gap_find(struct ioasid_space *space, u64 first, u64 last,
			    u64 need, u64 *gap)
{
	struct ioasid_area *area = ioasid_hole_find(space, first, need);
	struct rb_node *top;
	u64 end;

	lockdep_assert_held(&space->iova_lock);
	if (area) {
		*gap = max(first, area->first - area->hole);
	} else {
		/* The gap above the top area is not the hole of any area */
		top = rb_last(&space->areas);
		end = top ? ioasid_area_last(ioasid_area_of(top)) + 1 : 0;
		if (top && end - 1 >= last)
			return false;
		*gap = max(first, end);
	}
	return *gap <= last && last - *gap >= need - 1;
}

/* Finds the lowest gap of @need bytes that is usable, or U64_MAX */
static u64 ioasid_usable_gap(struct ioasid_space *space, u64 need)
{
	u64 low = PAGE_SIZE, gap;
	u32 i;

	/* Where a search for as much, or for less, has ended */
	if (need >= space->hint_need)
		low = max(low, space->hint);
	for (i = ioasid_usable_find(space, low); i < space->nr_usable; i++) {
		u64 first = max(space->usable[i].first, low);
		u64 last = space->usable[i].last;

		if (last - first >= need - 1 &&
		    ioasid_gap_find(space, first, last, need, &gap))
			return gap;
	}
	return U64_MAX;
}

/*
 * Finds a free IOVA that is @offset modulo @align, so that the IOMMU can use
 * huge pages where the memory has them.
 */
static int ioasid_iova_find(struct ioasid_space *space, u64 length, u64 align,
			    u64 offset, u64 *iova)
{
	u64 need, gap;

	lockdep_assert_held(&space->rwsem);
	if (check_add_overflow(length, align - PAGE_SIZE, &need))
		return -ENOSPC;
	gap = ioasid_usable_gap(space, need);
	space->hint_need = need;
	space->hint = gap;
	if (gap == U64_MAX)
		return -ENOSPC;
	*iova = gap + ((offset - gap) & (align - 1));
	return 0;
}

/*
 * Chooses an IOVA with the alignment of @addr to the largest page size that
 * fits into the length, or to a smaller one if there is no room.
 */
static int ioasid_iova_choose(struct ioasid_space *space, u64 length, u64 addr,
			      u64 *iova, struct ioasid_extack *extack)
{
	static const u64 aligns[] = { SZ_1G, SZ_2M, PAGE_SIZE };
	u32 i;

	for (i = 0; i < ARRAY_SIZE(aligns); i++)
		if (length >= aligns[i] &&
		    !ioasid_iova_find(space, length, aligns[i], addr, iova))
			return 0;
	extack->value = length;
	return ioasid_fail(extack, -ENOSPC, IOASID_REASON_NO_ROOM,
			   "no free IOVA range of %llu KiB in space %u",
			   length >> 10, space->id);
}

/**
 * ioasid_iova_place() - find a free range of IOVA
 * @space: the space
 * @iova: the IOVA if @fixed; otherwise in: the address of the memory, for its
 *	alignment; out: the IOVA
 * @length: in bytes, not 0
 * @fixed: place it at @iova, or fail
 * @extack: the reason if it fails
 *
 * Context: ioasid_space.rwsem is held for reading, and iova_lock.
 *
 * Return: 0; if @fixed -EEXIST if the range overlaps a mapping, or -ERANGE if
 * it is not usable; otherwise -ENOSPC.
 */
int ioasid_iova_place(struct ioasid_space *space, u64 *iova, u64 length,
		      bool fixed, struct ioasid_extack *extack)
{
	u64 last = *iova + length - 1;

	lockdep_assert_held(&space->rwsem);
	lockdep_assert_held(&space->iova_lock);
	if (!fixed)
		return ioasid_iova_choose(space, length, *iova, iova, extack);
	return ioasid_check_usable(space, *iova, last, extack) ?:
		       ioasid_check_free(space, *iova, last, extack);
}

/**
 * ioasid_iova_insert() - insert an area into the tree
 * @space: the space
 * @area: the area, with @first and @nr set
 * @extack: the reason if it fails
 *
 * Context: ioasid_space.rwsem is held for reading, and iova_lock.
 *
 * Return: 0, -EEXIST if it overlaps another area, -ERANGE if its range is not
 * usable.
 */
int ioasid_iova_insert(struct ioasid_space *space, struct ioasid_area *area,
		       struct ioasid_extack *extack)
{
	u64 last = ioasid_area_last(area);
	int rc = ioasid_check_usable(space, area->first, last, extack);

	lockdep_assert_held(&space->rwsem);
	lockdep_assert_held(&space->iova_lock);
	if (rc || !ioasid_iova_link(space, area))
		return rc;
	return ioasid_check_free(space, area->first, last, extack);
}

/**
 * ioasid_iova_erase() - remove an area from the tree
 * @space: the space
 * @area: the area
 *
 * Context: ioasid_space.iova_lock is held.
 */
void ioasid_iova_erase(struct ioasid_space *space, struct ioasid_area *area)
{
	struct ioasid_area *above = ioasid_iova_next(area);

	lockdep_assert_held(&space->iova_lock);
	space->hint = min(space->hint, area->first - area->hole);
	rb_erase_augmented(&area->node, &space->areas, &ioasid_area_callbacks);
	if (above) {
		above->hole += ioasid_area_length(area) + area->hole;
		ioasid_area_callbacks_propagate(&above->node, NULL);
	}
	space->nr_areas--;
}

/**
 * ioasid_iova_clear() - remove all areas from the tree, for the caller to free
 * @space: the space
 *
 * Context: ioasid_space.iova_lock is held, or no one else can access the tree.
 */
void ioasid_iova_clear(struct ioasid_space *space)
{
	space->areas = RB_ROOT;
	space->nr_areas = 0;
	space->hint = 0;
}

/**
 * ioasid_iova_first() - find the first area of a range
 * @space: the space
 * @first: first address of the range
 * @last: last address of the range
 *
 * Context: ioasid_space.iova_lock is held.
 *
 * Return: the lowest area that overlaps the range, or NULL.
 */
struct ioasid_area *ioasid_iova_first(struct ioasid_space *space, u64 first,
				      u64 last)
{
	struct rb_node *node = space->areas.rb_node;
	struct ioasid_area *found = NULL;

	lockdep_assert_held(&space->iova_lock);
	while (node) {
		struct ioasid_area *area = ioasid_area_of(node);

		if (first > ioasid_area_last(area)) {
			node = node->rb_right;
			continue;
		}
		found = area;
		if (first >= area->first)
			break;
		node = node->rb_left;
	}
	return found && found->first <= last ? found : NULL;
}

/**
 * ioasid_iova_next() - get the area above another one
 * @area: the area
 *
 * Context: ioasid_space.iova_lock is held.
 *
 * Return: the next area, or NULL.
 */
struct ioasid_area *ioasid_iova_next(struct ioasid_area *area)
{
	struct rb_node *next = rb_next(&area->node);

	return next ? ioasid_area_of(next) : NULL;
}

/* How many usable ranges there are at most: each reserved one splits one */
static u32 ioasid_usable_most(struct ioasid_space *space)
{
	struct ioasid_attachment *att;
	u32 most = 1 + space->nr_reserved;

	list_for_each_entry(att, &space->attachments, space_link)
		most += att->regions->nr;
	list_for_each_entry(att, &space->nested, parent_link)
		most += att->regions->nr;
	return most;
}

static int ioasid_usable_resize(struct ioasid_space *space, u32 max)
{
	struct ioasid_iova_range *usable;

	usable = kvmalloc_array(max, sizeof(*usable), GFP_KERNEL_ACCOUNT);
	if (!usable)
		return -ENOMEM;
	if (space->nr_usable)
		memcpy(usable, space->usable,
		       space->nr_usable * sizeof(*usable));
	kvfree(space->usable);
	space->usable = usable;
	space->max_usable = max;
	return 0;
}

/**
 * ioasid_iova_make_room() - make room for more usable ranges
 * @space: the space
 * @more: number of reserved ranges to be added
 *
 * Only RESERVE shrinks the array, so that a detach needs no memory.
 *
 * Context: ioasid_space.rwsem is held for writing, or the space is not
 * published; can sleep.
 *
 * Return: 0 or -ENOMEM.
 */
int ioasid_iova_make_room(struct ioasid_space *space, u32 more)
{
	u32 need = ioasid_usable_most(space) + more;

	return need <= space->max_usable ? 0 : ioasid_usable_resize(space, need);
}

/* Returns what a long list of reserved ranges has needed */
static void ioasid_usable_trim(struct ioasid_space *space)
{
	u32 need = ioasid_usable_most(space);

	/* On failure the room is kept */
	if (need <= space->max_usable / 2)
		ioasid_usable_resize(space, need);
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

/* Removes [first, last] from the usable ranges */
static void ioasid_usable_remove(struct ioasid_space *space, u64 first,
				 u64 last)
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

static void ioasid_usable_remove_regions(struct ioasid_space *space,
					 const struct ioasid_regions *regions)
{
	u32 i;

	for (i = 0; i < regions->nr; i++)
		ioasid_usable_remove(space, regions->range[i].first,
				     regions->range[i].last);
}

/**
 * ioasid_iova_update() - recompute the usable ranges
 * @space: the space
 *
 * The usable ranges are those that all domains can address, without those that
 * the user reserves, or a group that is attached to it or to a space nested in it. Cannot fail; see
 * ioasid_iova_make_room().
 *
 * Context: ioasid_space.rwsem is held for writing, or the space is not
 * published.
 */
void ioasid_iova_update(struct ioasid_space *space)
{
	struct ioasid_attachment *att;
	struct ioasid_domain *domain;
	u32 i;

	space->hint = 0;
	space->usable[0].first = 0;
	space->usable[0].last = U64_MAX;
	space->nr_usable = 1;
	list_for_each_entry(domain, &space->domains, link) {
		struct iommu_domain_geometry *g = &domain->domain->geometry;

		if (!g->force_aperture)
			continue;
		if (g->aperture_start)
			ioasid_usable_remove(space, 0, g->aperture_start - 1);
		if (g->aperture_end != U64_MAX)
			ioasid_usable_remove(space, g->aperture_end + 1,
					     U64_MAX);
	}
	list_for_each_entry(att, &space->attachments, space_link)
		ioasid_usable_remove_regions(space, att->regions);
	list_for_each_entry(att, &space->nested, parent_link)
		ioasid_usable_remove_regions(space, att->regions);
	for (i = 0; i < space->nr_reserved; i++)
		ioasid_usable_remove(space, space->reserved[i].first,
				     space->reserved[i].last);
}

/**
 * ioasid_iova_access_locked() - like ioasid_iova_access(), with the lock held
 * @space: a mapped space
 * @addr: the IOVA
 *
 * Context: ioasid_space.iova_lock is held.
 *
 * Return: IOASID_FAULT_READ and _WRITE, or 0 if nothing is mapped there.
 */
u32 ioasid_iova_access_locked(struct ioasid_space *space, u64 addr)
{
	struct ioasid_area *area = ioasid_iova_first(space, addr, addr);
	u32 can;

	lockdep_assert_held(&space->iova_lock);
	if (!area || area->state != IOASID_AREA_READY)
		return 0;
	can = area->prot & IOASID_MAP_READ ? IOASID_FAULT_READ : 0;
	return can | (area->prot & IOASID_MAP_WRITE ? IOASID_FAULT_WRITE : 0);
}

/**
 * ioasid_iova_access() - get the permissions of a device at an IOVA
 * @space: a mapped space
 * @addr: the IOVA
 *
 * Context: can sleep; takes ioasid_space.iova_lock.
 *
 * Return: IOASID_FAULT_READ and _WRITE, or 0 if nothing is mapped there.
 */
u32 ioasid_iova_access(struct ioasid_space *space, u64 addr)
{
	guard(mutex)(&space->iova_lock);
	return ioasid_iova_access_locked(space, addr);
}

static int ioasid_check_reserved(struct ioasid_space *space,
				 const struct ioasid_iova_range *r, u32 nr,
				 struct ioasid_extack *extack)
{
	struct ioasid_area *area;
	u32 i;

	lockdep_assert_held_write(&space->rwsem);
	for (i = 0; i < nr; i++) {
		extack->index = i;
		if (!PAGE_ALIGNED(r[i].first) || !PAGE_ALIGNED(r[i].last + 1))
			return ioasid_fail(extack, -EINVAL,
					   IOASID_REASON_ALIGNMENT,
					   "range %u is not aligned to pages",
					   i);
		if (r[i].first > r[i].last ||
		    (i && r[i].first <= r[i - 1].last))
			return ioasid_fail(extack, -EINVAL, IOASID_REASON_VALUE,
					   "range %u is empty, or not above the previous one",
					   i);
		mutex_lock(&space->iova_lock);
		area = ioasid_iova_first(space, r[i].first, r[i].last);
		mutex_unlock(&space->iova_lock);
		/* Still mapped, since rwsem is held for writing */
		if (area) {
			extack->value = area->first;
			return ioasid_fail(extack, -EADDRINUSE,
					   IOASID_REASON_RESERVED,
					   "range %u: %#llx-%#llx is mapped", i,
					   area->first, ioasid_area_last(area));
		}
	}
	extack->index = IOASID_NO_INDEX;
	return 0;
}

/**
 * ioasid_iova_reserve() - replace the ranges that the user reserves
 * @space: the space
 * @ranges: ascending; swapped with the previous ranges on success
 * @nr: number of ranges
 * @extack: the reason if it fails
 *
 * Context: ioasid_space.rwsem is held for writing; can sleep.
 *
 * Return: 0, -EINVAL if a range is unaligned, empty or not ascending,
 * -EADDRINUSE if something is mapped in one, -ENOMEM.
 */
int ioasid_iova_reserve(struct ioasid_space *space,
			struct ioasid_iova_range **ranges, u32 nr,
			struct ioasid_extack *extack)
{
	int rc = ioasid_check_reserved(space, *ranges, nr, extack);

	lockdep_assert_held_write(&space->rwsem);
	if (rc)
		return rc;
	if (ioasid_iova_make_room(space, nr))
		return ioasid_fail(extack, -ENOMEM, IOASID_REASON_NO_MEMORY,
				   "no memory for the usable ranges");
	swap(space->reserved, *ranges);
	space->nr_reserved = nr;
	ioasid_iova_update(space);
	ioasid_usable_trim(space);
	return 0;
}
