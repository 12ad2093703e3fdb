// SPDX-License-Identifier: GPL-2.0
/*
 * Looks up the objects of a context by the ids that the user passes, in the same
 * way for all kinds. Nothing here may access anything but the tables of the
 * context.
 */
#include "ioasid_private.h"
#include "queue.h"

/* The tables of spaces and of queues hold pointers to their objects */
static_assert(!offsetof(struct ioasid_space, obj));
static_assert(!offsetof(struct ioasid_queue, obj));

static void *ioasid_no_id(u32 id, enum ioasid_reason reason, const char *what,
			  struct ioasid_extack *extack)
{
	extack->value = id;
	return ERR_PTR(ioasid_fail(extack, -ENOENT, reason,
				   "this context has no %s %u", what, id));
}

/**
 * ioasid_id_alloc() - put an object into a table of the context
 * @table: the table
 * @next: where to look for a free id first; of that table
 * @id: out: its id
 * @entry: the object, or NULL to reserve the id without publishing it
 *
 * The ids go round, so that one that a program still has in mind does not name
 * another object soon after it has been freed.
 *
 * Context: can sleep.
 *
 * Return: 0, -ENOMEM, or -EBUSY if there is no id left.
 */
int ioasid_id_alloc(struct xarray *table, u32 *next, u32 *id, void *entry)
{
	int rc = xa_alloc_cyclic(table, id, entry, XA_LIMIT(1, S32_MAX), next,
				 GFP_KERNEL_ACCOUNT);

	/* 1: it has begun again */
	return min(rc, 0);
}

/* The object with a reference; NULL if there is none, or it is being freed */
static struct ioasid_object *ioasid_object_get(struct xarray *table, u32 id)
{
	XA_STATE(xas, table, id);
	struct ioasid_object *obj;

	/* Like xa_load(), which would lock once more */
	guard(rcu)();
	do {
		obj = xas_load(&xas);
		if (xa_is_zero(obj))
			obj = NULL;
	} while (xas_retry(&xas, obj));
	return obj && kref_get_unless_zero(&obj->ref) ? obj : NULL;
}

/**
 * ioasid_space_get() - find a space by its id
 * @ctx: the context
 * @id: the id
 * @extack: the reason if there is none
 *
 * Context: any.
 *
 * Return: the space with a reference, or ERR_PTR(-ENOENT).
 */
struct ioasid_space *ioasid_space_get(struct ioasid_ctx *ctx, u32 id,
				      struct ioasid_extack *extack)
{
	struct ioasid_object *obj = ioasid_object_get(&ctx->spaces, id);

	extack->ioasid = id;
	return obj ? container_of(obj, struct ioasid_space, obj) :
		     ioasid_no_id(id, IOASID_REASON_NO_SPACE_ID, "space",
				  extack);
}

/**
 * ioasid_queue_try() - find a fault queue by its id
 * @ctx: the context
 * @id: the id
 *
 * Context: any.
 *
 * Return: the queue with a reference, or NULL.
 */
struct ioasid_queue *ioasid_queue_try(struct ioasid_ctx *ctx, u32 id)
{
	struct ioasid_object *obj = ioasid_object_get(&ctx->queues, id);

	return obj ? container_of(obj, struct ioasid_queue, obj) : NULL;
}

/**
 * ioasid_queue_get() - the same, with the reason if there is none
 * @ctx: the context
 * @id: the id
 * @extack: the reason if there is none
 *
 * Context: any.
 *
 * Return: the queue with a reference, or ERR_PTR(-ENOENT).
 */
struct ioasid_queue *ioasid_queue_get(struct ioasid_ctx *ctx, u32 id,
				      struct ioasid_extack *extack)
{
	return ioasid_queue_try(ctx, id) ?:
		       ioasid_no_id(id, IOASID_REASON_NO_QUEUE_ID,
				    "fault queue", extack);
}

/**
 * ioasid_device_by_id() - find a device by its id
 * @ctx: the context
 * @id: the id
 * @extack: the reason if there is none
 *
 * Context: ioasid_ctx.lock is held until the device is no longer used, since
 * devices have no reference count.
 *
 * Return: the device, or ERR_PTR(-ENOENT).
 */
struct ioasid_device *ioasid_device_by_id(struct ioasid_ctx *ctx, u32 id,
					  struct ioasid_extack *extack)
{
	lockdep_assert_held(&ctx->lock);
	extack->dev_id = id;
	return xa_load(&ctx->devices, id) ?:
		       ioasid_no_id(id, IOASID_REASON_NO_DEVICE_ID, "device",
				    extack);
}

/**
 * ioasid_dev_pasid_find() - find an attachment of a device
 * @idev: the device
 * @vpasid: IOASID_RID, or the user's number for the PASID
 *
 * Context: ioasid_ctx.lock is held.
 *
 * Return: the attachment of the device, or NULL.
 */
struct ioasid_dev_pasid *ioasid_dev_pasid_find(struct ioasid_device *idev,
					       u32 vpasid)
{
	lockdep_assert_held(&idev->ctx->lock);
	return xa_load(&idev->dev_pasids, vpasid);
}

/**
 * ioasid_dev_pasid_by_vpasid() - the same, with the reason if there is none
 * @idev: the device
 * @vpasid: IOASID_RID, or the user's number for the PASID
 * @extack: the reason if there is none
 *
 * Context: ioasid_ctx.lock is held.
 *
 * Return: the attachment of the device, or ERR_PTR(-ENOENT).
 */
struct ioasid_dev_pasid *
ioasid_dev_pasid_by_vpasid(struct ioasid_device *idev, u32 vpasid,
			   struct ioasid_extack *extack)
{
	struct ioasid_dev_pasid *dev_pasid =
		ioasid_dev_pasid_find(idev, vpasid);

	extack->pasid = vpasid;
	if (dev_pasid)
		return dev_pasid;
	return ERR_PTR(ioasid_fail(extack, -ENOENT, IOASID_REASON_NOT_ATTACHED,
				   "device %s is not attached with PASID %u",
				   dev_name(idev->dev), vpasid));
}
