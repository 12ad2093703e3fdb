// SPDX-License-Identifier: GPL-2.0
/*
 * MAP and UNMAP of one range: which addresses they take, which they refuse and
 * why, where the kernel puts a mapping when it chooses, and that a refused
 * command changes nothing.
 */
#include "spaces.h"

#define map_at(iova, pages)	\
	t_map_at(self->fd, self->id, self->mem, (pages) * T_PAGE, T_RW, iova)

/* Nothing but what these many mappings and pages are in the space */
#define EXPECT_MAPPED(nr, pages) do {						\
	struct ioasid_info __info;						\
										\
	ASSERT_OK(t_info(self->fd, &__info));					\
	EXPECT_EQ((u64)(nr), __info.nr_mappings);				\
	EXPECT_EQ((pages) * T_PAGE, __info.mapped);				\
} while (0)

TEST_F(space, map_and_unmap)
{
	struct ioasid_translate tr;

	ASSERT_OK(map_at(SPACE_AT, 3));
	EXPECT_MAPPED(1, 3);
	EXPECT_EQ(3 * T_PAGE, t_pinned(self->fd));
	if (self->pins >= 0)
		EXPECT_EQ(self->pins + 3, t_pinned_pages());
	ASSERT_OK(t_translate(self->fd, self->id, SPACE_AT + 5000, 0, &tr));
	EXPECT_EQ(SPACE_AT, tr.map_iova);
	EXPECT_EQ(3 * T_PAGE, tr.map_length);
	EXPECT_EQ((uintptr_t)self->mem + 5000, tr.addr);
	EXPECT_EQ(3 * T_PAGE, t_unmap(self->fd, self->id, SPACE_AT, 3 * T_PAGE));
	EXPECT_MAPPED(0, 0);
	EXPECT_EQ(0, t_pinned(self->fd));
	EXPECT_EQ(self->pins, t_pinned_pages());
	EXPECT_FAIL(ENOENT, NOT_MAPPED, t_translate(self->fd, self->id, SPACE_AT, 0, &tr));
}

TEST_F(space, map_alignment)
{
	static const u64 off[] = { 1, 2048, 4095 };
	size_t i;

	for (i = 0; i < ARRAY_SIZE(off); i++) {
		EXPECT_FAIL(EINVAL, ALIGNMENT, map_at(SPACE_AT + off[i], 1));
		EXPECT_FAIL(EINVAL, ALIGNMENT,
			    t_map_at(self->fd, self->id, self->mem + off[i], T_PAGE, T_RW, SPACE_AT));
		EXPECT_FAIL(EINVAL, ALIGNMENT,
			    t_map_at(self->fd, self->id, self->mem, T_PAGE + off[i], T_RW, SPACE_AT));
		EXPECT_FAIL(EINVAL, ALIGNMENT,
			    t_map_at(self->fd, self->id, self->mem, off[i], T_RW, SPACE_AT));
	}
	EXPECT_MAPPED(0, 0);
}

/* Where the kernel chooses, what @iova holds beforehand does not matter */
TEST_F(space, chosen_iova_is_an_output)
{
	struct ioasid_map_range range = {
		.iova = 12345, .addr = (uintptr_t)self->mem, .length = T_PAGE, .flags = T_RW,
	};

	ASSERT_OK(t_mapv(self->fd, self->id, &range, 1));
	EXPECT_EQ(0, range.iova % T_PAGE);
}

TEST_F(space, map_length_zero)
{
	EXPECT_FAIL(EINVAL, VALUE, map_at(SPACE_AT, 0));
	EXPECT_FAIL(EINVAL, VALUE, t_unmap(self->fd, self->id, SPACE_AT, 0));
}

TEST_F(space, map_needs_a_permission)
{
	EXPECT_FAIL(EINVAL, VALUE, t_map_at(self->fd, self->id, self->mem, T_PAGE, 0, SPACE_AT));
	EXPECT_OK(t_map_at(self->fd, self->id, self->mem, T_PAGE, IOASID_MAP_READ, SPACE_AT));
	EXPECT_OK(t_map_at(self->fd, self->id, self->mem, T_PAGE, IOASID_MAP_WRITE,
			   SPACE_AT + T_PAGE));
}

TEST_F(space, map_unknown_range_flags)
{
	int bit;

	for (bit = 5; bit < 32; bit++) {
		EXPECT_FAIL(EOPNOTSUPP, FLAGS,
			    t_map_at(self->fd, self->id, self->mem, T_PAGE, T_RW | 1u << bit, SPACE_AT));
		EXPECT_EQ(0, t_extack.index);
	}
	EXPECT_MAPPED(0, 0);
}

/* @fd means nothing without IOASID_MAP_FILE and must be 0, to mean something later */
TEST_F(space, map_fd_without_file)
{
	struct ioasid_map_range range = {
		.addr = (uintptr_t)self->mem, .length = T_PAGE, .flags = T_RW, .fd = 5,
	};

	EXPECT_FAIL(EOPNOTSUPP, FLAGS, t_mapv(self->fd, self->id, &range, 1));
}

TEST_F(space, map_wraps)
{
	static const u64 huge[] = { 1ULL << 63, -T_PAGE, -2 * T_PAGE };
	u64 iova;
	size_t i;

	EXPECT_FAIL(EOVERFLOW, OVERFLOW, map_at(-T_PAGE, 2));
	EXPECT_FAIL(EOVERFLOW, OVERFLOW,
		    t_map_at(self->fd, self->id, (void *)-T_PAGE, 2 * T_PAGE, T_RW, SPACE_AT));
	for (i = 0; i < ARRAY_SIZE(huge); i++) {
		/* The end of the memory wraps, whatever the end of the IOVA does */
		EXPECT_FAIL(EOVERFLOW, OVERFLOW,
			    t_map_at(self->fd, self->id, (void *)((1ULL << 63) + T_PAGE), huge[i],
				     T_RW, 0));
		EXPECT_NE(0, t_map(self->fd, self->id, self->mem, huge[i], T_RW, &iova));
	}
	EXPECT_FAIL(EOVERFLOW, OVERFLOW, t_unmap(self->fd, self->id, SPACE_AT, -T_PAGE));
	EXPECT_FAIL(EOVERFLOW, OVERFLOW, t_unmap(self->fd, self->id, -T_PAGE, 2 * T_PAGE));
	EXPECT_MAPPED(0, 0);
}

/* First and last page of every usable range, and the first one beyond each end */
TEST_F(space, map_ends_of_every_range)
{
	const struct ioasid_iova_range *r;
	u64 last;

	for (r = self->ranges; r < self->ranges + self->nr_ranges; r++) {
		last = (r->last + 1 - T_PAGE) & ~(T_PAGE - 1);
		EXPECT_OK(map_at(r->first, 1));
		EXPECT_OK(map_at(last, 1));
		EXPECT_EQ(T_PAGE, t_unmap(self->fd, self->id, r->first, T_PAGE));
		EXPECT_EQ(T_PAGE, t_unmap(self->fd, self->id, last, T_PAGE));
		if (r->first)
			EXPECT_FAIL(ERANGE, UNUSABLE, map_at(r->first - T_PAGE, 2));
		if (r->last != UINT64_MAX)
			EXPECT_FAIL(ERANGE, UNUSABLE, map_at(last, 2));
	}
	EXPECT_MAPPED(0, 0);
}

TEST_F(space, usable_ranges_make_sense)
{
	const struct ioasid_iova_range *r = self->ranges;
	int i;

	for (i = 0; i < self->nr_ranges; i++) {
		EXPECT_LT(r[i].first, r[i].last);
		EXPECT_EQ(0, r[i].first % T_PAGE);
		EXPECT_EQ(0, (r[i].last + 1) % T_PAGE);
		if (i)
			EXPECT_GT(r[i].first, r[i - 1].last + 1);
	}
	/* No device can use the interrupt window for memory */
	if (variant->attached) {
		EXPECT_FALSE(t_usable(r, self->nr_ranges, 0xfee00000, T_PAGE));
	} else {
		EXPECT_EQ(1, self->nr_ranges);
		EXPECT_EQ(0, r[0].first);
		EXPECT_EQ(UINT64_MAX, r[0].last);
	}
}

TEST_F(space, map_the_interrupt_window)
{
	if (!variant->attached) {
		/* Without a device it is memory like any other */
		EXPECT_OK(map_at(0xfee00000 - T_PAGE, 3));
		return;
	}
	EXPECT_FAIL(ERANGE, UNUSABLE, map_at(0xfee00000, 1));
	EXPECT_EQ(0xfee00000, t_extack.value);
	EXPECT_FAIL(ERANGE, UNUSABLE, map_at(0xfee00000 - T_PAGE, 2));
	EXPECT_FAIL(ERANGE, UNUSABLE, map_at(0xfee00000 - T_PAGE, 3));
}

/* Pages [8, 12) are mapped; what else can be, around, inside and across it? */
TEST_F(space, overlap)
{
	static const struct { u64 first, pages; bool fits; } tries[] = {
		{ 8, 4, false }, { 8, 1, false }, { 11, 1, false }, { 9, 2, false },
		{ 7, 2, false }, { 11, 2, false }, { 7, 6, false }, { 0, 32, false },
		{ 8, 8, false }, { 4, 8, false }, { 4, 4, true }, { 12, 4, true },
		{ 0, 8, true }, { 12, 20, true },
	};
	size_t i;

	ASSERT_OK(map_at(SPACE_AT + 8 * T_PAGE, 4));
	for (i = 0; i < ARRAY_SIZE(tries); i++) {
		u64 iova = SPACE_AT + tries[i].first * T_PAGE;

		if (!tries[i].fits) {
			EXPECT_FAIL(EEXIST, OVERLAP, map_at(iova, tries[i].pages));
			EXPECT_MAPPED(1, 4);
			continue;
		}
		EXPECT_OK(map_at(iova, tries[i].pages));
		EXPECT_EQ((long long)(tries[i].pages * T_PAGE),
			  t_unmap(self->fd, self->id, iova, tries[i].pages * T_PAGE));
	}
	/* What was there all the time still is, whole */
	EXPECT_EQ(4 * T_PAGE, t_unmap(self->fd, self->id, SPACE_AT + 8 * T_PAGE, 4 * T_PAGE));
}

TEST_F(space, chosen_iovas)
{
	u64 iova[SPACE_PAGES];
	int i, j;

	for (i = 0; i < SPACE_PAGES; i++) {
		ASSERT_OK(t_map(self->fd, self->id, self->mem, (i + 1) * T_PAGE, T_RW, &iova[i]));
		EXPECT_NE(0, iova[i]);
		EXPECT_TRUE(t_usable(self->ranges, self->nr_ranges, iova[i], (i + 1) * T_PAGE));
		for (j = 0; j < i; j++)
			EXPECT_TRUE(iova[i] + (i + 1) * T_PAGE <= iova[j] ||
				    iova[j] + (j + 1) * T_PAGE <= iova[i]);
	}
	for (i = 0; i < SPACE_PAGES; i += 2)
		EXPECT_EQ((i + 1) * (long long)T_PAGE,
			  t_unmap(self->fd, self->id, iova[i], (i + 1) * T_PAGE));
	/* Freed places can be had again */
	for (i = 0; i < SPACE_PAGES; i += 2)
		EXPECT_OK(t_map(self->fd, self->id, self->mem, (i + 1) * T_PAGE, T_RW, &iova[i]));
	EXPECT_MAPPED(SPACE_PAGES, SPACE_PAGES * (SPACE_PAGES + 1) / 2);
}

/* The IOMMU can only use a huge page if the IOVA is aligned as the memory is */
TEST_F(space, chosen_iova_keeps_huge_alignment)
{
	char *mem = t_memory(T_ANON, 2 * T_HUGE);
	u64 iova;
	int i;

	ASSERT_NE(NULL, mem);
	for (i = 0; i < 4; i++) {
		/* Something small in between, to spoil it */
		ASSERT_OK(t_map(self->fd, self->id, self->mem, T_PAGE, T_RW, &iova));
		ASSERT_OK(t_map(self->fd, self->id, mem, 2 * T_HUGE, T_RW, &iova));
		EXPECT_EQ(0, iova % T_HUGE);
	}
}

TEST_F(space, chosen_iova_fills_the_last_hole)
{
	struct ioasid_iova_range most[2] = {
		{ .first = 0, .last = SPACE_AT - 1 },
		{ .first = SPACE_AT + 4 * T_PAGE, .last = UINT64_MAX },
	};
	u64 iova;

	ASSERT_OK(t_reserve(self->fd, self->id, most, 2));
	EXPECT_FAIL(ENOSPC, NO_ROOM, t_map(self->fd, self->id, self->mem, 5 * T_PAGE, T_RW, &iova));
	ASSERT_OK(t_map(self->fd, self->id, self->mem, 3 * T_PAGE, T_RW, &iova));
	EXPECT_FAIL(ENOSPC, NO_ROOM, t_map(self->fd, self->id, self->mem, 2 * T_PAGE, T_RW, &iova));
	ASSERT_OK(t_map(self->fd, self->id, self->mem, T_PAGE, T_RW, &iova));
	EXPECT_FAIL(ENOSPC, NO_ROOM, t_map(self->fd, self->id, self->mem, T_PAGE, T_RW, &iova));
	EXPECT_MAPPED(2, 4);
	EXPECT_EQ(4 * T_PAGE, t_pinned(self->fd));
}

/* IOVA 0 is only for those who ask for it */
TEST_F(space, chosen_iova_is_never_zero)
{
	struct ioasid_iova_range most = { .first = T_PAGE, .last = UINT64_MAX };
	u64 iova;

	ASSERT_OK(t_reserve(self->fd, self->id, &most, 1));
	EXPECT_FAIL(ENOSPC, NO_ROOM, t_map(self->fd, self->id, self->mem, T_PAGE, T_RW, &iova));
	EXPECT_OK(map_at(0, 1));
	EXPECT_EQ(T_PAGE, t_unmap(self->fd, self->id, 0, T_PAGE));
}

TEST_F(space, same_memory_twice)
{
	ASSERT_OK(map_at(SPACE_AT, 4));
	ASSERT_OK(map_at(SPACE_AT + T_HUGE, 4));
	EXPECT_MAPPED(2, 8);
	EXPECT_EQ(4 * T_PAGE, t_unmap(self->fd, self->id, SPACE_AT, 4 * T_PAGE));
	EXPECT_MAPPED(1, 4);
	if (self->pins >= 0)
		EXPECT_EQ(self->pins + 4, t_pinned_pages());
}

/* Mappings at pages [4, 8) and [8, 12); every range that splits one fails */
TEST_F(space, unmap_cuts)
{
	static const struct { u64 first, pages; } cuts[] = {
		{ 4, 1 }, { 7, 1 }, { 5, 2 }, { 0, 5 }, { 7, 2 }, { 4, 5 }, { 7, 5 }, { 11, 10 },
		{ 0, 11 }, { 5, 20 },
	};
	size_t i;

	ASSERT_OK(map_at(SPACE_AT + 4 * T_PAGE, 4));
	ASSERT_OK(map_at(SPACE_AT + 8 * T_PAGE, 4));
	for (i = 0; i < ARRAY_SIZE(cuts); i++) {
		EXPECT_FAIL(EINVAL, SPLIT, t_unmap(self->fd, self->id, SPACE_AT + cuts[i].first * T_PAGE,
						 cuts[i].pages * T_PAGE));
		EXPECT_MAPPED(2, 8);
	}
	EXPECT_EQ(4 * T_PAGE, t_unmap(self->fd, self->id, SPACE_AT, 8 * T_PAGE));
	EXPECT_EQ(4 * T_PAGE, t_unmap(self->fd, self->id, SPACE_AT, 12 * T_PAGE));
}

TEST_F(space, unmap_several_with_holes)
{
	int i;

	for (i = 0; i < 8; i++)
		ASSERT_OK(map_at(SPACE_AT + i * 16 * T_PAGE, i + 1));
	EXPECT_EQ(36 * T_PAGE, t_unmap(self->fd, self->id, SPACE_AT - T_HUGE, 2 * T_HUGE));
	EXPECT_MAPPED(0, 0);
	EXPECT_EQ(0, t_pinned(self->fd));
}

TEST_F(space, unmap_nothing)
{
	ASSERT_OK(map_at(SPACE_AT, 1));
	EXPECT_FAIL(ENOENT, NOT_MAPPED, t_unmap(self->fd, self->id, SPACE_AT + T_PAGE, T_PAGE));
	EXPECT_FAIL(ENOENT, NOT_MAPPED, t_unmap(self->fd, self->id, 0, T_HUGE));
	EXPECT_EQ(T_PAGE, t_unmap(self->fd, self->id, SPACE_AT, T_PAGE));
	EXPECT_FAIL(ENOENT, NOT_MAPPED, t_unmap(self->fd, self->id, SPACE_AT, T_PAGE));
}

TEST_F(space, unmap_alignment)
{
	ASSERT_OK(map_at(SPACE_AT, 2));
	EXPECT_FAIL(EINVAL, ALIGNMENT, t_unmap(self->fd, self->id, SPACE_AT + 1, T_PAGE));
	EXPECT_FAIL(EINVAL, ALIGNMENT, t_unmap(self->fd, self->id, SPACE_AT, T_PAGE + 1));
	EXPECT_FAIL(EINVAL, ALIGNMENT, t_unmap(self->fd, self->id, SPACE_AT, 1));
	EXPECT_MAPPED(1, 2);
}

TEST_F(space, unmap_all)
{
	struct ioasid_unmap_range range = { .iova = 0, .length = T_PAGE };
	struct ioasid_unmap cmd = {
		.size = sizeof(cmd), .flags = IOASID_UNMAP_ALL, .ioasid = self->id,
		.nr = 1, .ranges = (uintptr_t)&range, .range_size = sizeof(range),
	};

	ASSERT_OK(map_at(0, 1));
	ASSERT_OK(map_at(SPACE_AT, 2));
	ASSERT_OK(map_at(self->ranges[self->nr_ranges - 1].last + 1 - 3 * T_PAGE, 3));
	/* All, and this range as well? That is not a question */
	EXPECT_EQ(-EINVAL, t_cmd(self->fd, IOASID_UNMAP, &cmd));
	EXPECT_MAPPED(3, 6);
	EXPECT_EQ(6 * T_PAGE, t_unmap_all(self->fd, self->id));
	EXPECT_MAPPED(0, 0);
	/* All of nothing is nothing, not an error */
	EXPECT_EQ(0, t_unmap_all(self->fd, self->id)) TH_LOG("%s", t_explain());
}

/* The whole space in one range, as far as a length can say it */
TEST_F(space, unmap_nearly_everything)
{
	ASSERT_OK(map_at(0, 1));
	ASSERT_OK(map_at(SPACE_AT, 2));
	EXPECT_EQ(3 * T_PAGE, t_unmap(self->fd, self->id, 0, -T_PAGE));
}

/* What is mapped in one space is not mapped in another, and FREE takes only its own */
TEST_F(space, spaces_are_separate)
{
	struct ioasid_translate tr;
	u32 other;

	ASSERT_OK(t_alloc(self->fd, &other));
	ASSERT_OK(map_at(SPACE_AT, 2));
	EXPECT_FAIL(ENOENT, NOT_MAPPED, t_unmap(self->fd, other, SPACE_AT, 2 * T_PAGE));
	ASSERT_OK(t_map_at(self->fd, other, self->mem + 8 * T_PAGE, T_PAGE, T_RW, SPACE_AT));
	ASSERT_OK(t_translate(self->fd, self->id, SPACE_AT, 0, &tr));
	EXPECT_EQ((uintptr_t)self->mem, tr.addr);
	ASSERT_OK(t_translate(self->fd, other, SPACE_AT, 0, &tr));
	EXPECT_EQ((uintptr_t)self->mem + 8 * T_PAGE, tr.addr);
	ASSERT_OK(t_free(self->fd, other));
	EXPECT_MAPPED(1, 2);
	EXPECT_FAIL(ENOENT, NO_SPACE_ID, t_unmap(self->fd, other, SPACE_AT, T_PAGE));
}

/* A place is usable again at once, with other memory and other permissions */
TEST_F(space, map_again_after_unmap)
{
	struct ioasid_translate tr;
	int i;

	for (i = 0; i < 32; i++) {
		ASSERT_OK(t_map_at(self->fd, self->id, self->mem + i * T_PAGE, T_PAGE,
				   i % 2 ? T_RW : IOASID_MAP_READ, SPACE_AT));
		ASSERT_OK(t_translate(self->fd, self->id, SPACE_AT, 0, &tr));
		EXPECT_EQ((uintptr_t)self->mem + i * T_PAGE, tr.addr);
		EXPECT_EQ(i % 2 ? T_RW : IOASID_MAP_READ, tr.map_flags & T_RW);
		ASSERT_EQ(T_PAGE, t_unmap(self->fd, self->id, SPACE_AT, T_PAGE));
	}
}

TEST_HARNESS_MAIN
