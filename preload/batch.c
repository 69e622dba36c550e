/* SPDX-License-Identifier: Apache-2.0 */
/*
 * sendmmsg(2): messages in an array, each compared as sendmsg(2) has it. As in the kernel, what is wrong with a message ends the
 * batch in front of it, and is the call's error where it is the first.
 */
#include "monitor.h"
#include "table.gen.h"
#include <linux/errno.h>

#define BATCH_MAX 1024u /* UIO_MAXIOV: the kernel takes no more at a time */
#define FORM_FULL (MM_FORM_MAX / 2)

struct mmsghdr {
	struct mm_msghdr header;
	u32 bytes, pad; /* sent of this one; until then, how many there are to send */
};

/* One message. 0: the batch ends in front of it. */
static int describe_one(struct mm_thread *t, struct mmsghdr *m, u64 at)
{
	struct mm_call *c = &t->call;
	u32 form = c->out.rec.form;
	u64 total;

	if (mm_in(t, &m->header, at, sizeof(m->header)) != sizeof(m->header)) {
		mm_refuse(c, mm_fd(t->proc, (u32)c->a[0]) ? -EFAULT : -EBADF);
		return 0;
	}
	if (!c->exempt)
		mm_item_value(c, 1, 0); /* how many bytes it is of, known when all of it is */
	total = mm_describe_header(t, &m->header, 1);
	m->bytes = (u32)total;
	if (c->refuse) {
		c->out.rec.form = form;
		return 0;
	}
	if (!c->exempt)
		memcpy(c->out.form + form + sizeof(struct mm_item), &total, sizeof(total));
	return 1;
}

void mm_describe_batch(struct mm_thread *t)
{
	struct mm_call *c = &t->call;
	u32 count = MM_MIN((u32)c->a[2], BATCH_MAX), n = 0, from = c->out.rec.form;
	struct mmsghdr *m;

	c->x[2] = count;
	if (!count || c->refuse)
		return;
	m = mm_stage(t, count * sizeof(*m));
	c->extra = (u64)mm_stage(t, count * sizeof(u32));
	c->x[1] = (u64)m;
	while (n < count) {
		u64 at = c->a[1] + n * sizeof(*m), length = at + __builtin_offsetof(struct mmsghdr, bytes);
		u32 bytes;

		if (!describe_one(t, &m[n], at)) {
			c->refuse = !n;
			break;
		}
		n++;
		if (c->out.rec.form > FORM_FULL)
			mm_item_fold(t, 1, from);
		/* where its length cannot be written the kernel has sent it, and stops */
		if (mm_in(t, &bytes, length, sizeof(bytes)) != sizeof(bytes) ||
		    mm_out(t, length, &bytes, sizeof(bytes)) != sizeof(bytes))
			break;
	}
	if (c->refuse)
		return;
	c->x[2] = n;
	mm_item_value(c, 2, n);
	mm_out_add(t, MM_OUT_STAGED, 1, c->extra, n * sizeof(u32))->unit = sizeof(u32);
}

/* How much of each was sent, into the program's array. */
static s64 hand_over_lengths(struct mm_thread *t, s64 ret)
{
	struct mm_call *c = &t->call;
	const u32 *lengths = (const u32 *)c->extra;
	u64 at = c->a[1] + __builtin_offsetof(struct mmsghdr, bytes);

	for (s64 i = 0; i < ret; i++)
		if (mm_out(t, at + i * sizeof(struct mmsghdr), &lengths[i], sizeof(u32)) != sizeof(u32))
			return i ? i : -EFAULT;
	return ret;
}

s64 mm_execute_batch(struct mm_thread *t)
{
	struct mm_call *c = &t->call;
	const struct mmsghdr *m = (const struct mmsghdr *)c->x[1];
	u32 *lengths = (u32 *)c->extra;
	s64 ret = mm_app_call(t);

	for (s64 i = 0; i < ret; i++)
		lengths[i] = m[i].bytes;
	return hand_over_lengths(t, ret);
}

void mm_effect_batch(struct mm_thread *t, s64 ret)
{
	struct mm_call *c = &t->call;
	const struct mmsghdr *m = (const struct mmsghdr *)c->x[1];
	const u32 *lengths = (const u32 *)c->extra;

	if (mm_is_leader(t->proc) || ret <= 0)
		return;
	if (!c->nout || ret > (s64)c->x[2] || c->outs[c->nout - 1].bytes != (u64)ret * sizeof(u32))
		mm_diverge(t, MM_WHY_STREAM);
	for (s64 i = 0; i < ret; i++)
		if (lengths[i] > m[i].bytes)
			mm_diverge(t, MM_WHY_STREAM); /* nothing sends more than there is */
	if (hand_over_lengths(t, ret) != ret)
		mm_diverge(t, MM_WHY_RESULT);
}
