// SPDX-License-Identifier: GPL-2.0
/*
 * IOTLBs of the units and device TLBs of the endpoints. An entry stays until it
 * is invalidated, or replaced by another one of its set. They must never detect
 * by themselves that a table has changed, so that a missing invalidation shows.
 */
#include <linux/slab.h>
#include "unit.h"

/**
 * sim_tlb_init() - initialise a TLB as empty
 * @tlb: the TLB
 * @sets: number of sets, a power of two
 *
 * Context: can sleep.
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
 * sim_tlb_destroy() - free the memory of a TLB
 * @tlb: the TLB
 *
 * Context: can sleep.
 */
void sim_tlb_destroy(struct sim_tlb *tlb)
{
	kvfree(tlb->next);
	kvfree(tlb->way);
}

static unsigned int sim_tlb_set(struct sim_tlb *tlb, u32 tag, u64 vpn)
{
	/* Adjacent pages are in different sets, and so are address spaces, mostly */
	return (vpn + tag * 61) & (tlb->sets - 1);
}

static struct sim_tlb_entry *sim_tlb_find(struct sim_tlb *tlb, u32 tag, u64 vpn,
					  bool priv)
{
	struct sim_tlb_entry *e = tlb->way[sim_tlb_set(tlb, tag, vpn)];
	unsigned int i;

	lockdep_assert_held(&tlb->lock);
	for (i = 0; i < SIM_TLB_WAYS; i++, e++)
		if (e->valid && e->vpn == vpn && e->tag == tag && e->priv == priv)
			return e;
	return NULL;
}

/**
 * sim_tlb_lookup() - look up an address in a TLB
 * @tlb: the TLB
 * @tag: the address space
 * @addr: the address
 * @access: SIM_WRITE, SIM_PRIV
 * @out: out: the translation
 * @present: out: false if a not-present entry was cached
 *
 * Context: any; takes sim_tlb.lock.
 *
 * Return: true on a hit.
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
 * sim_tlb_fill() - add a translation to a TLB
 * @tlb: the TLB
 * @tag: the address space
 * @addr: the address
 * @access: the access that it was made for
 * @xlate: the translation
 * @present: false if nothing is mapped there
 *
 * Context: sim_unit.lock is held for reading, since before the walk; takes
 * sim_tlb.lock.
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

	lockdep_assert_held(&tlb->lock);
	for (i = 0; i < SIM_TLB_WAYS; i++, e++)
		if (e->tag == tag && e->vpn >= first && e->vpn <= last)
			e->valid = false;
}

/**
 * sim_tlb_flush() - invalidate a range of an address space
 * @tlb: the TLB
 * @tag: the address space
 * @first: first address
 * @last: last address
 *
 * Context: any; takes sim_tlb.lock.
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
 * sim_tlb_flush_all() - invalidate all entries of a TLB
 * @tlb: the TLB
 *
 * Context: any; takes sim_tlb.lock.
 */
void sim_tlb_flush_all(struct sim_tlb *tlb)
{
	unsigned long flags;

	spin_lock_irqsave(&tlb->lock, flags);
	memset(tlb->way, 0, array_size(tlb->sets, sizeof(*tlb->way)));
	spin_unlock_irqrestore(&tlb->lock, flags);
}
