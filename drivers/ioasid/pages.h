/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Pinned memory and its mappings, implemented by pages.c. No other file may
 * access the runs.
 */
#ifndef __IOASID_PAGES_H
#define __IOASID_PAGES_H

#include <linux/build_bug.h>
#include <linux/container_of.h>
#include <linux/ioasid.h>
#include <linux/rbtree.h>
#include <linux/refcount.h>
#include <linux/types.h>
#include <asm/page.h>

struct iommu_domain;
struct iommu_iotlb_gather;
struct ioasid_payer;

/**
 * struct ioasid_run - physically contiguous pages
 * @pfn: first page frame
 * @first: index of its first page in the struct ioasid_pages
 * @nr: number of pages
 */
struct ioasid_run {
	unsigned long pfn;
	u32 first;
	u32 nr;
};

enum ioasid_area_state {
	IOASID_AREA_PENDING, /* in the tree, but not mapped yet */
	IOASID_AREA_READY,
	IOASID_AREA_UNMAPPING,
};

/**
 * enum ioasid_area_type - what an area is part of
 * @IOASID_AREA_COPIED: a struct ioasid_copied_area
 * @IOASID_AREA_EMBEDDED: its struct ioasid_pages
 * @IOASID_AREA_SHADOW: a struct ioasid_shadow_area; it has no pages of its own
 */
enum ioasid_area_type {
	IOASID_AREA_COPIED,
	IOASID_AREA_EMBEDDED,
	IOASID_AREA_SHADOW,
};

/**
 * struct ioasid_area - a mapping: a slice of pinned pages at an IOVA
 * @node: in ioasid_space.areas
 * @first: first IOVA
 * @nr: number of pages
 * @prot: IOASID_MAP_READ, _WRITE
 * @state: enum ioasid_area_state; changes under iova_lock, or by its creator
 *	while PENDING
 * @type: enum ioasid_area_type
 * @file: the pages are of a file, pinned by memfd_pin_folios(), with one pin
 *	per folio, not per page
 * @merged: it is in the page tables of the shadow spaces of its space; under
 *	ioasid_space.merge_lock
 * @hole: number of free bytes between the area below and this one
 * @widest: largest @hole of the subtree with this root
 *
 * @node, @first, @hole and @widest are under iova_lock; @first does not change
 * while the area is in the tree. @nr, @prot, @type and @file never change.
 */
struct ioasid_area {
	struct rb_node node;
	u64 first;
	u32 nr;
	u8 prot;
	u8 state;
	u8 type:7;
	u8 file:1;
	bool merged;
	u64 hole;
	u64 widest;
};

/**
 * struct ioasid_pages - pinned memory, charged once however often it is mapped
 * @area: its first mapping, embedded since most memory has no other
 * @addr: user address, or offset in the file, in bytes
 * @payer: who is charged
 * @users: number of areas
 * @nr_runs: number of runs; 0 while it is being pinned
 * @pfn: first page frame of the only run, if @nr_runs is 1
 * @runs: the runs otherwise
 *
 * The @nr and @file of @area are those of the memory, which is pinned for
 * writing if @area is mapped for writing. They stay when @area is unmapped and
 * others are left, so it must not be used for anything else then.
 */
struct ioasid_pages {
	struct ioasid_area area;
	u64 addr;
	struct ioasid_payer *payer;
	refcount_t users;
	u32 nr_runs;
	union {
		unsigned long pfn;
		struct ioasid_run *runs;
	};
};

/* What a mapping costs on a 64-bit machine, and there can be millions */
static_assert(sizeof(struct ioasid_pages) <= 88);

/**
 * struct ioasid_copied_area - another mapping of pinned memory
 * @area: the mapping
 * @pages: the memory
 * @page: index of its first page in @pages
 */
struct ioasid_copied_area {
	struct ioasid_area area;
	struct ioasid_pages *pages;
	u32 page;
};

/**
 * ioasid_area_length() - get the length of an area
 * @area: the area
 *
 * Context: any.
 *
 * Return: the length in bytes.
 */
static inline u64 ioasid_area_length(const struct ioasid_area *area)
{
	return (u64)area->nr << PAGE_SHIFT;
}

/**
 * ioasid_area_last() - get the last IOVA of an area
 * @area: the area
 *
 * Context: any.
 *
 * Return: the last IOVA, which can be U64_MAX.
 */
static inline u64 ioasid_area_last(const struct ioasid_area *area)
{
	return area->first + ioasid_area_length(area) - 1;
}

/**
 * ioasid_area_pages() - get the memory of an area
 * @area: the area
 *
 * Context: any.
 *
 * Return: the pages, on which the area has a reference. Not for shadow areas.
 */
static inline struct ioasid_pages *
ioasid_area_pages(const struct ioasid_area *area)
{
	if (area->type == IOASID_AREA_EMBEDDED)
		return container_of(area, struct ioasid_pages, area);
	return container_of(area, struct ioasid_copied_area, area)->pages;
}

/**
 * ioasid_area_runs() - get the number of runs of the memory of an area
 * @area: the area
 *
 * Context: any.
 *
 * Return: the number; 0 for a shadow area.
 */
static inline u32 ioasid_area_runs(const struct ioasid_area *area)
{
	return area->type == IOASID_AREA_SHADOW ?
	       0 : ioasid_area_pages(area)->nr_runs;
}

/**
 * ioasid_area_page() - get where in its memory an area begins
 * @area: the area
 *
 * Context: any.
 *
 * Return: the index of its first page in ioasid_area_pages().
 */
static inline u32 ioasid_area_page(const struct ioasid_area *area)
{
	if (area->type == IOASID_AREA_EMBEDDED)
		return 0;
	return container_of(area, struct ioasid_copied_area, area)->page;
}

/**
 * struct ioasid_shadow_area - a mapping of IOVA of the parent
 * @area: the mapping
 * @rb: in ioasid_space.links, under ioasid_space.merge_lock of the parent
 * @to: first IOVA of the parent
 * @subtree_last: of the interval tree
 */
struct ioasid_shadow_area {
	struct ioasid_area area;
	struct rb_node rb;
	u64 to;
	u64 subtree_last;
};

/**
 * to_shadow_area() - get what a shadow area is part of
 * @area: an area of type IOASID_AREA_SHADOW
 *
 * Context: any.
 *
 * Return: the struct ioasid_shadow_area.
 */
static inline struct ioasid_shadow_area *
to_shadow_area(const struct ioasid_area *area)
{
	return container_of((struct ioasid_area *)area,
			    struct ioasid_shadow_area, area);
}

/**
 * ioasid_area_addr() - get the address of the memory of an area
 * @area: the area
 *
 * Context: any.
 *
 * Return: the user address, the offset in the file, or the IOVA of the parent, of
 * its first byte.
 */
static inline u64 ioasid_area_addr(const struct ioasid_area *area)
{
	if (area->type == IOASID_AREA_SHADOW)
		return to_shadow_area(area)->to;
	return ioasid_area_pages(area)->addr +
	       ((u64)ioasid_area_page(area) << PAGE_SHIFT);
}

int ioasid_pages_setup(void);
void ioasid_pages_teardown(void);
struct ioasid_pages *ioasid_pages_alloc(void);
int ioasid_pages_pin(struct ioasid_ctx *ctx, struct ioasid_pages *pages, int fd,
		     struct ioasid_extack *extack);
void ioasid_pages_put(struct ioasid_ctx *ctx, struct ioasid_pages *pages);
struct ioasid_area *ioasid_area_alloc(struct ioasid_pages *pages, u32 page,
				      u32 nr, struct ioasid_extack *extack);
void ioasid_area_free(struct ioasid_ctx *ctx, struct ioasid_area *area);
int ioasid_area_map(struct iommu_domain *domain, const struct ioasid_area *area,
		    struct ioasid_extack *extack);
bool ioasid_area_unmap(struct iommu_domain *domain,
		       const struct ioasid_area *area,
		       struct iommu_iotlb_gather *gather);
void ioasid_flush(struct iommu_domain *domain,
		  struct iommu_iotlb_gather *gather);

#endif /* __IOASID_PAGES_H */
