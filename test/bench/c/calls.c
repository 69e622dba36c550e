/* Makes one system call over and over, by the bare instruction, and prints how many it made per second.
 * Usage: calls NAME MILLISECONDS FILE, where FILE holds a byte for each call. The time is looked at every so many
 * calls only, so that what it costs to ask for it does not matter. */
#define _GNU_SOURCE
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

enum { ROUND = 500 };

static long raw(long number, long a, long b, long c)
{
	long result;
	__asm__ volatile("syscall" : "=a"(result) : "a"(number), "D"(a), "S"(b), "d"(c) : "rcx", "r11", "memory");
	return result;
}

static long call_getppid(int fd, char *buffer)
{
	(void)fd, (void)buffer;
	return raw(SYS_getppid, 0, 0, 0) >= 0;
}

static long call_zero(int fd, char *buffer)
{
	return raw(SYS_read, fd, (long)buffer, 512) == 512;
}

static long call_file(int fd, char *buffer)
{
	return raw(SYS_read, fd, (long)buffer, 1) == 1;
}

static long call_yield(int fd, char *buffer)
{
	(void)fd, (void)buffer;
	return raw(SYS_sched_yield, 0, 0, 0) == 0;
}

static const struct {
	const char *name, *path;
	long (*call)(int, char *);
} calls[] = {
	{ "getppid", NULL, call_getppid },
	{ "read-zero-512", "/dev/zero", call_zero },
	{ "read-file-1", "FILE", call_file },
	{ "sched_yield", NULL, call_yield },
};

static double now(void)
{
	struct timespec t;
	clock_gettime(CLOCK_MONOTONIC, &t);
	return t.tv_sec + t.tv_nsec / 1e9;
}

int main(int argc, char **argv)
{
	static char buffer[4096];
	for (size_t i = 0; argc == 4 && i < sizeof calls / sizeof *calls; i++) {
		if (strcmp(argv[1], calls[i].name))
			continue;
		const char *path = calls[i].path;
		int fd = !path ? -1 : open(strcmp(path, "FILE") ? path : argv[3], O_RDONLY);
		if (path && fd < 0) {
			perror(argv[3]);
			return 1;
		}
		double start = now(), passed, length = atoi(argv[2]) / 1e3;
		long made = 0;
		do {
			for (int n = 0; n < ROUND; n++)
				if (!calls[i].call(fd, buffer)) {
					fprintf(stderr, "%s: a call failed\n", argv[1]);
					return 1;
				}
			made += ROUND;
			passed = now() - start;
		} while (passed < length);
		printf("%.1f\n", made / passed);
		return 0;
	}
	fprintf(stderr, "usage: %s NAME MILLISECONDS FILE\n", argv[0]);
	return 64;
}
