// SPDX-License-Identifier: GPL-2.0
/*
 * What runs in a guest that is measured. It says "ready" on its serial port when the
 * firmware is done, and halts. With the command line "iommu" it does for its device,
 * which is 00:02.0, what Linux does for each DMA mapping behind VT-d with
 * intel_iommu=on and iommu.strict=1, if the IOMMU is in caching mode: it writes one
 * entry of a page table, and has the page invalidated before it goes on, both when
 * it maps and when it unmaps. It must never do anything that Linux would not.
 */
#include "guest.h"

typedef unsigned char u8;
typedef unsigned int u32;
typedef unsigned long long u64;

#define PORT		0x3f8
#define PORT_STATUS	(PORT + 5)
#define HAS_INPUT	1
#define CAN_SEND	0x20

#define DEVFN		(2 << 3)
#define DOMAIN		1
#define IOVA		0x40000000U	/* 1 GiB: the second entry of the top table */
#define MEMORY		0x4000000U
#define PAGE		4096
#define NR_PAGES	4096		/* that are mapped in turn */
#define WARM		64

#define VTD		0xfed90000U
#define GCMD		0x18
#define GSTS		0x1c
#define RTADDR		0x20
#define IQT		0x88
#define IQA		0x90
#define ROOT_SET	(1U << 30)
#define QUEUE_ON	(1U << 26)
#define TRANSLATE	(1U << 31)

/* Descriptors of the invalidation queue */
#define CONTEXT_ALL	(1 | 1 << 4)
#define IOTLB_ALL	(2 | 1 << 4)
#define IOTLB_PAGE	(2 | 3 << 4 | DOMAIN << 16)
#define WAIT		(5 | 1 << 5)
#define NR_QUEUE	256

struct entry {
	u64 lo, hi;
};

#define TABLE __attribute__((aligned(PAGE)))
static TABLE struct entry root[256], context[256];
static TABLE struct entry queue[NR_QUEUE];
static TABLE u64 top[512], middle[512], leaf[NR_PAGES];
static volatile u32 status;
static u32 tail, waits;

static u8 inb(int port)
{
	u8 value;

	asm volatile("inb %w1, %b0" : "=a"(value) : "Nd"(port));
	return value;
}

static void outb(u8 value, int port)
{
	asm volatile("outb %b0, %w1" : : "a"(value), "Nd"(port));
}

static void say(const char *text)
{
	while (*text) {
		while (!(inb(PORT_STATUS) & CAN_SEND))
			;
		outb(*text++, PORT);
	}
}

static void wait_for_word(void)
{
	while (!(inb(PORT_STATUS) & HAS_INPUT))
		;
	inb(PORT);
}

static void set(u32 reg, u32 value)
{
	*(volatile u32 *)(VTD + reg) = value;
}

static void set_address(u32 reg, const void *address)
{
	set(reg, (u32)address);
	set(reg + 4, 0);
}

static void command(u32 bits, u32 done)
{
	set(GCMD, bits);
	while (!(*(volatile u32 *)(VTD + GSTS) & done))
		;
}

static void push(u64 lo, u64 hi)
{
	queue[tail].lo = lo;
	queue[tail].hi = hi;
	tail = (tail + 1) % NR_QUEUE;
}

/* Has it done, and waits until it has been */
static void invalidate(u64 what, u64 address)
{
	push(what, address);
	push(WAIT | (u64)++waits << 32, (u32)&status);
	asm volatile("" : : : "memory");
	set(IQT, tail * sizeof(struct entry));
	while (status != waits)
		asm volatile("pause");
}

static void start_iommu(void)
{
	u32 i;

	for (i = 0; i < NR_PAGES / 512; i++)
		middle[i] = (u32)&leaf[i * 512] | 3;
	top[1] = (u32)middle | 3;
	context[DEVFN].lo = (u32)top | 1;
	/* Three levels */
	context[DEVFN].hi = 1 | DOMAIN << 8;
	root[0].lo = (u32)context | 1;
	set_address(RTADDR, root);
	command(ROOT_SET, ROOT_SET);
	set_address(IQA, queue);
	set(IQT, 0);
	command(QUEUE_ON, QUEUE_ON);
	invalidate(CONTEXT_ALL, 0);
	invalidate(IOTLB_ALL, 0);
	command(QUEUE_ON | TRANSLATE, TRANSLATE);
}

static void map_and_unmap(u32 nr)
{
	static u32 page;
	u32 i;

	for (i = 0; i < nr; i++, page = (page + 1) % NR_PAGES) {
		leaf[page] = (MEMORY + page * PAGE) | 3;
		invalidate(IOTLB_PAGE, IOVA + page * PAGE);
		leaf[page] = 0;
		invalidate(IOTLB_PAGE, IOVA + page * PAGE);
	}
}

void guest(const char *line)
{
	say("ready\n");
	if (line[0] != 'i')
		return;
	start_iommu();
	map_and_unmap(WARM);
	say("go\n");
	wait_for_word();
	map_and_unmap(NR_PAIRS);
	say("done\n");
}
