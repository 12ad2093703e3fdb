// SPDX-License-Identifier: GPL-2.0
/*
 * Unrecoverable faults: passes reports of blocked DMA on from the IOMMU driver
 * to the fault queue. The handler may run in an interrupt, so it must never
 * sleep, allocate or use anything but the reporters of a domain; a work item
 * makes the records. A device that causes faults without limit must never
 * displace the records of others.
 */
#include <linux/iommu.h>
#include "compat/iommu_quirk.h"
#include "queue.h"

/* --- the handler, in the context of the IOMMU driver -------------------- */

static void ioasid_unrecoverable_stage(struct ioasid_unrecoverable *r, u64 addr,
				       u32 flags, bool several)
{
	if (r->nr == ARRAY_SIZE(r->entries)) {
		r->lost_events++;
		return;
	}
	r->entries[r->nr].addr = addr;
	r->entries[r->nr].flags = flags;
	r->entries[r->nr].several = several;
	r->nr++;
	schedule_work(&r->work);
}

/* Finds a reporter of @dev whose space has, or once had, a queue */
static struct ioasid_unrecoverable *
ioasid_unrecoverable_find(struct ioasid_domain *d, struct device *dev,
			  bool *several)
{
	struct ioasid_unrecoverable *r, *found = NULL;
	struct ioasid_dev_pasid *dev_pasid;

	lockdep_assert_held(&d->reporters_lock);
	*several = false;
	list_for_each_entry(r, &d->reporters, node) {
		dev_pasid =
			container_of(r, struct ioasid_dev_pasid, unrecoverable);
		if (dev_pasid->idev->dev != dev ||
		    !READ_ONCE(dev_pasid->att->space->has_queue))
			continue;
		*several = found;
		found = r;
	}
	return found;
}

/* On an error the IOMMU driver writes the fault to the kernel log */
static int ioasid_unrecoverable_handler(struct iommu_domain *domain,
					struct device *dev, unsigned long iova,
					int flags, void *token)
{
	struct ioasid_domain *d = token;
	struct ioasid_unrecoverable *r;
	unsigned long irq;
	bool several;

	spin_lock_irqsave(&d->reporters_lock, irq);
	r = ioasid_unrecoverable_find(d, dev, &several);
	if (r)
		ioasid_unrecoverable_stage(r, iova,
					   flags & IOMMU_FAULT_WRITE ?
						   IOASID_FAULT_WRITE :
						   IOASID_FAULT_READ,
					   several);
	spin_unlock_irqrestore(&d->reporters_lock, irq);
	return r ? 0 : -EOPNOTSUPP;
}

/**
 * ioasid_unrecoverable_prepare() - set the fault handler of a new domain
 * @d: the domain, not attached yet
 * @dev: the device that it is made for
 *
 * Context: any.
 */
void ioasid_unrecoverable_prepare(struct ioasid_domain *d, struct device *dev)
{
	const struct ioasid_iommu_quirk *quirk = ioasid_iommu_quirk_of(dev);

	spin_lock_init(&d->reporters_lock);
	INIT_LIST_HEAD(&d->reporters);
	if (!quirk || !(quirk->caps & IOASID_DEVICE_UNRECOVERABLE))
		return;
	d->reports_unlocked = quirk->reports_unlocked;
	iommu_set_fault_handler(d->domain, ioasid_unrecoverable_handler, d);
}

/* --- the work ----------------------------------------------------------- */

/* A guess: drivers report no reason, and the mapping may have changed since */
static u32 ioasid_unrecoverable_reason(struct ioasid_space *space, u64 addr,
				       u32 flags)
{
	u32 mapped;

	/* Two page tables, one of which may be the user's, who knows better */
	if (space->parent)
		return IOASID_FAULT_UNKNOWN;
	mapped = ioasid_iova_access(space, addr);
	if (!mapped)
		return IOASID_FAULT_NOT_MAPPED;
	return flags & ~mapped ? IOASID_FAULT_PERMISSION : IOASID_FAULT_UNKNOWN;
}

/* Copies the entries, since records are made without the spinlock */
static void ioasid_unrecoverable_take(struct ioasid_dev_pasid *dev_pasid,
				      struct ioasid_unrecoverable *out)
{
	struct ioasid_domain *d = dev_pasid->att->domain;
	unsigned long irq;

	spin_lock_irqsave(&d->reporters_lock, irq);
	out->nr = dev_pasid->unrecoverable.nr;
	out->lost_events = dev_pasid->unrecoverable.lost_events;
	memcpy(out->entries, dev_pasid->unrecoverable.entries,
	       sizeof(out->entries));
	dev_pasid->unrecoverable.nr = 0;
	dev_pasid->unrecoverable.lost_events = 0;
	spin_unlock_irqrestore(&d->reporters_lock, irq);
}

static void ioasid_unrecoverable_report(struct ioasid_dev_pasid *dev_pasid)
{
	struct ioasid_unrecoverable got;
	u32 i;

	ioasid_unrecoverable_take(dev_pasid, &got);
	for (i = 0; i < got.nr; i++) {
		u64 addr = got.entries[i].addr;
		u32 flags = got.entries[i].flags;
		struct ioasid_fault_record record = {
			.type = IOASID_FAULT_UNRECOVERABLE,
			.flags = flags,
			.addr = addr,
			.nr = i + 1 < got.nr ? 1 : 1 + got.lost_events,
			.reason = ioasid_unrecoverable_reason(dev_pasid->att
								      ->space,
							      addr, flags),
		};

		ioasid_fault_report_event(dev_pasid, &record,
					  got.entries[i].several);
	}
}

static void ioasid_unrecoverable_work(struct work_struct *work)
{
	ioasid_unrecoverable_report(
		container_of(work, struct ioasid_dev_pasid, unrecoverable.work));
}

/**
 * ioasid_unrecoverable_init() - prepare the attachment of a device
 * @dev_pasid: the attachment of the device
 *
 * Context: any.
 */
void ioasid_unrecoverable_init(struct ioasid_dev_pasid *dev_pasid)
{
	INIT_LIST_HEAD(&dev_pasid->unrecoverable.node);
	INIT_WORK(&dev_pasid->unrecoverable.work, ioasid_unrecoverable_work);
}

/**
 * ioasid_unrecoverable_begin() - start to report the faults of an attachment
 * @dev_pasid: the attachment of a device; ignored if it has no domain of ours
 *
 * Context: can sleep; takes ioasid_domain.reporters_lock.
 */
void ioasid_unrecoverable_begin(struct ioasid_dev_pasid *dev_pasid)
{
	struct ioasid_domain *d = dev_pasid->att->domain;

	if (!d)
		return;
	spin_lock_irq(&d->reporters_lock);
	list_add_tail(&dev_pasid->unrecoverable.node, &d->reporters);
	spin_unlock_irq(&d->reporters_lock);
}

/**
 * ioasid_unrecoverable_end() - report what is left, and stop reporting
 * @dev_pasid: the attachment of the device
 *
 * Context: can sleep; waits for the work.
 */
void ioasid_unrecoverable_end(struct ioasid_dev_pasid *dev_pasid)
{
	struct ioasid_domain *d = dev_pasid->att->domain;

	if (!d)
		return;
	spin_lock_irq(&d->reporters_lock);
	list_del_init(&dev_pasid->unrecoverable.node);
	spin_unlock_irq(&d->reporters_lock);
	cancel_work_sync(&dev_pasid->unrecoverable.work);
	ioasid_unrecoverable_report(dev_pasid);
}
