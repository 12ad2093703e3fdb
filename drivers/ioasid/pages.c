// SPDX-License-Identifier: GPL-2.0
/*
 * Pinned memory: pages are pinned in batches, kept as runs of contiguous
 * frames, and mapped, unmapped and unpinned from the runs. Pages must be
 * charged before they are pinned, and must never be unpinned before they are
 * unmapped and flushed.
 */
#include <linux/file.h>
#include <linux/hugetlb.h>
#include <linux/iommu.h>
#include <linux/mm.h>
#include <linux/pagemap.h>
#include <linux/scatterlist.h>
#include <linux/sched/signal.h>
#include <linux/sizes.h>
#include <linux/slab.h>
#include "compat/folio_batch.h"
#include "compat/map.h"
#include "compat/memfd.h"
#include "ioasid_private.h"

/* A mapping of up to this many pages or runs only needs arrays on the stack */
#define IOASID_FEW	16
/*
 * Areas of the same pages; far below where a refcount_t saturates, since then
 * the pages would never be unpinned
 */
#define IOASID_MAX_USERS	(1U << 28)
/* Pages pinned at once, and runs mapped at once, of a larger mapping */
#define IOASID_BATCH	2048
/*
 * Maps, unmaps and flushes never cross a boundary of this alignment in one
 * step; see ioasid_flush_apart().
 */
#define IOASID_BLOCK	SZ_1G

/* Runs rely on contiguous frames having contiguous struct pages */
#if !defined(CONFIG_SPARSEMEM_VMEMMAP) && !defined(CONFIG_FLATMEM)
#error "ioasid needs a kernel with CONFIG_SPARSEMEM_VMEMMAP or CONFIG_FLATMEM"
#endif

static struct kmem_cache *ioasid_pages_cache;
/* Of its own, since kmalloc() would round it up to 96 bytes */
static struct kmem_cache *ioasid_copied_cache;

/**
 * struct ioasid_runs - array of runs that grows while pages are pinned
 * @run: the runs; @few at first
 * @nr: number of runs
 * @max: room in @run
 * @few: avoids an allocation for small mappings
 */
struct ioasid_runs {
	struct ioasid_run *run;
	u32 nr;
	u32 max;
	struct ioasid_run few[IOASID_FEW];
};

/**
 * ioasid_pages_setup() - create the caches of pages and areas
 *
 * Context: can sleep.
 *
 * Return: 0 or -ENOMEM.
 */
int ioasid_pages_setup(void)
{
	ioasid_pages_cache = KMEM_CACHE(ioasid_pages, SLAB_ACCOUNT);
	ioasid_copied_cache = KMEM_CACHE(ioasid_copied_area, SLAB_ACCOUNT);
	if (ioasid_pages_cache && ioasid_copied_cache)
		return 0;
	ioasid_pages_teardown();
	return -ENOMEM;
}

/**
 * ioasid_pages_teardown() - undo ioasid_pages_setup()
 *
 * Context: can sleep; nothing is pinned any more.
 */
void ioasid_pages_teardown(void)
{
	kmem_cache_destroy(ioasid_copied_cache);
	kmem_cache_destroy(ioasid_pages_cache);
}

/**
 * ioasid_pages_alloc() - allocate a struct ioasid_pages with its first area
 *
 * Context: can sleep.
 *
 * Return: the pages, with one user and a PENDING area for the caller to fill
 * in, or NULL without memory.
 */
struct ioasid_pages *ioasid_pages_alloc(void)
{
	struct ioasid_pages *pages;

	pages = kmem_cache_alloc(ioasid_pages_cache, GFP_KERNEL_ACCOUNT);
	if (!pages)
		return NULL;
	refcount_set(&pages->users, 1);
	pages->nr_runs = 0;
	pages->payer = NULL;
	pages->area.state = IOASID_AREA_PENDING;
	pages->area.type = IOASID_AREA_EMBEDDED;
	pages->area.merged = false;
	return pages;
}

/* Returns the runs; an only run is all of the pages, and put into @one */
static const struct ioasid_run *
ioasid_pages_runs(const struct ioasid_pages *pages, struct ioasid_run *one)
{
	if (pages->nr_runs != 1)
		return pages->runs;
	one->pfn = pages->pfn;
	one->first = 0;
	one->nr = pages->area.nr;
	return one;
}

static bool ioasid_pages_writable(const struct ioasid_pages *pages)
{
	return pages->area.prot & IOASID_MAP_WRITE;
}

static int ioasid_runs_grow(struct ioasid_runs *runs, u32 pages_left)
{
	/* At most one run for each page still to be added */
	u64 want = min_t(u64, (u64)runs->max * 4, (u64)runs->nr + pages_left);
	struct ioasid_run *bigger;

	bigger = kvmalloc_array(want, sizeof(*bigger),
				GFP_KERNEL_ACCOUNT | __GFP_NOWARN);
	if (!bigger)
		return -ENOMEM;
	memcpy(bigger, runs->run, runs->nr * sizeof(*bigger));
	if (runs->run != runs->few)
		kvfree(runs->run);
	runs->run = bigger;
	runs->max = want;
	return 0;
}

static void ioasid_runs_free(struct ioasid_runs *runs)
{
	if (runs->run != runs->few)
		kvfree(runs->run);
}

/* Adds @nr frames to the last run or to a new one; -ENOMEM adds none */
static int ioasid_runs_add(struct ioasid_runs *runs, unsigned long pfn,
			   u32 first, u32 nr, u32 pages_left)
{
	struct ioasid_run *last = &runs->run[runs->nr];

	if (runs->nr && last[-1].pfn + last[-1].nr == pfn) {
		last[-1].nr += nr;
		return 0;
	}
	if (runs->nr == runs->max) {
		if (ioasid_runs_grow(runs, pages_left))
			return -ENOMEM;
		last = &runs->run[runs->nr];
	}
	last->pfn = pfn;
	last->first = first;
	last->nr = nr;
	runs->nr++;
	return 0;
}

/* Compares four pages at a time, since a huge page has hundreds */
static u32 ioasid_contiguous(struct page **page, u32 nr)
{
	struct page *first = page[0];
	u32 n = 1;

	while (n + 4 <= nr && page[n] == first + n &&
	       page[n + 1] == first + n + 1 && page[n + 2] == first + n + 2 &&
	       page[n + 3] == first + n + 3)
		n += 4;
	while (n < nr && page[n] == first + n)
		n++;
	return n;
}

/* Adds @nr pages, the first with index @first; returns how many were added */
static u32 ioasid_runs_add_pages(struct ioasid_runs *runs, struct page **page,
				 u32 nr, u32 first, u32 left)
{
	u32 i, n;

	for (i = 0; i < nr; i += n) {
		n = ioasid_contiguous(page + i, nr - i);
		if (ioasid_runs_add(runs, page_to_pfn(page[i]), first + i, n,
				    left - i))
			return i;
	}
	return nr;
}

static void ioasid_mark_dirty(struct folio *folio)
{
	if (folio_test_dirty(folio))
		return;
	folio_lock(folio);
	folio_mark_dirty(folio);
	folio_unlock(folio);
}

static struct folio *ioasid_pinned_folio(struct page *page)
{
	/*
	 * The pin keeps the page where it is, but the word that tells a tail
	 * page from others is part of a list if it is none, and changes.
	 */
	return data_race(page_folio(page));
}

/* memfd_pin_folios() takes one pin per folio, not per page */
static void ioasid_unpin_file_run(const struct ioasid_run *run, bool dirty)
{
	u32 i, n;

	for (i = 0; i < run->nr; i += n) {
		struct page *page = pfn_to_page(run->pfn + i);
		struct folio *folio = ioasid_pinned_folio(page);

		n = min_t(u32, run->nr - i,
			  folio_nr_pages(folio) - folio_page_idx(folio, page));
		if (dirty)
			ioasid_mark_dirty(folio);
		unpin_folio(folio);
		cond_resched();
	}
}

/*
 * Unpins a folio of one page. If no process maps it, that probably frees it,
 * which is much cheaper in a batch, so keep a reference until the batch is
 * full.
 */
static void ioasid_unpin_small(struct folio *folio, bool dirty,
			       struct folio_batch *batch)
{
	if (dirty)
		ioasid_mark_dirty(folio);
	if (folio_mapped(folio)) {
		unpin_folio(folio);
		return;
	}
	folio_get(folio);
	unpin_folio(folio);
	if (!folio_batch_add(batch, folio))
		folios_put(batch);
}

/* Unpins up to @nr pages within the first folio; returns how many */
static u32 ioasid_unpin_some(struct page *page, u32 nr, bool dirty,
			     struct folio_batch *batch)
{
	struct folio *folio = ioasid_pinned_folio(page);

	if (!folio_test_large(folio)) {
		ioasid_unpin_small(folio, dirty, batch);
		return 1;
	}
	nr = min_t(u32, nr, folio_nr_pages(folio) - folio_page_idx(folio, page));
	unpin_user_page_range_dirty_lock(page, nr, dirty);
	cond_resched();
	return nr;
}

static void ioasid_unpin_user_run(const struct ioasid_run *run, bool dirty,
				  struct folio_batch *batch)
{
	u32 i = 0, stop;

	while (i < run->nr) {
		stop = min(run->nr, i + IOASID_BATCH);
		while (i < stop)
			i += ioasid_unpin_some(pfn_to_page(run->pfn + i),
					       run->nr - i, dirty, batch);
		cond_resched();
	}
}

static void ioasid_unpin_runs(const struct ioasid_run *run, u32 nr, bool dirty,
			      bool file)
{
	const struct ioasid_run *end = run + nr;
	struct folio_batch batch;

	if (file) {
		for (; run < end; run++)
			ioasid_unpin_file_run(run, dirty);
		return;
	}
	folio_batch_init(&batch);
	for (; run < end; run++)
		ioasid_unpin_user_run(run, dirty, &batch);
	if (folio_batch_count(&batch))
		folios_put(&batch);
}

/* Is it the memory of a device, which has no pages that could be pinned? */
static bool ioasid_is_device_memory(u64 addr)
{
	struct mm_struct *mm = current->mm;
	struct vm_area_struct *vma;
	bool is;

	if (!mm || mmap_read_lock_killable(mm))
		return false;
	vma = vma_lookup(mm, addr);
	is = vma && vma->vm_flags & (VM_IO | VM_PFNMAP);
	mmap_read_unlock(mm);
	return is;
}

/* The kernel says -EFAULT for whatever it does not find, or not as it should be */
static int ioasid_pin_failed(const struct ioasid_pages *pages, u64 addr, int rc,
			     struct ioasid_extack *extack)
{
	const char *what = ioasid_pages_writable(pages) ? "writing" : "reading";

	extack->value = addr;
	if (rc == -EFAULT && ioasid_is_device_memory(addr))
		return ioasid_fail(extack, rc, IOASID_REASON_DEVICE_MEMORY,
				   "the memory at %#llx is that of a device, which cannot be mapped",
				   addr);
	if (rc == -EFAULT)
		return ioasid_fail(extack, rc, IOASID_REASON_PIN,
				   "address %#llx is not mapped in the process, or not as memory that can be pinned for %s",
				   addr, what);
	return ioasid_fail(extack, rc, IOASID_REASON_PIN,
			   "cannot pin the memory at %#llx for %s (error %d)",
			   addr, what, -rc);
}

static int ioasid_pin_user(struct ioasid_pages *pages, struct page **page,
			   u32 max, struct ioasid_runs *runs,
			   struct ioasid_extack *extack)
{
	unsigned int gup = FOLL_LONGTERM |
			   (ioasid_pages_writable(pages) ? FOLL_WRITE : 0);
	u32 pinned = 0, added;
	int rc;

	while (pinned < pages->area.nr) {
		u64 addr = pages->addr + ((u64)pinned << PAGE_SHIFT);
		u32 nr = min(max, pages->area.nr - pinned);

		if (fatal_signal_pending(current))
			return ioasid_fail(extack, -EINTR, IOASID_REASON_KILLED,
					   "killed while pinning");
		rc = pin_user_pages_fast(addr, nr, gup, page);
		if (unlikely(rc < 0))
			rc = ioasid_pin_user_again(rc, addr, nr, gup, page,
						   extack);
		if (rc == -EINTR)
			return ioasid_fail(extack, rc, IOASID_REASON_KILLED,
					   "killed while pinning");
		if (rc <= 0)
			return ioasid_pin_failed(pages, addr, rc ?: -EFAULT,
						 extack);
		added = ioasid_runs_add_pages(runs, page, rc, pinned,
					      pages->area.nr - pinned);
		if (added < rc) {
			unpin_user_pages(page + added, rc - added);
			return ioasid_fail(extack, -ENOMEM,
					   IOASID_REASON_NO_MEMORY,
					   "no memory for the list of pages");
		}
		pinned += rc;
		cond_resched();
	}
	return 0;
}

static int ioasid_pin_folios(struct ioasid_pages *pages, struct file *file,
			     struct folio **folio, u32 max,
			     struct ioasid_runs *runs,
			     struct ioasid_extack *extack)
{
	u64 end = pages->addr + ioasid_area_length(&pages->area) - 1;
	u32 nr = pages->area.nr, pinned = 0, taken;
	pgoff_t offset;
	long i, rc;

	while (pinned < nr) {
		u64 start = pages->addr + ((u64)pinned << PAGE_SHIFT);

		if (fatal_signal_pending(current))
			return ioasid_fail(extack, -EINTR, IOASID_REASON_KILLED,
					   "killed while pinning");
		rc = ioasid_pin_file_folios(file, start, end, folio,
					    min(max, nr - pinned),
					    &offset, extack);
		if (rc <= 0) {
			if (!extack->code)
				extack->value = start;
			return ioasid_fail(extack, rc ?: -EFAULT,
					   IOASID_REASON_PIN,
					   "cannot pin the file at %#llx (error %ld)",
					   start, -rc);
		}
		offset >>= PAGE_SHIFT;
		for (i = 0; i < rc; i++) {
			taken = min_t(u64, nr - pinned,
				      folio_nr_pages(folio[i]) - offset);
			if (ioasid_runs_add(runs, folio_pfn(folio[i]) + offset,
					    pinned, taken, nr - pinned)) {
				unpin_folios(folio + i, rc - i);
				return ioasid_fail(extack, -ENOMEM,
						   IOASID_REASON_NO_MEMORY,
						   "no memory for the list of pages");
			}
			pinned += taken;
			offset = 0;
		}
		cond_resched();
	}
	return 0;
}

static int ioasid_check_file(struct ioasid_pages *pages, struct file *file,
			     struct ioasid_extack *extack)
{
	u64 end = pages->addr + ioasid_area_length(&pages->area);
	bool writable = ioasid_pages_writable(pages);

	if (!shmem_mapping(file->f_mapping) && !is_file_hugepages(file))
		return ioasid_fail(extack, -EINVAL, IOASID_REASON_FD,
				   "the file is neither a memfd nor on tmpfs or hugetlbfs");
	if (!(file->f_mode & FMODE_READ) ||
	    (writable && !(file->f_mode & FMODE_WRITE)))
		return ioasid_fail(extack, -EPERM, IOASID_REASON_PERMISSION,
				   "the file is not open for %s",
				   writable ? "writing" : "reading");
	if (end > i_size_read(file_inode(file))) {
		extack->value = i_size_read(file_inode(file));
		return ioasid_fail(extack, -EINVAL, IOASID_REASON_VALUE,
				   "the file ends before %#llx", end);
	}
	return 0;
}

/* Devices must respect write seals too */
static bool ioasid_file_sealed(struct file *file)
{
	return compat_memfd_seals(file) & (F_SEAL_WRITE | F_SEAL_FUTURE_WRITE);
}

static int ioasid_pin_file(struct ioasid_pages *pages, int fd, void *batch,
			   u32 max, struct ioasid_runs *runs,
			   struct ioasid_extack *extack)
{
	bool writable = ioasid_pages_writable(pages);
	struct file *file = fget(fd);
	int rc;

	if (!file)
		return ioasid_fail(extack, -EBADF, IOASID_REASON_FD,
				   "%d is not an open file", fd);
	rc = ioasid_check_file(pages, file, extack);
	if (rc)
		goto put;
	/* Keeps F_SEAL_WRITE from being added until the pins prevent it */
	if (writable && mapping_map_writable(file->f_mapping)) {
		rc = ioasid_fail(extack, -EPERM, IOASID_REASON_PERMISSION,
				 "the file is sealed against writing");
		goto put;
	}
	if (writable && ioasid_file_sealed(file))
		rc = ioasid_fail(extack, -EPERM, IOASID_REASON_PERMISSION,
				 "the file is sealed against writing");
	else
		rc = ioasid_pin_folios(pages, file, batch, max, runs, extack);
	if (writable)
		mapping_unmap_writable(file->f_mapping);
put:
	fput(file);
	return rc;
}

/* Keeps the runs in an array without much unused room */
static int ioasid_pages_keep(struct ioasid_pages *pages,
			     struct ioasid_runs *runs)
{
	size_t size = runs->nr * sizeof(*runs->run);

	if (runs->nr == 1) {
		pages->pfn = runs->run[0].pfn;
	} else if (runs->run != runs->few && runs->max - runs->nr < runs->max / 8) {
		pages->runs = runs->run;
		runs->run = runs->few;
	} else {
		pages->runs = kvmalloc(size, GFP_KERNEL_ACCOUNT | __GFP_NOWARN);
		if (!pages->runs)
			return -ENOMEM;
		memcpy(pages->runs, runs->run, size);
	}
	pages->nr_runs = runs->nr;
	return 0;
}

static int ioasid_pages_fill(struct ioasid_pages *pages, int fd, void *batch,
			     u32 max, struct ioasid_extack *extack)
{
	struct ioasid_runs runs __uninitialized;
	int rc;

	runs.run = runs.few;
	runs.nr = 0;
	runs.max = IOASID_FEW;
	if (pages->area.file)
		rc = ioasid_pin_file(pages, fd, batch, max, &runs, extack);
	else
		rc = ioasid_pin_user(pages, batch, max, &runs, extack);
	if (!rc && ioasid_pages_keep(pages, &runs))
		rc = ioasid_fail(extack, -ENOMEM, IOASID_REASON_NO_MEMORY,
				 "no memory for the list of pages");
	if (rc)
		ioasid_unpin_runs(runs.run, runs.nr, false, pages->area.file);
	ioasid_runs_free(&runs);
	return rc;
}

static int ioasid_pages_fill_large(struct ioasid_pages *pages, int fd,
				   struct ioasid_extack *extack)
{
	void **batch;
	int rc;

	batch = kvmalloc_array(IOASID_BATCH, sizeof(*batch),
			       GFP_KERNEL_ACCOUNT);
	if (!batch)
		return ioasid_fail(extack, -ENOMEM, IOASID_REASON_NO_MEMORY,
				   "no memory to pin with");
	rc = ioasid_pages_fill(pages, fd, batch, IOASID_BATCH, extack);
	kvfree(batch);
	return rc;
}

/* Not inlined, so that larger mappings do not pay for the stack */
static noinline_for_stack int
ioasid_pages_fill_small(struct ioasid_pages *pages, int fd,
			struct ioasid_extack *extack)
{
	void *batch[IOASID_FEW] __uninitialized;

	return ioasid_pages_fill(pages, fd, batch, IOASID_FEW, extack);
}

/**
 * ioasid_pages_pin() - charge and pin memory of the current process
 * @ctx: the context
 * @pages: the pages, with @addr and the @nr, @prot and @file of @area set
 * @fd: the file if @file
 * @extack: the reason if it fails
 *
 * On failure nothing is pinned or charged.
 *
 * Context: a user process; can sleep. Takes mmap_lock.
 *
 * Return: 0, -ENOMEM without memory or above RLIMIT_MEMLOCK, -EINTR if killed,
 * -ERESTARTNOINTR if a signal must be handled first, -EBADF, -EINVAL or -EPERM
 * for an unsuitable file, -EBUSY if others keep the memory from being moved, or
 * the error of pinning.
 */
int ioasid_pages_pin(struct ioasid_ctx *ctx, struct ioasid_pages *pages, int fd,
		     struct ioasid_extack *extack)
{
	int rc;

	pages->payer = ioasid_payer_get(ctx);
	if (!pages->payer)
		return ioasid_fail(extack, -ENOMEM, IOASID_REASON_NO_MEMORY,
				   "no memory for the ledger");
	rc = ioasid_charge_pages(ctx, pages->payer, pages->area.nr, extack);
	if (rc)
		goto put;
	if (pages->area.nr <= IOASID_FEW)
		rc = ioasid_pages_fill_small(pages, fd, extack);
	else
		rc = ioasid_pages_fill_large(pages, fd, extack);
	if (!rc)
		return 0;
	ioasid_uncharge_pages(ctx, pages->payer, pages->area.nr);
put:
	ioasid_payer_put(ctx, pages->payer);
	pages->payer = NULL;
	return rc;
}

static void ioasid_pages_unpin(struct ioasid_ctx *ctx,
			       struct ioasid_pages *pages)
{
	struct ioasid_run one;

	ioasid_unpin_runs(ioasid_pages_runs(pages, &one), pages->nr_runs,
			  ioasid_pages_writable(pages), pages->area.file);
	if (pages->nr_runs > 1)
		kvfree(pages->runs);
	ioasid_uncharge_pages(ctx, pages->payer, pages->area.nr);
	ioasid_payer_put(ctx, pages->payer);
}

/**
 * ioasid_pages_put() - put a reference on pages
 * @ctx: the context
 * @pages: the pages; unpinned and freed with the last reference
 *
 * Context: can sleep. If this is the last reference, no IOMMU may reach the
 * pages any more.
 */
void ioasid_pages_put(struct ioasid_ctx *ctx, struct ioasid_pages *pages)
{
	if (!refcount_dec_and_test(&pages->users))
		return;
	if (pages->nr_runs)
		ioasid_pages_unpin(ctx, pages);
	kmem_cache_free(ioasid_pages_cache, pages);
}

/**
 * ioasid_area_alloc() - allocate another area for pages
 * @pages: the pages; the area takes a reference
 * @page: index of its first page
 * @nr: number of its pages
 * @extack: the reason if it fails
 *
 * Context: can sleep.
 *
 * Return: the PENDING area, without @first and @prot, or ERR_PTR of -ENOMEM, or
 * of -EDQUOT if the pages have too many areas.
 */
struct ioasid_area *ioasid_area_alloc(struct ioasid_pages *pages, u32 page,
				      u32 nr, struct ioasid_extack *extack)
{
	struct ioasid_copied_area *copied;

	if (refcount_read(&pages->users) >= IOASID_MAX_USERS) {
		extack->value = IOASID_MAX_USERS;
		return ERR_PTR(ioasid_fail(extack, -EDQUOT,
					   IOASID_REASON_LIMIT,
					   "the same memory cannot be mapped more than %u times",
					   IOASID_MAX_USERS));
	}
	copied = kmem_cache_zalloc(ioasid_copied_cache, GFP_KERNEL_ACCOUNT);
	if (!copied)
		return ERR_PTR(ioasid_fail(extack, -ENOMEM,
					   IOASID_REASON_NO_MEMORY,
					   "no memory for a mapping"));
	copied->pages = pages;
	copied->page = page;
	copied->area.nr = nr;
	copied->area.type = IOASID_AREA_COPIED;
	copied->area.file = pages->area.file;
	refcount_inc(&pages->users);
	return &copied->area;
}

/**
 * ioasid_area_free() - free an area, and put its reference on the pages
 * @ctx: the context
 * @area: the area; in no tree, and unmapped and flushed in all domains
 *
 * Context: can sleep. Takes mmap_lock if it was the last area of the pages and
 * they are charged to an mm.
 */
void ioasid_area_free(struct ioasid_ctx *ctx, struct ioasid_area *area)
{
	struct ioasid_pages *pages;

	if (area->type == IOASID_AREA_SHADOW) {
		kfree(to_shadow_area(area));
		return;
	}
	pages = ioasid_area_pages(area);
	if (area->type == IOASID_AREA_COPIED)
		kmem_cache_free(ioasid_copied_cache,
				container_of(area, struct ioasid_copied_area,
					     area));
	ioasid_pages_put(ctx, pages);
}

static u32 ioasid_run_find(const struct ioasid_run *run, u32 nr, u32 page)
{
	u32 low = 0, high = nr;

	while (high - low > 1) {
		u32 mid = low + (high - low) / 2;

		if (run[mid].first <= page)
			low = mid;
		else
			high = mid;
	}
	return low;
}

/**
 * struct ioasid_cursor - position in the runs to be mapped
 * @run: the current run
 * @skip: number of pages of @run that are done
 * @left: number of pages left to map
 */
struct ioasid_cursor {
	const struct ioasid_run *run;
	u32 skip;
	u32 left;
};

/* Number of pages from @iova to the end of its block */
static u32 ioasid_block_pages(u64 iova)
{
	return (IOASID_BLOCK - (iova & (IOASID_BLOCK - 1))) >> PAGE_SHIFT;
}

/* Advances by at most @max pages of a run; returns the first frame */
static unsigned long ioasid_cursor_next(struct ioasid_cursor *cur, u32 max,
					u32 *nr)
{
	unsigned long pfn = cur->run->pfn + cur->skip;
	u32 n = min3(cur->run->nr - cur->skip, cur->left, max);

	cur->left -= n;
	cur->skip += n;
	if (cur->skip == cur->run->nr) {
		cur->run++;
		cur->skip = 0;
	}
	*nr = n;
	return pfn;
}

/* Fills @sg with the next runs; returns how many of @pages were added */
static u32 ioasid_fill_sg(struct ioasid_cursor *cur, struct scatterlist *sg,
			  u32 max, u32 pages, u32 *nents)
{
	struct scatterlist *s = sg, *end = sg + max;
	struct ioasid_cursor c = *cur;
	u32 left = pages, n;

	for (; s < end && c.left && left; s++, left -= n) {
		unsigned long pfn = ioasid_cursor_next(&c, left, &n);

		s->page_link = 0;
		sg_dma_unmark_bus_address(s);
		sg_set_page(s, pfn_to_page(pfn), n << PAGE_SHIFT, 0);
	}
	sg_mark_end(s - 1);
	*nents = s - sg;
	*cur = c;
	return pages - left;
}

/*
 * Flushes the gather if [first, last] is in another aligned block. The
 * first-stage code of the VT-d driver flushes the smallest aligned power of two
 * that covers the gather, but the hardware rejects one above its maximum
 * (CAP.MAMV, as little as 1 GiB), and the device would keep its translations.
 */
static void ioasid_flush_apart(struct iommu_domain *domain,
			       struct iommu_iotlb_gather *gather, u64 first,
			       u64 last)
{
	if (gather->start > gather->end)
		return;
	if (((gather->start ^ last) | (gather->end ^ first)) &
	    ~((u64)IOASID_BLOCK - 1))
		iommu_iotlb_sync(domain, gather);
}

static bool ioasid_unmap_range(struct iommu_domain *domain, u64 iova,
			       u64 length, struct iommu_iotlb_gather *gather)
{
	while (length) {
		u64 step = min_t(u64, length, IOASID_BLOCK -
				 (iova & (IOASID_BLOCK - 1)));
		size_t done;

		ioasid_flush_apart(domain, gather, iova, iova + step - 1);
		done = iommu_unmap_fast(domain, iova, step, gather);
		if (WARN_ON_ONCE(done < step))
			return false;
		/* A huge page can exceed the step, but not the area */
		iova += done;
		length -= min_t(u64, done, length);
		cond_resched();
	}
	return true;
}

static int ioasid_map_error(int rc, u64 iova, struct ioasid_extack *extack)
{
	extack->value = iova;
	if (rc == -EINTR)
		return ioasid_fail(extack, rc, IOASID_REASON_KILLED,
				   "killed while mapping");
	if (rc == -ENOMEM)
		return ioasid_fail(extack, rc, IOASID_REASON_NO_MEMORY,
				   "no memory for the IOMMU's page table");
	return ioasid_fail(extack, rc, IOASID_REASON_IOMMU,
			   "the IOMMU driver cannot map at IOVA %#llx (error %d)",
			   iova, -rc);
}

/* Maps the next pages of @cur, at most @pages, all of them or none */
static int ioasid_map_pieces(struct iommu_domain *domain, u64 iova, int prot,
			     struct ioasid_cursor *cur, u32 pages, u32 *done)
{
	size_t mapped = 0;
	unsigned long pfn;
	u32 i, n;
	int rc = 0;

	*done = 0;
	for (i = 0; i < IOASID_BATCH && *done < pages && cur->left; i++) {
		pfn = ioasid_cursor_next(cur, pages - *done, &n);
		rc = compat_map_piece(domain, iova + mapped, PFN_PHYS(pfn),
				      (u64)n << PAGE_SHIFT, prot, &mapped);
		if (rc)
			goto undo;
		*done += n;
	}
	rc = compat_sync_map(domain, iova, mapped);
	if (!rc)
		return 0;
undo:
	if (mapped)
		iommu_unmap(domain, iova, mapped);
	return rc;
}

/* The same through the IOMMU core, with @sg for up to @max runs */
static int ioasid_map_sg(struct iommu_domain *domain, u64 iova, int prot,
			 struct ioasid_cursor *cur, struct scatterlist *sg,
			 u32 max, u32 pages, u32 *done)
{
	unsigned long pfn;
	ssize_t rc;
	u32 nents;

	/* No scatterlist if one run covers the rest of block or area */
	if (cur->run->nr - cur->skip >= min(cur->left, pages)) {
		pfn = ioasid_cursor_next(cur, pages, done);
		return iommu_map(domain, iova, PFN_PHYS(pfn),
				 (u64)*done << PAGE_SHIFT, prot,
				 GFP_KERNEL_ACCOUNT);
	}
	*done = ioasid_fill_sg(cur, sg, max, pages, &nents);
	rc = iommu_map_sg(domain, iova, sg, nents, prot, GFP_KERNEL_ACCOUNT);
	if (rc < 0)
		return rc;
	return WARN_ON_ONCE(rc != (ssize_t)*done << PAGE_SHIFT) ? -EINVAL : 0;
}

/* Without @sg the domain takes pieces */
static int ioasid_map_cursor(struct iommu_domain *domain, u64 iova, int prot,
			     struct ioasid_cursor *cur, struct scatterlist *sg,
			     u32 max, struct ioasid_extack *extack)
{
	u64 mapped = 0;
	u32 pages, done;
	int rc;

	while (cur->left) {
		pages = ioasid_block_pages(iova + mapped);
		if (fatal_signal_pending(current))
			rc = -EINTR;
		else if (sg)
			rc = ioasid_map_sg(domain, iova + mapped, prot, cur, sg,
					   max, pages, &done);
		else
			rc = ioasid_map_pieces(domain, iova + mapped, prot, cur,
					       pages, &done);
		if (rc)
			goto undo;
		mapped += (u64)done << PAGE_SHIFT;
		cond_resched();
	}
	return 0;
undo:
	if (mapped) {
		struct iommu_iotlb_gather gather;

		iommu_iotlb_gather_init(&gather);
		ioasid_unmap_range(domain, iova, mapped, &gather);
		ioasid_flush(domain, &gather);
	}
	return ioasid_map_error(rc, iova + mapped, extack);
}

static noinline_for_stack int ioasid_map_few(struct iommu_domain *domain,
					     u64 iova, int prot,
					     struct ioasid_cursor *cur,
					     struct ioasid_extack *extack)
{
	struct scatterlist sg[IOASID_FEW] __uninitialized;

	return ioasid_map_cursor(domain, iova, prot, cur, sg, IOASID_FEW,
				 extack);
}

/* Most mappings are one piece */
static int ioasid_map_one(struct iommu_domain *domain, u64 iova,
			  phys_addr_t phys, u64 size, int prot,
			  struct ioasid_extack *extack)
{
	size_t mapped = 0;
	int rc;

	rc = compat_map_piece(domain, iova, phys, size, prot, &mapped) ?:
		     compat_sync_map(domain, iova, size);
	if (!rc)
		return 0;
	if (mapped)
		iommu_unmap(domain, iova, mapped);
	return ioasid_map_error(rc, iova, extack);
}

static int ioasid_iommu_prot(const struct ioasid_area *area)
{
	int prot = IOMMU_CACHE;

	if (area->prot & IOASID_MAP_READ)
		prot |= IOMMU_READ;
	if (area->prot & IOASID_MAP_WRITE)
		prot |= IOMMU_WRITE;
	return prot;
}

static int ioasid_map_runs(struct iommu_domain *domain,
			   const struct ioasid_area *area, int prot,
			   struct ioasid_extack *extack)
{
	const struct ioasid_pages *pages = ioasid_area_pages(area);
	struct ioasid_run one;
	const struct ioasid_run *run = ioasid_pages_runs(pages, &one);
	u32 page = ioasid_area_page(area);
	u32 at = ioasid_run_find(run, pages->nr_runs, page);
	struct ioasid_cursor cur = {
		.run = run + at,
		.skip = page - run[at].first,
		.left = area->nr,
	};
	struct scatterlist *sg;
	int rc;

	if (compat_maps_pieces(domain))
		return ioasid_map_cursor(domain, area->first, prot, &cur, NULL,
					 0, extack);
	if (pages->nr_runs <= IOASID_FEW)
		return ioasid_map_few(domain, area->first, prot, &cur, extack);
	sg = kvmalloc_array(IOASID_BATCH, sizeof(*sg), GFP_KERNEL_ACCOUNT);
	if (!sg)
		return ioasid_fail(extack, -ENOMEM, IOASID_REASON_NO_MEMORY,
				   "no memory to map with");
	rc = ioasid_map_cursor(domain, area->first, prot, &cur, sg,
			       IOASID_BATCH, extack);
	kvfree(sg);
	return rc;
}

/**
 * ioasid_area_map() - map an area in a domain, all of it or none
 * @domain: the domain
 * @area: the area; PENDING, unless ioasid_space.rwsem is held for writing
 * @extack: the reason if it fails
 *
 * Context: can sleep.
 *
 * Return: 0, -ENOMEM, -EINTR if killed, or the error of the IOMMU driver.
 */
int ioasid_area_map(struct iommu_domain *domain, const struct ioasid_area *area,
		    struct ioasid_extack *extack)
{
	const struct ioasid_pages *pages = ioasid_area_pages(area);
	int prot = ioasid_iommu_prot(area);

	if (!compat_maps_pieces(domain) || pages->nr_runs > 1 ||
	    area->nr > ioasid_block_pages(area->first))
		return ioasid_map_runs(domain, area, prot, extack);
	return ioasid_map_one(domain, area->first,
			      PFN_PHYS(pages->pfn + ioasid_area_page(area)),
			      ioasid_area_length(area), prot, extack);
}

/**
 * ioasid_area_unmap() - unmap an area in a domain
 * @domain: the domain
 * @area: the area
 * @gather: to be flushed by ioasid_flush() before anything is unpinned
 *
 * Not interrupted by signals.
 *
 * Context: can sleep.
 *
 * Return: true, or false if the IOMMU driver failed to unmap some of it: then
 * the pages must never be unpinned.
 */
bool ioasid_area_unmap(struct iommu_domain *domain,
		       const struct ioasid_area *area,
		       struct iommu_iotlb_gather *gather)
{
	return ioasid_unmap_range(domain, area->first, ioasid_area_length(area),
				  gather);
}

/**
 * ioasid_flush() - flush the IOTLBs after ioasid_area_unmap()
 * @domain: the domain
 * @gather: the gathered range; empty afterwards
 *
 * Call it after every unmap, even if the gather is empty, since a driver may do
 * all its work here; but not if nothing was unmapped.
 *
 * Context: can sleep.
 */
void ioasid_flush(struct iommu_domain *domain,
		  struct iommu_iotlb_gather *gather)
{
	iommu_iotlb_sync(domain, gather);
}
