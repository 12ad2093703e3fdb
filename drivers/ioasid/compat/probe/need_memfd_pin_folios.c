// SPDX-License-Identifier: GPL-2.0
/* NEEDED: memfd_pin_folios(), to map memory by file descriptor */
#include <linux/mm.h>

long probe(struct file *file, struct folio **folios, pgoff_t *offset);

long probe(struct file *file, struct folio **folios, pgoff_t *offset)
{
	long nr = memfd_pin_folios(file, 0, PAGE_SIZE - 1, folios, 1, offset);

	if (nr > 0)
		unpin_folios(folios, nr);
	return nr;
}
