/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The commands of /dev/ioasid as plain functions. Every one returns 0 or a
 * negative errno, and always passes an extack: what the kernel said about the
 * last failure of this thread is in t_extack, and t_explain() puts it in words,
 * so that a failing test prints the reason and not only a number.
 */
#ifndef T_IOASID_H
#define T_IOASID_H

#include <linux/ioasid.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

typedef uint32_t u32;
typedef uint64_t u64;
typedef int64_t s64;

#define T_PAGE		4096ULL
#define T_HUGE		(2ULL << 20)
#define T_RW		(IOASID_MAP_READ | IOASID_MAP_WRITE)
#define T_FIXED_RW	(T_RW | IOASID_MAP_FIXED)
/* Who may have address spaces of processes: "0" nobody, "1" root, "2" all */
#define T_MM_SPACES	"/sys/module/ioasid/parameters/mm_spaces"

/* What the kernel said about this thread's last failed command */
extern __thread struct ioasid_extack t_extack;

const char *t_explain(void);
const char *t_reason_name(u32 code);

/* Any command: sets the extack pointer (at offset 8 in every struct) */
int t_cmd(int fd, unsigned long cmd, void *arg);
/* The same without touching the struct */
int t_ioctl(int fd, unsigned long cmd, void *arg);

int t_open(void);
int t_info(int fd, struct ioasid_info *info);
u64 t_pinned(int fd);
u64 t_mapped(int fd);
u64 t_nr_mappings(int fd);

int t_alloc(int fd, u32 *ioasid);
int t_alloc_label(int fd, u32 *ioasid, const char *label);
int t_free(int fd, u32 ioasid);
int t_space_info(int fd, u32 ioasid, struct ioasid_space_info *info);
/* Number of ranges (at most @max are written), or a negative errno */
int t_space_ranges(int fd, u32 ioasid, struct ioasid_iova_range *ranges, u32 max);

/* The returned IOVA; with IOASID_MAP_FIXED *@iova is also what is asked for */
int t_map(int fd, u32 ioasid, const void *addr, u64 length, u32 flags, u64 *iova);
int t_map_at(int fd, u32 ioasid, const void *addr, u64 length, u32 flags, u64 iova);
int t_map_file(int fd, u32 ioasid, int memfd, u64 offset, u64 length, u32 flags, u64 *iova);
int t_mapv(int fd, u32 ioasid, struct ioasid_map_range *ranges, u32 nr);

/* Bytes unmapped, or a negative errno */
long long t_unmapv_empty_ok(int fd, u32 ioasid, struct ioasid_unmap_range *ranges, u32 nr);
long long t_unmap(int fd, u32 ioasid, u64 iova, u64 length);
long long t_unmapv(int fd, u32 ioasid, struct ioasid_unmap_range *ranges, u32 nr);
long long t_unmap_all(int fd, u32 ioasid);

int t_copy(int fd, u32 src, u64 src_iova, u32 dst, u64 *dst_iova, u64 length, u32 flags);
int t_copy_at(int fd, u32 src, u64 src_iova, u32 dst, u64 dst_iova, u64 length, u32 flags);
int t_reserve(int fd, u32 ioasid, struct ioasid_iova_range *ranges, u32 nr);
int t_translate(int fd, u32 ioasid, u64 iova, u32 flags, struct ioasid_translate *tr);
int t_option_get(int fd, u32 option, u64 *value);
int t_option_set(int fd, u32 option, u64 value);
int t_device_info(int fd, u32 dev_id, struct ioasid_device_info *info);
int t_device_ranges(int fd, u32 dev_id, struct ioasid_iova_range *ranges, u32 max);
int t_attach(int fd, u32 dev_id, u32 ioasid, u32 flags);
int t_detach(int fd, u32 dev_id);
int t_pasid_alloc(int fd, u32 dev_id, u32 nr, u32 *pasids);
int t_pasid_free(int fd, u32 nr, const u32 *pasids);
/* *@pasid is what is asked for, and then what it is; vpasid 0: the same number */
int t_attach_pasid(int fd, u32 dev_id, u32 ioasid, u32 *pasid, u32 vpasid, u32 flags);
/* The same for several devices: all of them or none */
int t_attach_many(int fd, const u32 *dev_ids, u32 nr, u32 ioasid, u32 *pasid, u32 vpasid);
int t_detach_pasid(int fd, u32 dev_id, u32 pasid);
/* The same by an open device; *@dev_id is its id, @dev_id may be NULL */
int t_attach_fd(int fd, int device, u32 ioasid, u32 *pasid, u32 vpasid, u32 flags, u32 *dev_id);
/* Binds it only, until t_unbind() or t_unbind_fd() */
int t_bind_fd(int fd, int device, u32 *dev_id);
int t_detach_fd(int fd, int device, u32 pasid);
int t_unbind_fd(int fd, int device);
int t_unbind(int fd, u32 dev_id);
int t_alloc_mm(int fd, u32 *ioasid);
/* Linux 6.12, as Debian has it: what it cannot do, 7.x must */
bool t_old_kernel(void);
/* Not on Linux 6.12, whose x86 code lets no device at a process' memory; 7.x must */
bool t_shares_mm(int fd);
int t_alloc_faults(int fd, u32 *ioasid);

/* A fault queue with its ring mapped; zero fields of @args take the defaults */
struct t_queue {
	int fd;
	u32 id;
	size_t bytes;
	volatile struct ioasid_fault_ring *ring;
	struct ioasid_fault_record *records;
	struct ioasid_fault_response *responses;
};

int t_queue_open(struct t_queue *q, int fd, const struct ioasid_fault_queue *args);
void t_queue_close(struct t_queue *q);
int t_fault_bind(int fd, u32 ioasid, u32 dev_id, u32 pasid, u32 queue_id);
int t_fault_policy(int fd, u32 ioasid, u32 queue_id, u32 policy);
/* The next record, through the ring; -ETIMEDOUT after @ms */
int t_queue_next(struct t_queue *q, struct ioasid_fault_record *record, int ms);
/* One answer by write(): 0 or a negative errno */
int t_queue_answer(struct t_queue *q, u64 cookie, u32 code);

/* Is [iova, iova + length) wholly inside one of the ranges? */
bool t_usable(const struct ioasid_iova_range *ranges, int nr, u64 iova, u64 length);

#endif /* T_IOASID_H */
