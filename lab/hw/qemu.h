/* SPDX-License-Identifier: GPL-2.0 */
/*
 * What ioasid-testdev uses of QEMU 11.1: functions that the program exports,
 * and the few structs that go between. Written down here so that no source tree
 * of QEMU is needed; everything that could differ is compared with the running
 * program before it is used (see ioasid-testdev.c), and must never be used
 * without.
 */
#ifndef LAB_HW_QEMU_H
#define LAB_HW_QEMU_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

/* Never looked into */
struct q_device;
struct q_bus;
struct q_class;
struct q_object;
struct q_space;
struct q_error;
struct q_bh;
struct q_vtd;

/* Memory that QEMU initialises: more than it needs */
#define Q_REGION_BYTES	2048
#define Q_NOTIFIER_BYTES 256

struct q_version {
	struct { int64_t major, minor, micro; } *number;
	char *package;
};

struct q_interface {
	const char *name;
};

struct q_type {
	const char *name;
	const char *parent;
	size_t instance_size;		/* 0: that of the parent */
	size_t instance_align;
	void (*instance_init)(struct q_object *obj);
	void (*instance_post_init)(struct q_object *obj);
	void (*instance_finalize)(struct q_object *obj);
	bool abstract;
	size_t class_size;
	void (*class_init)(struct q_class *klass, const void *data);
	void (*class_base_init)(struct q_class *klass, const void *data);
	const void *class_data;
	const struct q_interface *interfaces;
};

/* The part of a PCI device's class behind that of every device */
#define Q_PCI_CLASS_AT	184
struct q_pci_class {
	void (*realize)(struct q_device *dev, struct q_error **err);
	void (*exit)(struct q_device *dev);
	uint32_t (*config_read)(struct q_device *dev, uint32_t addr, int len);
	void (*config_write)(struct q_device *dev, uint32_t addr, uint32_t val, int len);
	uint16_t vendor;
	uint16_t device;
	uint8_t revision;
	uint16_t class;
};

struct q_region_ops {
	uint64_t (*read)(void *opaque, uint64_t addr, unsigned int size);
	void (*write)(void *opaque, uint64_t addr, uint64_t data, unsigned int size);
	void *read_with_attrs;
	void *write_with_attrs;
	int endianness;
	struct {
		unsigned int min, max;
		bool unaligned;
		void *accepts;
	} valid;
	struct {
		unsigned int min, max;
		bool unaligned;
	} impl;
};

#define Q_LITTLE_ENDIAN	2
#define Q_MODULE_QOM	4
#define Q_NO_PASID	UINT32_MAX

/* One translation that the IOMMU has given, or takes back */
struct q_translation {
	struct q_space *space;
	uint64_t iova;
	uint64_t addr;
	uint64_t mask;
	int perm;			/* 1 read, 2 write */
	uint32_t pasid;
};

struct q_page_response {
	int code;
	uint16_t group;
};

struct q_page_notifier {
	void (*notify)(struct q_page_notifier *n, struct q_page_response *resp);
};

typedef void q_notify(void *notifier, struct q_translation *tr);

/* Eight bytes of flags, passed by value; all zero: an ordinary access */
struct q_attrs {
	uint64_t bits;
};

struct q_version *qmp_query_version(struct q_error **err);
void register_module_init(void (*fn)(void), int type);
void type_register_static(const struct q_type *type);
struct q_class *object_class_by_name(const char *name);
struct q_class *object_get_class(void *obj);
const char *object_class_get_name(struct q_class *klass);
void *object_resolve_path_type(const char *path, const char *type, bool *ambiguous);
void device_class_set_legacy_reset(struct q_class *klass, void (*reset)(struct q_device *dev));

int pcie_endpoint_cap_init(struct q_device *dev, uint8_t at);
void pcie_cap_flr_init(struct q_device *dev);
void pcie_cap_flr_write_config(struct q_device *dev, uint32_t addr, uint32_t val, int len);
void pcie_ats_init(struct q_device *dev, uint16_t at, bool aligned);
void pcie_pasid_init(struct q_device *dev, uint16_t at, uint8_t width, bool exec, bool priv);
void pcie_pri_init(struct q_device *dev, uint16_t at, uint32_t capacity, bool resp_pasid);
bool pcie_ats_enabled(const struct q_device *dev);
bool pcie_pasid_enabled(const struct q_device *dev);
bool pcie_pri_enabled(const struct q_device *dev);
uint32_t pcie_pri_get_req_alloc(const struct q_device *dev);
uint32_t pci_default_read_config(struct q_device *dev, uint32_t addr, int len);
void pci_default_write_config(struct q_device *dev, uint32_t addr, uint32_t val, int len);
void pci_register_bar(struct q_device *dev, int nr, uint8_t attr, void *region);
void pci_device_get_iommu_bus_devfn(struct q_device *dev, struct q_bus **iommu_bus,
				    struct q_bus **bus, int *devfn);
struct q_space *pci_device_iommu_address_space(struct q_device *dev);
int msix_init_exclusive_bar(struct q_device *dev, uint32_t nr, uint8_t bar, struct q_error **err);
void msix_uninit_exclusive_bar(struct q_device *dev);
void msix_vector_use(struct q_device *dev, unsigned int vector);
void msix_notify(struct q_device *dev, unsigned int vector);

ssize_t pci_ats_request_translation(struct q_device *dev, uint32_t pasid, bool priv, bool exec,
				    uint64_t addr, size_t length, bool no_write,
				    struct q_translation *result, size_t nr, uint32_t *errors);
int pci_pri_request_page(struct q_device *dev, uint32_t pasid, bool priv, bool exec,
			 uint64_t addr, bool last, uint16_t group, bool read, bool write);
int pci_pri_register_notifier(struct q_device *dev, uint32_t pasid, struct q_page_notifier *n);
void pci_pri_unregister_notifier(struct q_device *dev, uint32_t pasid);
int pci_iommu_init_iotlb_notifier(struct q_device *dev, void *notifier, q_notify *fn,
				  void *opaque);
int pci_iommu_register_iotlb_notifier(struct q_device *dev, uint32_t pasid, void *notifier);
int pci_iommu_unregister_iotlb_notifier(struct q_device *dev, uint32_t pasid, void *notifier);

void memory_region_init_io(void *region, void *owner, const struct q_region_ops *ops,
			   void *opaque, const char *name, uint64_t size);
int address_space_rw(struct q_space *space, uint64_t addr, struct q_attrs attrs, void *buf,
		     uint64_t length, bool write);
extern char address_space_memory[];

/* VT-d's view of one PASID of a device; its address space is inside, at Q_VTD_SPACE_AT */
#define Q_VTD_SPACE_AT	16
char *vtd_find_add_as(struct q_vtd *vtd, struct q_bus *bus, int devfn, uint32_t pasid);

struct q_bh *qemu_bh_new_full(void (*fn)(void *opaque), void *opaque, const char *name,
			      void *guard);
void qemu_bh_schedule(struct q_bh *bh);
void qemu_bh_delete(struct q_bh *bh);

#endif /* LAB_HW_QEMU_H */
