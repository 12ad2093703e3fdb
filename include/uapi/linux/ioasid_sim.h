/* SPDX-License-Identifier: GPL-2.0 WITH Linux-syscall-note */
/*
 * The endpoint of ioasid_sim: a device for tests behind an IOMMU in software,
 * which does DMA by commands. This is its interface for a program that uses VFIO:
 * two regions and two interrupts. It must never promise anything about how fast
 * commands are, or in which order they end.
 *
 * To run a command, write it into a free slot of region 1, write the number of
 * the slot to IOASID_SIM_REG_DOORBELL, and wait until the state of the completion
 * with the same number is IOASID_SIM_DONE. Then the slot is free again. One write
 * can start any number of slots; they run in parallel.
 */
#ifndef _UAPI_LINUX_IOASID_SIM_H
#define _UAPI_LINUX_IOASID_SIM_H

#include <linux/types.h>

/* --- regions and interrupts ---------------------------------------------- */

/*
 * Region 0 can only be accessed by pread() and pwrite(). Registers have 4 bytes,
 * or 8 from IOASID_SIM_REG_STATS on, and are read as a whole. Any other access
 * fails with EINVAL.
 */
#define IOASID_SIM_REGION_REGISTERS	0
/*
 * Region 1 is memory of the device, which can be mapped, read and written. See
 * IOASID_SIM_COMMANDS for its layout.
 */
#define IOASID_SIM_REGION_MEMORY	1
#define IOASID_SIM_NR_REGIONS		2

/* Signalled for each command that ends */
#define IOASID_SIM_IRQ_DONE		0
/* Signalled when the kernel wants the device to be released */
#define IOASID_SIM_IRQ_REQUEST		1
#define IOASID_SIM_NR_IRQS		2

/**
 * enum ioasid_sim_register - offsets of registers in region 0
 * @IOASID_SIM_REG_ID: IOASID_SIM_ID
 * @IOASID_SIM_REG_SLOTS: number of slots
 * @IOASID_SIM_REG_BUFFER: size of the buffer in bytes
 * @IOASID_SIM_REG_RUNNING: number of commands that have not ended
 * @IOASID_SIM_REG_DOORBELL: write only: an array of __u32, the numbers of the
 *	slots to start. Starts all or none: EINVAL if a number is too large or
 *	given twice, EBUSY if one of the slots is in use.
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
 * enum ioasid_sim_stat - counters since the creation of the endpoint
 * @IOASID_SIM_STAT_DMAS: accesses, each within a page
 * @IOASID_SIM_STAT_ATS_HITS: translations by the device TLB
 * @IOASID_SIM_STAT_IOTLB_HITS: translations by the IOTLB
 * @IOASID_SIM_STAT_WALKS: page table walks
 * @IOASID_SIM_STAT_FLUSHES: invalidations of the device TLB
 * @IOASID_SIM_STAT_UNIT_FLUSHES: invalidations of the IOTLB
 * @IOASID_SIM_STAT_FAULTS: unrecoverable faults
 * @IOASID_SIM_STAT_REQUESTS: groups of page requests raised
 * @IOASID_SIM_STAT_ANSWERS: groups answered, or dropped by a reset
 * @IOASID_SIM_STAT_LATE_ANSWERS: responses to groups that a reset had dropped
 * @IOASID_SIM_STAT_OVERFLOWS: groups that found the queue of the IOMMU full
 * @IOASID_SIM_STAT_OUTSTANDING: groups that wait for a response now
 * @IOASID_SIM_NR_STATS: number of counters
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
 * Region 1: commands, completions, a page that the device does not use (for
 * processes that share it), and the buffer for data of DMA.
 *
 * A reset clears the buffer and nothing else: completions stay as they are. So
 * IOASID_SIM_OK says that the DMA was done, not that its data is still in the
 * buffer: the command can have ended just before a reset.
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
 * @IOASID_SIM_OP_FILL: fills @length bytes at @iova with @value, repeated
 * @IOASID_SIM_OP_COPY: @length bytes at @iova to @to, in ascending order
 * @IOASID_SIM_OP_CRC32: CRC-32 (as in zlib) of @length bytes at @iova
 * @IOASID_SIM_OP_ADD: adds @value to the __u64 at @iova, atomically; @length is
 *	8, the result is the previous value
 * @IOASID_SIM_OP_REQUEST: raises a group of page requests; the buffer has @length
 *	bytes of struct ioasid_sim_page_request at @buffer. Ends with the
 *	response; the result is its code: 0 success, 1 invalid, 2 failure.
 * @IOASID_SIM_OP_REQUESTS: raises page requests for @length bytes at @iova, for
 *	each page (4096 bytes) in ascending order, each in a group of its own,
 *	without waiting for a response in between. Ends with the last response;
 *	the result is the number of groups whose response was success.
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
 * DMA of the command uses @pasid. Without the flag it uses the RID of the device,
 * and @pasid must be 0.
 */
#define IOASID_SIM_CMD_PASID	(1 << 0)
/* Supervisor accesses; only with a PASID */
#define IOASID_SIM_CMD_PRIV	(1 << 1)
/* If a page is missing, sends a page request, waits for the response and retries */
#define IOASID_SIM_CMD_REQUEST	(1 << 2)

/* Largest length of a command, in bytes */
#define IOASID_SIM_MAX_LENGTH	(1U << 30)
/* Largest number of pages of a group */
#define IOASID_SIM_MAX_PAGES	64

/**
 * struct ioasid_sim_command - a command in a slot
 * @opcode: enum ioasid_sim_opcode
 * @flags: IOASID_SIM_CMD_*
 * @pasid: see IOASID_SIM_CMD_PASID
 * @length: in bytes
 * @iova: start of the DMA
 * @to: destination of IOASID_SIM_OP_COPY
 * @buffer: offset in the buffer, in bytes
 * @value: the pattern, or the addend
 * @tag: copied to the completion
 * @__reserved: must be 0, as every field that the opcode does not use
 *
 * The device reads a command once, by the write to the doorbell.
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
 * struct ioasid_sim_page_request - a record of a group of page requests
 * @iova: an address in the page
 * @flags: IOASID_SIM_PAGE_*
 * @__reserved: must be 0
 */
struct ioasid_sim_page_request {
	__aligned_u64 iova;
	__u32 flags;
	__u32 __reserved;
};

/**
 * enum ioasid_sim_state - state of a slot
 * @IOASID_SIM_FREE: not used since the device was opened
 * @IOASID_SIM_RUNNING: in use
 * @IOASID_SIM_DONE: the command has ended, and the completion is valid
 */
enum ioasid_sim_state {
	IOASID_SIM_FREE,
	IOASID_SIM_RUNNING,
	IOASID_SIM_DONE,
};

/**
 * enum ioasid_sim_status - result of a command
 * @IOASID_SIM_OK: success
 * @IOASID_SIM_REFUSED: an unrecoverable fault at @bad_iova. Accesses before it
 *	may have been done.
 * @IOASID_SIM_DENIED: the response to the page request for @bad_iova was not
 *	success
 * @IOASID_SIM_CANCELED: ended by a reset
 * @IOASID_SIM_BAD_OPCODE: unknown opcode
 * @IOASID_SIM_BAD_FLAGS: unknown flags, or flags that do not fit the opcode
 * @IOASID_SIM_BAD_PASID: a PASID without the flag, or one that has more bits
 *	than a PASID can have, or no PASIDs are enabled
 * @IOASID_SIM_BAD_LENGTH: the length is 0, too large, or not the multiple that the
 *	opcode needs
 * @IOASID_SIM_BAD_BUFFER: beyond the end of the buffer
 * @IOASID_SIM_BAD_ADDRESS: @iova or @to is not aligned, or wraps
 * @IOASID_SIM_BAD_FIELD: a field that the opcode does not use is not 0
 * @IOASID_SIM_FAILED: the IOMMU could not do it; @result is the errno
 *
 * No DMA is done if the status is one of IOASID_SIM_BAD_*.
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
 * struct ioasid_sim_completion - completion of the command of a slot
 * @state: enum ioasid_sim_state; written last
 * @status: enum ioasid_sim_status
 * @tag: of the command
 * @bad_iova: address of the fault, 0 if there was none
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
