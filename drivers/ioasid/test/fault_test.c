// SPDX-License-Identifier: GPL-2.0
/*
 * Page requests from the device to the user and back, against a model of their
 * queues, the room there and the pending groups: every request is answered exactly
 * once, with the right code, and everything that a queue has no room for is counted.
 * The fake IOMMU detects a response without a request, and a device that is removed
 * with pending requests.
 */
#include <linux/delay.h>
#include <linux/sizes.h>
#include "../queue.h"
#include "test.h"

#define NR_DEVICES	2
#define NR_SPACES	2
#define NR_LINKS	3
#define NR_QUEUES	2
#define NR_GROUPS	3000
#define NOBODY		(-1)	/* bound to no queue */
#define DEAD		(-2)	/* bound to a queue that was closed */
#define VPASID		77

static const struct itest_device_conf confs[NR_DEVICES] = {
	{ .group = 0, .pasid_bits = 8, .pri = true },
	{ .group = 1, .pri = true },
};

/* Device, number of the PASID, and space of each attachment */
static const struct {
	u32 dev;
	u32 number;
	u32 space;
} dev_pasids[NR_LINKS] = {
	{ 0, IOASID_RID, 0 },
	{ 0, VPASID, 1 },
	{ 1, IOASID_RID, 0 },
};

static const struct ioasid_fault_queue queue_args[NR_QUEUES] = {
	{ .depth = 16, .max_pending = 12, .max_per_device = 8, .max_per_pasid = 5,
	  .deadline_ms = 60000 },
	{ .depth = 32, .max_pending = 20, .deadline_ms = 60000 },
};

/**
 * struct asked - a group of page requests
 * @link: index in @dev_pasids of the attachment that sent it
 * @queue: the queue in which it is pending, or NOBODY if it was answered
 * @home: the queue in which it was pending
 * @nr: number of pages
 * @cookie: cookie in its records, 0 if they were not read
 * @answer: the expected response
 */
struct asked {
	u32 link;
	int queue;
	int home;
	u32 nr;
	u64 cookie;
	int answer;
};

/**
 * struct expected - an expected record
 * @type: enum ioasid_fault_type
 * @link: index in @dev_pasids
 * @group: REQUEST: the group
 * @page: REQUEST: index of the page in the group
 * @nr: as in the record
 */
struct expected {
	u32 type;
	u32 link;
	u32 group;
	u32 page;
	u32 nr;
};

/**
 * struct model - the expected state
 * @it: the context
 * @dev: devices
 * @dev_id: their ids
 * @space: spaces
 * @pasid: the real PASID of the second link, while it is attached
 * @attached: attachments that exist
 * @waiting: number of records of pending groups of an attachment in a queue
 * @by_device: the same of a device
 * @by_link: queue that an attachment is bound to
 * @by_space: queue that a space is bound to
 * @tq: queues
 * @record: records in a queue that were not read yet
 * @nr_records: number of @record
 * @pending: number of pending groups of a queue
 * @nr_pending: number of their records
 * @lost: number of groups without room that no LOST record has reported yet
 * @lost_events: number of events without room that no LOST record has reported yet
 * @group: all groups
 * @nr_groups: number of @group
 * @first: index of the first group that may be pending
 * @reported: number of groups that LOST records have reported
 * @dropped: number of groups without room
 */
struct model {
	struct itest *it;
	struct device *dev[NR_DEVICES];
	u32 dev_id[NR_DEVICES];
	u32 space[NR_SPACES];
	u32 pasid;
	bool attached[NR_LINKS];
	u32 waiting[NR_QUEUES][NR_LINKS];
	u32 by_device[NR_QUEUES][NR_DEVICES];
	int by_link[NR_LINKS];
	int by_space[NR_SPACES];
	struct itest_queue tq[NR_QUEUES];
	struct expected record[NR_QUEUES][32];
	u32 nr_records[NR_QUEUES];
	u32 pending[NR_QUEUES];
	u32 nr_pending[NR_QUEUES];
	u32 lost[NR_QUEUES];
	u32 lost_events[NR_QUEUES];
	struct asked group[NR_GROUPS];
	u32 nr_groups;
	u32 first;
	u32 reported;
	u32 dropped;
};

static u64 page_of(u32 group, u32 page)
{
	return (u64)group * SZ_64K + page * PAGE_SIZE;
}

static u32 real(struct model *m, u32 l)
{
	return dev_pasids[l].number == IOASID_RID ? IOASID_RID : m->pasid;
}

static void attach(struct model *m, u32 l)
{
	u32 pasid = dev_pasids[l].number == IOASID_RID ? IOASID_RID :
							 IOASID_PASID_ANY;
	u32 vpasid = dev_pasids[l].number;

	KUNIT_ASSERT_EQ_MSG(m->it->test,
			    itest_attach(m->it, m->dev_id[dev_pasids[l].dev],
					 m->space[dev_pasids[l].space], &pasid,
					 vpasid, 0),
			    0, "%s", m->it->ext.msg);
	if (vpasid)
		m->pasid = pasid;
	m->attached[l] = true;
}

static struct model *new_model(struct kunit *test)
{
	struct model *m = kvzalloc(sizeof(*m), GFP_KERNEL);
	struct itest_iommu *fake;
	u32 i;

	KUNIT_ASSERT_NOT_NULL(test, m);
	itest_memory(test);
	fake = itest_iommu_new(test);
	for (i = 0; i < NR_DEVICES; i++)
		m->dev[i] = itest_device_new(test, fake, &confs[i]);
	m->it = itest_open(test);
	for (i = 0; i < NR_SPACES; i++) {
		m->space[i] = itest_alloc_kind(m->it, IOASID_KIND_MAPPED,
					       IOASID_ALLOC_FAULTS);
		m->by_space[i] = NOBODY;
	}
	for (i = 0; i < NR_DEVICES; i++)
		m->dev_id[i] = itest_bind_device(m->it, m->dev[i]);
	for (i = 0; i < NR_QUEUES; i++)
		itest_queue_open(m->it, &m->tq[i], &queue_args[i]);
	for (i = 0; i < NR_LINKS; i++) {
		m->by_link[i] = NOBODY;
		attach(m, i);
	}
	return m;
}

/* --- the model of a queue ---------------------------------------------------- */

static u32 room(struct model *m, int q)
{
	return queue_args[q].depth - m->nr_records[q];
}

static void expect(struct model *m, int q, u32 type, u32 l, u32 group, u32 page,
		   u32 nr)
{
	m->record[q][m->nr_records[q]++] = (struct expected) {
		type, l, group, page, nr,
	};
}

static bool report_lost(struct model *m, int q)
{
	if (!m->lost[q] && !m->lost_events[q])
		return true;
	if (!room(m, q))
		return false;
	expect(m, q, IOASID_FAULT_LOST, 0, 0, 0, m->lost[q]);
	m->lost[q] = 0;
	m->lost_events[q] = 0;
	return true;
}

static void report_detached(struct model *m, int q, u32 l, u32 nr)
{
	/* A LOST record that is due needs room itself */
	if (room(m, q) <= (m->lost[q] || m->lost_events[q])) {
		m->lost_events[q]++;
		return;
	}
	report_lost(m, q);
	expect(m, q, IOASID_FAULT_DETACHED, l, 0, 0, nr);
}

static bool fits(struct model *m, int q, u32 l, u32 nr)
{
	u32 max = queue_args[q].max_pending;
	u32 per_device = queue_args[q].max_per_device ?: max;
	u32 per_pasid = queue_args[q].max_per_pasid ?: per_device;

	return m->nr_pending[q] + nr <= max &&
	       m->by_device[q][dev_pasids[l].dev] + nr <= per_device &&
	       m->waiting[q][l] + nr <= per_pasid && report_lost(m, q) &&
	       room(m, q) >= nr;
}

static void answered(struct model *m, struct asked *g, int code)
{
	m->pending[g->queue]--;
	m->nr_pending[g->queue] -= g->nr;
	m->waiting[g->queue][g->link] -= g->nr;
	m->by_device[g->queue][dev_pasids[g->link].dev] -= g->nr;
	g->queue = NOBODY;
	g->answer = code;
}

static void model_ask(struct model *m, u32 n)
{
	struct asked *g = &m->group[n];
	int q = m->by_link[g->link] != NOBODY ?
			m->by_link[g->link] :
			m->by_space[dev_pasids[g->link].space];
	u32 i;

	g->queue = NOBODY;
	g->home = q;
	g->answer = IOMMU_PAGE_RESP_INVALID;
	if (!m->attached[g->link] || q < 0)
		return;
	if (!fits(m, q, g->link, g->nr)) {
		m->lost[q]++;
		m->dropped++;
		if (!m->nr_records[q])
			report_lost(m, q);
		return;
	}
	for (i = 0; i < g->nr; i++)
		expect(m, q, IOASID_FAULT_REQUEST, g->link, n, i, g->nr);
	m->pending[q]++;
	m->nr_pending[q] += g->nr;
	m->waiting[q][g->link] += g->nr;
	m->by_device[q][dev_pasids[g->link].dev] += g->nr;
	g->queue = q;
	g->answer = ITEST_WAITS;
}

/* --- operations ---------------------------------------------------------------- */

static void random_ask(struct model *m, struct rnd_state *rnd)
{
	u32 n = m->nr_groups, i;
	struct asked *g = &m->group[n];
	u64 addr[4];

	if (n == NR_GROUPS)
		return;
	m->nr_groups++;
	g->link = itest_below(rnd, NR_LINKS);
	g->nr = itest_below(rnd, 3) ? 1 : 1 + itest_below(rnd, ARRAY_SIZE(addr));
	for (i = 0; i < g->nr; i++)
		addr[i] = page_of(n, i);
	model_ask(m, n);
	itest_ask(m->it->test, m->dev[dev_pasids[g->link].dev],
		  real(m, g->link), n, addr, g->nr);
}

static void check_record(struct model *m, int q, struct ioasid_fault_record *r)
{
	struct expected *e = &m->record[q][0];
	struct kunit *test = m->it->test;
	struct asked *g = &m->group[e->group];

	KUNIT_ASSERT_EQ(test, r->type, e->type);
	KUNIT_ASSERT_EQ(test, r->nr, e->nr);
	if (r->type == IOASID_FAULT_LOST) {
		m->reported += r->nr;
		return;
	}
	KUNIT_ASSERT_EQ(test, r->dev_id, m->dev_id[dev_pasids[e->link].dev]);
	KUNIT_ASSERT_EQ(test, r->pasid, dev_pasids[e->link].number);
	KUNIT_ASSERT_EQ(test, r->ioasid, m->space[dev_pasids[e->link].space]);
	KUNIT_ASSERT_EQ(test, r->device_cookie, 0xc00c1eULL);
	if (r->type != IOASID_FAULT_REQUEST)
		return;
	KUNIT_ASSERT_EQ(test, r->group, e->group);
	KUNIT_ASSERT_EQ(test, r->addr, page_of(e->group, e->page));
	KUNIT_ASSERT_EQ(test, r->flags, IOASID_FAULT_READ |
			(e->page + 1 == e->nr ? IOASID_FAULT_LAST : 0));
	if (e->page)
		KUNIT_ASSERT_EQ(test, r->cookie, g->cookie);
	g->cookie = r->cookie;
}

static void random_read(struct model *m, struct rnd_state *rnd)
{
	u32 nr = 1 + itest_below(rnd, 12), i;
	int q = itest_below(rnd, NR_QUEUES);
	struct ioasid_fault_record r;
	ssize_t n, want;

	want = min(nr, m->nr_records[q]) * sizeof(r);
	n = itest_queue_read(&m->tq[q], ITEST_VEC, nr * sizeof(r));
	KUNIT_ASSERT_EQ(m->it->test, n, want ?: -EAGAIN);
	for (i = 0; i < want / sizeof(r); i++) {
		itest_get_user(m->it->test, &r, ITEST_VEC + i * sizeof(r),
			       sizeof(r));
		check_record(m, q, &r);
		memmove(&m->record[q][0], &m->record[q][1],
			--m->nr_records[q] * sizeof(m->record[q][0]));
	}
	if (n > 0)
		report_lost(m, q);
}

/* A cookie is unique within a queue, but two queues may use the same */
static bool cookie_waits(struct model *m, int q, u64 cookie)
{
	struct ioasid_queue *queue = m->tq[q].q;
	struct ioasid_pending *p;

	list_for_each_entry(p, &queue->pending, node)
		if (ioasid_pending_cookie(queue, p) == cookie)
			return true;
	return false;
}

/* A cookie that was read: pending, answered long ago, or of another queue */
static struct asked *known_group(struct model *m, struct rnd_state *rnd)
{
	u32 first = m->first - min(m->first, 10), i, n;

	for (i = 0; m->nr_groups > first && i < 20; i++) {
		n = first + itest_below(rnd, m->nr_groups - first);
		if (m->group[n].cookie)
			return &m->group[n];
	}
	return NULL;
}

static void random_write(struct model *m, struct rnd_state *rnd)
{
	struct asked *g = known_group(m, rnd);
	int q = itest_below(rnd, NR_QUEUES), want = -ENOENT;
	u32 code = itest_below(rnd, 4);

	if (!g)
		return;
	if (g->queue >= 0 && itest_below(rnd, 8))
		q = g->queue;
	if (code > IOASID_FAULT_INVALID)
		want = -EINVAL;
	else if (g->queue == q)
		want = 0;
	else if (cookie_waits(m, q, g->cookie))
		return;
	KUNIT_ASSERT_EQ(m->it->test, itest_queue_answer(m->it, &m->tq[q],
							g->cookie, code), want);
	if (!want)
		answered(m, g, code);
	report_lost(m, q);
}

/* Several responses by the ring, some of them twice */
static void random_doorbell(struct model *m, struct rnd_state *rnd)
{
	struct ioasid_fault_doorbell bell = { .size = sizeof(bell) };
	int q = itest_below(rnd, NR_QUEUES);
	struct ioasid_queue *queue = m->tq[q].q;
	struct kunit *test = m->it->test;
	u32 head = queue->ring->response_head, done = 0, failed = 0, i;
	struct asked *g;

	for (i = 0; i < 6; i++) {
		g = known_group(m, rnd);
		if (!g || (g->queue != q && cookie_waits(m, q, g->cookie)))
			continue;
		queue->responses[head++ & (queue->depth - 1)] =
			(struct ioasid_fault_response) { .cookie = g->cookie };
		if (g->queue != q) {
			failed++;
			continue;
		}
		answered(m, g, IOMMU_PAGE_RESP_SUCCESS);
		done++;
	}
	/* Pairs with ioasid_queue_doorbell() */
	smp_store_release(&queue->ring->response_head, head);
	itest_put_user(test, ITEST_ARG, &bell, sizeof(bell));
	KUNIT_ASSERT_EQ(test, m->tq[q].file->f_op->unlocked_ioctl(
				m->tq[q].file, IOASID_FAULT_DOORBELL, ITEST_ARG),
			0L);
	itest_get_user(test, &bell, ITEST_ARG, sizeof(bell));
	KUNIT_ASSERT_EQ(test, bell.done, done);
	KUNIT_ASSERT_EQ(test, bell.failed, failed);
	KUNIT_ASSERT_EQ(test, bell.first_error, failed ? (u32)ENOENT : 0);
	report_lost(m, q);
}

static void random_bind(struct model *m, struct rnd_state *rnd)
{
	int q = (int)itest_below(rnd, NR_QUEUES + 1) - 1;
	u32 id = q < 0 ? 0 : m->tq[q].id, s, l;

	if (itest_below(rnd, 2)) {
		s = itest_below(rnd, NR_SPACES);
		KUNIT_ASSERT_EQ(m->it->test, itest_bind(m->it, m->space[s], 0, 0,
							id), 0);
		m->by_space[s] = q;
		return;
	}
	l = itest_below(rnd, NR_LINKS);
	if (m->attached[l]) {
		KUNIT_ASSERT_EQ(m->it->test,
				itest_bind(m->it, 0,
					   m->dev_id[dev_pasids[l].dev],
					   dev_pasids[l].number, id),
				0);
		m->by_link[l] = q;
	} else {
		ITEST_EXPECT_ERR(m->it,
				 itest_bind(m->it, 0,
					    m->dev_id[dev_pasids[l].dev],
					    dev_pasids[l].number, id),
				 -ENOENT, IOASID_REASON_NOT_ATTACHED);
	}
}

/* Pending groups are answered; queues that are bound or had some get DETACHED */
static void random_detach(struct model *m, struct rnd_state *rnd)
{
	u32 l = itest_below(rnd, NR_LINKS), n, nr;
	int q, bound;

	if (!m->attached[l]) {
		attach(m, l);
		return;
	}
	bound = m->by_link[l] != NOBODY ? m->by_link[l] :
					  m->by_space[dev_pasids[l].space];
	for (q = 0; q < NR_QUEUES; q++) {
		for (n = m->first, nr = 0; n < m->nr_groups; n++) {
			if (m->group[n].link != l || m->group[n].queue != q)
				continue;
			answered(m, &m->group[n], IOMMU_PAGE_RESP_INVALID);
			nr++;
		}
		if (nr || q == bound)
			report_detached(m, q, l, nr);
	}
	m->attached[l] = false;
	m->by_link[l] = NOBODY;
	KUNIT_ASSERT_EQ(m->it->test,
			itest_detach(m->it, m->dev_id[dev_pasids[l].dev],
				     dev_pasids[l].number),
			0);
}

/* A queue is closed, and another one opened */
static void random_close(struct model *m, struct rnd_state *rnd)
{
	int q = itest_below(rnd, NR_QUEUES);
	u32 i, n;

	for (n = 0; n < m->nr_groups; n++) {
		if (m->group[n].queue == q)
			answered(m, &m->group[n], IOMMU_PAGE_RESP_INVALID);
		/* The new queue uses the same cookies again */
		if (m->group[n].home == q)
			m->group[n].cookie = 0;
	}
	for (i = 0; i < NR_LINKS; i++)
		if (m->by_link[i] == q)
			m->by_link[i] = DEAD;
	for (i = 0; i < NR_SPACES; i++)
		if (m->by_space[i] == q)
			m->by_space[i] = DEAD;
	/* Unread records are lost */
	for (i = 0; i < m->nr_records[q]; i++)
		if (m->record[q][i].type == IOASID_FAULT_LOST)
			m->reported += m->record[q][i].nr;
	m->reported += m->lost[q];
	m->lost[q] = 0;
	m->lost_events[q] = 0;
	m->nr_records[q] = 0;
	itest_queue_close(m->it, &m->tq[q]);
	itest_queue_open(m->it, &m->tq[q], &queue_args[q]);
}

static void check_model(struct model *m)
{
	struct kunit *test = m->it->test;
	u32 waiting = 0, i, n;

	for (i = 0; i < NR_QUEUES; i++) {
		KUNIT_ASSERT_EQ(test, list_count_nodes(&m->tq[i].q->pending),
				(size_t)m->pending[i]);
		KUNIT_ASSERT_EQ(test, m->tq[i].q->nr_pending,
				m->nr_pending[i]);
		KUNIT_ASSERT_EQ(test, m->tq[i].q->published -
				m->tq[i].q->ring->tail, m->nr_records[i]);
		KUNIT_ASSERT_EQ(test, m->tq[i].q->lost, m->lost[i]);
		KUNIT_ASSERT_EQ(test, m->tq[i].q->lost_events,
				m->lost_events[i]);
		waiting += m->pending[i];
	}
	KUNIT_ASSERT_EQ(test, itest_waiting(m->dev[0]) +
			itest_waiting(m->dev[1]), waiting);
	for (n = m->first; n < m->nr_groups; n++)
		KUNIT_ASSERT_EQ_MSG(test,
				    itest_answer(m->dev[dev_pasids[m->group[n].link]
								.dev],
						 n),
				    m->group[n].answer, "group %u", n);
	while (m->first < m->nr_groups && m->group[m->first].queue == NOBODY)
		m->first++;
}

static void end_model(struct model *m)
{
	u32 i;

	for (i = 0; i < NR_DEVICES; i++) {
		sva_remove_device(m->it->ctx, m->dev[i]);
		KUNIT_EXPECT_EQ(m->it->test, itest_waiting(m->dev[i]), 0U);
	}
	kvfree(m);
}

static void random_faults(struct kunit *test)
{
	struct model *m = new_model(test);
	struct rnd_state rnd;
	u32 i;

	itest_seed(test, &rnd);
	for (i = 0; i < itest_rounds(4000); i++) {
		switch (itest_below(&rnd, 32)) {
		case 0 ... 13:
			random_ask(m, &rnd);
			break;
		case 14 ... 18:
			random_read(m, &rnd);
			break;
		case 19 ... 25:
			random_write(m, &rnd);
			break;
		case 26 ... 27:
			random_doorbell(m, &rnd);
			break;
		case 28 ... 29:
			random_bind(m, &rnd);
			break;
		case 30:
			random_detach(m, &rnd);
			break;
		default:
			if (!itest_below(&rnd, 4))
				random_close(m, &rnd);
		}
		check_model(m);
	}
	KUNIT_EXPECT_GE(test, m->dropped, itest_rounds(25));
	for (i = 0; i < NR_QUEUES; i++) {
		while (m->nr_records[i])
			random_read(m, &rnd);
		KUNIT_EXPECT_EQ(test, m->lost[i], 0U);
	}
	/* Each dropped group was reported */
	KUNIT_EXPECT_EQ(test, m->reported, m->dropped);
	end_model(m);
}

/* --- tests without the model ----------------------------------------------------- */

/**
 * struct one - a device whose RID is in a space with a queue
 * @fake: its IOMMU
 * @it: the context
 * @dev: the device
 * @dev_id: its id
 * @space: the space
 * @tq: the queue
 */
struct one {
	struct itest_iommu *fake;
	struct itest *it;
	struct device *dev;
	u32 dev_id;
	u32 space;
	struct itest_queue tq;
};

static void new_one(struct kunit *test, struct one *o,
		    const struct ioasid_fault_queue *args)
{
	u32 rid = IOASID_RID;

	itest_memory(test);
	o->fake = itest_iommu_new(test);
	o->dev = itest_device_new(test, o->fake, &confs[0]);
	o->it = itest_open(test);
	o->space = itest_alloc_kind(o->it, IOASID_KIND_MAPPED,
				    IOASID_ALLOC_FAULTS);
	o->dev_id = itest_bind_device(o->it, o->dev);
	KUNIT_ASSERT_EQ(test, itest_attach(o->it, o->dev_id, o->space, &rid, 0,
					   0), 0);
	itest_queue_open(o->it, &o->tq, args);
	KUNIT_ASSERT_EQ(test, itest_bind(o->it, o->space, 0, 0, o->tq.id), 0);
}

static bool next_record(struct one *o, struct ioasid_fault_record *r)
{
	if (itest_queue_read(&o->tq, ITEST_VEC, sizeof(*r)) != sizeof(*r))
		return false;
	itest_get_user(o->it->test, r, ITEST_VEC, sizeof(*r));
	return true;
}

static const u64 somewhere[] = { SZ_1M, SZ_2M };

/* Groups expire on time and in order; a later response fails */
static void deadline(struct kunit *test)
{
	static const struct ioasid_fault_queue args = {
		.depth = 16, .deadline_ms = 200,
	};
	struct ioasid_fault_record r[3];
	unsigned long start;
	struct one o;
	u32 i, n;

	new_one(test, &o, &args);
	start = jiffies;
	for (i = 0; i < 3; i++)
		itest_ask(test, o.dev, IOASID_RID, i, somewhere, 1);
	for (i = 0; i < 3; i++)
		KUNIT_ASSERT_TRUE(test, next_record(&o, &r[i]));
	/* A group that was answered in time does not expire */
	KUNIT_EXPECT_EQ(test, itest_queue_answer(o.it, &o.tq, r[1].cookie,
						 IOASID_FAULT_SUCCESS), 0);
	for (i = 0; i < 1000 && itest_waiting(o.dev); i++)
		msleep(20);
	KUNIT_EXPECT_GE(test, jiffies - start, msecs_to_jiffies(200));
	KUNIT_EXPECT_EQ(test, itest_waiting(o.dev), 0U);
	KUNIT_EXPECT_EQ(test, itest_answer(o.dev, 0), IOMMU_PAGE_RESP_INVALID);
	KUNIT_EXPECT_EQ(test, itest_answer(o.dev, 1), IOMMU_PAGE_RESP_SUCCESS);
	KUNIT_EXPECT_EQ(test, itest_answer(o.dev, 2), IOMMU_PAGE_RESP_INVALID);
	for (i = 0; i < 3; i += 2) {
		struct ioasid_fault_record t;

		/* The device gets the response before the user gets the record */
		for (n = 0; n < 1000 && !next_record(&o, &t); n++)
			msleep(20);
		KUNIT_EXPECT_EQ(test, t.type, (u32)IOASID_FAULT_TIMEOUT);
		KUNIT_EXPECT_EQ(test, t.cookie, r[i].cookie);
		KUNIT_EXPECT_EQ(test, itest_queue_answer(o.it, &o.tq, t.cookie, 0),
				-ENOENT);
	}
	sva_remove_device(o.it->ctx, o.dev);
}

static const struct ioasid_fault_queue plain_args = { .depth = 16 };

/* A cookie is never used twice, even if its entry is */
static void cookies(struct kunit *test)
{
	struct ioasid_fault_record r;
	struct one o;
	u64 old = 0;
	u32 i;

	new_one(test, &o, &plain_args);
	for (i = 0; i < 40; i++) {
		itest_ask(test, o.dev, IOASID_RID, i, somewhere, 1);
		KUNIT_ASSERT_TRUE(test, next_record(&o, &r));
		if (i) {
			KUNIT_EXPECT_NE(test, r.cookie, old);
			KUNIT_EXPECT_EQ(test, itest_queue_answer(o.it, &o.tq, old,
								 0), -ENOENT);
		}
		KUNIT_EXPECT_EQ(test, itest_queue_answer(o.it, &o.tq,
							 r.cookie + 16, 0),
				-ENOENT);
		KUNIT_EXPECT_EQ(test, itest_queue_answer(o.it, &o.tq,
							 r.cookie ^ BIT_ULL(40),
							 0), -ENOENT);
		KUNIT_EXPECT_EQ(test, itest_waiting(o.dev), 1U);
		KUNIT_EXPECT_EQ(test, itest_queue_answer(o.it, &o.tq, r.cookie,
							 0), 0);
		old = r.cookie;
	}
	sva_remove_device(o.it->ctx, o.dev);
}

/* The IOMMU core groups requests by group index alone, so PASIDs may be mixed */
static void mixed_group(struct kunit *test)
{
	struct iopf_fault evt = {
		.fault.type = IOMMU_FAULT_PAGE_REQ,
		.fault.prm = { .grpid = 5, .addr = SZ_4M },
	};
	struct ioasid_fault_record r;
	struct one o;
	u32 pasid = IOASID_PASID_ANY;

	new_one(test, &o, &plain_args);
	KUNIT_ASSERT_EQ(test, itest_attach(o.it, o.dev_id, o.space, &pasid, 0,
					   0), 0);
	/* An incomplete group of the PASID, then a complete one of the RID */
	evt.fault.prm.flags = IOMMU_FAULT_PAGE_REQUEST_PASID_VALID;
	evt.fault.prm.pasid = pasid;
	KUNIT_ASSERT_EQ(test, iommu_report_device_fault(o.dev, &evt), 0);
	itest_ask(test, o.dev, IOASID_RID, 5, somewhere, 1);
	KUNIT_EXPECT_EQ(test, itest_answer(o.dev, 5), IOMMU_PAGE_RESP_INVALID);
	KUNIT_EXPECT_FALSE(test, next_record(&o, &r));
	itest_ask(test, o.dev, IOASID_RID, 6, somewhere, 2);
	KUNIT_EXPECT_TRUE(test, next_record(&o, &r));
	sva_remove_device(o.it->ctx, o.dev);
	KUNIT_EXPECT_EQ(test, itest_answer(o.dev, 6), IOMMU_PAGE_RESP_INVALID);
}

/* Bindings that fail: without page requests, or without what they name */
static void bad_bindings(struct kunit *test)
{
	static const struct itest_device_conf no_pri = { .group = 1 };
	struct ioasid_fault_bind policy = { .policy = IOASID_FAULT_REFUSE };
	struct ioasid_fault_bind arg = { .__reserved = 1 };
	u32 plain, dev_id, rid = IOASID_RID;
	struct device *dev;
	struct one o;

	new_one(test, &o, &plain_args);
	plain = itest_alloc_space(o.it);
	policy.ioasid = plain;
	ITEST_EXPECT_ERR(o.it, ITEST_CMD(o.it, IOASID_FAULT_BIND, &policy),
			 -EINVAL, IOASID_REASON_KIND);
	ITEST_EXPECT_ERR(o.it, itest_bind(o.it, 0, 0, 0, o.tq.id), -EINVAL,
			 IOASID_REASON_VALUE);
	ITEST_EXPECT_ERR(o.it, itest_bind(o.it, o.space, o.dev_id, 0, o.tq.id),
			 -EINVAL, IOASID_REASON_VALUE);
	ITEST_EXPECT_ERR(o.it, itest_bind(o.it, o.space, 0, 0, 99), -ENOENT,
			 IOASID_REASON_NO_QUEUE_ID);
	ITEST_EXPECT_ERR(o.it, itest_bind(o.it, 99, 0, 0, o.tq.id), -ENOENT,
			 IOASID_REASON_NO_SPACE_ID);
	ITEST_EXPECT_ERR(o.it, itest_bind(o.it, 0, 99, 0, o.tq.id), -ENOENT,
			 IOASID_REASON_NO_DEVICE_ID);
	ITEST_EXPECT_ERR(o.it, itest_bind(o.it, 0, o.dev_id, 9, o.tq.id), -ENOENT,
			 IOASID_REASON_NOT_ATTACHED);
	ITEST_EXPECT_ERR(o.it, ITEST_CMD(o.it, IOASID_FAULT_BIND, &arg),
			 -EOPNOTSUPP, IOASID_REASON_FLAGS);
	dev = itest_device_new(test, o.fake, &no_pri);
	dev_id = itest_bind_device(o.it, dev);
	ITEST_EXPECT_ERR(o.it, itest_attach(o.it, dev_id, o.space, &rid, 0, 0),
			 -ENODEV, IOASID_REASON_NO_PRI);
	KUNIT_EXPECT_EQ(test, itest_attach(o.it, dev_id, plain, &rid, 0, 0), 0);
	/* It still reports events */
	KUNIT_EXPECT_EQ(test, itest_bind(o.it, 0, dev_id, 0, o.tq.id), 0);
	KUNIT_EXPECT_EQ(test, kref_read(&o.tq.q->obj.ref), 3U);
	KUNIT_EXPECT_EQ(test, itest_bind(o.it, 0, dev_id, 0, 0), 0);
	/* A binding that fails keeps no reference */
	KUNIT_EXPECT_EQ(test, kref_read(&o.tq.q->obj.ref), 2U);
	sva_remove_device(o.it->ctx, dev);
	sva_remove_device(o.it->ctx, o.dev);
}

static struct kunit_case ioasid_fault_cases[] = {
	KUNIT_CASE_SLOW(random_faults),
	KUNIT_CASE(deadline),
	KUNIT_CASE(cookies),
	KUNIT_CASE(mixed_group),
	KUNIT_CASE(bad_bindings),
	{}
};

static struct kunit_suite ioasid_fault_suite = {
	.name = "ioasid_fault",
	.test_cases = ioasid_fault_cases,
};
kunit_test_suite(ioasid_fault_suite);
