/*
 * SPDX-License-Identifier: GPL-2.0-or-later
 *
 * VFIO devices whose DMA goes through /dev/ioasid
 *
 * What the legacy container calls, and what differs between versions of QEMU.
 */

#ifndef HW_VFIO_VFIO_IOASID_H
#define HW_VFIO_VFIO_IOASID_H

#include "hw/vfio/vfio-common.h"
#include "system/ioasid.h"

#define TYPE_VFIO_IOMMU_IOASID TYPE_VFIO_IOMMU "-ioasid"

/* Since 10.1 the callbacks get the memory region, too, and const data. */
#define VFIO_IOASID_VERSION(major, minor) \
    (QEMU_VERSION_MAJOR > (major) || \
     (QEMU_VERSION_MAJOR == (major) && QEMU_VERSION_MINOR >= (minor)))
#if VFIO_IOASID_VERSION(10, 1)
#error "there is no series of patches for this version of QEMU yet"
#endif

/**
 * vfio_ioasid_container_create: an empty container of VFIO, with a first group
 *
 * @fd: an open /dev/vfio/vfio.  Stays the caller's on failure.
 */
VFIOContainer *vfio_ioasid_container_create(IOASIDBackend *be, int fd,
                                            int group_fd, Error **errp);

/**
 * vfio_ioasid_container_matches: may devices of @be be in this container?
 *
 * @be: may be NULL, for devices that do not use /dev/ioasid
 */
bool vfio_ioasid_container_matches(VFIOContainerBase *bcontainer,
                                   IOASIDBackend *be);

#endif /* HW_VFIO_VFIO_IOASID_H */
