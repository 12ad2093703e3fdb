// SPDX-License-Identifier: GPL-2.0
/*
 * Tests of the page tables and of the walk against a simple model: an array with
 * one element for each page. They need no unit and no device. Each random test
 * prints the seed that repeats it.
 */
#include <kunit/test.h>
#include <linux/moduleparam.h>
#include <linux/random.h>
#include <linux/sizes.h>
#include <linux/vmalloc.h>
#include "test.h"

static unsigned int sim_test_seed;
module_param(sim_test_seed, uint, 0444);
MODULE_PARM_DESC(sim_test_seed, "repeats a random KUnit test (0: a new seed)");

static unsigned int sim_test_rounds = 100;
module_param(sim_test_rounds, uint, 0444);
MODULE_PARM_DESC(sim_test_rounds, "percent of the random tests' rounds, for slow machines");

/**
 * sim_test_rnd() - start a sequence of random numbers
 * @test: the test; prints the seed
 * @rnd: out: the sequence
 *
 * Context: can sleep.
 */
void sim_test_rnd(struct kunit *test, struct rnd_state *rnd)
{
	u32 seed = sim_test_seed ?: get_random_u32();

	kunit_info(test, "sim_test_seed=%u", seed);
	prandom_seed_state(rnd, seed);
}

/**
 * sim_test_some() - get the number of rounds of a random test
 * @all: number of rounds at 100 percent of the parameter sim_test_rounds
 *
 * Context: any.
 *
 * Return: number of rounds, at least 1.
 */
unsigned int sim_test_some(unsigned int all)
{
	return DIV_ROUND_UP_ULL((u64)all * (sim_test_rounds ?: 1), 100);
}

/* --- the model: 2 GiB, one element for each 4 KiB --- */

#define MODEL_BASE	(5ULL << 39 | 3ULL << 30)
#define MODEL_PAGES	(SZ_2G >> 12)
#define MODEL_ROUNDS	2000

struct model_page {
	u64 pte;
	u64 start;
	u64 size;
};

struct model {
	struct sim_table table;
	struct model_page *page;
	struct rnd_state rnd;
};

static struct model_page *model_at(struct model *m, u64 iova)
{
	return &m->page[(iova - MODEL_BASE) >> 12];
}

static bool model_in(u64 iova)
{
	return iova - MODEL_BASE < SZ_2G;
}

static int model_init(struct kunit *test)
{
	struct model *m = kunit_kzalloc(test, sizeof(*m), GFP_KERNEL);

	KUNIT_ASSERT_NOT_NULL(test, m);
	m->page = vzalloc(array_size(MODEL_PAGES, sizeof(*m->page)));
	KUNIT_ASSERT_NOT_NULL(test, m->page);
	KUNIT_ASSERT_EQ(test, sim_table_init(&m->table, 48), 0);
	sim_test_rnd(test, &m->rnd);
	test->priv = m;
	return 0;
}

static void model_exit(struct kunit *test)
{
	struct model *m = test->priv;

	if (!m || !m->page)
		return;
	sim_table_destroy(&m->table);
	vfree(m->page);
}

static bool model_set(struct model *m, u64 iova, u64 pa, u64 size, u64 bits)
{
	u64 at;

	for (at = iova; at < iova + size; at += SZ_4K)
		if (model_at(m, at)->size)
			return false;
	for (at = iova; at < iova + size; at += SZ_4K)
		*model_at(m, at) = (struct model_page) {
			.pte = (pa + (at - iova)) | bits,
			.start = iova,
			.size = size,
		};
	return true;
}

/* Model of sim_table_map() */
static size_t model_map(struct model *m, u64 iova, u64 pa, u64 size, size_t n, u64 bits)
{
	size_t i;

	for (i = 0; i < n; i++)
		if (!model_set(m, iova + i * size, pa + i * size, size, bits))
			break;
	return i * size;
}

/* Model of sim_table_unmap() */
static size_t model_unmap(struct model *m, u64 iova, size_t size)
{
	u64 at = iova, leaf;

	while (at < iova + size && model_in(at)) {
		leaf = model_at(m, at)->size;
		if (!leaf || model_at(m, at)->start != at)
			break;
		memset(model_at(m, at), 0, (leaf >> 12) * sizeof(struct model_page));
		at += leaf;
	}
	return at - iova;
}

static u64 model_random_size(struct model *m)
{
	static const u64 sizes[] = { SZ_4K, SZ_4K, SZ_4K, SZ_2M, SZ_2M, SZ_1G };

	return sizes[prandom_u32_state(&m->rnd) % ARRAY_SIZE(sizes)];
}

static u64 model_random_iova(struct model *m, u64 size)
{
	u64 at = (u64)prandom_u32_state(&m->rnd) << 1;

	/* Mostly near other mappings */
	if (size < SZ_1G && prandom_u32_state(&m->rnd) % 4)
		at %= SZ_8M;
	return MODEL_BASE + round_down(at % SZ_2G, size);
}

static void model_random_map(struct kunit *test, struct model *m)
{
	u64 size = model_random_size(m), iova = model_random_iova(m, size);
	u64 pa = (u64)prandom_u32_state(&m->rnd) << 30;
	u64 bits = SIM_PTE_U | (prandom_u32_state(&m->rnd) % 2 ? SIM_PTE_W : 0);
	size_t n = 1 + prandom_u32_state(&m->rnd) % 1200, mapped = 0, want;
	int rc;

	n = min_t(u64, n, (MODEL_BASE + SZ_2G - iova) / size);
	pa &= SIM_PTE_ADDR >> 1;
	want = model_map(m, iova, pa, size, n, bits);
	rc = sim_table_map(&m->table, iova, pa, size, n, bits, GFP_KERNEL, &mapped);
	KUNIT_ASSERT_EQ_MSG(test, mapped, want, "map %#llx, %zu of %#llx", iova, n, size);
	KUNIT_ASSERT_EQ(test, rc, want == n * size ? 0 : -EADDRINUSE);
}

static void model_random_unmap(struct kunit *test, struct model *m)
{
	u64 unit = model_random_size(m), iova = model_random_iova(m, unit);
	size_t size = unit * (1 + prandom_u32_state(&m->rnd) % 800), want;
	LIST_HEAD(dead);

	size = min_t(u64, size, MODEL_BASE + SZ_2G - iova);
	want = model_unmap(m, iova, size);
	KUNIT_ASSERT_EQ_MSG(test, sim_table_unmap(&m->table, iova, size), want,
			    "unmap %#llx, %#zx", iova, size);
	sim_table_take_dead(&m->table, &dead);
	sim_table_free_dead(&dead);
}

static void model_compare(struct kunit *test, struct model *m, u64 iova)
{
	struct model_page *page = model_at(m, iova);
	const u64 rights = SIM_PTE_W | SIM_PTE_U;
	unsigned int shift = 0;
	u64 pte = sim_table_lookup(&m->table, iova, &shift), mask, pa;

	if (!page->size) {
		KUNIT_ASSERT_EQ_MSG(test, pte, 0, "at %#llx", iova);
		return;
	}
	KUNIT_ASSERT_EQ_MSG(test, 1ULL << shift, page->size, "at %#llx", iova);
	mask = page->size - 1;
	pa = (pte & SIM_PTE_ADDR & ~mask) | (iova & mask);
	KUNIT_ASSERT_EQ_MSG(test, pa, page->pte & SIM_PTE_ADDR, "at %#llx", iova);
	KUNIT_ASSERT_EQ(test, pte & rights, page->pte & rights);
}

/* A walk of the hardware agrees with the model */
static void model_walk(struct kunit *test, struct model *m, u64 iova)
{
	struct sim_stage stage = {
		.root = virt_to_phys(m->table.root),
		.addr_bits = 48,
		.supervisor = true,
		.wp = true,
	};
	u32 access = prandom_u32_state(&m->rnd) % 2 ? SIM_WRITE : 0;
	struct model_page *page = model_at(m, iova);
	enum ioasid_sim_reason rc, want = SIM_FAULT_NONE;
	struct sim_xlate x = { };

	if (!page->size)
		want = SIM_FAULT_NOT_PRESENT;
	else if (access && !(page->pte & SIM_PTE_W))
		want = SIM_FAULT_WRITE;
	rc = sim_walk(&stage, iova | 0x123, access, &x);
	KUNIT_ASSERT_EQ_MSG(test, rc, want, "at %#llx", iova);
	if (!rc)
		KUNIT_ASSERT_EQ(test, x.pa, (page->pte & SIM_PTE_ADDR) | 0x123);
	if (!rc && access)
		KUNIT_ASSERT_TRUE(test, x.write);
}

static void model_probe(struct kunit *test, struct model *m, unsigned int n)
{
	u64 iova;

	while (n--) {
		iova = model_random_iova(m, SZ_4K);
		model_compare(test, m, iova);
		model_walk(test, m, iova);
	}
}

static void table_random(struct kunit *test)
{
	struct model *m = test->priv;
	unsigned int i;
	u64 iova;

	for (i = 0; i < sim_test_some(MODEL_ROUNDS); i++) {
		if (prandom_u32_state(&m->rnd) % 2)
			model_random_map(test, m);
		else
			model_random_unmap(test, m);
		model_probe(test, m, 20);
		cond_resched();
	}
	for (iova = MODEL_BASE; iova < MODEL_BASE + SZ_2G; iova += SZ_4K)
		model_compare(test, m, iova);
}

/* --- single properties --- */

static void table_range(struct kunit *test)
{
	struct model *m = test->priv;
	size_t mapped = 0;

	KUNIT_EXPECT_EQ(test, sim_table_map(&m->table, (1ULL << 48) - SZ_4K, SZ_4K, SZ_4K,
					    2, SIM_PTE_U, GFP_KERNEL, &mapped), -ERANGE);
	KUNIT_EXPECT_EQ(test, mapped, 0);
	KUNIT_EXPECT_EQ(test, sim_table_map(&m->table, (1ULL << 48) - SZ_4K, SZ_4K, SZ_4K,
					    1, SIM_PTE_U, GFP_KERNEL, &mapped), 0);
	KUNIT_EXPECT_EQ(test, mapped, SZ_4K);
	KUNIT_EXPECT_EQ(test, sim_table_unmap(&m->table, (1ULL << 48) - SZ_4K, SZ_4K), SZ_4K);
}

/* An unlinked table is freed, but not before sim_table_free_dead() */
static void table_deferred(struct kunit *test)
{
	struct model *m = test->priv;
	size_t mapped = 0;
	LIST_HEAD(dead);

	KUNIT_ASSERT_EQ(test, sim_table_map(&m->table, SZ_2M, SZ_4K, SZ_4K, 512, SIM_PTE_U,
					    GFP_KERNEL, &mapped), 0);
	KUNIT_EXPECT_EQ(test, sim_table_unmap(&m->table, SZ_2M, SZ_1M), SZ_1M);
	KUNIT_EXPECT_TRUE(test, list_empty(&m->table.dead));
	KUNIT_ASSERT_EQ(test, sim_table_map(&m->table, SZ_2M, SZ_4K, SZ_4K, 256, SIM_PTE_U,
					    GFP_KERNEL, &mapped), 0);
	KUNIT_EXPECT_EQ(test, sim_table_unmap(&m->table, SZ_2M, SZ_2M), SZ_2M);
	sim_table_take_dead(&m->table, &dead);
	KUNIT_EXPECT_EQ(test, list_count_nodes(&dead), 1);
	KUNIT_EXPECT_TRUE(test, list_empty(&m->table.dead));
	sim_table_free_dead(&dead);
}

static u64 table_pte(struct model *m, u64 iova)
{
	unsigned int shift;

	return sim_table_lookup(&m->table, iova, &shift);
}

/* An access sets the accessed and dirty bits of each level */
static void walk_bits(struct kunit *test)
{
	struct model *m = test->priv;
	struct sim_stage stage = {
		.root = virt_to_phys(m->table.root),
		.addr_bits = 48,
		.supervisor = true,
		.wp = true,
	};
	struct sim_xlate x;
	size_t mapped = 0;

	KUNIT_ASSERT_EQ(test, sim_table_map(&m->table, SZ_1G, SZ_4K, SZ_4K, 2,
					    SIM_PTE_U | SIM_PTE_W, GFP_KERNEL, &mapped), 0);
	KUNIT_EXPECT_EQ(test, m->table.root[0] & SIM_PTE_A, 0);
	KUNIT_EXPECT_EQ(test, sim_walk(&stage, SZ_1G, 0, &x), SIM_FAULT_NONE);
	KUNIT_EXPECT_FALSE(test, x.write);
	KUNIT_EXPECT_EQ(test, m->table.root[0] & SIM_PTE_A, SIM_PTE_A);
	KUNIT_EXPECT_EQ(test, table_pte(m, SZ_1G) & (SIM_PTE_A | SIM_PTE_D), SIM_PTE_A);
	KUNIT_EXPECT_EQ(test, table_pte(m, SZ_1G + SZ_4K) & (SIM_PTE_A | SIM_PTE_D), 0);
	KUNIT_EXPECT_EQ(test, sim_walk(&stage, SZ_1G, SIM_WRITE, &x), SIM_FAULT_NONE);
	KUNIT_EXPECT_TRUE(test, x.write);
	KUNIT_EXPECT_EQ(test, table_pte(m, SZ_1G) & (SIM_PTE_A | SIM_PTE_D),
			SIM_PTE_A | SIM_PTE_D);
	stage.no_dirty = true;
	KUNIT_EXPECT_EQ(test, sim_walk(&stage, SZ_1G + SZ_4K, SIM_WRITE, &x), SIM_FAULT_NONE);
	KUNIT_EXPECT_EQ(test, table_pte(m, SZ_1G + SZ_4K) & SIM_PTE_D, 0);
}

/* A walk that faults does not change the last entry */
static void walk_refused(struct kunit *test)
{
	struct model *m = test->priv;
	struct sim_stage stage = {
		.root = virt_to_phys(m->table.root),
		.addr_bits = 40,
	};
	struct sim_xlate x;
	size_t mapped = 0;

	KUNIT_ASSERT_EQ(test, sim_table_map(&m->table, SZ_1G, SZ_4K, SZ_4K, 1, SIM_PTE_U,
					    GFP_KERNEL, &mapped), 0);
	KUNIT_ASSERT_EQ(test, sim_table_map(&m->table, SZ_2G, SZ_4K, SZ_4K, 1, SIM_PTE_W,
					    GFP_KERNEL, &mapped), 0);
	KUNIT_EXPECT_EQ(test, sim_walk(&stage, SZ_1G, SIM_WRITE, &x), SIM_FAULT_WRITE);
	KUNIT_EXPECT_EQ(test, sim_walk(&stage, SZ_2G, 0, &x), SIM_FAULT_USER);
	KUNIT_EXPECT_EQ(test, sim_walk(&stage, SZ_2G, SIM_PRIV, &x), SIM_FAULT_USER);
	KUNIT_EXPECT_EQ(test, sim_walk(&stage, 1ULL << 40, 0, &x), SIM_FAULT_RANGE);
	KUNIT_EXPECT_EQ(test, table_pte(m, SZ_1G) & SIM_PTE_A, 0);
	KUNIT_EXPECT_EQ(test, table_pte(m, SZ_2G) & SIM_PTE_A, 0);
	stage.supervisor = true;
	KUNIT_EXPECT_EQ(test, sim_walk(&stage, SZ_2G, SIM_PRIV | SIM_WRITE, &x), SIM_FAULT_NONE);
	/* Supervisors can write everywhere without WP */
	KUNIT_EXPECT_EQ(test, sim_walk(&stage, SZ_1G, SIM_PRIV | SIM_WRITE, &x), SIM_FAULT_NONE);
	stage.wp = true;
	KUNIT_EXPECT_EQ(test, sim_walk(&stage, SZ_1G, SIM_PRIV | SIM_WRITE, &x), SIM_FAULT_WRITE);
	stage.canonical = true;
	KUNIT_EXPECT_EQ(test, sim_walk(&stage, 1ULL << 39, 0, &x), SIM_FAULT_RANGE);
	KUNIT_EXPECT_EQ(test, sim_walk(&stage, ~0ULL, 0, &x), SIM_FAULT_NOT_PRESENT);
}

static void walk_reserved(struct kunit *test)
{
	struct model *m = test->priv;
	struct sim_stage stage = { .root = virt_to_phys(m->table.root), .addr_bits = 48 };
	struct sim_xlate x;
	size_t mapped = 0;

	KUNIT_ASSERT_EQ(test, sim_table_map(&m->table, 0, SZ_1G, SZ_1G, 1, SIM_PTE_U,
					    GFP_KERNEL, &mapped), 0);
	KUNIT_EXPECT_EQ(test, sim_walk(&stage, SZ_4K, 0, &x), SIM_FAULT_NONE);
	KUNIT_EXPECT_EQ(test, x.pa, SZ_1G + SZ_4K);
	((u64 *)phys_to_virt(m->table.root[0] & SIM_PTE_ADDR))[0] |= SZ_2M;
	KUNIT_EXPECT_EQ(test, sim_walk(&stage, SZ_4K, 0, &x), SIM_FAULT_RESERVED);
	m->table.root[1] = SIM_PTE_P | SIM_PTE_U | SIM_PTE_PS;
	KUNIT_EXPECT_EQ(test, sim_walk(&stage, 1ULL << 39, 0, &x), SIM_FAULT_RESERVED);
	m->table.root[1] = 0;
}

static struct kunit_case table_cases[] = { KUNIT_CASE_SLOW(table_random),
					   KUNIT_CASE(table_range),
					   KUNIT_CASE(table_deferred),
					   KUNIT_CASE(walk_bits),
					   KUNIT_CASE(walk_refused),
					   KUNIT_CASE(walk_reserved),
					   {} };

static struct kunit_suite table_suite = {
	.name = "ioasid-sim-table",
	.init = model_init,
	.exit = model_exit,
	.test_cases = table_cases,
};
kunit_test_suite(table_suite);
