/* SPDX-License-Identifier: GPL-2.0 */
/*
 * What a program says to ioasid_host, and what ioasid_host and a glue say to each
 * other. Each device has a file /dev/ioasid-host-NAME, for the administrator.
 *
 * The driver has the RID of its device; programs share the device by PASIDs. An
 * open file has its own ones, and makes the device use no other.
 */
#ifndef IOASID_HOST_H
#define IOASID_HOST_H

#include <linux/ioctl.h>
#include <linux/types.h>

#define IOASID_HOST_TYPE	'h'

/* The driver's own way: the address space of the caller. out: its PASID */
#define IOASID_HOST_SVA		_IOR(IOASID_HOST_TYPE, 0x00, __u32)
#define IOASID_HOST_SVA_END	_IO(IOASID_HOST_TYPE, 0x01)
/* The glue's: a space of /dev/ioasid */
#define IOASID_HOST_ATTACH	_IOWR(IOASID_HOST_TYPE, 0x02, struct ioasid_host_attach)
#define IOASID_HOST_DETACH	_IOW(IOASID_HOST_TYPE, 0x03, struct ioasid_host_attach)
/* Memory of the caller in a space of the file's own, which the device uses */
#define IOASID_HOST_MAP _IOWR(IOASID_HOST_TYPE, 0x05, struct ioasid_host_map)
#define IOASID_HOST_UNMAP _IOWR(IOASID_HOST_TYPE, 0x06, struct ioasid_host_map)
/* What it is for; only a device of ioasid_sim can be told what to do by it */
#define IOASID_HOST_DMA		_IOW(IOASID_HOST_TYPE, 0x04, struct ioasid_host_dma)

/**
 * struct ioasid_host_attach - attach, replace, detach
 * @extack: 0, or the address of a struct ioasid_extack
 * @flags: 0 or IOASID_ATTACH_REPLACE
 * @ioasid_fd: an open /dev/ioasid
 * @ioasid: the space
 * @pasid: as in struct ioasid_device_attach; IOASID_HOST_DETACH: the number
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
 * @length: bytes; IOASID_HOST_UNMAP: 0 for all that is mapped
 * @iova: out: where the device finds it; IOASID_HOST_UNMAP: in
 * @ioasid_fd: an open /dev/ioasid
 * @number: out: the number of the attachment
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
#define IOASID_HOST_DMA_REQUEST	(1U << 1)	/* ask for pages that are missing */
#define IOASID_HOST_DMA_SVA	(1U << 2)	/* by the PASID of IOASID_HOST_SVA */
#define IOASID_HOST_DMA_MAX	4096U

/**
 * struct ioasid_host_dma - let the device move data
 * @iova: an address in the space
 * @addr: memory of the caller that goes there, or comes from there
 * @length: bytes, at most IOASID_HOST_DMA_MAX
 * @number: by what the file knows the attachment; see @flags
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
struct module;

/**
 * struct ioasid_host_glue - who attaches the devices
 * @owner: its module
 * @attach: does what struct ioasid_host_attach says; writes @pasid and @dev_id.
 *	@data is the glue's for an open file: NULL at first
 * @detach: the same
 * @map: does what struct ioasid_host_map says; writes @iova and @number
 * @unmap: the same; writes @length: bytes that were unmapped
 * @close: ends all that @data stands for; not called for NULL
 * @pasid: the PASID behind the number of an attachment, or -ENOENT
 *
 * All of them are called for one device at a time, and not after the device is
 * gone; the device still has its driver, and its group an owner.
 */
struct ioasid_host_glue {
	struct module *owner;
	int (*attach)(struct device *dev, struct ioasid_host_attach *arg, void **data);
	int (*detach)(struct device *dev, struct ioasid_host_attach *arg, void **data);
	int (*map)(struct device *dev, struct ioasid_host_map *arg,
		   void **data);
	int (*unmap)(struct device *dev, struct ioasid_host_map *arg,
		     void **data);
	void (*close)(struct device *dev, void *data);
	int (*pasid)(void *data, u32 number, u32 *pasid);
};

int ioasid_host_register(const struct ioasid_host_glue *glue);
void ioasid_host_unregister(const struct ioasid_host_glue *glue);

#endif /* __KERNEL__ */

#endif /* IOASID_HOST_H */
