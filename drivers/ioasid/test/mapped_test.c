// SPDX-License-Identifier: GPL-2.0
/*
 * MAP, UNMAP, COPY and TRANSLATE against a model of each page: results, page tables
 * and charges must agree with it after each command, also if a page table fails
 * halfway.
 */
#include <linux/mman.h>
#include <linux/sizes.h>
#include "test.h"

#define NR_SPACES	2
#define NR_DOMAINS	2	/* behind each space */
#define WINDOW		48	/* pages of IOVA that are used */
#define BASE		(SZ_1G - 16ULL * PAGE_SIZE)	/* over the end of a block */
#define NR_VEC		6
#define RW		(IOASID_MAP_READ | IOASID_MAP_WRITE)

/**
 * struct block - pages pinned together
 * @users: number of mappings
 * @pages: number of pages
 */
struct block {
	u32 users;
	u32 pages;
};

/**
 * struct mapping - a mapping of the model
 * @first: first page of the window
 * @nr: number of pages; 0 if the entry is free
 * @page: first page of ITEST_MEM
 * @prot: IOASID_MAP_*
 * @block: the pinned pages
 * @own: it is the first mapping of @block
 */
struct mapping {
	u32 first;
	u32 nr;
	u32 page;
	u32 prot;
	u32 block;
	bool own;
};

#define NR_MAPPINGS	WINDOW
#define NR_BLOCKS	(NR_SPACES * WINDOW + NR_VEC)

/**
 * struct world - the model, and the objects that it describes
 * @it: the context
 * @id: ids of the spaces
 * @space: the spaces
 * @d: page tables
 * @pfn: frames of the pages of ITEST_MEM
 * @map: mappings of each space
 * @block: pinned memory
 * @failed: number of commands that a page table made fail
 */
struct world {
	struct itest *it;
	u32 id[NR_SPACES];
	struct ioasid_space *space[NR_SPACES];
	struct itest_domain *d[NR_SPACES][NR_DOMAINS];
	unsigned long pfn[ITEST_MEM_PAGES];
	struct mapping map[NR_SPACES][NR_MAPPINGS];
	struct block block[NR_BLOCKS];
	u32 failed;
};

static u64 iova_of(u32 page)
{
	return BASE + page * PAGE_SIZE;
}

static struct mapping *find_map(struct world *w, u32 s, u32 page)
{
	u32 i;

	for (i = 0; i < NR_MAPPINGS; i++) {
		struct mapping *m = &w->map[s][i];

		if (m->nr && page >= m->first && page < m->first + m->nr)
			return m;
	}
	return NULL;
}

static bool window_free(struct world *w, u32 s, u32 first, u32 nr)
{
	while (nr--)
		if (find_map(w, s, first++))
			return false;
	return true;
}

static struct mapping *add_map(struct world *w, u32 s, struct mapping m)
{
	u32 i = 0;

	while (w->map[s][i].nr)
		i++;
	w->map[s][i] = m;
	w->block[m.block].users++;
	return &w->map[s][i];
}

static void del_map(struct world *w, struct mapping *m)
{
	m->nr = 0;
	w->block[m->block].users--;
}

static u32 new_block(struct world *w, u32 pages)
{
	u32 i = 0;

	while (w->block[i].users)
		i++;
	w->block[i].pages = pages;
	return i;
}

/* Page tables, commands and ledger agree with the model */
static void check_page(struct world *w, u32 s, u32 page)
{
	struct ioasid_translate arg = {
		.flags = IOASID_TRANSLATE_PHYS, .ioasid = w->id[s],
		.iova = iova_of(page) + 8 * page,
	};
	struct mapping *m = find_map(w, s, page);
	struct kunit *test = w->it->test;
	int rc = ITEST_CMD(w->it, IOASID_TRANSLATE, &arg), i, prot;
	unsigned long pfn = ULONG_MAX;

	KUNIT_ASSERT_EQ(test, rc, m ? 0 : -ENOENT);
	if (m) {
		pfn = w->pfn[m->page + page - m->first];
		KUNIT_ASSERT_EQ(test, arg.map_iova, iova_of(m->first));
		KUNIT_ASSERT_EQ(test, arg.map_length, m->nr * PAGE_SIZE);
		KUNIT_ASSERT_EQ(test, arg.map_flags, m->prot);
		KUNIT_ASSERT_EQ(test, arg.addr, ITEST_MEM + 8 * page +
				(m->page + page - m->first) * PAGE_SIZE);
		KUNIT_ASSERT_EQ(test, arg.phys, PFN_PHYS(pfn) + 8 * page);
	}
	for (i = 0; i < NR_DOMAINS; i++) {
		KUNIT_ASSERT_EQ(test, itest_domain_pfn(w->d[s][i],
						       iova_of(page), &prot),
				pfn);
		if (m)
			KUNIT_ASSERT_EQ(test, prot, IOMMU_CACHE |
					(m->prot & 1 ? IOMMU_READ : 0) |
					(m->prot & 2 ? IOMMU_WRITE : 0));
	}
}

static void check_world(struct world *w)
{
	struct kunit *test = w->it->test;
	u32 s, i;
	u64 pinned = 0;

	for (s = 0; s < NR_SPACES; s++) {
		u64 pages = 0, nr = 0, own = 0;

		for (i = 0; i < WINDOW; i++)
			check_page(w, s, i);
		for (i = 0; i < NR_MAPPINGS; i++) {
			struct mapping *m = &w->map[s][i];

			pages += m->nr;
			nr += !!m->nr;
			own += m->own ? m->nr : 0;
		}
		KUNIT_ASSERT_EQ(test, atomic64_read(&w->space[s]->nr_mappings),
				nr);
		KUNIT_ASSERT_EQ(test, atomic64_read(&w->space[s]->mapped),
				pages);
		KUNIT_ASSERT_EQ(test, atomic64_read(&w->space[s]->pinned), own);
		for (i = 0; i < NR_DOMAINS; i++) {
			KUNIT_ASSERT_EQ(test, w->d[s][i]->pages, pages);
			itest_domain_check(test, w->d[s][i]);
		}
	}
	for (i = 0; i < NR_BLOCKS; i++)
		if (w->block[i].users)
			pinned += w->block[i].pages;
	KUNIT_ASSERT_EQ(test, atomic64_read(&w->it->ctx->pinned), pinned);
}

/* Sometimes lets one of the next calls of a page table fail */
static void arm(struct world *w, u32 s, struct rnd_state *rnd)
{
	struct itest_domain *d = w->d[s][itest_below(rnd, NR_DOMAINS)];

	if (itest_below(rnd, 3))
		return;
	d->fail_map = 1 + itest_below(rnd, 8);
	d->fail_after = itest_below(rnd, 3);
	d->fail_err = itest_below(rnd, 2) ? -ENOMEM : -EIO;
}

/* If one of them has failed, the command must have failed with the same error */
static int disarm(struct world *w, u32 s, int rc)
{
	u32 i;
	int err = 0;

	for (i = 0; i < NR_DOMAINS; i++) {
		struct itest_domain *d = w->d[s][i];

		if (!d->fail_map && d->fail_err && (rc == -EIO || rc == -ENOMEM))
			err = d->fail_err;
		d->fail_map = 0;
		d->fail_err = 0;
	}
	w->failed += !!err;
	return err;
}

static void random_map(struct world *w, struct rnd_state *rnd)
{
	u32 s = itest_below(rnd, NR_SPACES), nr = 1 + itest_below(rnd, NR_VEC);
	struct ioasid_map_range r[NR_VEC] = {};
	struct mapping *done[NR_VEC];
	u32 i, good = 0;
	int rc, want = 0;

	/* The model maps up to the first collision */
	for (i = 0; i < nr; i++) {
		u32 at = itest_below(rnd, WINDOW);
		u32 len = 1 + itest_below(rnd, min(5, WINDOW - at));
		u32 page = itest_below(rnd, ITEST_MEM_PAGES - len);
		u32 prot = 1 + itest_below(rnd, 3);

		r[i].iova = iova_of(at);
		r[i].addr = ITEST_MEM + page * PAGE_SIZE;
		r[i].length = len * PAGE_SIZE;
		r[i].flags = prot | IOASID_MAP_FIXED;
		if (want)
			continue;
		if (!window_free(w, s, at, len)) {
			want = -EEXIST;
			continue;
		}
		done[good++] = add_map(w, s, (struct mapping) {
			.first = at, .nr = len, .page = page, .prot = prot,
			.block = new_block(w, len), .own = true,
		});
	}
	arm(w, s, rnd);
	rc = itest_map(w->it, w->id[s], r, nr);
	want = disarm(w, s, rc) ?: want;
	KUNIT_ASSERT_EQ(w->it->test, rc, want);
	if (rc == -EEXIST)
		KUNIT_ASSERT_EQ(w->it->test, w->it->ext.index, good);
	for (i = 0; rc && i < good; i++)
		del_map(w, done[i]);
}

static bool hits(struct mapping *m, u32 first, u32 nr)
{
	return m->nr && m->first < first + nr && first < m->first + m->nr;
}

static int model_unmap(struct world *w, u32 s, u32 first, u32 nr)
{
	u32 i, found = 0;

	for (i = 0; i < WINDOW; i++) {
		struct mapping *m = &w->map[s][i];

		if (!hits(m, first, nr))
			continue;
		if (m->first < first || m->first + m->nr > first + nr)
			return -EINVAL;
		found++;
	}
	return found ? 0 : -ENOENT;
}

static void random_unmap(struct world *w, struct rnd_state *rnd)
{
	u32 s = itest_below(rnd, NR_SPACES), nr = 1 + itest_below(rnd, NR_VEC);
	struct ioasid_unmap_range r[NR_VEC];
	u32 first[NR_VEC], len[NR_VEC], i, k, bytes = 0;
	u64 unmapped = 0;
	int rc, want = 0;

	for (i = 0; i < nr; i++) {
		struct mapping *m = &w->map[s][itest_below(rnd, 12)];

		/* Mostly exactly one mapping, otherwise any range */
		first[i] = m->nr && itest_below(rnd, 8) ?
			   m->first : itest_below(rnd, WINDOW);
		len[i] = m->nr && itest_below(rnd, 8) ? m->nr :
			 1 + itest_below(rnd, WINDOW - first[i]);
		r[i].iova = iova_of(first[i]);
		r[i].length = len[i] * PAGE_SIZE;
	}
	for (i = 0; i < nr && !want; i++)
		for (k = 0; k < i; k++)
			if (first[i] < first[k] + len[k] &&
			    first[k] < first[i] + len[i])
				want = -EINVAL;
	for (i = 0; i < nr && !want; i++)
		want = model_unmap(w, s, first[i], len[i]);
	rc = itest_unmap(w->it, w->id[s], r, nr, &unmapped);
	KUNIT_ASSERT_EQ(w->it->test, rc, want);
	for (i = 0; !rc && i < nr; i++)
		for (k = 0; k < NR_MAPPINGS; k++) {
			struct mapping *m = &w->map[s][k];

			if (!hits(m, first[i], len[i]))
				continue;
			bytes += m->nr * PAGE_SIZE;
			del_map(w, m);
		}
	KUNIT_ASSERT_EQ(w->it->test, unmapped, (u64)bytes);
}

/* Collects the source of a copy from the model */
static int model_copy(struct world *w, u32 s, u32 first, u32 nr, u32 prot)
{
	u32 i;

	for (i = first; i < first + nr; i++) {
		struct mapping *m = find_map(w, s, i);

		if (!m)
			return -ENOENT;
		if (prot & IOASID_MAP_WRITE && !(m->prot & IOASID_MAP_WRITE))
			return -EPERM;
	}
	return 0;
}

static void random_copy(struct world *w, struct rnd_state *rnd)
{
	u32 s = itest_below(rnd, NR_SPACES), t = itest_below(rnd, NR_SPACES);
	u32 from = itest_below(rnd, WINDOW), to = itest_below(rnd, WINDOW);
	u32 nr = 1 + itest_below(rnd, min3(12, WINDOW - from, WINDOW - to));
	u32 prot = 1 + itest_below(rnd, 3), at, len;
	struct ioasid_copy arg = {
		.flags = prot | IOASID_MAP_FIXED, .src_ioasid = w->id[s],
		.dst_ioasid = w->id[t], .src_iova = iova_of(from),
		.dst_iova = iova_of(to), .length = nr * PAGE_SIZE,
	};
	int want = model_copy(w, s, from, nr, prot), rc;

	if (!want && !window_free(w, t, to, nr))
		want = -EEXIST;
	arm(w, t, rnd);
	rc = ITEST_CMD(w->it, IOASID_COPY, &arg);
	want = disarm(w, t, rc) ?: want;
	KUNIT_ASSERT_EQ(w->it->test, rc, want);
	for (at = from; !rc && at < from + nr; at += len) {
		struct mapping *m = find_map(w, s, at);

		len = min(m->first + m->nr, from + nr) - at;
		add_map(w, t, (struct mapping) {
			.first = to + at - from, .nr = len,
			.page = m->page + at - m->first, .prot = prot,
			.block = m->block,
		});
	}
}

static void clear_space(struct world *w, u32 s)
{
	u64 bytes = 0, unmapped;
	u32 i;

	for (i = 0; i < NR_MAPPINGS; i++)
		if (w->map[s][i].nr) {
			bytes += w->map[s][i].nr * PAGE_SIZE;
			del_map(w, &w->map[s][i]);
		}
	KUNIT_ASSERT_EQ(w->it->test, itest_unmap(w->it, w->id[s], NULL, 0,
						 &unmapped), 0);
	KUNIT_ASSERT_EQ(w->it->test, unmapped, bytes);
}

static struct world *new_world(struct kunit *test)
{
	struct world *w = kunit_kzalloc(test, sizeof(*w), GFP_KERNEL);
	struct page *page[ITEST_MEM_PAGES];
	u32 s, i;

	KUNIT_ASSERT_NOT_NULL(test, w);
	itest_memory(test);
	w->it = itest_open(test);
	KUNIT_ASSERT_EQ(test, get_user_pages_fast(ITEST_MEM, ITEST_MEM_PAGES,
						  FOLL_WRITE, page),
			ITEST_MEM_PAGES);
	for (i = 0; i < ITEST_MEM_PAGES; i++) {
		w->pfn[i] = page_to_pfn(page[i]);
		put_page(page[i]);
	}
	for (s = 0; s < NR_SPACES; s++) {
		w->id[s] = itest_alloc_space(w->it);
		w->space[s] = itest_space_get(w->it, w->id[s]);
		for (i = 0; i < NR_DOMAINS; i++) {
			w->d[s][i] = itest_domain_new(test);
			w->d[s][i]->check_pins = true;
			w->d[s][i]->fail_err = 0;
			/* Only small pages, for many calls */
			w->d[s][i]->domain.pgsize_bitmap = SZ_4K;
			itest_space_add_domain(test, w->space[s], w->d[s][i]);
		}
	}
	return w;
}

static void end_world(struct world *w)
{
	u32 s, i;

	for (s = 0; s < NR_SPACES; s++) {
		clear_space(w, s);
		for (i = 0; i < NR_DOMAINS; i++)
			itest_space_del_domain(w->space[s], w->d[s][i]);
		ioasid_space_put(w->space[s]);
	}
	KUNIT_EXPECT_EQ(w->it->test, atomic64_read(&w->it->ctx->pinned), 0LL);
	for (i = 0; i < ITEST_MEM_PAGES; i++)
		KUNIT_EXPECT_EQ(w->it->test, itest_pins(pfn_to_page(w->pfn[i])),
				0U);
}

static void random_commands(struct kunit *test)
{
	struct world *w = new_world(test);
	struct rnd_state rnd;
	u32 i;

	itest_seed(test, &rnd);
	for (i = 0; i < itest_rounds(3000); i++) {
		switch (itest_below(&rnd, 8)) {
		case 0 ... 2:
			random_map(w, &rnd);
			break;
		case 3 ... 5:
			random_unmap(w, &rnd);
			break;
		default:
			random_copy(w, &rnd);
		}
		if (!itest_below(&rnd, 100))
			clear_space(w, itest_below(&rnd, NR_SPACES));
		check_world(w);
	}
	KUNIT_EXPECT_GE(test, w->failed, itest_rounds(5));
	end_world(w);
}

/* IOVA that the kernel chooses is reported, free and aligned */
static void chosen_places(struct kunit *test)
{
	struct ioasid_map_range r[NR_VEC];
	struct ioasid_unmap_range u[NR_VEC];
	struct ioasid_copy copy = {
		.flags = IOASID_MAP_READ, .length = 3 * PAGE_SIZE,
	};
	struct itest *it;
	u32 i, k, id;

	itest_memory(test);
	it = itest_open(test);
	id = itest_alloc_space(it);
	for (i = 0; i < NR_VEC; i++)
		r[i] = (struct ioasid_map_range) {
			.iova = 77, .addr = ITEST_MEM + i * PAGE_SIZE,
			.length = 3 * PAGE_SIZE, .flags = IOASID_MAP_READ,
		};
	KUNIT_ASSERT_EQ(test, itest_map(it, id, r, NR_VEC), 0);
	for (i = 0; i < NR_VEC; i++) {
		KUNIT_EXPECT_TRUE(test, PAGE_ALIGNED(r[i].iova) && r[i].iova);
		for (k = 0; k < i; k++)
			KUNIT_EXPECT_GE(test, abs_diff(r[i].iova, r[k].iova),
					3ULL * PAGE_SIZE);
		u[NR_VEC - 1 - i].iova = r[i].iova;
		u[NR_VEC - 1 - i].length = r[i].length;
	}
	copy.src_ioasid = id;
	copy.dst_ioasid = id;
	copy.src_iova = r[0].iova;
	KUNIT_ASSERT_EQ(test, ITEST_CMD(it, IOASID_COPY, &copy), 0);
	for (k = 0; k < NR_VEC; k++)
		KUNIT_EXPECT_GE(test, abs_diff(copy.dst_iova, r[k].iova),
				3ULL * PAGE_SIZE);
	/* In descending order, and all at once */
	KUNIT_EXPECT_EQ(test, itest_unmap(it, id, u, NR_VEC, NULL), 0);
	KUNIT_EXPECT_EQ(test, itest_unmap_one(it, id, copy.dst_iova,
					      copy.length), 0);
	KUNIT_EXPECT_EQ(test, itest_info(it).nr_mappings, 0ULL);
	/* Without room nothing stays pinned */
	{
		static const struct ioasid_iova_range all = { 0, U64_MAX };
		struct ioasid_reserve arg = {
			.ioasid = id, .nr = 1, .ranges = ITEST_VEC,
			.range_size = sizeof(all),
		};

		itest_put_user(test, ITEST_VEC, &all, sizeof(all));
		KUNIT_ASSERT_EQ(test, ITEST_CMD(it, IOASID_RESERVE, &arg), 0);
		ITEST_EXPECT_ERR(it, itest_map(it, id, r, NR_VEC), -ENOSPC,
				 IOASID_REASON_NO_ROOM);
		KUNIT_EXPECT_EQ(test, itest_info(it).pinned, 0ULL);
	}
}

/* A mapping that another command uses is not affected, and can be retried later */
static void others_at_work(struct kunit *test)
{
	struct ioasid_unmap_range u[2] = {
		{ SZ_1M, PAGE_SIZE }, { SZ_2M, PAGE_SIZE },
	};
	struct ioasid_translate tr = { .iova = SZ_2M };
	struct ioasid_copy copy = {
		.flags = IOASID_MAP_READ, .src_iova = SZ_2M,
		.length = PAGE_SIZE,
	};
	struct ioasid_space *space;
	struct ioasid_area *area;
	struct itest *it;
	u64 bytes;
	u32 id, state;

	itest_memory(test);
	it = itest_open(test);
	id = itest_alloc_space(it);
	KUNIT_ASSERT_EQ(test, itest_map_one(it, id, SZ_1M, ITEST_MEM, PAGE_SIZE,
					    RW), 0);
	KUNIT_ASSERT_EQ(test, itest_map_one(it, id, SZ_2M, ITEST_MEM, PAGE_SIZE,
					    RW), 0);
	space = itest_space_get(it, id);
	scoped_guard(mutex, &space->iova_lock)
		area = ioasid_iova_first(space, SZ_2M, SZ_2M);
	KUNIT_ASSERT_NOT_NULL(test, area);
	tr.ioasid = id;
	copy.src_ioasid = id;
	copy.dst_ioasid = id;
	for (state = 0; state < 3; state++) {
		if (state == IOASID_AREA_READY)
			continue;
		area->state = state;
		ITEST_EXPECT_ERR(it, itest_unmap(it, id, u, 2, NULL), -EBUSY,
				 IOASID_REASON_RACE);
		KUNIT_EXPECT_EQ(test, it->ext.index, 1U);
		ITEST_EXPECT_ERR(it, ITEST_CMD(it, IOASID_COPY, &copy), -EBUSY,
				 IOASID_REASON_RACE);
		ITEST_EXPECT_ERR(it, ITEST_CMD(it, IOASID_TRANSLATE, &tr),
				 -ENOENT, IOASID_REASON_NOT_MAPPED);
	}
	/* The first mapping is READY again; UNMAP_ALL skips the other one */
	KUNIT_EXPECT_EQ(test, itest_unmap(it, id, NULL, 0, &bytes), 0);
	KUNIT_EXPECT_EQ(test, bytes, (u64)PAGE_SIZE);
	area->state = IOASID_AREA_READY;
	KUNIT_EXPECT_EQ(test, itest_unmap(it, id, &u[1], 1, NULL), 0);
	ioasid_space_put(space);
}

/* More than one batch of UNMAP_ALL, and the last page of the address space */
static void unmap_very_many(struct kunit *test)
{
	struct ioasid_map_range *r;
	u32 nr = ITEST_VEC_PAGES * PAGE_SIZE / sizeof(*r), i, k, id;
	u32 times = itest_rounds(3);
	struct itest_domain *d = itest_domain_new(test);
	struct ioasid_space *space;
	struct itest *it;
	u64 bytes;

	itest_memory(test);
	it = itest_open(test);
	id = itest_alloc_space(it);
	space = itest_space_get(it, id);
	itest_space_add_domain(test, space, d);
	r = kunit_kcalloc(test, nr, sizeof(*r), GFP_KERNEL);
	KUNIT_ASSERT_NOT_NULL(test, r);
	for (k = 0; k < times; k++) {
		for (i = 0; i < nr; i++)
			r[i] = (struct ioasid_map_range) {
				.iova = -(k * nr + i + 1) * PAGE_SIZE,
				.addr = ITEST_MEM, .length = PAGE_SIZE,
				.flags = RW | IOASID_MAP_FIXED,
			};
		KUNIT_ASSERT_EQ(test, itest_map(it, id, r, nr), 0);
	}
	KUNIT_EXPECT_EQ(test, d->pages, (u64)times * nr);
	KUNIT_ASSERT_EQ(test, itest_unmap(it, id, NULL, 0, &bytes), 0);
	KUNIT_EXPECT_EQ(test, bytes, (u64)times * nr * PAGE_SIZE);
	KUNIT_EXPECT_EQ(test, d->pages, 0ULL);
	KUNIT_EXPECT_EQ(test, itest_info(it).pinned, 0ULL);
	itest_domain_check(test, d);
	/* A few flushes, not one for each page */
	KUNIT_EXPECT_LT(test, d->nr_flush, 8U);
	itest_space_del_domain(space, d);
	ioasid_space_put(space);
}

/* Not by GET_INFO, since a job keeps the space locked */
static void check_job(struct itest *it, struct ioasid_space *space,
		      struct itest_domain *d, u64 pages, s64 mappings, s64 pinned)
{
	KUNIT_EXPECT_EQ(it->test, d->pages, pages);
	KUNIT_EXPECT_EQ(it->test, atomic64_read(&space->nr_mappings), mappings);
	KUNIT_EXPECT_EQ(it->test, atomic64_read(&it->ctx->pinned), pinned);
	itest_domain_check(it->test, d);
}

/* Until it is committed, a MAP or COPY is seen by nobody, and can be undone */
static void undone_in_the_middle(struct kunit *test)
{
	struct ioasid_map_range r[2] = {
		{ .addr = ITEST_MEM, .length = 2 * PAGE_SIZE, .flags = RW },
		{ .addr = ITEST_MEM, .length = PAGE_SIZE, .flags = RW },
	};
	struct ioasid_copy copy = { .flags = RW, .length = 2 * PAGE_SIZE };
	struct itest_domain *d = itest_domain_new(test);
	struct ioasid_space *space;
	struct ioasid_map_job job;
	struct ioasid_extack e;
	struct itest *it;
	u32 id, i;

	itest_memory(test);
	it = itest_open(test);
	id = itest_alloc_space(it);
	ioasid_extack_init(&e);
	space = itest_space_get(it, id);
	itest_space_add_domain(test, space, d);
	KUNIT_ASSERT_EQ(test, ioasid_map_begin(&job, it->ctx, r, 2, &e), 0);
	for (i = 0; i < 3; i++) {
		check_job(it, space, d, 0, 0, 3);
		KUNIT_ASSERT_EQ(test, ioasid_map_place(&job, id, &e), 0);
		check_job(it, space, d, 3, 0, 3);
		if (i < 2)
			ioasid_map_unplace(&job);
	}
	ioasid_map_commit(&job);
	check_job(it, space, d, 3, 2, 3);

	copy.src_ioasid = id;
	copy.dst_ioasid = id;
	copy.src_iova = r[0].iova;
	for (i = 0; i < 2; i++) {
		KUNIT_ASSERT_EQ(test, ioasid_copy_begin(&job, it->ctx, &copy,
							&e), 0);
		KUNIT_ASSERT_EQ(test, ioasid_copy_place(&job, &copy, &e), 0);
		ioasid_map_unplace(&job);
		check_job(it, space, d, 3, 2, 3);
		KUNIT_ASSERT_EQ(test, ioasid_copy_place(&job, &copy, &e), 0);
		check_job(it, space, d, 5, 2, 3);
		if (i) {
			ioasid_map_commit(&job);
			continue;
		}
		ioasid_map_unplace(&job);
		ioasid_map_abort(&job);
	}
	check_job(it, space, d, 5, 3, 3);
	KUNIT_EXPECT_EQ(test, itest_unmap(it, id, NULL, 0, NULL), 0);
	check_job(it, space, d, 0, 0, 0);
	itest_space_del_domain(space, d);
	ioasid_space_put(space);
}

/* What can be undone ends between two ranges or areas, and leaves nothing */
static void killed_in_the_middle(struct kunit *test)
{
	struct ioasid_map_range r[3];
	struct ioasid_copy copy = { .flags = RW, .length = 3 * PAGE_SIZE };
	struct itest_domain *d = itest_domain_new(test);
	struct ioasid_unmap_range u = { SZ_1M, 3 * PAGE_SIZE };
	struct ioasid_space *space;
	struct ioasid_map_job job;
	struct ioasid_extack e;
	struct itest *it;
	u32 id, i;

	itest_memory(test);
	it = itest_open(test);
	id = itest_alloc_space(it);
	ioasid_extack_init(&e);
	space = itest_space_get(it, id);
	for (i = 0; i < 3; i++)
		r[i] = (struct ioasid_map_range) {
			.iova = SZ_1M + i * PAGE_SIZE, .addr = ITEST_MEM,
			.length = PAGE_SIZE, .flags = RW | IOASID_MAP_FIXED,
		};
	/* Without a page table, whose code looks for signals itself */
	KUNIT_ASSERT_EQ(test, ioasid_map_begin(&job, it->ctx, r, 3, &e), 0);
	itest_set_killed(true);
	KUNIT_EXPECT_EQ(test, ioasid_map_place(&job, id, &e), -EINTR);
	KUNIT_EXPECT_EQ(test, e.code, (u32)IOASID_REASON_KILLED);
	itest_set_killed(false);
	KUNIT_EXPECT_EQ(test, space->nr_areas, 0U);
	ioasid_map_abort(&job);

	itest_space_add_domain(test, space, d);
	KUNIT_ASSERT_EQ(test, itest_map(it, id, r, 3), 0);
	copy.src_ioasid = id;
	copy.dst_ioasid = id;
	copy.src_iova = SZ_1M;
	ioasid_extack_init(&e);
	KUNIT_ASSERT_EQ(test, ioasid_copy_begin(&job, it->ctx, &copy, &e), 0);
	itest_set_killed(true);
	KUNIT_EXPECT_EQ(test, ioasid_copy_place(&job, &copy, &e), -EINTR);
	KUNIT_EXPECT_EQ(test, e.code, (u32)IOASID_REASON_KILLED);
	itest_set_killed(false);
	check_job(it, space, d, 3, 3, 3);
	KUNIT_EXPECT_EQ(test, space->nr_areas, 3U);
	ioasid_map_abort(&job);

	itest_set_killed(true);
	ITEST_EXPECT_ERR(it, itest_unmap(it, id, &u, 1, NULL), -EINTR,
			 IOASID_REASON_KILLED);
	itest_set_killed(false);
	check_job(it, space, d, 3, 3, 3);
	KUNIT_EXPECT_EQ(test, itest_unmap(it, id, &u, 1, NULL), 0);
	check_job(it, space, d, 0, 0, 0);
	itest_space_del_domain(space, d);
	ioasid_space_put(space);
}

/* A copy can be killed between two mappings, and then has no effect */
static void killed_while_copying(struct kunit *test)
{
	struct ioasid_copy arg = {
		.flags = IOASID_MAP_READ, .length = 2 * PAGE_SIZE,
	};
	struct itest *it;
	u32 id;

	itest_memory(test);
	it = itest_open(test);
	id = itest_alloc_space(it);
	KUNIT_ASSERT_EQ(test, itest_map_one(it, id, 0, ITEST_MEM, PAGE_SIZE, RW),
			0);
	KUNIT_ASSERT_EQ(test, itest_map_one(it, id, PAGE_SIZE, ITEST_MEM,
					    PAGE_SIZE, RW), 0);
	arg.src_ioasid = id;
	arg.dst_ioasid = id;
	itest_set_killed(true);
	ITEST_EXPECT_ERR(it, ITEST_CMD(it, IOASID_COPY, &arg), -EINTR,
			 IOASID_REASON_KILLED);
	itest_set_killed(false);
	KUNIT_EXPECT_EQ(test, itest_info(it).nr_mappings, 2ULL);
	KUNIT_EXPECT_EQ(test, itest_unmap(it, id, NULL, 0, NULL), 0);
	KUNIT_EXPECT_EQ(test, itest_info(it).pinned, 0ULL);
}

/* Unlocks the space before any expectation can fail */
static int fill(struct ioasid_space *space, struct ioasid_domain *own,
		struct ioasid_extack *extack)
{
	int rc;

	down_write(&space->rwsem);
	rc = ioasid_domain_fill(space, own, extack);
	up_write(&space->rwsem);
	return rc;
}

/* A new domain gets all mappings or stays empty; its aperture can be too small */
static void fill_a_new_domain(struct kunit *test)
{
	struct itest_domain *d = itest_domain_new(test);
	struct ioasid_domain own = { .domain = &d->domain };
	struct ioasid_space *space;
	struct ioasid_extack extack;
	struct itest *it;
	u32 i, id, nth;
	int rc;

	itest_memory(test);
	it = itest_open(test);
	id = itest_alloc_space(it);
	space = itest_space_get(it, id);
	ioasid_extack_init(&extack);
	/* Nothing to fill, and nothing to flush */
	KUNIT_EXPECT_EQ(test, fill(space, &own, &extack), 0);
	KUNIT_EXPECT_EQ(test, d->nr_flush, 0U);
	for (i = 0; i < 8; i++)
		KUNIT_ASSERT_EQ(test, itest_map_one(it, id, (u64)i * SZ_1G, ITEST_MEM,
						    (i + 1) * PAGE_SIZE, RW), 0);
	for (nth = 1;; nth++) {
		d->fail_map = nth;
		ioasid_extack_init(&extack);
		rc = fill(space, &own, &extack);
		itest_domain_check(test, d);
		if (!rc)
			break;
		KUNIT_ASSERT_EQ(test, rc, -EIO);
		KUNIT_ASSERT_EQ(test, d->pages, 0ULL);
	}
	KUNIT_EXPECT_GT(test, nth, 8U);
	KUNIT_EXPECT_EQ(test, d->pages, 36ULL);
	itest_domain_empty(test, d);
	d->fail_map = 0;
	d->domain.geometry.force_aperture = true;
	d->domain.geometry.aperture_end = 7ULL * SZ_1G + 8 * PAGE_SIZE - 1;
	KUNIT_EXPECT_EQ(test, fill(space, &own, &extack), 0);
	itest_domain_empty(test, d);
	d->domain.geometry.aperture_end--;
	ioasid_extack_init(&extack);
	KUNIT_EXPECT_EQ(test, fill(space, &own, &extack), -ERANGE);
	KUNIT_EXPECT_EQ(test, extack.code, (u32)IOASID_REASON_APERTURE);
	KUNIT_EXPECT_EQ(test, extack.value, 7ULL * SZ_1G);
	KUNIT_EXPECT_EQ(test, d->pages, 0ULL);
	itest_domain_check(test, d);
	ioasid_space_put(space);
}

static struct kunit_case ioasid_mapped_cases[] = {
	KUNIT_CASE_SLOW(random_commands),
	KUNIT_CASE(chosen_places),
	KUNIT_CASE(others_at_work),
	KUNIT_CASE(unmap_very_many),
	KUNIT_CASE(undone_in_the_middle),
	KUNIT_CASE(killed_in_the_middle),
	KUNIT_CASE(killed_while_copying),
	KUNIT_CASE(fill_a_new_domain),
	{}
};

static struct kunit_suite ioasid_mapped_suite = {
	.name = "ioasid_mapped",
	.test_cases = ioasid_mapped_cases,
};
kunit_test_suite(ioasid_mapped_suite);
