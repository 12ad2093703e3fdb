/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The objects of the core, their locks, and the functions that its files share.
 * Calls go one way, command -> context -> device -> attach -> space -> domain
 * -> pages -> IOMMU core. A glue module must never include this file.
 *
 * Locks, outermost first. A function that relies on one says so with
 * lockdep_assert_held().
 *
 *   ioasid_queue.read_lock     readers of a fault queue; mmap_lock inside
 *   ioasid_file_info.lock      lock of a glue: open, close, reset of a device
 *   ioasid_ctx.lock            devices, attachments, PASIDs and bound queues of
 *                              a context
 *   (runtime PM)               a device is resumed before its group is locked
 *   ioasid_group.lock          devices and attachments of an IOMMU group, of
 *                              all contexts
 *   ioasid_space.rwsem         read: map, unmap; write: domains, attachments,
 *                              usable ranges; that of a parent before that of
 *                              a space nested in it
 *   (the IOMMU core's group mutex)
 *   mmap_lock                  taken by pinning, before rwsem, and by mm
 *                              accounting
 *   (the lock of an inode)     taken by pinning huge pages of a file, with none
 *                              of the others
 *   ioasid_space.merge_lock    of a parent: what it and its shadow spaces map
 *                              together
 *   ioasid_space.iova_lock     the tree of areas; never held while pinning. The
 *                              handler of page requests only tries it. That of a
 *                              shadow space after that of its parent
 *   ioasid_attachment.fault_lock  spinlock: where the page requests of an
 *                              attachment go
 *   ioasid_space.fault_lock    spinlock: the same for a space
 *   ioasid_queue.lock          spinlock: all of a fault queue
 *
 * The last three are on the way of page requests, for which all devices of an
 * IOMMU wait: they are spinlocks, held for a bounded number of instructions, so
 * that nobody can be preempted with one. The handler only tries iova_lock.
 *
 * Leaves, under which none of the others is taken:
 *
 *   ioasid_ctx.ledger_lock     payers, accounting mode
 *   ioasid_mm_pasid_lock       spinlock: PASIDs of processes (mm_pasid.c);
 *                              ioasid_mm_faults.lock inside
 *   ioasid_mm_faults.lock      spinlock: page requests of a process (mm_fault.c)
 *   ioasid_users_lock          spinlock: the table of users (account.c)
 *   ioasid_groups_lock         the list of groups (group.c)
 *   ioasid_resolvers_lock      the list of resolvers; held in their calls
 *   ioasid_domain.reporters_lock  spinlock, taken in interrupts: reporters of
 *                              unrecoverable faults, and their entries
 *   ioasid_deferred_free_lock  spinlock: attachments whose free is deferred
 *                              (attachment.c)
 *   the xarrays' own locks
 */
#ifndef __IOASID_PRIVATE_H
#define __IOASID_PRIVATE_H

#include <linux/iommu.h>
#include <linux/ioasid.h>
#include <linux/kref.h>
#include <linux/list.h>
#include <linux/mutex.h>
#include <linux/refcount.h>
#include <linux/rwsem.h>
#include <linux/spinlock.h>
#include <linux/workqueue.h>
#include <linux/xarray.h>
#include "account.h"
#include "compat/compat.h"
#include "pages.h"

struct dentry;
struct file;
struct folio;
struct ioasid_deferred;
struct ioasid_domain;
struct ioasid_dev_pasid;
struct ioasid_fault_record;
struct ioasid_mm_bond;
struct ioasid_mm_pasid;
struct ioasid_nest;
struct ioasid_queue;
struct ioasid_space;
struct mm_struct;
struct page;
struct seq_file;

/**
 * struct ioasid_ctx - one open of /dev/ioasid
 * @ref: held by the file, by each fault queue and by glues
 * @nr: number of the context in traces and debugfs
 * @lock: protects devices, attachments and PASIDs; see the top of this file
 * @spaces: ioasid -> struct ioasid_space
 * @next_space: where the search for a free ioasid begins
 * @devices: dev_id -> struct ioasid_device
 * @next_device: where the search for a free dev_id begins
 * @device_list: the same devices, to search them faster
 * @account_mode: enum ioasid_account_mode
 * @ledger_lock: protects @payers, @payer and @account_mode
 * @payers: struct ioasid_payer with pages pinned through this context
 * @payer: the latest payer; referenced
 * @pinned: number of pages pinned
 * @user: who has opened it, and is charged for what it has
 * @used: how much of each enum ioasid_quota it has
 * @deferred: what is deferred of it; referenced
 * @nr_spaces: number of spaces
 * @nr_devices: number of devices
 * @pasids: PASID -> struct ioasid_pasid
 * @mm_pasids: struct ioasid_mm_pasid, PASIDs of processes that it is charged for
 * @queues: queue_id -> struct ioasid_queue
 * @next_queue: where the search for a free queue_id begins
 * @nr_records: number of records that fit into all its queues
 * @opener: thread group id of the process that opened it, for debugfs
 * @debugfs: its directory
 */
struct ioasid_ctx {
	struct kref ref;
	u32 nr;
	struct mutex lock;
	struct xarray spaces;
	u32 next_space;
	struct xarray devices;
	u32 next_device;
	struct list_head device_list;
	u32 account_mode;
	struct mutex ledger_lock;
	struct list_head payers;
	struct ioasid_payer *payer;
	atomic64_t pinned;
	struct ioasid_user *user;
	atomic64_t used[IOASID_NR_QUOTAS];
	struct ioasid_deferred *deferred;
	atomic_t nr_spaces;
	u32 nr_devices;
	struct xarray pasids;
	struct list_head mm_pasids;
	struct xarray queues;
	u32 next_queue;
	atomic_t nr_records;
	pid_t opener;
	struct dentry *debugfs;
};

/**
 * struct ioasid_domain - a page table behind a space
 * @link: in ioasid_space.domains
 * @ref: held by the space or by what its last attachment has left, and by the
 *	domains that are nested in it
 * @base: the domain of the parent that it is nested in, referenced; or NULL
 * @domain: domain of the IOMMU core
 * @user: who is charged for it; referenced
 * @tables: number of pages of page tables that are left in it, about, once it is
 *	unfilled
 * @users: number of attachments, and of domains nested in it that have some
 * @enforced: the IOMMU forces DMA to be cache coherent
 * @reports_unlocked: the IOMMU driver may still report a fault after a detach
 * @reporters_lock: protects @reporters and their entries; taken in interrupts
 * @reporters: struct ioasid_unrecoverable of the devices that use it
 */
struct ioasid_domain {
	struct list_head link;
	refcount_t ref;
	struct ioasid_domain *base;
	struct iommu_domain *domain;
	struct ioasid_user *user;
	u32 tables;
	u32 users;
	bool enforced;
	bool reports_unlocked;
	spinlock_t reporters_lock;
	struct list_head reporters;
};

/**
 * struct ioasid_leftovers - tables that are left in a domain whose areas are unmapped
 * @seen: number of the last one of each level, plus 1
 * @tables: number of tables, about
 */
struct ioasid_leftovers {
	u64 seen[2];
	u32 tables;
};

/**
 * struct ioasid_space_ops - operations of a kind of space
 * @name: name of the kind in debugfs
 * @no_map: extack sentence why nothing can be mapped, or NULL if it can
 * @no_queue: extack sentence why it cannot have a queue, or NULL if it can
 * @check: checks the parameters of a new space. Returns 0, -EOPNOTSUPP or
 *	-EINVAL
 * @init: initialises a new space before it is published; or NULL. Returns 0 or
 *	an error, and then @destroy is not called
 * @empty: unpins all memory once the id is released and no device or domain is
 *	left; or NULL. Can be called more than once
 * @destroy: undoes @init; or NULL
 * @alloc: allocates a domain nested in one of the parent, for a kind with a
 *	parent; rwsem is held for writing. Returns ERR_PTR of an error of the IOMMU
 *	driver, with or without a reason
 * @map_area: maps an area in all domains of the space, or in none; rwsem is held.
 *	NULL for areas with memory of their own
 * @unmap_areas: undoes it for several, and flushes; cannot fail
 * @fill: maps the contents of the space in a domain that no device uses yet;
 *	rwsem is held for writing
 * @unfill: prepares a domain to be freed; rwsem is held for writing
 * @attach: attaches a device and returns the PASID, for a kind whose page table
 *	and PASID are the IOMMU core's; NULL for a kind with domains of ours,
 *	which are attached to a RID or any PASID
 * @detach: undoes @attach; cannot fail
 */
struct ioasid_space_ops {
	const char *name;
	const char *no_map;
	const char *no_queue;
	int (*check)(const struct ioasid_space_params *params,
		     struct ioasid_extack *extack);
	int (*init)(struct ioasid_space *space,
		    const struct ioasid_space_params *params,
		    struct ioasid_extack *extack);
	void (*empty)(struct ioasid_space *space);
	void (*destroy)(struct ioasid_space *space);
	struct iommu_domain *(*alloc)(struct ioasid_space *space,
				      struct device *dev,
				      struct ioasid_domain *base,
				      struct ioasid_extack *extack);
	int (*map_area)(struct ioasid_space *space, struct ioasid_area *area,
			struct ioasid_extack *extack);
	void (*unmap_areas)(struct ioasid_space *space,
			    struct ioasid_area **area, u32 nr);
	int (*fill)(struct ioasid_space *space, struct ioasid_domain *domain,
		    struct ioasid_extack *extack);
	void (*unfill)(struct ioasid_space *space, struct ioasid_domain *domain);
	int (*attach)(struct ioasid_space *space,
		      struct ioasid_dev_pasid *dev_pasid, u32 *pasid,
		      struct ioasid_extack *extack);
	void (*detach)(struct ioasid_dev_pasid *dev_pasid);
};

/**
 * struct ioasid_object - an object that is looked up by its id without a lock
 * @ref: held by the id, by commands in progress, and by other users
 * @rcu: delays the free until no lookup can be using it
 */
struct ioasid_object {
	struct kref ref;
	struct rcu_head rcu;
};

/**
 * struct ioasid_space - an I/O address space
 * @obj: its references; the first member, since the table of ids points to it
 * @ctx: the context; outlives its spaces
 * @id: ioasid
 * @kind: enum ioasid_kind
 * @ops: operations of its kind
 * @mm: address space of a process, of an mm space; mm_count is held
 * @mm_pasid: the charge for the PASID of @mm; NULL before the first attach
 * @parent: the space that it is nested in; referenced; or NULL
 * @nest: what the user said about the page table of a nested space
 * @nest_parent: other spaces can be nested in it
 * @nr_children: number of spaces nested in it that are not freed
 * @nested: struct ioasid_attachment of spaces nested in it
 * @merge_lock: protects @shadows, @links of these, and @merged of its areas
 * @shadows: shadow spaces of which it is the parent
 * @shadow_link: in @shadows of the parent
 * @links: struct ioasid_shadow_area of a shadow space, by IOVA of the parent
 * @nr_slices: how often they meet mappings of the parent; under its merge_lock
 * @faults: devices may send page requests
 * @fault_lock: protects @queue and @policy, which change under ioasid_ctx.lock
 * @queue: queue of its faults, or NULL
 * @policy: enum ioasid_fault_policy
 * @has_queue: a queue is, or was, bound to it or to one of its attachments
 * @label: the user's label
 * @rwsem: see the top of this file
 * @dead: freed; commands that still have a reference fail with -ENOENT
 * @iova_lock: protects @areas and the state of each area
 * @areas: struct ioasid_area, by IOVA
 * @nr_areas: number of areas in @areas
 * @hint: no free range of @hint_need bytes begins below; under iova_lock, or
 *	rwsem for writing
 * @hint_need: see @hint
 * @domains: struct ioasid_domain
 * @attachments: struct ioasid_attachment
 * @nr_domains: number of @domains
 * @nr_devices: number of devices attached
 * @usable: ranges that can be mapped, ascending
 * @nr_usable: number of @usable
 * @max_usable: room in @usable; enough to remove constraints in any order
 * @reserved: ranges that the user has reserved
 * @nr_reserved: number of @reserved
 * @nr_mappings: number of areas that are READY
 * @mapped: number of pages mapped
 * @pinned: number of pages that were first mapped in this space
 */
struct ioasid_space {
	struct ioasid_object obj;
	struct ioasid_ctx *ctx;
	u32 id;
	u32 kind;
	const struct ioasid_space_ops *ops;
	struct mm_struct *mm;
	struct ioasid_mm_pasid *mm_pasid;
	struct ioasid_space *parent;
	struct ioasid_nest *nest;
	bool nest_parent;
	atomic_t nr_children;
	struct list_head nested;
	struct mutex merge_lock;
	struct list_head shadows;
	struct list_head shadow_link;
	struct rb_root_cached links;
	u32 nr_slices;
	bool faults;
	spinlock_t fault_lock;
	struct ioasid_queue *queue;
	u32 policy;
	bool has_queue;
	char label[sizeof_field(struct ioasid_alloc, label)];
	struct rw_semaphore rwsem;
	bool dead;
	struct mutex iova_lock;
	struct rb_root areas;
	u32 nr_areas;
	u64 hint;
	u64 hint_need;
	struct list_head domains;
	struct list_head attachments;
	u32 nr_domains;
	u32 nr_devices;
	struct ioasid_iova_range *usable;
	u32 nr_usable;
	u32 max_usable;
	struct ioasid_iova_range *reserved;
	u32 nr_reserved;
	atomic64_t nr_mappings;
	atomic64_t mapped;
	atomic64_t pinned;
};

/**
 * ioasid_space_has_domains() - check whether the page tables are ours
 * @space: the space
 *
 * Context: any.
 *
 * Return: false if the IOMMU core keeps the only page table of the space.
 */
static inline bool ioasid_space_has_domains(const struct ioasid_space *space)
{
	return !space->ops->attach;
}

/**
 * struct ioasid_regions - IOVA that the devices of a group cannot use
 * @ref: held by the group and by its attachments
 * @nr: number of @range
 * @range: whole pages, in any order, and possibly twice
 */
struct ioasid_regions {
	refcount_t ref;
	u32 nr;
	struct ioasid_iova_range range[];
};

/**
 * struct ioasid_group - the attachments of one IOMMU group
 * @link: in the list of all groups
 * @users: number of bound devices, of all contexts
 * @group: IOMMU group; referenced
 * @lock: protects @devices, @regions, @table, and the dev_pasids of its
 *	attachments
 * @devices: struct ioasid_device, of all contexts
 * @regions: what the IOMMU driver told when the last device was bound; NULL
 *	before the first
 * @table: PASID or IOASID_RID -> struct ioasid_attachment
 */
struct ioasid_group {
	struct list_head link;
	u32 users;
	struct iommu_group *group;
	struct mutex lock;
	struct list_head devices;
	struct ioasid_regions *regions;
	struct xarray table;
};

/**
 * enum ioasid_fault_state - what becomes of the page requests of an attachment
 * @IOASID_ATTACHING: hardware may know it already: they wait for the outcome
 * @IOASID_ATTACHED: they go to the queue or to the policy
 * @IOASID_REPLACED: another attachment has taken its place: they are answered
 *	SUCCESS, so that the device asks again; nothing else of it may be used
 * @IOASID_DETACHED: they are answered INVALID; nothing else of it may be used
 */
enum ioasid_fault_state {
	IOASID_ATTACHING,
	IOASID_ATTACHED,
	IOASID_REPLACED,
	IOASID_DETACHED,
};

/**
 * struct ioasid_attachment - (group, RID or PASID) -> space
 * @space_link: in ioasid_space.attachments
 * @parent_link: in ioasid_space.nested of the parent of @space
 * @dev_pasids: struct ioasid_dev_pasid of the devices of the group that share
 *	it; changes under ioasid_group.lock and @fault_lock
 * @group: the group
 * @space: the space; referenced
 * @domain: domain of the space that the group uses, or NULL if not one of ours
 * @orphan: domain without other users, to be freed with the attachment, or NULL
 * @deferred: what counts it while its free is deferred; referenced
 * @pasid: PASID or IOASID_RID
 * @fault_lock: protects @dev_pasids, @fault_state, @parked and @queue
 * @fault_state: what becomes of its page requests
 * @parked: struct iopf_group that came while it was IOASID_ATTACHING
 * @queue: queue of its faults, instead of that of the space; or NULL; changes
 *	under ioasid_ctx.lock
 * @deferred_since: when its free was deferred, in jiffies; 0 if it was not
 * @handle: handle in the IOMMU core; each attach needs a new one
 * @regions: IOVA that the devices of the group cannot use; referenced; NULL if
 *	the page table is not one of ours
 * @iommu: the IOMMU of the group's devices; only compared
 * @refused: a driver has refused to replace, and may have blocked the devices
 */
struct ioasid_attachment {
	struct list_head space_link;
	struct list_head parent_link;
	struct list_head dev_pasids;
	struct ioasid_group *group;
	struct ioasid_space *space;
	struct ioasid_domain *domain;
	struct ioasid_domain *orphan;
	struct ioasid_deferred *deferred;
	u32 pasid;
	spinlock_t fault_lock;
	enum ioasid_fault_state fault_state;
	struct list_head parked;
	struct ioasid_queue *queue;
	unsigned long deferred_since;
	struct iommu_attach_handle handle;
	struct ioasid_regions *regions;
	const struct iommu_device *iommu;
	bool refused;
};

/**
 * struct ioasid_file_ref - reference to the file that a device was bound by
 * @file: referenced; NULL if a glue has bound the device
 * @resolver: resolver of the file; its module is referenced
 * @info: result of the resolver
 * @stay: the device stays bound while it is attached to nothing
 */
struct ioasid_file_ref {
	struct file *file;
	struct ioasid_resolver *resolver;
	struct ioasid_file_info info;
	bool stay;
};

/**
 * struct ioasid_device - a device that is bound to a context
 * @node: in ioasid_ctx.device_list
 * @group_node: in ioasid_group.devices
 * @ctx: the context
 * @id: dev_id
 * @dev: the device; kept alive by the glue until sva_remove_device(), or by the
 *	file in @file_ref
 * @file_ref: the file that it was bound by, if any; under ioasid_ctx.lock
 * @exclusive: bound by a file, so to no other context; under ioasid_group.lock,
 *	since other contexts check it
 * @group: its group
 * @dev_pasids: user's number for the PASID, or IOASID_RID -> struct
 *	ioasid_dev_pasid
 * @nr_iopf: number of attachments that need page requests
 * @nr_sva: number of attachments to the address space of a process
 * @owner: name of the framework
 * @cookie: the user's number for the device, from the command that bound it
 */
struct ioasid_device {
	struct list_head node;
	struct list_head group_node;
	struct ioasid_ctx *ctx;
	u32 id;
	struct device *dev;
	struct ioasid_file_ref file_ref;
	bool exclusive;
	struct ioasid_group *group;
	struct xarray dev_pasids;
	u32 nr_iopf;
	u32 nr_sva;
	const char *owner;
	u64 cookie;
};

#define IOASID_UNRECOVERABLE_ENTRIES 8

/**
 * struct ioasid_unrecoverable - unrecoverable faults not yet in a queue
 * @node: in ioasid_domain.reporters
 * @work: makes records of @entries
 * @nr: number of @entries
 * @lost_events: number of later faults, for which there was no entry
 * @entries: address and IOASID_FAULT_* of each fault; @several: as in
 *	ioasid_fault_report_event()
 */
struct ioasid_unrecoverable {
	struct list_head node;
	struct work_struct work;
	u32 nr;
	u32 lost_events;
	struct {
		u64 addr;
		u32 flags;
		bool several;
	} entries[IOASID_UNRECOVERABLE_ENTRIES];
};

/**
 * struct ioasid_dev_pasid - attachment of one device
 * @node: in ioasid_attachment.dev_pasids
 * @idev: the device
 * @att: the attachment, which devices of the group share
 * @sva: bond of the IOMMU core, of an mm space
 * @bond: our part of it, which all attachments of the device to the process share
 * @iopf: it counts in ioasid_device.nr_iopf
 * @vpasid: the user's number: virtual PASID, PASID or IOASID_RID
 * @cookie: the user's number of the attachment, for its records
 * @iopf_off: the replacing space turns page requests off, which is no reset
 * @unrecoverable: its unrecoverable faults
 */
struct ioasid_dev_pasid {
	struct list_head node;
	struct ioasid_device *idev;
	struct ioasid_attachment *att;
	struct iommu_sva *sva;
	struct ioasid_mm_bond *bond;
	bool iopf;
	u32 vpasid;
	u64 cookie;
	bool iopf_off;
	struct ioasid_unrecoverable unrecoverable;
};

/**
 * struct ioasid_attach_request - parameters of an attach
 * @ioasid: the space
 * @pasid: IOASID_RID, a PASID of the context, or IOASID_PASID_ANY
 * @vpasid: the user's number for the PASID, or 0 to use the PASID itself
 * @replace: replace the present space
 * @cookie: the user's number for records, or 0 for that of the device, or of
 *	what is replaced
 * @key: out: the user's number: @vpasid, or the PASID
 */
struct ioasid_attach_request {
	u32 ioasid;
	u32 pasid;
	u32 vpasid;
	bool replace;
	u64 cookie;
	u32 key;
};

/**
 * struct ioasid_map_job - a MAP or COPY in progress
 * @ctx: the context
 * @space: the destination while the areas are placed in it; locked for reading
 *	and referenced
 * @r: ranges of a MAP
 * @area: their areas
 * @nr: number of @area
 * @charged: mappings charged to the context
 * @one: avoids an allocation for a single area
 *
 * So that an answer can be written while everything can still be undone:
 * begin, place, then commit; or unplace, and place again or abort.
 */
struct ioasid_map_job {
	struct ioasid_ctx *ctx;
	struct ioasid_space *space;
	struct ioasid_map_range *r;
	struct ioasid_area **area;
	u32 nr;
	u32 charged;
	struct ioasid_area *one;
};

/* main.c */
extern const struct file_operations ioasid_fops;

/* context.c */
struct ioasid_ctx *ioasid_ctx_create(void);
void ioasid_ctx_close(struct ioasid_ctx *ctx);
void ioasid_ctx_put(struct ioasid_ctx *ctx);

/* ids.c */
int ioasid_id_alloc(struct xarray *table, u32 *next, u32 *id, void *entry);
struct ioasid_space *ioasid_space_get(struct ioasid_ctx *ctx, u32 id,
				      struct ioasid_extack *extack);
struct ioasid_device *ioasid_device_by_id(struct ioasid_ctx *ctx, u32 id,
					  struct ioasid_extack *extack);
struct ioasid_dev_pasid *ioasid_dev_pasid_find(struct ioasid_device *idev,
					       u32 vpasid);
struct ioasid_dev_pasid *
ioasid_dev_pasid_by_vpasid(struct ioasid_device *idev, u32 vpasid,
			   struct ioasid_extack *extack);
struct ioasid_queue *ioasid_queue_try(struct ioasid_ctx *ctx, u32 id);
struct ioasid_queue *ioasid_queue_get(struct ioasid_ctx *ctx, u32 id,
				      struct ioasid_extack *extack);

/* space.c */
int ioasid_check_no_data(const struct ioasid_space_params *params,
			 struct ioasid_extack *extack);
struct ioasid_space *
ioasid_space_create(struct ioasid_ctx *ctx,
		    const struct ioasid_space_params *params,
		    struct ioasid_extack *extack);
void ioasid_space_publish(struct ioasid_space *space);
void ioasid_space_abort(struct ioasid_space *space);
int ioasid_space_delete(struct ioasid_ctx *ctx, u32 id,
			struct ioasid_extack *extack);
void ioasid_space_put(struct ioasid_space *space);
struct ioasid_space *ioasid_space_scratch(struct ioasid_extack *extack);
struct ioasid_space *ioasid_space_get_read(struct ioasid_ctx *ctx, u32 id,
					   struct ioasid_extack *extack);
struct ioasid_space *ioasid_space_get_read_mapped(struct ioasid_ctx *ctx,
						  u32 id,
						  struct ioasid_extack *extack);
struct ioasid_space *ioasid_space_get_nested(struct ioasid_ctx *ctx, u32 id,
					     struct ioasid_extack *extack);
void ioasid_space_put_read(struct ioasid_space *space);
int ioasid_space_lock(struct ioasid_space *space, struct ioasid_extack *extack);
void ioasid_space_unlock(struct ioasid_space *space);
int ioasid_space_lock_both(struct ioasid_space *space,
			   struct ioasid_extack *extack);
void ioasid_space_lock_both_always(struct ioasid_space *space);
void ioasid_space_unlock_both(struct ioasid_space *space);
int ioasid_space_set_parent(struct ioasid_space *space, u32 id,
			    const char *(*why_not)(struct ioasid_space *parent),
			    struct ioasid_extack *extack);
int ioasid_space_release_id(struct ioasid_space *space,
			    struct ioasid_extack *extack);
struct ioasid_iova_range *ioasid_space_usable(struct ioasid_space *space,
					      u32 *nr,
					      struct ioasid_extack *extack);
int ioasid_space_reserve(struct ioasid_ctx *ctx, u32 id,
			 struct ioasid_iova_range **ranges, u32 nr,
			 struct ioasid_extack *extack);

/* mapped.c */
extern const struct ioasid_space_ops ioasid_mapped_ops;
int ioasid_check_vector(u32 nr, struct ioasid_extack *extack);
int ioasid_map_begin(struct ioasid_map_job *job, struct ioasid_ctx *ctx,
		     struct ioasid_map_range *r, u32 nr,
		     struct ioasid_extack *extack);
int ioasid_map_place(struct ioasid_map_job *job, u32 ioasid,
		     struct ioasid_extack *extack);
void ioasid_map_commit(struct ioasid_map_job *job);
void ioasid_map_unplace(struct ioasid_map_job *job);
void ioasid_map_abort(struct ioasid_map_job *job);
int ioasid_map_ranges(struct ioasid_ctx *ctx, u32 ioasid,
		      struct ioasid_map_range *r, u32 nr,
		      struct ioasid_extack *extack);
int ioasid_unmap_ranges(struct ioasid_ctx *ctx, u32 ioasid,
			const struct ioasid_unmap_range *r, u32 nr, u32 flags,
			u64 *unmapped, struct ioasid_extack *extack);
int ioasid_unmap_all(struct ioasid_ctx *ctx, u32 ioasid, u64 *unmapped,
		     struct ioasid_extack *extack);
int ioasid_copy_begin(struct ioasid_map_job *job, struct ioasid_ctx *ctx,
		      const struct ioasid_copy *arg,
		      struct ioasid_extack *extack);
int ioasid_copy_place(struct ioasid_map_job *job, struct ioasid_copy *arg,
		      struct ioasid_extack *extack);
int ioasid_translate(struct ioasid_ctx *ctx, struct ioasid_translate *arg,
		     struct ioasid_extack *extack);
void ioasid_mapped_empty(struct ioasid_space *space);

/* nested.c, see nested.h */
extern const struct ioasid_space_ops ioasid_nested_ops;

/* shadow.c */
extern const struct ioasid_space_ops ioasid_shadow_ops;
struct ioasid_area *ioasid_shadow_area_alloc(const struct ioasid_map_range *r,
					     struct ioasid_extack *extack);
int ioasid_shadows_join(struct ioasid_space *space, struct ioasid_area *area,
			struct ioasid_extack *extack);
void ioasid_shadows_leave(struct ioasid_space *space,
			  struct ioasid_area **area, u32 nr);

/* mm.c */
bool ioasid_mm_enabled(void);
extern const struct ioasid_space_ops ioasid_mm_ops;

/* mm_pasid.c */
struct ioasid_mm_pasid *ioasid_mm_pasid_get(struct ioasid_ctx *ctx,
					    struct mm_struct *mm,
					    struct ioasid_extack *extack);
void ioasid_mm_pasid_put(struct ioasid_mm_pasid *p);
bool ioasid_mm_pasid_reap_one(void);
int ioasid_charge_pasid(struct ioasid_ctx *ctx, struct ioasid_extack *extack);
void ioasid_mm_pasids_end_ctx(struct ioasid_ctx *ctx);
void ioasid_mm_pasids_teardown(void);

/* iova.c */
int ioasid_iova_init(struct ioasid_space *space);
void ioasid_iova_destroy(struct ioasid_space *space);
int ioasid_iova_place(struct ioasid_space *space, u64 *iova, u64 length,
		      bool fixed, struct ioasid_extack *extack);
int ioasid_iova_insert(struct ioasid_space *space, struct ioasid_area *area,
		       struct ioasid_extack *extack);
void ioasid_iova_erase(struct ioasid_space *space, struct ioasid_area *area);
void ioasid_iova_clear(struct ioasid_space *space);
struct ioasid_area *ioasid_iova_first(struct ioasid_space *space, u64 first,
				      u64 last);
struct ioasid_area *ioasid_iova_next(struct ioasid_area *area);
int ioasid_iova_make_room(struct ioasid_space *space, u32 more);
void ioasid_iova_update(struct ioasid_space *space);
int ioasid_iova_reserve(struct ioasid_space *space,
			struct ioasid_iova_range **ranges, u32 nr,
			struct ioasid_extack *extack);
u32 ioasid_iova_access_locked(struct ioasid_space *space, u64 addr);
u32 ioasid_iova_access(struct ioasid_space *space, u64 addr);

/* domain.c */
void ioasid_domain_put(struct ioasid_domain *domain);
bool ioasid_domain_suits(struct ioasid_domain *d, struct device *dev);
void ioasid_unmap_areas(struct ioasid_space *space, struct ioasid_area **area,
			u32 nr);
int ioasid_map_area(struct ioasid_space *space, struct ioasid_area *area,
		    struct ioasid_extack *extack);
void ioasid_count_leftovers(const struct ioasid_area *area,
			    struct ioasid_leftovers *left);
bool ioasid_domain_must_be_emptied(struct ioasid_space *space,
				   const struct ioasid_domain *domain);
void ioasid_domain_unmap(struct iommu_domain *domain,
			 const struct ioasid_area *area,
			 struct iommu_iotlb_gather *gather);
int ioasid_check_aperture(struct ioasid_domain *domain,
			  const struct ioasid_area *area,
			  struct ioasid_extack *extack);
int ioasid_domain_fill(struct ioasid_space *space, struct ioasid_domain *domain,
		       struct ioasid_extack *extack);
void ioasid_domain_unfill(struct ioasid_space *space,
			  struct ioasid_domain *domain);

/* group.c */
struct ioasid_group *ioasid_group_get(struct iommu_group *group);
void ioasid_group_put(struct ioasid_group *g);
struct ioasid_regions *ioasid_regions_get(struct ioasid_regions *r);
void ioasid_regions_put(struct ioasid_regions *r);
bool ioasid_regions_equal(const struct ioasid_regions *a,
			  const struct ioasid_regions *b);
int ioasid_group_update_regions(struct ioasid_group *g);
struct ioasid_iova_range *ioasid_group_ranges(struct ioasid_device *idev,
					      u32 *nr,
					      struct ioasid_extack *extack);

/* attachment.c */
struct ioasid_attachment *ioasid_attachment_alloc(struct ioasid_group *g,
						  struct ioasid_extack *extack);
bool ioasid_space_may_report(struct ioasid_space *space);
void ioasid_attachment_free(struct ioasid_attachment *att);
void ioasid_attachment_free_deferred(struct ioasid_attachment *att);
struct ioasid_deferred *ioasid_deferred_new(struct ioasid_user *user);
struct ioasid_deferred *ioasid_deferred_get(struct ioasid_deferred *deferred);
void ioasid_deferred_put(struct ioasid_deferred *deferred);
int ioasid_deferred_free_throttle(struct ioasid_deferred *deferred,
				  struct ioasid_extack *extack);
bool ioasid_deferred_free_wait(void);
void ioasid_deferred_free_flush(void);
void ioasid_deferred_free_teardown(void);

/* attach.c */
struct ioasid_domain *ioasid_domain_create(struct ioasid_space *space,
					   struct device *dev,
					   struct ioasid_domain *base,
					   struct ioasid_extack *extack);
int ioasid_device_attach(struct ioasid_device *idev,
			 struct ioasid_attach_request *req,
			 struct ioasid_extack *extack);
int ioasid_devices_attach(struct ioasid_device **idevs, u32 nr,
			  struct ioasid_attach_request *req,
			  struct ioasid_extack *extack);
void ioasid_dev_pasid_detach(struct ioasid_dev_pasid *dev_pasid);

/* device.c */
int ioasid_device_bind(struct ioasid_ctx *ctx, struct device *dev,
		       const struct ioasid_attach_params *params,
		       const struct ioasid_file_ref *file_ref, u32 *dev_id,
		       struct ioasid_extack *extack);
int ioasid_device_unbind_idle(struct ioasid_ctx *ctx, struct device *dev,
			      struct ioasid_extack *extack);
int ioasid_device_unbind(struct ioasid_ctx *ctx, struct device *dev,
			 struct ioasid_extack *extack);
int ioasid_unbind_by_id(struct ioasid_ctx *ctx, u32 dev_id,
			struct ioasid_extack *extack);
void ioasid_device_remove(struct ioasid_ctx *ctx, struct device *dev);
void ioasid_unbind_files(struct ioasid_ctx *ctx);
int ioasid_device_register(struct ioasid_ctx *ctx, u32 pasid,
			   struct device *dev,
			   const struct ioasid_attach_params *params,
			   bool replace, const struct ioasid_file_ref *file_ref,
			   struct ioasid_extack *extack);
int ioasid_device_unregister(struct ioasid_ctx *ctx, u32 pasid,
			     struct device *dev, struct ioasid_extack *extack);
int ioasid_attach_by_id(struct ioasid_ctx *ctx, u32 dev_id,
			struct ioasid_attach_request *req,
			struct ioasid_extack *extack);
int ioasid_attach_by_ids(struct ioasid_ctx *ctx, const u32 *ids, u32 nr,
			 struct ioasid_attach_request *req,
			 struct ioasid_extack *extack);
int ioasid_detach_by_id(struct ioasid_ctx *ctx, u32 dev_id, u32 pasid,
			struct ioasid_extack *extack);
void ioasid_device_show(struct seq_file *m, struct ioasid_ctx *ctx);

/* device_fd.c */
bool ioasid_resolver_exists(void);
int ioasid_file_ref_begin(struct ioasid_file_ref *file_ref, int fd,
			  struct ioasid_extack *extack);
void ioasid_file_ref_end(struct ioasid_file_ref *file_ref);
void ioasid_file_ref_copy(struct ioasid_file_ref *to,
			  const struct ioasid_file_ref *from);
void ioasid_file_ref_put(struct ioasid_file_ref *file_ref);

/* pin.c */
int ioasid_pin_wait(u32 try, unsigned int order, u64 at,
		    struct ioasid_extack *extack);
int ioasid_pin_user_again(int rc, u64 addr, u32 nr, unsigned int gup,
			  struct page **page, struct ioasid_extack *extack);
long ioasid_pin_file_folios(struct file *file, u64 start, u64 end,
			    struct folio **folio, u32 max, pgoff_t *offset,
			    struct ioasid_extack *extack);

/* pin_huge.c */
#ifdef CONFIG_HUGETLBFS
long ioasid_pin_huge_folios(struct file *file, u64 start, u64 end,
			    struct folio **folio, u32 max, pgoff_t *offset,
			    struct ioasid_extack *extack);
#else
static inline long ioasid_pin_huge_folios(struct file *file, u64 start, u64 end,
					  struct folio **folio, u32 max,
					  pgoff_t *offset,
					  struct ioasid_extack *extack)
{
	return -EINVAL;
}
#endif

/* pasid.c */
bool ioasid_pasid_enabled(struct device *dev);
int ioasid_pasid_choose(struct ioasid_device *idev, struct ioasid_space *space,
			struct ioasid_attach_request *req,
			struct ioasid_extack *extack);
void ioasid_pasid_get(struct ioasid_ctx *ctx, u32 pasid);
void ioasid_pasid_put(struct ioasid_ctx *ctx, u32 pasid);
void ioasid_pasid_free_all(struct ioasid_ctx *ctx);
int ioasid_pasids_alloc(struct ioasid_ctx *ctx, u32 dev_id, u32 *pasids, u32 nr,
			struct ioasid_extack *extack);
void ioasid_pasids_drop(struct ioasid_ctx *ctx, const u32 *pasids, u32 nr);
int ioasid_pasids_free(struct ioasid_ctx *ctx, const u32 *pasids, u32 nr,
		       struct ioasid_extack *extack);

/* fault.c */
int ioasid_iopf_get(struct ioasid_device *idev);
void ioasid_iopf_put(struct ioasid_device *idev);
void ioasid_fault_prepare(struct ioasid_space *space,
			  struct iommu_domain *domain);
void ioasid_fault_report_event(struct ioasid_dev_pasid *dev_pasid,
			       const struct ioasid_fault_record *record,
			       bool several);
void ioasid_fault_init(struct ioasid_attachment *att);
void ioasid_fault_begin(struct ioasid_dev_pasid *dev_pasid);
void ioasid_fault_fail(struct ioasid_attachment *att);
void ioasid_fault_move(struct ioasid_dev_pasid *dev_pasid, bool off);
void ioasid_fault_unmove(struct ioasid_dev_pasid *dev_pasid);
void ioasid_fault_end(struct ioasid_dev_pasid *dev_pasid, u32 code);
void ioasid_fault_report_detached(struct ioasid_dev_pasid *dev_pasid);
int ioasid_fault_bind_space(struct ioasid_ctx *ctx, u32 ioasid, u32 policy,
			    struct ioasid_queue *q,
			    struct ioasid_extack *extack);
int ioasid_fault_bind_dev_pasid(struct ioasid_ctx *ctx, u32 dev_id, u32 pasid,
				struct ioasid_queue *q,
				struct ioasid_extack *extack);

/* queue.c */
void ioasid_queue_put(struct ioasid_queue *q);
void ioasid_fault_unbind(struct ioasid_space *space);

/* unrecoverable.c */
void ioasid_unrecoverable_prepare(struct ioasid_domain *d, struct device *dev);
void ioasid_unrecoverable_init(struct ioasid_dev_pasid *dev_pasid);
void ioasid_unrecoverable_begin(struct ioasid_dev_pasid *dev_pasid);
void ioasid_unrecoverable_end(struct ioasid_dev_pasid *dev_pasid);

/* debugfs.c */
void ioasid_debugfs_setup(void);
void ioasid_debugfs_teardown(void);
void ioasid_debugfs_add(struct ioasid_ctx *ctx);
void ioasid_debugfs_remove(struct ioasid_ctx *ctx);

#endif /* __IOASID_PRIVATE_H */
