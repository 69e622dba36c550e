/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What execve(2) does, at addresses that the launcher chose: finds the program (PATH, `#!`), maps it and its interpreter, and
 * builds the stack on which they start. The vDSO is left out of the auxiliary vector, so that every clock is a call.
 */
#include "boot.h"
#include "code.h"
#include "monitor.h"
#include <linux/elf.h>
#include <linux/errno.h>
#include <linux/fcntl.h>
#include <linux/mman.h>

#define PROT_RW (PROT_READ | PROT_WRITE)
#define PHDRS 64u
#define READ_IMPLIES_EXEC 0x0400000
#define STACK_NOW (256ul << 10)

/* What is no file stays closed: a pipe would wait for its writer, and a device do what it does. */
static s64 open_file(const char *path)
{
	u64 st[18];
	s64 r = mm_sys2(__NR_stat, path, st);

	if (r < 0)
		return r;
	if (((u32)st[3] & 0170000) != 0100000)
		return -EACCES;
	return mm_sys4(__NR_openat, MM_AT_FDCWD, path, O_RDONLY | O_CLOEXEC, 0);
}

static s64 open_program(struct mm_boot *b, const char *path)
{
	s64 r = mm_sys4(__NR_faccessat, MM_AT_FDCWD, path, 1 /* X_OK */, 0);

	if (r == 0)
		r = open_file(path);
	if (r >= 0)
		memcpy(b->path, path, strlen(path) + 1);
	return r;
}

static const char *variable(const char *env, u64 bytes, const char *name)
{
	u64 n = strlen(name);

	if (!bytes || env[bytes - 1])
		return NULL;
	for (const char *s = env; s + n < env + bytes; s += strlen(s) + 1)
		if (!memcmp(s, name, n) && s[n] == '=')
			return s + n + 1;
	return NULL;
}

static s64 find(struct mm_boot *b, const char *name)
{
	char path[4096];
	u64 bytes, n = strlen(name);
	const char *env = mm_boot_section(b, MM_SEC_ENVP, &bytes);
	const char *dirs = variable(env, bytes, "PATH");
	s64 fd, worst = -ENOENT;

	for (const char *s = name; *s; s++)
		if (*s == '/')
			return open_program(b, name);
	for (dirs = dirs ? dirs : "/usr/local/bin:/bin:/usr/bin"; *dirs;) {
		u64 k = 0;

		while (dirs[k] && dirs[k] != ':')
			k++;
		if (k + n + 2 < sizeof(path)) {
			memcpy(path, k ? dirs : ".", k ? k : 1);
			path[k ? k : 1] = '/';
			memcpy(path + (k ? k : 1) + 1, name, n + 1);
			fd = open_program(b, path);
			if (fd >= 0)
				return fd;
			if (fd == -EACCES)
				worst = fd;
		}
		dirs += k + (dirs[k] == ':');
	}
	return worst;
}

static void __attribute__((noreturn)) cannot(struct mm_boot *b, s64 error, const char *name)
{
	mm_boot_fail(b, error == -ENOENT ? 127 : 126, error,
		     error == -ENOENT ? "executable file not found:" : "permission denied or not a program:", name);
}

/* Opens the program; a script leads to its interpreter (binfmt_script), once. */
void mm_boot_find(struct mm_boot *b)
{
	u64 bytes;
	const char *name = mm_boot_section(b, MM_SEC_ARGV, &bytes);
	char head[256];
	s64 fd, n;

	if (!name || !bytes || name[bytes - 1])
		mm_boot_fail(b, 70, 0, "the start state has no arguments:", "the supervisor is of another version");
	fd = find(b, name);
	if (fd < 0)
		cannot(b, fd, name);
	n = mm_sys4(__NR_pread64, fd, head, sizeof(head) - 1, 0);
	if (n > 2 && head[0] == '#' && head[1] == '!') {
		char *at = head + 2, *end, *arg;

		head[n] = 0;
		for (end = at; *end && *end != '\n'; end++)
			;
		*end = 0;
		while (*at == ' ' || *at == '\t')
			at++;
		for (arg = at; *arg && *arg != ' ' && *arg != '\t'; arg++)
			;
		if (*arg)
			*arg++ = 0;
		while (*arg == ' ' || *arg == '\t')
			arg++;
		while (end > arg && (end[-1] == ' ' || end[-1] == '\t'))
			*--end = 0;
		memcpy(b->arg_of_script, arg, strlen(arg) + 1);
		/* the interpreter is told the script's path as found, which may come from PATH */
		memcpy(b->script, b->path, strlen(b->path) + 1);
		static const char none[] = "";
		mm_sys1(__NR_close, fd);
		fd = open_program(b, at[0] ? at : none);
		if (fd < 0)
			cannot(b, fd, at);
	}
	b->fds[0] = (int)fd;
}

struct image {
	u64 base, entry, phdr, end;
	u64 phnum;
	int fixed;
	char interp[256];
	int stack_exec;
};

static int protection(u32 flags)
{
	return (flags & PF_R ? PROT_READ : 0) | (flags & PF_W ? PROT_WRITE : 0) | (flags & PF_X ? PROT_EXEC : 0);
}

/* A segment of code under a protection key (code.h). `low` is the image's lowest address. */
static s64 map_code(struct mm_boot *b, int fd, u64 from, u64 bytes, int prot, u64 offset, u64 low)
{
	u64 n = MM_UP(bytes, MM_PAGE);
	struct mm_code code = {.p = b->proc, .bytes = (u8 *)from, .at = from, .n = n, .fd = fd, .offset = offset, .low = low};
	s64 r = mm_sys6(__NR_mmap, from, n, PROT_RW, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0);

	return mm_failed(r) ? r : mm_code_map(NULL, &code, bytes, prot);
}

static void map_segment(struct mm_boot *b, int fd, const Elf64_Phdr *ph, u64 bias, u64 low)
{
	u64 from = (ph->p_vaddr & ~(u64)(MM_PAGE - 1)) + bias, skew = ph->p_vaddr % MM_PAGE;
	u64 file_end = ph->p_vaddr + bias + ph->p_filesz, mem_end = ph->p_vaddr + bias + ph->p_memsz;
	int prot = (int)mm_code_rights(b->proc, protection(ph->p_flags));
	s64 r = mm_code_check(b->proc, prot, MAP_PRIVATE);

	if (mm_failed(r))
		; /* said below */
	else if (ph->p_filesz && (prot & PROT_EXEC) && mm_code_guarded(b->proc))
		r = map_code(b, fd, from, ph->p_filesz + skew, prot, ph->p_offset - skew, low);
	else if (ph->p_filesz)
		r = mm_sys6(__NR_mmap, from, ph->p_filesz + skew, prot, MAP_PRIVATE | MAP_FIXED, fd, ph->p_offset - skew);
	if (!mm_failed(r) && mem_end > file_end) {
		u64 page = MM_UP(file_end, MM_PAGE);

		if (!ph->p_filesz)
			page = from;
		else if (prot & PROT_WRITE) /* to the page's END: ld.so's early malloc relies on it */
			memset((void *)file_end, 0, page - file_end);
		if (mem_end > page)
			r = mm_sys6(__NR_mmap, page, mem_end - page, prot, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0);
	}
	if (mm_failed(r))
		mm_boot_fail(b, 126, r, "mapping the program:", b->path);
	if ((prot & PROT_EXEC) && b->proc->exec_maps < MM_EXEC_MAPS)
		b->proc->exec_map[b->proc->exec_maps++] = (struct mm_range){from, MM_UP(mem_end, MM_PAGE)};
}

/* A segment stays within what is reserved for its image: nothing of it wraps, or is longer in the file than in memory. */
static int sound(const Elf64_Phdr *ph)
{
	const u64 most = 1ul << 46;

	return ph->p_vaddr < most && ph->p_memsz < most && ph->p_filesz <= ph->p_memsz && ph->p_vaddr + ph->p_memsz <= most &&
	       ph->p_offset % MM_PAGE == ph->p_vaddr % MM_PAGE;
}

static void map_image(struct mm_boot *b, int fd, const char *path, u64 want, struct image *im)
{
	Elf64_Ehdr eh;
	Elf64_Phdr ph[PHDRS];
	u64 low = ~0ul, high = 0, bias;
	s64 r;

	if (mm_sys4(__NR_pread64, fd, &eh, sizeof(eh), 0) != (long)sizeof(eh) || memcmp(eh.e_ident, "\177ELF\2\1", 6) ||
	    eh.e_machine != EM_X86_64 || (eh.e_type != ET_EXEC && eh.e_type != ET_DYN) || eh.e_phentsize != sizeof(ph[0]) ||
	    !eh.e_phnum || eh.e_phnum > PHDRS ||
	    mm_sys4(__NR_pread64, fd, ph, eh.e_phnum * sizeof(ph[0]), eh.e_phoff) != (long)(eh.e_phnum * sizeof(ph[0])))
		mm_boot_fail(b, 126, -ENOEXEC,
			     "neither a 64-bit x86 ELF program nor a script that begins with #! (write #!/bin/sh as its first "
			     "line, or run it by sh):",
			     path);
	for (u32 i = 0; i < eh.e_phnum; i++) {
		if (ph[i].p_type == PT_LOAD) {
			if (!sound(&ph[i]))
				mm_boot_fail(b, 126, -ENOEXEC, "exec format error (a segment makes no sense):", path);
			low = MM_MIN(low, ph[i].p_vaddr & ~(u64)(MM_PAGE - 1));
			if (ph[i].p_vaddr + ph[i].p_memsz > high)
				high = ph[i].p_vaddr + ph[i].p_memsz;
		} else if (ph[i].p_type == PT_INTERP) {
			if (ph[i].p_filesz >= sizeof(im->interp) ||
			    mm_sys4(__NR_pread64, fd, im->interp, ph[i].p_filesz, ph[i].p_offset) != (long)ph[i].p_filesz)
				mm_boot_fail(b, 126, -ENOEXEC, "reading the name of the interpreter of", path);
		} else if (ph[i].p_type == PT_GNU_STACK) {
			im->stack_exec = (ph[i].p_flags & PF_X) != 0;
		}
	}
	if (low >= high)
		mm_boot_fail(b, 126, -ENOEXEC, "exec format error (nothing to load):", path);
	high = MM_UP(high, MM_PAGE);
	im->fixed = eh.e_type == ET_EXEC;
	if (im->fixed)
		want = low;
	r = mm_sys6(__NR_mmap, want, high - low, PROT_NONE,
		    MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE | (want ? MAP_FIXED_NOREPLACE : 0), -1, 0);
	if (mm_failed(r))
		mm_boot_fail(b, 126, r, "no room for the program at its address:", path);
	bias = (u64)r - low;
	for (u32 i = 0; i < eh.e_phnum; i++)
		if (ph[i].p_type == PT_LOAD) {
			map_segment(b, fd, &ph[i], bias, (u64)r);
			if (eh.e_phoff >= ph[i].p_offset && eh.e_phoff < ph[i].p_offset + ph[i].p_filesz)
				im->phdr = eh.e_phoff - ph[i].p_offset + ph[i].p_vaddr + bias;
		}
	im->base = bias;
	im->entry = eh.e_entry + bias;
	im->phnum = eh.e_phnum;
	im->end = high + bias;
}

void mm_boot_load(struct mm_boot *b)
{
	struct image program = {0}, interp = {0};
	struct mm_proc *p = b->proc;
	char real[4096];
	char link[MM_FD_LINK];
	s64 n;

	if (mm_code_guarded(p) && !mm_code_known())
		mm_boot_fail(b, 78, 0,
			     "this processor has instructions (APX) among which what opens a protection key cannot be found yet:",
			     "write guard: weak in the group's file, or backend: sud");
	map_image(b, b->fds[0], b->path, b->start.bases.program, &program);
	/* what /proc/self/exe would show; without /proc the path as found */
	mm_fd_link(link, b->fds[0]);
	n = mm_sys4(__NR_readlinkat, MM_AT_FDCWD, link, real, sizeof(real) - 1);
	if (n > 0)
		memcpy(p->program, real, n);
	else
		memcpy(p->program, b->path, n = (s64)strlen(b->path));
	p->program[n] = 0;
	mm_sys1(__NR_close, b->fds[0]);
	b->program_entry = b->entry = program.entry;
	b->phdr = program.phdr;
	b->phnum = program.phnum;
	b->stack_exec = program.stack_exec;
	if (program.interp[0]) {
		s64 in = open_file(program.interp);

		if (in < 0)
			mm_boot_fail(b, 127, in,
				     "the program's interpreter was not found: no such file or directory:", program.interp);
		map_image(b, (int)in, program.interp, b->start.bases.interp, &interp);
		mm_sys1(__NR_close, in);
		b->entry = interp.entry;
		b->interp_base = interp.base;
	}
	if (program.fixed && mm_is_leader(p))
		mm_event(p,
			 "non-PIE program: its code has the same addresses in every variant, so an attack that needs only them is "
			 "not seen: ",
			 b->path);
	p->brk_start = p->brk_now = program.end + MM_UP(b->start.bases.brk, MM_PAGE);
}

/* The vDSO's code goes away: not naming it keeps honest programs from it, not others. */
void mm_boot_drop_vdso(struct mm_boot *b)
{
	u64 at = mm_boot_auxv(b, 33 /* AT_SYSINFO_EHDR */), end = 0;
	const Elf64_Ehdr *eh = (const Elf64_Ehdr *)at;
	const Elf64_Phdr *ph;

	if (!at || at % MM_PAGE)
		return;
	ph = (const Elf64_Phdr *)(at + eh->e_phoff);
	for (u32 i = 0; i < eh->e_phnum; i++)
		if (ph[i].p_type == PT_LOAD && ph[i].p_vaddr + ph[i].p_memsz > end)
			end = ph[i].p_vaddr + ph[i].p_memsz;
	/* section headers stand behind what is loaded, in the same mapping */
	if (eh->e_shoff + (u64)eh->e_shnum * eh->e_shentsize > end)
		end = eh->e_shoff + (u64)eh->e_shnum * eh->e_shentsize;
	mm_sys2(__NR_munmap, at, MM_UP(end, MM_PAGE));
}

/* The stack */

static u64 push(u64 *sp, const void *bytes, u64 n)
{
	*sp -= n;
	memcpy((void *)*sp, bytes, n);
	return *sp;
}

/* Copies a list of strings and gives their addresses, in order. Returns how many. */
static u64 push_strings(u64 *sp, const char *list, u64 bytes, u64 *at, u64 room)
{
	u64 n = 0, base;

	base = push(sp, list, bytes);
	for (u64 i = 0; i < bytes && n < room; i += strlen(list + i) + 1)
		at[n++] = base + i;
	return n;
}

static u64 count_strings(const char *list, u64 bytes)
{
	u64 n = 0;

	for (u64 i = 0; i < bytes; i++)
		n += !list[i];
	return n;
}

u64 mm_boot_stack(struct mm_boot *b)
{
	u64 argv_bytes, envp_bytes, n;
	const char *argv = mm_boot_section(b, MM_SEC_ARGV, &argv_bytes), *envp = mm_boot_section(b, MM_SEC_ENVP, &envp_bytes);
	const struct mm_process_state *state = mm_boot_section(b, MM_SEC_PROCESS, &n);
	u64 most = count_strings(argv, argv_bytes) + count_strings(envp, envp_bytes) + 4; /* a script adds two */
	/* strings, the two lists of their addresses while they are gathered, and the same lists where the program looks for them */
	u64 size = MM_UP(STACK_NOW + argv_bytes + envp_bytes + 4 * most * 8, MM_PAGE);
	u64 top = b->start.bases.stack, sp, random, platform = 0, name;
	int prot = PROT_RW | (b->stack_exec ? PROT_EXEC : 0);
	u64 flags = MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE | MAP_GROWSDOWN | MAP_STACK | (top ? MAP_FIXED_NOREPLACE : 0);
	s64 r = mm_sys6(__NR_mmap, top ? top - size : 0, size, prot, flags, -1, 0);
	u8 seed[16];

	if (mm_failed(r))
		mm_boot_fail(b, 70, r, "making the program's stack:", "no room at the address that was chosen");
	if (mm_code_guarded(b->proc) && (b->stack_exec || (mm_sys1(__NR_personality, ~0u) & READ_IMPLIES_EXEC)))
		mm_boot_fail(b, 126, 0,
			     "the program wants memory that can be written and executed (its stack, or READ_IMPLIES_EXEC), where "
			     "code could open the monitor's protection key; `guard: weak` in the group's file allows it:",
			     b->path);
	if ((argv_bytes && argv[argv_bytes - 1]) || (envp_bytes && envp[envp_bytes - 1]))
		mm_boot_fail(b, 70, 0, "the start state makes no sense:", "arguments without an end");
	/* addresses of strings are gathered at the low end, which the program reaches much later, if ever */
	u64 *at = (u64 *)r, argc, envc;
	sp = (u64)r + size - 16;
	name = push(&sp, b->path, strlen(b->path) + 1);
	envc = push_strings(&sp, envp, envp_bytes, at + most, most);
	if (b->script[0]) {
		u64 first = strlen(argv) + 1;

		argc = 0;
		at[argc++] = push(&sp, b->path, strlen(b->path) + 1);
		if (b->arg_of_script[0])
			at[argc++] = push(&sp, b->arg_of_script, strlen(b->arg_of_script) + 1);
		at[argc++] = push(&sp, b->script, strlen(b->script) + 1);
		argc += push_strings(&sp, argv + first, argv_bytes - first, at + argc, most - argc);
	} else {
		argc = push_strings(&sp, argv, argv_bytes, at, most);
	}
	mm_sys3(__NR_getrandom, seed, sizeof(seed), 0);
	random = push(&sp, seed, sizeof(seed));
	if (mm_boot_auxv(b, 15))
		platform = push(&sp, (const char *)mm_boot_auxv(b, 15), strlen((const char *)mm_boot_auxv(b, 15)) + 1);
	sp &= ~15ul;

	u64 aux[64][2], k = 0;
	for (u64 i = 0; b->auxv[i][0] && k < 62; i++) {
		u64 key = b->auxv[i][0], value = b->auxv[i][1];

		switch (key) {
		case 33: /* AT_SYSINFO_EHDR: no vDSO */
		case 27: /* AT_RSEQ_FEATURE_SIZE, AT_RSEQ_ALIGN */
		case 28:
			continue;
		case 3:
			value = b->phdr;
			break;
		case 5:
			value = b->phnum;
			break;
		case 7:
			value = b->interp_base;
			break;
		case 9:
			value = b->program_entry;
			break;
		case 15:
			value = platform;
			break;
		case 16:
			value = state && n == sizeof(*state) ? state->hwcap : value;
			break;
		case 26:
			value = state && n == sizeof(*state) ? state->hwcap2 : value;
			break;
		case 25:
			value = random;
			break;
		case 31:
			value = name;
			break;
		}
		aux[k][0] = key;
		aux[k++][1] = value;
	}
	aux[k][0] = aux[k][1] = 0;
	k++;
	u64 words = 1 + argc + 1 + envc + 1 + 2 * k;
	sp -= (words + (words & 1)) * 8;
	u64 *out = (u64 *)sp;

	*out++ = argc;
	for (u64 i = 0; i < argc; i++)
		*out++ = at[i];
	*out++ = 0;
	for (u64 i = 0; i < envc; i++)
		*out++ = at[most + i];
	*out++ = 0;
	memcpy(out, aux, k * 16);
	memcpy(b->proc->auxv, aux, k * 16);
	b->proc->auxv_bytes = k * 16;
	memset(at, 0, 2 * most * 8);
	return sp;
}
