/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Opening by name. The leader opens, looks at what it got and sends the class; only then does a follower do its part: a
 * placeholder for what is the leader's, an O_PATH descriptor for a file that it may have to map, its own file otherwise.
 */
#include "monitor.h"
#include "table.gen.h"
#include <linux/errno.h>
#include <linux/fcntl.h>
#include <linux/stat.h>

/* struct stat of x86_64 (arch/x86/include/uapi/asm/stat.h) */
struct kstat {
	u64 dev, ino, nlink;
	u32 mode, uid, gid, pad0;
	u64 rdev;
	s64 size, blksize, blocks;
	u64 times[6];
	s64 unused[3];
};

static const char *skip(const char *path, const char *prefix)
{
	while (*prefix && *path == *prefix)
		path++, prefix++;
	return *prefix ? NULL : path;
}

static const char *skip_number(const char *s, u64 number)
{
	u64 n = 0;

	if (*s < '1' || *s > '9')
		return NULL;
	while (*s >= '0' && *s <= '9')
		n = n * 10 + (*s++ - '0');
	return n == number ? s : NULL;
}

/* Is this /proc/self/NAME, or the same by our own number? */
int mm_is_proc_self(struct mm_thread *t, const char *path, const char *name)
{
	const char *rest = skip(path, "/proc/");
	const char *after;

	if (!rest)
		return 0;
	after = skip(rest, "self/");
	if (!after)
		after = skip(rest, "thread-self/");
	if (!after && (after = skip_number(rest, t->proc->virtual_pid)))
		after = *after == '/' ? after + 1 : NULL;
	if (!after)
		return 0;
	after = skip(after, name);
	return after && !*after;
}

/* `*` stands for anything within a component, `**` over several. */
static int matches(const char *pattern, const char *end, const char *path)
{
	for (; pattern < end; pattern++, path++) {
		if (*pattern == '*') {
			int deep = pattern + 1 < end && pattern[1] == '*';

			pattern += 1 + deep;
			for (;; path++) {
				if (matches(pattern, end, path))
					return 1;
				if (!*path || (*path == '/' && !deep))
					return 0;
			}
		}
		if (*pattern != *path)
			return 0;
	}
	return !*path;
}

/* The first rule for a call and path says what is to be done; 0 where none does. */
int mm_rule(const struct mm_proc *p, u16 nr, const char *path, u8 *check, u8 *data)
{
	const u8 *at = p->rules, *end = at + p->rules_bytes;

	*check = *data = 0;
	while (at && end - at >= (long)sizeof(struct mm_rule)) {
		const struct mm_rule *r = (const struct mm_rule *)at;
		const char *pattern = (const char *)(r + 1);

		at += sizeof(*r) + MM_UP(r->bytes, 8);
		if (at > end)
			return 0;
		if ((r->nr == 0xffff || r->nr == nr) && (!r->bytes || matches(pattern, pattern + r->bytes, path))) {
			*check = r->check;
			*data = r->data;
			return 1;
		}
	}
	return 0;
}

static int class_of(const struct mm_proc *p, u64 dev)
{
	for (u64 i = 0; i < p->mounts_count; i++)
		if (p->mounts[i].dev == dev)
			return (int)p->mounts[i].klass;
	return p->flags & MM_START_FS_SHARED ? MM_FD_SHARED : MM_FD_LEADER;
}

void mm_describe_open(struct mm_thread *t)
{
	t->call.who = MM_BY_LEADER;
}

/* Is this a /proc/PID/mem, by whatever name it was opened? Writing there would reach the monitor. */
static int is_memory(s64 fd)
{
	u64 fs[15] = {0};
	char link[MM_FD_LINK], path[256];
	s64 r;

	if (mm_sys2(__NR_fstatfs, fd, fs) < 0 || fs[0] != 0x9fa0 /* PROC_SUPER_MAGIC */)
		return 0;
	mm_fd_link(link, fd);
	r = mm_sys4(__NR_readlinkat, MM_AT_FDCWD, link, path, sizeof(path));
	return r < 4 || !memcmp(path + r - 4, "/mem", 4); /* unreadable: rather not */
}

/* /proc/self/maps without the monitor's lines, in a memory object of its own. Each variant has its own, never compared. */
static s64 open_maps(struct mm_thread *t, const char *path)
{
	struct mm_proc *p = t->proc;
	s64 from = mm_sys4(__NR_openat, MM_AT_FDCWD, path, O_RDONLY | O_CLOEXEC, 0);
	s64 to = mm_sys2(__NR_memfd_create, "maps", (t->call.a[2] & O_CLOEXEC) ? 1 : 0);
	char *line = mm_stage(t, 8192);
	u64 have = 0;
	int hide = 0;

	if (from < 0 || to < 0 || !line)
		goto out;
	for (;;) {
		s64 got = mm_sys3(__NR_read, from, line + have, 8192 - have);
		u64 start = 0;

		if (got <= 0)
			break;
		have += got;
		for (u64 i = 0; i < have; i++) {
			u64 at = 0;

			if (line[i] != '\n')
				continue;
			for (u64 k = start; k < i && line[k] != '-'; k++)
				at = at * 16 + (line[k] <= '9' ? line[k] - '0' : line[k] - 'a' + 10);
			/* smaps has lines of words behind each mapping: they go as it goes */
			if ((line[start] >= '0' && line[start] <= '9') || (line[start] >= 'a' && line[start] <= 'f'))
				hide = at >= p->reservation.from && at < p->reservation.to;
			if (!hide)
				mm_sys3(__NR_write, to, line + start, i + 1 - start);
			start = i + 1;
		}
		have -= start;
		memmove(line, line + start, have);
	}
	mm_sys3(__NR_lseek, to, 0, 0);
out:
	if (from >= 0)
		mm_sys1(__NR_close, from);
	return to < 0 ? to : from < 0 ? (mm_sys1(__NR_close, to), from) : to;
}

static int is_maps(struct mm_thread *t)
{
	return mm_is_proc_self(t, t->call.path, "maps") || mm_is_proc_self(t, t->call.path, "smaps");
}

s64 mm_execute_open(struct mm_thread *t)
{
	struct mm_call *c = &t->call;
	struct kstat st;
	s64 fd;
	u8 check, data;

	c->made = MM_FD_LEADER;
	c->made_kind = MM_KIND_OTHER;
	if (is_maps(t)) {
		c->made = MM_FD_PRIVATE;
		return open_maps(t, c->path);
	}
	if (mm_is_proc_self(t, c->path, "exe")) {
		memcpy(c->path, t->proc->program, strlen(t->proc->program) + 1);
		c->x[1] = (u64)c->path;
	}
	fd = mm_app_call(t);
	if (fd < 0 || mm_sys2(__NR_fstat, fd, &st) < 0)
		return fd;
	if ((c->x[2] & O_ACCMODE) != O_RDONLY && S_ISREG(st.mode) && is_memory(fd)) {
		mm_sys1(__NR_close, fd);
		return -EACCES;
	}
	c->dev = st.dev;
	c->ino = st.ino;
	if (S_ISDIR(st.mode))
		c->made_kind = MM_KIND_DIR;
	if (!S_ISREG(st.mode))
		return fd;
	c->made_kind = MM_KIND_FILE;
	c->made = class_of(t->proc, st.dev);
	if (c->made == MM_FD_OWN && mm_rule(t->proc, c->nr, c->path, &check, &data) && data == 1)
		c->made = MM_FD_LEADER;
	return fd;
}

/* After the result is known: the entry of the table, and what a follower has of the file. */
s64 mm_follow_open(struct mm_thread *t, s64 ret)
{
	struct mm_call *c = &t->call;
	struct mm_proc *p = t->proc;
	int cloexec = (c->a[2] & O_CLOEXEC) != 0;
	s64 got;
	u8 check, data;

	if (c->made == MM_FD_NONE || c->made > MM_FD_PRIVATE || c->made_kind > MM_KIND_PIPE)
		mm_diverge(t, MM_WHY_STREAM);
	mm_fd_make(t, ret, c->made, c->made_kind);
	if (mm_rule(p, c->nr, c->path, &check, &data) && data == 2)
		p->fds[ret].differs = 1;
	if (mm_is_leader(p))
		return ret;
	if (mm_is_proc_self(t, c->path, "exe"))
		memcpy(c->path, p->program, strlen(p->program) + 1);
	switch (c->made) {
	case MM_FD_PRIVATE:
		got = open_maps(t, c->path);
		break;
	case MM_FD_OWN:
		c->x[1] = (u64)c->path;
		got = mm_app_call(t);
		break;
	case MM_FD_SHARED:
		got = mm_hold(t, ret, cloexec, c->path);
		break;
	default:
		got = mm_hold(t, ret, cloexec, c->made_kind == MM_KIND_DIR ? c->path : NULL);
	}
	if (got != ret)
		mm_diverge(t, MM_WHY_TAKEN);
	return ret;
}
