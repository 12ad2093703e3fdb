// SPDX-License-Identifier: GPL-2.0
/*
 * Copies between commands and user space: the command's struct, and arrays. It
 * must never be called with a lock held, since accessing user memory can block
 * for any length of time; except what disables page faults.
 */
#include <linux/slab.h>
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
 * ioasid_try_respond() - write a command's struct back, if it is in memory
 * @cmd: the command
 * @size: size of the struct in bytes
 *
 * For an answer that must be written before the command takes effect, and is
 * only known under a lock. If it fails, the caller undoes the command, releases
 * the lock, and calls ioasid_respond() to bring the struct in or to fail.
 *
 * Context: a user process; does not sleep, so locks may be held.
 *
 * Return: false if user space cannot be written now.
 */
bool ioasid_try_respond(struct ioasid_command *cmd, size_t size)
{
	bool done;

	pagefault_disable();
	done = !copy_to_user(cmd->uptr, cmd->arg,
			     min_t(size_t, size, cmd->usize));
	pagefault_enable();
	return done;
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
