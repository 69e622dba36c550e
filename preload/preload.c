/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The constructor of the preload mode: runs the same program again in executable mode, so that there is one mode to get right.
 *
 * Under an engine the runtime says where the supervisor is (LD_PRELOAD=libmonmod.so MONMOD_SOCKET=… MONMOD_TOKEN=… program);
 * by hand a group's file does (LD_PRELOAD=libmonmod.so MONMOD_ID=… MONMOD_CONFIG=… program). Without either it does nothing.
 */
#include "boot.h"
#include "monitor.h"
#include "siphash.h"
#include <linux/errno.h>
#include <linux/fcntl.h>
#include <linux/mman.h>

#define RUNTIME_DIR 60u
#define LARGEST (16ul << 20) /* the kernel takes less than 6 MiB of arguments and environment */

struct text {
	char *at;
	u64 bytes;
};

static void __attribute__((noreturn)) give_up(int code, s64 error, const char *doing, const char *what)
{
	mm_boot_say(error, doing, what);
	for (;;)
		mm_sys1(__NR_exit_group, code);
}

static void *room(u64 bytes)
{
	s64 at = mm_sys6(__NR_mmap, 0, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);

	if (mm_failed(at))
		give_up(70, at, "making room for starting the program as a variant:", "raise the limit on address space");
	return (void *)at;
}

/* The whole of a file of /proc, with a NUL behind it. Nothing where it cannot be read. */
static struct text slurp(const char *path)
{
	s64 fd = mm_sys3(__NR_open, path, O_RDONLY | O_CLOEXEC, 0), r;
	struct text t = {0};

	if (fd < 0)
		return t;
	t.at = room(LARGEST);
	while ((r = mm_sys3(__NR_read, fd, t.at + t.bytes, LARGEST - t.bytes - 1)) > 0)
		t.bytes += r;
	mm_sys1(__NR_close, fd);
	return t;
}

static const char *variable(struct text env, const char *name)
{
	u64 n = strlen(name);

	for (const char *s = env.at; s < env.at + env.bytes; s += strlen(s) + 1)
		if (!memcmp(s, name, n) && s[n] == '=')
			return s + n + 1;
	return NULL;
}

/* The file that this code came from: the line of /proc/self/maps that holds this function. */
static int own_file(char *maps, char *path)
{
	for (char *line = maps; *line;) {
		u64 from = 0, to = 0;
		char *s = line, *end;

		for (; *s && *s != '-'; s++)
			from = from * 16 + (*s <= '9' ? *s - '0' : *s - 'a' + 10);
		for (s += *s == '-'; *s && *s != ' '; s++)
			to = to * 16 + (*s <= '9' ? *s - '0' : *s - 'a' + 10);
		for (end = s; *end && *end != '\n'; end++)
			;
		if ((u64)mm_gate >= from && (u64)mm_gate < to) {
			while (s < end && *s != '/')
				s++;
			if (s == end || end - s >= 4096)
				return 0;
			memcpy(path, s, end - s);
			path[end - s] = 0;
			return 1;
		}
		line = *end ? end + 1 : end;
	}
	return 0;
}

/* Where `monmod supervise` listens: see internal/supervisor. */
static void socket_path(struct text env, const char *config, const char *id, char *to)
{
	static const char digits[] = "0123456789abcdef";
	const char *dir = variable(env, "XDG_RUNTIME_DIR");
	const u64 key[2] = {0, 0};
	struct mm_sip sip;
	u8 digest[16];
	u64 n;

	if (mm_sys0(__NR_geteuid) == 0)
		dir = "/run";
	else if (!dir || *dir != '/')
		give_up(78, 0, "XDG_RUNTIME_DIR must name a folder of the user's own, for the supervisor and for the program;",
			dir ? dir : "it is not set");
	mm_sip_init(&sip, key);
	mm_sip_add(&sip, config, strlen(config) + 1);
	mm_sip_add(&sip, id, strlen(id));
	mm_sip_end(&sip, digest);
	n = strlen(dir);
	if (n > RUNTIME_DIR)
		give_up(78, 0,
			"XDG_RUNTIME_DIR is longer than 60 bytes, and a socket's path has to hold it; name a shorter one:", dir);
	memcpy(to, dir, n);
	memcpy(to + n, "/monmod/", 8);
	n += 8;
	for (int i = 0; i < 16; i++) {
		to[n++] = digits[digest[i] >> 4];
		to[n++] = digits[digest[i] & 15];
	}
	memcpy(to + n, ".sock", 6);
}

/* The socket of a group's file; it ends the program where the file is none. */
static void find_socket(struct text env, const char *id, const char *file, char *to)
{
	char config[4096], link[MM_FD_LINK];
	s64 n, fd = mm_sys3(__NR_open, file, O_PATH | O_CLOEXEC, 0);

	if (fd < 0)
		give_up(
		    78, fd,
		    "MONMOD_CONFIG must name the group's file, from / or from the working directory; this cannot be opened:", file);
	mm_fd_link(link, fd);
	n = mm_sys4(__NR_readlinkat, MM_AT_FDCWD, link, config, sizeof(config) - 1);
	config[n > 0 ? n : 0] = 0;
	mm_sys1(__NR_close, fd);
	socket_path(env, config, id, to);
}

static int is_id(const char *s)
{
	u64 n = 0;

	if (*s == '0')
		return 0;
	for (; *s >= '0' && *s <= '9' && n <= 65535; s++)
		n = n * 10 + *s - '0';
	return !*s && n >= 1 && n <= 65535;
}

static int same_file(const char *a, const char *b)
{
	u64 one[18], other[18];

	return mm_sys2(__NR_stat, a, one) == 0 && mm_sys2(__NR_stat, b, other) == 0 && one[0] == other[0] && one[1] == other[1];
}

/*
 * Does a look for this name, as the launcher does it, find the running program? Programs that are many (busybox) go by the
 * name that they were called by, so it is kept where it leads back to them.
 */
static int leads_here(struct text env, const char *name)
{
	const char *dirs = variable(env, "PATH");
	char path[4096];
	u64 n = strlen(name);

	for (const char *s = name; *s; s++)
		if (*s == '/')
			return same_file(name, "/proc/self/exe");
	for (dirs = dirs ? dirs : "/usr/local/bin:/bin:/usr/bin"; *name && *dirs;) {
		u64 k = 0;

		while (dirs[k] && dirs[k] != ':')
			k++;
		if (k + n + 2 < sizeof(path)) {
			u64 d = k ? k : 1;

			memcpy(path, k ? dirs : ".", d);
			path[d] = '/';
			memcpy(path + d + 1, name, n + 1);
			if (mm_sys3(__NR_faccessat, MM_AT_FDCWD, path, 1 /* X_OK */) == 0)
				return same_file(path, "/proc/self/exe");
		}
		dirs += k + (dirs[k] == ':');
	}
	return 0;
}

/* LD_PRELOAD without this library, in place; nothing is left of a list that held nothing else. */
static int keep_others(char *list, const char *library)
{
	char *to = list;

	for (char *s = list; *s;) {
		u64 n = 0;

		while (s[n] && s[n] != ':' && s[n] != ' ')
			n++;
		int ours = n == strlen(library) && !memcmp(s, library, n);

		if (n && !ours) {
			if (to != list)
				*to++ = ':';
			memmove(to, s, n);
			to += n;
		}
		s += n + (s[n] != 0);
	}
	*to = 0;
	return to != list;
}

__attribute__((visibility("hidden"))) void mm_preload_main(void)
{
	struct text env = slurp("/proc/self/environ"), words, maps;
	char library[4096], program[4096], found[160];
	const char *id, *file, *socket, *token;
	u64 k = 0, e = 0;
	s64 n;

	if (!env.bytes)
		return;
	id = variable(env, "MONMOD_ID");
	file = variable(env, "MONMOD_CONFIG");
	socket = variable(env, "MONMOD_SOCKET");
	token = variable(env, "MONMOD_TOKEN");
	if (!socket && !id != !file)
		give_up(78, 0, "of MONMOD_ID and MONMOD_CONFIG one is set and the other is not;", "they belong together");
	if (!socket && !id)
		return;
	if (socket && !token)
		give_up(78, 0, "MONMOD_SOCKET is set and MONMOD_TOKEN is not;", "both are for the runtime to set");
	if (!socket) {
		if (!is_id(id))
			give_up(78, 0, "MONMOD_ID must be the number of a variant, from 1 to 65535; it is:", id);
		find_socket(env, id, file, found);
		socket = found;
	}
	n = mm_sys4(__NR_readlinkat, MM_AT_FDCWD, "/proc/self/exe", program, sizeof(program) - 1);
	program[n > 0 ? n : 0] = 0;
	maps = slurp("/proc/self/maps");
	words = slurp("/proc/self/cmdline");
	if (!maps.bytes || !words.at || !own_file(maps.at, library) || n <= 0)
		give_up(70, 0, "the library could not find its own file or the program's;", "is /proc mounted?");

	char **argv = room((words.bytes + 16) * sizeof(char *)), **envp = room((env.bytes + 16) * sizeof(char *));

	argv[k++] = library;
	argv[k++] = "--socket";
	argv[k++] = (char *)socket;
	if (token) {
		argv[k++] = "--token";
		argv[k++] = (char *)token;
	}
	argv[k++] = "--";
	argv[k++] = words.bytes && leads_here(env, words.at) ? words.at : program;
	for (char *s = words.at + strlen(words.at) + 1; s < words.at + words.bytes; s += strlen(s) + 1)
		argv[k++] = s;
	for (char *s = env.at, *next; s < env.at + env.bytes; s = next) {
		next = s + strlen(s) + 1;
		if (memcmp(s, "LD_PRELOAD=", 11) || keep_others(s + 11, library))
			envp[e++] = s;
	}
	n = mm_sys3(__NR_execve, library, argv, envp);
	give_up(70, n, "executing the library, whose file must be executable and on no noexec mount:", library);
}
