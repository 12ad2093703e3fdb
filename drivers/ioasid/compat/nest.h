/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Allocates the two domains of nested translation, as the kernel of the day wants
 * it: the IOMMU core only exports a function for the parent, and older kernels not
 * even that. Nothing here may look at the user's data.
 */
#ifndef __IOASID_COMPAT_NEST_H
#define __IOASID_COMPAT_NEST_H

#include <linux/iommu.h>
#include <uapi/linux/iommufd.h>
#include "config.h"

static inline const struct iommu_ops *compat_iommu_ops(struct device *dev)
{
	return dev->iommu->iommu_dev->ops;
}

/* What the core does for the domains that it allocates itself */
static inline struct iommu_domain *compat_own_domain(struct iommu_domain *domain,
						     const struct iommu_ops *ops)
{
	if (!IS_ERR(domain))
		domain->owner = ops;
	return domain;
}

/**
 * compat_can_nest() - check whether the IOMMU driver of a device knows nesting
 * @dev: a device behind an IOMMU
 *
 * Context: any.
 *
 * Return: false if it has no operation for it; true if it has one, though the
 * hardware may still lack it.
 */
static inline bool compat_can_nest(struct device *dev)
{
#if IOASID_HAVE_DOMAIN_ALLOC_NESTED
	return compat_iommu_ops(dev)->domain_alloc_nested;
#else
	return compat_iommu_ops(dev)->domain_alloc_user;
#endif
}

/**
 * compat_nest_parent_alloc() - allocate a domain that others can be nested in
 * @dev: a device behind the IOMMU that it is for
 *
 * Context: can sleep.
 *
 * Return: the domain, ERR_PTR(-EOPNOTSUPP) if the IOMMU cannot nest, or an error
 * of its driver.
 */
static inline struct iommu_domain *compat_nest_parent_alloc(struct device *dev)
{
	if (!compat_can_nest(dev))
		return ERR_PTR(-EOPNOTSUPP);
#if IOASID_HAVE_PAGING_DOMAIN_ALLOC_FLAGS
	return iommu_paging_domain_alloc_flags(dev, IOMMU_HWPT_ALLOC_NEST_PARENT);
#else
	const struct iommu_ops *ops = compat_iommu_ops(dev);

	return compat_own_domain(ops->domain_alloc_user(dev,
				 IOMMU_HWPT_ALLOC_NEST_PARENT, NULL, NULL), ops);
#endif
}

/**
 * compat_nested_alloc() - allocate a domain whose page table is the user's
 * @dev: a device behind the IOMMU that it is for
 * @parent: a domain of compat_nest_parent_alloc() for that IOMMU
 * @data: format and user address of the data for the driver
 *
 * Context: a user process; can sleep. The driver reads @data.
 *
 * Return: the domain, ERR_PTR(-EOPNOTSUPP) if the IOMMU cannot nest, or an error
 * of its driver.
 */
static inline struct iommu_domain *
compat_nested_alloc(struct device *dev, struct iommu_domain *parent,
		    const struct iommu_user_data *data)
{
	const struct iommu_ops *ops = compat_iommu_ops(dev);

	if (!compat_can_nest(dev))
		return ERR_PTR(-EOPNOTSUPP);
#if IOASID_HAVE_DOMAIN_ALLOC_NESTED
	return compat_own_domain(ops->domain_alloc_nested(dev, parent, 0, data),
				 ops);
#else
	return compat_own_domain(ops->domain_alloc_user(dev, 0, parent, data),
				 ops);
#endif
}

#endif /* __IOASID_COMPAT_NEST_H */
