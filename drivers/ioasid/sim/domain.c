// SPDX-License-Identifier: GPL-2.0
/*
 * Domains that the kernel maps memory in. Their page tables are table.c's;
 * here is when they are flushed: a table that was taken out must never be
 * freed before a flush, and a page that was unmapped is out of reach once
 * iotlb_sync() has returned, not before.
 */
#include <linux/idr.h>
#include <linux/sizes.h>
#include <linux/slab.h>
#include "unit.h"

static DEFINE_IDA(sim_tags);

/**
 * sim_domain_alloc() - a domain with a tag of its own
 * @kind: its kind
 * @type: IOMMU_DOMAIN_*
 * @ops: its operations
 *
 * Return: the domain, or an ERR_PTR.
 */
struct sim_domain *sim_domain_alloc(enum sim_kind kind, unsigned int type,
				    const struct iommu_domain_ops *ops)
{
	struct sim_domain *domain = kzalloc(sizeof(*domain), GFP_KERNEL_ACCOUNT);
	int tag;

	if (!domain)
		return ERR_PTR(-ENOMEM);
	tag = ida_alloc_min(&sim_tags, 1, GFP_KERNEL_ACCOUNT);
	if (tag < 0) {
		kfree(domain);
		return ERR_PTR(tag);
	}
	domain->tag = tag;
	domain->kind = kind;
	domain->domain.type = type;
	domain->domain.ops = ops;
	spin_lock_init(&domain->lock);
	INIT_LIST_HEAD(&domain->attachments);
	INIT_LIST_HEAD(&domain->children);
	return domain;
}

/**
 * sim_domain_free() - the reverse of sim_domain_alloc()
 * @domain: a domain that is attached nowhere
 */
void sim_domain_free(struct sim_domain *domain)
{
	WARN_ON(!list_empty(&domain->attachments));
	ida_free(&sim_tags, domain->tag);
	kfree(domain);
}

/**
 * sim_paging_create() - a domain with an empty page table
 * @cfg: of the unit that it is for
 * @flags: IOMMU_HWPT_ALLOC_NEST_PARENT, IOMMU_HWPT_ALLOC_DIRTY_TRACKING
 *
 * Return: the domain, or an ERR_PTR.
 */
struct iommu_domain *sim_paging_create(const struct sim_config *cfg, u32 flags)
{
	struct sim_domain *domain;
	int rc;

	domain = sim_domain_alloc(SIM_PAGING, IOMMU_DOMAIN_UNMANAGED, &sim_paging_ops);
	if (IS_ERR(domain))
		return ERR_CAST(domain);
	rc = sim_table_init(&domain->table, cfg->addr_bits);
	if (rc) {
		sim_domain_free(domain);
		return ERR_PTR(rc);
	}
	domain->cfg = cfg;
	domain->nest_parent = flags & IOMMU_HWPT_ALLOC_NEST_PARENT;
	domain->dirty = flags & IOMMU_HWPT_ALLOC_DIRTY_TRACKING;
	domain->stage = (struct sim_stage) {
		.root = virt_to_phys(domain->table.root),
		.addr_bits = cfg->addr_bits,
		.supervisor = true,
		.wp = true,
		/* Until it is told to track */
		.no_dirty = domain->dirty,
	};
	if (domain->dirty)
		domain->domain.dirty_ops = &sim_dirty_ops;
	domain->domain.pgsize_bitmap = cfg->no_huge ? SZ_4K : SZ_4K | SZ_2M | SZ_1G;
	domain->domain.geometry.aperture_end = (1ULL << cfg->addr_bits) - 1;
	domain->domain.geometry.force_aperture = true;
	return &domain->domain;
}

/* domain_ops.free */
void sim_free_paging(struct iommu_domain *core)
{
	struct sim_domain *domain = to_sim_domain(core);

	if (WARN_ON(!list_empty(&domain->children)))
		return;
	sim_table_destroy(&domain->table);
	sim_domain_free(domain);
}

/* An entry cannot be readable for nobody: what may be written may be read */
static u64 sim_prot_bits(int prot)
{
	return (prot & IOMMU_WRITE ? SIM_PTE_W : 0) |
	       (prot & IOMMU_PRIV ? 0 : SIM_PTE_U);
}

/* domain_ops.map_pages */
int sim_map_pages(struct iommu_domain *core, unsigned long iova, phys_addr_t pa,
		  size_t pgsize, size_t pgcount, int prot, gfp_t gfp, size_t *mapped)
{
	struct sim_domain *domain = to_sim_domain(core);

	if (!(prot & (IOMMU_READ | IOMMU_WRITE)))
		return -EINVAL;
	return sim_table_map(&domain->table, iova, pa, pgsize, pgcount,
			     sim_prot_bits(prot), gfp, mapped);
}

/* domain_ops.unmap_pages */
size_t sim_unmap_pages(struct iommu_domain *core, unsigned long iova,
		       size_t pgsize, size_t pgcount,
		       struct iommu_iotlb_gather *gather)
{
	struct sim_domain *domain = to_sim_domain(core);
	size_t done = sim_table_unmap(&domain->table, iova, pgsize * pgcount);

	if (done)
		iommu_iotlb_gather_add_range(gather, iova, done);
	return done;
}

static void sim_sync(struct sim_domain *domain, u64 first, u64 last)
{
	LIST_HEAD(dead);

	sim_table_take_dead(&domain->table, &dead);
	sim_flush(domain, first, last);
	sim_table_free_dead(&dead);
}

/* domain_ops.flush_iotlb_all */
void sim_flush_iotlb_all(struct iommu_domain *core)
{
	sim_sync(to_sim_domain(core), 0, U64_MAX);
}

/* domain_ops.iotlb_sync */
void sim_iotlb_sync(struct iommu_domain *core, struct iommu_iotlb_gather *gather)
{
	if (gather->start <= gather->end)
		sim_sync(to_sim_domain(core), gather->start, gather->end);
}

/* domain_ops.iotlb_sync_map: that nothing was there may have been cached */
int sim_iotlb_sync_map(struct iommu_domain *core, unsigned long iova, size_t size)
{
	struct sim_domain *domain = to_sim_domain(core);

	if (domain->cfg->negative)
		sim_sync(domain, iova, iova + size - 1);
	return 0;
}

/* domain_ops.iova_to_phys */
phys_addr_t sim_iova_to_phys(struct iommu_domain *core, dma_addr_t iova)
{
	unsigned int shift;
	u64 pte = sim_table_lookup(&to_sim_domain(core)->table, iova, &shift), mask;

	if (!pte)
		return 0;
	mask = (1ULL << shift) - 1;
	return (pte & SIM_PTE_ADDR & ~mask) | (iova & mask);
}

/* domain_ops.enforce_cache_coherency: nothing here goes past the caches */
bool sim_enforce_cache_coherency(struct iommu_domain *core)
{
	const struct sim_config *cfg = to_sim_domain(core)->cfg;

	return !cfg->no_coherency && !cfg->no_enforce;
}

/*
 * iommu_dirty_ops.set_dirty_tracking. Stale entries that were made without
 * tracking would hide writes.
 */
int sim_set_dirty_tracking(struct iommu_domain *core, bool enable)
{
	struct sim_domain *domain = to_sim_domain(core);

	if (!domain->dirty)
		return -EOPNOTSUPP;
	WRITE_ONCE(domain->stage.no_dirty, !enable);
	sim_flush(domain, 0, U64_MAX);
	return 0;
}

/* iommu_dirty_ops.read_and_clear_dirty; whoever calls it flushes */
int sim_read_and_clear_dirty(struct iommu_domain *core, unsigned long iova,
			     size_t size, unsigned long flags,
			     struct iommu_dirty_bitmap *dirty)
{
	struct sim_domain *domain = to_sim_domain(core);
	u64 last = iova + size - 1;

	if (!domain->dirty)
		return -EOPNOTSUPP;
	if (!size || last < iova || last >> domain->table.addr_bits)
		return -EINVAL;
	/* Without a bitmap nobody reads them: that is how they are all cleared */
	if (READ_ONCE(domain->stage.no_dirty) && dirty->bitmap)
		return -EINVAL;
	sim_table_dirty(&domain->table, iova, last, !(flags & IOMMU_DIRTY_NO_CLEAR),
			dirty);
	return 0;
}
