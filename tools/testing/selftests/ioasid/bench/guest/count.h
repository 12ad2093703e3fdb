/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Where count.so counts, in a file that the benchmark has mapped: what a VMM's
 * commands for DMA have cost.
 */
#ifndef COUNT_H
#define COUNT_H

/* Names the file */
#define COUNT_FILE "IOASID_BENCH_COUNT"

enum {
	COUNT_MAP,
	COUNT_UNMAP,
	COUNT_OTHER,	/* containers, spaces, attaching */
	NR_COUNTS,
};

struct count {
	unsigned long long calls;
	unsigned long long ns;
};

#endif /* COUNT_H */
