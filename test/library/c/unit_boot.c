/* SPDX-License-Identifier: Apache-2.0 */
/* connect.c and load.c: the start message, the sections of the start state, the image of the program, its stack. */
#include <elf.h>
#include <sys/mman.h>
#include <unistd.h>

#include "harness.h"
#include "boot.h"
#include "unit.h"

static struct mm_boot *boot(void)
{
	struct mm_boot *b = calloc(1, sizeof(*b));

	static u64 auxv[1][2];

	b->socket = -1;
	b->auxv = auxv;
	b->proc = P;
	b->thread = T;
	return b;
}

static u8 *add(u8 *at, u32 tag, const void *bytes, u32 n)
{
	struct mm_section s = {tag, n};

	memcpy(at, &s, sizeof(s));
	memcpy(at + sizeof(s), bytes, n);
	memset(at + sizeof(s) + n, 0, MM_UP(n, 8) - n);
	return at + sizeof(s) + MM_UP(n, 8);
}

static void sections(void)
{
	static const u32 lengths[] = {0, 1, 8, 9, 16, 17, 0x7fffffff, 0xfffffff8, 0xfffffff9, 0xffffffff};
	struct mm_boot *b = boot();
	u64 n;

	for (u32 i = 0; i < sizeof(lengths) / sizeof(lengths[0]); i++)
		for (u64 room = 0; room <= 24; room += 4) {
			struct mm_section s = {MM_SEC_CWD, lengths[i]};
			u8 *blob = calloc(1, room);

			memcpy(blob, &s, MM_MIN(room, sizeof(s)));
			b->blob = blob;
			b->blob_bytes = room;
			const void *at = mm_boot_section(b, MM_SEC_CWD, &n);
			int fits = room >= 8 && MM_UP((u64)lengths[i], 8) <= room - 8;

			CHECK((at != NULL) == fits, "length %#x in %lu bytes", lengths[i], room);
			CHECK(at ? n == lengths[i] : n == 0);
			CHECK(!mm_boot_section(b, MM_SEC_LIMITS, &n));
			free(blob);
		}
	free(b);
}

/* The supervisor's START, as recvmsg gives it. */
static struct mm_msg_start start;
static u32 descriptors, blob_size;
static struct mm_msg head;

static int supervisor(long nr, const u64 a[6], long *result)
{
	struct {
		u64 name;
		u32 name_bytes, pad;
		struct {
			u8 *at;
			u64 bytes;
		} * iov;
		u64 iov_count, control, control_bytes;
	} *h = (void *)a[1];

	*result = 0;
	switch (nr) {
	case __NR_recvmsg: {
		/* as the kernel: no more descriptors than there is room for */
		u32 n = MM_MIN(descriptors, (u32)(h->control_bytes - 16) / 4);
		u64 *control = (u64 *)h->control;

		memcpy(h->iov[0].at, &head, sizeof(head));
		memcpy(h->iov[1].at, &start, sizeof(start));
		control[0] = 16 + 4 * n;
		control[1] = 1ul << 32 | 1;
		for (u32 i = 0; i < n; i++)
			((s32 *)(control + 2))[i] = 1000 + (s32)i;
		h->control_bytes = n ? 16 + MM_UP(4 * n, 8) : 0;
		*result = sizeof(head) + sizeof(start);
		return 1;
	}
	case __NR_fstat:
		memset((void *)a[1], 0, 144);
		((u64 *)a[1])[6] = blob_size;
		return 1;
	case __NR_mmap:
		*result = (long)user;
		return 1;
	case __NR_sendmsg:
	case __NR_write:
	case __NR_close:
	case __NR_umask:
		return 1;
	}
	return 0;
}

static void start_message(void)
{
	const struct {
		const char *name;
		u32 role, slot, followers, ring, descriptors, blob;
		int good;
	} table[] = {
	    {"leader of one", MM_LEADER, 0, 1, MM_RING_MIN, 5, 4096, 1},
	    {"leader of seven", MM_LEADER, 0, 7, MM_RING_MAX, 11, 4096, 1},
	    {"follower", MM_FOLLOWER, 6, 7, MM_RING_DEFAULT, 5, 4096, 1},
	    {"no role", 0, 0, 1, MM_RING_MIN, 5, 4096, 0},
	    {"other role", 3, 0, 1, MM_RING_MIN, 5, 4096, 0},
	    {"leader of eight", MM_LEADER, 0, 8, MM_RING_MIN, 12, 4096, 0},
	    {"leader of very many", MM_LEADER, 0, 0xffffffff, MM_RING_MIN, 3, 4096, 0},
	    {"slot 7", MM_FOLLOWER, 7, 7, MM_RING_MIN, 5, 4096, 0},
	    {"ring of 0", MM_FOLLOWER, 0, 1, 0, 5, 4096, 0},
	    {"ring too small", MM_FOLLOWER, 0, 1, MM_RING_MIN / 2, 5, 4096, 0},
	    {"ring too large", MM_FOLLOWER, 0, 1, MM_RING_MAX * 2, 5, 4096, 0},
	    {"odd ring", MM_FOLLOWER, 0, 1, MM_RING_MIN + MM_PAGE, 5, 4096, 0},
	    {"descriptor missing", MM_LEADER, 0, 2, MM_RING_MIN, 5, 4096, 0},
	    {"no descriptor", MM_FOLLOWER, 0, 1, MM_RING_MIN, 0, 4096, 0},
	    {"sixteen descriptors", MM_FOLLOWER, 0, 1, MM_RING_MIN, 16, 4096, 0},
	    {"very many descriptors", MM_FOLLOWER, 0, 1, MM_RING_MIN, 253, 4096, 0},
	    {"no state", MM_FOLLOWER, 0, 1, MM_RING_MIN, 5, 0, 0},
	    {"very large state", MM_FOLLOWER, 0, 1, MM_RING_MIN, 5, 0x7fffffff, 0},
	};
	char *words[] = {"program", NULL}, *none[] = {NULL};

	for (u32 i = 0; i < sizeof(table) / sizeof(table[0]); i++) {
		struct mm_boot *b = boot();

		b->argv = b->program = words;
		b->program_count = b->argc = 1;
		b->envp = none;
		start = (struct mm_msg_start){
		    .role = table[i].role, .slot = table[i].slot, .followers = table[i].followers, .ring_size = table[i].ring};
		head = (struct mm_msg){MM_MSG_MAGIC, MM_ABI_VERSION, MM_MSG_START, sizeof(start), 0};
		descriptors = table[i].descriptors;
		blob_size = table[i].blob;
		hook = supervisor;
		enum outcome how = RUN(mm_boot_hello(b));

		CHECK(how == (table[i].good ? RETURNED : EXITED), "%s: %d", table[i].name, how);
		CHECK(b->fd_count <= sizeof(b->fds) / sizeof(b->fds[0]) && !b->path[0], "%s: %u descriptors", table[i].name,
		      b->fd_count);
		free(b);
	}
}

static void headers(void)
{
	const struct mm_msg good = {MM_MSG_MAGIC, MM_ABI_VERSION, MM_MSG_START, sizeof(start), 0};
	char *words[] = {"program", NULL}, *none[] = {NULL};

	for (int i = 0; i < 3; i++) {
		struct mm_boot *b = boot();

		b->argv = b->program = words;
		b->program_count = b->argc = 1;
		b->envp = none;
		start = (struct mm_msg_start){.role = MM_FOLLOWER, .followers = 1, .ring_size = MM_RING_MIN};
		head = good;
		head.magic ^= i == 0;
		head.version ^= i == 1;
		head.type ^= i == 2;
		descriptors = 5;
		blob_size = 4096;
		hook = supervisor;
		CHECK(RUN(mm_boot_hello(b)) == EXITED && exit_status == 70, "%d", i);
		free(b);
	}
}

/* Stacks of many strings and of long ones: every pointer leads to its string. */
static void stacks(void)
{
	static const struct {
		u32 args, arg_bytes, vars, var_bytes;
	} table[] = {{1, 4, 0, 0},     {3, 10, 20, 30},      {2, 4, 1, 120000}, {40000, 2, 3, 9},
		     {3, 9, 40000, 2}, {20000, 7, 20000, 7}, {1, 1, 100000, 1}};

	for (u32 i = 0; i < sizeof(table) / sizeof(table[0]); i++) {
		u32 an = table[i].args * table[i].arg_bytes, vn = table[i].vars * table[i].var_bytes;
		struct mm_boot *b = boot();
		u8 *blob = calloc(1, an + vn + 64), *strings = malloc(an + vn + 1), *at;

		for (u32 k = 0; k < table[i].args; k++)
			for (u32 c = 0; c < table[i].arg_bytes; c++)
				strings[k * table[i].arg_bytes + c] = c + 1 < table[i].arg_bytes ? (u8)('a' + k % 26) : 0;
		for (u32 k = 0; k < table[i].vars; k++)
			for (u32 c = 0; c < table[i].var_bytes; c++)
				strings[an + k * table[i].var_bytes + c] = c + 1 < table[i].var_bytes ? (u8)('A' + k % 26) : 0;
		at = add(blob, MM_SEC_ARGV, strings, an);
		at = add(at, MM_SEC_ENVP, strings + an, vn);
		b->blob = blob;
		b->blob_bytes = (u64)(at - blob);
		memcpy(b->path, "/bin/p", 7);
		u64 *sp = (u64 *)mm_boot_stack(b);

		CHECK(sp && (u64)sp % 16 == 0 && sp[0] == table[i].args, "row %u: %lu arguments", i, sp[0]);
		for (u32 k = 0; k < table[i].args && !failures; k++)
			CHECK(!memcmp((char *)sp[1 + k], strings + k * table[i].arg_bytes, table[i].arg_bytes),
			      "row %u: argument %u", i, k);
		CHECK(!sp[1 + table[i].args]);
		u64 *env = sp + 2 + table[i].args;

		for (u32 k = 0; k < table[i].vars && !failures; k++)
			CHECK(!memcmp((char *)env[k], strings + an + k * table[i].var_bytes, table[i].var_bytes),
			      "row %u: variable %u", i, k);
		CHECK(!env[table[i].vars]);
		free(b);
		free(blob);
		free(strings);
	}
}

static int no_file(long nr, const u64 a[6], long *result)
{
	*result = nr == __NR_write ? (long)a[2] : -ENOENT;
	return nr != __NR_exit_group;
}

/* Where PATH is looked for in what is shorter than its name, or has no end. */
static void environments(void)
{
	static const struct {
		const char *bytes;
		u32 n;
	} table[] = {{"PATH=/bin", 10}, {"B", 2},        {"B", 1},        {"PATH", 4}, {"PATH", 5}, {"PATH=", 5},
		     {"A=b\0PAT", 7},   {"A=b\0PAT", 8}, {"ABCDEFGH", 8}, {"", 1},     {"", 0}};

	for (u32 i = 0; i < sizeof(table) / sizeof(table[0]); i++) {
		u8 room[64], *end = add(add(room, MM_SEC_ARGV, "prog", 5), MM_SEC_ENVP, table[i].bytes, table[i].n);
		struct mm_boot *b = boot();
		u8 *blob = malloc((u64)(end - room));

		memcpy(blob, room, (u64)(end - room));
		b->blob = blob;
		b->blob_bytes = (u64)(end - room);
		hook = no_file;
		CHECK(RUN(mm_boot_find(b)) == EXITED && exit_status == 127, "row %u: %d", i, exit_status);
		free(blob);
		free(b);
	}
}

static int silent(long nr, const u64 a[6], long *result)
{
	*result = (long)a[2];
	return nr == __NR_write;
}

/* Images whose segments lie where none of the program's memory is. */
static void images(void)
{
	const struct {
		const char *name;
		u64 vaddr, filesz, memsz;
		int good;
	} table[] = {
	    {"good", 0x2000, 0x100, 0x3000, 1},
	    {"more in the file than in memory", 0x2000, 0x100000, 0x1000, 0},
	    {"an end that wraps", 0xffffffffffff0000, 0, 0x10100, 0},
	    {"an end that wraps far", 0xfffffffff0000000, 0, 0x10001000, 0},
	    {"beyond user space", 0x7ffffffff000, 0, 0x100000, 0},
	    {"an offset that does not fit the address", 0x2800, 0x100, 0x100, 0},
	};

	for (u32 i = 0; i < sizeof(table) / sizeof(table[0]); i++) {
		struct {
			Elf64_Ehdr eh;
			Elf64_Phdr ph[2];
			u8 rest[0x3000];
		} file = {.eh = {.e_ident = "\177ELF\2\1",
				 .e_type = ET_DYN,
				 .e_machine = EM_X86_64,
				 .e_phentsize = sizeof(Elf64_Phdr),
				 .e_phnum = 2,
				 .e_phoff = sizeof(Elf64_Ehdr)},
			  .ph = {{.p_type = PT_LOAD, .p_flags = PF_R, .p_filesz = 0x1000, .p_memsz = 0x1000},
				 {.p_type = PT_LOAD,
				  .p_flags = PF_R | PF_W,
				  .p_offset = 0x2000,
				  .p_vaddr = table[i].vaddr,
				  .p_filesz = table[i].filesz,
				  .p_memsz = table[i].memsz}}};
		struct mm_boot *b = boot();

		fresh(MM_FOLLOWER);
		hook = silent;
		b->fds[0] = memfd_create("image", 0);
		if (write(b->fds[0], &file, sizeof(file)) != sizeof(file))
			abort();
		enum outcome how = RUN(mm_boot_load(b));

		CHECK(how == (table[i].good ? RETURNED : EXITED), "%s: %d", table[i].name, how);
		if (how == EXITED) {
			CHECK(exit_status == 126, "%s: %d", table[i].name, exit_status);
			close(b->fds[0]);
		}
		free(b);
	}
}

const struct unit boot_units[] = {{"start-sections", sections},
				  {"start-message", start_message},
				  {"start-headers", headers},
				  {"stacks", stacks},
				  {"environments", environments},
				  {"images", images},
				  {NULL, NULL}};
