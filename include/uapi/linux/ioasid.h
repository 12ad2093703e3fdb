/* SPDX-License-Identifier: GPL-2.0 WITH Linux-syscall-note */
/*
 * The user interface of /dev/ioasid: I/O address spaces, what is mapped in
 * them, and which devices use them. Every command is an ioctl on an open
 * /dev/ioasid (a "context"), except those of a VFIO container and of a fault
 * queue. Nothing here may change size or meaning once released: a struct grows
 * at its end, and a new meaning gets a new flag.
 *
 * Rules for every command:
 *
 *  - @size is the size of the struct that the caller was compiled with. A larger
 *    struct than the kernel's is accepted if the rest is zero, otherwise the
 *    command fails with E2BIG. A smaller one than the first version of the
 *    struct fails with EINVAL.
 *  - Unknown bits in @flags and non-zero reserved fields fail with EOPNOTSUPP.
 *  - An unknown command fails with ENOTTY.
 *  - The elements of an array of structs grow by the same rules: a field
 *    @range_size is the size of one element that the caller was compiled with.
 *    The kernel accepts larger elements if the rest of each is zero, otherwise
 *    the command fails with E2BIG and the index, and it clears the rest of what
 *    it writes.
 *  - @extack is 0 or the address of a struct ioasid_extack, which is filled in
 *    if and only if the command fails. It is checked before anything else is
 *    done: EFAULT if it cannot be accessed, EINVAL if its @size has no room for
 *    a code. Three errors are too early for a reason: ENOTTY, a struct whose
 *    first 16 bytes cannot be read, and @size below 16.
 *  - A command either succeeds completely or changes nothing. If its answer
 *    cannot be written, because user memory has become unwritable meanwhile, it
 *    is undone: EFAULT. What cannot be undone stays done all the same:
 *    IOASID_UNMAP, IOASID_DEVICE_ATTACH with IOASID_ATTACH_REPLACE or
 *    IOASID_ATTACH_BIND_ONLY, IOASID_INVALIDATE, VFIO_DEVICE_ATTACH,
 *    IOASID_FAULT_DOORBELL.
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
/* 0x0d and 0x0e are for dirty tracking */
#define IOASID_PASID_ALLOC	_IO(IOASID_TYPE, 0x0f)
#define IOASID_PASID_FREE	_IO(IOASID_TYPE, 0x10)
#define IOASID_FAULT_QUEUE	_IO(IOASID_TYPE, 0x11)
#define IOASID_FAULT_BIND	_IO(IOASID_TYPE, 0x12)
#define IOASID_INVALIDATE	_IO(IOASID_TYPE, 0x13)

/* On a VFIO container whose type is VFIO_IOASID_IOMMU */
#define VFIO_DEVICE_ATTACH	_IO(IOASID_TYPE, 0x40)
#define VFIO_DEVICE_DETACH	_IO(IOASID_TYPE, 0x41)

/* On a fault queue */
#define IOASID_FAULT_DOORBELL	_IO(IOASID_TYPE, 0x60)

/* Argument of VFIO_SET_IOMMU and VFIO_CHECK_EXTENSION */
#define VFIO_IOASID_IOMMU	0x10a51d

/* The DMA of a device that carries no PASID */
#define IOASID_RID		0

/* The kernel chooses a PASID, and frees it with the last detach */
#define IOASID_PASID_ANY	0xffffffffU
#define IOASID_MAX_PASID	0xfffffU

/**
 * enum ioasid_reason - why a command failed, for programs
 * @IOASID_REASON_NONE: nothing has failed
 * @IOASID_REASON_OTHER: there is no more information than the errno
 * @IOASID_REASON_SIZE: @size is too small, or too large and the rest is not zero
 * @IOASID_REASON_FLAGS: an unknown flag, or a reserved field that is not zero
 * @IOASID_REASON_POINTER: user memory could not be read or written
 * @IOASID_REASON_NO_SPACE_ID: no such space in this context
 * @IOASID_REASON_NO_DEVICE_ID: no such device in this context
 * @IOASID_REASON_KIND: spaces of this kind do not support it
 * @IOASID_REASON_VALUE: an argument is invalid or out of range
 * @IOASID_REASON_ALIGNMENT: an address or length is not page aligned
 * @IOASID_REASON_OVERFLOW: an address plus a length wraps or is too large
 * @IOASID_REASON_OVERLAP: the range overlaps a mapping or another range
 * @IOASID_REASON_UNUSABLE: the IOVA range is not usable (see IOASID_SPACE_INFO)
 * @IOASID_REASON_NO_ROOM: no free IOVA range is large enough
 * @IOASID_REASON_NOT_MAPPED: nothing is mapped there
 * @IOASID_REASON_SPLIT: the range would split a mapping
 * @IOASID_REASON_MEMLOCK: RLIMIT_MEMLOCK would be exceeded
 * @IOASID_REASON_PIN: the memory cannot be pinned
 * @IOASID_REASON_PERMISSION: the memory or file does not allow that access
 * @IOASID_REASON_NO_MEMORY: the kernel is out of memory
 * @IOASID_REASON_KILLED: the caller was killed
 * @IOASID_REASON_IN_USE: still in use
 * @IOASID_REASON_RACE: the object is in use at this moment: try again
 * @IOASID_REASON_LIMIT: a limit would be exceeded
 * @IOASID_REASON_SIBLING: another device of the group uses another space
 * @IOASID_REASON_ATTACHED: already attached
 * @IOASID_REASON_NOT_ATTACHED: not attached
 * @IOASID_REASON_MSI: the platform does not isolate this group's interrupts
 * @IOASID_REASON_COHERENCY: the device's DMA is not cache coherent
 * @IOASID_REASON_RESERVED: a range to be reserved is mapped
 * @IOASID_REASON_APERTURE: a mapping is outside of what the IOMMU can address
 * @IOASID_REASON_IOMMU: an error of the IOMMU driver, or there is no IOMMU
 * @IOASID_REASON_RESET: the device is being reset: try again
 * @IOASID_REASON_NO_PASID: the device or its IOMMU does not support PASIDs, or
 *	not this one
 * @IOASID_REASON_OWNER: the device, PASID or memory has another owner, or the DMA
 *	of a group has none
 * @IOASID_REASON_FD: a file descriptor is not open, or of the wrong type
 * @IOASID_REASON_PRIVILEGE: a capability is missing, or a parameter forbids it
 * @IOASID_REASON_NO_PASID_ID: no such PASID in this context
 * @IOASID_REASON_NO_SVA: the device or its IOMMU does not support SVA
 * @IOASID_REASON_NO_QUEUE_ID: no such fault queue in this context
 * @IOASID_REASON_NO_PRI: the kernel, the device or its IOMMU does not support
 *	page requests
 * @IOASID_REASON_DEVICE_MEMORY: the memory is that of a device, such as a BAR,
 *	which cannot be mapped
 * @IOASID_REASON_FORMAT: the kernel does not know the format of the data, or the
 *	IOMMU of the device cannot use it
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
	/* 37 is for dirty tracking */
	IOASID_REASON_PRIVILEGE = 38,
	IOASID_REASON_NO_PASID_ID = 39,
	IOASID_REASON_NO_SVA = 40,
	IOASID_REASON_NO_QUEUE_ID = 41,
	IOASID_REASON_NO_PRI = 42,
	IOASID_REASON_DEVICE_MEMORY = 43,
	IOASID_REASON_FORMAT = 44,
};

#define IOASID_EXTACK_MSG	160
#define IOASID_NO_INDEX		0xffffffffU

/**
 * struct ioasid_extack - the reason of an error
 * @size: in: sizeof(struct ioasid_extack)
 * @code: out: enum ioasid_reason
 * @ioasid: out: the space concerned, or 0
 * @dev_id: out: the device concerned, or 0
 * @index: out: index of the array element that failed, or IOASID_NO_INDEX
 * @pasid: out: the PASID concerned, or 0
 * @value: out: the address, length or limit concerned; depends on @code
 * @msg: out: one sentence for people, NUL-terminated
 *
 * Filled in if a command fails, and unchanged if it succeeds.
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
/* 1ULL << 3 is for dirty tracking */
#define IOASID_CAP_PASID	(1ULL << 4)	/* PASIDs can be allocated and attached */
#define IOASID_CAP_MM		(1ULL << 5)	/* spaces can be the address space of a process */
#define IOASID_CAP_FAULT	(1ULL << 6)	/* page requests can be answered */
#define IOASID_CAP_POLICY	(1ULL << 7)	/* a space has a policy for page requests */
#define IOASID_CAP_UNRECOVERABLE (1ULL << 8)	/* some devices report unrecoverable faults */
#define IOASID_CAP_DEVICE_FD	(1ULL << 9)	/* an fd can name a device */
#define IOASID_CAP_NESTED	(1ULL << 10)	/* nested spaces, where the IOMMU can */
#define IOASID_CAP_SHADOW	(1ULL << 11)	/* nesting in software, on any IOMMU */

enum ioasid_account_mode {
	IOASID_ACCOUNT_USER = 0,
	IOASID_ACCOUNT_MM = 1,
};

/**
 * struct ioasid_info - IOASID_GET_INFO: what the kernel supports and the context uses
 * @size: sizeof(struct ioasid_info)
 * @flags: 0
 * @extack: 0, or the address of a struct ioasid_extack
 * @caps: out: IOASID_CAP_*
 * @max_vector: out: maximum number of ranges of one MAP or UNMAP
 * @account_mode: out: enum ioasid_account_mode
 * @page_size: out: in bytes; every address and length is a multiple of it
 * @nr_spaces: out: number of spaces of this context
 * @nr_devices: out: number of devices bound to this context
 * @nr_pasids: out: number of PASIDs that this context is charged for, also those
 *	of processes, as long as they exist
 * @nr_mappings: out: number of mappings in all spaces
 * @pinned: out: bytes pinned; memory in several spaces counts once
 * @mapped: out: bytes mapped; memory in several spaces counts in each of them
 * @max_mappings: out: maximum number of mappings of this context, by its own limit
 *	or by what other contexts leave of that of the user who opened it (module
 *	parameters mappings_per_context and mappings_per_user)
 * @nr_reserved: out: number of ranges reserved by IOASID_RESERVE in all spaces
 * @max_reserved: out: their maximum (reserved_per_context, reserved_per_user)
 * @max_spaces: out: maximum of @nr_spaces (spaces_per_context, spaces_per_user)
 * @max_reserve: out: maximum number of ranges of one RESERVE
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
#define IOASID_DEVICE_ENFORCE_COHERENT	(1U << 1) /* the IOMMU can override no-snoop */
#define IOASID_DEVICE_ISOLATED_MSI	(1U << 2) /* interrupts are remapped */
/* 1U << 3 is for dirty tracking */
#define IOASID_DEVICE_PASID		(1U << 4) /* PASID enabled in the device */
#define IOASID_DEVICE_PRI		(1U << 5) /* page requests enabled */
#define IOASID_DEVICE_ATS		(1U << 6) /* address translation service enabled */
#define IOASID_DEVICE_ATTACHED		(1U << 7) /* its RID is attached to a space */
#define IOASID_DEVICE_SINGLETON		(1U << 8) /* alone in its group */
#define IOASID_DEVICE_UNRECOVERABLE	(1U << 9) /* faults of its RID are reported */
#define IOASID_DEVICE_UNRECOVERABLE_PASID	(1U << 10) /* and of its PASIDs */
#define IOASID_DEVICE_RESETS		(1U << 11) /* resets are reported */

/**
 * struct ioasid_device_info - IOASID_DEVICE_INFO: describe a device
 * @size: sizeof(struct ioasid_device_info)
 * @flags: 0
 * @extack: 0, or the address of a struct ioasid_extack
 * @dev_id: in: the device
 * @caps: out: IOASID_DEVICE_*
 * @cookie: out: the user's number for the device, from the command that bound it
 * @group_id: out: number of the IOMMU group
 * @pasid_bits: out: width of a PASID in bits; 0 without IOASID_DEVICE_PASID
 * @ioasid: out: the space that its RID is attached to, or 0
 * @nr_ranges: in: room at @ranges; out: number of ranges
 * @ranges: 0, or the address of an array of struct ioasid_iova_range: the
 *	IOVA that a space can use with this device. Some kernels (VT-d on 6.12)
 *	report more while the device is not attached
 * @hw_info_type: out: enum iommu_hw_info_type of linux/iommufd.h
 * @hw_info_len: in: room at @hw_info in bytes; out: length in bytes
 * @hw_info: 0, or where to write the IOMMU driver's description of its hardware
 * @name: out: name of the device, NUL-terminated
 * @owner: out: name of the framework that owns it, NUL-terminated
 * @nr_pasids: out: number of PASIDs that it is attached with
 * @range_size: with @ranges: sizeof(struct ioasid_iova_range)
 * @nest_formats: out: the formats of page tables that its IOMMU walks in nested
 *	spaces: 1 << enum iommu_hwpt_data_type of linux/iommufd.h
 *
 * EMSGSIZE if @ranges or @hw_info is given and too small; the counts are written
 * even then.
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
	__aligned_u64 nest_formats;
};

/**
 * enum ioasid_kind - kind of a space
 * @IOASID_KIND_MAPPED: the user maps and unmaps memory, and the kernel keeps the
 *	page table
 * @IOASID_KIND_MM: the address space of the process that allocates the space,
 *	for devices with PASIDs. Nothing is pinned. Only that process can attach
 *	devices. After it calls exec or exits, their DMA fails. Page requests wait
 *	until the memory has come, also for handlers of userfaultfd
 * @IOASID_KIND_NESTED: the user, such as a guest, writes the page table in memory
 *	that another space, its parent, maps. The IOMMU walks both: what the table
 *	says are IOVA of the parent. The user says by IOASID_INVALIDATE what he has
 *	changed. Page requests are about IOVA of the nested space
 * @IOASID_KIND_SHADOW: nesting in software, for any IOMMU: the user maps and unmaps
 *	IOVA of another space, the parent, instead of memory. A device reaches what
 *	both map at this moment, and with the permissions of both, whatever is
 *	mapped first. Nothing is pinned or charged once more
 */
enum ioasid_kind {
	IOASID_KIND_MAPPED = 1,
	IOASID_KIND_MM = 2,
	IOASID_KIND_NESTED = 3,
	IOASID_KIND_SHADOW = 4,
};

/* struct ioasid_alloc.flags */
#define IOASID_ALLOC_FAULTS	(1U << 0)	/* devices may send page requests */
#define IOASID_ALLOC_NEST_PARENT	(1U << 1)	/* can be the parent of nested spaces */

/**
 * struct ioasid_alloc - IOASID_ALLOC: allocate a space
 * @size: sizeof(struct ioasid_alloc)
 * @flags: IOASID_ALLOC_FAULTS, not for IOASID_KIND_MM: only devices that support
 *	page requests can be attached. While no fault queue is bound, their
 *	requests are answered IOASID_FAULT_INVALID, unless the policy is
 *	IOASID_FAULT_KERNEL. IOASID_ALLOC_NEST_PARENT, for IOASID_KIND_MAPPED: only
 *	devices whose IOMMU can nest can be attached, and all is mapped for writing
 * @extack: 0, or the address of a struct ioasid_extack
 * @kind: enum ioasid_kind
 * @parent: for IOASID_KIND_NESTED: a space with IOASID_ALLOC_NEST_PARENT; for
 *	IOASID_KIND_SHADOW: a space of kind IOASID_KIND_MAPPED; otherwise 0
 * @ioasid: out: id of the space
 * @data_type: for IOASID_KIND_NESTED: the format of the page table, enum
 *	iommu_hwpt_data_type of linux/iommufd.h; otherwise 0
 * @data_len: size of the struct at @data in bytes, or 0
 * @__reserved: 0
 * @data: for IOASID_KIND_NESTED: address of the struct of that format, such as
 *	struct iommu_hwpt_vtd_s1; it is copied. Otherwise 0
 * @label: a name for debugfs and tracepoints, NUL-terminated, of printable ASCII
 *	characters
 *
 * EDQUOT above max_spaces of IOASID_GET_INFO, EPERM for IOASID_KIND_MM if the
 * module parameter mm_spaces is off. With a parent ENOENT if there is no such space,
 * EINVAL if it can be no parent. For IOASID_KIND_NESTED EINVAL if the struct has an
 * invalid value, EOPNOTSUPP for an unknown format or flag, E2BIG for a struct with a
 * tail that is not zero, EFAULT. Whether the IOMMU of a device can use it is known when the
 * device is attached (see nest_formats of IOASID_DEVICE_INFO).
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
 * struct ioasid_free - IOASID_FREE: free a space
 * @size: sizeof(struct ioasid_free)
 * @flags: 0
 * @extack: 0, or the address of a struct ioasid_extack
 * @ioasid: the space; its mappings are unmapped, and their memory is unpinned
 *	unless it is mapped in another space as well
 * @__reserved: 0
 *
 * EBUSY if a device is attached, or it is the parent of another space.
 */
struct ioasid_free {
	__u32 size;
	__u32 flags;
	__aligned_u64 extack;
	__u32 ioasid;
	__u32 __reserved;
};

/**
 * struct ioasid_space_info - IOASID_SPACE_INFO: describe a space
 * @size: sizeof(struct ioasid_space_info)
 * @flags: 0
 * @extack: 0, or the address of a struct ioasid_extack
 * @ioasid: in: the space
 * @kind: out: enum ioasid_kind
 * @parent: out: the parent of a nested or shadow space, otherwise 0
 * @nr_domains: out: number of IOMMU domains behind it
 * @nr_attachments: out: number of devices attached; a device counts once for its
 *	RID and once for each PASID
 * @nr_reserved: out: number of ranges reserved by IOASID_RESERVE
 * @nr_ranges: in: room at @ranges; out: number of usable ranges
 * @range_size: with @ranges: sizeof(struct ioasid_iova_range)
 * @ranges: 0, or the address of an array of struct ioasid_iova_range
 * @page_sizes: out: bitmap of the page sizes that all its domains support
 * @nr_mappings: out: number of mappings
 * @mapped: out: bytes mapped
 * @pinned: out: bytes of memory that was first mapped here
 * @label: out: the label from IOASID_ALLOC
 *
 * EMSGSIZE if @ranges is given and too small; @nr_ranges is written even then.
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
#define IOASID_MAP_FIXED	(1U << 2)	/* at @iova; else the kernel chooses */
#define IOASID_MAP_FILE		(1U << 3)	/* @addr is an offset in the file @fd */
#define IOASID_MAP_PARENT	(1U << 4)	/* @addr is an IOVA of the parent */

/**
 * struct ioasid_map_range - a range to map
 * @iova: in with IOASID_MAP_FIXED, otherwise out: first IOVA
 * @addr: address in the caller's memory, offset in @fd, or IOVA of the parent
 * @length: in bytes
 * @flags: IOASID_MAP_*; READ or WRITE or both. In a space of kind
 *	IOASID_KIND_SHADOW IOASID_MAP_PARENT is set, and READ; nothing need be
 *	mapped in the parent
 * @fd: with IOASID_MAP_FILE a memfd, or a file on tmpfs or hugetlbfs; otherwise
 *	0
 */
struct ioasid_map_range {
	__aligned_u64 iova;
	__aligned_u64 addr;
	__aligned_u64 length;
	__u32 flags;
	__s32 fd;
};

/**
 * struct ioasid_map - IOASID_MAP: map memory for devices
 * @size: sizeof(struct ioasid_map)
 * @flags: 0
 * @extack: 0, or the address of a struct ioasid_extack
 * @ioasid: the space
 * @nr: number of ranges, 1 to IOASID_MAX_VECTOR
 * @ranges: address of an array of struct ioasid_map_range
 * @range_size: sizeof(struct ioasid_map_range)
 * @__reserved: 0
 *
 * All or nothing: on failure none of the ranges is mapped, and extack.index is
 * that of the range that failed. The memory is charged to RLIMIT_MEMLOCK, and
 * stays pinned until it is unmapped. EDQUOT above max_mappings of
 * IOASID_GET_INFO, or if mappings of shadow spaces would meet those of their
 * parents too often (module parameters slices_per_context and slices_per_user).
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
 * struct ioasid_unmap_range - a range to unmap
 * @iova: first IOVA
 * @length: in bytes
 *
 * ENOENT if the range has no mapping, unless IOASID_UNMAP_EMPTY_OK is set;
 * EINVAL if it would split a mapping.
 */
struct ioasid_unmap_range {
	__aligned_u64 iova;
	__aligned_u64 length;
};

/* struct ioasid_unmap.flags */
#define IOASID_UNMAP_ALL	(1U << 0)	/* unmap all; @nr and @ranges are 0 */
#define IOASID_UNMAP_EMPTY_OK	(1U << 1)	/* a range may have no mapping */

/**
 * struct ioasid_unmap - IOASID_UNMAP: unmap memory
 * @size: sizeof(struct ioasid_unmap)
 * @flags: IOASID_UNMAP_*
 * @extack: 0, or the address of a struct ioasid_extack
 * @ioasid: the space
 * @nr: number of ranges, 1 to IOASID_MAX_VECTOR; 0 with IOASID_UNMAP_ALL
 * @ranges: address of an array of struct ioasid_unmap_range; they must not
 *	overlap
 * @range_size: sizeof(struct ioasid_unmap_range); ignored with
 *	IOASID_UNMAP_ALL
 * @__reserved: 0
 * @unmapped: out: bytes unmapped
 *
 * When it returns, no device can reach the memory through this space any more,
 * and memory without another mapping is unpinned. All or nothing; extack.index is
 * that of the range that failed. EBUSY if another thread is mapping or unmapping
 * in a range; IOASID_UNMAP_ALL skips such mappings instead, and leaves the rest if
 * the caller is killed. EFAULT, with all of it unmapped, if @unmapped has become
 * unwritable meanwhile.
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
 * struct ioasid_copy - IOASID_COPY: map the memory of a mapping once more
 * @size: sizeof(struct ioasid_copy)
 * @flags: IOASID_MAP_READ, _WRITE, _FIXED
 * @extack: 0, or the address of a struct ioasid_extack
 * @src_ioasid: the space where it is mapped
 * @dst_ioasid: the space to map it in; can be the same
 * @src_iova: first IOVA in the source; the whole range must be mapped
 * @dst_iova: in with IOASID_MAP_FIXED, otherwise out: first IOVA in the
 *	destination
 * @length: in bytes
 *
 * The memory is pinned and charged once, until its last mapping is unmapped.
 * EPERM for WRITE if the source is not mapped for writing. Makes as many mappings
 * as the source has in the range: EDQUOT above max_mappings of IOASID_GET_INFO, or
 * if the same memory would be mapped more than 2^28 times.
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
 * struct ioasid_reserve - IOASID_RESERVE: exclude IOVA ranges from mapping
 * @size: sizeof(struct ioasid_reserve)
 * @flags: 0
 * @extack: 0, or the address of a struct ioasid_extack
 * @ioasid: the space
 * @nr: number of ranges, 0 to IOASID_MAX_RESERVE
 * @ranges: address of an array of struct ioasid_iova_range, in ascending order
 *	and not overlapping, where nothing can be mapped from now on
 * @range_size: with @nr: sizeof(struct ioasid_iova_range)
 * @__reserved: 0
 *
 * Replaces the ranges of an earlier call. EADDRINUSE if something is mapped in
 * one of the ranges, EDQUOT above max_reserved of IOASID_GET_INFO.
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
 * struct ioasid_translate - IOASID_TRANSLATE: look up the mapping at an IOVA
 * @size: sizeof(struct ioasid_translate)
 * @flags: IOASID_TRANSLATE_*
 * @extack: 0, or the address of a struct ioasid_extack
 * @ioasid: the space
 * @map_flags: out: IOASID_MAP_* of the mapping
 * @iova: in: the IOVA
 * @map_iova: out: first IOVA of the mapping
 * @map_length: out: length of the mapping in bytes
 * @addr: out: address of @iova in the memory of the process that mapped it, or
 *	its offset in the file
 * @phys: out: physical address according to the page table of the IOMMU; 0
 *	without a domain
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
 * struct ioasid_option - IOASID_OPTION: read or set an option of a context
 * @size: sizeof(struct ioasid_option)
 * @flags: IOASID_OPTION_SET, or 0 to read
 * @extack: 0, or the address of a struct ioasid_extack
 * @option: enum ioasid_option_id
 * @__reserved: 0
 * @value: in to set, otherwise out; for IOASID_OPTION_ACCOUNT_MODE an enum
 *	ioasid_account_mode: whether pinned memory counts as locked memory of the
 *	user, as with io_uring, or of the process, as with VFIO type1. EBUSY while
 *	memory is pinned.
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
#define IOASID_ATTACH_REPLACE	(1U << 0)	/* replace the present space */
#define IOASID_ATTACH_FD	(1U << 1)	/* @device_fd names the device */
#define IOASID_ATTACH_BIND_ONLY	(1U << 8)	/* only bind the device */

/**
 * struct ioasid_device_attach - IOASID_DEVICE_ATTACH: attach a device to a space
 * @size: sizeof(struct ioasid_device_attach)
 * @flags: IOASID_ATTACH_REPLACE; IOASID_ATTACH_FD; with that and without a
 *	space and a PASID, IOASID_ATTACH_BIND_ONLY
 * @extack: 0, or the address of a struct ioasid_extack
 * @dev_id: a device that is bound to this context; out with IOASID_ATTACH_FD
 * @ioasid: the space
 * @pasid: IOASID_RID, a PASID that this context has allocated, or
 *	IOASID_PASID_ANY; out: the PASID
 * @vpasid: 0, or the user's own number for the PASID of this device, which
 *	DEVICE_DETACH and the records of fault queues use instead
 * @nr_devices: 0, or the number of @devices, at most IOASID_MAX_DEVICES
 * @device_fd: with IOASID_ATTACH_FD, an open device of VFIO that the caller may
 *	use (a device node must be bound to an iommufd), otherwise 0
 * @devices: with @nr_devices, the address of an array of __u32: the devices,
 *	instead of @dev_id, which must be 0
 * @cookie: any number, for the records of this attachment. 0: that of the device,
 *	or with IOASID_ATTACH_REPLACE that of what is replaced. The command that
 *	binds a device gives it its number
 *
 * Several devices, even behind different IOMMUs, are attached with the same
 * PASID, all or none; the extack names the device that failed. They cannot be
 * replaced together.
 *
 * IOASID_ATTACH_FD binds the device to this context, which keeps its file open,
 * even if the fd is closed, until the device is detached from all spaces. Closing
 * the context detaches it. With IOASID_ATTACH_BIND_ONLY the device stays bound
 * until DEVICE_DETACH with IOASID_DETACH_UNBIND. For a device that its container
 * has bound (VFIO_DEVICE_ATTACH), no file is kept open, and @device_fd is the
 * same as @dev_id. A device is bound to one context at a time.
 *
 * A device can be attached with its RID and with many PASIDs at once. A space of
 * kind IOASID_KIND_MM needs IOASID_PASID_ANY, and uses the PASID of the process.
 * With a mapped space IOASID_PASID_ANY allocates a PASID, which is freed with the
 * last detach.
 *
 * Not every IOMMU replaces without a gap: DMA in flight may be blocked for a
 * moment. @vpasid names the attachment to be replaced, or @pasid if that is 0.
 * EFAULT, with the space replaced or the device bound, if the struct has become
 * unwritable meanwhile; any other attach is undone then.
 *
 * ENOENT if there is no such device or space; EBUSY if it is attached, is being
 * reset, or a sibling (a device of the same group) uses another space with the
 * same PASID; EPERM for a PASID of another context, the memory of another process,
 * or the RID of a group whose DMA nobody owns; EINVAL if @pasid, @vpasid and the
 * kind of space do not match; EOPNOTSUPP for a PASID if the device or its IOMMU
 * does not support PASIDs, or the kernel cannot replace; ERANGE for a PASID that
 * is too large, or a mapping that the IOMMU cannot address; EADDRINUSE for a
 * mapping in a range that the device reserves; EDQUOT or ENOSPC if no PASID is
 * left; ENODEV if page requests or SVA are needed and not supported; E2BIG for too
 * many devices; EFAULT for an array that cannot be read; ENOMEM; EINTR if killed;
 * or an error of the IOMMU driver.
 *
 * With IOASID_ATTACH_FD also EBADF if @device_fd is not open; EINVAL if it is not
 * a device, or a flag does not match; EPERM for a device node that is not bound
 * to an iommufd, or if the interrupts are not isolated; ENODEV without an IOMMU;
 * EBUSY if the owner (VFIO type1, iommufd) uses the RID or the PASID itself, or
 * the device is bound to another context.
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
#define IOASID_DETACH_UNBIND	(1U << 8)	/* detach it from all spaces, and unbind it */

/**
 * struct ioasid_device_detach - IOASID_DEVICE_DETACH: detach a device
 * @size: sizeof(struct ioasid_device_detach)
 * @flags: IOASID_DETACH_FD, IOASID_DETACH_UNBIND
 * @extack: 0, or the address of a struct ioasid_extack
 * @dev_id: the device; 0 with IOASID_DETACH_FD
 * @pasid: IOASID_RID, or the user's number for the PASID; 0 with
 *	IOASID_DETACH_UNBIND
 * @device_fd: with IOASID_DETACH_FD, an open file of the device, otherwise 0
 * @__reserved: 0
 *
 * The devices of a group share their page table, so the DMA of the device is
 * blocked once the last device of the group is detached. A device that was bound
 * by IOASID_ATTACH_FD without IOASID_ATTACH_BIND_ONLY is unbound with its last
 * detach. IOASID_DETACH_UNBIND fails with EBUSY for a device that its container
 * has bound: it stays bound until it is closed.
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
 * struct ioasid_pasid_alloc - IOASID_PASID_ALLOC: allocate PASIDs
 * @size: sizeof(struct ioasid_pasid_alloc)
 * @flags: 0
 * @extack: 0, or the address of a struct ioasid_extack
 * @dev_id: a device that is to use them, which limits their width. Other devices
 *	of at least that width can use them, too
 * @nr: number of PASIDs, 1 to IOASID_MAX_VECTOR
 * @pasids: address of an array of @nr __u32; out: the PASIDs
 *
 * All or none. The kernel chooses the numbers; the vpasid of an attachment is for
 * those that a guest or a program wants. EINVAL if @nr is 0, E2BIG if @nr is too
 * large, EDQUOT above the limit of the context or of the user who opened it (module
 * parameters pasids_per_context and pasids_per_user), ENOSPC if none is left,
 * EOPNOTSUPP for a device without PASIDs.
 */
struct ioasid_pasid_alloc {
	__u32 size;
	__u32 flags;
	__aligned_u64 extack;
	__u32 dev_id;
	__u32 nr;
	__aligned_u64 pasids;
};

/**
 * struct ioasid_pasid_free - IOASID_PASID_FREE: free PASIDs
 * @size: sizeof(struct ioasid_pasid_free)
 * @flags: 0
 * @extack: 0, or the address of a struct ioasid_extack
 * @nr: number of PASIDs, 1 to IOASID_MAX_VECTOR
 * @__reserved: 0
 * @pasids: address of an array of @nr __u32
 *
 * All or none. ENOENT if one was not allocated by this context, EBUSY if one is
 * attached, EINVAL if @nr is 0, E2BIG if it is too large.
 */
struct ioasid_pasid_free {
	__u32 size;
	__u32 flags;
	__aligned_u64 extack;
	__u32 nr;
	__u32 __reserved;
	__aligned_u64 pasids;
};

/* struct ioasid_invalidate.flags */
#define IOASID_INVALIDATE_GENERIC	(1U << 0)	/* struct ioasid_invalidate_entry */

/**
 * struct ioasid_invalidate - IOASID_INVALIDATE: forget translations of the user's table
 * @size: sizeof(struct ioasid_invalidate)
 * @flags: 0 or IOASID_INVALIDATE_GENERIC
 * @extack: 0, or the address of a struct ioasid_extack
 * @ioasid: a nested space
 * @data_type: the format of the entries, enum iommu_hwpt_invalidate_data_type of
 *	linux/iommufd.h; 0 with IOASID_INVALIDATE_GENERIC
 * @entry_size: size of an entry in bytes
 * @nr: number of entries, 1 to IOASID_MAX_VECTOR
 * @entries: address of the array: struct ioasid_invalidate_entry, or what the
 *	format has, such as struct iommu_hwpt_vtd_s1_invalidate
 * @done: out: number of entries that were executed, also if it fails
 * @__reserved: 0
 *
 * Call it after the table has changed: until it returns, IOMMUs and devices may
 * use what the table said before. Entries are executed in order, each for every
 * device that is attached, until one fails; @done is its index, and that in the
 * extack. An error that comes before the first one leaves @done 0.
 *
 * ENOENT if there is no such space; EINVAL if it is not nested, for an invalid
 * entry, or @nr or @entry_size out of range; E2BIG for too many or too large
 * entries; EOPNOTSUPP for an unknown format or flag; EFAULT for entries that cannot
 * be read; EINTR if killed; ENOMEM; or an error of the IOMMU driver.
 */
struct ioasid_invalidate {
	__u32 size;
	__u32 flags;
	__aligned_u64 extack;
	__u32 ioasid;
	__u32 data_type;
	__u32 entry_size;
	__u32 nr;
	__aligned_u64 entries;
	__u32 done;
	__u32 __reserved;
};

/**
 * enum ioasid_invalidate_type - what an entry is about
 * @IOASID_INVALIDATE_IOTLB: translations, in IOMMUs and in devices
 * @IOASID_INVALIDATE_DEVICE_IOTLB: translations in devices alone
 */
enum ioasid_invalidate_type {
	IOASID_INVALIDATE_IOTLB = 1,
	IOASID_INVALIDATE_DEVICE_IOTLB = 2,
	/* 3 is for PASID tables */
};

/**
 * struct ioasid_invalidate_entry - what to forget, whatever the format
 * @type: enum ioasid_invalidate_type
 * @flags: 0
 * @dev_id: a device, or 0 for all that are attached to the space
 * @pasid: the user's number for the PASID, IOASID_RID, or IOASID_PASID_ANY for all
 * @addr: first IOVA of the space
 * @length: in bytes; 0, with @addr 0, for all
 *
 * The kernel may forget more than that.
 */
struct ioasid_invalidate_entry {
	__u32 type;
	__u32 flags;
	__u32 dev_id;
	__u32 pasid;
	__aligned_u64 addr;
	__aligned_u64 length;
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
 * @cookie: as in struct ioasid_device_attach
 * @dev_id: out: id of the device in the context
 * @vpasid: as in struct ioasid_device_attach
 *
 * The device stays bound to the context until it is closed, and commands on
 * /dev/ioasid can name it by @dev_id. A device is bound to one context at a time.
 * Closing @ioasid_fd does not affect its DMA until the device is closed. EFAULT,
 * with the device attached, if the struct has become unwritable meanwhile.
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
 *	struct ioasid_fault_ring		the indices
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
 * Entries are written before the index that covers them (store-release), and
 * read after it (load-acquire). The kernel reads responses when
 * IOASID_FAULT_DOORBELL is called. read() and write() do the same without the
 * ring: whole records out, whole responses in. Should they ever grow, then only
 * in queues made with a larger struct ioasid_fault_queue that asks for it.
 */
#define IOASID_FAULT_MIN_DEPTH		16U
#define IOASID_FAULT_MAX_DEPTH		65536U
#define IOASID_FAULT_DEADLINE		10000U	/* ms */
#define IOASID_FAULT_MAX_DEADLINE	60000U	/* ms */
#define IOASID_FAULT_RECORDS		4096	/* offset of the records */

/**
 * struct ioasid_fault_queue - IOASID_FAULT_QUEUE: create a fault queue
 * @size: sizeof(struct ioasid_fault_queue)
 * @flags: 0
 * @extack: 0, or the address of a struct ioasid_extack
 * @depth: number of records, a power of two from IOASID_FAULT_MIN_DEPTH to
 *	IOASID_FAULT_MAX_DEPTH
 * @max_pending: maximum number of records of pending groups, at most @depth; 0:
 *	@depth
 * @max_per_device: the same of one device; 0: @max_pending
 * @max_per_pasid: the same of one PASID of a device, or of its RID; 0:
 *	@max_per_device
 * @deadline_ms: after this time in ms without a response a group is answered
 *	IOASID_FAULT_INVALID, and a record reports it; 0: IOASID_FAULT_DEADLINE
 * @eventfd: -1, or an eventfd that is signalled when there are new records
 * @fd: out: the file. Closing it answers all pending and later groups
 *	IOASID_FAULT_INVALID
 * @queue_id: out: id for IOASID_FAULT_BIND
 * @ring_bytes: out: size of the memory to be mapped, in bytes
 *
 * All memory is allocated at once, so that a page request never needs any. Groups
 * that do not fit or exceed a limit are answered IOASID_FAULT_INVALID, and counted
 * in a record of type IOASID_FAULT_LOST. EINVAL if a number is out of range or
 * @eventfd is not an eventfd, EBADF if it is not open, EDQUOT above the limit of
 * records of all queues of a context (module parameter
 * fault_records_per_context), EMFILE, ENFILE, ENOMEM.
 */
struct ioasid_fault_queue {
	__u32 size;
	__u32 flags;
	__aligned_u64 extack;
	__u32 depth;
	__u32 max_pending;
	__u32 max_per_device;
	__u32 max_per_pasid;
	__u32 deadline_ms;
	__s32 eventfd;
	__s32 fd;
	__u32 queue_id;
	__aligned_u64 ring_bytes;
};

/**
 * struct ioasid_fault_bind - IOASID_FAULT_BIND: bind a space or attachment to a queue
 * @size: sizeof(struct ioasid_fault_bind)
 * @flags: 0
 * @extack: 0, or the address of a struct ioasid_extack
 * @ioasid: a space, for all its attachments without a queue of their own; or 0
 * @dev_id: a device, for one of its attachments; or 0
 * @pasid: with @dev_id: IOASID_RID, or the user's number for the PASID
 * @queue_id: the queue, or 0 for none
 * @policy: with @ioasid: enum ioasid_fault_policy, for page requests of
 *	attachments without a queue of their own
 * @__reserved: 0
 *
 * Possible at any time. Groups that are pending in the old queue are answered
 * there. Devices of a group that share an attachment share its queue; replacing
 * the space unbinds it. A space without IOASID_ALLOC_FAULTS gets all records but
 * those of page requests. ENOENT if there is no such space, device, attachment or
 * queue; EINVAL if both or neither of space and device are given, for an unknown
 * policy, for a policy of an attachment or of a space without
 * IOASID_ALLOC_FAULTS, and for the address space of a process.
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
 * @IOASID_FAULT_FORWARD: the user, through the queue; without a queue the kernel
 *	answers IOASID_FAULT_INVALID at once
 * @IOASID_FAULT_REFUSE: the kernel answers IOASID_FAULT_INVALID at once
 * @IOASID_FAULT_KERNEL: the kernel answers at once: IOASID_FAULT_SUCCESS if all
 *	pages of the group are mapped with the permissions that it needs, or if
 *	the space is just being changed, so that the device retries; otherwise
 *	IOASID_FAULT_INVALID
 *
 * With the last two, page requests make no record; other events still go to the
 * queue. The address space of a process has no policy: the kernel always resolves
 * its page requests, as for the process itself.
 */
enum ioasid_fault_policy {
	IOASID_FAULT_FORWARD = 0,
	IOASID_FAULT_REFUSE = 1,
	IOASID_FAULT_KERNEL = 2,
};

/**
 * struct ioasid_fault_ring - head of the memory of a queue
 * @head: number of records written, by the kernel
 * @response_tail: number of responses read, by the kernel
 * @depth: number of entries for records, and for responses
 * @responses: offset of the responses in bytes
 * @__reserved_kernel: keeps what the user writes in another cache line
 * @tail: number of records read, by the user
 * @response_head: number of responses written, by the user
 * @__reserved_user: rest of that cache line
 */
struct ioasid_fault_ring {
	__u32 head;
	__u32 response_tail;
	__u32 depth;
	__u32 responses;
	__u32 __reserved_kernel[12];
	__u32 tail;
	__u32 response_head;
	__u32 __reserved_user[14];
};

/**
 * enum ioasid_fault_type - what a record reports
 * @IOASID_FAULT_REQUEST: a page request of a group, which needs a response
 * @IOASID_FAULT_LOST: groups were answered INVALID, or events were dropped, because
 *	the queue was full or a limit was reached
 * @IOASID_FAULT_DETACHED: a device was detached; its pending groups were answered
 * @IOASID_FAULT_TIMEOUT: a group was answered because the deadline had passed
 * @IOASID_FAULT_UNRECOVERABLE: the IOMMU has blocked DMA; takes no response. Only
 *	from devices with IOASID_DEVICE_UNRECOVERABLE
 * @IOASID_FAULT_RESET: a device was reset; its pending groups were dropped, since
 *	it no longer waits. Only from devices with IOASID_DEVICE_RESETS
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
 * @IOASID_FAULT_UNKNOWN: unknown, since the access would be allowed now
 * @IOASID_FAULT_NOT_MAPPED: nothing is mapped there
 * @IOASID_FAULT_PERMISSION: the mapping does not permit the access
 *
 * IOMMU drivers report no reason, so it is derived from the mappings of the space
 * when the record is made, a moment later.
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
 * struct ioasid_fault_record - a record of a fault queue
 * @type: enum ioasid_fault_type
 * @flags: IOASID_FAULT_READ...
 * @cookie: REQUEST: names the group in its response; TIMEOUT: the group
 * @addr: REQUEST, UNRECOVERABLE: IOVA in the space
 * @device_cookie: the user's number for the attachment
 * @dev_id: the device
 * @pasid: the user's number for the PASID, or IOASID_RID; UNRECOVERABLE:
 *	IOASID_PASID_ANY if the device is attached to the space with several, since
 *	IOMMU drivers do not report which one
 * @ioasid: the space
 * @group: REQUEST: the device's number for the group
 * @nr: REQUEST: number of records of the group; LOST, DETACHED, RESET: number of
 *	groups; UNRECOVERABLE: number of faults, including others for which there
 *	was no record, since they came too fast
 * @reason: UNRECOVERABLE: enum ioasid_fault_reason
 * @lost_events: LOST: number of events that were dropped
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
 * enum ioasid_fault_code - the response to a group
 * @IOASID_FAULT_SUCCESS: the pages are mapped: the device retries the access
 * @IOASID_FAULT_INVALID: the pages cannot be accessed: the device fails the access
 *
 * Neither turns page requests off: that would be for the whole function, also
 * for PASIDs of other programs, and for all of its virtual functions.
 */
enum ioasid_fault_code {
	IOASID_FAULT_SUCCESS = 0,
	IOASID_FAULT_INVALID = 1,
};

/**
 * struct ioasid_fault_response - the response to a group
 * @cookie: cookie of its records
 * @code: enum ioasid_fault_code
 * @__reserved: 0
 */
struct ioasid_fault_response {
	__aligned_u64 cookie;
	__u32 code;
	__u32 __reserved;
};

/**
 * struct ioasid_fault_doorbell - IOASID_FAULT_DOORBELL: handle responses in the ring
 * @size: sizeof(struct ioasid_fault_doorbell)
 * @flags: 0
 * @done: out: number of responses that were passed on to a device
 * @failed: out: number of other responses
 * @first_error: out: errno of the first one that failed: ENOENT for a cookie with
 *	no pending group, EINVAL for an invalid response
 * @__reserved: 0
 * @first_cookie: out: its cookie
 *
 * Fails, before any response is taken, with EFAULT for memory that cannot be read
 * and written, EINVAL for a @size that is too small or a @response_head more than
 * depth ahead, E2BIG for a tail that is not zero, EOPNOTSUPP for an unknown flag.
 */
struct ioasid_fault_doorbell {
	__u32 size;
	__u32 flags;
	__u32 done;
	__u32 failed;
	__u32 first_error;
	__u32 __reserved;
	__aligned_u64 first_cookie;
};

#endif /* _UAPI_LINUX_IOASID_H */
