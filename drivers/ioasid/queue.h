/* SPDX-License-Identifier: GPL-2.0 */
/*
 * A fault queue. queue.c owns it: records, groups that wait, limits. queue_file.c
 * is its file, and fault.c brings page requests to it. Nothing else may look inside.
 */
#ifndef __IOASID_QUEUE_H
#define __IOASID_QUEUE_H

#include <linux/iommu.h>
#include "ioasid_private.h"

/**
 * struct ioasid_pending - a group of page requests that waits for its answer
 * @node: in ioasid_queue.pending, oldest first, or ioasid_queue.free
 * @group: what the IOMMU core gave us
 * @dev_pasid: where it came from
 * @generation: upper half of the cookie; changes with each use
 * @expires: when it is answered without the user, in jiffies
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
 * @ref: the file, and each space and attachment that it is bound to
 * @rcu: to be found without a lock
 * @ctx: the context; referenced by the file
 * @id: queue_id
 * @lock: all below; the only lock on the way of a page request
 * @read_lock: read()
 * @dead: the file is closed: everything is refused
 * @ring: what the user maps
 * @records: in @ring
 * @responses: in @ring
 * @depth: records, and responses, in @ring; a power of two
 * @head: records made; @ring only gets a copy
 * @published: records that may be read
 * @response_tail: responses taken
 * @pool: @max_pending of them
 * @free: those that are not in use
 * @pending: those that wait
 * @max_pending: groups that may wait
 * @max_per_pasid: groups of one device and PASID that may wait
 * @lost: groups refused since the last LOST record
 * @lost_events: records of news that were not made since then
 * @deadline: in jiffies
 * @work: answers what has waited too long
 * @wait: readers
 * @eventfd: signalled when there are new records, or NULL
 */
struct ioasid_queue {
	struct kref ref;
	struct rcu_head rcu;
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

/* Groups that are answered at a time: page requests wait for the lock */
#define IOASID_QUEUE_BATCH	32

/* Handlers at work; who detaches waits for them */
extern struct srcu_struct ioasid_fault_srcu;

/* queue.c; the lock is held */
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

/* queue.c; no lock is held */
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
extern const struct file_operations ioasid_queue_fops;

#endif /* __IOASID_QUEUE_H */
