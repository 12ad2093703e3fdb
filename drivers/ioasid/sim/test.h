/* SPDX-License-Identifier: GPL-2.0 */
/*
 * What the KUnit tests of ioasid_sim share. Not for anybody else.
 */
#ifndef __IOASID_SIM_TEST_H
#define __IOASID_SIM_TEST_H

#include <linux/prandom.h>
#include "unit.h"

struct kunit;

void sim_test_rnd(struct kunit *test, struct rnd_state *rnd);

#endif /* __IOASID_SIM_TEST_H */
