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
#include <linux/workqueue.h>
#include "ioasid_private.h"

struct file;

/**
 * struct ioasid_queue_share - what one device, or one PASID of it, has pending
 * @node: in ioasid_queue.shares, or ioasid_queue.free_devices or .free_pasids
 * @owner: struct ioasid_device, or struct ioasid_dev_pasid of a struct
 *	ioasid_queue_pasid
 * @records: records of its pending groups; never 0 in ioasid_queue.shares
 */
struct ioasid_queue_share {
	struct hlist_node node;
	void *owner;
	u32 records;
};

/**
 * struct ioasid_queue_pasid - what one PASID of a device has pending
 * @share: its share; the first member, since ioasid_share_find() returns it
 * @device: the share of its device
 * @groups: its struct ioasid_pending, oldest first
 */
struct ioasid_queue_pasid {
	struct ioasid_queue_share share;
	struct ioasid_queue_share *device;
	struct list_head groups;
};

/**
 * struct ioasid_pending - a group of page requests without a response yet
 * @node: in ioasid_queue.pending, oldest first, or ioasid_queue.free
 * @share_node: in ioasid_queue_pasid.groups of @pasid
 * @group: the group of the IOMMU core, or NULL if this entry is free
 * @pasid: what the attachment of the device that sent it has pending
 * @generation: upper half of the cookie; changes with each use of this entry
 * @expires: when it is answered INVALID without a response, in jiffies
 */
struct ioasid_pending {
	struct list_head node;
	struct list_head share_node;
	struct iopf_group *group;
	struct ioasid_queue_pasid *pasid;
	u32 generation;
	unsigned long expires;
};

/**
 * struct ioasid_queue - a fault queue
 * @obj: references of the file, and of each space and attachment that it is
 *	bound to; the first member, since the table of ids points to it
 * @ctx: the context; referenced by the file
 * @id: queue_id
 * @lock: spinlock; protects all members below but @read_lock. Page requests of
 *	all devices of an IOMMU wait for it: it is held for IOASID_QUEUE_BATCH
 *	groups at most
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
 * @next_stale: where in @pending to go on looking for stale groups, or NULL
 * @device_pool: array of @max_pending shares of devices
 * @free_devices: entries of @device_pool that are not in use
 * @pasid_pool: array of @max_pending shares of PASIDs
 * @free_pasids: entries of @pasid_pool that are not in use
 * @shares: the others of both, by owner
 * @share_bits: log2 of the size of @shares
 * @nr_pending: number of records of @pending
 * @max_pending: limit of @nr_pending
 * @max_per_device: limit of the pending records of one device
 * @max_per_pasid: limit of the pending records of one PASID of a device
 * @nr_detached: groups answered by the detach in progress; ioasid_ctx.lock
 * @lost: groups answered INVALID for lack of room since the last LOST record
 * @lost_events: events dropped for lack of room since the last LOST record
 * @deadline: how long a group may be pending, in jiffies
 * @work: answers expired groups, and reaps stale ones
 * @wait: readers
 * @eventfd: signalled when records are published, or NULL
 * @wake: wakes and signals them if there are, or may be, many
 */
struct ioasid_queue {
	struct ioasid_object obj;
	struct ioasid_ctx *ctx;
	u32 id;
	spinlock_t lock;
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
	struct ioasid_pending *next_stale;
	struct ioasid_queue_share *device_pool;
	struct hlist_head free_devices;
	struct ioasid_queue_pasid *pasid_pool;
	struct hlist_head free_pasids;
	struct hlist_head *shares;
	u32 share_bits;
	u32 nr_pending;
	u32 max_pending;
	u32 max_per_device;
	u32 max_per_pasid;
	u32 nr_detached;
	u32 lost;
	u32 lost_events;
	unsigned long deadline;
	struct delayed_work work;
	wait_queue_head_t wait;
	struct eventfd_ctx *eventfd;
	struct work_struct wake;
};

/* Groups answered per lock hold, since new page requests wait for the lock */
#define IOASID_QUEUE_BATCH	16

/* Groups looked at per lock hold in search of stale ones */
#define IOASID_QUEUE_SCAN	64

/* queue.c, with ioasid_queue.lock held */
int ioasid_queues_setup(void);
void ioasid_queues_teardown(void);
u32 ioasid_queue_room(struct ioasid_queue *q);
void ioasid_queue_put_record(struct ioasid_queue *q,
			     const struct ioasid_fault_record *record);
void ioasid_queue_publish(struct ioasid_queue *q);
u64 ioasid_pending_cookie(struct ioasid_queue *q, struct ioasid_pending *p);
bool ioasid_queue_report_lost(struct ioasid_queue *q);
bool ioasid_pending_answer(struct ioasid_queue *q, struct ioasid_pending *p,
			   u32 code);
int ioasid_queue_respond(struct ioasid_queue *q,
			 const struct ioasid_fault_response *r);
bool ioasid_queue_enqueue(struct ioasid_queue *q,
			  struct ioasid_dev_pasid *dev_pasid,
			  struct iopf_group *group, u32 *code);
void ioasid_queue_put_event(struct ioasid_queue *q,
			    const struct ioasid_fault_record *record,
			    u32 spare);

/* queue.c, without ioasid_queue.lock */
struct ioasid_queue *ioasid_queue_create(struct ioasid_ctx *ctx,
					 const struct ioasid_fault_queue *arg,
					 struct ioasid_extack *extack);
size_t ioasid_ring_bytes(u32 depth);
struct ioasid_fault_record
ioasid_fault_record(struct ioasid_dev_pasid *dev_pasid, u32 type, u32 nr);
bool ioasid_queue_end(struct ioasid_queue *q);
void ioasid_queue_flush(struct ioasid_queue *q,
			struct ioasid_dev_pasid *dev_pasid, u32 code);
void ioasid_queue_drop_stale(struct ioasid_queue *q,
			     struct ioasid_dev_pasid *dev_pasid);
void ioasid_queue_report_detached(struct ioasid_queue *q,
				  struct ioasid_dev_pasid *dev_pasid,
				  bool bound);
u32 ioasid_fault_flags(const struct iommu_fault_page_request *prm);
void ioasid_group_answer(struct iopf_group *group, u32 code);

/* fault.c */
bool ioasid_fault_is_of(struct iopf_group *group, u32 pasid);

/* queue_file.c */
struct file *ioasid_queue_open(struct ioasid_queue *q,
			       struct ioasid_extack *extack);

#endif /* __IOASID_QUEUE_H */
