/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Records: what travels in a stream. Every record is a multiple of 8 bytes and begins with struct mm_rec.
 *
 *   CALL    the canonical form of a call, before it is carried out
 *   RESULT  what came of it; output buffers follow in the same record or in DATA records
 *   DATA    the rest of an output buffer that did not fit
 *   SIGNAL  an asynchronous signal that the program's handler takes here
 *   FAULT   a synchronous fault (SIGSEGV, SIGBUS, SIGILL, SIGFPE, SIGTRAP)
 *
 * A form is a sequence of items, one per compared argument: struct mm_item and its bytes, padded to 8. Two variants agree
 * on a call when their forms are equal byte for byte, so a form holds neither addresses nor padding of structures.
 */
#ifndef MONMOD_RECORD_H
#define MONMOD_RECORD_H

#include <stdint.h>

enum mm_rec_kind {
	MM_REC_CALL = 1,
	MM_REC_RESULT = 2,
	MM_REC_DATA = 3,
	MM_REC_SIGNAL = 4,
	MM_REC_FAULT = 5,
};

#define MM_REC_MAX (32u << 10) /* bytes of one record, header included; at most half of MM_RING_MIN */
#define MM_FORM_MAX 1536u      /* bytes of one form */
#define MM_INLINE_MAX 64u      /* up to here an argument's bytes stand whole in the form */
#define MM_EXCERPT 48u         /* of longer ones, the first bytes, behind the digest */

struct mm_rec {
	uint32_t size; /* bytes of the whole record */
	uint8_t kind;  /* enum mm_rec_kind */
	uint8_t flags; /* MM_RF_* */
	uint16_t nr;   /* canonical number; the signal's number in SIGNAL and FAULT */
	uint64_t seq;  /* number of the call in its lane, from 1 */
	uint64_t ticket;
	uint32_t lane;
	uint16_t form; /* bytes of form that follow the header */
	uint8_t klass; /* enum mm_class */
	uint8_t effect;
};

#define MM_RF_EXEMPT 0x01u  /* CALL: argument values are not compared, the leader did not wait */
#define MM_RF_SIGNALS 0x02u /* RESULT: SIGNAL records follow before the call returns */
#define MM_RF_RESTART 0x04u /* RESULT: with SIGNALS: the call is made again after the handler */
#define MM_RF_MORE 0x08u    /* RESULT, DATA: a DATA record follows */
#define MM_RF_FORCED 0x10u  /* SIGNAL: taken where the leader stood, not at a call */
#define MM_RF_MASK 0x40u    /* RESULT: with SIGNALS: they come under the mask that the call brought along */
#define MM_RF_AGAIN 0x20u   /* RESULT: the call was not made; it is, after the handlers of the SIGNAL records that follow */

enum mm_item_kind {
	MM_ITEM_VALUE = 1,  /* 8 bytes */
	MM_ITEM_BYTES = 2,  /* the bytes themselves, at most MM_INLINE_MAX */
	MM_ITEM_DIGEST = 3, /* 16 bytes SipHash-2-4-128, then an excerpt of at most MM_EXCERPT */
	MM_ITEM_NULL = 4,   /* a null pointer where one is allowed */
	MM_ITEM_FAULT = 5,  /* memory that could not be read: 8 bytes, how many could; a path: the negative error */
	MM_ITEM_PTR = 6,    /* a pointer whose value is not compared */
};

struct mm_item {
	uint8_t arg;    /* 0 to 5: the canonical argument; 6: the place of a fault */
	uint8_t kind;   /* enum mm_item_kind */
	uint16_t bytes; /* bytes that follow, before padding to 8 */
	uint32_t total; /* bytes in the program's memory (saturated) */
};

/* Behind the header of a RESULT. Then, per output buffer: struct mm_out and its bytes, padded to 8. */
struct mm_result {
	int64_t ret;
	uint8_t digest[16]; /* own data (fs: own): digest of what the leader read, else zero */
	uint8_t made;       /* enum mm_fd_class of the descriptor(s) made by the call, 0: none */
	uint8_t made_kind;  /* enum mm_fd_kind */
	uint16_t nout;
	uint32_t rules;    /* which rules its path meets: bit i for the i-th rule that has a path */
	uint64_t dev, ino; /* of the object opened */
};

struct mm_out {
	uint32_t arg;   /* 0 to 5, or 8 + i: the i-th piece of an iovec or nested buffer */
	uint32_t bytes; /* in this record */
	uint64_t total; /* of the whole buffer; the rest comes in DATA records */
};

/* Where an open descriptor lives. */
enum mm_fd_class {
	MM_FD_NONE = 0,
	MM_FD_LEADER = 1, /* in the leader only; followers hold a placeholder */
	MM_FD_OWN = 2,    /* every variant's own */
	MM_FD_SHARED = 3, /* a regular file of a shared file system: the leader works, followers may map */
};

enum mm_fd_kind {
	MM_KIND_OTHER = 0,
	MM_KIND_FILE = 1,
	MM_KIND_DIR = 2,
	MM_KIND_SOCKET = 3,
	MM_KIND_EPOLL = 4,
	MM_KIND_PIPE = 5,
};

_Static_assert(sizeof(struct mm_rec) == 32, "record header");
_Static_assert(sizeof(struct mm_item) == 8, "item header");
_Static_assert(sizeof(struct mm_result) == 48, "result header");
_Static_assert(sizeof(struct mm_out) == 16, "output header");

#endif
