/* SPDX-License-Identifier: GPL-2.0 */
/* Tracepoints, for looking at the module while it works: /sys/kernel/tracing/events/monmod. They cost nothing while they are off. */
#undef TRACE_SYSTEM
#define TRACE_SYSTEM monmod

#if !defined(MONMOD_TRACE_H) || defined(TRACE_HEADER_MULTI_READ)
#define MONMOD_TRACE_H

#include <linux/tracepoint.h>

/* A call that is handed to the monitor. */
TRACE_EVENT(monmod_entry,
	TP_PROTO(u64 nr, u64 ip),
	TP_ARGS(nr, ip),
	TP_STRUCT__entry(
		__field(u64, nr)
		__field(u64, ip)
	),
	TP_fast_assign(
		__entry->nr = nr;
		__entry->ip = ip;
	),
	TP_printk("nr=%lld ip=%#llx", (s64)__entry->nr, __entry->ip)
);

/* A thread that is armed, by itself or because its parent is, or that is no more. */
TRACE_EVENT(monmod_armed,
	TP_PROTO(pid_t pid, u32 guard, bool armed),
	TP_ARGS(pid, guard, armed),
	TP_STRUCT__entry(
		__field(pid_t, pid)
		__field(u32, guard)
		__field(bool, armed)
	),
	TP_fast_assign(
		__entry->pid = pid;
		__entry->guard = guard;
		__entry->armed = armed;
	),
	TP_printk("pid=%d guard=%u armed=%d", __entry->pid, __entry->guard, __entry->armed)
);

/* A process that is killed: enum mm_kmod_offence. */
TRACE_EVENT(monmod_violation,
	TP_PROTO(pid_t pid, u32 offence, u64 nr, u64 ip),
	TP_ARGS(pid, offence, nr, ip),
	TP_STRUCT__entry(
		__field(pid_t, pid)
		__field(u32, offence)
		__field(u64, nr)
		__field(u64, ip)
	),
	TP_fast_assign(
		__entry->pid = pid;
		__entry->offence = offence;
		__entry->nr = nr;
		__entry->ip = ip;
	),
	TP_printk("pid=%d offence=%u nr=%lld ip=%#llx", __entry->pid, __entry->offence, (s64)__entry->nr, __entry->ip)
);

#endif

#undef TRACE_INCLUDE_PATH
#define TRACE_INCLUDE_PATH .
#undef TRACE_INCLUDE_FILE
#define TRACE_INCLUDE_FILE trace
#include <trace/define_trace.h>
