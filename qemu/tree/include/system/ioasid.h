/*
 * SPDX-License-Identifier: GPL-2.0-or-later
 *
 * /dev/ioasid backend
 *
 * An object "ioasid" is one open /dev/ioasid.  Devices of VFIO that name it
 * live in its I/O address spaces instead of those of VFIO type1.
 */

#ifndef SYSTEM_IOASID_H
#define SYSTEM_IOASID_H

#include "qom/object.h"
#include "qapi/qapi-types-qom.h"
#include "qemu/queue.h"

#include <linux/ioasid.h>

#define TYPE_IOASID_BACKEND "ioasid"
OBJECT_DECLARE_SIMPLE_TYPE(IOASIDBackend, IOASID_BACKEND)

typedef struct IOASIDSpace {
    uint32_t id;
    QLIST_ENTRY(IOASIDSpace) next;
} IOASIDSpace;

struct IOASIDBackend {
    Object parent;

    /*< protected >*/
    int fd;                 /* -1 until the object is complete */
    bool owned;             /* is the fd opened here, and not passed? */
    char *label;
    bool has_accounting;
    IoasidAccounting accounting;
    uint64_t caps;          /* IOASID_CAP_* */
    uint64_t max_mappings;
    QLIST_HEAD(, IOASIDSpace) spaces;
};

/**
 * ioasid_backend_alloc: allocate a space
 *
 * Returns its number, or 0 with @errp set.
 */
uint32_t ioasid_backend_alloc(IOASIDBackend *be, Error **errp);

/* Unmaps what is mapped there.  No device may be attached any more. */
void ioasid_backend_free(IOASIDBackend *be, uint32_t ioasid);

/**
 * ioasid_backend_attach: attach a device that was opened through VFIO
 *
 * @container_fd: the VFIO container of the device
 * @device_fd: the device.  Closing it detaches it.
 */
bool ioasid_backend_attach(IOASIDBackend *be, uint32_t ioasid,
                           int container_fd, int device_fd, Error **errp);

/**
 * ioasid_backend_geometry: what can be mapped with the devices attached now
 *
 * @ranges: replaced by a sorted list of Range
 * @page_sizes: a bitmap
 */
bool ioasid_backend_geometry(IOASIDBackend *be, uint32_t ioasid,
                             GList **ranges, uint64_t *page_sizes,
                             Error **errp);

/**
 * ioasid_backend_map: map ranges of memory, all or none of them
 *
 * @failed: set to the index of the range that could not be mapped, or to @nr
 * @reason: set to an enum ioasid_reason on failure
 *
 * Returns 0, or -errno with @errp set to the kernel's reason.
 */
int ioasid_backend_map(IOASIDBackend *be, uint32_t ioasid,
                       struct ioasid_map_range *ranges, uint32_t nr,
                       uint32_t *failed, uint32_t *reason, Error **errp);

/**
 * ioasid_backend_copy: map what space @src has mapped at the same IOVA in @dst
 *
 * The memory is not pinned and charged once more.
 *
 * Returns 0, or -errno, with nothing changed: it can still be mapped.
 */
int ioasid_backend_copy(IOASIDBackend *be, uint32_t src, uint32_t dst,
                        uint64_t iova, uint64_t size, bool write);

/**
 * ioasid_backend_unmap: unmap all that is mapped in a range, if anything
 *
 * Returns 0, or -errno with @errp set to the kernel's reason.
 */
int ioasid_backend_unmap(IOASIDBackend *be, uint32_t ioasid, uint64_t iova,
                         uint64_t size, Error **errp);

#endif /* SYSTEM_IOASID_H */
