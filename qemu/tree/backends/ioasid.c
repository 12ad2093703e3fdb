/*
 * SPDX-License-Identifier: GPL-2.0-or-later
 *
 * /dev/ioasid backend
 *
 * The commands of /dev/ioasid that QEMU uses.  Nothing here knows VFIO or guest
 * memory: that is hw/vfio/ioasid.c.
 */

#include "qemu/osdep.h"
#include "qapi/error.h"
#include "qapi/qapi-visit-qom.h"
#include "qapi/visitor.h"
#include "qemu/error-report.h"
#include "qemu/module.h"
#include "qemu/range.h"
#include "qom/object_interfaces.h"
#include "monitor/monitor.h"
#include "system/ioasid.h"
#include "trace.h"

#include <sys/ioctl.h>

#define IOASID_NODE "/dev/ioasid"

/* What is in use only for a moment is worth another try. */
#define IOASID_TRIES 20
#define IOASID_WAIT_US 1000

/*
 * One command.  @arg begins with size, flags and the address of @extack.
 * Returns 0 or -errno; @extack->msg is a sentence in any case.
 */
static int ioasid_command(int fd, unsigned long command, void *arg,
                          struct ioasid_extack *extack)
{
    int tries, err;

    for (tries = 0; ; tries++) {
        *extack = (struct ioasid_extack) { .size = sizeof(*extack) };
        if (!ioctl(fd, command, arg)) {
            return 0;
        }
        err = errno;
        if (tries >= IOASID_TRIES || (extack->code != IOASID_REASON_RACE &&
                                      extack->code != IOASID_REASON_RESET)) {
            break;
        }
        g_usleep(IOASID_WAIT_US);
    }
    if (!extack->msg[0]) {
        g_strlcpy(extack->msg, strerror(err), sizeof(extack->msg));
    }
    return -err;
}

uint32_t ioasid_backend_alloc(IOASIDBackend *be, Error **errp)
{
    g_autofree char *id = g_strdup(
        object_get_canonical_path_component(OBJECT(be)));
    struct ioasid_extack extack;
    struct ioasid_alloc alloc = {
        .size = sizeof(alloc),
        .extack = (uintptr_t)&extack,
        .kind = IOASID_KIND_MAPPED,
    };
    IOASIDSpace *space;

    g_strlcpy(alloc.label, be->label ?: id, sizeof(alloc.label));
    if (ioasid_command(be->fd, IOASID_ALLOC, &alloc, &extack)) {
        error_setg(errp, "cannot allocate an I/O address space: %s",
                   extack.msg);
        return 0;
    }
    space = g_new0(IOASIDSpace, 1);
    space->id = alloc.ioasid;
    QLIST_INSERT_HEAD(&be->spaces, space, next);
    trace_ioasid_backend_alloc(be->fd, alloc.ioasid);
    return alloc.ioasid;
}

void ioasid_backend_free(IOASIDBackend *be, uint32_t ioasid)
{
    struct ioasid_extack extack;
    struct ioasid_free free = {
        .size = sizeof(free),
        .extack = (uintptr_t)&extack,
        .ioasid = ioasid,
    };
    IOASIDSpace *space, *tmp;
    int ret;

    QLIST_FOREACH_SAFE(space, &be->spaces, next, tmp) {
        if (space->id == ioasid) {
            QLIST_REMOVE(space, next);
            g_free(space);
        }
    }
    ret = ioasid_command(be->fd, IOASID_FREE, &free, &extack);
    trace_ioasid_backend_free(be->fd, ioasid, ret);
    if (ret) {
        error_report("ioasid: cannot free the I/O address space %u: %s",
                     ioasid, extack.msg);
    }
}

bool ioasid_backend_attach(IOASIDBackend *be, uint32_t ioasid,
                           int container_fd, int device_fd, Error **errp)
{
    struct ioasid_extack extack;
    struct vfio_device_attach attach = {
        .argsz = sizeof(attach),
        .extack = (uintptr_t)&extack,
        .ioasid_fd = be->fd,
        .device_fd = device_fd,
        .ioasid = ioasid,
    };
    int ret;

    ret = ioasid_command(container_fd, VFIO_DEVICE_ATTACH, &attach, &extack);
    trace_ioasid_backend_attach(be->fd, ioasid, attach.dev_id, ret);
    if (ret) {
        error_setg(errp, "cannot attach the device to the I/O address space"
                   " %u: %s", ioasid, extack.msg);
        return false;
    }
    return true;
}

static int ioasid_space_info(IOASIDBackend *be, struct ioasid_space_info *info,
                             struct ioasid_extack *extack)
{
    info->size = sizeof(*info);
    info->extack = (uintptr_t)extack;
    return ioasid_command(be->fd, IOASID_SPACE_INFO, info, extack);
}

bool ioasid_backend_geometry(IOASIDBackend *be, uint32_t ioasid,
                             GList **ranges, uint64_t *page_sizes,
                             Error **errp)
{
    g_autofree struct ioasid_iova_range *have = NULL;
    struct ioasid_space_info info = { .ioasid = ioasid };
    struct ioasid_extack extack;
    uint32_t nr = 16;
    int ret;

    do {
        have = g_renew(struct ioasid_iova_range, have, nr);
        info.ranges = (uintptr_t)have;
        info.range_size = sizeof(*have);
        info.nr_ranges = nr;
        ret = ioasid_space_info(be, &info, &extack);
        nr = info.nr_ranges;
    } while (ret == -EMSGSIZE);
    if (ret) {
        error_setg(errp, "cannot ask for the geometry of the I/O address space"
                   " %u: %s", ioasid, extack.msg);
        return false;
    }

    g_list_free_full(*ranges, g_free);
    *ranges = NULL;
    for (uint32_t i = 0; i < nr; i++) {
        Range *range = g_new(Range, 1);

        range_set_bounds(range, have[i].first, have[i].last);
        *ranges = range_list_insert(*ranges, range);
        trace_ioasid_backend_usable(be->fd, ioasid, have[i].first,
                                    have[i].last);
    }
    *page_sizes = info.page_sizes;
    return true;
}

int ioasid_backend_map(IOASIDBackend *be, uint32_t ioasid,
                       struct ioasid_map_range *ranges, uint32_t nr,
                       uint32_t *failed, uint32_t *reason, Error **errp)
{
    uint32_t done, now;

    /* One command takes so many; what is mapped already stays on failure. */
    for (done = 0; done < nr; done += now) {
        struct ioasid_extack extack;
        struct ioasid_map map = {
            .size = sizeof(map),
            .extack = (uintptr_t)&extack,
            .ioasid = ioasid,
            .nr = now = MIN(nr - done, IOASID_MAX_VECTOR),
            .ranges = (uintptr_t)(ranges + done),
            .range_size = sizeof(*ranges),
        };
        int ret = ioasid_command(be->fd, IOASID_MAP, &map, &extack);

        trace_ioasid_backend_map(be->fd, ioasid, ranges[done].iova,
                                 ranges[done].length, ranges[done].flags, now,
                                 ret);
        if (ret) {
            *failed = extack.index < now ? done + extack.index :
                      now == 1 ? done : nr;
            *reason = extack.code;
            error_setg(errp, "%s", extack.msg);
            return ret;
        }
    }
    return 0;
}

int ioasid_backend_copy(IOASIDBackend *be, uint32_t src, uint32_t dst,
                        uint64_t iova, uint64_t size, bool write)
{
    struct ioasid_extack extack;
    struct ioasid_copy copy = {
        .size = sizeof(copy),
        .flags = IOASID_MAP_FIXED | IOASID_MAP_READ |
                 (write ? IOASID_MAP_WRITE : 0),
        .extack = (uintptr_t)&extack,
        .src_ioasid = src,
        .dst_ioasid = dst,
        .src_iova = iova,
        .dst_iova = iova,
        .length = size,
    };
    int ret = ioasid_command(be->fd, IOASID_COPY, &copy, &extack);

    trace_ioasid_backend_copy(be->fd, src, dst, iova, size, ret);
    return ret;
}

int ioasid_backend_unmap(IOASIDBackend *be, uint32_t ioasid, uint64_t iova,
                         uint64_t size, Error **errp)
{
    struct ioasid_extack extack;
    struct ioasid_unmap_range range = { .iova = iova, .length = size };
    struct ioasid_unmap unmap = {
        .size = sizeof(unmap),
        .flags = IOASID_UNMAP_EMPTY_OK,
        .extack = (uintptr_t)&extack,
        .ioasid = ioasid,
        .nr = 1,
        .ranges = (uintptr_t)&range,
        .range_size = sizeof(range),
    };
    int ret = ioasid_command(be->fd, IOASID_UNMAP, &unmap, &extack);

    trace_ioasid_backend_unmap(be->fd, ioasid, iova, size, unmap.unmapped,
                               ret);
    if (ret) {
        error_setg(errp, "%s", extack.msg);
    }
    return ret;
}

/* --- the object ----------------------------------------------------------- */

static bool ioasid_backend_info(IOASIDBackend *be, struct ioasid_info *info,
                                Error **errp)
{
    struct ioasid_extack extack;
    int ret;

    *info = (struct ioasid_info) {
        .size = sizeof(*info),
        .extack = (uintptr_t)&extack,
    };
    ret = ioasid_command(be->fd, IOASID_GET_INFO, info, &extack);
    if (ret == -ENOTTY) {
        error_setg(errp, "fd %d is not an open " IOASID_NODE, be->fd);
    } else if (ret) {
        error_setg(errp, IOASID_NODE ": %s", extack.msg);
    }
    return !ret;
}

static bool ioasid_backend_account(IOASIDBackend *be, Error **errp)
{
    struct ioasid_extack extack;
    struct ioasid_option option = {
        .size = sizeof(option),
        .flags = IOASID_OPTION_SET,
        .extack = (uintptr_t)&extack,
        .option = IOASID_OPTION_ACCOUNT_MODE,
        .value = be->accounting == IOASID_ACCOUNTING_USER ?
                 IOASID_ACCOUNT_USER : IOASID_ACCOUNT_MM,
    };

    if (ioasid_command(be->fd, IOASID_OPTION, &option, &extack)) {
        error_setg(errp, "cannot set accounting=%s: %s",
                   IoasidAccounting_str(be->accounting), extack.msg);
        return false;
    }
    return true;
}

static bool ioasid_backend_open(IOASIDBackend *be, Error **errp)
{
    ERRP_GUARD();

    be->fd = qemu_open(IOASID_NODE, O_RDWR, errp);
    if (be->fd >= 0) {
        be->owned = true;
        return true;
    }
    if (errno == ENOENT) {
        error_append_hint(errp, "Is the module loaded? Try: "
                          "modprobe ioasid_vfio\n");
    } else if (errno == EACCES) {
        error_append_hint(errp, "Its udev rule names the group that may open"
                          " it, kvm if nobody has changed it.\n");
    }
    return false;
}

static void ioasid_backend_complete(UserCreatable *uc, Error **errp)
{
    IOASIDBackend *be = IOASID_BACKEND(uc);
    struct ioasid_info info;

    if (be->fd < 0) {
        if (!ioasid_backend_open(be, errp)) {
            return;
        }
        /* As with type1; a context that was passed is as its owner wants it. */
        if (!be->has_accounting) {
            be->has_accounting = true;
            be->accounting = IOASID_ACCOUNTING_MM;
        }
    }
    if (!ioasid_backend_info(be, &info, errp)) {
        return;
    }
    if (be->has_accounting) {
        if (!ioasid_backend_account(be, errp)) {
            return;
        }
    } else {
        be->accounting = info.account_mode == IOASID_ACCOUNT_USER ?
                         IOASID_ACCOUNTING_USER : IOASID_ACCOUNTING_MM;
    }
    be->caps = info.caps;
    be->max_mappings = info.max_mappings;
    trace_ioasid_backend_complete(be->fd, be->owned, info.caps);
}

static bool ioasid_backend_can_be_deleted(UserCreatable *uc)
{
    return QLIST_EMPTY(&IOASID_BACKEND(uc)->spaces);
}

/* Only -object and object-add set properties, before the object is complete. */
static bool ioasid_backend_can_set(IOASIDBackend *be, const char *name,
                                   Error **errp)
{
    if (be->caps) {
        error_setg(errp, "%s cannot be changed any more", name);
    }
    return !be->caps;
}

static void ioasid_backend_set_fd(Object *obj, const char *str, Error **errp)
{
    ERRP_GUARD();
    IOASIDBackend *be = IOASID_BACKEND(obj);
    int fd;

    if (!ioasid_backend_can_set(be, "fd", errp)) {
        return;
    }
    fd = monitor_fd_param(monitor_cur(), str, errp);
    if (fd < 0) {
        error_prepend(errp, "ioasid: cannot use fd=%s: ", str);
        return;
    }
    be->fd = fd;
}

static char *ioasid_backend_get_label(Object *obj, Error **errp)
{
    return g_strdup(IOASID_BACKEND(obj)->label ?: "");
}

static void ioasid_backend_set_label(Object *obj, const char *str,
                                     Error **errp)
{
    IOASIDBackend *be = IOASID_BACKEND(obj);

    if (!ioasid_backend_can_set(be, "label", errp)) {
        return;
    }
    if (strlen(str) >= sizeof_field(struct ioasid_alloc, label)) {
        error_setg(errp, "a label has at most %zu characters",
                   sizeof_field(struct ioasid_alloc, label) - 1);
        return;
    }
    g_free(be->label);
    be->label = g_strdup(str);
}

static int ioasid_backend_get_accounting(Object *obj, Error **errp)
{
    return IOASID_BACKEND(obj)->accounting;
}

static void ioasid_backend_set_accounting(Object *obj, int value, Error **errp)
{
    IOASIDBackend *be = IOASID_BACKEND(obj);

    if (!ioasid_backend_can_set(be, "accounting", errp)) {
        return;
    }
    be->accounting = value;
    be->has_accounting = true;
}

static IoasidSpaceInfoList *ioasid_backend_spaces(IOASIDBackend *be,
                                                  Error **errp)
{
    IoasidSpaceInfoList *list = NULL;
    IOASIDSpace *space;

    QLIST_FOREACH(space, &be->spaces, next) {
        struct ioasid_space_info info = { .ioasid = space->id };
        struct ioasid_extack extack;
        IoasidSpaceInfo *value;

        if (ioasid_space_info(be, &info, &extack)) {
            error_setg(errp, "I/O address space %u: %s", space->id,
                       extack.msg);
            break;
        }
        value = g_new0(IoasidSpaceInfo, 1);
        value->ioasid = space->id;
        value->label = g_strndup(info.label, sizeof(info.label));
        value->attachments = info.nr_attachments;
        value->mappings = info.nr_mappings;
        value->mapped = info.mapped;
        value->pinned = info.pinned;
        QAPI_LIST_PREPEND(list, value);
    }
    return list;
}

static void ioasid_backend_get_info(Object *obj, Visitor *v, const char *name,
                                    void *opaque, Error **errp)
{
    ERRP_GUARD();
    IOASIDBackend *be = IOASID_BACKEND(obj);
    g_autoptr(IoasidInfo) value = NULL;
    struct ioasid_info info;

    if (!ioasid_backend_info(be, &info, errp)) {
        return;
    }
    value = g_new0(IoasidInfo, 1);
    value->mapped = info.mapped;
    value->pinned = info.pinned;
    value->spaces = ioasid_backend_spaces(be, errp);
    if (!*errp) {
        visit_type_IoasidInfo(v, name, &value, errp);
    }
}

static void ioasid_backend_init(Object *obj)
{
    IOASIDBackend *be = IOASID_BACKEND(obj);

    be->fd = -1;
    QLIST_INIT(&be->spaces);
}

static void ioasid_backend_finalize(Object *obj)
{
    IOASIDBackend *be = IOASID_BACKEND(obj);

    if (be->owned) {
        close(be->fd);
    }
    g_free(be->label);
}

static void ioasid_backend_class_init(ObjectClass *oc, void *data)
{
    UserCreatableClass *ucc = USER_CREATABLE_CLASS(oc);

    ucc->complete = ioasid_backend_complete;
    ucc->can_be_deleted = ioasid_backend_can_be_deleted;

    object_class_property_add_str(oc, "fd", NULL, ioasid_backend_set_fd);
    object_class_property_set_description(oc, "fd",
        "An open " IOASID_NODE ", instead of one that QEMU opens");
    object_class_property_add_str(oc, "label", ioasid_backend_get_label,
                                  ioasid_backend_set_label);
    object_class_property_set_description(oc, "label",
        "Name of the I/O address spaces for people, in the host's debugfs");
    object_class_property_add_enum(oc, "accounting", "IoasidAccounting",
                                   &IoasidAccounting_lookup,
                                   ioasid_backend_get_accounting,
                                   ioasid_backend_set_accounting);
    object_class_property_set_description(oc, "accounting",
        "Whose locked memory the pinned memory is");
    object_class_property_add(oc, "info", "IoasidInfo",
                              ioasid_backend_get_info, NULL, NULL, NULL);
    object_class_property_set_description(oc, "info",
        "What is mapped and pinned, and the I/O address spaces");
}

static const TypeInfo ioasid_backend_types[] = {
    {
        .name = TYPE_IOASID_BACKEND,
        .parent = TYPE_OBJECT,
        .instance_size = sizeof(IOASIDBackend),
        .instance_init = ioasid_backend_init,
        .instance_finalize = ioasid_backend_finalize,
        .class_init = ioasid_backend_class_init,
        .interfaces = (InterfaceInfo[]) {
            { TYPE_USER_CREATABLE },
            { }
        },
    },
};

DEFINE_TYPES(ioasid_backend_types)
