// SPDX-License-Identifier: GPL-2.0
/*
 * x86-64 page tables of four levels in memory, which the kernel fills in. Walks
 * (walk.c) can read any table at any time, so a table must never be freed before
 * walks in progress have been waited for after it was unlinked.
 */
#include <linux/mm.h>
#include <linux/sizes.h>
#include "unit.h"

static u64 *sim_table_alloc(gfp_t gfp)
{
	return (u64 *)get_zeroed_page(gfp & ~__GFP_HIGHMEM);
}

static u64 *sim_pte_table(u64 pte)
{
	return phys_to_virt(pte & SIM_PTE_ADDR);
}

/**
 * sim_table_init() - initialise a page table as empty
 * @t: the page table
 * @addr_bits: width of its addresses in bits, up to 48
 *
 * Context: can sleep.
 *
 * Return: 0, or -ENOMEM.
 */
int sim_table_init(struct sim_table *t, unsigned int addr_bits)
{
	t->root = sim_table_alloc(GFP_KERNEL_ACCOUNT);
	if (!t->root)
		return -ENOMEM;
	t->addr_bits = addr_bits;
	spin_lock_init(&t->dead_lock);
	INIT_LIST_HEAD(&t->dead);
	return 0;
}

static void sim_table_free_below(u64 *table, unsigned int level)
{
	unsigned int i;

	for (i = 0; level > 1 && i < SIM_ENTRIES; i++)
		if ((table[i] & SIM_PTE_P) && !sim_is_leaf(table[i], level))
			sim_table_free_below(sim_pte_table(table[i]), level - 1);
	free_page((unsigned long)table);
}

/**
 * sim_table_destroy() - free a page table
 * @t: the page table, which nothing walks any more
 *
 * Context: any.
 */
void sim_table_destroy(struct sim_table *t)
{
	sim_table_free_dead(&t->dead);
	sim_table_free_below(t->root, SIM_LEVELS);
}

/* The next flush frees it */
static void sim_table_defer_free(struct sim_table *t, u64 *table)
{
	struct page *page = virt_to_page(table);
	unsigned long flags;

	spin_lock_irqsave(&t->dead_lock, flags);
	list_add(&page->lru, &t->dead);
	spin_unlock_irqrestore(&t->dead_lock, flags);
}

/**
 * sim_table_take_dead() - take the list of unlinked tables
 * @t: the page table
 * @dead: list that they are added to
 *
 * Call it before waiting for walks, and sim_table_free_dead() afterwards.
 *
 * Context: any; takes sim_table.dead_lock.
 */
void sim_table_take_dead(struct sim_table *t, struct list_head *dead)
{
	unsigned long flags;

	spin_lock_irqsave(&t->dead_lock, flags);
	list_splice_init(&t->dead, dead);
	spin_unlock_irqrestore(&t->dead_lock, flags);
}

/**
 * sim_table_free_dead() - free unlinked tables
 * @dead: tables of sim_table_take_dead(), which nothing walks any more
 *
 * Context: any.
 */
void sim_table_free_dead(struct list_head *dead)
{
	struct page *page, *next;

	list_for_each_entry_safe(page, next, dead, lru) {
		list_del(&page->lru);
		__free_page(page);
	}
}

/* Returns the table that an entry points to; allocates it if there is none */
static u64 *sim_table_below(u64 *pte, gfp_t gfp)
{
	u64 old = READ_ONCE(*pte), *table;

	if (!old) {
		table = sim_table_alloc(gfp);
		if (!table)
			return ERR_PTR(-ENOMEM);
		/* Another thread may be mapping in the same table */
		old = cmpxchg64(pte, 0, virt_to_phys(table) | SIM_PTE_P |
				SIM_PTE_W | SIM_PTE_U);
		if (!old)
			return table;
		free_page((unsigned long)table);
	}
	if (old & SIM_PTE_PS)
		return ERR_PTR(-EADDRINUSE);
	return sim_pte_table(old);
}

/* Returns the entry for an address at a level; allocates the tables above */
static u64 *sim_table_slot(struct sim_table *t, u64 iova, unsigned int level,
			   gfp_t gfp)
{
	u64 *table = t->root;
	unsigned int at;

	for (at = SIM_LEVELS; at > level; at--) {
		table = sim_table_below(&table[sim_index(iova, at)], gfp);
		if (IS_ERR(table))
			return table;
	}
	return &table[sim_index(iova, level)];
}

static bool sim_table_empty(u64 *table, unsigned int level)
{
	unsigned int i;
	u64 pte;

	for (i = 0; i < SIM_ENTRIES; i++) {
		/* A walk may be setting the accessed bit */
		pte = READ_ONCE(table[i]);
		if (!pte)
			continue;
		if (sim_is_leaf(pte, level) ||
		    !sim_table_empty(sim_pte_table(pte), level - 1))
			return false;
	}
	return true;
}

static void sim_table_defer_free_below(struct sim_table *t, u64 *table,
				       unsigned int level)
{
	unsigned int i;
	u64 pte;

	for (i = 0; level > 1 && i < SIM_ENTRIES; i++) {
		/* A walk may be setting the accessed bit */
		pte = READ_ONCE(table[i]);
		if ((pte & SIM_PTE_P) && !sim_is_leaf(pte, level))
			sim_table_defer_free_below(t, sim_pte_table(pte), level - 1);
	}
	sim_table_defer_free(t, table);
}

/* A large page may replace a table that has become empty */
static int sim_table_set_leaf(struct sim_table *t, u64 *pte, unsigned int level,
			      u64 leaf)
{
	u64 old = READ_ONCE(*pte);

	if (old && (sim_is_leaf(old, level) ||
		    !sim_table_empty(sim_pte_table(old), level - 1)))
		return -EADDRINUSE;
	WRITE_ONCE(*pte, leaf);
	if (old)
		sim_table_defer_free_below(t, sim_pte_table(old), level - 1);
	return 0;
}

static unsigned int sim_level_of(size_t pgsize)
{
	return pgsize == SZ_4K ? 1 : pgsize == SZ_2M ? 2 : 3;
}

/**
 * sim_table_map() - map a physically contiguous range
 * @t: the page table
 * @iova: first address
 * @pa: host physical address
 * @pgsize: SZ_4K, SZ_2M or SZ_1G; both addresses are aligned to it
 * @pgcount: number of pages
 * @bits: SIM_PTE_* of the last level
 * @gfp: flags to allocate tables with
 * @mapped: increased by the number of bytes mapped, also on failure
 *
 * Context: can sleep if @gfp allows it.
 *
 * Return: 0, -ERANGE if it is beyond the last address, -EADDRINUSE if something
 * is mapped there, -ENOMEM.
 */
int sim_table_map(struct sim_table *t, u64 iova, u64 pa, size_t pgsize,
		  size_t pgcount, u64 bits, gfp_t gfp, size_t *mapped)
{
	unsigned int level = sim_level_of(pgsize), n, i;
	u64 *pte;
	int rc;

	if ((iova + pgsize * pgcount - 1) >> t->addr_bits)
		return -ERANGE;
	bits |= SIM_PTE_P | (level > 1 ? SIM_PTE_PS : 0);
	for (; pgcount; pgcount -= n) {
		pte = sim_table_slot(t, iova, level, gfp);
		if (IS_ERR(pte))
			return PTR_ERR(pte);
		n = min_t(size_t, pgcount, SIM_ENTRIES - sim_index(iova, level));
		for (i = 0; i < n; i++) {
			rc = sim_table_set_leaf(t, &pte[i], level, pa | bits);
			if (rc)
				return rc;
			pa += pgsize;
			*mapped += pgsize;
		}
		iova += n * pgsize;
	}
	return 0;
}

/* Clears from @iova up to the first hole or @last; returns the number of bytes */
static size_t sim_table_clear(struct sim_table *t, u64 *table, unsigned int level,
			      u64 iova, u64 last)
{
	u64 size = 1ULL << sim_shift(level), start = iova, pte, *p;
	u64 end = min(last, iova | (size * SIM_ENTRIES - 1));
	size_t n;

	while (iova <= end) {
		p = &table[sim_index(iova, level)];
		pte = READ_ONCE(*p);
		if (!pte)
			break;
		if (!sim_is_leaf(pte, level)) {
			n = sim_table_clear(t, sim_pte_table(pte), level - 1, iova, last);
			if (n < min(size - iova % size, last - iova + 1))
				return iova - start + n;
			/* The whole table is in our range, so no one else uses it */
			if (n == size) {
				WRITE_ONCE(*p, 0);
				sim_table_defer_free(t, sim_pte_table(pte));
			}
			iova += n;
			continue;
		}
		if (iova % size)
			break;
		WRITE_ONCE(*p, 0);
		iova += size;
	}
	return iova - start;
}

/**
 * sim_table_unmap() - unmap a range
 * @t: the page table
 * @iova: first address, the start of a page
 * @size: in bytes
 *
 * Stops at a hole, and if @iova is in the middle of a large page. A large page
 * that extends beyond @size is unmapped completely.
 *
 * Context: any.
 *
 * Return: number of bytes unmapped.
 */
size_t sim_table_unmap(struct sim_table *t, u64 iova, size_t size)
{
	if (!size || (iova + size - 1) >> t->addr_bits)
		return 0;
	return sim_table_clear(t, t->root, SIM_LEVELS, iova, iova + size - 1);
}

/**
 * sim_table_lookup() - look up an address
 * @t: the page table
 * @iova: the address
 * @shift: out: size of the page, as a shift
 *
 * Unlike a walk it does not change the table.
 *
 * Context: any.
 *
 * Return: the entry, or 0 if there is none.
 */
u64 sim_table_lookup(struct sim_table *t, u64 iova, unsigned int *shift)
{
	u64 *table = t->root, pte;
	unsigned int level;

	if (iova >> t->addr_bits)
		return 0;
	for (level = SIM_LEVELS; ; level--) {
		pte = READ_ONCE(table[sim_index(iova, level)]);
		if (!pte || sim_is_leaf(pte, level))
			break;
		table = sim_pte_table(pte);
	}
	*shift = sim_shift(level);
	return pte;
}

static void sim_table_dirty_below(u64 *table, unsigned int level, u64 iova,
				  u64 last, bool clear,
				  struct iommu_dirty_bitmap *dirty)
{
	u64 size = 1ULL << sim_shift(level), pte, next, *p;
	u64 end = min(last, iova | (size * SIM_ENTRIES - 1));

	for (; iova <= end; iova = next) {
		next = (iova | (size - 1)) + 1;
		p = &table[sim_index(iova, level)];
		pte = READ_ONCE(*p);
		if (!pte)
			continue;
		if (!sim_is_leaf(pte, level)) {
			sim_table_dirty_below(sim_pte_table(pte), level - 1, iova,
					      last, clear, dirty);
			continue;
		}
		if (!(pte & SIM_PTE_D))
			continue;
		/* Before it is cleared, so that no write is lost */
		iommu_dirty_bitmap_record(dirty, iova, min(next - 1, end) - iova + 1);
		while (clear && !try_cmpxchg64(p, &pte, pte & ~SIM_PTE_D))
			;
	}
}

/**
 * sim_table_dirty() - record the dirty pages of a range
 * @t: the page table
 * @iova: first address
 * @last: last address
 * @clear: clear the dirty bits; the caller flushes the range afterwards
 * @dirty: where to record them
 *
 * Context: any.
 */
void sim_table_dirty(struct sim_table *t, u64 iova, u64 last, bool clear,
		     struct iommu_dirty_bitmap *dirty)
{
	sim_table_dirty_below(t->root, SIM_LEVELS, iova, last, clear, dirty);
}
