/* SPDX-License-Identifier: GPL-2.0 */
/*
 * What nested.c offers to the commands: which formats there are, and
 * invalidation. No other file may know a format.
 */
#ifndef __IOASID_NESTED_H
#define __IOASID_NESTED_H

#include "ioasid_private.h"

/**
 * struct ioasid_invalidate_request - entries in the format of a page table
 * @ioasid: a nested space
 * @data_type: enum iommu_hwpt_invalidate_data_type
 * @entry_size: size of an entry in bytes
 * @nr: number of entries
 * @entries: user address of the entries
 * @done: out: number of entries that were executed; 0 before
 */
struct ioasid_invalidate_request {
	u32 ioasid;
	u32 data_type;
	u32 entry_size;
	u32 nr;
	u64 entries;
	u32 done;
};

u64 ioasid_nest_formats(struct device *dev, const void *hw_info, u32 type,
			u32 len);
int ioasid_nested_invalidate(struct ioasid_ctx *ctx,
			     struct ioasid_invalidate_request *req,
			     struct ioasid_extack *extack);
int ioasid_nested_flush(struct ioasid_ctx *ctx, u32 ioasid,
			const struct ioasid_invalidate_entry *entries, u32 nr,
			u32 *done, struct ioasid_extack *extack);

#endif /* __IOASID_NESTED_H */
