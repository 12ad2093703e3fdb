// SPDX-License-Identifier: GPL-2.0
/*
 * Takes turns at detaching behind one IOMMU. The VT-d driver has one completion
 * for each IOMMU, on which a detach waits until the page requests of its device
 * have been passed on, and which it resets first: a second detach can take the
 * wake-up of the first, which then waits for the next page request, perhaps for
 * ever, with the mutex of its group (up to Linux 7.3 at least). Nobody may have
 * to wait here for longer than a moment, since a device that does not stop asking
 * makes its own detach long.
 */
#include <linux/hash.h>
#include <linux/iommu.h>
#include <linux/semaphore.h>
#include "drain.h"
#include "iommu_quirk.h"

#define IOASID_DRAIN_BITS	4

/* Far longer than a detach takes, unless the device does not stop asking */
#define IOASID_DRAIN_WAIT	(HZ / 10)

/* By IOMMU. A semaphore, unlike a mutex, gives the next turn to whoever is next */
static struct semaphore ioasid_drains[1 << IOASID_DRAIN_BITS];

/**
 * ioasid_drain_setup() - prepare for ioasid_drain_begin()
 *
 * Context: when the module is loaded.
 */
void ioasid_drain_setup(void)
{
	u32 i;

	for (i = 0; i < ARRAY_SIZE(ioasid_drains); i++)
		sema_init(&ioasid_drains[i], 1);
}

/**
 * ioasid_drain_begin() - wait for the turn of a device to be detached
 * @dev: the device; to be detached, or moved to another domain
 *
 * Context: can sleep, for IOASID_DRAIN_WAIT at most.
 *
 * Return: the turn, for ioasid_drain_end(); or NULL if the IOMMU driver does not
 * need it, or another detach takes too long.
 */
struct semaphore *ioasid_drain_begin(struct device *dev)
{
	const struct ioasid_iommu_quirk *quirk = ioasid_iommu_quirk_of(dev);
	struct semaphore *turn;

	if (!quirk || !quirk->one_drain)
		return NULL;
	turn = &ioasid_drains[hash_ptr(dev->iommu->iommu_dev,
				       IOASID_DRAIN_BITS)];
	return down_timeout(turn, IOASID_DRAIN_WAIT) ? NULL : turn;
}

/**
 * ioasid_drain_end() - end a turn
 * @turn: of ioasid_drain_begin(); can be NULL
 *
 * Context: any.
 */
void ioasid_drain_end(struct semaphore *turn)
{
	if (turn)
		up(turn);
}
