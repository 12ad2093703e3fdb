/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Bytes become system calls: the interpreter that the fuzzer, the replay of its
 * corpus and the stress test share. Every byte string is a valid program. A
 * program calls all commands of /dev/ioasid, of a VFIO container and of fault
 * queues, lets endpoints of ioasid_sim ask for pages, writes a page table for nested
 * spaces, and moves the memory under them, mostly with arguments that make sense and sometimes with ones that do
 * not. The same bytes do the same every time; nothing here
 * may depend on addresses or time. With IOASID_OPS_TRACE in the environment it
 * says what it does.
 */
#ifndef T_OPS_H
#define T_OPS_H

#include "lib/sim.h"
#include "lib/vfio.h"

#define OPS_CTX		2
#define OPS_IDS		8	/* spaces of a context whose ids a program keeps */
#define OPS_DEVS	2
#define OPS_PASIDS	8	/* PASIDs of a context whose ids a program keeps */
#define OPS_QUEUES	2	/* fault queues of a context, likewise */
#define OPS_SLOTS	8	/* commands that wait in an endpoint of ioasid_sim */
#define OPS_AT		0x100000000ULL	/* where most programs map */
#define OPS_WINDOW	256	/* pages there */

/**
 * struct ops - what a program works on
 * @ctx: open /dev/ioasid
 * @ids: spaces of each context, 0 where none; may be memory that other
 *	processes write, since a wrong id is a valid test
 * @dev: devices in containers of VFIO_IOASID_IOMMU, or NULL
 * @dev_id: their ids, in shared memory if @ids is
 * @alone: nobody else uses the contexts: then a command that fails must leave
 *	everything as it was, and this is checked
 * @extra: memory that may also be mapped, or NULL
 * @extra_pages: its size
 * @wrong: the first thing that was not as it must be; empty if all is well
 * @commands: commands so far
 * @succeeded: how many of them did
 *
 * The rest is private to ops.c.
 */
struct ops {
	int ctx[OPS_CTX];
	volatile u32 (*ids)[OPS_IDS];
	struct t_vfio *dev[OPS_DEVS];
	volatile u32 *dev_id;
	bool alone;
	char *extra;
	u32 extra_pages;
	char wrong[256];
	u64 commands;
	u64 succeeded;

	u32 own_ids[OPS_CTX][OPS_IDS];
	u32 own_dev_id[OPS_DEVS];
	u32 pasids[OPS_CTX][OPS_PASIDS];
	struct t_queue queue[OPS_CTX][OPS_QUEUES];
	int slots[OPS_DEVS][OPS_SLOTS];	/* their numbers plus one, or 0 */
	const unsigned char *in;
	size_t left;
	char *mem;
	int memfd;
	int nth_fd;
	bool mem_dirty;
	bool file_dirty;
	bool limit_dirty;
	bool bound[OPS_DEVS];
	bool forked;
	bool armed;
	bool trace;
	u64 digest;
};

/* Memory and contexts of its own, no device; 0 or a negative errno */
int ops_open(struct ops *o);
/* The same on contexts that are open already */
int ops_open_on(struct ops *o, const int *ctx);
void ops_close(struct ops *o);

/* Runs a program: 0, or -EPROTO with @wrong set */
int ops_run(struct ops *o, const void *program, size_t length);
/* Everything as after ops_open(); closes what the program has made */
int ops_reset(struct ops *o);

/*
 * Lets allocations of this thread fail, any of them and silently: the open
 * /proc/self/fail-nth, or a negative errno where the kernel cannot do that.
 */
int ops_fail_nth(void);
/* Which kind of them: failslab, fail_page_alloc, fail_usercopy; -ENOENT: cannot be chosen */
int ops_fail_allow(const char *attr, bool on);

/* The @nth device of the bed behind VFIO_IOASID_IOMMU; -ENOENT: it has none */
int ops_device(struct t_vfio *v, int nth);

#endif /* T_OPS_H */
