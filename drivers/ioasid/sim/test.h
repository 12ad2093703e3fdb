/* SPDX-License-Identifier: GPL-2.0 */
/*
 * What the KUnit tests of ioasid_sim share. Not for anybody else.
 */
#ifndef __IOASID_SIM_TEST_H
#define __IOASID_SIM_TEST_H

#include <linux/prandom.h>
#include "unit.h"

struct kunit;
struct page;

unsigned int sim_test_some(unsigned int all);
void sim_test_rnd(struct kunit *test, struct rnd_state *rnd);
struct sim_unit *sim_test_start(struct kunit *test, const struct sim_config *cfg);
void sim_test_stop(void *unit);
struct page *sim_test_page(struct kunit *test);

#endif /* __IOASID_SIM_TEST_H */
