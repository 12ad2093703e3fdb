#!/bin/sh
# SPDX-License-Identifier: GPL-2.0
#
# The tests of who must not reach whom, on two endpoints with PASIDs, ATS and page
# requests, behind the real IOMMU driver. It must not run them a second time on
# ioasid_sim.

if [ -z "$IOASID_TESTDEV" ]; then
	echo "TAP version 13"
	echo "1..1"
	echo "ok 1 isolation_test # SKIP needs ioasid-testdev (lab/vm run --testdev 2)"
	exit 0
fi
exec isolation_test
