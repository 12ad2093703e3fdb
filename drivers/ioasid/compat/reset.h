/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Whether the kernel reports the reset of a device to its IOMMU driver. Only
 * then does the driver drop its page requests, which is all that the core can
 * detect of a reset.
 */
#ifndef __IOASID_COMPAT_RESET_H
#define __IOASID_COMPAT_RESET_H

#include <linux/pci.h>
#include <linux/pci-ats.h>
#include "config.h"

/**
 * compat_reset_is_reported() - check whether resets of a device can be detected
 * @dev: the device
 *
 * Context: any.
 *
 * Return: false if its resets cannot be detected.
 */
static inline bool compat_reset_is_reported(struct device *dev)
{
	return IOASID_HAVE_RESET_IOMMU && dev_is_pci(dev) &&
	       pci_ats_supported(to_pci_dev(dev));
}

#endif /* __IOASID_COMPAT_RESET_H */
