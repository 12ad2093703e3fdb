// SPDX-License-Identifier: GPL-2.0
/*
 * Spaces that are the address space of a process (SVA). The IOMMU core binds
 * them, keeps their page tables and chooses the PASID of the process. Nothing here may pin memory, or let a process expose the memory
 * of another one.
 */
#include <linux/capability.h>
#include <linux/cred.h>
#include <linux/iommu.h>
#include <linux/moduleparam.h>
#include <linux/sched/mm.h>
#include <linux/sched/signal.h>
#include "compat/drain.h"
#include "compat/iopf.h"
#include "mm.h"

enum ioasid_mm_for {
	IOASID_MM_FOR_NOBODY,
	IOASID_MM_FOR_ADMIN,
	IOASID_MM_FOR_ALL,
};

static uint ioasid_mm_spaces = IOASID_MM_FOR_ADMIN;
module_param_named(mm_spaces, ioasid_mm_spaces, uint, 0644);
MODULE_PARM_DESC(mm_spaces,
		 "Processes that can share their memory with devices: 0 none, 1 with CAP_SYS_ADMIN, 2 all");

static bool ioasid_mm_allowed(void)
{
	uint allowed = READ_ONCE(ioasid_mm_spaces);

	return allowed == IOASID_MM_FOR_ADMIN ?
		       ns_capable_noaudit(&init_user_ns, CAP_SYS_ADMIN) :
		       allowed != IOASID_MM_FOR_NOBODY;
}

/**
 * ioasid_mm_enabled() - check whether the caller can have spaces of processes
 *
 * The IOMMU core binds processes under one lock, and waits for mmap_lock there,
 * which threads of the process can hold for any length of time (up to Linux 7.3
 * at least): not for those who may want to harm others.
 *
 * Context: a user process.
 *
 * Return: false if the kernel has no support, or mm_spaces forbids it.
 */
bool ioasid_mm_enabled(void)
{
	return compat_shares_mm() && ioasid_mm_allowed();
}

/* mm_count, not mm_users, so that the memory is freed when the process exits */
static int ioasid_mm_init(struct ioasid_space *space,
			  const struct ioasid_space_params *params,
			  struct ioasid_extack *extack)
{
	space->mm = current->mm;
	mmgrab(space->mm);
	return 0;
}

static void ioasid_mm_destroy(struct ioasid_space *space)
{
	mmdrop(space->mm);
	if (space->mm_pasid)
		ioasid_mm_pasid_put(space->mm_pasid);
}

/* Before the first bind, which gives the process a PASID if it has none yet */
static int ioasid_mm_charge(struct ioasid_space *space,
			    struct ioasid_extack *extack)
{
	struct ioasid_mm_pasid *p;

	lockdep_assert_held(&space->ctx->lock);
	if (space->mm_pasid)
		return 0;
	p = ioasid_mm_pasid_get(space->ctx, space->mm, extack);
	if (IS_ERR(p))
		return PTR_ERR(p);
	space->mm_pasid = p;
	return 0;
}

/* After a bind that has failed before it made a PASID */
static void ioasid_mm_uncharge(struct ioasid_space *space)
{
	lockdep_assert_held(&space->ctx->lock);
	if (mm_valid_pasid(space->mm))
		return;
	ioasid_mm_pasid_put(space->mm_pasid);
	space->mm_pasid = NULL;
}

static int ioasid_mm_bind_failed(struct device *dev, int rc,
				 struct ioasid_extack *extack)
{
	/* The kernel gives up on any signal (mm_take_all_locks()) */
	if (rc == -EINTR && !fatal_signal_pending(current))
		return -ERESTARTNOINTR;
	if (rc == -EINTR)
		return ioasid_fail(extack, rc, IOASID_REASON_KILLED,
				   "killed while binding the process");
	if (rc == -ENODEV || rc == -EOPNOTSUPP)
		return ioasid_fail(extack, rc, IOASID_REASON_NO_SVA,
				   "device %s or its IOMMU cannot share the address space of a process",
				   dev_name(dev));
	if (rc == -ENOSPC)
		return ioasid_fail(extack, rc, IOASID_REASON_LIMIT,
				   "device %s: no PASID that it can use is left",
				   dev_name(dev));
	if (rc == -EBUSY)
		return ioasid_fail(extack, rc, IOASID_REASON_RESET,
				   "device %s is being reset, or the PASID of the process is in use: try again",
				   dev_name(dev));
	return ioasid_fail(extack, rc, IOASID_REASON_IOMMU,
			   "device %s: the IOMMU driver cannot attach the address space of the process (error %d)",
			   dev_name(dev), -rc);
}

/* -ENODEV: without page requests the device only reaches present pages */
static int ioasid_sva_enable(struct ioasid_dev_pasid *dev_pasid)
{
	struct ioasid_device *idev = dev_pasid->idev;
	int rc = ioasid_iopf_get(idev);

	lockdep_assert_held(&idev->ctx->lock);
	dev_pasid->iopf = !rc;
	if (rc && rc != -ENODEV)
		return rc;
	rc = idev->nr_sva ? 0 : compat_sva_enable(idev->dev);
	if (!rc)
		idev->nr_sva++;
	else if (dev_pasid->iopf)
		ioasid_iopf_put(idev);
	return rc;
}

static void ioasid_sva_disable(struct ioasid_dev_pasid *dev_pasid)
{
	struct ioasid_device *idev = dev_pasid->idev;

	lockdep_assert_held(&idev->ctx->lock);
	if (!--idev->nr_sva)
		compat_sva_disable(idev->dev);
	if (dev_pasid->iopf)
		ioasid_iopf_put(idev);
}

static struct iommu_sva *ioasid_sva_bind(struct device *dev,
					 struct mm_struct *mm)
{
	struct iommu_sva *sva;

	/* The bind waits for it as well, and all other binds then wait for this */
	if (mmap_write_lock_killable(mm))
		return ERR_PTR(-EINTR);
	mmap_write_unlock(mm);
	do {
		sva = iommu_sva_bind_device(dev, mm);
	} while (PTR_ERR_OR_ZERO(sva) == -ENOSPC && ioasid_mm_pasid_reap_one());
	return sva;
}

/*
 * Only the process itself may expose its memory to a device, since the context
 * may be shared with another process, which could attach a device of its own.
 */
static int ioasid_mm_bind(struct ioasid_space *space,
			  struct ioasid_dev_pasid *dev_pasid, u32 *pasid,
			  struct ioasid_extack *extack)
{
	struct device *dev = dev_pasid->idev->dev;
	struct iommu_sva *sva;
	int rc;

	if (current->mm != space->mm)
		return ioasid_fail(extack, -EPERM, IOASID_REASON_OWNER,
				   "space %u is the address space of another process",
				   space->id);
	rc = ioasid_mm_charge(space, extack);
	if (rc)
		return rc;
	/* Before the bind, since requests can come as soon as it is done */
	dev_pasid->bond = ioasid_mm_bond_begin(&space->mm_pasid->faults, dev);
	if (!dev_pasid->bond) {
		ioasid_mm_uncharge(space);
		return ioasid_fail(extack, -ENOMEM, IOASID_REASON_NO_MEMORY,
				   "no memory for an attachment");
	}
	sva = ioasid_sva_bind(dev, space->mm);
	if (IS_ERR(sva)) {
		ioasid_mm_bond_drain(dev_pasid->bond);
		ioasid_mm_bond_end(dev_pasid->bond);
		ioasid_mm_uncharge(space);
		return ioasid_mm_bind_failed(dev, PTR_ERR(sva), extack);
	}
	ioasid_mm_hook(sva->handle.domain);
	dev_pasid->sva = sva;
	*pasid = iommu_sva_get_pasid(sva);
	return 0;
}

static int ioasid_mm_attach(struct ioasid_space *space,
			    struct ioasid_dev_pasid *dev_pasid, u32 *pasid,
			    struct ioasid_extack *extack)
{
	struct device *dev = dev_pasid->idev->dev;
	int rc = ioasid_sva_enable(dev_pasid);

	if (rc)
		return ioasid_fail(extack, rc, IOASID_REASON_NO_SVA,
				   "device %s or its IOMMU cannot share the address space of a process",
				   dev_name(dev));
	rc = ioasid_mm_bind(space, dev_pasid, pasid, extack);
	if (rc)
		ioasid_sva_disable(dev_pasid);
	return rc;
}

/* Answers first, while the device is still attached to be answered */
static void ioasid_mm_detach(struct ioasid_dev_pasid *dev_pasid)
{
	struct semaphore *turn;

	ioasid_mm_bond_drain(dev_pasid->bond);
	turn = ioasid_drain_begin(dev_pasid->idev->dev);
	iommu_sva_unbind_device(dev_pasid->sva);
	ioasid_drain_end(turn);
	ioasid_mm_bond_end(dev_pasid->bond);
	dev_pasid->sva = NULL;
	ioasid_sva_disable(dev_pasid);
}

static int ioasid_mm_check(const struct ioasid_space_params *params,
			   struct ioasid_extack *extack)
{
	if (!compat_shares_mm()) {
		extack->value = params->kind;
		return ioasid_fail(extack, -EOPNOTSUPP, IOASID_REASON_KIND,
				   "this kernel does not share the memory of processes with devices");
	}
	if (!ioasid_mm_allowed())
		return ioasid_fail(extack, -EPERM, IOASID_REASON_PRIVILEGE,
				   "this process may not share its memory with devices (module parameter mm_spaces of ioasid)");
	if (params->flags & IOASID_ALLOC_FAULTS)
		return ioasid_fail(extack, -EINVAL, IOASID_REASON_KIND,
				   "the kernel answers the page requests of a process");
	if (params->flags & IOASID_ALLOC_NEST_PARENT)
		return ioasid_fail(extack, -EINVAL, IOASID_REASON_KIND,
				   "nothing can be nested in the address space of a process");
	/* A glue can call from a kernel thread, or when the process exits */
	if (!current->mm)
		return ioasid_fail(extack, -EINVAL, IOASID_REASON_VALUE,
				   "there is no process whose address space it could be");
	return ioasid_check_no_data(params, extack);
}

const struct ioasid_space_ops ioasid_mm_ops = {
	.name = "mm",
	.no_map = "is the address space of a process, which needs no mapping",
	.no_queue = "the kernel answers the page requests for the memory of a process",
	.check = ioasid_mm_check,
	.init = ioasid_mm_init,
	.destroy = ioasid_mm_destroy,
	.attach = ioasid_mm_attach,
	.detach = ioasid_mm_detach,
};
