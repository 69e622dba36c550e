/* SPDX-License-Identifier: Apache-2.0 */
/* The calls about signals. Actions, masks and alternate stacks are kept here for the program; the kernel has the monitor's. */
#include "signals.h"
#include "table.gen.h"
#include <linux/errno.h>

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
		act.flags &= SA_KNOWN; /* a program sees by what is gone what the kernel does not know */
		*mine = act;
		mm_install_action(t, signo);
		if (act.handler == 1 || (act.handler == 0 && !mm_fatal_by_default(signo))) {
			__atomic_fetch_and(&t->pending, ~BIT(signo), __ATOMIC_ACQ_REL);
			__atomic_fetch_and(&t->forced, ~BIT(signo), __ATOMIC_ACQ_REL);
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
	u64 set, old = t->mask, mask = old, keep_out = BIT(SIGKILL_) | BIT(19);

	if (c->a[3] != 8)
		return -EINVAL;
	if (c->a[1]) {
		if (mm_in(t, &set, c->a[1], 8) != 8)
			return -EFAULT;
		set &= ~keep_out;
		switch ((u32)c->a[0]) {
		case 0:
			mask |= set;
			break;
		case 1:
			mask &= ~set;
			break;
		case 2:
			mask = set;
			break;
		default:
			return -EINVAL;
		}
		mm_set_mask(t, mask);
	}
	return c->a[2] && mm_out(t, c->a[2], &old, 8) != 8 ? -EFAULT : 0;
}

/* Signals that are noted here while they are blocked are pending, as those that the kernel holds. */
s64 mm_sigpending_call(struct mm_thread *t)
{
	struct mm_call *c = &t->call;
	s64 ret = mm_app_call(t);
	u64 set = 0, n = MM_MIN(c->a[1], 8);

	if (ret || !(t->pending & t->mask))
		return ret;
	if (mm_in(t, &set, c->a[0], n) != n)
		return -EFAULT;
	set |= t->pending & t->mask;
	return mm_out(t, c->a[0], &set, n) == n ? 0 : -EFAULT;
}

/* The mask that a call brings along. A wait for certain signals lets these through. */
static int own_mask(const struct mm_thread *t, u64 *mask)
{
	const struct mm_call *c = &t->call;
	u64 at = 0;

	switch (c->nr) {
	case MM_NR_rt_sigsuspend:
	case MM_NR_rt_sigtimedwait:
		at = c->a[0];
		break;
	case MM_NR_ppoll:
		at = c->a[3];
		break;
	case MM_NR_epoll_pwait:
		at = c->a[4];
		break;
	case MM_NR_pselect6:
		if (!c->a[5] || mm_in(t, &at, c->a[5], 8) != 8)
			return 0;
		break;
	}
	if (!at || mm_in(t, mask, at, 8) != 8)
		return 0;
	if (c->nr == MM_NR_rt_sigtimedwait)
		*mask = t->mask & ~*mask;
	return 1;
}

/*
 * A signal has ended a call. What the call's own mask lets in arrives under that mask, and the first handler's frame brings
 * the program's back (saved_sigmask in kernel/signal.c). A wait for certain signals is over before a handler runs.
 */
int mm_call_mask_lets_in(const struct mm_thread *t)
{
	u64 mask;

	return t->call.nr != MM_NR_rt_sigtimedwait && own_mask(t, &mask) && (t->pending & (t->forced | ~mask));
}

void mm_call_mask_begins(struct mm_thread *t)
{
	u64 mask;

	if (!own_mask(t, &mask))
		return;
	t->mask_after = t->mask;
	t->masked = 1;
	t->mask = mask & ~(BIT(SIGKILL_) | BIT(19));
	if (mm_is_leader(t->proc))
		mm_let_in(t, t->mask);
}

/* No handler has taken the program's mask along. */
void mm_call_mask_ends(struct mm_thread *t)
{
	u64 real;

	if (!t->masked)
		return;
	t->masked = 0;
	t->mask = t->mask_after;
	real = mm_real_mask(t);
	if (mm_is_leader(t->proc))
		mm_sys4(__NR_rt_sigprocmask, 2, &real, 0, 8);
}

/* Before a call that may sleep: what its mask lets through, and we hold already, ends it. */
void mm_suspend(struct mm_thread *t)
{
	u64 mask = 0;

	if (!own_mask(t, &mask))
		return;
	t->suspend_mask = mask;
	__atomic_store_n(&t->suspended, 1, __ATOMIC_RELEASE);
	__atomic_fetch_or(&t->forced, t->pending & t->mask & ~mask, __ATOMIC_ACQ_REL);
	mm_update_kick(t);
}

/*
 * Back from a handler: registers from the program's frame, copied first, with segments, flags and state size forced. What was
 * blocked while the handler ran follows now. So this is a call as any other; but it gives no result of its own.
 */
s64 mm_sigreturn_call(struct mm_thread *t)
{
	struct context in, *uc;

	if (mm_in(t, &in, t->regs.sp, sizeof(in)) != sizeof(in))
		mm_die_by(t, 11);
	uc = (struct context *)mm_frame(t);
	mm_load_regs(&t->regs, &in);
	t->regs.flags = (in.eflags & FLAGS_OF_PROGRAM) | 0x202;
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
	mm_set_mask(t, in.sigmask & ~(BIT(SIGKILL_) | BIT(19)));
	/* what a handler made of uc_stack; where that is none the old one stays, without a word */
	mm_altstack_set(t, (struct mm_altstack){.sp = in.stack_sp, .flags = in.stack_flags, .size = in.stack_size}, t->regs.sp);
	return 0;
}

/* Nothing comes back from this: every variant does it for itself. */
int mm_kills_itself(const struct mm_thread *t)
{
	const struct mm_call *c = &t->call;

	switch (c->nr) {
	case MM_NR_kill:
	case MM_NR_tkill:
		return (u32)c->a[0] == t->proc->virtual_pid && (u32)c->a[1] == SIGKILL_ && !t->proc->pid1;
	case MM_NR_rt_sigqueueinfo:
		return (u32)c->a[0] == t->proc->virtual_pid && (u32)c->a[1] == SIGKILL_ && !t->proc->pid1;
	case MM_NR_tgkill:
	case MM_NR_rt_tgsigqueueinfo:
		return (u32)c->a[0] == t->proc->virtual_pid && (u32)c->a[2] == SIGKILL_ && !t->proc->pid1;
	}
	return 0;
}

/* kill and its like: the leader sends. What it sends itself is waiting when the call returns and reaches everyone there. */
s64 mm_kill_call(struct mm_thread *t)
{
	struct mm_call *c = &t->call;
	u32 signo = (u32)(c->nr == MM_NR_tgkill || c->nr == MM_NR_rt_tgsigqueueinfo ? c->a[2] : c->a[1]);

	if (signo == MM_KICK_SIGNAL)
		return 0; /* nobody uses it; as our kick it must not be sent by the program */
	return mm_app_call(t);
}
