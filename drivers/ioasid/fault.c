// SPDX-License-Identifier: GPL-2.0
/*
 * Page requests: passes them on from the IOMMU core to the queue of the
 * attachment or space, and answers those that are pending when the device is
 * detached. Every request is answered or dropped exactly once. The handler must
 * never allocate or wait for user space, and must never return an error to the
 * IOMMU core, which would answer FAILURE and thereby disable the page requests
 * of the device.
 */
#include <linux/iommu.h>
#include "compat/iopf.h"
#include "queue.h"

/* --- the handler -------------------------------------------------------- */

/**
 * ioasid_iopf_get() - let a device send page requests
 * @idev: the device; to be balanced by ioasid_iopf_put()
 *
 * Call it before the attach, since older kernels need them enabled by then.
 *
 * Context: ioasid_ctx.lock is held; can sleep.
 *
 * Return: 0, or -ENODEV if the device or its IOMMU has no page requests.
 */
int ioasid_iopf_get(struct ioasid_device *idev)
{
	int rc = idev->nr_iopf ? 0 : compat_iopf_enable(idev->dev);

	lockdep_assert_held(&idev->ctx->lock);
	if (!rc)
		idev->nr_iopf++;
	return rc;
}

/**
 * ioasid_iopf_put() - undo ioasid_iopf_get()
 * @idev: the device; after the detach
 *
 * Context: ioasid_ctx.lock is held; can sleep.
 */
void ioasid_iopf_put(struct ioasid_device *idev)
{
	lockdep_assert_held(&idev->ctx->lock);
	if (!--idev->nr_iopf)
		compat_iopf_disable(idev->dev);
}

static struct ioasid_dev_pasid *
ioasid_fault_dev_pasid(struct ioasid_attachment *att, struct device *dev)
{
	struct ioasid_dev_pasid *dev_pasid;

	lockdep_assert_held(&att->fault_lock);
	list_for_each_entry(dev_pasid, &att->dev_pasids, node)
		if (dev_pasid->idev->dev == dev)
			return dev_pasid;
	return NULL;
}

/**
 * ioasid_fault_is_of() - check whether a group is of one PASID
 * @group: the group; the IOMMU core groups requests by group index alone,
 *	whatever their PASID
 * @pasid: the PASID, or IOASID_RID
 *
 * Context: any.
 *
 * Return: false if any of its requests is of another one.
 */
bool ioasid_fault_is_of(struct iopf_group *group, u32 pasid)
{
	struct iopf_fault *iopf;

	list_for_each_entry(iopf, &group->faults, list) {
		struct iommu_fault_page_request *prm = &iopf->fault.prm;
		u32 has = prm->flags & IOMMU_FAULT_PAGE_REQUEST_PASID_VALID ?
			  prm->pasid : IOASID_RID;

		if (has != pasid)
			return false;
	}
	return true;
}

/* Policy IOASID_FAULT_KERNEL: SUCCESS if the pages are mapped, else INVALID */
static u32 ioasid_fault_resolve(struct ioasid_space *space,
				struct iopf_group *group)
{
	const u32 asked = IOASID_FAULT_READ | IOASID_FAULT_WRITE;
	u32 code = IOASID_FAULT_SUCCESS;
	struct iopf_fault *iopf;

	/*
	 * Waiting would delay the page requests of all devices of the IOMMU;
	 * SUCCESS makes this device retry, and send the request again.
	 */
	if (!mutex_trylock(&space->iova_lock))
		return code;
	list_for_each_entry(iopf, &group->faults, list) {
		struct iommu_fault_page_request *prm = &iopf->fault.prm;
		u32 can = ioasid_iova_access_locked(space, prm->addr);

		if (!can || (ioasid_fault_flags(prm) & asked & ~can))
			code = IOASID_FAULT_INVALID;
	}
	mutex_unlock(&space->iova_lock);
	return code;
}

/* The queue of an attachment comes before that of its space */
static struct ioasid_queue *ioasid_fault_queue(struct ioasid_attachment *att)
{
	lockdep_assert_held(&att->fault_lock);
	lockdep_assert_held(&att->space->fault_lock);
	return att->queue ?: att->space->queue;
}

/* Returns true if the group is in a queue, otherwise @code is its answer */
static bool ioasid_fault_route(struct ioasid_attachment *att,
			       struct iopf_group *group, u32 *code)
{
	struct device *dev = group->fault_param->dev;
	struct ioasid_dev_pasid *dev_pasid = ioasid_fault_dev_pasid(att, dev);
	struct ioasid_space *space = att->space;
	struct ioasid_queue *q;

	if (!dev_pasid || !ioasid_fault_is_of(group, att->pasid))
		return false;
	guard(spinlock)(&space->fault_lock);
	q = ioasid_fault_queue(att);
	if (!att->queue && space->policy == IOASID_FAULT_KERNEL) {
		*code = ioasid_fault_resolve(space, group);
		return false;
	}
	if (!q || (!att->queue && space->policy == IOASID_FAULT_REFUSE))
		return false;
	guard(spinlock)(&q->lock);
	return ioasid_queue_enqueue(q, dev_pasid, group, code);
}

/* The same, by the state of the attachment */
static bool ioasid_fault_take(struct ioasid_attachment *att,
			      struct iopf_group *group, u32 *code)
{
	lockdep_assert_held(&att->fault_lock);
	switch (att->fault_state) {
	case IOASID_ATTACHING:
		list_add_tail(&group->node, &att->parked);
		return true;
	case IOASID_ATTACHED:
		return ioasid_fault_route(att, group, code);
	case IOASID_REPLACED:
		*code = IOASID_FAULT_SUCCESS;
		return false;
	default:
		return false;
	}
}

static int ioasid_fault_handler(struct iopf_group *group)
{
	struct ioasid_attachment *att = container_of(group->attach_handle,
						     struct ioasid_attachment,
						     handle);
	u32 code = IOASID_FAULT_INVALID;

	/* From here on the group is ours, even if the device goes away */
	iopf_group_dequeue(group);
	/* Answered under the lock, too, so that a detach leaves none behind */
	guard(spinlock)(&att->fault_lock);
	if (!ioasid_fault_take(att, group, &code))
		ioasid_group_answer(group, code);
	return 0;
}

/**
 * ioasid_fault_prepare() - let a new domain handle page requests
 * @space: the space
 * @domain: its domain; not attached yet, since the attach checks for a handler
 *
 * Context: any.
 */
void ioasid_fault_prepare(struct ioasid_space *space,
			  struct iommu_domain *domain)
{
	if (space->faults)
		domain->iopf_handler = ioasid_fault_handler;
}

/**
 * ioasid_fault_report_event() - report an event, which takes no response
 * @dev_pasid: the attachment of the device that caused it
 * @record: type, flags, addr, nr and reason of the event
 * @several: the device has several attachments to the space, and the event can
 *	be of any of them
 *
 * Keeps a quarter of the ring free for page requests, since a device can cause
 * events without limit.
 *
 * Context: any but interrupts; takes the locks of fault queues.
 */
void ioasid_fault_report_event(struct ioasid_dev_pasid *dev_pasid,
			       const struct ioasid_fault_record *record,
			       bool several)
{
	struct ioasid_attachment *att = dev_pasid->att;
	struct ioasid_fault_record full =
		ioasid_fault_record(dev_pasid, record->type, record->nr);
	struct ioasid_queue *q;

	full.flags = record->flags;
	full.addr = record->addr;
	full.reason = record->reason;
	if (several) {
		full.pasid = IOASID_PASID_ANY;
		full.device_cookie = READ_ONCE(dev_pasid->idev->cookie);
	}
	guard(spinlock)(&att->fault_lock);
	guard(spinlock)(&att->space->fault_lock);
	q = ioasid_fault_queue(att);
	if (!q)
		return;
	guard(spinlock)(&q->lock);
	ioasid_queue_put_event(q, &full, q->depth / 4);
}

/* --- attach and detach -------------------------------------------------- */

/* A queue of the context with a reference, from @id on; NULL if there is none */
static struct ioasid_queue *ioasid_next_queue(struct ioasid_ctx *ctx,
					      unsigned long *id)
{
	struct ioasid_queue *q;

	while (xa_find(&ctx->queues, id, ULONG_MAX, XA_PRESENT)) {
		q = ioasid_queue_try(ctx, *id);
		++*id;
		if (q)
			return q;
	}
	return NULL;
}

/* Returns what has come while the attachment was being made or moved */
static void ioasid_fault_set_state(struct ioasid_attachment *att,
				   enum ioasid_fault_state state,
				   struct list_head *parked)
{
	lockdep_assert_held(&att->fault_lock);
	att->fault_state = state;
	list_splice_init(&att->parked, parked);
}

static void ioasid_fault_unpark(struct list_head *parked, u32 code)
{
	struct iopf_group *group, *next;

	list_for_each_entry_safe(group, next, parked, node) {
		list_del(&group->node);
		/*
		 * A device that was reset does not wait any more. One whose
		 * page requests are off, since it was not attached, does.
		 */
		if (code == IOASID_FAULT_INVALID || compat_group_is_current(group))
			ioasid_group_answer(group, code);
		else
			iopf_free_group(group);
	}
}

/**
 * ioasid_fault_init() - prepare a new attachment
 * @att: the attachment; requests that come before ioasid_fault_begin() wait
 *
 * Context: any.
 */
void ioasid_fault_init(struct ioasid_attachment *att)
{
	spin_lock_init(&att->fault_lock);
	INIT_LIST_HEAD(&att->dev_pasids);
	INIT_LIST_HEAD(&att->parked);
	att->fault_state = IOASID_ATTACHING;
}

/**
 * ioasid_fault_begin() - route the page requests of a device from now on
 * @dev_pasid: the attachment of the device, attached in the hardware
 *
 * What has come meanwhile is answered SUCCESS, so that the device asks again.
 *
 * Context: ioasid_group.lock is held.
 */
void ioasid_fault_begin(struct ioasid_dev_pasid *dev_pasid)
{
	struct ioasid_attachment *att = dev_pasid->att;
	LIST_HEAD(parked);

	lockdep_assert_held(&dev_pasid->idev->group->lock);
	scoped_guard(spinlock, &att->fault_lock) {
		list_add_tail(&dev_pasid->node, &att->dev_pasids);
		ioasid_fault_set_state(att, IOASID_ATTACHED, &parked);
	}
	ioasid_fault_unpark(&parked, IOASID_FAULT_SUCCESS);
}

/**
 * ioasid_fault_fail() - end an attachment that could not be made
 * @att: the attachment
 *
 * Context: ioasid_group.lock is held.
 */
void ioasid_fault_fail(struct ioasid_attachment *att)
{
	LIST_HEAD(parked);

	lockdep_assert_held(&att->group->lock);
	scoped_guard(spinlock, &att->fault_lock)
		ioasid_fault_set_state(att, IOASID_DETACHED, &parked);
	ioasid_fault_unpark(&parked, IOASID_FAULT_INVALID);
}

/**
 * ioasid_fault_move() - let new page requests wait while a space is replaced
 * @dev_pasid: the attachment of the only device
 * @off: page requests are turned off meanwhile
 *
 * Context: ioasid_ctx.lock and ioasid_group.lock are held; can sleep. Takes
 * ioasid_queue.lock of all queues.
 */
void ioasid_fault_move(struct ioasid_dev_pasid *dev_pasid, bool off)
{
	struct ioasid_attachment *att = dev_pasid->att;
	struct ioasid_queue *q;
	unsigned long id = 0;

	lockdep_assert_held(&att->group->lock);
	scoped_guard(spinlock, &att->fault_lock)
		att->fault_state = IOASID_ATTACHING;
	if (!off)
		return;
	/* To turn page requests off looks like a reset: so that comes first */
	while ((q = ioasid_next_queue(dev_pasid->idev->ctx, &id))) {
		ioasid_queue_drop_stale(q, dev_pasid);
		ioasid_queue_put(q);
	}
	WRITE_ONCE(dev_pasid->iopf_off, true);
}

/**
 * ioasid_fault_unmove() - undo ioasid_fault_move()
 * @dev_pasid: the attachment of the only device
 *
 * Context: ioasid_group.lock is held.
 */
void ioasid_fault_unmove(struct ioasid_dev_pasid *dev_pasid)
{
	struct ioasid_attachment *att = dev_pasid->att;
	LIST_HEAD(parked);

	lockdep_assert_held(&att->group->lock);
	WRITE_ONCE(dev_pasid->iopf_off, false);
	scoped_guard(spinlock, &att->fault_lock)
		ioasid_fault_set_state(att, IOASID_ATTACHED, &parked);
	ioasid_fault_unpark(&parked, IOASID_FAULT_SUCCESS);
}

/*
 * The handle of a detached attachment points here. The IOMMU core may be on its way
 * to the handler, which finds the state of the attachment.
 */
static struct iommu_domain ioasid_no_domain = {
	.iopf_handler = ioasid_fault_handler,
};

/**
 * ioasid_fault_end() - route no more page requests, and answer what is pending
 * @dev_pasid: the attachment of the device; still attached in the hardware, or
 *	by another space, so that what a reset has left can be told from what
 *	waits
 * @code: IOASID_FAULT_INVALID, or IOASID_FAULT_SUCCESS to make the device ask
 *	again
 *
 * Searches all queues of the context: groups stay in the queue that was bound
 * when they came. Requests that are still to come are answered @code at once.
 *
 * Context: ioasid_ctx.lock and ioasid_group.lock are held; can sleep. Takes
 * ioasid_queue.lock of all queues.
 */
void ioasid_fault_end(struct ioasid_dev_pasid *dev_pasid, u32 code)
{
	struct ioasid_attachment *att = dev_pasid->att;
	struct ioasid_ctx *ctx = dev_pasid->idev->ctx;
	struct ioasid_queue *q;
	unsigned long id = 0;
	LIST_HEAD(parked);

	lockdep_assert_held(&dev_pasid->idev->group->lock);
	scoped_guard(spinlock, &att->fault_lock) {
		list_del(&dev_pasid->node);
		if (list_empty(&att->dev_pasids))
			ioasid_fault_set_state(att,
					       code == IOASID_FAULT_SUCCESS ?
						       IOASID_REPLACED :
						       IOASID_DETACHED,
					       &parked);
	}
	ioasid_fault_unpark(&parked, code);
	if (!att->space->faults)
		return;
	while ((q = ioasid_next_queue(ctx, &id))) {
		ioasid_queue_flush(q, dev_pasid, code);
		ioasid_queue_put(q);
	}
	WRITE_ONCE(dev_pasid->iopf_off, false);
}

/**
 * ioasid_fault_report_detached() - report a detach as the last event
 * @dev_pasid: the attachment of the device, after ioasid_fault_end() and
 *	detached in the hardware if it was the last one
 *
 * Context: ioasid_ctx.lock and ioasid_group.lock are held; can sleep. Takes
 * ioasid_queue.lock of all queues.
 */
void ioasid_fault_report_detached(struct ioasid_dev_pasid *dev_pasid)
{
	struct ioasid_attachment *att = dev_pasid->att;
	struct ioasid_ctx *ctx = dev_pasid->idev->ctx;
	struct ioasid_queue *q, *bound;
	unsigned long id = 0;

	lockdep_assert_held(&ctx->lock);
	lockdep_assert_held(&dev_pasid->idev->group->lock);
	ioasid_unrecoverable_end(dev_pasid);
	if (!ioasid_space_may_report(att->space))
		return;
	if (list_empty(&att->dev_pasids))
		WRITE_ONCE(att->handle.domain, &ioasid_no_domain);
	/* Both change under ioasid_ctx.lock only */
	bound = att->queue ?: att->space->queue;
	while ((q = ioasid_next_queue(ctx, &id))) {
		ioasid_queue_report_detached(q, dev_pasid, q == bound);
		ioasid_queue_put(q);
	}
}

/* --- binding ------------------------------------------------------------ */

static int ioasid_check_queueable(struct ioasid_space *space,
				  struct ioasid_extack *extack)
{
	if (!space->ops->no_queue)
		return 0;
	return ioasid_fail(extack, -EINVAL, IOASID_REASON_KIND, "space %u: %s",
			   space->id, space->ops->no_queue);
}

static int ioasid_check_policy(struct ioasid_space *space, u32 policy,
			       struct ioasid_extack *extack)
{
	if (policy == IOASID_FAULT_KERNEL && space->parent)
		return ioasid_fail(extack, -EINVAL, IOASID_REASON_KIND,
				   "space %u: the kernel cannot answer the page requests for a space with a parent",
				   space->id);
	if (policy == IOASID_FAULT_FORWARD || space->faults)
		return ioasid_check_queueable(space, extack);
	return ioasid_fail(extack, -EINVAL, IOASID_REASON_KIND,
			   "space %u takes no page requests: it was allocated without IOASID_ALLOC_FAULTS",
			   space->id);
}

/**
 * ioasid_fault_bind_space() - bind a space to a queue
 * @ctx: the context
 * @ioasid: the space
 * @policy: enum ioasid_fault_policy
 * @q: the queue, whose reference is taken over if it succeeds; or NULL
 * @extack: the reason if it fails
 *
 * New groups go to the new queue; pending ones stay in the old queue.
 *
 * Context: can sleep; takes ioasid_ctx.lock and ioasid_space.fault_lock.
 *
 * Return: 0, -ENOENT if there is no such space, -EINVAL if its kind cannot have
 * a queue or it was allocated without IOASID_ALLOC_FAULTS and @policy needs
 * that.
 */
int ioasid_fault_bind_space(struct ioasid_ctx *ctx, u32 ioasid, u32 policy,
			    struct ioasid_queue *q,
			    struct ioasid_extack *extack)
{
	struct ioasid_space *space;
	int rc;

	guard(mutex)(&ctx->lock);
	space = ioasid_space_get(ctx, ioasid, extack);
	if (IS_ERR(space))
		return PTR_ERR(space);
	rc = ioasid_check_policy(space, policy, extack);
	if (!rc) {
		if (q)
			WRITE_ONCE(space->has_queue, true);
		scoped_guard(spinlock, &space->fault_lock) {
			space->policy = policy;
			swap(space->queue, q);
		}
		ioasid_queue_put(q);
	}
	ioasid_space_put(space);
	return rc;
}

/**
 * ioasid_fault_bind_dev_pasid() - bind one attachment of a device to a queue
 * @ctx: the context
 * @dev_id: the device
 * @pasid: IOASID_RID, or the user's number for the PASID
 * @q: the queue, whose reference is taken over if it succeeds; or NULL
 * @extack: the reason if it fails
 *
 * New groups go to the new queue; pending ones stay in the old queue.
 *
 * Context: can sleep; takes ioasid_ctx.lock and ioasid_attachment.fault_lock.
 *
 * Return: 0, -ENOENT if there is no such device or attachment, -EINVAL if the
 * kind of its space cannot have a queue.
 */
int ioasid_fault_bind_dev_pasid(struct ioasid_ctx *ctx, u32 dev_id, u32 pasid,
				struct ioasid_queue *q,
				struct ioasid_extack *extack)
{
	struct ioasid_device *idev;
	struct ioasid_dev_pasid *dev_pasid;
	int rc;

	guard(mutex)(&ctx->lock);
	idev = ioasid_device_by_id(ctx, dev_id, extack);
	if (IS_ERR(idev))
		return PTR_ERR(idev);
	dev_pasid = ioasid_dev_pasid_by_vpasid(idev, pasid, extack);
	if (IS_ERR(dev_pasid))
		return PTR_ERR(dev_pasid);
	rc = ioasid_check_queueable(dev_pasid->att->space, extack);
	if (rc)
		return rc;
	if (q)
		WRITE_ONCE(dev_pasid->att->space->has_queue, true);
	scoped_guard(spinlock, &dev_pasid->att->fault_lock)
		swap(dev_pasid->att->queue, q);
	ioasid_queue_put(q);
	return 0;
}
