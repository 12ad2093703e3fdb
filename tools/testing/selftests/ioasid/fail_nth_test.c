// SPDX-License-Identifier: GPL-2.0
/*
 * Each allocation that a command makes, and each copy from or to user memory,
 * fails once. A sequence of commands runs again and again; in each of its steps
 * the first allocation fails, then the second and so on, until one run of the
 * step has none left to fail. A step that fails must say that memory was short
 * and leave everything as it was: spaces, mappings, attachments, what is pinned
 * and charged. Then it is done once more without a fault, and the sequence goes
 * on to its end, so that nothing can be left half done.
 *
 * Needs a kernel with fault injection: CONFIG_FAULT_INJECTION, FAILSLAB,
 * FAIL_PAGE_ALLOC, USERCOPY, STACKTRACE_FILTER, debugfs. IOASID_KMEMLEAK=1 asks
 * kmemleak at the end.
 */
#include <dirent.h>
#include <fcntl.h>
#include <linux/capability.h>
#include <poll.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <sys/resource.h>
#include <sys/syscall.h>

#include "fuzz/ops.h"
#include "harness.h"

#define AT	0x100000000ULL
#define PAGES	64
#define BIG	600		/* pages that lie apart: more runs than a batch has */
#define FAULTS	2000		/* no step has that many allocations */
#define STEPS	100
#define DEVS	4		/* that one command attaches */
#define DEBUGFS	"/sys/kernel/debug/"
/* For what is there at once, if the host is not busy: nobody waits that long otherwise */
#define PATIENCE_MS	30000

/* What must be the same before and after a step that failed */
struct state {
	struct ioasid_info info;
	struct ioasid_space_info space[2];
	struct ioasid_iova_range ranges[2][16];
	struct ioasid_translate at[2][2];
	struct ioasid_device_info device[DEVS];
	long pins;
	long vm_pin;
	int next_fd;
};

FIXTURE(fault) {
	struct __test_metadata *md;
	int ctx;
	u32 id[2];
	struct t_dma dev[DEVS];
	int nr_devs;		/* open now */
	enum t_pci_kind kind;	/* of the second one */
	int which;		/* of that kind */
	int nr_domains;		/* that the devices of one command need */
	char *mem;		/* BIG pages, in no order */
	int memfd;
	int event;
	int queue;		/* fd of a fault queue, or -1 */
	u32 queue_id;
	struct ioasid_fault_ring *ring;
	int nth_fd;
	bool copies;
	long pins;
	long objects;		/* of our cache */
	/* the fault */
	int step;		/* that we are at */
	int target;		/* where the fault is */
	int nth;
	bool reached;
	bool fired;
	bool retry;
	bool stop;		/* done, though it said that it failed */
	bool bad;
	struct state before;
	int fired_steps;
	int fired_faults;
	int ignored;
};

typedef FIXTURE_DATA(fault) fault_t;

FIXTURE_VARIANT(fault) {
	bool copies;	/* to and from user memory fail, otherwise allocations */
};

FIXTURE_VARIANT_ADD(fault, allocations) {
	.copies = false,
};

FIXTURE_VARIANT_ADD(fault, copies) {
	.copies = true,
};

static void nth_set(fault_t *t, int nth)
{
	char text[16];
	int len = snprintf(text, sizeof(text), "%d", nth);

	/* Reading the number from user memory is itself what can fail */
	if (pwrite(t->nth_fd, text, len, 0) != len && pwrite(t->nth_fd, text, len, 0) != len)
		t->bad = true;
}

/* Disarms: was there an nth allocation? Telling us can be the last one that fails */
static bool nth_fired(fault_t *t)
{
	char text[16] = "";
	ssize_t len = pread(t->nth_fd, text, sizeof(text) - 1, 0);
	bool fired = len > 0 && atoi(text) == 0;

	nth_set(t, 0);
	return fired;
}

static void look(fault_t *t, struct state *s)
{
	int i, j;

	memset(s, 0, sizeof(*s));
	s->pins = t_pinned_pages();
	s->vm_pin = t_status_kib(0, "VmPin");
	s->next_fd = dup(t->memfd);
	close(s->next_fd);
	if (t->ctx < 0)
		return;
	t_info(t->ctx, &s->info);
	for (i = 0; i < 2; i++) {
		struct ioasid_space_info *space = &s->space[i];

		space->size = sizeof(*space);
		space->ioasid = t->id[i];
		space->nr_ranges = 16;
		space->ranges = (uintptr_t)s->ranges[i];
		space->range_size = sizeof(*s->ranges[i]);
		t_cmd(t->ctx, IOASID_SPACE_INFO, space);
		space->ranges = 0;
		for (j = 0; j < 2; j++)
			t_translate(t->ctx, t->id[i], AT + j * 16 * T_PAGE, 0, &s->at[i][j]);
	}
	for (i = 0; i < t->nr_devs; i++)
		if (t->dev[i].vfio.dev_id)
			t_device_info(t->ctx, t->dev[i].vfio.dev_id, &s->device[i]);
}

static const char *difference(const struct state *a, const struct state *b)
{
	if (memcmp(&a->info, &b->info, sizeof(a->info)))
		return "the context";
	if (memcmp(a->space, b->space, sizeof(a->space)))
		return "a space";
	if (memcmp(a->ranges, b->ranges, sizeof(a->ranges)))
		return "usable ranges";
	if (memcmp(a->at, b->at, sizeof(a->at)))
		return "a mapping";
	if (memcmp(a->device, b->device, sizeof(a->device)))
		return "a device";
	if (a->pins != b->pins)
		return "pinned pages";
	if (a->next_fd != b->next_fd)
		return "open files";
	return a->vm_pin != b->vm_pin ? "VmPin" : NULL;
}

static void complain(fault_t *t, const char *call, int ret, const char *what)
{
	struct __test_metadata *_metadata = t->md;

	t->bad = true;
	EXPECT_FALSE(t->bad)
		TH_LOG("fault %d in step %d: %s gave %d: %s; %s", t->nth, t->step, call, ret, what,
		       t_explain());
}

static void begin(fault_t *t)
{
	if (t->retry)
		return;
	if (++t->step != t->target)
		return;
	t->reached = true;
	look(t, &t->before);
	t_extack.code = IOASID_REASON_NONE;
	nth_set(t, t->nth);
}

/* What a step may do when an allocation fails */
enum step {
	STEP_OURS,	/* ENOMEM or EFAULT, with a reason */
	STEP_UNDO,	/* gives something back: takes no memory */
	STEP_FOREIGN,	/* VFIO's: any errno */
	STEP_CLOSE,	/* cannot fail */
};

/*
 * A struct that cannot be read cannot be explained, and one that cannot be
 * written back any more is found after the deed: the memory has gone while the
 * command ran. Then there is nothing to do once more.
 */
static void judge_copy(fault_t *t, enum step kind, const char *call, int ret)
{
	struct state after;

	if (ret != -EFAULT && kind != STEP_FOREIGN)
		complain(t, call, ret, "not EFAULT");
	look(t, &after);
	t->stop = difference(&t->before, &after);
}

static void judge(fault_t *t, enum step kind, const char *call, int ret)
{
	const char *changed;
	struct state after;

	if (ret != -ENOMEM && ret != -EFAULT && kind != STEP_FOREIGN)
		complain(t, call, ret, "not ENOMEM or EFAULT");
	if (kind == STEP_UNDO)
		complain(t, call, ret, "giving back takes memory");
	if (kind != STEP_FOREIGN && t->ctx >= 0 &&
	    (t_extack.code == IOASID_REASON_NONE || !t_extack.msg[0]))
		complain(t, call, ret, "no reason given");
	look(t, &after);
	changed = difference(&t->before, &after);
	if (changed)
		complain(t, call, ret, changed);
}

/* Once more? */
static bool again(fault_t *t, enum step kind, const char *call, int ret)
{
	if (t->retry || t->step != t->target) {
		if (ret < 0)
			complain(t, call, ret, "failed without a fault");
		t->retry = false;
		return false;
	}
	t->fired = nth_fired(t);
	if (!t->fired && ret < 0)
		complain(t, call, ret, "failed without a fault");
	if (ret >= 0) {
		t->ignored += t->fired;
		return false;
	}
	if (kind == STEP_CLOSE)
		complain(t, call, ret, "a close failed");
	if (t->copies)
		judge_copy(t, kind, call, ret);
	else
		judge(t, kind, call, ret);
	t->retry = !t->bad && !t->stop;
	return t->retry;
}

#define STEP_KIND(t, kind, call) do {						\
	int __ret;								\
										\
	do {									\
		begin(t);							\
		__ret = (call);							\
	} while (again(t, kind, #call, __ret));					\
	if ((t)->bad || (t)->stop)						\
		return;								\
} while (0)

#define STEP(t, call)	STEP_KIND(t, STEP_OURS, call)
#define UNDO(t, call)	STEP_KIND(t, STEP_UNDO, call)
#define FOREIGN(t, call) STEP_KIND(t, STEP_FOREIGN, call)
#define CLOSE(t, call)	STEP_KIND(t, STEP_CLOSE, call)

/* Not a step: what other sequences have tried already */
#define NEEDED(t, call) do {							\
	int __ret = (call);							\
										\
	if (__ret < 0)								\
		complain(t, #call, __ret, t_vfio_step);				\
	if ((t)->bad)								\
		return;								\
} while (0)

/* --- the sequences: what is not closed here is closed by run() ---------------- */

static int open_ctx(fault_t *t)
{
	t->ctx = t_open();
	return t->ctx;
}

static int close_ctx(fault_t *t)
{
	int ret = close(t->ctx);

	t->ctx = -1;
	t->id[0] = 0;
	t->id[1] = 0;
	return ret;
}

static int alloc(fault_t *t, int i)
{
	return t_alloc_label(t->ctx, &t->id[i], "fault");
}

/* 0 if UNMAP returned all the bytes that it should */
static int unmapped(long long got, u64 want)
{
	return got < 0 ? got : got == (long long)want ? 0 : -EIO;
}

static void two_spaces(fault_t *t)
{
	STEP(t, open_ctx(t));
	STEP(t, alloc(t, 0));
	STEP(t, alloc(t, 1));
}

#define CALL(fn, t) do {							\
	fn(t);									\
	if ((t)->bad || (t)->stop)						\
		return;								\
} while (0)

static void seq_basic(fault_t *t)
{
	struct ioasid_iova_range ranges[16];
	struct ioasid_info info;
	u64 mode;

	CALL(two_spaces, t);
	STEP(t, t_info(t->ctx, &info));
	STEP(t, t_space_ranges(t->ctx, t->id[0], ranges, 16));
	STEP(t, t_option_set(t->ctx, IOASID_OPTION_ACCOUNT_MODE, IOASID_ACCOUNT_MM));
	STEP(t, t_option_get(t->ctx, IOASID_OPTION_ACCOUNT_MODE, &mode));
	UNDO(t, t_free(t->ctx, t->id[0]));
	CLOSE(t, close_ctx(t));
}

static void seq_map(fault_t *t)
{
	struct ioasid_translate tr;
	u64 iova;

	CALL(two_spaces, t);
	STEP(t, t_map_at(t->ctx, t->id[0], t->mem, PAGES * T_PAGE, T_RW, AT));
	STEP(t, t_map(t->ctx, t->id[0], t->mem, T_PAGE, IOASID_MAP_READ, &iova));
	STEP(t, t_translate(t->ctx, t->id[0], AT, IOASID_TRANSLATE_PHYS, &tr));
	STEP(t, t_map_at(t->ctx, t->id[1], t->mem, BIG * T_PAGE, T_RW, AT));
	UNDO(t, unmapped(t_unmap_all(t->ctx, t->id[1]), BIG * T_PAGE));
	STEP(t, unmapped(t_unmap(t->ctx, t->id[0], AT, PAGES * T_PAGE), PAGES * T_PAGE));
	UNDO(t, t_free(t->ctx, t->id[0]));
}

/* In the accounting of VFIO type1, which locks and allocates elsewhere */
static void seq_map_mm(fault_t *t)
{
	STEP(t, open_ctx(t));
	STEP(t, alloc(t, 0));
	STEP(t, t_option_set(t->ctx, IOASID_OPTION_ACCOUNT_MODE, IOASID_ACCOUNT_MM));
	STEP(t, t_map_at(t->ctx, t->id[0], t->mem, BIG * T_PAGE, T_RW, AT));
	CLOSE(t, close_ctx(t));
}

#define RANGES	9

static void seq_vector(fault_t *t)
{
	struct ioasid_unmap_range gone[RANGES];
	struct ioasid_map_range ranges[RANGES];
	int i;

	CALL(two_spaces, t);
	for (i = 0; i < RANGES; i++) {
		ranges[i] = (struct ioasid_map_range){
			.iova = AT + i * 16 * T_PAGE,
			.addr = (uintptr_t)t->mem + i * 20 * T_PAGE,
			.length = (1 + i) * T_PAGE,
			.flags = T_FIXED_RW,
		};
		gone[i] = (struct ioasid_unmap_range){
			.iova = ranges[i].iova,
			.length = ranges[i].length,
		};
	}
	STEP(t, t_mapv(t->ctx, t->id[0], ranges, RANGES));
	STEP(t, unmapped(t_unmapv(t->ctx, t->id[0], gone, RANGES), 45 * T_PAGE));
	STEP(t, t_mapv(t->ctx, t->id[0], ranges, RANGES));
}

static void seq_file(fault_t *t)
{
	u64 iova = AT;

	CALL(two_spaces, t);
	STEP(t, t_map_file(t->ctx, t->id[0], t->memfd, 0, PAGES * T_PAGE, T_FIXED_RW, &iova));
	STEP(t, t_map_file(t->ctx, t->id[1], t->memfd, 8 * T_PAGE, T_PAGE, IOASID_MAP_READ, &iova));
	UNDO(t, unmapped(t_unmap_all(t->ctx, t->id[0]), PAGES * T_PAGE));
}

static void seq_copy(fault_t *t)
{
	CALL(two_spaces, t);
	STEP(t, t_map_at(t->ctx, t->id[0], t->mem, BIG * T_PAGE, T_RW, AT));
	STEP(t, t_copy_at(t->ctx, t->id[0], AT, t->id[1], AT, BIG * T_PAGE, T_RW));
	STEP(t, t_copy_at(t->ctx, t->id[0], AT + 3 * T_PAGE, t->id[0], AT + T_HUGE * 4,
			  5 * T_PAGE, IOASID_MAP_READ));
	UNDO(t, unmapped(t_unmap_all(t->ctx, t->id[0]), (BIG + 5) * T_PAGE));
	UNDO(t, t_free(t->ctx, t->id[1]));
}

static void seq_reserve(fault_t *t)
{
	struct ioasid_iova_range ranges[8];
	int i;

	CALL(two_spaces, t);
	for (i = 0; i < 8; i++) {
		ranges[i].first = AT + (2 * i + 1) * T_HUGE;
		ranges[i].last = ranges[i].first + T_PAGE - 1;
	}
	STEP(t, t_map_at(t->ctx, t->id[0], t->mem, T_PAGE, T_RW, AT));
	STEP(t, t_reserve(t->ctx, t->id[0], ranges, 8));
	STEP(t, t_reserve(t->ctx, t->id[0], ranges + 1, 1));
	STEP(t, t_reserve(t->ctx, t->id[0], NULL, 0));
}

/* The third and fourth are beside the first and the second, behind the same IOMMUs */
static enum t_pci_kind kind_of(fault_t *t, int i)
{
	static const enum t_pci_kind other[] = { T_NVME, T_EDU };

	if (i < 2)
		return i ? t->kind : T_EDU;
	return i == 2 ? T_NVME : other[t->kind == T_NVME];
}

static int nth_of(fault_t *t, int i)
{
	return i & 1 ? t->which : 0;
}

static int dev_open(fault_t *t, int i)
{
	int ret = t_dma_open(&t->dev[i], kind_of(t, i), nth_of(t, i), VFIO_IOASID_IOMMU);

	if (!ret)
		t->nr_devs = i + 1;
	else
		t_dma_close(&t->dev[i]);
	return ret;
}

static int dev_close(fault_t *t, int i)
{
	t_dma_close(&t->dev[i]);
	t->nr_devs = i;
	return 0;
}

static int attach(fault_t *t, int i, u32 space, u32 flags)
{
	return t_vfio_attach(&t->dev[i].vfio, t->ctx, space, flags);
}

static void mapped_space(fault_t *t)
{
	CALL(two_spaces, t);
	STEP(t, t_map_at(t->ctx, t->id[0], t->mem, PAGES * T_PAGE, T_RW, AT));
	STEP(t, t_map_at(t->ctx, t->id[0], t->mem, T_PAGE, IOASID_MAP_READ, AT + T_HUGE * 512));
}

/* What a device needs when it comes and goes by way of its container */
static void seq_container(fault_t *t)
{
	struct ioasid_device_info info = { .size = sizeof(info) };

	CALL(mapped_space, t);
	FOREIGN(t, dev_open(t, 0));
	STEP(t, t_vfio_bind(&t->dev[0].vfio, t->ctx));
	STEP(t, t_device_info(t->ctx, t->dev[0].vfio.dev_id, &info));
	STEP(t, attach(t, 0, t->id[0], 0));
	STEP(t, t_map_at(t->ctx, t->id[0], t->mem, BIG * T_PAGE, T_RW, AT + T_HUGE * 4));
	UNDO(t, unmapped(t_unmap_all(t->ctx, t->id[0]), (PAGES + BIG + 1) * T_PAGE));
	UNDO(t, t_vfio_detach(&t->dev[0].vfio));
	CLOSE(t, dev_close(t, 0));
}

/* And on /dev/ioasid, with another space in between */
static void seq_replace(fault_t *t)
{
	u32 dev_id;

	CALL(mapped_space, t);
	FOREIGN(t, dev_open(t, 0));
	STEP(t, t_vfio_bind(&t->dev[0].vfio, t->ctx));
	dev_id = t->dev[0].vfio.dev_id;
	STEP(t, t_map_at(t->ctx, t->id[1], t->mem, BIG * T_PAGE, T_RW, AT));
	STEP(t, t_attach(t->ctx, dev_id, t->id[0], 0));
	STEP(t, t_attach(t->ctx, dev_id, t->id[1], IOASID_ATTACH_REPLACE));
	STEP(t, attach(t, 0, t->id[0], IOASID_ATTACH_REPLACE));
	STEP(t, t_copy_at(t->ctx, t->id[1], AT, t->id[0], AT + T_HUGE, BIG * T_PAGE, T_RW));
	UNDO(t, t_detach(t->ctx, dev_id));
}

/* A space behind two IOMMUs: what one of them refuses must not stay in the other */
static void seq_two_domains(fault_t *t)
{
	struct ioasid_space_info info;

	CALL(mapped_space, t);
	FOREIGN(t, dev_open(t, 0));
	FOREIGN(t, dev_open(t, 1));
	STEP(t, attach(t, 0, t->id[0], 0));
	STEP(t, attach(t, 1, t->id[0], 0));
	STEP(t, t_map_at(t->ctx, t->id[0], t->mem, BIG * T_PAGE, T_RW, AT + T_HUGE * 4));
	if (t_space_info(t->ctx, t->id[0], &info) || info.nr_attachments != 2)
		complain(t, "SPACE_INFO", 0, "not two devices");
	STEP(t, unmapped(t_unmap(t->ctx, t->id[0], AT, PAGES * T_PAGE), PAGES * T_PAGE));
	STEP(t, t_copy_at(t->ctx, t->id[0], AT + T_HUGE * 4, t->id[0], AT, BIG * T_PAGE, T_RW));
	UNDO(t, t_vfio_detach(&t->dev[0].vfio));
	CLOSE(t, dev_close(t, 1));
}

static void seq_close_mapped(fault_t *t)
{
	u64 iova;

	CALL(mapped_space, t);
	FOREIGN(t, dev_open(t, 0));
	STEP(t, t_map_file(t->ctx, t->id[0], t->memfd, 0, PAGES * T_PAGE, T_RW, &iova));
	STEP(t, t_copy_at(t->ctx, t->id[0], AT, t->id[1], AT, PAGES * T_PAGE, T_RW));
	STEP(t, attach(t, 0, t->id[0], 0));
	/* The device keeps the context until it goes */
	CLOSE(t, close_ctx(t));
	CLOSE(t, dev_close(t, 0));
}

static void seq_close_device_first(fault_t *t)
{
	CALL(mapped_space, t);
	FOREIGN(t, dev_open(t, 0));
	STEP(t, attach(t, 0, t->id[0], 0));
	CLOSE(t, dev_close(t, 0));
	CLOSE(t, close_ctx(t));
}

static int pasid_attach(fault_t *t, int space, u32 *pasid, u32 vpasid, u32 flags)
{
	return t_attach_pasid(t->ctx, t->dev[0].vfio.dev_id, t->id[space], pasid, vpasid, flags);
}

static int pasid_detach(fault_t *t, u32 number)
{
	return t_detach_pasid(t->ctx, t->dev[0].vfio.dev_id, number);
}

static int pasid_alloc(fault_t *t, u32 nr, u32 *p)
{
	return t_pasid_alloc(t->ctx, t->dev[0].vfio.dev_id, nr, p);
}

/* --- by its own file ------------------------------------------------------------ */

static int file_attach(fault_t *t, int space, u32 *pasid, u32 vpasid, u32 flags)
{
	struct t_vfio *v = &t->dev[0].vfio;

	return t_attach_fd(t->ctx, v->device, t->id[space], pasid, vpasid, flags, &v->dev_id);
}

static int file_bind(fault_t *t)
{
	return t_bind_fd(t->ctx, t->dev[0].vfio.device, &t->dev[0].vfio.dev_id);
}

static int file_detach(fault_t *t, u32 number)
{
	return t_detach_fd(t->ctx, t->dev[0].vfio.device, number);
}

/* The attach binds the device, or finds it bound; the last detach unbinds it */
static void seq_by_file(fault_t *t)
{
	u32 rid = IOASID_RID;

	CALL(mapped_space, t);
	NEEDED(t, dev_open(t, 0));
	STEP(t, file_attach(t, 0, &rid, 0, 0));
	STEP(t, file_attach(t, 1, &rid, 0, IOASID_ATTACH_REPLACE));
	UNDO(t, file_detach(t, IOASID_RID));
	STEP(t, file_attach(t, 1, &rid, 0, IOASID_ATTACH_REPLACE));
	UNDO(t, t_detach(t->ctx, t->dev[0].vfio.dev_id));
	NEEDED(t, t_vfio_bind(&t->dev[0].vfio, t->ctx));
	STEP(t, file_attach(t, 0, &rid, 0, 0));
	UNDO(t, file_detach(t, IOASID_RID));
	CLOSE(t, dev_close(t, 0));
}

/* Bound only, once more, and then attached by its id and its file */
static void seq_bind_by_file(fault_t *t)
{
	u32 rid = IOASID_RID;

	CALL(mapped_space, t);
	NEEDED(t, dev_open(t, 0));
	STEP(t, file_bind(t));
	STEP(t, file_bind(t));
	STEP(t, t_attach(t->ctx, t->dev[0].vfio.dev_id, t->id[0], 0));
	UNDO(t, file_detach(t, IOASID_RID));
	STEP(t, file_attach(t, 1, &rid, 0, 0));
	UNDO(t, t_unbind_fd(t->ctx, t->dev[0].vfio.device));
	STEP(t, file_bind(t));
	/* The last file of the device goes with the context */
	CLOSE(t, dev_close(t, 0));
	CLOSE(t, close_ctx(t));
}

/* From its file to its container, which takes the attachment over or leaves it */
static void seq_file_to_container(fault_t *t)
{
	u32 rid = IOASID_RID;

	CALL(mapped_space, t);
	NEEDED(t, dev_open(t, 0));
	NEEDED(t, file_attach(t, 0, &rid, 0, 0));
	STEP(t, attach(t, 0, t->id[1], IOASID_ATTACH_REPLACE));
	STEP(t, attach(t, 0, t->id[0], IOASID_ATTACH_REPLACE));
	UNDO(t, t_vfio_detach(&t->dev[0].vfio));
	CLOSE(t, dev_close(t, 0));
}

static void seq_close_by_file(fault_t *t)
{
	u32 rid = IOASID_RID;

	CALL(mapped_space, t);
	NEEDED(t, dev_open(t, 0));
	STEP(t, file_attach(t, 0, &rid, 0, 0));
	CLOSE(t, close_ctx(t));
	CLOSE(t, dev_close(t, 0));
}

/* --- several devices at once ---------------------------------------------------- */

static int attach_all(fault_t *t, int space, u32 *pasid, u32 vpasid)
{
	u32 ids[DEVS];
	int i;

	for (i = 0; i < DEVS; i++)
		ids[i] = t->dev[i].vfio.dev_id;
	return t_attach_many(t->ctx, ids, DEVS, t->id[space], pasid, vpasid);
}

static int detach_one(fault_t *t, int i, u32 number)
{
	return t_detach_pasid(t->ctx, t->dev[i].vfio.dev_id, number);
}

static void known_devices(fault_t *t)
{
	int i;

	for (i = 0; i < DEVS; i++) {
		NEEDED(t, dev_open(t, i));
		NEEDED(t, t_vfio_bind(&t->dev[i].vfio, t->ctx));
	}
}

/* As many page tables as there are IOMMUs, and all devices behind them */
static void expect_all(fault_t *t, int space)
{
	struct ioasid_space_info info;

	if (t_space_info(t->ctx, t->id[space], &info) || info.nr_attachments != DEVS ||
	    (int)info.nr_domains != t->nr_domains)
		complain(t, "SPACE_INFO", 0, "not all devices");
}

static void seq_many(fault_t *t)
{
	u32 rid = IOASID_RID;
	int i;

	CALL(mapped_space, t);
	CALL(known_devices, t);
	STEP(t, attach_all(t, 0, &rid, 0));
	expect_all(t, 0);
	STEP(t, t_map_at(t->ctx, t->id[0], t->mem, BIG * T_PAGE, T_RW, AT + T_HUGE * 4));
	for (i = 0; i < DEVS; i++)
		UNDO(t, detach_one(t, i, IOASID_RID));
	/* Where one has been before */
	NEEDED(t, attach(t, 1, t->id[0], 0));
	NEEDED(t, t_detach(t->ctx, t->dev[1].vfio.dev_id));
	STEP(t, attach_all(t, 1, &rid, 0));
	CLOSE(t, close_ctx(t));
}

/* One PASID for all, of the kernel's choice and of the context's own */
static void seq_many_pasids(fault_t *t)
{
	u32 any = IOASID_PASID_ANY, own;
	int i;

	CALL(mapped_space, t);
	CALL(known_devices, t);
	STEP(t, attach_all(t, 0, &any, 77));
	expect_all(t, 0);
	NEEDED(t, pasid_alloc(t, 1, &own));
	STEP(t, attach_all(t, 1, &own, 0));
	expect_all(t, 1);
	for (i = 0; i < DEVS; i++)
		UNDO(t, detach_one(t, i, 77));
	UNDO(t, detach_one(t, 0, own));
	CLOSE(t, close_ctx(t));
}

/* The memory of this process, behind all of them */
static void seq_many_mm(fault_t *t)
{
	u32 any = IOASID_PASID_ANY;
	int i;

	STEP(t, open_ctx(t));
	NEEDED(t, alloc(t, 0));
	NEEDED(t, t_alloc_mm(t->ctx, &t->id[1]));
	CALL(known_devices, t);
	STEP(t, attach_all(t, 1, &any, 0));
	for (i = 0; i < DEVS; i++)
		UNDO(t, detach_one(t, i, any));
	any = IOASID_PASID_ANY;
	STEP(t, attach_all(t, 1, &any, 5));
	CLOSE(t, close_ctx(t));
}

/* --- PASIDs, address spaces of processes, fault queues ------------------------- */

static void seq_pasid(fault_t *t)
{
	u32 p[4], any = IOASID_PASID_ANY;

	CALL(mapped_space, t);
	FOREIGN(t, dev_open(t, 0));
	STEP(t, t_vfio_bind(&t->dev[0].vfio, t->ctx));
	STEP(t, pasid_alloc(t, 3, p));
	STEP(t, pasid_alloc(t, 1, p + 3));
	STEP(t, pasid_attach(t, 0, &p[0], 0, 0));
	STEP(t, pasid_attach(t, 0, &p[3], 0, 0));
	STEP(t, pasid_attach(t, 0, &any, 77, 0));
	STEP(t, pasid_attach(t, 1, &p[0], 0, IOASID_ATTACH_REPLACE));
	UNDO(t, pasid_detach(t, 77));
	UNDO(t, pasid_detach(t, p[3]));
	STEP(t, t_pasid_free(t->ctx, 2, p + 2));
	UNDO(t, pasid_detach(t, p[0]));
	STEP(t, t_pasid_free(t->ctx, 2, p));
	CLOSE(t, dev_close(t, 0));
}

static void seq_pasid_by_file(fault_t *t)
{
	u32 p, any = IOASID_PASID_ANY, same = IOASID_PASID_ANY;

	CALL(mapped_space, t);
	NEEDED(t, dev_open(t, 0));
	STEP(t, file_attach(t, 0, &any, 77, 0));
	NEEDED(t, pasid_alloc(t, 1, &p));
	STEP(t, file_attach(t, 1, &p, 0, 0));
	STEP(t, file_attach(t, 1, &same, 77, IOASID_ATTACH_REPLACE));
	UNDO(t, file_detach(t, 77));
	UNDO(t, file_detach(t, p));
	any = IOASID_PASID_ANY;
	STEP(t, file_attach(t, 0, &any, 0, 0));
	CLOSE(t, close_ctx(t));
	CLOSE(t, dev_close(t, 0));
}

static void seq_close_pasid(fault_t *t)
{
	u32 p[2], any = IOASID_PASID_ANY;

	CALL(mapped_space, t);
	FOREIGN(t, dev_open(t, 0));
	STEP(t, attach(t, 0, t->id[0], 0));
	STEP(t, pasid_alloc(t, 2, p));
	STEP(t, pasid_attach(t, 1, &p[0], 5, 0));
	STEP(t, pasid_attach(t, 0, &any, 0, 0));
	CLOSE(t, close_ctx(t));
	CLOSE(t, dev_close(t, 0));
}

static void seq_mm(fault_t *t)
{
	u32 any = IOASID_PASID_ANY, any2 = IOASID_PASID_ANY;

	STEP(t, open_ctx(t));
	STEP(t, alloc(t, 0));
	STEP(t, t_alloc_mm(t->ctx, &t->id[1]));
	FOREIGN(t, dev_open(t, 0));
	STEP(t, t_vfio_bind(&t->dev[0].vfio, t->ctx));
	STEP(t, pasid_attach(t, 1, &any, 0, 0));
	UNDO(t, pasid_detach(t, any));
	STEP(t, pasid_attach(t, 1, &any2, 5, 0));
	CLOSE(t, close_ctx(t));
	CLOSE(t, dev_close(t, 0));
}

#define RING_BYTES	(3 * T_PAGE)	/* of a queue with 64 records */

static int queue_open(fault_t *t)
{
	struct ioasid_fault_queue cmd = { .size = sizeof(cmd), .depth = 64, .eventfd = t->event };
	int ret = t_cmd(t->ctx, IOASID_FAULT_QUEUE, &cmd);

	if (ret)
		return ret;
	t->queue = cmd.fd;
	t->queue_id = cmd.queue_id;
	return 0;
}

static int queue_close(fault_t *t)
{
	int ret = close(t->queue);

	t->queue = -1;
	return ret;
}

static int queue_map(fault_t *t)
{
	void *ring = mmap(NULL, RING_BYTES, PROT_READ | PROT_WRITE, MAP_SHARED, t->queue, 0);

	if (ring == MAP_FAILED)
		return -errno;
	t->ring = ring;
	return 0;
}

/* Or it keeps the queue open */
static void queue_unmap(fault_t *t)
{
	if (t->ring)
		munmap(t->ring, RING_BYTES);
	t->ring = NULL;
}

/* The device asks for a page: its slot */
static int ask(fault_t *t)
{
	struct ioasid_sim_command cmd = {
		.opcode = IOASID_SIM_OP_READ, .flags = IOASID_SIM_CMD_REQUEST, .iova = AT,
		.length = 64,
	};

	return t_sim_submit(&t->dev[0].sim, &cmd);
}

static int next_record(fault_t *t, struct ioasid_fault_record *r)
{
	struct pollfd p = { .fd = t->queue, .events = POLLIN };

	do {
		int ret = poll(&p, 1, PATIENCE_MS);

		if (ret <= 0)
			return ret ? -errno : -ETIMEDOUT;
		if (read(t->queue, r, sizeof(*r)) != sizeof(*r))
			return -errno;
	} while (r->type != IOASID_FAULT_REQUEST);
	return 0;
}

static int answer(fault_t *t, u64 cookie)
{
	struct ioasid_fault_response r = { .cookie = cookie, .code = IOASID_FAULT_INVALID };

	return write(t->queue, &r, sizeof(r)) == sizeof(r) ? 0 : -errno;
}

/* The memory of the answer is what can fail: then the group is answered all the same */
static int ring_bell(fault_t *t)
{
	struct ioasid_fault_doorbell bell = { .size = sizeof(bell) };
	int ret = t_ioctl(t->queue, IOASID_FAULT_DOORBELL, &bell);

	return ret || bell.failed ? ret ? ret : -EPROTO : 0;
}

static void ended(fault_t *t, int slot)
{
	if (t_sim_wait(&t->dev[0].sim, slot, NULL, PATIENCE_MS))
		complain(t, "a page request", slot, "it was never answered");
}

static void seq_fault(fault_t *t)
{
	struct ioasid_fault_response *to;
	struct ioasid_fault_record r;
	int slot = -1;

	STEP(t, open_ctx(t));
	STEP(t, alloc(t, 0));
	STEP(t, t_alloc_faults(t->ctx, &t->id[1]));
	FOREIGN(t, dev_open(t, 0));
	/* Slots of commands from an earlier run: the device no longer has them */
	memset(t->dev[0].sim.mem + IOASID_SIM_SPARE, 0, IOASID_SIM_SLOTS * sizeof(u32));
	STEP(t, queue_open(t));
	FOREIGN(t, queue_map(t));
	STEP(t, t_fault_bind(t->ctx, t->id[1], 0, 0, t->queue_id));
	STEP(t, attach(t, 0, t->id[1], 0));
	STEP(t, t_fault_bind(t->ctx, 0, t->dev[0].vfio.dev_id, IOASID_RID, t->queue_id));
	FOREIGN(t, slot = ask(t));
	STEP(t, next_record(t, &r));
	STEP(t, answer(t, r.cookie));
	ended(t, slot);
	FOREIGN(t, slot = ask(t));
	STEP(t, next_record(t, &r));
	to = (void *)((char *)t->ring + t->ring->responses);
	to[0] = (struct ioasid_fault_response){ .cookie = r.cookie, .code = IOASID_FAULT_INVALID };
	__atomic_store_n(&t->ring->response_head, 1, __ATOMIC_RELEASE);
	STEP(t, ring_bell(t));
	ended(t, slot);
	queue_unmap(t);
	/* A detach, then a close, answer what waits */
	FOREIGN(t, slot = ask(t));
	STEP(t, next_record(t, &r));
	UNDO(t, t_vfio_detach(&t->dev[0].vfio));
	ended(t, slot);
	STEP(t, attach(t, 0, t->id[1], 0));
	FOREIGN(t, slot = ask(t));
	STEP(t, next_record(t, &r));
	CLOSE(t, queue_close(t));
	ended(t, slot);
	CLOSE(t, close_ctx(t));
}

/* --- running them --------------------------------------------------------------- */

static void run(fault_t *t, void (*seq)(fault_t *t))
{
	struct __test_metadata *_metadata = t->md;
	int i;

	t->step = 0;
	t->reached = false;
	t->fired = false;
	t->retry = false;
	t->stop = false;
	seq(t);
	queue_unmap(t);
	if (t->queue >= 0)
		queue_close(t);
	for (i = t->nr_devs - 1; i >= 0; i--)
		dev_close(t, i);
	if (t->ctx >= 0)
		close_ctx(t);
	if (t->bad)
		return;
	if (t->pins >= 0 && t_pinned_pages_settled(t->pins) != t->pins)
		complain(t, "the last close", 0, "memory stays pinned");
	EXPECT_EQ(0, t_status_kib(0, "VmPin"));
	EXPECT_EQ(0, t_status_kib(0, "VmLck"));
}

static void sweep(fault_t *t, void (*seq)(fault_t *t))
{
	struct __test_metadata *_metadata = t->md;

	for (t->target = 1; t->target < STEPS; t->target++) {
		for (t->nth = 1; t->nth < FAULTS; t->nth++) {
			run(t, seq);
			ASSERT_FALSE(t->bad);
			if (!t->fired)
				break;
			t->fired_faults++;
		}
		ASSERT_GT(FAULTS, t->nth) TH_LOG("step %d never ends", t->target);
		if (!t->reached)
			break;
		t->fired_steps += t->nth > 1;
	}
	TH_LOG("%d steps, %d of them with faults; %d faults, %d of them did no harm",
	       t->target - 1, t->fired_steps, t->fired_faults, t->ignored);
	/* Faults that nobody feels would prove nothing */
	EXPECT_LT(t->target, STEPS);
	EXPECT_LT(1, t->fired_faults - t->ignored);
}

/* So that RLIMIT_MEMLOCK counts: what a fault leaves charged adds up until it is over the limit */
static void obey_limit(void)
{
	struct __user_cap_header_struct head = { .version = _LINUX_CAPABILITY_VERSION_3 };
	struct __user_cap_data_struct data[2];

	t_set_memlock(3 * (BIG + 4 * PAGES) * T_PAGE);
	if (syscall(SYS_capget, &head, data))
		return;
	data[0].effective &= ~(1U << CAP_IPC_LOCK);
	syscall(SYS_capset, &head, data);
}

/* Objects of our cache; -1 where it is not to be seen */
static long objects(void)
{
	char text[64];

	t_write_file("/sys/kernel/slab/ioasid_pages/shrink", "1");
	if (t_read_file("/sys/kernel/slab/ioasid_pages/objects", text, sizeof(text)) < 0)
		return -1;
	return atol(text);
}

/* Pages that follow one another here and nowhere else; 7 does not divide BIG */
static char *scattered(void)
{
	char *mem = mmap(NULL, BIG * T_PAGE, PROT_READ | PROT_WRITE,
			 MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	int i;

	if (mem == MAP_FAILED)
		return NULL;
	madvise(mem, BIG * T_PAGE, MADV_NOHUGEPAGE);
	for (i = 0; i < BIG; i++)
		mem[i * 7 % BIG * T_PAGE] = 1;
	return mem;
}

FIXTURE_SETUP(fault)
{
	self->md = _metadata;
	self->ctx = -1;
	self->queue = -1;
	self->nth_fd = ops_fail_nth();
	NEED(self->nth_fd != -ENOENT, "no /proc/self/fail-nth: this kernel has no fault injection");
	NEED(self->nth_fd >= 0, "no failslab or fail_page_alloc in debugfs");
	self->copies = variant->copies;
	NEED(!ops_fail_allow("fail_usercopy", self->copies),
	     "no choice of faults: needs CONFIG_FAULT_INJECTION_USERCOPY and _STACKTRACE_FILTER");
	NEED(!ops_fail_allow("failslab", !self->copies) &&
	     !ops_fail_allow("fail_page_alloc", !self->copies), "no choice of faults");
	self->mem = scattered();
	ASSERT_NE(NULL, self->mem);
	self->memfd = memfd_create("fault", MFD_CLOEXEC);
	ASSERT_LE(0, self->memfd);
	ASSERT_EQ(0, ftruncate(self->memfd, PAGES * T_PAGE));
	self->event = eventfd(0, EFD_CLOEXEC);
	ASSERT_LE(0, self->event);
	obey_limit();
	self->pins = t_pinned_pages();
	self->objects = objects();
}

FIXTURE_TEARDOWN(fault)
{
	if (self->nth_fd >= 0) {
		ops_fail_allow("failslab", true);
		ops_fail_allow("fail_page_alloc", true);
		ops_fail_allow("fail_usercopy", true);
		EXPECT_EQ(self->objects, objects());
	}
}

#define PLAIN_TEST(name)							\
TEST_F_TIMEOUT(fault, name, 900)						\
{										\
	sweep(self, seq_##name);						\
}

PLAIN_TEST(basic)
PLAIN_TEST(map)
PLAIN_TEST(map_mm)
PLAIN_TEST(vector)
PLAIN_TEST(file)
PLAIN_TEST(copy)
PLAIN_TEST(reserve)

/* Opens devices: without them none of the rest can be done */
static void need_devices(struct __test_metadata *_metadata, fault_t *self, int nr)
{
	NEED(t_device(T_EDU, nr - 1), "needs %d devices", nr);
	/* Bound to their driver before anything can fail */
	ASSERT_EQ(0, t_device_to_vfio(t_device(T_EDU, 0)));
	ASSERT_EQ(0, t_device_to_vfio(t_device(T_EDU, nr - 1)));
}

#define DEVICE_TEST(name, nr)							\
TEST_F_TIMEOUT(fault, name, 900)						\
{										\
	NEED(t_device(T_EDU, (nr) - 1), "needs %d devices", nr);			\
	need_devices(_metadata, self, nr);					\
	sweep(self, seq_##name);						\
}

DEVICE_TEST(container, 1)
DEVICE_TEST(replace, 1)
DEVICE_TEST(close_mapped, 1)
DEVICE_TEST(close_device_first, 1)
DEVICE_TEST(by_file, 1)
DEVICE_TEST(bind_by_file, 1)
DEVICE_TEST(file_to_container, 1)
DEVICE_TEST(close_by_file, 1)

/* Those that need more of a device */
#define SIM_TEST(name)								\
TEST_F_TIMEOUT(fault, name, 900)						\
{										\
	NEED(t_on_sim(), "needs ioasid_sim");					\
	need_devices(_metadata, self, 1);					\
	sweep(self, seq_##name);						\
}

SIM_TEST(pasid)
SIM_TEST(close_pasid)
SIM_TEST(mm)
SIM_TEST(fault)
SIM_TEST(pasid_by_file)

/* How many page tables does a space need behind the two? */
static int domains(fault_t *t)
{
	struct ioasid_space_info info = { 0 };
	int i;

	if (open_ctx(t) < 0 || alloc(t, 0) || dev_open(t, 0) || dev_open(t, 1) ||
	    attach(t, 0, t->id[0], 0) || attach(t, 1, t->id[0], 0) ||
	    t_space_info(t->ctx, t->id[0], &info))
		info.nr_domains = 0;
	for (i = t->nr_devs - 1; i >= 0; i--)
		dev_close(t, i);
	close_ctx(t);
	return info.nr_domains;
}

/* The first device that cannot share a page table with device 0 */
static bool find_second(fault_t *t)
{
	static const enum t_pci_kind kinds[] = { T_EDU, T_NVME };
	int i;

	for (i = 0; i < 2; i++) {
		t->kind = kinds[i];
		for (t->which = !i; t_device(t->kind, t->which); t->which++)
			if (!t_device_to_vfio(t_device(t->kind, t->which)) && domains(t) == 2)
				return true;
	}
	return false;
}

TEST_F_TIMEOUT(fault, two_domains, 900)
{
	NEED(t_device(T_EDU, 1), "needs 2 devices");
	need_devices(_metadata, self, 2);
	if (!find_second(self)) {
		TH_LOG("one IOMMU for all devices: two of them behind one domain");
		self->kind = T_EDU;
		self->which = 1;
	}
	sweep(self, seq_two_domains);
}

/* Those that one command attaches: two behind each of two IOMMUs, if there are two */
#define MANY_TEST(name)								\
TEST_F_TIMEOUT(fault, name, 900)						\
{										\
	NEED(t_on_sim(), "needs ioasid_sim");					\
	need_many(_metadata, self);						\
	sweep(self, seq_##name);						\
}

static void need_many(struct __test_metadata *_metadata, fault_t *self)
{
	int i;

	NEED(t_device(T_EDU, 1) && t_device(T_NVME, 1), "needs 4 devices");
	need_devices(_metadata, self, 2);
	self->nr_domains = 2;
	if (!find_second(self)) {
		TH_LOG("one IOMMU for all devices: all of them behind one domain");
		self->nr_domains = 1;
		self->kind = T_EDU;
		self->which = 1;
	}
	for (i = 0; i < DEVS; i++)
		ASSERT_EQ(0, t_device_to_vfio(t_device(kind_of(self, i), nth_of(self, i))));
}

MANY_TEST(many)
MANY_TEST(many_pasids)
MANY_TEST(many_mm)

#define KMEMLEAK	DEBUGFS "kmemleak"

/* Last (a fixture of its own comes after the others), as it looks at all that was done */
FIXTURE(leaks) {
};

FIXTURE_SETUP(leaks)
{
}

FIXTURE_TEARDOWN(leaks)
{
}

TEST_F_TIMEOUT(leaks, kmemleak, 120)
{
	static char text[16384];
	int i;

	NEED(getenv("IOASID_KMEMLEAK"), "IOASID_KMEMLEAK is not set");
	NEED(!access(KMEMLEAK, W_OK), "no kmemleak in this kernel");
	NEED(!t_write_file(KMEMLEAK, "scan"), "kmemleak is off: needs kmemleak=on at boot");
	/* It takes no object for lost that is younger than five seconds */
	for (i = 0; i < 2; i++) {
		t_sleep_ms(6000);
		ASSERT_EQ(0, t_write_file(KMEMLEAK, "scan"));
	}
	ASSERT_LE(0, t_read_file(KMEMLEAK, text, sizeof(text)));
	EXPECT_EQ(NULL, strstr(text, "ioasid")) TH_LOG("%s", text);
}

TEST_HARNESS_MAIN
