// SPDX-License-Identifier: GPL-2.0
/*
 * DMA of the endpoints: each page is translated and accessed under the unit's
 * lock, so that no access is in progress any more when an invalidation returns.
 * Nothing but the result of sim_translate() may ever be accessed.
 */
#include <linux/delay.h>
#include <linux/highmem.h>
#include <linux/sched.h>
#include "unit.h"

/* How often the page may still be missing after a response of SUCCESS */
#define SIM_RETRIES		32

static enum ioasid_sim_reason sim_translate_sva(struct ioasid_sim_dev *sdev,
						struct sim_domain *domain, u64 iova,
						u32 access, struct sim_xlate *out)
{
	lockdep_assert_held_read(&sdev->unit->lock);
	atomic64_inc(&sdev->counts.walks);
	return sim_sva_walk(domain, iova, access, out);
}

static enum ioasid_sim_reason sim_translate_entry(struct ioasid_sim_dev *sdev,
						  struct sim_domain *domain, u64 iova,
						  u32 access, struct sim_xlate *out)
{
	struct sim_tlb *iotlb = &sdev->unit->iotlb;
	enum ioasid_sim_reason rc;
	bool present;

	lockdep_assert_held_read(&sdev->unit->lock);
	if (sim_tlb_lookup(iotlb, domain->tag, iova, access, out, &present)) {
		atomic64_inc(&sdev->counts.iotlb_hits);
		return present ? SIM_FAULT_NONE : SIM_FAULT_NOT_PRESENT;
	}
	if (domain->kind == SIM_SVA) {
		rc = sim_translate_sva(sdev, domain, iova, access, out);
	} else {
		atomic64_inc(&sdev->counts.walks);
		rc = sim_walk(&domain->stage, iova, access, out);
	}
	if (!rc && !sim_is_memory(out->pa))
		rc = SIM_FAULT_BUS;
	if (!rc || (rc == SIM_FAULT_NOT_PRESENT && sdev->unit->cfg.negative))
		sim_tlb_fill(iotlb, domain->tag, iova, access, out, !rc);
	return rc;
}

/**
 * sim_translate() - translate an address of an endpoint
 * @sdev: endpoint
 * @pasid: PASID, or IOASID_SIM_RID
 * @iova: the address
 * @access: SIM_WRITE, SIM_PRIV
 * @out: out: the translation
 * @entry: out: the entry of the PASID table, or NULL
 *
 * Context: sim_unit.lock is held for reading.
 *
 * Return: SIM_FAULT_NONE, SIM_BUSY to try again, or the reason of the fault.
 */
enum ioasid_sim_reason sim_translate(struct ioasid_sim_dev *sdev, u32 pasid,
				     u64 iova, u32 access, struct sim_xlate *out,
				     struct sim_entry **entry)
{
	enum ioasid_sim_reason rc;
	bool present;

	lockdep_assert_held_read(&sdev->unit->lock);
	*entry = xa_load(&sdev->entries, pasid);
	/* Interrupt messages bypass the IOMMU, and nothing receives them */
	if (pasid == IOASID_SIM_RID && iova - SIM_MSI_START < SIM_MSI_LENGTH)
		return SIM_FAULT_BUS;
	if (sim_has_ats(sdev) &&
	    sim_tlb_lookup(&sdev->atc, pasid, iova, access, out, &present)) {
		atomic64_inc(&sdev->counts.ats_hits);
		return SIM_FAULT_NONE;
	}
	if (!*entry)
		return SIM_FAULT_NO_ENTRY;
	if ((*entry)->domain->kind == SIM_IDENTITY) {
		*out = (struct sim_xlate) { .pa = iova, .write = true };
		return sim_is_memory(iova) ? SIM_FAULT_NONE : SIM_FAULT_BUS;
	}
	rc = sim_translate_entry(sdev, (*entry)->domain, iova, access, out);
	if (!rc && sim_has_ats(sdev))
		sim_tlb_fill(&sdev->atc, pasid, iova, access, out, true);
	return rc;
}

/* --- one access, within a page --- */

struct sim_op {
	struct ioasid_sim_dev *sdev;
	u32 pasid;
	u32 access;
	unsigned int generation;
	void *buf;
	u64 add;
	bool atomic;
};

static void sim_touch(struct sim_op *op, u64 pa, void *buf, size_t len)
{
	void *page = kmap_local_page(pfn_to_page(pa >> PAGE_SHIFT));
	void *p = page + (pa & ~PAGE_MASK);

	lockdep_assert_held_read(&op->sdev->unit->lock);
	/* DMA is not ordered with the CPU or with other DMA to the same memory */
	if (op->atomic)
		*(u64 *)buf = atomic64_fetch_add(op->add, (atomic64_t *)p);
	else if (op->access & SIM_WRITE)
		/* As said above */
		data_race(memcpy(p, buf, len));
	else
		/* As said above */
		data_race(memcpy(buf, p, len));
	kunmap_local(page);
}

static void sim_log(struct sim_op *op, u64 iova, enum ioasid_sim_reason reason,
		    struct ioasid_sim_fault *fault)
{
	struct sim_unit *unit = op->sdev->unit;
	unsigned long flags;

	spin_lock_irqsave(&unit->log_lock, flags);
	*fault = (struct ioasid_sim_fault) {
		.seq = ++unit->log_seq,
		.iova = iova,
		.pasid = op->pasid,
		.reason = reason,
		.access = op->access,
	};
	unit->log[fault->seq % SIM_LOG_SIZE] = *fault;
	unit->log_dev[fault->seq % SIM_LOG_SIZE] = op->sdev->index;
	spin_unlock_irqrestore(&unit->log_lock, flags);
	atomic64_inc(&op->sdev->counts.faults);
}

/* As with hardware, the domain's handler runs in atomic context; it must not flush */
static void sim_report_domain(struct sim_op *op, u64 iova)
{
	struct sim_unit *unit = op->sdev->unit;
	struct sim_entry *entry;
	unsigned long flags;

	read_lock_irqsave(&unit->lock, flags);
	entry = xa_load(&op->sdev->entries, op->pasid);
	if (entry && entry->domain->kind == SIM_PAGING)
		report_iommu_fault(&entry->domain->domain, &op->sdev->pdev.dev, iova,
				   op->access & SIM_WRITE ? IOMMU_FAULT_WRITE :
							    IOMMU_FAULT_READ);
	read_unlock_irqrestore(&unit->lock, flags);
}

static int sim_fault(struct sim_op *op, u64 iova, enum ioasid_sim_reason reason)
{
	struct ioasid_sim_dev *sdev = op->sdev;
	struct ioasid_sim_fault fault;

	sim_log(op, iova, reason, &fault);
	/* A failed page request is an error of the device, not of the IOMMU */
	if (reason != SIM_FAULT_ANSWER)
		sim_report_domain(op, iova);
	read_lock(&sdev->ops_lock);
	if (sdev->ops && sdev->ops->fault)
		sdev->ops->fault(sdev->ops_data, &fault);
	read_unlock(&sdev->ops_lock);
	return reason == SIM_FAULT_ANSWER ? -EIO : -EFAULT;
}

/* True if a page request can resolve the fault */
static bool sim_recoverable(enum ioasid_sim_reason reason)
{
	return reason == SIM_FAULT_NOT_PRESENT || reason == SIM_FAULT_WRITE ||
	       reason == SIM_FAULT_USER;
}

enum sim_outcome {
	SIM_DONE,
	SIM_FAULTED,
	SIM_ASK,
	SIM_AGAIN,
	SIM_CANCELED,
};

static enum sim_outcome sim_try(struct sim_op *op, u64 iova, void *buf, size_t len,
				enum ioasid_sim_reason *reason)
{
	struct ioasid_sim_dev *sdev = op->sdev;
	enum sim_outcome outcome = SIM_FAULTED;
	struct sim_entry *entry;
	struct sim_xlate x;
	unsigned long flags;

	read_lock_irqsave(&sdev->unit->lock, flags);
	if (sdev->generation != op->generation) {
		outcome = SIM_CANCELED;
		goto unlock;
	}
	*reason = sim_translate(sdev, op->pasid, iova, op->access, &x, &entry);
	if (!*reason) {
		sim_touch(op, x.pa, buf, len);
		outcome = SIM_DONE;
	} else if (*reason == SIM_BUSY) {
		outcome = SIM_AGAIN;
	} else if ((op->access & SIM_REQUEST) && entry && entry->requests &&
		   sim_recoverable(*reason)) {
		outcome = SIM_ASK;
	}
unlock:
	read_unlock_irqrestore(&sdev->unit->lock, flags);
	return outcome;
}

static int sim_access_page(struct sim_op *op, u64 iova, void *buf, size_t len)
{
	enum ioasid_sim_reason reason;
	unsigned int tries = 0;
	int rc;

	for (;;) {
		switch (sim_try(op, iova, buf, len, &reason)) {
		case SIM_DONE:
			atomic64_inc(&op->sdev->counts.dmas);
			return 0;
		case SIM_CANCELED:
			return -ECANCELED;
		case SIM_AGAIN:
			usleep_range(20, 100);
			continue;
		case SIM_FAULTED:
			return sim_fault(op, iova, reason);
		case SIM_ASK:
			break;
		}
		if (tries++ == SIM_RETRIES)
			return sim_fault(op, iova, reason);
		rc = sim_request_wait(op->sdev, op->pasid, iova, op->access,
				      op->generation);
		if (rc == -EIO)
			return sim_fault(op, iova, SIM_FAULT_ANSWER);
		if (rc)
			return rc;
	}
}

static int sim_begin(struct sim_op *op, u64 iova, size_t len)
{
	const u32 valid = SIM_WRITE | SIM_PRIV | SIM_REQUEST;

	if ((op->access & ~valid) || (len && iova + len - 1 < iova))
		return -EINVAL;
	if ((op->access & SIM_PRIV) && op->pasid == IOASID_SIM_RID)
		return -EINVAL;
	if (op->pasid && op->pasid >> op->sdev->unit->cfg.pasid_bits)
		return -EINVAL;
	op->generation = READ_ONCE(op->sdev->generation);
	return 0;
}

int ioasid_sim_dma(struct ioasid_sim_dev *sdev, u32 pasid, u64 iova, void *buf,
		   size_t len, u32 access, u64 *bad)
{
	struct sim_op op = { .sdev = sdev, .pasid = pasid, .access = access };
	size_t n;
	int rc;

	might_sleep();
	rc = sim_begin(&op, iova, len);
	for (; !rc && len; iova += n, buf += n, len -= n) {
		n = min_t(size_t, len, SIM_PAGE_SIZE - iova % SIM_PAGE_SIZE);
		rc = sim_access_page(&op, iova, buf, n);
		if (rc)
			break;
		cond_resched();
	}
	if (bad)
		*bad = iova;
	return rc;
}
SIM_EXPORT(ioasid_sim_dma);

int ioasid_sim_atomic_add(struct ioasid_sim_dev *sdev, u32 pasid, u64 iova,
			  u64 add, u64 *old, u32 access, u64 *bad)
{
	struct sim_op op = {
		.sdev = sdev,
		.pasid = pasid,
		.access = access | SIM_WRITE,
		.add = add,
		.atomic = true,
	};
	int rc;

	might_sleep();
	if (bad)
		*bad = iova;
	if (iova % sizeof(u64))
		return -EINVAL;
	rc = sim_begin(&op, iova, sizeof(u64));
	return rc ?: sim_access_page(&op, iova, old, sizeof(u64));
}
SIM_EXPORT(ioasid_sim_atomic_add);
