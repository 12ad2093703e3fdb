/* SPDX-License-Identifier: GPL-2.0 */
/*
 * What differs between kernels, behind one name each. Whether a kernel has a
 * thing is found by compiling compat/probe/ against its headers, which makes
 * config.h; nothing here may look at a version number, and nothing outside of
 * here may look at IOASID_HAVE_*.
 */
#ifndef __IOASID_COMPAT_H
#define __IOASID_COMPAT_H

#include <linux/err.h>
#include <linux/export.h>
#include <linux/iommu.h>
#include <linux/kconfig.h>
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

/**
 * compat_paging_domain_alloc() - a page table that the kernel fills in
 * @dev: a device behind the IOMMU that it is for
 *
 * Return: the domain, or an ERR_PTR.
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
 * compat_replace_device_pasid() - give a PASID another page table in place
 * @domain: the new one
 * @dev: a device of the group
 * @pasid: a PASID that is attached
 * @handle: a fresh one
 *
 * Return: 0, -EOPNOTSUPP on kernels that cannot, what the IOMMU driver says.
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
 * compat_hw_info() - what the IOMMU driver tells user space of its hardware
 * @dev: a device behind that IOMMU
 * @length: out: bytes, 0 without a description
 * @type: out: enum iommu_hw_info_type
 *
 * Return: a blob that the caller frees with kfree(), NULL if the driver has
 * none, or an ERR_PTR.
 */
static inline void *compat_hw_info(struct device *dev, u32 *length, u32 *type)
{
	const struct iommu_ops *ops = dev->iommu->iommu_dev->ops;
	/* A u32 for older drivers, which the compiler takes for the same */
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
 * compat_can_read_dirty() - can this kernel read dirty bits at all?
 *
 * Without iommufd the page-table formats are built without the code to read
 * them, while the drivers claim the capability all the same.
 *
 * Return: false if IOASID_DIRTY_* cannot work, whatever the IOMMU says.
 */
static inline bool compat_can_read_dirty(void)
{
	return IS_ENABLED(CONFIG_IOMMUFD_DRIVER);
}

#endif /* __IOASID_COMPAT_H */
