// SPDX-License-Identifier: GPL-2.0
/*
 * Everything at once: processes and threads run random commands on contexts
 * that they share and on their own, while devices do DMA, change spaces, are
 * reset and closed, processes are killed in the middle of it, and somebody
 * reads debugfs. At the end of each round everybody is gone and so must be
 * everything: no page pinned, no context left, and memory that no space maps
 * any more is as its owner left it, whatever the devices did.
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
#define HANG_MS		60000

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
	if (pins >= 0 && t_pinned_pages_settled(pins, 3000) != pins)
		fail(s, "%ld pages stay pinned after the last close", t_pinned_pages() - pins);
	if (t_status_kib(0, "VmPin") || t_status_kib(0, "VmLck"))
		fail(s, "memory stays charged to the process");
}

FIXTURE(stress) {
	struct stress s;
	u64 end;
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

	prctl(PR_SET_CHILD_SUBREAPER, 1);
	self->s.sh = mmap(NULL, sizeof(*self->s.sh), PROT_READ | PROT_WRITE,
			  MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	self->s.extra = mmap(NULL, EXTRA_PAGES * T_PAGE, PROT_READ | PROT_WRITE,
			     MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	ASSERT_NE(MAP_FAILED, (void *)self->s.sh);
	ASSERT_NE(MAP_FAILED, (void *)self->s.extra);
	self->s.seed = seed ? strtoull(seed, NULL, 0) : t_now_ns() % 1000000007;
	self->s.devices = variant->devices;
	self->end = t_now_ns() + (seconds ? atoi(seconds) : 10) * 1000000000ULL / 2;
	self->pins = t_pinned_pages();
	TH_LOG("IOASID_STRESS_SEED=%llu", (unsigned long long)self->s.seed);
}

FIXTURE_TEARDOWN(stress)
{
}

TEST_F_TIMEOUT(stress, everything, 1200)
{
	struct stress *s = &self->s;
	int round = 0;

	s->seed |= 1ULL << 40;
	do {
		u64 seed = s->seed;

		if (s->devices)
			NEED_DMA(&s->dev, T_EDU, 0);
		begin_round(s);
		t_sleep_ms(ROUND_MS);
		end_round(s, self->pins);
		TH_LOG("round %d: %llu programs' commands (%llu succeeded), %llu kills, %llu DMAs (%llu refused), %llu canaries, %llu files read",
		       round, (unsigned long long)s->sh->commands,
		       (unsigned long long)s->sh->succeeded, (unsigned long long)s->sh->kills,
		       (unsigned long long)s->sh->dmas, (unsigned long long)s->sh->refused,
		       (unsigned long long)s->sh->canaries, (unsigned long long)s->sh->reads);
		ASSERT_EQ(0, s->sh->failed)
			TH_LOG("round %d, seed %llu: %s", round, (unsigned long long)seed,
			       s->sh->why);
		/* Nobody was idle */
		EXPECT_LT(100, s->sh->succeeded);
		EXPECT_LT(0, s->sh->kills);
		if (s->devices)
			EXPECT_LT(0, s->sh->dmas);
		round++;
	} while (t_now_ns() < self->end);
}

TEST_HARNESS_MAIN
