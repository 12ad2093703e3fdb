/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Processes: children that run a function as somebody else and report how it
 * went, and what /proc says about memory that is locked and pinned.
 *
 * A child does not use the harness' ASSERT (it would run the fixture's
 * teardown twice): it uses T_CHECK, which prints and returns, and its parent
 * looks at the status.
 */
#ifndef T_PROC_H
#define T_PROC_H

#include <stdbool.h>
#include <stdio.h>
#include <sys/types.h>

#include "ioasid.h"

#define T_NOBODY	1000	/* a user without any capability */

/* In a child: a failed check prints itself and what the kernel said */
#define T_CHECK(cond) do {							\
	if (!(cond)) {								\
		fprintf(stderr, "# %s:%d: child: %s is not true; %s\n",		\
			__FILE__, __LINE__, #cond, t_explain());		\
		return 1;							\
	}									\
} while (0)

typedef int (*t_child_fn)(void *arg);

/* 0 if @fn returned 0, its value if it did not, -signal if it was killed */
int t_child(t_child_fn fn, void *arg);
int t_child_as(uid_t uid, t_child_fn fn, void *arg);
/* The two halves of it */
pid_t t_fork(t_child_fn fn, void *arg);
pid_t t_fork_as(uid_t uid, t_child_fn fn, void *arg);
int t_wait(pid_t pid);

/* The soft and hard limit, in bytes */
int t_set_memlock(unsigned long long bytes);

/* A line such as "VmPin" of /proc/<pid>/status (0: self), in KiB; -1 without */
long t_status_kib(pid_t pid, const char *field);
/* A line such as "Slab" of /proc/meminfo, in KiB; -1 without */
long t_meminfo_kib(const char *field);
/* Pages that are pinned in the whole system, exact; -1 if the kernel does not count them */
long t_pinned_pages(void);
/* The same once it has come down to @want, or what it is after a minute */
long t_pinned_pages_settled(long want);

/* Whole content of a small file, without the last newline; -1 if unreadable */
int t_read_file(const char *path, char *text, size_t room);
int t_write_file(const char *path, const char *text);

#endif /* T_PROC_H */
