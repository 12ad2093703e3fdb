// SPDX-License-Identifier: GPL-2.0
/*
 * Page requests: from an endpoint of ioasid_sim to this program and back, by our
 * ring, by read() and write(), and by iommufd's fault queue, always with the same
 * commands of the same endpoint. What the endpoint and the IOMMU core need by
 * themselves is measured, too: requests that nobody is asked about. And the same
 * again with a device that costs nothing (bench/foreign), where there is one.
 * Nothing is mapped and no DMA is done, so that nothing else counts.
 */
#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "../lib/device.h"
#include "bench.h"

#define MAX_BATCH	32
#define ROUNDS		200
#define WARM_UP		20
#define QUEUE_DEPTH	256

/* How a program gets page requests, and answers */
enum way {
	NOBODY,		/* ours, without a queue: answered at once */
	RING,		/* ours, in memory, with a doorbell */
	READ_WRITE,	/* ours */
	PEER,		/* iommufd: read() and write() are all that it has */
};

struct faults {
	struct bed bed;
	enum way way;
	bool bare;			/* the foreign device, no endpoint */
	u64 answered;			/* of the foreign device, as it should be */
	struct t_sim sim;
	struct t_queue q;
	int fault_fd;			/* of iommufd */
	u64 cookies[MAX_BATCH];		/* groups that wait for an answer */
	u64 takes;			/* times that something was there */
};

/* --- the endpoint ----------------------------------------------------------- */

/* Slot @i asks for one page, and ends when that is answered */
static void prepare_slot(struct t_sim *sim, u32 i)
{
	struct ioasid_sim_page_request *page = t_sim_buffer(sim, i * sizeof(*page));
	struct ioasid_sim_command *cmd = t_sim_command(sim, i);

	*page = (struct ioasid_sim_page_request){ .iova = BENCH_IOVA + i * T_PAGE };
	*cmd = (struct ioasid_sim_command){
		.opcode = IOASID_SIM_OP_REQUEST,
		.length = sizeof(*page),
		.buffer = i * sizeof(*page),
	};
}

static void ring_slots(struct t_sim *sim, u32 nr)
{
	static u32 slots[MAX_BATCH];
	u32 i;

	for (i = 0; i < nr; i++)
		slots[i] = i;
	MUST(t_sim_ring(sim, slots, nr));
}

static u64 bare_answers(struct faults *f)
{
	u64 nr;

	if (read(f->bed.vfio.device, &nr, sizeof(nr)) != sizeof(nr))
		bench_die("the foreign device: %s", strerror(errno));
	return nr;
}

static void request(struct faults *f, u32 nr)
{
	if (!f->bare)
		ring_slots(&f->sim, nr);
	else if (write(f->bed.vfio.device, &nr, sizeof(nr)) != sizeof(nr))
		bench_die("the foreign device: %s", strerror(errno));
}

/* The endpoint counts the ends of commands in an eventfd */
static void wait_for_slots(struct faults *f, u32 nr)
{
	struct pollfd p = { .fd = f->sim.done, .events = POLLIN };
	u64 ended = 0, n;

	while (ended < nr) {
		if (poll(&p, 1, 10000) != 1 || read(f->sim.done, &n, sizeof(n)) != sizeof(n))
			bench_die("%s: a page request was not answered", f->bed.side->name);
		ended += n;
	}
}

static void check_answers(struct faults *f, u32 nr)
{
	u32 wanted = f->way == NOBODY ? IOASID_SIM_DENIED : IOASID_SIM_OK, i;

	f->answered += nr;
	if (f->bare && bare_answers(f) != f->answered)
		bench_die("%s: a page request was not answered", f->bed.side->name);
	for (i = 0; i < nr && !f->bare; i++)
		if (t_sim_completion(&f->sim, i)->status != wanted)
			bench_die("%s: a page request has ended with status %u",
				  f->bed.side->name, t_sim_completion(&f->sim, i)->status);
}

/* --- reading, and answering --------------------------------------------------- */

/* How many groups there are, at least one: their cookies */
static u32 take_ring(struct faults *f)
{
	struct pollfd p = { .fd = f->q.fd, .events = POLLIN };
	u32 tail = f->q.ring->tail, head, n = 0;

	head = __atomic_load_n(&f->q.ring->head, __ATOMIC_ACQUIRE);
	if (head == tail) {
		if (poll(&p, 1, 10000) != 1)
			bench_die("no page request came");
		head = __atomic_load_n(&f->q.ring->head, __ATOMIC_ACQUIRE);
	}
	for (; tail != head; tail++)
		f->cookies[n++] = f->q.records[tail % QUEUE_DEPTH].cookie;
	__atomic_store_n(&f->q.ring->tail, tail, __ATOMIC_RELEASE);
	return n;
}

static void answer_ring(struct faults *f, u32 nr)
{
	struct ioasid_fault_doorbell bell = { .size = sizeof(bell) };
	u32 head = f->q.ring->response_head, i;

	for (i = 0; i < nr; i++, head++)
		f->q.responses[head % QUEUE_DEPTH] = (struct ioasid_fault_response){
			.cookie = f->cookies[i], .code = IOASID_FAULT_SUCCESS,
		};
	__atomic_store_n(&f->q.ring->response_head, head, __ATOMIC_RELEASE);
	MUST(t_ioctl(f->q.fd, IOASID_FAULT_DOORBELL, &bell));
	if (bell.done != nr)
		bench_die("%u of %u answers were taken", bell.done, nr);
}

static u32 take_read(struct faults *f)
{
	struct ioasid_fault_record r[MAX_BATCH];
	ssize_t len = read(f->q.fd, r, sizeof(r));
	u32 n;

	if (len <= 0)
		bench_die("reading records: %s", strerror(errno));
	for (n = 0; n < len / sizeof(r[0]); n++)
		f->cookies[n] = r[n].cookie;
	return n;
}

static void answer_write(struct faults *f, u32 nr)
{
	struct ioasid_fault_response r[MAX_BATCH] = { 0 };
	u32 i;

	for (i = 0; i < nr; i++)
		r[i].cookie = f->cookies[i];
	if (write(f->q.fd, r, nr * sizeof(r[0])) != (ssize_t)(nr * sizeof(r[0])))
		bench_die("writing answers: %s", strerror(errno));
}

static u32 take(struct faults *f)
{
	u32 n;

	f->takes++;
	if (f->way == RING)
		return take_ring(f);
	if (f->way == READ_WRITE)
		return take_read(f);
	n = iommufd_fault_take(f->fault_fd, f->cookies, MAX_BATCH);
	if (!n)
		bench_die("no page request came");
	return n;
}

static void answer(struct faults *f, u32 nr)
{
	if (f->way == RING)
		answer_ring(f, nr);
	else if (f->way == READ_WRITE)
		answer_write(f, nr);
	else
		iommufd_fault_answer(f->fault_fd, f->cookies, nr);
}

/* --- what is measured ------------------------------------------------------------ */

static void open_faults(struct faults *f, const struct side *side, const char *name, enum way way)
{
	u32 i;

	memset(f, 0, sizeof(*f));
	f->way = way;
	f->bare = !strcmp(name, FOREIGN);
	bed_open_on(&f->bed, side, name, false);
	if (way == PEER) {
		f->fault_fd = iommufd_attach_faults(&f->bed);
	} else {
		MUST(t_alloc_faults(f->bed.ctx, &f->bed.ioasid));
		MUST(t_vfio_attach(&f->bed.vfio, f->bed.ctx, f->bed.ioasid, 0));
	}
	if (way == RING || way == READ_WRITE) {
		MUST(t_queue_open(&f->q, f->bed.ctx,
				  &(struct ioasid_fault_queue){ .depth = QUEUE_DEPTH,
								.eventfd = -1 }));
		MUST(t_fault_bind(f->bed.ctx, f->bed.ioasid, 0, 0, f->q.id));
	}
	if (f->bare) {
		f->answered = bare_answers(f);
		return;
	}
	MUST(t_sim_start(&f->sim, f->bed.vfio.device, f->bed.vfio.config, f->bed.vfio.bar));
	for (i = 0; i < MAX_BATCH; i++)
		prepare_slot(&f->sim, i);
}

static void close_faults(struct faults *f)
{
	t_queue_close(&f->q);
	if (f->way == PEER)
		close(f->fault_fd);
	if (!f->bare)
		t_sim_stop(&f->sim);
	bed_close(&f->bed);
}

/* @nr requests at the same time: ns from their start until all have ended */
static u64 round_trip(struct faults *f, u32 nr)
{
	u64 start = t_now_ns(), end;
	u32 left = nr, n;

	request(f, nr);
	while (f->way != NOBODY && left) {
		n = take(f);
		answer(f, n);
		left -= n;
	}
	if (!f->bare)
		wait_for_slots(f, nr);
	end = t_now_ns();
	check_answers(f, nr);
	return end - start;
}

/* The mean of all rounds, for each request */
static u64 rounds(const struct side *side, const char *name, enum way way, u32 batch, u64 *takes)
{
	struct faults f;
	u64 sum = 0;
	u32 i;

	open_faults(&f, side, name, way);
	for (i = 0; i < WARM_UP; i++)
		round_trip(&f, batch);
	f.takes = 0;
	for (i = 0; i < ROUNDS; i++)
		sum += round_trip(&f, batch);
	if (takes)
		*takes = f.takes;
	close_faults(&f);
	return sum / ROUNDS / batch;
}

static void fault_row(const struct side *side, const char *name, enum way way, const char *row,
		      u32 batch)
{
	u64 takes, ns = rounds(side, name, way, batch, &takes);
	char text[96];

	sample(side, "us", ns, "%s-%u", row, batch);
	snprintf(text, sizeof(text), "the program took %u requests in %llu turns",
		 batch * ROUNDS, (unsigned long long)takes);
	if (way != PEER)
		note(text, "%s-%u", row, batch);
}

static void fault_rows(const struct side *side, const char *name, const char *prefix, u32 batch)
{
	bool ours = side->kind == VIA_IOASID;
	char ring[32], rw[32];

	snprintf(ring, sizeof(ring), "%s-ring", prefix);
	snprintf(rw, sizeof(rw), "%s-rw", prefix);
	fault_row(side, name, ours ? RING : PEER, ring, batch);
	fault_row(side, name, ours ? READ_WRITE : PEER, rw, batch);
	if (ours)
		sample(side, "us", rounds(side, name, NOBODY, batch, NULL), "%s-refused-%u",
		       prefix, batch);
}

/* Endpoints have no interrupts that could be isolated; nor has a machine of only these */
void allow_endpoint(const struct side *side, bool yes)
{
	if (!t_on_sim())
		allow_unsafe(side, yes ? "1" : "0");
}

void measure_faults(struct bench *b, const struct side *side)
{
	const char *name = t_sim_find(T_EDU, 0);

	if (side->kind == VIA_TYPE1)
		return;
	allow_endpoint(side, true);
	if (name) {
		fault_rows(side, name, "fault", 1);
		fault_rows(side, name, "fault", MAX_BATCH);
	}
	if (name && device_present(FOREIGN)) {
		fault_rows(side, FOREIGN, "fault-bare", 1);
		fault_rows(side, FOREIGN, "fault-bare", MAX_BATCH);
	}
	allow_endpoint(side, false);
}

void profile_faults(const struct side *side, bool ring)
{
	static struct faults f;
	enum way way = side->kind == VIA_IOMMUFD ? PEER : ring ? RING : READ_WRITE;

	if (!f.bed.side) {
		allow_endpoint(side, true);
		open_faults(&f, side, FOREIGN, way);
	}
	round_trip(&f, MAX_BATCH);
}
