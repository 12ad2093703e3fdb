// SPDX-License-Identifier: GPL-2.0
/*
 * Mapped spaces: the kernel keeps the page table, the user maps and unmaps.
 * Every function here works wholly or not at all, and the order is always:
 * out of the page tables, flush, out of the tree, unpin.
 */
#include <linux/iommu.h>
#include <linux/overflow.h>
#include <linux/sched/signal.h>
#include <linux/slab.h>
#include <linux/sort.h>
#include "ioasid_private.h"
#include "trace.h"

/* Areas that UNMAP_ALL removes with one flush */
#define IOASID_REMOVE_BATCH	4096

#define IOASID_REMOVE_FEW	8

#define IOASID_MAP_FLAGS	(IOASID_MAP_READ | IOASID_MAP_WRITE | \
				 IOASID_MAP_FIXED | IOASID_MAP_FILE)

static void ioasid_count(struct ioasid_space *space,
			 const struct ioasid_area *area, int sign)
{
	u64 pages = ioasid_area_length(area) >> PAGE_SHIFT;

	atomic64_add(sign, &space->nr_mappings);
	atomic64_add(sign * (s64)pages, &space->mapped);
	if (area == &area->pages->area)
		atomic64_add(sign * (s64)pages, &space->pinned);
}

static void ioasid_erase_areas(struct ioasid_space *space,
			       struct ioasid_area **area, u32 nr)
{
	u32 i;

	mutex_lock(&space->iova_lock);
	if (nr == space->nr_areas) {
		ioasid_iova_clear(space);
	} else {
		for (i = 0; i < nr; i++) {
			ioasid_iova_erase(space, area[i]);
			cond_resched();
		}
	}
	mutex_unlock(&space->iova_lock);
}

/*
 * Gives areas back that are in no page table any more. They leave the tree
 * before they are freed, since others walk it.
 */
static void ioasid_free_areas(struct ioasid_space *space,
			      struct ioasid_area **area, u32 nr)
{
	u32 i;

	ioasid_erase_areas(space, area, nr);
	for (i = 0; i < nr; i++)
		ioasid_area_free(space->ctx, area[i]);
}

static void ioasid_remove_areas(struct ioasid_space *space,
				struct ioasid_area **area, u32 nr)
{
	u32 i;

	for (i = 0; i < nr; i++) {
		ioasid_count(space, area[i], -1);
		trace_ioasid_unmap(space, area[i]->first,
				   ioasid_area_length(area[i]));
	}
	ioasid_unmap_areas(space, area, nr);
	ioasid_free_areas(space, area, nr);
}

/* Lets devices and other commands have areas that are PENDING */
static void ioasid_publish_areas(struct ioasid_space *space,
				 struct ioasid_area **area, u32 nr)
{
	u32 i;

	for (i = 0; i < nr; i++) {
		ioasid_count(space, area[i], 1);
		trace_ioasid_map(space, area[i]->first,
				 ioasid_area_length(area[i]), area[i]->prot,
				 area[i]->pages->nr_runs);
	}
	mutex_lock(&space->iova_lock);
	for (i = 0; i < nr; i++)
		area[i]->state = IOASID_AREA_READY;
	mutex_unlock(&space->iova_lock);
}

static int ioasid_check_map_flags(const struct ioasid_map_range *r,
				  struct ioasid_explain *why)
{
	if (r->flags & ~IOASID_MAP_FLAGS) {
		why->value = r->flags & ~IOASID_MAP_FLAGS;
		return ioasid_fail(why, -EOPNOTSUPP, IOASID_REASON_FLAGS,
				   "unknown flags %#x",
				   r->flags & ~IOASID_MAP_FLAGS);
	}
	if (!(r->flags & IOASID_MAP_FILE) && r->fd)
		return ioasid_fail(why, -EOPNOTSUPP, IOASID_REASON_FLAGS,
				   "fd is not 0 and IOASID_MAP_FILE is not set");
	if (!(r->flags & (IOASID_MAP_READ | IOASID_MAP_WRITE)))
		return ioasid_fail(why, -EINVAL, IOASID_REASON_VALUE,
				   "neither IOASID_MAP_READ nor IOASID_MAP_WRITE");
	return 0;
}

/* @iova is checked as well if it matters, else 0 is given */
static int ioasid_check_range(u64 iova, u64 addr, u64 length,
			      struct ioasid_explain *why)
{
	u64 end;

	if (!length)
		return ioasid_fail(why, -EINVAL, IOASID_REASON_VALUE,
				   "the length is 0");
	if (!PAGE_ALIGNED(iova | addr | length)) {
		why->value = iova | addr | length;
		return ioasid_fail(why, -EINVAL, IOASID_REASON_ALIGNMENT,
				   "IOVA %#llx, address %#llx and length %#llx must be multiples of %lu",
				   iova, addr, length, PAGE_SIZE);
	}
	/* The last address counts, not the one behind it, which may be 2^64 */
	if (check_add_overflow(iova, length - 1, &end) ||
	    check_add_overflow(addr, length - 1, &end)) {
		why->value = length;
		return ioasid_fail(why, -EOVERFLOW, IOASID_REASON_OVERFLOW,
				   "IOVA %#llx or address %#llx plus length %#llx wraps",
				   iova, addr, length);
	}
	return 0;
}

static int ioasid_check_map(const struct ioasid_map_range *r,
			    struct ioasid_explain *why)
{
	int rc = ioasid_check_map_flags(r, why);

	if (!rc)
		rc = ioasid_check_range(r->flags & IOASID_MAP_FIXED ?
					r->iova : 0, r->addr, r->length, why);
	if (rc)
		return rc;
	if (r->length >> PAGE_SHIFT > U32_MAX) {
		why->value = r->length;
		return ioasid_fail(why, -E2BIG, IOASID_REASON_LIMIT,
				   "a mapping has less than 16 TiB");
	}
	if (r->flags & IOASID_MAP_FILE && r->addr > S64_MAX - r->length)
		return ioasid_fail(why, -EOVERFLOW, IOASID_REASON_OVERFLOW,
				   "no file reaches to %#llx", r->addr);
	return 0;
}

static struct ioasid_pages *ioasid_new_pages(const struct ioasid_map_range *r)
{
	struct ioasid_pages *pages = ioasid_pages_alloc();

	if (!pages)
		return NULL;
	pages->addr = r->addr;
	pages->nr = r->length >> PAGE_SHIFT;
	pages->writable = r->flags & IOASID_MAP_WRITE;
	pages->file = r->flags & IOASID_MAP_FILE;
	pages->area.prot = r->flags & (IOASID_MAP_READ | IOASID_MAP_WRITE);
	return pages;
}

/* Pins one range; no lock is held, since pinning can take forever */
static int ioasid_pin_range(struct ioasid_ctx *ctx,
			    const struct ioasid_map_range *r,
			    struct ioasid_area **area,
			    struct ioasid_explain *why)
{
	struct ioasid_pages *pages;
	int rc = ioasid_check_map(r, why);

	if (rc)
		return rc;
	pages = ioasid_new_pages(r);
	if (!pages)
		return ioasid_fail(why, -ENOMEM, IOASID_REASON_NO_MEMORY,
				   "no memory for a mapping");
	*area = &pages->area;
	rc = ioasid_pages_pin(ctx, pages, r->fd, why);
	if (rc)
		ioasid_area_free(ctx, *area);
	return rc;
}

static int ioasid_insert_range(struct ioasid_space *space,
			       struct ioasid_map_range *r,
			       struct ioasid_area *area,
			       struct ioasid_explain *why)
{
	int rc = 0;

	mutex_lock(&space->iova_lock);
	if (!(r->flags & IOASID_MAP_FIXED)) {
		r->iova = r->addr;
		rc = ioasid_iova_place(space, &r->iova, r->length, false, why);
	}
	if (!rc) {
		area->first = r->iova;
		area->last = r->iova + r->length - 1;
		rc = ioasid_iova_insert(space, area, why);
	}
	mutex_unlock(&space->iova_lock);
	return rc;
}

/* Gives one pinned range its place; it stays PENDING */
static int ioasid_place_range(struct ioasid_space *space,
			      struct ioasid_map_range *r,
			      struct ioasid_area *area,
			      struct ioasid_explain *why)
{
	int rc = ioasid_insert_range(space, r, area, why);

	if (rc)
		return rc;
	rc = ioasid_map_area(space, area, why);
	if (rc)
		ioasid_erase_areas(space, &area, 1);
	return rc;
}

static int ioasid_place_ranges(struct ioasid_space *space,
			       struct ioasid_map_range *r,
			       struct ioasid_area **area, u32 nr,
			       struct ioasid_explain *why)
{
	u32 i;
	int rc;

	for (i = 0; i < nr; i++) {
		rc = ioasid_place_range(space, &r[i], area[i], why);
		if (rc) {
			why->index = i;
			goto undo;
		}
	}
	ioasid_publish_areas(space, area, nr);
	return 0;
undo:
	ioasid_unmap_areas(space, area, i);
	ioasid_erase_areas(space, area, i);
	return rc;
}

static int ioasid_map_enter(struct ioasid_ctx *ctx, u32 ioasid,
			    struct ioasid_map_range *r,
			    struct ioasid_area **area, u32 nr,
			    struct ioasid_explain *why)
{
	struct ioasid_space *space;
	int rc;

	space = ioasid_space_enter_mapped(ctx, ioasid, why);
	if (IS_ERR(space))
		return PTR_ERR(space);
	rc = ioasid_place_ranges(space, r, area, nr, why);
	ioasid_space_leave(space);
	return rc;
}

static int ioasid_map_areas(struct ioasid_ctx *ctx, u32 ioasid,
			    struct ioasid_map_range *r,
			    struct ioasid_area **area, u32 nr,
			    struct ioasid_explain *why)
{
	u32 i, pinned;
	int rc;

	for (pinned = 0; pinned < nr; pinned++) {
		rc = ioasid_pin_range(ctx, &r[pinned], &area[pinned], why);
		if (rc) {
			why->index = pinned;
			goto unpin;
		}
	}
	rc = ioasid_map_enter(ctx, ioasid, r, area, nr, why);
	if (!rc)
		return 0;
unpin:
	for (i = 0; i < pinned; i++)
		ioasid_area_free(ctx, area[i]);
	return rc;
}

/**
 * ioasid_map_ranges() - map memory of the current process, all of it or none
 * @ctx: the context
 * @ioasid: a mapped space
 * @r: what to map; out: @iova of what is not fixed
 * @nr: how many, 1 to IOASID_MAX_VECTOR
 * @why: the reason if it fails
 *
 * Context: takes ioasid_space.rwsem for reading, and mmap_lock.
 *
 * Return: 0, or an error of IOASID_MAP.
 */
int ioasid_map_ranges(struct ioasid_ctx *ctx, u32 ioasid,
		      struct ioasid_map_range *r, u32 nr,
		      struct ioasid_explain *why)
{
	struct ioasid_area **area, *one;
	int rc;

	/* One range costs no allocation */
	if (nr == 1)
		return ioasid_map_areas(ctx, ioasid, r, &one, 1, why);
	area = kvmalloc_array(nr, sizeof(*area), GFP_KERNEL_ACCOUNT);
	if (!area)
		return ioasid_fail(why, -ENOMEM, IOASID_REASON_NO_MEMORY,
				   "no memory for %u ranges", nr);
	rc = ioasid_map_areas(ctx, ioasid, r, area, nr, why);
	kvfree(area);
	return rc;
}

/**
 * struct ioasid_remover - the areas that an unmap removes
 * @space: the space
 * @area: the areas; LEAVING, so nobody else touches them
 * @nr: how many
 * @max: room
 * @few: where @area points to at first
 */
struct ioasid_remover {
	struct ioasid_space *space;
	struct ioasid_area **area;
	u32 nr;
	u32 max;
	struct ioasid_area *few[IOASID_REMOVE_FEW];
};

static void ioasid_remover_init(struct ioasid_remover *rm,
				struct ioasid_space *space)
{
	rm->space = space;
	rm->area = rm->few;
	rm->nr = 0;
	rm->max = IOASID_REMOVE_FEW;
}

static void ioasid_remover_free(struct ioasid_remover *rm)
{
	if (rm->area != rm->few)
		kvfree(rm->area);
}

static int ioasid_remover_grow(struct ioasid_remover *rm, u32 max)
{
	struct ioasid_area **bigger;

	bigger = kvmalloc_array(max, sizeof(*bigger),
				GFP_KERNEL_ACCOUNT | __GFP_NOWARN);
	if (!bigger)
		return -ENOMEM;
	memcpy(bigger, rm->area, rm->nr * sizeof(*bigger));
	ioasid_remover_free(rm);
	rm->area = bigger;
	rm->max = max;
	return 0;
}

static int ioasid_check_leaving(const struct ioasid_area *area, u64 first,
				u64 last, struct ioasid_explain *why)
{
	if (area->first >= first && area->last <= last &&
	    area->state == IOASID_AREA_READY)
		return 0;
	why->value = area->first;
	if (area->first < first || area->last > last)
		return ioasid_fail(why, -EINVAL, IOASID_REASON_CUT,
				   "%#llx-%#llx would cut the mapping at %#llx-%#llx",
				   first, last, area->first, area->last);
	return ioasid_fail(why, -EBUSY, IOASID_REASON_RACE,
			   "another command is at work on the mapping at %#llx",
			   area->first);
}

/* Takes the areas of a range, at least one and none in part; under iova_lock */
static int ioasid_remover_take(struct ioasid_remover *rm, u64 first, u64 last,
			       struct ioasid_explain *why)
{
	struct ioasid_area *area = ioasid_iova_first(rm->space, first, last);
	int rc;

	if (!area) {
		why->value = first;
		return ioasid_fail(why, -ENOENT, IOASID_REASON_NOT_MAPPED,
				   "nothing is mapped at %#llx-%#llx of space %u",
				   first, last, rm->space->id);
	}
	do {
		if (rm->nr == rm->max && ioasid_remover_grow(rm, rm->max * 4))
			return ioasid_fail(why, -ENOMEM,
					   IOASID_REASON_NO_MEMORY,
					   "no memory for the list of mappings");
		rc = ioasid_check_leaving(area, first, last, why);
		if (rc)
			return rc;
		area->state = IOASID_AREA_LEAVING;
		rm->area[rm->nr++] = area;
		if (area->last >= last)
			break;
		area = ioasid_iova_next(area);
		cond_resched();
	} while (area && area->first <= last);
	return 0;
}

static int ioasid_remover_take_all(struct ioasid_remover *rm,
				   const struct ioasid_unmap_range *r, u32 nr,
				   struct ioasid_explain *why)
{
	int rc = 0;
	u32 i;

	mutex_lock(&rm->space->iova_lock);
	for (i = 0; i < nr; i++) {
		rc = ioasid_remover_take(rm, r[i].iova,
					 r[i].iova + r[i].length - 1, why);
		if (rc) {
			why->index = i;
			break;
		}
	}
	for (i = 0; rc && i < rm->nr; i++)
		rm->area[i]->state = IOASID_AREA_READY;
	mutex_unlock(&rm->space->iova_lock);
	return rc;
}

/* Takes as many areas from @at on as there is room for, and moves @at */
static void ioasid_remover_take_some(struct ioasid_remover *rm, u64 *at)
{
	struct ioasid_area *area;

	rm->nr = 0;
	mutex_lock(&rm->space->iova_lock);
	area = ioasid_iova_first(rm->space, *at, U64_MAX);
	while (area && rm->nr < rm->max) {
		*at = area->last + 1;
		/* What another command is at work on is not mapped: leave it */
		if (area->state == IOASID_AREA_READY) {
			area->state = IOASID_AREA_LEAVING;
			rm->area[rm->nr++] = area;
		}
		area = ioasid_iova_next(area);
	}
	mutex_unlock(&rm->space->iova_lock);
}

static u64 ioasid_areas_bytes(struct ioasid_area **area, u32 nr)
{
	u64 bytes = 0;
	u32 i;

	for (i = 0; i < nr; i++)
		bytes += ioasid_area_length(area[i]);
	return bytes;
}

struct ioasid_order {
	u64 first;
	u64 last;
	u32 index;
};

static int ioasid_compare(const void *a, const void *b)
{
	const struct ioasid_order *x = a, *y = b;

	return x->first < y->first ? -1 : x->first > y->first;
}

/* Ranges that overlap would unmap the same thing twice */
static int ioasid_check_disjoint(const struct ioasid_unmap_range *r, u32 nr,
				 struct ioasid_explain *why)
{
	struct ioasid_order *o = kvmalloc_array(nr, sizeof(*o),
						GFP_KERNEL_ACCOUNT);
	int rc = 0;
	u32 i;

	if (!o)
		return ioasid_fail(why, -ENOMEM, IOASID_REASON_NO_MEMORY,
				   "no memory for %u ranges", nr);
	for (i = 0; i < nr; i++) {
		o[i].first = r[i].iova;
		o[i].last = r[i].iova + r[i].length - 1;
		o[i].index = i;
	}
	sort(o, nr, sizeof(*o), ioasid_compare, NULL);
	for (i = 1; i < nr && !rc; i++) {
		if (o[i].first > o[i - 1].last)
			continue;
		why->index = max(o[i].index, o[i - 1].index);
		why->value = o[i].first;
		rc = ioasid_fail(why, -EINVAL, IOASID_REASON_OVERLAP,
				 "ranges %u and %u overlap", o[i - 1].index,
				 o[i].index);
	}
	kvfree(o);
	return rc;
}

static int ioasid_check_unmap(const struct ioasid_unmap_range *r, u32 nr,
			      struct ioasid_explain *why)
{
	bool ascending = true;
	u32 i;
	int rc;

	for (i = 0; i < nr; i++) {
		rc = ioasid_check_range(r[i].iova, 0, r[i].length, why);
		if (rc) {
			why->index = i;
			return rc;
		}
		if (i && r[i].iova <= r[i - 1].iova + r[i - 1].length - 1)
			ascending = false;
	}
	return ascending ? 0 : ioasid_check_disjoint(r, nr, why);
}

/**
 * ioasid_unmap_ranges() - unmap ranges, all of them or none
 * @ctx: the context
 * @ioasid: a mapped space
 * @r: the ranges; none may cut a mapping in two
 * @nr: how many, 1 to IOASID_MAX_VECTOR
 * @unmapped: out: bytes
 * @why: the reason if it fails
 *
 * Context: takes ioasid_space.rwsem for reading.
 *
 * Return: 0, or an error of IOASID_UNMAP.
 */
int ioasid_unmap_ranges(struct ioasid_ctx *ctx, u32 ioasid,
			const struct ioasid_unmap_range *r, u32 nr,
			u64 *unmapped, struct ioasid_explain *why)
{
	struct ioasid_remover rm __uninitialized;
	struct ioasid_space *space;
	int rc;

	space = ioasid_space_enter_mapped(ctx, ioasid, why);
	if (IS_ERR(space))
		return PTR_ERR(space);
	rc = ioasid_check_unmap(r, nr, why);
	if (rc)
		goto leave;
	ioasid_remover_init(&rm, space);
	rc = ioasid_remover_take_all(&rm, r, nr, why);
	if (!rc) {
		*unmapped = ioasid_areas_bytes(rm.area, rm.nr);
		ioasid_remove_areas(space, rm.area, rm.nr);
	}
	ioasid_remover_free(&rm);
leave:
	ioasid_space_leave(space);
	return rc;
}

/**
 * ioasid_unmap_all() - unmap all that is mapped in a space
 * @ctx: the context
 * @ioasid: a mapped space
 * @unmapped: out: bytes
 * @why: the reason if it fails
 *
 * What another command is at work on stays.
 *
 * Context: takes ioasid_space.rwsem for reading.
 *
 * Return: 0, -ENOENT without such a space, -EINVAL for one of another kind,
 * -EINTR if killed.
 */
int ioasid_unmap_all(struct ioasid_ctx *ctx, u32 ioasid, u64 *unmapped,
		     struct ioasid_explain *why)
{
	struct ioasid_remover rm __uninitialized;
	struct ioasid_space *space;
	u64 at = 0;

	space = ioasid_space_enter_mapped(ctx, ioasid, why);
	if (IS_ERR(space))
		return PTR_ERR(space);
	ioasid_remover_init(&rm, space);
	/* Without memory it takes more, smaller steps: this cannot fail */
	ioasid_remover_grow(&rm, IOASID_REMOVE_BATCH);
	*unmapped = 0;
	do {
		ioasid_remover_take_some(&rm, &at);
		*unmapped += ioasid_areas_bytes(rm.area, rm.nr);
		ioasid_remove_areas(space, rm.area, rm.nr);
	} while (rm.nr == rm.max && at);
	ioasid_remover_free(&rm);
	ioasid_space_leave(space);
	return 0;
}

/**
 * struct ioasid_copier - areas for the destination of a copy
 * @area: the areas; until they are placed, @first is 0 in each
 * @nr: number of areas
 * @max: room in @area
 */
struct ioasid_copier {
	struct ioasid_area **area;
	u32 nr;
	u32 max;
};

static int ioasid_copier_add(struct ioasid_copier *c, struct ioasid_area *src,
			     u64 offset, u64 length, u32 prot)
{
	struct ioasid_area *area, **bigger;
	u32 max = c->max ? c->max * 2 : 16;

	if (c->nr == c->max) {
		bigger = kvrealloc(c->area, max * sizeof(*bigger),
				   GFP_KERNEL_ACCOUNT | __GFP_NOWARN);
		if (!bigger)
			return -ENOMEM;
		c->area = bigger;
		c->max = max;
	}
	area = ioasid_area_alloc(src->pages);
	if (!area)
		return -ENOMEM;
	area->page = src->page + (offset >> PAGE_SHIFT);
	area->prot = prot;
	area->last = length - 1;
	c->area[c->nr++] = area;
	return 0;
}

static int ioasid_copy_check_area(struct ioasid_area *area, u64 at, u32 prot,
				  struct ioasid_explain *why)
{
	why->value = at;
	if (!area || area->first > at)
		return ioasid_fail(why, -ENOENT, IOASID_REASON_NOT_MAPPED,
				   "nothing is mapped at %#llx of the source",
				   at);
	if (area->state != IOASID_AREA_READY)
		return ioasid_fail(why, -EBUSY, IOASID_REASON_RACE,
				   "another command is at work on the mapping at %#llx of the source",
				   area->first);
	if (prot & IOASID_MAP_WRITE && !(area->prot & IOASID_MAP_WRITE))
		return ioasid_fail(why, -EPERM, IOASID_REASON_PERMISSION,
				   "the source is not mapped for writing at %#llx",
				   at);
	why->value = 0;
	return 0;
}

/* Takes a reference on all the memory of the source; iova_lock is held */
static int ioasid_copy_collect(struct ioasid_space *space,
			       const struct ioasid_copy *arg,
			       struct ioasid_copier *c,
			       struct ioasid_explain *why)
{
	u32 prot = arg->flags & (IOASID_MAP_READ | IOASID_MAP_WRITE);
	u64 at = arg->src_iova, last = at + arg->length - 1, end;
	struct ioasid_area *area = ioasid_iova_first(space, at, last);
	int rc;

	for (;;) {
		rc = ioasid_copy_check_area(area, at, prot, why);
		if (rc)
			return rc;
		end = min(area->last, last);
		if (ioasid_copier_add(c, area, at - area->first, end - at + 1,
				      prot))
			return ioasid_fail(why, -ENOMEM,
					   IOASID_REASON_NO_MEMORY,
					   "no memory for the copy");
		if (end == last)
			return 0;
		if (fatal_signal_pending(current))
			return ioasid_fail(why, -EINTR, IOASID_REASON_KILLED,
					   "killed while copying");
		at = end + 1;
		area = ioasid_iova_next(area);
		cond_resched();
	}
}

static int ioasid_copy_from(struct ioasid_ctx *ctx,
			    const struct ioasid_copy *arg,
			    struct ioasid_copier *c, struct ioasid_explain *why)
{
	struct ioasid_space *space;
	int rc;

	space = ioasid_space_enter_mapped(ctx, arg->src_ioasid, why);
	if (IS_ERR(space))
		return PTR_ERR(space);
	mutex_lock(&space->iova_lock);
	rc = ioasid_copy_collect(space, arg, c, why);
	mutex_unlock(&space->iova_lock);
	ioasid_space_leave(space);
	return rc;
}

/* Turns lengths into places, and puts the areas there; iova_lock is held */
static int ioasid_copy_insert(struct ioasid_space *space,
			      struct ioasid_copy *arg, struct ioasid_copier *c,
			      struct ioasid_explain *why)
{
	struct ioasid_area *area = c->area[0];
	bool fixed = arg->flags & IOASID_MAP_FIXED;
	u64 iova = fixed ? arg->dst_iova :
			   area->pages->addr + ((u64)area->page << PAGE_SHIFT);
	u32 i;
	int rc;

	rc = ioasid_iova_place(space, &iova, arg->length, fixed, why);
	if (rc)
		return rc;
	arg->dst_iova = iova;
	for (i = 0; i < c->nr; i++) {
		area = c->area[i];
		area->first = iova;
		area->last += iova;
		iova = area->last + 1;
		/* All of the place was free, and the lock is still held */
		WARN_ON(ioasid_iova_insert(space, area, why));
		cond_resched();
	}
	return 0;
}

static int ioasid_copy_to(struct ioasid_ctx *ctx, struct ioasid_copy *arg,
			  struct ioasid_copier *c, struct ioasid_explain *why)
{
	struct ioasid_space *space;
	u32 i;
	int rc;

	space = ioasid_space_enter_mapped(ctx, arg->dst_ioasid, why);
	if (IS_ERR(space))
		return PTR_ERR(space);
	mutex_lock(&space->iova_lock);
	rc = ioasid_copy_insert(space, arg, c, why);
	mutex_unlock(&space->iova_lock);
	if (rc)
		goto leave;
	for (i = 0; i < c->nr; i++) {
		rc = ioasid_map_area(space, c->area[i], why);
		if (rc)
			goto undo;
	}
	ioasid_publish_areas(space, c->area, c->nr);
	goto leave;
undo:
	ioasid_unmap_areas(space, c->area, i);
	ioasid_erase_areas(space, c->area, c->nr);
leave:
	ioasid_space_leave(space);
	return rc;
}

/**
 * ioasid_copy_range() - map memory of a space in another one, all of it or none
 * @ctx: the context
 * @arg: from where to where; out: @dst_iova unless it is fixed
 * @why: the reason if it fails
 *
 * Context: takes ioasid_space.rwsem of both for reading, one after the other.
 *
 * Return: 0, or an error of IOASID_COPY.
 */
int ioasid_copy_range(struct ioasid_ctx *ctx, struct ioasid_copy *arg,
		      struct ioasid_explain *why)
{
	struct ioasid_copier c = {};
	u32 i;
	int rc;

	if (!(arg->flags & (IOASID_MAP_READ | IOASID_MAP_WRITE)))
		return ioasid_fail(why, -EINVAL, IOASID_REASON_VALUE,
				   "neither IOASID_MAP_READ nor IOASID_MAP_WRITE");
	rc = ioasid_check_range(arg->flags & IOASID_MAP_FIXED ?
				arg->dst_iova : 0, arg->src_iova, arg->length,
				why);
	if (rc)
		return rc;
	rc = ioasid_copy_from(ctx, arg, &c, why);
	if (!rc)
		rc = ioasid_copy_to(ctx, arg, &c, why);
	/* Copied, the areas are the destination's; else they are nobody's */
	for (i = 0; rc && i < c.nr; i++)
		ioasid_area_free(ctx, c.area[i]);
	kvfree(c.area);
	return rc;
}

static int ioasid_translate_area(struct ioasid_space *space,
				 struct ioasid_translate *arg,
				 struct ioasid_explain *why)
{
	struct ioasid_domain *domain;
	struct ioasid_area *area;

	area = ioasid_iova_first(space, arg->iova, arg->iova);
	if (!area || area->state != IOASID_AREA_READY) {
		why->value = arg->iova;
		return ioasid_fail(why, -ENOENT, IOASID_REASON_NOT_MAPPED,
				   "nothing is mapped at %#llx of space %u",
				   arg->iova, space->id);
	}
	arg->map_iova = area->first;
	arg->map_length = ioasid_area_length(area);
	arg->map_flags = area->prot |
			 (area->pages->file ? IOASID_MAP_FILE : 0);
	arg->addr = area->pages->addr + ((u64)area->page << PAGE_SHIFT) +
		    (arg->iova - area->first);
	arg->phys = 0;
	domain = list_first_entry_or_null(&space->domains, struct ioasid_domain,
					  link);
	if (domain && arg->flags & IOASID_TRANSLATE_PHYS)
		arg->phys = iommu_iova_to_phys(domain->domain, arg->iova);
	return 0;
}

/**
 * ioasid_translate() - what is mapped at an IOVA
 * @ctx: the context
 * @arg: the space and the IOVA; out: what is there
 * @why: the reason if it fails
 *
 * Context: takes ioasid_space.rwsem for reading.
 *
 * Return: 0, or an error of IOASID_TRANSLATE.
 */
int ioasid_translate(struct ioasid_ctx *ctx, struct ioasid_translate *arg,
		     struct ioasid_explain *why)
{
	struct ioasid_space *space;
	int rc;

	space = ioasid_space_enter_mapped(ctx, arg->ioasid, why);
	if (IS_ERR(space))
		return PTR_ERR(space);
	mutex_lock(&space->iova_lock);
	rc = ioasid_translate_area(space, arg, why);
	mutex_unlock(&space->iova_lock);
	ioasid_space_leave(space);
	return rc;
}

/**
 * ioasid_mapped_empty() - unpin all of a space that has no domain any more
 * @space: the space; dead, or nobody else knows it
 *
 * Takes no lock: nobody else gets at the tree.
 */
static void ioasid_mapped_empty(struct ioasid_space *space)
{
	struct ioasid_area *area, *next;

	rbtree_postorder_for_each_entry_safe(area, next, &space->areas, node) {
		ioasid_count(space, area, -1);
		ioasid_area_free(space->ctx, area);
		cond_resched();
	}
	ioasid_iova_clear(space);
}

static int ioasid_mapped_check(const struct ioasid_space_params *params,
			       struct ioasid_explain *why)
{
	if (params->flags & IOASID_ALLOC_FAULTS && !IS_ENABLED(CONFIG_IOMMU_IOPF))
		return ioasid_fail(why, -EOPNOTSUPP, IOASID_REASON_NO_PRI,
				   "this kernel is built without page requests (CONFIG_IOMMU_IOPF)");
	return ioasid_check_no_data(params, why);
}

const struct ioasid_space_ops ioasid_mapped_ops = {
	.name = "mapped",
	.check = ioasid_mapped_check,
	.empty = ioasid_mapped_empty,
	.fill = ioasid_domain_fill,
	.unfill = ioasid_domain_unfill,
};
