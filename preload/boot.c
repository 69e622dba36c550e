/* SPDX-License-Identifier: Apache-2.0 */
/*
 * `libmonmod.so --fd N | --socket PATH [--token HEX] -- PROGRAM ARGS…`: the executable mode, in the order in which it happens.
 * It runs on the kernel's stack in the image that the kernel mapped; the last step continues in the copy inside the
 * reservation, arms Syscall User Dispatch and jumps to the program.
 */
#include "boot.h"
#include "monitor.h"
#include <monmod/kmod.h>
#include <linux/errno.h>

#define PR_SET_SYSCALL_USER_DISPATCH 59

static void put(const char *s)
{
	mm_sys3(__NR_write, 2, s, strlen(s));
}

static void put_number(s64 n)
{
	char digits[24];
	int i = 24;

	do
		digits[--i] = '0' + n % 10;
	while ((n /= 10) && i);
	mm_sys3(__NR_write, 2, digits + i, 24 - i);
}

/* The errors that a start meets, in words. No pointers: nothing is relocated here. */
static const struct {
	u16 error;
	char words[30];
} errors[] = {
    {EPERM, "operation not permitted"}, {ENOENT, "no such file or directory"}, {ENOEXEC, "exec format error"},
    {ENOMEM, "out of memory"},          {EACCES, "permission denied"},         {ENOTDIR, "not a directory"},
    {EMFILE, "too many open files"},    {ELOOP, "too many symbolic links"},    {ECONNREFUSED, "connection refused"},
};

void mm_boot_say(s64 error, const char *doing, const char *what)
{
	u32 i = 0;

	put("monmod: ");
	put(doing);
	put(" ");
	put(what);
	while (i < sizeof(errors) / sizeof(errors[0]) && errors[i].error != -error)
		i++;
	if (i < sizeof(errors) / sizeof(errors[0])) {
		put(": ");
		put(errors[i].words);
	} else if (error) {
		put(": error ");
		put_number(-error);
		put(" of errno(3)");
	}
	put("\n");
}

void mm_boot_fail(const struct mm_boot *b, int exit_code, s64 error, const char *doing, const char *what)
{
	if (b->socket >= 0) {
		struct {
			struct mm_msg head;
			struct mm_msg_fatal fatal;
			char text[512];
		} m = {.fatal = {.exit_code = exit_code, .nr = 0xffffffffu, .error = (s32)error}};
		u64 n = MM_MIN(strlen(doing), 200), k = MM_MIN(strlen(what), 300);

		memcpy(m.text, doing, n);
		m.text[n] = ' ';
		memcpy(m.text + n + 1, what, k);
		m.head = (struct mm_msg){MM_MSG_MAGIC, MM_ABI_VERSION, MM_MSG_FATAL, sizeof(m.fatal) + n + 1 + k, 0};
		mm_sys6(__NR_sendto, b->socket, &m, sizeof(m.head) + m.head.bytes, 0x4000, 0, 0);
	} else {
		mm_boot_say(error, doing, what);
	}
	for (;;)
		mm_sys1(__NR_exit_group, exit_code);
}

static int same(const char *a, const char *b)
{
	while (*a && *a == *b)
		a++, b++;
	return *a == *b;
}

static int hex(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	if (c >= 'a' && c <= 'f')
		return c - 'a' + 10;
	return -1;
}

static void options(struct mm_boot *b, const char **path)
{
	u64 i = 1;

	for (; i + 1 < b->argc && !same(b->argv[i], "--"); i += 2) {
		const char *value = b->argv[i + 1];

		if (same(b->argv[i], "--fd")) {
			b->socket = 0;
			for (; *value; value++)
				b->socket = b->socket * 10 + *value - '0';
		} else if (same(b->argv[i], "--socket")) {
			*path = value;
		} else if (same(b->argv[i], "--token")) {
			for (u32 k = 0; k < MM_TOKEN_BYTES; k++) {
				int high = hex(value[2 * k]), low = high < 0 ? -1 : hex(value[2 * k + 1]);

				if (low < 0)
					mm_boot_fail(b, 64, 0, "the token must be 64 hexadecimal digits:", value);
				b->token[k] = high << 4 | low;
			}
		} else {
			mm_boot_fail(b, 64, 0, "unknown option", b->argv[i]);
		}
	}
	if (i >= b->argc || !same(b->argv[i], "--") || i + 1 >= b->argc || (b->socket < 0 && !*path)) {
		b->socket = -1;
		mm_boot_fail(b, 64, 0, "this library runs a program under a supervisor;", "use `monmod run -- PROGRAM ARGS`");
	}
	b->program = b->argv + i + 1;
	b->program_count = b->argc - i - 1;
}

/* In the copy: the old image goes, from now on every call that does not come from our gates is ours to see. */
static void last_step(u64 old, u64 old_bytes, int arming, struct mm_kmod_arm *arm, u64 ip, u64 sp)
{
	s64 r;

	mm_sys2(__NR_munmap, old, old_bytes);
	if (arming < 0) {
		r = mm_sys5(__NR_prctl, PR_SET_SYSCALL_USER_DISPATCH, 1, arm->gates, arm->gates_bytes, 0);
	} else {
		r = mm_sys3(__NR_ioctl, arming, MM_KMOD_IOC_ARM, arm); /* the last call that we make from outside */
	}
	if (r < 0)
		mm_sys1(__NR_exit_group, MM_EXIT_DIVERGED); /* it worked a moment ago; never unmonitored */
	mm_leave_to(ip, sp);
}

/* A trial while everything can still be said: Syscall User Dispatch may be switched off. */
static void try_dispatch(const struct mm_boot *b, u64 gates)
{
	s64 r = mm_sys5(__NR_prctl, PR_SET_SYSCALL_USER_DISPATCH, 1, gates, MM_PAGE, 0);

	if (r < 0)
		mm_boot_fail(b, 70, r, "arming Syscall User Dispatch:", "this kernel refuses it; `monmod doctor` says why");
	mm_sys5(__NR_prctl, PR_SET_SYSCALL_USER_DISPATCH, 0, 0, 0, 0);
}

/* ps and the like shall show the program, not its launcher. */
static void rename_arguments(struct mm_boot *b)
{
	char *to = b->argv[0], *from = b->program[0];
	char *last = b->argv[b->argc - 1];
	u64 n = (u64)(last + strlen(last) + 1 - from);
	const char *name = b->path;

	for (const char *s = b->path; *s; s++)
		if (*s == '/')
			name = s + 1;
	mm_sys2(__NR_prctl, 15 /* PR_SET_NAME */, name);
	memmove(to, from, n);
	memset(to + n, 0, (u64)(from - to));
}

void mm_boot(u64 *sp)
{
	struct mm_boot boot = {.socket = -1}, *b = &boot;
	const char *path = NULL;
	u64 stack;

	b->argc = sp[0];
	b->argv = (char **)(sp + 1);
	b->envp = b->argv + b->argc + 1;
	u64 *end = (u64 *)b->envp;
	while (*end)
		end++;
	b->auxv = (u64(*)[2])(end + 1);
	options(b, &path);
	if (path)
		mm_boot_connect(b, path);
	mm_boot_hello(b);
	mm_boot_layout(b);
	mm_boot_mapped(b);
	mm_boot_state(b);
	mm_boot_find(b);
	mm_boot_load(b);
	stack = mm_boot_stack(b);
	mm_boot_drop_vdso(b);
	mm_boot_seal(b);
	mm_boot_ready(b);
	rename_arguments(b);

	s64 slide = b->proc->slide;
	struct {
		u64 sp;
		s32 flags, pad;
		u64 bytes;
	} alt = {((u64)b->thread & ~(MM_SLOT - 1)) + MM_PAGE, 0, 0, MM_SLOT - MM_BLOCK - MM_PAGE};
	void (*install)(struct mm_thread *) = (void *)((u64)mm_signals_install + slide);
	void (*last)(u64, u64, int, struct mm_kmod_arm *, u64, u64) = (void *)((u64)last_step + slide);
	u64 gates = (u64)mm_gates_start + slide;
	struct mm_kmod_arm arm = {
	    .version = MM_KMOD_VERSION,
	    .gates = gates,
	    .gates_bytes = MM_PAGE,
	    .entry = (b->start.flags & MM_START_KEY     ? (u64)mm_key_entry
		      : b->start.flags & MM_START_PAGES ? (u64)mm_pages_entry
							: (u64)mm_kmod_entry) +
		     slide,
	    .handler = (u64)mm_kmod_handler + slide,
	    .announce = (u64)mm_kmod_announce + slide,
	    .block = (u64)b->thread,
	};

	s64 r = mm_sys2(__NR_sigaltstack, &alt, 0);
	if (r < 0)
		mm_boot_fail(b, 70, r, "setting the monitor's signal stack:", "refused by the kernel");
	if (b->arming < 0)
		try_dispatch(b, (u64)mm_gates_start);
	install(b->thread);
	last((u64)mm_image_start, (u64)(mm_image_end - mm_image_start) + MM_PAGE, b->arming, &arm, b->entry, stack);
	__builtin_unreachable();
}
