/* SPDX-License-Identifier: Apache-2.0 */
/* The start state made equal: what the sections say is what the leader was started with. */
#include "boot.h"
#include "monitor.h"
#include "signals.h"
#include "table.gen.h"
#include <linux/errno.h>
#include <linux/fcntl.h>
#include <linux/mman.h>

#define HIGHEST 4096u /* our descriptors lie below this, or below the limit where that is lower */

static void limits(struct mm_boot *b)
{
	u64 n;
	const u64 *limit = mm_boot_section(b, MM_SEC_LIMITS, &n);

	for (u64 i = 0; limit && i < n / 16 && i < 16; i++) {
		s64 r = mm_sys4(__NR_prlimit64, 0, i, limit + 2 * i, 0);

		if (r < 0 && i == 7)
			mm_boot_fail(b, 70, r, "setting the limit of open files to the leader's:",
				     "refused; start all variants with the same limits");
	}
}

static void directory(struct mm_boot *b)
{
	u64 n;
	const char *cwd = mm_boot_section(b, MM_SEC_CWD, &n);
	char path[4097];

	if (!cwd || n > 4096)
		return;
	memcpy(path, cwd, n);
	path[n] = 0;
	s64 r = mm_sys1(__NR_chdir, path);

	if (r < 0)
		mm_boot_fail(b, 70, r, "changing to the leader's directory", path);
}

/* Moves a descriptor to a number of the monitor's. */
static void settle(struct mm_boot *b, int from, enum mm_own_fd to)
{
	struct mm_proc *p = b->proc;

	if (mm_sys3(__NR_dup3, from, mm_own(p, to), O_CLOEXEC) < 0)
		mm_boot_fail(b, 70, 0, "keeping a descriptor for the monitor:", "the limit of open files (ulimit -n) is too low");
	mm_sys1(__NR_close, from);
}

static void own_descriptors(struct mm_boot *b)
{
	struct mm_proc *p = b->proc;
	u64 limit[2];
	s64 holder;

	mm_sys4(__NR_prlimit64, 0, 7, 0, limit);
	p->own_first = (u32)MM_MIN(limit[0], HIGHEST) - MM_OWN_FDS;
	/* not a directory where it can be helped: one would be a way out of a later chroot, by way of /proc/self/fd */
	holder = mm_sys3(__NR_open, "/dev/null", O_PATH | O_CLOEXEC, 0);
	if (holder < 0)
		holder = mm_sys3(__NR_open, "/", O_PATH | O_CLOEXEC, 0);
	if (holder < 0)
		mm_boot_fail(b, 70, holder, "opening a placeholder:", "/ cannot be opened");
	for (u32 i = 0; i < MM_OWN_FDS; i++)
		mm_sys3(__NR_dup3, holder, mm_own(p, i), O_CLOEXEC);
	settle(b, (int)holder, MM_FD_HOLDER);
	settle(b, b->fds[2], MM_FD_TETHER);
	for (u32 i = 3; i < b->fd_count; i++)
		settle(b, b->fds[i], MM_FD_PASS + i - 3);
	if (b->arming >= 0) {
		settle(b, b->arming, MM_FD_ARMING);
		b->arming = mm_own(p, MM_FD_ARMING);
	}
	mm_links_keep(p);
	settle(b, b->socket, MM_FD_MSG);
	b->socket = mm_own(p, MM_FD_MSG);

	/* the supervisor's death is ours: its end of the tether closes, and this signal comes */
	s64 tether = mm_own(p, MM_FD_TETHER);

	mm_sys3(__NR_fcntl, tether, F_SETOWN, p->real_pid);
	mm_sys3(__NR_fcntl, tether, F_SETSIG, p->pid1 ? MM_KICK_SIGNAL : 9);
	mm_sys3(__NR_fcntl, tether, F_SETFL, mm_sys3(__NR_fcntl, tether, F_GETFL, 0) | 020000 /* O_ASYNC */);
}

/* A follower starts with nothing but placeholders where the leader has something open. */
static void descriptors(struct mm_boot *b)
{
	struct mm_proc *p = b->proc;
	u64 n;
	const struct mm_fd_entry *e = mm_boot_section(b, MM_SEC_FDS, &n);

	if (!mm_is_leader(p)) {
		mm_sys3(__NR_close_range, 0, p->own_first - 1, 0);
		mm_sys3(__NR_close_range, p->own_first + MM_OWN_FDS, 0xffffffff, 0);
	}
	for (u64 i = 0; e && i < n / sizeof(*e); i++) {
		/* a folder counts as one where a follower may have it too, which of this it never has (folders.c) */
		u32 kind = e[i].kind > MM_KIND_PIPE || e[i].kind == MM_KIND_DIR ? MM_KIND_OTHER : e[i].kind;

		if (e[i].fd >= MM_FD_CAP || mm_fd_is_own(p, e[i].fd))
			continue;
		mm_fd_make(b->thread, e[i].fd, MM_FD_LEADER, kind);
		mm_fd_elsewhere(p, e[i].fd);
		if (mm_hold(b->thread, e[i].fd, e[i].cloexec, NULL) < 0)
			mm_boot_fail(b, 70, 0,
				     "making a placeholder for an inherited descriptor:", "the limit of open files is too low");
	}
}

static void rules(struct mm_boot *b)
{
	struct mm_proc *p = b->proc;
	u64 n;
	const void *s = mm_boot_section(b, MM_SEC_POLICY, &n);

	memcpy(p->policy, s ? s : "", s ? MM_MIN(n, sizeof(p->policy)) : 0);
	p->arguments = mm_boot_section(b, MM_SEC_ARGV, &p->arguments_bytes);
	p->rules = mm_boot_section(b, MM_SEC_RULES, &p->rules_bytes);
	p->mounts = mm_boot_section(b, MM_SEC_MOUNTS, &n);
	p->mounts_count = n / sizeof(struct mm_mount);
}

void mm_boot_state(struct mm_boot *b)
{
	struct mm_proc *p = b->proc;
	u64 n;
	const struct mm_process_state *state = mm_boot_section(b, MM_SEC_PROCESS, &n);
	u64 mask;

	p->real_pid = (u32)mm_sys0(__NR_getpid);
	p->real_tid = (u32)mm_sys0(__NR_gettid);
	p->virtual_pid = b->start.pid ? b->start.pid : p->real_pid;
	p->pid1 = p->real_pid == 1;
	limits(b);
	directory(b);
	own_descriptors(b);
	descriptors(b);
	rules(b);
	if (state && n == sizeof(*state)) {
		mm_sys1(__NR_umask, state->umask);
		for (int s = 1; s <= 64; s++)
			if (state->ignored >> (s - 1) & 1)
				p->action[s - 1].handler = 1;
	}
	b->thread->mask = state && n == sizeof(*state) ? state->blocked : 0; /* the leader's, for all */
	mask = mm_real_mask(b->thread);
	mm_sys4(__NR_rt_sigprocmask, 2, &mask, 0, 8);
	if (mm_is_leader(p)) {
		struct {
			u64 value;
			s32 signo, notify;
			u32 rest[12];
		} event = {0, MM_KICK_SIGNAL, 0, {0}};
		s32 id = 0;

		if (mm_sys3(__NR_timer_create, 1, &event, &id) == 0)
			p->alarm_timer = (u32)id + 1;
	}
}
