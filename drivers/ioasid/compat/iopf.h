/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Enables page requests and SVA in a device before an attach that needs them,
 * and answers page requests. Enabling must do nothing on newer kernels, which
 * do it in the attach.
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

/**
 * compat_iopf_disable() - undo compat_iopf_enable()
 * @dev: the device; attached to nothing that needs page requests
 *
 * Context: can sleep.
 */
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

/**
 * compat_sva_disable() - undo compat_sva_enable()
 * @dev: the device; attached to the address space of no process
 *
 * Context: can sleep.
 */
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
 * compat_mm_has_domains() - check whether any device is bound to a process
 * @mm: the process; mm_count is held
 *
 * Context: any. Another driver can bind one at any time, with a new domain.
 *
 * Return: false if it has no domain of the IOMMU core at this moment.
 */
static inline bool compat_mm_has_domains(struct mm_struct *mm)
{
#ifdef CONFIG_IOMMU_SVA
	return mm_valid_pasid(mm) && !list_empty(&mm->iommu_mm->sva_domains);
#else
	return false;
#endif
}

/**
 * compat_page_response() - answer a group of page requests
 * @group: the group, after iopf_group_dequeue(); not freed
 * @code: the answer
 *
 * What iopf_group_response() does, but for the device's mutex, which protects
 * the list that the group is in no longer: whoever answers may be preempted for
 * long, and with the mutex all page requests of the IOMMU would wait for him.
 * The IOMMU core, too, calls the driver without it.
 *
 * Context: process context; does not sleep. The device is attached.
 */
static inline void compat_page_response(struct iopf_group *group,
					enum iommu_page_response_code code)
{
	struct device *dev = group->fault_param->dev;
	struct iommu_page_response response = {
		.pasid = group->last_fault.fault.prm.pasid,
		.grpid = group->last_fault.fault.prm.grpid,
		.code = code,
	};

	dev->iommu->iommu_dev->ops->page_response(dev, &group->last_fault,
						  &response);
}

/**
 * compat_group_is_current() - does the device still wait for a response?
 * @group: a group of a device that is attached
 *
 * Context: any.
 *
 * Return: false once the IOMMU core has turned off the device's page requests,
 * even if they are on again.
 */
static inline bool compat_group_is_current(const struct iopf_group *group)
{
	const struct iommu_fault_param *param = group->fault_param;

	return rcu_access_pointer(param->dev->iommu->fault_param) == param;
}

#endif /* __IOASID_COMPAT_IOPF_H */
