/* SPDX-License-Identifier: GPL-2.0 */
/*
 * What container.c, attach.c and resolve.c share. No other module may include
 * it.
 *
 * Locks, outermost first:
 *   VFIO's group and container locks
 *   vfio_device_set.lock        open, close and reset of devices; context of
 *                               each struct ioasid_vfio_device
 *   locks of the core
 *   ioasid_vfio_container.lock  the list of devices; a leaf, under which none
 *                               of the others is taken
 */
#ifndef __IOASID_VFIO_GLUE_H
#define __IOASID_VFIO_GLUE_H

#include <linux/ioasid.h>
#include <linux/list.h>
#include <linux/mutex.h>
#include <linux/refcount.h>

struct vfio_device;

/**
 * struct ioasid_vfio_container - a container that uses this backend
 * @ref: held by VFIO and by ioctls in progress
 * @id: id that VFIO passes as iommu_data
 * @lock: protects @devices
 * @devices: struct ioasid_vfio_device
 */
struct ioasid_vfio_container {
	refcount_t ref;
	u32 id;
	struct mutex lock;
	struct list_head devices;
};

/**
 * struct ioasid_vfio_device - an open device of a container
 * @link: in ioasid_vfio_container.devices
 * @vdev: the device; VFIO keeps it while it is open
 * @ctx: the context that it is bound to, with a reference, or NULL
 *
 * @ctx is protected by vdev->dev_set->lock.
 */
struct ioasid_vfio_device {
	struct list_head link;
	struct vfio_device *vdev;
	struct ioasid_ctx *ctx;
};

/* container.c */
extern bool ioasid_vfio_allow_unsafe_interrupts;
struct ioasid_vfio_container *ioasid_vfio_container_get(void *iommu_data);
void ioasid_vfio_container_put(struct ioasid_vfio_container *container);
struct ioasid_vfio_device *
ioasid_vfio_find_device(struct ioasid_vfio_container *container,
			const struct vfio_device *vdev);
bool ioasid_vfio_is_ours(const struct vfio_device *vdev);

/* resolve.c */
extern struct ioasid_resolver ioasid_vfio_resolver;

/* attach.c */
long ioasid_vfio_attach(void *iommu_data, unsigned long arg);
long ioasid_vfio_detach(void *iommu_data, unsigned long arg);
void ioasid_vfio_unbind(struct ioasid_vfio_device *device);

#endif /* __IOASID_VFIO_GLUE_H */
