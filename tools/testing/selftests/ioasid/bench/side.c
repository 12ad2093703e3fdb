// SPDX-License-Identifier: GPL-2.0
/*
 * The sides: the same device behind /dev/ioasid and behind VFIO type1.
 */
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "bench.h"

const struct side sides[NR_SIDES] = {
	[PEER] = { .name = "type1", .peer = true },
	[OURS] = { .name = "ioasid", .account = IOASID_ACCOUNT_USER },
	[OURS_MM] = { .name = "ioasid-mm", .account = IOASID_ACCOUNT_MM },
};

static const char *edu_address(int nth)
{
	const char *addr = t_pci(T_EDU, nth);

	if (!addr)
		bench_die("this machine has no edu device number %d", nth);
	return addr;
}

static void open_ours(struct bed *bed, bool attach)
{
	bed->ctx = t_open();
	MUST(bed->ctx);
	MUST(t_alloc_label(bed->ctx, &bed->ioasid, "bench"));
	if (bed->side->account != IOASID_ACCOUNT_USER)
		MUST(t_option_set(bed->ctx, IOASID_OPTION_ACCOUNT_MODE, bed->side->account));
	MUST(t_vfio_open(&bed->vfio, edu_address(0), VFIO_IOASID_IOMMU));
	if (attach)
		MUST(t_vfio_attach(&bed->vfio, bed->ctx, bed->ioasid, 0));
}

void bed_open(struct bed *bed, const struct side *side, bool attach)
{
	memset(bed, 0, sizeof(*bed));
	bed->side = side;
	bed->ctx = -1;
	if (side->peer)
		MUST(t_vfio_open(&bed->vfio, edu_address(0), VFIO_TYPE1v2_IOMMU));
	else
		open_ours(bed, attach);
}

void bed_close(struct bed *bed)
{
	t_vfio_close(&bed->vfio);
	if (bed->ctx >= 0)
		close(bed->ctx);
}

void bed_map(struct bed *bed, u64 iova, void *addr, u64 length)
{
	if (bed->side->peer)
		MUST(t_type1_map(bed->vfio.container, iova, addr, length,
				 VFIO_DMA_MAP_FLAG_READ | VFIO_DMA_MAP_FLAG_WRITE));
	else
		MUST(t_map_at(bed->ctx, bed->ioasid, addr, length, T_RW, iova));
}

void bed_unmap(struct bed *bed, u64 iova, u64 length)
{
	if (bed->side->peer)
		MUST(t_type1_unmap(bed->vfio.container, iova, length));
	else
		MUST(t_unmap(bed->ctx, bed->ioasid, iova, length));
}

void bed_map_pieces(struct bed *bed, const struct piece *p, u32 nr)
{
	static struct ioasid_map_range range[IOASID_MAX_VECTOR];
	u32 i;

	if (bed->side->peer) {
		for (i = 0; i < nr; i++)
			bed_map(bed, p[i].iova, p[i].addr, p[i].length);
		return;
	}
	for (i = 0; i < nr; i++)
		range[i] = (struct ioasid_map_range){
			.iova = p[i].iova,
			.addr = (uintptr_t)p[i].addr,
			.length = p[i].length,
			.flags = T_FIXED_RW,
		};
	MUST(t_mapv(bed->ctx, bed->ioasid, range, nr));
}

void bed_unmap_pieces(struct bed *bed, const struct piece *p, u32 nr)
{
	static struct ioasid_unmap_range range[IOASID_MAX_VECTOR];
	u32 i;

	if (bed->side->peer) {
		for (i = 0; i < nr; i++)
			bed_unmap(bed, p[i].iova, p[i].length);
		return;
	}
	for (i = 0; i < nr; i++)
		range[i] = (struct ioasid_unmap_range){
			.iova = p[i].iova,
			.length = p[i].length,
		};
	MUST(t_unmapv(bed->ctx, bed->ioasid, range, nr));
}

void bed_check_dma(struct bed *bed, struct memory *m, u64 iova)
{
	u64 from = m->length / 2 + 3 * T_PAGE, to = m->length - 5 * T_PAGE;
	struct t_edu edu;

	MUST(t_edu_start(&edu, bed->vfio.bar));
	t_fill(m->addr + from, T_PAGE, 1);
	t_fill(m->addr + to, T_PAGE, 2);
	MUST(t_edu_pull(&edu, iova + from, T_PAGE));
	MUST(t_edu_push(&edu, iova + to, T_PAGE));
	if (t_differs(m->addr + to, T_PAGE, 1) >= 0)
		bench_die("%s, %s memory: the device has not copied a page",
			  bed->side->name, layout_name[m->layout]);
}
