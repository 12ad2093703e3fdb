/* SPDX-License-Identifier: GPL-2.0 */
/*
 * What the software IOMMU offers to the driver of its endpoints: DMA through
 * the translation that the IOMMU core has attached, page requests, reset and
 * counters. It must never offer a way around the translation, nor anything
 * that real hardware keeps to itself, such as a look at the page tables.
 */
#ifndef __IOASID_SIM_H
#define __IOASID_SIM_H

#include <linux/types.h>

struct device;
struct ioasid_sim_dev;

/* The traffic of an endpoint without a PASID */
#define IOASID_SIM_RID		0

/* The name of the platform devices that are endpoints */
#define IOASID_SIM_ENDPOINT	"ioasid-sim"

/**
 * enum ioasid_sim_access - how an endpoint accesses memory
 * @SIM_WRITE: to write (and read), otherwise only to read
 * @SIM_PRIV: as supervisor, otherwise as user; needs a PASID
 * @SIM_REQUEST: where a page is not there, ask for it and wait, if the IOMMU
 *	and the attached domain take page requests
 */
enum ioasid_sim_access {
	SIM_WRITE	= 1 << 0,
	SIM_PRIV	= 1 << 1,
	SIM_REQUEST	= 1 << 2,
};

/**
 * enum ioasid_sim_reason - why a DMA was refused
 * @SIM_FAULT_NONE: it was not
 * @SIM_FAULT_NO_ENTRY: nothing is attached to the PASID (or it is blocked)
 * @SIM_FAULT_RANGE: the address has more bits than the table translates
 * @SIM_FAULT_NOT_PRESENT: an entry is not present
 * @SIM_FAULT_WRITE: an entry forbids writing
 * @SIM_FAULT_USER: an entry forbids user access
 * @SIM_FAULT_RESERVED: an entry has a reserved bit set
 * @SIM_FAULT_STAGE2: the second stage refused the output of the first
 * @SIM_FAULT_STAGE2_TABLE: the second stage refused a table of the first
 * @SIM_FAULT_BUS: the translated address is not memory
 * @SIM_FAULT_ANSWER: a page request was answered with other than success
 */
enum ioasid_sim_reason {
	SIM_FAULT_NONE,
	SIM_FAULT_NO_ENTRY,
	SIM_FAULT_RANGE,
	SIM_FAULT_NOT_PRESENT,
	SIM_FAULT_WRITE,
	SIM_FAULT_USER,
	SIM_FAULT_RESERVED,
	SIM_FAULT_STAGE2,
	SIM_FAULT_STAGE2_TABLE,
	SIM_FAULT_BUS,
	SIM_FAULT_ANSWER,
};

/**
 * struct ioasid_sim_fault - one unrecoverable fault
 * @seq: counts the faults of the unit from 1
 * @iova: the first address that could not be accessed
 * @pasid: the PASID, IOASID_SIM_RID without one
 * @reason: enum ioasid_sim_reason
 * @access: enum ioasid_sim_access
 */
struct ioasid_sim_fault {
	u64 seq;
	u64 iova;
	u32 pasid;
	u32 reason;
	u32 access;
};

/**
 * struct ioasid_sim_page - one record of a group of page requests
 * @addr: address within the page
 * @access: SIM_WRITE, SIM_PRIV
 */
struct ioasid_sim_page {
	u64 addr;
	u32 access;
};

/**
 * struct ioasid_sim_dev_ops - what an endpoint is told by its IOMMU
 * @answered: the group that ioasid_sim_request() raised got its answer, @code
 *	being enum iommu_page_response_code. In process context; may hold a
 *	mutex of the IOMMU core: must not raise requests, reset or detach.
 * @fault: a DMA was refused. In the context of that DMA, no locks held.
 */
struct ioasid_sim_dev_ops {
	void (*answered)(void *data, u32 group, u32 code);
	void (*fault)(void *data, const struct ioasid_sim_fault *fault);
};

/**
 * struct ioasid_sim_stats - counters of an endpoint since its creation
 * @dmas: pages and parts of pages accessed
 * @ats_hits: translated by the device TLB
 * @iotlb_hits: translated by the IOTLB
 * @walks: walks of page tables
 * @flushes: invalidations of the device TLB
 * @unit_flushes: invalidations of the unit's IOTLB
 * @faults: unrecoverable faults
 * @requests: groups of page requests raised
 * @answers: groups answered, or dropped by a reset
 * @late_answers: answers to groups that a reset had dropped
 * @overflows: groups that found the unit's request queue full
 * @outstanding: groups that wait for an answer now
 */
struct ioasid_sim_stats {
	u64 dmas;
	u64 ats_hits;
	u64 iotlb_hits;
	u64 walks;
	u64 flushes;
	u64 unit_flushes;
	u64 faults;
	u64 requests;
	u64 answers;
	u64 late_answers;
	u64 overflows;
	u64 outstanding;
};

/**
 * struct ioasid_sim_info - what an endpoint and its IOMMU can do
 * @unit: number of the IOMMU unit
 * @index: number of the endpoint within the unit
 * @pasid_bits: PASIDs are smaller than 1 << pasid_bits; 0 without PASIDs
 * @credits: page requests that may be outstanding; 0 without page requests
 * @ats: has a device TLB
 * @coherent: DMA is coherent with the caches
 */
struct ioasid_sim_info {
	u32 unit;
	u32 index;
	u32 pasid_bits;
	u32 credits;
	bool ats;
	bool coherent;
};

/**
 * ioasid_sim_plug() - make the endpoints of all units appear
 *
 * The driver of the endpoints calls it when it is loaded. Nests.
 *
 * Return: 0, or -errno if a device could not be made.
 */
int ioasid_sim_plug(void);

/**
 * ioasid_sim_unplug() - undo one ioasid_sim_plug()
 *
 * The last one unregisters the endpoints and returns when their drivers have
 * let go of them.
 */
void ioasid_sim_unplug(void);

/**
 * ioasid_sim_dev() - the endpoint behind a device
 * @dev: any device
 *
 * Return: the endpoint, valid as long as @dev is, or NULL.
 */
struct ioasid_sim_dev *ioasid_sim_dev(struct device *dev);

/**
 * ioasid_sim_set_ops() - say who wants to be told of answers and faults
 * @sdev: endpoint
 * @ops: callbacks, or NULL; no callback runs any more when it returns
 * @data: for the callbacks
 *
 * May sleep; must not be called from a callback.
 */
void ioasid_sim_set_ops(struct ioasid_sim_dev *sdev,
			const struct ioasid_sim_dev_ops *ops, void *data);

/**
 * ioasid_sim_dma() - read or write memory as the endpoint
 * @sdev: endpoint
 * @pasid: PASID, or IOASID_SIM_RID
 * @iova: first address
 * @buf: kernel memory to copy to (reading) or from (SIM_WRITE)
 * @len: bytes, any number
 * @access: enum ioasid_sim_access
 * @bad: out, may be NULL: the first address that was not accessed
 *
 * Each page is translated and copied on its own, under a lock that an
 * invalidation of the unit waits for. May sleep. Any number of callers at once.
 *
 * Return: 0;
 * -EFAULT: refused, a fault has been recorded;
 * -EIO: a page request was answered with other than success;
 * -ECANCELED: a reset or removal came in between;
 * -EINTR: a fatal signal came instead of the answer;
 * -EINVAL: @access or @pasid cannot be, or the addresses wrap; -ENOMEM.
 * What comes before @bad has been accessed.
 */
int ioasid_sim_dma(struct ioasid_sim_dev *sdev, u32 pasid, u64 iova, void *buf,
		   size_t len, u32 access, u64 *bad);

/**
 * ioasid_sim_atomic_add() - fetch and add as the endpoint
 * @sdev: endpoint
 * @pasid: PASID, or IOASID_SIM_RID
 * @iova: address of a u64, naturally aligned
 * @add: what to add
 * @old: out: the value before
 * @access: SIM_PRIV, SIM_REQUEST
 * @bad: as for ioasid_sim_dma()
 *
 * Return: as ioasid_sim_dma(); -EINVAL also if @iova is not aligned.
 */
int ioasid_sim_atomic_add(struct ioasid_sim_dev *sdev, u32 pasid, u64 iova,
			  u64 add, u64 *old, u32 access, u64 *bad);

/**
 * ioasid_sim_request() - raise a whole group of page requests
 * @sdev: endpoint
 * @pasid: PASID, or IOASID_SIM_RID
 * @pages: the records; the last one gets the last-page flag
 * @nr: how many
 * @group: out: the id of the group, set before any answer comes
 *
 * The answer comes through ->answered(), possibly before this returns, and
 * also if the IOMMU answers by itself because the domain takes no requests.
 *
 * Return: 0; -EINVAL: no records; -EOPNOTSUPP: no page requests; -EBUSY: not
 * enough credits now; -ENOSPC: more records than credits; -EIO: an answer was a
 * failure, no requests until the next reset; -ECANCELED: a reset or removal came
 * in between; -ENOMEM.
 */
int ioasid_sim_request(struct ioasid_sim_dev *sdev, u32 pasid,
		       const struct ioasid_sim_page *pages, u32 nr, u32 *group);

/**
 * ioasid_sim_requests() - ask for many pages, each in a group of its own
 * @sdev: endpoint
 * @pasid: PASID, or IOASID_SIM_RID
 * @addr: the first page
 * @nr: how many
 * @good: out: those that were answered with success
 *
 * One after the other, as soon as there are credits. Returns when all are
 * answered; no ->answered() comes. May sleep.
 *
 * Return: 0; -EOPNOTSUPP: no page requests; -EIO: the attached domain takes none,
 * or an answer was a failure; -ECANCELED: a reset or removal came in between;
 * -ENOMEM. After an error the rest was not asked for.
 */
int ioasid_sim_requests(struct ioasid_sim_dev *sdev, u32 pasid, u64 addr, u32 nr,
			u32 *good);

/**
 * ioasid_sim_reset() - what a function-level reset does
 * @sdev: endpoint
 *
 * Drops the outstanding page requests (whoever waits gets -ECANCELED, no
 * ->answered() comes), makes every DMA that has begun fail at its next page,
 * waits for the pages that are being accessed, empties the device TLB. The
 * attached domains stay. The core forgets the device's requests, as it does when
 * it resets a PCI device. May sleep.
 *
 * Return: 0, or -ENOMEM: no page requests any more until the next reset.
 */
int ioasid_sim_reset(struct ioasid_sim_dev *sdev);

/**
 * ioasid_sim_get_stats() - read the counters
 * @sdev: endpoint
 * @stats: out
 */
void ioasid_sim_get_stats(struct ioasid_sim_dev *sdev,
			  struct ioasid_sim_stats *stats);

/**
 * ioasid_sim_get_info() - what the endpoint can do
 * @sdev: endpoint
 * @info: out
 */
void ioasid_sim_get_info(struct ioasid_sim_dev *sdev,
			 struct ioasid_sim_info *info);

#endif /* __IOASID_SIM_H */
