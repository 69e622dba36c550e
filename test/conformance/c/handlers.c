/* What the kernel does around a handler: its stack, the mask that it runs with, what its end restores. */
#include "check.h"

#include <alloca.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <sys/epoll.h>
#include <sys/mman.h>
#include <sys/select.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/ucontext.h>
#include <time.h>

#ifndef SS_AUTODISARM
#define SS_AUTODISARM (1u << 31)
#endif
#define STACK 65536

static char trail[64];

static void step(const char *what) { strncat(trail, what, sizeof trail - strlen(trail) - 1); }

static void handle(int number, void (*handler)(int), int flags)
{
	struct sigaction a = { .sa_handler = handler, .sa_flags = flags };
	sigaction(number, &a, NULL);
}

static char *new_stack(void) { return mmap(NULL, STACK, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0); }

static char *first, *second;

static int use(char *stack, unsigned flags)
{
	stack_t s = { .ss_sp = stack, .ss_flags = (int)flags, .ss_size = STACK };
	return (int)raw(SYS_sigaltstack, &s, NULL);
}

static void say_stack(const char *when)
{
	stack_t s;
	memset(&s, 0, sizeof s);
	raw(SYS_sigaltstack, NULL, &s);
	say("%s: flags %#x size %d, %s", when, (unsigned)s.ss_flags, (int)s.ss_size,
	    s.ss_sp == first	? "first"
	    : s.ss_sp == second ? "second"
	    : s.ss_sp		? "other"
				: "none");
}

static void change_inside(int number)
{
	char here;
	(void)number;
	say("on the first %d, on the second %d", &here >= first && &here < first + STACK,
	    &here >= second && &here < second + STACK);
	say_stack("inside");
	T(use(second, 0));
	say_stack("changed");
}

/* An alternate stack that disarms itself is none while its handler runs, and comes back at its end. */
CASE(stack_that_disarms_itself, NORMAL, "sigaltstack tgkill rt_sigreturn")
{
	first = new_stack(), second = new_stack();
	handle(SIGUSR1, change_inside, SA_ONSTACK);
	for (int i = 0; i < 2; i++) {
		T(use(first, i ? 0 : SS_AUTODISARM));
		raise(SIGUSR1);
		say_stack("after");
	}
	T(use(NULL, SS_DISABLE));
	T(use(first, SS_AUTODISARM | SS_ONSTACK));
	say_stack("named in use");
	T(use(first, SS_AUTODISARM | 4));
	T(use(NULL, SS_AUTODISARM | SS_DISABLE));
	say_stack("none that disarms itself");
	T(use(NULL, SS_DISABLE));
	handle(SIGUSR1, SIG_DFL, 0);
}

static unsigned give_flags;
static size_t give_size;

static void give_stack(int number, siginfo_t *i, void *context)
{
	ucontext_t *u = context;
	(void)number;
	(void)i;
	say("was %s", u->uc_stack.ss_sp == first ? "first" : u->uc_stack.ss_sp == second ? "second" : "other");
	u->uc_stack = (stack_t){ .ss_sp = second, .ss_flags = (int)give_flags, .ss_size = give_size };
}

/* The end of a handler sets the alternate stack that its frame names, if it is a good one. */
CASE(stack_from_the_frame, NORMAL, "sigaltstack tgkill rt_sigreturn")
{
	static const struct {
		unsigned flags;
		size_t size;
	} given[] = { { 0, STACK }, { 0, 100 }, { 4, STACK }, { SS_AUTODISARM, STACK }, { SS_DISABLE, STACK } };
	struct sigaction a = { .sa_sigaction = give_stack, .sa_flags = SA_SIGINFO };
	first = new_stack(), second = new_stack();
	sigaction(SIGUSR1, &a, NULL);
	for (size_t i = 0; i < COUNT(given); i++) {
		T(use(first, 0));
		give_flags = given[i].flags, give_size = given[i].size;
		raise(SIGUSR1);
		say_stack("after");
	}
	T(use(NULL, SS_DISABLE));
	handle(SIGUSR1, SIG_DFL, 0);
}

static void nothing(int number) { (void)number; }

static void nearly_full(int number)
{
	char here;
	volatile char *low = alloca((size_t)(&here - first) - 900);
	(void)number;
	low[0] = 1;
	raise(SIGUSR2);
}

/* A frame that does not fit on the alternate stack must not be written below it. */
CASE(stack_overflows, ALONE, "sigaltstack tgkill")
{
	first = new_stack() + STACK / 2;
	stack_t s = { .ss_sp = first, .ss_size = STACK / 2 };
	T(sigaltstack(&s, NULL));
	handle(SIGUSR1, nearly_full, SA_ONSTACK);
	handle(SIGUSR2, nothing, 0);
	raise(SIGUSR1);
	say("not ended");
}

/* Flags that the kernel does not know are gone when they are asked for. */
CASE(flags_unknown, NORMAL, "rt_sigaction")
{
	struct {
		void (*handler)(int);
		unsigned long flags;
		void *restorer;
		unsigned long mask;
	} new = { SIG_IGN, 0xffffffffff00fff8ul & ~0x40000000ul, NULL, 0 }, old = { 0 };
	T(raw(SYS_rt_sigaction, SIGUSR1, &new, NULL, 8));
	T(raw(SYS_rt_sigaction, SIGUSR1, NULL, &old, 8));
	say("flags %#lx", old.flags);
	handle(SIGUSR1, SIG_DFL, 0);
}

/* A handler for once: what is ignored or stops by default interrupts nothing afterwards. */
CASE(once_only, NORMAL, "rt_sigaction timer_create timer_settime timer_delete poll tgkill")
{
	handle(SIGWINCH, nothing, SA_RESETHAND);
	raise(SIGWINCH);
	int id = -1;
	struct sigevent e;
	struct itimerspec then = { .it_value = { .tv_nsec = 20000000 } };
	memset(&e, 0, sizeof e);
	e.sigev_notify = SIGEV_SIGNAL;
	e.sigev_signo = SIGWINCH;
	T(raw(SYS_timer_create, CLOCK_MONOTONIC, &e, &id));
	T(raw(SYS_timer_settime, id, 0, &then, NULL));
	T(raw(SYS_poll, NULL, 0, 200));
	T(raw(SYS_timer_delete, id));
}

static void nested(int number)
{
	(void)number;
	step("2");
}

static void look(int number)
{
	sigset_t now;
	(void)number;
	sigprocmask(SIG_BLOCK, NULL, &now);
	step(sigismember(&now, SIGUSR1) ? "[b" : "[");
	step(sigismember(&now, SIGUSR2) ? "b" : "-");
	step(sigismember(&now, SIGHUP) ? "b" : "-");
	raise(SIGUSR2);
	step("]");
}

/*
 * A call with a mask of its own that a signal ends: the handler runs under that mask, all that it lets in arrives, and
 * the program's comes back at the handler's end.
 */
CASE(mask_of_the_call, NORMAL, "rt_sigsuspend ppoll pselect6 epoll_pwait tgkill rt_sigprocmask rt_sigreturn")
{
	sigset_t all, mask, after;
	struct {
		const void *set;
		size_t bytes;
	} sized = { &mask, 8 };
	struct epoll_event event;
	struct timespec long_time = { 5, 0 };
	int epoll = (int)T(epoll_create1(0));
	handle(SIGUSR1, look, 0);
	handle(SIGUSR2, nested, 0);
	handle(SIGHUP, nested, 0);
	for (int round = 0; round < 3; round++) {
		sigemptyset(&mask);
		if (round != 1)
			sigaddset(&mask, SIGUSR2);
		sigaddset(&mask, round == 2 ? SIGUSR1 : SIGHUP);
		for (int i = 0; i < 4; i++) {
			sigemptyset(&all);
			sigaddset(&all, SIGUSR1);
			sigaddset(&all, SIGHUP);
			sigprocmask(SIG_BLOCK, &all, NULL);
			trail[0] = 0;
			raise(SIGUSR1);
			raise(SIGHUP);
			long r = i == 0	  ? raw(SYS_rt_sigsuspend, &mask, 8)
				 : i == 1 ? raw(SYS_ppoll, NULL, 0, &long_time, &mask, 8)
				 : i == 2 ? raw(SYS_pselect6, 0, NULL, NULL, NULL, &long_time, &sized)
					  : raw(SYS_epoll_pwait, epoll, &event, 1, 5000, &mask, 8);
			sigprocmask(SIG_BLOCK, NULL, &after);
			say("%ld: %s, then %d%d%d", r, trail, sigismember(&after, SIGUSR1),
			    sigismember(&after, SIGUSR2), sigismember(&after, SIGHUP));
			sigprocmask(SIG_UNBLOCK, &all, NULL);
			say("at the end %s", trail);
			long_time = (struct timespec){ 5, 0 };
		}
	}
	T(close(epoll));
	handle(SIGUSR1, SIG_DFL, 0);
	handle(SIGUSR2, SIG_DFL, 0);
	handle(SIGHUP, SIG_DFL, 0);
}

/* A socket with a time-out of its own is not waited for again, whatever SA_RESTART says. */
CASE(timeout_of_the_socket, NORMAL, "recvfrom read setsockopt sendto setitimer")
{
	static char much[1 << 20];
	struct itimerval often = { { 0, 50000 }, { 0, 50000 } }, never = { { 0, 0 }, { 0, 0 } };
	struct timeval patience = { 20, 0 };
	char b[1];
	int s[2];
	T(socketpair(AF_UNIX, SOCK_STREAM, 0, s));
	T(setsockopt(s[0], SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience));
	T(setsockopt(s[0], SOL_SOCKET, SO_SNDTIMEO, &patience, sizeof patience));
	handle(SIGALRM, nothing, SA_RESTART);
	setitimer(ITIMER_REAL, &often, NULL);
	T(recv(s[0], b, 1, 0));
	T(read(s[0], b, 1));
	long n = 0;
	while ((n = send(s[0], much, sizeof much, 0)) > 0)
		;
	say("send %s", errno_name(n < 0 ? errno : 0));
	setitimer(ITIMER_REAL, &never, NULL);
	handle(SIGALRM, SIG_DFL, 0);
	T(close(s[0]));
	T(close(s[1]));
}

static volatile sig_atomic_t stop;

static void say_stop(int number)
{
	(void)number;
	stop = 1;
}

/* A loop of calls that each variant makes for itself meets no other: the signal that ends it comes all the same. */
CASE(loop_of_own_calls, NORMAL, "sched_yield mprotect munmap mmap setitimer")
{
	struct itimerval soon = { .it_value = { .tv_usec = 20000 } };
	char *page = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	handle(SIGALRM, say_stop, 0);
	for (int i = 0; i < 3; i++) {
		stop = 0;
		setitimer(ITIMER_REAL, &soon, NULL);
		while (!stop) {
			if (i == 0)
				sched_yield();
			else if (i == 1)
				mprotect(page, 4096, PROT_READ | PROT_WRITE);
			else
				munmap(mmap(NULL, 4096, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0), 4096);
		}
		say("stopped %d", i);
	}
	munmap(page, 4096);
	handle(SIGALRM, SIG_DFL, 0);
}
