// SPDX-License-Identifier: GPL-2.0
/*
 * A host driver for a device with PASIDs. It shares the memory of its users
 * with the device by itself (SVA), as drivers of accelerators do, and calls
 * nothing of /dev/ioasid; a glue can also attach the device to spaces of
 * /dev/ioasid. It must never let a file make the device use a PASID that does
 * not belong to the file.
 *
 * It binds by driver_override to endpoints of ioasid_sim, whose DMA it starts,
 * and to PCI devices, whose registers a test maps by itself.
 */
#include <linux/ioasid.h>
#include <linux/iommu.h>
#include <linux/miscdevice.h>
#include <linux/module.h>
#include <linux/pci.h>
#include <linux/platform_device.h>
#include <linux/sched/mm.h>
#include <linux/slab.h>
#include <linux/uaccess.h>
#include "compat/iopf.h"
#include "compat/namespace.h"
#include "sim/sim.h"
#include "host.h"

/**
 * struct host_dev - a device
 * @ref: held by the driver and by each open file
 * @misc: its device node
 * @name: name of the node
 * @lock: write: files, attachments; read: DMA in progress
 * @dev: the device; NULL after it is removed
 * @files: struct host_file
 */
struct host_dev {
	struct kref ref;
	struct miscdevice misc;
	char name[64];
	struct rw_semaphore lock;
	struct device *dev;
	struct list_head files;
};

/**
 * struct host_file - an open file
 * @node: in host_dev.files
 * @hd: the device
 * @sva: bond of IOASID_HOST_SVA, or NULL
 * @iopf: page requests are enabled for it
 * @glue: the glue that @data belongs to; its module is referenced. Set once,
 *	under host_glue_lock, before @data
 * @data: attachments of the glue, or NULL
 */
struct host_file {
	struct list_head node;
	struct host_dev *hd;
	struct iommu_sva *sva;
	bool iopf;
	const struct ioasid_host_glue *glue;
	void *data;
};

static DEFINE_MUTEX(host_glue_lock);
static const struct ioasid_host_glue *host_glue;

/**
 * ioasid_host_register() - register the glue
 * @glue: must stay valid until ioasid_host_unregister()
 *
 * Context: can sleep.
 *
 * Return: 0, or -EBUSY if there is a glue already.
 */
int ioasid_host_register(const struct ioasid_host_glue *glue)
{
	guard(mutex)(&host_glue_lock);
	if (host_glue)
		return -EBUSY;
	host_glue = glue;
	return 0;
}
EXPORT_SYMBOL_GPL(ioasid_host_register);

/**
 * ioasid_host_unregister() - undo ioasid_host_register()
 * @glue: no file uses it any more, as its module has no references
 *
 * Context: can sleep.
 */
void ioasid_host_unregister(const struct ioasid_host_glue *glue)
{
	guard(mutex)(&host_glue_lock);
	host_glue = NULL;
}
EXPORT_SYMBOL_GPL(ioasid_host_unregister);

/* The first glue that a file uses stays its glue */
static const struct ioasid_host_glue *host_get_glue(struct host_file *f)
{
	guard(mutex)(&host_glue_lock);
	if (!f->glue && host_glue && try_module_get(host_glue->owner))
		f->glue = host_glue;
	return f->glue;
}

static void host_dev_release(struct kref *ref)
{
	kfree(container_of(ref, struct host_dev, ref));
}

/*
 * Locks the device for everything but DMA. No user memory is copied under the lock,
 * since a program can delay that for any length of time.
 */
static int host_lock(struct host_dev *hd)
{
	if (down_write_killable(&hd->lock))
		return -EINTR;
	if (hd->dev)
		return 0;
	up_write(&hd->lock);
	return -ENODEV;
}

static void host_unlock(struct host_dev *hd)
{
	up_write(&hd->lock);
}

/* --- SVA by the driver -------------------------------------------------- */

static int host_sva_enable(struct host_file *f)
{
	int rc = compat_iopf_enable(f->hd->dev);

	f->iopf = !rc;
	if (rc && rc != -ENODEV && rc != -EBUSY)
		return rc;
	rc = compat_sva_enable(f->hd->dev);
	return rc == -EBUSY ? 0 : rc;
}

static int host_sva_begin(struct host_file *f, u32 *pasid)
{
	struct iommu_sva *sva;
	int rc;

	lockdep_assert_held_write(&f->hd->lock);
	if (f->sva)
		return -EBUSY;
	rc = host_sva_enable(f);
	if (rc)
		return rc;
	sva = iommu_sva_bind_device(f->hd->dev, current->mm);
	if (IS_ERR(sva))
		return PTR_ERR(sva);
	*pasid = iommu_sva_get_pasid(sva);
	f->sva = sva;
	return 0;
}

static int host_sva_end(struct host_file *f)
{
	lockdep_assert_held_write(&f->hd->lock);
	if (!f->sva)
		return -ENOENT;
	iommu_sva_unbind_device(f->sva);
	f->sva = NULL;
	return 0;
}

/* --- ioctls ------------------------------------------------------------- */

static int host_ioctl_sva(struct host_file *f, u32 __user *upasid)
{
	u32 pasid;
	int rc;

	/* Fails on unwritable memory before anything is bound */
	if (put_user(0, upasid))
		return -EFAULT;
	rc = host_lock(f->hd);
	if (rc)
		return rc;
	rc = host_sva_begin(f, &pasid);
	host_unlock(f->hd);
	return rc ?: put_user(pasid, upasid);
}

static int host_ioctl_sva_end(struct host_file *f)
{
	int rc = host_lock(f->hd);

	if (rc)
		return rc;
	rc = host_sva_end(f);
	host_unlock(f->hd);
	return rc;
}

/* @glue is set before @data, and neither changes while the lock is held */
static int host_pasid(struct host_file *f, const struct ioasid_host_dma *arg, u32 *pasid)
{
	lockdep_assert_held(&f->hd->lock);
	if (!(arg->flags & IOASID_HOST_DMA_SVA))
		return f->data ? f->glue->pasid(f->data, arg->number, pasid) : -ENOENT;
	if (!f->sva)
		return -ENOENT;
	*pasid = iommu_sva_get_pasid(f->sva);
	return 0;
}

static int host_dma_locked(struct host_file *f, const struct ioasid_host_dma *arg,
			   void *buf)
{
	u32 access = (arg->flags & IOASID_HOST_DMA_WRITE ? SIM_WRITE : 0) |
		     (arg->flags & IOASID_HOST_DMA_REQUEST ? SIM_REQUEST : 0);
	struct ioasid_sim_dev *sdev;
	u32 pasid;
	int rc;

	lockdep_assert_held(&f->hd->lock);
	if (!f->hd->dev)
		return -ENODEV;
	sdev = ioasid_sim_dev(f->hd->dev);
	if (!sdev)
		return -ENOTTY;
	rc = host_pasid(f, arg, &pasid);
	if (rc)
		return rc;
	/* Blocked DMA is -EACCES, since -EFAULT is a bad @addr */
	return ioasid_sim_dma(sdev, pasid, arg->iova, buf, arg->length, access, NULL) ?
	       -EACCES : 0;
}

static int host_dma(struct host_file *f, const struct ioasid_host_dma *arg, void *buf)
{
	int rc;

	if (down_read_killable(&f->hd->lock))
		return -EINTR;
	rc = host_dma_locked(f, arg, buf);
	up_read(&f->hd->lock);
	return rc;
}

static int host_ioctl_dma(struct host_file *f, const struct ioasid_host_dma __user *uarg)
{
	struct ioasid_host_dma arg;
	void __user *user;
	bool write;
	void *buf;
	int rc = 0;

	if (copy_from_user(&arg, uarg, sizeof(arg)))
		return -EFAULT;
	if (arg.__reserved || !arg.length || arg.length > IOASID_HOST_DMA_MAX)
		return -EINVAL;
	buf = kzalloc(IOASID_HOST_DMA_MAX, GFP_KERNEL_ACCOUNT);
	if (!buf)
		return -ENOMEM;
	user = u64_to_user_ptr(arg.addr);
	write = arg.flags & IOASID_HOST_DMA_WRITE;
	if (write && copy_from_user(buf, user, arg.length))
		rc = -EFAULT;
	if (!rc)
		rc = host_dma(f, &arg, buf);
	if (!rc && !write && copy_to_user(user, buf, arg.length))
		rc = -EFAULT;
	kfree(buf);
	return rc;
}

/* Copies a struct that begins with the address of an extack, and checks that */
static int host_get_arg(const struct ioasid_host_glue *glue, void *arg,
			const void __user *uarg, size_t size)
{
	if (!glue)
		return -ENOTTY;
	if (copy_from_user(arg, uarg, size))
		return -EFAULT;
	return glue->extack_check(*(u64 *)arg);
}

static int host_ioctl_attach(struct host_file *f, unsigned int cmd,
			     struct ioasid_host_attach __user *uarg)
{
	const struct ioasid_host_glue *glue = host_get_glue(f);
	struct ioasid_host_attach arg;
	struct ioasid_extack extack;
	int rc = host_get_arg(glue, &arg, uarg, sizeof(arg));

	static_assert(!offsetof(struct ioasid_host_attach, extack));
	if (rc)
		return rc;
	ioasid_extack_init(&extack);
	rc = host_lock(f->hd);
	if (!rc) {
		if (cmd == IOASID_HOST_ATTACH)
			rc = glue->attach(f->hd->dev, &arg, &f->data, &extack);
		else
			rc = glue->detach(f->hd->dev, &arg, &f->data, &extack);
		host_unlock(f->hd);
	}
	glue->extack_to_user(&extack, arg.extack, rc);
	if (!rc && cmd == IOASID_HOST_ATTACH && copy_to_user(uarg, &arg, sizeof(arg)))
		rc = -EFAULT;
	return rc;
}

static int host_ioctl_map(struct host_file *f, unsigned int cmd,
			  struct ioasid_host_map __user *uarg)
{
	const struct ioasid_host_glue *glue = host_get_glue(f);
	struct ioasid_host_map arg;
	struct ioasid_extack extack;
	int rc = host_get_arg(glue, &arg, uarg, sizeof(arg));

	static_assert(!offsetof(struct ioasid_host_map, extack));
	if (rc)
		return rc;
	ioasid_extack_init(&extack);
	rc = host_lock(f->hd);
	if (!rc) {
		if (cmd == IOASID_HOST_MAP)
			rc = glue->map(f->hd->dev, &arg, &f->data, &extack);
		else
			rc = glue->unmap(f->hd->dev, &arg, &f->data, &extack);
		host_unlock(f->hd);
	}
	glue->extack_to_user(&extack, arg.extack, rc);
	if (!rc && copy_to_user(uarg, &arg, sizeof(arg)))
		rc = -EFAULT;
	return rc;
}

static long host_ioctl(struct file *file, unsigned int cmd, unsigned long arg)
{
	struct host_file *f = file->private_data;
	void __user *uarg = (void __user *)arg;

	switch (cmd) {
	case IOASID_HOST_SVA:
		return host_ioctl_sva(f, uarg);
	case IOASID_HOST_SVA_END:
		return host_ioctl_sva_end(f);
	case IOASID_HOST_ATTACH:
	case IOASID_HOST_DETACH:
		return host_ioctl_attach(f, cmd, uarg);
	case IOASID_HOST_MAP:
	case IOASID_HOST_UNMAP:
		return host_ioctl_map(f, cmd, uarg);
	case IOASID_HOST_DMA:
		return host_ioctl_dma(f, uarg);
	default:
		return -ENOTTY;
	}
}

/* Detaches everything that the file has attached */
static void host_stop(struct host_file *f)
{
	lockdep_assert_held_write(&f->hd->lock);
	host_sva_end(f);
	if (f->data)
		f->glue->close(f->hd->dev, f->data);
	f->data = NULL;
}

static int host_open(struct inode *inode, struct file *file)
{
	struct host_dev *hd = container_of(file->private_data, struct host_dev, misc);
	struct host_file *f = kzalloc(sizeof(*f), GFP_KERNEL_ACCOUNT);

	if (!f)
		return -ENOMEM;
	f->hd = hd;
	kref_get(&hd->ref);
	down_write(&hd->lock);
	list_add(&f->node, &hd->files);
	up_write(&hd->lock);
	file->private_data = f;
	return 0;
}

static int host_release(struct inode *inode, struct file *file)
{
	struct host_file *f = file->private_data;
	struct host_dev *hd = f->hd;

	down_write(&hd->lock);
	if (hd->dev)
		host_stop(f);
	list_del(&f->node);
	up_write(&hd->lock);
	if (f->glue)
		module_put(f->glue->owner);
	kref_put(&hd->ref, host_dev_release);
	kfree(f);
	return 0;
}

static const struct file_operations host_fops = {
	.owner = THIS_MODULE,
	.open = host_open,
	.release = host_release,
	.unlocked_ioctl = host_ioctl,
};

/* --- devices ------------------------------------------------------------ */

static int host_add(struct device *dev)
{
	struct host_dev *hd = kzalloc(sizeof(*hd), GFP_KERNEL);
	int rc;

	if (!hd)
		return -ENOMEM;
	kref_init(&hd->ref);
	init_rwsem(&hd->lock);
	INIT_LIST_HEAD(&hd->files);
	hd->dev = dev;
	snprintf(hd->name, sizeof(hd->name), "ioasid-host-%s", dev_name(dev));
	hd->misc.minor = MISC_DYNAMIC_MINOR;
	hd->misc.name = hd->name;
	hd->misc.fops = &host_fops;
	hd->misc.mode = 0600;
	rc = misc_register(&hd->misc);
	if (rc) {
		kref_put(&hd->ref, host_dev_release);
		return rc;
	}
	dev_set_drvdata(dev, hd);
	return 0;
}

/* Detaches everything while the group still has its owner */
static void host_remove(struct device *dev)
{
	struct host_dev *hd = dev_get_drvdata(dev);
	struct host_file *f;

	misc_deregister(&hd->misc);
	down_write(&hd->lock);
	list_for_each_entry(f, &hd->files, node)
		host_stop(f);
	hd->dev = NULL;
	up_write(&hd->lock);
	kref_put(&hd->ref, host_dev_release);
}

static int host_platform_probe(struct platform_device *pdev)
{
	return host_add(&pdev->dev);
}

static void host_platform_remove(struct platform_device *pdev)
{
	host_remove(&pdev->dev);
}

static struct platform_driver host_platform_driver = {
	.probe = host_platform_probe,
	.remove = host_platform_remove,
	.driver = {
		.name = "ioasid-host",
	},
};

static int host_pci_probe(struct pci_dev *pdev, const struct pci_device_id *id)
{
	int rc = pci_enable_device(pdev);

	if (rc)
		return rc;
	pci_set_master(pdev);
	rc = host_add(&pdev->dev);
	if (rc)
		pci_disable_device(pdev);
	return rc;
}

static void host_pci_remove(struct pci_dev *pdev)
{
	host_remove(&pdev->dev);
	pci_clear_master(pdev);
	pci_disable_device(pdev);
}

static const struct pci_device_id host_pci_ids[] = {
	{ PCI_DEVICE_DRIVER_OVERRIDE(PCI_ANY_ID, PCI_ANY_ID, 1) },
	{ }
};

static struct pci_driver host_pci_driver = {
	.name = "ioasid-host",
	.id_table = host_pci_ids,
	.probe = host_pci_probe,
	.remove = host_pci_remove,
};

static int __init host_init(void)
{
	int rc = platform_driver_register(&host_platform_driver);

	if (rc)
		return rc;
	rc = pci_register_driver(&host_pci_driver);
	if (rc)
		platform_driver_unregister(&host_platform_driver);
	return rc;
}
module_init(host_init);

static void __exit host_exit(void)
{
	pci_unregister_driver(&host_pci_driver);
	platform_driver_unregister(&host_platform_driver);
}
module_exit(host_exit);

MODULE_DESCRIPTION("Sample: a host driver that shares memory with its device");
MODULE_AUTHOR("The ioasid developers");
MODULE_LICENSE("GPL");
IOASID_IMPORT_NS(IOASID_SIM);
