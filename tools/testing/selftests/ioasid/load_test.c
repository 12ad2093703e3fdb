// SPDX-License-Identifier: GPL-2.0
/*
 * Page requests in great numbers: none is lost, none comes twice, those of a
 * PASID come in the order in which the device made them, and a device that
 * nobody answers holds up no other one. On endpoints of ioasid_sim.
 *
 * 100,000 where the kernel runs as a program, a tenth of it in a machine that is
 * emulated; IOASID_FAULTS says otherwise. Where even that takes too long, fewer are
 * made, and the log says how many; they are waited for until no more come.
 */
#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "harness.h"

#define PASIDS	64
#define AT	0x100000000ULL
#define APART	0x1000000000ULL		/* from one PASID's addresses to the next */
#define SECONDS	60			/* no new round after that */

FIXTURE(load) {
	int fd;
	struct t_dma dev;
	u32 id;
	u32 pasid[PASIDS];
	u64 next[PASIDS];	/* the address that must come now */
	u64 records;
	u64 quiet;		/* when to give up unless one comes */
	u64 bad;
	u32 *seen;		/* where there is no order: how often each page came */
	u32 pages;		/* of each PASID */
	struct t_queue q;
};

FIXTURE_SETUP(load)
{
	u32 i;

	NEED_DMA(&self->dev, T_EDU, 0);
	NEED(t_on_sim(), "needs ioasid_sim");
	self->fd = t_open();
	ASSERT_FD(self->fd);
	ASSERT_OK(t_alloc_faults(self->fd, &self->id));
	ASSERT_OK(t_vfio_bind(&self->dev.vfio, self->fd));
	for (i = 0; i < PASIDS; i++) {
		self->pasid[i] = IOASID_PASID_ANY;
		/* Known by numbers that say which it is */
		ASSERT_OK(t_attach_pasid(self->fd, self->dev.vfio.dev_id, self->id,
					 &self->pasid[i], 1000 + i, 0));
		self->next[i] = AT + i * APART;
	}
	ASSERT_OK(t_queue_open(&self->q, self->fd, NULL));
	ASSERT_OK(t_fault_bind(self->fd, self->id, 0, 0, self->q.id));
}

FIXTURE_TEARDOWN(load)
{
	t_queue_close(&self->q);
	t_dma_close(&self->dev);
	close(self->fd);
}

static void check(FIXTURE_DATA(load) *self, const struct ioasid_fault_record *r)
{
	u32 i = r->pasid - 1000;

	self->records++;
	self->quiet = 0;
	if (self->seen && i < PASIDS && r->type == IOASID_FAULT_REQUEST) {
		u64 page = (r->addr - AT - i * APART) / T_PAGE;

		if (page >= self->pages || self->seen[i * self->pages + page]++)
			self->bad++;
		return;
	}
	if (r->type != IOASID_FAULT_REQUEST || r->nr != 1 || i >= PASIDS ||
	    r->addr != self->next[i]) {
		if (self->bad++ < 3)
			printf("# type %u, PASID %u: %#llx, and not %#llx\n", r->type, r->pasid,
			       (unsigned long long)r->addr,
			       i < PASIDS ? (unsigned long long)self->next[i] : 0);
		return;
	}
	self->next[i] += T_PAGE;
}

/* Takes all that is there and answers it, by the ring: how many */
static u32 pump(FIXTURE_DATA(load) *self, struct t_queue *q)
{
	struct ioasid_fault_doorbell bell = { .size = sizeof(bell) };
	u32 mask = q->ring->depth - 1, tail = q->ring->tail, out = q->ring->response_head;
	u32 head = __atomic_load_n(&q->ring->head, __ATOMIC_ACQUIRE), nr = head - tail;

	for (; tail != head; tail++) {
		struct ioasid_fault_record r = q->records[tail & mask];

		check(self, &r);
		if (r.type != IOASID_FAULT_REQUEST)
			continue;
		q->responses[out & mask] = (struct ioasid_fault_response) {
			.cookie = r.cookie, .code = IOASID_FAULT_SUCCESS };
		out++;
	}
	if (!nr)
		return 0;
	__atomic_store_n(&q->ring->tail, tail, __ATOMIC_RELEASE);
	__atomic_store_n(&q->ring->response_head, out, __ATOMIC_RELEASE);
	if (ioctl(q->fd, IOASID_FAULT_DOORBELL, &bell) || bell.failed)
		self->bad++;
	return nr;
}

/* Has none come for so long that there will be no more? */
static bool over(FIXTURE_DATA(load) *self)
{
	u64 now = t_now_ns();

	if (!self->quiet)
		self->quiet = t_end_of_patience(5000);
	return now > self->quiet;
}

/* The same by read() and write() */
static u32 pump_slowly(FIXTURE_DATA(load) *self, struct t_queue *q)
{
	struct ioasid_fault_response a[64];
	struct ioasid_fault_record r[64];
	ssize_t n = read(q->fd, r, sizeof(r)) / (ssize_t)sizeof(r[0]), i;

	for (i = 0; i < n; i++) {
		check(self, &r[i]);
		a[i] = (struct ioasid_fault_response) { .cookie = r[i].cookie };
	}
	if (n > 0 && write(q->fd, a, n * sizeof(a[0])) != n * (ssize_t)sizeof(a[0]))
		self->bad++;
	return n > 0 ? n : 0;
}

static int begin(FIXTURE_DATA(load) *self, u32 i, u32 pages)
{
	struct ioasid_sim_command cmd = {
		.opcode = IOASID_SIM_OP_REQUESTS, .flags = IOASID_SIM_CMD_PASID,
		.pasid = self->pasid[i], .iova = self->next[i], .length = pages * T_PAGE,
	};

	return t_sim_submit(&self->dev.sim, &cmd);
}

/* All have ended, each with that many good answers */
static bool good(FIXTURE_DATA(load) *self, const int *slot, u32 nr, u32 pages)
{
	struct ioasid_sim_completion c;
	bool ok = true;
	u32 i;

	for (i = 0; i < nr; i++)
		if (t_sim_wait(&self->dev.sim, slot[i], &c, 10000) ||
		    c.status != IOASID_SIM_OK || c.result != pages)
			ok = false;
	return ok;
}

static u32 wanted(u32 usual)
{
	const char *env = getenv("IOASID_FAULTS");
	char cpu[4096];

	if (env)
		return strtoul(env, NULL, 0);
	if (t_read_file("/proc/cpuinfo", cpu, sizeof(cpu)) < 0 ||
	    !strstr(cpu, "User Mode Linux"))
		return usual / 10;
	return usual;
}

/* Every PASID asks for pages as fast as it can, all at the same time */
static u64 storm(FIXTURE_DATA(load) *self, u32 total, u32 (*take)(FIXTURE_DATA(load) *,
								     struct t_queue *))
{
	u32 pages = total / PASIDS / 10 + 1, round, i;
	u64 end = t_now_ns() + SECONDS * 1000000000ULL, want = 0;
	int slot[PASIDS];

	for (round = 0; round < 10 && (!round || t_now_ns() < end) && !self->bad; round++) {
		want += PASIDS * pages;
		self->quiet = 0;
		for (i = 0; i < PASIDS; i++)
			slot[i] = begin(self, i, pages);
		while (self->records < want && !self->bad && !over(self))
			if (!take(self, &self->q))
				sched_yield();
		if (!good(self, slot, PASIDS, pages))
			self->bad++;
	}
	return want;
}

TEST_F_TIMEOUT(load, in_order, 600)
{
	u64 start = t_now_ns(), want = storm(self, wanted(100000), pump), ms;
	struct ioasid_fault_record none;
	u32 i;

	ms = (t_now_ns() - start) / 1000000 + 1;
	TH_LOG("%llu page requests from %u PASIDs in %llu ms: %llu a second",
	       (unsigned long long)self->records, PASIDS, (unsigned long long)ms,
	       (unsigned long long)(self->records * 1000 / ms));
	EXPECT_EQ(want, self->records);
	EXPECT_EQ(0, self->bad);
	for (i = 1; i < PASIDS; i++)
		EXPECT_EQ(self->next[0] + i * APART, self->next[i]);
	EXPECT_EQ(-ETIMEDOUT, t_queue_next(&self->q, &none, 50));
	EXPECT_EQ(0, t_sim_stat(&self->dev.sim, IOASID_SIM_STAT_OUTSTANDING));
}

TEST_F_TIMEOUT(load, in_order_by_read, 600)
{
	u64 want = storm(self, wanted(100000) / 10, pump_slowly);

	EXPECT_EQ(want, self->records);
	EXPECT_EQ(0, self->bad);
}

/*
 * The queue changes all the time: each request is in one of them, and only there.
 * Order holds within a queue.
 */
TEST_F_TIMEOUT(load, rebound_meanwhile, 600)
{
	struct ioasid_fault_queue args = { .depth = 256, .eventfd = -1 };
	u32 pages = wanted(20000) / 16 + 1, i, rounds = 0;
	u64 want = 16 * pages;
	struct t_queue q[3];
	int slot[16];

	self->pages = pages;
	self->seen = calloc(PASIDS * pages, sizeof(*self->seen));
	ASSERT_NE(NULL, self->seen);
	for (i = 0; i < 3; i++)
		ASSERT_OK(t_queue_open(&q[i], self->fd, &args));
	for (i = 0; i < 16; i++)
		slot[i] = begin(self, i, pages);
	while (self->records < want && !over(self)) {
		ASSERT_OK(t_fault_bind(self->fd, self->id, 0, 0, q[rounds % 3].id));
		/* An attachment's own, now and then */
		ASSERT_OK(t_fault_bind(self->fd, 0, self->dev.vfio.dev_id, 1000,
				       rounds & 1 ? q[(rounds + 1) % 3].id : 0));
		rounds++;
		for (i = 0; i < 3; i++)
			pump(self, &q[i]);
		pump(self, &self->q);
	}
	TH_LOG("%llu page requests while rebinding %u times",
	       (unsigned long long)self->records, rounds);
	EXPECT_EQ(want, self->records);
	EXPECT_EQ(0, self->bad);
	EXPECT_TRUE(good(self, slot, 16, pages));
	free(self->seen);
	for (i = 0; i < 3; i++)
		t_queue_close(&q[i]);
}

/*
 * The neighbour behind the same IOMMU asks without end, and nobody answers: its
 * queue is full all the time. The others lose nothing, and wait hardly longer.
 */
TEST_F_TIMEOUT(load, noisy_neighbour, 600)
{
	struct ioasid_fault_queue args = { .depth = 16, .deadline_ms = 50, .eventfd = -1 };
	struct ioasid_sim_command cmd = {
		.opcode = IOASID_SIM_OP_REQUESTS, .iova = AT, .length = 1 << 30,
	};
	u32 pages = wanted(20000) / 4 / PASIDS + 1, id, i;
	u64 want = PASIDS * pages, asked, alone, start = t_now_ns();
	struct t_dma noisy;
	struct t_queue q;
	int slot[PASIDS];

	NEED_DMA(&noisy, T_EDU, 1);
	storm(self, want, pump);
	EXPECT_EQ(0, self->bad);
	alone = t_now_ns() - start;
	self->records = 0;
	ASSERT_OK(t_alloc_faults(self->fd, &id));
	ASSERT_OK(t_vfio_bind(&noisy.vfio, self->fd));
	ASSERT_OK(t_attach(self->fd, noisy.vfio.dev_id, id, 0));
	ASSERT_OK(t_queue_open(&q, self->fd, &args));
	ASSERT_OK(t_fault_bind(self->fd, id, 0, 0, q.id));
	for (i = 0; i < 8; i++)
		ASSERT_LE(0, t_sim_submit(&noisy.sim, &cmd));
	while (t_sim_stat(&noisy.sim, IOASID_SIM_STAT_REQUESTS) < 100)
		t_sleep_ms(1);
	asked = t_sim_stat(&noisy.sim, IOASID_SIM_STAT_REQUESTS);
	start = t_now_ns();
	for (i = 0; i < PASIDS; i++)
		slot[i] = begin(self, i, pages);
	self->quiet = 0;
	while (self->records < want && !over(self))
		if (!pump(self, &self->q))
			sched_yield();
	EXPECT_EQ(want, self->records);
	EXPECT_EQ(0, self->bad);
	EXPECT_TRUE(good(self, slot, PASIDS, pages));
	TH_LOG("%llu ms alone, %llu ms beside it", (unsigned long long)(alone / 1000000),
	       (unsigned long long)((t_now_ns() - start) / 1000000));
	/* They share an IOMMU, which has twice the work, and processors */
	if (t_time_is_exact())
		EXPECT_GE(20 * alone + 10000000000ULL, t_now_ns() - start);
	/* It went on meanwhile */
	EXPECT_LT(asked, t_sim_stat(&noisy.sim, IOASID_SIM_STAT_REQUESTS));
	EXPECT_LE(16, q.ring->head);
	t_dma_close(&noisy);
	t_queue_close(&q);
}

TEST_HARNESS_MAIN
