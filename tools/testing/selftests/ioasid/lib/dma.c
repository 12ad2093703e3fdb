// SPDX-License-Identifier: GPL-2.0
/*
 * DMA by any device. See dma.h.
 */
#include <errno.h>
#include <string.h>
#include <sys/mman.h>

#include "check.h"
#include "dma.h"

/* Behind the queues: the page that proves what the device holds */
#define VERDICT_OFFSET	(T_DMA_OWN_BYTES - T_PAGE)
#define FAST_CHUNK	65536

/* After it was opened: is it what it should be? */
static int check_device(struct t_dma *d)
{
	if (d->vfio.sim)
		return t_sim_start(&d->sim, d->vfio.device, d->vfio.config, d->vfio.bar);
	return d->kind == T_NVME ? 0 : t_edu_start(&d->edu, d->vfio.bar);
}

/* Everything but the device itself */
static int prepare(struct t_dma *d, enum t_pci_kind kind, const char *addr)
{
	memset(d, 0, sizeof(*d));
	d->vfio.container = -1;
	d->vfio.group = -1;
	d->vfio.device = -1;
	if (!addr)
		return -ENOENT;
	d->kind = kind;
	d->own_iova = T_DMA_OWN_IOVA;
	d->fast = kind == T_NVME || t_sim_is_name(addr);
	d->chunk = d->fast ? FAST_CHUNK : T_EDU_BUFFER;
	d->own = t_memory(T_ANON, T_DMA_OWN_BYTES);
	return d->own ? 0 : -ENOMEM;
}

int t_dma_open(struct t_dma *d, enum t_pci_kind kind, int nth, unsigned long iommu)
{
	const char *addr = t_device(kind, nth);
	int ret = prepare(d, kind, addr);

	if (!ret)
		ret = t_vfio_open(&d->vfio, addr, iommu);
	return ret ? ret : check_device(d);
}

int t_dma_open_in(struct t_dma *d, enum t_pci_kind kind, int nth, const struct t_vfio *first)
{
	const char *addr = t_device(kind, nth);
	int ret = prepare(d, kind, addr);

	if (!ret)
		ret = kind == T_SIBLING ? t_vfio_open_sibling(&d->vfio, first, addr) :
					  t_vfio_open_in(&d->vfio, addr, first);
	return ret ? ret : check_device(d);
}

void t_dma_close(struct t_dma *d)
{
	t_sim_stop(&d->sim);
	t_vfio_close(&d->vfio);
	if (d->own)
		munmap(d->own, T_DMA_OWN_BYTES);
	d->own = NULL;
}

int t_dma_map_own(struct t_dma *d, int ctx, u32 ioasid)
{
	return t_map_at(ctx, ioasid, d->own, T_DMA_OWN_BYTES, T_RW, d->own_iova);
}

int t_dma_start(struct t_dma *d)
{
	if (d->kind != T_NVME || d->vfio.sim)
		return 0;
	return t_nvme_start(&d->nvme, d->vfio.bar, d->own, d->own_iova);
}

int t_dma_up(struct t_dma *d, int ctx, u32 ioasid)
{
	int ret = t_dma_map_own(d, ctx, ioasid);

	if (!ret)
		ret = t_vfio_attach(&d->vfio, ctx, ioasid, 0);
	return ret ? ret : t_dma_start(d);
}

int t_dma_reopen(struct t_dma *d)
{
	int ret;

	t_sim_stop(&d->sim);
	t_vfio_close_device(&d->vfio);
	ret = t_vfio_reopen_device(&d->vfio);
	if (ret)
		return ret;
	d->nvme.block = 0;
	return check_device(d);
}

/* Between memory and the start of the buffer, or further on for other places */
static int sim_begin(struct t_dma *d, bool push, u32 place, u64 iova, u32 length)
{
	struct ioasid_sim_command cmd = {
		.opcode = push ? IOASID_SIM_OP_WRITE : IOASID_SIM_OP_READ,
		.length = length,
		.iova = iova,
		.buffer = place * T_PAGE,
	};

	return t_sim_submit(&d->sim, &cmd);
}

static int sim_end(struct t_dma *d, int slot)
{
	struct ioasid_sim_completion c;
	int ret = slot < 0 ? slot : t_sim_wait(&d->sim, slot, &c, 10000);

	return ret ? ret : t_sim_error(&c);
}

int t_dma_begin(struct t_dma *d, bool push, u32 place, u64 iova)
{
	if (d->vfio.sim)
		return sim_begin(d, push, place, iova, T_PAGE);
	if (d->kind == T_NVME)
		return t_nvme_submit(&d->nvme, !push, place * 8, iova, T_PAGE);
	t_edu_begin(&d->edu, push, iova, T_PAGE);
	return 0;
}

int t_dma_end(struct t_dma *d, int id)
{
	if (d->vfio.sim)
		return sim_end(d, id);
	if (d->kind == T_NVME)
		return t_nvme_wait(&d->nvme, id);
	return t_edu_wait(&d->edu);
}

int t_dma_pull(struct t_dma *d, u64 iova, u32 length)
{
	if (d->vfio.sim)
		return sim_end(d, sim_begin(d, false, 0, iova, length));
	if (d->kind == T_NVME)
		return t_nvme_write(&d->nvme, 0, iova, length);
	return t_edu_pull(&d->edu, iova, length);
}

int t_dma_push(struct t_dma *d, u64 iova, u32 length)
{
	if (d->vfio.sim)
		return sim_end(d, sim_begin(d, true, 0, iova, length));
	if (d->kind == T_NVME)
		return t_nvme_read(&d->nvme, 0, iova, length);
	return t_edu_push(&d->edu, iova, length);
}

int t_dma_copy(struct t_dma *d, u64 to, u64 from, u32 length)
{
	u32 step;
	int ret;

	for (; length; length -= step, to += step, from += step) {
		step = length < d->chunk ? length : d->chunk;
		ret = t_dma_pull(d, from, step);
		if (!ret)
			ret = t_dma_push(d, to, step);
		if (ret)
			return ret;
	}
	return 0;
}

void t_dma_impatient(struct t_dma *d, bool on)
{
	/*
	 * Not less: where time counts instructions, idle seconds pass faster than a disk
	 * can answer, and elsewhere the host may be busy.
	 */
	d->nvme.timeout_ms = on ? 3000 : T_NVME_PATIENT_MS;
}

void t_dma_push_blindly(struct t_dma *d, u64 iova)
{
	t_dma_impatient(d, true);
	/* A controller that was never started can be made to reach for its queues */
	if (t_dma_push(d, iova, T_PAGE) == -ENODEV)
		t_dma_start(d);
	t_dma_impatient(d, false);
}

/* Is what the device holds the page @mem? */
static int holds(struct t_dma *d, const void *mem)
{
	char *verdict = d->own + VERDICT_OFFSET;
	int ret;

	memset(verdict, 0xc3, T_PAGE);
	ret = t_dma_push(d, d->own_iova + VERDICT_OFFSET, T_PAGE);
	return ret ? ret : !memcmp(verdict, mem, T_PAGE);
}

/* Make the device hold something that no test uses */
static int hold_other(struct t_dma *d)
{
	static u32 seed = 0xdead0000;

	t_fill(d->own + VERDICT_OFFSET, T_PAGE, ++seed);
	return t_dma_pull(d, d->own_iova + VERDICT_OFFSET, T_PAGE);
}

int t_dma_reads(struct t_dma *d, u64 iova, const void *mem)
{
	int ret = hold_other(d);

	if (ret)
		return ret;
	t_dma_impatient(d, true);
	ret = t_dma_pull(d, iova, T_PAGE);
	t_dma_impatient(d, false);
	if (ret)
		ret = t_dma_start(d);
	return ret ? ret : holds(d, mem);
}

int t_dma_writes(struct t_dma *d, u64 iova, void *mem)
{
	uint32_t before = t_crc32(mem, T_PAGE);
	int ret = hold_other(d);

	if (ret)
		return ret;
	t_dma_impatient(d, true);
	ret = t_dma_push(d, iova, T_PAGE);
	t_dma_impatient(d, false);
	if (ret)
		ret = t_dma_start(d);
	return ret ? ret : t_crc32(mem, T_PAGE) != before;
}
