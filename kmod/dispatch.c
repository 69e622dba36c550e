// SPDX-License-Identifier: GPL-2.0
/*
 * One call of an armed task, in the place of syscall_user_dispatch() (kernel/entry/syscall_user_dispatch.c), which syscall_trace_enter()
 * calls before anything else looks at the call. False: the call goes on as any other. True: it is over, with nothing carried out.
 *
 * A call from a gate passes. Any other is handed to the monitor: what the kernel has of the thread's registers and the monitor's
 * entry cannot save itself goes into the thread's block, and the thread continues at the entry. rcx and r11 are set so that the
 * kernel may leave by SYSRET. The block is written through the kernel's own mapping: no fault can come in between.
 */
#include <asm/syscall.h>
#include <linux/entry-common.h>
#include <linux/percpu.h>
#include <linux/prctl.h>
#include <linux/unistd.h>
#include "monmod.h"
#include "trace.h"

#define CLEARED (X86_EFLAGS_TF | X86_EFLAGS_DF | X86_EFLAGS_AC | X86_EFLAGS_NT | X86_EFLAGS_RF)
/* What a program may have in its flags: FIX_EFLAGS, arch/x86/kernel/signal.c */
#define PROGRAMS (X86_EFLAGS_AC | X86_EFLAGS_OF | X86_EFLAGS_DF | X86_EFLAGS_TF | X86_EFLAGS_SF | X86_EFLAGS_ZF | X86_EFLAGS_AF | \
		  X86_EFLAGS_PF | X86_EFLAGS_CF | X86_EFLAGS_ID)

DEFINE_PER_CPU(u64, monmod_entries);

u64 monmod_entries_sum(void)
{
	u64 n = 0;
	int cpu;

	for_each_possible_cpu(cpu)
		n += per_cpu(monmod_entries, cpu);
	return n;
}

/* Ends the call: nothing is executed, restarted or traced on its way out. */
static notrace bool over(struct pt_regs *regs)
{
	current->syscall_dispatch.on_dispatch = true;
	regs->orig_ax = -1;
	return true;
}

static notrace bool offence(struct monmod_task *t, struct pt_regs *regs, u32 what)
{
	u64 nr = regs->orig_ax;

	monmod_violation(t->space->session, current, what, regs, nr);
	return over(regs);
}

/* A handler's first call, by which it is let in: once for every delivery that the kernel has made. */
static notrace bool announced(struct monmod_task *t, struct pt_regs *regs)
{
	if (!t->signals)
		return offence(t, regs, MM_KMOD_SIGNAL);
	t->signals--;
	monmod_let_in(t->space, regs);
	return over(regs);
}

/*
 * What no monitor calls: by prctl a thread takes itself out of our sight, and io_uring's workers are never in it. These have the
 * process's memory and the key as it was when they were made: open.
 */
static notrace bool escapes(const struct pt_regs *regs)
{
	if (unlikely(regs->orig_ax == __NR_prctl))
		return (u32)regs->di == PR_SET_SYSCALL_USER_DISPATCH;
	return regs->orig_ax - __NR_io_uring_setup <= __NR_io_uring_register - __NR_io_uring_setup;
}

/* The monitor leaves by a call: everything is as its block says. The kernel looks at what SYSRET cannot do. */
static notrace bool leaves(struct monmod_task *t, struct pt_regs *regs)
{
	const struct mm_kmod_block *block = t->block;

	monmod_shut_out(t->space);
	regs->ax = block->ax;
	regs->bx = block->bx;
	regs->cx = block->cx;
	regs->dx = block->dx;
	regs->si = block->si;
	regs->di = block->di;
	regs->bp = block->bp;
	regs->sp = block->sp;
	regs->r8 = block->r8;
	regs->r9 = block->r9;
	regs->r10 = block->r10;
	regs->r11 = block->r11;
	regs->r12 = block->r12;
	regs->r13 = block->r13;
	regs->r14 = block->r14;
	regs->r15 = block->r15;
	regs->ip = block->ip;
	regs->flags = (regs->flags & ~PROGRAMS) | (block->flags & PROGRAMS);
	return over(regs);
}

notrace bool monmod_syscall(struct pt_regs *regs, struct monmod_task *t)
{
	struct mm_kmod_block *block;

	if (unlikely(in_ia32_syscall()))
		return offence(t, regs, MM_KMOD_COMPAT);
	if (regs->ip - t->gates < t->gates_bytes) {
		if (unlikely(!monmod_inside(t->space, regs) || escapes(regs)))
			return offence(t, regs, MM_KMOD_GATE);
		if (unlikely(regs->orig_ax == MM_KMOD_LEAVE && t->space->guard == MM_KMOD_GUARD_PAGES))
			return leaves(t, regs);
		return false;
	}
	if (unlikely(regs->ip == t->announce))
		return announced(t, regs);
	this_cpu_inc(monmod_entries);
	trace_monmod_entry(regs->orig_ax, regs->ip);
	block = t->block;
	block->ax = regs->orig_ax;
	block->sp = regs->sp;
	block->r15 = regs->r15;
	block->ip = regs->ip;
	block->flags = regs->flags;
	monmod_let_in(t->space, regs);
	regs->sp = t->block_at;
	regs->ip = t->entry;
	regs->cx = t->entry;
	regs->flags &= ~CLEARED;
	regs->r11 = regs->flags;
	return over(regs);
}
