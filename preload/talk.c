/* SPDX-License-Identifier: Apache-2.0 */
/* Messages to the supervisor, and the ways in which a variant ends. */
#include "monitor.h"
#include <linux/errno.h>
#include <linux/time_types.h>

struct header {
	u64 name;
	u32 name_bytes, pad;
	u64 iov, iov_count;
	u64 control, control_bytes;
	u32 flags, pad2;
};

void mm_send(const struct mm_proc *p, u32 type, const void *a, u32 an, const void *b, u32 bn, const void *c, u32 cn)
{
	struct mm_msg head = {MM_MSG_MAGIC, MM_ABI_VERSION, (u16)type, an + bn + cn, 0};
	struct {
		const void *at;
		u64 bytes;
	} iov[4] = {{&head, sizeof(head)}, {a, an}, {b, bn}, {c, cn}};
	struct header h = {.iov = (u64)iov, .iov_count = 4};

	while (mm_sys3(__NR_sendmsg, mm_own(p, MM_FD_MSG), &h, 0x4000 /* MSG_NOSIGNAL */) == -EINTR)
		;
}

void mm_event(const struct mm_proc *p, const char *text, const char *more)
{
	mm_send(p, MM_MSG_EVENT, text, strlen(text), more, more ? strlen(more) : 0, NULL, 0);
}

/* Registers and the chain of frame pointers, as far as it makes sense. */
void mm_case(struct mm_thread *t, struct mm_msg_case *m, u32 reason, u32 records)
{
	u64 pair[2], at = t->regs.bp, last = t->regs.sp;

	memset(m, 0, sizeof(*m));
	m->seq = t->seq;
	m->records = records;
	m->reason = reason;
	memcpy(m->regs, &t->regs, sizeof(m->regs));
	m->frame[m->frames++] = t->regs.ip;
	/* the wrapper that made the call has no frame of its own: its return address is on top of the stack */
	if (mm_in(t, pair, t->regs.sp, 8) == 8)
		m->frame[m->frames++] = pair[0];
	while (m->frames < MM_FRAMES && at >= last && at % 8 == 0 && mm_in(t, pair, at, 16) == 16 && pair[1]) {
		m->frame[m->frames++] = pair[1];
		last = at + 16;
		at = pair[0];
	}
}

void mm_stop(struct mm_thread *t, int by_signal, int status)
{
	struct mm_msg_stop stop = {.by_signal = by_signal, .status = status, .counters = *t->proc->counters};

	mm_send(t->proc, MM_MSG_STOP, &stop, sizeof(stop), NULL, 0, NULL, 0);
}

static void trace(struct mm_thread *t)
{
	struct mm_msg_case m;
	u32 n = MM_MIN(t->history_next, MM_HISTORY);
	u8 *out = t->proc->stage;
	u32 bytes = 0;

	mm_case(t, &m, MM_WHY_NONE, n);
	for (u32 i = t->history_next - n; i != t->history_next; i++) {
		const struct mm_past *past = &t->history[i % MM_HISTORY];

		memcpy(out + bytes, past, past->rec.size);
		bytes += past->rec.size;
	}
	mm_send(t->proc, MM_MSG_TRACE, &m, sizeof(m), out, bytes, NULL, 0);
}

void mm_end(struct mm_thread *t)
{
	if (!t->leaving++) {
		trace(t);
		mm_stop(t, 0, (int)t->proc->control->exit_code);
	}
	for (;;)
		mm_sys1(__NR_exit_group, t->proc->control->exit_code);
}

#define WATCHDOG_MS 200

/* The first process of a PID namespace is not killed by its tether (the kernel ignores it): it looks for itself. */
void mm_check_tether(struct mm_thread *t)
{
	struct {
		s32 fd;
		u16 events, revents;
	} poll = {mm_own(t->proc, MM_FD_TETHER), 0, 0};

	if (mm_sys3(__NR_poll, &poll, 1, 0) != 1)
		return;
	/* the watchdog says why in the log, which some engines read only while this process is there, and then kills it */
	mm_sys3(__NR_poll, 0, 0, WATCHDOG_MS);
	for (;;)
		mm_sys1(__NR_exit_group, MM_EXIT_DIVERGED);
}

/* The monitor cannot go on: the group ends. */
void mm_give_up(struct mm_thread *t, s64 error, const char *text)
{
	struct mm_msg_fatal fatal = {
	    .exit_code = MM_EXIT_DIVERGED, .nr = t->call.row ? t->call.nr : 0xffffffffu, .error = (s32)error};

	mm_send(t->proc, MM_MSG_FATAL, &fatal, sizeof(fatal), text, strlen(text), NULL, 0);
	if (t->leaving++)
		mm_sys1(__NR_exit_group, MM_EXIT_DIVERGED);
	trace(t);
	/* the supervisor looks at this process for its report, then ends the group; it is not waited for in vain */
	for (int i = 0; i < 40; i++) {
		struct __kernel_timespec nap = {0, 25000000};

		mm_check_end(t);
		mm_sys2(__NR_nanosleep, &nap, 0);
	}
	for (;;)
		mm_sys1(__NR_exit_group, MM_EXIT_DIVERGED);
}
