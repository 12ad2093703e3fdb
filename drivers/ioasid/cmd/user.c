// SPDX-License-Identifier: GPL-2.0
/*
 * Copies between commands and user space: the command's struct, arrays, and the
 * reason of an error; the last also for the commands of glues. It must never be
 * called with a lock held, since accessing user memory can block for any length
 * of time; except what disables page faults.
 */
#include <linux/minmax.h>
#include <linux/sched/signal.h>
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
 * ioasid_check_zero() - check a reserved field
 * @reserved: the field
 * @extack: the reason if it fails
 *
 * Context: any.
 *
 * Return: 0, or -EOPNOTSUPP if it is not zero.
 */
int ioasid_check_zero(u32 reserved, struct ioasid_extack *extack)
{
	if (!reserved)
		return 0;
	return ioasid_fail(extack, -EOPNOTSUPP, IOASID_REASON_FLAGS,
			   "a reserved field is not zero");
}

/*
 * The user's elements may be larger than ours: of a newer header. None of ours
 * has grown yet, so @size is also the least.
 */
static int ioasid_check_stride(const struct ioasid_array *array, size_t size,
			       struct ioasid_extack *extack)
{
	if (array->stride >= size && array->stride <= PAGE_SIZE)
		return 0;
	extack->value = size;
	if (array->stride < size)
		return ioasid_fail(extack, -EINVAL, IOASID_REASON_SIZE,
				   "elements of %u bytes, but %zu are needed",
				   array->stride, size);
	return ioasid_fail(extack, -E2BIG, IOASID_REASON_SIZE,
			   "elements of %u bytes", array->stride);
}

static int ioasid_get_strided(const struct ioasid_array *array, void *to,
			      size_t size, struct ioasid_extack *extack)
{
	u32 i;
	int rc = 0;

	for (i = 0; i < array->nr; i++) {
		rc = copy_struct_from_user(to + i * size, size,
					   ioasid_array_at(array, i),
					   array->stride);
		if (rc) {
			extack->index = i;
			break;
		}
		if (fatal_signal_pending(current))
			return ioasid_fail(extack, -EINTR, IOASID_REASON_KILLED,
					   "killed while reading the %s",
					   array->what);
		cond_resched();
	}
	if (i == array->nr)
		return 0;
	if (rc == -E2BIG)
		return ioasid_fail(extack, rc, IOASID_REASON_SIZE,
				   "this kernel knows %zu bytes of an element, and the rest is not zero",
				   size);
	return ioasid_fail(extack, rc, IOASID_REASON_POINTER,
			   "cannot read the %s", array->what);
}

/**
 * ioasid_get_elements() - read an array of the user
 * @array: the array
 * @to: where to; has room for all elements
 * @size: size of our element in bytes
 * @extack: the reason if it fails
 *
 * Context: a user process, no locks held; can sleep.
 *
 * Return: 0, -EINVAL if the user's elements are too small, -E2BIG if they are
 * larger than known and the rest is not zero, -EFAULT, -EINTR if killed.
 */
int ioasid_get_elements(const struct ioasid_array *array, void *to, size_t size,
			struct ioasid_extack *extack)
{
	int rc = ioasid_check_stride(array, size, extack);

	if (rc)
		return rc;
	if (array->stride != size)
		return ioasid_get_strided(array, to, size, extack);
	if (!copy_from_user(to, u64_to_user_ptr(array->uptr), array->nr * size))
		return 0;
	return ioasid_fail(extack, -EFAULT, IOASID_REASON_POINTER,
			   "cannot read the %s", array->what);
}

/**
 * ioasid_get_array() - the same, into memory of its own
 * @array: the array; not empty
 * @size: size of our element in bytes
 * @extack: the reason if it fails
 *
 * Context: a user process, no locks held; can sleep.
 *
 * Return: the elements, to be freed by kvfree(), or ERR_PTR of -ENOMEM or an
 * error of ioasid_get_elements().
 */
void *ioasid_get_array(const struct ioasid_array *array, size_t size,
		       struct ioasid_extack *extack)
{
	void *to = kvmalloc_array(array->nr, size, GFP_KERNEL_ACCOUNT);
	int rc;

	if (!to) {
		ioasid_fail(extack, -ENOMEM, IOASID_REASON_NO_MEMORY,
			    "no memory for %u %s", array->nr, array->what);
		return ERR_PTR(-ENOMEM);
	}
	rc = ioasid_get_elements(array, to, size, extack);
	if (!rc)
		return to;
	kvfree(to);
	return ERR_PTR(rc);
}

/* Writes the elements one by one, and zeroes behind each */
static int ioasid_put_strided(const struct ioasid_array *array,
			      const struct ioasid_iova_range *ranges, u32 nr)
{
	size_t tail = array->stride - sizeof(*ranges);
	void __user *to;
	u32 i;

	for (i = 0; i < nr; i++) {
		to = ioasid_array_at(array, i);
		if (copy_to_user(to, &ranges[i], sizeof(*ranges)) ||
		    clear_user(to + sizeof(*ranges), tail))
			return -EFAULT;
		cond_resched();
	}
	return 0;
}

/**
 * ioasid_put_ranges() - write ranges to the user
 * @array: the user's array, with room for @nr ranges; none if @uptr is 0
 * @ranges: the ranges
 * @nr: number of ranges
 * @extack: the reason if it fails
 *
 * Context: a user process, no locks held; can sleep.
 *
 * Return: 0, -EINVAL or -E2BIG for a size of elements that cannot be,
 * -EMSGSIZE if they do not fit, -EFAULT if they cannot be written.
 */
int ioasid_put_ranges(const struct ioasid_array *array,
		      const struct ioasid_iova_range *ranges, u32 nr,
		      struct ioasid_extack *extack)
{
	int rc;

	if (!array->uptr)
		return 0;
	rc = ioasid_check_stride(array, sizeof(*ranges), extack);
	if (rc)
		return rc;
	if (array->nr < nr) {
		extack->value = nr;
		return ioasid_fail(extack, -EMSGSIZE, IOASID_REASON_LIMIT,
				   "there are %u ranges, but only room for %u", nr,
				   array->nr);
	}
	if (ioasid_put_strided(array, ranges, nr))
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
 * @err: the negative errno of the command; 0 writes nothing, nor does
 *	-ERESTARTNOINTR, with which the command begins anew after a signal
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

	if (!uptr || !err || err == -ERESTARTNOINTR)
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
