/* Memory: mapping, changing, unmapping; files in memory; shared segments. */
#include "check.h"

#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/stat.h>

#define PAGE 4096

static sigjmp_buf back;

static void fault(int number)
{
	siglongjmp(back, number);
}

/* touch reads or writes one byte and tells which signal, if any, that gave. */
static void touch(const char *what, volatile char *p, int write)
{
	struct sigaction a = { .sa_handler = fault }, segv, bus;
	sigaction(SIGSEGV, &a, &segv);
	sigaction(SIGBUS, &a, &bus);
	int number = sigsetjmp(back, 1);
	if (number == 0) {
		if (write)
			*p = 'w';
		else
			(void)*p;
	}
	say("%s: %s", what, number == 0 ? "fine" : number == SIGSEGV ? "SIGSEGV" : "SIGBUS");
	sigaction(SIGSEGV, &segv, NULL);
	sigaction(SIGBUS, &bus, NULL);
}

CASE(anonymous, NORMAL, "mmap munmap mprotect madvise")
{
	char *p = TP(mmap(NULL, 4 * PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0));
	say("zeroed %d, aligned %d", p[0] == 0 && p[4 * PAGE - 1] == 0, ((uintptr_t)p & (PAGE - 1)) == 0);
	p[0] = 'a';
	p[PAGE] = 'b';
	T(mprotect(p, PAGE, PROT_READ));
	touch("write to read-only", p, 1);
	touch("read", p, 0);
	T(mprotect(p, PAGE, PROT_NONE));
	touch("read of nothing", p, 0);
	T(mprotect(p, PAGE, PROT_READ | PROT_WRITE));
	touch("write again", p, 1);
	T(madvise(p + PAGE, PAGE, MADV_DONTNEED));
	say("after advice %d", p[PAGE]);
	T(madvise(p, PAGE, 9999));
	T(madvise(p + 1, PAGE, MADV_NORMAL));
	T(munmap(p + 2 * PAGE, PAGE));
	touch("hole", p + 2 * PAGE, 0);
	touch("after the hole", p + 3 * PAGE, 0);
	T(mprotect(p, 4 * PAGE, PROT_READ));
	T(mprotect(p + 1, PAGE, PROT_READ));
	T(munmap(p + 1, PAGE));
	T(munmap(p, 0));
	T(raw(SYS_munmap, p, -1));
	T(munmap(p, 4 * PAGE));
	T(munmap(p, 4 * PAGE));
	TP(mmap(NULL, 0, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0));
	TP(mmap(NULL, PAGE, PROT_READ, MAP_ANONYMOUS, -1, 0));
	TP(mmap(NULL, (size_t)1 << 60, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0));
	char *q = TP(mmap(NULL, 2 * PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0));
	T(mmap(q + PAGE, PAGE, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0) == q + PAGE);
	TP(mmap(q, PAGE, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED_NOREPLACE, -1, 0));
	TP(mmap(q + 1, PAGE, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0));
	TP(mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0));
	TP(mmap(NULL, PAGE, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0));
	TP(mmap(NULL, 64 * PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_POPULATE | MAP_STACK, -1, 0));
}

CASE(remapping, NORMAL, "mremap")
{
	char *p = mmap(NULL, 2 * PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	memset(p, 'm', 2 * PAGE);
	char *q = TP(mremap(p, 2 * PAGE, 100 * PAGE, MREMAP_MAYMOVE));
	say("kept %d", q[0] == 'm' && q[2 * PAGE - 1] == 'm' && q[2 * PAGE] == 0);
	T(mremap(q, 100 * PAGE, PAGE, 0) == q);
	touch("cut off", q + PAGE, 0);
	char *to = mmap(NULL, 2 * PAGE, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	T(mremap(q, PAGE, PAGE, MREMAP_MAYMOVE | MREMAP_FIXED, to) == to);
	say("moved %c", to[0]);
	TP(mremap(q, PAGE, 2 * PAGE, MREMAP_MAYMOVE));
	TP(mremap(to + 1, PAGE, 2 * PAGE, MREMAP_MAYMOVE));
	TP(mremap(to, PAGE, 0, MREMAP_MAYMOVE));
	TP(mremap(to, PAGE, PAGE, 1 << 20));
	TP(mremap(to, PAGE, 2 * PAGE, 0));
}

CASE(file_maps, NORMAL, "mmap munmap msync mincore")
{
	unsigned char in[4];
	make_file("f", PAGE + 100);
	T(open("f", O_RDWR));
	char *p = TP(mmap(NULL, 3 * PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE, 3, 0));
	show("start", p, 8);
	show("tail", p + PAGE + 96, 8);
	touch("behind the end", p + 2 * PAGE, 0);
	p[0] = 'P';
	char b[8];
	show("file is untouched", b, T(pread(3, b, 4, 0)));
	char *s = TP(mmap(NULL, PAGE, PROT_READ, MAP_SHARED, 3, PAGE));
	show("second page", s, 8);
	touch("write to a read-only map", s, 1);
	T(pwrite(3, "CHANGED", 7, PAGE));
	show("shared sees it", s, 8);
	T(msync(s, PAGE, MS_SYNC));
	T(msync(s, PAGE, 99));
	T(msync(s + 1, PAGE, MS_SYNC));
	T(mincore(s, PAGE, in));
	say("in core %d", in[0] & 1);
	T(raw(SYS_mincore, s, PAGE, LOW));
	T(mincore(s + 1, PAGE, in));
	T(munmap(s, PAGE));
	T(mincore(s, PAGE, in));
	T(msync(s, PAGE, MS_SYNC));
	TP(mmap(NULL, PAGE, PROT_READ, MAP_PRIVATE, 99, 0));
	TP(mmap(NULL, PAGE, PROT_READ, MAP_PRIVATE, 3, 100));
	TP(mmap(NULL, PAGE, PROT_READ, 0, 3, 0));
	T(open("f", O_WRONLY));
	TP(mmap(NULL, PAGE, PROT_READ, MAP_PRIVATE, 4, 0));
	T(open("f", O_RDONLY));
	TP(mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_SHARED, 5, 0));
	T(open(".", O_RDONLY));
	TP(mmap(NULL, PAGE, PROT_READ, MAP_PRIVATE, 6, 0));
	int d[2];
	T(pipe(d));
	TP(mmap(NULL, PAGE, PROT_READ, MAP_PRIVATE, d[0], 0));
	/* A file descriptor is not needed once the map stands. */
	T(close(3));
	show("still there", p, 4);
	/* A map may be the buffer of a call on the same file. */
	T(pread(5, p + 8, 8, 0));
	show("read into the map", p + 8, 8);
	char *z = TP(mmap(NULL, PAGE, PROT_READ | PROT_EXEC, MAP_PRIVATE, 5, 0));
	show("executable", z, 4);
	T(open("/dev/zero", O_RDWR));
	char *zero = TP(mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE, 3, 0));
	show("zeroes", zero, 8);
}

CASE(breaks, NORMAL, "brk")
{
	char *start = (char *)raw(SYS_brk, 0);
	T((char *)raw(SYS_brk, start + 5 * PAGE) == start + 5 * PAGE);
	start[5 * PAGE - 1] = 'x';
	T((char *)raw(SYS_brk, start + 100) == start + 100);
	T((char *)raw(SYS_brk, LOW) == start + 100);
	T((char *)raw(SYS_brk, KERNEL) == start + 100);
	T((char *)raw(SYS_brk, start) == start);
}

CASE(locking, NORMAL, "mlock munlock mlock2 mlockall munlockall")
{
	char *p = mmap(NULL, 2 * PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	T(mlock(p, PAGE));
	T(munlock(p, PAGE));
	T(raw(SYS_mlock2, p, PAGE, 1));
	T(raw(SYS_mlock2, p, PAGE, 99));
	T(munlock(p, PAGE));
	T(raw(SYS_munlock, p, (size_t)-PAGE));
	T(mlock(LOW, PAGE));
	T(munlock(LOW, PAGE));
	T(mlockall(MCL_FUTURE));
	T(munlockall());
	T(mlockall(99));
}

CASE(memory_files, NORMAL, "memfd_create ftruncate mmap fcntl write")
{
	struct stat s;
	char b[8];
	T(raw(SYS_memfd_create, "mine", 3 /* CLOEXEC, ALLOW_SEALING */));
	T(write(3, "memory", 6));
	T(ftruncate(3, PAGE));
	T(fstat(3, &s));
	say("size %ld", (long)s.st_size);
	char *p = TP(mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_SHARED, 3, 0));
	show("mapped", p, 6);
	p[0] = 'M';
	show("written through", b, T(pread(3, b, 6, 0)));
	T(fcntl(3, F_GET_SEALS));
	T(fcntl(3, F_ADD_SEALS, F_SEAL_WRITE));
	T(fcntl(3, F_ADD_SEALS, F_SEAL_SHRINK));
	T(ftruncate(3, 10));
	T(munmap(p, PAGE));
	T(fcntl(3, F_ADD_SEALS, F_SEAL_WRITE));
	T(write(3, "x", 1));
	TP(mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_SHARED, 3, 0));
	T(raw(SYS_memfd_create, LOW, 0));
	T(raw(SYS_memfd_create, "x", 1 << 20));
	T(raw(SYS_memfd_create, "plain", 0));
	T(fcntl(4, F_ADD_SEALS, F_SEAL_GROW));
}

CASE(address_limit, NORMAL, "prlimit64 mmap")
{
	struct rlimit old, small;
	T(getrlimit(RLIMIT_DATA, &old));
	small = old;
	small.rlim_cur = 64 << 20;
	T(setrlimit(RLIMIT_DATA, &small));
	TP(mmap(NULL, 1 << 20, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0));
	TP(mmap(NULL, 128 << 20, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0));
	T(setrlimit(RLIMIT_DATA, &old));
}
