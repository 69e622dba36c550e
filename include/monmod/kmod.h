/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the kernel module offers by /dev/monmod: sessions to the supervisor, arming to the library.
 *
 *   open /dev/monmod                a session; its last close kills every task that is armed in it
 *     MM_KMOD_IOC_INFO              what module this is
 *     MM_KMOD_IOC_LIBRARY           the one file that an armed task may execute
 *     MM_KMOD_IOC_ARMING            → an arming descriptor, to be passed to one variant
 *     read, poll                    struct mm_kmod_violation: what armed tasks were killed for
 *   arming descriptor
 *     mmap                          memory of the monitor's: MAP_SHARED, the same for nobody else, each offset once
 *     MM_KMOD_IOC_ARM               arms the calling thread
 *     MM_KMOD_IOC_NEXT              the block of the next thread that the calling thread makes
 *
 * A call of an armed thread from outside the gates is not carried out. The module writes number, ip, sp, flags and r15 into the
 * thread's block (struct mm_kmod_block), and the thread goes on at `entry` with rsp = the block. With MM_KMOD_GUARD_TOKEN r15
 * then holds a token without which the gates let nothing pass; with MM_KMOD_GUARD_KEY the key MM_KMOD_KEY is open in PKRU. mmap of
 * such a descriptor takes the key and opens it, arming closes it, and the library closes it wherever it leaves. With
 * MM_KMOD_GUARD_PAGES it leaves by the call MM_KMOD_LEAVE at a gate, and goes on with all registers as the block has them. Threads of one
 * process share their page tables: while one is inside, the memory is there for the others too.
 *
 * Every structure begins with the version; another one is answered EPROTO. Unknown flags and guards are EINVAL.
 */
#ifndef MONMOD_KMOD_H
#define MONMOD_KMOD_H

#ifdef __KERNEL__
#include <linux/types.h>
#else
#include <stdint.h>
#endif

#define MM_KMOD_VERSION 1u

#define MM_KMOD_GUARD_NONE 0u  /* whoever jumps to a gate makes calls */
#define MM_KMOD_GUARD_TOKEN 1u /* gates pass calls with the token in r15 only */
#define MM_KMOD_GUARD_KEY \
	2u /* gates pass calls with the monitor's protection key open only, and it is on the descriptor's memory */

#define MM_KMOD_GUARD_PAGES \
	3u /* the token, and the descriptor's memory is there for user space only between a redirect and MM_KMOD_LEAVE */

#define MM_KMOD_KEY 1u                  /* the first that a process gets */
#define MM_KMOD_PKRU_CLOSED 0x55555554u /* every key but 0 is closed: what the kernel starts programs with (init_pkru) */

struct mm_kmod_info {
	uint32_t version;
	uint32_t guards; /* bit n: guard n is offered on this processor */
	uint32_t active; /* 0: the operator forbids arming */
	uint32_t pad;
};

struct mm_kmod_library {
	uint32_t version;
	int32_t fd; /* of the file, open for anything */
};

struct mm_kmod_arming {
	uint32_t version;
	uint32_t guard; /* MM_KMOD_GUARD_* of the tasks that will be armed by the descriptor */
};

struct mm_kmod_arm {
	uint32_t version;
	uint32_t pad;
	uint64_t gates, gates_bytes; /* where calls pass: whole pages */
	uint64_t entry;              /* where a redirected call goes on */
	uint64_t handler;            /* the signal handler; others are delivered without the token */
	uint64_t announce; /* address behind the handler's first instruction pair, a system call by which it gets the token */
	uint64_t block;    /* struct mm_kmod_block in the descriptor's mapping, aligned to a page */
};

struct mm_kmod_next {
	uint32_t version;
	uint32_t pad;
	uint64_t block;
};

/* The beginning of struct mm_thread: registers in the order of struct mm_regs (preload/block.h). */
struct mm_kmod_block {
	uint64_t ax, bx, cx, dx, si, di, bp, sp, r8, r9, r10, r11, r12, r13, r14, r15, ip, flags;
};

#define MM_KMOD_LEAVE 0xfffffffeu /* no number of a call */

enum mm_kmod_offence {
	MM_KMOD_GATE = 1,     /* a call at a gate by who is not the monitor */
	MM_KMOD_COMPAT = 2,   /* a 32-bit call: int 0x80 */
	MM_KMOD_EXEC = 3,     /* another image than the library's */
	MM_KMOD_UNMAPPED = 4, /* the monitor's memory was unmapped */
	MM_KMOD_SIGNAL = 5,   /* a handler's first call without a signal */
	MM_KMOD_CHILD = 6,    /* a child that could not be armed */
	MM_KMOD_VSYSCALL = 7, /* the vsyscall page */
	MM_KMOD_CLOSED = 8,   /* the session ended */
	MM_KMOD_RESET = 9,    /* the operator's reset */
};

struct mm_kmod_violation {
	uint32_t pid;     /* of the process, in the reader's PID namespace; 0: not in there */
	uint32_t offence; /* enum mm_kmod_offence */
	uint64_t nr;      /* the call's number, where there is one */
	uint64_t ip, sp;  /* the program's */
};

/* _IOC(direction, 'M', number, size) of asm-generic/ioctl.h; the module asserts that they are. */
#define MM_KMOD_IOC_INFO 0xc0104d01u
#define MM_KMOD_IOC_LIBRARY 0x40084d02u
#define MM_KMOD_IOC_ARMING 0x40084d03u
#define MM_KMOD_IOC_ARM 0x40384d04u
#define MM_KMOD_IOC_NEXT 0x40104d05u

#endif
