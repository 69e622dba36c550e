/* Makes a little of everything that a single-threaded program does with the kernel and prints what came back, so that the
 * same program natively and monitored can be compared line by line. It leaves its files behind: they are compared too.
 * Times, process IDs and random bytes differ between two runs, so only what holds of them is printed. */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/random.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/time.h>
#include <sys/timerfd.h>
#include <sys/uio.h>
#include <sys/un.h>
#include <sys/utsname.h>
#include <time.h>
#include <unistd.h>

#define SHOW(call) do { errno = 0; long long r_ = (long long)(call); \
	printf("%s = %lld %s\n", #call, r_, r_ < 0 ? strerrorname(errno) : ""); } while (0)

static const char *strerrorname(int e)
{
	static char text[16];
	snprintf(text, sizeof text, "errno %d", e);
	return text;
}

/* An address where nothing is, hidden from the compiler's own checks. */
static void *volatile nowhere = (void *)8;

static void files(void)
{
	char buf[64] = { 0 };
	puts("# files");
	SHOW(mkdir("folder", 0750));
	SHOW(mkdir("folder", 0750));
	int fd = open("folder/a", O_CREAT | O_EXCL | O_RDWR, 0640);
	SHOW(fd >= 0);
	SHOW(open("folder/a", O_CREAT | O_EXCL | O_RDWR, 0640));
	SHOW(open("folder/none", O_RDONLY));
	SHOW(write(fd, "0123456789", 10));
	SHOW(pwrite(fd, "AB", 2, 3));
	SHOW(lseek(fd, -4, SEEK_END));
	SHOW(read(fd, buf, sizeof buf));
	puts(buf);
	SHOW(read(fd, buf, sizeof buf));
	SHOW(lseek(fd, -1, SEEK_SET));
	struct iovec v[2] = { { "one ", 4 }, { "two\n", 4 } };
	SHOW(writev(fd, v, 2));
	char x[5] = { 0 }, y[8] = { 0 };
	struct iovec w[2] = { { x, 4 }, { y, 7 } };
	SHOW(preadv(fd, w, 2, 2));
	printf("%s|%s\n", x, y);
	struct stat st;
	SHOW(fstat(fd, &st));
	printf("mode %o size %lld links %d\n", st.st_mode, (long long)st.st_size, (int)st.st_nlink);
	SHOW(ftruncate(fd, 5000));
	SHOW(fsync(fd));
	SHOW(fcntl(fd, F_GETFL) & O_ACCMODE);
	SHOW(fcntl(fd, F_SETFL, O_APPEND));
	SHOW(write(fd, "end", 3));
	SHOW(dup2(fd, 20));
	SHOW(fcntl(20, F_SETFD, FD_CLOEXEC));
	SHOW(fcntl(20, F_GETFD));
	SHOW(write(fd, nowhere, 4));
	SHOW(close(20));
	SHOW(close(20));
	SHOW(write(20, "x", 1));
	char *map = mmap(NULL, 5003, PROT_READ, MAP_PRIVATE, fd, 0);
	printf("mapped %.10s … %.3s\n", map, map + 5000);
	munmap(map, 5003);
	SHOW(close(fd));
	SHOW(link("folder/a", "folder/b"));
	SHOW(symlink("a", "folder/c"));
	SHOW(readlink("folder/c", buf, sizeof buf));
	SHOW(rename("folder/b", "folder/d"));
	SHOW(unlink("folder/b"));
	SHOW(rmdir("folder"));
	SHOW(chmod("folder/d", 0600));
	SHOW(access("folder/d", X_OK));
	SHOW(umask(027));
	SHOW(close(creat("folder/e", 0666)));
	struct timeval tv[2] = { { 1000000000, 0 }, { 1234567890, 0 } };
	SHOW(utimes("folder/e", tv));
	int names = 0;
	unsigned sum = 0;
	DIR *dir = opendir("folder");
	for (struct dirent *e; (e = readdir(dir)); names++)
		for (const char *c = e->d_name; *c; c++)
			sum = sum * 31 + *c;
	printf("%d names\n", names);
	rewinddir(dir);
	unsigned again = 0;
	for (struct dirent *e; (e = readdir(dir));)
		for (const char *c = e->d_name; *c; c++)
			again = again * 31 + *c;
	printf("same order %d\n", sum == again);
	closedir(dir);
}

static void waits(void)
{
	char buf[64] = { 0 };
	int p[2], s[2];
	puts("# what can be waited on");
	SHOW(pipe2(p, O_NONBLOCK));
	SHOW(read(p[0], buf, 8));
	SHOW(write(p[1], "through", 7));
	struct pollfd pf = { .fd = p[0], .events = POLLIN };
	SHOW(poll(&pf, 1, 0));
	SHOW(pf.revents);
	int ep = epoll_create1(0);
	struct epoll_event ev = { .events = EPOLLIN, .data.ptr = buf }, got = { 0 };
	SHOW(epoll_ctl(ep, EPOLL_CTL_ADD, p[0], &ev));
	SHOW(epoll_ctl(ep, EPOLL_CTL_ADD, p[0], &ev));
	SHOW(epoll_wait(ep, &got, 1, 0));
	SHOW(got.data.ptr == buf);
	SHOW(read(p[0], buf, sizeof buf));
	SHOW(epoll_wait(ep, &got, 1, 1));
	SHOW(close(p[0]));
	signal(SIGPIPE, SIG_IGN);
	SHOW(write(p[1], "x", 1));
	SHOW(close(p[1]));
	SHOW(socketpair(AF_UNIX, SOCK_STREAM, 0, s));
	SHOW(send(s[0], "message", 7, 0));
	SHOW(recv(s[1], buf, 3, MSG_PEEK));
	SHOW(recv(s[1], buf, sizeof buf, 0));
	SHOW(shutdown(s[0], SHUT_WR));
	SHOW(recv(s[1], buf, sizeof buf, 0));
	SHOW(recv(s[0], buf, sizeof buf, MSG_DONTWAIT));
	SHOW(close(s[0]));
	SHOW(close(s[1]));
	int e = eventfd(3, EFD_NONBLOCK);
	unsigned long long n = 4;
	SHOW(write(e, &n, 8));
	SHOW(read(e, &n, 8));
	SHOW(n);
	SHOW(read(e, &n, 8));
	int t = timerfd_create(CLOCK_MONOTONIC, 0);
	struct itimerspec its = { .it_value.tv_nsec = 2000000 };
	SHOW(timerfd_settime(t, 0, &its, NULL));
	SHOW(read(t, &n, 8));
	SHOW(n);
	int tcp = socket(AF_INET, SOCK_STREAM, 0), other = socket(AF_INET, SOCK_STREAM, 0);
	struct sockaddr_in a = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	socklen_t len = sizeof a;
	SHOW(bind(tcp, (struct sockaddr *)&a, sizeof a));
	SHOW(listen(tcp, 1));
	SHOW(getsockname(tcp, (struct sockaddr *)&a, &len));
	SHOW(a.sin_port != 0);
	SHOW(connect(other, (struct sockaddr *)&a, sizeof a));
	int in = accept4(tcp, NULL, NULL, SOCK_CLOEXEC);
	struct msghdr m = { .msg_iov = (struct iovec[]){ { "ab", 2 }, { "cde", 3 } }, .msg_iovlen = 2 };
	SHOW(sendmsg(other, &m, 0));
	SHOW(recvfrom(in, buf, 5, MSG_WAITALL, NULL, NULL));
	close(other);
	close(in);
	SHOW(connect(tcp, (struct sockaddr *)&a, sizeof a));
	struct sockaddr_un u = { .sun_family = AF_UNIX, .sun_path = "missing.sock" };
	SHOW(connect(socket(AF_UNIX, SOCK_STREAM, 0), (struct sockaddr *)&u, sizeof u));
}

static volatile sig_atomic_t seen;

static void on_signal(int sig)
{
	seen = seen * 100 + sig;
}

static volatile sig_atomic_t alarms;

static void on_alarm(int sig)
{
	(void)sig;
	alarms++;
}

static void signals(void)
{
	puts("# signals");
	struct sigaction sa = { .sa_handler = on_signal };
	SHOW(sigaction(SIGUSR1, &sa, NULL));
	struct sigaction alarmed = { .sa_handler = on_alarm };
	SHOW(sigaction(SIGALRM, &alarmed, NULL));
	SHOW(sigaction(SIGKILL, &sa, NULL));
	SHOW(kill(getpid(), SIGUSR1));
	SHOW(seen);
	sigset_t set, pending;
	sigemptyset(&set);
	sigaddset(&set, SIGUSR1);
	SHOW(sigprocmask(SIG_BLOCK, &set, NULL));
	SHOW(raise(SIGUSR1));
	SHOW(seen);
	SHOW(sigpending(&pending));
	SHOW(sigismember(&pending, SIGUSR1));
	SHOW(sigprocmask(SIG_UNBLOCK, &set, NULL));
	SHOW(seen);
	/* it goes on: on a busy machine the first one comes before the sleep begins */
	struct itimerval it = { .it_value.tv_usec = 20000, .it_interval.tv_usec = 20000 }, never = { 0 };
	SHOW(setitimer(ITIMER_REAL, &it, NULL));
	struct timespec far = { .tv_sec = 30 }, left = { 0 };
	SHOW(nanosleep(&far, &left));
	SHOW(setitimer(ITIMER_REAL, &never, NULL));
	SHOW(left.tv_sec > 20);
	SHOW(alarms > 0);
}

static int by_value(const void *a, const void *b)
{
	unsigned x = *(const unsigned *)a, y = *(const unsigned *)b;
	return (x > y) - (x < y);
}

static void memory(void)
{
	puts("# memory");
	unsigned sum = 0;
	for (int round = 0; round < 24; round++) {
		size_t n = 500 + round * 997;
		unsigned *p = malloc(n * sizeof *p);
		for (size_t i = 0; i < n; i++)
			p[i] = i * 2654435761u ^ round;
		qsort(p, n, sizeof *p, by_value);
		p = realloc(p, n / 2 * sizeof *p);
		sum = sum * 31 + p[n / 4];
		free(p);
	}
	printf("sum %u\n", sum);
	unsigned char *guard = mmap(NULL, 8192, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	SHOW(mprotect(guard + 4096, 4096, PROT_NONE));
	memset(guard, 'g', 4096);
	int fd = open("guarded", O_CREAT | O_RDWR, 0600);
	SHOW(write(fd, guard + 4000, 96));
	SHOW(write(fd, guard + 4000, 200));
	SHOW(pread(fd, guard + 4090, 20, 0));
	SHOW(write(fd, guard + 4096, 1));
	close(fd);
}

static void identity(void)
{
	puts("# identity, time, chance");
	struct timespec a, b;
	clock_gettime(CLOCK_MONOTONIC, &a);
	clock_gettime(CLOCK_MONOTONIC, &b);
	SHOW(b.tv_sec > a.tv_sec || (b.tv_sec == a.tv_sec && b.tv_nsec >= a.tv_nsec));
	SHOW(time(NULL) > 1600000000);
	SHOW(getpid() > 0);
	SHOW(getuid());
	SHOW(getegid());
	SHOW(clock_gettime(1000, &a));
	unsigned char r[32] = { 0 };
	SHOW(getrandom(r, sizeof r, 0));
	int distinct = 0;
	for (int i = 1; i < 32; i++)
		distinct += r[i] != r[0];
	SHOW(distinct > 8);
	struct utsname u;
	SHOW(uname(&u));
	printf("%s %s\n", u.sysname, u.machine);
	struct rlimit l;
	SHOW(getrlimit(RLIMIT_NOFILE, &l));
	printf("descriptors %llu\n", (unsigned long long)l.rlim_cur);
	struct rusage ru;
	SHOW(getrusage(RUSAGE_SELF, &ru));
	char cwd[4096];
	SHOW(getcwd(cwd, sizeof cwd) != NULL);
	SHOW(chdir("folder"));
	SHOW(access("a", R_OK));
	SHOW(chdir(cwd));
	SHOW(getcwd(cwd, 2) == NULL);
}

int main(void)
{
	setvbuf(stdout, NULL, _IOLBF, 0);
	files();
	waits();
	signals();
	memory();
	identity();
	return 7;
}
