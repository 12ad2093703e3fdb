// SPDX-License-Identifier: GPL-2.0
/*
 * Fault queues: the records that user space reads, the groups of page requests
 * that wait for its response, and the limits of both. User space can write to
 * the ring at any time, so nothing here may trust what the ring says: an
 * invalid index counts as a full ring.
 */
#include <linux/eventfd.h>
#include <linux/mm.h>
#include <linux/nospec.h>
#include <linux/slab.h>
#include <linux/srcu.h>
#include <linux/vmalloc.h>
#include "queue.h"

DEFINE_SRCU(ioasid_fault_srcu);

/* How often per second to look for groups from before a reset */
#define IOASID_REAPS 10

/* --- the ring ----------------------------------------------------------- */

/**
 * ioasid_queue_room() - how many more records fit into the ring
 * @q: the queue
 *
 * Return: number of records; 0 if the ring is full or its index is invalid.
 */
u32 ioasid_queue_room(struct ioasid_queue *q)
{
	/* Pairs with the reader, which has copied all records below the tail */
	u32 used = q->head - smp_load_acquire(&q->ring->tail);

	return used > q->depth ? 0 : q->depth - used;
}

void ioasid_queue_put_record(struct ioasid_queue *q,
			     const struct ioasid_fault_record *record)
{
	lockdep_assert_held(&q->lock);
	q->records[q->head & (q->depth - 1)] = *record;
	q->head++;
}

/**
 * ioasid_queue_publish() - make the new records visible to user space
 * @q: the queue
 *
 * Context: ioasid_queue.lock is held.
 */
void ioasid_queue_publish(struct ioasid_queue *q)
{
	lockdep_assert_held(&q->lock);
	/* Orders the records before the index that covers them */
	smp_store_release(&q->published, q->head);
	/* The same for readers of the mapped ring */
	smp_store_release(&q->ring->head, q->head);
	/* The barrier pairs with poll_wait(), so that no wake-up is lost */
	if (wq_has_sleeper(&q->wait))
		wake_up_interruptible(&q->wait);
	if (q->eventfd)
		eventfd_signal(q->eventfd);
}

/**
 * ioasid_queue_arm() - schedule the work that expires and reaps pending groups
 * @q: the queue
 *
 * Context: ioasid_queue.lock is held.
 */
static void ioasid_queue_arm(struct ioasid_queue *q)
{
	struct ioasid_pending *p;
	long left;

	lockdep_assert_held(&q->lock);
	p = list_first_entry_or_null(&q->pending, struct ioasid_pending, node);
	if (!p || !q->deadline || q->dead)
		return;
	left = p->expires - jiffies;
	schedule_delayed_work(&q->work,
			      clamp(left, 0L, (long)HZ / IOASID_REAPS));
}

u64 ioasid_pending_cookie(struct ioasid_queue *q, struct ioasid_pending *p)
{
	return (u64)p->generation << 32 | (p - q->pool);
}

/* --- records ------------------------------------------------------------ */

static struct ioasid_fault_record
ioasid_record(struct ioasid_dev_pasid *dev_pasid, u32 type, u32 nr)
{
	return (struct ioasid_fault_record){
		.type = type,
		.nr = nr,
		.dev_id = dev_pasid->idev->id,
		.pasid = dev_pasid->vpasid,
		.ioasid = dev_pasid->att->space->id,
		.device_cookie = dev_pasid->cookie,
	};
}

static bool ioasid_queue_put_lost(struct ioasid_queue *q)
{
	struct ioasid_fault_record record = {
		.type = IOASID_FAULT_LOST,
		.nr = q->lost,
		.lost_events = q->lost_events,
	};

	if (!ioasid_queue_room(q))
		return false;
	ioasid_queue_put_record(q, &record);
	q->lost = 0;
	q->lost_events = 0;
	ioasid_queue_publish(q);
	return true;
}

/**
 * ioasid_queue_report_lost() - put a LOST record if anything was lost
 * @q: the queue
 *
 * Context: ioasid_queue.lock is held.
 *
 * Return: false if a LOST record is due and the ring has no room for it.
 */
bool ioasid_queue_report_lost(struct ioasid_queue *q)
{
	lockdep_assert_held(&q->lock);
	/* Split so that a page request does not clear a record on its stack */
	return likely(!q->lost && !q->lost_events) || ioasid_queue_put_lost(q);
}

/*
 * Puts an event, or counts it as lost if fewer than @spare records would stay
 * free for page requests; a LOST record that is due needs room as well.
 */
static void ioasid_queue_put_event(struct ioasid_queue *q,
				   const struct ioasid_fault_record *record,
				   u32 spare)
{
	lockdep_assert_held(&q->lock);
	if (q->dead)
		return;
	if (ioasid_queue_room(q) <= spare + (q->lost || q->lost_events)) {
		q->lost_events++;
		return;
	}
	ioasid_queue_report_lost(q);
	ioasid_queue_put_record(q, record);
	ioasid_queue_publish(q);
}

static void ioasid_queue_report(struct ioasid_queue *q,
				struct ioasid_dev_pasid *dev_pasid, u32 type,
				u32 nr, u64 cookie)
{
	struct ioasid_fault_record record = ioasid_record(dev_pasid, type, nr);

	record.cookie = cookie;
	ioasid_queue_put_event(q, &record, 0);
}

static struct ioasid_queue *ioasid_fault_queue(struct ioasid_attachment *att)
{
	return srcu_dereference(att->queue, &ioasid_fault_srcu) ?:
	       srcu_dereference(att->space->queue, &ioasid_fault_srcu);
}

/**
 * ioasid_queue_report_event() - report an event, which takes no response
 * @dev_pasid: the attachment of the device that caused it
 * @record: type, flags, addr, nr and reason of the event
 * @several: the device has several attachments to the space, and the event can
 *	be of any of them
 *
 * Keeps a quarter of the ring free for page requests, since a device can cause
 * events without limit.
 *
 * Context: can sleep; takes ioasid_queue.lock.
 */
void ioasid_queue_report_event(struct ioasid_dev_pasid *dev_pasid,
			       const struct ioasid_fault_record *record,
			       bool several)
{
	struct ioasid_fault_record full =
		ioasid_record(dev_pasid, record->type, record->nr);
	int idx = srcu_read_lock(&ioasid_fault_srcu);
	struct ioasid_queue *q = ioasid_fault_queue(dev_pasid->att);

	full.flags = record->flags;
	full.addr = record->addr;
	full.reason = record->reason;
	if (several) {
		full.pasid = IOASID_PASID_ANY;
		full.device_cookie = dev_pasid->idev->cookie;
	}
	if (q) {
		mutex_lock(&q->lock);
		ioasid_queue_put_event(q, &full, q->depth / 4);
		mutex_unlock(&q->lock);
	}
	srcu_read_unlock(&ioasid_fault_srcu, idx);
}

u32 ioasid_fault_flags(const struct iommu_fault_page_request *prm)
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
		ioasid_record(p->dev_pasid, IOASID_FAULT_REQUEST,
			      p->group->fault_count);
	struct iopf_fault *iopf;

	lockdep_assert_held(&q->lock);
	record.cookie = ioasid_pending_cookie(q, p);
	list_for_each_entry(iopf, &p->group->faults, list) {
		record.addr = iopf->fault.prm.addr;
		record.group = iopf->fault.prm.grpid;
		record.flags = ioasid_fault_flags(&iopf->fault.prm);
		ioasid_queue_put_record(q, &record);
	}
	ioasid_queue_publish(q);
}

/* --- responses ---------------------------------------------------------- */

void ioasid_group_answer(struct iopf_group *group,
			 enum iommu_page_response_code code)
{
	iopf_group_response(group, code);
	iopf_free_group(group);
}

/* Frees the entry of a group, and retires its cookie */
static struct iopf_group *ioasid_pending_take(struct ioasid_queue *q,
					      struct ioasid_pending *p)
{
	struct iopf_group *group = p->group;

	lockdep_assert_held(&q->lock);
	p->group = NULL;
	p->generation++;
	atomic_dec(&p->dev_pasid->nr_pending);
	list_move(&p->node, &q->free);
	return group;
}

/*
 * While a device is attached, only a reset turns off its page requests. It no
 * longer waits for the response then, and could take it for that to a new
 * group. The group has a reference on its fault_param, so that a new one cannot
 * have the same address.
 */
static bool ioasid_pending_is_stale(const struct ioasid_pending *p)
{
	const struct iommu_fault_param *param = p->group->fault_param;

	return !READ_ONCE(p->dev_pasid->detaching) &&
	       rcu_access_pointer(param->dev->iommu->fault_param) != param;
}

/* Drops the groups from before a reset, and reports them before new ones */
void ioasid_queue_reap_stale(struct ioasid_queue *q,
			     struct ioasid_dev_pasid *dev_pasid)
{
	struct ioasid_pending *p, *next;
	u32 nr = 0;

	lockdep_assert_held(&q->lock);
	list_for_each_entry_safe(p, next, &q->pending, node) {
		if (p->dev_pasid != dev_pasid || !ioasid_pending_is_stale(p))
			continue;
		iopf_free_group(ioasid_pending_take(q, p));
		nr++;
	}
	if (nr)
		ioasid_queue_report(q, dev_pasid, IOASID_FAULT_RESET, nr, 0);
}

/**
 * ioasid_queue_reap_all_stale() - drop the stale groups of all devices
 * @q: the queue
 *
 * Context: ioasid_queue.lock is held.
 */
static void ioasid_queue_reap_all_stale(struct ioasid_queue *q)
{
	struct ioasid_pending *p;

	lockdep_assert_held(&q->lock);
again:
	list_for_each_entry(p, &q->pending, node) {
		if (!ioasid_pending_is_stale(p))
			continue;
		ioasid_queue_reap_stale(q, p->dev_pasid);
		goto again;
	}
}

/**
 * ioasid_pending_answer() - answer a pending group and free its entry
 * @q: the queue
 * @p: the group
 * @code: IOASID_FAULT_SUCCESS or _INVALID
 *
 * Context: ioasid_queue.lock is held.
 *
 * Return: true, or false if the device was reset: then all stale groups of the
 * attachment are dropped without a response.
 */
bool ioasid_pending_answer(struct ioasid_queue *q, struct ioasid_pending *p,
			   u32 code)
{
	static const enum iommu_page_response_code codes[] = {
		[IOASID_FAULT_SUCCESS] = IOMMU_PAGE_RESP_SUCCESS,
		[IOASID_FAULT_INVALID] = IOMMU_PAGE_RESP_INVALID,
	};

	lockdep_assert_held(&q->lock);
	if (ioasid_pending_is_stale(p)) {
		ioasid_queue_reap_stale(q, p->dev_pasid);
		return false;
	}
	ioasid_group_answer(ioasid_pending_take(q, p),
			    codes[array_index_nospec(code, ARRAY_SIZE(codes))]);
	return true;
}

/**
 * ioasid_pending_expired() - answer INVALID for want of a response in time
 * @q: the queue
 * @p: the group
 *
 * Context: ioasid_queue.lock is held.
 */
static void ioasid_pending_expired(struct ioasid_queue *q, struct ioasid_pending *p)
{
	u64 cookie = ioasid_pending_cookie(q, p);
	struct ioasid_dev_pasid *dev_pasid = p->dev_pasid;

	lockdep_assert_held(&q->lock);
	if (ioasid_pending_answer(q, p, IOASID_FAULT_INVALID))
		ioasid_queue_report(q, dev_pasid, IOASID_FAULT_TIMEOUT, 1,
				    cookie);
}

static void ioasid_queue_work(struct work_struct *work)
{
	struct ioasid_queue *q = container_of(to_delayed_work(work),
					      struct ioasid_queue, work);
	struct ioasid_pending *p;
	u32 n;

	mutex_lock(&q->lock);
	ioasid_queue_reap_all_stale(q);
	/* A batch only, since page requests wait for the lock; then rearm */
	for (n = 0; n < IOASID_QUEUE_BATCH; n++) {
		p = list_first_entry_or_null(&q->pending, struct ioasid_pending,
					     node);
		if (!p || time_before(jiffies, p->expires))
			break;
		ioasid_pending_expired(q, p);
	}
	ioasid_queue_arm(q);
	mutex_unlock(&q->lock);
}

/* Returns NULL if no pending group has that cookie */
static struct ioasid_pending *ioasid_pending_find(struct ioasid_queue *q,
						  u64 cookie)
{
	struct ioasid_pending *p;

	if (lower_32_bits(cookie) >= q->max_pending)
		return NULL;
	p = &q->pool[array_index_nospec(lower_32_bits(cookie), q->max_pending)];
	return p->group && p->generation == upper_32_bits(cookie) ? p : NULL;
}

int ioasid_queue_respond(struct ioasid_queue *q,
			 const struct ioasid_fault_response *r)
{
	struct ioasid_pending *p;

	lockdep_assert_held(&q->lock);
	if (r->code > IOASID_FAULT_INVALID || r->__reserved)
		return -EINVAL;
	p = ioasid_pending_find(q, r->cookie);
	if (!p)
		return -ENOENT;
	return ioasid_pending_answer(q, p, r->code) ? 0 : -ENOENT;
}

/* Returns false if the group was not queued, and the caller must answer it */
static bool ioasid_fault_enqueue(struct ioasid_queue *q,
				 struct ioasid_dev_pasid *dev_pasid,
				 struct iopf_group *group)
{
	struct ioasid_pending *p;

	lockdep_assert_held(&q->lock);
	if (q->dead)
		return false;
	/* A new fault_param: what is pending may be from before a reset */
	if (dev_pasid->param != group->fault_param &&
	    atomic_read(&dev_pasid->nr_pending))
		ioasid_queue_reap_stale(q, dev_pasid);
	p = list_first_entry_or_null(&q->free, struct ioasid_pending, node);
	if (!p || atomic_read(&dev_pasid->nr_pending) >= q->max_per_pasid ||
	    !ioasid_queue_report_lost(q) ||
	    ioasid_queue_room(q) < group->fault_count) {
		q->lost++;
		return false;
	}
	p->group = group;
	p->dev_pasid = dev_pasid;
	p->expires = jiffies + q->deadline;
	dev_pasid->param = group->fault_param;
	atomic_inc(&dev_pasid->nr_pending);
	list_move_tail(&p->node, &q->pending);
	ioasid_queue_put_group(q, p);
	if (list_is_singular(&q->pending))
		ioasid_queue_arm(q);
	return true;
}

bool ioasid_queue_forward(struct ioasid_queue *q,
			  struct ioasid_dev_pasid *dev_pasid,
			  struct iopf_group *group)
{
	bool queued;

	mutex_lock(&q->lock);
	queued = ioasid_fault_enqueue(q, dev_pasid, group);
	mutex_unlock(&q->lock);
	return queued;
}

static bool ioasid_dev_pasid_uses_queue(struct ioasid_dev_pasid *dev_pasid,
					struct ioasid_queue *q)
{
	return q == (rcu_access_pointer(dev_pasid->att->queue) ?:
			     rcu_access_pointer(dev_pasid->att->space->queue));
}

void ioasid_queue_flush(struct ioasid_queue *q,
			struct ioasid_dev_pasid *dev_pasid)
{
	struct ioasid_pending *p, *next;
	u32 nr = 0;

	lockdep_assert_held(&q->lock);
	list_for_each_entry_safe(p, next, &q->pending, node) {
		if (p->dev_pasid != dev_pasid)
			continue;
		ioasid_pending_answer(q, p, IOASID_FAULT_INVALID);
		nr++;
	}
	if (nr || ioasid_dev_pasid_uses_queue(dev_pasid, q))
		ioasid_queue_report(q, dev_pasid, IOASID_FAULT_DETACHED, nr, 0);
}

void ioasid_fault_unbind(struct ioasid_space *space)
{
	ioasid_queue_put(rcu_access_pointer(space->queue));
}

size_t ioasid_ring_bytes(u32 depth)
{
	return PAGE_ALIGN(IOASID_FAULT_RECORDS +
			  (size_t)depth * sizeof(struct ioasid_fault_record) +
			  (size_t)depth * sizeof(struct ioasid_fault_response));
}

static void ioasid_queue_free(struct ioasid_queue *q)
{
	ioasid_uncharge_records(q->ctx, q->depth);
	if (q->eventfd)
		eventfd_ctx_put(q->eventfd);
	vfree(q->ring);
	kvfree(q->pool);
	kfree_rcu(q, obj.rcu);
}

static struct ioasid_queue *ioasid_queue_alloc(struct ioasid_ctx *ctx,
					       const struct ioasid_fault_queue *arg)
{
	struct ioasid_queue *q = kzalloc(sizeof(*q), GFP_KERNEL_ACCOUNT);
	u32 i;

	if (!q) {
		ioasid_uncharge_records(ctx, arg->depth);
		return NULL;
	}
	q->ctx = ctx;
	kref_init(&q->obj.ref);
	mutex_init(&q->lock);
	mutex_init(&q->read_lock);
	INIT_LIST_HEAD(&q->free);
	INIT_LIST_HEAD(&q->pending);
	INIT_DELAYED_WORK(&q->work, ioasid_queue_work);
	init_waitqueue_head(&q->wait);
	q->depth = arg->depth;
	q->max_pending = arg->max_pending ?: arg->depth;
	q->max_per_pasid = arg->max_per_pasid ?: q->max_pending;
	q->deadline = msecs_to_jiffies(arg->deadline_ms ?:
				       IOASID_FAULT_DEADLINE);
	q->ring = __vmalloc(ioasid_ring_bytes(q->depth),
			    GFP_KERNEL_ACCOUNT | __GFP_ZERO | __GFP_NOWARN);
	q->pool = kvcalloc(q->max_pending, sizeof(*q->pool),
			   GFP_KERNEL_ACCOUNT | __GFP_NOWARN);
	if (!q->ring || !q->pool) {
		ioasid_queue_free(q);
		return NULL;
	}
	for (i = 0; i < q->max_pending; i++)
		list_add_tail(&q->pool[i].node, &q->free);
	q->records = (void *)q->ring + IOASID_FAULT_RECORDS;
	q->responses = (void *)(q->records + q->depth);
	q->ring->depth = q->depth;
	q->ring->responses = (void *)q->responses - (void *)q->ring;
	return q;
}

/**
 * ioasid_queue_create() - make a queue that no lookup finds yet
 * @ctx: the context
 * @arg: depth and limits, which have been checked
 * @extack: the reason if it fails
 *
 * Context: can sleep.
 *
 * Return: the queue with a reference, ERR_PTR(-EDQUOT) above the context's
 * limit of records, or ERR_PTR(-ENOMEM).
 */
struct ioasid_queue *ioasid_queue_create(struct ioasid_ctx *ctx,
					 const struct ioasid_fault_queue *arg,
					 struct ioasid_extack *extack)
{
	struct ioasid_queue *q;
	int rc = ioasid_charge_records(ctx, arg->depth, extack);

	if (rc)
		return ERR_PTR(rc);
	q = ioasid_queue_alloc(ctx, arg);
	if (q)
		return q;
	ioasid_fail(extack, -ENOMEM, IOASID_REASON_NO_MEMORY,
		    "no memory for a fault queue");
	return ERR_PTR(-ENOMEM);
}

static void ioasid_queue_last(struct kref *ref)
{
	ioasid_queue_free(container_of(ref, struct ioasid_queue, obj.ref));
}

void ioasid_queue_put(struct ioasid_queue *q)
{
	if (q)
		kref_put(&q->obj.ref, ioasid_queue_last);
}
