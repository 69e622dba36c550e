/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Calls whose arguments hold more than the table can say: nested structures, commands, descriptors among numbers. Each has up
 * to four parts, in the order of a call: describe, execute, collect, effect. Signals, memory, opening and messages have files
 * of their own.
 */
#include "monitor.h"
#include "signals.h"
#include "special.h"
#include "table.gen.h"
#include <linux/errno.h>

void mm_by_leader(struct mm_thread *t)
{
	t->call.who = MM_BY_LEADER;
}

/* As the descriptor says: the leader's, unless every variant has its own. */
void mm_by_descriptor(struct mm_thread *t, u64 number)
{
	struct mm_fd *fd = mm_fd(t->proc, (u32)number);

	t->call.who = fd && fd->klass != MM_FD_OWN ? MM_BY_LEADER : MM_BY_ALL;
}

/* A structure of `n` bytes behind argument i, compared and carried out from a copy. */
void *mm_take(struct mm_thread *t, int i, u64 n, int compare)
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
void mm_value(struct mm_thread *t, int i)
{
	u64 a = t->call.nr == MM_NR_prctl ? t->call.a[i] : (u64)(s32)t->call.a[i];

	t->call.x[i] = a;
	if (!t->call.exempt)
		mm_item_value(&t->call, i, a);
}

/* Other calls */

static void describe_pselect(struct mm_thread *t)
{
	struct mm_call *c = &t->call;
	struct {
		u64 set, bytes;
	} * m;
	u64 *mask;

	mm_by_leader(t);
	if (!c->a[5])
		return;
	m = mm_take(t, 5, sizeof(*m), 0);
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

	mm_by_leader(t);
	if (c->nr == MM_NR_clock_nanosleep && (c->a[1] & 1 /* TIMER_ABSTIME */))
		return; /* no time is left, so the kernel writes nothing there */
	if (c->a[left])
		mm_out_add(t, MM_OUT_SET, left, c->a[left], 16);
}

/* A wait for what a signal handler or a clock brings; all other operations are local. */
static void describe_futex(struct mm_thread *t)
{
	struct mm_call *c = &t->call;

	mm_by_leader(t);
	c->out.rec.form = 0; /* what else the registers hold means nothing */
	mm_item_value(c, 1, (u32)c->a[1]);
	mm_item_value(c, 2, (u32)c->a[2]);
	mm_check_room(t, c->a[0], 4);
	if (c->a[3])
		mm_take(t, 3, 16, 1);
	if (c->a[1] & 8 /* FUTEX_WAIT_BITSET */)
		mm_item_value(c, 5, (u32)c->a[5]);
}

static void describe_setsockopt(struct mm_thread *t)
{
	struct mm_call *c = &t->call;
	u32 option = (u32)c->a[2];

	mm_by_leader(t);
	/* filters hold pointers; zero-copy lets the kernel read memory after the call; packet sockets map rings; SO_PASSPIDFD opens
	 * a descriptor with each message */
	if (((u32)c->a[1] == 1 && (option == 26 || option == 50 || option == 51 || option == 52 || option == 60 || option == 76)) ||
	    (u32)c->a[1] == 263)
		mm_refuse(c, -ENOPROTOOPT);
	/* tables of packet filters have counters written wherever they say; XDP and RDS register memory */
	if (((u32)c->a[1] == 0 && (option == 64 || option == 96 || option == 128)) || ((u32)c->a[1] == 41 && option == 64) ||
	    (u32)c->a[1] == 276 || (u32)c->a[1] == 283)
		mm_refuse(c, -ENOPROTOOPT);
}

static void describe_getsockopt(struct mm_thread *t)
{
	u32 level = (u32)t->call.a[1], option = (u32)t->call.a[2];

	mm_by_leader(t);
	if (level == 6 && option == 35) /* TCP_ZEROCOPY_RECEIVE: its value holds addresses to map and write */
		mm_refuse(&t->call, -ENOPROTOOPT);
	if (level == 1 &&
	    (option == 26 || option == 77)) /* SO_GET_FILTER counts in instructions, SO_PEERPIDFD opens a descriptor */
		mm_refuse(&t->call, -ENOPROTOOPT);
	if (level == 132 && (option == 102 || option == 111 || option == 122)) /* of SCTP: descriptors, addresses to connect to */
		mm_refuse(&t->call, -ENOPROTOOPT);
}

static void describe_transfer(struct mm_thread *t, int in, int out, int offset, int count)
{
	struct mm_fd *from = mm_fd(t->proc, (u32)t->call.a[in]), *to = mm_fd(t->proc, (u32)t->call.a[out]);

	int own = from && from->klass == MM_FD_OWN, into = to && to->klass == MM_FD_OWN;

	t->call.who = own && into ? MM_BY_ALL : MM_BY_LEADER;
	if (from && into && !own)
		mm_refuse(&t->call, -EINVAL); /* followers have nothing to write there; programs fall back to read and write */
	if (mm_fd_differs(t->proc, (u32)t->call.a[in]) && !mm_fd_differs(t->proc, (u32)t->call.a[out]))
		mm_refuse(&t->call, -EINVAL); /* what the kernel would take from there nobody could compare; the same fallback */
	if (own && !t->call.refuse && t->proc->ofds[from->ofd].data == MM_OWN_COMPARED)
		mm_digest_transfer(t, in, offset, count);
}

/*
 * What every variant copies from a file of its own to another would end early where a signal waits, the leader's alone or a kick at one
 * that is late. It never takes long.
 */
static s64 execute_transfer(struct mm_thread *t)
{
	u64 mask = ~SYNCHRONOUS, old;
	s64 ret;

	if (t->call.who != MM_BY_ALL)
		return mm_app_call(t);
	mm_sys4(__NR_rt_sigprocmask, 0, &mask, &old, 8);
	ret = mm_repeat(t);
	mm_sys4(__NR_rt_sigprocmask, 2, &old, 0, 8);
	return ret;
}

/* The leader has read from a file that every variant has of its own: ours moves on as far. */
static void effect_transfer(struct mm_thread *t, s64 ret, int in, int offset)
{
	struct mm_fd *from = mm_fd(t->proc, (u32)t->call.a[in]);

	if (ret > 0 && !mm_is_leader(t->proc) && t->call.who == MM_BY_LEADER && from && from->klass == MM_FD_OWN &&
	    !t->call.a[offset])
		mm_sys3(__NR_lseek, t->call.a[in], ret, 1);
}

/* Which variants have real counterparts of these numbers: none but the monitor itself. */
static void describe_dup(struct mm_thread *t)
{
	u32 to = (u32)t->call.a[1];

	if (t->call.nr != MM_NR_dup && (mm_fd_is_own(t->proc, to) || to >= MM_FD_CAP)) /* as beyond the limit of open files */
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
	if ((u32)t->call.a[2] & ~6u) /* CLOSE_RANGE_CLOEXEC, CLOSE_RANGE_UNSHARE */
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
	case MM_NR_bind:
	case MM_NR_chdir:
	case MM_NR_fchdir:
	case MM_NR_chroot:
	case MM_NR_pipe2:
	case MM_NR_sendto:
	case MM_NR_rt_sigsuspend:
	case MM_NR_rt_sigpending:
	case MM_NR_pause:
	case MM_NR_signalfd4:
		mm_by_leader(t);
		break;
	case MM_NR_set_tid_address:
		mm_by_leader(t);
		if (mm_touches_monitor(t->proc, c->a[0], 4)) /* the kernel stores there when the thread ends */
			c->x[0] = 0;
		break;
	case MM_NR_dup:
	case MM_NR_dup2:
	case MM_NR_dup3:
		describe_dup(t);
		break;
	case MM_NR_fcntl:
		mm_describe_fcntl(t);
		break;
	case MM_NR_ioctl:
		mm_describe_ioctl(t);
		break;
	case MM_NR_sendfile:
		describe_transfer(t, 1, 0, 2, 3);
		break;
	case MM_NR_splice:
	case MM_NR_copy_file_range:
		describe_transfer(t, 0, 2, 1, 4);
		break;
	case MM_NR_setsockopt:
		describe_setsockopt(t);
		break;
	case MM_NR_getsockopt:
		describe_getsockopt(t);
		break;
	case MM_NR_sendmsg:
	case MM_NR_recvmsg:
		mm_by_leader(t);
		mm_describe_msg(t);
		break;
	case MM_NR_sendmmsg:
		mm_by_leader(t);
		mm_describe_batch(t);
		break;
	case MM_NR_pselect6:
		describe_pselect(t);
		break;
	case MM_NR_epoll_ctl:
		mm_describe_epoll_ctl(t);
		break;
	case MM_NR_epoll_pwait:
		mm_describe_epoll_wait(t);
		break;
	case MM_NR_nanosleep:
		describe_sleep(t, 1);
		break;
	case MM_NR_clock_nanosleep:
		describe_sleep(t, 3);
		break;
	case MM_NR_futex:
		describe_futex(t);
		break;
	case MM_NR_timer_create:
		mm_describe_timer(t);
		break;
	case MM_NR_prlimit64:
		mm_describe_limit(t);
		break;
	case MM_NR_capset:
		mm_describe_capset(t);
		break;
	case MM_NR_prctl:
		mm_describe_prctl(t);
		break;
	case MM_NR_arch_prctl:
		mm_describe_arch_prctl(t);
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
	case MM_NR_rt_sigqueueinfo:
		mm_describe_queue(t, 2);
		break;
	case MM_NR_rt_tgsigqueueinfo:
		mm_describe_queue(t, 3);
		break;
	case MM_NR_rt_sigtimedwait:
		mm_describe_sigwait(t);
		break;
	}
}

static s64 execute_readlink(struct mm_thread *t)
{
	struct mm_call *c = &t->call;
	s64 n = (s64)strlen(t->proc->program);

	if ((s32)c->a[3] <= 0 || !mm_proc_is_exe(t, (s32)c->a[0], c->path))
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
	case MM_NR_bind:
		return mm_execute_bind(t);
	case MM_NR_chdir:
	case MM_NR_fchdir:
	case MM_NR_chroot:
		return mm_execute_folder(t);
	case MM_NR_epoll_ctl:
		return mm_execute_epoll_ctl(t);
	case MM_NR_epoll_pwait:
		return mm_execute_epoll_wait(t);
	case MM_NR_sendmmsg:
		return mm_execute_batch(t);
	case MM_NR_sendfile:
	case MM_NR_splice:
	case MM_NR_copy_file_range:
		return execute_transfer(t);
	case MM_NR_ioctl:
		/* FIOCLEX, FIONCLEX: a placeholder knows no ioctl, but the flag */
		if (t->call.who == MM_BY_ALL && ((u32)t->call.a[1] | 1) == 0x5451)
			return mm_sys3(__NR_fcntl, t->call.x[0], 2 /* F_SETFD */, (u32)t->call.a[1] & 1);
		return mm_hand_over(t, mm_app_call(t));
	case MM_NR_fcntl:
		return mm_hand_over(t, mm_app_call(t));
	case MM_NR_mmap:
		return mm_execute_mmap(t);
	case MM_NR_mprotect:
		return mm_execute_mprotect(t);
	case MM_NR_rt_sigaction:
		return mm_sigaction_call(t);
	case MM_NR_rt_sigprocmask:
		return mm_sigprocmask_call(t);
	case MM_NR_rt_sigreturn:
		return mm_sigreturn_call(t);
	case MM_NR_rt_sigpending:
		return mm_sigpending_call(t);
	case MM_NR_sigaltstack:
		return mm_sigaltstack_call(t);
	case MM_NR_kill:
	case MM_NR_tkill:
	case MM_NR_tgkill:
	case MM_NR_rt_sigqueueinfo:
	case MM_NR_rt_tgsigqueueinfo:
		return mm_kill_call(t);
	case MM_NR_rt_sigtimedwait:
		return mm_execute_sigwait(t);
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
	case MM_NR_sendmmsg:
		if (c->nout && ret > 0)
			c->outs[c->nout - 1].bytes = ret * c->outs[c->nout - 1].unit;
		break;
	case MM_NR_rt_sigtimedwait:
		if (c->nout && ret > 0)
			c->outs[c->nout - 1].bytes = c->outs[c->nout - 1].room;
		break;
	case MM_NR_fcntl:
	case MM_NR_ioctl:
		if (c->extra && ret >= 0)
			c->outs[c->nout - 1].bytes = c->outs[c->nout - 1].room;
		break;
	case MM_NR_recvmsg:
		mm_collect_msg(t, ret);
		break;
	}
}

void mm_effect_special(struct mm_thread *t, s64 ret)
{
	switch (t->call.nr) {
	case MM_NR_fcntl:
	case MM_NR_ioctl:
		mm_effect_control(t, ret);
		break;
	case MM_NR_bind:
		mm_effect_bind(t, ret);
		break;
	case MM_NR_chdir:
	case MM_NR_fchdir:
	case MM_NR_chroot:
		mm_effect_folder(t, ret);
		break;
	case MM_NR_epoll_ctl:
		mm_effect_epoll_ctl(t, ret);
		break;
	case MM_NR_epoll_pwait:
		mm_effect_epoll_wait(t, ret);
		break;
	case MM_NR_recvmsg:
		mm_effect_msg(t, ret);
		break;
	case MM_NR_sendmmsg:
		mm_effect_batch(t, ret);
		break;
	case MM_NR_timer_create:
	case MM_NR_rt_sigqueueinfo:
	case MM_NR_rt_tgsigqueueinfo:
		mm_effect_value(t, ret);
		break;
	case MM_NR_rt_sigtimedwait:
		mm_effect_sigwait(t, ret);
		break;
	case MM_NR_sendfile:
		effect_transfer(t, ret, 1, 2);
		break;
	case MM_NR_splice:
	case MM_NR_copy_file_range:
		effect_transfer(t, ret, 0, 1);
		break;
	}
}
