// SPDX-License-Identifier: GPL-2.0
/*
 * The resolver of VFIO for IOASID_DEVICE_ATTACH: finds the device of a device
 * file that was opened through a container of any type, or by its device node
 * and bound to an iommufd. A file that VFIO does not grant access to yet must
 * give no rights here either. There is nothing to undo, since the core keeps
 * the file open while the device is bound.
 */
#include <linux/file.h>
#include <linux/ioasid.h>
#include <linux/module.h>
#include <linux/vfio.h>
#include "glue.h"
#include "vfio_private.h"

/*
 * The file keeps its device and the device set with the lock; VFIO does not
 * revoke granted access while the file is open.
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
				   "it is a VFIO group, not a device: see VFIO_GROUP_GET_DEVICE_FD");
	df = file->private_data;
	vdev = df->device;
	/* Pairs with the store in VFIO after the device is opened */
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

struct ioasid_resolver ioasid_vfio_resolver = {
	.owner = "vfio",
	.module = THIS_MODULE,
	.resolve = ioasid_vfio_resolve,
};
