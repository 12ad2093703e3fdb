/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The wire to whoever runs the bed, for what only the machine around it can do:
 * plugging devices. One line asks, one line answers. The environment variable
 * IOASID_HOSTCTL names the character device; a bed without it has no wire.
 */
#ifndef T_HOSTCTL_H
#define T_HOSTCTL_H

#include <stdbool.h>
#include <stddef.h>

bool t_hostctl_present(void);
/* 0 and the answer, or a negative errno; @ms is how long to wait for it */
int t_hostctl(const char *request, char *answer, size_t room, unsigned int ms);

#endif /* T_HOSTCTL_H */
