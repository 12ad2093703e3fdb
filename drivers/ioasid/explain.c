// SPDX-License-Identifier: GPL-2.0
/*
 * Extacks: the reason of every error, noted by ioasid_fail() where the error is
 * found, and copied to the user. Nothing here may change the result of a
 * command.
 */
#include <linux/minmax.h>
#include <linux/stdarg.h>
#include <linux/stddef.h>
#include <linux/string.h>
#include <linux/uaccess.h>
#include "ioasid_private.h"

/**
 * ioasid_fail() - note the reason of an error
 * @extack: where to note it, or NULL
 * @err: the negative errno to return
 * @code: the reason, for programs
 * @fmt: the reason, for people: one sentence without a full stop
 *
 * Keeps the first reason, which is nearest to the cause.
 *
 * Context: any.
 *
 * Return: @err.
 */
int ioasid_fail(struct ioasid_extack *extack, int err, enum ioasid_reason code,
		const char *fmt, ...)
{
	va_list args;

	if (!extack || extack->code)
		return err;
	extack->code = code;
	va_start(args, fmt);
	vscnprintf(extack->msg, sizeof(extack->msg), fmt, args);
	va_end(args);
	return err;
}
IOASID_EXPORT(ioasid_fail);

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
