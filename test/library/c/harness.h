/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The library's C inside an ordinary program built with sanitizers. Real are its files, the kernel, the copies from and to
 * the "program's" memory with their faults; the gate is wrapped, so that what would end the process comes back to the test.
 */
#ifndef HARNESS_H
#define HARNESS_H

#include <setjmp.h>
#include <stdio.h>
#include <stdlib.h>

#include "monitor.h"
#include "table.gen.h"
#include <linux/errno.h>
#include <linux/mman.h>

/*
 * Memory of the test's program, and behind it, without a gap, the monitor's reservation: a guard page, then bytes that
 * nothing may read into a form or write to.
 */
#define USER_BYTES (64ul * MM_PAGE)
#define SECRET_BYTES (15ul * MM_PAGE)
extern u8 *user, *user_end, *secret;

extern struct mm_thread *T;
extern struct mm_proc *P;

/* A process as the start leaves it, in the role of enum mm_role, with one follower that is not alive. */
void fresh(int role);

/* How a run of the monitor came back. */
enum outcome { RETURNED, STARVED, DIVERGED, EXITED };
extern jmp_buf back;
#define RUN(what) (setjmp(back) ?: ((what), RETURNED))
_Noreturn void come_back(enum outcome how);

/* Of the last message to the supervisor: its type, and mm_msg_case.reason where it has one. */
extern u32 said_type, said_reason, said_bytes;
extern int exit_status;

/* May take a call of the monitor over: returns 1 and sets *result. */
extern int (*hook)(long nr, const u64 a[6], long *result);
extern void (*wake)(void); /* in place of a sleep in the arena; NULL: nobody wakes, and it is the end of the run */

/* One call of the program, by its x86_64 number. The result is in T->regs.ax. */
enum outcome call(long nr, u64 a, u64 b, u64 c, u64 d, u64 e, u64 f);

/* The leader's stream as a follower sees it. */
void put(const void *bytes, u32 n);                                     /* as it is, and published */
void put_call(long nr, u64 a, u64 b, u64 c, u64 d, u64 e, u64 f);       /* the CALL record that this call is to agree with */
void put_result(s64 ret, int flags, u32 nout, const void *outs, u32 n); /* for the call just put */
const struct mm_rec *published(u32 i);                                  /* leader: the i-th record of the stream */

/* The item of the form of the call described last, counted from 0; NULL behind the last one. */
const struct mm_item *item(u32 i);

extern int failures;
#define CHECK(cond, ...)                                                  \
	do {                                                              \
		if (!(cond)) {                                            \
			printf("%s:%d: %s: ", __FILE__, __LINE__, #cond); \
			printf("" __VA_ARGS__);                           \
			printf("\n");                                     \
			failures++;                                       \
		}                                                         \
	} while (0)

#endif
