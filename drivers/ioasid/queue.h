/* SPDX-License-Identifier: GPL-2.0 */
/*
 * A fault queue: the ring of records that user space reads, and the groups of
 * page requests that are pending until it responds. queue.c implements it,
 * queue_file.c is its file, and fault.c and unrecoverable.c add to it. No other
 * file may access its members.
 */
#ifndef __IOASID_QUEUE_H
#define __IOASID_QUEUE_H

#include <linux/iommu.h>
#include "ioasid_private.h"

struct file;

/**
 * struct ioasid_pending - a group of page requests without a response yet
 * @node: in ioasid_queue.pending, oldest first, or ioasid_queue.free
 * @group: the group of the IOMMU core, or NULL if this entry is free
 * @dev_pasid: the attachment of the device that sent it
 * @generation: upper half of the cookie; changes with each use of this entry
 * @expires: when it is answered INVALID without a response, in jiffies
 */
struct ioasid_pending {
	struct list_head node;
	struct iopf_group *group;
	struct ioasid_dev_pasid *dev_pasid;
	u32 generation;
	unsigned long expires;
};

/**
 * struct ioasid_queue - a fault queue
 * @obj: references of the file, and of each space and attachment that it is
 *	bound to; the first member, since the table of ids points to it
 * @ctx: the context; referenced by the file
 * @id: queue_id
 * @lock: protects all members below but @read_lock
 * @read_lock: serialises readers
 * @dead: the file is closed: page requests are answered INVALID at once
 * @ring: the memory that user space maps
 * @records: in @ring
 * @responses: in @ring
 * @depth: number of @records, and of @responses; a power of two
 * @head: number of records written so far; the ring only gets a copy
 * @published: number of records that may be read so far
 * @response_tail: number of responses consumed so far
 * @pool: array of @max_pending entries
 * @free: entries of @pool that are not in use
 * @pending: entries of @pool in use, oldest first
 * @max_pending: limit of pending groups
 * @max_per_pasid: limit of pending groups of one device and PASID
 * @lost: groups answered INVALID for lack of room since the last LOST record
 * @lost_events: events dropped for lack of room since the last LOST record
 * @deadline: how long a group may be pending, in jiffies
 * @work: answers expired groups, and reaps stale ones
 * @wait: readers
 * @eventfd: signalled when records are published, or NULL
 */
struct ioasid_queue {
	struct ioasid_object obj;
	struct ioasid_ctx *ctx;
	u32 id;
	struct mutex lock;
	struct mutex read_lock;
	bool dead;
	struct ioasid_fault_ring *ring;
	struct ioasid_fault_record *records;
	struct ioasid_fault_response *responses;
	u32 depth;
	u32 head;
	u32 published;
	u32 response_tail;
	struct ioasid_pending *pool;
	struct list_head free;
	struct list_head pending;
	u32 max_pending;
	u32 max_per_pasid;
	u32 lost;
	u32 lost_events;
	unsigned long deadline;
	struct delayed_work work;
	wait_queue_head_t wait;
	struct eventfd_ctx *eventfd;
};

/* Groups answered per lock hold, since new page requests wait for the lock */
#define IOASID_QUEUE_BATCH	32

/* Read-held by fault handlers; a detach waits for them */
extern struct srcu_struct ioasid_fault_srcu;

/* queue.c, with ioasid_queue.lock held */
u32 ioasid_queue_room(struct ioasid_queue *q);
void ioasid_queue_put_record(struct ioasid_queue *q,
			     const struct ioasid_fault_record *record);
void ioasid_queue_publish(struct ioasid_queue *q);
u64 ioasid_pending_cookie(struct ioasid_queue *q, struct ioasid_pending *p);
bool ioasid_queue_report_lost(struct ioasid_queue *q);
void ioasid_queue_reap_stale(struct ioasid_queue *q,
			     struct ioasid_dev_pasid *dev_pasid);
void ioasid_queue_flush(struct ioasid_queue *q,
			struct ioasid_dev_pasid *dev_pasid);
bool ioasid_pending_answer(struct ioasid_queue *q, struct ioasid_pending *p,
			   u32 code);
int ioasid_queue_respond(struct ioasid_queue *q,
			 const struct ioasid_fault_response *r);

/* queue.c, without ioasid_queue.lock */
struct ioasid_queue *ioasid_queue_create(struct ioasid_ctx *ctx,
					 const struct ioasid_fault_queue *arg,
					 struct ioasid_extack *extack);
size_t ioasid_ring_bytes(u32 depth);
bool ioasid_queue_forward(struct ioasid_queue *q,
			  struct ioasid_dev_pasid *dev_pasid,
			  struct iopf_group *group);
void ioasid_queue_report_event(struct ioasid_dev_pasid *dev_pasid,
			       const struct ioasid_fault_record *record,
			       bool several);
u32 ioasid_fault_flags(const struct iommu_fault_page_request *prm);
void ioasid_group_answer(struct iopf_group *group,
			 enum iommu_page_response_code code);

/* queue_file.c */
struct file *ioasid_queue_open(struct ioasid_queue *q,
			       struct ioasid_extack *extack);

#endif /* __IOASID_QUEUE_H */
