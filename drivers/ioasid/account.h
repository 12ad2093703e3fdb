/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Accounting, implemented by account.c. Pinned pages, PASIDs and fault records
 * must never be taken before they are charged here.
 */
#ifndef __IOASID_ACCOUNT_H
#define __IOASID_ACCOUNT_H

#include <linux/ioasid.h>
#include <linux/list.h>
#include <linux/refcount.h>
#include <linux/types.h>

struct mm_struct;
struct user_struct;

#define INVALID_UID_NR	((uid_t)-1)

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

struct ioasid_payer *ioasid_payer_get(struct ioasid_ctx *ctx);
void ioasid_payer_put(struct ioasid_ctx *ctx, struct ioasid_payer *payer);
int ioasid_set_account_mode(struct ioasid_ctx *ctx, u64 mode,
			    struct ioasid_extack *extack);
int ioasid_charge_pages(struct ioasid_ctx *ctx, struct ioasid_payer *payer,
			unsigned long pages, struct ioasid_extack *extack);
void ioasid_uncharge_pages(struct ioasid_ctx *ctx, struct ioasid_payer *payer,
			   unsigned long pages);
int ioasid_charge_user_pasid(uid_t uid, struct ioasid_extack *extack);
void ioasid_uncharge_user_pasid(uid_t uid);
int ioasid_charge_pasid(struct ioasid_ctx *ctx, uid_t uid,
			struct ioasid_extack *extack);
void ioasid_uncharge_pasid(struct ioasid_ctx *ctx, uid_t uid);
int ioasid_charge_records(struct ioasid_ctx *ctx, u32 depth,
			  struct ioasid_extack *extack);
void ioasid_uncharge_records(struct ioasid_ctx *ctx, u32 depth);

#endif /* __IOASID_ACCOUNT_H */
