/* SPDX-License-Identifier: GPL-2.0 */
/*
 * What a VFIO container backend, and who looks at a device file, needs of VFIO and
 * no public header has. In a
 * kernel tree the real header is used; out of it the build compares what is
 * declared here with the type information (BTF) of the kernel's vfio.ko, see
 * check.sh. Nothing else may be taken from VFIO's insides.
 */
#ifndef __IOASID_VFIO_PRIVATE_H
#define __IOASID_VFIO_PRIVATE_H

#include <linux/types.h>
#include <linux/vfio.h>

#ifdef IOASID_IN_TREE
#include "vfio.h"
#else

struct iommu_domain;
struct iommu_group;
struct module;
struct page;
struct vfio_group;

/**
 * enum vfio_group_type - what stands behind a VFIO group
 * @VFIO_IOMMU: physical devices and their IOMMU group
 * @VFIO_EMULATED_IOMMU: a mediated device, with a made-up group
 * @VFIO_NO_IOMMU: a physical device without IOMMU, with a made-up group
 */
enum vfio_group_type {
	VFIO_IOMMU,
	VFIO_EMULATED_IOMMU,
	VFIO_NO_IOMMU,
};

/**
 * struct vfio_iommu_driver_ops - what VFIO calls in a container backend
 * @name: for people
 * @owner: module; VFIO holds a reference while a container uses it
 * @open: a container chose this backend; returns @iommu_data
 * @release: its last group has left
 * @ioctl: an ioctl that VFIO does not know; no lock is held
 * @attach_group: a group entered; its DMA is blocked
 * @detach_group: a group left; its devices are closed
 * @pin_pages: for mediated devices
 * @unpin_pages: for mediated devices
 * @register_device: before a device is first opened; dev_set->lock held
 * @unregister_device: after it was last closed; dev_set->lock held
 * @dma_rw: for mediated devices
 * @group_iommu_domain: for drivers that look at the page table
 */
struct vfio_iommu_driver_ops {
	char *name;
	struct module *owner;
	void *(*open)(unsigned long arg);
	void (*release)(void *iommu_data);
	long (*ioctl)(void *iommu_data, unsigned int cmd, unsigned long arg);
	int (*attach_group)(void *iommu_data, struct iommu_group *group,
			    enum vfio_group_type type);
	void (*detach_group)(void *iommu_data, struct iommu_group *group);
	int (*pin_pages)(void *iommu_data, struct iommu_group *group,
			 dma_addr_t iova, int nr, int prot,
			 struct page **pages);
	void (*unpin_pages)(void *iommu_data, dma_addr_t iova, int nr);
	void (*register_device)(void *iommu_data, struct vfio_device *vdev);
	void (*unregister_device)(void *iommu_data, struct vfio_device *vdev);
	int (*dma_rw)(void *iommu_data, dma_addr_t iova, void *data,
		      size_t count, bool write);
	struct iommu_domain *(*group_iommu_domain)(void *iommu_data,
						   struct iommu_group *group);
};

/**
 * struct vfio_device_file - the head of what a device fd's private_data is
 * @device: the device
 * @group: the group that it was opened through; NULL for a device node
 * @access_granted: the device is open, and this file may be used
 */
struct vfio_device_file {
	struct vfio_device *device;
	struct vfio_group *group;
	u8 access_granted;
};

int vfio_register_iommu_driver(const struct vfio_iommu_driver_ops *ops);
void vfio_unregister_iommu_driver(const struct vfio_iommu_driver_ops *ops);

#endif /* !IOASID_IN_TREE */

/**
 * struct ioasid_vfio_backend - the operations, with room for later ones
 * @ops: as VFIO knows them
 * @later: an operation that a later kernel appends reads as NULL, not as
 *	whatever happens to follow
 */
struct ioasid_vfio_backend {
	struct vfio_iommu_driver_ops ops;
	void *later[16];
};

#endif /* __IOASID_VFIO_PRIVATE_H */
