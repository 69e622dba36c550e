// SPDX-License-Identifier: Apache-2.0
/*
 * `breakout NAME GATE RETURN CLOSE PROCESS`: a program under the monitor that knows the library and turns on it. The numbers are where,
 * in the library's image, its gates are, its WRPKRU, and how far behind the image's beginning its process block lies. Where the image
 * is it finds out by asking for addresses that are taken. Prints one line: what came of it.
 */
#define _GNU_SOURCE
#include <cpuid.h>
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <ucontext.h>
#include <unistd.h>

#define KEY 1
#define LOW 0x200000000000ul /* where monitors lie: internal/supervisor/bases.go */
#define REACH (64ul << 40)
#define PAGE 4096ul

static sigjmp_buf back;
static char *image, *process;
static uint64_t gate, leave, close_key;

static void on_fault(int signo)
{
	siglongjmp(back, signo);
}

static const char *key(void)
{
	unsigned a, c, d;

	__cpuid_count(7, 0, a, d, c, a);
	if (!(c & 1 << 4)) /* OSPKE */
		return "no keys";
	__asm__ volatile("rdpkru" : "=a"(a), "=d"(d) : "c"(0));
	return a >> 2 * KEY & 1 ? "closed" : "open";
}

static int taken(uint64_t from, uint64_t to)
{
	char *p =
	    mmap((void *)from, to - from, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE | MAP_FIXED_NOREPLACE, -1, 0);

	if (p == MAP_FAILED)
		return 1;
	munmap(p, to - from);
	return 0;
}

/* The lowest address from LOW on that is somebody's. */
static char *find(void)
{
	uint64_t free = LOW, reach = LOW + REACH;

	if (!taken(free, reach))
		return NULL;
	while (reach - free > PAGE) {
		uint64_t middle = free + (reach - free) / 2 / PAGE * PAGE;

		if (taken(free, middle))
			reach = middle;
		else
			free = middle;
	}
	return (char *)free;
}

static const char *by_gate(void)
{
	long (*call)(long, long, long, long, long, long, long) = (void *)(image + gate);

	return call(SYS_getppid, 0, 0, 0, 0, 0, 0) > 0 ? "through" : "not";
}

/* A store, by which the monitor could be made to believe anything. */
static const char *by_store(void)
{
	volatile char *p = process;

	*p = *p;
	return "through";
}

static ucontext_t *forged;
static int jumps;

static void in_handler(int signo, siginfo_t *info, void *context)
{
	forged = context;
	(void)signo, (void)info;
	if (jumps) {
		forged->uc_stack.ss_flags = 0x55; /* refused, so that the monitor's stack for signals stays */
		__asm__ volatile("mov %0, %%rsp\n jmp *%1" : : "r"(forged), "r"(image + leave));
	} else {
		unsigned size, offset, c, d;
		unsigned char *state = (unsigned char *)forged->uc_mcontext.fpregs;

		__cpuid_count(13, 9, size, offset, c, d);
		memset(state + offset, 0, 8);
		state[512 + 1] |= 2; /* XSTATE_BV: component 9 */
	}
}

/* A frame of its own making: by the gate's rt_sigreturn, or by the program's, where it says that every key is open. */
static const char *by_frame(int by_gate)
{
	struct sigaction act = {.sa_sigaction = in_handler, .sa_flags = SA_SIGINFO};

	jumps = by_gate;
	sigaction(SIGUSR1, &act, NULL);
	kill(getpid(), SIGUSR1);
	return jumps ? "through" : key();
}

/* The library's own WRPKRU, with everything open. */
static const char *by_wrpkru(void)
{
	__asm__ volatile("xor %%eax, %%eax\n xor %%ecx, %%ecx\n xor %%edx, %%edx\n jmp *%0"
			 :
			 : "r"(image + close_key)
			 : "rax", "rcx", "rdx");
	return "through";
}

static const char *by_read(void)
{
	int fd = open("/dev/zero", O_RDONLY);
	struct iovec v[2] = {{&fd, 0}, {process, 8}};
	static char text[200];

	snprintf(text, sizeof(text), "%s", read(fd, process, 8) < 0 ? strerror(errno) : "through");
	snprintf(text + strlen(text), 100, ", %s", readv(fd, v, 2) < 0 ? strerror(errno) : "through");
	snprintf(text + strlen(text), 100, ", %s", write(STDOUT_FILENO, process, 8) < 0 ? strerror(errno) : "through");
	snprintf(text + strlen(text), 100, ", %s", syscall(SYS_set_tid_address, process) < 0 ? strerror(errno) : "set");
	return text;
}

static const char *by_int3(void)
{
	signal(SIGTRAP, on_fault);
	__asm__ volatile("mov %0, %%rsp\n int3" : : "r"(process + 2048));
	return "through";
}

/* To where 32-bit code would find its own bytes at the low half of an address of the monitor's. */
static const char *by_compat(void)
{
	static struct {
		uint32_t ip;
		uint16_t cs;
	} __attribute__((packed)) far = {0, 0x23};
	unsigned char *low = mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_32BIT, -1, 0);

	memset(low, 0xcc, PAGE);
	far.ip = (uint32_t)(uintptr_t)low;
	if (mprotect(low, PAGE, PROT_READ | PROT_EXEC))
		return strerror(errno);
	signal(SIGTRAP, on_fault);
	__asm__ volatile("mov %%rsp, %%r12\n lea 4096-64(%0), %%rsp\n ljmp *%1" : : "r"(low), "m"(far) : "r12", "memory");
	return "through";
}

static const char *by_rseq(void)
{
	static char area[64] __attribute__((aligned(32)));

	return syscall(SYS_rseq, area, 32, 0, 0x53053053) < 0 ? strerror(errno) : "through";
}

int main(int argc, char **argv)
{
	const char *name = argv[1], *came;
	int signo;

	if (argc != 6)
		return 64;
	gate = strtoul(argv[2], NULL, 16);
	leave = strtoul(argv[3], NULL, 16);
	close_key = strtoul(argv[4], NULL, 16);
	image = find();
	image = image ? image + PAGE : NULL;
	process = image + strtoul(argv[5], NULL, 16);
	setvbuf(stdout, NULL, _IONBF, 0);
	signal(SIGILL, on_fault);
	signal(SIGSEGV, on_fault);
	if ((signo = sigsetjmp(back, 1))) {
		printf("%s: signal %d, %s\n", name, signo, key());
		return 0;
	}
	came = !strcmp(name, "gate")     ? by_gate()
	       : !strcmp(name, "store")  ? by_store()
	       : !strcmp(name, "return") ? by_frame(1)
	       : !strcmp(name, "frame")  ? by_frame(0)
	       : !strcmp(name, "wrpkru") ? by_wrpkru()
	       : !strcmp(name, "read")   ? by_read()
	       : !strcmp(name, "int3")   ? by_int3()
	       : !strcmp(name, "rseq")   ? by_rseq()
	       : !strcmp(name, "compat") ? by_compat()
					 : "unknown";
	printf("%s: %s\n", name, came);
	return 0;
}
