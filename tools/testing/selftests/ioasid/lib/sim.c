// SPDX-License-Identifier: GPL-2.0
/*
 * The endpoint of ioasid_sim. See sim.h.
 */
#include <dirent.h>
#include <errno.h>
#include <limits.h>
#include <linux/vfio.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "check.h"
#include "device.h"
#include "proc.h"
#include "sim.h"

#define SYS_PLATFORM	"/sys/bus/platform/devices"
#define SYS_DRIVER	"/sys/bus/platform/drivers/ioasid-sim"
#define NAME		"ioasid-sim."

/* --- which there are --------------------------------------------------------- */

bool t_sim_is_name(const char *name)
{
	return !strncmp(name, NAME, strlen(NAME));
}

bool t_sim_present(const char *name)
{
	char path[PATH_MAX];

	snprintf(path, sizeof(path), SYS_DRIVER "/%s", name);
	return !access(path, F_OK);
}

static int is_endpoint(const struct dirent *entry)
{
	return t_sim_is_name(entry->d_name);
}

static int by_number(const struct dirent **a, const struct dirent **b)
{
	return atoi((*a)->d_name + strlen(NAME)) - atoi((*b)->d_name + strlen(NAME));
}

static bool has_sibling(const char *name)
{
	char path[PATH_MAX];
	struct dirent **list;
	int nr, i;

	snprintf(path, sizeof(path), SYS_PLATFORM "/%s/iommu_group/devices", name);
	nr = scandir(path, &list, is_endpoint, alphasort);
	for (i = 0; i < nr; i++)
		free(list[i]);
	if (nr >= 0)
		free(list);
	return nr > 1;
}

const char *t_sim_find(enum t_pci_kind kind, int nth)
{
	static char found[3][T_PCI_MAX][T_PCI_ADDR];
	/* Edu and NVMe are two devices; here they are by turns the same kind */
	int want = kind == T_SIBLING ? nth : 2 * nth + (kind == T_NVME);
	struct dirent **list;
	const char *name = NULL;
	int i, nr, seen = 0;

	if (nth >= T_PCI_MAX)
		return NULL;
	nr = scandir(SYS_PLATFORM, &list, is_endpoint, by_number);
	for (i = 0; i < nr; i++) {
		const char *this = list[i]->d_name;

		if (!name && t_device_group(this) >= 0 &&
		    has_sibling(this) == (kind == T_SIBLING) && seen++ == want) {
			snprintf(found[kind][nth], T_PCI_ADDR, "%.20s", this);
			name = found[kind][nth];
		}
		free(list[i]);
	}
	if (nr >= 0)
		free(list);
	return name;
}

void t_sim_allow(bool allow)
{
	static const char *const modules[] = { "ioasid_vfio", "vfio_iommu_type1", "iommufd" };
	char path[PATH_MAX];
	size_t i;

	for (i = 0; i < sizeof(modules) / sizeof(*modules); i++) {
		snprintf(path, sizeof(path), "/sys/module/%s/parameters/allow_unsafe_interrupts",
			 modules[i]);
		t_write_file(path, allow ? "Y" : "N");
	}
}

int t_sim_unbind(const char *name)
{
	return t_write_file(SYS_DRIVER "/unbind", name);
}

int t_sim_bind(const char *name)
{
	return t_write_file(SYS_DRIVER "/bind", name);
}

/* --- registers and memory ------------------------------------------------------- */

int t_sim_register(struct t_sim *sim, u32 reg, u32 *value)
{
	return pread(sim->device, value, sizeof(*value), sim->registers + reg) == sizeof(*value) ?
		0 : -errno;
}

u64 t_sim_stat(struct t_sim *sim, u32 nr)
{
	u64 value = 0;

	if (pread(sim->device, &value, sizeof(value),
		  sim->registers + IOASID_SIM_REG_STATS + 8 * nr) != sizeof(value))
		return ~0ULL;
	return value;
}

int t_sim_ring(struct t_sim *sim, const u32 *slots, u32 nr)
{
	ssize_t len = nr * sizeof(*slots);

	return pwrite(sim->device, slots, len, sim->registers + IOASID_SIM_REG_DOORBELL) == len ?
		0 : -errno;
}

struct ioasid_sim_command *t_sim_command(struct t_sim *sim, u32 slot)
{
	return (struct ioasid_sim_command *)(sim->mem + IOASID_SIM_COMMANDS) + slot;
}

struct ioasid_sim_completion *t_sim_completion(struct t_sim *sim, u32 slot)
{
	return (struct ioasid_sim_completion *)(sim->mem + IOASID_SIM_COMPLETIONS) + slot;
}

void *t_sim_buffer(struct t_sim *sim, u64 offset)
{
	return sim->mem + IOASID_SIM_BUFFER + offset;
}

static int set_event(int device, u32 index, int event)
{
	char buf[sizeof(struct vfio_irq_set) + sizeof(int)] = { 0 };
	struct vfio_irq_set *set = (struct vfio_irq_set *)buf;

	set->argsz = sizeof(buf);
	set->flags = VFIO_IRQ_SET_DATA_EVENTFD | VFIO_IRQ_SET_ACTION_TRIGGER;
	set->index = index;
	set->count = 1;
	memcpy(set->data, &event, sizeof(event));
	return ioctl(device, VFIO_DEVICE_SET_IRQS, set) ? -errno : 0;
}

int t_sim_start(struct t_sim *sim, int device, u64 registers, void *mem)
{
	u32 id = 0;
	int ret;

	memset(sim, 0, sizeof(*sim));
	sim->device = device;
	sim->registers = registers;
	sim->mem = mem;
	sim->done = -1;
	ret = t_sim_register(sim, IOASID_SIM_REG_ID, &id);
	if (ret || id != IOASID_SIM_ID)
		return ret ? ret : -ENODEV;
	sim->done = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (sim->done < 0)
		return -errno;
	return set_event(device, IOASID_SIM_IRQ_DONE, sim->done);
}

void t_sim_stop(struct t_sim *sim)
{
	if (sim->mem && sim->done >= 0)
		close(sim->done);
	sim->mem = NULL;
}

/* --- commands -------------------------------------------------------------------- */

/* Who uses a slot: the number of a process, or 0 */
static u32 *owner(struct t_sim *sim, u32 slot)
{
	return (u32 *)(sim->mem + IOASID_SIM_SPARE) + slot;
}

/* It is free, or was left by a process that is no more */
static bool take(struct t_sim *sim, u32 slot)
{
	u32 who = __atomic_load_n(owner(sim, slot), __ATOMIC_RELAXED), me = getpid();

	if (who && (who == me || !kill(who, 0) || errno != ESRCH))
		return false;
	return __atomic_compare_exchange_n(owner(sim, slot), &who, me, false, __ATOMIC_ACQUIRE,
					   __ATOMIC_RELAXED);
}

static void free_slot(struct t_sim *sim, int slot)
{
	__atomic_store_n(owner(sim, slot), 0, __ATOMIC_RELEASE);
}

int t_sim_submit(struct t_sim *sim, const struct ioasid_sim_command *cmd)
{
	u32 i, slot;
	int ret;

	for (i = 0; i < IOASID_SIM_SLOTS; i++) {
		slot = __atomic_fetch_add(&sim->next, 1, __ATOMIC_RELAXED) % IOASID_SIM_SLOTS;
		if (!take(sim, slot))
			continue;
		*t_sim_command(sim, slot) = *cmd;
		ret = t_sim_ring(sim, &slot, 1);
		if (!ret)
			return slot;
		free_slot(sim, slot);
		/* Rung by somebody who has died, or does not say what is used */
		if (ret != -EBUSY)
			return ret;
	}
	return -EAGAIN;
}

bool t_sim_ended(struct t_sim *sim, int slot)
{
	return __atomic_load_n(&t_sim_completion(sim, slot)->state, __ATOMIC_ACQUIRE) ==
	       IOASID_SIM_DONE;
}

int t_sim_wait(struct t_sim *sim, int slot, struct ioasid_sim_completion *c, unsigned int ms)
{
	struct pollfd p = { .fd = sim->done, .events = POLLIN };
	u64 end = t_end_of_patience(ms), count;
	int spins = 0;

	while (!t_sim_ended(sim, slot)) {
		if (spins++ < 20) {
			sched_yield();
			continue;
		}
		if (t_now_ns() > end)
			return -ETIMEDOUT;
		/* Short, since another thread may have taken the event */
		if (poll(&p, 1, 10) > 0 && read(sim->done, &count, sizeof(count)) < 0 &&
		    errno != EAGAIN)
			return -errno;
	}
	if (c)
		*c = *t_sim_completion(sim, slot);
	free_slot(sim, slot);
	return 0;
}

int t_sim_run(struct t_sim *sim, const struct ioasid_sim_command *cmd,
	      struct ioasid_sim_completion *c)
{
	int slot = t_sim_submit(sim, cmd);

	return slot < 0 ? slot : t_sim_wait(sim, slot, c, 10000);
}

int t_sim_error(const struct ioasid_sim_completion *c)
{
	switch (c->status) {
	case IOASID_SIM_OK:
		return 0;
	case IOASID_SIM_REFUSED:
		return -EFAULT;
	case IOASID_SIM_DENIED:
		return -EIO;
	case IOASID_SIM_CANCELED:
		return -ECANCELED;
	default:
		return -EINVAL;
	}
}
