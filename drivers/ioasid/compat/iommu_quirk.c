// SPDX-License-Identifier: GPL-2.0
/*
 * What IOMMU drivers report besides page requests, according to their sources.
 * It must never promise what a driver does not do on every supported kernel.
 */
#include <linux/iommu.h>
#include <linux/ioasid.h>
#include <linux/string.h>
#include "iommu_quirk.h"
#include "reset.h"

static const struct ioasid_iommu_quirk ioasid_iommu_quirks[] = {
	{
		.name = "ioasid-sim",
		.caps = IOASID_DEVICE_UNRECOVERABLE |
			IOASID_DEVICE_UNRECOVERABLE_PASID |
			IOASID_DEVICE_RESETS,
	},
	{
		/*
		 * AMD-Vi: reports against the domain of the RID, whatever the
		 * PASID, and ignores events that the IOMMU marks as interrupts,
		 * as QEMU marks all of them.
		 */
		.name = "ivhd",
		.caps = IOASID_DEVICE_UNRECOVERABLE,
		.reports_unlocked = true,
	},
	{
		/* VT-d: only writes unrecoverable faults to the kernel log */
		.name = "dmar",
		.resets = true,
		.one_drain = true,
	},
};

/**
 * ioasid_iommu_quirk_of() - find the quirk of the IOMMU driver of a device
 * @dev: a device behind an IOMMU
 *
 * Context: any.
 *
 * Return: the quirk, or NULL if there is none.
 */
const struct ioasid_iommu_quirk *ioasid_iommu_quirk_of(struct device *dev)
{
	const struct device *iommu = dev->iommu->iommu_dev->dev;
	const struct ioasid_iommu_quirk *quirk;
	size_t i;

	for (i = 0; iommu && i < ARRAY_SIZE(ioasid_iommu_quirks); i++) {
		quirk = &ioasid_iommu_quirks[i];
		if (!strncmp(dev_name(iommu), quirk->name, strlen(quirk->name)))
			return quirk;
	}
	return NULL;
}

/**
 * ioasid_iommu_caps() - get what is reported of the faults of a device
 * @dev: a device behind an IOMMU
 *
 * Context: any.
 *
 * Return: IOASID_DEVICE_UNRECOVERABLE, _UNRECOVERABLE_PASID and _RESETS.
 */
u32 ioasid_iommu_caps(struct device *dev)
{
	const struct ioasid_iommu_quirk *quirk = ioasid_iommu_quirk_of(dev);

	if (!quirk)
		return 0;
	return quirk->caps | (quirk->resets && compat_reset_is_reported(dev) ?
			      IOASID_DEVICE_RESETS : 0);
}
