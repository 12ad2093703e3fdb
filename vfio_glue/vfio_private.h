/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Private declarations of VFIO that a container backend and the resolver need.
 * In a kernel tree the real header is used; out of tree check.sh compares them
 * with the type information (BTF) of the kernel's vfio.ko. Nothing else of
 * VFIO's internals may be used.
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
 * enum vfio_group_type - type of a VFIO group
 * @VFIO_IOMMU: physical devices and their IOMMU group
 * @VFIO_EMULATED_IOMMU: a mediated device, with an emulated group
 * @VFIO_NO_IOMMU: a physical device without IOMMU, with an emulated group
 */
enum vfio_group_type {
	VFIO_IOMMU,
	VFIO_EMULATED_IOMMU,
	VFIO_NO_IOMMU,
};

/**
 * struct vfio_iommu_driver_ops - operations of a container backend
 * @name: name of the backend
 * @owner: module; referenced by VFIO while a container uses it
 * @open: called when a container selects this backend; returns @iommu_data
 * @release: called after the last group is detached
 * @ioctl: ioctl that VFIO does not handle; called without locks
 * @attach_group: adds a group, whose DMA is blocked
 * @detach_group: removes a group, whose devices are closed
 * @pin_pages: for mediated devices
 * @unpin_pages: for mediated devices
 * @register_device: called before the first open of a device; dev_set->lock
 *	held
 * @unregister_device: called after its last close; dev_set->lock held
 * @dma_rw: for mediated devices
 * @group_iommu_domain: for drivers that use the page table
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
 * struct vfio_device_file - head of the private_data of a device fd
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
 * struct ioasid_vfio_backend - operations, padded for later kernels
 * @ops: operations that are declared here
 * @later: NULL for operations that a later kernel appends
 */
struct ioasid_vfio_backend {
	struct vfio_iommu_driver_ops ops;
	void *later[16];
};

#endif /* __IOASID_VFIO_PRIVATE_H */
