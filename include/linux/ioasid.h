/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The interface of /dev/ioasid for glue modules (VFIO, vDPA, a mediated
 * driver), which attach the devices of their framework. A glue vouches for the
 * owner of the device and checks that the caller controls it; it must never pin
 * memory or access an IOMMU domain by itself.
 *
 * Lifetime of a device: sva_get_from_fd() takes a reference on the context of
 * the user's fd; sva_bind_device() binds the device to it;
 * sva_register_device_to_pasid(), sva_replace_device_pasid() and
 * sva_unregister_device_from_pasid() attach and detach it; sva_remove_device()
 * detaches it from all spaces and unbinds it, and must return before the owner
 * releases the device's IOMMU group. The reference on the context, not the
 * user's fd, keeps the DMA of attached devices alive.
 *
 * A framework whose devices are files only needs a struct ioasid_resolver: the
 * core finds the device of a file that is given to IOASID_DEVICE_ATTACH, and
 * keeps the file open while the device is bound. The glue then has nothing to
 * undo.
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

/**
 * ioasid_extack_init() - initialise an extack as empty
 * @extack: the extack, to be copied to the user by ioasid_extack_to_user()
 *
 * Leaves the rest of the text uninitialised, since commands that succeed do not
 * use it: only ioasid_extack_to_user() may copy it to the user.
 *
 * Context: any.
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
 * struct ioasid_attach_params - parameters to bind and attach a device
 * @ioasid: id of the space in the context
 * @owner: name of the framework that owns the device, at most 15 characters;
 *	must stay valid while the device is bound
 * @cookie: the user's number for records of the attachment, or 0 for that of the
 *	device; to bind a device: that of the device
 * @vpasid: the user's number for the PASID, or 0 to use the PASID itself
 * @pasid: out: the PASID; or NULL
 * @dev_id: out: the id of the device in the context, from
 *	sva_register_device_to_pasid() and sva_replace_device_pasid(); or NULL
 * @unsafe_interrupts: the administrator accepts a group whose interrupts are
 *	not isolated
 */
struct ioasid_attach_params {
	u32 ioasid;
	const char *owner;
	u64 cookie;
	u32 vpasid;
	u32 *pasid;
	u32 *dev_id;
	bool unsafe_interrupts;
};

/**
 * struct ioasid_space_params - parameters of a new space
 * @kind: enum ioasid_kind
 * @flags: IOASID_ALLOC_*
 * @parent: id of the space that it is nested in, or 0
 * @data_type: type of @data, or 0
 * @data_len: length of @data in bytes
 * @data: user address of data for the IOMMU driver, or 0
 * @label: label for debugfs, printable ASCII, or NULL
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

int sva_register_device_to_pasid(struct ioasid_ctx *ctx, u32 pasid,
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
 * struct ioasid_file_info - the device of an open file
 * @dev: the device
 * @lock: serialises opening, closing and resetting the device; or NULL. The
 *	core takes it before any lock of its own, and holds it while it attaches
 *	and detaches a device that a command names by its file; not by its id
 * @rid_taken: its owner has attached its RID, and keeps using it
 * @unsafe_interrupts: as in struct ioasid_attach_params
 *
 * While the file is open, all members stay valid, the device keeps its driver
 * and stays open, and its owner owns the DMA of its group.
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
 * @module: referenced while a device is bound by one of its files
 * @resolve: fills in @info from @file. Returns 0; -ENOTTY if the file is of
 *	another framework; or another error, with the reason in @extack, if the
 *	file is of this framework but is not a device, or gives no right to use
 *	it. Called with a lock of the core held, so it must call nothing of the
 *	core but ioasid_fail()
 * @link: used by the core
 *
 * The core relies on the resolver alone to check that the owner of the file
 * controls the device.
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
