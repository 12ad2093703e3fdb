// SPDX-License-Identifier: GPL-2.0
/*
 * The sides: the same device behind /dev/ioasid, behind VFIO type1 and behind
 * iommufd. What a kernel does not have is left out, and its rows are missing.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "bench.h"

const struct side sides[NR_SIDES] = {
	[TYPE1] = { .name = "type1", .kind = VIA_TYPE1 },
	[IOMMUFD] = { .name = "iommufd", .kind = VIA_IOMMUFD },
	[OURS] = { .name = "ioasid", .account = IOASID_ACCOUNT_USER },
	[OURS_MM] = { .name = "ioasid-mm", .account = IOASID_ACCOUNT_MM },
};

const struct side *find_side(const char *name)
{
	int i;

	for (i = 0; i < NR_SIDES; i++)
		if (!strcmp(sides[i].name, name))
			return &sides[i];
	bench_die("no side %s", name);
}

bool side_available(const struct side *side)
{
	return side->kind != VIA_IOMMUFD || iommufd_available(device_name(0));
}

static void open_context(struct bed *bed)
{
	bed->ctx = t_open();
	MUST(bed->ctx);
	MUST(t_alloc_label(bed->ctx, &bed->ioasid, "bench"));
	if (bed->side->account != IOASID_ACCOUNT_USER)
		MUST(t_option_set(bed->ctx, IOASID_OPTION_ACCOUNT_MODE, bed->side->account));
}

static void open_container(struct bed *bed, const char *name)
{
	unsigned long type = bed->side->kind == VIA_TYPE1 ? VFIO_TYPE1v2_IOMMU : VFIO_IOASID_IOMMU;
	struct t_vfio *v = &bed->vfio;

	v->container = open("/dev/vfio/vfio", O_RDWR | O_CLOEXEC);
	if (v->container < 0)
		bench_die("/dev/vfio/vfio: %s", strerror(errno));
	v->group = device_group(name);
	MUST(t_ioctl(v->group, VFIO_GROUP_SET_CONTAINER, &v->container));
	MUST(t_ioctl(v->container, VFIO_SET_IOMMU, (void *)type));
	v->device = device_of_group(v->group, name);
}

void bed_open(struct bed *bed, const struct side *side, bool attach)
{
	bed_open_on(bed, side, device_name(0), attach);
}

void bed_open_on(struct bed *bed, const struct side *side, const char *name, bool attach)
{
	memset(bed, 0, sizeof(*bed));
	bed->side = side;
	bed->ctx = -1;
	bed->vfio.container = -1;
	bed->vfio.group = -1;
	if (side->kind == VIA_IOMMUFD) {
		bed->ctx = iommufd_open(&bed->ioasid);
		bed->vfio.device = iommufd_device(name);
		MUST(iommufd_bind(bed->vfio.device, bed->ctx, &bed->iommufd_dev));
	} else {
		if (side->kind == VIA_IOASID)
			open_context(bed);
		open_container(bed, name);
	}
	if (strcmp(name, FOREIGN))
		device_start(&bed->vfio, name);
	if (attach)
		bed_attach(bed);
}

void bed_attach(struct bed *bed)
{
	if (bed->side->kind == VIA_IOASID)
		MUST(t_vfio_attach(&bed->vfio, bed->ctx, bed->ioasid, 0));
	else if (bed->side->kind == VIA_IOMMUFD)
		MUST(iommufd_attach(bed->vfio.device, bed->ioasid));
}

void bed_close(struct bed *bed)
{
	t_vfio_close(&bed->vfio);
	if (bed->ctx >= 0)
		close(bed->ctx);
}

void bed_map(struct bed *bed, u64 iova, void *addr, u64 length)
{
	switch (bed->side->kind) {
	case VIA_IOASID:
		MUST(t_map_at(bed->ctx, bed->ioasid, addr, length, T_RW, iova));
		break;
	case VIA_TYPE1:
		MUST(t_type1_map(bed->vfio.container, iova, addr, length,
				 VFIO_DMA_MAP_FLAG_READ | VFIO_DMA_MAP_FLAG_WRITE));
		break;
	case VIA_IOMMUFD:
		MUST(iommufd_map(bed->ctx, bed->ioasid, iova, addr, length));
		break;
	}
}

void bed_unmap(struct bed *bed, u64 iova, u64 length)
{
	switch (bed->side->kind) {
	case VIA_IOASID:
		MUST(t_unmap(bed->ctx, bed->ioasid, iova, length));
		break;
	case VIA_TYPE1:
		MUST(t_type1_unmap(bed->vfio.container, iova, length));
		break;
	case VIA_IOMMUFD:
		MUST(iommufd_unmap(bed->ctx, bed->ioasid, iova, length));
		break;
	}
}

void bed_map_pieces(struct bed *bed, const struct piece *p, u32 nr)
{
	static struct ioasid_map_range range[IOASID_MAX_VECTOR];
	u32 i;

	if (bed->side->kind != VIA_IOASID) {
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

	if (bed->side->kind != VIA_IOASID) {
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

	t_fill(m->addr + from, T_PAGE, 1);
	t_fill(m->addr + to, T_PAGE, 2);
	device_copy(&bed->vfio, iova + from, iova + to);
	if (t_differs(m->addr + to, T_PAGE, 1) >= 0)
		bench_die("%s, %s memory: the device has not copied a page",
			  bed->side->name, layout_name[m->layout]);
}
