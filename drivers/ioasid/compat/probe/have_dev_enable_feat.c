// SPDX-License-Identifier: GPL-2.0
/* Must page requests and SVA be enabled before an attach? */
#include <linux/iommu.h>

int probe(const struct iommu_ops *ops, struct device *dev);

int probe(const struct iommu_ops *ops, struct device *dev)
{
	return ops->dev_enable_feat(dev, IOMMU_DEV_FEAT_IOPF);
}
