// SPDX-License-Identifier: GPL-2.0
/*
 * QEMU's edu device, driven through BAR 0. See edu.h.
 */
#include <errno.h>

#include "check.h"
#include "edu.h"

#define EDU_ID		0x00
#define EDU_DMA_SRC	0x80
#define EDU_DMA_DST	0x88
#define EDU_DMA_COUNT	0x90
#define EDU_DMA_CMD	0x98

#define EDU_ID_VALUE	0x010000edU
#define EDU_CMD_RUN	1
#define EDU_CMD_TO_RAM	2
#define EDU_BUFFER_AT	0x40000
#define EDU_DMA_NS	100000000ULL

static void write64(struct t_edu *edu, u32 reg, u64 value)
{
	*(volatile u64 *)(edu->bar + reg) = value;
}

static u64 read64(struct t_edu *edu, u32 reg)
{
	return *(volatile u64 *)(edu->bar + reg);
}

int t_edu_start(struct t_edu *edu, void *bar)
{
	edu->bar = bar;
	return *(volatile u32 *)(edu->bar + EDU_ID) == EDU_ID_VALUE ? 0 : -ENODEV;
}

void t_edu_begin(struct t_edu *edu, bool push, u64 iova, u32 length)
{
	write64(edu, EDU_DMA_SRC, push ? EDU_BUFFER_AT : iova);
	write64(edu, EDU_DMA_DST, push ? iova : EDU_BUFFER_AT);
	write64(edu, EDU_DMA_COUNT, length);
	write64(edu, EDU_DMA_CMD, push ? EDU_CMD_RUN | EDU_CMD_TO_RAM : EDU_CMD_RUN);
	edu->due = t_now_ns() + EDU_DMA_NS;
}

int t_edu_wait(struct t_edu *edu)
{
	u64 end = t_end_of_patience(10000), now;

	while (read64(edu, EDU_DMA_CMD) & EDU_CMD_RUN) {
		now = t_now_ns();
		if (now > end)
			return -ETIMEDOUT;
		t_sleep_ms(now < edu->due ? (edu->due - now) / 1000000 + 1 : 1);
	}
	return 0;
}

int t_edu_pull(struct t_edu *edu, u64 iova, u32 length)
{
	t_edu_begin(edu, false, iova, length);
	return t_edu_wait(edu);
}

int t_edu_push(struct t_edu *edu, u64 iova, u32 length)
{
	t_edu_begin(edu, true, iova, length);
	return t_edu_wait(edu);
}
