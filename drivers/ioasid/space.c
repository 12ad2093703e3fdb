// SPDX-License-Identifier: GPL-2.0
/*
 * What all spaces share: making and freeing them, who may enter, what they
 * tell about themselves. Nothing here may know how a kind of space keeps its
 * page table.
 */
#include <linux/slab.h>
#include <linux/uaccess.h>
#include "ioasid_private.h"
#include "trace.h"

static void ioasid_space_free_last(struct kref *ref)
{
	struct ioasid_space *space = container_of(ref, struct ioasid_space, ref);

	WARN_ON(!list_empty(&space->attachments) ||
		!list_empty(&space->domains));
	ioasid_mapped_empty(space);
	ioasid_iova_destroy(space);
	ioasid_mm_destroy(space);
	ioasid_fault_unbind(space);
	kfree_rcu(space, rcu);
}

void ioasid_space_put(struct ioasid_space *space)
{
	kref_put(&space->ref, ioasid_space_free_last);
}

/**
 * ioasid_space_get() - find a space by its id
 * @ctx: the context
 * @id: the id
 * @why: the reason if there is none
 *
 * Return: the space with a reference, or ERR_PTR(-ENOENT).
 */
struct ioasid_space *ioasid_space_get(struct ioasid_ctx *ctx, u32 id,
				      struct ioasid_explain *why)
{
	struct ioasid_space *space;

	rcu_read_lock();
	space = xa_load(&ctx->spaces, id);
	if (space && !kref_get_unless_zero(&space->ref))
		space = NULL;
	rcu_read_unlock();
	if (space) {
		why->ioasid = id;
		return space;
	}
	why->ioasid = id;
	ioasid_fail(why, -ENOENT, IOASID_REASON_NO_SPACE_ID,
		    "this context has no space %u", id);
	return ERR_PTR(-ENOENT);
}

static int ioasid_space_alive(struct ioasid_space *space,
			      struct ioasid_explain *why)
{
	if (!space->dead)
		return 0;
	return ioasid_fail(why, -ENOENT, IOASID_REASON_NO_SPACE_ID,
			   "space %u has just been freed", space->id);
}

static int ioasid_check_mapped(struct ioasid_space *space,
			       struct ioasid_explain *why)
{
	if (space->kind == IOASID_KIND_MAPPED)
		return 0;
	return ioasid_fail(why, -EINVAL, IOASID_REASON_KIND,
			   "space %u is the address space of a process, which maps by itself",
			   space->id);
}

/**
 * ioasid_space_enter() - find a space and keep its domains as they are
 * @ctx: the context
 * @id: the id
 * @why: the reason if it fails
 *
 * Return: the space, with rwsem held for reading, or ERR_PTR of -ENOENT or
 * -EINTR.
 */
struct ioasid_space *ioasid_space_enter(struct ioasid_ctx *ctx, u32 id,
					struct ioasid_explain *why)
{
	struct ioasid_space *space = ioasid_space_get(ctx, id, why);
	int rc;

	if (IS_ERR(space))
		return space;
	if (down_read_killable(&space->rwsem)) {
		rc = ioasid_fail(why, -EINTR, IOASID_REASON_KILLED,
				 "killed while waiting for space %u", id);
		goto put;
	}
	rc = ioasid_space_alive(space, why);
	if (!rc)
		return space;
	up_read(&space->rwsem);
put:
	ioasid_space_put(space);
	return ERR_PTR(rc);
}

/**
 * ioasid_space_enter_mapped() - the same for commands that map or look
 * @ctx: the context
 * @id: the id
 * @why: the reason if it fails
 *
 * Return: the space, with rwsem held for reading, or ERR_PTR of -ENOENT,
 * -EINTR, or -EINVAL if its page table is not the kernel's.
 */
struct ioasid_space *ioasid_space_enter_mapped(struct ioasid_ctx *ctx, u32 id,
					       struct ioasid_explain *why)
{
	struct ioasid_space *space = ioasid_space_enter(ctx, id, why);
	int rc;

	if (IS_ERR(space))
		return space;
	rc = ioasid_check_mapped(space, why);
	if (!rc)
		return space;
	ioasid_space_leave(space);
	return ERR_PTR(rc);
}

void ioasid_space_leave(struct ioasid_space *space)
{
	up_read(&space->rwsem);
	ioasid_space_put(space);
}

/**
 * ioasid_space_lock() - keep everybody else out of a space
 * @space: the space
 * @why: the reason if it fails
 *
 * Return: 0 with rwsem held for writing, -ENOENT or -EINTR.
 */
int ioasid_space_lock(struct ioasid_space *space, struct ioasid_explain *why)
{
	int rc;

	if (down_write_killable(&space->rwsem))
		return ioasid_fail(why, -EINTR, IOASID_REASON_KILLED,
				   "killed while waiting for space %u",
				   space->id);
	rc = ioasid_space_alive(space, why);
	if (rc)
		up_write(&space->rwsem);
	return rc;
}

void ioasid_space_unlock(struct ioasid_space *space)
{
	up_write(&space->rwsem);
}

/**
 * ioasid_space_release_id() - take a space out of its context
 * @space: the space; the caller has a reference, or no command is at work
 *
 * Return: false if a device is attached; true if the id is gone and the memory
 * is unpinned, and the reference that stood for the id is the caller's to put.
 */
bool ioasid_space_release_id(struct ioasid_space *space)
{
	bool released = false;

	down_write(&space->rwsem);
	if (!space->dead && !space->nr_devices) {
		space->dead = true;
		xa_erase(&space->ctx->spaces, space->id);
		atomic_dec(&space->ctx->nr_spaces);
		trace_ioasid_space_free(space);
		released = true;
	}
	up_write(&space->rwsem);
	/* Nobody gets in any more; who still has a reference must not delay it */
	if (released)
		ioasid_mapped_empty(space);
	return released;
}

static int ioasid_check_alloc(struct ioasid_command *cmd)
{
	struct ioasid_alloc *arg = cmd->arg;

	if (arg->kind != IOASID_KIND_MAPPED &&
	    (arg->kind != IOASID_KIND_MM || !IS_ENABLED(CONFIG_IOMMU_SVA))) {
		cmd->why->value = arg->kind;
		return ioasid_fail(cmd->why, -EOPNOTSUPP, IOASID_REASON_KIND,
				   "%u is not a kind of space that this kernel has",
				   arg->kind);
	}
	if (arg->flags & IOASID_ALLOC_FAULTS && !IS_ENABLED(CONFIG_IOMMU_IOPF))
		return ioasid_fail(cmd->why, -EOPNOTSUPP, IOASID_REASON_NO_PRI,
				   "this kernel is built without page requests (CONFIG_IOMMU_IOPF)");
	if (arg->flags & IOASID_ALLOC_FAULTS && arg->kind == IOASID_KIND_MM)
		return ioasid_fail(cmd->why, -EINVAL, IOASID_REASON_KIND,
				   "the kernel answers the page requests of a process");
	if (arg->parent || arg->data_type || arg->data_len || arg->data ||
	    arg->__reserved)
		return ioasid_fail(cmd->why, -EOPNOTSUPP, IOASID_REASON_FLAGS,
				   "such a space has no parent and no data, and reserved fields are zero");
	if (strnlen(arg->label, sizeof(arg->label)) == sizeof(arg->label))
		return ioasid_fail(cmd->why, -EINVAL, IOASID_REASON_VALUE,
				   "the label does not end within %zu bytes",
				   sizeof(arg->label));
	return 0;
}

static struct ioasid_space *ioasid_space_create(struct ioasid_ctx *ctx,
						const struct ioasid_alloc *arg)
{
	struct ioasid_space *space = kzalloc(sizeof(*space), GFP_KERNEL_ACCOUNT);

	if (!space)
		return NULL;
	kref_init(&space->ref);
	space->ctx = ctx;
	space->kind = arg->kind;
	space->faults = arg->flags & IOASID_ALLOC_FAULTS;
	strscpy(space->label, arg->label, sizeof(space->label));
	init_rwsem(&space->rwsem);
	INIT_LIST_HEAD(&space->domains);
	INIT_LIST_HEAD(&space->attachments);
	if (ioasid_iova_init(space)) {
		kfree(space);
		return NULL;
	}
	if (space->kind == IOASID_KIND_MM)
		ioasid_mm_init(space);
	return space;
}

/**
 * ioasid_space_scratch() - a space that belongs to no context, to try things on
 * @why: the reason if there is no memory
 *
 * Return: the space, to be given back by ioasid_space_put(), or NULL.
 */
struct ioasid_space *ioasid_space_scratch(struct ioasid_explain *why)
{
	const struct ioasid_alloc arg = { .kind = IOASID_KIND_MAPPED };
	struct ioasid_space *space = ioasid_space_create(NULL, &arg);

	if (!space)
		ioasid_fail(why, -ENOMEM, IOASID_REASON_NO_MEMORY,
			    "no memory for a space");
	return space;
}

int ioasid_cmd_alloc(struct ioasid_command *cmd)
{
	struct ioasid_alloc *arg = cmd->arg;
	struct ioasid_ctx *ctx = cmd->ctx;
	struct ioasid_space *space;
	int rc = ioasid_check_alloc(cmd);

	if (rc)
		return rc;
	space = ioasid_space_create(ctx, arg);
	/* An empty entry: the id is taken, and nobody finds the space yet */
	rc = space ? xa_alloc(&ctx->spaces, &space->id, NULL,
			      XA_LIMIT(1, S32_MAX), GFP_KERNEL_ACCOUNT) :
		     -ENOMEM;
	if (rc) {
		ioasid_fail(cmd->why, rc, IOASID_REASON_NO_MEMORY,
			    "no memory for a space");
		goto free;
	}
	arg->ioasid = space->id;
	rc = ioasid_respond(cmd, sizeof(*arg));
	if (rc)
		goto erase;
	atomic_inc(&ctx->nr_spaces);
	trace_ioasid_space_alloc(space);
	/* From here on another thread can use it and free it */
	xa_store(&ctx->spaces, space->id, space, GFP_KERNEL);
	return 0;
erase:
	xa_erase(&ctx->spaces, space->id);
free:
	if (space)
		ioasid_space_put(space);
	return rc;
}

int ioasid_cmd_free(struct ioasid_command *cmd)
{
	struct ioasid_free *arg = cmd->arg;
	struct ioasid_space *space;
	int rc = 0;

	if (arg->__reserved)
		return ioasid_fail(cmd->why, -EOPNOTSUPP, IOASID_REASON_FLAGS,
				   "a reserved field is not zero");
	space = ioasid_space_get(cmd->ctx, arg->ioasid, cmd->why);
	if (IS_ERR(space))
		return PTR_ERR(space);
	if (ioasid_space_release_id(space))
		ioasid_space_put(space);
	else if (space->dead)
		rc = ioasid_space_alive(space, cmd->why);
	else
		rc = ioasid_fail(cmd->why, -EBUSY, IOASID_REASON_IN_USE,
				 "space %u: %u devices are attached", space->id,
				 space->nr_devices);
	ioasid_space_put(space);
	return rc;
}

/**
 * ioasid_put_ranges() - write ranges to the user
 * @uptr: address of an array, or 0 for none
 * @room: how many fit there
 * @ranges: the ranges
 * @nr: how many
 * @why: the reason if it fails
 *
 * Return: 0, -EFAULT, -EMSGSIZE if they do not fit.
 */
int ioasid_put_ranges(u64 uptr, u32 room, const struct ioasid_iova_range *ranges,
		      u32 nr, struct ioasid_explain *why)
{
	if (!uptr)
		return 0;
	if (room < nr) {
		why->value = nr;
		return ioasid_fail(why, -EMSGSIZE, IOASID_REASON_LIMIT,
				   "there are %u ranges and room for %u", nr,
				   room);
	}
	if (copy_to_user(u64_to_user_ptr(uptr), ranges, nr * sizeof(*ranges)))
		return ioasid_fail(why, -EFAULT, IOASID_REASON_POINTER,
				   "cannot write the ranges");
	return 0;
}

int ioasid_cmd_space_info(struct ioasid_command *cmd)
{
	struct ioasid_space_info *arg = cmd->arg;
	struct ioasid_iova_range *ranges;
	struct ioasid_domain *domain;
	struct ioasid_space *space;
	u32 nr;
	int rc;

	space = ioasid_space_enter(cmd->ctx, arg->ioasid, cmd->why);
	if (IS_ERR(space))
		return PTR_ERR(space);
	nr = space->nr_usable;
	ranges = arg->ranges ? kvmemdup(space->usable, nr * sizeof(*ranges),
					GFP_KERNEL_ACCOUNT) : NULL;
	arg->kind = space->kind;
	arg->parent = 0;
	arg->nr_domains = space->nr_domains;
	arg->nr_attachments = space->nr_devices;
	arg->page_sizes = ~(u64)(PAGE_SIZE - 1);
	list_for_each_entry(domain, &space->domains, link)
		arg->page_sizes &= domain->domain->pgsize_bitmap;
	arg->nr_mappings = atomic64_read(&space->nr_mappings);
	arg->mapped = atomic64_read(&space->mapped) << PAGE_SHIFT;
	arg->pinned = atomic64_read(&space->pinned) << PAGE_SHIFT;
	memcpy(arg->label, space->label, sizeof(arg->label));
	ioasid_space_leave(space);

	if (arg->ranges && nr && !ranges)
		return ioasid_fail(cmd->why, -ENOMEM, IOASID_REASON_NO_MEMORY,
				   "no memory for %u ranges", nr);
	rc = ioasid_put_ranges(arg->ranges, arg->nr_ranges, ranges, nr,
			       cmd->why);
	kvfree(ranges);
	arg->nr_ranges = nr;
	/* The count is told even if there is too little room */
	if (rc && rc != -EMSGSIZE)
		return rc;
	return ioasid_respond(cmd, sizeof(*arg)) ?: rc;
}

static int ioasid_check_reserved(struct ioasid_space *space,
				 const struct ioasid_iova_range *r, u32 nr,
				 struct ioasid_explain *why)
{
	struct ioasid_area *area;
	u32 i;

	for (i = 0; i < nr; i++) {
		why->index = i;
		if (!PAGE_ALIGNED(r[i].first) || !PAGE_ALIGNED(r[i].last + 1))
			return ioasid_fail(why, -EINVAL,
					   IOASID_REASON_ALIGNMENT,
					   "range %u does not begin and end with a page",
					   i);
		if (r[i].first > r[i].last ||
		    (i && r[i].first <= r[i - 1].last))
			return ioasid_fail(why, -EINVAL, IOASID_REASON_VALUE,
					   "range %u is empty, or not above the one before",
					   i);
		mutex_lock(&space->iova_lock);
		area = ioasid_iova_first(space, r[i].first, r[i].last);
		mutex_unlock(&space->iova_lock);
		/* It stays: the space is locked for writing */
		if (area) {
			why->value = area->first;
			return ioasid_fail(why, -EADDRINUSE,
					   IOASID_REASON_RESERVED,
					   "range %u: %#llx-%#llx is mapped", i,
					   area->first, area->last);
		}
	}
	why->index = IOASID_NO_INDEX;
	return 0;
}

static int ioasid_space_reserve(struct ioasid_space *space,
				struct ioasid_iova_range **ranges, u32 nr,
				struct ioasid_explain *why)
{
	int rc = ioasid_check_reserved(space, *ranges, nr, why);

	if (rc)
		return rc;
	if (ioasid_iova_make_room(space, nr))
		return ioasid_fail(why, -ENOMEM, IOASID_REASON_NO_MEMORY,
				   "no memory for the usable ranges");
	swap(space->reserved, *ranges);
	space->nr_reserved = nr;
	ioasid_iova_update(space);
	return 0;
}

/**
 * ioasid_get_ranges() - read a vector before a space is entered
 * @uptr: address of an array
 * @nr: number of elements, not 0
 * @size: of each, in bytes
 * @why: the reason if it fails
 *
 * Return: the array, to be freed by kvfree(), or ERR_PTR of -ENOMEM or -EFAULT.
 */
void *ioasid_get_ranges(u64 uptr, u32 nr, size_t size,
			struct ioasid_explain *why)
{
	void *ranges = kvmalloc_array(nr, size, GFP_KERNEL_ACCOUNT);

	if (!ranges) {
		ioasid_fail(why, -ENOMEM, IOASID_REASON_NO_MEMORY,
			    "no memory for %u ranges", nr);
		return ERR_PTR(-ENOMEM);
	}
	if (copy_from_user(ranges, u64_to_user_ptr(uptr), nr * size)) {
		kvfree(ranges);
		ioasid_fail(why, -EFAULT, IOASID_REASON_POINTER,
			    "cannot read the ranges");
		return ERR_PTR(-EFAULT);
	}
	return ranges;
}

int ioasid_cmd_reserve(struct ioasid_command *cmd)
{
	struct ioasid_reserve *arg = cmd->arg;
	struct ioasid_iova_range *ranges = NULL;
	struct ioasid_space *space;
	int rc;

	if (arg->nr > IOASID_MAX_VECTOR)
		return ioasid_fail(cmd->why, -E2BIG, IOASID_REASON_LIMIT,
				   "%u ranges: %u at most", arg->nr,
				   IOASID_MAX_VECTOR);
	if (arg->nr)
		ranges = ioasid_get_ranges(arg->ranges, arg->nr,
					   sizeof(*ranges), cmd->why);
	if (IS_ERR(ranges))
		return PTR_ERR(ranges);
	space = ioasid_space_get(cmd->ctx, arg->ioasid, cmd->why);
	if (IS_ERR(space)) {
		rc = PTR_ERR(space);
		goto free;
	}
	rc = ioasid_check_mapped(space, cmd->why) ?:
	     ioasid_space_lock(space, cmd->why);
	if (!rc) {
		rc = ioasid_space_reserve(space, &ranges, arg->nr, cmd->why);
		ioasid_space_unlock(space);
	}
	ioasid_space_put(space);
free:
	kvfree(ranges);
	return rc;
}
