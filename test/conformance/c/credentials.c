/* Changes of identity that cannot be taken back; run as root, each in a process of its own. */
#include "check.h"

#include <fcntl.h>
#include <grp.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>

static void tell(void)
{
	int u[3], g[3];
	gid_t groups[16];
	raw(SYS_getresuid, &u[0], &u[1], &u[2]);
	raw(SYS_getresgid, &g[0], &g[1], &g[2]);
	int n = getgroups(16, groups);
	say("user %d %d %d group %d %d %d, %d more, first %d", u[0], u[1], u[2], g[0], g[1], g[2], n,
	    n > 0 ? (int)groups[0] : -1);
}

CASE(drop_for_good, ALONE, "setgroups setgid setuid openat chown kill")
{
	gid_t groups[2] = { 2000, 3000 };
	make_file("secret", 5);
	T(chmod("secret", 0600));
	T(setgroups(2, groups));
	T(raw(SYS_setgroups, 1 << 20, groups));
	T(raw(SYS_setgroups, 2, LOW));
	T(setgid(1000));
	T(setuid(1000));
	tell();
	T(setuid(0));
	T(setgid(0));
	T(setgroups(0, NULL));
	T(open("secret", O_RDONLY));
	T(chown("secret", 1000, 1000));
	T(kill(1, 0));
	T(prctl(PR_GET_DUMPABLE, 0, 0, 0, 0));
}

CASE(drop_and_return, ALONE, "setresuid setresgid setreuid setregid setfsuid setfsgid")
{
	T(setresgid(1000, 1000, 0));
	T(setresuid(1000, 1000, 0));
	tell();
	T(raw(SYS_setfsuid, 0));
	T(raw(SYS_setfsgid, 0));
	T(raw(SYS_setfsgid, -1));
	T(setresuid(0, 0, 0));
	T(setresgid(0, 0, 0));
	tell();
	T(setreuid(500, 600));
	tell();
	T(setregid(0, 700));
	T(setreuid(600, 500));
	tell();
	T(setreuid(0, 0));
}

CASE(seteuid_way, ALONE, "setresuid setresgid openat")
{
	T(mkdir("d", 0700));
	T(setegid(1000));
	T(seteuid(1000));
	tell();
	T(open("d/x", O_CREAT | O_WRONLY, 0600));
	T(seteuid(0));
	T(open("d/x", O_CREAT | O_WRONLY, 0600));
}

CASE(new_session, ALONE, "setsid setpgid getpgid getsid")
{
	T(setpgid(0, 0));
	T(getpgid(0) == getpid());
	T(setpgid(0x3fffffff, 0));
	T(setpgid(0, -1));
	T(setpgid(0, 0x3fffffff));
	T(setsid());
	T(getsid(0) == getpid() || getpgid(0) == getpid());
}

CASE(session_of_its_own, ALONE, "setsid getsid getpgid")
{
	T(setsid() == getpid());
	T(getsid(0) == getpid());
	T(getpgid(0) == getpid());
	T(setsid());
	T(setpgid(0, 0));
	T(open("/dev/tty", O_RDWR));
}

CASE(other_root, ALONE, "chroot chdir newfstatat")
{
	struct stat s;
	T(mkdir("jail", 0755));
	make_file("jail/inside", 3);
	make_file("outside", 3);
	T(chroot("absent"));
	T(raw(SYS_chroot, LOW));
	T(chroot("outside"));
	T(chroot("jail"));
	T(stat("/inside", &s));
	T(stat("/outside", &s));
	T(stat("outside", &s));
	T(chdir("/"));
	T(stat("../outside", &s));
	T(open("/inside", O_RDONLY));
}

/* Files of a tree without /proc. */
CASE(mapped_in_other_root, ALONE, "chroot chdir openat mmap close")
{
	T(mkdir("jail", 0755));
	make_file("jail/f", 4096);
	T(chroot("jail"));
	T(chdir("/"));
	T(open("f", O_RDWR));
	char *data = TP(mmap(NULL, 4096, PROT_READ, MAP_PRIVATE, 3, 0));
	char *shared = TP(mmap(NULL, 4096, PROT_READ, MAP_SHARED, 3, 0));
	char *code = TP(mmap(NULL, 4096, PROT_READ | PROT_EXEC, MAP_PRIVATE, 3, 0));
	T(close(3));
	show("data", data, 6);
	show("shared", shared, 6);
	show("code", code, 6);
	T(open("/proc/self/exe", O_RDONLY));
	T(open("/proc/self/cmdline", O_RDONLY));
	T(readlink("/proc/self/exe", data, 1));
}

/* What /proc shows of the process is no file that the limit of their sizes holds for. Standard output may be one: said later. */
CASE(no_files, NORMAL, "prlimit64 openat read")
{
	static const char *const names[] = { "/proc/self/maps", "/proc/self/smaps", "/proc/self/auxv", "/proc/self/cmdline" };
	struct rlimit r, none;
	char b[16];
	long got[COUNT(names)];

	getrlimit(RLIMIT_FSIZE, &r);
	none = (struct rlimit){ 0, r.rlim_max };
	setrlimit(RLIMIT_FSIZE, &none);
	for (size_t i = 0; i < COUNT(names); i++) {
		int fd = open(names[i], O_RDONLY);
		got[i] = read(fd, b, sizeof b);
		close(fd);
	}
	getrlimit(RLIMIT_FSIZE, &none);
	int fd = open("f", O_WRONLY | O_CREAT, 0600);
	void (*before)(int) = signal(SIGXFSZ, SIG_IGN);
	long written = write(fd, b, 1), error = errno;
	signal(SIGXFSZ, before);
	close(fd);
	setrlimit(RLIMIT_FSIZE, &r);
	for (size_t i = 0; i < COUNT(names); i++)
		say("%s: %ld bytes", names[i], got[i]);
	say("%ld, and as high as before %d", (long)none.rlim_cur, none.rlim_max == r.rlim_max);
	say("written %ld %s", written, errno_name((int)error));
}

CASE(no_new_privileges, ALONE, "prctl")
{
	T(prctl(PR_SET_NO_NEW_PRIVS, 2, 0, 0, 0));
	T(prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0));
	T(prctl(PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0));
	T(prctl(PR_SET_NO_NEW_PRIVS, 0, 0, 0, 0));
	T(prctl(PR_SET_PDEATHSIG, 0));
	T(prctl(PR_SET_CHILD_SUBREAPER, 1));
	T(prctl(PR_CAPBSET_DROP, 20, 0, 0, 0));
	T(prctl(PR_CAPBSET_READ, 20, 0, 0, 0));
}

CASE(lower_limits, ALONE, "prlimit64 setuid")
{
	struct rlimit r = { 50, 60 };
	T(setrlimit(RLIMIT_NOFILE, &r));
	T(getrlimit(RLIMIT_NOFILE, &r));
	say("%ld %ld", (long)r.rlim_cur, (long)r.rlim_max);
	T(setuid(1000));
	r.rlim_max = 70;
	T(setrlimit(RLIMIT_NOFILE, &r));
	r.rlim_cur = r.rlim_max = 55;
	T(setrlimit(RLIMIT_NOFILE, &r));
	T(getpriority(PRIO_PROCESS, 0));
	T(setpriority(PRIO_PROCESS, 0, 3));
	T(setpriority(PRIO_PROCESS, 0, -3));
}
