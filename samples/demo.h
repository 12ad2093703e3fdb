/* SPDX-License-Identifier: GPL-2.0 */
/*
 * What the demos need besides /dev/ioasid: output, and drivers for their devices,
 * which are those of the selftests.
 */
#ifndef DEMO_H
#define DEMO_H

#include "../tools/testing/selftests/ioasid/lib/check.h"
#include "../tools/testing/selftests/ioasid/lib/edu.h"
#include "../tools/testing/selftests/ioasid/lib/nvme.h"
#include "../tools/testing/selftests/ioasid/lib/testdev.h"
#include "../tools/testing/selftests/ioasid/lib/vfio.h"

/* Prints a numbered line about the next step, and an indented one about its result */
void step(const char *format, ...) __attribute__((format(printf, 1, 2)));
void result(const char *format, ...) __attribute__((format(printf, 1, 2)));

/* Prints "demo: FAILED: reason" and exits with 1 */
void failed(const char *format, ...) __attribute__((noreturn, format(printf, 1, 2)));

/* An ioctl that must succeed; prints the reason of the kernel otherwise */
void must(int fd, unsigned long command, void *arg, const struct ioasid_extack *extack,
	  const char *what);

/* Opens the device behind a VFIO container of /dev/ioasid's type */
void open_device(struct t_vfio *dev, enum t_pci_kind kind, const char *name);
/* must() for functions of the drivers, which return 0 or a negative errno */
void worked(int ret, const char *what);

/* Transfers of the table: begins one, ends it with its result, prints all */
void transfer_begin(const char *device, const char *what, unsigned long long iova,
		    unsigned int bytes);
void transfer_end(int ret, const void *mem, bool right);
void transfer_table(void);

#endif /* DEMO_H */
