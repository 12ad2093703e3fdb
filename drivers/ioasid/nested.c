// SPDX-License-Identifier: GPL-2.0
/*
 * Nested spaces: the user writes the page table, in memory that a mapped space,
 * the parent, maps, and the IOMMU walks both. What the user says about his table
 * is kept, and passed on to the IOMMU driver for each domain. Nothing here may
 * read the table, or let a driver wait for user memory while a lock is held.
 */
#include <linux/iommu.h>
#include <linux/mm.h>
#include <linux/mman.h>
#include <linux/overflow.h>
#include <linux/pagemap.h>
#include <linux/sched/signal.h>
#include <linux/slab.h>
#include <linux/uaccess.h>
#include "compat/nest.h"
#include "nested.h"

/* Entries that a driver executes without a look at signals */
#define IOASID_INVALIDATE_SLICE	64

/* --- formats -------------------------------------------------------------- */

/* The bits of the registers in struct iommu_hw_info_vtd: VT-d, 11.4.2 and 11.4.3 */
#define IOASID_VTD_ECAP_NEST	BIT_ULL(26)
#define IOASID_VTD_ECAP_FLTS	BIT_ULL(47)

static int ioasid_check_vtd_s1(const void *data, struct ioasid_extack *extack)
{
	const u64 flags = IOMMU_VTD_S1_SRE | IOMMU_VTD_S1_EAFE | IOMMU_VTD_S1_WPE;
	const struct iommu_hwpt_vtd_s1 *s1 = data;

	if (s1->flags & ~flags || s1->__reserved) {
		extack->value = s1->flags & ~flags;
		return ioasid_fail(extack, -EOPNOTSUPP, IOASID_REASON_FLAGS,
				   "the data has unknown flags %#llx, or a reserved field that is not zero",
				   extack->value);
	}
	extack->value = s1->addr_width;
	if (s1->addr_width != 48 && s1->addr_width != 57)
		return ioasid_fail(extack, -EINVAL, IOASID_REASON_VALUE,
				   "the page table translates 48 or 57 bits, not %u",
				   s1->addr_width);
	extack->value = s1->pgtbl_addr;
	if (!PAGE_ALIGNED(s1->pgtbl_addr))
		return ioasid_fail(extack, -EINVAL, IOASID_REASON_ALIGNMENT,
				   "the address %#llx of the page table must be a multiple of %lu",
				   s1->pgtbl_addr, PAGE_SIZE);
	extack->value = 0;
	return 0;
}

static bool ioasid_has_vtd_s1(const void *hw_info)
{
	const u64 need = IOASID_VTD_ECAP_NEST | IOASID_VTD_ECAP_FLTS;
	const struct iommu_hw_info_vtd *vtd = hw_info;

	return (vtd->ecap_reg & need) == need;
}

/**
 * struct ioasid_format - a format of the user's page table
 * @data_type: enum iommu_hwpt_data_type
 * @size: size of its struct in bytes
 * @check: checks the struct. Drivers check some of it only when a device is
 *	attached, and others not at all
 * @invalidate_type: enum iommu_hwpt_invalidate_data_type
 * @invalidate_size: size of an entry in bytes
 * @hw_info_type: enum iommu_hw_info_type of the IOMMUs that have it
 * @hw_info_len: size of their description in bytes
 * @supported: whether the IOMMU of that description walks it
 */
struct ioasid_format {
	u32 data_type;
	u32 size;
	int (*check)(const void *data, struct ioasid_extack *extack);
	u32 invalidate_type;
	u32 invalidate_size;
	u32 hw_info_type;
	u32 hw_info_len;
	bool (*supported)(const void *hw_info);
};

static const struct ioasid_format ioasid_formats[] = {
	{
		.data_type = IOMMU_HWPT_DATA_VTD_S1,
		.size = sizeof(struct iommu_hwpt_vtd_s1),
		.check = ioasid_check_vtd_s1,
		.invalidate_type = IOMMU_HWPT_INVALIDATE_DATA_VTD_S1,
		.invalidate_size = sizeof(struct iommu_hwpt_vtd_s1_invalidate),
		.hw_info_type = IOMMU_HW_INFO_TYPE_INTEL_VTD,
		.hw_info_len = sizeof(struct iommu_hw_info_vtd),
		.supported = ioasid_has_vtd_s1,
	},
};

/**
 * ioasid_nest_formats() - find out which formats an IOMMU walks
 * @dev: a device behind it
 * @hw_info: the description of the IOMMU by its driver, or NULL
 * @type: type of @hw_info
 * @len: length of @hw_info in bytes
 *
 * Context: any.
 *
 * Return: 1 << enum iommu_hwpt_data_type for each.
 */
u64 ioasid_nest_formats(struct device *dev, const void *hw_info, u32 type,
			u32 len)
{
	const struct ioasid_format *f;
	u64 formats = 0;
	size_t i;

	if (!hw_info || !compat_can_nest(dev))
		return 0;
	for (i = 0; i < ARRAY_SIZE(ioasid_formats); i++) {
		f = &ioasid_formats[i];
		if (f->hw_info_type == type && len >= f->hw_info_len &&
		    f->supported(hw_info))
			formats |= BIT_ULL(f->data_type);
	}
	return formats;
}

static const struct ioasid_format *ioasid_format_find(u32 data_type)
{
	size_t i;

	for (i = 0; i < ARRAY_SIZE(ioasid_formats); i++)
		if (ioasid_formats[i].data_type == data_type)
			return &ioasid_formats[i];
	return NULL;
}

/* --- the user's data --------------------------------------------------------- */

/**
 * struct ioasid_nest - what the user said about his page table
 * @format: its format
 * @uptr: where he said it
 * @data: what he said, @format->size bytes
 */
struct ioasid_nest {
	const struct ioasid_format *format;
	u64 uptr;
	u8 data[];
};

static int ioasid_nest_read(struct ioasid_nest *nest, u32 len,
			    struct ioasid_extack *extack)
{
	u32 size = nest->format->size;
	int rc;

	if (len < size) {
		extack->value = size;
		return ioasid_fail(extack, -EINVAL, IOASID_REASON_SIZE,
				   "%u bytes of data, but the format has %u",
				   len, size);
	}
	rc = len > PAGE_SIZE ? -E2BIG :
	     copy_struct_from_user(nest->data, size,
				   u64_to_user_ptr(nest->uptr), len);
	if (rc == -E2BIG)
		return ioasid_fail(extack, rc, IOASID_REASON_SIZE,
				   "this kernel knows %u bytes of the data, and the rest is not zero",
				   size);
	if (rc)
		return ioasid_fail(extack, rc, IOASID_REASON_POINTER,
				   "cannot read the data");
	return nest->format->check(nest->data, extack);
}

static struct ioasid_nest *
ioasid_nest_create(const struct ioasid_space_params *params,
		   struct ioasid_extack *extack)
{
	const struct ioasid_format *f = ioasid_format_find(params->data_type);
	struct ioasid_nest *nest;
	int rc;

	if (!f) {
		extack->value = params->data_type;
		return ERR_PTR(ioasid_fail(extack, -EOPNOTSUPP,
					   IOASID_REASON_FORMAT,
					   "page tables of format %u are not known",
					   params->data_type));
	}
	nest = kzalloc(struct_size(nest, data, f->size), GFP_KERNEL_ACCOUNT);
	if (!nest)
		return ERR_PTR(ioasid_fail(extack, -ENOMEM,
					   IOASID_REASON_NO_MEMORY,
					   "no memory for a space"));
	nest->format = f;
	nest->uptr = params->data;
	rc = ioasid_nest_read(nest, params->data_len, extack);
	if (!rc)
		return nest;
	kfree(nest);
	return ERR_PTR(rc);
}

/*
 * Whether what the user has said is still where he said it, and can be read at
 * once. If the process is another one it hardly ever is, but that does not matter.
 */
static bool ioasid_nest_is_there(const struct ioasid_nest *nest)
{
	u8 now[64];
	bool same;

	if (WARN_ON(nest->format->size > sizeof(now)) || !current->mm)
		return false;
	pagefault_disable();
	same = !copy_from_user(now, u64_to_user_ptr(nest->uptr),
			       nest->format->size);
	pagefault_enable();
	return same && !memcmp(now, nest->data, nest->format->size);
}

/* With page faults disabled, since nobody is to be kept waiting under our locks */
static struct iommu_domain *
ioasid_nested_alloc_at(struct ioasid_nest *nest, struct device *dev,
		       struct iommu_domain *parent, u64 uptr)
{
	const struct iommu_user_data data = {
		.type = nest->format->data_type,
		.uptr = u64_to_user_ptr(uptr),
		.len = nest->format->size,
	};
	struct iommu_domain *domain;

	pagefault_disable();
	domain = compat_nested_alloc(dev, parent, &data);
	pagefault_enable();
	return domain;
}

/*
 * Drivers read the data from user memory and from nowhere else. Where the user has
 * said it, there may be something else meanwhile, or another process attaches: so
 * it gets a page of its own for a moment.
 */
static struct iommu_domain *
ioasid_nested_alloc_copy(struct ioasid_nest *nest, struct device *dev,
			 struct iommu_domain *parent)
{
	struct iommu_domain *domain = ERR_PTR(-EFAULT);
	unsigned long at;

	if (!current->mm)
		return ERR_PTR(-EFAULT);
	at = vm_mmap(NULL, 0, PAGE_SIZE, PROT_READ | PROT_WRITE,
		     MAP_PRIVATE | MAP_ANONYMOUS, 0);
	if (IS_ERR_VALUE(at))
		return ERR_PTR(at);
	if (!copy_to_user((void __user *)at, nest->data, nest->format->size))
		domain = ioasid_nested_alloc_at(nest, dev, parent, at);
	vm_munmap(at, PAGE_SIZE);
	return domain;
}

/* --- the kind ----------------------------------------------------------------- */

static int ioasid_nested_check(const struct ioasid_space_params *params,
			       struct ioasid_extack *extack)
{
	/* A glue can call from a kernel thread, or when the process exits */
	if (!current->mm)
		return ioasid_fail(extack, -EINVAL, IOASID_REASON_VALUE,
				   "there is no process that the data could be of");
	if (params->flags & IOASID_ALLOC_NEST_PARENT)
		return ioasid_fail(extack, -EINVAL, IOASID_REASON_KIND,
				   "a nested space cannot be a parent itself");
	if (!params->parent)
		return ioasid_fail(extack, -EINVAL, IOASID_REASON_VALUE,
				   "a nested space needs a parent");
	return 0;
}

static const char *ioasid_why_no_nest_parent(struct ioasid_space *parent)
{
	return parent->nest_parent ? NULL :
	       "it was allocated without IOASID_ALLOC_NEST_PARENT";
}

static int ioasid_nested_init(struct ioasid_space *space,
			      const struct ioasid_space_params *params,
			      struct ioasid_extack *extack)
{
	struct ioasid_nest *nest = ioasid_nest_create(params, extack);
	int rc;

	if (IS_ERR(nest))
		return PTR_ERR(nest);
	rc = ioasid_space_set_parent(space, params->parent,
				     ioasid_why_no_nest_parent, extack);
	if (rc) {
		kfree(nest);
		return rc;
	}
	space->nest = nest;
	return 0;
}

static void ioasid_nested_destroy(struct ioasid_space *space)
{
	kfree(space->nest);
}

static struct iommu_domain *ioasid_nested_alloc(struct ioasid_space *space,
						struct device *dev,
						struct ioasid_domain *base,
						struct ioasid_extack *extack)
{
	struct ioasid_nest *nest = space->nest;
	struct iommu_domain *domain = ERR_PTR(-EFAULT);

	lockdep_assert_held_write(&space->rwsem);
	if (ioasid_nest_is_there(nest))
		domain = ioasid_nested_alloc_at(nest, dev, base->domain,
						nest->uptr);
	if (domain == ERR_PTR(-EFAULT))
		domain = ioasid_nested_alloc_copy(nest, dev, base->domain);
	if (domain == ERR_PTR(-EOPNOTSUPP)) {
		extack->value = nest->format->data_type;
		ioasid_fail(extack, -EOPNOTSUPP, IOASID_REASON_FORMAT,
			    "device %s: its IOMMU cannot walk page tables of format %u in a nested space",
			    dev_name(dev), nest->format->data_type);
	}
	return domain;
}

/* The table is the user's, and there is nothing of ours in it */
static int ioasid_nested_fill(struct ioasid_space *space,
			      struct ioasid_domain *domain,
			      struct ioasid_extack *extack)
{
	return 0;
}

static void ioasid_nested_unfill(struct ioasid_space *space,
				 struct ioasid_domain *domain)
{
}

/* --- invalidation ---------------------------------------------------------------- */

static int ioasid_check_invalidate(const struct ioasid_format *f,
				   const struct ioasid_invalidate_request *req,
				   struct ioasid_extack *extack)
{
	if (req->data_type != f->invalidate_type) {
		extack->value = req->data_type;
		return ioasid_fail(extack, -EOPNOTSUPP, IOASID_REASON_FORMAT,
				   "entries of type %u are not for page tables of format %u",
				   req->data_type, f->data_type);
	}
	extack->value = f->invalidate_size;
	if (req->entry_size < f->invalidate_size)
		return ioasid_fail(extack, -EINVAL, IOASID_REASON_SIZE,
				   "entries of %u bytes, but %u are needed",
				   req->entry_size, f->invalidate_size);
	if (req->entry_size > PAGE_SIZE)
		return ioasid_fail(extack, -E2BIG, IOASID_REASON_SIZE,
				   "entries of %u bytes", req->entry_size);
	extack->value = 0;
	return 0;
}

/*
 * Executes @nr entries from @at on, in all domains; returns how many all of them
 * have executed, and why not more. The driver reads user memory that may not be
 * there, and the caller then brings it in without our locks.
 */
static u32 ioasid_invalidate_slice(struct ioasid_space *space,
				   const struct ioasid_invalidate_request *req,
				   u32 at, u32 nr, int *rc)
{
	struct ioasid_domain *d;
	u32 done = nr;

	lockdep_assert_held(&space->rwsem);
	*rc = 0;
	list_for_each_entry(d, &space->domains, link) {
		struct iommu_user_data_array array = {
			.type = req->data_type,
			.uptr = u64_to_user_ptr(req->entries) +
				(size_t)at * req->entry_size,
			.entry_len = req->entry_size,
			.entry_num = done,
		};
		int err;

		if (!d->domain->ops->cache_invalidate_user) {
			*rc = -EOPNOTSUPP;
			return 0;
		}
		pagefault_disable();
		err = d->domain->ops->cache_invalidate_user(d->domain, &array);
		pagefault_enable();
		/* The next domain need not do more than this one has */
		if (err && array.entry_num < done) {
			done = array.entry_num;
			*rc = err;
		}
	}
	return done;
}

/* Faults the entries of a slice in; they may be gone again when it returns */
static int ioasid_invalidate_fault_in(const struct ioasid_invalidate_request *req,
				      u32 at, u32 nr)
{
	const char __user *uptr = u64_to_user_ptr(req->entries) +
				  (size_t)at * req->entry_size;

	return fault_in_readable(uptr, (size_t)nr * req->entry_size) ? -EFAULT : 0;
}

static int ioasid_invalidate_failed(int rc, u32 at,
				    struct ioasid_extack *extack)
{
	extack->index = at;
	if (rc == -EFAULT)
		return ioasid_fail(extack, rc, IOASID_REASON_POINTER,
				   "cannot read entry %u", at);
	if (rc == -EINTR)
		return ioasid_fail(extack, rc, IOASID_REASON_KILLED,
				   "killed after %u entries", at);
	return ioasid_fail(extack, rc, IOASID_REASON_IOMMU,
			   "the IOMMU driver does not take entry %u (error %d)",
			   at, -rc);
}

/**
 * ioasid_nested_invalidate() - execute entries in the format of the page table
 * @ctx: the context
 * @req: the space and the entries; out: @done
 * @extack: the reason if it fails
 *
 * Context: a user process, no locks held; can sleep. Takes ioasid_space.rwsem for
 * reading.
 *
 * Return: 0, or an error of IOASID_INVALIDATE.
 */
int ioasid_nested_invalidate(struct ioasid_ctx *ctx,
			     struct ioasid_invalidate_request *req,
			     struct ioasid_extack *extack)
{
	struct ioasid_space *space;
	int rc = 0;

	while (req->done < req->nr) {
		u32 nr = min_t(u32, req->nr - req->done, IOASID_INVALIDATE_SLICE);

		space = ioasid_space_get_nested(ctx, req->ioasid, extack);
		if (IS_ERR(space))
			return PTR_ERR(space);
		rc = ioasid_check_invalidate(space->nest->format, req, extack);
		if (!rc) {
			nr = ioasid_invalidate_slice(space, req, req->done, nr,
						     &rc);
			req->done += nr;
			if (rc && rc != -EFAULT)
				rc = ioasid_invalidate_failed(rc, req->done,
							      extack);
		}
		ioasid_space_put_read(space);
		if (rc == -EFAULT)
			rc = ioasid_invalidate_fault_in(req, req->done, 1);
		if (rc == -EFAULT)
			return ioasid_invalidate_failed(rc, req->done, extack);
		if (rc)
			return rc;
		if (fatal_signal_pending(current))
			return ioasid_invalidate_failed(-EINTR, req->done,
							extack);
		cond_resched();
	}
	return 0;
}

static int ioasid_check_entry(struct ioasid_ctx *ctx,
			      const struct ioasid_invalidate_entry *e,
			      struct ioasid_extack *extack)
{
	u64 last;

	if (e->type != IOASID_INVALIDATE_IOTLB &&
	    e->type != IOASID_INVALIDATE_DEVICE_IOTLB) {
		extack->value = e->type;
		return ioasid_fail(extack, -EOPNOTSUPP, IOASID_REASON_VALUE,
				   "%u is no type of an entry", e->type);
	}
	if (e->flags) {
		extack->value = e->flags;
		return ioasid_fail(extack, -EOPNOTSUPP, IOASID_REASON_FLAGS,
				   "unknown flags %#x", e->flags);
	}
	/* Only whether there is one: all devices forget */
	if (e->dev_id && !xa_load(&ctx->devices, e->dev_id)) {
		extack->dev_id = e->dev_id;
		return ioasid_fail(extack, -ENOENT, IOASID_REASON_NO_DEVICE_ID,
				   "this context has no device %u", e->dev_id);
	}
	if (!e->length ? e->addr :
			 check_add_overflow(e->addr, e->length - 1, &last)) {
		extack->value = e->addr;
		return ioasid_fail(extack, -EINVAL, IOASID_REASON_OVERFLOW,
				   "address %#llx plus length %#llx wraps, or the length is 0",
				   e->addr, e->length);
	}
	return 0;
}

/*
 * Drivers take entries from user memory alone, in a format of their own, so that
 * all of what is nested in the parent is flushed instead.
 */
static void ioasid_nested_flush_all(struct ioasid_space *space)
{
	struct ioasid_domain *d;

	lockdep_assert_held(&space->rwsem);
	list_for_each_entry(d, &space->domains, link)
		iommu_flush_iotlb_all(d->base->domain);
}

/**
 * ioasid_nested_flush() - execute entries that are for all formats
 * @ctx: the context
 * @ioasid: a nested space
 * @entries: the entries
 * @nr: number of entries
 * @done: out: number of entries that were executed
 * @extack: the reason if it fails
 *
 * Context: can sleep; takes ioasid_space.rwsem for reading.
 *
 * Return: 0, or an error of IOASID_INVALIDATE.
 */
int ioasid_nested_flush(struct ioasid_ctx *ctx, u32 ioasid,
			const struct ioasid_invalidate_entry *entries, u32 nr,
			u32 *done, struct ioasid_extack *extack)
{
	struct ioasid_space *space;
	int rc = 0;

	space = ioasid_space_get_nested(ctx, ioasid, extack);
	if (IS_ERR(space))
		return PTR_ERR(space);
	for (*done = 0; *done < nr; ++*done) {
		rc = ioasid_check_entry(ctx, &entries[*done], extack);
		if (rc) {
			extack->index = *done;
			break;
		}
		cond_resched();
	}
	/* One flush for all of them that are valid */
	if (*done)
		ioasid_nested_flush_all(space);
	ioasid_space_put_read(space);
	return rc;
}

const struct ioasid_space_ops ioasid_nested_ops = {
	.name = "nested",
	.no_map = "is nested, and nothing can be mapped in it: its page table is the user's",
	.check = ioasid_nested_check,
	.init = ioasid_nested_init,
	.destroy = ioasid_nested_destroy,
	.alloc = ioasid_nested_alloc,
	.fill = ioasid_nested_fill,
	.unfill = ioasid_nested_unfill,
};
