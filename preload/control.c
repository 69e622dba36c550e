/* SPDX-License-Identifier: Apache-2.0 */
/* fcntl(2) and ioctl(2): what the third argument is depends on the second. */
#include "monitor.h"
#include "special.h"
#include "table.gen.h"
#include <linux/errno.h>
#include <linux/fcntl.h>

/*
 * A structure that the kernel reads, changes in part and writes back. It is carried out on our copy, in which only what was compared
 * is the program's: every variant gets the whole of the leader's, and what its program left in the rest is not for the others.
 */
static void in_and_out(struct mm_thread *t, void *copy, u64 bytes)
{
	struct mm_call *c = &t->call;

	mm_check_room(t, c->a[2], bytes);
	c->x[2] = c->extra = (u64)copy;
	mm_out_add(t, MM_OUT_STAGED, 2, (u64)copy, bytes);
}

/* Behind the call of the leader or of everyone, and in a follower behind the result: what the program sees. */
s64 mm_hand_over(struct mm_thread *t, s64 ret)
{
	const struct mm_call *c = &t->call;
	u64 n = c->extra ? c->outs[c->nout - 1].room : 0;

	if (n && c->nr == MM_NR_fcntl && *(const u16 *)c->extra == 2 /* F_UNLCK: all else stays as it was (fcntl(2)) */)
		n = sizeof(u16);
	return ret >= 0 && mm_out(t, c->a[2], (void *)c->extra, n) != n ? -EFAULT : ret;
}

void mm_effect_control(struct mm_thread *t, s64 ret)
{
	const struct mm_call *c = &t->call;

	if (ret < 0 || !c->extra || c->who != MM_BY_LEADER || mm_is_leader(t->proc))
		return;
	if (c->outs[c->nout - 1].bytes != c->outs[c->nout - 1].room)
		mm_diverge(t, MM_WHY_STREAM);
	if (mm_hand_over(t, ret) < 0)
		mm_diverge(t, MM_WHY_RESULT);
}

/* struct flock of fcntl(2), without its padding. Who asks for a lock by process names none. */
static void describe_lock(struct mm_thread *t)
{
	struct {
		u16 type, whence;
		u32 pad;
		s64 start, length;
		s32 pid;
		u32 pad2;
	} *lock = mm_stage(t, sizeof(*lock));
	struct mm_call *c = &t->call;
	u32 cmd = (u32)c->a[1];

	if (mm_in(t, lock, c->a[2], sizeof(*lock)) != sizeof(*lock)) {
		mm_refuse(c, -EFAULT);
		return;
	}
	lock->pad = lock->pad2 = 0;
	if (cmd == F_GETLK || cmd == F_SETLK || cmd == F_SETLKW)
		lock->pid = 0;
	mm_item_value(c, 2, lock->type | (u64)lock->whence << 16 | (u64)(lock->pid != 0) << 32); /* any number is EINVAL there */
	mm_item_value(c, 2, lock->start);
	mm_item_value(c, 2, lock->length);
	if (cmd == F_GETLK || cmd == 36 /* F_OFD_GETLK */)
		in_and_out(t, lock, sizeof(*lock));
	else
		c->x[2] = (u64)lock;
}

void mm_describe_fcntl(struct mm_thread *t)
{
	struct mm_call *c = &t->call;

	mm_by_descriptor(t, c->a[0]);
	c->out.rec.form = 0; /* what the argument is depends on the command */
	mm_item_value(c, 0, (u32)c->a[0]);
	mm_item_value(c, 1, (u32)c->a[1]);
	switch ((u32)c->a[1]) {
	case F_DUPFD:
	case F_DUPFD_CLOEXEC:
		if ((u32)c->a[2] >= MM_FD_CAP) /* as beyond the limit of open files */
			mm_refuse(c, -EINVAL);
		/* fall through */
	case F_SETFD:
		mm_value(t, 2);
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
		mm_take(t, 2, 8, 1);
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
		mm_take(t, 2, 8, 1);
		return;
	case 17: /* F_GETOWNER_UIDS writes behind its argument: for checkpoints, and not in every kernel */
		mm_refuse(c, -EINVAL);
		return;
	case F_GETFL:
	case F_GETOWN:
	case F_GETSIG:
	case F_GETLEASE:
	case F_GETPIPE_SZ:
	case F_GET_SEALS:
		return; /* what the third register holds is nobody's business */
	default:
		mm_value(t, 2);
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
    {0x80086601, 0, 4, 0, 0},  /* FS_IOC_GETFLAGS: an int, whatever its number says */
    {0x40086602, 4, 0, 0, 0},  /* FS_IOC_SETFLAGS */
    {0x8905, 0, 4, 0, 0},      /* SIOCATMARK */
    {0x8910, 40, 40, 0, 0},    /* SIOCGIFNAME */
    {0x8913, 40, 40, 0, 0},    /* SIOCGIFFLAGS */
    {0x8915, 40, 40, 0, 0},    /* SIOCGIFADDR */
    {0x891b, 40, 40, 0, 0},    /* SIOCGIFNETMASK */
    {0x8921, 40, 40, 0, 0},    /* SIOCGIFMTU */
    {0x8927, 40, 40, 0, 0},    /* SIOCGIFHWADDR */
    {0x8933, 40, 40, 0, 0},    /* SIOCGIFINDEX */
};

/* struct ifreq: what goes in is a name, up to its end, or the number for which a name is asked. */
static void describe_interface(struct mm_thread *t, u32 request, u64 bytes)
{
	struct mm_call *c = &t->call;
	u8 *copy = mm_stage(t, bytes);
	u64 from = request == 0x8910 ? 16 : 0, n = request == 0x8910 ? 4 : 16, got = mm_in(t, copy, c->a[2], bytes);

	if (got != bytes) {
		mm_item(c, 2, MM_ITEM_FAULT, "\0\0\0\0\0\0\0", 8, bytes);
		mm_check_room(t, c->a[2], bytes);
		return;
	}
	for (u64 i = 0; !from && i < n; i++)
		if (!copy[i])
			n = i;
	memset(copy, 0, from);
	memset(copy + from + n, 0, bytes - from - n);
	mm_item_digest(t, 2, copy + from, n);
	in_and_out(t, copy, bytes);
}

void mm_describe_ioctl(struct mm_thread *t)
{
	struct mm_call *c = &t->call;
	u32 request = (u32)c->a[1];

	mm_by_descriptor(t, c->a[0]);
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
			mm_value(t, 2);
		if (row->in && row->out)
			describe_interface(t, request, row->in);
		else if (row->in)
			mm_take(t, 2, row->in, 1);
		else if (row->out)
			mm_out_add(t, MM_OUT_FIXED, 2, c->a[2], row->out);
		return;
	}
	mm_refuse(c, mm_fd(t->proc, (u32)c->a[0]) ? -ENOTTY : -EBADF);
	if (mm_is_leader(t->proc))
		mm_event(t->proc, "ioctl: a request that monmod does not know was answered ENOTTY", NULL);
}
