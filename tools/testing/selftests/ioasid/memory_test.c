// SPDX-License-Identifier: GPL-2.0
/*
 * Which memory can be mapped: every kind that programs have, and every kind
 * that must be refused with nothing left pinned. On a space with a device the
 * IOMMU's page table is compared page by page with that of the process, and the
 * device does DMA there.
 */
#include <fcntl.h>
#include <linux/kernel-page-flags.h>
#include <linux/memfd.h>
#include <sys/socket.h>
#include <sys/syscall.h>

#include "spaces.h"

#define LEN	(2 * T_HUGE)

/* Does the IOMMU of @dev reach exactly the pages that the process sees? */
static void same_pages(struct __test_metadata *_metadata, int fd, u32 id, const struct t_dma *dev,
		       u64 iova, const char *mem, u64 length)
{
	struct ioasid_translate tr;
	u64 off;

	if (!dev->own || !t_phys(mem))
		return;
	for (off = 0; off < length; off += T_PAGE) {
		ASSERT_OK(t_translate(fd, id, iova + off, IOASID_TRANSLATE_PHYS, &tr));
		ASSERT_EQ(t_phys(mem + off), tr.phys) TH_LOG("at offset %#llx",
							     (unsigned long long)off);
	}
}

static void expect_same_pages(struct __test_metadata *_metadata, FIXTURE_DATA(space) *self,
			      u64 iova, const char *mem, u64 length)
{
	same_pages(_metadata, self->fd, self->id, &self->dev, iova, mem, length);
}

/* --- kinds of memory ------------------------------------------------------------ */

/*
 * Each kind of memory on a bare space, and behind devices that do DMA: slowly, one
 * page at a time, and fast, many of them at once.
 */
FIXTURE(kind) {
	int fd;
	u32 id;
	char *mem;
	struct t_dma dev;
	u64 own;		/* mapped and pinned because the device needs it */
	long pins;		/* of the whole system, before */
};

enum behind {
	BARE,
	BY_EDU,
	BY_NVME,
};

FIXTURE_VARIANT(kind) {
	enum t_memory memory;
	const char *name;
	enum behind behind;
};

#define KIND(what, device, m, b)	\
	FIXTURE_VARIANT_ADD(kind, what##_##device) { .memory = m, .name = #what, .behind = b }

KIND(anonymous, bare, T_ANON, BARE);
KIND(anonymous, edu, T_ANON, BY_EDU);
KIND(anonymous, nvme, T_ANON, BY_NVME);
KIND(shared_anonymous, bare, T_SHARED, BARE);
KIND(shared_anonymous, edu, T_SHARED, BY_EDU);
KIND(shared_anonymous, nvme, T_SHARED, BY_NVME);
KIND(transparent_huge, bare, T_THP, BARE);
KIND(transparent_huge, edu, T_THP, BY_EDU);
KIND(transparent_huge, nvme, T_THP, BY_NVME);
KIND(hugetlb, bare, T_HUGETLB, BARE);
KIND(hugetlb, edu, T_HUGETLB, BY_EDU);
KIND(hugetlb, nvme, T_HUGETLB, BY_NVME);
KIND(memfd, bare, T_MEMFD, BARE);
KIND(memfd, edu, T_MEMFD, BY_EDU);
KIND(memfd, nvme, T_MEMFD, BY_NVME);
KIND(private_file, bare, T_FILE, BARE);
KIND(private_file, edu, T_FILE, BY_EDU);
KIND(private_file, nvme, T_FILE, BY_NVME);

FIXTURE_SETUP(kind)
{
	self->pins = t_pinned_pages();
	self->fd = t_open();
	ASSERT_FD(self->fd);
	ASSERT_OK(t_alloc(self->fd, &self->id));
	if (variant->behind != BARE) {
		NEED_DMA(&self->dev, variant->behind == BY_NVME ? T_NVME : T_EDU, 0);
		ASSERT_OK(t_dma_up(&self->dev, self->fd, self->id));
		self->own = T_DMA_OWN_BYTES;
	}
	self->mem = t_memory(variant->memory, LEN);
	NEED(self->mem, "no %s memory here: %s", variant->name, strerror(errno));
}

FIXTURE_TEARDOWN(kind)
{
	if (variant->behind != BARE)
		t_dma_close(&self->dev);
	close(self->fd);
	if (self->pins >= 0)
		EXPECT_EQ(self->pins, t_pinned_pages());
}

/* DMA from one page into the next, and what is unmapped is gone */
static void expect_reached(struct __test_metadata *_metadata, FIXTURE_DATA(kind) *self)
{
	struct t_dma *dev = &self->dev;
	char *mem = self->mem;

	ASSERT_OK(t_map_at(self->fd, self->id, mem, LEN, T_RW, SPACE_AT));
	t_fill(mem, T_PAGE, 7);
	/* Into the last bytes of the first half and the first ones of the second */
	ASSERT_EQ(0, t_dma_pull(dev, SPACE_AT, T_PAGE));
	ASSERT_EQ(0, t_dma_push(dev, SPACE_AT + T_HUGE - 1024, T_PAGE));
	EXPECT_EQ(0, memcmp(mem, mem + T_HUGE - 1024, T_PAGE));
	EXPECT_EQ(-1, t_not_byte(mem + T_HUGE - 1024 + T_PAGE, T_PAGE, 0));
	expect_dma(_metadata, dev, SPACE_AT + LEN - T_PAGE, mem + LEN - T_PAGE, 8);
	EXPECT_EQ((long long)LEN, t_unmap(self->fd, self->id, SPACE_AT, LEN));
	expect_no_dma(_metadata, dev, SPACE_AT + T_HUGE, mem + T_HUGE, 9);
}

#define EXPECT_SAME_PAGES(iova, at, length)	\
	same_pages(_metadata, self->fd, self->id, &self->dev, iova, at, length)

TEST_F(kind, mapped)
{
	char *mem = self->mem;

	if (variant->behind != BARE)
		expect_reached(_metadata, self);
	t_fill(mem, LEN, variant->memory);
	ASSERT_OK(t_map_at(self->fd, self->id, mem, LEN, T_RW, SPACE_AT));
	if (self->pins >= 0)
		EXPECT_EQ(self->pins + (long)((self->own + LEN) / T_PAGE), t_pinned_pages());
	EXPECT_EQ(self->own + LEN, t_pinned(self->fd));
	EXPECT_SAME_PAGES(SPACE_AT, mem, LEN);
	EXPECT_EQ(-1, t_differs(mem, LEN, variant->memory));
	/* The last 4 KiB of it alone, which may be the tail of a huge page */
	ASSERT_OK(t_map_at(self->fd, self->id, mem + LEN - T_PAGE, T_PAGE, IOASID_MAP_READ,
			   SPACE_AT + LEN));
	EXPECT_SAME_PAGES(SPACE_AT + LEN, mem + LEN - T_PAGE, T_PAGE);
	/* And from the middle of one huge page into the next */
	ASSERT_OK(t_map_at(self->fd, self->id, mem + T_HUGE - 3 * T_PAGE, 7 * T_PAGE, T_RW,
			   SPACE_AT + 2 * LEN));
	EXPECT_SAME_PAGES(SPACE_AT + 2 * LEN, mem + T_HUGE - 3 * T_PAGE, 7 * T_PAGE);
	EXPECT_EQ((long long)LEN, t_unmap(self->fd, self->id, SPACE_AT, LEN));
	EXPECT_EQ((long long)(8 * T_PAGE + self->own), t_unmap_all(self->fd, self->id));
}

/* --- memory that is something special ------------------------------------------- */

TEST_F(space, stack_and_data)
{
	static char data[4 * T_PAGE] __attribute__((aligned(4096)));
	char stack[4 * T_PAGE] __attribute__((aligned(4096)));

	memset(data, 1, sizeof(data));
	memset(stack, 1, sizeof(stack));
	ASSERT_OK(t_map_at(self->fd, self->id, data, sizeof(data), T_RW, SPACE_AT));
	expect_same_pages(_metadata, self, SPACE_AT, data, sizeof(data));
	ASSERT_OK(t_map_at(self->fd, self->id, stack, sizeof(stack), T_RW, SPACE_AT + T_HUGE));
	expect_same_pages(_metadata, self, SPACE_AT + T_HUGE, stack, sizeof(stack));
}

/* MAP faults in what nobody has touched yet */
TEST_F(space, untouched)
{
	char *mem = mmap(NULL, LEN, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	ASSERT_NE(MAP_FAILED, mem);
	ASSERT_OK(t_map_at(self->fd, self->id, mem, LEN, T_RW, SPACE_AT));
	expect_same_pages(_metadata, self, SPACE_AT, mem, LEN);
	EXPECT_EQ(-1, t_not_byte(mem, LEN, 0));
}

/*
 * Memory that was only read is the shared page of zeroes. Mapped for a device
 * to read, it must become the process' own, or the device would go on reading
 * zeroes after the process has written.
 */
TEST_F(space, zero_page_read_only)
{
	char *mem = mmap(NULL, 4 * T_PAGE, PROT_READ | PROT_WRITE,
			 MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	ASSERT_NE(MAP_FAILED, mem);
	/* A kernel that has none does not know the advice */
	if (madvise(mem, 4 * T_PAGE, MADV_NOHUGEPAGE))
		ASSERT_EQ(EINVAL, errno);
	ASSERT_EQ(-1, t_not_byte(mem, 4 * T_PAGE, 0));
	ASSERT_OK(t_map_at(self->fd, self->id, mem, 4 * T_PAGE, IOASID_MAP_READ, SPACE_AT));
	t_fill(mem, 4 * T_PAGE, 5);
	expect_same_pages(_metadata, self, SPACE_AT, mem, 4 * T_PAGE);
}

/* The same for a private mapping of a file: a write makes a copy */
TEST_F(space, private_file_read_only)
{
	char *mem = t_memory(T_FILE, 4 * T_PAGE), *again;
	int fd = open("/tmp", O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);

	NEED(mem && fd >= 0, "no file system for a temporary file");
	ASSERT_EQ(4 * (ssize_t)T_PAGE, write(fd, mem, 4 * T_PAGE));
	again = mmap(NULL, 4 * T_PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE, fd, 0);
	ASSERT_NE(MAP_FAILED, again);
	ASSERT_OK(t_map_at(self->fd, self->id, again, 4 * T_PAGE, IOASID_MAP_READ, SPACE_AT));
	t_fill(again, 4 * T_PAGE, 6);
	expect_same_pages(_metadata, self, SPACE_AT, again, 4 * T_PAGE);
}

/* After a refusal the context and the system are as before */
#define EXPECT_CLEAN() do {							\
	EXPECT_EQ(0, t_nr_mappings(self->fd));					\
	EXPECT_EQ(0, t_pinned(self->fd));					\
	if (self->pins >= 0)							\
		EXPECT_EQ(self->pins, t_pinned_pages());			\
} while (0)

TEST_F(space, read_only_memory)
{
	ASSERT_EQ(0, mprotect(self->mem, 4 * T_PAGE, PROT_READ));
	EXPECT_FAIL(EFAULT, PIN, t_map_at(self->fd, self->id, self->mem, 4 * T_PAGE,
					  IOASID_MAP_WRITE, SPACE_AT));
	EXPECT_FAIL(EFAULT, PIN, t_map_at(self->fd, self->id, self->mem, 4 * T_PAGE, T_RW, SPACE_AT));
	EXPECT_CLEAN();
	EXPECT_OK(t_map_at(self->fd, self->id, self->mem, 4 * T_PAGE, IOASID_MAP_READ, SPACE_AT));
}

TEST_F(space, memory_without_access)
{
	ASSERT_EQ(0, mprotect(self->mem, 4 * T_PAGE, PROT_NONE));
	EXPECT_FAIL(EFAULT, PIN, t_map_at(self->fd, self->id, self->mem, 4 * T_PAGE,
					  IOASID_MAP_READ, SPACE_AT));
	EXPECT_CLEAN();
}

TEST_F(space, no_memory_there)
{
	char *mem = t_memory(T_ANON, T_PAGE);

	ASSERT_EQ(0, munmap(mem, T_PAGE));
	EXPECT_FAIL(EFAULT, PIN, t_map_at(self->fd, self->id, mem, T_PAGE, T_RW, SPACE_AT));
	EXPECT_FAIL(EFAULT, PIN, t_map_at(self->fd, self->id, NULL, T_PAGE, T_RW, SPACE_AT));
	EXPECT_FAIL(EFAULT, PIN, t_map_at(self->fd, self->id, (void *)0xffff888000000000ULL, T_PAGE,
					  T_RW, SPACE_AT));
	EXPECT_CLEAN();
}

/* Good memory with one bad page at the end, in the middle, at the start */
TEST_F(space, hole_in_memory)
{
	static const u64 holes[] = { SPACE_PAGES - 1, SPACE_PAGES / 2, 0 };
	size_t i;

	for (i = 0; i < ARRAY_SIZE(holes); i++) {
		char *mem = t_memory(T_ANON, SPACE_PAGES * T_PAGE);

		ASSERT_EQ(0, munmap(mem + holes[i] * T_PAGE, T_PAGE));
		EXPECT_FAIL(EFAULT, PIN, t_map_at(self->fd, self->id, mem, SPACE_PAGES * T_PAGE, T_RW,
						  SPACE_AT));
		EXPECT_CLEAN();
	}
}

/* A hole far behind the first batch of pages that the kernel pins at once */
TEST_F(space, hole_late_in_much_memory)
{
	u64 len = 16 * T_HUGE;
	char *mem = t_memory(T_ANON, len);

	ASSERT_EQ(0, munmap(mem + len - T_PAGE, T_PAGE));
	EXPECT_FAIL(EFAULT, PIN, t_map_at(self->fd, self->id, mem, len, T_RW, SPACE_AT));
	EXPECT_CLEAN();
	EXPECT_OK(t_map_at(self->fd, self->id, mem, len - T_PAGE, T_RW, SPACE_AT));
}

/*
 * Registers of a device are not memory: peer-to-peer needs another way in. The reason
 * is one of its own, so that a VMM can go without them, also where memory comes first.
 */
TEST_F(space, device_registers)
{
	struct ioasid_map_range both[] = {
		{ .iova = SPACE_AT, .addr = (uintptr_t)self->mem, .length = T_PAGE,
		  .flags = T_RW | IOASID_MAP_FIXED },
		{ .iova = SPACE_AT + T_PAGE, .length = T_PAGE, .flags = T_RW | IOASID_MAP_FIXED },
	};
	char *bar;

	if (!variant->attached)
		NEED_DMA(&self->dev, T_EDU, 0);
	bar = (char *)self->dev.vfio.bar;
	EXPECT_FAIL(EFAULT, DEVICE_MEMORY, t_map_at(self->fd, self->id, bar, T_PAGE, T_RW,
						    SPACE_AT));
	EXPECT_EQ((uintptr_t)bar, t_extack.value);
	EXPECT_FAIL(EFAULT, DEVICE_MEMORY, t_map_at(self->fd, self->id, bar, T_PAGE,
						    IOASID_MAP_READ, SPACE_AT));
	both[1].addr = (uintptr_t)bar;
	EXPECT_FAIL(EFAULT, DEVICE_MEMORY, t_mapv(self->fd, self->id, both, 2));
	EXPECT_EQ(1, t_extack.index);
	EXPECT_CLEAN();
	if (!variant->attached)
		t_dma_close(&self->dev);
}

static int memfd(u64 len, unsigned int flags)
{
	int fd = memfd_create("ioasid-test", MFD_CLOEXEC | MFD_ALLOW_SEALING | flags);

	if (fd >= 0 && ftruncate(fd, len)) {
		close(fd);
		return -1;
	}
	return fd;
}

#define NEED_FILE() do {							\
	struct ioasid_info __info;						\
										\
	ASSERT_OK(t_info(self->fd, &__info));					\
	NEED(__info.caps & IOASID_CAP_FILE, "this kernel cannot pin a memfd");	\
} while (0)

#define map_file(file, offset, length, flags)	\
	t_map_file(self->fd, self->id, file, offset, length, (flags) | IOASID_MAP_FIXED, &at)

TEST_F(space, file_offsets)
{
	int fd = memfd(16 * T_PAGE, 0);
	struct ioasid_translate tr;
	u64 at = SPACE_AT;
	char *mem;

	NEED_FILE();
	ASSERT_FD(fd);
	mem = mmap(NULL, 16 * T_PAGE, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	ASSERT_NE(MAP_FAILED, mem);
	t_fill(mem, 16 * T_PAGE, 1);
	ASSERT_OK(map_file(fd, 0, 16 * T_PAGE, T_RW));
	expect_same_pages(_metadata, self, at, mem, 16 * T_PAGE);
	at += T_HUGE;
	ASSERT_OK(map_file(fd, 5 * T_PAGE, 2 * T_PAGE, IOASID_MAP_READ));
	expect_same_pages(_metadata, self, at, mem + 5 * T_PAGE, 2 * T_PAGE);
	ASSERT_OK(t_translate(self->fd, self->id, at + T_PAGE + 100, 0, &tr));
	EXPECT_EQ(6 * T_PAGE + 100, tr.addr);
	EXPECT_EQ(18 * T_PAGE, t_pinned(self->fd));
	EXPECT_EQ(-1, t_differs(mem, 16 * T_PAGE, 1));
	EXPECT_EQ(18 * T_PAGE, t_unmap_all(self->fd, self->id));
	EXPECT_CLEAN();
}

/* Pages of the file that were never written come into being */
TEST_F(space, file_with_holes)
{
	int fd = memfd(LEN, 0);
	u64 at = SPACE_AT;
	char *mem;

	NEED_FILE();
	ASSERT_FD(fd);
	ASSERT_OK(map_file(fd, 0, LEN, T_RW));
	mem = mmap(NULL, LEN, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	ASSERT_EQ(-1, t_not_byte(mem, LEN, 0));
	expect_same_pages(_metadata, self, at, mem, LEN);
}

TEST_F(space, file_beyond_its_end)
{
	int fd = memfd(4 * T_PAGE, 0);
	u64 at = SPACE_AT;

	NEED_FILE();
	ASSERT_FD(fd);
	EXPECT_FAIL(EINVAL, VALUE, map_file(fd, 0, 5 * T_PAGE, T_RW));
	EXPECT_FAIL(EINVAL, VALUE, map_file(fd, 4 * T_PAGE, T_PAGE, T_RW));
	EXPECT_FAIL(EINVAL, VALUE, map_file(fd, 1ULL << 62, T_PAGE, T_RW));
	EXPECT_FAIL(EINVAL, ALIGNMENT, map_file(fd, 100, T_PAGE, T_RW));
	EXPECT_FAIL(EOVERFLOW, OVERFLOW, map_file(fd, -T_PAGE, 2 * T_PAGE, T_RW));
	EXPECT_CLEAN();
	EXPECT_OK(map_file(fd, 3 * T_PAGE, T_PAGE, T_RW));
}

TEST_F(space, file_is_not_a_memfd)
{
	int null = open("/dev/zero", O_RDWR), pair[2], plain;
	u64 at = SPACE_AT;

	NEED_FILE();
	ASSERT_EQ(0, socketpair(AF_UNIX, SOCK_STREAM, 0, pair));
	EXPECT_FAIL(EBADF, FD, map_file(-1, 0, T_PAGE, T_RW));
	EXPECT_FAIL(EBADF, FD, map_file(12345, 0, T_PAGE, T_RW));
	EXPECT_FAIL(EINVAL, FD, map_file(null, 0, T_PAGE, T_RW));
	EXPECT_FAIL(EINVAL, FD, map_file(pair[0], 0, T_PAGE, T_RW));
	EXPECT_FAIL(EINVAL, FD, map_file(self->fd, 0, T_PAGE, T_RW));
	plain = open("/proc/self/exe", O_RDONLY);
	ASSERT_FD(plain);
	/* On a bed that runs from tmpfs this one is as good as a memfd */
	EXPECT_NE(0, map_file(plain, 0, T_PAGE, IOASID_MAP_WRITE));
	EXPECT_CLEAN();
}

TEST_F(space, file_read_only)
{
	char path[64];
	u64 at = SPACE_AT;
	int fd, ro;

	NEED_FILE();
	fd = memfd(T_PAGE, 0);
	ASSERT_FD(fd);
	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	ro = open(path, O_RDONLY);
	ASSERT_FD(ro);
	EXPECT_FAIL(EPERM, PERMISSION, map_file(ro, 0, T_PAGE, T_RW));
	EXPECT_FAIL(EPERM, PERMISSION, map_file(ro, 0, T_PAGE, IOASID_MAP_WRITE));
	EXPECT_OK(map_file(ro, 0, T_PAGE, IOASID_MAP_READ));
}

TEST_F(space, file_sealed)
{
	static const int seals[] = { F_SEAL_WRITE, F_SEAL_FUTURE_WRITE };
	u64 at = SPACE_AT;
	size_t i;
	int fd;

	NEED_FILE();
	for (i = 0; i < ARRAY_SIZE(seals); i++) {
		fd = memfd(T_PAGE, 0);
		ASSERT_FD(fd);
		ASSERT_EQ(0, fcntl(fd, F_ADD_SEALS, seals[i]));
		EXPECT_FAIL(EPERM, PERMISSION, map_file(fd, 0, T_PAGE, T_RW));
		EXPECT_OK(map_file(fd, 0, T_PAGE, IOASID_MAP_READ));
		at += T_PAGE;
		close(fd);
	}
}

/* A seal that says "nobody writes" cannot be had while a device may */
TEST_F(space, file_sealed_while_mapped)
{
	int fd = memfd(T_PAGE, 0);
	u64 at = SPACE_AT;

	NEED_FILE();
	ASSERT_FD(fd);
	ASSERT_OK(map_file(fd, 0, T_PAGE, T_RW));
	EXPECT_EQ(-1, fcntl(fd, F_ADD_SEALS, F_SEAL_WRITE));
	EXPECT_EQ(EBUSY, errno);
	EXPECT_EQ(T_PAGE, t_unmap_all(self->fd, self->id));
	EXPECT_EQ(0, fcntl(fd, F_ADD_SEALS, F_SEAL_WRITE));
}

/* The file may be cut or closed: the device keeps the pages it has */
TEST_F(space, file_cut_and_closed)
{
	int fd = memfd(8 * T_PAGE, 0);
	u64 at = SPACE_AT;

	NEED_FILE();
	ASSERT_FD(fd);
	ASSERT_OK(map_file(fd, 0, 8 * T_PAGE, T_RW));
	EXPECT_EQ(0, ftruncate(fd, T_PAGE));
	close(fd);
	EXPECT_EQ(8 * T_PAGE, t_pinned(self->fd));
	if (self->pins >= 0)
		EXPECT_EQ(self->pins + 8, t_pinned_pages());
	EXPECT_EQ(8 * T_PAGE, t_unmap_all(self->fd, self->id));
	EXPECT_CLEAN();
}

/*
 * What a device wrote is not lost: a page that the kernel thinks clean may be
 * thrown away when memory is short.
 */
TEST_F(space, file_is_dirty_afterwards)
{
	int fd = memfd(4 * T_PAGE, 0), flags_fd = open("/proc/kpageflags", O_RDONLY | O_CLOEXEC);
	uint64_t flags = 0;
	u64 at = SPACE_AT;
	char *mem;
	int i;

	NEED_FILE();
	NEED(flags_fd >= 0, "no /proc/kpageflags");
	ASSERT_FD(fd);
	ASSERT_OK(map_file(fd, 0, 4 * T_PAGE, IOASID_MAP_WRITE));
	EXPECT_EQ(4 * T_PAGE, t_unmap_all(self->fd, self->id));
	mem = mmap(NULL, 4 * T_PAGE, PROT_READ, MAP_SHARED, fd, 0);
	ASSERT_NE(MAP_FAILED, mem);
	ASSERT_EQ(-1, t_not_byte(mem, 4 * T_PAGE, 0));
	for (i = 0; i < 4; i++) {
		ASSERT_EQ(sizeof(flags), pread(flags_fd, &flags, sizeof(flags),
					       t_phys(mem + i * T_PAGE) / T_PAGE * sizeof(flags)));
		EXPECT_TRUE(flags & (1 << KPF_DIRTY)) TH_LOG("flags %#llx",
							     (unsigned long long)flags);
	}
	close(flags_fd);
}

TEST_F(space, file_of_huge_pages)
{
	u64 at = SPACE_AT;
	char *mem;
	int fd;

	NEED_FILE();
	NEED(t_hugetlb_room(2), "no huge pages in the pool");
	fd = memfd(2 * T_HUGE, MFD_HUGETLB | MFD_HUGE_2MB);
	ASSERT_FD(fd);
	mem = mmap(NULL, 2 * T_HUGE, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	ASSERT_NE(MAP_FAILED, mem);
	memset(mem, 1, 2 * T_HUGE);
	ASSERT_OK(map_file(fd, 0, 2 * T_HUGE, T_RW));
	expect_same_pages(_metadata, self, at, mem, 2 * T_HUGE);
	at += 2 * T_HUGE;
	ASSERT_OK(map_file(fd, T_HUGE - T_PAGE, 2 * T_PAGE, T_RW));
	expect_same_pages(_metadata, self, at, mem + T_HUGE - T_PAGE, 2 * T_PAGE);
	EXPECT_EQ((long long)(2 * T_HUGE + 2 * T_PAGE), t_unmap_all(self->fd, self->id));
	EXPECT_CLEAN();
}

TEST_HARNESS_MAIN
