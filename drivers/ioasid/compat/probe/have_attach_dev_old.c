// SPDX-License-Identifier: GPL-2.0
/* Does attach_dev() take the old domain? */
#include <linux/iommu.h>

int probe(const struct iommu_domain_ops *ops, struct iommu_domain *domain, struct device *dev);

int probe(const struct iommu_domain_ops *ops, struct iommu_domain *domain, struct device *dev)
{
	return ops->attach_dev(domain, dev, domain);
}
