/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Which PCI devices this bed has for tests, found in sysfs: QEMU's edu (slow,
 * simple DMA) and NVMe controllers (fast DMA), each behind an IOMMU. A device
 * that shares its IOMMU group with another one is a sibling and is only listed
 * as such.
 */
#ifndef T_PCI_H
#define T_PCI_H

#include <stdbool.h>

enum t_pci_kind {
	T_EDU,
	T_NVME,
	T_SIBLING,	/* edu that shares its group with another edu */
};

#define T_PCI_ADDR	24
#define T_PCI_MAX	16

/* The address ("0000:00:04.0") of the @nth device of that kind, or NULL */
const char *t_pci(enum t_pci_kind kind, int nth);
/* The number of its IOMMU group, or -1 */
int t_pci_group(const char *addr);
/* Give it to vfio-pci: 0 or a negative errno */
int t_pci_to_vfio(const char *addr);
bool t_pci_present(const char *addr);

#endif /* T_PCI_H */
