// SPDX-License-Identifier: GPL-2.0
#include <linux/vfio.h>

struct vfio_device_ops probe;

void probe_it(void);

void probe_it(void)
{
	probe.pasid_attach_ioas(NULL, 0, NULL);
}
