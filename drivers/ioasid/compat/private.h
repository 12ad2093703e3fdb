/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Functions that the IOMMU core exports without a public header (namespace
 * IOMMUFD_INTERNAL). In a kernel tree the real header is used; out of tree the
 * build compares these declarations with the type information (BTF) of the
 * kernel, since nothing else would detect a mismatch. No other file may declare
 * such functions.
 */
#ifndef __IOASID_COMPAT_PRIVATE_H
#define __IOASID_COMPAT_PRIVATE_H

#include <linux/iommu.h>

#ifdef IOASID_IN_TREE
#include "iommu-priv.h"
#else
int iommu_attach_group_handle(struct iommu_domain *domain,
			      struct iommu_group *group,
			      struct iommu_attach_handle *handle);
void iommu_detach_group_handle(struct iommu_domain *domain,
			       struct iommu_group *group);
int iommu_replace_group_handle(struct iommu_group *group,
			       struct iommu_domain *new_domain,
			       struct iommu_attach_handle *handle);
struct iommu_attach_handle *iommu_attach_handle_get(struct iommu_group *group,
						    ioasid_t pasid,
						    unsigned int type);
int iommu_replace_device_pasid(struct iommu_domain *domain, struct device *dev,
			       ioasid_t pasid,
			       struct iommu_attach_handle *handle);
#endif

#endif /* __IOASID_COMPAT_PRIVATE_H */
