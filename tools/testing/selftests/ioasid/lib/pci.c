// SPDX-License-Identifier: GPL-2.0
/*
 * Test devices by sysfs. See pci.h.
 */
#include <dirent.h>
#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "pci.h"
#include "proc.h"

#define SYS_PCI		"/sys/bus/pci/devices"

static unsigned int attribute(const char *addr, const char *name)
{
	char path[PATH_MAX], text[32];

	snprintf(path, sizeof(path), SYS_PCI "/%s/%s", addr, name);
	return t_read_file(path, text, sizeof(text)) < 0 ? 0 : strtoul(text, NULL, 16);
}

static bool is_edu(const char *addr)
{
	return attribute(addr, "vendor") == 0x1234 && attribute(addr, "device") == 0x11e8;
}

static bool is_nvme(const char *addr)
{
	return attribute(addr, "class") == 0x010802;
}

int t_pci_group(const char *addr)
{
	char path[PATH_MAX], target[PATH_MAX];
	ssize_t len;

	snprintf(path, sizeof(path), SYS_PCI "/%s/iommu_group", addr);
	len = readlink(path, target, sizeof(target) - 1);
	if (len < 0)
		return -1;
	target[len] = '\0';
	return atoi(strrchr(target, '/') + 1);
}

static int is_entry(const struct dirent *entry)
{
	return entry->d_name[0] != '.';
}

static bool has_sibling(const char *addr)
{
	struct dirent **list;
	char path[PATH_MAX];
	bool found = false;
	int i, nr;

	snprintf(path, sizeof(path), SYS_PCI "/%s/iommu_group/devices", addr);
	nr = scandir(path, &list, is_entry, alphasort);
	for (i = 0; i < nr; i++) {
		if (strcmp(list[i]->d_name, addr) && (is_edu(list[i]->d_name) ||
						      is_nvme(list[i]->d_name)))
			found = true;
		free(list[i]);
	}
	if (nr >= 0)
		free(list);
	return found;
}

static bool is_kind(const char *addr, enum t_pci_kind kind)
{
	if (t_pci_group(addr) < 0)
		return false;
	switch (kind) {
	case T_EDU:
		return is_edu(addr) && !has_sibling(addr);
	case T_NVME:
		return is_nvme(addr) && !has_sibling(addr);
	case T_SIBLING:
		return is_edu(addr) && has_sibling(addr);
	}
	return false;
}

const char *t_pci(enum t_pci_kind kind, int nth)
{
	static char found[3][T_PCI_MAX][T_PCI_ADDR];
	struct dirent **list;
	const char *addr = NULL;
	int i, nr, seen = 0;

	if (nth >= T_PCI_MAX)
		return NULL;
	nr = scandir(SYS_PCI, &list, is_entry, alphasort);
	for (i = 0; i < nr; i++) {
		if (!addr && is_kind(list[i]->d_name, kind) && seen++ == nth) {
			snprintf(found[kind][nth], T_PCI_ADDR, "%.12s", list[i]->d_name);
			addr = found[kind][nth];
		}
		free(list[i]);
	}
	if (nr >= 0)
		free(list);
	return addr;
}

bool t_pci_present(const char *addr)
{
	char path[PATH_MAX];

	snprintf(path, sizeof(path), SYS_PCI "/%s", addr);
	return !access(path, F_OK);
}

static bool driver_is(const char *addr, const char *name)
{
	char path[PATH_MAX], target[PATH_MAX];
	ssize_t len;

	snprintf(path, sizeof(path), SYS_PCI "/%s/driver", addr);
	len = readlink(path, target, sizeof(target) - 1);
	if (len < 0)
		return !name;
	target[len] = '\0';
	return name && !strcmp(strrchr(target, '/') + 1, name);
}

int t_pci_to_vfio(const char *addr)
{
	char path[PATH_MAX];
	int ret;

	if (driver_is(addr, "vfio-pci"))
		return 0;
	snprintf(path, sizeof(path), SYS_PCI "/%s/driver_override", addr);
	ret = t_write_file(path, "vfio-pci");
	if (ret)
		return ret;
	if (!driver_is(addr, NULL)) {
		snprintf(path, sizeof(path), SYS_PCI "/%s/driver/unbind", addr);
		ret = t_write_file(path, addr);
		if (ret)
			return ret;
	}
	ret = t_write_file("/sys/bus/pci/drivers_probe", addr);
	if (ret)
		return ret;
	return driver_is(addr, "vfio-pci") ? 0 : -ENODEV;
}
