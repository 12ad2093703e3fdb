/* SPDX-License-Identifier: GPL-2.0 */
/*
 * What the KUnit suites of the core share: reproducible random numbers, contexts
 * and commands, user memory of a chosen layout, a fake page table and a fake IOMMU.
 * They must never be more lenient with the core than a real IOMMU driver, and no
 * test may depend on another one.
 */
#ifndef __IOASID_TEST_H
#define __IOASID_TEST_H

#include <kunit/test.h>
#include <linux/iommu.h>
#include <linux/maple_tree.h>
#include <linux/prandom.h>
#include "../compat/map.h"
#include "../ioasid_private.h"

struct platform_device;

/* The same addresses in all tests, so that tables can contain them */
#define ITEST_ARG	0x10000000UL	/* a page: the command's struct */
#define ITEST_EXT	0x10001000UL	/* a page: the extack */
#define ITEST_VEC	0x10002000UL	/* 16 pages: vectors */
#define ITEST_VEC_PAGES	16
#define ITEST_MEM	0x10100000UL	/* 64 pages to map; none behind them */
#define ITEST_MEM_PAGES	64
#define ITEST_RO	0x10200000UL	/* a page that cannot be written */
#define ITEST_HOLE	0x10300000UL	/* not mapped */

/**
 * struct itest - an open context
 * @test: the test
 * @file: the open /dev/ioasid
 * @ctx: its context
 * @ext: the reason for the last error; untouched by success
 * @fd: of @file, or -1
 */
struct itest {
	struct kunit *test;
	struct file *file;
	struct ioasid_ctx *ctx;
	struct ioasid_extack ext;
	int fd;
};

/* helpers.c */
u64 itest_seed(struct kunit *test, struct rnd_state *rnd);
u32 itest_rounds(u32 all);
u32 itest_below(struct rnd_state *rnd, u32 n);

void itest_memory(struct kunit *test);
struct itest *itest_open(struct kunit *test);
void itest_close(struct itest *it);
int itest_fd(struct itest *it);
int itest_ioctl(struct itest *it, unsigned int cmd, u64 uptr);
int itest_cmd(struct itest *it, unsigned int cmd, void *arg, size_t size);
void itest_put_user(struct kunit *test, u64 uptr, const void *from, size_t size);
void itest_get_user(struct kunit *test, void *to, u64 uptr, size_t size);

#define ITEST_CMD(_it, _cmd, _arg) \
	itest_cmd(_it, _cmd, _arg, sizeof(*(_arg)))

u32 itest_alloc_space(struct itest *it);
int itest_free_space(struct itest *it, u32 id);
int itest_map(struct itest *it, u32 id, struct ioasid_map_range *r, u32 nr);
int itest_map_one(struct itest *it, u32 id, u64 iova, u64 addr, u64 length,
		  u32 flags);
int itest_unmap(struct itest *it, u32 id, struct ioasid_unmap_range *r, u32 nr,
		u64 *bytes);
int itest_unmap_one(struct itest *it, u32 id, u64 iova, u64 length);
struct ioasid_info itest_info(struct itest *it);
u32 itest_bind_device(struct itest *it, struct device *dev);
u32 itest_alloc_kind(struct itest *it, u32 kind, u32 flags);
struct ioasid_space *itest_space_get(struct itest *it, u32 id);
int itest_attach(struct itest *it, u32 dev_id, u32 id, u32 *pasid, u32 vpasid,
		 u32 flags);
int itest_detach(struct itest *it, u32 dev_id, u32 number);
int itest_pasid_alloc(struct itest *it, u32 dev_id, u32 nr, u32 *pasids);
int itest_pasid_free(struct itest *it, u32 nr, const u32 *pasids);

/**
 * struct itest_queue - an open fault queue
 * @file: its file
 * @q: the queue
 * @id: queue_id
 */
struct itest_queue {
	struct file *file;
	struct ioasid_queue *q;
	u32 id;
};

void itest_queue_open(struct itest *it, struct itest_queue *tq,
		      const struct ioasid_fault_queue *args);
void itest_queue_close(struct itest *it, struct itest_queue *tq);
ssize_t itest_queue_read(struct itest_queue *tq, u64 uptr, size_t count);
ssize_t itest_queue_write(struct itest_queue *tq, u64 uptr, size_t count);
int itest_queue_answer(struct itest *it, struct itest_queue *tq, u64 cookie,
		       u32 code);
int itest_bind(struct itest *it, u32 id, u32 dev_id, u32 number, u32 queue_id);

void itest_set_killed(bool killed);
void itest_set_memlock(u64 bytes);
const struct cred *itest_drop_cap(struct kunit *test, int cap);
const struct cred *itest_become_user(struct kunit *test, u32 uid);
void itest_restore_cred(const struct cred *old);

struct page **itest_pages(struct kunit *test, u32 nr, u32 order);
u64 itest_map_pages(struct kunit *test, struct page **page, u32 nr, int prot);
u32 itest_pins(struct page *page);

/* Checks errno and reason of an error, and that it has a sentence */
#define ITEST_EXPECT_ERR(_it, _rc, _err, _code) do {			\
	int __rc = (_rc);						\
									\
	KUNIT_EXPECT_EQ((_it)->test, __rc, (_err));			\
	if (__rc) {							\
		KUNIT_EXPECT_EQ_MSG((_it)->test, (_it)->ext.code,	\
				    (u32)(_code), "%s", (_it)->ext.msg);	\
		KUNIT_EXPECT_GT((_it)->test, strlen((_it)->ext.msg), 9UL); \
	}								\
} while (0)

/* fake.c */

/**
 * struct itest_domain - a fake page table
 * @domain: domain of the IOMMU core
 * @pt: the same, if it is a generic page table
 * @map: page of IOVA -> its frame and protection, see itest_domain_entry()
 * @pages: number of pages mapped
 * @fail_map: the call of map_pages() that fails, counted from now on; 0: none
 * @fail_err: its error
 * @fail_after: number of pages that it maps before it fails
 * @fail_sync: errno of iotlb_sync_map(), or 0
 * @nr_map: number of calls of map_pages()
 * @nr_unmap: number of calls of unmap_pages()
 * @nr_flush: number of flushes
 * @dirty_first: first IOVA that is unmapped and not flushed
 * @dirty_last: last one; less than @dirty_first if there is none
 * @dirty_pfn: some of the frames that were mapped there
 * @nr_dirty_pfn: number of @dirty_pfn
 * @check_pins: checks that its frames stay pinned until they are flushed
 * @keep: unmap_pages() unmaps nothing
 * @attached: number of devices attached
 * @parent: the domain that it is nested in, or NULL
 * @children: number of domains nested in it
 * @root: the data that it was allocated with: address of the user's table
 * @nr_invalidated: number of entries that it has executed
 * @wrong: the first rule that was broken, or NULL
 */
struct itest_domain {
	union {
		struct iommu_domain domain;
#if COMPAT_MAP_PIECES
		struct pt_iommu pt;
#endif
	};
	struct maple_tree map;
	u64 pages;
	u32 fail_map;
	int fail_err;
	u32 fail_after;
	int fail_sync;
	u32 nr_map;
	u32 nr_unmap;
	u32 nr_flush;
	u64 dirty_first;
	u64 dirty_last;
	unsigned long dirty_pfn[64];
	u32 nr_dirty_pfn;
	bool check_pins;
	bool keep;
	u32 attached;
	struct itest_domain *parent;
	u32 children;
	u64 root;
	u32 nr_invalidated;
	const char *wrong;
};

#define to_itest_domain(d)	container_of(d, struct itest_domain, domain)

struct itest_domain *itest_domain_new(struct kunit *test);
bool itest_domain_set_pt(struct itest_domain *d);
void itest_domain_empty(struct kunit *test, struct itest_domain *d);
unsigned long itest_domain_pfn(struct itest_domain *d, u64 iova, int *prot);
void itest_domain_check(struct kunit *test, struct itest_domain *d);
void itest_space_add_domain(struct kunit *test, struct ioasid_space *space,
			    struct itest_domain *d);
void itest_space_del_domain(struct ioasid_space *space, struct itest_domain *d);

#define ITEST_MAX_DEVICES	8

/**
 * struct itest_iommu_knobs - chosen failures of the fake IOMMU, and its counters
 * @fail_alloc: errno of allocations of a domain, or 0
 * @fail_attach: the call of attach_dev() that fails, counted from now on; 0: none
 * @attach_err: its error
 * @blocks_first: an attach blocks the device before it fails, as some drivers do
 * @fail_map: struct itest_domain.fail_map of new domains
 * @nr_domains: number of paging domains
 * @nr_attach: number of calls of attach_dev() of a paging domain
 * @hw_info_err: errno of hw_info(), 0 to succeed, 1 to return nothing
 * @last: the latest paging domain
 * @aperture_end: aperture of new domains
 * @enforce: new domains enforce coherency when asked to
 * @sva_err: errno of binding a process, or 0
 * @nr_sva: number of domains of processes
 */
struct itest_iommu_knobs {
	int fail_alloc;
	u32 fail_attach;
	int attach_err;
	bool blocks_first;
	u32 fail_map;
	atomic_t nr_domains;
	u32 nr_attach;
	int hw_info_err;
	struct itest_domain *last;
	u64 aperture_end;
	bool enforce;
	int sva_err;
	atomic_t nr_sva;
};

/**
 * struct itest_device_conf - a device behind the fake IOMMU
 * @unit: devices of different units cannot share a domain
 * @group: devices with the same number share a group
 * @no_coherency: DMA is not cache coherent
 * @enforce: IOMMU_CAP_ENFORCE_CACHE_COHERENCY
 * @pasid_bits: width of its PASIDs in bits; 0: none
 * @pri: it has page requests
 * @no_nesting: its IOMMU cannot nest
 * @resv: up to four reserved regions; a length of 0 ends them
 */
struct itest_device_conf {
	u32 unit;
	u32 group;
	bool no_coherency;
	bool enforce;
	u32 pasid_bits;
	bool pri;
	bool no_nesting;
	struct itest_resv {
		u64 start;
		u64 length;
		enum iommu_resv_type type;
	} resv[4];
};

/**
 * struct itest_iommu - a fake IOMMU with its devices, for one test
 * @iommu: IOMMU of the IOMMU core
 * @fwnode: leads from the devices to it
 * @pdev: the devices
 * @nr: number of @pdev
 * @knobs: failures and counters
 * @group: number of a group -> the group
 * @iopf: page request queue of the IOMMU core
 */
struct itest_iommu {
	struct iommu_device iommu;
	struct fwnode_handle *fwnode;
	struct platform_device *pdev[ITEST_MAX_DEVICES];
	u32 nr;
	struct itest_iommu_knobs knobs;
	struct iommu_group *group[ITEST_MAX_DEVICES];
	struct iopf_queue *iopf;
};

struct itest_iommu *itest_iommu_new(struct kunit *test);
struct device *itest_device_new(struct kunit *test, struct itest_iommu *fake,
				const struct itest_device_conf *conf);
void itest_own(struct kunit *test, struct device *dev);
void itest_disown(struct device *dev);
struct itest_domain *itest_device_domain(struct device *dev);
struct itest_domain *itest_device_pasid(struct device *dev, u32 pasid);
struct mm_struct *itest_device_mm(struct device *dev, u32 pasid);

#define ITEST_WAITS	(-1)	/* no response yet */

void itest_ask(struct kunit *test, struct device *dev, u32 pasid, u32 group,
	       const u64 *addr, u32 nr);
int itest_answer(struct device *dev, u32 group);
u32 itest_waiting(struct device *dev);

#endif /* __IOASID_TEST_H */
