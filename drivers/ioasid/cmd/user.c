// SPDX-License-Identifier: GPL-2.0
/*
 * Copies between commands and user space: the command's struct, arrays, and the
 * reason of an error; the last also for the commands of glues. It must never be
 * called with a lock held, since accessing user memory can block for any length
 * of time.
 */
#include <linux/minmax.h>
#include <linux/slab.h>
#include <linux/stddef.h>
#include <linux/string.h>
#include <linux/uaccess.h>
#include "cmd.h"

/**
 * ioasid_respond() - write a command's struct back
 * @cmd: the command
 * @size: size of the struct in bytes
 *
 * Context: a user process, no locks held; can sleep.
 *
 * Return: 0, or -EFAULT if user space has unmapped the struct since
 * ioasid_check_writable().
 */
int ioasid_respond(struct ioasid_command *cmd, size_t size)
{
	if (copy_to_user(cmd->uptr, cmd->arg, min_t(size_t, size, cmd->usize)))
		return ioasid_fail(cmd->extack, -EFAULT, IOASID_REASON_POINTER,
				   "cannot write the command's struct back");
	return 0;
}

/**
 * ioasid_get_array() - read an array from the user
 * @uptr: its address
 * @nr: number of elements, not 0
 * @size: size of an element in bytes
 * @what: name of the elements in messages, in the plural
 * @extack: the reason if it fails
 *
 * Context: a user process, no locks held; can sleep.
 *
 * Return: the array, to be freed by kvfree(), or ERR_PTR of -ENOMEM or -EFAULT.
 */
void *ioasid_get_array(u64 uptr, u32 nr, size_t size, const char *what,
		       struct ioasid_extack *extack)
{
	void *array = kvmalloc_array(nr, size, GFP_KERNEL_ACCOUNT);

	if (!array) {
		ioasid_fail(extack, -ENOMEM, IOASID_REASON_NO_MEMORY,
			    "no memory for %u %s", nr, what);
		return ERR_PTR(-ENOMEM);
	}
	if (copy_from_user(array, u64_to_user_ptr(uptr), nr * size)) {
		kvfree(array);
		ioasid_fail(extack, -EFAULT, IOASID_REASON_POINTER,
			    "cannot read the %s", what);
		return ERR_PTR(-EFAULT);
	}
	return array;
}

/**
 * ioasid_put_ranges() - write ranges to the user
 * @uptr: address of the user's array, or 0 for none
 * @room: number of ranges that fit into it
 * @ranges: the ranges
 * @nr: number of ranges
 * @extack: the reason if it fails
 *
 * Context: a user process, no locks held; can sleep.
 *
 * Return: 0, -EMSGSIZE if they do not fit, -EFAULT if they cannot be written.
 */
int ioasid_put_ranges(u64 uptr, u32 room,
		      const struct ioasid_iova_range *ranges, u32 nr,
		      struct ioasid_extack *extack)
{
	if (!uptr)
		return 0;
	if (room < nr) {
		extack->value = nr;
		return ioasid_fail(extack, -EMSGSIZE, IOASID_REASON_LIMIT,
				   "there are %u ranges, but only room for %u", nr,
				   room);
	}
	if (copy_to_user(u64_to_user_ptr(uptr), ranges, nr * sizeof(*ranges)))
		return ioasid_fail(extack, -EFAULT, IOASID_REASON_POINTER,
				   "cannot write the ranges");
	return 0;
}

/**
 * ioasid_extack_check() - check the user's extack before a command
 * @uptr: address of a struct ioasid_extack, or 0
 *
 * Context: a user process; can sleep.
 *
 * Return: 0, -EFAULT if it cannot be read or written, -EINVAL if its @size
 * has no room for a code.
 */
int ioasid_extack_check(u64 uptr)
{
	struct ioasid_extack __user *uext = u64_to_user_ptr(uptr);
	u32 size;

	if (!uptr)
		return 0;
	if (get_user(size, &uext->size))
		return -EFAULT;
	if (size < offsetofend(struct ioasid_extack, code))
		return -EINVAL;
	if (!access_ok(uext, size))
		return -EFAULT;
	/* Detects read-only memory by writing the same value back */
	if (put_user(size, &uext->size))
		return -EFAULT;
	return 0;
}
IOASID_EXPORT(ioasid_extack_check);

/**
 * ioasid_extack_to_user() - copy the reason of an error to the user
 * @extack: the reason
 * @uptr: address of a struct ioasid_extack that passed
 *	ioasid_extack_check(), or 0
 * @err: the negative errno of the command, or 0, which writes nothing
 *
 * If the memory has been unmapped since the check, the user only gets the
 * errno.
 *
 * Context: a user process; can sleep.
 */
void ioasid_extack_to_user(struct ioasid_extack *extack, u64 uptr, int err)
{
	size_t len;
	u32 size;

	if (!uptr || !err)
		return;
	if (!extack->code)
		ioasid_fail(extack, err, IOASID_REASON_OTHER, "error %d", -err);
	if (get_user(size, (u32 __user *)u64_to_user_ptr(uptr)))
		return;
	extack->size = size;
	/* Clears the uninitialised stack behind the sentence */
	len = strlen(extack->msg);
	memset(extack->msg + len, 0, sizeof(extack->msg) - len);
	size = min_t(u32, size, sizeof(*extack));
	/* Terminates the sentence if a shorter struct truncates it */
	if (size > offsetof(struct ioasid_extack, msg))
		((char *)extack)[size - 1] = '\0';
	if (copy_to_user(u64_to_user_ptr(uptr), extack, size))
		return;
}
IOASID_EXPORT(ioasid_extack_to_user);
