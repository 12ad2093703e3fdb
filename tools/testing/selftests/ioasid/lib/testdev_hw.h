/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The registers of ioasid-testdev, the PCI endpoint of the QEMU test machines
 * that does DMA by RID and by PASID (lab/hw/). It is shared by the device and by
 * its driver in the tests, and must never say anything that is not hardware.
 *
 * BAR 0, little endian, accesses of 4 or 8 bytes:
 *
 *	0x0000	identity, what is enabled, counters
 *	0x1000	TESTDEV_SLOTS command slots of TESTDEV_SLOT_BYTES
 *	0x8000	the device's own memory, TESTDEV_BUFFER_BYTES
 *
 * A command is written into a slot; writing 1 to its doorbell begins it, its
 * status tells the end. Slots work side by side. No DMA is needed to give a
 * command or to learn its end.
 */
#ifndef T_TESTDEV_HW_H
#define T_TESTDEV_HW_H

#define TESTDEV_VENDOR		0x1b36
#define TESTDEV_DEVICE		0x0fee
#define TESTDEV_VECTORS		8
#define TESTDEV_BAR_BYTES	0x10000
#define TESTDEV_SLOTS		64
#define TESTDEV_SLOT_BYTES	64
#define TESTDEV_SLOTS_AT	0x1000
#define TESTDEV_BUFFER_AT	0x8000
#define TESTDEV_BUFFER_BYTES	0x8000
#define TESTDEV_MAX_GROUP	32	/* pages of one group of page requests */

/* Registers */
#define TESTDEV_ID		0x00
#define TESTDEV_ID_VALUE	0x10a51d02U
#define TESTDEV_ENABLED		0x04	/* TESTDEV_HAS_*, as the system has set it up */
#define TESTDEV_PASID_BITS	0x08
#define TESTDEV_ATC_ENTRIES	0x0c	/* translations that it holds now */
#define TESTDEV_ATC_HITS	0x10
#define TESTDEV_ATC_MISSES	0x14
#define TESTDEV_INVALIDATIONS	0x18	/* received, whether or not anything was held */
#define TESTDEV_DROPPED		0x1c	/* translations that these threw away */
#define TESTDEV_REQUESTS	0x20	/* pages requested */
#define TESTDEV_RESPONSES	0x24	/* three counters: success, invalid, failure */
#define TESTDEV_RESETS		0x30
#define TESTDEV_STRAY		0x34	/* responses that nobody waited for */
#define TESTDEV_INV_ADDR	0x38	/* the last invalidation: address, */
#define TESTDEV_INV_MASK	0x40	/* size - 1, */
#define TESTDEV_INV_PASID	0x48	/* PASID */

#define TESTDEV_HAS_PASID	1u
#define TESTDEV_HAS_ATS		2u
#define TESTDEV_HAS_PRI		4u
#define TESTDEV_HAS_MASTER	8u

/* A slot: offsets of its fields */
#define TESTDEV_OPCODE		0x00
#define TESTDEV_FLAGS		0x04
#define TESTDEV_PASID		0x08
#define TESTDEV_VECTOR		0x0c
#define TESTDEV_ADDR		0x10
#define TESTDEV_LENGTH		0x18	/* bytes; for OP_REQUEST pages */
#define TESTDEV_BUFFER		0x1c	/* offset in the device's own memory */
#define TESTDEV_DATA		0x20	/* operand, result */
#define TESTDEV_STATUS		0x28
#define TESTDEV_ERROR		0x2c
#define TESTDEV_FAULT_ADDR	0x30
#define TESTDEV_DONE_BYTES	0x38
#define TESTDEV_DOORBELL	0x3c

enum testdev_opcode {
	TESTDEV_OP_NOP,
	TESTDEV_OP_READ,	/* memory to the device */
	TESTDEV_OP_WRITE,	/* the device to memory */
	TESTDEV_OP_FILL,	/* the low byte of DATA to memory */
	TESTDEV_OP_ADD,		/* DATA to the 8 bytes at ADDR; DATA: what was there */
	TESTDEV_OP_TRANSLATE,	/* ask the IOMMU; DATA: TESTDEV_PERM_* */
	TESTDEV_OP_REQUEST,	/* a group of page requests, whatever is mapped */
	TESTDEV_OP_FLUSH,	/* forget all translations, as no reset does */
};

/* TESTDEV_FLAGS */
#define TESTDEV_F_PASID		1u	/* with the PASID in the slot, not the RID */
#define TESTDEV_F_ATS		2u	/* translate first and use the translation cache */
#define TESTDEV_F_PRI		4u	/* with F_ATS: request pages that are missing */
#define TESTDEV_F_IRQ		8u	/* raise the vector at the end */
#define TESTDEV_F_NO_WRITE	16u	/* OP_TRANSLATE, OP_REQUEST: only to read */
#define TESTDEV_F_GROUP		32u	/* with F_PRI: all pages of the command in one group */

#define TESTDEV_PERM_READ	1u
#define TESTDEV_PERM_WRITE	2u

enum testdev_status {
	TESTDEV_IDLE,		/* never begun, or a reset has ended it */
	TESTDEV_BUSY,
	TESTDEV_FINISHED,
};

enum testdev_error {
	TESTDEV_OK,
	TESTDEV_E_COMMAND,	/* that makes no sense */
	TESTDEV_E_DISABLED,	/* needs what the system has not enabled */
	TESTDEV_E_TRANSLATE,	/* no translation, or not with that right */
	TESTDEV_E_DMA,		/* the access was refused on its way */
	TESTDEV_E_INVALID,	/* the page request was answered: invalid */
	TESTDEV_E_FAILURE,	/* ... failure: no more page requests until a reset */
	TESTDEV_E_REQUEST,	/* the page request could not be sent */
	TESTDEV_E_AGAIN,	/* answered with success again and again, to no avail */
};

#endif /* T_TESTDEV_HW_H */
