/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One call from enter to leave. Read this first.
 *
 *              leader                              follower
 *   enter      a waiting signal goes first         the leader's record says whether one does
 *   describe   arguments copied, form made         the same
 *   publish    CALL record                         compare: forms equal, or a divergence
 *              waits until all have compared       says "compared"
 *   execute    for all, or for itself              for itself, where everyone does
 *   replicate  RESULT record with the output       takes it, or compares its own result with it
 *   effects    descriptor tables                   the same, and placeholders
 *   leave      signals that came meanwhile         the same ones
 */
#include "monitor.h"
#include "table.gen.h"
#include <linux/errno.h>
#include <asm/socket.h>

static void prepare(struct mm_thread *t, int kind)
{
	struct mm_call *c = &t->call;

	c->out.rec.kind = kind;
	c->out.rec.flags = c->exempt ? MM_RF_EXEMPT : 0;
	c->out.rec.nr = c->nr;
	c->out.rec.seq = t->seq;
	c->out.rec.ticket = 0;
	c->out.rec.lane = 0;
	c->out.rec.size = sizeof(c->out.rec) + c->out.rec.form;
	c->out.rec.klass = c->row ? c->row->klass : 0;
	c->out.rec.effect = c->row ? c->row->effect : 0;
	mm_remember(t, &c->out.rec, c->out.form);
}

/* Calls that never give a result: the end of the program, in every variant alike. */
static void before(struct mm_thread *t)
{
	struct mm_call *c = &t->call;

	if (c->row->klass == MM_C_ENDS)
		mm_give_up(t, 0, "the program made a call that this version cannot run");
	if (c->nr == MM_NR_exit || c->nr == MM_NR_exit_group) {
		mm_stop(t, 0, (int)(c->a[0] & 0xff));
		mm_sys1(__NR_exit_group, c->a[0]);
	}
	if (mm_kills_itself(t))
		mm_die_by(t, 9);
}

static void __attribute__((noreturn)) unknown_call(struct mm_thread *t)
{
	static const char begin[] = "the program made call number ", end[] = " of x86_64, which monmod does not know";
	char text[sizeof(begin) + 8 + sizeof(end)];
	u32 n = sizeof(begin) - 1, nr = (u32)t->regs.ax;

	memcpy(text, begin, n);
	for (u32 unit = 1000, seen = 0; unit; unit /= 10)
		if (nr / unit % 10 || seen || unit == 1) {
			text[n++] = '0' + nr / unit % 10;
			seen = 1;
		}
	memcpy(text + n, end, sizeof(end));
	mm_give_up(t, 0, text);
}

/*
 * Calls that wait for events, and that a signal always ends with EINTR. Programs look at what a handler has set and then wait; a
 * signal in between makes them sleep. Natively that moment is short. Here it is as long as the comparison, so a signal that
 * came before such a call counts as one that came during it.
 */
static int sleeps_until_signal(const struct mm_thread *t)
{
	const struct mm_call *c = &t->call;
	u64 time[2], at;

	switch (c->nr) {
	case MM_NR_pause:
	case MM_NR_rt_sigsuspend:
		return 1;
	case MM_NR_poll:
		return (s32)c->a[2] != 0;
	case MM_NR_epoll_pwait:
		return (s32)c->a[3] != 0;
	case MM_NR_ppoll:
		at = c->a[2];
		break;
	case MM_NR_select:
	case MM_NR_pselect6:
		at = c->a[4];
		break;
	default:
		return 0;
	}
	return !at || (mm_in(t, time, at, sizeof(time)) == sizeof(time) && (time[0] | time[1]));
}

static int timed(u64 fd, int name)
{
	u64 time[2] = {0};
	u32 bytes = sizeof(time);

	return mm_sys5(__NR_getsockopt, fd, SOL_SOCKET, name, &time, &bytes) == 0 && (time[0] | time[1]);
}

/* Does the call wait for a socket that has a time-out of its own, in the direction that it takes? */
static int has_timeout(const struct mm_call *c)
{
	switch (c->nr) {
	case MM_NR_splice:
		return timed(c->x[0], SO_RCVTIMEO) || timed(c->x[2], SO_SNDTIMEO);
	case MM_NR_connect:
	case MM_NR_sendfile:
	case MM_NR_sendmmsg:
	case MM_NR_sendmsg:
	case MM_NR_sendto:
	case MM_NR_write:
	case MM_NR_writev:
		return timed(c->x[0], SO_SNDTIMEO);
	}
	return c->row->args[0].kind == MM_A_FD && timed(c->x[0], SO_RCVTIMEO);
}

/* Is a call that a signal has ended made again where the handler says SA_RESTART? Not one with a time-out (man 7 signal). */
static int restarts(const struct mm_call *c)
{
	if (!(c->row->flags & MM_F_RESTARTS))
		return 0;
	return c->nr == MM_NR_futex ? !c->a[3] : !has_timeout(c);
}

/* The result; the registers after rt_sigreturn are what the frame has said. */
static void give(struct mm_thread *t, s64 ret)
{
	if (t->call.nr != MM_NR_rt_sigreturn)
		t->regs.ax = ret;
}

static void lead(struct mm_thread *t)
{
	struct mm_call *c = &t->call;
	int flags = 0;
	s64 ret;

	if (mm_signals_waiting(t) && !sleeps_until_signal(t)) {
		mm_deliver(t, MM_AT_ENTER);
		return;
	}
	t->seq++;
	mm_describe(t);
	prepare(t, MM_REC_CALL);
	mm_publish_call(t);
	if (c->exempt)
		t->proc->counters->exempt++;
	else if (c->nr != MM_NR_rt_sigreturn) /* which does nothing but in the variant itself: the next call waits for both */
		mm_await_compared(t, t->seq);
	before(t);
	if (c->exempt && c->row->effect == MM_WORLD && t->proc->map_seq) {
		/* a file that followers have yet to open or map must not change before they have */
		mm_await_done(t, t->proc->map_seq);
		t->proc->map_seq = 0;
	}
	if (c->row->flags & MM_F_BLOCKS)
		mm_flush(t);
	ret = mm_execute(t);
	if (ret == MM_NOT_MADE && sleeps_until_signal(t))
		ret = -EINTR;
	if (ret == MM_NOT_MADE) {
		mm_publish_result(t, -EINTR, MM_RF_SIGNALS | MM_RF_AGAIN);
		mm_deliver(t, MM_AT_ENTER);
		return;
	}
	mm_collect(t, ret);
	mm_digest_own(t, ret);
	if (mm_signals_waiting(t)) {
		flags = MM_RF_SIGNALS;
		if (ret == -EINTR && restarts(c))
			flags |= MM_RF_RESTART;
		if (ret == -EINTR && mm_call_mask_lets_in(t))
			flags |= MM_RF_MASK;
	}
	mm_name_send(t);
	mm_publish_result(t, ret, flags);
	if (c->nr == MM_NR_mmap && c->extra == MM_MAP_SHARED)
		mm_await_done(t, t->seq); /* the program may store there from its next instruction on */
	if (c->nr == MM_NR_mmap || c->nr == MM_NR_openat)
		t->proc->map_seq = t->seq;
	mm_effect(t, ret);
	give(t, ret);
	if (flags & MM_RF_MASK)
		mm_call_mask_begins(t);
	if (flags)
		mm_deliver(t, flags & MM_RF_RESTART ? MM_INTERRUPTED : MM_RETURNED);
}

static int agrees(const struct mm_thread *t, s64 own, s64 leaders)
{
	const struct mm_call *c = &t->call;

	if (c->file && t->proc->ofds[c->file - 1].data >= MM_OWN_DIFFERS)
		return mm_failed(own) == mm_failed(leaders);
	switch (c->row->result) {
	case MM_EXACT:
		return own == leaders;
	case MM_ERRNO:
		return mm_failed(own) || mm_failed(leaders) ? own == leaders : 1;
	}
	return 1;
}

/* A file that is longer or shorter here has other data: the result says so before a digest does. */
static int is_data(const struct mm_thread *t)
{
	const struct mm_call *c = &t->call;

	if (!c->file || t->proc->ofds[c->file - 1].data != MM_OWN_COMPARED)
		return 0;
	switch (c->nr) {
	case MM_NR_read:
	case MM_NR_pread64:
	case MM_NR_readv:
	case MM_NR_preadv:
	case MM_NR_preadv2:
	case MM_NR_lseek:
		return 1;
	}
	return 0;
}

static void follow(struct mm_thread *t)
{
	struct mm_call *c = &t->call;
	int flags = 0;
	s64 ret, own;

	t->seq++;
	mm_describe(t);
	prepare(t, MM_REC_CALL);
	if (!mm_compare(t))
		return;
	before(t);
	if (c->exempt)
		t->proc->counters->exempt++;
	if (c->who == MM_BY_ALL) {
		u8 digest[16], leaders[16];

		own = mm_execute(t);
		mm_digest_own(t, own);
		memcpy(digest, c->digest, sizeof(digest));
		ret = mm_take_result(t, &flags);
		if (!agrees(t, own, ret)) {
			mm_item_value(c, 6, own);
			c->peer.rec.form = MM_MIN(c->peer.rec.form, MM_FORM_MAX - 16);
			*(struct mm_item *)(c->peer.form + c->peer.rec.form) =
			    (struct mm_item){.arg = 6, .kind = MM_ITEM_VALUE, .bytes = 8, .total = 8};
			memcpy(c->peer.form + c->peer.rec.form + 8, &ret, 8);
			c->peer.rec.form += 16;
			mm_diverge(t, is_data(t) ? MM_WHY_DATA : MM_WHY_RESULT);
		}
		memcpy(leaders, c->digest, sizeof(leaders));
		memcpy(c->digest, digest, sizeof(digest));
		mm_compare_own(t, leaders);
		ret = own;
	} else {
		ret = mm_take_result(t, &flags);
	}
	if (!(flags & MM_RF_AGAIN)) {
		mm_name_take(t, ret);
		mm_effect(t, ret);
	}
	mm_mark_done(t, t->seq);
	give(t, ret);
	if (flags & MM_RF_SIGNALS) {
		struct mm_rec rec;
		const struct mm_rec *at = mm_next(t, &rec);

		if (flags & MM_RF_AGAIN) {
			mm_take_signals(t, at, MM_AT_ENTER);
			return;
		}
		if (flags & MM_RF_MASK)
			mm_call_mask_begins(t);
		mm_take_signals(t, at, flags & MM_RF_RESTART ? MM_INTERRUPTED : MM_RETURNED);
	}
}

void mm_monitor(struct mm_thread *t)
{
	struct mm_call *c = &t->call;

	mm_check_end(t);
	mm_canonical(t);
	t->proc->counters->calls++;
	if (!c->row) {
		if ((u32)t->regs.ax < MM_NATIVE_COUNT)
			unknown_call(t);
		t->regs.ax = -ENOSYS; /* newer than the table: programs fall back */
		return;
	}
	t->proc->counters->by_class[c->row->klass]++;
	if (mm_memory_local(t)) {
		t->proc->counters->local++;
		t->regs.ax = mm_local(t);
		if (t->overdue)
			mm_overdue(t);
		return;
	}
	if (mm_is_leader(t->proc))
		lead(t);
	else
		follow(t);
	t->proc->counters->compared += !c->exempt;
	mm_unstage(t);
}

/*
 * SIGSEGV and its like from the program itself: compared as calls are, then handled by the program or its end. 0: the leader took
 * another signal first, whose handler runs now; the instruction faults again behind it.
 */
int mm_fault(struct mm_thread *t, int signo)
{
	struct mm_call *c = &t->call;
	u64 sp = t->regs.sp; /* a handler's frame lies elsewhere */

	c->row = NULL;
	c->nr = signo;
	c->exempt = 0;
	c->out.rec.form = 0;
	mm_item_value(c, 0, t->fault_code);
	if (!(t->proc->flags & MM_START_PROGRAM_DIFFERS))
		mm_item_value(c, 6, mm_code_place(t->proc, t->regs.ip));
	for (;;) {
		t->seq++;
		prepare(t, MM_REC_FAULT);
		if (mm_is_leader(t->proc)) {
			mm_publish_call(t);
			mm_await_compared(t, t->seq);
			return 1;
		}
		if (mm_compare(t)) {
			mm_mark_done(t, t->seq);
			return 1;
		}
		if (t->regs.sp != sp)
			return 0;
	}
}
