// SPDX-License-Identifier: GPL-2.0
/* NEEDED: CLASS(fd) with fd_file(), to hold a file for the length of a command */
#include <linux/file.h>

int probe(int nr);

int probe(int nr)
{
	CLASS(fd, f)(nr);

	return fd_empty(f) ? -EBADF : fd_file(f) != NULL;
}
