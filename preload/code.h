/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Code under a protection key. Two instructions of x86 can open the key: WRPKRU and XRSTOR. Wherever their bytes stand in what the
 * program may execute, an attacker can jump to them, so they are taken out before it is executable, and then nobody can
 * write there: executable memory is private, anonymous and never writable (code.c). What legitimate code has of them is replaced by
 * something that does the same and leaves the key closed (rewrite.c). Where that cannot be done with certainty the code is refused.
 * With `guard: weak` (no MM_START_CODE) none of this is done.
 */
#ifndef MONMOD_CODE_H
#define MONMOD_CODE_H

#include "block.h"

/* Code that is being looked at: `bytes` is a writable copy of what will lie at `at`. */
struct mm_code {
	struct mm_proc *p;
	u8 *bytes;
	u64 at, n;
	s64 fd;     /* the file it comes from, -1: none */
	u64 offset; /* of `at` in that file */
	u64 low;    /* stubs lie below this address or where the next mapping would lie; 0: there only */
	/* where the replacements that are longer than the original go, being filled */
	u8 *stubs;
	u64 stubs_used;
};

/* code.c */
int mm_code_guarded(const struct mm_proc *p);
s64 mm_code_check(const struct mm_proc *p, u64 prot, u64 flags);
s64 mm_code_map(const struct mm_thread *t, struct mm_code *c, u64 bytes, u64 prot);
s64 mm_code_protect(struct mm_thread *t, u64 at, u64 bytes, u64 prot);
u64 mm_code_rights(const struct mm_proc *p, u64 prot);
int mm_code_known(void);
int mm_code_spans(const struct mm_thread *t, u64 edge);

/* rewrite.c: takes the instructions out. 0, or -EACCES where there is one that it cannot take out. */
s64 mm_rewrite(struct mm_code *c);
int mm_stubs_sound(const struct mm_code *c);
u64 mm_opens_key(const u8 *bytes, u64 n, u64 from); /* where the next such bytes begin, n: nowhere */

/* function.c: the function, as the file's unwind table knows it, that holds an offset of the file */
struct mm_function {
	u64 from, to; /* offsets in the file */
};
int mm_function(s64 fd, u64 offset, struct mm_function *f);

#endif
