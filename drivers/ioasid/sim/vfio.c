// SPDX-License-Identifier: GPL-2.0
/*
 * The VFIO driver of the endpoints: regions, interrupts by eventfd, reset, and
 * requests to release the device. include/uapi/linux/ioasid_sim.h describes what
 * a program sees. It must never translate an address or access a page of the
 * user: DMA goes through the IOMMU, in engine.c.
 */
#include <linux/err.h>
#include <linux/io.h>
#include <linux/iommu.h>
#include <linux/module.h>
#include <linux/mm.h>
#include <linux/platform_device.h>
#include <linux/slab.h>
#include <linux/uaccess.h>
#include <linux/vmalloc.h>
#include "../compat/namespace.h"
#include "engine.h"
#include "vfio_compat.h"

/* A file offset is the index of a region above the offset in the region */
#define SIM_REGION_SHIFT	40
#define SIM_REGION_OFFSET(n)	((u64)(n) << SIM_REGION_SHIFT)
#define SIM_REGION_MASK		(SIM_REGION_OFFSET(1) - 1)

static struct sim_endpoint *to_endpoint(struct vfio_device *vdev)
{
	return container_of(vdev, struct sim_endpoint, vdev);
}

/* --- interrupts ---------------------------------------------------------------- */

/**
 * sim_irq_signal() - raise an interrupt
 * @ep: the endpoint
 * @index: IOASID_SIM_IRQ_*
 *
 * Context: can sleep; takes sim_endpoint.irq_lock.
 *
 * Return: false if the interrupt has no eventfd, and nothing was done.
 */
bool sim_irq_signal(struct sim_endpoint *ep, u32 index)
{
	guard(mutex)(&ep->irq_lock);
	if (!ep->irq[index])
		return false;
	eventfd_signal(ep->irq[index]);
	return true;
}

static void sim_irq_set(struct sim_endpoint *ep, u32 index, struct eventfd_ctx *ctx)
{
	mutex_lock(&ep->irq_lock);
	swap(ep->irq[index], ctx);
	mutex_unlock(&ep->irq_lock);
	if (ctx)
		eventfd_ctx_put(ctx);
}

static int sim_irq_set_fd(struct sim_endpoint *ep, u32 index, s32 fd)
{
	struct eventfd_ctx *ctx = NULL;

	if (fd >= 0) {
		ctx = eventfd_ctx_fdget(fd);
		if (IS_ERR(ctx))
			return PTR_ERR(ctx);
	} else if (fd != -1) {
		return -EINVAL;
	}
	sim_irq_set(ep, index, ctx);
	return 0;
}

/* VFIO_IRQ_SET_DATA_NONE with a count of 0 disables the interrupt */
static long sim_irq_trigger(struct sim_endpoint *ep, const struct vfio_irq_set *set,
			    const void *data)
{
	switch (set->flags & VFIO_IRQ_SET_DATA_TYPE_MASK) {
	case VFIO_IRQ_SET_DATA_EVENTFD:
		return set->count ? sim_irq_set_fd(ep, set->index, *(s32 *)data) : -EINVAL;
	case VFIO_IRQ_SET_DATA_BOOL:
		if (set->count && *(u8 *)data)
			sim_irq_signal(ep, set->index);
		return set->count ? 0 : -EINVAL;
	default:
		if (set->count)
			sim_irq_signal(ep, set->index);
		else
			sim_irq_set(ep, set->index, NULL);
		return 0;
	}
}

static long sim_ioctl_set_irqs(struct sim_endpoint *ep, void __user *arg)
{
	size_t minsz = offsetofend(struct vfio_irq_set, count), size = 0;
	struct vfio_irq_set set;
	s32 data = 0;
	int rc;

	if (copy_from_user(&set, arg, minsz))
		return -EFAULT;
	rc = vfio_set_irqs_validate_and_prepare(&set, 1, IOASID_SIM_NR_IRQS, &size);
	if (rc)
		return rc;
	if ((set.flags & VFIO_IRQ_SET_ACTION_TYPE_MASK) != VFIO_IRQ_SET_ACTION_TRIGGER)
		return -EINVAL;
	/* Each index has one interrupt, so there is at most one value */
	if (size > sizeof(data))
		return -EINVAL;
	if (copy_from_user(&data, arg + minsz, size))
		return -EFAULT;
	return sim_irq_trigger(ep, &set, &data);
}

static long sim_ioctl_irq_info(void __user *arg)
{
	size_t minsz = offsetofend(struct vfio_irq_info, count);
	struct vfio_irq_info info;

	if (copy_from_user(&info, arg, minsz))
		return -EFAULT;
	if (info.argsz < minsz || info.index >= IOASID_SIM_NR_IRQS)
		return -EINVAL;
	info.flags = VFIO_IRQ_INFO_EVENTFD | VFIO_IRQ_INFO_NORESIZE;
	info.count = 1;
	return copy_to_user(arg, &info, minsz) ? -EFAULT : 0;
}

/* --- information ------------------------------------------------------------------ */

static long sim_ioctl_info(void __user *arg)
{
	size_t minsz = offsetofend(struct vfio_device_info, num_irqs);
	struct vfio_device_info info;

	if (copy_from_user(&info, arg, minsz))
		return -EFAULT;
	if (info.argsz < minsz)
		return -EINVAL;
	info.flags = VFIO_DEVICE_FLAGS_PLATFORM | VFIO_DEVICE_FLAGS_RESET;
	info.num_regions = IOASID_SIM_NR_REGIONS;
	info.num_irqs = IOASID_SIM_NR_IRQS;
	return copy_to_user(arg, &info, minsz) ? -EFAULT : 0;
}

/**
 * sim_region_info() - implement VFIO_DEVICE_GET_REGION_INFO
 * @vdev: the device
 * @info: in: @index; out: what follows it, without capabilities
 *
 * Context: any.
 *
 * Return: 0, or -EINVAL if there is no such region.
 */
int sim_region_info(struct vfio_device *vdev, struct vfio_region_info *info)
{
	info->flags = VFIO_REGION_INFO_FLAG_READ | VFIO_REGION_INFO_FLAG_WRITE;
	switch (info->index) {
	case IOASID_SIM_REGION_REGISTERS:
		info->size = PAGE_SIZE;
		break;
	case IOASID_SIM_REGION_MEMORY:
		info->flags |= VFIO_REGION_INFO_FLAG_MMAP;
		info->size = IOASID_SIM_MEMORY_BYTES;
		break;
	default:
		return -EINVAL;
	}
	info->cap_offset = 0;
	info->offset = SIM_REGION_OFFSET(info->index);
	return 0;
}

/* --- regions ------------------------------------------------------------------------- */

static ssize_t sim_read_stat(struct sim_endpoint *ep, char __user *buf, size_t count, u64 pos)
{
	struct ioasid_sim_stats stats;
	u64 offset = pos - IOASID_SIM_REG_STATS;

	static_assert(sizeof(stats) == IOASID_SIM_NR_STATS * sizeof(u64));
	static_assert(offsetof(struct ioasid_sim_stats, outstanding) ==
		      IOASID_SIM_STAT_OUTSTANDING * sizeof(u64));
	if (count != sizeof(u64) || offset % sizeof(u64) || offset >= sizeof(stats))
		return -EINVAL;
	ioasid_sim_get_stats(ep->sdev, &stats);
	return copy_to_user(buf, (u8 *)&stats + offset, sizeof(u64)) ? -EFAULT : count;
}

static ssize_t sim_read_register(struct sim_endpoint *ep, char __user *buf, size_t count,
				 u64 pos)
{
	u32 value;

	if (pos >= IOASID_SIM_REG_STATS)
		return sim_read_stat(ep, buf, count, pos);
	if (count != sizeof(value))
		return -EINVAL;
	switch (pos) {
	case IOASID_SIM_REG_ID:
		value = IOASID_SIM_ID;
		break;
	case IOASID_SIM_REG_SLOTS:
		value = IOASID_SIM_SLOTS;
		break;
	case IOASID_SIM_REG_BUFFER:
		value = IOASID_SIM_BUFFER_BYTES;
		break;
	case IOASID_SIM_REG_RUNNING:
		value = sim_engine_running(ep);
		break;
	default:
		return -EINVAL;
	}
	return copy_to_user(buf, &value, sizeof(value)) ? -EFAULT : count;
}

static ssize_t sim_write_register(struct sim_endpoint *ep, const char __user *buf, size_t count,
				  u64 pos)
{
	u32 slots[IOASID_SIM_SLOTS];

	if (pos != IOASID_SIM_REG_DOORBELL || !count || count % sizeof(*slots) ||
	    count > sizeof(slots))
		return -EINVAL;
	if (copy_from_user(slots, buf, count))
		return -EFAULT;
	guard(mutex)(&ep->lock);
	return sim_engine_ring(ep, slots, count / sizeof(*slots)) ?: count;
}

/* Limits @count to the bytes of region 1 from @pos on */
static size_t sim_memory_left(u64 pos, size_t count)
{
	return pos < IOASID_SIM_MEMORY_BYTES ? min_t(u64, count, IOASID_SIM_MEMORY_BYTES - pos) : 0;
}

static ssize_t sim_read(struct vfio_device *vdev, char __user *buf, size_t count, loff_t *ppos)
{
	struct sim_endpoint *ep = to_endpoint(vdev);
	u64 pos = *ppos & SIM_REGION_MASK;
	ssize_t rc = -EINVAL;

	switch (*ppos >> SIM_REGION_SHIFT) {
	case IOASID_SIM_REGION_REGISTERS:
		rc = sim_read_register(ep, buf, count, pos);
		break;
	case IOASID_SIM_REGION_MEMORY:
		rc = sim_memory_left(pos, count);
		/* Completions, and other threads of the user, write at the same time */
		if (data_race(copy_to_user(buf, ep->memory + pos, rc)))
			rc = -EFAULT;
		break;
	}
	if (rc > 0)
		*ppos += rc;
	return rc;
}

static ssize_t sim_write(struct vfio_device *vdev, const char __user *buf, size_t count,
			 loff_t *ppos)
{
	struct sim_endpoint *ep = to_endpoint(vdev);
	u64 pos = *ppos & SIM_REGION_MASK;
	ssize_t rc = -EINVAL;

	switch (*ppos >> SIM_REGION_SHIFT) {
	case IOASID_SIM_REGION_REGISTERS:
		rc = sim_write_register(ep, buf, count, pos);
		break;
	case IOASID_SIM_REGION_MEMORY:
		rc = sim_memory_left(pos, count);
		/* The user may write by other means at the same time */
		if (data_race(copy_from_user(ep->memory + pos, buf, rc)))
			rc = -EFAULT;
		break;
	}
	if (rc > 0)
		*ppos += rc;
	return rc;
}

/* VM_IO, as for memory of a device, so that the pages cannot be pinned for DMA */
static int sim_mmap(struct vfio_device *vdev, struct vm_area_struct *vma)
{
	struct sim_endpoint *ep = to_endpoint(vdev);
	u64 first = (u64)vma->vm_pgoff << PAGE_SHIFT, len = vma->vm_end - vma->vm_start;
	u64 pos = first & SIM_REGION_MASK, off;
	int rc = 0;

	if (first >> SIM_REGION_SHIFT != IOASID_SIM_REGION_MEMORY || !(vma->vm_flags & VM_SHARED))
		return -EINVAL;
	if (pos >= IOASID_SIM_MEMORY_BYTES || len > IOASID_SIM_MEMORY_BYTES - pos)
		return -EINVAL;
	vm_flags_set(vma, VM_IO | VM_DONTEXPAND | VM_DONTDUMP);
	for (off = 0; !rc && off < len; off += PAGE_SIZE)
		rc = vm_insert_page(vma, vma->vm_start + off,
				    vmalloc_to_page(ep->memory + pos + off));
	return rc;
}

/* --- the rest of VFIO -------------------------------------------------------------------- */

static long sim_ioctl_reset(struct sim_endpoint *ep)
{
	guard(mutex)(&ep->lock);
	return sim_engine_reset(ep);
}

static long sim_ioctl(struct vfio_device *vdev, unsigned int cmd, unsigned long arg)
{
	struct sim_endpoint *ep = to_endpoint(vdev);
	void __user *uarg = (void __user *)arg;

	switch (cmd) {
	case VFIO_DEVICE_GET_INFO:
		return sim_ioctl_info(uarg);
	case VFIO_DEVICE_GET_REGION_INFO:
		return sim_ioctl_region_info(vdev, uarg);
	case VFIO_DEVICE_GET_IRQ_INFO:
		return sim_ioctl_irq_info(uarg);
	case VFIO_DEVICE_SET_IRQS:
		return sim_ioctl_set_irqs(ep, uarg);
	case VFIO_DEVICE_RESET:
		return sim_ioctl_reset(ep);
	default:
		return -ENOTTY;
	}
}

static int sim_open_device(struct vfio_device *vdev)
{
	struct sim_endpoint *ep = to_endpoint(vdev);

	guard(mutex)(&ep->lock);
	return sim_engine_open(ep);
}

/* Ends all DMA, since the domain is detached after this */
static void sim_close_device(struct vfio_device *vdev)
{
	struct sim_endpoint *ep = to_endpoint(vdev);
	u32 i;

	mutex_lock(&ep->lock);
	sim_engine_close(ep);
	mutex_unlock(&ep->lock);
	for (i = 0; i < IOASID_SIM_NR_IRQS; i++)
		sim_irq_set(ep, i, NULL);
}

/* VFIO repeats it every ten seconds, so log that the user has set no eventfd */
static void sim_request(struct vfio_device *vdev, unsigned int count)
{
	struct sim_endpoint *ep = to_endpoint(vdev);

	if (!sim_irq_signal(ep, IOASID_SIM_IRQ_REQUEST) && count)
		dev_notice_ratelimited(vdev->dev, "is to be released, but its user has set no eventfd for requests\n");
}

static int sim_init_device(struct vfio_device *vdev)
{
	struct sim_endpoint *ep = to_endpoint(vdev);

	ep->sdev = ioasid_sim_dev(vdev->dev);
	if (!ep->sdev)
		return -ENODEV;
	ep->wq = alloc_workqueue("%s", WQ_UNBOUND, IOASID_SIM_SLOTS, dev_name(vdev->dev));
	if (!ep->wq)
		return -ENOMEM;
	mutex_init(&ep->lock);
	mutex_init(&ep->irq_lock);
	spin_lock_init(&ep->running_lock);
	init_waitqueue_head(&ep->idle);
	return 0;
}

static void sim_release_device(struct vfio_device *vdev)
{
	struct sim_endpoint *ep = to_endpoint(vdev);

	destroy_workqueue(ep->wq);
	mutex_destroy(&ep->irq_lock);
	mutex_destroy(&ep->lock);
}

static const struct vfio_device_ops sim_vfio_ops = {
	.name = "ioasid-sim",
	.init = sim_init_device,
	.release = sim_release_device,
	.open_device = sim_open_device,
	.close_device = sim_close_device,
	.read = sim_read,
	.write = sim_write,
	.ioctl = sim_ioctl,
	SIM_REGION_INFO_OP
	.mmap = sim_mmap,
	.request = sim_request,
	.bind_iommufd = vfio_iommufd_physical_bind,
	.unbind_iommufd = vfio_iommufd_physical_unbind,
	.attach_ioas = vfio_iommufd_physical_attach_ioas,
	.detach_ioas = vfio_iommufd_physical_detach_ioas,
	SIM_PASID_IOAS_OPS
};

static int sim_probe(struct platform_device *pdev)
{
	struct sim_endpoint *ep;
	int rc;

	ep = vfio_alloc_device(sim_endpoint, vdev, &pdev->dev, &sim_vfio_ops);
	if (IS_ERR(ep))
		return PTR_ERR(ep);
	platform_set_drvdata(pdev, ep);
	rc = vfio_register_group_dev(&ep->vdev);
	if (rc)
		vfio_put_device(&ep->vdev);
	return rc;
}

/* Waits until the device is closed */
static void sim_remove(struct platform_device *pdev)
{
	struct sim_endpoint *ep = platform_get_drvdata(pdev);

	vfio_unregister_group_dev(&ep->vdev);
	vfio_put_device(&ep->vdev);
}

static struct platform_driver sim_driver = {
	.probe = sim_probe,
	.remove = sim_remove,
	.driver = {
		.name = IOASID_SIM_ENDPOINT,
	},
	/* VFIO owns the DMA of the group while a user has the device open */
	.driver_managed_dma = true,
};

static int __init sim_vfio_init(void)
{
	int rc = platform_driver_register(&sim_driver);

	if (rc)
		return rc;
	rc = ioasid_sim_plug();
	if (rc)
		platform_driver_unregister(&sim_driver);
	return rc;
}

static void __exit sim_vfio_exit(void)
{
	ioasid_sim_unplug();
	platform_driver_unregister(&sim_driver);
}

module_init(sim_vfio_init);
module_exit(sim_vfio_exit);

MODULE_DESCRIPTION("VFIO driver of the endpoints of ioasid_sim");
MODULE_AUTHOR("The ioasid developers");
MODULE_LICENSE("GPL");
MODULE_ALIAS("platform:" IOASID_SIM_ENDPOINT);
IOASID_IMPORT_NS(IOASID_SIM);
