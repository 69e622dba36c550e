/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Descriptors, open descriptions and epoll registrations. Every variant keeps the same tables, changed by the same calls in
 * the same order, so a number means the same everywhere. In a follower what the leader alone has open is a placeholder: an
 * O_PATH descriptor at the same number, on which reads, writes and the like fail but dup and F_SETFD work.
 */
#include "monitor.h"
#include "table.gen.h"
#include <linux/errno.h>
#include <linux/fcntl.h>

#define CLOEXEC 0x80000u /* O_CLOEXEC, SOCK_CLOEXEC, EPOLL_CLOEXEC … are one bit */

int mm_fd_is_own(const struct mm_proc *p, u64 fd)
{
	return fd - p->own_first < MM_OWN_FDS;
}

struct mm_fd *mm_fd(struct mm_proc *p, u64 fd)
{
	if (fd >= MM_FD_CAP || p->fds[fd].klass == MM_FD_NONE)
		return NULL;
	return &p->fds[fd];
}

/*
 * The numbers for which the kernel's table would have room if it held nothing but the program's: as many as select(2) looks at,
 * whatever it is told. The table grows by powers of two and never shrinks (fs/file.c).
 */
u64 mm_fd_room(const struct mm_proc *p)
{
	u64 room = 64;

	while (room < p->fd_top)
		room *= 2;
	return room;
}

/*
 * What is behind such a descriptor differs between variants without a call that could be compared: memory objects, which stores
 * through a mapping change, and /proc's lists of mappings. The kernel must not move it to where others read it.
 */
int mm_fd_differs(struct mm_proc *p, u64 fd)
{
	const struct mm_fd *f = mm_fd(p, fd);

	return f && (f->klass == MM_FD_PRIVATE || (f->klass == MM_FD_OWN && p->ofds[f->ofd].data == MM_OWN_MEMORY));
}

static u32 ofd_new(struct mm_proc *p)
{
	u32 i = p->ofd_free;

	if (i)
		p->ofd_free = p->ofds[--i].tokens;
	else
		i = p->ofd_top++;
	p->ofds[i] = (struct mm_ofd){.refs = 1};
	return i;
}

void mm_fd_make(struct mm_thread *t, u64 fd, int klass, int kind)
{
	struct mm_proc *p = t->proc;

	if (fd >= MM_FD_CAP)
		mm_give_up(t, -EMFILE, "the program opened a descriptor with a number that is too high");
	if (mm_fd_is_own(p, fd)) /* no call gives one of these: a placeholder there would put an end to the monitor's own */
		mm_diverge(t, MM_WHY_STREAM);
	if (p->fds[fd].klass != MM_FD_NONE)
		mm_diverge(t, MM_WHY_TAKEN);
	p->fds[fd] = (struct mm_fd){.klass = klass, .kind = kind, .ofd = ofd_new(p)};
	p->ofds[p->fds[fd].ofd].dev = t->call.dev;
	p->ofds[p->fds[fd].ofd].ino = t->call.ino;
	p->ofds[p->fds[fd].ofd].rules = t->call.rules;
	if (fd >= p->fd_top)
		p->fd_top = fd + 1;
}

/* The description came from another process, or goes to one. */
void mm_fd_elsewhere(struct mm_proc *p, u64 fd)
{
	struct mm_fd *f = mm_fd(p, fd);

	if (f)
		p->ofds[f->ofd].elsewhere = 1;
}

static void ofd_free(struct mm_proc *p, u32 i)
{
	p->ofds[i].tokens = p->ofd_free;
	p->ofd_free = i + 1;
}

void mm_fd_drop(struct mm_proc *p, u64 fd)
{
	struct mm_ofd *o;
	u32 ofd;

	if (fd >= MM_FD_CAP || p->fds[fd].klass == MM_FD_NONE)
		return;
	ofd = p->fds[fd].ofd;
	o = &p->ofds[ofd];
	p->fds[fd].klass = MM_FD_NONE;
	if (o->refs > 1) {
		o->refs--;
		return;
	}
	for (u32 i = 0; p->fds[fd].kind == MM_KIND_EPOLL && i < p->token_top; i++) /* the registrations that it held */
		if (p->tokens[i].live && p->tokens[i].epoll == ofd)
			mm_token_drop(p, &p->tokens[i]);
	o->refs = 0; /* not before: an epoll that a leader says watches itself would be freed twice */
	if (!o->tokens) {
		ofd_free(p, ofd);
		return;
	}
	/*
	 * The last descriptor is gone, so its registrations are (epoll(7)); but the kernel means the last of all processes. Where
	 * another may have one, events can still come, until the epoll itself is closed.
	 */
	for (u32 k = o->tokens, next; k && !o->elsewhere; k = next) {
		next = p->tokens[k - 1].next;
		mm_token_drop(p, &p->tokens[k - 1]);
	}
}

void mm_fd_copy(struct mm_proc *p, u64 from, u64 to)
{
	if (from >= MM_FD_CAP || to >= MM_FD_CAP || from == to)
		return;
	mm_fd_drop(p, to);
	if (p->fds[from].klass == MM_FD_NONE)
		return;
	p->fds[to] = p->fds[from];
	p->ofds[p->fds[to].ofd].refs++;
	if (to >= p->fd_top)
		p->fd_top = to + 1;
}

/* Puts a placeholder at a follower's number; for a directory or file one of its own kind, where it can be found by `path`. */
int mm_hold(struct mm_thread *t, u64 fd, int cloexec, const char *path)
{
	struct mm_proc *p = t->proc;
	long from = mm_own(p, MM_FD_HOLDER), mine = -1, r;

	if (mm_is_leader(p))
		return 0;
	if (path && path[0]) {
		u64 flags = O_PATH | O_CLOEXEC | (t->call.x[2] & (O_NOFOLLOW | O_DIRECTORY));

		mine = mm_sys4(__NR_openat, (s32)t->call.x[0], path, flags, 0);
		if (mine >= 0)
			from = mine;
	}
	if ((u64)from == fd) /* the very number: keep it */
		return cloexec || mm_sys3(__NR_fcntl, fd, F_SETFD, 0) == 0 ? (int)fd : -EBADF;
	r = mm_sys3(__NR_dup3, from, fd, cloexec ? O_CLOEXEC : 0);
	if (mine >= 0)
		mm_sys1(__NR_close, mine);
	return (int)r;
}

/* epoll registrations */

u64 mm_token_data(const struct mm_proc *p, const struct mm_token *k)
{
	return (u64)(k - p->tokens) | (u64)k->generation << 32;
}

struct mm_token *mm_token_of(struct mm_proc *p, u64 data)
{
	u32 i = (u32)data;

	if (i >= p->token_top || !p->tokens[i].live || p->tokens[i].generation != data >> 32)
		return NULL;
	return &p->tokens[i];
}

/* The table is full: of the registrations whose descriptions are closed here, one that was made long ago goes. */
static u32 token_give_up(struct mm_proc *p)
{
	for (u32 n = 0; n < MM_TOKEN_CAP; n++) {
		struct mm_token *k = &p->tokens[p->token_old++ % MM_TOKEN_CAP];

		if (k->live && !p->ofds[k->ofd].refs) {
			mm_token_drop(p, k);
			return p->token_free;
		}
	}
	return 0;
}

u64 mm_token_add(struct mm_thread *t, u64 epfd, u64 fd, u64 data)
{
	struct mm_proc *p = t->proc;
	struct mm_token *k;
	u32 i = p->token_free;

	if (!i && p->token_top == MM_TOKEN_CAP)
		i = token_give_up(p);
	if (i)
		p->token_free = p->tokens[--i].next;
	else if (p->token_top == MM_TOKEN_CAP)
		mm_give_up(t, -ENOSPC, "the program made too many epoll registrations");
	else
		i = p->token_top++;
	k = &p->tokens[i];
	k->data = data;
	k->epoll = p->fds[epfd].ofd;
	k->fd = fd;
	k->ofd = p->fds[fd].ofd;
	k->generation++;
	k->live = 1;
	k->next = p->ofds[k->ofd].tokens;
	p->ofds[k->ofd].tokens = i + 1;
	return mm_token_data(p, k);
}

struct mm_token *mm_token_find(struct mm_proc *p, u64 epfd, u64 fd)
{
	struct mm_fd *e = mm_fd(p, epfd), *f = mm_fd(p, fd);

	if (!e || !f)
		return NULL;
	for (u32 i = p->ofds[f->ofd].tokens; i; i = p->tokens[i - 1].next)
		if (p->tokens[i - 1].epoll == e->ofd && p->tokens[i - 1].fd == fd)
			return &p->tokens[i - 1];
	if (p->ofds[f->ofd].elsewhere) /* a description that was closed here and has come back by a message */
		for (u32 i = 0; i < p->token_top; i++) {
			struct mm_token *k = &p->tokens[i];

			if (k->live && k->epoll == e->ofd && k->fd == fd && !p->ofds[k->ofd].refs)
				return k;
		}
	return NULL;
}

void mm_token_drop(struct mm_proc *p, struct mm_token *k)
{
	u32 *link = &p->ofds[k->ofd].tokens;
	u32 i = k - p->tokens + 1;

	while (*link && *link != i)
		link = &p->tokens[*link - 1].next;
	if (*link)
		*link = k->next;
	k->live = 0;
	k->next = p->token_free;
	p->token_free = i;
	if (!p->ofds[k->ofd].refs && !p->ofds[k->ofd].tokens)
		ofd_free(p, k->ofd);
}

/* Which flags argument holds the close-on-exec bit. */
static int wants_cloexec(const struct mm_call *c)
{
	switch (c->nr) {
	case MM_NR_openat:
		return (c->a[2] & CLOEXEC) != 0;
	case MM_NR_socket:
	case MM_NR_socketpair:
		return (c->a[1] & CLOEXEC) != 0;
	case MM_NR_accept4:
	case MM_NR_signalfd4:
		return (c->a[3] & CLOEXEC) != 0;
	case MM_NR_pipe2:
	case MM_NR_eventfd2:
	case MM_NR_timerfd_create:
		return (c->a[1] & CLOEXEC) != 0;
	case MM_NR_epoll_create1:
	case MM_NR_inotify_init1:
		return (c->a[0] & CLOEXEC) != 0;
	case MM_NR_pidfd_open:
		return 1;
	}
	return 0;
}

static int kind_of(const struct mm_call *c)
{
	switch (c->nr) {
	case MM_NR_socket:
	case MM_NR_socketpair:
	case MM_NR_accept4:
		return MM_KIND_SOCKET;
	case MM_NR_epoll_create1:
	case MM_NR_epoll_create:
		return MM_KIND_EPOLL;
	case MM_NR_pipe2:
		return MM_KIND_PIPE;
	}
	return MM_KIND_OTHER;
}

/* The family of the socket that is a call's first argument; 0 where that is not known: it was inherited, or received. */
u32 mm_socket_family(struct mm_thread *t)
{
	const struct mm_fd *f = mm_fd(t->proc, (u32)t->call.a[0]);

	return f && f->kind == MM_KIND_SOCKET ? t->proc->ofds[f->ofd].family : 0;
}

static u32 family_made(struct mm_thread *t)
{
	const struct mm_call *c = &t->call;

	if (c->nr == MM_NR_socket || c->nr == MM_NR_socketpair)
		return (u32)c->a[0] < 256 ? (u32)c->a[0] : 0;
	return c->nr == MM_NR_accept4 ? mm_socket_family(t) : 0;
}

static void made_by_leader(struct mm_thread *t, u64 fd)
{
	mm_fd_make(t, fd, MM_FD_LEADER, kind_of(&t->call));
	t->proc->ofds[t->proc->fds[fd].ofd].family = (u8)family_made(t);
	if (mm_hold(t, fd, wants_cloexec(&t->call), NULL) < 0)
		mm_diverge(t, MM_WHY_TAKEN);
}

static void close_some(struct mm_proc *p, u32 first, u32 last)
{
	for (u32 fd = first; fd <= last && fd < p->fd_top; fd++)
		mm_fd_drop(p, fd);
}

/* What a call did to the tables; in a follower also to its placeholders. */
void mm_effect(struct mm_thread *t, s64 ret)
{
	struct mm_proc *p = t->proc;
	struct mm_call *c = &t->call;
	s32 pair[2];

	if (c->refuse)
		return;
	switch (c->nr) {
	case MM_NR_close:
		if (ret != -EBADF)
			mm_fd_drop(p, (u32)c->a[0]);
		return;
	case MM_NR_close_range:
		if (ret == 0 && !(c->a[2] & 4)) /* CLOSE_RANGE_CLOEXEC */
			close_some(p, (u32)c->a[0], (u32)c->a[1]);
		return;
	case MM_NR_dup:
	case MM_NR_dup2:
	case MM_NR_dup3:
		if (ret >= 0)
			mm_fd_copy(p, (u32)c->a[0], ret);
		return;
	case MM_NR_fcntl:
		if (ret >= 0 && ((u32)c->a[1] == F_DUPFD || (u32)c->a[1] == F_DUPFD_CLOEXEC))
			mm_fd_copy(p, (u32)c->a[0], ret);
		break;
	case MM_NR_memfd_create:
		if (ret >= 0)
			mm_fd_make(t, ret, MM_FD_OWN, MM_KIND_FILE);
		return;
	case MM_NR_signalfd4:
		if (ret >= 0 && (s32)c->a[0] < 0)
			made_by_leader(t, ret);
		return;
	case MM_NR_pipe2:
	case MM_NR_socketpair:
		if (ret == 0 && mm_in(t, pair, c->a[c->nr == MM_NR_pipe2 ? 0 : 3], 8) == 8) {
			made_by_leader(t, (u32)pair[0]);
			made_by_leader(t, (u32)pair[1]);
		}
		return;
	case MM_NR_openat:
		if (ret >= 0)
			mm_follow_open(t, ret);
		return;
	}
	if (c->row->klass == MM_C_SPECIAL)
		mm_effect_special(t, ret);
	if (c->row->flags & MM_F_MAKES && ret >= 0)
		made_by_leader(t, ret);
	if (c->row->klass == MM_C_BYPATH && c->made == MM_FD_OWN && !mm_is_leader(p))
		mm_repeat_by_path(t, ret);
}
