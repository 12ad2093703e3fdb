// SPDX-License-Identifier: GPL-2.0
/*
 * Rows of figures: samples are collected in memory and printed at the end, so
 * that no output happens while something is measured.
 *
 *   ROW name unit side median min max samples
 *   NOTE name text
 */
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "bench.h"

#define MAX_ROWS	512
#define MAX_NOTES	128

struct row {
	char name[48];
	const char *unit;
	const struct side *side;
	u64 *value;
	u32 nr;
	u32 max;
};

static struct row rows[MAX_ROWS];
static u32 nr_rows;

static struct {
	char name[48];
	char text[240];
} notes[MAX_NOTES];
static u32 nr_notes;

static struct row *find_row(const struct side *side, const char *unit, const char *name)
{
	struct row *r;

	for (r = rows; r < rows + nr_rows; r++)
		if (r->side == side && !strcmp(r->name, name))
			return r;
	if (nr_rows == MAX_ROWS)
		bench_die("too many rows");
	nr_rows++;
	snprintf(r->name, sizeof(r->name), "%s", name);
	r->unit = unit;
	r->side = side;
	/* Room for all samples now: growing would disturb what is measured */
	r->max = 4096;
	r->value = calloc(r->max, sizeof(*r->value));
	if (!r->value)
		bench_die("no memory");
	return r;
}

void sample(const struct side *side, const char *unit, u64 value, const char *format, ...)
{
	struct row *r;
	char name[48];
	va_list args;

	va_start(args, format);
	vsnprintf(name, sizeof(name), format, args);
	va_end(args);
	r = find_row(side, unit, name);
	if (r->nr == r->max)
		bench_die("too many samples of %s", name);
	r->value[r->nr++] = value;
}

void note(const char *text, const char *format, ...)
{
	char name[48];
	va_list args;
	u32 i;

	va_start(args, format);
	vsnprintf(name, sizeof(name), format, args);
	va_end(args);
	for (i = 0; i < nr_notes; i++)
		if (!strcmp(notes[i].name, name))
			break;
	if (i == MAX_NOTES)
		bench_die("too many notes");
	if (i == nr_notes)
		nr_notes++;
	snprintf(notes[i].name, sizeof(notes[i].name), "%s", name);
	snprintf(notes[i].text, sizeof(notes[i].text), "%s", text);
}

static int compare(const void *a, const void *b)
{
	u64 x = *(const u64 *)a, y = *(const u64 *)b;

	return x < y ? -1 : x > y;
}

static void print_value(u64 value)
{
	printf(" %llu.%03llu", (unsigned long long)value / 1000,
	       (unsigned long long)value % 1000);
}

void print_rows(void)
{
	struct row *r;
	u32 i;

	for (r = rows; r < rows + nr_rows; r++) {
		qsort(r->value, r->nr, sizeof(*r->value), compare);
		printf("ROW %s %s %s", r->name, r->unit, r->side->name);
		print_value(r->value[r->nr / 2]);
		print_value(r->value[0]);
		print_value(r->value[r->nr - 1]);
		printf(" %u\n", r->nr);
	}
	for (i = 0; i < nr_notes; i++)
		printf("NOTE %s %s\n", notes[i].name, notes[i].text);
}
