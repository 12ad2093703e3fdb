// SPDX-License-Identifier: GPL-2.0
/*
 * Fault queues: the records that user space reads, the groups of page requests
 * that wait for its response, and the limits of both. User space can write to
 * the ring at any time, so nothing here may trust what the ring says: an
 * invalid index counts as a full ring.
 */
#include <linux/eventfd.h>
#include <linux/hash.h>
#include <linux/log2.h>
#include <linux/mm.h>
#include <linux/nospec.h>
#include <linux/slab.h>
#include <linux/vmalloc.h>
#include "compat/iopf.h"
#include "queue.h"

/* How often per second to look for groups from before a reset */
#define IOASID_REAPS 10

/* Waiters that are woken with the lock held */
#define IOASID_QUEUE_FEW_WAITERS 4

/* Unbound, so that a long wake-up does not delay that of another queue */
static struct workqueue_struct *ioasid_queue_wq;

/**
 * ioasid_queues_setup() - prepare for queues
 *
 * Context: can sleep.
 *
 * Return: 0 or -ENOMEM.
 */
int ioasid_queues_setup(void)
{
	ioasid_queue_wq = alloc_workqueue("ioasid", WQ_UNBOUND, 0);
	return ioasid_queue_wq ? 0 : -ENOMEM;
}

/**
 * ioasid_queues_teardown() - undo ioasid_queues_setup()
 *
 * Context: can sleep; no file of a queue is left.
 */
void ioasid_queues_teardown(void)
{
	destroy_workqueue(ioasid_queue_wq);
}

/* --- the ring ----------------------------------------------------------- */

/**
 * ioasid_queue_room() - how many more records fit into the ring
 * @q: the queue
 *
 * Context: ioasid_queue.lock is held.
 *
 * Return: number of records; 0 if the ring is full or its index is invalid.
 */
u32 ioasid_queue_room(struct ioasid_queue *q)
{
	/* Pairs with the reader, which has copied all records below the tail */
	u32 used = q->head - smp_load_acquire(&q->ring->tail);

	lockdep_assert_held(&q->lock);
	return used > q->depth ? 0 : q->depth - used;
}

/**
 * ioasid_queue_put_record() - copy a record into the ring
 * @q: the queue; has room, see ioasid_queue_room()
 * @record: the record; user space sees it after ioasid_queue_publish()
 *
 * Context: ioasid_queue.lock is held.
 */
void ioasid_queue_put_record(struct ioasid_queue *q,
			     const struct ioasid_fault_record *record)
{
	lockdep_assert_held(&q->lock);
	/* A user who moves the tail of the mapped ring can be reading it */
	data_race(q->records[q->head & (q->depth - 1)] = *record);
	q->head++;
}

static void ioasid_queue_wake(struct work_struct *work)
{
	struct ioasid_queue *q = container_of(work, struct ioasid_queue, wake);

	wake_up_interruptible(&q->wait);
	if (q->eventfd)
		eventfd_signal(q->eventfd);
}

static bool ioasid_queue_few_waiters(struct ioasid_queue *q)
{
	struct list_head *at;
	unsigned long flags;
	u32 nr = 0;

	spin_lock_irqsave(&q->wait.lock, flags);
	list_for_each(at, &q->wait.head)
		if (++nr > IOASID_QUEUE_FEW_WAITERS)
			break;
	spin_unlock_irqrestore(&q->wait.lock, flags);
	return nr <= IOASID_QUEUE_FEW_WAITERS;
}

/**
 * ioasid_queue_publish() - make the new records visible to user space
 * @q: the queue
 *
 * A user can have a file polled any number of times, and those of an eventfd
 * cannot even be counted, while the devices of everybody wait for the caller. So
 * he wakes a few, and leaves the rest to a work item.
 *
 * Context: ioasid_queue.lock is held.
 */
void ioasid_queue_publish(struct ioasid_queue *q)
{
	bool later = q->eventfd;

	lockdep_assert_held(&q->lock);
	/* Orders the records before the index that covers them */
	smp_store_release(&q->published, q->head);
	/* The same for readers of the mapped ring */
	smp_store_release(&q->ring->head, q->head);
	/* Whoever closes the file flushes the work after he has set it */
	if (q->dead)
		return;
	/* The barrier pairs with poll_wait(), so that no wake-up is lost */
	if (wq_has_sleeper(&q->wait)) {
		if (ioasid_queue_few_waiters(q))
			wake_up_interruptible(&q->wait);
		else
			later = true;
	}
	if (later)
		queue_work(ioasid_queue_wq, &q->wake);
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

/**
 * ioasid_pending_cookie() - get the cookie of a pending group
 * @q: the queue
 * @p: the group
 *
 * Context: ioasid_queue.lock is held, or nobody else uses the queue.
 *
 * Return: the cookie, which names the group in its records and its response. It
 * is unique until 2^32 groups have used the same entry.
 */
u64 ioasid_pending_cookie(struct ioasid_queue *q, struct ioasid_pending *p)
{
	return (u64)p->generation << 32 | (p - q->pool);
}

/* --- records ------------------------------------------------------------ */

/**
 * ioasid_fault_record() - begin a record
 * @dev_pasid: the attachment that it is about
 * @type: enum ioasid_fault_type
 * @nr: groups or faults, by @type
 *
 * Context: any; @dev_pasid is attached, or its detach is in progress.
 *
 * Return: the record.
 */
struct ioasid_fault_record
ioasid_fault_record(struct ioasid_dev_pasid *dev_pasid, u32 type, u32 nr)
{
	return (struct ioasid_fault_record){
		.type = type,
		.nr = nr,
		.dev_id = dev_pasid->idev->id,
		.pasid = dev_pasid->vpasid,
		.ioasid = dev_pasid->att->space->id,
		.device_cookie = READ_ONCE(dev_pasid->cookie),
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

/**
 * ioasid_queue_put_event() - put an event, which takes no response
 * @q: the queue
 * @record: the event
 * @spare: records that stay free for page requests; a LOST record that is due
 *	needs room as well. Without that room the event is counted as lost
 *
 * Context: ioasid_queue.lock is held.
 */
void ioasid_queue_put_event(struct ioasid_queue *q,
			    const struct ioasid_fault_record *record, u32 spare)
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
	struct ioasid_fault_record record =
		ioasid_fault_record(dev_pasid, type, nr);

	record.cookie = cookie;
	ioasid_queue_put_event(q, &record, 0);
}

/**
 * ioasid_fault_flags() - translate the flags of a page request
 * @prm: the page request
 *
 * Context: any.
 *
 * Return: IOASID_FAULT_READ, _WRITE, _EXEC, _PRIV and _LAST.
 */
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

/* The attachment of the device that sent a pending group */
static struct ioasid_dev_pasid *
ioasid_pending_dev_pasid(const struct ioasid_pending *p)
{
	return p->pasid->share.owner;
}

static void ioasid_queue_put_group(struct ioasid_queue *q,
				   struct ioasid_pending *p)
{
	struct ioasid_fault_record record =
		ioasid_fault_record(ioasid_pending_dev_pasid(p),
				    IOASID_FAULT_REQUEST,
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

/* --- shares ------------------------------------------------------------- */

static struct hlist_head *ioasid_share_head(struct ioasid_queue *q,
					    const void *owner)
{
	return &q->shares[hash_ptr(owner, q->share_bits)];
}

static struct ioasid_queue_share *ioasid_share_find(struct ioasid_queue *q,
						    const void *owner)
{
	struct ioasid_queue_share *share;

	lockdep_assert_held(&q->lock);
	hlist_for_each_entry(share, ioasid_share_head(q, owner), node)
		if (share->owner == owner)
			return share;
	return NULL;
}

static struct ioasid_queue_pasid *
ioasid_queue_pasid_find(struct ioasid_queue *q,
			const struct ioasid_dev_pasid *dev_pasid)
{
	struct ioasid_queue_share *share = ioasid_share_find(q, dev_pasid);

	return share ? container_of(share, struct ioasid_queue_pasid, share) :
		       NULL;
}

/* There is a free one for each group that can be pending */
static struct ioasid_queue_share *ioasid_share_take(struct ioasid_queue *q,
						    struct hlist_head *free,
						    void *owner)
{
	struct ioasid_queue_share *share =
		hlist_entry(free->first, struct ioasid_queue_share, node);

	hlist_del(&share->node);
	hlist_add_head(&share->node, ioasid_share_head(q, owner));
	share->owner = owner;
	return share;
}

static void ioasid_share_uncharge(struct ioasid_queue_share *share,
				  struct hlist_head *free, u32 records)
{
	share->records -= records;
	if (share->records)
		return;
	hlist_del(&share->node);
	hlist_add_head(&share->node, free);
}

/* Adds a group to the share of its PASID, or to a new one if that is NULL */
static void ioasid_pending_charge(struct ioasid_queue *q,
				  struct ioasid_pending *p,
				  struct ioasid_dev_pasid *dev_pasid,
				  struct ioasid_queue_pasid *pasid,
				  struct ioasid_queue_share *device)
{
	u32 records = p->group->fault_count;

	lockdep_assert_held(&q->lock);
	if (!device)
		device = ioasid_share_take(q, &q->free_devices,
					   dev_pasid->idev);
	if (!pasid) {
		pasid = container_of(ioasid_share_take(q, &q->free_pasids,
						       dev_pasid),
				     struct ioasid_queue_pasid, share);
		pasid->device = device;
	}
	p->pasid = pasid;
	pasid->share.records += records;
	device->records += records;
	q->nr_pending += records;
	list_add_tail(&p->share_node, &pasid->groups);
}

static void ioasid_pending_uncharge(struct ioasid_queue *q,
				    struct ioasid_pending *p)
{
	u32 records = p->group->fault_count;

	lockdep_assert_held(&q->lock);
	list_del(&p->share_node);
	q->nr_pending -= records;
	ioasid_share_uncharge(p->pasid->device, &q->free_devices, records);
	ioasid_share_uncharge(&p->pasid->share, &q->free_pasids, records);
}

/* --- responses ---------------------------------------------------------- */

/**
 * ioasid_group_answer() - answer a group and free it
 * @group: the group, taken from the IOMMU core by iopf_group_dequeue()
 * @code: IOASID_FAULT_SUCCESS or IOASID_FAULT_INVALID
 *
 * Context: any but interrupts; does not sleep. Its device is bound.
 */
void ioasid_group_answer(struct iopf_group *group, u32 code)
{
	static const enum iommu_page_response_code codes[] = {
		[IOASID_FAULT_SUCCESS] = IOMMU_PAGE_RESP_SUCCESS,
		[IOASID_FAULT_INVALID] = IOMMU_PAGE_RESP_INVALID,
	};

	compat_page_response(group,
			     codes[array_index_nospec(code, ARRAY_SIZE(codes))]);
	iopf_free_group(group);
}

static struct ioasid_pending *ioasid_pending_next(struct ioasid_queue *q,
						  struct ioasid_pending *p)
{
	lockdep_assert_held(&q->lock);
	return list_is_last(&p->node, &q->pending) ? NULL :
						     list_next_entry(p, node);
}

/* Frees the entry of a group, and retires its cookie */
static struct iopf_group *ioasid_pending_take(struct ioasid_queue *q,
					      struct ioasid_pending *p)
{
	struct iopf_group *group = p->group;

	lockdep_assert_held(&q->lock);
	if (q->next_stale == p)
		q->next_stale = ioasid_pending_next(q, p);
	ioasid_pending_uncharge(q, p);
	p->group = NULL;
	p->generation++;
	list_move(&p->node, &q->free);
	return group;
}

/*
 * While a device is attached, only a reset disables its page requests. The
 * device then no longer waits for the response, and could mistake it for that
 * to a new group. The group has a reference on its fault_param, so that a new
 * one cannot have the same address.
 */
static bool ioasid_pending_is_stale(const struct ioasid_pending *p)
{
	return !READ_ONCE(ioasid_pending_dev_pasid(p)->iopf_off) &&
	       !compat_group_is_current(p->group);
}

/*
 * Drops a batch of the groups of @pasid from before a reset, and reports them,
 * before new ones. They are its oldest. Returns false if more are left.
 */
static bool ioasid_queue_reap_stale(struct ioasid_queue *q,
				    struct ioasid_queue_pasid *pasid)
{
	struct ioasid_dev_pasid *dev_pasid = pasid->share.owner;
	struct ioasid_pending *p, *next;
	bool done = true;
	u32 nr = 0;

	lockdep_assert_held(&q->lock);
	list_for_each_entry_safe(p, next, &pasid->groups, share_node) {
		if (!ioasid_pending_is_stale(p))
			break;
		if (nr == IOASID_QUEUE_BATCH) {
			done = false;
			break;
		}
		/* The last one frees the share, and ends the loop */
		iopf_free_group(ioasid_pending_take(q, p));
		nr++;
	}
	if (nr)
		ioasid_queue_report(q, dev_pasid, IOASID_FAULT_RESET, nr, 0);
	return done;
}

/**
 * ioasid_pending_answer() - answer a pending group and free its entry
 * @q: the queue
 * @p: the group
 * @code: IOASID_FAULT_SUCCESS or _INVALID
 *
 * Context: ioasid_queue.lock is held.
 *
 * Return: true, or false if the device was reset: then a batch of the groups of
 * the attachment from before, oldest first, is dropped without a response.
 */
bool ioasid_pending_answer(struct ioasid_queue *q, struct ioasid_pending *p,
			   u32 code)
{
	lockdep_assert_held(&q->lock);
	if (ioasid_pending_is_stale(p)) {
		ioasid_queue_reap_stale(q, p->pasid);
		return false;
	}
	ioasid_group_answer(ioasid_pending_take(q, p), code);
	return true;
}

/**
 * ioasid_pending_expired() - answer a group INVALID after its deadline
 * @q: the queue
 * @p: the group
 *
 * Context: ioasid_queue.lock is held.
 */
static void ioasid_pending_expired(struct ioasid_queue *q, struct ioasid_pending *p)
{
	u64 cookie = ioasid_pending_cookie(q, p);
	struct ioasid_dev_pasid *dev_pasid = ioasid_pending_dev_pasid(p);

	lockdep_assert_held(&q->lock);
	if (ioasid_pending_answer(q, p, IOASID_FAULT_INVALID))
		ioasid_queue_report(q, dev_pasid, IOASID_FAULT_TIMEOUT, 1,
				    cookie);
}

/* Returns false at the end of the list */
static bool ioasid_queue_scan_some(struct ioasid_queue *q)
{
	struct ioasid_pending *p = q->next_stale;
	u32 n;

	lockdep_assert_held(&q->lock);
	for (n = 0; p && n < IOASID_QUEUE_SCAN; n++) {
		if (ioasid_pending_is_stale(p)) {
			/* Moves on when @p is taken */
			q->next_stale = p;
			ioasid_queue_reap_stale(q, p->pasid);
			return q->next_stale;
		}
		p = ioasid_pending_next(q, p);
	}
	q->next_stale = p;
	return p;
}

/* Looks for the stale groups of all devices */
static void ioasid_queue_scan(struct ioasid_queue *q)
{
	bool more;

	scoped_guard(spinlock, &q->lock)
		q->next_stale = list_first_entry_or_null(&q->pending,
							 struct ioasid_pending,
							 node);
	do {
		scoped_guard(spinlock, &q->lock)
			more = ioasid_queue_scan_some(q);
		cond_resched();
	} while (more);
}

static void ioasid_queue_work(struct work_struct *work)
{
	struct ioasid_queue *q = container_of(to_delayed_work(work),
					      struct ioasid_queue, work);
	struct ioasid_pending *p;
	u32 n;

	ioasid_queue_scan(q);
	guard(spinlock)(&q->lock);
	/* A batch only, since page requests wait for the lock; then rearm */
	for (n = 0; n < IOASID_QUEUE_BATCH; n++) {
		p = list_first_entry_or_null(&q->pending, struct ioasid_pending,
					     node);
		if (!p || time_before(jiffies, p->expires))
			break;
		ioasid_pending_expired(q, p);
	}
	ioasid_queue_arm(q);
}

/* Returns NULL if no pending group has that cookie */
static struct ioasid_pending *ioasid_pending_find(struct ioasid_queue *q,
						  u64 cookie)
{
	struct ioasid_pending *p;

	lockdep_assert_held(&q->lock);
	if (lower_32_bits(cookie) >= q->max_pending)
		return NULL;
	p = &q->pool[array_index_nospec(lower_32_bits(cookie), q->max_pending)];
	return p->group && p->generation == upper_32_bits(cookie) ? p : NULL;
}

/**
 * ioasid_queue_respond() - pass a response on to the device
 * @q: the queue
 * @r: the response; a copy that user space cannot change
 *
 * Context: ioasid_queue.lock is held.
 *
 * Return: 0, -EINVAL for an unknown code, -ENOENT if no group with that cookie
 * is pending, or its device was reset.
 */
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

static bool ioasid_queue_has_room(struct ioasid_queue *q,
				  const struct ioasid_queue_share *device,
				  const struct ioasid_queue_pasid *pasid,
				  u32 records)
{
	u32 of_device = device ? device->records : 0;
	u32 of_pasid = pasid ? pasid->share.records : 0;

	return q->nr_pending + records <= q->max_pending &&
	       of_device + records <= q->max_per_device &&
	       of_pasid + records <= q->max_per_pasid &&
	       ioasid_queue_report_lost(q) && ioasid_queue_room(q) >= records;
}

/**
 * ioasid_queue_enqueue() - make a group pending, and its records
 * @q: the queue
 * @dev_pasid: the attachment of the device that sent it
 * @group: the group, taken from the IOMMU core
 * @code: in: the answer beyond a limit and after the last close; out:
 *	IOASID_FAULT_SUCCESS while groups from before a reset are still being
 *	dropped, so that the device asks again
 *
 * Context: ioasid_queue.lock is held.
 *
 * Return: false if it is not queued, and the caller must answer it @code.
 */
bool ioasid_queue_enqueue(struct ioasid_queue *q,
			  struct ioasid_dev_pasid *dev_pasid,
			  struct iopf_group *group, u32 *code)
{
	struct ioasid_queue_share *device;
	struct ioasid_queue_pasid *pasid;
	struct ioasid_pending *p;

	lockdep_assert_held(&q->lock);
	if (q->dead)
		return false;
	pasid = ioasid_queue_pasid_find(q, dev_pasid);
	if (pasid && !ioasid_queue_reap_stale(q, pasid)) {
		*code = IOASID_FAULT_SUCCESS;
		return false;
	}
	/* The last stale group freed the share */
	if (pasid && !pasid->share.records)
		pasid = NULL;
	device = pasid ? pasid->device :
			 ioasid_share_find(q, dev_pasid->idev);
	if (!ioasid_queue_has_room(q, device, pasid, group->fault_count)) {
		q->lost++;
		/* Nothing else would tell who has read all and waits for more */
		if (ioasid_queue_room(q) == q->depth)
			ioasid_queue_report_lost(q);
		return false;
	}
	p = list_first_entry(&q->free, struct ioasid_pending, node);
	p->group = group;
	p->expires = jiffies + q->deadline;
	ioasid_pending_charge(q, p, dev_pasid, pasid, device);
	list_move_tail(&p->node, &q->pending);
	ioasid_queue_put_group(q, p);
	if (list_is_singular(&q->pending))
		ioasid_queue_arm(q);
	return true;
}

/* --- the end ------------------------------------------------------------ */

/**
 * ioasid_queue_end() - answer a batch of all groups INVALID, and take no more
 * @q: the queue
 *
 * Context: takes ioasid_queue.lock.
 *
 * Return: false if no group is pending and none can be added any more.
 */
bool ioasid_queue_end(struct ioasid_queue *q)
{
	u32 n;

	guard(spinlock)(&q->lock);
	q->dead = true;
	for (n = 0; n < IOASID_QUEUE_BATCH && !list_empty(&q->pending); n++)
		ioasid_pending_answer(q, list_first_entry(&q->pending,
							  struct ioasid_pending,
							  node),
				      IOASID_FAULT_INVALID);
	return !list_empty(&q->pending);
}

/**
 * ioasid_queue_drop_stale() - drop the groups of an attachment from before a reset
 * @q: the queue
 * @dev_pasid: the attachment
 *
 * Context: ioasid_ctx.lock is held; can sleep. Takes ioasid_queue.lock.
 */
void ioasid_queue_drop_stale(struct ioasid_queue *q,
			     struct ioasid_dev_pasid *dev_pasid)
{
	struct ioasid_queue_pasid *pasid;
	bool done;

	lockdep_assert_held(&dev_pasid->idev->ctx->lock);
	do {
		scoped_guard(spinlock, &q->lock) {
			pasid = ioasid_queue_pasid_find(q, dev_pasid);
			done = !pasid || ioasid_queue_reap_stale(q, pasid);
		}
		cond_resched();
	} while (!done);
}

static bool ioasid_queue_flush_some(struct ioasid_queue *q,
				    struct ioasid_dev_pasid *dev_pasid,
				    u32 code)
{
	struct ioasid_queue_pasid *pasid;
	u32 n;

	guard(spinlock)(&q->lock);
	for (n = 0; n < IOASID_QUEUE_BATCH; n++) {
		pasid = ioasid_queue_pasid_find(q, dev_pasid);
		if (!pasid)
			return false;
		if (ioasid_pending_answer(q, list_first_entry(&pasid->groups,
							      struct ioasid_pending,
							      share_node), code))
			q->nr_detached++;
	}
	return true;
}

/**
 * ioasid_queue_flush() - answer what an attachment has pending
 * @q: the queue
 * @dev_pasid: the attachment, to which no group can be added any more
 * @code: IOASID_FAULT_SUCCESS or IOASID_FAULT_INVALID
 *
 * Groups from before a reset are dropped, and reported.
 *
 * Context: ioasid_ctx.lock is held; can sleep. Takes ioasid_queue.lock.
 */
void ioasid_queue_flush(struct ioasid_queue *q,
			struct ioasid_dev_pasid *dev_pasid, u32 code)
{
	lockdep_assert_held(&dev_pasid->idev->ctx->lock);
	while (ioasid_queue_flush_some(q, dev_pasid, code))
		cond_resched();
}

/**
 * ioasid_queue_report_detached() - report what ioasid_queue_flush() has answered
 * @q: the queue
 * @dev_pasid: the attachment
 * @bound: report it even if that was nothing
 *
 * Context: ioasid_ctx.lock is held; takes ioasid_queue.lock.
 */
void ioasid_queue_report_detached(struct ioasid_queue *q,
				  struct ioasid_dev_pasid *dev_pasid,
				  bool bound)
{
	lockdep_assert_held(&dev_pasid->idev->ctx->lock);
	guard(spinlock)(&q->lock);
	if (q->nr_detached || bound)
		ioasid_queue_report(q, dev_pasid, IOASID_FAULT_DETACHED,
				    q->nr_detached, 0);
	q->nr_detached = 0;
}

/**
 * ioasid_fault_unbind() - drop the queue of a space that is freed
 * @space: the space, without users
 *
 * Context: can sleep.
 */
void ioasid_fault_unbind(struct ioasid_space *space)
{
	ioasid_queue_put(space->queue);
}

/**
 * ioasid_ring_bytes() - get the size of a ring
 * @depth: number of records, and of responses
 *
 * Context: any.
 *
 * Return: the size in bytes, whole pages.
 */
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
	kvfree(q->device_pool);
	kvfree(q->pasid_pool);
	kvfree(q->shares);
	kfree_rcu(q, obj.rcu);
}

/* All that it will ever need, since a page request cannot wait for memory */
static int ioasid_queue_alloc_pools(struct ioasid_queue *q)
{
	const gfp_t gfp = GFP_KERNEL_ACCOUNT | __GFP_NOWARN;
	u32 i;

	/* A hash of no bits is undefined */
	q->share_bits = max(ilog2(roundup_pow_of_two(q->max_pending)), 1);
	q->ring = __vmalloc(ioasid_ring_bytes(q->depth), gfp | __GFP_ZERO);
	q->pool = kvcalloc(q->max_pending, sizeof(*q->pool), gfp);
	q->device_pool = kvcalloc(q->max_pending, sizeof(*q->device_pool), gfp);
	q->pasid_pool = kvcalloc(q->max_pending, sizeof(*q->pasid_pool), gfp);
	q->shares = kvcalloc(1U << q->share_bits, sizeof(*q->shares), gfp);
	if (!q->ring || !q->pool || !q->device_pool || !q->pasid_pool ||
	    !q->shares)
		return -ENOMEM;
	for (i = 0; i < q->max_pending; i++) {
		list_add_tail(&q->pool[i].node, &q->free);
		/* 0 is the cookie of no group */
		q->pool[i].generation = 1;
		hlist_add_head(&q->device_pool[i].node, &q->free_devices);
		INIT_LIST_HEAD(&q->pasid_pool[i].groups);
		hlist_add_head(&q->pasid_pool[i].share.node, &q->free_pasids);
	}
	return 0;
}

static struct ioasid_queue *ioasid_queue_alloc(struct ioasid_ctx *ctx,
					       const struct ioasid_fault_queue *arg)
{
	struct ioasid_queue *q = kzalloc(sizeof(*q), GFP_KERNEL_ACCOUNT);

	if (!q) {
		ioasid_uncharge_records(ctx, arg->depth);
		return NULL;
	}
	q->ctx = ctx;
	kref_init(&q->obj.ref);
	spin_lock_init(&q->lock);
	mutex_init(&q->read_lock);
	INIT_LIST_HEAD(&q->free);
	INIT_LIST_HEAD(&q->pending);
	INIT_DELAYED_WORK(&q->work, ioasid_queue_work);
	INIT_WORK(&q->wake, ioasid_queue_wake);
	init_waitqueue_head(&q->wait);
	q->depth = arg->depth;
	q->max_pending = arg->max_pending ?: arg->depth;
	q->max_per_device = arg->max_per_device ?: q->max_pending;
	q->max_per_pasid = arg->max_per_pasid ?: q->max_per_device;
	q->deadline = msecs_to_jiffies(arg->deadline_ms ?:
				       IOASID_FAULT_DEADLINE);
	if (ioasid_queue_alloc_pools(q)) {
		ioasid_queue_free(q);
		return NULL;
	}
	q->records = (void *)q->ring + IOASID_FAULT_RECORDS;
	q->responses = (void *)(q->records + q->depth);
	q->ring->depth = q->depth;
	q->ring->responses = (void *)q->responses - (void *)q->ring;
	return q;
}

/**
 * ioasid_queue_create() - create a queue that lookups do not find yet
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

/**
 * ioasid_queue_put() - put a reference on a queue
 * @q: the queue, or NULL; freed with the last reference
 *
 * Context: can sleep.
 */
void ioasid_queue_put(struct ioasid_queue *q)
{
	if (q)
		kref_put(&q->obj.ref, ioasid_queue_last);
}
