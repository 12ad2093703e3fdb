// SPDX-License-Identifier: GPL-2.0
/*
 * Lifetime of an attachment: allocation with the reserved ranges of its group,
 * and the deferred free. An attachment must never be freed while the IOMMU core
 * may still use its handle or page table.
 */
#include <linux/delay.h>
#include <linux/iommu.h>
#include <linux/module.h>
#include <linux/refcount.h>
#include <linux/slab.h>
#include <linux/wait.h>
#include "ioasid_private.h"

/* How long the IOMMU core may use the handle after a detach */
#define IOASID_DEFERRED_FREE_SECONDS 2

/* Limits of a context and of a user; above them an attach waits for the oldest */
#define IOASID_MAX_DEFERRED		1024
#define IOASID_MAX_DEFERRED_TABLES	2048
#define IOASID_MAX_USER_DEFERRED	2048
#define IOASID_MAX_USER_DEFERRED_TABLES	16384

/**
 * struct ioasid_deferred - what is deferred of a context, which it can outlive
 * @ref: held by the context, and by its attachments
 * @user: the user of the context; referenced
 * @nr: number of attachments whose free is deferred; under
 *	ioasid_deferred_free_lock
 * @tables: number of pages of page tables that these keep, about
 */
struct ioasid_deferred {
	refcount_t ref;
	struct ioasid_user *user;
	u32 nr;
	u32 tables;
};

static void ioasid_deferred_free_work_fn(struct work_struct *work);
static DEFINE_SPINLOCK(ioasid_deferred_free_lock);
static LIST_HEAD(ioasid_deferred_free_list);	/* oldest first */
static DECLARE_DELAYED_WORK(ioasid_deferred_free_work,
			    ioasid_deferred_free_work_fn);
/* Woken when something has been freed */
static DECLARE_WAIT_QUEUE_HEAD(ioasid_deferred_free_waiters);

/**
 * ioasid_attachment_alloc() - allocate an attachment with its reserved ranges
 * @g: the group, which has a bound device
 * @extack: the reason if there is no memory
 *
 * Context: ioasid_group.lock is held; can sleep.
 *
 * Return: the attachment, to be freed by ioasid_attachment_free(), or NULL.
 */
struct ioasid_attachment *ioasid_attachment_alloc(struct ioasid_group *g,
						  struct ioasid_extack *extack)
{
	struct ioasid_attachment *att = kzalloc(sizeof(*att),
						GFP_KERNEL_ACCOUNT);

	lockdep_assert_held(&g->lock);
	if (!att) {
		ioasid_fail(extack, -ENOMEM, IOASID_REASON_NO_MEMORY,
			    "no memory for an attachment");
		return NULL;
	}
	att->group = g;
	att->regions = ioasid_regions_get(g->regions);
	ioasid_fault_init(att);
	return att;
}

/* --- deferred free ------------------------------------------------------ */

/**
 * ioasid_space_may_report() - check whether faults can be in progress
 * @space: the space
 *
 * Context: any.
 *
 * Return: false if the space has no page requests and never had a queue.
 */
bool ioasid_space_may_report(struct ioasid_space *space)
{
	return space->faults || READ_ONCE(space->has_queue);
}

/**
 * ioasid_deferred_new() - begin to count what is deferred of a context
 * @user: the user of the context
 *
 * Context: can sleep.
 *
 * Return: the counts with a reference, or NULL without memory.
 */
struct ioasid_deferred *ioasid_deferred_new(struct ioasid_user *user)
{
	struct ioasid_deferred *d = kzalloc(sizeof(*d), GFP_KERNEL_ACCOUNT);

	if (!d)
		return NULL;
	refcount_set(&d->ref, 1);
	d->user = ioasid_user_ref(user);
	return d;
}

/**
 * ioasid_deferred_get() - take a reference
 * @d: the counts of a context
 *
 * Context: any.
 *
 * Return: @d.
 */
struct ioasid_deferred *ioasid_deferred_get(struct ioasid_deferred *d)
{
	refcount_inc(&d->ref);
	return d;
}

/**
 * ioasid_deferred_put() - put a reference
 * @d: the counts of a context
 *
 * Context: can sleep.
 */
void ioasid_deferred_put(struct ioasid_deferred *d)
{
	if (!refcount_dec_and_test(&d->ref))
		return;
	ioasid_user_put(d->user);
	kfree(d);
}

/**
 * ioasid_attachment_free() - free an attachment at once
 * @att: the attachment, in no table and no list; the IOMMU core has never seen
 *	its handle, or cannot look at it any more; its @orphan is freed as well
 *
 * Context: can sleep.
 */
void ioasid_attachment_free(struct ioasid_attachment *att)
{
	struct module *owner;

	if (att->orphan) {
		owner = att->orphan->domain->owner->owner;
		ioasid_domain_put(att->orphan);
		if (att->deferred_since)
			module_put(owner);
	}
	if (att->deferred)
		ioasid_deferred_put(att->deferred);
	ioasid_regions_put(att->regions);
	kfree(att);
}

static unsigned long ioasid_deferred_until(const struct ioasid_attachment *att)
{
	return att->deferred_since + IOASID_DEFERRED_FREE_SECONDS * HZ;
}

/* The oldest one if its time is over, or @now; taken off the list */
static struct ioasid_attachment *ioasid_deferred_pop(bool now)
{
	struct ioasid_attachment *att;

	guard(spinlock)(&ioasid_deferred_free_lock);
	att = list_first_entry_or_null(&ioasid_deferred_free_list,
				       struct ioasid_attachment, space_link);
	if (!att || (!now && time_before(jiffies, ioasid_deferred_until(att))))
		return NULL;
	list_del(&att->space_link);
	return att;
}

static void ioasid_deferred_count(struct ioasid_deferred *d, int nr, int tables)
{
	lockdep_assert_held(&ioasid_deferred_free_lock);
	d->nr += nr;
	d->tables += tables;
	d->user->nr_deferred += nr;
	d->user->deferred_tables += tables;
}

static u32 ioasid_deferred_tables(const struct ioasid_attachment *att)
{
	return att->orphan ? att->orphan->tables : 0;
}

static void ioasid_deferred_free(struct ioasid_attachment *att)
{
	struct ioasid_deferred *d = ioasid_deferred_get(att->deferred);
	u32 tables = ioasid_deferred_tables(att);

	ioasid_attachment_free(att);
	/* Only now, since whoever waits for it counts on its memory */
	scoped_guard(spinlock, &ioasid_deferred_free_lock)
		ioasid_deferred_count(d, -1, -tables);
	ioasid_deferred_put(d);
	wake_up_all(&ioasid_deferred_free_waiters);
}

static void ioasid_deferred_free_arm(void)
{
	struct ioasid_attachment *att;

	guard(spinlock)(&ioasid_deferred_free_lock);
	att = list_first_entry_or_null(&ioasid_deferred_free_list,
				       struct ioasid_attachment, space_link);
	if (att)
		schedule_delayed_work(&ioasid_deferred_free_work,
				      max_t(long, ioasid_deferred_until(att) -
						  jiffies, 1));
}

static void ioasid_deferred_free_work_fn(struct work_struct *work)
{
	struct ioasid_attachment *att;

	while ((att = ioasid_deferred_pop(false))) {
		ioasid_deferred_free(att);
		cond_resched();
	}
	ioasid_deferred_free_arm();
}

/**
 * ioasid_attachment_free_deferred() - free an attachment, deferred if necessary
 * @att: the attachment, in no table and no list; its @orphan is freed as well
 *
 * The IOMMU core follows the pointers to its handle and page table without a
 * lock; so do IOMMU drivers that report unrecoverable faults. A deferred domain
 * keeps a reference on the module of its IOMMU driver.
 *
 * Context: can sleep; takes ioasid_deferred_free_lock.
 */
void ioasid_attachment_free_deferred(struct ioasid_attachment *att)
{
	ioasid_queue_put(att->queue);
	if (!ioasid_space_may_report(att->space) &&
	    !(att->orphan && att->orphan->reports_unlocked)) {
		ioasid_attachment_free(att);
		return;
	}
	if (att->orphan)
		__module_get(att->orphan->domain->owner->owner);
	/* Never 0, which stands for not deferred */
	att->deferred_since = jiffies | 1;
	scoped_guard(spinlock, &ioasid_deferred_free_lock) {
		list_add_tail(&att->space_link, &ioasid_deferred_free_list);
		ioasid_deferred_count(att->deferred, 1,
				      ioasid_deferred_tables(att));
	}
	ioasid_deferred_free_arm();
}

static bool ioasid_deferred_has_room(struct ioasid_deferred *d)
{
	guard(spinlock)(&ioasid_deferred_free_lock);
	return d->nr < IOASID_MAX_DEFERRED &&
	       d->tables < IOASID_MAX_DEFERRED_TABLES &&
	       d->user->nr_deferred < IOASID_MAX_USER_DEFERRED &&
	       d->user->deferred_tables < IOASID_MAX_USER_DEFERRED_TABLES;
}

/**
 * ioasid_deferred_free_throttle() - wait while too much of a context is deferred
 * @d: what is deferred of the context that is about to attach
 * @extack: the reason if it fails
 *
 * A detach cannot wait, so that an attach does: whoever attaches and detaches in
 * a loop uses no more than his share of the ids and of the memory of the machine,
 * even if he does it with one context after the other.
 *
 * Context: ioasid_ctx.lock may be held, and no lock that other contexts take;
 * sleeps up to IOASID_DEFERRED_FREE_SECONDS.
 *
 * Return: 0, or -EINTR if killed.
 */
int ioasid_deferred_free_throttle(struct ioasid_deferred *d,
				  struct ioasid_extack *extack)
{
	if (!wait_event_killable(ioasid_deferred_free_waiters,
				 ioasid_deferred_has_room(d)))
		return 0;
	return ioasid_fail(extack, -EINTR, IOASID_REASON_KILLED,
			   "killed while waiting for earlier attachments to be freed");
}

static bool ioasid_deferred_is_older(unsigned long time)
{
	struct ioasid_attachment *att;

	guard(spinlock)(&ioasid_deferred_free_lock);
	att = list_first_entry_or_null(&ioasid_deferred_free_list,
				       struct ioasid_attachment, space_link);
	return att && time_before(att->deferred_since, time);
}

/**
 * ioasid_deferred_free_wait() - wait until all that is deferred now is freed
 *
 * Context: sleeps up to IOASID_DEFERRED_FREE_SECONDS.
 *
 * Return: false if that was nothing, or the caller is killed.
 */
bool ioasid_deferred_free_wait(void)
{
	unsigned long now = jiffies + 1;

	if (!ioasid_deferred_is_older(now))
		return false;
	return !wait_event_killable(ioasid_deferred_free_waiters,
				    !ioasid_deferred_is_older(now));
}

/**
 * ioasid_deferred_free_flush() - free all deferred attachments at once
 *
 * Call it only when the IOMMU core can no longer use any of them and no new one
 * can be added.
 *
 * Context: can sleep; waits for the work.
 */
void ioasid_deferred_free_flush(void)
{
	struct ioasid_attachment *att;

	cancel_delayed_work_sync(&ioasid_deferred_free_work);
	while ((att = ioasid_deferred_pop(true)))
		ioasid_deferred_free(att);
}

/**
 * ioasid_deferred_free_teardown() - free all deferred attachments at unload
 *
 * Context: can sleep; waits until no deferred attachment can be in use. No
 * context is left.
 */
void ioasid_deferred_free_teardown(void)
{
	/* The IOMMU core may still use a handle, and call our code */
	if (!list_empty(&ioasid_deferred_free_list))
		msleep(IOASID_DEFERRED_FREE_SECONDS * MSEC_PER_SEC);
	ioasid_deferred_free_flush();
}
