/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Mappings of files, and executable memory: these are in the stream, but for their addresses. The file is the leader's, or each
 * variant's own that is found to be the same.
 */
#include "code.h"
#include "monitor.h"
#include "table.gen.h"
#include <linux/errno.h>
#include <linux/fcntl.h>
#include <linux/mman.h>

#define REFUSED_SHARED "mmap: a writable shared mapping of a file was refused (a rule `call: mmap, data: differs` allows it)"

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
	s64 at = mm_map(t, c->a[0], c->a[1], PROT_READ | PROT_WRITE, flags | MAP_ANONYMOUS, (u64)-1, 0), got = 0;

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
	at = mm_map(t, a[0], a[1], PROT_READ | PROT_WRITE, flags | MAP_ANONYMOUS, (u64)-1, 0);
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
		got = mm_map(t, c->a[0], c->a[1], prot, flags, fd, c->a[5]);
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
