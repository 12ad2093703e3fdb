/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The devices that tests use, wherever they are: QEMU's on PCI, or endpoints of
 * ioasid_sim that stand in for them. A bed has one sort or the other; the
 * environment variable IOASID_DEVICE (pci, sim) chooses where it has both.
 */
#ifndef T_DEVICE_H
#define T_DEVICE_H

#include <stdbool.h>

#include "pci.h"

/* Are the devices of this bed endpoints of ioasid_sim? */
bool t_on_sim(void);
/* The name of the @nth device of that kind as VFIO knows it, or NULL */
const char *t_device(enum t_pci_kind kind, int nth);
/* The number of its IOMMU group, or -1 */
int t_device_group(const char *name);
/* Is it there, with a driver that hands it to user space or may do so? */
bool t_device_present(const char *name);
/* Give it to VFIO: 0 or a negative errno */
int t_device_to_vfio(const char *name);

#endif /* T_DEVICE_H */
