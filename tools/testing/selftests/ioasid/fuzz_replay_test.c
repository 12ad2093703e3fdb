// SPDX-License-Identifier: GPL-2.0
/*
 * Runs the programs that the fuzzer has found (fuzz/corpus) once more: those
 * that broke something, so that it stays mended, and those that reach places
 * which no other program reaches, so that sanitizers see them on every run.
 */
#include <stdlib.h>

#include "corpus.h"
#include "fuzz/ops.h"
#include "harness.h"

FIXTURE(replay) {
	struct ops ops;
	struct t_vfio dev[OPS_DEVS];
	long pins;
};

FIXTURE_VARIANT(replay) {
	int devices;
};

FIXTURE_VARIANT_ADD(replay, bare) {
	.devices = 0,
};

FIXTURE_VARIANT_ADD(replay, devices) {
	.devices = OPS_DEVS,
};

FIXTURE_SETUP(replay)
{
	int i;

	self->pins = t_pinned_pages();
	ASSERT_EQ(0, ops_open(&self->ops));
	for (i = 0; i < variant->devices; i++) {
		int ret = ops_device(&self->dev[i], i);

		NEED(i || ret != -ENOENT, "needs a device");
		if (ret == -ENOENT)
			break;
		ASSERT_EQ(0, ret) TH_LOG("%s failed", t_vfio_step);
		self->ops.dev[i] = &self->dev[i];
	}
}

FIXTURE_TEARDOWN(replay)
{
	int i;

	for (i = 0; i < OPS_DEVS; i++)
		if (self->ops.dev[i])
			t_vfio_close(&self->dev[i]);
	ops_close(&self->ops);
	if (self->pins >= 0)
		EXPECT_EQ(self->pins, t_pinned_pages_settled(self->pins));
}

TEST_F_TIMEOUT(replay, corpus, 600)
{
	u64 commands = 0;
	size_t i;

	ASSERT_NE(0, sizeof(corpus) / sizeof(*corpus));
	for (i = 0; i < sizeof(corpus) / sizeof(*corpus); i++) {
		EXPECT_EQ(0, ops_run(&self->ops, corpus[i].data, corpus[i].size))
			TH_LOG("%s: %s", corpus[i].name, self->ops.wrong);
		ASSERT_EQ(0, ops_reset(&self->ops)) TH_LOG("%s", corpus[i].name);
		if (self->pins >= 0)
			ASSERT_EQ(self->pins, t_pinned_pages_settled(self->pins))
				TH_LOG("%s: memory stays pinned", corpus[i].name);
	}
	commands = self->ops.commands;
	TH_LOG("%zu programs, %llu commands, %llu of them succeeded", i,
	       (unsigned long long)commands, (unsigned long long)self->ops.succeeded);
	/* A corpus whose meaning was lost runs and reaches nothing */
	EXPECT_LT(commands / 20, self->ops.succeeded);
}

/* Whatever comes: a fixed handful of programs that nobody has chosen */
TEST_F_TIMEOUT(replay, random, 600)
{
	unsigned char program[256];
	int i;
	u32 j;

	srandom(1);
	for (i = 0; i < 100; i++) {
		for (j = 0; j < sizeof(program); j++)
			program[j] = random();
		ASSERT_EQ(0, ops_run(&self->ops, program, sizeof(program)))
			TH_LOG("program %d: %s", i, self->ops.wrong);
		ASSERT_EQ(0, ops_reset(&self->ops)) TH_LOG("program %d", i);
	}
	EXPECT_LT(self->ops.commands / 20, self->ops.succeeded);
	TH_LOG("%llu commands, %llu succeeded", (unsigned long long)self->ops.commands,
	       (unsigned long long)self->ops.succeeded);
}

TEST_HARNESS_MAIN
