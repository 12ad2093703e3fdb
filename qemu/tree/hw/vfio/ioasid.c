/*
 * SPDX-License-Identifier: GPL-2.0-or-later
 *
 * VFIO devices whose DMA goes through /dev/ioasid
 *
 * A container of VFIO is a space of an "ioasid" object here.  Groups, devices,
 * their reset and their interrupts are those of the legacy container; only who
 * maps the memory is different.
 *
 * The listener of guest memory is registered after the first device is
 * attached, since only then the kernel knows which addresses it can use.
 */

#include "qemu/osdep.h"
#include "qapi/error.h"
#include "qemu/error-report.h"
#include "exec/ramblock.h"
#include "hw/vfio/vfio-ioasid.h"
#include "migration/blocker.h"
#include "qemu/iova-tree.h"
#include "trace.h"

#include <linux/magic.h>
#include <sys/ioctl.h>
#include <sys/vfs.h>

struct VFIOIOASIDContainer {
    VFIOContainer container;
    IOASIDBackend *be;
    uint32_t ioasid;
    /* While the listener is being registered: ranges, and their regions. */
    GArray *batch;
    GPtrArray *batch_mr;
    Error *batch_error;
    Error *migration_blocker;
    /* What is mapped as memory of the guest, and not by a guest's IOMMU. */
    IOVATree *ram;
    QLIST_ENTRY(VFIOIOASIDContainer) next;
};

OBJECT_DECLARE_SIMPLE_TYPE(VFIOIOASIDContainer, VFIO_IOMMU_IOASID)

static QLIST_HEAD(, VFIOIOASIDContainer) vfio_ioasid_containers =
    QLIST_HEAD_INITIALIZER(vfio_ioasid_containers);

/* --- memory --------------------------------------------------------------- */

/* Can the file be mapped instead of the address?  It needs no page table. */
static bool vfio_ioasid_is_file(VFIOIOASIDContainer *container, RAMBlock *rb,
                                bool readonly)
{
    struct statfs fs;

    return (container->be->caps & IOASID_CAP_FILE) &&
           qemu_ram_is_shared(rb) && qemu_ram_get_fd(rb) >= 0 &&
           (readonly || !(rb->flags & RAM_READONLY_FD)) &&
           !fstatfs(qemu_ram_get_fd(rb), &fs) &&
           (fs.f_type == TMPFS_MAGIC || fs.f_type == HUGETLBFS_MAGIC);
}

static void vfio_ioasid_prepend(Error **errp, MemoryRegion *mr,
                                const struct ioasid_map_range *range)
{
    error_prepend(errp, "cannot map %s at IOVA 0x%" PRIx64 " (0x%" PRIx64
                  " bytes): ", mr ? memory_region_name(mr) : "memory",
                  (uint64_t)range->iova, (uint64_t)range->length);
}

/* Maps what the listener has brought so far, in one command. */
static int vfio_ioasid_flush(VFIOIOASIDContainer *container, Error **errp)
{
    ERRP_GUARD();
    struct ioasid_map_range *ranges;
    uint32_t failed, reason;
    int ret;

    if (!container->batch || !container->batch->len) {
        return 0;
    }
    ranges = (struct ioasid_map_range *)container->batch->data;
    ret = ioasid_backend_map(container->be, container->ioasid, ranges,
                             container->batch->len, &failed, &reason, errp);
    if (ret && failed < container->batch->len) {
        vfio_ioasid_prepend(errp,
                            g_ptr_array_index(container->batch_mr, failed),
                            &ranges[failed]);
    }
    g_array_set_size(container->batch, 0);
    g_ptr_array_set_size(container->batch_mr, 0);
    return ret;
}

/* The first error, for who attaches the device; later ones follow from it. */
static void vfio_ioasid_batch_failed(VFIOIOASIDContainer *container, Error *err)
{
    if (container->batch_error) {
        error_free(err);
    } else {
        container->batch_error = err;
    }
}

static int vfio_ioasid_map_one(VFIOIOASIDContainer *container,
                               MemoryRegion *mr,
                               struct ioasid_map_range *range)
{
    bool is_device = mr && memory_region_is_ram_device(mr);
    uint32_t failed, reason;
    Error *err = NULL;
    int ret;

    if (container->batch && !is_device) {
        g_array_append_val(container->batch, *range);
        g_ptr_array_add(container->batch_mr, mr);
        return 0;
    }

    ret = ioasid_backend_map(container->be, container->ioasid, range, 1,
                             &failed, &reason, &err);
    if (!ret) {
        return 0;
    }
    if (is_device && reason == IOASID_REASON_DEVICE_MEMORY) {
        /* All works but DMA from one device to another. */
        trace_vfio_ioasid_skip_device_memory(memory_region_name(mr),
                                             range->iova, range->length);
        warn_report_once("ioasid: %s is not mapped, since /dev/ioasid cannot"
                         " map the memory of devices yet: no device can do DMA"
                         " to another device", memory_region_name(mr));
        error_free(err);
        return 0;
    }
    vfio_ioasid_prepend(&err, mr, range);
    if (container->batch) {
        vfio_ioasid_batch_failed(container, err);
    } else {
        error_reportf_err(err, "ioasid: ");
    }
    return ret;
}

/*
 * Devices behind a guest's IOMMU have a container each, with all of the guest's
 * memory as long as the guest does not translate.  What another one of the same
 * object has mapped is pinned, and charged, only once.
 */
static bool vfio_ioasid_copy(VFIOIOASIDContainer *container,
                             const DMAMap *ram)
{
    const DMAMap first = { .iova = ram->iova };
    VFIOIOASIDContainer *other;

    QLIST_FOREACH(other, &vfio_ioasid_containers, next) {
        const DMAMap *map;

        if (other == container || other->be != container->be) {
            continue;
        }
        map = iova_tree_find(other->ram, &first);
        if (map && ram->iova + ram->size <= map->iova + map->size &&
            ram->iova - map->iova ==
            ram->translated_addr - map->translated_addr &&
            (ram->perm & ~map->perm) == 0 &&
            !ioasid_backend_copy(container->be, other->ioasid,
                                 container->ioasid, ram->iova, ram->size + 1,
                                 ram->perm == IOMMU_RW)) {
            return true;
        }
    }
    return false;
}

static int vfio_ioasid_dma_map(const VFIOContainerBase *bcontainer,
                               hwaddr iova, ram_addr_t size, void *vaddr,
                               bool readonly)
{
    VFIOIOASIDContainer *container = VFIO_IOMMU_IOASID(bcontainer);
    struct ioasid_map_range range = {
        .iova = iova,
        .addr = (uintptr_t)vaddr,
        .length = size,
        .flags = IOASID_MAP_FIXED | IOASID_MAP_READ |
                 (readonly ? 0 : IOASID_MAP_WRITE),
    };
    const DMAMap ram = {
        .iova = iova,
        .translated_addr = (uintptr_t)vaddr,
        .size = size - 1,
        .perm = readonly ? IOMMU_RO : IOMMU_RW,
    };
    ram_addr_t offset;
    bool is_ram;
    RAMBlock *rb;
    int ret = 0;

    RCU_READ_LOCK_GUARD();

    rb = qemu_ram_block_from_host(vaddr, false, &offset);
    if (rb && vfio_ioasid_is_file(container, rb, readonly)) {
        range.flags |= IOASID_MAP_FILE;
        range.addr = rb->fd_offset + offset;
        range.fd = qemu_ram_get_fd(rb);
    }
    is_ram = rb && !memory_region_is_ram_device(rb->mr) &&
             QLIST_EMPTY(&bcontainer->giommu_list);
    if (!is_ram || !vfio_ioasid_copy(container, &ram)) {
        ret = vfio_ioasid_map_one(container, rb ? rb->mr : NULL, &range);
    }
    if (is_ram && !ret) {
        iova_tree_insert(container->ram, &ram);
    }
    return ret;
}

static int vfio_ioasid_dma_unmap(const VFIOContainerBase *bcontainer,
                                 hwaddr iova, ram_addr_t size,
                                 IOMMUTLBEntry *iotlb)
{
    VFIOIOASIDContainer *container = VFIO_IOMMU_IOASID(bcontainer);
    Error *err = NULL;
    int ret;

    iova_tree_remove(container->ram,
                     (DMAMap) { .iova = iova, .size = size - 1 });
    ret = vfio_ioasid_flush(container, &err);
    if (ret) {
        vfio_ioasid_batch_failed(container, err);
        return ret;
    }
    ret = ioasid_backend_unmap(container->be, container->ioasid, iova, size,
                               &err);
    if (ret) {
        error_reportf_err(err, "ioasid: cannot unmap IOVA 0x%" HWADDR_PRIx
                          " (0x%" PRIx64 " bytes): ", iova, (uint64_t)size);
    }
    return ret;
}

/*
 * All of the guest's memory that is not mapped elsewhere is mapped by one
 * command, so that nothing of it is pinned if it does not all fit.
 */
static bool vfio_ioasid_listen(VFIOIOASIDContainer *container, Error **errp)
{
    ERRP_GUARD();
    VFIOContainerBase *bcontainer = &container->container.bcontainer;
    Error *err = NULL;

    container->batch = g_array_new(false, false,
                                   sizeof(struct ioasid_map_range));
    container->batch_mr = g_ptr_array_new();

    bcontainer->listener = vfio_memory_listener;
    memory_listener_register(&bcontainer->listener, bcontainer->space->as);
    if (!container->batch_error && !bcontainer->error) {
        trace_vfio_ioasid_listen(container->ioasid, container->batch->len);
        if (vfio_ioasid_flush(container, &err)) {
            vfio_ioasid_batch_failed(container, err);
        }
    }

    g_array_free(container->batch, true);
    container->batch = NULL;
    g_ptr_array_free(container->batch_mr, true);
    container->batch_mr = NULL;

    /* Ours has the kernel's reason; that of the listener has a number. */
    if (container->batch_error) {
        error_free(bcontainer->error);
        bcontainer->error = NULL;
        error_propagate(errp, container->batch_error);
        container->batch_error = NULL;
        return false;
    }
    if (bcontainer->error) {
        error_propagate(errp, bcontainer->error);
        bcontainer->error = NULL;
        error_prepend(errp, "memory listener initialization failed: ");
        return false;
    }
    bcontainer->initialized = true;
    return true;
}

/* --- containers and devices ----------------------------------------------- */

VFIOContainer *vfio_ioasid_container_create(IOASIDBackend *be, int fd,
                                            int group_fd, Error **errp)
{
    ERRP_GUARD();
    VFIOIOASIDContainer *container;

    if (ioctl(fd, VFIO_CHECK_EXTENSION, VFIO_IOASID_IOMMU) <= 0) {
        error_setg(errp, "VFIO has no backend for /dev/ioasid");
        error_append_hint(errp, "Is its module loaded? Try: "
                          "modprobe ioasid_vfio\n");
        return NULL;
    }
    if (ioctl(group_fd, VFIO_GROUP_SET_CONTAINER, &fd)) {
        error_setg_errno(errp, errno, "Failed to set group container");
        return NULL;
    }
    if (ioctl(fd, VFIO_SET_IOMMU, VFIO_IOASID_IOMMU)) {
        error_setg_errno(errp, errno, "Failed to use /dev/ioasid for the"
                         " container");
        return NULL;
    }

    container = VFIO_IOMMU_IOASID(object_new(TYPE_VFIO_IOMMU_IOASID));
    container->be = be;
    object_ref(OBJECT(be));
    container->container.fd = fd;
    container->container.iommu_type = VFIO_IOASID_IOMMU;
    return &container->container;
}

bool vfio_ioasid_container_matches(VFIOContainerBase *bcontainer,
                                   IOASIDBackend *be)
{
    VFIOIOASIDContainer *container = (VFIOIOASIDContainer *)
        object_dynamic_cast(OBJECT(bcontainer), TYPE_VFIO_IOMMU_IOASID);

    return be == (container ? container->be : NULL);
}

static bool vfio_ioasid_setup(VFIOContainerBase *bcontainer, Error **errp)
{
    VFIOIOASIDContainer *container = VFIO_IOMMU_IOASID(bcontainer);
    g_autofree char *id = g_strdup(
        object_get_canonical_path_component(OBJECT(container->be)));

    error_setg(&container->migration_blocker, "devices use the ioasid object"
               " '%s', and /dev/ioasid does not track which memory they have"
               " written yet", id);
    if (migrate_add_blocker(&container->migration_blocker, errp)) {
        return false;
    }
    container->ioasid = ioasid_backend_alloc(container->be, errp);
    if (!container->ioasid) {
        migrate_del_blocker(&container->migration_blocker);
        return false;
    }
    /* Until a device is attached. */
    bcontainer->pgsizes = qemu_real_host_page_size();
    bcontainer->dma_max_mappings = MIN(container->be->max_mappings, UINT_MAX);
    container->ram = iova_tree_new();
    QLIST_INSERT_HEAD(&vfio_ioasid_containers, container, next);
    return true;
}

/* The last device has been closed, and nothing listens any more. */
static void vfio_ioasid_release(VFIOContainerBase *bcontainer)
{
    VFIOIOASIDContainer *container = VFIO_IOMMU_IOASID(bcontainer);

    QLIST_REMOVE(container, next);
    iova_tree_destroy(container->ram);
    ioasid_backend_free(container->be, container->ioasid);
    container->ioasid = 0;
    migrate_del_blocker(&container->migration_blocker);
}

static bool vfio_ioasid_attach(VFIODevice *vbasedev, Error **errp)
{
    VFIOIOASIDContainer *container = VFIO_IOMMU_IOASID(vbasedev->bcontainer);
    VFIOContainerBase *bcontainer = vbasedev->bcontainer;
    uint64_t page_sizes;

    if (!ioasid_backend_attach(container->be, container->ioasid,
                               container->container.fd, vbasedev->fd, errp) ||
        !ioasid_backend_geometry(container->be, container->ioasid,
                                 &bcontainer->iova_ranges, &page_sizes,
                                 errp)) {
        return false;
    }
    bcontainer->pgsizes = page_sizes;
    return bcontainer->initialized || vfio_ioasid_listen(container, errp);
}

static VFIOIOMMUClass *vfio_ioasid_parent(void)
{
    return VFIO_IOMMU_CLASS(object_class_by_name(TYPE_VFIO_IOMMU_LEGACY));
}

static bool vfio_ioasid_attach_device(const char *name, VFIODevice *vbasedev,
                                      AddressSpace *as, Error **errp)
{
    VFIOIOMMUClass *parent = vfio_ioasid_parent();

    if (!parent->attach_device(name, vbasedev, as, errp)) {
        return false;
    }
    if (!vfio_ioasid_attach(vbasedev, errp)) {
        parent->detach_device(vbasedev);
        return false;
    }
    return true;
}

static void vfio_ioasid_finalize(Object *obj)
{
    object_unref(OBJECT(VFIO_IOMMU_IOASID(obj)->be));
}

static void vfio_ioasid_class_init(ObjectClass *klass, void *data)
{
    VFIOIOMMUClass *vioc = VFIO_IOMMU_CLASS(klass);

    vioc->setup = vfio_ioasid_setup;
    vioc->release = vfio_ioasid_release;
    vioc->dma_map = vfio_ioasid_dma_map;
    vioc->dma_unmap = vfio_ioasid_dma_unmap;
    vioc->attach_device = vfio_ioasid_attach_device;
    /* Migration is blocked, so nobody asks. */
    vioc->set_dirty_page_tracking = NULL;
    vioc->query_dirty_bitmap = NULL;
}

static const TypeInfo vfio_ioasid_types[] = {
    {
        .name = TYPE_VFIO_IOMMU_IOASID,
        .parent = TYPE_VFIO_IOMMU_LEGACY,
        .instance_size = sizeof(VFIOIOASIDContainer),
        .instance_finalize = vfio_ioasid_finalize,
        .class_init = vfio_ioasid_class_init,
    },
};

DEFINE_TYPES(vfio_ioasid_types)
