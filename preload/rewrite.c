/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Takes the bytes of WRPKRU and XRSTOR out of code. Three cases are met in programs:
 *
 * WRPKRU as an instruction: pkey_set(3). The keys are the monitor's and pkey_alloc(2) says so, hence nobody calls it; it becomes UD2.
 *
 * XRSTOR as an instruction: the dynamic linker's resolver puts back the vector registers, whose mask it has just loaded. It becomes a
 * jump to a stub that does it and goes on only with the key closed. Between the two nothing is stored: who jumps there with
 * registers of his own chooses where a store would go.
 *
 * Neither: the bytes are the end of one instruction and the beginning of the next, or of a displacement. These instructions move to a stub,
 * where they stand apart and at other distances. That is certain only where one knows where instructions begin, from the start
 * of the function on, and that nobody jumps between them.
 */
#include "code.h"
#include "insn.h"
#include <linux/errno.h>

#define JUMP 5u
#define NOP 0x90
#define MOST 48u              /* bytes of instructions that are moved */
#define STUBS (MM_PAGE - 16u) /* what lies behind the page shall not be continued by it */

typedef u64 __attribute__((may_alias, aligned(1))) word;

/* Bit 7 of the first byte 0f among eight is the lowest that is set. */
static inline u64 find_0f(const u8 *b)
{
	u64 x = *(const word *)b ^ 0x0f0f0f0f0f0f0f0ful;

	return (x - 0x0101010101010101ul) & ~x & 0x8080808080808080ul;
}

u64 mm_opens_key(const u8 *b, u64 n, u64 from)
{
	for (u64 i = from; i + 3 <= n; i++) {
		if (i + 8 <= n) {
			u64 found = find_0f(b + i);

			i += found ? (u64)__builtin_ctzl(found) / 8 : 7;
		}
		if (i + 3 <= n && b[i] == 0x0f &&
		    ((b[i + 1] == 0x01 && b[i + 2] == 0xef) || (b[i + 1] == 0xae && (b[i + 2] >> 3 & 7) == 5 && b[i + 2] < 0xc0)))
			return i;
	}
	return n;
}

static int is_wrpkru(const u8 *b)
{
	return b[1] == 0x01;
}

static void put(struct mm_code *c, const void *bytes, u64 n)
{
	if (c->stubs_used + n <= STUBS)
		memcpy(c->stubs + c->stubs_used, bytes, n);
	c->stubs_used += n;
}

static void put_byte(struct mm_code *c, u8 byte)
{
	put(c, &byte, 1);
}

/* Where the next byte of the stubs will lie. */
static u64 here(const struct mm_code *c)
{
	return (u64)c->stubs + c->stubs_used;
}

static int reaches(u64 from, u64 to)
{
	return (s64)(to - from) == (s32)(to - from);
}

/* A jump at the stub's end to an address. */
static int put_jump(struct mm_code *c, u64 to)
{
	u64 next = here(c) + JUMP;
	s32 distance = (s32)(to - next);

	put_byte(c, 0xe9);
	put(c, &distance, 4);
	return reaches(next, to);
}

/* Replaces the n bytes at an offset by a jump to the stub that begins at `stub`. */
static int put_way(struct mm_code *c, u64 at, u64 n, u64 stub)
{
	u64 next = c->at + at + JUMP;
	u64 to = (u64)c->stubs + stub;
	s32 distance = (s32)(to - next);

	if (!reaches(next, to) || c->stubs_used > STUBS)
		return 0;
	c->bytes[at] = 0xe9;
	memcpy(c->bytes + at + 1, &distance, 4);
	memset(c->bytes + at + JUMP, 0xcc, n - JUMP); /* nobody comes here */
	return 1;
}

/* The page for stubs: where the next mapping would lie if that is near, else below the image. */
static int make_stubs(struct mm_code *c)
{
	const u64 near = 1ul << 30;
	struct mm_proc *p = c->p;
	u64 first = p->mmap_next - MM_PAGE;
	s64 got = -1;

	if (c->stubs)
		return 1;
	if (p->mmap_next && first + near > c->at + c->n && c->at + near > first) {
		got = mm_sys6(__NR_mmap, first, MM_PAGE, 3, 0x100022 /* PRIVATE, ANONYMOUS, FIXED_NOREPLACE */, -1, 0);
		if (!mm_failed(got))
			p->mmap_next = first;
	}
	for (u64 i = 1; mm_failed(got) && c->low && i < 256 && c->low > (i << 16); i++) {
		u64 at = c->low - (i << 16);

		if (at + MM_PAGE > p->reservation.from && at < p->reservation.to)
			continue;
		got = mm_sys6(__NR_mmap, at, MM_PAGE, 3, 0x100022, -1, 0);
	}
	if (mm_failed(got))
		return 0;
	c->stubs = (u8 *)got;
	memset(c->stubs, 0xcc, MM_PAGE);
	return 1;
}

/* Takes a stub back: what is left of it would be executable too. */
static int drop(struct mm_code *c, u64 stub)
{
	if (stub < STUBS)
		memset(c->stubs + stub, 0xcc, STUBS - stub);
	c->stubs_used = stub;
	return 0;
}

static const u8 check[] = {0x31, 0xc9, 0x0f, 0x01, 0xee, /* xor %ecx, %ecx; rdpkru */
			   0xa8, 0x04, 0x75, 0x02,       /* test $4, %al: the key's; jnz over */
			   0x0f, 0x0b, 0xb8};            /* ud2; mov $mask, %eax */

/*
 * mov $mask, %eax; xor %edx, %edx; xrstor disp8(%rsp): the resolver's own words. The mask is known, and that rdx is zero, so that only
 * rcx and the flags must be kept. Its own bytes stand nowhere in this file: constants are executable, as all of the library's image.
 */
static int restores(struct mm_code *c, u64 o)
{
	static const u8 keep[] = {0x48, 0x8d, 0x64, 0x24, 0x80,           /* lea -128(%rsp), %rsp: the red zone */
				  0x51, 0x9c};                            /* push %rcx; pushfq */
	static const u8 back[] = {0x31, 0xd2, 0x9d, 0x59,                 /* xor %edx, %edx; popfq; pop %rcx */
				  0x48, 0x8d, 0xa4, 0x24, 0x80, 0, 0, 0}; /* lea 128(%rsp), %rsp */
	const u8 *b = c->bytes + o;
	u32 xrstor = ~0x24acae0fu; /* … disp32(%rsp) */
	s32 displacement;

	if (o < 7 || o + 5 > c->n || b[-7] != 0xb8 || b[-2] != 0x31 || b[-1] != 0xd2 || b[2] != 0x6c || b[3] != 0x24 ||
	    !make_stubs(c))
		return 0;
	__asm__("not %0" : "+r"(xrstor));
	displacement = (signed char)b[4] + 128 + 16;
	for (u64 tries = 0; tries < 8; tries++) { /* the jump's distance must not make such bytes */
		u64 stub = c->stubs_used, is;

		for (u64 i = 0; i < tries; i++)
			put_byte(c, NOP);
		is = c->stubs_used + sizeof(keep);
		put(c, keep, sizeof(keep));
		put(c, &xrstor, 4);
		put(c, &displacement, 4);
		put(c, check, sizeof(check));
		put(c, b - 6, 4);
		put(c, back, sizeof(back));
		if (!put_jump(c, c->at + o + 5) || c->stubs_used > STUBS)
			return drop(c, stub);
		if (mm_opens_key(c->stubs, c->stubs_used, stub) == is &&
		    mm_opens_key(c->stubs, c->stubs_used, is + 1) == c->stubs_used)
			return put_way(c, o, 5, stub) || drop(c, stub);
		drop(c, stub);
	}
	return 0;
}

/* Is every such instruction of the stubs' page followed by its check? Asked when the page is complete. */
int mm_stubs_sound(const struct mm_code *c)
{
	for (u64 i = 0; (i = mm_opens_key(c->stubs, MM_PAGE, i)) < MM_PAGE; i++)
		if (i + 8 + sizeof(check) > MM_PAGE || memcmp(c->stubs + i + 8, check, sizeof(check)))
			return 0;
	return 1;
}

/* The instructions that hold the bytes at `o` and as many behind them as a jump takes, seen from the function's start. */
struct span {
	u64 from, to;
	int several;
};

/* Where a direct jump leads, as an offset in the code; anything else leads nowhere (~0). */
static u64 target_of(const struct mm_code *c, u64 at, const struct mm_insn *i)
{
	s32 far;

	if (!i->jump_at)
		return ~0ul;
	if (i->jump_how == 1)
		return at + i->bytes + (u64)(s64)(signed char)c->bytes[at + i->jump_at];
	memcpy(&far, c->bytes + at + i->jump_at, 4);
	return at + i->bytes + (u64)(s64)far;
}

/* Part of a function may have been set apart (foo.cold), with jumps back into it. Does the one that holds `at` jump into the span? */
static int jumps_back(const struct mm_code *c, u64 at, const struct span *s)
{
	struct mm_function f;
	struct mm_insn i;

	if (c->stubs && c->at + at - (u64)c->stubs < MM_PAGE)
		return 0; /* a stub of ours comes back to where its own span ends */
	if (!mm_function(c->fd, c->offset + at, &f) || f.from < c->offset || f.to > c->offset + c->n)
		return 1;
	for (at = f.from - c->offset; at < f.to - c->offset; at += i.bytes) {
		u64 target;

		if (!mm_insn(c->bytes + at, c->n - at, &i))
			return 1;
		target = target_of(c, at, &i);
		if (i.indirect || (target > s->from && target < s->to))
			return 1;
	}
	return 0;
}

static int find_span(const struct mm_code *c, u64 o, u64 from, u64 to, struct span *s)
{
	struct mm_insn i;

	s->from = s->to = s->several = 0;
	for (u64 at = from; at < to && (at <= o || s->to < o + 3 || s->to - s->from < JUMP); at += i.bytes) {
		if (!mm_insn(c->bytes + at, to - at, &i))
			return 0;
		if (at + i.bytes <= o)
			continue;
		if (!s->to)
			s->from = at;
		else
			s->several = 1;
		s->to = at + i.bytes;
	}
	if (!s->to || s->to < o + 3 || s->to - s->from < JUMP || s->to - s->from > MOST)
		return 0;
	for (u64 at = from; s->several && at < to; at += i.bytes) { /* who may come between its instructions? */
		u64 target;

		if (!mm_insn(c->bytes + at, to - at, &i) || i.indirect || i.call)
			return 0; /* tables of jumps and handlers of exceptions may lead anywhere */
		target = target_of(c, at, &i);
		if (target > s->from && target < s->to)
			return 0;
		if (i.jump_at && (target < from || target >= to) && jumps_back(c, target, s))
			return 0;
	}
	return 1;
}

/* One instruction, to the stub's end. Calls stay where they are: they are unwound by where they return to. */
static int move(struct mm_code *c, u64 at)
{
	u8 *b = c->bytes + at;
	struct mm_insn i;
	s32 distance;
	u64 target;

	if (!mm_insn(b, c->n - at, &i) || i.call || (i.jump_at && i.jump_how != 4))
		return 0;
	put_byte(c, NOP);
	if (!i.jump_at && !i.rip_at) {
		put(c, b, i.bytes);
		return 1;
	}
	u64 where = i.jump_at ? i.jump_at : i.rip_at, next;

	memcpy(&distance, b + where, 4);
	target = c->at + at + i.bytes + (u64)(s64)distance;
	put(c, b, where);
	next = here(c) + (i.bytes - where);
	distance = (s32)(target - next);
	put(c, &distance, 4);
	put(c, b + where + 4, i.bytes - where - 4);
	return reaches(next, target);
}

static int moves(struct mm_code *c, const struct span *s)
{
	if (!make_stubs(c))
		return 0;
	/* at another place if the distances from here make such bytes again */
	for (u64 tries = 0; tries < 8; tries++) {
		u64 stub = c->stubs_used;
		struct mm_insn i;

		for (u64 n = 0; n < tries; n++)
			put_byte(c, NOP);
		for (u64 at = s->from; at < s->to; at += i.bytes)
			if (!mm_insn(c->bytes + at, s->to - at, &i) || !move(c, at))
				return drop(c, stub);
		if (!put_jump(c, c->at + s->to) || c->stubs_used > STUBS)
			return drop(c, stub);
		if (mm_opens_key(c->stubs, c->stubs_used, stub) == c->stubs_used)
			return put_way(c, s->from, s->to - s->from, stub) || drop(c, stub);
		drop(c, stub);
	}
	return 0;
}

static int take_out(struct mm_code *c, u64 o)
{
	static const u8 ud2[] = {0x0f, 0x0b, 0x90};
	struct mm_function f;
	struct span s;
	u64 from;

	if (!is_wrpkru(c->bytes + o) && restores(c, o))
		return 1;
	if (c->fd < 0 || !mm_function(c->fd, c->offset + o, &f) || f.from < c->offset || f.to > c->offset + c->n)
		return 0;
	from = f.from - c->offset;
	if (is_wrpkru(c->bytes + o)) {
		struct mm_insn i;
		u64 at;

		for (at = from; at < o; at += i.bytes)
			if (!mm_insn(c->bytes + at, c->n - at, &i))
				return 0;
		if (at == o) {
			memcpy(c->bytes + o, ud2, sizeof(ud2));
			return 1;
		}
	}
	return find_span(c, o, from, f.to - c->offset, &s) && (s.from != o || is_wrpkru(c->bytes + o)) && moves(c, &s);
}

s64 mm_rewrite(struct mm_code *c)
{
	u32 left = 256;

	/* a jump that was written there may make such bytes itself, hence from a little before it */
	for (u64 o = 0; (o = mm_opens_key(c->bytes, c->n, o)) < c->n; o = o > 32 ? o - 32 : 0)
		if (!left-- || !take_out(c, o))
			return -EACCES;
	return 0;
}
