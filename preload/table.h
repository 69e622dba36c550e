/* SPDX-License-Identifier: Apache-2.0 */
/* The shape of the tables of system calls; their content is generated from internal/syscalls (table.gen.h). */
#ifndef MONMOD_TABLE_H
#define MONMOD_TABLE_H

#include <stdint.h>

enum mm_class {
	MM_C_ALL,
	MM_C_LEADER,
	MM_C_BYFD,
	MM_C_BYPATH,
	MM_C_LOCAL,
	MM_C_SPECIAL,
	MM_C_ABSENT,
	MM_C_ENDS,
};

enum mm_arg_kind {
	MM_A_NONE,
	MM_A_U64,
	MM_A_INT,
	MM_A_FD,
	MM_A_DIRFD,
	MM_A_PTR,
	MM_A_SKIP,
	MM_A_PATH,
	MM_A_IN,
	MM_A_OUT,
	MM_A_OUTRET,
	MM_A_IO,
	MM_A_IOVIN,
	MM_A_IOVOUT,
	MM_A_ADDRIN,
	MM_A_ADDROUT,
	MM_A_LENP,
	MM_A_SIGSET,
	MM_A_BITS,
	MM_A_POLLS,
	MM_A_OPT = 0x80, /* a null pointer is fine */
};

#define MM_NOREF 0xff

struct mm_arg {
	uint8_t kind;  /* enum mm_arg_kind, MM_A_OPT */
	uint8_t ref;   /* the argument that holds the count, or MM_NOREF */
	uint16_t size; /* bytes of one element */
};

enum mm_effects { MM_NONE, MM_OWN, MM_WORLD };
enum mm_compare { MM_EXACT, MM_ERRNO, MM_IGNORED };

#define MM_F_BLOCKS 1u
#define MM_F_RESTARTS 2u
#define MM_F_MAKES 4u

struct mm_row {
	uint16_t native; /* number on this processor */
	uint8_t klass;   /* enum mm_class */
	uint8_t effect;
	uint8_t result; /* enum mm_compare */
	uint8_t flags;  /* MM_F_* */
	uint8_t error;  /* MM_C_ABSENT: the error number */
	uint8_t nargs;
	struct mm_arg args[6];
};

struct mm_spelling {
	uint16_t nr;
	int8_t arg[6];    /* index of the original's argument, or -1 */
	int32_t value[6]; /* where arg is -1 */
};

#define MM_NR_NONE 0xffffu

#endif
