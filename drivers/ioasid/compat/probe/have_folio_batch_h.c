// SPDX-License-Identifier: GPL-2.0
/* Does struct folio_batch have its own header? (Linux 7.3) */
#include <linux/folio_batch.h>

struct folio_batch probe;
