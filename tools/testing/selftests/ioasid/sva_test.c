// SPDX-License-Identifier: GPL-2.0
/*
 * A device that uses the address space of a process: every sort of memory that a
 * process has, and everything that takes memory away from it again. The device
 * is used before each change, so that it holds the translation: what is changed
 * must reach it, or it reads what is no longer there and writes to somebody
 * else's memory. Runs on ioasid-testdev behind the real IOMMU driver where there
 * is one, otherwise on ioasid_sim.
 */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/falloc.h>
#include <linux/userfaultfd.h>
#include <poll.h>
#include <pthread.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/swap.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "harness.h"
#include "lib/testdev.h"

#define PAGES	8
#define LEN	(PAGES * T_PAGE)
/* The page request was answered, with no; and there was none, or nobody to answer */
#define DENIED	(-EIO)
#define REFUSED	(-EFAULT)

/* --- the device, whichever it is ------------------------------------------------ */

static struct {
	bool real;
	struct t_dma sim;
	struct t_testdev testdev;
	u32 pasid;
} dev;

static struct t_vfio *vfio(void)
{
	return dev.real ? &dev.testdev.vfio : &dev.sim.vfio;
}

static int dev_open(void)
{
	dev.real = t_testdev_find(0) && !t_on_sim();
	if (dev.real)
		return t_testdev_open(&dev.testdev, 0, VFIO_IOASID_IOMMU);
	return t_on_sim() ? t_dma_open(&dev.sim, T_EDU, 0, VFIO_IOASID_IOMMU) : -ENOENT;
}

static void dev_close(void)
{
	if (dev.real)
		t_testdev_close(&dev.testdev);
	else
		t_dma_close(&dev.sim);
}

static int testdev_errno(int error)
{
	switch (error) {
	case TESTDEV_E_TRANSLATE:
	case TESTDEV_E_DMA:
	case TESTDEV_E_REQUEST:		/* the IOMMU has no entry for the PASID */
		return REFUSED;
	case TESTDEV_E_INVALID:
		return DENIED;
	default:
		return error <= 0 ? error : -1000 - error;
	}
}

/* Without @ask a page that is not there is not asked for */
static int testdev_command(u32 opcode, u32 slot, bool ask, u64 addr, u32 length, u64 data)
{
	struct t_testdev_cmd cmd = {
		.opcode = opcode, .pasid = dev.pasid, .addr = addr, .length = length,
		.data = data, .flags = TESTDEV_F_ATS | (ask ? TESTDEV_F_PRI : 0),
	};

	t_testdev_begin(&dev.testdev, slot, &cmd);
	return testdev_errno(t_testdev_end(&dev.testdev, slot, NULL, 20000));
}

static int sim_command(u32 opcode, u32 slot, bool ask, u64 addr, u32 length, u64 data)
{
	struct ioasid_sim_command cmd = {
		.opcode = opcode, .iova = addr, .length = length, .pasid = dev.pasid,
		.flags = IOASID_SIM_CMD_PASID | (ask ? IOASID_SIM_CMD_REQUEST : 0),
	};
	struct ioasid_sim_completion c;
	int ret;

	if (opcode == IOASID_SIM_OP_FILL)
		cmd.value = data * 0x0101010101010101ULL;
	ret = t_sim_run(&dev.sim.sim, &cmd, &c);
	return ret ? ret : t_sim_error(&c);
}

/* One page of the process into the device: 0 if it is @seed's, -EILSEQ if not */
static int dev_reads_as(bool ask, const void *at, u32 seed)
{
	char got[T_PAGE] = { 0 };
	int ret;

	if (dev.real) {
		t_testdev_put(&dev.testdev, 0, got, T_PAGE);
		ret = testdev_command(TESTDEV_OP_READ, 0, ask, (uintptr_t)at, T_PAGE, 0);
		t_testdev_get(&dev.testdev, 0, got, T_PAGE);
	} else {
		memset(t_sim_buffer(&dev.sim.sim, 0), 0, T_PAGE);
		ret = sim_command(IOASID_SIM_OP_READ, 0, ask, (uintptr_t)at, T_PAGE, 0);
		memcpy(got, t_sim_buffer(&dev.sim.sim, 0), T_PAGE);
	}
	if (ret)
		return ret;
	return t_differs(got, T_PAGE, seed) < 0 ? 0 : -EILSEQ;
}

static int dev_reads(const void *at, u32 seed)
{
	return dev_reads_as(true, at, seed);
}

/* One page from the device into the process: @seed's */
static int dev_writes_as(bool ask, void *at, u32 seed)
{
	char page[T_PAGE];

	t_fill(page, T_PAGE, seed);
	if (dev.real) {
		t_testdev_put(&dev.testdev, 0, page, T_PAGE);
		return testdev_command(TESTDEV_OP_WRITE, 0, ask, (uintptr_t)at, T_PAGE, 0);
	}
	memcpy(t_sim_buffer(&dev.sim.sim, 0), page, T_PAGE);
	return sim_command(IOASID_SIM_OP_WRITE, 0, ask, (uintptr_t)at, T_PAGE, 0);
}

static int dev_writes(void *at, u32 seed)
{
	return dev_writes_as(true, at, seed);
}

static int dev_fills(void *at, u32 length, unsigned char value)
{
	u32 opcode = dev.real ? TESTDEV_OP_FILL : IOASID_SIM_OP_FILL;

	return (dev.real ? testdev_command : sim_command)(opcode, 1, true, (uintptr_t)at, length,
							  value);
}

/* --- memory ---------------------------------------------------------------------- */

static char *map(size_t length, int prot, int flags, int fd)
{
	char *mem = mmap(NULL, length, prot, flags | (fd < 0 ? MAP_ANONYMOUS : 0), fd, 0);

	return mem == MAP_FAILED ? NULL : mem;
}

static char *anonymous(size_t length)
{
	return map(length, PROT_READ | PROT_WRITE, MAP_PRIVATE, -1);
}

static void fill_pages(char *mem, u32 nr, u32 seed)
{
	u32 i;

	for (i = 0; i < nr; i++)
		t_fill(mem + i * T_PAGE, T_PAGE, seed + i);
}

/* The first page that is not as filled, or -1 */
static int first_changed(const char *mem, u32 nr, u32 seed)
{
	u32 i;

	for (i = 0; i < nr; i++)
		if (t_differs(mem + i * T_PAGE, T_PAGE, seed + i) >= 0)
			return i;
	return -1;
}

FIXTURE(sva) {
	int fd;
	u32 dev_id;
	u32 id;
	u32 rid;	/* QEMU's VT-d takes no PASID from a device without a space */
};

FIXTURE_SETUP(sva)
{
	int ret = dev_open();

	NEED(ret != -ENOENT, "needs ioasid-testdev or ioasid_sim");
	ASSERT_EQ(0, ret) TH_LOG("%s failed", t_vfio_step);
	self->fd = t_open();
	ASSERT_FD(self->fd);
	ASSERT_OK(t_alloc(self->fd, &self->rid));
	ASSERT_OK(t_vfio_attach(vfio(), self->fd, self->rid, 0));
	self->dev_id = vfio()->dev_id;
	NEED(t_shares_mm(self->fd), "needs a kernel that shares a process' memory");
	ASSERT_OK(t_alloc_mm(self->fd, &self->id));
	dev.pasid = IOASID_PASID_ANY;
	ASSERT_OK(t_attach_pasid(self->fd, self->dev_id, self->id, &dev.pasid, 0, 0));
}

FIXTURE_TEARDOWN(sva)
{
	dev_close();
	close(self->fd);
}

/* --- every sort of memory ---------------------------------------------------------- */

static void both_ways(struct __test_metadata *_metadata, char *mem)
{
	fill_pages(mem, PAGES, 10);
	EXPECT_EQ(0, dev_reads(mem, 10));
	EXPECT_EQ(0, dev_reads(mem + LEN - T_PAGE, 10 + PAGES - 1));
	EXPECT_EQ(0, dev_writes(mem + T_PAGE, 99));
	EXPECT_EQ(-1, t_differs(mem + T_PAGE, T_PAGE, 99));
	/* Its neighbours are as they were */
	EXPECT_EQ(-1, t_differs(mem, T_PAGE, 10));
	EXPECT_EQ(-1, t_differs(mem + 2 * T_PAGE, T_PAGE, 12));
}

TEST_F(sva, malloc)
{
	/* Not a whole page, wherever it is */
	char *mem = malloc(LEN + 123);

	ASSERT_NE(NULL, mem);
	both_ways(_metadata, mem + 17);
	free(mem);
}

TEST_F(sva, stack)
{
	char mem[LEN];

	both_ways(_metadata, mem);
}

static char data[LEN + 1] = { 1 };
static char bss[LEN];

TEST_F(sva, image)
{
	both_ways(_metadata, data + 1);
	both_ways(_metadata, bss);
	/* Code is there to be read */
	EXPECT_EQ(-EILSEQ, dev_reads((void *)((uintptr_t)dev_open & ~(T_PAGE - 1)), 1));
	EXPECT_EQ(DENIED, dev_writes((void *)((uintptr_t)dev_open & ~(T_PAGE - 1)), 1));
}

/* Memory that nobody has touched arrives when the device asks for it */
TEST_F(sva, anonymous)
{
	char *mem = anonymous(2 * LEN);
	static char zero[T_PAGE];

	ASSERT_NE(NULL, mem);
	/* Not without asking: that is a fault, and hurts nobody */
	EXPECT_EQ(REFUSED, dev_writes_as(false, mem, 1));
	/* Reading finds the page of zeros that all share, which writing must not change */
	EXPECT_EQ(-EILSEQ, dev_reads(mem, 1));
	EXPECT_EQ(0, dev_writes(mem, 2));
	EXPECT_EQ(-1, t_differs(mem, T_PAGE, 2));
	EXPECT_EQ(0, memcmp(zero, mem + T_PAGE, T_PAGE));
	EXPECT_EQ(0, dev_fills(mem + LEN, LEN, 0x5c));
	EXPECT_EQ(-1, t_not_byte(mem + LEN, LEN, 0x5c));
	both_ways(_metadata, mem);
	munmap(mem, 2 * LEN);
}

/* The file itself is read and written, or a copy of the process' own */
TEST_F(sva, file)
{
	char name[] = "/tmp/sva.XXXXXX", page[T_PAGE], pattern[T_PAGE];
	char *shared, *private;
	int fd = mkstemp(name), i;

	ASSERT_LE(0, fd);
	ASSERT_EQ(0, unlink(name));
	for (i = 0; i < PAGES; i++) {
		t_fill(pattern, T_PAGE, 20 + i);
		ASSERT_EQ(T_PAGE, pwrite(fd, pattern, T_PAGE, i * T_PAGE));
	}
	shared = map(LEN, PROT_READ | PROT_WRITE, MAP_SHARED, fd);
	private = map(LEN, PROT_READ | PROT_WRITE, MAP_PRIVATE, fd);
	ASSERT_NE(NULL, shared);
	ASSERT_NE(NULL, private);
	/* Nobody has touched these */
	EXPECT_EQ(0, dev_reads(shared + T_PAGE, 21));
	EXPECT_EQ(0, dev_reads(private + T_PAGE, 21));
	EXPECT_EQ(0, dev_writes(private + T_PAGE, 98));
	EXPECT_EQ(-1, t_differs(private + T_PAGE, T_PAGE, 98));
	ASSERT_EQ(T_PAGE, pread(fd, page, T_PAGE, T_PAGE));
	EXPECT_EQ(-1, t_differs(page, T_PAGE, 21));
	EXPECT_EQ(0, dev_writes(shared + T_PAGE, 99));
	ASSERT_EQ(T_PAGE, pread(fd, page, T_PAGE, T_PAGE));
	EXPECT_EQ(-1, t_differs(page, T_PAGE, 99));
	EXPECT_EQ(-1, t_differs(private + T_PAGE, T_PAGE, 98));
	/* A file that is cut takes its pages from the device */
	ASSERT_EQ(0, ftruncate(fd, T_PAGE));
	EXPECT_EQ(DENIED, dev_reads(shared + T_PAGE, 99));
	EXPECT_EQ(DENIED, dev_writes(shared + T_PAGE, 97));
	EXPECT_EQ(0, dev_reads(shared, 20));
	munmap(shared, LEN);
	munmap(private, LEN);
	close(fd);
}

/* What two processes share: each sees what the device does for one of them */
static void shared_by_two(struct __test_metadata *_metadata, char *mem)
{
	int there[2], back[2], status;
	char c;
	pid_t pid;

	ASSERT_EQ(0, pipe(there));
	ASSERT_EQ(0, pipe(back));
	pid = fork();
	if (!pid) {
		fill_pages(mem, PAGES, 30);
		if (write(back[1], "1", 1) != 1 || read(there[0], &c, 1) != 1)
			_exit(2);
		_exit(t_differs(mem, T_PAGE, 77) >= 0);
	}
	ASSERT_EQ(1, read(back[0], &c, 1));
	EXPECT_EQ(0, dev_reads(mem + 3 * T_PAGE, 33));
	EXPECT_EQ(0, dev_writes(mem, 77));
	ASSERT_EQ(1, write(there[1], "1", 1));
	ASSERT_EQ(pid, waitpid(pid, &status, 0));
	EXPECT_EQ(0, status);
	EXPECT_EQ(-1, t_differs(mem, T_PAGE, 77));
}

TEST_F(sva, shared_memory)
{
	int memfd = memfd_create("sva", MFD_CLOEXEC), shm;
	char *mem;

	mem = map(LEN, PROT_READ | PROT_WRITE, MAP_SHARED, -1);
	ASSERT_NE(NULL, mem);
	shared_by_two(_metadata, mem);
	ASSERT_LE(0, memfd);
	ASSERT_EQ(0, ftruncate(memfd, LEN));
	mem = map(LEN, PROT_READ | PROT_WRITE, MAP_SHARED, memfd);
	ASSERT_NE(NULL, mem);
	shared_by_two(_metadata, mem);
	/* A hole is a new page, not the old one */
	EXPECT_EQ(0, fallocate(memfd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, 0, T_PAGE));
	EXPECT_EQ(-EILSEQ, dev_reads(mem, 77));
	EXPECT_EQ(0, dev_writes(mem, 78));
	EXPECT_EQ(-1, t_differs(mem, T_PAGE, 78));
	shm = shm_open("/sva_test", O_RDWR | O_CREAT | O_EXCL, 0600);
	ASSERT_LE(0, shm);
	ASSERT_EQ(0, shm_unlink("/sva_test"));
	ASSERT_EQ(0, ftruncate(shm, LEN));
	mem = map(LEN, PROT_READ | PROT_WRITE, MAP_SHARED, shm);
	ASSERT_NE(NULL, mem);
	shared_by_two(_metadata, mem);
}

/* Both ends, then in small pieces, then half of it is gone */
TEST_F(sva, transparent_huge_pages)
{
	char *mem = t_memory(T_THP, T_HUGE);

	NEED(mem && t_huge_bytes(mem) == (long)T_HUGE, "needs transparent huge pages");
	fill_pages(mem, PAGES, 40);
	t_fill(mem + T_HUGE - T_PAGE, T_PAGE, 55);
	EXPECT_EQ(0, dev_reads(mem, 40));
	EXPECT_EQ(0, dev_reads(mem + T_HUGE - T_PAGE, 55));
	EXPECT_EQ(0, dev_writes(mem + 3 * T_PAGE, 66));
	EXPECT_EQ(-1, t_differs(mem + 3 * T_PAGE, T_PAGE, 66));
	EXPECT_EQ((long)T_HUGE, t_huge_bytes(mem));
	/* One small page of it becomes read-only: the huge one is split */
	ASSERT_EQ(0, mprotect(mem + T_PAGE, T_PAGE, PROT_READ));
	EXPECT_EQ(DENIED, dev_writes(mem + T_PAGE, 1));
	EXPECT_EQ(-1, t_differs(mem + T_PAGE, T_PAGE, 41));
	EXPECT_EQ(0, dev_writes(mem + 2 * T_PAGE, 67));
	EXPECT_EQ(-1, t_differs(mem + 2 * T_PAGE, T_PAGE, 67));
	ASSERT_EQ(0, munmap(mem + T_HUGE / 2, T_HUGE / 2));
	EXPECT_EQ(DENIED, dev_reads(mem + T_HUGE - T_PAGE, 55));
	EXPECT_EQ(0, dev_reads(mem, 40));
	munmap(mem, T_HUGE / 2);
}

#ifndef MADV_COLLAPSE
#define MADV_COLLAPSE	25
#endif

/* The kernel moves small pages, which the device has, into a huge one */
TEST_F(sva, collapse)
{
	char *all = anonymous(2 * T_HUGE), *mem;
	u32 i;

	ASSERT_NE(NULL, all);
	mem = (char *)(((uintptr_t)all + T_HUGE - 1) & ~(T_HUGE - 1));
	madvise(mem, T_HUGE, MADV_NOHUGEPAGE);
	for (i = 0; i < T_HUGE / T_PAGE; i++)
		mem[i * T_PAGE] = 1;
	fill_pages(mem, PAGES, 40);
	EXPECT_EQ(0, dev_writes(mem, 41));
	EXPECT_EQ(0, dev_reads(mem + T_PAGE, 41));
	madvise(mem, T_HUGE, MADV_HUGEPAGE);
	NEED(!madvise(mem, T_HUGE, MADV_COLLAPSE), "needs a kernel that collapses pages");
	EXPECT_EQ(-1, t_differs(mem, T_PAGE, 41));
	t_fill(mem + T_PAGE, T_PAGE, 42);
	EXPECT_EQ(0, dev_reads(mem + T_PAGE, 42));
	EXPECT_EQ(0, dev_writes(mem, 43));
	EXPECT_EQ(-1, t_differs(mem, T_PAGE, 43));
	munmap(all, 2 * T_HUGE);
}

TEST_F(sva, hugetlb)
{
	char *mem;

	NEED(t_hugetlb_room(2), "needs a pool of huge pages (hugetlb)");
	mem = map(T_HUGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_HUGETLB, -1);
	ASSERT_NE(NULL, mem);
	/* Untouched: the page request brings it */
	EXPECT_EQ(0, dev_writes(mem + 5 * T_PAGE, 70));
	EXPECT_EQ(-1, t_differs(mem + 5 * T_PAGE, T_PAGE, 70));
	t_fill(mem + T_HUGE - T_PAGE, T_PAGE, 71);
	EXPECT_EQ(0, dev_reads(mem + T_HUGE - T_PAGE, 71));
	ASSERT_EQ(0, munmap(mem, T_HUGE));
	EXPECT_EQ(DENIED, dev_writes(mem + 5 * T_PAGE, 72));
}

/* --- everything that takes it away ---------------------------------------------------- */

/* Fills memory of the process until it is stopped; counts what was blocked */
struct busy {
	pthread_t thread;
	char *mem;
	u32 length;
	volatile bool stop;
	volatile u32 done;
	volatile u32 refused;
	volatile int error;
};

static void *keep_filling(void *arg)
{
	struct busy *b = arg;
	int ret;

	while (!b->stop) {
		ret = dev_fills(b->mem, b->length, 0xdd);
		if (!ret)
			b->done++;
		else if (ret == DENIED)
			b->refused++;
		else
			b->error = ret;
	}
	return NULL;
}

static bool busy_begin(struct busy *b, char *mem, u32 length)
{
	u64 end = t_end_of_patience(5000);

	memset(b, 0, sizeof(*b));
	b->mem = mem;
	b->length = length;
	if (pthread_create(&b->thread, NULL, keep_filling, b))
		return false;
	while (!b->done && t_now_ns() < end)
		t_sleep_ms(10);
	return b->done;
}

/* Until one has begun after now and has ended */
static void busy_another(struct busy *b)
{
	u32 now = b->done + b->refused;
	u64 end = t_end_of_patience(5000);

	while (b->done + b->refused < now + 2 && t_now_ns() < end)
		t_sleep_ms(10);
}

static void busy_end(struct busy *b)
{
	b->stop = true;
	pthread_join(b->thread, NULL);
}

/*
 * The pages that munmap() gives back are the first that somebody else gets. A
 * device that still has them writes there.
 */
TEST_F(sva, munmap)
{
	char *mem, *next;
	int i;

	for (i = 0; i < 10; i++) {
		mem = anonymous(LEN);
		next = anonymous(LEN);
		ASSERT_NE(NULL, mem);
		ASSERT_NE(NULL, next);
		fill_pages(mem, PAGES, 1);
		EXPECT_EQ(0, dev_fills(mem, LEN, 0x11));
		ASSERT_EQ(0, munmap(mem, LEN));
		fill_pages(next, PAGES, 80);
		EXPECT_EQ(DENIED, dev_fills(mem, LEN, 0x22));
		EXPECT_EQ(DENIED, dev_reads(mem, 1));
		EXPECT_EQ(REFUSED, dev_writes_as(false, mem, 1));
		EXPECT_EQ(-1, first_changed(next, PAGES, 80));
		munmap(next, LEN);
	}
}

TEST_F(sva, munmap_during_dma)
{
	char *mem, *next;
	struct busy b;
	int i;

	for (i = 0; i < 5; i++) {
		mem = anonymous(LEN);
		next = anonymous(4 * LEN);
		ASSERT_NE(NULL, mem);
		ASSERT_NE(NULL, next);
		ASSERT_TRUE(busy_begin(&b, mem, LEN));
		ASSERT_EQ(0, munmap(mem, LEN));
		fill_pages(next, 4 * PAGES, 80);
		busy_another(&b);
		EXPECT_EQ(-1, first_changed(next, 4 * PAGES, 80));
		busy_end(&b);
		EXPECT_LT(0, b.refused);
		EXPECT_EQ(0, b.error);
		munmap(next, 4 * LEN);
	}
	/* It goes on with other memory */
	mem = anonymous(LEN);
	EXPECT_EQ(0, dev_writes(mem, 1));
}

TEST_F(sva, mprotect)
{
	char *mem = anonymous(LEN);

	ASSERT_NE(NULL, mem);
	fill_pages(mem, PAGES, 1);
	EXPECT_EQ(0, dev_writes(mem, 5));
	ASSERT_EQ(0, mprotect(mem, LEN, PROT_READ));
	EXPECT_EQ(DENIED, dev_writes(mem, 6));
	EXPECT_EQ(REFUSED, dev_writes_as(false, mem, 6));
	EXPECT_EQ(0, dev_reads(mem, 5));
	ASSERT_EQ(0, mprotect(mem, LEN, PROT_NONE));
	EXPECT_EQ(DENIED, dev_reads(mem, 5));
	ASSERT_EQ(0, mprotect(mem, LEN, PROT_READ | PROT_WRITE));
	EXPECT_EQ(0, dev_writes(mem, 7));
	EXPECT_EQ(-1, t_differs(mem, T_PAGE, 7));
}

/* When mprotect() has returned not one more byte is written */
TEST_F(sva, mprotect_during_dma)
{
	int memfd = memfd_create("sva", MFD_CLOEXEC), i;
	char *mem, *alias;
	struct busy b;

	ASSERT_LE(0, memfd);
	ASSERT_EQ(0, ftruncate(memfd, LEN));
	mem = map(LEN, PROT_READ | PROT_WRITE, MAP_SHARED, memfd);
	alias = map(LEN, PROT_READ | PROT_WRITE, MAP_SHARED, memfd);
	ASSERT_NE(NULL, mem);
	ASSERT_NE(NULL, alias);
	for (i = 0; i < 5; i++) {
		ASSERT_EQ(0, mprotect(mem, LEN, PROT_READ | PROT_WRITE));
		ASSERT_TRUE(busy_begin(&b, mem, LEN));
		ASSERT_EQ(0, mprotect(mem, LEN, PROT_READ));
		memset(alias, 0x33, LEN);
		busy_another(&b);
		EXPECT_EQ(-1, t_not_byte(alias, LEN, 0x33));
		busy_end(&b);
		EXPECT_LT(0, b.refused);
		EXPECT_EQ(0, b.error);
	}
	close(memfd);
}

/* New memory in the same place, and not what was there before */
TEST_F(sva, dontneed)
{
	char *mem = anonymous(LEN), *next = anonymous(LEN);

	ASSERT_NE(NULL, mem);
	ASSERT_NE(NULL, next);
	fill_pages(mem, PAGES, 1);
	EXPECT_EQ(0, dev_fills(mem, LEN, 1));
	fill_pages(mem, PAGES, 1);
	EXPECT_EQ(0, dev_reads(mem, 1));
	ASSERT_EQ(0, madvise(mem, LEN, MADV_DONTNEED));
	fill_pages(next, PAGES, 80);
	EXPECT_EQ(-EILSEQ, dev_reads(mem, 1));
	EXPECT_EQ(0, dev_fills(mem, LEN, 2));
	EXPECT_EQ(-1, t_not_byte(mem, LEN, 2));
	EXPECT_EQ(-1, first_changed(next, PAGES, 80));
}

TEST_F(sva, mremap)
{
	char *mem = anonymous(LEN), *place = anonymous(LEN);

	ASSERT_NE(NULL, mem);
	ASSERT_NE(NULL, place);
	fill_pages(mem, PAGES, 1);
	EXPECT_EQ(0, dev_writes(mem, 50));
	EXPECT_EQ(0, dev_reads(mem + T_PAGE, 2));
	/* What is at the new place goes, what was at the old one comes */
	EXPECT_EQ(0, dev_writes(place, 60));
	ASSERT_EQ(place, mremap(mem, LEN, LEN, MREMAP_MAYMOVE | MREMAP_FIXED, place));
	EXPECT_EQ(DENIED, dev_reads(mem, 50));
	EXPECT_EQ(DENIED, dev_writes(mem, 51));
	EXPECT_EQ(0, dev_reads(place, 50));
	EXPECT_EQ(0, dev_writes(place + T_PAGE, 52));
	EXPECT_EQ(-1, t_differs(place + T_PAGE, T_PAGE, 52));
	EXPECT_EQ(-1, t_differs(place, T_PAGE, 50));
	/* Smaller */
	EXPECT_EQ(0, dev_writes(place + LEN - T_PAGE, 53));
	ASSERT_EQ(place, mremap(place, LEN, LEN / 2, 0));
	EXPECT_EQ(DENIED, dev_writes(place + LEN - T_PAGE, 54));
	EXPECT_EQ(0, dev_reads(place, 50));
}

/* The disk that the machine has for tests, as swap: its name, or NULL */
static const char *swap_on(const char *addr)
{
	static char name[64], page[4096];
	u64 end = t_end_of_patience(5000);
	char path[PATH_MAX];
	bool ok = false;
	int fd;

	snprintf(path, sizeof(path), "/sys/bus/pci/devices/%s/driver_override", addr);
	t_write_file(path, "nvme");
	snprintf(path, sizeof(path), "/sys/bus/pci/devices/%s/driver/unbind", addr);
	t_write_file(path, addr);
	if (system("modprobe nvme") || t_write_file("/sys/bus/pci/drivers_probe", addr))
		return NULL;
	strcpy(name, "/dev/nvme0n1");
	while (access(name, W_OK) && t_now_ns() < end)
		t_sleep_ms(50);
	((u32 *)page)[256] = 1;				/* version */
	((u32 *)page)[257] = (8 << 20) / 4096 - 1;	/* last page */
	memcpy(page + 4086, "SWAPSPACE2", 10);
	fd = open(name, O_WRONLY);
	if (fd >= 0)
		ok = write(fd, page, sizeof(page)) == sizeof(page) && !fsync(fd);
	if (fd >= 0)
		close(fd);
	return ok && !swapon(name, 0) ? name : NULL;
}

TEST_F(sva, swap)
{
	char *mem = anonymous(LEN), *next = anonymous(LEN);
	const char *disk = t_pci(T_NVME, 0), *name;
	u64 end;

	ASSERT_NE(NULL, mem);
	ASSERT_NE(NULL, next);
	NEED(dev.real && disk, "needs a disk to swap to (lab/vm run --nvme 1)");
	NEED(!access("/proc/swaps", F_OK), "needs a kernel that swaps");
	name = swap_on(disk);
	ASSERT_NE(NULL, name);
	fill_pages(mem, PAGES, 1);
	EXPECT_EQ(0, dev_writes(mem, 90));
	EXPECT_EQ(0, dev_reads(mem + T_PAGE, 2));
	end = t_end_of_patience(5000);
	while (t_status_kib(0, "VmSwap") < (long)(LEN / 1024) && t_now_ns() < end) {
		madvise(mem, LEN, MADV_PAGEOUT);
		t_sleep_ms(20);
	}
	/* The device keeps nothing in memory */
	EXPECT_LE((long)(LEN / 1024), t_status_kib(0, "VmSwap"));
	fill_pages(next, PAGES, 80);
	EXPECT_EQ(REFUSED, dev_writes_as(false, mem, 91));
	/* And gets it back */
	EXPECT_EQ(0, dev_reads(mem, 90));
	EXPECT_EQ(0, dev_reads(mem + T_PAGE, 2));
	EXPECT_EQ(0, dev_writes(mem + 2 * T_PAGE, 92));
	EXPECT_EQ(-1, t_differs(mem + 2 * T_PAGE, T_PAGE, 92));
	EXPECT_EQ(-1, first_changed(next, PAGES, 80));
	EXPECT_EQ(0, swapoff(name));
	EXPECT_EQ(0, dev_reads(mem + 3 * T_PAGE, 4));
	EXPECT_EQ(0, t_pci_to_vfio(disk));
}

/* --- other processes -------------------------------------------------------------------- */

struct talk {
	int to_child[2], to_parent[2];
};

static bool talk_begin(struct talk *t)
{
	return !pipe(t->to_child) && !pipe(t->to_parent);
}

static bool say(int fd[2])
{
	return write(fd[1], "x", 1) == 1;
}

static bool hear(int fd[2])
{
	char c;

	return read(fd[0], &c, 1) == 1;
}

/* After a fork the device writes to the parent's copy, though it has written before */
TEST_F(sva, copy_on_write)
{
	char *mem = anonymous(LEN);
	struct talk t;
	int status;
	pid_t pid;

	ASSERT_NE(NULL, mem);
	ASSERT_TRUE(talk_begin(&t));
	EXPECT_EQ(0, dev_fills(mem, LEN, 1));
	fill_pages(mem, PAGES, 4);
	EXPECT_EQ(0, dev_writes(mem, 4));
	pid = fork();
	if (!pid) {
		/* What the parent's device writes does not come here */
		if (!hear(t.to_child) || first_changed(mem, PAGES, 4) >= 0)
			_exit(1);
		/* And what is written here does not get to the device */
		fill_pages(mem, PAGES, 70);
		if (!say(t.to_parent) || !hear(t.to_child))
			_exit(2);
		_exit(first_changed(mem, PAGES, 70) >= 0);
	}
	EXPECT_EQ(0, dev_writes(mem, 5));
	EXPECT_EQ(-1, t_differs(mem, T_PAGE, 5));
	ASSERT_TRUE(say(t.to_child));
	EXPECT_TRUE(hear(t.to_parent));
	EXPECT_EQ(0, dev_reads(mem, 5));
	EXPECT_EQ(0, dev_reads(mem + 2 * T_PAGE, 6));
	EXPECT_EQ(0, dev_writes(mem + 3 * T_PAGE, 8));
	ASSERT_TRUE(say(t.to_child));
	ASSERT_EQ(pid, waitpid(pid, &status, 0));
	EXPECT_EQ(0, status);
	/* Alone again */
	EXPECT_EQ(0, dev_writes(mem + T_PAGE, 9));
	EXPECT_EQ(-1, t_differs(mem + T_PAGE, T_PAGE, 9));
	EXPECT_EQ(-1, t_differs(mem + 3 * T_PAGE, T_PAGE, 8));
}

/* Who has all files, and nothing else, cannot let a device at this memory */
TEST_F(sva, another_process)
{
	char *mem = anonymous(LEN);
	u32 p = IOASID_PASID_ANY;
	int status;
	pid_t pid;

	fill_pages(mem, PAGES, 1);
	pid = fork();
	if (!pid) {
		int ret = t_attach_pasid(self->fd, self->dev_id, self->id, &p, 0x99, 0);

		_exit(ret != -EPERM || t_extack.code != IOASID_REASON_OWNER);
	}
	ASSERT_EQ(pid, waitpid(pid, &status, 0));
	EXPECT_EQ(0, status);
	/* Nor with the PASID that the process has */
	EXPECT_OK(t_detach_pasid(self->fd, self->dev_id, dev.pasid));
	EXPECT_EQ(REFUSED, dev_reads_as(false, mem, 1));
	pid = fork();
	if (!pid) {
		int ret = t_attach_pasid(self->fd, self->dev_id, self->rid, &dev.pasid, 0, 0);

		_exit(ret != -EPERM || t_extack.code != IOASID_REASON_NO_PASID_ID);
	}
	ASSERT_EQ(pid, waitpid(pid, &status, 0));
	EXPECT_EQ(0, status);
}

#define EXEC_ENV	"IOASID_SVA_EXEC"

/*
 * The program after an exec: it is another process to the space that it has
 * made before. It can have one of its own, with another PASID.
 */
static int after_exec(const char *what)
{
	int fd, answer, wait;
	u32 dev_id, id, old, p = IOASID_PASID_ANY;

	if (sscanf(what, "%d %d %d %u %u %u", &fd, &answer, &wait, &dev_id, &id, &old) != 6)
		return 10;
	T_CHECK(t_attach_pasid(fd, dev_id, id, &p, 0x99, 0) == -EPERM);
	T_CHECK(t_extack.code == IOASID_REASON_OWNER);
	T_CHECK(!t_alloc_mm(fd, &id));
	T_CHECK(!t_attach_pasid(fd, dev_id, id, &p, 0, 0));
	T_CHECK(p != old);
	T_CHECK(write(answer, "x", 1) == 1);
	T_CHECK(read(wait, &id, 1) == 1);
	return 0;
}

__attribute__((constructor)) static void exec_main(void)
{
	const char *what = getenv(EXEC_ENV);

	if (what)
		_exit(after_exec(what));
}

/* The new program is at the same addresses: nothing of it may be reached */
static void exec_again(int fd, struct talk *t, u32 dev_id, u32 id)
{
	char text[128];

	snprintf(text, sizeof(text), "%d %d %d %u %u %u", dup(fd), t->to_parent[1],
		 t->to_child[0], dev_id, id, dev.pasid);
	setenv(EXEC_ENV, text, 1);
	execl("/proc/self/exe", "sva_test", NULL);
	_exit(11);
}

enum end { EXIT, KILL, EXEC };

/*
 * Another process attaches its address space and ends in some way. We still
 * have the device: with the PASID of the dead it must reach nothing, not what
 * was there, and not what we have at the same addresses.
 */
static void cut_off(struct __test_metadata *_metadata, FIXTURE_DATA(sva) *self, enum end end)
{
	u32 *shared = mmap(NULL, T_PAGE, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	char *mem = anonymous(LEN);
	u32 ours = dev.pasid;
	struct talk t;
	int status;
	pid_t pid;

	ASSERT_TRUE(talk_begin(&t));
	fill_pages(mem, PAGES, 44);
	pid = fork();
	if (!pid) {
		fill_pages(mem, PAGES, 33);
		dev.pasid = IOASID_PASID_ANY;
		if (t_alloc_mm(self->fd, &shared[1]) ||
		    t_attach_pasid(self->fd, self->dev_id, shared[1], &dev.pasid, 0, 0))
			_exit(1);
		shared[0] = dev.pasid;
		if (!say(t.to_parent) || !hear(t.to_child))
			_exit(2);
		if (end == EXEC)
			exec_again(self->fd, &t, self->dev_id, shared[1]);
		if (end == KILL)
			kill(getpid(), SIGKILL);
		_exit(0);
	}
	close(t.to_parent[1]);
	ASSERT_TRUE(hear(t.to_parent));
	dev.pasid = shared[0];
	EXPECT_NE(ours, dev.pasid);
	EXPECT_EQ(0, dev_reads(mem, 33));
	EXPECT_EQ(0, dev_writes(mem + T_PAGE, 36));
	ASSERT_TRUE(say(t.to_child));
	ASSERT_TRUE(end == EXEC ? hear(t.to_parent) : waitpid(pid, &status, 0) == pid);
	EXPECT_EQ(REFUSED, dev_reads_as(false, mem, 33));
	status = dev_reads(mem, 33);
	EXPECT_TRUE(status == DENIED || status == REFUSED) TH_LOG("%d", status);
	status = dev_writes(mem + T_PAGE, 38);
	EXPECT_TRUE(status == DENIED || status == REFUSED) TH_LOG("%d", status);
	EXPECT_EQ(-1, first_changed(mem, PAGES, 44));
	if (end == EXEC) {
		ASSERT_TRUE(say(t.to_child));
		ASSERT_EQ(pid, waitpid(pid, &status, 0));
		EXPECT_EQ(0, status);
	}
	/* Detaching what is dead, and freeing it, is open to who has the fd */
	EXPECT_OK(t_detach_pasid(self->fd, self->dev_id, shared[0]));
	EXPECT_OK(t_free(self->fd, shared[1]));
	dev.pasid = ours;
	EXPECT_EQ(0, dev_reads(mem, 44));
}

TEST_F(sva, exit)
{
	cut_off(_metadata, self, EXIT);
}

TEST_F(sva, killed)
{
	cut_off(_metadata, self, KILL);
}

TEST_F(sva, exec)
{
	cut_off(_metadata, self, EXEC);
}

static int handler_of(char *mem)
{
	struct uffdio_api api = { .api = UFFD_API };
	struct uffdio_register range = {
		.range = { .start = (uintptr_t)mem, .len = LEN },
		.mode = UFFDIO_REGISTER_MODE_MISSING,
	};
	int fd = syscall(SYS_userfaultfd, O_CLOEXEC | O_NONBLOCK);

	if (fd < 0)
		return -errno;
	if (!ioctl(fd, UFFDIO_API, &api) && !ioctl(fd, UFFDIO_REGISTER, &range))
		return fd;
	close(fd);
	return -EINVAL;
}

struct late {
	int fd;
	char *mem, *from;
};

static int make_late(struct late *l)
{
	l->mem = anonymous(LEN);
	l->from = anonymous(T_PAGE);
	l->fd = handler_of(l->mem);
	return l->fd < 0 ? l->fd : 0;
}

static int bring(struct late *l, u32 page, u32 seed)
{
	struct uffdio_copy copy = {
		.dst = (uintptr_t)l->mem + page * T_PAGE, .src = (uintptr_t)l->from,
		.len = T_PAGE,
	};

	t_fill(l->from, T_PAGE, seed);
	return ioctl(l->fd, UFFDIO_COPY, &copy);
}

/* Brings the page that is asked for, which must be @page */
static void *handler(void *arg)
{
	struct late *l = arg;
	struct pollfd event = { .fd = l->fd, .events = POLLIN };
	struct uffd_msg msg;

	if (poll(&event, 1, 20000) != 1 || read(l->fd, &msg, sizeof(msg)) != sizeof(msg) ||
	    msg.event != UFFD_EVENT_PAGEFAULT ||
	    (msg.arg.pagefault.address & ~(T_PAGE - 1)) != (uintptr_t)l->mem + T_PAGE)
		return "no event";
	return bring(l, 1, 5) ? "not brought" : NULL;
}

/* A handler is asked as for a thread, and the device waits for it */
TEST_F(sva, userfaultfd)
{
	pthread_t thread;
	struct late l;
	void *error;

	NEED(!make_late(&l), "needs userfaultfd");
	ASSERT_EQ(0, pthread_create(&thread, NULL, handler, &l));
	EXPECT_EQ(0, dev_reads(l.mem + T_PAGE, 5));
	ASSERT_EQ(0, pthread_join(thread, &error));
	EXPECT_EQ(NULL, error) TH_LOG("%s", (char *)error);
	/* It is there: nobody has to be asked */
	EXPECT_EQ(0, dev_writes(l.mem + T_PAGE, 6));
	EXPECT_EQ(-1, t_differs(l.mem + T_PAGE, T_PAGE, 6));
	close(l.fd);
	EXPECT_EQ(0, dev_writes(l.mem, 7));
}

struct asker {
	struct late l;
	int error;
};

static void *asks(void *arg)
{
	struct asker *a = arg;

	a->error = dev_writes(a->l.mem, 1);
	return NULL;
}

/* Has the device asked? Then the handler has, or will have, an event */
static bool is_asked(struct late *l)
{
	struct pollfd event = { .fd = l->fd, .events = POLLIN };

	return poll(&event, 1, 20000) == 1;
}

/* A page that nobody brings is no reason to wait for a detach */
TEST_F(sva, page_never_comes)
{
	pthread_t thread;
	struct asker a;
	u32 pasid;
	int i;

	NEED(!make_late(&a.l), "needs userfaultfd");
	/* More often than there are workers, none of which may be left waiting */
	for (i = 0; i < 10; i++) {
		ASSERT_EQ(0, pthread_create(&thread, NULL, asks, &a));
		ASSERT_TRUE(is_asked(&a.l));
		pasid = dev.pasid;
		EXPECT_OK(t_detach_pasid(self->fd, self->dev_id, pasid));
		ASSERT_EQ(0, pthread_join(thread, NULL));
		/* Answered by the detach, or refused after it */
		EXPECT_TRUE(a.error == DENIED || a.error == REFUSED) TH_LOG("%d", a.error);
		dev.pasid = IOASID_PASID_ANY;
		ASSERT_OK(t_attach_pasid(self->fd, self->dev_id, self->id, &dev.pasid, 0, 0));
		EXPECT_EQ(pasid, dev.pasid);
	}
	/* It comes after all */
	ASSERT_EQ(0, bring(&a.l, 0, 5));
	close(a.l.fd);
	EXPECT_EQ(0, dev_writes(a.l.mem, 2));
	EXPECT_EQ(-1, t_differs(a.l.mem, T_PAGE, 2));
	EXPECT_EQ(0, dev_writes(a.l.mem + T_PAGE, 3));
}

/* Another process, whose page nobody brings */
static int lives_late(FIXTURE_DATA(sva) *self, struct talk *t, u64 *shared)
{
	struct late l;
	u32 id;

	dev.pasid = IOASID_PASID_ANY;
	if (make_late(&l) || t_alloc_mm(self->fd, &id) ||
	    t_attach_pasid(self->fd, self->dev_id, id, &dev.pasid, 0, 0))
		return 1;
	shared[0] = dev.pasid;
	shared[1] = l.fd;
	shared[2] = (uintptr_t)l.mem;
	if (!say(t->to_parent))
		return 2;
	pause();
	return 3;
}

/* The handler lives on, and so does the attachment; the process does not */
TEST_F(sva, killed_while_it_is_asked)
{
	u64 *shared = mmap(NULL, T_PAGE, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	u32 ours = dev.pasid;
	pthread_t thread;
	struct asker a;
	struct talk t;
	int status;
	pid_t pid;

	a.l.fd = handler_of(anonymous(LEN));
	NEED(a.l.fd >= 0, "needs userfaultfd");
	ASSERT_TRUE(talk_begin(&t));
	pid = fork();
	if (!pid)
		_exit(lives_late(self, &t, shared));
	close(t.to_parent[1]);
	ASSERT_TRUE(hear(t.to_parent));
	dev.pasid = shared[0];
	a.l.mem = (char *)(uintptr_t)shared[2];
	a.l.fd = syscall(SYS_pidfd_getfd, syscall(SYS_pidfd_open, pid, 0), (int)shared[1], 0);
	ASSERT_LE(0, a.l.fd);
	ASSERT_EQ(0, pthread_create(&thread, NULL, asks, &a));
	ASSERT_TRUE(is_asked(&a.l));
	kill(pid, SIGKILL);
	ASSERT_EQ(pid, waitpid(pid, &status, 0));
	/* It is answered long before the device gives up (20 s) */
	ASSERT_EQ(0, pthread_join(thread, NULL));
	EXPECT_EQ(DENIED, a.error);
	dev.pasid = ours;
	fill_pages(a.l.from = anonymous(LEN), PAGES, 44);
	EXPECT_EQ(0, dev_reads(a.l.from, 44));
	/* Nothing of it, such as the registers of the device, is left mapped */
	dev_close();
	for (status = 0; status < 50 && dev_open(); status++)
		usleep(100000);
	EXPECT_GT(50, status);
	close(a.l.fd);
}

static int module_users(void)
{
	int nr = -1;
	FILE *file = fopen("/sys/module/ioasid/refcnt", "r");

	if (file && fscanf(file, "%d", &nr) != 1)
		nr = -1;
	if (file)
		fclose(file);
	return nr;
}

/* With the detach the wait ends, too: nothing waits for a page that never comes */
TEST_F(sva, wait_ends)
{
	pthread_t thread;
	struct asker a;
	int i, before;

	before = module_users();
	NEED(before >= 0, "needs ioasid as a module");
	NEED(!make_late(&a.l), "needs userfaultfd");
	ASSERT_EQ(0, pthread_create(&thread, NULL, asks, &a));
	ASSERT_TRUE(is_asked(&a.l));
	ASSERT_OK(t_detach_pasid(self->fd, self->dev_id, dev.pasid));
	ASSERT_EQ(0, pthread_join(thread, NULL));
	ASSERT_OK(t_free(self->fd, self->id));
	/* Looked at once a second */
	for (i = 0; i < 200 && module_users() != before; i++)
		usleep(100000);
	EXPECT_EQ(before, module_users());
	close(a.l.fd);
}

static void on_signal(int nr)
{
}

static int send_signals(void *arg)
{
	pid_t to = *(pid_t *)arg;

	while (!kill(to, SIGUSR1))
		usleep(10);
	return 0;
}

/* Binding a process takes all its locks, which the kernel gives up for a signal */
TEST_F(sva, signals)
{
	struct sigaction action = { .sa_handler = on_signal, .sa_flags = SA_RESTART };
	pid_t self_pid = getpid(), pid;
	int i, ret = 0;

	ASSERT_OK(t_detach_pasid(self->fd, self->dev_id, dev.pasid));
	ASSERT_EQ(0, sigaction(SIGUSR1, &action, NULL));
	pid = t_fork(send_signals, &self_pid);
	for (i = 0; i < 2000 && !ret; i++) {
		dev.pasid = IOASID_PASID_ANY;
		ret = t_attach_pasid(self->fd, self->dev_id, self->id, &dev.pasid, 0, 0);
		if (!ret)
			ret = t_detach_pasid(self->fd, self->dev_id, dev.pasid);
	}
	kill(pid, SIGKILL);
	t_wait(pid);
	EXPECT_EQ(0, ret) TH_LOG("attach %d: %s", i, t_explain());
}

/* Has this process address spaces of processes? 0, 1, or -1 if it is not sure */
static int shares(int fd)
{
	struct ioasid_info info;
	int ret, caps;
	u32 id;

	if (t_info(fd, &info))
		return -1;
	caps = !!(info.caps & IOASID_CAP_MM);
	ret = t_alloc_mm(fd, &id);
	if (ret)
		return caps || ret != -EPERM || t_extack.code != IOASID_REASON_PRIVILEGE ? -1 : 0;
	return !t_free(fd, id) && caps ? 1 : -1;
}

static int shares_without_privileges(void *arg)
{
	return shares(*(int *)arg);
}

/* Who has no privileges needs leave, and nobody has what is switched off */
TEST_F(sva, switched_off)
{
	char *mem = anonymous(LEN);

	ASSERT_NE(NULL, mem);
	fill_pages(mem, PAGES, 10);
	EXPECT_EQ(1, shares(self->fd));
	EXPECT_EQ(0, t_wait(t_fork_as(T_NOBODY, shares_without_privileges, &self->fd)));
	ASSERT_EQ(0, t_write_file(T_MM_SPACES, "2"));
	EXPECT_EQ(1, t_wait(t_fork_as(T_NOBODY, shares_without_privileges, &self->fd)));
	ASSERT_EQ(0, t_write_file(T_MM_SPACES, "0"));
	EXPECT_EQ(0, shares(self->fd));
	/* What is attached goes on */
	EXPECT_EQ(0, dev_reads(mem, 10));
	ASSERT_EQ(0, t_write_file(T_MM_SPACES, "1"));
	EXPECT_EQ(1, shares(self->fd));
	munmap(mem, LEN);
}

TEST_F(sva, pins_nothing)
{
	long pins = t_pinned_pages(), vm = t_status_kib(0, "VmPin");
	char *mem = anonymous(LEN);

	EXPECT_EQ(0, dev_fills(mem, LEN, 1));
	if (pins >= 0)
		EXPECT_EQ(pins, t_pinned_pages());
	EXPECT_EQ(vm, t_status_kib(0, "VmPin"));
	EXPECT_EQ(0, t_pinned(self->fd));
}

TEST_HARNESS_MAIN
