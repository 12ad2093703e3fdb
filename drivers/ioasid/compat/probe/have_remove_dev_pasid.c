// SPDX-License-Identifier: GPL-2.0
/* Has a PASID's end an operation of its own? If not, the blocking domain is attached. */
#include <linux/iommu.h>

void *probe(const struct iommu_ops *ops);

void *probe(const struct iommu_ops *ops)
{
	return ops->remove_dev_pasid;
}
