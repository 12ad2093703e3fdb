/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The benchmark's parts: sides (who maps memory for the device: /dev/ioasid,
 * VFIO type1 or iommufd), memory that all sides use, rows of figures. A
 * measurement is written once and runs on any side.
 */
#ifndef BENCH_H
#define BENCH_H

#include "../lib/check.h"
#include "../lib/dma.h"
#include "../lib/proc.h"

#define KIB		1024ULL
#define MIB		(1024 * KIB)
#define LARGE		(256 * MIB)
#define SMALL		(64 * KIB)
#define BENCH_IOVA	0x100000000ULL

/* Prints what went wrong and ends the benchmark: half a table is worth nothing */
__attribute__((noreturn, format(printf, 1, 2)))
void bench_die(const char *format, ...);
#define MUST(call) do {								\
	long long must_ret = (call);						\
	if (must_ret < 0)							\
		bench_die("%s:%d: %s: %s; %s", __FILE__, __LINE__, #call,	\
			  strerror(-must_ret), t_explain());			\
} while (0)

/* --- memory ------------------------------------------------------------- */

enum layout {
	SEQUENTIAL,	/* small pages, touched in order */
	SHUFFLED,	/* small pages, touched in random order: no two are neighbours */
	HUGE,		/* transparent huge pages */
	NR_LAYOUTS,
};

extern const char *const layout_name[NR_LAYOUTS];

struct memory {
	enum layout layout;
	char *addr;
	u64 length;
	u64 runs;	/* stretches of contiguous physical memory in it */
};

/* Whether this kernel has memory of that kind: User-Mode Linux has no huge pages */
bool memory_available(enum layout layout);
/* LARGE bytes, touched; not inherited by children */
void memory_get(struct memory *m, enum layout layout);
/* SMALL bytes in small pages, touched in order */
char *memory_small(void);
u64 memory_runs(const void *addr, u64 length);
/* 0 to @nr - 1 in an order that is random and always the same */
u32 *shuffled(u32 nr);

/* --- devices ------------------------------------------------------------ */

/* By number; dies if this machine does not have so many */
const char *device_name(int nth);
bool device_present(const char *name);
void device_sysfs(const char *name, const char *leaf, char *path, size_t room);
/* The fd of its VFIO group, and its own by way of that */
int device_group(const char *name);
int device_of_group(int group, const char *name);
/* Once @v->device is open: what a program does before it uses the device */
void device_start(struct t_vfio *v, const char *name);
/* A page, by DMA */
void device_copy(struct t_vfio *v, u64 from, u64 to);

/* --- iommufd: 0 or a negative errno; what opens something dies instead ------ */

bool iommufd_available(const char *name);
int iommufd_open(u32 *ioas);
int iommufd_device(const char *name);
int iommufd_bind(int device, int iommufd, u32 *dev_id);
int iommufd_attach(int device, u32 ioas);
int iommufd_detach(int device);
int iommufd_map(int iommufd, u32 ioas, u64 iova, void *addr, u64 length);
int iommufd_unmap(int iommufd, u32 ioas, u64 iova, u64 length);
int iommufd_attach_pasid(int device, u32 pt, u32 pasid);
int iommufd_detach_pasid(int device, u32 pasid);

/* --- sides -------------------------------------------------------------- */

/* One range to map */
struct piece {
	u64 iova;
	char *addr;
	u64 length;
};

struct side {
	const char *name;
	enum { VIA_IOASID, VIA_TYPE1, VIA_IOMMUFD } kind;
	u32 account;	/* enum ioasid_account_mode */
};

enum {
	TYPE1,
	IOMMUFD,
	OURS,
	OURS_MM,	/* with memory accounted as type1 does */
	NR_SIDES,
};

extern const struct side sides[NR_SIDES];

/* Dies without one */
const struct side *find_side(const char *name);
/* Whether this kernel has it */
bool side_available(const struct side *side);

/* A device open behind a side, ready for DMA */
struct bed {
	const struct side *side;
	struct t_vfio vfio;
	int ctx;	/* of /dev/ioasid or /dev/iommu */
	u32 ioasid;	/* or the id of the IOAS */
	u32 iommufd_dev;
};

/* @attach: whether the device joins the space at once; type1 cannot do otherwise */
void bed_open(struct bed *bed, const struct side *side, bool attach);
/* The same with a device that is not the first one */
void bed_open_on(struct bed *bed, const struct side *side, const char *name, bool attach);
void bed_attach(struct bed *bed);
void bed_close(struct bed *bed);
void bed_map(struct bed *bed, u64 iova, void *addr, u64 length);
void bed_unmap(struct bed *bed, u64 iova, u64 length);
/* As few calls as the side can: one, or one for each piece */
void bed_map_pieces(struct bed *bed, const struct piece *p, u32 nr);
void bed_unmap_pieces(struct bed *bed, const struct piece *p, u32 nr);
/* The device copies a page of mapped memory to another one; dies if it does not */
void bed_check_dma(struct bed *bed, struct memory *m, u64 iova);

/* A page table of the bed's IOAS that PASIDs can use: those that iommufd makes cannot */
u32 iommufd_pasid_pt(struct bed *bed);
/* A page table that a guest's can be nested in, such a one, and the end of either */
u32 iommufd_nest_parent(struct bed *bed);
struct iommu_hwpt_vtd_s1;
u32 iommufd_nested(struct bed *bed, u32 parent, struct iommu_hwpt_vtd_s1 *s1);
void iommufd_destroy(struct bed *bed, u32 id);
struct iommu_hwpt_vtd_s1_invalidate;
void iommufd_invalidate(struct bed *bed, u32 id, struct iommu_hwpt_vtd_s1_invalidate *e, u32 nr);
/*
 * Attaches the bed's device to a page table of its IOAS whose page requests come
 * to the file that is returned; takes their cookies, at least one; answers them
 */
int iommufd_attach_faults(struct bed *bed);
u32 iommufd_fault_take(int fd, u64 *cookies, u32 max);
void iommufd_fault_answer(int fd, const u64 *cookies, u32 nr);

/* --- rows --------------------------------------------------------------- */

/* One more sample of a row: @value in the unit's thousandths (ns for us) */
void sample(const struct side *side, const char *unit, u64 value,
	    const char *name, ...) __attribute__((format(printf, 4, 5)));
/* What explains a row, such as the layout of its memory */
void note(const char *text, const char *name, ...) __attribute__((format(printf, 2, 3)));
void print_rows(void);

/* --- what is measured ---------------------------------------------------- */

struct bench {
	struct memory mem[NR_LAYOUTS];
	char *own;	/* SMALL bytes, touched in order */
	u32 *order;	/* of NR_PAGES */
};

#define NR_PAGES	100000

/* How long each step of a second device took */
struct steps {
	u64 claim, open, attach, detach, close, unclaim;
};

void join_and_leave(struct bed *bed, const char *name, struct steps *s);
/* The device behind another IOMMU, where there is one */
#define FOREIGN		"ioasid-foreign"
/* Whether a device will do ("1") whose interrupts are not isolated, as of a machine without any */
void allow_unsafe(const struct side *side, const char *yes);
/* The same for an endpoint of ioasid_sim */
void allow_endpoint(const struct side *side, bool yes);

typedef void measure_fn(struct bench *b, const struct side *side);

struct measure {
	const char *name;
	measure_fn *fn;
	enum layout layout;
	bool mm;	/* also with OURS_MM */
};

/* Of their own files: page requests; PASIDs and processes; guests' tables; two processors */
measure_fn measure_faults, measure_pasids, measure_nested, measure_smp;
/* The first call makes what is needed, and each does it once */
void profile_pasids(const struct side *side);
void profile_faults(const struct side *side, bool ring);
void profile_nested(const struct side *side);

/* Virtual machines, all sides in turn, where the machine has a QEMU */
void measure_guests(void);

extern const struct measure measures[];
extern const unsigned int nr_measures;

/* Runs one thing over and over, to be watched; @loops 0: for ever */
int profile(struct bench *b, const char *what, const struct side *side, unsigned long loops,
	    bool trace);
void profile_list(void);

/* The child of a kill measurement: maps @layout if @mapped, writes to @fd, waits */
int kill_child(const char *side, const char *layout, const char *mapped);

#endif /* BENCH_H */
