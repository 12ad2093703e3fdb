// SPDX-License-Identifier: GPL-2.0
/* Is a symbol namespace a bare word rather than a string? */
#include <linux/module.h>

MODULE_IMPORT_NS(IOASID_PROBE);
