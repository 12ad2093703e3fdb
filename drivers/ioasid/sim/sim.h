/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The interface of the software IOMMU for the drivers of its endpoints: DMA
 * through the attached domain, page requests, reset and counters. It must never
 * offer a way around the translation, nor access to what real hardware hides,
 * such as page tables.
 */
#ifndef __IOASID_SIM_H
#define __IOASID_SIM_H

#include <linux/types.h>

struct device;
struct ioasid_sim_dev;

/* Stands for requests without PASID */
#define IOASID_SIM_RID		0

/* The name of the platform devices that are endpoints */
#define IOASID_SIM_ENDPOINT	"ioasid-sim"

/**
 * enum ioasid_sim_access - how an endpoint accesses memory
 * @SIM_WRITE: write (and read), otherwise only read
 * @SIM_PRIV: as supervisor, otherwise as user; needs a PASID
 * @SIM_REQUEST: send a page request for a missing page and wait for the
 *	response, if the IOMMU and the attached domain support page requests
 */
enum ioasid_sim_access {
	SIM_WRITE	= 1 << 0,
	SIM_PRIV	= 1 << 1,
	SIM_REQUEST	= 1 << 2,
};

/**
 * enum ioasid_sim_reason - reason of an unrecoverable fault
 * @SIM_FAULT_NONE: no fault
 * @SIM_FAULT_NO_ENTRY: nothing is attached to the PASID, or a blocking domain
 * @SIM_FAULT_RANGE: the address has more bits than the table translates
 * @SIM_FAULT_NOT_PRESENT: an entry is not present
 * @SIM_FAULT_WRITE: an entry forbids writing
 * @SIM_FAULT_USER: an entry forbids user access
 * @SIM_FAULT_RESERVED: an entry has a reserved bit set
 * @SIM_FAULT_STAGE2: the second stage faults on the output of the first
 * @SIM_FAULT_STAGE2_TABLE: the second stage faults on a table of the first
 * @SIM_FAULT_BUS: the translated address is not memory
 * @SIM_FAULT_ANSWER: the response to a page request was not SUCCESS
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
 * struct ioasid_sim_fault - an unrecoverable fault
 * @seq: number of the fault, counted by the unit from 1
 * @iova: the first address that could not be accessed
 * @pasid: the PASID, or IOASID_SIM_RID
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
 * struct ioasid_sim_page - a record of a group of page requests
 * @addr: address within the page
 * @access: SIM_WRITE, SIM_PRIV
 */
struct ioasid_sim_page {
	u64 addr;
	u32 access;
};

/**
 * struct ioasid_sim_dev_ops - callbacks of the driver of an endpoint
 * @answered: the response to a group of ioasid_sim_request(); @code is an enum
 *	iommu_page_response_code. Can sleep, but a mutex of the IOMMU core can be
 *	held: must not raise requests, reset or detach
 * @fault: an unrecoverable fault. Called by the DMA that caused it, without
 *	locks
 */
struct ioasid_sim_dev_ops {
	void (*answered)(void *data, u32 group, u32 code);
	void (*fault)(void *data, const struct ioasid_sim_fault *fault);
};

/**
 * struct ioasid_sim_stats - counters of an endpoint since its creation
 * @dmas: accesses, each within a page
 * @ats_hits: translations by the device TLB
 * @iotlb_hits: translations by the IOTLB
 * @walks: page table walks
 * @flushes: invalidations of the device TLB
 * @unit_flushes: invalidations of the unit's IOTLB
 * @faults: unrecoverable faults
 * @requests: groups of page requests raised
 * @answers: groups answered, or dropped by a reset
 * @late_answers: responses to groups that a reset had dropped
 * @overflows: groups that found the unit's request queue full
 * @outstanding: groups that wait for a response now
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
 * struct ioasid_sim_info - capabilities of an endpoint and its IOMMU
 * @unit: number of the IOMMU unit
 * @index: number of the endpoint within the unit
 * @pasid_bits: PASIDs are smaller than 1 << pasid_bits; 0 without PASIDs
 * @credits: number of page requests that may be outstanding; 0 without page
 *	requests
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
 * ioasid_sim_plug() - add the endpoints of all units
 *
 * The driver of the endpoints calls it when it is loaded. Calls nest.
 *
 * Context: can sleep; takes sim_mutex.
 *
 * Return: 0, -ENOMEM, or the error of registering a device.
 */
int ioasid_sim_plug(void);

/**
 * ioasid_sim_unplug() - undo one ioasid_sim_plug()
 *
 * The last call unregisters the endpoints, and waits until their drivers have
 * released them.
 *
 * Context: can sleep; takes sim_mutex.
 */
void ioasid_sim_unplug(void);

/**
 * ioasid_sim_dev() - get the endpoint of a device
 * @dev: any device
 *
 * Context: any.
 *
 * Return: the endpoint, valid as long as @dev is, or NULL if it is not one.
 */
struct ioasid_sim_dev *ioasid_sim_dev(struct device *dev);

/**
 * ioasid_sim_set_ops() - set or remove the callbacks of an endpoint
 * @sdev: endpoint
 * @ops: callbacks, or NULL
 * @data: argument of the callbacks
 *
 * When it returns, no callback of the previous @ops is in progress.
 *
 * Context: can sleep; takes ioasid_sim_dev.ops_sem. Not from a callback.
 */
void ioasid_sim_set_ops(struct ioasid_sim_dev *sdev,
			const struct ioasid_sim_dev_ops *ops, void *data);

/**
 * ioasid_sim_dma() - read or write memory as the endpoint
 * @sdev: endpoint
 * @pasid: PASID, or IOASID_SIM_RID
 * @iova: first address
 * @buf: kernel memory to copy to, or from with SIM_WRITE
 * @len: in bytes
 * @access: enum ioasid_sim_access
 * @bad: out: the first address that was not accessed; or NULL
 *
 * Translates and copies page by page, under a lock that invalidations of the
 * unit wait for. After an error everything before @bad has been accessed. Can
 * run in parallel with itself.
 *
 * Context: can sleep.
 *
 * Return: 0; -EFAULT if the access is blocked, and a fault was recorded; -EIO if
 * the response to a page request was not SUCCESS; -ECANCELED after a reset or
 * removal; -EINTR if killed while waiting for a response; -EINVAL if @access or
 * @pasid is invalid, or the addresses wrap; -ENOMEM.
 */
int ioasid_sim_dma(struct ioasid_sim_dev *sdev, u32 pasid, u64 iova, void *buf,
		   size_t len, u32 access, u64 *bad);

/**
 * ioasid_sim_atomic_add() - atomically add to a number in memory as the endpoint
 * @sdev: endpoint
 * @pasid: PASID, or IOASID_SIM_RID
 * @iova: address of a u64, naturally aligned
 * @add: addend
 * @old: out: the previous value
 * @access: SIM_PRIV, SIM_REQUEST
 * @bad: out: @iova; or NULL
 *
 * Context: can sleep.
 *
 * Return: as ioasid_sim_dma(); -EINVAL also if @iova is not aligned.
 */
int ioasid_sim_atomic_add(struct ioasid_sim_dev *sdev, u32 pasid, u64 iova,
			  u64 add, u64 *old, u32 access, u64 *bad);

/**
 * ioasid_sim_request() - raise a group of page requests
 * @sdev: endpoint
 * @pasid: PASID, or IOASID_SIM_RID
 * @pages: the records; the last one gets the last-page flag
 * @nr: number of records
 * @group: out: the id of the group, set before the response
 *
 * The response is reported by the callback @answered, possibly before this
 * returns; also if the IOMMU itself responds because the domain does not accept
 * page requests.
 *
 * Context: can sleep.
 *
 * Return: 0, -EINVAL if there are no records, -EOPNOTSUPP if the endpoint has no
 * page requests, -EBUSY if there are not enough credits left, -ENOSPC if there
 * are more records than credits, -EIO if a response was FAILURE since the last
 * reset, -ECANCELED after a reset or removal, -ENOMEM.
 */
int ioasid_sim_request(struct ioasid_sim_dev *sdev, u32 pasid,
		       const struct ioasid_sim_page *pages, u32 nr, u32 *group);

/**
 * ioasid_sim_requests() - request many pages, each in a group of its own
 * @sdev: endpoint
 * @pasid: PASID, or IOASID_SIM_RID
 * @addr: address of the first page
 * @nr: number of pages
 * @good: out: number of groups whose response was SUCCESS
 *
 * Raises one after the other, as soon as there are credits, and waits for all
 * responses, which the callback @answered does not report. After an error the
 * remaining pages are not requested.
 *
 * Context: can sleep.
 *
 * Return: 0, -EOPNOTSUPP if the endpoint has no page requests, -EIO if the
 * attached domain does not accept them or a response was FAILURE, -ECANCELED
 * after a reset or removal, -ENOMEM.
 */
int ioasid_sim_requests(struct ioasid_sim_dev *sdev, u32 pasid, u64 addr, u32 nr,
			u32 *good);

/**
 * ioasid_sim_reset() - reset an endpoint, as a function-level reset does
 * @sdev: endpoint
 *
 * Drops the outstanding page requests: those who wait get -ECANCELED, and the
 * callback @answered does not report them. DMA in progress fails at its next
 * page; accesses in progress are waited for. Empties the device TLB. Domains stay
 * attached. The IOMMU core drops the endpoint's requests, as it does when a PCI
 * device is reset.
 *
 * Context: can sleep; takes sim_unit.prq_mutex.
 *
 * Return: 0, or -ENOMEM, and then the endpoint has no page requests until the
 * next reset.
 */
int ioasid_sim_reset(struct ioasid_sim_dev *sdev);

/**
 * ioasid_sim_get_stats() - read the counters
 * @sdev: endpoint
 * @stats: out: the counters
 *
 * Context: any.
 */
void ioasid_sim_get_stats(struct ioasid_sim_dev *sdev,
			  struct ioasid_sim_stats *stats);

/**
 * ioasid_sim_get_info() - get the capabilities of an endpoint
 * @sdev: endpoint
 * @info: out: the capabilities
 *
 * Context: any.
 */
void ioasid_sim_get_info(struct ioasid_sim_dev *sdev,
			 struct ioasid_sim_info *info);

#endif /* __IOASID_SIM_H */
