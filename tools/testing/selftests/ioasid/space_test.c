// SPDX-License-Identifier: GPL-2.0
/*
 * Spaces themselves: ALLOC, FREE, SPACE_INFO, RESERVE, TRANSLATE, and OPTION
 * of the context that they are in.
 */
#include <errno.h>

#include "spaces.h"

TEST_F(space, alloc_ids)
{
	u32 ids[64];
	struct ioasid_info info;
	int i, j;

	for (i = 0; i < 64; i++) {
		ASSERT_OK(t_alloc(self->fd, &ids[i]));
		EXPECT_NE(0, ids[i]);
		EXPECT_NE(self->id, ids[i]);
		for (j = 0; j < i; j++)
			EXPECT_NE(ids[j], ids[i]);
	}
	ASSERT_OK(t_info(self->fd, &info));
	EXPECT_EQ(65, info.nr_spaces);
	for (i = 0; i < 64; i++)
		EXPECT_OK(t_free(self->fd, ids[i]));
	EXPECT_FAIL(ENOENT, NO_SPACE_ID, t_free(self->fd, ids[5]));
	ASSERT_OK(t_info(self->fd, &info));
	EXPECT_EQ(1, info.nr_spaces);
}

TEST_F(space, alloc_unknown_kind)
{
	static const u32 kinds[] = { 0, 5, 77, UINT32_MAX };
	struct ioasid_alloc cmd = { .size = sizeof(cmd) };
	size_t i;

	for (i = 0; i < ARRAY_SIZE(kinds); i++) {
		cmd.kind = kinds[i];
		EXPECT_FAIL(EOPNOTSUPP, KIND, t_cmd(self->fd, IOASID_ALLOC, &cmd));
	}
}

/* What the capability says; Linux 6.12 lets no device at a process' memory on x86 */
TEST_F(space, alloc_mm)
{
	struct ioasid_info info;
	u32 id;

	ASSERT_OK(t_info(self->fd, &info));
	EXPECT_EQ(!t_old_kernel(), !!(info.caps & IOASID_CAP_MM));
	if (info.caps & IOASID_CAP_MM) {
		ASSERT_OK(t_alloc_mm(self->fd, &id));
		EXPECT_OK(t_free(self->fd, id));
		return;
	}
	EXPECT_FAIL(EOPNOTSUPP, KIND, t_alloc_mm(self->fd, &id));
	EXPECT_EQ(IOASID_KIND_MM, t_extack.value);
	/* It is not the fault of a device */
	EXPECT_NE(NULL, strstr(t_extack.msg, "this kernel")) TH_LOG("%s", t_extack.msg);
}

TEST_F(space, labels)
{
	struct ioasid_alloc cmd = { .size = sizeof(cmd), .kind = IOASID_KIND_MAPPED };
	struct ioasid_space_info info;
	u32 id;

	ASSERT_OK(t_space_info(self->fd, self->id, &info));
	EXPECT_STREQ("test", info.label);
	/* As long as there is room, and then one byte too long */
	memset(cmd.label, 'x', 31);
	ASSERT_OK(t_cmd(self->fd, IOASID_ALLOC, &cmd));
	ASSERT_OK(t_space_info(self->fd, cmd.ioasid, &info));
	EXPECT_STREQ(cmd.label, info.label);
	cmd.label[31] = 'x';
	EXPECT_FAIL(EINVAL, VALUE, t_cmd(self->fd, IOASID_ALLOC, &cmd));
	ASSERT_OK(t_alloc(self->fd, &id));
	ASSERT_OK(t_space_info(self->fd, id, &info));
	EXPECT_STREQ("", info.label);
}

/* An id that a program still has in mind does not name what comes next */
TEST_F(space, ids_are_not_used_again_at_once)
{
	u32 id[100], again;
	int i;

	for (i = 0; i < 100; i++) {
		ASSERT_OK(t_alloc(self->fd, &id[i]));
		ASSERT_OK(t_free(self->fd, id[i]));
		if (i)
			EXPECT_LT(id[i - 1], id[i]);
	}
	ASSERT_OK(t_alloc(self->fd, &again));
	for (i = 0; i < 100; i++)
		EXPECT_FAIL(ENOENT, NO_SPACE_ID, t_free(self->fd, id[i]));
	EXPECT_OK(t_free(self->fd, again));
}

/* What does not print could forge lines of debugfs and of traces */
TEST_F(space, labels_print)
{
	struct ioasid_alloc cmd = { .size = sizeof(cmd), .kind = IOASID_KIND_MAPPED };
	struct ioasid_info info = { .size = sizeof(info) };
	int i, refused = 0;

	for (i = 1; i < 256; i++) {
		snprintf(cmd.label, sizeof(cmd.label), "a%cioasid=7", i);
		if (i >= ' ' && i < 0x7f) {
			ASSERT_OK(t_cmd(self->fd, IOASID_ALLOC, &cmd));
			ASSERT_OK(t_free(self->fd, cmd.ioasid));
			continue;
		}
		EXPECT_FAIL(EINVAL, VALUE, t_cmd(self->fd, IOASID_ALLOC, &cmd));
		EXPECT_EQ(1, t_extack.value);
		refused++;
	}
	EXPECT_EQ(160, refused);
	ASSERT_OK(t_info(self->fd, &info));
	EXPECT_EQ(1, info.nr_spaces);
}

TEST_F(space, free_takes_everything)
{
	u32 id;
	int i;

	ASSERT_OK(t_alloc(self->fd, &id));
	for (i = 0; i < 100; i++)
		ASSERT_OK(t_map_at(self->fd, id, self->mem, 4 * T_PAGE, T_RW, SPACE_AT + i * T_HUGE));
	ASSERT_OK(t_map_at(self->fd, self->id, self->mem, T_PAGE, T_RW, SPACE_AT));
	ASSERT_OK(t_free(self->fd, id));
	EXPECT_EQ(1, t_nr_mappings(self->fd));
	EXPECT_EQ(T_PAGE, t_pinned(self->fd));
	if (self->pins >= 0)
		EXPECT_EQ(self->pins + 1, t_pinned_pages());
}

TEST_F(space, free_while_attached)
{
	if (variant->attached) {
		EXPECT_FAIL(EBUSY, IN_USE, t_free(self->fd, self->id));
		EXPECT_EQ(self->id, t_extack.ioasid);
		ASSERT_OK(t_vfio_detach(&self->dev.vfio));
	}
	EXPECT_OK(t_free(self->fd, self->id));
}

TEST_F(space, info_counts)
{
	struct ioasid_space_info info;

	ASSERT_OK(t_map_at(self->fd, self->id, self->mem, 3 * T_PAGE, T_RW, SPACE_AT));
	ASSERT_OK(t_copy_at(self->fd, self->id, SPACE_AT, self->id, SPACE_AT + T_HUGE, T_PAGE, T_RW));
	ASSERT_OK(t_space_info(self->fd, self->id, &info));
	EXPECT_EQ(IOASID_KIND_MAPPED, info.kind);
	EXPECT_EQ(0, info.parent);
	EXPECT_EQ(2, info.nr_mappings);
	EXPECT_EQ(4 * T_PAGE, info.mapped);
	EXPECT_EQ(3 * T_PAGE, info.pinned);
	EXPECT_EQ(variant->attached, info.nr_attachments);
	EXPECT_EQ(variant->attached, info.nr_domains);
	EXPECT_TRUE(info.page_sizes & T_PAGE);
	EXPECT_EQ((u32)self->nr_ranges, info.nr_ranges);
	EXPECT_EQ(self->id, info.ioasid);
}

/* Copied memory belongs to the space that it was first mapped in */
TEST_F(space, info_pinned_where_first_mapped)
{
	struct ioasid_space_info info;
	u32 other;

	ASSERT_OK(t_alloc(self->fd, &other));
	ASSERT_OK(t_map_at(self->fd, self->id, self->mem, 4 * T_PAGE, T_RW, SPACE_AT));
	ASSERT_OK(t_copy_at(self->fd, self->id, SPACE_AT, other, SPACE_AT, 4 * T_PAGE, T_RW));
	ASSERT_OK(t_space_info(self->fd, other, &info));
	EXPECT_EQ(4 * T_PAGE, info.mapped);
	EXPECT_EQ(0, info.pinned);
	ASSERT_OK(t_space_info(self->fd, self->id, &info));
	EXPECT_EQ(4 * T_PAGE, info.pinned);
}

TEST_F(space, info_ranges_too_small)
{
	struct ioasid_iova_range ranges[SPACE_RANGES], hole = { T_HUGE, 2 * T_HUGE - 1 };
	struct ioasid_space_info info = {
		.size = sizeof(info), .ioasid = self->id, .ranges = (uintptr_t)ranges,
		.range_size = sizeof(*ranges),
	};
	u32 nr;

	ASSERT_OK(t_reserve(self->fd, self->id, &hole, 1));
	nr = self->nr_ranges + 1;
	memset(ranges, 0xaa, sizeof(ranges));
	info.nr_ranges = 1;
	EXPECT_EQ(-EMSGSIZE, t_cmd(self->fd, IOASID_SPACE_INFO, &info)) TH_LOG("%s", t_explain());
	EXPECT_NE('\0', t_extack.msg[0]);
	EXPECT_EQ(nr, info.nr_ranges);
	EXPECT_EQ(-1, t_not_byte(&ranges[1], sizeof(ranges) - sizeof(ranges[0]), 0xaa));
	info.nr_ranges = 0;
	EXPECT_EQ(-EMSGSIZE, t_cmd(self->fd, IOASID_SPACE_INFO, &info)) TH_LOG("%s", t_explain());
	EXPECT_EQ(nr, info.nr_ranges);
	/* Exactly enough */
	memset(ranges, 0xaa, sizeof(ranges));
	EXPECT_OK(t_cmd(self->fd, IOASID_SPACE_INFO, &info));
	EXPECT_EQ(nr, info.nr_ranges);
	EXPECT_EQ(0, ranges[0].first);
	EXPECT_EQ(T_HUGE - 1, ranges[0].last);
	EXPECT_EQ(2 * T_HUGE, ranges[1].first);
	EXPECT_EQ(-1, t_not_byte(&ranges[nr], sizeof(ranges) - nr * sizeof(ranges[0]), 0xaa));
	/* Nowhere to write them */
	info.ranges = 0x10000;
	EXPECT_FAIL(EFAULT, POINTER, t_cmd(self->fd, IOASID_SPACE_INFO, &info));
	/* Not asked for at all */
	info.ranges = 0;
	info.nr_ranges = 0;
	EXPECT_OK(t_cmd(self->fd, IOASID_SPACE_INFO, &info));
	EXPECT_EQ(nr, info.nr_ranges);
}

TEST_F(space, reserve)
{
	struct ioasid_iova_range r[2] = {
		{ SPACE_AT, SPACE_AT + T_HUGE - 1 },
		{ SPACE_AT + 2 * T_HUGE, SPACE_AT + 3 * T_HUGE - 1 },
	}, now[SPACE_RANGES];
	int nr;

	ASSERT_OK(t_reserve(self->fd, self->id, r, 2));
	nr = t_space_ranges(self->fd, self->id, now, SPACE_RANGES);
	EXPECT_EQ(self->nr_ranges + 2, nr);
	EXPECT_FALSE(t_usable(now, nr, SPACE_AT, T_PAGE));
	EXPECT_TRUE(t_usable(now, nr, SPACE_AT + T_HUGE, T_HUGE));
	EXPECT_FALSE(t_usable(now, nr, SPACE_AT + 2 * T_HUGE, T_PAGE));
	EXPECT_FAIL(ERANGE, UNUSABLE,
		    t_map_at(self->fd, self->id, self->mem, T_PAGE, T_RW, SPACE_AT));
	EXPECT_FAIL(ERANGE, UNUSABLE,
		    t_map_at(self->fd, self->id, self->mem, 2 * T_PAGE, T_RW, SPACE_AT - T_PAGE));
	EXPECT_OK(t_map_at(self->fd, self->id, self->mem, T_PAGE, T_RW, SPACE_AT + T_HUGE));
	EXPECT_OK(t_map_at(self->fd, self->id, self->mem, T_PAGE, T_RW, SPACE_AT + 2 * T_HUGE - T_PAGE));
	/* The next list replaces this one */
	ASSERT_OK(t_reserve(self->fd, self->id, r + 1, 1));
	EXPECT_OK(t_map_at(self->fd, self->id, self->mem, T_PAGE, T_RW, SPACE_AT));
	EXPECT_FAIL(ERANGE, UNUSABLE,
		    t_map_at(self->fd, self->id, self->mem, T_PAGE, T_RW, SPACE_AT + 2 * T_HUGE));
	/* An empty one gives everything back */
	ASSERT_OK(t_reserve(self->fd, self->id, NULL, 0));
	EXPECT_OK(t_map_at(self->fd, self->id, self->mem, T_PAGE, T_RW, SPACE_AT + 2 * T_HUGE));
	EXPECT_EQ(self->nr_ranges, t_space_ranges(self->fd, self->id, now, SPACE_RANGES));
	EXPECT_EQ(0, memcmp(self->ranges, now, self->nr_ranges * sizeof(*now)));
}

TEST_F(space, reserve_over_mappings)
{
	struct ioasid_iova_range r[3] = {
		{ 0, T_PAGE - 1 },
		{ SPACE_AT - T_HUGE, SPACE_AT - 1 },
		{ SPACE_AT + T_PAGE, SPACE_AT + T_HUGE - 1 },
	}, now[SPACE_RANGES];
	struct ioasid_translate tr;

	ASSERT_OK(t_map_at(self->fd, self->id, self->mem, T_PAGE, T_RW, SPACE_AT));
	/* All around it is fine */
	ASSERT_OK(t_reserve(self->fd, self->id, r, 3));
	r[1].last = SPACE_AT + T_PAGE - 1;
	EXPECT_FAIL(EADDRINUSE, RESERVED, t_reserve(self->fd, self->id, r, 3));
	EXPECT_EQ(1, t_extack.index);
	/* Refused as a whole: the older list is still in force */
	EXPECT_EQ(self->nr_ranges + 2, t_space_ranges(self->fd, self->id, now, SPACE_RANGES));
	EXPECT_FAIL(ERANGE, UNUSABLE, t_map_at(self->fd, self->id, self->mem, T_PAGE, T_RW, 0));
	EXPECT_OK(t_translate(self->fd, self->id, SPACE_AT, 0, &tr));
}

TEST_F(space, reserve_bad_lists)
{
	static const struct { struct ioasid_iova_range a, b; u32 index; } bad[] = {
		/* descending, touching in one page, one within the other, turned round */
		{ { 2 * T_HUGE, 3 * T_HUGE - 1 }, { 0, T_HUGE - 1 }, 1 },
		{ { 0, T_HUGE - 1 }, { T_HUGE - T_PAGE, 2 * T_HUGE - 1 }, 1 },
		{ { 0, 4 * T_HUGE - 1 }, { T_HUGE, 2 * T_HUGE - 1 }, 1 },
		{ { 0, T_HUGE - 1 }, { 3 * T_HUGE, 2 * T_HUGE - 1 }, 1 },
	};
	struct ioasid_iova_range r[2], now[SPACE_RANGES];
	size_t i;

	for (i = 0; i < ARRAY_SIZE(bad); i++) {
		r[0] = bad[i].a;
		r[1] = bad[i].b;
		EXPECT_FAIL(EINVAL, VALUE, t_reserve(self->fd, self->id, r, 2));
		EXPECT_EQ(bad[i].index, t_extack.index);
	}
	r[0] = (struct ioasid_iova_range){ 100, T_HUGE - 1 };
	EXPECT_EQ(-EINVAL, t_reserve(self->fd, self->id, r, 1)) TH_LOG("%s", t_explain());
	r[0] = (struct ioasid_iova_range){ T_PAGE, T_HUGE };
	EXPECT_EQ(-EINVAL, t_reserve(self->fd, self->id, r, 1)) TH_LOG("%s", t_explain());
	EXPECT_EQ(self->nr_ranges, t_space_ranges(self->fd, self->id, now, SPACE_RANGES));
}

TEST_F(space, reserve_everything)
{
	struct ioasid_iova_range all = { 0, UINT64_MAX }, now[SPACE_RANGES];
	u64 iova;

	ASSERT_OK(t_reserve(self->fd, self->id, &all, 1));
	EXPECT_EQ(0, t_space_ranges(self->fd, self->id, now, SPACE_RANGES));
	EXPECT_FAIL(ENOSPC, NO_ROOM, t_map(self->fd, self->id, self->mem, T_PAGE, T_RW, &iova));
	EXPECT_FAIL(ERANGE, UNUSABLE, t_map_at(self->fd, self->id, self->mem, T_PAGE, T_RW, SPACE_AT));
}

TEST_F_TIMEOUT(space, reserve_many, 300)
{
	struct ioasid_iova_range *r = calloc(IOASID_MAX_RESERVE, sizeof(*r));
	struct ioasid_space_info info;
	u64 iova;
	u32 i;

	for (i = 0; i < IOASID_MAX_RESERVE; i++)
		r[i] = (struct ioasid_iova_range){ SPACE_AT + i * 2 * T_PAGE,
						   SPACE_AT + (i * 2 + 1) * T_PAGE - 1 };
	ASSERT_OK(t_reserve(self->fd, self->id, r, IOASID_MAX_RESERVE));
	ASSERT_OK(t_space_info(self->fd, self->id, &info));
	EXPECT_EQ((u32)self->nr_ranges + IOASID_MAX_RESERVE, info.nr_ranges);
	EXPECT_FAIL(ERANGE, UNUSABLE, t_map_at(self->fd, self->id, self->mem, T_PAGE, T_RW,
					       r[IOASID_MAX_RESERVE - 1].first));
	EXPECT_OK(t_map_at(self->fd, self->id, self->mem, T_PAGE, T_RW,
			   r[IOASID_MAX_RESERVE / 2].first + T_PAGE));
	EXPECT_OK(t_map(self->fd, self->id, self->mem, 2 * T_PAGE, T_RW, &iova));
	EXPECT_EQ(-EADDRINUSE, t_reserve(self->fd, self->id,
					 &(struct ioasid_iova_range){ iova, iova + T_PAGE - 1 }, 1));
}

/*
 * Two sizes of a user multiplied: his ranges, and his list of what is reserved.
 * A range is found where the last one was, not by passing all that is full.
 */
TEST_F_TIMEOUT(space, reserve_many_and_map, 300)
{
	const u32 nr = 16384;
	struct ioasid_iova_range *r = calloc(IOASID_MAX_RESERVE, sizeof(*r));
	struct ioasid_map_range *m = calloc(nr, sizeof(*m));
	struct ioasid_info info;
	uint64_t start;
	u32 i;

	ASSERT_OK(t_info(self->fd, &info));
	ASSERT_EQ(IOASID_MAX_RESERVE, info.max_reserve);
	/* Pages of every other address; the kernel begins at the lowest one */
	for (i = 0; i < IOASID_MAX_RESERVE; i++)
		r[i] = (struct ioasid_iova_range){ 2 * i * T_PAGE, (2 * i + 1) * T_PAGE - 1 };
	ASSERT_OK(t_reserve(self->fd, self->id, r, IOASID_MAX_RESERVE));
	for (i = 0; i < nr; i++)
		m[i] = (struct ioasid_map_range){ 0, (uintptr_t)self->mem, T_PAGE, T_RW, 0 };
	start = t_now_ns();
	ASSERT_OK(t_mapv(self->fd, self->id, m, nr));
	TH_LOG("%llu ns for each", (unsigned long long)((t_now_ns() - start) / nr));
	EXPECT_WITHIN_MS(2000, start);
	EXPECT_EQ(T_PAGE, m[0].iova);
	EXPECT_EQ(3 * T_PAGE, m[1].iova);
	/* What has become free is found again */
	EXPECT_EQ(T_PAGE, t_unmap(self->fd, self->id, m[7].iova, T_PAGE));
	m[0].iova = 0;
	ASSERT_OK(t_mapv(self->fd, self->id, m, 1));
	EXPECT_EQ(m[7].iova, m[0].iova);
}

TEST_F(space, translate)
{
	struct ioasid_translate tr;

	ASSERT_OK(t_map_at(self->fd, self->id, self->mem + T_PAGE, 3 * T_PAGE, IOASID_MAP_READ,
			   SPACE_AT));
	/* First byte, an odd one, the last one */
	ASSERT_OK(t_translate(self->fd, self->id, SPACE_AT, 0, &tr));
	EXPECT_EQ((uintptr_t)self->mem + T_PAGE, tr.addr);
	EXPECT_EQ(IOASID_MAP_READ, tr.map_flags & T_RW);
	EXPECT_EQ(0, tr.phys);
	ASSERT_OK(t_translate(self->fd, self->id, SPACE_AT + 7777, 0, &tr));
	EXPECT_EQ((uintptr_t)self->mem + T_PAGE + 7777, tr.addr);
	EXPECT_EQ(SPACE_AT, tr.map_iova);
	EXPECT_EQ(3 * T_PAGE, tr.map_length);
	EXPECT_EQ(SPACE_AT + 7777, tr.iova);
	ASSERT_OK(t_translate(self->fd, self->id, SPACE_AT + 3 * T_PAGE - 1, 0, &tr));
	EXPECT_EQ((uintptr_t)self->mem + 4 * T_PAGE - 1, tr.addr);
	/* The bytes on either side, and the ends of all */
	EXPECT_FAIL(ENOENT, NOT_MAPPED, t_translate(self->fd, self->id, SPACE_AT + 3 * T_PAGE, 0, &tr));
	EXPECT_EQ(SPACE_AT + 3 * T_PAGE, t_extack.value);
	EXPECT_FAIL(ENOENT, NOT_MAPPED, t_translate(self->fd, self->id, SPACE_AT - 1, 0, &tr));
	EXPECT_FAIL(ENOENT, NOT_MAPPED, t_translate(self->fd, self->id, 0, 0, &tr));
	EXPECT_FAIL(ENOENT, NOT_MAPPED, t_translate(self->fd, self->id, UINT64_MAX, 0, &tr));
}

TEST_F(space, translate_phys)
{
	struct ioasid_translate tr;

	ASSERT_OK(t_map_at(self->fd, self->id, self->mem, 4 * T_PAGE, T_RW, SPACE_AT));
	ASSERT_OK(t_translate(self->fd, self->id, SPACE_AT + 2 * T_PAGE + 9, IOASID_TRANSLATE_PHYS,
			      &tr));
	if (!variant->attached) {
		EXPECT_EQ(0, tr.phys);
		return;
	}
	NEED(t_phys(self->mem), "no /proc/self/pagemap");
	EXPECT_EQ(t_phys(self->mem + 2 * T_PAGE + 9), tr.phys);
}

static int translate_phys_child(void *arg)
{
	FIXTURE_DATA(space) *self = arg;
	struct ioasid_translate tr;

	T_CHECK(t_translate(self->fd, self->id, SPACE_AT, IOASID_TRANSLATE_PHYS, &tr) == -EPERM);
	T_CHECK(t_extack.code == IOASID_REASON_PRIVILEGE);
	T_CHECK(t_extack.msg[0]);
	T_CHECK(!tr.phys);
	T_CHECK(t_translate(self->fd, self->id, SPACE_AT, 0, &tr) == 0);
	T_CHECK(!tr.phys);
	return 0;
}

/* Physical addresses are for administrators */
TEST_F(space, translate_phys_privilege)
{
	ASSERT_OK(t_map_at(self->fd, self->id, self->mem, 4 * T_PAGE, T_RW, SPACE_AT));
	EXPECT_EQ(0, t_child_as(T_NOBODY, translate_phys_child, self));
}

TEST_F(space, option_account_mode)
{
	struct ioasid_info info;
	u64 mode = 77;

	ASSERT_OK(t_option_get(self->fd, IOASID_OPTION_ACCOUNT_MODE, &mode));
	EXPECT_EQ(IOASID_ACCOUNT_USER, mode);
	ASSERT_OK(t_option_set(self->fd, IOASID_OPTION_ACCOUNT_MODE, IOASID_ACCOUNT_MM));
	ASSERT_OK(t_option_get(self->fd, IOASID_OPTION_ACCOUNT_MODE, &mode));
	EXPECT_EQ(IOASID_ACCOUNT_MM, mode);
	ASSERT_OK(t_info(self->fd, &info));
	EXPECT_EQ(IOASID_ACCOUNT_MM, info.account_mode);
	EXPECT_FAIL(EINVAL, VALUE, t_option_set(self->fd, IOASID_OPTION_ACCOUNT_MODE, 2));
	EXPECT_FAIL(EINVAL, VALUE, t_option_set(self->fd, IOASID_OPTION_ACCOUNT_MODE, 1ULL << 32));
	EXPECT_FAIL(EINVAL, VALUE, t_option_set(self->fd, 0, 0));
	EXPECT_FAIL(EINVAL, VALUE, t_option_set(self->fd, 99, 0));
	EXPECT_FAIL(EINVAL, VALUE, t_option_get(self->fd, 99, &mode));
	/* A refused change changes nothing */
	ASSERT_OK(t_option_get(self->fd, IOASID_OPTION_ACCOUNT_MODE, &mode));
	EXPECT_EQ(IOASID_ACCOUNT_MM, mode);
}

TEST_F(space, option_while_mapped)
{
	u64 mode;

	ASSERT_OK(t_map_at(self->fd, self->id, self->mem, T_PAGE, T_RW, SPACE_AT));
	EXPECT_FAIL(EBUSY, IN_USE, t_option_set(self->fd, IOASID_OPTION_ACCOUNT_MODE, IOASID_ACCOUNT_MM));
	ASSERT_OK(t_option_get(self->fd, IOASID_OPTION_ACCOUNT_MODE, &mode));
	EXPECT_EQ(IOASID_ACCOUNT_USER, mode);
	EXPECT_EQ(T_PAGE, t_unmap_all(self->fd, self->id));
	EXPECT_OK(t_option_set(self->fd, IOASID_OPTION_ACCOUNT_MODE, IOASID_ACCOUNT_MM));
	EXPECT_OK(t_map_at(self->fd, self->id, self->mem, T_PAGE, T_RW, SPACE_AT));
	EXPECT_FAIL(EBUSY, IN_USE,
		    t_option_set(self->fd, IOASID_OPTION_ACCOUNT_MODE, IOASID_ACCOUNT_USER));
}

TEST_HARNESS_MAIN
