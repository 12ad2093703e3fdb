// SPDX-License-Identifier: GPL-2.0
/* Is there an operation to detach a PASID, rather than a blocking domain? */
#include <linux/iommu.h>

void *probe(const struct iommu_ops *ops);

void *probe(const struct iommu_ops *ops)
{
	return ops->remove_dev_pasid;
}
