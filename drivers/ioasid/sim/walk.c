// SPDX-License-Identifier: GPL-2.0
/*
 * Page table walks of the hardware: from the root, entry by entry. Each entry is
 * fetched from memory and checked, and its accessed and dirty bits are set
 * atomically. With two stages, each address of the first stage is translated by
 * the second, also those of its tables. A walk must never change an entry other
 * than by setting A, D and EA.
 */
#include <linux/highmem.h>
#include <linux/mm.h>
#include <linux/pgtable.h>
#include "unit.h"

/**
 * sim_is_memory() - check whether an address is RAM
 * @pa: host physical address
 *
 * Context: any.
 *
 * Return: false if it is not; the simulation has no other memory.
 */
bool sim_is_memory(u64 pa)
{
	unsigned long pfn = pa >> PAGE_SHIFT;

	/*
	 * An identity domain leads anywhere, also to a page whose flags its owner
	 * changes at this moment. PG_reserved is not among them.
	 */
	return pfn_valid(pfn) &&
	       /* As said above */
	       (!data_race(PageReserved(pfn_to_page(pfn))) || is_zero_pfn(pfn));
}

/* Host physical address of an entry of a table of this stage */
static enum ioasid_sim_reason sim_fetch(const struct sim_stage *stage, u64 addr,
					bool update, u64 *pa)
{
	struct sim_xlate x;
	u32 access = SIM_PRIV | (update ? SIM_WRITE : 0);

	if (!stage->below) {
		*pa = addr;
		return SIM_FAULT_NONE;
	}
	if (sim_walk(stage->below, addr, access, &x))
		return SIM_FAULT_STAGE2_TABLE;
	if (!sim_is_memory(x.pa))
		return SIM_FAULT_BUS;
	*pa = x.pa;
	return SIM_FAULT_NONE;
}

static u64 sim_read_entry(u64 pa)
{
	u64 *p = kmap_local_page(pfn_to_page(pa >> PAGE_SHIFT));
	u64 pte = READ_ONCE(p[(pa & ~PAGE_MASK) / sizeof(u64)]);

	kunmap_local(p);
	return pte;
}

static bool sim_update_entry(u64 pa, u64 old, u64 new)
{
	u64 *p = kmap_local_page(pfn_to_page(pa >> PAGE_SHIFT));
	bool done = cmpxchg64(&p[(pa & ~PAGE_MASK) / sizeof(u64)], old, new) == old;

	kunmap_local(p);
	return done;
}

static bool sim_reserved_bits(u64 pte, unsigned int level)
{
	u64 below = (1ULL << sim_shift(level)) - 1;

	if (level == 1 || !(pte & SIM_PTE_PS))
		return false;
	/* Bit 12 of a large page is for memory types */
	return level > 3 || (pte & SIM_PTE_ADDR & below & ~BIT_ULL(12));
}

static bool sim_in_range(const struct sim_stage *stage, u64 addr)
{
	if (stage->canonical)
		return (u64)sign_extend64(addr, stage->addr_bits - 1) == addr;
	return !(addr >> stage->addr_bits);
}

/* Permissions of all levels together */
struct sim_rights {
	bool write;
	bool user;
};

static enum ioasid_sim_reason sim_check(const struct sim_stage *stage, u32 access,
					const struct sim_rights *rights)
{
	if (!(access & SIM_PRIV) && !rights->user)
		return SIM_FAULT_USER;
	if ((access & SIM_WRITE) && !rights->write)
		return SIM_FAULT_WRITE;
	return SIM_FAULT_NONE;
}

/*
 * Reads the entry at an address of a table, checks it, and sets its accessed and
 * dirty bits. Starts over if the entry changes in between.
 */
static enum ioasid_sim_reason sim_visit(const struct sim_stage *stage, u64 addr,
					unsigned int level, u32 access,
					struct sim_rights *rights, u64 *entry)
{
	enum ioasid_sim_reason rc;
	struct sim_rights now;
	u64 pa, pte, new;

	do {
		rc = sim_fetch(stage, addr, false, &pa);
		if (rc)
			return rc;
		pte = sim_read_entry(pa);
		if (!(pte & SIM_PTE_P))
			return SIM_FAULT_NOT_PRESENT;
		if (sim_reserved_bits(pte, level))
			return SIM_FAULT_RESERVED;
		now.write = rights->write &&
			    ((pte & SIM_PTE_W) || ((access & SIM_PRIV) && !stage->wp));
		now.user = rights->user && (pte & SIM_PTE_U);
		new = pte | SIM_PTE_A | (stage->ea ? SIM_PTE_EA : 0);
		if (sim_is_leaf(pte, level)) {
			rc = sim_check(stage, access, &now);
			if (rc)
				return rc;
			/* Switched beside accesses; the switch then flushes */
			if ((access & SIM_WRITE) && !READ_ONCE(stage->no_dirty))
				new |= SIM_PTE_D;
		}
		if (new == pte)
			break;
		rc = sim_fetch(stage, addr, true, &pa);
		if (rc)
			return rc;
	} while (!sim_update_entry(pa, pte, new));
	*rights = now;
	*entry = new;
	return SIM_FAULT_NONE;
}

static enum ioasid_sim_reason sim_walk_below(const struct sim_stage *stage,
					     u32 access, struct sim_xlate *out)
{
	struct sim_xlate x;
	enum ioasid_sim_reason rc;

	/* The first stage alone distinguishes user and supervisor */
	rc = sim_walk(stage->below, out->pa, access | SIM_PRIV, &x);
	if (rc)
		return SIM_FAULT_STAGE2;
	out->pa = x.pa;
	out->write = out->write && x.write;
	out->page = min(out->page, x.page);
	return SIM_FAULT_NONE;
}

/**
 * sim_walk() - translate an address as the hardware does
 * @stage: the stage to begin with
 * @addr: the address
 * @access: SIM_WRITE, SIM_PRIV
 * @out: out: the translation
 *
 * Context: sim_unit.lock is held for reading.
 *
 * Return: SIM_FAULT_NONE, or the reason of the fault.
 */
enum ioasid_sim_reason sim_walk(const struct sim_stage *stage, u64 addr,
				u32 access, struct sim_xlate *out)
{
	struct sim_rights rights = { .write = true, .user = true };
	u64 pte, table = stage->root, mask;
	enum ioasid_sim_reason rc;
	unsigned int level;

	if (!sim_in_range(stage, addr))
		return SIM_FAULT_RANGE;
	if ((access & SIM_PRIV) && !stage->supervisor)
		return SIM_FAULT_USER;
	for (level = SIM_LEVELS; ; level--) {
		rc = sim_visit(stage, table + sim_index(addr, level) * sizeof(u64),
			       level, access, &rights, &pte);
		if (rc)
			return rc;
		if (sim_is_leaf(pte, level))
			break;
		table = pte & SIM_PTE_ADDR;
	}
	mask = (1ULL << sim_shift(level)) - 1;
	out->pa = (pte & SIM_PTE_ADDR & ~mask) | (addr & mask);
	out->write = rights.write && ((pte & SIM_PTE_D) || READ_ONCE(stage->no_dirty));
	out->page = sim_shift(level);
	return stage->below ? sim_walk_below(stage, access, out) : SIM_FAULT_NONE;
}
