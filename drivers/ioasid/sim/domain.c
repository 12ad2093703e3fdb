// SPDX-License-Identifier: GPL-2.0
/*
 * Paging domains: mapping, unmapping and flushing of the page tables of table.c.
 * An unlinked table must never be freed before a flush. An unmapped page can be
 * accessed until iotlb_sync() returns.
 */
#include <linux/idr.h>
#include <linux/sizes.h>
#include <linux/slab.h>
#include "unit.h"

static DEFINE_IDA(sim_tags);
static atomic_t sim_domains;

/**
 * sim_domain_alloc() - allocate a domain with a tag of its own
 * @kind: its kind
 * @type: IOMMU_DOMAIN_*
 * @ops: its operations
 *
 * Context: can sleep.
 *
 * Return: the domain, ERR_PTR(-ENOMEM), or ERR_PTR(-ENOSPC) if all tags are in
 * use.
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
	atomic_inc(&sim_domains);
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
 * sim_domain_free() - undo sim_domain_alloc()
 * @domain: the domain, which is not attached any more
 *
 * Context: any.
 */
void sim_domain_free(struct sim_domain *domain)
{
	WARN_ON(!list_empty(&domain->attachments));
	ida_free(&sim_tags, domain->tag);
	atomic_dec(&sim_domains);
	kfree(domain);
}

/**
 * sim_domain_count() - how many domains there are
 *
 * Context: any.
 *
 * Return: the number of domains of all units; each has a tag.
 */
unsigned int sim_domain_count(void)
{
	return atomic_read(&sim_domains);
}

/**
 * sim_paging_create() - allocate a domain with an empty page table
 * @cfg: configuration of the unit that it is for
 * @flags: IOMMU_HWPT_ALLOC_NEST_PARENT, IOMMU_HWPT_ALLOC_DIRTY_TRACKING
 *
 * Context: can sleep.
 *
 * Return: the domain, or an error of sim_domain_alloc().
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
		/* Until tracking is enabled */
		.no_dirty = domain->dirty,
	};
	if (domain->dirty)
		domain->domain.dirty_ops = &sim_dirty_ops;
	domain->domain.pgsize_bitmap = cfg->no_huge ? SZ_4K : SZ_4K | SZ_2M | SZ_1G;
	domain->domain.geometry.aperture_end = (1ULL << cfg->addr_bits) - 1;
	domain->domain.geometry.force_aperture = true;
	return &domain->domain;
}

/**
 * sim_free_paging() - implement iommu_domain_ops.free of paging domains
 * @core: the domain
 *
 * Context: can sleep.
 */
void sim_free_paging(struct iommu_domain *core)
{
	struct sim_domain *domain = to_sim_domain(core);

	if (WARN_ON(!list_empty(&domain->children)))
		return;
	sim_table_destroy(&domain->table);
	sim_domain_free(domain);
}

/* An x86-64 entry that is present is readable */
static u64 sim_prot_bits(int prot)
{
	return (prot & IOMMU_WRITE ? SIM_PTE_W : 0) |
	       (prot & IOMMU_PRIV ? 0 : SIM_PTE_U);
}

/**
 * sim_map_pages() - implement iommu_domain_ops.map_pages
 * @core: a paging domain
 * @iova: first address
 * @pa: host physical address
 * @pgsize: size of a page in bytes
 * @pgcount: number of pages
 * @prot: IOMMU_READ, IOMMU_WRITE, IOMMU_PRIV
 * @gfp: flags to allocate tables with
 * @mapped: increased by the number of bytes mapped, also on failure
 *
 * Context: can sleep if @gfp allows it.
 *
 * Return: 0, -EINVAL without a permission, or an error of sim_table_map().
 */
int sim_map_pages(struct iommu_domain *core, unsigned long iova, phys_addr_t pa,
		  size_t pgsize, size_t pgcount, int prot, gfp_t gfp, size_t *mapped)
{
	struct sim_domain *domain = to_sim_domain(core);

	if (!(prot & (IOMMU_READ | IOMMU_WRITE)))
		return -EINVAL;
	return sim_table_map(&domain->table, iova, pa, pgsize, pgcount,
			     sim_prot_bits(prot), gfp, mapped);
}

/**
 * sim_unmap_pages() - implement iommu_domain_ops.unmap_pages
 * @core: a paging domain
 * @iova: first address
 * @pgsize: size of a page in bytes
 * @pgcount: number of pages
 * @gather: gets the range; to be flushed by sim_iotlb_sync()
 *
 * Context: any.
 *
 * Return: number of bytes unmapped.
 */
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

/**
 * sim_flush_iotlb_all() - implement iommu_domain_ops.flush_iotlb_all
 * @core: a paging domain
 *
 * Context: as sim_flush().
 */
void sim_flush_iotlb_all(struct iommu_domain *core)
{
	sim_sync(to_sim_domain(core), 0, U64_MAX);
}

/**
 * sim_iotlb_sync() - implement iommu_domain_ops.iotlb_sync
 * @core: a paging domain
 * @gather: the range to flush
 *
 * Context: as sim_flush().
 */
void sim_iotlb_sync(struct iommu_domain *core, struct iommu_iotlb_gather *gather)
{
	if (gather->start <= gather->end)
		sim_sync(to_sim_domain(core), gather->start, gather->end);
}

/**
 * sim_iotlb_sync_map() - implement iommu_domain_ops.iotlb_sync_map
 * @core: a paging domain
 * @iova: first address
 * @size: in bytes
 *
 * Not-present entries can be cached in "caching mode".
 *
 * Context: as sim_flush().
 *
 * Return: 0.
 */
int sim_iotlb_sync_map(struct iommu_domain *core, unsigned long iova, size_t size)
{
	struct sim_domain *domain = to_sim_domain(core);

	if (domain->cfg->negative)
		sim_sync(domain, iova, iova + size - 1);
	return 0;
}

/**
 * sim_iova_to_phys() - implement iommu_domain_ops.iova_to_phys
 * @core: a paging domain
 * @iova: the address
 *
 * Context: any.
 *
 * Return: the host physical address, or 0 if nothing is mapped there.
 */
phys_addr_t sim_iova_to_phys(struct iommu_domain *core, dma_addr_t iova)
{
	unsigned int shift;
	u64 pte = sim_table_lookup(&to_sim_domain(core)->table, iova, &shift), mask;

	if (!pte)
		return 0;
	mask = (1ULL << shift) - 1;
	return (pte & SIM_PTE_ADDR & ~mask) | (iova & mask);
}

/**
 * sim_enforce_cache_coherency() - implement
 *	iommu_domain_ops.enforce_cache_coherency
 * @core: a paging domain
 *
 * DMA of the CPU is always coherent; the configuration says what to report.
 *
 * Context: any.
 *
 * Return: true if the unit can enforce it.
 */
bool sim_enforce_cache_coherency(struct iommu_domain *core)
{
	const struct sim_config *cfg = to_sim_domain(core)->cfg;

	return !cfg->no_coherency && !cfg->no_enforce;
}

/**
 * sim_set_dirty_tracking() - implement iommu_dirty_ops.set_dirty_tracking
 * @core: a paging domain
 * @enable: true to set dirty bits from now on
 *
 * Flushes, since cached translations that were made without tracking would hide
 * writes.
 *
 * Context: as sim_flush().
 *
 * Return: 0, or -EOPNOTSUPP if the domain was allocated without tracking.
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

/**
 * sim_read_and_clear_dirty() - implement iommu_dirty_ops.read_and_clear_dirty
 * @core: a paging domain
 * @iova: first address
 * @size: in bytes
 * @flags: 0 or IOMMU_DIRTY_NO_CLEAR
 * @dirty: where to record dirty pages; the caller flushes
 *
 * Context: any.
 *
 * Return: 0, -EOPNOTSUPP if the domain was allocated without tracking, -EINVAL
 * if the range is invalid or tracking is disabled.
 */
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
	/* Without a bitmap the bits are only cleared, before tracking is enabled */
	if (READ_ONCE(domain->stage.no_dirty) && dirty->bitmap)
		return -EINVAL;
	sim_table_dirty(&domain->table, iova, last, !(flags & IOMMU_DIRTY_NO_CLEAR),
			dirty);
	return 0;
}
