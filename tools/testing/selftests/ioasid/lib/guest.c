// SPDX-License-Identifier: GPL-2.0
/*
 * A guest's page table. See guest.h.
 */
#include <errno.h>
#include <linux/iommufd.h>
#include <stdlib.h>
#include <string.h>

#include "guest.h"

void t_guest_init(struct t_guest *g, void *mem, u64 bytes, u64 table_bytes)
{
	memset(mem, 0, table_bytes);
	*g = (struct t_guest){ .mem = mem, .bytes = table_bytes, .tables = T_PAGE };
}

static u64 new_table(struct t_guest *g)
{
	u64 at = g->tables;

	if (at >= g->bytes)
		abort();
	g->tables += T_PAGE;
	return at;
}

u64 *t_guest_entry(struct t_guest *g, u64 iova, int level)
{
	u64 *entry, table = 0;
	int at;

	for (at = 4;; at--) {
		entry = (u64 *)(g->mem + table) + (iova >> (12 + 9 * (at - 1))) % 512;
		if (at == level)
			return entry;
		if (!(*entry & T_GUEST_P))
			*entry = new_table(g) | T_GUEST_RW;
		table = *entry & T_GUEST_ADDR;
	}
}

void t_guest_map(struct t_guest *g, u64 iova, u64 to, u64 bits, int level)
{
	*t_guest_entry(g, iova, level) = to | bits | (level > 1 ? T_GUEST_PS : 0);
}

void t_guest_protect(struct t_guest *g, u64 iova, u64 bits, int level)
{
	u64 *entry = t_guest_entry(g, iova, level);

	*entry = (*entry & ~T_GUEST_RW) | bits;
}

int t_alloc_any(int fd, u32 *ioasid, struct ioasid_alloc cmd)
{
	int ret;

	cmd.size = sizeof(cmd);
	ret = t_cmd(fd, IOASID_ALLOC, &cmd);
	*ioasid = cmd.ioasid;
	return ret;
}

int t_alloc_parent(int fd, u32 *ioasid)
{
	return t_alloc_any(fd, ioasid, (struct ioasid_alloc){
		.kind = IOASID_KIND_MAPPED, .flags = IOASID_ALLOC_NEST_PARENT });
}

int t_alloc_nested(int fd, u32 *ioasid, u32 parent, const struct t_guest *g, u32 flags)
{
	struct iommu_hwpt_vtd_s1 s1 = { .pgtbl_addr = 0, .addr_width = 48 };

	return t_alloc_any(fd, ioasid, (struct ioasid_alloc){
		.kind = IOASID_KIND_NESTED, .flags = flags, .parent = parent,
		.data_type = IOMMU_HWPT_DATA_VTD_S1, .data_len = sizeof(s1),
		.data = (uintptr_t)&s1 });
}

int t_invalidate_any(int fd, struct ioasid_invalidate *cmd)
{
	cmd->size = sizeof(*cmd);
	cmd->done = ~0U;
	return t_cmd(fd, IOASID_INVALIDATE, cmd);
}

int t_invalidate(int fd, u32 ioasid, struct ioasid_invalidate_entry *entries, u32 nr, u32 *done)
{
	struct ioasid_invalidate cmd = {
		.flags = IOASID_INVALIDATE_GENERIC, .ioasid = ioasid,
		.entry_size = sizeof(*entries), .nr = nr, .entries = (uintptr_t)entries,
	};
	int ret = t_invalidate_any(fd, &cmd);

	if (done)
		*done = cmd.done;
	return ret;
}

int t_invalidate_all(int fd, u32 ioasid)
{
	struct ioasid_invalidate_entry entry = {
		.type = IOASID_INVALIDATE_IOTLB, .pasid = IOASID_PASID_ANY,
	};

	return t_invalidate(fd, ioasid, &entry, 1, NULL);
}

int t_invalidate_vtd(int fd, u32 ioasid, u64 iova, u64 pages)
{
	struct iommu_hwpt_vtd_s1_invalidate entry = { .addr = iova, .npages = pages };
	struct ioasid_invalidate cmd = {
		.ioasid = ioasid, .data_type = IOMMU_HWPT_INVALIDATE_DATA_VTD_S1,
		.entry_size = sizeof(entry), .nr = 1, .entries = (uintptr_t)&entry,
	};

	return t_invalidate_any(fd, &cmd);
}
