// SPDX-License-Identifier: GPL-2.0
/*
 * Memory that others use while it is pinned: huge pages of a file that are
 * reserved, limited, made and cut at the same time, and memory that must be moved
 * before it may stay, by two who pin it at once. The counters of huge pages are
 * never wrong, and nobody loses what he has reserved.
 */
#include <fcntl.h>
#include <linux/falloc.h>
#include <linux/memfd.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdatomic.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/time.h>
#include <sys/uio.h>

#include "harness.h"

/* --- huge pages of a file ------------------------------------------------------- */

#define HUGE_PAGES	4		/* of the file */
#define HUGE_POOL	8
#define HUGE_LEN	(HUGE_PAGES * T_HUGE)

struct pool {
	long total, free, reserved, surplus;
};

static long pool_number(const char *name)
{
	char path[128], text[32];

	snprintf(path, sizeof(path), "/sys/kernel/mm/hugepages/hugepages-2048kB/%s_hugepages",
		 name);
	return t_read_file(path, text, sizeof(text)) < 0 ? -1 : strtol(text, NULL, 10);
}

static struct pool pool(void)
{
	return (struct pool) {
		.total = pool_number("nr"),
		.free = pool_number("free"),
		.reserved = pool_number("resv"),
		.surplus = pool_number("surplus"),
	};
}

/* The pool is as it was at @before, but for @used pages that are not free any more */
#define EXPECT_POOL(before, used) do {						\
	struct pool __now = pool();						\
										\
	EXPECT_EQ((before).reserved, __now.reserved);				\
	EXPECT_EQ((before).free - (used), __now.free);				\
	EXPECT_EQ((before).total, __now.total);					\
	EXPECT_EQ((before).surplus, __now.surplus);				\
} while (0)

static int huge_file(unsigned int pages)
{
	int fd = memfd_create("ioasid-test", MFD_CLOEXEC | MFD_ALLOW_SEALING | MFD_HUGETLB |
			      MFD_HUGE_2MB);

	if (fd >= 0 && ftruncate(fd, pages * T_HUGE)) {
		close(fd);
		return -1;
	}
	return fd;
}

FIXTURE(huge) {
	int fd;
	u32 id;
	int file;		/* of huge pages, none of which is there */
	struct pool before;
	long pins;		/* of the whole system, before */
};

FIXTURE_SETUP(huge)
{
	self->fd = t_open();
	ASSERT_FD(self->fd);
	ASSERT_OK(t_alloc(self->fd, &self->id));
	NEED(t_hugetlb_room(HUGE_POOL), "no huge pages in the pool");
	self->pins = t_pinned_pages();
	self->before = pool();
	self->file = huge_file(HUGE_PAGES);
	ASSERT_FD(self->file);
}

FIXTURE_TEARDOWN(huge)
{
	close(self->file);
	close(self->fd);
	EXPECT_POOL(self->before, 0);
	if (self->pins >= 0)
		EXPECT_EQ(self->pins, t_pinned_pages());
}

static int map_file(int fd, u32 id, int file, u64 offset, u64 length, u32 flags)
{
	u64 iova;

	return t_map_file(fd, id, file, offset, length, flags, &iova);
}

#define MAP_HUGE(flags)	map_file(self->fd, self->id, self->file, 0, HUGE_LEN, flags)

#define EXPECT_NOTHING_MAPPED() do {						\
	EXPECT_EQ(0, t_nr_mappings(self->fd));					\
	EXPECT_EQ(0, t_pinned(self->fd));					\
	if (self->pins >= 0)							\
		EXPECT_EQ(self->pins, t_pinned_pages());			\
} while (0)

static char *see(int file, u64 len)
{
	char *mem = mmap(NULL, len, PROT_READ | PROT_WRITE, MAP_SHARED, file, 0);

	return mem == MAP_FAILED ? NULL : mem;
}

TEST_F(huge, untouched)
{
	char *mem;

	ASSERT_OK(MAP_HUGE(T_RW));
	EXPECT_POOL(self->before, HUGE_PAGES);
	EXPECT_EQ(HUGE_LEN, t_pinned(self->fd));
	mem = see(self->file, HUGE_LEN);
	ASSERT_NE(NULL, mem);
	EXPECT_EQ(-1, t_not_byte(mem, HUGE_LEN, 0));
	EXPECT_EQ(0, munmap(mem, HUGE_LEN));
	EXPECT_EQ((long long)HUGE_LEN, t_unmap_all(self->fd, self->id));
	EXPECT_NOTHING_MAPPED();
	/* As after fallocate(): what was made belongs to the file */
	EXPECT_POOL(self->before, HUGE_PAGES);
	EXPECT_EQ(0, ftruncate(self->file, 0));
	EXPECT_POOL(self->before, 0);
}

/* The page at the border alone is as good as the whole file */
TEST_F(huge, untouched_part)
{
	ASSERT_OK(map_file(self->fd, self->id, self->file, T_HUGE - T_PAGE, 2 * T_PAGE, T_RW));
	EXPECT_POOL(self->before, 2);
	EXPECT_EQ(2 * T_PAGE, t_pinned(self->fd));
	EXPECT_EQ(2 * (long long)T_PAGE, t_unmap_all(self->fd, self->id));
}

TEST_F(huge, holes_between_pages)
{
	char *mem = see(self->file, HUGE_LEN);
	int i;

	ASSERT_NE(NULL, mem);
	for (i = 1; i < HUGE_PAGES; i += 2)
		t_fill(mem + i * T_HUGE, T_PAGE, i);
	ASSERT_OK(MAP_HUGE(T_RW));
	EXPECT_POOL(self->before, HUGE_PAGES);
	for (i = 0; i < HUGE_PAGES; i++)
		EXPECT_EQ(-1, i % 2 ? t_differs(mem + i * T_HUGE, T_PAGE, i) :
			  t_not_byte(mem + i * T_HUGE, T_PAGE, 0));
	EXPECT_EQ(0, munmap(mem, HUGE_LEN));
}

TEST_F(huge, open_for_reading_only)
{
	char path[64];
	int ro;

	snprintf(path, sizeof(path), "/proc/self/fd/%d", self->file);
	ro = open(path, O_RDONLY | O_CLOEXEC);
	ASSERT_FD(ro);
	EXPECT_FAIL(EPERM, PERMISSION, map_file(self->fd, self->id, ro, 0, HUGE_LEN, T_RW));
	EXPECT_POOL(self->before, 0);
	EXPECT_OK(map_file(self->fd, self->id, ro, 0, HUGE_LEN, IOASID_MAP_READ));
	EXPECT_POOL(self->before, HUGE_PAGES);
	close(ro);
}

/* A seal keeps contents and size as they are, and so does a page of zeroes in a hole */
TEST_F(huge, sealed)
{
	ASSERT_EQ(0, fcntl(self->file, F_ADD_SEALS, F_SEAL_WRITE | F_SEAL_FUTURE_WRITE |
			   F_SEAL_GROW | F_SEAL_SHRINK));
	EXPECT_FAIL(EPERM, PERMISSION, MAP_HUGE(T_RW));
	EXPECT_POOL(self->before, 0);
	EXPECT_OK(MAP_HUGE(IOASID_MAP_READ));
	EXPECT_POOL(self->before, HUGE_PAGES);
}

/* What the file has reserved is used, not reserved again */
TEST_F(huge, reserved_for_the_file)
{
	char *mem = see(self->file, HUGE_LEN);

	ASSERT_NE(NULL, mem);
	ASSERT_EQ(self->before.reserved + HUGE_PAGES, pool().reserved);
	ASSERT_OK(MAP_HUGE(T_RW));
	EXPECT_POOL(self->before, HUGE_PAGES);
	EXPECT_EQ(0, munmap(mem, HUGE_LEN));
	EXPECT_EQ((long long)HUGE_LEN, t_unmap_all(self->fd, self->id));
	EXPECT_POOL(self->before, HUGE_PAGES);
}

struct reserver {
	int go[2], done[2];	/* pipes */
	u64 len;
};

/* Reserves, waits, and uses it: a page that is not there any more is SIGBUS */
static int reserve_and_use(void *arg)
{
	struct reserver *r = arg;
	char *mem = mmap(NULL, r->len, PROT_READ | PROT_WRITE,
			 MAP_SHARED | MAP_ANONYMOUS | MAP_HUGETLB, -1, 0);
	char c = 0;

	T_CHECK(mem != MAP_FAILED);
	T_CHECK(write(r->done[1], &c, 1) == 1);
	T_CHECK(read(r->go[0], &c, 1) == 1);
	memset(mem, 1, r->len);
	return 0;
}

/* Another process has reserved all free pages but @left */
static pid_t reserve_but(struct reserver *r, long left)
{
	char c;
	pid_t pid;

	r->len = (pool().free - pool().reserved - left) * T_HUGE;
	if (pipe(r->go) || pipe(r->done))
		return -1;
	pid = t_fork(reserve_and_use, r);
	return read(r->done[0], &c, 1) == 1 ? pid : -1;
}

/* Waits for it to use what it has reserved: 0, or how it failed */
static int reserver_use(struct reserver *r, pid_t pid)
{
	char c = 0;

	if (write(r->go[1], &c, 1) != 1)
		return -1;
	return t_wait(pid);
}

TEST_F(huge, reserved_by_another)
{
	struct reserver r;
	pid_t pid = reserve_but(&r, 0);
	struct pool reserved = pool();

	ASSERT_GT(pid, 0);
	EXPECT_FAIL(ENOMEM, NO_MEMORY, MAP_HUGE(T_RW));
	EXPECT_NOTHING_MAPPED();
	EXPECT_POOL(reserved, 0);
	EXPECT_EQ(0, reserver_use(&r, pid));
}

/* What could be made stays in the file, as fallocate() leaves it */
TEST_F(huge, too_few)
{
	struct reserver r;
	pid_t pid = reserve_but(&r, HUGE_PAGES / 2);
	struct pool reserved = pool();

	ASSERT_GT(pid, 0);
	EXPECT_FAIL(ENOMEM, NO_MEMORY, MAP_HUGE(T_RW));
	EXPECT_NOTHING_MAPPED();
	EXPECT_POOL(reserved, HUGE_PAGES / 2);
	EXPECT_OK(map_file(self->fd, self->id, self->file, 0, HUGE_LEN / 2, T_RW));
	EXPECT_EQ(0, reserver_use(&r, pid));
	/* Now there are enough again */
	EXPECT_OK(MAP_HUGE(T_RW));
}

#define CGROUPS	"/tmp/ioasid-cgroups"
#define LIMITED	CGROUPS "/limited"

static int map_in_cgroup(void *arg)
{
	FIXTURE_DATA(huge) *self = arg;

	T_CHECK(!t_write_file(LIMITED "/cgroup.procs", "0"));
	T_CHECK(MAP_HUGE(T_RW) == -ENOMEM);
	T_CHECK(t_extack.code == IOASID_REASON_NO_MEMORY);
	T_CHECK(!map_file(self->fd, self->id, self->file, 0, T_HUGE, T_RW));
	return 0;
}

static bool cgroups_up(void)
{
	mkdir(CGROUPS, 0700);
	return !mount("none", CGROUPS, "cgroup2", 0, NULL) &&
	       !t_write_file(CGROUPS "/cgroup.subtree_control", "+hugetlb") &&
	       (!mkdir(LIMITED, 0700) || errno == EEXIST) &&
	       !t_write_file(LIMITED "/hugetlb.2MB.max", "2M");
}

static void cgroups_down(void)
{
	rmdir(LIMITED);
	umount2(CGROUPS, MNT_DETACH);
	rmdir(CGROUPS);
}

TEST_F(huge, limit_of_a_cgroup)
{
	bool up = cgroups_up();

	if (up)
		EXPECT_EQ(0, t_child(map_in_cgroup, self));
	cgroups_down();
	NEED(up, "no control groups that limit huge pages");
	EXPECT_EQ(T_HUGE, t_pinned(self->fd));
}

/* --- huge pages of a file that others change ------------------------------------ */

struct changer {
	int file;
	atomic_bool stop;
	atomic_int rounds;
};

static void *punch(void *arg)
{
	struct changer *c = arg;

	while (!c->stop) {
		fallocate(c->file, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, 0, HUGE_LEN);
		c->rounds++;
		sched_yield();
	}
	return NULL;
}

static void *cut(void *arg)
{
	struct changer *c = arg;

	while (!c->stop) {
		if (ftruncate(c->file, T_HUGE) || ftruncate(c->file, HUGE_LEN))
			break;
		c->rounds++;
		sched_yield();
	}
	return NULL;
}

/* Either all is mapped, or nothing and it says why */
static void map_and_change(struct __test_metadata *_metadata, FIXTURE_DATA(huge) *self,
			   void *(*change)(void *), bool cuts)
{
	struct changer c = { .file = self->file };
	int i, ret, mapped = 0;
	pthread_t thread;

	ASSERT_EQ(0, pthread_create(&thread, NULL, change, &c));
	for (i = 0; i < 1000 && (i < 30 || c.rounds < 30); i++) {
		ret = MAP_HUGE(T_RW);
		if (!ret) {
			mapped++;
			EXPECT_EQ((long long)HUGE_LEN, t_unmap_all(self->fd, self->id));
		} else if (!(ret == -EBUSY && t_extack.code == IOASID_REASON_RACE) &&
			   !(cuts && ret == -EINVAL && t_extack.code == IOASID_REASON_VALUE)) {
			EXPECT_OK(ret);
		}
		sched_yield();
	}
	c.stop = true;
	pthread_join(thread, NULL);
	TH_LOG("%d of %d mapped, changed %d times", mapped, i, c.rounds);
	EXPECT_NOTHING_MAPPED();
}

TEST_F(huge, holes_are_punched)
{
	map_and_change(_metadata, self, punch, false);
}

TEST_F(huge, cut_meanwhile)
{
	map_and_change(_metadata, self, cut, true);
}

static atomic_int alarms;

static void on_alarm(int sig)
{
	alarms++;
}

/* Making pages is interrupted by any signal, which is nothing the program should see */
TEST_F(huge, signals)
{
	struct itimerval timer = { { 0, 3000 }, { 0, 3000 } }, off = {};
	int i;

	signal(SIGALRM, on_alarm);
	ASSERT_EQ(0, setitimer(ITIMER_REAL, &timer, NULL));
	for (i = 0; i < 1000 && alarms < 30; i++) {
		ASSERT_OK(MAP_HUGE(T_RW));
		ASSERT_EQ((long long)HUGE_LEN, t_unmap_all(self->fd, self->id));
		ASSERT_EQ(0, fallocate(self->file, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE,
				       0, HUGE_LEN));
	}
	setitimer(ITIMER_REAL, &off, NULL);
	EXPECT_LE(30, alarms);
}

/* --- two who pin the same memory ------------------------------------------------ */

#define ROUNDS	12
#define MAPPERS	2

FIXTURE(together) {
	int fd;
	u32 id;
	char *mem;
	int file;		/* instead of it */
	u64 len;		/* for each round */
	struct pool before;
	long pins;
	struct shared {
		atomic_int there, errors, mapped;
		int ret;	/* the latest error */
		char why[IOASID_EXTACK_MSG];
	} *shared;
};

FIXTURE_VARIANT(together) {
	enum t_memory memory;
	bool by_file;
	bool touched;
	bool processes;
};

#define TOGETHER(name, kind, file, there, forked)					\
	FIXTURE_VARIANT_ADD(together, name) {						\
		.memory = kind, .by_file = file, .touched = there, .processes = forked,	\
	}

FIXTURE_VARIANT_ADD(together, threads_anonymous) { .memory = T_ANON };
FIXTURE_VARIANT_ADD(together, threads_transparent_huge) { .memory = T_THP };
TOGETHER(threads_shared_anonymous, T_SHARED, false, true, false);
TOGETHER(processes_shared_anonymous, T_SHARED, false, true, true);
TOGETHER(threads_memfd, T_MEMFD, true, true, false);
TOGETHER(processes_memfd, T_MEMFD, true, true, true);
TOGETHER(threads_memfd_untouched, T_MEMFD, true, false, false);
TOGETHER(processes_memfd_untouched, T_MEMFD, true, false, true);
TOGETHER(threads_hugetlb, T_HUGETLB, true, true, false);
TOGETHER(processes_hugetlb, T_HUGETLB, true, true, true);
TOGETHER(threads_hugetlb_untouched, T_HUGETLB, true, false, false);
TOGETHER(processes_hugetlb_untouched, T_HUGETLB, true, false, true);

/* Is there memory that must be moved before it may be pinned? */
static bool movable_zone(void)
{
	char line[256];
	bool movable = false, found = false;
	long pages;
	FILE *f = fopen("/proc/zoneinfo", "r");

	while (f && fgets(line, sizeof(line), f)) {
		if (!strncmp(line, "Node", 4))
			movable = strstr(line, "Movable");
		else if (movable && sscanf(line, " present %ld", &pages) == 1)
			found |= pages > 0;
	}
	if (f)
		fclose(f);
	return found;
}

static int plain_file(u64 len)
{
	int fd = memfd_create("ioasid-test", MFD_CLOEXEC);

	if (fd >= 0 && ftruncate(fd, len)) {
		close(fd);
		return -1;
	}
	return fd;
}

FIXTURE_SETUP(together)
{
	bool huge = variant->memory == T_HUGETLB;
	u64 all;

	self->file = -1;
	self->len = huge || variant->memory == T_THP ? T_HUGE : 64 * T_PAGE;
	all = ROUNDS * self->len;
	self->fd = t_open();
	ASSERT_FD(self->fd);
	ASSERT_OK(t_alloc(self->fd, &self->id));
	NEED(movable_zone() || huge, "no memory that must be moved (movablecore=)");
	NEED(!huge || t_hugetlb_room(all / T_HUGE), "no huge pages in the pool");
	self->shared = mmap(NULL, sizeof(*self->shared), PROT_READ | PROT_WRITE,
			    MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	ASSERT_NE(MAP_FAILED, self->shared);
	self->pins = t_pinned_pages();
	self->before = pool();
	if (variant->by_file) {
		self->file = huge ? huge_file(all / T_HUGE) : plain_file(all);
		ASSERT_FD(self->file);
		if (variant->touched)
			ASSERT_EQ(0, fallocate(self->file, 0, 0, all));
	} else {
		self->mem = t_memory(variant->memory, all);
		NEED(self->mem, "no such memory here: %s", strerror(errno));
	}
}

FIXTURE_TEARDOWN(together)
{
	close(self->file);
	close(self->fd);
	EXPECT_POOL(self->before, 0);
	if (self->pins >= 0)
		EXPECT_EQ(self->pins, t_pinned_pages());
}

struct mapper {
	FIXTURE_DATA(together) *self;
	int fd;
	u32 id;
};

static void map_round(struct mapper *m, int round)
{
	struct shared *s = m->self->shared;
	u64 len = m->self->len, iova;
	int ret;

	/* All begin at the same time */
	s->there++;
	while (s->there < (round + 1) * MAPPERS)
		sched_yield();
	if (m->self->file >= 0)
		ret = t_map_file(m->fd, m->id, m->self->file, round * len, len, T_RW, &iova);
	else
		ret = t_map(m->fd, m->id, m->self->mem + round * len, len, T_RW, &iova);
	if (!ret) {
		s->mapped++;
	} else {
		s->errors++;
		s->ret = ret;
		strcpy(s->why, t_extack.msg);
	}
}

static void *map_in_thread(void *arg)
{
	int i;

	for (i = 0; i < ROUNDS; i++)
		map_round(arg, i);
	return NULL;
}

static int map_in_process(void *arg)
{
	struct mapper m = { .self = arg };

	m.fd = t_open();
	T_CHECK(m.fd >= 0);
	T_CHECK(!t_alloc(m.fd, &m.id));
	map_in_thread(&m);
	return 0;
}

TEST_F(together, mapped)
{
	struct mapper m = { .self = self, .fd = self->fd, .id = self->id };
	pthread_t threads[MAPPERS];
	pid_t pids[MAPPERS];
	int i;

	for (i = 0; i < MAPPERS && variant->processes; i++)
		pids[i] = t_fork(map_in_process, self);
	for (i = 0; i < MAPPERS && !variant->processes; i++)
		ASSERT_EQ(0, pthread_create(&threads[i], NULL, map_in_thread, &m));
	for (i = 0; i < MAPPERS && variant->processes; i++)
		EXPECT_EQ(0, t_wait(pids[i]));
	for (i = 0; i < MAPPERS && !variant->processes; i++)
		pthread_join(threads[i], NULL);
	EXPECT_EQ(0, self->shared->errors) TH_LOG("%d mapped; error %d: %s", self->shared->mapped,
						  -self->shared->ret, self->shared->why);
	EXPECT_EQ(ROUNDS * MAPPERS, self->shared->mapped);
	if (!variant->processes)
		EXPECT_EQ(MAPPERS * ROUNDS * self->len, t_pinned(self->fd));
	if (variant->memory == T_HUGETLB)
		EXPECT_POOL(self->before, ROUNDS);
}

/* --- memory that somebody holds where it is ------------------------------------- */

FIXTURE(held) {
	int fd;
	u32 id;
	int pipe[2];
	long pins;
};

FIXTURE_SETUP(held)
{
	self->fd = t_open();
	ASSERT_FD(self->fd);
	ASSERT_OK(t_alloc(self->fd, &self->id));
	NEED(movable_zone(), "no memory that must be moved (movablecore=)");
	ASSERT_EQ(0, pipe(self->pipe));
	self->pins = t_pinned_pages();
}

FIXTURE_TEARDOWN(held)
{
	close(self->fd);
	if (self->pins >= 0)
		EXPECT_EQ(self->pins, t_pinned_pages());
}

/* Puts a page of @mem into a pipe, which does not copy it */
static int hold(int pipe, void *mem)
{
	struct iovec iov = { mem, T_PAGE };

	return vmsplice(pipe, &iov, 1, 0) == (ssize_t)T_PAGE ? 0 : -1;
}

#define MAP_HELD()									\
	(file < 0 ? t_map(self->fd, self->id, mem, 8 * T_PAGE, T_RW, &iova) :		\
		    t_map_file(self->fd, self->id, file, 0, 8 * T_PAGE, T_RW, &iova))

/* It is not memory that is short, and it passes */
static void expect_held(struct __test_metadata *_metadata, FIXTURE_DATA(held) *self, void *mem,
			int file)
{
	char page[T_PAGE];
	u64 iova;

	ASSERT_EQ(0, hold(self->pipe[1], mem));
	EXPECT_FAIL(EBUSY, RACE, MAP_HELD());
	EXPECT_EQ(NULL, strstr(t_extack.msg, "no memory"));
	EXPECT_EQ(0, t_nr_mappings(self->fd));
	EXPECT_EQ(0, t_pinned(self->fd));
	ASSERT_EQ((ssize_t)T_PAGE, read(self->pipe[0], page, T_PAGE));
	EXPECT_OK(MAP_HELD());
}

TEST_F(held, by_a_pipe)
{
	void *mem = t_memory(T_ANON, 8 * T_PAGE);

	ASSERT_NE(NULL, mem);
	expect_held(_metadata, self, mem, -1);
}

TEST_F(held, file_by_a_pipe)
{
	int file = plain_file(8 * T_PAGE);
	char *mem;

	ASSERT_FD(file);
	mem = see(file, 8 * T_PAGE);
	ASSERT_NE(NULL, mem);
	memset(mem, 1, 8 * T_PAGE);
	expect_held(_metadata, self, mem, file);
	close(file);
}

struct letting_go {
	int pipe;
	u64 when;
};

static void *let_go(void *arg)
{
	struct letting_go *l = arg;
	char page[T_PAGE];

	while (t_now_ns() < l->when)
		usleep(1000);
	return (void *)(intptr_t)(read(l->pipe, page, T_PAGE) != (ssize_t)T_PAGE);
}

/* Who lets go soon is waited for */
TEST_F(held, for_a_short_time)
{
	struct letting_go l = { .pipe = self->pipe[0], .when = t_now_ns() + 30000000 };
	void *mem = t_memory(T_ANON, 8 * T_PAGE), *failed;
	pthread_t thread;
	u64 iova;

	ASSERT_NE(NULL, mem);
	ASSERT_EQ(0, hold(self->pipe[1], mem));
	ASSERT_EQ(0, pthread_create(&thread, NULL, let_go, &l));
	EXPECT_OK(t_map(self->fd, self->id, mem, 8 * T_PAGE, T_RW, &iova));
	pthread_join(thread, &failed);
	EXPECT_EQ(NULL, failed);
}

TEST_HARNESS_MAIN
