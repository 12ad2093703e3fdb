// SPDX-License-Identifier: GPL-2.0
/*
 * What processes do with memory that devices reach: fork, exec, move it, give
 * it away, die in the middle. The device must go on seeing the pages that were
 * mapped, and whatever way a process ends nothing of it stays pinned.
 */
#include <fcntl.h>
#include <linux/userfaultfd.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>

#include "spaces.h"

#define LEN	(4 * T_PAGE)

/* The page frames behind self->mem */
static void frames(const char *mem, u64 *phys, int nr)
{
	int i;

	for (i = 0; i < nr; i++)
		phys[i] = t_phys(mem + i * T_PAGE);
}

#define NEED_FRAMES()	NEED(t_phys(self->mem), "no /proc/self/pagemap")

/* Copies by DMA what is at @iova to the last page of self->mem, and compares */
static void expect_device_sees(struct __test_metadata *_metadata, FIXTURE_DATA(space) *self,
			       u64 iova, const void *page)
{
	if (!self->dev.own)
		return;
	if (t_map_at(self->fd, self->id, self->dev.own, T_DMA_OWN_BYTES, T_RW,
		     self->dev.own_iova) != -EEXIST)
		EXPECT_EQ(IOASID_REASON_NONE, t_extack.code) TH_LOG("%s", t_explain());
	EXPECT_EQ(1, t_dma_reads(&self->dev, iova, page));
}

static int maps_and_exits(void *arg)
{
	FIXTURE_DATA(space) *self = arg;
	char *mem = t_memory(T_ANON, LEN);

	T_CHECK(mem);
	t_fill(mem, LEN, 77);
	T_CHECK(!t_map_at(self->fd, self->id, mem, LEN, T_RW, SPACE_AT));
	return 0;
}

/* A context is shared with a child like any open file; its memory stays when it goes */
TEST_F(space, child_maps_and_exits)
{
	ASSERT_EQ(0, t_child(maps_and_exits, self));
	EXPECT_EQ(1, t_nr_mappings(self->fd));
	if (self->pins >= 0)
		EXPECT_EQ(self->pins + 4, t_pinned_pages());
	t_fill(self->mem, T_PAGE, 77);
	expect_device_sees(_metadata, self, SPACE_AT, self->mem);
	EXPECT_EQ((long long)LEN, t_unmap(self->fd, self->id, SPACE_AT, LEN));
}

static int unmaps(void *arg)
{
	FIXTURE_DATA(space) *self = arg;

	T_CHECK(t_unmap(self->fd, self->id, SPACE_AT, LEN) == LEN);
	return 0;
}

TEST_F(space, child_unmaps)
{
	ASSERT_OK(t_map_at(self->fd, self->id, self->mem, LEN, T_RW, SPACE_AT));
	ASSERT_EQ(0, t_child(unmaps, self));
	EXPECT_EQ(0, t_nr_mappings(self->fd));
	EXPECT_EQ(0, t_pinned(self->fd));
}

struct two_pipes {
	FIXTURE_DATA(space) *self;
	int up[2];
	int down[2];
};

static int scribbles(void *arg)
{
	struct two_pipes *p = arg;
	char byte = 0;

	memset(p->self->mem, 0x99, LEN);
	T_CHECK(write(p->up[1], &byte, 1) == 1);
	T_CHECK(read(p->down[0], &byte, 1) == 1);
	/* What the device wrote to the parent's page in the meantime is not here */
	T_CHECK(t_not_byte(p->self->mem, LEN, 0x99) == -1);
	return 0;
}

/*
 * After a fork the first writer of a page gets a copy. For pages that a device
 * reaches that must be the child, always.
 */
TEST_F(space, fork_leaves_the_pages_to_the_parent)
{
	struct two_pipes p = { .self = self };
	u64 before[4], after[4];
	char byte = 0;
	pid_t pid;

	NEED_FRAMES();
	ASSERT_EQ(0, pipe(p.up));
	ASSERT_EQ(0, pipe(p.down));
	t_fill(self->mem, LEN, 1);
	ASSERT_OK(t_map_at(self->fd, self->id, self->mem, LEN, T_RW, SPACE_AT));
	frames(self->mem, before, 4);
	pid = t_fork(scribbles, &p);
	ASSERT_EQ(1, read(p.up[0], &byte, 1));
	EXPECT_EQ(-1, t_differs(self->mem, LEN, 1));
	t_fill(self->mem, LEN, 2);
	frames(self->mem, after, 4);
	EXPECT_EQ(0, memcmp(before, after, sizeof(before)));
	expect_device_sees(_metadata, self, SPACE_AT, self->mem);
	if (variant->attached)
		EXPECT_EQ(1, t_dma_writes(&self->dev, SPACE_AT, self->mem));
	ASSERT_EQ(1, write(p.down[1], &byte, 1));
	EXPECT_EQ(0, t_wait(pid));
}

/* The same when the device may only read, so that nothing says "written" */
TEST_F(space, fork_with_read_only_mapping)
{
	struct two_pipes p = { .self = self };
	u64 before[4], after[4];
	char byte = 0;
	pid_t pid;

	NEED_FRAMES();
	ASSERT_EQ(0, pipe(p.up));
	ASSERT_EQ(0, pipe(p.down));
	ASSERT_OK(t_map_at(self->fd, self->id, self->mem, LEN, IOASID_MAP_READ, SPACE_AT));
	frames(self->mem, before, 4);
	pid = t_fork(scribbles, &p);
	ASSERT_EQ(1, read(p.up[0], &byte, 1));
	t_fill(self->mem, LEN, 3);
	frames(self->mem, after, 4);
	EXPECT_EQ(0, memcmp(before, after, sizeof(before)));
	expect_device_sees(_metadata, self, SPACE_AT, self->mem);
	ASSERT_EQ(1, write(p.down[1], &byte, 1));
	EXPECT_EQ(0, t_wait(pid));
}

/* This program again, as what a test execs: keeps what it has inherited until it is released */
static __attribute__((constructor)) void exec_helper(void)
{
	const char *arg = getenv("IOASID_TEST_EXEC");
	int ctx, up, down;
	char byte = 0;

	if (!arg || sscanf(arg, "%d %d %d", &ctx, &up, &down) != 3)
		return;
	if (ctx >= 0 && (t_nr_mappings(ctx) != 1 || t_pinned(ctx) != LEN))
		_exit(1);
	if (write(up, &byte, 1) != 1 || read(down, &byte, 1) != 1)
		_exit(2);
	_exit(0);
}

struct exec_args {
	struct two_pipes p;
	bool keep;	/* the context over the exec */
};

static int maps_and_execs(void *arg)
{
	struct exec_args *e = arg;
	char *mem = t_memory(T_ANON, LEN), text[64];
	int fd = t_open();
	u32 id;

	T_CHECK(fd >= 0 && mem);
	T_CHECK(!t_alloc(fd, &id));
	T_CHECK(!t_map_at(fd, id, mem, LEN, T_RW, SPACE_AT));
	if (e->keep)
		T_CHECK(!fcntl(fd, F_SETFD, 0));
	snprintf(text, sizeof(text), "%d %d %d", e->keep ? fd : -1, e->p.up[1], e->p.down[0]);
	setenv("IOASID_TEST_EXEC", text, 1);
	execl("/proc/self/exe", "exec-helper", NULL);
	return 1;
}

static void exec_test(struct __test_metadata *_metadata, FIXTURE_DATA(space) *self, bool keep)
{
	struct exec_args e = { .keep = keep };
	char byte = 0;
	pid_t pid;

	ASSERT_EQ(0, pipe(e.p.up));
	ASSERT_EQ(0, pipe(e.p.down));
	pid = t_fork(maps_and_execs, &e);
	close(e.p.up[1]);
	ASSERT_EQ(1, read(e.p.up[0], &byte, 1));
	if (self->pins >= 0)
		EXPECT_EQ(self->pins + (keep ? 4 : 0), t_pinned_pages());
	ASSERT_EQ(1, write(e.p.down[1], &byte, 1));
	EXPECT_EQ(0, t_wait(pid));
	if (self->pins >= 0)
		EXPECT_EQ(self->pins, t_pinned_pages());
}

/* The memory of the old program is pinned for as long as the new one has the context */
TEST_F(space, exec_with_the_context)
{
	exec_test(_metadata, self, true);
}

TEST_F(space, exec_closes_the_context)
{
	exec_test(_metadata, self, false);
}

TEST_F(space, mremap)
{
	struct ioasid_translate tr;
	char *to = t_memory(T_ANON, LEN), *moved;
	u64 before[4], after[4];

	NEED_FRAMES();
	t_fill(self->mem, LEN, 4);
	ASSERT_OK(t_map_at(self->fd, self->id, self->mem, LEN, T_RW, SPACE_AT));
	frames(self->mem, before, 4);
	moved = mremap(self->mem, LEN, LEN, MREMAP_MAYMOVE | MREMAP_FIXED, to);
	ASSERT_EQ(to, moved);
	frames(moved, after, 4);
	EXPECT_EQ(0, memcmp(before, after, sizeof(before)));
	EXPECT_EQ(-1, t_differs(moved, LEN, 4));
	expect_device_sees(_metadata, self, SPACE_AT, moved);
	/* It is reported by the address it was mapped with */
	ASSERT_OK(t_translate(self->fd, self->id, SPACE_AT, 0, &tr));
	EXPECT_EQ((uintptr_t)self->mem, tr.addr);
	EXPECT_EQ((long long)LEN, t_unmap(self->fd, self->id, SPACE_AT, LEN));
}

/* The memory is gone, the pages are not: they are the device's until it is unmapped */
TEST_F(space, munmap_after_map)
{
	char *again;

	t_fill(self->mem, LEN, 5);
	ASSERT_OK(t_map_at(self->fd, self->id, self->mem, LEN, T_RW, SPACE_AT));
	ASSERT_EQ(0, munmap(self->mem, LEN));
	again = mmap(self->mem, LEN, PROT_READ | PROT_WRITE,
		     MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0);
	ASSERT_EQ(self->mem, again);
	memset(again, 0x11, LEN);
	if (self->pins >= 0)
		EXPECT_EQ(self->pins + 4, t_pinned_pages());
	t_fill(self->mem + LEN, T_PAGE, 5);
	expect_device_sees(_metadata, self, SPACE_AT, self->mem + LEN);
	if (variant->attached)
		EXPECT_EQ(0, t_dma_writes(&self->dev, SPACE_AT, again));
	EXPECT_EQ(-1, t_not_byte(again, LEN, 0x11));
	/* The new memory at the same address is another mapping altogether */
	ASSERT_OK(t_map_at(self->fd, self->id, again, LEN, T_RW, SPACE_AT + T_HUGE));
	expect_device_sees(_metadata, self, SPACE_AT + T_HUGE, again);
	EXPECT_EQ((long long)LEN, t_unmap(self->fd, self->id, SPACE_AT, LEN));
}

TEST_F(space, madvise_dontneed_after_map)
{
	t_fill(self->mem, LEN, 6);
	ASSERT_OK(t_map_at(self->fd, self->id, self->mem, LEN, T_RW, SPACE_AT));
	ASSERT_EQ(0, madvise(self->mem, LEN, MADV_DONTNEED));
	EXPECT_EQ(-1, t_not_byte(self->mem, LEN, 0));
	t_fill(self->mem + LEN, T_PAGE, 6);
	expect_device_sees(_metadata, self, SPACE_AT, self->mem + LEN);
	EXPECT_EQ((long long)LEN, t_unmap(self->fd, self->id, SPACE_AT, LEN));
}

/* --- death ---------------------------------------------------------------- */

#define BIG	(64ULL << 20)

struct victim {
	char *mem;		/* BIG, shared: it need not be filled each time */
	FIXTURE_DATA(space) *self;
	int ready;
};

static int maps_for_ever(void *arg)
{
	struct victim *v = arg;
	int fd = t_open();
	char byte = 0;
	u32 id;

	T_CHECK(fd >= 0);
	T_CHECK(!t_alloc(fd, &id));
	T_CHECK(write(v->ready, &byte, 1) == 1);
	for (;;) {
		T_CHECK(!t_map_at(fd, id, v->mem, BIG, T_RW, SPACE_AT));
		T_CHECK(t_unmap_all(fd, id) == BIG);
	}
}

/* Killed at any moment of mapping and unmapping much memory */
TEST_F_TIMEOUT(space, kill_while_mapping, 300)
{
	unsigned int i, nr = t_rounds(16);
	struct victim v = { .self = self };
	int ready[2];
	char byte;

	NEED(self->pins >= 0, "the kernel does not count pinned pages");
	v.mem = t_memory(T_SHARED, BIG);
	NEED(v.mem, "not enough memory");
	ASSERT_EQ(0, pipe(ready));
	v.ready = ready[1];
	for (i = 0; i < nr; i++) {
		uint64_t killed;
		pid_t pid = t_fork(maps_for_ever, &v);

		ASSERT_EQ(1, read(ready[0], &byte, 1));
		t_let_others_work(5 + i * 368 / nr);
		killed = t_now_ns();
		ASSERT_EQ(0, kill(pid, SIGKILL));
		EXPECT_EQ(-SIGKILL, t_wait(pid));
		EXPECT_WITHIN_MS(10000, killed);
		ASSERT_EQ(self->pins, t_pinned_pages()) TH_LOG("round %u", i);
	}
}

static int maps_with_device(void *arg)
{
	struct victim *v = arg;
	char byte = 0;

	T_CHECK(write(v->ready, &byte, 1) == 1);
	for (;;) {
		T_CHECK(!t_map_at(v->self->fd, v->self->id, v->mem, BIG, T_RW, SPACE_AT));
		T_CHECK(t_unmap(v->self->fd, v->self->id, SPACE_AT, BIG) == BIG);
	}
}

/*
 * The same in a space that outlives the killed: a command that was cut short
 * has either mapped all or nothing, and the space works on.
 */
TEST_F_TIMEOUT(space, kill_while_mapping_shared_context, 300)
{
	struct victim v = { .self = self };
	unsigned int i, rounds = t_rounds(8);
	u64 nr, mapped;
	int ready[2];
	char byte;

	v.mem = t_memory(T_SHARED, BIG);
	NEED(v.mem, "not enough memory");
	ASSERT_EQ(0, pipe(ready));
	v.ready = ready[1];
	for (i = 0; i < rounds; i++) {
		pid_t pid = t_fork(maps_with_device, &v);

		ASSERT_EQ(1, read(ready[0], &byte, 1));
		t_let_others_work(10 + i * 248 / rounds);
		ASSERT_EQ(0, kill(pid, SIGKILL));
		EXPECT_EQ(-SIGKILL, t_wait(pid));
		nr = t_nr_mappings(self->fd);
		mapped = t_mapped(self->fd);
		EXPECT_LE(nr, 1);
		EXPECT_EQ(nr * BIG, mapped);
		EXPECT_EQ(mapped, t_pinned(self->fd));
		EXPECT_EQ((long long)mapped, t_unmap_all(self->fd, self->id));
		if (self->pins >= 0)
			ASSERT_EQ(self->pins, t_pinned_pages()) TH_LOG("round %u", i);
		ASSERT_OK(t_map_at(self->fd, self->id, self->mem, LEN, T_RW, SPACE_AT));
		ASSERT_EQ((long long)LEN, t_unmap_all(self->fd, self->id));
	}
}

#define VECTOR	20000

static int maps_vectors(void *arg)
{
	struct ioasid_map_range *r = calloc(VECTOR, sizeof(*r));
	struct ioasid_unmap_range *u = calloc(VECTOR, sizeof(*u));
	struct victim *v = arg;
	char byte = 0;
	int i;

	for (i = 0; i < VECTOR; i++) {
		r[i] = (struct ioasid_map_range){ SPACE_AT + i * 2 * T_PAGE,
						  (uintptr_t)v->mem + i % 8 * T_PAGE, T_PAGE,
						  T_FIXED_RW, 0 };
		u[i] = (struct ioasid_unmap_range){ SPACE_AT + i * 2 * T_PAGE, T_PAGE };
	}
	T_CHECK(write(v->ready, &byte, 1) == 1);
	for (;;) {
		T_CHECK(!t_mapv(v->self->fd, v->self->id, r, VECTOR));
		/* Not IOASID_UNMAP_ALL, which leaves the rest if it is killed */
		T_CHECK(t_unmapv(v->self->fd, v->self->id, u, VECTOR) == VECTOR * T_PAGE);
	}
}

/* ... and with a vector of many ranges, which is all there or not at all */
TEST_F_TIMEOUT(space, kill_while_mapping_vector, 300)
{
	struct victim v = { .self = self, .mem = self->mem };
	unsigned int i, rounds = t_rounds(24);
	int ready[2];
	char byte;
	pid_t pid;
	u64 nr;

	ASSERT_EQ(0, pipe(ready));
	v.ready = ready[1];
	for (i = 0; i < rounds; i++) {
		pid = t_fork(maps_vectors, &v);
		ASSERT_EQ(1, read(ready[0], &byte, 1));
		t_let_others_work(i * 408 / rounds);
		ASSERT_EQ(0, kill(pid, SIGKILL));
		EXPECT_EQ(-SIGKILL, t_wait(pid));
		nr = t_nr_mappings(self->fd);
		EXPECT_TRUE(!nr || nr == VECTOR);
		EXPECT_EQ(nr * T_PAGE, t_pinned(self->fd));
		EXPECT_EQ((long long)(nr * T_PAGE), t_unmap_all(self->fd, self->id));
		if (self->pins >= 0)
			ASSERT_EQ(self->pins, t_pinned_pages()) TH_LOG("round %u", i);
		/* Nothing invisible is left in the way either */
		ASSERT_OK(t_map_at(self->fd, self->id, self->mem, SPACE_PAGES * T_PAGE, T_RW, SPACE_AT));
		ASSERT_LT(0, t_unmap_all(self->fd, self->id));
	}
}

static int many_mappings(void *arg)
{
	struct ioasid_map_range *r = calloc(20000, sizeof(*r));
	struct victim *v = arg;
	int fd = t_open(), i;
	char byte = 0;
	u32 id;

	T_CHECK(fd >= 0);
	T_CHECK(!t_alloc(fd, &id));
	for (i = 0; i < 20000; i++)
		r[i] = (struct ioasid_map_range){ 0, (uintptr_t)v->mem, T_PAGE, T_RW, 0 };
	T_CHECK(!t_mapv(fd, id, r, 20000));
	T_CHECK(write(v->ready, &byte, 1) == 1);
	pause();
	return 1;
}

TEST_F(space, kill_with_many_mappings)
{
	struct victim v = { .self = self, .mem = self->mem };
	int ready[2];
	char byte;
	pid_t pid;

	NEED(self->pins >= 0, "the kernel does not count pinned pages");
	ASSERT_EQ(0, pipe(ready));
	v.ready = ready[1];
	pid = t_fork(many_mappings, &v);
	ASSERT_EQ(1, read(ready[0], &byte, 1));
	EXPECT_EQ(self->pins + 20000, t_pinned_pages());
	ASSERT_EQ(0, kill(pid, SIGKILL));
	EXPECT_EQ(-SIGKILL, t_wait(pid));
	EXPECT_EQ(self->pins, t_pinned_pages());
}

/* --- memory whose pages come late ------------------------------------------ */

struct late {
	FIXTURE_DATA(space) *self;
	char *mem;		/* LEN; touching it waits for resolve() */
	int uffd;
	int done;		/* a pipe: written to when nobody has to be rescued any more */
	int ret;
};

static int make_late(struct late *l)
{
	struct uffdio_api api = { .api = UFFD_API };
	struct uffdio_register reg = { .mode = UFFDIO_REGISTER_MODE_MISSING };

	l->mem = mmap(NULL, LEN, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	l->uffd = syscall(SYS_userfaultfd, O_CLOEXEC);
	if (l->mem == MAP_FAILED || l->uffd < 0 || ioctl(l->uffd, UFFDIO_API, &api))
		return -1;
	reg.range.start = (uintptr_t)l->mem;
	reg.range.len = LEN;
	return ioctl(l->uffd, UFFDIO_REGISTER, &reg);
}

/* Somebody waits for a page of it: true once that is so */
static bool awaited(struct late *l)
{
	struct uffd_msg msg;

	return read(l->uffd, &msg, sizeof(msg)) == sizeof(msg) &&
	       msg.event == UFFD_EVENT_PAGEFAULT;
}

static void resolve(struct late *l)
{
	struct uffdio_zeropage zero = { .range = { .start = (uintptr_t)l->mem, .len = LEN } };

	ioctl(l->uffd, UFFDIO_ZEROPAGE, &zero);
}

static void *maps_late(void *arg)
{
	struct late *l = arg;

	l->ret = t_map_at(l->self->fd, l->self->id, l->mem, LEN, T_RW, SPACE_AT);
	return NULL;
}

/* If a command waits for the memory, it would wait for ever */
static void *resolves_after_a_minute(void *arg)
{
	struct late *l = arg;

	if (!t_readable(l->done, 5000))
		resolve(l);
	return NULL;
}

/*
 * A MAP that waits for memory (swap, a network, another program) holds up
 * nobody: not the context, not the space, not even its close neighbours.
 */
TEST_F(space, slow_memory_delays_only_its_own_map)
{
	struct ioasid_iova_range reserve = { 0, T_PAGE - 1 };
	struct late l = { .self = self };
	pthread_t mapper, saviour;
	struct ioasid_translate tr;
	uint64_t start;
	int done[2];
	u32 other;

	NEED(!make_late(&l), "no userfaultfd: %s", strerror(errno));
	ASSERT_EQ(0, pipe(done));
	l.done = done[0];
	ASSERT_OK(t_map_at(self->fd, self->id, self->mem, LEN, T_RW, SPACE_AT - LEN));
	ASSERT_EQ(0, pthread_create(&mapper, NULL, maps_late, &l));
	ASSERT_TRUE(awaited(&l));
	ASSERT_EQ(0, pthread_create(&saviour, NULL, resolves_after_a_minute, &l));
	start = t_now_ns();
	EXPECT_OK(t_alloc(self->fd, &other));
	EXPECT_OK(t_map_at(self->fd, other, self->mem, LEN, T_RW, SPACE_AT));
	EXPECT_OK(t_free(self->fd, other));
	EXPECT_OK(t_map_at(self->fd, self->id, self->mem, LEN, T_RW, SPACE_AT + LEN));
	EXPECT_OK(t_translate(self->fd, self->id, SPACE_AT - LEN, 0, &tr));
	EXPECT_EQ((long long)LEN, t_unmap(self->fd, self->id, SPACE_AT - LEN, LEN));
	EXPECT_OK(t_reserve(self->fd, self->id, &reserve, 1));
	if (variant->attached) {
		EXPECT_OK(t_vfio_detach(&self->dev.vfio));
		EXPECT_OK(t_vfio_attach(&self->dev.vfio, self->fd, self->id, 0));
	}
	/* What has not come yet is not there */
	EXPECT_EQ(1, t_nr_mappings(self->fd));
	EXPECT_FAIL(ENOENT, NOT_MAPPED, t_translate(self->fd, self->id, SPACE_AT, 0, &tr));
	EXPECT_EQ(-ENOENT, t_unmap(self->fd, self->id, SPACE_AT, LEN)) TH_LOG("%s", t_explain());
	EXPECT_WITHIN_MS(4000, start);
	ASSERT_EQ(1, write(done[1], "", 1));
	pthread_join(saviour, NULL);
	resolve(&l);
	pthread_join(mapper, NULL);
	EXPECT_EQ(0, l.ret);
	EXPECT_OK(t_translate(self->fd, self->id, SPACE_AT, 0, &tr));
	EXPECT_EQ((uintptr_t)l.mem, tr.addr);
}

/* ... and who comes late may find its place taken, or the space gone */
TEST_F(space, slow_memory_comes_too_late)
{
	struct late l = { .self = self };
	pthread_t mapper;
	struct ioasid_translate tr;

	NEED(!make_late(&l), "no userfaultfd: %s", strerror(errno));
	ASSERT_EQ(0, pthread_create(&mapper, NULL, maps_late, &l));
	ASSERT_TRUE(awaited(&l));
	ASSERT_OK(t_map_at(self->fd, self->id, self->mem, T_PAGE, T_RW, SPACE_AT + T_PAGE));
	resolve(&l);
	pthread_join(mapper, NULL);
	EXPECT_EQ(-EEXIST, l.ret);
	EXPECT_OK(t_translate(self->fd, self->id, SPACE_AT + T_PAGE, 0, &tr));
	EXPECT_EQ((uintptr_t)self->mem, tr.addr);
	EXPECT_EQ(T_PAGE, t_pinned(self->fd));
}

TEST_F(space, space_freed_while_memory_comes)
{
	struct late l = { .self = self };
	pthread_t mapper;

	NEED(!make_late(&l), "no userfaultfd: %s", strerror(errno));
	if (variant->attached)
		ASSERT_OK(t_vfio_detach(&self->dev.vfio));
	ASSERT_EQ(0, pthread_create(&mapper, NULL, maps_late, &l));
	ASSERT_TRUE(awaited(&l));
	ASSERT_OK(t_free(self->fd, self->id));
	resolve(&l);
	pthread_join(mapper, NULL);
	EXPECT_EQ(-ENOENT, l.ret);
	EXPECT_EQ(0, t_pinned(self->fd));
	if (self->pins >= 0)
		EXPECT_EQ(self->pins, t_pinned_pages());
}

/* ... and its array of ranges, which the kernel writes to, may have changed */
struct late_array {
	struct late l;
	struct ioasid_map_range *range;	/* in a page of its own */
	int nr;
};

static int make_array(struct late_array *a, int nr)
{
	int fd = memfd_create("ranges", MFD_CLOEXEC), i;

	a->nr = nr;
	if (fd < 0 || ftruncate(fd, T_PAGE))
		return -1;
	a->range = mmap(NULL, T_PAGE, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	close(fd);
	if (a->range == MAP_FAILED)
		return -1;
	for (i = 0; i < nr; i++)
		a->range[i] = (struct ioasid_map_range){
			.addr = (uintptr_t)a->l.self->mem + i * T_PAGE,
			.length = T_PAGE, .flags = T_RW,
		};
	/* The last one waits */
	a->range[nr - 1].addr = (uintptr_t)a->l.mem;
	return 0;
}

static void *maps_late_array(void *arg)
{
	struct late_array *a = arg;

	a->l.ret = t_mapv(a->l.self->fd, a->l.self->id, a->range, a->nr);
	if (a->l.ret == -EFAULT && t_extack.code != IOASID_REASON_POINTER)
		a->l.ret = -EINVAL;
	return NULL;
}

static void map_late_array(struct __test_metadata *_metadata, FIXTURE_DATA(space) *self, int nr,
			   bool gone)
{
	struct late_array a = { .l.self = self };
	struct ioasid_translate tr;
	pthread_t mapper;
	int i;

	NEED(!make_late(&a.l), "no userfaultfd: %s", strerror(errno));
	ASSERT_EQ(0, make_array(&a, nr));
	ASSERT_EQ(0, pthread_create(&mapper, NULL, maps_late_array, &a));
	ASSERT_TRUE(awaited(&a.l));
	/* Gone for good, or only from the page table, as when it is swapped out */
	ASSERT_EQ(0, gone ? mprotect(a.range, T_PAGE, PROT_READ) :
			    madvise(a.range, T_PAGE, MADV_DONTNEED));
	resolve(&a.l);
	pthread_join(mapper, NULL);
	EXPECT_EQ(gone ? -EFAULT : 0, a.l.ret);
	EXPECT_EQ(gone ? 0 : nr, t_nr_mappings(self->fd));
	EXPECT_EQ(gone ? 0 : nr * T_PAGE, t_pinned(self->fd));
	if (gone && self->pins >= 0)
		EXPECT_EQ(self->pins, t_pinned_pages());
	for (i = 0; i < nr && !gone; i++) {
		ASSERT_OK(t_translate(self->fd, self->id, a.range[i].iova, 0, &tr));
		EXPECT_EQ(a.range[i].addr, tr.addr);
	}
	EXPECT_EQ(gone ? 0 : (long long)(nr * T_PAGE), t_unmap_all(self->fd, self->id));
}

/* Where no IOVA can be reported, nothing is mapped */
TEST_F(space, array_becomes_read_only_while_memory_comes)
{
	map_late_array(_metadata, self, 1, true);
	map_late_array(_metadata, self, 7, true);
}

TEST_F(space, array_is_swapped_out_while_memory_comes)
{
	map_late_array(_metadata, self, 1, false);
	map_late_array(_metadata, self, 7, false);
}

static int waits_for_memory(void *arg)
{
	struct late *l = arg;

	t_map_at(l->self->fd, l->self->id, l->mem, LEN, T_RW, SPACE_AT);
	return 1;
}

/* ... and can be killed while it waits, leaving the place free */
TEST_F(space, kill_while_waiting_for_memory)
{
	struct late l = { .self = self };
	uint64_t killed;
	pid_t pid;

	/* The registration does not follow a fork: the child shares the memory */
	NEED(!make_late(&l), "no userfaultfd: %s", strerror(errno));
	pid = clone(waits_for_memory, self->mem + SPACE_PAGES * T_PAGE, CLONE_VM | SIGCHLD, &l);
	ASSERT_GT(pid, 0);
	ASSERT_TRUE(awaited(&l));
	killed = t_now_ns();
	ASSERT_EQ(0, kill(pid, SIGKILL));
	EXPECT_EQ(-SIGKILL, t_wait(pid));
	EXPECT_WITHIN_MS(4000, killed);
	EXPECT_EQ(0, t_nr_mappings(self->fd));
	EXPECT_EQ(0, t_pinned(self->fd));
	EXPECT_OK(t_map_at(self->fd, self->id, self->mem, LEN, T_RW, SPACE_AT));
}

/* --- others ---------------------------------------------------------------- */

static int same_id_elsewhere(void *arg)
{
	FIXTURE_DATA(space) *self = arg;
	int fd = t_open();
	u32 id = 0;

	T_CHECK(fd >= 0);
	while (id < self->id)
		T_CHECK(!t_alloc(fd, &id));
	T_CHECK(id == self->id);
	T_CHECK(t_unmap(fd, id, SPACE_AT, LEN) == -ENOENT);
	T_CHECK(!t_map_at(fd, id, self->mem, LEN, T_RW, SPACE_AT));
	T_CHECK(t_unmap_all(fd, id) == LEN);
	T_CHECK(!t_free(fd, id));
	return 0;
}

/* Two programs whose spaces have the same number have nothing in common */
TEST_F(space, equal_ids_in_two_processes)
{
	struct ioasid_translate tr;

	ASSERT_OK(t_map_at(self->fd, self->id, self->mem, LEN, T_RW, SPACE_AT));
	EXPECT_EQ(0, t_child(same_id_elsewhere, self));
	EXPECT_EQ(1, t_nr_mappings(self->fd));
	ASSERT_OK(t_translate(self->fd, self->id, SPACE_AT, 0, &tr));
	EXPECT_EQ((uintptr_t)self->mem, tr.addr);
	t_fill(self->mem, LEN, 8);
	expect_device_sees(_metadata, self, SPACE_AT, self->mem);
}

struct passer {
	int socket;
	int fd;
};

static int sends_a_context(void *arg)
{
	char byte = 0, control[CMSG_SPACE(sizeof(int))] = { 0 };
	struct iovec iov = { .iov_base = &byte, .iov_len = 1 };
	struct msghdr msg = { .msg_iov = &iov, .msg_iovlen = 1,
			      .msg_control = control, .msg_controllen = sizeof(control) };
	struct cmsghdr *head = CMSG_FIRSTHDR(&msg);
	char *mem = t_memory(T_ANON, LEN);
	struct passer *p = arg;
	int fd = t_open();
	u32 id;

	T_CHECK(fd >= 0 && mem);
	T_CHECK(!t_alloc(fd, &id));
	T_CHECK(!t_map_at(fd, id, mem, LEN, T_RW, SPACE_AT));
	head->cmsg_level = SOL_SOCKET;
	head->cmsg_type = SCM_RIGHTS;
	head->cmsg_len = CMSG_LEN(sizeof(fd));
	memcpy(CMSG_DATA(head), &fd, sizeof(fd));
	T_CHECK(sendmsg(p->socket, &msg, 0) == 1);
	return 0;
}

/* A context in a message, its maker long dead */
TEST_F(space, context_passed_over_a_socket)
{
	char byte, control[CMSG_SPACE(sizeof(int))];
	struct iovec iov = { .iov_base = &byte, .iov_len = 1 };
	struct msghdr msg = { .msg_iov = &iov, .msg_iovlen = 1,
			      .msg_control = control, .msg_controllen = sizeof(control) };
	struct passer p;
	int pair[2], fd;

	ASSERT_EQ(0, socketpair(AF_UNIX, SOCK_STREAM, 0, pair));
	p.socket = pair[1];
	ASSERT_EQ(0, t_child(sends_a_context, &p));
	if (self->pins >= 0)
		EXPECT_EQ(self->pins + 4, t_pinned_pages());
	ASSERT_EQ(1, recvmsg(pair[0], &msg, 0));
	memcpy(&fd, CMSG_DATA(CMSG_FIRSTHDR(&msg)), sizeof(fd));
	EXPECT_EQ(LEN, t_pinned(fd));
	close(fd);
	if (self->pins >= 0)
		EXPECT_EQ(self->pins, t_pinned_pages());
	/* And one that nobody ever took out of the socket */
	ASSERT_EQ(0, t_child(sends_a_context, &p));
	close(pair[0]);
	close(pair[1]);
	if (self->pins >= 0)
		EXPECT_EQ(self->pins, t_pinned_pages_settled(self->pins));
}

struct closer {
	int fd;
	u32 id;
	char *mem;
	bool stop;
};

static void *maps_until_closed(void *arg)
{
	struct closer *c = arg;

	while (!__atomic_load_n(&c->stop, __ATOMIC_RELAXED)) {
		t_map_at(c->fd, c->id, c->mem, 64 * T_PAGE, T_RW, SPACE_AT);
		t_unmap_all(c->fd, c->id);
	}
	return NULL;
}

/* close() in one thread while another is inside a command */
TEST_F(space, close_while_mapping)
{
	struct closer c = { .mem = self->mem };
	pthread_t thread;
	int i;

	for (i = 0; i < 30; i++) {
		c.fd = t_open();
		c.stop = false;
		ASSERT_FD(c.fd);
		ASSERT_OK(t_alloc(c.fd, &c.id));
		ASSERT_EQ(0, pthread_create(&thread, NULL, maps_until_closed, &c));
		t_let_others_work(i);
		close(c.fd);
		__atomic_store_n(&c.stop, true, __ATOMIC_RELAXED);
		pthread_join(thread, NULL);
		if (self->pins >= 0)
			ASSERT_EQ(self->pins, t_pinned_pages());
	}
}

TEST_HARNESS_MAIN
