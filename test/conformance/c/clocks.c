/* Time: clocks, sleeping, timers that send signals, what was used. Only relations are printed. */
#include "check.h"

#include <errno.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/time.h>
#include <sys/times.h>
#include <time.h>

CASE(reading, NORMAL, "clock_gettime clock_getres gettimeofday time")
{
	static const clockid_t clocks[] = { CLOCK_REALTIME, CLOCK_MONOTONIC, CLOCK_PROCESS_CPUTIME_ID,
					    CLOCK_THREAD_CPUTIME_ID, CLOCK_MONOTONIC_RAW, CLOCK_REALTIME_COARSE,
					    CLOCK_MONOTONIC_COARSE, CLOCK_BOOTTIME, 99, -1 };
	struct timespec a, b, r;
	struct timeval v;
	struct timezone z;
	for (size_t i = 0; i < COUNT(clocks); i++) {
		int x = clock_gettime(clocks[i], &a), y = clock_gettime(clocks[i], &b);
		int forward = b.tv_sec > a.tv_sec || (b.tv_sec == a.tv_sec && b.tv_nsec >= a.tv_nsec);
		say("clock %d: %d %d forward %d", clocks[i], x, y, x ? -1 : forward);
		x = clock_getres(clocks[i], &r);
		say("resolution %d: %ld", x, x ? -1 : r.tv_nsec);
	}
	T(raw(SYS_clock_gettime, GARBAGE(CLOCK_REALTIME), &a));
	T(raw(SYS_clock_gettime, CLOCK_REALTIME, LOW));
	T(raw(SYS_clock_gettime, CLOCK_REALTIME, NULL));
	T(raw(SYS_clock_getres, CLOCK_REALTIME, NULL));
	T(raw(SYS_clock_getres, CLOCK_REALTIME, LOW));
	T(raw(SYS_gettimeofday, &v, &z));
	T(raw(SYS_gettimeofday, NULL, NULL));
	T(raw(SYS_gettimeofday, LOW, NULL));
	T(raw(SYS_gettimeofday, &v, LOW));
	T(gettimeofday(&v, NULL));
	time_t t = 0;
	long again = raw(SYS_time, &t);
	say("time agrees %d, clocks agree %d", again == t, t - v.tv_sec <= 1 && t >= v.tv_sec - 1);
	T(raw(SYS_time, NULL) > 1500000000);
	T(raw(SYS_time, LOW));
	T(time(NULL) >= t);
}

CASE(sleeping, NORMAL, "nanosleep clock_nanosleep")
{
	struct timespec t = { 0, 15000000 }, left = { 7, 7 };
	int64_t start = now();
	T(nanosleep(&t, &left));
	say("slept %d, rest untouched %d", now() - start >= 15000000, left.tv_sec == 7);
	T(raw(SYS_nanosleep, &t, NULL));
	T(raw(SYS_nanosleep, LOW, NULL));
	T(raw(SYS_nanosleep, NULL, NULL));
	start = now();
	TE(clock_nanosleep(CLOCK_MONOTONIC, 0, &t, NULL));
	say("slept %d", now() - start >= 15000000);
	clock_gettime(CLOCK_MONOTONIC, &t);
	t.tv_nsec += 10000000;
	if (t.tv_nsec >= 1000000000) {
		t.tv_sec++;
		t.tv_nsec -= 1000000000;
	}
	TE(clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &t, NULL));
	say("reached %d", now() >= t.tv_sec * 1000000000 + t.tv_nsec);
	TE(clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &(struct timespec){ 1, 0 }, NULL));
	T(raw(SYS_clock_nanosleep, CLOCK_REALTIME, 0, LOW, NULL));
	T(raw(SYS_clock_nanosleep, 99, 0, &left, NULL));
	left.tv_nsec = -1;
	T(nanosleep(&left, NULL));
	left.tv_nsec = 1000000000;
	T(nanosleep(&left, NULL));
	T(usleep(1000));
	left = (struct timespec){ 0, 0 };
	T(raw(SYS_nanosleep, &left, LOW));
}

CASE(usage, NORMAL, "times getrusage")
{
	struct tms a;
	struct rusage u = { 0 };
	TOK(times(&a));
	say("not negative %d", a.tms_utime >= 0 && a.tms_stime >= 0 && a.tms_cutime == 0);
	TOK(raw(SYS_times, NULL));
	T(raw(SYS_times, LOW));
	T(getrusage(RUSAGE_SELF, &u));
	say("memory was used %d", u.ru_maxrss > 0);
	T(getrusage(RUSAGE_CHILDREN, &u));
	T(getrusage(RUSAGE_THREAD, &u));
	T(getrusage(99, &u));
	T(raw(SYS_getrusage, RUSAGE_SELF, LOW));
	T(raw(SYS_getrusage, RUSAGE_SELF, edge(50)));
	TOK(clock());
}

CASE(setting, NORMAL, "clock_settime")
{
	struct timespec early = { 1, 0 }, bad = { 1, -1 };
	T(raw(SYS_clock_settime, CLOCK_MONOTONIC, &early));
	T(raw(SYS_clock_settime, CLOCK_REALTIME, LOW));
	T(raw(SYS_clock_settime, CLOCK_REALTIME, &bad));
}

static volatile sig_atomic_t rang;
static volatile int rang_value;

static void ring(int number)
{
	(void)number;
	rang++;
}

static void ring_with(int number, siginfo_t *i, void *context)
{
	(void)number;
	(void)context;
	rang++;
	rang_value = i->si_code == SI_TIMER ? i->si_value.sival_int : -1;
}

CASE(interval_timers, NORMAL, "getitimer setitimer alarm pause")
{
	/* Repeated: one that came before pause would not end it. */
	struct itimerval v = { { 0, 20000 }, { 0, 20000 } }, old;
	struct sigaction a = { .sa_handler = ring };
	T(sigaction(SIGALRM, &a, NULL));
	T(getitimer(ITIMER_REAL, &old));
	say("nothing set %d", old.it_value.tv_sec == 0 && old.it_value.tv_usec == 0);
	int64_t start = now();
	T(setitimer(ITIMER_REAL, &v, NULL));
	T(pause());
	say("rang %d, late enough %d", rang > 0, now() - start >= 20000000);
	v = (struct itimerval){ { 9, 0 }, { 1000, 0 } };
	T(setitimer(ITIMER_REAL, &v, NULL));
	T(getitimer(ITIMER_REAL, &old));
	say("left %d interval %ld", old.it_value.tv_sec >= 990, (long)old.it_interval.tv_sec);
	T(alarm(500) >= 990);
	T(getitimer(ITIMER_REAL, &old));
	say("replaced %d", old.it_value.tv_sec <= 500 && old.it_interval.tv_sec == 0);
	T(alarm(0) >= 490);
	T(alarm(0));
	T(setitimer(99, &v, NULL));
	T(getitimer(99, &old));
	T(raw(SYS_getitimer, ITIMER_REAL, LOW));
	T(raw(SYS_setitimer, ITIMER_REAL, LOW, NULL));
	v.it_value.tv_usec = -1;
	T(setitimer(ITIMER_REAL, &v, NULL));
	T(raw(SYS_setitimer, ITIMER_REAL, NULL, &old));
	v = (struct itimerval){ { 0, 5000 }, { 0, 5000 } };
	rang = 0;
	T(setitimer(ITIMER_REAL, &v, NULL));
	while (rang < 3)
		pause();
	T(setitimer(ITIMER_REAL, &(struct itimerval){ 0 }, NULL));
	say("rang often %d", rang >= 3);
	a.sa_handler = SIG_DFL;
	T(sigaction(SIGALRM, &a, NULL));
	T(getitimer(ITIMER_VIRTUAL, &old));
	T(getitimer(ITIMER_PROF, &old));
}

CASE(posix_timers, NORMAL, "timer_create timer_settime timer_gettime timer_getoverrun timer_delete rt_sigsuspend")
{
	struct sigaction a = { .sa_sigaction = ring_with, .sa_flags = SA_SIGINFO };
	struct itimerspec t = { { 0, 0 }, { 0, 15000000 } }, old;
	sigset_t block, before;
	int id = -1, second = -1;
	/* The kernel's own form: value, signal, how; the C libraries hide other numbers in it. */
	struct { union sigval value; int signo, notify; char rest[48]; } event = {
		.value = { .sival_int = 77 }, .signo = SIGUSR1, .notify = SIGEV_SIGNAL };
	T(sigaction(SIGUSR1, &a, NULL));
	sigemptyset(&block);
	sigaddset(&block, SIGUSR1);
	T(sigprocmask(SIG_BLOCK, &block, &before));
	T(raw(SYS_timer_create, CLOCK_MONOTONIC, &event, &id));
	T(raw(SYS_timer_gettime, id, &old));
	say("not armed %d", old.it_value.tv_sec == 0 && old.it_value.tv_nsec == 0);
	rang = 0;
	T(raw(SYS_timer_settime, id, 0, &t, NULL));
	T(sigsuspend(&before));
	say("rang %d value %d", rang, rang_value);
	T(raw(SYS_timer_getoverrun, id));
	t.it_value.tv_sec = 1000;
	T(raw(SYS_timer_settime, id, 0, &t, &old));
	T(raw(SYS_timer_settime, id, 0, &(struct itimerspec){ 0 }, &old));
	say("left %d", old.it_value.tv_sec >= 990);
	T(raw(SYS_timer_create, CLOCK_REALTIME, NULL, &second));
	say("another %d", second != id);
	T(raw(SYS_timer_delete, second));
	T(raw(SYS_timer_delete, second));
	T(raw(SYS_timer_create, 99, &event, &second));
	T(raw(SYS_timer_create, CLOCK_REALTIME, LOW, &second));
	T(raw(SYS_timer_create, CLOCK_REALTIME, &event, LOW));
	event.signo = 999;
	T(raw(SYS_timer_create, CLOCK_REALTIME, &event, &second));
	T(raw(SYS_timer_settime, id, 0, LOW, NULL));
	T(raw(SYS_timer_settime, id, 0, NULL, NULL));
	T(raw(SYS_timer_gettime, id, LOW));
	T(raw(SYS_timer_gettime, 12345, &old));
	T(raw(SYS_timer_getoverrun, 12345));
	T(raw(SYS_timer_settime, 12345, 0, &t, NULL));
	T(raw(SYS_timer_delete, id));
	T(sigprocmask(SIG_SETMASK, &before, NULL));
	a.sa_handler = SIG_DFL;
	T(sigaction(SIGUSR1, &a, NULL));
}
