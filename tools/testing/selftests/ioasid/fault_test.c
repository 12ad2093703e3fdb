// SPDX-License-Identifier: GPL-2.0
/*
 * Page requests of an endpoint of ioasid_sim: from the device to a queue, to
 * this program, and the answer back; and what becomes of them when somebody
 * does not answer, answers twice, goes away, or asks too much.
 */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <sys/eventfd.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include "harness.h"

#define AT	0x100000000ULL
#define PAGES	64
#define LEN	(PAGES * T_PAGE)

/* Not a constant: the compiler knows that nothing can be there */
static void *volatile nowhere = (void *)8;

FIXTURE(fault) {
	int fd;
	struct t_dma dev;
	struct t_sim *sim;
	u32 dev_id;
	u32 id;
	u32 pasid;		/* by which commands go to the space, or 0 */
	struct t_queue q;
	char *mem;
	bool stop;		/* of the threads of a test */
};

FIXTURE_VARIANT(fault) {
	bool pasid;
};

FIXTURE_VARIANT_ADD(fault, rid) { .pasid = false };
FIXTURE_VARIANT_ADD(fault, pasid) { .pasid = true };

FIXTURE_SETUP(fault)
{
	struct ioasid_info info = { .size = sizeof(info) };
	int ret;

	NEED_DMA(&self->dev, T_EDU, 0);
	NEED(t_on_sim(), "needs ioasid_sim");
	self->sim = &self->dev.sim;
	self->fd = t_open();
	ASSERT_FD(self->fd);
	ASSERT_OK(t_info(self->fd, &info));
	ASSERT_TRUE(info.caps & IOASID_CAP_FAULT);
	ASSERT_OK(t_alloc_faults(self->fd, &self->id));
	ASSERT_OK(t_vfio_bind(&self->dev.vfio, self->fd));
	self->dev_id = self->dev.vfio.dev_id;
	if (variant->pasid) {
		self->pasid = IOASID_PASID_ANY;
		ret = t_attach_pasid(self->fd, self->dev_id, self->id, &self->pasid, 0, 0);
	} else {
		ret = t_attach(self->fd, self->dev_id, self->id, 0);
	}
	ASSERT_EQ(0, ret) TH_LOG("%s", t_explain());
	ASSERT_OK(t_queue_open(&self->q, self->fd, NULL));
	ASSERT_OK(t_fault_bind(self->fd, self->id, 0, 0, self->q.id));
	self->mem = t_memory(T_ANON, LEN);
	ASSERT_NE(NULL, self->mem);
	t_fill(self->mem, LEN, 1);
}

FIXTURE_TEARDOWN(fault)
{
	t_queue_close(&self->q);
	t_dma_close(&self->dev);
	close(self->fd);
}

/* A read of a page that may ask for it; where the data goes is the slot's */
static int begin(FIXTURE_DATA(fault) *self, u64 iova)
{
	struct ioasid_sim_command cmd = {
		.opcode = IOASID_SIM_OP_READ, .iova = iova, .length = 64, .pasid = self->pasid,
		.flags = IOASID_SIM_CMD_REQUEST | (self->pasid ? IOASID_SIM_CMD_PASID : 0),
	};

	return t_sim_submit(self->sim, &cmd);
}

/* What became of it: 0, -EIO if the answer was no */
static int ended(FIXTURE_DATA(fault) *self, int slot)
{
	struct ioasid_sim_completion c;
	int ret = t_sim_wait(self->sim, slot, &c, 5000);

	return ret ?: t_sim_error(&c);
}

static bool waits(FIXTURE_DATA(fault) *self, int slot)
{
	t_sleep_ms(20);
	return !t_sim_ended(self->sim, slot);
}

#define NEXT_OF(q, r)	ASSERT_EQ(0, t_queue_next((q), (r), 5000))
#define NEXT(r)		NEXT_OF(&self->q, (r))
#define NOTHING()	EXPECT_EQ(-ETIMEDOUT, t_queue_next(&self->q, &none, 50))

TEST_F(fault, answered)
{
	struct ioasid_fault_record r, none;
	int slot = begin(self, AT + 3 * T_PAGE + 8);

	ASSERT_LE(0, slot);
	NEXT(&r);
	EXPECT_EQ(IOASID_FAULT_REQUEST, r.type);
	EXPECT_EQ(IOASID_FAULT_READ | IOASID_FAULT_LAST, r.flags & ~IOASID_FAULT_PRIV);
	EXPECT_EQ(AT + 3 * T_PAGE, r.addr & ~(T_PAGE - 1));
	EXPECT_EQ(self->dev_id, r.dev_id);
	EXPECT_EQ(self->pasid, r.pasid);
	EXPECT_EQ(self->id, r.ioasid);
	EXPECT_EQ(1, r.nr);
	EXPECT_TRUE(waits(self, slot));
	NOTHING();
	ASSERT_OK(t_map_at(self->fd, self->id, self->mem, LEN, T_RW, AT));
	ASSERT_EQ(0, t_queue_answer(&self->q, r.cookie, IOASID_FAULT_SUCCESS));
	EXPECT_EQ(0, ended(self, slot));
	/* Mapped now: nobody is asked */
	slot = begin(self, AT + T_PAGE);
	EXPECT_EQ(0, ended(self, slot));
	NOTHING();
}

/* Of each attachment its own, whoever attaches the device once more, and how */
TEST_F(fault, cookies)
{
	struct ioasid_device_attach at = {
		.size = sizeof(at), .dev_id = self->dev_id, .ioasid = self->id,
		.pasid = IOASID_PASID_ANY, .vpasid = 77, .cookie = 0x1234,
	};
	struct ioasid_device_info info = { .size = sizeof(info) };
	u32 first = self->pasid, other;
	struct ioasid_fault_record r;
	int slot, ret;

	ASSERT_OK(t_device_info(self->fd, self->dev_id, &info));
	EXPECT_NE(0x1234, info.cookie);
	ASSERT_OK(t_cmd(self->fd, IOASID_DEVICE_ATTACH, &at));
	self->pasid = at.pasid;
	slot = begin(self, AT);
	NEXT(&r);
	EXPECT_EQ(77, r.pasid);
	EXPECT_EQ(0x1234, r.device_cookie);
	ASSERT_EQ(0, t_queue_answer(&self->q, r.cookie, IOASID_FAULT_INVALID));
	EXPECT_EQ(-EIO, ended(self, slot));
	self->pasid = first;
	slot = begin(self, AT);
	NEXT(&r);
	EXPECT_EQ(first, r.pasid);
	EXPECT_EQ(info.cookie, r.device_cookie);
	ASSERT_EQ(0, t_queue_answer(&self->q, r.cookie, IOASID_FAULT_INVALID));
	EXPECT_EQ(-EIO, ended(self, slot));
	/* 0 leaves what it had, another number takes its place */
	ASSERT_OK(t_alloc_faults(self->fd, &other));
	ASSERT_OK(t_fault_bind(self->fd, other, 0, 0, self->q.id));
	at.flags = IOASID_ATTACH_REPLACE;
	at.cookie = 0;
	at.ioasid = other;
	ret = t_cmd(self->fd, IOASID_DEVICE_ATTACH, &at);
	NEED(ret != -EOPNOTSUPP || !t_old_kernel(),
	     "needs a kernel that replaces the domain of a PASID");
	ASSERT_OK(ret);
	do {
		NEXT(&r);
	} while (r.type != IOASID_FAULT_DETACHED);
	EXPECT_EQ(0x1234, r.device_cookie);
	self->pasid = at.pasid;
	slot = begin(self, AT);
	NEXT(&r);
	EXPECT_EQ(0x1234, r.device_cookie);
	ASSERT_EQ(0, t_queue_answer(&self->q, r.cookie, IOASID_FAULT_INVALID));
	EXPECT_EQ(-EIO, ended(self, slot));
	at.cookie = 5;
	at.ioasid = self->id;
	ASSERT_OK(t_cmd(self->fd, IOASID_DEVICE_ATTACH, &at));
	NEXT(&r);
	EXPECT_EQ(0x1234, r.device_cookie);
	slot = begin(self, AT);
	NEXT(&r);
	EXPECT_EQ(5, r.device_cookie);
	ASSERT_EQ(0, t_queue_answer(&self->q, r.cookie, IOASID_FAULT_INVALID));
	EXPECT_EQ(-EIO, ended(self, slot));
	/* Also where the space stays as it is */
	at.cookie = 9;
	ASSERT_OK(t_cmd(self->fd, IOASID_DEVICE_ATTACH, &at));
	slot = begin(self, AT);
	NEXT(&r);
	EXPECT_EQ(9, r.device_cookie);
	ASSERT_EQ(0, t_queue_answer(&self->q, r.cookie, IOASID_FAULT_INVALID));
	EXPECT_EQ(-EIO, ended(self, slot));
	at.cookie = info.cookie;
	ASSERT_OK(t_device_info(self->fd, self->dev_id, &info));
	EXPECT_EQ(at.cookie, info.cookie);
}

TEST_F(fault, answered_no)
{
	struct ioasid_fault_record r;
	int slot = begin(self, AT);

	NEXT(&r);
	ASSERT_EQ(0, t_queue_answer(&self->q, r.cookie, IOASID_FAULT_INVALID));
	EXPECT_EQ(-EIO, ended(self, slot));
}

/* FAILURE, which is 2 in the IOMMU core, would end the page requests of others too */
TEST_F(fault, no_answer_ends_page_requests)
{
	struct ioasid_fault_record r;
	int slot = begin(self, AT);

	NEXT(&r);
	EXPECT_EQ(-EINVAL, t_queue_answer(&self->q, r.cookie, 2));
	EXPECT_TRUE(waits(self, slot));
	ASSERT_EQ(0, t_queue_answer(&self->q, r.cookie, IOASID_FAULT_INVALID));
	EXPECT_EQ(-EIO, ended(self, slot));
	slot = begin(self, AT);
	NEXT(&r);
	ASSERT_OK(t_map_at(self->fd, self->id, self->mem, LEN, T_RW, AT));
	ASSERT_EQ(0, t_queue_answer(&self->q, r.cookie, IOASID_FAULT_SUCCESS));
	EXPECT_EQ(0, ended(self, slot));
}

TEST_F(fault, bad_answers)
{
	struct ioasid_fault_record r;
	struct ioasid_fault_response a = { .code = IOASID_FAULT_INVALID };
	int slot = begin(self, AT);

	NEXT(&r);
	EXPECT_EQ(-EINVAL, t_queue_answer(&self->q, r.cookie, 3));
	EXPECT_EQ(-ENOENT, t_queue_answer(&self->q, r.cookie + 1, 0));
	EXPECT_EQ(-ENOENT, t_queue_answer(&self->q, r.cookie + (1ULL << 32), 0));
	EXPECT_EQ(-ENOENT, t_queue_answer(&self->q, ~0ULL, 0));
	a.cookie = r.cookie;
	EXPECT_EQ(-1, write(self->q.fd, &a, sizeof(a) - 1));
	EXPECT_EQ(EINVAL, errno);
	a.__reserved = 1;
	EXPECT_EQ(-1, write(self->q.fd, &a, sizeof(a)));
	EXPECT_EQ(EINVAL, errno);
	EXPECT_EQ(-1, write(self->q.fd, nowhere, sizeof(a)));
	EXPECT_EQ(EFAULT, errno);
	EXPECT_TRUE(waits(self, slot));
	EXPECT_EQ(0, t_queue_answer(&self->q, r.cookie, IOASID_FAULT_INVALID));
	EXPECT_EQ(-EIO, ended(self, slot));
	/* Twice, and a cookie that was used before */
	EXPECT_EQ(-ENOENT, t_queue_answer(&self->q, r.cookie, IOASID_FAULT_INVALID));
	slot = begin(self, AT);
	EXPECT_EQ(-ENOENT, t_queue_answer(&self->q, r.cookie, IOASID_FAULT_SUCCESS));
	NEXT(&r);
	EXPECT_EQ(0, t_queue_answer(&self->q, r.cookie, IOASID_FAULT_INVALID));
	EXPECT_EQ(-EIO, ended(self, slot));
}

/* Nobody answers: the deadline does */
TEST_F(fault, deadline)
{
	struct ioasid_fault_queue args = { .deadline_ms = 100, .eventfd = -1 };
	struct ioasid_fault_record r, t;
	struct t_queue q;
	int slot;

	ASSERT_OK(t_queue_open(&q, self->fd, &args));
	ASSERT_OK(t_fault_bind(self->fd, self->id, 0, 0, q.id));
	slot = begin(self, AT);
	ASSERT_EQ(0, t_queue_next(&q, &r, 5000));
	EXPECT_EQ(-EIO, ended(self, slot));
	ASSERT_EQ(0, t_queue_next(&q, &t, 5000));
	EXPECT_EQ(IOASID_FAULT_TIMEOUT, t.type);
	EXPECT_EQ(r.cookie, t.cookie);
	EXPECT_EQ(self->pasid, t.pasid);
	EXPECT_EQ(-ENOENT, t_queue_answer(&q, r.cookie, IOASID_FAULT_SUCCESS));
	t_queue_close(&q);
}

TEST_F(fault, unbound)
{
	struct ioasid_fault_record none;

	ASSERT_OK(t_fault_bind(self->fd, self->id, 0, 0, 0));
	EXPECT_EQ(-EIO, ended(self, begin(self, AT)));
	NOTHING();
	EXPECT_FAIL(ENOENT, NO_QUEUE_ID, t_fault_bind(self->fd, self->id, 0, 0, 77));
	EXPECT_FAIL(ENOENT, NO_SPACE_ID, t_fault_bind(self->fd, 77, 0, 0, self->q.id));
	EXPECT_FAIL(ENOENT, NO_DEVICE_ID, t_fault_bind(self->fd, 0, 77, 0, self->q.id));
	EXPECT_FAIL(ENOENT, NOT_ATTACHED, t_fault_bind(self->fd, 0, self->dev_id, 77, self->q.id));
	EXPECT_FAIL(EINVAL, VALUE, t_fault_bind(self->fd, 0, 0, 0, self->q.id));
	EXPECT_FAIL(EINVAL, VALUE, t_fault_bind(self->fd, self->id, self->dev_id, 0, self->q.id));
}

/* An attachment's own queue goes before its space's, at any time */
TEST_F(fault, rebound)
{
	struct ioasid_fault_record r, s, none;
	struct t_queue own;
	int first, second;

	ASSERT_OK(t_queue_open(&own, self->fd, NULL));
	first = begin(self, AT);
	NEXT(&r);
	ASSERT_OK(t_fault_bind(self->fd, 0, self->dev_id, self->pasid, own.id));
	second = begin(self, AT + T_PAGE);
	ASSERT_EQ(0, t_queue_next(&own, &s, 5000));
	NOTHING();
	EXPECT_EQ(0, t_queue_answer(&self->q, r.cookie, IOASID_FAULT_INVALID));
	EXPECT_EQ(0, t_queue_answer(&own, s.cookie, IOASID_FAULT_INVALID));
	EXPECT_EQ(-EIO, ended(self, first));
	EXPECT_EQ(-EIO, ended(self, second));
	ASSERT_OK(t_fault_bind(self->fd, 0, self->dev_id, self->pasid, 0));
	first = begin(self, AT);
	NEXT(&r);
	EXPECT_EQ(0, t_queue_answer(&self->q, r.cookie, IOASID_FAULT_INVALID));
	EXPECT_EQ(-EIO, ended(self, first));
	t_queue_close(&own);
}

static int detach(FIXTURE_DATA(fault) *self)
{
	return t_detach_pasid(self->fd, self->dev_id, self->pasid);
}

TEST_F(fault, detached_while_waiting)
{
	struct ioasid_fault_record r, d;
	int slot = begin(self, AT);

	NEXT(&r);
	ASSERT_OK(detach(self));
	EXPECT_NE(0, ended(self, slot));
	NEXT(&d);
	EXPECT_EQ(IOASID_FAULT_DETACHED, d.type);
	EXPECT_EQ(1, d.nr);
	EXPECT_EQ(self->dev_id, d.dev_id);
	EXPECT_EQ(self->pasid, d.pasid);
	EXPECT_EQ(-ENOENT, t_queue_answer(&self->q, r.cookie, IOASID_FAULT_SUCCESS));
}

TEST_F(fault, replaced_while_waiting)
{
	struct ioasid_fault_record r;
	u32 other, p = self->pasid;
	int slot = begin(self, AT), ret;

	NEXT(&r);
	ASSERT_OK(t_alloc_faults(self->fd, &other));
	ASSERT_OK(t_map_at(self->fd, other, self->mem, LEN, T_RW, AT));
	ret = t_attach_pasid(self->fd, self->dev_id, other, &p, 0, IOASID_ATTACH_REPLACE);
	if (ret == -EOPNOTSUPP)
		SKIP(return, "needs a kernel that replaces the domain of a PASID");
	ASSERT_EQ(0, ret) TH_LOG("%s", t_explain());
	/* It asks again, and finds it in the new space */
	EXPECT_EQ(0, ended(self, slot));
	EXPECT_EQ(-ENOENT, t_queue_answer(&self->q, r.cookie, IOASID_FAULT_SUCCESS));
	EXPECT_EQ(0, ended(self, begin(self, AT)));
	/* The new space has no queue yet */
	EXPECT_EQ(-EIO, ended(self, begin(self, AT + LEN)));
	ASSERT_OK(t_fault_bind(self->fd, other, 0, 0, self->q.id));
	slot = begin(self, AT + LEN);
	do {
		NEXT(&r);
	} while (r.type != IOASID_FAULT_REQUEST);
	EXPECT_EQ(other, r.ioasid);
	EXPECT_EQ(0, t_queue_answer(&self->q, r.cookie, IOASID_FAULT_INVALID));
	EXPECT_EQ(-EIO, ended(self, slot));
}

/* A page that is in both spaces is there at any moment while one replaces the other */
TEST_F(fault, asked_while_replaced)
{
	struct ioasid_sim_command cmd = {
		.opcode = IOASID_SIM_OP_REQUESTS, .iova = AT, .length = LEN, .pasid = self->pasid,
		.flags = self->pasid ? IOASID_SIM_CMD_PASID : 0,
	};
	struct ioasid_sim_completion c;
	u32 space[2] = { self->id }, p = self->pasid;
	int slot, ret, i, n = 0;

	ASSERT_OK(t_alloc_faults(self->fd, &space[1]));
	for (i = 0; i < 2; i++) {
		ASSERT_OK(t_map_at(self->fd, space[i], self->mem, LEN, T_RW, AT));
		ASSERT_OK(t_fault_policy(self->fd, space[i], 0, IOASID_FAULT_KERNEL));
	}
	for (i = 0; i < 40; i++) {
		slot = t_sim_submit(self->sim, &cmd);
		ASSERT_LE(0, slot);
		do {
			ret = t_attach_pasid(self->fd, self->dev_id, space[++n & 1], &p, 0,
					     IOASID_ATTACH_REPLACE);
			if (ret == -EOPNOTSUPP && t_old_kernel())
				SKIP(return, "needs a kernel that replaces the domain of a PASID");
			ASSERT_EQ(0, ret) TH_LOG("%s", t_explain());
		} while (!t_sim_ended(self->sim, slot));
		ASSERT_EQ(0, t_sim_wait(self->sim, slot, &c, 5000));
		EXPECT_EQ((u32)IOASID_SIM_OK, c.status);
		EXPECT_EQ(PAGES, c.result);
	}
	TH_LOG("replaced %d times", n);
}

TEST_F(fault, queue_closed_while_waiting)
{
	struct ioasid_fault_record r;
	int slot = begin(self, AT);

	NEXT(&r);
	t_queue_close(&self->q);
	EXPECT_EQ(-EIO, ended(self, slot));
	EXPECT_EQ(-EIO, ended(self, begin(self, AT)));
	ASSERT_OK(t_queue_open(&self->q, self->fd, NULL));
	ASSERT_OK(t_fault_bind(self->fd, self->id, 0, 0, self->q.id));
	slot = begin(self, AT);
	NEXT(&r);
	EXPECT_EQ(0, t_queue_answer(&self->q, r.cookie, IOASID_FAULT_INVALID));
	EXPECT_EQ(-EIO, ended(self, slot));
}

/* What waited is dropped, not answered, and that is reported before anything else */
TEST_F(fault, reset_while_waiting)
{
	u64 late = t_sim_stat(self->sim, IOASID_SIM_STAT_LATE_ANSWERS);
	struct ioasid_fault_record held[3], r, none;
	int slot[3], i;

	for (i = 0; i < 3; i++)
		slot[i] = begin(self, AT + i * T_PAGE);
	for (i = 0; i < 3; i++)
		NEXT(&held[i]);
	ASSERT_EQ(0, t_vfio_reset(&self->dev.vfio));
	for (i = 0; i < 3; i++)
		EXPECT_EQ(-ECANCELED, ended(self, slot[i]));
	slot[0] = begin(self, AT);
	NEXT(&r);
	EXPECT_EQ(IOASID_FAULT_RESET, r.type);
	EXPECT_EQ(3, r.nr);
	EXPECT_EQ(self->dev_id, r.dev_id);
	EXPECT_EQ(self->pasid, r.pasid);
	EXPECT_EQ(self->id, r.ioasid);
	for (i = 0; i < 3; i++)
		EXPECT_EQ(-ENOENT, t_queue_answer(&self->q, held[i].cookie,
						  IOASID_FAULT_SUCCESS));
	NEXT(&r);
	EXPECT_EQ(IOASID_FAULT_REQUEST, r.type);
	EXPECT_EQ(0, t_queue_answer(&self->q, r.cookie, IOASID_FAULT_INVALID));
	EXPECT_EQ(-EIO, ended(self, slot[0]));
	/* It is reported without another request, and with the first answer */
	for (i = 0; i < 2; i++) {
		slot[0] = begin(self, AT);
		NEXT(&r);
		ASSERT_EQ(0, t_vfio_reset(&self->dev.vfio));
		EXPECT_EQ(-ECANCELED, ended(self, slot[0]));
		if (i)
			EXPECT_EQ(-ENOENT, t_queue_answer(&self->q, r.cookie,
							  IOASID_FAULT_SUCCESS));
		NEXT(&r);
		EXPECT_EQ(IOASID_FAULT_RESET, r.type);
		EXPECT_EQ(1, r.nr);
		NOTHING();
	}
	EXPECT_EQ(late, t_sim_stat(self->sim, IOASID_SIM_STAT_LATE_ANSWERS));
	slot[0] = begin(self, AT);
	NEXT(&r);
	EXPECT_EQ(0, t_queue_answer(&self->q, r.cookie, IOASID_FAULT_INVALID));
	EXPECT_EQ(-EIO, ended(self, slot[0]));
}

/* A device that waits is reset and detached: both are reported, and nobody answers twice */
TEST_F(fault, reset_and_detach)
{
	u64 late = t_sim_stat(self->sim, IOASID_SIM_STAT_LATE_ANSWERS);
	struct ioasid_fault_record r;
	int slot = begin(self, AT);

	NEXT(&r);
	ASSERT_EQ(0, t_vfio_reset(&self->dev.vfio));
	ASSERT_OK(detach(self));
	EXPECT_EQ(-ECANCELED, ended(self, slot));
	NEXT(&r);
	EXPECT_EQ(IOASID_FAULT_RESET, r.type);
	EXPECT_EQ(1, r.nr);
	NEXT(&r);
	EXPECT_EQ(IOASID_FAULT_DETACHED, r.type);
	EXPECT_EQ(0, r.nr);
	EXPECT_EQ(late, t_sim_stat(self->sim, IOASID_SIM_STAT_LATE_ANSWERS));
}

static void *answer_all(void *arg)
{
	FIXTURE_DATA(fault) *self = arg;
	struct ioasid_fault_record r;

	while (!__atomic_load_n(&self->stop, __ATOMIC_RELAXED))
		if (!t_queue_next(&self->q, &r, 10) && r.type == IOASID_FAULT_REQUEST)
			t_queue_answer(&self->q, r.cookie, IOASID_FAULT_INVALID);
	return NULL;
}

static void *reset_often(void *arg)
{
	FIXTURE_DATA(fault) *self = arg;

	while (!__atomic_load_n(&self->stop, __ATOMIC_RELAXED)) {
		t_vfio_reset(&self->dev.vfio);
		usleep(300);
	}
	return NULL;
}

/* Resets, answers, attach and detach at once: no answer reaches the device too late */
TEST_F(fault, reset_any_time)
{
	u64 late = t_sim_stat(self->sim, IOASID_SIM_STAT_LATE_ANSWERS);
	pthread_t thread[2];
	int slot[8], i, k, detached = 0;

	self->stop = false;
	ASSERT_EQ(0, pthread_create(&thread[0], NULL, answer_all, self));
	ASSERT_EQ(0, pthread_create(&thread[1], NULL, reset_often, self));
	for (i = 0; i < 200; i++) {
		u32 p = self->pasid;

		for (k = 0; k < 8; k++)
			slot[k] = begin(self, AT + k * T_PAGE);
		if (i & 1)
			usleep(100 * (i % 8));
		if (!t_detach_pasid(self->fd, self->dev_id, self->pasid))
			detached++;
		for (k = 0; k < 8; k++)
			if (slot[k] >= 0)
				EXPECT_NE(0, ended(self, slot[k]));
		/* EBUSY while it is being reset; a PASID of the kernel's choice has gone */
		do {
			k = t_attach_pasid(self->fd, self->dev_id, self->id, &p, 0, 0);
			if (k == -EPERM)
				p = IOASID_PASID_ANY;
		} while (k);
		self->pasid = p;
	}
	__atomic_store_n(&self->stop, true, __ATOMIC_RELAXED);
	for (k = 0; k < 2; k++)
		pthread_join(thread[k], NULL);
	EXPECT_LT(0, detached);
	EXPECT_EQ(late, t_sim_stat(self->sim, IOASID_SIM_STAT_LATE_ANSWERS));
}

/* Groups of several records stay together */
TEST_F(fault, groups)
{
	struct ioasid_sim_page_request *page = t_sim_buffer(self->sim, 0);
	struct ioasid_sim_command cmd = {
		.opcode = IOASID_SIM_OP_REQUEST, .length = 8 * sizeof(*page),
		.pasid = self->pasid, .flags = self->pasid ? IOASID_SIM_CMD_PASID : 0,
	};
	struct ioasid_fault_record r;
	u64 cookie = 0;
	int i, slot;

	for (i = 0; i < 8; i++) {
		page[i].iova = AT + i * T_PAGE;
		page[i].flags = i & 1 ? IOASID_SIM_PAGE_WRITE : 0;
		page[i].__reserved = 0;
	}
	slot = t_sim_submit(self->sim, &cmd);
	ASSERT_LE(0, slot);
	for (i = 0; i < 8; i++) {
		NEXT(&r);
		EXPECT_EQ(IOASID_FAULT_REQUEST, r.type);
		EXPECT_EQ(8, r.nr);
		if (i)
			EXPECT_EQ(cookie, r.cookie);
		cookie = r.cookie;
		EXPECT_EQ(i == 7, !!(r.flags & IOASID_FAULT_LAST));
		EXPECT_EQ(!!((r.addr >> 12) & 1), !!(r.flags & IOASID_FAULT_WRITE));
	}
	EXPECT_EQ(AT + 7 * T_PAGE, r.addr);
	EXPECT_EQ(0, t_queue_answer(&self->q, cookie, IOASID_FAULT_SUCCESS));
	EXPECT_EQ(0, ended(self, slot));
}

TEST_F(fault, per_pasid_limit)
{
	struct ioasid_fault_queue args = { .max_per_pasid = 2, .eventfd = -1 };
	struct ioasid_fault_record r[2], lost;
	struct t_queue q;
	int a, b, i;

	ASSERT_OK(t_queue_open(&q, self->fd, &args));
	ASSERT_OK(t_fault_bind(self->fd, self->id, 0, 0, q.id));
	a = begin(self, AT);
	ASSERT_EQ(0, t_queue_next(&q, &r[0], 5000));
	b = begin(self, AT + T_PAGE);
	ASSERT_EQ(0, t_queue_next(&q, &r[1], 5000));
	/* Reported at once to a reader who has read everything, the others together */
	for (i = 2; i < 5; i++)
		EXPECT_EQ(-EIO, ended(self, begin(self, AT + i * T_PAGE)));
	ASSERT_EQ(0, t_queue_next(&q, &lost, 5000));
	EXPECT_EQ(IOASID_FAULT_LOST, lost.type);
	EXPECT_EQ(1, lost.nr);
	EXPECT_EQ(0, t_queue_answer(&q, r[0].cookie, IOASID_FAULT_INVALID));
	EXPECT_EQ(-EIO, ended(self, a));
	/* And before the next one that fits */
	a = begin(self, AT);
	ASSERT_EQ(0, t_queue_next(&q, &lost, 5000));
	EXPECT_EQ(IOASID_FAULT_LOST, lost.type);
	EXPECT_EQ(2, lost.nr);
	ASSERT_EQ(0, t_queue_next(&q, &r[0], 5000));
	EXPECT_EQ(IOASID_FAULT_REQUEST, r[0].type);
	EXPECT_EQ(0, t_queue_answer(&q, r[0].cookie, IOASID_FAULT_INVALID));
	EXPECT_EQ(0, t_queue_answer(&q, r[1].cookie, IOASID_FAULT_INVALID));
	EXPECT_EQ(-EIO, ended(self, a));
	EXPECT_EQ(-EIO, ended(self, b));
	t_queue_close(&q);
}

/* What waits in the old queue takes no room in the new one */
TEST_F(fault, limit_of_each_queue)
{
	struct ioasid_fault_queue args = { .max_per_pasid = 2, .eventfd = -1 };
	struct ioasid_fault_record r[4];
	struct t_queue q[2];
	int slot[4], i;

	for (i = 0; i < 2; i++)
		ASSERT_OK(t_queue_open(&q[i], self->fd, &args));
	for (i = 0; i < 4; i++) {
		if (!(i % 2))
			ASSERT_OK(t_fault_bind(self->fd, self->id, 0, 0, q[i / 2].id));
		slot[i] = begin(self, AT + i * T_PAGE);
		ASSERT_EQ(0, t_queue_next(&q[i / 2], &r[i], 5000));
		EXPECT_EQ(IOASID_FAULT_REQUEST, r[i].type);
	}
	EXPECT_EQ(-EIO, ended(self, begin(self, AT)));
	for (i = 0; i < 4; i++) {
		EXPECT_EQ(0, t_queue_answer(&q[i / 2], r[i].cookie, IOASID_FAULT_INVALID));
		EXPECT_EQ(-EIO, ended(self, slot[i]));
	}
	for (i = 0; i < 2; i++)
		t_queue_close(&q[i]);
}

/* However many PASIDs a device has, it leaves room for another one */
TEST_F(fault, per_device_limit)
{
	struct ioasid_fault_queue args = { .depth = 16, .max_per_device = 4, .eventfd = -1 };
	struct ioasid_sim_command cmd = {
		.opcode = IOASID_SIM_OP_READ, .iova = AT, .length = 64,
		.flags = IOASID_SIM_CMD_REQUEST | IOASID_SIM_CMD_PASID,
	};
	struct ioasid_fault_record r[4], lost;
	struct t_queue q;
	int slot[4], i;

	NEED(variant->pasid, "is about PASIDs");
	ASSERT_OK(t_queue_open(&q, self->fd, &args));
	ASSERT_OK(t_fault_bind(self->fd, self->id, 0, 0, q.id));
	for (i = 0; i < 5; i++) {
		u32 p = IOASID_PASID_ANY;

		ASSERT_OK(t_attach_pasid(self->fd, self->dev_id, self->id, &p, 0, 0));
		cmd.pasid = p;
		if (i == 4)
			break;
		slot[i] = t_sim_submit(self->sim, &cmd);
		ASSERT_LE(0, slot[i]);
		ASSERT_EQ(0, t_queue_next(&q, &r[i], 5000));
		EXPECT_EQ(p, r[i].pasid);
	}
	EXPECT_EQ(-EIO, ended(self, t_sim_submit(self->sim, &cmd)));
	for (i = 0; i < 4; i++) {
		EXPECT_EQ(0, t_queue_answer(&q, r[i].cookie, IOASID_FAULT_INVALID));
		EXPECT_EQ(-EIO, ended(self, slot[i]));
	}
	slot[0] = t_sim_submit(self->sim, &cmd);
	ASSERT_EQ(0, t_queue_next(&q, &lost, 5000));
	EXPECT_EQ(IOASID_FAULT_LOST, lost.type);
	EXPECT_EQ(1, lost.nr);
	ASSERT_EQ(0, t_queue_next(&q, &r[0], 5000));
	EXPECT_EQ(0, t_queue_answer(&q, r[0].cookie, IOASID_FAULT_INVALID));
	EXPECT_EQ(-EIO, ended(self, slot[0]));
	t_queue_close(&q);
}

/* A reader that does not read: the ring is full, and nothing hangs */
TEST_F(fault, ring_full)
{
	struct ioasid_fault_queue args = { .depth = 16, .deadline_ms = 300, .eventfd = -1 };
	struct ioasid_fault_record r;
	u32 requests = 0, lost = 0, expired = 0;
	int slot[20], i;
	struct t_queue q;

	ASSERT_OK(t_queue_open(&q, self->fd, &args));
	ASSERT_OK(t_fault_bind(self->fd, self->id, 0, 0, q.id));
	for (i = 0; i < 20; i++)
		slot[i] = begin(self, AT + i * T_PAGE);
	for (i = 0; i < 20; i++)
		EXPECT_EQ(-EIO, ended(self, slot[i]));
	EXPECT_EQ(16, q.ring->head);
	for (i = 0; i < 16; i++) {
		NEXT_OF(&q, &r);
		requests += r.type == IOASID_FAULT_REQUEST;
		expired += r.type == IOASID_FAULT_TIMEOUT;
	}
	/* The deadline passes in between on a slow machine only */
	EXPECT_EQ(16, requests + expired);
	/* What was left out is reported before the next request */
	slot[0] = begin(self, AT);
	while (requests + lost < 21 && !t_queue_next(&q, &r, 5000)) {
		requests += r.type == IOASID_FAULT_REQUEST;
		lost += r.type == IOASID_FAULT_LOST ? r.nr : 0;
	}
	ended(self, slot[0]);
	EXPECT_EQ(21, requests + lost);
	t_queue_close(&q);
}

/* The kernel never trusts what user space writes to the ring */
TEST_F(fault, ring_scribbled)
{
	struct ioasid_fault_doorbell bell = { .size = sizeof(bell) };
	struct ioasid_fault_record r;
	char buf[64];
	int slot;

	self->q.ring->tail = 0x12345;
	EXPECT_EQ(-EIO, ended(self, begin(self, AT)));
	EXPECT_EQ(-1, read(self->q.fd, buf, sizeof(buf)));
	self->q.ring->response_head = 0x80000000;
	EXPECT_EQ(-1, ioctl(self->q.fd, IOASID_FAULT_DOORBELL, &bell));
	EXPECT_EQ(EINVAL, errno);
	memset((void *)self->q.ring, 0x5a, sizeof(*self->q.ring));
	memset(self->q.records, 0xff, 64);
	EXPECT_EQ(-EIO, ended(self, begin(self, AT)));
	self->q.ring->head = 0;
	self->q.ring->tail = 0;
	self->q.ring->response_head = 0;
	self->q.ring->depth = 256;
	slot = begin(self, AT);
	do {
		NEXT(&r);
	} while (r.type != IOASID_FAULT_REQUEST);
	EXPECT_EQ(0, t_queue_answer(&self->q, r.cookie, IOASID_FAULT_INVALID));
	EXPECT_EQ(-EIO, ended(self, slot));
}

TEST_F(fault, read_and_write)
{
	struct ioasid_fault_response a[3] = {};
	struct ioasid_fault_record r[4];
	struct pollfd p = { .fd = self->q.fd, .events = POLLIN };
	int slot[3], i;

	EXPECT_EQ(0, poll(&p, 1, 0));
	ASSERT_EQ(0, fcntl(self->q.fd, F_SETFL, O_NONBLOCK));
	EXPECT_EQ(-1, read(self->q.fd, r, sizeof(r)));
	EXPECT_EQ(EAGAIN, errno);
	EXPECT_EQ(-1, read(self->q.fd, r, sizeof(r[0]) - 1));
	EXPECT_EQ(EINVAL, errno);
	for (i = 0; i < 3; i++)
		slot[i] = begin(self, AT + i * T_PAGE);
	while (self->q.ring->head != 3)
		t_sleep_ms(1);
	EXPECT_EQ(1, poll(&p, 1, 0));
	EXPECT_EQ(-1, read(self->q.fd, nowhere, sizeof(r)));
	EXPECT_EQ(EFAULT, errno);
	/* Two, and a part of the third that does not fit */
	EXPECT_EQ(2 * (ssize_t)sizeof(r[0]), read(self->q.fd, r, 3 * sizeof(r[0]) - 1));
	EXPECT_EQ((ssize_t)sizeof(r[0]), read(self->q.fd, &r[2], 2 * sizeof(r[0])));
	EXPECT_EQ(0, poll(&p, 1, 0));
	for (i = 0; i < 3; i++) {
		a[i].cookie = r[i].cookie;
		a[i].code = IOASID_FAULT_INVALID;
	}
	a[1].cookie = ~0ULL;
	EXPECT_EQ((ssize_t)sizeof(a[0]), write(self->q.fd, a, sizeof(a)));
	a[1].cookie = r[1].cookie;
	EXPECT_EQ(2 * (ssize_t)sizeof(a[0]), write(self->q.fd, a + 1, 2 * sizeof(a[0])));
	for (i = 0; i < 3; i++)
		EXPECT_EQ(-EIO, ended(self, slot[i]));
}

static int blocking_reader(void *arg)
{
	struct t_queue *q = arg;
	struct ioasid_fault_record r;

	T_CHECK(read(q->fd, &r, sizeof(r)) == sizeof(r));
	T_CHECK(!t_queue_answer(q, r.cookie, IOASID_FAULT_INVALID));
	return 0;
}

/* Two that read at once get one record each */
TEST_F(fault, two_readers)
{
	pid_t a = t_fork(blocking_reader, &self->q);
	pid_t b = t_fork(blocking_reader, &self->q);
	int i, slot[2];

	t_sleep_ms(50);
	for (i = 0; i < 2; i++)
		slot[i] = begin(self, AT + i * T_PAGE);
	for (i = 0; i < 2; i++)
		EXPECT_EQ(-EIO, ended(self, slot[i]));
	EXPECT_EQ(0, t_wait(a));
	EXPECT_EQ(0, t_wait(b));
}

static int dying_reader(void *arg)
{
	struct t_queue *q = arg;
	struct ioasid_fault_record r;

	T_CHECK(read(q->fd, &r, sizeof(r)) == sizeof(r));
	kill(getpid(), SIGKILL);
	return 1;
}

/* A reader that dies takes its record with it, and the deadline answers */
TEST_F(fault, dead_reader)
{
	struct ioasid_fault_queue args = { .deadline_ms = 200, .eventfd = -1 };
	struct ioasid_fault_record r;
	struct t_queue q;
	pid_t pid;
	int slot;

	ASSERT_OK(t_queue_open(&q, self->fd, &args));
	ASSERT_OK(t_fault_bind(self->fd, self->id, 0, 0, q.id));
	pid = t_fork(dying_reader, &q);
	slot = begin(self, AT);
	EXPECT_EQ(-SIGKILL, t_wait(pid));
	EXPECT_EQ(-EIO, ended(self, slot));
	ASSERT_EQ(0, t_queue_next(&q, &r, 5000));
	EXPECT_EQ(IOASID_FAULT_TIMEOUT, r.type);
	t_queue_close(&q);
}

/* Through the ring both ways, with an eventfd, and around its end */
TEST_F(fault, ring_wraps)
{
	int efd = eventfd(0, EFD_NONBLOCK);
	struct ioasid_fault_queue args = { .depth = 16, .eventfd = efd };
	struct ioasid_fault_doorbell bell = { .size = sizeof(bell) };
	struct ioasid_fault_record r;
	int round, i, slot[8];
	struct t_queue q;
	u64 n;

	ASSERT_LE(0, efd);
	ASSERT_OK(t_queue_open(&q, self->fd, &args));
	ASSERT_OK(t_fault_bind(self->fd, self->id, 0, 0, q.id));
	for (round = 0; round < 20; round++) {
		for (i = 0; i < 8; i++)
			slot[i] = begin(self, AT + i * T_PAGE);
		for (i = 0; i < 8; i++) {
			u32 at = q.ring->response_head + i;

			ASSERT_EQ(0, t_queue_next(&q, &r, 5000));
			q.responses[at & 15].cookie = r.cookie;
			q.responses[at & 15].code = IOASID_FAULT_INVALID;
			q.responses[at & 15].__reserved = 0;
		}
		__atomic_store_n(&q.ring->response_head, q.ring->response_head + 8,
				 __ATOMIC_RELEASE);
		ASSERT_EQ(0, ioctl(q.fd, IOASID_FAULT_DOORBELL, &bell));
		EXPECT_EQ(8, bell.done);
		EXPECT_EQ(0, bell.failed);
		EXPECT_EQ(q.ring->response_head, q.ring->response_tail);
		for (i = 0; i < 8; i++)
			EXPECT_EQ(-EIO, ended(self, slot[i]));
		/* It can be a little later than the record */
		ASSERT_EQ(1, poll(&(struct pollfd){ .fd = efd, .events = POLLIN }, 1, 5000));
		EXPECT_EQ(8, read(efd, &n, 8));
	}
	/* A bad one does not keep the others */
	for (i = 0; i < 2; i++)
		slot[i] = begin(self, AT + i * T_PAGE);
	for (i = 0; i < 3; i++) {
		struct ioasid_fault_response *a = &q.responses[(q.ring->response_head + i) & 15];

		if (i == 1) {
			a->cookie = 0x4242424242ULL;
			continue;
		}
		ASSERT_EQ(0, t_queue_next(&q, &r, 5000));
		a->cookie = r.cookie;
		a->code = IOASID_FAULT_INVALID;
	}
	q.ring->response_head += 3;
	ASSERT_EQ(0, ioctl(q.fd, IOASID_FAULT_DOORBELL, &bell));
	EXPECT_EQ(2, bell.done);
	EXPECT_EQ(1, bell.failed);
	EXPECT_EQ(ENOENT, bell.first_error);
	EXPECT_EQ(0x4242424242ULL, bell.first_cookie);
	for (i = 0; i < 2; i++)
		EXPECT_EQ(-EIO, ended(self, slot[i]));
	t_queue_close(&q);
	close(efd);
}

static int close_and_detach_child(void *arg)
{
	FIXTURE_DATA(fault) *self = arg;

	t_queue_close(&self->q);
	t_sleep_ms(150);
	T_CHECK(!t_detach_pasid(self->fd, self->dev_id, self->pasid));
	return 0;
}

TEST_F(fault, close_and_detach)
{
	struct ioasid_fault_record r;
	int slot = begin(self, AT);
	pid_t pid;

	NEXT(&r);
	pid = t_fork(close_and_detach_child, self);
	t_sleep_ms(70);
	t_queue_close(&self->q);
	EXPECT_EQ(0, t_wait(pid));
	EXPECT_NE(0, ended(self, slot));
}

TEST_F(fault, queue_arguments)
{
	static const u32 depths[] = { 1, 8, 15, 17, 100, 131072, 0x80000000 };
	struct ioasid_fault_queue args = { .eventfd = -1 };
	struct t_queue q;
	u32 i, plain;

	for (i = 0; i < sizeof(depths) / sizeof(depths[0]); i++) {
		args.depth = depths[i];
		EXPECT_FAIL(EINVAL, VALUE, t_queue_open(&q, self->fd, &args));
	}
	args.depth = 16;
	args.max_pending = 17;
	EXPECT_FAIL(EINVAL, VALUE, t_queue_open(&q, self->fd, &args));
	args.max_pending = 0;
	args.deadline_ms = 60001;
	EXPECT_FAIL(EINVAL, VALUE, t_queue_open(&q, self->fd, &args));
	args.deadline_ms = 0;
	args.eventfd = self->fd;
	EXPECT_FAIL(EINVAL, FD, t_queue_open(&q, self->fd, &args));
	args.eventfd = 999;
	EXPECT_FAIL(EBADF, FD, t_queue_open(&q, self->fd, &args));
	args.eventfd = -1;
	args.depth = 65536;
	ASSERT_OK(t_queue_open(&q, self->fd, &args));
	EXPECT_EQ(MAP_FAILED, mmap(NULL, q.bytes + T_PAGE, PROT_READ, MAP_SHARED, q.fd, 0));
	EXPECT_EQ(MAP_FAILED, mmap(NULL, T_PAGE, PROT_READ, MAP_SHARED, q.fd, q.bytes));
	EXPECT_EQ(MAP_FAILED, mmap(NULL, T_PAGE, PROT_READ, MAP_PRIVATE, q.fd, 0));
	EXPECT_EQ(-1, ioctl(q.fd, IOASID_GET_INFO, &args));
	EXPECT_EQ(ENOTTY, errno);
	t_queue_close(&q);
	/* A space without page requests has other events to report */
	ASSERT_OK(t_alloc(self->fd, &plain));
	EXPECT_OK(t_fault_bind(self->fd, plain, 0, 0, self->q.id));
	if (t_alloc_mm(self->fd, &plain))
		return;		/* Needs a kernel with SVA */
	EXPECT_FAIL(EINVAL, KIND, t_fault_bind(self->fd, plain, 0, 0, self->q.id));
}

/* The queue outlives the context's file, and the device goes on */
TEST_F(fault, context_closed)
{
	struct ioasid_fault_record r;
	int slot;

	close(self->fd);
	slot = begin(self, AT);
	NEXT(&r);
	EXPECT_EQ(0, t_queue_answer(&self->q, r.cookie, IOASID_FAULT_INVALID));
	EXPECT_EQ(-EIO, ended(self, slot));
	slot = begin(self, AT);
	NEXT(&r);
	/* Closing resets it first */
	t_dma_close(&self->dev);
	NEXT(&r);
	EXPECT_EQ(IOASID_FAULT_RESET, r.type);
	EXPECT_EQ(1, r.nr);
	NEXT(&r);
	EXPECT_EQ(IOASID_FAULT_DETACHED, r.type);
	EXPECT_EQ(0, r.nr);
	self->fd = t_open();
}

TEST_HARNESS_MAIN
