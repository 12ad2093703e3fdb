// SPDX-License-Identifier: GPL-2.0
/*
 * The reason behind every error, and how it gets to the user. A command that
 * fails says why by ioasid_fail() at the place that knows; nothing here may
 * change the outcome of a command.
 */
#include <linux/minmax.h>
#include <linux/stdarg.h>
#include <linux/stddef.h>
#include <linux/string.h>
#include <linux/uaccess.h>
#include "ioasid_private.h"

/**
 * ioasid_fail() - note why a command fails
 * @extack: where to note it, or NULL
 * @err: the negative errno to return
 * @code: the reason for programs
 * @fmt: the reason for people: one sentence without a full stop
 *
 * The first reason noted wins: it is the one nearest to the cause.
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
 * ioasid_extack_check() - look at the user's extack before anything is done
 * @uptr: address of a struct ioasid_extack, or 0
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
	/* Writing what is there finds read-only memory while nothing is done */
	if (put_user(size, &uext->size))
		return -EFAULT;
	return 0;
}
IOASID_EXPORT(ioasid_extack_check);

/**
 * ioasid_extack_to_user() - tell the user why a command failed
 * @extack: the reason
 * @uptr: address of a struct ioasid_extack that passed
 *	ioasid_extack_check(), or 0
 * @err: the negative errno of the command, or 0, which writes nothing
 *
 * The memory can have gone since it was checked: then the user gets the errno
 * alone.
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
	/* Behind the sentence is what was on the stack */
	len = strlen(extack->msg);
	memset(extack->msg + len, 0, sizeof(extack->msg) - len);
	size = min_t(u32, size, sizeof(*extack));
	/* A short one still ends in NUL */
	if (size > offsetof(struct ioasid_extack, msg))
		((char *)extack)[size - 1] = '\0';
	if (copy_to_user(u64_to_user_ptr(uptr), extack, size))
		return;
}
IOASID_EXPORT(ioasid_extack_to_user);
