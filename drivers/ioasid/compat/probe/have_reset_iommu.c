// SPDX-License-Identifier: GPL-2.0
/* Is the IOMMU core told when a PCI device is reset? (Linux 7.0) */
#include <linux/iommu.h>

int probe(struct pci_dev *pdev);

int probe(struct pci_dev *pdev)
{
	return pci_dev_reset_iommu_prepare(pdev);
}
