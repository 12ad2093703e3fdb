// SPDX-License-Identifier: GPL-2.0
/*
 * Children that run as somebody else, and what /proc says. See proc.h.
 */
#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include "check.h"
#include "proc.h"

static int become(uid_t uid)
{
	/* A program started as that user could look into its own /proc */
	return setgroups(0, NULL) || setgid(uid) || setuid(uid) || prctl(PR_SET_DUMPABLE, 1);
}

pid_t t_fork_as(uid_t uid, t_child_fn fn, void *arg)
{
	pid_t pid;
	int ret;

	fflush(NULL);
	pid = fork();
	if (pid)
		return pid;
	if (uid && become(uid)) {
		perror("# child: cannot become another user");
		_exit(99);
	}
	ret = fn(arg);
	fflush(NULL);
	_exit(ret);
}

pid_t t_fork(t_child_fn fn, void *arg)
{
	return t_fork_as(0, fn, arg);
}

int t_wait(pid_t pid)
{
	int status;

	if (pid < 0)
		return 98;
	while (waitpid(pid, &status, 0) < 0)
		if (errno != EINTR)
			return 97;
	return WIFEXITED(status) ? WEXITSTATUS(status) : -WTERMSIG(status);
}

int t_child_as(uid_t uid, t_child_fn fn, void *arg)
{
	return t_wait(t_fork_as(uid, fn, arg));
}

int t_child(t_child_fn fn, void *arg)
{
	return t_child_as(0, fn, arg);
}

int t_set_memlock(unsigned long long bytes)
{
	struct rlimit limit = { .rlim_cur = bytes, .rlim_max = bytes };

	return setrlimit(RLIMIT_MEMLOCK, &limit) ? -errno : 0;
}

static long field_of(const char *path, const char *field)
{
	size_t len = strlen(field);
	char line[256];
	long value = -1;
	FILE *f = fopen(path, "re");

	if (!f)
		return -1;
	while (value < 0 && fgets(line, sizeof(line), f))
		if (!strncmp(line, field, len) && (line[len] == ':' || line[len] == ' '))
			value = strtol(line + len + 1, NULL, 10);
	fclose(f);
	return value;
}

long t_status_kib(pid_t pid, const char *field)
{
	char path[64] = "/proc/self/status";

	if (pid)
		snprintf(path, sizeof(path), "/proc/%d/status", pid);
	return field_of(path, field);
}

long t_meminfo_kib(const char *field)
{
	return field_of("/proc/meminfo", field);
}

long t_pinned_pages(void)
{
	char unused[16];
	long acquired, released;

	/* The counters are kept per CPU: a read of this file adds them up */
	if (t_read_file("/proc/sys/vm/stat_refresh", unused, sizeof(unused)) < 0)
		return -1;
	acquired = field_of("/proc/vmstat", "nr_foll_pin_acquired");
	released = field_of("/proc/vmstat", "nr_foll_pin_released");
	return acquired < 0 || released < 0 ? -1 : acquired - released;
}

long t_pinned_pages_settled(long want)
{
	uint64_t end = t_end_of_patience(5000);
	long now;

	while ((now = t_pinned_pages()) > want && t_now_ns() < end)
		t_sleep_ms(10);
	return now;
}

int t_read_file(const char *path, char *text, size_t room)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	ssize_t len = 0, got;

	if (fd < 0)
		return -1;
	while (len < (ssize_t)room - 1 && (got = read(fd, text + len, room - 1 - len)) > 0)
		len += got;
	close(fd);
	if (len > 0 && text[len - 1] == '\n')
		len--;
	text[len] = '\0';
	return len;
}

int t_write_file(const char *path, const char *text)
{
	int fd = open(path, O_WRONLY | O_CLOEXEC);
	ssize_t len = strlen(text);
	int ret = 0;

	if (fd < 0)
		return -errno;
	if (write(fd, text, len) != len)
		ret = -errno;
	close(fd);
	return ret;
}
