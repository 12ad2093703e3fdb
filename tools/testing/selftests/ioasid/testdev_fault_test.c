// SPDX-License-Identifier: GPL-2.0
/*
 * Fault queues on the kernel's own VT-d driver, by ioasid-testdev: resets while
 * the device waits, policies, PASIDs that wait side by side, limits. Whether the
 * device got an answer is asked of the device.
 */
#include <errno.h>
#include <unistd.h>

#include "harness.h"
#include "lib/testdev.h"

#define AT	0x100000000ULL
#define PAGES	16
#define LEN	(PAGES * T_PAGE)
#define PASIDS	4

FIXTURE(testdev_fault) {
	int fd;
	struct t_testdev dev;
	u32 dev_id;
	u32 caps;
	u32 rid;
	u32 id;
	u32 pasid[PASIDS];
	char *mem;
	struct t_queue q;
};

FIXTURE_SETUP(testdev_fault)
{
	struct ioasid_device_info info = { .flags = 0 };
	u32 i;

	NEED(t_testdev_find(0), "needs ioasid-testdev (lab/vm run --testdev 1)");
	ASSERT_OK(t_testdev_open(&self->dev, 0, VFIO_IOASID_IOMMU));
	self->fd = t_open();
	ASSERT_FD(self->fd);
	ASSERT_OK(t_alloc(self->fd, &self->rid));
	ASSERT_OK(t_vfio_attach(&self->dev.vfio, self->fd, self->rid, 0));
	self->dev_id = self->dev.vfio.dev_id;
	ASSERT_OK(t_device_info(self->fd, self->dev_id, &info));
	self->caps = info.caps;
	NEED(info.caps & IOASID_DEVICE_PASID, "needs an IOMMU with PASIDs");
	ASSERT_OK(t_alloc_faults(self->fd, &self->id));
	ASSERT_OK(t_queue_open(&self->q, self->fd, NULL));
	ASSERT_OK(t_fault_bind(self->fd, self->id, 0, 0, self->q.id));
	for (i = 0; i < PASIDS; i++) {
		self->pasid[i] = IOASID_PASID_ANY;
		ASSERT_OK(t_attach_pasid(self->fd, self->dev_id, self->id, &self->pasid[i],
					 100 + i, 0));
	}
	self->mem = t_memory(T_ANON, LEN);
	ASSERT_NE(NULL, self->mem);
	t_fill(self->mem, LEN, 1);
}

FIXTURE_TEARDOWN(testdev_fault)
{
	t_queue_close(&self->q);
	t_testdev_close(&self->dev);
	close(self->fd);
}

/* Reads a page by that PASID, and asks for it if it is not there */
static void begin(FIXTURE_DATA(testdev_fault) *self, u32 slot, u32 i, u64 iova)
{
	struct t_testdev_cmd read = {
		.opcode = TESTDEV_OP_READ, .addr = iova, .length = 8, .pasid = self->pasid[i],
		.flags = TESTDEV_F_ATS | TESTDEV_F_PRI,
	};

	t_testdev_begin(&self->dev, slot, &read);
}

#define END(slot)	t_testdev_end(&self->dev, slot, NULL, 5000)
#define NEXT(r)		ASSERT_EQ(0, t_queue_next(&self->q, (r), 5000))
#define NOTHING() do {								\
	struct ioasid_fault_record none;					\
	EXPECT_EQ(-ETIMEDOUT, t_queue_next(&self->q, &none, 300));		\
} while (0)

/*
 * All that waits is dropped, and reported once for each PASID; the device works on.
 * Linux 6.12 does not report resets to IOMMU drivers: there what waits stays.
 */
TEST_F(testdev_fault, reset)
{
	bool reported = self->caps & IOASID_DEVICE_RESETS;
	struct ioasid_fault_record held[PASIDS], r;
	u32 seen = 0, i;

	TH_LOG("resets are %sreported here", reported ? "" : "not ");
	for (i = 0; i < PASIDS; i++) {
		begin(self, i, i, AT + i * T_PAGE);
		NEXT(&held[i]);
		EXPECT_EQ(IOASID_FAULT_REQUEST, held[i].type);
		EXPECT_EQ(100 + i, held[i].pasid);
	}
	ASSERT_OK(t_vfio_reset(&self->dev.vfio));
	for (i = 0; i < PASIDS; i++)
		EXPECT_EQ(-ECANCELED, END(i));
	for (i = 0; reported && i < PASIDS; i++) {
		NEXT(&r);
		EXPECT_EQ(IOASID_FAULT_RESET, r.type);
		EXPECT_EQ(1, r.nr);
		EXPECT_EQ(self->dev_id, r.dev_id);
		EXPECT_EQ(self->id, r.ioasid);
		EXPECT_LE(100, r.pasid);
		seen |= 1 << (r.pasid - 100);
	}
	EXPECT_EQ(reported ? (1 << PASIDS) - 1 : 0, seen);
	NOTHING();
	for (i = 0; i < PASIDS; i++)
		EXPECT_EQ(reported ? -ENOENT : 0,
			  t_queue_answer(&self->q, held[i].cookie, IOASID_FAULT_SUCCESS));
	/* A late answer must not be taken for that to a new request */
	begin(self, 1, 1, AT);
	NEXT(&r);
	EXPECT_EQ(IOASID_FAULT_REQUEST, r.type);
	EXPECT_EQ(101, r.pasid);
	EXPECT_FALSE(t_testdev_ended(&self->dev, 1));
	ASSERT_OK(t_map_at(self->fd, self->id, self->mem, LEN, T_RW, AT));
	ASSERT_EQ(0, t_queue_answer(&self->q, r.cookie, IOASID_FAULT_SUCCESS));
	EXPECT_EQ(0, END(1));
	for (i = 0; i < PASIDS; i++)
		EXPECT_EQ(0, t_testdev_reads(&self->dev, self->pasid[i], TESTDEV_F_ATS, AT, 1));
}

/* In one go: the RESET comes before what was asked for afterwards */
TEST_F(testdev_fault, reset_in_order)
{
	struct ioasid_fault_record r;

	NEED(self->caps & IOASID_DEVICE_RESETS, "needs a kernel that reports resets to IOMMUs");
	begin(self, 0, 2, AT);
	NEXT(&r);
	ASSERT_OK(t_vfio_reset(&self->dev.vfio));
	begin(self, 0, 2, AT + T_PAGE);
	NEXT(&r);
	EXPECT_EQ(IOASID_FAULT_RESET, r.type);
	EXPECT_EQ(102, r.pasid);
	NEXT(&r);
	EXPECT_EQ(IOASID_FAULT_REQUEST, r.type);
	EXPECT_EQ(AT + T_PAGE, r.addr & ~(T_PAGE - 1));
	ASSERT_EQ(0, t_queue_answer(&self->q, r.cookie, IOASID_FAULT_INVALID));
	EXPECT_EQ(TESTDEV_E_INVALID, END(0));
}

/* One PASID goes while the others wait: only its own request is answered */
TEST_F(testdev_fault, detach_one)
{
	struct ioasid_fault_record held[PASIDS], r;
	u32 i;

	for (i = 0; i < PASIDS; i++) {
		begin(self, i, i, AT + i * T_PAGE);
		NEXT(&held[i]);
	}
	ASSERT_OK(t_detach_pasid(self->fd, self->dev_id, 102));
	EXPECT_LT(0, END(2));
	NEXT(&r);
	EXPECT_EQ(IOASID_FAULT_DETACHED, r.type);
	EXPECT_EQ(102, r.pasid);
	EXPECT_EQ(1, r.nr);
	EXPECT_EQ(-ENOENT, t_queue_answer(&self->q, held[2].cookie, IOASID_FAULT_SUCCESS));
	ASSERT_OK(t_map_at(self->fd, self->id, self->mem, LEN, T_RW, AT));
	for (i = 0; i < PASIDS; i++) {
		if (i == 2)
			continue;
		EXPECT_FALSE(t_testdev_ended(&self->dev, i));
		EXPECT_EQ(0, t_queue_answer(&self->q, held[i].cookie, IOASID_FAULT_SUCCESS));
		EXPECT_EQ(0, END(i));
	}
}

/* All PASIDs are detached, one by one: the device gets an answer, and does not hang */
TEST_F(testdev_fault, detach_all)
{
	struct ioasid_fault_record r;
	u32 i;

	for (i = 0; i < PASIDS; i++) {
		begin(self, i, i, AT + i * T_PAGE);
		NEXT(&r);
	}
	for (i = 0; i < PASIDS; i++) {
		ASSERT_OK(t_detach_pasid(self->fd, self->dev_id, 100 + i));
		EXPECT_LT(0, END(i));
		NEXT(&r);
		EXPECT_EQ(IOASID_FAULT_DETACHED, r.type);
		EXPECT_EQ(1, r.nr);
	}
}

TEST_F(testdev_fault, policies)
{
	ASSERT_OK(t_map_at(self->fd, self->id, self->mem, LEN, IOASID_MAP_READ, AT));
	ASSERT_OK(t_fault_policy(self->fd, self->id, self->q.id, IOASID_FAULT_KERNEL));
	begin(self, 0, 0, AT + LEN);
	EXPECT_EQ(TESTDEV_E_INVALID, END(0));
	begin(self, 0, 0, AT);
	EXPECT_EQ(0, END(0));
	ASSERT_OK(t_fault_policy(self->fd, self->id, self->q.id, IOASID_FAULT_REFUSE));
	begin(self, 0, 1, AT + LEN);
	EXPECT_EQ(TESTDEV_E_INVALID, END(0));
	NOTHING();
}

/* Of one PASID more wait than may; the others are not in its way */
TEST_F(testdev_fault, per_pasid_limit)
{
	struct ioasid_fault_queue args = { .max_per_pasid = 2, .eventfd = -1 };
	struct ioasid_fault_record r[3], lost;
	struct t_queue q;
	u32 i;

	ASSERT_OK(t_queue_open(&q, self->fd, &args));
	ASSERT_OK(t_fault_bind(self->fd, self->id, 0, 0, q.id));
	for (i = 0; i < 2; i++) {
		begin(self, i, 0, AT + i * T_PAGE);
		ASSERT_EQ(0, t_queue_next(&q, &r[i], 5000));
	}
	begin(self, 2, 0, AT + 2 * T_PAGE);
	EXPECT_EQ(TESTDEV_E_INVALID, END(2));
	begin(self, 3, 1, AT);
	ASSERT_EQ(0, t_queue_next(&q, &lost, 5000));
	EXPECT_EQ(IOASID_FAULT_LOST, lost.type);
	EXPECT_EQ(1, lost.nr);
	ASSERT_EQ(0, t_queue_next(&q, &r[2], 5000));
	EXPECT_EQ(101, r[2].pasid);
	for (i = 0; i < 3; i++)
		EXPECT_EQ(0, t_queue_answer(&q, r[i].cookie, IOASID_FAULT_INVALID));
	EXPECT_EQ(TESTDEV_E_INVALID, END(0));
	EXPECT_EQ(TESTDEV_E_INVALID, END(1));
	EXPECT_EQ(TESTDEV_E_INVALID, END(3));
	t_queue_close(&q);
}

TEST_HARNESS_MAIN
