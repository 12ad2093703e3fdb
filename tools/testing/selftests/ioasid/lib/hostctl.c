// SPDX-License-Identifier: GPL-2.0
/*
 * The wire to whoever runs the bed. See hostctl.h.
 */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "check.h"
#include "hostctl.h"

static const char *device(void)
{
	const char *path = getenv("IOASID_HOSTCTL");

	return path && *path ? path : NULL;
}

bool t_hostctl_present(void)
{
	return device() && !access(device(), R_OK | W_OK);
}

static int read_line(int fd, char *line, size_t room, unsigned int ms)
{
	struct pollfd poll_fd = { .fd = fd, .events = POLLIN };
	unsigned long long end = t_now_ns() + ms * 1000000ULL;
	/*
	 * Where time counts instructions, that of a machine that sleeps runs away from
	 * a host that answers, and the harness ends the test: so this does not sleep.
	 */
	bool exact = t_time_is_exact();
	size_t len = 0;

	while (t_now_ns() < end || exact) {
		if (poll(&poll_fd, 1, exact ? 0 : 100) <= 0 || read(fd, line + len, 1) != 1)
			continue;
		if (line[len] == '\n' || len == room - 1) {
			line[len] = '\0';
			return 0;
		}
		len++;
	}
	return -ETIMEDOUT;
}

int t_hostctl(const char *request, char *answer, size_t room, unsigned int ms)
{
	size_t len = strlen(request);
	int fd, ret = 0;

	if (!t_hostctl_present())
		return -ENODEV;
	fd = open(device(), O_RDWR | O_CLOEXEC);
	if (fd < 0)
		return -errno;
	if (write(fd, request, len) != (ssize_t)len || write(fd, "\n", 1) != 1)
		ret = -EIO;
	if (!ret)
		ret = read_line(fd, answer, room, ms);
	close(fd);
	return ret;
}
