// SPDX-License-Identifier: GPL-2.0
/*
 * A small NVMe driver in user space. See nvme.h. Register and command numbers
 * are those of the NVMe base specification.
 */
#include <errno.h>
#include <sched.h>
#include <string.h>

#include "check.h"
#include "nvme.h"

#define NVME_CAP		0x00
#define NVME_CC			0x14
#define NVME_CSTS		0x1c
#define NVME_AQA		0x24
#define NVME_ASQ		0x28
#define NVME_ACQ		0x30
#define NVME_DOORBELLS		0x1000

#define NVME_CC_ENABLE		1u
#define NVME_CC_ENTRY_SIZES	((6u << 16) | (4u << 20))
#define NVME_CSTS_READY		1u
#define NVME_CSTS_FATAL		2u

#define NVME_ADMIN_CREATE_SQ	0x01
#define NVME_ADMIN_CREATE_CQ	0x05
#define NVME_ADMIN_IDENTIFY	0x06
#define NVME_IO_WRITE		0x01
#define NVME_IO_READ		0x02

#define NVME_IDENTIFY_NAMESPACE	0
#define NVME_IDENTIFY_CTRL	1

#define NVME_SQ_WORDS		16	/* 64 bytes */
#define NVME_CQ_WORDS		4	/* 16 bytes */
#define NVME_SPINS		(32 * 256)

/* Pages of the memory that the caller gave */
enum {
	PAGE_ADMIN_SQ,
	PAGE_ADMIN_CQ,
	PAGE_IO_SQ,
	PAGE_IO_CQ,
	PAGE_IDENTIFY,
	PAGE_PRP,	/* one for each command of the I/O queue */
};

static u32 read32(struct t_nvme *n, u32 reg)
{
	return *(volatile u32 *)(n->bar + reg);
}

static void write32(struct t_nvme *n, u32 reg, u32 value)
{
	*(volatile u32 *)(n->bar + reg) = value;
}

static void write64(struct t_nvme *n, u32 reg, u64 value)
{
	write32(n, reg, value);
	write32(n, reg + 4, value >> 32);
}

static u64 page_iova(struct t_nvme *n, u32 page)
{
	return n->iova + page * T_PAGE;
}

static void *page_mem(struct t_nvme *n, u32 page)
{
	return n->mem + page * T_PAGE;
}

static int wait_ready(struct t_nvme *n, u32 ready)
{
	u64 end = t_now_ns() + T_NVME_PATIENT_MS * 1000000ULL;
	u32 status;

	while (((status = read32(n, NVME_CSTS)) & NVME_CSTS_READY) != ready) {
		if (ready && (status & NVME_CSTS_FATAL))
			return -EIO;
		if (t_now_ns() > end)
			return -ETIMEDOUT;
		t_sleep_ms(1);
	}
	return 0;
}

static void queue_init(struct t_nvme *n, struct t_nvme_queue *q, u32 id, u32 sq_page)
{
	memset(q, 0, sizeof(*q));
	q->id = id;
	q->sq = page_mem(n, sq_page);
	q->cq = page_mem(n, sq_page + 1);
	q->phase = 1;
}

static void doorbell(struct t_nvme *n, u32 index, u32 value)
{
	__atomic_thread_fence(__ATOMIC_SEQ_CST);
	write32(n, NVME_DOORBELLS + index * n->stride, value);
}

/* A free command id with its entry cleared and begun, or -EAGAIN */
static int begin(struct t_nvme_queue *q, u32 opcode, u32 nsid, volatile u32 **entry)
{
	int id;

	for (id = 0; id < T_NVME_DEPTH - 1; id++)
		if (!(q->busy & (1ULL << id)))
			break;
	if (id == T_NVME_DEPTH - 1)
		return -EAGAIN;
	*entry = q->sq + q->tail * NVME_SQ_WORDS;
	memset((void *)*entry, 0, NVME_SQ_WORDS * 4);
	(*entry)[0] = opcode | (u32)id << 16;
	(*entry)[1] = nsid;
	q->busy |= 1ULL << id;
	q->failed &= ~(1ULL << id);
	return id;
}

static void set64(volatile u32 *entry, u32 word, u64 value)
{
	entry[word] = value;
	entry[word + 1] = value >> 32;
}

static void submit(struct t_nvme *n, struct t_nvme_queue *q)
{
	q->tail = (q->tail + 1) % T_NVME_DEPTH;
	doorbell(n, q->id * 2, q->tail);
}

static void reap(struct t_nvme *n, struct t_nvme_queue *q)
{
	bool moved = false;

	for (;;) {
		volatile u32 *entry = q->cq + q->head * NVME_CQ_WORDS;
		u32 last = entry[3];
		u64 bit = 1ULL << (last & 63);

		if (((last >> 16) & 1) != q->phase)
			break;
		__atomic_thread_fence(__ATOMIC_ACQUIRE);
		q->busy &= ~bit;
		if (last >> 17)
			q->failed |= bit;
		if (++q->head == T_NVME_DEPTH) {
			q->head = 0;
			q->phase ^= 1;
		}
		moved = true;
	}
	if (moved)
		doorbell(n, q->id * 2 + 1, q->head);
}

static int wait_done(struct t_nvme *n, struct t_nvme_queue *q, int id)
{
	u64 end = t_now_ns() + n->timeout_ms * 1000000ULL;
	u64 bit = 1ULL << id;
	u32 spins = 0;

	for (;;) {
		reap(n, q);
		if (!(q->busy & bit))
			return q->failed & bit ? -EIO : 0;
		if (++spins % 256)
			continue;
		if (read32(n, NVME_CSTS) & NVME_CSTS_FATAL)
			return -EIO;
		if (t_now_ns() > end)
			return -ETIMEDOUT;
		/* What has not come soon may never come: leave the processor to others */
		if (spins < NVME_SPINS)
			sched_yield();
		else
			t_sleep_ms(1);
	}
}

static int admin(struct t_nvme *n, u32 opcode, u32 nsid, u64 prp1, u32 cdw10, u32 cdw11)
{
	volatile u32 *entry;
	int id = begin(&n->admin, opcode, nsid, &entry);

	if (id < 0)
		return id;
	set64(entry, 6, prp1);
	entry[10] = cdw10;
	entry[11] = cdw11;
	submit(n, &n->admin);
	return wait_done(n, &n->admin, id);
}

static int enable(struct t_nvme *n)
{
	u64 cap;

	write32(n, NVME_CC, 0);
	if (wait_ready(n, 0))
		return -ETIMEDOUT;
	cap = read32(n, NVME_CAP) | (u64)read32(n, NVME_CAP + 4) << 32;
	n->stride = 4u << ((cap >> 32) & 15);
	memset(n->mem, 0, T_NVME_QUEUE_BYTES);
	queue_init(n, &n->admin, 0, PAGE_ADMIN_SQ);
	queue_init(n, &n->io, 1, PAGE_IO_SQ);
	write32(n, NVME_AQA, (T_NVME_DEPTH - 1) << 16 | (T_NVME_DEPTH - 1));
	write64(n, NVME_ASQ, page_iova(n, PAGE_ADMIN_SQ));
	write64(n, NVME_ACQ, page_iova(n, PAGE_ADMIN_CQ));
	write32(n, NVME_CC, NVME_CC_ENABLE | NVME_CC_ENTRY_SIZES);
	return wait_ready(n, NVME_CSTS_READY);
}

static int identify_all(struct t_nvme *n)
{
	unsigned char *data = page_mem(n, PAGE_IDENTIFY);
	u32 format;
	int ret;

	ret = t_nvme_identify(n, page_iova(n, PAGE_IDENTIFY));
	if (ret)
		return ret;
	memcpy(n->model, data + 24, 40);
	n->max_transfer = data[77] ? T_PAGE << (data[77] < 8 ? data[77] : 8) : T_PAGE << 8;
	ret = admin(n, NVME_ADMIN_IDENTIFY, 1, page_iova(n, PAGE_IDENTIFY),
		    NVME_IDENTIFY_NAMESPACE, 0);
	if (ret)
		return ret;
	memcpy(&n->nr_blocks, data, 8);
	memcpy(&format, data + 128 + (data[26] & 15) * 4, 4);
	n->block = 1u << ((format >> 16) & 255);
	return 0;
}

int t_nvme_start(struct t_nvme *n, void *bar, void *mem, u64 iova)
{
	int ret;

	n->bar = bar;
	n->mem = mem;
	n->iova = iova;
	n->block = 0;
	if (!n->timeout_ms)
		n->timeout_ms = T_NVME_PATIENT_MS;
	ret = enable(n);
	if (!ret)
		ret = identify_all(n);
	if (!ret)	/* physically contiguous; no interrupt */
		ret = admin(n, NVME_ADMIN_CREATE_CQ, 0, page_iova(n, PAGE_IO_CQ),
			    (T_NVME_DEPTH - 1) << 16 | 1, 1);
	if (!ret)	/* answers go to completion queue 1 */
		ret = admin(n, NVME_ADMIN_CREATE_SQ, 0, page_iova(n, PAGE_IO_SQ),
			    (T_NVME_DEPTH - 1) << 16 | 1, 1 << 16 | 1);
	return ret;
}

void t_nvme_stop(struct t_nvme *n)
{
	write32(n, NVME_CC, 0);
	wait_ready(n, 0);
}

int t_nvme_identify(struct t_nvme *n, u64 iova)
{
	return admin(n, NVME_ADMIN_IDENTIFY, 0, iova, NVME_IDENTIFY_CTRL, 0);
}

/* PRP entries: the first may start inside its page, the others are pages */
static void describe(struct t_nvme *n, volatile u32 *entry, int id, u64 iova, u32 length)
{
	u64 next = (iova & ~(T_PAGE - 1)) + T_PAGE;
	u64 end = iova + length;
	u64 *list = page_mem(n, PAGE_PRP + id);
	u32 i;

	set64(entry, 6, iova);
	if (end <= next)
		return;
	if (end <= next + T_PAGE) {
		set64(entry, 8, next);
		return;
	}
	for (i = 0; next < end; next += T_PAGE)
		list[i++] = next;
	set64(entry, 8, page_iova(n, PAGE_PRP + id));
}

int t_nvme_submit(struct t_nvme *n, bool write, u64 block, u64 iova, u32 length)
{
	volatile u32 *entry;
	int id;

	if (!n->block)
		return -ENODEV;		/* never started */
	if (!length || length % n->block || length > n->max_transfer)
		return -EINVAL;
	reap(n, &n->io);
	id = begin(&n->io, write ? NVME_IO_WRITE : NVME_IO_READ, 1, &entry);
	if (id < 0)
		return id;
	describe(n, entry, id, iova, length);
	set64(entry, 10, block);
	entry[12] = length / n->block - 1;
	submit(n, &n->io);
	return id;
}

int t_nvme_wait(struct t_nvme *n, int id)
{
	return wait_done(n, &n->io, id);
}

int t_nvme_read(struct t_nvme *n, u64 block, u64 iova, u32 length)
{
	int id = t_nvme_submit(n, false, block, iova, length);

	return id < 0 ? id : t_nvme_wait(n, id);
}

int t_nvme_write(struct t_nvme *n, u64 block, u64 iova, u32 length)
{
	int id = t_nvme_submit(n, true, block, iova, length);

	return id < 0 ? id : t_nvme_wait(n, id);
}
