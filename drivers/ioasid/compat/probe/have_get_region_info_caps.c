// SPDX-License-Identifier: GPL-2.0
#include <linux/vfio.h>

struct vfio_device_ops probe;

void probe_it(void);

void probe_it(void)
{
	int (*op)(struct vfio_device *vdev, struct vfio_region_info *info,
		  struct vfio_info_cap *caps) = probe.get_region_info_caps;

	op(NULL, NULL, NULL);
}
