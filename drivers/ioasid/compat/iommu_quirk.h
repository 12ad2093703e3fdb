/* SPDX-License-Identifier: GPL-2.0 */
/*
 * What IOMMU drivers report besides page requests. The kernel has no way to
 * query it, so it is looked up by the driver's name; no other file of the core
 * may use such names.
 */
#ifndef __IOASID_COMPAT_IOMMU_QUIRK_H
#define __IOASID_COMPAT_IOMMU_QUIRK_H

#include <linux/types.h>

struct device;

/**
 * struct ioasid_iommu_quirk - what an IOMMU driver reports
 * @name: prefix of the names of its IOMMUs in sysfs
 * @caps: IOASID_DEVICE_UNRECOVERABLE, _UNRECOVERABLE_PASID, _RESETS
 * @reports_unlocked: it follows the pointer to the domain without a lock, so
 *	that it can report a fault after a detach
 * @resets: it drops page requests when the kernel resets a PCI device, on
 *	kernels that report the reset to it
 * @one_drain: two devices must not be detached at once: see drain.c
 */
struct ioasid_iommu_quirk {
	const char *name;
	u32 caps;
	bool reports_unlocked;
	bool resets;
	bool one_drain;
};

const struct ioasid_iommu_quirk *ioasid_iommu_quirk_of(struct device *dev);
u32 ioasid_iommu_caps(struct device *dev);

#endif /* __IOASID_COMPAT_IOMMU_QUIRK_H */
