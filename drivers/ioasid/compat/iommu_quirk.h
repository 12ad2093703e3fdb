/* SPDX-License-Identifier: GPL-2.0 */
/*
 * What IOMMU drivers report beside page requests. The kernel has no way to ask
 * them, so it is known by their names: the one place of the core that has any.
 */
#ifndef __IOASID_COMPAT_IOMMU_QUIRK_H
#define __IOASID_COMPAT_IOMMU_QUIRK_H

#include <linux/types.h>

struct device;

/**
 * struct ioasid_iommu_quirk - what an IOMMU driver reports
 * @name: how the names of its IOMMUs in sysfs begin
 * @caps: IOASID_DEVICE_UNRECOVERABLE, _UNRECOVERABLE_PASID, _RESETS
 * @reports_unlocked: it follows the pointer to the page table without a lock, and
 *	so can report a fault after a detach
 * @resets: it drops page requests when the kernel resets a PCI device, on kernels
 *	that let it know
 */
struct ioasid_iommu_quirk {
	const char *name;
	u32 caps;
	bool reports_unlocked;
	bool resets;
};

const struct ioasid_iommu_quirk *ioasid_iommu_quirk_of(struct device *dev);
u32 ioasid_iommu_caps(struct device *dev);

#endif /* __IOASID_COMPAT_IOMMU_QUIRK_H */
