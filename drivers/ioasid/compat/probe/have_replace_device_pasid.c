// SPDX-License-Identifier: GPL-2.0
/* Can the domain of a PASID be replaced in place? (Linux 6.15) */
#include <linux/iommu.h>

#if defined(IOASID_IN_TREE)
#include "iommu-priv.h"
void *probe = iommu_replace_device_pasid;
#elif !defined(IOASID_SYMBOL_iommu_replace_device_pasid)
#error not exported
#endif
