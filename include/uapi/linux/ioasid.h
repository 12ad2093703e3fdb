/* SPDX-License-Identifier: GPL-2.0 WITH Linux-syscall-note */
/*
 * The user interface of /dev/ioasid: I/O address spaces, what is mapped in
 * them and which device uses which. Every command is an ioctl on an open
 * /dev/ioasid (a "context"), except the VFIO ones at the end, which go to a
 * VFIO container. Nothing here may change size or meaning once released: a
 * struct grows at its end, a new meaning gets a new flag.
 *
 * Rules for every command:
 *
 *  - @size is the size of the struct that the caller compiled. A larger one
 *    than the kernel knows is taken if the unknown tail is zero (else E2BIG),
 *    a smaller one than the first published size is refused (EINVAL).
 *  - Unknown bits in @flags and non-zero reserved fields: EOPNOTSUPP.
 *  - A command that the kernel does not know: ENOTTY.
 *  - The elements of an array of structs grow like the structs of commands: a
 *    field @range_size has the size of one as the caller compiled it. The kernel
 *    takes a larger element if the tail that it does not know is zero (else E2BIG
 *    and its index), and clears that tail in what it writes. A size below the
 *    first published one: EINVAL.
 *  - @extack is 0 or the address of a struct ioasid_extack, which is filled in
 *    when (and only when) the command fails. A bad one is found before anything
 *    is done: EFAULT, or EINVAL if its @size has no room for a code. Three
 *    failures come too early to be explained: ENOTTY, a struct whose first 16
 *    bytes cannot be read, and @size below 16.
 *  - A command succeeds wholly or leaves everything as it was. If its answer
 *    cannot be written, because user memory became unwritable while it was at
 *    work, it is undone: EFAULT. What cannot be undone stays done all the same:
 *    IOASID_UNMAP, IOASID_DEVICE_ATTACH with IOASID_ATTACH_REPLACE or
 *    IOASID_ATTACH_BIND_ONLY, VFIO_DEVICE_ATTACH, IOASID_FAULT_DOORBELL.
 */
#ifndef _UAPI_LINUX_IOASID_H
#define _UAPI_LINUX_IOASID_H

#include <linux/ioctl.h>
#include <linux/types.h>

#define IOASID_TYPE 0xBB

/* On /dev/ioasid */
#define IOASID_GET_INFO		_IO(IOASID_TYPE, 0x00)
#define IOASID_DEVICE_INFO	_IO(IOASID_TYPE, 0x01)
#define IOASID_ALLOC		_IO(IOASID_TYPE, 0x02)
#define IOASID_FREE		_IO(IOASID_TYPE, 0x03)
#define IOASID_SPACE_INFO	_IO(IOASID_TYPE, 0x04)
#define IOASID_MAP		_IO(IOASID_TYPE, 0x05)
#define IOASID_UNMAP		_IO(IOASID_TYPE, 0x06)
#define IOASID_COPY		_IO(IOASID_TYPE, 0x07)
#define IOASID_RESERVE		_IO(IOASID_TYPE, 0x08)
#define IOASID_TRANSLATE	_IO(IOASID_TYPE, 0x09)
#define IOASID_OPTION		_IO(IOASID_TYPE, 0x0a)
#define IOASID_DEVICE_ATTACH	_IO(IOASID_TYPE, 0x0b)
#define IOASID_DEVICE_DETACH	_IO(IOASID_TYPE, 0x0c)
#define IOASID_DIRTY_SET	_IO(IOASID_TYPE, 0x0d)
#define IOASID_DIRTY_GET	_IO(IOASID_TYPE, 0x0e)
#define IOASID_PASID_ALLOC	_IO(IOASID_TYPE, 0x0f)
#define IOASID_PASID_FREE	_IO(IOASID_TYPE, 0x10)
#define IOASID_FAULT_QUEUE	_IO(IOASID_TYPE, 0x11)
#define IOASID_FAULT_BIND	_IO(IOASID_TYPE, 0x12)
/* 0x13 is for invalidating nested page tables */

/* On a VFIO container whose type is VFIO_IOASID_IOMMU */
#define VFIO_DEVICE_ATTACH	_IO(IOASID_TYPE, 0x40)
#define VFIO_DEVICE_DETACH	_IO(IOASID_TYPE, 0x41)

/* On a fault queue */
#define IOASID_FAULT_DOORBELL	_IO(IOASID_TYPE, 0x60)

/* The argument of VFIO_SET_IOMMU and VFIO_CHECK_EXTENSION */
#define VFIO_IOASID_IOMMU	0x10a51d

/* The traffic of a device that carries no PASID */
#define IOASID_RID		0

/* A PASID of the kernel's choice, which goes back to the pool when it is detached */
#define IOASID_PASID_ANY	0xffffffffU
#define IOASID_MAX_PASID	0xfffffU

/**
 * enum ioasid_reason - why a command failed, for programs
 * @IOASID_REASON_NONE: nothing has failed yet
 * @IOASID_REASON_OTHER: only the errno is known
 * @IOASID_REASON_SIZE: @size is too small, or a tail that is not zero
 * @IOASID_REASON_FLAGS: a flag or a reserved field that this kernel does not know
 * @IOASID_REASON_POINTER: user memory could not be read or written
 * @IOASID_REASON_NO_SPACE_ID: no such space in this context
 * @IOASID_REASON_NO_DEVICE_ID: no such device in this context
 * @IOASID_REASON_KIND: the space is of a kind that cannot do this
 * @IOASID_REASON_VALUE: an argument is out of its range
 * @IOASID_REASON_ALIGNMENT: an address or length is not page aligned
 * @IOASID_REASON_OVERFLOW: an address plus a length wraps or is too large
 * @IOASID_REASON_OVERLAP: something is mapped there already
 * @IOASID_REASON_UNUSABLE: the IOVA range is not usable (see SPACE_INFO)
 * @IOASID_REASON_NO_ROOM: no free IOVA range is large enough
 * @IOASID_REASON_NOT_MAPPED: nothing is mapped there
 * @IOASID_REASON_SPLIT: the range would cut a mapping in two
 * @IOASID_REASON_MEMLOCK: RLIMIT_MEMLOCK would be exceeded
 * @IOASID_REASON_PIN: the memory cannot be pinned
 * @IOASID_REASON_PERMISSION: the memory or file does not allow that access
 * @IOASID_REASON_NO_MEMORY: the kernel is out of memory
 * @IOASID_REASON_KILLED: the caller was killed meanwhile
 * @IOASID_REASON_IN_USE: still in use
 * @IOASID_REASON_RACE: another command works on the same thing: try again
 * @IOASID_REASON_LIMIT: a limit of this interface
 * @IOASID_REASON_SIBLING: another device of the group uses another space
 * @IOASID_REASON_ATTACHED: attached already
 * @IOASID_REASON_NOT_ATTACHED: not attached
 * @IOASID_REASON_MSI: the platform does not isolate this group's interrupts
 * @IOASID_REASON_COHERENCY: the device's DMA is not cache coherent
 * @IOASID_REASON_RESERVED: a mapping collides with a range to be reserved
 * @IOASID_REASON_APERTURE: a mapping lies outside of what the IOMMU can address
 * @IOASID_REASON_IOMMU: the IOMMU driver refused
 * @IOASID_REASON_RESET: the device is being reset: try again
 * @IOASID_REASON_NO_PASID: the device or the IOMMU has no PASIDs
 * @IOASID_REASON_OWNER: the device belongs to somebody else
 * @IOASID_REASON_FD: a file descriptor is not what it must be
 * @IOASID_REASON_NO_DIRTY: this kernel or IOMMU cannot read dirty bits
 * @IOASID_REASON_PRIVILEGE: a capability is missing
 * @IOASID_REASON_NO_PASID_ID: no such PASID in this context
 * @IOASID_REASON_NO_SVA: the device or IOMMU cannot share a process' memory
 * @IOASID_REASON_NO_QUEUE_ID: no such fault queue in this context
 * @IOASID_REASON_NO_PRI: the device or IOMMU has no page requests
 */
enum ioasid_reason {
	IOASID_REASON_NONE = 0,
	IOASID_REASON_OTHER = 1,
	IOASID_REASON_SIZE = 2,
	IOASID_REASON_FLAGS = 3,
	IOASID_REASON_POINTER = 4,
	IOASID_REASON_NO_SPACE_ID = 6,
	IOASID_REASON_NO_DEVICE_ID = 7,
	IOASID_REASON_KIND = 8,
	IOASID_REASON_VALUE = 9,
	IOASID_REASON_ALIGNMENT = 10,
	IOASID_REASON_OVERFLOW = 11,
	IOASID_REASON_OVERLAP = 12,
	IOASID_REASON_UNUSABLE = 13,
	IOASID_REASON_NO_ROOM = 14,
	IOASID_REASON_NOT_MAPPED = 15,
	IOASID_REASON_SPLIT = 16,
	IOASID_REASON_MEMLOCK = 17,
	IOASID_REASON_PIN = 18,
	IOASID_REASON_PERMISSION = 19,
	IOASID_REASON_NO_MEMORY = 20,
	IOASID_REASON_KILLED = 21,
	IOASID_REASON_IN_USE = 22,
	IOASID_REASON_RACE = 23,
	IOASID_REASON_LIMIT = 24,
	IOASID_REASON_SIBLING = 25,
	IOASID_REASON_ATTACHED = 26,
	IOASID_REASON_NOT_ATTACHED = 27,
	IOASID_REASON_MSI = 28,
	IOASID_REASON_COHERENCY = 29,
	IOASID_REASON_RESERVED = 30,
	IOASID_REASON_APERTURE = 31,
	IOASID_REASON_IOMMU = 32,
	IOASID_REASON_RESET = 33,
	IOASID_REASON_NO_PASID = 34,
	IOASID_REASON_OWNER = 35,
	IOASID_REASON_FD = 36,
	IOASID_REASON_NO_DIRTY = 37,
	IOASID_REASON_PRIVILEGE = 38,
	IOASID_REASON_NO_PASID_ID = 39,
	IOASID_REASON_NO_SVA = 40,
	IOASID_REASON_NO_QUEUE_ID = 41,
	IOASID_REASON_NO_PRI = 42,
};

#define IOASID_EXTACK_MSG	160
#define IOASID_NO_INDEX		0xffffffffU

/**
 * struct ioasid_extack - the reason behind an error
 * @size: in: sizeof(struct ioasid_extack)
 * @code: out: enum ioasid_reason
 * @ioasid: out: the space concerned, or 0
 * @dev_id: out: the device concerned, or 0
 * @index: out: which element of a vector failed, or IOASID_NO_INDEX
 * @pasid: out: the PASID concerned, or 0
 * @value: out: the address, length or limit concerned, by @code
 * @msg: out: one sentence for people, NUL-terminated
 *
 * Filled in when a command fails; left alone when it succeeds.
 */
struct ioasid_extack {
	__u32 size;
	__u32 code;
	__u32 ioasid;
	__u32 dev_id;
	__u32 index;
	__u32 pasid;
	__aligned_u64 value;
	char msg[IOASID_EXTACK_MSG];
};

/* Capabilities of this kernel and module (struct ioasid_info.caps) */
#define IOASID_CAP_MAPPED	(1ULL << 0)	/* mapped spaces */
#define IOASID_CAP_FILE		(1ULL << 1)	/* MAP takes a memfd */
#define IOASID_CAP_REPLACE	(1ULL << 2)	/* attach replaces in place */
#define IOASID_CAP_DIRTY	(1ULL << 3)	/* dirty bits can be read */
#define IOASID_CAP_PASID	(1ULL << 4)	/* PASIDs can be allocated and attached */
#define IOASID_CAP_MM		(1ULL << 5)	/* spaces can be that of a process */
#define IOASID_CAP_FAULT	(1ULL << 6)	/* page requests can be answered */
#define IOASID_CAP_POLICY	(1ULL << 7)	/* a space has a policy for page requests */
#define IOASID_CAP_UNRECOVERABLE (1ULL << 8)	/* unrecoverable faults of some devices */
#define IOASID_CAP_DEVICE_FD	(1ULL << 9)	/* a glue whose devices have files is loaded */

enum ioasid_account_mode {
	IOASID_ACCOUNT_USER = 0,
	IOASID_ACCOUNT_MM = 1,
};

/**
 * struct ioasid_info - IOASID_GET_INFO: what this kernel can do, what this context uses
 * @size: sizeof(struct ioasid_info)
 * @flags: 0
 * @extack: 0, or the address of a struct ioasid_extack
 * @caps: out: IOASID_CAP_*
 * @max_vector: out: how many ranges one MAP or UNMAP may carry
 * @account_mode: out: enum ioasid_account_mode
 * @page_size: out: bytes; every address and length is a multiple of it
 * @nr_spaces: out: spaces of this context
 * @nr_devices: out: devices bound to this context
 * @nr_pasids: out: PASIDs that this context has
 * @nr_mappings: out: mappings in all spaces
 * @pinned: out: bytes pinned, each counted once
 * @mapped: out: bytes mapped, each space counted
 * @max_mappings: out: mappings that this context can have, by its own limit or
 *	by what the other contexts of the user who opened it leave of the user's
 *	(parameters mappings_per_context and mappings_per_user of the module)
 * @nr_reserved: out: ranges that IOASID_RESERVE has reserved in all spaces
 * @max_reserved: out: the same limit for them (reserved_per_context, ..._user)
 * @max_spaces: out: the same limit for spaces (spaces_per_context, ..._user)
 * @max_reserve: out: how many ranges one RESERVE may carry
 */
struct ioasid_info {
	__u32 size;
	__u32 flags;
	__aligned_u64 extack;
	__aligned_u64 caps;
	__u32 max_vector;
	__u32 account_mode;
	__u32 page_size;
	__u32 nr_spaces;
	__u32 nr_devices;
	__u32 nr_pasids;
	__aligned_u64 nr_mappings;
	__aligned_u64 pinned;
	__aligned_u64 mapped;
	__aligned_u64 max_mappings;
	__u32 nr_reserved;
	__u32 max_reserved;
	__u32 max_spaces;
	__u32 max_reserve;
};

/**
 * struct ioasid_iova_range - a range of I/O virtual addresses
 * @first: first address
 * @last: last address, inclusive
 */
struct ioasid_iova_range {
	__aligned_u64 first;
	__aligned_u64 last;
};

/* struct ioasid_device_info.caps */
#define IOASID_DEVICE_COHERENT		(1U << 0) /* DMA is cache coherent */
#define IOASID_DEVICE_ENFORCE_COHERENT	(1U << 1) /* no-snoop can be overridden */
#define IOASID_DEVICE_ISOLATED_MSI	(1U << 2) /* interrupts are remapped */
#define IOASID_DEVICE_DIRTY		(1U << 3) /* dirty bits can be read; not yet */
#define IOASID_DEVICE_PASID		(1U << 4) /* PASID enabled in the device */
#define IOASID_DEVICE_PRI		(1U << 5) /* page requests enabled */
#define IOASID_DEVICE_ATS		(1U << 6) /* address translation service enabled */
#define IOASID_DEVICE_ATTACHED		(1U << 7) /* its RID is attached to a space */
#define IOASID_DEVICE_SINGLETON		(1U << 8) /* alone in its group */
#define IOASID_DEVICE_UNRECOVERABLE	(1U << 9) /* unrecoverable faults of its RID */
#define IOASID_DEVICE_UNRECOVERABLE_PASID	(1U << 10) /* and that of its PASIDs */
#define IOASID_DEVICE_RESETS		(1U << 11) /* what a reset has dropped is reported */

/**
 * struct ioasid_device_info - IOASID_DEVICE_INFO: one device
 * @size: sizeof(struct ioasid_device_info)
 * @flags: 0
 * @extack: 0, or the address of a struct ioasid_extack
 * @dev_id: in: the device
 * @caps: out: IOASID_DEVICE_*
 * @cookie: out: the user's cookie from the attach
 * @group_id: out: number of the IOMMU group
 * @pasid_bits: out: width of a PASID; 0 without IOASID_DEVICE_PASID
 * @ioasid: out: the space its RID is attached to, or 0
 * @nr_ranges: in: room at @ranges; out: how many there are
 * @ranges: 0, or the address of an array of struct ioasid_iova_range: the
 *	IOVA that a space can use with this device. Some kernels (VT-d on 6.12)
 *	report more as long as the device is not attached
 * @hw_info_type: out: enum iommu_hw_info_type of linux/iommufd.h
 * @hw_info_len: in: room at @hw_info in bytes; out: length of the blob
 * @hw_info: 0, or where to write the IOMMU driver's description of its hardware
 * @name: out: the device's name, NUL-terminated
 * @owner: out: the framework that owns it, NUL-terminated
 * @nr_pasids: out: PASIDs that it is attached with
 * @range_size: with @ranges: sizeof(struct ioasid_iova_range)
 *
 * EMSGSIZE if @ranges or @hw_info is given and too small: the counts are
 * written all the same.
 */
struct ioasid_device_info {
	__u32 size;
	__u32 flags;
	__aligned_u64 extack;
	__u32 dev_id;
	__u32 caps;
	__aligned_u64 cookie;
	__u32 group_id;
	__u32 pasid_bits;
	__u32 ioasid;
	__u32 nr_ranges;
	__aligned_u64 ranges;
	__u32 hw_info_type;
	__u32 hw_info_len;
	__aligned_u64 hw_info;
	char name[48];
	char owner[16];
	__u32 nr_pasids;
	__u32 range_size;
};

/**
 * enum ioasid_kind - who keeps the page table of a space
 * @IOASID_KIND_MAPPED: the kernel, and the user maps and unmaps memory
 * @IOASID_KIND_MM: the process that made the space: devices use its own address
 *	space, by PASID. Nothing is pinned. Only that process can attach devices.
 *	After exec or exit their DMA fails.
 */
enum ioasid_kind {
	IOASID_KIND_MAPPED = 1,
	IOASID_KIND_MM = 2,
	/* 3 and 4 are for nested and shadow spaces */
};

/* struct ioasid_alloc.flags */
#define IOASID_ALLOC_FAULTS	(1U << 0)	/* devices may send page requests */
/* 1U << 1 is for the parent of nested spaces */

/**
 * struct ioasid_alloc - IOASID_ALLOC: make a space
 * @size: sizeof(struct ioasid_alloc)
 * @flags: IOASID_ALLOC_FAULTS, for IOASID_KIND_MAPPED: only devices with page
 *	requests can be attached then. These are answered
 *	IOASID_FAULT_INVALID as long as no fault queue is bound, unless the policy
 *	is IOASID_FAULT_KERNEL
 * @extack: 0, or the address of a struct ioasid_extack
 * @kind: enum ioasid_kind
 * @parent: 0
 * @ioasid: out: the id of the space
 * @data_type: 0
 * @data_len: 0
 * @__reserved: 0
 * @data: 0
 * @label: a name for people, shown in debugfs and in messages; NUL-terminated
 *
 * EDQUOT beyond max_spaces of IOASID_GET_INFO.
 */
struct ioasid_alloc {
	__u32 size;
	__u32 flags;
	__aligned_u64 extack;
	__u32 kind;
	__u32 parent;
	__u32 ioasid;
	__u32 data_type;
	__u32 data_len;
	__u32 __reserved;
	__aligned_u64 data;
	char label[32];
};

/**
 * struct ioasid_free - IOASID_FREE: give a space back
 * @size: sizeof(struct ioasid_free)
 * @flags: 0
 * @extack: 0, or the address of a struct ioasid_extack
 * @ioasid: the space; all that is mapped in it is unmapped and unpinned
 * @__reserved: 0
 *
 * EBUSY while a device is attached.
 */
struct ioasid_free {
	__u32 size;
	__u32 flags;
	__aligned_u64 extack;
	__u32 ioasid;
	__u32 __reserved;
};

/**
 * struct ioasid_space_info - IOASID_SPACE_INFO: one space
 * @size: sizeof(struct ioasid_space_info)
 * @flags: 0
 * @extack: 0, or the address of a struct ioasid_extack
 * @ioasid: in: the space
 * @kind: out: enum ioasid_kind
 * @parent: out: 0
 * @nr_domains: out: IOMMU domains behind it
 * @nr_attachments: out: attachments; a device can have one by its RID and one by
 *	each of its PASIDs
 * @nr_reserved: out: ranges that IOASID_RESERVE has reserved
 * @nr_ranges: in: room at @ranges; out: how many usable ranges there are
 * @range_size: with @ranges: sizeof(struct ioasid_iova_range)
 * @ranges: 0, or the address of an array of struct ioasid_iova_range
 * @page_sizes: out: bitmap of page sizes that all its domains have
 * @nr_mappings: out: mappings
 * @mapped: out: bytes mapped
 * @pinned: out: bytes whose memory was first mapped here
 * @label: out: the label from IOASID_ALLOC
 *
 * EMSGSIZE if @ranges is given and too small; @nr_ranges is written all the
 * same.
 */
struct ioasid_space_info {
	__u32 size;
	__u32 flags;
	__aligned_u64 extack;
	__u32 ioasid;
	__u32 kind;
	__u32 parent;
	__u32 nr_domains;
	__u32 nr_attachments;
	__u32 nr_reserved;
	__u32 nr_ranges;
	__u32 range_size;
	__aligned_u64 ranges;
	__aligned_u64 page_sizes;
	__aligned_u64 nr_mappings;
	__aligned_u64 mapped;
	__aligned_u64 pinned;
	char label[32];
};

#define IOASID_MAX_VECTOR	65536
#define IOASID_MAX_RESERVE	1024
#define IOASID_MAX_DEVICES	256

/* struct ioasid_map_range.flags, struct ioasid_copy.flags */
#define IOASID_MAP_READ		(1U << 0)	/* the device may read */
#define IOASID_MAP_WRITE	(1U << 1)	/* the device may write */
#define IOASID_MAP_FIXED	(1U << 2)	/* @iova is where; else the kernel chooses */
#define IOASID_MAP_FILE		(1U << 3)	/* @addr is an offset in the file @fd */

/**
 * struct ioasid_map_range - one range to map
 * @iova: in with IOASID_MAP_FIXED, else out: where in the space
 * @addr: address in the caller's memory, or offset in @fd
 * @length: bytes
 * @flags: IOASID_MAP_*; READ or WRITE or both
 * @fd: with IOASID_MAP_FILE a memfd, or a file on tmpfs or hugetlbfs; else 0
 */
struct ioasid_map_range {
	__aligned_u64 iova;
	__aligned_u64 addr;
	__aligned_u64 length;
	__u32 flags;
	__s32 fd;
};

/**
 * struct ioasid_map - IOASID_MAP: let devices reach memory
 * @size: sizeof(struct ioasid_map)
 * @flags: 0
 * @extack: 0, or the address of a struct ioasid_extack
 * @ioasid: the space
 * @nr: number of ranges, 1 to IOASID_MAX_VECTOR
 * @ranges: address of an array of struct ioasid_map_range
 * @range_size: sizeof(struct ioasid_map_range)
 * @__reserved: 0
 *
 * All or nothing: on failure none of the ranges is mapped and extack.index
 * is that of the one that could not be. The memory is pinned until it is unmapped, and
 * is charged to RLIMIT_MEMLOCK before it is pinned. EDQUOT beyond max_mappings of
 * IOASID_GET_INFO.
 */
struct ioasid_map {
	__u32 size;
	__u32 flags;
	__aligned_u64 extack;
	__u32 ioasid;
	__u32 nr;
	__aligned_u64 ranges;
	__u32 range_size;
	__u32 __reserved;
};

/**
 * struct ioasid_unmap_range - one range to unmap
 * @iova: first address
 * @length: bytes
 *
 * The range covers at least one mapping, or ENOENT without IOASID_UNMAP_EMPTY_OK;
 * and it splits none, or EINVAL.
 */
struct ioasid_unmap_range {
	__aligned_u64 iova;
	__aligned_u64 length;
};

/* struct ioasid_unmap.flags */
#define IOASID_UNMAP_ALL	(1U << 0)	/* all mappings; @nr and @ranges are 0 */
#define IOASID_UNMAP_EMPTY_OK	(1U << 1)	/* a range may have no mapping in it */

/**
 * struct ioasid_unmap - IOASID_UNMAP: take memory away from devices
 * @size: sizeof(struct ioasid_unmap)
 * @flags: IOASID_UNMAP_*
 * @extack: 0, or the address of a struct ioasid_extack
 * @ioasid: the space
 * @nr: number of ranges, 1 to IOASID_MAX_VECTOR; 0 with IOASID_UNMAP_ALL
 * @ranges: address of an array of struct ioasid_unmap_range; they must not
 *	overlap
 * @range_size: sizeof(struct ioasid_unmap_range); not looked at with
 *	IOASID_UNMAP_ALL
 * @__reserved: 0
 * @unmapped: out: bytes unmapped
 *
 * When it returns no device can reach the memory any more, and it is unpinned.
 * All or nothing; extack.index is that of the range at fault. EBUSY while
 * another thread maps or unmaps in a range; IOASID_UNMAP_ALL passes over what
 * another thread is at work on, and leaves the rest if the caller is killed.
 * EFAULT, with all of it unmapped, if @unmapped has become unwritable meanwhile.
 */
struct ioasid_unmap {
	__u32 size;
	__u32 flags;
	__aligned_u64 extack;
	__u32 ioasid;
	__u32 nr;
	__aligned_u64 ranges;
	__u32 range_size;
	__u32 __reserved;
	__aligned_u64 unmapped;
};

/**
 * struct ioasid_copy - IOASID_COPY: the same memory in another space, or twice in one
 * @size: sizeof(struct ioasid_copy)
 * @flags: IOASID_MAP_READ, _WRITE, _FIXED
 * @extack: 0, or the address of a struct ioasid_extack
 * @src_ioasid: the space that has it
 * @dst_ioasid: the space that gets it
 * @src_iova: first address in the source; all of the range must be mapped
 * @dst_iova: in with IOASID_MAP_FIXED, else out: where in the destination
 * @length: bytes
 *
 * The memory is pinned and charged once, until the last user unmaps it. WRITE
 * needs a source that is mapped for writing. As many mappings are made as the
 * source has in the range: EDQUOT beyond max_mappings of IOASID_GET_INFO, or if
 * the same memory would be mapped more than 2^28 times.
 */
struct ioasid_copy {
	__u32 size;
	__u32 flags;
	__aligned_u64 extack;
	__u32 src_ioasid;
	__u32 dst_ioasid;
	__aligned_u64 src_iova;
	__aligned_u64 dst_iova;
	__aligned_u64 length;
};

/**
 * struct ioasid_reserve - IOASID_RESERVE: narrow the usable IOVA ranges
 * @size: sizeof(struct ioasid_reserve)
 * @flags: 0
 * @extack: 0, or the address of a struct ioasid_extack
 * @ioasid: the space
 * @nr: number of ranges, 0 to IOASID_MAX_RESERVE
 * @ranges: address of an array of struct ioasid_iova_range, in ascending
 *	order, not overlapping: nothing may be mapped there from now on
 * @range_size: with @nr: sizeof(struct ioasid_iova_range)
 * @__reserved: 0
 *
 * Replaces the list of an earlier call. EADDRINUSE if something is mapped in
 * one of the ranges, EDQUOT beyond max_reserved of IOASID_GET_INFO.
 */
struct ioasid_reserve {
	__u32 size;
	__u32 flags;
	__aligned_u64 extack;
	__u32 ioasid;
	__u32 nr;
	__aligned_u64 ranges;
	__u32 range_size;
	__u32 __reserved;
};

/* struct ioasid_translate.flags */
#define IOASID_TRANSLATE_PHYS	(1U << 0)	/* also @phys; CAP_SYS_ADMIN */

/**
 * struct ioasid_translate - IOASID_TRANSLATE: what is mapped at an IOVA
 * @size: sizeof(struct ioasid_translate)
 * @flags: IOASID_TRANSLATE_*
 * @extack: 0, or the address of a struct ioasid_extack
 * @ioasid: the space
 * @map_flags: out: IOASID_MAP_* of the mapping
 * @iova: in: the address
 * @map_iova: out: first address of the mapping
 * @map_length: out: its length in bytes
 * @addr: out: address in the mapper's memory (or file offset) of @iova
 * @phys: out: physical address by the IOMMU's own page table, 0 without a
 *	domain
 *
 * ENOENT if nothing is mapped there.
 */
struct ioasid_translate {
	__u32 size;
	__u32 flags;
	__aligned_u64 extack;
	__u32 ioasid;
	__u32 map_flags;
	__aligned_u64 iova;
	__aligned_u64 map_iova;
	__aligned_u64 map_length;
	__aligned_u64 addr;
	__aligned_u64 phys;
};

/* struct ioasid_option.flags */
#define IOASID_OPTION_SET	(1U << 0)	/* set; without it: get */

enum ioasid_option_id {
	IOASID_OPTION_ACCOUNT_MODE = 1,
};

/**
 * struct ioasid_option - IOASID_OPTION: read or change how a context behaves
 * @size: sizeof(struct ioasid_option)
 * @flags: IOASID_OPTION_SET, or 0 to read
 * @extack: 0, or the address of a struct ioasid_extack
 * @option: enum ioasid_option_id
 * @__reserved: 0
 * @value: in or out; for IOASID_OPTION_ACCOUNT_MODE an enum
 *	ioasid_account_mode: against what pinned memory counts, the user's
 *	locked memory as with io_uring, or the process' as with VFIO type1. EBUSY
 *	while anything is mapped.
 */
struct ioasid_option {
	__u32 size;
	__u32 flags;
	__aligned_u64 extack;
	__u32 option;
	__u32 __reserved;
	__aligned_u64 value;
};

/* struct ioasid_device_attach.flags; the first also of struct vfio_device_attach */
#define IOASID_ATTACH_REPLACE	(1U << 0)	/* leave the present space for @ioasid */
#define IOASID_ATTACH_FD	(1U << 1)	/* @device_fd names the device */
#define IOASID_ATTACH_BIND_ONLY	(1U << 8)	/* only bind the device */

/**
 * struct ioasid_device_attach - IOASID_DEVICE_ATTACH: give a device a space
 * @size: sizeof(struct ioasid_device_attach)
 * @flags: IOASID_ATTACH_REPLACE; IOASID_ATTACH_FD; with that and without a
 *	space and a PASID, IOASID_ATTACH_BIND_ONLY
 * @extack: 0, or the address of a struct ioasid_extack
 * @dev_id: a device that is bound to this context; out with IOASID_ATTACH_FD
 * @ioasid: the space
 * @pasid: IOASID_RID, a PASID that this context has allocated, or
 *	IOASID_PASID_ANY; out: the PASID
 * @vpasid: 0, or the user's own number for the PASID of this device:
 *	DEVICE_DETACH and every record name it
 * @nr_devices: 0, or how many devices @devices names, at most IOASID_MAX_DEVICES
 * @device_fd: with IOASID_ATTACH_FD, an open device of VFIO that the caller may
 *	use (one of a device node must be bound to an iommufd), else 0
 * @devices: with @nr_devices: address of an array of __u32, the devices in the
 *	place of @dev_id, which is 0 then
 * @cookie: with IOASID_ATTACH_FD, any number; DEVICE_INFO gives it back
 *
 * Several devices, behind whatever IOMMUs, are attached with the same PASID, all
 * or none; the extack says which one could not be. They cannot be replaced
 * together.
 *
 * IOASID_ATTACH_FD binds the device to this context, and its file stays open here,
 * whoever closes it elsewhere, until the device is detached from all, or the
 * context is closed: that detaches it. With IOASID_ATTACH_BIND_ONLY it stays until
 * DEVICE_DETACH with IOASID_DETACH_UNBIND. Of a device that was bound by its
 * container (VFIO_DEVICE_ATTACH) no file is kept: it is the same as naming it by
 * @dev_id. A device is bound to one context at a time.
 *
 * A device can be attached with its RID and with many PASIDs at once. A space
 * of kind IOASID_KIND_MM wants IOASID_PASID_ANY: the PASID is that of the
 * process. IOASID_PASID_ANY with a mapped space takes a PASID from the pool,
 * and detaching gives it back.
 *
 * Replacing is not free of interruption on every IOMMU: DMA in flight may be
 * blocked for a moment. What is replaced is named by @vpasid, or @pasid if that
 * is 0. EFAULT, with the space replaced or the device bound, if the struct has
 * become unwritable meanwhile; any other attach is undone then.
 *
 * ENOENT without such a device or space; EBUSY if it is attached, while it is
 * being reset, or while a sibling (a device of the same group) uses another
 * space with the same PASID; EPERM for a PASID, or the memory of a process, of
 * somebody else; EINVAL where @pasid, @vpasid and the kind of space do not go
 * together; EOPNOTSUPP for a PASID where device or IOMMU have none, and where
 * the kernel cannot replace; ERANGE for a PASID that is too wide, or a mapping
 * that the IOMMU cannot address; EADDRINUSE for a mapping that the device
 * reserves; EDQUOT and ENOSPC without a PASID; ENODEV without page requests or
 * SVA where they are needed; E2BIG for too many devices; EFAULT for an array
 * that cannot be read; ENOMEM; EINTR when killed; what the IOMMU driver says.
 *
 * With IOASID_ATTACH_FD also EBADF if @device_fd is not open; EINVAL if it is
 * something else, or a flag does not go with it; EPERM for a device node that is
 * not bound to an iommufd, or whose interrupts are not isolated; ENODEV without an
 * IOMMU; EBUSY where the owner (VFIO type1, iommufd) uses the RID or the PASID
 * itself, or the device is bound to another context.
 */
struct ioasid_device_attach {
	__u32 size;
	__u32 flags;
	__aligned_u64 extack;
	__u32 dev_id;
	__u32 ioasid;
	__u32 pasid;
	__u32 vpasid;
	__u32 nr_devices;
	__s32 device_fd;
	__aligned_u64 devices;
	__aligned_u64 cookie;
};

/* struct ioasid_device_detach.flags */
#define IOASID_DETACH_FD	(1U << 1)	/* @device_fd names the device */
#define IOASID_DETACH_UNBIND	(1U << 8)	/* detach it from all, and unbind it */

/**
 * struct ioasid_device_detach - IOASID_DEVICE_DETACH: take a device's space away
 * @size: sizeof(struct ioasid_device_detach)
 * @flags: IOASID_DETACH_FD, IOASID_DETACH_UNBIND
 * @extack: 0, or the address of a struct ioasid_extack
 * @dev_id: the device; 0 with IOASID_DETACH_FD
 * @pasid: IOASID_RID, or the number that the user gave the PASID; 0 with
 *	IOASID_DETACH_UNBIND
 * @device_fd: with IOASID_DETACH_FD, an open file of the device, else 0
 * @__reserved: 0
 *
 * Its DMA is blocked once the last device of its group has been detached: the
 * devices of a group share their page table. A device that was bound by IOASID_ATTACH_FD
 * without IOASID_ATTACH_BIND_ONLY is unbound when it is attached to nothing any
 * more. IOASID_DETACH_UNBIND: EBUSY for a device that its container has bound: it
 * stays bound until it is closed.
 */
struct ioasid_device_detach {
	__u32 size;
	__u32 flags;
	__aligned_u64 extack;
	__u32 dev_id;
	__u32 pasid;
	__s32 device_fd;
	__u32 __reserved;
};

/**
 * struct ioasid_pasid_alloc - IOASID_PASID_ALLOC: take PASIDs from the kernel's pool
 * @size: sizeof(struct ioasid_pasid_alloc)
 * @flags: 0
 * @extack: 0, or the address of a struct ioasid_extack
 * @dev_id: a device that is to use them: its width limits them. Other devices
 *	can use them, too, if they have as many bits
 * @nr: how many, 1 to IOASID_MAX_VECTOR
 * @first: the smallest that will do
 * @last: the largest that will do, or 0 for any
 * @pasids: address of an array of @nr __u32; out: the PASIDs
 *
 * All or none. EINVAL for no PASID or a range that is none, E2BIG for too many,
 * EDQUOT beyond the quota of this context or of the user
 * (parameters pasids_per_context and pasids_per_user of the module), ENOSPC
 * where none is left, EOPNOTSUPP for a device without PASIDs.
 */
struct ioasid_pasid_alloc {
	__u32 size;
	__u32 flags;
	__aligned_u64 extack;
	__u32 dev_id;
	__u32 nr;
	__u32 first;
	__u32 last;
	__aligned_u64 pasids;
};

/**
 * struct ioasid_pasid_free - IOASID_PASID_FREE: give PASIDs back
 * @size: sizeof(struct ioasid_pasid_free)
 * @flags: 0
 * @extack: 0, or the address of a struct ioasid_extack
 * @nr: how many
 * @__reserved: 0
 * @pasids: address of an array of @nr __u32
 *
 * All or none. ENOENT for one that was not allocated by this context, EBUSY for
 * one that is attached, EINVAL for none, E2BIG for too many.
 */
struct ioasid_pasid_free {
	__u32 size;
	__u32 flags;
	__aligned_u64 extack;
	__u32 nr;
	__u32 __reserved;
	__aligned_u64 pasids;
};

/* struct ioasid_dirty_set.flags */
#define IOASID_DIRTY_ENABLE	(1U << 0)

/**
 * struct ioasid_dirty_set - IOASID_DIRTY_SET: start or stop dirty tracking
 * @size: sizeof(struct ioasid_dirty_set)
 * @flags: IOASID_DIRTY_ENABLE to start, 0 to stop
 * @extack: 0, or the address of a struct ioasid_extack
 * @ioasid: the space
 * @__reserved: 0
 *
 * EOPNOTSUPP without IOASID_CAP_DIRTY.
 */
struct ioasid_dirty_set {
	__u32 size;
	__u32 flags;
	__aligned_u64 extack;
	__u32 ioasid;
	__u32 __reserved;
};

/**
 * struct ioasid_dirty_get - IOASID_DIRTY_GET: read and clear the dirty bits
 * @size: sizeof(struct ioasid_dirty_get)
 * @flags: 0
 * @extack: 0, or the address of a struct ioasid_extack
 * @ioasid: the space
 * @__reserved: 0
 * @iova: first address
 * @length: bytes
 * @page_size: bytes for each bit
 * @bitmap: address of an array of u64
 *
 * EOPNOTSUPP without IOASID_CAP_DIRTY.
 */
struct ioasid_dirty_get {
	__u32 size;
	__u32 flags;
	__aligned_u64 extack;
	__u32 ioasid;
	__u32 __reserved;
	__aligned_u64 iova;
	__aligned_u64 length;
	__aligned_u64 page_size;
	__aligned_u64 bitmap;
};

/* struct vfio_device_attach.flags, besides IOASID_ATTACH_REPLACE */
#define VFIO_DEVICE_ATTACH_BIND_ONLY	IOASID_ATTACH_BIND_ONLY

/**
 * struct vfio_device_attach - VFIO_DEVICE_ATTACH: on a container, attach an open device
 * @argsz: sizeof(struct vfio_device_attach)
 * @flags: IOASID_ATTACH_REPLACE, or VFIO_DEVICE_ATTACH_BIND_ONLY with @ioasid 0
 * @extack: 0, or the address of a struct ioasid_extack
 * @ioasid_fd: an open /dev/ioasid
 * @device_fd: an open device of this container
 * @ioasid: the space
 * @pasid: as in struct ioasid_device_attach
 * @cookie: any number; DEVICE_INFO gives it back
 * @dev_id: out: the device's id in the context
 * @vpasid: as in struct ioasid_device_attach
 *
 * The device stays bound to the context until it is closed, and can be named by
 * @dev_id in IOASID_DEVICE_ATTACH and the others. A device is bound to one
 * context at a time. Closing @ioasid_fd leaves its DMA as it is until the
 * device is closed. EFAULT, with the device attached, if the struct has become
 * unwritable meanwhile.
 */
struct vfio_device_attach {
	__u32 argsz;
	__u32 flags;
	__aligned_u64 extack;
	__s32 ioasid_fd;
	__s32 device_fd;
	__u32 ioasid;
	__u32 pasid;
	__aligned_u64 cookie;
	__u32 dev_id;
	__u32 vpasid;
};

/**
 * struct vfio_device_detach - VFIO_DEVICE_DETACH: on a container, detach an open device
 * @argsz: sizeof(struct vfio_device_detach)
 * @flags: 0
 * @extack: 0, or the address of a struct ioasid_extack
 * @device_fd: an open device of this container
 * @pasid: as in struct ioasid_device_detach
 */
struct vfio_device_detach {
	__u32 argsz;
	__u32 flags;
	__aligned_u64 extack;
	__s32 device_fd;
	__u32 pasid;
};

/* --- fault queues ---------------------------------------------------------
 *
 * A queue is a file. Its memory, to be mapped shared with @ring_bytes from
 * offset 0, is
 *
 *	struct ioasid_fault_ring		who is where
 *	at IOASID_FAULT_RECORDS:		depth x struct ioasid_fault_record
 *	at ring->responses:			depth x struct ioasid_fault_response
 *
 * All indices count up and wrap at 2^32; entry i is at i modulo depth.
 *
 *	            tail                head
 *	              v                   v
 *	records:  ....[ full, the user's ]....	kernel moves head, user tail
 *
 *	        response_tail       response_head
 *	              v                   v
 *	responses:....[ full, the kernel's]....	user moves head, kernel tail
 *
 * Whoever moves an index writes the entries first (store-release), and whoever
 * reads one reads the entries after it (load-acquire). The kernel looks at
 * responses when IOASID_FAULT_DOORBELL is called. read() and write() do
 * the same without the ring: whole records out, whole responses in.
 */
#define IOASID_FAULT_MIN_DEPTH		16U
#define IOASID_FAULT_MAX_DEPTH		65536U
#define IOASID_FAULT_DEADLINE		10000U	/* ms */
#define IOASID_FAULT_MAX_DEADLINE	60000U	/* ms */
#define IOASID_FAULT_RECORDS		4096	/* where records begin */

/**
 * struct ioasid_fault_queue - IOASID_FAULT_QUEUE: make a fault queue
 * @size: sizeof(struct ioasid_fault_queue)
 * @flags: 0
 * @extack: 0, or the address of a struct ioasid_extack
 * @depth: records that fit, a power of two from IOASID_FAULT_MIN_DEPTH to
 *	IOASID_FAULT_MAX_DEPTH
 * @max_pending: groups that may wait for an answer, at most @depth; 0: @depth
 * @max_per_pasid: of these, groups of one device and PASID; 0: @max_pending
 * @deadline_ms: after that long a group is answered with IOASID_FAULT_INVALID,
 *	and a record says so; 0: IOASID_FAULT_DEADLINE
 * @eventfd: -1, or an eventfd that is signalled when there are new records
 * @fd: out: the file: closing it answers all that waits with
 *	IOASID_FAULT_INVALID, and whatever comes later
 * @queue_id: out: for IOASID_FAULT_BIND
 * @__reserved: 0
 * @ring_bytes: out: to be mapped
 *
 * All memory is taken now: a page request never waits for memory. What does not
 * fit, or is beyond a limit, is answered with IOASID_FAULT_INVALID, and counted
 * in a record IOASID_FAULT_LOST. EINVAL for a number out of its range or a file
 * that is no eventfd, EBADF for one that is not open, EDQUOT beyond the records
 * that all queues of a context may have (parameter fault_records_per_context of
 * the module), EMFILE, ENFILE, ENOMEM.
 */
struct ioasid_fault_queue {
	__u32 size;
	__u32 flags;
	__aligned_u64 extack;
	__u32 depth;
	__u32 max_pending;
	__u32 max_per_pasid;
	__u32 deadline_ms;
	__s32 eventfd;
	__s32 fd;
	__u32 queue_id;
	__u32 __reserved;
	__aligned_u64 ring_bytes;
};

/**
 * struct ioasid_fault_bind - IOASID_FAULT_BIND: whose page requests go where
 * @size: sizeof(struct ioasid_fault_bind)
 * @flags: 0
 * @extack: 0, or the address of a struct ioasid_extack
 * @ioasid: a space, for all that is attached to it; or 0
 * @dev_id: a device, for one attachment of it, before its space's; or 0
 * @pasid: with @dev_id: IOASID_RID, or the number that the user gave it
 * @queue_id: the queue, or 0 for none
 * @policy: with @ioasid: enum ioasid_fault_policy, for page requests of
 *	attachments without a queue of their own
 * @__reserved: 0
 *
 * At any time. What waits in the old queue is answered there. Devices of a group
 * that share an attachment share its binding; replacing a space drops it. A space
 * without IOASID_ALLOC_FAULTS gets records of everything but page requests.
 * ENOENT without such a space, device, attachment or queue; EINVAL for both or
 * none of space and device, an unknown policy, one for an attachment or for a
 * space without IOASID_ALLOC_FAULTS, and for the address space of a process.
 */
struct ioasid_fault_bind {
	__u32 size;
	__u32 flags;
	__aligned_u64 extack;
	__u32 ioasid;
	__u32 dev_id;
	__u32 pasid;
	__u32 queue_id;
	__u32 policy;
	__u32 __reserved;
};

/**
 * enum ioasid_fault_policy - who answers the page requests for a space
 * @IOASID_FAULT_FORWARD: whoever has the queue; without a queue
 *	IOASID_FAULT_INVALID at once
 * @IOASID_FAULT_REFUSE: IOASID_FAULT_INVALID at once
 * @IOASID_FAULT_KERNEL: the kernel, at once: IOASID_FAULT_SUCCESS if all pages of
 *	the group are mapped and may be accessed like that, or while the space is
 *	being changed, so that the device asks again; otherwise
 *	IOASID_FAULT_INVALID. The address space of a process has always had its
 *	own: what the process may access is there.
 *
 * The last two make no record; a queue gets the others.
 */
enum ioasid_fault_policy {
	IOASID_FAULT_FORWARD = 0,
	IOASID_FAULT_REFUSE = 1,
	IOASID_FAULT_KERNEL = 2,
};

/**
 * struct ioasid_fault_ring - the head of a queue's memory
 * @head: records made; the kernel's
 * @tail: records taken; the user's
 * @response_head: responses made; the user's
 * @response_tail: responses taken; the kernel's
 * @depth: records, and responses
 * @responses: where the responses begin, in bytes from the start
 */
struct ioasid_fault_ring {
	__u32 head;
	__u32 tail;
	__u32 response_head;
	__u32 response_tail;
	__u32 depth;
	__u32 responses;
};

/**
 * enum ioasid_fault_type - what a record reports
 * @IOASID_FAULT_REQUEST: a page of a group of page requests, which wants an answer
 * @IOASID_FAULT_LOST: groups were answered INVALID, or records of other types were
 *	not made, because the queue, or a limit, was full
 * @IOASID_FAULT_DETACHED: a device was detached; what waited was answered
 * @IOASID_FAULT_TIMEOUT: a group was answered because the deadline had passed
 * @IOASID_FAULT_UNRECOVERABLE: the IOMMU has blocked DMA; there is nothing to
 *	answer. Only from devices with IOASID_DEVICE_UNRECOVERABLE
 * @IOASID_FAULT_RESET: a device was reset; what waited is dropped, since it does
 *	not wait any more. Only from devices with IOASID_DEVICE_RESETS
 */
enum ioasid_fault_type {
	IOASID_FAULT_REQUEST = 1,
	IOASID_FAULT_LOST = 2,
	IOASID_FAULT_DETACHED = 3,
	IOASID_FAULT_TIMEOUT = 4,
	IOASID_FAULT_UNRECOVERABLE = 5,
	IOASID_FAULT_RESET = 6,
};

/**
 * enum ioasid_fault_reason - why DMA was blocked
 * @IOASID_FAULT_UNKNOWN: the IOMMU does not say, and it would be allowed now
 * @IOASID_FAULT_NOT_MAPPED: nothing is mapped there
 * @IOASID_FAULT_PERMISSION: what is mapped there forbids it
 *
 * By what the space has when the record is made, a moment later: IOMMU drivers
 * report no reason.
 */
enum ioasid_fault_reason {
	IOASID_FAULT_UNKNOWN = 0,
	IOASID_FAULT_NOT_MAPPED = 1,
	IOASID_FAULT_PERMISSION = 2,
};

/* struct ioasid_fault_record.flags */
#define IOASID_FAULT_READ	(1U << 0)	/* the device wants to read */
#define IOASID_FAULT_WRITE	(1U << 1)	/* the device wants to write */
#define IOASID_FAULT_EXEC	(1U << 2)	/* the device wants to execute */
#define IOASID_FAULT_PRIV	(1U << 3)	/* as supervisor */
#define IOASID_FAULT_LAST	(1U << 4)	/* last record of its group */

/**
 * struct ioasid_fault_record - one record
 * @type: enum ioasid_fault_type
 * @flags: IOASID_FAULT_READ...
 * @cookie: REQUEST: names the group in the answer; TIMEOUT: the group
 * @addr: REQUEST, UNRECOVERABLE: address in the space
 * @device_cookie: the user's number of the device
 * @dev_id: the device
 * @pasid: the PASID as the user knows it, or IOASID_RID; UNRECOVERABLE:
 *	IOASID_PASID_ANY if the device uses the space by several, since IOMMU
 *	drivers do not say by which
 * @ioasid: the space
 * @group: REQUEST: the device's number of the group
 * @nr: REQUEST: records of the group; LOST, DETACHED, RESET: groups;
 *	UNRECOVERABLE: faults, this one and those just before it that came too
 *	fast
 * @reason: UNRECOVERABLE: enum ioasid_fault_reason
 * @lost_events: LOST: records of other types than REQUEST that were not made
 * @__reserved: 0
 */
struct ioasid_fault_record {
	__u32 type;
	__u32 flags;
	__aligned_u64 cookie;
	__aligned_u64 addr;
	__aligned_u64 device_cookie;
	__u32 dev_id;
	__u32 pasid;
	__u32 ioasid;
	__u32 group;
	__u32 nr;
	__u32 reason;
	__u32 lost_events;
	__u32 __reserved;
};

/**
 * enum ioasid_fault_code - the answer
 * @IOASID_FAULT_SUCCESS: the pages are mapped: the device tries again
 * @IOASID_FAULT_INVALID: they are not: the device fails that one access
 * @IOASID_FAULT_FAILURE: the device shall not ask any more
 */
enum ioasid_fault_code {
	IOASID_FAULT_SUCCESS = 0,
	IOASID_FAULT_INVALID = 1,
	IOASID_FAULT_FAILURE = 2,
};

/**
 * struct ioasid_fault_response - an answer to a group
 * @cookie: from its records
 * @code: enum ioasid_fault_code
 * @__reserved: 0
 */
struct ioasid_fault_response {
	__aligned_u64 cookie;
	__u32 code;
	__u32 __reserved;
};

/**
 * struct ioasid_fault_doorbell - IOASID_FAULT_DOORBELL: there are responses
 * @size: sizeof(struct ioasid_fault_doorbell)
 * @done: out: responses that were passed on
 * @failed: out: responses that were not
 * @first_error: out: errno of the first of these: ENOENT for a cookie that does
 *	not wait (any more), EINVAL for a code
 * @first_cookie: out: its cookie
 */
struct ioasid_fault_doorbell {
	__u32 size;
	__u32 done;
	__u32 failed;
	__u32 first_error;
	__aligned_u64 first_cookie;
};

#endif /* _UAPI_LINUX_IOASID_H */
