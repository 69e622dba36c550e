/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Calls whose arguments hold more than the table can say: nested structures, commands, descriptors among numbers. Each has up
 * to four parts, in the order of a call: describe, execute, collect, effect. Signals, memory, opening and messages have files
 * of their own.
 */
#include "monitor.h"
#include "table.gen.h"
#include <linux/errno.h>
#include <linux/fcntl.h>

static void by_leader(struct mm_thread *t)
{
	t->call.who = MM_BY_LEADER;
}

/* As the descriptor says: the leader's, unless every variant has its own. */
static void by_descriptor(struct mm_thread *t, u64 number)
{
	struct mm_fd *fd = mm_fd(t->proc, (u32)number);

	t->call.who = fd && fd->klass != MM_FD_OWN ? MM_BY_LEADER : MM_BY_ALL;
}

/* A structure of `n` bytes behind argument i, compared and carried out from a copy. */
static void *take(struct mm_thread *t, int i, u64 n, int compare)
{
	struct mm_call *c = &t->call;
	u8 *copy = mm_stage(t, n);

	if (!copy || mm_in(t, copy, c->a[i], n) != n) {
		mm_refuse(c, -EFAULT);
		return NULL;
	}
	if (compare && !c->exempt)
		mm_item_digest(t, i, copy, n);
	c->x[i] = (u64)copy;
	return copy;
}

/* An argument that is a number: an int for fcntl and ioctl, a long for prctl. */
static void value(struct mm_thread *t, int i)
{
	u64 a = t->call.nr == MM_NR_prctl ? t->call.a[i] : (u64)(s32)t->call.a[i];

	t->call.x[i] = a;
	if (!t->call.exempt)
		mm_item_value(&t->call, i, a);
}

/* struct flock of fcntl(2), without its padding. */
static void describe_lock(struct mm_thread *t)
{
	struct {
		u16 type, whence;
		u32 pad;
		s64 start, length;
		s32 pid;
		u32 pad2;
	} lock;
	struct mm_call *c = &t->call;

	if (mm_in(t, &lock, c->a[2], sizeof(lock)) != sizeof(lock)) {
		mm_refuse(c, -EFAULT);
		return;
	}
	mm_item_value(c, 2, lock.type | (u64)lock.whence << 16);
	mm_item_value(c, 2, lock.start);
	mm_item_value(c, 2, lock.length);
	if ((u32)c->a[1] == F_GETLK || (u32)c->a[1] == 36 /* F_OFD_GETLK */)
		mm_out_add(t, MM_OUT_FIXED, 2, c->a[2], sizeof(lock));
	else if (mm_touches_monitor(t->proc, c->a[2], sizeof(lock)))
		mm_refuse(c, -EFAULT);
}

static void describe_fcntl(struct mm_thread *t)
{
	struct mm_call *c = &t->call;

	by_descriptor(t, c->a[0]);
	c->out.rec.form = 0; /* what the argument is depends on the command */
	mm_item_value(c, 0, (u32)c->a[0]);
	mm_item_value(c, 1, (u32)c->a[1]);
	switch ((u32)c->a[1]) {
	case F_DUPFD:
	case F_DUPFD_CLOEXEC:
	case F_SETFD:
		value(t, 2);
		/* fall through */
	case F_GETFD:
		c->who = MM_BY_ALL;
		return;
	case F_GETLK:
	case F_SETLK:
	case F_SETLKW:
	case 36: /* F_OFD_GETLK, F_OFD_SETLK, F_OFD_SETLKW */
	case 37:
	case 38:
		describe_lock(t);
		return;
	case 15: /* F_SETOWN_EX */
		take(t, 2, 8, 1);
		return;
	case 16: /* F_GETOWN_EX */
		mm_out_add(t, MM_OUT_FIXED, 2, c->a[2], 8);
		return;
	case 1035: /* F_GET_RW_HINT, F_GET_FILE_RW_HINT */
	case 1037:
		mm_out_add(t, MM_OUT_FIXED, 2, c->a[2], 8);
		return;
	case 1036:
	case 1038:
		take(t, 2, 8, 1);
		return;
	case F_GETFL:
	case F_GETOWN:
	case F_GETSIG:
	case F_GETLEASE:
	case F_GETPIPE_SZ:
	case F_GET_SEALS:
		return; /* what the third register holds is nobody's business */
	default:
		value(t, 2);
	}
}

/* Requests of ioctl(2) that servers and tools make: how many bytes go in and come out. */
static const struct ioctl_row {
	u32 request;
	u16 in, out;
	u8 by_value, all;
} ioctls[] = {
    {0x5401, 0, 36, 0, 0},     /* TCGETS */
    {0x5402, 36, 0, 0, 0},     /* TCSETS */
    {0x5403, 36, 0, 0, 0},     /* TCSETSW */
    {0x5404, 36, 0, 0, 0},     /* TCSETSF */
    {0x802c542a, 0, 44, 0, 0}, /* TCGETS2 */
    {0x5409, 0, 0, 1, 0},      /* TCSBRK */
    {0x540a, 0, 0, 1, 0},      /* TCXONC */
    {0x540b, 0, 0, 1, 0},      /* TCFLSH */
    {0x540e, 0, 0, 1, 0},      /* TIOCSCTTY */
    {0x540f, 0, 4, 0, 0},      /* TIOCGPGRP */
    {0x5410, 4, 0, 0, 0},      /* TIOCSPGRP */
    {0x5411, 0, 4, 0, 0},      /* TIOCOUTQ */
    {0x5413, 0, 8, 0, 0},      /* TIOCGWINSZ */
    {0x5414, 8, 0, 0, 0},      /* TIOCSWINSZ */
    {0x541b, 0, 4, 0, 0},      /* FIONREAD */
    {0x5421, 4, 0, 0, 0},      /* FIONBIO */
    {0x5422, 0, 0, 0, 0},      /* TIOCNOTTY */
    {0x5429, 0, 4, 0, 0},      /* TIOCGSID */
    {0x80045430, 0, 4, 0, 0},  /* TIOCGPTN */
    {0x40045431, 4, 0, 0, 0},  /* TIOCSPTLCK */
    {0x5450, 0, 0, 0, 1},      /* FIONCLEX */
    {0x5451, 0, 0, 0, 1},      /* FIOCLEX */
    {0x5452, 4, 0, 0, 0},      /* FIOASYNC */
    {0x80086601, 0, 8, 0, 0},  /* FS_IOC_GETFLAGS: the kernel writes an int, older ones a long */
    {0x40086602, 8, 0, 0, 0},  /* FS_IOC_SETFLAGS */
    {0x8905, 0, 4, 0, 0},      /* SIOCATMARK */
    {0x8910, 40, 40, 0, 0},    /* SIOCGIFNAME */
    {0x8913, 40, 40, 0, 0},    /* SIOCGIFFLAGS */
    {0x8915, 40, 40, 0, 0},    /* SIOCGIFADDR */
    {0x891b, 40, 40, 0, 0},    /* SIOCGIFNETMASK */
    {0x8921, 40, 40, 0, 0},    /* SIOCGIFMTU */
    {0x8927, 40, 40, 0, 0},    /* SIOCGIFHWADDR */
    {0x8933, 40, 40, 0, 0},    /* SIOCGIFINDEX */
};

static void describe_ioctl(struct mm_thread *t)
{
	struct mm_call *c = &t->call;
	u32 request = (u32)c->a[1];

	by_descriptor(t, c->a[0]);
	c->out.rec.form = 0;
	mm_item_value(c, 0, (u32)c->a[0]);
	mm_item_value(c, 1, request);
	for (u32 i = 0; i < sizeof(ioctls) / sizeof(ioctls[0]); i++) {
		const struct ioctl_row *row = &ioctls[i];

		if (row->request != request)
			continue;
		if (row->all)
			c->who = MM_BY_ALL;
		if (row->by_value)
			value(t, 2);
		if (row->in && !row->out)
			take(t, 2, row->in, 1);
		else if (row->in) {
			u8 *copy = mm_stage(t, row->in);

			mm_item_digest(t, 2, copy,
				       mm_in(t, copy, c->a[2], MM_MIN(row->in, 16))); /* the name; what follows is output */
		}
		if (row->out)
			mm_out_add(t, MM_OUT_FIXED, 2, c->a[2], row->out);
		return;
	}
	mm_refuse(c, mm_fd(t->proc, (u32)c->a[0]) ? -ENOTTY : -EBADF);
	if (mm_is_leader(t->proc))
		mm_event(t->proc, "ioctl: a request that monmod does not know was answered ENOTTY", NULL);
}

/* epoll: the kernel is given the number of the registration, each variant keeps its own data for it. */

#pragma pack(push, 1)
struct epoll_event {
	u32 events;
	u64 data;
};
#pragma pack(pop)

#define EPOLL_AT_ONCE 4096u /* events of one wait; the caller comes back for more */

static void describe_epoll_ctl(struct mm_thread *t)
{
	struct mm_call *c = &t->call;
	struct epoll_event *e;

	by_leader(t);
	if (c->a[1] == 2) /* EPOLL_CTL_DEL: the event is ignored */
		return;
	e = take(t, 3, sizeof(*e), 0);
	if (!e)
		return;
	c->extra = e->data;
	mm_item_value(c, 3, e->events);
}

static s64 execute_epoll_ctl(struct mm_thread *t)
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

static void effect_epoll_ctl(struct mm_thread *t, s64 ret)
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

static void describe_epoll_wait(struct mm_thread *t)
{
	struct mm_call *c = &t->call;
	s32 max = (s32)c->a[2];
	u64 bytes;

	by_leader(t);
	if (max <= 0)
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

static s64 execute_epoll_wait(struct mm_thread *t)
{
	s64 ret = mm_app_call(t);

	return ret > 0 && t->call.extra ? hand_over_events(t, ret) : ret;
}

static void effect_epoll_wait(struct mm_thread *t, s64 ret)
{
	if (ret > 0 && t->call.extra && !mm_is_leader(t->proc) && hand_over_events(t, ret) != ret)
		mm_diverge(t, MM_WHY_RESULT);
}

/* Other calls */

static void describe_pselect(struct mm_thread *t)
{
	struct mm_call *c = &t->call;
	struct {
		u64 set, bytes;
	} * m;
	u64 *mask;

	by_leader(t);
	if (!c->a[5])
		return;
	m = take(t, 5, sizeof(*m), 0);
	if (!m || !m->set)
		return;
	mask = mm_stage(t, 8);
	if (m->bytes != 8 || mm_in(t, mask, m->set, 8) != 8) {
		mm_refuse(c, m->bytes != 8 ? -EINVAL : -EFAULT);
		return;
	}
	*mask = mm_clean_mask(*mask);
	mm_item_value(c, 5, *mask);
	m->set = (u64)mask;
}

static void describe_sleep(struct mm_thread *t, int left)
{
	struct mm_call *c = &t->call;

	by_leader(t);
	if (c->a[left])
		mm_out_add(t, MM_OUT_SET, left, c->a[left], 16);
}

static void describe_setsockopt(struct mm_thread *t)
{
	struct mm_call *c = &t->call;
	u32 option = (u32)c->a[2];

	by_leader(t);
	/* filters hold pointers; zero-copy lets the kernel read memory after the call; packet sockets map rings */
	if (((u32)c->a[1] == 1 && (option == 26 || option == 50 || option == 51 || option == 52 || option == 60)) ||
	    (u32)c->a[1] == 263)
		mm_refuse(c, -ENOPROTOOPT);
}

static void describe_transfer(struct mm_thread *t, int in, int out)
{
	struct mm_fd *from = mm_fd(t->proc, (u32)t->call.a[in]), *to = mm_fd(t->proc, (u32)t->call.a[out]);

	t->call.who = from && to && from->klass == MM_FD_OWN && to->klass == MM_FD_OWN ? MM_BY_ALL : MM_BY_LEADER;
}

/* The leader has read from a file that every variant has of its own: ours moves on as far. */
static void effect_transfer(struct mm_thread *t, s64 ret, int in, int offset)
{
	struct mm_fd *from = mm_fd(t->proc, (u32)t->call.a[in]);

	u8 leaders[16];

	if (ret <= 0 || mm_is_leader(t->proc) || t->call.who != MM_BY_LEADER || !from || from->klass != MM_FD_OWN)
		return;
	memcpy(leaders, t->call.digest, sizeof(leaders));
	mm_digest_own(t, ret);
	mm_compare_own(t, leaders);
	if (!t->call.a[offset])
		mm_sys3(__NR_lseek, t->call.a[in], ret, 1);
}

static void describe_prctl(struct mm_thread *t)
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
		by_leader(t);
		break;
	case 1:  /* PR_SET_PDEATHSIG */
	case 36: /* PR_SET_CHILD_SUBREAPER */
	case 3:  /* PR_GET_DUMPABLE */
	case 4:  /* PR_SET_DUMPABLE */
	case 29: /* PR_SET_TIMERSLACK */
	case 30: /* PR_GET_TIMERSLACK */
	case 41: /* PR_SET_THP_DISABLE */
	case 42: /* PR_GET_THP_DISABLE */
		by_leader(t);
		value(t, 1);
		break;
	case 7:  /* PR_GET_KEEPCAPS */
	case 27: /* PR_GET_SECUREBITS */
		break;
	case 8:  /* PR_SET_KEEPCAPS */
	case 23: /* PR_CAPBSET_READ */
	case 24: /* PR_CAPBSET_DROP */
	case 28: /* PR_SET_SECUREBITS */
		value(t, 1);
		break;
	case 38: /* PR_SET_NO_NEW_PRIVS */
	case 39: /* PR_GET_NO_NEW_PRIVS */
	case 47: /* PR_CAP_AMBIENT */
		for (int i = 1; i < 5; i++)
			value(t, i);
		break;
	case 21: /* PR_GET_SECCOMP */
		mm_refuse(c, 0);
		break;
	default: /* among them PR_SET_SECCOMP, PR_SET_SYSCALL_USER_DISPATCH, PR_SET_MM, PR_SET_TSC */
		mm_refuse(c, -EINVAL);
	}
}

static void describe_arch_prctl(struct mm_thread *t)
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

static void describe_limit(struct mm_thread *t)
{
	struct mm_call *c = &t->call;

	if ((u32)c->a[0] && (u32)c->a[0] != t->proc->virtual_pid)
		by_leader(t);
	else
		c->x[0] = 0;
}

static void describe_capset(struct mm_thread *t)
{
	struct {
		u32 version;
		s32 pid;
	} *h = (void *)t->call.x[0];

	/* where it could not be read whole, the kernel is to say so */
	if ((u64)h != t->call.a[0] && (u8 *)(h + 1) < t->proc->stage + t->call.staged && h->pid == (s32)t->proc->virtual_pid)
		h->pid = 0;
}

/* Which variants have real counterparts of these numbers: none but the monitor itself. */
static void describe_dup(struct mm_thread *t)
{
	if (t->call.nr != MM_NR_dup && mm_fd_is_own(t->proc, (u32)t->call.a[1]))
		mm_refuse(&t->call, -EBADF);
}

static s64 execute_close_range(struct mm_thread *t)
{
	const struct mm_proc *p = t->proc;
	u64 first = (u32)t->call.a[0], last = (u32)t->call.a[1];
	u64 low = p->own_first, high = p->own_first + MM_OWN_FDS - 1;
	s64 ret = 0;

	if (first > last || last < low || first > high)
		return mm_app_call(t);
	if (t->call.a[2] & ~4ul)
		return -EINVAL;
	if (first < low)
		ret = mm_sys3(__NR_close_range, first, low - 1, t->call.a[2]);
	if (!ret && last > high)
		ret = mm_sys3(__NR_close_range, high + 1, last, t->call.a[2]);
	return ret;
}

void mm_describe_special(struct mm_thread *t)
{
	struct mm_call *c = &t->call;

	switch (c->nr) {
	case MM_NR_openat:
		mm_describe_open(t);
		break;
	case MM_NR_getdents64:
	case MM_NR_readlinkat:
	case MM_NR_socketpair:
	case MM_NR_pipe2:
	case MM_NR_sendto:
	case MM_NR_rt_sigsuspend:
	case MM_NR_rt_sigtimedwait:
	case MM_NR_pause:
	case MM_NR_set_tid_address:
	case MM_NR_splice:
	case MM_NR_signalfd4:
		by_leader(t);
		break;
	case MM_NR_dup:
	case MM_NR_dup2:
	case MM_NR_dup3:
		describe_dup(t);
		break;
	case MM_NR_fcntl:
		describe_fcntl(t);
		break;
	case MM_NR_ioctl:
		describe_ioctl(t);
		break;
	case MM_NR_sendfile:
		describe_transfer(t, 1, 0);
		break;
	case MM_NR_copy_file_range:
		describe_transfer(t, 0, 2);
		break;
	case MM_NR_setsockopt:
		describe_setsockopt(t);
		break;
	case MM_NR_sendmsg:
	case MM_NR_recvmsg:
		by_leader(t);
		mm_describe_msg(t);
		break;
	case MM_NR_pselect6:
		describe_pselect(t);
		break;
	case MM_NR_epoll_ctl:
		describe_epoll_ctl(t);
		break;
	case MM_NR_epoll_pwait:
		describe_epoll_wait(t);
		break;
	case MM_NR_nanosleep:
		describe_sleep(t, 1);
		break;
	case MM_NR_clock_nanosleep:
		describe_sleep(t, 3);
		break;
	case MM_NR_timer_create: {
		struct {
			u64 value;
			s32 signo, notify;
			u32 tid, pad[11];
		} * event;

		by_leader(t);
		if (!c->a[1])
			break;
		event = take(t, 1, 64, 0);
		if (event) {
			mm_item_value(c, 1, (u32)event->signo | (u64)(u32)event->notify << 32);
			if ((event->notify & 3) == 2) /* SIGEV_THREAD: the kernel knows it not */
				mm_refuse(c, -EINVAL);
		}
		break;
	}
	case MM_NR_prlimit64:
		describe_limit(t);
		break;
	case MM_NR_capset:
		describe_capset(t);
		break;
	case MM_NR_prctl:
		describe_prctl(t);
		break;
	case MM_NR_arch_prctl:
		describe_arch_prctl(t);
		break;
	case MM_NR_set_robust_list:
		mm_refuse(c, c->a[1] == 24 ? 0 : -EINVAL); /* kept by no one: the kernel would walk program memory at exit */
		break;
	case MM_NR_mmap:
		mm_describe_mmap(t);
		break;
	case MM_NR_rt_sigaction:
	case MM_NR_kill:
	case MM_NR_tkill:
	case MM_NR_tgkill:
		mm_describe_signal(t);
		break;
	}
}

static s64 execute_readlink(struct mm_thread *t)
{
	struct mm_call *c = &t->call;
	s64 n = (s64)strlen(t->proc->program);

	if (!mm_is_proc_self(t, c->path, "exe") || (s32)c->a[3] <= 0)
		return mm_app_call(t);
	n = MM_MIN(n, (s32)c->a[3]);
	return mm_out(t, c->a[2], t->proc->program, n) == (u64)n ? n : -EFAULT;
}

s64 mm_execute_special(struct mm_thread *t)
{
	switch (t->call.nr) {
	case MM_NR_openat:
		return mm_execute_open(t);
	case MM_NR_getdents64:
		return mm_proc_list(t);
	case MM_NR_readlinkat:
		return execute_readlink(t);
	case MM_NR_close_range:
		return execute_close_range(t);
	case MM_NR_epoll_ctl:
		return execute_epoll_ctl(t);
	case MM_NR_epoll_pwait:
		return execute_epoll_wait(t);
	case MM_NR_ioctl:
		/* FIOCLEX, FIONCLEX: a placeholder knows no ioctl, but the flag */
		if (t->call.who == MM_BY_ALL && ((u32)t->call.a[1] | 1) == 0x5451)
			return mm_sys3(__NR_fcntl, t->call.x[0], 2 /* F_SETFD */, (u32)t->call.a[1] & 1);
		break;
	case MM_NR_mmap:
		return mm_execute_mmap(t);
	case MM_NR_mprotect:
		return mm_execute_mprotect(t);
	case MM_NR_rt_sigaction:
		return mm_sigaction_call(t);
	case MM_NR_rt_sigprocmask:
		return mm_sigprocmask_call(t);
	case MM_NR_sigaltstack:
		return mm_sigaltstack_call(t);
	case MM_NR_kill:
	case MM_NR_tkill:
	case MM_NR_tgkill:
		return mm_kill_call(t);
	}
	return mm_app_call(t);
}

void mm_collect_special(struct mm_thread *t, s64 ret)
{
	struct mm_call *c = &t->call;

	switch (c->nr) {
	case MM_NR_nanosleep:
	case MM_NR_clock_nanosleep:
		if (c->nout && ret == -EINTR)
			c->outs[c->nout - 1].bytes = 16;
		break;
	case MM_NR_epoll_pwait:
		if (c->nout && ret > 0)
			c->outs[c->nout - 1].bytes = ret * sizeof(struct epoll_event);
		break;
	case MM_NR_recvmsg:
		mm_collect_msg(t, ret);
		break;
	}
}

void mm_effect_special(struct mm_thread *t, s64 ret)
{
	switch (t->call.nr) {
	case MM_NR_epoll_ctl:
		effect_epoll_ctl(t, ret);
		break;
	case MM_NR_epoll_pwait:
		effect_epoll_wait(t, ret);
		break;
	case MM_NR_recvmsg:
		mm_effect_msg(t, ret);
		break;
	case MM_NR_sendfile:
		effect_transfer(t, ret, 1, 2);
		break;
	case MM_NR_copy_file_range:
		effect_transfer(t, ret, 0, 1);
		break;
	}
}
