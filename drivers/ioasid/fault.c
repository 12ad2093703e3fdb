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
#include <linux/module.h>
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

static bool ioasid_queue_put_lost(struct ioasid_queue *q)
{
	struct ioasid_fault_record record = {
		.type = IOASID_FAULT_LOST,
		.nr = q->lost,
		.missed = q->missed,
	};

	if (!ioasid_queue_room(q))
		return false;
	ioasid_queue_put_record(q, &record);
	q->lost = 0;
	q->missed = 0;
	ioasid_queue_publish(q);
	return true;
}

/**
 * ioasid_queue_tell_lost() - say what was refused or left out, if anything was
 * @q: the queue; its lock is held
 *
 * Return: false if there is no room to say it.
 */
bool ioasid_queue_tell_lost(struct ioasid_queue *q)
{
	/* Apart from the record, which every page request would clear on its stack */
	return likely(!q->lost && !q->missed) || ioasid_queue_put_lost(q);
}

/*
 * A record that is news only; counted if there is no more room than @spare, which
 * what is said of those that were counted must not take either.
 */
static void ioasid_queue_put_news(struct ioasid_queue *q,
				  const struct ioasid_fault_record *record,
				  u32 spare)
{
	if (q->dead)
		return;
	if (ioasid_queue_room(q) <= spare + (q->lost || q->missed)) {
		q->missed++;
		return;
	}
	ioasid_queue_tell_lost(q);
	ioasid_queue_put_record(q, record);
	ioasid_queue_publish(q);
}

static void ioasid_queue_tell(struct ioasid_queue *q, struct ioasid_link *link,
			      u32 type, u32 nr, u64 cookie)
{
	struct ioasid_fault_record record = ioasid_record(link, type, nr);

	record.cookie = cookie;
	ioasid_queue_put_news(q, &record, 0);
}

static struct ioasid_queue *ioasid_fault_queue(struct ioasid_attachment *att)
{
	return srcu_dereference(att->queue, &ioasid_fault_srcu) ?:
	       srcu_dereference(att->space->queue, &ioasid_fault_srcu);
}

/**
 * ioasid_fault_news() - tell something that wants no answer
 * @link: what it is about
 * @record: type, flags, addr, nr and reason
 * @several: it is not known which attachment of the device to the space
 *
 * Leaves room for page requests: a device can make such records without end.
 */
void ioasid_fault_news(struct ioasid_link *link,
		       const struct ioasid_fault_record *record, bool several)
{
	struct ioasid_fault_record full = ioasid_record(link, record->type,
							record->nr);
	int idx = srcu_read_lock(&ioasid_fault_srcu);
	struct ioasid_queue *q = ioasid_fault_queue(link->att);

	full.flags = record->flags;
	full.addr = record->addr;
	full.reason = record->reason;
	if (several)
		full.pasid = IOASID_PASID_ANY;
	if (q) {
		mutex_lock(&q->lock);
		ioasid_queue_put_news(q, &full, q->depth / 4);
		mutex_unlock(&q->lock);
	}
	srcu_read_unlock(&ioasid_fault_srcu, idx);
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

/* Forgets a group; so that its cookie names nothing any more */
static struct iopf_group *ioasid_pending_take(struct ioasid_queue *q,
					      struct ioasid_pending *p)
{
	struct iopf_group *group = p->group;

	p->group = NULL;
	p->generation++;
	atomic_dec(&p->link->nr_pending);
	list_move(&p->node, &q->free);
	return group;
}

/*
 * Whoever turns off the page requests of a device that is still attached resets
 * it: nobody waits for the answer any more, and the device could take it for
 * that to a new group. The group keeps what it came by, so that nothing else can
 * have that address.
 */
static bool ioasid_pending_is_stale(const struct ioasid_pending *p)
{
	const struct iommu_fault_param *param = p->group->fault_param;

	return !READ_ONCE(p->link->leaving) &&
	       rcu_access_pointer(param->dev->iommu->fault_param) != param;
}

/* Drops what a reset has left behind, and says so before anything that follows */
static void ioasid_queue_sweep_link(struct ioasid_queue *q,
				    struct ioasid_link *link)
{
	struct ioasid_pending *p, *next;
	u32 nr = 0;

	list_for_each_entry_safe(p, next, &q->pending, node) {
		if (p->link != link || !ioasid_pending_is_stale(p))
			continue;
		iopf_free_group(ioasid_pending_take(q, p));
		nr++;
	}
	if (nr)
		ioasid_queue_tell(q, link, IOASID_FAULT_RESET, nr, 0);
}

/**
 * ioasid_queue_sweep() - drop all that resets have left behind
 * @q: the queue; its lock is held
 */
void ioasid_queue_sweep(struct ioasid_queue *q)
{
	struct ioasid_pending *p;

again:
	list_for_each_entry(p, &q->pending, node) {
		if (!ioasid_pending_is_stale(p))
			continue;
		ioasid_queue_sweep_link(q, p->link);
		goto again;
	}
}

/**
 * ioasid_pending_answer() - answer a group, and forget it
 * @q: the queue; its lock is held
 * @p: the group
 * @code: IOASID_FAULT_SUCCESS, _INVALID or _FAILURE
 *
 * Return: false if there was a reset: then the group is dropped, with all of
 * its attachment.
 */
bool ioasid_pending_answer(struct ioasid_queue *q, struct ioasid_pending *p,
			   u32 code)
{
	static const enum iommu_page_response_code codes[] = {
		[IOASID_FAULT_SUCCESS] = IOMMU_PAGE_RESP_SUCCESS,
		[IOASID_FAULT_INVALID] = IOMMU_PAGE_RESP_INVALID,
		[IOASID_FAULT_FAILURE] = IOMMU_PAGE_RESP_FAILURE,
	};

	if (ioasid_pending_is_stale(p)) {
		ioasid_queue_sweep_link(q, p->link);
		return false;
	}
	ioasid_group_answer(ioasid_pending_take(q, p),
			    codes[array_index_nospec(code, ARRAY_SIZE(codes))]);
	return true;
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

	if (ioasid_pending_answer(q, p, IOASID_FAULT_INVALID))
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
	/* Came another way than those that wait: these are from before a reset */
	if (link->param != group->fault_param && atomic_read(&link->nr_pending))
		ioasid_queue_sweep_link(q, link);
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
	link->param = group->fault_param;
	atomic_inc(&link->nr_pending);
	list_move_tail(&p->node, &q->pending);
	ioasid_queue_put_group(q, p);
	if (list_is_singular(&q->pending))
		ioasid_queue_arm(q);
	return true;
}

/* The space's iova_lock is held */
static u32 ioasid_fault_mapped_locked(struct ioasid_space *space, u64 addr)
{
	struct ioasid_area *area = ioasid_iova_first(space, addr, addr);
	u32 can;

	if (!area || area->state != IOASID_AREA_READY)
		return 0;
	can = area->prot & IOASID_MAP_READ ? IOASID_FAULT_READ : 0;
	return can | (area->prot & IOASID_MAP_WRITE ? IOASID_FAULT_WRITE : 0);
}

/**
 * ioasid_fault_mapped() - what a space lets a device do at an address now
 * @space: a mapped space
 * @addr: the address
 *
 * Return: IOASID_FAULT_READ, _WRITE, or 0 if nothing is mapped there.
 */
u32 ioasid_fault_mapped(struct ioasid_space *space, u64 addr)
{
	u32 can;

	mutex_lock(&space->iova_lock);
	can = ioasid_fault_mapped_locked(space, addr);
	mutex_unlock(&space->iova_lock);
	return can;
}

/* The policy "kernel": it is there, or it is not */
static enum iommu_page_response_code
ioasid_fault_resolve(struct ioasid_space *space, struct iopf_group *group)
{
	enum iommu_page_response_code code = IOMMU_PAGE_RESP_SUCCESS;
	const u32 asked = IOASID_FAULT_READ | IOASID_FAULT_WRITE;
	struct iopf_fault *iopf;

	/*
	 * The page requests of all devices of the IOMMU would wait for whoever
	 * is changing this space: let the device try, and ask, again.
	 */
	if (!mutex_trylock(&space->iova_lock))
		return code;
	list_for_each_entry(iopf, &group->faults, list) {
		struct iommu_fault_page_request *prm = &iopf->fault.prm;
		u32 can = ioasid_fault_mapped_locked(space, prm->addr);

		if (!can || (ioasid_fault_flags(prm) & asked & ~can))
			code = IOMMU_PAGE_RESP_INVALID;
	}
	mutex_unlock(&space->iova_lock);
	return code;
}

static bool ioasid_fault_hold(struct ioasid_queue *q, struct ioasid_link *link,
			      struct iopf_group *group)
{
	bool held;

	mutex_lock(&q->lock);
	held = ioasid_fault_enqueue(q, link, group);
	mutex_unlock(&q->lock);
	return held;
}

/* Somebody answers it, soon or later */
static void ioasid_fault_route(struct ioasid_attachment *att,
			       struct iopf_group *group)
{
	enum iommu_page_response_code code = IOMMU_PAGE_RESP_INVALID;
	struct device *dev = group->fault_param->dev;
	struct ioasid_link *link = ioasid_fault_link(att, dev);
	struct ioasid_space *space = att->space;
	struct ioasid_queue *own, *q;

	if (!link || !ioasid_fault_is_of(group, att->pasid))
		goto answer;
	own = srcu_dereference(att->queue, &ioasid_fault_srcu);
	q = own ?: srcu_dereference(space->queue, &ioasid_fault_srcu);
	if (!own && READ_ONCE(space->policy) == IOASID_FAULT_REFUSE)
		q = NULL;
	if (!own && READ_ONCE(space->policy) == IOASID_FAULT_KERNEL)
		code = ioasid_fault_resolve(space, group);
	else if (q && ioasid_fault_hold(q, link, group))
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

	/* The group is ours from here on, whatever becomes of the device */
	iopf_group_dequeue(group);
	if (READ_ONCE(att->ended))
		ioasid_group_answer(group, IOMMU_PAGE_RESP_INVALID);
	else
		ioasid_fault_route(att, group);
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

static bool ioasid_link_is_bound(struct ioasid_link *link,
				 struct ioasid_queue *q)
{
	return q == (rcu_access_pointer(link->att->queue) ?:
		     rcu_access_pointer(link->att->space->queue));
}

static void ioasid_queue_cut(struct ioasid_queue *q, struct ioasid_link *link)
{
	struct ioasid_pending *p, *next;
	u32 nr = 0;

	list_for_each_entry_safe(p, next, &q->pending, node) {
		if (p->link != link)
			continue;
		ioasid_pending_answer(q, p, IOASID_FAULT_INVALID);
		nr++;
	}
	if (nr || ioasid_link_is_bound(link, q))
		ioasid_queue_tell(q, link, IOASID_FAULT_DETACHED, nr, 0);
}

/* Calls @fn for each queue of the context, under its lock */
static void ioasid_all_queues(struct ioasid_link *link,
			      void (*fn)(struct ioasid_queue *q,
					 struct ioasid_link *link))
{
	struct ioasid_ctx *ctx = link->idev->ctx;
	struct ioasid_queue *q;
	unsigned long id;

	xa_for_each(&ctx->queues, id, q) {
		q = ioasid_queue_try(ctx, id);
		if (!q)
			continue;
		mutex_lock(&q->lock);
		fn(q, link);
		mutex_unlock(&q->lock);
		ioasid_queue_put(q);
	}
}

/**
 * ioasid_fault_leave() - a device is about to leave an attachment
 * @link: its link
 *
 * From now on the device's page requests can be off because it leaves. What a
 * reset has left behind was found before.
 */
void ioasid_fault_leave(struct ioasid_link *link)
{
	if (!link->att->space->faults)
		return;
	ioasid_all_queues(link, ioasid_queue_sweep_link);
	WRITE_ONCE(link->leaving, true);
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

	ioasid_refused_end(link);
	if (!ioasid_space_hears(att->space))
		return;
	if (list_empty(&att->links)) {
		WRITE_ONCE(att->ended, true);
		WRITE_ONCE(att->handle.domain, &ioasid_no_domain);
	}
	/* From here on no handler knows the link */
	if (att->space->faults)
		synchronize_srcu_expedited(&ioasid_fault_srcu);
	ioasid_all_queues(link, ioasid_queue_cut);
	WRITE_ONCE(link->leaving, false);
}

/* --- burial -------------------------------------------------------------------- */

/**
 * ioasid_space_hears() - can somebody be on his way to a queue of a space?
 * @space: the space
 *
 * Return: false if it never had page requests or a queue.
 */
bool ioasid_space_hears(struct ioasid_space *space)
{
	return space->faults || READ_ONCE(space->heard);
}

static void ioasid_attachment_free(struct ioasid_attachment *att)
{
	struct module *owner;

	if (att->domain) {
		owner = att->domain->domain->owner->owner;
		ioasid_domain_free(att->domain);
		if (att->buried)
			module_put(owner);
	}
	kfree(att);
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
		ioasid_attachment_free(att);
}

/**
 * ioasid_attachment_bury() - free an attachment, late if need be
 * @att: the attachment, in no table and no list; with a page table that nobody
 *	else uses, or none
 *
 * The IOMMU core follows the pointer to its handle, and from there to the page
 * table, without a lock; so do IOMMU drivers that report what they refuse. An
 * IOMMU driver that is a module cannot be unloaded meanwhile.
 */
void ioasid_attachment_bury(struct ioasid_attachment *att)
{
	ioasid_queue_put(rcu_access_pointer(att->queue));
	if (!ioasid_space_hears(att->space) &&
	    !(att->domain && att->domain->told_late)) {
		ioasid_attachment_free(att);
		return;
	}
	if (att->domain)
		__module_get(att->domain->domain->owner->owner);
	/* Never 0, which is what is not buried */
	att->buried = jiffies | 1;
	spin_lock(&ioasid_graves_lock);
	list_add_tail(&att->space_link, &ioasid_graves);
	spin_unlock(&ioasid_graves_lock);
	schedule_delayed_work(&ioasid_graves_work,
			      (IOASID_GRAVE_SECONDS + 1) * HZ);
}

/**
 * ioasid_graves_empty() - free all that is buried, at once
 *
 * Nobody may be on his way to it, and nothing is buried meanwhile.
 */
void ioasid_graves_empty(void)
{
	struct ioasid_attachment *att, *next;

	cancel_delayed_work_sync(&ioasid_graves_work);
	list_for_each_entry_safe(att, next, &ioasid_graves, space_link) {
		list_del(&att->space_link);
		ioasid_attachment_free(att);
	}
}

void ioasid_fault_teardown(void)
{
	/* The IOMMU core can still be on its way to a handle, and to our code */
	if (!list_empty(&ioasid_graves))
		msleep(IOASID_GRAVE_SECONDS * MSEC_PER_SEC);
	ioasid_graves_empty();
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

static int ioasid_check_kind(struct ioasid_space *space,
			     struct ioasid_explain *why)
{
	if (space->kind == IOASID_KIND_MAPPED)
		return 0;
	return ioasid_fail(why, -EINVAL, IOASID_REASON_KIND,
			   "space %u: the kernel answers the page requests for the memory of a process",
			   space->id);
}

static int ioasid_check_policy(struct ioasid_space *space, u32 policy,
			       struct ioasid_explain *why)
{
	if (policy == IOASID_FAULT_FORWARD || space->faults)
		return ioasid_check_kind(space, why);
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
	rc = ioasid_check_policy(space, arg->policy, cmd->why);
	if (!rc) {
		if (q)
			WRITE_ONCE(space->heard, true);
		WRITE_ONCE(space->policy, arg->policy);
		ioasid_fault_rebind(&space->queue, q);
	}
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
	rc = ioasid_check_kind(link->att->space, cmd->why);
	if (rc)
		return rc;
	if (q)
		WRITE_ONCE(link->att->space->heard, true);
	ioasid_fault_rebind(&link->att->queue, q);
	return 0;
}

static int ioasid_check_bind(const struct ioasid_fault_bind *arg,
			     struct ioasid_explain *why)
{
	if (arg->__reserved)
		return ioasid_fail(why, -EOPNOTSUPP, IOASID_REASON_FLAGS,
				   "a reserved field is not zero");
	if (!arg->ioasid == !arg->dev_id)
		return ioasid_fail(why, -EINVAL, IOASID_REASON_VALUE,
				   "either a space or an attachment, not %s",
				   arg->ioasid ? "both" : "none");
	why->value = arg->policy;
	if (arg->policy > IOASID_FAULT_KERNEL)
		return ioasid_fail(why, -EINVAL, IOASID_REASON_VALUE,
				   "%u is not a policy", arg->policy);
	if (arg->policy && arg->dev_id)
		return ioasid_fail(why, -EINVAL, IOASID_REASON_VALUE,
				   "a policy is that of a space, not of an attachment");
	why->value = 0;
	return 0;
}

int ioasid_cmd_fault_bind(struct ioasid_command *cmd)
{
	struct ioasid_fault_bind *arg = cmd->arg;
	struct ioasid_queue *q = NULL;
	int rc = ioasid_check_bind(arg, cmd->why);

	if (rc)
		return rc;
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
