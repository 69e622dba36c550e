/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Socket addresses. Programs seldom fill all of the bytes that they hand over: what means nothing is neither compared nor let out,
 * as it is what the stack held before.
 */
#include "monitor.h"
#include <linux/errno.h>

#define STORAGE 128u /* sizeof(struct sockaddr_storage) */

/* How many of the bytes mean something. */
static u64 meaning(const u8 *address, u64 bytes)
{
	u64 end = 2;

	if (bytes < 2)
		return bytes;
	switch (*(const u16 *)address) {
	case 1: /* AF_UNIX: up to the end of a path (unix(7)); an abstract name is all of it */
		while (end < bytes && address[end])
			end++;
		return end == 2 ? bytes : end;
	case 2: /* AF_INET: behind it stands sin_zero */
		return MM_MIN(bytes, 8);
	case 10: /* AF_INET6: sizeof(struct sockaddr_in6) */
		return MM_MIN(bytes, 28);
	}
	return bytes;
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
	means = meaning(copy, bytes);
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

/* Is this option of setsockopt(2) about groups, by addresses of any family: MCAST_JOIN_GROUP to MCAST_MSFILTER? */
int mm_names_group(const struct mm_call *c)
{
	return ((u32)c->a[1] == 0 || (u32)c->a[1] == 41) && (u32)c->a[2] >= 42 && (u32)c->a[2] <= 48;
}

/* Its value: the number of an interface, padding, and addresses that have more room than they need (struct group_req and others). */
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
