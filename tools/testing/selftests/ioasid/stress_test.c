// SPDX-License-Identifier: GPL-2.0
/*
 * Everything at once: processes and threads run random commands on contexts
 * that they share and on their own, while devices do DMA, ask for pages, change
 * spaces, by RID and PASID, are reset and closed, processes are killed in the middle
 * of it, and somebody reads debugfs. At the end of each round everybody is gone and so must be
 * everything: no page pinned, no context left, and memory that no space maps
 * any more is as its owner left it, whatever the devices did. And a device that
 * goes while others attach it by its id.
 *
 * IOASID_STRESS_SECONDS says for how long (10), IOASID_STRESS_SEED repeats the
 * choices of a run, though not its timing.
 */
#include <dirent.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdarg.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/wait.h>

#include "fuzz/ops.h"
#include "harness.h"

#define DEBUGFS		"/sys/kernel/debug/ioasid"
#define ROUND_MS	2500
#define EXTRA_PAGES	64
#define PROGRAM		96
#define MAX_WORKERS	16
/* Everybody must have seen the end after that; a debug kernel takes its time */
#define HANG_MS		300000

/* What all processes see */
struct shared {
	u32 ids[OPS_CTX][OPS_IDS];
	u32 dev_id[OPS_DEVS];
	int stop;
	int failed;
	char why[400];
	u64 commands;
	u64 succeeded;
	u64 kills;
	u64 canaries;
	u64 refused;	/* DMA that did not reach its page */
	u64 dmas;
	u64 reads;
	u64 asked;	/* commands of a device that may ask for pages */
	u64 compared;	/* those whose data is as it must be */
	u64 answers;
};

struct stress {
	struct shared *sh;
	u64 seed;
	int ctx[OPS_CTX];
	bool devices;
	struct t_dma dev;	/* everybody's */
	char *extra;
	pid_t pid[MAX_WORKERS];
	const char *role[MAX_WORKERS];
	int nr;
};

typedef void (*role_fn)(struct stress *s, u64 seed);

static u64 next(u64 *rng)
{
	*rng ^= *rng << 13;
	*rng ^= *rng >> 7;
	*rng ^= *rng << 17;
	return *rng * 0x2545f4914f6cdd1dULL >> 8;
}

static bool stopped(struct stress *s)
{
	return __atomic_load_n(&s->sh->stop, __ATOMIC_RELAXED);
}

static void add(u64 *counter, u64 n)
{
	__atomic_fetch_add(counter, n, __ATOMIC_RELAXED);
}

/* The first complaint of a round is kept, and ends it */
static __attribute__((format(printf, 2, 3))) void fail(struct stress *s, const char *fmt, ...)
{
	va_list args;

	if (!__atomic_exchange_n(&s->sh->failed, 1, __ATOMIC_RELAXED)) {
		va_start(args, fmt);
		vsnprintf(s->sh->why, sizeof(s->sh->why), fmt, args);
		va_end(args);
	}
	__atomic_store_n(&s->sh->stop, 1, __ATOMIC_RELAXED);
}

/* --- random programs ------------------------------------------------------------ */

static void programs(struct stress *s, u64 seed)
{
	unsigned char program[PROGRAM];
	struct ops o;
	int i, ret;

	ret = ops_open_on(&o, s->ctx);
	if (ret) {
		fail(s, "no memory for programs: %d", ret);
		return;
	}
	o.ids = s->sh->ids;
	o.dev_id = s->sh->dev_id;
	o.extra = s->extra;
	o.extra_pages = EXTRA_PAGES;
	o.dev[0] = s->devices ? &s->dev.vfio : NULL;
	while (!stopped(s)) {
		u64 done = o.commands, good = o.succeeded;

		/* Small bytes are sensible choices */
		for (i = 0; i < PROGRAM; i++)
			program[i] = next(&seed) & (next(&seed) & 1 ? 0x3f : 0xff);
		if (ops_run(&o, program, sizeof(program)))
			fail(s, "a program: %s", o.wrong);
		o.forked = next(&seed) & 15;
		add(&s->sh->commands, o.commands - done);
		add(&s->sh->succeeded, o.succeeded - good);
	}
	ops_close(&o);
}

/* Children that run programs and do not live to their end */
static void killer(struct stress *s, u64 seed)
{
	while (!stopped(s)) {
		u64 mine = next(&seed);
		pid_t pid = fork();

		if (!pid) {
			prctl(PR_SET_PDEATHSIG, SIGKILL);
			programs(s, mine | 1);
			_exit(0);
		}
		if (pid < 0)
			continue;
		usleep(next(&seed) % 40000);
		kill(pid, SIGKILL);
		waitpid(pid, NULL, 0);
		add(&s->sh->kills, 1);
	}
}

/* --- threads of one process --------------------------------------------------------- */

#define THREADS		4
#define THREAD_PAGES	128

struct threads {
	struct stress *s;
	u64 seed;
	int own;	/* a context that the threads share */
	u32 space[2];
	char *mem;
};

static void one_thread_step(struct threads *t, u64 *rng)
{
	int shared = next(rng) & 1;
	int ctx = shared ? t->s->ctx[next(rng) % OPS_CTX] : t->own;
	u32 id = shared ? t->s->sh->ids[0][next(rng) % OPS_IDS] : t->space[next(rng) & 1];
	u64 pages = 1 + next(rng) % 32, iova = OPS_AT + next(rng) % OPS_WINDOW * T_PAGE;
	char *mem = t->mem + next(rng) % (THREAD_PAGES - 32) * T_PAGE;
	struct ioasid_translate tr;
	struct ioasid_info info;

	switch (next(rng) % 10) {
	case 0 ... 2:
		t_map(ctx, id, mem, pages * T_PAGE, next(rng) & 1 ? T_RW : T_FIXED_RW, &iova);
		break;
	case 3 ... 4:
		if (!t_translate(ctx, id, iova, 0, &tr))
			t_unmap(ctx, id, tr.map_iova, tr.map_length);
		break;
	case 5:
		t_unmap(ctx, id, iova, pages * T_PAGE);
		break;
	case 6:
		if (!t_translate(ctx, id, iova, 0, &tr))
			t_copy(ctx, id, tr.map_iova, shared ? id : t->space[0], &iova,
			       tr.map_length, T_RW);
		break;
	case 7:
		if (!(next(rng) % 16))
			t_unmap_all(ctx, id);
		break;
	case 8:
		t_info(ctx, &info);
		break;
	case 9:
		madvise(mem, pages * T_PAGE, MADV_DONTNEED);
		break;
	}
}

static void *one_thread(void *arg)
{
	struct threads *t = arg;
	u64 rng = __atomic_add_fetch(&t->seed, 0x9e3779b97f4a7c15ULL, __ATOMIC_RELAXED) | 1;
	u64 n = 0;

	for (; !stopped(t->s); n++)
		one_thread_step(t, &rng);
	add(&t->s->sh->commands, n);
	return NULL;
}

static void threads(struct stress *s, u64 seed)
{
	while (!stopped(s)) {
		struct threads t = { .s = s, .seed = next(&seed), .own = t_open() };
		pthread_t thread[THREADS];
		int i;

		t.mem = t_memory(T_ANON, THREAD_PAGES * T_PAGE);
		if (t.own < 0 || !t.mem || t_alloc(t.own, &t.space[0]) ||
		    t_alloc(t.own, &t.space[1])) {
			fail(s, "no context for threads: %s", t_explain());
			return;
		}
		for (i = 0; i < THREADS; i++)
			if (pthread_create(&thread[i], NULL, one_thread, &t))
				_exit(1);
		for (i = 0; i < THREADS; i++)
			pthread_join(thread[i], NULL);
		munmap(t.mem, THREAD_PAGES * T_PAGE);
		close(t.own);
	}
}

/* --- a device that everybody may attach, and its DMA ----------------------------------- */

static void dma(struct stress *s, u64 seed)
{
	while (!stopped(s)) {
		u64 iova = OPS_AT + next(&seed) % OPS_WINDOW * T_PAGE;
		int ids[T_DMA_PLACES], i, nr = s->dev.fast ? T_DMA_PLACES : 1;

		for (i = 0; i < nr; i++)
			ids[i] = t_dma_begin(&s->dev, next(&seed) & 1, i, iova + i * T_PAGE);
		for (i = 0; i < nr; i++)
			if (ids[i] >= 0 && t_dma_end(&s->dev, ids[i]))
				add(&s->sh->refused, 1);
		add(&s->sh->dmas, nr);
		/* The sharers of the device reset it now and then; an edu cannot be */
		if (!(next(&seed) % 64))
			t_vfio_reset(&s->dev.vfio);
	}
}

/* --- a device and a context of one's own, and memory that must not change --------------- */

#define CANARY_PAGES	8

struct canary {
	struct stress *s;
	u64 rng;
	struct t_dma dev;
	int ctx;
	u32 space[2];
	char *mem;
	u64 iova;
	u32 pattern;
	bool attached;
};

static void canary_close(struct canary *c)
{
	bool device_first = next(&c->rng) & 1;

	if (device_first)
		t_dma_close(&c->dev);
	close(c->ctx);
	if (!device_first)
		t_dma_close(&c->dev);
	c->attached = false;
}

static int canary_open(struct canary *c)
{
	int ret = t_dma_open(&c->dev, T_EDU, 1, VFIO_IOASID_IOMMU);
	int i;

	if (ret)
		return ret;
	c->ctx = t_open();
	if (c->ctx < 0)
		return c->ctx;
	for (i = 0; i < 2 && !ret; i++) {
		ret = t_alloc(c->ctx, &c->space[i]);
		if (!ret)
			ret = t_dma_map_own(&c->dev, c->ctx, c->space[i]);
	}
	if (!ret)
		ret = t_vfio_attach(&c->dev.vfio, c->ctx, c->space[0], 0);
	c->attached = !ret;
	return ret;
}

/* The device begins to write what it holds, never the pattern, to where the canary is */
static int canary_dma(struct canary *c, int *ids)
{
	int i, nr = c->dev.fast ? CANARY_PAGES : 1;

	for (i = 0; i < nr; i++)
		ids[i] = t_dma_begin(&c->dev, true, i, c->iova + i * T_PAGE);
	return nr;
}

static void canary_end(struct canary *c, const int *ids, int nr)
{
	int i;

	for (i = 0; i < nr; i++)
		if (ids[i] >= 0 && t_dma_end(&c->dev, ids[i]))
			add(&c->s->sh->refused, 1);
	add(&c->s->sh->dmas, nr);
}

/* Whatever takes the memory away from the device, but an unmap */
static void canary_shuffle(struct canary *c)
{
	switch (next(&c->rng) % 4) {
	case 0:
		t_vfio_attach(&c->dev.vfio, c->ctx, c->space[next(&c->rng) & 1],
			      IOASID_ATTACH_REPLACE);
		break;
	case 1:
		t_attach(c->ctx, c->dev.vfio.dev_id, c->space[next(&c->rng) & 1],
			 IOASID_ATTACH_REPLACE);
		break;
	case 2:
		t_detach(c->ctx, c->dev.vfio.dev_id);
		t_attach(c->ctx, c->dev.vfio.dev_id, c->space[0], 0);
		break;
	case 3:
		t_vfio_reset(&c->dev.vfio);
		break;
	}
}

/* From now on nobody but us may write to the memory */
static void canary_check(struct canary *c, const char *after)
{
	int ids[CANARY_PAGES], nr = 0;
	long at;

	t_fill(c->mem, CANARY_PAGES * T_PAGE, ++c->pattern);
	if (c->attached)
		nr = canary_dma(c, ids);
	canary_end(c, ids, nr);
	at = t_differs(c->mem, CANARY_PAGES * T_PAGE, c->pattern);
	if (at >= 0)
		fail(c->s, "memory changed at byte %ld after %s", at, after);
	add(&c->s->sh->canaries, 1);
}

static bool canary_round(struct canary *c)
{
	int ids[CANARY_PAGES], nr, i, copy = next(&c->rng) & 1;
	u64 len = CANARY_PAGES * T_PAGE;

	c->iova = OPS_AT + next(&c->rng) % OPS_WINDOW * T_PAGE;
	for (i = 0; i < 2; i++) {
		int ret = i && copy ? t_copy_at(c->ctx, c->space[0], c->iova, c->space[1], c->iova,
						len, T_RW) :
				      t_map_at(c->ctx, c->space[i], c->mem, len, T_RW, c->iova);

		if (ret) {
			fail(c->s, "a canary cannot be mapped: %s", t_explain());
			return false;
		}
	}
	nr = canary_dma(c, ids);
	if (next(&c->rng) & 1)
		canary_shuffle(c);
	if (!(next(&c->rng) % 8)) {
		canary_end(c, ids, nr);
		canary_close(c);
		canary_check(c, "the last close");
		return canary_open(c) == 0;
	}
	for (i = 0; i < 2; i++)
		if (t_unmap(c->ctx, c->space[i], c->iova, len) != (long long)len)
			fail(c->s, "a canary cannot be unmapped: %s", t_explain());
	/* The writes of before may end now: they must not reach it any more */
	t_fill(c->mem, len, ++c->pattern);
	canary_end(c, ids, nr);
	if (t_differs(c->mem, len, c->pattern) >= 0)
		fail(c->s, "memory changed after it was unmapped");
	canary_check(c, "an unmap");
	return true;
}

static void canary(struct stress *s, u64 seed)
{
	struct canary c = { .s = s, .rng = seed | 1 };
	int ret;

	c.mem = t_memory(T_ANON, CANARY_PAGES * T_PAGE);
	ret = canary_open(&c);
	if (ret == -ENOENT)
		return;
	if (ret)
		fail(s, "a device of one's own: %s, %s", t_vfio_step, t_explain());
	while (!ret && !stopped(s))
		if (!canary_round(&c))
			ret = -1;
	if (ret && !stopped(s))
		fail(s, "a device cannot be opened again: %s, %s", t_vfio_step, t_explain());
	if (!ret)
		canary_close(&c);
}

/* --- PASIDs and page requests on a device of one's own, by a program that may die ---- */

#define ASK_PAGES	32
#define ASK_SLOTS	16
#define ASK_NUMBERS	4
#define ASK_BYTES	64

/* A command of the device */
struct ask {
	int slot;	/* number plus one; 0: none */
	int page;
	u32 pasid;	/* 0: the device itself */
	u64 iova;
	bool mm;	/* for the memory of the process, by its own addresses */
	bool reset;	/* the device was reset since: what it read may be gone */
};

struct asker {
	struct stress *s;
	u64 rng;
	u64 answer_rng;
	struct t_dma dev;
	u32 dev_id;
	int ctx;
	u32 space[2];			/* with page requests */
	u32 mm;				/* the address space of this process */
	u32 mm_pasid;			/* 0: not attached */
	u32 pasid[ASK_NUMBERS];		/* attached once, perhaps still; IOASID_RID too */
	char *mem;			/* ASK_PAGES for each space, all different */
	pthread_mutex_t lock;		/* @q: who closes it, and who answers */
	struct t_queue q;
	bool stop;
	struct ask ask[ASK_SLOTS];
};

static char *ask_mem(struct asker *a, int space, int page)
{
	return a->mem + (space * ASK_PAGES + page) * T_PAGE;
}

static void ask_answer(struct asker *a, const struct ioasid_fault_record *r)
{
	u64 how = next(&a->answer_rng), page = (r->addr - OPS_AT) / T_PAGE;

	if (r->type != IOASID_FAULT_REQUEST || !(r->flags & IOASID_FAULT_LAST))
		return;
	if (page < ASK_PAGES && how % 8)
		t_map_at(a->ctx, r->ioasid, ask_mem(a, r->ioasid == a->space[1], page), T_PAGE,
			 T_RW, r->addr & ~(T_PAGE - 1));
	/* Some are left to the deadline, some are answered twice */
	if (how / 8 % 16)
		t_queue_answer(&a->q, r->cookie, how / 128 % 8 ? IOASID_FAULT_SUCCESS :
			       how / 1024 % 3);
	if (!(how / 4096 % 16))
		t_queue_answer(&a->q, r->cookie, IOASID_FAULT_INVALID);
	add(&a->s->sh->answers, 1);
}

static void *ask_reader(void *arg)
{
	struct ioasid_fault_record r[8];
	struct asker *a = arg;

	while (!__atomic_load_n(&a->stop, __ATOMIC_RELAXED)) {
		ssize_t n = -1, i;

		pthread_mutex_lock(&a->lock);
		if (a->q.ring)
			n = read(a->q.fd, r, sizeof(r));
		for (i = 0; i < n / (ssize_t)sizeof(*r); i++)
			ask_answer(a, &r[i]);
		pthread_mutex_unlock(&a->lock);
		if (n <= 0)
			usleep(200);
	}
	return NULL;
}

static void ask_queue(struct asker *a)
{
	struct ioasid_fault_queue args = {
		.depth = 16U << next(&a->rng) % 3, .eventfd = -1,
		.deadline_ms = 20 + next(&a->rng) % 300,
		.max_per_pasid = next(&a->rng) % 8,
	};
	u32 i;

	pthread_mutex_lock(&a->lock);
	t_queue_close(&a->q);
	if (t_queue_open(&a->q, a->ctx, &args))
		fail(a->s, "FAULT_QUEUE: %s", t_explain());
	else
		fcntl(a->q.fd, F_SETFL, O_NONBLOCK);
	pthread_mutex_unlock(&a->lock);
	for (i = 0; i < 2; i++)
		t_fault_bind(a->ctx, a->space[i], 0, 0, a->q.id);
}

/* By RID or PASID, attached or not */
static void ask_begin(struct asker *a)
{
	struct ioasid_sim_command cmd = {
		.opcode = IOASID_SIM_OP_READ, .length = ASK_BYTES,
		.flags = IOASID_SIM_CMD_REQUEST,
	};
	struct ask ask = { .page = next(&a->rng) % ASK_PAGES };
	int i, slot;

	for (i = 0; i < ASK_SLOTS && a->ask[i].slot; i++)
		;
	if (i == ASK_SLOTS)
		return;
	ask.pasid = next(&a->rng) % 8 ? a->pasid[next(&a->rng) % ASK_NUMBERS] :
					next(&a->rng) % 12;
	/* The numbers of a process' memory are not those of a space */
	ask.mm = ask.pasid && ask.pasid == a->mm_pasid;
	ask.iova = ask.mm ? (uintptr_t)ask_mem(a, 0, ask.page) : OPS_AT + ask.page * T_PAGE;
	cmd.pasid = ask.pasid;
	cmd.iova = ask.iova;
	cmd.buffer = (1 + i) * T_PAGE;
	if (cmd.pasid)
		cmd.flags |= IOASID_SIM_CMD_PASID;
	slot = t_sim_submit(&a->dev.sim, &cmd);
	if (slot < 0)
		return;
	ask.slot = slot + 1;
	a->ask[i] = ask;
}

/*
 * What a device may have read: its attachment can move from one space to the other
 * while it waits for an answer, but the page is the same in both.
 */
static bool ask_may_read(struct asker *a, const struct ask *ask, const void *got)
{
	return !memcmp(got, ask_mem(a, 0, ask->page), ASK_BYTES) ||
	       (!ask->mm && !memcmp(got, ask_mem(a, 1, ask->page), ASK_BYTES));
}

/* Says what it was instead: a page that is known, nothing at all, or neither */
static void ask_wrong(struct asker *a, const struct ask *ask, const void *got)
{
	char what[64] = "unknown data";
	int i;

	if (t_not_byte(got, ASK_BYTES, 0) < 0)
		snprintf(what, sizeof(what), "zeros");
	for (i = 0; i < 2 * ASK_PAGES; i++)
		if (!memcmp(got, ask_mem(a, 0, i), ASK_BYTES))
			snprintf(what, sizeof(what), "page %d of space %d", i % ASK_PAGES,
				 i / ASK_PAGES);
	fail(a->s, "a device read %s (%#llx...) instead of page %d: PASID %u%s, iova %#llx", what,
	     (unsigned long long)*(const u64 *)got, ask->page, ask->pasid,
	     ask->mm ? " of the process" : "", (unsigned long long)ask->iova);
}

/* What came back is what is there: whatever answer it took */
static void ask_end(struct asker *a, int i, unsigned int ms)
{
	const void *got = t_sim_buffer(&a->dev.sim, (1 + i) * T_PAGE);
	struct ask *ask = &a->ask[i];
	struct ioasid_sim_completion c;

	if (!ask->slot || t_sim_wait(&a->dev.sim, ask->slot - 1, &c, ms))
		return;
	ask->slot = 0;
	add(&a->s->sh->asked, 1);
	if (c.status != IOASID_SIM_OK || ask->reset)
		return;
	if (ask_may_read(a, ask, got))
		add(&a->s->sh->compared, 1);
	else
		ask_wrong(a, ask, got);
}

/*
 * A reset clears the buffer, also of commands that have ended: the data of those
 * that are not collected yet tells nothing any more.
 */
static void ask_reset(struct asker *a)
{
	int i;

	for (i = 0; i < ASK_SLOTS; i++)
		a->ask[i].reset = true;
	t_vfio_reset(&a->dev.vfio);
}

static void ask_attach(struct asker *a)
{
	u64 how = next(&a->rng);
	u32 pasid = how & 1 ? IOASID_PASID_ANY : how / 2 % 12;
	u32 vpasid = how / 32 % 4 ? 0 : 100 + how / 128 % ASK_NUMBERS;

	if (!(how / 8192 % 4))
		pasid = IOASID_RID;
	if (!t_attach_pasid(a->ctx, a->dev_id, a->space[how / 1024 & 1], &pasid, vpasid,
			    how / 2048 & 1 ? IOASID_ATTACH_REPLACE : 0))
		a->pasid[how / 32768 % ASK_NUMBERS] = pasid;
}

static void ask_detach(struct asker *a)
{
	u64 how = next(&a->rng);
	u32 number = how & 1 ? how / 2 % 12 : 100 + how / 2 % ASK_NUMBERS;

	if (number == a->mm_pasid)
		a->mm_pasid = 0;
	t_detach_pasid(a->ctx, a->dev_id, number);
}

static void ask_mm(struct asker *a)
{
	u32 pasid = IOASID_PASID_ANY;

	if (a->mm_pasid) {
		t_detach_pasid(a->ctx, a->dev_id, a->mm_pasid);
		a->mm_pasid = 0;
	} else if (!t_attach_pasid(a->ctx, a->dev_id, a->mm, &pasid, 0, 0)) {
		a->mm_pasid = pasid;
		a->pasid[0] = pasid;
	}
}

static void ask_pool(struct asker *a)
{
	u32 p[4], nr = 1 + next(&a->rng) % 4, i;

	if (next(&a->rng) & 1)
		t_pasid_alloc(a->ctx, a->dev_id, nr, p);
	for (i = 0; i < 3; i++)
		p[i] = 1 + next(&a->rng) % 12;
	t_pasid_free(a->ctx, 1 + next(&a->rng) % 3, p);
}

static void ask_step(struct asker *a)
{
	int i;

	for (i = 0; i < ASK_SLOTS; i++)
		ask_end(a, i, 0);
	switch (next(&a->rng) % 32) {
	case 0 ... 3:
		ask_attach(a);
		break;
	case 4 ... 5:
		ask_detach(a);
		break;
	case 7:
		ask_mm(a);
		break;
	case 8:
		ask_pool(a);
		break;
	case 9:
		if (!(next(&a->rng) % 4))
			ask_queue(a);
		break;
	case 10:
		t_fault_bind(a->ctx, a->space[next(&a->rng) & 1], 0, 0,
			     next(&a->rng) % 4 ? a->q.id : 0);
		break;
	case 11:
		t_unmap_all(a->ctx, a->space[next(&a->rng) & 1]);
		break;
	case 12:
		if (!(next(&a->rng) % 4))
			ask_reset(a);
		break;
	case 13:
		usleep(next(&a->rng) % 1000);
		break;
	default:
		ask_begin(a);
	}
}

static int ask_open(struct asker *a)
{
	int ret = t_dma_open(&a->dev, T_NVME, 0, VFIO_IOASID_IOMMU);

	a->ctx = ret ? -1 : t_open();
	if (a->ctx < 0)
		return ret ? ret : a->ctx;
	a->mem = t_memory(T_ANON, 2 * ASK_PAGES * T_PAGE);
	t_fill(a->mem, 2 * ASK_PAGES * T_PAGE, a->rng);
	ret = t_alloc_faults(a->ctx, &a->space[0]);
	ret = ret ? ret : t_alloc_faults(a->ctx, &a->space[1]);
	if (!ret && t_shares_mm(a->ctx))
		ret = t_alloc_mm(a->ctx, &a->mm);
	ret = ret ? ret : t_vfio_bind(&a->dev.vfio, a->ctx);
	a->dev_id = a->dev.vfio.dev_id;
	return ret;
}

/* Whatever is asked ends: answered, by the deadline, or because something else ends */
static void ask_close(struct asker *a, pthread_t reader)
{
	bool late = false;
	int i;

	for (i = 0; i < ASK_SLOTS; i++) {
		ask_end(a, i, 20000);
		late |= a->ask[i].slot;
	}
	if (late)
		fail(a->s, "a page request was never answered");
	__atomic_store_n(&a->stop, true, __ATOMIC_RELAXED);
	pthread_join(reader, NULL);
	if (next(&a->rng) & 1)
		t_queue_close(&a->q);
	if (next(&a->rng) & 1)
		t_dma_close(&a->dev);
}

static void ask_session(struct stress *s, u64 seed)
{
	struct asker a = { .s = s, .rng = seed | 1, .answer_rng = seed | 2 };
	pthread_t reader;
	int steps, ret;

	pthread_mutex_init(&a.lock, NULL);
	ret = ask_open(&a);
	if (ret) {
		fail(s, "a device that asks: %d, %s, %s", ret, t_vfio_step, t_explain());
		return;
	}
	ask_queue(&a);
	if (pthread_create(&reader, NULL, ask_reader, &a))
		_exit(1);
	for (steps = 500 + next(&a.rng) % 2000; steps && !stopped(s); steps--)
		ask_step(&a);
	ask_close(&a, reader);
}

static void asker(struct stress *s, u64 seed)
{
	while (!stopped(s)) {
		u64 mine = next(&seed);
		pid_t pid = fork();

		if (!pid) {
			prctl(PR_SET_PDEATHSIG, SIGKILL);
			ask_session(s, mine);
			_exit(0);
		}
		if (pid < 0)
			continue;
		/* In the middle of it, or not at all */
		if (next(&seed) & 1) {
			usleep(next(&seed) % 300000);
			kill(pid, SIGKILL);
			add(&s->sh->kills, 1);
		}
		waitpid(pid, NULL, 0);
	}
}

/* --- contexts that come and go, and who looks on -------------------------------------------- */

static void opener(struct stress *s, u64 seed)
{
	char *mem = t_memory(T_SHARED, 64 * T_PAGE);

	while (!stopped(s)) {
		int fd = t_open(), dup_fd, i;
		pid_t pid = -1;
		u32 id = 0;

		if (fd < 0) {
			fail(s, "/dev/ioasid cannot be opened: %d", fd);
			return;
		}
		for (i = next(&seed) % 5; i >= 0; i--)
			if (t_alloc(fd, &id))
				fail(s, "no space: %s", t_explain());
		t_map_at(fd, id, mem, (1 + next(&seed) % 64) * T_PAGE, T_RW, OPS_AT);
		dup_fd = dup(fd);
		if (next(&seed) & 1)
			pid = fork();
		if (!pid) {
			/* Takes the last reference with it, in the exit of its mm */
			usleep(next(&seed) % 2000);
			_exit(0);
		}
		close(next(&seed) & 1 ? fd : dup_fd);
		t_unmap_all(fd, id);
		t_unmap_all(dup_fd, id);
		close(fd);
		close(dup_fd);
		if (pid > 0)
			waitpid(pid, NULL, 0);
	}
}

static void read_dir(struct stress *s, const char *path)
{
	char file[512], text[4096];
	struct dirent *entry;
	DIR *dir = opendir(path);

	if (!dir)
		return;
	while ((entry = readdir(dir))) {
		if (entry->d_name[0] == '.')
			continue;
		snprintf(file, sizeof(file), "%s/%s", path, entry->d_name);
		if (entry->d_type == DT_DIR)
			read_dir(s, file);
		else if (t_read_file(file, text, sizeof(text)) > 0)
			add(&s->sh->reads, 1);
	}
	closedir(dir);
}

static void reader(struct stress *s, u64 seed)
{
	while (!stopped(s)) {
		read_dir(s, DEBUGFS);
		t_pinned_pages();
		usleep(next(&seed) % 3000);
	}
}

/* --- a round ------------------------------------------------------------------------------------ */

static void start(struct stress *s, const char *role, role_fn fn)
{
	u64 seed = next(&s->seed) | 1;
	pid_t pid;

	if (s->nr == MAX_WORKERS)
		return;
	fflush(NULL);
	pid = fork();
	if (!pid) {
		fn(s, seed);
		_exit(0);
	}
	s->role[s->nr] = role;
	s->pid[s->nr++] = pid;
}

/* Somebody does not come back: say where it is */
static void blame(struct stress *s, int i)
{
	char path[64], stack[3000] = "";

	snprintf(path, sizeof(path), "/proc/%d/stack", s->pid[i]);
	t_read_file(path, stack, sizeof(stack));
	printf("# %s (%d) hangs:\n%s\n", s->role[i], s->pid[i], stack);
	fail(s, "%s does not end", s->role[i]);
}

static int index_of(struct stress *s, pid_t pid)
{
	int i;

	for (i = 0; i < s->nr; i++)
		if (s->pid[i] == pid)
			return i;
	return -1;
}

/* All descendants, also those whose parents were killed: they come to us */
static void reap(struct stress *s)
{
	u64 end = t_now_ns() + HANG_MS * 1000000ULL;
	bool blamed = false;
	int status, i;
	pid_t pid;

	while ((pid = waitpid(-1, &status, WNOHANG)) >= 0) {
		if (!pid) {
			t_sleep_ms(5);
			if (t_now_ns() < end || blamed)
				continue;
			for (i = 0; i < s->nr; i++)
				if (s->pid[i] > 0) {
					blame(s, i);
					kill(s->pid[i], SIGKILL);
				}
			blamed = true;
			continue;
		}
		i = index_of(s, pid);
		if (i < 0)
			continue;
		s->pid[i] = 0;
		if (!WIFEXITED(status) || WEXITSTATUS(status))
			fail(s, "%s ended with status %#x", s->role[i], status);
	}
}

/* What is left in a context adds up, and can all be taken away */
static void check_context(struct stress *s, int ctx)
{
	u64 mapped = 0, mappings = 0;
	struct ioasid_info info;
	u32 id, nr = 0;

	if (t_info(ctx, &info)) {
		fail(s, "GET_INFO: %s", t_explain());
		return;
	}
	for (id = 1; nr < info.nr_spaces && id < 1000000; id++) {
		struct ioasid_space_info space;

		if (t_space_info(ctx, id, &space))
			continue;
		nr++;
		if (space.kind == IOASID_KIND_MM || space.kind == IOASID_KIND_NESTED)
			continue;
		mapped += space.mapped;
		mappings += space.nr_mappings;
		if (t_unmap_all(ctx, id) != (long long)space.mapped)
			fail(s, "space %u: not all of it was unmapped: %s", id, t_explain());
	}
	if (mapped != info.mapped || mappings != info.nr_mappings)
		fail(s, "the spaces have %llu bytes in %llu mappings, the context %llu in %llu",
		     (unsigned long long)mapped, (unsigned long long)mappings,
		     (unsigned long long)info.mapped, (unsigned long long)info.nr_mappings);
	if (t_info(ctx, &info) || info.mapped || info.pinned || info.nr_mappings)
		fail(s, "%llu bytes stay mapped and %llu pinned in an empty context",
		     (unsigned long long)info.mapped, (unsigned long long)info.pinned);
}

static int contexts_left(void)
{
	struct dirent *entry;
	DIR *dir = opendir(DEBUGFS);
	int nr = 0;

	if (!dir)
		return 0;
	while ((entry = readdir(dir)))
		nr += entry->d_name[0] != '.';
	closedir(dir);
	return nr;
}

static void begin_round(struct stress *s)
{
	int c, i;

	memset(s->sh, 0, sizeof(*s->sh));
	s->nr = 0;
	for (c = 0; c < OPS_CTX; c++) {
		s->ctx[c] = t_open();
		for (i = 0; i < 3 && s->ctx[c] >= 0; i++)
			if (t_alloc(s->ctx[c], &s->sh->ids[c][i]))
				fail(s, "ALLOC: %s", t_explain());
	}
	if (s->devices && t_vfio_attach(&s->dev.vfio, s->ctx[0], s->sh->ids[0][0], 0))
		fail(s, "attach: %s", t_explain());
	s->sh->dev_id[0] = s->dev.vfio.dev_id;
	start(s, "programs 1", programs);
	start(s, "programs 2", programs);
	start(s, "programs 3", programs);
	start(s, "killer", killer);
	start(s, "threads", threads);
	start(s, "opener", opener);
	start(s, "reader", reader);
	if (s->devices) {
		start(s, "dma", dma);
		start(s, "canary", canary);
	}
	if (s->devices && t_on_sim() && t_device(T_NVME, 0))
		start(s, "asker", asker);
}

static void end_round(struct stress *s, long pins)
{
	int c, left;

	__atomic_store_n(&s->sh->stop, 1, __ATOMIC_RELAXED);
	reap(s);
	for (c = 0; c < OPS_CTX; c++)
		check_context(s, s->ctx[c]);
	/* In both orders: the device, or the contexts that it may be attached to, first */
	if (s->devices && s->seed & 1)
		t_dma_close(&s->dev);
	for (c = 0; c < OPS_CTX; c++)
		close(s->ctx[c]);
	if (s->devices && !(s->seed & 1))
		t_dma_close(&s->dev);
	left = contexts_left();
	if (left)
		fail(s, "%d contexts are left after the last close", left);
	if (pins >= 0 && t_pinned_pages_settled(pins) != pins)
		fail(s, "%ld pages stay pinned after the last close", t_pinned_pages() - pins);
	if (t_status_kib(0, "VmPin") || t_status_kib(0, "VmLck"))
		fail(s, "memory stays charged to the process");
}

FIXTURE(stress) {
	struct stress s;
	u64 end;
	u32 round_ms;
	long pins;
};

FIXTURE_VARIANT(stress) {
	bool devices;
};

FIXTURE_VARIANT_ADD(stress, bare) {
	.devices = false,
};

FIXTURE_VARIANT_ADD(stress, devices) {
	.devices = true,
};

FIXTURE_SETUP(stress)
{
	const char *seconds = getenv("IOASID_STRESS_SECONDS"), *seed = getenv("IOASID_STRESS_SEED");
	u32 nr_seconds = seconds ? atoi(seconds) : 10;

	prctl(PR_SET_CHILD_SUBREAPER, 1);
	self->s.sh = mmap(NULL, sizeof(*self->s.sh), PROT_READ | PROT_WRITE,
			  MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	self->s.extra = mmap(NULL, EXTRA_PAGES * T_PAGE, PROT_READ | PROT_WRITE,
			     MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	ASSERT_NE(MAP_FAILED, (void *)self->s.sh);
	ASSERT_NE(MAP_FAILED, (void *)self->s.extra);
	self->s.seed = seed ? strtoull(seed, NULL, 0) : t_now_ns() % 1000000007;
	self->s.devices = variant->devices;
	self->end = t_now_ns() + nr_seconds * 1000000000ULL / 2;
	/* Two rounds at least */
	self->round_ms = nr_seconds * 1000 / 4 < ROUND_MS ? nr_seconds * 1000 / 4 : ROUND_MS;
	self->pins = t_pinned_pages();
	TH_LOG("IOASID_STRESS_SEED=%llu", (unsigned long long)self->s.seed);
}

FIXTURE_TEARDOWN(stress)
{
}

/* Everybody has done something by then, on the slowest machine */
#define LATE_MS	200000

TEST_F_TIMEOUT(stress, everything, 1200)
{
	struct stress *s = &self->s;
	bool asks = s->devices && t_on_sim() && t_device(T_NVME, 0);
	u64 asked = 0, compared = 0, answers = 0, good = 0, kills = 0, dmas = 0;
	u64 late = self->end + LATE_MS * 1000000ULL;
	u32 ms = self->round_ms;
	int round = 0;

	s->seed |= 1ULL << 40;
	do {
		u64 seed = s->seed;

		if (s->devices)
			NEED_DMA(&s->dev, T_EDU, 0);
		begin_round(s);
		t_sleep_ms(ms);
		end_round(s, self->pins);
		TH_LOG("round %d: %llu programs' commands (%llu succeeded), %llu kills, %llu DMAs (%llu refused), %llu canaries, %llu files read, %llu commands that may ask (%llu compared), %llu answers",
		       round, (unsigned long long)s->sh->commands,
		       (unsigned long long)s->sh->succeeded, (unsigned long long)s->sh->kills,
		       (unsigned long long)s->sh->dmas, (unsigned long long)s->sh->refused,
		       (unsigned long long)s->sh->canaries, (unsigned long long)s->sh->reads,
		       (unsigned long long)s->sh->asked, (unsigned long long)s->sh->compared,
		       (unsigned long long)s->sh->answers);
		ASSERT_EQ(0, s->sh->failed)
			TH_LOG("round %d, seed %llu: %s", round, (unsigned long long)seed,
			       s->sh->why);
		good += s->sh->succeeded;
		kills += s->sh->kills;
		dmas += s->sh->dmas;
		asked += s->sh->asked;
		compared += s->sh->compared;
		answers += s->sh->answers;
		round++;
		/* Whoever asks must have time to begin, on a slow machine too */
		if (asks && !answers && ms < 16 * ROUND_MS)
			ms *= 2;
		/* Longer where the machine is so slow that somebody has done nothing yet */
	} while (t_now_ns() < self->end ||
		 (t_now_ns() < late && (good <= 100 || !kills || (s->devices && !dmas) ||
					(asks && (!answers || !compared)))));
	/* Nobody was idle */
	EXPECT_LT(100, good);
	EXPECT_LT(0, kills);
	if (s->devices)
		EXPECT_LT(0, dmas);
	if (asks) {
		EXPECT_LT(0, asked);
		EXPECT_LT(0, compared);
		EXPECT_LT(0, answers);
	}
}

/* --- by its id, while the device goes ------------------------------------------------------ */

/*
 * The core takes no lock of whoever owns a device when it is attached by its id. So
 * the device goes at any moment of that: its owner resets it, unbinds it, closes it,
 * and its driver is taken away from it.
 */
struct going {
	u32 space[2];
	u32 dev_id;
	int stop;
	int failed;
	u64 attached;
	u64 gone;	/* attaches that were too late */
	u64 rounds;	/* of the owner */
	u64 pulled;	/* times that the driver was taken away */
};

FIXTURE(going) {
	struct going *g;
	int ctx;
	const char *name;
	char *mem;
	long pins;
};

FIXTURE_VARIANT(going) {
	bool by_file;
};

FIXTURE_VARIANT_ADD(going, by_container) { .by_file = false };
FIXTURE_VARIANT_ADD(going, by_file) { .by_file = true };

struct going_role {
	FIXTURE_DATA(going) *self;
	bool by_file;
	u64 seed;
};

static bool going_on(const struct going *g)
{
	return !__atomic_load_n(&g->stop, __ATOMIC_RELAXED) &&
	       !__atomic_load_n(&g->failed, __ATOMIC_RELAXED);
}

/* Complains once, and ends it */
#define GOING(cond) do {								\
	if (!(cond) && !__atomic_exchange_n(&g->failed, 1, __ATOMIC_RELAXED))		\
		fprintf(stderr, "# %s:%d: %s is not true; %s, %s\n", __FILE__, __LINE__,	\
			#cond, t_vfio_step, t_explain());				\
} while (0)

/* What an attach or a detach by id may say when the device goes */
static bool gone_or_busy(int ret)
{
	/* Linux 6.12 replaces no PASID */
	if (ret == -EOPNOTSUPP && t_extack.code == IOASID_REASON_IOMMU)
		return t_old_kernel();
	return (ret == -ENOENT && (t_extack.code == IOASID_REASON_NO_DEVICE_ID ||
				   t_extack.code == IOASID_REASON_NOT_ATTACHED)) ||
	       (ret == -EBUSY && (t_extack.code == IOASID_REASON_ATTACHED ||
				  t_extack.code == IOASID_REASON_RESET));
}

static int going_attacher(void *arg)
{
	struct going_role *role = arg;
	FIXTURE_DATA(going) *self = role->self;
	struct going *g = self->g;
	u64 rng = role->seed;

	while (going_on(g)) {
		u32 id = __atomic_load_n(&g->dev_id, __ATOMIC_RELAXED);
		u64 how = next(&rng);
		u32 pasid = how & 8 ? IOASID_PASID_ANY : IOASID_RID;
		u32 vpasid = how & 8 ? 100 + how / 32 % 4 : 0;
		int ret;

		if (how & 1)
			ret = t_attach_pasid(self->ctx, id, g->space[how / 2 & 1], &pasid, vpasid,
					     how & 4 ? IOASID_ATTACH_REPLACE : 0);
		else
			ret = t_detach_pasid(self->ctx, id, vpasid);
		GOING(!ret || gone_or_busy(ret));
		if (how & 1 && !ret)
			add(&g->attached, 1);
		if (ret != -ENOENT || t_extack.code != IOASID_REASON_NO_DEVICE_ID)
			continue;
		add(&g->gone, 1);
		usleep(next(&rng) % 500);
	}
	return 0;
}

/* Waits for the owner to close it, every time */
static int going_puller(void *arg)
{
	struct going_role *role = arg;
	struct going *g = role->self->g;
	u64 rng = role->seed;

	while (going_on(g)) {
		usleep(next(&rng) % 30000);
		if (t_sim_unbind(role->self->name))
			continue;
		add(&g->pulled, 1);
		GOING(!t_sim_bind(role->self->name));
	}
	return 0;
}

/* Some of it is still under way when the device goes */
static void going_dma(struct t_dma *dev, u64 *rng)
{
	int i, ids[4];

	for (i = 0; i < 4; i++)
		ids[i] = t_dma_begin(dev, true, i, OPS_AT + i * T_PAGE);
	if (!(next(rng) % 4))
		t_vfio_reset(&dev->vfio);
	if (next(rng) & 1)
		for (i = 0; i < 4; i++)
			t_dma_end(dev, ids[i]);
}

/*
 * The device is closed, and nobody can attach it: nothing of it may be left, and the
 * memory of the spaces is as it was, whatever the device had begun.
 */
static void going_is_gone(FIXTURE_DATA(going) *self, u32 pattern)
{
	struct ioasid_space_info space;
	struct going *g = self->g;
	struct ioasid_info info;
	int i;

	GOING(!t_info(self->ctx, &info) && !info.nr_devices && !info.nr_pasids);
	for (i = 0; i < 2; i++)
		GOING(!t_space_info(self->ctx, g->space[i], &space) && !space.nr_attachments &&
		      !space.nr_domains);
	t_fill(self->mem, 4 * T_PAGE, pattern);
	usleep(200);
	GOING(t_differs(self->mem, 4 * T_PAGE, pattern) < 0);
}

static void going_round(FIXTURE_DATA(going) *self, bool by_file, u64 *rng)
{
	struct going *g = self->g;
	struct t_dma dev;
	u32 id = 0;
	int i;

	/* Its driver may be away */
	if (t_dma_open(&dev, T_EDU, 1, VFIO_IOASID_IOMMU)) {
		t_dma_close(&dev);
		usleep(500);
		return;
	}
	if (by_file)
		GOING(!t_bind_fd(self->ctx, dev.vfio.device, &id));
	else
		GOING(!t_vfio_bind(&dev.vfio, self->ctx));
	__atomic_store_n(&g->dev_id, by_file ? id : dev.vfio.dev_id, __ATOMIC_RELAXED);
	for (i = next(rng) % 8; i >= 0; i--)
		going_dma(&dev, rng);
	usleep(next(rng) % 2000);
	/* The context keeps the file, and so the device, until it is unbound */
	if (by_file && next(rng) & 1)
		GOING(!t_unbind_fd(self->ctx, dev.vfio.device));
	else if (by_file)
		GOING(!t_unbind(self->ctx, id));
	t_dma_close(&dev);
	going_is_gone(self, next(rng));
	add(&g->rounds, 1);
}

static int going_owner(void *arg)
{
	struct going_role *role = arg;
	u64 rng = role->seed;

	while (going_on(role->self->g))
		going_round(role->self, role->by_file, &rng);
	return 0;
}

FIXTURE_SETUP(going)
{
	int i;

	NEED(t_on_sim() && t_device(T_EDU, 1), "needs an endpoint of ioasid_sim");
	self->name = t_device(T_EDU, 1);
	ASSERT_EQ(0, t_device_to_vfio(self->name));
	self->pins = t_pinned_pages();
	self->g = mmap(NULL, sizeof(*self->g), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS,
		       -1, 0);
	ASSERT_NE(MAP_FAILED, (void *)self->g);
	self->mem = t_memory(T_SHARED, 4 * T_PAGE);
	ASSERT_NE(NULL, self->mem);
	self->ctx = t_open();
	ASSERT_FD(self->ctx);
	for (i = 0; i < 2; i++) {
		ASSERT_OK(t_alloc(self->ctx, &self->g->space[i]));
		ASSERT_OK(t_map_at(self->ctx, self->g->space[i], self->mem, 4 * T_PAGE, T_RW,
				   OPS_AT));
	}
}

FIXTURE_TEARDOWN(going)
{
	close(self->ctx);
	if (self->pins >= 0)
		EXPECT_EQ(self->pins, t_pinned_pages_settled(self->pins));
}

TEST_F_TIMEOUT(going, attach_by_id, 300)
{
	const char *seconds = getenv("IOASID_STRESS_SECONDS"), *seed = getenv("IOASID_STRESS_SEED");
	static const t_child_fn roles[] = {
		going_attacher, going_attacher, going_owner, going_puller,
	};
	struct going_role role = { .self = self, .by_file = variant->by_file };
	u64 start = t_now_ns(), ms = (seconds ? atoi(seconds) : 10) * 100, now;
	struct going *g = self->g;
	pid_t pid[ARRAY_SIZE(roles)];
	size_t i;

	role.seed = (seed ? strtoull(seed, NULL, 0) : start % 1000000007) | 1ULL << 40;
	TH_LOG("IOASID_STRESS_SEED=%llu", (unsigned long long)role.seed);
	for (i = 0; i < ARRAY_SIZE(roles); i++) {
		next(&role.seed);
		pid[i] = t_fork(roles[i], &role);
	}
	/* Longer where the machine is so slow that somebody has not got far yet */
	do {
		t_sleep_ms(50);
		now = (t_now_ns() - start) / 1000000;
	} while (going_on(g) && (now < ms || (now < LATE_MS &&
					      (g->rounds < 20 || g->pulled < 3 ||
					       g->attached < 20 || !g->gone))));
	__atomic_store_n(&g->stop, 1, __ATOMIC_RELAXED);
	for (i = 0; i < ARRAY_SIZE(roles); i++)
		EXPECT_EQ(0, t_wait(pid[i]));
	TH_LOG("%llu attaches by id, %llu too late, %llu rounds of the owner, driver gone %llu times",
	       (unsigned long long)g->attached, (unsigned long long)g->gone,
	       (unsigned long long)g->rounds, (unsigned long long)g->pulled);
	EXPECT_EQ(0, g->failed);
	/* Nobody was idle */
	EXPECT_LE(20, g->attached);
	EXPECT_LT(0, g->gone);
	EXPECT_LE(20, g->rounds);
	EXPECT_LE(3, g->pulled);
}

TEST_HARNESS_MAIN
