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
#include <poll.h>
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

int iommufd_bind(int device, int iommufd, u32 *dev_id)
{
	struct vfio_device_bind_iommufd bind = { .argsz = sizeof(bind), .iommufd = iommufd };
	int ret = t_ioctl(device, VFIO_DEVICE_BIND_IOMMUFD, &bind);

	if (dev_id)
		*dev_id = bind.out_devid;
	return ret;
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

/* --- PASIDs --------------------------------------------------------------- */

/* As of Linux 6.15; older headers end before the PASID, and have no flags for it */
struct pasid_pt {
	u32 argsz;
	u32 flags;
	u32 pt_id;
	u32 pasid;
};

#define WITH_PASID	(1 << 0)
#ifndef IOMMU_HWPT_ALLOC_PASID
#define IOMMU_HWPT_ALLOC_PASID	(1 << 3)
#endif

u32 iommufd_pasid_pt(struct bed *bed)
{
	struct iommu_hwpt_alloc hwpt = {
		.size = sizeof(hwpt), .flags = IOMMU_HWPT_ALLOC_PASID,
		.dev_id = bed->iommufd_dev, .pt_id = bed->ioasid,
	};

	MUST(t_ioctl(bed->ctx, IOMMU_HWPT_ALLOC, &hwpt));
	return hwpt.out_hwpt_id;
}

int iommufd_attach_pasid(int device, u32 pt, u32 pasid)
{
	struct pasid_pt attach = {
		.argsz = sizeof(attach), .flags = WITH_PASID, .pt_id = pt, .pasid = pasid,
	};

	return t_ioctl(device, VFIO_DEVICE_ATTACH_IOMMUFD_PT, &attach);
}

int iommufd_detach_pasid(int device, u32 pasid)
{
	/* argsz, flags, pasid */
	u32 detach[3] = { sizeof(detach), WITH_PASID, pasid };

	return t_ioctl(device, VFIO_DEVICE_DETACH_IOMMUFD_PT, detach);
}

/* --- nesting ------------------------------------------------------------------ */

u32 iommufd_nest_parent(struct bed *bed)
{
	struct iommu_hwpt_alloc hwpt = {
		.size = sizeof(hwpt), .flags = IOMMU_HWPT_ALLOC_NEST_PARENT,
		.dev_id = bed->iommufd_dev, .pt_id = bed->ioasid,
	};

	MUST(t_ioctl(bed->ctx, IOMMU_HWPT_ALLOC, &hwpt));
	return hwpt.out_hwpt_id;
}

u32 iommufd_nested(struct bed *bed, u32 parent, struct iommu_hwpt_vtd_s1 *s1)
{
	struct iommu_hwpt_alloc hwpt = {
		.size = sizeof(hwpt), .dev_id = bed->iommufd_dev, .pt_id = parent,
		.data_type = IOMMU_HWPT_DATA_VTD_S1, .data_len = sizeof(*s1),
		.data_uptr = (uintptr_t)s1,
	};

	MUST(t_ioctl(bed->ctx, IOMMU_HWPT_ALLOC, &hwpt));
	return hwpt.out_hwpt_id;
}

void iommufd_destroy(struct bed *bed, u32 id)
{
	struct iommu_destroy destroy = { .size = sizeof(destroy), .id = id };

	MUST(t_ioctl(bed->ctx, IOMMU_DESTROY, &destroy));
}

void iommufd_invalidate(struct bed *bed, u32 id, struct iommu_hwpt_vtd_s1_invalidate *e, u32 nr)
{
	struct iommu_hwpt_invalidate cmd = {
		.size = sizeof(cmd), .hwpt_id = id, .data_uptr = (uintptr_t)e,
		.data_type = IOMMU_HWPT_INVALIDATE_DATA_VTD_S1, .entry_len = sizeof(*e),
		.entry_num = nr,
	};

	MUST(t_ioctl(bed->ctx, IOMMU_HWPT_INVALIDATE, &cmd));
	if (cmd.entry_num != nr)
		bench_die("iommufd has executed %u of %u entries", cmd.entry_num, nr);
}

/* --- page requests ---------------------------------------------------------- */

int iommufd_attach_faults(struct bed *bed)
{
	struct iommu_fault_alloc queue = { .size = sizeof(queue) };
	struct iommu_hwpt_alloc hwpt = {
		.size = sizeof(hwpt), .flags = IOMMU_HWPT_FAULT_ID_VALID,
		.dev_id = bed->iommufd_dev, .pt_id = bed->ioasid,
	};

	MUST(t_ioctl(bed->ctx, IOMMU_FAULT_QUEUE_ALLOC, &queue));
	hwpt.fault_id = queue.out_fault_id;
	MUST(t_ioctl(bed->ctx, IOMMU_HWPT_ALLOC, &hwpt));
	MUST(iommufd_attach(bed->vfio.device, hwpt.out_hwpt_id));
	return queue.out_fault_fd;
}

u32 iommufd_fault_take(int fd, u64 *cookies, u32 max)
{
	struct iommu_hwpt_pgfault r[64];
	struct pollfd p = { .fd = fd, .events = POLLIN };
	ssize_t len;
	u32 n;

	if (max > 64)
		max = 64;
	/* Its read() does not wait */
	if (poll(&p, 1, 10000) != 1)
		return 0;
	len = read(fd, r, max * sizeof(r[0]));
	if (len < 0)
		bench_die("reading iommufd's records: %s", strerror(errno));
	for (n = 0; n < len / sizeof(r[0]); n++)
		cookies[n] = r[n].cookie;
	return n;
}

void iommufd_fault_answer(int fd, const u64 *cookies, u32 nr)
{
	struct iommu_hwpt_page_response r[64] = { 0 };
	u32 i;

	for (i = 0; i < nr; i++)
		r[i].cookie = cookies[i];
	if (write(fd, r, nr * sizeof(r[0])) != (ssize_t)(nr * sizeof(r[0])))
		bench_die("writing iommufd's answers: %s", strerror(errno));
}
