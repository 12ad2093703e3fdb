/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Whether IOMMU drivers are told that a device is reset. Only then do they
 * forget its page requests, which is what a module can see of a reset.
 */
#ifndef __IOASID_COMPAT_RESET_H
#define __IOASID_COMPAT_RESET_H

#include <linux/pci.h>
#include <linux/pci-ats.h>
#include "config.h"

/**
 * compat_reset_is_reported() - does the IOMMU forget page requests in a reset?
 * @dev: the device
 *
 * Return: false if nothing can be seen of its resets.
 */
static inline bool compat_reset_is_reported(struct device *dev)
{
	return IOASID_HAVE_RESET_IOMMU && dev_is_pci(dev) &&
	       pci_ats_supported(to_pci_dev(dev));
}

#endif /* __IOASID_COMPAT_RESET_H */
