// SPDX-License-Identifier: GPL-2.0
/*
 * Extacks: the reason of every error, noted by ioasid_fail() where the error is
 * found; cmd/user.c copies it to the user. Nothing here may change the result
 * of a command.
 */
#include <linux/sprintf.h>
#include <linux/stdarg.h>
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
