// SPDX-License-Identifier: GPL-2.0
/*
 * DMA by any device. See dma.h.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "check.h"
#include "dma.h"

/* Behind the queues: the page that proves what the device holds */
#define VERDICT_OFFSET	(T_DMA_OWN_BYTES - T_PAGE)
#define NVME_CHUNK	65536

int t_dma_open(struct t_dma *d, enum t_pci_kind kind, int nth, unsigned long iommu)
{
	const char *addr = t_pci(kind, nth);
	int ret;

	memset(d, 0, sizeof(*d));
	d->vfio.container = -1;
	d->vfio.group = -1;
	d->vfio.device = -1;
	if (!addr)
		return -ENOENT;
	d->kind = kind;
	d->own_iova = T_DMA_OWN_IOVA;
	d->chunk = kind == T_NVME ? NVME_CHUNK : T_EDU_BUFFER;
	d->own = t_memory(T_ANON, T_DMA_OWN_BYTES);
	if (!d->own)
		return -ENOMEM;
	ret = t_vfio_open(&d->vfio, addr, iommu);
	if (!ret && kind != T_NVME)
		ret = t_edu_start(&d->edu, d->vfio.bar);
	return ret;
}

void t_dma_close(struct t_dma *d)
{
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
	if (d->kind != T_NVME)
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

	t_vfio_close_device(&d->vfio);
	ret = t_vfio_reopen_device(&d->vfio);
	if (ret)
		return ret;
	d->nvme.block = 0;
	return d->kind == T_NVME ? 0 : t_edu_start(&d->edu, d->vfio.bar);
}

int t_dma_pull(struct t_dma *d, u64 iova, u32 length)
{
	if (d->kind == T_NVME)
		return t_nvme_write(&d->nvme, 0, iova, length);
	return t_edu_pull(&d->edu, iova, length);
}

int t_dma_push(struct t_dma *d, u64 iova, u32 length)
{
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
	d->nvme.timeout_ms = on ? 700 : 10000;
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
