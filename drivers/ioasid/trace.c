// SPDX-License-Identifier: GPL-2.0
/*
 * Definitions of the tracepoints of trace.h. Nothing else may be in here.
 */
#include "ioasid_private.h"

#define CREATE_TRACE_POINTS
#include "trace.h"
