// SPDX-License-Identifier: GPL-2.0
/*
 * The tables of operations for the IOMMU core, and those operations that only
 * have a few lines. No other file may depend on how their signatures differ
 * between kernels.
 */
#include <linux/slab.h>
#include "unit.h"

/* --- static domains --- */

static const struct iommu_domain_ops sim_static_ops;

static struct sim_domain sim_identity_domain = {
	.domain = { .type = IOMMU_DOMAIN_IDENTITY, .ops = &sim_static_ops },
	.kind = SIM_IDENTITY,
	.lock = __SPIN_LOCK_UNLOCKED(sim_identity_domain.lock),
	.attachments = LIST_HEAD_INIT(sim_identity_domain.attachments),
	.children = LIST_HEAD_INIT(sim_identity_domain.children),
};

static struct sim_domain sim_blocked_domain = {
	.domain = { .type = IOMMU_DOMAIN_BLOCKED, .ops = &sim_static_ops },
	.kind = SIM_BLOCKED,
	.lock = __SPIN_LOCK_UNLOCKED(sim_blocked_domain.lock),
	.attachments = LIST_HEAD_INIT(sim_blocked_domain.attachments),
	.children = LIST_HEAD_INIT(sim_blocked_domain.children),
};

/* --- attaching --- */

static int sim_attach_pasid(struct iommu_domain *domain, struct device *dev, u32 pasid)
{
	struct ioasid_sim_dev *sdev = ioasid_sim_dev(dev);
	struct sim_domain *sim = to_sim_domain(domain);

	/* As the VT-d driver: the owner of the domain expects page requests */
	if (domain->iopf_handler && !sim_has_pri(sdev))
		return -ENODEV;
	/* Dirty bits are kept per domain: a unit without tracking would lose writes */
	if (sim->dirty && sdev->unit->cfg.no_dirty)
		return -EINVAL;
	if (sim->kind == SIM_PAGING && sim->table.addr_bits > sdev->unit->cfg.addr_bits)
		return -EINVAL;
	if (sim->kind == SIM_PAGING && sdev->unit->cfg.no_share && sim->cfg != &sdev->unit->cfg)
		return -EINVAL;
	return sim_attach(sdev, pasid, sim);
}

#if IOASID_HAVE_ATTACH_DEV_OLD
static int sim_attach_dev(struct iommu_domain *domain, struct device *dev,
			  struct iommu_domain *old)
{
	return sim_attach_pasid(domain, dev, IOASID_SIM_RID);
}
#else
static int sim_attach_dev(struct iommu_domain *domain, struct device *dev)
{
	return sim_attach_pasid(domain, dev, IOASID_SIM_RID);
}
#endif

#if IOASID_HAVE_SET_DEV_PASID_OLD
static int sim_set_dev_pasid(struct iommu_domain *domain, struct device *dev,
			     ioasid_t pasid, struct iommu_domain *old)
{
	return sim_attach_pasid(domain, dev, pasid);
}
#else
static int sim_set_dev_pasid(struct iommu_domain *domain, struct device *dev,
			     ioasid_t pasid)
{
	return sim_attach_pasid(domain, dev, pasid);
}
#endif

static const struct iommu_domain_ops sim_static_ops = {
	.attach_dev = sim_attach_dev,
	.set_dev_pasid = sim_set_dev_pasid,
};

const struct iommu_domain_ops sim_paging_ops = {
	.attach_dev = sim_attach_dev,
	.set_dev_pasid = sim_set_dev_pasid,
	.map_pages = sim_map_pages,
	.unmap_pages = sim_unmap_pages,
	.flush_iotlb_all = sim_flush_iotlb_all,
	.iotlb_sync_map = sim_iotlb_sync_map,
	.iotlb_sync = sim_iotlb_sync,
	.iova_to_phys = sim_iova_to_phys,
	.enforce_cache_coherency = sim_enforce_cache_coherency,
	.free = sim_free_paging,
};

const struct iommu_domain_ops sim_nested_ops = {
	.attach_dev = sim_attach_dev,
	.set_dev_pasid = sim_set_dev_pasid,
	.cache_invalidate_user = sim_cache_invalidate_user,
	.free = sim_free_nested,
};

const struct iommu_domain_ops sim_sva_ops = {
	.set_dev_pasid = sim_set_dev_pasid,
	.free = sim_free_sva,
};

const struct iommu_dirty_ops sim_dirty_ops = {
	.set_dirty_tracking = sim_set_dirty_tracking,
	.read_and_clear_dirty = sim_read_and_clear_dirty,
};

/* --- devices --- */

static bool sim_can_track(const struct sim_config *cfg)
{
	return !cfg->no_dirty && compat_can_read_dirty();
}

static bool sim_capable(struct device *dev, enum iommu_cap cap)
{
	const struct sim_config *cfg = &ioasid_sim_dev(dev)->unit->cfg;

	switch (cap) {
	case IOMMU_CAP_CACHE_COHERENCY:
		return !cfg->no_coherency;
	case IOMMU_CAP_ENFORCE_CACHE_COHERENCY:
		return !cfg->no_coherency && !cfg->no_enforce;
	case IOMMU_CAP_DIRTY_TRACKING:
		return sim_can_track(cfg);
	default:
		return false;
	}
}

static struct iommu_device *sim_probe_device(struct device *dev)
{
	struct ioasid_sim_dev *sdev = ioasid_sim_dev(dev);

	return sdev ? &sdev->unit->iommu : ERR_PTR(-ENODEV);
}

static void sim_probe_finalize(struct device *dev)
{
	struct ioasid_sim_dev *sdev = ioasid_sim_dev(dev);

	if (sim_has_pri(sdev))
		sim_prq_enable(sdev);
}

static void sim_release_device(struct device *dev)
{
	sim_endpoint_quiesce(ioasid_sim_dev(dev));
}

/* Returns the same number for endpoints of a unit that share a group */
static unsigned int sim_group_of(const struct sim_config *cfg, unsigned int index)
{
	return index + cfg->siblings >= cfg->endpoints ? UINT_MAX : index / cfg->group_size;
}

static struct iommu_group *sim_device_group(struct device *dev)
{
	struct ioasid_sim_dev *sdev = ioasid_sim_dev(dev), *sibling;
	const struct sim_config *cfg = &sdev->unit->cfg;
	struct iommu_group *group;
	unsigned int i;

	for (i = 0; i < cfg->endpoints; i++) {
		sibling = sdev->unit->endpoints[i];
		if (!sibling || sibling == sdev ||
		    sim_group_of(cfg, i) != sim_group_of(cfg, sdev->index))
			continue;
		group = iommu_group_get(&sibling->pdev.dev);
		if (group)
			return group;
	}
	return generic_device_group(dev);
}

static void sim_get_resv_regions(struct device *dev, struct list_head *head)
{
	struct iommu_resv_region *region;

	region = iommu_alloc_resv_region(SIM_MSI_START, SIM_MSI_LENGTH,
					 IOMMU_WRITE | IOMMU_NOEXEC | IOMMU_MMIO,
					 IOMMU_RESV_MSI, GFP_KERNEL);
	if (region)
		list_add_tail(&region->list, head);
}

/* --- allocation --- */

static struct iommu_domain *sim_alloc_paging(struct device *dev, u32 flags)
{
	const struct sim_config *cfg = &ioasid_sim_dev(dev)->unit->cfg;
	u32 valid = SIM_HWPT_PASID;

	if (!cfg->no_nesting)
		valid |= IOMMU_HWPT_ALLOC_NEST_PARENT;
	if (sim_can_track(cfg))
		valid |= IOMMU_HWPT_ALLOC_DIRTY_TRACKING;
	if (flags & ~valid)
		return ERR_PTR(-EOPNOTSUPP);
	return sim_paging_create(cfg, flags);
}

#if IOASID_HAVE_DOMAIN_ALLOC_NESTED
static struct iommu_domain *
sim_alloc_paging_flags(struct device *dev, u32 flags,
		       const struct iommu_user_data *user_data)
{
	return user_data ? ERR_PTR(-EOPNOTSUPP) : sim_alloc_paging(dev, flags);
}
#define SIM_ALLOC_OPS							\
	.domain_alloc_paging_flags = sim_alloc_paging_flags,		\
	.domain_alloc_nested = sim_alloc_nested,
#else
static struct iommu_domain *sim_alloc_paging_only(struct device *dev)
{
	return sim_alloc_paging(dev, 0);
}

static struct iommu_domain *sim_alloc_user(struct device *dev, u32 flags,
					   struct iommu_domain *parent,
					   const struct iommu_user_data *user_data)
{
	if (parent && user_data)
		return sim_alloc_nested(dev, parent, flags, user_data);
	return parent || user_data ? ERR_PTR(-EOPNOTSUPP) : sim_alloc_paging(dev, flags);
}
#define SIM_ALLOC_OPS							\
	.domain_alloc_paging = sim_alloc_paging_only,			\
	.domain_alloc_user = sim_alloc_user,
#endif

/* --- operations of older kernels --- */

#if IOASID_HAVE_REMOVE_DEV_PASID
static void sim_remove_dev_pasid(struct device *dev, ioasid_t pasid,
				 struct iommu_domain *domain)
{
	sim_attach(ioasid_sim_dev(dev), pasid, NULL);
}
#define SIM_PASID_OPS	.remove_dev_pasid = sim_remove_dev_pasid,
#else
#define SIM_PASID_OPS
#endif

#if IOASID_HAVE_DEV_ENABLE_FEAT
static int sim_dev_enable_feat(struct device *dev, enum iommu_dev_features feat)
{
	struct ioasid_sim_dev *sdev = ioasid_sim_dev(dev);

	switch (feat) {
	case IOMMU_DEV_FEAT_SVA:
		return sdev->unit->cfg.pasid_bits ? 0 : -ENODEV;
	case IOMMU_DEV_FEAT_IOPF:
		return sim_has_pri(sdev) ? 0 : -ENODEV;
	}
	return -ENODEV;
}

/* Both are always enabled */
static int sim_dev_disable_feat(struct device *dev, enum iommu_dev_features feat)
{
	return 0;
}
#define SIM_FEAT_OPS							\
	.dev_enable_feat = sim_dev_enable_feat,				\
	.dev_disable_feat = sim_dev_disable_feat,
#else
#define SIM_FEAT_OPS
#endif

const struct iommu_ops sim_iommu_ops = {
	.capable = sim_capable,
	.hw_info = sim_hw_info,
	SIM_ALLOC_OPS
	.domain_alloc_sva = sim_alloc_sva,
	.probe_device = sim_probe_device,
	.probe_finalize = sim_probe_finalize,
	.release_device = sim_release_device,
	.device_group = sim_device_group,
	.get_resv_regions = sim_get_resv_regions,
	.page_response = sim_page_response,
	SIM_PASID_OPS
	SIM_FEAT_OPS
	.default_domain_ops = &sim_paging_ops,
	.identity_domain = &sim_identity_domain.domain,
	.blocked_domain = &sim_blocked_domain.domain,
	.owner = THIS_MODULE,
};
