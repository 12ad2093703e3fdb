// SPDX-License-Identifier: GPL-2.0
/*
 * A fake page table and a fake IOMMU for the KUnit suites. They fail on request,
 * and check the rules of real ones: nothing is mapped twice, unmapped without
 * being mapped, or unpinned before it is flushed; no gather and no call crosses a
 * GiB boundary; no domain is freed while a device uses it; no page request is
 * answered twice. They must never translate anything.
 */
#include <linux/iommu.h>
#include <linux/lockdep.h>
#include <linux/mm.h>
#include <linux/module.h>
#include <linux/platform_device.h>
#include <linux/property.h>
#include <linux/sizes.h>
#include <linux/slab.h>
#include <uapi/linux/iommufd.h>
#include "test.h"

static void itest_wrong(struct itest_domain *d, const char *what)
{
	if (!d->wrong)
		d->wrong = what;
}

/*
 * Frame minus page of IOVA, and the protection: the same value for a contiguous
 * run.
 */
static void *itest_domain_entry(unsigned long page, unsigned long pfn, int prot)
{
	return xa_mk_value(((pfn - page) << 4 | (prot & 15)) & LONG_MAX);
}

static bool itest_same_block(u64 first, u64 last)
{
	return !((first ^ last) & ~((u64)SZ_1G - 1));
}

static int itest_map_pages_op(struct iommu_domain *domain, unsigned long iova,
			      phys_addr_t paddr, size_t pgsize, size_t pgcount,
			      int prot, gfp_t gfp, size_t *mapped)
{
	struct itest_domain *d = to_itest_domain(domain);
	unsigned long first = iova >> PAGE_SHIFT, at;
	unsigned long nr = pgsize * pgcount >> PAGE_SHIFT;
	int rc = 0;

	d->nr_map++;
	if (d->fail_map && !--d->fail_map) {
		nr = min_t(unsigned long, nr, d->fail_after);
		rc = d->fail_err;
	}
	if (!nr)
		return rc;
	if ((iova | paddr) & (pgsize - 1))
		itest_wrong(d, "map: not aligned");
	if (!itest_same_block(iova, iova + pgsize * pgcount - 1))
		itest_wrong(d, "map: more than a block at once");
	at = first;
	if (mt_find(&d->map, &at, first + nr - 1))
		itest_wrong(d, "map: something is mapped there");
	if (mtree_store_range(&d->map, first, first + nr - 1,
			      itest_domain_entry(first, PHYS_PFN(paddr), prot),
			      GFP_KERNEL))
		return -ENOMEM;
	d->pages += nr;
	*mapped += nr << PAGE_SHIFT;
	return rc;
}

static void itest_note_dirty(struct itest_domain *d, u64 first, u64 last)
{
	unsigned long pfn = itest_domain_pfn(d, first, NULL);

	if (d->check_pins && d->nr_dirty_pfn < ARRAY_SIZE(d->dirty_pfn))
		d->dirty_pfn[d->nr_dirty_pfn++] = pfn;
	d->dirty_first = min(d->dirty_first, first);
	d->dirty_last = max(d->dirty_last, last);
}

static size_t itest_unmap_pages_op(struct iommu_domain *domain,
				   unsigned long iova, size_t pgsize,
				   size_t pgcount,
				   struct iommu_iotlb_gather *gather)
{
	struct itest_domain *d = to_itest_domain(domain);
	unsigned long first = iova >> PAGE_SHIFT;
	unsigned long last = first + (pgsize * pgcount >> PAGE_SHIFT) - 1;
	unsigned long at;

	d->nr_unmap++;
	if (d->keep)
		return 0;
	for (at = first; at <= last; at++) {
		MA_STATE(mas, &d->map, at, at);

		rcu_read_lock();
		if (!mas_walk(&mas))
			itest_wrong(d, "unmap: nothing is mapped there");
		at = mas.last;
		rcu_read_unlock();
		if (at >= last)
			break;
	}
	itest_note_dirty(d, iova, iova + pgsize * pgcount - 1);
	if (mtree_store_range(&d->map, first, last, NULL, GFP_KERNEL))
		return 0;
	d->pages -= last - first + 1;
	iommu_iotlb_gather_add_range(gather, iova, pgsize * pgcount);
	return pgsize * pgcount;
}

static int itest_iotlb_sync_map(struct iommu_domain *domain, unsigned long iova,
				size_t size)
{
	return to_itest_domain(domain)->fail_sync;
}

static void itest_iotlb_sync(struct iommu_domain *domain,
			     struct iommu_iotlb_gather *gather)
{
	struct itest_domain *d = to_itest_domain(domain);
	u32 i;

	d->nr_flush++;
	if (d->dirty_first <= d->dirty_last &&
	    (gather->start > d->dirty_first || gather->end < d->dirty_last))
		itest_wrong(d, "flush: less than was unmapped");
	if (gather->start <= gather->end &&
	    !itest_same_block(gather->start, gather->end))
		itest_wrong(d, "flush: more than a block at once");
	for (i = 0; i < d->nr_dirty_pfn; i++)
		if (!itest_pins(pfn_to_page(d->dirty_pfn[i])))
			itest_wrong(d, "flush: a page was unpinned before");
	d->nr_dirty_pfn = 0;
	d->dirty_first = U64_MAX;
	d->dirty_last = 0;
}

static phys_addr_t itest_iova_to_phys(struct iommu_domain *domain,
				      dma_addr_t iova)
{
	unsigned long pfn = itest_domain_pfn(to_itest_domain(domain), iova, NULL);

	return pfn == ULONG_MAX ? 0 : PFN_PHYS(pfn) | offset_in_page(iova);
}

/**
 * itest_domain_pfn() - look up an IOVA
 * @d: the domain
 * @iova: the IOVA
 * @prot: out: IOMMU_*; or NULL
 *
 * Context: can sleep.
 *
 * Return: the frame, or ULONG_MAX if nothing is mapped there.
 */
unsigned long itest_domain_pfn(struct itest_domain *d, u64 iova, int *prot)
{
	unsigned long page = iova >> PAGE_SHIFT, value;
	MA_STATE(mas, &d->map, page, page);
	void *entry;

	rcu_read_lock();
	entry = mas_walk(&mas);
	rcu_read_unlock();
	if (!entry)
		return ULONG_MAX;
	value = xa_to_value(entry);
	if (prot)
		*prot = value & 15;
	return ((value >> 4) + page) & (LONG_MAX >> 4);
}

static void itest_domain_init(struct itest_domain *d)
{
	mt_init(&d->map);
	d->fail_err = -EIO;
	d->dirty_first = U64_MAX;
	d->domain.pgsize_bitmap = SZ_4K | SZ_2M | SZ_1G;
	d->domain.geometry.aperture_end = U64_MAX;
}

static void itest_domain_exit(struct itest_domain *d)
{
	mtree_destroy(&d->map);
}

static void itest_domain_free(void *data)
{
	itest_domain_exit(data);
	kfree(data);
}

static const struct iommu_domain_ops itest_plain_ops = {
	.map_pages = itest_map_pages_op,
	.unmap_pages = itest_unmap_pages_op,
	.iotlb_sync_map = itest_iotlb_sync_map,
	.iotlb_sync = itest_iotlb_sync,
	.iova_to_phys = itest_iova_to_phys,
};

#if COMPAT_MAP_PIECES
static int itest_map_range_op(struct pt_iommu *pt, dma_addr_t iova,
			      phys_addr_t paddr, dma_addr_t len,
			      unsigned int prot, gfp_t gfp, size_t *mapped)
{
	return itest_map_pages_op(&pt->domain, iova, paddr, PAGE_SIZE,
				  len >> PAGE_SHIFT, prot, gfp, mapped);
}

static size_t itest_unmap_range_op(struct pt_iommu *pt, dma_addr_t iova,
				   dma_addr_t len,
				   struct iommu_iotlb_gather *gather)
{
	return itest_unmap_pages_op(&pt->domain, iova, PAGE_SIZE,
				    len >> PAGE_SHIFT, gather);
}

static const struct pt_iommu_ops itest_pt_ops = {
	.map_range = itest_map_range_op,
	.unmap_range = itest_unmap_range_op,
};

/**
 * itest_domain_set_pt() - make it a generic page table
 * @d: the domain, empty
 *
 * Context: any.
 *
 * Return: false if this kernel has none that are filled directly.
 */
bool itest_domain_set_pt(struct itest_domain *d)
{
	d->pt.ops = &itest_pt_ops;
	d->domain.is_iommupt = true;
	return compat_maps_pieces(&d->domain);
}
#else
bool itest_domain_set_pt(struct itest_domain *d)
{
	return false;
}
#endif

/**
 * itest_domain_new() - make a page table without an IOMMU
 * @test: the test; frees it when it ends
 *
 * Context: can sleep.
 *
 * Return: the domain.
 */
struct itest_domain *itest_domain_new(struct kunit *test)
{
	struct itest_domain *d = kzalloc(sizeof(*d), GFP_KERNEL);

	KUNIT_ASSERT_NOT_NULL(test, d);
	itest_domain_init(d);
	d->domain.type = IOMMU_DOMAIN_UNMANAGED;
	d->domain.ops = &itest_plain_ops;
	KUNIT_ASSERT_EQ(test, kunit_add_action_or_reset(test, itest_domain_free,
							d), 0);
	return d;
}

/* Unmaps all by the kernel's function, since a debug kernel counts mappings */
void itest_domain_empty(struct kunit *test, struct itest_domain *d)
{
	unsigned long at = 0;
	size_t size;

	while (mt_find(&d->map, &at, ULONG_MAX)) {
		MA_STATE(mas, &d->map, at - 1, at - 1);

		rcu_read_lock();
		mas_walk(&mas);
		rcu_read_unlock();
		size = (mas.last - mas.index + 1) << PAGE_SHIFT;
		KUNIT_ASSERT_EQ(test, iommu_unmap(&d->domain,
						  (u64)mas.index << PAGE_SHIFT,
						  size), size);
	}
	KUNIT_ASSERT_EQ(test, d->pages, 0ULL);
}

/**
 * itest_domain_check() - check that no rule was broken and no flush is due
 * @test: the test
 * @d: the domain
 *
 * Context: any.
 */
void itest_domain_check(struct kunit *test, struct itest_domain *d)
{
	const char *wrong = d->wrong;

	d->wrong = NULL;
	if (d->dirty_first <= d->dirty_last)
		wrong = wrong ?: "something was not flushed";
	if (wrong)
		KUNIT_FAIL_AND_ABORT(test, "the page table says: %s", wrong);
}

/**
 * itest_space_add_domain() - add a page table to a space
 * @test: the test
 * @space: the space, without mappings
 * @d: the page table; to be removed by itest_space_del_domain()
 *
 * Context: can sleep; takes ioasid_space.rwsem.
 */
void itest_space_add_domain(struct kunit *test, struct ioasid_space *space,
			    struct itest_domain *d)
{
	struct ioasid_domain *own = kzalloc(sizeof(*own), GFP_KERNEL);

	KUNIT_ASSERT_NOT_NULL(test, own);
	own->domain = &d->domain;
	own->users = 1;
	down_write(&space->rwsem);
	list_add_tail(&own->link, &space->domains);
	space->nr_domains++;
	up_write(&space->rwsem);
}

void itest_space_del_domain(struct ioasid_space *space, struct itest_domain *d)
{
	struct ioasid_domain *own, *next;

	down_write(&space->rwsem);
	list_for_each_entry_safe(own, next, &space->domains, link) {
		if (own->domain != &d->domain)
			continue;
		/* As in the core, the pages are freed after the page table */
		ioasid_domain_unfill(space, own);
		list_del(&own->link);
		space->nr_domains--;
		kfree(own);
	}
	up_write(&space->rwsem);
}

/* --- the IOMMU --- */

/**
 * struct itest_device - a device behind the fake IOMMU
 * @fake: the IOMMU
 * @conf: its configuration
 * @attached: the domain that it uses; NULL if it is blocked
 * @pasids: PASID -> struct iommu_domain
 * @asked: id of a group of page requests without a response -> its PASID
 * @answers: id of a group -> code of its response
 * @nr_asked: number of groups in @asked
 * @owned: the test owns its DMA
 */
struct itest_device {
	struct itest_iommu *fake;
	struct itest_device_conf conf;
	struct itest_domain *attached;
	struct xarray pasids;
	struct xarray asked;
	struct xarray answers;
	atomic_t nr_asked;
	bool owned;
};

/**
 * struct itest_paging - a domain of the fake IOMMU
 * @d: the page table
 * @fake: the IOMMU
 * @unit: unit of the devices that can use it
 */
struct itest_paging {
	struct itest_domain d;
	struct itest_iommu *fake;
	u32 unit;
};

static struct itest_device *itest_device_of(struct device *dev)
{
	return *(struct itest_device **)dev_get_platdata(dev);
}

static bool itest_capable(struct device *dev, enum iommu_cap cap)
{
	struct itest_device *t = itest_device_of(dev);

	switch (cap) {
	case IOMMU_CAP_CACHE_COHERENCY:
		return !t->conf.no_coherency;
	case IOMMU_CAP_ENFORCE_CACHE_COHERENCY:
		return t->conf.enforce;
	default:
		return false;
	}
}

static void *itest_hw_info(struct device *dev, u32 *length,
			   enum iommu_hw_info_type *type)
{
	struct itest_iommu_knobs *k = &itest_device_of(dev)->fake->knobs;

	if (k->hw_info_err == 1)
		return NULL;
	if (k->hw_info_err)
		return ERR_PTR(k->hw_info_err);
	*length = 8;
	*type = IOMMU_HW_INFO_TYPE_INTEL_VTD;
	return kmemdup("hardware", 8, GFP_KERNEL);
}

static void itest_leave(struct itest_device *t)
{
	if (t->attached)
		t->attached->attached--;
	t->attached = NULL;
}

static int itest_attach_paging(struct iommu_domain *domain, struct device *dev,
			       struct iommu_domain *old)
{
	struct itest_domain *d = to_itest_domain(domain);
	struct itest_device *t = itest_device_of(dev);
	struct itest_iommu_knobs *k = &t->fake->knobs;

	k->nr_attach++;
	if (k->blocks_first)
		itest_leave(t);
	if (k->fail_attach && !--k->fail_attach)
		return k->attach_err;
	if (container_of(d, struct itest_paging, d)->unit != t->conf.unit)
		return -EINVAL;
	if (domain->iopf_handler && !t->conf.pri)
		return -ENODEV;
	itest_leave(t);
	t->attached = d;
	d->attached++;
	return 0;
}

static int itest_attach_blocked(struct iommu_domain *domain, struct device *dev,
				struct iommu_domain *old)
{
	itest_leave(itest_device_of(dev));
	return 0;
}

/* A domain counts its users, to detect that it is freed too early */
static void itest_count(struct iommu_domain *domain, int n)
{
	if (domain && domain->type != IOMMU_DOMAIN_SVA)
		to_itest_domain(domain)->attached += n;
}

/* What the IOMMU core believes attached is gone */
static void itest_leave_pasid(struct itest_device *t, ioasid_t pasid)
{
	itest_count(xa_erase(&t->pasids, pasid), -1);
}

static int itest_set_pasid(struct iommu_domain *domain, struct device *dev,
			   ioasid_t pasid, struct iommu_domain *old)
{
	struct itest_device *t = itest_device_of(dev);
	struct itest_iommu_knobs *k = &t->fake->knobs;

	k->nr_attach++;
	if (k->fail_attach && !--k->fail_attach) {
		if (k->blocks_first)
			itest_leave_pasid(t, pasid);
		return k->attach_err;
	}
	if (domain->type != IOMMU_DOMAIN_SVA &&
	    container_of(to_itest_domain(domain), struct itest_paging,
			 d)->unit != t->conf.unit)
		return -EINVAL;
	if (domain->iopf_handler && !t->conf.pri)
		return -ENODEV;
	WARN(xa_load(&t->pasids, pasid) != old, "PASID %u has another domain",
	     pasid);
	if (xa_err(xa_store(&t->pasids, pasid, domain, GFP_KERNEL)))
		return -ENOMEM;
	itest_count(old, -1);
	itest_count(domain, 1);
	return 0;
}

static int itest_block_pasid(struct iommu_domain *domain, struct device *dev,
			     ioasid_t pasid, struct iommu_domain *old)
{
	struct itest_device *t = itest_device_of(dev);
	struct iommu_domain *had = xa_load(&t->pasids, pasid);

	WARN(had != old && (had || !t->fake->knobs.blocks_first),
	     "PASID %u has another domain", pasid);
	itest_leave_pasid(t, pasid);
	return 0;
}

static const struct iommu_domain_ops itest_blocked_ops = {
	.attach_dev = itest_attach_blocked,
	.set_dev_pasid = itest_block_pasid,
};

static struct iommu_domain itest_blocked = {
	.type = IOMMU_DOMAIN_BLOCKED,
	.ops = &itest_blocked_ops,
};

static void itest_paging_free(struct iommu_domain *domain)
{
	struct itest_domain *d = to_itest_domain(domain);
	struct itest_paging *p = container_of(d, struct itest_paging, d);

	WARN(d->attached, "a domain is freed that a device uses");
	WARN(d->children, "a domain is freed that others are nested in");
	if (d->parent)
		d->parent->children--;
	WARN(d->wrong, "%s", d->wrong);
	if (p->fake->knobs.last == d)
		p->fake->knobs.last = NULL;
	atomic_dec(&p->fake->knobs.nr_domains);
	itest_domain_exit(d);
	kfree(p);
}

static bool itest_enforce(struct iommu_domain *domain)
{
	struct itest_domain *d = to_itest_domain(domain);

	return container_of(d, struct itest_paging, d)->fake->knobs.enforce;
}

static void itest_flush_all(struct iommu_domain *domain)
{
	to_itest_domain(domain)->nr_flush++;
}

static const struct iommu_domain_ops itest_paging_ops = {
	.attach_dev = itest_attach_paging,
	.set_dev_pasid = itest_set_pasid,
	.map_pages = itest_map_pages_op,
	.unmap_pages = itest_unmap_pages_op,
	.iotlb_sync = itest_iotlb_sync,
	.flush_iotlb_all = itest_flush_all,
	.iova_to_phys = itest_iova_to_phys,
	.enforce_cache_coherency = itest_enforce,
	.free = itest_paging_free,
};

static struct itest_paging *itest_alloc_domain(struct device *dev)
{
	struct itest_device *t = itest_device_of(dev);
	struct itest_iommu_knobs *k = &t->fake->knobs;
	struct itest_paging *p;

	if (k->fail_alloc)
		return ERR_PTR(k->fail_alloc);
	p = kzalloc(sizeof(*p), GFP_KERNEL);
	if (!p)
		return ERR_PTR(-ENOMEM);
	itest_domain_init(&p->d);
	p->fake = t->fake;
	p->unit = t->conf.unit;
	p->d.fail_map = k->fail_map;
	p->d.domain.geometry.force_aperture = k->aperture_end != U64_MAX;
	p->d.domain.geometry.aperture_end = k->aperture_end;
	atomic_inc(&k->nr_domains);
	k->last = &p->d;
	return p;
}

static struct iommu_domain *itest_alloc_paging(struct device *dev)
{
	struct itest_paging *p = itest_alloc_domain(dev);

	return IS_ERR(p) ? ERR_CAST(p) : &p->d.domain;
}

/* --- nesting --- */

static int itest_invalidate(struct iommu_domain *domain,
			    struct iommu_user_data_array *array)
{
	struct iommu_hwpt_vtd_s1_invalidate inv;
	u32 done;
	int rc = 0;

	for (done = 0; !rc && done < array->entry_num; done += !rc) {
		rc = iommu_copy_struct_from_user_array(&inv, array,
						       IOMMU_HWPT_INVALIDATE_DATA_VTD_S1,
						       done, __reserved);
		if (!rc && !inv.npages)
			rc = -EINVAL;
	}
	to_itest_domain(domain)->nr_invalidated += done;
	array->entry_num = done;
	return rc;
}

static const struct iommu_domain_ops itest_nested_ops = {
	.attach_dev = itest_attach_paging,
	.set_dev_pasid = itest_set_pasid,
	.cache_invalidate_user = itest_invalidate,
	.free = itest_paging_free,
};

static struct iommu_domain *
itest_alloc_nested(struct device *dev, struct iommu_domain *parent, u32 flags,
		   const struct iommu_user_data *user_data)
{
	struct itest_domain *above = to_itest_domain(parent);
	struct itest_device *t = itest_device_of(dev);
	struct iommu_hwpt_vtd_s1 s1;
	struct itest_paging *p;
	int rc;

	if (t->conf.no_nesting || flags)
		return ERR_PTR(-EOPNOTSUPP);
	if (container_of(above, struct itest_paging, d)->unit != t->conf.unit)
		return ERR_PTR(-EINVAL);
	rc = iommu_copy_struct_from_user(&s1, user_data, IOMMU_HWPT_DATA_VTD_S1,
					 __reserved);
	if (rc)
		return ERR_PTR(rc);
	p = itest_alloc_domain(dev);
	if (IS_ERR(p))
		return ERR_CAST(p);
	p->d.domain.type = IOMMU_DOMAIN_NESTED;
	p->d.domain.ops = &itest_nested_ops;
	p->d.parent = above;
	p->d.root = s1.pgtbl_addr;
	above->children++;
	return &p->d.domain;
}

#if IOASID_HAVE_DOMAIN_ALLOC_NESTED
static struct iommu_domain *
itest_alloc_paging_flags(struct device *dev, u32 flags,
			 const struct iommu_user_data *user_data)
{
	if (flags && itest_device_of(dev)->conf.no_nesting)
		return ERR_PTR(-EOPNOTSUPP);
	return itest_alloc_paging(dev);
}

#define ITEST_ALLOC_OPS							\
	.domain_alloc_paging_flags = itest_alloc_paging_flags,		\
	.domain_alloc_nested = itest_alloc_nested,
#else
static struct iommu_domain *
itest_alloc_user(struct device *dev, u32 flags, struct iommu_domain *parent,
		 const struct iommu_user_data *user_data)
{
	if (parent)
		return itest_alloc_nested(dev, parent, flags, user_data);
	if (flags && itest_device_of(dev)->conf.no_nesting)
		return ERR_PTR(-EOPNOTSUPP);
	return itest_alloc_paging(dev);
}

#define ITEST_ALLOC_OPS							\
	.domain_alloc_paging = itest_alloc_paging,			\
	.domain_alloc_user = itest_alloc_user,
#endif

/* --- the address space of a process, and page requests --- */

/**
 * struct itest_sva - the domain of a process
 * @domain: domain of the IOMMU core
 * @fake: the IOMMU
 */
struct itest_sva {
	struct iommu_domain domain;
	struct itest_iommu *fake;
};

static void itest_sva_free(struct iommu_domain *domain)
{
	struct itest_sva *sva = container_of(domain, struct itest_sva, domain);

	atomic_dec(&sva->fake->knobs.nr_sva);
	kfree(sva);
}

static const struct iommu_domain_ops itest_sva_ops = {
	.set_dev_pasid = itest_set_pasid,
	.free = itest_sva_free,
};

static struct iommu_domain *itest_alloc_sva(struct device *dev,
					    struct mm_struct *mm)
{
	struct itest_iommu *fake = itest_device_of(dev)->fake;
	struct itest_sva *sva;

	if (fake->knobs.sva_err)
		return ERR_PTR(fake->knobs.sva_err);
	sva = kzalloc(sizeof(*sva), GFP_KERNEL);
	if (!sva)
		return ERR_PTR(-ENOMEM);
	sva->fake = fake;
	sva->domain.type = IOMMU_DOMAIN_SVA;
	sva->domain.ops = &itest_sva_ops;
	atomic_inc(&fake->knobs.nr_sva);
	return &sva->domain;
}

/* Each group gets one response, with the PASID of its requests */
static void itest_page_response(struct device *dev, struct iopf_fault *evt,
				struct iommu_page_response *msg)
{
	struct itest_device *t = itest_device_of(dev);
	void *pasid = xa_erase(&t->asked, msg->grpid);

	if (WARN(!pasid, "group %u is answered, and nobody has asked",
		 msg->grpid))
		return;
	WARN(xa_to_value(pasid) != msg->pasid, "group %u: another PASID",
	     msg->grpid);
	WARN_ON(xa_err(xa_store(&t->answers, msg->grpid, xa_mk_value(msg->code),
				GFP_ATOMIC)));
	atomic_dec(&t->nr_asked);
}

/**
 * itest_ask() - let a device send a group of page requests
 * @test: the test
 * @dev: the device
 * @pasid: its PASID, or IOASID_RID
 * @group: id of the group; not that of a pending one
 * @addr: addresses of the pages
 * @nr: number of pages
 *
 * Context: can sleep.
 */
void itest_ask(struct kunit *test, struct device *dev, u32 pasid, u32 group,
	       const u64 *addr, u32 nr)
{
	struct itest_device *t = itest_device_of(dev);
	struct iopf_fault evt = {
		.fault.type = IOMMU_FAULT_PAGE_REQ,
		.fault.prm = {
			.flags = pasid ? IOMMU_FAULT_PAGE_REQUEST_PASID_VALID |
					 IOMMU_FAULT_PAGE_RESPONSE_NEEDS_PASID : 0,
			.pasid = pasid,
			.grpid = group,
			.perm = IOMMU_FAULT_PERM_READ,
		},
	};
	u32 i;

	KUNIT_ASSERT_NULL(test, xa_store(&t->asked, group, xa_mk_value(pasid),
					 GFP_KERNEL));
	xa_erase(&t->answers, group);
	/* The answer comes with spinlocks held */
	KUNIT_ASSERT_EQ(test, xa_reserve(&t->answers, group, GFP_KERNEL), 0);
	atomic_inc(&t->nr_asked);
	for (i = 0; i < nr; i++) {
		evt.fault.prm.addr = addr[i];
		if (i + 1 == nr)
			evt.fault.prm.flags |= IOMMU_FAULT_PAGE_REQUEST_LAST_PAGE;
		/* No handler: the response to the first request was for all */
		if (iommu_report_device_fault(dev, &evt))
			break;
	}
}

/**
 * itest_answer() - get the response to a group of page requests
 * @dev: the device
 * @group: id of a group of itest_ask()
 *
 * Context: any.
 *
 * Return: enum iommu_page_response_code, or ITEST_WAITS without a response.
 */
int itest_answer(struct device *dev, u32 group)
{
	void *entry = xa_load(&itest_device_of(dev)->answers, group);

	return entry ? (int)xa_to_value(entry) : ITEST_WAITS;
}

/* Number of groups of a device without a response */
u32 itest_waiting(struct device *dev)
{
	return atomic_read(&itest_device_of(dev)->nr_asked);
}

static struct iommu_device *itest_probe_device(struct device *dev)
{
	return &itest_device_of(dev)->fake->iommu;
}

static struct iommu_group *itest_device_group(struct device *dev)
{
	struct itest_device *t = itest_device_of(dev);
	struct iommu_group **group = &t->fake->group[t->conf.group];

	/* The test keeps a reference, for devices that are added later */
	if (!*group)
		*group = iommu_group_alloc();
	if (IS_ERR(*group))
		return *group;
	return iommu_group_ref_get(*group);
}

static void itest_get_resv_regions(struct device *dev, struct list_head *list)
{
	struct itest_device *t = itest_device_of(dev);
	struct iommu_resv_region *region;
	u32 i;

	for (i = 0; i < ARRAY_SIZE(t->conf.resv) && t->conf.resv[i].length; i++) {
		region = iommu_alloc_resv_region(t->conf.resv[i].start,
						 t->conf.resv[i].length,
						 0, t->conf.resv[i].type,
						 GFP_KERNEL);
		if (region)
			list_add_tail(&region->list, list);
	}
}

static int itest_def_domain_type(struct device *dev)
{
	return IOMMU_DOMAIN_BLOCKED;
}

static const struct iommu_ops itest_iommu_ops = {
	.capable = itest_capable,
	.hw_info = itest_hw_info,
	ITEST_ALLOC_OPS
	.probe_device = itest_probe_device,
	.device_group = itest_device_group,
	.get_resv_regions = itest_get_resv_regions,
	.def_domain_type = itest_def_domain_type,
	.default_domain_ops = &itest_paging_ops,
	.default_domain = &itest_blocked,
	.blocked_domain = &itest_blocked,
	.domain_alloc_sva = itest_alloc_sva,
	.page_response = itest_page_response,
	.release_domain = &itest_blocked,
	.owner = THIS_MODULE,
};

static void itest_iommu_free(void *data)
{
	struct itest_iommu *fake = data;
	u32 i;

	for (i = 0; i < ARRAY_SIZE(fake->group); i++)
		if (!IS_ERR_OR_NULL(fake->group[i]))
			iommu_group_put(fake->group[i]);
	iommu_device_unregister(&fake->iommu);
	iommu_device_sysfs_remove(&fake->iommu);
	fwnode_remove_software_node(fake->fwnode);
	/* No page request is in progress, so the IOMMU core does not use them any more */
	ioasid_deferred_free_flush();
	WARN(atomic_read(&fake->knobs.nr_domains), "a domain has leaked");
	WARN(atomic_read(&fake->knobs.nr_sva), "a process' domain has leaked");
	iopf_queue_free(fake->iopf);
	kfree(fake);
}

/**
 * itest_iommu_new() - make an IOMMU without devices
 * @test: the test; unregisters it when it ends
 *
 * It has a firmware node of its own, which distinguishes it from the IOMMUs of the
 * machine.
 *
 * Context: can sleep.
 *
 * Return: the IOMMU.
 */
struct itest_iommu *itest_iommu_new(struct kunit *test)
{
	struct itest_iommu *fake = kzalloc(sizeof(*fake), GFP_KERNEL);
	/* Names that differ, for tests with several */
	static atomic_t nr;

	KUNIT_ASSERT_NOT_NULL(test, fake);
	fake->knobs.aperture_end = U64_MAX;
	fake->iommu.max_pasids = 1 << 20;
	fake->iopf = iopf_queue_alloc("ioasid-test");
	KUNIT_ASSERT_NOT_NULL(test, fake->iopf);
	fake->fwnode = fwnode_create_software_node(NULL, NULL);
	fake->iommu.fwnode = fake->fwnode;
	KUNIT_ASSERT_FALSE(test, IS_ERR(fake->fwnode));
	KUNIT_ASSERT_EQ(test, iommu_device_sysfs_add(&fake->iommu, NULL, NULL,
						     "ioasid-test%d",
						     atomic_inc_return(&nr)), 0);
	KUNIT_ASSERT_EQ(test, iommu_device_register(&fake->iommu,
						    &itest_iommu_ops, NULL), 0);
	KUNIT_ASSERT_EQ(test, kunit_add_action_or_reset(test, itest_iommu_free,
							fake), 0);
	return fake;
}

/* What a glue's framework does before it lets a program have the device */
void itest_own(struct kunit *test, struct device *dev)
{
	struct itest_device *t = itest_device_of(dev);

	KUNIT_ASSERT_EQ(test, iommu_device_claim_dma_owner(dev, t->fake), 0);
	t->owned = true;
}

void itest_disown(struct device *dev)
{
	itest_device_of(dev)->owned = false;
	iommu_device_release_dma_owner(dev);
}

static void itest_device_free(void *data)
{
	struct platform_device *pdev = data;
	struct itest_device *t = itest_device_of(&pdev->dev);

	if (t->conf.pri)
		iopf_queue_remove_device(t->fake->iopf, &pdev->dev);
	if (t->owned)
		itest_disown(&pdev->dev);
	WARN(!xa_empty(&t->pasids), "a PASID is attached when the device goes");
	WARN(!xa_empty(&t->asked), "the device goes and waits for an answer");
	platform_device_unregister(pdev);
	xa_destroy(&t->pasids);
	xa_destroy(&t->asked);
	xa_destroy(&t->answers);
}

/* Where the IOMMU core finds the PASIDs of a device that is not PCI */
static int itest_add_properties(struct platform_device *pdev, u32 pasid_bits)
{
	const struct property_entry props[] = {
		PROPERTY_ENTRY_U32("pasid-num-bits", pasid_bits),
		{ }
	};

	return pasid_bits ? device_create_managed_software_node(&pdev->dev,
								props, NULL) :
			    0;
}

/**
 * itest_device_new() - add a device behind a fake IOMMU
 * @test: the test; removes it when it ends
 * @fake: the IOMMU
 * @conf: its configuration
 *
 * Context: can sleep.
 *
 * Return: the device; the test owns its DMA.
 */
struct device *itest_device_new(struct kunit *test, struct itest_iommu *fake,
				const struct itest_device_conf *conf)
{
	struct itest_device *t = kunit_kzalloc(test, sizeof(*t), GFP_KERNEL);
	struct platform_device *pdev;
	int rc;

	KUNIT_ASSERT_NOT_NULL(test, t);
	t->fake = fake;
	t->conf = *conf;
	xa_init(&t->pasids);
	xa_init(&t->asked);
	xa_init(&t->answers);
	pdev = platform_device_alloc("ioasid-test", PLATFORM_DEVID_AUTO);
	KUNIT_ASSERT_NOT_NULL(test, pdev);
	rc = platform_device_add_data(pdev, &t, sizeof(t));
	KUNIT_ASSERT_EQ(test, rc, 0);
	/*
	 * Nothing else can access the device yet, so it does not need the lock,
	 * which only built-in code can take.
	 */
	lockdep_off();
	rc = iommu_fwspec_init(&pdev->dev, fake->fwnode);
	lockdep_on();
	if (!rc)
		rc = itest_add_properties(pdev, conf->pasid_bits);
	if (!rc)
		rc = platform_device_add(pdev);
	if (rc)
		platform_device_put(pdev);
	KUNIT_ASSERT_EQ(test, rc, 0);
	KUNIT_ASSERT_EQ(test, kunit_add_action_or_reset(test, itest_device_free,
							pdev), 0);
	KUNIT_ASSERT_NOT_NULL(test, pdev->dev.iommu_group);
	fake->pdev[fake->nr++] = pdev;
	itest_own(test, &pdev->dev);
	if (conf->pri)
		KUNIT_ASSERT_EQ(test, iopf_queue_add_device(fake->iopf,
							    &pdev->dev), 0);
	return &pdev->dev;
}

/* The page table that a device uses now, or NULL */
struct itest_domain *itest_device_domain(struct device *dev)
{
	return itest_device_of(dev)->attached;
}

/* The same for a PASID; NULL also for the address space of a process */
struct itest_domain *itest_device_pasid(struct device *dev, u32 pasid)
{
	struct iommu_domain *domain = xa_load(&itest_device_of(dev)->pasids,
					      pasid);

	return domain && domain->type != IOMMU_DOMAIN_SVA ?
	       to_itest_domain(domain) : NULL;
}

/* The process whose memory a PASID of a device can access, or NULL */
struct mm_struct *itest_device_mm(struct device *dev, u32 pasid)
{
	struct iommu_domain *domain = xa_load(&itest_device_of(dev)->pasids,
					      pasid);

	return domain && domain->type == IOMMU_DOMAIN_SVA ? domain->mm : NULL;
}
