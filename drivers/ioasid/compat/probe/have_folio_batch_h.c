// SPDX-License-Identifier: GPL-2.0
/* Has struct folio_batch a header of its own? (Linux 7.3) */
#include <linux/folio_batch.h>

struct folio_batch probe;
