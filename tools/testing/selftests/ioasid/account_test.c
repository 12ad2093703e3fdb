// SPDX-License-Identifier: GPL-2.0
/*
 * Who pays for pinned memory, and how much at most: the limits of a user
 * without privileges, in both accounting modes. What a limit means is looked
 * at from inside (the errno) and from outside (/proc/<pid>/status). And the
 * limits of what costs kernel memory.
 */
#include <fcntl.h>
#include <pthread.h>
#include <sched.h>
#include <sys/mman.h>
#include <sys/stat.h>

#include "harness.h"

#define AT		0x100000000ULL
#define LIMIT_PAGES	64
#define LIMIT		(LIMIT_PAGES * T_PAGE)

FIXTURE(account) {
	int fd;
	u32 id;
	u32 other;
	char *mem;		/* four times the limit */
	u32 mode;
	long pins;
};

FIXTURE_VARIANT(account) {
	u32 mode;
};

FIXTURE_VARIANT_ADD(account, user) {
	.mode = IOASID_ACCOUNT_USER,
};

FIXTURE_VARIANT_ADD(account, mm) {
	.mode = IOASID_ACCOUNT_MM,
};

FIXTURE_SETUP(account)
{
	self->fd = t_open();
	ASSERT_FD(self->fd);
	self->mode = variant->mode;
	ASSERT_OK(t_option_set(self->fd, IOASID_OPTION_ACCOUNT_MODE, variant->mode));
	ASSERT_OK(t_alloc(self->fd, &self->id));
	ASSERT_OK(t_alloc(self->fd, &self->other));
	self->mem = t_memory(T_ANON, 4 * LIMIT);
	ASSERT_NE(NULL, self->mem);
	self->pins = t_pinned_pages();
}

FIXTURE_TEARDOWN(account)
{
	close(self->fd);
	if (self->pins >= 0)
		EXPECT_EQ(self->pins, t_pinned_pages());
}

typedef FIXTURE_DATA(account) account_t;

/* In a child: maps that many pages at that page offset of space and memory */
static int map_pages(account_t *self, u32 space, u64 first, u64 pages)
{
	return t_map_at(self->fd, space, self->mem + first * T_PAGE, pages * T_PAGE, T_RW,
			AT + first * T_PAGE);
}

static bool memlock_said(int ret)
{
	return ret == -ENOMEM && t_extack.code == IOASID_REASON_MEMLOCK && t_extack.msg[0];
}

static int exactly_the_limit(void *arg)
{
	account_t *self = arg;

	T_CHECK(!t_set_memlock(LIMIT));
	T_CHECK(!map_pages(self, self->id, 0, LIMIT_PAGES));
	T_CHECK(t_unmap_all(self->fd, self->id) == LIMIT);
	/* In pieces, and then one page more */
	T_CHECK(!map_pages(self, self->id, 0, LIMIT_PAGES / 2));
	T_CHECK(!map_pages(self, self->id, LIMIT_PAGES, LIMIT_PAGES / 2));
	T_CHECK(memlock_said(map_pages(self, self->id, 2 * LIMIT_PAGES, 1)));
	T_CHECK(t_pinned(self->fd) == LIMIT);
	return 0;
}

TEST_F(account, limit_exactly)
{
	EXPECT_EQ(0, t_child_as(T_NOBODY, exactly_the_limit, self));
}

static int one_page_more(void *arg)
{
	account_t *self = arg;
	long pins = self->pins;

	T_CHECK(!t_set_memlock(LIMIT));
	T_CHECK(memlock_said(map_pages(self, self->id, 0, LIMIT_PAGES + 1)));
	T_CHECK(!t_pinned(self->fd));
	T_CHECK(!t_nr_mappings(self->fd));
	T_CHECK(t_status_kib(0, "VmPin") == 0);
	(void)pins;
	/* Nothing was charged for it either */
	T_CHECK(!map_pages(self, self->id, 0, LIMIT_PAGES));
	return 0;
}

TEST_F(account, limit_and_one_page)
{
	EXPECT_EQ(0, t_child_as(T_NOBODY, one_page_more, self));
}

static int limit_of_zero(void *arg)
{
	account_t *self = arg;

	T_CHECK(!t_set_memlock(0));
	T_CHECK(memlock_said(map_pages(self, self->id, 0, 1)));
	return 0;
}

TEST_F(account, limit_of_nothing)
{
	EXPECT_EQ(0, t_child_as(T_NOBODY, limit_of_zero, self));
}

/* A vector is charged as a whole, and fails as a whole */
static int vector_over_limit(void *arg)
{
	struct ioasid_map_range r[LIMIT_PAGES + 1];
	account_t *self = arg;
	int i;

	T_CHECK(!t_set_memlock(LIMIT));
	for (i = 0; i <= LIMIT_PAGES; i++)
		r[i] = (struct ioasid_map_range){ AT + i * T_HUGE, (uintptr_t)self->mem, T_PAGE,
						  T_FIXED_RW, 0 };
	T_CHECK(memlock_said(t_mapv(self->fd, self->id, r, LIMIT_PAGES + 1)));
	T_CHECK(!t_pinned(self->fd));
	T_CHECK(!t_mapv(self->fd, self->id, r, LIMIT_PAGES));
	return 0;
}

TEST_F(account, limit_of_a_vector)
{
	EXPECT_EQ(0, t_child_as(T_NOBODY, vector_over_limit, self));
}

/*
 * A failure after the charge gives it back: memory with a hole, or, with the
 * pages before the hole, a place that is taken
 */
static int charge_is_given_back(void *arg)
{
	account_t *self = arg;
	int i;

	T_CHECK(!t_set_memlock(LIMIT));
	T_CHECK(!map_pages(self, self->id, 0, 1));
	T_CHECK(!munmap(self->mem + 32 * T_PAGE, T_PAGE));
	for (i = 0; i < 20; i++) {
		T_CHECK(map_pages(self, self->other, 1, LIMIT_PAGES - 1) == -EFAULT);
		T_CHECK(map_pages(self, self->id, 0, 32) == -EEXIST);
	}
	T_CHECK(!map_pages(self, self->other, 2 * LIMIT_PAGES, LIMIT_PAGES - 1));
	T_CHECK(memlock_said(map_pages(self, self->other, 3 * LIMIT_PAGES, 1)));
	return 0;
}

TEST_F(account, charge_is_given_back_on_failure)
{
	EXPECT_EQ(0, t_child_as(T_NOBODY, charge_is_given_back, self));
}

/*
 * Memory is charged before it is pinned: while somebody tries to map too much,
 * over and over, nobody ever sees more locked or pinned than is allowed.
 */
struct watch {
	account_t *account;
	long rounds;
	bool stop;
	bool over;		/* nobody maps any more */
	long most_pinned;
	long most_locked;
	long samples;
};

static void *watcher(void *arg)
{
	struct watch *w = arg;
	long now;

	while (!__atomic_load_n(&w->stop, __ATOMIC_RELAXED)) {
		now = t_status_kib(0, "VmPin");
		if (now > w->most_pinned)
			w->most_pinned = now;
		now = t_status_kib(0, "VmLck");
		if (now > w->most_locked)
			w->most_locked = now;
		__atomic_fetch_add(&w->samples, 1, __ATOMIC_RELAXED);
	}
	return NULL;
}

/* Waits until the watcher has begun and ended another look */
static void sampled(struct watch *w, long more)
{
	long end = __atomic_load_n(&w->samples, __ATOMIC_RELAXED) + more;

	while (__atomic_load_n(&w->samples, __ATOMIC_RELAXED) < end)
		usleep(100);
}

static int never_more_than_the_limit(void *arg)
{
	struct watch w = { 0 };
	account_t *self = arg;
	pthread_t thread;
	uint64_t end;
	int i;

	T_CHECK(!t_set_memlock(LIMIT));
	T_CHECK(!pthread_create(&thread, NULL, watcher, &w));
	end = t_end_of_work(2000);
	for (i = 0; t_now_ns() < end || __atomic_load_n(&w.samples, __ATOMIC_RELAXED) <= 20; i++) {
		T_CHECK(memlock_said(map_pages(self, self->id, 0, LIMIT_PAGES * 2)));
		if (i % 4)
			continue;
		T_CHECK(!map_pages(self, self->id, 0, LIMIT_PAGES));
		T_CHECK(memlock_said(map_pages(self, self->id, LIMIT_PAGES, LIMIT_PAGES)));
		/* The watcher must have looked while it is mapped, at least once */
		if (!i)
			sampled(&w, 2);
		T_CHECK(t_unmap_all(self->fd, self->id) == LIMIT);
	}
	__atomic_store_n(&w.stop, true, __ATOMIC_RELAXED);
	pthread_join(thread, NULL);
	fprintf(stderr, "# %d rounds, %ld samples, at most %ld KiB pinned, %ld KiB locked\n",
		i, w.samples, w.most_pinned, w.most_locked);
	T_CHECK(w.most_pinned <= (long)(LIMIT / 1024));
	T_CHECK(w.most_locked <= (long)(LIMIT / 1024));
	/* The pages are to be seen somewhere, or this proves nothing */
	T_CHECK(w.most_pinned + w.most_locked > 0);
	return 0;
}

TEST_F(account, never_more_than_the_limit)
{
	EXPECT_EQ(0, t_child_as(T_NOBODY, never_more_than_the_limit, self));
}

/* Much more than the limit, and nothing else, until the parent stops it */
static int maps_too_much(struct watch *w)
{
	T_CHECK(!t_set_memlock(LIMIT));
	while (!__atomic_load_n(&w->stop, __ATOMIC_RELAXED)) {
		T_CHECK(memlock_said(map_pages(w->account, w->account->id, 0, 4 * LIMIT_PAGES)));
		__atomic_fetch_add(&w->rounds, 1, __ATOMIC_RELAXED);
	}
	return 0;
}

static int only_too_much(void *arg)
{
	struct watch *w = arg;
	int ret = maps_too_much(w);

	__atomic_store_n(&w->over, true, __ATOMIC_RELAXED);
	return ret;
}

static bool seen_enough(struct watch *w)
{
	return __atomic_load_n(&w->over, __ATOMIC_RELAXED) ||
	       (w->samples > 20 && __atomic_load_n(&w->rounds, __ATOMIC_RELAXED) > 50);
}

/* ... and the pages are not even pinned for a moment */
TEST_F(account, too_much_is_never_pinned)
{
	struct watch *w = mmap(NULL, sizeof(*w), PROT_READ | PROT_WRITE,
			       MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	uint64_t end;
	pid_t pid;

	NEED(self->pins >= 0, "the kernel does not count pinned pages");
	w->account = self;
	pid = t_fork_as(T_NOBODY, only_too_much, w);
	end = t_end_of_work(1500);
	while (t_now_ns() < end || !seen_enough(w)) {
		ASSERT_EQ(self->pins, t_pinned_pages());
		w->samples++;
	}
	__atomic_store_n(&w->stop, true, __ATOMIC_RELAXED);
	EXPECT_EQ(0, t_wait(pid));
}

static int charged_once(void *arg)
{
	account_t *self = arg;
	u64 iova;
	int i;

	T_CHECK(!t_set_memlock(LIMIT));
	T_CHECK(!map_pages(self, self->id, 0, LIMIT_PAGES));
	for (i = 0; i < 10; i++)
		T_CHECK(!t_copy(self->fd, self->id, AT, i % 2 ? self->id : self->other, &iova, LIMIT,
				T_RW));
	T_CHECK(t_pinned(self->fd) == LIMIT);
	/* Paid for until the last one is gone */
	T_CHECK(t_unmap_all(self->fd, self->id) == 6 * LIMIT);
	T_CHECK(memlock_said(map_pages(self, self->id, LIMIT_PAGES, 1)));
	T_CHECK(t_unmap_all(self->fd, self->other) == 5 * LIMIT);
	T_CHECK(!map_pages(self, self->id, LIMIT_PAGES, LIMIT_PAGES));
	return 0;
}

TEST_F(account, copies_are_charged_once)
{
	EXPECT_EQ(0, t_child_as(T_NOBODY, charged_once, self));
}

/* Every way to get rid of a mapping refunds it */
static int refunded(void *arg)
{
	account_t *self = arg;
	u32 id;
	int fd;

	T_CHECK(!t_set_memlock(LIMIT));
	T_CHECK(!map_pages(self, self->id, 0, LIMIT_PAGES));
	T_CHECK(t_unmap(self->fd, self->id, AT, LIMIT) == LIMIT);
	T_CHECK(!map_pages(self, self->id, 0, LIMIT_PAGES));
	T_CHECK(t_unmap_all(self->fd, self->id) == LIMIT);
	T_CHECK(!map_pages(self, self->id, 0, LIMIT_PAGES));
	T_CHECK(!t_free(self->fd, self->id));
	T_CHECK(!map_pages(self, self->other, 0, LIMIT_PAGES));
	T_CHECK(t_unmap_all(self->fd, self->other) == LIMIT);
	/* By closing a context of one's own */
	fd = open("/dev/ioasid", O_RDWR);
	if (fd >= 0) {
		T_CHECK(!t_option_set(fd, IOASID_OPTION_ACCOUNT_MODE, self->mode));
		T_CHECK(!t_alloc(fd, &id));
		T_CHECK(!t_map_at(fd, id, self->mem, LIMIT, T_RW, AT));
		T_CHECK(memlock_said(map_pages(self, self->other, 0, 1)));
		close(fd);
	}
	T_CHECK(!map_pages(self, self->other, 0, LIMIT_PAGES));
	return 0;
}

TEST_F(account, every_way_out_refunds)
{
	EXPECT_EQ(0, t_child_as(T_NOBODY, refunded, self));
}

struct pair {
	account_t *self;
	u64 first;
	u64 pages;
	int to_parent;		/* "I have mapped" */
	int from_parent;	/* "go" */
	bool expect_memlock;
};

/* Maps some of the limit and keeps it until it is released */
static int hold_some(void *arg)
{
	struct pair *p = arg;
	char byte = 0;

	T_CHECK(!t_set_memlock(LIMIT));
	T_CHECK(!map_pages(p->self, p->self->id, p->first, p->pages));
	T_CHECK(write(p->to_parent, &byte, 1) == 1);
	T_CHECK(read(p->from_parent, &byte, 1) >= 0);
	return 0;
}

static int try_some(void *arg)
{
	struct pair *p = arg;
	int ret;

	T_CHECK(!t_set_memlock(LIMIT));
	ret = map_pages(p->self, p->self->other, p->first, p->pages);
	T_CHECK(p->expect_memlock ? memlock_said(ret) : !ret);
	return 0;
}

/* Two processes of one user: one limit in user mode, one each in mm mode */
TEST_F(account, two_processes_of_a_user)
{
	struct pair holder = { .self = self, .first = 0, .pages = LIMIT_PAGES };
	struct pair other = { .self = self, .first = 0, .pages = 1 };
	int up[2], down[2];
	char byte;
	pid_t pid;

	ASSERT_EQ(0, pipe(up));
	ASSERT_EQ(0, pipe(down));
	holder.to_parent = up[1];
	holder.from_parent = down[0];
	pid = t_fork_as(T_NOBODY, hold_some, &holder);
	ASSERT_GT(pid, 0);
	close(up[1]);
	ASSERT_EQ(1, read(up[0], &byte, 1));
	other.expect_memlock = variant->mode == IOASID_ACCOUNT_USER;
	EXPECT_EQ(0, t_child_as(T_NOBODY, try_some, &other));
	/* Another user has a limit of its own */
	other.expect_memlock = false;
	other.first = LIMIT_PAGES;
	EXPECT_EQ(0, t_child_as(T_NOBODY + 1, try_some, &other));
	ASSERT_EQ(1, write(down[1], &byte, 1));
	EXPECT_EQ(0, t_wait(pid));
}

/*
 * The one who mapped pays, also when it has exited and another process, of
 * another user, unmaps: its user gets the refund, not the unmapper's.
 */
static int maps_all(void *arg)
{
	account_t *self = arg;

	T_CHECK(!t_set_memlock(LIMIT));
	T_CHECK(!map_pages(self, self->id, 0, LIMIT_PAGES));
	return 0;
}

static int may_map_no_more(void *arg)
{
	account_t *self = arg;

	T_CHECK(!t_set_memlock(LIMIT));
	T_CHECK(memlock_said(map_pages(self, self->other, LIMIT_PAGES, 1)));
	return 0;
}

static int may_map_all(void *arg)
{
	account_t *self = arg;

	T_CHECK(!t_set_memlock(LIMIT));
	T_CHECK(!map_pages(self, self->other, LIMIT_PAGES, LIMIT_PAGES));
	T_CHECK(memlock_said(map_pages(self, self->other, 2 * LIMIT_PAGES, 1)));
	T_CHECK(t_unmap_all(self->fd, self->other) == LIMIT);
	return 0;
}

TEST_F(account, payer_is_who_mapped)
{
	ASSERT_EQ(0, t_child_as(T_NOBODY, maps_all, self));
	EXPECT_EQ(LIMIT, t_pinned(self->fd));
	if (variant->mode == IOASID_ACCOUNT_USER)
		EXPECT_EQ(0, t_child_as(T_NOBODY, may_map_no_more, self));
	EXPECT_EQ(0, t_child_as(T_NOBODY + 1, may_map_all, self));
	/* The parent, root, unmaps what user 1000 paid for */
	EXPECT_EQ((long long)LIMIT, t_unmap_all(self->fd, self->id));
	EXPECT_EQ(0, t_child_as(T_NOBODY, may_map_all, self));
	EXPECT_EQ(0, t_child_as(T_NOBODY + 1, may_map_all, self));
}

/* One context used by two users at once: each pays for what it maps */
TEST_F(account, two_users_of_a_context)
{
	ASSERT_EQ(0, t_child_as(T_NOBODY, maps_all, self));
	EXPECT_EQ(0, t_child_as(T_NOBODY + 1, may_map_all, self));
	ASSERT_EQ((long long)LIMIT, t_unmap_all(self->fd, self->id));
	EXPECT_EQ(0, t_child_as(T_NOBODY, may_map_all, self));
}

/* A user who copies what another has mapped pins nothing and pays nothing */
static int copies_all(void *arg)
{
	account_t *self = arg;

	T_CHECK(!t_set_memlock(0));
	T_CHECK(!t_copy_at(self->fd, self->id, AT, self->other, AT, LIMIT, T_RW));
	return 0;
}

TEST_F(account, copier_does_not_pay)
{
	ASSERT_EQ(0, t_child_as(T_NOBODY, maps_all, self));
	EXPECT_EQ(0, t_child_as(T_NOBODY + 1, copies_all, self));
	ASSERT_EQ((long long)LIMIT, t_unmap_all(self->fd, self->id));
	EXPECT_EQ(LIMIT, t_pinned(self->fd));
	/* Only now is user 1000 free again */
	if (variant->mode == IOASID_ACCOUNT_USER)
		EXPECT_EQ(0, t_child_as(T_NOBODY, may_map_no_more, self));
	ASSERT_EQ((long long)LIMIT, t_unmap_all(self->fd, self->other));
	EXPECT_EQ(0, t_child_as(T_NOBODY, may_map_all, self));
}

/* CAP_IPC_LOCK lifts the limit, here as everywhere */
static int privileged(void *arg)
{
	account_t *self = arg;

	T_CHECK(!t_set_memlock(T_PAGE));
	T_CHECK(!map_pages(self, self->id, 0, LIMIT_PAGES));
	return 0;
}

TEST_F(account, privilege_lifts_the_limit)
{
	EXPECT_EQ(0, t_child(privileged, self));
}

/* In mm mode mlock() and MAP draw on the same account of the process */
static int mlock_and_map(void *arg)
{
	account_t *self = arg;
	char *locked = self->mem + 2 * LIMIT;
	int ret;

	T_CHECK(!t_set_memlock(LIMIT));
	T_CHECK(!mlock(locked, LIMIT / 2));
	ret = map_pages(self, self->id, 0, LIMIT_PAGES);
	if (self->mode == IOASID_ACCOUNT_MM) {
		T_CHECK(memlock_said(ret));
		T_CHECK(!map_pages(self, self->id, 0, LIMIT_PAGES / 2));
		T_CHECK(mlock(locked + LIMIT / 2, LIMIT / 2));
		T_CHECK(t_status_kib(0, "VmLck") == (long)(LIMIT / 1024));
		T_CHECK(t_unmap_all(self->fd, self->id) == LIMIT / 2);
		T_CHECK(t_status_kib(0, "VmLck") == (long)(LIMIT / 2 / 1024));
	} else {
		T_CHECK(!ret);
		T_CHECK(t_status_kib(0, "VmLck") == (long)(LIMIT / 2 / 1024));
	}
	return 0;
}

TEST_F(account, mlock_and_map)
{
	EXPECT_EQ(0, t_child_as(T_NOBODY, mlock_and_map, self));
}

/* The limit counts pages of huge memory one by one */
static int huge_over_limit(void *arg)
{
	account_t *self = arg;
	char *mem = t_memory(T_THP, 2 * T_HUGE);

	if (!mem)
		return 4;
	T_CHECK(!t_set_memlock(T_HUGE + 3 * T_PAGE));
	T_CHECK(memlock_said(t_map_at(self->fd, self->id, mem, T_HUGE + 4 * T_PAGE, T_RW, AT)));
	T_CHECK(!t_map_at(self->fd, self->id, mem, T_HUGE + 3 * T_PAGE, T_RW, AT));
	return 0;
}

TEST_F(account, limit_within_a_huge_page)
{
	int ret = t_child_as(T_NOBODY, huge_over_limit, self);

	NEED(ret != 4, "no transparent huge pages");
	EXPECT_EQ(0, ret);
}

/* --- quotas: what costs kernel memory, although nothing is pinned for it --------- */

#define PARAM(name)	"/sys/module/ioasid/parameters/" name
#define FEW		1000

FIXTURE(quota) {
	int fd;
	u32 id;
	u32 other;
	char *mem;
	char saved[4][16];
};

static const char *const quota_params[4] = {
	PARAM("mappings_per_context"), PARAM("mappings_per_user"),
	PARAM("reserved_per_context"), PARAM("spaces_per_user"),
};

FIXTURE_SETUP(quota)
{
	int i;

	for (i = 0; i < 4; i++)
		ASSERT_LT(0, t_read_file(quota_params[i], self->saved[i],
					 sizeof(self->saved[i])));
	self->fd = t_open();
	ASSERT_FD(self->fd);
	ASSERT_OK(t_alloc(self->fd, &self->id));
	ASSERT_OK(t_alloc(self->fd, &self->other));
	self->mem = t_memory(T_ANON, T_PAGE);
	ASSERT_NE(NULL, self->mem);
}

FIXTURE_TEARDOWN(quota)
{
	int i;

	for (i = 0; i < 4; i++)
		EXPECT_EQ(0, t_write_file(quota_params[i], self->saved[i]));
	close(self->fd);
}

typedef FIXTURE_DATA(quota) quota_t;

static u64 max_mappings(int fd)
{
	struct ioasid_info info;

	return t_info(fd, &info) ? 0 : info.max_mappings;
}

/* One page, and as many mappings of it as can be had: the place of the last one */
static int copy_all(int fd, u32 id, char *mem, u64 *nr)
{
	u64 iova;
	int ret = t_map(fd, id, mem, T_PAGE, T_RW, &iova);

	for (*nr = 0; !ret; ++*nr)
		ret = t_copy(fd, id, iova, id, &iova, T_PAGE, T_RW);
	return ret;
}

TEST_F(quota, defaults_allow_a_million_mappings)
{
	EXPECT_GE(max_mappings(self->fd), 1000000);
	EXPECT_LE(max_mappings(self->fd), 2000000);
}

TEST_F(quota, mappings_of_a_context)
{
	struct ioasid_map_range r[2];
	u64 nr, iova = AT;
	int i;

	ASSERT_EQ(0, t_write_file(quota_params[0], "1000"));
	EXPECT_EQ(FEW, max_mappings(self->fd));
	EXPECT_EQ(-EDQUOT, copy_all(self->fd, self->id, self->mem, &nr));
	EXPECT_EQ(IOASID_REASON_LIMIT, t_extack.code) TH_LOG("%s", t_explain());
	EXPECT_EQ(FEW, t_extack.value);
	EXPECT_EQ(FEW, nr);
	EXPECT_EQ(FEW, t_nr_mappings(self->fd));
	EXPECT_EQ(T_PAGE, t_pinned(self->fd));
	/* In any space of it, by MAP too, and then nothing is pinned */
	EXPECT_FAIL(EDQUOT, LIMIT, t_map(self->fd, self->other, self->mem, T_PAGE, T_RW, &iova));
	EXPECT_EQ(T_PAGE, t_pinned(self->fd));
	/* All or nothing: one would still fit */
	ASSERT_OK(t_translate(self->fd, self->id, T_PAGE, 0, &(struct ioasid_translate){ 0 }));
	EXPECT_EQ(T_PAGE, t_unmap(self->fd, self->id, T_PAGE, T_PAGE));
	for (i = 0; i < 2; i++)
		r[i] = (struct ioasid_map_range){ AT + i * T_PAGE, (uintptr_t)self->mem, T_PAGE,
						  T_FIXED_RW, 0 };
	EXPECT_FAIL(EDQUOT, LIMIT, t_mapv(self->fd, self->other, r, 2));
	EXPECT_FAIL(EDQUOT, LIMIT, t_copy(self->fd, self->id, 2 * T_PAGE, self->other, &iova,
					  2 * T_PAGE, T_RW));
	EXPECT_EQ(FEW - 1, t_nr_mappings(self->fd));
	EXPECT_OK(t_mapv(self->fd, self->other, r, 1));
	/* Every way to get rid of them */
	EXPECT_OK(t_free(self->fd, self->other));
	EXPECT_EQ((FEW - 1) * (long long)T_PAGE, t_unmap_all(self->fd, self->id));
	EXPECT_EQ(-EDQUOT, copy_all(self->fd, self->id, self->mem, &nr));
	EXPECT_EQ(FEW, nr);
}

/* Two contexts of a user share his limit; the context of another one has its own */
struct open_file {
	quota_t *self;
	bool userns;
	u64 max;
};

static int asks_max(void *arg)
{
	struct open_file *o = arg;
	int fd;

	if (o->userns && unshare(CLONE_NEWUSER))
		return 4;
	fd = t_open();
	T_CHECK(fd >= 0);
	T_CHECK(max_mappings(fd) == o->max);
	return 0;
}

TEST_F(quota, mappings_of_a_user)
{
	struct open_file same = { .self = self, .max = 0 };
	int fd = t_open();
	u64 nr, more;
	u32 id;

	ASSERT_FD(fd);
	ASSERT_OK(t_alloc(fd, &id));
	ASSERT_EQ(0, t_write_file(quota_params[1], "1000"));
	ASSERT_OK(t_map_at(fd, id, self->mem, T_PAGE, T_RW, AT));
	ASSERT_EQ(-EDQUOT, copy_all(self->fd, self->id, self->mem, &nr));
	EXPECT_EQ(FEW - 1, nr);
	EXPECT_EQ(1, max_mappings(fd));
	EXPECT_FAIL(EDQUOT, LIMIT, t_map_at(fd, id, self->mem, T_PAGE, T_RW, AT + T_PAGE));
	EXPECT_EQ(0, t_child(asks_max, &same));
	close(self->fd);
	EXPECT_EQ(-EDQUOT, copy_all(fd, id, self->mem, &more));
	EXPECT_EQ(FEW - 1, more);
	close(fd);
	self->fd = t_open();
}

/* The other user is not root, and may open the file only if root lets him */
TEST_F(quota, another_user_has_his_own)
{
	struct open_file other = { .self = self, .max = FEW };
	struct stat st;
	u64 nr;

	ASSERT_EQ(0, stat("/dev/ioasid", &st));
	ASSERT_EQ(0, t_write_file(quota_params[1], "1000"));
	ASSERT_EQ(-EDQUOT, copy_all(self->fd, self->id, self->mem, &nr));
	ASSERT_EQ(0, chmod("/dev/ioasid", 0666));
	EXPECT_EQ(0, t_child_as(T_NOBODY, asks_max, &other));
	chmod("/dev/ioasid", st.st_mode & 07777);
}

/* ... nor does he get another one by making a user namespace */
struct in_userns {
	quota_t *self;
	int to_parent;
	int from_parent;
};

static int maps_as_two_users(void *arg)
{
	struct in_userns *u = arg;
	u64 nr;
	u32 id;
	int fd;
	char byte = 0;

	fd = t_open();
	T_CHECK(fd >= 0);
	T_CHECK(!t_alloc(fd, &id));
	T_CHECK(!t_set_memlock(8 * T_PAGE));
	T_CHECK(copy_all(fd, id, u->self->mem, &nr) == -EDQUOT && nr == FEW);
	/* Root gives the namespace a uid that is not that of its maker */
	if (unshare(CLONE_NEWUSER))
		return 4;
	T_CHECK(write(u->to_parent, &byte, 1) == 1);
	T_CHECK(read(u->from_parent, &byte, 1) == 1);
	T_CHECK(!setresuid(1, 1, 1));
	fd = t_open();
	T_CHECK(fd >= 0);
	T_CHECK(max_mappings(fd) == 0);
	return 0;
}

TEST_F(quota, user_namespaces_do_not_add_up)
{
	struct in_userns u = { .self = self };
	int up[2], down[2], ret;
	struct stat st;
	char path[64], byte;
	pid_t pid;

	ASSERT_EQ(0, stat("/dev/ioasid", &st));
	ASSERT_EQ(0, t_write_file(quota_params[1], "1000"));
	ASSERT_EQ(0, pipe(up));
	ASSERT_EQ(0, pipe(down));
	u.to_parent = up[1];
	u.from_parent = down[0];
	ASSERT_EQ(0, chmod("/dev/ioasid", 0666));
	pid = t_fork_as(T_NOBODY, maps_as_two_users, &u);
	close(up[1]);
	if (read(up[0], &byte, 1) == 1) {
		snprintf(path, sizeof(path), "/proc/%d/uid_map", pid);
		EXPECT_EQ(0, t_write_file(path, "0 1000 1\n1 100001 1\n"));
		EXPECT_EQ(1, write(down[1], &byte, 1));
	}
	ret = t_wait(pid);
	chmod("/dev/ioasid", st.st_mode & 07777);
	NEED(ret != 4, "no user namespaces");
	EXPECT_EQ(0, ret);
}

TEST_F(quota, reserved_ranges)
{
	struct ioasid_iova_range r[8];
	struct ioasid_info info;
	int i;

	ASSERT_EQ(0, t_write_file(quota_params[2], "10"));
	for (i = 0; i < 8; i++)
		r[i] = (struct ioasid_iova_range){ AT + 2 * i * T_PAGE,
						   AT + (2 * i + 1) * T_PAGE - 1 };
	ASSERT_OK(t_reserve(self->fd, self->id, r, 8));
	EXPECT_FAIL(EDQUOT, LIMIT, t_reserve(self->fd, self->other, r, 3));
	ASSERT_OK(t_reserve(self->fd, self->other, r, 2));
	ASSERT_OK(t_info(self->fd, &info));
	EXPECT_EQ(10, info.nr_reserved);
	EXPECT_EQ(10, info.max_reserved);
	/* As many as before, elsewhere */
	for (i = 0; i < 8; i++) {
		r[i].first += T_HUGE;
		r[i].last += T_HUGE;
	}
	EXPECT_OK(t_reserve(self->fd, self->id, r, 8));
	EXPECT_OK(t_free(self->fd, self->id));
	EXPECT_OK(t_reserve(self->fd, self->other, r, 8));
}

TEST_F(quota, spaces)
{
	struct ioasid_info info;
	u32 id, i;

	ASSERT_EQ(0, t_write_file(quota_params[3], "10"));
	ASSERT_OK(t_info(self->fd, &info));
	EXPECT_EQ(10, info.max_spaces);
	for (i = info.nr_spaces; i < 10; i++)
		ASSERT_OK(t_alloc(self->fd, &id));
	EXPECT_FAIL(EDQUOT, LIMIT, t_alloc(self->fd, &id));
	if (t_shares_mm(self->fd))
		EXPECT_FAIL(EDQUOT, LIMIT, t_alloc_mm(self->fd, &id));
	EXPECT_OK(t_free(self->fd, self->id));
	EXPECT_OK(t_alloc(self->fd, &id));
}

TEST_HARNESS_MAIN
