/* SPDX-License-Identifier: GPL-2.0 */
/*
 * A driver in user space for ioasid-testdev, the PCI endpoint with PASIDs, ATS
 * and page requests of the QEMU machines (lab/vm run --testdev N). It gives
 * commands and waits for their end; it must never hide what the device reports. The
 * registers are in testdev_hw.h.
 */
#ifndef T_TESTDEV_H
#define T_TESTDEV_H

#include "testdev_hw.h"
#include "vfio.h"

struct t_testdev {
	struct t_vfio vfio;
};

struct t_testdev_cmd {
	u32 opcode;		/* enum testdev_opcode */
	u32 flags;		/* TESTDEV_F_*; F_PASID is set where @pasid is not 0 */
	u32 pasid;
	u32 vector;
	u64 addr;
	u32 length;
	u32 buffer;		/* offset in the device's own memory */
	u64 data;		/* in and out */
	u32 done;		/* out: bytes */
	u64 fault_addr;		/* out */
};

/* The address of the @nth one, or NULL */
const char *t_testdev_find(int nth);
/* Opens it in a container of its own, of type @iommu; -ENOENT if there is none */
int t_testdev_open(struct t_testdev *d, int nth, unsigned long iommu);
void t_testdev_close(struct t_testdev *d);

u32 t_testdev_read32(struct t_testdev *d, u32 at);
u64 t_testdev_read64(struct t_testdev *d, u32 at);
/* Its own memory; only aligned accesses of 4 or 8 bytes reach it */
void t_testdev_put(struct t_testdev *d, u32 at, const void *mem, u32 length);
void t_testdev_get(struct t_testdev *d, u32 at, void *mem, u32 length);

/* In two halves. @slot is the caller's choice */
void t_testdev_begin(struct t_testdev *d, u32 slot, const struct t_testdev_cmd *cmd);
bool t_testdev_ended(struct t_testdev *d, u32 slot);
/*
 * enum testdev_error, or -ETIMEDOUT after @ms, or -ECANCELED after a reset;
 * @cmd, unless NULL, gets the results
 */
int t_testdev_end(struct t_testdev *d, u32 slot, struct t_testdev_cmd *cmd, u32 ms);
/* Both, in slot 0, with 10 s */
int t_testdev_run(struct t_testdev *d, struct t_testdev_cmd *cmd);

/*
 * One page between memory and the device's own memory at 0, checked by t_fill()
 * patterns. enum testdev_error or a negative errno; -EILSEQ: other data.
 */
int t_testdev_reads(struct t_testdev *d, u32 pasid, u32 flags, u64 iova, u32 seed);
int t_testdev_writes(struct t_testdev *d, u32 pasid, u32 flags, u64 iova, const void *mem,
		     u32 seed);

#endif /* T_TESTDEV_H */
