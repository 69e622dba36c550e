/* SPDX-License-Identifier: Apache-2.0 */
/* What /proc shows the program of itself, without the monitor: its mappings, arguments and open descriptors. */
#include "monitor.h"
#include "table.gen.h"
#include <linux/errno.h>
#include <linux/fcntl.h>

#define MAPS_LINE 8192u
#define FSIZE 1u /* RLIMIT_FSIZE */

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

/* Where an open descriptor leads to, if that is in /proc: its length, or 0. */
static s64 proc_name(struct mm_proc *p, s64 fd, char *path, u64 room)
{
	u64 fs[15] = {0};
	s64 n;

	if (mm_sys2(__NR_fstatfs, fd, fs) < 0 || fs[0] != MM_PROC_MAGIC)
		return 0;
	n = mm_link_read(p, fd, path, room);
	return n > 0 ? n : -1;
}

/* Is this a /proc/PID/mem, by whatever name it was opened? Writing there would reach the monitor. */
int mm_proc_is_memory(struct mm_proc *p, s64 fd)
{
	char path[256];
	s64 n = proc_name(p, fd, path, sizeof(path));

	return n < 0 || (n >= 4 && !memcmp(path + n - 4, "/mem", 4)); /* unreadable: rather not */
}

static int ends_with(const char *path, s64 n, const char *end)
{
	s64 k = (s64)strlen(end);

	return n >= k && !memcmp(path + n - k, end, k);
}

/*
 * Files and folders of /proc that say where something lies, beside the lists that each variant has of its own (mm_proc_maps): what the
 * leader reads there everyone gets, so nothing that is made of it would differ. `mem` can be read where the others lead, and of
 * `pagemap` the monitor could be found. What `stat` has of addresses is the launcher's, where nothing of the program lies.
 */
int mm_proc_shows_addresses(struct mm_proc *p, s64 fd)
{
	static const char names[] = "/mem\0/pagemap\0/syscall\0/map_files\0/smaps_rollup\0/timers\0";
	char path[256];
	s64 n = proc_name(p, fd, path, sizeof(path));

	for (const char *name = names; n > 0 && *name; name += strlen(name) + 1)
		if (ends_with(path, n, name))
			return 1;
	return n < 0 || n == sizeof(path); /* unreadable: rather not */
}

/* Is this an object that memfd_create(2) has made, also for the monitor's own lists? */
int mm_is_object(struct mm_proc *p, s64 fd)
{
	static const char prefix[] = "/memfd:";
	char path[sizeof(prefix)];
	s64 n = mm_link_read(p, fd, path, sizeof(path));

	return n < 0 || (n == sizeof(path) && !memcmp(path, prefix, sizeof(prefix) - 1));
}

/* An object in memory gets the number that the file would have had: the lowest that is free. */
static s64 lowest(s64 fd, int cloexec)
{
	s64 to = mm_sys3(__NR_fcntl, fd, cloexec ? F_DUPFD_CLOEXEC : F_DUPFD, 0);

	if (to < 0 || to > fd) {
		if (to >= 0)
			mm_sys1(__NR_close, to);
		if (!cloexec)
			mm_sys3(__NR_fcntl, fd, F_SETFD, 0);
		return fd;
	}
	mm_sys1(__NR_close, fd);
	return to;
}

/* Files that say where this process has what, in the order of the numbers that stand for them in a result (from 1). */
static const char maps_files[] = "/maps\0/smaps\0/numa_maps\0/auxv\0";
#define MAPS_AUXV 4

/* Which of these files of this very process a descriptor is open on, wherever /proc is mounted; 0: none. */
static int own_file(struct mm_thread *t, s64 fd, const char *names)
{
	char path[256];
	s64 n = proc_name(t->proc, fd, path, sizeof(path) - 1);
	int which = 1, own = 0;

	if (n <= 0)
		return 0;
	path[n] = 0;
	for (const char *s = path; *s; s++) {
		const char *behind = *s == '/' ? skip_number(s + 1, t->proc->real_pid) : NULL;

		own |= behind && *behind == '/';
	}
	for (const char *name = names; own && *name; name += strlen(name) + 1, which++)
		if (ends_with(path, n, name))
			return which;
	return 0;
}

int mm_proc_maps(struct mm_thread *t, s64 fd)
{
	return own_file(t, fd, maps_files);
}

int mm_proc_is_arguments(struct mm_thread *t, s64 fd)
{
	return own_file(t, fd, "/cmdline\0");
}

/* Is this /proc/self/exe, by whatever name, or without one the descriptor of it? The kernel would show the library. */
int mm_proc_is_exe(struct mm_thread *t, s32 dir, const char *path)
{
	u64 n = strlen(path);
	s64 fd;
	int is;

	if (!n)
		return dir >= 0 && own_file(t, dir, "/exe\0");
	if (!(ends_with(path, (s64)n, "/exe") || (n == 3 && ends_with(path, 3, "exe"))))
		return 0;
	fd = mm_sys4(__NR_openat, dir, path, O_PATH | O_NOFOLLOW | O_CLOEXEC, 0);
	if (fd < 0)
		return 0;
	is = own_file(t, fd, "/exe\0");
	mm_sys1(__NR_close, fd);
	return is;
}

/*
 * A follower: is this the name of that list of mappings? It may stand at the end of another process's number (the leader's,
 * which the program takes for its own), or behind a link.
 */
int mm_proc_names_maps(struct mm_thread *t, int which)
{
	struct mm_call *c = &t->call;
	const char *name = maps_files, *path = c->path;
	u64 n = strlen(path), k;
	s64 fd;
	int found;

	for (int i = 1; i < which && *name; i++)
		name += strlen(name) + 1;
	k = strlen(name);
	if (!k)
		return 0;
	if ((n >= k && !memcmp(path + n - k, name, k)) || (n == k - 1 && !memcmp(path, name + 1, n)))
		return 1;
	fd = mm_sys4(__NR_openat, (s32)c->a[0], path, O_PATH | O_CLOEXEC, 0);
	if (fd < 0)
		return 0;
	found = mm_proc_maps(t, fd);
	mm_sys1(__NR_close, fd);
	return found == which;
}

/* An object in memory that is shown in place of a file of /proc, while it is written. */
struct object {
	s64 fd;   /* or why there is none */
	u64 room; /* how much may still be written */
	u64 limit[2];
};

/*
 * The program's limit of file sizes holds for objects in memory too, and a write past it is a signal that would end the program. Until
 * object_end it is raised as far as the kernel allows; what does not fit then cannot be shown.
 */
static void object_make(struct mm_proc *p, struct object *o, const char *name)
{
	u64 raised[2] = {~0ul, ~0ul};

	mm_spare(p);
	o->fd = mm_sys2(__NR_memfd_create, name, 3 /* MFD_CLOEXEC, MFD_ALLOW_SEALING */);
	o->room = ~0ul;
	if (mm_sys4(__NR_prlimit64, 0, FSIZE, 0, o->limit) < 0)
		o->limit[0] = ~0ul;
	if (o->limit[0] == ~0ul || mm_sys4(__NR_prlimit64, 0, FSIZE, raised, 0) == 0)
		return;
	o->room = raised[0] = raised[1] = o->limit[1]; /* above it goes none but CAP_SYS_RESOURCE */
	mm_sys4(__NR_prlimit64, 0, FSIZE, raised, 0);
}

static void object_fail(struct object *o, s64 why)
{
	if (o->fd >= 0)
		mm_sys1(__NR_close, o->fd);
	o->fd = why;
}

static void object_write(struct object *o, const void *bytes, u64 n)
{
	s64 r = n > o->room ? -EFBIG : o->fd < 0 ? o->fd : mm_sys3(__NR_write, o->fd, bytes, n);

	if (r == (s64)n)
		o->room -= n;
	else
		object_fail(o, r < 0 ? r : -ENOMEM);
}

/* What is shown stays as it is, and is open for what the program has opened the file for. */
static s64 object_end(struct mm_thread *t, struct object *o)
{
	struct mm_proc *p = t->proc;
	u64 flags = t->call.a[2];
	s64 fd = o->fd;

	if (o->fd >= 0) {
		mm_sys3(__NR_lseek, o->fd, 0, 0);
		mm_sys3(__NR_fcntl, o->fd, F_ADD_SEALS, F_SEAL_SEAL | F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_WRITE);
		fd = mm_link_open(p, o->fd, flags & O_ACCMODE);
		if (fd >= 0)
			mm_sys1(__NR_close, o->fd);
		fd = lowest(fd >= 0 ? fd : o->fd, (flags & O_CLOEXEC) != 0);
	}
	if (o->limit[0] != ~0ul)
		mm_sys4(__NR_prlimit64, 0, FSIZE, o->limit, 0);
	mm_spare_end(p);
	return fd;
}

/* Copies what is in the buffer line by line, but for the monitor's mappings and what smaps says of them. */
static u64 copy_lines(const struct mm_proc *p, char *text, u64 have, struct object *to, int *hide)
{
	u64 start = 0;

	for (u64 i = 0; i < have; i++) {
		u64 at = 0;

		if (text[i] != '\n')
			continue;
		for (u64 k = start; k < i && text[k] != '-' && text[k] != ' '; k++)
			at = at * 16 + (text[k] <= '9' ? text[k] - '0' : text[k] - 'a' + 10);
		/* smaps has lines of words behind each mapping: they go as it goes */
		if ((text[start] >= '0' && text[start] <= '9') || (text[start] >= 'a' && text[start] <= 'f'))
			*hide = at >= p->reservation.from && at < p->reservation.to;
		if (!*hide)
			object_write(to, text + start, i + 1 - start);
		start = i + 1;
	}
	memmove(text, text + start, have - start);
	return have - start;
}

static void copy_maps(struct mm_thread *t, struct object *to)
{
	const char *name = maps_files;
	char path[32], *text = mm_stage(t, MAPS_LINE);
	u64 have = 0;
	s64 from, got;
	int hide = 0;

	if (t->call.made_kind == MAPS_AUXV) {
		object_write(to, t->proc->auxv, t->proc->auxv_bytes);
		return;
	}
	for (int i = 1; i < t->call.made_kind && *name; i++)
		name += strlen(name) + 1;
	memcpy(path, "..", 2);
	memcpy(path + 2, name, strlen(name) + 1);
	from = mm_self_open(t->proc, path, O_RDONLY);
	if (from < 0) {
		object_fail(to, from);
		return;
	}
	while (text && (got = mm_sys3(__NR_read, from, text + have, MAPS_LINE - have)) > 0)
		have = copy_lines(t->proc, text, have + got, to, &hide);
	mm_sys1(__NR_close, from);
}

/* Each variant has its own, never compared: this very process's, whatever name the program or the leader gave. */
s64 mm_proc_open_maps(struct mm_thread *t)
{
	struct object o;

	object_make(t->proc, &o, "maps");
	copy_maps(t, &o);
	return object_end(t, &o);
}

/* The leader: the kernel would show the launcher's longer list. */
s64 mm_proc_open_arguments(struct mm_thread *t)
{
	struct object o;

	object_make(t->proc, &o, "cmdline");
	object_write(&o, t->proc->arguments, t->proc->arguments_bytes);
	return object_end(t, &o);
}

struct entry { /* struct linux_dirent64 */
	u64 ino;
	s64 offset;
	u16 bytes;
	u8 type;
	char name[];
};

static int is_ours(const struct mm_proc *p, const struct entry *e)
{
	u64 n = 0;
	u32 i = 0;

	for (; e->name[i] >= '0' && e->name[i] <= '9' && i < 10; i++)
		n = n * 10 + e->name[i] - '0';
	return i && !e->name[i] && mm_fd_is_own(p, n);
}

/*
 * getdents64 in the leader: a list of descriptors does not show the monitor's, and behind the end of a name, where the kernel leaves
 * what the program had there, are zeros.
 */
s64 mm_proc_list(struct mm_thread *t)
{
	struct mm_call *c = &t->call;
	char path[256];
	u8 *copy;
	s64 ret, n = -1, kept;
	int hides = 0;

	c->x[2] = MM_MIN((u32)c->a[2], 1u << 20); /* as much as is listed at a time: a program comes back for more */
	copy = mm_stage(t, c->x[2]);
	if (!copy)
		return -ENOMEM;
	for (;;) {
		ret = mm_app_call(t);
		if (ret <= 0)
			return ret;
		if (n < 0) {
			n = proc_name(t->proc, (s32)c->a[0], path, sizeof(path));
			hides = n > 0 && (ends_with(path, n, "/fd") || ends_with(path, n, "/fdinfo"));
			n = 0;
		}
		if (mm_in(t, copy, c->a[1], ret) != (u64)ret)
			return -EFAULT;
		kept = 0;
		for (s64 at = 0; at < ret;) {
			struct entry *e = (struct entry *)(copy + at);
			u16 bytes = e->bytes;
			u64 end;

			if (bytes < sizeof(*e) || bytes > ret - at)
				return -EFAULT;
			for (end = __builtin_offsetof(struct entry, name); end < bytes && copy[at + end];)
				end++;
			memset(copy + at + end, 0, bytes - end);
			if (!hides || !is_ours(t->proc, e)) {
				memmove(copy + kept, e, bytes);
				kept += bytes;
			}
			at += bytes;
		}
		if (mm_out(t, c->a[1], copy, kept) != (u64)kept)
			return -EFAULT;
		if (kept)
			return kept;
	}
}
