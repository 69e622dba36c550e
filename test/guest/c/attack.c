/* SPDX-License-Identifier: Apache-2.0 */
/*
 * `attack NAME none|token|pages|key|unarmed`: what an armed program does to get past the monitor. Prints how it ended and what the module
 * said of it; "through" is an attack that had what it wanted.
 */
#include "client.h"
#include <linux/io_uring.h>

#define THROUGH 42
static int guard = -1; /* -1: unarmed */

static int gate(void)
{
	return client_call(SYS_getppid, 0, 0, 0) == getppid() ? THROUGH : 1;
}

/* A store, by which anything that the monitor believes could be changed. */
static int store(void)
{
	*(volatile char *)memory = 1;
	return THROUGH;
}

/* To the entry's own gate, with a stack that makes what follows believe in another block: the call is made and it comes back. */
static int middle(void)
{
	static uint64_t forged[64] __attribute__((aligned(16)));
	uint64_t *fake = forged + 32;
	long r = SYS_getppid;

	__asm__ volatile("push %%rbp\n	push %%r15\n"
			 "	sub $128, %%rsp\n"
			 "	mov %%rsp, 56(%1)\n"
			 "	lea 1f(%%rip), %%rcx\n"
			 "	mov %%rcx, 128(%1)\n"
			 "	movq $0x202, 136(%1)\n"
			 "	mov %1, %%rsp\n"
			 "	mov %1, %%rbp\n"
			 "	jmp client_gate\n"
			 "1:	add $128, %%rsp\n	pop %%r15\n	pop %%rbp\n"
			 : "+a"(r)
			 : "b"(fake)
			 : "rcx", "r11", "memory");
	return r == getppid() ? THROUGH : 1;
}

/* The handler's first call would hand over the token; with it the attacker goes to a gate. */
static int handler(void)
{
	static uint64_t token;

	__asm__ volatile("push %%r15\n	xor %%r15d, %%r15d\n"
			 "	sub $1024, %%rsp\n"
			 "	lea 1f(%%rip), %%rcx\n	push %%rcx\n"
			 "	jmp client_handler\n"
			 "1:	add $1024, %%rsp\n	mov %%r15, %0\n	pop %%r15\n"
			 : "=m"(token)
			 : "D"(0)
			 : "rax", "rcx", "rdx", "rsi", "r8", "r9", "r10", "r11", "memory", "cc");
	return token ? THROUGH : 1;
}

static int int80(void)
{
	long r;

	__asm__ volatile("int $0x80" : "=a"(r) : "0"(64 /* getppid there */) : "memory");
	return r == getppid() ? THROUGH : 1;
}

static int vsyscall(void)
{
	long (*time)(long *) = (long (*)(long *))0xffffffffff600400;

	return time(NULL) > 1000000000 ? THROUGH : 1;
}

static int whole(void)
{
	return munmap(memory, MEMORY) == 0 ? THROUGH : 1;
}

static int over(void)
{
	return mmap(memory, MEMORY, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0) == memory ? THROUGH : 1;
}

static void say(const char *what, int ok)
{
	printf("%s %s, ", what, ok ? "done" : strerrorname_np(errno));
}

/* Each is answered by an error, and the program goes on. Pages are used once; the whole is what is left of it where all goes through. */
static int refused(void)
{
	char byte = 1, *at = memory + 16 * PAGE, *rest = guard < 0 ? at : memory;
	struct iovec local = {&byte, 1}, remote = {at, 1};
	int mem = open("/proc/self/mem", O_RDWR), ok;
	void *elsewhere = (void *)0x200000000000;
	size_t bytes = (size_t)(memory + MEMORY - rest);

	say("munmap", munmap(memory + PAGE, PAGE) == 0);
	ok = mmap(memory + 3 * PAGE, PAGE, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0) != MAP_FAILED;
	if (!ok && errno == ENOMEM)
		errno = EPERM; /* older kernels' word for it */
	say("fixed", ok);
	say("mprotect part", mprotect(memory + 5 * PAGE, PAGE, PROT_READ) == 0);
	say("pkey_mprotect", syscall(SYS_pkey_mprotect, memory + 7 * PAGE, PAGE, PROT_READ, 0) == 0);
	say("dontneed", madvise(at, PAGE, MADV_DONTNEED) == 0);
	say("pageout", madvise(at, PAGE, MADV_PAGEOUT) == 0);
	say("mem", pwrite(mem, &byte, 1, (off_t)at) == 1);
	say("writev", process_vm_writev(getpid(), &local, 1, &remote, 1, 0) == 1);
	say("mremap part", mremap(memory + 9 * PAGE, PAGE, PAGE, MREMAP_MAYMOVE | MREMAP_FIXED, elsewhere) == elsewhere);
	say("double", mremap(rest, 0, bytes, MREMAP_MAYMOVE) != MAP_FAILED);
	say("mprotect", mprotect(rest, bytes, PROT_READ) == 0);
	say("mremap", mremap(rest, bytes, bytes, MREMAP_MAYMOVE | MREMAP_FIXED, elsewhere) == elsewhere);
	if (guard >= 0) {
		struct mm_kmod_arm a = arm_of(block(1));

		say("map again", mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_SHARED, arming, MEMORY) != MAP_FAILED);
		say("arm again", ioctl(arming, MM_KMOD_IOC_ARM, &a) == 0);
	}
	return THROUGH;
}

/*
 * Memory that is inherited after all would be one for two processes, and belong to nobody when the first has ended. The attack: the
 * child writes, the parent reads it.
 */
static int keep(void)
{
	volatile char *there = memory + MEMORY - SLOT;
	pid_t pid;

	*there = 1;
	madvise(memory, MEMORY, MADV_KEEPONFORK);
	pid = fork();
	if (!pid) {
		*there = 2;
		_exit(0);
	}
	check(ends(pid) == 0);
	return *there == 2 ? THROUGH : 1;
}

/* Without the mapping a child has no monitor. */
static int dont(void)
{
	pid_t pid;

	if (guard < 0) {
		pid = fork();
		return !pid ? 0 : ends(pid) ? 1 : THROUGH;
	}
	check(madvise(memory, MEMORY, MADV_DONTFORK) == 0);
	pid = fork();
	return !pid ? 0 : ends(pid) ? 1 : THROUGH;
}

/*
 * One thread is inside, waiting in a call, and another one stores. A key is each thread's own (this one closes it, as the library does
 * when it leaves); pages are there for both.
 */
static int wakes[2];

static void stores(void)
{
	if (guard == MM_KMOD_GUARD_KEY)
		__asm__ volatile("wrpkru" : : "a"(MM_KMOD_PKRU_CLOSED), "c"(0), "d"(0));
	*(volatile char *)(block(0) + PAGE / 2) = 1;
	raw(SYS_write, wakes[1], (long)"", 1, 0, 0, 0);
	for (;;)
		raw(SYS_exit, 0, 0, 0, 0, 0, 0);
}

static int second(void)
{
	static char stack[65536] __attribute__((aligned(16)));
	char byte;

	check(pipe(wakes) == 0 && next(1) == 0 && thread(stores, stack + sizeof(stack)) > 0);
	return raw(SYS_read, wakes[0], (long)&byte, 1, 0, 0, 0) == 1 ? THROUGH : 1;
}

/* A worker of io_uring, a thread of the program's own that never comes from user space, reads a file into the monitor's memory. */
static int uring(void)
{
	struct io_uring_params p = {0};
	int fd = (int)raw(SYS_io_uring_setup, 4, (long)&p, 0, 0, 0, 0), zero = open("/dev/zero", O_RDONLY);
	char *target = memory + 16 * PAGE, *sq, *cq;
	struct io_uring_sqe *e;

	check(fd >= 0 && zero >= 0);
	sq = mmap(NULL, p.sq_off.array + p.sq_entries * 4, PROT_READ | PROT_WRITE, MAP_SHARED, fd, IORING_OFF_SQ_RING);
	cq = mmap(NULL, p.cq_off.cqes + p.cq_entries * sizeof(struct io_uring_cqe), PROT_READ | PROT_WRITE, MAP_SHARED, fd,
		  IORING_OFF_CQ_RING);
	e = mmap(NULL, p.sq_entries * sizeof(*e), PROT_READ | PROT_WRITE, MAP_SHARED, fd, IORING_OFF_SQES);
	check(sq != MAP_FAILED && cq != MAP_FAILED && (void *)e != MAP_FAILED);
	*e = (struct io_uring_sqe){.opcode = IORING_OP_READ, .flags = IOSQE_ASYNC, .fd = zero, .addr = (uint64_t)target, .len = 64};
	((uint32_t *)(sq + p.sq_off.array))[0] = 0;
	__atomic_store_n((uint32_t *)(sq + p.sq_off.tail), 1, __ATOMIC_RELEASE);
	check(raw(SYS_io_uring_enter, fd, 1, 1, IORING_ENTER_GETEVENTS, 0, 0) == 1);
	return ((struct io_uring_cqe *)(cq + p.cq_off.cqes))->res == 64 ? THROUGH : 1;
}

static const struct {
	const char *name;
	int (*run)(void);
} all[] = {
    {"gate", gate},         {"store", store},   {"middle", middle}, {"handler", handler}, {"int80", int80},
    {"vsyscall", vsyscall}, {"whole", whole},   {"over", over},     {"refused", refused}, {"keep", keep},
    {"dont", dont},         {"second", second}, {"uring", uring},
};

int main(int argc, char **argv)
{
	static const char *const offences[] = {"none",   "gate",  "compat",   "exec",   "unmapped",
					       "signal", "child", "vsyscall", "closed", "reset"};
	int (*what)(void) = NULL;
	struct mm_kmod_violation v;
	int end;
	pid_t pid;

	for (unsigned int i = 0; i < sizeof(all) / sizeof(*all); i++)
		if (argc == 3 && !strcmp(all[i].name, argv[1]))
			what = all[i].run;
	if (!what)
		return 2;
	if (!strcmp(argv[2], "none"))
		guard = MM_KMOD_GUARD_NONE;
	else if (!strcmp(argv[2], "token"))
		guard = MM_KMOD_GUARD_TOKEN;
	else if (!strcmp(argv[2], "pages"))
		guard = MM_KMOD_GUARD_PAGES;
	else if (!strcmp(argv[2], "key"))
		guard = MM_KMOD_GUARD_KEY;
	open_session();
	setbuf(stdout, NULL);
	if (guard < 0) {
		memory = mmap(NULL, MEMORY, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
		pid = fork();
		if (!pid)
			_exit(what());
	} else {
		pid = start((uint32_t)guard, what);
	}
	end = ends(pid);
	v = violation();
	printf(end == THROUGH ? "through" : "ended by %d", end);
	if (v.offence)
		printf(", %s%s%s", v.offence < 10 ? offences[v.offence] : "?", v.pid == (uint32_t)pid ? "" : ", of another",
		       v.ip || v.offence == MM_KMOD_CHILD || v.offence == MM_KMOD_EXEC ? "" : ", from nowhere");
	printf("\n");
	return 0;
}
