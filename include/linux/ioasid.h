/* SPDX-License-Identifier: GPL-2.0 */
/*
 * What a glue module (VFIO, vDPA, a mediated driver) calls to put the devices
 * of its framework behind /dev/ioasid. A glue states who owns a device and
 * proves that the caller controls it; it must never map, pin or touch an IOMMU
 * domain by itself.
 *
 * Life of a device: sva_get_from_fd() takes a reference on the context behind
 * the user's fd; sva_add_device() makes a device known there;
 * sva_register_device_to_pasid(), sva_replace_device_pasid() and
 * sva_unregister_device_from_pasid() attach and detach it; sva_remove_device()
 * detaches whatever is still attached, and must have returned before the
 * owner gives up the device's IOMMU group. The reference on the context, not
 * the user's fd, keeps the DMA of attached devices alive.
 */
#ifndef _LINUX_IOASID_H
#define _LINUX_IOASID_H

#include <linux/device.h>
#include <linux/types.h>
#include <uapi/linux/ioasid.h>

struct ioasid_ctx;
struct ioasid_attachment;

/**
 * struct ioasid_explain - the reason behind an error, on its way to the user
 * @code: enum ioasid_reason
 * @ioasid: the space concerned, or 0
 * @dev_id: the device concerned, or 0
 * @index: the element of a vector, or IOASID_NO_INDEX
 * @pasid: the PASID concerned, or 0
 * @value: address, length or limit, by @code
 * @msg: a sentence
 *
 * One lives on the stack of each command. Prepare it with
 * ioasid_explain_init(), hand it down, and give it to the user with
 * ioasid_explain_to_user().
 */
struct ioasid_explain {
	u32 code;
	u32 ioasid;
	u32 dev_id;
	u32 index;
	u32 pasid;
	u64 value;
	char msg[IOASID_EXTACK_MSG];
};

/**
 * ioasid_explain_init() - prepare an explanation
 * @why: the explanation
 *
 * Only marks it as empty: the text is left uninitialised, since commands that
 * succeed never look at it.
 */
static inline void ioasid_explain_init(struct ioasid_explain *why)
{
	why->code = IOASID_REASON_NONE;
	why->ioasid = 0;
	why->dev_id = 0;
	why->index = IOASID_NO_INDEX;
	why->pasid = 0;
	why->value = 0;
	why->msg[0] = '\0';
}

int ioasid_explain_check(u64 uptr);
void ioasid_explain_to_user(struct ioasid_explain *why, u64 uptr, int err);
int __printf(4, 5) ioasid_fail(struct ioasid_explain *why, int err,
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

struct ioasid_ctx *sva_get_from_fd(int fd, struct ioasid_explain *why);
void sva_put(struct ioasid_ctx *sva);

int sva_add_device(struct ioasid_ctx *sva, struct device *dev,
		   const struct ioasid_attach_params *params, u32 *dev_id,
		   struct ioasid_explain *why);
int sva_forget_device(struct ioasid_ctx *sva, struct device *dev,
		      struct ioasid_explain *why);
void sva_remove_device(struct ioasid_ctx *sva, struct device *dev);

struct ioasid_attachment *
sva_register_device_to_pasid(struct ioasid_ctx *sva, u32 pasid,
			     struct device *dev,
			     const struct ioasid_attach_params *params,
			     struct ioasid_explain *why);
int sva_replace_device_pasid(struct ioasid_ctx *sva, u32 pasid,
			     struct device *dev,
			     const struct ioasid_attach_params *params,
			     struct ioasid_explain *why);
int sva_unregister_device_from_pasid(struct ioasid_ctx *sva, u32 pasid,
				     struct device *dev,
				     struct ioasid_explain *why);

#endif /* _LINUX_IOASID_H */
