// SPDX-License-Identifier: GPL-2.0
/*
 * A device that is pulled out while it is attached. VFIO asks its user to let
 * go and waits; until then everything goes on, and after it nothing is left.
 * The last NVMe controller of the bed is unplugged and plugged in again, which
 * takes a wire to the host: there, this test has a machine of its own. An
 * endpoint of ioasid_sim is taken from its driver and given back.
 */
#include <signal.h>
#include <sys/eventfd.h>
#include <sys/wait.h>

#include "harness.h"
#include "lib/hostctl.h"

#define AT	0x100000000ULL

FIXTURE(unplug) {
	struct t_dma dev;
	int fd;
	u32 id;
	char *mem;
	char *name;		/* of the device on the host */
	char addr[T_PCI_ADDR];
	int nth;
	pid_t remover;		/* of an endpoint; waits until it has gone */
	long pins;
};

/* The word of the list @to where the list @from has @word */
static const char *same_place(const char *from, const char *word, const char *to)
{
	static char list[256], other[256];
	char *a, *b, *save_a, *save_b;

	if (!from || !to)
		return NULL;
	snprintf(list, sizeof(list), "%s", from);
	snprintf(other, sizeof(other), "%s", to);
	for (a = strtok_r(list, " ", &save_a), b = strtok_r(other, " ", &save_b); a && b;
	     a = strtok_r(NULL, " ", &save_a), b = strtok_r(NULL, " ", &save_b))
		if (!strcmp(a, word))
			return b;
	return NULL;
}

static int ask(const char *format, const char *name)
{
	char request[256], answer[256] = "";
	int ret;

	snprintf(request, sizeof(request), format, name, name + strlen(name) - 1,
		 name + strlen(name) - 1);
	ret = t_hostctl(request, answer, sizeof(answer), 70000);
	if (!ret && strncmp(answer, "ok", 2)) {
		fprintf(stderr, "# host: %s: %s\n", request, answer);
		ret = -EIO;
	}
	return ret;
}

static const char *name_on_host(const char *addr)
{
	return same_place(getenv("IOASID_NVME"), addr, getenv("IOASID_NVME_IDS"));
}

FIXTURE_SETUP(unplug)
{
	const char *name = "";
	int nr = 0;

	NEED(t_on_sim() || t_hostctl_present(), "needs a wire to the host (IOASID_HOSTCTL)");
	while (t_device(T_NVME, nr))
		nr++;
	NEED(nr, "needs an NVMe");
	self->nth = nr - 1;
	snprintf(self->addr, sizeof(self->addr), "%s", t_device(T_NVME, nr - 1));
	if (!t_on_sim())
		name = name_on_host(self->addr);
	NEED(name, "IOASID_NVME_IDS does not have the name of %s", self->addr);
	self->name = strdup(name);
	self->pins = t_pinned_pages();
	NEED_DMA(&self->dev, T_NVME, nr - 1);
	self->fd = t_open();
	ASSERT_FD(self->fd);
	self->mem = t_memory(T_SHARED, 64 * T_PAGE);
	ASSERT_OK(t_alloc(self->fd, &self->id));
	ASSERT_OK(t_map_at(self->fd, self->id, self->mem, T_PAGE, T_RW, AT));
}

FIXTURE_TEARDOWN(unplug)
{
	close(self->fd);
	if (self->pins >= 0)
		EXPECT_EQ(self->pins, t_pinned_pages());
}

static int takes_away(void *arg)
{
	FIXTURE_DATA(unplug) *self = arg;

	/* Or it would wait for itself */
	t_dma_close(&self->dev);
	return t_sim_unbind(self->addr) ? 1 : 0;
}

/* Asks for the device; who has it still has it */
static int begin_unplug(FIXTURE_DATA(unplug) *self)
{
	if (!t_on_sim())
		return ask("device_del %s", self->name);
	self->remover = t_fork(takes_away, self);
	return self->remover > 0 ? 0 : -errno;
}

static bool wait_gone(FIXTURE_DATA(unplug) *self)
{
	u64 end = t_end_of_patience(10000);

	if (t_on_sim() && t_wait(self->remover))
		return false;
	while (t_device_present(self->addr) && t_now_ns() < end)
		t_sleep_ms(100);
	return !t_device_present(self->addr);
}

/* In again, as the same device */
static int begin_plug(FIXTURE_DATA(unplug) *self)
{
	u64 end;

	if (t_on_sim())
		return t_sim_bind(self->addr);
	if (ask("device_wait %s 60", self->name) ||
	    ask("device_add nvme,id=%s,drive=disk%s,bus=rp%s,serial=again", self->name))
		return -EIO;
	end = t_end_of_patience(10000);
	while (t_device_group(self->addr) < 0 && t_now_ns() < end)
		t_sleep_ms(100);
	/* The kernel's own driver, if there is one, comes first */
	t_sleep_ms(500);
	return 0;
}

/* In again, and at work */
static void plug_in(struct __test_metadata *_metadata, FIXTURE_DATA(unplug) *self)
{
	struct t_dma again;
	int nr = 0;

	ASSERT_EQ(0, begin_plug(self));
	ASSERT_TRUE(t_device_present(self->addr));
	while (strcmp(t_device(T_NVME, nr), self->addr))
		nr++;
	ASSERT_EQ(0, t_dma_open(&again, T_NVME, nr, VFIO_IOASID_IOMMU)) TH_LOG("%s", t_vfio_step);
	ASSERT_OK(t_dma_up(&again, self->fd, self->id));
	t_fill(self->mem, T_PAGE, 9);
	EXPECT_EQ(1, t_dma_reads(&again, AT, self->mem));
	t_dma_close(&again);
}

TEST_F_TIMEOUT(unplug, attached, 300)
{
	int event = eventfd(0, EFD_CLOEXEC);
	struct ioasid_device_info dev;
	struct ioasid_info info;

	ASSERT_OK(t_dma_up(&self->dev, self->fd, self->id));
	ASSERT_EQ(0, t_vfio_request_eventfd(&self->dev.vfio, event));
	ASSERT_EQ(0, begin_unplug(self));
	ASSERT_TRUE(t_readable(event, 10000));
	/* Until we let go, all works as before */
	t_fill(self->mem, T_PAGE, 1);
	EXPECT_EQ(1, t_dma_reads(&self->dev, AT, self->mem));
	EXPECT_OK(t_map_at(self->fd, self->id, self->mem + T_PAGE, T_PAGE, T_RW, AT + T_PAGE));
	EXPECT_EQ(1, t_dma_writes(&self->dev, AT + T_PAGE, self->mem + T_PAGE));
	EXPECT_OK(t_vfio_detach(&self->dev.vfio));
	EXPECT_OK(t_vfio_attach(&self->dev.vfio, self->fd, self->id, 0));
	EXPECT_FAIL(EBUSY, IN_USE, t_free(self->fd, self->id));
	EXPECT_OK(t_device_info(self->fd, self->dev.vfio.dev_id, &dev));
	t_dma_close(&self->dev);
	EXPECT_TRUE(wait_gone(self));
	/* The context no longer has it, the space works on */
	ASSERT_OK(t_info(self->fd, &info));
	EXPECT_EQ(0, info.nr_devices);
	EXPECT_FAIL(ENOENT, NO_DEVICE_ID, t_device_info(self->fd, self->dev.vfio.dev_id, &dev));
	EXPECT_OK(t_map_at(self->fd, self->id, self->mem, T_PAGE, T_RW, AT + T_HUGE));
	EXPECT_LT(0, t_unmap(self->fd, self->id, self->dev.own_iova, T_DMA_OWN_BYTES));
	plug_in(_metadata, self);
}

struct holder {
	FIXTURE_DATA(unplug) *self;
	int ready;
};

static int holds_it(void *arg)
{
	struct holder *h = arg;
	FIXTURE_DATA(unplug) *self = h->self;
	char byte = 0;

	T_CHECK(!t_dma_open(&self->dev, T_NVME, self->nth, VFIO_IOASID_IOMMU));
	T_CHECK(!t_dma_up(&self->dev, self->fd, self->id));
	T_CHECK(t_dma_reads(&self->dev, AT, self->mem) == 1);
	T_CHECK(write(h->ready, &byte, 1) == 1);
	pause();
	return 1;
}

static bool waitable(pid_t pid)
{
	siginfo_t info = { 0 };

	return !waitid(P_PID, pid, &info, WEXITED | WNOHANG | WNOWAIT) && info.si_pid == pid;
}

/* The user does not answer, and is killed for it */
TEST_F_TIMEOUT(unplug, attached_and_killed, 300)
{
	struct holder h = { .self = self };
	struct ioasid_info info;
	int ready[2];
	char byte;
	pid_t pid;

	t_dma_close(&self->dev);
	ASSERT_EQ(0, pipe(ready));
	h.ready = ready[1];
	pid = t_fork(holds_it, &h);
	close(ready[1]);
	ASSERT_EQ(1, read(ready[0], &byte, 1));
	ASSERT_EQ(0, begin_unplug(self));
	/* It stays for as long as it is held */
	t_sleep_ms(t_on_sim() ? 500 : 8000);
	EXPECT_TRUE(t_on_sim() ? !waitable(self->remover) : t_device_present(self->addr));
	ASSERT_EQ(0, kill(pid, SIGKILL));
	EXPECT_EQ(-SIGKILL, t_wait(pid));
	EXPECT_TRUE(wait_gone(self));
	ASSERT_OK(t_info(self->fd, &info));
	EXPECT_EQ(0, info.nr_devices);
	EXPECT_LT(0, t_unmap(self->fd, self->id, T_DMA_OWN_IOVA, T_DMA_OWN_BYTES));
	plug_in(_metadata, self);
}

/* Bound to a context but attached to no space */
TEST_F_TIMEOUT(unplug, only_bound, 300)
{
	int event = eventfd(0, EFD_CLOEXEC);
	struct ioasid_info info;

	ASSERT_OK(t_vfio_bind(&self->dev.vfio, self->fd));
	ASSERT_EQ(0, t_vfio_request_eventfd(&self->dev.vfio, event));
	ASSERT_EQ(0, begin_unplug(self));
	ASSERT_TRUE(t_readable(event, 10000));
	EXPECT_OK(t_attach(self->fd, self->dev.vfio.dev_id, self->id, 0));
	EXPECT_OK(t_detach(self->fd, self->dev.vfio.dev_id));
	/* The context goes first, this time */
	close(self->fd);
	t_dma_close(&self->dev);
	EXPECT_TRUE(wait_gone(self));
	self->fd = t_open();
	ASSERT_OK(t_info(self->fd, &info));
	ASSERT_OK(t_alloc(self->fd, &self->id));
	ASSERT_OK(t_map_at(self->fd, self->id, self->mem, T_PAGE, T_RW, AT));
	plug_in(_metadata, self);
}

TEST_HARNESS_MAIN
