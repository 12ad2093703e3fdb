/* SPDX-License-Identifier: GPL-2.0 */
/*
 * What a glue module (VFIO, vDPA, a mediated driver) calls to put the devices
 * of its framework behind /dev/ioasid. A glue states who owns a device and
 * proves that the caller controls it; it must never map, pin or touch an IOMMU
 * domain by itself.
 *
 * Life of a device: sva_get_from_fd() takes a reference on the context behind
 * the user's fd; sva_bind_device() makes a device known there;
 * sva_register_device_to_pasid(), sva_replace_device_pasid() and
 * sva_unregister_device_from_pasid() attach and detach it; sva_remove_device()
 * detaches whatever is still attached, and must have returned before the
 * owner gives up the device's IOMMU group. The reference on the context, not
 * the user's fd, keeps the DMA of attached devices alive.
 *
 * A framework whose devices are files needs less: with a struct ioasid_resolver
 * the core finds the device behind a file that the user gives to
 * IOASID_DEVICE_ATTACH, and keeps that file open as long as the device is
 * attached. The glue has nothing to undo then.
 */
#ifndef _LINUX_IOASID_H
#define _LINUX_IOASID_H

#include <linux/device.h>
#include <linux/list.h>
#include <linux/types.h>
#include <uapi/linux/ioasid.h>

struct file;
struct ioasid_ctx;
struct module;
struct mutex;
struct ioasid_attachment;

/**
 * ioasid_extack_init() - prepare the reason of an error
 * @extack: where it is noted; handed down by pointer, and given to the user by
 *	ioasid_extack_to_user()
 *
 * Only marks it as empty: the text is left uninitialised, since commands that
 * succeed never look at it.
 */
static inline void ioasid_extack_init(struct ioasid_extack *extack)
{
	extack->code = IOASID_REASON_NONE;
	extack->ioasid = 0;
	extack->dev_id = 0;
	extack->index = IOASID_NO_INDEX;
	extack->pasid = 0;
	extack->value = 0;
	extack->msg[0] = '\0';
}

int ioasid_extack_check(u64 uptr);
void ioasid_extack_to_user(struct ioasid_extack *extack, u64 uptr, int err);
int __printf(4, 5) ioasid_fail(struct ioasid_extack *extack, int err,
			       enum ioasid_reason code, const char *fmt, ...);

/**
 * struct ioasid_attach_params - how to make a device known and attach it
 * @ioasid: id of the space in the context
 * @owner: name of the framework that owns the device, at most 15 characters;
 *	must outlive the device's time in the context
 * @cookie: the user's number for the device
 * @vpasid: the user's number for the PASID, or 0 for its own
 * @pasid: where to put the PASID, or NULL
 * @unsafe_interrupts: the glue's administrator accepts a group whose
 *	interrupts are not isolated
 */
struct ioasid_attach_params {
	u32 ioasid;
	const char *owner;
	u64 cookie;
	u32 vpasid;
	u32 *pasid;
	bool unsafe_interrupts;
};

/**
 * struct ioasid_space_params - what a new space is to be
 * @kind: enum ioasid_kind
 * @flags: IOASID_ALLOC_*
 * @parent: id of the space that it is nested in, or 0
 * @data_type: what @data is, or 0
 * @data_len: bytes of @data
 * @data: the user's address of what the IOMMU driver is to be given, or 0
 * @label: a name for people, or NULL
 */
struct ioasid_space_params {
	u32 kind;
	u32 flags;
	u32 parent;
	u32 data_type;
	u32 data_len;
	u64 data;
	const char *label;
};

struct ioasid_ctx *sva_get_from_fd(int fd, struct ioasid_extack *extack);
void sva_put(struct ioasid_ctx *ctx);

int sva_bind_device(struct ioasid_ctx *ctx, struct device *dev,
		    const struct ioasid_attach_params *params, u32 *dev_id,
		    struct ioasid_extack *extack);
int sva_unbind_device(struct ioasid_ctx *ctx, struct device *dev,
		      struct ioasid_extack *extack);
void sva_remove_device(struct ioasid_ctx *ctx, struct device *dev);

struct ioasid_attachment *
sva_register_device_to_pasid(struct ioasid_ctx *ctx, u32 pasid,
			     struct device *dev,
			     const struct ioasid_attach_params *params,
			     struct ioasid_extack *extack);
int sva_replace_device_pasid(struct ioasid_ctx *ctx, u32 pasid,
			     struct device *dev,
			     const struct ioasid_attach_params *params,
			     struct ioasid_extack *extack);
int sva_unregister_device_from_pasid(struct ioasid_ctx *ctx, u32 pasid,
				     struct device *dev,
				     struct ioasid_extack *extack);

int ioasid_space_alloc(struct ioasid_ctx *ctx,
		       const struct ioasid_space_params *params, u32 *ioasid,
		       struct ioasid_extack *extack);
int ioasid_space_free(struct ioasid_ctx *ctx, u32 ioasid,
		      struct ioasid_extack *extack);
int ioasid_space_map(struct ioasid_ctx *ctx, u32 ioasid,
		     struct ioasid_map_range *ranges, u32 nr,
		     struct ioasid_extack *extack);
int ioasid_space_unmap(struct ioasid_ctx *ctx, u32 ioasid,
		       const struct ioasid_unmap_range *ranges, u32 nr,
		       u32 flags, u64 *unmapped, struct ioasid_extack *extack);
int ioasid_space_unmap_all(struct ioasid_ctx *ctx, u32 ioasid, u64 *unmapped,
			   struct ioasid_extack *extack);
struct ioasid_iova_range *ioasid_space_ranges(struct ioasid_ctx *ctx,
					      u32 ioasid, u32 *nr,
					      struct ioasid_extack *extack);

/**
 * struct ioasid_file_info - what an open file says of a device
 * @dev: the device
 * @lock: serialises opening, closing and resetting the device; or NULL. The core
 *	takes it before any lock of its own, and holds it while it attaches and
 *	detaches
 * @rid_taken: its owner has attached its RID, and goes on using it
 * @unsafe_interrupts: as in struct ioasid_attach_params
 *
 * All of it stays true while the file is open: the device and its driver are
 * there, the device is open, the owner owns the DMA of its group.
 */
struct ioasid_file_info {
	struct device *dev;
	struct mutex *lock;
	bool rid_taken;
	bool unsafe_interrupts;
};

/**
 * struct ioasid_resolver - finds the device behind a file of a framework
 * @owner: name of the framework that owns the devices, at most 15 characters
 * @module: cannot be unloaded while a device is known by one of its files
 * @resolve: looks at @file and fills in @info. Returns 0; -ENOTTY for a file of
 *	another framework: the next resolver is asked; or another error, with the
 *	reason in @extack, for a file of its own that names no device, or proves no
 *	right to use it. Called with a lock of the core held, and must not call it
 * @link: the core's
 *
 * Whoever has such a file controls the device: the core asks for nothing else.
 */
struct ioasid_resolver {
	const char *owner;
	struct module *module;
	int (*resolve)(struct file *file, struct ioasid_file_info *info,
		       struct ioasid_extack *extack);
	struct list_head link;
};

void ioasid_register_resolver(struct ioasid_resolver *resolver);
void ioasid_unregister_resolver(struct ioasid_resolver *resolver);

#endif /* _LINUX_IOASID_H */
