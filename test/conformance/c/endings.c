/* How a program ends: exit codes, and the signals that end it, as its parent sees them. */
#include "check.h"

#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/time.h>

#define DIES(id, calls, ...)     \
	CASE(id, ALONE, calls)   \
	{                        \
		say("before");   \
		__VA_ARGS__;     \
		say("not ended"); \
	}

DIES(exit_3, "exit_group", exit(3))
DIES(exit_256, "exit_group", _exit(256))
DIES(exit_minus, "exit_group", raw(SYS_exit_group, -1))
DIES(exit_thread, "exit", raw(SYS_exit, 42))
DIES(exit_garbage, "exit_group", raw(SYS_exit_group, GARBAGE(7)))
DIES(aborts, "rt_sigprocmask tgkill", abort())
DIES(killed_term, "kill", kill(getpid(), SIGTERM))
DIES(killed_kill, "kill", kill(getpid(), SIGKILL))
DIES(killed_queued, "rt_sigqueueinfo", raw(SYS_rt_sigqueueinfo, getpid(), SIGKILL, (char[128]){ 0 }))
DIES(killed_hup, "tgkill", raise(SIGHUP))
DIES(killed_int, "tgkill", raise(SIGINT))
DIES(killed_usr1, "tgkill", raise(SIGUSR1))
DIES(killed_quit, "tgkill", raise(SIGQUIT))
DIES(killed_alarm, "setitimer pause",
     struct itimerval v = { .it_value = { .tv_usec = 10000 } }; setitimer(ITIMER_REAL, &v, NULL); pause())
DIES(killed_by_default_again, "rt_sigaction tgkill", signal(SIGTERM, SIG_IGN); raise(SIGTERM); say("ignored");
     signal(SIGTERM, SIG_DFL); raise(SIGTERM))
DIES(killed_when_unblocked, "rt_sigprocmask tgkill", sigset_t s; sigemptyset(&s); sigaddset(&s, SIGTERM);
     sigprocmask(SIG_BLOCK, &s, NULL); raise(SIGTERM); say("blocked"); sigprocmask(SIG_UNBLOCK, &s, NULL))
DIES(killed_by_trap_when_unblocked, "rt_sigprocmask tgkill", sigset_t s; sigemptyset(&s); sigaddset(&s, SIGTRAP);
     sigprocmask(SIG_BLOCK, &s, NULL); raise(SIGTRAP); say("blocked"); sigprocmask(SIG_UNBLOCK, &s, NULL))
DIES(fault_null, "mmap", *(volatile int *)LOW = 1)
DIES(fault_read_only, "mmap", *(volatile char *)frozen(4096, 'x') = 1)
DIES(fault_bus, "mmap openat", make_file("f", 10); int fd = open("f", O_RDONLY);
     volatile char *p = mmap(NULL, 8192, PROT_READ, MAP_PRIVATE, fd, 0); say("map %d", p != MAP_FAILED);
     (void)p[5000])
DIES(fault_divide, "write", __asm__ volatile("xor %%ecx, %%ecx\n\tdiv %%ecx" ::: "eax", "ecx", "edx", "cc"))
DIES(fault_illegal, "write", __asm__ volatile("ud2"))
DIES(fault_trap, "write", __asm__ volatile("int3"))
DIES(fault_jump, "write", ((void (*)(void))(uintptr_t)0x10)())
DIES(fault_data_jump, "mmap", char *p = edge(100); memset(p, 0xc3, 100); ((void (*)(void))(uintptr_t)p)())
DIES(fault_while_blocked, "rt_sigprocmask", sigset_t s; sigfillset(&s); sigprocmask(SIG_BLOCK, &s, NULL);
     *(volatile int *)LOW = 1)
DIES(fault_while_ignored, "rt_sigaction", signal(SIGSEGV, SIG_IGN); raise(SIGSEGV); say("ignored");
     *(volatile int *)LOW = 1)
DIES(broken_pipe, "pipe2 write", int p[2]; T(pipe(p)); close(p[0]); T(write(p[1], "x", 1)))
DIES(broken_socket, "socketpair sendto", int s[2]; T(socketpair(AF_UNIX, SOCK_STREAM, 0, s)); close(s[1]);
     T(send(s[0], "x", 1, MSG_NOSIGNAL)); T(send(s[0], "x", 1, 0)))
DIES(file_too_large, "prlimit64 pwrite64", struct rlimit r = { 1 << 20, 1 << 20 };
     T(open("f", O_RDWR | O_CREAT, 0600)); T(setrlimit(RLIMIT_FSIZE, &r)); T(pwrite(3, "x", 1, 1 << 20)))

static volatile int bottom;

static int depth(volatile char *above)
{
	volatile char here[512];
	here[0] = above[0];
	return bottom ? 0 : depth(here) + here[0];
}

DIES(stack_overflow, "mmap", struct rlimit r; getrlimit(RLIMIT_STACK, &r); volatile char c = 0; say("%d", depth(&c)))

static void leave(int number)
{
	_exit(number + 30);
}

DIES(exit_in_handler, "rt_sigaction tgkill exit_group", signal(SIGUSR1, leave); raise(SIGUSR1))
DIES(exit_in_fault_handler, "rt_sigaction exit_group", signal(SIGSEGV, leave); *(volatile int *)LOW = 1)

static void again(int number)
{
	say("in the handler of %d", number);
	*(volatile int *)LOW = 1;
}

/* A fault in the handler of the same fault, which is blocked there, ends the program. */
DIES(fault_in_handler, "rt_sigaction", signal(SIGSEGV, again); *(volatile int *)LOW = 1)

static void farewell(void)
{
	say("at exit");
}

DIES(exit_functions, "exit_group", atexit(farewell); exit(5))

/* Standard output is closed first: nothing may be printed after that, and the code still counts. */
CASE(closed_output, ALONE, "close exit_group")
{
	say("before");
	close(1);
	_exit(write(1, "x", 1) == -1 ? 17 : 18);
}
