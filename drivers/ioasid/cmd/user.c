// SPDX-License-Identifier: GPL-2.0
/*
 * What goes between a command and its user: the command's own struct, arrays in
 * and arrays out. No lock may be held in here, since the user's memory can take
 * forever.
 */
#include <linux/slab.h>
#include <linux/uaccess.h>
#include "cmd.h"

/**
 * ioasid_respond() - write a command's struct back
 * @cmd: the command
 * @size: size of the struct
 *
 * Return: 0 or -EFAULT. The dispatcher has tried to write before the command
 * ran, so only a caller that unmaps its own memory meanwhile sees that.
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
 * @size: of each, in bytes
 * @what: plural of what it is an array of, for messages
 * @extack: the reason if it fails
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
 * @uptr: address of an array, or 0 for none
 * @room: how many fit there
 * @ranges: the ranges
 * @nr: how many
 * @extack: the reason if it fails
 *
 * Return: 0, -EFAULT, -EMSGSIZE if they do not fit.
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
				   "there are %u ranges and room for %u", nr,
				   room);
	}
	if (copy_to_user(u64_to_user_ptr(uptr), ranges, nr * sizeof(*ranges)))
		return ioasid_fail(extack, -EFAULT, IOASID_REASON_POINTER,
				   "cannot write the ranges");
	return 0;
}
