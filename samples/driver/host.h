/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The interface of ioasid_host for programs and for a glue. Each device has a
 * node /dev/ioasid-host-NAME, accessible to root.
 *
 * The driver uses the RID of its device; programs share the device by PASIDs.
 * An open file has its own PASIDs, and must never make the device use any
 * other.
 */
#ifndef IOASID_HOST_H
#define IOASID_HOST_H

#include <linux/ioctl.h>
#include <linux/types.h>

#define IOASID_HOST_TYPE	'h'

/* SVA by the driver: the address space of the caller; out: its PASID */
#define IOASID_HOST_SVA		_IOR(IOASID_HOST_TYPE, 0x00, __u32)
#define IOASID_HOST_SVA_END	_IO(IOASID_HOST_TYPE, 0x01)
/* By the glue: attaches and detaches a space of /dev/ioasid */
#define IOASID_HOST_ATTACH	_IOWR(IOASID_HOST_TYPE, 0x02, struct ioasid_host_attach)
#define IOASID_HOST_DETACH	_IOW(IOASID_HOST_TYPE, 0x03, struct ioasid_host_attach)
/*
 * By the glue: maps memory of the caller in a space of this file, which is
 * allocated and attached by the first map, and freed when its number is detached
 * or attached to another space
 */
#define IOASID_HOST_MAP _IOWR(IOASID_HOST_TYPE, 0x05, struct ioasid_host_map)
#define IOASID_HOST_UNMAP _IOWR(IOASID_HOST_TYPE, 0x06, struct ioasid_host_map)
/* Starts DMA; only for devices of ioasid_sim */
#define IOASID_HOST_DMA		_IOW(IOASID_HOST_TYPE, 0x04, struct ioasid_host_dma)

/**
 * struct ioasid_host_attach - attach, replace, detach
 * @extack: 0, or the address of a struct ioasid_extack
 * @flags: 0 or IOASID_ATTACH_REPLACE
 * @ioasid_fd: an open /dev/ioasid
 * @ioasid: the space
 * @pasid: as in struct ioasid_device_attach; IOASID_HOST_DETACH: the user's
 *	number
 * @vpasid: as in struct ioasid_device_attach
 * @dev_id: out: the device's id in the context
 */
struct ioasid_host_attach {
	__aligned_u64 extack;
	__u32 flags;
	__s32 ioasid_fd;
	__u32 ioasid;
	__u32 pasid;
	__u32 vpasid;
	__u32 dev_id;
};

/**
 * struct ioasid_host_map - map, unmap
 * @extack: 0, or the address of a struct ioasid_extack
 * @addr: memory of the caller; IOASID_HOST_UNMAP: 0
 * @length: in bytes; IOASID_HOST_UNMAP: 0 for all mappings
 * @iova: out: its IOVA; IOASID_HOST_UNMAP: in
 * @ioasid_fd: an open /dev/ioasid
 * @number: out: the user's number for the PASID
 */
struct ioasid_host_map {
	__aligned_u64 extack;
	__aligned_u64 addr;
	__aligned_u64 length;
	__aligned_u64 iova;
	__s32 ioasid_fd;
	__u32 number;
};

#define IOASID_HOST_DMA_WRITE	(1U << 0)
#define IOASID_HOST_DMA_REQUEST	(1U << 1)	/* send page requests */
#define IOASID_HOST_DMA_SVA	(1U << 2)	/* use the PASID of IOASID_HOST_SVA */
#define IOASID_HOST_DMA_MAX	4096U

/**
 * struct ioasid_host_dma - let the device move data
 * @iova: an address in the space
 * @addr: memory of the caller to copy from or to
 * @length: in bytes, at most IOASID_HOST_DMA_MAX
 * @number: the user's number for the PASID; not with IOASID_HOST_DMA_SVA
 * @flags: IOASID_HOST_DMA_*
 * @__reserved: 0
 */
struct ioasid_host_dma {
	__aligned_u64 iova;
	__aligned_u64 addr;
	__u32 length;
	__u32 number;
	__u32 flags;
	__u32 __reserved;
};

#ifdef __KERNEL__

struct device;
struct ioasid_extack;
struct module;

/**
 * struct ioasid_host_glue - operations of a glue
 * @owner: its module
 * @extack_check: checks the user address of an extack; 0 or a negative errno
 * @extack_to_user: writes the extack of a command that fails to the user
 * @attach: attaches; writes @pasid and @dev_id. @data belongs to the glue for
 *	the open file, and is NULL at first
 * @detach: detaches
 * @map: maps; writes @iova and @number
 * @unmap: unmaps; writes the number of bytes to @length
 * @close: ends all attachments of @data; not called if @data is NULL
 * @pasid: gets the PASID of a user's number; 0 or -ENOENT
 *
 * Calls for a device are serialised, but @pasid can run in parallel with
 * itself; @extack_check and @extack_to_user run without a lock, since they
 * access user memory. The device still has its driver, and its group an owner.
 */
struct ioasid_host_glue {
	struct module *owner;
	int (*extack_check)(u64 uptr);
	void (*extack_to_user)(struct ioasid_extack *extack, u64 uptr, int err);
	int (*attach)(struct device *dev, struct ioasid_host_attach *arg,
		      void **data, struct ioasid_extack *extack);
	int (*detach)(struct device *dev, struct ioasid_host_attach *arg,
		      void **data, struct ioasid_extack *extack);
	int (*map)(struct device *dev, struct ioasid_host_map *arg, void **data,
		   struct ioasid_extack *extack);
	int (*unmap)(struct device *dev, struct ioasid_host_map *arg,
		     void **data, struct ioasid_extack *extack);
	void (*close)(struct device *dev, void *data);
	int (*pasid)(void *data, u32 number, u32 *pasid);
};

int ioasid_host_register(const struct ioasid_host_glue *glue);
void ioasid_host_unregister(const struct ioasid_host_glue *glue);

#endif /* __KERNEL__ */

#endif /* IOASID_HOST_H */
