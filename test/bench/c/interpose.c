/* What interposition alone costs: arms itself by one mechanism, passes every call through at its gate, and prints how many ticks of
 * the time-stamp counter one call took: the fewest of several rounds, without what the loop around it takes. Where the emulator
 * counts instructions (-icount shift=0) a tick is one instruction.
 * Usage: interpose MECHANISM CALL FILE, where FILE holds a byte for each call.
 *
 * Beside it always wait OTHERS processes; they are armed where MECHANISM is `beside`, where the measured process is not.
 * The entry of the module's mechanisms keeps and restores what preload/redirect.S keeps and restores. */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <ucontext.h>
#include <unistd.h>
#include "../../../include/monmod/kmod.h"

enum { PAGE = 4096, ROUNDS = 20, CALLS = 100, OTHERS = 4, TOUCHED = 16 };

extern char gates[], gates_end[], pass[], come_back[], entry[], entry_key[], entry_pages[], announce[];

long gate(long number, const greg_t *arguments) __asm__("pass");
uint64_t exit_page[8] __asm__("exit_page");
volatile unsigned long interposed __asm__("interposed"); /* calls that came to the monitor's side */

/* What the entries of the module's mechanisms keep, the call at the gate, and what both leave by. */
#define KEEP \
	"	mov %rbx, 8(%rsp)\n" \
	"	mov %rdx, 24(%rsp)\n" \
	"	mov %rsi, 32(%rsp)\n" \
	"	mov %rdi, 40(%rsp)\n" \
	"	mov %rbp, 48(%rsp)\n" \
	"	mov %r8, 64(%rsp)\n" \
	"	mov %r9, 72(%rsp)\n" \
	"	mov %r10, 80(%rsp)\n" \
	"	mov %r12, 96(%rsp)\n" \
	"	mov %r13, 104(%rsp)\n" \
	"	mov %r14, 112(%rsp)\n" \
	"	mov 128(%rsp), %rcx\n" \
	"	mov 136(%rsp), %r11\n" \
	"	mov %rcx, 16(%rsp)\n" \
	"	mov %r11, 88(%rsp)\n" \
	"	incq interposed(%rip)\n" \
	"	mov (%rsp), %rax\n" \
	"	call plain_gate\n" \
	"	mov %rax, (%rsp)\n"
#define RESTORE \
	"	mov 8(%rsp), %rbx\n" \
	"	mov 32(%rsp), %rsi\n" \
	"	mov 40(%rsp), %rdi\n" \
	"	mov 48(%rsp), %rbp\n" \
	"	mov 64(%rsp), %r8\n" \
	"	mov 72(%rsp), %r9\n" \
	"	mov 80(%rsp), %r10\n" \
	"	mov 96(%rsp), %r12\n" \
	"	mov 104(%rsp), %r13\n" \
	"	mov 112(%rsp), %r14\n"

__asm__(".section .gates,\"ax\",@progbits\n"
	".p2align 12\n"
	"gates:\n"
	"plain_gate: syscall\n"
	"	ret\n"
	"pass:\n" /* the call of a signal's context */
	"	mov %rdi, %rax\n"
	"	mov %rsi, %r11\n"
	"	mov 64(%r11), %rdi\n" /* REG_RDI … as struct sigcontext has them */
	"	mov 72(%r11), %rsi\n"
	"	mov 96(%r11), %rdx\n"
	"	mov 16(%r11), %r10\n"
	"	mov 0(%r11), %r8\n"
	"	mov 8(%r11), %r9\n"
	"	syscall\n"
	"	ret\n"
	"come_back:\n"
	"	mov $15, %eax\n"
	"	syscall\n"
	"hide:\n"
	"	mov $-2, %eax\n" /* MM_KMOD_LEAVE */
	"	syscall\n"
	"	ud2\n"
	"	.p2align 12\n"
	"gates_end:\n"
	"	.text\n"
	"announce:\n" /* no signal comes while the module's mechanisms run */
	"	ud2\n"
	"entry:\n" KEEP RESTORE
	"	mov 24(%rsp), %rdx\n"
	"	mov 136(%rsp), %r11\n"
	"	push %r11\n"
	"	popfq\n"
	"	mov 128(%rsp), %rcx\n"
	"	mov 120(%rsp), %r15\n"
	"	mov 56(%rsp), %rsp\n"
	"	jmp *%rcx\n"
	"entry_pages:\n" KEEP
	"	lea -2 * 4096(%rsp), %rax\n" /* as many pages as the library uses in a call */
	"	mov $16, %ecx\n"
	"2:	incl (%rax)\n"
	"	sub $4096, %rax\n"
	"	dec %ecx\n"
	"	jnz 2b\n"
	"	jmp hide\n"
	"entry_key:\n" KEEP RESTORE
	"	lea exit_page(%rip), %r11\n"
	"	mov 136(%rsp), %rax\n"
	"	mov 128(%rsp), %rcx\n"
	"	mov %rax, (%r11)\n"
	"	mov %rcx, 8(%r11)\n"
	"	mov 24(%rsp), %rax\n"
	"	mov (%rsp), %rcx\n"
	"	mov %rax, 16(%r11)\n"
	"	mov %rcx, 24(%r11)\n"
	"	mov 56(%rsp), %rax\n"
	"	mov %rax, 32(%r11)\n"
	"	mov 120(%rsp), %r15\n"
	"	mov %r11, %rsp\n"
	"	xor %ecx, %ecx\n"
	"	xor %edx, %edx\n"
	"	mov $0x55555554, %eax\n" /* MM_KMOD_PKRU_CLOSED */
	"	wrpkru\n"
	"	test $4, %al\n"
	"	jnz 1f\n"
	"	ud2\n"
	"1:	popfq\n"
	"	pop %rcx\n"
	"	pop %rdx\n"
	"	pop %rax\n"
	"	mov (%rsp), %rsp\n"
	"	jmp *%rcx\n");

static void need(int ok, const char *what)
{
	if (ok)
		return;
	fprintf(stderr, "interpose: %s: %s\n", what, strerror(errno));
	_exit(1);
}

/* Syscall User Dispatch: a signal for each call, which the handler passes on. */

static void on_call(int signo, siginfo_t *info, void *context)
{
	greg_t *r = ((ucontext_t *)context)->uc_mcontext.gregs;
	(void)signo, (void)info;
	interposed++;
	r[REG_RAX] = gate(r[REG_RAX], r);
}

static void arm_sud(void)
{
	static char stack[16 * PAGE];
	stack_t alternate = { .ss_sp = stack, .ss_size = sizeof stack };
	struct {
		void (*handler)(int, siginfo_t *, void *);
		unsigned long flags;
		void *restorer;
		uint64_t mask;
	} action = { on_call, SA_SIGINFO | SA_ONSTACK | 0x04000000 /* SA_RESTORER */, come_back, ~0ull };

	need(!sigaltstack(&alternate, NULL), "set a signal stack");
	need(!syscall(SYS_rt_sigaction, SIGSYS, &action, NULL, 8), "handle SIGSYS");
	need(!prctl(59 /* PR_SET_SYSCALL_USER_DISPATCH */, 1, gates, gates_end - gates, NULL), "arm Syscall User Dispatch");
}

/* The module. */

static void arm_kmod(uint32_t guard)
{
	int session = open("/dev/monmod", O_RDWR | O_CLOEXEC);
	need(session >= 0, "open /dev/monmod");
	struct mm_kmod_arming arming = { MM_KMOD_VERSION, guard };
	int fd = ioctl(session, MM_KMOD_IOC_ARMING, &arming);
	need(fd >= 0, "ask for an arming descriptor");
	size_t bytes = (TOUCHED + 2) * PAGE; /* other pages, a stack, the block */
	char *memory = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	need(memory != MAP_FAILED, "map memory of the monitor's");
	memset(memory, 0, bytes);
	struct mm_kmod_arm arm = {
		.version = MM_KMOD_VERSION,
		.gates = (uint64_t)gates,
		.gates_bytes = gates_end - gates,
		.entry = (uint64_t)(guard == MM_KMOD_GUARD_KEY ? entry_key : guard == MM_KMOD_GUARD_PAGES ? entry_pages : entry),
		.announce = (uint64_t)announce,
		.block = (uint64_t)memory + bytes - PAGE,
	};
	need(!ioctl(fd, MM_KMOD_IOC_ARM, &arm), "arm this thread");
}

/* Starts processes, armed or not, that wait for the end that start_others() returns to be closed. */
static int start_others(int armed)
{
	int ready[2], end[2];
	char byte;

	need(!pipe(end), "make a pipe");
	for (int i = 0; i < OTHERS; i++) {
		need(!pipe(ready), "make a pipe");
		pid_t child = fork();
		need(child >= 0, "fork");
		if (child == 0) {
			close(end[1]);
			if (armed)
				arm_kmod(MM_KMOD_GUARD_TOKEN);
			need(write(ready[1], "", 1) == 1, "say that this process waits");
			(void)!read(end[0], &byte, 1);
			_exit((interposed >= 2) != armed);
		}
		close(ready[1]);
		need(read(ready[0], &byte, 1) == 1, "wait for another process");
		close(ready[0]);
	}
	return end[1];
}

static void end_others(int end)
{
	int status;

	close(end);
	for (int i = 0; i < OTHERS; i++) {
		need(wait(&status) > 0, "wait for the end of another process");
		if (status) {
			fprintf(stderr, "interpose: another process ended with status %#x\n", status);
			_exit(1);
		}
	}
}

/* The calls. */

static inline long raw(long number, long a, long b, long c)
{
	long result;
	register long d __asm__("r10") = 0;
	__asm__ volatile("syscall" : "=a"(result) : "a"(number), "D"(a), "S"(b), "d"(c), "r"(d) : "rcx", "r11", "memory");
	return result;
}

static const struct call {
	const char *name, *path;
	long number, bytes;
} calls[] = {
	{ "getppid", NULL, SYS_getppid, 0 },
	{ "read-zero-512", "/dev/zero", SYS_read, 512 },
	{ "read-file-1", "FILE", SYS_read, 1 },
	{ "sched_yield", NULL, SYS_sched_yield, 0 },
};

static uint64_t ticks(void)
{
	return __builtin_ia32_rdtsc();
}

/* The fewest ticks of CALLS turns, each with a call or (number -1) with none. */
static uint64_t measure(long number, int fd, char *buffer, long bytes)
{
	uint64_t fewest = UINT64_MAX;

	for (int round = 0; round < ROUNDS; round++) {
		long sum = 0;
		uint64_t start = ticks();
		for (int n = 0; n < CALLS; n++) {
			if (number >= 0)
				sum += raw(number, fd, (long)buffer, bytes);
			else
				__asm__ volatile("" : "+r"(sum));
		}
		uint64_t took = ticks() - start;
		if (number == SYS_read && sum != CALLS * bytes) {
			fprintf(stderr, "interpose: %d calls to read %ld bytes gave %ld\n", CALLS, bytes, sum);
			_exit(1);
		}
		if (took < fewest)
			fewest = took;
	}
	return fewest;
}

int main(int argc, char **argv)
{
	static char buffer[PAGE];
	const struct call *c = NULL;

	for (size_t i = 0; argc == 4 && i < sizeof calls / sizeof *calls; i++)
		if (!strcmp(argv[2], calls[i].name))
			c = &calls[i];
	if (!c) {
		fprintf(stderr, "usage: interpose native|sud|kmod-none|kmod-token|kmod-pages|kmod-key|beside CALL FILE\n");
		return 64;
	}
	int others = start_others(!strcmp(argv[1], "beside")); /* before the file is opened, which they would share */
	int fd = c->path ? open(strcmp(c->path, "FILE") ? c->path : argv[3], O_RDONLY) : -1;
	need(!c->path || fd >= 0, "open what is read");
	int armed = 1;
	if (!strcmp(argv[1], "sud"))
		arm_sud();
	else if (!strcmp(argv[1], "kmod-none"))
		arm_kmod(MM_KMOD_GUARD_NONE);
	else if (!strcmp(argv[1], "kmod-token"))
		arm_kmod(MM_KMOD_GUARD_TOKEN);
	else if (!strcmp(argv[1], "kmod-pages"))
		arm_kmod(MM_KMOD_GUARD_PAGES);
	else if (!strcmp(argv[1], "kmod-key"))
		arm_kmod(MM_KMOD_GUARD_KEY);
	else
		armed = 0;

	unsigned long before = interposed;
	uint64_t with = measure(c->number, fd, buffer, c->bytes);
	unsigned long came = interposed - before;
	uint64_t without = measure(-1, fd, buffer, 0);
	if (came != (unsigned long)(armed ? ROUNDS * CALLS : 0)) {
		fprintf(stderr, "interpose: %lu calls came to the monitor's side\n", came);
		return 1;
	}
	end_others(others);
	printf("%.2f\n", (double)(with - without) / CALLS);
	return 0;
}
