/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The least client of the kernel module: an entry that makes the program's call at its gate and goes back. What the module
 * promises is tested with it and with nothing of the library's in between. One file of a program includes this.
 */
#ifndef CLIENT_H
#define CLIENT_H

#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <unistd.h>
#include <monmod/kmod.h>

#define PAGE 4096ul
#define SLOT (8 * PAGE) /* a block, in the last page, and the stack below it */
#define BLOCKS 8
#define MEMORY (SLOT * BLOCKS)

extern char client_gates[], client_gates_end[], client_entry[], client_gate[], client_handler[], client_announce[],
    client_restorer[];
long client_call(long nr, long a, long b, long c);

/*
 * The entry's gate is client_gate. Behind it a fork's child and the caller have the stack that they had; a thread has another
 * one, on which lies what it is to run. The handler and its way back keep the token throughout.
 */
__asm__(".text\n.p2align 12\n"
	"client_gates:\n"
	"client_gate:\n"
	"	syscall\n"
	"	jmp 2f\n"
	"client_call:\n" /* what an attacker finds: a gate, and a way back */
	"	mov %rdi, %rax\n"
	"	mov %rsi, %rdi\n"
	"	mov %rdx, %rsi\n"
	"	mov %rcx, %rdx\n"
	"	syscall\n"
	"	ret\n"
	"client_restorer:\n"
	"	mov $15, %eax\n"
	"	syscall\n"
	".p2align 12\n"
	"client_gates_end:\n"
	"client_entry:\n"
	"	mov %rbp, 48(%rsp)\n"
	"	mov %rsp, %rbp\n"
	"	mov (%rbp), %rax\n"
	"	jmp client_gate\n"
	"2:	cmp %rsp, %rbp\n"
	"	jne 1f\n"
	"	mov 128(%rbp), %rcx\n"
	"	pushq 136(%rbp)\n"
	"	popfq\n"
	"	mov 136(%rbp), %r11\n"
	"	mov 120(%rbp), %r15\n"
	"	mov 56(%rbp), %rsp\n"
	"	mov 48(%rbp), %rbp\n"
	"	jmp *%rcx\n"
	"1:	xor %r15d, %r15d\n"
	"	xor %ebp, %ebp\n"
	"	ret\n"
	"client_handler:\n"
	"	mov $-1, %eax\n"
	"	syscall\n"
	"client_announce:\n"
	"	jmp client_signal\n");

static volatile int signals;
static int session, arming;
static char *memory;

void client_signal(int signal);
void client_signal(int signal)
{
	signals = signal; /* no call from here: the block may be in use */
}

/* A call of the program's, without the C library's ideas of it. */
static inline long raw(long nr, long a, long b, long c, long d, long e, long f)
{
	register long r10 __asm__("r10") = d, r8 __asm__("r8") = e, r9 __asm__("r9") = f;
	long r;

	__asm__ volatile("syscall"
			 : "=a"(r)
			 : "0"(nr), "D"(a), "S"(b), "d"(c), "r"(r10), "r"(r8), "r"(r9)
			 : "rcx", "r11", "memory");
	return r;
}

#define check(condition)                                                                    \
	do {                                                                                \
		if (!(condition)) {                                                         \
			printf("line %d: not %s (errno %d) ", __LINE__, #condition, errno); \
			fflush(stdout);                                                     \
			_exit(1);                                                           \
		}                                                                           \
	} while (0)

static inline uint64_t block(unsigned int i)
{
	return (uint64_t)memory + SLOT * (i + 1) - PAGE;
}

static inline struct mm_kmod_arm arm_of(uint64_t at)
{
	return (struct mm_kmod_arm){.version = MM_KMOD_VERSION,
				    .gates = (uint64_t)client_gates,
				    .gates_bytes = (uint64_t)(client_gates_end - client_gates),
				    .entry = (uint64_t)client_entry,
				    .handler = (uint64_t)client_handler,
				    .announce = (uint64_t)client_announce,
				    .block = at};
}

static inline void open_session(void)
{
	session = open("/dev/monmod", O_RDWR | O_CLOEXEC);
	check(session >= 0);
}

static inline void open_arming(uint32_t guard)
{
	struct mm_kmod_arming a = {MM_KMOD_VERSION, guard};

	arming = ioctl(session, MM_KMOD_IOC_ARMING, &a);
	check(arming >= 0);
}

static inline void map_memory(void)
{
	memory = mmap(NULL, MEMORY, PROT_READ | PROT_WRITE, MAP_SHARED, arming, 0);
	check(memory != MAP_FAILED);
}

static inline int arm(void)
{
	struct mm_kmod_arm a = arm_of(block(0));

	return ioctl(arming, MM_KMOD_IOC_ARM, &a);
}

static inline int next(unsigned int i)
{
	struct mm_kmod_next n = {MM_KMOD_VERSION, 0, block(i)};

	return ioctl(arming, MM_KMOD_IOC_NEXT, &n);
}

/* Starts a child that arms itself, unless unarmed, and ends with what's value. */
static inline pid_t start(uint32_t guard, int (*what)(void))
{
	pid_t pid;

	fflush(stdout);
	open_arming(guard);
	pid = fork();
	check(pid >= 0);
	if (!pid) {
		close(session);
		map_memory();
		check(arm() == 0);
		_exit(what());
	}
	close(arming);
	return pid;
}

static inline int ends(pid_t pid)
{
	int status;

	check(waitpid(pid, &status, __WALL) == pid);
	return WIFSIGNALED(status) ? 128 + WTERMSIG(status) : WEXITSTATUS(status);
}

/* The next violation; its offence is 0 where there is none. */
static inline struct mm_kmod_violation violation(void)
{
	struct mm_kmod_violation v = {0};

	fcntl(session, F_SETFL, O_NONBLOCK);
	check(read(session, &v, sizeof(v)) == sizeof(v) || errno == EAGAIN);
	return v;
}

static inline long number_in(const char *name)
{
	char path[64], text[32] = "";
	int fd;

	snprintf(path, sizeof(path), "/sys/kernel/monmod/%s", name);
	fd = open(path, O_RDONLY);
	check(fd >= 0 && read(fd, text, sizeof(text) - 1) > 0);
	close(fd);
	return atol(text);
}

static inline void set(const char *name, const char *value)
{
	char path[64];
	int fd;

	snprintf(path, sizeof(path), "/sys/kernel/monmod/%s", name);
	fd = open(path, O_WRONLY);
	check(fd >= 0 && write(fd, value, strlen(value)) == (ssize_t)strlen(value));
	close(fd);
}

/* By the gate, where signals come in: the restorer must be the one that has the token. */
static inline int handle(int signal)
{
	struct {
		uint64_t handler, flags, restorer, mask;
	} sa = {(uint64_t)client_handler, 0x04000000 /* SA_RESTORER */, (uint64_t)client_restorer, 0};

	return (int)raw(SYS_rt_sigaction, signal, (long)&sa, 0, 8, 0, 0);
}

/* A thread that runs function on its own stack and must not return. */
static inline long thread(void (*function)(void), char *stack_end)
{
	void **top = (void **)((uint64_t)stack_end & ~15ul) - 2;

	*top = (void *)function;
	return raw(SYS_clone, CLONE_VM | CLONE_FS | CLONE_FILES | CLONE_SIGHAND | CLONE_THREAD | CLONE_SYSVSEM, (long)top, 0, 0, 0,
		   0);
}

static inline int waits(void)
{
	while (pause())
		;
	return 0;
}

static inline void until_armed(long n)
{
	for (int i = 0; i < 10000 && number_in("armed") != n; i++)
		usleep(1000);
	check(number_in("armed") == n);
}

struct named_check {
	const char *name;
	void (*run)(void);
};

/* Runs the one that the first argument names. Returns the program's exit code. */
static inline int run_check(const struct named_check *all, unsigned long n, int argc, char **argv)
{
	for (unsigned long i = 0; argc == 2 && i < n; i++)
		if (!strcmp(all[i].name, argv[1])) {
			open_session();
			all[i].run();
			return 0;
		}
	return 2;
}

#endif
