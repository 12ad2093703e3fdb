// SPDX-License-Identifier: GPL-2.0
/*
 * The PASID tables of the endpoints, and the invalidations that are due when an
 * entry or a page table behind one changes. When one of these functions returns,
 * the old domain or translation must never be used any more.
 */
#include <linux/slab.h>
#include "unit.h"

static void sim_flush_entry(struct sim_entry *entry, u32 tag, u64 first, u64 last)
{
	struct ioasid_sim_dev *sdev = entry->sdev;

	lockdep_assert_held_write(&sdev->unit->lock);
	sim_tlb_flush(&sdev->unit->iotlb, tag, first, last);
	/* Statistics are read without the lock */
	atomic64_inc(&sdev->unit->flushes);
	if (sim_has_ats(sdev)) {
		sim_tlb_flush(&sdev->atc, entry->pasid, first, last);
		atomic64_inc(&sdev->counts.flushes);
	}
}

static void sim_flush_attached(struct sim_domain *domain, u64 first, u64 last)
{
	struct sim_entry *entry;
	unsigned long flags;

	lockdep_assert_held(&domain->lock);
	list_for_each_entry(entry, &domain->attachments, node) {
		struct sim_unit *unit = entry->sdev->unit;

		write_lock_irqsave(&unit->lock, flags);
		sim_flush_entry(entry, domain->tag, first, last);
		write_unlock_irqrestore(&unit->lock, flags);
	}
}

/**
 * sim_flush() - invalidate a range of a domain in all TLBs
 * @domain: the domain
 * @first: first address
 * @last: last address
 *
 * Nested domains are invalidated completely, since the addresses that they
 * translate to this range are not recorded. Waits for accesses in progress.
 *
 * Context: any; takes sim_domain.lock, and sim_unit.lock for writing.
 */
void sim_flush(struct sim_domain *domain, u64 first, u64 last)
{
	struct sim_domain *child;
	unsigned long flags;

	spin_lock_irqsave(&domain->lock, flags);
	sim_flush_attached(domain, first, last);
	list_for_each_entry(child, &domain->children, sibling) {
		spin_lock_nested(&child->lock, SINGLE_DEPTH_NESTING);
		sim_flush_attached(child, 0, U64_MAX);
		spin_unlock(&child->lock);
	}
	spin_unlock_irqrestore(&domain->lock, flags);
}

static void sim_entry_link(struct sim_entry *entry)
{
	unsigned long flags;

	spin_lock_irqsave(&entry->domain->lock, flags);
	list_add_tail(&entry->node, &entry->domain->attachments);
	spin_unlock_irqrestore(&entry->domain->lock, flags);
}

static void sim_entry_unlink(struct sim_entry *entry)
{
	unsigned long flags;

	spin_lock_irqsave(&entry->domain->lock, flags);
	list_del(&entry->node);
	spin_unlock_irqrestore(&entry->domain->lock, flags);
	kfree(entry);
}

/* Replaces an entry of the table, by NULL for none, and flushes the old one */
static struct sim_entry *sim_entry_switch(struct ioasid_sim_dev *sdev, u32 pasid,
					  struct sim_entry *new)
{
	struct sim_unit *unit = sdev->unit;
	struct sim_entry *old;
	unsigned long flags;

	write_lock_irqsave(&unit->lock, flags);
	old = xa_load(&sdev->entries, pasid);
	/* Cannot fail, since the entry is reserved */
	if (new)
		xa_store(&sdev->entries, pasid, new, GFP_ATOMIC);
	else
		xa_erase(&sdev->entries, pasid);
	if (old)
		sim_flush_entry(old, old->domain->tag, 0, U64_MAX);
	write_unlock_irqrestore(&unit->lock, flags);
	return old;
}

static struct sim_entry *sim_entry_alloc(struct ioasid_sim_dev *sdev, u32 pasid,
					 struct sim_domain *domain)
{
	/* The IOMMU core expects that the default domain can always be attached */
	gfp_t gfp = domain->domain.type == IOMMU_DOMAIN_UNMANAGED ?
		    GFP_KERNEL : GFP_KERNEL | __GFP_NOFAIL;
	struct sim_entry *entry = kzalloc(sizeof(*entry), gfp);
	int rc;

	if (!entry)
		return ERR_PTR(-ENOMEM);
	rc = xa_reserve(&sdev->entries, pasid, gfp);
	if (rc) {
		kfree(entry);
		return ERR_PTR(rc);
	}
	entry->sdev = sdev;
	entry->pasid = pasid;
	entry->domain = domain;
	entry->requests = sim_has_pri(sdev) && domain->domain.iopf_handler;
	return entry;
}

/**
 * sim_attach() - point a PASID table entry at a domain
 * @sdev: endpoint
 * @pasid: PASID, or IOASID_SIM_RID
 * @domain: the domain; NULL or a blocking domain makes the entry absent, which
 *	cannot fail
 *
 * Page requests that were not reported to the IOMMU core yet are answered, unless
 * the new domain takes them.
 *
 * Context: can sleep; takes sim_unit.prq_mutex, sim_domain.lock and
 * sim_unit.lock.
 *
 * Return: 0, or -ENOMEM.
 */
int sim_attach(struct ioasid_sim_dev *sdev, u32 pasid, struct sim_domain *domain)
{
	struct sim_entry *new = NULL, *old;
	bool drain;

	if (domain && domain->kind != SIM_BLOCKED) {
		new = sim_entry_alloc(sdev, pasid, domain);
		if (IS_ERR(new))
			return PTR_ERR(new);
		/* Before its first use, so that no flush of the new domain is missed */
		sim_entry_link(new);
	}
	old = sim_entry_switch(sdev, pasid, new);
	if (!old)
		return 0;
	/* As with hardware, the queue does not know of the replacement */
	drain = old->requests && !(new && new->requests);
	sim_entry_unlink(old);
	if (drain)
		sim_prq_drain(sdev, pasid);
	return 0;
}

/**
 * sim_detach_all() - make all entries of an endpoint absent
 * @sdev: endpoint
 *
 * Context: as sim_attach().
 */
void sim_detach_all(struct ioasid_sim_dev *sdev)
{
	struct sim_entry *entry;
	unsigned long pasid;

	xa_for_each(&sdev->entries, pasid, entry)
		sim_attach(sdev, pasid, NULL);
}
