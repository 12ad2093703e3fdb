// SPDX-License-Identifier: GPL-2.0
/*
 * A sample glue to copy from, for a driver whose device several programs share
 * by PASIDs (ioasid_host). It must never need more of the core than
 * <linux/ioasid.h>.
 *
 * A program with a file of the driver can only make the device use the PASIDs
 * that it attached by this file, so it is safe to let it attach some.
 */
#include <linux/ioasid.h>
#include <linux/list.h>
#include <linux/module.h>
#include <linux/slab.h>
#include "compat/namespace.h"
#include "host.h"

/**
 * struct sample_use - an attachment of a file
 * @node: in sample_file.uses
 * @number: the user's number for the PASID
 * @pasid: the PASID that the device uses
 */
struct sample_use {
	struct list_head node;
	u32 number;
	u32 pasid;
};

/**
 * struct sample_file - attachments of a file of the driver
 * @node: in sample_files
 * @dev: the device
 * @ctx: the context, with a reference
 * @uses: struct sample_use
 * @ioasid: space of this file for IOASID_HOST_MAP, or 0
 * @number: the user's number for the PASID of @ioasid
 */
struct sample_file {
	struct list_head node;
	struct device *dev;
	struct ioasid_ctx *ctx;
	struct list_head uses;
	u32 ioasid;
	u32 number;
};

static DEFINE_MUTEX(sample_lock);
static LIST_HEAD(sample_files);

static struct sample_use *sample_find(struct sample_file *f, u32 number)
{
	struct sample_use *use;

	list_for_each_entry(use, &f->uses, node)
		if (use->number == number)
			return use;
	return NULL;
}

/*
 * sva_remove_device() ends all attachments of a device in a context, so two
 * files must not bind the same device to the same context.
 */
static bool sample_is_taken(struct device *dev, struct ioasid_ctx *ctx)
{
	struct sample_file *f;
	bool taken = false;

	mutex_lock(&sample_lock);
	list_for_each_entry(f, &sample_files, node)
		taken |= f->dev == dev && f->ctx == ctx;
	mutex_unlock(&sample_lock);
	return taken;
}

/*
 * Frees the space of IOASID_HOST_MAP, which is no longer attached with @number.
 * Otherwise the next map would succeed in a space that the device cannot reach.
 */
static void sample_free_space(struct sample_file *f)
{
	struct ioasid_extack extack;

	if (!f->ioasid)
		return;
	ioasid_extack_init(&extack);
	/* -EBUSY if the user has attached it by its id as well, and so keeps it */
	ioasid_space_free(f->ctx, f->ioasid, &extack);
	f->ioasid = 0;
}

static void sample_close(struct device *dev, void *data)
{
	struct sample_file *f = data;
	struct sample_use *use, *next;

	/* The device no longer uses these PASIDs, so detach all */
	sva_remove_device(f->ctx, dev);
	sample_free_space(f);
	mutex_lock(&sample_lock);
	list_del(&f->node);
	mutex_unlock(&sample_lock);
	sva_put(f->ctx);
	list_for_each_entry_safe(use, next, &f->uses, node)
		kfree(use);
	kfree(f);
}

/* The first attach of a file decides which context it uses */
static struct sample_file *sample_open(struct device *dev, int fd,
				       struct ioasid_extack *extack)
{
	struct ioasid_ctx *ctx = sva_get_from_fd(fd, extack);
	struct sample_file *f;
	int rc = -ENOMEM;

	if (IS_ERR(ctx))
		return ERR_CAST(ctx);
	if (sample_is_taken(dev, ctx)) {
		rc = ioasid_fail(extack, -EBUSY, IOASID_REASON_OWNER,
				 "device %s: another file has attached it through this context",
				 dev_name(dev));
		goto put;
	}
	f = kzalloc(sizeof(*f), GFP_KERNEL_ACCOUNT);
	if (!f) {
		ioasid_fail(extack, rc, IOASID_REASON_NO_MEMORY,
			    "no memory for an attachment");
		goto put;
	}
	f->dev = dev;
	f->ctx = ctx;
	INIT_LIST_HEAD(&f->uses);
	mutex_lock(&sample_lock);
	list_add(&f->node, &sample_files);
	mutex_unlock(&sample_lock);
	return f;
put:
	sva_put(ctx);
	return ERR_PTR(rc);
}

static int sample_register(struct sample_file *f,
			   struct ioasid_host_attach *arg,
			   struct sample_use *use, struct ioasid_extack *extack)
{
	struct ioasid_attach_params params = {
		.ioasid = arg->ioasid,
		.owner = "sample",
		.vpasid = arg->vpasid,
		.pasid = &use->pasid,
		.unsafe_interrupts = true,	/* set up by its driver, not by users */
	};
	int rc;

	rc = sva_bind_device(f->ctx, f->dev, &params, &arg->dev_id, extack);
	if (rc)
		return rc;
	if (arg->flags & IOASID_ATTACH_REPLACE)
		return sva_replace_device_pasid(f->ctx, arg->pasid, f->dev,
						&params, extack);
	return sva_register_device_to_pasid(f->ctx, arg->pasid, f->dev, &params,
					    extack);
}

static int sample_attach_use(struct sample_file *f,
			     struct ioasid_host_attach *arg,
			     struct ioasid_extack *extack)
{
	struct sample_use *use = kzalloc(sizeof(*use), GFP_KERNEL_ACCOUNT), *old;
	int rc;

	if (!use)
		return ioasid_fail(extack, -ENOMEM, IOASID_REASON_NO_MEMORY,
				   "no memory for an attachment");
	rc = sample_register(f, arg, use, extack);
	if (rc) {
		kfree(use);
		return rc;
	}
	arg->pasid = use->pasid;
	use->number = arg->vpasid ?: use->pasid;
	/* A replaced attachment keeps its entry */
	old = sample_find(f, use->number);
	if (!old) {
		list_add(&use->node, &f->uses);
		return 0;
	}
	if (use->number == f->number && arg->ioasid != f->ioasid)
		sample_free_space(f);
	old->pasid = use->pasid;
	kfree(use);
	return 0;
}

/* The state of a file, opened by its first command that needs a context */
static struct sample_file *sample_get(struct device *dev, int fd, void **data,
				      struct ioasid_extack *extack)
{
	return *data ?: sample_open(dev, fd, extack);
}

/* Ends a command; a first one that fails does not choose the context */
static int sample_done(struct device *dev, struct sample_file *f, void **data,
		       int rc)
{
	if (rc && !*data)
		sample_close(dev, f);
	else
		*data = f;
	return rc;
}

static int sample_attach(struct device *dev, struct ioasid_host_attach *arg,
			 void **data, struct ioasid_extack *extack)
{
	struct sample_file *f;

	if (arg->flags & ~IOASID_ATTACH_REPLACE)
		return ioasid_fail(extack, -EOPNOTSUPP, IOASID_REASON_FLAGS,
				   "unknown flags %#x", arg->flags);
	f = sample_get(dev, arg->ioasid_fd, data, extack);
	if (IS_ERR(f))
		return PTR_ERR(f);
	return sample_done(dev, f, data, sample_attach_use(f, arg, extack));
}

static int sample_detach(struct device *dev, struct ioasid_host_attach *arg,
			 void **data, struct ioasid_extack *extack)
{
	struct sample_file *f = *data;
	struct sample_use *use = f ? sample_find(f, arg->pasid) : NULL;
	int rc;

	if (!use)
		return ioasid_fail(extack, -ENOENT, IOASID_REASON_NOT_ATTACHED,
				   "this file has not attached PASID %u",
				   arg->pasid);
	rc = sva_unregister_device_from_pasid(f->ctx, arg->pasid, dev, extack);
	list_del(&use->node);
	kfree(use);
	if (arg->pasid == f->number)
		sample_free_space(f);
	return rc;
}

/* Allocates and attaches the space of a file with its first map */
static int sample_own_space(struct sample_file *f, struct ioasid_extack *extack)
{
	const struct ioasid_space_params params = {
		.kind = IOASID_KIND_MAPPED,
		.label = "sample",
	};
	struct ioasid_host_attach attach = { .pasid = IOASID_PASID_ANY };
	int rc;

	if (f->ioasid)
		return 0;
	rc = ioasid_space_alloc(f->ctx, &params, &attach.ioasid, extack);
	if (rc)
		return rc;
	rc = sample_attach_use(f, &attach, extack);
	if (rc) {
		ioasid_space_free(f->ctx, attach.ioasid, extack);
		return rc;
	}
	f->ioasid = attach.ioasid;
	f->number = attach.pasid;
	return 0;
}

static int sample_map(struct device *dev, struct ioasid_host_map *arg,
		      void **data, struct ioasid_extack *extack)
{
	struct ioasid_map_range range = {
		.addr = arg->addr,
		.length = arg->length,
		.flags = IOASID_MAP_READ | IOASID_MAP_WRITE,
	};
	struct sample_file *f = sample_get(dev, arg->ioasid_fd, data, extack);
	int rc;

	if (IS_ERR(f))
		return PTR_ERR(f);
	rc = sample_own_space(f, extack);
	if (!rc)
		rc = ioasid_space_map(f->ctx, f->ioasid, &range, 1, extack);
	arg->iova = range.iova;
	arg->number = f->number;
	return sample_done(dev, f, data, rc);
}

static int sample_unmap(struct device *dev, struct ioasid_host_map *arg,
			void **data, struct ioasid_extack *extack)
{
	const struct ioasid_unmap_range range = {
		.iova = arg->iova,
		.length = arg->length,
	};
	struct sample_file *f = *data;

	if (!f || !f->ioasid)
		return ioasid_fail(extack, -ENOENT, IOASID_REASON_NOT_MAPPED,
				   "this file has mapped nothing");
	if (arg->length)
		return ioasid_space_unmap(f->ctx, f->ioasid, &range, 1, 0,
					  &arg->length, extack);
	return ioasid_space_unmap_all(f->ctx, f->ioasid, &arg->length, extack);
}

static int sample_pasid(void *data, u32 number, u32 *pasid)
{
	struct sample_use *use = data ? sample_find(data, number) : NULL;

	if (!use)
		return -ENOENT;
	*pasid = use->pasid;
	return 0;
}

static const struct ioasid_host_glue sample_glue = {
	.owner = THIS_MODULE,
	.extack_check = ioasid_extack_check,
	.extack_to_user = ioasid_extack_to_user,
	.attach = sample_attach,
	.detach = sample_detach,
	.map = sample_map,
	.unmap = sample_unmap,
	.close = sample_close,
	.pasid = sample_pasid,
};

static int __init sample_init(void)
{
	return ioasid_host_register(&sample_glue);
}
module_init(sample_init);

static void __exit sample_exit(void)
{
	ioasid_host_unregister(&sample_glue);
}
module_exit(sample_exit);

MODULE_DESCRIPTION("Sample: glue between a host driver and /dev/ioasid");
MODULE_AUTHOR("The ioasid developers");
MODULE_LICENSE("GPL");
IOASID_IMPORT_NS(IOASID);
