// SPDX-License-Identifier: GPL-2.0
/* Are paging and nested domains allocated by operations of their own? */
#include <linux/iommu.h>

int probe(const struct iommu_ops *ops);

int probe(const struct iommu_ops *ops)
{
	return ops->domain_alloc_nested && ops->domain_alloc_paging_flags;
}
