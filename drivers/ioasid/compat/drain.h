/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Takes turns at detaching, for IOMMU drivers that cannot wait for the page
 * requests of two devices at once.
 */
#ifndef __IOASID_COMPAT_DRAIN_H
#define __IOASID_COMPAT_DRAIN_H

struct device;
struct semaphore;

void ioasid_drain_setup(void);
struct semaphore *ioasid_drain_begin(struct device *dev);
void ioasid_drain_end(struct semaphore *turn);

#endif /* __IOASID_COMPAT_DRAIN_H */
