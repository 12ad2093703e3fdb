// SPDX-License-Identifier: GPL-2.0
/*
 * A tenant costs only himself: whatever one holder of /dev/ioasid does, page
 * requests, attach, detach, FAULT_BIND and map of another one, with a context and a
 * device of his own, take as long as beside a neighbour who does no harm and works
 * as hard, and the machine has what it had. Each test is one attack that did harm.
 *
 * Times are judged where they count instructions (lab/vm --icount): a median of more
 * than twice is a failure, and so is a worst case of more than twice and a turn of the
 * processor for everybody. Elsewhere they are only logged.
 */
#include <errno.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "harness.h"
#include "lib/machine.h"
#include "lib/testdev.h"

#define AT		0x100000000ULL
#define PARAMETERS	"/sys/module/ioasid/parameters/"
#define FACTOR		2
/* A turn of the processor; Linux gives up to 3 ms */
#define TURN_NS		3000000ULL

/* --- a program with a device --------------------------------------------------------- */

struct tenant {
	bool real;		/* ioasid-testdev; otherwise sim */
	bool faults;		/* its device has PASIDs and page requests */
	struct t_dma sim;
	struct t_testdev testdev;
	int fd;
	u32 dev_id;
	u32 rid;		/* where its own traffic goes */
	u32 space;		/* whose page requests go to @q */
	u32 pasid;		/* by which */
	u32 other;		/* to attach and to detach */
	struct t_queue q;
	char *mem;		/* a page */
	int asks[4];		/* slot plus one of what it does, where it asks without end */
};

static struct t_vfio *vfio(struct tenant *t)
{
	return t->real ? &t->testdev.vfio : &t->sim.vfio;
}

/* -ENOENT: this machine has no such device */
static int open_device(struct tenant *t, int nth)
{
	t->real = !t_on_sim() && t_testdev_find(1);
	return t->real ? t_testdev_open(&t->testdev, nth, VFIO_IOASID_IOMMU) :
			 t_dma_open(&t->sim, T_EDU, nth, VFIO_IOASID_IOMMU);
}

/* With a PASID and page requests where the machine has them */
static int open_faults(struct tenant *t)
{
	struct ioasid_device_info info = { .flags = 0 };
	int ret = t_device_info(t->fd, t->dev_id, &info);

	if (ret || !(info.caps & IOASID_DEVICE_PASID))
		return ret ? ret : t_alloc(t->fd, &t->other);
	t->pasid = IOASID_PASID_ANY;
	ret = t_alloc_faults(t->fd, &t->space);
	ret = ret ? ret : t_alloc_faults(t->fd, &t->other);
	ret = ret ? ret : t_attach_pasid(t->fd, t->dev_id, t->space, &t->pasid, 100, 0);
	t->faults = !ret;
	return ret ? ret : t_fault_bind(t->fd, t->space, 0, 0, t->q.id);
}

/* 0, or what failed is in t_explain() and t_vfio_step */
static int tenant_open(struct tenant *t, int nth)
{
	int ret;

	memset(t, 0, sizeof(*t));
	ret = open_device(t, nth);
	if (ret)
		return ret;
	t->fd = t_open();
	t->mem = t_memory(T_ANON, T_PAGE);
	if (t->fd < 0 || !t->mem)
		return -ENOMEM;
	ret = t_alloc(t->fd, &t->rid);
	ret = ret ? ret : t_vfio_attach(vfio(t), t->fd, t->rid, 0);
	t->dev_id = vfio(t)->dev_id;
	ret = ret ? ret : t_queue_open(&t->q, t->fd, NULL);
	return ret ? ret : open_faults(t);
}

static void tenant_close(struct tenant *t)
{
	t_queue_close(&t->q);
	if (t->real)
		t_testdev_close(&t->testdev);
	else
		t_dma_close(&t->sim);
	close(t->fd);
	munmap(t->mem, T_PAGE);
}

/* --- how long a victim waits ----------------------------------------------------------- */

enum op { REQUEST, BIND, MAP, ATTACH, DETACH, OPS };

static const char *const op_names[OPS] = {
	[REQUEST] = "page request", [BIND] = "FAULT_BIND", [MAP] = "map",
	[ATTACH] = "attach", [DETACH] = "detach",
};

/* Of each, so many at least, and for so long; whoever is stalled is so long before the end */
#define MIN_ROUNDS	32
#define MAX_ROUNDS	512
#define MIN_NS		200000000ULL
#define MAX_NS		4000000000ULL

struct times {
	u64 ns[OPS][MAX_ROUNDS];	/* the first ones */
	u64 worst[OPS];			/* of all */
	u32 nr[OPS];
};

struct victim {
	struct tenant t;
	int fd;			/* a context without any device */
	u32 id;
	struct t_queue q;
	struct times *times;
	bool asked;		/* the thread that asks has ended */
	int failed;		/* what it has said */
};

static int victim_open(struct victim *v)
{
	int ret = tenant_open(&v->t, 0);

	v->fd = ret ? -1 : t_open();
	if (v->fd < 0)
		return ret ? ret : v->fd;
	ret = t_alloc_faults(v->fd, &v->id);
	return ret ? ret : t_queue_open(&v->q, v->fd, NULL);
}

static void victim_close(struct victim *v)
{
	t_queue_close(&v->q);
	close(v->fd);
	tenant_close(&v->t);
}

static int sim_read(struct tenant *t, u64 iova)
{
	struct ioasid_sim_command cmd = {
		.opcode = IOASID_SIM_OP_READ, .iova = iova, .length = 8, .pasid = t->pasid,
		.flags = IOASID_SIM_CMD_REQUEST | IOASID_SIM_CMD_PASID,
	};

	return t_sim_submit(&t->sim.sim, &cmd);
}

static int device_read(struct tenant *t, u64 iova)
{
	struct t_testdev_cmd cmd = {
		.opcode = TESTDEV_OP_READ, .addr = iova, .length = 8, .pasid = t->pasid,
		.flags = TESTDEV_F_ATS | TESTDEV_F_PRI,
	};

	if (!t->real)
		return sim_read(t, iova);
	t_testdev_begin(&t->testdev, 0, &cmd);
	return 0;
}

static bool device_ended(struct tenant *t, int slot)
{
	return t->real ? t_testdev_ended(&t->testdev, slot) : t_sim_ended(&t->sim.sim, slot);
}

/* From the device to us, and the answer back */
static int op_request(struct victim *v)
{
	struct ioasid_fault_record r;
	int slot = device_read(&v->t, AT), ret;

	if (slot < 0)
		return slot;
	ret = t_queue_next(&v->t.q, &r, 120000);
	ret = ret ? ret : t_queue_answer(&v->t.q, r.cookie, IOASID_FAULT_INVALID);
	while (!ret && !device_ended(&v->t, slot))
		sched_yield();
	if (!v->t.real && !ret)
		ret = t_sim_wait(&v->t.sim.sim, slot, NULL, 0);
	return ret;
}

static int op_map(struct victim *v)
{
	int ret = t_map_at(v->t.fd, v->t.other, v->t.mem, T_PAGE, T_RW, AT);

	if (!ret && t_unmap(v->t.fd, v->t.other, AT, T_PAGE) != T_PAGE)
		ret = -EIO;
	return ret;
}

static int op_attach(struct victim *v)
{
	u32 pasid = IOASID_PASID_ANY;

	if (!v->t.faults)
		return t_attach(v->t.fd, v->t.dev_id, v->t.other, IOASID_ATTACH_REPLACE);
	return t_attach_pasid(v->t.fd, v->t.dev_id, v->t.other, &pasid, 200, 0);
}

static int op_detach(struct victim *v)
{
	return t_detach_pasid(v->t.fd, v->t.dev_id, v->t.faults ? 200 : IOASID_RID);
}

static int do_op(struct victim *v, enum op op)
{
	switch (op) {
	case REQUEST:
		if (v->t.faults)
			return op_request(v);
		t_sleep_ms(1);
		return 0;
	case BIND:
		return t_fault_bind(v->fd, v->id, 0, 0, v->times->nr[BIND] & 1 ? v->q.id : 0);
	case MAP:
		return op_map(v);
	case ATTACH:
		return op_attach(v);
	default:
		return op_detach(v);
	}
}

/* How long it takes now; minus what it said if it failed */
static int time_op(struct victim *v, enum op op)
{
	struct times *t = v->times;
	u64 start = t_now_ns(), ns;
	int ret = do_op(v, op);

	ns = t_now_ns() - start;
	if (!ret && ns > t->worst[op])
		t->worst[op] = ns;
	if (ret)
		printf("# %s, the %u. time: %s, %s\n", op_names[op], t->nr[op], strerror(-ret),
		       t_explain());
	else if (t->nr[op] < MAX_ROUNDS)
		t->ns[op][t->nr[op]++] = ns;
	return ret;
}

static void *asks(void *arg)
{
	struct victim *v = arg;
	u64 start = t_now_ns(), now;
	u32 *nr = &v->times->nr[REQUEST];

	do {
		v->failed = time_op(v, REQUEST);
		now = t_now_ns();
	} while (!v->failed && now - start < MAX_NS &&
		 (*nr < MIN_ROUNDS || now - start < MIN_NS));
	__atomic_store_n(&v->asked, true, __ATOMIC_RELEASE);
	return NULL;
}

/* Requests on one thread and all else on another one: both are waited for. 0 if all went well */
static int measure(struct victim *v, struct times *t)
{
	pthread_t thread;
	int op, ret = 0;

	memset(t, 0, sizeof(*t));
	v->times = t;
	v->asked = false;
	if (pthread_create(&thread, NULL, asks, v))
		return -EAGAIN;
	while (!ret && !__atomic_load_n(&v->asked, __ATOMIC_ACQUIRE)) {
		for (op = REQUEST + 1; op < OPS && !ret; op++)
			ret = time_op(v, op);
		t_sleep_ms(1);
	}
	pthread_join(thread, NULL);
	return ret ? ret : v->failed;
}

static int by_size(const void *a, const void *b)
{
	const u64 *x = a, *y = b;

	return *x < *y ? -1 : *x > *y;
}

static void sort(struct times *t)
{
	int op;

	for (op = 0; op < OPS; op++)
		qsort(t->ns[op], t->nr[op], sizeof(u64), by_size);
}

static u64 median(const struct times *t, int op)
{
	return t->nr[op] ? t->ns[op][t->nr[op] / 2] : 0;
}

static u64 worst(const struct times *t, int op)
{
	return t->worst[op];
}

/* --- a neighbour ----------------------------------------------------------------------- */

/* What it tells us */
struct shared {
	int ready;
	u64 work;
	u64 ns;			/* how long the last piece took */
};

struct neighbour {
	struct tenant t;
	struct shared *sh;
	bool attacks;		/* or works as hard and does no harm */
	uid_t uid;		/* who has opened its contexts, and who it is */
	int fd;			/* a context without a device */
	u32 limit;		/* a quota, where the attack is about one */
	pid_t pid;
};

static void is_ready(struct neighbour *n)
{
	__atomic_store_n(&n->sh->ready, 1, __ATOMIC_RELEASE);
}

static void worked(struct neighbour *n, u64 nr)
{
	__atomic_fetch_add(&n->sh->work, nr, __ATOMIC_RELAXED);
}

static u64 work_of(struct neighbour *n)
{
	return __atomic_load_n(&n->sh->work, __ATOMIC_RELAXED);
}

struct started {
	struct neighbour *n;
	int (*fn)(struct neighbour *n);
	bool device;
};

static int neighbour_main(void *arg)
{
	struct started *s = arg;

	uid_t uid = s->n->uid;

	T_CHECK(!setpgid(0, 0));
	/* The devices are root's to open, the contexts that user's */
	T_CHECK(!setresuid(uid, 0, 0));
	s->n->fd = t_open();
	T_CHECK(s->n->fd >= 0);
	if (s->device)
		T_CHECK(!tenant_open(&s->n->t, 1));
	if (uid)
		T_CHECK(!t_set_memlock(256 << 10) && !setresuid(uid, uid, uid));
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	return s->fn(s->n);
}

/* In a process of its own, with the second device; true once it is at work */
static bool begin(struct neighbour *n, int (*fn)(struct neighbour *n), bool device)
{
	struct started s = { .n = n, .fn = fn, .device = device };
	u64 end = t_end_of_patience(60000);

	n->sh = mmap(NULL, sizeof(*n->sh), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS,
		     -1, 0);
	if (n->sh == MAP_FAILED)
		return false;
	/* What it leaves behind comes to us, see end() */
	prctl(PR_SET_CHILD_SUBREAPER, 1);
	n->pid = t_fork(neighbour_main, &s);
	while (n->pid > 0 && !__atomic_load_n(&n->sh->ready, __ATOMIC_ACQUIRE)) {
		if (waitpid(n->pid, NULL, WNOHANG) || t_now_ns() > end)
			n->pid = 0;
		else
			t_sleep_ms(1);
	}
	return n->pid > 0;
}

/* It is killed, as whoever pays for the machine would do; how long that takes, in ns */
static u64 end(struct neighbour *n)
{
	u64 start = t_now_ns();

	if (n->pid > 0) {
		kill(n->pid, SIGKILL);
		t_wait(n->pid);
		/* A child of it would keep the device open a little longer */
		kill(-n->pid, SIGKILL);
		while (waitpid(-n->pid, NULL, 0) > 0)
			;
	}
	munmap(n->sh, sizeof(*n->sh));
	return t_now_ns() - start;
}

/* --- the tests ---------------------------------------------------------------------------- */

/* A limit of the module, and what it was */
struct quota {
	char path[96];
	char was[32];
};

static int set_quota(struct quota *q, const char *name, u32 value)
{
	char text[16];

	snprintf(q->path, sizeof(q->path), PARAMETERS "%s", name);
	snprintf(text, sizeof(text), "%u", value);
	if (t_read_file(q->path, q->was, sizeof(q->was)) <= 0)
		return -ENOENT;
	return t_write_file(q->path, text);
}

static void restore_quota(struct quota *q)
{
	if (q->was[0])
		t_write_file(q->path, q->was);
	q->was[0] = '\0';
}

/* For everybody, until the test has ended */
#define SET_QUOTA(name, value)							\
	EXPECT_EQ(0, set_quota(&self->quota, name, value)) TH_LOG("the limit " name)

FIXTURE(tenant) {
	struct victim v;
	struct t_machine before;
	struct quota quota;
	bool is_open;
};

FIXTURE_SETUP(tenant)
{
	int ret;

	t_machine_read(&self->before);
	ret = victim_open(&self->v);
	NEED(ret != -ENOENT, "needs two devices");
	ASSERT_EQ(0, ret) TH_LOG("%s, %s", t_vfio_step, t_explain());
	self->is_open = true;
}

FIXTURE_TEARDOWN(tenant)
{
	struct t_machine after;
	int c;

	if (!self->is_open)
		return;
	restore_quota(&self->quota);
	EXPECT_EQ(0, t_write_file(T_MM_SPACES, "1"));
	victim_close(&self->v);
	EXPECT_EQ(0, t_machine_settle(&self->before, &after, 10000));
	for (c = 0; c < T_MACHINE_NR; c++)
		if (t_machine_changed(c, &self->before, &after))
			TH_LOG("%s: %lld before, %lld after", t_machine_name(c),
			       (long long)self->before.value[c], (long long)after.value[c]);
}

static bool second_device(void)
{
	return !t_on_sim() && t_testdev_find(1) ? true : t_device(T_EDU, 1) != NULL;
}

/* @busy: how many threads the neighbour keeps busy */
static void judge(struct __test_metadata *_metadata, struct times *harmless,
		  struct times *attack, u32 busy)
{
	int op;

	sort(harmless);
	sort(attack);
	for (op = 0; op < OPS; op++) {
		u64 was = median(harmless, op), is = median(attack, op);

		TH_LOG("%-12s median %8llu us, beside the attack %8llu us; worst %8llu us, %8llu us",
		       op_names[op], (unsigned long long)was / 1000, (unsigned long long)is / 1000,
		       (unsigned long long)worst(harmless, op) / 1000,
		       (unsigned long long)worst(attack, op) / 1000);
		if (!t_time_is_exact())
			continue;
		/* Others have to run before a request is answered: a turn of theirs, or not */
		EXPECT_LE(is, FACTOR * was + (op == REQUEST ? TURN_NS : 10000));
		EXPECT_LE(worst(attack, op),
			  FACTOR * worst(harmless, op) + (busy + 1) * TURN_NS);
	}
}

/* The victim beside both; false if somebody failed */
static bool beside(struct __test_metadata *_metadata, FIXTURE_DATA(tenant) *self,
		   int (*fn)(struct neighbour *n), bool device, u32 busy)
{
	struct times *t = calloc(2, sizeof(*t));
	int i, ret = 0;

	for (i = 0; i < 2 && !ret; i++) {
		struct neighbour n = { .attacks = i };

		ret = begin(&n, fn, device) ? 0 : -ECHILD;
		EXPECT_EQ(0, ret);
		if (!ret)
			ret = measure(&self->v, &t[i]);
		EXPECT_EQ(0, ret);
		TH_LOG("%s: %llu pieces of work beside %u requests and %u times all else",
		       i ? "attack" : "harmless", (unsigned long long)work_of(&n),
		       t[i].nr[REQUEST], t[i].nr[DETACH]);
		end(&n);
	}
	if (!ret)
		judge(_metadata, &t[0], &t[1], busy);
	free(t);
	return !ret;
}

/* --- A1: a queue whose owner holds it while he does not run -------------------------------- */

#define LOOPS	16

static void fill_responses(struct t_queue *q)
{
	u32 i;

	/* Nobody has asked that: the kernel looks at each of them, and refuses it */
	for (i = 0; i < q->ring->depth; i++)
		q->responses[i].cookie = ~0ULL;
}

/* Hands in as many answers as there is room for; or does as much for itself */
static void ring(struct neighbour *n)
{
	struct ioasid_fault_doorbell bell = { .size = sizeof(bell) };
	struct t_queue *q = &n->t.q;
	volatile u32 i;

	worked(n, 1);
	for (i = 0; !n->attacks && i < 1000; i++)
		;
	if (!n->attacks)
		return;
	/* By several threads at once: some of it is refused */
	__atomic_fetch_add(&q->ring->response_head, 64, __ATOMIC_RELEASE);
	ioctl(q->fd, IOASID_FAULT_DOORBELL, &bell);
}

/* At SCHED_IDLE it gets next to nothing of the processor beside busy loops */
static void *idle_ringer(void *arg)
{
	struct sched_param param = { 0 };

	sched_setscheduler(0, SCHED_IDLE, &param);
	for (;;)
		ring(arg);
	return NULL;
}

/* So that there is always somebody to whom it would have to be handed over */
static void *rings_and_loops(void *arg)
{
	volatile u32 i;

	for (;;) {
		ring(arg);
		for (i = 0; i < 100000; i++)
			;
	}
	return NULL;
}

/* Requests without end; what the queue has no room for is answered at once */
static void ask(struct tenant *t)
{
	struct t_testdev_cmd request = {
		.opcode = TESTDEV_OP_REQUEST, .addr = AT, .length = 1, .pasid = t->pasid,
		.flags = TESTDEV_F_ATS | TESTDEV_F_PRI,
	};
	struct ioasid_sim_command requests = {
		.opcode = IOASID_SIM_OP_REQUESTS, .iova = AT, .length = 1 << 30,
		.pasid = t->pasid, .flags = IOASID_SIM_CMD_PASID,
	};
	u32 i;

	for (i = 0; i < ARRAY_SIZE(t->asks); i++) {
		if (t->real && t_testdev_ended(&t->testdev, i))
			t_testdev_begin(&t->testdev, i, &request);
		if (t->real || (t->asks[i] && t_sim_wait(&t->sim.sim, t->asks[i] - 1, NULL, 0)))
			continue;
		t->asks[i] = t_sim_submit(&t->sim.sim, &requests) + 1;
	}
}

static void *asks_and_loops(void *arg)
{
	struct neighbour *n = arg;
	volatile u32 i;

	for (;;) {
		ask(&n->t);
		for (i = 0; i < 1000; i++)
			;
	}
	return NULL;
}

static void *loops(void *arg)
{
	volatile u64 i = 0;

	for (;;)
		i++;
	return NULL;
}

static int stalls(struct neighbour *n)
{
	struct ioasid_fault_queue args = { .depth = 65536, .deadline_ms = 100, .eventfd = -1 };
	pthread_t thread;
	int i;

	t_queue_close(&n->t.q);
	T_CHECK(!t_queue_open(&n->t.q, n->t.fd, &args));
	T_CHECK(!t_fault_bind(n->t.fd, n->t.space, 0, 0, n->t.q.id));
	fill_responses(&n->t.q);
	T_CHECK(!pthread_create(&thread, NULL, idle_ringer, n));
	/* It is in its system call before the others begin */
	while (work_of(n) < 2)
		t_sleep_ms(1);
	T_CHECK(!pthread_create(&thread, NULL, asks_and_loops, n));
	for (i = 1; i < LOOPS; i++)
		T_CHECK(!pthread_create(&thread, NULL, i & 1 ? rings_and_loops : loops, n));
	is_ready(n);
	pause();
	return 0;
}

TEST_F_TIMEOUT(tenant, stalled_queue, 600)
{
	NEED(second_device(), "needs two devices");
	NEED(self->v.t.faults, "needs devices with PASIDs and page requests");
	beside(_metadata, self, stalls, true, LOOPS + 1);
}

/* --- A2: page tables that are freed later -------------------------------------------------- */

#define TABLES		256		/* pages of one page table */
#define TABLE_KIB	(4 * TABLES)
#define REPLACES	160
/* How much may wait until it is freed, of one user */
#define MAX_DEFERRED	64
#define MAX_DEFERRED_KIB	16384

static int replaces(struct neighbour *n)
{
	u32 id[2], i, k;

	for (i = 0; i < 2; i++) {
		T_CHECK(!t_alloc(n->t.fd, &id[i]));
		/* A page in each 2 MiB has a table of its own */
		for (k = 0; k < TABLES; k++)
			T_CHECK(!t_map_at(n->t.fd, id[i], n->t.mem, T_PAGE, T_RW,
					  AT + k * T_HUGE));
		/* What has a queue may be looked at by a fault that is on its way */
		if (n->attacks)
			T_CHECK(!t_fault_bind(n->t.fd, id[i], 0, 0, n->t.q.id));
	}
	is_ready(n);
	for (i = 0;; i++) {
		T_CHECK(!t_attach(n->t.fd, n->t.dev_id, id[i & 1], IOASID_ATTACH_REPLACE));
		worked(n, 1);
	}
	return 0;
}

TEST_F_TIMEOUT(tenant, deferred_frees, 600)
{
	struct neighbour n = { .attacks = true };
	s64 tables, most = 0, ids, most_ids = 0;
	u64 end_ns;

	NEED(second_device(), "needs two devices");
	if (!beside(_metadata, self, replaces, true, 1))
		return;
	tables = t_machine_counter(T_PAGE_TABLES);
	ids = t_machine_counter(T_DOMAINS);
	ASSERT_TRUE(begin(&n, replaces, true));
	end_ns = t_now_ns() + 8000000000ULL;
	while (work_of(&n) < REPLACES && t_now_ns() < end_ns) {
		s64 now = t_machine_counter(T_PAGE_TABLES);

		most = now > most ? now : most;
		now = t_machine_counter(T_DOMAINS);
		most_ids = now > most_ids ? now : most_ids;
		t_sleep_ms(1);
	}
	TH_LOG("%llu replaced: %lld KiB of page tables, %lld domain ids", (unsigned long long)
	       work_of(&n), (long long)(most - tables), (long long)(most_ids - ids));
	/* One that is used, one that takes its place, and those that wait */
	if (tables != T_UNSEEN)
		EXPECT_LE(most - tables, 2 * TABLE_KIB + MAX_DEFERRED_KIB);
	if (ids != T_UNSEEN)
		EXPECT_LE(most_ids - ids, 4 + MAX_DEFERRED);
	end(&n);
}

/* --- A3: PASIDs ----------------------------------------------------------------------------- */

#define CHILDREN	24
#define QUOTA		8

/* A process that shares its memory with a device, and leaves a page behind */
static int shares_and_dies(void *arg)
{
	struct neighbour *n = arg;
	u32 pasid = IOASID_PASID_ANY, id;
	u64 iova;
	int ret;

	T_CHECK(!t_alloc_mm(n->t.fd, &id));
	ret = t_attach_pasid(n->t.fd, n->t.dev_id, id, &pasid, 0, 0);
	if (!ret)
		ret = t_detach_pasid(n->t.fd, n->t.dev_id, pasid);
	if (!ret && n->attacks)
		ret = t_map(n->t.fd, n->t.rid, n->t.mem, T_PAGE, T_RW, &iova);
	T_CHECK(!t_free(n->t.fd, id));
	return ret == -EDQUOT ? 3 : ret ? 1 : 0;
}

static int leaves_pasids(struct neighbour *n)
{
	int i, ret;

	for (i = 0; i < CHILDREN; i++) {
		ret = t_child(shares_and_dies, n);
		T_CHECK(ret == 0 || ret == 3);
		worked(n, 1);
	}
	is_ready(n);
	for (;;) {
		ret = n->attacks ? (t_sleep_ms(1), 0) : t_child(shares_and_dies, n);
		T_CHECK(ret == 0 || ret == 3);
	}
	return 0;
}

TEST_F_TIMEOUT(tenant, pasids_of_the_dead, 600)
{
	s64 before, during;
	struct neighbour n;

	NEED(second_device(), "needs two devices");
	NEED(self->v.t.faults, "needs devices with PASIDs and page requests");
	NEED(t_shares_mm(self->v.t.fd), "needs a kernel that shares a process' memory");
	before = t_machine_pasids(self->v.t.fd, self->v.t.dev_id);
	ASSERT_NE(T_UNSEEN, before);
	SET_QUOTA("pasids_per_user", QUOTA);
	ASSERT_EQ(0, t_write_file(T_MM_SPACES, "2"));
	n = (struct neighbour) { .attacks = true, .uid = T_NOBODY };
	EXPECT_TRUE(begin(&n, leaves_pasids, true));
	/* Whoever looks at the pool has PASIDs, too */
	restore_quota(&self->quota);
	during = t_machine_pasids(self->v.t.fd, self->v.t.dev_id);
	EXPECT_NE(T_UNSEEN, during);
	TH_LOG("%lld PASIDs in use, and %lld beside %u processes that have died",
	       (long long)before, (long long)during, CHILDREN);
	/* And that of its device */
	EXPECT_LE(during - before, QUOTA + 1);
	end(&n);
	beside(_metadata, self, leaves_pasids, true, 1);
}

struct namesake {
	struct neighbour *n;
	u64 *got;
	uid_t uid;
};

static int allocs_as(void *arg)
{
	struct ioasid_pasid_alloc cmd = { .size = sizeof(cmd), .nr = 1 };
	struct namesake *c = arg;
	u32 pasid, i;

	cmd.pasids = (uintptr_t)&pasid;
	cmd.dev_id = c->n->t.dev_id;
	T_CHECK(!setuid(c->uid));
	for (i = 0; i < 2 * QUOTA; i++) {
		if (t_cmd(c->n->t.fd, IOASID_PASID_ALLOC, &cmd))
			break;
		worked(c->n, 1);
	}
	return 0;
}

/* In a user namespace, a user has as many others as he likes */
static int allocs_as_many(struct neighbour *n)
{
	struct namesake c = { .n = n };
	uid_t uid;

	T_CHECK(!unshare(CLONE_NEWUSER));
	is_ready(n);
	while (getuid())
		t_sleep_ms(1);
	for (uid = 0; uid < 4; uid++) {
		c.uid = uid;
		T_CHECK(!t_child(allocs_as, &c));
	}
	return 0;
}

TEST_F_TIMEOUT(tenant, pasids_of_many_users, 600)
{
	struct neighbour n = { .attacks = true, .uid = T_NOBODY };
	char path[64];

	NEED(second_device(), "needs two devices");
	NEED(self->v.t.faults, "needs devices with PASIDs and page requests");
	NEED(!access("/proc/self/ns/user", F_OK), "this kernel has no user namespaces");
	SET_QUOTA("pasids_per_user", QUOTA);
	EXPECT_TRUE(begin(&n, allocs_as_many, true));
	/* Its users are 1000, and 2000 and more */
	snprintf(path, sizeof(path), "/proc/%d/uid_map", n.pid);
	EXPECT_EQ(0, t_write_file(path, "0 1000 1\n1 2000 8\n"));
	EXPECT_EQ(0, t_wait(n.pid));
	TH_LOG("%llu PASIDs as four users of one", (unsigned long long)work_of(&n));
	EXPECT_LE(work_of(&n), QUOTA);
}

/* --- A4: mappings of one page --------------------------------------------------------------- */

#define COPIES	4000

static int copies(struct neighbour *n)
{
	int fd = n->fd, ret = 0;
	u64 iova, i;
	u32 id;

	T_CHECK(!t_alloc(fd, &id));
	n->t.mem = t_memory(T_ANON, T_PAGE);
	T_CHECK(!t_map_at(fd, id, n->t.mem, T_PAGE, T_RW, AT));
	if (!n->limit)
		is_ready(n);
	for (i = 0; !n->limit || (i < COPIES && !ret); i++) {
		iova = AT + (1 + i % 1000000) * T_PAGE;
		ret = t_copy_at(fd, id, AT, id, iova, T_PAGE, T_RW);
		if (!ret)
			worked(n, 1);
		/* Whoever does no harm has as much to do */
		if (!n->attacks)
			t_unmap(fd, id, iova, T_PAGE);
		else if (ret && !n->limit)
			t_unmap(fd, id, AT + T_PAGE, 1000000 * T_PAGE);
	}
	T_CHECK(!ret || ret == -EDQUOT);
	is_ready(n);
	pause();
	return 0;
}

/* A page that is pinned once is mapped again and again, and charged to nobody */
TEST_F_TIMEOUT(tenant, mappings_of_a_page, 600)
{
	struct neighbour n = { .attacks = true, .limit = 1000, .uid = T_NOBODY };

	SET_QUOTA("mappings_per_user", 1000);
	ASSERT_TRUE(begin(&n, copies, false));
	TH_LOG("%llu copies of a page with a limit of 1000 mappings",
	       (unsigned long long)work_of(&n));
	EXPECT_GE(1000, work_of(&n));
	end(&n);
	restore_quota(&self->quota);
	beside(_metadata, self, copies, false, 1);
}

/* --- A5: what grows with the product of two sizes --------------------------------------------- */

#define RANGES	16384
#define VECTOR	4096

/* Every other page from the lowest one on, as many as one may have */
static u32 reserve(int fd, u32 id)
{
	struct ioasid_iova_range *r = calloc(RANGES, sizeof(*r));
	u32 nr, i;

	for (i = 0; i < RANGES; i++) {
		r[i].first = 2 * i * T_PAGE;
		r[i].last = r[i].first + T_PAGE - 1;
	}
	for (nr = RANGES; nr && t_reserve(fd, id, r, nr); nr /= 2)
		;
	free(r);
	return nr;
}

/* A vector of pages for which the kernel looks for a place, one after the other */
static int places(struct neighbour *n)
{
	struct ioasid_map_range *r = calloc(VECTOR, sizeof(*r));
	char *mem = t_memory(T_ANON, T_PAGE);
	int fd = n->fd, ret;
	u64 start;
	u32 id, i;

	T_CHECK(r && mem);
	for (i = 0; i < VECTOR; i++)
		r[i] = (struct ioasid_map_range) {
			.addr = (uintptr_t)mem, .length = T_PAGE, .flags = T_RW };
	for (;;) {
		T_CHECK(!t_alloc(fd, &id));
		if (n->attacks)
			T_CHECK(reserve(fd, id));
		is_ready(n);
		start = t_now_ns();
		ret = t_mapv(fd, id, r, VECTOR);
		T_CHECK(!ret || ret == -EDQUOT);
		n->sh->ns = t_now_ns() - start;
		worked(n, 1);
		T_CHECK(!t_free(fd, id));
	}
	return 0;
}

/* Whatever is reserved, a vector takes as long; and whoever is killed in it is gone at once */
TEST_F_TIMEOUT(tenant, ranges_times_ranges, 600)
{
	u64 ns[2], killed;
	int i;

	for (i = 0; i < 2; i++) {
		struct neighbour n = { .attacks = i };

		ASSERT_TRUE(begin(&n, places, false));
		while (!work_of(&n))
			t_sleep_ms(1);
		ns[i] = n.sh->ns;
		end(&n);
		ASSERT_TRUE(begin(&n, places, false));
		t_let_others_work(20);
		killed = end(&n);
		TH_LOG("%u ranges in %llu us, killed in %llu us", VECTOR,
		       (unsigned long long)ns[i] / 1000, (unsigned long long)killed / 1000);
		if (t_time_is_exact())
			EXPECT_GE(100000000ULL, killed);
	}
	if (t_time_is_exact())
		EXPECT_LE(ns[1], FACTOR * ns[0]);
	beside(_metadata, self, places, false, 1);
}

TEST_HARNESS_MAIN
