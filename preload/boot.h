/* SPDX-License-Identifier: Apache-2.0 */
/* The start: from the ELF entry of the library to the program's first instruction. Runs once, before the program exists. */
#ifndef MONMOD_BOOT_H
#define MONMOD_BOOT_H

#include "block.h"

#define MM_START_FDS (5 + MM_MAX_FOLLOWERS) /* at most, with one message */

/* What the kernel handed over, and what the supervisor made of it. */
struct mm_boot {
	u64 argc;
	char **argv, **envp;
	u64 (*auxv)[2];
	char **program; /* the program's part of argv */
	u64 program_count;
	int socket;
	u8 token[MM_TOKEN_BYTES];
	struct mm_msg_start start;
	const u8 *blob; /* sections of the start */
	u64 blob_bytes;
	struct mm_proc *proc;
	struct mm_thread *thread;
	/* the image */
	u64 entry, program_entry, phdr, phnum, interp_base, image_end;
	int stack_exec;
	int fds[MM_START_FDS]; /* control, own, tether, pass … as received */
	u32 fd_count;
	int arming;      /* back end kmod: its descriptor */
	char path[4096]; /* of the program, as found */
	char arg_of_script[256];
	char script[4096]; /* `#!`: the script's path, which becomes an argument */
};

/* To standard error: what was being done, to what, and the error (negative, 0: none) in words. */
void mm_boot_say(s64 error, const char *doing, const char *what);
void mm_boot_fail(const struct mm_boot *b, int exit_code, s64 error, const char *doing, const char *what) __attribute__((noreturn));

/* connect.c: the start protocol */
void mm_boot_connect(struct mm_boot *b, const char *path);
void mm_boot_hello(struct mm_boot *b);
void mm_boot_mapped(struct mm_boot *b);
void mm_boot_ready(struct mm_boot *b);
const void *mm_boot_section(const struct mm_boot *b, u32 tag, u64 *bytes);

/* layout.c: the reservation. With a protection key all of it is the key's, but for the exit page. */
void mm_boot_layout(struct mm_boot *b);
void mm_boot_seal(const struct mm_boot *b);
void *mm_boot_map(const struct mm_boot *b, u64 at, u64 bytes, int fd, int writable, u64 offset);

/* state.c: limits, directory, descriptors … made equal */
void mm_boot_state(struct mm_boot *b);

/* load.c: the program and its interpreter; the stack they start on */
u64 mm_boot_auxv(const struct mm_boot *b, u64 key);
void mm_boot_find(struct mm_boot *b);
void mm_boot_load(struct mm_boot *b);
void mm_boot_drop_vdso(struct mm_boot *b);
u64 mm_boot_stack(struct mm_boot *b);

#endif
