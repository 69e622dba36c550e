/*
 * What monitoring refuses on purpose, because the kernel would act on the program's memory, or on other
 * programs', out of the monitor's sight. Results differ from native ones by design: each step says what it expects.
 */
#include "check.h"

#include <fcntl.h>
#include <stdio.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/uio.h>

static uint64_t room[64];

CASE(rings, REFUSED, "io_uring_setup io_uring_enter io_uring_register io_setup")
{
	memset(room, 0, sizeof room);
	EXPECT("ENOSYS", raw(SYS_io_uring_setup, 4, room));
	EXPECT("ENOSYS", raw(SYS_io_uring_enter, 0, 1, 0, 0, NULL, 0));
	EXPECT("ENOSYS", raw(SYS_io_uring_register, 0, 0, NULL, 0));
	memset(room, 0, sizeof room);
	EXPECT("ENOSYS", raw(SYS_io_setup, 8, room));
}

CASE(foreign_memory, REFUSED, "ptrace process_vm_readv process_vm_writev process_madvise userfaultfd pidfd_getfd")
{
	char from[8] = "from", to[8];
	struct iovec a = { from, 8 }, b = { to, 8 };
	long pidfd = raw(SYS_pidfd_open, getpid(), 0);
	EXPECT("EPERM", raw(SYS_ptrace, 1 /* PEEKTEXT */, 0x3fffffff, 0, 0));
	EXPECT("EPERM", raw(SYS_process_vm_readv, getpid(), &b, 1, &a, 1, 0));
	EXPECT("EPERM", raw(SYS_process_vm_writev, getpid(), &a, 1, &b, 1, 0));
	EXPECT("ENOSYS", raw(SYS_userfaultfd, O_CLOEXEC));
	EXPECT("EPERM", raw(SYS_pidfd_getfd, pidfd, 0, 0));
	EXPECT("EPERM", raw(SYS_process_madvise, pidfd, &a, 1, 20, 0));
}

/* Every way to spell one's own memory as a file, for writing. */
CASE(memory_as_file, REFUSED, "openat open dup")
{
	EXPECT("EPERM|EACCES", open("/proc/self/mem", O_RDONLY));
	EXPECT("EPERM|EACCES", open("/proc/self/syscall", O_RDONLY));
	EXPECT("EPERM|EACCES", open("/proc/self/smaps_rollup", O_RDONLY));
	EXPECT("EPERM|EACCES", open("/proc/self/map_files", O_RDONLY | O_DIRECTORY));
	char pagemap[64];
	EXPECT("EPERM|EACCES", open("/proc/self/pagemap", O_RDONLY));
	EXPECT("EPERM|EACCES", open("/proc/thread-self/pagemap", O_RDONLY));
	snprintf(pagemap, sizeof pagemap, "/proc/self/task/%d/../%d/pagemap", getpid(), getpid());
	EXPECT("EPERM|EACCES", open(pagemap, O_RDONLY));
	EXPECT("EPERM|EACCES", open("/proc/self/mem", O_RDWR));
	EXPECT("EPERM|EACCES", open("/proc/thread-self/mem", O_WRONLY));
	EXPECT("EPERM|EACCES", open("/proc/self/task/../mem", O_RDWR));
	EXPECT("EPERM|EACCES", raw(SYS_open, "/proc/self/root/proc/../proc/self/mem", O_RDWR));
	long self = open("/proc/self", O_RDONLY | O_DIRECTORY);
	EXPECT("EPERM|EACCES", openat((int)self, "mem", O_RDWR));
	if (symlink("/proc/self/mem", "innocent") != 0 || dup((int)self) < 0)
		_exit(99);
	EXPECT("EPERM|EACCES", open("innocent", O_RDWR));
}

/* Where the program cannot raise its limit any more, neither can the monitor, which makes files in place of these. */
CASE(lists_without_files, REFUSED, "prlimit64 openat")
{
	struct rlimit none = { 0, 0 };
	if (setrlimit(RLIMIT_FSIZE, &none) != 0 || (setuid(1000) != 0 && getuid() == 0))
		_exit(99);
	EXPECT("EFBIG", open("/proc/self/maps", O_RDONLY));
	EXPECT("EFBIG", open("/proc/self/cmdline", O_RDONLY));
}

CASE(tuning_the_clock, REFUSED, "clock_adjtime")
{
	memset(room, 0, sizeof room);
	EXPECT("EPERM", raw(SYS_clock_adjtime, 0, room));
}

/* A value with addresses in it, at which the kernel would map and write. */
CASE(zero_copy_receive, REFUSED, "getsockopt")
{
	long s = raw(SYS_socket, 2, 1, 0);
	uint32_t bytes = 64;
	memset(room, 0, sizeof room);
	EXPECT("ENOPROTOOPT", raw(SYS_getsockopt, s, 6 /* IPPROTO_TCP */, 35 /* TCP_ZEROCOPY_RECEIVE */, room, &bytes));
}

/* Descriptors that come along with what is asked for or received. */
CASE(unasked_descriptors, REFUSED, "setsockopt getsockopt")
{
	int s[2], on = 1;
	uint32_t bytes = 64;
	if (socketpair(AF_UNIX, SOCK_STREAM, 0, s) != 0)
		_exit(99);
	EXPECT("ENOPROTOOPT", setsockopt(s[0], SOL_SOCKET, 76 /* SO_PASSPIDFD */, &on, sizeof on));
	EXPECT("ENOPROTOOPT", raw(SYS_getsockopt, s[0], SOL_SOCKET, 77 /* SO_PEERPIDFD */, room, &bytes));
	EXPECT("ENOPROTOOPT", raw(SYS_getsockopt, s[0], 132 /* SOL_SCTP */, 102 /* PEELOFF */, room, &bytes));
}

CASE(watching_others, REFUSED, "perf_event_open fanotify_init")
{
	memset(room, 0, sizeof room);
	((uint32_t *)room)[0] = 1;
	((uint32_t *)room)[1] = 112;
	EXPECT("EACCES", raw(SYS_perf_event_open, room, 0, -1, -1, 0));
	EXPECT("ENOSYS", raw(SYS_fanotify_init, 0, O_RDONLY));
}

CASE(zero_copy, REFUSED, "vmsplice setsockopt")
{
	int p[2], one = 1;
	struct iovec v = { "lent", 4 };
	if (pipe(p) != 0)
		_exit(99);
	EXPECT("EINVAL", raw(SYS_vmsplice, p[1], &v, 1, 0));
	int s = socket(AF_INET, SOCK_STREAM, 0);
	EXPECT("ENOSYS|EPERM|EINVAL|ENOPROTOOPT|EOPNOTSUPP", setsockopt(s, SOL_SOCKET, 60 /* SO_ZEROCOPY */, &one, sizeof one));
}

/* Kernel and program write the ring's pages at the same time. */
CASE(packet_ring, REFUSED, "socket setsockopt")
{
	struct { unsigned size, blocks, frame, frames; } ring = { 4096, 1, 2048, 2 };
	int s = socket(17 /* AF_PACKET */, SOCK_RAW, 0);
	EXPECT("ENOSYS|EPERM|EINVAL|ENOPROTOOPT|EBADF", setsockopt(s, 263 /* SOL_PACKET */, 5 /* RX_RING */, &ring, sizeof ring));
}

CASE(own_execution, REFUSED, "rseq modify_ldt seccomp prctl arch_prctl landlock_create_ruleset")
{
	static uint32_t area[8] __attribute__((aligned(32)));
	static const struct { uint16_t code; uint8_t jt, jf; uint32_t k; } allow = { 6, 0, 0, 0x7fff0000 };
	struct { uint16_t length; const void *filter; } program = { 1, &allow };
	EXPECT("ENOSYS", raw(SYS_rseq, area, 32, 0, 0x53053053));
	EXPECT("ENOSYS", raw(SYS_modify_ldt, 0, room, sizeof room));
	EXPECT("ENOSYS", raw(SYS_landlock_create_ruleset, NULL, 0, 1));
	EXPECT("EINVAL|EPERM", prctl(59 /* PR_SET_SYSCALL_USER_DISPATCH */, 0, 0, 0, 0));
	EXPECT("EINVAL|EPERM|ENODEV", raw(SYS_arch_prctl, 0x4002 /* ARCH_ENABLE_TAGGED_ADDR */, 6));
	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0)
		_exit(99);
	EXPECT("EINVAL", raw(SYS_seccomp, 1 /* SET_MODE_FILTER */, 0, &program));
	EXPECT("EINVAL|EPERM|ENOSYS", prctl(PR_SET_SECCOMP, 2, &program, 0, 0));
}

/* They would leave the number of the variant's own thread in the word. */
CASE(inheriting_futexes, REFUSED, "futex")
{
	static uint32_t word, other;
	struct timespec past = { 0, 0 };
	EXPECT("ENOSYS", raw(SYS_futex, &word, 6 /* LOCK_PI */, 0, &past));
	EXPECT("ENOSYS", raw(SYS_futex, &word, 128 | 7 /* PRIVATE UNLOCK_PI */));
	EXPECT("ENOSYS", raw(SYS_futex, &word, 8 /* TRYLOCK_PI */));
	EXPECT("ENOSYS", raw(SYS_futex, &word, 256 | 11 /* CLOCK_REALTIME WAIT_REQUEUE_PI */, 0, &past, &other));
	EXPECT("ENOSYS", raw(SYS_futex, &word, 12 /* CMP_REQUEUE_PI */, 1, 1, &other, 0));
	EXPECT("ENOSYS", raw(SYS_futex, &word, GARBAGE(13) /* LOCK_PI2 */, 0, &past));
	say("%u %u", word, other);
}

CASE(protection_keys, REFUSED, "pkey_alloc pkey_mprotect pkey_free")
{
	EXPECT("ENOSPC", raw(SYS_pkey_alloc, 0, 0));
	EXPECT("EINVAL", raw(SYS_pkey_mprotect, edge(4096), 4096, PROT_READ, -1));
	EXPECT("EINVAL", raw(SYS_pkey_free, 0));
}

/* Memory that outsiders can change or see changing, written without a call. */
CASE(shared_stores, REFUSED, "mmap shmget shmat shmctl shmdt")
{
	EXPECT("ENOSYS", raw(SYS_shmget, 0, 4096, 01600));
	EXPECT("ENOSYS", raw(SYS_shmat, 0, NULL, 0));
	EXPECT("ENOSYS", raw(SYS_shmctl, 0, 2, room));
	EXPECT("ENOSYS", raw(SYS_shmdt, LOW));
	make_file("f", 4096);
	int fd = open("f", O_RDWR);
	EXPECT("EPERM|EACCES|ENODEV", mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0));
}

/* A mapping for reading of which mprotect could make the above, as nothing says that the file may only be read. */
CASE(shared_stores_later, REFUSED, "mmap mprotect chroot")
{
	make_file("f", 4096);
	int fd = open("f", O_RDWR);
	if (chroot(".") != 0)
		_exit(99);
	void *at = mmap(NULL, 4096, PROT_READ, MAP_SHARED, fd, 0);
	if (at == MAP_FAILED)
		_exit(98);
	EXPECT("EACCES", mprotect(at, 4096, PROT_READ | PROT_WRITE));
}

/* What the variants have stored in memory of their own, or lists of it, moved to others by the kernel alone. */
CASE(unseen_content, REFUSED, "memfd_create openat sendfile splice copy_file_range mmap sendmsg")
{
	static const char *const lists[] = { "/proc/self/maps", "/proc/self/smaps" };
	char path[32], control[CMSG_SPACE(sizeof(int))] __attribute__((aligned(8))) = { 0 };
	int p[2], s[2], fds[3] = { (int)raw(SYS_memfd_create, "m", 0), open(lists[0], O_RDONLY), open(lists[1], O_RDONLY) };
	struct iovec v = { "d", 1 };
	struct msghdr m = { .msg_iov = &v, .msg_iovlen = 1, .msg_control = control, .msg_controllen = sizeof control };
	make_file("f", 0);
	int out = open("f", O_RDWR);
	if (pipe(p) != 0 || socketpair(AF_UNIX, SOCK_STREAM, 0, s) != 0 || write(fds[0], "stored", 6) != 6)
		_exit(99);
	for (size_t i = 0; i < COUNT(fds); i++) {
		int64_t at = 0;
		struct cmsghdr *c = CMSG_FIRSTHDR(&m);
		c->cmsg_level = SOL_SOCKET;
		c->cmsg_type = SCM_RIGHTS;
		c->cmsg_len = CMSG_LEN(sizeof(int));
		memcpy(CMSG_DATA(c), &fds[i], sizeof(int));
		snprintf(path, sizeof path, "/proc/self/fd/%d", fds[i]);
		EXPECT("EINVAL", raw(SYS_sendfile, s[0], fds[i], &at, 6));
		EXPECT("EINVAL", raw(SYS_splice, fds[i], &at, p[1], NULL, 6, 0));
		EXPECT("EINVAL", raw(SYS_copy_file_range, fds[i], &at, out, NULL, 6, 0));
		EXPECT("EPERM", sendmsg(s[0], &m, 0));
		EXPECT("EACCES", open(path, O_RDONLY));
	}
	EXPECT("ENODEV", mmap(NULL, 4096, PROT_READ, MAP_PRIVATE, fds[1], 0));
}

/* Their users fall back to the calls that take one message, or milliseconds. */
CASE(combined_calls, REFUSED, "recvmmsg epoll_pwait2")
{
	int s[2];
	if (socketpair(AF_UNIX, SOCK_DGRAM, 0, s) != 0)
		_exit(99);
	EXPECT("ENOSYS", raw(SYS_recvmmsg, s[1], NULL, 0, 0, NULL));
	EXPECT("ENOSYS", raw(SYS_epoll_pwait2, -1, room, 1, NULL, NULL, 8));
}

CASE(not_described, REFUSED, "keyctl add_key request_key get_mempolicy set_mempolicy mbind get_robust_list openat2")
{
	EXPECT("ENOSYS", raw(SYS_keyctl, 0, -1, 0));
	EXPECT("ENOSYS", raw(SYS_add_key, NULL, NULL, NULL, 0, 0));
	EXPECT("ENOSYS", raw(SYS_request_key, NULL, NULL, NULL, 0));
	EXPECT("ENOSYS", raw(SYS_get_mempolicy, NULL, NULL, 0, NULL, 0));
	EXPECT("ENOSYS", raw(SYS_set_mempolicy, 0, NULL, 0));
	EXPECT("ENOSYS", raw(SYS_mbind, NULL, 0, 0, NULL, 0, 0));
	EXPECT("ENOSYS", raw(SYS_get_robust_list, 0, room, room + 1));
	memset(room, 0, sizeof room);
	EXPECT("ENOSYS", raw(SYS_openat2, AT_FDCWD, ".", room, 24));
}

/* The numbers of another architecture's table, through the ordinary instruction. */
CASE(other_numbers, REFUSED, "none")
{
	EXPECT("ENOSYS", raw(0x40000000 | SYS_getpid));
	EXPECT("ENOSYS", raw(0x40000000 | SYS_write, 1, "x32 wrote this\n", 15));
}

static long by_interrupt(long number)
{
	long result;
	__asm__ volatile("int $0x80" : "=a"(result) : "a"(number), "b"(0), "c"(0), "d"(0)
			 : "r8", "r9", "r10", "r11", "memory");
	if (result < 0) {
		errno = (int)-result;
		return -1;
	}
	return result;
}

/* Through another instruction: nobody falls back from that, so it ends the program. */
CASE(other_entry, ENDS, "none")
{
	TOK(by_interrupt(20 /* getpid */));
}

/* Numbers of descriptors beyond those that the monitor keeps, where the limit of open files allows them. */
CASE(high_descriptors, REFUSED, "dup2 dup3 fcntl")
{
	struct rlimit l;
	getrlimit(RLIMIT_NOFILE, &l);
	l.rlim_cur = 1 << 20;
	if (l.rlim_max < l.rlim_cur)
		l.rlim_max = l.rlim_cur;
	setrlimit(RLIMIT_NOFILE, &l);
	EXPECT("EBADF", raw(SYS_dup2, 0, 300000));
	EXPECT("EBADF", raw(SYS_dup3, 0, 300000, O_CLOEXEC));
	EXPECT("EINVAL", raw(SYS_fcntl, 0, F_DUPFD, 300000));
	EXPECT("EINVAL", raw(SYS_fcntl, 0, F_DUPFD_CLOEXEC, 300000));
}

/* More bytes than any option has: the kernel would read as many as the option wants, from wherever it is told to. */
CASE(long_options, REFUSED, "setsockopt socketpair")
{
	int two[2];
	raw(SYS_socketpair, AF_UNIX, SOCK_STREAM, 0, two);
	EXPECT("EINVAL", raw(SYS_setsockopt, two[0], SOL_SOCKET, SO_RCVLOWAT, room, 70000));
	EXPECT("EINVAL", raw(SYS_setsockopt, two[0], SOL_SOCKET, SO_RCVLOWAT, room, 0x7fffffff));
}
