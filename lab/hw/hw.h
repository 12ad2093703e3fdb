/* SPDX-License-Identifier: GPL-2.0 */
/*
 * What the devices of this folder share. It must never depend on one of them
 * more than its name.
 */
#ifndef LAB_HW_H
#define LAB_HW_H

#include "qemu.h"

extern const struct q_type southbridge_type;

/* The PCI part of a class, after a look at whether it is where we think */
struct q_pci_class *hw_pci_class(struct q_class *klass);

#endif /* LAB_HW_H */
