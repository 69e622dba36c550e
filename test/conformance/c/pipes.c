/* Pipes, and the descriptors that count and tell time: eventfd, timerfd, signalfd, pidfd. */
#include "check.h"

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sys/eventfd.h>
#include <sys/signalfd.h>
#include <sys/timerfd.h>
#include <sys/wait.h>

CASE(pipe_basics, NORMAL, "pipe pipe2 read write close")
{
	int p[2];
	char b[32];
	T(pipe(p));
	say("ends %d %d", p[0], p[1]);
	T(raw(SYS_pipe, p));
	say("ends %d %d", p[0], p[1]);
	T(write(p[1], "hello", 5));
	show("part", b, T(read(p[0], b, 2)));
	show("rest", b, T(read(p[0], b, sizeof b)));
	T(read(p[1], b, 1));
	T(write(p[0], b, 1));
	T(raw(SYS_pipe, LOW));
	T(raw(SYS_pipe2, NULL, 0));
	T(raw(SYS_pipe2, p, 1 << 30));
	T(raw(SYS_pipe2, edge(4), 0));
	T(pipe2(p, O_NONBLOCK));
	say("ends %d %d", p[0], p[1]);
	T(read(p[0], b, 1));
	T(raw(SYS_read, p[0], LOW, 1));
	T(write(p[1], "abcdef", 6));
	T(raw(SYS_read, p[0], LOW, 6));
	show("kept", b, T(read(p[0], b, sizeof b)));
	T(close(p[1]));
	T(read(p[0], b, 1));
	T(pipe2(p, O_NONBLOCK));
	T(close(p[0]));
	signal(SIGPIPE, SIG_IGN);
	T(write(p[1], "x", 1));
	T(raw(SYS_write, p[1], "", 0));
	signal(SIGPIPE, SIG_DFL);
}

CASE(pipe_capacity, NORMAL, "pipe2 read write")
{
	int p[2];
	long total = 0, r;
	char *page = frozen(4096, 'p'), *half = edge(4096);
	T(pipe2(p, O_NONBLOCK));
	while ((r = write(p[1], page, 4096)) > 0)
		total += r;
	say("full at %ld: %s", total, errno_name(errno));
	T(write(p[1], "x", 1));
	T(read(p[0], half, 4096));
	T(write(p[1], frozen(8192, 'q'), 8192));
	for (total = 0; (r = read(p[0], half, 4096)) > 0;)
		total += r;
	say("empty after %ld: %s", total, errno_name(errno));
	/* Memory that ends after the first page, in both directions. */
	T(raw(SYS_write, p[1], half, 8192));
	T(write(p[1], page, 4096));
	T(raw(SYS_read, p[0], edge(4096), 8192));
}

CASE(packet_pipe, NORMAL, "pipe2 read write")
{
	int p[2];
	char b[16];
	T(pipe2(p, O_DIRECT | O_NONBLOCK));
	T(write(p[1], "first", 5));
	T(write(p[1], "second", 6));
	show("cut", b, T(read(p[0], b, 3)));
	show("whole", b, T(read(p[0], b, sizeof b)));
	T(read(p[0], b, sizeof b));
}

CASE(event_counter, NORMAL, "eventfd eventfd2 read write")
{
	uint64_t v = 0;
	T(eventfd(3, EFD_NONBLOCK | EFD_CLOEXEC));
	T(read(3, &v, 8));
	say("value %lu", (unsigned long)v);
	T(read(3, &v, 8));
	v = 7;
	T(write(3, &v, 8));
	T(write(3, &v, 8));
	T(read(3, &v, 8));
	say("value %lu", (unsigned long)v);
	v = UINT64_MAX;
	T(write(3, &v, 8));
	v = UINT64_MAX - 1;
	T(write(3, &v, 8));
	v = 1;
	T(write(3, &v, 8));
	T(read(3, &v, 4));
	T(write(3, &v, 4));
	T(raw(SYS_read, 3, LOW, 8));
	T(raw(SYS_write, 3, LOW, 8));
	T(eventfd(2, EFD_SEMAPHORE | EFD_NONBLOCK));
	T(read(4, &v, 8));
	say("value %lu", (unsigned long)v);
	T(read(4, &v, 8));
	T(read(4, &v, 8));
	T(raw(SYS_eventfd, 5));
	T(read(5, &v, 8));
	say("value %lu", (unsigned long)v);
	T(raw(SYS_eventfd2, GARBAGE(0), GARBAGE(0)));
	T(raw(SYS_eventfd2, 0, 1 << 30));
}

CASE(timer_descriptor, NORMAL, "timerfd_create timerfd_settime timerfd_gettime read poll")
{
	struct itimerspec t = { { 0, 0 }, { 0, 20000000 } }, old;
	uint64_t n = 0;
	struct pollfd p = { 3, POLLIN, 0 };
	T(timerfd_create(CLOCK_MONOTONIC, TFD_NONBLOCK | TFD_CLOEXEC));
	T(read(3, &n, 8));
	int64_t start = now();
	T(timerfd_settime(3, 0, &t, NULL));
	T(poll(&p, 1, 5000));
	say("waited long enough %d", now() - start >= 20000000);
	T(read(3, &n, 8));
	say("expirations %lu", (unsigned long)n);
	T(read(3, &n, 8));
	t.it_value.tv_sec = 1000;
	t.it_interval.tv_sec = 500;
	T(timerfd_settime(3, 0, &t, &old));
	say("old %ld.%09ld", (long)old.it_value.tv_sec, old.it_value.tv_nsec);
	T(timerfd_gettime(3, &t));
	say("left %d interval %ld", t.it_value.tv_sec > 900, (long)t.it_interval.tv_sec);
	T(timerfd_settime(3, 0, &(struct itimerspec){ 0 }, &old));
	say("old %d", old.it_value.tv_sec > 900);
	T(read(3, &n, 4));
	t.it_value.tv_nsec = 2000000000;
	T(timerfd_settime(3, 0, &t, NULL));
	T(timerfd_settime(99, 0, &old, NULL));
	T(timerfd_settime(0, 0, &old, NULL));
	T(timerfd_settime(3, 99, &old, NULL));
	T(raw(SYS_timerfd_settime, 3, 0, LOW, NULL));
	T(raw(SYS_timerfd_settime, 3, 0, &old, LOW));
	T(raw(SYS_timerfd_gettime, 3, LOW));
	T(timerfd_gettime(99, &old));
	T(timerfd_create(99, 0));
	T(timerfd_create(CLOCK_REALTIME, 1 << 30));
	T(raw(SYS_timerfd_create, GARBAGE(CLOCK_REALTIME), GARBAGE(0)));
	/* Absolute, in the past: at once. */
	T(timerfd_settime(4, TFD_TIMER_ABSTIME, &(struct itimerspec){ { 0, 0 }, { 1, 0 } }, NULL));
	T(read(4, &n, 8));
	say("expirations %lu", (unsigned long)n);
}

CASE(signal_descriptor, NORMAL, "signalfd signalfd4 rt_sigprocmask kill read")
{
	sigset_t set;
	struct signalfd_siginfo i;
	sigemptyset(&set);
	sigaddset(&set, SIGUSR1);
	T(sigprocmask(SIG_BLOCK, &set, NULL));
	T(signalfd(-1, &set, SFD_NONBLOCK | SFD_CLOEXEC));
	T(read(3, &i, sizeof i));
	T(kill(getpid(), SIGUSR1));
	T(read(3, &i, 10));
	T(read(3, &i, sizeof i));
	say("signal %u code %d own pid %d", i.ssi_signo, i.ssi_code, i.ssi_pid == (uint32_t)getpid());
	T(read(3, &i, sizeof i));
	sigaddset(&set, SIGUSR2);
	T(sigprocmask(SIG_BLOCK, &set, NULL));
	T(signalfd(3, &set, 0));
	T(raise(SIGUSR2));
	T(read(3, &i, sizeof i));
	say("signal %u", i.ssi_signo);
	T(signalfd(99, &set, 0));
	T(signalfd(0, &set, 0));
	T(raw(SYS_signalfd4, -1, &set, 8, 1 << 30));
	T(raw(SYS_signalfd4, -1, &set, 7, 0));
	T(raw(SYS_signalfd4, -1, LOW, 8, 0));
	T(raw(SYS_signalfd, -1, &set, 8));
	T(sigprocmask(SIG_UNBLOCK, &set, NULL));
}

CASE(process_descriptor, NORMAL, "pidfd_open poll fcntl waitid")
{
	struct pollfd p = { 3, POLLIN, 0 };
	siginfo_t i;
	T(raw(SYS_pidfd_open, getpid(), 0));
	T(fcntl(3, F_GETFD));
	T(poll(&p, 1, 0));
	T(raw(SYS_pidfd_open, -1, 0));
	T(raw(SYS_pidfd_open, 0, 0));
	T(raw(SYS_pidfd_open, getpid(), 1 << 20));
	T(raw(SYS_pidfd_open, 0x3fffffff, 0));
	T(waitid(P_PID, (id_t)getpid(), &i, WEXITED | WNOHANG));
}
