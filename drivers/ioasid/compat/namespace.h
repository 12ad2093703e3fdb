/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Using symbols that are exported in a namespace. MODULE_IMPORT_NS() takes a
 * bare word on some kernels and a string on others; what both of them make of
 * it is the same, so that glue modules need no probe for it.
 */
#ifndef __IOASID_COMPAT_NAMESPACE_H
#define __IOASID_COMPAT_NAMESPACE_H

#include <linux/module.h>
#include <linux/stringify.h>

#define IOASID_IMPORT_NS(ns)	MODULE_INFO(import_ns, __stringify(ns))

#endif /* __IOASID_COMPAT_NAMESPACE_H */
