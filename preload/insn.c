/* SPDX-License-Identifier: Apache-2.0 */
#include "insn.h"

#define M 0x10 /* a ModRM byte */
#define B 0x01 /* an immediate of one byte */
#define W 0x02 /* … of two */
#define Z 0x04 /* … of four, or two with the prefix 66 */
#define J 0x20 /* the immediate is a distance */
#define X 0x80 /* no instruction of 64-bit mode, or a prefix, or it has rules of its own below */

#define ALU M, M, M, M, B, Z, X, X
#define ALL8(x) x, x, x, x, x, x, x, x
#define ALL4(x) x, x, x, x

static const u8 one[256] = {
    ALU,         ALU,         ALU, ALU,   ALU, ALU,     ALU,   ALU,                                         /* 00 … 3f */
    ALL8(X),     ALL8(X),                                                                                   /* 40: REX */
    ALL8(0),     ALL8(0),                                                                                   /* 50: push, pop */
    X,           X,           X,   M,     X,   X,       X,     X,     Z,       M | Z, B, M | B, 0, 0, 0, 0, /* 60 */
    ALL8(B | J), ALL8(B | J),                                                                               /* 70: jcc */
    M | B,       M | Z,       X,   M | B, M,   M,       M,     M,     ALL8(M),                              /* 80 */
    ALL8(0),     0,           0,   X,     0,   0,       0,     0,     0,                                    /* 90 */
    X,           X,           X,   X,     0,   0,       0,     0,     B,       Z,     0, 0,     0, 0, 0, 0, /* a0 */
    ALL8(B),     ALL8(X), /* b0; b8: immediates of eight */
    M | B,       M | B,       W,   0,     X,   X,       M | B, M | Z, W | B,   0,     W, 0,     0, B, X, 0, /* c0 */
    ALL4(M),     X,           X,   X,     0,   ALL8(M),                                                     /* d0 */
    ALL4(B | J), B,           B,   B,     B,   Z | J,   Z | J, X,     B | J,   0,     0, 0,     0,          /* e0 */
    X,           0,           X,   X,     0,   0,       M,     M,     0,       0,     0, 0,     0, 0, M, M, /* f0; f6, f7 below */
};

static const u8 two[256] = {
    M,           M,           M,       M,       X,       0,       0,     0, 0,       0, X,     0, X,     M, 0, M | B, /* 00 */
    ALL8(M),     ALL8(M),                                                                                             /* 10 */
    ALL4(M),     ALL4(X),     ALL8(M),                                                                                /* 20 */
    0,           0,           0,       0,       0,       0,       X,     0, ALL8(X),                 /* 30; 38, 3a: further maps */
    ALL8(M),     ALL8(M),     ALL8(M), ALL8(M), ALL8(M), ALL8(M),                                    /* 40 … 6f */
    ALL4(M | B), M,           M,       M,       0,       M,       M,     X, X,       M, M,     M, M, /* 70 */
    ALL8(Z | J), ALL8(Z | J),                                                                        /* 80: jcc */
    ALL8(M),     ALL8(M),                                                                            /* 90 */
    0,           0,           0,       M,       M | B,   M,       X,     X, 0,       0, 0,     M, M | B, M, M, M, /* a0 */
    M,           M,           M,       M,       M,       M,       M,     M, M,       M, M | B, M, M,     M, M, M, /* b0 */
    M,           M,           M | B,   M,       M | B,   M | B,   M | B, M, ALL8(0),                              /* c0 */
    ALL8(M),     ALL8(M),     ALL8(M), ALL8(M), ALL8(M), ALL8(M),                                                 /* d0 … ff */
};

/* What follows a VEX or EVEX prefix: always a ModRM byte, but for vzeroupper. */
static int vector(u8 map, u8 op)
{
	if (map == 1 && op == 0x77)
		return 0;
	if (map == 3 || (map == 1 && ((op >= 0x70 && op <= 0x73) || op == 0xc2 || (op >= 0xc4 && op <= 0xc6))))
		return M | B;
	return map >= 1 && map <= 6 && map != 4 ? M : X;
}

static u64 modrm(const u8 *p, u64 n, u64 at, struct mm_insn *i)
{
	u8 mod = p[at] >> 6, rm = p[at] & 7;
	u64 end = at + 1;

	if (mod == 3)
		return end;
	if (rm == 4) {
		if (end >= n)
			return n + 1;
		if (mod == 0 && (p[end] & 7) == 5)
			mod = 2; /* no base: four bytes */
		end++;
	} else if (mod == 0 && rm == 5) {
		i->rip_at = (u8)end;
		mod = 2;
	}
	return end + (mod == 1 ? 1 : mod == 2 ? 4 : 0);
}

int mm_insn(const u8 *p, u64 n, struct mm_insn *i)
{
	int small = 0, wide = 0, addr32 = 0, how;
	u64 at = 0, imm = 0;
	u8 op;

	*i = (struct mm_insn){0};
	n = MM_MIN(n, 15);
	for (; at < n; at++) {
		op = p[at];
		if (op == 0x66)
			small = 1;
		else if (op == 0x67)
			addr32 = 1;
		else if (op != 0x26 && op != 0x2e && op != 0x36 && op != 0x3e && op != 0x64 && op != 0x65 && op != 0xf0 &&
			 op != 0xf2 && op != 0xf3)
			break;
	}
	if (at >= n)
		return 0;
	op = p[at++];
	if (op >> 4 == 4) {
		if (at >= n)
			return 0;
		wide = op >> 3 & 1;
		op = p[at++];
	}
	how = one[op];
	if (op == 0x0f) {
		if (at >= n)
			return 0;
		op = p[at++];
		how = two[op];
		if (op == 0x38 || op == 0x3a) {
			if (at++ >= n)
				return 0;
			how = op == 0x38 ? M : M | B;
		}
	} else if (op == 0xc5 || op == 0xc4 || op == 0x62) {
		u64 more = op == 0xc5 ? 1 : op == 0xc4 ? 2 : 3; /* bytes before the opcode */

		if (at + more >= n)
			return 0;
		how = vector(op == 0xc5 ? 1 : op == 0xc4 ? p[at] & 31 : p[at] & 7, p[at + more]);
		at += more + 1;
	} else if (op == 0x8f && at < n && (p[at] & 31) >= 8) { /* XOP of AMD */
		u8 map = p[at] & 31;

		at += 3;
		how = map == 8 ? M | B : map == 9 ? M : map == 10 ? M | Z : X;
		small = 0;
	} else if (op >= 0xb8 && op <= 0xbf) {
		how = 0;
		imm = wide ? 8 : small ? 2 : 4;
	} else if (op >= 0xa0 && op <= 0xa3) {
		how = 0;
		imm = addr32 ? 4 : 8;
	} else if (op == 0xf6 || op == 0xf7) {
		if (at < n && !(p[at] >> 3 & 6))
			how |= op == 0xf6 ? B : Z;
	} else if ((op == 0xc6 || op == 0xc7) && at < n && p[at] == 0xf8) { /* xabort, xbegin */
		how = op == 0xc6 ? B : Z | J;
		at++;
	} else if (op == 0xff) {
		i->indirect = at < n && (p[at] >> 3 & 6) == 4;
		i->call = at < n && (p[at] >> 3 & 6) == 2;
	}
	i->call |= how == (Z | J) && op == 0xe8;
	if (how & X || at > n)
		return 0;
	if (how & M) {
		if (at >= n)
			return 0;
		at = modrm(p, n, at, i);
	}
	if (how & J) {
		i->jump_at = (u8)at;
		i->jump_how =
		    how & B ? 1 : 4; /* the prefix 66 means nothing here on Intel's processors; compilers do not write it */
		small = 0;
	}
	imm += (how & B ? 1 : 0) + (how & W ? 2 : 0) + (how & Z ? (small && !wide ? 2 : 4) : 0);
	at += imm;
	i->bytes = (u8)at;
	return at <= n;
}
