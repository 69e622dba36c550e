/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Signals. Every handler that the kernel knows is ours (mm_handler → mm_on_signal). What arrives from outside waits until the
 * leader makes a call, is written into the stream there, and reaches the program in every variant at that same call. Faults
 * are compared as calls are. The program's own handlers are entered by leaving: their frame is built on the program's stack,
 * and the kernel's frame for our handler is turned into a return to them.
 */
#include "signals.h"
#include "table.gen.h"
#include <linux/errno.h>
#include <linux/time_types.h>

u64 mm_clean_mask(u64 mask)
{
	return mask & ~(OURS | BIT(SIGKILL_) | BIT(19));
}

int mm_fatal_by_default(int signo)
{
	return !((IGNORED_BY_DEFAULT | STOPS) & BIT(signo));
}

/*
 * What the kernel's mask is to be when the program goes on: its own in the leader; nothing in a follower, which passes on. Of a
 * real-time signal every instance counts: while one waits here the others wait in the kernel.
 */
u64 mm_real_mask(const struct mm_thread *t)
{
	return mm_is_leader(t->proc) ? mm_clean_mask(t->mask) | (t->pending & REAL_TIME) : 0;
}

/* Lets in, now, what the kernel holds and `mask` does not block. Two of a kind must not come between the look and the change. */
void mm_let_in(struct mm_thread *t, u64 mask)
{
	u64 real = REAL_TIME;

	mm_sys4(__NR_rt_sigprocmask, 0, &real, 0, 8);
	real = mm_clean_mask(mask) | (t->pending & REAL_TIME);
	mm_sys4(__NR_rt_sigprocmask, 2, &real, 0, 8);
}

/*
 * The program's mask changes. What the new one lets through arrives before the call returns, as natively. What came before
 * the change and is blocked by it goes with it: it counts as one that came before the call.
 */
void mm_set_mask(struct mm_thread *t, u64 mask)
{
	u64 before = t->mask;

	if (mm_is_leader(t->proc))
		mm_let_in(t, mask);
	t->mask = mask;
	__atomic_fetch_or(&t->forced, t->pending & mask & ~before, __ATOMIC_ACQ_REL);
	mm_update_kick(t);
}

static long install(int signo, u64 handler, u64 flags, u64 mask)
{
	struct mm_sigaction act = {handler, flags | SA_RESTORER_, (u64)mm_return, mask};

	return mm_sys4(__NR_rt_sigaction, signo, &act, 0, 8);
}

long mm_install(int signo, u64 handler, u64 flags)
{
	return install(signo, handler, flags, 0);
}

/*
 * The kernel builds the frames of all signals that it may deliver before the first handler runs, so a hundred that were queued
 * would need a hundred frames, and our stack is small. Where a signal is only noted, nothing but a fault may come on top of
 * it. The others' handlers wait for what interrupts them: they make the program's calls.
 */
long mm_install_ours(const struct mm_proc *p, int signo, u64 flags)
{
	u64 handler = p->flags & MM_START_KMOD ? (u64)mm_kmod_handler : (u64)mm_handler;
	u64 mask = BIT(signo) & SYNCHRONOUS ? 0 : ~SYNCHRONOUS;

	return install(signo, handler, SA_SIGINFO_ | SA_ONSTACK_ | SA_NODEFER_ | flags, mask);
}

/*
 * A deadly signal without a handler is ours too, so that all variants end by it at the same call. The first process of a PID
 * namespace is left to the kernel, which spares it.
 */
int mm_ends_program(const struct mm_proc *p, int signo)
{
	return !p->pid1 && mm_fatal_by_default(signo) && !(BIT(signo) & BIT(SIGKILL_));
}

/* What the leader's kernel is to do with a signal is what the program has said, where it is not ours to do. */
void mm_install_action(const struct mm_thread *t, int signo)
{
	const struct mm_sigaction *act = &t->proc->action[signo - 1];
	u64 flags = act->flags & (SA_NOCLDSTOP_ | SA_NOCLDWAIT_);

	if (!mm_is_leader(t->proc) || (BIT(signo) & OURS))
		return;
	if (act->handler > 1 || (act->handler == 0 && mm_ends_program(t->proc, signo)))
		mm_install_ours(t->proc, signo, flags);
	else
		mm_install(signo, act->handler, flags);
}

void mm_signals_install(struct mm_thread *t)
{
	for (int s = 1; s <= 64; s++) {
		u64 bit = BIT(s);

		if (bit & OURS)
			mm_install_ours(t->proc, s, 0);
		else if (!mm_is_leader(t->proc) && s != 32 && s != 33 && !(bit & (IGNORED_BY_DEFAULT | STOPS | BIT(SIGKILL_))))
			mm_install_ours(t->proc, s, 0); /* to pass it on to the leader */
		else if (mm_is_leader(t->proc) && t->proc->action[s - 1].handler == 0 && mm_ends_program(t->proc, s))
			mm_install_ours(t->proc, s, 0);
	}
}

/* The end by a signal, as the kernel would have done it. */
void mm_die_by(struct mm_thread *t, int signo)
{
	u64 none = 0;

	mm_stop(t, 1, signo);
	mm_install(signo, 0, 0);
	mm_sys4(__NR_rt_sigprocmask, 2, &none, 0, 8);
	mm_sys3(__NR_tgkill, t->proc->real_pid, t->proc->real_tid, signo);
	for (;;)
		mm_sys1(__NR_exit_group, 128 + signo);
}

int mm_signals_waiting(struct mm_thread *t)
{
	return (t->pending & (t->forced | ~t->mask)) != 0;
}

/*
 * A program that computes and makes no call gets its signal where it stands, this long after, which is another place in each
 * variant. So it is time of the processor that counts: on a busy machine a program that is about to make a call may wait.
 */
#define ALARM_NS 100000000

static u64 used(void)
{
	struct __kernel_timespec t = {0};

	mm_sys2(__NR_clock_gettime, 3 /* CLOCK_THREAD_CPUTIME_ID */, &t);
	return (u64)t.tv_sec * 1000000000 + (u64)t.tv_nsec;
}

static void set_alarm(struct mm_thread *t, u64 ns)
{
	u64 when[4] = {0, 0, 0, ns};

	if (t->proc->alarm_timer)
		mm_sys4(__NR_timer_settime, t->proc->alarm_timer - 1, 0, when, 0);
	t->alarmed = ns != 0;
}

/* What was noted is gone, and a kick would interrupt a call to come. Unless something has come meanwhile. */
static void drop_alarm(struct mm_thread *t)
{
	if (!t->alarmed)
		return;
	set_alarm(t, 0);
	if (mm_signals_waiting(t)) {
		t->alarmed_at = used();
		set_alarm(t, ALARM_NS);
	}
}

void mm_update_kick(struct mm_thread *t)
{
	t->kick = mm_signals_waiting(t);
	if (!t->kick)
		drop_alarm(t);
}

/* Builds the frame of the program's handler and makes the return from our handler lead there. */
static void enter_handler(struct mm_thread *t, int signo, const u8 *info)
{
	struct context *uc = (struct context *)mm_frame(t);
	struct mm_sigaction *act = &t->proc->action[signo - 1];
	struct frame f;
	u64 sp = t->regs.sp - 128, state = uc->fpstate, bytes = 512;
	u64 top = act->flags & SA_ONSTACK_ ? mm_altstack_top(&t->alt, t->regs.sp) : 0;
	int on_alt = top || mm_altstack_used(&t->alt, t->regs.sp);

	if (top)
		sp = top;
	if (state && *(u32 *)(state + 464) == 0x46505853u) /* FP_XSTATE_MAGIC1: the size stands behind it */
		bytes = *(u32 *)(state + 468);
	sp = (sp - bytes) & ~63ul;
	memset(&f, 0, sizeof(f));
	f.restorer = act->restorer;
	f.uc.flags = uc->flags;
	f.uc.stack_sp = t->alt.sp;
	f.uc.stack_flags = t->alt.flags;
	f.uc.stack_size = t->alt.size;
	mm_keep_regs(&t->regs, &f.uc);
	f.uc.cs = uc->cs, f.uc.ss = uc->ss, f.uc.err = uc->err, f.uc.trapno = uc->trapno, f.uc.cr2 = uc->cr2;
	f.uc.fpstate = state ? sp : 0;
	f.uc.sigmask = t->masked ? t->mask_after : t->mask;
	t->masked = 0;
	memcpy(f.info, info, 128);
	u64 at = ((sp - sizeof(f)) & ~15ul) - 8;

	/* no stack for the frame, or one that reaches beyond the alternate stack: SIGSEGV, as natively */
	if ((on_alt && !mm_altstack_holds(&t->alt, at)) || (state && mm_out(t, sp, (void *)state, bytes) != bytes) ||
	    mm_out(t, at, &f, sizeof(f)) != sizeof(f))
		mm_die_by(t, 11);
	mm_altstack_entered(&t->alt);
	t->mask |= act->mask & ~(BIT(SIGKILL_) | BIT(19));
	if (!(act->flags & SA_NODEFER_))
		t->mask |= BIT(signo);
	t->regs.sp = at;
	t->regs.ip = act->handler;
	t->regs.ax = 0;
	t->regs.di = signo;
	t->regs.si = at + __builtin_offsetof(struct frame, info);
	t->regs.dx = at + __builtin_offsetof(struct frame, uc);
	t->regs.flags &= ~0x10500ul; /* DF, TF, RF */
	if (act->flags & SA_RESETHAND_) {
		act->handler = 0;
		mm_install_action(t, signo);
	}
}

/* Where the program goes on: at the call again, where it was not made yet or is made anew after the handler. */
static void rewind_call(struct mm_thread *t)
{
	t->regs.ip -= 2; /* the `syscall` instruction */
	t->regs.ax = t->call.number;
}

/* The program's turn: its handler, its end, or nothing where it has meanwhile gone back to ignoring. */
static void take(struct mm_thread *t, int signo, const u8 *info, enum mm_resume resume)
{
	const struct mm_sigaction *act = &t->proc->action[signo - 1];

	if (resume == MM_AT_ENTER || (resume == MM_INTERRUPTED && act->handler > 1 && (act->flags & SA_RESTART_)))
		rewind_call(t);
	if (act->handler == 1 || (act->handler == 0 && !mm_ends_program(t->proc, signo)))
		return;
	if (act->handler == 0)
		mm_die_by(t, signo);
	enter_handler(t, signo, info);
}

/*
 * The leader hands every waiting signal to the program, here and in every follower, those of faults first and then the lowest
 * number. Frames are stacked as the kernel stacks them, so the last handler runs first.
 */
void mm_deliver(struct mm_thread *t, enum mm_resume resume)
{
	int more;

	do {
		u64 ready = t->pending & (t->forced | ~t->mask);
		int signo = __builtin_ctzl(ready & SYNCHRONOUS ? ready & SYNCHRONOUS : ready) + 1;
		const struct mm_sigaction *act = &t->proc->action[signo - 1];
		u64 after = t->mask | (act->handler > 1 ? act->mask | (act->flags & SA_NODEFER_ ? 0 : BIT(signo)) : 0);
		u8 *at = mm_reserve(t, sizeof(struct mm_rec) + 128);
		struct mm_rec *rec = (struct mm_rec *)at;
		u8 info[128];

		memcpy(info, t->info[signo - 1], 128);
		__atomic_fetch_and(&t->pending, ~BIT(signo), __ATOMIC_ACQ_REL);
		__atomic_fetch_and(&t->forced, ~BIT(signo), __ATOMIC_ACQ_REL);
		if (BIT(signo) & REAL_TIME & ~after)
			mm_let_in(t, after); /* the next of the kind comes on top of this one's handler */
		more = (t->pending & (t->forced | ~after)) != 0;
		*rec = (struct mm_rec){.size = sizeof(*rec) + 128,
				       .kind = MM_REC_SIGNAL,
				       .nr = signo,
				       .seq = t->seq,
				       .flags = (resume == MM_WHERE_IT_STANDS ? MM_RF_FORCED : 0) | (more ? MM_RF_MORE : 0)};
		memcpy(at + sizeof(*rec), info, 128);
		mm_value_to_number(t->proc, at + sizeof(*rec));
		mm_remember(t, rec, NULL);
		mm_commit(t, rec->size);
		mm_flush(t);
		take(t, signo, info, resume);
		resume = MM_RETURNED;
	} while (more);
	mm_call_mask_ends(t);
	mm_update_kick(t);
	drop_alarm(t);
	t->overdue = 0;
}

/* A follower takes the signals that the leader's records name. */
void mm_take_signals(struct mm_thread *t, const struct mm_rec *at, enum mm_resume resume)
{
	struct mm_rec rec;
	u8 info[128];

	for (;; at = mm_next(t, &rec)) {
		memcpy(&rec, at, sizeof(rec));
		if (rec.kind != MM_REC_SIGNAL || rec.size != sizeof(rec) + 128 || rec.form || rec.nr < 1 || rec.nr > 64) {
			mm_diverge(t, MM_WHY_STREAM);
			mm_end(t);
		}
		memcpy(info, (const u8 *)at + sizeof(rec), 128);
		mm_number_to_value(t->proc, info);
		mm_consume(t, rec.size);
		mm_remember(t, &rec, NULL);
		take(t, rec.nr, info, resume);
		if (!(rec.flags & MM_RF_MORE))
			break;
		resume = MM_RETURNED;
	}
	mm_call_mask_ends(t);
}

/* Our handler */

/*
 * A signal from outside, noted. It is handed over at a rendezvous; what arrives twice before that is one, as natively, but for
 * real-time signals, which stay in the kernel's queue.
 */
static void note(struct mm_thread *t, int signo, const u8 *info, struct context *uc, int inside)
{
	if (!mm_is_leader(t->proc)) {
		struct mm_msg_signal m = {(u32)signo, 0};

		mm_send(t->proc, MM_MSG_SIGNAL, &m, sizeof(m), NULL, 0, NULL, 0);
		return;
	}
	if (BIT(signo) & REAL_TIME & t->pending) { /* one came when the mask was made up already: back to the kernel */
		uc->sigmask |= BIT(signo);
		mm_sys4(__NR_rt_tgsigqueueinfo, t->proc->real_pid, t->proc->real_tid, signo, info);
		return;
	}
	memcpy(t->info[signo - 1], info, 128);
	__atomic_fetch_or(&t->pending, BIT(signo), __ATOMIC_ACQ_REL);
	uc->sigmask |= BIT(signo) & REAL_TIME; /* until it is handed over: mm_real_mask */
	t->held |= BIT(signo) & REAL_TIME;
	if (inside && t->suspended && (t->mask & ~t->suspend_mask & BIT(signo)))
		__atomic_fetch_or(&t->forced, BIT(signo), __ATOMIC_ACQ_REL); /* let through by the mask of the call itself */
	t->kick = 1;
	if (inside && uc->ip >= (u64)mm_app_test && uc->ip <= (u64)mm_app_syscall)
		uc->ip = (u64)mm_app_eintr;
	if (!t->alarmed && mm_signals_waiting(t)) {
		t->alarmed_at = used();
		set_alarm(t, ALARM_NS); /* also inside: the call under way may have looked for signals already */
	}
}

/* A follower looks whether the leader took a signal where it stood. */
static int take_forced(struct mm_thread *t)
{
	struct mm_rec rec;
	const struct mm_rec *at;

	if (__atomic_load_n(&t->proc->stream->head, __ATOMIC_ACQUIRE) == t->head)
		return 0;
	at = mm_next(t, &rec);
	if (rec.kind != MM_REC_SIGNAL || !(rec.flags & MM_RF_FORCED))
		return 0;
	mm_take_signals(t, at, MM_WHERE_IT_STANDS);
	return 1;
}

/*
 * Behind a local call. They are no rendezvous, and a program that makes little else is inside the monitor whenever a kick
 * comes: sched_yield until a handler says stop would go on for ever.
 */
void mm_overdue(struct mm_thread *t)
{
	t->overdue = 0;
	if (!mm_is_leader(t->proc))
		take_forced(t);
	else if (mm_signals_waiting(t))
		mm_deliver(t, MM_WHERE_IT_STANDS);
}

/*
 * The kick: the group ends, or a signal found no rendezvous. In the leader it comes from a timer 100 ms after the signal; in a
 * follower from the supervisor, which sees that the leader's record is not taken.
 */
static void kicked(struct mm_thread *t, struct context *uc, int inside)
{
	struct mm_proc *p = t->proc;

	mm_check_end(t);
	if (p->pid1)
		mm_check_tether(t);
	t->alarmed = 0;
	if (inside) {
		t->overdue = !mm_is_leader(p) || (mm_signals_waiting(t) && used() - t->alarmed_at >= ALARM_NS / 2);
		if (mm_is_leader(p) && mm_signals_waiting(t))
			set_alarm(t, ALARM_NS);
		return;
	}
	mm_load_regs(&t->regs, uc);
	t->frame = (u8 *)uc;
	if (mm_is_leader(p)) {
		if (!mm_signals_waiting(t))
			return;
		if (used() - t->alarmed_at < ALARM_NS / 2) {
			set_alarm(t, ALARM_NS / 2);
			return;
		}
		mm_deliver(t, MM_WHERE_IT_STANDS);
	} else if (!take_forced(t)) {
		return;
	}
	mm_keep_regs(&t->regs, uc);
	uc->sigmask = mm_real_mask(t);
}

static void on_signal(int signo, u8 *info, u8 *frame, struct mm_thread *t)
{
	struct context *uc = (struct context *)frame;
	int inside = mm_in_monitor(t->proc, uc->ip);
	s32 code = *(s32 *)(info + 8);

	if (inside) {
		t->token_seen = (t->proc->flags & MM_START_KMOD) != 0;
		if (BIT(signo) & FAULTS && code > 0) {
			if (uc->ip == (u64)mm_copy_insn) {
				uc->ip = (u64)mm_copy_done;
				return;
			}
			mm_give_up(t, -(s64)signo, "the monitor itself faulted");
		}
		if (signo == MM_KICK_SIGNAL)
			kicked(t, uc, 1);
		else
			note(t, signo, info, uc, 1);
		return;
	}
	if (uc->cs != 0x33) /* __USER_CS; nobody's calls and frames are for it */
		mm_give_up(t, -ENOSYS, "the program ran 32-bit code; only 64-bit code is monitored");
	if (signo == MM_KICK_SIGNAL) {
		kicked(t, uc, 0);
		return;
	}
	if (!(BIT(signo) & OURS)) {
		note(t, signo, info, uc, 0);
		return;
	}
	mm_load_regs(&t->regs, uc);
	t->frame = frame;
	if (signo == 31 && code == SYS_USER_DISPATCH_) {
		t->call.row = NULL;
		if (*(u32 *)(info + 28) != 0xc000003eu) /* AUDIT_ARCH_X86_64: anything else is int 0x80 */
			mm_give_up(t, -ENOSYS, "the program made a 32-bit system call (int 0x80); only 64-bit calls are monitored");
		mm_monitor(t);
	} else if (BIT(signo) & FAULTS && code > 0) {
		const struct mm_sigaction *act = &t->proc->action[signo - 1];

		t->fault_code = code;
		if (mm_fault(t, signo)) {
			if (act->handler <= 1 || (t->mask & BIT(signo)))
				mm_die_by(t, signo);
			enter_handler(t, signo, info);
		}
	} else {
		/* sent, not raised by an instruction: as any other signal, but for SIGSYS of a filter around us */
		if (code > 0 && t->proc->action[signo - 1].handler == 0)
			mm_die_by(t, signo);
		note(t, signo, info, uc, 0);
		return;
	}
	mm_keep_regs(&t->regs, uc);
	uc->sigmask = mm_real_mask(t);
}

void mm_on_signal(int signo, u8 *info, u8 *frame, struct mm_thread *t)
{
	const struct context *uc = (struct context *)frame;
	u64 ip = uc->ip;

	on_signal(signo, info, frame, t);
	mm_close(t, frame, ip);
}
