/* SPDX-License-Identifier: GPL-2.0 */
/*
 * What the demos need besides /dev/ioasid: words on the screen, and drivers for
 * their devices, which they borrow from the selftests.
 */
#ifndef DEMO_H
#define DEMO_H

#include "../tools/testing/selftests/ioasid/lib/check.h"
#include "../tools/testing/selftests/ioasid/lib/edu.h"
#include "../tools/testing/selftests/ioasid/lib/nvme.h"
#include "../tools/testing/selftests/ioasid/lib/testdev.h"
#include "../tools/testing/selftests/ioasid/lib/vfio.h"

/* A numbered line of what happens next, and an indented one of what came out */
void step(const char *format, ...) __attribute__((format(printf, 1, 2)));
void result(const char *format, ...) __attribute__((format(printf, 1, 2)));

/* "demo: FAILED: reason" and exit 1 */
void failed(const char *format, ...) __attribute__((noreturn, format(printf, 1, 2)));

/* An ioctl that must succeed; what the kernel says about it is the reason */
void must(int fd, unsigned long command, void *arg, const struct ioasid_extack *extack,
	  const char *what);

/* Opens the device behind a VFIO container of /dev/ioasid's type */
void open_device(struct t_vfio *dev, enum t_pci_kind kind, const char *name);
/* The same for what the drivers return: 0 or a negative errno */
void worked(int ret, const char *what);

/* A transfer for the table: begin it, end it (was the data right?), show all */
void transfer_begin(const char *device, const char *what, unsigned long long iova,
		    unsigned int bytes);
void transfer_end(int ret, const void *mem, bool right);
void transfer_table(void);

#endif /* DEMO_H */
