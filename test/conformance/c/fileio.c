/* Opening, reading and writing: the calls that move bytes between memory and files. */
#include "check.h"

#include <fcntl.h>
#include <limits.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/uio.h>

CASE(open_flags, NORMAL, "open openat creat close")
{
	make_file("f", 10);
	T(open("f", O_RDONLY));
	T(open("f", O_RDWR | O_CLOEXEC));
	T(raw(SYS_open, "f", O_RDONLY, 0));
	T(creat("made", 0600));
	T(raw(SYS_creat, "made2", 0640));
	T(close(4));
	T(open("f", O_WRONLY | O_APPEND));
	T(open("f", O_WRONLY | O_CREAT | O_EXCL, 0600));
	T(open("absent", O_RDONLY));
	T(open("f/below", O_RDONLY));
	T(open(".", O_WRONLY));
	T(open(".", O_DIRECTORY | O_RDONLY));
	T(open("f", O_DIRECTORY | O_RDONLY));
	T(open("", O_RDONLY));
	T(open(".", O_TMPFILE | O_RDWR, 0600) >= 0);
	T(open("f", O_PATH));
	T(raw(SYS_open, "f", GARBAGE(O_RDONLY), 0));
	T(raw(SYS_creat, NULL, 0600));
	T(raw(SYS_open, LOW, O_RDONLY, 0));
	T(raw(SYS_open, KERNEL, O_RDONLY, 0));
}

CASE(open_at, NORMAL, "openat mkdir symlink")
{
	static char longname[PATH_MAX + 10];
	memset(longname, 'n', sizeof longname - 1);
	T(mkdir("d", 0755));
	make_file("d/f", 5);
	long d = T(open("d", O_RDONLY | O_DIRECTORY));
	T(openat((int)d, "f", O_RDONLY));
	T(openat((int)d, "../d/f", O_RDONLY));
	T(raw(SYS_openat, GARBAGE(d), "f", GARBAGE(O_RDONLY), 0));
	T(openat(-1, "f", O_RDONLY));
	T(openat(99, "f", O_RDONLY));
	T(openat(4, "f", O_RDONLY));
	T(openat(-1, "/dev/null", O_RDONLY));
	T(raw(SYS_openat, AT_FDCWD, NULL, O_RDONLY, 0));
	T(raw(SYS_openat, AT_FDCWD, WILD, O_RDONLY, 0));
	T(openat(AT_FDCWD, longname, O_RDONLY));
	longname[300] = 0;
	T(openat(AT_FDCWD, longname, O_RDONLY));
	/* A path that ends at an inaccessible page, with and without its terminator. */
	char *p = edge(4);
	memcpy(p, "d/f", 4);
	T(openat(AT_FDCWD, p, O_RDONLY));
	memcpy(p, "d//f", 4);
	T(openat(AT_FDCWD, p, O_RDONLY));
	T(symlink("d/f", "link"));
	T(symlink("loop", "loop"));
	T(openat(AT_FDCWD, "link", O_RDONLY | O_NOFOLLOW));
	T(openat(AT_FDCWD, "loop", O_RDONLY));
}

CASE(close_twice, NORMAL, "close close_range")
{
	T(open("/dev/null", O_RDONLY));
	T(close(3));
	T(close(3));
	T(close(-1));
	T(close(1 << 20));
	T(open("/dev/null", O_RDONLY));
	T(raw(SYS_close, GARBAGE(3)));
	for (int i = 0; i < 6; i++)
		T(open("/dev/null", O_RDONLY));
	T(raw(SYS_close_range, 4, 6, 0));
	T(fcntl(3, F_GETFD));
	T(fcntl(4, F_GETFD));
	T(fcntl(6, F_GETFD));
	T(fcntl(7, F_GETFD));
	T(raw(SYS_close_range, 7, 7, 4 /* CLOEXEC */));
	T(fcntl(7, F_GETFD));
	T(raw(SYS_close_range, 9, 8, 0));
	T(raw(SYS_close_range, 3, INT_MAX, 0));
	T(fcntl(8, F_GETFD));
	T(raw(SYS_close_range, 3, ~0u, 64));
	T(raw(SYS_close_range, 3, ~0u, 2 /* UNSHARE */));
	T(raw(SYS_close_range, 3, ~0u, 0));
	T(open("/dev/null", O_RDONLY));
}

CASE(read_file, NORMAL, "read lseek")
{
	make_file("f", 100);
	char b[200] = { 0 };
	T(open("f", O_RDONLY));
	show("first", b, T(read(3, b, 10)));
	show("next", b, T(read(3, b, 10)));
	T(read(3, b, 0));
	show("short", b, T(read(3, b, sizeof b)));
	T(read(3, b, sizeof b));
	T(lseek(3, 0, SEEK_SET));
	T(raw(SYS_read, 3, NULL, 10));
	T(raw(SYS_read, 3, LOW, 10));
	T(raw(SYS_read, 3, KERNEL, 10));
	T(raw(SYS_read, 3, WILD, 10));
	T(raw(SYS_read, 3, NULL, 0));
	T(raw(SYS_read, 3, frozen(10, 'r'), 10));
	T(raw(SYS_read, GARBAGE(3), b, 5));
	T(raw(SYS_read, 3, b, -1));
	T(raw(SYS_read, 3, b, 0x8000000000000000ul));
	T(lseek(3, 0, SEEK_CUR));
	T(read(-1, b, 1));
	T(read(99, b, 1));
	T(raw(SYS_read, 99, NULL, 1));
	T(open("f", O_WRONLY));
	T(read(4, b, 1));
	T(open(".", O_RDONLY));
	T(read(5, b, 1));
	T(open("f", O_PATH));
	T(read(6, b, 1));
}

/* A transfer into memory that ends half-way: what was moved counts, the offset tells where it ended. */
CASE(read_edge, NORMAL, "read pread64 lseek")
{
	make_file("f", 20000);
	T(open("f", O_RDONLY));
	char *p = edge(4096);
	show("pages", p, T(raw(SYS_read, 3, p, 8192)) > 0 ? 8 : 0);
	T(lseek(3, 0, SEEK_CUR));
	p = edge(100);
	T(raw(SYS_read, 3, p, 101));
	T(lseek(3, 0, SEEK_CUR));
	T(raw(SYS_pread64, 3, p, 4096, 50));
	T(raw(SYS_pread64, 3, p + 100, 10, 0));
	T(open("/dev/zero", O_RDONLY));
	T(raw(SYS_read, 4, p, 4096));
	T(raw(SYS_read, 4, p, 100));
	int big = 1 << 20;
	char *large = edge((size_t)big);
	T(raw(SYS_read, 4, large, big));
	T(raw(SYS_read, 3, large, big));
}

CASE(write_file, NORMAL, "write lseek")
{
	char b[64];
	T(open("f", O_RDWR | O_CREAT | O_TRUNC, 0644));
	T(write(3, "hello world", 11));
	T(write(3, "", 0));
	T(raw(SYS_write, 3, NULL, 0));
	T(raw(SYS_write, 3, NULL, 5));
	T(raw(SYS_write, 3, LOW, 5));
	T(raw(SYS_write, 3, KERNEL, 5));
	T(raw(SYS_write, 3, WILD, 5));
	T(raw(SYS_write, GARBAGE(3), "more", 4));
	T(raw(SYS_write, 3, "x", -1));
	T(lseek(3, 0, SEEK_SET));
	show("content", b, T(read(3, b, sizeof b)));
	T(write(-1, "x", 1));
	T(write(99, "x", 1));
	T(open("f", O_RDONLY));
	T(write(4, "x", 1));
	T(open("f", O_WRONLY | O_APPEND));
	T(lseek(5, 0, SEEK_SET));
	T(write(5, "END", 3));
	T(lseek(5, 0, SEEK_CUR));
	T(open("/dev/full", O_WRONLY));
	T(write(6, "x", 1));
	T(pread(3, b, sizeof b, 10));
}

CASE(write_edge, NORMAL, "write pwrite64 lseek")
{
	T(open("f", O_RDWR | O_CREAT | O_TRUNC, 0644));
	char *p = edge(4096);
	memset(p, 'w', 4096);
	T(raw(SYS_write, 3, p, 8192));
	T(lseek(3, 0, SEEK_CUR));
	p = edge(100);
	memset(p, 'e', 100);
	T(raw(SYS_write, 3, p, 5000));
	T(lseek(3, 0, SEEK_END));
	T(raw(SYS_pwrite64, 3, p, 200, 10));
	T(raw(SYS_pwrite64, 3, p + 100, 1, 10));
	char b[300];
	show("around", b, T(pread(3, b, 120, 4090)));
	T(open("/dev/null", O_WRONLY));
	T(raw(SYS_write, 4, p, 5000));
	T(raw(SYS_write, 4, LOW, 5000));
}

CASE(write_large, NORMAL, "write pread64")
{
	size_t n = 300000;
	char *p = edge(n);
	for (size_t i = 0; i < n; i++)
		p[i] = (char)('A' + i % 23);
	T(open("f", O_RDWR | O_CREAT, 0600));
	T(write(3, p, n));
	char *q = edge(n);
	T(pread(3, q, n, 0));
	T(memcmp(p, q, n));
}

CASE(positioned, NORMAL, "pread64 pwrite64 lseek")
{
	char b[64];
	make_file("f", 26);
	T(open("f", O_RDWR));
	show("middle", b, T(pread(3, b, 5, 10)));
	show("tail", b, T(pread(3, b, 20, 20)));
	T(pread(3, b, 5, 26));
	T(pread(3, b, 5, 1000));
	T(pread(3, b, 5, -1));
	T(pwrite(3, "XYZ", 3, 2));
	T(pwrite(3, "far", 3, 40));
	T(pwrite(3, "x", 1, -5));
	T(raw(SYS_pwrite64, GARBAGE(3), "q", 1, 0));
	T(raw(SYS_pread64, GARBAGE(3), b, 4, 0));
	T(raw(SYS_pread64, 3, LOW, 4, 0));
	T(raw(SYS_pwrite64, 3, LOW, 4, 0));
	T(pread(99, b, 1, 0));
	T(pwrite(99, b, 1, 0));
	T(lseek(3, 0, SEEK_CUR));
	show("whole", b, T(pread(3, b, sizeof b, 0)));
	int p[2];
	T(pipe(p));
	T(pread(p[0], b, 1, 0));
	T(pwrite(p[1], b, 1, 0));
	T(open("g", O_RDWR | O_CREAT | O_APPEND, 0600));
	T(pwrite(6, "abc", 3, 0));
	T(pwrite(6, "def", 3, 0));
	show("appended", b, T(pread(6, b, sizeof b, 0)));
}

CASE(vectors, NORMAL, "readv writev lseek")
{
	char a[4], b[30], c[100];
	struct iovec in[3] = { { a, sizeof a }, { b, sizeof b }, { c, sizeof c } };
	struct iovec out[3] = { { "one ", 4 }, { NULL, 0 }, { "three", 5 } };
	T(open("f", O_RDWR | O_CREAT, 0644));
	T(writev(3, out, 3));
	T(writev(3, out, 0));
	T(lseek(3, 0, SEEK_SET));
	T(readv(3, in, 3));
	show("a", a, 4);
	show("b", b, 5);
	T(raw(SYS_readv, 3, in, -1));
	T(raw(SYS_readv, 3, in, 1025));
	T(raw(SYS_readv, 3, LOW, 1));
	T(raw(SYS_writev, 3, KERNEL, 2));
	T(raw(SYS_writev, 3, NULL, 0));
	T(raw(SYS_writev, GARBAGE(3), out, 1));
	T(readv(99, in, 1));
	T(writev(99, out, 1));
	struct iovec huge[2] = { { a, 1 }, { b, (size_t)-1 } };
	T(writev(3, huge, 2));
	T(readv(3, huge, 2));
	/* The second buffer is bad: what lies before it is transferred. */
	struct iovec half[2] = { { "good", 4 }, { LOW, 4 } };
	T(writev(3, half, 2));
	T(lseek(3, 0, SEEK_SET));
	struct iovec into[2] = { { a, 2 }, { LOW, 4 } };
	T(readv(3, into, 2));
	T(lseek(3, 0, SEEK_CUR));
	struct iovec first[2] = { { LOW, 4 }, { "good", 4 } };
	T(writev(3, first, 2));
	/* The array of vectors itself runs into an inaccessible page. */
	struct iovec *v = (struct iovec *)edge(sizeof *v);
	*v = out[0];
	T(raw(SYS_writev, 3, v, 1));
	T(raw(SYS_writev, 3, v, 2));
	struct iovec *many = (struct iovec *)edge(1024 * sizeof *many);
	for (int i = 0; i < 1024; i++)
		many[i] = out[2];
	T(writev(3, many, 1024));
	T(lseek(3, 0, SEEK_END));
}

CASE(positioned_vectors, NORMAL, "preadv pwritev preadv2 pwritev2")
{
	char a[4], b[30];
	struct iovec in[2] = { { a, sizeof a }, { b, sizeof b } };
	struct iovec out[2] = { { "left", 4 }, { "right", 5 } };
	T(open("f", O_RDWR | O_CREAT, 0644));
	T(pwritev(3, out, 2, 3));
	T(preadv(3, in, 2, 0));
	show("a", a, 4);
	show("b", b, 8);
	T(preadv(3, in, 2, -1));
	T(pwritev(99, out, 1, 0));
	T(preadv(99, in, 1, 0));
	T(raw(SYS_preadv, 3, in, 2, 5, 0));
	T(raw(SYS_preadv, 3, LOW, 2, 0, 0));
	T(raw(SYS_pwritev, 3, LOW, 2, 0, 0));
	T(raw(SYS_pwritev, GARBAGE(3), out, 1, 20, 0));
	T(raw(SYS_preadv2, 3, in, 2, 1, 0, 0));
	T(raw(SYS_preadv2, 3, in, 1, -1, -1, 0));
	T(raw(SYS_pwritev2, 3, out, 1, -1, -1, 0));
	T(raw(SYS_pwritev2, 3, out, 1, 0, 0, 0x10 /* RWF_APPEND */));
	T(raw(SYS_pwritev2, 3, out, 1, 0, 0, 1 << 30));
	T(raw(SYS_preadv2, 3, LOW, 1, 0, 0, 0));
	T(raw(SYS_preadv2, 99, in, 1, 0, 0, 0));
	T(raw(SYS_pwritev2, 99, out, 1, 0, 0, 0));
	T(lseek(3, 0, SEEK_CUR));
	T(lseek(3, 0, SEEK_END));
}

/* What the kernel says of the process itself, read in pieces. */
CASE(own_lists, NORMAL, "openat readv preadv preadv2 pread64")
{
	static const char *const names[] = { "maps", "smaps", "numa_maps", "auxv" };
	char path[64], whole[100], first[40], second[60];
	struct iovec v[2] = { { first, 40 }, { second, 60 } }, bad = { LOW, 8 }, negative = { first, (size_t)-1 };
	for (size_t i = 0; i < COUNT(names); i++) {
		strcpy(stpcpy(path, "/proc/self/"), names[i]);
		say("%s", names[i]);
		int fd = T(open(path, O_RDONLY));
		if (fd < 0)
			continue;
		T(read(fd, whole, sizeof whole));
		T(lseek(fd, 0, SEEK_SET));
		T(readv(fd, v, 2));
		say("the same %d", memcmp(whole, first, 40) == 0 && memcmp(whole + 40, second, 60) == 0);
		T(raw(SYS_readv, fd, v, -1));
		T(raw(SYS_readv, fd, LOW, 1));
		T(readv(fd, &bad, 1));
		T(readv(fd, &negative, 1));
		T(readv(fd, v, 0));
		memset(first, 0, sizeof first);
		T(preadv(fd, v, 1, 0));
		say("the same %d", memcmp(whole, first, 40) == 0);
		T(pread(fd, whole, 20, 40));
		memset(first, 0, sizeof first);
		T(raw(SYS_preadv2, fd, v, 1, 40, 0, 0));
		say("the same %d", memcmp(whole, first, 20) == 0);
		T(close(fd));
	}
}

/* Past the page cache: what is written must lie where the device can take it from, piece by piece. */
CASE(direct_vectors, NORMAL, "writev pwritev pwritev2 readv")
{
	char *p = mmap(NULL, 5 * 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	struct iovec v[2] = { { p, 4096 }, { p + 8192, 4096 } }, in = { p + 4 * 4096, 4096 };
	int fd = T(open("direct", O_RDWR | O_CREAT | O_DIRECT, 0600));
	memset(p, 'p', 4096);
	memset(p + 8192, 'q', 4096);
	T(writev(fd, v, 2));
	T(pwritev(fd, v, 2, 8192));
	T(raw(SYS_pwritev2, fd, v + 1, 1, 16384, 0, 0));
	T(lseek(fd, 12288, SEEK_SET));
	show("read", in.iov_base, T(readv(fd, &in, 1)));
}

CASE(seeking, NORMAL, "lseek ftruncate")
{
	make_file("f", 1000);
	T(open("f", O_RDWR));
	T(lseek(3, 100, SEEK_SET));
	T(lseek(3, 50, SEEK_CUR));
	T(lseek(3, -10, SEEK_END));
	T(lseek(3, -1, SEEK_SET));
	T(lseek(3, -2000, SEEK_CUR));
	T(lseek(3, 0, 77));
	T(lseek(3, 5000, SEEK_SET));
	T(write(3, "x", 1));
	T(lseek(3, 0, SEEK_END));
	T(lseek(3, 1L << 40, SEEK_SET));
	T(ftruncate(3, 1 << 20));
	T(lseek(3, 0, SEEK_DATA));
	T(lseek(3, 1 << 19, SEEK_DATA));
	T(lseek(3, 1 << 21, SEEK_HOLE));
	T(raw(SYS_lseek, GARBAGE(3), 7, GARBAGE(SEEK_SET)));
	T(lseek(99, 0, SEEK_SET));
	int p[2];
	T(pipe(p));
	T(lseek(p[0], 0, SEEK_CUR));
	T(open("/dev/null", O_RDONLY));
	T(lseek(6, 10, SEEK_SET));
}

/* Standard input is a pipe with 28 bytes and then its end; see the driver. */
CASE(standard_input, ALONE, "read lseek write")
{
	char b[64];
	show("first", b, T(read(0, b, 5)));
	T(lseek(0, 0, SEEK_CUR));
	T(raw(SYS_read, 0, LOW, 4));
	show("second", b, T(read(0, b, 3)));
	long total = 0, n;
	while ((n = read(0, b, sizeof b)) > 0)
		total += n;
	say("rest %ld, then %ld", total, n);
	T(read(0, b, 1));
	T(write(0, "x", 1));
}

CASE(standard_error, NORMAL, "write dup2 close")
{
	T(write(2, "to stderr\n", 10));
	T(dup2(2, 9));
	T(write(9, "again\n", 6));
	T(close(9));
	T(write(9, "gone\n", 5));
}
