// SPDX-License-Identifier: GPL-2.0
/*
 * DEVICE_INFO: what a device and its IOMMU can do, found out without changing
 * anything.
 */
#include <linux/iommu.h>
#include <linux/pci.h>
#include <linux/slab.h>
#include <linux/uaccess.h>
#include "ioasid_private.h"

#ifdef CONFIG_PCI_PASID
static bool ioasid_pasid_enabled(struct pci_dev *pdev)
{
	/* A virtual function has no capability of its own */
	return pci_physfn(pdev)->pasid_enabled;
}
#else
static bool ioasid_pasid_enabled(struct pci_dev *pdev)
{
	return false;
}
#endif

#ifdef CONFIG_PCI_PRI
static bool ioasid_pri_enabled(struct pci_dev *pdev)
{
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
	/* The width alone does not tell: enabling can have failed */
	if (ioasid_pasid_enabled(pdev) && dev->iommu->max_pasids)
		caps |= IOASID_DEVICE_PASID;
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

	if (device_iommu_capable(dev, IOMMU_CAP_CACHE_COHERENCY))
		caps |= IOASID_DEVICE_COHERENT;
	if (device_iommu_capable(dev, IOMMU_CAP_ENFORCE_CACHE_COHERENCY))
		caps |= IOASID_DEVICE_ENFORCE_COHERENT;
	if (iommu_group_has_isolated_msi(group))
		caps |= IOASID_DEVICE_ISOLATED_MSI;
	if (compat_can_read_dirty() &&
	    device_iommu_capable(dev, IOMMU_CAP_DIRTY_TRACKING))
		caps |= IOASID_DEVICE_DIRTY;
	if (idev->rid)
		caps |= IOASID_DEVICE_ATTACHED;
	iommu_group_for_each_dev(group, &devices, ioasid_count_device);
	if (devices == 1)
		caps |= IOASID_DEVICE_SINGLETON;
	return caps;
}

/* The IOVA that a space with this device alone could use */
static int ioasid_device_ranges(struct ioasid_device *idev,
				struct ioasid_device_info *arg,
				struct ioasid_explain *why)
{
	struct ioasid_iova_range *ranges;
	u32 nr;
	int rc;

	ranges = ioasid_group_ranges(idev, &nr, why);
	if (IS_ERR(ranges))
		return PTR_ERR(ranges);
	rc = ioasid_put_ranges(arg->ranges, arg->nr_ranges, ranges, nr, why);
	arg->nr_ranges = nr;
	kvfree(ranges);
	return rc;
}

static int ioasid_device_hw_info(struct device *dev,
				 struct ioasid_device_info *arg,
				 struct ioasid_explain *why)
{
	u32 room = arg->hw_info_len;
	void *blob;
	int rc = 0;

	blob = compat_hw_info(dev, &arg->hw_info_len, &arg->hw_info_type);
	if (IS_ERR(blob))
		return ioasid_fail(why, PTR_ERR(blob), IOASID_REASON_IOMMU,
				   "device %s: the IOMMU driver does not describe its hardware (error %ld)",
				   dev_name(dev), -PTR_ERR(blob));
	if (!blob || !arg->hw_info)
		goto free;
	if (room < arg->hw_info_len) {
		why->value = arg->hw_info_len;
		rc = ioasid_fail(why, -EMSGSIZE, IOASID_REASON_LIMIT,
				 "the description has %u bytes, and there is room for %u",
				 arg->hw_info_len, room);
	} else if (copy_to_user(u64_to_user_ptr(arg->hw_info), blob,
				arg->hw_info_len)) {
		rc = ioasid_fail(why, -EFAULT, IOASID_REASON_POINTER,
				 "cannot write the hardware description");
	}
free:
	kfree(blob);
	return rc;
}

static int ioasid_device_describe(struct ioasid_device *idev,
				  struct ioasid_device_info *arg,
				  struct ioasid_explain *why)
{
	int rc, rc2;

	arg->caps = ioasid_device_caps(idev);
	arg->cookie = idev->cookie;
	arg->group_id = iommu_group_id(idev->group->group);
	arg->pasid_bits = arg->caps & IOASID_DEVICE_PASID ?
			  ilog2(idev->dev->iommu->max_pasids) : 0;
	arg->ioasid = idev->rid ? idev->rid->space->id : 0;
	strscpy(arg->name, dev_name(idev->dev), sizeof(arg->name));
	strscpy(arg->owner, idev->owner, sizeof(arg->owner));
	rc = ioasid_device_ranges(idev, arg, why);
	/* Too little room for one must not hide how much the other needs */
	if (rc && rc != -EMSGSIZE)
		return rc;
	rc2 = ioasid_device_hw_info(idev->dev, arg, why);
	return rc2 && rc2 != -EMSGSIZE ? rc2 : rc ?: rc2;
}

int ioasid_cmd_device_info(struct ioasid_command *cmd)
{
	struct ioasid_device_info *arg = cmd->arg;
	struct ioasid_ctx *ctx = cmd->ctx;
	struct ioasid_device *idev;
	int rc = -ENOENT, rc2;

	mutex_lock(&ctx->lock);
	idev = ioasid_device_by_id(ctx, arg->dev_id, cmd->why);
	if (idev)
		rc = ioasid_device_describe(idev, arg, cmd->why);
	mutex_unlock(&ctx->lock);
	if (rc && rc != -EMSGSIZE)
		return rc;
	rc2 = ioasid_respond(cmd, sizeof(*arg));
	return rc2 ?: rc;
}
