// SPDX-License-Identifier: GPL-2.0
/*
 * IOMMU groups: one struct ioasid_group for each that a known device is in, shared
 * by all contexts. Nothing here may attach anything.
 */
#include <linux/iommu.h>
#include <linux/slab.h>
#include "ioasid_private.h"

static DEFINE_MUTEX(ioasid_groups_lock);
static LIST_HEAD(ioasid_groups);

static struct ioasid_group *ioasid_group_find(struct iommu_group *group)
{
	struct ioasid_group *g;

	lockdep_assert_held(&ioasid_groups_lock);
	list_for_each_entry(g, &ioasid_groups, link)
		if (g->group == group)
			return g;
	return NULL;
}

/**
 * ioasid_group_get() - the group's table of attachments
 * @group: the group; its reference is taken over
 *
 * Return: the group, to be given back by ioasid_group_put(), or NULL.
 */
struct ioasid_group *ioasid_group_get(struct iommu_group *group)
{
	struct ioasid_group *g;

	mutex_lock(&ioasid_groups_lock);
	g = ioasid_group_find(group);
	if (g) {
		g->users++;
		iommu_group_put(group);
		goto unlock;
	}
	g = kzalloc(sizeof(*g), GFP_KERNEL_ACCOUNT);
	if (!g) {
		iommu_group_put(group);
		goto unlock;
	}
	g->users = 1;
	g->group = group;
	mutex_init(&g->lock);
	INIT_LIST_HEAD(&g->devices);
	xa_init_flags(&g->table, XA_FLAGS_ACCOUNT);
	list_add(&g->link, &ioasid_groups);
unlock:
	mutex_unlock(&ioasid_groups_lock);
	return g;
}

void ioasid_group_put(struct ioasid_group *g)
{
	mutex_lock(&ioasid_groups_lock);
	if (!--g->users) {
		WARN_ON(!xa_empty(&g->table));
		xa_destroy(&g->table);
		list_del(&g->link);
		iommu_group_put(g->group);
		kfree(g);
	}
	mutex_unlock(&ioasid_groups_lock);
}
