// SPDX-License-Identifier: GPL-2.0
/*
 * The devices that memory is mapped for, by the name that VFIO has for them:
 * edu behind the machine's own IOMMU, or endpoints of ioasid_sim on machines
 * without PCI devices. It must not know what a side is.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <unistd.h>

#include "bench.h"

static bool is_pci(const char *name)
{
	return strchr(name, ':');
}

const char *device_name(int nth)
{
	static char sim[4][32];
	const char *edu = t_pci(T_EDU, nth);
	char path[128];

	if (edu)
		return edu;
	snprintf(sim[nth], sizeof(sim[nth]), "ioasid-sim.%d", nth);
	device_sysfs(sim[nth], "iommu_group", path, sizeof(path));
	if (access(path, F_OK))
		bench_die("this machine has neither an edu nor an ioasid-sim device number %d",
			  nth);
	return sim[nth];
}

void device_sysfs(const char *name, const char *leaf, char *path, size_t room)
{
	snprintf(path, room, "/sys/bus/%s/devices/%s/%s", is_pci(name) ? "pci" : "platform",
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

	if (is_pci(name))
		MUST(t_pci_to_vfio(name));
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
	if (!is_pci(name))
		return;
	v->config = region(v->device, VFIO_PCI_CONFIG_REGION_INDEX, &size);
	offset = region(v->device, VFIO_PCI_BAR0_REGION_INDEX, &size);
	v->bar = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED, v->device, offset);
	if (v->bar == MAP_FAILED)
		bench_die("mapping BAR 0: %s", strerror(errno));
	v->bar_len = size;
	MUST(t_vfio_bus_master(v, true));
}

void device_copy(struct t_vfio *v, u64 from, u64 to)
{
	struct t_edu edu;

	MUST(t_edu_start(&edu, v->bar));
	MUST(t_edu_pull(&edu, from, T_PAGE));
	MUST(t_edu_push(&edu, to, T_PAGE));
}
