/* Behaves in one way per name, for the tests of what `monmod run` does about it. Usage: behave HOW [ARGUMENT]. */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

/* What must never run unchecked shows itself by this file. */
static void mark(const char *path)
{
	int fd = open(path, O_CREAT | O_WRONLY, 0600);
	if (fd < 0) {
		perror(path);
		exit(1);
	}
	close(fd);
}

static void *mark_in_thread(void *path)
{
	mark(path);
	return NULL;
}

static int run_fork(char *path)
{
	pid_t pid = fork();
	if (pid == 0) {
		mark(path);
		_exit(0);
	}
	return pid < 0 || waitpid(pid, NULL, 0) != pid;
}

static int run_vfork(char *path)
{
	pid_t pid = vfork();
	if (pid == 0) {
		execl("/usr/bin/touch", "touch", path, (char *)0);
		_exit(127);
	}
	return pid < 0 || waitpid(pid, NULL, 0) != pid;
}

static int run_exec(char *path)
{
	execl("/usr/bin/touch", "touch", path, (char *)0);
	return 1;
}

static int run_thread(char *path)
{
	pthread_t t;
	return pthread_create(&t, NULL, mark_in_thread, path) || pthread_join(t, NULL);
}

/* An address where nothing is, hidden from the compiler's own checks. */
static int *volatile nowhere = (int *)16;

/* Dies of a fault, in each variant alike. */
static int run_fault(char *unused)
{
	(void)unused;
	*nowhere = 1;
	return 0;
}

static int run_abort(char *unused)
{
	(void)unused;
	abort();
}

/* Prints its process ID and reads an address from standard input and a byte from there: with an address of one variant it
 * does what an attack does that knows that variant's layout. */
static int run_peek(char *unused)
{
	(void)unused;
	char line[64];
	unsigned long addr;
	printf("%d\n", (int)getpid());
	fflush(stdout);
	if (!fgets(line, sizeof line, stdin) || sscanf(line, "%lx", &addr) != 1)
		return 1;
	printf("byte %d\n", *(volatile unsigned char *)addr);
	return 0;
}

/* Prints its process ID and counts in steps of 20 ms. */
static int run_count(char *upto)
{
	printf("%d\n", (int)getpid());
	for (int i = 1; i <= atoi(upto); i++) {
		usleep(20000);
		printf("%d\n", i);
		fflush(stdout);
	}
	return 0;
}

/* Copies the descriptor to standard output. */
static int run_descriptor(char *number)
{
	char block[256];
	ssize_t n;
	while ((n = read(atoi(number), block, sizeof block)) > 0)
		if (write(1, block, n) != n)
			return 1;
	return n < 0 ? errno : 0;
}

static int run_streams(char *unused)
{
	(void)unused;
	puts("to stdout");
	fputs("to stderr\n", stderr);
	return 0;
}

static int run_kill(char *number)
{
	fflush(stdout);
	kill(getpid(), atoi(number));
	return 99;
}

static int run_exit(char *code)
{
	return atoi(code);
}

static const struct {
	const char *name;
	int (*run)(char *);
} behaviours[] = {
	{ "fork", run_fork },	  { "vfork", run_vfork }, { "exec", run_exec },		    { "thread", run_thread },
	{ "fault", run_fault },	  { "abort", run_abort }, { "peek", run_peek },		    { "count", run_count },
	{ "kill", run_kill },	  { "exit", run_exit },	  { "descriptor", run_descriptor }, { "streams", run_streams },
};

int main(int argc, char **argv)
{
	for (size_t i = 0; argc > 1 && i < sizeof behaviours / sizeof *behaviours; i++)
		if (strcmp(argv[1], behaviours[i].name) == 0)
			return behaviours[i].run(argc > 2 ? argv[2] : "");
	fprintf(stderr, "usage: %s HOW [ARGUMENT]\n", argv[0]);
	return 64;
}
