// SPDX-License-Identifier: GPL-2.0
/*
 * Domains of processes (SVA), translated by the page table of the CPU. It is only
 * read here: a page that is missing, or not dirty yet, takes a page request.
 * Nothing may be translated between the start and the end of an invalidation by
 * the process, since pages are being freed then.
 */
#include <linux/mm.h>
#include <linux/pgtable.h>
#include <linux/sched/mm.h>
#include <linux/slab.h>
#include "unit.h"

static struct sim_domain *mn_to_domain(struct mmu_notifier *mn)
{
	return container_of(mn, struct sim_domain, mn);
}

static int sim_mn_start(struct mmu_notifier *mn, const struct mmu_notifier_range *range)
{
	struct sim_domain *domain = mn_to_domain(mn);

	atomic_inc(&domain->invalidating);
	sim_flush(domain, range->start, range->end - 1);
	return 0;
}

static void sim_mn_end(struct mmu_notifier *mn, const struct mmu_notifier_range *range)
{
	/* Orders the changes of the page table before the end */
	smp_mb__before_atomic();
	atomic_dec(&mn_to_domain(mn)->invalidating);
}

static void sim_mn_release(struct mmu_notifier *mn, struct mm_struct *mm)
{
	struct sim_domain *domain = mn_to_domain(mn);

	WRITE_ONCE(domain->mm, NULL);
	sim_flush(domain, 0, U64_MAX);
}

static void sim_mn_free(struct mmu_notifier *mn)
{
	sim_domain_free(mn_to_domain(mn));
}

static const struct mmu_notifier_ops sim_mn_ops = {
	.invalidate_range_start = sim_mn_start,
	.invalidate_range_end = sim_mn_end,
	.release = sim_mn_release,
	.free_notifier = sim_mn_free,
};

/**
 * sim_alloc_sva() - implement iommu_ops.domain_alloc_sva
 * @dev: an endpoint
 * @mm: address space of the process
 *
 * Context: can sleep.
 *
 * Return: the domain, ERR_PTR(-EOPNOTSUPP) if the endpoint lacks PASIDs or page
 * requests, ERR_PTR(-ENOMEM), or ERR_PTR(-EINTR) if killed.
 */
struct iommu_domain *sim_alloc_sva(struct device *dev, struct mm_struct *mm)
{
	struct ioasid_sim_dev *sdev = ioasid_sim_dev(dev);
	struct sim_domain *domain;
	int rc;

	if (!sdev->unit->cfg.pasid_bits || !sim_has_pri(sdev))
		return ERR_PTR(-EOPNOTSUPP);
	domain = sim_domain_alloc(SIM_SVA, IOMMU_DOMAIN_SVA, &sim_sva_ops);
	if (IS_ERR(domain))
		return ERR_CAST(domain);
	domain->mm = mm;
	domain->mn.ops = &sim_mn_ops;
	rc = mmu_notifier_register(&domain->mn, mm);
	if (rc) {
		sim_domain_free(domain);
		return ERR_PTR(rc);
	}
	return &domain->domain;
}

/**
 * sim_free_sva() - implement iommu_domain_ops.free of SVA domains
 * @core: the domain; freed by the notifier after a grace period
 *
 * Context: can sleep.
 */
void sim_free_sva(struct iommu_domain *core)
{
	mmu_notifier_put(&to_sim_domain(core)->mn);
}

/* In User-Mode Linux, pages of PROT_NONE are "present" and "permitted" */
#ifdef CONFIG_UML
#define sim_pte_readable(pte)	pte_read(pte)
#else
#define sim_pte_readable(pte)	((void)(pte), true)
#endif

/*
 * Returns the entry of any level as one of the last level. The process may be
 * freeing tables, so each entry is read once, and that value is followed.
 */
static bool sim_sva_entry(struct mm_struct *mm, u64 addr, pte_t *pte, u64 *size)
{
	pgd_t *pgdp = pgd_offset(mm, addr), pgd = READ_ONCE(*pgdp);
	p4d_t *p4dp, p4d;
	pud_t pud, *pudp;
	pmd_t pmd, *pmdp;

	if (pgd_none(pgd))
		return false;
	p4dp = p4d_offset_lockless(pgdp, pgd, addr);
	p4d = READ_ONCE(*p4dp);
	if (p4d_none(p4d))
		return false;
	pudp = pud_offset_lockless(p4dp, p4d, addr);
	pud = READ_ONCE(*pudp);
	if (!pud_present(pud))
		return false;
	*size = PUD_SIZE;
	*pte = __pte(pud_val(pud));
	if (pud_leaf(pud))
		return true;
	pmdp = pmd_offset_lockless(pudp, pud, addr);
	pmd = READ_ONCE(*pmdp);
	if (!pmd_present(pmd))
		return false;
	*size = PMD_SIZE;
	*pte = __pte(pmd_val(pmd));
	if (pmd_leaf(pmd))
		return true;
	*size = PAGE_SIZE;
	*pte = ptep_get_lockless(pte_offset_kernel(&pmd, addr));
	return true;
}

/**
 * sim_sva_walk() - translate an address of a process
 * @domain: an SVA domain
 * @addr: the address
 * @access: SIM_WRITE, SIM_PRIV
 * @out: out: the translation
 *
 * Context: sim_unit.lock is held for reading, and interrupts are disabled, which
 * keeps the tables from being freed.
 *
 * Return: SIM_FAULT_NONE, SIM_BUSY to try again, or the reason of the fault.
 */
enum ioasid_sim_reason sim_sva_walk(struct sim_domain *domain, u64 addr,
				    u32 access, struct sim_xlate *out)
{
	struct mm_struct *mm = READ_ONCE(domain->mm);
	u64 size, pfn;
	pte_t pte;

	lockdep_assert_irqs_disabled();
	if (!mm || addr >= mm->task_size)
		return SIM_FAULT_NOT_PRESENT;
	/* Pairs with sim_mn_end() */
	if (atomic_read_acquire(&domain->invalidating))
		return SIM_BUSY;
	if (!sim_sva_entry(mm, addr, &pte, &size) || !pte_access_permitted(pte, false) ||
	    !sim_pte_readable(pte))
		return SIM_FAULT_NOT_PRESENT;
	out->write = pte_write(pte) && pte_dirty(pte);
	if ((access & SIM_WRITE) && !out->write)
		return SIM_FAULT_WRITE;
	pfn = pte_pfn(pte) & ~((size >> PAGE_SHIFT) - 1);
	out->pa = (pfn << PAGE_SHIFT) + (addr & (size - 1));
	out->page = ilog2(size);
	return SIM_FAULT_NONE;
}
