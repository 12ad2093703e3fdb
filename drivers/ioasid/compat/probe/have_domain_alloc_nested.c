// SPDX-License-Identifier: GPL-2.0
/* Are there separate operations to allocate paging and nested domains? */
#include <linux/iommu.h>

int probe(const struct iommu_ops *ops);

int probe(const struct iommu_ops *ops)
{
	return ops->domain_alloc_nested && ops->domain_alloc_paging_flags;
}
