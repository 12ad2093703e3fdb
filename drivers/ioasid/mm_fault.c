// SPDX-License-Identifier: GPL-2.0
/*
 * Page requests for the memory of processes. The IOMMU core would resolve them
 * in one work queue for all devices of an IOMMU, which each detach waits for,
 * and memory can take any length of time to come: a page of a file whose server
 * does not answer would stop the devices of everybody. Here they wait in a work
 * queue of the user, and a detach answers them instead of waiting. Nothing here
 * may make anybody wait for the memory of somebody else.
 */
#include <linux/iommu.h>
#include <linux/memcontrol.h>
#include <linux/mm.h>
#include <linux/sched/mm.h>
#include <linux/sched/signal.h>
#include <linux/slab.h>
#include "compat/iopf.h"
#include "mm.h"
#include "queue.h"

/* Page requests of all processes of a user that are resolved at the same time */
#define IOASID_MM_WORKERS_PER_USER	(8 * IOASID_MM_WORKERS)

/* Groups of a process that may wait; far more than devices have at a time */
#define IOASID_MM_MAX_GROUPS		4096

/* Groups from before a reset that are dropped when a new one comes */
#define IOASID_MM_REAP			16

/* How often to look whether the process has gone, while a worker may wait */
#define IOASID_MM_WATCH			HZ

/* How often a page may have gone again before it could be mapped */
#define IOASID_MM_TRIES			16

#define ioasid_for_each_worker(w, f) \
	for ((w) = (f)->workers; (w) < (f)->workers + IOASID_MM_WORKERS; (w)++)

/* The handler of the IOMMU core, for devices that others have attached */
static int (*ioasid_mm_core_handler)(struct iopf_group *group);

/* --- the way in --------------------------------------------------------- */

enum ioasid_mm_owner {
	IOASID_MM_OTHER,	/* a driver has attached the group without us */
	IOASID_MM_ENDED,	/* the device is not attached, or not any more */
	IOASID_MM_OURS,
};

static enum ioasid_mm_owner ioasid_mm_owner(struct ioasid_mm_faults *f,
					    struct device *dev)
{
	enum ioasid_mm_owner owner = IOASID_MM_OTHER;
	struct ioasid_mm_bond *bond;

	lockdep_assert_held(&f->lock);
	list_for_each_entry(bond, &f->bonds, node) {
		if (bond->dev == dev && bond->users)
			return IOASID_MM_OURS;
		/* The IOMMU core has attached the whole group */
		if (bond->dev->iommu_group == dev->iommu_group)
			owner = IOASID_MM_ENDED;
	}
	return owner;
}

/* A device that has been reset does not wait for an answer any more */
static void ioasid_mm_answer(struct iopf_group *group, u32 code)
{
	if (compat_group_is_current(group))
		ioasid_group_answer(group, code);
	else
		iopf_free_group(group);
}

/* Takes the group from a worker, which need not wait for the memory any more */
static struct iopf_group *ioasid_mm_take_from(struct ioasid_mm_worker *w)
{
	struct iopf_group *group = w->group;

	lockdep_assert_held(&w->faults->lock);
	w->group = NULL;
	send_sig(SIGKILL, w->task, 1);
	return group;
}

/*
 * Drops what devices asked for before they were reset: the oldest groups, some
 * each time that a new one comes, and all that workers have.
 */
static void ioasid_mm_reap_stale(struct ioasid_mm_faults *f)
{
	struct ioasid_mm_worker *w;
	struct iopf_group *group;
	u32 n;

	lockdep_assert_held(&f->lock);
	for (n = 0; n < IOASID_MM_REAP && f->nr_groups; n++) {
		group = list_first_entry(&f->groups, struct iopf_group, node);
		if (compat_group_is_current(group))
			break;
		list_del(&group->node);
		f->nr_groups--;
		iopf_free_group(group);
	}
	ioasid_for_each_worker(w, f)
		if (w->group && !compat_group_is_current(w->group))
			iopf_free_group(ioasid_mm_take_from(w));
}

static void ioasid_mm_start_worker(struct ioasid_mm_faults *f)
{
	struct ioasid_mm_worker *w;

	lockdep_assert_held(&f->lock);
	ioasid_for_each_worker(w, f) {
		if (w->busy)
			continue;
		w->busy = true;
		queue_work(f->wq, &w->work);
		/* No-op if it is pending */
		schedule_delayed_work(&f->watch, IOASID_MM_WATCH);
		return;
	}
}

static void ioasid_mm_enqueue(struct ioasid_mm_faults *f,
			      struct iopf_group *group)
{
	/* Answered under the lock, too, so that a detach leaves none behind */
	guard(spinlock)(&f->lock);
	ioasid_mm_reap_stale(f);
	if (f->nr_groups == IOASID_MM_MAX_GROUPS ||
	    !ioasid_fault_is_of(group, mm_get_enqcmd_pasid(f->mm)) ||
	    ioasid_mm_owner(f, group->fault_param->dev) != IOASID_MM_OURS) {
		ioasid_mm_answer(group, IOASID_FAULT_INVALID);
		return;
	}
	list_add_tail(&group->node, &f->groups);
	f->nr_groups++;
	ioasid_mm_start_worker(f);
}

static int ioasid_mm_fault_handler(struct iopf_group *group)
{
	struct device *dev = group->fault_param->dev;
	enum ioasid_mm_owner owner = IOASID_MM_OTHER;
	struct ioasid_mm_faults *f;

	/* Stays as long as the domain, which holds a reference on the process */
	f = ioasid_mm_faults_of(group->attach_handle->domain->mm);
	if (f) {
		scoped_guard(spinlock, &f->lock)
			owner = ioasid_mm_owner(f, dev);
	}
	if (owner == IOASID_MM_OTHER)
		return ioasid_mm_core_handler(group);
	/* From here on the group is ours, even if the device goes away */
	iopf_group_dequeue(group);
	ioasid_mm_enqueue(f, group);
	return 0;
}

/* --- the workers -------------------------------------------------------- */

static unsigned long ioasid_mm_need(const struct iommu_fault_page_request *prm)
{
	return (prm->perm & IOMMU_FAULT_PERM_READ ? VM_READ : 0) |
	       (prm->perm & IOMMU_FAULT_PERM_WRITE ? VM_WRITE : 0) |
	       (prm->perm & IOMMU_FAULT_PERM_EXEC ? VM_EXEC : 0);
}

/* Returns false once the lock of the memory is released, to be taken again */
static bool ioasid_mm_try_page(struct mm_struct *mm,
			       const struct iommu_fault_page_request *prm,
			       u32 *code)
{
	/* Killable, so that a detach ends the wait: see ioasid_mm_take_from() */
	unsigned int flags = FAULT_FLAG_REMOTE | FAULT_FLAG_ALLOW_RETRY |
			     FAULT_FLAG_KILLABLE;
	unsigned long need = ioasid_mm_need(prm);
	struct vm_area_struct *vma = vma_lookup(mm, prm->addr);
	vm_fault_t ret;

	mmap_assert_locked(mm);
	*code = IOASID_FAULT_INVALID;
	if (!vma || (need & ~vma->vm_flags))
		goto unlock;
	if (need & VM_WRITE)
		flags |= FAULT_FLAG_WRITE;
	if (need & VM_EXEC)
		flags |= FAULT_FLAG_INSTRUCTION;
	if (!(prm->perm & IOMMU_FAULT_PERM_PRIV))
		flags |= FAULT_FLAG_USER;
	ret = handle_mm_fault(vma, prm->addr, flags, NULL);
	if (!(ret & VM_FAULT_ERROR))
		*code = IOASID_FAULT_SUCCESS;
	/* Both release the lock */
	if (ret & (VM_FAULT_RETRY | VM_FAULT_COMPLETED))
		return ret & VM_FAULT_COMPLETED;
unlock:
	mmap_read_unlock(mm);
	return true;
}

/*
 * Each try is a first one, without FAULT_FLAG_TRIED, since a second one would
 * wait for the page with mmap_lock held. Whoever binds the process to another
 * IOMMU waits for that lock with the one lock that all binds need. A page that
 * goes away all the time is asked for again by the device.
 */
static u32 ioasid_mm_try(struct mm_struct *mm,
			 const struct iommu_fault_page_request *prm)
{
	u32 code = IOASID_FAULT_SUCCESS;
	int i;

	for (i = 0; i < IOASID_MM_TRIES; i++) {
		if (mmap_read_lock_killable(mm))
			return IOASID_FAULT_INVALID;
		if (ioasid_mm_try_page(mm, prm, &code))
			break;
	}
	return code;
}

static void ioasid_mm_set_has_mm(struct ioasid_mm_worker *w, bool has_mm)
{
	guard(spinlock)(&w->faults->lock);
	w->has_mm = has_mm;
}

/* A thread of the kernel would have the page tables charged to nobody */
static u32 ioasid_mm_resolve(struct ioasid_mm_worker *w,
			     const struct iommu_fault_page_request *prm)
{
	struct mm_struct *mm = w->faults->mm;
	struct mem_cgroup *memcg, *old;
	u32 code;

	if (!mmget_not_zero(mm))
		return IOASID_FAULT_INVALID;
	/* Never counted without its reference: see ioasid_mm_watch_fn() */
	ioasid_mm_set_has_mm(w, true);
	memcg = get_mem_cgroup_from_mm(mm);
	old = set_active_memcg(memcg);
	code = ioasid_mm_try(mm, prm);
	set_active_memcg(old);
	mem_cgroup_put(memcg);
	ioasid_mm_set_has_mm(w, false);
	mmput(mm);
	return code;
}

/* The oldest group that waits; false, with the worker idle, if there is none */
static bool ioasid_mm_next_group(struct ioasid_mm_worker *w)
{
	struct ioasid_mm_faults *f = w->faults;

	guard(spinlock)(&f->lock);
	/* What ended the wait for the last group must not end that for the next */
	flush_signals(current);
	w->group = list_first_entry_or_null(&f->groups, struct iopf_group, node);
	w->busy = w->group;
	w->task = w->group ? current : NULL;
	if (!w->group)
		return false;
	list_del(&w->group->node);
	f->nr_groups--;
	w->next = list_first_entry(&w->group->faults, struct iopf_fault, list);
	return true;
}

/* A copy of the next request, since a detach can free the group meanwhile */
static bool ioasid_mm_next_fault(struct ioasid_mm_worker *w,
				 struct iommu_fault_page_request *prm)
{
	guard(spinlock)(&w->faults->lock);
	if (!w->group || !w->next)
		return false;
	*prm = w->next->fault.prm;
	w->next = list_is_last(&w->next->list, &w->group->faults) ?
			  NULL : list_next_entry(w->next, list);
	return true;
}

static void ioasid_mm_work_fn(struct work_struct *work)
{
	struct ioasid_mm_worker *w = container_of(work, struct ioasid_mm_worker,
						  work);
	struct ioasid_mm_faults *f = w->faults;
	struct iommu_fault_page_request prm;
	u32 code;

	allow_signal(SIGKILL);
	while (ioasid_mm_next_group(w)) {
		code = IOASID_FAULT_SUCCESS;
		while (code == IOASID_FAULT_SUCCESS &&
		       ioasid_mm_next_fault(w, &prm))
			code = ioasid_mm_resolve(w, &prm);
		scoped_guard(spinlock, &f->lock) {
			if (w->group)
				ioasid_mm_answer(w->group, code);
			w->group = NULL;
		}
		cond_resched();
	}
	disallow_signal(SIGKILL);
}

/*
 * A worker that waits keeps the memory of a process that has ended, and with it
 * the files that are mapped there, perhaps the device itself: the detach that
 * would end the wait does not come. So the wait ends once nobody else uses the
 * memory.
 */
static void ioasid_mm_watch_fn(struct work_struct *work)
{
	struct ioasid_mm_faults *f = container_of(to_delayed_work(work),
						  struct ioasid_mm_faults, watch);
	struct ioasid_mm_worker *w;
	int busy = 0, users = 0;

	guard(spinlock)(&f->lock);
	ioasid_for_each_worker(w, f) {
		busy += w->busy;
		users += w->has_mm;
	}
	if (users && atomic_read(&f->mm->mm_users) <= users)
		ioasid_for_each_worker(w, f)
			if (w->group)
				ioasid_mm_answer(ioasid_mm_take_from(w),
						 IOASID_FAULT_INVALID);
	if (busy)
		schedule_delayed_work(&f->watch, IOASID_MM_WATCH);
}

/* --- attach and detach -------------------------------------------------- */

static struct ioasid_mm_bond *ioasid_mm_bond_join(struct ioasid_mm_faults *f,
						  struct device *dev)
{
	struct ioasid_mm_bond *bond;

	guard(spinlock)(&f->lock);
	list_for_each_entry(bond, &f->bonds, node) {
		if (bond->dev != dev)
			continue;
		bond->users++;
		return bond;
	}
	return NULL;
}

/**
 * ioasid_mm_bond_begin() - let the page requests of a device come here
 * @f: page requests of the process
 * @dev: the device, before it is bound to the process
 *
 * Context: ioasid_ctx.lock of the device is held; can sleep. Takes
 * ioasid_mm_faults.lock.
 *
 * Return: the bond, to be ended by ioasid_mm_bond_end(), or NULL without memory.
 */
struct ioasid_mm_bond *ioasid_mm_bond_begin(struct ioasid_mm_faults *f,
					    struct device *dev)
{
	struct ioasid_mm_bond *bond = ioasid_mm_bond_join(f, dev);

	if (bond)
		return bond;
	bond = kzalloc(sizeof(*bond), GFP_KERNEL_ACCOUNT);
	if (!bond)
		return NULL;
	bond->faults = f;
	bond->dev = dev;
	bond->users = 1;
	guard(spinlock)(&f->lock);
	list_add_tail(&bond->node, &f->bonds);
	return bond;
}

/**
 * ioasid_mm_hook() - take the page requests of a domain from the IOMMU core
 * @domain: the domain of a process, which all devices with similar IOMMUs share
 *
 * Requests that come between the bind, which publishes a new domain, and this
 * call go to the IOMMU core.
 *
 * Context: any; the domain is bound.
 */
void ioasid_mm_hook(struct iommu_domain *domain)
{
	typeof(ioasid_mm_core_handler) handler =
		READ_ONCE(domain->iopf_handler);

	if (!handler || handler == ioasid_mm_fault_handler)
		return;
	WRITE_ONCE(ioasid_mm_core_handler, handler);
	/* Whoever sees the new handler sees where it passes others on to */
	smp_store_release(&domain->iopf_handler, ioasid_mm_fault_handler);
}

/* Moves the groups of a device to @taken; those of workers become ours, too */
static void ioasid_mm_take_groups(struct ioasid_mm_faults *f, struct device *dev,
				  struct list_head *taken)
{
	struct iopf_group *group, *next;
	struct ioasid_mm_worker *w;

	lockdep_assert_held(&f->lock);
	list_for_each_entry_safe(group, next, &f->groups, node) {
		if (group->fault_param->dev != dev)
			continue;
		list_move_tail(&group->node, taken);
		f->nr_groups--;
	}
	ioasid_for_each_worker(w, f) {
		if (!w->group || w->group->fault_param->dev != dev)
			continue;
		group = ioasid_mm_take_from(w);
		list_add_tail(&group->node, taken);
	}
}

/**
 * ioasid_mm_bond_drain() - answer what a device is waiting for
 * @bond: the bond, which is still bound; unless it has another user, what comes
 *	from now on is answered IOASID_FAULT_INVALID at once
 *
 * Context: can sleep, but does not wait for memory; takes ioasid_mm_faults.lock.
 */
void ioasid_mm_bond_drain(struct ioasid_mm_bond *bond)
{
	struct ioasid_mm_faults *f = bond->faults;
	struct iopf_group *group, *next;
	LIST_HEAD(taken);

	scoped_guard(spinlock, &f->lock) {
		if (!--bond->users)
			ioasid_mm_take_groups(f, bond->dev, &taken);
	}
	list_for_each_entry_safe(group, next, &taken, node) {
		ioasid_mm_answer(group, IOASID_FAULT_INVALID);
		cond_resched();
	}
}

/**
 * ioasid_mm_bond_end() - undo ioasid_mm_bond_begin()
 * @bond: the bond, after ioasid_mm_bond_drain(), and not bound any more unless
 *	it has another user; freed
 *
 * Context: ioasid_ctx.lock of the device is held, so that no user joins
 * meanwhile. Takes ioasid_mm_faults.lock.
 */
void ioasid_mm_bond_end(struct ioasid_mm_bond *bond)
{
	scoped_guard(spinlock, &bond->faults->lock) {
		if (bond->users)
			return;
		list_del(&bond->node);
	}
	kfree(bond);
}

/* --- lifetime ----------------------------------------------------------- */

/* One for each user, so that the memory of others cannot be in the way */
static struct workqueue_struct *ioasid_mm_wq(struct ioasid_user *user)
{
	struct workqueue_struct *wq = READ_ONCE(user->mm_wq), *other;

	if (wq)
		return wq;
	wq = alloc_workqueue("ioasid_mm/%u", WQ_UNBOUND,
			     IOASID_MM_WORKERS_PER_USER, __kuid_val(user->uid));
	if (!wq)
		return NULL;
	other = cmpxchg(&user->mm_wq, NULL, wq);
	if (!other)
		return wq;
	destroy_workqueue(wq);
	return other;
}

/**
 * ioasid_mm_faults_init() - prepare for the page requests of a process
 * @f: page requests of the process
 * @mm: the process; mm_count is held until ioasid_mm_faults_destroy()
 * @user: the user that is charged; referenced as long
 *
 * Context: can sleep.
 *
 * Return: 0 or -ENOMEM.
 */
int ioasid_mm_faults_init(struct ioasid_mm_faults *f, struct mm_struct *mm,
			  struct ioasid_user *user)
{
	struct ioasid_mm_worker *w;

	f->wq = ioasid_mm_wq(user);
	if (!f->wq)
		return -ENOMEM;
	f->mm = mm;
	spin_lock_init(&f->lock);
	INIT_LIST_HEAD(&f->bonds);
	INIT_LIST_HEAD(&f->groups);
	INIT_DELAYED_WORK(&f->watch, ioasid_mm_watch_fn);
	ioasid_for_each_worker(w, f) {
		INIT_WORK(&w->work, ioasid_mm_work_fn);
		w->faults = f;
	}
	return 0;
}

/**
 * ioasid_mm_faults_destroy() - wait until the workers have returned
 * @f: page requests of a process, which are not in use
 *
 * Context: can sleep.
 */
void ioasid_mm_faults_destroy(struct ioasid_mm_faults *f)
{
	struct ioasid_mm_worker *w;

	ioasid_for_each_worker(w, f)
		cancel_work_sync(&w->work);
	cancel_delayed_work_sync(&f->watch);
}

/**
 * ioasid_mm_faults_in_use() - check whether the code may still be called
 * @f: page requests of a process without a space
 *
 * Another driver can have the process bound, with a domain that calls the handler
 * here, and workers can still be waiting for memory.
 *
 * Context: any; takes ioasid_mm_faults.lock.
 *
 * Return: false once neither is so, which it stays.
 */
bool ioasid_mm_faults_in_use(struct ioasid_mm_faults *f)
{
	struct ioasid_mm_worker *w;

	if (compat_mm_has_domains(f->mm))
		return true;
	guard(spinlock)(&f->lock);
	ioasid_for_each_worker(w, f)
		if (w->busy)
			return true;
	return false;
}
