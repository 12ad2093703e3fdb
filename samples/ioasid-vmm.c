// SPDX-License-Identifier: GPL-2.0
/* What a VMM does: guest memory in a space, and a device of VFIO that uses it. */
#include <err.h>
#include <fcntl.h>
#include <linux/ioasid.h>
#include <linux/vfio.h>
#include <stdint.h>
#include <stdio.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <unistd.h>

#define HALF (32ULL << 20)	/* of the guest's memory: one at 0, one at 4 GiB */

static struct ioasid_extack why = { .size = sizeof(why) };

static void must(int ret, const char *what)
{
	if (ret < 0)
		errx(1, "%s: %s", what, why.msg);
}

int main(int argc, char **argv)
{
	struct ioasid_alloc space = { .size = sizeof(space), .extack = (uintptr_t)&why,
		.kind = IOASID_KIND_MAPPED, .label = "vmm" };
	struct ioasid_iova_range usable[32];
	int ctx = open("/dev/ioasid", O_RDWR), container = open("/dev/vfio/vfio", O_RDWR);
	int group = argc == 3 ? open(argv[1], O_RDWR) : -1, device;
	int ram = memfd_create("guest", 0);

	/* 1. The device: its DMA is blocked until it is attached */
	if (ctx < 0 || ram < 0 || ftruncate(ram, 2 * HALF) ||
	    ioctl(group, VFIO_GROUP_SET_CONTAINER, &container) ||
	    ioctl(container, VFIO_SET_IOMMU, VFIO_IOASID_IOMMU))
		err(1, "ioasid-vmm /dev/vfio/GROUP ADDRESS");
	device = ioctl(group, VFIO_GROUP_GET_DEVICE_FD, argv[2]);
	must(ioctl(ctx, IOASID_ALLOC, &space), "a space");
	struct vfio_device_attach attach = { .argsz = sizeof(attach), .extack = (uintptr_t)&why,
		.ioasid_fd = ctx, .device_fd = device, .ioasid = space.ioasid };
	must(ioctl(container, VFIO_DEVICE_ATTACH, &attach), "attach");

	/* 2. Only now it is known where guest memory can be: lay it out around the holes */
	struct ioasid_space_info info = { .size = sizeof(info), .extack = (uintptr_t)&why,
		.ioasid = space.ioasid, .nr_ranges = 32, .ranges = (uintptr_t)usable,
		.range_size = sizeof(usable[0]) };
	must(ioctl(ctx, IOASID_SPACE_INFO, &info), "usable ranges");
	for (unsigned int i = 0; i < info.nr_ranges; i++)
		printf("usable: %#llx-%#llx\n", usable[i].first, usable[i].last);

	/* 3. All of it by one command, from the file: nothing is mapped if it does not fit */
	unsigned int flags = IOASID_MAP_READ | IOASID_MAP_WRITE | IOASID_MAP_FIXED | IOASID_MAP_FILE;
	struct ioasid_map_range memory[] = {
		{ .iova = 0, .addr = 0, .length = HALF, .flags = flags, .fd = ram },
		{ .iova = 4ULL << 30, .addr = HALF, .length = HALF, .flags = flags, .fd = ram } };
	struct ioasid_map map = { .size = sizeof(map), .extack = (uintptr_t)&why,
		.ioasid = space.ioasid, .nr = 2, .ranges = (uintptr_t)memory,
		.range_size = sizeof(memory[0]) };
	must(ioctl(ctx, IOASID_MAP, &map), "guest memory");

	/* 4. BARs of devices cannot be mapped yet, which a VMM can live with */
	struct vfio_region_info bar = { .argsz = sizeof(bar), .index = VFIO_PCI_BAR0_REGION_INDEX };
	ioctl(device, VFIO_DEVICE_GET_REGION_INFO, &bar);
	struct ioasid_map_range registers = { .length = 4096, .iova = 8ULL << 30,
		.flags = IOASID_MAP_READ | IOASID_MAP_WRITE | IOASID_MAP_FIXED,
		.addr = (uintptr_t)mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, device,
					bar.offset) };
	map.nr = 1;
	map.ranges = (uintptr_t)&registers;
	if (ioctl(ctx, IOASID_MAP, &map) && why.code != IOASID_REASON_DEVICE_MEMORY)
		must(-1, "registers");

	/* 5. The guest takes a piece away, whether something is mapped there or not */
	struct ioasid_unmap_range gone = { .iova = 2ULL << 30, .length = 1ULL << 30 };
	struct ioasid_unmap unmap = { .size = sizeof(unmap), .flags = IOASID_UNMAP_EMPTY_OK,
		.extack = (uintptr_t)&why, .ioasid = space.ioasid, .nr = 1,
		.ranges = (uintptr_t)&gone, .range_size = sizeof(gone) };
	must(ioctl(ctx, IOASID_UNMAP, &unmap), "unmap");
	must(ioctl(ctx, IOASID_SPACE_INFO, &info), "space");
	printf("vmm: the device reaches %llu MiB of guest memory\n", info.mapped >> 20);
}
