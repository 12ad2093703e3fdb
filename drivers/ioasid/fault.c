// SPDX-License-Identifier: GPL-2.0
/*
 * Page requests: from the IOMMU core to the attachment, to the queue that it is
 * bound to, to the user, and his answer back. Whatever happens, every request
 * is answered or dropped exactly once. Nothing here may allocate, or wait for
 * user space, on the way of a request; and never return an error to the IOMMU
 * core, which would make the device stop asking.
 */
#include <linux/delay.h>
#include <linux/iommu.h>
#include <linux/nospec.h>
#include <linux/slab.h>
#include <linux/srcu.h>
#include "queue.h"

/* How long the IOMMU core may look at the handle of an attachment that ended */
#define IOASID_GRAVE_SECONDS	2

/* Handlers at work; who detaches waits for them */
DEFINE_STATIC_SRCU(ioasid_fault_srcu);

static void ioasid_graves_dig(struct work_struct *work);
static DEFINE_SPINLOCK(ioasid_graves_lock);
static LIST_HEAD(ioasid_graves);
static DECLARE_DELAYED_WORK(ioasid_graves_work, ioasid_graves_dig);

/* --- records ---------------------------------------------------------------- */

static struct ioasid_fault_record ioasid_record(struct ioasid_link *link,
						u32 type, u32 nr)
{
	return (struct ioasid_fault_record) {
		.type = type,
		.nr = nr,
		.dev_id = link->idev->id,
		.pasid = link->number,
		.ioasid = link->att->space->id,
		.device_cookie = link->idev->cookie,
	};
}

/**
 * ioasid_queue_tell_lost() - say how many groups were refused, if any were
 * @q: the queue; its lock is held
 *
 * Return: false if there is no room to say it.
 */
bool ioasid_queue_tell_lost(struct ioasid_queue *q)
{
	struct ioasid_fault_record record = {
		.type = IOASID_FAULT_LOST,
		.nr = q->lost,
	};

	if (!q->lost)
		return true;
	if (!ioasid_queue_room(q))
		return false;
	ioasid_queue_put_record(q, &record);
	q->lost = 0;
	ioasid_queue_publish(q);
	return true;
}

/* A record that is news only; lost if there is no room */
static void ioasid_queue_tell(struct ioasid_queue *q, struct ioasid_link *link,
			      u32 type, u32 nr, u64 cookie)
{
	struct ioasid_fault_record record = ioasid_record(link, type, nr);

	record.cookie = cookie;
	if (q->dead || !ioasid_queue_tell_lost(q) || !ioasid_queue_room(q))
		return;
	ioasid_queue_put_record(q, &record);
	ioasid_queue_publish(q);
}

static u32 ioasid_fault_flags(const struct iommu_fault_page_request *prm)
{
	u32 flags = 0;

	if (prm->perm & IOMMU_FAULT_PERM_READ)
		flags |= IOASID_FAULT_READ;
	if (prm->perm & IOMMU_FAULT_PERM_WRITE)
		flags |= IOASID_FAULT_WRITE;
	if (prm->perm & IOMMU_FAULT_PERM_EXEC)
		flags |= IOASID_FAULT_EXEC;
	if (prm->perm & IOMMU_FAULT_PERM_PRIV)
		flags |= IOASID_FAULT_PRIV;
	if (prm->flags & IOMMU_FAULT_PAGE_REQUEST_LAST_PAGE)
		flags |= IOASID_FAULT_LAST;
	return flags;
}

static void ioasid_queue_put_group(struct ioasid_queue *q,
				   struct ioasid_pending *p)
{
	struct ioasid_fault_record record =
		ioasid_record(p->link, IOASID_FAULT_REQUEST,
			      p->group->fault_count);
	struct iopf_fault *iopf;

	record.cookie = ioasid_pending_cookie(q, p);
	list_for_each_entry(iopf, &p->group->faults, list) {
		record.addr = iopf->fault.prm.addr;
		record.group = iopf->fault.prm.grpid;
		record.flags = ioasid_fault_flags(&iopf->fault.prm);
		ioasid_queue_put_record(q, &record);
	}
	ioasid_queue_publish(q);
}

/* --- answers ------------------------------------------------------------------ */

static void ioasid_group_answer(struct iopf_group *group,
				enum iommu_page_response_code code)
{
	iopf_group_response(group, code);
	iopf_free_group(group);
}

/**
 * ioasid_pending_answer() - answer a group, and forget it
 * @q: the queue; its lock is held
 * @p: the group
 * @code: IOASID_FAULT_SUCCESS, _INVALID or _FAILURE
 */
void ioasid_pending_answer(struct ioasid_queue *q, struct ioasid_pending *p,
			   u32 code)
{
	static const enum iommu_page_response_code codes[] = {
		[IOASID_FAULT_SUCCESS] = IOMMU_PAGE_RESP_SUCCESS,
		[IOASID_FAULT_INVALID] = IOMMU_PAGE_RESP_INVALID,
		[IOASID_FAULT_FAILURE] = IOMMU_PAGE_RESP_FAILURE,
	};
	struct iopf_group *group = p->group;

	p->group = NULL;
	/* So that the cookie names nothing any more */
	p->generation++;
	atomic_dec(&p->link->nr_pending);
	list_move(&p->node, &q->free);
	ioasid_group_answer(group,
			    codes[array_index_nospec(code, ARRAY_SIZE(codes))]);
}

/**
 * ioasid_pending_expired() - nobody has answered in time
 * @q: the queue; its lock is held
 * @p: the group
 */
void ioasid_pending_expired(struct ioasid_queue *q, struct ioasid_pending *p)
{
	u64 cookie = ioasid_pending_cookie(q, p);
	struct ioasid_link *link = p->link;

	ioasid_pending_answer(q, p, IOASID_FAULT_INVALID);
	ioasid_queue_tell(q, link, IOASID_FAULT_TIMEOUT, 1, cookie);
}

/* --- the way of a request ---------------------------------------------------- */

static struct ioasid_link *ioasid_fault_link(struct ioasid_attachment *att,
					     struct device *dev)
{
	struct ioasid_link *link;

	list_for_each_entry_srcu(link, &att->links, node,
				 srcu_read_lock_held(&ioasid_fault_srcu))
		if (link->idev->dev == dev)
			return link;
	return NULL;
}

/* The IOMMU core puts records together by group number alone */
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

/* The queue's lock is held; false: the caller answers */
static bool ioasid_fault_enqueue(struct ioasid_queue *q,
				 struct ioasid_link *link,
				 struct iopf_group *group)
{
	struct ioasid_pending *p;

	if (q->dead)
		return false;
	p = list_first_entry_or_null(&q->free, struct ioasid_pending, node);
	if (!p || atomic_read(&link->nr_pending) >= q->max_per_pasid ||
	    !ioasid_queue_tell_lost(q) ||
	    ioasid_queue_room(q) < group->fault_count) {
		q->lost++;
		return false;
	}
	p->group = group;
	p->link = link;
	p->expires = jiffies + q->deadline;
	atomic_inc(&link->nr_pending);
	list_move_tail(&p->node, &q->pending);
	ioasid_queue_put_group(q, p);
	if (list_is_singular(&q->pending))
		ioasid_queue_arm(q);
	return true;
}

static bool ioasid_fault_forward(struct ioasid_attachment *att,
				 struct iopf_group *group)
{
	struct ioasid_link *link = ioasid_fault_link(att,
						     group->fault_param->dev);
	struct ioasid_queue *q;
	bool taken;

	if (!link || !ioasid_fault_is_of(group, att->pasid))
		return false;
	q = srcu_dereference(att->queue, &ioasid_fault_srcu) ?:
	    srcu_dereference(att->space->queue, &ioasid_fault_srcu);
	if (!q)
		return false;
	mutex_lock(&q->lock);
	taken = ioasid_fault_enqueue(q, link, group);
	mutex_unlock(&q->lock);
	return taken;
}

static int ioasid_fault_handler(struct iopf_group *group)
{
	struct ioasid_attachment *att = container_of(group->attach_handle,
						     struct ioasid_attachment,
						     handle);
	int idx = srcu_read_lock(&ioasid_fault_srcu);
	bool taken;

	/* The group is ours from here on, whatever becomes of the device */
	iopf_group_dequeue(group);
	taken = !READ_ONCE(att->ended) && ioasid_fault_forward(att, group);
	if (!taken)
		ioasid_group_answer(group, IOMMU_PAGE_RESP_INVALID);
	srcu_read_unlock(&ioasid_fault_srcu, idx);
	return 0;
}

/**
 * ioasid_fault_prepare() - let a new domain take page requests
 * @space: the space
 * @domain: its domain, not attached yet: the IOMMU driver looks when it is
 */
void ioasid_fault_prepare(struct ioasid_space *space,
			  struct iommu_domain *domain)
{
	if (space->faults)
		domain->iopf_handler = ioasid_fault_handler;
}

/* --- the end of an attachment ---------------------------------------------- */

static int ioasid_refuse(struct iopf_group *group)
{
	iopf_group_dequeue(group);
	ioasid_group_answer(group, IOMMU_PAGE_RESP_INVALID);
	return 0;
}

/* What the handle of an attachment that has ended points at */
static struct iommu_domain ioasid_no_domain = {
	.iopf_handler = ioasid_refuse,
};

static void ioasid_queue_cut(struct ioasid_queue *q, struct ioasid_link *link,
			     bool bound)
{
	struct ioasid_pending *p, *next;
	u32 nr = 0;

	mutex_lock(&q->lock);
	list_for_each_entry_safe(p, next, &q->pending, node) {
		if (p->link != link)
			continue;
		ioasid_pending_answer(q, p, IOASID_FAULT_INVALID);
		nr++;
	}
	if (nr || bound)
		ioasid_queue_tell(q, link, IOASID_FAULT_DETACHED, nr, 0);
	mutex_unlock(&q->lock);
}

/**
 * ioasid_fault_cut() - a device has left an attachment
 * @link: its link; in no list any more, and detached in the hardware if it was
 *	the last one
 *
 * What it still waits for is answered, in whatever queue it is.
 */
void ioasid_fault_cut(struct ioasid_link *link)
{
	struct ioasid_attachment *att = link->att;
	struct ioasid_queue *q, *bound;
	unsigned long id;

	if (!att->space->faults)
		return;
	if (list_empty(&att->links)) {
		WRITE_ONCE(att->ended, true);
		WRITE_ONCE(att->handle.domain, &ioasid_no_domain);
	}
	/* From here on no handler knows the link */
	synchronize_srcu_expedited(&ioasid_fault_srcu);
	bound = rcu_access_pointer(att->queue) ?:
		rcu_access_pointer(att->space->queue);
	xa_for_each(&link->idev->ctx->queues, id, q) {
		q = ioasid_queue_try(link->idev->ctx, id);
		if (!q)
			continue;
		ioasid_queue_cut(q, link, q == bound);
		ioasid_queue_put(q);
	}
}

static void ioasid_graves_dig(struct work_struct *work)
{
	struct ioasid_attachment *att, *next;
	LIST_HEAD(old);

	spin_lock(&ioasid_graves_lock);
	list_for_each_entry_safe(att, next, &ioasid_graves, space_link)
		if (time_after(jiffies, att->buried + IOASID_GRAVE_SECONDS * HZ))
			list_move(&att->space_link, &old);
	if (!list_empty(&ioasid_graves))
		schedule_delayed_work(&ioasid_graves_work, HZ);
	spin_unlock(&ioasid_graves_lock);
	list_for_each_entry_safe(att, next, &old, space_link)
		kfree(att);
}

/**
 * ioasid_attachment_bury() - free an attachment, late
 * @att: the attachment, in no table and no list
 *
 * The IOMMU core follows the pointer to its handle without a lock.
 */
void ioasid_attachment_bury(struct ioasid_attachment *att)
{
	ioasid_queue_put(rcu_access_pointer(att->queue));
	att->buried = jiffies;
	spin_lock(&ioasid_graves_lock);
	list_add_tail(&att->space_link, &ioasid_graves);
	spin_unlock(&ioasid_graves_lock);
	schedule_delayed_work(&ioasid_graves_work,
			      (IOASID_GRAVE_SECONDS + 1) * HZ);
}

void ioasid_fault_teardown(void)
{
	struct ioasid_attachment *att, *next;

	cancel_delayed_work_sync(&ioasid_graves_work);
	/* The IOMMU core can still be on its way to a handle, and to our code */
	if (!list_empty(&ioasid_graves))
		msleep(IOASID_GRAVE_SECONDS * MSEC_PER_SEC);
	list_for_each_entry_safe(att, next, &ioasid_graves, space_link)
		kfree(att);
}

/* --- binding ------------------------------------------------------------------- */

/* Who comes later goes to the new queue; who waits in the old one stays there */
static void ioasid_fault_rebind(struct ioasid_queue __rcu **where,
				struct ioasid_queue *q)
{
	struct ioasid_queue *old = rcu_replace_pointer(*where, q, true);

	synchronize_srcu_expedited(&ioasid_fault_srcu);
	ioasid_queue_put(old);
}

void ioasid_fault_unbind(struct ioasid_space *space)
{
	ioasid_queue_put(rcu_access_pointer(space->queue));
}

static int ioasid_check_faults(struct ioasid_space *space,
			       struct ioasid_explain *why)
{
	if (space->faults)
		return 0;
	return ioasid_fail(why, -EINVAL, IOASID_REASON_KIND,
			   "space %u takes no page requests: it was made without IOASID_ALLOC_FAULTS",
			   space->id);
}

static int ioasid_bind_space(struct ioasid_command *cmd, struct ioasid_queue *q)
{
	struct ioasid_fault_bind *arg = cmd->arg;
	struct ioasid_space *space;
	int rc;

	space = ioasid_space_get(cmd->ctx, arg->ioasid, cmd->why);
	if (IS_ERR(space))
		return PTR_ERR(space);
	rc = ioasid_check_faults(space, cmd->why);
	if (!rc)
		ioasid_fault_rebind(&space->queue, q);
	ioasid_space_put(space);
	return rc;
}

static int ioasid_bind_link(struct ioasid_command *cmd, struct ioasid_queue *q)
{
	struct ioasid_fault_bind *arg = cmd->arg;
	struct ioasid_device *idev;
	struct ioasid_link *link;
	int rc;

	idev = ioasid_device_by_id(cmd->ctx, arg->dev_id, cmd->why);
	if (!idev)
		return -ENOENT;
	link = ioasid_device_link(idev, arg->pasid);
	cmd->why->pasid = arg->pasid;
	if (!link)
		return ioasid_fail(cmd->why, -ENOENT, IOASID_REASON_NOT_ATTACHED,
				   "device %s is not attached with PASID %u",
				   dev_name(idev->dev), arg->pasid);
	rc = ioasid_check_faults(link->att->space, cmd->why);
	if (!rc)
		ioasid_fault_rebind(&link->att->queue, q);
	return rc;
}

int ioasid_cmd_fault_bind(struct ioasid_command *cmd)
{
	struct ioasid_fault_bind *arg = cmd->arg;
	struct ioasid_queue *q = NULL;
	int rc;

	if (arg->__reserved)
		return ioasid_fail(cmd->why, -EOPNOTSUPP, IOASID_REASON_FLAGS,
				   "a reserved field is not zero");
	if (!arg->ioasid == !arg->dev_id)
		return ioasid_fail(cmd->why, -EINVAL, IOASID_REASON_VALUE,
				   "either a space or an attachment, not %s",
				   arg->ioasid ? "both" : "none");
	if (arg->queue_id)
		q = ioasid_queue_get(cmd->ctx, arg->queue_id, cmd->why);
	if (IS_ERR(q))
		return PTR_ERR(q);
	mutex_lock(&cmd->ctx->lock);
	rc = arg->ioasid ? ioasid_bind_space(cmd, q) : ioasid_bind_link(cmd, q);
	mutex_unlock(&cmd->ctx->lock);
	if (rc)
		ioasid_queue_put(q);
	return rc;
}
