/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Pinned memory and its mappings, implemented by pages.c. No other file may
 * access the runs.
 */
#ifndef __IOASID_PAGES_H
#define __IOASID_PAGES_H

#include <linux/ioasid.h>
#include <linux/rbtree.h>
#include <linux/refcount.h>
#include <linux/types.h>

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
 * struct ioasid_area - a mapping: a slice of pinned pages at an IOVA
 * @node: in ioasid_space.areas
 * @first: first IOVA
 * @last: last IOVA
 * @hole: number of free bytes between the area below and this one
 * @widest: largest @hole of the subtree with this root
 * @pages: the memory
 * @page: index of its first page in @pages
 * @prot: IOASID_MAP_READ, _WRITE
 * @state: enum ioasid_area_state; changes under iova_lock, or by its creator
 *	while PENDING
 *
 * @node to @widest are under iova_lock; @first and @last do not change while
 * the area is in the tree.
 */
struct ioasid_area {
	struct rb_node node;
	u64 first;
	u64 last;
	u64 hole;
	u64 widest;
	struct ioasid_pages *pages;
	u32 page;
	u16 prot;
	u16 state;
};

/**
 * ioasid_area_length() - get the length of an area
 * @area: the area, with @first and @last set
 *
 * Context: any.
 *
 * Return: the length in bytes.
 */
static inline u64 ioasid_area_length(const struct ioasid_area *area)
{
	return area->last - area->first + 1;
}

/**
 * struct ioasid_pages - pinned memory, charged once however often it is mapped
 * @area: its first mapping, embedded since most memory has no other
 * @addr: user address, or offset in the file, in bytes
 * @payer: who is charged
 * @users: number of areas
 * @nr: number of pages
 * @nr_runs: number of runs; 0 while it is being pinned
 * @writable: pinned for writing
 * @file: pinned by memfd_pin_folios(), with one pin per folio, not per page
 * @run: the only run, if @nr_runs is 1
 * @runs: the runs otherwise
 *
 * Keep it small (120 bytes), since there can be millions.
 */
struct ioasid_pages {
	struct ioasid_area area;
	u64 addr;
	struct ioasid_payer *payer;
	refcount_t users;
	u32 nr;
	u32 nr_runs;
	bool writable;
	bool file;
	union {
		struct ioasid_run run;
		struct ioasid_run *runs;
	};
};

int ioasid_pages_setup(void);
void ioasid_pages_teardown(void);
struct ioasid_pages *ioasid_pages_alloc(void);
int ioasid_pages_pin(struct ioasid_ctx *ctx, struct ioasid_pages *pages, int fd,
		     struct ioasid_extack *extack);
void ioasid_pages_put(struct ioasid_ctx *ctx, struct ioasid_pages *pages);
struct ioasid_area *ioasid_area_alloc(struct ioasid_pages *pages,
				      struct ioasid_extack *extack);
void ioasid_area_free(struct ioasid_ctx *ctx, struct ioasid_area *area);
int ioasid_area_map(struct iommu_domain *domain, const struct ioasid_area *area,
		    struct ioasid_extack *extack);
bool ioasid_area_unmap(struct iommu_domain *domain,
		       const struct ioasid_area *area,
		       struct iommu_iotlb_gather *gather);
void ioasid_flush(struct iommu_domain *domain,
		  struct iommu_iotlb_gather *gather);

#endif /* __IOASID_PAGES_H */
