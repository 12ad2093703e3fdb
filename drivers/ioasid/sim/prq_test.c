// SPDX-License-Identifier: GPL-2.0
/*
 * Tests through the IOMMU core: page requests from the endpoint to a handler and
 * back, resets in between, page tables of processes, and the structures of user
 * space for nested domains. No helper of the tests may bypass the IOMMU core.
 */
#include <kunit/test.h>
#include <linux/delay.h>
#include <linux/mman.h>
#include <linux/sizes.h>
#include <linux/uaccess.h>
#include "test.h"

IOASID_IMPORT_NS(IOMMUFD_INTERNAL);

/* Far from what the kernel's pool, from 1 on, gives to processes */
#define PRQ_PASID	211

struct prq;

/* An access in another thread, which may wait */
struct prq_dma {
	struct work_struct work;
	struct prq *prq;
	u64 iova;
	u64 value;
	int rc;
};

struct prq {
	struct sim_unit *unit;
	struct ioasid_sim_dev *sdev;
	struct device *dev;
	struct iommu_domain *domain;
	struct iommu_attach_handle handle;
	bool attached;
	struct page *page;
	/* Groups passed to the handler, in order */
	struct iopf_group *group[16];
	unsigned int groups;
	unsigned int answered;
	u32 last_id;
	u32 last_code;
	struct prq_dma dma[8];
};

/* Global, since a handler has no argument for it; tests do not run in parallel */
static struct prq *prq_now;

static int prq_handler(struct iopf_group *group)
{
	struct prq *p = prq_now;

	/* It may be answered and freed as soon as it is visible */
	iopf_group_dequeue(group);
	p->group[p->groups] = group;
	/* Pairs with prq_within() */
	smp_store_release(&p->groups, p->groups + 1);
	return 0;
}

static void prq_answered(void *data, u32 group, u32 code)
{
	struct prq *p = data;

	p->last_id = group;
	p->last_code = code;
	/* Pairs with prq_within() */
	smp_store_release(&p->answered, p->answered + 1);
}

static const struct ioasid_sim_dev_ops prq_ops = { .answered = prq_answered };

static void prq_detach(struct prq *p)
{
	if (p->attached)
		iommu_detach_device_pasid(p->domain, p->dev, PRQ_PASID);
	p->attached = false;
}

static int prq_init(struct kunit *test)
{
	const struct sim_config cfg = {
		.endpoints = 1, .group_size = 1, .pasid_bits = 8, .credits = 4,
		.prq_depth = 6, .addr_bits = 48, .name = "ioasid-sim-test",
	};
	struct prq *p = kunit_kzalloc(test, sizeof(*p), GFP_KERNEL);

	KUNIT_ASSERT_NOT_NULL(test, p);
	p->unit = sim_test_start(test, &cfg);
	p->sdev = p->unit->endpoints[0];
	p->dev = &p->sdev->pdev.dev;
	p->page = sim_test_page(test);
	p->domain = compat_paging_domain_alloc(p->dev);
	KUNIT_ASSERT_FALSE(test, IS_ERR(p->domain));
	p->domain->iopf_handler = prq_handler;
	prq_now = p;
	test->priv = p;
	KUNIT_ASSERT_EQ(test, iommu_attach_device_pasid(p->domain, p->dev, PRQ_PASID,
							&p->handle), 0);
	p->attached = true;
	ioasid_sim_set_ops(p->sdev, &prq_ops, p);
	return 0;
}

static void prq_exit(struct kunit *test)
{
	struct prq *p = test->priv;

	if (!p)
		return;
	ioasid_sim_set_ops(p->sdev, NULL, NULL);
	prq_detach(p);
	iommu_domain_free(p->domain);
	prq_now = NULL;
}

/* True if it happens within some seconds, since the machine can be busy */
static bool prq_within(const unsigned int *n, unsigned int want)
{
	unsigned int i;

	/* Pairs with prq_handler() and prq_answered() */
	for (i = 0; smp_load_acquire(n) < want && i < 10000; i++)
		usleep_range(500, 1000);
	return *n >= want;
}

static bool prq_outstanding(struct prq *p, u64 want)
{
	struct ioasid_sim_stats st;
	unsigned int i;

	for (i = 0; i < 1000; i++) {
		ioasid_sim_get_stats(p->sdev, &st);
		if (st.outstanding == want)
			return true;
		usleep_range(500, 1000);
	}
	return false;
}

static void prq_dma_work(struct work_struct *work)
{
	struct prq_dma *dma = container_of(work, struct prq_dma, work);

	dma->rc = ioasid_sim_dma(dma->prq->sdev, PRQ_PASID, dma->iova, &dma->value,
				 sizeof(dma->value), SIM_WRITE | SIM_REQUEST, NULL);
}

static struct prq_dma *prq_start(struct prq *p, unsigned int i, u64 iova)
{
	struct prq_dma *dma = &p->dma[i];

	dma->prq = p;
	dma->iova = iova;
	dma->value = 1000 + i;
	dma->rc = 1;
	INIT_WORK(&dma->work, prq_dma_work);
	schedule_work(&dma->work);
	return dma;
}

static void prq_answer(struct prq *p, unsigned int i, enum iommu_page_response_code code)
{
	struct iopf_group *group = p->group[i];

	/* Its entry may be reused as soon as it is answered */
	iopf_group_response(group, code);
	iopf_free_group(group);
}

static void prq_map(struct kunit *test, struct prq *p, u64 iova)
{
	KUNIT_ASSERT_EQ(test, iommu_map(p->domain, iova, page_to_phys(p->page), SZ_4K,
					IOMMU_READ | IOMMU_WRITE, GFP_KERNEL), 0);
}

static u64 prq_peek(struct prq *p)
{
	return READ_ONCE(*(u64 *)page_address(p->page));
}

/* --- answers --- */

static void request_and_success(struct kunit *test)
{
	struct prq *p = test->priv;
	struct prq_dma *dma = prq_start(p, 0, SZ_1G + 8);
	struct iommu_fault_page_request *prm;

	KUNIT_ASSERT_TRUE(test, prq_within(&p->groups, 1));
	prm = &p->group[0]->last_fault.fault.prm;
	KUNIT_EXPECT_EQ(test, p->group[0]->fault_count, 1);
	KUNIT_EXPECT_PTR_EQ(test, p->group[0]->attach_handle, &p->handle);
	KUNIT_EXPECT_EQ(test, prm->addr, SZ_1G);
	KUNIT_EXPECT_EQ(test, prm->pasid, PRQ_PASID);
	KUNIT_EXPECT_EQ(test, prm->perm, IOMMU_FAULT_PERM_READ | IOMMU_FAULT_PERM_WRITE);
	KUNIT_EXPECT_TRUE(test, prq_outstanding(p, 1));
	KUNIT_EXPECT_EQ(test, dma->rc, 1);
	prq_map(test, p, SZ_1G);
	prq_answer(p, 0, IOMMU_PAGE_RESP_SUCCESS);
	flush_work(&dma->work);
	KUNIT_EXPECT_EQ(test, dma->rc, 0);
	KUNIT_EXPECT_EQ(test, *((u64 *)page_address(p->page) + 1), 1000);
	KUNIT_EXPECT_TRUE(test, prq_outstanding(p, 0));
	KUNIT_EXPECT_EQ(test, p->groups, 1);
}

static void request_and_invalid(struct kunit *test)
{
	struct prq *p = test->priv;
	struct prq_dma *dma = prq_start(p, 0, SZ_1G);

	KUNIT_ASSERT_TRUE(test, prq_within(&p->groups, 1));
	prq_answer(p, 0, IOMMU_PAGE_RESP_INVALID);
	flush_work(&dma->work);
	KUNIT_EXPECT_EQ(test, dma->rc, -EIO);
	/* The next access sends a request again */
	dma = prq_start(p, 0, SZ_1G);
	KUNIT_ASSERT_TRUE(test, prq_within(&p->groups, 2));
	prq_answer(p, 1, IOMMU_PAGE_RESP_INVALID);
	flush_work(&dma->work);
}

static void request_and_failure(struct kunit *test)
{
	struct prq *p = test->priv;
	struct prq_dma *dma = prq_start(p, 0, SZ_1G);

	KUNIT_ASSERT_TRUE(test, prq_within(&p->groups, 1));
	prq_answer(p, 0, IOMMU_PAGE_RESP_FAILURE);
	flush_work(&dma->work);
	KUNIT_EXPECT_EQ(test, dma->rc, -EIO);
	/* No more requests until the reset */
	dma = prq_start(p, 0, SZ_1G);
	flush_work(&dma->work);
	KUNIT_EXPECT_EQ(test, dma->rc, -EIO);
	KUNIT_EXPECT_EQ(test, p->groups, 1);
	ioasid_sim_reset(p->sdev);
	dma = prq_start(p, 0, SZ_1G);
	KUNIT_EXPECT_TRUE(test, prq_within(&p->groups, 2));
	prq_answer(p, 1, IOMMU_PAGE_RESP_INVALID);
	flush_work(&dma->work);
}

/* If the page is still missing after SUCCESS, the DMA asks again, but not forever */
/* True if the DMA has sent a request, or has ended */
static bool prq_asks(struct prq *p, struct prq_dma *dma)
{
	unsigned int i;

	for (i = 0; i < 10000 && work_busy(&dma->work); i++) {
		/* Pairs with prq_handler() */
		if (smp_load_acquire(&p->groups))
			return true;
		usleep_range(500, 1000);
	}
	return false;
}

static void success_that_is_none(struct kunit *test)
{
	struct prq *p = test->priv;
	struct prq_dma *dma = prq_start(p, 0, SZ_1G);
	unsigned int i;

	for (i = 0; i < 40; i++) {
		if (!prq_asks(p, dma))
			break;
		p->groups = 0;
		prq_answer(p, 0, IOMMU_PAGE_RESP_SUCCESS);
	}
	/* A request without a response must not hang the machine */
	if (work_busy(&dma->work))
		ioasid_sim_reset(p->sdev);
	flush_work(&dma->work);
	KUNIT_EXPECT_EQ(test, i, 32);
	KUNIT_EXPECT_EQ(test, dma->rc, -EFAULT);
}

/* --- groups, credits, the queue --- */

static const struct ioasid_sim_page prq_pages[] = {
	{ SZ_1G, 0 },
	{ SZ_1G + SZ_4K, SIM_WRITE },
	{ SZ_2G + 12, SIM_PRIV },
	{ SZ_2G, 0 },
	{ SZ_2G, 0 },
};

static void group_of_records(struct kunit *test)
{
	struct prq *p = test->priv;
	struct iopf_fault *fault;
	unsigned int i = 0;
	u32 id = 99;

	KUNIT_ASSERT_EQ(test, ioasid_sim_request(p->sdev, PRQ_PASID, prq_pages, 3, &id), 0);
	KUNIT_ASSERT_TRUE(test, prq_within(&p->groups, 1));
	KUNIT_EXPECT_EQ(test, p->group[0]->fault_count, 3);
	list_for_each_entry(fault, &p->group[0]->faults, list) {
		KUNIT_EXPECT_EQ(test, fault->fault.prm.grpid, id);
		i++;
		if (fault->fault.prm.flags & IOMMU_FAULT_PAGE_REQUEST_LAST_PAGE) {
			KUNIT_EXPECT_EQ(test, fault->fault.prm.addr, SZ_2G);
			KUNIT_EXPECT_EQ(test, fault->fault.prm.perm,
					IOMMU_FAULT_PERM_READ | IOMMU_FAULT_PERM_PRIV);
		}
	}
	KUNIT_EXPECT_EQ(test, i, 3);
	KUNIT_EXPECT_EQ(test, p->answered, 0);
	prq_answer(p, 0, IOMMU_PAGE_RESP_SUCCESS);
	KUNIT_EXPECT_EQ(test, p->answered, 1);
	KUNIT_EXPECT_EQ(test, p->last_id, id);
	KUNIT_EXPECT_EQ(test, p->last_code, IOMMU_PAGE_RESP_SUCCESS);
}

static void credits(struct kunit *test)
{
	struct prq *p = test->priv;
	struct prq_dma *dma;
	u32 a, b;

	KUNIT_EXPECT_EQ(test, ioasid_sim_request(p->sdev, PRQ_PASID, prq_pages, 0, &a), -EINVAL);
	KUNIT_EXPECT_EQ(test, ioasid_sim_request(p->sdev, PRQ_PASID, prq_pages, 5, &a), -ENOSPC);
	KUNIT_EXPECT_EQ(test, ioasid_sim_request(p->sdev, PRQ_PASID, prq_pages, 3, &a), 0);
	KUNIT_EXPECT_EQ(test, ioasid_sim_request(p->sdev, PRQ_PASID, prq_pages, 2, &b), -EBUSY);
	KUNIT_EXPECT_EQ(test, ioasid_sim_request(p->sdev, PRQ_PASID, prq_pages, 1, &b), 0);
	KUNIT_EXPECT_NE(test, a, b);
	KUNIT_ASSERT_TRUE(test, prq_within(&p->groups, 2));
	/* An access waits until there is a credit */
	dma = prq_start(p, 0, SZ_1G);
	usleep_range(2000, 4000);
	KUNIT_EXPECT_EQ(test, p->groups, 2);
	prq_answer(p, 1, IOMMU_PAGE_RESP_INVALID);
	KUNIT_ASSERT_TRUE(test, prq_within(&p->groups, 3));
	prq_answer(p, 2, IOMMU_PAGE_RESP_INVALID);
	flush_work(&dma->work);
	KUNIT_EXPECT_EQ(test, dma->rc, -EIO);
	prq_answer(p, 0, IOMMU_PAGE_RESP_INVALID);
	KUNIT_EXPECT_TRUE(test, prq_outstanding(p, 0));
}

/* While the host does not read the queue, the hardware answers what does not fit */
static void queue_overflows(struct kunit *test)
{
	struct prq *p = test->priv;
	struct ioasid_sim_stats st;
	u32 a = 0, b = 0;

	p->unit->cfg.credits = 16;
	disable_work_sync(&p->unit->prq_work);
	KUNIT_EXPECT_EQ(test, ioasid_sim_request(p->sdev, PRQ_PASID, prq_pages, 4, &a), 0);
	KUNIT_EXPECT_EQ(test, p->answered, 0);
	KUNIT_EXPECT_EQ(test, ioasid_sim_request(p->sdev, PRQ_PASID, prq_pages, 3, &b), 0);
	KUNIT_EXPECT_EQ(test, p->answered, 1);
	KUNIT_EXPECT_EQ(test, p->last_id, b);
	KUNIT_EXPECT_EQ(test, p->last_code, IOMMU_PAGE_RESP_SUCCESS);
	enable_and_queue_work(p->unit->prq_wq, &p->unit->prq_work);
	KUNIT_ASSERT_TRUE(test, prq_within(&p->groups, 1));
	prq_answer(p, 0, IOMMU_PAGE_RESP_INVALID);
	ioasid_sim_get_stats(p->sdev, &st);
	KUNIT_EXPECT_EQ(test, st.overflows, 1);
	KUNIT_EXPECT_EQ(test, st.requests, 2);
	KUNIT_EXPECT_EQ(test, st.answers, 2);
	KUNIT_EXPECT_EQ(test, st.outstanding, 0);
}

/* A domain without a handler accepts no requests, and the endpoint gets INVALID */
static void nobody_takes_them(struct kunit *test)
{
	struct prq *p = test->priv;
	u64 value;
	u32 id;

	KUNIT_EXPECT_EQ(test, ioasid_sim_request(p->sdev, PRQ_PASID + 1, prq_pages, 2, &id), 0);
	KUNIT_EXPECT_EQ(test, p->answered, 1);
	KUNIT_EXPECT_EQ(test, p->last_code, IOMMU_PAGE_RESP_INVALID);
	KUNIT_EXPECT_EQ(test, ioasid_sim_dma(p->sdev, PRQ_PASID + 1, SZ_1G, &value, 8,
					     SIM_REQUEST, NULL), -EFAULT);
	KUNIT_EXPECT_EQ(test, ioasid_sim_dma(p->sdev, PRQ_PASID, SZ_1G, &value, 8, 0, NULL),
			-EFAULT);
	KUNIT_EXPECT_EQ(test, p->groups, 0);
}

/* --- detach and reset --- */

static void detach_answers_the_queue(struct kunit *test)
{
	struct prq *p = test->priv;
	u32 id = 0;

	disable_work_sync(&p->unit->prq_work);
	KUNIT_EXPECT_EQ(test, ioasid_sim_request(p->sdev, PRQ_PASID, prq_pages, 2, &id), 0);
	prq_detach(p);
	enable_work(&p->unit->prq_work);
	KUNIT_EXPECT_EQ(test, p->answered, 1);
	KUNIT_EXPECT_EQ(test, p->last_id, id);
	KUNIT_EXPECT_EQ(test, p->last_code, IOMMU_PAGE_RESP_INVALID);
	KUNIT_EXPECT_EQ(test, p->groups, 0);
	KUNIT_EXPECT_TRUE(test, prq_outstanding(p, 0));
}

/* Groups of the handler stay pending after the detach */
static void detach_leaves_the_rest(struct kunit *test)
{
	struct prq *p = test->priv;
	struct prq_dma *dma = prq_start(p, 0, SZ_1G);

	KUNIT_ASSERT_TRUE(test, prq_within(&p->groups, 1));
	prq_detach(p);
	usleep_range(2000, 4000);
	KUNIT_EXPECT_EQ(test, dma->rc, 1);
	prq_answer(p, 0, IOMMU_PAGE_RESP_INVALID);
	flush_work(&dma->work);
	KUNIT_EXPECT_EQ(test, dma->rc, -EIO);
}

static void reset_drops_everything(struct kunit *test)
{
	struct prq *p = test->priv;
	struct prq_dma *dma = prq_start(p, 0, SZ_1G);
	struct ioasid_sim_stats st;
	u64 value = 7;
	u32 id;

	KUNIT_ASSERT_TRUE(test, prq_within(&p->groups, 1));
	KUNIT_EXPECT_EQ(test, ioasid_sim_request(p->sdev, PRQ_PASID, prq_pages, 3, &id), 0);
	KUNIT_ASSERT_TRUE(test, prq_within(&p->groups, 2));
	ioasid_sim_reset(p->sdev);
	flush_work(&dma->work);
	KUNIT_EXPECT_EQ(test, dma->rc, -ECANCELED);
	KUNIT_EXPECT_EQ(test, p->answered, 0);
	/* Responses have no effect now */
	prq_answer(p, 0, IOMMU_PAGE_RESP_SUCCESS);
	prq_answer(p, 1, IOMMU_PAGE_RESP_SUCCESS);
	KUNIT_EXPECT_EQ(test, p->answered, 0);
	ioasid_sim_get_stats(p->sdev, &st);
	KUNIT_EXPECT_EQ(test, st.late_answers, 2);
	KUNIT_EXPECT_EQ(test, st.outstanding, 0);
	/* All credits are back, and the domain is still attached */
	KUNIT_EXPECT_EQ(test, ioasid_sim_request(p->sdev, PRQ_PASID, prq_pages, 4, &id), 0);
	KUNIT_ASSERT_TRUE(test, prq_within(&p->groups, 3));
	prq_answer(p, 2, IOMMU_PAGE_RESP_SUCCESS);
	KUNIT_EXPECT_EQ(test, p->answered, 1);
	prq_map(test, p, SZ_1G);
	KUNIT_EXPECT_EQ(test, ioasid_sim_dma(p->sdev, PRQ_PASID, SZ_1G, &value, 8, SIM_WRITE,
					     NULL), 0);
	KUNIT_EXPECT_EQ(test, prq_peek(p), 7);
}

static void prq_put_device(void *dev)
{
	put_device(dev);
}

static void unplug_with_requests(struct kunit *test)
{
	struct prq *p = test->priv;
	struct prq_dma *dma = prq_start(p, 0, SZ_1G);

	KUNIT_ASSERT_TRUE(test, prq_within(&p->groups, 1));
	get_device(p->dev);
	KUNIT_ASSERT_EQ(test, kunit_add_action_or_reset(test, prq_put_device, p->dev), 0);
	prq_detach(p);
	sim_unit_unplug(p->unit);
	flush_work(&dma->work);
	KUNIT_EXPECT_EQ(test, dma->rc, -ECANCELED);
	KUNIT_EXPECT_EQ(test, ioasid_sim_dma(p->sdev, PRQ_PASID, SZ_1G, &dma->value, 8,
					     SIM_REQUEST, NULL), -EFAULT);
	/* Too late to answer it */
	iopf_free_group(p->group[0]);
}

/* --- the RID, many at once --- */

static void rid_faults(struct kunit *test)
{
	struct iommu_attach_handle handle = { };
	struct prq *p = test->priv;
	u32 id;

	prq_detach(p);
	KUNIT_ASSERT_EQ(test, iommu_device_claim_dma_owner(p->dev, p), 0);
	KUNIT_ASSERT_EQ(test, iommu_attach_group_handle(p->domain, p->dev->iommu_group, &handle), 0);
	KUNIT_EXPECT_EQ(test, ioasid_sim_request(p->sdev, IOASID_SIM_RID, prq_pages, 2, &id), 0);
	KUNIT_ASSERT_TRUE(test, prq_within(&p->groups, 1));
	KUNIT_EXPECT_PTR_EQ(test, p->group[0]->attach_handle, &handle);
	KUNIT_EXPECT_EQ(test, p->group[0]->last_fault.fault.prm.flags,
			IOMMU_FAULT_PAGE_REQUEST_LAST_PAGE);
	prq_answer(p, 0, IOMMU_PAGE_RESP_SUCCESS);
	KUNIT_EXPECT_EQ(test, p->answered, 1);
	iommu_detach_group_handle(p->domain, p->dev->iommu_group);
	iommu_device_release_dma_owner(p->dev);
}

static void many_wait(struct kunit *test)
{
	struct prq *p = test->priv;
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(p->dma); i++)
		prq_start(p, i, SZ_1G + i * SZ_4K);
	KUNIT_ASSERT_TRUE(test, prq_within(&p->groups, 4));
	for (i = 0; i < ARRAY_SIZE(p->dma); i++)
		prq_map(test, p, SZ_1G + i * SZ_4K);
	for (i = 0; i < 4; i++)
		prq_answer(p, i, IOMMU_PAGE_RESP_SUCCESS);
	for (i = 4; i < 8 && prq_within(&p->groups, i + 1); i++)
		prq_answer(p, i, IOMMU_PAGE_RESP_SUCCESS);
	for (i = 0; i < ARRAY_SIZE(p->dma); i++) {
		flush_work(&p->dma[i].work);
		KUNIT_EXPECT_EQ(test, p->dma[i].rc, 0);
	}
}

/* --- processes --- */

static void process_memory(struct kunit *test)
{
	unsigned long at = kunit_vm_mmap(test, NULL, 0, SZ_64K, PROT_READ | PROT_WRITE,
					 MAP_ANONYMOUS | MAP_PRIVATE, 0);
	struct prq *p = test->priv;
	struct iommu_sva *sva;
	u64 value = 0x1234, back = 0, bad;
	u32 pasid, i;

	KUNIT_ASSERT_NE(test, at, 0);
	sva = iommu_sva_bind_device(p->dev, current->mm);
	KUNIT_ASSERT_EQ(test, PTR_ERR_OR_ZERO(sva), 0);
	pasid = iommu_sva_get_pasid(sva);
	/* Not present, and no request is sent */
	KUNIT_EXPECT_EQ(test, ioasid_sim_dma(p->sdev, pasid, at, &back, 8, 0, NULL), -EFAULT);
	for (i = 0; i < 16; i++) {
		value = 0x1234 + i;
		KUNIT_EXPECT_EQ(test, ioasid_sim_dma(p->sdev, pasid, at + i * SZ_4K + 8, &value, 8,
						     SIM_WRITE | SIM_REQUEST, NULL), 0);
		KUNIT_EXPECT_EQ(test, get_user(back, (u64 __user *)(at + i * SZ_4K + 8)), 0);
		KUNIT_EXPECT_EQ(test, back, value);
	}
	KUNIT_EXPECT_EQ(test, put_user(0x77ULL, (u64 __user *)at), 0);
	KUNIT_EXPECT_EQ(test, ioasid_sim_dma(p->sdev, pasid, at, &back, 8, SIM_REQUEST, NULL), 0);
	KUNIT_EXPECT_EQ(test, back, 0x77);
	/* Memory that the process unmaps is unreachable at once */
	KUNIT_EXPECT_EQ(test, vm_munmap(at, SZ_64K), 0);
	KUNIT_EXPECT_EQ(test, ioasid_sim_dma(p->sdev, pasid, at, &back, 8, SIM_REQUEST, &bad), -EIO);
	KUNIT_EXPECT_EQ(test, bad, at);
	KUNIT_EXPECT_EQ(test, ioasid_sim_dma(p->sdev, pasid, SZ_64K, &back, 8, SIM_REQUEST, NULL),
			-EIO);
	iommu_sva_unbind_device(sva);
	KUNIT_EXPECT_EQ(test, ioasid_sim_dma(p->sdev, pasid, at, &back, 8, 0, NULL), -EFAULT);
}

/* --- structures of user space for nested domains --- */

static void nested_uapi(struct kunit *test)
{
	unsigned long at = kunit_vm_mmap(test, NULL, 0, SZ_4K, PROT_READ | PROT_WRITE,
					 MAP_ANONYMOUS | MAP_PRIVATE, 0);
	struct prq *p = test->priv;
	const struct iommu_ops *ops = p->dev->iommu->iommu_dev->ops;
	struct iommu_hwpt_vtd_s1 s1 = { .pgtbl_addr = SZ_4K, .addr_width = 48 };
	struct iommu_hwpt_vtd_s1_invalidate inv[3] = {
		{ .addr = 0, .npages = U64_MAX }, { .addr = SZ_4K, .npages = 2 },
		{ .addr = 1, .npages = 1 },
	};
	struct iommu_user_data data = {
		.type = IOMMU_HWPT_DATA_VTD_S1, .uptr = (void __user *)at, .len = sizeof(s1),
	};
	struct iommu_user_data_array array = {
		.type = IOMMU_HWPT_INVALIDATE_DATA_VTD_S1, .uptr = (void __user *)at,
		.entry_len = sizeof(inv[0]), .entry_num = 3,
	};
	struct iommu_domain *parent, *child;

	KUNIT_ASSERT_NE(test, at, 0);
	parent = iommu_paging_domain_alloc_flags(p->dev, IOMMU_HWPT_ALLOC_NEST_PARENT);
	KUNIT_ASSERT_FALSE(test, IS_ERR(parent));
	KUNIT_ASSERT_EQ(test, copy_to_user(data.uptr, &s1, sizeof(s1)), 0);
	KUNIT_EXPECT_EQ(test, PTR_ERR(ops->domain_alloc_nested(p->dev, p->domain, 0, &data)),
			-EINVAL);
	child = ops->domain_alloc_nested(p->dev, parent, 0, &data);
	KUNIT_ASSERT_FALSE(test, IS_ERR(child));
	KUNIT_EXPECT_EQ(test, child->type, IOMMU_DOMAIN_NESTED);
	KUNIT_ASSERT_EQ(test, copy_to_user(array.uptr, inv, sizeof(inv)), 0);
	KUNIT_EXPECT_EQ(test, child->ops->cache_invalidate_user(child, &array), -EINVAL);
	KUNIT_EXPECT_EQ(test, array.entry_num, 2);
	child->ops->free(child);
	s1.addr_width = 57;
	KUNIT_ASSERT_EQ(test, copy_to_user(data.uptr, &s1, sizeof(s1)), 0);
	KUNIT_EXPECT_EQ(test, PTR_ERR(ops->domain_alloc_nested(p->dev, parent, 0, &data)), -EINVAL);
	s1.addr_width = 48;
	s1.flags = 1 << 6;
	KUNIT_ASSERT_EQ(test, copy_to_user(data.uptr, &s1, sizeof(s1)), 0);
	KUNIT_EXPECT_EQ(test, PTR_ERR(ops->domain_alloc_nested(p->dev, parent, 0, &data)),
			-EOPNOTSUPP);
	iommu_domain_free(parent);
}

static void hardware_info(struct kunit *test)
{
	struct prq *p = test->priv;
	struct iommu_hw_info_vtd *info;
	u32 length, type;

	info = compat_hw_info(p->dev, &length, &type);
	KUNIT_ASSERT_FALSE(test, IS_ERR_OR_NULL(info));
	KUNIT_EXPECT_EQ(test, type, IOMMU_HW_INFO_TYPE_INTEL_VTD);
	KUNIT_EXPECT_EQ(test, length, sizeof(*info));
	/* Nested, PASIDs of 8 bits, page requests, 48 bits of address */
	KUNIT_EXPECT_TRUE(test, info->ecap_reg & BIT_ULL(26));
	KUNIT_EXPECT_EQ(test, info->ecap_reg >> 35 & 0x1f, 7);
	KUNIT_EXPECT_TRUE(test, info->ecap_reg & BIT_ULL(29));
	KUNIT_EXPECT_EQ(test, info->cap_reg >> 16 & 0x3f, 47);
	kfree(info);
}

static struct kunit_case prq_cases[] = {
	KUNIT_CASE(request_and_success),
	KUNIT_CASE(request_and_invalid),
	KUNIT_CASE(request_and_failure),
	KUNIT_CASE(success_that_is_none),
	KUNIT_CASE(group_of_records),
	KUNIT_CASE(credits),
	KUNIT_CASE(queue_overflows),
	KUNIT_CASE(nobody_takes_them),
	KUNIT_CASE(detach_answers_the_queue),
	KUNIT_CASE(detach_leaves_the_rest),
	KUNIT_CASE(reset_drops_everything),
	KUNIT_CASE(unplug_with_requests),
	KUNIT_CASE(rid_faults),
	KUNIT_CASE(many_wait),
	KUNIT_CASE(process_memory),
	KUNIT_CASE(nested_uapi),
	KUNIT_CASE(hardware_info),
	{ }
};

static struct kunit_suite prq_suite = {
	.name = "ioasid-sim-core",
	.init = prq_init,
	.exit = prq_exit,
	.test_cases = prq_cases,
};
kunit_test_suite(prq_suite);
