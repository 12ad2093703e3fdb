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
 * struct ioasid_teller - an IOMMU driver that tells more than page requests
 * @name: how the names of its IOMMUs in sysfs begin
 * @caps: IOASID_DEVICE_*
 * @late: it follows the pointer to the page table without a lock
 * @resets: it forgets page requests when the kernel resets a PCI device, where
 *	the kernel lets it know
 */
struct ioasid_teller {
	const char *name;
	u32 caps;
	bool late;
	bool resets;
};

/* By their sources, since the kernel has no way to ask a driver */
static const struct ioasid_teller ioasid_tellers[] = {
	{
		.name = "ioasid-sim",
		.caps = IOASID_DEVICE_REFUSED | IOASID_DEVICE_REFUSED_PASID |
			IOASID_DEVICE_RESETS,
	},
	/*
	 * AMD: with the page table of the RID, whatever the PASID was. Not what
	 * the IOMMU marks as an interrupt, as QEMU's does with everything.
	 */
	{ .name = "ivhd", .caps = IOASID_DEVICE_REFUSED, .late = true },
	/* VT-d only writes refusals to the kernel log */
	{ .name = "dmar", .resets = true },
};

static const struct ioasid_teller *ioasid_teller_of(struct device *dev)
{
	const struct device *iommu = dev->iommu->iommu_dev->dev;
	const struct ioasid_teller *t;
	size_t i;

	for (i = 0; iommu && i < ARRAY_SIZE(ioasid_tellers); i++) {
		t = &ioasid_tellers[i];
		if (!strncmp(dev_name(iommu), t->name, strlen(t->name)))
			return t;
	}
	return NULL;
}

/**
 * ioasid_fault_caps() - what is told of the faults of a device
 * @dev: a device behind an IOMMU
 *
 * Return: IOASID_DEVICE_REFUSED, _REFUSED_PASID and _RESETS.
 */
u32 ioasid_fault_caps(struct device *dev)
{
	const struct ioasid_teller *t = ioasid_teller_of(dev);

	if (!t)
		return 0;
	return t->caps | (t->resets && compat_reset_is_told(dev) ?
			  IOASID_DEVICE_RESETS : 0);
}

/* --- the first half: in the IOMMU driver's context ----------------------------- */

static void ioasid_refused_stage(struct ioasid_refused *r, u64 addr, u32 flags,
				 bool several)
{
	if (r->nr == ARRAY_SIZE(r->entries)) {
		r->missed++;
		return;
	}
	r->entries[r->nr].addr = addr;
	r->entries[r->nr].flags = flags;
	r->entries[r->nr].several = several;
	r->nr++;
	schedule_work(&r->work);
}

/* One of those of @dev, if any hears; the lock is held */
static struct ioasid_refused *ioasid_refused_find(struct ioasid_domain *d,
						  struct device *dev,
						  bool *several)
{
	struct ioasid_refused *r, *found = NULL;
	struct ioasid_link *link;

	*several = false;
	list_for_each_entry(r, &d->listeners, node) {
		link = container_of(r, struct ioasid_link, refused);
		if (link->idev->dev != dev || !READ_ONCE(link->att->space->heard))
			continue;
		*several = found;
		found = r;
	}
	return found;
}

/* The IOMMU driver writes to the kernel log what is not taken here */
static int ioasid_refused_handler(struct iommu_domain *domain,
				  struct device *dev, unsigned long iova,
				  int flags, void *token)
{
	struct ioasid_domain *d = token;
	struct ioasid_refused *r;
	unsigned long irq;
	bool several;

	spin_lock_irqsave(&d->refused_lock, irq);
	r = ioasid_refused_find(d, dev, &several);
	if (r)
		ioasid_refused_stage(r, iova, flags & IOMMU_FAULT_WRITE ?
				     IOASID_FAULT_WRITE : IOASID_FAULT_READ,
				     several);
	spin_unlock_irqrestore(&d->refused_lock, irq);
	return r ? 0 : -EOPNOTSUPP;
}

/**
 * ioasid_refused_prepare() - let a new page table hear of refused DMA
 * @d: the page table, not attached yet
 * @dev: the device that it is made for
 */
void ioasid_refused_prepare(struct ioasid_domain *d, struct device *dev)
{
	const struct ioasid_teller *t = ioasid_teller_of(dev);

	spin_lock_init(&d->refused_lock);
	INIT_LIST_HEAD(&d->listeners);
	if (!t || !(t->caps & IOASID_DEVICE_REFUSED))
		return;
	d->told_late = t->late;
	iommu_set_fault_handler(d->domain, ioasid_refused_handler, d);
}

/* --- the second half ------------------------------------------------------------ */

/* The driver does not say why; the space may have changed meanwhile */
static u32 ioasid_refused_reason(struct ioasid_space *space, u64 addr, u32 flags)
{
	u32 mapped = ioasid_iova_access(space, addr);

	if (!mapped)
		return IOASID_FAULT_NOT_MAPPED;
	return flags & ~mapped ? IOASID_FAULT_PERMISSION : IOASID_FAULT_UNKNOWN;
}

/* Takes what is there; the lock is not held any more when records are made */
static void ioasid_refused_take(struct ioasid_link *link,
				struct ioasid_refused *out)
{
	struct ioasid_domain *d = link->att->domain;
	unsigned long irq;

	spin_lock_irqsave(&d->refused_lock, irq);
	out->nr = link->refused.nr;
	out->missed = link->refused.missed;
	memcpy(out->entries, link->refused.entries, sizeof(out->entries));
	link->refused.nr = 0;
	link->refused.missed = 0;
	spin_unlock_irqrestore(&d->refused_lock, irq);
}

static void ioasid_refused_tell(struct ioasid_link *link)
{
	struct ioasid_refused got;
	u32 i;

	ioasid_refused_take(link, &got);
	for (i = 0; i < got.nr; i++) {
		u64 addr = got.entries[i].addr;
		u32 flags = got.entries[i].flags;
		struct ioasid_fault_record record = {
			.type = IOASID_FAULT_UNRECOVERABLE,
			.flags = flags,
			.addr = addr,
			.nr = i + 1 < got.nr ? 1 : 1 + got.missed,
			.reason = ioasid_refused_reason(link->att->space, addr,
							flags),
		};

		ioasid_fault_news(link, &record, got.entries[i].several);
	}
}

static void ioasid_refused_work(struct work_struct *work)
{
	ioasid_refused_tell(container_of(work, struct ioasid_link,
					 refused.work));
}

/**
 * ioasid_refused_init() - prepare a new link
 * @link: the link
 */
void ioasid_refused_init(struct ioasid_link *link)
{
	INIT_LIST_HEAD(&link->refused.node);
	INIT_WORK(&link->refused.work, ioasid_refused_work);
}

/**
 * ioasid_refused_begin() - hear of what the IOMMU refuses
 * @link: the link, of a device that uses its attachment's page table
 */
void ioasid_refused_begin(struct ioasid_link *link)
{
	struct ioasid_domain *d = link->att->domain;

	if (!d)
		return;
	spin_lock_irq(&d->refused_lock);
	list_add_tail(&link->refused.node, &d->listeners);
	spin_unlock_irq(&d->refused_lock);
}

/**
 * ioasid_refused_end() - hear no more, and tell what was heard
 * @link: the link
 */
void ioasid_refused_end(struct ioasid_link *link)
{
	struct ioasid_domain *d = link->att->domain;

	if (!d)
		return;
	spin_lock_irq(&d->refused_lock);
	list_del_init(&link->refused.node);
	spin_unlock_irq(&d->refused_lock);
	cancel_work_sync(&link->refused.work);
	ioasid_refused_tell(link);
}
