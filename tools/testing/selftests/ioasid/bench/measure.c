// SPDX-License-Identifier: GPL-2.0
/*
 * What is measured, each written once for all sides. A measurement opens the
 * device, takes its samples and closes everything, so that the next one finds
 * the machine as this one did.
 */
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "bench.h"

#define NR_PIECES	1000
#define REPEAT_LARGE	3
#define REPEAT_VECTOR	3
#define REPEAT_CLOSE	2
#define PAGE_STRIDE	(2 * T_PAGE)
/* ns; a difference that is less (or below zero) is below the precision */
#define CLOSE_RESOLUTION	1000
#define KILL_RESOLUTION		300000

static void note_runs(const struct memory *m, const char *what)
{
	char text[160];

	snprintf(text, sizeof(text), "%llu MiB in %llu physical runs",
		 (unsigned long long)(m->length / MIB), (unsigned long long)m->runs);
	note(text, "%s-%s", what, layout_name[m->layout]);
}

static u64 difference(u64 full, u64 empty, u64 resolution)
{
	return full > empty + resolution ? full - empty : resolution;
}

/* --- 64 KiB ------------------------------------------------------------- */

static void get_pieces(struct piece *p, const struct memory *m)
{
	u64 runs = 0;
	char text[160];
	u32 i;

	for (i = 0; i < NR_PIECES; i++) {
		p[i].iova = BENCH_IOVA + i * SMALL;
		p[i].addr = m->addr + i * SMALL;
		p[i].length = SMALL;
		runs += memory_runs(p[i].addr, SMALL);
	}
	snprintf(text, sizeof(text), "16 pages in %llu.%02llu physical runs on average",
		 (unsigned long long)runs / NR_PIECES,
		 (unsigned long long)runs % NR_PIECES * 100 / NR_PIECES);
	note(text, "map-64k-%s", layout_name[m->layout]);
}

/* @nr pieces in turn, so often that there are NR_PIECES samples */
static void small_one_by_one(struct bed *bed, const struct piece *piece, u32 nr,
			     const char *layout)
{
	const struct piece *p = piece;
	u64 t0, t1, t2;
	u32 i;

	/* The page table of the range is there from the second time on */
	bed_map_pieces(bed, piece, nr);
	bed_unmap_pieces(bed, piece, nr);
	for (i = 0; i < NR_PIECES; i++, p = piece + i % nr) {
		t0 = t_now_ns();
		bed_map(bed, p->iova, p->addr, p->length);
		t1 = t_now_ns();
		bed_unmap(bed, p->iova, p->length);
		t2 = t_now_ns();
		sample(bed->side, "us", t1 - t0, "map-64k-%s", layout);
		sample(bed->side, "us", t2 - t1, "unmap-64k-%s", layout);
	}
}

static void small_vector(struct bed *bed, const struct piece *p, const char *layout)
{
	u64 t0, t1, t2;
	u32 i;

	for (i = 0; i < REPEAT_VECTOR; i++) {
		t0 = t_now_ns();
		bed_map_pieces(bed, p, NR_PIECES);
		t1 = t_now_ns();
		bed_unmap_pieces(bed, p, NR_PIECES);
		t2 = t_now_ns();
		sample(bed->side, "us", (t1 - t0) / NR_PIECES, "map-64k-vector-%s", layout);
		sample(bed->side, "us", (t2 - t1) / NR_PIECES, "unmap-64k-vector-%s", layout);
	}
}

static void small(struct bench *b, const struct side *side, enum layout layout)
{
	static struct piece p[NR_PIECES];
	struct bed bed;

	get_pieces(p, &b->mem[layout]);
	bed_open(&bed, side, true);
	small_one_by_one(&bed, p, NR_PIECES, layout_name[layout]);
	small_vector(&bed, p, layout_name[layout]);
	bed_close(&bed);
}

/* A buffer of its own, as small programs have it */
static void small_own(struct bench *b, const struct side *side)
{
	struct piece p = { BENCH_IOVA, b->own, SMALL };
	char text[160];
	struct bed bed;

	snprintf(text, sizeof(text), "a buffer of 64 KiB, touched in order: 16 pages in %llu physical runs",
		 (unsigned long long)memory_runs(p.addr, SMALL));
	note(text, "map-64k-own");
	bed_open(&bed, side, true);
	small_one_by_one(&bed, &p, 1, "own");
	bed_close(&bed);
}

static void small_seq(struct bench *b, const struct side *side)
{
	small(b, side, SEQUENTIAL);
}

static void small_shuf(struct bench *b, const struct side *side)
{
	small(b, side, SHUFFLED);
}

/* --- 256 MiB ------------------------------------------------------------ */

static void large(struct bench *b, const struct side *side, enum layout layout)
{
	struct memory *m = &b->mem[layout];
	const char *name = layout_name[layout];
	u64 t0, t1, t2;
	struct bed bed;
	int i;

	note_runs(m, "map-256m");
	bed_open(&bed, side, true);
	for (i = 0; i < REPEAT_LARGE; i++) {
		t0 = t_now_ns();
		bed_map(&bed, BENCH_IOVA, m->addr, m->length);
		t1 = t_now_ns();
		bed_unmap(&bed, BENCH_IOVA, m->length);
		t2 = t_now_ns();
		sample(side, "us", t1 - t0, "map-256m-%s", name);
		sample(side, "us", t2 - t1, "unmap-256m-%s", name);
	}
	bed_map(&bed, BENCH_IOVA, m->addr, m->length);
	bed_check_dma(&bed, m, BENCH_IOVA);
	bed_close(&bed);
}

static void large_seq(struct bench *b, const struct side *side)
{
	large(b, side, SEQUENTIAL);
}

static void large_shuf(struct bench *b, const struct side *side)
{
	large(b, side, SHUFFLED);
}

static void large_huge(struct bench *b, const struct side *side)
{
	large(b, side, HUGE);
}

/* --- devices and populated spaces ---------------------------------------- */

struct joiner {
	const char *name;	/* as VFIO calls it */
	const char *row;
	const char *layout;
	bool opens_fast;	/* to open it costs nothing worth mentioning */
};

static u64 lap(u64 *last)
{
	u64 before = *last;

	*last = t_now_ns();
	return *last - before;
}

/*
 * type1: SET_CONTAINER gives the group the container's domain, or a new one
 * that it fills. Ours: it only claims the group, and VFIO_DEVICE_ATTACH
 * follows.
 */
static void join_by_container(struct bed *bed, const char *name, struct steps *s)
{
	struct t_vfio second = { .container = bed->vfio.container };
	bool ours = bed->side->kind == VIA_IOASID;
	u64 t;

	second.group = device_group(name);
	t = t_now_ns();
	MUST(t_ioctl(second.group, VFIO_GROUP_SET_CONTAINER, &second.container));
	s->claim = lap(&t);
	second.device = device_of_group(second.group, name);
	s->open = lap(&t);
	if (ours) {
		MUST(t_vfio_attach(&second, bed->ctx, bed->ioasid, 0));
		s->attach = lap(&t);
		MUST(t_vfio_detach(&second));
		s->detach = lap(&t);
	}
	close(second.device);
	s->close = lap(&t);
	MUST(t_ioctl(second.group, VFIO_GROUP_UNSET_CONTAINER, NULL));
	s->unclaim = lap(&t);
	close(second.group);
}

/* BIND claims the group and opens the device; closing it is the reverse */
static void join_by_iommufd(struct bed *bed, const char *name, struct steps *s)
{
	int device = iommufd_device(name);
	u64 t = t_now_ns();

	MUST(iommufd_bind(device, bed->ctx, NULL));
	s->claim = lap(&t);
	MUST(iommufd_attach(device, bed->ioasid));
	s->attach = lap(&t);
	MUST(iommufd_detach(device));
	s->detach = lap(&t);
	close(device);
	s->unclaim = lap(&t);
}

void join_and_leave(struct bed *bed, const char *name, struct steps *s)
{
	if (bed->side->kind == VIA_IOMMUFD)
		join_by_iommufd(bed, name, s);
	else
		join_by_container(bed, name, s);
}

static void join_once(struct bed *bed, const struct joiner *j)
{
	const struct side *side = bed->side;
	struct steps s = { 0 };

	join_and_leave(bed, j->name, &s);
	/* What iommufd needs to claim a device cannot be separated from opening it */
	if (side->kind != VIA_IOMMUFD || j->opens_fast) {
		sample(side, "us", s.claim + s.attach, "%s-256m-%s", j->row, j->layout);
		sample(side, "us", s.detach + s.unclaim, "%s-256m-%s-leave", j->row, j->layout);
	}
	if (side->kind != VIA_TYPE1) {
		sample(side, "us", s.attach, "%s-attach-256m-%s", j->row, j->layout);
		sample(side, "us", s.detach, "%s-attach-256m-%s-leave", j->row, j->layout);
	}
	sample(side, "us", s.claim + s.open + s.attach, "%s-whole-256m-%s", j->row, j->layout);
	sample(side, "us", s.detach + s.close + s.unclaim, "%s-whole-256m-%s-leave", j->row,
	       j->layout);
}

static void join_all(struct bench *b, const struct side *side, const struct joiner *j,
		     enum layout layout)
{
	struct memory *m = &b->mem[layout];
	struct bed bed;
	int i;

	bed_open(&bed, side, true);
	bed_map(&bed, BENCH_IOVA, m->addr, m->length);
	for (i = 0; i < REPEAT_LARGE; i++)
		join_once(&bed, j);
	bed_close(&bed);
}

static void join(struct bench *b, const struct side *side)
{
	struct joiner j = { device_name(1), "join", layout_name[SHUFFLED], false };

	note("a device behind the same IOMMU; type1: SET_CONTAINER, ours: SET_CONTAINER and VFIO_DEVICE_ATTACH",
	     "join-256m-shuf");
	note("ours: VFIO_DEVICE_ATTACH, iommufd: VFIO_DEVICE_ATTACH_IOMMUFD_PT, both after the group is claimed",
	     "join-attach-256m-shuf");
	note("claimed, opened and attached; iommufd: BIND and ATTACH_IOMMUFD_PT",
	     "join-whole-256m-shuf");
	join_all(b, side, &j, SHUFFLED);
}

/* A device without interrupts has none that are isolated */
void allow_unsafe(const struct side *side, const char *yes)
{
	static const char *const module[] = {
		[VIA_TYPE1] = "vfio_iommu_type1",
		[VIA_IOASID] = "ioasid_vfio",
		[VIA_IOMMUFD] = "iommufd",
	};
	char path[128];

	snprintf(path, sizeof(path), "/sys/module/%s/parameters/allow_unsafe_interrupts",
		 module[side->kind]);
	MUST(t_write_file(path, yes));
}

static void foreign(struct bench *b, const struct side *side, enum layout layout)
{
	struct joiner j = { FOREIGN, "foreign", layout_name[layout], true };

	if (!device_present(FOREIGN)) {
		note("not measured: this machine has no second IOMMU", "foreign-256m-%s", j.layout);
		return;
	}
	note("a device behind another IOMMU (page tables of bench/foreign, no hardware): a second domain is filled; iommufd: BIND and ATTACH_IOMMUFD_PT",
	     "foreign-256m-%s", j.layout);
	allow_unsafe(side, "1");
	join_all(b, side, &j, layout);
	allow_unsafe(side, "0");
}

static void foreign_shuf(struct bench *b, const struct side *side)
{
	foreign(b, side, SHUFFLED);
}

static void foreign_huge(struct bench *b, const struct side *side)
{
	foreign(b, side, HUGE);
}

/*
 * A space that is populated before it has a domain. iommufd pins nothing
 * before it has one. type1 pins and maps when its first group comes, and cannot
 * be populated before: its map of the same memory is what can be compared.
 */
static void note_first_attach(const char *name)
{
	note("ours, iommufd: attach to a space with 256 MiB; type1 has no such thing: its map of the same memory",
	     "first-attach-256m-%s", name);
	note("256 MiB mapped before any device is there; type1: its map of the same memory; iommufd does not pin or map anything yet",
	     "map-256m-%s-no-device", name);
	note("both of these together, which is the same work on every side",
	     "populate-attach-256m-%s", name);
}

static void first_attach(struct bench *b, const struct side *side, enum layout layout)
{
	struct memory *m = &b->mem[layout];
	const char *name = layout_name[layout];
	bool alone = side->kind == VIA_TYPE1;
	struct bed bed;
	u64 t, map, attach;
	int i;

	note_first_attach(name);
	for (i = 0; i < REPEAT_CLOSE; i++) {
		bed_open(&bed, side, false);
		t = t_now_ns();
		bed_map(&bed, BENCH_IOVA, m->addr, m->length);
		map = lap(&t);
		bed_attach(&bed);
		attach = alone ? 0 : lap(&t);
		sample(side, "us", alone ? map : attach, "first-attach-256m-%s", name);
		sample(side, "us", map, "map-256m-%s-no-device", name);
		sample(side, "us", map + attach, "populate-attach-256m-%s", name);
		if (!i)
			bed_check_dma(&bed, m, BENCH_IOVA);
		bed_close(&bed);
	}
}

static void first_attach_shuf(struct bench *b, const struct side *side)
{
	first_attach(b, side, SHUFFLED);
}

static void first_attach_huge(struct bench *b, const struct side *side)
{
	first_attach(b, side, HUGE);
}

/* --- 100,000 mappings of a page ------------------------------------------ */

static u64 kernel_bytes(const char *field)
{
	long kib = t_meminfo_kib(field);

	if (kib < 0)
		bench_die("/proc/meminfo has no %s", field);
	return kib * KIB;
}

static void pages(struct bench *b, const struct side *side)
{
	struct memory *m = &b->mem[SEQUENTIAL];
	u64 nr = m->length / T_PAGE;
	u64 slab, tables, t0, t1, t2, t3;
	struct bed bed;
	u32 i;

	bed_open(&bed, side, true);
	slab = kernel_bytes("Slab");
	tables = kernel_bytes("SecPageTables");
	t0 = t_now_ns();
	for (i = 0; i < NR_PAGES; i++)
		bed_map(&bed, BENCH_IOVA + b->order[i] * PAGE_STRIDE,
			m->addr + i % nr * T_PAGE, T_PAGE);
	t1 = t_now_ns();
	slab = kernel_bytes("Slab") - slab;
	tables = kernel_bytes("SecPageTables") - tables;
	t2 = t_now_ns();
	for (i = 0; i < NR_PAGES; i++)
		bed_unmap(&bed, BENCH_IOVA + b->order[i] * PAGE_STRIDE, T_PAGE);
	t3 = t_now_ns();
	bed_close(&bed);
	note("each of 100,000, IOVA 8 KiB apart in random order", "map-4k");
	note("slab memory for each of the 100,000 mappings", "slab-4k");
	sample(side, "us", (t1 - t0) / NR_PAGES, "map-4k");
	sample(side, "us", (t3 - t2) / NR_PAGES, "unmap-4k");
	sample(side, "B", slab * 1000 / NR_PAGES, "slab-4k");
	sample(side, "B", tables * 1000 / NR_PAGES, "iommu-tables-4k");
}

/* --- losing everything ---------------------------------------------------- */

/* Nothing may be left for later, where no clock looks */
static void check_unpinned(const struct side *side, long before)
{
	long after = t_pinned_pages();

	if (before >= 0 && after > before)
		bench_die("%s: %ld pages are still pinned", side->name, after - before);
}

static u64 close_once(const struct side *side, const struct memory *m)
{
	long pins = t_pinned_pages();
	struct bed bed;
	u64 t0, t1;

	bed_open(&bed, side, true);
	if (m)
		bed_map(&bed, BENCH_IOVA, m->addr, m->length);
	t0 = t_now_ns();
	bed_close(&bed);
	t1 = t_now_ns();
	check_unpinned(side, pins);
	return t1 - t0;
}

static void close_all(struct bench *b, const struct side *side, enum layout layout)
{
	const char *name = layout_name[layout];
	u64 empty, full;
	int i;

	note("close of all fds with 256 MiB mapped, less the same with nothing mapped (at least 1 us)",
	     "close-256m-%s", name);
	for (i = 0; i < REPEAT_CLOSE; i++) {
		empty = close_once(side, NULL);
		full = close_once(side, &b->mem[layout]);
		sample(side, "us", difference(full, empty, CLOSE_RESOLUTION),
		       "close-256m-%s", name);
		sample(side, "us", full, "close-256m-%s-whole", name);
		sample(side, "us", empty, "close-nothing");
	}
}

static void close_shuf(struct bench *b, const struct side *side)
{
	close_all(b, side, SHUFFLED);
}

static void close_huge(struct bench *b, const struct side *side)
{
	close_all(b, side, HUGE);
}

int kill_child(const char *side, const char *layout, const char *mapped)
{
	struct memory m;
	struct bed bed;
	int i;

	for (i = 0; i < NR_LAYOUTS - 1 && strcmp(layout_name[i], layout); i++)
		;
	memory_get(&m, i);
	bed_open(&bed, find_side(side), true);
	if (!strcmp(mapped, "mapped"))
		bed_map(&bed, BENCH_IOVA, m.addr, m.length);
	if (write(STDOUT_FILENO, "r", 1) != 1)
		return 1;
	for (;;)
		pause();
}

static pid_t start_child(const struct side *side, const char *layout, const char *mapped)
{
	int pipes[2];
	char ready;
	pid_t pid;

	if (pipe(pipes))
		bench_die("pipe: %s", strerror(errno));
	pid = fork();
	if (!pid) {
		dup2(pipes[1], STDOUT_FILENO);
		close(pipes[0]);
		close(pipes[1]);
		execl("/proc/self/exe", "ioasid-bench", "--child", side->name, layout, mapped,
		      NULL);
		_exit(127);
	}
	close(pipes[1]);
	if (pid < 0 || read(pipes[0], &ready, 1) != 1)
		bench_die("the child that is to be killed did not start");
	close(pipes[0]);
	return pid;
}

static u64 kill_once(const struct side *side, const char *layout, const char *mapped)
{
	long pins = t_pinned_pages();
	pid_t pid = start_child(side, layout, mapped);
	u64 t0, t1;
	int status;

	/* What the start has left for later is not to be measured */
	t_sleep_ms(20);
	t0 = t_now_ns();
	kill(pid, SIGKILL);
	if (waitpid(pid, &status, 0) != pid || !WIFSIGNALED(status))
		bench_die("the child was not killed");
	t1 = t_now_ns();
	check_unpinned(side, pins);
	return t1 - t0;
}

static void kill_mapped(const struct side *side, enum layout layout)
{
	const char *name = layout_name[layout];
	u64 empty, full;
	int i;

	note("SIGKILL until waitpid returns with 256 MiB touched and mapped, less the same not mapped (less than 300 us cannot be measured, so at least that)",
	     "kill-256m-%s", name);
	for (i = 0; i < REPEAT_CLOSE; i++) {
		empty = kill_once(side, name, "unmapped");
		full = kill_once(side, name, "mapped");
		sample(side, "us", difference(full, empty, KILL_RESOLUTION),
		       "kill-256m-%s", name);
		sample(side, "us", full, "kill-256m-%s-whole", name);
		sample(side, "us", empty, "kill-256m-%s-unmapped", name);
	}
}

static void kill_shuf(struct bench *b, const struct side *side)
{
	kill_mapped(side, SHUFFLED);
}

static void kill_huge(struct bench *b, const struct side *side)
{
	kill_mapped(side, HUGE);
}

const struct measure measures[] = {
	{ "64k-own", small_own, SEQUENTIAL, false },
	{ "64k-seq", small_seq, SEQUENTIAL, true },
	{ "64k-shuf", small_shuf, SHUFFLED, false },
	{ "256m-seq", large_seq, SEQUENTIAL, false },
	{ "256m-shuf", large_shuf, SHUFFLED, true },
	{ "256m-huge", large_huge, HUGE, false },
	{ "join", join, SHUFFLED, false },
	{ "foreign-shuf", foreign_shuf, SHUFFLED, false },
	{ "foreign-huge", foreign_huge, HUGE, false },
	{ "first-attach-shuf", first_attach_shuf, SHUFFLED, false },
	{ "first-attach-huge", first_attach_huge, HUGE, false },
	{ "4k", pages, SEQUENTIAL, true },
	{ "close-shuf", close_shuf, SHUFFLED, false },
	{ "close-huge", close_huge, HUGE, false },
	{ "kill-shuf", kill_shuf, SHUFFLED, false },
	{ "kill-huge", kill_huge, HUGE, false },
	{ "faults", measure_faults, SEQUENTIAL, false },
	{ "pasids", measure_pasids, SEQUENTIAL, false },
	{ "nested", measure_nested, SEQUENTIAL, false },
	{ "smp", measure_smp, SEQUENTIAL, false },
};

const unsigned int nr_measures = sizeof(measures) / sizeof(*measures);
