// SPDX-License-Identifier: GPL-2.0
/*
 * Contents and kinds of memory. See check.h.
 */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

#include "check.h"

#define HUGE_SIZE	(2UL << 20)

static uint32_t pattern(uint32_t seed, size_t word)
{
	uint32_t x = seed * 0x9e3779b1u + (uint32_t)word * 0x85ebca6bu + 0x27d4eb2fu;

	x ^= x >> 15;
	x *= 0x2c1b3c6du;
	return x ^ (x >> 13);
}

void t_fill(void *mem, size_t len, uint32_t seed)
{
	uint32_t *words = mem;
	size_t i;

	for (i = 0; i < len / 4; i++)
		words[i] = pattern(seed, i);
}

long t_differs(const void *mem, size_t len, uint32_t seed)
{
	const uint32_t *words = mem;
	size_t i;

	for (i = 0; i < len / 4; i++)
		if (words[i] != pattern(seed, i))
			return i * 4;
	return -1;
}

long t_not_byte(const void *mem, size_t len, unsigned char byte)
{
	const unsigned char *bytes = mem;
	size_t i;

	for (i = 0; i < len; i++)
		if (bytes[i] != byte)
			return i;
	return -1;
}

uint32_t t_crc32(const void *mem, size_t len)
{
	static uint32_t table[256];
	const unsigned char *bytes = mem;
	uint32_t crc = ~0u;
	size_t i;

	if (!table[1]) {
		uint32_t n, c;
		int bit;

		for (n = 0; n < 256; n++) {
			for (c = n, bit = 0; bit < 8; bit++)
				c = c & 1 ? 0xedb88320u ^ (c >> 1) : c >> 1;
			table[n] = c;
		}
	}
	for (i = 0; i < len; i++)
		crc = table[(crc ^ bytes[i]) & 0xff] ^ (crc >> 8);
	return ~crc;
}

uint64_t t_now_ns(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return ts.tv_sec * 1000000000ULL + ts.tv_nsec;
}

void t_sleep_ms(unsigned int ms)
{
	struct timespec ts = { .tv_sec = ms / 1000, .tv_nsec = ms % 1000 * 1000000L };

	nanosleep(&ts, NULL);
}

bool t_time_is_exact(void)
{
	return getenv("IOASID_ICOUNT");
}

uint64_t t_end_of_work(unsigned int ms)
{
	return t_now_ns() + t_rounds(ms) * (t_time_is_exact() ? 100000ULL : 1000000ULL);
}

void t_let_others_work(unsigned int ms)
{
	t_sleep_ms(t_time_is_exact() ? ms / 10 : ms);
}

uint64_t t_end_of_patience(unsigned int ms)
{
	/* A short wait is for what must not come */
	return t_now_ns() + (ms < 1000 ? ms : 12ULL * ms) * 1000000ULL;
}

bool t_readable(int fd, unsigned int ms)
{
	struct pollfd p = { .fd = fd, .events = POLLIN };

	return poll(&p, 1, (t_end_of_patience(ms) - t_now_ns()) / 1000000) == 1;
}

unsigned int t_rounds(unsigned int usual)
{
	const char *percent = getenv("IOASID_ROUNDS");

	return percent ? 1 + (uint64_t)usual * strtoul(percent, NULL, 0) / 100 : usual;
}

unsigned int t_mappings(unsigned int usual)
{
	const char *most = getenv("IOASID_MAPPINGS");

	return most && strtoul(most, NULL, 0) < usual ? strtoul(most, NULL, 0) : usual;
}

/* An address range that is aligned to a huge page and that nobody uses */
static void *aligned_hole(size_t len)
{
	char *mem = mmap(NULL, len + HUGE_SIZE, PROT_NONE,
			 MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	char *start;

	if (mem == MAP_FAILED)
		return NULL;
	start = (char *)(((uintptr_t)mem + HUGE_SIZE - 1) & ~(HUGE_SIZE - 1));
	if (start > mem)
		munmap(mem, start - mem);
	munmap(start + len, mem + HUGE_SIZE - start);
	return start;
}

static int file_of(enum t_memory kind, size_t len)
{
	static const char zero[4096];
	int fd;
	size_t done;

	if (kind == T_MEMFD) {
		fd = memfd_create("ioasid-test", MFD_CLOEXEC);
		if (fd >= 0 && ftruncate(fd, len))
			goto fail;
		return fd;
	}
	fd = open("/tmp", O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);
	for (done = 0; fd >= 0 && done < len; done += sizeof(zero))
		if (write(fd, zero, sizeof(zero)) != sizeof(zero))
			goto fail;
	return fd;
fail:
	close(fd);
	return -1;
}

void *t_memory(enum t_memory kind, size_t len)
{
	size_t room = (len + HUGE_SIZE - 1) & ~(HUGE_SIZE - 1);
	int flags = MAP_FIXED | (kind == T_SHARED || kind == T_MEMFD ? MAP_SHARED : MAP_PRIVATE);
	char *hole = aligned_hole(room);
	char *mem;
	int fd = -1;
	size_t i;

	if (!hole)
		return NULL;
	if (kind == T_MEMFD || kind == T_FILE) {
		fd = file_of(kind, len);
		if (fd < 0)
			return NULL;
	} else {
		flags |= MAP_ANONYMOUS;
	}
	if (kind == T_HUGETLB) {
		if (!t_hugetlb_room(room / HUGE_SIZE))
			return NULL;
		flags |= MAP_HUGETLB;
		len = room;
	}
	mem = mmap(hole, len, PROT_READ | PROT_WRITE, flags, fd, 0);
	if (fd >= 0)
		close(fd);
	if (mem == MAP_FAILED)
		return NULL;
	if (kind == T_THP && madvise(mem, len, MADV_HUGEPAGE))
		return NULL;
	if (kind == T_ANON)
		madvise(mem, len, MADV_NOHUGEPAGE);
	for (i = 0; i < len; i += 4096)
		mem[i] = 0;
	if (kind == T_THP && t_huge_bytes(mem) < (long)HUGE_SIZE) {
		munmap(mem, len);
		errno = ENOMEM;
		return NULL;
	}
	return mem;
}

long t_huge_bytes(const void *mem)
{
	unsigned long start, end;
	bool here = false;
	long kib = -1;
	char line[256];
	FILE *f = fopen("/proc/self/smaps", "r");

	if (!f)
		return -1;
	while (fgets(line, sizeof(line), f)) {
		if (sscanf(line, "%lx-%lx ", &start, &end) == 2 && strchr(line, '-') < line + 17)
			here = (uintptr_t)mem >= start && (uintptr_t)mem < end;
		else if (here && sscanf(line, "AnonHugePages: %ld kB", &kib) == 1)
			break;
	}
	fclose(f);
	return kib < 0 ? -1 : kib * 1024;
}

bool t_hugetlb_room(unsigned int pages)
{
	static const char pool[] = "/sys/kernel/mm/hugepages/hugepages-2048kB/";
	char path[128];
	unsigned long total = 0, free_pages = 0;
	FILE *f;

	snprintf(path, sizeof(path), "%snr_hugepages", pool);
	f = fopen(path, "r");
	if (!f)
		return false;
	if (fscanf(f, "%lu", &total) != 1)
		total = 0;
	fclose(f);
	snprintf(path, sizeof(path), "%sfree_hugepages", pool);
	f = fopen(path, "r");
	if (!f || fscanf(f, "%lu", &free_pages) != 1)
		free_pages = 0;
	if (f)
		fclose(f);
	if (free_pages >= pages)
		return true;
	snprintf(path, sizeof(path), "%snr_hugepages", pool);
	f = fopen(path, "w");
	if (!f)
		return false;
	fprintf(f, "%lu", total + pages - free_pages);
	fclose(f);
	snprintf(path, sizeof(path), "%sfree_hugepages", pool);
	f = fopen(path, "r");
	if (!f || fscanf(f, "%lu", &free_pages) != 1)
		free_pages = 0;
	if (f)
		fclose(f);
	return free_pages >= pages;
}

uint64_t t_phys(const void *mem)
{
	uint64_t entry = 0;
	int fd = open("/proc/self/pagemap", O_RDONLY | O_CLOEXEC);

	if (fd < 0)
		return 0;
	if (pread(fd, &entry, sizeof(entry), (uintptr_t)mem / 4096 * 8) != sizeof(entry) ||
	    !(entry >> 63))
		entry = 0;
	close(fd);
	entry &= (1ULL << 55) - 1;
	return entry ? entry * 4096 + (uintptr_t)mem % 4096 : 0;
}
