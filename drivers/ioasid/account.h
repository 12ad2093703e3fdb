/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Who pays for what: see account.c. Whatever a user can make the kernel keep is
 * charged here before it is taken.
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
 * struct ioasid_payer - against whom pinned pages count
 * @link: in ioasid_ctx.payers
 * @ref: pages objects that it pays for, and ioasid_ctx.payer
 * @mode: enum ioasid_account_mode
 * @mm: process; only its counters are used, so mm_count is held, not mm_users
 * @user: user
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
