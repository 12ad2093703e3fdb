// SPDX-License-Identifier: GPL-2.0
/*
 * What all spaces share: making and freeing them, who may enter. What a kind of
 * space does in its own way is in its struct ioasid_space_ops; the table of kinds
 * below is the one place that knows them all.
 */
#include <linux/nospec.h>
#include <linux/slab.h>
#include "ioasid_private.h"
#include "trace.h"

static const struct ioasid_space_ops *const ioasid_kinds[] = {
	[IOASID_KIND_MAPPED] = &ioasid_mapped_ops,
	[IOASID_KIND_MM] = IS_ENABLED(CONFIG_IOMMU_SVA) ? &ioasid_mm_ops : NULL,
};

static const struct ioasid_space_ops *
ioasid_space_ops_of(u32 kind, struct ioasid_extack *extack)
{
	if (kind < ARRAY_SIZE(ioasid_kinds) && ioasid_kinds[kind])
		return ioasid_kinds[array_index_nospec(kind, ARRAY_SIZE(ioasid_kinds))];
	extack->value = kind;
	ioasid_fail(extack, -EOPNOTSUPP, IOASID_REASON_KIND,
		    "%u is not a kind of space that this kernel has", kind);
	return NULL;
}

/**
 * ioasid_check_no_data() - for kinds without a parent and without a format
 * @params: what the space is to be
 * @extack: the reason if it fails
 *
 * Return: 0 or -EOPNOTSUPP.
 */
int ioasid_check_no_data(const struct ioasid_space_params *params,
			 struct ioasid_extack *extack)
{
	if (!params->parent && !params->data_type && !params->data_len &&
	    !params->data)
		return 0;
	return ioasid_fail(extack, -EOPNOTSUPP, IOASID_REASON_FLAGS,
			   "such a space has no parent and no data");
}

static void ioasid_space_free_last(struct kref *ref)
{
	struct ioasid_space *space = container_of(ref, struct ioasid_space, ref);

	WARN_ON(!list_empty(&space->attachments) ||
		!list_empty(&space->domains));
	if (space->ops->empty)
		space->ops->empty(space);
	if (space->ops->destroy)
		space->ops->destroy(space);
	ioasid_iova_destroy(space);
	ioasid_fault_unbind(space);
	kfree_rcu(space, rcu);
}

void ioasid_space_put(struct ioasid_space *space)
{
	kref_put(&space->ref, ioasid_space_free_last);
}

static int ioasid_space_alive(struct ioasid_space *space,
			      struct ioasid_extack *extack)
{
	if (!space->dead)
		return 0;
	return ioasid_fail(extack, -ENOENT, IOASID_REASON_NO_SPACE_ID,
			   "space %u has just been freed", space->id);
}

static int ioasid_check_mapped(struct ioasid_space *space,
			       struct ioasid_extack *extack)
{
	if (!space->ops->no_map)
		return 0;
	return ioasid_fail(extack, -EINVAL, IOASID_REASON_KIND, "space %u %s",
			   space->id, space->ops->no_map);
}

/**
 * ioasid_space_get_read() - find a space and keep its domains as they are
 * @ctx: the context
 * @id: the id
 * @extack: the reason if it fails
 *
 * Return: the space, with rwsem held for reading, or ERR_PTR of -ENOENT or
 * -EINTR.
 */
struct ioasid_space *ioasid_space_get_read(struct ioasid_ctx *ctx, u32 id,
					   struct ioasid_extack *extack)
{
	struct ioasid_space *space = ioasid_space_get(ctx, id, extack);
	int rc;

	if (IS_ERR(space))
		return space;
	if (down_read_killable(&space->rwsem)) {
		rc = ioasid_fail(extack, -EINTR, IOASID_REASON_KILLED,
				 "killed while waiting for space %u", id);
		goto put;
	}
	rc = ioasid_space_alive(space, extack);
	if (!rc)
		return space;
	up_read(&space->rwsem);
put:
	ioasid_space_put(space);
	return ERR_PTR(rc);
}

/**
 * ioasid_space_get_read_mapped() - the same for commands that map or look
 * @ctx: the context
 * @id: the id
 * @extack: the reason if it fails
 *
 * Return: the space, with rwsem held for reading, or ERR_PTR of -ENOENT,
 * -EINTR, or -EINVAL if its page table is not the kernel's.
 */
struct ioasid_space *ioasid_space_get_read_mapped(struct ioasid_ctx *ctx,
						  u32 id,
						  struct ioasid_extack *extack)
{
	struct ioasid_space *space = ioasid_space_get_read(ctx, id, extack);
	int rc;

	if (IS_ERR(space))
		return space;
	rc = ioasid_check_mapped(space, extack);
	if (!rc)
		return space;
	ioasid_space_put_read(space);
	return ERR_PTR(rc);
}

void ioasid_space_put_read(struct ioasid_space *space)
{
	up_read(&space->rwsem);
	ioasid_space_put(space);
}

/**
 * ioasid_space_lock() - keep everybody else out of a space
 * @space: the space
 * @extack: the reason if it fails
 *
 * Return: 0 with rwsem held for writing, -ENOENT or -EINTR.
 */
int ioasid_space_lock(struct ioasid_space *space, struct ioasid_extack *extack)
{
	int rc;

	if (down_write_killable(&space->rwsem))
		return ioasid_fail(extack, -EINTR, IOASID_REASON_KILLED,
				   "killed while waiting for space %u",
				   space->id);
	rc = ioasid_space_alive(space, extack);
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
	if (released && space->ops->empty)
		space->ops->empty(space);
	return released;
}

/**
 * ioasid_space_delete() - give a space back, and all that is mapped in it
 * @ctx: the context
 * @id: the space
 * @extack: the reason if it fails
 *
 * Context: takes ioasid_space.rwsem for writing.
 *
 * Return: 0, -ENOENT without such a space, -EBUSY if a device is attached.
 */
int ioasid_space_delete(struct ioasid_ctx *ctx, u32 id,
			struct ioasid_extack *extack)
{
	struct ioasid_space *space = ioasid_space_get(ctx, id, extack);
	int rc = 0;

	if (IS_ERR(space))
		return PTR_ERR(space);
	if (ioasid_space_release_id(space))
		ioasid_space_put(space);
	else if (space->dead)
		rc = ioasid_space_alive(space, extack);
	else
		rc = ioasid_fail(extack, -EBUSY, IOASID_REASON_IN_USE,
				 "space %u: %u devices are attached", space->id,
				 space->nr_devices);
	ioasid_space_put(space);
	return rc;
}

static struct ioasid_space *
ioasid_space_new(struct ioasid_ctx *ctx, const struct ioasid_space_ops *ops,
		 const struct ioasid_space_params *params)
{
	struct ioasid_space *space = kzalloc(sizeof(*space), GFP_KERNEL_ACCOUNT);

	if (!space)
		return NULL;
	kref_init(&space->ref);
	space->ctx = ctx;
	space->ops = ops;
	space->kind = params->kind;
	space->faults = params->flags & IOASID_ALLOC_FAULTS;
	if (params->label)
		strscpy(space->label, params->label, sizeof(space->label));
	init_rwsem(&space->rwsem);
	INIT_LIST_HEAD(&space->domains);
	INIT_LIST_HEAD(&space->attachments);
	if (ioasid_iova_init(space)) {
		kfree(space);
		return NULL;
	}
	if (ops->init)
		ops->init(space);
	return space;
}

/**
 * ioasid_space_scratch() - a space that belongs to no context, to try things on
 * @extack: the reason if there is no memory
 *
 * Return: the space, to be given back by ioasid_space_put(), or NULL.
 */
struct ioasid_space *ioasid_space_scratch(struct ioasid_extack *extack)
{
	const struct ioasid_space_params params = { .kind = IOASID_KIND_MAPPED };
	struct ioasid_space *space;

	space = ioasid_space_new(NULL, &ioasid_mapped_ops, &params);
	if (!space)
		ioasid_fail(extack, -ENOMEM, IOASID_REASON_NO_MEMORY,
			    "no memory for a space");
	return space;
}

/**
 * ioasid_space_create() - make a space that nobody finds yet
 * @ctx: the context
 * @params: what it is to be
 * @extack: the reason if it fails
 *
 * It has its id. To be followed by ioasid_space_publish() or
 * ioasid_space_abort().
 *
 * Return: the space, or ERR_PTR of -EOPNOTSUPP for a kind, a flag or data that
 * this kernel does not have, -EINVAL for a flag that the kind does not have,
 * -ENOMEM.
 */
struct ioasid_space *
ioasid_space_create(struct ioasid_ctx *ctx,
		    const struct ioasid_space_params *params,
		    struct ioasid_extack *extack)
{
	const struct ioasid_space_ops *ops =
		ioasid_space_ops_of(params->kind, extack);
	struct ioasid_space *space;
	int rc;

	if (!ops)
		return ERR_PTR(-EOPNOTSUPP);
	rc = ops->check(params, extack);
	if (rc)
		return ERR_PTR(rc);
	space = ioasid_space_new(ctx, ops, params);
	/* An empty entry: the id is taken, and nobody finds the space yet */
	rc = space ? xa_alloc(&ctx->spaces, &space->id, NULL,
			      XA_LIMIT(1, S32_MAX), GFP_KERNEL_ACCOUNT) :
		     -ENOMEM;
	if (!rc)
		return space;
	ioasid_fail(extack, rc, IOASID_REASON_NO_MEMORY,
		    "no memory for a space");
	if (space)
		ioasid_space_put(space);
	return ERR_PTR(rc);
}

/**
 * ioasid_space_publish() - let others find a new space by its id
 * @space: the space; from here on another thread can use it and free it
 */
void ioasid_space_publish(struct ioasid_space *space)
{
	atomic_inc(&space->ctx->nr_spaces);
	trace_ioasid_space_alloc(space);
	/* The entry is there: needs no memory */
	xa_store(&space->ctx->spaces, space->id, space, GFP_KERNEL);
}

/**
 * ioasid_space_abort() - free a new space that nobody has found yet
 * @space: the space
 */
void ioasid_space_abort(struct ioasid_space *space)
{
	xa_erase(&space->ctx->spaces, space->id);
	ioasid_space_put(space);
}

/**
 * ioasid_space_usable() - where something can be mapped in a space
 * @space: the space
 * @nr: out: number of ranges
 * @extack: the reason if it fails
 *
 * Context: ioasid_space.rwsem is held.
 *
 * Return: an array to be freed by kvfree(), which can be NULL if there is no
 * range, or ERR_PTR(-ENOMEM).
 */
struct ioasid_iova_range *ioasid_space_usable(struct ioasid_space *space,
					      u32 *nr,
					      struct ioasid_extack *extack)
{
	struct ioasid_iova_range *ranges;

	lockdep_assert_held(&space->rwsem);
	*nr = space->nr_usable;
	if (!*nr)
		return NULL;
	ranges = kvmemdup(space->usable, *nr * sizeof(*ranges),
			  GFP_KERNEL_ACCOUNT);
	if (ranges)
		return ranges;
	ioasid_fail(extack, -ENOMEM, IOASID_REASON_NO_MEMORY,
		    "no memory for %u ranges", *nr);
	return ERR_PTR(-ENOMEM);
}

/**
 * ioasid_space_reserve() - keep ranges of IOVA from use
 * @ctx: the context
 * @id: a mapped space
 * @ranges: ascending; taken over if it succeeds, and then what was reserved
 *	before: the caller frees it
 * @nr: how many
 * @extack: the reason if it fails
 *
 * Context: takes ioasid_space.rwsem for writing.
 *
 * Return: 0, or an error of IOASID_RESERVE.
 */
int ioasid_space_reserve(struct ioasid_ctx *ctx, u32 id,
			 struct ioasid_iova_range **ranges, u32 nr,
			 struct ioasid_extack *extack)
{
	struct ioasid_space *space = ioasid_space_get(ctx, id, extack);
	int rc;

	if (IS_ERR(space))
		return PTR_ERR(space);
	rc = ioasid_check_mapped(space, extack) ?:
		     ioasid_space_lock(space, extack);
	if (!rc) {
		rc = ioasid_iova_reserve(space, ranges, nr, extack);
		ioasid_space_unlock(space);
	}
	ioasid_space_put(space);
	return rc;
}
