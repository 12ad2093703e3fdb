/* SPDX-License-Identifier: GPL-2.0 */
/*
 * What the VFIO driver and the engine of an endpoint share. It must never know
 * how the IOMMU translates: that is behind sim.h.
 */
#ifndef __IOASID_SIM_ENGINE_H
#define __IOASID_SIM_ENGINE_H

#include <linux/bitmap.h>
#include <linux/completion.h>
#include <linux/eventfd.h>
#include <linux/mutex.h>
#include <linux/vfio.h>
#include <linux/workqueue.h>
#include <uapi/linux/ioasid_sim.h>
#include "sim.h"

struct sim_endpoint;

/* A command that does not go through the buffer moves that much at a time */
#define SIM_SCRATCH	4096

/* No group of page requests has that id */
#define SIM_NO_GROUP	U32_MAX

/**
 * struct sim_slot - a command on its way
 * @work: runs it
 * @ep: the endpoint
 * @nr: which slot of region 1 it is
 * @cmd: the command as it was when it was rung
 * @result: for the completion
 * @bad_iova: for the completion
 * @group: the group of page requests that it waits for
 * @code: the answer to it, or -ECANCELED
 * @answered: when @code is there
 * @scratch: data on its way from memory to memory
 */
struct sim_slot {
	struct work_struct work;
	struct sim_endpoint *ep;
	u32 nr;
	struct ioasid_sim_command cmd;
	u64 result;
	u64 bad_iova;
	u32 group;
	int code;
	struct completion answered;
	u8 scratch[SIM_SCRATCH] __aligned(8);
};

/**
 * struct sim_endpoint - an endpoint as VFIO has it
 * @vdev: for VFIO
 * @sdev: for the IOMMU
 * @wq: where commands run, all at once
 * @lock: one at a time: rings, resets, opening and closing
 * @memory: region 1, IOASID_SIM_MEMORY_BYTES; NULL when closed
 * @slots: IOASID_SIM_SLOTS of them; NULL when closed
 * @drain: commands are to end at once
 * @running_lock: guards @running and the states in region 1, and @waiting with
 *	the answers of the slots
 * @running: slots that are in use
 * @waiting: slots that wait for the answer to a group
 * @idle: woken when the last command has ended
 * @irq_lock: guards @irq
 * @irq: whom to signal, or NULL
 */
struct sim_endpoint {
	struct vfio_device vdev;
	struct ioasid_sim_dev *sdev;
	struct workqueue_struct *wq;
	struct mutex lock;
	u8 *memory;
	struct sim_slot *slots;
	bool drain;
	spinlock_t running_lock;
	DECLARE_BITMAP(running, IOASID_SIM_SLOTS);
	DECLARE_BITMAP(waiting, IOASID_SIM_SLOTS);
	wait_queue_head_t idle;
	struct mutex irq_lock;
	struct eventfd_ctx *irq[IOASID_SIM_NR_IRQS];
};

int sim_engine_open(struct sim_endpoint *ep);
void sim_engine_close(struct sim_endpoint *ep);
int sim_engine_ring(struct sim_endpoint *ep, const u32 *slots, u32 nr);
int sim_engine_reset(struct sim_endpoint *ep);
u32 sim_engine_running(struct sim_endpoint *ep);

bool sim_irq_signal(struct sim_endpoint *ep, u32 index);

#endif /* __IOASID_SIM_ENGINE_H */
