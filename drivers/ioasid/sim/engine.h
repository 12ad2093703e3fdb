/* SPDX-License-Identifier: GPL-2.0 */
/*
 * What the VFIO driver (vfio.c) and the engine (engine.c) of an endpoint share.
 * Neither may depend on how the IOMMU translates, only on sim.h.
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
#include "../compat/compat.h"
#include "sim.h"

struct sim_endpoint;

/* Bytes that a command without buffer moves at a time */
#define SIM_SCRATCH	4096

/* Not an id of a group of page requests */
#define SIM_NO_GROUP	U32_MAX

/**
 * struct sim_slot - a slot, and the command in it
 * @work: executes the command
 * @ep: the endpoint
 * @nr: number of the slot
 * @cmd: copy of the command, made by the doorbell
 * @result: of the completion
 * @bad_iova: of the completion
 * @group: the group of page requests that it waits for, or SIM_NO_GROUP; set
 *	without sim_endpoint.running_lock
 * @code: the response, or -ECANCELED
 * @answered: completed after @code is set
 * @scratch: data that moves from memory to memory
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
 * struct sim_endpoint - an endpoint as a VFIO device
 * @vdev: device of VFIO
 * @sdev: the endpoint
 * @wq: executes commands, in parallel
 * @lock: serialises doorbells, resets, opening and closing
 * @memory: region 1, IOASID_SIM_MEMORY_BYTES; NULL while closed
 * @slots: IOASID_SIM_SLOTS slots; NULL while closed
 * @drain: commands have to end at once
 * @running_lock: protects @running, @waiting, the states in region 1, and
 *	@code of each slot
 * @running: slots in use
 * @waiting: slots that wait for a response
 * @idle: woken when no command runs any more
 * @irq_lock: protects @irq
 * @irq: eventfd of each interrupt, or NULL
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
