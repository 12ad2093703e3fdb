/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The seals of a memfd, for which no kernel exports a function. Must only be
 * used for files on tmpfs, which includes memfds, and on hugetlbfs.
 */
#ifndef __IOASID_COMPAT_MEMFD_H
#define __IOASID_COMPAT_MEMFD_H

#include <linux/fs.h>
#include <linux/hugetlb.h>
#include <linux/shmem_fs.h>

#ifdef CONFIG_HUGETLBFS
static inline unsigned int compat_hugetlbfs_seals(struct file *file)
{
	return HUGETLBFS_I(file_inode(file))->seals;
}
#else
static inline unsigned int compat_hugetlbfs_seals(struct file *file)
{
	return 0;
}
#endif

/**
 * compat_memfd_seals() - get the seals (F_SEAL_*) of a file
 * @file: a file on tmpfs or hugetlbfs
 *
 * Context: any.
 *
 * Return: the seals.
 */
static inline unsigned int compat_memfd_seals(struct file *file)
{
	if (shmem_mapping(file->f_mapping))
		return SHMEM_I(file_inode(file))->seals;
	return compat_hugetlbfs_seals(file);
}

#endif /* __IOASID_COMPAT_MEMFD_H */
