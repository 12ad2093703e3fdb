/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Wrappers for what differs between kernels. compat/probe/ is compiled against
 * the headers of the kernel to generate config.h. Nothing here may check a
 * kernel version, and nothing outside of compat/ may check IOASID_HAVE_*.
 */
#ifndef __IOASID_COMPAT_H
#define __IOASID_COMPAT_H

#include <linux/err.h>
#include <linux/export.h>
#include <linux/iommu.h>
#include <linux/kconfig.h>
#include <linux/spinlock.h>
#include <uapi/linux/iommufd.h>
#include "config.h"
#include "namespace.h"
#include "private.h"

/* Exports a symbol to the glue modules, in namespace IOASID */
#if IOASID_HAVE_BARE_NAMESPACE
#define IOASID_EXPORT(sym)	EXPORT_SYMBOL_NS_GPL(sym, IOASID)
#else
#define IOASID_EXPORT(sym)	EXPORT_SYMBOL_NS_GPL(sym, "IOASID")
#endif

/*
 * Sparse does not run cleanups, so that it misses the unlock of each guard. It
 * must not see the lock, either; lock and unlock by hand it checks as before.
 * Later kernels have the constructor as a macro, and nothing there for sparse.
 */
#if defined(__CHECKER__) && !defined(class_spinlock_constructor)
class_spinlock_t compat_sparse_spinlock_guard(spinlock_t *lock);
#define class_spinlock_constructor compat_sparse_spinlock_guard
#endif

/**
 * compat_paging_domain_alloc() - allocate a domain for map and unmap
 * @dev: a device behind the IOMMU that it is for
 *
 * Context: can sleep.
 *
 * Return: the domain, or ERR_PTR of the error of the IOMMU driver.
 */
#if IOASID_HAVE_PAGING_DOMAIN_ALLOC_FLAGS
static inline struct iommu_domain *compat_paging_domain_alloc(struct device *dev)
{
	return iommu_paging_domain_alloc_flags(dev, 0);
}
#else
static inline struct iommu_domain *compat_paging_domain_alloc(struct device *dev)
{
	return iommu_paging_domain_alloc(dev);
}
#endif

/**
 * compat_replace_device_pasid() - replace the domain of a PASID
 * @domain: the new domain
 * @dev: a device of the group
 * @pasid: a PASID that is attached
 * @handle: an unused handle
 *
 * Context: can sleep.
 *
 * Return: 0, -EOPNOTSUPP if the kernel cannot replace, or the error of the
 * IOMMU driver.
 */
#if IOASID_HAVE_REPLACE_DEVICE_PASID
static inline int compat_replace_device_pasid(struct iommu_domain *domain,
					      struct device *dev, u32 pasid,
					      struct iommu_attach_handle *handle)
{
	return iommu_replace_device_pasid(domain, dev, pasid, handle);
}
#else
static inline int compat_replace_device_pasid(struct iommu_domain *domain,
					      struct device *dev, u32 pasid,
					      struct iommu_attach_handle *handle)
{
	return -EOPNOTSUPP;
}
#endif

/**
 * compat_hw_info() - get the hardware description of an IOMMU for user space
 * @dev: a device behind that IOMMU
 * @length: out: length in bytes, 0 without a description
 * @type: out: enum iommu_hw_info_type
 *
 * Context: can sleep.
 *
 * Return: the description, to be freed by kfree(), NULL if the driver has none,
 * or ERR_PTR of the error of the driver.
 */
static inline void *compat_hw_info(struct device *dev, u32 *length, u32 *type)
{
	const struct iommu_ops *ops = dev->iommu->iommu_dev->ops;
	/* Older drivers take a u32, which is compatible with the enum */
	enum iommu_hw_info_type found = IOMMU_HW_INFO_TYPE_NONE;
	void *blob;

	*length = 0;
	*type = IOMMU_HW_INFO_TYPE_NONE;
	if (!ops->hw_info)
		return NULL;
	blob = ops->hw_info(dev, length, &found);
	if (!IS_ERR(blob))
		*type = found;
	return blob;
}

/**
 * compat_shares_mm() - check whether this kernel shares the memory of processes
 *
 * On x86 the page tables of a process have the kernel's part, too, and an IOMMU
 * goes on using what it has cached of that after it has been freed, unless it is
 * told. Stable kernels that do not tell it refuse to bind a process. Older ones do
 * neither, and are not to be used for that.
 *
 * Context: any.
 *
 * Return: false if iommu_sva_bind_device() fails for all devices, or must not be
 * called.
 */
static inline bool compat_shares_mm(void)
{
	return IS_ENABLED(CONFIG_IOMMU_SVA) &&
	       (!IS_ENABLED(CONFIG_X86) || IOASID_HAVE_SVA_INVALIDATE_KVA);
}

/**
 * compat_can_read_dirty() - check whether this kernel can read dirty bits
 *
 * Without CONFIG_IOMMUFD_DRIVER the page-table formats lack the code, although
 * the drivers still report the capability.
 *
 * Context: any.
 *
 * Return: false if no IOMMU driver can.
 */
static inline bool compat_can_read_dirty(void)
{
	return IS_ENABLED(CONFIG_IOMMUFD_DRIVER);
}

#endif /* __IOASID_COMPAT_H */
