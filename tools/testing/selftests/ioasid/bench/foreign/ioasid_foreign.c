// SPDX-License-Identifier: GPL-2.0
/*
 * A second IOMMU for the benchmark: no hardware, only page tables by the
 * kernel's own generic page table code, and one device behind it that VFIO can
 * own. It never does DMA. With it a container or a space that has a PCI device
 * needs a second, foreign domain, which no machine of the lab has by itself.
 *
 * A write of a number to the device makes it send so many page requests, at once
 * and in the context of the writer, so that they cost next to nothing themselves;
 * a read returns how many have been answered since the module was loaded.
 */
#include <linux/dma-mapping.h>
#include <linux/generic_pt/iommu.h>
#include <linux/iommu.h>
#include <linux/module.h>
#include <linux/platform_device.h>
#include <linux/property.h>
#include <linux/sizes.h>
#include <linux/slab.h>
#include <linux/uaccess.h>
#include <linux/vfio.h>
#include "iommu_pages.h"

#define NAME		"ioasid-foreign"
#define MAX_REQUESTS	512

struct foreign_domain {
	union {
		struct iommu_domain domain;
		struct pt_iommu iommu;
		struct pt_iommu_x86_64 table;
	};
};
PT_IOMMU_CHECK_DOMAIN(struct foreign_domain, iommu, domain);
PT_IOMMU_CHECK_DOMAIN(struct foreign_domain, table.iommu, domain);

struct foreign_device {
	struct vfio_device vdev;
};

static struct iommu_device foreign_iommu;
static struct fwnode_handle *foreign_fwnode;
static struct platform_device *foreign_pdev;
static struct iopf_queue *foreign_iopf;
static atomic64_t foreign_answers;

static bool foreign_capable(struct device *dev, enum iommu_cap cap)
{
	return cap == IOMMU_CAP_CACHE_COHERENCY;
}

static struct iommu_device *foreign_probe(struct device *dev)
{
	return &foreign_iommu;
}

static int foreign_attach(struct iommu_domain *domain, struct device *dev,
			  struct iommu_domain *old)
{
	return 0;
}

static void foreign_sync(struct iommu_domain *domain,
			 struct iommu_iotlb_gather *gather)
{
	/* There is no TLB; the tables that an unmap has emptied are free now */
	iommu_put_pages_list(&gather->freelist);
}

static void foreign_flush_all(struct iommu_domain *domain)
{
}

static void foreign_free(struct iommu_domain *domain)
{
	struct foreign_domain *d = container_of(domain, struct foreign_domain,
						domain);

	pt_iommu_deinit(&d->iommu);
	kfree(d);
}

static const struct iommu_domain_ops foreign_paging_ops = {
	IOMMU_PT_DOMAIN_OPS(x86_64),
	.attach_dev = foreign_attach,
	.iotlb_sync = foreign_sync,
	.flush_iotlb_all = foreign_flush_all,
	.free = foreign_free,
};

static struct iommu_domain *foreign_alloc(struct device *dev)
{
	struct pt_iommu_x86_64_cfg cfg = {
		.common.features = BIT(PT_FEAT_SIGN_EXTEND) |
				   BIT(PT_FEAT_FLUSH_RANGE),
		.common.hw_max_vasz_lg2 = 48,
		.common.hw_max_oasz_lg2 = 52,
		.top_level = 3,
	};
	struct foreign_domain *d = kzalloc(sizeof(*d), GFP_KERNEL);
	int rc;

	if (!d)
		return ERR_PTR(-ENOMEM);
	d->iommu.nid = NUMA_NO_NODE;
	d->domain.ops = &foreign_paging_ops;
	rc = pt_iommu_x86_64_init(&d->table, &cfg, GFP_KERNEL);
	if (rc) {
		kfree(d);
		return ERR_PTR(rc);
	}
	return &d->domain;
}

static struct iommu_domain *
foreign_alloc_flags(struct device *dev, u32 flags,
		    const struct iommu_user_data *user_data)
{
	return flags || user_data ? ERR_PTR(-EOPNOTSUPP) : foreign_alloc(dev);
}

static const struct iommu_domain_ops foreign_fixed_ops = {
	.attach_dev = foreign_attach,
};

static struct iommu_domain foreign_identity = {
	.type = IOMMU_DOMAIN_IDENTITY,
	.ops = &foreign_fixed_ops,
};

static struct iommu_domain foreign_blocked = {
	.type = IOMMU_DOMAIN_BLOCKED,
	.ops = &foreign_fixed_ops,
};

static int foreign_default(struct device *dev)
{
	return IOMMU_DOMAIN_IDENTITY;
}

static void foreign_probe_finalize(struct device *dev)
{
	if (iopf_queue_add_device(foreign_iopf, dev))
		dev_err(dev, "no page requests\n");
}

static void foreign_release(struct device *dev)
{
	iopf_queue_remove_device(foreign_iopf, dev);
}

static void foreign_answer(struct device *dev, struct iopf_fault *evt,
			   struct iommu_page_response *msg)
{
	atomic64_inc(&foreign_answers);
}

static const struct iommu_ops foreign_ops = {
	.owner = THIS_MODULE,
	.capable = foreign_capable,
	.probe_device = foreign_probe,
	.probe_finalize = foreign_probe_finalize,
	.release_device = foreign_release,
	.page_response = foreign_answer,
	.device_group = generic_device_group,
	.def_domain_type = foreign_default,
	.domain_alloc_paging_flags = foreign_alloc_flags,
	.identity_domain = &foreign_identity,
	.blocked_domain = &foreign_blocked,
};

static int foreign_open(struct vfio_device *vdev)
{
	return 0;
}

static void foreign_request(struct device *dev, u32 i)
{
	struct iopf_fault evt = {
		.fault.type = IOMMU_FAULT_PAGE_REQ,
		.fault.prm = {
			.flags = IOMMU_FAULT_PAGE_REQUEST_LAST_PAGE,
			.grpid = i,
			.perm = IOMMU_FAULT_PERM_READ,
			.addr = SZ_4G + (u64)i * SZ_4K,
		},
	};

	iommu_report_device_fault(dev, &evt);
}

static ssize_t foreign_write(struct vfio_device *vdev, const char __user *buf,
			     size_t count, loff_t *pos)
{
	u32 nr, i;

	if (count != sizeof(nr))
		return -EINVAL;
	if (copy_from_user(&nr, buf, sizeof(nr)))
		return -EFAULT;
	if (nr > MAX_REQUESTS)
		return -EINVAL;
	for (i = 0; i < nr; i++)
		foreign_request(vdev->dev, i);
	return count;
}

static ssize_t foreign_read(struct vfio_device *vdev, char __user *buf,
			    size_t count, loff_t *pos)
{
	u64 answers = atomic64_read(&foreign_answers);

	if (count != sizeof(answers))
		return -EINVAL;
	return copy_to_user(buf, &answers, sizeof(answers)) ? -EFAULT : count;
}

static const struct vfio_device_ops foreign_vfio_ops = {
	.name = NAME,
	.open_device = foreign_open,
	.read = foreign_read,
	.write = foreign_write,
	/* NULL where the kernel has no iommufd */
	.bind_iommufd = vfio_iommufd_physical_bind,
	.unbind_iommufd = vfio_iommufd_physical_unbind,
	.attach_ioas = vfio_iommufd_physical_attach_ioas,
	.detach_ioas = vfio_iommufd_physical_detach_ioas,
};

static int foreign_bind(struct platform_device *pdev)
{
	struct foreign_device *f;
	int rc;

	f = vfio_alloc_device(foreign_device, vdev, &pdev->dev,
			      &foreign_vfio_ops);
	if (IS_ERR(f))
		return PTR_ERR(f);
	rc = vfio_register_group_dev(&f->vdev);
	if (rc) {
		vfio_put_device(&f->vdev);
		return rc;
	}
	platform_set_drvdata(pdev, f);
	return 0;
}

static void foreign_unbind(struct platform_device *pdev)
{
	struct foreign_device *f = platform_get_drvdata(pdev);

	vfio_unregister_group_dev(&f->vdev);
	vfio_put_device(&f->vdev);
}

static struct platform_driver foreign_driver = {
	.probe = foreign_bind,
	.remove = foreign_unbind,
	.driver.name = NAME,
	.driver_managed_dma = true,
};

static int foreign_add_iommu(void)
{
	int rc;

	foreign_fwnode = fwnode_create_software_node(NULL, NULL);
	if (IS_ERR(foreign_fwnode))
		return PTR_ERR(foreign_fwnode);
	foreign_iommu.fwnode = foreign_fwnode;
	/* Before it is registered: devices are linked to its sysfs entry */
	rc = iommu_device_sysfs_add(&foreign_iommu, NULL, NULL, NAME);
	if (rc)
		goto remove_node;
	rc = iommu_device_register(&foreign_iommu, &foreign_ops, NULL);
	if (!rc)
		return 0;
	iommu_device_sysfs_remove(&foreign_iommu);
remove_node:
	fwnode_remove_software_node(foreign_fwnode);
	return rc;
}

static void foreign_remove_iommu(void)
{
	iommu_device_unregister(&foreign_iommu);
	iommu_device_sysfs_remove(&foreign_iommu);
	fwnode_remove_software_node(foreign_fwnode);
}

static int foreign_add_device(void)
{
	int rc;

	foreign_pdev = platform_device_alloc(NAME, PLATFORM_DEVID_NONE);
	if (!foreign_pdev)
		return -ENOMEM;
	/* Before it is added: that is when it gets its group */
	rc = iommu_fwspec_init(&foreign_pdev->dev, foreign_fwnode);
	if (!rc)
		rc = platform_device_add(foreign_pdev);
	if (rc)
		platform_device_put(foreign_pdev);
	return rc;
}

static int __init foreign_init(void)
{
	int rc;

	foreign_iopf = iopf_queue_alloc(NAME);
	if (!foreign_iopf)
		return -ENOMEM;
	rc = foreign_add_iommu();
	if (rc)
		goto free_iopf;
	rc = foreign_add_device();
	if (rc)
		goto remove_iommu;
	rc = platform_driver_register(&foreign_driver);
	if (!rc)
		return 0;
	platform_device_unregister(foreign_pdev);
remove_iommu:
	foreign_remove_iommu();
free_iopf:
	iopf_queue_free(foreign_iopf);
	return rc;
}

static void __exit foreign_exit(void)
{
	platform_driver_unregister(&foreign_driver);
	platform_device_unregister(foreign_pdev);
	foreign_remove_iommu();
	iopf_queue_free(foreign_iopf);
}

module_init(foreign_init);
module_exit(foreign_exit);

MODULE_DESCRIPTION("A foreign IOMMU without hardware, for benchmarks");
MODULE_LICENSE("GPL");
MODULE_IMPORT_NS("GENERIC_PT_IOMMU");
