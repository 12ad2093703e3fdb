// SPDX-License-Identifier: GPL-2.0
/*
 * DMA that the IOMMU has refused: from the IOMMU driver, which may be in an
 * interrupt, to the fault queue. The first half may not sleep, allocate or look
 * at anything but the listeners of a page table; the second half makes the
 * records. A device that does nothing but wrong must not push out what others
 * have to say.
 */
#include <linux/iommu.h>
#include "compat/reset.h"
#include "queue.h"

/* --- whose IOMMU tells what ------------------------------------------------- */

/**
 * struct ioasid_iommu_quirk - an IOMMU driver that tells more than page requests
 * @name: how the names of its IOMMUs in sysfs begin
 * @caps: IOASID_DEVICE_*
 * @late: it follows the pointer to the page table without a lock
 * @resets: it forgets page requests when the kernel resets a PCI device, where
 *	the kernel lets it know
 */
struct ioasid_iommu_quirk {
	const char *name;
	u32 caps;
	bool late;
	bool resets;
};

/* By their sources, since the kernel has no way to ask a driver */
static const struct ioasid_iommu_quirk ioasid_iommu_quirks[] = {
	{
		.name = "ioasid-sim",
		.caps = IOASID_DEVICE_UNRECOVERABLE |
			IOASID_DEVICE_UNRECOVERABLE_PASID |
			IOASID_DEVICE_RESETS,
	},
	/*
	 * AMD: with the page table of the RID, whatever the PASID was. Not what
	 * the IOMMU marks as an interrupt, as QEMU's does with everything.
	 */
	{ .name = "ivhd", .caps = IOASID_DEVICE_UNRECOVERABLE, .late = true },
	/* VT-d only writes refusals to the kernel log */
	{ .name = "dmar", .resets = true },
};

static const struct ioasid_iommu_quirk *
ioasid_iommu_quirk_of(struct device *dev)
{
	const struct device *iommu = dev->iommu->iommu_dev->dev;
	const struct ioasid_iommu_quirk *t;
	size_t i;

	for (i = 0; iommu && i < ARRAY_SIZE(ioasid_iommu_quirks); i++) {
		t = &ioasid_iommu_quirks[i];
		if (!strncmp(dev_name(iommu), t->name, strlen(t->name)))
			return t;
	}
	return NULL;
}

/**
 * ioasid_fault_caps() - what is told of the faults of a device
 * @dev: a device behind an IOMMU
 *
 * Return: IOASID_DEVICE_UNRECOVERABLE, _REFUSED_PASID and _RESETS.
 */
u32 ioasid_fault_caps(struct device *dev)
{
	const struct ioasid_iommu_quirk *t = ioasid_iommu_quirk_of(dev);

	if (!t)
		return 0;
	return t->caps | (t->resets && compat_reset_is_reported(dev) ?
				  IOASID_DEVICE_RESETS :
				  0);
}

/* --- the first half: in the IOMMU driver's context ----------------------------- */

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

/* One of those of @dev, if any hears; the lock is held */
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

/* The IOMMU driver writes to the kernel log what is not taken here */
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
 * ioasid_unrecoverable_prepare() - let a new page table hear of refused DMA
 * @d: the page table, not attached yet
 * @dev: the device that it is made for
 */
void ioasid_unrecoverable_prepare(struct ioasid_domain *d, struct device *dev)
{
	const struct ioasid_iommu_quirk *t = ioasid_iommu_quirk_of(dev);

	spin_lock_init(&d->reporters_lock);
	INIT_LIST_HEAD(&d->reporters);
	if (!t || !(t->caps & IOASID_DEVICE_UNRECOVERABLE))
		return;
	d->reports_unlocked = t->late;
	iommu_set_fault_handler(d->domain, ioasid_unrecoverable_handler, d);
}

/* --- the second half ------------------------------------------------------------ */

/* The driver does not say why; the space may have changed meanwhile */
static u32 ioasid_unrecoverable_reason(struct ioasid_space *space, u64 addr,
				       u32 flags)
{
	u32 mapped = ioasid_iova_access(space, addr);

	if (!mapped)
		return IOASID_FAULT_NOT_MAPPED;
	return flags & ~mapped ? IOASID_FAULT_PERMISSION : IOASID_FAULT_UNKNOWN;
}

/* Takes what is there; the lock is not held any more when records are made */
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

		ioasid_queue_report_event(dev_pasid, &record,
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
 */
void ioasid_unrecoverable_init(struct ioasid_dev_pasid *dev_pasid)
{
	INIT_LIST_HEAD(&dev_pasid->unrecoverable.node);
	INIT_WORK(&dev_pasid->unrecoverable.work, ioasid_unrecoverable_work);
}

/**
 * ioasid_unrecoverable_begin() - hear of what the IOMMU refuses
 * @dev_pasid: the attachment, of a device that uses its attachment's page table
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
 * ioasid_unrecoverable_end() - hear no more, and tell what was heard
 * @dev_pasid: the attachment of the device
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
