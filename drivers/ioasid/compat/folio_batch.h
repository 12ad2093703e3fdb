/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Includes the header that declares struct folio_batch.
 */
#ifndef __IOASID_COMPAT_FOLIO_BATCH_H
#define __IOASID_COMPAT_FOLIO_BATCH_H

#include "config.h"

#if IOASID_HAVE_FOLIO_BATCH_H
#include <linux/folio_batch.h>
#else
#include <linux/pagevec.h>
#endif

#endif /* __IOASID_COMPAT_FOLIO_BATCH_H */
