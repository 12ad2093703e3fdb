// SPDX-License-Identifier: GPL-2.0
/*
 * Units and endpoints as devices: creation, registration and removal. An endpoint
 * that is removed must never leave DMA, a page request or an entry behind.
 */
#include <linux/dma-mapping.h>
#include <linux/lockdep.h>
#include <linux/property.h>
#include <linux/slab.h>
#include "unit.h"

#define SIM_IOTLB_SETS		1024
#define SIM_ATC_SETS		64

static void sim_dev_release(struct device *dev)
{
	struct ioasid_sim_dev *sdev = ioasid_sim_dev(dev);

	xa_destroy(&sdev->entries);
	xa_destroy(&sdev->groups);
	sim_tlb_destroy(&sdev->atc);
	kfree(sdev);
}

struct ioasid_sim_dev *ioasid_sim_dev(struct device *dev)
{
	if (dev->release != sim_dev_release)
		return NULL;
	return container_of(dev, struct ioasid_sim_dev, pdev.dev);
}
SIM_EXPORT(ioasid_sim_dev);

/* Makes all DMA in progress fail, and waits for the current accesses */
static void sim_new_generation(struct ioasid_sim_dev *sdev)
{
	unsigned long flags;

	write_lock_irqsave(&sdev->unit->lock, flags);
	WRITE_ONCE(sdev->generation, sdev->generation + 1);
	sim_tlb_flush_all(&sdev->atc);
	write_unlock_irqrestore(&sdev->unit->lock, flags);
}

int ioasid_sim_reset(struct ioasid_sim_dev *sdev)
{
	sim_new_generation(sdev);
	return sim_prq_cancel(sdev, true);
}
SIM_EXPORT(ioasid_sim_reset);

/**
 * sim_endpoint_quiesce() - disconnect an endpoint from its IOMMU
 * @sdev: endpoint
 *
 * Afterwards it cannot reach memory or the IOMMU core any more.
 *
 * Context: can sleep; takes sim_unit.prq_mutex.
 */
void sim_endpoint_quiesce(struct ioasid_sim_dev *sdev)
{
	sim_new_generation(sdev);
	sim_prq_cancel(sdev, false);
	sim_detach_all(sdev);
}

void ioasid_sim_set_ops(struct ioasid_sim_dev *sdev,
			const struct ioasid_sim_dev_ops *ops, void *data)
{
	write_lock(&sdev->ops_lock);
	sdev->ops = ops;
	sdev->ops_data = data;
	write_unlock(&sdev->ops_lock);
}
SIM_EXPORT(ioasid_sim_set_ops);

void ioasid_sim_get_stats(struct ioasid_sim_dev *sdev,
			  struct ioasid_sim_stats *stats)
{
	stats->dmas = atomic64_read(&sdev->counts.dmas);
	stats->ats_hits = atomic64_read(&sdev->counts.ats_hits);
	stats->iotlb_hits = atomic64_read(&sdev->counts.iotlb_hits);
	stats->walks = atomic64_read(&sdev->counts.walks);
	stats->flushes = atomic64_read(&sdev->counts.flushes);
	stats->unit_flushes = atomic64_read(&sdev->unit->flushes);
	stats->faults = atomic64_read(&sdev->counts.faults);
	stats->requests = atomic64_read(&sdev->counts.requests);
	stats->answers = atomic64_read(&sdev->counts.answers);
	stats->late_answers = atomic64_read(&sdev->counts.late_answers);
	stats->overflows = atomic64_read(&sdev->counts.overflows);
	stats->outstanding = READ_ONCE(sdev->outstanding);
}
SIM_EXPORT(ioasid_sim_get_stats);

void ioasid_sim_get_info(struct ioasid_sim_dev *sdev, struct ioasid_sim_info *info)
{
	const struct sim_config *cfg = &sdev->unit->cfg;

	*info = (struct ioasid_sim_info) {
		.unit = sdev->unit->id,
		.index = sdev->index,
		.pasid_bits = cfg->pasid_bits,
		.credits = cfg->credits,
		.ats = !cfg->no_ats,
		.coherent = !cfg->no_coherency,
	};
}
SIM_EXPORT(ioasid_sim_get_info);

/* --- endpoints --- */

static struct ioasid_sim_dev *sim_dev_alloc(struct sim_unit *unit, unsigned int index)
{
	struct ioasid_sim_dev *sdev = kzalloc(sizeof(*sdev), GFP_KERNEL);
	struct platform_device *pdev;

	if (!sdev)
		return NULL;
	if (sim_tlb_init(&sdev->atc, SIM_ATC_SETS)) {
		kfree(sdev);
		return NULL;
	}
	sdev->unit = unit;
	sdev->index = index;
	xa_init(&sdev->entries);
	xa_init_flags(&sdev->groups, XA_FLAGS_ALLOC);
	spin_lock_init(&sdev->pr_lock);
	init_waitqueue_head(&sdev->credit_wait);
	rwlock_init(&sdev->ops_lock);
	pdev = &sdev->pdev;
	pdev->name = unit->cfg.name;
	pdev->id = unit->id * unit->cfg.endpoints + index;
	pdev->platform_dma_mask = DMA_BIT_MASK(64);
	pdev->dev.dma_mask = &pdev->platform_dma_mask;
	pdev->dev.coherent_dma_mask = DMA_BIT_MASK(64);
	pdev->dev.release = sim_dev_release;
	device_initialize(&pdev->dev);
	return sdev;
}

static int sim_dev_properties(struct ioasid_sim_dev *sdev)
{
	const struct property_entry properties[] = {
		PROPERTY_ENTRY_U32("pasid-num-bits", sdev->unit->cfg.pasid_bits),
		{ }
	};

	if (!sdev->unit->cfg.pasid_bits)
		return 0;
	return device_create_managed_software_node(&sdev->pdev.dev, properties, NULL);
}

/*
 * The IOMMU core asserts a lock of its own, which it does not export. Nothing
 * else can access a device that is not added yet.
 */
static int sim_dev_fwspec(struct ioasid_sim_dev *sdev)
{
	int rc;

	lockdep_off();
	rc = iommu_fwspec_init(&sdev->pdev.dev, sdev->unit->fwnode);
	lockdep_on();
	return rc;
}

static int sim_dev_add(struct sim_unit *unit, unsigned int index)
{
	struct ioasid_sim_dev *sdev = sim_dev_alloc(unit, index);
	int rc;

	if (!sdev)
		return -ENOMEM;
	/* Before it is added, since siblings find their group by it */
	unit->endpoints[index] = sdev;
	rc = sim_dev_properties(sdev);
	if (!rc)
		rc = sim_dev_fwspec(sdev);
	if (!rc)
		rc = platform_device_add(&sdev->pdev);
	if (rc) {
		unit->endpoints[index] = NULL;
		put_device(&sdev->pdev.dev);
	}
	return rc;
}

/**
 * sim_unit_unplug() - unregister the endpoints of a unit
 * @unit: the unit
 *
 * Context: can sleep; sim_mutex is held, or no one else uses the unit.
 */
void sim_unit_unplug(struct sim_unit *unit)
{
	unsigned int i;

	for (i = 0; i < unit->cfg.endpoints; i++) {
		if (!unit->endpoints[i])
			continue;
		platform_device_unregister(&unit->endpoints[i]->pdev);
		unit->endpoints[i] = NULL;
	}
}

/**
 * sim_unit_plug() - register the endpoints of a unit
 * @unit: the unit
 *
 * Context: can sleep; sim_mutex is held, or no one else uses the unit.
 *
 * Return: 0, -ENOMEM, or the error of registering one of them, and then none is
 * registered.
 */
int sim_unit_plug(struct sim_unit *unit)
{
	unsigned int i;
	int rc;

	for (i = 0; i < unit->cfg.endpoints; i++) {
		rc = sim_dev_add(unit, i);
		if (rc) {
			sim_unit_unplug(unit);
			return rc;
		}
	}
	return 0;
}

/* --- units --- */

static int sim_unit_register(struct sim_unit *unit)
{
	int rc;

	unit->fwnode = fwnode_create_software_node(NULL, NULL);
	if (IS_ERR(unit->fwnode))
		return PTR_ERR(unit->fwnode);
	unit->iommu.fwnode = unit->fwnode;
	unit->iommu.max_pasids = unit->cfg.pasid_bits ? 1U << unit->cfg.pasid_bits : 0;
	rc = iommu_device_sysfs_add(&unit->iommu, NULL, NULL, "%s-iommu%u",
				    unit->cfg.name, unit->id);
	if (rc)
		goto free_node;
	rc = iommu_device_register(&unit->iommu, &sim_iommu_ops, NULL);
	if (!rc)
		return 0;
	iommu_device_sysfs_remove(&unit->iommu);
free_node:
	fwnode_remove_software_node(unit->fwnode);
	return rc;
}

static int sim_unit_init(struct sim_unit *unit)
{
	int rc;

	rwlock_init(&unit->lock);
	spin_lock_init(&unit->log_lock);
	unit->endpoints = kcalloc(unit->cfg.endpoints, sizeof(*unit->endpoints), GFP_KERNEL);
	if (!unit->endpoints)
		return -ENOMEM;
	rc = sim_tlb_init(&unit->iotlb, SIM_IOTLB_SETS);
	if (rc)
		goto free_endpoints;
	rc = sim_prq_init(unit);
	if (rc)
		goto free_tlb;
	rc = sim_unit_register(unit);
	if (!rc)
		return 0;
	sim_prq_destroy(unit);
free_tlb:
	sim_tlb_destroy(&unit->iotlb);
free_endpoints:
	kfree(unit->endpoints);
	return rc;
}

/**
 * sim_unit_create() - create and register an IOMMU without endpoints
 * @cfg: its configuration; copied
 * @id: its number
 *
 * Context: can sleep.
 *
 * Return: the unit, ERR_PTR(-ENOMEM), or the error of registering it.
 */
struct sim_unit *sim_unit_create(const struct sim_config *cfg, unsigned int id)
{
	struct sim_unit *unit = kzalloc(sizeof(*unit), GFP_KERNEL);
	int rc;

	if (!unit)
		return ERR_PTR(-ENOMEM);
	unit->cfg = *cfg;
	unit->id = id;
	rc = sim_unit_init(unit);
	if (rc) {
		kfree(unit);
		return ERR_PTR(rc);
	}
	sim_debugfs_add(unit);
	return unit;
}

/**
 * sim_unit_destroy() - undo sim_unit_create(), and unregister the endpoints
 * @unit: the unit
 *
 * Context: can sleep.
 */
void sim_unit_destroy(struct sim_unit *unit)
{
	sim_debugfs_remove(unit);
	sim_unit_unplug(unit);
	iommu_device_unregister(&unit->iommu);
	iommu_device_sysfs_remove(&unit->iommu);
	fwnode_remove_software_node(unit->fwnode);
	sim_prq_destroy(unit);
	sim_tlb_destroy(&unit->iotlb);
	kfree(unit->endpoints);
	kfree(unit);
}
