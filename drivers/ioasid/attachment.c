// SPDX-License-Identifier: GPL-2.0
/*
 * Lifetime of an attachment: allocation with the reserved ranges of its group,
 * and the deferred free. An attachment must never be freed while the IOMMU core
 * may still use its handle or page table.
 */
#include <linux/delay.h>
#include <linux/iommu.h>
#include <linux/module.h>
#include <linux/slab.h>
#include "ioasid_private.h"

/* How long the IOMMU core may use the handle after a detach */
#define IOASID_DEFERRED_FREE_SECONDS 2

static void ioasid_deferred_free_work_fn(struct work_struct *work);
static DEFINE_SPINLOCK(ioasid_deferred_free_lock);
static LIST_HEAD(ioasid_deferred_free_list);
static DECLARE_DELAYED_WORK(ioasid_deferred_free_work,
			    ioasid_deferred_free_work_fn);

/**
 * ioasid_attachment_alloc() - allocate an attachment with its reserved ranges
 * @g: the group
 * @extack: the reason if there is no memory
 *
 * Context: can sleep.
 *
 * Return: the attachment, to be freed by kfree(), or NULL.
 */
struct ioasid_attachment *ioasid_attachment_alloc(struct ioasid_group *g,
						  struct ioasid_extack *extack)
{
	struct ioasid_attachment *att = NULL;
	struct iommu_resv_region *region;
	LIST_HEAD(regions);
	u32 nr = 0;

	/* Without reserved regions this succeeds with an empty list */
	if (iommu_get_group_resv_regions(g->group, &regions))
		goto out;
	list_for_each_entry(region, &regions, list)
		nr++;
	att = kzalloc(struct_size(att, reserved, nr), GFP_KERNEL_ACCOUNT);
	if (!att)
		goto out;
	att->group = g;
	ioasid_fault_init(att);
	list_for_each_entry(region, &regions, list) {
		struct ioasid_iova_range *r = &att->reserved[att->nr_reserved];

		/* Relaxable regions matter only to the firmware */
		if (region->type == IOMMU_RESV_DIRECT_RELAXABLE ||
		    !region->length)
			continue;
		r->first = region->start & PAGE_MASK;
		r->last = (region->start + region->length - 1) | ~PAGE_MASK;
		att->nr_reserved++;
	}
out:
	while (!list_empty(&regions)) {
		region = list_first_entry(&regions, struct iommu_resv_region,
					  list);
		list_del(&region->list);
		kfree(region);
	}
	if (!att)
		ioasid_fail(extack, -ENOMEM, IOASID_REASON_NO_MEMORY,
			    "no memory for an attachment");
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

static void ioasid_attachment_free(struct ioasid_attachment *att)
{
	struct module *owner;

	if (att->orphan) {
		owner = att->orphan->domain->owner->owner;
		ioasid_domain_free(att->orphan);
		if (att->deferred_since)
			module_put(owner);
	}
	kfree(att);
}

static void ioasid_deferred_free_work_fn(struct work_struct *work)
{
	struct ioasid_attachment *att, *next;
	LIST_HEAD(old);

	spin_lock(&ioasid_deferred_free_lock);
	list_for_each_entry_safe(att, next, &ioasid_deferred_free_list,
				 space_link)
		if (time_after(jiffies,
			       att->deferred_since +
				       IOASID_DEFERRED_FREE_SECONDS * HZ))
			list_move(&att->space_link, &old);
	if (!list_empty(&ioasid_deferred_free_list))
		schedule_delayed_work(&ioasid_deferred_free_work, HZ);
	spin_unlock(&ioasid_deferred_free_lock);
	list_for_each_entry_safe(att, next, &old, space_link)
		ioasid_attachment_free(att);
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
	/* Never 0, which means that it is not deferred */
	att->deferred_since = jiffies | 1;
	spin_lock(&ioasid_deferred_free_lock);
	list_add_tail(&att->space_link, &ioasid_deferred_free_list);
	spin_unlock(&ioasid_deferred_free_lock);
	schedule_delayed_work(&ioasid_deferred_free_work,
			      (IOASID_DEFERRED_FREE_SECONDS + 1) * HZ);
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
	struct ioasid_attachment *att, *next;

	cancel_delayed_work_sync(&ioasid_deferred_free_work);
	list_for_each_entry_safe(att, next, &ioasid_deferred_free_list,
				 space_link) {
		list_del(&att->space_link);
		ioasid_attachment_free(att);
	}
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
