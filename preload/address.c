/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Socket addresses. Programs seldom fill all of the bytes that they hand over: what means nothing is neither compared nor let out,
 * as it is what the stack held before.
 */
#include "monitor.h"
#include "table.gen.h"
#include <linux/errno.h>

#define UNIX 1
#define INET 2
#define INET6 10
#define NETLINK 16
#define PACKET 17
#define STORAGE 128u /* sizeof(struct sockaddr_storage) */

/* How many of the bytes mean something, by the family that they name. */
static u64 meaning(const u8 *address, u64 bytes)
{
	u64 end = 2;

	if (bytes < 2)
		return bytes;
	switch (*(const u16 *)address) {
	case UNIX: /* up to the end of a path (unix(7)); an abstract name is all of it */
		while (end < bytes && address[end])
			end++;
		return end == 2 ? bytes : end;
	case INET: /* behind it stands sin_zero */
		return MM_MIN(bytes, 8);
	case INET6: /* sizeof(struct sockaddr_in6) */
		return MM_MIN(bytes, 28);
	}
	return bytes;
}

/*
 * The same in the call's own socket. Of an address without a family only connect(2) to it is known not to look further, which puts an
 * end to an association, in families where that is so: bind(2) and sendto(2) may take it for one of AF_INET. Packet sockets do not ask
 * which family an address says that it has.
 */
static u64 meaning_here(struct mm_thread *t, u8 *address, u64 bytes)
{
	u32 here = mm_socket_family(t), family = bytes < 2 ? PACKET : *(const u16 *)address;

	if (here == PACKET)
		return bytes;
	if (family == 0 && t->call.nr == MM_NR_connect && (here == UNIX || here == INET || here == INET6 || here == NETLINK))
		return 2;
	if (family == NETLINK && here == NETLINK && bytes >= 4) {
		memset(address + 2, 0, 2); /* nl_pad */
		return MM_MIN(bytes, 12);  /* sizeof(struct sockaddr_nl) */
	}
	return meaning(address, bytes);
}

/* A copy of a socket address, without what means nothing. NULL: it could not be read. */
u8 *mm_address(struct mm_thread *t, int i, u64 from, u64 bytes)
{
	struct mm_call *c = &t->call;
	u8 *copy = mm_stage(t, STORAGE + 8); /* with the end of a path that has none */
	u64 means;

	if (!copy) {
		mm_refuse(c, -ENOMEM);
		return NULL;
	}
	memset(copy, 0, STORAGE + 8);
	if (mm_in(t, copy, from, bytes) != bytes)
		return NULL;
	means = meaning_here(t, copy, bytes);
	memset(copy + means, 0, bytes - means);
	if (c->exempt)
		return copy;
	if (means > 2 && *(u16 *)copy == 1 && copy[2]) { /* in a folder that the leader may call by another name */
		memcpy(c->shown, copy, means + 1);
		means = 2 + mm_name_leaders(t->proc, c->shown + 2, means - 2);
		mm_item(c, i, MM_ITEM_BYTES, c->shown, means, means);
	} else {
		mm_item(c, i, MM_ITEM_BYTES, copy, means, means);
	}
	return copy;
}

void mm_describe_address(struct mm_thread *t, int i, u64 bytes)
{
	struct mm_call *c = &t->call;
	u8 *copy;

	if (bytes > STORAGE) { /* refused by the kernel unread */
		mm_item_value(c, i, bytes);
		return;
	}
	copy = mm_address(t, i, c->a[i], bytes);
	if (copy) {
		c->x[i] = (u64)copy;
	} else if (!c->refuse) {
		mm_item(c, i, MM_ITEM_FAULT, "\0\0\0\0\0\0\0", 8, bytes);
		mm_check_room(t, c->a[i], bytes);
	}
}

/* The value of an option about groups: the number of an interface, padding, and addresses that have more room than they need (struct group_req and others). */
void mm_describe_group(struct mm_thread *t, int i, u64 bytes)
{
	struct mm_call *c = &t->call;
	u8 *copy = mm_stage(t, bytes);

	if (!copy || mm_in(t, copy, c->a[i], bytes) != bytes) {
		mm_item(c, i, MM_ITEM_FAULT, "\0\0\0\0\0\0\0", 8, bytes);
		mm_check_room(t, c->a[i], bytes);
		return;
	}
	if (bytes >= 8)
		memset(copy + 4, 0, 4);
	for (u64 at = 8; at + STORAGE <= bytes;) {
		u64 means = meaning(copy + at, STORAGE);

		memset(copy + at + means, 0, STORAGE - means);
		at += STORAGE;
		if ((u32)c->a[2] == 48 && at == 8 + STORAGE)
			at += 8; /* struct group_filter: the mode and the number of sources */
	}
	c->x[i] = (u64)copy;
	mm_item_digest(t, i, copy, bytes);
}
