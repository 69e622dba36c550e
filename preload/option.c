/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Values of setsockopt(2). Programs hand over more than an option takes, such as a whole buffer with a name at its beginning or an
 * int in something larger: what the kernel does not read is neither compared nor let out. Only options are cut of which that is sure.
 */
#include "monitor.h"
#include <linux/errno.h>

#define SOCKET 1
#define IP 0
#define TCP 6
#define IPV6 41
#define NAME 15u /* bytes of an interface's name, or one of a module, without its end */

/* Options that are an int and no more. */
static const u8 of_socket[] = {1,  2,  5,  6,  7,  8,  9,  10, 11, 12, 15, 16, 18, 29, 32, 33,
			       34, 35, 36, 40, 41, 42, 43, 44, 45, 46, 63, 64, 69, 70, 0};
static const u8 of_ip[] = {1, 2, 3, 5, 6, 7, 8, 10, 11, 12, 13, 15, 19, 20, 21, 22, 23, 24, 25, 33, 34, 49, 50, 0};
static const u8 of_tcp[] = {1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 12, 16, 17, 18, 23, 24, 25, 27, 30, 34, 36, 37, 0};
static const u8 of_ipv6[] = {16, 17, 18, 19, 23, 24, 25, 26, 49, 51, 62, 66, 67, 75, 76, 78, 0};

static int is_one_of(const u8 *list, u32 option)
{
	while (*list && *list != option)
		list++;
	return *list != 0;
}

/* Numbers of levels mean something else in other families (SOL_L2CAP is IPPROTO_TCP). */
static int is_internet(struct mm_thread *t)
{
	u32 family = mm_socket_family(t);

	return family == 2 || family == 10; /* AF_INET, AF_INET6 */
}

/* How many of the bytes the kernel reads at most. */
static u64 reads(struct mm_thread *t, u64 bytes)
{
	u32 level = (u32)t->call.a[1], option = (u32)t->call.a[2];

	if (level == SOCKET) {
		switch (option) {
		case 13: /* SO_LINGER */
			return 8;
		case 20: /* SO_RCVTIMEO, SO_SNDTIMEO, as they are now and as they were */
		case 21:
		case 66:
		case 67:
			return 16;
		case 25: /* SO_BINDTODEVICE */
			return NAME;
		}
		return is_one_of(of_socket, option) ? 4 : bytes;
	}
	if (!is_internet(t))
		return bytes;
	switch (level) {
	case IP:
		if (option == 35 || option == 36) /* IP_ADD_MEMBERSHIP, IP_DROP_MEMBERSHIP: two forms */
			return bytes < 12 ? 8 : 12;
		if (option == 32) /* IP_MULTICAST_IF: or an address alone */
			return bytes < 8 ? 4 : bytes < 12 ? 8 : 12;
		return is_one_of(of_ip, option) ? 4 : bytes;
	case TCP:
		if (option == 13 || option == 31) /* TCP_CONGESTION, TCP_ULP */
			return NAME;
		return is_one_of(of_tcp, option) ? 4 : bytes;
	case IPV6:
		return is_one_of(of_ipv6, option) ? 4 : bytes;
	}
	return bytes;
}

/* About groups, by addresses of any family: MCAST_JOIN_GROUP to MCAST_MSFILTER. */
static int names_group(const struct mm_call *c)
{
	return ((u32)c->a[1] == IP || (u32)c->a[1] == IPV6) && (u32)c->a[2] >= 42 && (u32)c->a[2] <= 48;
}

/* A name, up to its end. Where that can be read, one of a module is enough for the kernel; one of an interface it reads as a whole. */
static void describe_name(struct mm_thread *t, int i, u64 bytes)
{
	struct mm_call *c = &t->call;
	u8 *copy = mm_stage(t, NAME + 1);
	u64 got, end = 0;

	if (!copy) {
		mm_refuse(c, -ENOMEM);
		return;
	}
	got = mm_in(t, copy, c->a[i], bytes);
	while (end < got && copy[end])
		end++;
	if (got < bytes && (end == got || (u32)c->a[1] == SOCKET)) {
		mm_item(c, i, MM_ITEM_FAULT, "\0\0\0\0\0\0\0", 8, bytes);
		mm_check_room(t, c->a[i], bytes);
		return;
	}
	memset(copy + end, 0, NAME + 1 - end);
	c->x[i] = (u64)copy;
	mm_item_digest(t, i, copy, end);
}

void mm_describe_option(struct mm_thread *t, int i, u64 bytes)
{
	struct mm_call *c = &t->call;
	u64 n = MM_MIN(reads(t, bytes), bytes);

	if (names_group(c))
		mm_describe_group(t, i, bytes);
	else if (reads(t, bytes) == NAME)
		describe_name(t, i, n);
	else
		c->x[i] = mm_stage_in(t, i, c->a[i], n, 1);
}
