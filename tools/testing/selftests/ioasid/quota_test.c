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

TEST_HARNESS_MAIN
