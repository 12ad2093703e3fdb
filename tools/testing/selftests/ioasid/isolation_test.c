// SPDX-License-Identifier: GPL-2.0
/*
 * Who shares an IOMMU, a device or a PASID number with somebody else, and what
 * must not reach the other: drivers of the host that share memory with their
 * devices by themselves, contexts of other programs, programs that are killed.
 * And the kernel interface for drivers, by the glue of samples/driver. Everybody
 * uses the same addresses with different data, so that whatever gets to the wrong
 * place is noticed. Runs with two ioasid-testdev behind the real IOMMU driver
 * where they are, otherwise on ioasid_sim.
 */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "harness.h"
#include "lib/host.h"
#include "lib/testdev.h"

#define AT	0x100000000ULL
#define PAGES	4
#define LEN	(PAGES * T_PAGE)
#define REFUSED	(-EACCES)

/* --- devices ----------------------------------------------------------------------- */

/* A device of a test: of VFIO, or of a driver of the host */
struct end {
	bool real;
	bool host;
	struct t_host h;
	struct t_dma sim;
	struct t_testdev testdev;
};

static bool on_real(void)
{
	return t_testdev_find(1) && !t_on_sim();
}

/* The devices that there are, in an order that is always the same */
static const char *name_of(int nth)
{
	if (on_real())
		return t_testdev_find(nth);
	return t_on_sim() ? t_device(nth & 1 ? T_NVME : T_EDU, nth / 2) : NULL;
}

static int end_vfio(struct end *e, int nth)
{
	memset(e, 0, sizeof(*e));
	e->real = on_real();
	if (e->real)
		return t_testdev_open(&e->testdev, nth, VFIO_IOASID_IOMMU);
	return t_dma_open(&e->sim, nth & 1 ? T_NVME : T_EDU, nth / 2, VFIO_IOASID_IOMMU);
}

static int end_host(struct end *e, int nth)
{
	int ret;

	memset(e, 0, sizeof(*e));
	e->real = on_real();
	e->host = true;
	ret = t_host_open(&e->h, name_of(nth));
	e->testdev.vfio.bar = e->h.bar;
	return ret;
}

static struct t_vfio *vfio(struct end *e)
{
	return e->real ? &e->testdev.vfio : &e->sim.vfio;
}

static int end_close(struct end *e)
{
	if (e->host)
		return t_host_close(&e->h);
	if (e->real)
		t_testdev_close(&e->testdev);
	else
		t_dma_close(&e->sim);
	return 0;
}

/* By a device of the host: @fd's attachment @number, or (0) the driver's own way */
static int host_moves(int fd, u32 number, bool rid, const void *at, void *mem, bool write)
{
	u32 flags = IOASID_HOST_DMA_REQUEST | (write ? IOASID_HOST_DMA_WRITE : 0);

	if (!number && !rid)
		flags |= IOASID_HOST_DMA_SVA;
	if (rid)
		flags &= ~IOASID_HOST_DMA_REQUEST;
	return t_host_dma(fd, number, flags, at, mem, T_PAGE);
}

static int real_moves(struct end *e, u32 pasid, const void *at, void *mem, bool write)
{
	struct t_testdev_cmd cmd = {
		.opcode = write ? TESTDEV_OP_WRITE : TESTDEV_OP_READ, .pasid = pasid,
		.addr = (uintptr_t)at, .length = T_PAGE,
		.flags = pasid ? TESTDEV_F_ATS | TESTDEV_F_PRI : 0,
	};
	int ret;

	if (write)
		t_testdev_put(&e->testdev, 0, mem, T_PAGE);
	ret = t_testdev_run(&e->testdev, &cmd);
	if (!ret && !write)
		t_testdev_get(&e->testdev, 0, mem, T_PAGE);
	return ret <= 0 ? ret : REFUSED;
}

static int vfio_moves(struct end *e, u32 pasid, const void *at, void *mem, bool write)
{
	struct ioasid_sim_command cmd = {
		.opcode = write ? IOASID_SIM_OP_WRITE : IOASID_SIM_OP_READ,
		.iova = (uintptr_t)at, .length = T_PAGE, .pasid = pasid,
		.flags = pasid ? IOASID_SIM_CMD_PASID | IOASID_SIM_CMD_REQUEST : 0,
	};
	struct ioasid_sim_completion c;
	int ret;

	if (write)
		memcpy(t_sim_buffer(&e->sim.sim, 0), mem, T_PAGE);
	ret = t_sim_run(&e->sim.sim, &cmd, &c);
	if (ret)
		return ret;
	if (!write)
		memcpy(mem, t_sim_buffer(&e->sim.sim, 0), T_PAGE);
	ret = t_sim_error(&c);
	return ret == -EFAULT || ret == -EIO ? REFUSED : ret;
}

/*
 * @fd: of a device of the host, its file; @number: its PASID for that file; @pasid:
 * the PASID on the bus
 */
struct way {
	int fd;
	u32 number;
	u32 pasid;
	bool rid;
};

static int moves(struct end *e, const struct way *w, const void *at, void *mem, bool write)
{
	if (e->real)
		return real_moves(e, w->pasid, at, mem, write);
	if (e->host)
		return host_moves(w->fd, w->number, w->rid, at, mem, write);
	return vfio_moves(e, w->pasid, at, mem, write);
}

static int reads(struct end *e, const struct way *w, const void *at, u32 seed)
{
	char got[T_PAGE] = { 0 };
	int ret = moves(e, w, at, got, false);

	if (ret)
		return ret;
	return t_differs(got, T_PAGE, seed) < 0 ? 0 : -EILSEQ;
}

static int writes(struct end *e, const struct way *w, const void *at, u32 seed)
{
	char page[T_PAGE];

	t_fill(page, T_PAGE, seed);
	return moves(e, w, at, page, true);
}

/* Linux 6.12 lets no device on x86 at a process' memory, and replaces no PASID */
#define NEED_TWO() do {									\
	NEED(on_real() || t_on_sim(), "needs two ioasid-testdev, or ioasid_sim");	\
	NEED(!t_old_kernel(), "needs a kernel that shares a process' memory");		\
} while (0)

/* The device of the host is the last one; VFIO has the others */
#define HOST_NTH	(on_real() ? 1 : 3)

/* --- beside drivers of the host ------------------------------------------------------ */

FIXTURE(host) {
	struct end h;
	struct way sva;		/* of the driver, for our memory */
	char *mem;
	u32 seed;
};

FIXTURE_SETUP(host)
{
	NEED_TWO();
	t_sim_allow(true);
	ASSERT_TRUE(t_host_load());
	ASSERT_EQ(0, end_host(&self->h, HOST_NTH));
	self->mem = t_memory(T_ANON, LEN);
	ASSERT_NE(NULL, self->mem);
	self->sva.fd = self->h.h.fd;
	ASSERT_EQ(0, t_host_sva(self->sva.fd, &self->sva.pasid));
}

FIXTURE_TEARDOWN(host)
{
	EXPECT_EQ(0, end_close(&self->h));
}

/* Both ways, and what is taken away is gone */
#define HOST_WORKS() do {								\
	char *__m = t_memory(T_ANON, LEN);						\
											\
	self->seed += 10;								\
	t_fill(__m, T_PAGE, self->seed);						\
	EXPECT_EQ(0, reads(&self->h, &self->sva, __m, self->seed));			\
	EXPECT_EQ(0, writes(&self->h, &self->sva, __m + T_PAGE, self->seed + 1));	\
	EXPECT_EQ(-1, t_differs(__m + T_PAGE, T_PAGE, self->seed + 1));			\
	EXPECT_EQ(0, munmap(__m, LEN));							\
	EXPECT_EQ(REFUSED, reads(&self->h, &self->sva, __m, self->seed));		\
	EXPECT_EQ(REFUSED, writes(&self->h, &self->sva, __m + T_PAGE, 1));		\
} while (0)

/* A context with everything, on another device of the same IOMMU */
TEST_F(host, beside_a_context)
{
	u32 space, mm, mapped = IOASID_PASID_ANY, ours = IOASID_PASID_ANY;
	char *other = t_memory(T_ANON, LEN);
	struct way rid = { 0 }, p = { 0 }, m = { 0 };
	struct end v;
	int fd = t_open();

	ASSERT_FD(fd);
	HOST_WORKS();
	ASSERT_EQ(0, end_vfio(&v, 0));
	ASSERT_OK(t_alloc(fd, &space));
	ASSERT_OK(t_vfio_attach(vfio(&v), fd, space, 0));
	t_fill(other, LEN, 1);
	/* At the very address that the host's device uses */
	ASSERT_OK(t_map_at(fd, space, other, LEN, T_RW, (uintptr_t)self->mem));
	t_fill(self->mem, T_PAGE, 2);
	HOST_WORKS();
	ASSERT_OK(t_attach_pasid(fd, vfio(&v)->dev_id, space, &mapped, 0, 0));
	p.pasid = mapped;
	EXPECT_NE(self->sva.pasid, mapped);
	EXPECT_EQ(0, reads(&v, &rid, self->mem, 1));
	EXPECT_EQ(0, reads(&v, &p, self->mem, 1));
	EXPECT_EQ(0, reads(&self->h, &self->sva, self->mem, 2));
	EXPECT_EQ(0, writes(&v, &p, self->mem, 3));
	EXPECT_EQ(-1, t_differs(self->mem, T_PAGE, 2));
	/* The PASID of the host's device is nothing to another device */
	m.pasid = self->sva.pasid;
	EXPECT_EQ(REFUSED, reads(&v, &m, self->mem, 2));
	/* Nor can the context have it */
	EXPECT_FAIL(EPERM, NO_PASID_ID,
		    t_attach_pasid(fd, vfio(&v)->dev_id, space, &self->sva.pasid, 0x55, 0));
	/* The same process: the same PASID, and each of them ends by itself */
	ASSERT_OK(t_alloc_mm(fd, &mm));
	ASSERT_OK(t_attach_pasid(fd, vfio(&v)->dev_id, mm, &ours, 0, 0));
	EXPECT_EQ(self->sva.pasid, ours);
	EXPECT_EQ(0, reads(&v, &m, self->mem, 2));
	HOST_WORKS();
	ASSERT_OK(t_detach_pasid(fd, vfio(&v)->dev_id, ours));
	EXPECT_EQ(REFUSED, reads(&v, &m, self->mem, 2));
	HOST_WORKS();
	EXPECT_EQ((long long)LEN, t_unmap_all(fd, space));
	EXPECT_EQ(REFUSED, reads(&v, &p, self->mem, 1));
	EXPECT_EQ(0, reads(&self->h, &self->sva, self->mem, 2));
	end_close(&v);
	close(fd);
	HOST_WORKS();
	/* And the other way round: the host's ends, the context's stays */
	fd = t_open();
	ASSERT_EQ(0, end_vfio(&v, 0));
	ASSERT_OK(t_alloc(fd, &space));
	ASSERT_OK(t_vfio_attach(vfio(&v), fd, space, 0));
	ASSERT_OK(t_alloc_mm(fd, &mm));
	ours = IOASID_PASID_ANY;
	ASSERT_OK(t_attach_pasid(fd, vfio(&v)->dev_id, mm, &ours, 0, 0));
	m.pasid = ours;
	EXPECT_EQ(0, t_host_sva_end(self->sva.fd));
	EXPECT_EQ(0, reads(&v, &m, self->mem, 2));
	EXPECT_NE(0, reads(&self->h, &self->sva, self->mem, 2));
	EXPECT_EQ(0, t_host_sva(self->sva.fd, &self->sva.pasid));
	HOST_WORKS();
	end_close(&v);
	close(fd);
}

/* On the very device that the host's driver uses */
TEST_F(host, the_same_device)
{
	u32 mm, space, p = IOASID_PASID_ANY, q = IOASID_PASID_ANY, dead;
	int file = t_host_file(&self->h.h), fd = t_open(), go[2], theirs[2], status;
	struct way ours = { .fd = file }, mapped = { .fd = file };
	char *other = t_memory(T_ANON, LEN), c;
	pid_t pid;

	ASSERT_FD(file);
	ASSERT_FD(fd);
	ASSERT_EQ(0, pipe(go));
	ASSERT_EQ(0, pipe(theirs));
	t_fill(self->mem, T_PAGE, 2);
	t_fill(other, LEN, 1);
	ASSERT_OK(t_alloc(fd, &space));
	ASSERT_OK(t_map_at(fd, space, other, LEN, T_RW, (uintptr_t)self->mem));
	ASSERT_OK(t_host_attach(file, fd, space, &p, 0, 0));
	mapped.number = mapped.pasid = p;
	EXPECT_EQ(0, reads(&self->h, &mapped, self->mem, 1));
	EXPECT_EQ(0, reads(&self->h, &self->sva, self->mem, 2));
	/* Our own memory once more: the same PASID */
	ASSERT_OK(t_alloc_mm(fd, &mm));
	ASSERT_OK(t_host_attach(file, fd, mm, &q, 0, 0));
	EXPECT_EQ(self->sva.pasid, q);
	ours.number = ours.pasid = q;
	EXPECT_EQ(0, reads(&self->h, &ours, self->mem, 2));
	ASSERT_OK(t_host_detach(file, q));
	HOST_WORKS();
	q = IOASID_PASID_ANY;
	ASSERT_OK(t_host_attach(file, fd, mm, &q, 0, 0));
	EXPECT_EQ(0, t_host_sva_end(self->sva.fd));
	EXPECT_EQ(0, reads(&self->h, &ours, self->mem, 2));
	ASSERT_EQ(0, t_host_sva(self->sva.fd, &self->sva.pasid));
	ASSERT_OK(t_host_detach(file, q));
	HOST_WORKS();
	/* Another process on it, at the same address; it is killed */
	pid = fork();
	if (!pid) {
		t_fill(self->mem, T_PAGE, 7);
		q = IOASID_PASID_ANY;
		if (t_alloc_mm(fd, &mm) || t_host_attach(file, fd, mm, &q, 0, 0) ||
		    write(theirs[1], &q, sizeof(q)) != sizeof(q))
			_exit(1);
		read(go[0], &c, 1);
		_exit(2);
	}
	ASSERT_EQ(sizeof(dead), read(theirs[0], &dead, sizeof(dead)));
	EXPECT_NE(self->sva.pasid, dead);
	ours.number = ours.pasid = dead;
	EXPECT_EQ(0, reads(&self->h, &ours, self->mem, 7));
	EXPECT_EQ(0, reads(&self->h, &self->sva, self->mem, 2));
	EXPECT_EQ(0, writes(&self->h, &ours, self->mem, 8));
	EXPECT_EQ(-1, t_differs(self->mem, T_PAGE, 2));
	kill(pid, SIGKILL);
	ASSERT_EQ(pid, waitpid(pid, &status, 0));
	EXPECT_EQ(REFUSED, reads(&self->h, &ours, self->mem, 8));
	EXPECT_EQ(0, reads(&self->h, &mapped, self->mem, 1));
	HOST_WORKS();
	close(file);
	HOST_WORKS();
	close(fd);
	HOST_WORKS();
}

/* What is left of a process, from an earlier test, is looked at once a second */
static int unload(void)
{
	int i;

	if (system("rmmod ioasid_sample && rmmod ioasid_vfio"))
		return -1;
	for (i = 0; i < 50 && system("rmmod ioasid 2> /dev/null"); i++)
		usleep(100000);
	return access("/sys/module/ioasid", F_OK) ? 0 : -1;
}

/* Our modules go while a driver of the host shares memory, and come back */
TEST_F(host, unload)
{
	struct stat node;
	struct end v;
	u32 space, p = IOASID_PASID_ANY;
	int fd = t_open();

	ASSERT_FD(fd);
	NEED(!access("/sys/module/ioasid/initstate", F_OK), "needs ioasid as a module");
	/* In use, and no longer */
	ASSERT_EQ(0, end_vfio(&v, 0));
	ASSERT_OK(t_alloc(fd, &space));
	ASSERT_OK(t_vfio_attach(vfio(&v), fd, space, 0));
	ASSERT_OK(t_attach_pasid(fd, vfio(&v)->dev_id, space, &p, 0, 0));
	HOST_WORKS();
	end_close(&v);
	close(fd);
	ASSERT_EQ(0, stat("/dev/ioasid", &node));
	ASSERT_EQ(0, unload());
	HOST_WORKS();
	ASSERT_EQ(0, system("modprobe ioasid && modprobe ioasid_vfio && modprobe ioasid_sample"));
	EXPECT_EQ(0, chown("/dev/ioasid", node.st_uid, node.st_gid));
	EXPECT_EQ(0, chmod("/dev/ioasid", node.st_mode & 07777));
	t_sim_allow(true);
	HOST_WORKS();
}

/* --- the interface for drivers, by the glue of samples/driver -------------------------- */

FIXTURE(glue) {
	struct end h;
	int fd;
	u32 one;
	u32 two;
	char *mem;		/* at AT of one; mem2 of two */
	char *mem2;
};

FIXTURE_SETUP(glue)
{
	NEED(on_real() || t_on_sim(), "needs two ioasid-testdev, or ioasid_sim");
	ASSERT_TRUE(t_host_load());
	ASSERT_EQ(0, end_host(&self->h, HOST_NTH));
	self->fd = t_open();
	ASSERT_FD(self->fd);
	self->mem = t_memory(T_ANON, LEN);
	self->mem2 = t_memory(T_ANON, LEN);
	t_fill(self->mem, LEN, 1);
	t_fill(self->mem2, LEN, 2);
	ASSERT_OK(t_alloc(self->fd, &self->one));
	ASSERT_OK(t_alloc(self->fd, &self->two));
	ASSERT_OK(t_map_at(self->fd, self->one, self->mem, LEN, T_RW, AT));
	ASSERT_OK(t_map_at(self->fd, self->two, self->mem2, LEN, T_RW, AT));
}

FIXTURE_TEARDOWN(glue)
{
	EXPECT_EQ(0, end_close(&self->h));
	close(self->fd);
}

#define GLUE_READS(way, seed)	reads(&self->h, way, (void *)AT, seed)

TEST_F(glue, pasid)
{
	struct way w = { .fd = self->h.h.fd };
	u32 p = IOASID_PASID_ANY, q;
	struct ioasid_info info = { .size = sizeof(info) };

	ASSERT_OK(t_host_attach(w.fd, self->fd, self->one, &p, 0, 0));
	w.number = w.pasid = p;
	EXPECT_EQ(0, GLUE_READS(&w, 1));
	EXPECT_EQ(0, writes(&self->h, &w, (void *)AT, 3));
	EXPECT_EQ(-1, t_differs(self->mem, T_PAGE, 3));
	q = p;
	EXPECT_FAIL(EBUSY, ATTACHED, t_host_attach(w.fd, self->fd, self->two, &q, 0, 0));
	EXPECT_EQ(0, GLUE_READS(&w, 3));
	ASSERT_OK(t_host_detach(w.fd, p));
	EXPECT_NE(0, GLUE_READS(&w, 3));
	EXPECT_FAIL(ENOENT, NOT_ATTACHED, t_host_detach(w.fd, p));
	/* One of ours, by a number of ours */
	ASSERT_OK(t_info(self->fd, &info));
	EXPECT_EQ(0, info.nr_pasids);
	EXPECT_EQ(1, info.nr_devices);
	p = 1;
	EXPECT_FAIL(EPERM, NO_PASID_ID, t_host_attach(w.fd, self->fd, self->one, &p, 0, 0));
	p = IOASID_PASID_ANY;
	ASSERT_OK(t_host_attach(w.fd, self->fd, self->two, &p, 0x777, 0));
	w.number = 0x777;
	w.pasid = p;
	EXPECT_EQ(0, GLUE_READS(&w, 2));
	/* Closing takes all with it */
	close(self->h.h.fd);
	self->h.h.fd = t_host_file(&self->h.h);
	ASSERT_FD(self->h.h.fd);
	ASSERT_OK(t_info(self->fd, &info));
	EXPECT_EQ(0, info.nr_pasids);
	EXPECT_EQ(0, info.nr_devices);
	EXPECT_OK(t_free(self->fd, self->one));
	EXPECT_OK(t_free(self->fd, self->two));
}

TEST_F(glue, replace_pasid)
{
	struct way w = { .fd = self->h.h.fd, .number = 5 };
	u32 p = IOASID_PASID_ANY, q;
	int ret;

	ASSERT_OK(t_host_attach(w.fd, self->fd, self->one, &p, 5, 0));
	w.pasid = p;
	EXPECT_EQ(0, GLUE_READS(&w, 1));
	q = IOASID_PASID_ANY;
	ret = t_host_attach(w.fd, self->fd, self->two, &q, 5, IOASID_ATTACH_REPLACE);
	if (ret == -EOPNOTSUPP) {
		EXPECT_EQ(0, GLUE_READS(&w, 1));
		SKIP(return, "needs a kernel that replaces the domain of a PASID");
	}
	ASSERT_EQ(0, ret) TH_LOG("%s", t_explain());
	EXPECT_EQ(p, q);
	EXPECT_EQ(0, GLUE_READS(&w, 2));
	ASSERT_OK(t_host_detach(w.fd, 5));
	EXPECT_NE(0, GLUE_READS(&w, 2));
}

/* The RID can be had, too, as long as the driver has no use for it */
TEST_F(glue, rid)
{
	struct way w = { .fd = self->h.h.fd, .rid = true };
	int file = t_host_file(&self->h.h), ctx = t_open();
	u32 p = IOASID_RID, id;

	ASSERT_FD(file);
	ASSERT_FD(ctx);
	ASSERT_OK(t_host_attach(w.fd, self->fd, self->one, &p, 0, 0));
	EXPECT_EQ(IOASID_RID, p);
	EXPECT_EQ(0, GLUE_READS(&w, 1));
	ASSERT_OK(t_host_attach(w.fd, self->fd, self->two, &p, 0, IOASID_ATTACH_REPLACE));
	EXPECT_EQ(0, GLUE_READS(&w, 2));
	/* Another file, another context: it is taken */
	ASSERT_OK(t_alloc(ctx, &id));
	EXPECT_FAIL(EBUSY, OWNER, t_host_attach(file, ctx, id, &p, 0, 0));
	EXPECT_FAIL(EBUSY, OWNER, t_host_attach(file, self->fd, self->one, &p, 0, 0));
	EXPECT_EQ(0, GLUE_READS(&w, 2));
	ASSERT_OK(t_host_detach(w.fd, IOASID_RID));
	ASSERT_OK(t_host_attach(file, ctx, id, &p, 0, 0));
	ASSERT_OK(t_host_detach(file, IOASID_RID));
	close(file);
	close(ctx);
}

TEST_F(glue, bad_arguments)
{
	u32 p = IOASID_PASID_ANY, faults;

	EXPECT_FAIL(EBADF, FD, t_host_attach(self->h.h.fd, 999, self->one, &p, 0, 0));
	EXPECT_FAIL(EINVAL, FD, t_host_attach(self->h.h.fd, 0, self->one, &p, 0, 0));
	EXPECT_FAIL(ENOENT, NO_SPACE_ID, t_host_attach(self->h.h.fd, self->fd, 999, &p, 0, 0));
	EXPECT_FAIL(EOPNOTSUPP, FLAGS, t_host_attach(self->h.h.fd, self->fd, self->one, &p, 0, 64));
	EXPECT_FAIL(ENOENT, NOT_ATTACHED, t_host_detach(self->h.h.fd, 1));
	/* A first attach that fails leaves nothing: another file can use the context */
	ASSERT_OK(t_alloc_faults(self->fd, &faults));
	EXPECT_OK(t_free(self->fd, self->one));
	close(self->h.h.fd);
	self->h.h.fd = t_host_file(&self->h.h);
	EXPECT_OK(t_host_attach(self->h.h.fd, self->fd, self->two, &p, 0, 0));
}

/* The driver goes while its device is attached, with a file of it still open */
TEST_F(glue, unbind)
{
	struct ioasid_info info = { .size = sizeof(info) };
	u32 p = IOASID_PASID_ANY, q = IOASID_PASID_ANY;
	int file = t_host_file(&self->h.h);
	struct t_host h = self->h.h;

	ASSERT_FD(file);
	ASSERT_OK(t_host_attach(file, self->fd, self->one, &p, 0, 0));
	/* Closing the context leaves the device as it is, until that goes */
	h.bar = NULL;
	h.fd = -1;
	ASSERT_EQ(0, t_host_close(&h));
	EXPECT_EQ(-ENODEV, t_host_attach(file, self->fd, self->one, &q, 0, 0));
	ASSERT_OK(t_info(self->fd, &info));
	EXPECT_EQ(0, info.nr_pasids);
	EXPECT_EQ(0, info.nr_devices);
	EXPECT_OK(t_free(self->fd, self->one));
	close(file);
	close(self->h.h.fd);
	if (self->h.h.bar)
		munmap(self->h.h.bar, self->h.h.bar_len);
	ASSERT_EQ(0, end_host(&self->h, HOST_NTH));
}

/* --- contexts beside each other --------------------------------------------------------- */

FIXTURE(contexts) {
	int fd[2];
	struct end e[2];
	u32 space[2];
	char *mem[2];
};

FIXTURE_SETUP(contexts)
{
	int i;

	NEED(on_real() || t_on_sim(), "needs two ioasid-testdev, or ioasid_sim");
	for (i = 0; i < 2; i++) {
		self->fd[i] = t_open();
		ASSERT_FD(self->fd[i]);
		ASSERT_EQ(0, end_vfio(&self->e[i], i));
		ASSERT_OK(t_alloc(self->fd[i], &self->space[i]));
		ASSERT_OK(t_vfio_attach(vfio(&self->e[i]), self->fd[i], self->space[i], 0));
		self->mem[i] = t_memory(T_ANON, LEN);
		t_fill(self->mem[i], LEN, 1 + i);
		ASSERT_OK(t_map_at(self->fd[i], self->space[i], self->mem[i], LEN, T_RW, AT));
	}
}

FIXTURE_TEARDOWN(contexts)
{
	int i;

	for (i = 0; i < 2; i++) {
		end_close(&self->e[i]);
		close(self->fd[i]);
	}
}

/* Two guests, each of which thinks that it has PASID 0x42 */
TEST_F(contexts, equal_virtual_pasids)
{
	u32 p[2], i, q, other;
	struct way w[2] = { 0 };

	for (i = 0; i < 2; i++) {
		p[i] = IOASID_PASID_ANY;
		ASSERT_OK(t_attach_pasid(self->fd[i], vfio(&self->e[i])->dev_id, self->space[i],
					 &p[i], 0x42, 0));
		w[i].pasid = p[i];
	}
	EXPECT_NE(p[0], p[1]);
	for (i = 0; i < 2; i++) {
		EXPECT_EQ(0, reads(&self->e[i], &w[i], (void *)AT, 1 + i));
		EXPECT_EQ(0, writes(&self->e[i], &w[i], (void *)(AT + T_PAGE), 20 + i));
	}
	/* Nobody's device gets anywhere by the real number of the other */
	EXPECT_EQ(REFUSED, reads(&self->e[0], &w[1], (void *)AT, 2));
	EXPECT_EQ(REFUSED, reads(&self->e[1], &w[0], (void *)AT, 1));
	EXPECT_EQ(-1, t_differs(self->mem[0] + T_PAGE, T_PAGE, 20));
	EXPECT_EQ(-1, t_differs(self->mem[1] + T_PAGE, T_PAGE, 21));
	q = p[1];
	EXPECT_FAIL(EPERM, NO_PASID_ID, t_attach_pasid(self->fd[0], vfio(&self->e[0])->dev_id,
						       self->space[0], &q, 0x43, 0));
	/* What one does to its 0x42 is nothing to the other's */
	EXPECT_EQ((long long)LEN, t_unmap_all(self->fd[0], self->space[0]));
	EXPECT_EQ(REFUSED, reads(&self->e[0], &w[0], (void *)AT, 1));
	EXPECT_EQ(0, reads(&self->e[1], &w[1], (void *)AT, 2));
	ASSERT_OK(t_alloc(self->fd[0], &other));
	q = IOASID_PASID_ANY;
	if (!t_old_kernel())
		ASSERT_OK(t_attach_pasid(self->fd[0], vfio(&self->e[0])->dev_id, other, &q, 0x42,
					 IOASID_ATTACH_REPLACE));
	EXPECT_EQ(0, reads(&self->e[1], &w[1], (void *)AT, 2));
	ASSERT_OK(t_detach_pasid(self->fd[0], vfio(&self->e[0])->dev_id, 0x42));
	EXPECT_EQ(0, reads(&self->e[1], &w[1], (void *)AT, 2));
	ASSERT_OK(t_detach_pasid(self->fd[1], vfio(&self->e[1])->dev_id, 0x42));
	EXPECT_EQ(REFUSED, reads(&self->e[1], &w[1], (void *)AT, 2));
}

/* Begins to read a page, and asks for it if it is not there: the slot */
static int ask(struct end *e, u32 pasid, u64 at)
{
	struct t_testdev_cmd real = {
		.opcode = TESTDEV_OP_READ, .pasid = pasid, .addr = at, .length = T_PAGE,
		.flags = TESTDEV_F_ATS | TESTDEV_F_PRI,
	};
	struct ioasid_sim_command cmd = {
		.opcode = IOASID_SIM_OP_READ, .iova = at, .length = T_PAGE, .pasid = pasid,
		.flags = IOASID_SIM_CMD_PASID | IOASID_SIM_CMD_REQUEST,
	};

	if (!e->real)
		return t_sim_submit(&e->sim.sim, &cmd);
	t_testdev_begin(&e->testdev, 0, &real);
	return 0;
}

/* How it ended: 0, REFUSED, or -ETIMEDOUT if it still waits after @ms */
static int ended(struct end *e, int slot, u32 ms)
{
	struct ioasid_sim_completion c;
	int ret;

	if (e->real) {
		ret = t_testdev_end(&e->testdev, slot, NULL, ms);
		return ret <= 0 ? ret : REFUSED;
	}
	ret = t_sim_wait(&e->sim.sim, slot, &c, ms);
	return ret ? ret : t_sim_error(&c) ? REFUSED : 0;
}

#define WAITS(i)	EXPECT_EQ(-ETIMEDOUT, ended(&self->e[i], slot[i], 100))
#define ENDS(ret, i)	EXPECT_EQ(ret, ended(&self->e[i], slot[i], 20000))
#define NOTHING(i) do {									\
	struct ioasid_fault_record __none;						\
	EXPECT_EQ(-ETIMEDOUT, t_queue_next(&q[i], &__none, 100));			\
} while (0)
#define ASKS(i, at) do {								\
	slot[i] = ask(&self->e[i], p[i], at);						\
	ASSERT_LE(0, slot[i]);								\
	ASSERT_EQ(0, t_queue_next(&q[i], &r[i], 20000));				\
	EXPECT_EQ(IOASID_FAULT_REQUEST, r[i].type);					\
	EXPECT_EQ(at, r[i].addr & ~(T_PAGE - 1));					\
	EXPECT_EQ(0x42, r[i].pasid);							\
	EXPECT_EQ(vfio(&self->e[i])->dev_id, r[i].dev_id);				\
	EXPECT_EQ((uintptr_t)vfio(&self->e[i]), r[i].device_cookie);			\
	EXPECT_EQ(space[i], r[i].ioasid);						\
} while (0)

/*
 * Page requests of two guests whose devices, spaces, queues and PASIDs have the same
 * numbers, at the same address: each gets its own, and answers, detaches and
 * closes for nobody else.
 */
TEST_F(contexts, equal_page_requests)
{
	struct ioasid_fault_record r[2], old;
	u32 space[2], p[2], id[2];
	struct ioasid_info info;
	struct t_queue q[2];
	int slot[2], i;

	ASSERT_OK(t_info(self->fd[0], &info));
	NEED(info.caps & IOASID_CAP_FAULT, "needs a kernel with page requests");
	for (i = 0; i < 2; i++) {
		id[i] = vfio(&self->e[i])->dev_id;
		ASSERT_OK(t_alloc_faults(self->fd[i], &space[i]));
		ASSERT_OK(t_queue_open(&q[i], self->fd[i], NULL));
		ASSERT_OK(t_fault_bind(self->fd[i], space[i], 0, 0, q[i].id));
		p[i] = IOASID_PASID_ANY;
		ASSERT_OK(t_attach_pasid(self->fd[i], id[i], space[i], &p[i], 0x42, 0));
	}
	/* Or the test would prove less than it says */
	ASSERT_EQ(q[0].id, q[1].id);
	ASSERT_EQ(space[0], space[1]);
	ASSERT_EQ(id[0], id[1]);
	for (i = 0; i < 2; i++)
		ASKS(i, AT);
	for (i = 0; i < 2; i++)
		NOTHING(i);
	/* What is mapped and answered in one is nothing to the other */
	ASSERT_OK(t_map_at(self->fd[0], space[0], self->mem[0], T_PAGE, T_RW, AT));
	ASSERT_EQ(0, t_queue_answer(&q[0], r[0].cookie, IOASID_FAULT_SUCCESS));
	ENDS(0, 0);
	WAITS(1);
	/* An answer given before is none to the next question */
	old = r[0];
	ASKS(0, AT + T_PAGE);
	EXPECT_NE(old.cookie, r[0].cookie);
	EXPECT_EQ(-ENOENT, t_queue_answer(&q[0], old.cookie, IOASID_FAULT_INVALID));
	WAITS(0);
	ASSERT_OK(t_detach_pasid(self->fd[0], id[0], 0x42));
	ENDS(REFUSED, 0);
	WAITS(1);
	ASSERT_EQ(0, t_queue_answer(&q[1], r[1].cookie, IOASID_FAULT_INVALID));
	ENDS(REFUSED, 1);
	/* A queue that is closed answers what waits in it, and takes nothing more */
	p[0] = IOASID_PASID_ANY;
	ASSERT_OK(t_attach_pasid(self->fd[0], id[0], space[0], &p[0], 0x42, 0));
	ASSERT_EQ(0, t_queue_next(&q[0], &old, 20000));
	EXPECT_EQ(IOASID_FAULT_DETACHED, old.type);
	for (i = 0; i < 2; i++)
		ASKS(i, AT + T_PAGE);
	t_queue_close(&q[0]);
	ENDS(REFUSED, 0);
	WAITS(1);
	slot[0] = ask(&self->e[0], p[0], AT + T_PAGE);
	ENDS(REFUSED, 0);
	ASSERT_EQ(0, t_queue_answer(&q[1], r[1].cookie, IOASID_FAULT_INVALID));
	ENDS(REFUSED, 1);
	t_queue_close(&q[1]);
}

#define PER_USER	"/sys/module/ioasid/parameters/pasids_per_user"

static int alloc_as_other(void *arg)
{
	FIXTURE_DATA(contexts) *self = arg;
	u32 p;

	T_CHECK(t_pasid_alloc(self->fd[0], vfio(&self->e[0])->dev_id, 1, &p) == -EDQUOT);
	T_CHECK(t_extack.code == IOASID_REASON_LIMIT);
	return 0;
}

/*
 * All contexts that a user has opened have one quota, whoever uses them, and the
 * PASID of a process counts, too
 */
TEST_F(contexts, quota_of_a_user)
{
	u32 id[] = { vfio(&self->e[0])->dev_id, vfio(&self->e[1])->dev_id };
	u32 p[4], q = IOASID_PASID_ANY, mm;
	char before[32];

	ASSERT_LT(0, t_read_file(PER_USER, before, sizeof(before)));
	ASSERT_EQ(0, t_write_file(PER_USER, "3"));
	EXPECT_OK(t_pasid_alloc(self->fd[0], id[0], 2, p));
	EXPECT_FAIL(EDQUOT, LIMIT, t_pasid_alloc(self->fd[1], id[1], 2, p + 2));
	EXPECT_OK(t_pasid_alloc(self->fd[1], id[1], 1, p + 2));
	EXPECT_FAIL(EDQUOT, LIMIT, t_pasid_alloc(self->fd[0], id[0], 1, p + 3));
	EXPECT_FAIL(EDQUOT, LIMIT, t_attach_pasid(self->fd[0], id[0], self->space[0], &q, 0, 0));
	EXPECT_EQ(0, t_child_as(T_NOBODY, alloc_as_other, self));
	if (!t_old_kernel()) {
		ASSERT_OK(t_alloc_mm(self->fd[0], &mm));
		EXPECT_FAIL(EDQUOT, LIMIT, t_attach_pasid(self->fd[0], id[0], mm, &q, 0, 0));
		EXPECT_OK(t_pasid_free(self->fd[1], 1, p + 2));
		EXPECT_OK(t_attach_pasid(self->fd[0], id[0], mm, &q, 0, 0));
		EXPECT_FAIL(EDQUOT, LIMIT, t_pasid_alloc(self->fd[1], id[1], 1, p + 2));
		EXPECT_OK(t_detach_pasid(self->fd[0], id[0], q));
		EXPECT_OK(t_free(self->fd[0], mm));
		/* This process has its PASID for good */
		EXPECT_FAIL(EDQUOT, LIMIT, t_pasid_alloc(self->fd[1], id[1], 1, p + 2));
		EXPECT_EQ(0, t_write_file(PER_USER, "4"));
		EXPECT_OK(t_pasid_alloc(self->fd[1], id[1], 1, p + 2));
	}
	/* What a context that ends had is free */
	close(self->fd[1]);
	end_close(&self->e[1]);
	EXPECT_OK(t_pasid_alloc(self->fd[0], id[0], 1, p + 3));
	EXPECT_EQ(0, t_write_file(PER_USER, before));
	ASSERT_EQ(0, end_vfio(&self->e[1], 1));
	self->fd[1] = t_open();
}

/* --- devices of one IOMMU group --------------------------------------------------------- */

FIXTURE(siblings) {
	int fd;
	struct end e[2];
	u32 id[2];
	u32 space[2];
	char *mem[2];
	u32 p;
};

FIXTURE_SETUP(siblings)
{
	int i;

	NEED(t_on_sim(), "needs siblings with PASIDs (ioasid_sim)");
	self->fd = t_open();
	ASSERT_FD(self->fd);
	ASSERT_EQ(0, t_dma_open(&self->e[0].sim, T_SIBLING, 0, VFIO_IOASID_IOMMU));
	ASSERT_EQ(0, t_dma_open_in(&self->e[1].sim, T_SIBLING, 1, &self->e[0].sim.vfio));
	for (i = 0; i < 2; i++) {
		ASSERT_OK(t_vfio_bind(vfio(&self->e[i]), self->fd));
		self->id[i] = vfio(&self->e[i])->dev_id;
		ASSERT_OK(t_alloc(self->fd, &self->space[i]));
		self->mem[i] = t_memory(T_ANON, LEN);
		t_fill(self->mem[i], LEN, 1 + i);
		ASSERT_OK(t_map_at(self->fd, self->space[i], self->mem[i], LEN, T_RW, AT));
	}
	ASSERT_OK(t_pasid_alloc(self->fd, self->id[0], 1, &self->p));
}

FIXTURE_TEARDOWN(siblings)
{
	t_dma_close(&self->e[1].sim);
	t_dma_close(&self->e[0].sim);
	close(self->fd);
}

static int sibling_reads(FIXTURE_DATA(siblings) *self, int which, u32 pasid, u32 seed)
{
	struct way w = { .pasid = pasid };

	return reads(&self->e[which], &w, (void *)AT, seed);
}

/* With one PASID a group has one space, and has it until its last device leaves */
TEST_F(siblings, one_pasid)
{
	u32 q = self->p, r = IOASID_PASID_ANY;

	ASSERT_OK(t_attach_pasid(self->fd, self->id[0], self->space[0], &q, 0, 0));
	EXPECT_EQ(0, sibling_reads(self, 0, self->p, 1));
	EXPECT_EQ(0, sibling_reads(self, 1, self->p, 1));
	EXPECT_FAIL(EBUSY, SIBLING,
		    t_attach_pasid(self->fd, self->id[1], self->space[1], &q, 0, 0));
	ASSERT_OK(t_attach_pasid(self->fd, self->id[1], self->space[0], &q, 0x77, 0));
	EXPECT_FAIL(EBUSY, SIBLING, t_attach_pasid(self->fd, self->id[0], self->space[1], &q, 0,
						   IOASID_ATTACH_REPLACE));
	EXPECT_EQ(0, sibling_reads(self, 0, self->p, 1));
	/* Another one beside it */
	ASSERT_OK(t_attach_pasid(self->fd, self->id[1], self->space[1], &r, 0, 0));
	EXPECT_EQ(0, sibling_reads(self, 1, r, 2));
	ASSERT_OK(t_detach_pasid(self->fd, self->id[0], self->p));
	EXPECT_EQ(0, sibling_reads(self, 1, self->p, 1));
	EXPECT_FAIL(EBUSY, IN_USE, t_pasid_free(self->fd, 1, &self->p));
	ASSERT_OK(t_detach_pasid(self->fd, self->id[1], 0x77));
	EXPECT_EQ(REFUSED, sibling_reads(self, 0, self->p, 1));
	EXPECT_EQ(REFUSED, sibling_reads(self, 1, self->p, 1));
	EXPECT_EQ(0, sibling_reads(self, 1, r, 2));
	EXPECT_OK(t_pasid_free(self->fd, 1, &self->p));
}

/* Both of them in a vector that fails: none is left */
TEST_F(siblings, vector)
{
	u32 ids[] = { self->id[0], self->id[1], self->id[0] }, q = self->p;

	EXPECT_FAIL(EBUSY, ATTACHED, t_attach_many(self->fd, ids, 3, self->space[0], &q, 0));
	EXPECT_EQ(2, t_extack.index);
	EXPECT_EQ(REFUSED, sibling_reads(self, 0, self->p, 1));
	EXPECT_OK(t_free(self->fd, self->space[0]));
	ASSERT_OK(t_attach_many(self->fd, ids, 2, self->space[1], &q, 0));
	EXPECT_EQ(0, sibling_reads(self, 0, self->p, 2));
	/* One was there before, and stays when the vector fails */
	EXPECT_OK(t_detach_pasid(self->fd, self->id[1], self->p));
	ids[0] = self->id[1];
	ids[1] = self->id[0];
	EXPECT_FAIL(EBUSY, ATTACHED, t_attach_many(self->fd, ids, 2, self->space[1], &q, 0));
	EXPECT_EQ(0, sibling_reads(self, 0, self->p, 2));
	EXPECT_OK(t_detach_pasid(self->fd, self->id[0], self->p));
	EXPECT_EQ(REFUSED, sibling_reads(self, 1, self->p, 2));
}

/* --- one is killed ------------------------------------------------------------------------ */

/* What the programs report to the test, in memory that all share */
struct report {
	volatile u32 rounds[3];
	volatile int error[3];
	volatile u32 pasid[3];
};

#define MUST(call) do {									\
	int __ret = (call);								\
											\
	if (__ret) {									\
		r->error[me] = __ret ? __ret : -1;					\
		fprintf(stderr, "# program %d: %s: %d: %s\n", me, #call, __ret,		\
			t_explain());							\
		_exit(1);								\
	}										\
} while (0)

/* Uses its device in every way, until it is killed */
static void program(struct report *r, int me)
{
	u32 space, mm, p = IOASID_PASID_ANY, q = IOASID_PASID_ANY;
	struct way rid = { 0 }, mapped = { 0 }, ours = { 0 };
	char *mem = t_memory(T_ANON, LEN), *own = t_memory(T_ANON, LEN);
	int fd = t_open(), i;
	struct end e;

	MUST(end_vfio(&e, me));
	MUST(t_alloc(fd, &space));
	MUST(t_vfio_attach(vfio(&e), fd, space, 0));
	MUST(t_map_at(fd, space, mem, LEN, T_RW, AT));
	MUST(t_attach_pasid(fd, vfio(&e)->dev_id, space, &p, 0x42, 0));
	if (!t_old_kernel()) {
		MUST(t_alloc_mm(fd, &mm));
		MUST(t_attach_pasid(fd, vfio(&e)->dev_id, mm, &q, 0x43, 0));
	}
	mapped.pasid = p;
	ours.pasid = q;
	r->pasid[me] = p;
	for (i = 100 * me;; i += 4) {
		t_fill(mem, T_PAGE, i);
		t_fill(own, T_PAGE, i + 1);
		MUST(reads(&e, &rid, (void *)AT, i));
		MUST(reads(&e, &mapped, (void *)AT, i));
		MUST(writes(&e, &mapped, (void *)(AT + T_PAGE), i + 2));
		MUST(t_differs(mem + T_PAGE, T_PAGE, i + 2) >= 0);
		if (!t_old_kernel()) {
			MUST(reads(&e, &ours, own, i + 1));
			MUST(writes(&e, &ours, own + T_PAGE, i + 3));
			MUST(t_differs(own + T_PAGE, T_PAGE, i + 3) >= 0);
		}
		r->rounds[me]++;
	}
}

/* The same by a driver of the host */
static void host_program(struct report *r, int me, struct end *h)
{
	char *own = t_memory(T_ANON, LEN);
	struct way w = { .fd = h->h.fd };
	int i;

	MUST(t_host_sva(w.fd, &w.pasid));
	for (i = 5000;; i += 2) {
		t_fill(own, T_PAGE, i);
		MUST(reads(h, &w, own, i));
		MUST(writes(h, &w, own + T_PAGE, i + 1));
		MUST(t_differs(own + T_PAGE, T_PAGE, i + 1) >= 0);
		r->rounds[me]++;
	}
}

/* They get on by some rounds from now, or -1 */
static int gets_on(struct report *r, int who)
{
	u32 want = r->rounds[who] + 3;
	u64 end = t_end_of_patience(5000);

	while (r->rounds[who] < want && !r->error[who] && t_now_ns() < end)
		t_sleep_ms(10);
	return r->rounds[who] < want || r->error[who] ? -1 : 0;
}

static pid_t begin(struct report *r, int me, struct end *h)
{
	pid_t pid = fork();

	if (pid)
		return pid;
	if (h)
		host_program(r, me, h);
	program(r, me);
	_exit(1);
}

TEST(one_is_killed)
{
	struct report *r = mmap(NULL, T_PAGE, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS,
				-1, 0);
	bool with_host;
	struct end h;
	pid_t pid[3];
	int i;

	NEED(on_real() || t_on_sim(), "needs two ioasid-testdev, or ioasid_sim");
	ASSERT_NE(MAP_FAILED, r);
	/* Two real devices are enough for two programs */
	with_host = !on_real() && !t_old_kernel();
	if (with_host) {
		ASSERT_TRUE(t_host_load());
		ASSERT_EQ(0, end_host(&h, HOST_NTH));
		pid[2] = begin(r, 2, &h);
		EXPECT_EQ(0, gets_on(r, 2));
	}
	for (i = 0; i < 2; i++) {
		pid[i] = begin(r, i, NULL);
		EXPECT_EQ(0, gets_on(r, i));
	}
	for (i = 0; i < 5; i++) {
		kill(pid[0], SIGKILL);
		ASSERT_EQ(pid[0], waitpid(pid[0], NULL, 0));
		EXPECT_EQ(0, gets_on(r, 1));
		if (with_host)
			EXPECT_EQ(0, gets_on(r, 2));
		/* Its device can be had again, and works */
		pid[0] = begin(r, 0, NULL);
		EXPECT_EQ(0, gets_on(r, 0));
		EXPECT_EQ(0, gets_on(r, 1));
	}
	for (i = 0; i < 2 + with_host; i++) {
		kill(pid[i], SIGKILL);
		ASSERT_EQ(pid[i], waitpid(pid[i], NULL, 0));
		EXPECT_EQ(0, r->error[i]);
	}
	if (with_host)
		EXPECT_EQ(0, end_close(&h));
}

TEST_HARNESS_MAIN
