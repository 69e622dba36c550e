/* SPDX-License-Identifier: Apache-2.0 */
#include "siphash.h"

static inline u64 rotl(u64 x, int n)
{
	return x << n | x >> (64 - n);
}

static inline void round1(struct mm_sip *s)
{
	s->v0 += s->v1;
	s->v2 += s->v3;
	s->v1 = rotl(s->v1, 13) ^ s->v0;
	s->v3 = rotl(s->v3, 16) ^ s->v2;
	s->v0 = rotl(s->v0, 32);
	s->v2 += s->v1;
	s->v0 += s->v3;
	s->v1 = rotl(s->v1, 17) ^ s->v2;
	s->v3 = rotl(s->v3, 21) ^ s->v0;
	s->v2 = rotl(s->v2, 32);
}

static inline void word(struct mm_sip *s, u64 m)
{
	s->v3 ^= m;
	round1(s);
	round1(s);
	s->v0 ^= m;
}

void mm_sip_init(struct mm_sip *s, const u64 key[2])
{
	s->v0 = key[0] ^ 0x736f6d6570736575ull;
	s->v1 = key[1] ^ 0x646f72616e646f6dull ^ 0xee;
	s->v2 = key[0] ^ 0x6c7967656e657261ull;
	s->v3 = key[1] ^ 0x7465646279746573ull;
	s->tail = 0;
	s->total = 0;
}

void mm_sip_add(struct mm_sip *in, const void *bytes, u64 n)
{
	struct mm_sip s = *in;
	const u8 *p = bytes;

	for (; n && s.total % 8; n--, p++) {
		s.tail |= (u64)*p << 8 * (s.total % 8);
		if (++s.total % 8 == 0) {
			word(&s, s.tail);
			s.tail = 0;
		}
	}
	for (; n >= 8; n -= 8, p += 8, s.total += 8)
		word(&s, *(const u64 *)p);
	for (; n; n--, p++, s.total++)
		s.tail |= (u64)*p << 8 * (s.total % 8);
	*in = s;
}

void mm_sip_end(struct mm_sip *s, u8 out[16])
{
	u64 h;

	word(s, s->tail | s->total << 56);
	s->v2 ^= 0xee;
	for (int i = 0; i < 4; i++)
		round1(s);
	h = s->v0 ^ s->v1 ^ s->v2 ^ s->v3;
	memcpy(out, &h, 8);
	s->v1 ^= 0xdd;
	for (int i = 0; i < 4; i++)
		round1(s);
	h = s->v0 ^ s->v1 ^ s->v2 ^ s->v3;
	memcpy(out + 8, &h, 8);
}
