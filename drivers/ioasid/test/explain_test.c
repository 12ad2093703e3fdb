// SPDX-License-Identifier: GPL-2.0
/*
 * Extacks: what ioasid_fail() keeps, and what is copied to the user. main_test.c
 * tests that each command has a reason for each of its errors.
 */
#include <linux/mm.h>
#include <linux/mman.h>
#include <linux/uaccess.h>
#include "test.h"

static void first_reason_wins(struct kunit *test)
{
	struct ioasid_extack extack;

	ioasid_extack_init(&extack);
	KUNIT_EXPECT_EQ(test, extack.code, (u32)IOASID_REASON_NONE);
	KUNIT_EXPECT_EQ(test, extack.index, IOASID_NO_INDEX);
	KUNIT_EXPECT_EQ(test,
			ioasid_fail(&extack, -EBUSY, IOASID_REASON_IN_USE,
				    "%s %d", "cause", 1),
			-EBUSY);
	KUNIT_EXPECT_EQ(test,
			ioasid_fail(&extack, -EIO, IOASID_REASON_IOMMU,
				    "consequence"),
			-EIO);
	KUNIT_EXPECT_EQ(test, extack.code, (u32)IOASID_REASON_IN_USE);
	KUNIT_EXPECT_STREQ(test, extack.msg, "cause 1");
	/* Without an extack */
	KUNIT_EXPECT_EQ(test, ioasid_fail(NULL, -EIO, IOASID_REASON_IOMMU,
					  "lost"), -EIO);
}

static void long_sentence_is_cut(struct kunit *test)
{
	struct ioasid_extack extack;
	char *text = kunit_kmalloc(test, 1000, GFP_KERNEL);

	KUNIT_ASSERT_NOT_NULL(test, text);
	memset(text, 'x', 999);
	text[999] = '\0';
	ioasid_extack_init(&extack);
	ioasid_fail(&extack, -EIO, IOASID_REASON_IOMMU, "%s", text);
	KUNIT_EXPECT_EQ(test, strlen(extack.msg), sizeof(extack.msg) - 1);
}

static void check_finds_bad_addresses(struct kunit *test)
{
	u32 size = sizeof(struct ioasid_extack);
	u32 enough = offsetofend(struct ioasid_extack, code);

	itest_memory(test);
	KUNIT_EXPECT_EQ(test, ioasid_extack_check(0), 0);
	itest_put_user(test, ITEST_EXT, &size, sizeof(size));
	KUNIT_EXPECT_EQ(test, ioasid_extack_check(ITEST_EXT), 0);
	for (size = 0; size < 16; size++) {
		itest_put_user(test, ITEST_EXT, &size, sizeof(size));
		KUNIT_EXPECT_EQ(test, ioasid_extack_check(ITEST_EXT),
				size < enough ? -EINVAL : 0);
	}
	KUNIT_EXPECT_EQ(test, ioasid_extack_check(ITEST_HOLE), -EFAULT);
	/* Kernel memory, and the end of the address space */
	KUNIT_EXPECT_EQ(test, ioasid_extack_check((unsigned long)test),
			-EFAULT);
	KUNIT_EXPECT_EQ(test, ioasid_extack_check(U64_MAX - 3), -EFAULT);
	/* A size beyond the end of user memory */
	size = U32_MAX;
	itest_put_user(test, ITEST_EXT, &size, sizeof(size));
	if (!access_ok((void __user *)ITEST_EXT, size))
		KUNIT_EXPECT_EQ(test, ioasid_extack_check(ITEST_EXT), -EFAULT);
}

/* A read-only page with a valid size in it */
static void check_finds_read_only(struct kunit *test)
{
	struct page **page = itest_pages(test, 1, 0);
	u64 addr;

	*(u32 *)page_address(page[0]) = sizeof(struct ioasid_extack);
	addr = itest_map_pages(test, page, 1, PROT_READ | PROT_WRITE);
	KUNIT_EXPECT_EQ(test, ioasid_extack_check(addr), 0);
	addr = itest_map_pages(test, page, 1, PROT_READ);
	KUNIT_EXPECT_EQ(test, ioasid_extack_check(addr), -EFAULT);
}

/* What the user gets for each size of his struct */
static void short_ones_end_in_nul(struct kunit *test)
{
	struct ioasid_extack ext;
	struct ioasid_extack extack;
	u8 *raw = (u8 *)&ext, *got;
	u32 size, i;

	itest_memory(test);
	got = kunit_kmalloc(test, sizeof(ext) + 64, GFP_KERNEL);
	KUNIT_ASSERT_NOT_NULL(test, got);
	ioasid_extack_init(&extack);
	extack.ioasid = 0x11223344;
	extack.dev_id = 2;
	extack.index = 3;
	extack.pasid = 4;
	extack.value = 0x5566778899aabbccULL;
	ioasid_fail(&extack, -EIO, IOASID_REASON_IOMMU, "%0100d", 7);
	for (size = 8; size <= sizeof(ext) + 32; size++) {
		u32 len = min_t(u32, size, sizeof(ext));

		memset(got, 0xaa, sizeof(ext) + 64);
		*(u32 *)got = size;
		itest_put_user(test, ITEST_EXT, got, sizeof(ext) + 64);
		ioasid_extack_to_user(&extack, ITEST_EXT, -EIO);
		itest_get_user(test, got, ITEST_EXT, sizeof(ext) + 64);
		memset(&ext, 0, sizeof(ext));
		ext.size = size;
		ext.code = extack.code;
		ext.ioasid = extack.ioasid;
		ext.dev_id = extack.dev_id;
		ext.index = extack.index;
		ext.pasid = extack.pasid;
		ext.value = extack.value;
		strscpy(ext.msg, extack.msg, sizeof(ext.msg));
		if (len > offsetof(struct ioasid_extack, msg))
			raw[len - 1] = '\0';
		KUNIT_EXPECT_MEMEQ(test, got, raw, len);
		/* Nothing is written beyond it */
		for (i = len; i < sizeof(ext) + 64; i++)
			if (got[i] != 0xaa)
				break;
		KUNIT_EXPECT_EQ(test, i, (u32)sizeof(ext) + 64);
	}
}

static void success_writes_nothing(struct kunit *test)
{
	struct ioasid_extack ext = { .size = sizeof(ext) }, got;
	struct ioasid_extack extack;

	itest_memory(test);
	itest_put_user(test, ITEST_EXT, &ext, sizeof(ext));
	ioasid_extack_init(&extack);
	ioasid_fail(&extack, -EIO, IOASID_REASON_IOMMU, "not so bad after all");
	ioasid_extack_to_user(&extack, ITEST_EXT, 0);
	itest_get_user(test, &got, ITEST_EXT, sizeof(got));
	KUNIT_EXPECT_MEMEQ(test, &got, &ext, sizeof(ext));
	/* Without an address, or if its memory is unmapped since, only the errno */
	ioasid_extack_to_user(&extack, 0, -EIO);
	ioasid_extack_to_user(&extack, ITEST_HOLE, -EIO);
	ioasid_extack_to_user(&extack, ITEST_RO, -EIO);
}

static void unknown_reason_is_told(struct kunit *test)
{
	struct ioasid_extack ext = { .size = sizeof(ext) };
	struct ioasid_extack extack;

	itest_memory(test);
	itest_put_user(test, ITEST_EXT, &ext, sizeof(ext));
	ioasid_extack_init(&extack);
	ioasid_extack_to_user(&extack, ITEST_EXT, -EXDEV);
	itest_get_user(test, &ext, ITEST_EXT, sizeof(ext));
	KUNIT_EXPECT_EQ(test, ext.code, (u32)IOASID_REASON_OTHER);
	KUNIT_EXPECT_STREQ(test, ext.msg, "error 18");
}

static struct kunit_case ioasid_explain_cases[] = {
	KUNIT_CASE(first_reason_wins),
	KUNIT_CASE(long_sentence_is_cut),
	KUNIT_CASE(check_finds_bad_addresses),
	KUNIT_CASE(check_finds_read_only),
	KUNIT_CASE(short_ones_end_in_nul),
	KUNIT_CASE(success_writes_nothing),
	KUNIT_CASE(unknown_reason_is_told),
	{}
};

static struct kunit_suite ioasid_explain_suite = {
	.name = "ioasid_extack",
	.test_cases = ioasid_explain_cases,
};
kunit_test_suite(ioasid_explain_suite);
