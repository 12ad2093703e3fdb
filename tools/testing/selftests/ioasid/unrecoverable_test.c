// SPDX-License-Identifier: GPL-2.0
/*
 * Unrecoverable faults are reported if, and only if, DEVICE_INFO says so: on any
 * device and any IOMMU. Where they are not, the device's DMA is blocked all the
 * same.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "harness.h"

#define AT	0x40000000ULL
#define LEN	(4 * T_PAGE)

FIXTURE(unrecoverable) {
	int fd;
	struct t_dma dev;
	u32 id;
	u32 caps;
	struct t_queue q;
	char *mem;
};

FIXTURE_VARIANT(unrecoverable) {
	enum t_pci_kind kind;
};

FIXTURE_VARIANT_ADD(unrecoverable, edu) { .kind = T_EDU };
FIXTURE_VARIANT_ADD(unrecoverable, nvme) { .kind = T_NVME };

FIXTURE_SETUP(unrecoverable)
{
	struct ioasid_device_info info = { .flags = 0 };

	NEED_DMA(&self->dev, variant->kind, 0);
	self->fd = t_open();
	ASSERT_FD(self->fd);
	ASSERT_OK(t_alloc(self->fd, &self->id));
	ASSERT_OK(t_dma_up(&self->dev, self->fd, self->id));
	ASSERT_OK(t_device_info(self->fd, self->dev.vfio.dev_id, &info));
	self->caps = info.caps;
	ASSERT_OK(t_queue_open(&self->q, self->fd, NULL));
	ASSERT_OK(t_fault_bind(self->fd, self->id, 0, 0, self->q.id));
	self->mem = t_memory(T_ANON, LEN);
	ASSERT_NE(NULL, self->mem);
	t_fill(self->mem, LEN, 1);
	ASSERT_OK(t_map_at(self->fd, self->id, self->mem, LEN, IOASID_MAP_READ, AT));
}

FIXTURE_TEARDOWN(unrecoverable)
{
	t_queue_close(&self->q);
	t_dma_close(&self->dev);
	close(self->fd);
}

/* What has been added to the kernel log */
static int log_from_now(void)
{
	int log = open("/dev/kmsg", O_RDONLY | O_NONBLOCK);

	if (log >= 0)
		lseek(log, 0, SEEK_END);
	return log;
}

/*
 * QEMU's AMD IOMMU (11.1) writes all DMA that it blocks into its log as if it were an
 * interrupt, at address 0. The driver reports no interrupts: it says so in the
 * kernel log, with the flags that it has found. Hardware sets no such flag.
 */
static bool taken_for_interrupt(int log)
{
	char line[1024], *flags;
	ssize_t n;

	while ((n = read(log, line, sizeof(line) - 1)) > 0 || errno == EPIPE) {
		line[n > 0 ? n : 0] = '\0';
		flags = strstr(line, "flags=0x");
		if (strstr(line, "IO_PAGE_FAULT") && flags &&
		    strtoul(flags + strlen("flags="), NULL, 16) & 8)
			return true;
	}
	return false;
}

/* The next record that is about @page; others are of DMA that the device does itself */
static int about(FIXTURE_DATA(unrecoverable) *self, u64 page, struct ioasid_fault_record *r,
		 unsigned int ms)
{
	int ret;

	do {
		ret = t_queue_next(&self->q, r, ms);
	} while (!ret && (r->addr & ~(T_PAGE - 1)) != page);
	return ret;
}

/* A device that gets an error for its own DMA may try again */
TEST_F(unrecoverable, reported_as_promised)
{
	bool reported = self->caps & IOASID_DEVICE_UNRECOVERABLE;
	const char *iommu = getenv("IOASID_IOMMU");
	struct ioasid_fault_record r;
	int log, ret;

	/* Its driver says little in 5 seconds, and the tests before have caused much of it */
	if (iommu && !strcmp(iommu, "amd"))
		t_sleep_ms(6000);
	log = log_from_now();
	TH_LOG("unrecoverable faults are %sreported here", reported ? "" : "not ");
	EXPECT_EQ(1, t_dma_reads(&self->dev, AT, self->mem));
	t_dma_impatient(&self->dev, true);
	EXPECT_NE(1, t_dma_reads(&self->dev, AT + LEN, self->mem));
	if (!reported) {
		EXPECT_EQ(-ETIMEDOUT, about(self, AT + LEN, &r, 900));
		return;
	}
	ret = about(self, AT + LEN, &r, 2000);
	NEED(!ret || !taken_for_interrupt(log),
	     "needs an IOMMU that does not take blocked DMA for interrupts");
	ASSERT_EQ(0, ret);
	close(log);
	EXPECT_EQ(IOASID_FAULT_UNRECOVERABLE, r.type);
	EXPECT_EQ(IOASID_FAULT_READ, r.flags);
	EXPECT_EQ(IOASID_FAULT_NOT_MAPPED, r.reason);
	EXPECT_EQ(self->dev.vfio.dev_id, r.dev_id);
	EXPECT_EQ(IOASID_RID, r.pasid);
	EXPECT_EQ(self->id, r.ioasid);
	EXPECT_LE(1, r.nr);
	EXPECT_NE(1, t_dma_writes(&self->dev, AT + T_PAGE, self->mem + T_PAGE));
	ASSERT_EQ(0, about(self, AT + T_PAGE, &r, 2000));
	EXPECT_EQ(IOASID_FAULT_UNRECOVERABLE, r.type);
	EXPECT_EQ(IOASID_FAULT_WRITE, r.flags);
	EXPECT_EQ(IOASID_FAULT_PERMISSION, r.reason);
	EXPECT_EQ(-1, t_differs(self->mem, LEN, 1));
}

TEST_HARNESS_MAIN
