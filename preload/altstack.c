/* SPDX-License-Identifier: Apache-2.0 */
/* The program's alternate signal stack, as kernel/signal.c (do_sigaltstack) keeps it. The kernel's own is the monitor's. */
#include "signals.h"
#include <linux/errno.h>

#define SS_ONSTACK_ 1
#define SS_DISABLE_ 2
#define SS_AUTODISARM_ ((s32)0x80000000)
#define LEAST 2048 /* MINSIGSTKSZ */

int mm_altstack_holds(const struct mm_altstack *a, u64 sp)
{
	return sp > a->sp && sp - a->sp <= a->size;
}

/* Does a handler, or what it has called, run on it? One that disarms itself is taken away when it is entered. */
int mm_altstack_used(const struct mm_altstack *a, u64 sp)
{
	return !(a->flags & SS_AUTODISARM_) && mm_altstack_holds(a, sp);
}

/* Where a handler with SA_ONSTACK begins; 0: where the program is. */
u64 mm_altstack_top(const struct mm_altstack *a, u64 sp)
{
	return a->size && !mm_altstack_used(a, sp) ? a->sp + a->size : 0;
}

void mm_altstack_entered(struct mm_altstack *a)
{
	if (a->flags & SS_AUTODISARM_)
		*a = (struct mm_altstack){.flags = SS_DISABLE_};
}

s64 mm_altstack_set(struct mm_thread *t, struct mm_altstack next, u64 sp)
{
	s32 mode = next.flags & ~SS_AUTODISARM_;

	if (mm_altstack_used(&t->alt, sp))
		return -EPERM;
	if (mode != SS_DISABLE_ && mode != SS_ONSTACK_ && mode != 0)
		return -EINVAL;
	if (mode == SS_DISABLE_)
		next.sp = next.size = 0;
	else if (next.size < LEAST)
		return -ENOMEM;
	else if (mm_touches_monitor(t->proc, next.sp, next.size))
		return -EFAULT;
	t->alt = next;
	return 0;
}

s64 mm_sigaltstack_call(struct mm_thread *t)
{
	struct mm_call *c = &t->call;
	struct mm_altstack now = t->alt, next;
	s64 ret = 0;

	now.flags &= SS_AUTODISARM_;
	now.pad = 0;
	now.flags |= !now.size ? SS_DISABLE_ : mm_altstack_used(&t->alt, t->regs.sp) ? SS_ONSTACK_ : 0;
	if (c->a[0]) {
		if (mm_in(t, &next, c->a[0], sizeof(next)) != sizeof(next))
			return -EFAULT;
		ret = mm_altstack_set(t, next, t->regs.sp);
	}
	if (!ret && c->a[1] && mm_out(t, c->a[1], &now, sizeof(now)) != sizeof(now))
		return -EFAULT;
	return ret;
}
