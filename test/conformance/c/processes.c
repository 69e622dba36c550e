/*
 * More than one process, thread or image, and calls without a row: not yet run under monitoring. Monitored, each case must end at its first
 * call, and say which it was; natively it goes through.
 */
#include "check.h"

#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/wait.h>

/* settle is what a parent does with the result of a fork: the child exits with 21. */
static void settle(long pid)
{
	int status = -1;
	if (pid == 0)
		_exit(21);
	say("forked %d", pid > 0);
	waitpid((pid_t)pid, &status, 0);
	say("status %d", WIFEXITED(status) ? WEXITSTATUS(status) : -1);
}

CASE(by_fork, ENDS, "fork wait4")
{
	settle(raw(SYS_fork));
}

CASE(by_clone, ENDS, "clone wait4")
{
	settle(raw(SYS_clone, SIGCHLD, 0, 0, 0, 0));
}

CASE(by_clone3, ENDS, "clone3 wait4")
{
	uint64_t args[8] = { 0, 0, 0, 0, SIGCHLD };
	settle(raw(SYS_clone3, args, sizeof args));
}

CASE(by_vfork, ENDS, "vfork wait4")
{
	pid_t pid = vfork();
	if (pid == 0)
		_exit(21);
	settle(pid);
}

static volatile int ran;

static int thread(void *argument)
{
	ran = *(int *)argument;
	return 0;
}

CASE(by_thread, ENDS, "clone")
{
	static int argument = 7;
	char *stack = edge(65536);
	int pid = clone(thread, stack + 65536, CLONE_VM | CLONE_FS | CLONE_FILES | CLONE_SIGHAND | CLONE_THREAD | CLONE_SYSVSEM,
			&argument);
	while (pid > 0 && !ran)
		sched_yield();
	say("thread ran %d", ran);
}

CASE(by_exec, ENDS, "execve")
{
	static char *const arguments[] = { "true", NULL };
	raw(SYS_execve, "/bin/true", arguments, arguments + 1);
	say("not replaced");
}

CASE(by_execveat, ENDS, "execveat")
{
	static char *const arguments[] = { "true", NULL };
	raw(SYS_execveat, AT_FDCWD, "/bin/true", arguments, arguments + 1, 0);
	say("not replaced");
}

/* ONE is a case that makes one call and prints what came of it. */
#define ONE(id, call, ...)       \
	CASE(id, ENDS, call)     \
	{                        \
		TOK(__VA_ARGS__); \
	}

/* Changes of what a process can see: harmless arguments, which fail natively. */
ONE(by_unshare, "unshare", raw(SYS_unshare, 1 << 30))
ONE(by_setns, "setns", raw(SYS_setns, -1, 0))
ONE(by_mount, "mount", raw(SYS_mount, "absent", "absent", NULL, 0x1000, NULL))
ONE(by_umount, "umount2", raw(SYS_umount2, "absent", 0))
ONE(by_pivot_root, "pivot_root", raw(SYS_pivot_root, "absent", "absent"))

/* Calls that the table does not list. */
ONE(by_unlisted, "adjtimex", raw(SYS_adjtimex, LOW))
