// SPDX-License-Identifier: GPL-2.0
/*
 * Tests of a complete unit with endpoints, registered with the IOMMU core: DMA,
 * lifetime of cached translations, PASIDs, nesting, dirty bits. A test must never
 * pass because nothing happened, so each one also checks that DMA succeeds.
 */
#include <kunit/test.h>
#include <linux/delay.h>
#include <linux/kthread.h>
#include <linux/sizes.h>
#include "test.h"

static const struct sim_config test_cfg = {
	.endpoints = 4,
	.group_size = 2,
	.pasid_bits = 8,
	.credits = 4,
	.prq_depth = 6,
	.addr_bits = 48,
	.name = "ioasid-sim-test",
};

/**
 * sim_test_start() - create a unit with endpoints, for one test
 * @test: the test; destroys it when it ends
 * @cfg: its configuration
 *
 * Context: can sleep.
 *
 * Return: the unit; on failure the test is aborted.
 */
struct sim_unit *sim_test_start(struct kunit *test, const struct sim_config *cfg)
{
	struct sim_unit *unit = sim_unit_create(cfg, 0);

	KUNIT_ASSERT_FALSE(test, IS_ERR(unit));
	KUNIT_ASSERT_EQ(test, kunit_add_action_or_reset(test, sim_test_stop, unit), 0);
	KUNIT_ASSERT_EQ(test, sim_unit_plug(unit), 0);
	return unit;
}

void sim_test_stop(void *unit)
{
	sim_unit_destroy(unit);
}

static void test_free_page(void *page)
{
	__free_page(page);
}

/**
 * sim_test_page() - allocate a page for one test
 * @test: the test; frees it when it ends
 *
 * Context: can sleep.
 *
 * Return: the page, zeroed; on failure the test is aborted.
 */
struct page *sim_test_page(struct kunit *test)
{
	struct page *page = alloc_page(GFP_KERNEL | __GFP_ZERO);

	KUNIT_ASSERT_NOT_NULL(test, page);
	KUNIT_ASSERT_EQ(test, kunit_add_action_or_reset(test, test_free_page, page), 0);
	return page;
}

static void test_free_domain(void *domain)
{
	struct iommu_domain *core = domain;

	core->ops->free(core);
}

static struct sim_domain *test_domain(struct kunit *test, struct sim_unit *unit, u32 flags)
{
	struct iommu_domain *core = sim_paging_create(&unit->cfg, flags);

	KUNIT_ASSERT_FALSE(test, IS_ERR(core));
	KUNIT_ASSERT_EQ(test, kunit_add_action_or_reset(test, test_free_domain, core), 0);
	return to_sim_domain(core);
}

static void test_detach(void *sdev)
{
	sim_detach_all(sdev);
}

/* Detaches an endpoint before the domains that are allocated later are freed */
static struct ioasid_sim_dev *test_endpoint(struct sim_unit *unit, unsigned int i)
{
	return unit->endpoints[i];
}

/* Call it after the last domain is allocated */
static void test_detach_at_end(struct kunit *test, struct ioasid_sim_dev *sdev)
{
	KUNIT_ASSERT_EQ(test, kunit_add_action_or_reset(test, test_detach, sdev), 0);
}

static void test_map(struct kunit *test, struct sim_domain *domain, u64 iova,
		     struct page *page, int prot)
{
	size_t mapped = 0;

	KUNIT_ASSERT_EQ(test, sim_map_pages(&domain->domain, iova, page_to_phys(page),
					    SZ_4K, 1, prot, GFP_KERNEL, &mapped), 0);
	sim_iotlb_sync_map(&domain->domain, iova, SZ_4K);
}

static void test_unmap_nosync(struct kunit *test, struct sim_domain *domain, u64 iova,
			      struct iommu_iotlb_gather *gather)
{
	iommu_iotlb_gather_init(gather);
	KUNIT_ASSERT_EQ(test, sim_unmap_pages(&domain->domain, iova, SZ_4K, 1, gather), SZ_4K);
}

static void test_unmap(struct kunit *test, struct sim_domain *domain, u64 iova)
{
	struct iommu_iotlb_gather gather;

	test_unmap_nosync(test, domain, iova, &gather);
	sim_iotlb_sync(&domain->domain, &gather);
}

static int test_write(struct ioasid_sim_dev *sdev, u32 pasid, u64 iova, u64 value)
{
	return ioasid_sim_dma(sdev, pasid, iova, &value, sizeof(value), SIM_WRITE, NULL);
}

static int test_read(struct ioasid_sim_dev *sdev, u32 pasid, u64 iova, u64 *value)
{
	return ioasid_sim_dma(sdev, pasid, iova, value, sizeof(*value), 0, NULL);
}

static u64 test_peek(struct page *page)
{
	return READ_ONCE(*(u64 *)page_address(page));
}

#define TEST_RW		(IOMMU_READ | IOMMU_WRITE)

/* --- DMA --- */

static void dma_moves_data(struct kunit *test)
{
	struct sim_unit *unit = sim_test_start(test, &test_cfg);
	struct ioasid_sim_dev *sdev = test_endpoint(unit, 0);
	struct sim_domain *domain = test_domain(test, unit, 0);
	struct page *a = sim_test_page(test), *b = sim_test_page(test);
	u8 *buf = kunit_kzalloc(test, 2 * SZ_4K, GFP_KERNEL), *p = page_address(a);
	u64 bad = 0, old = 0;
	unsigned int i;

	KUNIT_ASSERT_NOT_NULL(test, buf);
	test_map(test, domain, SZ_1G, a, TEST_RW);
	test_map(test, domain, SZ_1G + SZ_4K, b, IOMMU_READ);
	KUNIT_ASSERT_EQ(test, sim_attach(sdev, 0, domain), 0);
	test_detach_at_end(test, sdev);
	for (i = 0; i < SZ_4K; i++)
		buf[i] = i * 7 + 1;
	memset(page_address(b), 0x5a, SZ_4K);
	KUNIT_EXPECT_EQ(test, ioasid_sim_dma(sdev, 0, SZ_1G + 1, buf, SZ_4K - 1, SIM_WRITE,
					     &bad), 0);
	KUNIT_EXPECT_EQ(test, bad, SZ_1G + SZ_4K);
	KUNIT_EXPECT_EQ(test, p[0], 0);
	KUNIT_EXPECT_MEMEQ(test, p + 1, buf, SZ_4K - 1);
	memset(buf, 0, 2 * SZ_4K);
	KUNIT_EXPECT_EQ(test, ioasid_sim_dma(sdev, 0, SZ_1G + 8, buf, SZ_4K, 0, &bad), 0);
	KUNIT_EXPECT_MEMEQ(test, buf, p + 8, SZ_4K - 8);
	KUNIT_EXPECT_EQ(test, buf[SZ_4K - 8], 0x5a);
	/* Everything before the page that faults has been written */
	memset(buf, 0xee, 16);
	KUNIT_EXPECT_EQ(test, ioasid_sim_dma(sdev, 0, SZ_1G + SZ_4K - 8, buf, 16, SIM_WRITE,
					     &bad), -EFAULT);
	KUNIT_EXPECT_EQ(test, bad, SZ_1G + SZ_4K);
	KUNIT_EXPECT_EQ(test, p[SZ_4K - 1], 0xee);
	KUNIT_EXPECT_EQ(test, *(u8 *)page_address(b), 0x5a);
	*(u64 *)p = 40;
	KUNIT_EXPECT_EQ(test, ioasid_sim_atomic_add(sdev, 0, SZ_1G, 2, &old, 0, &bad), 0);
	KUNIT_EXPECT_EQ(test, old, 40);
	KUNIT_EXPECT_EQ(test, test_peek(a), 42);
	KUNIT_EXPECT_EQ(test, ioasid_sim_atomic_add(sdev, 0, SZ_1G + 4, 2, &old, 0, &bad), -EINVAL);
	KUNIT_EXPECT_EQ(test, ioasid_sim_atomic_add(sdev, 0, SZ_1G + SZ_4K, 2, &old, 0, &bad),
			-EFAULT);
	KUNIT_EXPECT_EQ(test, ioasid_sim_dma(sdev, 0, U64_MAX - 8, buf, 16, 0, &bad), -EINVAL);
	KUNIT_EXPECT_EQ(test, ioasid_sim_dma(sdev, 256, SZ_1G, buf, 16, 0, &bad), -EINVAL);
	KUNIT_EXPECT_EQ(test, ioasid_sim_dma(sdev, 0, SZ_1G, buf, 16, SIM_PRIV, &bad), -EINVAL);
}

struct test_log {
	struct ioasid_sim_fault fault;
	unsigned int n;
};

static void test_on_fault(void *data, const struct ioasid_sim_fault *fault)
{
	struct test_log *log = data;

	log->fault = *fault;
	log->n++;
}

static const struct ioasid_sim_dev_ops test_log_ops = { .fault = test_on_fault };

static int test_on_domain_fault(struct iommu_domain *domain, struct device *dev,
				unsigned long iova, int flags, void *token)
{
	*(unsigned long *)token = iova | flags;
	return 0;
}

static void dma_faults_are_told(struct kunit *test)
{
	struct sim_unit *unit = sim_test_start(test, &test_cfg);
	struct ioasid_sim_dev *sdev = test_endpoint(unit, 1);
	struct sim_domain *domain = test_domain(test, unit, 0);
	struct page *page = sim_test_page(test);
	struct test_log log = { };
	unsigned long seen = 0;
	u64 value;

	domain->domain.type = IOMMU_DOMAIN_UNMANAGED;
	iommu_set_fault_handler(&domain->domain, test_on_domain_fault, &seen);
	test_map(test, domain, SZ_4K, page, IOMMU_READ);
	KUNIT_ASSERT_EQ(test, sim_attach(sdev, 0, domain), 0);
	KUNIT_ASSERT_EQ(test, sim_attach(sdev, 7, domain), 0);
	test_detach_at_end(test, sdev);
	ioasid_sim_set_ops(sdev, &test_log_ops, &log);
	KUNIT_EXPECT_EQ(test, test_write(sdev, 7, SZ_4K + 16, 1), -EFAULT);
	KUNIT_EXPECT_EQ(test, log.n, 1);
	KUNIT_EXPECT_EQ(test, log.fault.seq, 1);
	KUNIT_EXPECT_EQ(test, log.fault.iova, SZ_4K + 16);
	KUNIT_EXPECT_EQ(test, log.fault.pasid, 7);
	KUNIT_EXPECT_EQ(test, log.fault.reason, SIM_FAULT_WRITE);
	KUNIT_EXPECT_EQ(test, log.fault.access, SIM_WRITE);
	KUNIT_EXPECT_EQ(test, seen, (SZ_4K + 16) | IOMMU_FAULT_WRITE);
	KUNIT_EXPECT_EQ(test, test_read(sdev, 0, SZ_8K, &value), -EFAULT);
	KUNIT_EXPECT_EQ(test, log.fault.reason, SIM_FAULT_NOT_PRESENT);
	KUNIT_EXPECT_EQ(test, seen, SZ_8K);
	KUNIT_EXPECT_EQ(test, test_read(sdev, 8, SZ_4K, &value), -EFAULT);
	KUNIT_EXPECT_EQ(test, log.fault.reason, SIM_FAULT_NO_ENTRY);
	KUNIT_EXPECT_EQ(test, test_read(sdev, 0, SIM_MSI_START + 8, &value), -EFAULT);
	KUNIT_EXPECT_EQ(test, log.fault.reason, SIM_FAULT_BUS);
	KUNIT_EXPECT_EQ(test, log.fault.seq, 4);
	KUNIT_EXPECT_EQ(test, test_read(sdev, 0, SZ_4K, &value), 0);
	ioasid_sim_set_ops(sdev, NULL, NULL);
}

/* --- TLBs --- */

static void test_stale(struct kunit *test, const struct sim_config *cfg)
{
	struct sim_unit *unit = sim_test_start(test, cfg);
	struct ioasid_sim_dev *sdev = test_endpoint(unit, 0), *other = test_endpoint(unit, 1);
	struct sim_domain *domain = test_domain(test, unit, 0);
	struct page *a = sim_test_page(test), *b = sim_test_page(test);
	struct iommu_iotlb_gather gather;

	KUNIT_ASSERT_EQ(test, sim_attach(sdev, 0, domain), 0);
	KUNIT_ASSERT_EQ(test, sim_attach(other, 5, domain), 0);
	test_detach_at_end(test, sdev);
	test_detach_at_end(test, other);
	test_map(test, domain, SZ_2M, a, TEST_RW);
	KUNIT_EXPECT_EQ(test, test_write(sdev, 0, SZ_2M, 1), 0);
	KUNIT_EXPECT_EQ(test, test_write(other, 5, SZ_2M, 1), 0);
	test_unmap_nosync(test, domain, SZ_2M, &gather);
	test_map(test, domain, SZ_2M, b, IOMMU_READ);
	/* The table has changed, but was not flushed */
	KUNIT_EXPECT_EQ(test, test_write(sdev, 0, SZ_2M, 2), 0);
	KUNIT_EXPECT_EQ(test, test_write(other, 5, SZ_2M, 3), 0);
	KUNIT_EXPECT_EQ(test, test_peek(a), 3);
	KUNIT_EXPECT_EQ(test, test_peek(b), 0);
	sim_iotlb_sync(&domain->domain, &gather);
	KUNIT_EXPECT_EQ(test, test_write(sdev, 0, SZ_2M, 4), -EFAULT);
	KUNIT_EXPECT_EQ(test, test_write(other, 5, SZ_2M, 4), -EFAULT);
	KUNIT_EXPECT_EQ(test, test_peek(a), 3);
}

static void stale_until_flushed(struct kunit *test)
{
	test_stale(test, &test_cfg);
}

static void stale_without_ats(struct kunit *test)
{
	struct sim_config cfg = test_cfg;

	cfg.no_ats = true;
	test_stale(test, &cfg);
}

/* A flush of one range, or of one domain, does not affect others */
static void flush_is_exact(struct kunit *test)
{
	struct sim_unit *unit = sim_test_start(test, &test_cfg);
	struct ioasid_sim_dev *sdev = test_endpoint(unit, 0);
	struct sim_domain *one = test_domain(test, unit, 0), *two = test_domain(test, unit, 0);
	struct page *page = sim_test_page(test);
	struct ioasid_sim_stats before, after;
	struct iommu_iotlb_gather gather;
	u64 value;

	KUNIT_ASSERT_EQ(test, sim_attach(sdev, 1, one), 0);
	KUNIT_ASSERT_EQ(test, sim_attach(sdev, 2, two), 0);
	test_detach_at_end(test, sdev);
	test_map(test, one, 0, page, TEST_RW);
	test_map(test, one, SZ_4K, page, TEST_RW);
	test_map(test, two, 0, page, TEST_RW);
	KUNIT_EXPECT_EQ(test, test_read(sdev, 1, 0, &value), 0);
	KUNIT_EXPECT_EQ(test, test_read(sdev, 1, SZ_4K, &value), 0);
	KUNIT_EXPECT_EQ(test, test_read(sdev, 2, 0, &value), 0);
	test_unmap_nosync(test, one, 0, &gather);
	sim_iotlb_sync(&one->domain, &gather);
	ioasid_sim_get_stats(sdev, &before);
	KUNIT_EXPECT_EQ(test, test_read(sdev, 1, SZ_4K, &value), 0);
	KUNIT_EXPECT_EQ(test, test_read(sdev, 2, 0, &value), 0);
	ioasid_sim_get_stats(sdev, &after);
	KUNIT_EXPECT_EQ(test, after.walks, before.walks);
	KUNIT_EXPECT_EQ(test, after.ats_hits, before.ats_hits + 2);
	KUNIT_EXPECT_EQ(test, test_read(sdev, 1, 0, &value), -EFAULT);
}

static void negative_until_flushed(struct kunit *test)
{
	struct sim_config cfg = test_cfg;
	struct page *page = sim_test_page(test);
	struct ioasid_sim_dev *sdev;
	struct sim_domain *domain;
	struct sim_unit *unit;
	size_t mapped = 0;
	u64 value;

	cfg.negative = true;
	unit = sim_test_start(test, &cfg);
	sdev = test_endpoint(unit, 0);
	domain = test_domain(test, unit, 0);
	KUNIT_ASSERT_EQ(test, sim_attach(sdev, 0, domain), 0);
	test_detach_at_end(test, sdev);
	KUNIT_EXPECT_EQ(test, test_read(sdev, 0, 0, &value), -EFAULT);
	KUNIT_ASSERT_EQ(test, sim_map_pages(&domain->domain, 0, page_to_phys(page), SZ_4K, 1,
					    TEST_RW, GFP_KERNEL, &mapped), 0);
	KUNIT_EXPECT_EQ(test, test_read(sdev, 0, 0, &value), -EFAULT);
	sim_iotlb_sync_map(&domain->domain, 0, SZ_4K);
	KUNIT_EXPECT_EQ(test, test_read(sdev, 0, 0, &value), 0);
}

/* A detached domain leaves no translations, even if its tag is reused */
static void attach_flushes(struct kunit *test)
{
	struct sim_unit *unit = sim_test_start(test, &test_cfg);
	struct ioasid_sim_dev *sdev = test_endpoint(unit, 0);
	struct page *a = sim_test_page(test), *b = sim_test_page(test);
	struct sim_domain *one, *two;
	u32 tag;

	one = to_sim_domain(sim_paging_create(&unit->cfg, 0));
	KUNIT_ASSERT_FALSE(test, IS_ERR(one));
	test_map(test, one, 0, a, TEST_RW);
	KUNIT_ASSERT_EQ(test, sim_attach(sdev, 3, one), 0);
	KUNIT_EXPECT_EQ(test, test_write(sdev, 3, 0, 1), 0);
	KUNIT_ASSERT_EQ(test, sim_attach(sdev, 3, NULL), 0);
	KUNIT_EXPECT_EQ(test, test_write(sdev, 3, 0, 2), -EFAULT);
	tag = one->tag;
	sim_free_paging(&one->domain);
	two = test_domain(test, unit, 0);
	KUNIT_EXPECT_EQ(test, two->tag, tag);
	test_detach_at_end(test, sdev);
	test_map(test, two, 0, b, TEST_RW);
	KUNIT_ASSERT_EQ(test, sim_attach(sdev, 3, two), 0);
	KUNIT_EXPECT_EQ(test, test_write(sdev, 3, 0, 3), 0);
	KUNIT_EXPECT_EQ(test, test_peek(a), 1);
	KUNIT_EXPECT_EQ(test, test_peek(b), 3);
}

/* --- random operations, against a model --- */

#define RANDOM_DOMAINS	4
#define RANDOM_PAGES	12
#define RANDOM_SLOTS	4
#define RANDOM_ROUNDS	20000

struct random_state {
	struct rnd_state rnd;
	struct sim_unit *unit;
	struct page *page[RANDOM_PAGES];
	u64 shadow[RANDOM_PAGES];
	struct sim_domain *domain[RANDOM_DOMAINS];
	/* page + 1, 0: not mapped; by IOVA in pages */
	u8 map[RANDOM_DOMAINS][RANDOM_PAGES];
	bool write[RANDOM_DOMAINS][RANDOM_PAGES];
	/* domain + 1, 0: not attached; by endpoint and PASID */
	u8 slot[2][RANDOM_SLOTS];
};

static u32 random_below(struct random_state *s, u32 n)
{
	return prandom_u32_state(&s->rnd) % n;
}

static void random_remap(struct kunit *test, struct random_state *s)
{
	u32 d = random_below(s, RANDOM_DOMAINS), i = random_below(s, RANDOM_PAGES), p;

	if (s->map[d][i]) {
		test_unmap(test, s->domain[d], i * SZ_4K);
		s->map[d][i] = 0;
		return;
	}
	p = random_below(s, RANDOM_PAGES);
	s->map[d][i] = p + 1;
	s->write[d][i] = random_below(s, 2);
	test_map(test, s->domain[d], i * SZ_4K, s->page[p],
		 IOMMU_READ | (s->write[d][i] ? IOMMU_WRITE : 0));
}

static void random_attach(struct kunit *test, struct random_state *s)
{
	u32 e = random_below(s, 2), pasid = random_below(s, RANDOM_SLOTS);
	u32 d = random_below(s, RANDOM_DOMAINS + 1);

	s->slot[e][pasid] = d;
	KUNIT_ASSERT_EQ(test, sim_attach(s->unit->endpoints[e], pasid,
					 d ? s->domain[d - 1] : NULL), 0);
}

static void random_dma(struct kunit *test, struct random_state *s)
{
	u32 e = random_below(s, 2), pasid = random_below(s, RANDOM_SLOTS);
	u32 i = random_below(s, RANDOM_PAGES), d = s->slot[e][pasid], p;
	struct ioasid_sim_dev *sdev = s->unit->endpoints[e];
	bool write = random_below(s, 2), fine;
	u64 value = prandom_u32_state(&s->rnd);

	p = d ? s->map[d - 1][i] : 0;
	fine = p && (!write || s->write[d - 1][i]);
	if (write) {
		KUNIT_ASSERT_EQ(test, test_write(sdev, pasid, i * SZ_4K, value),
				fine ? 0 : -EFAULT);
		if (fine)
			s->shadow[p - 1] = value;
	} else {
		KUNIT_ASSERT_EQ(test, test_read(sdev, pasid, i * SZ_4K, &value),
				fine ? 0 : -EFAULT);
		if (fine)
			KUNIT_ASSERT_EQ(test, value, s->shadow[p - 1]);
	}
	if (p)
		KUNIT_ASSERT_EQ(test, test_peek(s->page[p - 1]), s->shadow[p - 1]);
}

static void random_all(struct kunit *test)
{
	struct random_state *s = kunit_kzalloc(test, sizeof(*s), GFP_KERNEL);
	unsigned int i;

	KUNIT_ASSERT_NOT_NULL(test, s);
	sim_test_rnd(test, &s->rnd);
	s->unit = sim_test_start(test, &test_cfg);
	for (i = 0; i < RANDOM_PAGES; i++)
		s->page[i] = sim_test_page(test);
	for (i = 0; i < RANDOM_DOMAINS; i++)
		s->domain[i] = test_domain(test, s->unit, 0);
	for (i = 0; i < 2; i++) {
		test_detach_at_end(test, s->unit->endpoints[i]);
		sim_detach_all(s->unit->endpoints[i]);
	}
	for (i = 0; i < sim_test_some(RANDOM_ROUNDS); i++) {
		switch (random_below(s, 8)) {
		case 0:
			random_attach(test, s);
			break;
		case 1:
		case 2:
			random_remap(test, s);
			break;
		default:
			random_dma(test, s);
		}
	}
	for (i = 0; i < RANDOM_PAGES; i++)
		KUNIT_EXPECT_EQ(test, test_peek(s->page[i]), s->shadow[i]);
}

/* --- nested --- */

#define NEST_PAGES	64
#define NEST_TABLES	4
#define NEST_IOVA	(~0ULL << 47 | 3ULL << 39 | 5ULL << 30 | 7ULL << 21)

struct nest {
	struct rnd_state rnd;
	struct sim_unit *unit;
	struct ioasid_sim_dev *sdev;
	struct sim_domain *parent;
	struct sim_domain *child;
	/* By guest page; the first NEST_TABLES are the guest's tables */
	struct page *page[NEST_PAGES];
	bool mapped[NEST_PAGES];
	bool write[NEST_PAGES];
	u64 gpa[NEST_PAGES];
};

static u64 *nest_entry(struct nest *n, unsigned int table, unsigned int i)
{
	return (u64 *)page_address(n->page[table]) + i;
}

static void nest_map(struct kunit *test, struct nest *n, unsigned int i, bool write)
{
	test_map(test, n->parent, n->gpa[i], n->page[i], write ? TEST_RW : IOMMU_READ);
	n->mapped[i] = true;
	n->write[i] = write;
}

static void nest_unmap(struct kunit *test, struct nest *n, unsigned int i)
{
	test_unmap(test, n->parent, n->gpa[i]);
	n->mapped[i] = false;
}

static struct nest *nest_start(struct kunit *test, u64 flags)
{
	struct nest *n = kunit_kzalloc(test, sizeof(*n), GFP_KERNEL);
	const u64 bits = SIM_PTE_P | SIM_PTE_W | SIM_PTE_U;
	struct iommu_domain *child;
	unsigned int i, level;

	KUNIT_ASSERT_NOT_NULL(test, n);
	n->unit = sim_test_start(test, &test_cfg);
	n->sdev = test_endpoint(n->unit, 0);
	n->parent = test_domain(test, n->unit, IOMMU_HWPT_ALLOC_NEST_PARENT);
	for (i = 0; i < NEST_PAGES; i++) {
		n->page[i] = sim_test_page(test);
		/* Neither identical nor in order */
		n->gpa[i] = SZ_1G + (u64)(NEST_PAGES - i) * 3 * SZ_4K;
		nest_map(test, n, i, true);
	}
	for (i = 0, level = SIM_LEVELS; level > 1; level--, i++)
		*nest_entry(n, i, sim_index(NEST_IOVA, level)) = n->gpa[i + 1] | bits;
	child = sim_nest(n->parent, n->gpa[0], flags);
	KUNIT_ASSERT_FALSE(test, IS_ERR(child));
	KUNIT_ASSERT_EQ(test, kunit_add_action_or_reset(test, test_free_domain, child), 0);
	n->child = to_sim_domain(child);
	test_detach_at_end(test, n->sdev);
	KUNIT_ASSERT_EQ(test, sim_attach(n->sdev, 9, n->child), 0);
	return n;
}

/* Entry of a page in the guest's last-level table */
static u64 *nest_pte(struct nest *n, unsigned int i)
{
	return nest_entry(n, NEST_TABLES - 1, i);
}

static u64 nest_iova(unsigned int i)
{
	return NEST_IOVA + (u64)i * SZ_4K;
}

static void nested_walk(struct kunit *test)
{
	struct nest *n = nest_start(test, 0);
	struct test_log log = { };
	unsigned int shift;
	u64 value;

	ioasid_sim_set_ops(n->sdev, &test_log_ops, &log);
	*nest_pte(n, 1) = n->gpa[10] | SIM_PTE_P | SIM_PTE_W | SIM_PTE_U;
	KUNIT_EXPECT_EQ(test, test_write(n->sdev, 9, nest_iova(1), 77), 0);
	KUNIT_EXPECT_EQ(test, test_peek(n->page[10]), 77);
	KUNIT_EXPECT_EQ(test, *nest_pte(n, 1) & (SIM_PTE_A | SIM_PTE_D), SIM_PTE_A | SIM_PTE_D);
	/* The parent also records the writes to the tables of the guest */
	KUNIT_EXPECT_TRUE(test, sim_table_lookup(&n->parent->table, n->gpa[0], &shift) & SIM_PTE_D);
	KUNIT_EXPECT_TRUE(test, sim_table_lookup(&n->parent->table, n->gpa[10], &shift) & SIM_PTE_D);
	KUNIT_EXPECT_FALSE(test, sim_table_lookup(&n->parent->table, n->gpa[11], &shift) & SIM_PTE_D);
	/* Supervisor requests were not enabled */
	KUNIT_EXPECT_EQ(test, ioasid_sim_dma(n->sdev, 9, nest_iova(1), &value, 8, SIM_PRIV, NULL),
			-EFAULT);
	KUNIT_EXPECT_EQ(test, log.fault.reason, SIM_FAULT_USER);
	/* The guest has not mapped it */
	KUNIT_EXPECT_EQ(test, test_read(n->sdev, 9, nest_iova(2), &value), -EFAULT);
	KUNIT_EXPECT_EQ(test, log.fault.reason, SIM_FAULT_NOT_PRESENT);
	/* The guest points outside of its memory */
	*nest_pte(n, 2) = SZ_2G | SIM_PTE_P | SIM_PTE_W | SIM_PTE_U;
	KUNIT_EXPECT_EQ(test, test_read(n->sdev, 9, nest_iova(2), &value), -EFAULT);
	KUNIT_EXPECT_EQ(test, log.fault.reason, SIM_FAULT_STAGE2);
	/* Not sign-extended */
	KUNIT_EXPECT_EQ(test, test_read(n->sdev, 9, nest_iova(1) & GENMASK_ULL(47, 0), &value),
			-EFAULT);
	KUNIT_EXPECT_EQ(test, log.fault.reason, SIM_FAULT_RANGE);
	ioasid_sim_set_ops(n->sdev, NULL, NULL);
}

static void nested_tables_are_translated(struct kunit *test)
{
	struct nest *n = nest_start(test, 0);
	struct test_log log = { };
	unsigned int i;
	u64 value;

	ioasid_sim_set_ops(n->sdev, &test_log_ops, &log);
	*nest_pte(n, 1) = n->gpa[10] | SIM_PTE_P | SIM_PTE_U;
	for (i = 0; i < NEST_TABLES; i++) {
		KUNIT_EXPECT_EQ(test, test_read(n->sdev, 9, nest_iova(1), &value), 0);
		nest_unmap(test, n, i);
		KUNIT_EXPECT_EQ(test, test_read(n->sdev, 9, nest_iova(1), &value), -EFAULT);
		KUNIT_EXPECT_EQ(test, log.fault.reason, SIM_FAULT_STAGE2_TABLE);
		nest_map(test, n, i, true);
	}
	/* Setting an accessed bit needs a writable table */
	nest_unmap(test, n, 3);
	nest_map(test, n, 3, false);
	KUNIT_EXPECT_EQ(test, test_read(n->sdev, 9, nest_iova(1), &value), 0);
	*nest_pte(n, 2) = n->gpa[11] | SIM_PTE_P | SIM_PTE_U;
	KUNIT_EXPECT_EQ(test, test_read(n->sdev, 9, nest_iova(2), &value), -EFAULT);
	KUNIT_EXPECT_EQ(test, log.fault.reason, SIM_FAULT_STAGE2_TABLE);
	ioasid_sim_set_ops(n->sdev, NULL, NULL);
}

/* Without a flush either stage stays stale; a flush is enough */
static void nested_is_flushed(struct kunit *test)
{
	struct nest *n = nest_start(test, 0);
	struct iommu_iotlb_gather gather;
	const u64 bits = SIM_PTE_P | SIM_PTE_W | SIM_PTE_U;

	*nest_pte(n, 1) = n->gpa[10] | bits;
	KUNIT_EXPECT_EQ(test, test_write(n->sdev, 9, nest_iova(1), 1), 0);
	*nest_pte(n, 1) = n->gpa[11] | bits;
	KUNIT_EXPECT_EQ(test, test_write(n->sdev, 9, nest_iova(1), 2), 0);
	KUNIT_EXPECT_EQ(test, test_peek(n->page[10]), 2);
	sim_flush(n->child, nest_iova(1), nest_iova(2) - 1);
	KUNIT_EXPECT_EQ(test, test_write(n->sdev, 9, nest_iova(1), 3), 0);
	KUNIT_EXPECT_EQ(test, test_peek(n->page[11]), 3);
	test_unmap_nosync(test, n->parent, n->gpa[11], &gather);
	KUNIT_EXPECT_EQ(test, test_write(n->sdev, 9, nest_iova(1), 4), 0);
	sim_iotlb_sync(&n->parent->domain, &gather);
	KUNIT_EXPECT_EQ(test, test_write(n->sdev, 9, nest_iova(1), 5), -EFAULT);
	KUNIT_EXPECT_EQ(test, test_peek(n->page[11]), 4);
}

static void nested_supervisor(struct kunit *test)
{
	struct nest *n = nest_start(test, IOMMU_VTD_S1_SRE | IOMMU_VTD_S1_EAFE);
	u64 value = 5;

	*nest_pte(n, 1) = n->gpa[10] | SIM_PTE_P;
	KUNIT_EXPECT_EQ(test, test_read(n->sdev, 9, nest_iova(1), &value), -EFAULT);
	KUNIT_EXPECT_EQ(test, ioasid_sim_dma(n->sdev, 9, nest_iova(1), &value, 8,
					     SIM_PRIV | SIM_WRITE, NULL), 0);
	KUNIT_EXPECT_TRUE(test, *nest_pte(n, 1) & SIM_PTE_EA);
	/* Permissions of supervisors are not cached for users */
	KUNIT_EXPECT_EQ(test, test_read(n->sdev, 9, nest_iova(1), &value), -EFAULT);
	n->child->stage.wp = true;
	sim_flush(n->child, 0, U64_MAX);
	KUNIT_EXPECT_EQ(test, ioasid_sim_dma(n->sdev, 9, nest_iova(1), &value, 8,
					     SIM_PRIV | SIM_WRITE, NULL), -EFAULT);
}

static void nest_random_change(struct kunit *test, struct nest *n)
{
	u32 i = NEST_TABLES + prandom_u32_state(&n->rnd) % (NEST_PAGES - NEST_TABLES);
	u32 r = prandom_u32_state(&n->rnd);

	if (r & 1) {
		if (n->mapped[i])
			nest_unmap(test, n, i);
		else
			nest_map(test, n, i, r & 2);
		return;
	}
	*nest_pte(n, i) = n->gpa[NEST_TABLES + (r >> 8) % (NEST_PAGES - NEST_TABLES)] |
			  (r & 6 ? SIM_PTE_P : 0) | (r & 24 ? SIM_PTE_U : 0) |
			  (r & 32 ? SIM_PTE_W : 0);
	sim_flush(n->child, nest_iova(i), nest_iova(i + 1) - 1);
}

/* The page that an access must reach; -1 if none */
static int nest_model(struct nest *n, unsigned int i, bool write)
{
	u64 pte = *nest_pte(n, i);
	unsigned int p;

	if (!(pte & SIM_PTE_P) || !(pte & SIM_PTE_U) || (write && !(pte & SIM_PTE_W)))
		return -1;
	for (p = 0; p < NEST_PAGES; p++)
		if (n->gpa[p] == (pte & SIM_PTE_ADDR))
			break;
	return n->mapped[p] && (!write || n->write[p]) ? p : -1;
}

static void nested_random(struct kunit *test)
{
	struct nest *n = nest_start(test, 0);
	unsigned int round, i;
	bool write;
	u64 value;
	int p;

	sim_test_rnd(test, &n->rnd);
	for (round = 0; round < sim_test_some(RANDOM_ROUNDS); round++) {
		if (!(prandom_u32_state(&n->rnd) % 3))
			nest_random_change(test, n);
		i = NEST_TABLES + prandom_u32_state(&n->rnd) % (NEST_PAGES - NEST_TABLES);
		write = prandom_u32_state(&n->rnd) % 2;
		p = nest_model(n, i, write);
		value = round;
		if (write) {
			KUNIT_ASSERT_EQ(test, test_write(n->sdev, 9, nest_iova(i), value),
					p < 0 ? -EFAULT : 0);
		} else {
			KUNIT_ASSERT_EQ(test, test_read(n->sdev, 9, nest_iova(i), &value),
					p < 0 ? -EFAULT : 0);
		}
		if (p >= 0)
			KUNIT_ASSERT_EQ(test, test_peek(n->page[p]), value);
	}
}

/* --- dirty bits --- */

/* True if the page is reported as dirty */
static bool test_dirty(struct sim_domain *domain, u64 iova, unsigned long flags, bool flush)
{
	struct iommu_iotlb_gather gather;
	struct iommu_dirty_bitmap dirty;

	iommu_dirty_bitmap_init(&dirty, NULL, &gather);
	if (sim_read_and_clear_dirty(&domain->domain, iova, SZ_4K, flags, &dirty))
		return false;
	if (flush)
		sim_iotlb_sync(&domain->domain, &gather);
	return gather.start == iova && gather.end == iova + SZ_4K - 1;
}

static void dirty_bits(struct kunit *test)
{
	struct sim_unit *unit = sim_test_start(test, &test_cfg);
	struct ioasid_sim_dev *sdev = test_endpoint(unit, 0);
	struct sim_domain *domain = test_domain(test, unit, IOMMU_HWPT_ALLOC_DIRTY_TRACKING);
	struct sim_domain *plain = test_domain(test, unit, 0);
	struct page *page = sim_test_page(test);
	u64 value;

	KUNIT_EXPECT_EQ(test, sim_set_dirty_tracking(&plain->domain, true), -EOPNOTSUPP);
	test_map(test, domain, 0, page, TEST_RW);
	KUNIT_ASSERT_EQ(test, sim_attach(sdev, 0, domain), 0);
	test_detach_at_end(test, sdev);
	KUNIT_EXPECT_EQ(test, test_write(sdev, 0, 0, 1), 0);
	KUNIT_EXPECT_FALSE(test, test_dirty(domain, 0, 0, true));
	KUNIT_ASSERT_EQ(test, sim_set_dirty_tracking(&domain->domain, true), 0);
	KUNIT_EXPECT_EQ(test, test_read(sdev, 0, 0, &value), 0);
	KUNIT_EXPECT_FALSE(test, test_dirty(domain, 0, 0, true));
	KUNIT_EXPECT_EQ(test, test_write(sdev, 0, 0, 1), 0);
	KUNIT_EXPECT_TRUE(test, test_dirty(domain, 0, IOMMU_DIRTY_NO_CLEAR, true));
	KUNIT_EXPECT_TRUE(test, test_dirty(domain, 0, 0, true));
	KUNIT_EXPECT_FALSE(test, test_dirty(domain, 0, 0, true));
	KUNIT_EXPECT_EQ(test, test_write(sdev, 0, 0, 1), 0);
	/* Without a flush after clearing, later writes are not recorded */
	KUNIT_EXPECT_TRUE(test, test_dirty(domain, 0, 0, false));
	KUNIT_EXPECT_EQ(test, test_write(sdev, 0, 0, 1), 0);
	KUNIT_EXPECT_FALSE(test, test_dirty(domain, 0, 0, false));
	sim_flush_iotlb_all(&domain->domain);
	KUNIT_EXPECT_EQ(test, test_write(sdev, 0, 0, 1), 0);
	KUNIT_EXPECT_TRUE(test, test_dirty(domain, 0, 0, true));
	KUNIT_ASSERT_EQ(test, sim_set_dirty_tracking(&domain->domain, false), 0);
	KUNIT_EXPECT_EQ(test, test_write(sdev, 0, 0, 1), 0);
	KUNIT_EXPECT_FALSE(test, test_dirty(domain, 0, 0, true));
}

/* --- races --- */

struct hammer {
	struct ioasid_sim_dev *sdev;
	u64 done;
};

static int hammer_fn(void *data)
{
	struct hammer *h = data;
	u64 value = 0;

	while (!kthread_should_stop()) {
		if (!test_write(h->sdev, 0, SZ_4K, ++value))
			WRITE_ONCE(h->done, h->done + 1);
		cond_resched();
	}
	return 0;
}

static void stop_hammer(void *task)
{
	kthread_stop(task);
}

/* No write to a page follows its flush, however late */
static void flush_drains(struct kunit *test)
{
	struct sim_unit *unit = sim_test_start(test, &test_cfg);
	struct hammer h = { .sdev = test_endpoint(unit, 0) };
	struct sim_domain *domain = test_domain(test, unit, 0);
	struct page *page = sim_test_page(test);
	struct task_struct *task;
	unsigned int i, stuck = 0;
	u64 seen;

	KUNIT_ASSERT_EQ(test, sim_attach(h.sdev, 0, domain), 0);
	test_detach_at_end(test, h.sdev);
	task = kthread_run(hammer_fn, &h, "ioasid-sim-test");
	KUNIT_ASSERT_FALSE(test, IS_ERR(task));
	for (i = 0; i < 200; i++) {
		test_map(test, domain, SZ_4K, page, TEST_RW);
		seen = READ_ONCE(h.done);
		for (stuck = 0; READ_ONCE(h.done) == seen && stuck < 1000; stuck++)
			usleep_range(20, 50);
		test_unmap(test, domain, SZ_4K);
		seen = test_peek(page);
		usleep_range(20, 50);
		if (test_peek(page) != seen || stuck == 1000)
			break;
	}
	stop_hammer(task);
	KUNIT_EXPECT_EQ(test, i, 200);
	KUNIT_EXPECT_LT(test, stuck, 1000);
	KUNIT_EXPECT_GE(test, h.done, 200);
}

struct long_dma {
	struct ioasid_sim_dev *sdev;
	void *buf;
	int rc;
	bool done;
};

static int long_dma_fn(void *data)
{
	struct long_dma *l = data;
	unsigned int i;

	for (i = 0; i < 2000 && !l->rc; i++)
		l->rc = ioasid_sim_dma(l->sdev, 0, 0, l->buf, SZ_512K, SIM_WRITE, NULL);
	WRITE_ONCE(l->done, true);
	while (!kthread_should_stop())
		usleep_range(100, 200);
	return 0;
}

/* A reset ends DMA in progress at the next page */
static void reset_ends_dma(struct kunit *test)
{
	struct sim_unit *unit = sim_test_start(test, &test_cfg);
	struct long_dma l = { .sdev = test_endpoint(unit, 0) };
	struct sim_domain *domain = test_domain(test, unit, 0);
	struct page *page = sim_test_page(test);
	struct task_struct *task;
	unsigned int i;

	l.buf = kunit_kzalloc(test, SZ_512K, GFP_KERNEL);
	KUNIT_ASSERT_NOT_NULL(test, l.buf);
	for (i = 0; i < SZ_512K / SZ_4K; i++)
		test_map(test, domain, i * SZ_4K, page, TEST_RW);
	KUNIT_ASSERT_EQ(test, sim_attach(l.sdev, 0, domain), 0);
	test_detach_at_end(test, l.sdev);
	task = kthread_run(long_dma_fn, &l, "ioasid-sim-test");
	KUNIT_ASSERT_FALSE(test, IS_ERR(task));
	/* A reset may also come between two accesses */
	for (i = 0; i < 1000 && !READ_ONCE(l.done); i++) {
		usleep_range(500, 1000);
		ioasid_sim_reset(l.sdev);
	}
	stop_hammer(task);
	KUNIT_EXPECT_EQ(test, l.rc, -ECANCELED);
}

/* --- the IOMMU core --- */

static void groups_are_shared(struct kunit *test)
{
	struct sim_unit *unit = sim_test_start(test, &test_cfg);
	struct device *dev[4];
	unsigned int i;

	for (i = 0; i < 4; i++) {
		dev[i] = &unit->endpoints[i]->pdev.dev;
		KUNIT_ASSERT_NOT_NULL(test, dev[i]->iommu_group);
		KUNIT_EXPECT_EQ(test, dev[i]->iommu->max_pasids, 256);
		KUNIT_EXPECT_PTR_EQ(test, ioasid_sim_dev(dev[i]), unit->endpoints[i]);
	}
	KUNIT_EXPECT_PTR_EQ(test, dev[0]->iommu_group, dev[1]->iommu_group);
	KUNIT_EXPECT_PTR_EQ(test, dev[2]->iommu_group, dev[3]->iommu_group);
	KUNIT_EXPECT_PTR_NE(test, dev[0]->iommu_group, dev[2]->iommu_group);
}

static void parameters_are_obeyed(struct kunit *test)
{
	const struct sim_config cfg = {
		.endpoints = 1, .group_size = 1, .prq_depth = 1, .addr_bits = 39,
		.no_ats = true, .no_nesting = true, .no_coherency = true, .no_enforce = true,
		.no_dirty = true, .no_huge = true, .name = "ioasid-sim-test",
	};
	struct sim_unit *unit = sim_test_start(test, &cfg);
	struct device *dev = &unit->endpoints[0]->pdev.dev;
	struct iommu_domain *domain = compat_paging_domain_alloc(dev);
	const struct iommu_ops *ops = dev->iommu->iommu_dev->ops;

	KUNIT_ASSERT_FALSE(test, IS_ERR(domain));
	KUNIT_EXPECT_EQ(test, dev->iommu->max_pasids, 0);
	KUNIT_EXPECT_FALSE(test, device_iommu_capable(dev, IOMMU_CAP_CACHE_COHERENCY));
	KUNIT_EXPECT_FALSE(test, device_iommu_capable(dev, IOMMU_CAP_DIRTY_TRACKING));
	KUNIT_EXPECT_FALSE(test, domain->ops->enforce_cache_coherency(domain));
	KUNIT_EXPECT_EQ(test, domain->pgsize_bitmap, SZ_4K);
	KUNIT_EXPECT_EQ(test, domain->geometry.aperture_end, BIT_ULL(39) - 1);
	KUNIT_EXPECT_EQ(test, PTR_ERR(iommu_paging_domain_alloc_flags(dev,
			IOMMU_HWPT_ALLOC_NEST_PARENT)), -EOPNOTSUPP);
	KUNIT_EXPECT_EQ(test, PTR_ERR(iommu_paging_domain_alloc_flags(dev,
			IOMMU_HWPT_ALLOC_DIRTY_TRACKING)), -EOPNOTSUPP);
	KUNIT_EXPECT_EQ(test, PTR_ERR(ops->domain_alloc_nested(dev, domain, 0, NULL)),
			-EOPNOTSUPP);
	iommu_domain_free(domain);
}

static struct kunit_case sim_cases[] = {
	KUNIT_CASE(dma_moves_data),
	KUNIT_CASE(dma_faults_are_told),
	KUNIT_CASE(stale_until_flushed),
	KUNIT_CASE(stale_without_ats),
	KUNIT_CASE(flush_is_exact),
	KUNIT_CASE(negative_until_flushed),
	KUNIT_CASE(attach_flushes),
	KUNIT_CASE(random_all),
	KUNIT_CASE(nested_walk),
	KUNIT_CASE(nested_tables_are_translated),
	KUNIT_CASE(nested_is_flushed),
	KUNIT_CASE(nested_supervisor),
	KUNIT_CASE(nested_random),
	KUNIT_CASE(dirty_bits),
	KUNIT_CASE(flush_drains),
	KUNIT_CASE(reset_ends_dma),
	KUNIT_CASE(groups_are_shared),
	KUNIT_CASE(parameters_are_obeyed),
	{ }
};

static struct kunit_suite sim_suite = {
	.name = "ioasid-sim",
	.test_cases = sim_cases,
};
kunit_test_suite(sim_suite);
