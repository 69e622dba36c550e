/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The constructor of the preload mode (LD_PRELOAD=libmonmod.so MONMOD_ID=… MONMOD_CONFIG=… program): runs the same program
 * again in executable mode, so that there is one mode to get right. Without both variables it does nothing.
 */
#include "monitor.h"
#include "siphash.h"
#include <linux/errno.h>
#include <linux/fcntl.h>

#define ROOM 65536u

static void say(const char *what)
{
	mm_sys3(__NR_write, 2, "monmod: ", 8);
	mm_sys3(__NR_write, 2, what, strlen(what));
	mm_sys3(__NR_write, 2, "\n", 1);
}

static s64 slurp(const char *path, char *to, u64 room)
{
	s64 fd = mm_sys3(__NR_open, path, O_RDONLY | O_CLOEXEC, 0), n = 0, r;

	if (fd < 0)
		return fd;
	while ((r = mm_sys3(__NR_read, fd, to + n, room - n - 1)) > 0)
		n += r;
	mm_sys1(__NR_close, fd);
	to[n] = 0;
	return n;
}

static const char *variable(const char *env, s64 bytes, const char *name)
{
	u64 n = strlen(name);

	for (const char *s = env; s < env + bytes; s += strlen(s) + 1)
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
static void socket_path(const char *env, s64 bytes, const char *config, const char *id, char *to)
{
	static const char digits[] = "0123456789abcdef";
	const char *dir = variable(env, bytes, "XDG_RUNTIME_DIR");
	const u64 key[2] = {0, 0};
	struct mm_sip sip;
	u8 digest[16];
	u64 n;

	if (mm_sys0(__NR_geteuid) == 0 || !dir)
		dir = "/run";
	mm_sip_init(&sip, key);
	mm_sip_add(&sip, config, strlen(config) + 1);
	mm_sip_add(&sip, id, strlen(id));
	mm_sip_end(&sip, digest);
	n = MM_MIN(strlen(dir), 60);
	memcpy(to, dir, n);
	memcpy(to + n, "/monmod/", 8);
	n += 8;
	for (int i = 0; i < 16; i++) {
		to[n++] = digits[digest[i] >> 4];
		to[n++] = digits[digest[i] & 15];
	}
	memcpy(to + n, ".sock", 6);
}

__attribute__((visibility("hidden"))) void mm_preload_main(void)
{
	char env[ROOM], text[ROOM], library[4096], program[4096], config[4096], socket[160];
	char *argv[512], *envp[1024];
	s64 bytes = slurp("/proc/self/environ", env, sizeof(env)), n, fd;
	const char *id, *file;
	u64 k = 0, e = 0;

	if (bytes <= 0)
		return;
	id = variable(env, bytes, "MONMOD_ID");
	file = variable(env, bytes, "MONMOD_CONFIG");
	if (!id || !file)
		return;
	fd = mm_sys3(__NR_open, file, O_PATH | O_CLOEXEC, 0);
	if (fd < 0) {
		say("MONMOD_CONFIG names a file that cannot be opened; give the group file's path");
		mm_sys1(__NR_exit_group, 78);
	}
	char link[MM_FD_LINK];

	mm_fd_link(link, fd);
	n = mm_sys4(__NR_readlinkat, MM_AT_FDCWD, link, config, sizeof(config) - 1);
	config[n > 0 ? n : 0] = 0;
	mm_sys1(__NR_close, fd);
	n = mm_sys4(__NR_readlinkat, MM_AT_FDCWD, "/proc/self/exe", program, sizeof(program) - 1);
	program[n > 0 ? n : 0] = 0;
	slurp("/proc/self/maps", text, sizeof(text));
	if (!own_file(text, library) || n <= 0) {
		say("the library could not find its own file or the program's; is /proc mounted?");
		mm_sys1(__NR_exit_group, 70);
	}
	socket_path(env, bytes, config, id, socket);
	argv[k++] = library;
	argv[k++] = "--socket";
	argv[k++] = socket;
	argv[k++] = "--";
	argv[k++] = program;
	n = slurp("/proc/self/cmdline", text, sizeof(text));
	for (char *s = text + strlen(text) + 1; s < text + n && k < 511; s += strlen(s) + 1)
		argv[k++] = s;
	argv[k] = NULL;
	for (char *s = env; s < env + bytes && e < 1023; s += strlen(s) + 1)
		if (memcmp(s, "LD_PRELOAD=", 11))
			envp[e++] = s;
	envp[e] = NULL;
	n = mm_sys3(__NR_execve, library, argv, envp);
	say("the library could not be executed (is its file executable, and not on a noexec mount?)");
	mm_sys1(__NR_exit_group, 70);
}
