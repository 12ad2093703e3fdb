// SPDX-License-Identifier: GPL-2.0
/*
 * VFIO through its container interface. See vfio.h.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <unistd.h>

#include "sim.h"
#include "vfio.h"

#define PCI_COMMAND		4
#define PCI_COMMAND_MEMORY	2
#define PCI_COMMAND_MASTER	4

const char *t_vfio_step = "nothing";

static int fail(const char *step)
{
	t_vfio_step = step;
	return errno ? -errno : -EIO;
}

static void close_fd(int *fd)
{
	if (*fd >= 0)
		close(*fd);
	*fd = -1;
}

static int open_group(struct t_vfio *v, const char *addr)
{
	char path[32];
	int ret;

	t_vfio_step = "binding to VFIO";
	ret = t_device_to_vfio(addr);
	if (ret)
		return ret;
	snprintf(path, sizeof(path), "/dev/vfio/%d", t_device_group(addr));
	v->group = open(path, O_RDWR | O_CLOEXEC);
	return v->group < 0 ? fail("opening the group") : 0;
}

static int map_bar(struct t_vfio *v)
{
	struct vfio_region_info region = {
		.argsz = sizeof(region),
		.index = v->sim ? IOASID_SIM_REGION_MEMORY : VFIO_PCI_BAR0_REGION_INDEX,
	};

	if (ioctl(v->device, VFIO_DEVICE_GET_REGION_INFO, &region))
		return fail("VFIO_DEVICE_GET_REGION_INFO of what is to be mapped");
	v->bar_len = region.size;
	v->bar = mmap(NULL, v->bar_len, PROT_READ | PROT_WRITE, MAP_SHARED, v->device,
		      region.offset);
	if (v->bar == MAP_FAILED) {
		v->bar = NULL;
		return fail("mapping a region");
	}
	return 0;
}

static int find_regions(struct t_vfio *v)
{
	struct vfio_region_info config = {
		.argsz = sizeof(config),
		.index = v->sim ? IOASID_SIM_REGION_REGISTERS : VFIO_PCI_CONFIG_REGION_INDEX,
	};
	int ret;

	if (ioctl(v->device, VFIO_DEVICE_GET_REGION_INFO, &config))
		return fail("VFIO_DEVICE_GET_REGION_INFO of what is read");
	v->config = config.offset;
	ret = map_bar(v);
	return ret ? ret : t_vfio_bus_master(v, true);
}

static int open_device(struct t_vfio *v)
{
	v->device = ioctl(v->group, VFIO_GROUP_GET_DEVICE_FD, v->addr);
	return v->device < 0 ? fail("VFIO_GROUP_GET_DEVICE_FD") : find_regions(v);
}

/* Where its device node is, as a number; -1 on a kernel without */
static int node_number(const struct t_vfio *v)
{
	struct dirent *entry;
	char path[PATH_MAX];
	int nr = -1;
	DIR *dir;

	snprintf(path, sizeof(path), "/sys/bus/%s/devices/%s/vfio-dev",
		 v->sim ? "platform" : "pci", v->addr);
	dir = opendir(path);
	while (dir && nr < 0 && (entry = readdir(dir)))
		sscanf(entry->d_name, "vfio%d", &nr);
	if (dir)
		closedir(dir);
	return nr;
}

int t_vfio_open_node(const struct t_vfio *v)
{
	char path[64];
	int fd;

	snprintf(path, sizeof(path), "/dev/vfio/devices/vfio%d", node_number(v));
	fd = open(path, O_RDWR | O_CLOEXEC);
	return fd < 0 ? -errno : fd;
}

/* In the place of a container there is an iommufd, in which nothing is made */
static int open_bound(struct t_vfio *v, int iommufd)
{
	struct vfio_device_bind_iommufd bind = { .argsz = sizeof(bind), .iommufd = iommufd };
	int ret;

	v->container = iommufd;
	if (iommufd < 0)
		return -EOPNOTSUPP;
	t_vfio_step = "binding to VFIO";
	ret = t_device_to_vfio(v->addr);
	if (ret)
		return ret;
	t_vfio_step = "opening the device node";
	v->device = t_vfio_open_node(v);
	if (v->device < 0)
		return access("/dev/vfio/devices", F_OK) ? -EOPNOTSUPP : v->device;
	if (ioctl(v->device, VFIO_DEVICE_BIND_IOMMUFD, &bind))
		return fail("VFIO_DEVICE_BIND_IOMMUFD");
	return find_regions(v);
}

static void clear(struct t_vfio *v, const char *addr)
{
	memset(v, 0, sizeof(*v));
	v->container = -1;
	v->group = -1;
	v->device = -1;
	v->sim = t_sim_is_name(addr);
	snprintf(v->addr, sizeof(v->addr), "%s", addr);
}

static int finish(struct t_vfio *v, int ret)
{
	if (ret)
		t_vfio_close(v);
	return ret;
}

int t_vfio_open(struct t_vfio *v, const char *addr, unsigned long iommu)
{
	int ret;

	clear(v, addr);
	if (iommu == T_VFIO_NODE)
		return finish(v, open_bound(v, open("/dev/iommu", O_RDWR | O_CLOEXEC)));
	v->container = open("/dev/vfio/vfio", O_RDWR | O_CLOEXEC);
	if (v->container < 0)
		return fail("opening /dev/vfio/vfio");
	ret = open_group(v, addr);
	if (!ret && ioctl(v->group, VFIO_GROUP_SET_CONTAINER, &v->container))
		ret = fail("VFIO_GROUP_SET_CONTAINER");
	if (!ret && ioctl(v->container, VFIO_SET_IOMMU, iommu))
		ret = fail("VFIO_SET_IOMMU");
	if (!ret)
		ret = open_device(v);
	return finish(v, ret);
}

int t_vfio_open_in(struct t_vfio *v, const char *addr, const struct t_vfio *first)
{
	int ret;

	clear(v, addr);
	v->container = fcntl(first->container, F_DUPFD_CLOEXEC, 0);
	ret = open_group(v, addr);
	if (!ret && ioctl(v->group, VFIO_GROUP_SET_CONTAINER, &v->container))
		ret = fail("VFIO_GROUP_SET_CONTAINER");
	if (!ret)
		ret = open_device(v);
	return finish(v, ret);
}

int t_vfio_open_sibling(struct t_vfio *v, const struct t_vfio *first, const char *addr)
{
	int ret;

	clear(v, addr);
	t_vfio_step = "binding to VFIO";
	ret = t_device_to_vfio(addr);
	v->container = fcntl(first->container, F_DUPFD_CLOEXEC, 0);
	v->group = fcntl(first->group, F_DUPFD_CLOEXEC, 0);
	if (!ret)
		ret = open_device(v);
	return finish(v, ret);
}

void t_vfio_unmap_bar(struct t_vfio *v)
{
	if (v->bar)
		munmap(v->bar, v->bar_len);
	v->bar = NULL;
}

void t_vfio_close_device(struct t_vfio *v)
{
	t_vfio_unmap_bar(v);
	close_fd(&v->device);
}

int t_vfio_reopen_device(struct t_vfio *v)
{
	return open_device(v);
}

void t_vfio_close(struct t_vfio *v)
{
	t_vfio_close_device(v);
	close_fd(&v->group);
	close_fd(&v->container);
}

int t_vfio_bus_master(struct t_vfio *v, bool on)
{
	uint16_t command;

	if (v->sim)
		return 0;
	if (pread(v->device, &command, sizeof(command), v->config + PCI_COMMAND) != 2)
		return fail("reading the PCI command register");
	command |= PCI_COMMAND_MEMORY | PCI_COMMAND_MASTER;
	if (!on)
		command &= ~PCI_COMMAND_MASTER;
	if (pwrite(v->device, &command, sizeof(command), v->config + PCI_COMMAND) != 2)
		return fail("writing the PCI command register");
	return 0;
}

int t_vfio_reset(struct t_vfio *v)
{
	if (ioctl(v->device, VFIO_DEVICE_RESET))
		return fail("VFIO_DEVICE_RESET");
	return t_vfio_bus_master(v, true);
}

bool t_vfio_can_reset(struct t_vfio *v)
{
	struct vfio_device_info info = { .argsz = sizeof(info) };

	return !ioctl(v->device, VFIO_DEVICE_GET_INFO, &info) &&
	       (info.flags & VFIO_DEVICE_FLAGS_RESET);
}

int t_vfio_request_eventfd(struct t_vfio *v, int eventfd)
{
	char buf[sizeof(struct vfio_irq_set) + sizeof(int)] = { 0 };
	struct vfio_irq_set *set = (struct vfio_irq_set *)buf;

	set->argsz = sizeof(buf);
	set->flags = VFIO_IRQ_SET_DATA_EVENTFD | VFIO_IRQ_SET_ACTION_TRIGGER;
	set->index = v->sim ? IOASID_SIM_IRQ_REQUEST : VFIO_PCI_REQ_IRQ_INDEX;
	set->count = 1;
	memcpy(set->data, &eventfd, sizeof(eventfd));
	return ioctl(v->device, VFIO_DEVICE_SET_IRQS, set) ? fail("VFIO_DEVICE_SET_IRQS") : 0;
}

int t_vfio_attach(struct t_vfio *v, int ctx, u32 ioasid, u32 flags)
{
	struct vfio_device_attach cmd = {
		.argsz = sizeof(cmd),
		.flags = flags,
		.ioasid_fd = ctx,
		.device_fd = v->device,
		.ioasid = ioasid,
		.cookie = (uintptr_t)v,
	};
	int ret = t_cmd(v->container, VFIO_DEVICE_ATTACH, &cmd);

	if (!ret)
		v->dev_id = cmd.dev_id;
	return ret;
}

int t_vfio_bind(struct t_vfio *v, int ctx)
{
	return t_vfio_attach(v, ctx, 0, VFIO_DEVICE_ATTACH_BIND_ONLY);
}

int t_vfio_detach(struct t_vfio *v)
{
	struct vfio_device_detach cmd = { .argsz = sizeof(cmd), .device_fd = v->device };

	return t_cmd(v->container, VFIO_DEVICE_DETACH, &cmd);
}

int t_type1_map(int container, u64 iova, void *addr, u64 length, u32 vfio_dma_map_flags)
{
	struct vfio_iommu_type1_dma_map map = {
		.argsz = sizeof(map),
		.flags = vfio_dma_map_flags,
		.vaddr = (uintptr_t)addr,
		.iova = iova,
		.size = length,
	};

	return t_ioctl(container, VFIO_IOMMU_MAP_DMA, &map);
}

int t_type1_unmap(int container, u64 iova, u64 length)
{
	struct vfio_iommu_type1_dma_unmap unmap = {
		.argsz = sizeof(unmap),
		.iova = iova,
		.size = length,
	};

	return t_ioctl(container, VFIO_IOMMU_UNMAP_DMA, &unmap);
}
