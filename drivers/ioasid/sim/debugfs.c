// SPDX-License-Identifier: GPL-2.0
/*
 * /sys/kernel/debug/ioasid_sim: the last faults of each unit, the counters of its
 * endpoints, and the number of domains. Reading must never change anything.
 */
#include <linux/debugfs.h>
#include <linux/seq_file.h>
#include "unit.h"

static struct dentry *sim_debugfs_root;

static int faults_show(struct seq_file *s, void *v)
{
	struct sim_unit *unit = s->private;
	struct ioasid_sim_fault fault;
	u64 seq, last;
	u32 dev;

	spin_lock_irq(&unit->log_lock);
	last = unit->log_seq;
	spin_unlock_irq(&unit->log_lock);
	seq_puts(s, "seq endpoint pasid iova access reason\n");
	for (seq = last < SIM_LOG_SIZE ? 1 : last - SIM_LOG_SIZE + 1; seq <= last; seq++) {
		spin_lock_irq(&unit->log_lock);
		fault = unit->log[seq % SIM_LOG_SIZE];
		dev = unit->log_dev[seq % SIM_LOG_SIZE];
		spin_unlock_irq(&unit->log_lock);
		seq_printf(s, "%llu %u %u %#llx %#x %u\n", fault.seq, dev, fault.pasid,
			   fault.iova, fault.access, fault.reason);
	}
	return 0;
}
DEFINE_SHOW_ATTRIBUTE(faults);

/* Takes sim_mutex, so that no endpoint is freed meanwhile */
static int endpoints_show(struct seq_file *s, void *v)
{
	struct sim_unit *unit = s->private;
	struct ioasid_sim_stats st;
	unsigned int i;

	seq_puts(s, "endpoint dmas ats_hits iotlb_hits walks flushes faults requests answers late_answers overflows outstanding\n");
	mutex_lock(&sim_mutex);
	for (i = 0; i < unit->cfg.endpoints; i++) {
		if (!unit->endpoints[i])
			continue;
		ioasid_sim_get_stats(unit->endpoints[i], &st);
		seq_printf(s, "%u %llu %llu %llu %llu %llu %llu %llu %llu %llu %llu %llu\n",
			   i, st.dmas, st.ats_hits, st.iotlb_hits, st.walks, st.flushes,
			   st.faults, st.requests, st.answers, st.late_answers,
			   st.overflows, st.outstanding);
	}
	mutex_unlock(&sim_mutex);
	return 0;
}
DEFINE_SHOW_ATTRIBUTE(endpoints);

static int domains_show(struct seq_file *s, void *v)
{
	seq_printf(s, "%u\n", sim_domain_count());
	return 0;
}
DEFINE_SHOW_ATTRIBUTE(domains);

/**
 * sim_debugfs_add() - add the directory of a unit
 * @unit: the unit
 *
 * Context: can sleep.
 */
void sim_debugfs_add(struct sim_unit *unit)
{
	char name[32];

	snprintf(name, sizeof(name), "%s%u", unit->cfg.name, unit->id);
	unit->debugfs = debugfs_create_dir(name, sim_debugfs_root);
	debugfs_create_file("faults", 0400, unit->debugfs, unit, &faults_fops);
	debugfs_create_file("endpoints", 0400, unit->debugfs, unit, &endpoints_fops);
}

/**
 * sim_debugfs_remove() - undo sim_debugfs_add()
 * @unit: the unit
 *
 * Context: can sleep; waits for readers.
 */
void sim_debugfs_remove(struct sim_unit *unit)
{
	debugfs_remove(unit->debugfs);
}

/**
 * sim_debugfs_init() - add the directory of the module
 *
 * Context: can sleep.
 */
void sim_debugfs_init(void)
{
	sim_debugfs_root = debugfs_create_dir("ioasid_sim", NULL);
	debugfs_create_file("domains", 0400, sim_debugfs_root, NULL, &domains_fops);
}

/**
 * sim_debugfs_exit() - undo sim_debugfs_init()
 *
 * Context: can sleep.
 */
void sim_debugfs_exit(void)
{
	debugfs_remove(sim_debugfs_root);
}
