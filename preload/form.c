/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a description is made of: the items of a form (include/monmod/record.h), copies of input in the staging area, the list
 * of output buffers, and the refusal.
 */
#include "monitor.h"
#include "siphash.h"
#include <linux/errno.h>

void mm_item(struct mm_call *c, int arg, int kind, const void *bytes, u32 n, u64 total)
{
	u32 need = sizeof(struct mm_item) + MM_UP(n, 8);
	struct mm_item *item = (struct mm_item *)(c->out.form + c->out.rec.form);

	if (c->out.rec.form + need > MM_FORM_MAX) { /* what does not fit could not be compared, so the call is not made */
		mm_refuse(c, -ENOBUFS);
		return;
	}
	*item = (struct mm_item){.arg = arg, .kind = kind, .bytes = n, .total = MM_MIN(total, 0xffffffffu)};
	if (n % 8)
		*(u64 *)((u8 *)(item + 1) + n / 8 * 8) = 0;
	memcpy(item + 1, bytes, n);
	c->out.rec.form += need;
}

void mm_item_value(struct mm_call *c, int arg, u64 value)
{
	mm_item(c, arg, MM_ITEM_VALUE, &value, 8, 8);
}

static void item_digest_of(struct mm_call *c, int arg, const u8 digest[16], const void *bytes, u64 n)
{
	u8 body[16 + MM_EXCERPT];

	memcpy(body, digest, 16);
	memcpy(body + 16, bytes, MM_EXCERPT);
	mm_item(c, arg, MM_ITEM_DIGEST, body, sizeof(body), n);
}

/* Bytes already in the monitor's memory: whole where they are few, else a digest and the beginning. */
void mm_item_digest(struct mm_thread *t, int arg, const void *bytes, u64 n)
{
	struct mm_sip sip;
	u8 digest[16];

	t->proc->counters->bytes_compared += n;
	if (n <= MM_INLINE_MAX) {
		mm_item(&t->call, arg, MM_ITEM_BYTES, bytes, n, n);
		return;
	}
	mm_sip_init(&sip, t->proc->key);
	mm_sip_add(&sip, bytes, n);
	mm_sip_end(&sip, digest);
	item_digest_of(&t->call, arg, digest, bytes, n);
}

/* The items from there on as one, a digest of them: for calls that have more of them than a form has room for. */
void mm_item_fold(struct mm_thread *t, int arg, u32 from)
{
	struct mm_call *c = &t->call;
	u8 items[MM_FORM_MAX];
	u32 n = c->out.rec.form - from;

	memcpy(items, c->out.form + from, n);
	c->out.rec.form = from;
	mm_item_digest(t, arg, items, n);
}

/* Staging */

void *mm_stage(struct mm_thread *t, u64 bytes)
{
	struct mm_call *c = &t->call;
	u64 need = MM_UP(bytes, 16);

	if (need <= MM_STAGE - c->staged) {
		c->staged += need;
		return t->proc->stage + c->staged - need;
	}
	if (c->big)
		return NULL; /* one large buffer per call; vectors are staged as one */
	u64 size = MM_UP(bytes, MM_PAGE) + MM_PAGE;
	long at = mm_sys6(__NR_mmap, 0, size, 3 /* READ|WRITE */, 0x4022 /* PRIVATE|ANONYMOUS|NORESERVE */, -1, 0);

	if (mm_failed(at))
		return NULL;
	mm_sys3(__NR_mprotect, at + size - MM_PAGE, MM_PAGE, 0);
	c->big = at;
	c->big_bytes = size;
	return (void *)at;
}

void mm_unstage(struct mm_thread *t)
{
	struct mm_call *c = &t->call;

	if (c->big)
		mm_sys2(__NR_munmap, c->big, c->big_bytes);
	c->big = 0;
	c->staged = 0;
}

/*
 * Copies input and describes it. Where only a part can be read, the copy is moved against a guard page: carried out with the
 * original length, the call fails or stops exactly where it would have in the program's memory.
 */
u64 mm_stage_in(struct mm_thread *t, int arg, u64 from, u64 bytes, int digest)
{
	struct mm_call *c = &t->call;
	u8 *copy = mm_stage(t, bytes);
	u64 got;

	if (!copy) {
		mm_refuse(c, -ENOMEM);
		return from;
	}
	got = mm_in(t, copy, from, bytes);
	if (digest)
		mm_item_digest(t, arg, copy, got);
	if (got == bytes)
		return (u64)copy;
	mm_item_value(c, arg, got);
	u64 wall = (u64)t->proc->stage_end;

	if (c->big && (u64)copy == c->big)
		wall = c->big + c->big_bytes - MM_PAGE;
	else
		c->staged = MM_STAGE; /* what is staged after this must not lie on it */
	memmove((void *)(wall - got), copy, got);
	return wall - got;
}

/* The call is not carried out; every variant gets this result. */
void mm_refuse(struct mm_call *c, s64 error)
{
	if (c->refuse)
		return;
	c->refuse = 1;
	c->error = error;
}

/* Memory that the gate reads or writes for the program must not be the monitor's. */
void mm_check_room(struct mm_thread *t, u64 at, u64 bytes)
{
	if (mm_touches_monitor(t->proc, at, bytes))
		mm_refuse(&t->call, -EFAULT);
}

struct mm_outbuf *mm_out_add(struct mm_thread *t, int how, u32 arg, u64 at, u64 room)
{
	struct mm_call *c = &t->call;

	if (c->nout == MM_OUTS) {
		mm_refuse(c, -ENOBUFS); /* no row has so many */
		c->nout--;
	}
	if (how != MM_OUT_IOV && how != MM_OUT_STAGED)
		mm_check_room(t, at, room);
	c->outs[c->nout] = (struct mm_outbuf){.at = at, .room = at ? room : 0, .unit = 1, .how = how, .arg = arg};
	return &c->outs[c->nout++];
}
