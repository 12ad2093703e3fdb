/* SPDX-License-Identifier: GPL-2.0 WITH Linux-syscall-note */
/*
 * The endpoint of ioasid_sim: a device that does DMA as a program tells it to,
 * behind an IOMMU in software. This is what a driver of it sees through VFIO:
 * two regions and two interrupts. It exists for tests; it must never promise
 * anything about how fast it is or in which order commands end.
 *
 * To run a command: write it into a free slot of region 1, write the number of
 * the slot to IOASID_SIM_REG_DOORBELL, and wait until the completion with the
 * same number is IOASID_SIM_DONE. The slot is free again then. Any number of
 * slots can be rung with one write, and all of them run at the same time.
 */
#ifndef _UAPI_LINUX_IOASID_SIM_H
#define _UAPI_LINUX_IOASID_SIM_H

#include <linux/types.h>

/* --- what VFIO shows ----------------------------------------------------- */

/*
 * Region 0 is read and written with pread() and pwrite() only. Registers have
 * 4 bytes (8 from IOASID_SIM_REG_STATS on) and are read whole. Anything else is
 * EINVAL.
 */
#define IOASID_SIM_REGION_REGISTERS	0
/*
 * Region 1 is memory of the device: it can be mapped, read and written at will.
 * See IOASID_SIM_COMMANDS and its neighbours for what is where.
 */
#define IOASID_SIM_REGION_MEMORY	1
#define IOASID_SIM_NR_REGIONS		2

/* Signalled for each command that ends */
#define IOASID_SIM_IRQ_DONE		0
/* Signalled when the kernel wants the device back */
#define IOASID_SIM_IRQ_REQUEST		1
#define IOASID_SIM_NR_IRQS		2

/**
 * enum ioasid_sim_register - where registers are in region 0
 * @IOASID_SIM_REG_ID: IOASID_SIM_ID
 * @IOASID_SIM_REG_SLOTS: how many slots there are
 * @IOASID_SIM_REG_BUFFER: bytes of the buffer
 * @IOASID_SIM_REG_RUNNING: commands that have been rung and have not ended
 * @IOASID_SIM_REG_DOORBELL: write only: numbers of slots, __u32 each, as many
 *	as there are slots at most. EINVAL and nothing has been begun if a
 *	number is too large or there twice, EBUSY if one of the slots is in use.
 * @IOASID_SIM_REG_STATS: counters of the IOMMU for this endpoint, __u64 each,
 *	in the order of enum ioasid_sim_stat
 */
enum ioasid_sim_register {
	IOASID_SIM_REG_ID = 0x00,
	IOASID_SIM_REG_SLOTS = 0x04,
	IOASID_SIM_REG_BUFFER = 0x08,
	IOASID_SIM_REG_RUNNING = 0x0c,
	IOASID_SIM_REG_DOORBELL = 0x10,
	IOASID_SIM_REG_STATS = 0x100,
};

#define IOASID_SIM_ID		0x4d495349	/* "ISIM" */

/**
 * enum ioasid_sim_stat - counters, from the creation of the endpoint
 * @IOASID_SIM_STAT_DMAS: pages and parts of pages accessed
 * @IOASID_SIM_STAT_ATS_HITS: translated by the device TLB
 * @IOASID_SIM_STAT_IOTLB_HITS: translated by the IOTLB
 * @IOASID_SIM_STAT_WALKS: walks of page tables
 * @IOASID_SIM_STAT_FLUSHES: invalidations of the device TLB
 * @IOASID_SIM_STAT_UNIT_FLUSHES: invalidations of the IOTLB
 * @IOASID_SIM_STAT_FAULTS: refused accesses
 * @IOASID_SIM_STAT_REQUESTS: groups of page requests raised
 * @IOASID_SIM_STAT_ANSWERS: groups answered, or dropped by a reset
 * @IOASID_SIM_STAT_LATE_ANSWERS: answers to groups that a reset had dropped
 * @IOASID_SIM_STAT_OVERFLOWS: groups that found the queue of the IOMMU full
 * @IOASID_SIM_STAT_OUTSTANDING: groups that wait for an answer now
 * @IOASID_SIM_NR_STATS: how many counters there are
 */
enum ioasid_sim_stat {
	IOASID_SIM_STAT_DMAS,
	IOASID_SIM_STAT_ATS_HITS,
	IOASID_SIM_STAT_IOTLB_HITS,
	IOASID_SIM_STAT_WALKS,
	IOASID_SIM_STAT_FLUSHES,
	IOASID_SIM_STAT_UNIT_FLUSHES,
	IOASID_SIM_STAT_FAULTS,
	IOASID_SIM_STAT_REQUESTS,
	IOASID_SIM_STAT_ANSWERS,
	IOASID_SIM_STAT_LATE_ANSWERS,
	IOASID_SIM_STAT_OVERFLOWS,
	IOASID_SIM_STAT_OUTSTANDING,
	IOASID_SIM_NR_STATS,
};

/*
 * Region 1: commands, completions, a page that the device makes no use of (for
 * processes that share it), and the buffer that DMA moves data to and from.
 * A reset clears the buffer only.
 */
#define IOASID_SIM_SLOTS	128
#define IOASID_SIM_COMMANDS	0x0000
#define IOASID_SIM_COMPLETIONS	0x2000
#define IOASID_SIM_SPARE	0x3000
#define IOASID_SIM_BUFFER	0x10000
#define IOASID_SIM_BUFFER_BYTES	0x40000
#define IOASID_SIM_MEMORY_BYTES	(IOASID_SIM_BUFFER + IOASID_SIM_BUFFER_BYTES)

/* --- commands ------------------------------------------------------------ */

/**
 * enum ioasid_sim_opcode - what a command does
 * @IOASID_SIM_OP_NOP: nothing
 * @IOASID_SIM_OP_READ: @length bytes at @iova to the buffer at @buffer
 * @IOASID_SIM_OP_WRITE: @length bytes of the buffer at @buffer to @iova
 * @IOASID_SIM_OP_FILL: @length bytes at @iova become @value, @value, ...
 * @IOASID_SIM_OP_COPY: @length bytes at @iova to @to, in ascending order
 * @IOASID_SIM_OP_CRC32: CRC-32 (as in zlib) of @length bytes at @iova
 * @IOASID_SIM_OP_ADD: adds @value to the __u64 at @iova, atomically; @length is
 *	8, the result is what was there before
 * @IOASID_SIM_OP_REQUEST: asks the IOMMU for pages in one group of page
 *	requests; the buffer has struct ioasid_sim_page_request at @buffer, @length bytes
 *	of them. Ends when the group is answered; the result is the code of the
 *	answer: 0 success, 1 invalid, 2 failure.
 * @IOASID_SIM_OP_REQUESTS: asks the IOMMU for @length bytes at @iova, page by page
 *	(4096 bytes) in ascending order, each in a group of its own, and does not
 *	wait for an answer before it goes on. Ends when all are answered; the
 *	result is how many were answered with success.
 */
enum ioasid_sim_opcode {
	IOASID_SIM_OP_NOP,
	IOASID_SIM_OP_READ,
	IOASID_SIM_OP_WRITE,
	IOASID_SIM_OP_FILL,
	IOASID_SIM_OP_COPY,
	IOASID_SIM_OP_CRC32,
	IOASID_SIM_OP_ADD,
	IOASID_SIM_OP_REQUEST,
	IOASID_SIM_OP_REQUESTS,
};

/*
 * DMA of the command carries @pasid. Without it the command is one of the
 * device itself (its RID), and @pasid must be 0.
 */
#define IOASID_SIM_CMD_PASID	(1 << 0)
/* As supervisor; only with a PASID */
#define IOASID_SIM_CMD_PRIV	(1 << 1)
/* Where a page is missing: ask for it, wait for the answer, try again */
#define IOASID_SIM_CMD_REQUEST	(1 << 2)

/* No command moves more than that */
#define IOASID_SIM_MAX_LENGTH	(1U << 30)
/* No group has more pages than that */
#define IOASID_SIM_MAX_PAGES	64

/**
 * struct ioasid_sim_command - one slot
 * @opcode: enum ioasid_sim_opcode
 * @flags: IOASID_SIM_CMD_*
 * @pasid: see IOASID_SIM_CMD_PASID
 * @length: bytes
 * @iova: where the DMA begins
 * @to: of IOASID_SIM_OP_COPY: where it goes
 * @buffer: offset in the buffer
 * @value: the pattern, or what to add
 * @tag: comes back in the completion
 * @__reserved: must be 0, as every field that the opcode does not use
 *
 * The device reads a command once, when it is rung.
 */
struct ioasid_sim_command {
	__u32 opcode;
	__u32 flags;
	__u32 pasid;
	__u32 length;
	__aligned_u64 iova;
	__aligned_u64 to;
	__aligned_u64 buffer;
	__aligned_u64 value;
	__aligned_u64 tag;
	__aligned_u64 __reserved;
};

/* struct ioasid_sim_page_request.flags */
#define IOASID_SIM_PAGE_WRITE	(1 << 0)
#define IOASID_SIM_PAGE_PRIV	(1 << 1)

/**
 * struct ioasid_sim_page_request - one record of a group of page requests
 * @iova: the page; its low bits do not count
 * @flags: IOASID_SIM_PAGE_*
 * @__reserved: must be 0
 */
struct ioasid_sim_page_request {
	__aligned_u64 iova;
	__u32 flags;
	__u32 __reserved;
};

/**
 * enum ioasid_sim_state - where a command is
 * @IOASID_SIM_FREE: it was never rung since the device was opened
 * @IOASID_SIM_RUNNING: the slot is in use
 * @IOASID_SIM_DONE: it has ended, the rest of the completion is valid
 */
enum ioasid_sim_state {
	IOASID_SIM_FREE,
	IOASID_SIM_RUNNING,
	IOASID_SIM_DONE,
};

/**
 * enum ioasid_sim_status - how a command ended
 * @IOASID_SIM_OK: all of it was done
 * @IOASID_SIM_REFUSED: the IOMMU refused an access; @bad_iova says which. What
 *	comes before it may have been done.
 * @IOASID_SIM_DENIED: the answer to a page request was no, see
 *	@bad_iova
 * @IOASID_SIM_CANCELED: a reset ended it
 * @IOASID_SIM_BAD_OPCODE: unknown opcode
 * @IOASID_SIM_BAD_FLAGS: unknown flags, or flags that do not fit the opcode
 * @IOASID_SIM_BAD_PASID: a PASID without the flag, or one that has more bits
 *	than a PASID can have, or no PASIDs are enabled
 * @IOASID_SIM_BAD_LENGTH: 0, too long, not a multiple where it has to be one
 * @IOASID_SIM_BAD_BUFFER: outside of the buffer
 * @IOASID_SIM_BAD_ADDRESS: @iova or @to is not aligned or goes over the end
 * @IOASID_SIM_BAD_FIELD: a field that the opcode does not use is not 0
 * @IOASID_SIM_FAILED: the IOMMU could not do it; @result is the errno
 *
 * With one of IOASID_SIM_BAD_* no DMA was tried.
 */
enum ioasid_sim_status {
	IOASID_SIM_OK,
	IOASID_SIM_REFUSED,
	IOASID_SIM_DENIED,
	IOASID_SIM_CANCELED,
	IOASID_SIM_BAD_OPCODE,
	IOASID_SIM_BAD_FLAGS,
	IOASID_SIM_BAD_PASID,
	IOASID_SIM_BAD_LENGTH,
	IOASID_SIM_BAD_BUFFER,
	IOASID_SIM_BAD_ADDRESS,
	IOASID_SIM_BAD_FIELD,
	IOASID_SIM_FAILED,
};

/**
 * struct ioasid_sim_completion - how the command of a slot ended
 * @state: enum ioasid_sim_state; written last
 * @status: enum ioasid_sim_status
 * @tag: of the command
 * @bad_iova: the access that was refused, 0 if there was none
 * @result: of IOASID_SIM_OP_CRC32, IOASID_SIM_OP_ADD, IOASID_SIM_OP_REQUEST and
 *	IOASID_SIM_OP_REQUESTS
 */
struct ioasid_sim_completion {
	__u32 state;
	__u32 status;
	__aligned_u64 tag;
	__aligned_u64 bad_iova;
	__aligned_u64 result;
};

#endif /* _UAPI_LINUX_IOASID_SIM_H */
