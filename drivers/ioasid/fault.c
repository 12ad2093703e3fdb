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
#include <linux/srcu.h>
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

	list_for_each_entry_srcu(dev_pasid, &att->dev_pasids, node,
				 srcu_read_lock_held(&ioasid_fault_srcu))
		if (dev_pasid->idev->dev == dev)
			return dev_pasid;
	return NULL;
}

/* The IOMMU core groups requests by group index alone, whatever their PASID */
static bool ioasid_fault_is_of(struct iopf_group *group, u32 pasid)
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
static enum iommu_page_response_code
ioasid_fault_resolve(struct ioasid_space *space, struct iopf_group *group)
{
	enum iommu_page_response_code code = IOMMU_PAGE_RESP_SUCCESS;
	const u32 asked = IOASID_FAULT_READ | IOASID_FAULT_WRITE;
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
			code = IOMMU_PAGE_RESP_INVALID;
	}
	mutex_unlock(&space->iova_lock);
	return code;
}

/* Queues the group, or answers it at once */
static void ioasid_fault_route(struct ioasid_attachment *att,
			       struct iopf_group *group)
{
	enum iommu_page_response_code code = IOMMU_PAGE_RESP_INVALID;
	struct device *dev = group->fault_param->dev;
	struct ioasid_dev_pasid *dev_pasid = ioasid_fault_dev_pasid(att, dev);
	struct ioasid_space *space = att->space;
	struct ioasid_queue *own, *q;

	if (!dev_pasid || !ioasid_fault_is_of(group, att->pasid))
		goto answer;
	own = srcu_dereference(att->queue, &ioasid_fault_srcu);
	q = own ?: srcu_dereference(space->queue, &ioasid_fault_srcu);
	if (!own && READ_ONCE(space->policy) == IOASID_FAULT_REFUSE)
		q = NULL;
	if (!own && READ_ONCE(space->policy) == IOASID_FAULT_KERNEL)
		code = ioasid_fault_resolve(space, group);
	else if (q && ioasid_queue_forward(q, dev_pasid, group))
		return;
answer:
	ioasid_group_answer(group, code);
}

static int ioasid_fault_handler(struct iopf_group *group)
{
	struct ioasid_attachment *att = container_of(group->attach_handle,
						     struct ioasid_attachment,
						     handle);
	int idx = srcu_read_lock(&ioasid_fault_srcu);

	/* From here on the group is ours, even if the device goes away */
	iopf_group_dequeue(group);
	if (READ_ONCE(att->ended))
		ioasid_group_answer(group, IOMMU_PAGE_RESP_INVALID);
	else
		ioasid_fault_route(att, group);
	srcu_read_unlock(&ioasid_fault_srcu, idx);
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

/* --- detach ------------------------------------------------------------- */

static int ioasid_fault_after_detach(struct iopf_group *group)
{
	iopf_group_dequeue(group);
	ioasid_group_answer(group, IOMMU_PAGE_RESP_INVALID);
	return 0;
}

/* The handle of a detached attachment points here */
static struct iommu_domain ioasid_no_domain = {
	.iopf_handler = ioasid_fault_after_detach,
};

/* Calls @fn for each queue of the context, under its lock */
static void ioasid_all_queues(struct ioasid_dev_pasid *dev_pasid,
			      void (*fn)(struct ioasid_queue *q,
					 struct ioasid_dev_pasid *dev_pasid))
{
	struct ioasid_ctx *ctx = dev_pasid->idev->ctx;
	struct ioasid_queue *q;
	unsigned long id;

	xa_for_each(&ctx->queues, id, q) {
		q = ioasid_queue_try(ctx, id);
		if (!q)
			continue;
		mutex_lock(&q->lock);
		fn(q, dev_pasid);
		mutex_unlock(&q->lock);
		ioasid_queue_put(q);
	}
}

/**
 * ioasid_fault_prepare_detach() - prepare to detach a device
 * @dev_pasid: the attachment of the device
 *
 * Reaps the stale groups first: from now on the device's page requests can also
 * be off because of the detach, which looks the same as a reset.
 *
 * Context: ioasid_group.lock is held; takes ioasid_queue.lock of all queues.
 */
void ioasid_fault_prepare_detach(struct ioasid_dev_pasid *dev_pasid)
{
	lockdep_assert_held(&dev_pasid->idev->group->lock);
	if (!dev_pasid->att->space->faults)
		return;
	ioasid_all_queues(dev_pasid, ioasid_queue_reap_stale);
	WRITE_ONCE(dev_pasid->detaching, true);
}

/**
 * ioasid_fault_flush() - answer all pending page requests after a detach
 * @dev_pasid: the attachment of the device; in no list any more, and detached
 *	in the hardware if it was the last one
 *
 * Searches all queues of the context: groups stay in the queue that was bound
 * when they arrived.
 *
 * Context: ioasid_group.lock is held; can sleep. Waits for ioasid_fault_srcu
 * and takes ioasid_queue.lock of all queues.
 */
void ioasid_fault_flush(struct ioasid_dev_pasid *dev_pasid)
{
	struct ioasid_attachment *att = dev_pasid->att;

	lockdep_assert_held(&dev_pasid->idev->group->lock);
	ioasid_unrecoverable_end(dev_pasid);
	if (!ioasid_space_may_report(att->space))
		return;
	if (list_empty(&att->dev_pasids)) {
		WRITE_ONCE(att->ended, true);
		WRITE_ONCE(att->handle.domain, &ioasid_no_domain);
	}
	/* After this no handler can find the device any more */
	if (att->space->faults)
		synchronize_srcu_expedited(&ioasid_fault_srcu);
	ioasid_all_queues(dev_pasid, ioasid_queue_flush);
	WRITE_ONCE(dev_pasid->detaching, false);
}

/* --- binding ------------------------------------------------------------ */

/* New groups go to the new queue; pending ones stay in the old queue */
static void ioasid_fault_rebind(struct ioasid_ctx *ctx,
				struct ioasid_queue __rcu **where,
				struct ioasid_queue *q)
{
	struct ioasid_queue *old;

	old = rcu_replace_pointer(*where, q, lockdep_is_held(&ctx->lock));
	synchronize_srcu_expedited(&ioasid_fault_srcu);
	ioasid_queue_put(old);
}

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
 * Context: can sleep; takes ioasid_ctx.lock and waits for ioasid_fault_srcu.
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
		WRITE_ONCE(space->policy, policy);
		ioasid_fault_rebind(ctx, &space->queue, q);
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
 * Context: can sleep; takes ioasid_ctx.lock and waits for ioasid_fault_srcu.
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
	ioasid_fault_rebind(ctx, &dev_pasid->att->queue, q);
	return 0;
}
