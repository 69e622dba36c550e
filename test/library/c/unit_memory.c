/* SPDX-License-Identifier: Apache-2.0 */
/* memory.c and signals.c: the reservation is out of reach of every call about memory, and of forged frames. */
#include "harness.h"
#include "unit.h"
#include <asm/unistd_64.h>

static int untouched(void)
{
	for (u64 i = 0; i < SECRET_BYTES; i++)
		if (secret[i] != 0x5e)
			return 0;
	return 1;
}

static int huge; /* what fstatfs is to say of descriptor 9 */
static int made;

static int no_kernel(long nr, const u64 a[6], long *result)
{
	switch (nr) {
	case __NR_fstatfs:
		memset((void *)a[1], 0, 120);
		*(u64 *)a[1] = huge ? 0x958458f6 : 0xef53;
		*result = 0;
		return 1;
	case __NR_mmap:
		made = 1;
		*result = (long)a[0];
		return 1;
	}
	return 0;
}

/* What reaches into the reservation in any way never gets to the kernel. */
static void reservation(void)
{
	const u64 from = P->reservation.from, s = (u64)secret, page = MM_PAGE;
	const struct {
		const char *name;
		long nr;
		u64 a[5];
	} table[] = {
	    {"munmap", __NR_munmap, {s, page}},
	    {"munmap over", __NR_munmap, {from - page, page + 1}},
	    {"munmap of all", __NR_munmap, {0, from + page}},
	    {"munmap that wraps", __NR_munmap, {from - page, -page}},
	    {"mprotect", __NR_mprotect, {s, page, 3}},
	    {"mprotect of nothing", __NR_mprotect, {s, 0, 0}},
	    {"mprotect, executable", __NR_mprotect, {s, page, 7}},
	    {"madvise", __NR_madvise, {s, page, 4}},
	    {"mremap from", __NR_mremap, {s, page, 2 * page, 1}},
	    {"mremap of nothing", __NR_mremap, {s, 0, page, 1}},
	    {"mremap onto", __NR_mremap, {(u64)user, page, page, 3, s}},
	    {"mremap onto the edge", __NR_mremap, {(u64)user, page, 2 * page, 3, from - page}},
	    {"mremap into", __NR_mremap, {from - page, page, 2 * page, 0}},
	    {"mmap", __NR_mmap, {s, page, 3, 0x32, -1ul}},
	    {"mmap over the edge", __NR_mmap, {from - page, page + 1, 3, 0x32, -1ul}},
	    {"mmap that wraps", __NR_mmap, {from - page, -page, 3, 0x32, -1ul}},
	    {"mmap, not replacing", __NR_mmap, {s, page, 3, 0x100022, -1ul}},
	    {"mincore to", __NR_mincore, {(u64)user, page, s}},
	    {"mincore of", __NR_mincore, {s, page, (u64)user}},
	    {"futex", __NR_futex, {s, 1, 1, 0, 0}},
	    {"futex timeout", __NR_futex, {(u64)user, 0, 0, s, 0}},
	    {"futex word 2", __NR_futex, {(u64)user, 4, 1, 0, s}},
	    {"mlock", __NR_mlock, {s, page}},
	};

	for (u32 i = 0; i < sizeof(table) / sizeof(table[0]); i++) {
		const u64 *a = table[i].a;

		fresh(MM_LEADER);
		((struct mm_control *)P->control)->live = 0;
		CHECK(call(table[i].nr, a[0], a[1], a[2], a[3], a[4], 0) == RETURNED, "%s", table[i].name);
		CHECK((s64)T->regs.ax < 0 && (s64)T->regs.ax > -4096, "%s: %ld", table[i].name, (s64)T->regs.ax);
		CHECK(untouched(), "%s", table[i].name);
	}
}

/* Huge pages: the kernel rounds the length of a fixed mapping up to theirs. */
static void huge_pages(void)
{
	const u64 below = P->reservation.from - 16 * MM_PAGE;
	const struct {
		const char *name;
		u64 flags;
		int huge, reaches;
	} table[] = {
	    {"anonymous", 0x32, 0, 1},
	    {"anonymous, huge", 0x32 | MAP_HUGETLB, 0, 0},
	    {"file", 0x12, 0, 1},
	    {"file of huge pages", 0x12, 1, 0},
	};

	for (u32 i = 0; i < sizeof(table) / sizeof(table[0]); i++) {
		fresh(MM_LEADER);
		mm_fd_make(T, 9, MM_FD_OWN, MM_KIND_FILE);
		hook = no_kernel;
		huge = table[i].huge;
		made = 0;
		call(__NR_mmap, below, MM_PAGE, 3, table[i].flags, 9, 0);
		CHECK(made == table[i].reaches, "%s: %d", table[i].name, made);
	}
}

/* Nothing lies at address 0: a null pointer is not looked behind. */
static void null_page(void)
{
	call(__NR_mmap, 0, MM_PAGE, 3, 0x32, -1ul, 0);
	CHECK((s64)T->regs.ax == -EPERM);
	call(__NR_mremap, (u64)user, MM_PAGE, MM_PAGE, 3, 0, 0);
	CHECK((s64)T->regs.ax == -EPERM);
}

static void heap(void)
{
	static const s64 moves[] = {4096, 4097, 1, 0, 100000, 5, -1};

	P->brk_start = P->brk_now = 0x200000000000;
	for (u32 i = 0; i < sizeof(moves) / sizeof(moves[0]); i++) {
		call(__NR_brk, P->brk_start + (u64)moves[i], 0, 0, 0, 0, 0);
		CHECK(T->regs.ax == (moves[i] < 0 ? P->brk_start + 5 : P->brk_start + (u64)moves[i]), "%ld", moves[i]);
	}
	call(__NR_brk, P->brk_start + 8192, 0, 0, 0, 0, 0);
	memset((void *)P->brk_start, 1, 8192);
	call(__NR_brk, P->brk_start, 0, 0, 0, 0, 0);
	P->brk_start = P->brk_now = P->reservation.from - 8 * MM_PAGE;
	call(__NR_brk, P->reservation.from + 1, 0, 0, 0, 0, 0);
	CHECK(T->regs.ax == P->brk_start, "does not grow into the reservation");
	call(__NR_brk, ~0ul, 0, 0, 0, 0, 0);
	CHECK(T->regs.ax == P->brk_start);
}

struct context {
	u64 flags, link, stack[3];
	u64 r8, r9, r10, r11, r12, r13, r14, r15, di, si, bp, bx, dx, ax, cx, sp, ip, eflags;
	u16 cs, gs, fs, ss;
	u64 err, trapno, oldmask, cr2, fpstate, reserved[8], sigmask;
};

/* A frame of the program's making: registers yes; segments, the monitor's memory and the size of the state no. */
static void forged_frame(void)
{
	static _Alignas(64) u8 state[512];
	static struct context kernels;
	struct context *forged = (struct context *)(user + 0x1000);
	u8 *theirs = user + 0x2000;

	kernels = (struct context){.cs = 0x33, .ss = 0x2b, .fpstate = (u64)state};
	for (int i = 0; i < 3; i++) {
		memset(state, 0, sizeof(state));
		memset(forged, 0xee, sizeof(*forged));
		memset(theirs, 0xaa, 1024);
		memset(theirs + 464, 0, 48);
		forged->fpstate = i == 0 ? (u64)theirs : i == 1 ? (u64)secret : (u64)user_end - 100;
		if (i == 2)
			forged->eflags = ~0ul;
		T->frame = (u8 *)&kernels;
		T->regs = (struct mm_regs){.ax = __NR_rt_sigreturn, .sp = (u64)forged};
		P->real_pid = P->real_tid = 0x3fffffff;
		enum outcome how = RUN(mm_monitor(T));

		if (i) {
			CHECK(how == EXITED && exit_status == 128 + 11, "%d: state that cannot be read: %d", i, how);
			fresh(MM_LEADER);
			continue;
		}
		CHECK(how == RETURNED && T->regs.ip == forged->ip && T->regs.r15 == forged->r15);
		CHECK((T->regs.flags & ~0x240fd7ul) == 0 && (T->regs.flags & 0x202) == 0x202, "flags %#lx", T->regs.flags);
		CHECK(!(T->mask & (1ul << 8 | 1ul << 18)), "KILL and STOP are never blocked");
		CHECK(kernels.cs == 0x33 && state[0] == 0xaa && state[464] == 0);
		CHECK(*(u32 *)(state + 24) <= 0xffff, "MXCSR");
	}
	T->regs = (struct mm_regs){.ax = __NR_rt_sigreturn, .sp = (u64)secret};
	P->real_pid = P->real_tid = 0x3fffffff;
	CHECK(RUN(mm_monitor(T)) == EXITED, "a frame in the monitor's memory");
	CHECK(untouched());
}

static int killed;

static int no_kill(long nr, const u64 a[6], long *result)
{
	(void)a;
	if (nr != __NR_kill && nr != __NR_tgkill && nr != __NR_tkill)
		return 0;
	killed++;
	*result = 0;
	return 1;
}

/* The kick is never sent by the program; every other number is the kernel's to judge. */
static void kills(void)
{
	static const struct {
		u64 signo;
		int sent;
	} table[] = {{0, 1}, {15, 1}, {16, 0}, {64, 1}, {80, 1}, {65, 1}, {0xffffffff00000010, 0}};

	for (u32 i = 0; i < sizeof(table) / sizeof(table[0]); i++) {
		fresh(MM_LEADER);
		hook = no_kill;
		killed = 0;
		call(__NR_kill, 1234567, table[i].signo, 0, 0, 0, 0);
		CHECK(killed == table[i].sent, "signal %#lx", table[i].signo);
	}
}

/*
 * A signal that came before a call. Where the call would wait for ever, it ends the wait: the program may have looked before for
 * what its handler sets. Every other call is made after the handler.
 */
static void signal_before_wait(void)
{
	const u64 none = (u64)user + 0x800, some = (u64)user + 0x810, set = (u64)user + 0x820;
	const struct {
		const char *name;
		long nr;
		u64 a[6];
		int waits;
	} table[] = {
	    {"poll", __NR_poll, {0, 0, -1ul}, 1},
	    {"poll, some time", __NR_poll, {0, 0, 100}, 1},
	    {"poll that only looks", __NR_poll, {0, 0, 0}, 0},
	    {"ppoll", __NR_ppoll, {0, 0, 0, set, 8}, 1},
	    {"ppoll that only looks", __NR_ppoll, {0, 0, none, set, 8}, 0},
	    {"select", __NR_select, {0, 0, 0, 0, 0}, 1},
	    {"select, some time", __NR_select, {0, 0, 0, 0, some}, 1},
	    {"select that only looks", __NR_select, {0, 0, 0, 0, none}, 0},
	    {"pselect6", __NR_pselect6, {0, 0, 0, 0, 0, 0}, 1},
	    {"epoll_wait", __NR_epoll_wait, {5, (u64)user, 1, -1ul}, 1},
	    {"epoll_wait that only looks", __NR_epoll_wait, {5, (u64)user, 1, 0}, 0},
	    {"epoll_pwait", __NR_epoll_pwait, {5, (u64)user, 1, -1ul, set, 8}, 1},
	    {"pause", __NR_pause, {0}, 1},
	    {"rt_sigsuspend", __NR_rt_sigsuspend, {set, 8}, 1},
	    {"getpid", __NR_getpid, {0}, 0},
	    {"nanosleep", __NR_nanosleep, {some, 0}, 0},
	};
	static _Alignas(64) u8 state[512], frame[1024];

	for (u32 i = 0; i < sizeof(table) / sizeof(table[0]); i++) {
		const u64 *a = table[i].a;
		struct context *saved;

		fresh(MM_LEADER);
		((struct mm_control *)P->control)->live = 0;
		mm_fd_make(T, 5, MM_FD_LEADER, MM_KIND_EPOLL);
		memset(user, 0, 0x1000);
		*(u64 *)some = 1;
		P->action[9] = (struct mm_sigaction){(u64)user + 0x100, 0, (u64)user + 0x200, 0};
		T->frame = frame;
		*(u64 *)(frame + 224) = (u64)state; /* uc_mcontext.fpstate */
		T->pending = 1ul << 9;
		T->kick = 1;
		CHECK(call(table[i].nr, a[0], a[1], a[2], a[3], a[4], a[5]) == RETURNED, "%s", table[i].name);
		CHECK(T->regs.ip == (u64)user + 0x100, "%s: not in the handler", table[i].name);
		saved = (struct context *)T->regs.dx;
		CHECK((saved->ip == (u64)user) == table[i].waits, "%s: the handler returns to %+ld", table[i].name,
		      (long)(saved->ip - (u64)user));
		if (table[i].waits)
			CHECK((s64)saved->ax == -EINTR, "%s: %ld", table[i].name, (s64)saved->ax);
	}
}

const struct unit memory_units[] = {{"reservation", reservation},
				    {"huge-pages", huge_pages},
				    {"null-page", null_page},
				    {"heap", heap},
				    {"forged-frame", forged_frame},
				    {"kills", kills},
				    {"signal-before-wait", signal_before_wait},
				    {NULL, NULL}};
