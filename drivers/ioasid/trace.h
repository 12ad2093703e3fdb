/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Tracepoints: one for each change of state that a person may want to follow.
 * They only look; none may take a lock or change anything.
 */
#undef TRACE_SYSTEM
#define TRACE_SYSTEM ioasid

#if !defined(__IOASID_TRACE_H) || defined(TRACE_HEADER_MULTI_READ)
#define __IOASID_TRACE_H

#include <linux/tracepoint.h>

TRACE_EVENT(ioasid_open,
	TP_PROTO(u32 ctx, pid_t opener),
	TP_ARGS(ctx, opener),
	TP_STRUCT__entry(
		__field(u32, ctx)
		__field(pid_t, opener)
	),
	TP_fast_assign(
		__entry->ctx = ctx;
		__entry->opener = opener;
	),
	TP_printk("ctx=%u pid=%d", __entry->ctx, __entry->opener)
);

TRACE_EVENT(ioasid_close,
	TP_PROTO(u32 ctx, u64 pinned),
	TP_ARGS(ctx, pinned),
	TP_STRUCT__entry(
		__field(u32, ctx)
		__field(u64, pinned)
	),
	TP_fast_assign(
		__entry->ctx = ctx;
		__entry->pinned = pinned;
	),
	TP_printk("ctx=%u pinned_pages=%llu", __entry->ctx, __entry->pinned)
);

DECLARE_EVENT_CLASS(ioasid_space_class,
	TP_PROTO(const struct ioasid_space *space),
	TP_ARGS(space),
	TP_STRUCT__entry(
		__field(u32, ctx)
		__field(u32, ioasid)
		__field(u32, kind)
		__string(label, space->label)
	),
	TP_fast_assign(
		__entry->ctx = space->ctx->nr;
		__entry->ioasid = space->id;
		__entry->kind = space->kind;
		__assign_str(label);
	),
	TP_printk("ctx=%u ioasid=%u kind=%u label=%s", __entry->ctx,
		  __entry->ioasid, __entry->kind, __get_str(label))
);

DEFINE_EVENT(ioasid_space_class, ioasid_space_alloc,
	TP_PROTO(const struct ioasid_space *space),
	TP_ARGS(space));

DEFINE_EVENT(ioasid_space_class, ioasid_space_free,
	TP_PROTO(const struct ioasid_space *space),
	TP_ARGS(space));

TRACE_EVENT(ioasid_map,
	TP_PROTO(const struct ioasid_space *space, u64 iova, u64 length,
		 u32 prot, u32 runs),
	TP_ARGS(space, iova, length, prot, runs),
	TP_STRUCT__entry(
		__field(u32, ctx)
		__field(u32, ioasid)
		__field(u64, iova)
		__field(u64, length)
		__field(u32, prot)
		__field(u32, runs)
	),
	TP_fast_assign(
		__entry->ctx = space->ctx->nr;
		__entry->ioasid = space->id;
		__entry->iova = iova;
		__entry->length = length;
		__entry->prot = prot;
		__entry->runs = runs;
	),
	TP_printk("ctx=%u ioasid=%u iova=%#llx length=%#llx prot=%c%c runs=%u",
		  __entry->ctx, __entry->ioasid, __entry->iova, __entry->length,
		  __entry->prot & IOASID_MAP_READ ? 'r' : '-',
		  __entry->prot & IOASID_MAP_WRITE ? 'w' : '-', __entry->runs)
);

TRACE_EVENT(ioasid_unmap,
	TP_PROTO(const struct ioasid_space *space, u64 iova, u64 length),
	TP_ARGS(space, iova, length),
	TP_STRUCT__entry(
		__field(u32, ctx)
		__field(u32, ioasid)
		__field(u64, iova)
		__field(u64, length)
	),
	TP_fast_assign(
		__entry->ctx = space->ctx->nr;
		__entry->ioasid = space->id;
		__entry->iova = iova;
		__entry->length = length;
	),
	TP_printk("ctx=%u ioasid=%u iova=%#llx length=%#llx", __entry->ctx,
		  __entry->ioasid, __entry->iova, __entry->length)
);

DECLARE_EVENT_CLASS(ioasid_attach_class,
	TP_PROTO(const struct ioasid_space *space, const struct device *dev,
		 u32 pasid),
	TP_ARGS(space, dev, pasid),
	TP_STRUCT__entry(
		__field(u32, ctx)
		__field(u32, ioasid)
		__field(u32, pasid)
		__string(dev, dev_name(dev))
	),
	TP_fast_assign(
		__entry->ctx = space->ctx->nr;
		__entry->ioasid = space->id;
		__entry->pasid = pasid;
		__assign_str(dev);
	),
	TP_printk("ctx=%u ioasid=%u dev=%s pasid=%u", __entry->ctx,
		  __entry->ioasid, __get_str(dev), __entry->pasid)
);

DEFINE_EVENT(ioasid_attach_class, ioasid_attach,
	TP_PROTO(const struct ioasid_space *space, const struct device *dev,
		 u32 pasid),
	TP_ARGS(space, dev, pasid));

DEFINE_EVENT(ioasid_attach_class, ioasid_detach,
	TP_PROTO(const struct ioasid_space *space, const struct device *dev,
		 u32 pasid),
	TP_ARGS(space, dev, pasid));

TRACE_EVENT(ioasid_error,
	TP_PROTO(u32 ctx, const char *command, int err,
		 const struct ioasid_extack *extack),
	TP_ARGS(ctx, command, err, extack),
	TP_STRUCT__entry(
		__field(u32, ctx)
		__field(int, err)
		__field(u32, code)
		__string(command, command)
		__string(msg, extack->msg)
	),
	TP_fast_assign(
		__entry->ctx = ctx;
		__entry->err = err;
		__entry->code = extack->code;
		__assign_str(command);
		__assign_str(msg);
	),
	TP_printk("ctx=%u %s: err=%d reason=%u: %s", __entry->ctx,
		  __get_str(command), __entry->err, __entry->code,
		  __get_str(msg))
);

#endif /* __IOASID_TRACE_H */

#undef TRACE_INCLUDE_PATH
#define TRACE_INCLUDE_PATH .
#undef TRACE_INCLUDE_FILE
#define TRACE_INCLUDE_FILE trace
#include <trace/define_trace.h>
