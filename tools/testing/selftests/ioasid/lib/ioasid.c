// SPDX-License-Identifier: GPL-2.0
/*
 * The commands of /dev/ioasid as plain functions: fill in the struct, call,
 * remember what the kernel said if it failed. See ioasid.h.
 */
#include <sys/mman.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/utsname.h>
#include <unistd.h>

#include "check.h"
#include "ioasid.h"

__thread struct ioasid_extack t_extack;

/* What every command struct begins with */
struct t_head {
	u32 size;
	u32 flags;
	u64 extack;
};

static const char *const reason_names[] = {
	[IOASID_REASON_NONE] = "NONE",
	[IOASID_REASON_OTHER] = "OTHER",
	[IOASID_REASON_SIZE] = "SIZE",
	[IOASID_REASON_FLAGS] = "FLAGS",
	[IOASID_REASON_POINTER] = "POINTER",
	[IOASID_REASON_NO_SPACE_ID] = "NO_SPACE_ID",
	[IOASID_REASON_NO_DEVICE_ID] = "NO_DEVICE_ID",
	[IOASID_REASON_KIND] = "KIND",
	[IOASID_REASON_VALUE] = "VALUE",
	[IOASID_REASON_ALIGNMENT] = "ALIGNMENT",
	[IOASID_REASON_OVERFLOW] = "OVERFLOW",
	[IOASID_REASON_OVERLAP] = "OVERLAP",
	[IOASID_REASON_UNUSABLE] = "UNUSABLE",
	[IOASID_REASON_NO_ROOM] = "NO_ROOM",
	[IOASID_REASON_NOT_MAPPED] = "NOT_MAPPED",
	[IOASID_REASON_SPLIT] = "SPLIT",
	[IOASID_REASON_MEMLOCK] = "MEMLOCK",
	[IOASID_REASON_PIN] = "PIN",
	[IOASID_REASON_PERMISSION] = "PERMISSION",
	[IOASID_REASON_NO_MEMORY] = "NO_MEMORY",
	[IOASID_REASON_KILLED] = "KILLED",
	[IOASID_REASON_IN_USE] = "IN_USE",
	[IOASID_REASON_RACE] = "RACE",
	[IOASID_REASON_LIMIT] = "LIMIT",
	[IOASID_REASON_SIBLING] = "SIBLING",
	[IOASID_REASON_ATTACHED] = "ATTACHED",
	[IOASID_REASON_NOT_ATTACHED] = "NOT_ATTACHED",
	[IOASID_REASON_MSI] = "MSI",
	[IOASID_REASON_COHERENCY] = "COHERENCY",
	[IOASID_REASON_RESERVED] = "RESERVED",
	[IOASID_REASON_APERTURE] = "APERTURE",
	[IOASID_REASON_IOMMU] = "IOMMU",
	[IOASID_REASON_RESET] = "RESET",
	[IOASID_REASON_NO_PASID] = "NO_PASID",
	[IOASID_REASON_OWNER] = "OWNER",
	[IOASID_REASON_FD] = "FD",
	[IOASID_REASON_PRIVILEGE] = "PRIVILEGE",
	[IOASID_REASON_NO_PASID_ID] = "NO_PASID_ID",
	[IOASID_REASON_NO_SVA] = "NO_SVA",
	[IOASID_REASON_NO_QUEUE_ID] = "NO_QUEUE_ID",
	[IOASID_REASON_NO_PRI] = "NO_PRI",
	[IOASID_REASON_DEVICE_MEMORY] = "DEVICE_MEMORY",
	[IOASID_REASON_FORMAT] = "FORMAT",
};

const char *t_reason_name(u32 code)
{
	if (code >= sizeof(reason_names) / sizeof(*reason_names) || !reason_names[code])
		return "(a reason that the header does not have)";
	return reason_names[code];
}

const char *t_explain(void)
{
	static __thread char text[IOASID_EXTACK_MSG + 128];

	snprintf(text, sizeof(text),
		 "the kernel said %s, space %u, device %u, index %d, value %#llx: %.*s",
		 t_reason_name(t_extack.code), t_extack.ioasid, t_extack.dev_id, (int)t_extack.index,
		 (unsigned long long)t_extack.value, IOASID_EXTACK_MSG, t_extack.msg);
	return text;
}

int t_ioctl(int fd, unsigned long cmd, void *arg)
{
	return ioctl(fd, cmd, arg) < 0 ? -errno : 0;
}

int t_cmd(int fd, unsigned long cmd, void *arg)
{
	struct t_head *head = arg;

	t_extack.size = sizeof(t_extack);
	t_extack.code = IOASID_REASON_NONE;
	t_extack.msg[0] = '\0';
	head->extack = (uintptr_t)&t_extack;
	return t_ioctl(fd, cmd, arg);
}

int t_open(void)
{
	int fd = open("/dev/ioasid", O_RDWR | O_CLOEXEC);

	return fd < 0 ? -errno : fd;
}

int t_info(int fd, struct ioasid_info *info)
{
	memset(info, 0, sizeof(*info));
	info->size = sizeof(*info);
	return t_cmd(fd, IOASID_GET_INFO, info);
}

u64 t_pinned(int fd)
{
	struct ioasid_info info;

	return t_info(fd, &info) ? ~0ULL : info.pinned;
}

u64 t_mapped(int fd)
{
	struct ioasid_info info;

	return t_info(fd, &info) ? ~0ULL : info.mapped;
}

u64 t_nr_mappings(int fd)
{
	struct ioasid_info info;

	return t_info(fd, &info) ? ~0ULL : info.nr_mappings;
}

static int alloc(int fd, u32 *ioasid, u32 kind, u32 flags, const char *label)
{
	struct ioasid_alloc cmd = { .size = sizeof(cmd), .flags = flags, .kind = kind };
	int ret;

	strncpy(cmd.label, label, sizeof(cmd.label) - 1);
	ret = t_cmd(fd, IOASID_ALLOC, &cmd);
	if (!ret)
		*ioasid = cmd.ioasid;
	return ret;
}

int t_alloc_label(int fd, u32 *ioasid, const char *label)
{
	return alloc(fd, ioasid, IOASID_KIND_MAPPED, 0, label);
}

int t_alloc(int fd, u32 *ioasid)
{
	return alloc(fd, ioasid, IOASID_KIND_MAPPED, 0, "");
}

int t_alloc_mm(int fd, u32 *ioasid)
{
	return alloc(fd, ioasid, IOASID_KIND_MM, 0, "");
}

int t_alloc_faults(int fd, u32 *ioasid)
{
	return alloc(fd, ioasid, IOASID_KIND_MAPPED, IOASID_ALLOC_FAULTS, "");
}

int t_free(int fd, u32 ioasid)
{
	struct ioasid_free cmd = { .size = sizeof(cmd), .ioasid = ioasid };

	return t_cmd(fd, IOASID_FREE, &cmd);
}

static int space_info(int fd, u32 ioasid, struct ioasid_space_info *info,
		      struct ioasid_iova_range *ranges, u32 max)
{
	*info = (struct ioasid_space_info){ .size = sizeof(*info), .ioasid = ioasid,
					    .nr_ranges = max, .ranges = (uintptr_t)ranges,
					    .range_size = sizeof(*ranges) };
	return t_cmd(fd, IOASID_SPACE_INFO, info);
}

int t_space_info(int fd, u32 ioasid, struct ioasid_space_info *info)
{
	return space_info(fd, ioasid, info, NULL, 0);
}

int t_space_ranges(int fd, u32 ioasid, struct ioasid_iova_range *ranges, u32 max)
{
	struct ioasid_space_info info;

	return space_info(fd, ioasid, &info, ranges, max) ?: (int)info.nr_ranges;
}

int t_mapv(int fd, u32 ioasid, struct ioasid_map_range *ranges, u32 nr)
{
	struct ioasid_map cmd = {
		.size = sizeof(cmd),
		.ioasid = ioasid,
		.nr = nr,
		.ranges = (uintptr_t)ranges,
		.range_size = sizeof(*ranges),
	};

	return t_cmd(fd, IOASID_MAP, &cmd);
}

/* At @iova, or wherever the kernel chooses, and then says there */
static int map_one(int fd, u32 ioasid, struct ioasid_map_range *range, u64 *iova)
{
	int ret;

	range->iova = range->flags & IOASID_MAP_FIXED ? *iova : 0;
	ret = t_mapv(fd, ioasid, range, 1);
	if (!ret)
		*iova = range->iova;
	return ret;
}

int t_map(int fd, u32 ioasid, const void *addr, u64 length, u32 flags, u64 *iova)
{
	struct ioasid_map_range range = {
		.addr = (uintptr_t)addr, .length = length, .flags = flags,
	};

	return map_one(fd, ioasid, &range, iova);
}

int t_map_at(int fd, u32 ioasid, const void *addr, u64 length, u32 flags, u64 iova)
{
	return t_map(fd, ioasid, addr, length, flags | IOASID_MAP_FIXED, &iova);
}

int t_map_file(int fd, u32 ioasid, int memfd, u64 offset, u64 length, u32 flags, u64 *iova)
{
	struct ioasid_map_range range = {
		.addr = offset, .length = length, .flags = flags | IOASID_MAP_FILE, .fd = memfd,
	};

	return map_one(fd, ioasid, &range, iova);
}

static long long unmap(int fd, u32 ioasid, u32 flags, struct ioasid_unmap_range *ranges, u32 nr)
{
	struct ioasid_unmap cmd = {
		.size = sizeof(cmd), .flags = flags, .ioasid = ioasid, .nr = nr,
		.ranges = (uintptr_t)ranges, .range_size = sizeof(*ranges),
	};
	int ret = t_cmd(fd, IOASID_UNMAP, &cmd);

	return ret ? ret : (long long)cmd.unmapped;
}

long long t_unmapv(int fd, u32 ioasid, struct ioasid_unmap_range *ranges, u32 nr)
{
	return unmap(fd, ioasid, 0, ranges, nr);
}

long long t_unmapv_empty_ok(int fd, u32 ioasid, struct ioasid_unmap_range *ranges, u32 nr)
{
	return unmap(fd, ioasid, IOASID_UNMAP_EMPTY_OK, ranges, nr);
}

long long t_unmap(int fd, u32 ioasid, u64 iova, u64 length)
{
	struct ioasid_unmap_range range = { .iova = iova, .length = length };

	return t_unmapv(fd, ioasid, &range, 1);
}

long long t_unmap_all(int fd, u32 ioasid)
{
	return unmap(fd, ioasid, IOASID_UNMAP_ALL, NULL, 0);
}

int t_copy(int fd, u32 src, u64 src_iova, u32 dst, u64 *dst_iova, u64 length, u32 flags)
{
	struct ioasid_copy cmd = {
		.size = sizeof(cmd),
		.flags = flags,
		.src_ioasid = src,
		.dst_ioasid = dst,
		.src_iova = src_iova,
		.dst_iova = flags & IOASID_MAP_FIXED ? *dst_iova : 0,
		.length = length,
	};
	int ret = t_cmd(fd, IOASID_COPY, &cmd);

	if (!ret)
		*dst_iova = cmd.dst_iova;
	return ret;
}

int t_copy_at(int fd, u32 src, u64 src_iova, u32 dst, u64 dst_iova, u64 length, u32 flags)
{
	return t_copy(fd, src, src_iova, dst, &dst_iova, length, flags | IOASID_MAP_FIXED);
}

int t_reserve(int fd, u32 ioasid, struct ioasid_iova_range *ranges, u32 nr)
{
	struct ioasid_reserve cmd = {
		.size = sizeof(cmd),
		.ioasid = ioasid,
		.nr = nr,
		.ranges = (uintptr_t)ranges,
		.range_size = sizeof(*ranges),
	};

	return t_cmd(fd, IOASID_RESERVE, &cmd);
}

int t_translate(int fd, u32 ioasid, u64 iova, u32 flags, struct ioasid_translate *tr)
{
	memset(tr, 0, sizeof(*tr));
	tr->size = sizeof(*tr);
	tr->flags = flags;
	tr->ioasid = ioasid;
	tr->iova = iova;
	return t_cmd(fd, IOASID_TRANSLATE, tr);
}

int t_option_get(int fd, u32 option, u64 *value)
{
	struct ioasid_option cmd = { .size = sizeof(cmd), .option = option };
	int ret = t_cmd(fd, IOASID_OPTION, &cmd);

	if (!ret)
		*value = cmd.value;
	return ret;
}

int t_option_set(int fd, u32 option, u64 value)
{
	struct ioasid_option cmd = {
		.size = sizeof(cmd),
		.flags = IOASID_OPTION_SET,
		.option = option,
		.value = value,
	};

	return t_cmd(fd, IOASID_OPTION, &cmd);
}

static int device_info(int fd, u32 dev_id, struct ioasid_device_info *info,
		       struct ioasid_iova_range *ranges, u32 max)
{
	*info = (struct ioasid_device_info){ .size = sizeof(*info), .dev_id = dev_id,
					     .nr_ranges = max, .ranges = (uintptr_t)ranges,
					     .range_size = sizeof(*ranges) };
	return t_cmd(fd, IOASID_DEVICE_INFO, info);
}

int t_device_info(int fd, u32 dev_id, struct ioasid_device_info *info)
{
	return device_info(fd, dev_id, info, NULL, 0);
}

int t_device_ranges(int fd, u32 dev_id, struct ioasid_iova_range *ranges, u32 max)
{
	struct ioasid_device_info info;

	return device_info(fd, dev_id, &info, ranges, max) ?: (int)info.nr_ranges;
}

bool t_usable(const struct ioasid_iova_range *ranges, int nr, u64 iova, u64 length)
{
	int i;

	for (i = 0; i < nr; i++)
		if (iova >= ranges[i].first && iova + length - 1 <= ranges[i].last)
			return true;
	return false;
}

int t_pasid_alloc(int fd, u32 dev_id, u32 nr, u32 *pasids)
{
	struct ioasid_pasid_alloc cmd = {
		.size = sizeof(cmd), .dev_id = dev_id, .nr = nr, .pasids = (uintptr_t)pasids,
	};

	return t_cmd(fd, IOASID_PASID_ALLOC, &cmd);
}

int t_pasid_free(int fd, u32 nr, const u32 *pasids)
{
	struct ioasid_pasid_free cmd = {
		.size = sizeof(cmd), .nr = nr, .pasids = (uintptr_t)pasids,
	};

	return t_cmd(fd, IOASID_PASID_FREE, &cmd);
}

int t_attach_pasid(int fd, u32 dev_id, u32 ioasid, u32 *pasid, u32 vpasid, u32 flags)
{
	struct ioasid_device_attach cmd = {
		.size = sizeof(cmd), .flags = flags, .dev_id = dev_id, .ioasid = ioasid,
		.pasid = *pasid, .vpasid = vpasid,
	};
	int ret = t_cmd(fd, IOASID_DEVICE_ATTACH, &cmd);

	if (!ret)
		*pasid = cmd.pasid;
	return ret;
}

int t_attach(int fd, u32 dev_id, u32 ioasid, u32 flags)
{
	u32 rid = IOASID_RID;

	return t_attach_pasid(fd, dev_id, ioasid, &rid, 0, flags);
}

int t_attach_many(int fd, const u32 *dev_ids, u32 nr, u32 ioasid, u32 *pasid, u32 vpasid)
{
	struct ioasid_device_attach cmd = {
		.size = sizeof(cmd), .ioasid = ioasid, .pasid = *pasid, .vpasid = vpasid,
		.nr_devices = nr, .devices = (uintptr_t)dev_ids,
	};
	int ret = t_cmd(fd, IOASID_DEVICE_ATTACH, &cmd);

	if (!ret)
		*pasid = cmd.pasid;
	return ret;
}

int t_attach_fd(int fd, int device, u32 ioasid, u32 *pasid, u32 vpasid, u32 flags, u32 *dev_id)
{
	struct ioasid_device_attach cmd = {
		.size = sizeof(cmd), .flags = flags | IOASID_ATTACH_FD, .ioasid = ioasid,
		.pasid = *pasid, .vpasid = vpasid, .device_fd = device, .cookie = device,
	};
	int ret = t_cmd(fd, IOASID_DEVICE_ATTACH, &cmd);

	if (ret)
		return ret;
	*pasid = cmd.pasid;
	if (dev_id)
		*dev_id = cmd.dev_id;
	return 0;
}

int t_bind_fd(int fd, int device, u32 *dev_id)
{
	u32 rid = IOASID_RID;

	return t_attach_fd(fd, device, 0, &rid, 0, IOASID_ATTACH_BIND_ONLY, dev_id);
}

static int detach(int fd, u32 flags, u32 dev_id, int device, u32 pasid)
{
	struct ioasid_device_detach cmd = {
		.size = sizeof(cmd), .flags = flags, .dev_id = dev_id, .device_fd = device,
		.pasid = pasid,
	};

	return t_cmd(fd, IOASID_DEVICE_DETACH, &cmd);
}

int t_detach(int fd, u32 dev_id)
{
	return detach(fd, 0, dev_id, 0, IOASID_RID);
}

int t_detach_pasid(int fd, u32 dev_id, u32 pasid)
{
	return detach(fd, 0, dev_id, 0, pasid);
}

int t_detach_fd(int fd, int device, u32 pasid)
{
	return detach(fd, IOASID_DETACH_FD, 0, device, pasid);
}

int t_unbind_fd(int fd, int device)
{
	return detach(fd, IOASID_DETACH_FD | IOASID_DETACH_UNBIND, 0, device, 0);
}

int t_unbind(int fd, u32 dev_id)
{
	return detach(fd, IOASID_DETACH_UNBIND, dev_id, 0, 0);
}

bool t_old_kernel(void)
{
	struct utsname os;

	return !uname(&os) && !strncmp(os.release, "6.12.", 5);
}

bool t_shares_mm(int fd)
{
	struct ioasid_info info;

	return !t_old_kernel() || t_info(fd, &info) || info.caps & IOASID_CAP_MM;
}

int t_queue_open(struct t_queue *q, int fd, const struct ioasid_fault_queue *args)
{
	struct ioasid_fault_queue cmd = { .eventfd = -1 };
	void *ring;
	int ret;

	if (args)
		cmd = *args;
	cmd.size = sizeof(cmd);
	if (!cmd.depth)
		cmd.depth = 256;
	memset(q, 0, sizeof(*q));
	ret = t_cmd(fd, IOASID_FAULT_QUEUE, &cmd);
	if (ret)
		return ret;
	ring = mmap(NULL, cmd.ring_bytes, PROT_READ | PROT_WRITE, MAP_SHARED, cmd.fd, 0);
	if (ring == MAP_FAILED) {
		ret = -errno;
		close(cmd.fd);
		return ret;
	}
	q->fd = cmd.fd;
	q->id = cmd.queue_id;
	q->bytes = cmd.ring_bytes;
	q->ring = ring;
	q->records = (void *)((char *)ring + IOASID_FAULT_RECORDS);
	q->responses = (void *)((char *)ring + q->ring->responses);
	return 0;
}

void t_queue_close(struct t_queue *q)
{
	if (!q->ring)
		return;
	munmap((void *)q->ring, q->bytes);
	close(q->fd);
	q->ring = NULL;
}

int t_fault_bind(int fd, u32 ioasid, u32 dev_id, u32 pasid, u32 queue_id)
{
	struct ioasid_fault_bind cmd = {
		.size = sizeof(cmd), .ioasid = ioasid, .dev_id = dev_id, .pasid = pasid,
		.queue_id = queue_id,
	};

	return t_cmd(fd, IOASID_FAULT_BIND, &cmd);
}

int t_fault_policy(int fd, u32 ioasid, u32 queue_id, u32 policy)
{
	struct ioasid_fault_bind cmd = {
		.size = sizeof(cmd), .ioasid = ioasid, .queue_id = queue_id, .policy = policy,
	};

	return t_cmd(fd, IOASID_FAULT_BIND, &cmd);
}

int t_queue_next(struct t_queue *q, struct ioasid_fault_record *record, int ms)
{
	u32 tail = q->ring->tail;

	if (__atomic_load_n(&q->ring->head, __ATOMIC_ACQUIRE) == tail && !t_readable(q->fd, ms))
		return -ETIMEDOUT;
	if (__atomic_load_n(&q->ring->head, __ATOMIC_ACQUIRE) == tail)
		return -EIO;
	*record = q->records[tail & (q->ring->depth - 1)];
	__atomic_store_n(&q->ring->tail, tail + 1, __ATOMIC_RELEASE);
	return 0;
}

int t_queue_answer(struct t_queue *q, u64 cookie, u32 code)
{
	struct ioasid_fault_response r = { .cookie = cookie, .code = code };

	return write(q->fd, &r, sizeof(r)) == sizeof(r) ? 0 : -errno;
}
