/* SPDX-License-Identifier: GPL-2.0 */
/*
 * For check.sh only: compares each type of vfio_private.h with the type of the
 * same name with the prefix btf_ that was generated from the kernel's BTF.
 */
#include <linux/spinlock.h>
#include <linux/stddef.h>
#include <linux/types.h>
#include "vfio_private.h"

#define CHECK(type, member)						\
	_Static_assert(offsetof(struct type, member) ==			\
		       offsetof(struct btf_##type, member),		\
		       #type "." #member " has moved");			\
	_Static_assert(__builtin_types_compatible_p(			\
		       typeof(((struct type *)0)->member),		\
		       typeof(((struct btf_##type *)0)->member)),	\
		       #type "." #member " has another type");

#define CHECK_ENUM(name)						\
	_Static_assert((int)name == (int)BTF_##name, #name " has another value");

/* The kernel's struct may be longer, up to the size of the padded one */
#define CHECK_ALL							\
	_Static_assert(sizeof(struct btf_vfio_iommu_driver_ops) >=	\
		       sizeof(struct vfio_iommu_driver_ops),		\
		       "vfio_iommu_driver_ops has shrunk");		\
	_Static_assert(sizeof(struct btf_vfio_iommu_driver_ops) <=	\
		       sizeof(struct ioasid_vfio_backend),		\
		       "vfio_iommu_driver_ops has outgrown its room");	\
	CHECK(vfio_iommu_driver_ops, name)				\
	CHECK(vfio_iommu_driver_ops, owner)				\
	CHECK(vfio_iommu_driver_ops, open)				\
	CHECK(vfio_iommu_driver_ops, release)				\
	CHECK(vfio_iommu_driver_ops, ioctl)				\
	CHECK(vfio_iommu_driver_ops, attach_group)			\
	CHECK(vfio_iommu_driver_ops, detach_group)			\
	CHECK(vfio_iommu_driver_ops, pin_pages)				\
	CHECK(vfio_iommu_driver_ops, unpin_pages)			\
	CHECK(vfio_iommu_driver_ops, register_device)			\
	CHECK(vfio_iommu_driver_ops, unregister_device)			\
	CHECK(vfio_iommu_driver_ops, dma_rw)				\
	CHECK(vfio_iommu_driver_ops, group_iommu_domain)		\
	CHECK(vfio_device_file, device)					\
	CHECK(vfio_device_file, group)					\
	CHECK(vfio_device_file, access_granted)				\
	CHECK_ENUM(VFIO_IOMMU)						\
	CHECK_ENUM(VFIO_EMULATED_IOMMU)					\
	CHECK_ENUM(VFIO_NO_IOMMU)
