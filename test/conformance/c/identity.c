/* Who and where a process is, what it may use, and what it asks of the system. Nothing here is changed for good. */
#include "check.h"

#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/random.h>
#include <sys/resource.h>
#include <sys/sysinfo.h>
#include <sys/utsname.h>
#include <sys/wait.h>

extern char **environ;

CASE(numbers, NORMAL, "getpid getppid gettid getpgid getpgrp getsid")
{
	T(getpid() > 1);
	T(raw(SYS_getpid) == getpid());
	T(raw(SYS_gettid) == getpid());
	T(getppid() > 0 && getppid() != getpid());
	T(getppid() == raw(SYS_getppid));
	T(getpgid(0) == getpgrp());
	T(raw(SYS_getpgrp) == getpgid(getpid()));
	T(getsid(0) == getsid(getpid()));
	T(getpgid(0x3fffffff));
	T(getpgid(-1));
	T(getsid(0x3fffffff));
	T(raw(SYS_getpgid, GARBAGE(0)) == getpgrp());
}

CASE(owners_of_process, NORMAL,
     "getuid geteuid getgid getegid getresuid getresgid getgroups setuid setgid setreuid setregid setresuid "
     "setresgid setfsuid setfsgid")
{
	int r = -1, e = -1, s = -1;
	gid_t groups[256];
	T(getuid());
	T(geteuid());
	T(getgid());
	T(getegid());
	T(raw(SYS_getresuid, &r, &e, &s));
	say("%d %d %d", r, e, s);
	T(raw(SYS_getresgid, &r, &e, &s));
	say("%d %d %d", r, e, s);
	T(raw(SYS_getresuid, LOW, &e, &s));
	T(raw(SYS_getresgid, &r, &e, LOW));
	int n = (int)T(getgroups(0, NULL));
	T(getgroups(256, groups) == n);
	T(raw(SYS_getgroups, -1, groups));
	T(n == 0 || raw(SYS_getgroups, 256, LOW) == -1);
	T(raw(SYS_setuid, geteuid()));
	T(raw(SYS_setgid, getegid()));
	T(raw(SYS_setuid, -1));
	T(raw(SYS_setgid, -1));
	T(raw(SYS_setreuid, -1, -1));
	T(raw(SYS_setregid, -1, -1));
	T(raw(SYS_setresuid, -1, -1, -1));
	T(raw(SYS_setresgid, -1, -1, -1));
	T(raw(SYS_setfsuid, geteuid()));
	T(raw(SYS_setfsgid, getegid()));
}

CASE(capabilities, NORMAL, "capget capset")
{
	struct { uint32_t version; int pid; } head = { 0x20080522, 0 };
	uint32_t data[6] = { 0 };
	T(raw(SYS_capget, &head, data));
	say("effective within permitted %d", (data[0] & ~data[1]) == 0 && (data[3] & ~data[4]) == 0);
	T(raw(SYS_capset, &head, data));
	head.version = 1;
	T(raw(SYS_capget, &head, data));
	say("version %#x", head.version);
	head.pid = 0x3fffffff;
	T(raw(SYS_capget, &head, data));
	head.pid = 0;
	T(raw(SYS_capget, LOW, data));
	T(raw(SYS_capget, &head, LOW));
	T(raw(SYS_capset, LOW, data));
	T(raw(SYS_capset, &head, LOW));
}

CASE(controls, NORMAL, "prctl")
{
	char name[32] = { 0 };
	int n = -1;
	T(prctl(PR_SET_NAME, "a name that is too long"));
	T(prctl(PR_GET_NAME, name));
	say("name %s", name);
	T(raw(SYS_prctl, PR_SET_NAME, LOW));
	T(raw(SYS_prctl, PR_GET_NAME, LOW));
	T(prctl(PR_GET_DUMPABLE, 0, 0, 0, 0));
	T(prctl(PR_SET_DUMPABLE, 5, 0, 0, 0));
	T(prctl(PR_SET_DUMPABLE, 0, 0, 0, 0));
	T(prctl(PR_GET_DUMPABLE, 0, 0, 0, 0));
	T(prctl(PR_SET_DUMPABLE, 1, 0, 0, 0));
	T(prctl(PR_GET_PDEATHSIG, &n));
	say("signal %d", n);
	T(prctl(PR_SET_PDEATHSIG, 999));
	T(prctl(PR_GET_KEEPCAPS, 0, 0, 0, 0));
	T(prctl(PR_SET_KEEPCAPS, 1, 0, 0, 0));
	T(prctl(PR_SET_KEEPCAPS, 0, 0, 0, 0));
	T(prctl(PR_CAPBSET_READ, 0, 0, 0, 0));
	T(prctl(PR_CAPBSET_READ, 999, 0, 0, 0));
	T(prctl(PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0));
	T(prctl(PR_GET_SECCOMP, 0, 0, 0, 0));
	T(prctl(PR_GET_CHILD_SUBREAPER, &n));
	say("reaper %d", n);
	TOK(prctl(PR_GET_TIMERSLACK, 0, 0, 0, 0));
	T(prctl(PR_SET_TIMERSLACK, 60000, 0, 0, 0));
	T(prctl(PR_GET_TIMERSLACK, 0, 0, 0, 0));
	T(prctl(PR_GET_TSC, &n));
	say("tsc %d", n);
	T(prctl(987654, 0, 0, 0, 0));
	T(raw(SYS_prctl, GARBAGE(PR_GET_NO_NEW_PRIVS), 0, 0, 0, 0));
}

CASE(thread_area, NORMAL, "arch_prctl set_tid_address set_robust_list")
{
	unsigned long fs = 0, gs = 1;
	static int tid;
	static long robust[3];
	T(raw(SYS_arch_prctl, 0x1003 /* ARCH_GET_FS */, &fs));
	say("thread pointer %d", fs != 0 && *(unsigned long *)fs == fs);
	T(raw(SYS_arch_prctl, 0x1004 /* ARCH_GET_GS */, &gs));
	say("gs %lu", gs);
	T(raw(SYS_arch_prctl, 0x1003, LOW));
	T(raw(SYS_arch_prctl, 0x9999, 0));
	T(raw(SYS_arch_prctl, 0x1002 /* ARCH_SET_FS */, KERNEL));
	T(raw(SYS_set_tid_address, &tid) == getpid());
	robust[0] = (long)robust;
	T(raw(SYS_set_robust_list, robust, 24));
	T(raw(SYS_set_robust_list, robust, 10));
}

CASE(scheduling, NORMAL,
     "getpriority setpriority sched_yield sched_getaffinity sched_setaffinity sched_getscheduler "
     "sched_setscheduler sched_getparam sched_setparam sched_get_priority_max sched_get_priority_min "
     "sched_rr_get_interval getcpu")
{
	unsigned char set[128] = { 0 };
	struct { int priority; } p = { 0 };
	struct timespec t;
	unsigned cpu = 9999, node = 9999;
	T(getpriority(PRIO_PROCESS, 0));
	T(setpriority(PRIO_PROCESS, 0, 5));
	T(raw(SYS_getpriority, PRIO_PROCESS, 0));
	T(nice(2));
	T(getpriority(99, 0));
	T(getpriority(PRIO_PROCESS, 0x3fffffff));
	T(setpriority(99, 0, 0));
	T(sched_yield());
	long n = TOK(raw(SYS_sched_getaffinity, 0, sizeof set, set));
	T(raw(SYS_sched_setaffinity, 0, n, set));
	T(raw(SYS_sched_getaffinity, 0, 1, set));
	T(raw(SYS_sched_getaffinity, 0, sizeof set, LOW));
	T(raw(SYS_sched_getaffinity, 0x3fffffff, sizeof set, set));
	T(raw(SYS_sched_setaffinity, 0, 8, LOW));
	memset(set, 0, sizeof set);
	T(raw(SYS_sched_setaffinity, 0, 8, set));
	T(raw(SYS_sched_getscheduler, 0));
	T(raw(SYS_sched_getscheduler, -1));
	T(raw(SYS_sched_getparam, 0, &p));
	say("priority %d", p.priority);
	T(raw(SYS_sched_getparam, 0, LOW));
	T(raw(SYS_sched_setparam, 0, &p));
	T(raw(SYS_sched_setparam, 0, NULL));
	T(raw(SYS_sched_setscheduler, 0, SCHED_BATCH, &p));
	T(raw(SYS_sched_getscheduler, 0));
	T(raw(SYS_sched_setscheduler, 0, SCHED_OTHER, &p));
	T(raw(SYS_sched_setscheduler, 0, 99, &p));
	T(raw(SYS_sched_get_priority_max, SCHED_FIFO));
	T(raw(SYS_sched_get_priority_min, SCHED_FIFO));
	T(raw(SYS_sched_get_priority_max, 99));
	T(raw(SYS_sched_get_priority_min, 99));
	T(raw(SYS_sched_rr_get_interval, 0, &t));
	T(raw(SYS_sched_rr_get_interval, 0, LOW));
	T(raw(SYS_getcpu, &cpu, &node, NULL));
	say("plausible %d", cpu < 4096 && node < 1024);
	T(raw(SYS_getcpu, LOW, NULL, NULL));
	T(raw(SYS_getcpu, NULL, NULL, NULL));
	T(setpriority(PRIO_PROCESS, 0, 0));
}

CASE(limits, NORMAL, "prlimit64 getrlimit setrlimit")
{
	struct rlimit r, old;
	for (int i = 0; i < 17; i++) {
		r.rlim_cur = r.rlim_max = 1;
		int x = getrlimit(i, &r);
		say("limit %d: %d %ld %ld", i, x, (long)r.rlim_cur, (long)r.rlim_max);
	}
	T(raw(SYS_getrlimit, RLIMIT_NOFILE, &old));
	T(raw(SYS_setrlimit, RLIMIT_NOFILE, &old));
	r = old;
	r.rlim_cur = 100;
	T(raw(SYS_prlimit64, 0, RLIMIT_NOFILE, &r, &old));
	T(raw(SYS_prlimit64, getpid(), RLIMIT_NOFILE, NULL, &r));
	say("now %ld", (long)r.rlim_cur);
	T(raw(SYS_prlimit64, 0, RLIMIT_NOFILE, &old, NULL));
	r.rlim_cur = 10;
	r.rlim_max = 5;
	T(setrlimit(RLIMIT_NOFILE, &r));
	T(getrlimit(99, &r));
	T(raw(SYS_getrlimit, RLIMIT_NOFILE, LOW));
	T(raw(SYS_setrlimit, RLIMIT_NOFILE, LOW));
	T(raw(SYS_prlimit64, 0, RLIMIT_NOFILE, LOW, NULL));
	T(raw(SYS_prlimit64, 0, RLIMIT_NOFILE, NULL, LOW));
	T(raw(SYS_prlimit64, 0x3fffffff, RLIMIT_NOFILE, NULL, &r));
}

CASE(the_system, NORMAL, "uname sysinfo getrandom membarrier")
{
	struct utsname u;
	struct sysinfo s;
	unsigned char a[64] = { 0 }, b[64] = { 0 };
	T(uname(&u));
	say("%s on %s", u.sysname, u.machine);
	T(raw(SYS_uname, LOW));
	T(raw(SYS_uname, edge(100)));
	T(sysinfo(&s));
	say("plausible %d", s.totalram > 0 && s.uptime > 0 && s.procs > 0);
	T(raw(SYS_sysinfo, LOW));
	T(raw(SYS_getrandom, a, 32, 0));
	T(raw(SYS_getrandom, b, 32, GRND_NONBLOCK));
	say("different %d, no more than asked for %d", memcmp(a, b, 32) != 0, a[32] == 0 && b[32] == 0);
	T(raw(SYS_getrandom, a, 0, 0));
	T(raw(SYS_getrandom, LOW, 32, 0));
	T(raw(SYS_getrandom, edge(16), 32, 0));
	T(raw(SYS_getrandom, a, 32, 99));
	T(raw(SYS_membarrier, 0, 0, 0) > 0);
	T(raw(SYS_membarrier, 1 << 20, 0, 0));
}

/* What a single thread may do with futexes: nobody waits, nobody wakes. */
CASE(futexes, NORMAL, "futex")
{
	static uint32_t word = 5;
	struct timespec t = { 0, 5000000 };
	T(raw(SYS_futex, &word, 1 /* WAKE */, 10, NULL, NULL, 0));
	T(raw(SYS_futex, &word, 0 /* WAIT */, 4, &t, NULL, 0));
	T(raw(SYS_futex, &word, 0, 5, &t, NULL, 0));
	T(raw(SYS_futex, &word, 128 | 9 /* PRIVATE WAIT_BITSET, absolute */, 5, &t, NULL, -1));
	T(raw(SYS_futex, (char *)&word + 1, 1, 1, NULL, NULL, 0));
	T(raw(SYS_futex, LOW, 0, 4, &t, NULL, 0));
	T(raw(SYS_futex, &word, 0, 5, LOW, NULL, 0));
	T(raw(SYS_futex, &word, 77, 5, NULL, NULL, 0));
}

/* A process without children. */
CASE(childless, NORMAL, "wait4 waitid")
{
	int status;
	siginfo_t i;
	T(wait(&status));
	T(waitpid(-1, &status, WNOHANG));
	T(raw(SYS_wait4, 0x3fffffff, &status, 0, NULL));
	T(raw(SYS_wait4, -1, &status, 1 << 20, NULL));
	T(waitid(P_ALL, 0, &i, WEXITED));
	T(waitid(P_ALL, 0, &i, 0));
}

static int by_text(const void *a, const void *b)
{
	return strcmp(*(const char *const *)a, *(const char *const *)b);
}

CASE(environment, NORMAL, "read")
{
	char *sorted[256];
	size_t n = 0;
	while (environ[n] && n < COUNT(sorted)) {
		sorted[n] = environ[n];
		n++;
	}
	qsort(sorted, n, sizeof *sorted, by_text);
	for (size_t i = 0; i < n; i++)
		say("%s", sorted[i]);
	char b[8192];
	T(open("/proc/self/environ", O_RDONLY));
	T(read(3, b, 4) >= 0);
}
