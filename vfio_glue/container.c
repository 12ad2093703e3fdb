// SPDX-License-Identifier: GPL-2.0
/*
 * The VFIO container backend of /dev/ioasid: a container whose type is
 * VFIO_IOASID_IOMMU gets its devices' address spaces from /dev/ioasid. This
 * file follows the life of containers, groups and open devices; attach.c has
 * the two commands. No page is mapped and no IOMMU domain is touched in here.
 *
 * VFIO owns the groups' DMA and keeps it blocked until a device is attached.
 * It promises, and this module relies on it: a device is registered before it
 * is opened and unregistered after it is closed, both under the lock of its
 * device set; a group leaves after its last device; release comes last.
 *
 * SET_IOMMU and SET_CONTAINER fail with
 *   EPERM       a group's interrupts are not isolated (see the parameter
 *               allow_unsafe_interrupts), or it has no IOMMU
 *   EINVAL      a device of the group has no cache-coherent DMA
 *   EOPNOTSUPP  a group of mediated devices
 *   ENOMEM
 */
#define pr_fmt(fmt) KBUILD_MODNAME ": " fmt

#include <linux/iommu.h>
#include <linux/module.h>
#include <linux/slab.h>
#include <linux/vfio.h>
#include <linux/xarray.h>
#include "compat/namespace.h"
#include "glue.h"
#include "vfio_private.h"

bool ioasid_vfio_allow_unsafe_interrupts;
module_param_named(allow_unsafe_interrupts, ioasid_vfio_allow_unsafe_interrupts,
		   bool, 0644);
MODULE_PARM_DESC(allow_unsafe_interrupts,
		 "Take devices whose interrupts are not isolated by the platform: such a device can raise any interrupt of the host");

/*
 * VFIO hands ioctls on without a lock, so one can still be on its way when
 * the container has left. VFIO therefore gets a number, not a pointer; it is
 * looked up under the lock of this array.
 */
static DEFINE_XARRAY_ALLOC1(ioasid_vfio_containers);
static u32 ioasid_vfio_next_id;

/**
 * ioasid_vfio_container_get() - find a container and keep it
 * @iommu_data: what VFIO knows it by
 *
 * Return: the container, or NULL if VFIO has released it.
 */
struct ioasid_vfio_container *ioasid_vfio_container_get(void *iommu_data)
{
	struct ioasid_vfio_container *container;

	xa_lock(&ioasid_vfio_containers);
	container = xa_load(&ioasid_vfio_containers, (unsigned long)iommu_data);
	if (container)
		refcount_inc(&container->ref);
	xa_unlock(&ioasid_vfio_containers);
	return container;
}

/**
 * ioasid_vfio_container_put() - undo ioasid_vfio_container_get()
 * @container: the container
 */
void ioasid_vfio_container_put(struct ioasid_vfio_container *container)
{
	if (!refcount_dec_and_test(&container->ref))
		return;
	WARN_ON(!list_empty(&container->devices));
	mutex_destroy(&container->lock);
	kfree(container);
}

/**
 * ioasid_vfio_find_device() - is a device open in a container?
 * @container: the container
 * @vdev: the device; only compared, it may be any pointer
 *
 * Return: the device or NULL. It stays while the caller keeps it open and, to
 * look into it, holds vdev->dev_set->lock.
 */
struct ioasid_vfio_device *
ioasid_vfio_find_device(struct ioasid_vfio_container *container,
			const struct vfio_device *vdev)
{
	struct ioasid_vfio_device *device, *found = NULL;

	mutex_lock(&container->lock);
	list_for_each_entry(device, &container->devices, link)
		if (device->vdev == vdev)
			found = device;
	mutex_unlock(&container->lock);
	return found;
}

/**
 * ioasid_vfio_is_ours() - is a device open in a container of this backend?
 * @vdev: the device; an open file keeps it open
 *
 * Return: true if it is.
 */
bool ioasid_vfio_is_ours(const struct vfio_device *vdev)
{
	struct ioasid_vfio_container *container;
	bool found = false;
	unsigned long id;

	xa_for_each(&ioasid_vfio_containers, id, container) {
		container = ioasid_vfio_container_get((void *)id);
		if (!container)
			continue;
		found = ioasid_vfio_find_device(container, vdev);
		ioasid_vfio_container_put(container);
		if (found)
			break;
	}
	return found;
}

static void *ioasid_vfio_open(unsigned long arg)
{
	struct ioasid_vfio_container *container;
	int rc;

	container = kzalloc(sizeof(*container), GFP_KERNEL_ACCOUNT);
	if (!container)
		return ERR_PTR(-ENOMEM);
	refcount_set(&container->ref, 1);
	mutex_init(&container->lock);
	INIT_LIST_HEAD(&container->devices);
	/* A number is not used again soon: who comes late finds nothing */
	rc = xa_alloc_cyclic(&ioasid_vfio_containers, &container->id, container,
			     XA_LIMIT(1, INT_MAX), &ioasid_vfio_next_id,
			     GFP_KERNEL_ACCOUNT);
	if (rc < 0) {
		kfree(container);
		return ERR_PTR(rc);
	}
	return (void *)(unsigned long)container->id;
}

static void ioasid_vfio_release(void *iommu_data)
{
	ioasid_vfio_container_put(xa_erase(&ioasid_vfio_containers,
					     (unsigned long)iommu_data));
}

static long ioasid_vfio_ioctl(void *iommu_data, unsigned int cmd,
			      unsigned long arg)
{
	long rc = -ENOTTY;

	/* VFIO's own reference can go while an ioctl is at work */
	__module_get(THIS_MODULE);
	switch (cmd) {
	case VFIO_CHECK_EXTENSION:
		rc = arg == VFIO_IOASID_IOMMU;
		break;
	case VFIO_DEVICE_ATTACH:
		rc = ioasid_vfio_attach(iommu_data, arg);
		break;
	case VFIO_DEVICE_DETACH:
		rc = ioasid_vfio_detach(iommu_data, arg);
		break;
	}
	module_put(THIS_MODULE);
	return rc;
}

static int ioasid_vfio_check_coherent(struct device *dev, void *unused)
{
	if (device_iommu_capable(dev, IOMMU_CAP_CACHE_COHERENCY))
		return 0;
	dev_notice_ratelimited(dev, "ioasid: refused, its DMA is not cache coherent\n");
	return -EINVAL;
}

static int ioasid_vfio_attach_group(void *iommu_data, struct iommu_group *group,
				    enum vfio_group_type type)
{
	int nr = iommu_group_id(group);

	if (type == VFIO_NO_IOMMU) {
		pr_notice_ratelimited("group %d refused: it has no IOMMU\n", nr);
		return -EPERM;
	}
	if (type != VFIO_IOMMU) {
		pr_notice_ratelimited("group %d refused: mediated devices are not supported yet\n",
				      nr);
		return -EOPNOTSUPP;
	}
	if (!iommu_group_has_isolated_msi(group) &&
	    !ioasid_vfio_allow_unsafe_interrupts) {
		pr_notice_ratelimited("group %d refused: its interrupts are not isolated; load with allow_unsafe_interrupts=1 to take it all the same\n",
				      nr);
		return -EPERM;
	}
	return iommu_group_for_each_dev(group, NULL, ioasid_vfio_check_coherent);
}

/* VFIO closes a group's devices first, so nothing is attached any more */
static void ioasid_vfio_detach_group(void *iommu_data, struct iommu_group *group)
{
}

static void ioasid_vfio_register_device(void *iommu_data,
					struct vfio_device *vdev)
{
	struct ioasid_vfio_container *container;
	struct ioasid_vfio_device *device;

	lockdep_assert_held(&vdev->dev_set->lock);
	/* VFIO cannot be told that it failed */
	device = kzalloc(sizeof(*device), GFP_KERNEL_ACCOUNT | __GFP_NOFAIL);
	device->vdev = vdev;
	container = xa_load(&ioasid_vfio_containers, (unsigned long)iommu_data);
	mutex_lock(&container->lock);
	list_add_tail(&device->link, &container->devices);
	mutex_unlock(&container->lock);
	dev_dbg(vdev->dev, "ioasid: opened in container %u\n", container->id);
}

/* The device is closed and its bus mastering is off: the last moment to detach */
static void ioasid_vfio_unregister_device(void *iommu_data,
					  struct vfio_device *vdev)
{
	struct ioasid_vfio_container *container;
	struct ioasid_vfio_device *device;

	lockdep_assert_held(&vdev->dev_set->lock);
	container = xa_load(&ioasid_vfio_containers, (unsigned long)iommu_data);
	device = ioasid_vfio_find_device(container, vdev);
	if (WARN_ON(!device))
		return;
	mutex_lock(&container->lock);
	list_del(&device->link);
	mutex_unlock(&container->lock);
	ioasid_vfio_unbind(device);
	kfree(device);
	dev_dbg(vdev->dev, "ioasid: closed in container %u\n", container->id);
}

static const struct ioasid_vfio_backend ioasid_vfio_backend = {
	.ops = {
		.name = "ioasid",
		.owner = THIS_MODULE,
		.open = ioasid_vfio_open,
		.release = ioasid_vfio_release,
		.ioctl = ioasid_vfio_ioctl,
		.attach_group = ioasid_vfio_attach_group,
		.detach_group = ioasid_vfio_detach_group,
		.register_device = ioasid_vfio_register_device,
		.unregister_device = ioasid_vfio_unregister_device,
	},
};

static int __init ioasid_vfio_module_init(void)
{
	int rc = vfio_register_iommu_driver(&ioasid_vfio_backend.ops);

	if (!rc)
		ioasid_register_resolver(&ioasid_vfio_resolver);
	return rc;
}

static void __exit ioasid_vfio_module_exit(void)
{
	ioasid_unregister_resolver(&ioasid_vfio_resolver);
	vfio_unregister_iommu_driver(&ioasid_vfio_backend.ops);
	WARN_ON(!xa_empty(&ioasid_vfio_containers));
	xa_destroy(&ioasid_vfio_containers);
}

module_init(ioasid_vfio_module_init);
module_exit(ioasid_vfio_module_exit);

MODULE_DESCRIPTION("VFIO devices behind /dev/ioasid");
MODULE_AUTHOR("The ioasid developers");
MODULE_LICENSE("GPL");
IOASID_IMPORT_NS(IOASID);
