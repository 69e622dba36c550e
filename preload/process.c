/* SPDX-License-Identifier: Apache-2.0 */
/* prctl(2) and its like. What is not listed is not offered. */
#include "monitor.h"
#include "special.h"
#include "table.gen.h"
#include <linux/errno.h>

void mm_describe_prctl(struct mm_thread *t)
{
	struct mm_call *c = &t->call;

	c->out.rec.form = 0; /* which registers mean something depends on the option; the others hold what they held before */
	mm_item_value(c, 0, (u32)c->a[0]);
	switch ((u32)c->a[0]) {
	case 15: { /* PR_SET_NAME */
		char *name = mm_stage(t, 16);
		u64 got;

		memset(name, 0, 16);
		got = mm_in(t, name, c->a[1], 15);
		if (got < 15 && strlen(name) >= got)
			mm_refuse(c, -EFAULT);
		c->x[1] = (u64)name;
		mm_item_digest(t, 1, name, strlen(name));
		break;
	}
	case 25: /* PR_GET_TSC */
		if (mm_touches_monitor(t->proc, c->a[1], 4))
			mm_refuse(c, -EFAULT);
		break;
	case 16: /* PR_GET_NAME */
		mm_out_add(t, MM_OUT_FIXED, 1, c->a[1], 16);
		break;
	case 2:  /* PR_GET_PDEATHSIG */
	case 37: /* PR_GET_CHILD_SUBREAPER */
		mm_out_add(t, MM_OUT_FIXED, 1, c->a[1], 4);
		mm_by_leader(t);
		break;
	case 3:  /* PR_GET_DUMPABLE */
	case 30: /* PR_GET_TIMERSLACK */
		mm_by_leader(t);
		break;
	case 1:  /* PR_SET_PDEATHSIG */
	case 36: /* PR_SET_CHILD_SUBREAPER */
	case 4:  /* PR_SET_DUMPABLE */
	case 29: /* PR_SET_TIMERSLACK */
	case 41: /* PR_SET_THP_DISABLE */
	case 42: /* PR_GET_THP_DISABLE */
		mm_by_leader(t);
		mm_value(t, 1);
		break;
	case 7:  /* PR_GET_KEEPCAPS */
	case 27: /* PR_GET_SECUREBITS */
		break;
	case 8:  /* PR_SET_KEEPCAPS */
	case 23: /* PR_CAPBSET_READ */
	case 24: /* PR_CAPBSET_DROP */
	case 28: /* PR_SET_SECUREBITS */
		mm_value(t, 1);
		break;
	case 38: /* PR_SET_NO_NEW_PRIVS */
	case 39: /* PR_GET_NO_NEW_PRIVS */
	case 47: /* PR_CAP_AMBIENT */
		for (int i = 1; i < 5; i++)
			mm_value(t, i);
		break;
	case 21: /* PR_GET_SECCOMP */
		mm_refuse(c, 0);
		break;
	default: /* among them PR_SET_SECCOMP, PR_SET_SYSCALL_USER_DISPATCH, PR_SET_MM, PR_SET_TSC */
		mm_refuse(c, -EINVAL);
	}
}

void mm_describe_arch_prctl(struct mm_thread *t)
{
	struct mm_call *c = &t->call;

	switch ((u32)c->a[0]) {
	case 0x1001: /* ARCH_SET_GS, ARCH_SET_FS */
	case 0x1002:
		if (mm_touches_monitor(t->proc, c->a[1], 1))
			mm_refuse(c, -EPERM);
		break;
	case 0x1003: /* ARCH_GET_FS, ARCH_GET_GS */
	case 0x1004:
		if (mm_touches_monitor(t->proc, c->a[1], 8))
			mm_refuse(c, -EFAULT);
		break;
	default: /* shadow stacks, tagged addresses, CPUID faulting: not offered */
		mm_refuse(c, -EINVAL);
	}
}

void mm_describe_limit(struct mm_thread *t)
{
	struct mm_call *c = &t->call;

	if ((u32)c->a[0] && (u32)c->a[0] != t->proc->virtual_pid)
		mm_by_leader(t);
	else
		c->x[0] = 0;
}

/* Of the first version the kernel reads one word of each kind. What it goes by is the copy of the header, where that is whole. */
int mm_capset_is_short(const struct mm_thread *t)
{
	const struct mm_call *c = &t->call;

	return c->x[0] != c->a[0] && c->x[0] + 8 <= (u64)t->proc->stage_end && *(const u32 *)c->x[0] == MM_CAPS_V1;
}

void mm_describe_capset(struct mm_thread *t)
{
	struct {
		u32 version;
		s32 pid;
	} *h = (void *)t->call.x[0];

	/* where it could not be read whole, the kernel is to say so */
	if ((u64)h != t->call.a[0] && (u8 *)(h + 1) < t->proc->stage + t->call.staged && h->pid == (s32)t->proc->virtual_pid)
		h->pid = 0;
}
