// SPDX-License-Identifier: GPL-2.0
/* NEEDED: the maple tree with mas_empty_area(), to find free I/O addresses */
#include <linux/maple_tree.h>

int probe(struct ma_state *mas);

int probe(struct ma_state *mas)
{
	return mas_empty_area(mas, 0, ULONG_MAX, 1);
}
