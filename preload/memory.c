/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The program's address space. Anonymous memory is each variant's own and not in the stream; files and executable memory
 * are. Addresses never are. Whatever would reach into the monitor's reservation is answered as if nothing could be done there.
 */
#include "code.h"
#include "monitor.h"
#include "table.gen.h"
#include <linux/errno.h>
#include <linux/fcntl.h>
#include <linux/mman.h>

#define HUGETLBFS 0x958458f6ul /* include/uapi/linux/magic.h */
#define REFUSED_SHARED "mmap: a writable shared mapping of a file was refused (a rule `call: mmap, data: differs` allows it)"
#define HUGE_MAX (1ul << 30)

/* FUTEX_WAIT, FUTEX_WAIT_BITSET */
static int waits(const struct mm_call *c)
{
	u32 what = (u32)c->a[1] & ~(128u | 256u); /* FUTEX_PRIVATE_FLAG, FUTEX_CLOCK_REALTIME */

	return what == 0 || what == 9;
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

static s64 map(struct mm_thread *t, u64 at, u64 bytes, u64 prot, u64 flags, u64 fd, u64 offset)
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
		return map(t, a[0], a[1], a[2], a[3], (u64)-1, a[5]);
	case MM_NR_mremap:
		return remap(t);
	case MM_NR_brk:
		return move_brk(t, a[0]);
	case MM_NR_getrandom:
		return mm_name_draw(t);
	case MM_NR_sched_yield:
		return mm_sys0(__NR_sched_yield);
	case MM_NR_futex:
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

/* Descriptors travel from the leader to each follower on sockets of their own; one byte goes along. */

static s64 pass(struct mm_thread *t, u64 fd)
{
	struct mm_proc *p = t->proc;

	for (u32 i = 0; i < p->followers; i++) {
		s64 r = 0;

		do {
			mm_check_end(t);
			if (mm_lives(p, i))
				r = mm_pass_fd(mm_own(p, MM_FD_PASS) + i, fd, t->seq);
		} while (r == -EINTR);
		if (r < 0 && r != -EPIPE && r != -ECONNRESET) /* of one that is gone: it is dropped, or the group ends */
			return r;
	}
	return 0;
}

static s64 receive(struct mm_thread *t)
{
	s64 r;

	do {
		mm_check_end(t);
		r = mm_take_fd(mm_own(t->proc, MM_FD_PASS), t->seq, 0x40000000 /* MSG_CMSG_CLOEXEC */);
	} while (r == -EINTR);
	return r;
}

static int allows_writing(u64 fd)
{
	return (mm_sys3(__NR_fcntl, fd, F_GETFL, 0) & O_ACCMODE) == O_RDWR;
}

/* `-shm` files of sqlite are the leader's to share; followers get memory of their own that follows the same calls. */
static int may_share(struct mm_thread *t, u64 fd)
{
	char path[512];
	s64 r = mm_link_read(t->proc, fd, path, sizeof(path) - 1);

	if (r <= 0)
		return 0;
	path[r] = 0;
	if (r > 4 && !memcmp(path + r - 4, "-shm", 4))
		return 1;
	return mm_rule_data(t->proc, MM_NR_mmap, mm_rules_of(t->proc, path)) != 0;
}

/*
 * A file that every variant has of its own, and a mapping through which it could be written: its stores are compared by nobody.
 * Memory objects are another thing: what is in them stays in the process (mm_fd_differs).
 */
static void describe_own_mapping(struct mm_thread *t, const struct mm_fd *fd)
{
	struct mm_call *c = &t->call;

	if (!(c->a[3] & MAP_SHARED) || t->proc->ofds[fd->ofd].data == MM_OWN_MEMORY || !allows_writing((u32)c->a[4]))
		return;
	if (may_share(t, (u32)c->a[4]))
		return;
	if (!(c->a[2] & PROT_WRITE)) {
		c->extra = MM_MAP_READ;
		return;
	}
	mm_refuse(c, -EACCES);
	if (mm_is_leader(t->proc))
		mm_event(t->proc, REFUSED_SHARED, NULL);
}

void mm_describe_mmap(struct mm_thread *t)
{
	struct mm_call *c = &t->call;
	struct mm_fd *fd = (c->a[3] & MAP_ANONYMOUS) ? NULL : mm_fd(t->proc, (u32)c->a[4]);

	c->who = MM_BY_ALL;
	if (!(c->a[3] & MAP_ANONYMOUS) && mm_fd_is_own(t->proc, (u32)c->a[4]))
		mm_refuse(c, -EBADF);
	if (fd && fd->klass == MM_FD_PRIVATE) {
		mm_refuse(c, -ENODEV); /* as the kernel says of /proc's lists */
		return;
	}
	if (fd && fd->klass != MM_FD_OWN && !(t->proc->flags & MM_START_FS_SHARED)) {
		mm_refuse(c, -ENODEV); /* it is on another host: there is nothing to map */
		if (mm_is_leader(t->proc))
			mm_event(t->proc, "mmap: a file that only the leader has was answered ENODEV", NULL);
	}
	if (fd && fd->klass == MM_FD_OWN)
		describe_own_mapping(t, fd);
	if (!fd || fd->klass == MM_FD_OWN)
		return;
	if (t->proc->flags & MM_START_APART) {
		if (mm_is_leader(t->proc))
			mm_event(t->proc,
				 "mmap: a file that only the leader has cannot be mapped where each variant has a container or "
				 "host of its own; the program got ENODEV (bind a folder with the same files into each)",
				 NULL);
		mm_refuse(c, -ENODEV);
		return;
	}
	/* the leader's file: its description is passed, or the follower opens the same file itself */
	c->extra = (c->a[3] & MAP_SHARED) && (c->a[2] & PROT_WRITE) ? MM_MAP_SHARED : MM_MAP_LEADERS;
	if (c->extra == MM_MAP_SHARED && (c->a[2] & PROT_EXEC))
		mm_refuse(c, -EACCES); /* code that others write is nothing that could be compared */
}

static void remember_code(struct mm_proc *p, u64 at, u64 bytes)
{
	if (p->exec_maps < MM_EXEC_MAPS)
		p->exec_map[p->exec_maps++] = (struct mm_range){at, at + MM_UP(bytes, MM_PAGE)};
}

/* A place in code that means the same in every variant: which executable mapping, in order of making, and how far in. */
u64 mm_code_place(const struct mm_proc *p, u64 ip)
{
	for (u32 i = p->exec_maps; i--;)
		if (ip >= p->exec_map[i].from && ip < p->exec_map[i].to)
			return (u64)(i + 1) << 40 | (ip - p->exec_map[i].from);
	return 0;
}

/*
 * A file that the leader opened: our own descriptor of it, and only if it is the very same file. The placeholder is looked at
 * before anything is opened: what stands there under a leader that lies may be a device or a pipe.
 */
static s64 open_same(struct mm_thread *t)
{
	struct mm_proc *p = t->proc;
	struct mm_fd *fd = mm_fd(p, (u32)t->call.a[4]);
	u64 st[18];

	if (mm_sys2(__NR_fstat, (u32)t->call.a[4], st) < 0 || st[0] != p->ofds[fd->ofd].dev || st[1] != p->ofds[fd->ofd].ino ||
	    ((u32)st[3] & 0170000) != 0100000 /* S_IFREG */)
		return -EXDEV;
	return mm_link_open(p, (u32)t->call.a[4], O_RDONLY);
}

/*
 * What a follower maps of the leader's file. It opens the file itself wherever that is the same one: the data of a library lies
 * beside its code, and a descriptor that the leader passes may be of anything, which the leader can go on changing. As the
 * placeholder stays what it is, a file of which code is mapped is never mapped from the leader's descriptor.
 */
static s64 file_of_leader(struct mm_thread *t)
{
	s64 got = -1, own = -1;

	if (!(t->call.a[2] & PROT_EXEC)) { /* what was passed is taken in any case, so that the next one is the next one's */
		got = receive(t);
		if (got < 0)
			return got;
		if (mm_sys3(__NR_fcntl, got, F_GETFL, 0) & (O_PATH | O_WRONLY))
			return got; /* of which nothing can be mapped, as the leader finds too */
	}
	if (t->call.extra == MM_MAP_LEADERS)
		own = open_same(t);
	if (own < 0)
		return got >= 0 ? got : own;
	if (got >= 0)
		mm_sys1(__NR_close, got);
	return own;
}

/* A follower's own memory in place of what the leader shares: a copy of the file as it is now, while the leader waits. */
static s64 map_copy(struct mm_thread *t, u64 prot, u64 flags, u64 fd)
{
	struct mm_call *c = &t->call;
	s64 at = map(t, c->a[0], c->a[1], PROT_READ | PROT_WRITE, flags | MAP_ANONYMOUS, (u64)-1, 0), got = 0;

	for (u64 done = 0; !mm_failed(at) && done < c->a[1]; done += got) {
		got = mm_sys4(__NR_pread64, fd, at + done, c->a[1] - done, c->a[5] + done);
		if (got <= 0)
			break;
	}
	if (!mm_failed(at) && (prot & PROT_EXEC))
		mm_sys3(__NR_mprotect, at, c->a[1], prot);
	return at;
}

/* The file's code as a private copy. A trial lets the kernel say first what it has against the file, the length or the offset. */
static s64 map_code(struct mm_thread *t, u64 prot, u64 flags, u64 fd)
{
	const u64 *a = t->call.a;
	struct mm_code code = {.p = t->proc, .n = MM_UP(a[1], MM_PAGE), .fd = (s64)fd, .offset = a[5]};
	s64 at = mm_sys6(__NR_mmap, 0, a[1], prot, MAP_PRIVATE, fd, a[5]), r;

	if (mm_failed(at))
		return at;
	mm_sys2(__NR_munmap, at, a[1]);
	at = map(t, a[0], a[1], PROT_READ | PROT_WRITE, flags | MAP_ANONYMOUS, (u64)-1, 0);
	if (mm_failed(at))
		return at;
	code.at = (u64)at;
	code.bytes = (u8 *)at;
	r = mm_code_map(t, &code, a[1], prot);
	if (mm_failed(r))
		mm_sys2(__NR_munmap, at, a[1]);
	return mm_failed(r) ? r : at;
}

static s64 map_file(struct mm_thread *t)
{
	struct mm_call *c = &t->call;
	struct mm_proc *p = t->proc;
	u64 fd = (u64)(s32)c->a[4], flags = c->a[3], prot = mm_code_rights(p, c->a[2]);
	s64 got, own = -1;

	if (c->extra == MM_MAP_SHARED) {
		int may = 0;

		/* only the leader can look; a follower learns it from whether a descriptor comes */
		if (mm_is_leader(p)) {
			may = may_share(t, fd);
			if (!may) {
				mm_event(p, REFUSED_SHARED, NULL);
				pass(t, mm_own(p, MM_FD_HOLDER));
				return -EACCES;
			}
		}
	}
	if (c->extra == MM_MAP_READ) {
		c->extra = 0;
		own = mm_link_open(p, fd, O_RDONLY);
		if (own < 0)
			return -EACCES;
		fd = own;
	}
	if (c->extra == MM_MAP_LEADERS && mm_is_leader(p) && (flags & MAP_SHARED) && allows_writing(fd)) {
		own = mm_link_open(p, fd, O_RDONLY); /* by a description that allows no writing, as the program's own does */
		if (own < 0) {                       /* its mode does not allow it, or there is no /proc */
			mm_event(p, "mmap: a shared mapping was refused, as the file could not be opened for reading alone", NULL);
			if (!(prot & PROT_EXEC))
				pass(t, mm_own(p, MM_FD_HOLDER));
			return -EACCES;
		}
		fd = own; /* mprotect cannot make it writable later */
	}
	if (c->extra && mm_is_leader(p) && !(prot & PROT_EXEC)) {
		got = pass(t, fd);
		if (got < 0)
			return got;
	}
	if (c->extra && !mm_is_leader(p)) {
		own = file_of_leader(t);
		if (own < 0) {
			mm_diverge(t, (prot & PROT_EXEC) ? MM_WHY_CODE : MM_WHY_STREAM);
			mm_end(t);
		}
		fd = own;
		if ((flags & MAP_TYPE) & MAP_SHARED) {
			if (mm_sys3(__NR_fcntl, fd, F_GETFL, 0) & O_PATH) {
				mm_sys1(__NR_close, own);
				return -EACCES; /* the leader was refused */
			}
			if (c->extra == MM_MAP_SHARED || (mm_sys3(__NR_fcntl, fd, F_GETFL, 0) & O_ACCMODE) != O_RDONLY)
				flags = (flags & ~(u64)MAP_TYPE) | MAP_PRIVATE;
		}
	}
	got = mm_code_check(p, prot, c->a[3]); /* as the program said it: the same in every variant */
	if (got < 0)
		;
	else if (own >= 0 && c->extra == MM_MAP_SHARED && !mm_is_leader(p))
		got = map_copy(t, prot, flags, fd);
	else if ((prot & PROT_EXEC) && !(flags & MAP_ANONYMOUS) && mm_code_guarded(p))
		got = map_code(t, prot, flags, fd);
	else
		got = map(t, c->a[0], c->a[1], prot, flags, fd, c->a[5]);
	if (own >= 0)
		mm_sys1(__NR_close, own);
	if (!mm_failed(got) && (prot & PROT_EXEC))
		remember_code(p, got, c->a[1]);
	return got;
}

s64 mm_execute_mmap(struct mm_thread *t)
{
	s64 got;

	if (t->call.extra == MM_MAP_OWN)
		return map_file(t);
	mm_spare(t->proc); /* a mapping takes no number of the program's */
	got = map_file(t);
	mm_spare_end(t->proc);
	return got;
}

s64 mm_execute_mprotect(struct mm_thread *t)
{
	struct mm_call *c = &t->call;
	s64 ret;

	if (mm_touches_monitor(t->proc, c->a[0], c->a[1]))
		return -ENOMEM;
	if (mm_code_guarded(t->proc))
		ret = mm_code_protect(t, c->a[0], c->a[1], c->a[2]);
	else
		ret = mm_sys3(__NR_mprotect, c->a[0], c->a[1], c->a[2]);
	if (!ret && (c->a[2] & PROT_EXEC))
		remember_code(t->proc, c->a[0], c->a[1]);
	return ret;
}
