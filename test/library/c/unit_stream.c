/* SPDX-License-Identifier: Apache-2.0 */
/* A follower under a leader that lies: lanes.c, compare.c, replicate.c and what signals.c takes from the stream. */
#include "harness.h"
#include "unit.h"
#include <asm/unistd_64.h>
#include <signal.h>
#include <sys/time.h>

#define REC ((u32)sizeof(struct mm_rec))

static void follow(void)
{
	fresh(MM_FOLLOWER);
	mm_fd_make(T, 0, MM_FD_LEADER, MM_KIND_FILE);
	mm_fd_make(T, 3, MM_FD_LEADER, MM_KIND_SOCKET);
	mm_fd_make(T, 5, MM_FD_LEADER, MM_KIND_EPOLL);
}

static struct mm_rec header(u32 size, int kind, u16 form)
{
	return (struct mm_rec){.size = size, .kind = (u8)kind, .seq = 1, .form = form};
}

/* Headers that no leader writes. */
static void headers(void)
{
	const struct {
		const char *name;
		u32 size;
		u16 form;
		u32 have;
	} table[] = {
	    {"nothing but a head", REC, 0, 8},
	    {"size 0", 0, 0, 64},
	    {"less than a header", REC - 8, 0, 64},
	    {"odd", REC + 4, 0, 64},
	    {"more than there is", REC + 64, 0, REC + 56},
	    {"the most there can be, and more", MM_REC_MAX + 8, 0, MM_REC_MAX + 64},
	    {"a size that wraps", 0xfffffff8, 0, 64},
	    {"a form beyond the record", REC + 8, 16, 64},
	    {"a form beyond the record, unaligned", REC + 8, 4, 64},
	    {"a form longer than any", REC + MM_FORM_MAX + 8, MM_FORM_MAX + 8, REC + MM_FORM_MAX + 8},
	    {"the longest form a header can name", REC + 65528, 65528, 65536},
	};
	static u8 bytes[1 << 16];

	for (u32 i = 0; i < sizeof(table) / sizeof(table[0]); i++) {
		struct mm_rec rec = header(table[i].size, MM_REC_CALL, table[i].form);

		follow();
		memcpy(bytes, &rec, sizeof(rec));
		put(bytes, table[i].have);
		CHECK(call(__NR_getpid, 0, 0, 0, 0, 0, 0) == DIVERGED && said_reason == MM_WHY_STREAM, "%s", table[i].name);
		CHECK(P->mine->verdict == MM_VERDICT_MALFORMED, "%s", table[i].name);
		CHECK(said_bytes <= sizeof(struct mm_msg_case) + 2 * (REC + MM_FORM_MAX), "%s: told %u bytes", table[i].name,
		      said_bytes);
	}
	follow();
	CHECK(call(__NR_getpid, 0, 0, 0, 0, 0, 0) == STARVED, "waits for what is not there yet");
}

/* A head that runs ahead of the ring, or back. */
static void heads(void)
{
	static const s64 heads[] = {-8, -64, (s64)MM_RING_MIN + 8, 1l << 40, -(1l << 62)};

	for (u32 i = 0; i < sizeof(heads) / sizeof(heads[0]); i++) {
		follow();
		((struct mm_stream *)P->stream)->head = T->head + (u64)heads[i];
		CHECK(call(__NR_getpid, 0, 0, 0, 0, 0, 0) == DIVERGED && said_reason == MM_WHY_STREAM, "%ld", heads[i]);
	}
}

static void comparing(void)
{
	struct {
		struct mm_rec rec;
		u8 form[MM_FORM_MAX];
	} c;

	for (u32 i = 0; i < 7; i++) {
		u32 reason = MM_WHY_NONE;

		follow();
		u64 before = T->head;

		put_call(__NR_lseek, 0, 10, 0, 0, 0, 0);
		memcpy(&c, &T->call.out, sizeof(c));
		((struct mm_stream *)P->stream)->head = before;
		switch (i) {
		case 1:
			c.rec.kind = MM_REC_FAULT, reason = MM_WHY_KIND;
			break;
		case 2:
			c.rec.nr++, reason = MM_WHY_NUMBER;
			break;
		case 3:
			c.rec.seq++, reason = MM_WHY_STREAM;
			break;
		case 4:
			c.form[c.rec.form - 8] ^= 1, reason = MM_WHY_FORM;
			break;
		case 5:
			c.rec.form -= 8, c.rec.size -= 8, reason = MM_WHY_FORM;
			break;
		case 6:
			c.rec.size += 8, reason = MM_WHY_STREAM;
			break;
		}
		memcpy(P->ring + (before & (P->ring_size - 1)), &c, c.rec.size);
		((struct mm_stream *)P->stream)->head = before + c.rec.size;
		enum outcome how = call(__NR_lseek, 0, 10, 0, 0, 0, 0);

		if (!reason)
			CHECK(how == STARVED && P->mine->compared == 1, "compared, and waits for the result: %d", how);
		else
			CHECK(how == DIVERGED && said_reason == reason && P->mine->compared == 0, "row %u: reason %u", i,
			      said_reason);
	}
}

struct part {
	struct mm_out out;
	u8 bytes[64];
};

/* Results of read(0, user, 16). */
static void results(void)
{
	const struct {
		const char *name;
		s64 ret;
		u32 nout;
		struct mm_out out;
		u32 body; /* bytes behind struct mm_out */
		enum outcome how;
	} table[] = {
	    {"all", 16, 1, {0, 16, 16}, 16, RETURNED},
	    {"short", 5, 1, {0, 5, 5}, 8, RETURNED},
	    {"end of file", 0, 0, {0}, 0, RETURNED},
	    {"error", -EIO, 0, {0}, 0, RETURNED},
	    {"more than was asked for", 24, 1, {0, 24, 24}, 24, DIVERGED},
	    {"a result above the room", 24, 1, {0, 16, 16}, 16, DIVERGED},
	    {"a result without its bytes", 16, 0, {0}, 0, DIVERGED},
	    {"fewer bytes than the result says", 16, 1, {0, 8, 8}, 8, DIVERGED},
	    {"bytes with an error", -EIO, 1, {0, 16, 16}, 16, DIVERGED},
	    {"bytes beyond the record", 16, 1, {0, 16, 16}, 8, DIVERGED},
	    {"a total that wraps", 16, 1, {0, 16, ~0ul - 3}, 16, DIVERGED},
	    {"a part where all was said", 16, 1, {0, 8, 16}, 16, DIVERGED},
	    {"an output that is not there", 16, 1, {1, 16, 16}, 16, DIVERGED},
	    {"an output far away", 16, 1, {0xffffffff, 16, 16}, 16, DIVERGED},
	    {"more outputs than the record has", 16, 3, {0, 16, 16}, 16, DIVERGED},
	    {"more outputs than can be", 16, 65535, {0, 16, 16}, 16, DIVERGED},
	};

	for (u32 i = 0; i < sizeof(table) / sizeof(table[0]); i++) {
		struct part part = {table[i].out, "0123456789abcdefghijklmnopqrstuvwxyz"};

		follow();
		memset(user, 0x77, 64);
		put_call(__NR_read, 0, (u64)user, 16, 0, 0, 0);
		put_result(table[i].ret, 0, table[i].nout, &part, table[i].nout ? 16 + table[i].body : 0);
		enum outcome how = call(__NR_read, 0, (u64)user, 16, 0, 0, 0);

		CHECK(how == table[i].how, "%s: %d", table[i].name, how);
		CHECK(user[16] == 0x77, "%s: written behind the buffer", table[i].name);
		if (how == RETURNED) {
			CHECK((s64)T->regs.ax == table[i].ret, "%s", table[i].name);
			CHECK(P->mine->done == 1 && P->mine->tail == P->stream->head, "%s", table[i].name);
		}
	}
}

/* Results above the room: of a receive that asks for the whole length, or a question for a length, and of nothing else. */
static void above_room(void)
{
	enum { TRUNC = 0x20 };
	u64 *header = (u64 *)(user + 512), *iov = (u64 *)(user + 640);
	const struct {
		const char *name;
		long nr;
		u64 a[4];
		u32 body; /* bytes that come along */
		enum outcome how;
	} table[] = {
	    {"recv", __NR_recvfrom, {3, (u64)user, 16, 0}, 16, DIVERGED},
	    {"recv, other flags", __NR_recvfrom, {3, (u64)user, 16, ~(u64)TRUNC}, 16, DIVERGED},
	    {"recv of nothing", __NR_recvfrom, {3, (u64)user, 0, 0}, 0, DIVERGED},
	    {"recv of a datagram's length", __NR_recvfrom, {3, (u64)user, 16, TRUNC}, 16, RETURNED},
	    {"recv of a datagram's length alone", __NR_recvfrom, {3, (u64)user, 0, TRUNC}, 0, RETURNED},
	    {"recvmsg", __NR_recvmsg, {3, (u64)header, 0}, 16, DIVERGED},
	    {"recvmsg of a datagram's length", __NR_recvmsg, {3, (u64)header, TRUNC}, 16, RETURNED},
	    {"read of nothing", __NR_read, {0, (u64)user, 0}, 0, DIVERGED},
	    {"fgetxattr", __NR_fgetxattr, {0, (u64)user + 768, (u64)user, 16}, 16, DIVERGED},
	    {"fgetxattr, a question", __NR_fgetxattr, {0, (u64)user + 768, (u64)user, 0}, 0, RETURNED},
	};

	for (u32 i = 0; i < sizeof(table) / sizeof(table[0]); i++) {
		const u64 *a = table[i].a;
		struct {
			struct part data;
			struct {
				struct mm_out out;
				u8 bytes[56];
			} header;
		} parts = {{{0, table[i].body, table[i].body}, "0123456789abcdef"}, {{3, 56, 56}, {0}}};

		follow();
		memset(user, 0x77, 0x1000);
		memcpy(user + 768, "user.name", 10);
		memset(header, 0, 56);
		iov[0] = (u64)user, iov[1] = 16;
		header[2] = (u64)iov, header[3] = 1;
		memmove(parts.data.bytes + 16, &parts.header, sizeof(parts.header)); /* no gap: recvmsg's own header comes behind */
		put_call(table[i].nr, a[0], a[1], a[2], a[3], 0, 0);
		u32 nout = table[i].nr == __NR_recvmsg ? 2 : table[i].body ? 1 : 0;

		put_result(1 << 30, 0, nout, &parts, nout == 2 ? 16 + 16 + 16 + 56 : nout ? 16 + table[i].body : 0);
		enum outcome how = call(table[i].nr, a[0], a[1], a[2], a[3], 0, 0);

		CHECK(how == table[i].how, "%s: %d", table[i].name, how);
		CHECK(how == RETURNED || said_reason == MM_WHY_STREAM, "%s", table[i].name);
	}
}

/* What was sent in DATA records. */
static void data(void)
{
	const u32 first = MM_REC_MAX - REC, rest = 100;
	const struct {
		const char *name;
		u32 size, kind;
		u64 seq;
		enum outcome how;
	} table[] = {
	    {"as it should be", REC + MM_UP(rest, 8), MM_REC_DATA, 1, RETURNED},
	    {"too short", REC + MM_UP(rest, 8) - 8, MM_REC_DATA, 1, DIVERGED},
	    {"too long", REC + MM_UP(rest, 8) + 8, MM_REC_DATA, 1, DIVERGED},
	    {"of another call", REC + MM_UP(rest, 8), MM_REC_DATA, 2, DIVERGED},
	    {"something else", REC + MM_UP(rest, 8), MM_REC_RESULT, 1, DIVERGED},
	};
	static struct {
		struct mm_rec rec;
		u8 bytes[MM_REC_MAX];
	} d;

	for (u32 i = 0; i < sizeof(table) / sizeof(table[0]); i++) {
		struct mm_out out = {0, 0, first + rest};

		follow();
		put_call(__NR_read, 0, (u64)user, first + rest, 0, 0, 0);
		put_result(first + rest, MM_RF_MORE, 1, &out, sizeof(out));
		d.rec = header(MM_REC_MAX, MM_REC_DATA, 0);
		memset(d.bytes, 'a', sizeof(d.bytes));
		put(&d, MM_REC_MAX);
		d.rec = header(table[i].size, (int)table[i].kind, 0);
		d.rec.seq = table[i].seq;
		memset(d.bytes, 'b', sizeof(d.bytes));
		put(&d, table[i].size);
		memset(user, 0, first + rest + 64);
		enum outcome how = call(__NR_read, 0, (u64)user, first + rest, 0, 0, 0);

		CHECK(how == table[i].how, "%s: %d", table[i].name, how);
		CHECK(!user[first + rest], "%s", table[i].name);
		if (how == RETURNED)
			CHECK(user[0] == 'a' && user[first - 1] == 'a' && user[first] == 'b' && user[first + rest - 1] == 'b');
	}
}

/* A call that every variant makes has output of its own: the leader's is not taken. */
static void output_of_all(void)
{
	struct part part = {{0, 4, 4}, "abcd"};

	follow();
	put_call(__NR_getresuid, (u64)user, (u64)user + 8, (u64)user + 16, 0, 0, 0);
	put_result(0, 0, 1, &part, 24);
	CHECK(call(__NR_getresuid, (u64)user, (u64)user + 8, (u64)user + 16, 0, 0, 0) == DIVERGED && said_reason == MM_WHY_STREAM);
}

/* Numbers of descriptors that a leader makes up. */
static void made(void)
{
	const s64 numbers[] = {3, P->own_first, P->own_first + MM_OWN_FDS - 1, MM_FD_CAP, 1l << 32 | 9, 0x7fffffffffffffff};

	for (u32 i = 0; i < sizeof(numbers) / sizeof(numbers[0]); i++) {
		follow();
		put_call(__NR_socket, 1, 1, 0, 0, 0, 0);
		put_result(numbers[i], 0, 0, NULL, 0);
		enum outcome how = call(__NR_socket, 1, 1, 0, 0, 0, 0);

		CHECK(how == DIVERGED || how == EXITED, "%ld: %d", numbers[i], how);
	}
}

#pragma pack(push, 1)
struct event {
	u32 events;
	u64 data;
};
#pragma pack(pop)

/* Events of epoll_wait(5, user, 2): each must be of a registration, and there are never more than were asked for. */
static void events(void)
{
	const struct {
		const char *name;
		s64 ret;
		u32 count; /* events sent */
		int wrong; /* add to the second's data */
		enum outcome how;
	} table[] = {
	    {"two", 2, 2, 0, RETURNED},
	    {"one", 1, 1, 0, RETURNED},
	    {"none", 0, 0, 0, RETURNED},
	    {"interrupted", -EINTR, 0, 0, RETURNED},
	    {"of no registration", 2, 2, 1, DIVERGED},
	    {"more than were sent", 2, 1, 0, DIVERGED},
	    {"more than fit", 3, 2, 0, DIVERGED},
	    {"more than fit, sent", 3, 3, 0, DIVERGED},
	    {"very many", 1l << 40, 2, 0, DIVERGED},
	    {"fewer than were sent", 1, 2, 0, DIVERGED},
	};

	for (u32 i = 0; i < sizeof(table) / sizeof(table[0]); i++) {
		struct {
			struct mm_out out;
			struct event e[5];
		} part = {0};

		follow();
		u64 token = mm_token_add(T, 5, 3, 0xdeadbeefcafe);

		for (u32 k = 0; k < 5; k++)
			part.e[k] = (struct event){1, token + (k == 1 ? (u64)table[i].wrong : 0)};
		part.out = (struct mm_out){0, table[i].count * 12, table[i].count * 12};
		/* what an earlier call left in the staging area: valid events too */
		memcpy(P->stage, part.e, sizeof(part.e));
		memset(user, 0x77, 64);
		put_call(__NR_epoll_wait, 5, (u64)user, 2, -1ul, 0, 0);
		put_result(table[i].ret, 0, table[i].count ? 1 : 0, &part, table[i].count ? 16 + MM_UP(table[i].count * 12, 8) : 0);
		enum outcome how = call(__NR_epoll_wait, 5, (u64)user, 2, -1ul, 0, 0);

		CHECK(how == table[i].how, "%s: %d", table[i].name, how);
		CHECK(user[24] == 0x77, "%s: written behind the program's array", table[i].name);
		if (how == RETURNED && table[i].ret > 0)
			CHECK(((struct event *)user)->data == 0xdeadbeefcafe, "%s", table[i].name);
	}
}

/* Results of sendmmsg(3, user, 2), of 3 bytes each: no message is sent that there was not, and of none more than there was. */
static void batches(void)
{
	const struct {
		const char *name;
		s64 ret;
		u32 count, lengths[3];
		enum outcome how;
	} table[] = {
	    {"both", 2, 2, {3, 3}, RETURNED},
	    {"one", 1, 1, {3}, RETURNED},
	    {"a part", 1, 1, {2}, RETURNED},
	    {"an error", -EPIPE, 0, {0}, RETURNED},
	    {"more messages", 3, 2, {3, 3}, DIVERGED},
	    {"more messages, sent", 3, 3, {3, 3, 3}, DIVERGED},
	    {"a length that is not there", 2, 1, {3}, DIVERGED},
	    {"more than a message has", 2, 2, {3, 4}, DIVERGED},
	};

	for (u32 i = 0; i < sizeof(table) / sizeof(table[0]); i++) {
		struct {
			struct mm_out out;
			u32 lengths[4];
		} part = {{0, table[i].count * 4, table[i].count * 4}, {0}};
		u64 *m = (u64 *)user, *iov = (u64 *)(user + 256);

		follow();
		memcpy(part.lengths, table[i].lengths, sizeof(table[i].lengths));
		memset(user, 0, 512);
		iov[0] = (u64)user + 300, iov[1] = 3;
		for (u32 k = 0; k < 3; k++)
			m[8 * k + 2] = (u64)iov, m[8 * k + 3] = 1;
		put_call(__NR_sendmmsg, 3, (u64)user, 2, 0, 0, 0);
		put_result(table[i].ret, 0, table[i].count ? 1 : 0, &part, table[i].count ? 16 + MM_UP(table[i].count * 4, 8) : 0);
		enum outcome how = call(__NR_sendmmsg, 3, (u64)user, 2, 0, 0, 0);

		CHECK(how == table[i].how, "%s: %d", table[i].name, how);
		CHECK(!m[16 + 7], "%s: said of a message that was none", table[i].name);
		for (s64 k = 0; how == RETURNED && k < table[i].ret; k++)
			CHECK((u32)m[8 * k + 7] == table[i].lengths[k], "%s", table[i].name);
	}
}

static void signals(void)
{
	const struct {
		const char *name;
		u32 size;
		u16 nr, form;
		enum outcome how;
	} table[] = {
	    {"handled", REC + 128, 10, 0, RETURNED},   {"number 0", REC + 128, 0, 0, DIVERGED},
	    {"number 65", REC + 128, 65, 0, DIVERGED}, {"too short", REC + 120, 10, 0, DIVERGED},
	    {"too long", REC + 136, 10, 0, DIVERGED},  {"with a form", REC + 128, 10, 8, DIVERGED},
	    {"not handled", REC + 128, 12, 0, EXITED}, {"ignored", REC + 128, 17, 0, RETURNED},
	};
	static _Alignas(64) u8 state[512], frame[1024];

	for (u32 i = 0; i < sizeof(table) / sizeof(table[0]); i++) {
		struct {
			struct mm_rec rec;
			u8 info[256];
		} r = {.rec = header(table[i].size, MM_REC_SIGNAL, table[i].form)};

		follow();
		hook = NULL;
		P->action[9] = (struct mm_sigaction){(u64)user + 0x100, 0, (u64)user + 0x200, 0};
		T->frame = frame;
		*(u64 *)(frame + 224) = (u64)state; /* uc_mcontext.fpstate */
		r.rec.nr = table[i].nr;
		r.info[0] = (u8)table[i].nr;
		put(&r, table[i].size);
		P->real_pid = 0x3fffffff; /* nobody: what would end this process */
		P->real_tid = 0x3fffffff;
		enum outcome how = call(__NR_getpid, 0, 0, 0, 0, 0, 0);

		CHECK(how == table[i].how, "%s: %d", table[i].name, how);
		if (how == RETURNED && table[i].nr == 10) {
			CHECK(T->regs.ip == (u64)user + 0x100 && T->regs.di == 10, "in the handler");
			CHECK(T->regs.sp % 16 == 8 && T->regs.sp < (u64)user_end - 4096 && T->regs.sp > (u64)user);
			CHECK(T->mask == 1ul << 9);
			CHECK(P->mine->compared == 0, "the call was not made yet");
		}
	}
}

/* A handler whose frame has no room ends the program by SIGSEGV, wherever its stack pointer leads. */
static void frames(void)
{
	const u64 stacks[] = {0,    8,        (u64)user + 64, (u64)user_end + 8, (u64)secret + SECRET_BYTES, (u64)secret + 4096,
			      ~0ul, 1ul << 47};
	static _Alignas(64) u8 state[512], frame[1024];

	for (u32 i = 0; i < sizeof(stacks) / sizeof(stacks[0]); i++) {
		struct {
			struct mm_rec rec;
			u8 info[128];
		} r = {.rec = header(REC + 128, MM_REC_SIGNAL, 0)};

		follow();
		P->action[9] = (struct mm_sigaction){(u64)user + 0x100, 0, (u64)user + 0x200, 0};
		P->real_pid = P->real_tid = 0x3fffffff;
		T->frame = frame;
		*(u64 *)(frame + 224) = (u64)state;
		r.rec.nr = 10;
		put(&r, REC + 128);
		T->regs = (struct mm_regs){.ax = __NR_getpid, .sp = stacks[i]};
		enum outcome how = RUN(mm_monitor(T));

		if (stacks[i] == (u64)user_end + 8) /* the frame lies below it, in the program's memory or on the guard page */
			continue;
		CHECK(how == EXITED && exit_status == 128 + 11, "stack %#lx: %d", stacks[i], how);
		for (u64 k = 0; k < SECRET_BYTES; k++)
			if (secret[k] != 0x5e) {
				CHECK(0, "the reservation was written to, stack %#lx", stacks[i]);
				break;
			}
	}
}

static void publish(void)
{
	struct mm_rec rec = header(REC, MM_REC_CALL, 0);

	put(&rec, REC);
}

static void on_alarm(int signo)
{
	(void)signo;
	publish();
}

/* Who had to sleep looks less long the next time, down to a least; who need not, longer, up to the most. */
static void patience(void)
{
	static const u32 after[] = {32, 16, 8, 4, 2, 2, 2};
	struct mm_rec rec;

	follow();
	P->spin = P->patience = 64;
	wake = publish;
	for (u32 i = 0; i < sizeof(after) / sizeof(after[0]); i++) {
		CHECK(RUN(mm_next(T, &rec)) == RETURNED && rec.size == REC);
		CHECK(P->patience == after[i], "%u sleeps: %u", i + 1, P->patience);
		mm_consume(T, REC);
	}
	wake = NULL;
	P->spin = 1u << 30;
	P->patience = 1u << 28; /* long enough for a signal to come */
	signal(SIGALRM, on_alarm);
	for (u32 i = 0; i < 3; i++) {
		struct itimerval soon = {.it_value = {.tv_usec = 1000}};

		setitimer(ITIMER_REAL, &soon, NULL);
		CHECK(RUN(mm_next(T, &rec)) == RETURNED && rec.size == REC);
		CHECK(P->patience == (i ? 1u << 30 : 1u << 29), "%u times without: %u", i + 1, P->patience);
		mm_consume(T, REC);
	}
	signal(SIGALRM, SIG_DFL);
	publish();
	CHECK(RUN(mm_next(T, &rec)) == RETURNED && P->patience == 1u << 30, "what is there is not waited for");
}

const struct unit stream_units[] = {{"record-headers", headers},
				    {"stream-heads", heads},
				    {"comparing", comparing},
				    {"results", results},
				    {"results-above-room", above_room},
				    {"data-records", data},
				    {"output-of-all", output_of_all},
				    {"made-descriptors", made},
				    {"events", events},
				    {"batch-results", batches},
				    {"signals-taken", signals},
				    {"signal-frames", frames},
				    {"patience", patience},
				    {NULL, NULL}};
