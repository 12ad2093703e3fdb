// SPDX-License-Identifier: GPL-2.0
/*
 * The counters of a machine themselves (lib/machine.h): each sees what is taken, to
 * the piece where it counts pieces, and that it is given back. If these fail, a test
 * that leaves something behind is not noticed.
 */
#include <fcntl.h>
#include <sys/mman.h>

#include "harness.h"
#include "lib/machine.h"
#include "lib/testdev.h"

#define AT		0x100000000ULL
#define PAGES		8

FIXTURE(counters) {
	struct t_machine before;
	int fd;
	u32 id;
	char *mem;
};

FIXTURE_SETUP(counters)
{
	self->mem = t_memory(T_ANON, PAGES * T_PAGE);
	ASSERT_NE(NULL, self->mem);
	t_machine_read(&self->before);
	self->fd = t_open();
	ASSERT_FD(self->fd);
	ASSERT_OK(t_alloc(self->fd, &self->id));
}

FIXTURE_TEARDOWN(counters)
{
	struct t_machine after;
	int c;

	if (self->fd > 0)
		close(self->fd);
	EXPECT_EQ(0, t_machine_settle(&self->before, &after, 10000));
	for (c = 0; c < T_MACHINE_NR; c++)
		if (t_machine_changed(c, &self->before, &after))
			TH_LOG("%s: %lld before, %lld after", t_machine_name(c),
			       (long long)self->before.value[c], (long long)after.value[c]);
}

/* @nr more of it, and that is a change */
#define EXPECT_MORE(c, nr) do {							\
	struct t_machine now = self->before;					\
										\
	now.value[c] = t_machine_counter(c);					\
	EXPECT_NE(T_UNSEEN, now.value[c]);					\
	EXPECT_EQ(self->before.value[c] + (nr), now.value[c])			\
		TH_LOG("%s", t_machine_name(c));				\
	EXPECT_TRUE(t_machine_changed(c, &self->before, &now));			\
	EXPECT_EQ(1, t_machine_differs(&self->before, &now));			\
} while (0)

/* At least @nr more of it, of what cannot be counted to the piece */
#define EXPECT_MUCH(c, nr) do {							\
	struct t_machine now = self->before;					\
										\
	now.value[c] = t_machine_counter(c);					\
	EXPECT_LE(self->before.value[c] + (nr), now.value[c])			\
		TH_LOG("%s", t_machine_name(c));				\
	EXPECT_TRUE(t_machine_changed(c, &self->before, &now));			\
} while (0)

TEST_F(counters, pinned_memory)
{
	ASSERT_OK(t_map_at(self->fd, self->id, self->mem, PAGES * T_PAGE, T_RW, AT));
	EXPECT_MORE(T_CONTEXTS, 1);
	/* Not every kernel counts them */
	if (t_pinned_pages() >= 0)
		EXPECT_MORE(T_PINNED, PAGES);
	EXPECT_MORE(T_LOCKED_ROOT, PAGES);
	EXPECT_MORE(T_PROCESSES_PINNED, PAGES * 4);
}

static int maps_as_user(void *arg)
{
	FIXTURE_DATA(counters) *self = arg;

	T_CHECK(!t_map_at(self->fd, self->id, self->mem, PAGES * T_PAGE, T_RW, AT));
	return 0;
}

/* Charged until it is unmapped, whoever has died */
TEST_F(counters, of_another_user)
{
	ASSERT_EQ(0, t_child_as(T_NOBODY, maps_as_user, self));
	EXPECT_MORE(T_LOCKED_USER, PAGES);
}

TEST_F(counters, locked_memory)
{
	ASSERT_EQ(0, mlock(self->mem, PAGES * T_PAGE));
	EXPECT_MORE(T_PROCESSES_LOCKED, PAGES * 4);
	munlock(self->mem, PAGES * T_PAGE);
}

TEST_F(counters, huge_pages)
{
	char *huge;

	NEED(t_hugetlb_room(4), "needs huge pages");
	/* The pool may have grown */
	t_machine_read(&self->before);
	huge = mmap(NULL, 2 * T_HUGE, PROT_READ | PROT_WRITE,
		    MAP_PRIVATE | MAP_ANONYMOUS | MAP_HUGETLB, -1, 0);
	ASSERT_NE(MAP_FAILED, (void *)huge);
	EXPECT_MORE(T_HUGE_RESERVED, 2);
	*(volatile char *)huge = 1;
	EXPECT_MORE(T_HUGE_RESERVED, 1);
	EXPECT_MORE(T_HUGE_USED, 1);
	munmap(huge, 2 * T_HUGE);
	/* Our context is open since the second look */
	self->before.value[T_CONTEXTS]--;
}

TEST_F(counters, kernel_memory)
{
	struct ioasid_fault_queue args = { .depth = 65536, .eventfd = -1 };
	struct t_queue q;
	int i;

	NEED(self->before.value[T_SLAB] != T_UNSEEN, "this kernel keeps freed memory");
	ASSERT_OK(t_map_at(self->fd, self->id, self->mem, T_PAGE, T_RW, AT));
	for (i = 1; i < 30000; i++)
		ASSERT_OK(t_copy_at(self->fd, self->id, AT, self->id, AT + 2 * i * T_PAGE, T_PAGE,
				    T_RW));
	EXPECT_MUCH(T_SLAB, 2048);
	ASSERT_OK(t_queue_open(&q, self->fd, &args));
	EXPECT_MUCH(T_VMALLOC, 4096);
	t_queue_close(&q);
}

/* The device of the probe is another one */
TEST_F(counters, domains)
{
	struct t_testdev testdev;
	struct t_vfio *vfio;
	struct t_dma dma;
	s64 domains;
	u32 pasid = IOASID_PASID_ANY;
	bool real = !t_on_sim() && t_testdev_find(1);
	int i;

	if (!real)
		NEED_DMA(&dma, T_EDU, 0);
	if (real)
		ASSERT_EQ(0, t_testdev_open(&testdev, 0, VFIO_IOASID_IOMMU));
	vfio = real ? &testdev.vfio : &dma.vfio;
	for (i = 0; i < 64; i++)
		ASSERT_OK(t_map_at(self->fd, self->id, self->mem, T_PAGE, T_RW, AT + i * T_HUGE));
	/* Whoever opens a device takes it out of a domain of the kernel's */
	domains = t_machine_counter(T_DOMAINS);
	ASSERT_OK(t_vfio_attach(vfio, self->fd, self->id, 0));
	/*
	 * Of 256 KiB, for processors count by themselves for a while, and the kernel has
	 * freed a table of its own. Those of ioasid_sim are ordinary memory.
	 */
	if (!t_on_sim())
		EXPECT_MUCH(T_PAGE_TABLES, 200);
	if (domains != T_UNSEEN)
		EXPECT_EQ(domains + 1, t_machine_counter(T_DOMAINS));
	if (self->before.value[T_PASIDS] != T_UNSEEN && (t_on_sim() || real)) {
		ASSERT_OK(t_attach_pasid(self->fd, vfio->dev_id, self->id, &pasid, 0, 0));
		EXPECT_MORE(T_PASIDS, 1);
	}
	if (real)
		t_testdev_close(&testdev);
	else
		t_dma_close(&dma);
}

TEST_HARNESS_MAIN
