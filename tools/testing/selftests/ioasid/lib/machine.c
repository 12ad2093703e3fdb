// SPDX-License-Identifier: GPL-2.0
/*
 * The counters of a machine. See machine.h.
 */
#include <dirent.h>
#include <errno.h>
#include <limits.h>
#include <linux/capability.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "check.h"
#include "dma.h"
#include "machine.h"
#include "proc.h"
#include "testdev.h"

#define DEBUGFS		"/sys/kernel/debug"
#define HUGETLB		"/sys/kernel/mm/hugepages"
#define SLAB		"/sys/kernel/slab"
#define PROBED_PASIDS	1000

static s64 number_in(const char *path)
{
	char text[64];

	/* Unsigned in the file: what has gone below 0 is -1 here, too */
	return t_read_file(path, text, sizeof(text)) > 0 ? (s64)strtoull(text, NULL, 10) : T_UNSEEN;
}

static s64 or_unseen(long value)
{
	return value < 0 ? T_UNSEEN : value;
}

/* The sum of @fn over what is in a directory, T_UNSEEN if there is no such thing */
static s64 sum(const char *dir_name, s64 (*fn)(const char *path, const char *what),
	       const char *what)
{
	DIR *dir = opendir(dir_name);
	struct dirent *entry;
	char path[PATH_MAX];
	s64 all = T_UNSEEN;

	if (!dir)
		return T_UNSEEN;
	while ((entry = readdir(dir))) {
		s64 one;

		if (entry->d_name[0] == '.')
			continue;
		snprintf(path, sizeof(path), "%s/%s", dir_name, entry->d_name);
		one = fn(path, what);
		if (one != T_UNSEEN)
			all = (all == T_UNSEEN ? 0 : all) + one;
	}
	closedir(dir);
	return all;
}

/* --- what the kernel says ----------------------------------------------------------- */

static s64 one(const char *path, const char *what)
{
	return 1;
}

static s64 contexts(void)
{
	s64 nr = sum(DEBUGFS "/ioasid", one, NULL);

	return nr == T_UNSEEN && !access(DEBUGFS "/ioasid", F_OK) ? 0 : nr;
}

static s64 pinned(void)
{
	return or_unseen(t_pinned_pages());
}

static s64 attribute(const char *path, const char *what)
{
	char file[PATH_MAX];

	snprintf(file, sizeof(file), "%s/%s", path, what);
	return number_in(file);
}

/* The pool itself may become larger: tests make room in it */
static s64 huge_used(void)
{
	s64 all = sum(HUGETLB, attribute, "nr_hugepages");

	return all == T_UNSEEN ? T_UNSEEN : all - sum(HUGETLB, attribute, "free_hugepages");
}

static s64 huge_reserved(void)
{
	return sum(HUGETLB, attribute, "resv_hugepages");
}

static s64 huge_surplus(void)
{
	return sum(HUGETLB, attribute, "surplus_hugepages");
}

static s64 of_process(const char *path, const char *what)
{
	pid_t pid = atoi(path + strlen("/proc/"));

	return pid ? or_unseen(t_status_kib(pid, what)) : T_UNSEEN;
}

static s64 processes_locked(void)
{
	return sum("/proc", of_process, "VmLck");
}

static s64 processes_pinned(void)
{
	return sum("/proc", of_process, "VmPin");
}

/* VT-d says how many it has given out. A domain of AMD has a page table, at least. */
static s64 domains(void)
{
	s64 intel = sum("/sys/class/iommu", attribute, "intel-iommu/domains_used");
	s64 sim = number_in(DEBUGFS "/ioasid_sim/domains");

	if (intel == T_UNSEEN || sim == T_UNSEEN)
		return intel == T_UNSEEN ? sim : intel;
	return intel + sim;
}

static s64 page_tables(void)
{
	return or_unseen(t_meminfo_kib("SecPageTables"));
}

static s64 shrink(const char *path, const char *what)
{
	char file[PATH_MAX];

	snprintf(file, sizeof(file), "%s/shrink", path);
	return t_write_file(file, "1");
}

/*
 * Without the empty slabs that the kernel keeps for later. A kernel that checks
 * every access keeps what was freed for a while, so that nothing can be said.
 */
static s64 slab(void)
{
	const char *checks = getenv("IOASID_CHECKS");

	if (checks && strstr(checks, "kasan"))
		return T_UNSEEN;
	sum(SLAB, shrink, NULL);
	t_pinned_pages();	/* adds up the counters of all processors */
	return or_unseen(t_meminfo_kib("SUnreclaim"));
}

static s64 vmalloc_used(void)
{
	return or_unseen(t_meminfo_kib("VmallocUsed"));
}

/* --- what has to be tried ------------------------------------------------------------ */

/* @fn in a process of its own, which takes with it whatever it needs */
static s64 tried(s64 (*fn)(void *arg), void *arg)
{
	s64 value = T_UNSEEN;
	int fd[2];
	pid_t pid;

	if (pipe(fd))
		return T_UNSEEN;
	fflush(NULL);
	pid = fork();
	if (!pid) {
		value = fn(arg);
		_exit(write(fd[1], &value, sizeof(value)) != sizeof(value));
	}
	close(fd[1]);
	if (read(fd[0], &value, sizeof(value)) != sizeof(value))
		value = T_UNSEEN;
	close(fd[0]);
	t_wait(pid);
	return value;
}

static void drop_ipc_lock(void)
{
	struct __user_cap_header_struct head = { .version = _LINUX_CAPABILITY_VERSION_3 };
	struct __user_cap_data_struct data[2];

	if (!syscall(SYS_capget, &head, data)) {
		data[0].effective &= ~(1U << CAP_IPC_LOCK);
		syscall(SYS_capset, &head, data);
	}
}

struct locker {
	int fd;
	u32 id;
	void *mem;
};

/* May this user have one page more, if @pages is the limit? */
static bool locks(struct locker *l, u64 pages)
{
	struct rlimit limit = { .rlim_cur = pages * T_PAGE, .rlim_max = RLIM_INFINITY };
	u64 iova;

	if (setrlimit(RLIMIT_MEMLOCK, &limit) ||
	    t_map(l->fd, l->id, l->mem, T_PAGE, T_RW, &iova))
		return false;
	t_unmap_all(l->fd, l->id);
	return true;
}

/* The smallest limit that lets it, less that one page */
static s64 locked_pages(void *arg)
{
	struct locker l = { .fd = t_open(), .mem = t_memory(T_ANON, T_PAGE) };
	struct rlimit limit = { .rlim_max = RLIM_INFINITY };
	u64 low = 0, high = 1, middle;
	uid_t uid = *(uid_t *)arg;

	setrlimit(RLIMIT_MEMLOCK, &limit);
	if (l.fd < 0 || !l.mem || t_alloc(l.fd, &l.id) || (uid && setuid(uid)))
		return T_UNSEEN;
	drop_ipc_lock();
	while (!locks(&l, high)) {
		low = high;
		high *= 2;
		if (high >> 40)
			return T_UNSEEN;
	}
	while (high - low > 1) {
		middle = (low + high) / 2;
		if (locks(&l, middle))
			high = middle;
		else
			low = middle;
	}
	return high - 1;
}

static s64 locked_root(void)
{
	uid_t uid = 0;

	return tried(locked_pages, &uid);
}

static s64 locked_user(void)
{
	uid_t uid = T_NOBODY;

	return tried(locked_pages, &uid);
}

/* The pool gives out the smallest number: what it leaves out is in use */
s64 t_machine_pasids(int fd, u32 dev_id)
{
	static u32 pasid[PROBED_PASIDS];
	struct ioasid_pasid_alloc cmd = {
		.size = sizeof(cmd), .nr = PROBED_PASIDS, .pasids = (uintptr_t)pasid,
		.dev_id = dev_id,
	};
	u32 last = 0, i;
	int ret;

	/* Of a device with fewer, as many as there are */
	while ((ret = t_cmd(fd, IOASID_PASID_ALLOC, &cmd)) == -ENOSPC && cmd.nr > 1)
		cmd.nr /= 2;
	if (ret)
		return T_UNSEEN;
	for (i = 0; i < cmd.nr; i++)
		last = pasid[i] > last ? pasid[i] : last;
	t_pasid_free(fd, cmd.nr, pasid);
	return last - cmd.nr;
}

static s64 pasids_of(struct t_vfio *vfio)
{
	int fd = t_open();

	return fd < 0 || t_vfio_bind(vfio, fd) ? T_UNSEEN : t_machine_pasids(fd, vfio->dev_id);
}

static s64 pasids_in_use(void *arg)
{
	struct t_testdev testdev;
	struct t_dma dma;
	s64 nr = T_UNSEEN;
	int i;

	for (i = 0; t_on_sim() && i < 4 && nr == T_UNSEEN; i++) {
		if (!t_dma_open(&dma, i & 1 ? T_NVME : T_EDU, i / 2, VFIO_IOASID_IOMMU))
			nr = pasids_of(&dma.vfio);
		t_dma_close(&dma);
	}
	for (i = 0; t_testdev_find(i) && nr == T_UNSEEN; i++) {
		if (!t_testdev_open(&testdev, i, VFIO_IOASID_IOMMU))
			nr = pasids_of(&testdev.vfio);
		t_testdev_close(&testdev);
	}
	return nr;
}

static s64 pasids(void)
{
	return tried(pasids_in_use, NULL);
}

/* --- all of them ------------------------------------------------------------------------ */

/*
 * @may_fall: what goes with a device that is pulled out. @slack: what the kernel
 * keeps of its own accord once something has been done for the first time, in the
 * unit of the counter:
 *
 * - page tables: for each 64 PASIDs of a device a page, which stays until the device
 *   goes, and the tables of the kernel's own domains, which only grow: 2 x 16 pages.
 * - SUnreclaim: pages are counted, not objects: each of the 200 caches can have one
 *   slab more with a single object in it, of 4 to 32 KiB, and most have none. What
 *   was seen beside programs that do nothing is up to 300 KiB.
 * - VmallocUsed: a stack of 20 KiB for each worker of the kernel that came to help,
 *   and they stay for minutes.
 */
static const struct {
	const char *name;
	s64 (*read)(void);
	bool may_fall;
	s64 slack;
} counters[T_MACHINE_NR] = {
	[T_CONTEXTS] = { "open contexts", contexts },
	[T_PINNED] = { "pinned pages", pinned },
	[T_HUGE_USED] = { "huge pages in use", huge_used },
	[T_HUGE_RESERVED] = { "huge pages reserved", huge_reserved },
	[T_HUGE_SURPLUS] = { "huge pages surplus", huge_surplus },
	[T_LOCKED_ROOT] = { "locked pages of root", locked_root },
	[T_LOCKED_USER] = { "locked pages of a user", locked_user },
	[T_PROCESSES_LOCKED] = { "KiB locked by processes", processes_locked },
	[T_PROCESSES_PINNED] = { "KiB pinned by processes", processes_pinned },
	[T_PASIDS] = { "PASIDs in use", pasids },
	[T_DOMAINS] = { "domain ids in use", domains, .may_fall = true },
	[T_PAGE_TABLES] = { "KiB of page tables of IOMMUs", page_tables, true, 128 },
	[T_SLAB] = { "KiB of SUnreclaim", slab, true, 1024 },
	[T_VMALLOC] = { "KiB of VmallocUsed", vmalloc_used, true, 1024 },
};

const char *t_machine_name(enum t_machine_counter c)
{
	return counters[c].name;
}

s64 t_machine_counter(enum t_machine_counter c)
{
	return counters[c].read();
}

void t_machine_read(struct t_machine *m)
{
	int c;

	for (c = 0; c < T_MACHINE_NR; c++)
		m->value[c] = counters[c].read();
}

bool t_machine_changed(enum t_machine_counter c, const struct t_machine *before,
		       const struct t_machine *after)
{
	s64 was = before->value[c], is = after->value[c];

	if (was == T_UNSEEN || is == T_UNSEEN)
		return false;
	if (is < was)
		return !counters[c].may_fall;
	return is - was > counters[c].slack;
}

int t_machine_differs(const struct t_machine *before, const struct t_machine *after)
{
	int c, nr = 0;

	for (c = 0; c < T_MACHINE_NR; c++)
		nr += t_machine_changed(c, before, after);
	return nr;
}

int t_machine_settle(const struct t_machine *before, struct t_machine *after, unsigned int ms)
{
	u64 end = t_end_of_patience(ms);
	int c, nr;

	t_machine_read(after);
	while ((nr = t_machine_differs(before, after)) && t_now_ns() < end) {
		t_sleep_ms(100);
		for (c = 0; c < T_MACHINE_NR; c++)
			if (t_machine_changed(c, before, after))
				after->value[c] = t_machine_counter(c);
	}
	return nr;
}
