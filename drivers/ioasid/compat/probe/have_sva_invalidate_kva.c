// SPDX-License-Identifier: GPL-2.0
/* Are IOMMUs told when page tables of the kernel are freed? */
#include <linux/iommu.h>

void probe(void);

void probe(void)
{
	iommu_sva_invalidate_kva_range(0, 1);
}
