// SPDX-License-Identifier: GPL-2.0
/*
 * ioasid_sim.ko comes and goes: its units, their endpoints, the parameters.
 */
#include <linux/errno.h>
#include <linux/module.h>
#include "../compat/compat.h"
#include "sim.h"

int ioasid_sim_plug(void)
{
	return -ENODEV;
}
EXPORT_SYMBOL_GPL(ioasid_sim_plug);

MODULE_DESCRIPTION("Software IOMMU with endpoints, for machines without hardware");
MODULE_LICENSE("GPL");
