/* SPDX-License-Identifier: Apache-2.0 */
/*
 * From registers to a canonical call: its number, its form (what is compared), and the arguments that will be carried out,
 * whose input lies in the staging area so that the program cannot change it between comparison and use.
 */
#include "monitor.h"
#include "table.gen.h"
#include <linux/errno.h>
#include <linux/fcntl.h>

#define O_TMPFILE_ 020000000ul /* without O_DIRECTORY, which is part of the C library's O_TMPFILE */

void mm_canonical(struct mm_thread *t)
{
	struct mm_call *c = &t->call;
	const struct mm_regs *r = &t->regs;
	u64 a[6] = {r->di, r->si, r->dx, r->r10, r->r8, r->r9};
	u32 nr = (u32)r->ax; /* the kernel looks at 32 bits; x32 numbers have bit 30 and are out of range */
	u16 entry = nr < MM_NATIVE_COUNT ? mm_native[nr] : 0;

	c->row = NULL;
	c->number = r->ax;
	if (!entry) {
		c->nr = MM_NR_NONE;
		return;
	}
	if (entry & 0x8000) {
		const struct mm_spelling *s = &mm_spellings[(entry & 0x7fff) - 1];

		for (int i = 0; i < 6; i++)
			c->a[i] = s->arg[i] < 0 ? (u64)(s64)s->value[i] : a[(int)s->arg[i]];
		c->nr = s->nr;
	} else {
		memcpy(c->a, a, sizeof(a));
		c->nr = entry - 1;
	}
	c->row = &mm_rows[c->nr];
	if (c->nr == MM_NR_openat && !(c->a[2] & (O_CREAT | O_TMPFILE_)))
		c->a[3] = 0; /* nothing is made, so the register of the mode holds anything */
}

/* Kinds of arguments */

#define CPU_SET_MAX 1024u /* bytes that sched_setaffinity(2) looks at, at most: 8192 processors */

static u64 times(u64 n, u64 size)
{
	return n > (1ul << 40) / (size ? size : 1) ? 1ul << 40 : n * size;
}

/* Counts of type int reach the kernel as 32 bits. */
static u64 count(const struct mm_call *c, u8 ref)
{
	if (ref == MM_NOREF)
		return 1;
	return c->row->args[ref].kind == MM_A_INT ? (u64)(s32)c->a[ref] : c->a[ref];
}

/* The largest input that a call takes; beyond it the kernel answers without looking (XATTR_SIZE_MAX, NGROUPS_MAX). */
static u64 most(const struct mm_call *c)
{
	switch (c->nr) {
	case MM_NR_setxattr:
	case MM_NR_lsetxattr:
	case MM_NR_fsetxattr:
		return 65536;
	case MM_NR_setgroups:
		return 65536 * 4;
	case MM_NR_setsockopt:
		return 65536;
	}
	return ~0ul;
}

/* Lengths that the kernel refuses before it looks at the data. sendto(2) is not among them: it cuts them down and sends. */
static int refused_unread(const struct mm_call *c, s64 n)
{
	return n < 0 && (c->nr == MM_NR_write || c->nr == MM_NR_pwrite64 || c->nr == MM_NR_setsockopt);
}

/* Two times, of which the seconds mean nothing where the nanoseconds say "now" or "leave it" (utimensat(2)). */
static void describe_times(struct mm_thread *t, int i, u64 bytes)
{
	struct mm_call *c = &t->call;
	u64 *times = mm_stage(t, bytes);

	if (mm_in(t, times, c->a[i], bytes) != bytes) {
		mm_item(c, i, MM_ITEM_FAULT, "\0\0\0\0\0\0\0", 8, bytes);
		return;
	}
	for (int k = 0; k < 4; k += 2)
		if (times[k + 1] == 0x3fffffff || times[k + 1] == 0x3ffffffe) /* UTIME_NOW, UTIME_OMIT */
			times[k] = 0;
	c->x[i] = (u64)times;
	mm_item_digest(t, i, times, bytes);
}

static void describe_path(struct mm_thread *t, int i)
{
	struct mm_call *c = &t->call;
	char *copy = c->paths++ ? c->path2 : c->path;
	s64 n = mm_in_path(t, copy, c->a[i]);

	if (n < 0) {
		if (!c->exempt)
			mm_item(c, i, MM_ITEM_FAULT, &n, 8, 0);
		copy[0] = 0;
		/* an address that faults, or a string without an end: the kernel says which error is due */
		if (n == -ENAMETOOLONG)
			mm_refuse(c, n);
		else if (mm_touches_monitor(t->proc, c->a[i], 1))
			mm_refuse(c, -EFAULT);
		return;
	}
	c->x[i] = (u64)copy;
	mm_name_describe(t, i, copy, n);
	mm_seek_path(t, i, copy);
}

static void describe_vector(struct mm_thread *t, int i, int input)
{
	struct mm_call *c = &t->call;
	u64 n = count(c, c->row->args[i].ref);
	struct {
		u64 at, bytes;
	} * iov;
	u64 total = 0;

	if (!n)
		return;
	if (n > 1024) { /* UIO_MAXIOV */
		mm_refuse(c, -EINVAL);
		return;
	}
	iov = mm_stage(t, n * 16);
	if (!iov || mm_in(t, iov, c->a[i], n * 16) != n * 16) {
		mm_refuse(c, -EFAULT);
		return;
	}
	for (u64 k = 0; k < n; k++) {
		if ((s64)iov[k].bytes < 0) {
			mm_refuse(c, -EINVAL);
			return;
		}
		if (mm_touches_monitor(t->proc, iov[k].at, iov[k].bytes))
			mm_refuse(c, -EFAULT);
		if (iov[k].bytes > MM_MMAP_MAX - total)
			iov[k].bytes = MM_MMAP_MAX - total;
		total += iov[k].bytes;
	}
	c->x[i] = (u64)iov;
	if (input && !c->exempt && total && !c->refuse) {
		/*
		 * One stream of bytes, so that another split of the same data is the same call. It begins as far into a page as
		 * the program's does: a file that is open with O_DIRECT takes data from some addresses only.
		 */
		u64 done = 0, first = 0, into;
		u8 *copy;

		while (first < n - 1 && !iov[first].bytes)
			first++;
		into = iov[first].at % MM_PAGE;
		c->staged = MM_UP(c->staged, MM_PAGE);
		copy = mm_stage(t, into + total);
		if (!copy) {
			mm_refuse(c, -ENOMEM);
			return;
		}
		copy += into;
		for (u64 k = 0; k < n; k++) {
			u64 got = mm_in(t, copy + done, iov[k].at, iov[k].bytes);
			u64 at = (u64)copy + done;

			done += got;
			if (got < iov[k].bytes) {
				n = k + 1; /* the kernel meets the same address and stops there */
				break;
			}
			iov[k].at = at;
		}
		mm_item_digest(t, i, copy, done);
	}
	if (!input) {
		mm_out_add(t, MM_OUT_IOV, i, (u64)iov, total)->pieces = n;
		mm_item_value(c, i, total);
	}
}

/* The monitor's descriptors are none of the program's: the kernel is given a number in their place that nobody has open. */
static void describe_polls(struct mm_thread *t, int i)
{
	struct mm_call *c = &t->call;
	u64 n = (u32)count(c, c->row->args[i].ref);
	struct mm_poll *p;

	if (!n)
		return;
	mm_out_add(t, MM_OUT_FIXED, i, c->a[i], n * sizeof(*p));
	p = n > MM_FD_CAP ? NULL : mm_stage(t, n * sizeof(*p));
	if (!p || mm_in(t, p, c->a[i], n * sizeof(*p)) != n * sizeof(*p)) {
		mm_item(c, i, MM_ITEM_FAULT, "\0\0\0\0\0\0\0", 8, n);
		return; /* too many, or not readable: the kernel says which */
	}
	for (u64 k = 0; k < n; k++)
		p[k].revents = 0;
	if (!c->exempt)
		mm_item_digest(t, i, p, n * sizeof(*p));
	for (u64 k = 0; k < n; k++)
		if (p[k].fd >= 0 && mm_fd_is_own(t->proc, (u32)p[k].fd)) {
			p[k].fd = 0x7fffffff;
			c->x[i] = c->extra = (u64)p;
			c->polls = n;
		}
}

static void describe_arg(struct mm_thread *t, int i)
{
	struct mm_call *c = &t->call;
	const struct mm_arg *arg = &c->row->args[i];
	u64 a = c->a[i], n = times(count(c, arg->ref), arg->size);
	int kind = arg->kind & ~MM_A_OPT;

	c->x[i] = a;
	if (!a && kind >= MM_A_PATH) { /* fine where the argument is optional; elsewhere the kernel says what is wrong */
		mm_item(c, i, MM_ITEM_NULL, NULL, 0, 0);
		return;
	}
	switch (kind) {
	case MM_A_U64:
		if (!c->exempt)
			mm_item_value(c, i, a);
		break;
	case MM_A_INT:
		c->x[i] = (u64)(s32)a;
		if (!c->exempt)
			mm_item_value(c, i, (u64)(s32)a);
		break;
	case MM_A_FD:
	case MM_A_DIRFD:
		c->x[i] = (u64)(s32)a;
		mm_item_value(c, i, (u64)(s32)a);
		if (mm_fd_is_own(t->proc, (u32)a) && (s32)a >= 0)
			mm_refuse(c, -EBADF);
		break;
	case MM_A_PTR:
		mm_item(c, i, a ? MM_ITEM_PTR : MM_ITEM_NULL, NULL, 0, 0);
		break;
	case MM_A_PATH:
		describe_path(t, i);
		break;
	case MM_A_IN:
		if (c->exempt) {
			mm_check_room(t, a, n);
			break;
		}
		if (c->nr == MM_NR_sched_setaffinity)
			n = MM_MIN(n, CPU_SET_MAX);
		if (c->nr == MM_NR_capset && i == 1 && mm_capset_is_short(t))
			n = MM_CAPS_SHORT;
		/* more than the kernel ever takes: it answers without looking, and what lies there depends on the layout */
		if (refused_unread(c, (s64)count(c, arg->ref)))
			mm_check_room(t, a, 1);
		else if (n > most(c) && c->nr == MM_NR_setsockopt) /* looked at all the same, as far as the option goes */
			mm_refuse(c, -EINVAL);
		else if (n > most(c))
			mm_item_value(c, i, n);
		else if (n && c->nr == MM_NR_utimensat)
			describe_times(t, i, n);
		else if (n && c->nr == MM_NR_setsockopt)
			mm_describe_option(t, i, n);
		else if (n)
			c->x[i] = mm_stage_in(t, i, a, MM_MIN(n, MM_MMAP_MAX), 1);
		break;
	case MM_A_OUT:
	case MM_A_OUTRET:
		mm_out_add(t, kind == MM_A_OUT ? MM_OUT_FIXED : MM_OUT_RET, i, a, n)->unit = arg->size;
		mm_item_value(c, i, n);
		break;
	case MM_A_IO: {
		u8 *copy = mm_stage(t, n);

		mm_out_add(t, MM_OUT_ALWAYS, i, a, n);
		if (!c->exempt && copy)
			mm_item_digest(t, i, copy, mm_in(t, copy, a, n));
		break;
	}
	case MM_A_BITS: {
		/* cut down as the kernel does it: here its table is larger, as the monitor's descriptors have high numbers */
		s64 highest = MM_MIN((s64)count(c, arg->ref), (s64)mm_fd_room(t->proc));
		u64 bytes = highest < 0 ? 0 : MM_UP((u64)highest, 64) / 8;
		u8 *copy = mm_stage(t, bytes);

		c->x[arg->ref] = (u64)highest;
		mm_out_add(t, MM_OUT_FIXED, i, a, bytes);
		if (!copy)
			break;
		memset(copy, 0, bytes);
		u64 got = mm_in(t, copy, a, bytes);

		for (s64 fd = t->proc->own_first; fd < highest && fd < (s64)t->proc->own_first + MM_OWN_FDS; fd++)
			if (copy[fd / 8] >> fd % 8 & 1)
				mm_refuse(c, -EBADF);
		if (!c->exempt)
			mm_item_digest(t, i, copy, got);
		break;
	}
	case MM_A_IOVIN:
	case MM_A_IOVOUT:
		describe_vector(t, i, kind == MM_A_IOVIN);
		break;
	case MM_A_ADDRIN:
		mm_describe_address(t, i, (u32)count(c, arg->ref));
		break;
	case MM_A_ADDROUT: {
		u32 room = 0;

		if (mm_in(t, &room, c->a[arg->ref], 4) != 4 || (s32)room < 0)
			room = 0;
		mm_out_add(t, MM_OUT_LEN, i, a, room)->length_at = c->a[arg->ref];
		mm_item_value(c, i, room);
		break;
	}
	case MM_A_LENP:
		if ((c->nr == MM_NR_recvfrom || c->nr == MM_NR_accept4) && !c->a[i - 1])
			break; /* without room for an address the kernel does not look at its length */
		mm_out_add(t, MM_OUT_FIXED, i, a, 4);
		break;
	case MM_A_SIGSET: {
		u64 *set = mm_stage(t, 8);

		if (mm_in(t, set, a, 8) != 8) {
			mm_refuse(c, -EFAULT);
			break;
		}
		*set = mm_clean_mask(*set);
		c->x[i] = (u64)set;
		if (!c->exempt)
			mm_item_value(c, i, *set);
		break;
	}
	case MM_A_POLLS:
		describe_polls(t, i);
		break;
	}
}

/* What the program cannot have, although its row says nothing of it. */
static void refuse_special_cases(struct mm_thread *t)
{
	struct mm_call *c = &t->call;

	switch (c->nr) {
	case MM_NR_timer_settime:
	case MM_NR_timer_gettime:
	case MM_NR_timer_getoverrun:
	case MM_NR_timer_delete:
		if (t->proc->alarm_timer && (u32)c->a[0] == t->proc->alarm_timer - 1)
			mm_refuse(c, -EINVAL); /* the monitor's own */
		break;
	}
}

/* Output that is shorter than the row says. What the kernel does not write is not to travel. */
static void shorten(struct mm_thread *t)
{
	struct mm_call *c = &t->call;
	u32 version = 0;

	if (c->nr == MM_NR_capget && c->nout == 2 && mm_in(t, &version, c->a[0], 4) == 4 && version == MM_CAPS_V1)
		c->outs[1].room = MM_CAPS_SHORT;
}

/* Who carries the call out, as far as the row says; special calls decide for themselves. */
static void decide(struct mm_thread *t)
{
	struct mm_call *c = &t->call;
	struct mm_fd *fd;

	switch (c->row->klass) {
	case MM_C_LEADER:
	case MM_C_BYPATH:
		c->who = MM_BY_LEADER;
		break;
	case MM_C_BYFD:
		fd = mm_fd(t->proc, (u32)c->a[0]);
		c->who = fd && (fd->klass == MM_FD_LEADER || fd->klass == MM_FD_SHARED) ? MM_BY_LEADER : MM_BY_ALL;
		if (c->nr == MM_NR_lseek && fd && fd->kind == MM_KIND_DIR)
			c->who = MM_BY_LEADER; /* it is the leader's entries that are read */
		break;
	default:
		c->who = MM_BY_ALL;
		break;
	}
}

static int exempt_by_policy(struct mm_thread *t)
{
	const struct mm_call *c = &t->call;
	const struct mm_fd *fd = c->row->nargs && c->row->args[0].kind == MM_A_FD ? mm_fd(t->proc, (u32)c->a[0]) : NULL;
	int socket = fd && (fd->kind == MM_KIND_SOCKET || fd->kind == MM_KIND_EPOLL);

	return (t->proc->policy[c->nr] & (socket ? MM_POL_SOCKET : MM_POL_FILE)) != 0;
}

/* The file that a call is about: which argument names it. */
static u32 file_of(struct mm_thread *t)
{
	const struct mm_call *c = &t->call;
	struct mm_fd *fd = NULL;

	if (c->nr == MM_NR_mmap)
		fd = c->a[3] & 0x20 /* MAP_ANONYMOUS */ ? NULL : mm_fd(t->proc, (u32)c->a[4]);
	else if (c->nr == MM_NR_sendfile) /* what is read */
		fd = mm_fd(t->proc, (u32)c->a[1]);
	else if (c->row->nargs && c->row->args[0].kind == MM_A_FD)
		fd = mm_fd(t->proc, (u32)c->a[0]);
	return fd ? fd->ofd + 1 : 0;
}

/* Behind the arguments of a call by path: an empty one means the descriptor itself. */
static void file_without_path(struct mm_thread *t)
{
	struct mm_call *c = &t->call;
	struct mm_fd *fd;

	if (c->row->klass != MM_C_BYPATH || c->row->args[0].kind != MM_A_DIRFD || c->path[0])
		return;
	fd = mm_fd(t->proc, (u32)c->a[0]);
	c->file = fd ? fd->ofd + 1 : 0;
}

/* Is the call compared? The first rule that says something decides, else the policy; a file that is wholly own never is. */
static int exempt(const struct mm_thread *t, int policy)
{
	const struct mm_proc *p = t->proc;
	const struct mm_ofd *file = t->call.file ? &p->ofds[t->call.file - 1] : NULL;
	int said = p->rules_bytes ? mm_rule_check(p, t->call.nr, file ? file->rules : 0) : 0;

	if (said)
		return said == MM_CHECK_EXEMPT;
	return policy || (file && file->data == MM_OWN_WHOLLY && t->call.who == MM_BY_ALL);
}

/* What a file that is wholly own looks like is each variant's own too. */
static void own_metadata(struct mm_thread *t)
{
	struct mm_call *c = &t->call;

	if (c->file && t->proc->ofds[c->file - 1].data == MM_OWN_WHOLLY &&
	    (c->nr == MM_NR_fstat || ((c->nr == MM_NR_newfstatat || c->nr == MM_NR_statx) && !c->path[0])))
		c->who = MM_BY_ALL;
}

void mm_describe(struct mm_thread *t)
{
	struct mm_call *c = &t->call;
	int policy, by_path;

	c->who = MM_BY_ALL;
	c->exempt = c->made = c->made_kind = c->refuse = 0;
	c->nout = c->paths = c->drawn = c->given = 0;
	c->extra = c->polls = 0;
	c->out.rec.form = 0;
	c->dev = c->ino = 0;
	c->rules = 0;
	memset(c->digest, 0, sizeof(c->digest));
	c->path[0] = c->path2[0] = 0;
	memset(c->digest, 0, sizeof(c->digest));
	memcpy(c->x, c->a, sizeof(c->x));
	c->file = file_of(t);
	decide(t);
	policy = exempt_by_policy(t);
	by_path = t->proc->rules_bytes && mm_path_decides(t);
	c->exempt = !by_path && exempt(t, policy);
	if (c->row->klass == MM_C_ABSENT) {
		mm_refuse(c, -(s64)c->row->error);
		return;
	}
	refuse_special_cases(t);
	for (int i = 0; i < c->row->nargs; i++)
		describe_arg(t, i);
	shorten(t);
	if (c->row->klass == MM_C_SPECIAL)
		mm_describe_special(t);
	file_without_path(t);
	if (by_path)
		mm_exempt_by_path(t, policy);
	own_metadata(t);
	if (c->refuse)
		c->who = MM_BY_ALL;
}
