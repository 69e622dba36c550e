// SPDX-License-Identifier: Apache-2.0
/*
 * A program under the monitor that tries to open the monitor's protection key by code that lies about in every process: pkey_set(3) of
 * the C library and the XRSTOR of the dynamic linker's resolver (or of what replaces it). `doors NAME` prints one line.
 */
#define _GNU_SOURCE
#include <cpuid.h>
#include <errno.h>
#include <setjmp.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#define KEY 1

static sigjmp_buf back;

static void on_fault(int signo)
{
	siglongjmp(back, signo);
}

static unsigned pkru(void)
{
	unsigned a, d;

	__asm__ volatile("rdpkru" : "=a"(a), "=d"(d) : "c"(0));
	return a;
}

static const char *is_open(unsigned value)
{
	return value >> 2 * KEY & 1 ? "closed" : "open";
}

/* Every executable mapping that the program is shown. */
static void search(void (*found)(unsigned char *at, unsigned char *end))
{
	FILE *maps = fopen("/proc/self/maps", "r");
	unsigned long from, to;
	char rights[8], line[512];

	while (fgets(line, sizeof(line), maps))
		if (sscanf(line, "%lx-%lx %4s", &from, &to, rights) == 3 && rights[2] == 'x' && rights[0] == 'r' &&
		    !strstr(line, "vsyscall"))
			for (unsigned char *p = (unsigned char *)from; p + 3 <= (unsigned char *)to; p++)
				if (p[0] == 0x0f &&
				    ((p[1] == 0x01 && p[2] == 0xef) || (p[1] == 0xae && (p[2] >> 3 & 7) == 5 && p[2] < 0xc0)))
					found(p, (unsigned char *)to);
	fclose(maps);
}

static int wrpkrus, xrstors, checked;
static unsigned char *door;
static int distance;

static void count(unsigned char *p, unsigned char *end)
{
	static const unsigned char check[] = {0x31, 0xc9, 0x0f, 0x01, 0xee, 0xa8, 0x04, 0x75, 0x02, 0x0f, 0x0b};

	if (p[1] == 0x01) {
		wrpkrus++;
	} else if (p + 8 + sizeof(check) <= end && p[2] == 0xac && p[3] == 0x24) {
		checked += !memcmp(p + 8, check, sizeof(check));
		xrstors++;
		door = p;
		memcpy(&distance, p + 4, 4);
	} else {
		xrstors++;
		if (p[2] == 0x6c && p[3] == 0x24) {
			door = p;
			distance = (signed char)p[4];
		}
	}
}

static unsigned seen;
static void *saved[3], *resolver, *stack;

/* Jumps to the XRSTOR with an image of PKRU that opens everything; behind it the resolver goes on where r11 says. */
static void by_xrstor(void)
{
	static unsigned char room[16384] __attribute__((aligned(64)));
	unsigned char *image = room + 8192;
	unsigned size, offset, c, d;

	__cpuid_count(13, 9, size, offset, c, d);
	if (size != 8)
		exit(3);
	image[512 + 1] = 2; /* XSTATE_BV: component 9 */
	memset(image + offset, 0, 8);
	resolver = room + 4096;
	stack = image - distance;
	__asm__ volatile("mov %%rsp, %0\n mov %%rbp, 8+%0\n mov %%rbx, 16+%0\n"
			 "lea 1f(%%rip), %%r11\n mov %1, %%rcx\n mov %2, %%rbx\n mov %3, %%rsp\n"
			 "mov $0x200, %%eax\n xor %%edx, %%edx\n jmp *%%rcx\n"
			 "1: mov %0, %%rsp\n mov 8+%0, %%rbp\n mov 16+%0, %%rbx\n"
			 : "+m"(saved)
			 : "m"(door), "m"(resolver), "m"(stack)
			 : "rax", "rcx", "rdx", "rsi", "rdi", "r8", "r9", "r10", "r11", "memory");
	seen = pkru();
}

int main(int argc, char **argv)
{
	int signo;

	if (argc != 2)
		return 64;
	signal(SIGILL, on_fault);
	signal(SIGSEGV, on_fault);
	search(count);
	if ((signo = sigsetjmp(back, 1))) {
		printf("%s: signal %d, %s\n", argv[1], signo, is_open(pkru()));
		return 0;
	}
	if (!strcmp(argv[1], "count")) {
		printf("count: wrpkru %s, xrstor %s\n", wrpkrus ? "some" : "none", xrstors == checked ? "checked" : "unchecked");
	} else if (!strcmp(argv[1], "pkey_set")) {
		pkey_set(KEY, 0);
		seen = pkru();
		printf("pkey_set: %s\n", is_open(seen));
	} else if (!strcmp(argv[1], "xrstor")) {
		if (!door)
			return 2;
		by_xrstor();
		printf("xrstor: %s\n", is_open(seen));
	} else if (!strcmp(argv[1], "written")) {
		unsigned char *p = mmap(NULL, 4096, PROT_READ | PROT_WRITE | PROT_EXEC, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
		int error = p == MAP_FAILED ? errno : 0;

		p = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
		memcpy(p, "\xb8\x07\0\0\0\xc3", 6);
		printf("written: %s, ", strerror(error));
		printf("%s, ", strerror(mprotect(p, 4096, PROT_READ | PROT_EXEC) ? errno : 0));
		printf("gives %d, ", ((int (*)(void))p)());
		mprotect(p, 4096, PROT_READ | PROT_WRITE);
		memcpy(p, "\x31\xc0\x31\xc9\x31\xd2\x0f\x01\xef\xc3", 10);
		if (mprotect(p, 4096, PROT_READ | PROT_EXEC)) {
			printf("%s\n", strerror(errno));
		} else {
			((void (*)(void))p)();
			seen = pkru();
			printf("%s\n", is_open(seen));
		}
	} else {
		return 64;
	}
	return 0;
}
