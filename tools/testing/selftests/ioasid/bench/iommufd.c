// SPDX-License-Identifier: GPL-2.0
/*
 * A device behind iommufd: opened through its character device, bound, and
 * attached to an address space, whose domain iommufd makes by itself. It must
 * never set anything that a user would not: what it asks for is the default.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/iommufd.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "bench.h"

/* The number of the character device, from sysfs; -1 without one */
static int cdev_number(const char *name)
{
	char path[128];
	struct dirent *d;
	int nr = -1;
	DIR *dir;

	device_sysfs(name, "vfio-dev", path, sizeof(path));
	dir = opendir(path);
	if (!dir)
		return -1;
	while (nr < 0 && (d = readdir(dir)))
		if (sscanf(d->d_name, "vfio%d", &nr) != 1)
			nr = -1;
	closedir(dir);
	return nr;
}

bool iommufd_available(const char *name)
{
	return !access("/dev/iommu", R_OK | W_OK) && cdev_number(name) >= 0;
}

int iommufd_open(u32 *ioas)
{
	struct iommu_ioas_alloc alloc = { .size = sizeof(alloc) };
	struct iommu_option huge = {
		.size = sizeof(huge),
		.option_id = IOMMU_OPTION_HUGE_PAGES,
		.op = IOMMU_OPTION_OP_GET,
	};
	int fd = open("/dev/iommu", O_RDWR | O_CLOEXEC);

	if (fd < 0)
		bench_die("/dev/iommu: %s", strerror(errno));
	MUST(t_ioctl(fd, IOMMU_IOAS_ALLOC, &alloc));
	*ioas = alloc.out_ioas_id;
	huge.object_id = *ioas;
	MUST(t_ioctl(fd, IOMMU_OPTION, &huge));
	if (huge.val64 != 1)
		bench_die("iommufd does not use huge pages by itself");
	return fd;
}

int iommufd_device(const char *name)
{
	char path[64];
	int fd;

	snprintf(path, sizeof(path), "/dev/vfio/devices/vfio%d", cdev_number(name));
	fd = open(path, O_RDWR | O_CLOEXEC);
	if (fd < 0)
		bench_die("%s: %s", path, strerror(errno));
	return fd;
}

int iommufd_bind(int device, int iommufd)
{
	struct vfio_device_bind_iommufd bind = { .argsz = sizeof(bind), .iommufd = iommufd };

	return t_ioctl(device, VFIO_DEVICE_BIND_IOMMUFD, &bind);
}

int iommufd_attach(int device, u32 ioas)
{
	struct vfio_device_attach_iommufd_pt attach = { .argsz = sizeof(attach), .pt_id = ioas };

	return t_ioctl(device, VFIO_DEVICE_ATTACH_IOMMUFD_PT, &attach);
}

int iommufd_detach(int device)
{
	struct vfio_device_detach_iommufd_pt detach = { .argsz = sizeof(detach) };

	return t_ioctl(device, VFIO_DEVICE_DETACH_IOMMUFD_PT, &detach);
}

int iommufd_map(int iommufd, u32 ioas, u64 iova, void *addr, u64 length)
{
	struct iommu_ioas_map map = {
		.size = sizeof(map),
		.flags = IOMMU_IOAS_MAP_FIXED_IOVA | IOMMU_IOAS_MAP_READABLE |
			 IOMMU_IOAS_MAP_WRITEABLE,
		.ioas_id = ioas,
		.user_va = (uintptr_t)addr,
		.length = length,
		.iova = iova,
	};

	return t_ioctl(iommufd, IOMMU_IOAS_MAP, &map);
}

int iommufd_unmap(int iommufd, u32 ioas, u64 iova, u64 length)
{
	struct iommu_ioas_unmap unmap = {
		.size = sizeof(unmap),
		.ioas_id = ioas,
		.iova = iova,
		.length = length,
	};

	return t_ioctl(iommufd, IOMMU_IOAS_UNMAP, &unmap);
}
