/* SPDX-License-Identifier: Apache-2.0 */
#include <signal.h>
#include <sys/mman.h>
#include <ucontext.h>
#include <unistd.h>

#include "harness.h"
#include <linux/futex.h>

#define RING MM_RING_MIN

u8 *user, *user_end, *secret;
struct mm_thread *T;
struct mm_proc *P;
jmp_buf back;
u32 said_type, said_reason, said_bytes;
int exit_status, failures;
int (*hook)(long nr, const u64 a[6], long *result);
void (*wake)(void);

static u8 *arena; /* control, stream, index and a guard page; the ring twice; a guard page */
static u64 put_at;
static u64 ring_from;

const char mm_image_start[1], mm_image_end[1], mm_gates_start[1], mm_gates_end[1];

/* The names under which the real ones of entry.S and gate.S are built here. */
long real_gate(long nr, u64 a, u64 b, u64 c, u64 d, u64 e, u64 f);
u64 real_copy(void *to, const void *from, u64 bytes);
void *__asan_region_is_poisoned(void *at, size_t bytes);
void __asan_get_shadow_mapping(size_t *scale, size_t *offset);

_Noreturn void come_back(enum outcome how)
{
	longjmp(back, how);
}

struct header {
	u64 name;
	u32 name_bytes, pad;
	struct {
		const u8 *at;
		u64 bytes;
	} * iov;
	u64 iov_count, control, control_bytes;
};

/* A message to the supervisor: read whole, as the kernel would, so that what reaches too far is found. */
static long said(const struct header *h)
{
	static u8 text[1 << 20];
	u64 n = 0;

	for (u64 i = 0; i < h->iov_count; i++) {
		if (n + h->iov[i].bytes > sizeof(text))
			abort();
		if (h->iov[i].bytes)
			memcpy(text + n, h->iov[i].at, h->iov[i].bytes);
		n += h->iov[i].bytes;
	}
	const struct mm_msg *m = (const struct mm_msg *)text;

	if (n != sizeof(*m) + m->bytes || m->bytes > MM_MSG_BODY)
		abort();
	said_type = m->type;
	said_bytes = m->bytes;
	said_reason = m->type == MM_MSG_DIVERGED ? ((const struct mm_msg_case *)(m + 1))->reason : 0;
	return (long)n;
}

long mm_gate(long nr, u64 a, u64 b, u64 c, u64 d, u64 e, u64 f)
{
	const u64 args[6] = {a, b, c, d, e, f};
	long result = 0;

	switch (nr) {
	case __NR_exit_group:
		exit_status = (int)a;
		come_back(EXITED);
	case __NR_sendmsg:
		if (a == (u64)mm_own(P, MM_FD_MSG))
			return said((const struct header *)b);
		break;
	case __NR_nanosleep: /* the end of mm_diverge: waiting for the supervisor */
		if (said_type == MM_MSG_DIVERGED)
			come_back(DIVERGED);
		if (said_type == MM_MSG_TRACE) /* mm_give_up gives the supervisor time */
			return 0;
		break;
	case __NR_rt_sigaction: /* signals are the test's */
	case __NR_rt_sigprocmask:
		return 0;
	case __NR_futex: /* nobody will ring, unless the test does */
		if (wake) {
			wake();
			return 0;
		}
		if ((b & 127) == FUTEX_WAIT && a >= (u64)arena && a < (u64)arena + 3 * MM_PAGE)
			come_back(STARVED);
		break;
	}
	if (hook && hook(nr, args, &result))
		return result;
	return real_gate(nr, a, b, c, d, e, f);
}

long mm_app_gate(volatile u32 *kick, long nr, const u64 x[6])
{
	return *kick ? MM_NOT_MADE : mm_gate(nr, x[0], x[1], x[2], x[3], x[4], x[5]);
}

/*
 * Is there something in the range that the sanitizer forbids? Its own mappings, which may lie beside the program's, are no part of the
 * test, nor is an address that has no shadow: the copy itself faults there.
 */
static int poisoned(const void *at, u64 bytes)
{
	const u64 found = (u64)__asan_region_is_poisoned((void *)at, bytes);
	size_t scale, offset;
	u8 shadow;

	__asan_get_shadow_mapping(&scale, &offset);
	return found && real_copy(&shadow, (const void *)((found >> scale) + offset), 1) == 0 &&
	       shadow != 0xfe; /* "ASan internal" in its reports */
}

/* `rep movsb` is unknown to the sanitizer: what it knows of either side is asked for here. */
u64 mm_copy(void *to, const void *from, u64 bytes)
{
	if (bytes && bytes < 1ul << 30 && (poisoned(to, bytes) || poisoned(from, bytes)))
		memcpy(to, from, bytes); /* reports it */
	return real_copy(to, from, bytes);
}

static struct sigaction before[65];

static void on_fault(int signo, siginfo_t *info, void *context)
{
	ucontext_t *uc = context;

	if ((u64)uc->uc_mcontext.gregs[REG_RIP] == (u64)mm_copy_insn) {
		uc->uc_mcontext.gregs[REG_RIP] = (greg_t)mm_copy_done;
		return;
	}
	if (before[signo].sa_flags & SA_SIGINFO)
		before[signo].sa_sigaction(signo, info, context);
	abort();
}

static u8 *pages(u64 bytes)
{
	void *at = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);

	if (at == MAP_FAILED)
		abort();
	return at;
}

static void once(void)
{
	struct sigaction act = {.sa_sigaction = on_fault, .sa_flags = SA_SIGINFO | SA_NODEFER};
	int fd = memfd_create("ring", 0);

	sigaction(SIGSEGV, &act, &before[SIGSEGV]);
	sigaction(SIGBUS, &act, &before[SIGBUS]);
	user = pages(USER_BYTES + MM_PAGE + SECRET_BYTES + MM_PAGE);
	user_end = user + USER_BYTES;
	secret = user_end + MM_PAGE;
	mprotect(user_end, MM_PAGE, PROT_NONE);
	mprotect(secret + SECRET_BYTES, MM_PAGE, PROT_NONE);
	arena = pages(4 * MM_PAGE + 2 * RING + MM_PAGE);
	mprotect(arena + 3 * MM_PAGE, MM_PAGE, PROT_NONE);
	mprotect(arena + 4 * MM_PAGE + 2 * RING, MM_PAGE, PROT_NONE);
	if (fd < 0 || ftruncate(fd, RING) < 0)
		abort();
	for (int i = 0; i < 2; i++)
		if (mmap(arena + 4 * MM_PAGE + i * RING, RING, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_FIXED, fd, 0) == MAP_FAILED)
			abort();
	close(fd);
	P = calloc(1, sizeof(*P));
	T = calloc(1, sizeof(*T));
	P->fds = (struct mm_fd *)pages(MM_FD_CAP * sizeof(struct mm_fd));
	P->ofds = (struct mm_ofd *)pages(MM_OFD_CAP * sizeof(struct mm_ofd));
	P->tokens = (struct mm_token *)pages(MM_TOKEN_CAP * sizeof(struct mm_token));
	P->stage = pages(MM_STAGE + MM_PAGE);
	mprotect(P->stage + MM_STAGE, MM_PAGE, PROT_NONE);
}

void fresh(int role)
{
	struct mm_fd *fds;
	struct mm_ofd *ofds;
	struct mm_token *tokens;
	u8 *stage;

	if (!P)
		once();
	if (T->call.big) /* a run that did not come back regularly */
		mm_unstage(T);
	fds = P->fds, ofds = P->ofds, tokens = P->tokens, stage = P->stage;
	memset(fds, 0, P->fd_top * sizeof(*fds));
	memset(ofds, 0, P->ofd_top * sizeof(*ofds));
	memset(tokens, 0, P->token_top * sizeof(*tokens));
	memset(P, 0, sizeof(*P));
	memset(T, 0, sizeof(*T));
	memset(arena, 0, 3 * MM_PAGE);
	memset(secret, 0x5e, SECRET_BYTES);
	P->role = role;
	P->id = 1;
	P->followers = 1;
	P->flags = MM_START_FS_SHARED;
	P->ring_size = RING;
	P->own_first = 900; /* below any limit of open files */
	P->key[0] = 0x0706050403020100;
	P->key[1] = 0x0f0e0d0c0b0a0908;
	P->control = (struct mm_control *)arena;
	P->stream = (struct mm_stream *)(arena + MM_PAGE);
	P->index[0] = P->mine = (struct mm_index *)(arena + 2 * MM_PAGE);
	P->counters = &((struct mm_index *)P->mine)->counters;
	P->ring = arena + 4 * MM_PAGE;
	P->fds = fds, P->ofds = ofds, P->tokens = tokens;
	P->stage = stage;
	P->stage_end = stage + MM_STAGE;
	P->reservation = (struct mm_range){(u64)user_end, (u64)secret + SECRET_BYTES + MM_PAGE};
	P->virtual_pid = P->real_pid = (u32)getpid();
	memcpy(P->program, "/usr/bin/program", 17);
	T->proc = P;
	/* near the end of the ring, so that records lie across it */
	T->head = T->published = put_at = ring_from = RING - 64;
	((struct mm_stream *)P->stream)->head = put_at;
	((struct mm_index *)P->mine)->tail = put_at;
	said_type = said_reason = said_bytes = 0;
	exit_status = -1;
	hook = NULL;
	static int kept;
	if (!kept++)
		mm_links_keep(P);
}

static void arguments(long nr, u64 a, u64 b, u64 c, u64 d, u64 e, u64 f)
{
	T->regs = (struct mm_regs){
	    .ax = (u64)nr, .di = a, .si = b, .dx = c, .r10 = d, .r8 = e, .r9 = f, .sp = (u64)user_end - 4096, .ip = (u64)user};
}

enum outcome call(long nr, u64 a, u64 b, u64 c, u64 d, u64 e, u64 f)
{
	arguments(nr, a, b, c, d, e, f);
	return RUN(mm_monitor(T));
}

void put(const void *bytes, u32 n)
{
	memcpy(P->ring + (put_at & (RING - 1)), bytes, n);
	put_at += n;
	((struct mm_stream *)P->stream)->head = put_at;
}

void put_call(long nr, u64 a, u64 b, u64 c, u64 d, u64 e, u64 f)
{
	struct mm_call *k = &T->call;

	arguments(nr, a, b, c, d, e, f);
	mm_canonical(T);
	mm_describe(T);
	mm_unstage(T);
	k->out.rec = (struct mm_rec){.size = sizeof(struct mm_rec) + k->out.rec.form,
				     .kind = MM_REC_CALL,
				     .flags = k->exempt ? MM_RF_EXEMPT : 0,
				     .nr = k->nr,
				     .seq = T->seq + 1,
				     .form = k->out.rec.form};
	put(&k->out, k->out.rec.size);
}

void put_result(s64 ret, int flags, u32 nout, const void *outs, u32 n)
{
	struct {
		struct mm_rec rec;
		struct mm_result result;
		u8 body[8192];
	} r = {.rec = {.size = sizeof(struct mm_rec) + sizeof(struct mm_result) + n,
		       .kind = MM_REC_RESULT,
		       .flags = flags,
		       .nr = T->call.nr,
		       .seq = T->seq + 1},
	       .result = {.ret = ret, .nout = nout, .made = MM_FD_LEADER}};

	memcpy(r.body, outs, n);
	put(&r, r.rec.size);
}

const struct mm_rec *published(u32 i)
{
	const struct mm_rec *rec;
	u64 at = ring_from;

	for (;; i--, at += rec->size) {
		rec = (const struct mm_rec *)(P->ring + (at & (RING - 1)));
		if (at >= T->head)
			return NULL;
		if (!i)
			return rec;
	}
}

const struct mm_item *item(u32 i)
{
	const struct mm_item *it;

	for (u32 at = 0; at < T->call.out.rec.form; at += sizeof(*it) + MM_UP(it->bytes, 8)) {
		it = (const struct mm_item *)(T->call.out.form + at);
		if (!i--)
			return it;
	}
	return NULL;
}
