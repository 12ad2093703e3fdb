// SPDX-License-Identifier: GPL-2.0
/*
 * Two devices share one address space without copying: an NVMe disk and QEMU's edu
 * device do DMA to memory of this program through /dev/ioasid. Then the memory is
 * unmapped, which blocks their DMA, and a mistake gets its reason. Everything about
 * /dev/ioasid is in this file; demo.c has the output and the devices.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "demo.h"

#define KIB		1024
#define QUEUES		(256 * KIB)	/* of memory: where the disk finds its commands */
#define DATA		(256 * KIB)	/* and what it and the other device move about */
#define BLOCKS		(64 * KIB)	/* one transfer of the disk */

/* The reason of a failure; passed to all commands */
static struct ioasid_extack extack = { .size = sizeof(extack) };

/* Lets devices in @space read and write @mem; the kernel chooses the IOVA */
static unsigned long long map(int ctx, unsigned int space, void *mem, size_t length)
{
	struct ioasid_map_range range = {
		.addr = (uintptr_t)mem,
		.length = length,
		.flags = IOASID_MAP_READ | IOASID_MAP_WRITE,
	};
	struct ioasid_map cmd = {
		.size = sizeof(cmd), .extack = (uintptr_t)&extack,
		.ioasid = space, .nr = 1, .ranges = (uintptr_t)&range,
		.range_size = sizeof(range),
	};

	must(ctx, IOASID_MAP, &cmd, &extack, "mapping memory");
	result("%zu KiB at address %p are now at IOVA %#llx", length / KIB, mem, range.iova);
	return range.iova;
}

static void unmap(int ctx, unsigned int space, unsigned long long iova, size_t length)
{
	struct ioasid_unmap_range range = { .iova = iova, .length = length };
	struct ioasid_unmap cmd = {
		.size = sizeof(cmd), .extack = (uintptr_t)&extack,
		.ioasid = space, .nr = 1, .ranges = (uintptr_t)&range,
		.range_size = sizeof(range),
	};

	must(ctx, IOASID_UNMAP, &cmd, &extack, "unmapping memory");
	result("%llu KiB gone, flushed from the IOMMU and unpinned", cmd.unmapped / KIB);
}

/* Now DMA of the device goes through @space */
static void attach(int ctx, unsigned int space, struct t_vfio *dev)
{
	struct vfio_device_attach cmd = {
		.argsz = sizeof(cmd), .extack = (uintptr_t)&extack,
		.ioasid_fd = ctx, .device_fd = dev->device, .ioasid = space,
	};

	must(dev->container, VFIO_DEVICE_ATTACH, &cmd, &extack, "attaching the device");
	result("it is device %u of this context, its DMA goes through space %u", cmd.dev_id, space);
}

static void use_disk(struct t_nvme *disk, char *data, unsigned long long iova)
{
	char *back = data + BLOCKS;
	int ret;

	t_fill(data, BLOCKS, 1);
	memset(back, 0, BLOCKS);
	transfer_begin("nvme", "memory -> disk", iova, BLOCKS);
	transfer_end(t_nvme_write(disk, 0, iova, BLOCKS), data, true);
	transfer_begin("nvme", "disk -> memory", iova + BLOCKS, BLOCKS);
	ret = t_nvme_read(disk, 0, iova + BLOCKS, BLOCKS);
	transfer_end(ret, back, t_differs(back, BLOCKS, 1) < 0);
	result("%d KiB written to the disk and read back elsewhere: the same", BLOCKS / KIB);
}

/* edu copies what the disk has read to another place */
static void use_edu(struct t_edu *edu, char *data, unsigned long long iova)
{
	char *copy = data + 2 * BLOCKS;
	int ret;

	memset(copy, 0, T_EDU_BUFFER);
	transfer_begin("edu", "memory -> device", iova + BLOCKS, T_EDU_BUFFER);
	transfer_end(t_edu_pull(edu, iova + BLOCKS, T_EDU_BUFFER), data + BLOCKS, true);
	transfer_begin("edu", "device -> memory", iova + 2 * BLOCKS, T_EDU_BUFFER);
	ret = t_edu_push(edu, iova + 2 * BLOCKS, T_EDU_BUFFER);
	transfer_end(ret, copy, t_differs(copy, T_EDU_BUFFER, 1) < 0);
	result("what the disk has read, edu has copied: no copy by this program in between");
}

/* Both devices try to write where nothing is mapped any more */
static void try_in_vain(struct t_nvme *disk, struct t_edu *edu, char *data, unsigned long long iova)
{
	memset(data, 0x5a, DATA);
	disk->timeout_ms = 700;		/* a disk whose write is blocked may never respond */
	t_nvme_read(disk, 0, iova, BLOCKS);
	t_edu_push(edu, iova, T_EDU_BUFFER);
	if (t_not_byte(data, DATA, 0x5a) >= 0)
		failed("a device has written to memory that was unmapped");
	result("both have tried to write there: blocked by the IOMMU, the memory is unchanged");
}

static void ask_too_much(int ctx, unsigned int space, unsigned long long taken, void *mem)
{
	struct ioasid_map_range range = {
		.iova = taken,
		.addr = (uintptr_t)mem,
		.length = 4096,
		.flags = IOASID_MAP_READ | IOASID_MAP_FIXED,
	};
	struct ioasid_map cmd = {
		.size = sizeof(cmd), .extack = (uintptr_t)&extack,
		.ioasid = space, .nr = 1, .ranges = (uintptr_t)&range,
		.range_size = sizeof(range),
	};

	if (t_ioctl(ctx, IOASID_MAP, &cmd) != -EEXIST || extack.code != IOASID_REASON_OVERLAP)
		failed("mapping the same IOVA twice has not failed");
	result("EEXIST, and the kernel says why: \"%s\"", extack.msg);
}

int main(void)
{
	struct ioasid_info info = { .size = sizeof(info), .extack = (uintptr_t)&extack };
	struct ioasid_alloc alloc = {
		.size = sizeof(alloc), .extack = (uintptr_t)&extack,
		.kind = IOASID_KIND_MAPPED, .label = "demo",
	};
	unsigned long long queues_iova, data_iova;
	struct t_vfio disk_dev, edu_dev;
	struct t_nvme disk = { 0 };
	struct t_edu edu;
	char *queues, *data;
	int ctx;

	printf("Two devices, one address space, no copy: a tour of /dev/ioasid\n");
	step("Open /dev/ioasid. What is made from here on belongs to this open file.");
	ctx = open("/dev/ioasid", O_RDWR | O_CLOEXEC);
	if (ctx < 0)
		failed("/dev/ioasid: %s", strerror(errno));
	must(ctx, IOASID_GET_INFO, &info, &extack, "asking what there is");
	result("pages of %u bytes, up to %u ranges in one call", info.page_size, info.max_vector);

	step("Make an I/O address space. A device that is put into it sees nothing but\n"
	     "    what is mapped there, at addresses called IOVA.");
	must(ctx, IOASID_ALLOC, &alloc, &extack, "making a space");
	result("space %u", alloc.ioasid);

	step("Map memory of this program in it: the disk's queues, and room for data.\n"
	     "    It stays where it is, pinned, until it is unmapped.");
	queues = t_memory(T_ANON, QUEUES);
	data = t_memory(T_ANON, DATA);
	if (!queues || !data)
		failed("no memory");
	queues_iova = map(ctx, alloc.ioasid, queues, QUEUES);
	data_iova = map(ctx, alloc.ioasid, data, DATA);

	step("Open an NVMe disk through VFIO, as a virtual machine monitor would. Its DMA\n"
	     "    is blocked until it is attached.");
	open_device(&disk_dev, T_NVME, "NVMe disk");

	step("Attach the disk to the space, and start it.");
	attach(ctx, alloc.ioasid, &disk_dev);
	worked(t_nvme_start(&disk, disk_dev.bar, queues, queues_iova), "starting the disk");
	result("it says that it is a \"%.14s\" with %llu MiB", disk.model,
	       (unsigned long long)disk.nr_blocks * disk.block >> 20);

	step("Write to the disk and read back: the disk fetches from and stores to our memory.");
	use_disk(&disk, data, data_iova);

	step("Attach a second device, QEMU's edu, to the same space: what one has written,\n"
	     "    the other can read.");
	open_device(&edu_dev, T_EDU, "edu");
	attach(ctx, alloc.ioasid, &edu_dev);
	worked(t_edu_start(&edu, edu_dev.bar), "starting edu");
	use_edu(&edu, data, data_iova);
	transfer_table();

	step("Make a mistake: map something where the queues are already.");
	ask_too_much(ctx, alloc.ioasid, queues_iova, data);

	step("Take the data's memory away from the devices, and let them try.");
	unmap(ctx, alloc.ioasid, data_iova, DATA);
	try_in_vain(&disk, &edu, data, data_iova);

	step("Close everything. Nothing stays pinned, attached or open.");
	t_vfio_close(&edu_dev);
	t_vfio_close(&disk_dev);
	close(ctx);

	printf("\ndemo: passed\n");
	return 0;
}
