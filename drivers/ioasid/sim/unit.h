/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The internals of the software IOMMU. The structures stand for the registers,
 * in-memory tables and caches of real hardware. The hardware half (walk.c,
 * tlb.c, dma.c, the queue of prq.c) must never look at anything else; the
 * driver half (domain.c, nested.c, sva.c) changes them and flushes.
 *
 * Locks, outermost first:
 *   sim_mutex              endpoints are added and removed
 *   sim_unit.prq_mutex     a group of page requests is being delivered, or
 *                          those of an endpoint are being drained
 *   ioasid_sim_dev.ops_sem read: a callback of the endpoint's driver
 *   sim_domain.lock        attachments; a parent's before its child's
 *   sim_unit.lock          read: an access in progress, from translation to the
 *                          last byte; write: invalidations, new entries
 *   sim_tlb.lock, ioasid_sim_dev.pr_lock, sim_unit.ring_lock (inside pr_lock),
 *   sim_unit.log_lock
 */
#ifndef __IOASID_SIM_UNIT_H
#define __IOASID_SIM_UNIT_H

#include <linux/iommu.h>
#include <linux/list.h>
#include <linux/mmu_notifier.h>
#include <linux/mutex.h>
#include <linux/platform_device.h>
#include <linux/rwsem.h>
#include <linux/spinlock.h>
#include <linux/wait.h>
#include <linux/workqueue.h>
#include <linux/xarray.h>
#include "../compat/compat.h"
#include "sim.h"

#if IOASID_HAVE_BARE_NAMESPACE
#define SIM_EXPORT(sym)		EXPORT_SYMBOL_NS_GPL(sym, IOASID_SIM)
#else
#define SIM_EXPORT(sym)		EXPORT_SYMBOL_NS_GPL(sym, "IOASID_SIM")
#endif

#define SIM_PAGE_SHIFT		12
#define SIM_PAGE_SIZE		(1ULL << SIM_PAGE_SHIFT)
#define SIM_LEVELS		4
#define SIM_ENTRIES		512
#define SIM_LOG_SIZE		256

/* The bits of an x86-64 table entry */
#define SIM_PTE_P		BIT_ULL(0)
#define SIM_PTE_W		BIT_ULL(1)
#define SIM_PTE_U		BIT_ULL(2)
#define SIM_PTE_A		BIT_ULL(5)
#define SIM_PTE_D		BIT_ULL(6)
#define SIM_PTE_PS		BIT_ULL(7)
#define SIM_PTE_EA		BIT_ULL(10)
#define SIM_PTE_ADDR		GENMASK_ULL(51, 12)

/* IOMMU_HWPT_ALLOC_PASID, which older kernels lack; every domain can be used by PASIDs */
#define SIM_HWPT_PASID		BIT(3)

/* Try again: a process is changing its own page table */
#define SIM_BUSY		((enum ioasid_sim_reason)U32_MAX)

/* Interrupt messages: not translated; endpoints do not write them */
#define SIM_MSI_START		0xfee00000ULL
#define SIM_MSI_LENGTH		0x00100000ULL

/* Number of address bits below the index of a level; level 1 is the last */
static inline unsigned int sim_shift(unsigned int level)
{
	return SIM_PAGE_SHIFT + 9 * (level - 1);
}

static inline unsigned int sim_index(u64 addr, unsigned int level)
{
	return (addr >> sim_shift(level)) % SIM_ENTRIES;
}

static inline bool sim_is_leaf(u64 pte, unsigned int level)
{
	return level == 1 || (pte & SIM_PTE_PS);
}

/* --- configuration --- */

/**
 * struct sim_config - configuration of a unit and its endpoints
 * @endpoints: number of endpoints
 * @group_size: number of endpoints that share an IOMMU group
 * @siblings: number of endpoints, the last ones of the unit, that share one
 *	group instead
 * @pasid_bits: width of PASIDs in bits; 0: no PASIDs
 * @credits: page requests that an endpoint may have outstanding; 0: no requests
 * @prq_depth: number of records that fit into the unit's request queue
 * @addr_bits: width of I/O addresses in bits, 30 to 48
 * @no_ats: no device TLBs
 * @no_nesting: no nested domains
 * @no_coherency: IOMMU_CAP_CACHE_COHERENCY is absent
 * @no_enforce: enforce_cache_coherency() fails
 * @no_dirty: no dirty tracking
 * @no_huge: 4 KiB pages only
 * @no_share: a domain can only be used by the unit that it was allocated for
 * @negative: not-present entries are cached too ("caching mode")
 * @name: name of the endpoint devices
 */
struct sim_config {
	unsigned int endpoints;
	unsigned int group_size;
	unsigned int siblings;
	unsigned int pasid_bits;
	unsigned int credits;
	unsigned int prq_depth;
	unsigned int addr_bits;
	bool no_ats;
	bool no_nesting;
	bool no_coherency;
	bool no_enforce;
	bool no_dirty;
	bool no_huge;
	bool no_share;
	bool negative;
	const char *name;
};

/* --- table.c: page tables that the kernel fills in --- */

/**
 * struct sim_table - an x86-64 page table in memory
 * @root: the table of level 4
 * @addr_bits: addresses are smaller than 1 << addr_bits
 * @dead_lock: protects @dead
 * @dead: tables that were unlinked, and that a walk may still be reading
 *
 * Disjoint ranges are mapped and unmapped in parallel, without a lock.
 */
struct sim_table {
	u64 *root;
	unsigned int addr_bits;
	spinlock_t dead_lock;
	struct list_head dead;
};

int sim_table_init(struct sim_table *t, unsigned int addr_bits);
void sim_table_destroy(struct sim_table *t);
int sim_table_map(struct sim_table *t, u64 iova, u64 pa, size_t pgsize,
		  size_t pgcount, u64 bits, gfp_t gfp, size_t *mapped);
size_t sim_table_unmap(struct sim_table *t, u64 iova, size_t size);
u64 sim_table_lookup(struct sim_table *t, u64 iova, unsigned int *shift);
void sim_table_dirty(struct sim_table *t, u64 iova, u64 last, bool clear,
		     struct iommu_dirty_bitmap *dirty);
void sim_table_take_dead(struct sim_table *t, struct list_head *dead);
void sim_table_free_dead(struct list_head *dead);

/* --- walk.c: how the hardware walks a table --- */

/**
 * struct sim_stage - one stage of translation, as the hardware is configured
 * @root: address of the top-level table: host physical, or an input address of
 *	@below
 * @addr_bits: width of input addresses in bits
 * @canonical: input addresses are sign-extended, otherwise zero-extended
 * @supervisor: supervisor accesses are allowed
 * @wp: the write bit applies to supervisors
 * @ea: extended-accessed bits are set
 * @no_dirty: dirty bits are not set; may change during an access
 * @below: the stage that translates the output, or NULL
 */
struct sim_stage {
	u64 root;
	unsigned int addr_bits;
	bool canonical;
	bool supervisor;
	bool wp;
	bool ea;
	bool no_dirty;
	const struct sim_stage *below;
};

/**
 * struct sim_xlate - the result of a translation
 * @pa: host physical address
 * @write: writing is allowed, and the dirty bit need not be set any more
 * @page: size of the smallest page on the way, as a shift
 */
struct sim_xlate {
	u64 pa;
	bool write;
	unsigned int page;
};

enum ioasid_sim_reason sim_walk(const struct sim_stage *stage, u64 addr,
				u32 access, struct sim_xlate *out);
bool sim_is_memory(u64 pa);

/* --- tlb.c --- */

#define SIM_TLB_WAYS		4

struct sim_tlb_entry {
	u64 vpn;
	u64 pfn;
	u32 tag;
	bool valid;
	bool present;
	bool write;
	bool priv;
};

/**
 * struct sim_tlb - a cache of translations
 * @lock: protects the entries; interrupts are disabled
 * @sets: number of sets, a power of two
 * @next: for each set, the way that is replaced next
 * @way: the entries, @sets times SIM_TLB_WAYS
 *
 * An entry stays until it is invalidated, or replaced after SIM_TLB_WAYS others
 * of its set. The set depends only on page number and tag. The tag identifies
 * the address space.
 */
struct sim_tlb {
	spinlock_t lock;
	unsigned int sets;
	u8 *next;
	struct sim_tlb_entry (*way)[SIM_TLB_WAYS];
};

int sim_tlb_init(struct sim_tlb *tlb, unsigned int sets);
void sim_tlb_destroy(struct sim_tlb *tlb);
bool sim_tlb_lookup(struct sim_tlb *tlb, u32 tag, u64 addr, u32 access,
		    struct sim_xlate *out, bool *present);
void sim_tlb_fill(struct sim_tlb *tlb, u32 tag, u64 addr, u32 access,
		  const struct sim_xlate *xlate, bool present);
void sim_tlb_flush(struct sim_tlb *tlb, u32 tag, u64 first, u64 last);
void sim_tlb_flush_all(struct sim_tlb *tlb);

/* --- domains --- */

enum sim_kind {
	SIM_BLOCKED,
	SIM_IDENTITY,
	SIM_PAGING,
	SIM_NESTED,
	SIM_SVA,
};

/**
 * struct sim_domain - what an entry of a PASID table can point to
 * @domain: domain of the IOMMU core
 * @kind: enum sim_kind
 * @tag: tag of its translations in an IOTLB
 * @stage: configuration of the hardware (paging, nested)
 * @table: the page table (paging)
 * @cfg: configuration of the unit that it was allocated for (paging)
 * @dirty: allocated for dirty tracking (paging)
 * @nest_parent: allocated as a parent (paging)
 * @parent: stage 2 (nested)
 * @sibling: in @children of @parent, under its @lock (nested)
 * @lock: protects @attachments and @children; interrupts are disabled
 * @attachments: struct sim_entry
 * @children: nested domains
 * @mn: notifier of @mm (SVA)
 * @mm: address space of the process; NULL once it has exited (SVA)
 * @invalidating: number of invalidations in progress (SVA)
 */
struct sim_domain {
	struct iommu_domain domain;
	enum sim_kind kind;
	u32 tag;
	struct sim_stage stage;
	struct sim_table table;
	const struct sim_config *cfg;
	bool dirty;
	bool nest_parent;
	struct sim_domain *parent;
	struct list_head sibling;
	spinlock_t lock;
	struct list_head attachments;
	struct list_head children;
	struct mmu_notifier mn;
	struct mm_struct *mm;
	atomic_t invalidating;
};

static inline struct sim_domain *to_sim_domain(struct iommu_domain *domain)
{
	return container_of(domain, struct sim_domain, domain);
}

/**
 * struct sim_entry - an entry of an endpoint's PASID table
 * @sdev: the endpoint
 * @pasid: the PASID, or IOASID_SIM_RID for requests without PASID
 * @domain: the domain; never SIM_BLOCKED, which is an absent entry
 * @requests: page requests are accepted
 * @node: in sim_domain.attachments
 */
struct sim_entry {
	struct ioasid_sim_dev *sdev;
	u32 pasid;
	struct sim_domain *domain;
	bool requests;
	struct list_head node;
};

/* --- units and endpoints --- */

/**
 * struct sim_unit - an IOMMU
 * @iommu: IOMMU of the IOMMU core
 * @cfg: its configuration
 * @id: its number
 * @fwnode: leads from the endpoints to it
 * @lock: see the top of this file; interrupts are disabled
 * @iotlb: its IOTLB
 * @flushes: number of invalidations of @iotlb
 * @iopf: page request queue of the IOMMU core
 * @prq_mutex: see the top of this file
 * @ring_lock: protects @ring and @ring_used
 * @ring: struct sim_group, oldest first
 * @ring_used: number of records in @ring
 * @prq_wq: runs @prq_work
 * @prq_work: delivers the groups in @ring
 * @log_lock: protects @log, @log_dev and @log_seq; interrupts are disabled
 * @log_seq: number of the last fault
 * @log: the last faults
 * @log_dev: endpoint of each fault in @log
 * @endpoints: the endpoints, NULL for absent ones; under sim_mutex, except for
 *	units of tests
 * @debugfs: its directory
 */
struct sim_unit {
	struct iommu_device iommu;
	struct sim_config cfg;
	unsigned int id;
	struct fwnode_handle *fwnode;
	rwlock_t lock;
	struct sim_tlb iotlb;
	atomic64_t flushes;
	struct iopf_queue *iopf;
	struct mutex prq_mutex;
	spinlock_t ring_lock;
	struct list_head ring;
	unsigned int ring_used;
	struct workqueue_struct *prq_wq;
	struct work_struct prq_work;
	spinlock_t log_lock;
	u64 log_seq;
	struct ioasid_sim_fault log[SIM_LOG_SIZE];
	u32 log_dev[SIM_LOG_SIZE];
	struct ioasid_sim_dev **endpoints;
	struct dentry *debugfs;
};

/**
 * struct ioasid_sim_dev - an endpoint
 * @pdev: its device
 * @unit: its IOMMU
 * @index: its number within the unit
 * @entries: the PASID table: PASID -> struct sim_entry; changes under
 *	sim_unit.lock
 * @atc: the device TLB
 * @generation: counts resets; changes under sim_unit.lock for writing, but a
 *	page request is raised without that lock
 * @iopf_added: page requests can be delivered to the IOMMU core; changes under
 *	both sim_unit.prq_mutex and @pr_lock
 * @pr_lock: protects @groups, @credits_used and @outstanding
 * @groups: group id -> struct sim_group that waits for a response
 * @next_group: where the search for a free group id begins; under the lock of
 *	@groups
 * @credits_used: number of records that wait for a response; also read without
 *	@pr_lock
 * @outstanding: number of groups in @groups; also read without @pr_lock
 * @pr_off: a response was FAILURE: no page requests until the next reset. A flag
 *	that depends on nothing else, so it has no lock
 * @credit_wait: waiters for credits
 * @ops_lock: protects @ops and @ops_data; held for reading while a callback runs,
 *	which must not sleep: page requests are answered with spinlocks held
 * @ops: callbacks of the endpoint's driver, or NULL
 * @ops_data: argument of @ops
 * @counts: struct ioasid_sim_stats as atomics
 */
struct ioasid_sim_dev {
	struct platform_device pdev;
	struct sim_unit *unit;
	unsigned int index;
	struct xarray entries;
	struct sim_tlb atc;
	unsigned int generation;
	bool iopf_added;
	spinlock_t pr_lock;
	struct xarray groups;
	u32 next_group;
	unsigned int credits_used;
	unsigned int outstanding;
	bool pr_off;
	wait_queue_head_t credit_wait;
	rwlock_t ops_lock;
	const struct ioasid_sim_dev_ops *ops;
	void *ops_data;
	struct {
		atomic64_t dmas;
		atomic64_t ats_hits;
		atomic64_t iotlb_hits;
		atomic64_t walks;
		atomic64_t flushes;
		atomic64_t faults;
		atomic64_t requests;
		atomic64_t answers;
		atomic64_t late_answers;
		atomic64_t overflows;
	} counts;
};

static inline bool sim_has_ats(const struct ioasid_sim_dev *sdev)
{
	return !sdev->unit->cfg.no_ats;
}

static inline bool sim_has_pri(const struct ioasid_sim_dev *sdev)
{
	return sdev->unit->cfg.credits;
}

struct sim_unit *sim_unit_create(const struct sim_config *cfg, unsigned int id);
void sim_unit_destroy(struct sim_unit *unit);
int sim_unit_plug(struct sim_unit *unit);
void sim_unit_unplug(struct sim_unit *unit);
void sim_endpoint_quiesce(struct ioasid_sim_dev *sdev);

/* --- main.c --- */

/* Serialises adding and removing endpoints */
extern struct mutex sim_mutex;

/* --- debugfs.c --- */

void sim_debugfs_init(void);
void sim_debugfs_exit(void);
void sim_debugfs_add(struct sim_unit *unit);
void sim_debugfs_remove(struct sim_unit *unit);

/* --- pasid.c: PASID tables, and the flushes that a change needs --- */

int sim_attach(struct ioasid_sim_dev *sdev, u32 pasid, struct sim_domain *domain);
void sim_detach_all(struct ioasid_sim_dev *sdev);
void sim_flush(struct sim_domain *domain, u64 first, u64 last);

/* --- domain.c --- */

struct sim_domain *sim_domain_alloc(enum sim_kind kind, unsigned int type,
				    const struct iommu_domain_ops *ops);
void sim_domain_free(struct sim_domain *domain);
unsigned int sim_domain_count(void);
struct iommu_domain *sim_paging_create(const struct sim_config *cfg, u32 flags);
int sim_map_pages(struct iommu_domain *domain, unsigned long iova,
		  phys_addr_t pa, size_t pgsize, size_t pgcount, int prot,
		  gfp_t gfp, size_t *mapped);
size_t sim_unmap_pages(struct iommu_domain *domain, unsigned long iova,
		       size_t pgsize, size_t pgcount,
		       struct iommu_iotlb_gather *gather);
void sim_flush_iotlb_all(struct iommu_domain *domain);
void sim_iotlb_sync(struct iommu_domain *domain, struct iommu_iotlb_gather *gather);
int sim_iotlb_sync_map(struct iommu_domain *domain, unsigned long iova, size_t size);
phys_addr_t sim_iova_to_phys(struct iommu_domain *domain, dma_addr_t iova);
bool sim_enforce_cache_coherency(struct iommu_domain *domain);
int sim_set_dirty_tracking(struct iommu_domain *domain, bool enable);
int sim_read_and_clear_dirty(struct iommu_domain *domain, unsigned long iova,
			     size_t size, unsigned long flags,
			     struct iommu_dirty_bitmap *dirty);
void sim_free_paging(struct iommu_domain *domain);

/* --- nested.c --- */

struct iommu_domain *sim_alloc_nested(struct device *dev,
				      struct iommu_domain *parent, u32 flags,
				      const struct iommu_user_data *user_data);
struct iommu_domain *sim_nest(struct sim_domain *parent, u64 root, u64 flags);
int sim_cache_invalidate_user(struct iommu_domain *domain,
			      struct iommu_user_data_array *array);
void sim_free_nested(struct iommu_domain *domain);
void *sim_hw_info(struct device *dev, u32 *length, enum iommu_hw_info_type *type);

/* --- ops.c: what the IOMMU core calls --- */

extern const struct iommu_ops sim_iommu_ops;
extern const struct iommu_domain_ops sim_paging_ops;
extern const struct iommu_domain_ops sim_nested_ops;
extern const struct iommu_domain_ops sim_sva_ops;
extern const struct iommu_dirty_ops sim_dirty_ops;

/* --- sva.c --- */

struct iommu_domain *sim_alloc_sva(struct device *dev, struct mm_struct *mm);
void sim_free_sva(struct iommu_domain *domain);
enum ioasid_sim_reason sim_sva_walk(struct sim_domain *domain, u64 addr,
				    u32 access, struct sim_xlate *out);

/* --- prq.c --- */

int sim_prq_init(struct sim_unit *unit);
void sim_prq_destroy(struct sim_unit *unit);
int sim_request_wait(struct ioasid_sim_dev *sdev, u32 pasid, u64 addr,
		     u32 access, unsigned int generation);
void sim_prq_drain(struct ioasid_sim_dev *sdev, u32 pasid);
int sim_prq_cancel(struct ioasid_sim_dev *sdev, bool again);
int sim_prq_enable(struct ioasid_sim_dev *sdev);
void sim_page_response(struct device *dev, struct iopf_fault *evt,
		       struct iommu_page_response *msg);

/* --- dma.c --- */

enum ioasid_sim_reason sim_translate(struct ioasid_sim_dev *sdev, u32 pasid,
				     u64 iova, u32 access, struct sim_xlate *out,
				     struct sim_entry **entry);

#endif /* __IOASID_SIM_UNIT_H */
