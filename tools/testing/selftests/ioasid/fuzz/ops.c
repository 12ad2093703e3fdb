// SPDX-License-Identifier: GPL-2.0
/*
 * Bytes become system calls. See ops.h.
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/capability.h>
#include <linux/falloc.h>
#include <linux/iommufd.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "lib/check.h"
#include "lib/proc.h"
#include "ops.h"

/*
 * The memory of a program, always at the same address. What lies around it is
 * not mapped, so that a struct can hang over the end.
 */
#define MEM		((char *)0x200000000ULL)
#define MEM_RW		0	/* private, to be written */
#define MEM_FILE	128	/* shared, of the memfd */
#define MEM_RO		192	/* read-only */
#define MEM_NONE	200	/* no access at all */
#define MEM_SCRATCH	208	/* structs and arrays; a hole follows */
#define MEM_TABLE	220	/* the last of it but three: a page table for nested spaces */
#define MEM_SCRATCH_END	224
#define MEM_HUGE	512	/* huge pages, if there are any */
#define MEM_HUGE_END	1536
#define MEM_END		2048
#define FILE_PAGES	64
#define VECTOR		6

static u64 u8_of(struct ops *o)
{
	if (!o->left)
		return 0;
	o->left--;
	return *o->in++;
}

static u64 bytes_of(struct ops *o, int nr)
{
	u64 v = 0;
	int i;

	for (i = 0; i < nr; i++)
		v |= u8_of(o) << (8 * i);
	return v;
}

/* Numbers at which something changes */
static const u64 edges[] = {
	0, 1, 4095, 4096, 4097, 0x1fffff, 0x200000, 0x40000000, 0x7fffffff, 0x80000000,
	0xfee00000, 0xfeefffff, 0xfffff000, 0xffffffff, 0x100000000ULL, 0x7ffffff000ULL,
	0x8000000000ULL, 0x7ffffffff000ULL, 0x800000000000ULL, 0xfffffffff000ULL,
	0x1000000000000ULL, 0xfffffffffff000ULL, 0x7fffffffffffffffULL, 0x8000000000000000ULL,
	0xfffffffffffff000ULL, 0xffffffffffffffffULL,
};

static u64 number(struct ops *o)
{
	u64 m = u8_of(o);

	if (m < 128)
		return m * T_PAGE;
	if (m < 250)
		return edges[m % (sizeof(edges) / sizeof(*edges))];
	return bytes_of(o, 8);
}

/*
 * A number as an address in this process. The kernel writes there, so it must not be
 * where this program itself lives.
 */
static u64 harmless(u64 addr)
{
	return addr >= 0x400000 && addr < 0x100000000ULL ? addr + 0x300000000ULL : addr;
}

static u64 iova_of(struct ops *o)
{
	u64 m = u8_of(o);

	if (m < 224)
		return OPS_AT + m * T_PAGE;
	if (m < 240)
		return OPS_AT + (m - 224) * T_HUGE;
	return number(o);
}

static u64 length_of(struct ops *o)
{
	u64 m = u8_of(o);

	if (m < 200)
		return (1 + m % 16) * T_PAGE;
	if (m < 240)
		return (m - 199) * 16 * T_PAGE;
	return m < 244 ? (m - 239) * T_HUGE / 2 : number(o);
}

static u64 addr_of(struct ops *o)
{
	u64 m = u8_of(o);

	if (m < 224)
		return (uintptr_t)o->mem + m * T_PAGE;
	if (m < 232)
		return (uintptr_t)o->mem + (MEM_HUGE + (m - 224) * 128) * T_PAGE;
	if (m < 248 && o->extra)
		return (uintptr_t)o->extra + u8_of(o) % o->extra_pages * T_PAGE;
	if (m < 250 && o->dev[0])
		return (uintptr_t)o->dev[0]->bar;
	return harmless(number(o));
}

static u32 flags_of(struct ops *o)
{
	u64 m = u8_of(o);
	u32 flags = m & 3 ? m & 3 : T_RW;

	return m < 0xf8 ? flags | (m & 4) : m & 0x17;
}

static int ctx_of(struct ops *o)
{
	return u8_of(o) & (OPS_CTX - 1);
}

/* A space: mostly one that is there */
static u32 id_of(struct ops *o, int c)
{
	u64 m = u8_of(o);
	int i, n = 0;

	if (m >= 248)
		return m == 248 ? bytes_of(o, 4) : m - 248;
	for (i = 0; i < OPS_IDS; i++)
		n += !!o->ids[c][i];
	if (!n)
		return m % 4;
	m %= n;
	for (i = 0; i < OPS_IDS; i++) {
		u32 id = o->ids[c][i];

		if (id && !m--)
			return id;
	}
	return 1;
}

static u32 dev_id_of(struct ops *o)
{
	u64 m = u8_of(o);

	return m < 240 ? o->dev_id[m % OPS_DEVS] : m - 240;
}

/* --- what must always be so ------------------------------------------------ */

static void wrong(struct ops *o, const char *what, unsigned long nr, int ret)
{
	if (!o->wrong[0])
		snprintf(o->wrong, sizeof(o->wrong), "command %#lx gave %d: %s; %.90s", nr, ret,
			 what, t_explain());
}

static void mix(u64 *digest, const void *data, size_t length)
{
	const unsigned char *p = data;

	while (length--)
		*digest = (*digest ^ *p++) * 0x100000001b3ULL;
}

/* A space, and its share of what the context adds up */
static void digest_space(struct ops *o, u64 *digest, int c, u32 id, struct ioasid_info *sum)
{
	struct ioasid_iova_range ranges[64];
	struct ioasid_space_info s = {
		.size = sizeof(s),
		.ioasid = id,
		.nr_ranges = 64,
		.ranges = (uintptr_t)ranges,
		.range_size = sizeof(*ranges),
	};
	int ret = t_ioctl(o->ctx[c], IOASID_SPACE_INFO, &s);

	mix(digest, &ret, sizeof(ret));
	if (ret)
		return;
	s.ranges = 0;
	mix(digest, &s, sizeof(s));
	mix(digest, ranges, s.nr_ranges * sizeof(*ranges));
	sum->nr_spaces++;
	sum->nr_mappings += s.nr_mappings;
	sum->mapped += s.mapped;
}

static bool first_of(struct ops *o, int c, int i)
{
	int j;

	for (j = 0; j < i; j++)
		if (o->ids[c][j] == o->ids[c][i])
			return false;
	return true;
}

static u64 digest(struct ops *o)
{
	u64 d = 0xcbf29ce484222325ULL;
	int c, i;

	for (c = 0; c < OPS_CTX; c++) {
		struct ioasid_info info = { .size = sizeof(info) }, sum = { 0 };

		t_ioctl(o->ctx[c], IOASID_GET_INFO, &info);
		/*
		 * A failed attach can have given the process its PASID, and one of
		 * a process that has gone is given back later
		 */
		info.nr_pasids = 0;
		mix(&d, &info, sizeof(info));
		for (i = 0; i < OPS_IDS; i++)
			if (o->ids[c][i] && first_of(o, c, i))
				digest_space(o, &d, c, o->ids[c][i], &sum);
		/* Programs can make spaces whose ids they do not keep */
		if (sum.nr_spaces == info.nr_spaces &&
		    (sum.mapped != info.mapped || sum.nr_mappings != info.nr_mappings))
			wrong(o, "the spaces do not add up to the context", IOASID_GET_INFO, 0);
	}
	return d;
}

/* The write itself can be what fails: then nothing is armed any more */
static void disarm(struct ops *o)
{
	if (o->armed && pwrite(o->nth_fd, "0", 1, 0) != 1 && pwrite(o->nth_fd, "0", 1, 0) != 1)
		wrong(o, "fail-nth cannot be written", 0, -errno);
	o->armed = 0;
}

/* After every command; @nr is what was called */
static int judge(struct ops *o, unsigned long nr, int ret)
{
	/* As if the memory had gone while the command ran: found after the deed */
	bool gone = o->armed && ret == -EFAULT;
	u64 now;

	o->commands++;
	o->succeeded += !ret;
	disarm(o);
	if (o->trace)
		fprintf(stderr, "# %#lx gives %d\n", nr, ret);
	if (ret < -133)
		wrong(o, "no errno for user space", nr, ret);
	if (!o->alone)
		return ret;
	now = digest(o);
	if (ret && !gone && now != o->digest)
		wrong(o, "it failed and did not leave everything as it was", nr, ret);
	o->digest = now;
	return ret;
}

/* --- calling, straight or bent ---------------------------------------------- */

static int straight(struct ops *o, int fd, unsigned long nr, void *arg)
{
	int ret = t_cmd(fd, nr, arg);

	if (o->trace && ret)
		fprintf(stderr, "# %s\n", t_explain());
	/* What fails can be the copy of the reason itself */
	if (ret && ret != -ENOTTY && t_extack.code == IOASID_REASON_NONE && !o->armed)
		wrong(o, "it failed without a reason", nr, ret);
	if (!ret && t_extack.code != IOASID_REASON_NONE)
		wrong(o, "it wrote a reason and did not fail", nr, ret);
	return judge(o, nr, ret);
}

/* The struct in scratch memory, with one thing about it that is not as it should be */
static int bent(struct ops *o, int fd, unsigned long nr, void *arg, size_t size, u64 how)
{
	char *scratch = o->mem + (MEM_SCRATCH + 8) * T_PAGE;
	char *end = o->mem + MEM_SCRATCH_END * T_PAGE;
	struct ioasid_extack *why = (void *)(scratch + T_PAGE);
	char *at = scratch;
	u32 *head = (u32 *)scratch;
	u64 *extack = (u64 *)(scratch + 8);

	memset(scratch, 0, 3 * T_PAGE);
	memcpy(scratch, arg, size);
	why->size = sizeof(*why);
	*extack = (uintptr_t)why;
	switch (how & 15) {
	case 0:
		head[0] = u8_of(o);
		break;
	case 1:
		head[0] = size - 4;
		break;
	case 2:
		head[0] = size + u8_of(o);
		break;
	case 3:
		head[0] = size + 8 + u8_of(o);
		scratch[head[0] - 1] = 1;
		break;
	case 4:
		head[0] = T_PAGE + u8_of(o);
		break;
	case 5:
		head[0] = bytes_of(o, 4);
		break;
	case 6:
	case 7:
		head[1] ^= 1U << (u8_of(o) & 31);
		break;
	case 8:
		*extack = 0;
		break;
	case 9:
		*extack = addr_of(o);
		break;
	case 10:
		*extack = (uintptr_t)scratch + u8_of(o) % 64;
		break;
	case 11:
		why->size = u8_of(o);
		break;
	case 12:
		head += 4 + u8_of(o) % (size / 4 - 4);
		*head = bytes_of(o, 4);
		break;
	case 13:
		extack += 1 + u8_of(o) % (size / 8 - 2);
		*extack = harmless(number(o));
		break;
	case 14:
		at = (char *)(uintptr_t)addr_of(o);
		break;
	case 15:
		at = end - u8_of(o) % (size + 8);
		memcpy(at, scratch, end - at < (long)size ? end - at : (long)size);
		break;
	}
	return judge(o, nr, t_ioctl(fd, nr, at));
}

static int call(struct ops *o, int fd, unsigned long nr, void *arg, size_t size)
{
	u64 how = u8_of(o);
	int ret;

	if (how < 208)
		return straight(o, fd, nr, arg);
	ret = bent(o, fd, nr, arg, size, how);
	if (!ret)
		memcpy(arg, o->mem + (MEM_SCRATCH + 8) * T_PAGE, size);
	return ret;
}

#define CALL(o, fd, nr, cmd)	call(o, fd, nr, cmd, sizeof(*(cmd)))

/* Where an array is handed over: mostly in scratch memory */
static u64 array(struct ops *o, const void *data, size_t size)
{
	char *at = o->mem + MEM_SCRATCH * T_PAGE, *end = o->mem + MEM_SCRATCH_END * T_PAGE;
	u64 m = u8_of(o);

	if (m >= 252)
		return addr_of(o);
	if (m >= 244)
		at = end - size + (m - 244) * 2;
	memcpy(at, data, end - at < (long)size ? end - at : (long)size);
	return (uintptr_t)at;
}

/* --- spaces ----------------------------------------------------------------- */

static void op_alloc(struct ops *o)
{
	struct ioasid_alloc cmd = { .size = sizeof(cmd), .kind = IOASID_KIND_MAPPED };
	int c = ctx_of(o), i;
	char letter = 'a' + u8_of(o) % 26;

	/* A label must have an end */
	memset(cmd.label, letter, u8_of(o) % 34 < 32 ? 5 : 32);
	if (CALL(o, o->ctx[c], IOASID_ALLOC, &cmd))
		return;
	for (i = 0; i < OPS_IDS - 1 && o->ids[c][i]; i++)
		;
	/* A struct at the end of memory does not get the id back */
	if (cmd.ioasid)
		o->ids[c][i] = cmd.ioasid;
	if (o->alone)
		o->digest = digest(o);
}

static void op_free(struct ops *o)
{
	struct ioasid_free cmd = { .size = sizeof(cmd) };
	int c = ctx_of(o), i;

	cmd.ioasid = id_of(o, c);
	if (CALL(o, o->ctx[c], IOASID_FREE, &cmd))
		return;
	for (i = 0; i < OPS_IDS; i++)
		if (o->ids[c][i] == cmd.ioasid)
			o->ids[c][i] = 0;
	if (o->alone)
		o->digest = digest(o);
}

static void op_info(struct ops *o)
{
	struct ioasid_info cmd = { .size = sizeof(cmd) };

	CALL(o, o->ctx[ctx_of(o)], IOASID_GET_INFO, &cmd);
}

static void op_space_info(struct ops *o)
{
	struct ioasid_iova_range ranges[4] = { 0 };
	struct ioasid_space_info cmd = { .size = sizeof(cmd), .range_size = sizeof(*ranges) };
	int c = ctx_of(o);

	cmd.ioasid = id_of(o, c);
	cmd.nr_ranges = u8_of(o) % 5;
	cmd.ranges = cmd.nr_ranges ? array(o, ranges, sizeof(ranges)) : 0;
	CALL(o, o->ctx[c], IOASID_SPACE_INFO, &cmd);
}

static void op_option(struct ops *o)
{
	struct ioasid_option cmd = { .size = sizeof(cmd) };
	u64 m = u8_of(o);

	cmd.option = m < 240 ? IOASID_OPTION_ACCOUNT_MODE : m - 240;
	cmd.flags = m & 1 ? IOASID_OPTION_SET : 0;
	cmd.value = m & 2 ? IOASID_ACCOUNT_MM : IOASID_ACCOUNT_USER;
	if (m >= 250)
		cmd.value = number(o);
	CALL(o, o->ctx[ctx_of(o)], IOASID_OPTION, &cmd);
}

static void op_reserve(struct ops *o)
{
	struct ioasid_iova_range ranges[VECTOR] = { 0 };
	struct ioasid_reserve cmd = { .size = sizeof(cmd), .range_size = sizeof(*ranges) };
	int c = ctx_of(o);
	u64 at = u8_of(o) < 200 ? OPS_AT : 0;
	u32 i;

	cmd.ioasid = id_of(o, c);
	cmd.nr = u8_of(o) % (VECTOR + 1);
	for (i = 0; i < cmd.nr; i++) {
		at += u8_of(o) * T_PAGE;
		ranges[i].first = at;
		at += (1 + u8_of(o) % 64) * T_PAGE;
		ranges[i].last = at - 1;
		if (u8_of(o) > 240)
			ranges[i].last = iova_of(o);
	}
	cmd.ranges = cmd.nr ? array(o, ranges, sizeof(ranges)) : 0;
	CALL(o, o->ctx[c], IOASID_RESERVE, &cmd);
}

/* --- mappings --------------------------------------------------------------- */

static void range_of(struct ops *o, struct ioasid_map_range *r)
{
	r->flags = flags_of(o);
	r->iova = r->flags & IOASID_MAP_FIXED || u8_of(o) > 250 ? iova_of(o) : 0;
	r->length = length_of(o);
	if (u8_of(o) < 208) {
		r->addr = addr_of(o);
		return;
	}
	r->flags |= IOASID_MAP_FILE;
	r->fd = u8_of(o) < 250 ? o->memfd : (int)u8_of(o) - 1;
	r->addr = u8_of(o) % FILE_PAGES * T_PAGE;
}

static void op_map(struct ops *o)
{
	struct ioasid_map_range ranges[VECTOR] = { 0 };
	struct ioasid_map cmd = { .size = sizeof(cmd), .range_size = sizeof(*ranges) };
	int c = ctx_of(o);
	u64 m = u8_of(o);
	u32 i;

	cmd.ioasid = id_of(o, c);
	cmd.nr = m < 128 ? 1 : m % (VECTOR + 1);
	for (i = 0; i < cmd.nr; i++)
		range_of(o, &ranges[i]);
	cmd.ranges = array(o, ranges, sizeof(ranges));
	if (m == 255)
		cmd.nr = bytes_of(o, 4);
	CALL(o, o->ctx[c], IOASID_MAP, &cmd);
}

static void op_unmap(struct ops *o)
{
	struct ioasid_unmap_range ranges[VECTOR] = { 0 };
	struct ioasid_unmap cmd = { .size = sizeof(cmd), .range_size = sizeof(*ranges) };
	int c = ctx_of(o);
	u64 m = u8_of(o);
	u32 i;

	cmd.ioasid = id_of(o, c);
	cmd.nr = m < 128 ? 1 : m % (VECTOR + 1);
	for (i = 0; i < cmd.nr; i++) {
		ranges[i].iova = iova_of(o);
		ranges[i].length = length_of(o);
	}
	cmd.ranges = array(o, ranges, sizeof(ranges));
	if (m == 254)
		cmd.nr = bytes_of(o, 4);
	CALL(o, o->ctx[c], IOASID_UNMAP, &cmd);
}

/* A mapping that is there, found by TRANSLATE: bytes alone would seldom hit one */
static int found(struct ops *o, int c, u32 id, struct ioasid_translate *tr)
{
	memset(tr, 0, sizeof(*tr));
	tr->size = sizeof(*tr);
	tr->ioasid = id;
	tr->iova = iova_of(o);
	return t_ioctl(o->ctx[c], IOASID_TRANSLATE, tr);
}

static void op_unmap_found(struct ops *o)
{
	struct ioasid_unmap_range range = { 0 };
	struct ioasid_unmap cmd = { .size = sizeof(cmd), .nr = 1, .range_size = sizeof(range) };
	struct ioasid_translate tr;
	int c = ctx_of(o);

	cmd.ioasid = id_of(o, c);
	if (found(o, c, cmd.ioasid, &tr))
		return;
	range.iova = tr.map_iova;
	range.length = tr.map_length;
	cmd.ranges = array(o, &range, sizeof(range));
	CALL(o, o->ctx[c], IOASID_UNMAP, &cmd);
}

static void op_unmap_all(struct ops *o)
{
	struct ioasid_unmap cmd = { .size = sizeof(cmd), .flags = IOASID_UNMAP_ALL };
	int c = ctx_of(o);

	cmd.ioasid = id_of(o, c);
	CALL(o, o->ctx[c], IOASID_UNMAP, &cmd);
}

static void op_copy(struct ops *o)
{
	struct ioasid_copy cmd = { .size = sizeof(cmd) };
	struct ioasid_translate tr;
	int c = ctx_of(o);
	u64 m;

	cmd.src_ioasid = id_of(o, c);
	cmd.dst_ioasid = id_of(o, c);
	cmd.flags = flags_of(o);
	m = u8_of(o);
	if (m < 160 && !found(o, c, cmd.src_ioasid, &tr)) {
		cmd.src_iova = tr.map_iova + m % 4 * T_PAGE;
		cmd.length = tr.map_length - m % 8 * T_PAGE;
	} else {
		cmd.src_iova = iova_of(o);
		cmd.length = length_of(o);
	}
	cmd.dst_iova = cmd.flags & IOASID_MAP_FIXED ? iova_of(o) : 0;
	CALL(o, o->ctx[c], IOASID_COPY, &cmd);
}

static void op_translate(struct ops *o)
{
	struct ioasid_translate cmd = { .size = sizeof(cmd) };
	int c = ctx_of(o);

	cmd.ioasid = id_of(o, c);
	cmd.iova = iova_of(o);
	cmd.flags = u8_of(o) & 1 ? IOASID_TRANSLATE_PHYS : 0;
	CALL(o, o->ctx[c], IOASID_TRANSLATE, &cmd);
}

/* Once commands: what they read is read, so that the corpus keeps its meaning */
static void op_dirty(struct ops *o)
{
	u64 set[3] = { sizeof(set) }, get[7] = { sizeof(get) }, bitmap[8] = { 0 };
	int c = ctx_of(o);
	u64 m = u8_of(o);

	if (m & 1) {
		set[2] = id_of(o, c);
		call(o, o->ctx[c], _IO(IOASID_TYPE, 0x0d), set, sizeof(set));
		return;
	}
	get[2] = id_of(o, c);
	get[3] = iova_of(o);
	get[4] = length_of(o);
	get[5] = m & 2 ? T_PAGE : number(o);
	get[6] = array(o, bitmap, sizeof(bitmap));
	call(o, o->ctx[c], _IO(IOASID_TYPE, 0x0e), get, sizeof(get));
}

/* --- devices ---------------------------------------------------------------- */

static void op_device_info(struct ops *o)
{
	struct ioasid_iova_range ranges[4] = { 0 };
	struct ioasid_device_info cmd = { .size = sizeof(cmd), .range_size = sizeof(*ranges) };
	int c = ctx_of(o);
	u64 m = u8_of(o);

	cmd.dev_id = dev_id_of(o);
	cmd.nr_ranges = m % 5;
	cmd.ranges = cmd.nr_ranges ? array(o, ranges, sizeof(ranges)) : 0;
	if (m & 64) {
		cmd.hw_info_len = m & 128 ? 64 : m & 15;
		cmd.hw_info = array(o, ranges, sizeof(ranges));
	}
	CALL(o, o->ctx[c], IOASID_DEVICE_INFO, &cmd);
}

static u32 attach_flags_of(struct ops *o)
{
	u64 m = u8_of(o);

	return m < 240 ? m & IOASID_ATTACH_REPLACE : 1U << (m & 15);
}

static void op_attach(struct ops *o)
{
	struct ioasid_device_attach cmd = { .size = sizeof(cmd) };
	int c = ctx_of(o);

	cmd.dev_id = dev_id_of(o);
	cmd.ioasid = id_of(o, c);
	cmd.flags = attach_flags_of(o);
	cmd.pasid = u8_of(o) > 240 ? u8_of(o) : 0;
	CALL(o, o->ctx[c], IOASID_DEVICE_ATTACH, &cmd);
}

static void op_detach(struct ops *o)
{
	struct ioasid_device_detach cmd = { .size = sizeof(cmd) };
	int c = ctx_of(o);

	cmd.dev_id = dev_id_of(o);
	cmd.pasid = u8_of(o) > 240 ? u8_of(o) : 0;
	CALL(o, o->ctx[c], IOASID_DEVICE_DETACH, &cmd);
}

/* A file descriptor of the wrong kind now and then */
static int any_fd(struct ops *o, int right, const struct t_vfio *v)
{
	u64 m = u8_of(o);

	if (m < 224)
		return right;
	switch (m & 7) {
	case 0:
		return o->ctx[0];
	case 1:
		return v->container;
	case 2:
		return v->group;
	case 3:
		return v->device;
	case 4:
		return o->memfd;
	case 5:
		return -1;
	case 6:
		return 1000;
	}
	return 1;
}

static struct t_vfio *dev_of(struct ops *o, int *which)
{
	*which = u8_of(o) % OPS_DEVS;
	if (!o->dev[*which])
		*which = 0;
	return o->dev[*which];
}

static void op_vfio_attach(struct ops *o)
{
	struct vfio_device_attach cmd = { .argsz = sizeof(cmd) };
	int which, c = ctx_of(o);
	struct t_vfio *v = dev_of(o, &which);
	u64 m;

	if (!v)
		return;
	m = u8_of(o);
	cmd.flags = attach_flags_of(o);
	cmd.ioasid = id_of(o, c);
	if (m < 64) {
		cmd.flags = VFIO_DEVICE_ATTACH_BIND_ONLY;
		cmd.ioasid = 0;
	}
	cmd.ioasid_fd = any_fd(o, o->ctx[c], v);
	cmd.device_fd = any_fd(o, v->device, v);
	cmd.pasid = m > 250 ? u8_of(o) : 0;
	cmd.cookie = m;
	/* A bent struct may name another device or lose the answer */
	o->bound[0] = o->bound[0] || o->dev[0];
	o->bound[1] = o->bound[1] || o->dev[1];
	if (!CALL(o, v->container, VFIO_DEVICE_ATTACH, &cmd) && cmd.dev_id)
		o->dev_id[which] = cmd.dev_id;
}

static void op_vfio_detach(struct ops *o)
{
	struct vfio_device_detach cmd = { .argsz = sizeof(cmd) };
	int which;
	struct t_vfio *v = dev_of(o, &which);

	if (!v)
		return;
	cmd.device_fd = any_fd(o, v->device, v);
	cmd.pasid = u8_of(o) > 240 ? u8_of(o) : 0;
	CALL(o, v->container, VFIO_DEVICE_DETACH, &cmd);
}

/* What else can be said to a container, a group and a device */
static void op_vfio_other(struct ops *o)
{
	struct vfio_iommu_type1_dma_map map = { .argsz = sizeof(map), .flags = 3 };
	int which, fd;
	struct t_vfio *v = dev_of(o, &which);

	if (!v)
		return;
	switch (u8_of(o) % 10) {
	case 0:
		ioctl(v->container, VFIO_CHECK_EXTENSION, number(o));
		break;
	case 1:
		ioctl(v->container, VFIO_CHECK_EXTENSION, VFIO_IOASID_IOMMU);
		break;
	case 2:
		ioctl(v->container, VFIO_SET_IOMMU, u8_of(o) & 1 ? VFIO_IOASID_IOMMU :
		      (u64)VFIO_TYPE1v2_IOMMU);
		break;
	case 3:
		map.iova = iova_of(o);
		map.vaddr = addr_of(o);
		map.size = length_of(o);
		judge(o, VFIO_IOMMU_MAP_DMA, t_ioctl(v->container, VFIO_IOMMU_MAP_DMA, &map));
		break;
	case 4:
		fd = any_fd(o, v->container, v);
		ioctl(v->group, VFIO_GROUP_SET_CONTAINER, &fd);
		break;
	case 5:
		ioctl(v->group, VFIO_GROUP_UNSET_CONTAINER);
		break;
	case 6:
		ioctl(v->device, VFIO_DEVICE_RESET);
		break;
	case 7:
		ioctl(v->container, _IO(IOASID_TYPE, 0x40 + u8_of(o) % 16), o->mem);
		break;
	case 8:
		ioctl(v->device, _IO(IOASID_TYPE, u8_of(o)), o->mem);
		break;
	case 9:
		t_vfio_bus_master(v, u8_of(o) & 1);
		break;
	}
	if (o->alone)
		o->digest = digest(o);
}

static void reap_queues(struct ops *o);
static void forget_slots(struct ops *o, int which);

/* The only way to unbind a device from a context */
static void op_reopen_device(struct ops *o)
{
	int which;
	struct t_vfio *v = dev_of(o, &which);

	if (!v || !o->alone)
		return;
	disarm(o);
	t_vfio_close_device(v);
	if (t_vfio_reopen_device(v))
		wrong(o, "a device that was closed cannot be opened again", 0, 0);
	else
		forget_slots(o, which);
	o->bound[which] = false;
	o->digest = digest(o);
}

static void op_reopen_context(struct ops *o)
{
	int c = ctx_of(o), i;

	if (!o->alone)
		return;
	disarm(o);
	close(o->ctx[c]);
	for (i = 0; i < OPS_IDS; i++)
		o->ids[c][i] = 0;
	o->ctx[c] = t_open();
	if (o->ctx[c] < 0)
		wrong(o, "/dev/ioasid cannot be opened", 0, o->ctx[c]);
	o->digest = digest(o);
}

static void op_raw(struct ops *o)
{
	u64 *words = (u64 *)(o->mem + MEM_SCRATCH * T_PAGE);
	unsigned long nr = _IO(IOASID_TYPE, u8_of(o) % 0x20);
	int i, c = ctx_of(o);

	memset(words, 0, T_PAGE);
	if (u8_of(o) > 240)
		nr ^= bytes_of(o, 4);
	for (i = 0; i < 12; i++)
		words[i] = u8_of(o) & 1 ? harmless(bytes_of(o, 8)) : u8_of(o);
	judge(o, nr, t_ioctl(o->ctx[c], nr, words));
	/* Whatever it was, it may have made a space or a queue whose id nobody has */
	if ((nr & 0xff) == _IOC_NR(IOASID_FAULT_QUEUE))
		reap_queues(o);
	if (o->alone)
		o->digest = digest(o);
}

/* --- memory and process ------------------------------------------------------ */

static void op_memory(struct ops *o)
{
	u64 m = u8_of(o), pages = 1 + u8_of(o) % 32;
	char *at = o->mem + u8_of(o) % MEM_SCRATCH * T_PAGE;
	size_t len = pages * T_PAGE;

	if (at + len > o->mem + MEM_SCRATCH * T_PAGE)
		return;
	o->mem_dirty = true;
	switch (m % 8) {
	case 0:
		munmap(at, len);
		break;
	case 1:
		mprotect(at, len, PROT_READ);
		break;
	case 2:
		mprotect(at, len, PROT_READ | PROT_WRITE);
		break;
	case 3:
		madvise(at, len, MADV_DONTNEED);
		break;
	case 4:
		mmap(at, len, PROT_READ | PROT_WRITE, MAP_FIXED | MAP_PRIVATE | MAP_ANONYMOUS, -1,
		     0);
		break;
	case 5:
		mmap(at, len, PROT_READ | PROT_WRITE, MAP_FIXED | MAP_SHARED, o->memfd,
		     u8_of(o) % FILE_PAGES * T_PAGE);
		break;
	case 6:
		mremap(at, len, len, MREMAP_MAYMOVE | MREMAP_FIXED,
		       o->mem + u8_of(o) % (MEM_SCRATCH - 32) * T_PAGE);
		break;
	case 7:
		mmap(at, len, PROT_READ, MAP_FIXED | MAP_PRIVATE, o->memfd, 0);
		break;
	}
}

static void op_file(struct ops *o)
{
	u64 m = u8_of(o), page = u8_of(o) % FILE_PAGES;

	o->file_dirty = true;
	switch (m % 4) {
	case 0:
		if (ftruncate(o->memfd, page * T_PAGE))
			return;
		break;
	case 1:
		if (ftruncate(o->memfd, FILE_PAGES * T_PAGE))
			return;
		break;
	case 2:
		fallocate(o->memfd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, page * T_PAGE,
			  (1 + u8_of(o) % 16) * T_PAGE);
		break;
	case 3:
		fcntl(o->memfd, F_ADD_SEALS, u8_of(o) & 0x1e);
		break;
	}
}

/* Without this capability RLIMIT_MEMLOCK counts */
static void ipc_lock(bool on)
{
	struct __user_cap_header_struct head = { .version = _LINUX_CAPABILITY_VERSION_3 };
	struct __user_cap_data_struct data[2];

	if (syscall(SYS_capget, &head, data))
		return;
	if (on)
		data[0].effective |= 1U << CAP_IPC_LOCK;
	else
		data[0].effective &= ~(1U << CAP_IPC_LOCK);
	syscall(SYS_capset, &head, data);
}

static void op_limit(struct ops *o)
{
	struct rlimit limit;
	u64 m = u8_of(o);

	o->limit_dirty = true;
	ipc_lock(m & 1);
	if (getrlimit(RLIMIT_MEMLOCK, &limit))
		return;
	limit.rlim_cur = m / 2 * T_PAGE;
	if (limit.rlim_cur < limit.rlim_max)
		setrlimit(RLIMIT_MEMLOCK, &limit);
}

/* A child makes every page of the parent a shared one, and takes its share with it */
static void op_fork(struct ops *o)
{
	u64 m = u8_of(o);
	int c = ctx_of(o);
	pid_t pid;

	if (o->forked)
		return;
	o->forked = true;
	pid = fork();
	if (!pid) {
		u32 id = id_of(o, c);

		/* A fuzzer would take its death for the parent's */
		signal(SIGSEGV, SIG_DFL);
		signal(SIGBUS, SIG_DFL);
		memset(o->mem, m, 8 * T_PAGE);
		if (m & 1)
			t_unmap_all(o->ctx[c], id);
		if (m & 2)
			t_map_at(o->ctx[c], id, o->mem, 4 * T_PAGE, T_RW, OPS_AT + m * T_PAGE);
		_exit(0);
	}
	if (pid > 0)
		waitpid(pid, NULL, 0);
	id_of(o, c);
	if (o->alone)
		o->digest = digest(o);
}

/* The nth allocation of the next command fails, where the kernel can do that */
static void op_fail(struct ops *o)
{
	u64 m = 1 + u8_of(o) % 100;
	char text[16];

	if (o->nth_fd < 0)
		return;
	snprintf(text, sizeof(text), "%llu", (unsigned long long)m);
	o->armed = pwrite(o->nth_fd, text, strlen(text), 0) > 0;
}

/* --- PASIDs, address spaces of processes, fault queues -------------------------- */

static void remember(volatile u32 *list, int nr, u32 what)
{
	int i;

	for (i = 0; i < nr - 1 && list[i]; i++)
		;
	if (what)
		list[i] = what;
}

/* Mostly one of ours, or one that somebody else may have */
static u32 pasid_of(struct ops *o, int c)
{
	u64 m = u8_of(o);

	if (m < 128)
		return o->pasids[c][m % OPS_PASIDS];
	if (m < 192)
		return m & 31;
	if (m < 240)
		return IOASID_PASID_ANY;
	return m < 248 ? m - 240 : bytes_of(o, 4);
}

static u32 vpasid_of(struct ops *o)
{
	u64 m = u8_of(o);

	if (m < 128)
		return 0;
	return m < 248 ? 100 + m % 8 : number(o);
}

static void op_alloc_kind(struct ops *o)
{
	struct ioasid_alloc cmd = { .size = sizeof(cmd), .kind = IOASID_KIND_MAPPED };
	int c = ctx_of(o);
	u64 m = u8_of(o);

	if (m & 1)
		cmd.kind = IOASID_KIND_MM;
	if (m & 2)
		cmd.flags = IOASID_ALLOC_FAULTS;
	if (CALL(o, o->ctx[c], IOASID_ALLOC, &cmd))
		return;
	remember(o->ids[c], OPS_IDS, cmd.ioasid);
	if (o->alone)
		o->digest = digest(o);
}

static void op_pasid_alloc(struct ops *o)
{
	u32 pasids[VECTOR] = { 0 };
	struct ioasid_pasid_alloc cmd = { .size = sizeof(cmd) };
	int c = ctx_of(o);
	u64 m = u8_of(o);
	u32 i;

	cmd.dev_id = dev_id_of(o);
	cmd.nr = m < 250 ? m % (VECTOR + 1) : 250 + number(o) % 1024;
	/* Once a range: read, so that the corpus keeps its meaning */
	if (m & 64) {
		u8_of(o);
		if (m & 128)
			number(o);
		else
			u8_of(o);
	}
	cmd.pasids = array(o, pasids, sizeof(pasids));
	if (CALL(o, o->ctx[c], IOASID_PASID_ALLOC, &cmd))
		return;
	if (cmd.nr > VECTOR || cmd.pasids != (uintptr_t)o->mem + MEM_SCRATCH * T_PAGE)
		return;
	for (i = 0; i < cmd.nr; i++)
		remember(o->pasids[c], OPS_PASIDS, ((u32 *)(uintptr_t)cmd.pasids)[i]);
}

static void op_pasid_free(struct ops *o)
{
	u32 pasids[VECTOR] = { 0 };
	struct ioasid_pasid_free cmd = { .size = sizeof(cmd) };
	int c = ctx_of(o);
	u32 i, j;

	cmd.nr = u8_of(o) % (VECTOR + 1);
	for (i = 0; i < cmd.nr; i++)
		pasids[i] = pasid_of(o, c);
	cmd.pasids = array(o, pasids, sizeof(pasids));
	if (CALL(o, o->ctx[c], IOASID_PASID_FREE, &cmd))
		return;
	for (i = 0; i < VECTOR; i++)
		for (j = 0; j < OPS_PASIDS; j++)
			if (o->pasids[c][j] == pasids[i])
				o->pasids[c][j] = 0;
}

static void op_attach_pasid(struct ops *o)
{
	struct ioasid_device_attach cmd = { .size = sizeof(cmd) };
	int c = ctx_of(o);

	cmd.dev_id = dev_id_of(o);
	cmd.ioasid = id_of(o, c);
	cmd.flags = attach_flags_of(o);
	cmd.pasid = pasid_of(o, c);
	cmd.vpasid = vpasid_of(o);
	if (!CALL(o, o->ctx[c], IOASID_DEVICE_ATTACH, &cmd) && u8_of(o) & 1)
		remember(o->pasids[c], OPS_PASIDS, cmd.vpasid ? cmd.vpasid : cmd.pasid);
}

static void op_detach_pasid(struct ops *o)
{
	struct ioasid_device_detach cmd = { .size = sizeof(cmd) };
	int c = ctx_of(o);

	cmd.dev_id = dev_id_of(o);
	cmd.pasid = u8_of(o) & 1 ? pasid_of(o, c) : vpasid_of(o);
	CALL(o, o->ctx[c], IOASID_DEVICE_DETACH, &cmd);
}

/* Queues whose number was lost in a struct that hung over the end of memory */
static void reap_queues(struct ops *o)
{
	char path[40], what[40];
	int fd, i;

	for (fd = 3; fd < 1024; fd++) {
		ssize_t len;

		snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
		len = readlink(path, what, sizeof(what) - 1);
		if (len < 0)
			continue;
		what[len] = '\0';
		if (strcmp(what, "anon_inode:[ioasid-fault]"))
			continue;
		for (i = 0; i < OPS_CTX * OPS_QUEUES; i++)
			if (o->queue[i / OPS_QUEUES][i % OPS_QUEUES].ring &&
			    o->queue[i / OPS_QUEUES][i % OPS_QUEUES].fd == fd)
				break;
		if (i == OPS_CTX * OPS_QUEUES)
			close(fd);
	}
}

static void op_fault_queue(struct ops *o)
{
	struct ioasid_fault_queue cmd = { .size = sizeof(cmd), .eventfd = -1 };
	int c = ctx_of(o);
	u64 m = u8_of(o);
	struct t_queue *q = &o->queue[c][m % OPS_QUEUES];
	void *ring;

	t_queue_close(q);
	cmd.depth = m < 248 ? 16U << (m >> 1 & 3) : (u32)number(o);
	m = u8_of(o);
	cmd.max_pending = m & 1 ? m >> 1 & 15 : 0;
	cmd.max_per_pasid = m & 32 ? 1 + (m >> 6) : 0;
	cmd.deadline_ms = m & 128 ? u8_of(o) : 0;
	if (u8_of(o) > 240)
		cmd.eventfd = u8_of(o) & 1 ? o->ctx[c] : (int)u8_of(o);
	if (CALL(o, o->ctx[c], IOASID_FAULT_QUEUE, &cmd))
		return;
	ring = cmd.queue_id ? mmap(NULL, cmd.ring_bytes, PROT_READ | PROT_WRITE, MAP_SHARED,
				   cmd.fd, 0) : MAP_FAILED;
	if (ring != MAP_FAILED) {
		fcntl(cmd.fd, F_SETFL, O_NONBLOCK);
		q->fd = cmd.fd;
		q->id = cmd.queue_id;
		q->bytes = cmd.ring_bytes;
		q->ring = ring;
		q->records = (void *)((char *)ring + IOASID_FAULT_RECORDS);
		q->responses = (void *)((char *)ring + q->ring->responses);
	} else {
		reap_queues(o);
	}
}

static u32 queue_id_of(struct ops *o, int c)
{
	u64 m = u8_of(o);

	if (m < 200)
		return o->queue[c][m % OPS_QUEUES].id;
	return m < 248 ? m % 4 : bytes_of(o, 4);
}

static void op_fault_bind(struct ops *o)
{
	struct ioasid_fault_bind cmd = { .size = sizeof(cmd) };
	int c = ctx_of(o);
	u64 m = u8_of(o);

	if (m < 144 || m > 250)
		cmd.ioasid = id_of(o, c);
	if (m >= 144) {
		cmd.dev_id = dev_id_of(o);
		cmd.pasid = m & 1 ? pasid_of(o, c) : vpasid_of(o);
	}
	cmd.queue_id = queue_id_of(o, c);
	CALL(o, o->ctx[c], IOASID_FAULT_BIND, &cmd);
}

/* An answer, mostly to what has been asked; the ring is ours to write to */
static struct ioasid_fault_response response_of(struct ops *o, const struct t_queue *q)
{
	struct ioasid_fault_response r = { 0 };
	u64 m = u8_of(o);
	u32 last = q->ring->head - 1 - (m >> 2) % 8;

	r.code = m & 3;
	r.cookie = m < 240 ? q->records[last & (q->ring->depth - 1)].cookie : number(o);
	r.__reserved = m == 255;
	return r;
}

static void queue_doorbell(struct ops *o, struct t_queue *q, u64 m)
{
	struct ioasid_fault_doorbell bell = { .size = sizeof(bell) };
	u32 head = q->ring->response_head, i;

	for (i = 0; i < 1 + (m & 7); i++)
		q->responses[head++ & (q->ring->depth - 1)] = response_of(o, q);
	q->ring->response_head = m > 240 ? (u32)number(o) : head;
	if (m & 8)
		bell.size = u8_of(o);
	judge(o, IOASID_FAULT_DOORBELL,
	      t_ioctl(q->fd, IOASID_FAULT_DOORBELL, m & 16 ? (void *)(uintptr_t)addr_of(o) :
		      &bell));
}

static void queue_write(struct ops *o, struct t_queue *q, u64 m)
{
	struct ioasid_fault_response r[VECTOR];
	size_t len = (1 + m % VECTOR) * sizeof(*r);
	u32 i;

	for (i = 0; i < VECTOR; i++)
		r[i] = response_of(o, q);
	if (write(q->fd, m & 64 ? (void *)(uintptr_t)addr_of(o) : r, m & 32 ? u8_of(o) : len) < 0)
		judge(o, 0, -errno);
}

static void queue_map(struct ops *o, struct t_queue *q, u64 m)
{
	size_t len = (1 + m % 8) * T_PAGE;
	char *at = mmap(NULL, len, m & 64 ? PROT_READ : PROT_READ | PROT_WRITE,
			m & 128 ? MAP_PRIVATE : MAP_SHARED, q->fd, (m >> 3 & 7) * T_PAGE);

	if (at == MAP_FAILED)
		return;
	/* What can be mapped can be read */
	m = *(volatile char *)(at + len - T_PAGE);
	munmap(at, len);
}

static void op_queue(struct ops *o)
{
	int c = ctx_of(o);
	u64 what = u8_of(o), m = u8_of(o);
	struct t_queue *q = &o->queue[c][what & 1];
	char *at;

	if (!q->ring)
		return;
	switch (what / 2 % 10) {
	case 0 ... 1:
		at = m & 128 ? (char *)(uintptr_t)addr_of(o) : o->mem + MEM_SCRATCH * T_PAGE;
		judge(o, 0, read(q->fd, at, m & 64 ? m & 63 : (m & 31) * 64) < 0 ? -errno : 0);
		break;
	case 2 ... 3:
		queue_write(o, q, m);
		break;
	case 4 ... 5:
		queue_doorbell(o, q, m);
		break;
	case 6:
		q->ring->tail = m < 200 ? q->ring->head : (u32)number(o);
		break;
	case 7:
		queue_map(o, q, m);
		break;
	case 8:
		judge(o, 0, t_ioctl(q->fd, _IO(IOASID_TYPE, m), o->mem + MEM_SCRATCH * T_PAGE));
		break;
	case 9:
		t_queue_close(q);
		q->id = 0;
		break;
	}
}

/* Those that have ended are free again */
static void reap_slots(struct ops *o, int which, struct t_sim *sim)
{
	int i;

	for (i = 0; i < OPS_SLOTS; i++)
		if (o->slots[which][i] && !t_sim_wait(sim, o->slots[which][i] - 1, NULL, 0))
			o->slots[which][i] = 0;
}

/* The device lost them when it was closed */
static void forget_slots(struct ops *o, int which)
{
	u32 *owner = (u32 *)((char *)o->dev[which]->bar + IOASID_SIM_SPARE);
	int i;

	for (i = 0; i < OPS_SLOTS && o->dev[which]->sim; i++) {
		if (o->slots[which][i])
			owner[o->slots[which][i] - 1] = 0;
		o->slots[which][i] = 0;
	}
}

/* A device that reads, and may ask for the page; nothing in this process is written */
static void op_request(struct ops *o)
{
	struct ioasid_sim_command cmd = { .opcode = IOASID_SIM_OP_READ, .length = 64 };
	int which, i, c = ctx_of(o), slot;
	struct t_vfio *v = dev_of(o, &which);
	struct ioasid_sim_page_request *page;
	u64 m = u8_of(o);
	struct t_sim sim;

	if (!v || !v->sim)
		return;
	sim = (struct t_sim){
		.device = v->device, .registers = v->config, .mem = v->bar, .done = -1,
	};
	reap_slots(o, which, &sim);
	for (i = 0; i < OPS_SLOTS && o->slots[which][i]; i++)
		;
	if (i == OPS_SLOTS)
		return;
	cmd.iova = m & 1 ? addr_of(o) : iova_of(o);
	cmd.pasid = m & 2 ? 0 : pasid_of(o, c) & IOASID_MAX_PASID;
	cmd.flags = (cmd.pasid ? IOASID_SIM_CMD_PASID : 0) | (m & 4 ? 0 : IOASID_SIM_CMD_REQUEST);
	if (m & 8) {
		page = t_sim_buffer(&sim, 0);
		page[0] = (struct ioasid_sim_page_request){ .iova = cmd.iova, .flags = m >> 4 & 1 };
		page[1] = (struct ioasid_sim_page_request){ .iova = cmd.iova + T_PAGE };
		cmd.opcode = IOASID_SIM_OP_REQUEST;
		cmd.length = (1 + (m >> 5 & 1)) * sizeof(*page);
		cmd.flags &= IOASID_SIM_CMD_PASID;
		cmd.iova = 0;
	}
	slot = t_sim_submit(&sim, &cmd);
	if (slot >= 0 && t_sim_wait(&sim, slot, NULL, o->alone ? 2 : 0))
		o->slots[which][i] = slot + 1;
	o->commands++;
}

/* --- nested spaces ------------------------------------------------------------- */

/* One thing about the table that is not as it should be */
static void bend_table(struct ops *o, int c, u64 how, struct ioasid_alloc *cmd,
		       struct iommu_hwpt_vtd_s1 *s1)
{
	switch (how & 7) {
	case 0:
		cmd->data_type = u8_of(o);
		break;
	case 1:
		cmd->data_len = u8_of(o);
		break;
	case 2:
		cmd->data_len = sizeof(s1[0]) + 1 + u8_of(o) % sizeof(s1[1]);
		((char *)s1)[cmd->data_len - 1] = 1;
		break;
	case 3:
		s1->addr_width = u8_of(o);
		break;
	case 4:
		s1->pgtbl_addr = number(o);
		break;
	case 5:
		s1->flags = number(o);
		break;
	case 6:
		cmd->data = addr_of(o);
		break;
	case 7:
		cmd->flags |= IOASID_ALLOC_NEST_PARENT;
		if (how & 8)
			cmd->parent = id_of(o, !c);
		break;
	}
}

/*
 * A parent, or what is nested in one. Only where nobody else is: an IOMMU writes to
 * tables, and what it takes for one may be memory that others look at.
 */
static void op_alloc_nested(struct ops *o)
{
	struct iommu_hwpt_vtd_s1 s1[2] = { 0 };
	struct ioasid_alloc cmd = { .size = sizeof(cmd), .kind = IOASID_KIND_MAPPED };
	int c = ctx_of(o);
	u64 m = u8_of(o);

	if (m < 96) {
		cmd.flags = IOASID_ALLOC_NEST_PARENT;
	} else {
		cmd.kind = IOASID_KIND_NESTED;
		cmd.parent = id_of(o, c);
		cmd.data_type = IOMMU_HWPT_DATA_VTD_S1;
		cmd.data_len = sizeof(s1[0]);
		s1[0].addr_width = m & 2 ? 57 : 48;
		s1[0].pgtbl_addr = iova_of(o);
		cmd.data = array(o, s1, sizeof(s1));
	}
	if (m & 1)
		cmd.flags |= IOASID_ALLOC_FAULTS;
	if (m >= 224) {
		bend_table(o, c, m >> 1, &cmd, s1);
		memcpy(o->mem + MEM_SCRATCH * T_PAGE, s1, sizeof(s1));
	}
	if (!o->alone || CALL(o, o->ctx[c], IOASID_ALLOC, &cmd))
		return;
	remember(o->ids[c], OPS_IDS, cmd.ioasid);
	o->digest = digest(o);
}

static void generic_entry(struct ops *o, int c, struct ioasid_invalidate_entry *e)
{
	u64 m = u8_of(o);

	e->type = m < 240 ? 1 + (m & 1) : m - 240;
	e->flags = m == 255;
	e->dev_id = m & 2 ? dev_id_of(o) : 0;
	e->pasid = m & 4 ? pasid_of(o, c) : IOASID_PASID_ANY;
	if (m & 8) {
		e->addr = iova_of(o);
		e->length = length_of(o);
	}
}

static void vtd_entry(struct ops *o, struct iommu_hwpt_vtd_s1_invalidate *e)
{
	u64 m = u8_of(o);

	e->addr = m & 1 ? 0 : iova_of(o);
	e->npages = m & 1 ? ~0ULL : length_of(o) / T_PAGE;
	e->flags = m & 2 ? IOMMU_VTD_INV_FLAGS_LEAF : 0;
	if (m >= 248)
		e->flags = u8_of(o);
}

static void op_invalidate(struct ops *o)
{
	struct iommu_hwpt_vtd_s1_invalidate vtd[VECTOR] = { 0 };
	struct ioasid_invalidate_entry generic[VECTOR] = { 0 };
	struct ioasid_invalidate cmd = { .size = sizeof(cmd) };
	int c = ctx_of(o);
	u64 m;
	u32 i;

	cmd.ioasid = id_of(o, c);
	m = u8_of(o);
	cmd.nr = m < 224 ? 1 + (m >> 1) % VECTOR : 0;
	for (i = 0; i < cmd.nr; i++) {
		if (m & 1)
			generic_entry(o, c, &generic[i]);
		else
			vtd_entry(o, &vtd[i]);
	}
	if (m & 1) {
		cmd.flags = IOASID_INVALIDATE_GENERIC;
		cmd.entry_size = sizeof(*generic);
		cmd.entries = array(o, generic, sizeof(generic));
	} else {
		cmd.entry_size = sizeof(*vtd);
		cmd.entries = array(o, vtd, sizeof(vtd));
	}
	m = u8_of(o);
	if (m >= 248)
		cmd.nr = bytes_of(o, m & 1 ? 4 : 2);
	else if (m >= 240)
		cmd.entry_size = bytes_of(o, m & 1 ? 4 : 1);
	else if (m >= 232)
		cmd.data_type = u8_of(o);
	CALL(o, o->ctx[c], IOASID_INVALIDATE, &cmd);
	if (cmd.done > cmd.nr)
		wrong(o, "it has done more than there was", IOASID_INVALIDATE, cmd.done);
}

/*
 * What a guest writes in its table. All tables can be this one page: an entry that
 * leads back to it is good at every level.
 */
static void op_table(struct ops *o)
{
	static const u64 bits[] = { 7, 5, 1, 0, 3, 0x87, 0x67, 0x1ff };
	u64 *table = (u64 *)(o->mem + MEM_TABLE * T_PAGE);
	u64 m = u8_of(o), entry;
	int i;

	entry = (m < 248 ? iova_of(o) & ~(T_PAGE - 1ULL) : number(o)) | bits[m & 7];
	if (m & 128) {
		i = bytes_of(o, 2) % 512;
		__atomic_store_n(&table[i], entry, __ATOMIC_RELAXED);
		return;
	}
	for (i = 0; i < 512; i++)
		__atomic_store_n(&table[i], entry, __ATOMIC_RELAXED);
}

typedef void (*op_fn)(struct ops *o);

/* Twice in the list: twice as often. New ones go to the end: the corpus stays what it is */
static const op_fn table[] = {
	op_alloc, op_free, op_info, op_space_info, op_option, op_reserve, op_map, op_map, op_map,
	op_map, op_unmap, op_unmap_found, op_unmap_found, op_unmap_all, op_copy, op_copy,
	op_translate, op_dirty, op_device_info, op_attach, op_attach, op_detach, op_vfio_attach,
	op_vfio_attach, op_vfio_detach, op_vfio_other, op_reopen_device, op_reopen_context, op_raw,
	op_memory, op_memory, op_file, op_limit, op_fork, op_fail, op_alloc_kind, op_pasid_alloc,
	op_pasid_free, op_attach_pasid, op_attach_pasid, op_detach_pasid, op_fault_queue,
	op_fault_bind, op_queue, op_queue, op_request, op_request, op_alloc_nested, op_invalidate,
	op_table,
};

/* --- a program and its world -------------------------------------------------- */

static int map_memory(struct ops *o)
{
	static const struct {
		int first, end, prot;
	} parts[] = {
		{ MEM_RW, MEM_FILE, PROT_READ | PROT_WRITE },
		{ MEM_RO, MEM_NONE, PROT_READ },
		{ MEM_NONE, MEM_SCRATCH, PROT_NONE },
		{ MEM_SCRATCH, MEM_SCRATCH_END, PROT_READ | PROT_WRITE },
		{ MEM_HUGE, MEM_HUGE_END, PROT_READ | PROT_WRITE },
	};
	const int flags = MAP_FIXED | MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE;
	size_t i;

	munmap(MEM, MEM_END * T_PAGE);
	o->mem = MEM;
	for (i = 0; i < sizeof(parts) / sizeof(*parts); i++)
		if (mmap(MEM + parts[i].first * T_PAGE, (parts[i].end - parts[i].first) * T_PAGE,
			 parts[i].prot, flags, -1, 0) == MAP_FAILED)
			return -errno;
	madvise(MEM + MEM_HUGE * T_PAGE, (MEM_HUGE_END - MEM_HUGE) * T_PAGE, MADV_HUGEPAGE);
	if (mmap(MEM + MEM_FILE * T_PAGE, FILE_PAGES * T_PAGE, PROT_READ | PROT_WRITE,
		 MAP_FIXED | MAP_SHARED, o->memfd, 0) == MAP_FAILED)
		return -errno;
	o->mem_dirty = false;
	return 0;
}

static int make_file(struct ops *o)
{
	if (o->memfd >= 0)
		close(o->memfd);
	o->memfd = memfd_create("ops", MFD_CLOEXEC | MFD_ALLOW_SEALING);
	if (o->memfd < 0 || ftruncate(o->memfd, FILE_PAGES * T_PAGE))
		return -errno;
	o->file_dirty = false;
	return map_memory(o);
}

#define DEBUGFS	"/sys/kernel/debug/"

static int let_fail(const char *attr)
{
	char path[128];
	int ret;

	snprintf(path, sizeof(path), DEBUGFS "%s/verbose", attr);
	ret = t_write_file(path, "0");
	snprintf(path, sizeof(path), DEBUGFS "%s/ignore-gfp-wait", attr);
	t_write_file(path, "N");
	snprintf(path, sizeof(path), DEBUGFS "%s/ignore-gfp-highmem", attr);
	t_write_file(path, "N");
	snprintf(path, sizeof(path), DEBUGFS "%s/min-order", attr);
	t_write_file(path, "0");
	ops_fail_allow(attr, true);
	return ret;
}

/* A fault whose way must lead through address 1, which no way does, is none and is not counted */
int ops_fail_allow(const char *attr, bool on)
{
	char path[128];
	int ret;

	snprintf(path, sizeof(path), DEBUGFS "%s/stacktrace-depth", attr);
	ret = t_write_file(path, "0");
	snprintf(path, sizeof(path), DEBUGFS "%s/require-start", attr);
	return ret ? ret : t_write_file(path, on ? "0" : "1");
}

int ops_fail_nth(void)
{
	int fd = open("/proc/thread-self/fail-nth", O_RDWR | O_CLOEXEC);

	if (fd < 0)
		return -errno;
	let_fail("fail_usercopy");
	if (!let_fail("failslab") && !let_fail("fail_page_alloc"))
		return fd;
	close(fd);
	return -ENODEV;
}

int ops_open_on(struct ops *o, const int *ctx)
{
	int c;

	memset(o, 0, sizeof(*o));
	for (c = 0; c < OPS_CTX; c++)
		o->ctx[c] = ctx[c];
	o->ids = o->own_ids;
	o->dev_id = o->own_dev_id;
	o->memfd = -1;
	o->trace = getenv("IOASID_OPS_TRACE");
	o->nth_fd = ops_fail_nth();
	return make_file(o);
}

int ops_open(struct ops *o)
{
	int ctx[OPS_CTX], c, ret;

	for (c = 0; c < OPS_CTX; c++) {
		ctx[c] = t_open();
		if (ctx[c] < 0)
			return ctx[c];
	}
	ret = ops_open_on(o, ctx);
	o->alone = true;
	return ret;
}

static void forget_queues(struct ops *o)
{
	int i;

	for (i = 0; i < OPS_CTX * OPS_QUEUES; i++)
		t_queue_close(&o->queue[i / OPS_QUEUES][i % OPS_QUEUES]);
	memset(o->queue, 0, sizeof(o->queue));
	memset(o->pasids, 0, sizeof(o->pasids));
}

void ops_close(struct ops *o)
{
	int c;

	forget_queues(o);
	for (c = 0; c < OPS_CTX; c++)
		close(o->ctx[c]);
	close(o->memfd);
	if (o->nth_fd >= 0)
		close(o->nth_fd);
	munmap(MEM, MEM_END * T_PAGE);
}

static int reset_process(struct ops *o)
{
	struct rlimit limit;

	if (!o->limit_dirty)
		return 0;
	o->limit_dirty = false;
	ipc_lock(true);
	if (getrlimit(RLIMIT_MEMLOCK, &limit))
		return -errno;
	limit.rlim_cur = limit.rlim_max;
	return setrlimit(RLIMIT_MEMLOCK, &limit) ? -errno : 0;
}

int ops_reset(struct ops *o)
{
	int c, i, ret = reset_process(o);

	for (i = 0; i < OPS_DEVS && !ret; i++) {
		if (!o->bound[i])
			continue;
		o->bound[i] = false;
		t_vfio_close_device(o->dev[i]);
		ret = t_vfio_reopen_device(o->dev[i]);
		if (!ret)
			forget_slots(o, i);
	}
	forget_queues(o);
	for (c = 0; c < OPS_CTX && !ret; c++) {
		close(o->ctx[c]);
		o->ctx[c] = t_open();
		ret = o->ctx[c] < 0 ? o->ctx[c] : 0;
	}
	for (i = 0; i < OPS_CTX * OPS_IDS; i++)
		o->ids[i / OPS_IDS][i % OPS_IDS] = 0;
	for (i = 0; i < OPS_DEVS; i++)
		o->dev_id[i] = 0;
	o->forked = false;
	if (!ret && o->file_dirty)
		ret = make_file(o);
	else if (!ret && o->mem_dirty)
		ret = map_memory(o);
	return ret;
}

int ops_run(struct ops *o, const void *program, size_t length)
{
	o->in = program;
	o->left = length;
	o->wrong[0] = '\0';
	if (o->alone)
		o->digest = digest(o);
	while (o->left && !o->wrong[0])
		table[u8_of(o) % (sizeof(table) / sizeof(*table))](o);
	disarm(o);
	return o->wrong[0] ? -EPROTO : 0;
}

int ops_device(struct t_vfio *v, int nth)
{
	const char *addr = t_device(T_EDU, nth);

	return addr ? t_vfio_open(v, addr, VFIO_IOASID_IOMMU) : -ENOENT;
}
