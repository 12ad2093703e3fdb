// SPDX-License-Identifier: GPL-2.0
/*
 * A south bridge where AMD's IOMMU table says that one is: QEMU's machine has
 * none at 00:14.0, and Linux 7.3 and newer remap no interrupt then. It must
 * never be more than an identity in configuration space.
 */
#include "hw.h"

static void class_init(struct q_class *klass, const void *data)
{
	struct q_pci_class *c = hw_pci_class(klass);

	c->vendor = 0x1022;		/* FCH LPC bridge, as AMD's machines have it */
	c->device = 0x790e;
	c->class = 0x0601;
}

static const struct q_interface interfaces[] = { { "conventional-pci-device" }, { } };

const struct q_type southbridge_type = {
	.name = "ioasid-southbridge",
	.parent = "pci-device",
	.class_init = class_init,
	.interfaces = interfaces,
};
