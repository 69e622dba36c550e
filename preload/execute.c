/* SPDX-License-Identifier: Apache-2.0 */
/* Carrying a call out, and finding what it wrote. */
#include "monitor.h"
#include "table.gen.h"
#include <linux/errno.h>

/* The program's call, not to be put off: a file's, or one that the leader has made already. */
s64 mm_repeat(struct mm_thread *t)
{
	const u64 *x = t->call.x;

	return mm_gate(t->call.row->native, x[0], x[1], x[2], x[3], x[4], x[5]);
}

/* The program's call. One that may sleep goes through the gate that lets a waiting signal go first. */
s64 mm_app_call(struct mm_thread *t)
{
	const u64 *x = t->call.x;
	s64 ret;

	/* what everyone does for himself is done to the end by everyone */
	if (!(t->call.row->flags & MM_F_BLOCKS) || t->call.who == MM_BY_ALL)
		return mm_repeat(t);
	mm_suspend(t);
	do {
		ret = mm_app_gate(&t->kick, t->call.row->native, x);
		if (ret != MM_NOT_MADE && ret != -EINTR)
			break;
		mm_update_kick(t); /* what came may be blocked by now, or have been a kick */
	} while (!mm_signals_waiting(t) && ret == MM_NOT_MADE);
	t->suspended = 0;
	return ret;
}

/* What the kernel found about a copy, into the program's array. */
static s64 hand_over_polls(struct mm_thread *t, s64 ret)
{
	const struct mm_poll *p = (const struct mm_poll *)t->call.extra;
	u64 at = t->call.a[0] + __builtin_offsetof(struct mm_poll, revents);

	for (u32 i = 0; ret >= 0 && i < t->call.polls; i++)
		if (mm_out(t, at + i * sizeof(*p), &p[i].revents, sizeof(p[i].revents)) != sizeof(p[i].revents))
			return -EFAULT;
	return ret;
}

/* What is asked of the file behind /proc/self/exe is asked of the program. */
static void follow_exe(struct mm_thread *t)
{
	struct mm_call *c = &t->call;
	int at = c->row->args[0].kind == MM_A_DIRFD;

	if (!c->paths || !c->path[0] || !mm_follows_links(c) || !mm_proc_is_exe(t, at ? (s32)c->a[0] : MM_AT_FDCWD, c->path))
		return;
	memcpy(c->path, t->proc->program, strlen(t->proc->program) + 1);
	c->x[at] = (u64)c->path;
}

s64 mm_execute(struct mm_thread *t)
{
	struct mm_call *c = &t->call;

	if (c->refuse)
		return c->error;
	if (c->row->klass == MM_C_SPECIAL)
		return mm_execute_special(t);
	if (c->row->klass == MM_C_BYPATH) {
		if (!c->row->effect)
			follow_exe(t);
		mm_place_by_path(t);
	}
	return c->polls ? hand_over_polls(t, mm_app_call(t)) : mm_app_call(t);
}

void mm_collect(struct mm_thread *t, s64 ret)
{
	struct mm_call *c = &t->call;

	for (u32 i = 0; i < c->nout; i++) {
		struct mm_outbuf *o = &c->outs[i];
		u32 length = 0;

		o->bytes = 0;
		switch (o->how) {
		case MM_OUT_FIXED:
			if (ret >= 0)
				o->bytes = o->room;
			break;
		case MM_OUT_RET:
		case MM_OUT_IOV:
			if (ret > 0)
				o->bytes = MM_MIN((u64)ret * o->unit, o->room);
			break;
		case MM_OUT_ALWAYS:
			/* select writes the time left even where another pointer was bad; this one may be the bad one */
			if (o->room <= sizeof(t->call.small) && mm_in(t, t->call.small, o->at, o->room) == o->room)
				o->bytes = o->room;
			break;
		case MM_OUT_LEN:
			if (ret >= 0 && mm_in(t, &length, o->length_at, 4) == 4 && (s32)length > 0)
				o->bytes = MM_MIN(length, o->room);
			break;
		}
	}
	if (c->nr == MM_NR_recvfrom || c->nr == MM_NR_recvmsg)
		mm_collect_thrown_away(t, ret);
	if (c->row->klass == MM_C_SPECIAL && !c->refuse)
		mm_collect_special(t, ret);
}
