/* SPDX-License-Identifier: Apache-2.0 */
/* fcntl(2) and ioctl(2): what the third argument is depends on the second. */
#include "monitor.h"
#include "special.h"
#include "table.gen.h"
#include <linux/errno.h>
#include <linux/fcntl.h>

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
		if (row->in && !row->out)
			mm_take(t, 2, row->in, 1);
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
