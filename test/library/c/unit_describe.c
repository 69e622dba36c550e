/* SPDX-License-Identifier: Apache-2.0 */
/* What is compared: the form of a call. Two calls that do not do the same must not have the same form. */
#include "harness.h"
#include "unit.h"
#include <asm/unistd_64.h>

struct form {
	u32 n;
	u8 bytes[MM_FORM_MAX];
	int refused;
	s64 error;
};

static struct form describe(long nr, u64 a, u64 b, u64 c, u64 d, u64 e, u64 f)
{
	struct form r = {0};

	T->regs = (struct mm_regs){.ax = (u64)nr, .di = a, .si = b, .dx = c, .r10 = d, .r8 = e, .r9 = f};
	mm_canonical(T);
	mm_describe(T);
	r.n = T->call.out.rec.form;
	memcpy(r.bytes, T->call.out.form, r.n);
	r.refused = T->call.refuse;
	r.error = T->call.refuse ? T->call.error : 0;
	return r;
}

static int same(const struct form *a, const struct form *b)
{
	return a->n == b->n && !memcmp(a->bytes, b->bytes, a->n) && a->refused == b->refused && a->error == b->error;
}

static void sockets(void)
{
	mm_fd_make(T, 3, MM_FD_LEADER, MM_KIND_SOCKET);
	mm_fd_make(T, 5, MM_FD_LEADER, MM_KIND_EPOLL);
}

/* Data behind a pointer, given by lengths of every kind. `n` bytes leave, and a change of the last one is seen. */
static void data_is_compared(void)
{
	const struct {
		const char *name;
		long nr;
		u64 a, b, c, d, e, f;
		u64 n;
	} table[] = {
	    {"write", __NR_write, 3, (u64)user, 200, 0, 0, 0, 200},
	    {"write, few", __NR_write, 3, (u64)user, 3, 0, 0, 0, 3},
	    {"write, many", __NR_write, 3, (u64)user, 200000, 0, 0, 0, 200000},
	    {"sendto", __NR_sendto, 3, (u64)user, 200, 0, 0, 0, 200},
	    {"sendto, all there is", __NR_sendto, 3, (u64)user, ~0ul, 0, 0, 0, USER_BYTES},
	    {"sendto, half of all", __NR_sendto, 3, (u64)user, 1ul << 63, 0, 0, 0, USER_BYTES},
	    {"sendto, 2 GB", __NR_sendto, 3, (u64)user, 1ul << 31, 0, 0, 0, USER_BYTES},
	    {"setsockopt", __NR_setsockopt, 3, 1, 2, (u64)user, 4, 0, 4},
	    {"setsockopt, dirt in the register", __NR_setsockopt, 3, 1, 2, (u64)user, 0xffffffff00000004, 0, 4},
	    {"setgroups, dirt in the register", __NR_setgroups, 0xffffffff00000004, (u64)user, 0, 0, 0, 0, 16},
	};

	sockets();
	for (u32 i = 0; i < sizeof(table) / sizeof(table[0]); i++) {
		memset(user, 'd', USER_BYTES);
		for (int k = 0; k < 2; k++) {
			struct form before, after;
			u64 at = k ? table[i].n - 1 : 0;

			before = describe(table[i].nr, table[i].a, table[i].b, table[i].c, table[i].d, table[i].e, table[i].f);
			mm_unstage(T);
			user[at] ^= 1;
			after = describe(table[i].nr, table[i].a, table[i].b, table[i].c, table[i].d, table[i].e, table[i].f);
			mm_unstage(T);
			CHECK(!same(&before, &after), "%s: a change at %lu of %lu is not seen", table[i].name, at, table[i].n);
		}
	}
}

struct iov {
	u64 at, bytes;
};

struct header {
	u64 name;
	u32 name_bytes, pad;
	u64 iov, iov_count, control, control_bytes;
	u32 flags, pad2;
};

/* However much stands before it in the form: the data of a message is compared, or the message is refused. */
static void messages(void)
{
	struct iov *iov = (struct iov *)(user + 0x1000);
	struct header *h = (struct header *)(user + 0x2000);
	u64 *control = (u64 *)(user + 0x3000);

	for (u32 parts = 0; parts <= 256; parts++) {
		struct form before, after;

		fresh(MM_LEADER);
		sockets();
		memset(user, 'd', 0x4000);
		*iov = (struct iov){(u64)user, 500};
		*h = (struct header){.iov = (u64)iov, .iov_count = 1, .control = (u64)control, .control_bytes = parts * 16};
		for (u32 k = 0; k < parts; k++)
			control[2 * k] = 16, control[2 * k + 1] = 0x100000000 + k;
		before = describe(__NR_sendmsg, 3, (u64)h, 0, 0, 0, 0);
		mm_unstage(T);
		user[499] ^= 1;
		after = describe(__NR_sendmsg, 3, (u64)h, 0, 0, 0, 0);
		mm_unstage(T);
		CHECK(!same(&before, &after) || after.refused, "%u control messages hide the data", parts);
		CHECK(parts > 4 || !after.refused, "%u control messages are refused", parts);
	}
}

/* However many messages a batch has, a change in any of them is seen, and where one ends and the next begins. */
static void batches(void)
{
	enum { MOST = 300 };
	struct {
		struct header h;
		u32 bytes, pad;
	} *m = (void *)(user + 0x10000);
	struct iov *iov = (struct iov *)(user + 0x8000);

	sockets();
	for (u32 n = 1; n <= MOST; n += n < 20 ? 1 : 70) {
		struct form before, after;

		memset(user, 'd', 0x1000);
		for (u32 k = 0; k < n; k++) {
			iov[k] = (struct iov){(u64)user + 10 * k, k % 3 ? 10 : 100};
			m[k].h = (struct header){.iov = (u64)&iov[k], .iov_count = 1};
		}
		before = describe(__NR_sendmmsg, 3, (u64)m, n, 0, 0, 0);
		CHECK(!before.refused && T->call.x[2] == n, "%u messages", n);
		mm_unstage(T);
		for (u32 k = 0; k < n; k += n / 4 + 1) {
			user[10 * k] ^= 1;
			after = describe(__NR_sendmmsg, 3, (u64)m, n, 0, 0, 0);
			CHECK(!same(&before, &after), "%u messages hide number %u", n, k);
			mm_unstage(T);
			user[10 * k] ^= 1;
		}
		after = describe(__NR_sendmmsg, 3, (u64)m, n, 0x4000, 0, 0);
		CHECK(!same(&before, &after), "flags");
		mm_unstage(T);
		iov[0].bytes--;
		after = describe(__NR_sendmmsg, 3, (u64)m, n, 0, 0, 0);
		CHECK(!same(&before, &after), "a byte less");
		mm_unstage(T);
	}
	/* nothing is sent of the monitor's memory, and a message that leads there ends the batch */
	iov[2].at = (u64)secret;
	CHECK(!describe(__NR_sendmmsg, 3, (u64)m, 5, 0, 0, 0).refused && T->call.x[2] == 2);
	mm_unstage(T);
	CHECK(describe(__NR_sendmmsg, 3, (u64)(m + 2), 3, 0, 0, 0).error == -EFAULT);
	mm_unstage(T);
}

/* The same bytes in other pieces are the same call; another byte is not. */
static void vectors(void)
{
	struct iov *iov = (struct iov *)(user + 0x1000);
	struct form one, two, other;

	sockets();
	memset(user, 'd', 0x1000);
	iov[0] = (struct iov){(u64)user, 300};
	one = describe(__NR_writev, 3, (u64)iov, 1, 0, 0, 0);
	mm_unstage(T);
	iov[0] = (struct iov){(u64)user, 100};
	iov[1] = (struct iov){(u64)user + 100, 0};
	iov[2] = (struct iov){(u64)user + 100, 200};
	two = describe(__NR_writev, 3, (u64)iov, 3, 0, 0, 0);
	CHECK(((struct iov *)T->call.x[1])[2].at - (u64)P->stage < MM_STAGE, "carried out from the copy");
	CHECK((((struct iov *)T->call.x[1])[0].at - (u64)user) % MM_PAGE == 0, "which lies as the data did");
	mm_unstage(T);
	user[250] ^= 1;
	other = describe(__NR_writev, 3, (u64)iov, 3, 0, 0, 0);
	mm_unstage(T);
	CHECK(one.n < two.n + 64 && !same(&two, &other));
}

static void bad_vectors(void)
{
	const struct {
		const char *name;
		u64 count;
		struct iov iov[2];
		s64 error;
	} table[] = {
	    {"more than can be", 1025, {{(u64)user, 1}}, -EINVAL},
	    {"very many", ~0ul, {{(u64)user, 1}}, -EINVAL},
	    {"a negative length", 1, {{(u64)user, 1ul << 63}}, -EINVAL},
	    {"the monitor's memory", 2, {{(u64)user, 1}, {(u64)secret, 8}}, -EFAULT},
	    {"into the monitor's memory", 1, {{(u64)user_end - 8, 16 + MM_PAGE}}, -EFAULT},
	    {"all of memory", 1, {{0, 0x7fffffffffffffff}}, -EFAULT},
	};

	for (u32 i = 0; i < sizeof(table) / sizeof(table[0]); i++)
		for (int k = 0; k < 2; k++) {
			struct form f;

			fresh(MM_LEADER);
			sockets();
			memcpy(user + 0x1000, table[i].iov, sizeof(table[i].iov));
			f = describe(k ? __NR_readv : __NR_writev, 3, (u64)user + 0x1000, table[i].count, 0, 0, 0);
			CHECK(f.refused && f.error == table[i].error, "%s: %d %ld", table[i].name, f.refused, f.error);
			mm_unstage(T);
		}
}

/* Where a copy cannot be whole it ends at a wall, and what is staged after it does not lie on it. */
static void partial(void)
{
	for (u64 n = 64; n <= MM_STAGE; n += 4096 - 64) {
		u64 have = MM_MIN(n, USER_BYTES) - 16, at = (u64)user_end - have;
		u8 *copy;

		memset((void *)at, 'd', have);
		*(u16 *)user = 2;
		T->regs = (struct mm_regs){.ax = __NR_sendto, .di = 3, .si = at, .dx = n, .r8 = (u64)user, .r9 = 16};
		sockets();
		mm_canonical(T);
		mm_describe(T);
		copy = (u8 *)T->call.x[1];
		CHECK(copy + have == P->stage_end || (u64)copy + have == T->call.big + T->call.big_bytes - MM_PAGE, "n %lu", n);
		for (u64 i = have > 16 ? have - 16 : 0; i < have; i++)
			CHECK(copy[i] == 'd', "n %lu: byte %lu of the copy was overwritten", n, i);
		CHECK(copy[0] == 'd', "n %lu", n);
		mm_unstage(T);
		fresh(MM_LEADER);
	}
}

/* Socket addresses: what is not compared does not leave. */
static void addresses(void)
{
	struct form a, b;
	u8 *copy;

	sockets();
	for (int family = 1; family <= 2; family++) {
		memset(user, 0, 128);
		*(u16 *)user = (u16)family;
		user[2] = 'p';
		a = describe(__NR_connect, 3, (u64)user, 16, 0, 0, 0);
		mm_unstage(T);
		user[12] = 0x99; /* sin_zero; behind the end of a path */
		b = describe(__NR_connect, 3, (u64)user, 16, 0, 0, 0);
		copy = (u8 *)T->call.x[1];
		CHECK(same(&a, &b), "padding is not compared, family %d", family);
		CHECK(copy[12] == 0, "padding leaves, family %d", family);
		mm_unstage(T);
	}
	user[4] ^= 1;
	a = describe(__NR_connect, 3, (u64)user, 16, 0, 0, 0);
	CHECK(!same(&a, &b));
}

/* Bytes at the end or in the middle of what is handed over that the kernel does not look at: neither compared nor let out. */
static void no_meaning(void)
{
	const struct {
		const char *name;
		long nr;
		u64 a[5];
		u32 first; /* 32-bit word that the memory begins with, or, of a group, that its addresses do */
		u32 in;    /* the argument that is carried out */
		u32 from, to, bytes;
		u8 family; /* of the socket; 0: not known */
	} table[] = {
	    {"IPv6", __NR_connect, {3, (u64)user, 128}, 10, 1, 28, 128, 128, 0},
	    {"IPv6, to send to", __NR_sendto, {3, (u64)user, 0, 0, (u64)user}, 10, 4, 28, 128, 128, 0},
	    {"capset, version 1", __NR_capset, {(u64)user + 0x800, (u64)user}, 0, 1, 12, 24, 12, 0},
	    {"a group", __NR_setsockopt, {3, 0, 42, (u64)user, 136}, 2, 3, 4, 8, 136, 0},
	    {"a group's address", __NR_setsockopt, {3, 0, 45, (u64)user, 136}, 2, 3, 16, 136, 136, 0},
	    {"a group of IPv6", __NR_setsockopt, {3, 41, 42, (u64)user, 136}, 10, 3, 36, 136, 136, 0},
	    {"a source", __NR_setsockopt, {3, 0, 46, (u64)user, 264}, 2, 3, 144, 264, 264, 0},
	    {"a filter's source", __NR_setsockopt, {3, 41, 48, (u64)user, 272}, 10, 3, 172, 272, 272, 0},
	    {"no family", __NR_connect, {3, (u64)user, 16}, 'd' << 16, 1, 2, 16, 16, 2},
	    {"netlink's padding", __NR_connect, {3, (u64)user, 12}, 16, 1, 2, 4, 12, 16},
	    {"behind netlink", __NR_connect, {3, (u64)user, 16}, 16, 1, 12, 16, 16, 16},
	    {"behind an int", __NR_setsockopt, {3, 1, 2, (u64)user, 16}, 0, 3, 4, 16, 4, 0},
	    {"behind an int of TCP", __NR_setsockopt, {3, 6, 1, (u64)user, 16}, 0, 3, 4, 16, 4, 10},
	    {"behind linger", __NR_setsockopt, {3, 1, 13, (u64)user, 16}, 0, 3, 8, 16, 8, 0},
	    {"behind a membership", __NR_setsockopt, {3, 0, 35, (u64)user, 16}, 0, 3, 12, 16, 12, 2},
	    {"behind the short form", __NR_setsockopt, {3, 0, 35, (u64)user, 11}, 0, 3, 8, 11, 8, 2},
	    {"behind a device's name", __NR_setsockopt, {3, 1, 25, (u64)user, 40}, 0, 3, 9, 40, 15, 0},
	    {"behind a module's name", __NR_setsockopt, {3, 6, 13, (u64)user, 40}, 0, 3, 9, 40, 15, 2},
	};
	const struct {
		const char *name;
		long nr;
		u64 a[5];
		u32 first, at;
		u8 family;
	} meant[] = {
	    {"no family to bind to", __NR_bind, {3, (u64)user, 16}, 'd' << 16, 2, 2},
	    {"no family, of a socket that is not known", __NR_connect, {3, (u64)user, 16}, 'd' << 16, 2, 0},
	    {"netlink, of a socket that is not known", __NR_connect, {3, (u64)user, 12}, 16, 2, 0},
	    {"a packet socket's protocol", __NR_connect, {3, (u64)user, 20}, 16, 2, 17},
	    {"a packet socket's address", __NR_connect, {3, (u64)user, 20}, 2, 12, 17},
	    {"options of L2CAP", __NR_setsockopt, {3, 6, 1, (u64)user, 16}, 0, 4, 31},
	    {"timestamping", __NR_setsockopt, {3, 1, 37, (u64)user, 8}, 0, 4, 2},
	};

	for (u32 i = 0; i < sizeof(table) / sizeof(table[0]); i++)
		for (u32 k = 0; k < 2; k++) {
			const u64 *a = table[i].a;
			u64 f = table[i].in == 4 && table[i].nr == __NR_sendto ? 128 : 0;
			u32 at = k ? table[i].from - 1 : table[i].from;
			struct form before, after;

			fresh(MM_LEADER);
			sockets();
			P->ofds[P->fds[3].ofd].family = table[i].family;
			memset(user, 'd', 0x1000);
			*(u32 *)(user + 0x800) = MM_CAPS_V1;
			if (table[i].first && table[i].nr != __NR_setsockopt)
				*(u32 *)user = table[i].first;
			for (u32 s = 8; table[i].nr == __NR_setsockopt && s < table[i].bytes; s += 128)
				*(u32 *)(user + s + (a[2] == 48 && s > 8 ? 8 : 0)) = table[i].first;
			before = describe(table[i].nr, a[0], a[1], a[2], a[3], a[4], f);
			mm_unstage(T);
			user[at] ^= 1;
			if (!k)
				user[table[i].to - 1] ^= 1;
			after = describe(table[i].nr, a[0], a[1], a[2], a[3], a[4], f);
			CHECK(!before.refused && same(&before, &after) == !k, "%s, byte %u", table[i].name, at);
			for (u32 b = table[i].from; !k && b < MM_MIN(table[i].to, table[i].bytes); b++)
				CHECK(!((u8 *)T->call.x[table[i].in])[b], "%s, byte %u leaves", table[i].name, b);
			mm_unstage(T);
		}
	for (u32 i = 0; i < sizeof(meant) / sizeof(meant[0]); i++) {
		const u64 *a = meant[i].a;
		struct form before, after;

		fresh(MM_LEADER);
		sockets();
		P->ofds[P->fds[3].ofd].family = meant[i].family;
		memset(user, 'd', 0x100);
		*(u32 *)user = meant[i].first;
		before = describe(meant[i].nr, a[0], a[1], a[2], a[3], a[4], 0);
		mm_unstage(T);
		user[meant[i].at] ^= 1;
		after = describe(meant[i].nr, a[0], a[1], a[2], a[3], a[4], 0);
		mm_unstage(T);
		CHECK(!before.refused && !same(&before, &after), "%s is not compared", meant[i].name);
	}
}

/* The monitor's own memory and descriptors in every place where a call names one. */
static void own(void)
{
	const u64 fd = P->own_first, m = (u64)secret;
	const struct {
		const char *name;
		long nr;
		u64 a[6];
		s64 error;
	} table[] = {
	    {"read of", __NR_read, {fd, (u64)user, 1}, -EBADF},
	    {"read of, dirt in the register", __NR_read, {0xffffffff00000000 | fd, (u64)user, 1}, -EBADF},
	    {"close", __NR_close, {fd + 9}, -EBADF},
	    {"dup", __NR_dup, {fd}, -EBADF},
	    {"dup2 to", __NR_dup2, {3, fd}, -EBADF},
	    {"dup3 to", __NR_dup3, {3, fd + 3, 0}, -EBADF},
	    {"fcntl", __NR_fcntl, {fd, 0, 0}, -EBADF},
	    {"openat", __NR_openat, {fd, (u64)user, 0, 0}, -EBADF},
	    {"epoll_ctl on", __NR_epoll_ctl, {fd, 1, 3, (u64)user}, -EBADF},
	    {"epoll_ctl of", __NR_epoll_ctl, {5, 1, fd, (u64)user}, -EBADF},
	    {"splice in", __NR_splice, {fd, 0, 3, 0, 1, 0}, -EBADF},
	    {"splice out", __NR_splice, {3, 0, fd, 0, 1, 0}, -EBADF},
	    {"sendfile in", __NR_sendfile, {3, fd, 0, 1}, -EBADF},
	    {"mmap", __NR_mmap, {0, 4096, 1, 2, fd, 0}, -EBADF},
	    {"read to", __NR_read, {3, m, 16}, -EFAULT},
	    {"read into", __NR_read, {3, (u64)user_end - 8, 16 + MM_PAGE}, -EFAULT},
	    {"fstat", __NR_fstat, {3, m}, -EFAULT},
	    {"path", __NR_chdir, {m}, -EFAULT},
	    {"recvfrom address", __NR_recvfrom, {3, (u64)user, 1, 0, m, (u64)user + 0x800}, -EFAULT},
	    {"recvfrom length", __NR_recvfrom, {3, (u64)user, 1, 0, (u64)user, m}, -EFAULT},
	    {"getsockopt", __NR_getsockopt, {3, 1, 2, m, (u64)user + 0x800}, -EFAULT},
	    {"poll", __NR_poll, {m, 1, 0}, -EFAULT},
	    {"select", __NR_select, {64, m, 0, 0, 0}, -EFAULT},
	    {"epoll_wait", __NR_epoll_wait, {5, m, 1, 0}, -EFAULT},
	    {"nanosleep left", __NR_nanosleep, {(u64)user, m}, -EFAULT},
	    {"sendfile offset", __NR_sendfile, {3, 3, m, 1}, -EFAULT},
	    {"ioctl", __NR_ioctl, {3, 0x541b, m}, -EFAULT},
	    {"fcntl lock", __NR_fcntl, {3, 5, m}, -EFAULT},
	    {"prctl name", __NR_prctl, {16, m}, -EFAULT},
	    {"arch_prctl", __NR_arch_prctl, {0x1003, m}, -EFAULT},
	    {"FS base", __NR_arch_prctl, {0x1002, m}, -EPERM},
	    {"getrandom", __NR_getrandom, {m, 16, 0}, -EFAULT},
	    {"timer", __NR_timer_create, {0, 0, m}, -EFAULT},
	    {"recvmsg", __NR_recvmsg, {3, m, 0}, -EFAULT},
	};

	for (u32 i = 0; i < sizeof(table) / sizeof(table[0]); i++) {
		const u64 *a = table[i].a;
		struct form f;

		fresh(MM_LEADER);
		sockets();
		memset(user, 0, 0x1000);
		user[0] = '/';
		*(u32 *)(user + 0x800) = 64;
		f = describe(table[i].nr, a[0], a[1], a[2], a[3], a[4], a[5]);
		mm_unstage(T);
		CHECK(f.refused && f.error == table[i].error, "%s: %d %ld", table[i].name, f.refused, f.error);
	}
}

/* A descriptor of the monitor's among those of select(2), and among those that a message takes along. */
static void own_among_others(void)
{
	struct iov *iov = (struct iov *)(user + 0x1000);
	struct header *h = (struct header *)(user + 0x2000);
	u32 *control = (u32 *)(user + 0x3000);
	struct form f;

	sockets();
	memset(user, 0, 0x4000);
	f = describe(__NR_select, 4096, (u64)user, 0, 0, 0, 0);
	CHECK(!f.refused);
	user[(P->own_first + 3) / 8] |= 1 << (P->own_first + 3) % 8;
	f = describe(__NR_select, 4096, (u64)user, 0, 0, 0, 0);
	CHECK(!f.refused && T->call.x[0] == 64, "the program has nothing there, so it is not looked at");
	P->fd_top = P->own_first + MM_OWN_FDS + 1;
	f = describe(__NR_select, 4096, (u64)user, 0, 0, 0, 0);
	CHECK(f.refused && f.error == -EBADF);
	f = describe(__NR_select, (int)P->own_first, (u64)user, 0, 0, 0, 0);
	CHECK(!f.refused, "not looked at");

	*iov = (struct iov){(u64)user, 1};
	*h = (struct header){.iov = (u64)iov, .iov_count = 1, .control = (u64)control, .control_bytes = 32};
	control[0] = 28, control[1] = 0, control[2] = 1, control[3] = 1;
	control[4] = 3, control[5] = 5, control[6] = P->own_first + 2;
	f = describe(__NR_sendmsg, 3, (u64)h, 0, 0, 0, 0);
	CHECK(f.refused && f.error == -EBADF);
	mm_unstage(T);
}

/* Options through which the kernel would follow pointers that nobody has looked at. */
static void options(void)
{
	static const struct {
		long nr;
		u64 level, option;
		int refused;
	} table[] = {
	    {__NR_setsockopt, 1, 2, 0},   {__NR_setsockopt, 1, 26, 1},  {__NR_setsockopt, 1, 60, 1},  {__NR_setsockopt, 263, 5, 1},
	    {__NR_setsockopt, 0, 64, 1},  {__NR_setsockopt, 41, 64, 1}, {__NR_setsockopt, 0, 128, 1}, {__NR_setsockopt, 283, 4, 1},
	    {__NR_setsockopt, 41, 67, 0}, {__NR_getsockopt, 1, 3, 0},   {__NR_getsockopt, 6, 11, 0},  {__NR_getsockopt, 6, 35, 1},
	    {__NR_getsockopt, 1, 26, 1},
	};

	for (u32 i = 0; i < sizeof(table) / sizeof(table[0]); i++) {
		struct form f;

		fresh(MM_LEADER);
		sockets();
		memset(user, 0, 64);
		*(u32 *)(user + 64) = 4;
		f = describe(table[i].nr, 3, table[i].level, table[i].option, (u64)user,
			     table[i].nr == __NR_setsockopt ? 4 : (u64)user + 64, 0);
		mm_unstage(T);
		CHECK(f.refused == table[i].refused, "row %u: level %lu option %lu", i, table[i].level, table[i].option);
	}
}

/* More items than a form holds: refused, never compared in part. */
static void full_form(void)
{
	struct mm_call *c = &T->call;

	memset(c, 0, sizeof(*c));
	for (u32 i = 0; i < MM_FORM_MAX / 16; i++)
		mm_item_value(c, 0, i);
	CHECK(c->out.rec.form == MM_FORM_MAX && !c->refuse);
	mm_item_value(c, 0, 7);
	CHECK(c->out.rec.form == MM_FORM_MAX && c->refuse && c->error < 0);
}

/* The monitor's own timer is none of the program's. */
static void timers(void)
{
	static const long calls[] = {__NR_timer_settime, __NR_timer_gettime, __NR_timer_getoverrun, __NR_timer_delete};

	P->alarm_timer = 5;
	memset(user, 0, 64);
	for (u32 i = 0; i < 4; i++) {
		u64 third = calls[i] == __NR_timer_settime ? (u64)user : 0;
		struct form f = describe(calls[i], 4, calls[i] == __NR_timer_gettime ? (u64)user : 0, third, 0, 0, 0);

		CHECK(f.refused && f.error == -EINVAL);
		mm_unstage(T);
		f = describe(calls[i], 5, calls[i] == __NR_timer_gettime ? (u64)user : 0, third, 0, 0, 0);
		CHECK(!f.refused);
		mm_unstage(T);
	}
}

static void items(void)
{
	sockets();
	memset(user, 'x', 100);
	describe(__NR_write, 3, (u64)user, 64, 0, 0, 0);
	CHECK(item(1)->kind == MM_ITEM_BYTES && item(1)->bytes == 64 && item(1)->arg == 1);
	mm_unstage(T);
	describe(__NR_write, 3, (u64)user, 65, 0, 0, 0);
	CHECK(item(0)->kind == MM_ITEM_VALUE && item(1)->kind == MM_ITEM_DIGEST && item(1)->bytes == 16 + MM_EXCERPT &&
	      item(1)->total == 65);
	CHECK(item(2)->kind == MM_ITEM_VALUE && !item(3));
	CHECK(T->call.x[1] != (u64)user && !memcmp((void *)T->call.x[1], user, 65), "carried out from the copy");
	mm_unstage(T);
	describe(__NR_read, 3, 0, 16, 0, 0, 0);
	CHECK(item(1)->kind == MM_ITEM_NULL);
	describe(__NR_openat, -100ul, 0xdead0000beef, 0, 0, 0, 0);
	CHECK(item(1)->kind == MM_ITEM_FAULT);
	mm_unstage(T);
}

const struct unit describe_units[] = {{"items", items},
				      {"data-is-compared", data_is_compared},
				      {"messages", messages},
				      {"batches", batches},
				      {"vectors", vectors},
				      {"bad-vectors", bad_vectors},
				      {"partial-copies", partial},
				      {"addresses", addresses},
				      {"no-meaning", no_meaning},
				      {"own-in-every-argument", own},
				      {"own-among-others", own_among_others},
				      {"socket-options", options},
				      {"full-form", full_form},
				      {"timers", timers},
				      {NULL, NULL}};
