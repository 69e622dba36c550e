/* SPDX-License-Identifier: Apache-2.0 */
/*
 * CALL and RESULT records. Output travels behind the result where it fits in one record, else in DATA records that follow;
 * a follower takes as many bytes as the leader wrote, never more than its own program gave room for.
 */
#include "monitor.h"
#include "table.gen.h"

struct iov {
	u64 at, bytes;
};

/* Moves `n` bytes at `offset` of an output buffer from or to program memory. Returns how many were moved. */
static u64 move(struct mm_thread *t, const struct mm_outbuf *o, u64 offset, u8 *bytes, u64 n, int in)
{
	const struct iov *iov = (const struct iov *)o->at;
	u64 moved = 0;

	if (o->how == MM_OUT_STAGED) {
		if (in)
			memcpy(bytes, (u8 *)o->at + offset, n);
		else
			memcpy((u8 *)o->at + offset, bytes, n);
		return n;
	}
	if (o->how != MM_OUT_IOV)
		return in ? mm_in(t, bytes, o->at + offset, n) : mm_out(t, o->at + offset, bytes, n);
	for (u32 i = 0; i < o->pieces && moved < n; i++) {
		if (offset >= iov[i].bytes) {
			offset -= iov[i].bytes;
			continue;
		}
		u64 piece = MM_MIN(iov[i].bytes - offset, n - moved);
		u64 done =
		    in ? mm_in(t, bytes + moved, iov[i].at + offset, piece) : mm_out(t, iov[i].at + offset, bytes + moved, piece);

		moved += done;
		if (done < piece)
			break;
		offset = 0;
	}
	return moved;
}

/* The leader: zeros where the kernel should have written and has not, so that what was there does not travel. */
void mm_blank(struct mm_thread *t, const struct mm_outbuf *o, u64 n)
{
	u8 zeros[512] = {0};

	for (u64 at = 0, piece; at < n; at += piece) {
		piece = MM_MIN(n - at, sizeof(zeros));
		move(t, o, at, zeros, piece, 0);
	}
}

/* Output for the stream. What cannot be read is sent as zeros: never what the ring held before. */
void mm_fetch(struct mm_thread *t, const struct mm_outbuf *o, u64 offset, u8 *to, u64 n)
{
	u64 got = move(t, o, offset, to, n, 1);

	memset(to + got, 0, MM_UP(n, 8) - got);
}

static u8 *open_record(struct mm_thread *t, u32 size, int kind, int flags)
{
	struct mm_call *c = &t->call;
	u8 *at = mm_reserve(t, size);
	struct mm_rec *rec = (struct mm_rec *)at;

	*rec = (struct mm_rec){.size = size, .kind = kind, .flags = flags, .nr = c->nr, .seq = t->seq};
	return at + sizeof(*rec);
}

void mm_publish_call(struct mm_thread *t)
{
	struct mm_call *c = &t->call;
	u32 size = sizeof(c->out.rec) + c->out.rec.form;
	u8 *at = mm_reserve(t, size);

	memcpy(at, &c->out, size);
	mm_commit(t, size);
}

void mm_publish_result(struct mm_thread *t, s64 ret, int flags)
{
	struct mm_call *c = &t->call;
	u32 size = sizeof(struct mm_rec) + sizeof(struct mm_result);
	u64 body = 0;
	int apart;
	u8 *at;
	struct mm_result result = {
	    .ret = ret, .made = c->made, .made_kind = c->made_kind, .rules = c->rules, .dev = c->dev, .ino = c->ino};

	memcpy(result.digest, c->digest, sizeof(result.digest));
	if (c->who == MM_BY_ALL) /* everyone has output of its own */
		for (u32 i = 0; i < c->nout; i++)
			c->outs[i].bytes = 0;

	for (u32 i = 0; i < c->nout; i++)
		if (c->outs[i].bytes) {
			size += sizeof(struct mm_out);
			body += MM_UP(c->outs[i].bytes, 8);
			result.nout++;
		}
	apart = size + body > MM_REC_MAX;
	if (!apart)
		size += body;
	at = open_record(t, size, MM_REC_RESULT, flags | (apart ? MM_RF_MORE : 0));
	memcpy(at, &result, sizeof(result));
	at += sizeof(result);
	for (u32 i = 0; i < c->nout; i++) {
		const struct mm_outbuf *o = &c->outs[i];

		if (!o->bytes)
			continue;
		*(struct mm_out *)at = (struct mm_out){.arg = i, .bytes = apart ? 0 : o->bytes, .total = o->bytes};
		at += sizeof(struct mm_out);
		if (!apart) {
			mm_fetch(t, o, 0, at, o->bytes);
			at += MM_UP(o->bytes, 8);
		}
		t->proc->counters->bytes_replicated += o->bytes;
	}
	mm_commit(t, size);
	for (u32 i = 0; apart && i < c->nout; i++)
		for (u64 offset = 0, piece; offset < c->outs[i].bytes; offset += piece) {
			piece = MM_MIN(c->outs[i].bytes - offset, MM_REC_MAX - sizeof(struct mm_rec));
			size = sizeof(struct mm_rec) + MM_UP(piece, 8);
			at = open_record(t, size, MM_REC_DATA, 0);
			mm_fetch(t, &c->outs[i], offset, at, piece);
			mm_commit(t, size);
			mm_flush(t);
		}
	mm_flush(t);
}

/*
 * A follower: the leader's output into the program's memory. What is input too may lie where it can only be read: there the
 * leader's kernel has written nothing either.
 */
static int put(struct mm_thread *t, const struct mm_outbuf *o, u64 offset, u8 *bytes, u64 n)
{
	return move(t, o, offset, bytes, n, 0) == n || o->how == MM_OUT_ALWAYS;
}

/* A follower: the rest of one output buffer from DATA records. */
static int take_data(struct mm_thread *t, const struct mm_outbuf *o, u64 total)
{
	for (u64 offset = 0, piece; offset < total; offset += piece) {
		struct mm_rec rec;
		const u8 *at = (const u8 *)mm_next(t, &rec) + sizeof(rec);

		piece = MM_MIN(total - offset, MM_REC_MAX - sizeof(rec));
		if (rec.kind != MM_REC_DATA || rec.seq != t->seq || rec.size != sizeof(rec) + MM_UP(piece, 8))
			return 0;
		if (!put(t, o, offset, (u8 *)at, piece))
			return 0;
		mm_consume(t, rec.size);
	}
	return 1;
}

/* May the result be more than there is room for? A receive that is asked to (MSG_TRUNC) names the length of what it has cut off. */
static int may_exceed(const struct mm_call *c, const struct mm_outbuf *o)
{
	switch (c->nr) {
	case MM_NR_recvfrom:
		return (c->a[3] & 0x20) != 0;
	case MM_NR_recvmsg:
		return (c->a[2] & 0x20) != 0;
	case MM_NR_getxattr:
	case MM_NR_lgetxattr:
	case MM_NR_fgetxattr:
	case MM_NR_listxattr:
	case MM_NR_llistxattr:
	case MM_NR_flistxattr:
		return !o->room; /* the question how much it would be */
	}
	return 0;
}

/* Does the result go with the bytes that came? A program trusts a call not to give more than it has room for. */
static int plausible(const struct mm_call *c, s64 ret)
{
	for (u32 i = 0; i < c->nout; i++) {
		const struct mm_outbuf *o = &c->outs[i];
		u64 says = ret > 0 ? (u64)ret : 0;

		if (o->how != MM_OUT_RET && o->how != MM_OUT_IOV)
			continue;
		if (says > o->room / o->unit && !may_exceed(c, o))
			return 0;
		if (o->bytes != (says > o->room / o->unit ? o->room : says * o->unit))
			return 0;
	}
	return 1;
}

s64 mm_take_result(struct mm_thread *t, int *flags)
{
	struct mm_call *c = &t->call;
	struct mm_rec rec;
	const u8 *at = (const u8 *)mm_next(t, &rec);
	const u8 *end = at + rec.size;
	struct mm_result result;
	u64 totals[MM_OUTS];
	u8 which[MM_OUTS];

	if (rec.kind != MM_REC_RESULT || rec.seq != t->seq || rec.nr != c->nr || rec.size < sizeof(rec) + sizeof(result))
		goto senseless;
	at += sizeof(rec);
	memcpy(&result, at, sizeof(result));
	at += sizeof(result);
	if (result.nout > MM_OUTS || (result.nout && c->who == MM_BY_ALL))
		goto senseless;
	for (u32 i = 0; i < c->nout; i++)
		c->outs[i].bytes = 0;
	for (u32 i = 0; i < result.nout; i++) {
		struct mm_out out;

		if (end - at < (long)sizeof(out))
			goto senseless;
		memcpy(&out, at, sizeof(out));
		at += sizeof(out);
		if (out.arg >= c->nout || out.total > c->outs[out.arg].room)
			goto senseless;
		which[i] = out.arg;
		totals[i] = out.total;
		c->outs[out.arg].bytes = out.total;
		t->proc->counters->bytes_replicated += out.total;
		if (rec.flags & MM_RF_MORE)
			continue;
		if (out.bytes != out.total || MM_UP(out.total, 8) > (u64)(end - at))
			goto senseless;
		if (!put(t, &c->outs[out.arg], 0, (u8 *)at, out.total))
			goto senseless;
		at += MM_UP(out.total, 8);
	}
	if (c->who == MM_BY_LEADER && !plausible(c, result.ret))
		goto senseless;
	*flags = rec.flags;
	memcpy(c->digest, result.digest, sizeof(c->digest));
	c->made = result.made;
	c->made_kind = result.made_kind;
	c->rules = result.rules;
	c->dev = result.dev;
	c->ino = result.ino;
	mm_consume(t, rec.size);
	if (rec.flags & MM_RF_MORE)
		for (u32 i = 0; i < result.nout; i++)
			if (!take_data(t, &c->outs[which[i]], totals[i]))
				goto senseless;
	return result.ret;
senseless:
	mm_diverge(t, MM_WHY_STREAM);
	mm_end(t);
}
