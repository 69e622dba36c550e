/* SPDX-License-Identifier: Apache-2.0 */
/* Signals as the kernel has them: sets, flags and frames. For signals.c and sigcalls.c. */
#ifndef MONMOD_SIGNALS_H
#define MONMOD_SIGNALS_H

#include "monitor.h"

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
#define SA_KNOWN 0xdc000807ul /* these, and SA_EXPOSE_TAGBITS (UAPI_SA_FLAGS, include/linux/signal_types.h) */

#define FAULTS (BIT(11) | BIT(7) | BIT(4) | BIT(8) | BIT(5))       /* SEGV BUS ILL FPE TRAP */
#define OURS (FAULTS | BIT(31) | BIT(MM_KICK_SIGNAL))              /* and SYS, and the kick */
#define SYNCHRONOUS (FAULTS | BIT(31))                             /* what an instruction raises */
#define REAL_TIME (~0ul << 31)                                     /* 32 and up: queued, each with a value of its own */
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

static inline void mm_load_regs(struct mm_regs *r, const struct context *c)
{
	*r = (struct mm_regs){c->ax, c->bx,  c->cx,  c->dx,  c->si,  c->di,  c->bp,  c->sp, c->r8,
			      c->r9, c->r10, c->r11, c->r12, c->r13, c->r14, c->r15, c->ip, c->eflags};
}

static inline void mm_keep_regs(const struct mm_regs *r, struct context *c)
{
	c->ax = r->ax, c->bx = r->bx, c->cx = r->cx, c->dx = r->dx, c->si = r->si, c->di = r->di, c->bp = r->bp, c->sp = r->sp;
	c->r8 = r->r8, c->r9 = r->r9, c->r10 = r->r10, c->r11 = r->r11, c->r12 = r->r12, c->r13 = r->r13, c->r14 = r->r14,
	c->r15 = r->r15;
	c->ip = r->ip, c->eflags = r->flags;
}

static inline int mm_in_monitor(const struct mm_proc *p, u64 ip)
{
	return ip - p->reservation.from < p->reservation.to - p->reservation.from;
}

/* sigvalues.c */
void mm_value_to_number(const struct mm_proc *p, u8 *info);
void mm_number_to_value(const struct mm_proc *p, u8 *info);

/* signals.c */
u64 mm_real_mask(const struct mm_thread *t);
void mm_let_in(struct mm_thread *t, u64 mask);
long mm_install(int signo, u64 handler, u64 flags);
long mm_install_ours(const struct mm_proc *p, int signo, u64 flags);
int mm_ends_program(const struct mm_proc *p, int signo);
void mm_install_action(const struct mm_thread *t, int signo);

/* sigcalls.c */
void mm_call_mask_ends(struct mm_thread *t);

/* altstack.c */
int mm_altstack_holds(const struct mm_altstack *a, u64 sp);
int mm_altstack_used(const struct mm_altstack *a, u64 sp);
u64 mm_altstack_top(const struct mm_altstack *a, u64 sp);
void mm_altstack_entered(struct mm_altstack *a);
s64 mm_altstack_set(struct mm_thread *t, struct mm_altstack next, u64 sp);

#endif
