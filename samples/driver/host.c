// SPDX-License-Identifier: GPL-2.0
/*
 * A driver of the host for a device with PASIDs: it shares the memory of its users
 * with the device by itself (SVA), as the drivers of accelerators do, and knows
 * nothing of /dev/ioasid. A glue can put the same device behind that, beside it.
 * It must never let a file make the device use a PASID that is not the file's.
 *
 * It takes what driver_override gives to it: endpoints of ioasid_sim, which it
 * tells what to do, and PCI devices, whose registers a test maps by itself.
 */
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
 * @ref: its driver, and each open file
 * @misc: its node
 * @name: of the node
 * @lock: write: files, attachments; read: DMA is under way
 * @dev: NULL when the driver has let go of it
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
 * @sva: the address space of a process, by IOASID_HOST_SVA
 * @iopf: page requests were turned on for it
 * @glue: whose @data is; its module is referenced
 * @data: what the glue has attached
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

int ioasid_host_register(const struct ioasid_host_glue *glue)
{
	int rc = -EBUSY;

	mutex_lock(&host_glue_lock);
	if (!host_glue) {
		host_glue = glue;
		rc = 0;
	}
	mutex_unlock(&host_glue_lock);
	return rc;
}
EXPORT_SYMBOL_GPL(ioasid_host_register);

void ioasid_host_unregister(const struct ioasid_host_glue *glue)
{
	mutex_lock(&host_glue_lock);
	host_glue = NULL;
	mutex_unlock(&host_glue_lock);
}
EXPORT_SYMBOL_GPL(ioasid_host_unregister);

/* The glue that a file uses from now on */
static const struct ioasid_host_glue *host_get_glue(struct host_file *f)
{
	mutex_lock(&host_glue_lock);
	if (!f->glue && host_glue && try_module_get(host_glue->owner))
		f->glue = host_glue;
	mutex_unlock(&host_glue_lock);
	return f->glue;
}

static void host_dev_release(struct kref *ref)
{
	kfree(container_of(ref, struct host_dev, ref));
}

/* --- the driver's own sharing of memory ------------------------------------------- */

static int host_sva_enable(struct host_file *f)
{
	int rc = compat_iopf_enable(f->hd->dev);

	f->iopf = !rc;
	if (rc && rc != -ENODEV && rc != -EBUSY)
		return rc;
	rc = compat_sva_enable(f->hd->dev);
	return rc == -EBUSY ? 0 : rc;
}

static int host_sva(struct host_file *f, u32 __user *pasid)
{
	struct iommu_sva *sva;
	int rc;

	if (f->sva)
		return -EBUSY;
	rc = host_sva_enable(f);
	if (rc)
		return rc;
	sva = iommu_sva_bind_device(f->hd->dev, current->mm);
	if (IS_ERR(sva))
		return PTR_ERR(sva);
	if (put_user(iommu_sva_get_pasid(sva), pasid)) {
		iommu_sva_unbind_device(sva);
		return -EFAULT;
	}
	f->sva = sva;
	return 0;
}

static int host_sva_end(struct host_file *f)
{
	if (!f->sva)
		return -ENOENT;
	iommu_sva_unbind_device(f->sva);
	f->sva = NULL;
	return 0;
}

/* --- what programs ask for ---------------------------------------------------------- */

static int host_pasid(struct host_file *f, const struct ioasid_host_dma *arg, u32 *pasid)
{
	if (!(arg->flags & IOASID_HOST_DMA_SVA))
		return f->glue ? f->glue->pasid(f->data, arg->number, pasid) : -ENOENT;
	if (!f->sva)
		return -ENOENT;
	*pasid = iommu_sva_get_pasid(f->sva);
	return 0;
}

static int host_move(struct ioasid_sim_dev *sdev, u32 pasid, const struct ioasid_host_dma *arg)
{
	bool write = arg->flags & IOASID_HOST_DMA_WRITE;
	u32 access = (write ? SIM_WRITE : 0) |
		     (arg->flags & IOASID_HOST_DMA_REQUEST ? SIM_REQUEST : 0);
	void __user *user = u64_to_user_ptr(arg->addr);
	void *buf = kzalloc(IOASID_HOST_DMA_MAX, GFP_KERNEL_ACCOUNT);
	int rc = 0;

	if (!buf)
		return -ENOMEM;
	if (write && copy_from_user(buf, user, arg->length))
		rc = -EFAULT;
	/* -EFAULT is the caller's mistake, so that a refusal needs another name */
	if (!rc)
		rc = ioasid_sim_dma(sdev, pasid, arg->iova, buf, arg->length, access, NULL) ?
		     -EACCES : 0;
	if (!rc && !write && copy_to_user(user, buf, arg->length))
		rc = -EFAULT;
	kfree(buf);
	return rc;
}

static int host_dma(struct host_file *f, const struct ioasid_host_dma __user *uarg)
{
	struct ioasid_sim_dev *sdev = ioasid_sim_dev(f->hd->dev);
	struct ioasid_host_dma arg;
	u32 pasid;
	int rc;

	if (!sdev)
		return -ENOTTY;
	if (copy_from_user(&arg, uarg, sizeof(arg)))
		return -EFAULT;
	if (arg.__reserved || !arg.length || arg.length > IOASID_HOST_DMA_MAX)
		return -EINVAL;
	rc = host_pasid(f, &arg, &pasid);
	return rc ?: host_move(sdev, pasid, &arg);
}

static int host_attach(struct host_file *f, unsigned int cmd,
		       struct ioasid_host_attach __user *uarg)
{
	const struct ioasid_host_glue *glue = host_get_glue(f);
	struct ioasid_host_attach arg;
	int rc;

	if (!glue)
		return -ENOTTY;
	if (copy_from_user(&arg, uarg, sizeof(arg)))
		return -EFAULT;
	if (cmd == IOASID_HOST_DETACH)
		return glue->detach(f->hd->dev, &arg, &f->data);
	rc = glue->attach(f->hd->dev, &arg, &f->data);
	if (!rc && copy_to_user(uarg, &arg, sizeof(arg)))
		rc = -EFAULT;
	return rc;
}

static int host_map(struct host_file *f, unsigned int cmd,
		    struct ioasid_host_map __user *uarg)
{
	const struct ioasid_host_glue *glue = host_get_glue(f);
	struct ioasid_host_map arg;
	int rc;

	if (!glue)
		return -ENOTTY;
	if (copy_from_user(&arg, uarg, sizeof(arg)))
		return -EFAULT;
	if (cmd == IOASID_HOST_MAP)
		rc = glue->map(f->hd->dev, &arg, &f->data);
	else
		rc = glue->unmap(f->hd->dev, &arg, &f->data);
	if (!rc && copy_to_user(uarg, &arg, sizeof(arg)))
		rc = -EFAULT;
	return rc;
}

static long host_command(struct host_file *f, unsigned int cmd, void __user *uarg)
{
	if (!f->hd->dev)
		return -ENODEV;
	switch (cmd) {
	case IOASID_HOST_SVA:
		return host_sva(f, uarg);
	case IOASID_HOST_SVA_END:
		return host_sva_end(f);
	case IOASID_HOST_ATTACH:
	case IOASID_HOST_DETACH:
		return host_attach(f, cmd, uarg);
	case IOASID_HOST_MAP:
	case IOASID_HOST_UNMAP:
		return host_map(f, cmd, uarg);
	case IOASID_HOST_DMA:
		return host_dma(f, uarg);
	default:
		return -ENOTTY;
	}
}

static long host_ioctl(struct file *file, unsigned int cmd, unsigned long arg)
{
	struct host_file *f = file->private_data;
	struct host_dev *hd = f->hd;
	bool dma = cmd == IOASID_HOST_DMA;
	long rc;

	if (dma ? down_read_killable(&hd->lock) : down_write_killable(&hd->lock))
		return -EINTR;
	rc = host_command(f, cmd, (void __user *)arg);
	if (dma)
		up_read(&hd->lock);
	else
		up_write(&hd->lock);
	return rc;
}

/* Nothing that the file has attached is there any more; the lock is held */
static void host_stop(struct host_file *f)
{
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

/* --- devices ------------------------------------------------------------------------ */

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

/* Before the device goes, and the group its owner: nothing stays attached */
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

MODULE_DESCRIPTION("Sample: a driver of the host that shares memory with its device");
MODULE_AUTHOR("The ioasid developers");
MODULE_LICENSE("GPL");
IOASID_IMPORT_NS(IOASID_SIM);
