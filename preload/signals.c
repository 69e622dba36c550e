/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Signals. Every handler that the kernel knows is ours (mm_handler → mm_on_signal). What arrives from outside waits until the
 * leader makes a call, is written into the stream there, and reaches the program in every variant at that same call. Faults
 * are compared as calls are. The program's own handlers are entered by leaving: their frame is built on the program's stack,
 * and the kernel's frame for our handler is turned into a return to them.
 */
#include "monitor.h"
#include "table.gen.h"
#include <linux/errno.h>
#include <linux/time_types.h>

#define SIGKILL_ 9
#define BIT(n) (1ul << ((n)-1))
#define SA_NOCLDSTOP_ 1ul
#define SA_NOCLDWAIT_ 2ul
#define SA_SIGINFO_ 4ul
#define SA_RESTORER_ 0x04000000ul
#define SA_ONSTACK_ 0x08000000ul
#define SA_RESTART_ 0x10000000ul
#define SA_NODEFER_ 0x40000000ul
#define SA_RESETHAND_ 0x80000000ul

#define FAULTS (BIT(11) | BIT(7) | BIT(4) | BIT(8) | BIT(5))       /* SEGV BUS ILL FPE TRAP */
#define OURS (FAULTS | BIT(31) | BIT(MM_KICK_SIGNAL))              /* and SYS, and the kick */
#define IGNORED_BY_DEFAULT (BIT(17) | BIT(18) | BIT(23) | BIT(28)) /* CHLD CONT URG WINCH */
#define STOPS (BIT(19) | BIT(20) | BIT(21) | BIT(22))              /* STOP TSTP TTIN TTOU */
#define SYS_USER_DISPATCH_ 2

/* struct ucontext and sigcontext of x86_64 as the kernel writes them (arch/x86/include/uapi/asm/sigcontext.h). */
struct context {
	u64 flags, link;
	u64 stack_sp;
	s32 stack_flags, pad;
	u64 stack_size;
	u64 r8, r9, r10, r11, r12, r13, r14, r15, di, si, bp, bx, dx, ax, cx, sp, ip, eflags;
	u16 cs, gs, fs, ss;
	u64 err, trapno, oldmask, cr2;
	u64 fpstate;
	u64 reserved[8];
	u64 sigmask;
};

_Static_assert(__builtin_offsetof(struct context, sigmask) == 296, "ucontext");

/* The frame of a handler, below it the floating-point state. */
struct frame {
	u64 restorer;
	struct context uc;
	u8 info[128];
};

#define FLAGS_OF_PROGRAM 0x240dd5ul /* what sigreturn lets through: ID AC OF DF TF SF ZF AF PF CF (FIX_EFLAGS, kernel/signal.c) */

static void load(struct mm_regs *r, const struct context *c)
{
	*r = (struct mm_regs){c->ax, c->bx,  c->cx,  c->dx,  c->si,  c->di,  c->bp,  c->sp, c->r8,
			      c->r9, c->r10, c->r11, c->r12, c->r13, c->r14, c->r15, c->ip, c->eflags};
}

static void keep(const struct mm_regs *r, struct context *c)
{
	c->ax = r->ax, c->bx = r->bx, c->cx = r->cx, c->dx = r->dx, c->si = r->si, c->di = r->di, c->bp = r->bp, c->sp = r->sp;
	c->r8 = r->r8, c->r9 = r->r9, c->r10 = r->r10, c->r11 = r->r11, c->r12 = r->r12, c->r13 = r->r13, c->r14 = r->r14,
	c->r15 = r->r15;
	c->ip = r->ip, c->eflags = r->flags;
}

u64 mm_clean_mask(u64 mask)
{
	return mask & ~(OURS | BIT(SIGKILL_) | BIT(19));
}

int mm_fatal_by_default(int signo)
{
	return !((IGNORED_BY_DEFAULT | STOPS) & BIT(signo));
}

/* What the kernel's mask is to be when the program goes on: its own in the leader; nothing in a follower, which passes on. */
static u64 real_mask(const struct mm_thread *t)
{
	return mm_is_leader(t->proc) ? mm_clean_mask(t->mask) : 0;
}

static long install(int signo, u64 handler, u64 flags)
{
	struct mm_sigaction act = {handler, flags | SA_RESTORER_, (u64)mm_return, 0};

	return mm_sys4(__NR_rt_sigaction, signo, &act, 0, 8);
}

static long install_ours(int signo, u64 flags)
{
	return install(signo, (u64)mm_handler, SA_SIGINFO_ | SA_ONSTACK_ | SA_NODEFER_ | flags);
}

/*
 * A deadly signal without a handler is ours too, so that all variants end by it at the same call. The first process of a PID
 * namespace is left to the kernel, which spares it.
 */
static int ends_program(const struct mm_proc *p, int signo)
{
	return !p->pid1 && mm_fatal_by_default(signo) && !(BIT(signo) & BIT(SIGKILL_));
}

void mm_signals_install(struct mm_thread *t)
{
	for (int s = 1; s <= 64; s++) {
		u64 bit = BIT(s);

		if (bit & OURS)
			install_ours(s, 0);
		else if (!mm_is_leader(t->proc) && s < 32 && !(bit & (IGNORED_BY_DEFAULT | STOPS | BIT(SIGKILL_))))
			install_ours(s, 0); /* to pass it on to the leader */
		else if (mm_is_leader(t->proc) && t->proc->action[s - 1].handler == 0 && ends_program(t->proc, s))
			install_ours(s, 0);
	}
}

/* The end by a signal, as the kernel would have done it. */
void mm_die_by(struct mm_thread *t, int signo)
{
	u64 none = 0;

	mm_stop(t, 1, signo);
	install(signo, 0, 0);
	mm_sys4(__NR_rt_sigprocmask, 2, &none, 0, 8);
	mm_sys3(__NR_tgkill, t->proc->real_pid, t->proc->real_tid, signo);
	for (;;)
		mm_sys1(__NR_exit_group, 128 + signo);
}

int mm_signals_waiting(struct mm_thread *t)
{
	return (t->pending & (t->forced | ~t->mask)) != 0;
}

void mm_update_kick(struct mm_thread *t)
{
	t->kick = mm_signals_waiting(t);
}

/* Builds the frame of the program's handler and makes the return from our handler lead there. */
static void enter_handler(struct mm_thread *t, int signo, const u8 *info)
{
	struct context *uc = (struct context *)t->frame;
	struct mm_sigaction *act = &t->proc->action[signo - 1];
	struct frame f;
	u64 sp = t->regs.sp - 128, state = uc->fpstate, bytes = 512;
	int on_alt = t->alt.size && t->regs.sp - t->alt.sp <= t->alt.size && !(t->alt.flags & 2);

	if ((act->flags & SA_ONSTACK_) && t->alt.size && !(t->alt.flags & 2) && !on_alt)
		sp = t->alt.sp + t->alt.size;
	if (state && *(u32 *)(state + 464) == 0x46505853u) /* FP_XSTATE_MAGIC1: the size stands behind it */
		bytes = *(u32 *)(state + 468);
	sp = (sp - bytes) & ~63ul;
	memset(&f, 0, sizeof(f));
	f.restorer = act->restorer;
	f.uc.flags = uc->flags;
	f.uc.stack_sp = t->alt.sp;
	f.uc.stack_flags = t->alt.size ? (on_alt ? 1 : t->alt.flags) : 2;
	f.uc.stack_size = t->alt.size;
	keep(&t->regs, &f.uc);
	f.uc.cs = uc->cs, f.uc.ss = uc->ss, f.uc.err = uc->err, f.uc.trapno = uc->trapno, f.uc.cr2 = uc->cr2;
	f.uc.fpstate = state ? sp : 0;
	f.uc.sigmask = t->mask;
	memcpy(f.info, info, 128);
	u64 at = ((sp - sizeof(f)) & ~15ul) - 8;

	if ((state && mm_out(t, sp, (void *)state, bytes) != bytes) || mm_out(t, at, &f, sizeof(f)) != sizeof(f))
		mm_die_by(t, 11); /* no stack for the frame: SIGSEGV, as natively */
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
	if (act->flags & SA_RESETHAND_)
		act->handler = 0;
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
	if (act->handler == 1 || (act->handler == 0 && !mm_fatal_by_default(signo)))
		return;
	if (act->handler == 0)
		mm_die_by(t, signo);
	enter_handler(t, signo, info);
}

/* A program that computes and makes no call gets its signal where it stands, this long after. */
#define ALARM_NS 100000000

static void set_alarm(struct mm_thread *t, u64 ns)
{
	u64 when[4] = {0, 0, 0, ns};

	if (t->proc->alarm_timer)
		mm_sys4(__NR_timer_settime, t->proc->alarm_timer - 1, 0, when, 0);
	t->alarmed = ns != 0;
}

/*
 * The leader hands every waiting signal to the program, here and in every follower, lowest number first. Frames are stacked as
 * the kernel stacks them, so the last handler runs first.
 */
void mm_deliver(struct mm_thread *t, enum mm_resume resume)
{
	int more;

	if (t->alarmed)
		set_alarm(t, 0); /* or its kick would interrupt a call to come */
	do {
		u64 ready = t->pending & (t->forced | ~t->mask);
		int signo = __builtin_ctzl(ready) + 1;
		const struct mm_sigaction *act = &t->proc->action[signo - 1];
		u64 after = t->mask | (act->handler > 1 ? act->mask | (act->flags & SA_NODEFER_ ? 0 : BIT(signo)) : 0);
		u8 *at = mm_reserve(t, sizeof(struct mm_rec) + 128);
		struct mm_rec *rec = (struct mm_rec *)at;
		u8 info[128];

		more = (t->pending & ~BIT(signo) & (t->forced | ~after)) != 0;
		memcpy(info, t->info[signo - 1], 128);
		__atomic_fetch_and(&t->pending, ~BIT(signo), __ATOMIC_ACQ_REL);
		__atomic_fetch_and(&t->forced, ~BIT(signo), __ATOMIC_ACQ_REL);
		*rec = (struct mm_rec){.size = sizeof(*rec) + 128,
				       .kind = MM_REC_SIGNAL,
				       .nr = signo,
				       .seq = t->seq,
				       .flags = (resume == MM_WHERE_IT_STANDS ? MM_RF_FORCED : 0) | (more ? MM_RF_MORE : 0)};
		memcpy(at + sizeof(*rec), info, 128);
		mm_remember(t, rec, NULL);
		mm_commit(t, rec->size);
		mm_flush(t);
		take(t, signo, info, resume);
		resume = MM_RETURNED;
	} while (more);
	mm_update_kick(t);
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
		mm_consume(t, rec.size);
		mm_remember(t, &rec, NULL);
		take(t, rec.nr, info, resume);
		if (!(rec.flags & MM_RF_MORE))
			return;
		resume = MM_RETURNED;
	}
}

/* The calls about signals */

void mm_describe_signal(struct mm_thread *t)
{
	struct mm_call *c = &t->call;
	struct mm_sigaction act;

	if (c->nr != MM_NR_rt_sigaction) {
		c->who = MM_BY_LEADER;
		return;
	}
	if (!c->a[1])
		return;
	if (mm_in(t, &act, c->a[1], sizeof(act)) != sizeof(act)) {
		mm_refuse(c, -EFAULT);
		return;
	}
	mm_item_value(c, 1, act.handler > 1 ? 2 : act.handler);
	mm_item_value(c, 1, act.flags);
	mm_item_value(c, 1, act.mask);
}

s64 mm_sigaction_call(struct mm_thread *t)
{
	struct mm_call *c = &t->call;
	struct mm_sigaction *mine, act, old;
	u32 signo = (u32)c->a[0];

	if (c->a[3] != 8 || signo < 1 || signo > 64)
		return -EINVAL;
	mine = &t->proc->action[signo - 1];
	old = *mine;
	if (c->a[1]) {
		if (signo == SIGKILL_ || signo == 19)
			return -EINVAL;
		if (mm_in(t, &act, c->a[1], sizeof(act)) != sizeof(act))
			return -EFAULT;
		act.mask &= ~(BIT(SIGKILL_) | BIT(19));
		*mine = act;
		if (mm_is_leader(t->proc) && !(BIT(signo) & OURS)) {
			if (act.handler > 1 || (act.handler == 0 && ends_program(t->proc, signo)))
				install_ours(signo, act.flags & (SA_NOCLDSTOP_ | SA_NOCLDWAIT_));
			else
				install(signo, act.handler, act.flags & (SA_NOCLDSTOP_ | SA_NOCLDWAIT_));
		}
		if (act.handler == 1 || (act.handler == 0 && !mm_fatal_by_default(signo))) {
			t->pending &= ~BIT(signo);
			mm_update_kick(t);
		}
	}
	if (c->a[2] && mm_out(t, c->a[2], &old, sizeof(old)) != sizeof(old))
		return -EFAULT;
	return 0;
}

s64 mm_sigprocmask_call(struct mm_thread *t)
{
	struct mm_call *c = &t->call;
	u64 set, old = t->mask, keep_out = BIT(SIGKILL_) | BIT(19);

	if (c->a[3] != 8)
		return -EINVAL;
	if (c->a[1]) {
		if (mm_in(t, &set, c->a[1], 8) != 8)
			return -EFAULT;
		set &= ~keep_out;
		switch ((u32)c->a[0]) {
		case 0:
			t->mask |= set;
			break;
		case 1:
			t->mask &= ~set;
			break;
		case 2:
			t->mask = set;
			break;
		default:
			return -EINVAL;
		}
	}
	if (c->a[2] && mm_out(t, c->a[2], &old, 8) != 8)
		return -EFAULT;
	mm_update_kick(t);
	/* a signal that the new mask lets through is to arrive before this call returns, as natively */
	if (mm_is_leader(t->proc)) {
		u64 mask = real_mask(t);

		mm_sys4(__NR_rt_sigprocmask, 2, &mask, 0, 8);
	}
	return 0;
}

s64 mm_sigaltstack_call(struct mm_thread *t)
{
	struct mm_call *c = &t->call;
	struct mm_altstack now = t->alt, next;
	int on = now.size && t->regs.sp - now.sp <= now.size;

	now.flags = now.size ? (now.flags | on) : 2;
	if (c->a[0]) {
		if (mm_in(t, &next, c->a[0], sizeof(next)) != sizeof(next))
			return -EFAULT;
		if (on)
			return -EPERM;
		if (next.flags & ~(2 | (s32)0x80000000 | 1))
			return -EINVAL;
		if (next.flags & 2)
			next = (struct mm_altstack){.flags = 2};
		else if (next.size < 2048)
			return -ENOMEM;
		else if (mm_touches_monitor(t->proc, next.sp, next.size))
			return -EFAULT;
		next.flags &= ~1;
		t->alt = next;
	}
	if (c->a[1] && mm_out(t, c->a[1], &now, sizeof(now)) != sizeof(now))
		return -EFAULT;
	return 0;
}

/* Back from a handler: registers from the program's frame, copied first, with segments, flags and state size forced. */
void mm_sigreturn_call(struct mm_thread *t)
{
	struct context in, *uc = (struct context *)t->frame;

	if (mm_in(t, &in, t->regs.sp, sizeof(in)) != sizeof(in))
		mm_die_by(t, 11);
	load(&t->regs, &in);
	t->regs.flags = (in.eflags & FLAGS_OF_PROGRAM) | 0x202;
	t->mask = in.sigmask & ~(BIT(SIGKILL_) | BIT(19));
	if (in.fpstate && uc->fpstate) {
		u8 *mine = (u8 *)uc->fpstate;
		u32 bytes = 512, software[2];

		if (*(u32 *)(mine + 464) == 0x46505853u)
			bytes = *(u32 *)(mine + 468);
		/* the kernel's own description of the area stays: the program's could claim another */
		u8 *copy = mm_stage(t, MM_UP(bytes, 64));
		u64 got = copy ? mm_in(t, copy, in.fpstate, bytes) : 0;

		if (got != bytes)
			mm_die_by(t, 11);
		memcpy(software, mine + 464, 8);
		if (!memcmp(copy + 464, software, 8)) {
			u8 words[48];

			memcpy(words, mine + 464, 48);
			memcpy(mine, copy, bytes);
			memcpy(mine + 464, words, 48);
			*(u32 *)(mine + 24) &= 0xffff; /* MXCSR: undefined bits make the return fail */
		}
		mm_unstage(t);
	}
	mm_update_kick(t);
}

/* Nothing comes back from this: every variant does it for itself. */
int mm_kills_itself(const struct mm_thread *t)
{
	const struct mm_call *c = &t->call;

	switch (c->nr) {
	case MM_NR_kill:
	case MM_NR_tkill:
		return (u32)c->a[0] == t->proc->virtual_pid && (u32)c->a[1] == SIGKILL_ && !t->proc->pid1;
	case MM_NR_tgkill:
		return (u32)c->a[0] == t->proc->virtual_pid && (u32)c->a[2] == SIGKILL_ && !t->proc->pid1;
	}
	return 0;
}

/* kill and its like: the leader sends. What it sends itself is waiting when the call returns and reaches everyone there. */
s64 mm_kill_call(struct mm_thread *t)
{
	struct mm_call *c = &t->call;
	u32 signo = (u32)(c->nr == MM_NR_tgkill ? c->a[2] : c->a[1]);

	if (signo && BIT(signo & 63) & BIT(MM_KICK_SIGNAL))
		return 0; /* nobody uses it; as our kick it must not be sent by the program */
	return mm_app_call(t);
}

/* Our handler */

static int in_monitor(const struct mm_proc *p, u64 ip)
{
	return ip - p->reservation.from < p->reservation.to - p->reservation.from;
}

/* A signal from outside, noted. It is handed over at a rendezvous; what arrives twice before that is one, as natively. */
static void note(struct mm_thread *t, int signo, const u8 *info, struct context *uc, int inside)
{
	if (!mm_is_leader(t->proc)) {
		struct mm_msg_signal m = {(u32)signo, 0};

		mm_send(t->proc, MM_MSG_SIGNAL, &m, sizeof(m), NULL, 0, NULL, 0);
		return;
	}
	memcpy(t->info[signo - 1], info, 128);
	__atomic_fetch_or(&t->pending, BIT(signo), __ATOMIC_ACQ_REL);
	if (inside && (t->mask & BIT(signo)))
		__atomic_fetch_or(&t->forced, BIT(signo), __ATOMIC_ACQ_REL); /* let through by the mask of the call itself */
	t->kick = 1;
	if (inside && uc->ip >= (u64)mm_app_test && uc->ip <= (u64)mm_app_syscall)
		uc->ip = (u64)mm_app_eintr;
	if (!t->alarmed)
		set_alarm(t, ALARM_NS); /* also here: the call under way may have looked for signals already */
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
		if (mm_is_leader(p) && mm_signals_waiting(t))
			set_alarm(t, ALARM_NS);
		return;
	}
	load(&t->regs, uc);
	t->frame = (u8 *)uc;
	if (mm_is_leader(p)) {
		if (!mm_signals_waiting(t))
			return;
		mm_deliver(t, MM_WHERE_IT_STANDS);
	} else {
		struct mm_rec rec;
		const struct mm_rec *at;

		if (__atomic_load_n(&p->stream->head, __ATOMIC_ACQUIRE) == t->head)
			return;
		at = mm_next(t, &rec);
		if (rec.kind != MM_REC_SIGNAL || !(rec.flags & MM_RF_FORCED))
			return;
		mm_take_signals(t, at, MM_WHERE_IT_STANDS);
	}
	keep(&t->regs, uc);
	uc->sigmask = real_mask(t);
}

void mm_on_signal(int signo, u8 *info, u8 *frame, struct mm_thread *t)
{
	struct context *uc = (struct context *)frame;
	int inside = in_monitor(t->proc, uc->ip);
	s32 code = *(s32 *)(info + 8);

	if (inside) {
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
	if (signo == MM_KICK_SIGNAL) {
		kicked(t, uc, 0);
		return;
	}
	if (!(BIT(signo) & OURS)) {
		note(t, signo, info, uc, 0);
		return;
	}
	load(&t->regs, uc);
	t->frame = frame;
	if (signo == 31 && code == SYS_USER_DISPATCH_) {
		t->call.row = NULL;
		if (*(u32 *)(info + 28) != 0xc000003eu) /* AUDIT_ARCH_X86_64: anything else is int 0x80 */
			mm_give_up(t, -ENOSYS, "the program made a 32-bit system call (int 0x80); only 64-bit calls are monitored");
		mm_monitor(t);
	} else if (BIT(signo) & FAULTS && code > 0) {
		const struct mm_sigaction *act = &t->proc->action[signo - 1];

		t->fault_code = code;
		mm_fault(t, signo);
		if (act->handler <= 1 || (t->mask & BIT(signo)))
			mm_die_by(t, signo);
		enter_handler(t, signo, info);
	} else {
		/* sent, not raised by an instruction: as any other signal, and deadly without a handler */
		if (t->proc->action[signo - 1].handler == 0)
			mm_die_by(t, signo);
		note(t, signo, info, uc, 0);
		return;
	}
	keep(&t->regs, uc);
	uc->sigmask = real_mask(t);
}
