/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the library and its supervisor say to each other: messages on a SOCK_SEQPACKET unix socket, each a struct mm_msg and
 * at most MM_MSG_BODY bytes. Larger things (the start state) travel as a sealed memory object beside the message.
 *
 *   library                                supervisor
 *   HELLO {token, pid} + [state]      →
 *                                     ←    START {role …} + [blob, control, own, tether, pass …, arming]
 *   MAPPED                            →    (own memory is now sealed against further writers)
 *                                     ←    ARENA + [stream] or [index of follower 0, 1 …]
 *   READY                             →    (the next instruction is the program's, or ld.so's)
 *                                     ←    GO
 *   …then only library → supervisor: SIGNAL, DIVERGED, AUDIT, TRACE, STOP, FATAL
 *
 * In the place of START, ARENA or GO the supervisor may say FATAL: the start is off, the library leaves with its exit code.
 *
 * The tether is a second socket on which nothing is ever sent: its end is the supervisor's death.
 */
#ifndef MONMOD_START_H
#define MONMOD_START_H

#include <monmod/arena.h>
#include <stdint.h>

#define MM_MSG_MAGIC 0x6d6d7367u
#define MM_MSG_BODY 49152u
#define MM_TOKEN_BYTES 32u

enum mm_msg_type {
	MM_MSG_HELLO = 1,
	MM_MSG_START = 2,
	MM_MSG_MAPPED = 3,
	MM_MSG_ARENA = 4,
	MM_MSG_READY = 5,
	MM_MSG_GO = 6,
	MM_MSG_SIGNAL = 7,   /* struct mm_msg_signal: a follower was sent a signal; it is the leader's */
	MM_MSG_DIVERGED = 8, /* struct mm_msg_case, the follower's record, the leader's record */
	MM_MSG_AUDIT = 9,    /* the same, but the follower goes on with the leader's arguments */
	MM_MSG_TRACE = 10,   /* struct mm_msg_case and the last records of this variant, oldest first, at the end */
	MM_MSG_STOP = 11,    /* struct mm_msg_stop: the variant leaves by exit or by a signal */
	MM_MSG_FATAL = 12,   /* struct mm_msg_fatal and a text of at most 512 bytes: who says it gives up */
	MM_MSG_EVENT = 13,   /* a text: something the operator should know (a refused call, a non-PIE image) */
};

struct mm_msg {
	uint32_t magic;
	uint16_t version; /* MM_ABI_VERSION */
	uint16_t type;    /* enum mm_msg_type */
	uint32_t bytes;   /* of the body */
	uint32_t pad;
};

/* HELLO. With it one descriptor: a memory object of sections (struct mm_section), the state this variant was started with. */
struct mm_msg_hello {
	uint8_t token[MM_TOKEN_BYTES];
	uint32_t pid; /* in the variant's own PID namespace */
	uint32_t flags;
};

enum mm_role { MM_LEADER = 1, MM_FOLLOWER = 2 };

/* Addresses (bytes) that the launcher chose; multiples of the page, 0: the kernel chooses. */
struct mm_bases {
	uint64_t monitor;
	uint64_t program;
	uint64_t interp;
	uint64_t stack; /* top */
	uint64_t mmap;  /* below it anonymous and file mappings without a hint are placed, downwards */
	uint64_t brk;   /* gap behind the program's image, bytes */
};

#define MM_START_AUDIT 0x1u           /* on_divergence: audit */
#define MM_START_FS_SHARED 0x2u       /* regular files are the leader's; else each variant's own, but for the MOUNTS section */
#define MM_START_PROGRAM_DIFFERS 0x4u /* places in code are not compared */
#define MM_START_APART 0x8u           /* each variant has a supervisor of its own: descriptors cannot be passed */
#define MM_START_KMOD 0x10u           /* back end kmod: the last descriptor is for arming (include/monmod/kmod.h) */
#define MM_START_KEY 0x20u            /* … and its guard is MM_KMOD_GUARD_KEY */
#define MM_START_PAGES 0x80u          /* … and its guard is MM_KMOD_GUARD_PAGES */
#define MM_START_CODE 0x40u           /* … and what opens the key is taken out of the program's code */

struct mm_msg_start {
	uint32_t role;      /* enum mm_role */
	uint32_t id;        /* variant ID of the group */
	uint32_t slot;      /* follower: 0 … followers-1 */
	uint32_t followers; /* how many */
	uint32_t ring_size; /* bytes */
	uint32_t flags;     /* MM_START_* */
	uint32_t spin;      /* tries before sleeping on a bell; 0 where variants outnumber CPUs */
	uint32_t pid;       /* the leader's in its PID namespace: what getpid() answers in every variant */
	uint64_t key[2];    /* of the digests */
	struct mm_bases bases;
};

/* Sections of a state or start object: each header is followed by its bytes, padded to 8. Tag 0 ends. */
struct mm_section {
	uint32_t tag;
	uint32_t bytes;
};

enum mm_section_tag {
	MM_SEC_END = 0,
	MM_SEC_PROGRAM = 1, /* path of the program as asked for, no NUL */
	MM_SEC_ARGV = 2,    /* strings, each with its NUL */
	MM_SEC_ENVP = 3,    /* strings, each with its NUL */
	MM_SEC_CWD = 4,     /* path, no NUL */
	MM_SEC_FDS = 5,     /* struct mm_fd_entry … */
	MM_SEC_LIMITS = 6,  /* 16 × {soft, hard} of 8 bytes, RLIMIT_CPU … RLIMIT_RTTIME */
	MM_SEC_IDS = 7,     /* ruid euid suid rgid egid sgid, 4 bytes each */
	MM_SEC_GROUPS = 8,  /* 4 bytes each */
	MM_SEC_PROCESS = 9, /* struct mm_process_state */
	MM_SEC_POLICY = 10, /* START only: one byte per canonical number: MM_POL_* */
	MM_SEC_RULES = 11,  /* START only: struct mm_rule, each followed by its pattern, padded to 8 */
	MM_SEC_MOUNTS = 12, /* START only: struct mm_mount … */
};

struct mm_fd_entry {
	uint32_t fd;
	uint32_t cloexec;
	uint32_t klass; /* START: enum mm_fd_class; HELLO: 0 */
	uint32_t kind;  /* enum mm_fd_kind */
};

struct mm_process_state {
	uint64_t hwcap, hwcap2; /* AT_HWCAP, AT_HWCAP2; START: the intersection over the group */
	uint64_t ignored;       /* bit n-1: signal n is ignored */
	uint64_t blocked;       /* bit n-1: signal n is blocked */
	uint32_t umask;
	uint32_t personality;
};

#define MM_POL_FILE 0x1u   /* exempt on descriptors that are not sockets, and on paths */
#define MM_POL_SOCKET 0x2u /* exempt on sockets */

/* A rule of the group file. */
struct mm_rule {
	uint16_t nr;    /* canonical number; 0xffff: any */
	uint8_t check;  /* 0: not said, 1: exempt, 2: compare */
	uint8_t data;   /* 0: not said, 1: leader, 2: differs, 3: own */
	uint32_t bytes; /* of the pattern: `*` within a component, `**` as one for any number of them; 0: any path */
};

#define MM_PATH_RULES 32u /* rules with a pattern in one group */

/* How the files of a mounted file system are handled; unlisted ones: the leader's. */
struct mm_mount {
	uint64_t dev;   /* as in st_dev */
	uint32_t klass; /* enum mm_fd_class */
	uint32_t pad;
};

struct mm_msg_signal {
	uint32_t signo;
	uint32_t pad;
};

#define MM_FRAMES 32u /* return addresses in a backtrace */

/* What a report needs of one side; records (struct mm_rec and form) follow, `records` of them. */
struct mm_msg_case {
	uint64_t seq;
	uint32_t lane;
	uint32_t records;
	uint32_t reason;   /* enum mm_reason */
	uint32_t frames;   /* valid entries in frame */
	uint64_t regs[18]; /* rax rbx rcx rdx rsi rdi rbp rsp r8 … r15 rip flags */
	uint64_t frame[MM_FRAMES];
};

enum mm_reason {
	MM_WHY_NONE = 0,
	MM_WHY_NUMBER = 1, /* another call */
	MM_WHY_FORM = 2,   /* another argument */
	MM_WHY_KIND = 3,   /* a call here, a fault or signal there */
	MM_WHY_RESULT = 4, /* the call gave another result */
	MM_WHY_DATA = 5,   /* a file has other data */
	MM_WHY_TAKEN = 6,  /* a descriptor's number is taken */
	MM_WHY_CODE = 7,   /* an executable file is not the leader's */
	MM_WHY_STREAM = 8, /* the stream makes no sense */
};

struct mm_msg_stop {
	uint32_t by_signal; /* 0: exit status in `status` */
	uint32_t status;
	struct mm_counters counters;
};

struct mm_msg_fatal {
	uint32_t exit_code; /* what the process leaves with: 70, or 126/127 before the program ran */
	uint32_t nr;        /* the call concerned, canonical, or 0xffffffff */
	int32_t error;      /* -errno, or 0 */
	uint32_t pad;
};

_Static_assert(sizeof(struct mm_msg) == 16, "message header");
_Static_assert(sizeof(struct mm_msg_start) == 96, "start message");
_Static_assert(sizeof(struct mm_msg_case) == 424, "case");

#endif
