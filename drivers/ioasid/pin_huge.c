// SPDX-License-Identifier: GPL-2.0
/*
 * Huge pages of a file on hugetlbfs are made before they are pinned. What
 * memfd_pin_folios() makes by itself is never charged to a cgroup, is not to be
 * had with ZONE_MOVABLE, and is miscounted: Linux 6.12 takes pages that others
 * have reserved, and 7.3 loses a reservation when two of them meet. So it must
 * never see a hole.
 */
#include <linux/fs.h>
#include <linux/falloc.h>
#include <linux/hugetlb.h>
#include <linux/memfd.h>
#include <linux/mm.h>
#include <linux/rwsem.h>
#include <linux/sched/signal.h>
#include <linux/xarray.h>
#include "ioasid_private.h"

/* How often others may cut the file again before it is pinned */
#define IOASID_HUGE_TRIES	16

/* Offset of the first hole in [start, end], or a larger one without a hole */
static u64 ioasid_file_hole(struct file *file, u64 start, u64 end)
{
	u64 mask = huge_page_size(hstate_file(file)) - 1;
	u64 at = start;

	/* While it is held nobody can cut the file or punch holes */
	lockdep_assert_held(&file_inode(file)->i_rwsem);
	while (at <= end && xa_load(&file->f_mapping->i_pages, at >> PAGE_SHIFT))
		at = (at | mask) + 1;
	return at;
}

/*
 * Fills the holes in [start, end] as fallocate() does: that counts and charges
 * as a page fault would. Not by vfs_fallocate(), which takes a file that is
 * open for writing; a page fault makes pages for a reader, too, and does not
 * ask for seals.
 */
static int ioasid_file_fill(struct file *file, u64 start, u64 end,
			    struct ioasid_extack *extack)
{
	int rc = file->f_op->fallocate(file, FALLOC_FL_KEEP_SIZE, start,
				       end - start + 1);

	switch (rc) {
	case -EINTR:
		if (!fatal_signal_pending(current))
			return -ERESTARTNOINTR;
		return ioasid_fail(extack, rc, IOASID_REASON_KILLED,
				   "killed while pinning");
	case -ENOMEM:
	case -ENOSPC:
		extack->value = start;
		return ioasid_fail(extack, -ENOMEM, IOASID_REASON_NO_MEMORY,
				   "no huge page for the file at %#llx: all are used or reserved, or it is a limit of a cgroup or of the mount",
				   start);
	case -EEXIST: /* somebody else made it */
	case -EPERM: /* sealed against growing, and cut meanwhile */
		return 0;
	}
	return rc;
}

/* Returns 0 if nothing is pinned, because of a hole at *@hole */
static long ioasid_pin_unless_hole(struct file *file, u64 start, u64 end,
				   struct folio **folio, u32 max,
				   pgoff_t *offset, u64 *hole,
				   struct ioasid_extack *extack)
{
	struct inode *inode = file_inode(file);
	long rc = 0;

	if (down_read_killable(&inode->i_rwsem))
		return ioasid_fail(extack, -EINTR, IOASID_REASON_KILLED,
				   "killed while pinning");
	if (end >= i_size_read(inode)) {
		extack->value = i_size_read(inode);
		rc = ioasid_fail(extack, -EINVAL, IOASID_REASON_VALUE,
				 "the file ends before %#llx", end + 1);
	} else {
		*hole = ioasid_file_hole(file, start, end);
		if (*hole > end)
			rc = memfd_pin_folios(file, start, end, folio, max,
					      offset);
	}
	up_read(&inode->i_rwsem);
	return rc;
}

/**
 * ioasid_pin_huge_folios() - pin huge pages of a file, and make those not there
 * @file: a file on hugetlbfs
 * @start: first offset in bytes
 * @end: last offset
 * @folio: out: the folios, with one pin each
 * @max: room in @folio
 * @offset: out: offset of @start in the first folio, in bytes
 * @extack: the reason if it fails, unless memfd_pin_folios() has failed
 *
 * Context: a user process; can sleep. Takes the inode's lock.
 *
 * Return: number of folios pinned, -ENOMEM without free huge pages, -EBUSY if
 * others cut the file too often, -EINVAL if it is too short, -EINTR if killed,
 * -ERESTARTNOINTR on another signal, or the error of memfd_pin_folios().
 */
long ioasid_pin_huge_folios(struct file *file, u64 start, u64 end,
			    struct folio **folio, u32 max, pgoff_t *offset,
			    struct ioasid_extack *extack)
{
	u64 size = huge_page_size(hstate_file(file)), hole;
	u32 try;
	long rc;

	end = min(end, (start & ~(size - 1)) + max * size - 1);
	for (try = 0; try < IOASID_HUGE_TRIES; try++) {
		rc = ioasid_pin_unless_hole(file, start, end, folio, max,
					    offset, &hole, extack);
		if (rc)
			return rc;
		rc = ioasid_file_fill(file, hole, end, extack);
		if (rc)
			return rc;
	}
	extack->value = start;
	return ioasid_fail(extack, -EBUSY, IOASID_REASON_RACE,
			   "others are cutting the file at %#llx: try again",
			   start);
}
