// SPDX-License-Identifier: GPL-2.0
/*
 * Pinning that fails although the memory is there: it is tried again, neither
 * for ever nor where it cannot help. That memory of ZONE_MOVABLE is moved is
 * for the selftests.
 */
#include <linux/anon_inodes.h>
#include <linux/file.h>
#include <linux/mman.h>
#include <linux/mmzone.h>
#include "test.h"

#define NR	20

/**
 * struct short_memory - user memory that is not always there
 * @page: its pages
 * @fails: how many page faults still fail without memory
 */
struct short_memory {
	struct page **page;
	u32 fails;
};

static vm_fault_t short_memory_fault(struct vm_fault *vmf)
{
	struct short_memory *m = vmf->vma->vm_private_data;

	if (m->fails) {
		m->fails--;
		return VM_FAULT_OOM;
	}
	vmf->page = m->page[vmf->pgoff];
	get_page(vmf->page);
	return 0;
}

static const struct vm_operations_struct short_memory_ops = {
	.fault = short_memory_fault,
};

static int short_memory_mmap(struct file *file, struct vm_area_struct *vma)
{
	vma->vm_ops = &short_memory_ops;
	vma->vm_private_data = file->private_data;
	return 0;
}

static const struct file_operations short_memory_fops = {
	.owner = THIS_MODULE,
	.mmap = short_memory_mmap,
};

static u64 map_short_memory(struct kunit *test, struct short_memory *m)
{
	struct file *file;
	u64 addr;

	m->page = itest_pages(test, NR, 0);
	file = anon_inode_getfile("[ioasid-test]", &short_memory_fops, m,
				  O_RDWR);
	KUNIT_ASSERT_NOT_ERR_OR_NULL(test, file);
	addr = kunit_vm_mmap(test, file, 0, NR * PAGE_SIZE,
			     PROT_READ | PROT_WRITE, MAP_SHARED, 0);
	fput(file);
	KUNIT_ASSERT_FALSE(test, !addr || IS_ERR_VALUE(addr));
	return addr;
}

static int pin_again(u64 addr, struct page **page, struct ioasid_extack *extack)
{
	const unsigned int gup = FOLL_LONGTERM | FOLL_WRITE;

	ioasid_extack_init(extack);
	return ioasid_pin_user_again(pin_user_pages_fast(addr, NR, gup, page),
				     addr, NR, gup, page, extack);
}

static void pinned_at_the_second_try(struct kunit *test)
{
	struct short_memory m = { .fails = 1 };
	struct ioasid_extack extack;
	struct page *page[NR];
	u64 addr;
	int rc;

	itest_memory(test);
	addr = map_short_memory(test, &m);
	rc = pin_again(addr, page, &extack);
	/* Fewer of them, and the others by the next call */
	KUNIT_ASSERT_EQ(test, rc, NR / 8);
	KUNIT_EXPECT_PTR_EQ(test, page[0], m.page[0]);
	KUNIT_EXPECT_EQ(test, itest_pins(page[0]), 1U);
	KUNIT_EXPECT_EQ(test, extack.code, (u32)IOASID_REASON_NONE);
	unpin_user_pages(page, rc);
}

static void not_tried_again_without_memory(struct kunit *test)
{
	struct short_memory m = { .fails = 2 };
	struct ioasid_extack extack;
	struct page *page[NR];
	u64 addr;

	itest_memory(test);
	addr = map_short_memory(test, &m);
	KUNIT_EXPECT_EQ(test, pin_again(addr, page, &extack), -ENOMEM);
	KUNIT_EXPECT_EQ(test, m.fails, 0U);
	/* Up to the caller, as every error of the kernel */
	KUNIT_EXPECT_EQ(test, extack.code, (u32)IOASID_REASON_NONE);
}

/* It gives up in the end, and says that it is not about memory */
static void waits_only_so_often(struct kunit *test)
{
	struct ioasid_extack extack;
	unsigned long start = jiffies;
	int rc;
	u32 i;

	ioasid_extack_init(&extack);
	for (i = 0; i < 100; i++) {
		rc = ioasid_pin_wait(i, 0, 0x5000, &extack);
		if (rc)
			break;
		KUNIT_ASSERT_EQ(test, extack.code, (u32)IOASID_REASON_NONE);
	}
	KUNIT_EXPECT_EQ(test, rc, -EBUSY);
	KUNIT_EXPECT_GT(test, i, 1U);
	KUNIT_EXPECT_GT(test, jiffies - start, 1UL);
	KUNIT_EXPECT_EQ(test, extack.code, (u32)IOASID_REASON_RACE);
	KUNIT_EXPECT_EQ(test, extack.value, 0x5000ULL);
	KUNIT_EXPECT_NULL(test, strstr(extack.msg, "no memory"));
}

static void does_not_wait_for_memory(struct kunit *test)
{
	struct ioasid_extack extack;
	int rc = 0;
	u32 i;

	ioasid_extack_init(&extack);
	/* Nobody has so much of it in one piece */
	for (i = 0; !rc; i++)
		rc = ioasid_pin_wait(i, MAX_PAGE_ORDER + 1, 0x5000, &extack);
	KUNIT_EXPECT_EQ(test, rc, -ENOMEM);
	KUNIT_EXPECT_EQ(test, extack.code, (u32)IOASID_REASON_NO_MEMORY);
}

static void killed_while_waiting(struct kunit *test)
{
	struct ioasid_extack extack;
	u32 i;

	itest_memory(test);
	itest_set_killed(true);
	for (i = 0; i < 5; i += 4) {
		ioasid_extack_init(&extack);
		KUNIT_EXPECT_EQ(test, ioasid_pin_wait(i, 0, 0x5000, &extack),
				-EINTR);
		KUNIT_EXPECT_EQ(test, extack.code, (u32)IOASID_REASON_KILLED);
	}
	itest_set_killed(false);
}

static struct kunit_case ioasid_pin_cases[] = {
	KUNIT_CASE(pinned_at_the_second_try),
	KUNIT_CASE(not_tried_again_without_memory),
	KUNIT_CASE(waits_only_so_often),
	KUNIT_CASE(does_not_wait_for_memory),
	KUNIT_CASE(killed_while_waiting),
	{}
};

static struct kunit_suite ioasid_pin_suite = {
	.name = "ioasid_pin",
	.test_cases = ioasid_pin_cases,
};
kunit_test_suite(ioasid_pin_suite);
