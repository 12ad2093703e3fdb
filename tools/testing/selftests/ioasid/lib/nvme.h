/* SPDX-License-Identifier: GPL-2.0 */
/*
 * A small NVMe driver in user space: thousands of DMAs in a second, by
 * polling, with one admin queue and one pair of I/O queues. It does not know
 * who maps memory: the caller has mapped T_NVME_QUEUE_BYTES of its memory for
 * reading and writing at @iova, and may do so through /dev/ioasid or type1.
 *
 * Blocked DMA never hangs the driver. A controller that cannot reach its
 * queues answers nothing (-ETIMEDOUT) or gives up (-EIO): t_nvme_start() brings
 * it back. One that cannot reach the data may even report success, so the
 * verdict of a test is in the memory.
 */
#ifndef T_NVME_H
#define T_NVME_H

#include "ioasid.h"

#define T_NVME_DEPTH		32
#define T_NVME_QUEUE_BYTES	((5 + T_NVME_DEPTH) * T_PAGE)
#define T_NVME_PATIENT_MS	30000	/* for an answer that must come */

struct t_nvme_queue {
	volatile u32 *sq;	/* T_NVME_DEPTH entries of 64 bytes */
	volatile u32 *cq;	/* T_NVME_DEPTH entries of 16 bytes */
	u32 id;
	u32 tail;
	u32 head;
	u32 phase;
	u64 busy;		/* bit per command id */
	u64 failed;
};

struct t_nvme {
	volatile unsigned char *bar;
	char *mem;		/* queues, identify page, PRP lists */
	u64 iova;
	u32 stride;
	u32 timeout_ms;		/* per command; change it at will */
	u32 block;		/* bytes of a logical block */
	u32 max_transfer;	/* bytes of one command */
	u64 nr_blocks;
	char model[41];
	struct t_nvme_queue admin;
	struct t_nvme_queue io;
};

/* Resets and enables the controller: also after anything went wrong */
int t_nvme_start(struct t_nvme *n, void *bar, void *mem, u64 iova);
void t_nvme_stop(struct t_nvme *n);

/* Identify data of the controller, 4 KiB, to @iova */
int t_nvme_identify(struct t_nvme *n, u64 iova);
/* Device to memory and memory to device; whole blocks */
int t_nvme_read(struct t_nvme *n, u64 block, u64 iova, u32 length);
int t_nvme_write(struct t_nvme *n, u64 block, u64 iova, u32 length);

/* The same in two halves: a command id (-EAGAIN: all are busy), then its end */
int t_nvme_submit(struct t_nvme *n, bool write, u64 block, u64 iova, u32 length);
int t_nvme_wait(struct t_nvme *n, int id);

#endif /* T_NVME_H */
