// SPDX-License-Identifier: GPL-2.0
/*
 * ioasid-testdev, the endpoint with ATS of the QEMU machines, attached with its
 * RID: does it behave like hardware? Its translation cache goes stale unless it is
 * invalidated, and the kernel must do that.
 */
#include <sys/eventfd.h>
#include <sys/ioctl.h>
#include <sys/utsname.h>
#include <unistd.h>

#include "harness.h"
#include "lib/testdev.h"

#define AT	0x100000000ULL
#define LEN	(8 * T_PAGE)

FIXTURE(testdev) {
	int fd;
	struct t_testdev dev;
	struct ioasid_device_info info;
	u32 id;
	char *mem;
};

FIXTURE_SETUP(testdev)
{
	NEED(t_testdev_find(0), "needs ioasid-testdev (lab/vm run --testdev 1)");
	ASSERT_OK(t_testdev_open(&self->dev, 0, VFIO_IOASID_IOMMU));
	self->fd = t_open();
	ASSERT_FD(self->fd);
	ASSERT_OK(t_alloc(self->fd, &self->id));
	ASSERT_OK(t_vfio_attach(&self->dev.vfio, self->fd, self->id, 0));
	self->info.size = sizeof(self->info);
	ASSERT_OK(t_device_info(self->fd, self->dev.vfio.dev_id, &self->info));
	self->mem = t_memory(T_ANON, LEN);
	ASSERT_NE(NULL, self->mem);
	t_fill(self->mem, T_PAGE, 1);
	ASSERT_OK(t_map_at(self->fd, self->id, self->mem, LEN, T_RW, AT));
}

FIXTURE_TEARDOWN(testdev)
{
	t_testdev_close(&self->dev);
	close(self->fd);
}

static bool on_fsts(void)
{
	const char *iommu = getenv("IOASID_IOMMU");

	return iommu && !strcmp(iommu, "fsts");
}

/* The kernel reports what is turned on in the device */
TEST_F(testdev, enabled)
{
	struct utsname os;
	u32 has = t_testdev_read32(&self->dev, TESTDEV_ENABLED);

	EXPECT_TRUE(has & TESTDEV_HAS_MASTER);
	EXPECT_EQ(!!(has & TESTDEV_HAS_PASID), !!(self->info.caps & IOASID_DEVICE_PASID));
	EXPECT_EQ(!!(has & TESTDEV_HAS_ATS), !!(self->info.caps & IOASID_DEVICE_ATS));
	EXPECT_EQ(!!(has & TESTDEV_HAS_PRI), !!(self->info.caps & IOASID_DEVICE_PRI));
	EXPECT_EQ(has & TESTDEV_HAS_PASID ? t_testdev_read32(&self->dev, TESTDEV_PASID_BITS) : 0,
		  self->info.pasid_bits);
	/*
	 * On VT-d in scalable mode all three are there: their absence is a bug.
	 * Linux 6.12 turns page requests on where they are needed first.
	 */
	if (!on_fsts())
		return;
	EXPECT_TRUE(has & TESTDEV_HAS_PASID);
	EXPECT_TRUE(has & TESTDEV_HAS_ATS);
	EXPECT_EQ(0, uname(&os));
	if (strncmp(os.release, "6.", 2))
		EXPECT_TRUE(has & TESTDEV_HAS_PRI);
}

TEST_F(testdev, rid)
{
	struct t_testdev_cmd add = {
		.opcode = TESTDEV_OP_ADD, .addr = AT + T_PAGE, .length = 8, .data = 40,
	};
	struct t_testdev_cmd fill = {
		.opcode = TESTDEV_OP_FILL, .addr = AT + 2 * T_PAGE - 8, .length = 16, .data = 0x5a,
	};

	EXPECT_EQ(0, t_testdev_reads(&self->dev, 0, 0, AT, 1));
	EXPECT_EQ(0, t_testdev_writes(&self->dev, 0, 0, AT + 3 * T_PAGE,
				      self->mem + 3 * T_PAGE, 2));
	*(u64 *)(self->mem + T_PAGE) = 2;
	EXPECT_EQ(0, t_testdev_run(&self->dev, &add));
	EXPECT_EQ(2, add.data);
	EXPECT_EQ(42, *(u64 *)(self->mem + T_PAGE));
	EXPECT_EQ(0, t_testdev_run(&self->dev, &fill));
	EXPECT_EQ(16, fill.done);
	EXPECT_EQ(-1, t_not_byte(self->mem + 2 * T_PAGE - 8, 16, 0x5a));
	EXPECT_EQ(0, self->mem[2 * T_PAGE + 8]);
	EXPECT_EQ(TESTDEV_E_DMA, t_testdev_reads(&self->dev, 0, 0, AT + LEN, 1));
}

TEST_F(testdev, bad_commands)
{
	struct t_testdev_cmd bad[] = {
		{ .opcode = 99 },
		{ .opcode = TESTDEV_OP_READ, .length = TESTDEV_BUFFER_BYTES + 1 },
		{ .opcode = TESTDEV_OP_READ, .length = 8, .buffer = TESTDEV_BUFFER_BYTES - 4 },
		{ .opcode = TESTDEV_OP_READ, .length = 8, .buffer = 0xfffffffc },
		{ .opcode = TESTDEV_OP_ADD, .length = 8, .addr = AT + 4 },
		{ .opcode = TESTDEV_OP_READ, .length = 8, .pasid = 1u << 20 },
	};
	u32 i;

	for (i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		EXPECT_EQ(TESTDEV_E_COMMAND, t_testdev_run(&self->dev, &bad[i]));
	ASSERT_OK(t_vfio_bus_master(&self->dev.vfio, false));
	EXPECT_EQ(TESTDEV_E_DISABLED, t_testdev_reads(&self->dev, 0, 0, AT, 1));
}

/* The cache keeps translations, and drops them when the kernel unmaps */
TEST_F(testdev, translation_cache)
{
	u32 hits, dropped, held;

	NEED(self->info.caps & IOASID_DEVICE_ATS, "needs an IOMMU with ATS");
	EXPECT_EQ(0, t_testdev_reads(&self->dev, 0, TESTDEV_F_ATS, AT, 1));
	held = t_testdev_read32(&self->dev, TESTDEV_ATC_ENTRIES);
	EXPECT_LT(0, held);
	hits = t_testdev_read32(&self->dev, TESTDEV_ATC_HITS);
	EXPECT_EQ(0, t_testdev_reads(&self->dev, 0, TESTDEV_F_ATS, AT, 1));
	EXPECT_LT(hits, t_testdev_read32(&self->dev, TESTDEV_ATC_HITS));
	dropped = t_testdev_read32(&self->dev, TESTDEV_DROPPED);
	EXPECT_EQ(LEN, t_unmap(self->fd, self->id, AT, LEN));
	EXPECT_LT(dropped, t_testdev_read32(&self->dev, TESTDEV_DROPPED));
	EXPECT_EQ(TESTDEV_E_TRANSLATE, t_testdev_reads(&self->dev, 0, TESTDEV_F_ATS, AT, 1));
	/* Other memory at the same place is what it then reads */
	t_fill(self->mem + T_PAGE, T_PAGE, 7);
	ASSERT_OK(t_map_at(self->fd, self->id, self->mem + T_PAGE, T_PAGE, T_RW, AT));
	EXPECT_EQ(0, t_testdev_reads(&self->dev, 0, TESTDEV_F_ATS, AT, 7));
}

TEST_F(testdev, interrupt)
{
	struct t_testdev_cmd nop = { .opcode = TESTDEV_OP_NOP, .flags = TESTDEV_F_IRQ, .vector = 3 };
	char buf[sizeof(struct vfio_irq_set) + 8 * sizeof(int)] = { 0 };
	struct vfio_irq_set *set = (struct vfio_irq_set *)buf;
	int event[8], i;
	u64 count;

	for (i = 0; i < 8; i++)
		event[i] = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
	set->argsz = sizeof(buf);
	set->flags = VFIO_IRQ_SET_DATA_EVENTFD | VFIO_IRQ_SET_ACTION_TRIGGER;
	set->index = VFIO_PCI_MSIX_IRQ_INDEX;
	set->count = 8;
	memcpy(set->data, event, sizeof(event));
	ASSERT_EQ(0, ioctl(self->dev.vfio.device, VFIO_DEVICE_SET_IRQS, set));
	EXPECT_EQ(0, t_testdev_run(&self->dev, &nop));
	EXPECT_TRUE(t_readable(event[3], 5000));
	for (i = 0; i < 8; i++) {
		EXPECT_EQ(i == 3 ? 8 : -1, read(event[i], &count, 8));
		close(event[i]);
	}
}

/* A function reset clears everything, and the kernel sets it up again */
TEST_F(testdev, reset)
{
	u32 has = t_testdev_read32(&self->dev, TESTDEV_ENABLED);
	u32 resets = t_testdev_read32(&self->dev, TESTDEV_RESETS);

	ASSERT_TRUE(t_vfio_can_reset(&self->dev.vfio));
	if (self->info.caps & IOASID_DEVICE_ATS)
		EXPECT_EQ(0, t_testdev_reads(&self->dev, 0, TESTDEV_F_ATS, AT, 1));
	ASSERT_OK(t_vfio_reset(&self->dev.vfio));
	EXPECT_LT(resets, t_testdev_read32(&self->dev, TESTDEV_RESETS));
	EXPECT_EQ(0, t_testdev_read32(&self->dev, TESTDEV_ATC_ENTRIES));
	EXPECT_EQ(has, t_testdev_read32(&self->dev, TESTDEV_ENABLED));
	EXPECT_EQ(0, t_testdev_reads(&self->dev, 0, 0, AT, 1));
}

TEST_HARNESS_MAIN
