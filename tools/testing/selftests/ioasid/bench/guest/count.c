// SPDX-License-Identifier: GPL-2.0
/*
 * Preloaded into a VMM: counts the commands of VFIO containers and of /dev/ioasid, and
 * the processor time of their thread in them. What VFIO does for a device, which is
 * the same on all sides, is not counted. It must never change what a command does.
 */
#include <fcntl.h>
#include <linux/ioasid.h>
#include <linux/vfio.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "count.h"

#define MAX_FD	1024

static struct count *counts;
/* VFIO has used some numbers twice, for devices and for containers */
static bool container[MAX_FD];
/* Of asking for the time itself */
static unsigned long long ask_ns;

static unsigned long long now(void)
{
	struct timespec t;

	clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
	return t.tv_sec * 1000000000ULL + t.tv_nsec;
}

__attribute__((constructor)) static void start(void)
{
	const char *path = getenv(COUNT_FILE);
	int fd = path ? open(path, O_RDWR | O_CLOEXEC) : -1;
	unsigned long long before, took;
	int i;

	if (fd < 0)
		return;
	counts = mmap(NULL, NR_COUNTS * sizeof(*counts), PROT_READ | PROT_WRITE, MAP_SHARED,
		      fd, 0);
	close(fd);
	if (counts == MAP_FAILED)
		abort();
	for (i = 0; i < 16; i++) {
		before = now();
		took = now() - before;
		if (!i || took < ask_ns)
			ask_ns = took;
	}
}

static int kind(int fd, unsigned long command)
{
	bool is_container = fd >= 0 && fd < MAX_FD && container[fd];

	switch (command) {
	case VFIO_SET_IOMMU:
		if (fd >= 0 && fd < MAX_FD)
			container[fd] = true;
		return COUNT_OTHER;
	case VFIO_GROUP_SET_CONTAINER:
	case VFIO_GROUP_UNSET_CONTAINER:
		return COUNT_OTHER;
	case VFIO_IOMMU_GET_INFO:
		return is_container ? COUNT_OTHER : -1;
	case VFIO_IOMMU_MAP_DMA:
		return is_container ? COUNT_MAP : -1;
	case VFIO_IOMMU_UNMAP_DMA:
		return is_container ? COUNT_UNMAP : -1;
	case IOASID_MAP:
	case IOASID_COPY:
		return COUNT_MAP;
	case IOASID_UNMAP:
		return COUNT_UNMAP;
	}
	return _IOC_TYPE(command) == IOASID_TYPE ? COUNT_OTHER : -1;
}

int ioctl(int fd, unsigned long command, ...)
{
	int which = counts ? kind(fd, command) : -1, ret;
	unsigned long long before;
	va_list args;
	void *arg;

	va_start(args, command);
	arg = va_arg(args, void *);
	va_end(args);
	if (which < 0)
		return syscall(SYS_ioctl, fd, command, arg);
	before = now();
	ret = syscall(SYS_ioctl, fd, command, arg);
	counts[which].ns += now() - before - ask_ns;
	counts[which].calls++;
	return ret;
}
