// SPDX-License-Identifier: GPL-2.0
/*
 * Spaces of a glue: the sample of a third consumer (samples/driver) makes a space
 * by itself, maps memory of its caller there and lets its device use it, by calls of
 * <linux/ioasid.h> alone. The commands see what it has done.
 */
#include <sys/mman.h>
#include <unistd.h>

#include "harness.h"
#include "lib/dma.h"
#include "lib/host.h"
#include "lib/sim.h"

#define LEN	(4 * T_PAGE)

FIXTURE(kapi) {
	struct t_host h;
	int fd;
	char *mem;
	char *got;		/* what the device has read */
};

FIXTURE_SETUP(kapi)
{
	NEED(t_on_sim(), "needs ioasid_sim");
	ASSERT_TRUE(t_host_load());
	ASSERT_EQ(0, t_host_open(&self->h, t_device(T_EDU, 0)));
	self->fd = t_open();
	ASSERT_FD(self->fd);
	self->mem = t_memory(T_ANON, LEN);
	self->got = t_memory(T_ANON, LEN);
	t_fill(self->mem, LEN, 1);
}

FIXTURE_TEARDOWN(kapi)
{
	EXPECT_EQ(0, t_host_close(&self->h));
	close(self->fd);
}

static struct ioasid_info info_of(int fd)
{
	struct ioasid_info info = { .size = sizeof(info) };

	t_info(fd, &info);
	return info;
}

TEST_F(kapi, map_and_unmap)
{
	u64 iova, more;
	u32 number, same;

	ASSERT_OK(t_host_map(self->h.fd, self->fd, self->mem, LEN / 2, &iova, &number));
	ASSERT_OK(t_host_map(self->h.fd, self->fd, self->mem + LEN / 2, LEN / 2, &more, &same));
	EXPECT_EQ(number, same);
	EXPECT_EQ(1, info_of(self->fd).nr_spaces);
	EXPECT_EQ(LEN, info_of(self->fd).pinned);
	ASSERT_EQ(0, t_host_dma(self->h.fd, number, 0, (void *)iova, self->got, T_PAGE));
	EXPECT_EQ(-1, t_differs(self->got, T_PAGE, 1));
	EXPECT_EQ(LEN / 2, t_host_unmap(self->h.fd, more, LEN / 2));
	EXPECT_EQ(-EACCES, t_host_dma(self->h.fd, number, 0, (void *)more, self->got, T_PAGE));
	EXPECT_EQ(0, t_host_dma(self->h.fd, number, 0, (void *)iova, self->got, T_PAGE));
	EXPECT_EQ(LEN / 2, t_host_unmap(self->h.fd, 0, 0));
	EXPECT_EQ(-EACCES, t_host_dma(self->h.fd, number, 0, (void *)iova, self->got, T_PAGE));
	EXPECT_EQ(0, info_of(self->fd).pinned);
}

/* The reason comes through the glue from where the error is found */
TEST_F(kapi, reasons)
{
	u64 iova;
	u32 number;

	EXPECT_FAIL(ENOENT, NOT_MAPPED, t_host_unmap(self->h.fd, 0, 0));
	EXPECT_FAIL(EINVAL, ALIGNMENT, t_host_map(self->h.fd, self->fd, self->mem, 100, &iova,
						  &number));
	ASSERT_OK(t_host_map(self->h.fd, self->fd, self->mem, LEN, &iova, &number));
	EXPECT_FAIL(EINVAL, SPLIT, t_host_unmap(self->h.fd, iova, T_PAGE));
	EXPECT_EQ(0, t_host_dma(self->h.fd, number, 0, (void *)iova, self->got, T_PAGE));
}

/* Its space goes with its file; what the program has made by itself stays */
TEST_F(kapi, close)
{
	u64 iova;
	u32 number, id;

	ASSERT_OK(t_alloc(self->fd, &id));
	ASSERT_OK(t_host_map(self->h.fd, self->fd, self->mem, LEN, &iova, &number));
	EXPECT_EQ(2, info_of(self->fd).nr_spaces);
	EXPECT_EQ(1, info_of(self->fd).nr_pasids);
	close(self->h.fd);
	self->h.fd = -1;
	EXPECT_EQ(1, info_of(self->fd).nr_spaces);
	EXPECT_EQ(0, info_of(self->fd).nr_pasids);
	EXPECT_EQ(0, info_of(self->fd).pinned);
	EXPECT_OK(t_free(self->fd, id));
}

/* Its space goes with the attachment, whichever way that ends; the next map makes a new one */
TEST_F(kapi, detach)
{
	u32 number, other, id;
	u64 iova;
	int ret;

	ASSERT_OK(t_host_map(self->h.fd, self->fd, self->mem, LEN, &iova, &number));
	ASSERT_OK(t_host_detach(self->h.fd, number));
	EXPECT_EQ(0, info_of(self->fd).nr_spaces);
	EXPECT_EQ(0, info_of(self->fd).pinned);
	EXPECT_FAIL(ENOENT, NOT_MAPPED, t_host_unmap(self->h.fd, 0, 0));
	ASSERT_OK(t_host_map(self->h.fd, self->fd, self->mem, LEN, &iova, &number));
	EXPECT_EQ(0, t_host_dma(self->h.fd, number, 0, (void *)iova, self->got, T_PAGE));
	EXPECT_EQ(-1, t_differs(self->got, T_PAGE, 1));

	ASSERT_OK(t_alloc(self->fd, &id));
	ret = t_host_attach(self->h.fd, self->fd, id, &number, 0, IOASID_ATTACH_REPLACE);
	NEED(ret != -EOPNOTSUPP || !t_old_kernel(),
	     "needs a kernel that replaces the domain of a PASID");
	ASSERT_OK(ret);
	EXPECT_EQ(1, info_of(self->fd).nr_spaces);
	EXPECT_EQ(0, info_of(self->fd).pinned);
	ASSERT_OK(t_host_map(self->h.fd, self->fd, self->mem, LEN, &iova, &other));
	EXPECT_NE(number, other);
	EXPECT_EQ(0, t_host_dma(self->h.fd, other, 0, (void *)iova, self->got, T_PAGE));
	EXPECT_EQ(-EACCES, t_host_dma(self->h.fd, number, 0, (void *)iova, self->got, T_PAGE));
}

TEST_HARNESS_MAIN
