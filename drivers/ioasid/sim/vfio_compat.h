/* SPDX-License-Identifier: GPL-2.0 */
/*
 * What differs between kernels for a VFIO driver: how it reports its regions, and
 * whether iommufd can attach it by PASID. Nothing here may do more than adapt a
 * call.
 */
#ifndef __IOASID_SIM_VFIO_COMPAT_H
#define __IOASID_SIM_VFIO_COMPAT_H

#include <linux/uaccess.h>
#include <linux/vfio.h>
#include "config.h"

int sim_region_info(struct vfio_device *vdev, struct vfio_region_info *info);

#if IOASID_HAVE_GET_REGION_INFO_CAPS
static inline int sim_region_info_caps(struct vfio_device *vdev,
				       struct vfio_region_info *info,
				       struct vfio_info_cap *caps)
{
	return sim_region_info(vdev, info);
}

#define SIM_REGION_INFO_OP	.get_region_info_caps = sim_region_info_caps,

/* VFIO itself handles it */
static inline long sim_ioctl_region_info(struct vfio_device *vdev, void __user *arg)
{
	return -ENOTTY;
}
#else
#define SIM_REGION_INFO_OP

static inline long sim_ioctl_region_info(struct vfio_device *vdev, void __user *arg)
{
	size_t minsz = offsetofend(struct vfio_region_info, offset);
	struct vfio_region_info info = {};
	int rc;

	if (copy_from_user(&info, arg, minsz))
		return -EFAULT;
	if (info.argsz < minsz)
		return -EINVAL;
	rc = sim_region_info(vdev, &info);
	if (rc)
		return rc;
	return copy_to_user(arg, &info, minsz) ? -EFAULT : 0;
}
#endif

#if IOASID_HAVE_PASID_ATTACH_IOAS
#define SIM_PASID_IOAS_OPS						\
	.pasid_attach_ioas = vfio_iommufd_physical_pasid_attach_ioas,	\
	.pasid_detach_ioas = vfio_iommufd_physical_pasid_detach_ioas,
#else
#define SIM_PASID_IOAS_OPS
#endif

#endif /* __IOASID_SIM_VFIO_COMPAT_H */
