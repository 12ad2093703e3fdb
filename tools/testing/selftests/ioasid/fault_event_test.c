// SPDX-License-Identifier: GPL-2.0
/*
 * What a fault queue reports besides page requests: unrecoverable faults, and what
 * was lost. And who answers: the policy of a space, and the limits of a queue and
 * of a context. On an endpoint of ioasid_sim.
 */
#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <unistd.h>

#include "harness.h"

#define AT	0x100000000ULL
#define PAGES	16
#define LEN	(PAGES * T_PAGE)
#define QUOTA	"/sys/module/ioasid/parameters/fault_records_per_context"

FIXTURE(event) {
	int fd;
	struct t_dma dev;
	struct t_sim *sim;
	u32 dev_id;
	u32 id;
	u32 pasid;
	struct t_queue q;
	char *mem;
};

FIXTURE_VARIANT(event) {
	bool pasid;
	bool faults;
};

FIXTURE_VARIANT_ADD(event, rid) { .faults = true };
FIXTURE_VARIANT_ADD(event, pasid) { .faults = true, .pasid = true };
FIXTURE_VARIANT_ADD(event, rid_without_requests) { .pasid = false };
FIXTURE_VARIANT_ADD(event, pasid_without_requests) { .pasid = true };

FIXTURE_SETUP(event)
{
	NEED_DMA(&self->dev, T_EDU, 0);
	NEED(t_on_sim(), "needs ioasid_sim");
	self->sim = &self->dev.sim;
	self->fd = t_open();
	ASSERT_FD(self->fd);
	ASSERT_OK(variant->faults ? t_alloc_faults(self->fd, &self->id) :
				    t_alloc(self->fd, &self->id));
	ASSERT_OK(t_vfio_bind(&self->dev.vfio, self->fd));
	self->dev_id = self->dev.vfio.dev_id;
	self->pasid = variant->pasid ? IOASID_PASID_ANY : IOASID_RID;
	ASSERT_OK(t_attach_pasid(self->fd, self->dev_id, self->id, &self->pasid, 0, 0));
	ASSERT_OK(t_queue_open(&self->q, self->fd, NULL));
	ASSERT_OK(t_fault_bind(self->fd, self->id, 0, 0, self->q.id));
	self->mem = t_memory(T_ANON, LEN);
	ASSERT_NE(NULL, self->mem);
	t_fill(self->mem, LEN, 1);
}

FIXTURE_TEARDOWN(event)
{
	t_queue_close(&self->q);
	t_dma_close(&self->dev);
	close(self->fd);
}

static u32 flags(FIXTURE_DATA(event) *self)
{
	return self->pasid ? IOASID_SIM_CMD_PASID : 0;
}

/* 64 bytes there and back, without asking for pages */
static int dma(FIXTURE_DATA(event) *self, bool write, u64 iova)
{
	struct ioasid_sim_command cmd = {
		.opcode = write ? IOASID_SIM_OP_WRITE : IOASID_SIM_OP_READ,
		.iova = iova, .length = 64, .pasid = self->pasid, .flags = flags(self),
	};
	struct ioasid_sim_completion c;
	int ret = t_sim_run(self->sim, &cmd, &c);

	return ret ?: t_sim_error(&c);
}

/* Asks for pages from @iova on, each for writing if its bit is set: the answer */
static int request(FIXTURE_DATA(event) *self, u64 iova, u32 nr, u32 writes)
{
	struct ioasid_sim_page_request *page = t_sim_buffer(self->sim, 0);
	struct ioasid_sim_command cmd = {
		.opcode = IOASID_SIM_OP_REQUEST, .length = nr * sizeof(*page),
		.pasid = self->pasid, .flags = flags(self),
	};
	struct ioasid_sim_completion c;
	int ret;
	u32 i;

	for (i = 0; i < nr; i++) {
		page[i].iova = iova + i * T_PAGE;
		page[i].flags = writes >> i & 1 ? IOASID_SIM_PAGE_WRITE : 0;
		page[i].__reserved = 0;
	}
	ret = t_sim_run(self->sim, &cmd, &c);
	return ret ?: (int)c.result;
}

#define NEXT_OF(q, r)	ASSERT_EQ(0, t_queue_next((q), (r), 5000))
#define NEXT(r)		NEXT_OF(&self->q, (r))
#define NOTHING() do {								\
	struct ioasid_fault_record none;					\
	EXPECT_EQ(-ETIMEDOUT, t_queue_next(&self->q, &none, 50));		\
} while (0)

#define EXPECT_UNRECOVERABLE(r, a, how, why) do {					\
	EXPECT_EQ(IOASID_FAULT_UNRECOVERABLE, (r).type);			\
	EXPECT_EQ((a), (r).addr);						\
	EXPECT_EQ(IOASID_FAULT_##how, (r).flags);				\
	EXPECT_EQ(IOASID_FAULT_##why, (r).reason);				\
	EXPECT_EQ(1, (r).nr);							\
	EXPECT_EQ(0, (r).cookie);						\
	EXPECT_EQ(self->dev_id, (r).dev_id);					\
	EXPECT_EQ(self->id, (r).ioasid);					\
} while (0)

TEST_F(event, unrecoverable)
{
	struct ioasid_device_info info = { .dev_id = self->dev_id };
	struct ioasid_fault_record r;
	u32 both = IOASID_DEVICE_UNRECOVERABLE | IOASID_DEVICE_UNRECOVERABLE_PASID;

	ASSERT_OK(t_device_info(self->fd, self->dev_id, &info));
	EXPECT_EQ(both, info.caps & both);
	ASSERT_OK(t_map_at(self->fd, self->id, self->mem, LEN, IOASID_MAP_READ, AT));
	EXPECT_EQ(0, dma(self, false, AT + 8));
	NOTHING();
	EXPECT_EQ(-EFAULT, dma(self, false, AT + LEN + 24));
	NEXT(&r);
	EXPECT_UNRECOVERABLE(r, AT + LEN + 24, READ, NOT_MAPPED);
	EXPECT_EQ(self->pasid, r.pasid);
	EXPECT_EQ(info.cookie, r.device_cookie);
	EXPECT_EQ(-EFAULT, dma(self, true, AT + T_PAGE));
	NEXT(&r);
	EXPECT_UNRECOVERABLE(r, AT + T_PAGE, WRITE, PERMISSION);
	EXPECT_EQ(-EFAULT, dma(self, true, AT - 64));
	NEXT(&r);
	EXPECT_UNRECOVERABLE(r, AT - 64, WRITE, NOT_MAPPED);
	/* There is nothing to answer */
	EXPECT_EQ(-ENOENT, t_queue_answer(&self->q, r.cookie, IOASID_FAULT_SUCCESS));
	/* Without a queue it is not reported; an attachment's own queue goes first */
	ASSERT_OK(t_fault_bind(self->fd, self->id, 0, 0, 0));
	EXPECT_EQ(-EFAULT, dma(self, true, AT - 64));
	NOTHING();
	ASSERT_OK(t_fault_bind(self->fd, 0, self->dev_id, self->pasid, self->q.id));
	EXPECT_EQ(-EFAULT, dma(self, true, AT - 64));
	NEXT(&r);
	EXPECT_UNRECOVERABLE(r, AT - 64, WRITE, NOT_MAPPED);
	/* The fault is reported, and then the detach */
	EXPECT_EQ(-EFAULT, dma(self, false, AT - 64));
	ASSERT_OK(t_detach_pasid(self->fd, self->dev_id, self->pasid));
	NEXT(&r);
	EXPECT_UNRECOVERABLE(r, AT - 64, READ, NOT_MAPPED);
	NEXT(&r);
	EXPECT_EQ(IOASID_FAULT_DETACHED, r.type);
	EXPECT_EQ(self->pasid, r.pasid);
	EXPECT_EQ(0, r.nr);
	EXPECT_EQ(-EFAULT, dma(self, false, AT - 64));
	NOTHING();
}

/* An IOMMU driver does not report which of two PASIDs it was, so neither do we */
TEST_F(event, unrecoverable_twice_attached)
{
	struct ioasid_fault_record r;
	u32 second = IOASID_PASID_ANY;

	ASSERT_OK(t_attach_pasid(self->fd, self->dev_id, self->id, &second, 0, 0));
	EXPECT_EQ(-EFAULT, dma(self, false, AT));
	NEXT(&r);
	EXPECT_UNRECOVERABLE(r, AT, READ, NOT_MAPPED);
	EXPECT_EQ(IOASID_PASID_ANY, r.pasid);
	ASSERT_OK(t_detach_pasid(self->fd, self->dev_id, second));
	NEXT(&r);
	EXPECT_EQ(IOASID_FAULT_DETACHED, r.type);
	EXPECT_EQ(second, r.pasid);
	EXPECT_EQ(-EFAULT, dma(self, false, AT));
	NEXT(&r);
	EXPECT_EQ(self->pasid, r.pasid);
}

/* By the number that the user gave it, with the cookie he gave the device */
TEST_F(event, unrecoverable_by_number)
{
	struct ioasid_fault_record r;
	u32 pasid = IOASID_PASID_ANY;

	NEED(variant->pasid, "is about PASIDs");
	ASSERT_OK(t_detach_pasid(self->fd, self->dev_id, self->pasid));
	NEXT(&r);
	ASSERT_OK(t_attach_pasid(self->fd, self->dev_id, self->id, &pasid, 77, 0));
	self->pasid = pasid;
	EXPECT_EQ(-EFAULT, dma(self, false, AT));
	NEXT(&r);
	EXPECT_UNRECOVERABLE(r, AT, READ, NOT_MAPPED);
	EXPECT_EQ(77, r.pasid);
}

/* After a move to another space its faults go to that space's queue */
TEST_F(event, unrecoverable_after_replace)
{
	struct ioasid_fault_record r;
	u32 other, p = self->pasid;
	int ret;

	ASSERT_OK(variant->faults ? t_alloc_faults(self->fd, &other) : t_alloc(self->fd, &other));
	ret = t_attach_pasid(self->fd, self->dev_id, other, &p, 0, IOASID_ATTACH_REPLACE);
	NEED(ret != -EOPNOTSUPP, "needs a kernel that replaces the domain of a PASID");
	ASSERT_EQ(0, ret) TH_LOG("%s", t_explain());
	NEXT(&r);
	EXPECT_EQ(IOASID_FAULT_DETACHED, r.type);
	EXPECT_EQ(-EFAULT, dma(self, false, AT));
	NOTHING();
	ASSERT_OK(t_fault_bind(self->fd, other, 0, 0, self->q.id));
	EXPECT_EQ(-EFAULT, dma(self, false, AT));
	NEXT(&r);
	self->id = other;
	EXPECT_UNRECOVERABLE(r, AT, READ, NOT_MAPPED);
}

#define FLOOD	12	/* three quarters of the ring */

/*
 * A device that causes faults without end, and nobody reads: nothing hangs, a quarter
 * of the ring stays free, and what was left out is counted to the last one.
 */
TEST_F(event, flood)
{
	struct ioasid_fault_queue args = { .depth = 16, .eventfd = -1 };
	u32 reported = 0, lost_events = 0, records, n = 0;
	u64 end = t_end_of_patience(5000);
	struct ioasid_fault_record r;
	struct t_queue q;

	ASSERT_OK(t_queue_open(&q, self->fd, &args));
	ASSERT_OK(t_fault_bind(self->fd, self->id, 0, 0, q.id));
	/* As many as fit, however many go into one record; and some more */
	for (; q.ring->head < FLOOD && t_now_ns() < end; n++)
		EXPECT_EQ(-EFAULT, dma(self, false, AT + n * T_PAGE));
	do {
		EXPECT_EQ(-EFAULT, dma(self, false, AT + n * T_PAGE));
	} while (++n % 100);
	EXPECT_EQ(FLOOD, q.ring->head);
	/* They are reported by a work item, and what was left out with the next response */
	while (q.ring->head == FLOOD && t_now_ns() < end)
		t_queue_answer(&q, ~0ULL, IOASID_FAULT_INVALID);
	EXPECT_EQ(FLOOD + 1, q.ring->head);
	/* A detach waits for the work item */
	ASSERT_OK(t_detach_pasid(self->fd, self->dev_id, self->pasid));
	for (records = 0; records < 16; records++) {
		NEXT_OF(&q, &r);
		if (r.type == IOASID_FAULT_DETACHED)
			break;
		EXPECT_EQ(records < FLOOD ? IOASID_FAULT_UNRECOVERABLE : IOASID_FAULT_LOST, r.type);
		if (r.type == IOASID_FAULT_LOST) {
			EXPECT_EQ(0, r.nr);
			lost_events += r.lost_events;
		} else {
			reported += r.nr;
		}
	}
	EXPECT_EQ(IOASID_FAULT_DETACHED, r.type);
	/* Several faults can be in one record that was lost */
	EXPECT_LE(FLOOD, reported);
	EXPECT_LT(0, lost_events);
	EXPECT_GE(n, reported + lost_events);
	t_queue_close(&q);
}

/* --- policies ------------------------------------------------------------------ */

#define SUCCESS	0
#define INVALID	1

TEST_F(event, policies)
{
	struct ioasid_fault_bind bad = {
		.size = sizeof(bad), .dev_id = self->dev_id, .pasid = self->pasid,
		.policy = IOASID_FAULT_REFUSE,
	};
	u32 i;

	EXPECT_FAIL(EINVAL, VALUE, t_fault_policy(self->fd, self->id, 0, 3));
	EXPECT_FAIL(EINVAL, VALUE, t_fault_policy(self->fd, self->id, 0, ~0U));
	EXPECT_FAIL(EINVAL, VALUE, t_cmd(self->fd, IOASID_FAULT_BIND, &bad));
	for (i = 0; i < 3; i++) {
		if (variant->faults || i == IOASID_FAULT_FORWARD) {
			EXPECT_OK(t_fault_policy(self->fd, self->id, self->q.id, i));
			continue;
		}
		EXPECT_FAIL(EINVAL, KIND, t_fault_policy(self->fd, self->id, 0, i));
	}
}

TEST_F(event, policy_refuse)
{
	struct ioasid_fault_record r;

	NEED(variant->faults, "is about page requests");
	ASSERT_OK(t_map_at(self->fd, self->id, self->mem, LEN, T_RW, AT));
	ASSERT_OK(t_fault_policy(self->fd, self->id, self->q.id, IOASID_FAULT_REFUSE));
	EXPECT_EQ(INVALID, request(self, AT, 1, 0));
	EXPECT_EQ(INVALID, request(self, AT + LEN, 3, 0));
	NOTHING();
	/* Other events still come */
	EXPECT_EQ(-EFAULT, dma(self, false, AT + LEN));
	NEXT(&r);
	EXPECT_EQ(IOASID_FAULT_UNRECOVERABLE, r.type);
}

TEST_F(event, policy_kernel)
{
	struct ioasid_fault_record r;

	NEED(variant->faults, "is about page requests");
	ASSERT_OK(t_map_at(self->fd, self->id, self->mem, LEN, T_RW, AT));
	ASSERT_OK(t_map_at(self->fd, self->id, self->mem, LEN, IOASID_MAP_READ, AT + LEN));
	ASSERT_OK(t_fault_policy(self->fd, self->id, self->q.id, IOASID_FAULT_KERNEL));
	EXPECT_EQ(SUCCESS, request(self, AT, 1, 0));
	EXPECT_EQ(SUCCESS, request(self, AT + LEN - T_PAGE, 2, 1));
	EXPECT_EQ(SUCCESS, request(self, AT, PAGES, 0x5555));
	/* One page that is not mapped is enough: the first, one inside, the last */
	EXPECT_EQ(INVALID, request(self, AT - T_PAGE, 3, 0));
	EXPECT_EQ(INVALID, request(self, AT + LEN, 3, 2));
	EXPECT_EQ(INVALID, request(self, AT + 2 * LEN - T_PAGE, 2, 0));
	EXPECT_EQ(INVALID, request(self, AT + 4 * LEN, 1, 0));
	NOTHING();
	/* Without a queue, too */
	ASSERT_OK(t_fault_policy(self->fd, self->id, 0, IOASID_FAULT_KERNEL));
	EXPECT_EQ(SUCCESS, request(self, AT, 1, 1));
	ASSERT_EQ((long long)LEN, t_unmap(self->fd, self->id, AT, LEN));
	EXPECT_EQ(INVALID, request(self, AT, 1, 1));
	/* An attachment with a queue of its own asks there */
	ASSERT_OK(t_fault_bind(self->fd, 0, self->dev_id, self->pasid, self->q.id));
	ASSERT_OK(t_fault_policy(self->fd, self->id, 0, IOASID_FAULT_REFUSE));
	{
		struct ioasid_sim_command cmd = {
			.opcode = IOASID_SIM_OP_READ, .iova = AT, .length = 8, .pasid = self->pasid,
			.flags = IOASID_SIM_CMD_REQUEST | flags(self),
		};
		struct ioasid_sim_completion c;
		int slot = t_sim_submit(self->sim, &cmd);

		ASSERT_LE(0, slot);
		NEXT(&r);
		EXPECT_EQ(IOASID_FAULT_REQUEST, r.type);
		EXPECT_EQ(0, t_queue_answer(&self->q, r.cookie, IOASID_FAULT_INVALID));
		EXPECT_EQ(0, t_sim_wait(self->sim, slot, &c, 5000));
	}
	ASSERT_OK(t_fault_bind(self->fd, 0, self->dev_id, self->pasid, 0));
	EXPECT_EQ(INVALID, request(self, AT + LEN, 1, 0));
	/* And forwarded again */
	ASSERT_OK(t_fault_policy(self->fd, self->id, 0, IOASID_FAULT_FORWARD));
	EXPECT_EQ(INVALID, request(self, AT + LEN, 1, 0));
}

/* --- limits ----------------------------------------------------------------------- */

TEST_F(event, queue_limit)
{
	struct ioasid_fault_queue args = { .depth = 64, .max_pending = 3, .eventfd = -1 };
	struct ioasid_sim_command cmd = {
		.opcode = IOASID_SIM_OP_REQUESTS, .iova = AT, .length = 5 * T_PAGE,
		.pasid = self->pasid, .flags = flags(self),
	};
	struct ioasid_sim_completion c;
	u64 before = t_sim_stat(self->sim, IOASID_SIM_STAT_REQUESTS);
	struct ioasid_fault_record r[3], lost;
	struct t_queue q;
	int i, slot;

	NEED(variant->faults, "is about page requests");
	ASSERT_OK(t_queue_open(&q, self->fd, &args));
	ASSERT_OK(t_fault_bind(self->fd, self->id, 0, 0, q.id));
	slot = t_sim_submit(self->sim, &cmd);
	ASSERT_LE(0, slot);
	for (i = 0; i < 3; i++) {
		ASSERT_EQ(0, t_queue_next(&q, &r[i], 5000));
		EXPECT_EQ(AT + i * T_PAGE, r[i].addr);
	}
	while (t_sim_stat(self->sim, IOASID_SIM_STAT_REQUESTS) != before + 5 ||
	       t_sim_stat(self->sim, IOASID_SIM_STAT_OUTSTANDING) != 3)
		t_sleep_ms(1);
	for (i = 0; i < 3; i++)
		EXPECT_EQ(0, t_queue_answer(&q, r[i].cookie, IOASID_FAULT_SUCCESS));
	ASSERT_EQ(0, t_sim_wait(self->sim, slot, &c, 5000));
	EXPECT_EQ((u32)IOASID_SIM_OK, c.status);
	EXPECT_EQ(3, c.result);
	/* In one record, or the first in one of its own if nothing was left to be read */
	for (i = 0; i < 2; i += lost.nr) {
		ASSERT_EQ(0, t_queue_next(&q, &lost, 5000));
		ASSERT_EQ(IOASID_FAULT_LOST, lost.type);
		ASSERT_LE(1, lost.nr);
		EXPECT_EQ(0, lost.lost_events);
	}
	EXPECT_EQ(2, i);
	t_queue_close(&q);
}

TEST_F(event, context_limit)
{
	struct ioasid_fault_queue args = { .depth = 65536, .eventfd = -1 };
	struct t_queue q[16];
	char text[32];
	u32 limit, nr, i;
	int other;

	ASSERT_LT(0, t_read_file(QUOTA, text, sizeof(text)));
	limit = strtoul(text, NULL, 10);
	/* The fixture has 256 */
	nr = (limit - 256) / 65536;
	ASSERT_GT(16, nr);
	for (i = 0; i < nr; i++)
		ASSERT_OK(t_queue_open(&q[i], self->fd, &args));
	EXPECT_FAIL(EDQUOT, LIMIT, t_queue_open(&q[nr], self->fd, &args));
	EXPECT_EQ(limit, t_extack.value);
	/* Another context has its own, and what is given back can be had again */
	other = t_open();
	ASSERT_OK(t_queue_open(&q[nr], other, &args));
	t_queue_close(&q[nr]);
	close(other);
	t_queue_close(&q[0]);
	ASSERT_OK(t_queue_open(&q[0], self->fd, &args));
	EXPECT_FAIL(EDQUOT, LIMIT, t_queue_open(&q[nr], self->fd, &args));
	/* What fails later gives it back, too */
	t_queue_close(&q[0]);
	args.eventfd = 9999;
	EXPECT_FAIL(EBADF, FD, t_queue_open(&q[0], self->fd, &args));
	args.eventfd = -1;
	/* A queue that is closed counts as long as something is bound to it */
	ASSERT_OK(t_queue_open(&q[0], self->fd, &args));
	ASSERT_OK(t_fault_bind(self->fd, self->id, 0, 0, q[0].id));
	t_queue_close(&q[0]);
	EXPECT_FAIL(EDQUOT, LIMIT, t_queue_open(&q[0], self->fd, &args));
	ASSERT_OK(t_fault_bind(self->fd, self->id, 0, 0, 0));
	EXPECT_OK(t_queue_open(&q[0], self->fd, &args));
	for (i = 0; i < nr; i++)
		t_queue_close(&q[i]);
}

/* --- the end of who reads ------------------------------------------------------------ */

static volatile u32 *bound;

static int holds_and_dies(void *arg)
{
	FIXTURE_DATA(event) *self = arg;
	struct ioasid_fault_record r;
	struct t_queue q;
	int i;

	T_CHECK(!t_queue_open(&q, self->fd, NULL));
	T_CHECK(!t_fault_bind(self->fd, self->id, 0, 0, q.id));
	*bound = 1;
	for (i = 0; i < 3; i++)
		T_CHECK(!t_queue_next(&q, &r, 10000));
	kill(getpid(), SIGKILL);
	return 1;
}

/* Its queue dies with it: what it holds is answered long before the deadline */
TEST_F(event, reader_killed)
{
	struct ioasid_sim_command cmd = {
		.opcode = IOASID_SIM_OP_REQUESTS, .iova = AT, .length = 20 * T_PAGE,
		.pasid = self->pasid, .flags = flags(self),
	};
	struct ioasid_sim_completion c;
	u64 end = t_end_of_patience(5000);
	pid_t pid;
	int slot;

	NEED(variant->faults, "is about page requests");
	bound = mmap(NULL, T_PAGE, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	ASSERT_NE(MAP_FAILED, (void *)bound);
	pid = t_fork(holds_and_dies, self);
	while (!*bound && t_now_ns() < end)
		t_sleep_ms(1);
	ASSERT_EQ(1, *bound);
	slot = t_sim_submit(self->sim, &cmd);
	ASSERT_LE(0, slot);
	EXPECT_EQ(-SIGKILL, t_wait(pid));
	EXPECT_EQ(0, t_sim_wait(self->sim, slot, &c, 5000));
	EXPECT_EQ((u32)IOASID_SIM_OK, c.status);
	EXPECT_EQ(0, c.result);
	EXPECT_EQ(0, t_sim_stat(self->sim, IOASID_SIM_STAT_OUTSTANDING));
	/* Still bound to a queue that is gone: answered at once */
	EXPECT_EQ(INVALID, request(self, AT, 1, 0));
	ASSERT_OK(t_fault_bind(self->fd, self->id, 0, 0, self->q.id));
	EXPECT_EQ(-EFAULT, dma(self, false, AT));
}

TEST_HARNESS_MAIN
