/* SPDX-License-Identifier: GPL-2.0 */
/*
 * What all programs of a machine share and one of them could use up: huge pages
 * and their reservations, PASIDs, domains, locked and pinned memory, page tables,
 * memory of the kernel. Looked at before a program and after it, each must be as it
 * was. It must never take what cannot be seen on a machine for unchanged.
 */
#ifndef T_MACHINE_H
#define T_MACHINE_H

#include <stdbool.h>

#include "ioasid.h"

enum t_machine_counter {
	T_CONTEXTS,		/* open contexts of /dev/ioasid */
	T_PINNED,		/* pages pinned in the whole system */
	T_HUGE_USED,		/* huge pages of all sizes that are not free */
	T_HUGE_RESERVED,	/* ... that are promised to somebody */
	T_HUGE_SURPLUS,
	T_LOCKED_ROOT,		/* pages that count against RLIMIT_MEMLOCK of this user */
	T_LOCKED_USER,		/* ... of T_NOBODY */
	T_PROCESSES_LOCKED,	/* VmLck of all processes, KiB */
	T_PROCESSES_PINNED,	/* VmPin of all processes, KiB */
	T_PASIDS,		/* PASIDs in use, of the first 1000 */
	T_DOMAINS,		/* domain ids in use */
	T_PAGE_TABLES,		/* SecPageTables: those of IOMMUs, KiB */
	T_SLAB,			/* SUnreclaim, KiB */
	T_VMALLOC,		/* VmallocUsed, KiB */
	T_MACHINE_NR,
};

/* Cannot be seen here */
#define T_UNSEEN	INT64_MIN

struct t_machine {
	s64 value[T_MACHINE_NR];
};

const char *t_machine_name(enum t_machine_counter c);
s64 t_machine_counter(enum t_machine_counter c);
/* T_PASIDS by a device that is bound to the context, for who has them all open */
s64 t_machine_pasids(int fd, u32 dev_id);
void t_machine_read(struct t_machine *m);
/* Is this counter not as it was? */
bool t_machine_changed(enum t_machine_counter c, const struct t_machine *before,
		       const struct t_machine *after);
/* How many are not */
int t_machine_differs(const struct t_machine *before, const struct t_machine *after);
/*
 * The same once nothing differs any more, or after @ms: what is freed by the kernel
 * can be freed seconds later. @after is what was seen last.
 */
int t_machine_settle(const struct t_machine *before, struct t_machine *after,
		     unsigned int ms);

#endif /* T_MACHINE_H */
