// SPDX-License-Identifier: GPL-2.0
/*
 * MAP and UNMAP of many ranges in one call: all or nothing, and the extack
 * tells which range it was, wherever in the vector that is.
 */
#include "spaces.h"

#define NR		1000
#define STRIDE		(4 * T_PAGE)

/* Ranges that map single pages of self->mem, STRIDE apart */
static struct ioasid_map_range *ranges_of(FIXTURE_DATA(space) *self, u32 nr, u32 flags)
{
	struct ioasid_map_range *r = calloc(nr, sizeof(*r));
	u32 i;

	for (i = 0; i < nr; i++) {
		r[i].iova = SPACE_AT + i * STRIDE;
		r[i].addr = (uintptr_t)self->mem + i % SPACE_PAGES * T_PAGE;
		r[i].length = T_PAGE;
		r[i].flags = flags;
	}
	return r;
}

static struct ioasid_unmap_range *unmap_ranges(u32 nr)
{
	struct ioasid_unmap_range *r = calloc(nr, sizeof(*r));
	u32 i;

	for (i = 0; i < nr; i++) {
		r[i].iova = SPACE_AT + i * STRIDE;
		r[i].length = T_PAGE;
	}
	return r;
}

static void map_and_unmap(struct __test_metadata *_metadata, FIXTURE_DATA(space) *self, u32 nr)
{
	struct ioasid_map_range *r = ranges_of(self, nr, T_FIXED_RW);
	struct ioasid_unmap_range *u = unmap_ranges(nr);
	struct ioasid_translate tr;

	ASSERT_OK(t_mapv(self->fd, self->id, r, nr));
	EXPECT_EQ(nr, t_nr_mappings(self->fd));
	EXPECT_EQ(nr * T_PAGE, t_mapped(self->fd));
	ASSERT_OK(t_translate(self->fd, self->id, r[nr - 1].iova, 0, &tr));
	EXPECT_EQ(r[nr - 1].addr, tr.addr);
	EXPECT_EQ((long long)(nr * T_PAGE), t_unmapv(self->fd, self->id, u, nr));
	EXPECT_EQ(0, t_nr_mappings(self->fd));
	EXPECT_EQ(0, t_pinned(self->fd));
	if (self->pins >= 0)
		EXPECT_EQ(self->pins, t_pinned_pages());
	free(r);
	free(u);
}

TEST_F(space, vector_of_1)
{
	map_and_unmap(_metadata, self, 1);
}

TEST_F(space, vector_of_2)
{
	map_and_unmap(_metadata, self, 2);
}

TEST_F(space, vector_of_1000)
{
	map_and_unmap(_metadata, self, 1000);
}

TEST_F_TIMEOUT(space, vector_of_65536, 300)
{
	map_and_unmap(_metadata, self, IOASID_MAX_VECTOR);
}

TEST_F(space, vector_too_long)
{
	struct ioasid_map_range *r = ranges_of(self, IOASID_MAX_VECTOR + 1, T_FIXED_RW);
	struct ioasid_unmap_range *u = unmap_ranges(IOASID_MAX_VECTOR + 1);
	struct ioasid_iova_range reserve = { 0, T_PAGE - 1 };

	EXPECT_FAIL(E2BIG, LIMIT, t_mapv(self->fd, self->id, r, IOASID_MAX_VECTOR + 1));
	EXPECT_FAIL(E2BIG, LIMIT, t_mapv(self->fd, self->id, r, UINT32_MAX));
	EXPECT_FAIL(E2BIG, LIMIT, t_unmapv(self->fd, self->id, u, IOASID_MAX_VECTOR + 1));
	EXPECT_FAIL(E2BIG, LIMIT, t_reserve(self->fd, self->id, &reserve, IOASID_MAX_RESERVE + 1));
	EXPECT_EQ(0, t_nr_mappings(self->fd));
}

TEST_F(space, vector_of_none)
{
	struct ioasid_map_range *r = ranges_of(self, 1, T_FIXED_RW);
	struct ioasid_unmap_range *u = unmap_ranges(1);

	EXPECT_FAIL(EINVAL, VALUE, t_mapv(self->fd, self->id, r, 0));
	EXPECT_FAIL(EINVAL, VALUE, t_unmapv(self->fd, self->id, u, 0));
}

/* --- elements of a program that is newer than the kernel --- */

struct new_map {
	struct ioasid_map_range old;
	u64 more[3];
};

struct new_unmap {
	struct ioasid_unmap_range old;
	u32 more;
	u32 pad;
};

struct new_range {
	struct ioasid_iova_range old;
	u64 more;
};

static int map_new(FIXTURE_DATA(space) *self, struct new_map *r, u32 nr, u32 size)
{
	struct ioasid_map cmd = {
		.size = sizeof(cmd), .ioasid = self->id, .nr = nr, .ranges = (uintptr_t)r,
		.range_size = size,
	};

	return t_cmd(self->fd, IOASID_MAP, &cmd);
}

static int unmap_new(FIXTURE_DATA(space) *self, struct new_unmap *r, u32 nr, u32 size)
{
	struct ioasid_unmap cmd = {
		.size = sizeof(cmd), .ioasid = self->id, .nr = nr, .ranges = (uintptr_t)r,
		.range_size = size,
	};

	return t_cmd(self->fd, IOASID_UNMAP, &cmd);
}

static int reserve_new(FIXTURE_DATA(space) *self, struct new_range *r, u32 nr, u32 size)
{
	struct ioasid_reserve cmd = {
		.size = sizeof(cmd), .ioasid = self->id, .nr = nr, .ranges = (uintptr_t)r,
		.range_size = size,
	};

	return t_cmd(self->fd, IOASID_RESERVE, &cmd);
}

static int ranges_new(FIXTURE_DATA(space) *self, struct new_range *r, u32 nr, u32 size)
{
	struct ioasid_space_info cmd = {
		.size = sizeof(cmd), .ioasid = self->id, .nr_ranges = nr, .ranges = (uintptr_t)r,
		.range_size = size,
	};

	return t_cmd(self->fd, IOASID_SPACE_INFO, &cmd);
}

/* A size that is too small or absurd, for one element and for several */
static void try_sizes(struct __test_metadata *_metadata, FIXTURE_DATA(space) *self)
{
	struct new_map map[2] = { 0 };
	struct new_unmap unmap[2] = { 0 };
	struct new_range range[SPACE_RANGES] = { 0 };
	u32 nr;

	for (nr = 1; nr <= 2; nr++) {
		EXPECT_FAIL(EINVAL, SIZE, map_new(self, map, nr, 0));
		EXPECT_FAIL(EINVAL, SIZE, map_new(self, map, nr, sizeof(map[0].old) - 1));
		EXPECT_EQ(sizeof(map[0].old), t_extack.value);
		EXPECT_FAIL(E2BIG, SIZE, map_new(self, map, nr, UINT32_MAX));
		EXPECT_FAIL(EINVAL, SIZE, unmap_new(self, unmap, nr, sizeof(unmap[0].old) - 1));
		EXPECT_FAIL(E2BIG, SIZE, unmap_new(self, unmap, nr, T_PAGE + 1));
		EXPECT_FAIL(EINVAL, SIZE, reserve_new(self, range, nr, sizeof(range[0].old) - 1));
		EXPECT_FAIL(E2BIG, SIZE, reserve_new(self, range, nr, 1u << 31));
	}
	EXPECT_FAIL(EINVAL, SIZE, ranges_new(self, range, SPACE_RANGES, 8));
	EXPECT_FAIL(E2BIG, SIZE, ranges_new(self, range, SPACE_RANGES, T_PAGE + 8));
}

TEST_F(space, vector_element_sizes)
{
	try_sizes(_metadata, self);
	EXPECT_EQ(0, t_nr_mappings(self->fd));
}

TEST_F(space, vector_of_newer_elements)
{
	struct new_range range[SPACE_RANGES], hole[2] = {
		{ { 0, T_PAGE - 1 }, 0 }, { { SPACE_AT, SPACE_AT + T_PAGE - 1 }, 0 },
	};
	struct ioasid_translate tr;
	struct new_map map[4] = { 0 };
	struct new_unmap unmap[4] = { 0 };
	int i, last;

	for (i = 0; i < 4; i++) {
		map[i].old = (struct ioasid_map_range){ 0, (uintptr_t)self->mem + i * T_PAGE, T_PAGE,
							T_RW, 0 };
		/* The last byte that the kernel does not know */
		map[i].more[2] = 1ULL << 63;
		EXPECT_FAIL(E2BIG, SIZE, map_new(self, map, 4, sizeof(map[0])));
		EXPECT_EQ(i, t_extack.index);
		EXPECT_FAIL(E2BIG, SIZE, map_new(self, &map[i], 1, sizeof(map[0])));
		map[i].more[2] = 0;
	}
	EXPECT_EQ(0, t_pinned(self->fd));
	ASSERT_OK(map_new(self, map, 4, sizeof(map[0])));
	for (i = 0; i < 4; i++) {
		ASSERT_OK(t_translate(self->fd, self->id, map[i].old.iova, 0, &tr));
		EXPECT_EQ(map[i].old.addr, tr.addr);
		EXPECT_EQ(-1, t_not_byte(map[i].more, sizeof(map[i].more), 0));
		unmap[i].old = (struct ioasid_unmap_range){ map[i].old.iova, T_PAGE };
	}
	unmap[3].more = 1;
	EXPECT_FAIL(E2BIG, SIZE, unmap_new(self, unmap, 4, sizeof(unmap[0])));
	EXPECT_EQ(3, t_extack.index);
	EXPECT_EQ(4, t_nr_mappings(self->fd));
	unmap[3].more = 0;
	EXPECT_OK(unmap_new(self, unmap, 4, sizeof(unmap[0])));
	EXPECT_EQ(0, t_nr_mappings(self->fd));

	hole[1].more = 1;
	EXPECT_FAIL(E2BIG, SIZE, reserve_new(self, hole, 2, sizeof(hole[0])));
	EXPECT_EQ(1, t_extack.index);
	hole[1].more = 0;
	ASSERT_OK(reserve_new(self, hole, 2, sizeof(hole[0])));
	memset(range, 0xaa, sizeof(range));
	ASSERT_OK(ranges_new(self, range, SPACE_RANGES, sizeof(range[0])));
	last = t_space_ranges(self->fd, self->id, self->ranges, SPACE_RANGES);
	for (i = 0; i < last; i++) {
		EXPECT_EQ(self->ranges[i].first, range[i].old.first);
		EXPECT_EQ(self->ranges[i].last, range[i].old.last);
		EXPECT_EQ(0, range[i].more);
	}
	EXPECT_EQ(-1, t_not_byte(&range[last], sizeof(range[0]), 0xaa));
}

TEST_F(space, vector_pointer)
{
	struct ioasid_map_range *r = mmap(NULL, 2 * T_PAGE, PROT_READ | PROT_WRITE,
					  MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	struct ioasid_map_range *last = r + T_PAGE / sizeof(*r) - 1;

	ASSERT_NE(MAP_FAILED, r);
	ASSERT_EQ(0, munmap((char *)r + T_PAGE, T_PAGE));
	EXPECT_FAIL(EFAULT, POINTER, t_mapv(self->fd, self->id, NULL, 1));
	EXPECT_FAIL(EFAULT, POINTER, t_mapv(self->fd, self->id, (void *)~31ULL, 2));
	EXPECT_FAIL(EFAULT, POINTER, t_unmapv(self->fd, self->id, NULL, 1));
	EXPECT_FAIL(EFAULT, POINTER, t_reserve(self->fd, self->id, NULL, 1));
	/* The second one is where memory ends: the first must not stay mapped */
	*last = (struct ioasid_map_range){ SPACE_AT, (uintptr_t)self->mem, T_PAGE, T_FIXED_RW, 0 };
	EXPECT_FAIL(EFAULT, POINTER, t_mapv(self->fd, self->id, last, 2));
	EXPECT_EQ(0, t_nr_mappings(self->fd));
	EXPECT_OK(t_mapv(self->fd, self->id, last, 1));
}

/* The chosen IOVAs cannot be returned, and nobody would find the mappings */
TEST_F(space, vector_not_writable)
{
	struct ioasid_map_range *r = mmap(NULL, T_PAGE, PROT_READ | PROT_WRITE,
					  MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	int i;

	ASSERT_NE(MAP_FAILED, r);
	for (i = 0; i < 3; i++)
		r[i] = (struct ioasid_map_range){ 0, (uintptr_t)self->mem, T_PAGE, T_RW, 0 };
	ASSERT_EQ(0, mprotect(r, T_PAGE, PROT_READ));
	EXPECT_FAIL(EFAULT, POINTER, t_mapv(self->fd, self->id, r, 3));
	EXPECT_EQ(0, t_nr_mappings(self->fd));
	EXPECT_EQ(0, t_pinned(self->fd));
}

/* One bad range at each place of a vector, with each kind of badness */
enum flaw { UNALIGNED, EMPTY, TAKEN, UNPINNABLE, NO_PERMISSION, WRAPS, UNKNOWN_FLAG, TWICE };

static const struct { enum flaw flaw; int err; u32 reason; } flaws[] = {
	{ UNALIGNED, EINVAL, IOASID_REASON_ALIGNMENT },
	{ EMPTY, EINVAL, IOASID_REASON_VALUE },
	{ TAKEN, EEXIST, IOASID_REASON_OVERLAP },
	{ UNPINNABLE, EFAULT, IOASID_REASON_PIN },
	{ NO_PERMISSION, EINVAL, IOASID_REASON_VALUE },
	{ WRAPS, EOVERFLOW, IOASID_REASON_OVERFLOW },
	{ UNKNOWN_FLAG, EOPNOTSUPP, IOASID_REASON_FLAGS },
	{ TWICE, EEXIST, IOASID_REASON_OVERLAP },
};

static void spoil(struct ioasid_map_range *r, enum flaw flaw)
{
	switch (flaw) {
	case UNALIGNED:
		r->addr++;
		break;
	case EMPTY:
		r->length = 0;
		break;
	case TAKEN:
		r->iova = SPACE_AT - T_PAGE;
		break;
	case UNPINNABLE:
		r->addr = 0x10000;
		break;
	case NO_PERMISSION:
		r->flags &= ~T_RW;
		break;
	case WRAPS:
		r->length = -T_PAGE;
		break;
	case UNKNOWN_FLAG:
		r->flags |= 1u << 30;
		break;
	case TWICE:
		break;
	}
}

TEST_F(space, vector_all_or_nothing)
{
	static const u32 places[] = { 0, 1, NR / 2, NR - 1 };
	struct ioasid_map_range *r, *copy;
	struct ioasid_translate tr;
	size_t i, j;

	ASSERT_OK(t_map_at(self->fd, self->id, self->mem, T_PAGE, T_RW, SPACE_AT - T_PAGE));
	copy = calloc(NR, sizeof(*copy));
	for (i = 0; i < ARRAY_SIZE(flaws); i++) {
		for (j = 0; j < ARRAY_SIZE(places); j++) {
			u32 at = places[j];

			if (flaws[i].flaw == TWICE && !at)
				continue;
			r = ranges_of(self, NR, T_FIXED_RW);
			spoil(&r[at], flaws[i].flaw);
			if (flaws[i].flaw == TWICE)
				r[at].iova = r[0].iova;
			memcpy(copy, r, NR * sizeof(*r));
			EXPECT_EQ(-flaws[i].err, t_mapv(self->fd, self->id, r, NR))
				TH_LOG("flaw %zu at %u: %s", i, at, t_explain());
			EXPECT_EQ(flaws[i].reason, t_extack.code) TH_LOG("%s", t_explain());
			EXPECT_EQ(at, t_extack.index) TH_LOG("%s", t_explain());
			EXPECT_EQ(0, memcmp(copy, r, NR * sizeof(*r)));
			EXPECT_EQ(1, t_nr_mappings(self->fd));
			EXPECT_EQ(T_PAGE, t_pinned(self->fd));
			EXPECT_NE(0, t_translate(self->fd, self->id, SPACE_AT, 0, &tr));
			free(r);
		}
	}
	if (self->pins >= 0)
		EXPECT_EQ(self->pins + 1, t_pinned_pages());
	/* The place is as good as new */
	r = ranges_of(self, NR, T_FIXED_RW);
	EXPECT_OK(t_mapv(self->fd, self->id, r, NR));
}

TEST_F(space, vector_chosen_iovas)
{
	struct ioasid_map_range *r = ranges_of(self, NR, T_RW);
	struct ioasid_translate tr;
	int i;

	ASSERT_OK(t_mapv(self->fd, self->id, r, NR));
	for (i = 0; i < NR; i++) {
		ASSERT_OK(t_translate(self->fd, self->id, r[i].iova, 0, &tr));
		EXPECT_EQ(r[i].iova, tr.map_iova);
		EXPECT_EQ(r[i].addr, tr.addr);
	}
}

/* Fixed and chosen in one vector: the chosen ones keep out of the fixed ones' way */
TEST_F(space, vector_fixed_and_chosen)
{
	struct ioasid_map_range *r = ranges_of(self, NR, T_RW);
	int i;

	for (i = 1; i < NR; i += 2)
		r[i].flags |= IOASID_MAP_FIXED;
	ASSERT_OK(t_mapv(self->fd, self->id, r, NR));
	for (i = 1; i < NR; i += 2)
		EXPECT_EQ(SPACE_AT + i * STRIDE, r[i].iova);
	EXPECT_EQ(NR, t_nr_mappings(self->fd));
}

TEST_F(space, vector_any_order)
{
	struct ioasid_map_range *r = ranges_of(self, NR, T_FIXED_RW), swap;
	struct ioasid_unmap_range *u = unmap_ranges(NR), uswap;
	u32 i, j, seed = 1;

	for (i = NR - 1; i; i--) {
		seed = seed * 1103515245 + 12345;
		j = (seed >> 8) % (i + 1);
		swap = r[i];
		r[i] = r[j];
		r[j] = swap;
		uswap = u[i];
		u[i] = u[j];
		u[j] = uswap;
	}
	ASSERT_OK(t_mapv(self->fd, self->id, r, NR));
	EXPECT_EQ(NR * T_PAGE, t_unmapv(self->fd, self->id, u, NR));
	EXPECT_EQ(0, t_nr_mappings(self->fd));
}

TEST_F(space, unmap_vector_all_or_nothing)
{
	static const u32 places[] = { 0, NR / 2, NR - 1 };
	struct ioasid_unmap_range *u = unmap_ranges(NR), good;
	struct ioasid_map_range *r = ranges_of(self, NR, T_FIXED_RW);
	size_t i;

	r[NR - 1].length = 2 * T_PAGE;
	r[NR - 1].addr = (uintptr_t)self->mem;
	ASSERT_OK(t_mapv(self->fd, self->id, r, NR));
	u[NR - 1].length = 2 * T_PAGE;
	for (i = 0; i < ARRAY_SIZE(places); i++) {
		u32 at = places[i];

		good = u[at];
		u[at].iova += 2 * T_PAGE;
		u[at].length = T_PAGE;
		EXPECT_FAIL(ENOENT, NOT_MAPPED, t_unmapv(self->fd, self->id, u, NR));
		EXPECT_EQ(at, t_extack.index);
		u[at] = good;
		u[at].length += 1;
		EXPECT_FAIL(EINVAL, ALIGNMENT, t_unmapv(self->fd, self->id, u, NR));
		EXPECT_EQ(at, t_extack.index);
		u[at].length = 0;
		EXPECT_FAIL(EINVAL, VALUE, t_unmapv(self->fd, self->id, u, NR));
		EXPECT_EQ(at, t_extack.index);
		u[at] = good;
	}
	u[NR - 1].length = T_PAGE;
	EXPECT_FAIL(EINVAL, SPLIT, t_unmapv(self->fd, self->id, u, NR));
	EXPECT_EQ(NR - 1, t_extack.index);
	EXPECT_EQ(NR, t_nr_mappings(self->fd));
	EXPECT_EQ((NR + 1) * T_PAGE, t_mapped(self->fd));
	u[NR - 1].length = 2 * T_PAGE;
	EXPECT_EQ((NR + 1) * T_PAGE, t_unmapv(self->fd, self->id, u, NR));
}

/* What is empty is passed over; what is wrong still fails, and then nothing goes */
TEST_F(space, unmap_empty_ok)
{
	struct ioasid_unmap_range u[3] = {
		{ SPACE_AT, T_PAGE },
		{ SPACE_AT + STRIDE, T_PAGE },
		{ SPACE_AT + 2 * STRIDE, 2 * T_PAGE },
	};

	ASSERT_OK(t_map_at(self->fd, self->id, self->mem, 2 * T_PAGE, T_RW, u[2].iova));
	EXPECT_FAIL(ENOENT, NOT_MAPPED, t_unmapv(self->fd, self->id, u, 3));
	EXPECT_EQ(0, t_unmapv_empty_ok(self->fd, self->id, u, 2));
	u[2].length = T_PAGE;
	EXPECT_FAIL(EINVAL, SPLIT, t_unmapv_empty_ok(self->fd, self->id, u, 3));
	EXPECT_EQ(2, t_extack.index);
	EXPECT_EQ(1, t_nr_mappings(self->fd));
	u[2].length = 2 * T_PAGE;
	EXPECT_EQ(2 * T_PAGE, t_unmapv_empty_ok(self->fd, self->id, u, 3));
	EXPECT_EQ(0, t_unmapv_empty_ok(self->fd, self->id, u, 3));
	EXPECT_FAIL(ENOENT, NO_SPACE_ID, t_unmapv_empty_ok(self->fd, 12345, u, 3));
}

/* One byte in two ranges: its unmapping would be counted twice */
TEST_F(space, unmap_vector_overlap)
{
	struct ioasid_unmap_range u[3];

	ASSERT_OK(t_map_at(self->fd, self->id, self->mem, T_PAGE, T_RW, SPACE_AT));
	ASSERT_OK(t_map_at(self->fd, self->id, self->mem, T_PAGE, T_RW, SPACE_AT + STRIDE));
	u[0] = (struct ioasid_unmap_range){ SPACE_AT, T_PAGE };
	u[1] = (struct ioasid_unmap_range){ SPACE_AT + STRIDE, T_PAGE };
	u[2] = u[0];
	EXPECT_FAIL(EINVAL, OVERLAP, t_unmapv(self->fd, self->id, u, 3));
	/* They meet where nothing is mapped */
	u[0] = (struct ioasid_unmap_range){ SPACE_AT, 2 * T_PAGE };
	u[1] = (struct ioasid_unmap_range){ SPACE_AT + T_PAGE, STRIDE };
	EXPECT_FAIL(EINVAL, OVERLAP, t_unmapv(self->fd, self->id, u, 2));
	/* One inside the other, the larger one last */
	u[0] = (struct ioasid_unmap_range){ SPACE_AT, T_PAGE };
	u[1] = (struct ioasid_unmap_range){ SPACE_AT, 2 * STRIDE };
	EXPECT_FAIL(EINVAL, OVERLAP, t_unmapv(self->fd, self->id, u, 2));
	EXPECT_EQ(2, t_nr_mappings(self->fd));
	u[0] = (struct ioasid_unmap_range){ SPACE_AT, STRIDE };
	u[1] = (struct ioasid_unmap_range){ SPACE_AT + STRIDE, STRIDE };
	EXPECT_EQ(2 * T_PAGE, t_unmapv(self->fd, self->id, u, 2));
}

/* Adjacent pages, huge IOVA: what a batch that is merged could get wrong */
TEST_F(space, vector_adjacent)
{
	struct ioasid_map_range r[SPACE_PAGES];
	struct ioasid_translate tr;
	int i;

	for (i = 0; i < SPACE_PAGES; i++)
		r[i] = (struct ioasid_map_range){ SPACE_AT + i * T_PAGE,
						  (uintptr_t)self->mem + i * T_PAGE,
						  T_PAGE, T_FIXED_RW, 0 };
	ASSERT_OK(t_mapv(self->fd, self->id, r, SPACE_PAGES));
	/* Still as many mappings as were asked for, each of which can go alone */
	EXPECT_EQ(SPACE_PAGES, t_nr_mappings(self->fd));
	EXPECT_EQ(T_PAGE, t_unmap(self->fd, self->id, SPACE_AT + 7 * T_PAGE, T_PAGE));
	ASSERT_OK(t_translate(self->fd, self->id, SPACE_AT + 6 * T_PAGE, 0, &tr));
	EXPECT_EQ(T_PAGE, tr.map_length);
	EXPECT_FAIL(ENOENT, NOT_MAPPED,
		    t_translate(self->fd, self->id, SPACE_AT + 7 * T_PAGE, 0, &tr));
	EXPECT_EQ((SPACE_PAGES - 1) * (long long)T_PAGE, t_unmap_all(self->fd, self->id));
}

TEST_HARNESS_MAIN
