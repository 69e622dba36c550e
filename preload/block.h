/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The monitor's memory: one reservation, with guard pages between its parts.
 *
 *   image          code and constants, copied from the file, read and execute
 *   process block  struct mm_proc
 *   tables         descriptors, open descriptions, epoll registrations (touched as they are used)
 *   arena          control page, stream twice in a row (so that no record is cut), index pages
 *   exit page      the program's to read and write: see redirect.S
 *   slots          one per thread: guard page, stack, and at the top the thread's block (struct mm_thread)
 *
 * The staging area lies in front of the slots and ends at a guard page, so that a copy of which only a part could be read is
 * carried out with the original length and fails where the program's own memory would have failed.
 */
#ifndef MONMOD_BLOCK_H
#define MONMOD_BLOCK_H

#include "sys.h"
#include "table.h"
#include <monmod/arena.h>
#include <monmod/record.h>
#include <monmod/start.h>

#define MM_SLOT 0x40000ul  /* size and alignment of a thread's slot; entry.S knows it too */
#define MM_BLOCK 0x18000ul /* of it, the block at the top */

#define MM_FD_CAP (1u << 18)
#define MM_TOKEN_CAP (1u << 18)
#define MM_OFD_CAP (MM_FD_CAP + MM_TOKEN_CAP) /* those that are open, and those that are watched though they are not */
#define MM_STAGE (1ul << 20)
#define MM_MMAP_MAX 0x7ffff000ul /* the kernel moves no more in one call (MAX_RW_COUNT) */

#define MM_OWN_FDS 15u /* numbers that the monitor keeps for itself, the same in every variant */

enum mm_own_fd {
	MM_FD_MSG,
	MM_FD_TETHER,
	MM_FD_HOLDER,
	MM_FD_ARMING,
	MM_FD_LINKS,                  /* links.c */
	MM_FD_SPARE,                  /* three of them */
	MM_FD_PASS = MM_FD_SPARE + 3, /* MM_FD_PASS + i: to follower i */
};

#define MM_KICK_SIGNAL 16 /* SIGSTKFLT: no program uses it, and it stays hidden */

/* Registers in the order of struct mm_msg_case. */
struct mm_regs {
	u64 ax, bx, cx, dx, si, di, bp, sp, r8, r9, r10, r11, r12, r13, r14, r15, ip, flags;
};

/* Descriptor tables; they are the same in every variant of a group. */
struct mm_fd {
	u8 klass; /* enum mm_fd_class, or MM_FD_PRIVATE */
	u8 kind;  /* enum mm_fd_kind */
	u16 unused;
	u32 ofd; /* open description */
};

#define MM_FD_PRIVATE 4 /* each variant's own and different by nature (/proc/self/maps): not in the stream */

struct mm_ofd {
	u32 refs;     /* descriptors in this process; 0: free, unless there are registrations */
	u32 tokens;   /* first epoll registration, + 1 */
	u64 dev, ino; /* MM_FD_SHARED: which file the leader opened */
	u32 rules;    /* which rules its path meets */
	u16 data;     /* enum mm_own_data */
	u8 elsewhere; /* others may have it open too: the end of our last descriptor need not be its end */
	u8 family;    /* of a socket that was made here; 0: not known */
};

/* What holds for the data of a file that every variant has of its own. */
enum mm_own_data {
	MM_OWN_MEMORY,   /* not a file of a file system: the same by its nature */
	MM_OWN_COMPARED, /* by digest */
	MM_OWN_DIFFERS,  /* a rule: read by everyone, and not compared */
	MM_OWN_WHOLLY,   /* a rule: neither reads nor writes nor what the file looks like are compared */
};

/* What a rule says (include/monmod/start.h). */
#define MM_CHECK_EXEMPT 1
#define MM_CHECK_COMPARE 2
#define MM_DATA_LEADER 1
#define MM_DATA_DIFFERS 2
#define MM_DATA_OWN 3

/* One epoll registration; its number and generation are the data that the kernel is given. */
struct mm_token {
	u64 data;  /* the program's own */
	u32 epoll; /* open description of the epoll */
	u32 fd;
	u32 ofd; /* open description watched */
	u32 generation;
	u32 next; /* next registration of the same description, + 1; or next free one */
	u32 live;
};

struct mm_sigaction {
	u64 handler, flags, restorer, mask;
};

struct mm_altstack {
	u64 sp;
	s32 flags;
	u32 pad;
	u64 size;
};

struct mm_poll { /* struct pollfd */
	s32 fd;
	u16 events, revents;
};

#define MM_OUTS 40u

/* How many bytes of an output buffer a call has written. */
enum mm_out_how {
	MM_OUT_FIXED,  /* all of it, on success */
	MM_OUT_RET,    /* the result, times the unit */
	MM_OUT_ALWAYS, /* all of it, also when the call was interrupted */
	MM_OUT_LEN,    /* what the length behind another pointer says */
	MM_OUT_IOV,    /* the result, over the pieces of a vector (of which `at` is the staged copy) */
	MM_OUT_SET,    /* `bytes` is set by the call's own function */
	MM_OUT_STAGED, /* the same, and `at` is the monitor's own memory: translated before the program sees it */
};

/* Where output of a call lies in the program's memory. Both sides list the same buffers in the same order. */
struct mm_outbuf {
	u64 at;
	u64 room;
	u64 bytes;
	u64 length_at; /* MM_OUT_LEN */
	u32 pieces;    /* MM_OUT_IOV */
	u16 unit;
	u8 how; /* enum mm_out_how */
	u8 arg;
};

enum mm_who { MM_BY_ALL, MM_BY_LEADER };

/* One call on its way through the monitor. */
struct mm_call {
	const struct mm_row *row;
	u16 nr;    /* canonical */
	u8 who;    /* enum mm_who */
	u8 exempt; /* argument values are not compared */
	u8 quiet;  /* nothing is published: local */
	u8 made;   /* enum mm_fd_class of what the call made */
	u8 made_kind;
	u8 given;  /* a path begins at a folder whose descriptor came from another process (folders.c) */
	u8 refuse; /* do not carry out: the result is `error` */
	s64 error;
	u64 number;         /* the program's rax, for calls that are made again */
	u64 a[6];           /* the program's arguments */
	u64 x[6];           /* what is carried out: pointers lead to copies */
	u64 dev, ino;       /* of the object opened */
	u32 rules;          /* that its path, or the path acted on, meets */
	u32 file;           /* the open description that the call is about, + 1 */
	u64 staged;         /* bytes used in the staging area */
	u64 big, big_bytes; /* a mapping for what does not fit there */
	u32 nout;
	u32 paths;     /* path arguments so far */
	u32 drawn;     /* characters at the end of the last path that were drawn; 0: it makes nothing of a drawn name */
	u32 drawn_arg; /* the argument that holds it */
	u64 extra;     /* for the call's own functions */
	u32 polls;     /* poll: entries of a copy (`extra`) that was given to the kernel */
	u8 digest[16]; /* of data that every variant reads for itself */
	struct mm_outbuf outs[MM_OUTS];
	struct {
		struct mm_rec rec;
		u8 form[MM_FORM_MAX];
	} out;
	struct {
		struct mm_rec rec;
		u8 form[MM_FORM_MAX];
	} peer;               /* follower: the leader's */
	char path[4096 + 8];  /* first path argument, as copied */
	char path2[4096 + 8]; /* second */
	char shown[4096 + 8]; /* the one being described, as it is compared */
	u8 small[512];        /* nested structures */
};

#define MM_HISTORY 64u
#define MM_HISTORY_BYTES 480u

struct mm_past {
	struct mm_rec rec;
	u8 form[MM_HISTORY_BYTES];
};

struct mm_proc;

/* A thread's block. What every call touches comes first. */
struct mm_thread {
	struct mm_regs regs;
	u32 kick;       /* a signal waits: blocking calls answer EINTR (the gate tests it) */
	u32 alarmed;    /* the timer for signals without a rendezvous runs */
	u32 token_seen; /* back end kmod: a signal frame below holds the token, to be scrubbed. scrub.inc knows where this is */
	u32 overdue;    /* a kick came inside the monitor: the end of a local call is as good a place as any */
	u64 exit_page;  /* what the last loads on the way out come from when the key is closed. redirect.S knows where this is */
	u64 alarmed_at; /* `alarmed` since the thread had used this much of the processor */
	u64 pending;    /* bit n-1: signal n arrived and was not handed to the program yet */
	u64 forced;     /* of these, the ones that a call with a mask of its own let through */
	u64 held;       /* real-time signals that the kernel's mask holds back because one of the kind is pending */
	u64 mask;       /* the program's signal mask */
	u64 mask_after; /* while `masked`: what it is when the call that brought one along is over */
	struct mm_proc *proc;
	u8 *frame;              /* struct ucontext by which the thread leaves: the kernel's, or one made by mm_frame(); or NULL */
	u8 *frame_room;         /* back end kmod: where mm_frame() makes one */
	u64 seq;                /* number of the newest call in this lane */
	u64 head;               /* leader: bytes written to the stream; follower: bytes read */
	u64 published;          /* leader: bytes that followers may see */
	struct mm_altstack alt; /* the program's alternate stack */
	u64 suspend_mask;       /* the mask of the call under way, when it has one of its own and `suspended` is set */
	u32 suspended;
	u32 masked;     /* `mask` is that of a call which a signal has ended; the first handler's frame holds mask_after */
	u32 fault_code; /* si_code of the fault being handled */
	u32 history_next;
	u32 leaving;
	struct mm_call call;
	u8 info[64][128] __attribute__((aligned(8))); /* siginfo of pending signals */
	struct mm_past history[MM_HISTORY];
};

struct mm_range {
	u64 from, to;
};

#define MM_EXEC_MAPS 256u

/* struct mm_call.extra of mmap: what a file mapping is of. */
enum mm_map { MM_MAP_OWN, MM_MAP_LEADERS, MM_MAP_SHARED /* … and writable by others */, MM_MAP_READ /* own, for reading alone */ };

#define MM_NAMES 64u
#define MM_NAMES_ADDRESS 16u /* of them, for names that end with an address: these live short, and must not push others out */

#define MM_VALUES 256u

/* A temporary file that the program calls by another name than the leader (names.c). */
struct mm_name {
	u32 bytes; /* of the path; 0: unused */
	u32 drawn; /* of these, the characters at the end that were drawn */
	u32 leads; /* how many the leader drew instead */
	char leaders[16];
	char own[484];
};

/* What a process knows. Written at the start, and by descriptor, memory and signal calls. */
struct mm_proc {
	u32 role;
	u32 id;
	u32 slot;
	u32 followers;
	u32 flags;    /* MM_START_* */
	u32 spin;     /* tries at most before it sleeps */
	u32 patience; /* tries now (lanes.c) */
	u32 ring_size;
	u32 own_first; /* the monitor's descriptors are own_first … own_first + MM_OWN_FDS - 1 */
	u64 key[2];
	const volatile struct mm_control *control;
	volatile struct mm_stream *stream; /* the leader writes */
	u8 *ring;
	volatile struct mm_index *index[MM_MAX_FOLLOWERS];
	volatile struct mm_index *mine; /* follower */
	struct mm_fd *fds;
	struct mm_ofd *ofds;
	struct mm_token *tokens;
	u32 ofd_free, ofd_top;
	u32 token_free, token_top;
	u32 token_old; /* where to look for a registration that may be given up */
	u32 fd_top;    /* highest descriptor ever seen + 1 */
	u32 pid1;      /* this is the first process of a PID namespace */
	u8 *stage, *stage_end;
	struct mm_range reservation;
	s64 slide; /* from the image as loaded to its copy */
	u64 mmap_next;
	u64 brk_start, brk_now;
	u64 virtual_pid;
	u32 real_pid, real_tid;
	u32 exec_maps;
	u64 xstate_features, xstate_bytes;      /* back end kmod: of a signal frame; 0: not looked at yet */
	u64 xstate_pkru;                        /* … and where PKRU lies in it; 0: nowhere */
	u32 alarm_timer;                        /* id + 1 of the timer behind signals that find no rendezvous */
	struct mm_range exec_map[MM_EXEC_MAPS]; /* executable mappings in the order in which they were made */
	struct mm_sigaction action[64];
	struct mm_counters *counters; /* in our own page of the arena */
	u64 values[MM_VALUES];        /* addresses that the program has attached to signals (sigvalues.c) */
	u64 values_next;              /* how many there have been */
	u8 policy[512];
	const u8 *rules;
	u64 rules_bytes;
	const struct mm_mount *mounts;
	u64 mounts_count;
	struct mm_name names[MM_NAMES];
	u32 names_next, names_next_address;
	const char *arguments; /* strings, as the program was started */
	u64 arguments_bytes;
	u64 map_seq; /* leader: newest call that opened or mapped a file, 0: all followers have done it */
	u32 draws;
	u32 cwd_elsewhere, root_elsewhere; /* follower: it could not go where the leader has gone (folders.c) */
	u32 cwd_given;           /* the working folder is one that no follower has: a descriptor of it came from another process */
	u32 spared, spares_free; /* links.c */
	u64 spare_limit[2];      /* the program's limit of open files while it is raised; ~0: it is not */
	u64 draw_seq;
	u64 auxv[64][2]; /* the program's, for /proc/self/auxv */
	u64 auxv_bytes;
	char program[4096]; /* what /proc/self/exe is to show */
};

_Static_assert(sizeof(struct mm_thread) <= MM_BLOCK, "thread block");
_Static_assert(__builtin_offsetof(struct mm_thread, call) < 1024, "hot state");
_Static_assert(__builtin_offsetof(struct mm_thread, token_seen) == 152, "known to scrub.inc");
_Static_assert(__builtin_offsetof(struct mm_thread, exit_page) == 160, "known to redirect.S");

static inline int mm_is_leader(const struct mm_proc *p)
{
	return p->role == MM_LEADER;
}

static inline int mm_own(const struct mm_proc *p, enum mm_own_fd which)
{
	return (int)(p->own_first + which);
}

#endif
