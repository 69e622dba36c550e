/* SPDX-License-Identifier: Apache-2.0 */
/* SipHash-2-4 with 128 bits of output (Aumasson, Bernstein: "SipHash: a fast short-input PRF", 2012; the 128-bit variant of its authors). */
#ifndef MONMOD_SIPHASH_H
#define MONMOD_SIPHASH_H

#include "sys.h"

struct mm_sip {
	u64 v0, v1, v2, v3;
	u64 tail; /* bytes that do not fill a word yet */
	u64 total;
};

void mm_sip_init(struct mm_sip *s, const u64 key[2]);
void mm_sip_add(struct mm_sip *s, const void *bytes, u64 n);
void mm_sip_end(struct mm_sip *s, u8 out[16]);

#endif
