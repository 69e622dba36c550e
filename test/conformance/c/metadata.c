/* What the file system says about files: stat and its kin, modes, owners, times, attributes, whole systems. */
#include "check.h"

#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/statfs.h>
#include <sys/sysmacros.h>
#include <sys/time.h>
#include <sys/xattr.h>
#include <utime.h>

static void tell(const struct stat *s)
{
	say("type %o mode %o links %ld owner %d:%d size %ld block %ld", s->st_mode & S_IFMT, s->st_mode & 07777,
	    S_ISDIR(s->st_mode) ? 0L : (long)s->st_nlink, s->st_uid, s->st_gid,
	    S_ISDIR(s->st_mode) ? 0L : (long)s->st_size, (long)s->st_blksize);
}

CASE(stats, NORMAL, "stat lstat fstat newfstatat")
{
	struct stat s, t;
	make_file("f", 123);
	T(symlink("f", "l"));
	T(stat("f", &s));
	tell(&s);
	T(lstat("l", &s));
	tell(&s);
	T(stat("l", &t));
	tell(&t);
	T(open("f", O_RDONLY));
	T(fstat(3, &s));
	say("same file %d", s.st_ino == t.st_ino && s.st_dev == t.st_dev && s.st_mtime == t.st_mtime);
	T(raw(SYS_stat, "f", &s));
	tell(&s);
	T(raw(SYS_lstat, "l", &s));
	tell(&s);
	T(raw(SYS_fstat, 3, &s));
	tell(&s);
	T(raw(SYS_fstat, GARBAGE(3), &s));
	T(stat("absent", &s));
	T(stat("f/x", &s));
	T(lstat("", &s));
	T(fstat(99, &s));
	T(raw(SYS_stat, LOW, &s));
	T(raw(SYS_stat, "f", LOW));
	T(raw(SYS_lstat, "f", NULL));
	T(raw(SYS_fstat, 3, edge(100)));
	T(fstatat(AT_FDCWD, "l", &s, AT_SYMLINK_NOFOLLOW));
	tell(&s);
	T(fstatat(3, "", &s, AT_EMPTY_PATH));
	tell(&s);
	T(fstatat(99, "f", &s, 0));
	T(fstatat(AT_FDCWD, "f", &s, 1 << 20));
	T(raw(SYS_newfstatat, AT_FDCWD, "f", LOW, 0));
	T(raw(SYS_newfstatat, AT_FDCWD, WILD, &s, 0));
	T(stat("/dev/null", &s));
	say("device %d:%d", major(s.st_rdev), minor(s.st_rdev));
	T(stat("/", &s));
	tell(&s);
	int p[2];
	T(pipe(p));
	T(fstat(p[0], &s));
	tell(&s);
	T(open("f", O_PATH));
	T(fstat(6, &s));
	tell(&s);
}

/* statx by number only: musl and the kernel's own header each miss a part. */
CASE(statxes, NORMAL, "statx")
{
	uint32_t x[64] = { 0 };
	make_file("f", 77);
	T(raw(SYS_statx, AT_FDCWD, "f", 0, 0x7ff, x));
	say("mask has basics %d, mode %o, size %u", (x[0] & 0x7ff) == 0x7ff, ((uint16_t *)x)[14], x[10]);
	T(raw(SYS_statx, AT_FDCWD, "absent", 0, 0x7ff, x));
	T(raw(SYS_statx, 99, "f", 0, 0x7ff, x));
	T(raw(SYS_statx, AT_FDCWD, "f", 0, 0x80000000u, x));
	T(raw(SYS_statx, AT_FDCWD, "f", 1 << 20, 0x7ff, x));
	T(raw(SYS_statx, AT_FDCWD, "f", 0, 0x7ff, LOW));
	T(raw(SYS_statx, AT_FDCWD, "f", 0, 0x7ff, edge(200)));
	T(raw(SYS_statx, AT_FDCWD, LOW, 0, 0x7ff, x));
	T(open("f", O_RDONLY));
	T(raw(SYS_statx, 3, "", AT_EMPTY_PATH, 0x7ff, x));
	T(raw(SYS_statx, GARBAGE(3), "", GARBAGE(AT_EMPTY_PATH), GARBAGE(0x7ff & ~0x80000000u), x));
}

CASE(accesses, NORMAL, "access faccessat faccessat2")
{
	make_file("f", 1);
	T(access("f", F_OK));
	T(access("f", R_OK | W_OK));
	T(access("f", X_OK));
	T(access("absent", F_OK));
	T(access("f", 77));
	T(raw(SYS_access, LOW, F_OK));
	T(raw(SYS_access, "f", GARBAGE(R_OK)));
	T(faccessat(AT_FDCWD, "f", R_OK, 0));
	T(raw(SYS_faccessat, AT_FDCWD, "f", X_OK));
	T(raw(SYS_faccessat, 99, "f", F_OK));
	T(raw(SYS_faccessat, AT_FDCWD, NULL, F_OK));
	T(raw(SYS_faccessat2, AT_FDCWD, "f", R_OK, AT_EACCESS));
	T(raw(SYS_faccessat2, AT_FDCWD, "f", R_OK, 1 << 20));
	T(raw(SYS_faccessat2, 99, "f", R_OK, 0));
	T(raw(SYS_faccessat2, AT_FDCWD, LOW, R_OK, 0));
}

static long mode_of(const char *path)
{
	struct stat s;
	return stat(path, &s) == 0 ? (long)(s.st_mode & 07777) : -1;
}

CASE(modes, NORMAL, "chmod fchmod fchmodat umask openat mkdir")
{
	make_file("f", 1);
	T(chmod("f", 0600));
	T(mode_of("f"));
	T(chmod("absent", 0600));
	T(raw(SYS_chmod, LOW, 0600));
	T(raw(SYS_chmod, "f", GARBAGE(04755)));
	T(mode_of("f"));
	T(open("f", O_RDONLY));
	T(fchmod(3, 0444));
	T(mode_of("f"));
	T(fchmod(99, 0444));
	T(raw(SYS_fchmod, GARBAGE(3), 0640));
	T(fchmodat(AT_FDCWD, "f", 0711, 0));
	T(mode_of("f"));
	T(raw(SYS_fchmodat, 99, "f", 0711));
	T(raw(SYS_fchmodat, AT_FDCWD, WILD, 0711));
	mode_t old = umask(077);
	T(umask(027));
	T(open("g", O_CREAT | O_WRONLY, 0666));
	T(mode_of("g"));
	T(mkdir("d", 0777));
	T(mode_of("d"));
	T(raw(SYS_umask, GARBAGE(0777777)));
	T(umask(old));
}

static void owner_of(const char *path)
{
	struct stat s;
	if (lstat(path, &s) == 0)
		say("%s owned by %d:%d", path, s.st_uid, s.st_gid);
}

CASE(owners, NORMAL, "chown fchown lchown fchownat")
{
	make_file("f", 1);
	T(symlink("f", "l"));
	T(chown("f", 1000, 2000));
	owner_of("f");
	T(chown("f", (uid_t)-1, 3000));
	owner_of("f");
	T(chown("absent", 1, 1));
	T(raw(SYS_chown, LOW, 1, 1));
	T(raw(SYS_chown, "f", GARBAGE(5), GARBAGE(6)));
	owner_of("f");
	T(lchown("l", 7, 8));
	T(raw(SYS_lchown, NULL, 7, 8));
	owner_of("l");
	owner_of("f");
	T(open("f", O_RDONLY));
	T(fchown(3, 9, 10));
	T(fchown(99, 9, 10));
	owner_of("f");
	T(fchownat(AT_FDCWD, "l", 11, 12, AT_SYMLINK_NOFOLLOW));
	T(fchownat(AT_FDCWD, "f", 11, 12, 1 << 20));
	T(fchownat(99, "f", 11, 12, 0));
	T(raw(SYS_fchownat, AT_FDCWD, LOW, 11, 12, 0));
	T(fchownat(3, "", 13, 14, AT_EMPTY_PATH));
	owner_of("l");
	owner_of("f");
}

static void times_of(const char *path)
{
	struct stat s;
	if (lstat(path, &s) == 0)
		say("%s accessed %ld.%09ld modified %ld.%09ld", path, (long)s.st_atim.tv_sec, s.st_atim.tv_nsec,
		    (long)s.st_mtim.tv_sec, s.st_mtim.tv_nsec);
}

CASE(file_times, NORMAL, "utimensat utimes utime futimesat")
{
	struct timespec t[2] = { { 1000, 5000 }, { 2000, 7000 } };
	struct timeval v[2] = { { 3000, 1 }, { 4000, 2 } };
	struct utimbuf u = { 5000, 6000 };
	struct stat s;
	make_file("f", 1);
	T(symlink("f", "l"));
	T(utimensat(AT_FDCWD, "f", t, 0));
	times_of("f");
	T(raw(SYS_utimes, "f", v));
	times_of("f");
	T(raw(SYS_utime, "f", &u));
	times_of("f");
	T(raw(SYS_futimesat, AT_FDCWD, "f", v));
	times_of("f");
	T(raw(SYS_utimes, LOW, v));
	T(raw(SYS_utimes, "f", LOW));
	T(raw(SYS_utime, "absent", &u));
	T(raw(SYS_utime, "f", LOW));
	T(raw(SYS_futimesat, 99, "f", v));
	T(raw(SYS_futimesat, AT_FDCWD, "f", LOW));
	T(utimensat(AT_FDCWD, "l", t, AT_SYMLINK_NOFOLLOW));
	times_of("l");
	T(open("f", O_RDWR));
	T(raw(SYS_utimensat, 3, NULL, t, 0));
	times_of("f");
	t[0].tv_nsec = UTIME_OMIT;
	t[1].tv_sec = 9000;
	T(utimensat(AT_FDCWD, "f", t, 0));
	times_of("f");
	t[0].tv_nsec = 2000000000;
	T(utimensat(AT_FDCWD, "f", t, 0));
	T(utimensat(99, "f", NULL, 0));
	T(utimensat(AT_FDCWD, "absent", NULL, 0));
	T(raw(SYS_utimensat, AT_FDCWD, "f", LOW, 0));
	T(utimensat(AT_FDCWD, "f", NULL, 0));
	T(stat("f", &s));
	say("recent %d", s.st_mtim.tv_sec > 1500000000);
}

CASE(file_systems, NORMAL, "statfs fstatfs")
{
	struct statfs a, b;
	T(statfs(".", &a));
	T(open(".", O_RDONLY));
	T(fstatfs(3, &b));
	say("same %d, names to %ld", a.f_type == b.f_type && a.f_blocks == b.f_blocks, (long)a.f_namelen);
	T(statfs("/proc", &a));
	say("proc %#lx", (long)a.f_type);
	T(statfs("absent", &a));
	T(fstatfs(99, &a));
	T(raw(SYS_statfs, LOW, &a));
	T(raw(SYS_statfs, ".", LOW));
	T(raw(SYS_fstatfs, 3, edge(50)));
	T(raw(SYS_fstatfs, GARBAGE(3), &a));
}

CASE(attributes, NORMAL,
     "setxattr lsetxattr fsetxattr getxattr lgetxattr fgetxattr listxattr llistxattr flistxattr "
     "removexattr lremovexattr fremovexattr")
{
	char b[64];
	make_file("f", 1);
	T(symlink("f", "l"));
	T(open("f", O_RDONLY));
	T(setxattr("f", "user.one", "value", 5, 0));
	T(setxattr("f", "user.one", "again", 5, XATTR_CREATE));
	T(setxattr("f", "user.two", "value", 5, XATTR_REPLACE));
	T(setxattr("f", "nonsense", "value", 5, 0));
	T(setxattr("absent", "user.one", "v", 1, 0));
	T(raw(SYS_setxattr, "f", "user.x", LOW, 5, 0));
	T(raw(SYS_setxattr, "f", LOW, "v", 1, 0));
	T(raw(SYS_setxattr, "f", "user.x", "v", 1 << 20, 0));
	T(raw(SYS_setxattr, "f", "user.x", "v", 1, 99));
	T(lsetxattr("l", "user.l", "v", 1, 0));
	T(fsetxattr(3, "user.fd", "by fd", 5, 0));
	T(fsetxattr(99, "user.fd", "by fd", 5, 0));
	show("one", b, T(getxattr("f", "user.one", b, sizeof b)));
	T(getxattr("f", "user.one", NULL, 0));
	T(getxattr("f", "user.one", b, 2));
	T(getxattr("f", "user.none", b, sizeof b));
	T(raw(SYS_getxattr, "f", "user.one", LOW, 10));
	T(raw(SYS_getxattr, LOW, "user.one", b, 10));
	T(lgetxattr("l", "user.one", b, sizeof b));
	show("fd", b, T(fgetxattr(3, "user.fd", b, sizeof b)));
	T(fgetxattr(99, "user.fd", b, sizeof b));
	T(listxattr("f", b, sizeof b));
	T(listxattr("f", NULL, 0));
	T(listxattr("f", b, 3));
	T(raw(SYS_listxattr, "f", LOW, 64));
	T(llistxattr("l", b, sizeof b));
	T(flistxattr(3, b, sizeof b));
	T(flistxattr(99, b, sizeof b));
	T(removexattr("f", "user.one"));
	T(removexattr("f", "user.one"));
	T(raw(SYS_removexattr, "f", LOW));
	T(lremovexattr("l", "user.one"));
	T(fremovexattr(3, "user.fd"));
	T(fremovexattr(99, "user.fd"));
	T(listxattr("f", b, sizeof b));
}

/* What a program may ask about itself in /proc. */
CASE(own_proc, NORMAL, "readlink openat read access")
{
	char b[4096], link[64];
	long n = readlink("/proc/self/exe", b, sizeof b - 1);
	b[n > 0 ? n : 0] = 0;
	say("exe ends in %s", strrchr(b, '/') ? strrchr(b, '/') : b);
	T(open("/proc/self/exe", O_RDONLY));
	T(read(3, b, 4));
	show("magic", b, 4);
	T(open("/proc/self/comm", O_RDONLY));
	n = read(4, b, sizeof b);
	show("comm", b, n);
	T(open("/proc/self/cmdline", O_RDONLY));
	n = read(5, b, sizeof b);
	say("arguments %d", (int)(n > 0 && memchr(b, 0, (size_t)n) != NULL));
	make_file("f", 3);
	T(open("f", O_RDONLY));
	n = readlink("/proc/self/fd/6", b, sizeof b - 1);
	b[n > 0 ? n : 0] = 0;
	say("fd 6 is %s", strrchr(b, '/') ? strrchr(b, '/') : b);
	snprintf(link, sizeof link, "/proc/%d/fd/6", getpid());
	T(access(link, F_OK));
	T(access("/proc/self/fd/77", F_OK));
	T(open("/proc/self/fd/6", O_RDONLY));
	T(read(7, b, 10));
}

/* The same from within the folder, and by other names. */
CASE(own_proc_by_other_names, ALONE, "chdir readlink newfstatat openat read getxattr")
{
	char b[4096], link[64];
	struct stat s, o;
	extern char **environ;
	char **end = environ;
	T(chdir("/proc/self"));
	snprintf(link, sizeof link, "/proc/%d/task/../exe", getpid());
	const char *const names[] = { "exe", "../self/exe", link, "/proc//thread-self/exe" };
	for (size_t i = 0; i < COUNT(names); i++) {
		long n = readlink(names[i], b, sizeof b - 1);
		b[n > 0 ? n : 0] = 0;
		say("exe ends in %s", strrchr(b, '/') ? strrchr(b, '/') : b);
		say("stat %d, the program %d", stat(names[i], &s), stat(b, &o) == 0 && s.st_ino == o.st_ino && s.st_dev == o.st_dev);
		say("link %d %d", lstat(names[i], &o), S_ISLNK(o.st_mode));
	}
	T(open("exe", O_RDONLY));
	say("the program %d", fstat(3, &o) == 0 && s.st_ino == o.st_ino && s.st_dev == o.st_dev);
	T(open("exe", O_RDONLY | O_NOFOLLOW));
	T(open("exe", O_PATH | O_NOFOLLOW));
	long k = readlinkat(4, "", b, sizeof b - 1);
	b[k > 0 ? k : 0] = 0;
	say("exe ends in %s", strrchr(b, '/') ? strrchr(b, '/') : b);
	say("link %d %d", fstatat(4, "", &o, AT_EMPTY_PATH), S_ISLNK(o.st_mode));
	T(close(4));
	T(getxattr("exe", "user.none", b, sizeof b));
	T(open("cmdline", O_RDONLY));
	say("arguments %d", read(4, b, sizeof b) == (ssize_t)(strlen(b) + 1 + strlen(b + strlen(b) + 1) + 1));
	T(open("auxv", O_RDONLY));
	long n = read(5, b, sizeof b);
	while (*end)
		end++;
	say("auxv %d", n > 64 && memcmp(b, end + 1, (size_t)n) == 0);
	T(lseek(5, 0, SEEK_SET));
}

/* Nobody may write there, whoever answers. */
CASE(own_proc_for_writing, ALONE, "setuid openat write fcntl")
{
	static const char *const names[] = { "/proc/self/cmdline", "/proc/self/maps", "/proc/self/auxv" };
	T(setuid(65534));
	T(prctl(PR_SET_DUMPABLE, 1));
	for (size_t i = 0; i < COUNT(names); i++) {
		T(open(names[i], O_RDWR));
		T(open(names[i], O_WRONLY));
		int fd = (int)T(open(names[i], O_RDONLY));
		T(write(fd, "x", 1));
		T(fcntl(fd, F_GETFL) & O_ACCMODE);
		T(fcntl(fd, F_GETFD));
		T(close(fd));
		fd = (int)T(open(names[i], O_RDONLY | O_CLOEXEC));
		T(fcntl(fd, F_GETFD));
		T(close(fd));
	}
}

/* No number that the program has not opened is a folder: through one, paths would lead out of any root. */
CASE(no_other_folders, NORMAL, "newfstatat")
{
	char path[64];
	struct stat s;
	int found = 0;
	for (int i = 3; i < 4200; i++) {
		snprintf(path, sizeof path, "/proc/self/fd/%d/.", i);
		found += stat(path, &s) == 0;
	}
	say("folders: %d", found);
}

/* Mappings and lists need no number, or the one that is left. */
CASE(no_number_left, ALONE, "prlimit64 dup openat mmap read close")
{
	struct rlimit r;
	char b[64];
	int last = 0, n;
	T(getrlimit(RLIMIT_NOFILE, &r));
	r.rlim_cur = 40;
	T(setrlimit(RLIMIT_NOFILE, &r));
	make_file("f", 4096);
	T(open("f", O_RDWR));
	while ((n = dup(3)) >= 0)
		last = n;
	say("last %d", last);
	char *data = TP(mmap(NULL, 4096, PROT_READ, MAP_PRIVATE, 3, 0));
	char *shared = TP(mmap(NULL, 4096, PROT_READ, MAP_SHARED, 3, 0));
	char *code = TP(mmap(NULL, 4096, PROT_READ | PROT_EXEC, MAP_PRIVATE, 3, 0));
	show("data", data, 6);
	show("shared", shared, 6);
	show("code", code, 6);
	T(open("/proc/self/maps", O_RDONLY));
	T(close(20));
	T(open("/proc/self/maps", O_RDONLY));
	T(read(20, b, 8));
	T(close(20));
	T(open("/proc/self/cmdline", O_RDONLY));
	say("arguments %d", read(20, b, 8) > 0);
	T(dup(3));
	T(getrlimit(RLIMIT_NOFILE, &r));
	say("limit %d", (int)r.rlim_cur);
}

/* What /proc lists of descriptors, but for those that were open before. */
CASE(descriptor_lists, NORMAL, "getdents64 openat")
{
	static const char *const folders[] = { "/proc/self/fd", "/proc/self/fdinfo" };
	for (size_t i = 0; i < COUNT(folders); i++) {
		DIR *d = opendir(folders[i]);
		int n = 0;
		for (struct dirent *e; (e = readdir(d));)
			n += atoi(e->d_name) > 2;
		say("%s: %d", folders[i], n);
		closedir(d);
	}
}
