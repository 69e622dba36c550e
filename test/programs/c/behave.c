/* Behaves in one way per name, for the tests of what `monmod run` does about it. Usage: behave HOW [ARGUMENT]. */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netdb.h>
#include <pthread.h>
#include <poll.h>
#include <resolv.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/select.h>
#include <sys/syscall.h>
#include <sys/time.h>
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

/* A call that monmod has no row for. */
static int run_module(char *unused)
{
	(void)unused;
	if (write(1, "before\n", 7) != 7)
		return 1;
	return syscall(SYS_init_module, NULL, 0, "") != -1;
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

static volatile sig_atomic_t came;

static void on_signal(int number)
{
	(void)number;
	came++;
}

static int polled = -1;

/* Waits for ever, or until a handler has run. It makes one call only, at which a signal could be handed over. */
static int wait_by(const char *how)
{
	sigset_t none;

	sigemptyset(&none);
	if (!strcmp(how, "epoll"))
		return epoll_wait(polled, &(struct epoll_event){ 0 }, 1, -1);
	if (!strcmp(how, "poll"))
		return poll(NULL, 0, -1);
	if (!strcmp(how, "ppoll"))
		return ppoll(NULL, 0, NULL, &none);
	if (!strcmp(how, "select"))
		return select(0, NULL, NULL, NULL, NULL);
	if (!strcmp(how, "pselect"))
		return pselect(0, NULL, NULL, NULL, NULL, &none);
	if (!strcmp(how, "sigsuspend"))
		return sigsuspend(&none);
	return pause();
}

/* A signal arrives while the program computes, makes no call, and then waits, but only if no handler has run. */
static int run_early(char *how)
{
	struct sigaction a = { .sa_handler = on_signal };
	struct itimerval soon = { { 0, 0 }, { 0, 1000 } };
	unsigned long start;

	polled = epoll_create1(0);
	sigaction(SIGALRM, &a, NULL);
	setitimer(ITIMER_REAL, &soon, NULL);
	/* some 10 to 30 ms: long behind the signal, and far from the 100 ms after which it would be handed over by force */
	for (start = __builtin_ia32_rdtsc(); __builtin_ia32_rdtsc() - start < 40000000;)
		;
	if (!came && (wait_by(how) != -1 || errno != EINTR))
		return 1;
	printf("%d\n", came);
	return 0;
}

/* Reads a byte, and then waits for a signal that arrives between the two calls: where the second is still being compared. */
static int run_late(char *how)
{
	struct sigaction a = { .sa_handler = on_signal };
	char byte;

	polled = epoll_create1(0);
	sigaction(SIGUSR1, &a, NULL);
	printf("%d\n", (int)getpid());
	fflush(stdout);
	if (read(0, &byte, 1) != 1 || came)
		return 2;
	if (wait_by(how) != -1 || errno != EINTR)
		return 1;
	printf("%d\n", came);
	return 0;
}

/* Counts the real-time signals that it gets from others, until it has as many as it was told, and their values' sum. */
static volatile long sum;

static void on_value(int number, siginfo_t *i, void *context)
{
	(void)context;
	came++;
	sum += number * 10000 + i->si_value.sival_int;
}

static int run_flood(char *many)
{
	struct sigaction a = { .sa_sigaction = on_value, .sa_flags = SA_SIGINFO };

	sigfillset(&a.sa_mask); /* one handler at a time counts */
	for (int i = 0; i < 4; i++)
		sigaction(SIGRTMIN + i, &a, NULL);
	printf("%d\n", (int)getpid());
	fflush(stdout);
	while (came < atoi(many))
		usleep(1000);
	printf("%d %ld\n", came, sum);
	return 0;
}

static volatile int rang;

static void on_ring(int sig)
{
	rang += sig == SIGALRM;
}

/* Computes until a timer of 10 ms has rung so often, and makes no call meanwhile but the ends of its handlers. */
static int run_compute(char *many)
{
	struct itimerval every = { { 0, 10000 }, { 0, 10000 } }, never = { { 0, 0 }, { 0, 0 } };

	signal(SIGALRM, on_ring);
	setitimer(ITIMER_REAL, &every, NULL);
	while (rang < atoi(many))
		;
	setitimer(ITIMER_REAL, &never, NULL);
	puts("rang");
	return 0;
}

/* Asks the name server at a port of loopback for the addresses of a name, both kinds at once. */
static int run_resolve(char *port)
{
	struct addrinfo hints = { .ai_family = AF_UNSPEC, .ai_socktype = SOCK_STREAM }, *found;
	char text[INET6_ADDRSTRLEN];

	res_init();
	_res.nscount = 1;
	_res.nsaddr_list[0].sin_family = AF_INET;
	_res.nsaddr_list[0].sin_port = htons(atoi(port));
	_res.nsaddr_list[0].sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	_res.retrans = 2;
	_res.retry = 1;
	int r = getaddrinfo("host.test.", NULL, &hints, &found);
	if (r) {
		printf("%s\n", gai_strerror(r));
		return 1;
	}
	for (; found; found = found->ai_next)
		if (!getnameinfo(found->ai_addr, found->ai_addrlen, text, sizeof text, NULL, 0, NI_NUMERICHOST))
			puts(text);
	return 0;
}

static const struct {
	const char *name;
	int (*run)(char *);
} behaviours[] = {
	{ "fork", run_fork },	  { "vfork", run_vfork }, { "exec", run_exec },		    { "thread", run_thread },
	{ "fault", run_fault },	  { "abort", run_abort }, { "peek", run_peek },		    { "count", run_count },
	{ "kill", run_kill },	  { "exit", run_exit },	  { "descriptor", run_descriptor }, { "streams", run_streams },
	{ "early", run_early },	  { "late", run_late },	  { "flood", run_flood },	    { "resolve", run_resolve },
	{ "compute", run_compute },	  { "module", run_module },
};

int main(int argc, char **argv)
{
	for (size_t i = 0; argc > 1 && i < sizeof behaviours / sizeof *behaviours; i++)
		if (strcmp(argv[1], behaviours[i].name) == 0)
			return behaviours[i].run(argc > 2 ? argv[2] : "");
	fprintf(stderr, "usage: %s HOW [ARGUMENT]\n", argv[0]);
	return 64;
}
