// SPDX-License-Identifier: GPL-2.0
/*
 * Nested page tables: how long it takes until a device works through a guest's
 * table, and until it has forgotten what the guest has changed. Both sides pass the
 * same entries to the same driver.
 */
#include <linux/iommufd.h>
#include <stdio.h>
#include <string.h>

#include "../lib/device.h"
#include "../lib/guest.h"
#include "bench.h"

#define ROUNDS		100
#define ENTRIES		1000

/* A parent with nothing in it: the driver does not look at the table */
static void open_nested(struct bed *bed, const struct side *side, const char *name)
{
	bed_open_on(bed, side, name, false);
	if (side->kind == VIA_IOASID) {
		MUST(t_vfio_bind(&bed->vfio, bed->ctx));
		MUST(t_alloc_parent(bed->ctx, &bed->ioasid));
	} else {
		bed->ioasid = iommufd_nest_parent(bed);
	}
}

static u32 nest(struct bed *bed)
{
	struct iommu_hwpt_vtd_s1 s1 = { .addr_width = 48 };
	u32 id;

	if (bed->side->kind == VIA_IOMMUFD)
		return iommufd_nested(bed, bed->ioasid, &s1);
	MUST(t_alloc_any(bed->ctx, &id, (struct ioasid_alloc){
		.kind = IOASID_KIND_NESTED, .parent = bed->ioasid,
		.data_type = IOMMU_HWPT_DATA_VTD_S1, .data_len = sizeof(s1),
		.data = (uintptr_t)&s1 }));
	return id;
}

static void attach(struct bed *bed, u32 id)
{
	if (bed->side->kind == VIA_IOMMUFD)
		MUST(iommufd_attach(bed->vfio.device, id));
	else
		MUST(t_attach(bed->ctx, bed->vfio.dev_id, id, 0));
}

static void leave(struct bed *bed, u32 id)
{
	if (bed->side->kind == VIA_IOMMUFD) {
		MUST(iommufd_detach(bed->vfio.device));
		iommufd_destroy(bed, id);
	} else {
		MUST(t_detach(bed->ctx, bed->vfio.dev_id));
		MUST(t_free(bed->ctx, id));
	}
}

static void invalidate(struct bed *bed, u32 id, struct iommu_hwpt_vtd_s1_invalidate *e, u32 nr)
{
	struct ioasid_invalidate cmd = {
		.ioasid = id, .entry_size = sizeof(*e), .nr = nr, .entries = (uintptr_t)e,
	};

	if (bed->side->kind == VIA_IOMMUFD)
		iommufd_invalidate(bed, id, e, nr);
	else
		MUST(t_invalidate_any(bed->ctx, &cmd));
}

static void attach_rows(struct bed *bed)
{
	u64 t0, t1, t2;
	u32 i, id;

	for (i = 0; i < ROUNDS; i++) {
		t0 = t_now_ns();
		id = nest(bed);
		attach(bed, id);
		t1 = t_now_ns();
		leave(bed, id);
		t2 = t_now_ns();
		sample(bed->side, "us", t1 - t0, "nested-attach");
		sample(bed->side, "us", t2 - t1, "nested-detach");
	}
}

static void invalidate_rows(struct bed *bed)
{
	static struct iommu_hwpt_vtd_s1_invalidate e[ENTRIES];
	u32 i, id = nest(bed);
	u64 t0;

	for (i = 0; i < ENTRIES; i++)
		e[i] = (struct iommu_hwpt_vtd_s1_invalidate){
			.addr = BENCH_IOVA + i * T_PAGE, .npages = 1 };
	attach(bed, id);
	for (i = 0; i < ROUNDS; i++) {
		t0 = t_now_ns();
		invalidate(bed, id, e, 1);
		sample(bed->side, "us", t_now_ns() - t0, "invalidate-1");
	}
	for (i = 0; i < ROUNDS / 10; i++) {
		t0 = t_now_ns();
		invalidate(bed, id, e, ENTRIES);
		sample(bed->side, "us", (t_now_ns() - t0) / ENTRIES, "invalidate-1000");
	}
	leave(bed, id);
}

void measure_nested(struct bench *b, const struct side *side)
{
	const char *name = t_sim_find(T_EDU, 0);
	struct bed bed;

	if (!name || side->kind == VIA_TYPE1)
		return;
	note("a page table of the guest for the RID of a device, made and attached; and the reverse",
	     "nested-attach");
	note("one page each, by the driver of ioasid_sim", "invalidate-1");
	allow_endpoint(side, true);
	open_nested(&bed, side, name);
	attach_rows(&bed);
	invalidate_rows(&bed);
	bed_close(&bed);
	allow_endpoint(side, false);
}

/* --where */
void profile_nested(const struct side *side)
{
	static struct iommu_hwpt_vtd_s1_invalidate e[ENTRIES];
	static struct bed bed;
	static u32 id;
	u32 i;

	if (!bed.side) {
		allow_endpoint(side, true);
		open_nested(&bed, side, t_sim_find(T_EDU, 0));
		for (i = 0; i < ENTRIES; i++)
			e[i] = (struct iommu_hwpt_vtd_s1_invalidate){
				.addr = BENCH_IOVA + i * T_PAGE, .npages = 1 };
	}
	id = nest(&bed);
	attach(&bed, id);
	invalidate(&bed, id, e, 1);
	leave(&bed, id);
}
