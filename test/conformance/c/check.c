/* The runner that every conformance program is linked with: finds cases, prints steps. */
#include "check.h"

#include <fcntl.h>
#include <limits.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <time.h>

extern const struct test_case *const __start_test_cases[];
extern const struct test_case *const __stop_test_cases[];

static const char *current = "-";

static const struct {
	int number;
	const char *name;
} errors[] = {
#define E(x) { x, #x }
	E(EPERM), E(ENOENT), E(ESRCH), E(EINTR), E(EIO), E(ENXIO), E(E2BIG), E(ENOEXEC), E(EBADF), E(ECHILD),
	E(EAGAIN), E(ENOMEM), E(EACCES), E(EFAULT), E(ENOTBLK), E(EBUSY), E(EEXIST), E(EXDEV), E(ENODEV),
	E(ENOTDIR), E(EISDIR), E(EINVAL), E(ENFILE), E(EMFILE), E(ENOTTY), E(ETXTBSY), E(EFBIG), E(ENOSPC),
	E(ESPIPE), E(EROFS), E(EMLINK), E(EPIPE), E(EDOM), E(ERANGE), E(EDEADLK), E(ENAMETOOLONG), E(ENOLCK),
	E(ENOSYS), E(ENOTEMPTY), E(ELOOP), E(ENODATA), E(ETIME), E(EPROTO), E(EBADMSG), E(EOVERFLOW),
	E(EILSEQ), E(EUSERS), E(ENOTSOCK), E(EDESTADDRREQ), E(EMSGSIZE), E(EPROTOTYPE), E(ENOPROTOOPT),
	E(EPROTONOSUPPORT), E(ESOCKTNOSUPPORT), E(EOPNOTSUPP), E(EPFNOSUPPORT), E(EAFNOSUPPORT),
	E(EADDRINUSE), E(EADDRNOTAVAIL), E(ENETDOWN), E(ENETUNREACH), E(ENETRESET), E(ECONNABORTED),
	E(ECONNRESET), E(ENOBUFS), E(EISCONN), E(ENOTCONN), E(ESHUTDOWN), E(ETOOMANYREFS), E(ETIMEDOUT),
	E(ECONNREFUSED), E(EHOSTDOWN), E(EHOSTUNREACH), E(EALREADY), E(EINPROGRESS), E(ESTALE), E(EDQUOT),
	E(ECANCELED), E(EOWNERDEAD), E(ENOTRECOVERABLE), E(EIDRM), E(ENOMSG),
#undef E
};

const char *errno_name(int number)
{
	static char other[24];
	if (number == 0)
		return "OK";
	for (size_t i = 0; i < COUNT(errors); i++)
		if (errors[i].number == number)
			return errors[i].name;
	snprintf(other, sizeof other, "errno%d", number);
	return other;
}

/* emit writes all of a line, past the libc's buffers: a case may end the process at any step. */
static void emit(const char *line, size_t n)
{
	while (n > 0) {
		ssize_t done = write(STDOUT_FILENO, line, n);
		if (done < 0 && errno == EINTR)
			continue;
		if (done <= 0)
			_exit(99);
		line += done;
		n -= (size_t)done;
	}
}

void say(const char *format, ...)
{
	char line[4096];
	int saved = errno;
	int n = snprintf(line, sizeof line, "%s: ", current);
	va_list args;
	va_start(args, format);
	n += vsnprintf(line + n, sizeof line - (size_t)n - 1, format, args);
	va_end(args);
	if (n > (int)sizeof line - 2)
		n = (int)sizeof line - 2;
	line[n++] = '\n';
	emit(line, (size_t)n);
	errno = saved;
}

void print_result(const char *text, long result, int masked)
{
	if (result == -1 && errno != 0)
		say("%s = -1 %s", text, errno_name(errno));
	else if (masked)
		say("%s = %s", text, result < 0 ? "negative" : "ok");
	else
		say("%s = %ld", text, result);
}

void print_expected(const char *text, long result, const char *names)
{
	say("%s = %s want %s", text, result == -1 ? errno_name(errno) : "allowed", names);
}

void show(const char *what, const void *data, long n)
{
	const unsigned char *p = data;
	char out[1024];
	size_t at = 0;
	for (long i = 0; i < n && at < sizeof out - 32;) {
		long same = 1;
		while (i + same < n && p[i + same] == p[i])
			same++;
		if (same < 8)
			same = 1;
		if (p[i] >= ' ' && p[i] < 127 && p[i] != '\\')
			at += (size_t)snprintf(out + at, sizeof out - at, "%c", p[i]);
		else
			at += (size_t)snprintf(out + at, sizeof out - at, "\\x%02x", p[i]);
		if (same > 1)
			at += (size_t)snprintf(out + at, sizeof out - at, "{%ld}", same);
		i += same;
	}
	say("%s \"%.*s\"", what, (int)at, out);
}

char *edge(size_t n)
{
	size_t page = (size_t)sysconf(_SC_PAGESIZE);
	size_t room = (n + page - 1) / page * page;
	char *p = mmap(NULL, room + page, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (p == MAP_FAILED || mprotect(p + room, page, PROT_NONE) != 0) {
		say("edge(%zu) has no memory", n);
		_exit(99);
	}
	return p + room - n;
}

char *frozen(size_t n, char c)
{
	size_t page = (size_t)sysconf(_SC_PAGESIZE);
	size_t room = (n + page - 1) / page * page;
	char *p = edge(room);
	memset(p, c, room);
	if (mprotect(p, room, PROT_READ) != 0)
		_exit(99);
	return p;
}

void make_file(const char *path, size_t n)
{
	int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC, 0644);
	char block[26 * 64];
	for (size_t i = 0; i < sizeof block; i++)
		block[i] = (char)('a' + i % 26);
	while (fd >= 0 && n > 0) {
		size_t part = n < sizeof block ? n : sizeof block;
		if (write(fd, block, part) != (ssize_t)part)
			break;
		n -= part;
	}
	if (fd < 0 || n > 0 || close(fd) != 0) {
		say("make_file(%s) failed: %s", path, errno_name(errno));
		_exit(99);
	}
}

int64_t now(void)
{
	struct timespec t;
	clock_gettime(CLOCK_MONOTONIC, &t);
	return (int64_t)t.tv_sec * 1000000000 + t.tv_nsec;
}

static void run(const struct test_case *c)
{
	current = c->name;
	c->run();
	say("end");
}

/* run_all runs the NORMAL cases, each in a folder of its own, closing what a case left open. */
static void run_all(void)
{
	static char home[PATH_MAX];
	if (getcwd(home, sizeof home) == NULL)
		_exit(99);
	for (const struct test_case *const *p = __start_test_cases; p < __stop_test_cases; p++) {
		if ((*p)->kind != NORMAL)
			continue;
		if (mkdir((*p)->name, 0755) != 0 || chdir((*p)->name) != 0) {
			say("cannot enter a folder for %s: %s", (*p)->name, errno_name(errno));
			_exit(99);
		}
		run(*p);
		raw(SYS_close_range, 3, ~0u, 0);
		if (chdir(home) != 0)
			_exit(99);
	}
}

static void list(void)
{
	static const char *const kinds[] = { "normal", "alone", "refused", "ends" };
	for (const struct test_case *const *p = __start_test_cases; p < __stop_test_cases; p++) {
		char line[2048];
		int n = snprintf(line, sizeof line, "%s %s %s\n", (*p)->name, kinds[(*p)->kind], (*p)->calls);
		emit(line, (size_t)n);
	}
}

int main(int argc, char **argv)
{
	if (argc == 2 && strcmp(argv[1], "-l") == 0) {
		list();
		return 0;
	}
	if (argc == 2 && strcmp(argv[1], "all") == 0) {
		run_all();
		return 0;
	}
	for (const struct test_case *const *p = __start_test_cases; argc == 2 && p < __stop_test_cases; p++)
		if (strcmp((*p)->name, argv[1]) == 0) {
			run(*p);
			return 0;
		}
	static const char usage[] = "usage: PROGRAM CASE | all | -l (list: name, kind, calls)\n";
	return write(STDERR_FILENO, usage, sizeof usage - 1) < 0 ? 99 : 64;
}
