/* SPDX-License-Identifier: GPL-2.0 */
/* What the guest program and who measures it have in common */
#ifndef GUEST_H
#define GUEST_H

/* Times that the guest maps and unmaps a page */
#define NR_PAIRS	2000

#endif /* GUEST_H */
