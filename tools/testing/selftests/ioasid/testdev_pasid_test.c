// SPDX-License-Identifier: GPL-2.0
/*
 * PASIDs, the memory of a process and page requests on the kernel's own VT-d
 * driver, by ioasid-testdev. Whether DMA goes where it should is asked of the
 * device, never of the kernel.
 */
#include <signal.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include "harness.h"
#include "lib/testdev.h"

#define AT	0x100000000ULL
#define PAGES	16
#define LEN	(PAGES * T_PAGE)

FIXTURE(testdev_pasid) {
	int fd;
	struct t_testdev dev;
	u32 dev_id;
	u32 rid;		/* space of the RID */
	char *mem;		/* mapped there, and mem2 nowhere yet */
	char *mem2;
	struct t_queue q;
};

FIXTURE_SETUP(testdev_pasid)
{
	struct ioasid_device_info info = { .size = sizeof(info) };

	NEED(t_testdev_find(0), "needs ioasid-testdev (lab/vm run --testdev 1)");
	ASSERT_OK(t_testdev_open(&self->dev, 0, VFIO_IOASID_IOMMU));
	self->fd = t_open();
	ASSERT_FD(self->fd);
	ASSERT_OK(t_alloc(self->fd, &self->rid));
	ASSERT_OK(t_vfio_attach(&self->dev.vfio, self->fd, self->rid, 0));
	self->dev_id = self->dev.vfio.dev_id;
	ASSERT_OK(t_device_info(self->fd, self->dev_id, &info));
	NEED(info.caps & IOASID_DEVICE_PASID, "needs an IOMMU with PASIDs");
	self->mem = t_memory(T_ANON, LEN);
	self->mem2 = t_memory(T_ANON, LEN);
	ASSERT_NE(NULL, self->mem);
	ASSERT_NE(NULL, self->mem2);
	t_fill(self->mem, T_PAGE, 1);
	t_fill(self->mem2, T_PAGE, 2);
	ASSERT_OK(t_map_at(self->fd, self->rid, self->mem, LEN, T_RW, AT));
}

/* Attach a new mm space */
#define NEED_PROCESS(id, pasid) do {							\
	*(pasid) = IOASID_PASID_ANY;							\
	NEED(t_shares_mm(self->fd), "needs a kernel that shares a process' memory");	\
	ASSERT_OK(t_alloc_mm(self->fd, id));						\
	ASSERT_OK(t_attach_pasid(self->fd, self->dev_id, *(id), pasid, 0, 0));		\
} while (0)

/* A space with nothing in it, whose page requests come to self->q */
static void attach_to_queue(struct __test_metadata *_metadata,
			    FIXTURE_DATA(testdev_pasid) *self, u32 *id, u32 *pasid)
{
	*pasid = IOASID_PASID_ANY;
	ASSERT_OK(t_alloc_faults(self->fd, id));
	ASSERT_OK(t_attach_pasid(self->fd, self->dev_id, *id, pasid, 0, 0));
	ASSERT_OK(t_queue_open(&self->q, self->fd, NULL));
	ASSERT_OK(t_fault_bind(self->fd, *id, 0, 0, self->q.id));
}

FIXTURE_TEARDOWN(testdev_pasid)
{
	t_queue_close(&self->q);
	t_testdev_close(&self->dev);
	close(self->fd);
}

/* The same address, other memory: by the PASID, and by the RID as before */
TEST_F(testdev_pasid, beside_rid)
{
	u32 flags[] = { 0, TESTDEV_F_ATS }, other, pasid, i;

	ASSERT_OK(t_alloc(self->fd, &other));
	ASSERT_OK(t_map_at(self->fd, other, self->mem2, LEN, T_RW, AT));
	pasid = IOASID_PASID_ANY;
	ASSERT_OK(t_attach_pasid(self->fd, self->dev_id, other, &pasid, 0, 0));
	for (i = 0; i < 2; i++) {
		EXPECT_EQ(0, t_testdev_reads(&self->dev, pasid, flags[i], AT, 2));
		EXPECT_EQ(0, t_testdev_reads(&self->dev, 0, flags[i], AT, 1));
		EXPECT_EQ(0, t_testdev_writes(&self->dev, pasid, flags[i], AT + T_PAGE,
					      self->mem2 + T_PAGE, 10 + i));
		/* A PASID that nobody has attached */
		EXPECT_NE(0, t_testdev_reads(&self->dev, pasid + 1, flags[i], AT, 2));
	}
	/* A detach invalidates what the device has translated before */
	ASSERT_OK(t_detach_pasid(self->fd, self->dev_id, pasid));
	for (i = 0; i < 2; i++) {
		EXPECT_NE(0, t_testdev_reads(&self->dev, pasid, flags[i], AT, 2));
		EXPECT_EQ(0, t_testdev_reads(&self->dev, 0, flags[i], AT, 1));
	}
}

TEST_F(testdev_pasid, unmap)
{
	u32 other, pasid = IOASID_PASID_ANY;

	ASSERT_OK(t_alloc(self->fd, &other));
	ASSERT_OK(t_attach_pasid(self->fd, self->dev_id, other, &pasid, 0, 0));
	EXPECT_EQ(TESTDEV_E_TRANSLATE,
		  t_testdev_reads(&self->dev, pasid, TESTDEV_F_ATS, AT, 2));
	ASSERT_OK(t_map_at(self->fd, other, self->mem2, LEN, T_RW, AT));
	EXPECT_EQ(0, t_testdev_reads(&self->dev, pasid, TESTDEV_F_ATS, AT, 2));
	EXPECT_EQ(0, t_testdev_reads(&self->dev, pasid, 0, AT, 2));
	EXPECT_EQ(LEN, t_unmap(self->fd, other, AT, LEN));
	EXPECT_EQ(TESTDEV_E_TRANSLATE,
		  t_testdev_reads(&self->dev, pasid, TESTDEV_F_ATS, AT, 2));
	EXPECT_EQ(TESTDEV_E_DMA, t_testdev_reads(&self->dev, pasid, 0, AT, 2));
}

TEST_F(testdev_pasid, replace)
{
	u32 one, two, pasid = IOASID_PASID_ANY, same;
	int ret;

	ASSERT_OK(t_alloc(self->fd, &one));
	ASSERT_OK(t_alloc(self->fd, &two));
	ASSERT_OK(t_map_at(self->fd, one, self->mem, LEN, T_RW, AT));
	ASSERT_OK(t_map_at(self->fd, two, self->mem2, LEN, T_RW, AT));
	ASSERT_OK(t_attach_pasid(self->fd, self->dev_id, one, &pasid, 0, 0));
	EXPECT_EQ(0, t_testdev_reads(&self->dev, pasid, TESTDEV_F_ATS, AT, 1));
	same = pasid;
	ret = t_attach_pasid(self->fd, self->dev_id, two, &same, 0, IOASID_ATTACH_REPLACE);
	if (ret == -EOPNOTSUPP && t_old_kernel()) {
		/* Linux 6.12's driver: then nothing has changed */
		EXPECT_EQ(IOASID_REASON_IOMMU, t_extack.code);
		EXPECT_EQ(0, t_testdev_reads(&self->dev, pasid, 0, AT, 1));
		return;
	}
	ASSERT_EQ(0, ret) TH_LOG("%s", t_explain());
	EXPECT_EQ(pasid, same);
	EXPECT_EQ(0, t_testdev_reads(&self->dev, pasid, TESTDEV_F_ATS, AT, 2));
	EXPECT_EQ(0, t_testdev_reads(&self->dev, pasid, 0, AT, 2));
}

/* Plain memory of this process: present, never touched, copied on write, gone */
TEST_F(testdev_pasid, process)
{
	u32 id, pasid = IOASID_PASID_ANY, pri = TESTDEV_F_ATS | TESTDEV_F_PRI;
	char *mem = malloc(64 * T_PAGE);
	char *fresh = mmap(NULL, LEN, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	char *page = (char *)(((uintptr_t)mem + T_PAGE - 1) & ~(T_PAGE - 1));
	struct t_testdev_cmd fill = {
		.opcode = TESTDEV_OP_FILL, .flags = pri | TESTDEV_F_GROUP, .addr = (uintptr_t)fresh,
		.length = 4 * T_PAGE, .data = 0x77,
	};
	int status, go[2];
	u32 before;
	pid_t child;

	NEED_PROCESS(&id, &pasid);
	t_fill(page, T_PAGE, 5);
	EXPECT_EQ(0, t_testdev_reads(&self->dev, pasid, pri, (uintptr_t)page, 5));
	EXPECT_EQ(0, t_testdev_writes(&self->dev, pasid, pri, (uintptr_t)page + 8 * T_PAGE,
				      page + 8 * T_PAGE, 6));
	/* Pages that nobody has touched, all in one group */
	before = t_testdev_read32(&self->dev, TESTDEV_REQUESTS);
	fill.pasid = pasid;
	EXPECT_EQ(0, t_testdev_run(&self->dev, &fill));
	EXPECT_EQ(-1, t_not_byte(fresh, 4 * T_PAGE, 0x77));
	EXPECT_EQ(before + 4, t_testdev_read32(&self->dev, TESTDEV_REQUESTS));
	/* After a fork the write goes to this process' copy */
	ASSERT_EQ(0, pipe(go));
	child = fork();
	if (!child)
		_exit(read(go[0], &before, 1) != 1 || t_differs(page, T_PAGE, 5) >= 0);
	EXPECT_EQ(0, t_testdev_writes(&self->dev, pasid, pri, (uintptr_t)page, page, 9));
	EXPECT_EQ(1, write(go[1], "", 1));
	EXPECT_EQ(child, waitpid(child, &status, 0));
	EXPECT_EQ(0, status);
	/* What is unmapped is gone for the device, too */
	EXPECT_EQ(0, munmap(fresh, LEN));
	fill.flags = pri;
	EXPECT_EQ(TESTDEV_E_INVALID, t_testdev_run(&self->dev, &fill));
	EXPECT_EQ(0, t_testdev_reads(&self->dev, pasid, pri, (uintptr_t)page, 9));
	ASSERT_OK(t_detach_pasid(self->fd, self->dev_id, pasid));
	EXPECT_NE(0, t_testdev_reads(&self->dev, pasid, TESTDEV_F_ATS, (uintptr_t)page, 9));
	free(mem);
}

/* A group of page requests from the device to this program, and the answer back */
TEST_F(testdev_pasid, page_request)
{
	struct t_testdev_cmd read = {
		.opcode = TESTDEV_OP_READ, .addr = AT, .length = 3 * T_PAGE,
		.flags = TESTDEV_F_ATS | TESTDEV_F_PRI | TESTDEV_F_GROUP,
	};
	struct ioasid_fault_record r;
	u32 id, pasid, i;

	attach_to_queue(_metadata, self, &id, &pasid);
	read.pasid = pasid;
	t_testdev_begin(&self->dev, 7, &read);
	for (i = 0; i < 3; i++) {
		ASSERT_EQ(0, t_queue_next(&self->q, &r, 5000));
		EXPECT_EQ(IOASID_FAULT_REQUEST, r.type);
		EXPECT_EQ(pasid, r.pasid);
		EXPECT_EQ(3, r.nr);
		EXPECT_EQ(AT + i * T_PAGE, r.addr & ~(T_PAGE - 1));
		EXPECT_EQ(i == 2, !!(r.flags & IOASID_FAULT_LAST));
		EXPECT_TRUE(r.flags & IOASID_FAULT_READ);
		EXPECT_FALSE(r.flags & IOASID_FAULT_WRITE);
	}
	EXPECT_FALSE(t_testdev_ended(&self->dev, 7));
	ASSERT_OK(t_map_at(self->fd, id, self->mem2, LEN, T_RW, AT));
	ASSERT_EQ(0, t_queue_answer(&self->q, r.cookie, IOASID_FAULT_SUCCESS));
	EXPECT_EQ(0, t_testdev_end(&self->dev, 7, &read, 5000));
	EXPECT_EQ(3 * T_PAGE, read.done);
	/* And answered with no */
	read.addr = AT + LEN;
	t_testdev_begin(&self->dev, 7, &read);
	for (i = 0; i < 3; i++)
		ASSERT_EQ(0, t_queue_next(&self->q, &r, 5000));
	ASSERT_EQ(0, t_queue_answer(&self->q, r.cookie, IOASID_FAULT_INVALID));
	EXPECT_EQ(TESTDEV_E_INVALID, t_testdev_end(&self->dev, 7, &read, 5000));
	EXPECT_EQ(AT + LEN, read.fault_addr);
}

/* Nobody answers, and the device goes: what waits must not hold anything up */
TEST_F(testdev_pasid, detach_meanwhile)
{
	struct t_testdev_cmd read = {
		.opcode = TESTDEV_OP_READ, .addr = AT, .length = 8,
		.flags = TESTDEV_F_ATS | TESTDEV_F_PRI,
	};
	struct ioasid_fault_record r;
	u32 id, pasid;

	attach_to_queue(_metadata, self, &id, &pasid);
	read.pasid = pasid;
	t_testdev_begin(&self->dev, 1, &read);
	ASSERT_EQ(0, t_queue_next(&self->q, &r, 5000));
	ASSERT_OK(t_detach_pasid(self->fd, self->dev_id, pasid));
	EXPECT_LT(0, t_testdev_end(&self->dev, 1, &read, 5000));
	EXPECT_NE(0, t_queue_answer(&self->q, r.cookie, IOASID_FAULT_SUCCESS));
}

/*
 * Without a space for the RID, PASIDs work as ever on real hardware and on
 * ioasid_sim. QEMU's VT-d refuses them, unless it has the context of that PASID
 * in its cache from before: all other tests here give the RID a space. Linux 6.12
 * takes ATS from the device with the RID's space.
 */
TEST_F(testdev_pasid, without_rid)
{
	u32 other, pasid = IOASID_PASID_ANY;
	int ret;

	ASSERT_OK(t_alloc(self->fd, &other));
	ASSERT_OK(t_map_at(self->fd, other, self->mem2, LEN, T_RW, AT));
	ASSERT_OK(t_attach_pasid(self->fd, self->dev_id, other, &pasid, 0, 0));
	ASSERT_OK(t_detach(self->fd, self->dev_id));
	EXPECT_EQ(TESTDEV_E_DMA, t_testdev_reads(&self->dev, 0, 0, AT, 1));
	ret = t_testdev_reads(&self->dev, pasid, 0, AT, 2);
	TH_LOG("without the RID: %d", ret);
	EXPECT_TRUE(ret == 0 || ret == TESTDEV_E_DMA);
	if (ret)
		EXPECT_NE(0, t_testdev_reads(&self->dev, pasid, TESTDEV_F_ATS, AT, 2));
	ASSERT_OK(t_attach(self->fd, self->dev_id, self->rid, 0));
	EXPECT_EQ(0, t_testdev_reads(&self->dev, pasid, 0, AT, 2));
	EXPECT_EQ(0, t_testdev_reads(&self->dev, 0, 0, AT, 1));
}

/* One process, two devices, one PASID; one goes and the other stays */
TEST_F(testdev_pasid, two_devices)
{
	u32 id, space, pasid = IOASID_PASID_ANY, second = IOASID_PASID_ANY;
	struct t_testdev other;

	NEED(t_testdev_find(1), "needs two ioasid-testdev (lab/vm run --testdev 2)");
	ASSERT_OK(t_testdev_open(&other, 1, VFIO_IOASID_IOMMU));
	ASSERT_OK(t_alloc(self->fd, &space));
	ASSERT_OK(t_vfio_attach(&other.vfio, self->fd, space, 0));
	NEED_PROCESS(&id, &pasid);
	ASSERT_OK(t_attach_pasid(self->fd, other.vfio.dev_id, id, &second, 0, 0));
	EXPECT_EQ(pasid, second);
	EXPECT_EQ(0, t_testdev_reads(&self->dev, pasid, 0, (uintptr_t)self->mem, 1));
	EXPECT_EQ(0, t_testdev_reads(&other, pasid, TESTDEV_F_ATS, (uintptr_t)self->mem2, 2));
	ASSERT_OK(t_detach_pasid(self->fd, self->dev_id, pasid));
	EXPECT_NE(0, t_testdev_reads(&self->dev, pasid, TESTDEV_F_ATS, (uintptr_t)self->mem, 1));
	EXPECT_EQ(0, t_testdev_reads(&other, pasid, TESTDEV_F_ATS, (uintptr_t)self->mem, 1));
	t_testdev_close(&other);
}

/* The process of a space ends while another one still has the device open */
TEST_F(testdev_pasid, process_ends)
{
	u32 *theirs = mmap(NULL, T_PAGE, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	u64 end = t_end_of_patience(5000);
	u32 id, pasid;
	int status;
	pid_t child;

	NEED_PROCESS(&id, &pasid);
	ASSERT_OK(t_detach_pasid(self->fd, self->dev_id, pasid));
	child = fork();
	if (!child) {
		pasid = IOASID_PASID_ANY;
		t_fill(self->mem, T_PAGE, 33);
		if (!t_alloc_mm(self->fd, &id) &&
		    !t_attach_pasid(self->fd, self->dev_id, id, &pasid, 0, 0) &&
		    !t_testdev_reads(&self->dev, pasid, TESTDEV_F_ATS, (uintptr_t)self->mem, 33))
			*theirs = pasid;
		pause();
	}
	while (!*(volatile u32 *)theirs && t_now_ns() < end)
		t_sleep_ms(10);
	EXPECT_NE(0, *theirs);
	EXPECT_EQ(0, t_testdev_reads(&self->dev, *theirs, TESTDEV_F_ATS, (uintptr_t)self->mem, 33));
	kill(child, SIGKILL);
	EXPECT_EQ(child, waitpid(child, &status, 0));
	EXPECT_NE(0, t_testdev_reads(&self->dev, *theirs, TESTDEV_F_ATS, (uintptr_t)self->mem, 33));
	EXPECT_NE(0, t_testdev_reads(&self->dev, *theirs, 0, (uintptr_t)self->mem, 33));
	EXPECT_EQ(0, t_testdev_reads(&self->dev, 0, 0, AT, 1));
}

TEST_F(testdev_pasid, no_failure_and_reset)
{
	struct t_testdev_cmd read = {
		.opcode = TESTDEV_OP_READ, .addr = AT, .length = 8,
		.flags = TESTDEV_F_ATS | TESTDEV_F_PRI,
	};
	struct ioasid_fault_record r;
	u32 id, pasid;

	attach_to_queue(_metadata, self, &id, &pasid);
	read.pasid = pasid;
	t_testdev_begin(&self->dev, 1, &read);
	ASSERT_EQ(0, t_queue_next(&self->q, &r, 5000));
	/* FAILURE would end the page requests of the function */
	EXPECT_EQ(-EINVAL, t_queue_answer(&self->q, r.cookie, 2));
	ASSERT_EQ(0, t_queue_answer(&self->q, r.cookie, IOASID_FAULT_INVALID));
	EXPECT_EQ(TESTDEV_E_INVALID, t_testdev_end(&self->dev, 1, &read, 5000));
	t_testdev_begin(&self->dev, 1, &read);
	ASSERT_EQ(0, t_queue_next(&self->q, &r, 5000));
	/* The reset ends what waits, and an answer that is late hurts nobody */
	ASSERT_OK(t_vfio_reset(&self->dev.vfio));
	EXPECT_EQ(-ECANCELED, t_testdev_end(&self->dev, 1, &read, 5000));
	ASSERT_OK(t_map_at(self->fd, id, self->mem2, LEN, T_RW, AT));
	t_queue_answer(&self->q, r.cookie, IOASID_FAULT_SUCCESS);
	EXPECT_EQ(0, t_testdev_reads(&self->dev, pasid, TESTDEV_F_ATS | TESTDEV_F_PRI, AT, 2));
}

/* Many groups at the same time, answered in the reverse order */
TEST_F(testdev_pasid, many_groups)
{
	struct t_testdev_cmd fill = {
		.opcode = TESTDEV_OP_FILL, .length = 8, .flags = TESTDEV_F_ATS | TESTDEV_F_PRI,
	};
	struct ioasid_fault_record r[32];
	u32 id, pasid, i;

	attach_to_queue(_metadata, self, &id, &pasid);
	fill.pasid = pasid;
	/* More than the device may have under way: the others wait in it */
	for (i = 0; i < TESTDEV_SLOTS; i++) {
		fill.addr = AT + i % PAGES * T_PAGE + i * 8;
		fill.data = i + 1;
		t_testdev_begin(&self->dev, i, &fill);
	}
	for (i = 0; i < 32; i++) {
		ASSERT_EQ(0, t_queue_next(&self->q, &r[i], 5000));
		EXPECT_EQ(1, r[i].nr);
		EXPECT_EQ(AT + i % PAGES * T_PAGE, r[i].addr & ~(T_PAGE - 1));
	}
	EXPECT_EQ(-ETIMEDOUT, t_queue_next(&self->q, &r[0], 50));
	ASSERT_OK(t_map_at(self->fd, id, self->mem2, LEN, T_RW, AT));
	while (i--)
		EXPECT_EQ(0, t_queue_answer(&self->q, r[i].cookie, IOASID_FAULT_SUCCESS));
	for (i = 0; i < TESTDEV_SLOTS; i++) {
		EXPECT_EQ(0, t_testdev_end(&self->dev, i, NULL, 5000));
		EXPECT_EQ(i + 1, self->mem2[i % PAGES * T_PAGE + i * 8]);
	}
}

TEST_HARNESS_MAIN
