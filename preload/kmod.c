/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The back end kmod: a call comes without a signal, so there is no frame of the kernel's. Most calls need none. Where one is needed
 * (a handler of the program's begins or ends, flags that only the kernel can set), it is made here as the kernel makes it,
 * and the thread leaves by rt_sigreturn.
 */
#include "signals.h"
#include <monmod/kmod.h>

#define XSTATE_MAGIC1 0x46505853u /* FP_XSTATE_MAGIC1 and 2, arch/x86/include/uapi/asm/sigcontext.h */
#define XSTATE_MAGIC2 0x46505845u
#define XSTATE_MAX 4096u /* AVX-512 and PKRU need 2696 */
#define TILES (3ul << 17)
#define PKRU 9      /* the component's number */
#define UC_FLAGS 7u /* UC_FP_XSTATE, UC_SIGCONTEXT_SS, UC_STRICT_RESTORE_SS */
#define TF_NT_AC 0x44100ul
#define RED_ZONE 128
#define RET_AT 64 /* on the exit page, behind what mm_key_out takes */

/* What the kernel leaves beside the legacy area, struct _fpx_sw_bytes. */
struct software {
	u32 magic1, extended_size;
	u64 xfeatures;
	u32 xstate_size, padding[7];
};

struct room {
	struct context uc;
	u8 state[XSTATE_MAX + 4] __attribute__((aligned(64)));
};

static void cpuid(u32 leaf, u32 part, u32 *eax, u32 *ebx)
{
	u32 ecx = part, edx;

	__asm__ volatile("cpuid" : "=a"(*eax), "=b"(*ebx), "+c"(ecx), "=d"(edx) : "0"(leaf));
}

/* What the kernel has in a frame: the features that are switched on, but for tiles (AMX), which a process must ask for. */
static void find_state(struct mm_proc *p)
{
	u32 low, high, size, offset;

	if (p->xstate_bytes)
		return;
	__asm__ volatile("xgetbv" : "=a"(low), "=d"(high) : "c"(0));
	p->xstate_features = ((u64)high << 32 | low) & ~TILES;
	p->xstate_bytes = 512 + 64;
	p->xstate_pkru = 0;
	for (u32 i = 2; i < 63; i++)
		if (p->xstate_features >> i & 1) {
			cpuid(13, i, &size, &offset);
			if (offset + size > p->xstate_bytes)
				p->xstate_bytes = offset + size;
			if (i == PKRU)
				p->xstate_pkru = offset;
		}
	p->xstate_bytes = MM_MIN(p->xstate_bytes, XSTATE_MAX);
}

/* The registers that the monitor never touches, as the kernel saves them. */
static void save_state(struct mm_proc *p, u8 *to)
{
	memset(to + 512, 0, 64); /* the header */
	__asm__ volatile("xsave64 (%0)" : : "r"(to), "a"((u32)p->xstate_features), "d"((u32)(p->xstate_features >> 32)) : "memory");
	*(struct software *)(to + 464) = (struct software){.magic1 = XSTATE_MAGIC1,
							   .extended_size = (u32)p->xstate_bytes + 4,
							   .xfeatures = p->xstate_features,
							   .xstate_size = (u32)p->xstate_bytes};
	*(u32 *)(to + p->xstate_bytes) = XSTATE_MAGIC2;
}

/* The frame by which the thread will leave; its registers and mask are filled in when it does. */
u8 *mm_frame(struct mm_thread *t)
{
	struct room *room = (struct room *)t->frame_room;

	if (t->frame)
		return t->frame;
	memset(room, 0, t->token_seen ? sizeof(*room) : sizeof(room->uc)); /* a signal's frame may have lain here */
	room->uc.flags = UC_FLAGS;
	room->uc.cs = 0x33;
	room->uc.ss = 0x2b;
	room->uc.fpstate = (u64)room->state;
	/* the alternate stack stays the monitor's */
	room->uc.stack_sp = ((u64)t & ~(MM_SLOT - 1)) + MM_PAGE;
	room->uc.stack_size = MM_SLOT - MM_BLOCK - MM_PAGE;
	find_state(t->proc);
	save_state(t->proc, room->state);
	t->frame = (u8 *)&room->uc;
	return t->frame;
}

static int within(u64 ip, const char *from, const char *to)
{
	return ip >= (u64)from && ip < (u64)to;
}

/*
 * A frame by which the program goes on. It cannot close the key itself: kernels before 6.12 read the frame on after they have set PKRU
 * from it. So rt_sigreturn leads to code of ours with the key open, whatever the frame said of PKRU (it may be the program's own
 * words), and that closes it. What was interrupted there begins there anew.
 */
static void close_key(struct mm_thread *t, u8 *frame)
{
	struct context *uc = (struct context *)frame;
	u8 *state = (u8 *)uc->fpstate;
	u64 *out = (u64 *)(t->exit_page + RET_AT);

	uc->cs = 0x33; /* our code, not the same number of bits further down */
	uc->ss = 0x2b;
	if (within(uc->ip, mm_key_out, mm_key_out_end)) {
		uc->ip = (u64)mm_key_out;
		uc->sp = t->exit_page;
	} else {
		if (!within(uc->ip, mm_key_ret, mm_key_ret_end)) {
			const u64 values[] = {uc->cx, uc->dx, uc->ax, uc->eflags & ~TF_NT_AC, uc->sp - RED_ZONE - 8};

			memcpy(out, values, sizeof(values));
			if (mm_out(t, values[4], &uc->ip, 8) != 8)
				mm_die_by(t, 11); /* no stack, as for a handler without one */
		}
		uc->ip = (u64)mm_key_ret;
		uc->sp = (u64)out;
		uc->eflags &= ~TF_NT_AC;
	}
	if (state && *(u32 *)(state + 464) == XSTATE_MAGIC1) {
		find_state(t->proc);
		*(u32 *)(state + t->proc->xstate_pkru) = MM_KMOD_PKRU_CLOSED & ~(3u << 2 * MM_KMOD_KEY);
		*(u64 *)(state + 512) |= 1ul << PKRU;
	}
}

/* The same where pages are hidden: the frame leads to the call that does it, and the registers to go on with into the block. */
static void hide_pages(struct mm_thread *t, u8 *frame, u64 token)
{
	struct context *uc = (struct context *)frame;

	mm_load_regs(&t->regs, uc);
	uc->cs = 0x33;
	uc->ss = 0x2b;
	uc->ip = (u64)mm_hide;
	uc->r15 = token;
	uc->eflags &= ~TF_NT_AC;
}

/*
 * For every frame by which the thread leaves; `ip` is where it was interrupted. Frames of the monitor's own instructions go on as they
 * are, but for our last ones, which have closed the key already, and for code of the monitor's that somebody else has jumped to.
 */
void mm_close(struct mm_thread *t, u8 *frame, u64 ip)
{
	const struct mm_proc *p = t->proc;

	if (p->flags & MM_START_KEY) {
		if (!mm_in_monitor(p, ip) || within(ip, mm_key_out, mm_key_ret_end))
			close_key(t, frame);
	} else if (p->flags & MM_START_PAGES) {
		u64 token;

		__asm__ volatile("mov %%r15, %0" : "=r"(token));
		if (((struct context *)frame)->r15 != token)
			hide_pages(t, frame, token);
	}
}

/* From mm_kmod_entry, and back to it where no frame was needed. */
void mm_kmod_call(struct mm_thread *t)
{
	struct room room;

	t->frame = NULL;
	t->frame_room = (u8 *)&room;
	t->call.row = NULL;
	mm_monitor(t);
	if (t->regs.flags & TF_NT_AC || t->held & ~t->pending)
		mm_frame(t); /* … the kernel's mask is to let them through again */
	t->held &= t->pending;
	if (t->frame) {
		struct context *uc = (struct context *)t->frame;

		mm_keep_regs(&t->regs, uc);
		uc->sigmask = mm_real_mask(t);
		mm_close(t, t->frame, 0);
		mm_leave_by(t->frame);
	}
}
