/* SPDX-License-Identifier: GPL-2.0 */
/*
 * A guest's page table, as x86-64 has them with four levels, in memory that the
 * space of the "machine" maps from address 0 on: what a virtual machine would write
 * itself. It must never tell the kernel what it has changed; see t_invalidate().
 */
#ifndef T_GUEST_H
#define T_GUEST_H

#include "ioasid.h"

#define T_GUEST_P	(1ULL << 0)
#define T_GUEST_W	(1ULL << 1)
#define T_GUEST_U	(1ULL << 2)
#define T_GUEST_A	(1ULL << 5)
#define T_GUEST_D	(1ULL << 6)
#define T_GUEST_PS	(1ULL << 7)
#define T_GUEST_RW	(T_GUEST_P | T_GUEST_W | T_GUEST_U)
#define T_GUEST_RO	(T_GUEST_P | T_GUEST_U)
#define T_GUEST_ADDR	0x000ffffffffff000ULL

struct t_guest {
	char *mem;		/* its memory; page 0 of it is the top table */
	u64 bytes;
	u64 tables;		/* the next page for a table */
};

/* Takes @mem, zeroed, whose first @table_bytes are for tables */
void t_guest_init(struct t_guest *g, void *mem, u64 bytes, u64 table_bytes);
/* Where the entry of @level (1: pages, 2: 2 MiB, 3: 1 GiB) for @iova is; makes tables */
u64 *t_guest_entry(struct t_guest *g, u64 iova, int level);
/* Maps a page of @level at @iova to the guest's address @to, with T_GUEST_* */
void t_guest_map(struct t_guest *g, u64 iova, u64 to, u64 bits, int level);
/* The rights of all levels above pages become @bits */
void t_guest_protect(struct t_guest *g, u64 iova, u64 bits, int level);

/* A space that can be a parent, and one nested in it whose table @g has */
int t_alloc_parent(int fd, u32 *ioasid);
int t_alloc_nested(int fd, u32 *ioasid, u32 parent, const struct t_guest *g, u32 flags);
/* Any parameters: the last is a struct ioasid_alloc without its size */
int t_alloc_any(int fd, u32 *ioasid, struct ioasid_alloc cmd);

/* The number done, or a negative errno with the number done in *@done */
int t_invalidate(int fd, u32 ioasid, struct ioasid_invalidate_entry *entries, u32 nr, u32 *done);
/* All of a space, and a range of it in the format of the table */
int t_invalidate_all(int fd, u32 ioasid);
int t_invalidate_vtd(int fd, u32 ioasid, u64 iova, u64 pages);
int t_invalidate_any(int fd, struct ioasid_invalidate *cmd);

#endif /* T_GUEST_H */
