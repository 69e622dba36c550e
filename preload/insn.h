/* SPDX-License-Identifier: Apache-2.0 */
/* The lengths of x86-64 instructions, and what hangs on where they lie (Intel SDM, volume 2, chapter 2 and appendix A). */
#ifndef MONMOD_INSN_H
#define MONMOD_INSN_H

#include "sys.h"

struct mm_insn {
	u8 bytes;    /* of the whole instruction, at most 15 */
	u8 rip_at;   /* where a displacement from the next instruction stands (4 bytes), 0: there is none */
	u8 jump_at;  /* where the distance of a jump or call stands, 0: none */
	u8 jump_how; /* of how many bytes it is */
	u8 indirect; /* it jumps to what a register or memory says */
	u8 call;
};

/* Takes one instruction apart. 0: there is none, or it does not end within n bytes. */
int mm_insn(const u8 *code, u64 n, struct mm_insn *i);

#endif
