/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Imports a symbol namespace. MODULE_IMPORT_NS() takes a bare word on some
 * kernels and a string on others, but expands to the same, so that glue modules
 * need no probe.
 */
#ifndef __IOASID_COMPAT_NAMESPACE_H
#define __IOASID_COMPAT_NAMESPACE_H

#include <linux/module.h>
#include <linux/stringify.h>

#define IOASID_IMPORT_NS(ns)	MODULE_INFO(import_ns, __stringify(ns))

#endif /* __IOASID_COMPAT_NAMESPACE_H */
