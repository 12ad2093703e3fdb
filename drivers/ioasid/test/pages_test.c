// SPDX-License-Identifier: GPL-2.0
/*
 * Pinned memory: the runs are exactly the pages of the user's memory, each page is
 * pinned as often as it occurs and charged once, and the right frames are mapped.
 * The memory consists of pages that the test chooses.
 */
#include <linux/fcntl.h>
#include <linux/fdtable.h>
#include <linux/file.h>
#include <linux/hugetlb.h>
#include <linux/mman.h>
#include <linux/shmem_fs.h>
#include <linux/sizes.h>
#include <linux/slab.h>
#include "test.h"

#define FEW	16	/* IOASID_FEW of pages.c */
#define BATCH	2048	/* IOASID_BATCH of pages.c */
#define BASE	0x40000000ULL

/**
 * struct memory - user memory
 * @page: its pages
 * @nr: number of pages
 * @addr: its address
 */
struct memory {
	struct page **page;
	u32 nr;
	u64 addr;
};

static struct memory *new_memory(struct kunit *test, struct page **page, u32 nr)
{
	struct memory *m = kunit_kzalloc(test, sizeof(*m), GFP_KERNEL);

	KUNIT_ASSERT_NOT_NULL(test, m);
	m->page = page;
	m->nr = nr;
	m->addr = itest_map_pages(test, page, nr, PROT_READ | PROT_WRITE);
	return m;
}

static struct ioasid_pages *pin(struct kunit *test, struct ioasid_ctx *ctx,
				u64 addr, u32 nr, bool writable, int fd,
				int want, struct ioasid_extack *extack)
{
	struct ioasid_pages *pages = ioasid_pages_alloc();
	s64 before = atomic64_read(&ctx->pinned);
	int rc;

	KUNIT_ASSERT_NOT_NULL(test, pages);
	pages->addr = addr;
	pages->area.nr = nr;
	pages->area.file = fd >= 0;
	pages->area.prot = writable ? IOASID_MAP_WRITE : IOASID_MAP_READ;
	ioasid_extack_init(extack);
	rc = ioasid_pages_pin(ctx, pages, fd, extack);
	KUNIT_EXPECT_EQ_MSG(test, rc, want, "%s", extack->msg);
	KUNIT_EXPECT_EQ(test, atomic64_read(&ctx->pinned),
			before + (rc ? 0 : nr));
	if (!rc)
		return pages;
	KUNIT_EXPECT_NE(test, extack->code, (u32)IOASID_REASON_NONE);
	ioasid_area_free(ctx, &pages->area);
	return NULL;
}

/* As few runs as possible, with exactly the pages of the memory */
static void check_runs(struct kunit *test, const struct ioasid_pages *pages,
		       struct page **page)
{
	const struct ioasid_run one = { .pfn = pages->pfn, .nr = pages->area.nr };
	const struct ioasid_run *run = pages->nr_runs > 1 ? pages->runs : &one;
	u32 i, r = 0, in_run = 0;

	for (i = 0; i < pages->area.nr; i++, in_run++) {
		unsigned long pfn = page_to_pfn(page[i]);

		if (i && pfn != page_to_pfn(page[i - 1]) + 1) {
			KUNIT_ASSERT_EQ(test, run[r].nr, in_run);
			in_run = 0;
			r++;
		}
		KUNIT_ASSERT_LT(test, r, pages->nr_runs);
		KUNIT_ASSERT_EQ(test, run[r].pfn + in_run, pfn);
		KUNIT_ASSERT_EQ(test, run[r].first + in_run, i);
	}
	KUNIT_ASSERT_EQ(test, run[r].nr, in_run);
	KUNIT_ASSERT_EQ(test, pages->nr_runs, r + 1);
}

/* Each folio has one pin for each of its pages in the memory, times @times */
static void check_pins(struct kunit *test, struct page **page, u32 nr, u32 times)
{
	u32 i, k;

	for (i = 0; i < nr; i += 1 + nr / 64) {
		struct folio *folio = page_folio(page[i]);
		u32 there = 0;

		for (k = 0; k < nr; k++)
			there += page_folio(page[k]) == folio;
		KUNIT_ASSERT_EQ(test, itest_pins(page[i]), there * times);
	}
}

static void pin_and_put(struct kunit *test, struct ioasid_ctx *ctx,
			struct memory *m)
{
	struct ioasid_extack extack;
	struct ioasid_pages *pages[2];
	u32 i;

	for (i = 0; i < 2; i++) {
		pages[i] = pin(test, ctx, m->addr, m->nr, i, -1, 0, &extack);
		KUNIT_ASSERT_NOT_NULL(test, pages[i]);
		check_runs(test, pages[i], m->page);
		check_pins(test, m->page, m->nr, i + 1);
	}
	for (i = 0; i < 2; i++) {
		ioasid_area_free(ctx, &pages[i]->area);
		check_pins(test, m->page, m->nr, 1 - i);
	}
	KUNIT_EXPECT_EQ(test, atomic64_read(&ctx->pinned), 0LL);
	/* Memory pinned for writing is dirty, and still mapped */
	for (i = 0; i < m->nr; i += 1 + m->nr / 64)
		KUNIT_ASSERT_TRUE(test, PageDirty(compound_head(m->page[i])));
}

/* Sizes around the limits of a batch */
static const u32 borders[] = {
	1, 2, FEW - 1, FEW, FEW + 1, 4 * FEW, 4 * FEW + 1, BATCH - 1, BATCH,
	BATCH + 1, 4095, 4096, 4097,
};

static void runs_at_borders(struct kunit *test)
{
	struct page **large, **page;
	struct ioasid_ctx *ctx;
	struct itest *it;
	u32 i, k, nr;

	itest_memory(test);
	it = itest_open(test);
	ctx = it->ctx;
	large = itest_pages(test, 4097, 9);
	for (i = 0; i < ARRAY_SIZE(borders); i++) {
		nr = borders[i];
		/* One run if the large pages are adjacent, otherwise several */
		pin_and_put(test, ctx, new_memory(test, large, nr));
		/* As many runs as pages, in descending order */
		page = kunit_kcalloc(test, nr, sizeof(*page), GFP_KERNEL);
		KUNIT_ASSERT_NOT_NULL(test, page);
		for (k = 0; k < nr; k++)
			page[k] = large[nr - 1 - k];
		pin_and_put(test, ctx, new_memory(test, page, nr));
	}
}

/* A run across the end of a batch */
static void run_over_a_border(struct kunit *test)
{
	struct page **large, **page;
	struct itest *it;
	u32 i, k, at;

	itest_memory(test);
	it = itest_open(test);
	large = itest_pages(test, 8192, 9);
	for (i = 0; i < ARRAY_SIZE(borders); i++) {
		at = borders[i];
		page = kunit_kcalloc(test, at + 64, sizeof(*page), GFP_KERNEL);
		KUNIT_ASSERT_NOT_NULL(test, page);
		/* Single pages, then a run across the end of a batch */
		for (k = 0; k < at + 64; k++)
			page[k] = large[at - min(at, 8) <= k ? 4196 + k - at :
					4095 - k % 4096];
		pin_and_put(test, it->ctx, new_memory(test, page, at + 64));
	}
}

static void random_runs(struct kunit *test)
{
	struct page **pool[3], **page;
	struct rnd_state rnd;
	struct itest *it;
	u32 i, k, round;

	itest_memory(test);
	it = itest_open(test);
	itest_seed(test, &rnd);
	pool[0] = itest_pages(test, 512, 0);
	pool[1] = itest_pages(test, 512, 2);
	pool[2] = itest_pages(test, 1024, 9);
	for (round = 0; round < itest_rounds(40); round++) {
		u32 nr = 1 + itest_below(&rnd, round % 4 ? 100 : 3000);

		page = kunit_kcalloc(test, nr, sizeof(*page), GFP_KERNEL);
		KUNIT_ASSERT_NOT_NULL(test, page);
		/* Parts of the pools, some of them twice */
		for (i = 0; i < nr; i += k) {
			u32 n = itest_below(&rnd, ARRAY_SIZE(pool));
			u32 at = itest_below(&rnd, n < 2 ? 512 : 1024);
			u32 len = 1 + itest_below(&rnd, n < 2 ? 6 : 200);

			len = min3(len, nr - i, (n < 2 ? 512 : 1024) - at);
			for (k = 0; k < len; k++)
				page[i + k] = pool[n][at + k];
		}
		pin_and_put(test, it->ctx, new_memory(test, page, nr));
	}
}

/* Anonymous memory, which is populated by pinning */
static void anonymous_memory(struct kunit *test)
{
	struct ioasid_pages *pages;
	struct ioasid_extack extack;
	struct page **page;
	struct itest *it;
	u32 nr = 5000, i;
	u64 addr;

	itest_memory(test);
	it = itest_open(test);
	addr = kunit_vm_mmap(test, NULL, 0, nr * PAGE_SIZE,
			     PROT_READ | PROT_WRITE,
			     MAP_PRIVATE | MAP_ANONYMOUS, 0);
	KUNIT_ASSERT_FALSE(test, !addr || IS_ERR_VALUE(addr));
	pages = pin(test, it->ctx, addr, nr, true, -1, 0, &extack);
	KUNIT_ASSERT_NOT_NULL(test, pages);
	page = kunit_kcalloc(test, nr, sizeof(*page), GFP_KERNEL);
	KUNIT_ASSERT_NOT_NULL(test, page);
	KUNIT_ASSERT_EQ(test, get_user_pages_fast(addr, nr, 0, page), (int)nr);
	check_runs(test, pages, page);
	for (i = 0; i < nr; i++) {
		KUNIT_ASSERT_EQ(test, itest_pins(page[i]), 1U);
		put_page(page[i]);
	}
	/* After the process unmaps it, our pins are the last references */
	KUNIT_ASSERT_EQ(test, vm_munmap(addr, nr * PAGE_SIZE), 0);
	for (i = 0; i < nr; i++)
		KUNIT_ASSERT_FALSE(test, folio_mapped(page_folio(page[i])));
	ioasid_area_free(it->ctx, &pages->area);
	KUNIT_EXPECT_EQ(test, atomic64_read(&it->ctx->pinned), 0LL);
}

/* Fails at the end of the memory, and unpins what it had pinned */
static void hole_in_memory(struct kunit *test)
{
	struct ioasid_extack extack;
	struct page **page;
	struct memory *m;
	struct itest *it;
	u32 i, nr;

	itest_memory(test);
	it = itest_open(test);
	page = itest_pages(test, BATCH + 64, 9);
	for (i = 0; i < ARRAY_SIZE(borders); i++) {
		nr = borders[i];
		if (nr > BATCH + 1)
			break;
		m = new_memory(test, page, nr);
		/* The next page is missing: the first one, or one in the last batch */
		KUNIT_ASSERT_EQ(test, vm_munmap(m->addr + (nr - 1) * PAGE_SIZE,
						PAGE_SIZE), 0);
		pin(test, it->ctx, m->addr, nr, false, -1, -EFAULT, &extack);
		KUNIT_EXPECT_EQ(test, extack.code, (u32)IOASID_REASON_PIN);
		check_pins(test, page, nr, 0);
	}
}

static void killed_while_pinning(struct kunit *test)
{
	struct ioasid_extack extack;
	struct itest *it;

	itest_memory(test);
	it = itest_open(test);
	itest_set_killed(true);
	pin(test, it->ctx, ITEST_MEM, 4, true, -1, -EINTR, &extack);
	itest_set_killed(false);
	KUNIT_EXPECT_EQ(test, extack.code, (u32)IOASID_REASON_KILLED);
}

/* --- files --- */

static int new_file(struct kunit *test, u32 pages, struct file **file)
{
	int fd = get_unused_fd_flags(O_CLOEXEC);

	KUNIT_ASSERT_GE(test, fd, 0);
	*file = shmem_file_setup("ioasid-test", pages * PAGE_SIZE,
				 EMPTY_VMA_FLAGS);
	KUNIT_ASSERT_NOT_ERR_OR_NULL(test, *file);
	fd_install(fd, *file);
	return fd;
}

/* memfd_pin_folios() takes one pin for each folio of a call */
static void file_memory(struct kunit *test)
{
	struct ioasid_pages *pages;
	struct ioasid_area *copied;
	struct ioasid_extack extack;
	struct page **page;
	struct file *file;
	struct itest *it;
	u32 nr = 3000, from, i;
	u64 addr;
	int fd;

	itest_memory(test);
	it = itest_open(test);
	fd = new_file(test, nr, &file);
	page = kunit_kcalloc(test, nr, sizeof(*page), GFP_KERNEL);
	KUNIT_ASSERT_NOT_NULL(test, page);
	for (from = 0; from < nr; from = from * 5 + 1) {
		pages = pin(test, it->ctx, from * PAGE_SIZE, nr - from,
			    from % 2, fd, 0, &extack);
		KUNIT_ASSERT_NOT_NULL(test, pages);
		addr = vm_mmap(file, 0, nr * PAGE_SIZE, PROT_READ, MAP_SHARED,
			       0);
		KUNIT_ASSERT_FALSE(test, IS_ERR_VALUE(addr));
		KUNIT_ASSERT_EQ(test, get_user_pages_fast(addr, nr, 0, page),
				(int)nr);
		check_runs(test, pages, page + from);
		copied = ioasid_area_alloc(pages, 0, 1, &extack);
		KUNIT_ASSERT_FALSE(test, IS_ERR(copied));
		KUNIT_EXPECT_TRUE(test, copied->file);
		ioasid_area_free(it->ctx, &pages->area);
		/* All of it stays pinned for a copy of its first page */
		for (i = from; i < nr; i += 61)
			KUNIT_ASSERT_GE(test, itest_pins(page[i]), 1U);
		ioasid_area_free(it->ctx, copied);
		for (i = 0; i < nr; i++) {
			KUNIT_ASSERT_EQ(test, itest_pins(page[i]), 0U);
			put_page(page[i]);
		}
		vm_munmap(addr, nr * PAGE_SIZE);
	}
	close_fd(fd);
}

static void wrong_files(struct kunit *test)
{
	struct inode *inode;
	struct ioasid_extack extack;
	struct file *file;
	struct itest *it;
	int fd;

	itest_memory(test);
	it = itest_open(test);
	fd = new_file(test, 4, &file);
	inode = file_inode(file);
	/* Not a memfd */
	pin(test, it->ctx, 0, 1, false, itest_fd(it), -EINVAL, &extack);
	KUNIT_EXPECT_EQ(test, extack.code, (u32)IOASID_REASON_FD);
	/* Beyond the end of the file */
	pin(test, it->ctx, 0, 5, false, fd, -EINVAL, &extack);
	KUNIT_EXPECT_EQ(test, extack.code, (u32)IOASID_REASON_VALUE);
	KUNIT_EXPECT_EQ(test, extack.value, 4 * PAGE_SIZE);
	/* Not open for this access */
	file->f_mode &= ~FMODE_WRITE;
	pin(test, it->ctx, 0, 4, true, fd, -EPERM, &extack);
	KUNIT_EXPECT_EQ(test, extack.code, (u32)IOASID_REASON_PERMISSION);
	file->f_mode |= FMODE_WRITE;
	file->f_mode &= ~FMODE_READ;
	pin(test, it->ctx, 0, 4, false, fd, -EPERM, &extack);
	file->f_mode |= FMODE_READ;
	/* Sealed by either seal, but readable */
	SHMEM_I(inode)->seals = F_SEAL_FUTURE_WRITE;
	pin(test, it->ctx, 0, 4, true, fd, -EPERM, &extack);
	KUNIT_EXPECT_EQ(test, extack.code, (u32)IOASID_REASON_PERMISSION);
	SHMEM_I(inode)->seals = F_SEAL_WRITE;
	KUNIT_EXPECT_EQ(test, mapping_deny_writable(file->f_mapping), 0);
	pin(test, it->ctx, 0, 4, true, fd, -EPERM, &extack);
	mapping_allow_writable(file->f_mapping);
	SHMEM_I(inode)->seals = 0;
	itest_set_killed(true);
	pin(test, it->ctx, 0, 4, true, fd, -EINTR, &extack);
	itest_set_killed(false);
	/* It can be sealed afterwards, so no writable mapping is left counted */
	KUNIT_EXPECT_EQ(test, mapping_deny_writable(file->f_mapping), 0);
	mapping_allow_writable(file->f_mapping);
	close_fd(fd);
}

/* --- mapping --- */

/**
 * struct slice - pages with made-up runs, and a part of them to map
 * @pages: the pages
 * @part: the part
 * @pfn: frame of each page; NULL if there are too many
 */
struct slice {
	struct ioasid_pages pages;
	struct ioasid_copied_area part;
	unsigned long *pfn;
};

/* Existing frames, since they need struct pages; they are never accessed */
static struct slice *new_slice(struct kunit *test, const u32 *run, u32 nr_runs)
{
	struct slice *s = kunit_kzalloc(test, sizeof(*s), GFP_KERNEL);
	unsigned long pfn = 4096;
	u32 i, k, at = 0;

	KUNIT_ASSERT_NOT_NULL(test, s);
	for (i = 0; i < nr_runs; i++)
		at += run[i];
	s->pages.area.nr = at;
	s->pages.nr_runs = nr_runs;
	s->pages.pfn = pfn;
	s->part.pages = &s->pages;
	s->part.area.prot = IOASID_MAP_READ;
	if (nr_runs > 1)
		s->pages.runs = kunit_kcalloc(test, nr_runs,
					      sizeof(*s->pages.runs),
					      GFP_KERNEL);
	s->pfn = at > 65536 ? NULL :
		 kunit_kcalloc(test, at, sizeof(*s->pfn), GFP_KERNEL);
	for (i = 0, at = 0; i < nr_runs; i++) {
		if (nr_runs > 1)
			s->pages.runs[i] = (struct ioasid_run){
				.pfn = pfn, .first = at, .nr = run[i],
			};
		for (k = 0; s->pfn && k < run[i]; k++)
			s->pfn[at + k] = pfn + k;
		at += run[i];
		/* Neither adjacent nor in order */
		pfn = i % 2 ? pfn - run[i] - 5 : pfn + 2 * run[i] + 7;
		if (pfn > 1UL << 30)
			pfn = 4096 + i;
	}
	return s;
}

static void set_area(struct slice *s, u64 iova, u32 page, u32 nr)
{
	s->part.area.first = iova;
	s->part.area.nr = nr;
	s->part.page = page;
}

static void check_mapped(struct kunit *test, struct itest_domain *d,
			 struct slice *s)
{
	struct ioasid_area *area = &s->part.area;
	int prot;
	u64 i;

	KUNIT_ASSERT_EQ(test, d->pages, (u64)area->nr);
	for (i = 0; s->pfn && i < area->nr; i++) {
		KUNIT_ASSERT_EQ(test, itest_domain_pfn(d, area->first +
						       (i << PAGE_SHIFT), &prot),
				s->pfn[s->part.page + i]);
		KUNIT_ASSERT_EQ(test, prot, IOMMU_CACHE |
				(area->prot & IOASID_MAP_READ ? IOMMU_READ : 0) |
				(area->prot & IOASID_MAP_WRITE ? IOMMU_WRITE : 0));
	}
}

static void map_and_unmap(struct kunit *test, struct itest_domain *d,
			  struct slice *s)
{
	struct iommu_iotlb_gather gather;
	struct ioasid_extack extack;

	ioasid_extack_init(&extack);
	KUNIT_ASSERT_EQ(test,
			ioasid_area_map(&d->domain, &s->part.area, &extack), 0);
	check_mapped(test, d, s);
	iommu_iotlb_gather_init(&gather);
	KUNIT_ASSERT_TRUE(test, ioasid_area_unmap(&d->domain, &s->part.area,
						  &gather));
	ioasid_flush(&d->domain, &gather);
	KUNIT_ASSERT_EQ(test, d->pages, 0ULL);
	itest_domain_check(test, d);
}

/* Through the IOMMU core, and where it can be filled directly */
static void in_each_table(struct kunit *test,
			  void (*fn)(struct kunit *test, struct itest_domain *d))
{
	struct itest_domain *d = itest_domain_new(test);

	fn(test, d);
	d = itest_domain_new(test);
	if (itest_domain_set_pt(d))
		fn(test, d);
}

static u32 random_run_list(struct rnd_state *rnd, u32 *run, u32 max)
{
	u32 nr = 1 + itest_below(rnd, max), i;

	for (i = 0; i < nr; i++)
		run[i] = 1 + itest_below(rnd, itest_below(rnd, 8) ? 6 : 700);
	return nr;
}

/* Any part of any runs at any IOVA, also across the end of a block */
static void random_slices_in(struct kunit *test, struct itest_domain *d)
{
	static const u64 bases[] = {
		0, SZ_4K, SZ_2M, SZ_1G - SZ_64K, SZ_1G, 7ULL * SZ_1G - SZ_8M,
		-(u64)SZ_256M,
	};
	u32 *run = kunit_kcalloc(test, 100, sizeof(*run), GFP_KERNEL);
	struct rnd_state rnd;
	u32 i, k;

	KUNIT_ASSERT_NOT_NULL(test, run);
	itest_seed(test, &rnd);
	for (i = 0; i < itest_rounds(100); i++) {
		u32 nr = random_run_list(&rnd, run, i % 2 ? 16 : 100);
		struct slice *s = new_slice(test, run, nr);

		for (k = 0; k < 10; k++) {
			u32 page = itest_below(&rnd, s->pages.area.nr);
			u32 left = s->pages.area.nr - page;
			u64 iova = bases[itest_below(&rnd, ARRAY_SIZE(bases))];

			s->part.area.prot = 1 + itest_below(&rnd, 3);
			set_area(s, iova, page, 1 + itest_below(&rnd, left));
			map_and_unmap(test, d, s);
		}
	}
}

static void random_slices(struct kunit *test)
{
	in_each_table(test, random_slices_in);
}

/* As many runs as fit into one scatterlist, and one more */
static void many_runs_in(struct kunit *test, struct itest_domain *d)
{
	u32 *run = kunit_kcalloc(test, 4097, sizeof(*run), GFP_KERNEL);
	u32 i, k;

	KUNIT_ASSERT_NOT_NULL(test, run);
	/* The last runs are the ones to test */
	for (i = ARRAY_SIZE(borders) - itest_rounds(ARRAY_SIZE(borders));
	     i < ARRAY_SIZE(borders); i++) {
		struct slice *s;

		for (k = 0; k < borders[i]; k++)
			run[k] = 1 + (k + 1 == borders[i]);
		s = new_slice(test, run, borders[i]);
		set_area(s, BASE, 0, s->pages.area.nr);
		map_and_unmap(test, d, s);
	}
}

static void many_runs(struct kunit *test)
{
	in_each_table(test, many_runs_in);
}

/* Runs larger than a block: no call and no flush crosses its end */
static void large_runs_in(struct kunit *test, struct itest_domain *d)
{
	static const u32 one[] = { 5 << 18 };
	static const u32 two[] = { (1 << 18) + 3, (3 << 18) - 1 };
	static const u32 some[] = {
		1, 1 << 18, 2, 2 << 18, 17, (1 << 18) - 1, 512,
	};
	static const struct {
		const u32 *run;
		u32 nr;
	} list[] = {
		{ one, ARRAY_SIZE(one) }, { two, ARRAY_SIZE(two) },
		{ some, ARRAY_SIZE(some) },
	};
	u32 i, k;

	for (i = 0; i < ARRAY_SIZE(list); i++) {
		struct slice *s = new_slice(test, list[i].run, list[i].nr);

		for (k = 0; k < 4; k++) {
			set_area(s, k * (SZ_256M + k * SZ_4K), k * 1000,
				 s->pages.area.nr - k * 2000);
			map_and_unmap(test, d, s);
		}
	}
}

static void large_runs(struct kunit *test)
{
	in_each_table(test, large_runs_in);
}

static void fails_at(struct kunit *test, struct itest_domain *d,
		     struct slice *s, int want, u32 code)
{
	struct ioasid_extack extack;

	ioasid_extack_init(&extack);
	KUNIT_ASSERT_EQ(test,
			ioasid_area_map(&d->domain, &s->part.area, &extack),
			want);
	KUNIT_ASSERT_EQ(test, extack.code, code);
	KUNIT_ASSERT_EQ(test, d->fail_map, 0U);
	KUNIT_ASSERT_EQ(test, d->pages, 0ULL);
	itest_domain_check(test, d);
}

/* @most: calls of map_pages() that are not enough */
static void slice_fails(struct kunit *test, struct itest_domain *d,
			struct slice *s, u32 most)
{
	static const struct {
		int err;
		u32 code;
	} how[] = {
		{ -ENOMEM, IOASID_REASON_NO_MEMORY },
		{ -EIO, IOASID_REASON_IOMMU },
	};
	u32 before = d->nr_map, i, nth, calls;

	map_and_unmap(test, d, s);
	calls = d->nr_map - before;
	KUNIT_ASSERT_GT(test, calls, most);
	for (nth = 1; nth <= calls; nth++)
		for (i = 0; i < 4; i++) {
			d->fail_map = nth;
			d->fail_err = how[i % 2].err;
			/* A failing call may have mapped some pages */
			d->fail_after = i / 2;
			fails_at(test, d, s, how[i % 2].err, how[i % 2].code);
		}
	d->fail_sync = -EIO;
	fails_at(test, d, s, -EIO, IOASID_REASON_IOMMU);
	d->fail_sync = 0;
}

static void map_fails_in(struct kunit *test, struct itest_domain *d)
{
	static const u32 run[] = { 3, 1 << 18, 5, 1, 2048, 7, 1 << 18 };
	static const u32 one[] = { 9 };
	struct slice *s = new_slice(test, one, ARRAY_SIZE(one));

	set_area(s, SZ_1G - 8 * SZ_4K, 1, s->pages.area.nr - 1);
	slice_fails(test, d, s, 0);
	s = new_slice(test, run, ARRAY_SIZE(run));
	set_area(s, SZ_1G - 8 * SZ_4K, 1, s->pages.area.nr - 2);
	slice_fails(test, d, s, 7);
	itest_set_killed(true);
	fails_at(test, d, s, -EINTR, IOASID_REASON_KILLED);
	itest_set_killed(false);
}

/* Whichever call fails, nothing stays mapped */
static void map_fails(struct kunit *test)
{
	in_each_table(test, map_fails_in);
}

/* Several areas of the same pages: pinned and charged once, until the last is freed */
static void many_areas_one_pin(struct kunit *test)
{
	struct ioasid_area *area[8];
	struct ioasid_pages *pages;
	struct ioasid_extack extack;
	struct page **page;
	struct memory *m;
	struct itest *it;
	u32 i;

	itest_memory(test);
	it = itest_open(test);
	page = itest_pages(test, 32, 0);
	m = new_memory(test, page, 32);
	pages = pin(test, it->ctx, m->addr, 32, true, -1, 0, &extack);
	KUNIT_ASSERT_NOT_NULL(test, pages);
	for (i = 0; i < ARRAY_SIZE(area); i++) {
		area[i] = ioasid_area_alloc(pages, i, 32 - i, &extack);
		KUNIT_ASSERT_FALSE(test, IS_ERR(area[i]));
	}
	KUNIT_EXPECT_PTR_EQ(test, ioasid_area_pages(&pages->area), pages);
	KUNIT_EXPECT_EQ(test, ioasid_area_addr(&pages->area), m->addr);
	/* The first area can be freed before the others */
	ioasid_area_free(it->ctx, &pages->area);
	for (i = 0; i < ARRAY_SIZE(area); i++) {
		check_pins(test, page, 32, 1);
		KUNIT_EXPECT_EQ(test, atomic64_read(&it->ctx->pinned), 32LL);
		KUNIT_EXPECT_PTR_EQ(test, ioasid_area_pages(area[i]), pages);
		KUNIT_EXPECT_EQ(test, ioasid_area_addr(area[i]),
				m->addr + i * PAGE_SIZE);
		ioasid_area_free(it->ctx, area[i]);
	}
	check_pins(test, page, 32, 0);
	KUNIT_EXPECT_EQ(test, atomic64_read(&it->ctx->pinned), 0LL);
}

static struct kunit_case ioasid_pages_cases[] = {
	KUNIT_CASE(runs_at_borders),
	KUNIT_CASE(run_over_a_border),
	KUNIT_CASE(random_runs),
	KUNIT_CASE(anonymous_memory),
	KUNIT_CASE(hole_in_memory),
	KUNIT_CASE(killed_while_pinning),
	KUNIT_CASE(file_memory),
	KUNIT_CASE(wrong_files),
	KUNIT_CASE(random_slices),
	KUNIT_CASE(many_runs),
	KUNIT_CASE(large_runs),
	KUNIT_CASE(map_fails),
	KUNIT_CASE(many_areas_one_pin),
	{}
};

static struct kunit_suite ioasid_pages_suite = {
	.name = "ioasid_pages",
	.test_cases = ioasid_pages_cases,
};
kunit_test_suite(ioasid_pages_suite);
