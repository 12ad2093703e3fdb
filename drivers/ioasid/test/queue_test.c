// SPDX-License-Identifier: GPL-2.0
/*
 * The ring of a fault queue against a simple list: place, number and ownership of
 * records, invalid indices of the user, all around the wrap of the indices.
 * fault_test.c tests page requests and responses.
 */
#include <linux/file.h>
#include <linux/mman.h>
#include <linux/poll.h>
#include <linux/resource.h>
#include <linux/sched/signal.h>
#include "../queue.h"
#include "test.h"

#define DEPTH	16

/**
 * struct ring - the ring, and its expected state
 * @it: the context
 * @tq: the queue
 * @made: number of records put
 * @shown: number of records published
 * @taken: number of records read by the user
 */
struct ring {
	struct itest *it;
	struct itest_queue tq;
	u64 made;
	u64 shown;
	u64 taken;
};

static struct ring *new_ring(struct kunit *test, u32 at)
{
	static const struct ioasid_fault_queue args = { .depth = DEPTH };
	struct ring *r = kunit_kzalloc(test, sizeof(*r), GFP_KERNEL);
	struct ioasid_queue *q;

	KUNIT_ASSERT_NOT_NULL(test, r);
	itest_memory(test);
	r->it = itest_open(test);
	itest_queue_open(r->it, &r->tq, &args);
	q = r->tq.q;
	q->head = at;
	q->published = at;
	q->response_tail = at;
	q->ring->head = at;
	q->ring->tail = at;
	q->ring->response_head = at;
	q->ring->response_tail = at;
	return r;
}

static bool readable(struct ring *r)
{
	return r->tq.file->f_op->poll(r->tq.file, NULL) & EPOLLIN;
}

/**
 * struct waiter - somebody who waits for records
 * @entry: in the queue
 * @woken: how often
 * @by: who has woken it
 */
struct waiter {
	struct wait_queue_entry entry;
	u32 woken;
	struct task_struct *by;
};

static int waiter_woken(struct wait_queue_entry *entry, unsigned int mode,
			int flags, void *key)
{
	struct waiter *w = container_of(entry, struct waiter, entry);

	w->woken++;
	w->by = current;
	return 0;
}

/* Whoever brings a record wakes a few, and has others do it if there are many */
static void many_waiters(struct kunit *test)
{
	struct waiter *w = kunit_kcalloc(test, 64, sizeof(*w), GFP_KERNEL);
	struct ring *r = new_ring(test, 0);
	struct ioasid_queue *q = r->tq.q;
	u32 nr, i;

	KUNIT_ASSERT_NOT_NULL(test, w);
	for (nr = 1; nr <= 64; nr++) {
		init_waitqueue_func_entry(&w[nr - 1].entry, waiter_woken);
		add_wait_queue(&q->wait, &w[nr - 1].entry);
		spin_lock(&q->lock);
		ioasid_queue_publish(q);
		spin_unlock(&q->lock);
		for (i = 0; i < nr && nr <= 4; i++)
			KUNIT_EXPECT_PTR_EQ(test, w[i].by, current);
		flush_work(&q->wake);
		for (i = 0; i < nr; i++) {
			KUNIT_EXPECT_EQ(test, w[i].woken, nr - i);
			KUNIT_EXPECT_EQ(test, w[i].by == current, nr <= 4);
		}
	}
	for (i = 0; i < 64; i++)
		remove_wait_queue(&q->wait, &w[i].entry);
	itest_queue_close(r->it, &r->tq);
	itest_close(r->it);
}

/* A test that is aborted must not leave the lock held, which the release takes */
static u32 room(struct ring *r)
{
	struct ioasid_queue *q = r->tq.q;
	u32 nr;

	spin_lock(&q->lock);
	nr = ioasid_queue_room(q);
	spin_unlock(&q->lock);
	return nr;
}

/* Exactly as many records as there is room for */
static void put_some(struct kunit *test, struct ring *r, struct rnd_state *rnd)
{
	struct ioasid_queue *q = r->tq.q;
	struct ioasid_fault_record record = {};
	u32 nr = itest_below(rnd, DEPTH + 2);
	bool early;

	KUNIT_ASSERT_EQ(test, room(r), DEPTH - (r->made - r->taken));
	spin_lock(&q->lock);
	while (nr-- && ioasid_queue_room(q)) {
		record.cookie = r->made++;
		ioasid_queue_put_record(q, &record);
	}
	/* Not visible before they are published, so that a group is visible as a whole */
	early = readable(r) != (r->shown != r->taken);
	if (itest_below(rnd, 4)) {
		ioasid_queue_publish(q);
		r->shown = r->made;
	}
	spin_unlock(&q->lock);
	KUNIT_ASSERT_FALSE(test, early);
}

static void check_record(struct kunit *test, struct ring *r,
			 const struct ioasid_fault_record *record)
{
	KUNIT_ASSERT_EQ(test, record->cookie, r->taken);
	r->taken++;
}

static void read_some(struct kunit *test, struct ring *r, struct rnd_state *rnd)
{
	struct ioasid_fault_record *got;
	u32 nr = 1 + itest_below(rnd, 20), i;
	u64 want = min_t(u64, nr, r->shown - r->taken);
	size_t size = sizeof(*got);
	ssize_t n;

	/* A part of a record is not read */
	n = itest_queue_read(&r->tq, ITEST_VEC, nr * size +
			     itest_below(rnd, size));
	if (!want) {
		KUNIT_ASSERT_EQ(test, n, (ssize_t)-EAGAIN);
		return;
	}
	KUNIT_ASSERT_EQ(test, n, (ssize_t)(want * size));
	got = kunit_kmalloc(test, n, GFP_KERNEL);
	KUNIT_ASSERT_NOT_NULL(test, got);
	itest_get_user(test, got, ITEST_VEC, n);
	for (i = 0; i < want; i++)
		check_record(test, r, &got[i]);
	kunit_kfree(test, got);
}

/* Reads as a program that has mapped the ring */
static void take_some(struct kunit *test, struct ring *r, struct rnd_state *rnd)
{
	struct ioasid_fault_ring *ring = r->tq.q->ring;
	const struct ioasid_fault_record *records = r->tq.q->records;
	u32 nr = itest_below(rnd, 4), tail = ring->tail, head;

	/* Pairs with ioasid_queue_publish() */
	head = smp_load_acquire(&ring->head);
	KUNIT_ASSERT_EQ(test, head - tail, (u32)(r->shown - r->taken));
	for (; nr && tail != head; nr--, tail++)
		check_record(test, r, &records[tail % DEPTH]);
	/* Pairs with ioasid_queue_room() */
	smp_store_release(&ring->tail, tail);
}

/* An invalid index of the user counts as a full ring */
static void scribble(struct kunit *test, struct ring *r, struct rnd_state *rnd)
{
	struct ioasid_queue *q = r->tq.q;
	u32 tail = q->ring->tail, head = q->ring->head;

	q->ring->tail = itest_below(rnd, 2) ? q->head + 1 + itest_below(rnd, 99) :
					      q->head - DEPTH - 1;
	q->ring->head = prandom_u32_state(rnd);
	KUNIT_ASSERT_EQ(test, room(r), 0U);
	if (q->published - q->ring->tail > DEPTH)
		KUNIT_ASSERT_EQ(test, itest_queue_read(&r->tq, ITEST_VEC, 4096),
				(ssize_t)-EINVAL);
	q->ring->tail = tail;
	q->ring->head = head;
}

static void random_ring(struct kunit *test)
{
	struct ring *r = new_ring(test, U32_MAX - 100);
	struct rnd_state rnd;
	u32 i;

	itest_seed(test, &rnd);
	for (i = 0; i < itest_rounds(20000); i++) {
		switch (itest_below(&rnd, 8)) {
		case 0 ... 2:
			put_some(test, r, &rnd);
			break;
		case 3 ... 4:
			read_some(test, r, &rnd);
			break;
		case 5 ... 6:
			take_some(test, r, &rnd);
			break;
		default:
			scribble(test, r, &rnd);
		}
		KUNIT_ASSERT_EQ(test, readable(r), r->shown != r->taken);
	}
	KUNIT_EXPECT_GT(test, r->made, 200ULL);
}

/*
 * Responses with invalid cookies: each is counted, the first one is reported, and
 * the ring is empty afterwards, also if the indices wrap. More than fit into the
 * ring fail as a whole.
 */
static void random_doorbells(struct kunit *test)
{
	struct ring *r = new_ring(test, U32_MAX - 50);
	struct ioasid_queue *q = r->tq.q;
	struct ioasid_fault_doorbell bell;
	struct rnd_state rnd;
	u32 i, k, nr, tail;
	int rc;

	itest_seed(test, &rnd);
	for (i = 0; i < itest_rounds(2000); i++) {
		tail = q->ring->response_tail;
		nr = itest_below(&rnd, DEPTH + 4);
		for (k = 0; k < nr; k++)
			q->responses[(tail + k) % DEPTH] =
				(struct ioasid_fault_response) {
					.cookie = k + 1000,
					.code = k % 2 ? 0 : 3,
				};
		q->ring->response_head = tail + nr;
		bell = (struct ioasid_fault_doorbell) { .size = sizeof(bell) };
		itest_put_user(test, ITEST_ARG, &bell, sizeof(bell));
		rc = r->tq.file->f_op->unlocked_ioctl(r->tq.file,
						      IOASID_FAULT_DOORBELL,
						      ITEST_ARG);
		KUNIT_ASSERT_EQ(test, rc, nr > DEPTH ? -EINVAL : 0);
		itest_get_user(test, &bell, ITEST_ARG, sizeof(bell));
		KUNIT_ASSERT_EQ(test, bell.done, 0U);
		KUNIT_ASSERT_EQ(test, bell.failed, nr > DEPTH ? 0U : nr);
		KUNIT_ASSERT_EQ(test, q->ring->response_tail,
				tail + bell.failed);
		if (bell.failed) {
			KUNIT_ASSERT_EQ(test, bell.first_cookie, 1000ULL);
			KUNIT_ASSERT_EQ(test, bell.first_error, (u32)EINVAL);
		}
	}
}

/* Errors of the file */
static void file_operations(struct kunit *test)
{
	struct ring *r = new_ring(test, 0);
	const struct file_operations *fops = r->tq.file->f_op;
	struct ioasid_fault_record record = {};
	struct ioasid_fault_response a[40] = {};
	u32 small = sizeof(struct ioasid_fault_doorbell) - 4;
	struct {
		struct ioasid_fault_doorbell bell;
		u64 tail;
	} large = { .bell.size = sizeof(large) };

	KUNIT_EXPECT_EQ(test, itest_queue_read(&r->tq, ITEST_VEC,
					       sizeof(record) - 1),
			(ssize_t)-EINVAL);
	KUNIT_EXPECT_EQ(test, itest_queue_read(&r->tq, ITEST_VEC, 4096),
			(ssize_t)-EAGAIN);
	spin_lock(&r->tq.q->lock);
	ioasid_queue_put_record(r->tq.q, &record);
	ioasid_queue_publish(r->tq.q);
	spin_unlock(&r->tq.q->lock);
	KUNIT_EXPECT_EQ(test, itest_queue_read(&r->tq, ITEST_HOLE, 4096),
			(ssize_t)-EFAULT);
	/* The record is not lost */
	KUNIT_EXPECT_EQ(test, itest_queue_read(&r->tq, ITEST_VEC, 4096),
			(ssize_t)sizeof(record));
	KUNIT_EXPECT_EQ(test, itest_queue_write(&r->tq, ITEST_VEC, 0),
			(ssize_t)-EINVAL);
	KUNIT_EXPECT_EQ(test, itest_queue_write(&r->tq, ITEST_VEC, 17),
			(ssize_t)-EINVAL);
	KUNIT_EXPECT_EQ(test, itest_queue_write(&r->tq, ITEST_HOLE, 16),
			(ssize_t)-EFAULT);
	itest_put_user(test, ITEST_VEC, a, sizeof(a));
	KUNIT_EXPECT_EQ(test, itest_queue_write(&r->tq, ITEST_VEC, sizeof(a)),
			(ssize_t)-ENOENT);
	KUNIT_EXPECT_EQ(test, fops->unlocked_ioctl(r->tq.file, IOASID_FAULT_BIND,
						   ITEST_ARG), (long)-ENOTTY);
	KUNIT_EXPECT_EQ(test, fops->unlocked_ioctl(r->tq.file,
						   IOASID_FAULT_DOORBELL,
						   ITEST_HOLE), (long)-EFAULT);
	KUNIT_EXPECT_EQ(test, fops->unlocked_ioctl(r->tq.file,
						   IOASID_FAULT_DOORBELL,
						   ITEST_RO), (long)-EINVAL);
	itest_put_user(test, ITEST_ARG, &small, sizeof(small));
	KUNIT_EXPECT_EQ(test, fops->unlocked_ioctl(r->tq.file,
						   IOASID_FAULT_DOORBELL,
						   ITEST_ARG), (long)-EINVAL);
	itest_put_user(test, ITEST_ARG, &large, sizeof(large));
	KUNIT_EXPECT_EQ(test, fops->unlocked_ioctl(r->tq.file,
						   IOASID_FAULT_DOORBELL,
						   ITEST_ARG), 0L);
	large.tail = 1;
	itest_put_user(test, ITEST_ARG, &large, sizeof(large));
	KUNIT_EXPECT_EQ(test, fops->unlocked_ioctl(r->tq.file,
						   IOASID_FAULT_DOORBELL,
						   ITEST_ARG), (long)-E2BIG);
	large.tail = 0;
	large.bell.flags = 1;
	itest_put_user(test, ITEST_ARG, &large, sizeof(large));
	KUNIT_EXPECT_EQ(test, fops->unlocked_ioctl(r->tq.file,
						   IOASID_FAULT_DOORBELL,
						   ITEST_ARG), (long)-EOPNOTSUPP);
}

static u64 map_ring(struct kunit *test, struct ring *r, u64 offset, u64 length,
		    int flags)
{
	return kunit_vm_mmap(test, r->tq.file, 0, length,
			     PROT_READ | PROT_WRITE, flags, offset);
}

/* The ring can be mapped shared, and not a page more */
static void ring_is_mapped(struct kunit *test)
{
	struct ring *r = new_ring(test, 0);
	u64 bytes = PAGE_ALIGN(IOASID_FAULT_RECORDS + DEPTH *
			       (sizeof(struct ioasid_fault_record) +
				sizeof(struct ioasid_fault_response)));
	struct ioasid_fault_ring ring;
	u32 tail = 7;
	u64 at;

	KUNIT_EXPECT_TRUE(test, IS_ERR_VALUE(map_ring(test, r, 0, bytes + PAGE_SIZE,
						      MAP_SHARED)));
	KUNIT_EXPECT_TRUE(test, IS_ERR_VALUE(map_ring(test, r, PAGE_SIZE, bytes,
						      MAP_SHARED)));
	KUNIT_EXPECT_TRUE(test, IS_ERR_VALUE(map_ring(test, r, bytes, PAGE_SIZE,
						      MAP_SHARED)));
	KUNIT_EXPECT_TRUE(test, IS_ERR_VALUE(map_ring(test, r, 0, bytes,
						      MAP_PRIVATE)));
	at = map_ring(test, r, 0, bytes, MAP_SHARED);
	KUNIT_ASSERT_FALSE(test, !at || IS_ERR_VALUE(at));
	itest_get_user(test, &ring, at, sizeof(ring));
	KUNIT_EXPECT_EQ(test, ring.depth, (u32)DEPTH);
	KUNIT_EXPECT_EQ(test, (u64)ring.responses, IOASID_FAULT_RECORDS + DEPTH *
			sizeof(struct ioasid_fault_record));
	itest_put_user(test, at + offsetof(struct ioasid_fault_ring, tail),
		       &tail, sizeof(tail));
	KUNIT_EXPECT_EQ(test, r->tq.q->ring->tail, 7U);
	r->tq.q->ring->tail = 0;
	/* The second page as well */
	r->tq.q->records[0].cookie = 0x1234;
	itest_get_user(test, &bytes, at + IOASID_FAULT_RECORDS +
		       offsetof(struct ioasid_fault_record, cookie),
		       sizeof(bytes));
	KUNIT_EXPECT_EQ(test, bytes, 0x1234ULL);
}

/* Each error of FAULT_QUEUE but -ENOMEM has its reason */
static void bad_queues(struct kunit *test)
{
	static const struct {
		struct ioasid_fault_queue arg;
		int err;
		u32 code;
	} bad[] = {
		{ { .depth = 0 }, -EINVAL, IOASID_REASON_VALUE },
		{ { .depth = 8 }, -EINVAL, IOASID_REASON_VALUE },
		{ { .depth = 24 }, -EINVAL, IOASID_REASON_VALUE },
		{ { .depth = 131072 }, -EINVAL, IOASID_REASON_VALUE },
		{ { .depth = 16, .max_pending = 17 }, -EINVAL, IOASID_REASON_VALUE },
		{ { .depth = 16, .deadline_ms = 60001 }, -EINVAL, IOASID_REASON_VALUE },
		{ { .depth = 16, .eventfd = 999 }, -EBADF, IOASID_REASON_FD },
		{ { .depth = 16, .eventfd = -2 }, -EBADF, IOASID_REASON_FD },
	};
	struct ioasid_fault_queue arg;
	struct itest *it;
	unsigned long id;
	void *q;
	u32 i;

	itest_memory(test);
	it = itest_open(test);
	for (i = 0; i < ARRAY_SIZE(bad); i++) {
		arg = bad[i].arg;
		ITEST_EXPECT_ERR(it, ITEST_CMD(it, IOASID_FAULT_QUEUE, &arg),
				 bad[i].err, bad[i].code);
	}
	/* A file that is not an eventfd */
	arg = (struct ioasid_fault_queue) { .depth = 16, .eventfd = itest_fd(it) };
	ITEST_EXPECT_ERR(it, ITEST_CMD(it, IOASID_FAULT_QUEUE, &arg), -EINVAL,
			 IOASID_REASON_FD);
	/* No file descriptor is left */
	current->signal->rlim[RLIMIT_NOFILE].rlim_cur = 0;
	arg = (struct ioasid_fault_queue) { .depth = 16, .eventfd = -1 };
	ITEST_EXPECT_ERR(it, ITEST_CMD(it, IOASID_FAULT_QUEUE, &arg), -EMFILE,
			 IOASID_REASON_LIMIT);
	xa_for_each(&it->ctx->queues, id, q)
		KUNIT_FAIL(test, "a queue is left");
	KUNIT_EXPECT_EQ(test, 0, atomic_read(&it->ctx->nr_records));
}

/* The smallest limits there are: one group of one record */
static void smallest_queue(struct kunit *test)
{
	static const struct ioasid_fault_queue args = {
		.depth = 16, .max_pending = 1,
	};
	struct itest_queue tq;
	struct itest *it;

	itest_memory(test);
	it = itest_open(test);
	itest_queue_open(it, &tq, &args);
	KUNIT_EXPECT_EQ(test, tq.q->max_per_device, 1U);
	KUNIT_EXPECT_EQ(test, tq.q->max_per_pasid, 1U);
	KUNIT_EXPECT_GT(test, tq.q->share_bits, 0U);
	itest_queue_close(it, &tq);
}

/* A queue can outlive its file, keeps the context, and accepts nothing any more */
static void queue_and_context(struct kunit *test)
{
	struct ring *r = new_ring(test, 0);
	struct ioasid_ctx *ctx = r->it->ctx;
	struct ioasid_queue *q = r->tq.q;

	KUNIT_EXPECT_EQ(test, kref_read(&ctx->ref), 2U);
	KUNIT_EXPECT_PTR_EQ(test, ioasid_queue_try(ctx, r->tq.id), q);
	kref_get(&ctx->ref);
	itest_queue_close(r->it, &r->tq);
	KUNIT_EXPECT_TRUE(test, q->dead);
	KUNIT_EXPECT_NULL(test, ioasid_queue_try(ctx, q->id));
	KUNIT_EXPECT_EQ(test, kref_read(&q->obj.ref), 1U);
	ioasid_queue_put(q);
	KUNIT_EXPECT_EQ(test, kref_read(&ctx->ref), 2U);
	sva_put(ctx);
}

static struct kunit_case ioasid_queue_cases[] = {
	KUNIT_CASE(many_waiters),
	KUNIT_CASE(random_ring),
	KUNIT_CASE(random_doorbells),
	KUNIT_CASE(file_operations),
	KUNIT_CASE(ring_is_mapped),
	KUNIT_CASE(bad_queues),
	KUNIT_CASE(smallest_queue),
	KUNIT_CASE(queue_and_context),
	{}
};

static struct kunit_suite ioasid_queue_suite = {
	.name = "ioasid_queue",
	.test_cases = ioasid_queue_cases,
};
kunit_test_suite(ioasid_queue_suite);
