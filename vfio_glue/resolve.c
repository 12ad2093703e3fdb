// SPDX-License-Identifier: GPL-2.0
/*
 * The device behind a device file of VFIO, for IOASID_DEVICE_ATTACH: whoever
 * opened it, through a container of whatever type, or by its device node and
 * bound to an iommufd. An open file that VFIO itself does not yet let its holder
 * use must give no rights here either. Nothing is undone here: the core keeps
 * the file, and VFIO its device, until nothing of it is attached any more.
 */
#include <linux/file.h>
#include <linux/ioasid.h>
#include <linux/module.h>
#include <linux/vfio.h>
#include "glue.h"
#include "vfio_private.h"

/*
 * A device file outlives neither its device nor the set that has the lock. What
 * VFIO has granted once it does not take back while the file is open.
 */
static int ioasid_vfio_resolve(struct file *file, struct ioasid_file_info *info,
			       struct ioasid_extack *extack)
{
	struct vfio_device_file *df;
	struct vfio_device *vdev;

	if (!vfio_file_is_valid(file))
		return -ENOTTY;
	if (vfio_file_is_group(file))
		return ioasid_fail(extack, -EINVAL, IOASID_REASON_FD,
				   "it is a group of VFIO and no device: see VFIO_GROUP_GET_DEVICE_FD");
	df = file->private_data;
	vdev = df->device;
	/* Pairs with VFIO's store, behind which the device is open */
	if (!smp_load_acquire(&df->access_granted))
		return ioasid_fail(extack, -EPERM, IOASID_REASON_OWNER,
				   "device %s is not bound to an iommufd yet: see VFIO_DEVICE_BIND_IOMMUFD",
				   dev_name(vdev->dev));
	info->dev = vdev->dev;
	info->lock = &vdev->dev_set->lock;
	info->rid_taken = df->group && !ioasid_vfio_is_ours(vdev);
	info->unsafe_interrupts =
		READ_ONCE(ioasid_vfio_allow_unsafe_interrupts);
	return 0;
}

/* Registered as long as the module is there */
struct ioasid_resolver ioasid_vfio_resolver = {
	.owner = "vfio",
	.module = THIS_MODULE,
	.resolve = ioasid_vfio_resolve,
};
