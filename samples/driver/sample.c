// SPDX-License-Identifier: GPL-2.0
/*
 * A third consumer of /dev/ioasid, beside VFIO and vDPA: the glue between it and
 * a driver whose device several programs share by PASIDs (ioasid_host). Copy from
 * this file. It must never need more of /dev/ioasid than <linux/ioasid.h>.
 *
 * Who has a file of the driver controls no more of the device than the PASIDs
 * that this file attached, which is why attaching some by itself is safe.
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
 * @number: by what the file knows it
 * @pasid: what the device must be told
 */
struct sample_use {
	struct list_head node;
	u32 number;
	u32 pasid;
};

/**
 * struct sample_file - what a file of the driver has attached
 * @node: in sample_files
 * @dev: the device
 * @sva: the context, with a reference
 * @uses: struct sample_use
 */
struct sample_file {
	struct list_head node;
	struct device *dev;
	struct ioasid_ctx *sva;
	struct list_head uses;
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
 * sva_remove_device() takes a device out of a context, whoever has attached it:
 * two files must not know the same device to the same context.
 */
static bool sample_is_taken(struct device *dev, struct ioasid_ctx *sva)
{
	struct sample_file *f;
	bool taken = false;

	mutex_lock(&sample_lock);
	list_for_each_entry(f, &sample_files, node)
		taken |= f->dev == dev && f->sva == sva;
	mutex_unlock(&sample_lock);
	return taken;
}

static void sample_close(struct device *dev, void *data)
{
	struct sample_file *f = data;
	struct sample_use *use, *next;

	/* The device does nothing by these PASIDs any more: detaches all of them */
	sva_remove_device(f->sva, dev);
	mutex_lock(&sample_lock);
	list_del(&f->node);
	mutex_unlock(&sample_lock);
	sva_put(f->sva);
	list_for_each_entry_safe(use, next, &f->uses, node)
		kfree(use);
	kfree(f);
}

/* The first attach of a file decides which context it uses */
static struct sample_file *sample_open(struct device *dev, int fd,
				       struct ioasid_explain *why)
{
	struct ioasid_ctx *sva = sva_get_from_fd(fd, why);
	struct sample_file *f;
	int rc = -ENOMEM;

	if (IS_ERR(sva))
		return ERR_CAST(sva);
	if (sample_is_taken(dev, sva)) {
		rc = ioasid_fail(why, -EBUSY, IOASID_REASON_OWNER,
				 "device %s: another file has attached it through this context",
				 dev_name(dev));
		goto put;
	}
	f = kzalloc(sizeof(*f), GFP_KERNEL_ACCOUNT);
	if (!f) {
		ioasid_fail(why, rc, IOASID_REASON_NO_MEMORY,
			    "no memory for an attachment");
		goto put;
	}
	f->dev = dev;
	f->sva = sva;
	INIT_LIST_HEAD(&f->uses);
	mutex_lock(&sample_lock);
	list_add(&f->node, &sample_files);
	mutex_unlock(&sample_lock);
	return f;
put:
	sva_put(sva);
	return ERR_PTR(rc);
}

static int sample_register(struct sample_file *f, struct ioasid_host_attach *arg,
			   struct sample_use *use, struct ioasid_explain *why)
{
	struct ioasid_attach_params params = {
		.ioasid = arg->ioasid,
		.owner = "sample",
		.vpasid = arg->vpasid,
		.pasid = &use->pasid,
		.unsafe_interrupts = true,	/* its driver, not its users, sets them up */
	};
	struct ioasid_attachment *att;
	int rc;

	rc = sva_add_device(f->sva, f->dev, &params, &arg->dev_id, why);
	if (rc)
		return rc;
	if (arg->flags & IOASID_ATTACH_REPLACE)
		return sva_replace_device_pasid(f->sva, arg->pasid, f->dev,
						&params, why);
	att = sva_register_device_to_pasid(f->sva, arg->pasid, f->dev, &params,
					   why);
	return PTR_ERR_OR_ZERO(att);
}

static int sample_attach_use(struct sample_file *f, struct ioasid_host_attach *arg,
			     struct ioasid_explain *why)
{
	struct sample_use *use = kzalloc(sizeof(*use), GFP_KERNEL_ACCOUNT), *old;
	int rc;

	if (!use)
		return ioasid_fail(why, -ENOMEM, IOASID_REASON_NO_MEMORY,
				   "no memory for an attachment");
	rc = sample_register(f, arg, use, why);
	if (rc) {
		kfree(use);
		return rc;
	}
	arg->pasid = use->pasid;
	use->number = arg->vpasid ?: use->pasid;
	/* What was replaced has its place already */
	old = sample_find(f, use->number);
	if (old)
		kfree(use);
	else
		list_add(&use->node, &f->uses);
	return 0;
}

static int sample_attach(struct device *dev, struct ioasid_host_attach *arg,
			 void **data)
{
	struct sample_file *f = *data;
	struct ioasid_explain why;
	int rc = ioasid_explain_check(arg->extack);

	if (rc)
		return rc;
	ioasid_explain_init(&why);
	if (arg->flags & ~IOASID_ATTACH_REPLACE)
		rc = ioasid_fail(&why, -EOPNOTSUPP, IOASID_REASON_FLAGS,
				 "unknown flags %#x", arg->flags);
	if (!rc && !f) {
		f = sample_open(dev, arg->ioasid_fd, &why);
		rc = PTR_ERR_OR_ZERO(f);
	}
	if (!rc) {
		rc = sample_attach_use(f, arg, &why);
		if (rc && !*data)
			sample_close(dev, f);
		else
			*data = f;
	}
	ioasid_explain_to_user(&why, arg->extack, rc);
	return rc;
}

static int sample_detach(struct device *dev, struct ioasid_host_attach *arg,
			 void **data)
{
	struct sample_file *f = *data;
	struct ioasid_explain why;
	struct sample_use *use;
	int rc = ioasid_explain_check(arg->extack);

	if (rc)
		return rc;
	ioasid_explain_init(&why);
	use = f ? sample_find(f, arg->pasid) : NULL;
	if (!use)
		rc = ioasid_fail(&why, -ENOENT, IOASID_REASON_NOT_ATTACHED,
				 "this file has not attached PASID %u", arg->pasid);
	else
		rc = sva_unregister_device_from_pasid(f->sva, arg->pasid, dev, &why);
	if (use) {
		list_del(&use->node);
		kfree(use);
	}
	ioasid_explain_to_user(&why, arg->extack, rc);
	return rc;
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
	.attach = sample_attach,
	.detach = sample_detach,
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

MODULE_DESCRIPTION("Sample: the device of a driver of the host behind /dev/ioasid");
MODULE_AUTHOR("The ioasid developers");
MODULE_LICENSE("GPL");
IOASID_IMPORT_NS(IOASID);
