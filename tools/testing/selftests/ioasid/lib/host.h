/* SPDX-License-Identifier: GPL-2.0 */
/*
 * A device under a driver of the host (samples/driver), which shares memory with
 * it by itself and can put it behind /dev/ioasid through a glue of its own. The
 * device is taken from VFIO for as long as it is open here.
 */
#ifndef T_HOST_H
#define T_HOST_H

#include <stdbool.h>

#include "../../../../../samples/driver/host.h"
#include "ioasid.h"

struct t_host {
	char name[64];		/* of the device */
	bool pci;
	int fd;
	void *bar;		/* of a PCI device: its registers */
	size_t bar_len;
};

/* Are its modules there? Loads them */
bool t_host_load(void);
/* Takes the device @name from its driver; -ENODEV if it does not let go of it */
int t_host_open(struct t_host *h, const char *name);
/* Another file of the same device, or a negative errno */
int t_host_file(const struct t_host *h);
/* Gives it back to VFIO */
int t_host_close(struct t_host *h);

/* The driver's own way: the caller's memory; then its PASID */
int t_host_sva(int fd, u32 *pasid);
int t_host_sva_end(int fd);
/* The glue's way; fills t_extack. *@pasid is what is asked for, and then what it is */
int t_host_attach(int fd, int ctx, u32 ioasid, u32 *pasid, u32 vpasid, u32 flags);
int t_host_detach(int fd, u32 number);
/* Memory in a space of the file's own: where, and by what number. Fills t_extack */
int t_host_map(int fd, int ctx, void *mem, u64 length, u64 *iova, u32 *number);
/* 0 @length: all of it. Returns bytes, or a negative errno */
s64 t_host_unmap(int fd, u64 iova, u64 length);
/* DMA by an endpoint of ioasid_sim: -EACCES where it is blocked */
int t_host_dma(int fd, u32 number, u32 flags, const void *iova, void *mem, u32 length);

#endif /* T_HOST_H */
