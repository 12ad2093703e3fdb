// SPDX-License-Identifier: GPL-2.0
/*
 * The module ioasid_sim: its parameters, its units, and when their endpoints are
 * added. Each endpoint has a reference on the module of its IOMMU, so endpoints
 * must never be added when this module is loaded, or it could not be unloaded.
 * They are added and removed by their driver, ioasid_sim_vfio, or by the
 * parameter "plugged".
 */
#include <linux/module.h>
#include "unit.h"

static unsigned int units = 1;
module_param(units, uint, 0444);
MODULE_PARM_DESC(units, "number of IOMMU units (1 to 16)");

static struct sim_config sim_cfg = {
	.endpoints = 6,
	.group_size = 1,
	.siblings = 2,
	.pasid_bits = 16,
	.credits = 32,
	.prq_depth = 256,
	.addr_bits = 48,
	.name = IOASID_SIM_ENDPOINT,
};

module_param_named(endpoints, sim_cfg.endpoints, uint, 0444);
MODULE_PARM_DESC(endpoints, "endpoints of each unit (1 to 64)");
module_param_named(group_size, sim_cfg.group_size, uint, 0444);
MODULE_PARM_DESC(group_size, "endpoints that share an IOMMU group");
module_param_named(siblings, sim_cfg.siblings, uint, 0444);
MODULE_PARM_DESC(siblings, "the last endpoints of each unit that share a group instead");
module_param_named(pasid_bits, sim_cfg.pasid_bits, uint, 0444);
MODULE_PARM_DESC(pasid_bits, "width of PASIDs in bits (0: none, to 20)");
module_param_named(credits, sim_cfg.credits, uint, 0444);
MODULE_PARM_DESC(credits, "page requests that an endpoint may have outstanding (0: none, to 512)");
module_param_named(prq_depth, sim_cfg.prq_depth, uint, 0444);
MODULE_PARM_DESC(prq_depth, "page requests that fit into the queue of a unit (1 to 65536)");
module_param_named(addr_bits, sim_cfg.addr_bits, uint, 0444);
MODULE_PARM_DESC(addr_bits, "width of I/O addresses in bits (30 to 48)");
module_param_named(no_ats, sim_cfg.no_ats, bool, 0444);
MODULE_PARM_DESC(no_ats, "endpoints have no device TLB");
module_param_named(no_nesting, sim_cfg.no_nesting, bool, 0444);
MODULE_PARM_DESC(no_nesting, "no nested translation");
module_param_named(no_coherency, sim_cfg.no_coherency, bool, 0444);
MODULE_PARM_DESC(no_coherency, "DMA is reported as not coherent (VFIO rejects such devices)");
module_param_named(no_enforce, sim_cfg.no_enforce, bool, 0444);
MODULE_PARM_DESC(no_enforce, "coherency cannot be enforced");
module_param_named(no_dirty, sim_cfg.no_dirty, bool, 0444);
MODULE_PARM_DESC(no_dirty, "no dirty tracking");
module_param_named(no_huge, sim_cfg.no_huge, bool, 0444);
MODULE_PARM_DESC(no_huge, "4 KiB pages only");
module_param_named(no_share, sim_cfg.no_share, bool, 0444);
MODULE_PARM_DESC(no_share, "a unit cannot use the page table of another one");
module_param_named(negative, sim_cfg.negative, bool, 0444);
MODULE_PARM_DESC(negative, "not-present entries are cached too");

static bool no_pasid;
module_param(no_pasid, bool, 0444);
MODULE_PARM_DESC(no_pasid, "the same as pasid_bits=0");

static bool no_pri;
module_param(no_pri, bool, 0444);
MODULE_PARM_DESC(no_pri, "the same as credits=0");

/* For single units: bit 0 is the first one */
static unsigned int no_pasid_units;
module_param(no_pasid_units, uint, 0444);
MODULE_PARM_DESC(no_pasid_units, "bitmap of the units without PASIDs");

static unsigned int no_pri_units;
module_param(no_pri_units, uint, 0444);
MODULE_PARM_DESC(no_pri_units, "bitmap of the units without page requests");

static unsigned int no_coherency_units;
module_param(no_coherency_units, uint, 0444);
MODULE_PARM_DESC(no_coherency_units, "bitmap of the units whose DMA is reported as not coherent");

static unsigned int narrow_units;
module_param(narrow_units, uint, 0444);
MODULE_PARM_DESC(narrow_units, "bitmap of the units whose PASIDs only have 4 bits");

DEFINE_MUTEX(sim_mutex);
static struct sim_unit *sim_units[16];
static unsigned int sim_plugs;
static bool sim_loaded;
static bool plugged;

static int sim_plug_all(void)
{
	unsigned int i;
	int rc;

	lockdep_assert_held(&sim_mutex);
	for (i = 0; i < units; i++) {
		rc = sim_unit_plug(sim_units[i]);
		if (rc)
			break;
	}
	if (i == units)
		return 0;
	while (i--)
		sim_unit_unplug(sim_units[i]);
	return rc;
}

int ioasid_sim_plug(void)
{
	int rc = 0;

	guard(mutex)(&sim_mutex);
	if (!sim_plugs)
		rc = sim_plug_all();
	if (!rc)
		sim_plugs++;
	return rc;
}
SIM_EXPORT(ioasid_sim_plug);

void ioasid_sim_unplug(void)
{
	unsigned int i;

	guard(mutex)(&sim_mutex);
	if (--sim_plugs)
		return;
	for (i = 0; i < units; i++)
		sim_unit_unplug(sim_units[i]);
}
SIM_EXPORT(ioasid_sim_unplug);

/* Under the parameter lock. Before sim_plug_first(), the value is only noted */
static int plugged_set(const char *val, const struct kernel_param *kp)
{
	bool want;
	int rc;

	rc = kstrtobool(val, &want);
	if (rc || want == plugged)
		return rc;
	if (sim_loaded && want)
		rc = ioasid_sim_plug();
	else if (sim_loaded)
		ioasid_sim_unplug();
	if (!rc)
		plugged = want;
	return rc;
}

static const struct kernel_param_ops plugged_ops = {
	.set = plugged_set,
	.get = param_get_bool,
};
module_param_cb(plugged, &plugged_ops, &plugged, 0600);
MODULE_PARM_DESC(plugged, "endpoints exist even without ioasid_sim_vfio");

/* sysfs already shows the parameter, so it may be written at the same time */
static int sim_plug_first(void)
{
	int rc;

	kernel_param_lock(THIS_MODULE);
	rc = plugged ? ioasid_sim_plug() : 0;
	sim_loaded = !rc;
	kernel_param_unlock(THIS_MODULE);
	return rc;
}

static bool sim_params_ok(void)
{
	if (no_pasid)
		sim_cfg.pasid_bits = 0;
	if (no_pri)
		sim_cfg.credits = 0;
	return units - 1 < ARRAY_SIZE(sim_units) && sim_cfg.endpoints - 1 < 64 &&
	       sim_cfg.group_size && sim_cfg.pasid_bits <= 20 && sim_cfg.credits <= 512 &&
	       sim_cfg.prq_depth - 1 < 65536 && sim_cfg.addr_bits >= 30 &&
	       sim_cfg.addr_bits <= 48;
}

static struct sim_unit *sim_make_unit(unsigned int id)
{
	struct sim_config cfg = sim_cfg;

	if (narrow_units & BIT(id))
		cfg.pasid_bits = min(cfg.pasid_bits, 4U);
	if (no_pasid_units & BIT(id))
		cfg.pasid_bits = 0;
	if (no_pri_units & BIT(id))
		cfg.credits = 0;
	if (no_coherency_units & BIT(id))
		cfg.no_coherency = true;
	return sim_unit_create(&cfg, id);
}

static void sim_destroy_units(unsigned int n)
{
	while (n--)
		sim_unit_destroy(sim_units[n]);
	/* Waits for sim_mn_free(), which is code of this module */
	mmu_notifier_synchronize();
	sim_debugfs_exit();
}

static int __init sim_init(void)
{
	unsigned int i;
	int rc;

	if (!sim_params_ok())
		return -EINVAL;
	sim_debugfs_init();
	for (i = 0; i < units; i++) {
		sim_units[i] = sim_make_unit(i);
		if (IS_ERR(sim_units[i])) {
			rc = PTR_ERR(sim_units[i]);
			goto destroy;
		}
	}
	rc = sim_plug_first();
	if (!rc)
		return 0;

destroy:
	sim_destroy_units(i);
	return rc;
}
module_init(sim_init);

static void __exit sim_exit(void)
{
	sim_destroy_units(units);
}
module_exit(sim_exit);

MODULE_DESCRIPTION("Software IOMMU with endpoints, for machines without hardware");
MODULE_LICENSE("GPL");
MODULE_SOFTDEP("post: ioasid_sim_vfio");
IOASID_IMPORT_NS(IOMMUFD);
