/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The arena: memory that the variants of a group and their supervisors share.
 *
 * It is made of memory objects with exactly one writer each; everyone else maps them read-only, and F_SEAL_FUTURE_WRITE
 * keeps it so after the writer has mapped its own:
 *
 *   control   one page, written by the supervisor only
 *   stream    one header page and a ring per lane, written by the variant that produces (the leader)
 *   index     one page per lane and follower, written by the variant that consumes
 *
 * Between hosts the supervisors hold the other ends and pump bytes, so the library knows this one transport only.
 * All integers are little endian. Nothing read from here may be trusted: copy, check, then use.
 */
#ifndef MONMOD_ARENA_H
#define MONMOD_ARENA_H

#include <stdint.h>

#define MM_ABI_VERSION 1u
#define MM_PAGE 4096u
#define MM_MAX_VARIANTS 8u
#define MM_MAX_FOLLOWERS (MM_MAX_VARIANTS - 1u)
#define MM_LANES 1u /* lanes per arena in this version */

#define MM_CONTROL_MAGIC 0x6c746e6f636d6d00ull /* "\0mmcontl" */
#define MM_STREAM_MAGIC 0x6d6165727473006dull
#define MM_INDEX_MAGIC 0x7865646e69006d6dull

/* Ring sizes in bytes: powers of two, multiples of the page. */
#define MM_RING_MIN (64u << 10)
#define MM_RING_DEFAULT (1u << 20)
#define MM_RING_MAX (64u << 20)

enum mm_state {
	MM_STATE_STARTING = 0,
	MM_STATE_RUNNING = 1,
	MM_STATE_ENDING = 2, /* leave at once with exit_code */
};

/* Written by the supervisor only. */
struct mm_control {
	uint64_t magic;
	uint32_t version;
	uint32_t state;     /* enum mm_state */
	uint32_t exit_code; /* valid in MM_STATE_ENDING: 70 divergence, 69 peer lost */
	uint32_t live;      /* bit i: follower slot i takes part */
	uint32_t epoch;     /* grows with every change of `live` */
	uint32_t pad;
};

/* What a variant has done so far; each counts in its own page, so that looking costs it nothing. */
struct mm_counters {
	uint64_t calls;            /* made by the program */
	uint64_t local;            /* of these, not in the stream */
	uint64_t compared;         /* … compared with the other variants' */
	uint64_t exempt;           /* … in the stream, but exempt by the policy */
	uint64_t bytes_compared;   /* of arguments */
	uint64_t bytes_replicated; /* of output */
	uint64_t waits;            /* times that it waited for another variant */
	uint64_t sleeps;           /* of these, by going to sleep */
	uint64_t by_class[8];      /* calls by enum mm_class */
};

/*
 * Head of a stream; its ring starts one page further. A bell is a futex word: who waits stores its `waits` flag, looks again,
 * and sleeps while the bell is unchanged; who publishes looks at the other's `waits`, then rings its own bell.
 */
struct mm_stream {
	uint64_t magic;
	uint32_t version;
	uint32_t ring_size; /* bytes; informative: the consumer was told by its supervisor */
	uint32_t pad0[12];
	uint64_t head; /* bytes published since the start, a multiple of 8 */
	uint32_t bell;
	uint32_t pad1[13];
	uint32_t waits; /* the producer sleeps on the bells of the index pages */
	uint32_t pad2[15];
	struct mm_counters counters;
};

/* Verdict: what a follower says when its own call is not the leader's. */
enum mm_verdict {
	MM_VERDICT_NONE = 0,
	MM_VERDICT_DIVERGED = 1,
	MM_VERDICT_MALFORMED = 2, /* the stream itself made no sense */
};

#define MM_VERDICT_BYTES 2048u

/* One follower's page for one lane. */
struct mm_index {
	uint64_t magic;
	uint32_t version;
	uint32_t pad0[13];
	uint64_t tail;     /* bytes of the stream that may be overwritten */
	uint64_t compared; /* sequence number of the newest call found equal */
	uint64_t done;     /* sequence number of the newest call wholly carried out */
	uint32_t bell;
	uint32_t waits; /* the follower sleeps on the stream's bell */
	uint32_t pad1[8];
	/* verdict slot: state is stored last */
	uint32_t verdict; /* enum mm_verdict */
	uint32_t verdict_len;
	uint64_t verdict_seq;
	uint8_t verdict_form[MM_VERDICT_BYTES]; /* the follower's own record, a struct mm_rec with its form */
	struct mm_counters counters;
};

_Static_assert(sizeof(struct mm_control) == 32, "control page");
_Static_assert(__builtin_offsetof(struct mm_stream, head) == 64, "stream head on its own line");
_Static_assert(__builtin_offsetof(struct mm_stream, waits) == 128, "stream waits on its own line");
_Static_assert(__builtin_offsetof(struct mm_index, tail) == 64, "index on its own line");
_Static_assert(__builtin_offsetof(struct mm_index, verdict) == 128, "verdict slot on its own line");
_Static_assert(sizeof(struct mm_index) <= MM_PAGE, "index page");

#endif
