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

#define OVERLAYFS 0x794c7630ul /* include/uapi/linux/magic.h */
#define BTRFS 0x9123683eul

/* How the files of a file system are handled, by one of them. */
static int class_of(const struct mm_proc *p, u64 fd, u64 dev)
{
	u64 fs[15] = {0};

	for (u64 i = 0; i < p->mounts_count; i++)
		if (p->mounts[i].dev == dev)
			return (int)p->mounts[i].klass;
	if (p->flags & MM_START_FS_SHARED)
		return MM_FD_SHARED;
	/* their files may show devices that no mount has */
	if (mm_sys2(__NR_fstatfs, fd, fs) == 0 && (fs[0] == OVERLAYFS || fs[0] == BTRFS))
		return MM_FD_OWN;
	return MM_FD_LEADER;
}

int mm_class_of_folder(struct mm_proc *p, const char *path)
{
	int klass = MM_FD_LEADER;
	struct kstat st;
	s64 fd;

	mm_spare(p); /* the program may have used up its numbers */
	fd = mm_sys4(__NR_openat, MM_AT_FDCWD, path, O_PATH | O_DIRECTORY | O_CLOEXEC, 0);
	if (fd >= 0 && mm_sys2(__NR_fstat, fd, &st) == 0)
		klass = class_of(p, (u64)fd, st.dev);
	if (fd >= 0)
		mm_sys1(__NR_close, fd);
	mm_spare_end(p);
	return klass;
}

/* Files that an engine writes for each container: different on purpose, and the leader's unless a rule says otherwise. */
static int made_by_engine(const char *name)
{
	static const char names[] = "/etc/hosts\0/etc/hostname\0/etc/resolv.conf\0";

	for (const char *at = names; *at; at += strlen(at) + 1)
		if (strlen(name) == strlen(at) && !memcmp(name, at, strlen(at)))
			return 1;
	return 0;
}

/* Whose an own file is when rules were asked, by the path that it has and the one that the program gave. */
static int class_by_rule(const struct mm_thread *t, u16 nr, u32 rules, const char *name, const char *given)
{
	switch (mm_rule_data(t->proc, nr, rules)) {
	case 0:
		return made_by_engine(name) || made_by_engine(given) ? MM_FD_LEADER : MM_FD_OWN;
	case MM_DATA_LEADER:
		return MM_FD_LEADER;
	}
	return MM_FD_OWN;
}

void mm_describe_open(struct mm_thread *t)
{
	t->call.who = MM_BY_LEADER;
}

/*
 * Not what leads past the comparison: memory as a file, lists of the leader's addresses, which every variant would read alike, and
 * objects in memory by a name, of which all would have the leader's.
 */
static int may_be_opened(struct mm_thread *t, s64 fd, const struct kstat *st)
{
	const struct mm_call *c = &t->call;
	struct mm_proc *p = t->proc;

	if (S_ISREG(st->mode) && (c->x[2] & O_ACCMODE) != O_RDONLY && mm_proc_is_memory(p, fd))
		return 0;
	if (S_ISREG(st->mode) && !st->nlink && (c->x[2] & O_TMPFILE) != O_TMPFILE && mm_is_object(p, fd))
		return 0;
	return !((S_ISREG(st->mode) && !st->size) || S_ISDIR(st->mode)) || !mm_proc_shows_addresses(p, fd);
}

s64 mm_execute_open(struct mm_thread *t)
{
	struct mm_call *c = &t->call;
	struct kstat st;
	char name[MM_NAME];
	s64 fd;

	c->made = MM_FD_LEADER;
	c->made_kind = MM_KIND_OTHER;
	if (mm_follows_links(c) && mm_proc_is_exe(t, (s32)c->a[0], c->path)) {
		memcpy(c->path, t->proc->program, strlen(t->proc->program) + 1);
		c->x[1] = (u64)c->path;
	}
	fd = mm_app_call(t);
	if (fd < 0 || mm_sys2(__NR_fstat, fd, &st) < 0)
		return fd;
	if (!may_be_opened(t, fd, &st)) {
		mm_sys1(__NR_close, fd);
		return -EACCES;
	}
	if (S_ISREG(st.mode) && !st.size && (c->made_kind = mm_proc_maps(t, fd))) {
		mm_sys1(__NR_close, fd);
		c->made = MM_FD_PRIVATE;
		return mm_proc_open_maps(t);
	}
	if (S_ISREG(st.mode) && !st.size && mm_proc_is_arguments(t, fd)) {
		mm_sys1(__NR_close, fd);
		return mm_proc_open_arguments(t);
	}
	c->dev = st.dev;
	c->ino = st.ino;
	name[0] = 0;
	if (t->proc->rules_bytes || !(t->proc->flags & MM_START_FS_SHARED))
		if (!mm_fd_name(t->proc, fd, name))
			name[0] = 0;
	c->rules = mm_rules_of(t->proc, name);
	if (!S_ISREG(st.mode) && !S_ISDIR(st.mode))
		return fd;
	c->made_kind = S_ISDIR(st.mode) ? MM_KIND_DIR : MM_KIND_FILE;
	c->made = class_of(t->proc, fd, st.dev);
	if (c->made == MM_FD_SHARED && S_ISDIR(st.mode))
		c->made = MM_FD_LEADER;
	if (c->made == MM_FD_OWN)
		c->made = class_by_rule(t, c->nr, c->rules, name, c->path);
	else if (c->made == MM_FD_SHARED && mm_rule_data(t->proc, c->nr, c->rules) == MM_DATA_OWN)
		c->made = MM_FD_OWN;
	if (c->made == MM_FD_OWN && c->given) {
		c->made = MM_FD_LEADER;
		if (S_ISDIR(st.mode))
			c->made_kind = MM_KIND_OTHER; /* of this one followers have no more than of the folder */
	}
	return fd;
}

/* What a follower needs of a file or directory that is its own: the same kind, and none through which memory is written. */
static s64 open_own(struct mm_thread *t)
{
	struct mm_call *c = &t->call;
	struct kstat st;
	s64 fd;

	c->x[1] = (u64)c->path;
	fd = mm_repeat(t);
	if (fd < 0 || mm_sys2(__NR_fstat, fd, &st) < 0 || (st.mode & S_IFMT) != (c->made_kind == MM_KIND_DIR ? S_IFDIR : S_IFREG) ||
	    ((c->x[2] & O_ACCMODE) != O_RDONLY && mm_proc_is_memory(t->proc, fd))) {
		mm_diverge(t, MM_WHY_DATA);
		mm_end(t);
	}
	return fd;
}

static int own_data(const struct mm_thread *t)
{
	switch (mm_rule_data(t->proc, t->call.nr, t->call.rules)) {
	case MM_DATA_DIFFERS:
		return MM_OWN_DIFFERS;
	case MM_DATA_OWN:
		return MM_OWN_WHOLLY;
	}
	return MM_OWN_COMPARED;
}

/*
 * A follower believes no word of the leader's about a file that it can look at itself: whose the file is decides whether what
 * the leader reads is believed, and which rules the file meets decides what of it is compared.
 */
void mm_disbelieve(struct mm_thread *t, const char *path)
{
	mm_event(t->proc, "a file is not treated in this variant as the leader says (other mounts, or a leader that lies): ", path);
	mm_diverge(t, MM_WHY_STREAM);
	mm_end(t);
}

/* The follower's own look at the file, behind nothing but a name: no device or pipe is opened. */
static s64 look(struct mm_thread *t, struct kstat *st)
{
	struct mm_call *c = &t->call;
	s64 fd = mm_sys4(__NR_openat, (s32)c->a[0], c->path, O_PATH | O_CLOEXEC | (c->a[2] & O_NOFOLLOW), 0);

	if (fd >= 0 && mm_sys2(__NR_fstat, fd, st) < 0) {
		mm_sys1(__NR_close, fd);
		return -EBADF;
	}
	return fd;
}

/* What an open regular file or directory of this variant is, by its own mounts and rules. */
static int class_here(struct mm_thread *t, s64 fd, u64 dev, u32 *rules)
{
	struct mm_proc *p = t->proc;
	char name[MM_NAME];
	int klass = class_of(p, fd, dev);

	if (!mm_fd_name(t->proc, fd, name))
		name[0] = 0;
	*rules = mm_rules_of(p, name);
	if (klass == MM_FD_OWN)
		return class_by_rule(t, t->call.nr, *rules, name, t->call.path);
	if (klass == MM_FD_SHARED && mm_rule_data(p, t->call.nr, *rules) == MM_DATA_OWN)
		return MM_FD_OWN;
	return klass;
}

/* Before a follower opens anything: is it what the leader says? Where it cannot be seen from here, the leader is believed. */
static void check_made(struct mm_thread *t)
{
	struct mm_call *c = &t->call;
	struct mm_proc *p = t->proc;
	struct kstat st;
	u32 rules;
	int klass;
	s64 fd;

	if (!p->rules_bytes)
		c->rules = 0;
	if (c->made == MM_FD_OWN ? (p->flags & MM_START_FS_SHARED) && !p->rules_bytes
				 : c->made == MM_FD_SHARED && !(p->flags & MM_START_FS_SHARED))
		mm_disbelieve(t, t->call.path);
	if (c->made == MM_FD_PRIVATE) {
		if (c->made_kind < 1 || !mm_proc_names_maps(t, c->made_kind))
			mm_disbelieve(t, t->call.path);
		return;
	}
	if (c->made != MM_FD_LEADER || (p->flags & MM_START_FS_SHARED))
		return;
	/* a file of this variant's own that the leader says is the leader's: its data would be the leader's to choose */
	fd = look(t, &st);
	if (fd < 0)
		return;
	klass = S_ISREG(st.mode) ? class_here(t, fd, st.dev, &rules) : MM_FD_LEADER;
	mm_sys1(__NR_close, fd);
	if (klass == MM_FD_OWN)
		mm_disbelieve(t, t->call.path);
}

/* Behind the opening of a file that the leader says is everyone's own: it must be, and the rules are those that it meets here. */
static void check_own(struct mm_thread *t, s64 fd)
{
	struct kstat st;

	if (mm_sys2(__NR_fstat, fd, &st) < 0 || class_here(t, fd, st.dev, &t->call.rules) != MM_FD_OWN)
		mm_disbelieve(t, t->call.path);
}

/* The rules that a shared file meets, where the placeholder is of that file and the file still has its name. */
static u32 rules_of_shared(struct mm_thread *t, s64 fd)
{
	static const char gone[] = " (deleted)";
	struct mm_call *c = &t->call;
	char name[MM_NAME];
	struct kstat st;
	u64 n;

	if (!t->proc->rules_bytes || mm_sys2(__NR_fstat, fd, &st) < 0 || st.dev != c->dev || st.ino != c->ino ||
	    !mm_fd_name(t->proc, fd, name))
		return c->rules;
	n = strlen(name);
	if (n >= sizeof(gone) - 1 && !memcmp(name + n - (sizeof(gone) - 1), gone, sizeof(gone) - 1))
		return c->rules;
	return mm_rules_of(t->proc, name);
}

/* After the result is known: the entry of the table, and what a follower has of the file. */
s64 mm_follow_open(struct mm_thread *t, s64 ret)
{
	struct mm_call *c = &t->call;
	struct mm_proc *p = t->proc;
	struct mm_ofd *file;
	int cloexec = (c->a[2] & O_CLOEXEC) != 0;
	s64 got;

	if (c->made == MM_FD_NONE || c->made > MM_FD_PRIVATE || c->made_kind > MM_KIND_PIPE)
		mm_diverge(t, MM_WHY_STREAM);
	mm_fd_make(t, ret, c->made, c->made_kind);
	file = &p->ofds[p->fds[ret].ofd];
	if (c->made == MM_FD_OWN)
		file->data = own_data(t);
	if (mm_is_leader(p))
		return ret;
	if (mm_follows_links(c) && (mm_is_proc_self(t, c->path, "exe") || mm_proc_is_exe(t, (s32)c->a[0], c->path)))
		memcpy(c->path, p->program, strlen(p->program) + 1);
	check_made(t);
	switch (c->made) {
	case MM_FD_PRIVATE:
		got = mm_proc_open_maps(t);
		break;
	case MM_FD_OWN:
		got = open_own(t);
		check_own(t, got);
		file->data = own_data(t);
		break;
	case MM_FD_SHARED:
		got = mm_hold(t, ret, cloexec, c->path);
		c->rules = rules_of_shared(t, got);
		break;
	default:
		got = mm_hold(t, ret, cloexec, c->made_kind == MM_KIND_DIR ? c->path : NULL);
	}
	if (got != ret)
		mm_diverge(t, MM_WHY_TAKEN);
	file->rules = c->rules;
	return ret;
}

/* Calls that act on what a link leads to, not on the link itself; of two paths that holds for the first. */
int mm_follows_links(const struct mm_call *c)
{
	switch (c->nr) {
	case MM_NR_fchmodat:
	case MM_NR_utime:
	case MM_NR_utimes:
	case MM_NR_futimesat:
	case MM_NR_truncate:
	case MM_NR_setxattr:
	case MM_NR_removexattr:
	case MM_NR_getxattr:
	case MM_NR_listxattr:
	case MM_NR_faccessat:
		return 1;
	case MM_NR_openat:
		return !(c->a[2] & O_NOFOLLOW);
	case MM_NR_linkat: /* which names a file that has no name yet by /proc/self/fd */
		return (c->a[4] & AT_SYMLINK_FOLLOW) != 0;
	case MM_NR_fchownat:
		return !(c->a[4] & AT_SYMLINK_NOFOLLOW);
	case MM_NR_utimensat:
	case MM_NR_newfstatat:
	case MM_NR_faccessat2:
		return !(c->a[3] & AT_SYMLINK_NOFOLLOW);
	case MM_NR_statx:
		return !(c->a[2] & AT_SYMLINK_NOFOLLOW);
	}
	return 0;
}

/* Is what mm_place_open has found on a file system that every variant has of its own, and is it not said to be the leader's? */
int mm_place_is_own(struct mm_thread *t, s64 place, const char *name, const char *given, u32 *met)
{
	u32 rules = mm_rules_of(t->proc, name);
	struct kstat st;

	if (mm_sys2(__NR_fstat, place, &st) < 0 || class_of(t->proc, place, st.dev) != MM_FD_OWN ||
	    class_by_rule(t, t->call.nr, rules, name, given) != MM_FD_OWN)
		return 0;
	*met |= rules;
	return 1;
}

/* Do all paths of a call lie on file systems that every variant has of its own? -1: it has none that leads anywhere. */
static int paths_are_own(struct mm_thread *t, u32 *met)
{
	struct mm_call *c = &t->call;
	char name[MM_NAME];
	int which = 0, own;
	s64 fd;

	if (c->file) /* no path: the descriptor itself */
		return c->row->args[0].kind == MM_A_DIRFD && t->proc->fds[(u32)c->a[0]].klass == MM_FD_OWN;
	if (c->given)
		return 0;
	for (; (fd = mm_path_open(t, which, name)) >= 0; which++) {
		own = mm_place_is_own(t, fd, name, which ? c->path2 : c->path, met);
		mm_sys1(__NR_close, fd);
		if (!own)
			return 0;
	}
	return which ? 1 : -1;
}

/*
 * The leader, before a call that changes something by its name: where all of its paths lie on file systems that every
 * variant has of its own, everyone makes it. The followers learn it with the result.
 */
void mm_place_by_path(struct mm_thread *t)
{
	struct mm_call *c = &t->call;

	if (!mm_is_leader(t->proc) || c->row->effect == 0 || (t->proc->flags & MM_START_FS_SHARED))
		return;
	c->made = paths_are_own(t, &c->rules) > 0 ? MM_FD_OWN : MM_FD_NONE;
}

/* A follower does to its own files what the leader did to its, where it finds them to be its own. */
void mm_repeat_by_path(struct mm_thread *t, s64 ret)
{
	struct mm_call *c = &t->call;
	u32 met = 0;
	s64 own;

	if ((t->proc->flags & MM_START_FS_SHARED) || c->row->effect == 0 || !paths_are_own(t, &met))
		mm_disbelieve(t, t->call.path);
	c->rules = met;
	own = mm_repeat(t);
	if (own == ret || mm_rule_data(t->proc, c->nr, c->rules) == MM_DATA_OWN)
		return;
	mm_diverge(t, MM_WHY_RESULT);
}
