/* SPDX-License-Identifier: GPL-2.0 */
/*
 * QEMU's edu device: one DMA at a time between memory and a buffer of 4 KiB in
 * the device. Each takes 100 ms of guest time. The device does not report
 * that the IOMMU blocked its DMA: look at the memory.
 */
#ifndef T_EDU_H
#define T_EDU_H

#include "ioasid.h"

#define T_EDU_BUFFER	4096

struct t_edu {
	volatile unsigned char *bar;
	u64 due;		/* ns; not done before */
};

/* -ENODEV if the registers are not those of an edu */
int t_edu_start(struct t_edu *edu, void *bar);
/* To begin one, and to wait for its end: it happens 100 ms after it is begun */
void t_edu_begin(struct t_edu *edu, bool push, u64 iova, u32 length);
int t_edu_wait(struct t_edu *edu);
/* Memory to device buffer, and back; -ETIMEDOUT if it never ends */
int t_edu_pull(struct t_edu *edu, u64 iova, u32 length);
int t_edu_push(struct t_edu *edu, u64 iova, u32 length);

#endif /* T_EDU_H */
