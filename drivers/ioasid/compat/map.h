/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Mapping many pieces with one sync at the end. The IOMMU core exports this for
 * scatterlists only, which cost a tenth of mapping single pages; generic page
 * tables can be filled directly. Must do all that iommu_map() does: its event is
 * reported here, its checks of type and flags cannot fail for us, and kernels
 * that count the mappings of each page (CONFIG_IOMMU_DEBUG_PAGEALLOC) have to
 * do without.
 */
#ifndef __IOASID_COMPAT_MAP_H
#define __IOASID_COMPAT_MAP_H

#include <linux/iommu.h>
#include "config.h"

/* Also for the tests, which make such a page table */
#define COMPAT_MAP_PIECES	(IOASID_HAVE_PT_MAP_RANGE && \
				 !IS_ENABLED(CONFIG_IOMMU_DEBUG_PAGEALLOC))

#if COMPAT_MAP_PIECES
#include <linux/generic_pt/iommu.h>
#include <trace/events/iommu.h>

/**
 * compat_maps_pieces() - check for compat_map_piece()
 * @domain: the domain
 *
 * Context: any.
 *
 * Return: true if the domain can be filled by compat_map_piece().
 */
static inline bool compat_maps_pieces(struct iommu_domain *domain)
{
	return iommupt_from_domain(domain);
}

/**
 * compat_map_piece() - map contiguous memory without compat_sync_map()
 * @domain: the domain; see compat_maps_pieces()
 * @iova: first IOVA
 * @phys: first physical address
 * @size: number of bytes
 * @prot: IOMMU_READ and others
 * @mapped: in, out: what was mapped is added, even on failure
 *
 * Context: can sleep.
 *
 * Return: 0 or the error of the page table.
 */
static inline int compat_map_piece(struct iommu_domain *domain, u64 iova,
				   phys_addr_t phys, u64 size, int prot,
				   size_t *mapped)
{
	struct pt_iommu *pt = iommupt_from_domain(domain);
	size_t before = *mapped;
	int rc;

	rc = pt->ops->map_range(pt, iova, phys, size, prot, GFP_KERNEL_ACCOUNT,
				mapped);
	trace_map(iova, phys, *mapped - before);
	return rc;
}

#else

static inline bool compat_maps_pieces(struct iommu_domain *domain)
{
	return false;
}

static inline int compat_map_piece(struct iommu_domain *domain, u64 iova,
				   phys_addr_t phys, u64 size, int prot,
				   size_t *mapped)
{
	return -EOPNOTSUPP;
}

#endif

/**
 * compat_sync_map() - let the hardware see what compat_map_piece() has mapped
 * @domain: the domain
 * @iova: first IOVA
 * @size: number of bytes
 *
 * Context: can sleep.
 *
 * Return: 0 or the error of the IOMMU driver.
 */
static inline int compat_sync_map(struct iommu_domain *domain, u64 iova,
				  u64 size)
{
	const struct iommu_domain_ops *ops = domain->ops;

	return ops->iotlb_sync_map ? ops->iotlb_sync_map(domain, iova, size) : 0;
}

#endif /* __IOASID_COMPAT_MAP_H */
