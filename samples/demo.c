// SPDX-License-Identifier: GPL-2.0
/* Output and devices of the demos. See demo.h. */
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>

#include "demo.h"

#define MAX_TRANSFERS	16

static struct transfer {
	const char *device;
	const char *what;
	unsigned long long iova;
	unsigned int bytes;
	uint64_t start;
	uint64_t ns;
	uint32_t crc;
	bool right;
} transfers[MAX_TRANSFERS];
static int nr_transfers;

void step(const char *format, ...)
{
	static int number;
	va_list args;

	printf("\n%2d. ", ++number);
	va_start(args, format);
	vprintf(format, args);
	va_end(args);
	printf("\n");
}

void result(const char *format, ...)
{
	va_list args;

	printf("    -> ");
	va_start(args, format);
	vprintf(format, args);
	va_end(args);
	printf("\n");
}

void failed(const char *format, ...)
{
	va_list args;

	printf("\ndemo: FAILED: ");
	va_start(args, format);
	vprintf(format, args);
	va_end(args);
	printf("\n");
	exit(1);
}

void must(int fd, unsigned long command, void *arg, const struct ioasid_extack *extack,
	  const char *what)
{
	if (ioctl(fd, command, arg) < 0)
		failed("%s: %s", what,
		       extack->msg[0] ? extack->msg : "no such command: is ioasid loaded?");
}

void worked(int ret, const char *what)
{
	if (ret < 0)
		failed("%s: %s", what, strerror(-ret));
}

void open_device(struct t_vfio *dev, enum t_pci_kind kind, const char *name)
{
	const char *address = t_pci(kind, 0);
	int ret;

	if (!address)
		failed("this machine has no %s behind an IOMMU", name);
	ret = t_vfio_open(dev, address, VFIO_IOASID_IOMMU);
	if (ret)
		failed("%s %s: %s: %s", name, address, t_vfio_step, strerror(-ret));
	result("%s %s: IOMMU group %d, the container asks /dev/ioasid for translation", name,
	       address, t_pci_group(address));
}

void transfer_begin(const char *device, const char *what, unsigned long long iova,
		    unsigned int bytes)
{
	if (nr_transfers == MAX_TRANSFERS)
		failed("the table has no room");
	transfers[nr_transfers] = (struct transfer){
		.device = device,
		.what = what,
		.iova = iova,
		.bytes = bytes,
		.start = t_now_ns(),
	};
}

void transfer_end(int ret, const void *mem, bool right)
{
	struct transfer *t = &transfers[nr_transfers++];

	t->ns = t_now_ns() - t->start;
	t->crc = t_crc32(mem, t->bytes);
	t->right = right;
	if (ret < 0)
		failed("%s, %s: %s", t->device, t->what, strerror(-ret));
	if (!right)
		failed("%s, %s: the data is wrong", t->device, t->what);
}

void transfer_table(void)
{
	struct transfer *t;

	printf("\n    %-6s %-17s %-18s %8s %10s %9s  %s\n", "device", "direction", "IOVA",
	       "bytes", "checksum", "us", "data");
	for (t = transfers; t < transfers + nr_transfers; t++)
		printf("    %-6s %-17s 0x%-16llx %8u 0x%08x %9.1f  %s\n", t->device, t->what,
		       t->iova, t->bytes, t->crc, t->ns / 1000.0, t->right ? "ok" : "WRONG");
}
