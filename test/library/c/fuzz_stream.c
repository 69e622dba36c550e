/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A follower under a hostile leader. The program makes a few calls that the input chooses; for each the stream holds, as the
 * input says, the record that the call agrees with or none, and then bytes of the input, with or without a header that makes
 * them a result, a signal or more data. Whatever comes, the follower ends with a divergence, waits for more, or goes on, and
 * has written nothing but the buffers that its program named.
 */
#include <string.h>

#include "harness.h"
#include <asm/unistd_64.h>

#define BUFFER 4096u /* bytes: every buffer of the program, apart from each other */

struct call_row {
	u16 nr;
	u16 room; /* of each output; nothing behind it is written */
	u64 a[6];
};

#define B(i) (0x100000000ul + (i)) /* stands for the i-th buffer */

static const struct call_row calls[] = {
    {__NR_read, 100, {3, B(0), 100}},
    {__NR_read, 0, {3, 0, 100}},
    {__NR_pread64, 3000, {4, B(0), 3000, 0}},
    {__NR_readv, 64, {3, B(8), 2}},
    {__NR_recvfrom, 64, {3, B(0), 64, 0, B(1), B(9)}},
    {__NR_recvmsg, 64, {3, B(10), 0}},
    {__NR_epoll_wait, 24, {5, B(0), 2, -1ul}},
    {__NR_epoll_ctl, 0, {5, 1, 3, B(11)}},
    {__NR_poll, 16, {B(12), 2, -1ul}},
    {__NR_select, 8, {64, B(0), B(1), 0, 0}},
    {__NR_openat, 0, {-100ul, B(13), 0, 0}},
    {__NR_openat, 0, {-100ul, B(14), 0302, 0600}},
    {__NR_newfstatat, 144, {-100ul, B(13), B(0), 0}},
    {__NR_socket, 0, {1, 1, 0}},
    {__NR_accept4, 64, {3, B(0), B(9), 0}},
    {__NR_pipe2, 8, {B(0), 0}},
    {__NR_write, 0, {3, B(2), 200}},
    {__NR_getpid, 0, {0}},
    {__NR_getcwd, 200, {B(0), 200}},
    {__NR_dup, 0, {3}},
    {__NR_close, 0, {3}},
    {__NR_ioctl, 4, {3, 0x541b, B(0)}},
    {__NR_sendfile, 8, {3, 4, B(0), 10}},
    {__NR_getresuid, 4, {B(0), B(1), B(2)}},
    {__NR_rt_sigaction, 32, {10, B(15), B(0), 8}},
    {__NR_mmap, 0, {0, 4096, 1, 2, 4, 0}},
    {__NR_sendmmsg, 0, {3, B(16), 2, 0}},
};

#define CALLS (sizeof(calls) / sizeof(calls[0]))

struct iov {
	u64 at, bytes;
};

static u8 *buffer(u32 i)
{
	return user + 4096 + i * BUFFER;
}

static void program(void)
{
	struct iov *iov = (struct iov *)buffer(8);
	u64 *message = (u64 *)buffer(10);
	s32 *polls = (s32 *)buffer(12);

	memset(user, 0x77, 24 * BUFFER);
	iov[0] = (struct iov){(u64)buffer(0), 40};
	iov[1] = (struct iov){(u64)buffer(1), 24};
	*(u32 *)buffer(9) = 64;
	memset(message, 0, 56);
	message[0] = (u64)buffer(2), message[1] = 64, message[2] = (u64)iov, message[3] = 2, message[4] = (u64)buffer(3),
	message[5] = 64;
	memcpy(buffer(16), message, 56);
	memcpy(buffer(16) + 64, message, 56);
	memset(buffer(11), 0x11, 12);
	memset(polls, 0, 16);
	polls[0] = 3, polls[2] = 5;
	memcpy(buffer(13), "/etc/file", 10);
	memcpy(buffer(14), "/tmp/aaXbbbbbb", 15);
	memset(buffer(15), 0, 32);
	*(u64 *)buffer(15) = (u64)user;
}

/* No call of the monitor's reaches the machine, but for memory of its own. */
static s64 answer;

static int no_kernel(long nr, const u64 a[6], long *result)
{
	switch (nr) {
	case __NR_mmap:
	case __NR_munmap:
	case __NR_mprotect:
		if (nr == __NR_mmap && (a[3] & MAP_FIXED) && a[0] >= P->reservation.from && a[0] < P->reservation.to)
			abort();
		return nr != __NR_mmap || !(a[3] & MAP_ANONYMOUS) ? (*result = -EACCES, 1) : 0;
	case __NR_dup3:
	case __NR_close:
		if (mm_fd_is_own(P, nr == __NR_close ? a[0] : a[1]) &&
		    (nr == __NR_close || a[0] != (u64)mm_own(P, MM_FD_HOLDER) ||
		     a[1] - (u64)mm_own(P, MM_FD_SPARE) >= MM_FD_PASS - MM_FD_SPARE))
			abort(); /* a spare number is held again */
		*result = nr == __NR_close ? 0 : (long)a[1];
		return 1;
	case __NR_exit_group:
	case __NR_nanosleep:
		return 0;
	case __NR_read:
	case __NR_pread64:
		*result = 0;
		return 1;
	}
	*result = answer; /* whatever else it is: the number that would have to come, or one that would not */
	return 1;
}

static void fixed(struct mm_rec *rec, u32 size, u8 kind)
{
	rec->size = size;
	rec->kind = kind;
	rec->seq = T->seq + 1;
	rec->nr = kind == MM_REC_SIGNAL ? rec->nr : T->call.nr;
	rec->form = 0;
}

/* Behind the buffers that a call names nothing has changed. */
static void untouched(const struct call_row *row)
{
	for (int i = 0; i < 4; i++)
		for (u32 k = row->room; k < BUFFER; k++)
			if (buffer((u32)i)[k] != 0x77 && !(i == 3 && k < 64) && !(i == 2 && k < 64))
				abort();
	if (memcmp(secret, secret + 1, SECRET_BYTES - 1) || *secret != 0x5e)
		abort();
}

int LLVMFuzzerTestOneInput(const u8 *data, size_t size)
{
	static _Alignas(64) u8 state[512], frame[1024];
	const u8 *end = data + size;

	fresh(MM_FOLLOWER);
	if (size && data[0] & 1)
		P->flags |= MM_START_AUDIT;
	if (size && data[0] & 2)
		P->flags &= ~MM_START_FS_SHARED;
	for (u32 fd = 3; fd < 6; fd++)
		mm_fd_make(T, fd, fd == 4 ? MM_FD_SHARED : MM_FD_LEADER,
			   fd == 5   ? MM_KIND_EPOLL
			   : fd == 4 ? MM_KIND_FILE
				     : MM_KIND_SOCKET);
	mm_token_add(T, 5, 3, 0xdeadbeef);
	P->real_pid = P->real_tid = 0x3fffffff;
	*(u64 *)(frame + 224) = (u64)state;
	for (data++; end - data >= 8;) {
		const struct call_row *row = &calls[data[0] % CALLS];
		u32 n = (u32)MM_MIN((data[2] | data[3] << 8), end - data - 8) & ~7u;
		static _Alignas(8) u8 bytes[1 << 16];
		struct mm_rec *rec = (struct mm_rec *)bytes;
		u64 a[6];

		answer = (s32)(data[4] | data[5] << 8) - 64;
		program();
		for (int i = 0; i < 6; i++)
			a[i] = row->a[i] >> 32 == 1 ? (u64)buffer((u32)row->a[i] & 63) : row->a[i];
		T->frame = frame;
		hook = no_kernel;
		if (data[1] & 1)
			put_call(row->nr, a[0], a[1], a[2], a[3], a[4], a[5]);
		memcpy(bytes, data + 8, n);
		if (data[1] & 2 && n >= sizeof(*rec))
			fixed(rec, n, data[1] >> 4 & 7);
		if (n)
			put(bytes, n);
		data += 8 + n;
		if (data[-8 - (s64)n + 1] & 8 && end - data >= 8)
			continue; /* more of the stream before the call */
		enum outcome how = call(row->nr, a[0], a[1], a[2], a[3], a[4], a[5]);

		if (T->regs.ip == (u64)user) /* no handler, whose frame lies in the program's memory too */
			untouched(row);
		if (how != RETURNED)
			break;
		mm_unstage(T);
	}
	mm_unstage(T);
	return 0;
}
