/* SPDX-License-Identifier: Apache-2.0 */
/* The cross-check: a follower's call against the leader's, and what happens when they differ. */
#include "monitor.h"
#include "table.gen.h"
#include <linux/time_types.h>

/* Tells the supervisor; the group ends by its hand. Returns only where the group audits and can go on. */
void mm_diverge(struct mm_thread *t, enum mm_reason why)
{
	struct mm_proc *p = t->proc;
	struct mm_call *c = &t->call;
	int audit = (p->flags & MM_START_AUDIT) && why == MM_WHY_FORM;
	struct mm_msg_case m;

	mm_case(t, &m, why, 2);
	if (!mm_is_leader(p) && !audit) {
		u32 n = MM_MIN(sizeof(c->out.rec) + c->out.rec.form, MM_VERDICT_BYTES);

		memcpy((void *)p->mine->verdict_form, &c->out, n);
		p->mine->verdict_len = n;
		p->mine->verdict_seq = t->seq;
		__atomic_store_n(&p->mine->verdict, why == MM_WHY_STREAM ? MM_VERDICT_MALFORMED : MM_VERDICT_DIVERGED,
				 __ATOMIC_RELEASE);
	}
	c->out.rec.size = sizeof(c->out.rec) + c->out.rec.form;
	c->peer.rec.size = sizeof(c->peer.rec) + c->peer.rec.form;
	mm_send(p, audit ? MM_MSG_AUDIT : MM_MSG_DIVERGED, &m, sizeof(m), &c->out, c->out.rec.size, &c->peer, c->peer.rec.size);
	if (audit)
		return;
	for (;;) {
		struct __kernel_timespec nap = {0, 50000000};

		mm_check_end(t);
		mm_sys2(__NR_nanosleep, &nap, 0);
	}
}

/*
 * Takes the leader's next record and compares it with our own call. 1: the call is the same; 0: a signal was taken instead,
 * and the program's handler runs before the call is made.
 */
int mm_compare(struct mm_thread *t)
{
	struct mm_call *c = &t->call;
	const struct mm_rec *at = mm_next(t, &c->peer.rec);
	struct mm_rec *peer = &c->peer.rec;

	if (peer->kind == MM_REC_SIGNAL) {
		t->seq--; /* the call was not made yet */
		mm_take_signals(t, at, c->row ? MM_AT_ENTER : MM_WHERE_IT_STANDS);
		return 0;
	}
	memcpy(c->peer.form, at + 1, peer->form);
	if (peer->kind != c->out.rec.kind) {
		mm_diverge(t, MM_WHY_KIND);
	} else if (peer->nr != c->nr) {
		mm_diverge(t, MM_WHY_NUMBER);
	} else if (peer->seq != t->seq || peer->size != sizeof(*peer) + peer->form) {
		mm_diverge(t, MM_WHY_STREAM);
	} else if ((peer->flags & MM_RF_EXEMPT) != (c->out.rec.flags & MM_RF_EXEMPT) || peer->form != c->out.rec.form ||
		   memcmp(c->peer.form, c->out.form, peer->form)) {
		mm_diverge(t, mm_other_data(t) ? MM_WHY_DATA : MM_WHY_FORM);
	}
	mm_consume(t, peer->size);
	mm_mark_compared(t, t->seq);
	return 1;
}
