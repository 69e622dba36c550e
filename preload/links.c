/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The links in /proc/self/fd, by which a descriptor's file is named and opened anew, wherever the program's root is by now; and the
 * numbers that are kept for that, and for what else the monitor opens for a moment, where the program has used up its own.
 *
 * The folder is opened at the start. It is not kept open as one of the monitor's descriptors: by /proc/self/fd/N/../.. that would
 * be a way out of a later chroot. It stays a message in a socket's queue, of which a look (MSG_PEEK) makes a descriptor each time.
 */
#include "monitor.h"
#include <linux/errno.h>
#include <linux/fcntl.h>

#define PEEK 0x40000042u /* MSG_CMSG_CLOEXEC, MSG_DONTWAIT, MSG_PEEK */
#define NOFILE 7u        /* RLIMIT_NOFILE */
#define SPARES (MM_FD_PASS - MM_FD_SPARE)

s64 mm_pass_fd(u64 socket, u64 fd, u64 tag)
{
	struct mm_one_fd rights = {20, 1, 1, (s32)fd, 0};
	u64 iov[2] = {(u64)&tag, 8};
	struct mm_msghdr h = {.iov = (u64)iov, .iov_count = 1, .control = (u64)&rights, .control_bytes = MM_ONE_FD_BYTES};

	return mm_sys3(__NR_sendmsg, socket, &h, 0x4000 /* MSG_NOSIGNAL */);
}

/* -EBADMSG: what came is something else. */
s64 mm_take_fd(u64 socket, u64 tag, u64 flags)
{
	struct mm_one_fd rights = {0};
	u64 came = 0, iov[2] = {(u64)&came, 8};
	struct mm_msghdr h = {.iov = (u64)iov, .iov_count = 1, .control = (u64)&rights, .control_bytes = MM_ONE_FD_BYTES};
	s64 r = mm_sys3(__NR_recvmsg, socket, &h, flags);

	if (r == -EINTR)
		return r;
	if (r != 8 || came != tag || rights.bytes != 20 || rights.type != 1)
		return -EBADMSG;
	return rights.fd;
}

/*
 * Frees the spare numbers for what is opened until mm_spare_end, and is closed by then or has another number. Where the program has
 * lowered its limit below them it is raised for as long, which the kernel may refuse: then there are no numbers but the program's.
 */
void mm_spare(struct mm_proc *p)
{
	const u64 end = p->own_first + MM_OWN_FDS;
	u64 raised[2];

	if (p->spared++)
		return;
	p->spare_limit[0] = ~0ul;
	if (mm_sys4(__NR_prlimit64, 0, NOFILE, 0, p->spare_limit) < 0)
		return;
	raised[0] = end;
	raised[1] = p->spare_limit[1] < end ? end : p->spare_limit[1];
	if (p->spare_limit[0] < end) {
		if (mm_sys4(__NR_prlimit64, 0, NOFILE, raised, 0) < 0)
			return;
	} else {
		p->spare_limit[0] = ~0ul;
	}
	mm_sys3(__NR_close_range, mm_own(p, MM_FD_SPARE), mm_own(p, MM_FD_SPARE) + SPARES - 1, 0);
	p->spares_free = 1;
}

void mm_spare_end(struct mm_proc *p)
{
	if (--p->spared || !p->spares_free)
		return;
	for (u32 i = 0; i < SPARES; i++)
		mm_sys3(__NR_dup3, mm_own(p, MM_FD_HOLDER), mm_own(p, MM_FD_SPARE) + i, O_CLOEXEC);
	if (p->spare_limit[0] != ~0ul)
		mm_sys4(__NR_prlimit64, 0, NOFILE, p->spare_limit, 0);
	p->spares_free = 0;
}

/* At the start: opens the folder. Without /proc a placeholder stays in its place, of which nothing is ever received. */
void mm_links_keep(struct mm_proc *p)
{
	s64 fd = mm_sys3(__NR_open, "/proc/self/fd", O_PATH | O_DIRECTORY | O_CLOEXEC, 0);
	u64 fs[15] = {0};
	s32 pair[2];

	if (fd < 0)
		return;
	if (mm_sys2(__NR_fstatfs, fd, fs) == 0 && fs[0] == MM_PROC_MAGIC &&
	    mm_sys4(__NR_socketpair, 1 /* AF_UNIX */, 2 | O_CLOEXEC /* SOCK_DGRAM */, 0, pair) == 0) {
		if (mm_pass_fd(pair[0], fd, 0) == 8)
			mm_sys3(__NR_dup3, pair[1], mm_own(p, MM_FD_LINKS), O_CLOEXEC);
		mm_sys1(__NR_close, pair[0]);
		mm_sys1(__NR_close, pair[1]);
	}
	mm_sys1(__NR_close, fd);
}

static s64 folder(struct mm_proc *p)
{
	return mm_take_fd(mm_own(p, MM_FD_LINKS), 0, PEEK);
}

/* Where a descriptor leads to, in so many bytes, without an end; a negative number where /proc was not mounted at the start. */
s64 mm_link_read(struct mm_proc *p, u64 fd, char *to, u64 room)
{
	char number[MM_DECIMAL];
	s64 at = folder(p), n;
	int spare = at < 0;

	if (spare) {
		mm_spare(p);
		at = folder(p);
	}
	mm_decimal(number, fd);
	n = at < 0 ? at : mm_sys4(__NR_readlinkat, at, number, to, room);
	if (at >= 0)
		mm_sys1(__NR_close, at);
	if (spare)
		mm_spare_end(p);
	return n;
}

/* A file by its name seen from /proc/self/fd. The caller has seen to it that there is a number for it (mm_spare). */
s64 mm_self_open(struct mm_proc *p, const char *name, u64 flags)
{
	s64 at = folder(p), got;

	if (at < 0)
		return at;
	got = mm_sys4(__NR_openat, at, name, flags | O_CLOEXEC, 0);
	mm_sys1(__NR_close, at);
	return got;
}

/* The file of a descriptor, opened anew. */
s64 mm_link_open(struct mm_proc *p, u64 fd, u64 flags)
{
	char number[MM_DECIMAL];

	mm_decimal(number, fd);
	return mm_self_open(p, number, flags);
}
