/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Enables page requests and SVA in a device before an attach that needs them.
 * It must do nothing on newer kernels, which enable them in the attach.
 */
#ifndef __IOASID_COMPAT_IOPF_H
#define __IOASID_COMPAT_IOPF_H

#include <linux/iommu.h>
#include "config.h"

#if IOASID_HAVE_DEV_ENABLE_FEAT
/**
 * compat_iopf_enable() - let a device send page requests
 * @dev: the device; to be balanced by compat_iopf_disable()
 *
 * Context: can sleep.
 *
 * Return: 0, or -ENODEV if the device or its IOMMU does not support it.
 */
static inline int compat_iopf_enable(struct device *dev)
{
	return iommu_dev_enable_feature(dev, IOMMU_DEV_FEAT_IOPF);
}

static inline void compat_iopf_disable(struct device *dev)
{
	iommu_dev_disable_feature(dev, IOMMU_DEV_FEAT_IOPF);
}

/**
 * compat_sva_enable() - let a device share the address space of a process
 * @dev: the device; to be balanced by compat_sva_disable()
 *
 * Context: can sleep.
 *
 * Return: 0, or -ENODEV if the device or its IOMMU does not support it.
 */
static inline int compat_sva_enable(struct device *dev)
{
	return iommu_dev_enable_feature(dev, IOMMU_DEV_FEAT_SVA);
}

static inline void compat_sva_disable(struct device *dev)
{
	iommu_dev_disable_feature(dev, IOMMU_DEV_FEAT_SVA);
}
#else
static inline int compat_iopf_enable(struct device *dev)
{
	return 0;
}

static inline void compat_iopf_disable(struct device *dev)
{
}

static inline int compat_sva_enable(struct device *dev)
{
	return 0;
}

static inline void compat_sva_disable(struct device *dev)
{
}
#endif

/**
 * compat_sva_asks_userfaultfd() - do page requests of a process wait for userfaultfd?
 *
 * iommu_sva_handle_mm() lets handle_mm_fault() not wait (no
 * FAULT_FLAG_ALLOW_RETRY), up to Linux 7.3 at least: the answer is INVALID.
 *
 * Context: any.
 *
 * Return: false.
 */
static inline bool compat_sva_asks_userfaultfd(void)
{
	return false;
}

#endif /* __IOASID_COMPAT_IOPF_H */
