/* Signals that a program sends itself or gets from its timers: handlers, masks, waiting, interrupted calls. */
#include "check.h"

#include <setjmp.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/ucontext.h>
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

static volatile int info_code, info_own;

static void note_info(int number, siginfo_t *i, void *context)
{
	(void)context;
	note(number);
	info_code = i->si_code;
	info_own = i->si_pid == getpid() && i->si_uid == getuid();
}

/* handle installs a handler with flags; the result is sigaction's. */
static int handle(int number, void (*handler)(int), int flags)
{
	struct sigaction a = { .sa_handler = handler, .sa_flags = flags };
	return sigaction(number, &a, NULL);
}

/* every makes SIGALRM come every `ms` milliseconds, 0 for never: one that comes early is not the last. */
static void every(int ms)
{
	struct itimerval v = { { 0, ms * 1000 }, { 0, ms * 1000 } };
	setitimer(ITIMER_REAL, &v, NULL);
}

static volatile uint32_t word;
static volatile int rings, stops;

static void ring(int signal)
{
	(void)signal;
	if (++rings == 3)
		word = stops;
}

/* A semaphore's wait: the handler is called meanwhile, and what it stored ends the wait. With a time-out it is not made again. */
CASE(futex_wait, NORMAL, "futex setitimer rt_sigaction")
{
	struct itimerval often = { { 0, 50000 }, { 0, 50000 } }, never = { { 0, 0 }, { 0, 0 } };
	struct timespec long_time = { 100, 0 };
	struct sigaction act = { .sa_handler = ring }, old;
	T(sigaction(SIGALRM, &act, &old));
	for (int i = 0; i < 3; i++) {
		if (i == 1)
			act.sa_flags = SA_RESTART;
		T(sigaction(SIGALRM, &act, NULL));
		word = rings = 0;
		stops = i == 1;
		T(setitimer(ITIMER_REAL, &often, NULL));
		T(raw(SYS_futex, &word, 128 /* PRIVATE WAIT */, 0, i == 2 ? &long_time : NULL, NULL, 0));
		T(setitimer(ITIMER_REAL, &never, NULL));
		say("rung %d", rings >= (i == 1 ? 3 : 1));
	}
	T(sigaction(SIGALRM, &old, NULL));
}

CASE(actions, NORMAL, "rt_sigaction rt_sigreturn kill tgkill tkill gettid getpid")
{
	struct sigaction a = { .sa_handler = note, .sa_flags = SA_RESTART }, old;
	count = 0;
	T(sigaction(SIGUSR1, NULL, &old));
	say("default %d", old.sa_handler == SIG_DFL);
	sigaddset(&a.sa_mask, SIGUSR2);
	T(sigaction(SIGUSR1, &a, &old));
	T(sigaction(SIGUSR1, NULL, &old));
	say("handler %d flags %#lx mask %d%d", old.sa_handler == note, (long)old.sa_flags & ~0x04000000L,
	    sigismember(&old.sa_mask, SIGUSR1), sigismember(&old.sa_mask, SIGUSR2));
	T(kill(getpid(), SIGUSR1));
	say("count %d last %d", count, last);
	T(raise(SIGUSR1));
	T(raw(SYS_tgkill, getpid(), raw(SYS_gettid), SIGUSR1));
	T(raw(SYS_tkill, raw(SYS_gettid), SIGUSR1));
	say("count %d", count);
	T(kill(getpid(), 0));
	T(kill(getpid(), 999));
	T(kill(0x3fffffff, 0));
	T(kill(0x3fffffff, SIGUSR1));
	T(raw(SYS_tgkill, getpid(), -1, SIGUSR1));
	T(raw(SYS_tgkill, getpid(), 0x3fffffff, SIGUSR1));
	T(raw(SYS_tkill, -1, SIGUSR1));
	T(raw(SYS_kill, GARBAGE(getpid()), GARBAGE(SIGUSR1)));
	say("count %d", count);
	T(sigaction(999, &a, NULL));
	T(raw(SYS_rt_sigaction, 0, NULL, NULL, 8));
	T(raw(SYS_rt_sigaction, SIGUSR1, NULL, NULL, 7));
	T(raw(SYS_rt_sigaction, SIGUSR1, LOW, NULL, 8));
	T(raw(SYS_rt_sigaction, SIGUSR1, NULL, LOW, 8));
	T(raw(SYS_rt_sigaction, SIGKILL, NULL, edge(32), 8));
	T(sigaction(SIGKILL, &a, NULL));
	T(sigaction(SIGSTOP, &a, NULL));
	T(handle(SIGUSR1, note, SA_RESETHAND));
	T(raise(SIGUSR1));
	T(sigaction(SIGUSR1, NULL, &old));
	say("reset %d", old.sa_handler == SIG_DFL);
	T(handle(SIGUSR1, SIG_IGN, 0));
	count = 0;
	T(raise(SIGUSR1));
	say("count %d", count);
	T(handle(SIGUSR1, SIG_DFL, 0));
	T(raise(SIGCHLD));
	T(raise(SIGURG));
	T(raise(SIGWINCH));
}

/* raise_each installs a handler for each signal, raises it and tells what arrived. */
static void raise_each(const int *numbers, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		last = 0;
		int x = handle(numbers[i], note, 0), y = raise(numbers[i]);
		say("%d: %d %d got %d", numbers[i], x, y, last);
		handle(numbers[i], SIG_DFL, 0);
	}
}

CASE(usual_signals, NORMAL, "rt_sigaction tgkill")
{
	static const int numbers[] = { SIGHUP, SIGINT, SIGQUIT, SIGPIPE, SIGALRM, SIGTERM, SIGUSR1, SIGUSR2, SIGCHLD,
				       SIGWINCH };
	raise_each(numbers, COUNT(numbers));
}

CASE(other_signals, NORMAL, "rt_sigaction tgkill")
{
	static const int numbers[] = { SIGCONT, SIGTTIN, SIGTTOU, SIGURG, SIGIO, SIGPROF, SIGVTALRM, SIGXCPU, SIGXFSZ,
				       SIGPWR, SIGTSTP, SIGABRT };
	raise_each(numbers, COUNT(numbers));
}

/* The numbers of faults, sent by hand. */
CASE(raised_faults, NORMAL, "rt_sigaction tgkill")
{
	static const int numbers[] = { SIGTRAP, SIGFPE, SIGILL, SIGBUS, SIGSEGV, SIGSYS };
	raise_each(numbers, COUNT(numbers));
}

CASE(masks, NORMAL, "rt_sigprocmask rt_sigpending rt_sigsuspend rt_sigtimedwait")
{
	sigset_t set, old, pending;
	siginfo_t i;
	struct timespec t = { 0, 5000000 };
	sigemptyset(&set);
	sigaddset(&set, SIGUSR1);
	sigaddset(&set, SIGUSR2);
	T(handle(SIGUSR1, note, 0));
	T(handle(SIGUSR2, note, 0));
	memset(order, 0, sizeof order);
	count = 0;
	T(sigprocmask(SIG_BLOCK, &set, &old));
	say("before %d%d", sigismember(&old, SIGUSR1), sigismember(&old, SIGUSR2));
	T(raise(SIGUSR2));
	T(raise(SIGUSR1));
	T(raise(SIGUSR1));
	T(sigpending(&pending));
	say("pending %d%d, count %d", sigismember(&pending, SIGUSR1), sigismember(&pending, SIGUSR2), count);
	T(sigprocmask(SIG_SETMASK, &old, &set));
	say("order %s count %d, mask was %d", order, count, sigismember(&set, SIGUSR1));
	T(sigprocmask(SIG_BLOCK, &set, NULL));
	T(raise(SIGUSR1));
	T(sigsuspend(&old));
	say("count %d", count);
	T(sigtimedwait(&set, &i, &t));
	T(raise(SIGUSR2));
	T(sigtimedwait(&set, &i, &t));
	say("signal %d code %d own %d", i.si_signo, i.si_code, i.si_pid == getpid());
	T(kill(getpid(), SIGUSR1));
	T(sigwaitinfo(&set, &i));
	say("signal %d code %d own %d", i.si_signo, i.si_code, i.si_pid == getpid());
	T(raw(SYS_rt_sigprocmask, 99, &set, NULL, 8));
	T(raw(SYS_rt_sigprocmask, SIG_BLOCK, LOW, NULL, 8));
	T(raw(SYS_rt_sigprocmask, SIG_BLOCK, NULL, LOW, 8));
	T(raw(SYS_rt_sigprocmask, SIG_BLOCK, &set, NULL, 9));
	T(raw(SYS_rt_sigprocmask, GARBAGE(99), NULL, NULL, 8));
	T(raw(SYS_rt_sigpending, LOW, 8));
	T(raw(SYS_rt_sigpending, &set, 9));
	T(raw(SYS_rt_sigsuspend, LOW, 8));
	T(raw(SYS_rt_sigsuspend, &set, 7));
	T(raw(SYS_rt_sigtimedwait, LOW, NULL, &t, 8));
	T(raw(SYS_rt_sigtimedwait, &set, LOW, &t, 8));
	T(raw(SYS_rt_sigtimedwait, &set, NULL, LOW, 8));
	t.tv_nsec = -1;
	T(raw(SYS_rt_sigtimedwait, &set, NULL, &t, 8));
	/* Signals that no one may block. */
	sigfillset(&set);
	T(sigprocmask(SIG_SETMASK, &set, NULL));
	T(sigprocmask(SIG_SETMASK, &old, &set));
	int full = 0;
	for (int n = 1; n < 32; n++)
		full += sigismember(&set, n) == 1;
	say("blocked %d, kill %d, stop %d, SIGSYS %d, SIGSEGV %d", full, sigismember(&set, SIGKILL),
	    sigismember(&set, SIGSTOP), sigismember(&set, SIGSYS), sigismember(&set, SIGSEGV));
	T(handle(SIGUSR1, SIG_DFL, 0));
	T(handle(SIGUSR2, SIG_DFL, 0));
}

CASE(informed, NORMAL, "rt_sigaction kill tgkill")
{
	struct sigaction a = { .sa_sigaction = note_info, .sa_flags = SA_SIGINFO };
	T(sigaction(SIGUSR1, &a, NULL));
	T(kill(getpid(), SIGUSR1));
	say("code %d own %d", info_code, info_own);
	T(raise(SIGUSR1));
	say("code %d own %d", info_code, info_own);
	a.sa_handler = SIG_DFL;
	T(sigaction(SIGUSR1, &a, NULL));
}

/* A program that makes no call gets its signal all the same. */
CASE(spinning, NORMAL, "setitimer rt_sigaction rt_sigreturn")
{
	struct sigaction a = { .sa_sigaction = note_info, .sa_flags = SA_SIGINFO };
	last = 0;
	T(sigaction(SIGALRM, &a, NULL));
	every(20);
	while (last != SIGALRM)
		;
	every(0);
	say("code %d", info_code);
	T(handle(SIGALRM, SIG_DFL, 0));
}

/* A signal interrupts a blocking call; with SA_RESTART some calls go on and some do not. */
CASE(interrupted, NORMAL, "setitimer read recvfrom poll clock_nanosleep pause rt_sigaction rt_sigreturn")
{
	int p[2], s[2];
	char b[8];
	struct timespec t = { 5, 0 }, left = { 0, 0 };
	count = 0;
	T(pipe(p));
	T(socketpair(AF_UNIX, SOCK_STREAM, 0, s));
	T(handle(SIGALRM, note, 0));
	every(30);
	T(read(p[0], b, 1));
	T(recv(s[0], b, 1, 0));
	T(nanosleep(&t, &left));
	say("left %d", left.tv_sec == 4 && left.tv_nsec > 0);
	/* An absolute sleep writes no time left. */
	static const struct timespec fixed = { 1, 1 };
	struct timespec end;
	clock_gettime(CLOCK_MONOTONIC, &end);
	end.tv_sec += 5;
	T(raw(SYS_clock_nanosleep, CLOCK_MONOTONIC, TIMER_ABSTIME, &end, &fixed));
	T(pause());
	T(raw(SYS_poll, NULL, 0, 5000));
	T(handle(SIGALRM, note, SA_RESTART));
	T(raw(SYS_poll, NULL, 0, 5000));
	T(nanosleep(&t, &left));
	every(0);
	say("enough %d", count >= 7);
	T(handle(SIGALRM, SIG_DFL, 0));
}

static int feed = -1;

static void feeder(int number)
{
	note(number);
	if (write(feed, "f", 1) != 1)
		last = -1;
}

CASE(restarted, NORMAL, "read setitimer rt_sigaction rt_sigreturn write clock_nanosleep")
{
	int p[2];
	char b[1];
	struct timespec t = { 0, 60000000 };
	count = 0;
	T(pipe(p));
	feed = p[1];
	T(handle(SIGALRM, feeder, SA_RESTART));
	every(30);
	T(read(p[0], b, 1));
	every(0);
	say("fed %d", count >= 1 && last == SIGALRM);
	/* Ignored signals interrupt nothing. */
	T(handle(SIGALRM, SIG_IGN, 0));
	every(10);
	int64_t start = now();
	T(nanosleep(&t, NULL));
	say("slept %d", now() - start >= 60000000);
	every(0);
	T(handle(SIGALRM, SIG_DFL, 0));
}

/* A partial transfer wins over the interruption. */
CASE(interrupted_write, NORMAL, "write setitimer")
{
	int p[2];
	T(pipe(p));
	T(handle(SIGALRM, note, 0));
	every(30);
	T(write(p[1], frozen(100000, 'w'), 100000));
	T(write(p[1], "x", 1));
	every(0);
	T(handle(SIGALRM, SIG_DFL, 0));
}

CASE(nested, NORMAL, "rt_sigaction tgkill rt_sigprocmask")
{
	struct sigaction a = { .sa_handler = note };
	sigset_t both;
	memset(order, 0, sizeof order);
	sigemptyset(&both);
	sigaddset(&both, SIGUSR1);
	sigaddset(&both, SIGUSR2);
	T(sigaction(SIGUSR1, &a, NULL));
	T(sigaction(SIGUSR2, &a, NULL));
	T(sigprocmask(SIG_BLOCK, &both, NULL));
	T(raise(SIGUSR1));
	T(raise(SIGUSR2));
	T(sigprocmask(SIG_UNBLOCK, &both, NULL));
	say("order %s", order);
	memset(order, 0, sizeof order);
	a.sa_mask = both;
	T(sigaction(SIGUSR1, &a, NULL));
	T(sigaction(SIGUSR2, &a, NULL));
	T(sigprocmask(SIG_BLOCK, &both, NULL));
	T(raise(SIGUSR1));
	T(raise(SIGUSR2));
	T(sigprocmask(SIG_UNBLOCK, &both, NULL));
	say("order %s", order);
	a.sa_handler = SIG_DFL;
	T(sigaction(SIGUSR1, &a, NULL));
	T(sigaction(SIGUSR2, &a, NULL));
}

static char *alternate;
static volatile int on_alternate, flags_inside;

static void where(int number)
{
	char here;
	stack_t s;
	(void)number;
	on_alternate = &here >= alternate && &here < alternate + 65536;
	if (sigaltstack(NULL, &s) == 0)
		flags_inside = s.ss_flags;
	stack_t other = { .ss_sp = alternate, .ss_size = 65536 };
	if (on_alternate && sigaltstack(&other, NULL) == 0)
		flags_inside = -1;
}

CASE(alternate_stack, NORMAL, "sigaltstack rt_sigaction tgkill")
{
	stack_t s = { 0 }, old;
	alternate = mmap(NULL, 65536, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	T(sigaltstack(NULL, &old));
	say("flags %d", old.ss_flags);
	s.ss_sp = alternate;
	s.ss_size = 65536;
	T(sigaltstack(&s, &old));
	T(sigaltstack(NULL, &old));
	say("same %d flags %d", old.ss_sp == s.ss_sp && old.ss_size == s.ss_size, old.ss_flags);
	T(handle(SIGUSR1, where, SA_ONSTACK));
	T(raise(SIGUSR1));
	say("on it %d flags %d", on_alternate, flags_inside);
	T(handle(SIGUSR1, where, 0));
	T(raise(SIGUSR1));
	say("on it %d flags %d", on_alternate, flags_inside);
	s.ss_size = 100;
	T(raw(SYS_sigaltstack, &s, NULL));
	s.ss_flags = 99;
	T(raw(SYS_sigaltstack, &s, NULL));
	T(raw(SYS_sigaltstack, LOW, NULL));
	T(raw(SYS_sigaltstack, NULL, LOW));
	s.ss_flags = SS_DISABLE;
	T(sigaltstack(&s, NULL));
	T(sigaltstack(NULL, &old));
	say("flags %d", old.ss_flags);
	T(handle(SIGUSR1, SIG_DFL, 0));
}

static sigjmp_buf back;
static volatile int fault_code, fault_here;
static char *volatile fault_at;

static void caught(int number, siginfo_t *i, void *context)
{
	(void)context;
	fault_code = i->si_code;
	fault_here = i->si_addr == fault_at;
	siglongjmp(back, number);
}

CASE(faults_caught, NORMAL, "rt_sigaction rt_sigprocmask")
{
	struct sigaction a = { .sa_sigaction = caught, .sa_flags = SA_SIGINFO };
	static const int numbers[] = { SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGTRAP };
	for (size_t i = 0; i < COUNT(numbers); i++)
		sigaction(numbers[i], &a, NULL);
	char *p = mmap(NULL, 4096, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	int n;
	fault_at = p;
	if ((n = sigsetjmp(back, 1)) == 0)
		*(volatile char *)p = 1;
	say("signal %d code %d address %d", n, fault_code, fault_here);
	fault_at = NULL;
	if ((n = sigsetjmp(back, 1)) == 0)
		*(volatile char *)fault_at;
	say("signal %d code %d address %d", n, fault_code, fault_here);
	if ((n = sigsetjmp(back, 1)) == 0)
		__asm__ volatile("xor %%ecx, %%ecx\n\tdiv %%ecx" ::: "eax", "ecx", "edx", "cc");
	say("signal %d code %d", n, fault_code);
	if ((n = sigsetjmp(back, 1)) == 0)
		__asm__ volatile("ud2");
	say("signal %d code %d", n, fault_code);
	if ((n = sigsetjmp(back, 1)) == 0)
		__asm__ volatile("int3");
	say("signal %d code %d", n, fault_code);
	if ((n = sigsetjmp(back, 1)) == 0)
		__asm__ volatile("hlt");
	say("signal %d code %d", n, fault_code);
	for (size_t i = 0; i < COUNT(numbers); i++)
		handle(numbers[i], SIG_DFL, 0);
}

/* A handler that repairs the cause and returns; one that skips the instruction by the saved registers. */
static void repair(int number, siginfo_t *i, void *context)
{
	(void)number;
	(void)context;
	mprotect((void *)((uintptr_t)i->si_addr & ~4095ul), 4096, PROT_READ | PROT_WRITE);
	count++;
}

static void skip(int number, siginfo_t *i, void *context)
{
	ucontext_t *u = context;
	(void)number;
	(void)i;
	u->uc_mcontext.gregs[REG_RIP] += 2;
	u->uc_mcontext.gregs[REG_RAX] = 1234;
	count++;
}

CASE(faults_repaired, NORMAL, "rt_sigaction rt_sigreturn mprotect")
{
	struct sigaction a = { .sa_sigaction = repair, .sa_flags = SA_SIGINFO };
	volatile char *p = mmap(NULL, 4096, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	count = 0;
	T(sigaction(SIGSEGV, &a, NULL));
	p[5] = 'r';
	say("value %c count %d", p[5], count);
	a.sa_sigaction = skip;
	T(sigaction(SIGILL, &a, NULL));
	long rax = 1;
	__asm__ volatile("ud2" : "+a"(rax));
	say("register %ld count %d", rax, count);
	T(handle(SIGSEGV, SIG_DFL, 0));
	T(handle(SIGILL, SIG_DFL, 0));
}

/* Handlers see and may change what the program was doing; vector registers and flags survive. */
CASE(registers_survive, NORMAL, "tgkill rt_sigreturn getppid")
{
	double sum = 0, x = 1.5;
	count = 0;
	T(handle(SIGUSR1, note, 0));
	for (int i = 0; i < 50; i++) {
		sum += x * i;
		if (i % 10 == 0)
			raise(SIGUSR1);
		raw(SYS_getppid);
	}
	say("sum %d count %d", (int)sum, count);
	unsigned long r[6] = { 11, 12, 13, 14, 15, 16 };
	long number = SYS_getppid;
	__asm__ volatile("mov $11, %%rbx\n\tmov $12, %%r12\n\tmov $13, %%r13\n\tmov $14, %%r14\n\tmov $15, %%r15\n\t"
			 "mov $16, %%r10\n\tsyscall\n\t"
			 "mov %%rbx, 0(%1)\n\tmov %%r12, 8(%1)\n\tmov %%r13, 16(%1)\n\tmov %%r14, 24(%1)\n\t"
			 "mov %%r15, 32(%1)\n\tmov %%r10, 40(%1)"
			 : "+a"(number) : "D"(r)
			 : "rbx", "r12", "r13", "r14", "r15", "r10", "rcx", "r11", "memory");
	say("registers %lu %lu %lu %lu %lu %lu", r[0], r[1], r[2], r[3], r[4], r[5]);
	T(number == getppid());
	T(handle(SIGUSR1, SIG_DFL, 0));
}
