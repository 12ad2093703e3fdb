// SPDX-License-Identifier: GPL-2.0
/* An address space with 64 KiB of our memory, and a failure with its reason. */
#include <fcntl.h>
#include <linux/ioasid.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/ioctl.h>

int main(void)
{
	struct ioasid_extack extack = { .size = sizeof(extack) };
	struct ioasid_alloc space = { .size = sizeof(space), .kind = IOASID_KIND_MAPPED };
	struct ioasid_map_range range = { .addr = (uintptr_t)aligned_alloc(4096, 65536),
		.length = 65536, .flags = IOASID_MAP_READ | IOASID_MAP_WRITE };
	struct ioasid_map map = { .size = sizeof(map), .extack = (uintptr_t)&extack,
		.nr = 1, .ranges = (uintptr_t)&range, .range_size = sizeof(range) };
	struct ioasid_translate at = { .size = sizeof(at) };
	int fd = open("/dev/ioasid", O_RDWR);

	if (fd < 0 || ioctl(fd, IOASID_ALLOC, &space))
		return perror("/dev/ioasid"), 1;
	map.ioasid = at.ioasid = space.ioasid;
	if (ioctl(fd, IOASID_MAP, &map))
		return printf("cannot map: %s\n", extack.msg), 1;
	printf("64 KiB at %p are at IOVA %#llx of space %u\n", (void *)range.addr,
	       range.iova, space.ioasid);

	at.iova = range.iova + 0x1234;
	if (!ioctl(fd, IOASID_TRANSLATE, &at))
		printf("IOVA %#llx is address %#llx\n", at.iova, at.addr);

	range.length = 100;		/* fails, since it is not a whole page */
	if (!ioctl(fd, IOASID_MAP, &map))
		return 1;
	printf("failed: %s\n", extack.msg);
	return 0;
}
