// SPDX-License-Identifier: GPL-2.0
/*
 * Nested domains: user space owns the page table, in memory that a parent domain
 * maps. Format and structures are those of VT-d's first stage in
 * linux/iommufd.h, so that x86-64 tables of a guest fit. The driver half must
 * never read such a table: only the hardware does.
 */
#include <linux/log2.h>
#include <linux/slab.h>
#include "unit.h"

/**
 * sim_nest() - allocate a domain nested in another
 * @parent: a paging domain, allocated as a parent
 * @root: address of the top-level table in @parent
 * @flags: IOMMU_VTD_S1_*
 *
 * Context: can sleep; takes sim_domain.lock of @parent.
 *
 * Return: the domain, or an error of sim_domain_alloc().
 */
struct iommu_domain *sim_nest(struct sim_domain *parent, u64 root, u64 flags)
{
	struct sim_domain *domain;
	unsigned long irq;

	domain = sim_domain_alloc(SIM_NESTED, IOMMU_DOMAIN_NESTED, &sim_nested_ops);
	if (IS_ERR(domain))
		return ERR_CAST(domain);
	domain->parent = parent;
	domain->stage = (struct sim_stage) {
		.root = root,
		.addr_bits = 48,
		.canonical = true,
		.supervisor = flags & IOMMU_VTD_S1_SRE,
		.wp = flags & IOMMU_VTD_S1_WPE,
		.ea = flags & IOMMU_VTD_S1_EAFE,
		.below = &parent->stage,
	};
	spin_lock_irqsave(&parent->lock, irq);
	list_add_tail(&domain->sibling, &parent->children);
	spin_unlock_irqrestore(&parent->lock, irq);
	return &domain->domain;
}

/**
 * sim_free_nested() - implement iommu_domain_ops.free of nested domains
 * @core: the domain
 *
 * Context: any; takes sim_domain.lock of its parent.
 */
void sim_free_nested(struct iommu_domain *core)
{
	struct sim_domain *domain = to_sim_domain(core);
	unsigned long irq;

	spin_lock_irqsave(&domain->parent->lock, irq);
	list_del(&domain->sibling);
	spin_unlock_irqrestore(&domain->parent->lock, irq);
	sim_domain_free(domain);
}

/**
 * sim_alloc_nested() - implement iommu_ops.domain_alloc_nested
 * @dev: an endpoint
 * @parent: a domain
 * @flags: 0 or IOMMU_HWPT_ALLOC_PASID
 * @user_data: struct iommu_hwpt_vtd_s1 of user space
 *
 * Context: can sleep.
 *
 * Return: the domain, ERR_PTR(-EOPNOTSUPP) if the unit has no nesting or a flag
 * is unknown, ERR_PTR(-EINVAL) if parent or data are unsuitable, ERR_PTR(-EFAULT)
 * if the data cannot be read, or an error of sim_domain_alloc().
 */
struct iommu_domain *sim_alloc_nested(struct device *dev,
				      struct iommu_domain *parent, u32 flags,
				      const struct iommu_user_data *user_data)
{
	const u64 valid = IOMMU_VTD_S1_SRE | IOMMU_VTD_S1_EAFE | IOMMU_VTD_S1_WPE;
	struct ioasid_sim_dev *sdev = ioasid_sim_dev(dev);
	struct iommu_hwpt_vtd_s1 s1;
	int rc;

	/* Page requests need no flag, only a handler that the owner sets */
	if (sdev->unit->cfg.no_nesting || (flags & ~SIM_HWPT_PASID))
		return ERR_PTR(-EOPNOTSUPP);
	if (parent->ops != &sim_paging_ops || !to_sim_domain(parent)->nest_parent)
		return ERR_PTR(-EINVAL);
	rc = iommu_copy_struct_from_user(&s1, user_data, IOMMU_HWPT_DATA_VTD_S1,
					 __reserved);
	if (rc)
		return ERR_PTR(rc);
	if ((s1.flags & ~valid) || s1.__reserved)
		return ERR_PTR(-EOPNOTSUPP);
	if (s1.addr_width != 48 || !IS_ALIGNED(s1.pgtbl_addr, SIM_PAGE_SIZE))
		return ERR_PTR(-EINVAL);
	return sim_nest(to_sim_domain(parent), s1.pgtbl_addr, s1.flags);
}

static int sim_invalidate_one(struct sim_domain *domain,
			      const struct iommu_hwpt_vtd_s1_invalidate *inv)
{
	u64 last;

	if ((inv->flags & ~IOMMU_VTD_INV_FLAGS_LEAF) || inv->__reserved)
		return -EOPNOTSUPP;
	if (!IS_ALIGNED(inv->addr, SIM_PAGE_SIZE) || !inv->npages)
		return -EINVAL;
	/* All ones stands for all addresses */
	if (inv->npages == U64_MAX) {
		if (inv->addr)
			return -EINVAL;
		sim_flush(domain, 0, U64_MAX);
		return 0;
	}
	if (check_mul_overflow(inv->npages, SIM_PAGE_SIZE, &last) ||
	    check_add_overflow(last - 1, inv->addr, &last))
		return -EINVAL;
	sim_flush(domain, inv->addr, last);
	return 0;
}

/**
 * sim_cache_invalidate_user() - implement iommu_domain_ops.cache_invalidate_user
 * @core: a nested domain
 * @array: struct iommu_hwpt_vtd_s1_invalidate of user space; out: @entry_num, the
 *	number of entries that were executed
 *
 * Context: can sleep; as sim_flush().
 *
 * Return: 0, -EINVAL if the type or an entry is invalid, -EOPNOTSUPP if a flag is
 * unknown, -EFAULT if an entry cannot be read.
 */
int sim_cache_invalidate_user(struct iommu_domain *core,
			      struct iommu_user_data_array *array)
{
	struct iommu_hwpt_vtd_s1_invalidate inv;
	u32 done;
	int rc = 0;

	if (array->type != IOMMU_HWPT_INVALIDATE_DATA_VTD_S1) {
		array->entry_num = 0;
		return -EINVAL;
	}
	for (done = 0; done < array->entry_num; done++) {
		rc = iommu_copy_struct_from_user_array(&inv, array,
						       IOMMU_HWPT_INVALIDATE_DATA_VTD_S1,
						       done, __reserved);
		if (!rc)
			rc = sim_invalidate_one(to_sim_domain(core), &inv);
		if (rc)
			break;
	}
	array->entry_num = done;
	return rc;
}

/*
 * The capability registers that VT-d would have. User space needs them to make
 * suitable tables, since the format is VT-d's. What is not listed does not exist,
 * like interrupt remapping.
 */
#define SIM_CAP_SAGAW_4		BIT_ULL(10)
#define SIM_CAP_MGAW(bits)	((u64)((bits) - 1) << 16)
#define SIM_CAP_CM		BIT_ULL(7)
#define SIM_CAP_SLLPS		(BIT_ULL(34) | BIT_ULL(35))
#define SIM_CAP_FL1GP		BIT_ULL(56)
#define SIM_ECAP_C		BIT_ULL(0)
#define SIM_ECAP_DT		BIT_ULL(2)
#define SIM_ECAP_SC		BIT_ULL(7)
#define SIM_ECAP_NEST		BIT_ULL(26)
#define SIM_ECAP_PRS		BIT_ULL(29)
#define SIM_ECAP_SRS		BIT_ULL(31)
#define SIM_ECAP_EAFS		BIT_ULL(34)
#define SIM_ECAP_PSS(bits)	((u64)((bits) - 1) << 35)
#define SIM_ECAP_PASID		BIT_ULL(40)
#define SIM_ECAP_SMTS		BIT_ULL(43)
#define SIM_ECAP_SLADS		BIT_ULL(45)
#define SIM_ECAP_SLTS		BIT_ULL(46)
#define SIM_ECAP_FLTS		BIT_ULL(47)

static u64 sim_ecap(const struct sim_config *cfg)
{
	u64 ecap = SIM_ECAP_SMTS | SIM_ECAP_SLTS | SIM_ECAP_FLTS | SIM_ECAP_SRS |
		   SIM_ECAP_EAFS;

	if (!cfg->no_coherency)
		ecap |= SIM_ECAP_C;
	if (!cfg->no_coherency && !cfg->no_enforce)
		ecap |= SIM_ECAP_SC;
	if (!cfg->no_nesting)
		ecap |= SIM_ECAP_NEST;
	if (!cfg->no_dirty)
		ecap |= SIM_ECAP_SLADS;
	if (!cfg->no_ats)
		ecap |= SIM_ECAP_DT;
	if (cfg->credits)
		ecap |= SIM_ECAP_PRS;
	if (cfg->pasid_bits)
		ecap |= SIM_ECAP_PASID | SIM_ECAP_PSS(cfg->pasid_bits);
	return ecap;
}

/**
 * sim_hw_info() - implement iommu_ops.hw_info
 * @dev: an endpoint
 * @length: out: in bytes
 * @type: type asked for, or IOMMU_HW_INFO_TYPE_NONE for any; out: the type
 *
 * Context: can sleep.
 *
 * Return: a struct iommu_hw_info_vtd, to be freed by kfree(),
 * ERR_PTR(-EOPNOTSUPP) for another type, or ERR_PTR(-ENOMEM).
 */
void *sim_hw_info(struct device *dev, u32 *length, enum iommu_hw_info_type *type)
{
	const struct sim_config *cfg = &ioasid_sim_dev(dev)->unit->cfg;
	struct iommu_hw_info_vtd *info;

	/* Older kernels do not set it */
	if (IOASID_HAVE_DOMAIN_ALLOC_NESTED && *type != IOMMU_HW_INFO_TYPE_NONE &&
	    *type != IOMMU_HW_INFO_TYPE_INTEL_VTD)
		return ERR_PTR(-EOPNOTSUPP);
	info = kzalloc(sizeof(*info), GFP_KERNEL);
	if (!info)
		return ERR_PTR(-ENOMEM);
	info->cap_reg = SIM_CAP_SAGAW_4 | SIM_CAP_MGAW(cfg->addr_bits) | SIM_CAP_FL1GP;
	if (!cfg->no_huge)
		info->cap_reg |= SIM_CAP_SLLPS;
	if (cfg->negative)
		info->cap_reg |= SIM_CAP_CM;
	info->ecap_reg = sim_ecap(cfg);
	*length = sizeof(*info);
	*type = IOMMU_HW_INFO_TYPE_INTEL_VTD;
	return info;
}
