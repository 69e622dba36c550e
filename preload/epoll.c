/* SPDX-License-Identifier: Apache-2.0 */
/* epoll: the kernel is given the number of the registration (descriptors.c), and each variant keeps its own data for it. */
#include "monitor.h"
#include "special.h"
#include "table.gen.h"
#include <linux/errno.h>

#pragma pack(push, 1)
struct epoll_event {
	u32 events;
	u64 data;
};
#pragma pack(pop)

#define EPOLL_AT_ONCE 4096u                                      /* events of one wait; the caller comes back for more */
#define EPOLL_MAX (0x7fffffff / (s32)sizeof(struct epoll_event)) /* EP_MAX_EVENTS of the kernel */

void mm_describe_epoll_ctl(struct mm_thread *t)
{
	struct mm_call *c = &t->call;
	struct epoll_event *e;

	mm_by_leader(t);
	if ((u32)c->a[1] == 2) /* EPOLL_CTL_DEL: the event is ignored */
		return;
	e = mm_take(t, 3, sizeof(*e), 0);
	if (!e)
		return;
	c->extra = e->data;
	mm_item_value(c, 3, e->events);
}

s64 mm_execute_epoll_ctl(struct mm_thread *t)
{
	struct mm_call *c = &t->call;
	struct epoll_event *e = (struct epoll_event *)c->x[3];
	struct mm_token *k;
	s64 ret;

	if ((u32)c->a[1] == 1 && mm_fd(t->proc, (u32)c->a[0]) && mm_fd(t->proc, (u32)c->a[2])) {
		e->data = mm_token_add(t, (u32)c->a[0], (u32)c->a[2], c->extra);
		ret = mm_app_call(t);
		if (ret < 0)
			mm_token_drop(t->proc, mm_token_of(t->proc, e->data));
		return ret;
	}
	k = mm_token_find(t->proc, (u32)c->a[0], (u32)c->a[2]);
	if ((u32)c->a[1] == 3 && k)
		e->data = mm_token_data(t->proc, k);
	return mm_app_call(t);
}

void mm_effect_epoll_ctl(struct mm_thread *t, s64 ret)
{
	struct mm_call *c = &t->call;
	struct mm_token *k = mm_token_find(t->proc, (u32)c->a[0], (u32)c->a[2]);

	switch ((u32)c->a[1]) {
	case 1: /* the leader has added it; a follower repeats what happened to the table */
		if (mm_is_leader(t->proc) || !mm_fd(t->proc, (u32)c->a[0]) || !mm_fd(t->proc, (u32)c->a[2]))
			break;
		k = mm_token_of(t->proc, mm_token_add(t, (u32)c->a[0], (u32)c->a[2], c->extra));
		if (ret < 0)
			mm_token_drop(t->proc, k);
		break;
	case 2:
		if (ret == 0 && k)
			mm_token_drop(t->proc, k);
		break;
	case 3:
		if (ret == 0 && k)
			k->data = c->extra;
		break;
	}
}

void mm_describe_epoll_wait(struct mm_thread *t)
{
	struct mm_call *c = &t->call;
	s32 max = (s32)c->a[2];
	u64 bytes;

	mm_by_leader(t);
	if (max <= 0 || max > EPOLL_MAX)
		return; /* the kernel says EINVAL */
	c->x[2] = MM_MIN((u32)max, EPOLL_AT_ONCE);
	bytes = c->x[2] * sizeof(struct epoll_event);
	if (mm_touches_monitor(t->proc, c->a[1], bytes))
		mm_refuse(c, -EFAULT);
	if (c->a[1] >> 47)
		return; /* the kernel refuses addresses of its own before it looks for events */
	c->extra = (u64)mm_stage(t, bytes);
	c->x[1] = c->extra;
	mm_out_add(t, MM_OUT_STAGED, 1, c->x[1], bytes)->unit = sizeof(struct epoll_event);
}

/* From registrations to the program's own data, into its memory. */
static s64 hand_over_events(struct mm_thread *t, s64 ret)
{
	const struct epoll_event *from = (const struct epoll_event *)t->call.extra;

	for (s64 i = 0; i < ret; i++) {
		struct epoll_event e = from[i];
		struct mm_token *k = mm_token_of(t->proc, e.data);

		if (!k) {
			mm_diverge(t, MM_WHY_STREAM);
			mm_end(t);
		}
		e.data = k->data;
		if (mm_out(t, t->call.a[1] + i * sizeof(e), &e, sizeof(e)) != sizeof(e))
			return i ? i : -EFAULT;
	}
	return ret;
}

s64 mm_execute_epoll_wait(struct mm_thread *t)
{
	s64 ret = mm_app_call(t);

	return ret > 0 && t->call.extra ? hand_over_events(t, ret) : ret;
}

void mm_effect_epoll_wait(struct mm_thread *t, s64 ret)
{
	struct mm_call *c = &t->call;

	if (ret <= 0 || !c->extra || mm_is_leader(t->proc))
		return;
	if (ret > (s64)c->x[2] || c->outs[c->nout - 1].bytes != ret * sizeof(struct epoll_event))
		mm_diverge(t, MM_WHY_STREAM);
	if (hand_over_events(t, ret) != ret)
		mm_diverge(t, MM_WHY_RESULT);
}
