// SPDX-License-Identifier: GPL-2.0
/*
 * The devices that memory is mapped for, by the name that VFIO has for them:
 * edu behind the machine's own IOMMU, or endpoints of ioasid_sim on machines
 * without PCI devices. It must not depend on what a side is.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <unistd.h>

#include "../lib/device.h"
#include "bench.h"

const char *device_name(int nth)
{
	const char *name = t_device(T_EDU, nth);

	if (!name)
		bench_die("this machine has no device number %d", nth);
	return name;
}

void device_sysfs(const char *name, const char *leaf, char *path, size_t room)
{
	snprintf(path, room, "/sys/bus/%s/devices/%s/%s", strchr(name, ':') ? "pci" : "platform",
		 name, leaf);
}

bool device_present(const char *name)
{
	char path[128];

	device_sysfs(name, "iommu_group", path, sizeof(path));
	return !access(path, F_OK);
}

int device_group(const char *name)
{
	char path[128], target[256];
	ssize_t len;
	int fd;

	/* The foreign device is one that the library does not have */
	if (strcmp(name, FOREIGN))
		MUST(t_device_to_vfio(name));
	device_sysfs(name, "iommu_group", path, sizeof(path));
	len = readlink(path, target, sizeof(target) - 1);
	if (len < 0)
		bench_die("%s: %s", path, strerror(errno));
	target[len] = '\0';
	snprintf(path, sizeof(path), "/dev/vfio/%s", strrchr(target, '/') + 1);
	fd = open(path, O_RDWR | O_CLOEXEC);
	if (fd < 0)
		bench_die("%s: %s", path, strerror(errno));
	return fd;
}

int device_of_group(int group, const char *name)
{
	int fd = ioctl(group, VFIO_GROUP_GET_DEVICE_FD, name);

	if (fd < 0)
		bench_die("VFIO_GROUP_GET_DEVICE_FD of %s: %s", name, strerror(errno));
	return fd;
}

static u64 region(int device, u32 index, u64 *size)
{
	struct vfio_region_info info = { .argsz = sizeof(info), .index = index };

	MUST(t_ioctl(device, VFIO_DEVICE_GET_REGION_INFO, &info));
	*size = info.size;
	return info.offset;
}

void device_start(struct t_vfio *v, const char *name)
{
	u64 offset, size;

	snprintf(v->addr, sizeof(v->addr), "%s", name);
	v->sim = t_sim_is_name(name);
	v->config = region(v->device, v->sim ? IOASID_SIM_REGION_REGISTERS :
			   VFIO_PCI_CONFIG_REGION_INDEX, &size);
	offset = region(v->device, v->sim ? IOASID_SIM_REGION_MEMORY :
			VFIO_PCI_BAR0_REGION_INDEX, &size);
	v->bar = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED, v->device, offset);
	if (v->bar == MAP_FAILED)
		bench_die("mapping a region: %s", strerror(errno));
	v->bar_len = size;
	MUST(t_vfio_bus_master(v, true));
}

void device_copy(struct t_vfio *v, u64 from, u64 to)
{
	struct t_dma d = { .kind = T_EDU, .vfio = *v };

	if (v->sim)
		MUST(t_sim_start(&d.sim, v->device, v->config, v->bar));
	else
		MUST(t_edu_start(&d.edu, v->bar));
	MUST(t_dma_pull(&d, from, T_PAGE));
	MUST(t_dma_push(&d, to, T_PAGE));
	if (v->sim)
		t_sim_stop(&d.sim);
}
