// SPDX-License-Identifier: GPL-2.0
/*
 * IOVA allocation against a model with one entry for each page, at both ends of
 * the 64 bits and in the middle.
 */
#include <linux/sizes.h>
#include <linux/slab.h>
#include <linux/sort.h>
#include "test.h"

#define NR_WINDOWS	3
#define WINDOW		64	/* pages */

static const u64 window_base[NR_WINDOWS] = {
	0, SZ_4G - WINDOW / 2 * PAGE_SIZE, -(u64)WINDOW * PAGE_SIZE,
};

/**
 * struct model - each page of the windows
 * @owner: the area that covers it
 * @reserved: it is not usable
 */
struct model {
	struct ioasid_area *owner[NR_WINDOWS][WINDOW];
	bool reserved[NR_WINDOWS][WINDOW];
};

static int put_area(struct ioasid_space *space, struct ioasid_area *area,
		    u64 *iova, u64 length, bool fixed,
		    struct ioasid_extack *extack)
{
	int rc;

	guard(rwsem_read)(&space->rwsem);
	guard(mutex)(&space->iova_lock);
	rc = ioasid_iova_place(space, iova, length, fixed, extack);
	if (rc)
		return rc;
	area->first = *iova;
	area->nr = length >> PAGE_SHIFT;
	return ioasid_iova_insert(space, area, extack);
}

static int find_place(struct ioasid_space *space, u64 *iova, u64 length,
		      bool fixed, struct ioasid_extack *extack)
{
	guard(rwsem_read)(&space->rwsem);
	guard(mutex)(&space->iova_lock);
	return ioasid_iova_place(space, iova, length, fixed, extack);
}

static void drop_area(struct ioasid_space *space, struct ioasid_area *area)
{
	mutex_lock(&space->iova_lock);
	ioasid_iova_erase(space, area);
	mutex_unlock(&space->iova_lock);
}

static struct ioasid_area *first_area(struct ioasid_space *space, u64 first,
				      u64 last)
{
	struct ioasid_area *area;

	mutex_lock(&space->iova_lock);
	area = ioasid_iova_first(space, first, last);
	mutex_unlock(&space->iova_lock);
	return area;
}

/* The areas have no pages, and are freed with the test */
static void put_space(void *data)
{
	struct ioasid_space *space = data;

	ioasid_iova_clear(space);
	ioasid_space_put(space);
}

static struct ioasid_space *new_space(struct kunit *test)
{
	struct ioasid_extack extack;
	struct ioasid_space *space;

	ioasid_extack_init(&extack);
	space = ioasid_space_scratch(&extack);
	KUNIT_ASSERT_NOT_ERR_OR_NULL(test, space);
	KUNIT_ASSERT_EQ(test, kunit_add_action_or_reset(test, put_space, space),
			0);
	return space;
}

/* Each node has the right hole, and the widest one of its subtree */
static void check_tree(struct kunit *test, struct ioasid_space *space)
{
	struct ioasid_area *area, *below = NULL;
	u32 nr = 0;

	area = first_area(space, 0, U64_MAX);
	for (; area; area = ioasid_iova_next(area), nr++) {
		u64 hole = area->first -
			   (below ? ioasid_area_last(below) + 1 : 0);
		u64 widest = hole;
		struct rb_node *child[] = {
			area->node.rb_left, area->node.rb_right,
		};
		u32 i;

		if (below)
			KUNIT_ASSERT_GT(test, area->first,
					ioasid_area_last(below));
		KUNIT_ASSERT_EQ(test, area->hole, hole);
		for (i = 0; i < 2; i++)
			if (child[i])
				widest = max(widest,
					     rb_entry(child[i],
						      struct ioasid_area,
						      node)->widest);
		KUNIT_ASSERT_EQ(test, area->widest, widest);
		below = area;
	}
	KUNIT_ASSERT_EQ(test, space->nr_areas, nr);
}

static void reserve(struct kunit *test, struct ioasid_space *space,
		    const struct ioasid_iova_range *r, u32 nr)
{
	struct ioasid_iova_range *copy;

	copy = kvmemdup(r, nr * sizeof(*r), GFP_KERNEL);
	KUNIT_ASSERT_NOT_NULL(test, copy);
	KUNIT_ASSERT_EQ(test, ioasid_iova_make_room(space, nr), 0);
	kvfree(space->reserved);
	space->reserved = copy;
	space->nr_reserved = nr;
	ioasid_iova_update(space);
}

/* Only the windows are usable, except for some of their pages */
static void reserve_around(struct kunit *test, struct ioasid_space *space,
			   struct model *m, struct rnd_state *rnd)
{
	struct ioasid_iova_range *r;
	u32 w, p, nr = 0;

	r = kunit_kcalloc(test, NR_WINDOWS * (WINDOW + 1), sizeof(*r),
			  GFP_KERNEL);
	KUNIT_ASSERT_NOT_NULL(test, r);
	for (w = 0; w < NR_WINDOWS; w++) {
		u64 end = window_base[w] + WINDOW * PAGE_SIZE;

		for (p = 0; p < WINDOW; p++) {
			u64 at = window_base[w] + p * PAGE_SIZE;

			m->reserved[w][p] = !itest_below(rnd, 16);
			if (!m->reserved[w][p])
				continue;
			r[nr].first = at;
			r[nr++].last = at + PAGE_SIZE - 1;
		}
		if (w + 1 == NR_WINDOWS)
			break;
		r[nr].first = end;
		r[nr++].last = window_base[w + 1] - 1;
	}
	reserve(test, space, r, nr);
}

static int model_fixed(struct model *m, u32 w, u32 p, u32 nr)
{
	u32 i;

	for (i = p; i < p + nr; i++)
		if (m->reserved[w][i])
			return -ERANGE;
	for (i = p; i < p + nr; i++)
		if (m->owner[w][i])
			return -EEXIST;
	return 0;
}

/* The lowest place for that many pages, or U64_MAX */
static u64 model_lowest(struct model *m, u32 nr)
{
	u32 w, p, run;

	for (w = 0; w < NR_WINDOWS; w++)
		for (p = 0, run = 0; p < WINDOW; p++) {
			/* IOVA 0 is never chosen */
			if (m->reserved[w][p] || m->owner[w][p] || (!w && !p))
				run = 0;
			else if (++run == nr)
				return window_base[w] + (p + 1 - nr) * PAGE_SIZE;
		}
	return U64_MAX;
}

static void model_set(struct model *m, u64 iova, u32 nr,
		      struct ioasid_area *area)
{
	u32 w;

	for (w = 0; w < NR_WINDOWS; w++) {
		u64 p = (iova - window_base[w]) >> PAGE_SHIFT;

		for (; p < WINDOW && nr; p++, nr--)
			m->owner[w][p] = area;
	}
}

static void try_fixed(struct kunit *test, struct ioasid_space *space,
		      struct model *m, struct rnd_state *rnd)
{
	struct ioasid_area *area = kunit_kzalloc(test, sizeof(*area), GFP_KERNEL);
	u32 w = itest_below(rnd, NR_WINDOWS), p = itest_below(rnd, WINDOW);
	u32 nr = 1 + itest_below(rnd, min(8, WINDOW - p));
	u64 iova = window_base[w] + p * PAGE_SIZE;
	int rc, want = model_fixed(m, w, p, nr);
	struct ioasid_extack extack;
	u32 i;

	KUNIT_ASSERT_NOT_NULL(test, area);
	ioasid_extack_init(&extack);
	rc = put_area(space, area, &iova, nr * PAGE_SIZE, true, &extack);
	KUNIT_ASSERT_EQ(test, rc, want);
	if (!rc) {
		model_set(m, iova, nr, area);
		return;
	}
	kunit_kfree(test, area);
	KUNIT_ASSERT_EQ(test, extack.code,
			rc == -EEXIST ? (u32)IOASID_REASON_OVERLAP :
					(u32)IOASID_REASON_UNUSABLE);
	for (i = p; rc == -EEXIST && i < p + nr; i++)
		if (m->owner[w][i]) {
			KUNIT_ASSERT_EQ(test, extack.value,
					m->owner[w][i]->first);
			break;
		}
}

static void try_anywhere(struct kunit *test, struct ioasid_space *space,
			 struct model *m, struct rnd_state *rnd)
{
	struct ioasid_area *area = kunit_kzalloc(test, sizeof(*area), GFP_KERNEL);
	u32 nr = 1 + itest_below(rnd, 12), w, p;
	u64 iova = (u64)prandom_u32_state(rnd) << PAGE_SHIFT;
	u64 lowest = model_lowest(m, nr);
	struct ioasid_extack extack;
	int rc;

	KUNIT_ASSERT_NOT_NULL(test, area);
	ioasid_extack_init(&extack);
	rc = put_area(space, area, &iova, nr * PAGE_SIZE, false, &extack);
	KUNIT_ASSERT_EQ(test, rc, lowest == U64_MAX ? -ENOSPC : 0);
	if (rc) {
		KUNIT_ASSERT_EQ(test, extack.code, (u32)IOASID_REASON_NO_ROOM);
		KUNIT_ASSERT_EQ(test, extack.value, nr * PAGE_SIZE);
		kunit_kfree(test, area);
		return;
	}
	/* Wherever the last search has ended */
	KUNIT_ASSERT_EQ(test, iova, lowest);
	for (w = 0; w < NR_WINDOWS; w++) {
		p = (iova - window_base[w]) >> PAGE_SHIFT;
		if (iova >= window_base[w] && p < WINDOW)
			break;
	}
	KUNIT_ASSERT_LT(test, w, (u32)NR_WINDOWS);
	KUNIT_ASSERT_LE(test, p + nr, (u32)WINDOW);
	KUNIT_ASSERT_EQ(test, model_fixed(m, w, p, nr), 0);
	model_set(m, iova, nr, area);
}

static void try_erase(struct kunit *test, struct ioasid_space *space,
		      struct model *m, struct rnd_state *rnd)
{
	struct ioasid_area *area;

	area = m->owner[itest_below(rnd, NR_WINDOWS)][itest_below(rnd, WINDOW)];
	if (!area)
		return;
	model_set(m, area->first, area->nr, NULL);
	drop_area(space, area);
	kunit_kfree(test, area);
}

static void try_first(struct kunit *test, struct ioasid_space *space,
		      struct model *m, struct rnd_state *rnd)
{
	u32 w = itest_below(rnd, NR_WINDOWS), v = itest_below(rnd, NR_WINDOWS);
	u32 p = itest_below(rnd, WINDOW), q = itest_below(rnd, WINDOW);
	u64 first = window_base[w] + p * PAGE_SIZE + itest_below(rnd, PAGE_SIZE);
	u64 last = window_base[v] + q * PAGE_SIZE + itest_below(rnd, PAGE_SIZE);
	struct ioasid_area *want = NULL;

	if (last < first)
		return;
	for (; !want && (w < v || (w == v && p <= q)); p++) {
		if (p == WINDOW) {
			p = -1;
			w++;
			continue;
		}
		want = m->owner[w][p];
	}
	KUNIT_ASSERT_PTR_EQ(test, first_area(space, first, last), want);
}

static void random_places(struct kunit *test)
{
	struct model *m = kunit_kzalloc(test, sizeof(*m), GFP_KERNEL);
	struct ioasid_space *space = new_space(test);
	struct rnd_state rnd;
	u32 i, fill;

	KUNIT_ASSERT_NOT_NULL(test, m);
	itest_seed(test, &rnd);
	reserve_around(test, space, m, &rnd);
	for (i = 0; i < itest_rounds(20000); i++) {
		/* Fills and empties the space in turn */
		fill = 2 + (i >> 10) % 6;
		if (itest_below(&rnd, 8) >= fill)
			try_erase(test, space, m, &rnd);
		else if (itest_below(&rnd, 2))
			try_fixed(test, space, m, &rnd);
		else
			try_anywhere(test, space, m, &rnd);
		try_first(test, space, m, &rnd);
		if (!(i % 64))
			check_tree(test, space);
	}
}

static const u64 aligns[] = { SZ_1G, SZ_2M, SZ_4K };

static int compare_areas(const void *a, const void *b)
{
	const struct ioasid_area *x = *(void **)a, *y = *(void **)b;

	return x->first < y->first ? -1 : x->first > y->first;
}

/* The widest hole between sorted areas in [first, last] */
static u64 widest_hole(struct ioasid_area **area, u32 nr, u64 first, u64 last)
{
	u64 at = first, widest = 0;
	u32 i;

	for (i = 0; i < nr; i++) {
		widest = max(widest, area[i]->first - at);
		at = ioasid_area_last(area[i]) + 1;
	}
	return max(widest, last + 1 - at);
}

/* The alignment allows huge pages of the IOMMU for huge pages of the memory */
static void alignment(struct kunit *test)
{
	static const u64 lengths[] = {
		SZ_4K, SZ_64K, SZ_1M, SZ_2M, SZ_2M + SZ_4K, 3 * SZ_1M, SZ_64M,
		SZ_512M, SZ_1G, SZ_1G + SZ_2M, SZ_2G,
	};
	const struct ioasid_iova_range edges[] = {
		{ 0, SZ_4G - 1 }, { 20ULL * SZ_1G, U64_MAX },
	};
	struct ioasid_space *space = new_space(test);
	struct ioasid_area **area, *pool;
	u32 i, nr = 0, round;
	struct rnd_state rnd;

	area = kunit_kcalloc(test, 512, sizeof(*area), GFP_KERNEL);
	pool = kunit_kcalloc(test, 4096, sizeof(*pool), GFP_KERNEL);
	KUNIT_ASSERT_NOT_NULL(test, area);
	KUNIT_ASSERT_NOT_NULL(test, pool);
	itest_seed(test, &rnd);
	reserve(test, space, edges, ARRAY_SIZE(edges));
	for (round = 0; round < itest_rounds(4096); round++) {
		u64 length = lengths[itest_below(&rnd, ARRAY_SIZE(lengths))];
		u64 addr = (u64)prandom_u32_state(&rnd) << PAGE_SHIFT;
		u64 iova = addr, widest;
		struct ioasid_extack extack;
		int rc;

		if (nr == 512 || (nr && !itest_below(&rnd, 3))) {
			i = itest_below(&rnd, nr);
			drop_area(space, area[i]);
			area[i] = area[--nr];
		}
		sort(area, nr, sizeof(*area), compare_areas, NULL);
		widest = widest_hole(area, nr, SZ_4G, 20ULL * SZ_1G - 1);
		ioasid_extack_init(&extack);
		rc = put_area(space, &pool[round], &iova, length, false,
			      &extack);
		KUNIT_ASSERT_EQ(test, rc, widest >= length ? 0 : -ENOSPC);
		if (rc)
			continue;
		KUNIT_ASSERT_GE(test, iova, (u64)SZ_4G);
		KUNIT_ASSERT_LE(test, iova + length, 20ULL * SZ_1G);
		for (i = 0; i < ARRAY_SIZE(aligns); i++) {
			if (length < aligns[i] ||
			    widest < length + aligns[i] - PAGE_SIZE)
				continue;
			KUNIT_ASSERT_EQ(test, (iova - addr) & (aligns[i] - 1),
					0ULL);
			break;
		}
		area[nr++] = &pool[round];
	}
	check_tree(test, space);
}

/* Of an area: its number of pages has 32 bits */
#define LONGEST	((u64)U32_MAX << PAGE_SHIFT)

/* Too long for an alignment, or for the space */
static void no_such_length(struct kunit *test)
{
	static const struct ioasid_iova_range edge = { 0, -LONGEST - 1 };
	struct ioasid_space *space = new_space(test);
	struct ioasid_area area = {};
	struct ioasid_extack extack;
	u64 iova = 0;

	/* Longer than an area can be, as COPY asks for the place of several */
	ioasid_extack_init(&extack);
	KUNIT_ASSERT_EQ(test,
			find_place(space, &iova, -PAGE_SIZE, false, &extack),
			0);
	KUNIT_ASSERT_EQ(test, iova, PAGE_SIZE);
	/* The whole space, at a fixed IOVA */
	iova = 0;
	KUNIT_ASSERT_EQ(test,
			find_place(space, &iova, U64_MAX, true, &extack), 0);
	/* The last usable range, to its end */
	reserve(test, space, &edge, 1);
	KUNIT_ASSERT_EQ(test,
			find_place(space, &iova, LONGEST + PAGE_SIZE, false,
				   &extack),
			-ENOSPC);
	iova = 0;
	KUNIT_ASSERT_EQ(test,
			put_area(space, &area, &iova, LONGEST, false, &extack),
			0);
	KUNIT_ASSERT_EQ(test, area.first, -LONGEST);
	KUNIT_ASSERT_EQ(test, ioasid_area_last(&area), U64_MAX);
	iova = 0;
	KUNIT_ASSERT_EQ(test,
			put_area(space, &area, &iova, PAGE_SIZE, false,
				 &extack),
			-ENOSPC);
	iova = -PAGE_SIZE;
	KUNIT_ASSERT_EQ(test,
			find_place(space, &iova, PAGE_SIZE, true, &extack),
			-EEXIST);
	drop_area(space, &area);
}

static u32 *permutation(struct kunit *test, u32 nr, struct rnd_state *rnd)
{
	u32 *p = kvmalloc_array(nr, sizeof(*p), GFP_KERNEL), i;

	KUNIT_ASSERT_NOT_NULL(test, p);
	for (i = 0; i < nr; i++)
		p[i] = i;
	for (i = nr - 1; i; i--) {
		u32 k = itest_below(rnd, i + 1);

		swap(p[i], p[k]);
	}
	return p;
}

#define MANY	40000

static void many_areas(struct kunit *test)
{
	struct ioasid_space *space = new_space(test);
	struct ioasid_area *area, *at;
	struct ioasid_extack extack;
	struct rnd_state rnd;
	u32 i, *order;
	u64 iova;

	itest_seed(test, &rnd);
	area = kvcalloc(MANY, sizeof(*area), GFP_KERNEL);
	KUNIT_ASSERT_NOT_NULL(test, area);
	order = permutation(test, MANY, &rnd);
	ioasid_extack_init(&extack);
	/* Every second page, in any order */
	for (i = 0; i < MANY; i++) {
		iova = (u64)order[i] * 2 * PAGE_SIZE;
		KUNIT_ASSERT_EQ(test,
				put_area(space, &area[order[i]], &iova,
					 PAGE_SIZE, true, &extack),
				0);
	}
	at = first_area(space, 0, U64_MAX);
	for (i = 0; i < MANY; i++, at = ioasid_iova_next(at))
		KUNIT_ASSERT_PTR_EQ(test, at, &area[i]);
	KUNIT_ASSERT_NULL(test, at);
	check_tree(test, space);
	/* Erases the odd ones; then all holes but the last have three pages */
	for (i = 1; i < MANY; i += 2)
		drop_area(space, &area[i]);
	check_tree(test, space);
	for (i = 1; i < MANY; i += 2) {
		iova = 0;
		KUNIT_ASSERT_EQ(test,
				put_area(space, &area[i], &iova, 3 * PAGE_SIZE,
					 false, &extack),
				0);
		/* Holes are used before the end of the space */
		KUNIT_ASSERT_LT(test, iova, (u64)MANY * 2 * PAGE_SIZE);
	}
	check_tree(test, space);
	for (i = 0; i < MANY; i++)
		drop_area(space, &area[order[i]]);
	KUNIT_ASSERT_NULL(test, first_area(space, 0, U64_MAX));
	KUNIT_ASSERT_EQ(test, space->nr_areas, 0U);
	kvfree(order);
	kvfree(area);
}

/* --- usable ranges --- */

#define NR_CELLS	24
#define NR_SOURCES	4

/**
 * struct constraints - constraints of the usable ranges
 * @border: first address of each cell
 * @att: attached groups, or NULL
 * @dom: domains
 * @page_table: domain of the IOMMU core of each of @dom
 * @in: @dom is in the space
 */
struct constraints {
	u64 border[NR_CELLS];
	struct ioasid_attachment *att[NR_SOURCES];
	struct ioasid_domain dom[NR_SOURCES];
	struct itest_domain *page_table[NR_SOURCES];
	bool in[NR_SOURCES];
};

static u64 cell_last(struct constraints *c, u32 i)
{
	return i + 1 < NR_CELLS ? c->border[i + 1] - 1 : U64_MAX;
}

static void model_cut(struct constraints *c, bool *usable, u64 first, u64 last)
{
	u32 i;

	for (i = 0; i < NR_CELLS; i++)
		if (c->border[i] <= last && cell_last(c, i) >= first)
			usable[i] = false;
}

static void check_usable(struct kunit *test, struct ioasid_space *space,
			 struct constraints *c)
{
	bool usable[NR_CELLS];
	u32 i, k, nr = 0;

	memset(usable, true, sizeof(usable));
	for (i = 0; i < NR_SOURCES; i++) {
		struct iommu_domain_geometry *g =
			&c->page_table[i]->domain.geometry;

		for (k = 0; c->att[i] && k < c->att[i]->regions->nr; k++)
			model_cut(c, usable, c->att[i]->regions->range[k].first,
				  c->att[i]->regions->range[k].last);
		if (!c->in[i] || !g->force_aperture)
			continue;
		if (g->aperture_start)
			model_cut(c, usable, 0, g->aperture_start - 1);
		if (g->aperture_end != U64_MAX)
			model_cut(c, usable, g->aperture_end + 1, U64_MAX);
	}
	for (k = 0; k < space->nr_reserved; k++)
		model_cut(c, usable, space->reserved[k].first,
			  space->reserved[k].last);
	for (i = 0; i < NR_CELLS; i = k) {
		for (k = i + 1; k < NR_CELLS && usable[k] && usable[i]; k++)
			;
		if (!usable[i])
			continue;
		KUNIT_ASSERT_LT(test, nr, space->nr_usable);
		KUNIT_ASSERT_EQ(test, space->usable[nr].first, c->border[i]);
		KUNIT_ASSERT_EQ(test, space->usable[nr].last,
				cell_last(c, k - 1));
		nr++;
	}
	KUNIT_ASSERT_EQ(test, space->nr_usable, nr);
	KUNIT_ASSERT_LE(test, space->nr_usable, space->max_usable);
}

/* Some cells, in any order and possibly twice, as devices can reserve them */
static void random_ranges(struct constraints *c, struct rnd_state *rnd,
			  struct ioasid_iova_range *r, u32 nr)
{
	u32 i, from, to;

	for (i = 0; i < nr; i++) {
		from = itest_below(rnd, NR_CELLS);
		to = min(from + itest_below(rnd, 3), NR_CELLS - 1);
		r[i].first = c->border[from];
		r[i].last = cell_last(c, to);
	}
}

static void toggle_attachment(struct kunit *test, struct ioasid_space *space,
			      struct constraints *c, u32 i,
			      struct rnd_state *rnd)
{
	struct ioasid_attachment *att = c->att[i];
	u32 nr = itest_below(rnd, 5);

	if (att) {
		list_del(&att->space_link);
		ioasid_attachment_free(att);
		c->att[i] = NULL;
		return;
	}
	att = kzalloc(sizeof(*att), GFP_KERNEL);
	KUNIT_ASSERT_NOT_NULL(test, att);
	att->regions = kzalloc(struct_size(att->regions, range, nr), GFP_KERNEL);
	KUNIT_ASSERT_NOT_NULL(test, att->regions);
	refcount_set(&att->regions->ref, 1);
	att->regions->nr = nr;
	random_ranges(c, rnd, att->regions->range, nr);
	KUNIT_ASSERT_EQ(test, ioasid_iova_make_room(space, nr), 0);
	list_add_tail(&att->space_link, &space->attachments);
	c->att[i] = att;
}

static void toggle_domain(struct ioasid_space *space, struct constraints *c,
			  u32 i, struct rnd_state *rnd)
{
	struct iommu_domain_geometry *g = &c->page_table[i]->domain.geometry;
	u32 from = itest_below(rnd, NR_CELLS / 4);
	u32 to = NR_CELLS - 1 - itest_below(rnd, NR_CELLS / 4);

	c->in[i] = !c->in[i];
	if (!c->in[i]) {
		list_del(&c->dom[i].link);
		return;
	}
	g->force_aperture = itest_below(rnd, 4);
	g->aperture_start = c->border[from];
	g->aperture_end = cell_last(c, to);
	c->dom[i].domain = &c->page_table[i]->domain;
	list_add_tail(&c->dom[i].link, &space->domains);
}

static void random_reserve(struct kunit *test, struct ioasid_space *space,
			   struct constraints *c, struct rnd_state *rnd)
{
	struct ioasid_iova_range r[4];
	u32 nr = itest_below(rnd, ARRAY_SIZE(r) + 1);

	random_ranges(c, rnd, r, nr);
	reserve(test, space, r, nr);
}

/* Adds and removes constraints; removing needs no memory */
static void usable_ranges(struct kunit *test)
{
	struct ioasid_space *space = new_space(test);
	struct constraints *c = kunit_kzalloc(test, sizeof(*c), GFP_KERNEL);
	struct rnd_state rnd;
	u32 i, k, room;

	KUNIT_ASSERT_NOT_NULL(test, c);
	itest_seed(test, &rnd);
	for (i = 1; i < NR_CELLS; i++)
		c->border[i] = i < NR_CELLS / 2 ? i * PAGE_SIZE :
			       -(u64)(NR_CELLS - i) * PAGE_SIZE;
	for (i = 0; i < NR_SOURCES; i++)
		c->page_table[i] = itest_domain_new(test);
	for (k = 0; k < itest_rounds(3000); k++) {
		i = itest_below(&rnd, NR_SOURCES);
		room = space->max_usable;
		switch (itest_below(&rnd, 3)) {
		case 0:
			toggle_attachment(test, space, c, i, &rnd);
			break;
		case 1:
			toggle_domain(space, c, i, &rnd);
			break;
		default:
			random_reserve(test, space, c, &rnd);
		}
		ioasid_iova_update(space);
		KUNIT_ASSERT_GE(test, space->max_usable, room);
		check_usable(test, space, c);
	}
	for (i = 0; i < NR_SOURCES; i++) {
		if (c->att[i])
			toggle_attachment(test, space, c, i, &rnd);
		if (c->in[i])
			toggle_domain(space, c, i, &rnd);
		ioasid_iova_update(space);
		check_usable(test, space, c);
	}
}

#define AT(page)	((page) * PAGE_SIZE)

/* Who asks for an unusable range is told where there is a usable one */
static void nearest_usable(struct kunit *test)
{
	static const struct ioasid_iova_range around[] = {
		{ 0, AT(1) - 1 }, { AT(3), AT(8) - 1 }, { AT(9), U64_MAX },
	};
	static const struct ioasid_iova_range all = { 0, U64_MAX };
	/* Pages 1 and 2 are usable, and page 8 */
	static const struct {
		u32 page;
		u32 nr;
		u32 nearest;
		u32 end;
	} want[] = {
		{ 0, 1, 1, 3 },
		{ 0, 2, 1, 3 },
		{ 2, 2, 1, 3 },
		{ 3, 1, 1, 3 },
		{ 5, 1, 1, 3 },
		{ 6, 1, 8, 9 },
		{ 7, 2, 8, 9 },
		{ 8, 2, 8, 9 },
		{ 9, 1, 8, 9 },
	};
	struct ioasid_space *space = new_space(test);
	struct ioasid_extack extack;
	struct ioasid_area area = {};
	char text[64];
	u64 iova;
	u32 i;

	reserve(test, space, around, ARRAY_SIZE(around));
	for (i = 0; i < ARRAY_SIZE(want); i++) {
		ioasid_extack_init(&extack);
		iova = AT(want[i].page);
		KUNIT_EXPECT_EQ(test, -ERANGE,
				put_area(space, &area, &iova, AT(want[i].nr),
					 true, &extack));
		snprintf(text, sizeof(text), "the nearest is %#lx-%#lx",
			 AT(want[i].nearest), AT(want[i].end) - 1);
		KUNIT_EXPECT_NOT_NULL_MSG(test, strstr(extack.msg, text),
					  "no '%s' in '%s'", text, extack.msg);
	}
	reserve(test, space, &all, 1);
	ioasid_extack_init(&extack);
	KUNIT_EXPECT_EQ(test, -ERANGE,
			put_area(space, &area, &iova, PAGE_SIZE, true, &extack));
	KUNIT_EXPECT_NOT_NULL_MSG(test, strstr(extack.msg, "no usable range"),
				  "%s", extack.msg);
	/* The longest sentence that there can be */
	reserve(test, space, around, 2);
	space->id = S32_MAX;
	iova = AT(3);
	ioasid_extack_init(&extack);
	KUNIT_EXPECT_EQ(test, -ERANGE,
			put_area(space, &area, &iova, -AT(4), true, &extack));
	KUNIT_EXPECT_LT(test, strlen(extack.msg), sizeof(extack.msg) - 1);
}

static struct kunit_case ioasid_iova_cases[] = {
	KUNIT_CASE(random_places),
	KUNIT_CASE(alignment),
	KUNIT_CASE(no_such_length),
	KUNIT_CASE(many_areas),
	KUNIT_CASE(usable_ranges),
	KUNIT_CASE(nearest_usable),
	{}
};

static struct kunit_suite ioasid_iova_suite = {
	.name = "ioasid_iova",
	.test_cases = ioasid_iova_cases,
};
kunit_test_suite(ioasid_iova_suite);
