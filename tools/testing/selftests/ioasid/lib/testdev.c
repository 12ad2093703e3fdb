// SPDX-License-Identifier: GPL-2.0
/*
 * A driver for ioasid-testdev. See testdev.h.
 */
#include <dirent.h>
#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "check.h"
#include "proc.h"
#include "testdev.h"

#define SYS_PCI	"/sys/bus/pci/devices"

static unsigned int attribute(const char *addr, const char *name)
{
	char path[PATH_MAX], text[32];

	snprintf(path, sizeof(path), SYS_PCI "/%s/%s", addr, name);
	return t_read_file(path, text, sizeof(text)) < 0 ? 0 : strtoul(text, NULL, 16);
}

static int is_testdev(const struct dirent *entry)
{
	return entry->d_name[0] != '.' && attribute(entry->d_name, "vendor") == TESTDEV_VENDOR &&
	       attribute(entry->d_name, "device") == TESTDEV_DEVICE;
}

const char *t_testdev_find(int nth)
{
	static char found[T_PCI_MAX][T_PCI_ADDR];
	struct dirent **list;
	int i, nr = scandir(SYS_PCI, &list, is_testdev, alphasort);

	for (i = 0; i < nr; i++) {
		if (i < T_PCI_MAX)
			snprintf(found[i], T_PCI_ADDR, "%.12s", list[i]->d_name);
		free(list[i]);
	}
	if (nr >= 0)
		free(list);
	return nth < nr && nth < T_PCI_MAX ? found[nth] : NULL;
}

int t_testdev_open(struct t_testdev *d, int nth, unsigned long iommu)
{
	const char *addr = t_testdev_find(nth);
	int ret;

	memset(d, 0, sizeof(*d));
	d->vfio.container = -1;
	d->vfio.group = -1;
	d->vfio.device = -1;
	if (!addr)
		return -ENOENT;
	ret = t_vfio_open(&d->vfio, addr, iommu);
	if (ret)
		return ret;
	return t_testdev_read32(d, TESTDEV_ID) == TESTDEV_ID_VALUE ? 0 : -ENODEV;
}

void t_testdev_close(struct t_testdev *d)
{
	t_vfio_close(&d->vfio);
}

u32 t_testdev_read32(struct t_testdev *d, u32 at)
{
	return *(volatile u32 *)((char *)d->vfio.bar + at);
}

u64 t_testdev_read64(struct t_testdev *d, u32 at)
{
	return *(volatile u64 *)((char *)d->vfio.bar + at);
}

static void write32(struct t_testdev *d, u32 at, u32 value)
{
	*(volatile u32 *)((char *)d->vfio.bar + at) = value;
}

static void write64(struct t_testdev *d, u32 at, u64 value)
{
	*(volatile u64 *)((char *)d->vfio.bar + at) = value;
}

void t_testdev_put(struct t_testdev *d, u32 at, const void *mem, u32 length)
{
	u64 value;
	u32 i;

	for (i = 0; i < length; i += 8) {
		memcpy(&value, (const char *)mem + i, 8);
		write64(d, TESTDEV_BUFFER_AT + at + i, value);
	}
}

void t_testdev_get(struct t_testdev *d, u32 at, void *mem, u32 length)
{
	u64 value;
	u32 i;

	for (i = 0; i < length; i += 8) {
		value = t_testdev_read64(d, TESTDEV_BUFFER_AT + at + i);
		memcpy((char *)mem + i, &value, 8);
	}
}

static u32 slot_at(u32 slot, u32 field)
{
	return TESTDEV_SLOTS_AT + slot * TESTDEV_SLOT_BYTES + field;
}

void t_testdev_begin(struct t_testdev *d, u32 slot, const struct t_testdev_cmd *cmd)
{
	write32(d, slot_at(slot, TESTDEV_OPCODE), cmd->opcode);
	write32(d, slot_at(slot, TESTDEV_FLAGS), cmd->flags | (cmd->pasid ? TESTDEV_F_PASID : 0));
	write32(d, slot_at(slot, TESTDEV_PASID), cmd->pasid);
	write32(d, slot_at(slot, TESTDEV_VECTOR), cmd->vector);
	write64(d, slot_at(slot, TESTDEV_ADDR), cmd->addr);
	write32(d, slot_at(slot, TESTDEV_LENGTH), cmd->length);
	write32(d, slot_at(slot, TESTDEV_BUFFER), cmd->buffer);
	write64(d, slot_at(slot, TESTDEV_DATA), cmd->data);
	__atomic_thread_fence(__ATOMIC_SEQ_CST);
	write32(d, slot_at(slot, TESTDEV_DOORBELL), 1);
}

bool t_testdev_ended(struct t_testdev *d, u32 slot)
{
	return t_testdev_read32(d, slot_at(slot, TESTDEV_STATUS)) != TESTDEV_BUSY;
}

int t_testdev_end(struct t_testdev *d, u32 slot, struct t_testdev_cmd *cmd, u32 ms)
{
	u64 end = t_end_of_patience(ms);

	while (!t_testdev_ended(d, slot)) {
		if (t_now_ns() > end)
			return -ETIMEDOUT;
		t_sleep_ms(1);
	}
	if (t_testdev_read32(d, slot_at(slot, TESTDEV_STATUS)) == TESTDEV_IDLE)
		return -ECANCELED;
	if (cmd) {
		cmd->data = t_testdev_read64(d, slot_at(slot, TESTDEV_DATA));
		cmd->done = t_testdev_read32(d, slot_at(slot, TESTDEV_DONE_BYTES));
		cmd->fault_addr = t_testdev_read64(d, slot_at(slot, TESTDEV_FAULT_ADDR));
	}
	return t_testdev_read32(d, slot_at(slot, TESTDEV_ERROR));
}

int t_testdev_run(struct t_testdev *d, struct t_testdev_cmd *cmd)
{
	t_testdev_begin(d, 0, cmd);
	return t_testdev_end(d, 0, cmd, 10000);
}

int t_testdev_reads(struct t_testdev *d, u32 pasid, u32 flags, u64 iova, u32 seed)
{
	struct t_testdev_cmd cmd = {
		.opcode = TESTDEV_OP_READ, .flags = flags, .pasid = pasid, .addr = iova,
		.length = T_PAGE,
	};
	char got[T_PAGE] = { 0 };
	int ret;

	t_testdev_put(d, 0, got, T_PAGE);
	ret = t_testdev_run(d, &cmd);
	if (ret)
		return ret;
	t_testdev_get(d, 0, got, T_PAGE);
	return t_differs(got, T_PAGE, seed) < 0 ? 0 : -EILSEQ;
}

int t_testdev_writes(struct t_testdev *d, u32 pasid, u32 flags, u64 iova, const void *mem,
		     u32 seed)
{
	struct t_testdev_cmd cmd = {
		.opcode = TESTDEV_OP_WRITE, .flags = flags, .pasid = pasid, .addr = iova,
		.length = T_PAGE,
	};
	char data[T_PAGE];
	int ret;

	t_fill(data, T_PAGE, seed);
	t_testdev_put(d, 0, data, T_PAGE);
	ret = t_testdev_run(d, &cmd);
	if (ret)
		return ret;
	return t_differs(mem, T_PAGE, seed) < 0 ? 0 : -EILSEQ;
}
