/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Turning on what a device needs before a process' address space, or a page
 * table whose faults somebody handles, is attached to it. Newer kernels do it
 * when they attach.
 */
#ifndef __IOASID_COMPAT_IOPF_H
#define __IOASID_COMPAT_IOPF_H

#include <linux/iommu.h>
#include "config.h"

#if IOASID_HAVE_DEV_ENABLE_FEAT
/**
 * compat_iopf_enable() - let a device send page requests
 * @dev: the device; every call wants its compat_iopf_disable()
 *
 * Return: 0 or -ENODEV.
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
 * @dev: the device; every call wants its compat_sva_disable()
 *
 * Return: 0 or -ENODEV.
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

#endif /* __IOASID_COMPAT_IOPF_H */
