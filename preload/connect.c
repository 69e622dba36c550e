/* SPDX-License-Identifier: Apache-2.0 */
/* The start protocol (include/monmod/start.h) as the library speaks it. */
#include "boot.h"
#include "monitor.h"
#include <linux/errno.h>
#include <linux/fcntl.h>
#include <linux/mman.h>

struct header {
	u64 name;
	u32 name_bytes, pad;
	u64 iov, iov_count;
	u64 control, control_bytes;
	u32 flags, pad2;
};

struct rights {
	u64 bytes;
	s32 level, type;
	s32 fd[MM_START_FDS];
};

void mm_boot_connect(struct mm_boot *b, const char *path)
{
	struct {
		u16 family;
		char path[108];
	} address = {.family = 1};
	static const u8 none[MM_TOKEN_BYTES];
	int by_hand = !memcmp(b->token, none, sizeof(none));
	u64 n = strlen(path);
	s64 r;

	if (n >= sizeof(address.path))
		mm_boot_fail(b, 70, 0, "the path of the supervisor's socket is too long:", path);
	memcpy(address.path, path, n);
	r = mm_sys3(__NR_socket, 1, 5 | O_CLOEXEC /* SOCK_SEQPACKET */, 0);
	if (r < 0)
		mm_boot_fail(b, 70, r, "making a socket to the supervisor:", "refused");
	s64 socket = r;

	r = mm_sys3(__NR_connect, socket, &address, 3 + n);
	if (r < 0)
		mm_boot_fail(b, 70, r,
			     by_hand ? "no supervisor answers for this variant; start `monmod supervise` with the same ID and "
				       "group file, as the same user, and then the program:"
				     : "the container's supervisor does not answer; its log and `monmod events` say why:",
			     path);
	b->socket = (int)socket;
}

static void say(struct mm_boot *b, u32 type, const void *body, u32 bytes, int fd)
{
	struct mm_msg head = {MM_MSG_MAGIC, MM_ABI_VERSION, (u16)type, bytes, 0};
	u64 iov[4] = {(u64)&head, sizeof(head), (u64)body, bytes};
	struct rights rights = {20, 1, 1, {fd}};
	struct header h = {.iov = (u64)iov, .iov_count = 2, .control = fd < 0 ? 0 : (u64)&rights, .control_bytes = fd < 0 ? 0 : 24};
	s64 r = mm_sys3(__NR_sendmsg, b->socket, &h, 0x4000);

	if (r < 0)
		mm_sys1(__NR_exit_group, MM_EXIT_DIVERGED); /* nobody to tell */
}

/* In the place of a message of the start the supervisor may refuse it: an exit code and, where nobody else would, why. */
struct refusal {
	struct mm_msg_fatal fatal;
	char text[512];
};

static void __attribute__((noreturn)) refused(const struct refusal *r, u64 bytes)
{
	if (bytes > sizeof(r->fatal)) {
		mm_sys3(__NR_write, 2, "monmod: ", 8);
		mm_sys3(__NR_write, 2, r->text, bytes - sizeof(r->fatal));
		mm_sys3(__NR_write, 2, "\n", 1);
	}
	for (;;)
		mm_sys1(__NR_exit_group, r->fatal.exit_code);
}

/* A message of one type, of exactly `bytes`, with `fds` descriptors. Anything else ends the start. */
static void hear(struct mm_boot *b, u32 type, void *body, u32 bytes, int *fds, u32 *count)
{
	struct mm_msg head;
	struct refusal no = {0};
	u64 iov[4] = {(u64)&head, sizeof(head), (u64)&no, sizeof(no)};
	struct rights rights = {0};
	struct header h = {.iov = (u64)iov, .iov_count = 2, .control = (u64)&rights, .control_bytes = sizeof(rights)};
	s64 r;

	_Static_assert(sizeof(no) >= sizeof(struct mm_msg_start), "room for every message of the start");
	do
		r = mm_sys3(__NR_recvmsg, b->socket, &h, 0x40000000 /* MSG_CMSG_CLOEXEC */);
	while (r == -EINTR);
	if (r <= 0) /* the supervisor has gone */
		mm_sys1(__NR_exit_group, MM_EXIT_DIVERGED);
	if (r >= (s64)(sizeof(head) + sizeof(no.fatal)) && head.magic == MM_MSG_MAGIC && head.version == MM_ABI_VERSION &&
	    head.type == MM_MSG_FATAL)
		refused(&no, r - sizeof(head));
	if (r != (s64)(sizeof(head) + bytes) || head.magic != MM_MSG_MAGIC || head.version != MM_ABI_VERSION || head.type != type)
		mm_boot_fail(b, 70, 0, "the supervisor's message is not of this version of the library;",
			     "install monmod and libmonmod.so together");
	memcpy(body, &no, bytes);
	*count = h.control_bytes >= 20 && rights.type == 1 ? (u32)(rights.bytes - 16) / 4 : 0;
	if (*count > MM_START_FDS)
		*count = 0;
	memcpy(fds, rights.fd, *count * 4);
}

/* The state that this variant was started with, as sections in a memory object. */

static void section(int fd, u32 tag, const void *bytes, u64 n)
{
	struct mm_section s = {tag, (u32)n};
	u64 zero = 0;

	mm_sys3(__NR_write, fd, &s, sizeof(s));
	for (u64 done = 0; done < n;) {
		s64 r = mm_sys3(__NR_write, fd, (const u8 *)bytes + done, n - done);

		if (r <= 0)
			return;
		done += r;
	}
	mm_sys3(__NR_write, fd, &zero, MM_UP(n, 8) - n);
}

static int is_ours(const char *s)
{
	return !memcmp(s, "MONMOD_", 7);
}

static void strings(int fd, u32 tag, char **list, u64 count)
{
	u64 total = 0, zero = 0;
	struct mm_section s = {tag, 0};

	for (u64 i = 0; i < count; i++)
		if (tag != MM_SEC_ENVP || !is_ours(list[i]))
			total += strlen(list[i]) + 1;
	s.bytes = (u32)total;
	mm_sys3(__NR_write, fd, &s, sizeof(s));
	for (u64 i = 0; i < count; i++)
		if (tag != MM_SEC_ENVP || !is_ours(list[i]))
			mm_sys3(__NR_write, fd, list[i], strlen(list[i]) + 1);
	mm_sys3(__NR_write, fd, &zero, MM_UP(total, 8) - total);
}

u64 mm_boot_auxv(const struct mm_boot *b, u64 key)
{
	for (u64 i = 0; b->auxv[i][0]; i++)
		if (b->auxv[i][0] == key)
			return b->auxv[i][1];
	return 0;
}

#define FDS_LOOKED_AT 4096u

static void open_fds(struct mm_boot *b, int to)
{
	struct {
		s32 fd;
		u16 events, revents;
	} polls[FDS_LOOKED_AT];
	struct mm_fd_entry entries[256];
	u64 limit[2];
	u32 n = 0;

	mm_sys4(__NR_prlimit64, 0, 7 /* RLIMIT_NOFILE */, 0, limit);
	u32 max = MM_MIN(limit[0], FDS_LOOKED_AT);

	for (u32 i = 0; i < max; i++) {
		polls[i].fd = i;
		polls[i].events = polls[i].revents = 0;
	}
	mm_sys3(__NR_poll, polls, max, 0);
	for (u32 i = 0; i < max && n < 256; i++) {
		u64 st[18];

		if (polls[i].revents & 32 /* POLLNVAL */ || (int)i == b->socket || (int)i == to)
			continue;
		mm_sys2(__NR_fstat, i, st);
		u32 mode = (u32)st[3] & 0170000;
		u32 kind = mode == 0100000   ? MM_KIND_FILE
			   : mode == 0040000 ? MM_KIND_DIR
			   : mode == 0140000 ? MM_KIND_SOCKET
			   : mode == 0010000 ? MM_KIND_PIPE
					     : MM_KIND_OTHER;

		entries[n++] = (struct mm_fd_entry){i, (u32)mm_sys2(__NR_fcntl, i, F_GETFD) & 1, 0, kind};
	}
	section(to, MM_SEC_FDS, entries, n * sizeof(entries[0]));
}

void mm_boot_hello(struct mm_boot *b)
{
	struct mm_msg_hello hello = {.pid = (u32)mm_sys0(__NR_getpid)};
	struct mm_process_state state = {0};
	u64 limits[32];
	u32 ids[6], groups[256];
	char cwd[4096];
	s64 n, fd = mm_sys2(__NR_memfd_create, "monmod-state", 3 /* MFD_CLOEXEC, MFD_ALLOW_SEALING */);
	u64 envc = 0;
	u32 count;

	if (fd < 0)
		mm_boot_fail(b, 70, fd, "making a memory object for the start state:", "memfd_create refused (seccomp profile?)");
	strings((int)fd, MM_SEC_ARGV, b->program, b->program_count);
	while (b->envp[envc])
		envc++;
	strings((int)fd, MM_SEC_ENVP, b->envp, envc);
	section((int)fd, MM_SEC_PROGRAM, b->program[0], strlen(b->program[0]));
	n = mm_sys2(__NR_getcwd, cwd, sizeof(cwd));
	if (n > 0)
		section((int)fd, MM_SEC_CWD, cwd, n - 1);
	open_fds(b, (int)fd);
	for (int i = 0; i < 16; i++)
		mm_sys4(__NR_prlimit64, 0, i, 0, limits + 2 * i);
	section((int)fd, MM_SEC_LIMITS, limits, sizeof(limits));
	mm_sys3(__NR_getresuid, ids, ids + 1, ids + 2);
	mm_sys3(__NR_getresgid, ids + 3, ids + 4, ids + 5);
	section((int)fd, MM_SEC_IDS, ids, sizeof(ids));
	n = mm_sys2(__NR_getgroups, 256, groups);
	section((int)fd, MM_SEC_GROUPS, groups, n > 0 ? n * 4 : 0);
	state.umask = (u32)mm_sys1(__NR_umask, 022);
	mm_sys1(__NR_umask, state.umask);
	state.personality = (u32)mm_sys1(__NR_personality, 0xffffffff);
	state.hwcap = mm_boot_auxv(b, 16);
	state.hwcap2 = mm_boot_auxv(b, 26);
	for (int s = 1; s <= 64; s++) {
		struct mm_sigaction act = {0};

		if (mm_sys4(__NR_rt_sigaction, s, 0, &act, 8) == 0 && act.handler == 1)
			state.ignored |= 1ul << (s - 1);
	}
	mm_sys4(__NR_rt_sigprocmask, 0, 0, &state.blocked, 8);
	section((int)fd, MM_SEC_PROCESS, &state, sizeof(state));
	section((int)fd, MM_SEC_END, NULL, 0);
	mm_sys3(__NR_fcntl, fd, 1033 /* F_ADD_SEALS */, 15 /* nothing changes any more */);
	memcpy(hello.token, b->token, sizeof(hello.token));
	say(b, MM_MSG_HELLO, &hello, sizeof(hello), (int)fd);
	mm_sys1(__NR_close, fd);

	hear(b, MM_MSG_START, &b->start, sizeof(b->start), b->fds, &count);
	const struct mm_msg_start *s = &b->start;

	b->arming = -1;
	if (s->flags & MM_START_KMOD && count > 5)
		b->arming = b->fds[--count];
	if ((s->flags & MM_START_KMOD && b->arming < 0) || (s->role != MM_LEADER && s->role != MM_FOLLOWER) ||
	    s->followers > MM_MAX_FOLLOWERS || s->slot >= MM_MAX_FOLLOWERS || s->ring_size < MM_RING_MIN ||
	    s->ring_size > MM_RING_MAX || s->ring_size & (s->ring_size - 1) ||
	    count != (s->role == MM_LEADER ? 4 + s->followers : 5))
		mm_boot_fail(b, 70, 0, "the supervisor's start message makes no sense;",
			     "install monmod and libmonmod.so together");
	u64 st[18];

	if (mm_sys2(__NR_fstat, b->fds[0], st) < 0 || st[6] < 16 || st[6] > 64ul << 20)
		mm_boot_fail(b, 70, 0, "the start state is missing or too large;", "check the size of the environment");
	b->blob_bytes = st[6];
	n = mm_sys6(__NR_mmap, 0, b->blob_bytes, PROT_READ, MAP_PRIVATE, b->fds[0], 0);
	if (mm_failed(n))
		mm_boot_fail(b, 70, n, "mapping the start state:", "refused");
	b->blob = (const u8 *)n;
	mm_sys1(__NR_close, b->fds[0]);
	b->fd_count = count - 1;
	memmove(b->fds, b->fds + 1, b->fd_count * sizeof(b->fds[0]));
}

const void *mm_boot_section(const struct mm_boot *b, u32 tag, u64 *bytes)
{
	u64 at = 0;

	*bytes = 0;
	while (at + sizeof(struct mm_section) <= b->blob_bytes) {
		const struct mm_section *s = (const struct mm_section *)(b->blob + at);

		if (s->tag == MM_SEC_END || MM_UP((u64)s->bytes, 8) > b->blob_bytes - at - sizeof(*s))
			return NULL;
		if (s->tag == tag) {
			*bytes = s->bytes;
			return s + 1;
		}
		at += sizeof(*s) + MM_UP((u64)s->bytes, 8);
	}
	return NULL;
}

/* Our own memory is mapped: it can be sealed now. What the others write comes in return. */
void mm_boot_mapped(struct mm_boot *b)
{
	struct mm_proc *p = b->proc;
	int fds[MM_START_FDS];
	u32 count;
	u64 ring = p->ring_size;

	if (mm_is_leader(p)) {
		mm_boot_map(b, (u64)p->stream, MM_PAGE, b->fds[1], 1, 0);
		mm_boot_map(b, (u64)p->ring, ring, b->fds[1], 1, MM_PAGE);
		mm_boot_map(b, (u64)p->ring + ring, ring, b->fds[1], 1, MM_PAGE);
	} else {
		mm_boot_map(b, (u64)p->mine, MM_PAGE, b->fds[1], 1, 0);
	}
	say(b, MM_MSG_MAPPED, NULL, 0, -1);
	hear(b, MM_MSG_ARENA, NULL, 0, fds, &count);
	if (count != (mm_is_leader(p) ? p->followers : 1))
		mm_boot_fail(b, 70, 0, "the supervisor's arena message makes no sense;",
			     "install monmod and libmonmod.so together");
	if (mm_is_leader(p)) {
		for (u32 i = 0; i < count; i++)
			mm_boot_map(b, (u64)p->index[i], MM_PAGE, fds[i], 0, 0);
	} else {
		mm_boot_map(b, (u64)p->stream, MM_PAGE, fds[0], 0, 0);
		mm_boot_map(b, (u64)p->ring, ring, fds[0], 0, MM_PAGE);
		mm_boot_map(b, (u64)p->ring + ring, ring, fds[0], 0, MM_PAGE);
	}
	for (u32 i = 0; i < count; i++)
		mm_sys1(__NR_close, fds[i]);
	mm_sys1(__NR_close, b->fds[0]);
	mm_sys1(__NR_close, b->fds[1]);
}

void mm_boot_ready(struct mm_boot *b)
{
	int fds[MM_START_FDS];
	u32 count;

	say(b, MM_MSG_READY, NULL, 0, -1);
	hear(b, MM_MSG_GO, NULL, 0, fds, &count);
}
