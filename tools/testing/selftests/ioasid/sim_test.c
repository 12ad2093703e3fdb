// SPDX-License-Identifier: GPL-2.0
/*
 * The endpoint of ioasid_sim itself: every command, many at once, bad ones,
 * interrupts, reset, and that it reaches what is mapped and nothing else. Every
 * test runs behind /dev/ioasid and behind type1, on the same endpoint. If these
 * fail, what other tests see on a bed with endpoints means nothing.
 */
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <sys/eventfd.h>
#include <sys/ioctl.h>
#include <sys/mman.h>

#include "harness.h"

#define AT	0x100000000ULL
#define PAGES	64
#define LEN	(PAGES * T_PAGE)
#define BIG	(4ULL << 20)
#define BIG_AT	(AT + (1ULL << 30))
#define R	1
#define W	2

FIXTURE(sim) {
	struct t_dma dev;
	struct t_sim *sim;
	int fd;
	u32 id;
	char *mem;		/* LEN bytes, for tests to map at AT */
	long pins;
};

FIXTURE_VARIANT(sim) {
	bool type1;
};

FIXTURE_VARIANT_ADD(sim, ioasid) { .type1 = false };
FIXTURE_VARIANT_ADD(sim, type1) { .type1 = true };

FIXTURE_SETUP(sim)
{
	NEED(t_on_sim(), "needs ioasid_sim");
	self->pins = t_pinned_pages();
	ASSERT_EQ(0, t_dma_open(&self->dev, T_EDU, 0,
				variant->type1 ? VFIO_TYPE1v2_IOMMU : VFIO_IOASID_IOMMU))
		TH_LOG("%s failed", t_vfio_step);
	self->sim = &self->dev.sim;
	self->fd = t_open();
	ASSERT_FD(self->fd);
	ASSERT_OK(t_alloc(self->fd, &self->id));
	if (!variant->type1)
		ASSERT_OK(t_vfio_attach(&self->dev.vfio, self->fd, self->id, 0));
	self->mem = t_memory(T_ANON, LEN);
	ASSERT_NE(NULL, self->mem);
}

FIXTURE_TEARDOWN(sim)
{
	t_dma_close(&self->dev);
	close(self->fd);
	if (self->pins >= 0)
		EXPECT_EQ(self->pins, t_pinned_pages());
}

/* R and W are the same bits for both */
static int map(FIXTURE_DATA(sim) *self, const FIXTURE_VARIANT(sim) *variant, u64 iova, void *mem,
	       u64 len, u32 rw)
{
	if (variant->type1)
		return t_type1_map(self->dev.vfio.container, iova, mem, len, rw);
	return t_map_at(self->fd, self->id, mem, len, (rw & R ? IOASID_MAP_READ : 0) |
			(rw & W ? IOASID_MAP_WRITE : 0), iova);
}

static int unmap(FIXTURE_DATA(sim) *self, const FIXTURE_VARIANT(sim) *variant, u64 iova, u64 len)
{
	if (variant->type1)
		return t_type1_unmap(self->dev.vfio.container, iova, len);
	return t_unmap(self->fd, self->id, iova, len) == (long long)len ? 0 : -EIO;
}

#define MAP(iova, mem, len, rw)	ASSERT_OK(map(self, variant, iova, mem, len, rw))
#define UNMAP(iova, len)	ASSERT_OK(unmap(self, variant, iova, len))

static struct ioasid_sim_completion run(struct t_sim *sim, struct ioasid_sim_command cmd)
{
	struct ioasid_sim_completion c = { .status = ~0u };
	static u64 tag = 0x1234567800000000ULL;
	int ret;

	cmd.tag = ++tag;
	ret = t_sim_run(sim, &cmd, &c);
	if (ret || c.tag != cmd.tag) {
		fprintf(stderr, "# command %u: %s, tag %#llx for %#llx\n", cmd.opcode, strerror(-ret),
			(unsigned long long)c.tag, (unsigned long long)cmd.tag);
		c.status = ~0u;
	}
	return c;
}

#define RUN(op, ...)	run(self->sim, (struct ioasid_sim_command)			\
			    { .opcode = IOASID_SIM_OP_##op, __VA_ARGS__ })
#define EXPECT_RUN(want, op, ...)						\
	EXPECT_EQ((u32)IOASID_SIM_##want, RUN(op, __VA_ARGS__).status)

/* --- what VFIO shows ------------------------------------------------------------ */

TEST_F(sim, info)
{
	struct vfio_device_info info = { .argsz = sizeof(info) };
	struct vfio_region_info region = { .argsz = sizeof(region) };
	struct vfio_irq_info irq = { .argsz = sizeof(irq) };
	int fd = self->dev.vfio.device;

	ASSERT_EQ(0, ioctl(fd, VFIO_DEVICE_GET_INFO, &info));
	EXPECT_EQ((u32)(VFIO_DEVICE_FLAGS_PLATFORM | VFIO_DEVICE_FLAGS_RESET), info.flags);
	EXPECT_EQ((u32)IOASID_SIM_NR_REGIONS, info.num_regions);
	EXPECT_EQ((u32)IOASID_SIM_NR_IRQS, info.num_irqs);
	for (region.index = 0; region.index < info.num_regions; region.index++) {
		ASSERT_EQ(0, ioctl(fd, VFIO_DEVICE_GET_REGION_INFO, &region));
		EXPECT_EQ(3, region.flags & 3);
		EXPECT_EQ(region.index == IOASID_SIM_REGION_MEMORY,
			  !!(region.flags & VFIO_REGION_INFO_FLAG_MMAP));
		EXPECT_NE(0, region.size);
	}
	EXPECT_EQ(-EINVAL, t_ioctl(fd, VFIO_DEVICE_GET_REGION_INFO, &region));
	for (irq.index = 0; irq.index < info.num_irqs; irq.index++) {
		ASSERT_EQ(0, ioctl(fd, VFIO_DEVICE_GET_IRQ_INFO, &irq));
		EXPECT_EQ(1, irq.count);
		EXPECT_TRUE(irq.flags & VFIO_IRQ_INFO_EVENTFD);
	}
	EXPECT_EQ(-EINVAL, t_ioctl(fd, VFIO_DEVICE_GET_IRQ_INFO, &irq));
	info.argsz = 4;
	EXPECT_EQ(-EINVAL, t_ioctl(fd, VFIO_DEVICE_GET_INFO, &info));
	EXPECT_EQ(-ENOTTY, t_ioctl(fd, VFIO_DEVICE_GET_PCI_HOT_RESET_INFO, &info));
}

TEST_F(sim, registers)
{
	char many[4 * IOASID_SIM_SLOTS + 4] = { 0 };
	u64 at = self->sim->registers;
	int fd = self->dev.vfio.device;
	u32 value = 0, off;

	EXPECT_EQ(0, t_sim_register(self->sim, IOASID_SIM_REG_ID, &value));
	EXPECT_EQ((u32)IOASID_SIM_ID, value);
	EXPECT_EQ(0, t_sim_register(self->sim, IOASID_SIM_REG_SLOTS, &value));
	EXPECT_EQ((u32)IOASID_SIM_SLOTS, value);
	EXPECT_EQ(0, t_sim_register(self->sim, IOASID_SIM_REG_BUFFER, &value));
	EXPECT_EQ((u32)IOASID_SIM_BUFFER_BYTES, value);
	EXPECT_EQ(0, t_sim_register(self->sim, IOASID_SIM_REG_RUNNING, &value));
	EXPECT_EQ(0, value);
	EXPECT_EQ(-EINVAL, t_sim_register(self->sim, IOASID_SIM_REG_DOORBELL, &value));
	EXPECT_EQ(-EINVAL, t_sim_register(self->sim, 2, &value));
	EXPECT_EQ(-EINVAL, t_sim_register(self->sim, 0x40, &value));
	EXPECT_EQ(-EINVAL, t_sim_register(self->sim, 0xfffffffcU, &value));
	EXPECT_EQ(~0ULL, t_sim_stat(self->sim, IOASID_SIM_NR_STATS));
	EXPECT_NE(~0ULL, t_sim_stat(self->sim, IOASID_SIM_NR_STATS - 1));
	EXPECT_EQ(-1, pread(fd, many, 8, at));
	EXPECT_EQ(-1, pread(fd, many, 1, at));
	EXPECT_EQ(-1, pread(fd, many, 4, at + IOASID_SIM_REG_STATS));
	EXPECT_EQ(-1, pread(fd, many, 8, at + IOASID_SIM_REG_STATS + 4));
	EXPECT_EQ(-1, pread(fd, many, 4, 7ULL << 40));
	EXPECT_EQ(-1, pwrite(fd, many, 4, 7ULL << 40));
	for (off = 0; off < 0x200; off += 4)
		if (off != IOASID_SIM_REG_DOORBELL)
			EXPECT_EQ(-1, pwrite(fd, many, 4, at + off)) TH_LOG("at %#x", off);
	EXPECT_EQ(-1, pwrite(fd, many, 3, at + IOASID_SIM_REG_DOORBELL));
	EXPECT_EQ(-1, pwrite(fd, many, sizeof(many), at + IOASID_SIM_REG_DOORBELL));
}

TEST_F(sim, memory_region)
{
	u64 at = (u64)IOASID_SIM_REGION_MEMORY << 40, end = at + IOASID_SIM_MEMORY_BYTES;
	int fd = self->dev.vfio.device;
	char page[64] = "read, write and mapping are the same memory", back[64];

	ASSERT_EQ((size_t)IOASID_SIM_MEMORY_BYTES, self->dev.vfio.bar_len);
	EXPECT_EQ(64, pwrite(fd, page, 64, at + IOASID_SIM_BUFFER));
	EXPECT_EQ(0, memcmp(t_sim_buffer(self->sim, 0), page, 64));
	EXPECT_EQ(64, pread(fd, back, 64, at + IOASID_SIM_BUFFER));
	EXPECT_EQ(0, memcmp(back, page, 64));
	/* The last bytes, and no more */
	EXPECT_EQ(16, pread(fd, back, 64, end - 16));
	EXPECT_EQ(0, pread(fd, back, 64, end));
	EXPECT_EQ(0, pwrite(fd, page, 64, end + T_PAGE));
	EXPECT_EQ(MAP_FAILED, mmap(NULL, T_PAGE, PROT_READ, MAP_SHARED, fd, end));
	EXPECT_EQ(MAP_FAILED, mmap(NULL, 2 * T_PAGE, PROT_READ, MAP_SHARED, fd, end - T_PAGE));
	EXPECT_EQ(MAP_FAILED, mmap(NULL, T_PAGE, PROT_READ, MAP_PRIVATE, fd, at));
	EXPECT_EQ(MAP_FAILED, mmap(NULL, T_PAGE, PROT_READ, MAP_SHARED, fd, 0));
	EXPECT_NE(MAP_FAILED, mmap(NULL, T_PAGE, PROT_READ, MAP_SHARED, fd, end - T_PAGE));
}

/* --- every command ------------------------------------------------------------- */

TEST_F(sim, nop)
{
	struct ioasid_sim_completion c = RUN(NOP);

	EXPECT_EQ((u32)IOASID_SIM_OK, c.status);
	EXPECT_EQ(0, c.bad_iova);
	EXPECT_EQ(0, c.result);
}

TEST_F(sim, read_and_write)
{
	static const u32 lengths[] = { 1, 2, 7, 8, 63, 4095, 4096, 4097, 20000, 200000 };
	size_t i;

	MAP(AT, self->mem, LEN, R | W);
	for (i = 0; i < ARRAY_SIZE(lengths); i++) {
		u32 len = lengths[i], off = i * 13;

		memset(t_sim_buffer(self->sim, 0), 0, IOASID_SIM_BUFFER_BYTES);
		t_fill(self->mem, LEN, i);
		EXPECT_RUN(OK, READ, .iova = AT + off, .length = len, .buffer = 5 * i);
		EXPECT_EQ(0, memcmp(t_sim_buffer(self->sim, 5 * i), self->mem + off, len));
		EXPECT_EQ(-1, t_not_byte(t_sim_buffer(self->sim, 5 * i + len), 64, 0));
		EXPECT_EQ(-1, t_differs(self->mem, LEN, i));
		memset(self->mem, 0x55, LEN);
		EXPECT_RUN(OK, WRITE, .iova = AT + 3 * off, .length = len, .buffer = 5 * i);
		EXPECT_EQ(0, memcmp(t_sim_buffer(self->sim, 5 * i), self->mem + 3 * off, len));
		EXPECT_EQ(-1, t_not_byte(self->mem, 3 * off, 0x55));
		EXPECT_EQ(-1, t_not_byte(self->mem + 3 * off + len, 64, 0x55));
	}
}

TEST_F(sim, fill)
{
	static const u32 lengths[] = { 1, 8, 13, 4096, 10000, 100001 };
	u64 pattern = 0x8877665544332211ULL;
	size_t i, j, wrong;

	MAP(AT, self->mem, LEN, R | W);
	for (i = 0; i < ARRAY_SIZE(lengths); i++) {
		memset(self->mem, 0, LEN);
		EXPECT_RUN(OK, FILL, .iova = AT + 3 + i, .length = lengths[i], .value = pattern);
		for (j = 0, wrong = 0; j < lengths[i]; j++)
			wrong += self->mem[3 + i + j] != (char)(pattern >> j % 8 * 8);
		EXPECT_EQ(0, wrong);
		EXPECT_EQ(-1, t_not_byte(self->mem, 3 + i, 0));
		EXPECT_EQ(-1, t_not_byte(self->mem + 3 + i + lengths[i], 64, 0));
	}
}

TEST_F(sim, copy)
{
	MAP(AT, self->mem, LEN, R | W);
	t_fill(self->mem, LEN / 2, 1);
	EXPECT_RUN(OK, COPY, .iova = AT, .to = AT + LEN / 2, .length = LEN / 2);
	EXPECT_EQ(-1, t_differs(self->mem + LEN / 2, LEN / 2, 1));
	EXPECT_EQ(-1, t_differs(self->mem, LEN / 2, 1));
	memset(self->mem + LEN / 2, 0, LEN / 2);
	EXPECT_RUN(OK, COPY, .iova = AT + 5, .to = AT + LEN / 2 + 11, .length = 9999);
	EXPECT_EQ(0, memcmp(self->mem + 5, self->mem + LEN / 2 + 11, 9999));
	EXPECT_EQ(-1, t_not_byte(self->mem + LEN / 2 + 11 + 9999, 64, 0));
}

TEST_F(sim, crc32)
{
	static const u32 lengths[] = { 1, 4095, 4096, 4097, 65536, 100003 };
	struct ioasid_sim_completion c;
	size_t i;

	MAP(AT, self->mem, LEN, R);
	for (i = 0; i < ARRAY_SIZE(lengths); i++) {
		t_fill(self->mem, LEN, i);
		c = RUN(CRC32, .iova = AT + 7 * i, .length = lengths[i]);
		EXPECT_EQ((u32)IOASID_SIM_OK, c.status);
		EXPECT_EQ(t_crc32(self->mem + 7 * i, lengths[i]), c.result);
	}
}

struct adder {
	u64 *word;
	u64 nr;
};

static void *adds_too(void *arg)
{
	struct adder *a = arg;
	u64 i;

	for (i = 0; i < a->nr; i++)
		__atomic_fetch_add(a->word, 1, __ATOMIC_SEQ_CST);
	return NULL;
}

/* Many additions at once, by the device and by the processor, and none is lost */
TEST_F(sim, add)
{
	struct adder a = { .word = (u64 *)(self->mem + T_PAGE + 24), .nr = t_rounds(200000) };
	struct ioasid_sim_command cmd = {
		.opcode = IOASID_SIM_OP_ADD, .iova = AT + T_PAGE + 24, .length = 8, .value = 1ULL << 32,
	};
	struct ioasid_sim_completion c;
	int slots[100], round, i;
	pthread_t thread;

	MAP(AT, self->mem, LEN, R | W);
	*a.word = 40;
	c = RUN(ADD, .iova = cmd.iova, .length = 8, .value = 2);
	EXPECT_EQ((u32)IOASID_SIM_OK, c.status);
	EXPECT_EQ(40, c.result);
	EXPECT_EQ(42, *a.word);
	ASSERT_EQ(0, pthread_create(&thread, NULL, adds_too, &a));
	for (round = 0; round < 5; round++) {
		for (i = 0; i < 100; i++) {
			slots[i] = t_sim_submit(self->sim, &cmd);
			ASSERT_LE(0, slots[i]);
		}
		for (i = 0; i < 100; i++) {
			ASSERT_EQ(0, t_sim_wait(self->sim, slots[i], &c, 10000));
			EXPECT_EQ((u32)IOASID_SIM_OK, c.status);
		}
	}
	pthread_join(thread, NULL);
	EXPECT_EQ(42 + a.nr + (500ULL << 32), *a.word);
}

/* --- bad commands ---------------------------------------------------------------- */

#define BAD(want, op, ...)	{ IOASID_SIM_BAD_##want,				\
				  { .opcode = IOASID_SIM_OP_##op, __VA_ARGS__ } }

static const struct {
	u32 want;
	struct ioasid_sim_command cmd;
} bad[] = {
	{ IOASID_SIM_BAD_OPCODE, { .opcode = IOASID_SIM_OP_REQUESTS + 1 } },
	{ IOASID_SIM_BAD_OPCODE, { .opcode = ~0u } },
	BAD(FLAGS, NOP, .flags = IOASID_SIM_CMD_REQUEST),
	BAD(FLAGS, READ, .iova = AT, .length = 1, .flags = 8),
	BAD(FLAGS, READ, .iova = AT, .length = 1, .flags = 1u << 31),
	BAD(FLAGS, READ, .iova = AT, .length = 1, .flags = IOASID_SIM_CMD_PRIV),
	BAD(FLAGS, REQUEST, .length = 16, .flags = IOASID_SIM_CMD_REQUEST),
	BAD(PASID, READ, .iova = AT, .length = 1, .pasid = 1),
	BAD(PASID, READ, .iova = AT, .length = 1, .flags = IOASID_SIM_CMD_PASID),
	BAD(PASID, READ, .iova = AT, .length = 1, .flags = IOASID_SIM_CMD_PASID, .pasid = 1 << 20),
	BAD(PASID, READ, .iova = AT, .length = 1, .flags = IOASID_SIM_CMD_PASID, .pasid = ~0u),
	BAD(LENGTH, NOP, .length = 1),
	BAD(LENGTH, READ, .iova = AT),
	BAD(LENGTH, READ, .iova = AT, .length = IOASID_SIM_BUFFER_BYTES + 1),
	BAD(LENGTH, FILL, .iova = AT, .length = IOASID_SIM_MAX_LENGTH + 1),
	BAD(LENGTH, CRC32, .iova = AT, .length = ~0u),
	BAD(LENGTH, COPY, .iova = AT, .to = AT),
	BAD(LENGTH, ADD, .iova = AT),
	BAD(LENGTH, ADD, .iova = AT, .length = 4),
	BAD(LENGTH, ADD, .iova = AT, .length = 16),
	BAD(LENGTH, REQUEST, .length = 15),
	BAD(LENGTH, REQUEST, .length = 16 * (IOASID_SIM_MAX_PAGES + 1)),
	BAD(LENGTH, REQUESTS, .iova = AT),
	BAD(LENGTH, REQUESTS, .iova = AT, .length = T_PAGE - 1),
	BAD(BUFFER, READ, .iova = AT, .length = 1, .buffer = IOASID_SIM_BUFFER_BYTES),
	BAD(BUFFER, READ, .iova = AT, .length = 2, .buffer = IOASID_SIM_BUFFER_BYTES - 1),
	BAD(BUFFER, WRITE, .iova = AT, .length = 1, .buffer = ~0ULL),
	BAD(BUFFER, WRITE, .iova = AT, .length = 16, .buffer = -8ULL),
	BAD(BUFFER, REQUEST, .length = 32, .buffer = IOASID_SIM_BUFFER_BYTES - 16),
	BAD(ADDRESS, READ, .iova = ~0ULL, .length = 2),
	BAD(ADDRESS, COPY, .iova = AT, .to = -4ULL, .length = 5),
	BAD(ADDRESS, ADD, .iova = AT + 4, .length = 8),
	BAD(ADDRESS, REQUESTS, .iova = AT + 8, .length = T_PAGE),
	BAD(FIELD, NOP, .iova = AT),
	BAD(FIELD, READ, .iova = AT, .length = 1, .to = 1),
	BAD(FIELD, READ, .iova = AT, .length = 1, .value = 1),
	BAD(FIELD, FILL, .iova = AT, .length = 1, .buffer = 1),
	BAD(FIELD, CRC32, .iova = AT, .length = 1, .__reserved = 1),
};

TEST_F(sim, bad_commands)
{
	u64 dmas, faults;
	size_t i;

	MAP(AT, self->mem, LEN, R | W);
	t_fill(self->mem, LEN, 1);
	dmas = t_sim_stat(self->sim, IOASID_SIM_STAT_DMAS);
	faults = t_sim_stat(self->sim, IOASID_SIM_STAT_FAULTS);
	for (i = 0; i < ARRAY_SIZE(bad); i++)
		EXPECT_EQ(bad[i].want, run(self->sim, bad[i].cmd).status) TH_LOG("the %zuth", i);
	EXPECT_EQ(dmas, t_sim_stat(self->sim, IOASID_SIM_STAT_DMAS));
	EXPECT_EQ(faults, t_sim_stat(self->sim, IOASID_SIM_STAT_FAULTS));
	EXPECT_EQ(-1, t_differs(self->mem, LEN, 1));
	/* What is just not too much */
	EXPECT_RUN(OK, READ, .iova = AT, .length = 1, .buffer = IOASID_SIM_BUFFER_BYTES - 1);
	EXPECT_RUN(REFUSED, READ, .iova = ~0ULL, .length = 1);
}

/* As many copies of one that takes long: they will be there for a while */
static int begin_long(struct t_sim *sim, u32 nr, u32 first)
{
	struct ioasid_sim_command cmd = {
		.opcode = IOASID_SIM_OP_COPY, .iova = BIG_AT, .to = BIG_AT + BIG / 2, .length = BIG / 2,
	};
	u32 slots[IOASID_SIM_SLOTS], i;

	for (i = 0; i < nr; i++) {
		slots[i] = first + i;
		cmd.tag = slots[i];
		*t_sim_command(sim, slots[i]) = cmd;
	}
	return t_sim_ring(sim, slots, nr);
}

static bool all_ended(struct t_sim *sim, u32 nr, u32 first)
{
	u64 end = t_end_of_patience(5000);
	u32 i;

	for (i = first; i < first + nr; i++)
		while (!t_sim_ended(sim, i)) {
			if (t_now_ns() > end)
				return false;
			t_sleep_ms(1);
		}
	return true;
}

TEST_F(sim, doorbell)
{
	u32 slots[IOASID_SIM_SLOTS] = { 0, 1, 0 }, running, i;
	char *big = t_memory(T_ANON, BIG);

	MAP(BIG_AT, big, BIG, R | W);
	/* Twice the same, or one that is not there: then none begins */
	EXPECT_EQ(-EINVAL, t_sim_ring(self->sim, slots, 3));
	slots[2] = IOASID_SIM_SLOTS;
	EXPECT_EQ(-EINVAL, t_sim_ring(self->sim, slots, 3));
	slots[2] = ~0u;
	EXPECT_EQ(-EINVAL, t_sim_ring(self->sim, slots, 3));
	EXPECT_EQ(0, t_sim_completion(self->sim, 0)->state);
	ASSERT_EQ(0, begin_long(self->sim, 8, 0));
	/* The first one has begun at least, and nobody gets its slot */
	for (i = 0; i < 8; i++)
		slots[i] = 8 + i;
	slots[8] = 7;
	if (!t_sim_ended(self->sim, 7))
		EXPECT_EQ(-EBUSY, t_sim_ring(self->sim, slots, 9));
	EXPECT_EQ(0, t_sim_completion(self->sim, 8)->state);
	EXPECT_EQ(0, t_sim_register(self->sim, IOASID_SIM_REG_RUNNING, &running));
	EXPECT_GE(8, running);
	ASSERT_TRUE(all_ended(self->sim, 8, 0));
	EXPECT_EQ(0, t_sim_register(self->sim, IOASID_SIM_REG_RUNNING, &running));
	EXPECT_EQ(0, running);
	for (i = 0; i < 8; i++) {
		EXPECT_EQ((u32)IOASID_SIM_OK, t_sim_completion(self->sim, i)->status);
		EXPECT_EQ(i, t_sim_completion(self->sim, i)->tag);
	}
}

/* --- many at once, interrupts ------------------------------------------------------ */

TEST_F(sim, all_slots_at_once)
{
	struct ioasid_sim_completion *c;
	u32 slots[IOASID_SIM_SLOTS], i, round;
	u64 count = 0, now;

	MAP(AT, self->mem, LEN, R | W);
	for (round = 0; round < 4; round++) {
		memset(self->mem, 0, LEN);
		for (i = 0; i < IOASID_SIM_SLOTS; i++) {
			slots[i] = (i * 5 + round) % IOASID_SIM_SLOTS;
			*t_sim_command(self->sim, slots[i]) = (struct ioasid_sim_command) {
				.opcode = IOASID_SIM_OP_FILL, .iova = AT + slots[i] * 2048,
				.length = 2048, .value = slots[i] * 0x0101010101010101ULL,
				.tag = round << 16 | slots[i],
			};
		}
		ASSERT_EQ(0, t_sim_ring(self->sim, slots, IOASID_SIM_SLOTS));
		ASSERT_TRUE(all_ended(self->sim, IOASID_SIM_SLOTS, 0));
		for (i = 0; i < IOASID_SIM_SLOTS; i++) {
			c = t_sim_completion(self->sim, i);
			EXPECT_EQ((u32)IOASID_SIM_OK, c->status);
			EXPECT_EQ(round << 16 | i, c->tag);
			EXPECT_EQ(-1, t_not_byte(self->mem + i * 2048, 2048, i));
		}
	}
	/* One event for each; the last may come a moment later */
	while (count < 4 * IOASID_SIM_SLOTS) {
		ASSERT_TRUE(t_readable(self->sim->done, 5000))
			TH_LOG("after %llu", (unsigned long long)count);
		ASSERT_EQ(8, read(self->sim->done, &now, 8));
		count += now;
	}
	EXPECT_EQ(4 * IOASID_SIM_SLOTS, count);
}

static int set_irq(int device, u32 index, u32 flags, u32 count, const void *data, size_t len)
{
	char buf[sizeof(struct vfio_irq_set) + 8] = { 0 };
	struct vfio_irq_set *set = (struct vfio_irq_set *)buf;

	set->argsz = sizeof(*set) + len;
	set->flags = flags;
	set->index = index;
	set->count = count;
	memcpy(set->data, data, len);
	return t_ioctl(device, VFIO_DEVICE_SET_IRQS, set);
}

/* How often it was signalled since the last call; waits for the first time if @some */
static u64 events(int fd, bool some)
{
	u64 count = 0;

	if (t_readable(fd, some ? 5000 : 50) && read(fd, &count, 8) != 8)
		return ~0ULL;
	return count;
}

#define EXPECT_EVENT(fd)	EXPECT_EQ(1, events(fd, true))
#define EXPECT_NO_EVENT(fd)	EXPECT_EQ(0, events(fd, false))

TEST_F(sim, interrupts)
{
	const u32 trigger = VFIO_IRQ_SET_ACTION_TRIGGER, none = VFIO_IRQ_SET_DATA_NONE;
	int event = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK), fd = self->dev.vfio.device, off = -1, i;
	int junk = open("/dev/null", O_RDWR);
	unsigned char yes = 1, no = 0;

	for (i = 0; i < IOASID_SIM_NR_IRQS; i++) {
		ASSERT_EQ(0, set_irq(fd, i, trigger | VFIO_IRQ_SET_DATA_EVENTFD, 1, &event, 4));
		EXPECT_EQ(0, set_irq(fd, i, trigger | none, 1, NULL, 0));
		EXPECT_EVENT(event);
		EXPECT_EQ(0, set_irq(fd, i, trigger | VFIO_IRQ_SET_DATA_BOOL, 1, &yes, 1));
		EXPECT_EQ(0, set_irq(fd, i, trigger | VFIO_IRQ_SET_DATA_BOOL, 1, &no, 1));
		EXPECT_EVENT(event);
		/* Errors leave it as it is */
		EXPECT_EQ(-EBADF, set_irq(fd, i, trigger | VFIO_IRQ_SET_DATA_EVENTFD, 1,
					  &(int){ 12345 }, 4));
		EXPECT_EQ(-EINVAL, set_irq(fd, i, trigger | VFIO_IRQ_SET_DATA_EVENTFD, 1, &junk, 4));
		EXPECT_EQ(-EINVAL, set_irq(fd, i, trigger | VFIO_IRQ_SET_DATA_EVENTFD, 1, NULL, 0));
		EXPECT_EQ(-EINVAL, set_irq(fd, i, trigger | none, 2, NULL, 0));
		EXPECT_EQ(-EINVAL, set_irq(fd, i, VFIO_IRQ_SET_ACTION_MASK | none, 1, NULL, 0));
		EXPECT_EQ(0, set_irq(fd, i, trigger | none, 1, NULL, 0));
		EXPECT_EVENT(event);
		EXPECT_EQ(0, set_irq(fd, i, trigger | VFIO_IRQ_SET_DATA_EVENTFD, 1, &off, 4));
		EXPECT_EQ(0, set_irq(fd, i, trigger | none, 1, NULL, 0));
		EXPECT_NO_EVENT(event);
	}
	EXPECT_EQ(-EINVAL, set_irq(fd, i, trigger | none, 1, NULL, 0));
	ASSERT_EQ(0, set_irq(fd, 0, trigger | VFIO_IRQ_SET_DATA_EVENTFD, 1, &event, 4));
	EXPECT_RUN(OK, NOP);
	EXPECT_EVENT(event);
	EXPECT_EQ(0, set_irq(fd, 0, trigger | none, 0, NULL, 0));
	EXPECT_RUN(OK, NOP);
	EXPECT_NO_EVENT(event);
}

/* --- what is blocked --------------------------------------------------------------- */

TEST_F(sim, nothing_is_mapped)
{
	u64 faults = t_sim_stat(self->sim, IOASID_SIM_STAT_FAULTS);
	struct ioasid_sim_completion c;

	t_fill(t_sim_buffer(self->sim, 0), T_PAGE, 1);
	c = RUN(READ, .iova = AT + 123, .length = 1000);
	EXPECT_EQ((u32)IOASID_SIM_REFUSED, c.status);
	EXPECT_EQ(AT + 123, c.bad_iova);
	EXPECT_EQ(-1, t_differs(t_sim_buffer(self->sim, 0), T_PAGE, 1));
	EXPECT_RUN(REFUSED, WRITE, .iova = 0, .length = 1);
	EXPECT_RUN(REFUSED, FILL, .iova = AT, .length = 64);
	EXPECT_RUN(REFUSED, COPY, .iova = AT, .to = AT + T_PAGE, .length = 64);
	EXPECT_RUN(REFUSED, CRC32, .iova = 0xfee00000, .length = 64);
	EXPECT_RUN(REFUSED, ADD, .iova = AT, .length = 8);
	EXPECT_RUN(REFUSED, READ, .iova = 1ULL << 63, .length = 8);
	EXPECT_EQ(faults + 7, t_sim_stat(self->sim, IOASID_SIM_STAT_FAULTS));
	/* A PASID that nobody attached is not the device itself */
	MAP(AT, self->mem, LEN, R | W);
	EXPECT_RUN(OK, READ, .iova = AT, .length = 8);
	EXPECT_RUN(REFUSED, READ, .iova = AT, .length = 8, .pasid = 77, .flags = IOASID_SIM_CMD_PASID);
	EXPECT_RUN(OK, READ, .iova = AT, .length = 8);
}

/* A DMA that runs into the end of a mapping stops there, to the byte */
TEST_F(sim, half_mapped)
{
	struct ioasid_sim_completion c;

	MAP(AT + T_PAGE, self->mem, 2 * T_PAGE, R | W);
	t_fill(t_sim_buffer(self->sim, 0), 4 * T_PAGE, 1);
	c = RUN(WRITE, .iova = AT + 2 * T_PAGE + 100, .length = T_PAGE);
	EXPECT_EQ((u32)IOASID_SIM_REFUSED, c.status);
	EXPECT_EQ(AT + 3 * T_PAGE, c.bad_iova);
	EXPECT_EQ(-1, t_not_byte(self->mem, T_PAGE + 100, 0));
	EXPECT_EQ(0, memcmp(self->mem + T_PAGE + 100, t_sim_buffer(self->sim, 0), T_PAGE - 100));
	c = RUN(READ, .iova = AT + 100, .length = 2 * T_PAGE);
	EXPECT_EQ((u32)IOASID_SIM_REFUSED, c.status);
	EXPECT_EQ(AT + 100, c.bad_iova);
	c = RUN(CRC32, .iova = AT + T_PAGE, .length = 3 * T_PAGE);
	EXPECT_EQ(AT + 3 * T_PAGE, c.bad_iova);
	c = RUN(COPY, .iova = AT + T_PAGE, .to = AT + 2 * T_PAGE, .length = 2 * T_PAGE);
	EXPECT_EQ((u32)IOASID_SIM_REFUSED, c.status);
	EXPECT_EQ(AT + 3 * T_PAGE, c.bad_iova);
}

TEST_F(sim, read_only)
{
	MAP(AT, self->mem, 2 * T_PAGE, R);
	MAP(AT + 2 * T_PAGE, self->mem + 2 * T_PAGE, T_PAGE, R | W);
	t_fill(self->mem, 3 * T_PAGE, 1);
	EXPECT_RUN(OK, READ, .iova = AT, .length = 2 * T_PAGE);
	EXPECT_RUN(OK, CRC32, .iova = AT, .length = 2 * T_PAGE);
	EXPECT_RUN(REFUSED, WRITE, .iova = AT, .length = 1);
	EXPECT_RUN(REFUSED, FILL, .iova = AT + T_PAGE, .length = 1);
	EXPECT_RUN(REFUSED, ADD, .iova = AT + 8, .length = 8, .value = 1);
	EXPECT_RUN(REFUSED, COPY, .iova = AT + 2 * T_PAGE, .to = AT, .length = T_PAGE);
	EXPECT_EQ(-1, t_differs(self->mem, 3 * T_PAGE, 1));
	/* The other way round it may */
	EXPECT_RUN(OK, COPY, .iova = AT, .to = AT + 2 * T_PAGE, .length = T_PAGE);
	EXPECT_EQ(0, memcmp(self->mem, self->mem + 2 * T_PAGE, T_PAGE));
}

/* --- stale translations --------------------------------------------------------------- */

static void warm(struct t_sim *sim, u64 iova, u32 pages)
{
	run(sim, (struct ioasid_sim_command) {
		.opcode = IOASID_SIM_OP_CRC32, .iova = iova, .length = pages * T_PAGE });
}

/*
 * The IOMMU and the device cache translations: the second access needs no walk.
 * An unmap invalidates them in both, and no others.
 */
TEST_F(sim, caches_are_invalidated)
{
	u64 walks, hits, flushes;
	int i, round;

	for (round = 0; round < 3; round++) {
		MAP(AT, self->mem, 16 * T_PAGE, R | W);
		MAP(AT + 32 * T_PAGE, self->mem + 32 * T_PAGE, T_PAGE, R | W);
		warm(self->sim, AT, 16);
		warm(self->sim, AT + 32 * T_PAGE, 1);
		walks = t_sim_stat(self->sim, IOASID_SIM_STAT_WALKS);
		hits = t_sim_stat(self->sim, IOASID_SIM_STAT_ATS_HITS) +
		       t_sim_stat(self->sim, IOASID_SIM_STAT_IOTLB_HITS);
		warm(self->sim, AT, 16);
		EXPECT_EQ(walks, t_sim_stat(self->sim, IOASID_SIM_STAT_WALKS));
		EXPECT_LE(hits + 16, t_sim_stat(self->sim, IOASID_SIM_STAT_ATS_HITS) +
				     t_sim_stat(self->sim, IOASID_SIM_STAT_IOTLB_HITS));
		flushes = t_sim_stat(self->sim, IOASID_SIM_STAT_UNIT_FLUSHES);
		UNMAP(AT, 16 * T_PAGE);
		EXPECT_LT(flushes, t_sim_stat(self->sim, IOASID_SIM_STAT_UNIT_FLUSHES));
		t_fill(self->mem, 16 * T_PAGE, round);
		for (i = 0; i < 16; i++) {
			EXPECT_RUN(REFUSED, FILL, .iova = AT + i * T_PAGE, .length = 8);
			EXPECT_RUN(REFUSED, READ, .iova = AT + i * T_PAGE, .length = 8);
		}
		EXPECT_EQ(-1, t_differs(self->mem, 16 * T_PAGE, round));
		EXPECT_RUN(OK, FILL, .iova = AT + 32 * T_PAGE, .length = 8);
		UNMAP(AT + 32 * T_PAGE, T_PAGE);
	}
}

/* Other memory and other rights at the same place: the old ones are invalidated */
TEST_F(sim, caches_are_refilled)
{
	int i;

	for (i = 0; i < 8; i++) {
		char *page = self->mem + i % 3 * T_PAGE;

		MAP(AT, page, T_PAGE, i % 2 ? R : R | W);
		t_fill(page, T_PAGE, i);
		EXPECT_RUN(OK, READ, .iova = AT, .length = T_PAGE);
		EXPECT_EQ(-1, t_differs(t_sim_buffer(self->sim, 0), T_PAGE, i));
		EXPECT_EQ(i % 2 ? (u32)IOASID_SIM_REFUSED : (u32)IOASID_SIM_OK,
			  RUN(WRITE, .iova = AT, .length = T_PAGE).status);
		UNMAP(AT, T_PAGE);
		/* That it is not there must not be cached either */
		EXPECT_RUN(REFUSED, READ, .iova = AT, .length = 1);
	}
}

/* Unmapped in the midst of DMA that never ends: nothing arrives after it */
TEST_F(sim, unmap_under_load)
{
	char *big = t_memory(T_ANON, BIG);
	u32 round, i, refused = 0;

	/* More where we are too slow, and all of it has ended before the unmap */
	for (round = 0; round < 3 || (!refused && round < 100); round++) {
		MAP(BIG_AT, big, BIG, R | W);
		ASSERT_EQ(0, begin_long(self->sim, 32, 0));
		t_sleep_ms(5 - round % 6);
		UNMAP(BIG_AT, BIG);
		t_fill(big, BIG, round);
		ASSERT_TRUE(all_ended(self->sim, 32, 0));
		EXPECT_EQ(-1, t_differs(big, BIG, round));
		for (i = 0; i < 32; i++)
			refused += t_sim_completion(self->sim, i)->status == IOASID_SIM_REFUSED;
	}
	/* Otherwise it was no test */
	EXPECT_LT(0, refused);
}

/* --- reset ------------------------------------------------------------------------------- */

TEST_F(sim, reset)
{
	u32 running = 1;

	MAP(AT, self->mem, LEN, R | W);
	t_fill(self->mem, T_PAGE, 1);
	EXPECT_RUN(OK, READ, .iova = AT, .length = T_PAGE);
	ASSERT_EQ(0, t_vfio_reset(&self->dev.vfio));
	EXPECT_EQ(-1, t_not_byte(t_sim_buffer(self->sim, 0), IOASID_SIM_BUFFER_BYTES, 0));
	EXPECT_EQ(0, t_sim_register(self->sim, IOASID_SIM_REG_RUNNING, &running));
	EXPECT_EQ(0, running);
	/* The IOMMU's tables are no matter of the device */
	EXPECT_RUN(OK, READ, .iova = AT, .length = T_PAGE);
	EXPECT_EQ(-1, t_differs(t_sim_buffer(self->sim, 0), T_PAGE, 1));
}

/* What ended before a reset stays OK, and its data is gone: nobody may compare it */
TEST_F(sim, reset_after_end)
{
	struct ioasid_sim_command cmd = {
		.opcode = IOASID_SIM_OP_READ, .iova = AT, .length = T_PAGE, .tag = 77,
	};
	struct ioasid_sim_completion *c;
	u64 end = t_end_of_patience(10000);
	int slot, round;

	MAP(AT, self->mem, LEN, R | W);
	t_fill(self->mem, T_PAGE, 1);
	for (round = 0; round < 5; round++) {
		slot = t_sim_submit(self->sim, &cmd);
		ASSERT_LE(0, slot);
		while (!t_sim_ended(self->sim, slot) && t_now_ns() < end)
			t_sleep_ms(0);
		c = t_sim_completion(self->sim, slot);
		ASSERT_EQ((u32)IOASID_SIM_DONE, c->state);
		EXPECT_EQ(-1, t_differs(t_sim_buffer(self->sim, 0), T_PAGE, 1));
		ASSERT_EQ(0, t_vfio_reset(&self->dev.vfio));
		EXPECT_EQ((u32)IOASID_SIM_DONE, c->state);
		EXPECT_EQ((u32)IOASID_SIM_OK, c->status);
		EXPECT_EQ(cmd.tag, c->tag);
		EXPECT_EQ(-1, t_not_byte(t_sim_buffer(self->sim, 0), IOASID_SIM_BUFFER_BYTES, 0));
		EXPECT_EQ(0, t_sim_wait(self->sim, slot, NULL, 0));
	}
}

TEST_F(sim, reset_under_load)
{
	char *big = t_memory(T_ANON, BIG);
	u32 round, running, canceled = 0, i;
	u64 start;

	MAP(BIG_AT, big, BIG, R | W);
	/* More where we are too slow, and all of it has ended before the reset */
	for (round = 0; round < 5 || (!canceled && round < 100); round++) {
		ASSERT_EQ(0, begin_long(self->sim, IOASID_SIM_SLOTS, 0));
		t_sleep_ms(round % 5);
		start = t_now_ns();
		ASSERT_EQ(0, t_vfio_reset(&self->dev.vfio));
		/* It cuts them short: all of them would take much longer */
		EXPECT_WITHIN_MS(5000, start);
		t_fill(big, BIG, round);
		EXPECT_EQ(0, t_sim_register(self->sim, IOASID_SIM_REG_RUNNING, &running));
		EXPECT_EQ(0, running);
		t_sleep_ms(20);
		EXPECT_EQ(-1, t_differs(big, BIG, round));
		/* Nobody is left waiting for one that was cut short */
		for (i = 0; i < IOASID_SIM_SLOTS; i++) {
			EXPECT_TRUE(t_sim_ended(self->sim, i));
			EXPECT_EQ(i, t_sim_completion(self->sim, i)->tag);
			canceled += t_sim_completion(self->sim, i)->status == IOASID_SIM_CANCELED;
		}
		EXPECT_RUN(OK, CRC32, .iova = BIG_AT, .length = T_PAGE);
	}
	EXPECT_LT(0, canceled);
}

struct ringer {
	struct t_sim *sim;
	bool stop;
	long rounds;
	int ret;
};

static void *rings(void *arg)
{
	struct ringer *r = arg;

	while (!__atomic_load_n(&r->stop, __ATOMIC_RELAXED) && !r->ret) {
		r->ret = begin_long(r->sim, 4, 4 * (r->rounds % 32));
		if (r->ret == -EBUSY)
			r->ret = 0;
		__atomic_fetch_add(&r->rounds, 1, __ATOMIC_RELAXED);
	}
	return NULL;
}

/* Commands come while it is reset again and again: none is stuck */
TEST_F(sim, reset_against_doorbell)
{
	struct ringer r = { .sim = self->sim };
	char *big = t_memory(T_ANON, BIG);
	pthread_t thread;
	int i;

	MAP(BIG_AT, big, BIG, R | W);
	ASSERT_EQ(0, pthread_create(&thread, NULL, rings, &r));
	for (i = 0; i < 50 || __atomic_load_n(&r.rounds, __ATOMIC_RELAXED) < 10; i++)
		ASSERT_EQ(0, t_vfio_reset(&self->dev.vfio));
	__atomic_store_n(&r.stop, true, __ATOMIC_RELAXED);
	pthread_join(thread, NULL);
	EXPECT_EQ(0, r.ret);
	ASSERT_EQ(0, t_vfio_reset(&self->dev.vfio));
	EXPECT_RUN(OK, CRC32, .iova = BIG_AT, .length = T_PAGE);
}

/* --- processes -------------------------------------------------------------------------- */

/* Slots 64 to 127 are the child's, and there is one doorbell for both */
static int uses_other_slots(void *arg)
{
	struct t_sim *sim = arg;
	u32 i, slot, rounds = t_rounds(2000);

	for (i = 0; i < rounds; i++) {
		slot = 64 + i % 64;
		*t_sim_command(sim, slot) = (struct ioasid_sim_command) {
			.opcode = IOASID_SIM_OP_CRC32, .iova = AT, .length = 64, .tag = i };
		T_CHECK(!t_sim_ring(sim, &slot, 1));
		while (!t_sim_ended(sim, slot))
			t_sleep_ms(0);
		T_CHECK(t_sim_completion(sim, slot)->tag == i);
		T_CHECK(t_sim_completion(sim, slot)->status == IOASID_SIM_OK);
	}
	return 0;
}

TEST_F(sim, two_processes_one_device)
{
	struct ioasid_sim_completion *c;
	u32 i, slot, rounds = t_rounds(2000);
	pid_t pid;

	MAP(AT, self->mem, LEN, R | W);
	pid = t_fork(uses_other_slots, self->sim);
	for (i = 0; i < rounds; i++) {
		slot = i % 64;
		c = t_sim_completion(self->sim, slot);
		*t_sim_command(self->sim, slot) = (struct ioasid_sim_command) {
			.opcode = IOASID_SIM_OP_FILL, .iova = AT + T_PAGE, .length = 64, .tag = i };
		ASSERT_EQ(0, t_sim_ring(self->sim, &slot, 1));
		while (!t_sim_ended(self->sim, slot))
			t_sleep_ms(0);
		ASSERT_EQ(i, c->tag);
		ASSERT_EQ((u32)IOASID_SIM_OK, c->status);
	}
	EXPECT_EQ(0, t_wait(pid));
}

struct other {
	const FIXTURE_VARIANT(sim) *variant;
	char *mem;	/* shared */
	int ready;
	int nth;
	bool stays;
};

/* A process with an endpoint of its own: fills its memory at the same address */
static int uses_other_device(void *arg)
{
	struct other *o = arg;
	FIXTURE_DATA(sim) s = { 0 }, *self = &s;
	char byte = 0;

	T_CHECK(!t_dma_open(&self->dev, T_EDU, o->nth, o->variant->type1 ? VFIO_TYPE1v2_IOMMU :
			    VFIO_IOASID_IOMMU));
	self->sim = &self->dev.sim;
	self->fd = t_open();
	T_CHECK(self->fd >= 0 && !t_alloc(self->fd, &self->id));
	if (!o->variant->type1)
		T_CHECK(!t_vfio_attach(&self->dev.vfio, self->fd, self->id, 0));
	T_CHECK(!map(self, o->variant, BIG_AT, o->mem, BIG, R | W));
	T_CHECK(RUN(FILL, .iova = BIG_AT, .length = BIG / 2, .value = ~0ULL).status == IOASID_SIM_OK);
	if (o->stays)
		T_CHECK(!begin_long(self->sim, IOASID_SIM_SLOTS, 0));
	T_CHECK(write(o->ready, &byte, 1) == 1);
	if (o->stays)
		pause();
	return 0;
}

TEST_F(sim, two_processes_two_devices)
{
	struct other o = { .variant = variant, .nth = 1, .mem = t_memory(T_SHARED, BIG) };
	char *big = t_memory(T_ANON, BIG), byte;
	int ready[2], i;
	pid_t pid;

	NEED(t_device(T_EDU, 1), "needs two endpoints");
	ASSERT_EQ(0, pipe(ready));
	o.ready = ready[1];
	MAP(BIG_AT, big, BIG, R | W);
	pid = t_fork(uses_other_device, &o);
	for (i = 0; i < 5; i++)
		EXPECT_RUN(OK, FILL, .iova = BIG_AT + BIG / 2, .length = BIG / 2, .value = 0x77 * 0x0101010101010101ULL);
	ASSERT_EQ(1, read(ready[0], &byte, 1));
	EXPECT_EQ(0, t_wait(pid));
	EXPECT_EQ(-1, t_not_byte(o.mem, BIG / 2, 0xff));
	EXPECT_EQ(-1, t_not_byte(o.mem + BIG / 2, BIG / 2, 0));
	EXPECT_EQ(-1, t_not_byte(big, BIG / 2, 0));
	EXPECT_EQ(-1, t_not_byte(big + BIG / 2, BIG / 2, 0x77));
}

/* Killed with every slot at work: its pages are let go of, and nothing arrives any more */
TEST_F(sim, kill_under_load)
{
	struct other o = { .variant = variant, .stays = true, .mem = t_memory(T_SHARED, BIG) };
	long pins = self->pins;
	int ready[2], round;
	char byte;
	pid_t pid;

	t_dma_close(&self->dev);
	ASSERT_EQ(0, pipe(ready));
	o.ready = ready[1];
	for (round = 0; round < 3; round++) {
		pid = t_fork(uses_other_device, &o);
		ASSERT_EQ(1, read(ready[0], &byte, 1));
		t_sleep_ms(3 * round);
		ASSERT_EQ(0, kill(pid, SIGKILL));
		EXPECT_EQ(-SIGKILL, t_wait(pid));
		if (pins >= 0)
			EXPECT_EQ(pins, t_pinned_pages());
		t_fill(o.mem, BIG, round);
		t_sleep_ms(50);
		EXPECT_EQ(-1, t_differs(o.mem, BIG, round));
	}
}

/* --- siblings, requests ------------------------------------------------------------------ */

/* Each has a cache of its own: an unmap is for both */
TEST(siblings_are_invalidated)
{
	struct t_dma dev[2];
	char *mem = t_memory(T_ANON, LEN);
	int fd, i, round;
	u32 id;

	NEED(t_on_sim(), "needs ioasid_sim");
	NEED(t_device(T_SIBLING, 1), "needs two endpoints in one group");
	ASSERT_EQ(0, t_dma_open(&dev[0], T_SIBLING, 0, VFIO_IOASID_IOMMU));
	ASSERT_EQ(0, t_dma_open_in(&dev[1], T_SIBLING, 1, &dev[0].vfio));
	fd = t_open();
	ASSERT_FD(fd);
	ASSERT_OK(t_alloc(fd, &id));
	for (i = 0; i < 2; i++)
		ASSERT_OK(t_vfio_attach(&dev[i].vfio, fd, id, 0));
	for (round = 0; round < 3; round++) {
		ASSERT_OK(t_map_at(fd, id, mem, LEN, T_RW, AT));
		for (i = 0; i < 2; i++)
			warm(&dev[i].sim, AT, PAGES);
		ASSERT_EQ((long long)LEN, t_unmap(fd, id, AT, LEN));
		for (i = 0; i < 2; i++)
			EXPECT_EQ(-EFAULT, t_dma_pull(&dev[i], AT + (round + 1) * T_PAGE, T_PAGE));
	}
	for (i = 1; i >= 0; i--)
		t_dma_close(&dev[i]);
	close(fd);
}

/* Neither backend takes what could raise any interrupt, unless the owner of the machine says so */
TEST(unsafe_interrupts)
{
	static const unsigned long types[] = { VFIO_IOASID_IOMMU, VFIO_TYPE1v2_IOMMU };
	char path[32];
	int container, group;
	size_t i;

	NEED(t_on_sim(), "needs ioasid_sim");
	snprintf(path, sizeof(path), "/dev/vfio/%d", t_device_group(t_device(T_EDU, 0)));
	for (i = 0; i < 4; i++) {
		group = open(path, O_RDWR);
		container = open("/dev/vfio/vfio", O_RDWR);
		ASSERT_FD(group);
		ASSERT_FD(container);
		ASSERT_EQ(0, ioctl(group, VFIO_GROUP_SET_CONTAINER, &container));
		t_sim_allow(i / 2);
		EXPECT_EQ(i / 2 ? 0 : -EPERM,
			  t_ioctl(container, VFIO_SET_IOMMU, (void *)types[i % 2]));
		close(group);
		close(container);
	}
}

/* A group of page requests that nobody takes is answered all the same, with no */
TEST_F(sim, request_without_a_handler)
{
	struct ioasid_sim_page_request *page = t_sim_buffer(self->sim, 0);
	struct ioasid_sim_completion c;
	int i;

	for (i = 0; i < 3; i++)
		page[i] = (struct ioasid_sim_page_request) { .iova = AT + i * T_PAGE };
	c = RUN(REQUEST, .length = 3 * sizeof(*page));
	EXPECT_TRUE(c.status == IOASID_SIM_DENIED || c.status == IOASID_SIM_FAILED);
	EXPECT_NE(0, c.result);
	page[1].flags = 4;
	EXPECT_RUN(FAILED, REQUEST, .length = 3 * sizeof(*page));
	/* A command that may ask, and gets no page, fails */
	c = RUN(READ, .iova = AT, .length = 8, .flags = IOASID_SIM_CMD_REQUEST);
	EXPECT_TRUE(c.status == IOASID_SIM_DENIED || c.status == IOASID_SIM_REFUSED);
}

TEST_HARNESS_MAIN
