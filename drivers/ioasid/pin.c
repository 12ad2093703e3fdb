// SPDX-License-Identifier: GPL-2.0
/*
 * Pins again where the kernel's functions have given up although the memory is
 * there. Nothing here may wait for a lock that another process can hold for as
 * long as it likes.
 */
#include <linux/gfp.h>
#include <linux/hugetlb.h>
#include <linux/memfd.h>
#include <linux/mm.h>
#include <linux/random.h>
#include <linux/sched/signal.h>
#include <linux/xarray.h>
#include "ioasid_private.h"

/* The first ones follow at once, the others after 1 to 2^n jiffies */
#define IOASID_PIN_TRIES	10
#define IOASID_PIN_AT_ONCE	2

/*
 * Whether it may succeed when tried again. -ENOMEM is also how the kernel
 * reports that it could not move memory, for whatever reason.
 */
static bool ioasid_pin_is_passing(long rc)
{
	return rc == -ENOMEM || rc == -EAGAIN || rc == -EBUSY;
}

/**
 * ioasid_pin_wait() - wait before memory is pinned again
 * @try: how often it has failed before
 * @order: order of the free memory that it takes to move a page of it
 * @at: address of the memory, or offset in the file, for the reason
 * @extack: the reason if it fails
 *
 * Memory in ZONE_MOVABLE or in CMA is moved out of there before it is pinned
 * for long. That fails while somebody else holds a page of it, such as another
 * pin that is about to move it, too. The times are random, so that of many who
 * disturb each other one is soon alone. Taking turns by a lock would let the
 * others wait for a process that can make pinning take as long as it likes, by
 * userfaultfd or FUSE.
 *
 * Context: a user process; can sleep.
 *
 * Return: 0 to try again, -EBUSY if it has failed too often, -ENOMEM if there
 * is no memory to move it to, -EINTR if killed.
 */
int ioasid_pin_wait(u32 try, unsigned int order, u64 at,
		    struct ioasid_extack *extack)
{
	struct page *page;

	if (try >= IOASID_PIN_TRIES) {
		extack->value = at;
		return ioasid_fail(extack, -EBUSY, IOASID_REASON_RACE,
				   "cannot move the memory at %#llx to where it can stay, because others are using it: try again",
				   at);
	}
	if (try >= IOASID_PIN_AT_ONCE) {
		page = alloc_pages(GFP_USER | __GFP_NOWARN, order);
		if (!page)
			return ioasid_fail(extack, -ENOMEM,
					   IOASID_REASON_NO_MEMORY,
					   "no memory to move the memory at %#llx to, where it can stay",
					   at);
		__free_pages(page, order);
		try -= IOASID_PIN_AT_ONCE;
		schedule_timeout_killable(1 + get_random_u32_below(1 << try));
	}
	if (fatal_signal_pending(current))
		return ioasid_fail(extack, -EINTR, IOASID_REASON_KILLED,
				   "killed while pinning");
	cond_resched();
	return 0;
}

/* Whether the page at @addr can be used, although it cannot be pinned */
static bool ioasid_user_is_there(u64 addr, unsigned int gup,
				 unsigned int *order)
{
	struct folio *folio;
	struct page *page;

	if (get_user_pages_fast(addr, 1, gup & FOLL_WRITE, &page) != 1)
		return false;
	folio = page_folio(page);
	/* Others are split if there is no huge page to move them to */
	*order = folio_test_hugetlb(folio) ? folio_order(folio) : 0;
	folio_put(folio);
	return true;
}

/**
 * ioasid_pin_user_again() - pin memory of the current process, after a failure
 * @rc: what pin_user_pages_fast() has returned
 * @addr: user address
 * @nr: number of pages
 * @gup: FOLL_LONGTERM, and FOLL_WRITE for writing
 * @page: out: the pages
 * @extack: the reason of -EBUSY and of -EINTR, and of -ENOMEM if it is about
 *	memory to move to
 *
 * Context: a user process; can sleep. Takes mmap_lock.
 *
 * Return: number of pages pinned, which can be less than @nr, -EBUSY if others
 * keep the memory from being moved, -EINTR if killed, or the error of
 * pin_user_pages_fast().
 */
int ioasid_pin_user_again(int rc, u64 addr, u32 nr, unsigned int gup,
			  struct page **page, struct ioasid_extack *extack)
{
	unsigned int order;
	u32 try = 0;
	int wait;

	while (ioasid_pin_is_passing(rc) &&
	       ioasid_user_is_there(addr, gup, &order)) {
		wait = ioasid_pin_wait(try++, order, addr, extack);
		if (wait)
			return wait;
		/* Less can be moved sooner, and fewer others use it */
		nr = max(nr / 8, 1U);
		rc = pin_user_pages_fast(addr, nr, gup, page);
	}
	return rc;
}

static bool ioasid_file_is_there(struct file *file, u64 start)
{
	void *entry = xa_load(&file->f_mapping->i_pages, start >> PAGE_SHIFT);

	return entry && !xa_is_value(entry);
}

static unsigned int ioasid_file_order(struct file *file)
{
	return is_file_hugepages(file) ? huge_page_order(hstate_file(file)) : 0;
}

/**
 * ioasid_pin_file_folios() - pin memory of a file
 * @file: a file on tmpfs or hugetlbfs, or a memfd
 * @start: first offset in bytes
 * @end: last offset
 * @folio: out: the folios, with one pin each
 * @max: room in @folio
 * @offset: out: offset of @start in the first folio, in bytes
 * @extack: the reason of -EBUSY, and of -ENOMEM if it is about memory to move
 *	to or huge pages
 *
 * Pages that the file has not yet are made, and stay in it even on failure.
 *
 * Context: a user process; can sleep. Takes the inode's lock on hugetlbfs.
 *
 * Return: number of folios pinned, -EBUSY if others keep the memory from being
 * moved or cut the file, -EINVAL if the file is too short, -EINTR if killed,
 * -ERESTARTNOINTR on another signal, or the error of memfd_pin_folios().
 */
long ioasid_pin_file_folios(struct file *file, u64 start, u64 end,
			    struct folio **folio, u32 max, pgoff_t *offset,
			    struct ioasid_extack *extack)
{
	u32 try = 0;
	long rc;

	for (;;) {
		if (is_file_hugepages(file))
			rc = ioasid_pin_huge_folios(file, start, end, folio,
						    max, offset, extack);
		else
			rc = memfd_pin_folios(file, start, end, folio, max,
					      offset);
		if (likely(!ioasid_pin_is_passing(rc)) || extack->code ||
		    !ioasid_file_is_there(file, start))
			return rc;
		rc = ioasid_pin_wait(try++, ioasid_file_order(file), start,
				     extack);
		if (rc)
			return rc;
		max = max(max / 8, 1U);
	}
}
