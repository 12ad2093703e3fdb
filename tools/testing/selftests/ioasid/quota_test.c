// SPDX-License-Identifier: GPL-2.0
/*
 * What the machine has only so many of counts against whoever takes it, for as
 * long as it is taken: contexts, and the PASIDs of processes. Other uids, other
 * processes, freed spaces and dead children are no way round it.
 */
#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <sched.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "harness.h"
#include "lib/testdev.h"

#define PARAM(name)	"/sys/module/ioasid/parameters/" name
#define AT		0x100000000ULL

/* Sets a parameter, and sets it back when the test ends */
struct param {
	const char *path;
	char before[32];
};

static int set_param(struct param *p, const char *path, int value)
{
	char text[16];

	snprintf(text, sizeof(text), "%d", value);
	if (!p->path && t_read_file(path, p->before, sizeof(p->before)) < 0)
		return -errno;
	p->path = path;
	return t_write_file(path, text);
}

static void unset_param(struct param *p)
{
	if (p->path)
		t_write_file(p->path, p->before);
}

/* --- contexts ------------------------------------------------------------------- */

FIXTURE(contexts) {
	struct param limit;
	gid_t gid;		/* may open the device */
};

FIXTURE_SETUP(contexts)
{
	struct stat st;

	ASSERT_EQ(0, stat("/dev/ioasid", &st));
	self->gid = st.st_gid;
	ASSERT_EQ(0, set_param(&self->limit, PARAM("contexts_per_user"), 3));
}

FIXTURE_TEARDOWN(contexts)
{
	unset_param(&self->limit);
}

static int become(uid_t uid, gid_t gid)
{
	return setgroups(0, NULL) || setresgid(gid, gid, gid) || setresuid(uid, uid, uid);
}

static int one_user(void *arg)
{
	gid_t *gid = arg;
	int fd[4], i;

	T_CHECK(!become(T_NOBODY, *gid));
	for (i = 0; i < 3; i++) {
		fd[i] = t_open();
		T_CHECK(fd[i] >= 0);
	}
	T_CHECK(open("/dev/ioasid", O_RDWR) < 0 && errno == EDQUOT);
	close(fd[1]);
	fd[1] = t_open();
	T_CHECK(fd[1] >= 0);
	T_CHECK(open("/dev/ioasid", O_RDWR) < 0 && errno == EDQUOT);
	return 0;
}

/* One too many is refused, what is closed can be opened again, others are not concerned */
TEST_F(contexts, of_a_user)
{
	int fd;

	EXPECT_EQ(0, t_child(one_user, &self->gid));
	/* It has ended, and nothing is left of it */
	EXPECT_EQ(0, t_child(one_user, &self->gid));
	fd = t_open();
	EXPECT_LE(0, fd);
	close(fd);
}

struct namespace {
	int go[2];		/* the child waits here for its uids */
	int there[2];
	gid_t gid;
};

static int many_uids(void *arg)
{
	struct namespace *ns = arg;
	int i, fd, got = 0;
	char c;

	T_CHECK(!become(T_NOBODY, ns->gid));
	if (unshare(CLONE_NEWUSER))
		return 77;
	T_CHECK(write(ns->there[1], "", 1) == 1);
	T_CHECK(read(ns->go[0], &c, 1) == 1);
	for (i = 1; i < 9; i++) {
		T_CHECK(!setresuid(i, i, 0));
		fd = open("/dev/ioasid", O_RDWR);
		T_CHECK(fd >= 0 || errno == EDQUOT);
		got += fd >= 0;
		T_CHECK(!setresuid(0, 0, 0));
	}
	T_CHECK(got == 3);
	return 0;
}

/* A user who has made himself 65536 other ones is one user */
TEST_F(contexts, of_a_namespace)
{
	struct namespace ns = { .gid = self->gid };
	char path[64], text[64], c;
	pid_t pid;
	int ret;

	ASSERT_EQ(0, pipe(ns.go));
	ASSERT_EQ(0, pipe(ns.there));
	pid = t_fork(many_uids, &ns);
	close(ns.there[1]);
	if (read(ns.there[0], &c, 1) == 1) {
		snprintf(path, sizeof(path), "/proc/%d/uid_map", pid);
		EXPECT_EQ(0, t_write_file(path, "0 100000 65536"));
		snprintf(path, sizeof(path), "/proc/%d/gid_map", pid);
		snprintf(text, sizeof(text), "0 %d 1", self->gid);
		EXPECT_EQ(0, t_write_file(path, text));
		EXPECT_EQ(1, write(ns.go[1], "", 1));
	}
	ret = t_wait(pid);
	NEED(ret != 77, "needs a kernel with user namespaces");
	EXPECT_EQ(0, ret);
}

/* --- the PASIDs of processes ------------------------------------------------------ */

FIXTURE(processes) {
	int fd;
	struct t_dma sim;
	struct t_testdev testdev;
	struct t_vfio *vfio;
	u32 space;		/* for memory that outlives who has mapped it */
	struct param limit;
};

static int dev_open(FIXTURE_DATA(processes) *self)
{
	if (t_testdev_find(0) && !t_on_sim()) {
		self->vfio = &self->testdev.vfio;
		return t_testdev_open(&self->testdev, 0, VFIO_IOASID_IOMMU);
	}
	self->vfio = &self->sim.vfio;
	return t_on_sim() ? t_dma_open(&self->sim, T_EDU, 0, VFIO_IOASID_IOMMU) : -ENOENT;
}

static int has_pasids(void *arg)
{
	FIXTURE_DATA(processes) *self = arg;
	u32 id, pasid = IOASID_PASID_ANY;

	T_CHECK(!t_alloc_mm(self->fd, &id));
	T_CHECK(!t_attach_pasid(self->fd, self->vfio->dev_id, id, &pasid, 0, 0));
	T_CHECK(!t_detach_pasid(self->fd, self->vfio->dev_id, pasid));
	T_CHECK(!t_free(self->fd, id));
	return 0;
}

static u32 nr_pasids(int fd)
{
	struct ioasid_info info = { .size = sizeof(info) };

	return t_info(fd, &info) ? ~0U : info.nr_pasids;
}

/* An idle processor keeps the page table of the last process until another one comes */
static void visit_processors(void)
{
	cpu_set_t all, one;
	int cpu;

	if (sched_getaffinity(0, sizeof(all), &all))
		return;
	for (cpu = 0; cpu < CPU_SETSIZE; cpu++) {
		if (!CPU_ISSET(cpu, &all))
			continue;
		CPU_ZERO(&one);
		CPU_SET(cpu, &one);
		sched_setaffinity(0, sizeof(one), &one);
	}
	sched_setaffinity(0, sizeof(all), &all);
}

/* What it has come down to, when no processor has the memory of a dead child any more */
static u32 settled(int fd, u32 want)
{
	u64 end = t_end_of_patience(10000);

	while (nr_pasids(fd) != want && t_now_ns() < end) {
		visit_processors();
		t_sleep_ms(10);
	}
	return nr_pasids(fd);
}

FIXTURE_SETUP(processes)
{
	int ret = dev_open(self);

	NEED(ret != -ENOENT, "needs ioasid-testdev or ioasid_sim");
	ASSERT_EQ(0, ret) TH_LOG("%s failed", t_vfio_step);
	self->fd = t_open();
	ASSERT_FD(self->fd);
	ASSERT_OK(t_alloc(self->fd, &self->space));
	ASSERT_OK(t_vfio_attach(self->vfio, self->fd, self->space, 0));
	NEED(t_shares_mm(self->fd), "needs a kernel that shares a process' memory");
	ASSERT_EQ(0, t_child(has_pasids, self));
	ASSERT_EQ(0, settled(self->fd, 0));
}

FIXTURE_TEARDOWN(processes)
{
	unset_param(&self->limit);
	if (self->vfio == &self->testdev.vfio)
		t_testdev_close(&self->testdev);
	else
		t_dma_close(&self->sim);
	close(self->fd);
}

/* Shares its memory with the device, stops that, and leaves one page mapped */
static int leaves_a_page(void *arg)
{
	FIXTURE_DATA(processes) *self = arg;
	char *mem = t_memory(T_ANON, T_PAGE);
	u64 iova;

	T_CHECK(!has_pasids(self));
	T_CHECK(mem && !t_map(self->fd, self->space, mem, T_PAGE, T_RW, &iova));
	return 0;
}

static int gets_none(void *arg)
{
	FIXTURE_DATA(processes) *self = arg;
	u32 id, pasid = IOASID_PASID_ANY;

	T_CHECK(!t_alloc_mm(self->fd, &id));
	T_CHECK(t_attach_pasid(self->fd, self->vfio->dev_id, id, &pasid, 0, 0) == -EDQUOT);
	T_CHECK(t_extack.code == IOASID_REASON_LIMIT);
	T_CHECK(!t_free(self->fd, id));
	return 0;
}

/* The dead child has its PASID as long as anybody holds something of it */
TEST_F(processes, dead_children)
{
	int i;

	ASSERT_EQ(0, set_param(&self->limit, PARAM("pasids_per_context"), 3));
	for (i = 0; i < 3; i++) {
		EXPECT_EQ(0, t_child(leaves_a_page, self));
		EXPECT_EQ(i + 1, nr_pasids(self->fd));
	}
	t_sleep_ms(100);
	EXPECT_EQ(3, nr_pasids(self->fd));
	EXPECT_EQ(0, t_child(gets_none, self));
	EXPECT_EQ(3 * T_PAGE, t_unmap_all(self->fd, self->space));
	EXPECT_EQ(0, settled(self->fd, 0));
	EXPECT_EQ(0, t_child(has_pasids, self));
}

/* A context whose user has nothing else; without any capability less */
static int open_as(uid_t uid)
{
	int fd;

	if (setresuid(uid, 0, 0))
		return -errno;
	fd = t_open();
	if (setresuid(0, 0, 0))
		return -errno;
	return fd;
}

static int move(FIXTURE_DATA(processes) *self, int fd, u32 *space)
{
	int ret = t_detach(self->fd, self->vfio->dev_id);

	self->fd = fd;
	return ret ?: t_alloc(fd, space) ?: t_vfio_attach(self->vfio, fd, *space, 0);
}

/* What is owed outlives the context, since the PASID does */
TEST_F(processes, of_an_ended_context)
{
	int first = open_as(T_NOBODY), second = open_as(T_NOBODY), before = self->fd;

	ASSERT_FD(first);
	ASSERT_FD(second);
	ASSERT_EQ(0, set_param(&self->limit, PARAM("pasids_per_user"), 1));
	ASSERT_OK(move(self, first, &self->space));
	EXPECT_EQ(0, has_pasids(self));
	EXPECT_EQ(1, nr_pasids(first));
	ASSERT_OK(move(self, second, &self->space));
	close(first);
	EXPECT_EQ(0, nr_pasids(second));
	EXPECT_EQ(0, t_child(gets_none, self));
	/* This process has one, so it needs none more */
	EXPECT_EQ(0, has_pasids(self));
	EXPECT_EQ(0, nr_pasids(second));
	close(before);
}

/* By two spaces: one PASID, paid once */
TEST_F(processes, paid_once)
{
	u32 id, pasid[2] = { IOASID_PASID_ANY, IOASID_PASID_ANY }, second;

	ASSERT_EQ(0, set_param(&self->limit, PARAM("pasids_per_context"), 1));
	ASSERT_OK(t_alloc_mm(self->fd, &id));
	ASSERT_OK(t_alloc_mm(self->fd, &second));
	ASSERT_OK(t_attach_pasid(self->fd, self->vfio->dev_id, id, &pasid[0], 5, 0));
	ASSERT_OK(t_attach_pasid(self->fd, self->vfio->dev_id, second, &pasid[1], 6, 0));
	EXPECT_EQ(pasid[0], pasid[1]);
	EXPECT_EQ(1, nr_pasids(self->fd));
	EXPECT_OK(t_detach_pasid(self->fd, self->vfio->dev_id, 5));
	EXPECT_OK(t_detach_pasid(self->fd, self->vfio->dev_id, 6));
	EXPECT_OK(t_free(self->fd, id));
	EXPECT_OK(t_free(self->fd, second));
	EXPECT_EQ(1, nr_pasids(self->fd));
}

/* Processes that come and go do not fail because of those before them */
TEST_F_TIMEOUT(processes, come_and_go, 300)
{
	int i;

	ASSERT_EQ(0, set_param(&self->limit, PARAM("pasids_per_context"), 4));
	for (i = 0; i < 50; i++)
		ASSERT_EQ(0, t_child(has_pasids, self));
	EXPECT_EQ(0, settled(self->fd, 0));
}

TEST_HARNESS_MAIN
