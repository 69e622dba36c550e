/* What is done to open descriptors: duplicates, flags, locks, sizes, copies between them, ioctl. */
#include "check.h"

#include <fcntl.h>
#include <signal.h>
#include <sys/file.h>
#include <sys/ioctl.h>
#include <sys/resource.h>
#include <sys/sendfile.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <termios.h>

CASE(duplicates, NORMAL, "dup dup2 dup3 fcntl")
{
	make_file("f", 20);
	char b[8];
	T(open("f", O_RDONLY));
	T(dup(3));
	T(dup2(3, 10));
	T(dup2(3, 3));
	T(dup2(99, 3));
	T(dup2(99, 99));
	T(dup2(3, -1));
	T(dup2(3, 1 << 28));
	T(dup3(3, 11, O_CLOEXEC));
	T(fcntl(11, F_GETFD));
	T(fcntl(10, F_GETFD));
	T(raw(SYS_dup3, 3, 3, 0));
	T(raw(SYS_dup3, 3, 12, O_APPEND));
	T(dup(99));
	T(raw(SYS_dup, GARBAGE(3)));
	T(raw(SYS_dup2, GARBAGE(3), GARBAGE(13)));
	T(fcntl(3, F_DUPFD, 20));
	T(fcntl(3, F_DUPFD, 20));
	T(fcntl(3, F_DUPFD_CLOEXEC, 20));
	T(fcntl(22, F_GETFD));
	T(fcntl(3, F_DUPFD, -1));
	T(fcntl(3, F_DUPFD, 1 << 28));
	/* Duplicates share one offset. */
	T(read(10, b, 8));
	show("after dup2", b, T(read(4, b, 8)));
	T(close(3));
	T(read(11, b, 8));
	T(open("/dev/null", O_RDONLY));
	/* A pipe's duplicate keeps the write end alive. */
	int p[2];
	T(pipe(p));
	T(dup2(p[1], 30));
	T(close(p[1]));
	T(write(30, "via dup", 7));
	T(close(30));
	T(read(p[0], b, 8));
	T(read(p[0], b, 8));
}

CASE(fcntl_flags, NORMAL, "fcntl")
{
	make_file("f", 20);
	T(open("f", O_RDWR));
	T(fcntl(3, F_GETFD));
	T(fcntl(3, F_SETFD, FD_CLOEXEC));
	T(fcntl(3, F_GETFD));
	T(fcntl(3, F_GETFL) & (O_ACCMODE | O_APPEND | O_NONBLOCK));
	T(fcntl(3, F_SETFL, O_APPEND | O_NONBLOCK));
	T(fcntl(3, F_GETFL) & (O_ACCMODE | O_APPEND | O_NONBLOCK));
	T(fcntl(99, F_GETFL));
	T(fcntl(99, F_SETFL, 0));
	T(fcntl(3, 4242, 0));
	T(raw(SYS_fcntl, GARBAGE(3), GARBAGE(F_GETFD), 0));
	T(open("f", O_PATH));
	T(fcntl(4, F_GETFL) & O_PATH);
	T(fcntl(4, F_SETFL, O_NONBLOCK));
	int p[2];
	T(pipe2(p, O_NONBLOCK | O_CLOEXEC));
	T(fcntl(p[0], F_GETFL) & O_NONBLOCK);
	T(fcntl(p[1], F_GETFD));
	T(fcntl(p[0], F_GETPIPE_SZ));
	T(fcntl(p[0], F_SETPIPE_SZ, 8192));
	T(fcntl(3, F_GETPIPE_SZ));
	T(fcntl(p[0], F_SETOWN, getpid()));
	T(fcntl(p[0], F_GETOWN) == getpid());
	T(fcntl(p[0], F_SETSIG, SIGUSR1));
	T(fcntl(p[0], F_GETSIG));
	T(fcntl(p[0], F_SETSIG, 999));
	T(fcntl(3, F_SETLEASE, F_RDLCK));
	T(fcntl(3, F_GETLEASE));
	T(fcntl(3, F_SETLEASE, F_UNLCK));
}

CASE(fcntl_locks, NORMAL, "fcntl flock")
{
	make_file("f", 20);
	T(open("f", O_RDWR));
	T(open("f", O_RDONLY));
	struct flock l = { .l_type = F_WRLCK, .l_whence = SEEK_SET, .l_start = 2, .l_len = 5 };
	T(fcntl(3, F_SETLK, &l));
	T(fcntl(3, F_GETLK, &l));
	say("type %d", l.l_type);
	l.l_type = F_WRLCK;
	T(fcntl(4, F_SETLK, &l));
	l.l_type = 77;
	T(fcntl(3, F_SETLK, &l));
	l.l_type = F_UNLCK;
	T(fcntl(3, F_SETLKW, &l));
	T(raw(SYS_fcntl, 3, F_SETLK, LOW));
	T(raw(SYS_fcntl, 3, F_GETLK, NULL));
	T(fcntl(99, F_SETLK, &l));
	/* Locks of the open description conflict between two opens of one process. */
	struct flock o = { .l_type = F_WRLCK, .l_whence = SEEK_SET };
	T(fcntl(3, F_OFD_SETLK, &o));
	o.l_type = F_RDLCK;
	T(fcntl(4, F_OFD_SETLK, &o));
	o.l_type = F_RDLCK;
	o.l_start = 5;
	o.l_len = 3;
	o.l_pid = 0;
	T(fcntl(4, F_OFD_GETLK, &o));
	say("held: type %d start %ld length %ld pid %d", o.l_type, (long)o.l_start, (long)o.l_len, o.l_pid);
	T(flock(3, LOCK_EX));
	T(flock(4, LOCK_SH | LOCK_NB));
	T(flock(3, LOCK_UN));
	T(flock(4, LOCK_SH | LOCK_NB));
	T(flock(3, 0));
	T(flock(99, LOCK_SH));
	T(raw(SYS_flock, GARBAGE(4), GARBAGE(LOCK_UN)));
}

CASE(sizes, NORMAL, "ftruncate truncate fallocate fadvise64 readahead newfstatat")
{
	struct stat s;
	make_file("f", 100);
	T(open("f", O_RDWR));
	T(ftruncate(3, 50));
	T(fstat(3, &s));
	say("size %ld", (long)s.st_size);
	T(ftruncate(3, -1));
	T(ftruncate(99, 0));
	T(raw(SYS_ftruncate, GARBAGE(3), 60));
	T(truncate("f", 4000));
	T(truncate("absent", 1));
	T(truncate(".", 1));
	T(truncate("f", -1));
	T(raw(SYS_truncate, LOW, 1));
	T(open("f", O_RDONLY));
	T(ftruncate(4, 1));
	T(fallocate(3, 0, 0, 8192));
	T(lseek(3, 0, SEEK_END));
	T(fallocate(3, FALLOC_FL_KEEP_SIZE, 0, 20000));
	T(lseek(3, 0, SEEK_END));
	T(fallocate(3, 0, -1, 5));
	T(fallocate(3, 0, 0, 0));
	T(fallocate(4, 0, 0, 10));
	T(fallocate(99, 0, 0, 10));
	T(fallocate(3, 1 << 20, 0, 10));
	T(raw(SYS_fallocate, GARBAGE(3), GARBAGE(0), 0, 9000));
	int p[2];
	T(pipe(p));
	T(fallocate(p[1], 0, 0, 10));
	T(ftruncate(p[1], 0));
	TE(posix_fadvise(3, 0, 0, POSIX_FADV_SEQUENTIAL));
	TE(posix_fadvise(3, 0, 0, 99));
	TE(posix_fadvise(99, 0, 0, POSIX_FADV_NORMAL));
	TE(posix_fadvise(p[0], 0, 0, POSIX_FADV_NORMAL));
	T(raw(SYS_readahead, 3, 0, 4096));
}

CASE(syncing, NORMAL, "sync fsync fdatasync sync_file_range syncfs readahead")
{
	make_file("f", 100);
	T(open("f", O_RDWR));
	T(fsync(3));
	T(fdatasync(3));
	T(sync_file_range(3, 0, 0, SYNC_FILE_RANGE_WRITE));
	T(sync_file_range(3, -1, 5, SYNC_FILE_RANGE_WRITE));
	T(sync_file_range(3, 0, 0, 1 << 10));
	T(sync_file_range(99, 0, 0, 0));
	T(raw(SYS_fsync, GARBAGE(3)));
	T(raw(SYS_fdatasync, GARBAGE(3)));
	T(fsync(99));
	T(fdatasync(-1));
	T(raw(SYS_sync));
	T(raw(SYS_syncfs, 3));
	T(raw(SYS_syncfs, 99));
	T(raw(SYS_readahead, 3, 0, 4096));
	T(raw(SYS_readahead, 99, 0, 4096));
	int p[2];
	T(pipe(p));
	T(fsync(p[0]));
	T(fdatasync(p[1]));
	T(sync_file_range(p[0], 0, 0, 0));
}

CASE(copies, NORMAL, "sendfile copy_file_range")
{
	char b[64];
	make_file("from", 26);
	T(open("from", O_RDONLY));
	T(open("to", O_RDWR | O_CREAT, 0644));
	T(sendfile(4, 3, NULL, 10));
	off_t at = 20;
	T(sendfile(4, 3, &at, 100));
	say("offset %ld", (long)at);
	T(lseek(3, 0, SEEK_CUR));
	show("to", b, T(pread(4, b, sizeof b, 0)));
	T(sendfile(4, 99, NULL, 1));
	T(sendfile(99, 3, NULL, 1));
	T(sendfile(3, 4, NULL, 1));
	T(sendfile(4, 3, NULL, 0));
	T(raw(SYS_sendfile, 4, 3, LOW, 1));
	/* An offset that can be read but not written back. */
	static const off_t fixed = 1;
	T(raw(SYS_sendfile, 4, 3, &fixed, 1));
	at = -5;
	T(sendfile(4, 3, &at, 1));
	int p[2], s[2];
	T(pipe(p));
	T(socketpair(AF_UNIX, SOCK_STREAM, 0, s));
	at = 0;
	T(sendfile(p[1], 3, &at, 5));
	show("pipe", b, T(read(p[0], b, sizeof b)));
	T(sendfile(s[0], 3, &at, 5));
	show("socket", b, T(read(s[1], b, sizeof b)));
	T(sendfile(4, p[0], NULL, 5));
	int64_t in = 2, out = 40;
	T(raw(SYS_copy_file_range, 3, &in, 4, &out, 8, 0));
	say("in %ld out %ld", (long)in, (long)out);
	T(raw(SYS_copy_file_range, 3, NULL, 4, NULL, 100, 0));
	T(raw(SYS_copy_file_range, 3, NULL, 4, NULL, 100, 1));
	T(raw(SYS_copy_file_range, 3, LOW, 4, NULL, 10, 0));
	T(raw(SYS_copy_file_range, 99, NULL, 4, NULL, 10, 0));
	T(raw(SYS_copy_file_range, p[0], NULL, 4, NULL, 10, 0));
	T(raw(SYS_copy_file_range, 3, NULL, 3, NULL, 10, 0));
	show("to", b, T(pread(4, b, sizeof b, 0)));
}

CASE(splices, NORMAL, "splice tee pipe2")
{
	char b[64];
	int p[2], q[2];
	make_file("f", 26);
	T(open("f", O_RDWR));
	T(pipe2(p, O_NONBLOCK));
	T(pipe2(q, O_NONBLOCK));
	off_t at = 3;
	T(splice(3, &at, p[1], NULL, 5, 0));
	say("offset %ld", (long)at);
	T(splice(3, NULL, p[1], NULL, 4, 0));
	T(tee(p[0], q[1], 100, 0));
	show("teed", b, T(read(q[0], b, sizeof b)));
	T(splice(p[0], NULL, q[1], NULL, 3, SPLICE_F_NONBLOCK));
	show("moved", b, T(read(q[0], b, sizeof b)));
	T(splice(p[0], NULL, 3, &at, 100, 0));
	show("file", b, T(pread(3, b, sizeof b, 0)));
	T(splice(p[0], NULL, q[1], NULL, 3, SPLICE_F_NONBLOCK));
	T(tee(p[0], q[1], 3, SPLICE_F_NONBLOCK));
	T(tee(3, q[1], 3, 0));
	T(tee(99, q[1], 3, 0));
	T(tee(p[0], q[1], 3, 1 << 10));
	T(splice(3, NULL, 3, NULL, 5, 0));
	T(splice(99, NULL, p[1], NULL, 5, 0));
	T(splice(3, NULL, 99, NULL, 5, 0));
	T(splice(p[0], &at, q[1], NULL, 5, 0));
	T(raw(SYS_splice, 3, LOW, p[1], NULL, 5, 0));
	T(splice(3, NULL, p[1], NULL, 5, 1 << 10));
	T(splice(3, NULL, p[1], NULL, 0, 0));
}

CASE(ioctls, NORMAL, "ioctl")
{
	int n = -1, p[2], s[2];
	struct winsize w;
	struct termios t;
	char b[4];
	T(pipe(p));
	T(write(p[1], "12345", 5));
	T(ioctl(p[0], FIONREAD, &n));
	say("readable %d", n);
	n = 1;
	T(ioctl(p[0], FIONBIO, &n));
	T(read(p[0], b, 4));
	T(read(p[0], b, 4));
	T(read(p[0], b, 4));
	n = 0;
	T(ioctl(p[0], FIONBIO, &n));
	T(fcntl(p[0], F_GETFL) & O_NONBLOCK);
	T(ioctl(p[0], FIOCLEX));
	T(fcntl(p[0], F_GETFD));
	T(ioctl(p[0], FIONCLEX));
	T(fcntl(p[0], F_GETFD));
	make_file("f", 30);
	T(open("f", O_RDONLY));
	T(lseek(5, 10, SEEK_SET));
	T(ioctl(5, FIONREAD, &n));
	say("readable %d", n);
	T(ioctl(5, TIOCGWINSZ, &w));
	T(ioctl(5, TCGETS, &t));
	T(ioctl(1, TCGETS, &t));
	T(ioctl(p[0], TIOCGWINSZ, &w));
	T(isatty(0));
	T(ioctl(p[0], FIONREAD, LOW));
	T(ioctl(p[0], FIONBIO, NULL));
	T(ioctl(99, FIONREAD, &n));
	T(ioctl(p[0], 0xdeadbeef, 0));
	T(raw(SYS_ioctl, GARBAGE(p[0]), GARBAGE(FIONREAD), &n));
	T(socketpair(AF_UNIX, SOCK_STREAM, 0, s));
	T(write(s[0], "abc", 3));
	T(ioctl(s[1], FIONREAD, &n));
	say("readable %d", n);
	T(open("/dev/null", O_RDWR));
	T(ioctl(8, TCGETS, &t));
	T(open("/dev/ptmx", O_RDWR | O_NOCTTY));
	T(ioctl(9, TIOCGWINSZ, &w));
	say("window %d x %d", w.ws_row, w.ws_col);
	w.ws_row = 24;
	w.ws_col = 80;
	T(ioctl(9, TIOCSWINSZ, &w));
	w.ws_row = 0;
	T(ioctl(9, TIOCGWINSZ, &w));
	say("window %d x %d", w.ws_row, w.ws_col);
	T(tcgetattr(9, &t));
	T(tcsetattr(9, TCSANOW, &t));
	T(isatty(9));
}

CASE(descriptor_limit, NORMAL, "prlimit64 openat dup dup2 fcntl pipe2 close")
{
	struct rlimit old, small = { 8, 0 };
	T(getrlimit(RLIMIT_NOFILE, &old));
	small.rlim_max = old.rlim_max;
	T(setrlimit(RLIMIT_NOFILE, &small));
	for (int i = 0; i < 6; i++)
		T(open("/dev/null", O_RDONLY));
	T(dup(0));
	T(dup2(0, 8));
	T(fcntl(0, F_DUPFD, 8));
	int p[2];
	T(pipe(p));
	T(close(7));
	T(pipe(p));
	T(open("/dev/null", O_RDONLY));
	T(setrlimit(RLIMIT_NOFILE, &old));
}

/* EFBIG at the file size limit; the limit leaves room for standard output, if that is a file. */
CASE(size_limit, NORMAL, "prlimit64 pwrite64 ftruncate")
{
	struct rlimit old, small = { 1 << 20, 0 };
	signal(SIGXFSZ, SIG_IGN);
	T(getrlimit(RLIMIT_FSIZE, &old));
	small.rlim_max = old.rlim_max;
	T(open("f", O_RDWR | O_CREAT, 0644));
	T(setrlimit(RLIMIT_FSIZE, &small));
	char *b = frozen(150, 'x');
	T(pwrite(3, b, 80, (1 << 20) - 100));
	T(pwrite(3, b, 80, (1 << 20) - 20));
	T(pwrite(3, b, 80, 1 << 20));
	T(ftruncate(3, (1 << 20) + 1));
	T(setrlimit(RLIMIT_FSIZE, &old));
	signal(SIGXFSZ, SIG_DFL);
	T(pwrite(3, b, 80, 1 << 20));
}
