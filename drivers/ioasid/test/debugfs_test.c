// SPDX-License-Identifier: GPL-2.0
/*
 * debugfs and tracepoints: the files of a context exist as long as it does and
 * show its state, and everything works with all tracepoints enabled.
 */
#include <linux/cred.h>
#include <linux/debugfs.h>
#include <linux/file.h>
#include <linux/fs.h>
#include <linux/mman.h>
#include <linux/mount.h>
#include <linux/sizes.h>
#include <linux/slab.h>
#include <linux/trace_events.h>
#include "test.h"

static void put_mount(void *mnt)
{
	kern_unmount(mnt);
}

static struct vfsmount *debugfs_mount(struct kunit *test)
{
	struct file_system_type *type = get_fs_type("debugfs");
	struct vfsmount *mnt;

	KUNIT_ASSERT_NOT_NULL(test, type);
	mnt = kern_mount(type);
	module_put(type->owner);
	KUNIT_ASSERT_FALSE(test, IS_ERR(mnt));
	KUNIT_ASSERT_EQ(test, kunit_add_action_or_reset(test, put_mount, mnt),
			0);
	return mnt;
}

/* Reads one file of a context as root does */
static char *show(struct itest *it, struct vfsmount *mnt, const char *name)
{
	struct path path = {
		.mnt = mnt, .dentry = debugfs_lookup(name, it->ctx->debugfs),
	};
	char *text = kunit_kzalloc(it->test, PAGE_SIZE, GFP_KERNEL);
	struct file *file;
	loff_t pos = 0;
	ssize_t got;

	KUNIT_ASSERT_NOT_NULL(it->test, text);
	KUNIT_ASSERT_NOT_NULL(it->test, path.dentry);
	file = dentry_open(&path, O_RDONLY, current_cred());
	dput(path.dentry);
	KUNIT_ASSERT_FALSE(it->test, IS_ERR(file));
	got = file->f_op->read(file, (char __user *)ITEST_VEC, PAGE_SIZE - 1,
			       &pos);
	__fput_sync(file);
	KUNIT_ASSERT_GT(it->test, got, 0L);
	itest_get_user(it->test, text, ITEST_VEC, got);
	return text;
}

static void files_say_what_is(struct kunit *test)
{
	static const struct itest_device_conf conf = { .group = 3 };
	struct ioasid_attach_params params = {
		.owner = "test-owner", .cookie = 0xabc,
		.unsafe_interrupts = true,
	};
	struct ioasid_alloc arg = {
		.kind = IOASID_KIND_MAPPED, .label = "labelled",
	};
	struct ioasid_option mode = {
		.flags = IOASID_OPTION_SET,
		.option = IOASID_OPTION_ACCOUNT_MODE,
		.value = IOASID_ACCOUNT_MM,
	};
	struct vfsmount *mnt;
	struct itest_iommu *fake;
	struct ioasid_extack extack;
	struct device *dev;
	struct itest *it;
	char want[200];

	itest_memory(test);
	mnt = debugfs_mount(test);
	fake = itest_iommu_new(test);
	dev = itest_device_new(test, fake, &conf);
	it = itest_open(test);
	KUNIT_EXPECT_NOT_NULL(test, strstr(show(it, mnt, "context"),
					   "account_mode=user spaces=0"));
	KUNIT_ASSERT_EQ(test, ITEST_CMD(it, IOASID_OPTION, &mode), 0);
	KUNIT_ASSERT_EQ(test, ITEST_CMD(it, IOASID_ALLOC, &arg), 0);
	KUNIT_ASSERT_EQ(test, itest_map_one(it, arg.ioasid, 0, ITEST_MEM,
					    SZ_16K, IOASID_MAP_READ), 0);
	params.ioasid = arg.ioasid;
	ioasid_extack_init(&extack);
	KUNIT_ASSERT_EQ(test, sva_register_device_to_pasid(it->ctx, IOASID_RID,
							   dev, &params,
							   &extack), 0);
	KUNIT_EXPECT_NOT_NULL(test, strstr(show(it, mnt, "context"),
			      "account_mode=mm spaces=1 devices=1 pinned_kib=16"));
	KUNIT_EXPECT_NOT_NULL(test, strstr(show(it, mnt, "spaces"),
			      "domains=1 devices=1 mappings=1 mapped_kib=16 pinned_kib=16 label=labelled\n"));
	KUNIT_EXPECT_NOT_NULL(test, strstr(show(it, mnt, "spaces"),
			      "usable 0x0-0xffffffffffffffff"));
	snprintf(want, sizeof(want),
		 "dev=%s group=%d owner=test-owner cookie=0xabc rid=%u\n",
		 dev_name(dev), iommu_group_id(dev->iommu_group), arg.ioasid);
	KUNIT_EXPECT_NOT_NULL(test, strstr(show(it, mnt, "attachments"), want));
	sva_remove_device(it->ctx, dev);
}

/* Enabled tracepoints read all their arguments */
static void everything_is_traced(struct kunit *test)
{
	static const struct itest_device_conf conf = {};
	struct ioasid_attach_params params = {
		.owner = "test-owner", .unsafe_interrupts = true,
	};
	struct itest_iommu *fake;
	struct ioasid_extack extack;
	struct device *dev;
	struct itest *it;

	itest_memory(test);
	fake = itest_iommu_new(test);
	dev = itest_device_new(test, fake, &conf);
	KUNIT_ASSERT_EQ(test, trace_set_clr_event("ioasid", NULL, 1), 0);
	it = itest_open(test);
	params.ioasid = itest_alloc_space(it);
	ioasid_extack_init(&extack);
	KUNIT_EXPECT_EQ(test, sva_register_device_to_pasid(it->ctx, IOASID_RID,
							   dev, &params,
							   &extack), 0);
	KUNIT_EXPECT_EQ(test, itest_map_one(it, params.ioasid, 0, ITEST_MEM,
					    SZ_16K, IOASID_MAP_READ), 0);
	KUNIT_EXPECT_EQ(test, itest_unmap(it, params.ioasid, NULL, 0, NULL), 0);
	ITEST_EXPECT_ERR(it, itest_free_space(it, params.ioasid), -EBUSY,
			 IOASID_REASON_IN_USE);
	sva_remove_device(it->ctx, dev);
	KUNIT_EXPECT_EQ(test, itest_free_space(it, params.ioasid), 0);
	itest_close(it);
	KUNIT_EXPECT_EQ(test, trace_set_clr_event("ioasid", NULL, 0), 0);
}

static struct kunit_case ioasid_debugfs_cases[] = {
	KUNIT_CASE(files_say_what_is),
	KUNIT_CASE(everything_is_traced),
	{}
};

static struct kunit_suite ioasid_debugfs_suite = {
	.name = "ioasid_debugfs",
	.test_cases = ioasid_debugfs_cases,
};
kunit_test_suite(ioasid_debugfs_suite);
