// SPDX-License-Identifier: GPL-2.0
/*
 * Mapped spaces: the kernel keeps the page table, and user space maps and
 * unmaps. Every command takes effect as a whole or not at all. Memory must
 * never be unpinned before it is unmapped, flushed and removed from the tree,
 * in that order.
 */
#include <linux/iommu.h>
#include <linux/overflow.h>
#include <linux/sched/signal.h>
#include <linux/slab.h>
#include <linux/sort.h>
#include "ioasid_private.h"
#include "trace.h"

/* Areas that IOASID_UNMAP_ALL removes with one flush */
#define IOASID_UNMAP_BATCH 4096

#define IOASID_UNMAP_FEW 8

#define IOASID_MAP_FLAGS	(IOASID_MAP_READ | IOASID_MAP_WRITE | \
				 IOASID_MAP_FIXED | IOASID_MAP_FILE | \
				 IOASID_MAP_PARENT)

/* For loops over millions of areas whose steps are cheaper than the call */
static void ioasid_resched_some(u32 i)
{
	if (i % 1024 == 1023)
		cond_resched();
}

/* For each step of what can still be undone */
static int ioasid_check_killed(struct ioasid_extack *extack)
{
	if (fatal_signal_pending(current))
		return ioasid_fail(extack, -EINTR, IOASID_REASON_KILLED,
				   "killed meanwhile");
	cond_resched();
	return 0;
}

/* The lock can be held for long, by a copy of a million areas */
static int ioasid_lock_areas(struct ioasid_space *space,
			     struct ioasid_extack *extack)
{
	if (!mutex_lock_killable(&space->iova_lock))
		return 0;
	return ioasid_fail(extack, -EINTR, IOASID_REASON_KILLED,
			   "killed while waiting for space %u", space->id);
}

static void ioasid_count(struct ioasid_space *space, struct ioasid_area **area,
			 u32 nr, int sign)
{
	s64 pages = 0, own = 0;
	u32 i;

	for (i = 0; i < nr; i++) {
		pages += area[i]->nr;
		if (area[i]->type == IOASID_AREA_EMBEDDED)
			own += area[i]->nr;
		ioasid_resched_some(i);
	}
	atomic64_add(sign * (s64)nr, &space->nr_mappings);
	atomic64_add(sign * pages, &space->mapped);
	atomic64_add(sign * own, &space->pinned);
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
 * Frees areas that are in no page table any more, after removing them from the
 * tree, which other commands walk.
 */
static void ioasid_free_areas(struct ioasid_space *space,
			      struct ioasid_area **area, u32 nr)
{
	u32 i;

	ioasid_erase_areas(space, area, nr);
	for (i = 0; i < nr; i++) {
		ioasid_area_free(space->ctx, area[i]);
		ioasid_resched_some(i);
	}
	ioasid_uncharge(space->ctx, IOASID_QUOTA_MAPPINGS, nr);
}

static void ioasid_remove_areas(struct ioasid_space *space,
				struct ioasid_area **area, u32 nr)
{
	u32 i;

	lockdep_assert_held(&space->rwsem);
	ioasid_count(space, area, nr, -1);
	for (i = 0; i < nr; i++) {
		trace_ioasid_unmap(space, area[i]->first,
				   ioasid_area_length(area[i]));
		ioasid_resched_some(i);
	}
	ioasid_unmap_areas(space, area, nr);
	ioasid_free_areas(space, area, nr);
}

static void ioasid_publish_areas(struct ioasid_space *space,
				 struct ioasid_area **area, u32 nr)
{
	u32 i;

	lockdep_assert_held(&space->rwsem);
	ioasid_count(space, area, nr, 1);
	for (i = 0; i < nr; i++) {
		trace_ioasid_map(space, area[i]->first,
				 ioasid_area_length(area[i]), area[i]->prot,
				 ioasid_area_runs(area[i]));
		ioasid_resched_some(i);
	}
	mutex_lock(&space->iova_lock);
	for (i = 0; i < nr; i++) {
		area[i]->state = IOASID_AREA_READY;
		ioasid_resched_some(i);
	}
	mutex_unlock(&space->iova_lock);
}

/**
 * ioasid_check_vector() - check the number of ranges of a command
 * @nr: number of ranges
 * @extack: the reason if it fails
 *
 * Context: any.
 *
 * Return: 0, -EINVAL for 0 ranges, -E2BIG above IOASID_MAX_VECTOR.
 */
int ioasid_check_vector(u32 nr, struct ioasid_extack *extack)
{
	if (nr && nr <= IOASID_MAX_VECTOR)
		return 0;
	extack->value = nr;
	if (!nr)
		return ioasid_fail(extack, -EINVAL, IOASID_REASON_VALUE,
				   "no range is given");
	return ioasid_fail(extack, -E2BIG, IOASID_REASON_LIMIT,
			   "%u ranges, but at most %u are allowed", nr, IOASID_MAX_VECTOR);
}

static int ioasid_check_map_flags(const struct ioasid_map_range *r,
				  struct ioasid_extack *extack)
{
	if (r->flags & ~IOASID_MAP_FLAGS) {
		extack->value = r->flags & ~IOASID_MAP_FLAGS;
		return ioasid_fail(extack, -EOPNOTSUPP, IOASID_REASON_FLAGS,
				   "unknown flags %#x",
				   r->flags & ~IOASID_MAP_FLAGS);
	}
	if (!(r->flags & IOASID_MAP_FILE) && r->fd)
		return ioasid_fail(extack, -EOPNOTSUPP, IOASID_REASON_FLAGS,
				   "fd is not 0 and IOASID_MAP_FILE is not set");
	if (r->flags & IOASID_MAP_FILE && r->flags & IOASID_MAP_PARENT)
		return ioasid_fail(extack, -EINVAL, IOASID_REASON_VALUE,
				   "both IOASID_MAP_FILE and IOASID_MAP_PARENT");
	if (!(r->flags & (IOASID_MAP_READ | IOASID_MAP_WRITE)))
		return ioasid_fail(extack, -EINVAL, IOASID_REASON_VALUE,
				   "neither IOASID_MAP_READ nor IOASID_MAP_WRITE");
	if (r->flags & IOASID_MAP_PARENT && !(r->flags & IOASID_MAP_READ))
		return ioasid_fail(extack, -EOPNOTSUPP, IOASID_REASON_PERMISSION,
				   "IOASID_MAP_PARENT needs IOASID_MAP_READ: not all IOMMUs can write and not read");
	return 0;
}

/* What is 0 is left out: it is not wrong, and the caller may not have given it */
static int ioasid_not_aligned(u64 iova, u64 addr, u64 length,
			      struct ioasid_extack *extack)
{
	extack->value = iova | addr | length;
	if (iova && addr)
		return ioasid_fail(extack, -EINVAL, IOASID_REASON_ALIGNMENT,
				   "IOVA %#llx, address %#llx and length %#llx must be multiples of %lu",
				   iova, addr, length, PAGE_SIZE);
	if (iova || addr)
		return ioasid_fail(extack, -EINVAL, IOASID_REASON_ALIGNMENT,
				   "%s %#llx and length %#llx must be multiples of %lu",
				   iova ? "IOVA" : "address", iova ?: addr,
				   length, PAGE_SIZE);
	return ioasid_fail(extack, -EINVAL, IOASID_REASON_ALIGNMENT,
			   "length %#llx must be a multiple of %lu", length,
			   PAGE_SIZE);
}

/* @iova is 0 if the kernel chooses it, @addr if there is none */
static int ioasid_check_range(u64 iova, u64 addr, u64 length,
			      struct ioasid_extack *extack)
{
	bool iova_wraps;
	u64 end;

	if (!length)
		return ioasid_fail(extack, -EINVAL, IOASID_REASON_VALUE,
				   "the length is 0");
	if (!PAGE_ALIGNED(iova | addr | length))
		return ioasid_not_aligned(iova, addr, length, extack);
	/* Checks the last address, since the end may be 2^64 */
	iova_wraps = check_add_overflow(iova, length - 1, &end);
	if (iova_wraps || check_add_overflow(addr, length - 1, &end)) {
		extack->value = length;
		return ioasid_fail(extack, -EOVERFLOW, IOASID_REASON_OVERFLOW,
				   "%s %#llx plus length %#llx wraps",
				   iova_wraps ? "IOVA" : "address",
				   iova_wraps ? iova : addr, length);
	}
	return 0;
}

static int ioasid_check_map(const struct ioasid_map_range *r,
			    struct ioasid_extack *extack)
{
	int rc = ioasid_check_map_flags(r, extack);

	if (!rc)
		rc = ioasid_check_range(r->flags & IOASID_MAP_FIXED ? r->iova :
								      0,
					r->addr, r->length, extack);
	if (rc)
		return rc;
	if (r->length >> PAGE_SHIFT > U32_MAX) {
		extack->value = r->length;
		return ioasid_fail(extack, -E2BIG, IOASID_REASON_LIMIT,
				   "a mapping must be smaller than 16 TiB");
	}
	if (r->flags & IOASID_MAP_FILE && r->addr > S64_MAX - r->length)
		return ioasid_fail(extack, -EOVERFLOW, IOASID_REASON_OVERFLOW,
				   "offset %#llx is beyond the end of any file", r->addr);
	return 0;
}

static struct ioasid_pages *ioasid_new_pages(const struct ioasid_map_range *r)
{
	struct ioasid_pages *pages = ioasid_pages_alloc();

	if (!pages)
		return NULL;
	pages->addr = r->addr;
	pages->area.nr = r->length >> PAGE_SHIFT;
	pages->area.file = !!(r->flags & IOASID_MAP_FILE);
	pages->area.prot = r->flags & (IOASID_MAP_READ | IOASID_MAP_WRITE);
	return pages;
}

/* Called without locks, since pinning can block for any length of time */
static int ioasid_pin_range(struct ioasid_ctx *ctx,
			    const struct ioasid_map_range *r,
			    struct ioasid_area **area,
			    struct ioasid_extack *extack)
{
	struct ioasid_pages *pages;
	int rc = ioasid_check_map(r, extack);

	if (rc)
		return rc;
	if (r->flags & IOASID_MAP_PARENT) {
		*area = ioasid_shadow_area_alloc(r, extack);
		return PTR_ERR_OR_ZERO(*area);
	}
	pages = ioasid_new_pages(r);
	if (!pages)
		return ioasid_fail(extack, -ENOMEM, IOASID_REASON_NO_MEMORY,
				   "no memory for a mapping");
	*area = &pages->area;
	rc = ioasid_pages_pin(ctx, pages, r->fd, extack);
	if (rc)
		ioasid_area_free(ctx, *area);
	return rc;
}

/* Memory in a mapped space, and IOVA of the parent in a shadow space */
static int ioasid_check_area_type(struct ioasid_space *space, bool shadow,
				  struct ioasid_extack *extack)
{
	if (shadow == !!space->ops->map_area)
		return 0;
	if (shadow)
		return ioasid_fail(extack, -EINVAL, IOASID_REASON_KIND,
				   "space %u is not a shadow space, so IOASID_MAP_PARENT is not for it",
				   space->id);
	return ioasid_fail(extack, -EINVAL, IOASID_REASON_KIND,
			   "space %u is a shadow space, for IOASID_MAP_PARENT alone",
			   space->id);
}

static int ioasid_check_area(struct ioasid_space *space, bool shadow, u32 prot,
			     struct ioasid_extack *extack)
{
	int rc = ioasid_check_area_type(space, shadow, extack);

	if (rc)
		return rc;
	/* Not all IOMMUs walk a nested table in memory that is only to be read */
	if (!space->nest_parent || prot & IOASID_MAP_WRITE)
		return 0;
	return ioasid_fail(extack, -EOPNOTSUPP, IOASID_REASON_PERMISSION,
			   "space %u can be the parent of nested spaces, and needs IOASID_MAP_WRITE for all that is mapped",
			   space->id);
}

static int ioasid_insert_range(struct ioasid_space *space,
			       struct ioasid_map_range *r,
			       struct ioasid_area *area,
			       struct ioasid_extack *extack)
{
	int rc = ioasid_lock_areas(space, extack);

	if (rc)
		return rc;
	if (!(r->flags & IOASID_MAP_FIXED)) {
		r->iova = r->addr;
		rc = ioasid_iova_place(space, &r->iova, r->length, false,
				       extack);
	}
	if (!rc) {
		area->first = r->iova;
		rc = ioasid_iova_insert(space, area, extack);
	}
	mutex_unlock(&space->iova_lock);
	return rc;
}

/* Inserts and maps a pinned range, whose area stays PENDING */
static int ioasid_place_range(struct ioasid_space *space,
			      struct ioasid_map_range *r,
			      struct ioasid_area *area,
			      struct ioasid_extack *extack)
{
	int rc = ioasid_check_area(space, area->type == IOASID_AREA_SHADOW,
				   area->prot, extack) ?:
			 ioasid_insert_range(space, r, area, extack);

	if (rc)
		return rc;
	rc = ioasid_map_area(space, area, extack);
	if (rc)
		ioasid_erase_areas(space, &area, 1);
	return rc;
}

static void ioasid_unplace_areas(struct ioasid_space *space,
				 struct ioasid_area **area, u32 nr)
{
	ioasid_unmap_areas(space, area, nr);
	ioasid_erase_areas(space, area, nr);
}

static int ioasid_place_ranges(struct ioasid_space *space,
			       struct ioasid_map_job *job,
			       struct ioasid_extack *extack)
{
	u32 i;
	int rc;

	lockdep_assert_held(&space->rwsem);
	for (i = 0; i < job->nr; i++) {
		rc = ioasid_check_killed(extack) ?:
			     ioasid_place_range(space, &job->r[i],
						job->area[i], extack);
		if (rc) {
			extack->index = i;
			ioasid_unplace_areas(space, job->area, i);
			return rc;
		}
	}
	return 0;
}

static int ioasid_pin_ranges(struct ioasid_map_job *job,
			     struct ioasid_extack *extack)
{
	u32 i;
	int rc;

	for (i = 0; i < job->charged; i++) {
		rc = ioasid_pin_range(job->ctx, &job->r[i], &job->area[i],
				      extack);
		if (rc) {
			extack->index = i;
			return rc;
		}
		job->nr++;
	}
	return 0;
}

/* Charges @nr mappings, and makes room for their areas */
static int ioasid_map_init(struct ioasid_map_job *job, struct ioasid_ctx *ctx,
			   u32 nr, struct ioasid_extack *extack)
{
	int rc = ioasid_charge(ctx, IOASID_QUOTA_MAPPINGS, nr, extack);

	if (rc)
		return rc;
	job->ctx = ctx;
	job->space = NULL;
	job->nr = 0;
	job->charged = nr;
	job->area = &job->one;
	/* Avoids an allocation for a single area */
	if (nr > 1)
		job->area = kvmalloc_array(nr, sizeof(*job->area),
					   GFP_KERNEL_ACCOUNT | __GFP_NOWARN);
	if (job->area)
		return 0;
	ioasid_uncharge(ctx, IOASID_QUOTA_MAPPINGS, nr);
	return ioasid_fail(extack, -ENOMEM, IOASID_REASON_NO_MEMORY,
			   "no memory for a list of %u mappings", nr);
}

/**
 * ioasid_map_begin() - pin memory of the current process, to be mapped
 * @job: to be initialised
 * @ctx: the context
 * @r: the ranges; must stay valid until the end of the job
 * @nr: number of ranges, 1 to IOASID_MAX_VECTOR
 * @extack: the reason if it fails
 *
 * To be followed by ioasid_map_place() or ioasid_map_abort().
 *
 * Context: a user process, no locks held, since pinning can block for any
 * length of time. Takes mmap_lock.
 *
 * Return: 0, or an error of IOASID_MAP.
 */
int ioasid_map_begin(struct ioasid_map_job *job, struct ioasid_ctx *ctx,
		     struct ioasid_map_range *r, u32 nr,
		     struct ioasid_extack *extack)
{
	int rc = ioasid_map_init(job, ctx, nr, extack);

	if (rc)
		return rc;
	job->r = r;
	rc = ioasid_pin_ranges(job, extack);
	if (rc)
		ioasid_map_abort(job);
	return rc;
}

/**
 * ioasid_map_place() - give pinned ranges their IOVA, and map them
 * @job: a job of ioasid_map_begin(); out: @iova of the ranges without
 *	IOASID_MAP_FIXED
 * @ioasid: a mapped space
 * @extack: the reason if it fails
 *
 * The areas stay PENDING: no other command sees them, and
 * ioasid_map_unplace() can undo everything. On success followed by that or by
 * ioasid_map_commit(), on failure by ioasid_map_abort().
 *
 * Context: can sleep. On success ioasid_space.rwsem is held for reading, so
 * user memory can only be accessed with page faults disabled.
 *
 * Return: 0, or an error of IOASID_MAP.
 */
int ioasid_map_place(struct ioasid_map_job *job, u32 ioasid,
		     struct ioasid_extack *extack)
{
	struct ioasid_space *space;
	int rc;

	space = ioasid_space_get_read_mapped(job->ctx, ioasid, extack);
	if (IS_ERR(space))
		return PTR_ERR(space);
	rc = ioasid_place_ranges(space, job, extack);
	if (rc)
		ioasid_space_put_read(space);
	else
		job->space = space;
	return rc;
}

static void ioasid_map_free(struct ioasid_map_job *job)
{
	if (job->area != &job->one)
		kvfree(job->area);
}

/**
 * ioasid_map_commit() - let the other commands see what was mapped
 * @job: a job that is placed; ends here
 *
 * Context: can sleep; releases ioasid_space.rwsem.
 */
void ioasid_map_commit(struct ioasid_map_job *job)
{
	ioasid_publish_areas(job->space, job->area, job->nr);
	ioasid_space_put_read(job->space);
	ioasid_map_free(job);
}

/**
 * ioasid_map_unplace() - undo ioasid_map_place() or ioasid_copy_place()
 * @job: a job that is placed; stays pinned
 *
 * Followed by another attempt, or by ioasid_map_abort().
 *
 * Context: can sleep; releases ioasid_space.rwsem.
 */
void ioasid_map_unplace(struct ioasid_map_job *job)
{
	ioasid_unplace_areas(job->space, job->area, job->nr);
	ioasid_space_put_read(job->space);
	job->space = NULL;
}

/**
 * ioasid_map_abort() - undo ioasid_map_begin() or ioasid_copy_begin()
 * @job: a job that is not placed; ends here
 *
 * Context: can sleep.
 */
void ioasid_map_abort(struct ioasid_map_job *job)
{
	u32 i;

	for (i = 0; i < job->nr; i++) {
		ioasid_area_free(job->ctx, job->area[i]);
		ioasid_resched_some(i);
	}
	ioasid_uncharge(job->ctx, IOASID_QUOTA_MAPPINGS, job->charged);
	ioasid_map_free(job);
}

/**
 * ioasid_map_ranges() - map memory of the current process, all of it or none
 * @ctx: the context
 * @ioasid: a mapped space
 * @r: the ranges; out: @iova of those without IOASID_MAP_FIXED
 * @nr: number of ranges, 1 to IOASID_MAX_VECTOR
 * @extack: the reason if it fails
 *
 * For callers that have nothing to do before the mappings are seen.
 *
 * Context: a user process; can sleep. Takes mmap_lock, and ioasid_space.rwsem
 * for reading.
 *
 * Return: 0, or an error of IOASID_MAP.
 */
int ioasid_map_ranges(struct ioasid_ctx *ctx, u32 ioasid,
		      struct ioasid_map_range *r, u32 nr,
		      struct ioasid_extack *extack)
{
	struct ioasid_map_job job __uninitialized;
	int rc = ioasid_map_begin(&job, ctx, r, nr, extack);

	if (rc)
		return rc;
	rc = ioasid_map_place(&job, ioasid, extack);
	if (rc)
		ioasid_map_abort(&job);
	else
		ioasid_map_commit(&job);
	return rc;
}

/**
 * struct ioasid_unmap_batch - areas that an unmap removes
 * @space: the space
 * @area: the areas, which are UNMAPPING, so that no other command uses them;
 *	@few at first
 * @nr: number of areas
 * @max: room in @area
 * @empty_ok: a range may be without areas
 * @few: avoids an allocation for a small unmap
 */
struct ioasid_unmap_batch {
	struct ioasid_space *space;
	struct ioasid_area **area;
	u32 nr;
	u32 max;
	bool empty_ok;
	struct ioasid_area *few[IOASID_UNMAP_FEW];
};

static void ioasid_unmap_batch_init(struct ioasid_unmap_batch *batch,
				    struct ioasid_space *space)
{
	batch->space = space;
	batch->area = batch->few;
	batch->nr = 0;
	batch->max = IOASID_UNMAP_FEW;
	batch->empty_ok = false;
}

static void ioasid_unmap_batch_free(struct ioasid_unmap_batch *batch)
{
	if (batch->area != batch->few)
		kvfree(batch->area);
}

static int ioasid_unmap_batch_grow(struct ioasid_unmap_batch *batch, u32 max)
{
	struct ioasid_area **bigger;

	bigger = kvmalloc_array(max, sizeof(*bigger),
				GFP_KERNEL_ACCOUNT | __GFP_NOWARN);
	if (!bigger)
		return -ENOMEM;
	memcpy(bigger, batch->area, batch->nr * sizeof(*bigger));
	ioasid_unmap_batch_free(batch);
	batch->area = bigger;
	batch->max = max;
	return 0;
}

static int ioasid_check_unmap_area(const struct ioasid_area *area, u64 first,
				   u64 last, struct ioasid_extack *extack)
{
	u64 area_last = ioasid_area_last(area);

	if (area->first >= first && area_last <= last &&
	    area->state == IOASID_AREA_READY)
		return 0;
	extack->value = area->first;
	if (area->first < first || area_last > last)
		return ioasid_fail(extack, -EINVAL, IOASID_REASON_SPLIT,
				   "%#llx-%#llx would split the mapping at %#llx-%#llx",
				   first, last, area->first, area_last);
	return ioasid_fail(extack, -EBUSY, IOASID_REASON_RACE,
			   "another command is using the mapping at %#llx",
			   area->first);
}

/* Adds the areas of a range to the batch; fails if it splits an area */
static int ioasid_unmap_batch_take(struct ioasid_unmap_batch *batch, u64 first,
				   u64 last, struct ioasid_extack *extack)
{
	struct ioasid_area *area = ioasid_iova_first(batch->space, first, last);
	int rc;

	lockdep_assert_held(&batch->space->iova_lock);
	if (!area && batch->empty_ok)
		return 0;
	if (!area) {
		extack->value = first;
		return ioasid_fail(extack, -ENOENT, IOASID_REASON_NOT_MAPPED,
				   "nothing is mapped at %#llx-%#llx of space %u",
				   first, last, batch->space->id);
	}
	do {
		if (batch->nr == batch->max &&
		    ioasid_unmap_batch_grow(batch, batch->max * 4))
			return ioasid_fail(extack, -ENOMEM,
					   IOASID_REASON_NO_MEMORY,
					   "no memory for the list of mappings");
		rc = ioasid_check_unmap_area(area, first, last, extack);
		if (rc)
			return rc;
		area->state = IOASID_AREA_UNMAPPING;
		batch->area[batch->nr++] = area;
		if (ioasid_area_last(area) >= last)
			break;
		area = ioasid_iova_next(area);
		rc = ioasid_check_killed(extack);
	} while (!rc && area && area->first <= last);
	return rc;
}

static int ioasid_unmap_batch_take_all(struct ioasid_unmap_batch *batch,
				       const struct ioasid_unmap_range *r,
				       u32 nr, struct ioasid_extack *extack)
{
	int rc = ioasid_lock_areas(batch->space, extack);
	u32 i;

	if (rc)
		return rc;
	for (i = 0; i < nr; i++) {
		rc = ioasid_unmap_batch_take(batch, r[i].iova,
					     r[i].iova + r[i].length - 1,
					     extack);
		if (rc) {
			extack->index = i;
			break;
		}
		ioasid_resched_some(i);
	}
	for (i = 0; rc && i < batch->nr; i++) {
		batch->area[i]->state = IOASID_AREA_READY;
		ioasid_resched_some(i);
	}
	mutex_unlock(&batch->space->iova_lock);
	return rc;
}

/* Fills the batch with the areas from @at on, and advances @at */
static void ioasid_unmap_batch_take_some(struct ioasid_unmap_batch *batch,
					 u64 *at)
{
	struct ioasid_area *area;
	u32 seen = 0;

	batch->nr = 0;
	mutex_lock(&batch->space->iova_lock);
	area = ioasid_iova_first(batch->space, *at, U64_MAX);
	while (area && batch->nr < batch->max) {
		ioasid_resched_some(seen++);
		*at = ioasid_area_last(area) + 1;
		/* Skips areas that another command maps or unmaps */
		if (area->state == IOASID_AREA_READY) {
			area->state = IOASID_AREA_UNMAPPING;
			batch->area[batch->nr++] = area;
		}
		area = ioasid_iova_next(area);
	}
	mutex_unlock(&batch->space->iova_lock);
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

/* Overlapping ranges would unmap an area twice */
static int ioasid_check_disjoint(const struct ioasid_unmap_range *r, u32 nr,
				 struct ioasid_extack *extack)
{
	struct ioasid_order *o = kvmalloc_array(nr, sizeof(*o),
						GFP_KERNEL_ACCOUNT);
	int rc = 0;
	u32 i;

	if (!o)
		return ioasid_fail(extack, -ENOMEM, IOASID_REASON_NO_MEMORY,
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
		extack->index = max(o[i].index, o[i - 1].index);
		extack->value = o[i].first;
		rc = ioasid_fail(extack, -EINVAL, IOASID_REASON_OVERLAP,
				 "ranges %u and %u overlap", o[i - 1].index,
				 o[i].index);
	}
	kvfree(o);
	return rc;
}

static int ioasid_check_unmap(const struct ioasid_unmap_range *r, u32 nr,
			      struct ioasid_extack *extack)
{
	bool ascending = true;
	u32 i;
	int rc;

	for (i = 0; i < nr; i++) {
		rc = ioasid_check_range(r[i].iova, 0, r[i].length, extack);
		if (rc) {
			extack->index = i;
			return rc;
		}
		if (i && r[i].iova <= r[i - 1].iova + r[i - 1].length - 1)
			ascending = false;
	}
	return ascending ? 0 : ioasid_check_disjoint(r, nr, extack);
}

/**
 * ioasid_unmap_ranges() - unmap ranges, all of them or none
 * @ctx: the context
 * @ioasid: a mapped space
 * @r: the ranges; none may split a mapping
 * @nr: number of ranges, 1 to IOASID_MAX_VECTOR
 * @flags: 0 or IOASID_UNMAP_EMPTY_OK
 * @unmapped: out: number of bytes
 * @extack: the reason if it fails
 *
 * Context: can sleep; takes ioasid_space.rwsem for reading.
 *
 * Return: 0, or an error of IOASID_UNMAP.
 */
int ioasid_unmap_ranges(struct ioasid_ctx *ctx, u32 ioasid,
			const struct ioasid_unmap_range *r, u32 nr, u32 flags,
			u64 *unmapped, struct ioasid_extack *extack)
{
	struct ioasid_unmap_batch batch __uninitialized;
	struct ioasid_space *space;
	int rc;

	space = ioasid_space_get_read_mapped(ctx, ioasid, extack);
	if (IS_ERR(space))
		return PTR_ERR(space);
	rc = ioasid_check_unmap(r, nr, extack);
	if (rc)
		goto put;
	ioasid_unmap_batch_init(&batch, space);
	batch.empty_ok = flags & IOASID_UNMAP_EMPTY_OK;
	rc = ioasid_unmap_batch_take_all(&batch, r, nr, extack);
	if (!rc) {
		*unmapped = ioasid_areas_bytes(batch.area, batch.nr);
		ioasid_remove_areas(space, batch.area, batch.nr);
	}
	ioasid_unmap_batch_free(&batch);
put:
	ioasid_space_put_read(space);
	return rc;
}

/**
 * ioasid_unmap_all() - unmap all mappings of a space
 * @ctx: the context
 * @ioasid: a mapped space
 * @unmapped: out: number of bytes
 * @extack: the reason if it fails
 *
 * Skips mappings that another command is mapping or unmapping.
 *
 * Context: can sleep; takes ioasid_space.rwsem for reading.
 *
 * Return: 0, -ENOENT if there is no such space, -EINVAL if it is of another
 * kind, -EINTR if killed, and then some of it may still be mapped.
 */
int ioasid_unmap_all(struct ioasid_ctx *ctx, u32 ioasid, u64 *unmapped,
		     struct ioasid_extack *extack)
{
	struct ioasid_unmap_batch batch __uninitialized;
	struct ioasid_space *space;
	u64 at = 0;
	int rc = 0;

	space = ioasid_space_get_read_mapped(ctx, ioasid, extack);
	if (IS_ERR(space))
		return PTR_ERR(space);
	ioasid_unmap_batch_init(&batch, space);
	/* If this fails, the batches are smaller */
	ioasid_unmap_batch_grow(&batch, IOASID_UNMAP_BATCH);
	*unmapped = 0;
	do {
		ioasid_unmap_batch_take_some(&batch, &at);
		*unmapped += ioasid_areas_bytes(batch.area, batch.nr);
		ioasid_remove_areas(space, batch.area, batch.nr);
		if (batch.nr < batch.max || !at)
			break;
		rc = ioasid_check_killed(extack);
	} while (!rc);
	ioasid_unmap_batch_free(&batch);
	ioasid_space_put_read(space);
	return rc;
}

static int ioasid_copy_check_area(struct ioasid_area *area, u64 at, u32 prot,
				  struct ioasid_extack *extack)
{
	extack->value = at;
	if (!area || area->first > at)
		return ioasid_fail(extack, -ENOENT, IOASID_REASON_NOT_MAPPED,
				   "nothing is mapped at %#llx of the source",
				   at);
	if (area->state != IOASID_AREA_READY)
		return ioasid_fail(extack, -EBUSY, IOASID_REASON_RACE,
				   "another command is using the mapping at %#llx of the source",
				   area->first);
	if (prot & IOASID_MAP_WRITE && !(area->prot & IOASID_MAP_WRITE))
		return ioasid_fail(extack, -EPERM, IOASID_REASON_PERMISSION,
				   "the source is not mapped for writing at %#llx",
				   at);
	extack->value = 0;
	return 0;
}

/* Counts the areas of the source, after it has checked each */
static int ioasid_copy_count(struct ioasid_space *space,
			     const struct ioasid_copy *arg, u32 *nr,
			     struct ioasid_extack *extack)
{
	u64 at = arg->src_iova, last = at + arg->length - 1;
	struct ioasid_area *area = ioasid_iova_first(space, at, last);
	int rc;

	lockdep_assert_held(&space->iova_lock);
	for (*nr = 1;; ++*nr) {
		rc = ioasid_copy_check_area(area, at, arg->flags, extack);
		if (rc)
			return rc;
		if (ioasid_area_last(area) >= last)
			return 0;
		rc = ioasid_check_killed(extack);
		if (rc)
			return rc;
		at = ioasid_area_last(area) + 1;
		area = ioasid_iova_next(area);
	}
}

/* Makes areas for the destination, with references on the pages */
static int ioasid_copy_collect(struct ioasid_space *space,
			       const struct ioasid_copy *arg,
			       struct ioasid_map_job *job, u32 nr,
			       struct ioasid_extack *extack)
{
	u64 at = arg->src_iova, last = at + arg->length - 1;
	struct ioasid_area *src = ioasid_iova_first(space, at, last), *area;
	int rc;

	lockdep_assert_held(&space->iova_lock);
	for (; job->nr < nr; src = ioasid_iova_next(src)) {
		u32 skip = (at - src->first) >> PAGE_SHIFT;
		u64 left = ((last - at) >> PAGE_SHIFT) + 1;

		area = ioasid_area_alloc(ioasid_area_pages(src),
					 ioasid_area_page(src) + skip,
					 min_t(u64, src->nr - skip, left),
					 extack);
		if (IS_ERR(area))
			return PTR_ERR(area);
		area->prot = arg->flags & (IOASID_MAP_READ | IOASID_MAP_WRITE);
		at += ioasid_area_length(area);
		job->area[job->nr++] = area;
		rc = ioasid_check_killed(extack);
		if (rc)
			return rc;
	}
	return 0;
}

static int ioasid_copy_from(struct ioasid_space *space,
			    const struct ioasid_copy *arg,
			    struct ioasid_map_job *job,
			    struct ioasid_extack *extack)
{
	u32 nr;
	int rc = ioasid_copy_count(space, arg, &nr, extack);

	lockdep_assert_held(&space->iova_lock);
	if (!rc)
		rc = ioasid_map_init(job, space->ctx, nr, extack);
	if (rc)
		return rc;
	rc = ioasid_copy_collect(space, arg, job, nr, extack);
	if (rc)
		ioasid_map_abort(job);
	return rc;
}

/**
 * ioasid_copy_begin() - make mappings of what another space has mapped
 * @job: to be initialised
 * @ctx: the context
 * @arg: source and destination
 * @extack: the reason if it fails
 *
 * To be followed by ioasid_copy_place() or ioasid_map_abort().
 *
 * Context: can sleep; takes ioasid_space.rwsem for reading.
 *
 * Return: 0, or an error of IOASID_COPY.
 */
int ioasid_copy_begin(struct ioasid_map_job *job, struct ioasid_ctx *ctx,
		      const struct ioasid_copy *arg,
		      struct ioasid_extack *extack)
{
	bool fixed = arg->flags & IOASID_MAP_FIXED;
	struct ioasid_space *space;
	int rc;

	if (!(arg->flags & (IOASID_MAP_READ | IOASID_MAP_WRITE)))
		return ioasid_fail(extack, -EINVAL, IOASID_REASON_VALUE,
				   "neither IOASID_MAP_READ nor IOASID_MAP_WRITE");
	rc = ioasid_check_range(fixed ? arg->dst_iova : 0, arg->src_iova,
				arg->length, extack);
	if (rc)
		return rc;
	space = ioasid_space_get_read_mapped(ctx, arg->src_ioasid, extack);
	if (IS_ERR(space))
		return PTR_ERR(space);
	rc = ioasid_check_area_type(space, false, extack) ?:
		     ioasid_lock_areas(space, extack);
	if (!rc) {
		rc = ioasid_copy_from(space, arg, job, extack);
		mutex_unlock(&space->iova_lock);
	}
	ioasid_space_put_read(space);
	return rc;
}

/*
 * Assigns IOVA to the areas and inserts them; @done is their number, also if it is
 * killed
 */
static int ioasid_copy_insert(struct ioasid_space *space,
			      struct ioasid_copy *arg,
			      struct ioasid_map_job *job, u32 *done,
			      struct ioasid_extack *extack)
{
	struct ioasid_area *area = job->area[0];
	bool fixed = arg->flags & IOASID_MAP_FIXED;
	u64 iova = fixed ? arg->dst_iova : ioasid_area_addr(area);
	int rc;

	lockdep_assert_held(&space->iova_lock);
	rc = ioasid_iova_place(space, &iova, arg->length, fixed, extack);
	if (rc)
		return rc;
	arg->dst_iova = iova;
	while (!rc && *done < job->nr) {
		area = job->area[(*done)++];
		area->first = iova;
		iova += ioasid_area_length(area);
		/* Cannot fail: the range is free under the lock */
		WARN_ON(ioasid_iova_insert(space, area, extack));
		rc = ioasid_check_killed(extack);
	}
	return rc;
}

static int ioasid_copy_to(struct ioasid_space *space, struct ioasid_copy *arg,
			  struct ioasid_map_job *job,
			  struct ioasid_extack *extack)
{
	u32 inserted = 0, mapped = 0;
	int rc = ioasid_check_area(space, false, arg->flags, extack) ?:
			 ioasid_lock_areas(space, extack);

	lockdep_assert_held(&space->rwsem);
	if (rc)
		return rc;
	rc = ioasid_copy_insert(space, arg, job, &inserted, extack);
	mutex_unlock(&space->iova_lock);
	while (!rc && mapped < job->nr) {
		rc = ioasid_map_area(space, job->area[mapped], extack);
		if (rc)
			break;
		mapped++;
		rc = ioasid_check_killed(extack);
	}
	if (!rc)
		return 0;
	ioasid_unmap_areas(space, job->area, mapped);
	ioasid_erase_areas(space, job->area, inserted);
	return rc;
}

/**
 * ioasid_copy_place() - give copied mappings their IOVA, and map them
 * @job: a job of ioasid_copy_begin()
 * @arg: the destination; out: @dst_iova without IOASID_MAP_FIXED
 * @extack: the reason if it fails
 *
 * As ioasid_map_place(), which see.
 *
 * Context: can sleep. On success ioasid_space.rwsem of the destination is held
 * for reading.
 *
 * Return: 0, or an error of IOASID_COPY.
 */
int ioasid_copy_place(struct ioasid_map_job *job, struct ioasid_copy *arg,
		      struct ioasid_extack *extack)
{
	struct ioasid_space *space;
	int rc;

	space = ioasid_space_get_read_mapped(job->ctx, arg->dst_ioasid, extack);
	if (IS_ERR(space))
		return PTR_ERR(space);
	rc = ioasid_copy_to(space, arg, job, extack);
	if (rc)
		ioasid_space_put_read(space);
	else
		job->space = space;
	return rc;
}

static int ioasid_translate_area(struct ioasid_space *space,
				 struct ioasid_translate *arg,
				 struct ioasid_extack *extack)
{
	struct ioasid_domain *domain;
	struct ioasid_area *area;

	lockdep_assert_held(&space->iova_lock);
	area = ioasid_iova_first(space, arg->iova, arg->iova);
	if (!area || area->state != IOASID_AREA_READY) {
		extack->value = arg->iova;
		return ioasid_fail(extack, -ENOENT, IOASID_REASON_NOT_MAPPED,
				   "nothing is mapped at %#llx of space %u",
				   arg->iova, space->id);
	}
	arg->map_iova = area->first;
	arg->map_length = ioasid_area_length(area);
	arg->map_flags = area->prot | (area->file ? IOASID_MAP_FILE : 0) |
			 (area->type == IOASID_AREA_SHADOW ? IOASID_MAP_PARENT :
							    0);
	arg->addr = ioasid_area_addr(area) + (arg->iova - area->first);
	arg->phys = 0;
	domain = list_first_entry_or_null(&space->domains, struct ioasid_domain,
					  link);
	if (domain && arg->flags & IOASID_TRANSLATE_PHYS)
		arg->phys = iommu_iova_to_phys(domain->domain, arg->iova);
	return 0;
}

/**
 * ioasid_translate() - look up the mapping at an IOVA
 * @ctx: the context
 * @arg: the space and the IOVA; out: the mapping
 * @extack: the reason if it fails
 *
 * Context: can sleep; takes ioasid_space.rwsem for reading.
 *
 * Return: 0, or an error of IOASID_TRANSLATE.
 */
int ioasid_translate(struct ioasid_ctx *ctx, struct ioasid_translate *arg,
		     struct ioasid_extack *extack)
{
	struct ioasid_space *space;
	int rc;

	space = ioasid_space_get_read_mapped(ctx, arg->ioasid, extack);
	if (IS_ERR(space))
		return PTR_ERR(space);
	rc = ioasid_lock_areas(space, extack);
	if (!rc) {
		rc = ioasid_translate_area(space, arg, extack);
		mutex_unlock(&space->iova_lock);
	}
	ioasid_space_put_read(space);
	return rc;
}

/**
 * ioasid_mapped_empty() - unpin all memory of a space without domains
 * @space: the space; dead, or not published
 *
 * Context: can sleep. Takes no lock, since no one else can access the tree.
 */
void ioasid_mapped_empty(struct ioasid_space *space)
{
	struct ioasid_area *area, *next;
	u32 nr = space->nr_areas;

	if (!nr)
		return;
	rbtree_postorder_for_each_entry_safe(area, next, &space->areas, node) {
		ioasid_area_free(space->ctx, area);
		cond_resched();
	}
	ioasid_iova_clear(space);
	atomic64_set(&space->nr_mappings, 0);
	atomic64_set(&space->mapped, 0);
	atomic64_set(&space->pinned, 0);
	ioasid_uncharge(space->ctx, IOASID_QUOTA_MAPPINGS, nr);
}

const struct ioasid_space_ops ioasid_mapped_ops = {
	.name = "mapped",
	.check = ioasid_check_no_data,
	.empty = ioasid_mapped_empty,
	.fill = ioasid_domain_fill,
	.unfill = ioasid_domain_unfill,
};
