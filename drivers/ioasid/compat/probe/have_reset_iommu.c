// SPDX-License-Identifier: GPL-2.0
/* Is the reset of a PCI device reported to the IOMMU core? (Linux 7.0) */
#include <linux/iommu.h>

int probe(struct pci_dev *pdev);

int probe(struct pci_dev *pdev)
{
	return pci_dev_reset_iommu_prepare(pdev);
}
