/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The endpoint of ioasid_sim: found in sysfs, and driven through its two
 * regions. Unlike hardware it says for certain how a command ended, and many
 * commands run at the same time. Processes that share an open endpoint share
 * its slots, too: who has which stands in its memory.
 */
#ifndef T_SIM_H
#define T_SIM_H

#include <linux/ioasid_sim.h>
#include <stdbool.h>

#include "ioasid.h"
#include "pci.h"

/*
 * The name ("ioasid-sim.0") of the @nth endpoint that stands in for that kind,
 * or NULL: those that are alone in their group by turns, siblings as they are.
 */
const char *t_sim_find(enum t_pci_kind kind, int nth);
bool t_sim_is_name(const char *name);
bool t_sim_present(const char *name);
/*
 * Endpoints have no message interrupts that could be isolated. May they be had
 * all the same, as far as this process can say so? Whoever opens one says yes.
 */
void t_sim_allow(bool allow);
/* Take it from its driver, which waits for its user, and give it back */
int t_sim_unbind(const char *name);
int t_sim_bind(const char *name);

struct t_sim {
	int device;		/* fd */
	u64 registers;		/* where region 0 is in it */
	char *mem;		/* region 1 */
	int done;		/* eventfd, signalled for each command that ends */
	u32 next;
};

/* -ENODEV if the registers are not those of an endpoint */
int t_sim_start(struct t_sim *sim, int device, u64 registers, void *mem);
void t_sim_stop(struct t_sim *sim);

int t_sim_register(struct t_sim *sim, u32 reg, u32 *value);
u64 t_sim_stat(struct t_sim *sim, u32 nr);
/* Rings for slots whose commands are in place; as the kernel answers */
int t_sim_ring(struct t_sim *sim, const u32 *slots, u32 nr);
struct ioasid_sim_command *t_sim_command(struct t_sim *sim, u32 slot);
struct ioasid_sim_completion *t_sim_completion(struct t_sim *sim, u32 slot);
void *t_sim_buffer(struct t_sim *sim, u64 offset);

/* The slot of a command that has begun, or -EAGAIN: all are busy */
int t_sim_submit(struct t_sim *sim, const struct ioasid_sim_command *cmd);
bool t_sim_ended(struct t_sim *sim, int slot);
/* Its completion, and the slot is free again; -ETIMEDOUT after @ms */
int t_sim_wait(struct t_sim *sim, int slot, struct ioasid_sim_completion *c, unsigned int ms);
/* Both: what became of it, -ETIMEDOUT after ten seconds */
int t_sim_run(struct t_sim *sim, const struct ioasid_sim_command *cmd,
	      struct ioasid_sim_completion *c);
/* -EFAULT for a refusal, -EIO for a bad answer, -ECANCELED, -EINVAL */
int t_sim_error(const struct ioasid_sim_completion *c);

#endif /* T_SIM_H */
