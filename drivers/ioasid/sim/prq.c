// SPDX-License-Identifier: GPL-2.0
/*
 * Page requests: an endpoint raises a group of them, the unit queues it, the
 * driver half reports it to the IOMMU core, and the owner of the domain responds.
 * There must never be a timeout here: a request without a response hangs, as it
 * does with hardware.
 */
#include <linux/completion.h>
#include <linux/delay.h>
#include <linux/refcount.h>
#include <linux/slab.h>
#include "unit.h"

/* A PCI group index has nine bits */
#define SIM_GROUP_IDS		XA_LIMIT(0, 511)

/**
 * struct sim_burst - groups of ioasid_sim_requests()
 * @left: number of groups without a response, plus one until all are raised
 * @good: number of groups whose response was SUCCESS
 * @done: completed when @left drops to 0
 */
struct sim_burst {
	atomic_t left;
	atomic_t good;
	struct completion done;
};

/**
 * struct sim_group - a group of page requests, with one response
 * @node: in sim_unit.ring, until it is delivered
 * @sdev: the endpoint
 * @users: references: sim_unit.ring, ioasid_sim_dev.groups, a waiter
 * @id: group id, unique among the outstanding groups of @sdev
 * @pasid: PASID, or IOASID_SIM_RID
 * @wait: a thread waits for @done; otherwise a callback reports the response
 * @overflowed: the unit's queue was full
 * @burst: the burst that it belongs to, or NULL
 * @result: the response, or -ECANCELED
 * @done: completed after @result is set
 * @nr: number of @pages
 * @pages: the records
 */
struct sim_group {
	struct list_head node;
	struct ioasid_sim_dev *sdev;
	refcount_t users;
	u32 id;
	u32 pasid;
	bool wait;
	bool overflowed;
	struct sim_burst *burst;
	int result;
	struct completion done;
	u32 nr;
	struct ioasid_sim_page pages[] __counted_by(nr);
};

static void sim_group_put(struct sim_group *group)
{
	if (refcount_dec_and_test(&group->users))
		kfree(group);
}

static struct sim_group *sim_group_alloc(struct ioasid_sim_dev *sdev, u32 pasid,
					 const struct ioasid_sim_page *pages, u32 nr)
{
	struct sim_group *group;

	group = kzalloc(struct_size(group, pages, nr), GFP_KERNEL);
	if (!group)
		return NULL;
	group->sdev = sdev;
	group->pasid = pasid;
	group->nr = nr;
	memcpy(group->pages, pages, array_size(nr, sizeof(*pages)));
	refcount_set(&group->users, 1);
	init_completion(&group->done);
	if (xa_alloc_cyclic(&sdev->groups, &group->id, NULL, SIM_GROUP_IDS,
			    &sdev->next_group, GFP_KERNEL) < 0) {
		kfree(group);
		return NULL;
	}
	return group;
}

/* Waiters for credits and statistics read both without the lock */
static void sim_count_outstanding(struct ioasid_sim_dev *sdev, int groups, int credits)
{
	lockdep_assert_held(&sdev->pr_lock);
	WRITE_ONCE(sdev->credits_used, sdev->credits_used + credits);
	WRITE_ONCE(sdev->outstanding, sdev->outstanding + groups);
}

/* Removes a group from the table; the caller finishes it */
static struct sim_group *sim_group_take(struct ioasid_sim_dev *sdev, u32 id)
{
	struct sim_group *group;

	spin_lock(&sdev->pr_lock);
	group = xa_load(&sdev->groups, id);
	if (group) {
		xa_erase(&sdev->groups, id);
		sim_count_outstanding(sdev, -1, -(int)group->nr);
	}
	spin_unlock(&sdev->pr_lock);
	return group;
}

static void sim_group_report(struct sim_group *group, int result)
{
	struct ioasid_sim_dev *sdev = group->sdev;

	read_lock(&sdev->ops_lock);
	if (sdev->ops && sdev->ops->answered)
		sdev->ops->answered(sdev->ops_data, group->id, result);
	read_unlock(&sdev->ops_lock);
}

static void sim_burst_put(struct sim_burst *burst)
{
	if (atomic_dec_and_test(&burst->left))
		complete(&burst->done);
}

static void sim_group_finish(struct sim_group *group, int result)
{
	struct ioasid_sim_dev *sdev = group->sdev;

	atomic64_inc(&sdev->counts.answers);
	/* Without the lock: a request may be raised at the same time */
	if (result == IOMMU_PAGE_RESP_FAILURE)
		WRITE_ONCE(sdev->pr_off, true);
	wake_up_all(&sdev->credit_wait);
	if (group->burst) {
		if (result == IOMMU_PAGE_RESP_SUCCESS && !group->overflowed)
			atomic_inc(&group->burst->good);
		sim_burst_put(group->burst);
	} else if (group->wait) {
		group->result = result;
		complete(&group->done);
	} else if (result >= 0) {
		sim_group_report(group, result);
	}
	sim_group_put(group);
}

/* --- the endpoint's side --- */

/* Returns -ENOBUFS if the unit's queue is full */
static int sim_ring_add(struct sim_group *group)
{
	struct sim_unit *unit = group->sdev->unit;
	int rc = -ENOBUFS;

	lockdep_assert_held(&group->sdev->pr_lock);
	spin_lock(&unit->ring_lock);
	if (unit->ring_used + group->nr <= unit->cfg.prq_depth) {
		unit->ring_used += group->nr;
		refcount_inc(&group->users);
		list_add_tail(&group->node, &unit->ring);
		rc = 0;
	}
	spin_unlock(&unit->ring_lock);
	return rc;
}

static int sim_group_publish(struct sim_group *group, unsigned int generation)
{
	struct ioasid_sim_dev *sdev = group->sdev;

	lockdep_assert_held(&sdev->pr_lock);
	/* A reset changes it without the lock, but takes the lock before it cancels */
	if (READ_ONCE(sdev->generation) != generation || !sdev->iopf_added)
		return -ECANCELED;
	if (READ_ONCE(sdev->pr_off))
		return -EIO;
	if (sdev->credits_used + group->nr > sdev->unit->cfg.credits)
		return -EBUSY;
	sim_count_outstanding(sdev, 1, group->nr);
	/* Cannot fail, since the entry is reserved */
	xa_store(&sdev->groups, group->id, group, GFP_ATOMIC);
	return sim_ring_add(group);
}

/* Consumes the reference on the group on success; on failure the caller keeps it */
static int sim_group_raise(struct sim_group *group, unsigned int generation)
{
	struct ioasid_sim_dev *sdev = group->sdev;
	u32 id = group->id;
	int rc;

	spin_lock(&sdev->pr_lock);
	rc = sim_group_publish(group, generation);
	spin_unlock(&sdev->pr_lock);
	if (rc && rc != -ENOBUFS)
		return rc;
	atomic64_inc(&sdev->counts.requests);
	if (!rc) {
		queue_work(sdev->unit->prq_wq, &sdev->unit->prq_work);
		return 0;
	}
	/* Hardware responds SUCCESS to what it cannot queue, so that it is retried */
	atomic64_inc(&sdev->counts.overflows);
	group = sim_group_take(sdev, id);
	if (group) {
		group->overflowed = true;
		sim_group_finish(group, IOMMU_PAGE_RESP_SUCCESS);
	}
	return 0;
}

static void sim_group_drop(struct sim_group *group)
{
	xa_release(&group->sdev->groups, group->id);
	kfree(group);
}

static bool sim_may_raise(struct ioasid_sim_dev *sdev, unsigned int generation)
{
	return READ_ONCE(sdev->credits_used) < sdev->unit->cfg.credits ||
	       READ_ONCE(sdev->generation) != generation ||
	       READ_ONCE(sdev->pr_off);
}

static int sim_group_wait(struct sim_group *group)
{
	if (wait_for_completion_killable(&group->done))
		return -EINTR;
	if (group->result < 0)
		return group->result;
	/* Do not retry a full queue at once */
	if (group->overflowed)
		usleep_range(50, 200);
	return group->result == IOMMU_PAGE_RESP_SUCCESS ? 0 : -EIO;
}

/**
 * sim_request_wait() - request one page and wait for the response
 * @sdev: endpoint
 * @pasid: PASID, or IOASID_SIM_RID
 * @addr: address in the page
 * @access: SIM_WRITE, SIM_PRIV
 * @generation: generation of the endpoint when the access began
 *
 * Context: can sleep; takes ioasid_sim_dev.pr_lock.
 *
 * Return: 0 to retry the access, -EIO if the response was not SUCCESS,
 * -ECANCELED after a reset or removal, -EINTR if killed, -ENOMEM.
 */
int sim_request_wait(struct ioasid_sim_dev *sdev, u32 pasid, u64 addr,
		     u32 access, unsigned int generation)
{
	struct ioasid_sim_page page = { .addr = addr, .access = access };
	struct sim_group *group;
	int rc;

	do {
		if (wait_event_killable(sdev->credit_wait,
					sim_may_raise(sdev, generation)))
			return -EINTR;
		group = sim_group_alloc(sdev, pasid, &page, 1);
		if (!group)
			return -ENOMEM;
		group->wait = true;
		refcount_inc(&group->users);
		rc = sim_group_raise(group, generation);
		if (rc)
			sim_group_drop(group);
	} while (rc == -EBUSY);
	if (rc)
		return rc;
	rc = sim_group_wait(group);
	sim_group_put(group);
	return rc;
}

static bool sim_requests_taken(struct ioasid_sim_dev *sdev, u32 pasid)
{
	struct sim_entry *entry;
	unsigned long flags;
	bool taken;

	read_lock_irqsave(&sdev->unit->lock, flags);
	entry = xa_load(&sdev->entries, pasid);
	taken = entry && entry->requests;
	read_unlock_irqrestore(&sdev->unit->lock, flags);
	return taken;
}

int ioasid_sim_request(struct ioasid_sim_dev *sdev, u32 pasid,
		       const struct ioasid_sim_page *pages, u32 nr, u32 *group_id)
{
	struct sim_group *group;
	int rc;

	if (!nr)
		return -EINVAL;
	if (!sim_has_pri(sdev))
		return -EOPNOTSUPP;
	if (nr > sdev->unit->cfg.credits)
		return -ENOSPC;
	group = sim_group_alloc(sdev, pasid, pages, nr);
	if (!group)
		return -ENOMEM;
	/* The response to another group may be compared with it at the same time */
	WRITE_ONCE(*group_id, group->id);
	if (!sim_requests_taken(sdev, pasid)) {
		xa_release(&sdev->groups, group->id);
		atomic64_inc(&sdev->counts.requests);
		sim_group_finish(group, IOMMU_PAGE_RESP_INVALID);
		return 0;
	}
	rc = sim_group_raise(group, READ_ONCE(sdev->generation));
	if (rc)
		sim_group_drop(group);
	return rc;
}
SIM_EXPORT(ioasid_sim_request);

/* Raises one group of a burst; waits until there are credits */
static int sim_burst_raise(struct ioasid_sim_dev *sdev, u32 pasid, u64 addr,
			   struct sim_burst *burst, unsigned int generation)
{
	struct ioasid_sim_page page = { .addr = addr };
	struct sim_group *group;
	int rc;

	do {
		wait_event(sdev->credit_wait, sim_may_raise(sdev, generation));
		group = sim_group_alloc(sdev, pasid, &page, 1);
		if (!group)
			return -ENOMEM;
		group->burst = burst;
		atomic_inc(&burst->left);
		rc = sim_requests_taken(sdev, pasid) ?
		     sim_group_raise(group, generation) : -EIO;
		if (rc) {
			atomic_dec(&burst->left);
			sim_group_drop(group);
		}
	} while (rc == -EBUSY);
	return rc;
}

int ioasid_sim_requests(struct ioasid_sim_dev *sdev, u32 pasid, u64 addr, u32 nr,
			u32 *good)
{
	unsigned int generation = READ_ONCE(sdev->generation);
	struct sim_burst burst = { .left = ATOMIC_INIT(1) };
	int rc = sim_has_pri(sdev) ? 0 : -EOPNOTSUPP;
	u32 i;

	init_completion(&burst.done);
	for (i = 0; i < nr && !rc; i++) {
		rc = sim_burst_raise(sdev, pasid, addr + i * SIM_PAGE_SIZE,
				     &burst, generation);
		cond_resched();
	}
	sim_burst_put(&burst);
	/* No group may use @burst any longer: each is answered, or dropped by a reset */
	wait_for_completion(&burst.done);
	*good = atomic_read(&burst.good);
	return rc;
}
SIM_EXPORT(ioasid_sim_requests);

/* --- the driver's side --- */

static void sim_report(struct sim_group *group, u32 i)
{
	struct iopf_fault evt = { .fault.type = IOMMU_FAULT_PAGE_REQ };
	struct iommu_fault_page_request *prm = &evt.fault.prm;
	u32 access = group->pages[i].access;

	prm->grpid = group->id;
	prm->addr = group->pages[i].addr & ~(SIM_PAGE_SIZE - 1);
	prm->perm = IOMMU_FAULT_PERM_READ;
	if (access & SIM_WRITE)
		prm->perm |= IOMMU_FAULT_PERM_WRITE;
	if (access & SIM_PRIV)
		prm->perm |= IOMMU_FAULT_PERM_PRIV;
	if (group->pasid != IOASID_SIM_RID) {
		prm->pasid = group->pasid;
		prm->flags |= IOMMU_FAULT_PAGE_REQUEST_PASID_VALID |
			      IOMMU_FAULT_PAGE_RESPONSE_NEEDS_PASID;
	}
	if (i == group->nr - 1)
		prm->flags |= IOMMU_FAULT_PAGE_REQUEST_LAST_PAGE;
	iommu_report_device_fault(&group->sdev->pdev.dev, &evt);
}

static struct sim_group *sim_ring_pop(struct sim_unit *unit)
{
	struct sim_group *group;

	spin_lock(&unit->ring_lock);
	group = list_first_entry_or_null(&unit->ring, struct sim_group, node);
	if (group) {
		list_del(&group->node);
		unit->ring_used -= group->nr;
	}
	spin_unlock(&unit->ring_lock);
	return group;
}

static void sim_prq_work(struct work_struct *work)
{
	struct sim_unit *unit = container_of(work, struct sim_unit, prq_work);
	struct sim_group *group;
	u32 i;

	do {
		mutex_lock(&unit->prq_mutex);
		group = sim_ring_pop(unit);
		for (i = 0; group && i < group->nr; i++)
			sim_report(group, i);
		mutex_unlock(&unit->prq_mutex);
		if (group)
			sim_group_put(group);
	} while (group);
}

/**
 * sim_page_response() - implement iommu_ops.page_response
 * @dev: the device of an endpoint
 * @evt: a request of the group
 * @msg: the response
 *
 * Context: can sleep; takes ioasid_sim_dev.pr_lock and ioasid_sim_dev.ops_sem.
 */
void sim_page_response(struct device *dev, struct iopf_fault *evt,
		       struct iommu_page_response *msg)
{
	struct ioasid_sim_dev *sdev = ioasid_sim_dev(dev);
	struct sim_group *group;

	/* The IOMMU core responds to each record of a group that it cannot handle */
	if (!(evt->fault.prm.flags & IOMMU_FAULT_PAGE_REQUEST_LAST_PAGE))
		return;
	group = sim_group_take(sdev, msg->grpid);
	if (group)
		sim_group_finish(group, msg->code);
	else
		atomic64_inc(&sdev->counts.late_answers);
}

static bool sim_group_is(struct sim_group *group, struct ioasid_sim_dev *sdev,
			 const u32 *pasid)
{
	return group->sdev == sdev && (!pasid || group->pasid == *pasid);
}

/* Removes what is not delivered yet, of an endpoint or of one of its PASIDs */
static void sim_ring_remove(struct ioasid_sim_dev *sdev, const u32 *pasid, int result)
{
	struct sim_unit *unit = sdev->unit;
	struct sim_group *group, *next, *taken;
	LIST_HEAD(gone);

	lockdep_assert_held(&unit->prq_mutex);
	spin_lock(&unit->ring_lock);
	list_for_each_entry_safe(group, next, &unit->ring, node) {
		if (!sim_group_is(group, sdev, pasid))
			continue;
		unit->ring_used -= group->nr;
		list_move_tail(&group->node, &gone);
	}
	spin_unlock(&unit->ring_lock);
	list_for_each_entry_safe(group, next, &gone, node) {
		taken = sim_group_take(sdev, group->id);
		if (taken)
			sim_group_finish(taken, result);
		sim_group_put(group);
	}
}

/**
 * sim_prq_drain() - drain the page requests of a PASID
 * @sdev: endpoint
 * @pasid: PASID, or IOASID_SIM_RID; its new requests are not accepted any more
 *
 * Requests that were not delivered to the IOMMU core yet are answered INVALID.
 * The others are answered by the IOMMU core.
 *
 * Context: can sleep; takes sim_unit.prq_mutex.
 */
void sim_prq_drain(struct ioasid_sim_dev *sdev, u32 pasid)
{
	mutex_lock(&sdev->unit->prq_mutex);
	sim_ring_remove(sdev, &pasid, IOMMU_PAGE_RESP_INVALID);
	if (sdev->iopf_added)
		iopf_queue_flush_dev(&sdev->pdev.dev);
	mutex_unlock(&sdev->unit->prq_mutex);
}

static void sim_iopf_set_added(struct ioasid_sim_dev *sdev, bool added)
{
	lockdep_assert_held(&sdev->unit->prq_mutex);
	spin_lock(&sdev->pr_lock);
	sdev->iopf_added = added;
	spin_unlock(&sdev->pr_lock);
}

static int sim_prq_add(struct ioasid_sim_dev *sdev)
{
	int rc = iopf_queue_add_device(sdev->unit->iopf, &sdev->pdev.dev);

	lockdep_assert_held(&sdev->unit->prq_mutex);
	if (!rc)
		sim_iopf_set_added(sdev, true);
	return rc;
}

/**
 * sim_prq_enable() - let the IOMMU core handle page requests of a new endpoint
 * @sdev: endpoint
 *
 * Context: can sleep; takes sim_unit.prq_mutex.
 *
 * Return: 0, or -ENOMEM.
 */
int sim_prq_enable(struct ioasid_sim_dev *sdev)
{
	guard(mutex)(&sdev->unit->prq_mutex);
	return sim_prq_add(sdev);
}

/* The IOMMU core drops the groups that no handler has dequeued yet */
static void sim_prq_disable(struct ioasid_sim_dev *sdev)
{
	lockdep_assert_held(&sdev->unit->prq_mutex);
	if (!sdev->iopf_added)
		return;
	sim_iopf_set_added(sdev, false);
	iopf_queue_flush_dev(&sdev->pdev.dev);
	iopf_queue_remove_device(sdev->unit->iopf, &sdev->pdev.dev);
}

/**
 * sim_prq_cancel() - drop all page requests of an endpoint
 * @sdev: endpoint, whose generation has changed
 * @again: it may raise new ones afterwards
 *
 * Context: can sleep; takes sim_unit.prq_mutex.
 *
 * Return: 0, or -ENOMEM, and then it cannot raise new ones.
 */
int sim_prq_cancel(struct ioasid_sim_dev *sdev, bool again)
{
	struct sim_group *group;
	unsigned long id;
	int rc = 0;

	mutex_lock(&sdev->unit->prq_mutex);
	/* Under the lock, so that no request of the old generation follows */
	spin_lock(&sdev->pr_lock);
	WRITE_ONCE(sdev->pr_off, false);
	spin_unlock(&sdev->pr_lock);
	/*
	 * As with PCI, the IOMMU core knows of a reset before the device: a
	 * response that is on its way arrives in time, and later ones are not
	 * sent.
	 */
	sim_prq_disable(sdev);
	synchronize_rcu_expedited();
	sim_ring_remove(sdev, NULL, -ECANCELED);
	xa_for_each(&sdev->groups, id, group) {
		group = sim_group_take(sdev, id);
		if (group)
			sim_group_finish(group, -ECANCELED);
	}
	if (again && sim_has_pri(sdev))
		rc = sim_prq_add(sdev);
	mutex_unlock(&sdev->unit->prq_mutex);
	wake_up_all(&sdev->credit_wait);
	return rc;
}

/**
 * sim_prq_init() - initialise the page request queue of a unit
 * @unit: the unit
 *
 * Context: can sleep.
 *
 * Return: 0, or -ENOMEM.
 */
int sim_prq_init(struct sim_unit *unit)
{
	mutex_init(&unit->prq_mutex);
	spin_lock_init(&unit->ring_lock);
	INIT_LIST_HEAD(&unit->ring);
	INIT_WORK(&unit->prq_work, sim_prq_work);
	unit->iopf = iopf_queue_alloc("ioasid-sim");
	if (!unit->iopf)
		return -ENOMEM;
	unit->prq_wq = alloc_workqueue("ioasid-sim-prq", WQ_UNBOUND, 1);
	if (unit->prq_wq)
		return 0;
	iopf_queue_free(unit->iopf);
	return -ENOMEM;
}

/**
 * sim_prq_destroy() - undo sim_prq_init()
 * @unit: the unit, without endpoints
 *
 * Context: can sleep.
 */
void sim_prq_destroy(struct sim_unit *unit)
{
	destroy_workqueue(unit->prq_wq);
	iopf_queue_free(unit->iopf);
}
