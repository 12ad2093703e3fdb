// SPDX-License-Identifier: GPL-2.0
/*
 * The devices that tests use. See device.h.
 */
#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "device.h"
#include "sim.h"

bool t_on_sim(void)
{
	const char *asked = getenv("IOASID_DEVICE");
	static int found = -1;

	if (asked)
		return !strcmp(asked, "sim");
	if (found < 0)
		found = !t_pci(T_EDU, 0) && !t_pci(T_NVME, 0) && !t_pci(T_SIBLING, 0) &&
			t_sim_find(T_EDU, 0);
	return found;
}

const char *t_device(enum t_pci_kind kind, int nth)
{
	return t_on_sim() ? t_sim_find(kind, nth) : t_pci(kind, nth);
}

int t_device_group(const char *name)
{
	char path[PATH_MAX], target[PATH_MAX];
	ssize_t len;

	if (!t_sim_is_name(name))
		return t_pci_group(name);
	snprintf(path, sizeof(path), "/sys/bus/platform/devices/%s/iommu_group", name);
	len = readlink(path, target, sizeof(target) - 1);
	if (len < 0)
		return -1;
	target[len] = '\0';
	return atoi(strrchr(target, '/') + 1);
}

bool t_device_present(const char *name)
{
	return t_sim_is_name(name) ? t_sim_present(name) : t_pci_present(name);
}

int t_device_to_vfio(const char *name)
{
	if (!t_sim_is_name(name))
		return t_pci_to_vfio(name);
	t_sim_allow(true);
	return t_sim_present(name) ? 0 : -ENODEV;
}
