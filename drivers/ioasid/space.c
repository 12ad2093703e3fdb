// SPDX-License-Identifier: GPL-2.0
/*
 * Spaces: allocation, lookup, locking and freeing, for all kinds. Code that
 * depends on the kind belongs in its struct ioasid_space_ops; only the table of
 * kinds below may name them.
 */
#include <linux/ctype.h>
#include <linux/nospec.h>
#include <linux/slab.h>
#include "ioasid_private.h"
#include "trace.h"

/* The locks of a space with a parent are taken with those of the parent held */
static struct lock_class_key ioasid_child_rwsem_key, ioasid_child_iova_key;

static const struct ioasid_space_ops *const ioasid_kinds[] = {
	[IOASID_KIND_MAPPED] = &ioasid_mapped_ops,
	[IOASID_KIND_MM] = &ioasid_mm_ops,
	[IOASID_KIND_NESTED] = &ioasid_nested_ops,
	[IOASID_KIND_SHADOW] = &ioasid_shadow_ops,
};

static const struct ioasid_space_ops *
ioasid_space_ops_of(u32 kind, struct ioasid_extack *extack)
{
	if (kind < ARRAY_SIZE(ioasid_kinds) && ioasid_kinds[kind])
		return ioasid_kinds[array_index_nospec(kind, ARRAY_SIZE(ioasid_kinds))];
	extack->value = kind;
	ioasid_fail(extack, -EOPNOTSUPP, IOASID_REASON_KIND,
		    "spaces of kind %u are not supported", kind);
	return NULL;
}

/**
 * ioasid_check_no_data() - check parameters of a kind without parent and data
 * @params: parameters of the space
 * @extack: the reason if it fails
 *
 * Context: any.
 *
 * Return: 0, or -EOPNOTSUPP if there is a parent or data.
 */
int ioasid_check_no_data(const struct ioasid_space_params *params,
			 struct ioasid_extack *extack)
{
	if (!params->parent && !params->data_type && !params->data_len &&
	    !params->data)
		return 0;
	return ioasid_fail(extack, -EOPNOTSUPP, IOASID_REASON_FLAGS,
			   "a space of this kind has no parent and no data");
}

/* debugfs and the tracepoints print it, where a newline would forge a line */
static int ioasid_check_label(const char *label, struct ioasid_extack *extack)
{
	u32 i;

	for (i = 0; label && label[i]; i++) {
		if (isascii(label[i]) && isprint(label[i]))
			continue;
		extack->value = i;
		return ioasid_fail(extack, -EINVAL, IOASID_REASON_VALUE,
				   "byte %u of the label, %#04x, is not a printable ASCII character",
				   i, (u8)label[i]);
	}
	return 0;
}

static void ioasid_space_free_last(struct kref *ref)
{
	struct ioasid_space *space =
		container_of(ref, struct ioasid_space, obj.ref);

	WARN_ON(!list_empty(&space->attachments) ||
		!list_empty(&space->domains) || !list_empty(&space->nested));
	if (space->ops->empty)
		space->ops->empty(space);
	if (space->ops->destroy)
		space->ops->destroy(space);
	ioasid_iova_destroy(space);
	ioasid_fault_unbind(space);
	if (space->parent)
		ioasid_space_put(space->parent);
	/* A scratch space has no context */
	if (space->ctx) {
		ioasid_uncharge(space->ctx, IOASID_QUOTA_RESERVED,
				space->nr_reserved);
		ioasid_uncharge(space->ctx, IOASID_QUOTA_SPACES, 1);
	}
	kfree_rcu(space, obj.rcu);
}

/**
 * ioasid_space_put() - put a reference on a space
 * @space: the space; emptied and freed with the last reference
 *
 * Context: can sleep. The last put takes mmap_lock if memory is charged to an
 * mm.
 */
void ioasid_space_put(struct ioasid_space *space)
{
	kref_put(&space->obj.ref, ioasid_space_free_last);
}

static int ioasid_space_alive(struct ioasid_space *space,
			      struct ioasid_extack *extack)
{
	lockdep_assert_held(&space->rwsem);
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

static void ioasid_space_unlock_read(struct ioasid_space *space)
{
	up_read(&space->rwsem);
	if (space->parent)
		up_read(&space->parent->rwsem);
}

/* The parent first, if it has one */
static int ioasid_space_lock_read(struct ioasid_space *space,
				  struct ioasid_extack *extack)
{
	int rc;

	if (space->parent && down_read_killable(&space->parent->rwsem))
		goto killed;
	if (down_read_killable(&space->rwsem)) {
		if (space->parent)
			up_read(&space->parent->rwsem);
		goto killed;
	}
	rc = ioasid_space_alive(space, extack);
	if (rc)
		ioasid_space_unlock_read(space);
	return rc;
killed:
	return ioasid_fail(extack, -EINTR, IOASID_REASON_KILLED,
			   "killed while waiting for space %u", space->id);
}

/**
 * ioasid_space_get_read() - find a space and lock it for reading
 * @ctx: the context
 * @id: the id
 * @extack: the reason if it fails
 *
 * Context: can sleep; takes ioasid_space.rwsem for reading, and that of its parent,
 * until ioasid_space_put_read().
 *
 * Return: the space with a reference, ERR_PTR(-ENOENT) if there is no such
 * space, or ERR_PTR(-EINTR) if killed.
 */
struct ioasid_space *ioasid_space_get_read(struct ioasid_ctx *ctx, u32 id,
					   struct ioasid_extack *extack)
{
	struct ioasid_space *space = ioasid_space_get(ctx, id, extack);
	int rc;

	if (IS_ERR(space))
		return space;
	rc = ioasid_space_lock_read(space, extack);
	if (!rc)
		return space;
	ioasid_space_put(space);
	return ERR_PTR(rc);
}

/**
 * ioasid_space_get_read_mapped() - find a mapped space and lock it for reading
 * @ctx: the context
 * @id: the id
 * @extack: the reason if it fails
 *
 * Context: can sleep; takes ioasid_space.rwsem for reading, until
 * ioasid_space_put_read().
 *
 * Return: the space with a reference, ERR_PTR(-EINVAL) if nothing can be mapped
 * in its kind, or an error of ioasid_space_get_read().
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

/**
 * ioasid_space_get_nested() - find a nested space and lock it for reading
 * @ctx: the context
 * @id: the id
 * @extack: the reason if it fails
 *
 * Context: can sleep; takes ioasid_space.rwsem for reading, until
 * ioasid_space_put_read().
 *
 * Return: the space with a reference, ERR_PTR(-EINVAL) if it is of another kind,
 * or an error of ioasid_space_get_read().
 */
struct ioasid_space *ioasid_space_get_nested(struct ioasid_ctx *ctx, u32 id,
					     struct ioasid_extack *extack)
{
	struct ioasid_space *space = ioasid_space_get_read(ctx, id, extack);

	if (IS_ERR(space) || space->nest)
		return space;
	ioasid_fail(extack, -EINVAL, IOASID_REASON_KIND,
		    "space %u is not nested, and the kernel invalidates what it changes itself",
		    id);
	ioasid_space_put_read(space);
	return ERR_PTR(-EINVAL);
}

/**
 * ioasid_space_put_read() - undo ioasid_space_get_read()
 * @space: the space
 *
 * Context: ioasid_space.rwsem is held for reading, and released; can sleep.
 */
void ioasid_space_put_read(struct ioasid_space *space)
{
	ioasid_space_unlock_read(space);
	ioasid_space_put(space);
}

/**
 * ioasid_space_lock() - lock a space for writing
 * @space: the space
 * @extack: the reason if it fails
 *
 * Context: can sleep; takes ioasid_space.rwsem for writing, until
 * ioasid_space_unlock().
 *
 * Return: 0, -ENOENT if it has been freed, -EINTR if killed.
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

/**
 * ioasid_space_unlock() - undo ioasid_space_lock()
 * @space: the space
 *
 * Context: ioasid_space.rwsem is held for writing, and released.
 */
void ioasid_space_unlock(struct ioasid_space *space)
{
	up_write(&space->rwsem);
}

/**
 * ioasid_space_lock_both() - lock a space and its parent, if any, for writing
 * @space: the space
 * @extack: the reason if it fails
 *
 * Context: can sleep; takes ioasid_space.rwsem of both for writing, until
 * ioasid_space_unlock_both().
 *
 * Return: 0, -ENOENT if it has been freed, -EINTR if killed.
 */
int ioasid_space_lock_both(struct ioasid_space *space,
			   struct ioasid_extack *extack)
{
	int rc = space->parent ? ioasid_space_lock(space->parent, extack) : 0;

	if (rc)
		return rc;
	rc = ioasid_space_lock(space, extack);
	if (rc && space->parent)
		ioasid_space_unlock(space->parent);
	return rc;
}

/**
 * ioasid_space_lock_both_always() - the same, whatever signals come
 * @space: the space; may have been freed
 *
 * Context: can sleep; takes ioasid_space.rwsem of both for writing, until
 * ioasid_space_unlock_both().
 */
void ioasid_space_lock_both_always(struct ioasid_space *space)
{
	if (space->parent)
		down_write(&space->parent->rwsem);
	down_write(&space->rwsem);
}

/**
 * ioasid_space_unlock_both() - undo ioasid_space_lock_both()
 * @space: the space
 *
 * Context: ioasid_space.rwsem of both is held for writing, and released.
 */
void ioasid_space_unlock_both(struct ioasid_space *space)
{
	up_write(&space->rwsem);
	if (space->parent)
		up_write(&space->parent->rwsem);
}

/**
 * ioasid_space_set_parent() - nest a new space in another one
 * @space: the space, not published
 * @id: the parent
 * @why_not: says why a space cannot be the parent, or NULL if it can
 * @extack: the reason if it fails
 *
 * The parent cannot be freed as long as the space is not.
 *
 * Context: can sleep; takes ioasid_space.rwsem of the parent for reading.
 *
 * Return: 0, -EINVAL if it cannot be a parent, or an error of
 * ioasid_space_get_read().
 */
int ioasid_space_set_parent(struct ioasid_space *space, u32 id,
			    const char *(*why_not)(struct ioasid_space *parent),
			    struct ioasid_extack *extack)
{
	struct ioasid_space *parent = ioasid_space_get_read(space->ctx, id,
							    extack);
	const char *why;

	if (IS_ERR(parent))
		return PTR_ERR(parent);
	why = why_not(parent);
	if (why) {
		ioasid_space_put_read(parent);
		return ioasid_fail(extack, -EINVAL, IOASID_REASON_KIND,
				   "space %u cannot be the parent: %s", id, why);
	}
	atomic_inc(&parent->nr_children);
	up_read(&parent->rwsem);
	space->parent = parent;
	lockdep_set_class(&space->rwsem, &ioasid_child_rwsem_key);
	lockdep_set_class(&space->iova_lock, &ioasid_child_iova_key);
	return 0;
}

static int ioasid_check_unused(struct ioasid_space *space,
			       struct ioasid_extack *extack)
{
	lockdep_assert_held_write(&space->rwsem);
	if (space->nr_devices)
		return ioasid_fail(extack, -EBUSY, IOASID_REASON_IN_USE,
				   "space %u still has attachments: %u", space->id,
				   space->nr_devices);
	if (atomic_read(&space->nr_children))
		return ioasid_fail(extack, -EBUSY, IOASID_REASON_IN_USE,
				   "space %u is the parent of other spaces: %d",
				   space->id, atomic_read(&space->nr_children));
	return 0;
}

static int ioasid_release_id_locked(struct ioasid_space *space,
				    struct ioasid_extack *extack)
{
	int rc = ioasid_space_alive(space, extack) ?:
			 ioasid_check_unused(space, extack);

	lockdep_assert_held_write(&space->rwsem);
	if (rc)
		return rc;
	space->dead = true;
	if (space->parent)
		atomic_dec(&space->parent->nr_children);
	xa_erase(&space->ctx->spaces, space->id);
	atomic_dec(&space->ctx->nr_spaces);
	trace_ioasid_space_free(space);
	return 0;
}

/* Not left to the last put, which other references delay */
static void ioasid_space_empty(struct ioasid_space *space)
{
	if (space->ops->empty)
		space->ops->empty(space);
}

/**
 * ioasid_space_release_id() - release the id of a space, and empty it
 * @space: the space; the caller has a reference
 * @extack: the reason if it fails
 *
 * If it succeeds, the caller puts the reference of the id as well.
 *
 * Context: can sleep; takes ioasid_space.rwsem for writing. Not interrupted by
 * signals, since it is for the end of a context, and for glues.
 *
 * Return: 0, -ENOENT if the id is already released, -EBUSY if a device is
 * attached.
 */
int ioasid_space_release_id(struct ioasid_space *space,
			    struct ioasid_extack *extack)
{
	int rc;

	down_write(&space->rwsem);
	rc = ioasid_release_id_locked(space, extack);
	up_write(&space->rwsem);
	if (!rc)
		ioasid_space_empty(space);
	return rc;
}

/**
 * ioasid_space_delete() - free a space and its mappings, by its id
 * @ctx: the context
 * @id: the space
 * @extack: the reason if it fails
 *
 * Context: can sleep; takes ioasid_space.rwsem for writing. The mappings are
 * freed without a lock, and whatever signals come: they are bounded by a quota.
 *
 * Return: 0, -ENOENT if there is no such space, -EBUSY if a device is attached,
 * -EINTR if killed while waiting for the space.
 */
int ioasid_space_delete(struct ioasid_ctx *ctx, u32 id,
			struct ioasid_extack *extack)
{
	struct ioasid_space *space = ioasid_space_get(ctx, id, extack);
	int rc;

	if (IS_ERR(space))
		return PTR_ERR(space);
	rc = ioasid_space_lock(space, extack);
	if (rc)
		goto put;
	rc = ioasid_release_id_locked(space, extack);
	ioasid_space_unlock(space);
	if (!rc) {
		ioasid_space_empty(space);
		ioasid_space_put(space);
	}
put:
	ioasid_space_put(space);
	return rc;
}

static struct ioasid_space *ioasid_no_space(struct ioasid_extack *extack)
{
	return ERR_PTR(ioasid_fail(extack, -ENOMEM, IOASID_REASON_NO_MEMORY,
				   "no memory for a space"));
}

static struct ioasid_space *
ioasid_space_new(struct ioasid_ctx *ctx, const struct ioasid_space_ops *ops,
		 const struct ioasid_space_params *params,
		 struct ioasid_extack *extack)
{
	struct ioasid_space *space = kzalloc(sizeof(*space), GFP_KERNEL_ACCOUNT);
	int rc;

	if (!space)
		return ioasid_no_space(extack);
	kref_init(&space->obj.ref);
	space->ctx = ctx;
	space->ops = ops;
	space->kind = params->kind;
	space->faults = params->flags & IOASID_ALLOC_FAULTS;
	space->nest_parent = params->flags & IOASID_ALLOC_NEST_PARENT;
	if (params->label)
		strscpy(space->label, params->label, sizeof(space->label));
	init_rwsem(&space->rwsem);
	spin_lock_init(&space->fault_lock);
	INIT_LIST_HEAD(&space->domains);
	INIT_LIST_HEAD(&space->attachments);
	INIT_LIST_HEAD(&space->nested);
	mutex_init(&space->merge_lock);
	INIT_LIST_HEAD(&space->shadows);
	space->links = RB_ROOT_CACHED;
	if (ioasid_iova_init(space)) {
		kfree(space);
		return ioasid_no_space(extack);
	}
	rc = ops->init ? ops->init(space, params, extack) : 0;
	if (!rc)
		return space;
	ioasid_iova_destroy(space);
	kfree(space);
	return ERR_PTR(rc);
}

/**
 * ioasid_space_scratch() - create a space without context, to compute ranges
 * @extack: the reason if there is no memory
 *
 * Context: can sleep.
 *
 * Return: the space, to be put by ioasid_space_put(), or ERR_PTR(-ENOMEM).
 */
struct ioasid_space *ioasid_space_scratch(struct ioasid_extack *extack)
{
	const struct ioasid_space_params params = { .kind = IOASID_KIND_MAPPED };

	return ioasid_space_new(NULL, &ioasid_mapped_ops, &params, extack);
}

/* Puts a space that was never published */
static void ioasid_space_unborn(struct ioasid_space *space)
{
	if (space->parent)
		atomic_dec(&space->parent->nr_children);
	ioasid_space_put(space);
}

static int ioasid_check_alloc_flags(u32 flags, struct ioasid_extack *extack)
{
	const u32 known = IOASID_ALLOC_FAULTS | IOASID_ALLOC_NEST_PARENT;

	if (flags & ~known) {
		extack->value = flags & ~known;
		return ioasid_fail(extack, -EOPNOTSUPP, IOASID_REASON_FLAGS,
				   "unknown flags %#llx", extack->value);
	}
	/* Before the check of the kind, since this holds for all kinds */
	if (flags & IOASID_ALLOC_FAULTS && !IS_ENABLED(CONFIG_IOMMU_IOPF))
		return ioasid_fail(extack, -EOPNOTSUPP, IOASID_REASON_NO_PRI,
				   "this kernel is built without support for page requests (CONFIG_IOMMU_IOPF)");
	return 0;
}

/**
 * ioasid_space_create() - create a space that lookups do not find yet
 * @ctx: the context
 * @params: parameters of the space
 * @extack: the reason if it fails
 *
 * To be followed by ioasid_space_publish() or ioasid_space_abort().
 *
 * Context: can sleep. A space for the address space of a process takes that of
 * the current process.
 *
 * Return: the space, or ERR_PTR of -EOPNOTSUPP if the kernel does not support
 * the kind, a flag or the data, -EINVAL if the kind does not support a flag or
 * the label is not printable ASCII, -EDQUOT above a limit, -ENOMEM, or an error
 * of the kind's @init.
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
	rc = ioasid_check_alloc_flags(params->flags, extack) ?:
	     ioasid_check_label(params->label, extack) ?:
	     ops->check(params, extack) ?:
	     ioasid_charge(ctx, IOASID_QUOTA_SPACES, 1, extack);
	if (rc)
		return ERR_PTR(rc);
	space = ioasid_space_new(ctx, ops, params, extack);
	if (IS_ERR(space)) {
		ioasid_uncharge(ctx, IOASID_QUOTA_SPACES, 1);
		return space;
	}
	/* A NULL entry reserves the id without publishing the space */
	rc = ioasid_id_alloc(&ctx->spaces, &ctx->next_space, &space->id, NULL);
	if (!rc)
		return space;
	ioasid_space_unborn(space);
	ioasid_fail(extack, rc, IOASID_REASON_NO_MEMORY,
		    "no memory for a space");
	return ERR_PTR(rc);
}

/**
 * ioasid_space_publish() - let lookups find a new space by its id
 * @space: the space; afterwards another thread may free it
 *
 * Context: can sleep.
 */
void ioasid_space_publish(struct ioasid_space *space)
{
	atomic_inc(&space->ctx->nr_spaces);
	trace_ioasid_space_alloc(space);
	/* Cannot fail, since the entry exists */
	xa_store(&space->ctx->spaces, space->id, space, GFP_KERNEL);
}

/**
 * ioasid_space_abort() - free a new space that is not published
 * @space: the space
 *
 * Context: can sleep.
 */
void ioasid_space_abort(struct ioasid_space *space)
{
	xa_erase(&space->ctx->spaces, space->id);
	ioasid_space_unborn(space);
}

/**
 * ioasid_space_usable() - copy the usable ranges of a space
 * @space: the space
 * @nr: out: number of ranges
 * @extack: the reason if it fails
 *
 * Context: ioasid_space.rwsem is held; can sleep.
 *
 * Return: the ranges, to be freed by kvfree(), NULL if there are none, or
 * ERR_PTR(-ENOMEM).
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

/* Charges only what is more than before, so that a full quota can be replaced */
static int ioasid_reserve_locked(struct ioasid_space *space,
				 struct ioasid_iova_range **ranges, u32 nr,
				 struct ioasid_extack *extack)
{
	u32 old = space->nr_reserved;
	u32 more = nr > old ? nr - old : 0;
	int rc = 0;

	lockdep_assert_held_write(&space->rwsem);
	if (more)
		rc = ioasid_charge(space->ctx, IOASID_QUOTA_RESERVED, more,
				   extack);
	if (rc)
		return rc;
	rc = ioasid_iova_reserve(space, ranges, nr, extack);
	if (rc)
		ioasid_uncharge(space->ctx, IOASID_QUOTA_RESERVED, more);
	else if (old > nr)
		ioasid_uncharge(space->ctx, IOASID_QUOTA_RESERVED, old - nr);
	return rc;
}

/**
 * ioasid_space_reserve() - replace the ranges that the user reserves in a space
 * @ctx: the context
 * @id: a mapped space
 * @ranges: ascending; swapped with the previous ranges on success, and to be
 *	freed by the caller in any case
 * @nr: number of ranges
 * @extack: the reason if it fails
 *
 * Context: can sleep; takes ioasid_space.rwsem for writing.
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
		rc = ioasid_reserve_locked(space, ranges, nr, extack);
		ioasid_space_unlock(space);
	}
	ioasid_space_put(space);
	return rc;
}
