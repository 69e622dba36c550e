/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Values that the program attaches to its own signals (union sigval: timer_create(2), sigqueue(3)). A number is the same in every
 * variant and travels with the signal. An address is each variant's own: they agree on which of their addresses it is, and a
 * follower's handler gets its own. What the upper half says tells them apart, since addresses of programs lie above 4 GiB.
 */
#include "signals.h"
#include "special.h"
#include "table.gen.h"
#include <linux/errno.h>

#define INFO 128u /* siginfo_t */
#define NEW (~0u)
#define SI_TIMER_ (-2)

/* The parts of siginfo_t that both kinds have (include/uapi/asm-generic/siginfo.h). */
struct info {
	s32 signo, error, code, pad;
	s32 pid; /* … or the timer's number */
	u32 uid; /* … or its overruns */
	u64 value;
};

static int is_address(u64 value)
{
	return value >> 32 != 0;
}

/* The number of an address, or NEW. */
static u32 number_of(const struct mm_proc *p, u64 value)
{
	for (u32 i = 0; i < MM_MIN(p->values_next, MM_VALUES); i++)
		if (p->values[i] == value)
			return i;
	return NEW;
}

/* Only the effect enters it: until then a signal may come first, at another place of the call in each variant. */
static void describe_value(struct mm_thread *t, int arg, u64 value)
{
	if (is_address(value)) {
		t->call.extra = value;
		value = 1ul << 32 | number_of(t->proc, value);
	}
	mm_item_value(&t->call, arg, value);
}

void mm_effect_value(struct mm_thread *t, s64 ret)
{
	struct mm_proc *p = t->proc;

	/* past so many addresses the oldest is given up: its signal would carry the leader's */
	if (ret >= 0 && t->call.extra && number_of(p, t->call.extra) == NEW)
		p->values[p->values_next++ % MM_VALUES] = t->call.extra;
}

void mm_describe_timer(struct mm_thread *t)
{
	struct mm_call *c = &t->call;
	struct {
		u64 value;
		s32 signo, notify;
		u32 tid, pad[11];
	} * event;

	mm_by_leader(t);
	if (!c->a[1])
		return;
	event = mm_take(t, 1, 64, 0);
	if (!event)
		return;
	if (event->notify == 1) { /* SIGEV_NONE: the kernel looks at neither */
		event->signo = 0;
		event->value = 0;
	}
	mm_item_value(c, 1, (u32)event->signo | (u64)(u32)event->notify << 32);
	describe_value(t, 1, event->value);
	if ((event->notify & 3) == 2) /* SIGEV_THREAD: the kernel knows it not */
		mm_refuse(c, -EINVAL);
}

/* rt_sigqueueinfo and its like, the structure in argument i. To others go only bytes that all variants agree on. */
void mm_describe_queue(struct mm_thread *t, int i)
{
	struct mm_call *c = &t->call;
	struct info *info = mm_take(t, i, INFO, 0);

	mm_by_leader(t);
	if (!info)
		return;
	memset(info + 1, 0, INFO - sizeof(*info));
	info->pad = 0;
	mm_item_digest(t, i, info, __builtin_offsetof(struct info, value));
	if ((u32)c->a[0] == t->proc->virtual_pid)
		describe_value(t, i, info->value);
	else
		mm_item_value(c, i, info->value);
}

/* Is the value one that this program attached? Others may say so too: then the number is none of ours. */
static int is_own(const struct mm_proc *p, const struct info *info)
{
	return info->code < 0 && is_address(info->value) && (info->code == SI_TIMER_ || (u32)info->pid == p->virtual_pid);
}

/* The leader: an address becomes its number, for the followers. */
void mm_value_to_number(const struct mm_proc *p, u8 *at)
{
	struct info *info = (struct info *)at;
	u32 n = is_own(p, info) ? number_of(p, info->value) : NEW;

	if (n != NEW)
		info->value = (u64)NEW << 32 | n;
}

/* A follower: the number becomes its own address. */
void mm_number_to_value(const struct mm_proc *p, u8 *at)
{
	struct info *info = (struct info *)at;
	u32 n = (u32)info->value;

	if (is_own(p, info) && info->value >> 32 == NEW && n < MM_MIN(p->values_next, MM_VALUES))
		info->value = p->values[n];
}

/* rt_sigtimedwait: what the signal says is translated on its way into the program's memory. */
void mm_describe_sigwait(struct mm_thread *t)
{
	struct mm_call *c = &t->call;

	mm_by_leader(t);
	if (!c->a[1])
		return;
	if (mm_touches_monitor(t->proc, c->a[1], INFO))
		mm_refuse(c, -EFAULT);
	c->extra = c->x[1] = (u64)mm_stage(t, INFO);
	if (!c->extra)
		mm_refuse(c, -ENOMEM);
	mm_out_add(t, MM_OUT_STAGED, 1, c->extra, INFO);
}

/* A signal that is waited for and was noted here, where the kernel does not know of it any more. */
static s64 take_noted(struct mm_thread *t, s64 ret)
{
	struct mm_call *c = &t->call;
	u64 set = 0, there;
	int signo;

	if (mm_in(t, &set, c->a[0], 8) != 8 || !(there = t->pending & set))
		return ret;
	signo = __builtin_ctzl(there & SYNCHRONOUS ? there & SYNCHRONOUS : there) + 1;
	if (c->extra)
		memcpy((u8 *)c->extra, t->info[signo - 1], INFO);
	__atomic_fetch_and(&t->pending, ~BIT(signo), __ATOMIC_ACQ_REL);
	__atomic_fetch_and(&t->forced, ~BIT(signo), __ATOMIC_ACQ_REL);
	mm_update_kick(t);
	return signo;
}

s64 mm_execute_sigwait(struct mm_thread *t)
{
	struct mm_call *c = &t->call;
	s64 ret = mm_app_call(t);

	if (ret == MM_NOT_MADE || ret == -EINTR)
		ret = take_noted(t, ret);
	if (ret <= 0 || !c->extra)
		return ret;
	if (mm_out(t, c->a[1], (u8 *)c->extra, INFO) != INFO)
		return -EFAULT; /* the signal is gone, as natively */
	mm_value_to_number(t->proc, (u8 *)c->extra);
	return ret;
}

void mm_effect_sigwait(struct mm_thread *t, s64 ret)
{
	struct mm_call *c = &t->call;

	if (ret <= 0 || !c->extra || mm_is_leader(t->proc))
		return;
	if (c->outs[c->nout - 1].bytes != INFO)
		mm_diverge(t, MM_WHY_STREAM);
	mm_number_to_value(t->proc, (u8 *)c->extra);
	if (mm_out(t, c->a[1], (u8 *)c->extra, INFO) != INFO)
		mm_diverge(t, MM_WHY_RESULT);
}
