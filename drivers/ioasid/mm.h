/* SPDX-License-Identifier: GPL-2.0 */
/*
 * What the files of mm spaces share: the charge for the PASID of a process
 * (mm_pasid.c), and its page requests (mm_fault.c). No other file may access
 * the members.
 */
#ifndef __IOASID_MM_H
#define __IOASID_MM_H

#include <linux/iommu.h>
#include <linux/list.h>
#include <linux/spinlock.h>
#include <linux/workqueue.h>
#include "ioasid_private.h"

/* Page requests of a process that are resolved at the same time */
#define IOASID_MM_WORKERS	8

/**
 * struct ioasid_mm_bond - a device that uses the memory of a process
 * @node: in ioasid_mm_faults.bonds
 * @faults: page requests of the process
 * @dev: the device
 * @users: number of its attachments; none are left while the last one ends
 */
struct ioasid_mm_bond {
	struct list_head node;
	struct ioasid_mm_faults *faults;
	struct device *dev;
	u32 users;
};

/**
 * struct ioasid_mm_worker - resolves page requests, one group after the other
 * @work: runs while there are groups
 * @faults: whose it is
 * @busy: @work is queued, or running; the others do not wait for it
 * @task: the thread that runs @work, or NULL
 * @has_mm: it has a reference on the memory, which keeps it from being freed
 * @group: what it is resolving, or NULL; also NULL once a detach has answered it
 * @next: the next request of @group to resolve, or NULL
 */
struct ioasid_mm_worker {
	struct work_struct work;
	struct ioasid_mm_faults *faults;
	bool busy;
	struct task_struct *task;
	bool has_mm;
	struct iopf_group *group;
	struct iopf_fault *next;
};

/**
 * struct ioasid_mm_faults - page requests for the memory of a process
 * @lock: spinlock; protects all members but @mm and @wq
 * @mm: the process
 * @wq: work queue of the user that is charged
 * @bonds: struct ioasid_mm_bond, devices that are attached, or being attached
 * @groups: groups of page requests that wait for a worker, oldest first
 * @nr_groups: number of these
 * @workers: the workers
 * @watch: looks for the end of the process while there is something to do
 */
struct ioasid_mm_faults {
	spinlock_t lock;
	struct mm_struct *mm;
	struct workqueue_struct *wq;
	struct list_head bonds;
	struct list_head groups;
	u32 nr_groups;
	struct ioasid_mm_worker workers[IOASID_MM_WORKERS];
	struct delayed_work watch;
};

/**
 * struct ioasid_mm_pasid - the charge for the PASID of a process
 * @node: in the table of all; read under RCU
 * @rcu: delays the free
 * @idle: in the list of those without a space
 * @ctx_node: in ioasid_ctx.mm_pasids
 * @mm: the process; mm_count is held
 * @user: the user that is charged; referenced
 * @ctx: the context that is charged, or NULL since it has ended
 * @spaces: number of spaces, of all contexts, that it is for
 * @holds_module: the IOMMU core or a worker may still call the module
 * @faults: its page requests
 */
struct ioasid_mm_pasid {
	struct hlist_node node;
	struct rcu_head rcu;
	struct list_head idle;
	struct list_head ctx_node;
	struct mm_struct *mm;
	struct ioasid_user *user;
	struct ioasid_ctx *ctx;
	u32 spaces;
	bool holds_module;
	struct ioasid_mm_faults faults;
};

/* mm_pasid.c */
struct ioasid_mm_faults *ioasid_mm_faults_of(struct mm_struct *mm);

/* mm_fault.c */
int ioasid_mm_faults_init(struct ioasid_mm_faults *f, struct mm_struct *mm,
			  struct ioasid_user *user);
void ioasid_mm_faults_destroy(struct ioasid_mm_faults *f);
bool ioasid_mm_faults_in_use(struct ioasid_mm_faults *f);
struct ioasid_mm_bond *ioasid_mm_bond_begin(struct ioasid_mm_faults *f,
					    struct device *dev);
void ioasid_mm_hook(struct iommu_domain *domain);
void ioasid_mm_bond_drain(struct ioasid_mm_bond *bond);
void ioasid_mm_bond_end(struct ioasid_mm_bond *bond);

#endif /* __IOASID_MM_H */
