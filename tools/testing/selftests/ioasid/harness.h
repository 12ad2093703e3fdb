/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The kernel's test harness with what these tests add to it: a command that
 * must succeed prints what the kernel said if it does not, and one that must
 * fail has to fail with the right errno, the right reason and a sentence.
 */
#ifndef T_HARNESS_H
#define T_HARNESS_H

#include <kselftest_harness.h>

#include "lib/check.h"
#include "lib/dma.h"
#include "lib/ioasid.h"
#include "lib/proc.h"

/* A hang, not a busy host or a kernel that checks everything, ends a case */
#undef TEST_TIMEOUT_DEFAULT
#define TEST_TIMEOUT_DEFAULT 180

/* It took less than MS since START, in ns; see t_time_is_exact() */
#define EXPECT_WITHIN_MS(ms, start) do {					\
	if (t_time_is_exact())							\
		EXPECT_GT((ms) * 1000000ULL, t_now_ns() - (start));		\
} while (0)

#define EXPECT_OK(call)		EXPECT_EQ(0, (call)) TH_LOG("%s", t_explain())
#define ASSERT_OK(call)		ASSERT_EQ(0, (call)) TH_LOG("%s", t_explain())

/* A file descriptor, a count: anything that is not a negative errno */
#define ASSERT_FD(call)		ASSERT_GE((call), 0) TH_LOG("%s", t_explain())

/* EXPECT_FAIL(EINVAL, ALIGNMENT, t_map(...)) */
#define EXPECT_FAIL(err, reason, call) do {					\
	EXPECT_EQ(-(err), (call)) TH_LOG("%s", t_explain());			\
	EXPECT_EQ(IOASID_REASON_##reason, t_extack.code) TH_LOG("%s", t_explain());	\
	EXPECT_NE('\0', t_extack.msg[0]);						\
} while (0)

/* The machine cannot do it: say so and end the test */
#define NEED(cond, ...) do {							\
	if (!(cond))								\
		SKIP(return, __VA_ARGS__);					\
} while (0)

/* Opens a device of that kind or ends the test, with the step that failed */
#define NEED_DMA(d, kind, nth) do {						\
	int __ret = t_dma_open(d, kind, nth, VFIO_IOASID_IOMMU);		\
										\
	if (__ret == -ENOENT)							\
		SKIP(return, "needs %s number %d, or ioasid_sim in its place",	\
		     (kind) == T_NVME ? "an NVMe" :				\
		     (kind) == T_EDU ? "an edu" : "a sibling edu", (nth) + 1);	\
	ASSERT_EQ(0, __ret) TH_LOG("%s failed", t_vfio_step);			\
} while (0)

/* The page @mem, mapped at @iova, can be read and written there by the device */
static inline void expect_dma(struct __test_metadata *_metadata, struct t_dma *dev, u64 iova,
			      char *mem, u32 seed)
{
	t_fill(mem, T_PAGE, seed);
	EXPECT_EQ(1, t_dma_reads(dev, iova, mem)) TH_LOG("at %#llx", (unsigned long long)iova);
	EXPECT_EQ(1, t_dma_writes(dev, iova, mem)) TH_LOG("at %#llx", (unsigned long long)iova);
}

static inline void expect_no_dma(struct __test_metadata *_metadata, struct t_dma *dev, u64 iova,
				 char *mem, u32 seed)
{
	t_fill(mem, T_PAGE, seed);
	EXPECT_EQ(0, t_dma_reads(dev, iova, mem)) TH_LOG("at %#llx", (unsigned long long)iova);
	EXPECT_EQ(0, t_dma_writes(dev, iova, mem)) TH_LOG("at %#llx", (unsigned long long)iova);
	EXPECT_EQ(-1, t_differs(mem, T_PAGE, seed));
}

#endif /* T_HARNESS_H */
