// SPDX-License-Identifier: GPL-2.0
/*
 * COPY: the same pages in a second place, pinned and charged once for as long
 * as any of the places has them.
 */
#include "spaces.h"

#define DST_AT	(SPACE_AT + (64ULL << 20))

/* A second space, and eight pages mapped in the first one */
static u32 two_spaces(struct __test_metadata *_metadata, FIXTURE_DATA(space) *self, u32 flags)
{
	u32 other = 0;

	ASSERT_OK(t_alloc(self->fd, &other));
	ASSERT_OK(t_map_at(self->fd, self->id, self->mem, 8 * T_PAGE, flags, SPACE_AT));
	return other;
}

#define copy_to(space, pages, flags)	\
	t_copy_at(self->fd, self->id, SPACE_AT, space, DST_AT, (pages) * T_PAGE, flags)

TEST_F(space, copy_whole)
{
	u32 other = two_spaces(_metadata, self, T_RW);
	struct ioasid_translate tr;

	ASSERT_OK(copy_to(other, 8, T_RW));
	EXPECT_EQ(8 * T_PAGE, t_pinned(self->fd));
	EXPECT_EQ(16 * T_PAGE, t_mapped(self->fd));
	if (self->pins >= 0)
		EXPECT_EQ(self->pins + 8, t_pinned_pages());
	ASSERT_OK(t_translate(self->fd, other, DST_AT + 5 * T_PAGE + 7, 0, &tr));
	EXPECT_EQ((uintptr_t)self->mem + 5 * T_PAGE + 7, tr.addr);
}

TEST_F(space, copy_chosen_iova)
{
	u32 other = two_spaces(_metadata, self, T_RW);
	struct ioasid_translate tr;
	u64 iova = 1;
	int i;

	for (i = 0; i < 8; i++) {
		ASSERT_OK(t_copy(self->fd, self->id, SPACE_AT, other, &iova, 8 * T_PAGE, T_RW));
		EXPECT_NE(0, iova);
		ASSERT_OK(t_translate(self->fd, other, iova, 0, &tr));
		EXPECT_EQ((uintptr_t)self->mem, tr.addr);
	}
	EXPECT_EQ(8 * T_PAGE, t_pinned(self->fd));
}

TEST_F(space, copy_part_of_a_mapping)
{
	u32 other = two_spaces(_metadata, self, T_RW);
	struct ioasid_translate tr;

	ASSERT_OK(t_copy_at(self->fd, self->id, SPACE_AT + 3 * T_PAGE, other, DST_AT, 2 * T_PAGE,
			    T_RW));
	ASSERT_OK(t_translate(self->fd, other, DST_AT + T_PAGE, 0, &tr));
	EXPECT_EQ((uintptr_t)self->mem + 4 * T_PAGE, tr.addr);
	EXPECT_FAIL(ENOENT, NOT_MAPPED, t_translate(self->fd, other, DST_AT + 2 * T_PAGE, 0, &tr));
	/* Where there is a device: the right page frame, not only the right address */
	ASSERT_OK(t_copy_at(self->fd, other, DST_AT + T_PAGE, self->id, DST_AT, T_PAGE, T_RW));
	ASSERT_OK(t_translate(self->fd, self->id, DST_AT, IOASID_TRANSLATE_PHYS, &tr));
	EXPECT_EQ((uintptr_t)self->mem + 4 * T_PAGE, tr.addr);
	if (variant->attached && t_phys(self->mem))
		EXPECT_EQ(t_phys(self->mem + 4 * T_PAGE), tr.phys);
	ASSERT_EQ(T_PAGE, t_unmap(self->fd, self->id, DST_AT, T_PAGE));
	EXPECT_EQ(10 * T_PAGE, t_mapped(self->fd));
	EXPECT_EQ(8 * T_PAGE, t_unmap_all(self->fd, self->id));
	/* What is left behind the copy is pinned, and no more than what there was */
	EXPECT_GE(t_pinned(self->fd), 2 * T_PAGE);
	EXPECT_LE(t_pinned(self->fd), 8 * T_PAGE);
	EXPECT_EQ(2 * T_PAGE, t_unmap_all(self->fd, other));
	EXPECT_EQ(0, t_pinned(self->fd));
}

/* From the middle of one mapping, over two whole ones, into a fourth */
TEST_F(space, copy_across_mappings)
{
	struct ioasid_translate tr;
	u32 other;
	u64 i;

	ASSERT_OK(t_alloc(self->fd, &other));
	/* Memory in another order than the IOVA */
	for (i = 0; i < 4; i++)
		ASSERT_OK(t_map_at(self->fd, self->id, self->mem + (3 - i) * 8 * T_PAGE, 4 * T_PAGE,
				   T_RW, SPACE_AT + i * 4 * T_PAGE));
	ASSERT_OK(t_copy_at(self->fd, self->id, SPACE_AT + 2 * T_PAGE, other, DST_AT, 12 * T_PAGE,
			    T_RW));
	for (i = 0; i < 12; i++) {
		u64 page = i + 2;

		ASSERT_OK(t_translate(self->fd, other, DST_AT + i * T_PAGE, 0, &tr));
		EXPECT_EQ((uintptr_t)self->mem + (3 - page / 4) * 8 * T_PAGE + page % 4 * T_PAGE,
			  tr.addr);
	}
	EXPECT_EQ(16 * T_PAGE, t_pinned(self->fd));
	EXPECT_EQ(12 * T_PAGE, t_unmap(self->fd, other, DST_AT, 12 * T_PAGE));
}

TEST_F(space, copy_over_a_hole)
{
	u32 other = two_spaces(_metadata, self, T_RW);

	EXPECT_FAIL(ENOENT, NOT_MAPPED, copy_to(other, 9, T_RW));
	EXPECT_FAIL(ENOENT, NOT_MAPPED, t_copy_at(self->fd, self->id, SPACE_AT - T_PAGE, other, DST_AT,
						  2 * T_PAGE, T_RW));
	EXPECT_FAIL(ENOENT, NOT_MAPPED, t_copy_at(self->fd, other, SPACE_AT, self->id, DST_AT,
						  T_PAGE, T_RW));
	ASSERT_OK(t_map_at(self->fd, self->id, self->mem, T_PAGE, T_RW, SPACE_AT + 9 * T_PAGE));
	EXPECT_FAIL(ENOENT, NOT_MAPPED, copy_to(other, 10, T_RW));
	EXPECT_EQ(2, t_nr_mappings(self->fd));
}

TEST_F(space, copy_permission)
{
	u32 other = two_spaces(_metadata, self, IOASID_MAP_READ);
	u32 third;

	EXPECT_FAIL(EPERM, PERMISSION, copy_to(other, 8, T_RW));
	EXPECT_FAIL(EPERM, PERMISSION, copy_to(other, 8, IOASID_MAP_WRITE));
	EXPECT_EQ(1, t_nr_mappings(self->fd));
	EXPECT_OK(copy_to(other, 8, IOASID_MAP_READ));
	/* Half of it could be written: that is not enough for all */
	ASSERT_OK(t_map_at(self->fd, self->id, self->mem, T_PAGE, T_RW, SPACE_AT + 8 * T_PAGE));
	ASSERT_OK(t_alloc(self->fd, &third));
	EXPECT_FAIL(EPERM, PERMISSION, copy_to(third, 9, T_RW));
	EXPECT_OK(copy_to(third, 9, IOASID_MAP_READ));
}

/* A copy that was made read-only is no way back to writing */
TEST_F(space, copy_of_a_read_only_copy)
{
	u32 other = two_spaces(_metadata, self, T_RW), third;

	ASSERT_OK(copy_to(other, 8, IOASID_MAP_READ));
	ASSERT_OK(t_alloc(self->fd, &third));
	EXPECT_FAIL(EPERM, PERMISSION,
		    t_copy_at(self->fd, other, DST_AT, third, DST_AT, T_PAGE, T_RW));
	EXPECT_OK(t_copy_at(self->fd, other, DST_AT, third, DST_AT, T_PAGE, IOASID_MAP_READ));
}

TEST_F(space, copy_arguments)
{
	u32 other = two_spaces(_metadata, self, T_RW);

	EXPECT_FAIL(EINVAL, VALUE, copy_to(other, 0, T_RW));
	EXPECT_FAIL(EINVAL, VALUE, copy_to(other, 1, 0));
	EXPECT_FAIL(EOPNOTSUPP, FLAGS, copy_to(other, 1, T_RW | IOASID_MAP_FILE));
	EXPECT_FAIL(EINVAL, ALIGNMENT, t_copy_at(self->fd, self->id, SPACE_AT + 1, other, DST_AT,
						 T_PAGE, T_RW));
	EXPECT_FAIL(EINVAL, ALIGNMENT, t_copy_at(self->fd, self->id, SPACE_AT, other, DST_AT + 1,
						 T_PAGE, T_RW));
	EXPECT_FAIL(EINVAL, ALIGNMENT, t_copy_at(self->fd, self->id, SPACE_AT, other, DST_AT,
						 T_PAGE + 1, T_RW));
	EXPECT_FAIL(EOVERFLOW, OVERFLOW, t_copy_at(self->fd, self->id, SPACE_AT, other, -T_PAGE,
						   2 * T_PAGE, T_RW));
	EXPECT_FAIL(EOVERFLOW, OVERFLOW, t_copy_at(self->fd, self->id, -T_PAGE, other, DST_AT,
						   2 * T_PAGE, T_RW));
	EXPECT_EQ(1, t_nr_mappings(self->fd));
}

TEST_F(space, copy_onto_something)
{
	u32 other = two_spaces(_metadata, self, T_RW);

	ASSERT_OK(t_map_at(self->fd, other, self->mem, T_PAGE, T_RW, DST_AT + 7 * T_PAGE));
	EXPECT_FAIL(EEXIST, OVERLAP, copy_to(other, 8, T_RW));
	EXPECT_OK(copy_to(other, 7, T_RW));
	/* On itself, wholly and in part */
	EXPECT_FAIL(EEXIST, OVERLAP, t_copy_at(self->fd, self->id, SPACE_AT, self->id, SPACE_AT,
					       T_PAGE, T_RW));
	EXPECT_FAIL(EEXIST, OVERLAP, t_copy_at(self->fd, self->id, SPACE_AT, self->id,
					       SPACE_AT + 4 * T_PAGE, 8 * T_PAGE, T_RW));
}

TEST_F(space, copy_to_unusable_place)
{
	struct ioasid_iova_range window = { 0xfee00000, 0xfeefffff };
	u32 other = two_spaces(_metadata, self, T_RW);

	/* A device sees to that, and so can we */
	if (!variant->attached)
		ASSERT_OK(t_reserve(self->fd, self->id, &window, 1));
	ASSERT_OK(t_copy_at(self->fd, self->id, SPACE_AT, other, DST_AT, T_PAGE, T_RW));
	EXPECT_FAIL(ERANGE, UNUSABLE, t_copy_at(self->fd, other, DST_AT, self->id, 0xfee00000, T_PAGE,
						T_RW));
}

TEST_F(space, copy_within_a_space)
{
	struct ioasid_translate tr;

	ASSERT_OK(t_map_at(self->fd, self->id, self->mem, 8 * T_PAGE, T_RW, SPACE_AT));
	ASSERT_OK(copy_to(self->id, 8, T_RW));
	EXPECT_EQ(8 * T_PAGE, t_pinned(self->fd));
	/* Next to its source, where the two could be taken for one */
	ASSERT_OK(t_copy_at(self->fd, self->id, SPACE_AT, self->id, SPACE_AT + 8 * T_PAGE, 8 * T_PAGE,
			    IOASID_MAP_READ));
	ASSERT_OK(t_translate(self->fd, self->id, SPACE_AT + 8 * T_PAGE, 0, &tr));
	EXPECT_EQ(SPACE_AT + 8 * T_PAGE, tr.map_iova);
	EXPECT_EQ(8 * T_PAGE, t_unmap(self->fd, self->id, SPACE_AT, 8 * T_PAGE));
	EXPECT_EQ(8 * T_PAGE, t_pinned(self->fd));
	EXPECT_EQ(16 * T_PAGE, t_unmap_all(self->fd, self->id));
	EXPECT_EQ(0, t_pinned(self->fd));
}

/* The copy reaches the same memory; with a device, the same page frames */
TEST_F(space, copy_reaches_the_same_pages)
{
	struct ioasid_translate from, to;
	int i;

	ASSERT_OK(t_map_at(self->fd, self->id, self->mem, 8 * T_PAGE, T_RW, SPACE_AT));
	ASSERT_OK(copy_to(self->id, 8, T_RW));
	for (i = 0; i < 8; i++) {
		ASSERT_OK(t_translate(self->fd, self->id, SPACE_AT + i * T_PAGE,
				      IOASID_TRANSLATE_PHYS, &from));
		ASSERT_OK(t_translate(self->fd, self->id, DST_AT + i * T_PAGE,
				      IOASID_TRANSLATE_PHYS, &to));
		EXPECT_EQ((uintptr_t)self->mem + i * T_PAGE, to.addr);
		EXPECT_EQ(from.phys, to.phys);
		if (variant->attached && t_phys(self->mem))
			EXPECT_EQ(t_phys(self->mem + i * T_PAGE), to.phys);
	}
	/* ... and still does when the first place is gone */
	EXPECT_EQ(8 * T_PAGE, t_unmap(self->fd, self->id, SPACE_AT, 8 * T_PAGE));
	for (i = 0; i < 8; i++) {
		ASSERT_OK(t_translate(self->fd, self->id, DST_AT + i * T_PAGE,
				      IOASID_TRANSLATE_PHYS, &to));
		EXPECT_EQ((uintptr_t)self->mem + i * T_PAGE, to.addr);
		if (variant->attached && t_phys(self->mem))
			EXPECT_EQ(t_phys(self->mem + i * T_PAGE), to.phys);
	}
}

TEST_F(space, copy_survives_its_source)
{
	u32 other = two_spaces(_metadata, self, T_RW), source;
	struct ioasid_translate tr;

	ASSERT_OK(t_alloc(self->fd, &source));
	ASSERT_OK(t_map_at(self->fd, source, self->mem + 16 * T_PAGE, 4 * T_PAGE, T_RW, SPACE_AT));
	ASSERT_OK(t_copy_at(self->fd, source, SPACE_AT, other, DST_AT + T_HUGE, 4 * T_PAGE, T_RW));
	ASSERT_OK(copy_to(other, 8, T_RW));
	EXPECT_EQ(8 * T_PAGE, t_unmap(self->fd, self->id, SPACE_AT, 8 * T_PAGE));
	ASSERT_OK(t_free(self->fd, source));
	EXPECT_EQ(12 * T_PAGE, t_pinned(self->fd));
	if (self->pins >= 0)
		EXPECT_EQ(self->pins + 12, t_pinned_pages());
	ASSERT_OK(t_translate(self->fd, other, DST_AT + T_HUGE, 0, &tr));
	EXPECT_EQ((uintptr_t)self->mem + 16 * T_PAGE, tr.addr);
	ASSERT_OK(t_free(self->fd, other));
	EXPECT_EQ(0, t_pinned(self->fd));
	if (self->pins >= 0)
		EXPECT_EQ(self->pins, t_pinned_pages());
}

/* Handed on from space to space, the former owners gone */
TEST_F(space, copy_chain)
{
	u32 at = self->id, next = 0;
	u64 iova = SPACE_AT;
	int i;

	ASSERT_OK(t_map_at(self->fd, at, self->mem, 8 * T_PAGE, T_RW, iova));
	for (i = 0; i < 16; i++) {
		ASSERT_OK(t_alloc(self->fd, &next));
		ASSERT_OK(t_copy_at(self->fd, at, iova, next, iova + T_HUGE, 8 * T_PAGE, T_RW));
		EXPECT_EQ(8 * T_PAGE, t_unmap_all(self->fd, at));
		EXPECT_EQ(8 * T_PAGE, t_pinned(self->fd));
		at = next;
		iova += T_HUGE;
	}
	EXPECT_EQ(8 * T_PAGE, t_unmap(self->fd, at, iova, 8 * T_PAGE));
	EXPECT_EQ(0, t_pinned(self->fd));
}

TEST_F(space, copy_a_thousand_times)
{
	u64 iova[1000];
	int i;

	ASSERT_OK(t_map_at(self->fd, self->id, self->mem, 4 * T_PAGE, T_RW, SPACE_AT));
	for (i = 0; i < 1000; i++)
		ASSERT_OK(t_copy(self->fd, self->id, SPACE_AT, self->id, &iova[i], 4 * T_PAGE, T_RW));
	EXPECT_EQ(4 * T_PAGE, t_pinned(self->fd));
	if (self->pins >= 0)
		EXPECT_EQ(self->pins + 4, t_pinned_pages());
	EXPECT_EQ(4 * T_PAGE, t_unmap(self->fd, self->id, SPACE_AT, 4 * T_PAGE));
	for (i = 0; i < 999; i++)
		EXPECT_EQ(4 * T_PAGE, t_unmap(self->fd, self->id, iova[i], 4 * T_PAGE));
	EXPECT_EQ(4 * T_PAGE, t_pinned(self->fd));
	EXPECT_EQ(4 * T_PAGE, t_unmap_all(self->fd, self->id));
	EXPECT_EQ(0, t_pinned(self->fd));
}

TEST_F(space, copy_of_huge_memory)
{
	char *mem = t_memory(T_THP, 4 * T_HUGE);
	struct ioasid_translate tr;
	u64 off;

	NEED(mem, "no transparent huge pages");
	ASSERT_OK(t_map_at(self->fd, self->id, mem, 4 * T_HUGE, T_RW, SPACE_AT));
	/* Begins and ends within a huge page */
	ASSERT_OK(t_copy_at(self->fd, self->id, SPACE_AT + T_HUGE - T_PAGE, self->id, DST_AT,
			    2 * T_HUGE + 2 * T_PAGE, T_RW));
	for (off = 0; off < 2 * T_HUGE + 2 * T_PAGE; off += T_HUGE - T_PAGE) {
		ASSERT_OK(t_translate(self->fd, self->id, DST_AT + off, IOASID_TRANSLATE_PHYS, &tr));
		EXPECT_EQ((uintptr_t)mem + T_HUGE - T_PAGE + off, tr.addr);
		if (variant->attached && t_phys(mem))
			EXPECT_EQ(t_phys(mem + T_HUGE - T_PAGE + off), tr.phys);
	}
	EXPECT_EQ(4 * T_HUGE, t_pinned(self->fd));
	EXPECT_EQ((long long)(4 * T_HUGE), t_unmap(self->fd, self->id, SPACE_AT, 4 * T_HUGE));
}

TEST_HARNESS_MAIN
