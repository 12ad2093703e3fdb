// SPDX-License-Identifier: GPL-2.0
/*
 * From the ids that a user gives to the objects of his context. Nothing here may
 * look at anything but the context's tables.
 */
#include "ioasid_private.h"
#include "queue.h"

/**
 * ioasid_space_get() - find a space by its id
 * @ctx: the context
 * @id: the id
 * @extack: the reason if there is none
 *
 * Return: the space with a reference, or ERR_PTR(-ENOENT).
 */
struct ioasid_space *ioasid_space_get(struct ioasid_ctx *ctx, u32 id,
				      struct ioasid_extack *extack)
{
	struct ioasid_space *space;

	rcu_read_lock();
	space = xa_load(&ctx->spaces, id);
	if (space && !kref_get_unless_zero(&space->ref))
		space = NULL;
	rcu_read_unlock();
	if (space) {
		extack->ioasid = id;
		return space;
	}
	extack->ioasid = id;
	ioasid_fail(extack, -ENOENT, IOASID_REASON_NO_SPACE_ID,
		    "this context has no space %u", id);
	return ERR_PTR(-ENOENT);
}

/**
 * ioasid_device_by_id() - find a device by its id
 * @ctx: the context; its lock is held
 * @id: the id
 * @extack: the reason if there is none
 *
 * Return: the device, or NULL (-ENOENT).
 */
struct ioasid_device *ioasid_device_by_id(struct ioasid_ctx *ctx, u32 id,
					  struct ioasid_extack *extack)
{
	struct ioasid_device *idev = xa_load(&ctx->devices, id);

	lockdep_assert_held(&ctx->lock);
	extack->dev_id = id;
	if (!idev)
		ioasid_fail(extack, -ENOENT, IOASID_REASON_NO_DEVICE_ID,
			    "this context knows no device %u", id);
	return idev;
}

/**
 * ioasid_dev_pasid_find() - what a device is attached to
 * @idev: the device; its context's lock is held
 * @vpasid: IOASID_RID, or a PASID as the user numbers it
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
 * ioasid_queue_try() - find a queue by its id
 * @ctx: the context
 * @id: the id
 *
 * Return: the queue with a reference, or NULL.
 */
struct ioasid_queue *ioasid_queue_try(struct ioasid_ctx *ctx, u32 id)
{
	struct ioasid_queue *q;

	rcu_read_lock();
	q = xa_load(&ctx->queues, id);
	if (q && !kref_get_unless_zero(&q->ref))
		q = NULL;
	rcu_read_unlock();
	return q;
}

/**
 * ioasid_queue_get() - the same, and say so if there is none
 * @ctx: the context
 * @id: the id
 * @extack: the reason if there is none
 *
 * Return: the queue with a reference, or ERR_PTR(-ENOENT).
 */
struct ioasid_queue *ioasid_queue_get(struct ioasid_ctx *ctx, u32 id,
				      struct ioasid_extack *extack)
{
	struct ioasid_queue *q = ioasid_queue_try(ctx, id);

	if (q)
		return q;
	extack->value = id;
	ioasid_fail(extack, -ENOENT, IOASID_REASON_NO_QUEUE_ID,
		    "this context has no fault queue %u", id);
	return ERR_PTR(-ENOENT);
}
