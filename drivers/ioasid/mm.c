// SPDX-License-Identifier: GPL-2.0
/*
 * Spaces that are the address space of a process (SVA). The IOMMU core binds
 * them, keeps their page tables and resolves their faults; its PASID is the
 * process'. Nothing here may pin memory, or let a process give away the memory
 * of another one.
 */
#include <linux/cred.h>
#include <linux/iommu.h>
#include <linux/sched/mm.h>
#include "ioasid_private.h"

/**
 * ioasid_mm_init() - make a new space the address space of the caller
 * @space: the space; nobody else knows it
 *
 * Keeps the mm_struct, not the memory: the process can exit.
 */
void ioasid_mm_init(struct ioasid_space *space)
{
	space->mm = current->mm;
	space->mm_uid = INVALID_UID_NR;
	mmgrab(space->mm);
}

void ioasid_mm_destroy(struct ioasid_space *space)
{
	if (!space->mm)
		return;
	if (space->mm_uid != INVALID_UID_NR)
		ioasid_quota_give(space->mm_uid);
	mmdrop(space->mm);
}

/*
 * The first bind gives the process a PASID, which it keeps as long as its
 * mm_struct lives, and we keep that. ctx->lock is held.
 */
static int ioasid_mm_charge(struct ioasid_space *space,
			    struct ioasid_explain *why)
{
	uid_t uid = from_kuid(&init_user_ns, current_uid());
	int rc;

	if (space->mm_uid != INVALID_UID_NR)
		return 0;
	rc = ioasid_quota_take(uid, why);
	if (!rc)
		space->mm_uid = uid;
	return rc;
}

static int ioasid_explain_bind(struct device *dev, int rc,
			       struct ioasid_explain *why)
{
	if (rc == -ENODEV || rc == -EOPNOTSUPP)
		return ioasid_fail(why, rc, IOASID_REASON_NO_SVA,
				   "device %s: it or its IOMMU cannot share the address space of a process",
				   dev_name(dev));
	if (rc == -ENOSPC)
		return ioasid_fail(why, rc, IOASID_REASON_LIMIT,
				   "device %s: no PASID is left that it can use",
				   dev_name(dev));
	if (rc == -EBUSY)
		return ioasid_fail(why, rc, IOASID_REASON_RESET,
				   "device %s: it is being reset, or the PASID of the process is in use: try again",
				   dev_name(dev));
	return ioasid_fail(why, rc, IOASID_REASON_IOMMU,
			   "device %s: the IOMMU driver refuses the address space of the process (error %d)",
			   dev_name(dev), -rc);
}

/**
 * ioasid_mm_bind() - give a device the address space of the caller
 * @space: an mm space
 * @link: of the device
 * @pasid: out: the PASID
 * @why: the reason if it fails
 *
 * Whoever has the context could attach a device of his own: only the process
 * itself may let a device at its memory.
 *
 * Return: 0, -EPERM for another process, -EDQUOT, -ENOMEM, -ENODEV or -EOPNOTSUPP where the
 * device or IOMMU cannot, -ENOSPC, -EBUSY, what the IOMMU driver returns.
 */
int ioasid_mm_bind(struct ioasid_space *space, struct ioasid_link *link,
		   u32 *pasid, struct ioasid_explain *why)
{
	struct device *dev = link->idev->dev;
	struct iommu_sva *sva;
	int rc;

	if (current->mm != space->mm)
		return ioasid_fail(why, -EPERM, IOASID_REASON_OWNER,
				   "space %u is the address space of another process",
				   space->id);
	rc = ioasid_mm_charge(space, why);
	if (rc)
		return rc;
	sva = iommu_sva_bind_device(dev, space->mm);
	if (IS_ERR(sva))
		return ioasid_explain_bind(dev, PTR_ERR(sva), why);
	link->sva = sva;
	*pasid = iommu_sva_get_pasid(sva);
	return 0;
}

/**
 * ioasid_mm_unbind() - take the address space away from a device
 * @link: a link that ioasid_mm_bind() has bound
 *
 * Cannot fail. Page requests that are under way are answered.
 */
void ioasid_mm_unbind(struct ioasid_link *link)
{
	iommu_sva_unbind_device(link->sva);
	link->sva = NULL;
}
