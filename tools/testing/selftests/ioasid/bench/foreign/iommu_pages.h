/* SPDX-License-Identifier: GPL-2.0 */
/*
 * What the IOMMU core exports and declares in a header of its drivers only.
 * Nothing but prototypes may be in here.
 */
#ifndef IOASID_FOREIGN_IOMMU_PAGES_H
#define IOASID_FOREIGN_IOMMU_PAGES_H

struct iommu_pages_list;

void iommu_put_pages_list(struct iommu_pages_list *list);

#endif /* IOASID_FOREIGN_IOMMU_PAGES_H */
