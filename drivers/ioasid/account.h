/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Accounting, implemented by account.c. Pinned pages, contexts, PASIDs and fault
 * records must never be taken before they are charged here.
 */
#ifndef __IOASID_ACCOUNT_H
#define __IOASID_ACCOUNT_H

#include <linux/atomic.h>
#include <linux/ioasid.h>
#include <linux/list.h>
#include <linux/refcount.h>
#include <linux/types.h>
#include <linux/uidgid.h>

struct mm_struct;
struct user_namespace;
struct user_struct;
struct workqueue_struct;

/**
 * struct ioasid_payer - the process and user charged for pinned pages
 * @link: in ioasid_ctx.payers
 * @ref: held by each struct ioasid_pages it is charged for, and by
 *	ioasid_ctx.payer
 * @mode: enum ioasid_account_mode
 * @mm: mm of the process; mm_count is held, which is enough for its counters
 * @user: user of the process; referenced
 */
struct ioasid_payer {
	struct list_head link;
	refcount_t ref;
	u32 mode;
	struct mm_struct *mm;
	struct user_struct *user;
};

/**
 * enum ioasid_quota - what is limited for each context and for each user
 * @IOASID_QUOTA_CONTEXTS: contexts, until the last reference is put; only for
 *	users
 * @IOASID_QUOTA_PASIDS: PASIDs, also those of processes
 * @IOASID_QUOTA_DOMAINS: domains, until they are freed, which may be deferred;
 *	only for users
 * @IOASID_QUOTA_MAPPINGS: areas, from before they are made until they are freed
 * @IOASID_QUOTA_RESERVED: ranges that the user reserves
 * @IOASID_QUOTA_SPACES: spaces, until the last reference is put
 * @IOASID_QUOTA_SLICES: where a mapping of a shadow space and one of its parent meet
 * @IOASID_NR_QUOTAS: number of them
 */
enum ioasid_quota {
	IOASID_QUOTA_CONTEXTS,
	IOASID_QUOTA_PASIDS,
	IOASID_QUOTA_DOMAINS,
	IOASID_QUOTA_MAPPINGS,
	IOASID_QUOTA_RESERVED,
	IOASID_QUOTA_SPACES,
	IOASID_QUOTA_SLICES,
	IOASID_NR_QUOTAS,
};

/**
 * struct ioasid_user - what all contexts of a user have
 * @node: in the table of users
 * @ref: held by each context, and by what outlives its context
 * @uid: the user
 * @used: how much of each enum ioasid_quota
 * @nr_deferred: number of attachments whose free is deferred; under
 *	ioasid_deferred_free_lock
 * @deferred_tables: number of pages of page tables that these keep, about
 * @mm_wq: resolves the page requests of its processes; or NULL
 */
struct ioasid_user {
	struct hlist_node node;
	refcount_t ref;
	kuid_t uid;
	atomic64_t used[IOASID_NR_QUOTAS];
	u32 nr_deferred;
	u32 deferred_tables;
	struct workqueue_struct *mm_wq;
};

kuid_t ioasid_owner_of(struct user_namespace *ns, kuid_t uid);
struct ioasid_user *ioasid_user_get(void);
struct ioasid_user *ioasid_user_ref(struct ioasid_user *user);
void ioasid_user_put(struct ioasid_user *user);
int ioasid_charge_user(struct ioasid_user *user, enum ioasid_quota quota,
		       u32 nr, struct ioasid_extack *extack);
void ioasid_uncharge_user(struct ioasid_user *user, enum ioasid_quota quota,
			  u32 nr);
int ioasid_charge(struct ioasid_ctx *ctx, enum ioasid_quota quota, u32 nr,
		  struct ioasid_extack *extack);
void ioasid_uncharge(struct ioasid_ctx *ctx, enum ioasid_quota quota, u32 nr);
u64 ioasid_quota_max(struct ioasid_ctx *ctx, enum ioasid_quota quota);

struct ioasid_payer *ioasid_payer_get(struct ioasid_ctx *ctx);
void ioasid_payer_put(struct ioasid_ctx *ctx, struct ioasid_payer *payer);
int ioasid_set_account_mode(struct ioasid_ctx *ctx, u64 mode,
			    struct ioasid_extack *extack);
int ioasid_charge_pages(struct ioasid_ctx *ctx, struct ioasid_payer *payer,
			unsigned long pages, struct ioasid_extack *extack);
void ioasid_uncharge_pages(struct ioasid_ctx *ctx, struct ioasid_payer *payer,
			   unsigned long pages);
int ioasid_charge_records(struct ioasid_ctx *ctx, u32 depth,
			  struct ioasid_extack *extack);
void ioasid_uncharge_records(struct ioasid_ctx *ctx, u32 depth);

#endif /* __IOASID_ACCOUNT_H */
