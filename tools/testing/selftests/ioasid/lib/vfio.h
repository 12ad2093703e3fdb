/* SPDX-License-Identifier: GPL-2.0 */
/*
 * VFIO through its container interface: a device opened behind
 * VFIO_IOASID_IOMMU or behind type1. Of a PCI device BAR 0 is mapped, and its bus
 * mastering is on; of an endpoint of ioasid_sim, its memory is.
 * All functions return 0 or a negative errno; t_vfio_step says which step of
 * an open failed.
 */
#ifndef T_VFIO_H
#define T_VFIO_H

#include <linux/vfio.h>
#include <stdbool.h>

#include "ioasid.h"
#include "device.h"

struct t_vfio {
	int container;
	int group;
	int device;
	u32 dev_id;		/* in the context that it is bound to */
	/* Where config space starts in the device fd, or the registers of an endpoint */
	u64 config;
	bool sim;		/* an endpoint of ioasid_sim */
	void *bar;
	size_t bar_len;
	char addr[T_PCI_ADDR];
};

extern const char *t_vfio_step;

/*
 * Not a type of container: the device's own node, bound to an iommufd (which is
 * then in t_vfio.container) in which nothing is made. -EOPNOTSUPP without iommufd.
 */
#define T_VFIO_NODE		0UL

/* A container of that type of its own; VFIO_IOASID_IOMMU or VFIO_TYPE1v2_IOMMU */
int t_vfio_open(struct t_vfio *v, const char *addr, unsigned long iommu);
/* Another device of the same group, sharing its container and group */
int t_vfio_open_sibling(struct t_vfio *v, const struct t_vfio *first, const char *addr);
/* Another group in the same container */
int t_vfio_open_in(struct t_vfio *v, const char *addr, const struct t_vfio *first);
void t_vfio_close(struct t_vfio *v);
/* Its device node once more, not bound to anything: a file, or a negative errno */
int t_vfio_open_node(const struct t_vfio *v);
/* Only BAR mapping and device fd; the group and container stay */
void t_vfio_close_device(struct t_vfio *v);
/* Opens the device again after t_vfio_close_device() */
int t_vfio_reopen_device(struct t_vfio *v);
/* The BAR mapping alone, which also keeps the device open */
void t_vfio_unmap_bar(struct t_vfio *v);

/* PCI only: an endpoint has no such switch, and none is needed */
int t_vfio_bus_master(struct t_vfio *v, bool on);
int t_vfio_reset(struct t_vfio *v);
bool t_vfio_can_reset(struct t_vfio *v);
/* An eventfd that fires when the kernel wants the device back */
int t_vfio_request_eventfd(struct t_vfio *v, int eventfd);

/* VFIO_DEVICE_ATTACH on its container; sets v->dev_id */
int t_vfio_attach(struct t_vfio *v, int ctx, u32 ioasid, u32 flags);
/* Binds it only */
int t_vfio_bind(struct t_vfio *v, int ctx);
int t_vfio_detach(struct t_vfio *v);

/* The peer: a type1 container */
int t_type1_map(int container, u64 iova, void *addr, u64 length, u32 vfio_dma_map_flags);
int t_type1_unmap(int container, u64 iova, u64 length);

#endif /* T_VFIO_H */
