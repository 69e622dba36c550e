/* SPDX-License-Identifier: Apache-2.0 */
/* insn.c, function.c, rewrite.c, code.c: what opens a protection key is taken out of code, which then does the same. */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "code.h"
#include "harness.h"
#include "insn.h"
#include "unit.h"
#include <linux/elf.h>

int lengths(const char *path);
int doors(const char *path);

/* Lines of "offset length" in hexadecimal and decimal: what another disassembler says of the file. */
int lengths(const char *path)
{
	static u8 code[16];
	unsigned long offset, n;
	int fd = open(path, O_RDONLY), wrong = 0, all = 0;

	while (scanf("%lx %lu", &offset, &n) == 2) {
		struct mm_insn i;
		ssize_t have = pread(fd, code, sizeof(code), (off_t)offset);

		all++;
		if (have <= 0 || !mm_insn(code, (u64)have, &i) || i.bytes != n) {
			if (wrong++ < 10)
				printf("%s: at %#lx: %d bytes, not %lu\n", path, offset, i.bytes, n);
		}
	}
	close(fd);
	printf("%d instructions\n", all);
	return wrong != 0 || !all;
}

/* The executable segments of a file, taken over; returns how many such places were in them, -1: refused. */
static int take(const char *path, u64 *at, u64 *vaddr)
{
	Elf64_Ehdr eh;
	Elf64_Phdr ph;
	int fd = open(path, O_RDONLY), found = 0;

	P->flags |= MM_START_CODE;
	if (fd < 0 || pread(fd, &eh, sizeof(eh), 0) != sizeof(eh))
		return -2;
	/* the whole image in its order, so that what code says of data holds */
	*at = (u64)mmap(NULL, 64ul << 20, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0) + (16ul << 20);
	P->mmap_next = 0;
	for (int i = 0; i < eh.e_phnum && found >= 0; i++) {
		if (pread(fd, &ph, sizeof(ph), (off_t)(eh.e_phoff + (u64)i * sizeof(ph))) != sizeof(ph) || ph.p_type != PT_LOAD)
			continue;
		u64 from = *at + (ph.p_vaddr & ~(MM_PAGE - 1)) - (eh.e_type == 2 ? 0x400000 : 0), skew = ph.p_vaddr % MM_PAGE;
		u64 n = MM_UP(ph.p_filesz + skew, MM_PAGE);

		mmap((void *)from, MM_UP(ph.p_memsz + skew, MM_PAGE), PROT_READ | PROT_WRITE,
		     MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0);
		if (!(ph.p_flags & PF_X)) {
			if (pread(fd, (void *)from, n, (off_t)(ph.p_offset - skew)) < 0)
				return -2;
			continue;
		}
		struct mm_code c = {.p = P, .bytes = (u8 *)from, .at = from, .n = n, .fd = fd, .offset = ph.p_offset - skew};
		u8 *first = mmap(NULL, n, PROT_READ, MAP_PRIVATE, fd, (off_t)c.offset);

		c.low = *at;
		munmap((void *)(*at - (16ul << 20)), 16ul << 20); /* where stubs may lie */
		for (u64 o = 0; (o = mm_opens_key(first, ph.p_filesz + skew, o)) < ph.p_filesz + skew; o++)
			found++;
		if (mm_code_map(NULL, &c, ph.p_filesz + skew, PROT_READ | PROT_EXEC) < 0)
			found = -1;
		else
			CHECK(mm_opens_key((u8 *)from, n, 0) == n, "%s: something is left", path);
		munmap(first, n);
	}
	if (vaddr)
		*vaddr = *at;
	close(fd);
	return found;
}

/* Says how many places there are in a file; fails where one cannot be taken out. */
int doors(const char *path)
{
	u64 at;
	int n;

	fresh(MM_LEADER);
	n = take(path, &at, NULL);
	printf("%d\n", n);
	return failures || n < 0;
}

/*
 * A library of our own, assembled by the test into the working directory (testdata/doors.S): each function has such bytes in another
 * way and gives a number that is known. They are called in the copy.
 */
static void same_results(void)
{
	static const struct {
		const char *name;
		u64 from, gives;
	} table[] = {{"pair", 3, ((3ul << 15 | 3ul >> 17) & 0xffffffff) + 5},
		     {"lea", 0, 1},
		     {"load", 0, 0x1122334455667788},
		     {"jump", 4, 11},
		     {"pair after a loop", 9, 45}};
	u64 at, base;
	int n = take("doors.so", &at, &base);
	u64 offsets[8];
	FILE *list = fopen("doors.txt", "r");

	CHECK(n >= 5, "%d places", n);
	if (failures || !list)
		exit(1);
	for (u32 i = 0; i < sizeof(table) / sizeof(table[0]); i++) {
		u64 got;

		CHECK(fscanf(list, "%lx", &offsets[i]) == 1);
		got = ((u64(*)(u64, u64))(base + offsets[i]))(table[i].from, 5);
		if (!strcmp(table[i].name, "lea"))
			got = *(u8 *)got;
		CHECK(got == table[i].gives, "%s: %#lx", table[i].name, got);
	}
	fclose(list);
}

/* What cannot be changed with certainty is refused. */
static void refused(void)
{
	static const struct {
		const char *name;
		u8 bytes[24];
	} table[] = {
	    {"wrpkru of an unknown function", {0x31, 0xc0, 0x0f, 0x01, 0xef, 0xc3}},
	    {"xrstor in other words", {0x0f, 0xae, 0x6c, 0x24, 0x40, 0xc3}},
	    {"xrstor64", {0xb8, 0xee, 0, 0, 0, 0x31, 0xd2, 0x48, 0x0f, 0xae, 0x6c, 0x24, 0x40}},
	    {"xrstor (%rdi)", {0xb8, 0xee, 0, 0, 0, 0x31, 0xd2, 0x0f, 0xae, 0x2f}},
	    {"data", {0xff, 0xff, 0x0f, 0xae, 0x28, 0xff}},
	};

	for (u32 i = 0; i < sizeof(table) / sizeof(table[0]); i++) {
		u8 code[64];
		struct mm_code c = {.p = P, .bytes = code, .at = (u64)user, .n = sizeof(code), .fd = -1};

		memset(code, 0x90, sizeof(code));
		memcpy(code + 16, table[i].bytes, sizeof(table[i].bytes));
		CHECK(mm_rewrite(&c) == -EACCES, "%s", table[i].name);
	}
	u8 lfence[] = {0x0f, 0xae, 0xe8, 0x0f, 0x01, 0xee, 0x0f, 0xae, 0x4c, 0x24, 0x40}; /* rdpkru, fxrstor */
	CHECK(mm_opens_key(lfence, sizeof(lfence), 0) == sizeof(lfence));
}

/* A stub's own jump may have such a distance: the code is put where it would, and the stub's place is known. */
static void distance_of_stub(void)
{
	static const u8 resolver[] = {0xb8, 0xee, 0, 0, 0, 0x31, 0xd2, 0x0f, 0xae, 0x6c, 0x24, 0x40};
	const u64 near = 1ul << 30;
	u8 *at = mmap(NULL, near, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	u64 stub = (u64)at + near - MM_PAGE, back = stub + 48 + (u64)(s64)(s32)0xc3ef010f; /* e9 0f 01 ef c3 */
	struct mm_code c = {.p = P, .at = back - 12 - 64, .n = 4096, .fd = -1};
	int unchecked = 0;

	c.bytes = calloc(1, c.n);
	munmap((void *)stub, MM_PAGE);
	P->mmap_next = (u64)at + near;
	memcpy(c.bytes + 64, resolver, sizeof(resolver));
	CHECK(mm_rewrite(&c) == 0 && (u64)c.stubs == stub);
	for (u64 i = 0; c.stubs && (i = mm_opens_key(c.stubs, MM_PAGE, i)) < MM_PAGE; i++)
		unchecked += i != mm_opens_key(c.stubs, MM_PAGE, 0);
	CHECK(c.stubs && c.stubs[0] == 0x90, "the first place was harmless");
	CHECK(c.stubs && !unchecked && mm_stubs_sound(&c));
	free(c.bytes);
	munmap(at, near);
}

/* Memory that is executable can be written by nobody. */
static void written_or_executed(void)
{
	const u64 page = MM_PAGE;
	const struct {
		const char *name;
		long nr;
		u64 a[4];
		int works;
	} table[] = {
	    {"mmap, all rights", __NR_mmap, {0, page, 7, 0x22}, 0},
	    {"mmap, shared", __NR_mmap, {0, page, 5, 0x21}, 0},
	    {"mmap", __NR_mmap, {0, page, 5, 0x22}, 1},
	    {"mprotect, all rights", __NR_mprotect, {(u64)user, page, 7}, 0},
	    {"mprotect", __NR_mprotect, {(u64)user, page, 5}, 1},
	};

	for (u32 i = 0; i < sizeof(table) / sizeof(table[0]); i++) {
		const u64 *a = table[i].a;

		for (int guarded = 0; guarded < 2; guarded++) {
			fresh(MM_LEADER);
			((struct mm_control *)P->control)->live = 0;
			P->flags |= guarded ? MM_START_CODE : 0;
			CHECK(call(table[i].nr, a[0], a[1], a[2], a[3], -1ul, 0) == RETURNED, "%s", table[i].name);
			CHECK(((s64)T->regs.ax == -EACCES) == (guarded && !table[i].works), "%s: %ld", table[i].name,
			      (s64)T->regs.ax);
			mprotect(user, page, PROT_READ | PROT_WRITE);
		}
	}
}

/* Code that the program has written: a copy takes its place, whatever was mapped there, and is looked at. */
static void written_then_executed(void)
{
	int fd = memfd_create("code", 0);
	u8 *shared;

	CHECK(ftruncate(fd, 2 * MM_PAGE) == 0);
	shared = mmap(NULL, 2 * MM_PAGE, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	P->flags |= MM_START_CODE;
	memcpy(shared, "\xb8\x07\0\0\0\xc3", 6);
	CHECK(mm_code_protect(T, (u64)shared, MM_PAGE, PROT_READ | PROT_EXEC) == 0);
	CHECK(((int (*)(void))shared)() == 7);
	CHECK(pwrite(fd, "\xb8\x08", 2, 0) == 2);
	CHECK(((int (*)(void))shared)() == 7, "the copy hangs on the file");
	/* one half at the end of a page, the other at the beginning of the next */
	memcpy(shared + MM_PAGE, "\xef\xc3", 2);
	mprotect(shared, MM_PAGE, PROT_READ | PROT_WRITE);
	memcpy(shared + MM_PAGE - 2, "\x0f\x01", 2);
	CHECK(mm_code_protect(T, (u64)shared, MM_PAGE, PROT_READ | PROT_EXEC) == -EACCES, "over the edge");
	shared[0] = shared[0]; /* what was refused is as it was */
	/* both halves without the right to read them */
	memcpy(shared + MM_PAGE - 2, "\x90\x90", 2);
	CHECK(mm_code_protect(T, (u64)shared + MM_PAGE, MM_PAGE, PROT_EXEC) == 0);
	memcpy(shared + MM_PAGE - 2, "\x0f\x01", 2);
	CHECK(mm_code_protect(T, (u64)shared, MM_PAGE, PROT_EXEC) == -EACCES, "over an edge that may only be executed");
	CHECK(shared[MM_PAGE] == 0xef, "code can always be read");
	mprotect(shared + MM_PAGE, MM_PAGE, PROT_READ | PROT_WRITE);
	CHECK(mm_code_protect(T, (u64)shared + 1, MM_PAGE, PROT_READ | PROT_EXEC) == -EINVAL);
	munmap(shared + MM_PAGE, MM_PAGE);
	CHECK(mm_code_protect(T, (u64)shared, 2 * MM_PAGE, PROT_READ | PROT_EXEC) == -ENOMEM);
	close(fd);
}

const struct unit code_units[] = {{"code-same-results", same_results},
				  {"code-refused", refused},
				  {"code-distance-of-stub", distance_of_stub},
				  {"code-written-or-executed", written_or_executed},
				  {"code-written-then-executed", written_then_executed},
				  {NULL, NULL}};
