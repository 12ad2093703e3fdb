/* SPDX-License-Identifier: GPL-2.0 */
/*
 * A device that can do DMA both ways, whichever it is: edu, NVMe, or an endpoint
 * of ioasid_sim that stands in for one of them. "Pull" reads memory into the
 * device, "push" writes to memory what was pulled last. None is trusted to
 * report blocked DMA: t_dma_reads() and t_dma_writes() find out by the data,
 * using a page that is mapped for certain.
 */
#ifndef T_DMA_H
#define T_DMA_H

#include "edu.h"
#include "nvme.h"
#include "sim.h"
#include "vfio.h"

/* Where the device's own memory (queues, the page for verdicts) is mapped */
#define T_DMA_OWN_IOVA	0x0e000000ULL
#define T_DMA_OWN_BYTES	(64 * T_PAGE)

struct t_dma {
	enum t_pci_kind kind;
	struct t_vfio vfio;
	struct t_edu edu;
	struct t_nvme nvme;
	struct t_sim sim;
	bool fast;		/* thousands of DMAs in a second, many at the same time */
	char *own;		/* T_DMA_OWN_BYTES, to be mapped at own_iova */
	u64 own_iova;
	u32 chunk;		/* bytes of one pull or push */
};

/*
 * Opens the @nth device of that kind in a container of its own, of type
 * @iommu. -ENOENT if the bed has none.
 */
int t_dma_open(struct t_dma *d, enum t_pci_kind kind, int nth, unsigned long iommu);
/* The same in the container of @first: another group, or (T_SIBLING) its own */
int t_dma_open_in(struct t_dma *d, enum t_pci_kind kind, int nth, const struct t_vfio *first);
void t_dma_close(struct t_dma *d);
/* Closes the device fd and opens it again: it is then attached nowhere */
int t_dma_reopen(struct t_dma *d);
/* Maps its own memory in the space */
int t_dma_map_own(struct t_dma *d, int ctx, u32 ioasid);
/* Once attached to a space where its own memory is: also brings it back after faults */
int t_dma_start(struct t_dma *d);
/* All of it: maps its own memory, attaches it, starts it */
int t_dma_up(struct t_dma *d, int ctx, u32 ioasid);

/*
 * One page of DMA in two halves, to or from one of many places in the device
 * (an edu has only place 0). The id, or a negative errno; then its end.
 */
#define T_DMA_PLACES	30
int t_dma_begin(struct t_dma *d, bool push, u32 place, u64 iova);
int t_dma_end(struct t_dma *d, int id);

int t_dma_pull(struct t_dma *d, u64 iova, u32 length);
int t_dma_push(struct t_dma *d, u64 iova, u32 length);
/* Memory to memory through the device, in as many steps as it takes */
int t_dma_copy(struct t_dma *d, u64 to, u64 from, u32 length);

/* DMA will be blocked: a command that is not answered ends soon */
void t_dma_impatient(struct t_dma *d, bool on);
/* A push that may do anything: the device may have no space at all */
void t_dma_push_blindly(struct t_dma *d, u64 iova);

/*
 * Does the device, reading a page at @iova, get the bytes of @mem? Does the
 * page at @mem change when the device writes to @iova? 1, 0, or a negative
 * errno if the device no longer answers. An NVMe device that was cut
 * from its queues is started again first.
 */
int t_dma_reads(struct t_dma *d, u64 iova, const void *mem);
int t_dma_writes(struct t_dma *d, u64 iova, void *mem);

#endif /* T_DMA_H */
