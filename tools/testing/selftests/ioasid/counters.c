// SPDX-License-Identifier: GPL-2.0
/*
 * Runs a program and compares what the machine has before and after it:
 *
 *	counters PROGRAM [ARGUMENT]...
 *
 * Its last line says whether all is as before, or what is not, and what could not
 * be seen on this machine; lab/check looks for it. The exit status is the program's,
 * or 1 if that is 0 and something has changed.
 */
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "lib/machine.h"
#include "lib/proc.h"

/*
 * The slowest is the deferred free: two seconds, and one until somebody looks, for
 * each of the attachments that another one has waited for.
 */
#define SETTLE_MS	10000

static int start(char **argv)
{
	pid_t pid;
	int status;

	fflush(NULL);
	pid = fork();
	if (!pid) {
		/* Whoever kills us because it takes too long means the program */
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		execvp(argv[0], argv);
		fprintf(stderr, "counters: %s: %s\n", argv[0], strerror(errno));
		_exit(127);
	}
	if (pid < 0)
		return 126;
	while (waitpid(pid, &status, 0) < 0)
		if (errno != EINTR)
			return 126;
	return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

static bool say(const struct t_machine *before, const struct t_machine *after)
{
	bool same = !t_machine_differs(before, after);
	const char *sep = "; not seen here: ";
	int c;

	for (c = 0; c < T_MACHINE_NR; c++)
		if (t_machine_changed(c, before, after))
			printf("# machine: %s: %lld before, %lld after\n", t_machine_name(c),
			       (long long)before->value[c], (long long)after->value[c]);
	printf("# machine: %s", same ? "as before" : "changed");
	for (c = 0; c < T_MACHINE_NR; c++) {
		if (before->value[c] != T_UNSEEN && after->value[c] != T_UNSEEN)
			continue;
		printf("%s%s", sep, t_machine_name(c));
		sep = ", ";
	}
	printf("\n");
	return same;
}

int main(int argc, char **argv)
{
	struct t_machine before, after;
	int status;

	if (argc < 2) {
		fprintf(stderr, "usage: counters PROGRAM [ARGUMENT]...\n");
		return 2;
	}
	t_machine_read(&before);
	status = start(argv + 1);
	t_machine_settle(&before, &after, SETTLE_MS);
	/* The program may have ended in the middle of a line */
	printf("\n");
	return say(&before, &after) ? status : status ?: 1;
}
