// SPDX-License-Identifier: GPL-2.0
/*
 * A program that ends closes its files in any order, or in none that it chose.
 * The four files that keep a device attached are closed in all their orders;
 * each time the device must be free to be used anew and nothing stay pinned.
 */
#include <fcntl.h>
#include <signal.h>

#include "harness.h"

#define AT	0x100000000ULL
#define PAGES	600

enum file { CONTEXT, CONTAINER, GROUP, DEVICE };

FIXTURE(order) {
	long pins;
};

FIXTURE_VARIANT(order) {
	enum file order[4];
};

#define ORDER(a, b, c, d) \
	FIXTURE_VARIANT_ADD(order, a##_##b##_##c##_##d) { .order = { a, b, c, d } }

ORDER(CONTEXT, CONTAINER, GROUP, DEVICE);
ORDER(CONTEXT, CONTAINER, DEVICE, GROUP);
ORDER(CONTEXT, GROUP, CONTAINER, DEVICE);
ORDER(CONTEXT, GROUP, DEVICE, CONTAINER);
ORDER(CONTEXT, DEVICE, CONTAINER, GROUP);
ORDER(CONTEXT, DEVICE, GROUP, CONTAINER);
ORDER(CONTAINER, CONTEXT, GROUP, DEVICE);
ORDER(CONTAINER, CONTEXT, DEVICE, GROUP);
ORDER(CONTAINER, GROUP, CONTEXT, DEVICE);
ORDER(CONTAINER, GROUP, DEVICE, CONTEXT);
ORDER(CONTAINER, DEVICE, CONTEXT, GROUP);
ORDER(CONTAINER, DEVICE, GROUP, CONTEXT);
ORDER(GROUP, CONTEXT, CONTAINER, DEVICE);
ORDER(GROUP, CONTEXT, DEVICE, CONTAINER);
ORDER(GROUP, CONTAINER, CONTEXT, DEVICE);
ORDER(GROUP, CONTAINER, DEVICE, CONTEXT);
ORDER(GROUP, DEVICE, CONTEXT, CONTAINER);
ORDER(GROUP, DEVICE, CONTAINER, CONTEXT);
ORDER(DEVICE, CONTEXT, CONTAINER, GROUP);
ORDER(DEVICE, CONTEXT, GROUP, CONTAINER);
ORDER(DEVICE, CONTAINER, CONTEXT, GROUP);
ORDER(DEVICE, CONTAINER, GROUP, CONTEXT);
ORDER(DEVICE, GROUP, CONTEXT, CONTAINER);
ORDER(DEVICE, GROUP, CONTAINER, CONTEXT);

FIXTURE_SETUP(order)
{
	self->pins = t_pinned_pages();
}

FIXTURE_TEARDOWN(order)
{
}

/* A context and a device that is attached and has done a DMA */
static int set_up(struct t_dma *d, int *ctx, char *mem)
{
	u32 id;
	int ret;

	*ctx = t_open();
	if (*ctx < 0)
		return *ctx;
	ret = t_alloc(*ctx, &id);
	if (!ret)
		ret = t_map_at(*ctx, id, mem, PAGES * T_PAGE, T_RW, AT);
	if (!ret)
		ret = t_dma_up(d, *ctx, id);
	return ret ? ret : t_dma_reads(d, AT, mem);
}

static void close_one(struct t_dma *d, int *ctx, enum file file)
{
	int *fds[] = { ctx, &d->vfio.container, &d->vfio.group, &d->vfio.device };

	close(*fds[file]);
	*fds[file] = -1;
}

TEST_F(order, close)
{
	char *mem = t_memory(T_ANON, PAGES * T_PAGE);
	struct t_dma dev;
	int ctx, i;

	t_fill(mem, T_PAGE, 1);
	NEED_DMA(&dev, T_EDU, 0);
	ASSERT_EQ(1, set_up(&dev, &ctx, mem)) TH_LOG("%s", t_explain());
	for (i = 0; i < 4; i++) {
		if (variant->order[i] == DEVICE)
			t_vfio_unmap_bar(&dev.vfio);
		close_one(&dev, &ctx, variant->order[i]);
		/* As long as it is open the device works on, whatever else is gone */
		if (dev.vfio.bar && i < 2) {
			t_fill(mem, T_PAGE, 10 + i);
			EXPECT_EQ(1, t_dma_reads(&dev, AT, mem));
		}
	}
	t_dma_close(&dev);
	if (self->pins >= 0)
		EXPECT_EQ(self->pins, t_pinned_pages());
	/* And all over again */
	NEED_DMA(&dev, T_EDU, 0);
	t_fill(mem, T_PAGE, 20);
	EXPECT_EQ(1, set_up(&dev, &ctx, mem)) TH_LOG("%s", t_explain());
	t_dma_close(&dev);
	close(ctx);
	if (self->pins >= 0)
		EXPECT_EQ(self->pins, t_pinned_pages());
}

/* --- processes that end without closing anything ------------------------------ */

FIXTURE(end) {
	long pins;
	char *mem;
};

FIXTURE_VARIANT(end) {
	enum t_pci_kind kind;
};

FIXTURE_VARIANT_ADD(end, edu) { .kind = T_EDU };
FIXTURE_VARIANT_ADD(end, nvme) { .kind = T_NVME };

FIXTURE_SETUP(end)
{
	NEED(t_device(variant->kind, 0), "needs the device");
	self->mem = t_memory(T_SHARED, PAGES * T_PAGE);
	t_fill(self->mem, T_PAGE, 1);
	self->pins = t_pinned_pages();
}

FIXTURE_TEARDOWN(end)
{
}

struct user {
	enum t_pci_kind kind;
	char *mem;
	int ready;
	bool exits;
	bool in_flight;		/* ends in the middle of DMA */
};

static int uses_device(void *arg)
{
	struct user *u = arg;
	struct t_dma dev;
	char byte = 0;
	int ctx, i;

	T_CHECK(!t_dma_open(&dev, u->kind, 0, VFIO_IOASID_IOMMU));
	T_CHECK(set_up(&dev, &ctx, u->mem) == 1);
	T_CHECK(write(u->ready, &byte, 1) == 1);
	for (i = 0; u->in_flight && i < (dev.fast ? T_DMA_PLACES : 1); i++)
		t_dma_begin(&dev, true, i, AT + i * T_PAGE);
	if (u->exits)
		return 0;
	pause();
	return 1;
}

static void run_user(struct __test_metadata *_metadata, FIXTURE_DATA(end) *self,
		     const FIXTURE_VARIANT(end) *variant, bool exits, bool in_flight)
{
	struct user u = { .kind = variant->kind, .mem = self->mem, .exits = exits,
			  .in_flight = in_flight };
	int round, ready[2];
	char byte;
	pid_t pid;

	ASSERT_EQ(0, pipe(ready));
	u.ready = ready[1];
	/* The second round shows what the first one left */
	for (round = 0; round < 2; round++) {
		pid = t_fork(uses_device, &u);
		ASSERT_EQ(1, read(ready[0], &byte, 1));
		if (!exits)
			ASSERT_EQ(0, kill(pid, SIGKILL));
		EXPECT_EQ(exits ? 0 : -SIGKILL, t_wait(pid));
		if (self->pins >= 0)
			EXPECT_EQ(self->pins, t_pinned_pages());
		/* Late DMA reaches nothing any more */
		memset(self->mem, 0x77, PAGES * T_PAGE);
		t_sleep_ms(300);
		EXPECT_EQ(-1, t_not_byte(self->mem, PAGES * T_PAGE, 0x77));
	}
}

TEST_F(end, exit)
{
	run_user(_metadata, self, variant, true, false);
}

TEST_F(end, exit_with_dma_in_flight)
{
	run_user(_metadata, self, variant, true, true);
}

TEST_F(end, kill)
{
	run_user(_metadata, self, variant, false, false);
}

TEST_F(end, kill_with_dma_in_flight)
{
	run_user(_metadata, self, variant, false, true);
}

/* Parent and child share all files; whoever ends first takes nothing away */
static int attached_child(void *arg)
{
	return 0;
}

TEST_F(end, fork_and_child_exits)
{
	struct t_dma dev;
	int ctx;

	NEED_DMA(&dev, variant->kind, 0);
	ASSERT_EQ(1, set_up(&dev, &ctx, self->mem)) TH_LOG("%s", t_explain());
	ASSERT_EQ(0, t_child(attached_child, NULL));
	EXPECT_EQ(1, t_dma_reads(&dev, AT, self->mem));
	t_dma_close(&dev);
	close(ctx);
	if (self->pins >= 0)
		EXPECT_EQ(self->pins, t_pinned_pages());
}

TEST_HARNESS_MAIN
