// SPDX-License-Identifier: GPL-2.0
/*
 * Caches of translations, of the unit and of the endpoints. They keep what
 * they have until it is invalidated or pushed out by others of the same set:
 * they must never notice by themselves that a table has changed, so that a
 * missing invalidation shows.
 */
#include <linux/slab.h>
#include "unit.h"

/**
 * sim_tlb_init() - an empty cache
 * @tlb: to fill in
 * @sets: a power of two
 *
 * Return: 0, or -ENOMEM.
 */
int sim_tlb_init(struct sim_tlb *tlb, unsigned int sets)
{
	spin_lock_init(&tlb->lock);
	tlb->sets = sets;
	tlb->next = kvcalloc(sets, sizeof(*tlb->next), GFP_KERNEL);
	tlb->way = kvcalloc(sets, sizeof(*tlb->way), GFP_KERNEL);
	if (tlb->next && tlb->way)
		return 0;
	sim_tlb_destroy(tlb);
	return -ENOMEM;
}

/**
 * sim_tlb_destroy() - free a cache
 * @tlb: the cache
 */
void sim_tlb_destroy(struct sim_tlb *tlb)
{
	kvfree(tlb->next);
	kvfree(tlb->way);
}

static unsigned int sim_tlb_set(struct sim_tlb *tlb, u32 tag, u64 vpn)
{
	/* Pages side by side never compete; address spaces are set apart */
	return (vpn + tag * 61) & (tlb->sets - 1);
}

static struct sim_tlb_entry *sim_tlb_find(struct sim_tlb *tlb, u32 tag, u64 vpn,
					  bool priv)
{
	struct sim_tlb_entry *e = tlb->way[sim_tlb_set(tlb, tag, vpn)];
	unsigned int i;

	for (i = 0; i < SIM_TLB_WAYS; i++, e++)
		if (e->valid && e->vpn == vpn && e->tag == tag && e->priv == priv)
			return e;
	return NULL;
}

/**
 * sim_tlb_lookup() - ask a cache
 * @tlb: the cache
 * @tag: the address space
 * @addr: the address
 * @access: SIM_WRITE, SIM_PRIV
 * @out: the translation
 * @present: out: false: that nothing is there is what was cached
 *
 * Return: true if it knows.
 */
bool sim_tlb_lookup(struct sim_tlb *tlb, u32 tag, u64 addr, u32 access,
		    struct sim_xlate *out, bool *present)
{
	struct sim_tlb_entry *e;
	unsigned long flags;
	bool hit;

	spin_lock_irqsave(&tlb->lock, flags);
	e = sim_tlb_find(tlb, tag, addr >> SIM_PAGE_SHIFT, access & SIM_PRIV);
	hit = e && (!e->present || e->write || !(access & SIM_WRITE));
	if (hit) {
		out->pa = e->pfn << SIM_PAGE_SHIFT | (addr & (SIM_PAGE_SIZE - 1));
		out->write = e->write;
		out->page = SIM_PAGE_SHIFT;
		*present = e->present;
	}
	spin_unlock_irqrestore(&tlb->lock, flags);
	return hit;
}

/**
 * sim_tlb_fill() - put a translation into a cache
 * @tlb: the cache
 * @tag: the address space
 * @addr: the address
 * @access: what it was made for
 * @xlate: the translation
 * @present: false: nothing is there
 *
 * Context: the unit's lock is held for reading, since before the walk.
 */
void sim_tlb_fill(struct sim_tlb *tlb, u32 tag, u64 addr, u32 access,
		  const struct sim_xlate *xlate, bool present)
{
	u64 vpn = addr >> SIM_PAGE_SHIFT;
	unsigned int set = sim_tlb_set(tlb, tag, vpn);
	struct sim_tlb_entry *e;
	unsigned long flags;

	spin_lock_irqsave(&tlb->lock, flags);
	e = sim_tlb_find(tlb, tag, vpn, access & SIM_PRIV);
	if (!e)
		e = &tlb->way[set][tlb->next[set]++ % SIM_TLB_WAYS];
	*e = (struct sim_tlb_entry) {
		.vpn = vpn,
		.pfn = present ? xlate->pa >> SIM_PAGE_SHIFT : 0,
		.tag = tag,
		.valid = true,
		.present = present,
		.write = present && xlate->write,
		.priv = access & SIM_PRIV,
	};
	spin_unlock_irqrestore(&tlb->lock, flags);
}

static void sim_tlb_flush_set(struct sim_tlb *tlb, unsigned int set, u32 tag,
			      u64 first, u64 last)
{
	struct sim_tlb_entry *e = tlb->way[set];
	unsigned int i;

	for (i = 0; i < SIM_TLB_WAYS; i++, e++)
		if (e->tag == tag && e->vpn >= first && e->vpn <= last)
			e->valid = false;
}

/**
 * sim_tlb_flush() - invalidate a range of an address space
 * @tlb: the cache
 * @tag: the address space
 * @first: first address
 * @last: last address
 */
void sim_tlb_flush(struct sim_tlb *tlb, u32 tag, u64 first, u64 last)
{
	u64 from = first >> SIM_PAGE_SHIFT, to = last >> SIM_PAGE_SHIFT;
	unsigned int n = min_t(u64, to - from, tlb->sets - 1) + 1, i;
	unsigned long flags;

	spin_lock_irqsave(&tlb->lock, flags);
	for (i = 0; i < n; i++)
		sim_tlb_flush_set(tlb, sim_tlb_set(tlb, tag, from + i), tag, from, to);
	spin_unlock_irqrestore(&tlb->lock, flags);
}

/**
 * sim_tlb_flush_all() - empty a cache
 * @tlb: the cache
 */
void sim_tlb_flush_all(struct sim_tlb *tlb)
{
	unsigned long flags;

	spin_lock_irqsave(&tlb->lock, flags);
	memset(tlb->way, 0, array_size(tlb->sets, sizeof(*tlb->way)));
	spin_unlock_irqrestore(&tlb->lock, flags);
}
