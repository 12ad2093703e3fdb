// SPDX-License-Identifier: GPL-2.0
/*
 * PASIDs and the memory of a process: how long it takes until a device can use
 * them. iommufd has no pool of PASIDs, so its user brings a number; of a
 * process' memory it has nothing.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "../lib/device.h"
#include "bench.h"

#define NR_PASIDS	500
#define ROUNDS		100
#define DEPTH		IOASID_FAULT_MAX_DEPTH

/* A PASID of the pool, attached in the same call; iommufd: one of the user's */
static void attach_one(struct bed *bed, u32 i, u32 *pasid)
{
	if (bed->side->kind == VIA_IOMMUFD) {
		*pasid = i + 1;
		MUST(iommufd_attach_pasid(bed->vfio.device, bed->ioasid, *pasid));
	} else {
		*pasid = IOASID_PASID_ANY;
		MUST(t_attach_pasid(bed->ctx, bed->vfio.dev_id, bed->ioasid, pasid, 0, 0));
	}
}

static void detach_one(struct bed *bed, u32 pasid)
{
	if (bed->side->kind == VIA_IOMMUFD)
		MUST(iommufd_detach_pasid(bed->vfio.device, pasid));
	else
		MUST(t_detach_pasid(bed->ctx, bed->vfio.dev_id, pasid));
}

/* Many PASIDs of one device, all to the same space, which has a domain already */
static void attach_rows(struct bed *bed)
{
	static u32 pasids[NR_PASIDS];
	u64 t0, t1, t2;
	u32 i, first;

	attach_one(bed, NR_PASIDS, &first);
	t0 = t_now_ns();
	for (i = 0; i < NR_PASIDS; i++)
		attach_one(bed, i, &pasids[i]);
	t1 = t_now_ns();
	for (i = 0; i < NR_PASIDS; i++)
		detach_one(bed, pasids[i]);
	t2 = t_now_ns();
	sample(bed->side, "us", (t1 - t0) / NR_PASIDS, "pasid-attach");
	sample(bed->side, "us", (t2 - t1) / NR_PASIDS, "pasid-detach");
	detach_one(bed, first);
}

static void pool_rows(struct bed *bed)
{
	static u32 pasids[NR_PASIDS];
	u64 t0, t1, t2;

	t0 = t_now_ns();
	MUST(t_pasid_alloc(bed->ctx, bed->vfio.dev_id, NR_PASIDS, pasids));
	t1 = t_now_ns();
	MUST(t_pasid_free(bed->ctx, NR_PASIDS, pasids));
	t2 = t_now_ns();
	sample(bed->side, "us", (t1 - t0) / NR_PASIDS, "pasid-alloc");
	sample(bed->side, "us", (t2 - t1) / NR_PASIDS, "pasid-free");
}

/* Until the device can use a pointer, and until it cannot any more */
static void process_rows(struct bed *bed)
{
	u32 id, pasid, i;
	u64 t0, t1, t2;

	if (!t_shares_mm(bed->ctx)) {
		note("not measured: this kernel shares no memory of processes", "mm-attach");
		return;
	}
	for (i = 0; i < ROUNDS; i++) {
		pasid = IOASID_PASID_ANY;
		t0 = t_now_ns();
		MUST(t_alloc_mm(bed->ctx, &id));
		MUST(t_attach_pasid(bed->ctx, bed->vfio.dev_id, id, &pasid, 0, 0));
		t1 = t_now_ns();
		MUST(t_detach_pasid(bed->ctx, bed->vfio.dev_id, pasid));
		MUST(t_free(bed->ctx, id));
		t2 = t_now_ns();
		sample(bed->side, "us", t1 - t0, "mm-attach");
		sample(bed->side, "us", t2 - t1, "mm-detach");
	}
}

/* What a queue takes at its creation, so that page requests need nothing any more */
static void memory_row(struct bed *bed)
{
	struct ioasid_fault_queue args = { .depth = DEPTH, .eventfd = -1 };
	long before = t_meminfo_kib("MemFree"), after;
	struct t_queue q;

	MUST(t_queue_open(&q, bed->ctx, &args));
	after = t_meminfo_kib("MemFree");
	t_queue_close(&q);
	if (before < 0 || after >= before)
		bench_die("/proc/meminfo does not show what a queue takes");
	sample(bed->side, "B", (before - after) * KIB * 1000 / DEPTH, "fault-memory");
}

static void open_pasids(struct bed *bed, const struct side *side, const char *name)
{
	bed_open_on(bed, side, name, false);
	if (side->kind == VIA_IOASID)
		MUST(t_vfio_bind(&bed->vfio, bed->ctx));
	else
		bed->ioasid = iommufd_pasid_pt(bed);
}

void measure_pasids(struct bench *b, const struct side *side)
{
	const char *name = t_sim_find(T_EDU, 0);
	struct bed bed;

	if (!name || side->kind == VIA_TYPE1)
		return;
	note("each of 500 for one space; ours: out of the pool and attached in one call, iommufd: attached, its user makes numbers up",
	     "pasid-attach");
	note("a new space of this process, attached to a device; and the reverse", "mm-attach");
	note("bytes of a queue for each group that can wait, with a record and an answer; taken when it is made",
	     "fault-memory");
	allow_endpoint(side, true);
	open_pasids(&bed, side, name);
	attach_rows(&bed);
	if (side->kind == VIA_IOASID) {
		pool_rows(&bed);
		process_rows(&bed);
		memory_row(&bed);
	}
	bed_close(&bed);
	allow_endpoint(side, false);
}

/* A few more, where there are many */
void profile_pasids(const struct side *side)
{
	static struct bed bed;
	u32 pasid, i;

	if (!bed.side) {
		allow_endpoint(side, true);
		open_pasids(&bed, side, t_sim_find(T_EDU, 0));
		for (i = 0; i < NR_PASIDS; i++)
			attach_one(&bed, i, &pasid);
	}
	for (i = 0; i < 20; i++) {
		attach_one(&bed, NR_PASIDS, &pasid);
		detach_one(&bed, pasid);
	}
}
