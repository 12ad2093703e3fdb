// SPDX-License-Identifier: GPL-2.0
/*
 * DEVICE_INFO of devices that are attached or not, with too little room for the
 * result, and with an IOMMU driver that fails.
 */
#include <linux/mman.h>
#include <linux/sizes.h>
#include "test.h"

static const struct itest_device_conf conf = {
	.enforce = true, .resv = { { SZ_1M, SZ_1M, IOMMU_RESV_RESERVED } },
};

static const struct ioasid_iova_range ranges[] = {
	{ 0, SZ_1M - 1 }, { SZ_2M, SZ_1G - 1 },
};

static struct itest *known_device(struct kunit *test, struct itest_iommu **fake,
				  struct device **dev,
				  struct ioasid_device_info *info)
{
	const struct ioasid_attach_params params = {
		.owner = "test-owner", .cookie = 0x1122334455667788ULL,
		.unsafe_interrupts = true,
	};
	struct ioasid_extack extack;
	struct itest *it;

	itest_memory(test);
	*fake = itest_iommu_new(test);
	(*fake)->knobs.aperture_end = SZ_1G - 1;
	*dev = itest_device_new(test, *fake, &conf);
	it = itest_open(test);
	ioasid_extack_init(&extack);
	KUNIT_ASSERT_EQ(test,
			sva_bind_device(it->ctx, *dev, &params, &info->dev_id,
					&extack),
			0);
	return it;
}

static int ask(struct itest *it, struct ioasid_device_info *info, u32 room,
	       u32 bytes)
{
	info->nr_ranges = room;
	info->ranges = ITEST_VEC;
	info->range_size = sizeof(struct ioasid_iova_range);
	info->hw_info_len = bytes;
	info->hw_info = ITEST_VEC + PAGE_SIZE;
	return ITEST_CMD(it, IOASID_DEVICE_INFO, info);
}

static void all_is_told(struct kunit *test)
{
	struct ioasid_attach_params params = { .owner = "test-owner" };
	struct ioasid_device_info info = {};
	struct ioasid_iova_range got[2];
	struct ioasid_extack extack;
	struct itest_iommu *fake;
	struct device *dev;
	struct itest *it = known_device(test, &fake, &dev, &info);
	u32 caps = IOASID_DEVICE_COHERENT | IOASID_DEVICE_ENFORCE_COHERENT |
		   IOASID_DEVICE_SINGLETON;
	char blob[8];
	u32 i;

	for (i = 0; i < 2; i++) {
		KUNIT_ASSERT_EQ(test, ask(it, &info, 2, 8), 0);
		KUNIT_EXPECT_EQ(test, info.caps, caps |
				(i ? IOASID_DEVICE_ATTACHED : 0));
		KUNIT_EXPECT_EQ(test, info.cookie, 0x1122334455667788ULL);
		KUNIT_EXPECT_EQ(test, info.group_id,
				(u32)iommu_group_id(dev->iommu_group));
		KUNIT_EXPECT_EQ(test, info.pasid_bits, 0U);
		KUNIT_EXPECT_EQ(test, info.ioasid, i ? params.ioasid : 0);
		KUNIT_EXPECT_STREQ(test, info.name, dev_name(dev));
		KUNIT_EXPECT_STREQ(test, info.owner, "test-owner");
		KUNIT_EXPECT_EQ(test, info.nr_ranges, 2U);
		KUNIT_EXPECT_EQ(test, info.hw_info_len, 8U);
		KUNIT_EXPECT_EQ(test, info.hw_info_type,
				(u32)IOMMU_HW_INFO_TYPE_INTEL_VTD);
		itest_get_user(test, got, ITEST_VEC, sizeof(got));
		KUNIT_EXPECT_MEMEQ(test, got, ranges, sizeof(ranges));
		itest_get_user(test, blob, ITEST_VEC + PAGE_SIZE, sizeof(blob));
		KUNIT_EXPECT_MEMEQ(test, blob, "hardware", 8);
		/* The same from the domain that it is attached to */
		if (i)
			break;
		params.ioasid = itest_alloc_space(it);
		params.unsafe_interrupts = true;
		ioasid_extack_init(&extack);
		KUNIT_ASSERT_EQ(test, sva_register_device_to_pasid(it->ctx,
								   IOASID_RID,
								   dev, &params,
								   &extack), 0);
	}
	/* The query leaves nothing behind */
	KUNIT_EXPECT_EQ(test, atomic_read(&fake->knobs.nr_domains), 1);
	sva_remove_device(it->ctx, dev);
	KUNIT_EXPECT_EQ(test, atomic_read(&fake->knobs.nr_domains), 0);
}

static void too_little_room(struct kunit *test)
{
	struct ioasid_device_info info = {};
	struct itest_iommu *fake;
	struct device *dev;
	struct itest *it = known_device(test, &fake, &dev, &info);
	u32 room, bytes;

	for (room = 0; room < 4; room++)
		for (bytes = 6; bytes < 10; bytes++) {
			bool fits = room >= 2 && bytes >= 8;

			ITEST_EXPECT_ERR(it, ask(it, &info, room, bytes),
					 fits ? 0 : -EMSGSIZE,
					 IOASID_REASON_LIMIT);
			/* Both sizes are reported, whichever was too small */
			KUNIT_EXPECT_EQ(test, info.nr_ranges, 2U);
			KUNIT_EXPECT_EQ(test, info.hw_info_len, 8U);
		}
	/* No room given */
	info.ranges = 0;
	info.hw_info = 0;
	info.nr_ranges = 0;
	info.hw_info_len = 0;
	KUNIT_EXPECT_EQ(test, ITEST_CMD(it, IOASID_DEVICE_INFO, &info), 0);
	KUNIT_EXPECT_EQ(test, info.nr_ranges, 2U);
	KUNIT_EXPECT_EQ(test, info.hw_info_len, 8U);
	/* Not writable */
	info.ranges = ITEST_HOLE;
	ITEST_EXPECT_ERR(it, ITEST_CMD(it, IOASID_DEVICE_INFO, &info), -EFAULT,
			 IOASID_REASON_POINTER);
	info.ranges = 0;
	info.hw_info = ITEST_HOLE;
	ITEST_EXPECT_ERR(it, ITEST_CMD(it, IOASID_DEVICE_INFO, &info), -EFAULT,
			 IOASID_REASON_POINTER);
	sva_remove_device(it->ctx, dev);
}

static void iommu_does_not_say(struct kunit *test)
{
	struct ioasid_device_info info = {};
	struct itest_iommu *fake;
	struct device *dev;
	struct itest *it = known_device(test, &fake, &dev, &info);

	fake->knobs.hw_info_err = 1;
	KUNIT_EXPECT_EQ(test, ask(it, &info, 2, 8), 0);
	KUNIT_EXPECT_EQ(test, info.hw_info_len, 0U);
	KUNIT_EXPECT_EQ(test, info.hw_info_type, (u32)IOMMU_HW_INFO_TYPE_NONE);
	fake->knobs.hw_info_err = -EIO;
	ITEST_EXPECT_ERR(it, ask(it, &info, 2, 8), -EIO, IOASID_REASON_IOMMU);
	fake->knobs.hw_info_err = 0;
	fake->knobs.fail_alloc = -ENOSPC;
	ITEST_EXPECT_ERR(it, ask(it, &info, 2, 8), -ENOSPC,
			 IOASID_REASON_IOMMU);
	KUNIT_EXPECT_EQ(test, it->ext.dev_id, info.dev_id);
	KUNIT_EXPECT_EQ(test, atomic_read(&fake->knobs.nr_domains), 0);
	sva_remove_device(it->ctx, dev);
}

static struct kunit_case ioasid_device_info_cases[] = {
	KUNIT_CASE(all_is_told),
	KUNIT_CASE(too_little_room),
	KUNIT_CASE(iommu_does_not_say),
	{}
};

static struct kunit_suite ioasid_device_info_suite = {
	.name = "ioasid_device_info",
	.test_cases = ioasid_device_info_cases,
};
kunit_test_suite(ioasid_device_info_suite);
