// SPDX-License-Identifier: GPL-2.0
/*
 * The commands GET_INFO, DEVICE_INFO and OPTION. Querying a device and its
 * IOMMU must never change anything.
 */
#include <linux/iommu.h>
#include <linux/pci.h>
#include <linux/slab.h>
#include <linux/uaccess.h>
#include "../compat/iommu_quirk.h"
#include "../compat/iopf.h"
#include "../nested.h"
#include "cmd.h"

/**
 * ioasid_cmd_get_info() - IOASID_GET_INFO: describe kernel and context
 * @cmd: the command, with a struct ioasid_info
 *
 * Context: a user process, no locks held; can sleep.
 *
 * Return: 0, or an error of IOASID_GET_INFO.
 */
int ioasid_cmd_get_info(struct ioasid_command *cmd)
{
	struct ioasid_info *info = cmd->arg;
	struct ioasid_ctx *ctx = cmd->ctx;
	struct ioasid_extack gone;
	struct ioasid_space *space;
	unsigned long id;

	ioasid_extack_init(&gone);
	info->caps = IOASID_CAP_MAPPED | IOASID_CAP_FILE | IOASID_CAP_REPLACE |
		     IOASID_CAP_PASID | IOASID_CAP_UNRECOVERABLE |
		     IOASID_CAP_NESTED | IOASID_CAP_SHADOW;
	if (ioasid_mm_enabled())
		info->caps |= IOASID_CAP_MM;
	if (IS_ENABLED(CONFIG_IOMMU_IOPF))
		info->caps |= IOASID_CAP_FAULT | IOASID_CAP_POLICY;
	if (ioasid_resolver_exists())
		info->caps |= IOASID_CAP_DEVICE_FD;
	info->max_vector = IOASID_MAX_VECTOR;
	info->page_size = PAGE_SIZE;
	info->nr_mappings = 0;
	info->mapped = 0;
	mutex_lock(&ctx->lock);
	info->account_mode = READ_ONCE(ctx->account_mode);
	info->nr_devices = ctx->nr_devices;
	info->nr_pasids = atomic64_read(&ctx->used[IOASID_QUOTA_PASIDS]);
	info->nr_spaces = atomic_read(&ctx->nr_spaces);
	mutex_unlock(&ctx->lock);
	xa_for_each(&ctx->spaces, id, space) {
		space = ioasid_space_get(ctx, id, &gone);
		if (IS_ERR(space))
			continue;
		info->nr_mappings += atomic64_read(&space->nr_mappings);
		info->mapped += atomic64_read(&space->mapped) << PAGE_SHIFT;
		ioasid_space_put(space);
		cond_resched();
	}
	info->pinned = atomic64_read(&ctx->pinned) << PAGE_SHIFT;
	info->max_mappings = ioasid_quota_max(ctx, IOASID_QUOTA_MAPPINGS);
	info->nr_reserved = atomic64_read(&ctx->used[IOASID_QUOTA_RESERVED]);
	info->max_reserved = ioasid_quota_max(ctx, IOASID_QUOTA_RESERVED);
	info->max_spaces = ioasid_quota_max(ctx, IOASID_QUOTA_SPACES);
	info->max_reserve = IOASID_MAX_RESERVE;
	return ioasid_respond(cmd, sizeof(*info));
}

/**
 * ioasid_cmd_option() - IOASID_OPTION: read or set an option of a context
 * @cmd: the command, with a struct ioasid_option
 *
 * Context: a user process, no locks held; can sleep.
 *
 * Return: 0, or an error of IOASID_OPTION.
 */
int ioasid_cmd_option(struct ioasid_command *cmd)
{
	struct ioasid_option *arg = cmd->arg;
	int rc = ioasid_check_zero(arg->__reserved, cmd->extack);

	if (rc)
		return rc;
	if (arg->option != IOASID_OPTION_ACCOUNT_MODE) {
		cmd->extack->value = arg->option;
		return ioasid_fail(cmd->extack, -EINVAL, IOASID_REASON_VALUE,
				   "%u is not an option", arg->option);
	}
	if (arg->flags & IOASID_OPTION_SET)
		return ioasid_set_account_mode(cmd->ctx, arg->value,
					       cmd->extack);
	arg->value = READ_ONCE(cmd->ctx->account_mode);
	return ioasid_respond(cmd, sizeof(*arg));
}

#ifdef CONFIG_PCI_PRI
static bool ioasid_pri_enabled(struct pci_dev *pdev)
{
	/* A virtual function has no capability of its own */
	return pci_physfn(pdev)->pri_enabled;
}
#else
static bool ioasid_pri_enabled(struct pci_dev *pdev)
{
	return false;
}
#endif

#ifdef CONFIG_PCI_ATS
static bool ioasid_ats_enabled(struct pci_dev *pdev)
{
	return pdev->ats_enabled;
}
#else
static bool ioasid_ats_enabled(struct pci_dev *pdev)
{
	return false;
}
#endif

static u32 ioasid_pci_caps(struct device *dev)
{
	struct pci_dev *pdev;
	u32 caps = 0;

	if (!dev_is_pci(dev))
		return 0;
	pdev = to_pci_dev(dev);
	if (ioasid_pri_enabled(pdev))
		caps |= IOASID_DEVICE_PRI;
	if (ioasid_ats_enabled(pdev))
		caps |= IOASID_DEVICE_ATS;
	return caps;
}

static int ioasid_count_device(struct device *dev, void *data)
{
	(*(u32 *)data)++;
	return 0;
}

static u32 ioasid_device_caps(struct ioasid_device *idev)
{
	struct iommu_group *group = idev->group->group;
	struct device *dev = idev->dev;
	u32 caps = ioasid_pci_caps(dev);
	u32 devices = 0;

	if (ioasid_pasid_enabled(dev))
		caps |= IOASID_DEVICE_PASID;
	if (device_iommu_capable(dev, IOMMU_CAP_CACHE_COHERENCY))
		caps |= IOASID_DEVICE_COHERENT;
	if (device_iommu_capable(dev, IOMMU_CAP_ENFORCE_CACHE_COHERENCY))
		caps |= IOASID_DEVICE_ENFORCE_COHERENT;
	if (iommu_group_has_isolated_msi(group))
		caps |= IOASID_DEVICE_ISOLATED_MSI;
	if (ioasid_dev_pasid_find(idev, IOASID_RID))
		caps |= IOASID_DEVICE_ATTACHED;
	caps |= ioasid_iommu_caps(dev);
	iommu_group_for_each_dev(group, &devices, ioasid_count_device);
	if (devices == 1)
		caps |= IOASID_DEVICE_SINGLETON;
	return caps;
}

/**
 * struct ioasid_description - what DEVICE_INFO reports besides its struct
 * @ranges: IOVA ranges
 * @nr_ranges: number of @ranges
 * @hw_info: the IOMMU driver's blob, or NULL
 * @hw_info_len: its length in bytes
 */
struct ioasid_description {
	struct ioasid_iova_range *ranges;
	u32 nr_ranges;
	void *hw_info;
	u32 hw_info_len;
};

static u32 ioasid_count_pasids(struct ioasid_device *idev)
{
	struct ioasid_dev_pasid *dev_pasid;
	unsigned long vpasid;
	u32 nr = 0;

	lockdep_assert_held(&idev->ctx->lock);
	xa_for_each_start(&idev->dev_pasids, vpasid, dev_pasid, 1)
		nr++;
	return nr;
}

/* Only collects, since user memory must not be accessed under ctx->lock */
static int ioasid_device_describe(struct ioasid_device *idev,
				  struct ioasid_device_info *arg,
				  struct ioasid_description *desc,
				  struct ioasid_extack *extack)
{
	struct device *dev = idev->dev;
	struct ioasid_dev_pasid *rid;

	lockdep_assert_held(&idev->ctx->lock);
	arg->caps = ioasid_device_caps(idev);
	arg->cookie = idev->cookie;
	arg->group_id = iommu_group_id(idev->group->group);
	arg->pasid_bits = arg->caps & IOASID_DEVICE_PASID ?
			  ilog2(dev->iommu->max_pasids) : 0;
	rid = ioasid_dev_pasid_find(idev, IOASID_RID);
	arg->ioasid = rid ? rid->att->space->id : 0;
	arg->nr_pasids = ioasid_count_pasids(idev);
	strscpy_pad(arg->name, dev_name(dev), sizeof(arg->name));
	strscpy_pad(arg->owner, idev->owner, sizeof(arg->owner));
	desc->ranges = ioasid_group_ranges(idev, &desc->nr_ranges, extack);
	if (IS_ERR(desc->ranges))
		return PTR_ERR(desc->ranges);
	desc->hw_info = compat_hw_info(dev, &desc->hw_info_len,
				       &arg->hw_info_type);
	if (!IS_ERR(desc->hw_info)) {
		arg->nest_formats = ioasid_nest_formats(dev, desc->hw_info,
							arg->hw_info_type,
							desc->hw_info_len);
		return 0;
	}
	kvfree(desc->ranges);
	return ioasid_fail(extack, PTR_ERR(desc->hw_info), IOASID_REASON_IOMMU,
			   "device %s: the IOMMU driver cannot describe its hardware (error %ld)",
			   dev_name(dev), -PTR_ERR(desc->hw_info));
}

static int ioasid_put_hw_info(const struct ioasid_device_info *arg,
			      const struct ioasid_description *desc,
			      struct ioasid_extack *extack)
{
	if (!desc->hw_info || !arg->hw_info)
		return 0;
	if (arg->hw_info_len < desc->hw_info_len) {
		extack->value = desc->hw_info_len;
		return ioasid_fail(extack, -EMSGSIZE, IOASID_REASON_LIMIT,
				   "the hardware description has %u bytes, but there is only room for %u",
				   desc->hw_info_len, arg->hw_info_len);
	}
	if (copy_to_user(u64_to_user_ptr(arg->hw_info), desc->hw_info,
			 desc->hw_info_len))
		return ioasid_fail(extack, -EFAULT, IOASID_REASON_POINTER,
				   "cannot write the hardware description");
	return 0;
}

static int ioasid_put_description(struct ioasid_command *cmd,
				  const struct ioasid_description *desc)
{
	struct ioasid_device_info *arg = cmd->arg;
	const struct ioasid_array array = {
		.uptr = arg->ranges,
		.stride = arg->range_size,
		.nr = arg->nr_ranges,
	};
	int rc, rc2;

	rc = ioasid_put_ranges(&array, desc->ranges, desc->nr_ranges,
			       cmd->extack);
	/* Reports both sizes even if one of the two does not fit */
	if (rc && rc != -EMSGSIZE)
		return rc;
	rc2 = ioasid_put_hw_info(arg, desc, cmd->extack);
	if (rc2 && rc2 != -EMSGSIZE)
		return rc2;
	arg->nr_ranges = desc->nr_ranges;
	arg->hw_info_len = desc->hw_info_len;
	return ioasid_respond(cmd, sizeof(*arg)) ?: rc ?: rc2;
}

/**
 * ioasid_cmd_device_info() - IOASID_DEVICE_INFO: describe a device
 * @cmd: the command, with a struct ioasid_device_info
 *
 * Context: a user process, no locks held; can sleep.
 *
 * Return: 0, or an error of IOASID_DEVICE_INFO.
 */
int ioasid_cmd_device_info(struct ioasid_command *cmd)
{
	struct ioasid_device_info *arg = cmd->arg;
	struct ioasid_description desc;
	struct ioasid_device *idev;
	int rc;

	mutex_lock(&cmd->ctx->lock);
	idev = ioasid_device_by_id(cmd->ctx, arg->dev_id, cmd->extack);
	if (IS_ERR(idev))
		rc = PTR_ERR(idev);
	else
		rc = ioasid_device_describe(idev, arg, &desc, cmd->extack);
	mutex_unlock(&cmd->ctx->lock);
	if (rc)
		return rc;
	rc = ioasid_put_description(cmd, &desc);
	kvfree(desc.ranges);
	kfree(desc.hw_info);
	return rc;
}
