// SPDX-License-Identifier: GPL-2.0
/*
 * The PASIDs of processes, each charged once, for as long as it exists. The
 * kernel gives a process its PASID at the first bind, and takes it back with the
 * last reference on the mm_struct: long after the space is freed, and after the
 * process has exited, if something of it is still held. Nobody is told of that
 * end, so each charge holds a reference of its own, and is over when that one is
 * the last. A PASID must never be uncharged before it is back in the pool.
 */
#include <linux/delay.h>
#include <linux/hashtable.h>
#include <linux/iommu.h>
#include <linux/module.h>
#include <linux/rculist.h>
#include <linux/sched/mm.h>
#include <linux/sched/signal.h>
#include <linux/slab.h>
#include "mm.h"

/* Charges looked at while the lock is held once */
#define IOASID_MM_PASID_BATCH	64

/* How often to wait 20 ms for those that have exited just before */
#define IOASID_MM_PASID_WAITS	25

/* How often to look for processes that have gone: soon, and later on */
#define IOASID_MM_PASID_SOON	DIV_ROUND_UP(HZ, 50)
#define IOASID_MM_PASID_LATER	HZ

static void ioasid_mm_pasid_work_fn(struct work_struct *work);
static DEFINE_SPINLOCK(ioasid_mm_pasid_lock);
static DEFINE_HASHTABLE(ioasid_mm_pasid_table, 8);
static LIST_HEAD(ioasid_mm_pasid_idle);
static u32 ioasid_nr_idle;
static unsigned long ioasid_last_idle;
static bool ioasid_armed_later;
static DECLARE_DELAYED_WORK(ioasid_mm_pasid_work, ioasid_mm_pasid_work_fn);

static struct ioasid_mm_pasid *ioasid_mm_pasid_find(struct mm_struct *mm)
{
	struct ioasid_mm_pasid *p;

	lockdep_assert_held(&ioasid_mm_pasid_lock);
	hash_for_each_possible(ioasid_mm_pasid_table, p, node,
			       (unsigned long)mm)
		if (p->mm == mm)
			return p;
	return NULL;
}

/**
 * ioasid_mm_faults_of() - look the page requests of a process up
 * @mm: the process, which has a domain
 *
 * Context: any. Does not take ioasid_mm_pasid_lock, which others hold.
 *
 * Return: its page requests, which stay as long as the domain; or NULL.
 */
struct ioasid_mm_faults *ioasid_mm_faults_of(struct mm_struct *mm)
{
	struct ioasid_mm_pasid *p;

	guard(rcu)();
	hash_for_each_possible_rcu(ioasid_mm_pasid_table, p, node,
				   (unsigned long)mm)
		if (p->mm == mm)
			return &p->faults;
	return NULL;
}

/*
 * With ours alone the process has exited, and nobody can take another reference.
 * A bind that has failed may also have left the process without a PASID.
 */
static bool ioasid_mm_pasid_is_over(const struct ioasid_mm_pasid *p)
{
	return atomic_read(&p->mm->mm_count) == 1 || !mm_valid_pasid(p->mm);
}

static void ioasid_mm_pasid_set_idle(struct ioasid_mm_pasid *p, bool idle)
{
	lockdep_assert_held(&ioasid_mm_pasid_lock);
	if (idle == !list_empty(&p->idle))
		return;
	if (idle)
		list_add_tail(&p->idle, &ioasid_mm_pasid_idle);
	else
		list_del_init(&p->idle);
	ioasid_nr_idle += idle ? 1 : -1;
}

/* Takes a charge out of the table, so that only the caller has it any more */
static void ioasid_mm_pasid_unlink(struct ioasid_mm_pasid *p)
{
	lockdep_assert_held(&ioasid_mm_pasid_lock);
	ioasid_mm_pasid_set_idle(p, false);
	hash_del_rcu(&p->node);
}

/*
 * Without a space nothing else keeps the module. Taken by the last space, while the
 * caller has the module anyway, and given back as soon as it is not needed.
 */
static void ioasid_mm_pasid_hold_module(struct ioasid_mm_pasid *p)
{
	lockdep_assert_held(&ioasid_mm_pasid_lock);
	if (p->holds_module || !ioasid_mm_faults_in_use(&p->faults))
		return;
	__module_get(THIS_MODULE);
	p->holds_module = true;
}

static void ioasid_mm_pasid_put_module(struct ioasid_mm_pasid *p)
{
	if (p->holds_module)
		module_put(THIS_MODULE);
	p->holds_module = false;
}

/* The last reference on the process gives its PASID back to the pool */
static void ioasid_mm_pasid_free(struct ioasid_mm_pasid *p)
{
	ioasid_mm_faults_destroy(&p->faults);
	ioasid_mm_pasid_put_module(p);
	mmdrop(p->mm);
	spin_lock(&ioasid_mm_pasid_lock);
	if (p->ctx) {
		list_del(&p->ctx_node);
		atomic64_dec(&p->ctx->used[IOASID_QUOTA_PASIDS]);
	}
	spin_unlock(&ioasid_mm_pasid_lock);
	ioasid_uncharge_user(p->user, IOASID_QUOTA_PASIDS, 1);
	ioasid_user_put(p->user);
	kfree_rcu(p, rcu);
}

/* The oldest of up to @nr idle charges that is over, unlinked; or NULL */
static struct ioasid_mm_pasid *ioasid_mm_pasid_next_over(u32 *nr)
{
	struct ioasid_mm_pasid *p;
	u32 n;

	guard(spinlock)(&ioasid_mm_pasid_lock);
	for (n = 0; n < IOASID_MM_PASID_BATCH && *nr; n++, --*nr) {
		p = list_first_entry_or_null(&ioasid_mm_pasid_idle,
					     struct ioasid_mm_pasid, idle);
		if (!p) {
			*nr = 0;
			break;
		}
		if (ioasid_mm_pasid_is_over(p)) {
			--*nr;
			ioasid_mm_pasid_unlink(p);
			return p;
		}
		if (!ioasid_mm_faults_in_use(&p->faults))
			ioasid_mm_pasid_put_module(p);
		list_move_tail(&p->idle, &ioasid_mm_pasid_idle);
	}
	return NULL;
}

/* Looks at up to @nr idle charges, and frees the first one that is over */
static bool ioasid_mm_pasid_reap(u32 *nr)
{
	struct ioasid_mm_pasid *p;

	while (*nr) {
		p = ioasid_mm_pasid_next_over(nr);
		if (p) {
			ioasid_mm_pasid_free(p);
			return true;
		}
		cond_resched();
	}
	return false;
}

/**
 * ioasid_mm_pasid_reap_one() - free the PASID of a process that has gone
 *
 * The work does it, too, but not at once: for whoever finds none left.
 *
 * Context: can sleep; takes ioasid_mm_pasid_lock.
 *
 * Return: false if there was none.
 */
bool ioasid_mm_pasid_reap_one(void)
{
	u32 nr = READ_ONCE(ioasid_nr_idle);

	return ioasid_mm_pasid_reap(&nr);
}

/*
 * Soon if there is a process that is probably just exiting. What is pending is
 * never put off, however many exit.
 */
static void ioasid_mm_pasid_arm(void)
{
	bool soon = time_before(jiffies, ioasid_last_idle +
				IOASID_MM_PASID_LATER);

	lockdep_assert_held(&ioasid_mm_pasid_lock);
	if (list_empty(&ioasid_mm_pasid_idle))
		return;
	if (soon && ioasid_armed_later)
		cancel_delayed_work(&ioasid_mm_pasid_work);
	if (schedule_delayed_work(&ioasid_mm_pasid_work,
				  soon ? IOASID_MM_PASID_SOON :
					 IOASID_MM_PASID_LATER))
		ioasid_armed_later = !soon;
}

static void ioasid_mm_pasid_work_fn(struct work_struct *work)
{
	u32 nr = READ_ONCE(ioasid_nr_idle);

	while (ioasid_mm_pasid_reap(&nr))
		;
	guard(spinlock)(&ioasid_mm_pasid_lock);
	ioasid_mm_pasid_arm();
}

/* Has any of them exited, so that its PASID may be back in a moment? */
static bool ioasid_mm_pasid_any_exited(void)
{
	struct ioasid_mm_pasid *p;
	u32 n = 0;

	guard(spinlock)(&ioasid_mm_pasid_lock);
	list_for_each_entry(p, &ioasid_mm_pasid_idle, idle) {
		if (!atomic_read(&p->mm->mm_users))
			return true;
		if (n++ == IOASID_MM_PASID_BATCH)
			break;
	}
	return false;
}

/**
 * ioasid_charge_pasid() - charge a PASID to a context and its user
 * @ctx: the context
 * @extack: the reason if it fails
 *
 * Undone by ioasid_uncharge().
 *
 * Context: can sleep; takes ioasid_mm_pasid_lock.
 *
 * Return: 0, or -EDQUOT above the limit of the context or of the user.
 */
int ioasid_charge_pasid(struct ioasid_ctx *ctx, struct ioasid_extack *extack)
{
	u32 waits = IOASID_MM_PASID_WAITS;
	int rc;

	for (;;) {
		rc = ioasid_charge(ctx, IOASID_QUOTA_PASIDS, 1, extack);
		if (!rc)
			return 0;
		if (!ioasid_mm_pasid_reap_one()) {
			if (!waits-- || !ioasid_mm_pasid_any_exited() ||
			    fatal_signal_pending(current))
				return rc;
			msleep(20);
		}
		extack->code = IOASID_REASON_NONE;
	}
}

/* Returns the charge that there is, for one space more; or NULL */
static struct ioasid_mm_pasid *ioasid_mm_pasid_join(struct mm_struct *mm)
{
	struct ioasid_mm_pasid *p;

	guard(spinlock)(&ioasid_mm_pasid_lock);
	p = ioasid_mm_pasid_find(mm);
	if (!p)
		return NULL;
	p->spaces++;
	ioasid_mm_pasid_set_idle(p, false);
	return p;
}

/* Unless another thread has been faster: then returns its charge */
static struct ioasid_mm_pasid *ioasid_mm_pasid_add(struct ioasid_mm_pasid *new)
{
	struct ioasid_mm_pasid *p;

	guard(spinlock)(&ioasid_mm_pasid_lock);
	p = ioasid_mm_pasid_find(new->mm);
	if (p) {
		p->spaces++;
		ioasid_mm_pasid_set_idle(p, false);
		return p;
	}
	hash_add_rcu(ioasid_mm_pasid_table, &new->node, (unsigned long)new->mm);
	list_add_tail(&new->ctx_node, &new->ctx->mm_pasids);
	return new;
}

static struct ioasid_mm_pasid *ioasid_mm_pasid_new(struct ioasid_ctx *ctx,
						   struct mm_struct *mm,
						   struct ioasid_extack *extack)
{
	struct ioasid_mm_pasid *p = kzalloc(sizeof(*p), GFP_KERNEL_ACCOUNT);
	int rc = -ENOMEM;

	if (!p) {
		ioasid_fail(extack, rc, IOASID_REASON_NO_MEMORY,
			    "no memory for the PASID of a process");
		return ERR_PTR(rc);
	}
	rc = ioasid_charge_pasid(ctx, extack);
	if (rc)
		goto free;
	rc = ioasid_mm_faults_init(&p->faults, mm, ctx->user);
	if (rc) {
		ioasid_fail(extack, rc, IOASID_REASON_NO_MEMORY,
			    "no memory for the page requests of a process");
		goto uncharge;
	}
	INIT_LIST_HEAD(&p->idle);
	p->mm = mm;
	mmgrab(mm);
	p->user = ioasid_user_ref(ctx->user);
	p->ctx = ctx;
	p->spaces = 1;
	return p;
uncharge:
	ioasid_uncharge(ctx, IOASID_QUOTA_PASIDS, 1);
free:
	kfree(p);
	return ERR_PTR(rc);
}

/**
 * ioasid_mm_pasid_get() - charge the PASID of a process before it is made
 * @ctx: the context, which is charged if nobody is yet
 * @mm: the process
 * @extack: the reason if it fails
 *
 * Context: the process itself; ioasid_ctx.lock is held; can sleep. Takes
 * ioasid_mm_pasid_lock.
 *
 * Return: the charge with a reference for one space, or ERR_PTR of -EDQUOT above
 * the limit of the context or the user, -ENOMEM.
 */
struct ioasid_mm_pasid *ioasid_mm_pasid_get(struct ioasid_ctx *ctx,
					    struct mm_struct *mm,
					    struct ioasid_extack *extack)
{
	struct ioasid_mm_pasid *p = ioasid_mm_pasid_join(mm), *new;

	lockdep_assert_held(&ctx->lock);
	if (p)
		return p;
	new = ioasid_mm_pasid_new(ctx, mm, extack);
	if (IS_ERR(new))
		return new;
	p = ioasid_mm_pasid_add(new);
	if (p == new)
		return p;
	mmdrop(mm);
	ioasid_user_put(new->user);
	ioasid_uncharge(ctx, IOASID_QUOTA_PASIDS, 1);
	kfree(new);
	return p;
}

/**
 * ioasid_mm_pasid_put() - put the reference of a space
 * @p: the charge; stays as long as the process has its PASID
 *
 * Context: can sleep; takes ioasid_mm_pasid_lock.
 */
void ioasid_mm_pasid_put(struct ioasid_mm_pasid *p)
{
	bool over = false;

	spin_lock(&ioasid_mm_pasid_lock);
	if (!--p->spaces) {
		over = ioasid_mm_pasid_is_over(p);
		if (over) {
			ioasid_mm_pasid_unlink(p);
		} else {
			ioasid_mm_pasid_hold_module(p);
			ioasid_mm_pasid_set_idle(p, true);
			ioasid_last_idle = jiffies;
			ioasid_mm_pasid_arm();
		}
	}
	spin_unlock(&ioasid_mm_pasid_lock);
	if (over)
		ioasid_mm_pasid_free(p);
}

/**
 * ioasid_mm_pasids_end_ctx() - leave the charges of a context to its user
 * @ctx: the context, without other users
 *
 * Context: can sleep; takes ioasid_mm_pasid_lock.
 */
void ioasid_mm_pasids_end_ctx(struct ioasid_ctx *ctx)
{
	struct ioasid_mm_pasid *p;
	bool more;

	do {
		spin_lock(&ioasid_mm_pasid_lock);
		p = list_first_entry_or_null(&ctx->mm_pasids,
					     struct ioasid_mm_pasid, ctx_node);
		more = p;
		if (p) {
			list_del(&p->ctx_node);
			p->ctx = NULL;
			atomic64_dec(&ctx->used[IOASID_QUOTA_PASIDS]);
		}
		spin_unlock(&ioasid_mm_pasid_lock);
	} while (more);
}

/* Without a context there is none left but of processes that still hold theirs */
void ioasid_mm_pasids_teardown(void)
{
	struct ioasid_mm_pasid *p, *next;

	cancel_delayed_work_sync(&ioasid_mm_pasid_work);
	list_for_each_entry_safe(p, next, &ioasid_mm_pasid_idle, idle) {
		spin_lock(&ioasid_mm_pasid_lock);
		ioasid_mm_pasid_unlink(p);
		spin_unlock(&ioasid_mm_pasid_lock);
		ioasid_mm_pasid_free(p);
	}
}
