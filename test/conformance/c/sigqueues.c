/* Signals that wait: queued with a value, blocked, let in one after the other. */
#include "check.h"

#include <setjmp.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/time.h>
#include <time.h>

static volatile sig_atomic_t count, last;
static char order[32];

static void note(int number)
{
	count++;
	last = number;
	size_t n = strlen(order);
	if (n + 1 < sizeof order)
		order[n] = number == SIGUSR1 ? '1' : number == SIGUSR2 ? '2' : number == SIGALRM ? 'a' : 'x';
}

/* handle installs a handler with flags; the result is sigaction's. */
static int handle(int number, void (*handler)(int), int flags)
{
	struct sigaction a = { .sa_handler = handler, .sa_flags = flags };
	return sigaction(number, &a, NULL);
}

static volatile int info_code;
static void *volatile carried;
static volatile int carried_number;

static void note_value(int number, siginfo_t *i, void *context)
{
	(void)context;
	note(number);
	info_code = i->si_code;
	carried = i->si_value.sival_ptr;
	carried_number = i->si_value.sival_int;
}

/* queue sends a signal with a value to this process: in its own words, since the C libraries' differ. */
static long queue(int number, int code, union sigval value)
{
	siginfo_t i;
	memset(&i, 0, sizeof i);
	i.si_signo = number;
	i.si_code = code;
	i.si_pid = getpid();
	i.si_uid = getuid();
	i.si_value = value;
	return raw(SYS_rt_sigqueueinfo, getpid(), number, &i);
}

/* A value may be an address, which is another one in each variant: every handler gets its own. */
CASE(queued, NORMAL, "rt_sigqueueinfo rt_tgsigqueueinfo rt_sigtimedwait rt_sigaction timer_create timer_settime timer_delete")
{
	struct sigaction a = { .sa_sigaction = note_value, .sa_flags = SA_SIGINFO };
	static int here, there;
	int local, id = -1;
	struct itimerspec soon = { .it_value = { 0, 1000000 } };
	sigset_t set, old;
	siginfo_t i;
	T(sigaction(SIGUSR1, &a, NULL));
	T(sigaction(SIGRTMIN + 3, &a, NULL));
	T(queue(SIGUSR1, SI_QUEUE, (union sigval){ .sival_int = 4711 }));
	say("code %d number %d", info_code, carried_number);
	T(queue(SIGUSR1, SI_QUEUE, (union sigval){ .sival_ptr = &here }));
	say("own %d", carried == &here);
	T(queue(SIGUSR1, SI_QUEUE, (union sigval){ .sival_ptr = &local }));
	say("own %d", carried == &local);
	T(queue(SIGUSR1, SI_QUEUE, (union sigval){ .sival_ptr = &here }));
	say("own again %d", carried == &here);
	T(queue(SIGUSR1, SI_MESGQ, (union sigval){ .sival_ptr = &there }));
	say("code %d own %d", info_code, carried == &there);
	T(queue(0, SI_QUEUE, (union sigval){ .sival_ptr = &a }));
	T(queue(999, SI_QUEUE, (union sigval){ .sival_ptr = &a }));
	/* real-time signals queue up, with a value each; the last handler runs first */
	sigemptyset(&set);
	sigaddset(&set, SIGRTMIN + 3);
	sigaddset(&set, SIGUSR1);
	T(sigprocmask(SIG_BLOCK, &set, &old));
	for (int n = 1; n <= 3; n++)
		T(queue(SIGRTMIN + 3, SI_QUEUE, (union sigval){ .sival_ptr = (char *)&here + n }));
	count = 0;
	T(sigtimedwait(&set, &i, &(struct timespec){ 0 }) == SIGRTMIN + 3);
	say("waited: code %d offset %ld", i.si_code, (long)((char *)i.si_value.sival_ptr - (char *)&here));
	T(sigprocmask(SIG_SETMASK, &old, NULL));
	say("count %d", count);
	memset(&i, 0, sizeof i);
	i.si_code = SI_QUEUE;
	i.si_pid = getpid();
	i.si_value.sival_ptr = &i;
	T(raw(SYS_rt_tgsigqueueinfo, getpid(), raw(SYS_gettid), SIGUSR1, &i));
	say("own %d", carried == &i);
	T(raw(SYS_rt_tgsigqueueinfo, getpid(), 0x3fffffff, SIGUSR1, &i));
	i.si_value.sival_ptr = NULL; /* an address leaves no process */
	T(raw(SYS_rt_tgsigqueueinfo, -1, -1, SIGUSR1, &i));
	T(raw(SYS_rt_sigqueueinfo, 0x3fffffff, SIGUSR1, &i));
	T(raw(SYS_rt_sigqueueinfo, getpid(), SIGUSR1, LOW));
	/* as the manual page of timer_create(2) has it: the address of the number */
	struct { union sigval value; int signo, notify; char rest[48]; } event = {
		.value = { .sival_ptr = &id }, .signo = SIGUSR1, .notify = SIGEV_SIGNAL };
	T(sigprocmask(SIG_BLOCK, &set, &old));
	T(raw(SYS_timer_create, CLOCK_MONOTONIC, &event, &id));
	T(raw(SYS_timer_settime, id, 0, &soon, NULL));
	T(raw(SYS_rt_sigsuspend, &old, 8));
	say("code %d own %d", info_code, carried == &id);
	T(raw(SYS_timer_settime, id, 0, &soon, NULL));
	T(sigwaitinfo(&set, &i));
	say("code %d own %d", i.si_code, i.si_value.sival_ptr == &id);
	T(raw(SYS_timer_delete, id));
	T(sigprocmask(SIG_SETMASK, &old, NULL));
	/* more addresses than are remembered at a time, one after the other */
	int wrong = 0;
	for (int n = 0; n < 300; n++) {
		queue(SIGUSR1, SI_QUEUE, (union sigval){ .sival_ptr = (char *)&there + n });
		wrong += carried != (char *)&there + n;
	}
	say("wrong %d", wrong);
	T(handle(SIGUSR1, SIG_DFL, 0));
	T(handle(SIGRTMIN + 3, SIG_DFL, 0));
}

static char trail[200];
static volatile int rounds;

/* track writes down which signal it is, and the value that came with it. */
static void track(int number, siginfo_t *i, void *context)
{
	size_t n = strlen(trail);
	(void)context;
	if (n + 3 > sizeof trail)
		return;
	trail[n] = number == SIGUSR1 ? 'u' : number == SIGRTMIN + 3 ? 'r' : number == SIGRTMIN + 4 ? 's' : 'x';
	trail[n + 1] = 'a' + i->si_value.sival_int;
}

static sigset_t three;

/* hold blocks three signals, sends each of the real-time ones `n` times and the other twice. */
static void hold(int n, int others)
{
	sigemptyset(&three);
	sigaddset(&three, SIGUSR1);
	sigaddset(&three, SIGRTMIN + 3);
	sigaddset(&three, SIGRTMIN + 4);
	memset(trail, 0, sizeof trail);
	sigprocmask(SIG_BLOCK, &three, NULL);
	for (int k = 0; k < n; k++) {
		queue(SIGRTMIN + 3, SI_QUEUE, (union sigval){ .sival_int = k });
		if (others)
			queue(SIGRTMIN + 4, SI_QUEUE, (union sigval){ .sival_int = k });
	}
	for (int k = 0; others && k < 2; k++)
		queue(SIGUSR1, SI_QUEUE, (union sigval){ .sival_int = k });
}

static void track_with(int flags, int mask)
{
	struct sigaction a = { .sa_sigaction = track, .sa_flags = SA_SIGINFO | flags };
	if (mask)
		sigfillset(&a.sa_mask);
	sigaction(SIGUSR1, &a, NULL);
	sigaction(SIGRTMIN + 3, &a, NULL);
	sigaction(SIGRTMIN + 4, &a, NULL);
}

/* What is queued has all arrived when the call that lets it in returns: the end of each handler lets the next one in. */
CASE(one_after_another, NORMAL, "rt_sigprocmask rt_sigreturn rt_sigqueueinfo rt_sigsuspend")
{
	static const int flags[] = { 0, SA_NODEFER, SA_RESTART, SA_NODEFER };
	sigset_t none;
	long result;
	int after;
	sigemptyset(&none);
	for (int i = 0; i < 4; i++) {
		track_with(flags[i], i >= 2);
		hold(20, 0);
		result = raw(SYS_rt_sigprocmask, SIG_UNBLOCK, &three, NULL, 8);
		after = (int)strlen(trail);
		say("result %ld, %d: %s", result, after, trail);
		hold(5, 1);
		result = raw(SYS_rt_sigprocmask, SIG_UNBLOCK, &three, NULL, 8);
		after = (int)strlen(trail);
		say("result %ld, %d: %s", result, after, trail);
	}
	/* a mask that is there for one call only lets one in */
	track_with(0, 0);
	hold(3, 0);
	T(raw(SYS_rt_sigsuspend, &none, 8));
	say("%s", trail);
	T(sigprocmask(SIG_UNBLOCK, &three, NULL));
	say("%s", trail);
	T(handle(SIGUSR1, SIG_DFL, 0));
	T(handle(SIGRTMIN + 3, SIG_DFL, 0));
	T(handle(SIGRTMIN + 4, SIG_DFL, 0));
}

/* send_another sends, from a handler that blocks them, what is to come at its end. */
static void send_another(int number)
{
	note(number);
	if (rounds++ == 0)
		for (int k = 0; k < 3; k++) {
			raw(SYS_tgkill, getpid(), raw(SYS_gettid), SIGUSR2);
			queue(SIGRTMIN + 3, SI_QUEUE, (union sigval){ .sival_int = k });
		}
}

CASE(at_the_end_of_a_handler, NORMAL, "tgkill rt_sigreturn rt_sigqueueinfo setitimer getppid")
{
	struct sigaction a = { .sa_handler = send_another };
	struct itimerval once = { .it_value = { .tv_usec = 20000 } };
	long result;
	sigfillset(&a.sa_mask);
	for (int i = 0; i < 2; i++) {
		track_with(0, i);
		T(sigaction(SIGUSR1, &a, NULL));
		T(handle(SIGUSR2, note, 0));
		memset(trail, 0, sizeof trail);
		memset(order, 0, sizeof order);
		rounds = 0;
		result = raw(SYS_tgkill, getpid(), raw(SYS_gettid), SIGUSR1);
		say("result %ld order %s then %s", result, order, trail);
	}
	/* the same where the program makes no call at all */
	T(sigaction(SIGALRM, &a, NULL));
	memset(trail, 0, sizeof trail);
	memset(order, 0, sizeof order);
	rounds = 0;
	T(setitimer(ITIMER_REAL, &once, NULL));
	for (volatile char *last_one = trail + 5; !*last_one;)
		;
	say("order %s then %s", order, trail);
	T(raw(SYS_getppid) == getppid());
	T(handle(SIGALRM, SIG_DFL, 0));
	T(handle(SIGUSR1, SIG_DFL, 0));
	T(handle(SIGUSR2, SIG_DFL, 0));
	T(handle(SIGRTMIN + 3, SIG_DFL, 0));
	T(handle(SIGRTMIN + 4, SIG_DFL, 0));
}

static sigjmp_buf back;
static char *alternate;
static volatile int jumps, away;

static void jump_away(int number)
{
	char here;
	(void)number;
	jumps++;
	away += &here >= alternate && &here < alternate + 65536;
	siglongjmp(back, 1);
}

/* Handlers that never return, and handlers on a stack of their own that do. */
CASE(queued_elsewhere, NORMAL, "rt_sigprocmask rt_sigqueueinfo sigaltstack rt_sigaction")
{
	stack_t s = { 0 };
	alternate = mmap(NULL, 65536, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	s.ss_sp = alternate;
	s.ss_size = 65536;
	T(sigaltstack(&s, NULL));
	T(handle(SIGRTMIN + 3, jump_away, SA_ONSTACK));
	hold(5, 0);
	jumps = away = 0;
	while (sigsetjmp(back, 1), jumps < 5)
		sigprocmask(SIG_UNBLOCK, &three, NULL);
	say("jumps %d, on the other stack %d", jumps, away);
	track_with(SA_ONSTACK, 0);
	hold(5, 1);
	T(sigprocmask(SIG_UNBLOCK, &three, NULL));
	say("%s", trail);
	s.ss_flags = SS_DISABLE;
	T(sigaltstack(&s, NULL));
	T(handle(SIGUSR1, SIG_DFL, 0));
	T(handle(SIGRTMIN + 3, SIG_DFL, 0));
	T(handle(SIGRTMIN + 4, SIG_DFL, 0));
}

/* The numbers of faults, sent while they are blocked, wait as any other signal does. */
CASE(blocked_faults, NORMAL, "rt_sigprocmask rt_sigpending rt_sigsuspend rt_sigtimedwait tgkill kill ppoll")
{
	static const int numbers[] = { SIGTRAP, SIGFPE, SIGILL, SIGBUS, SIGSEGV, SIGSYS };
	struct timespec at_once = { 0, 0 }, later = { 60, 0 };
	sigset_t set, old, pending, none;
	siginfo_t info;
	long result;
	int seen;
	sigemptyset(&none);
	for (size_t i = 0; i < COUNT(numbers); i++) {
		int n = numbers[i];
		say("signal %d", n);
		sigemptyset(&set);
		sigaddset(&set, n);
		T(sigprocmask(SIG_BLOCK, &set, &old));
		/* without a handler: not deadly */
		T(raise(n));
		T(sigpending(&pending));
		say("pending %d", sigismember(&pending, n));
		T(sigtimedwait(&set, &info, &at_once) == n);
		say("own %d code %d", info.si_pid == getpid(), info.si_code);
		T(sigtimedwait(&set, &info, &at_once));
		T(kill(getpid(), n));
		T(handle(n, SIG_IGN, 0));
		T(sigpending(&pending));
		say("pending %d", sigismember(&pending, n));
		/* with one: when it is let through */
		count = 0;
		T(handle(n, note, 0));
		T(raise(n));
		T(raise(n));
		say("count %d", count);
		result = raw(SYS_rt_sigprocmask, SIG_UNBLOCK, &set, NULL, 8);
		seen = count;
		say("result %ld count %d last %d", result, seen, last == n);
		T(sigprocmask(SIG_BLOCK, &set, NULL));
		T(kill(getpid(), n));
		T(raw(SYS_rt_sigsuspend, &none, 8));
		say("count %d", count);
		T(raise(n));
		T(raw(SYS_ppoll, NULL, 0, &later, &none, 8));
		say("count %d", count);
		T(raise(n));
		T(sigprocmask(SIG_SETMASK, &old, NULL));
		say("count %d", count);
		T(handle(n, SIG_DFL, 0));
	}
	/* one that waits disturbs no other call */
	T(sigprocmask(SIG_BLOCK, &set, NULL));
	T(raise(SIGSYS));
	T(nanosleep(&(struct timespec){ 0, 300000000 }, NULL));
	T(handle(SIGSYS, SIG_IGN, 0));
	T(handle(SIGSYS, SIG_DFL, 0));
	T(sigprocmask(SIG_SETMASK, &old, NULL));
}

/* compute takes this much processor time, and makes no call. */
static void compute(int ms)
{
	for (volatile long n = 400000l * ms; n > 0; n--)
		;
}

static void alarm_in(int ms)
{
	struct itimerval once = { .it_value = { ms / 1000, ms % 1000 * 1000 } };
	setitimer(ITIMER_REAL, &once, NULL);
}

/* A signal waits while calls are made that never sleep: they are none of its business. */
CASE(waiting_beside_wakes, NORMAL, "futex setitimer rt_sigaction")
{
	static uint32_t word;
	T(handle(SIGALRM, note, 0));
	for (int i = 0; i < 5; i++) {
		count = 0;
		alarm_in(1);
		compute(10);
		long result = raw(SYS_futex, &word, 1 /* FUTEX_WAKE */, 1, NULL, NULL, 0);
		raw(SYS_getppid);
		say("woken %ld count %d", result, count);
	}
	T(handle(SIGALRM, SIG_DFL, 0));
}

static volatile int repaired;

static void repair(int number, siginfo_t *i, void *context)
{
	(void)number;
	(void)context;
	mprotect((void *)((uintptr_t)i->si_addr & ~4095ul), 4096, PROT_READ | PROT_WRITE);
	repaired++;
}

/* A program that computes gets its signal all the same; what it does next may be a fault. */
CASE(faults_behind_signals, NORMAL, "setitimer rt_sigaction rt_sigreturn")
{
	struct sigaction a = { .sa_sigaction = repair, .sa_flags = SA_SIGINFO };
	volatile char *p = mmap(NULL, 4096, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	T(sigaction(SIGSEGV, &a, NULL));
	T(handle(SIGALRM, note, 0));
	count = repaired = 0;
	alarm_in(20);
	compute(400);
	p[7] = 'f';
	say("value %c repaired %d count %d", p[7], repaired, count);
	T(handle(SIGALRM, SIG_DFL, 0));
	T(handle(SIGSEGV, SIG_DFL, 0));
	munmap((void *)p, 4096);
}
