/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Contents of memory: patterns that differ for every seed and offset (so that
 * a page in the wrong place is noticed, not only a page of garbage), checksums,
 * and the kinds of memory that a program may want a device to reach.
 */
#ifndef T_CHECK_H
#define T_CHECK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

void t_fill(void *mem, size_t len, uint32_t seed);
/* Offset of the first byte that t_fill() would not have written, or -1 */
long t_differs(const void *mem, size_t len, uint32_t seed);
/* Offset of the first byte that is not @byte, or -1 */
long t_not_byte(const void *mem, size_t len, unsigned char byte);
uint32_t t_crc32(const void *mem, size_t len);

uint64_t t_now_ns(void);
void t_sleep_ms(unsigned int ms);

/*
 * Does time count instructions (lab/vm --icount)? Only there may a test judge how
 * long something took: elsewhere a busy host makes anything late.
 */
bool t_time_is_exact(void);
/*
 * The time, so many ms from now, for what others do meanwhile. Where it counts
 * instructions a tenth is as much work, for an emulator executes about 100 a us.
 */
uint64_t t_end_of_work(unsigned int ms);
void t_let_others_work(unsigned int ms);
/*
 * When to give up what must come. A host may be busy, so that it is 12 times as many
 * ms from now; less than 1000 ms are for what must not come, and are taken as they are.
 */
uint64_t t_end_of_patience(unsigned int ms);
/* Is there something to read from @fd until t_end_of_patience(@ms)? */
bool t_readable(int fd, unsigned int ms);

/*
 * How often, and with how many mappings, to do something that shows the same when it
 * is done less: @usual, of which IOASID_ROUNDS is the percentage that is done, and
 * IOASID_MAPPINGS the most that there are. For machines where each one takes long.
 * t_end_of_work() is less by the same percentage.
 */
unsigned int t_rounds(unsigned int usual);
unsigned int t_mappings(unsigned int usual);

/* What mmap() flags and advice make a test's memory */
enum t_memory {
	T_ANON,		/* private anonymous, small pages */
	T_SHARED,	/* shared anonymous */
	T_THP,		/* private anonymous, transparent huge pages */
	T_HUGETLB,	/* private, from the hugetlb pool */
	T_MEMFD,	/* shared mapping of a memfd */
	T_FILE,		/* private mapping of a file */
};

/*
 * Memory of that kind, aligned to 2 MiB, touched; NULL with errno if this
 * kernel or machine has none.
 */
void *t_memory(enum t_memory kind, size_t len);
/* Bytes of [mem, mem + len) that huge pages back, by /proc/self/smaps */
long t_huge_bytes(const void *mem);
/* Make sure that the hugetlb pool has that many free pages */
bool t_hugetlb_room(unsigned int pages);

/* Physical address behind @mem by /proc/self/pagemap, 0 if not to be had */
uint64_t t_phys(const void *mem);

#endif /* T_CHECK_H */
