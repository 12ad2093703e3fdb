// SPDX-License-Identifier: GPL-2.0
/*
 * A device under a driver of the host. See host.h.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "check.h"
#include "host.h"
#include "proc.h"
#include "sim.h"

#define DRIVER	"ioasid-host"

bool t_host_load(void)
{
	return !system("modprobe -q ioasid_sample");
}

static int write_sysfs(const struct t_host *h, const char *file, const char *text)
{
	char path[256];

	snprintf(path, sizeof(path), "/sys/bus/%s/%s", h->pci ? "pci" : "platform", file);
	return t_write_file(path, text);
}

/* From whatever driver it has to that one */
static int move_to(const struct t_host *h, const char *driver)
{
	char file[160];
	int ret;

	snprintf(file, sizeof(file), "devices/%s/driver_override", h->name);
	ret = write_sysfs(h, file, driver);
	snprintf(file, sizeof(file), "devices/%s/driver/unbind", h->name);
	if (!ret)
		ret = write_sysfs(h, file, h->name);
	/* It may have none */
	if (ret == -ENOENT)
		ret = 0;
	if (!ret)
		ret = write_sysfs(h, "drivers_probe", h->name);
	return ret;
}

static int map_bar(struct t_host *h)
{
	char path[128];
	struct stat st;
	int fd;

	snprintf(path, sizeof(path), "/sys/bus/pci/devices/%s/resource0", h->name);
	fd = open(path, O_RDWR | O_CLOEXEC | O_SYNC);
	if (fd < 0 || fstat(fd, &st))
		return -errno;
	h->bar_len = st.st_size;
	h->bar = mmap(NULL, h->bar_len, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	close(fd);
	if (h->bar != MAP_FAILED)
		return 0;
	h->bar = NULL;
	return -errno;
}

int t_host_file(const struct t_host *h)
{
	u64 end = t_end_of_patience(5000);
	char path[128];
	int fd;

	snprintf(path, sizeof(path), "/dev/ioasid-host-%s", h->name);
	while ((fd = open(path, O_RDWR | O_CLOEXEC)) < 0 && t_now_ns() < end)
		t_sleep_ms(20);
	return fd < 0 ? -errno : fd;
}

int t_host_open(struct t_host *h, const char *name)
{
	int ret;

	memset(h, 0, sizeof(*h));
	h->fd = -1;
	if (!name)
		return -ENOENT;
	snprintf(h->name, sizeof(h->name), "%s", name);
	h->pci = !t_sim_is_name(name);
	ret = move_to(h, DRIVER);
	if (ret)
		return ret;
	h->fd = t_host_file(h);
	if (h->fd < 0)
		return h->fd;
	return h->pci ? map_bar(h) : 0;
}

int t_host_close(struct t_host *h)
{
	if (!h->name[0])
		return 0;
	if (h->bar)
		munmap(h->bar, h->bar_len);
	if (h->fd >= 0)
		close(h->fd);
	return move_to(h, h->pci ? "vfio-pci" : "ioasid-sim");
}

int t_host_sva(int fd, u32 *pasid)
{
	return ioctl(fd, IOASID_HOST_SVA, pasid) ? -errno : 0;
}

int t_host_sva_end(int fd)
{
	return ioctl(fd, IOASID_HOST_SVA_END) ? -errno : 0;
}

static int host_command(int fd, unsigned long cmd, struct ioasid_host_attach *arg)
{
	memset(&t_extack, 0, sizeof(t_extack));
	t_extack.size = sizeof(t_extack);
	arg->extack = (uintptr_t)&t_extack;
	return ioctl(fd, cmd, arg) ? -errno : 0;
}

int t_host_attach(int fd, int ctx, u32 ioasid, u32 *pasid, u32 vpasid, u32 flags)
{
	struct ioasid_host_attach arg = {
		.flags = flags, .ioasid_fd = ctx, .ioasid = ioasid, .pasid = *pasid,
		.vpasid = vpasid,
	};
	int ret = host_command(fd, IOASID_HOST_ATTACH, &arg);

	if (!ret)
		*pasid = arg.pasid;
	return ret;
}

int t_host_detach(int fd, u32 number)
{
	struct ioasid_host_attach arg = { .pasid = number };

	return host_command(fd, IOASID_HOST_DETACH, &arg);
}

static int host_map_command(int fd, unsigned long cmd, struct ioasid_host_map *arg)
{
	memset(&t_extack, 0, sizeof(t_extack));
	t_extack.size = sizeof(t_extack);
	arg->extack = (uintptr_t)&t_extack;
	return ioctl(fd, cmd, arg) ? -errno : 0;
}

int t_host_map(int fd, int ctx, void *mem, u64 length, u64 *iova, u32 *number)
{
	struct ioasid_host_map arg = {
		.addr = (uintptr_t)mem, .length = length, .ioasid_fd = ctx,
	};
	int ret = host_map_command(fd, IOASID_HOST_MAP, &arg);

	*iova = arg.iova;
	*number = arg.number;
	return ret;
}

s64 t_host_unmap(int fd, u64 iova, u64 length)
{
	struct ioasid_host_map arg = { .iova = iova, .length = length };
	int ret = host_map_command(fd, IOASID_HOST_UNMAP, &arg);

	return ret ?: (s64)arg.length;
}

int t_host_dma(int fd, u32 number, u32 flags, const void *iova, void *mem, u32 length)
{
	struct ioasid_host_dma arg = {
		.iova = (uintptr_t)iova, .addr = (uintptr_t)mem, .length = length,
		.number = number, .flags = flags,
	};

	return ioctl(fd, IOASID_HOST_DMA, &arg) ? -errno : 0;
}
