/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The program's address space, and the calls that each variant makes for itself: anonymous memory is its own and not in the
 * stream. Whatever would reach into the monitor's reservation is answered as if nothing could be done there.
 */
#include "code.h"
#include "monitor.h"
#include "table.gen.h"
#include <linux/errno.h>
#include <linux/mman.h>

#define HUGETLBFS 0x958458f6ul /* include/uapi/linux/magic.h */
#define HUGE_MAX (1ul << 30)

static u32 futex_operation(const struct mm_call *c)
{
	return (u32)c->a[1] & ~(128u | 256u); /* FUTEX_PRIVATE_FLAG, FUTEX_CLOCK_REALTIME */
}

/* FUTEX_WAIT, FUTEX_WAIT_BITSET */
static int waits(const struct mm_call *c)
{
	u32 what = futex_operation(c);

	return what == 0 || what == 9;
}

/*
 * FUTEX_LOCK_PI, UNLOCK_PI, TRYLOCK_PI, WAIT_REQUEUE_PI, CMP_REQUEUE_PI, LOCK_PI2: the kernel compares the word with the number of
 * the thread, and stores it there. That is another one in each variant, and none that the program knows.
 */
static int inherits_priority(const struct mm_call *c)
{
	u32 what = futex_operation(c);

	return (what >= 6 && what <= 8) || (what >= 11 && what <= 13);
}

/* Which calls are local: not in the stream at all. */
int mm_memory_local(struct mm_thread *t)
{
	struct mm_call *c = &t->call;
	struct mm_fd *fd;

	switch (c->nr) {
	case MM_NR_mmap:
		return (c->a[3] & MAP_ANONYMOUS) && !(c->a[2] & PROT_EXEC);
	case MM_NR_mprotect:
		return !(c->a[2] & PROT_EXEC);
	case MM_NR_futex: /* what ends a wait is a signal or a clock, and both are the leader's */
		return !waits(c);
	case MM_NR_getrandom:
		return mm_name_draws(c);
	case MM_NR_read:
	case MM_NR_pread64:
	case MM_NR_readv:
	case MM_NR_preadv:
	case MM_NR_preadv2:
	case MM_NR_lseek:
	case MM_NR_fstat:
		fd = mm_fd(t->proc, (u32)c->a[0]);
		return fd && fd->klass == MM_FD_PRIVATE;
	}
	return c->row->klass == MM_C_LOCAL;
}

/* A hint where the program gave none: every variant's mappings lie where its launcher has put them. */
static void place(struct mm_thread *t, u64 *at, u64 bytes, u64 flags)
{
	struct mm_proc *p = t->proc;
	u64 need = MM_UP(bytes, MM_PAGE);

	if (*at || (flags & (MAP_FIXED | MAP_FIXED_NOREPLACE)) || !p->mmap_next || need < bytes || need > p->mmap_next / 2)
		return;
	if (need >= 2ul << 20) /* large ones where a huge page can lie */
		*at = (p->mmap_next - need) & ~((2ul << 20) - 1);
	else
		*at = p->mmap_next - need;
}

static void placed(struct mm_thread *t, u64 hint, s64 got)
{
	if (hint && got == (s64)hint && hint < t->proc->mmap_next)
		t->proc->mmap_next = hint;
}

/* The kernel rounds the length of a mapping of huge pages up to theirs, which can be a gigabyte. */
static int reaches_monitor(const struct mm_proc *p, u64 at, u64 bytes, u64 flags, u64 fd)
{
	u64 fs[15] = {0}, most = bytes + HUGE_MAX;

	if (mm_touches_monitor(p, at, bytes))
		return 1;
	if (!mm_touches_monitor(p, at, most < bytes ? bytes : most))
		return 0;
	if (flags & MAP_ANONYMOUS)
		return (flags & MAP_HUGETLB) != 0;
	return mm_sys2(__NR_fstatfs, fd, fs) < 0 || fs[0] == HUGETLBFS;
}

s64 mm_map(struct mm_thread *t, u64 at, u64 bytes, u64 prot, u64 flags, u64 fd, u64 offset)
{
	u64 hint = at;
	s64 got;

	if ((flags & (MAP_FIXED | MAP_FIXED_NOREPLACE)) && at < MM_PAGE)
		return -EPERM; /* as for everyone without CAP_SYS_RAWIO: a null pointer leads nowhere */
	if ((flags & MAP_FIXED) && reaches_monitor(t->proc, at, bytes, flags, fd))
		return -ENOMEM;
	if ((flags & MAP_FIXED_NOREPLACE) && mm_touches_monitor(t->proc, at, bytes))
		return -EEXIST;
	if (!(flags & MAP_FIXED) && mm_touches_monitor(t->proc, at, bytes))
		hint = 0;
	place(t, &hint, bytes, flags);
	got = mm_sys6(__NR_mmap, hint, bytes, prot, flags, fd, offset);
	if (!at && !mm_failed(got))
		placed(t, hint, got);
	return got;
}

/* brk(2) by mappings of our own, so that the heap lies where the launcher wants it. */
static s64 move_brk(struct mm_thread *t, u64 to)
{
	struct mm_proc *p = t->proc;
	u64 now = MM_UP(p->brk_now, MM_PAGE), end = MM_UP(to, MM_PAGE);

	if (to < p->brk_start || end < to || mm_touches_monitor(p, p->brk_start, end - p->brk_start))
		return p->brk_now;
	if (end > now && mm_failed(mm_sys6(__NR_mmap, now, end - now, 3, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED_NOREPLACE, -1, 0)))
		return p->brk_now;
	if (end < now)
		mm_sys2(__NR_munmap, end, now - end);
	p->brk_now = to;
	return to;
}

static s64 remap(struct mm_thread *t)
{
	const u64 *a = t->call.a;

	if (mm_touches_monitor(t->proc, a[0], a[1] ? a[1] : 1) || ((a[3] & 2) && mm_touches_monitor(t->proc, a[4], a[2])))
		return -EFAULT;
	if ((a[3] & 2) && a[4] < MM_PAGE)
		return -EPERM;
	if (!(a[3] & 2) && mm_touches_monitor(t->proc, a[0], a[2]) && !(a[3] & 1))
		return -ENOMEM;
	s64 got = mm_sys5(__NR_mremap, a[0], a[1], a[2], a[3], a[4]);

	if (!mm_failed(got) && mm_code_guarded(t->proc) &&
	    (mm_code_spans(t, got) || mm_code_spans(t, got + MM_UP(a[2], MM_PAGE)))) {
		mm_sys2(__NR_munmap, got, a[2]); /* code has been moved to where it goes on as other code */
		return -ENOMEM;
	}
	return got;
}

/* A list of mappings, read into several pieces of memory. */
static s64 read_pieces(struct mm_thread *t)
{
	struct mm_call *c = &t->call;
	u64 n = c->a[2];
	s64 ret = 0;
	struct {
		u64 at, bytes;
	} * iov;

	if (n > 1024) /* UIO_MAXIOV */
		return -EINVAL;
	iov = mm_stage(t, n * sizeof(*iov));
	if (!iov || mm_in(t, iov, c->a[1], n * sizeof(*iov)) != n * sizeof(*iov))
		ret = -EFAULT;
	for (u64 k = 0; !ret && k < n; k++)
		ret = (s64)iov[k].bytes < 0 ? -EINVAL : mm_touches_monitor(t->proc, iov[k].at, iov[k].bytes) ? -EFAULT : 0;
	c->x[1] = (u64)iov;
	if (!ret)
		ret = mm_app_call(t);
	mm_unstage(t);
	return ret;
}

s64 mm_local(struct mm_thread *t)
{
	struct mm_call *c = &t->call;
	const u64 *a = c->a;
	u64 bytes = a[1];

	c->who = MM_BY_ALL; /* none of these waits for the leader, so no signal has to be let in first */
	memcpy(c->x, a, sizeof(c->x));
	switch (c->nr) {
	case MM_NR_mmap:
		return mm_map(t, a[0], a[1], a[2], a[3], (u64)-1, a[5]);
	case MM_NR_mremap:
		return remap(t);
	case MM_NR_brk:
		return move_brk(t, a[0]);
	case MM_NR_getrandom:
		return mm_name_draw(t);
	case MM_NR_sched_yield:
		return mm_sys0(__NR_sched_yield);
	case MM_NR_futex:
		if (inherits_priority(c))
			return -ENOSYS; /* as of a kernel without CONFIG_FUTEX_PI */
		if (mm_touches_monitor(t->proc, a[0], 4) || mm_touches_monitor(t->proc, a[3], 16) ||
		    mm_touches_monitor(t->proc, a[4], 4))
			return -EFAULT;
		return mm_app_call(t);
	case MM_NR_read:
	case MM_NR_pread64:
		bytes = a[2];
		break;
	case MM_NR_readv:
	case MM_NR_preadv:
	case MM_NR_preadv2:
		return read_pieces(t);
	case MM_NR_lseek:
		return mm_app_call(t);
	case MM_NR_fstat:
		bytes = 144;
		break;
	}
	u64 at = c->nr == MM_NR_read || c->nr == MM_NR_pread64 || c->nr == MM_NR_fstat ? a[1] : a[0];

	if (mm_touches_monitor(t->proc, at, bytes ? bytes : 1))
		return c->nr == MM_NR_munmap ? -EINVAL : -ENOMEM;
	if (c->nr == MM_NR_mincore && mm_touches_monitor(t->proc, a[2], bytes / MM_PAGE + 1))
		return -EFAULT;
	return mm_app_call(t);
}
