/* Waiting for descriptors: poll, select and epoll, with the data that a program hangs on its registrations. */
#include "check.h"

#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <signal.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/resource.h>
#include <sys/select.h>
#include <sys/socket.h>

CASE(polling, NORMAL, "poll ppoll")
{
	int p[2];
	T(pipe(p));
	make_file("f", 3);
	T(open("f", O_RDONLY));
	struct pollfd f[4] = { { p[0], POLLIN, 0 }, { p[1], POLLOUT, 0 }, { 5, POLLIN, 0 }, { -1, POLLIN, 0xff } };
	struct timespec t = { 0, 10000000 };
	T(poll(f, 4, 0));
	say("events %#x %#x %#x %#x", f[0].revents, f[1].revents, f[2].revents, f[3].revents);
	T(poll(f, 1, 10));
	T(write(p[1], "x", 1));
	T(poll(f, 1, -1));
	say("events %#x", f[0].revents);
	f[3].fd = 99;
	T(poll(f + 3, 1, 1000));
	say("events %#x", f[3].revents);
	T(close(p[1]));
	T(poll(f, 2, 1000));
	say("events %#x %#x", f[0].revents, f[1].revents);
	T(poll(NULL, 0, 1));
	T(raw(SYS_poll, LOW, 1, 0));
	T(raw(SYS_poll, NULL, 1, 0));
	T(raw(SYS_poll, edge(12), 2, 0));
	T(raw(SYS_poll, f, -1, 0));
	T(raw(SYS_poll, f, GARBAGE(1), GARBAGE(0)));
	struct rlimit r;
	T(getrlimit(RLIMIT_NOFILE, &r));
	T(raw(SYS_poll, f, r.rlim_cur + 1, 0));
	f[0].fd = 5;
	T(raw(SYS_ppoll, f, 1, &t, NULL, 8));
	f[0].events = 0;
	int64_t start = now();
	T(raw(SYS_ppoll, f, 1, &t, NULL, 8));
	say("waited %d, left %ld", now() - start >= 10000000, t.tv_sec * 1000000000 + t.tv_nsec);
	T(raw(SYS_ppoll, f, 1, LOW, NULL, 8));
	T(raw(SYS_ppoll, f, 1, &t, LOW, 8));
	T(raw(SYS_ppoll, f, 1, &t, f, 3));
	T(raw(SYS_ppoll, LOW, 1, &t, NULL, 8));
	t.tv_nsec = -1;
	T(raw(SYS_ppoll, f, 1, &t, NULL, 8));
	t.tv_nsec = 0;
	T(raw(SYS_ppoll, f, 1, &t, NULL, 8));
}

/* Numbers that nobody has opened, up to a high one: where the limit allows it, the monitor's own are among them. */
CASE(polling_numbers, NORMAL, "poll ppoll select")
{
	enum { MOST = 4200 };
	static struct pollfd f[MOST + 1];
	static uint64_t set[MOST / 64 + 1];
	struct rlimit r, more;
	struct timespec t = { 1, 0 };
	int p[2];
	long n = 0, bad = 0, highest = MOST;

	pipe2(p, 0);
	getrlimit(RLIMIT_NOFILE, &r);
	more = r;
	more.rlim_cur = r.rlim_max; /* so that there may be as many entries */
	setrlimit(RLIMIT_NOFILE, &more);
	if (r.rlim_max <= MOST)
		highest = (long)r.rlim_max - 20;
	for (int fd = 64; fd < highest; fd++)
		f[n++] = (struct pollfd){ fd, POLLIN, 0x7777 };
	f[n] = (struct pollfd){ p[1], POLLOUT, 0 };
	T(poll(f, n + 1, -1));
	for (long i = 0; i < n; i++)
		bad += f[i].revents == POLLNVAL && f[i].events == POLLIN && f[i].fd == 64 + i;
	say("%ld of %ld, and %#x", bad, n, f[n].revents);
	T(raw(SYS_ppoll, f + n - 136, 90, &t, NULL, 8));
	say("%#x %#x", f[n - 136].revents, f[n - 47].revents);
	for (int fd = highest - 114; fd < highest - 104; fd++) {
		f[0] = (struct pollfd){ fd, POLLIN, 0 };
		bad += poll(f, 1, -1) == 1 && f[0].revents == POLLNVAL;
	}
	say("%ld", bad);
	/* a number of its own, so that the table of descriptors reaches beyond and select looks at them all */
	T(dup2(p[0], highest));
	for (int fd = highest - 120; fd < highest - 100; fd++) {
		memset(set, 0, sizeof set);
		set[fd / 64] = 1ul << fd % 64;
		bad += raw(SYS_select, highest, set, NULL, NULL, NULL) == -1 && errno == EBADF;
	}
	say("%ld", bad);
	close(highest);
	close(p[0]);
	close(p[1]);
	setrlimit(RLIMIT_NOFILE, &r);
}

/*
 * As many numbers as there may be, which programs say where they do not know better: the kernel looks at those that its table has
 * room for, a power of two. What lies behind is not read, nor written. Alone, as the table never shrinks.
 */
CASE(selecting_all, ALONE, "select pselect6 dup2")
{
	enum { HIGH = 700, ROOM = 1024 };
	struct {
		fd_set set;
		char behind[32768];
	} s;
	uint64_t here = (uint64_t)(uintptr_t)&s;
	struct timespec t = { 1, 0 };
	long good = 0;
	int p[2];

	pipe(p);
	T(dup2(p[0], HIGH));
	T(write(p[1], "x", 1));
	fd_set *last = (fd_set *)edge(ROOM / 8);
	FD_ZERO(last);
	FD_SET(p[0], last);
	FD_SET(HIGH, last);
	T(raw(SYS_select, 65536, last, NULL, NULL, NULL));
	say("%d %d", !!FD_ISSET(p[0], last), !!FD_ISSET(HIGH, last));
	T(raw(SYS_select, ROOM + 1, last, last, NULL, NULL));
	T(raw(SYS_select, 65536, (char *)last + 8, NULL, NULL, NULL));
	for (size_t i = 0; i < sizeof s.behind; i++) /* an address of this variant */
		s.behind[i] = (char)(here >> i % 8 * 8);
	FD_ZERO(&s.set);
	FD_SET(p[0], &s.set);
	T(raw(SYS_select, 0x7fffffff, &s.set, NULL, NULL, NULL));
	T(raw(SYS_pselect6, 65536, &s.set, NULL, NULL, &t, NULL));
	for (size_t i = 0; i < sizeof s.behind; i++)
		good += s.behind[i] == (char)(here >> i % 8 * 8);
	say("%d, and %ld behind it", !!FD_ISSET(p[0], &s.set), good);
	close(HIGH);
	close(p[0]);
	close(p[1]);
}

CASE(selecting, NORMAL, "select pselect6")
{
	int p[2];
	fd_set r, w;
	struct timeval v = { 0, 0 };
	struct timespec t = { 0, 5000000 };
	T(pipe(p));
	FD_ZERO(&r);
	FD_ZERO(&w);
	FD_SET(p[0], &r);
	FD_SET(p[1], &w);
	T(raw(SYS_select, 5, &r, &w, NULL, &v));
	say("readable %d writable %d", FD_ISSET(p[0], &r) != 0, FD_ISSET(p[1], &w) != 0);
	T(write(p[1], "x", 1));
	FD_SET(p[0], &r);
	T(raw(SYS_select, 5, &r, NULL, NULL, NULL));
	say("readable %d", FD_ISSET(p[0], &r) != 0);
	FD_SET(p[0], &r);
	T(select(5, &r, &w, NULL, NULL));
	/* The kernel rounds the set up to whole words and looks no further than asked. */
	FD_ZERO(&r);
	FD_SET(p[0], &r);
	T(raw(SYS_select, 3, &r, NULL, NULL, &v));
	/* A number that is not open is EBADF only within the table of descriptors, whose size the parent's table decides: make it large. */
	T(dup2(p[0], 255));
	T(close(255));
	FD_ZERO(&r);
	FD_SET(99, &r);
	T(raw(SYS_select, 100, &r, NULL, NULL, &v));
	T(raw(SYS_select, -1, &r, NULL, NULL, &v));
	T(raw(SYS_select, 5, LOW, NULL, NULL, &v));
	T(raw(SYS_select, 5, NULL, NULL, NULL, LOW));
	v.tv_usec = -1;
	T(raw(SYS_select, 0, NULL, NULL, NULL, &v));
	v.tv_usec = 10000;
	int64_t start = now();
	T(raw(SYS_select, 0, NULL, NULL, NULL, &v));
	say("waited %d left %ld", now() - start >= 10000000, (long)v.tv_usec);
	T(pselect(0, NULL, NULL, NULL, &t, NULL));
	FD_ZERO(&r);
	FD_SET(p[0], &r);
	T(raw(SYS_pselect6, GARBAGE(5), &r, NULL, NULL, &t, NULL));
	T(raw(SYS_pselect6, 5, &r, LOW, NULL, &t, NULL));
	T(raw(SYS_pselect6, 0, NULL, NULL, NULL, &t, LOW));
	struct { const void *set; size_t size; } mask = { LOW, 8 };
	T(raw(SYS_pselect6, 0, NULL, NULL, NULL, &t, &mask));
	mask.size = 3;
	T(raw(SYS_pselect6, 0, NULL, NULL, NULL, &t, &mask));
	mask.set = NULL;
	T(raw(SYS_pselect6, 0, NULL, NULL, NULL, &t, &mask));
}

/* events tells what epoll_wait gave, in the order of the data. */
static void events(struct epoll_event *e, long n)
{
	for (long i = 0; i < n; i++)
		for (long k = i + 1; k < n; k++)
			if (e[k].data.u64 < e[i].data.u64) {
				struct epoll_event t = e[i];
				e[i] = e[k];
				e[k] = t;
			}
	for (long i = 0; i < n; i++)
		say("event %#x data %#lx", e[i].events, (unsigned long)e[i].data.u64);
}

CASE(epoll_basics, NORMAL, "epoll_create epoll_create1 epoll_ctl epoll_wait epoll_pwait")
{
	struct epoll_event e = { EPOLLIN, { .u64 = 0x1122334455667788 } }, o[4];
	int p[2];
	T(epoll_create1(EPOLL_CLOEXEC));
	T(raw(SYS_epoll_create, 1));
	T(raw(SYS_epoll_create, 0));
	T(epoll_create1(1 << 30));
	T(pipe(p));
	T(epoll_ctl(3, EPOLL_CTL_ADD, p[0], &e));
	T(epoll_ctl(3, EPOLL_CTL_ADD, p[0], &e));
	T(epoll_wait(3, o, 4, 0));
	T(write(p[1], "x", 1));
	events(o, T(epoll_wait(3, o, 4, -1)));
	e.events = EPOLLOUT;
	e.data.u64 = 42;
	T(epoll_ctl(3, EPOLL_CTL_ADD, p[1], &e));
	events(o, T(epoll_wait(3, o, 4, 0)));
	T(epoll_wait(3, o, 1, 0));
	e.events = 0;
	T(epoll_ctl(3, EPOLL_CTL_MOD, p[0], &e));
	events(o, T(epoll_pwait(3, o, 4, 0, NULL)));
	T(epoll_ctl(3, EPOLL_CTL_DEL, p[1], NULL));
	T(epoll_ctl(3, EPOLL_CTL_DEL, p[1], NULL));
	T(epoll_ctl(3, EPOLL_CTL_MOD, p[1], &e));
	T(epoll_wait(3, o, 4, 5));
	e.events = EPOLLIN;
	T(epoll_ctl(3, EPOLL_CTL_MOD, p[0], &e));
	T(raw(SYS_epoll_wait, 3, LOW, 4, 0));
	T(raw(SYS_epoll_wait, 3, NULL, 4, 0));
	T(raw(SYS_epoll_wait, GARBAGE(3), o, GARBAGE(4), GARBAGE(0)));
	T(raw(SYS_epoll_pwait, 3, o, 4, 0, LOW, 8));
	T(raw(SYS_epoll_pwait, 3, o, 4, 0, o, 3));
	T(raw(SYS_epoll_wait, 3, o, 0, 0));
	T(raw(SYS_epoll_wait, 3, o, -1, 0));
	static struct epoll_event low[1]; /* far from the end of what a program may have */
	T(raw(SYS_epoll_wait, 3, low, INT_MAX / sizeof e, 0));
	T(raw(SYS_epoll_wait, 3, o, INT_MAX / sizeof e + 1, 0));
	T(raw(SYS_epoll_pwait, 3, o, INT_MAX, 0, NULL, 8));
	T(epoll_wait(99, o, 1, 0));
	T(epoll_wait(0, o, 1, 0));
	T(epoll_ctl(99, EPOLL_CTL_ADD, p[0], &e));
	T(epoll_ctl(3, EPOLL_CTL_ADD, 99, &e));
	T(epoll_ctl(3, EPOLL_CTL_ADD, 3, &e));
	T(epoll_ctl(p[0], EPOLL_CTL_ADD, p[1], &e));
	T(epoll_ctl(3, 77, p[1], &e));
	T(raw(SYS_epoll_ctl, 3, GARBAGE(EPOLL_CTL_ADD), p[1], &e));
	T(raw(SYS_epoll_ctl, 3, GARBAGE(EPOLL_CTL_DEL), p[1], NULL));
	T(raw(SYS_epoll_ctl, 3, EPOLL_CTL_ADD, p[1], LOW));
	T(raw(SYS_epoll_ctl, 3, EPOLL_CTL_ADD, p[1], NULL));
	make_file("f", 1);
	T(open("f", O_RDONLY));
	T(epoll_ctl(3, EPOLL_CTL_ADD, 7, &e));
}

/* Pointers as data: every variant must get its own back. */
CASE(epoll_pointers, NORMAL, "epoll_ctl epoll_wait")
{
	static struct watch { int number; } watches[3] = { { 10 }, { 20 }, { 30 } };
	int p[3][2];
	struct epoll_event e = { EPOLLIN, { 0 } }, o[4];
	T(epoll_create1(0));
	for (int i = 0; i < 3; i++) {
		T(pipe(p[i]));
		e.data.ptr = &watches[i];
		T(epoll_ctl(3, EPOLL_CTL_ADD, p[i][0], &e));
	}
	for (int i = 2; i >= 0; i--) {
		T(write(p[i][1], "x", 1));
		long n = T(epoll_wait(3, o, 4, 1000));
		int sum = 0;
		for (long k = 0; k < n; k++)
			sum += ((struct watch *)o[k].data.ptr)->number;
		say("sum %d", sum);
	}
	e.data.ptr = &watches[2];
	T(epoll_ctl(3, EPOLL_CTL_MOD, p[0][0], &e));
	T(epoll_ctl(3, EPOLL_CTL_DEL, p[1][0], &e));
	long n = T(epoll_wait(3, o, 4, 1000));
	for (long k = 0; k < n; k++)
		say("number %d", ((struct watch *)o[k].data.ptr)->number);
}

/* A registration outlives the number of its descriptor, if a duplicate keeps the description open. */
CASE(epoll_reuse, NORMAL, "epoll_ctl epoll_wait dup dup2 close pipe2")
{
	int p[2], q[2];
	struct epoll_event e = { EPOLLIN, { .u64 = 111 } }, o[4];
	T(epoll_create1(0));
	T(pipe(p));
	T(epoll_ctl(3, EPOLL_CTL_ADD, p[0], &e));
	int kept = (int)T(dup(p[0]));
	T(close(p[0]));
	T(pipe(q));
	say("number is used again: %d", q[0] == p[0]);
	e.data.u64 = 222;
	T(epoll_ctl(3, EPOLL_CTL_ADD, q[0], &e));
	T(write(p[1], "x", 1));
	events(o, T(epoll_wait(3, o, 4, 1000)));
	T(write(q[1], "x", 1));
	events(o, T(epoll_wait(3, o, 4, 1000)));
	e.data.u64 = 333;
	T(epoll_ctl(3, EPOLL_CTL_MOD, q[0], &e));
	events(o, T(epoll_wait(3, o, 4, 1000)));
	T(epoll_ctl(3, EPOLL_CTL_DEL, kept, NULL));
	T(close(kept));
	events(o, T(epoll_wait(3, o, 4, 1000)));
	T(close(q[0]));
	T(epoll_wait(3, o, 4, 0));
	/* The same description registered twice, by two numbers. */
	int r[2];
	T(pipe(r));
	e.data.u64 = 444;
	T(epoll_ctl(3, EPOLL_CTL_ADD, r[0], &e));
	int twin = (int)T(dup(r[0]));
	e.data.u64 = 555;
	T(epoll_ctl(3, EPOLL_CTL_ADD, twin, &e));
	T(write(r[1], "x", 1));
	events(o, T(epoll_wait(3, o, 4, 1000)));
	T(close(twin));
	events(o, T(epoll_wait(3, o, 4, 1000)));
	T(dup2(p[1], r[0]));
	events(o, T(epoll_wait(3, o, 4, 0)));
}

CASE(epoll_modes, NORMAL, "epoll_ctl epoll_wait")
{
	int p[2], s[2];
	char b[8];
	struct epoll_event e = { EPOLLIN | EPOLLET, { .u64 = 1 } }, o[4];
	T(epoll_create1(0));
	T(pipe2(p, O_NONBLOCK));
	T(epoll_ctl(3, EPOLL_CTL_ADD, p[0], &e));
	T(write(p[1], "ab", 2));
	events(o, T(epoll_wait(3, o, 4, 1000)));
	T(epoll_wait(3, o, 4, 0));
	T(read(p[0], b, 1));
	T(epoll_wait(3, o, 4, 0));
	T(write(p[1], "c", 1));
	events(o, T(epoll_wait(3, o, 4, 1000)));
	e.events = EPOLLIN | EPOLLONESHOT;
	T(epoll_ctl(3, EPOLL_CTL_MOD, p[0], &e));
	events(o, T(epoll_wait(3, o, 4, 1000)));
	T(epoll_wait(3, o, 4, 0));
	T(epoll_ctl(3, EPOLL_CTL_MOD, p[0], &e));
	events(o, T(epoll_wait(3, o, 4, 1000)));
	T(close(p[1]));
	T(epoll_ctl(3, EPOLL_CTL_MOD, p[0], &e));
	events(o, T(epoll_wait(3, o, 4, 1000)));
	T(close(p[0]));
	T(socketpair(AF_UNIX, SOCK_STREAM, 0, s));
	e.events = EPOLLIN | EPOLLOUT | EPOLLRDHUP | EPOLLEXCLUSIVE;
	T(epoll_ctl(3, EPOLL_CTL_ADD, s[0], &e));
	e.events = EPOLLIN | EPOLLOUT | EPOLLRDHUP;
	T(epoll_ctl(3, EPOLL_CTL_ADD, s[0], &e));
	events(o, T(epoll_wait(3, o, 4, 1000)));
	T(shutdown(s[1], SHUT_WR));
	events(o, T(epoll_wait(3, o, 4, 1000)));
	T(close(s[1]));
	events(o, T(epoll_wait(3, o, 4, 1000)));
	/* An epoll descriptor in another one, and one that is polled. */
	T(epoll_create1(0));
	e.events = EPOLLIN;
	e.data.u64 = 9;
	T(epoll_ctl(5, EPOLL_CTL_ADD, 3, &e));
	events(o, T(epoll_wait(5, o, 4, 1000)));
	struct pollfd f = { 5, POLLIN, 0 };
	T(poll(&f, 1, 1000));
	say("events %#x", f.revents);
}

CASE(epoll_many, NORMAL, "epoll_ctl epoll_wait eventfd2")
{
	struct epoll_event e = { EPOLLIN, { 0 } }, o[64];
	uint64_t one = 1, seen = 0;
	int fds[50], added = 0, bad = 0;
	T(epoll_create1(0));
	for (int i = 0; i < 50; i++) {
		fds[i] = eventfd(i % 2, EFD_NONBLOCK);
		e.data.u64 = (uint64_t)i << 32 | (uint64_t)fds[i];
		added += epoll_ctl(3, EPOLL_CTL_ADD, fds[i], &e) == 0;
	}
	say("added %d", added);
	long n = T(epoll_wait(3, o, 64, 1000));
	for (long i = 0; i < n; i++)
		bad += o[i].data.u64 >> 32 != (o[i].data.u64 & 0xffffffff) - 4;
	say("wrong %d", bad);
	for (int round = 0; round < 5; round++) {
		n = epoll_wait(3, o, 10, 0);
		for (long i = 0; i < n; i++)
			seen |= 1ull << (o[i].data.u64 >> 32);
	}
	say("rounds are fair: %d", seen == 0x2aaaaaaaaaaaaull);
	for (int i = 0; i < 50; i += 2)
		if (write(fds[i], &one, 8) != 8)
			bad++;
	T(epoll_wait(3, o, 64, 1000));
	for (int i = 0; i < 50; i++)
		close(fds[i]);
	T(epoll_wait(3, o, 64, 0));
	say("wrong %d", bad);
	T(raw(SYS_epoll_wait, 3, edge(12), 64, 0));
}

static void nothing(int number)
{
	(void)number;
}

/* A mask that lets a pending signal in for the wait only. */
CASE(wait_masks, NORMAL, "ppoll pselect6 epoll_pwait rt_sigprocmask")
{
	sigset_t blocked, empty, pending;
	struct sigaction a = { .sa_handler = nothing };
	struct epoll_event o;
	struct timespec t = { 5, 0 };
	sigemptyset(&empty);
	sigemptyset(&blocked);
	sigaddset(&blocked, SIGUSR1);
	T(sigaction(SIGUSR1, &a, NULL));
	T(sigprocmask(SIG_BLOCK, &blocked, NULL));
	T(raise(SIGUSR1));
	T(ppoll(NULL, 0, &t, &empty));
	T(sigpending(&pending));
	say("pending %d", sigismember(&pending, SIGUSR1));
	T(raise(SIGUSR1));
	T(pselect(0, NULL, NULL, NULL, &t, &empty));
	T(epoll_create1(0));
	T(raise(SIGUSR1));
	T(epoll_pwait(3, &o, 1, 5000, &empty));
	T(raise(SIGUSR1));
	T(epoll_pwait(3, &o, 1, 10, &blocked));
	T(sigprocmask(SIG_UNBLOCK, &blocked, NULL));
	a.sa_handler = SIG_DFL;
	T(sigaction(SIGUSR1, &a, NULL));
}
