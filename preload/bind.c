/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Sockets with a name in a file system. The socket is the leader's alone, but bind(2) also makes a file, and programs change its
 * mode, rename it and remove it by its name as they do with any other. So where file systems are every variant's own, a
 * follower makes a file of that kind by that name too, to which no socket belongs.
 */
#include "monitor.h"
#include "table.gen.h"
#include <linux/stat.h>

/* The name that the call binds to, as it was copied. NULL: none in a file system. */
static const char *name_bound(const struct mm_call *c)
{
	const char *address = (const char *)c->x[1];

	/* an address that could not be copied is left as the program gave it */
	if (!c->a[1] || c->x[1] == c->a[1] || (u32)c->a[2] <= 2 || *(const u16 *)address != 1 /* AF_UNIX */ || !address[2])
		return NULL;
	return address + 2;
}

static int is_own(struct mm_thread *t, const char *path)
{
	char name[MM_NAME];
	s64 place;
	int own;

	if (mm_is_elsewhere(t->proc, MM_AT_FDCWD, path) || (path[0] != '/' && t->proc->cwd_given))
		return 0;
	place = mm_place_open(t, MM_AT_FDCWD, path, 0, name);
	own = place >= 0 && mm_place_is_own(t, place, name, path, &t->call.rules);
	if (place >= 0)
		mm_sys1(__NR_close, place);
	return own;
}

/* The leader. The file gets the mode that the socket has (fchmod(2) may have changed it), which a follower cannot see. */
s64 mm_execute_bind(struct mm_thread *t)
{
	struct mm_call *c = &t->call;
	const char *path = t->proc->flags & MM_START_FS_SHARED ? NULL : name_bound(c);
	u64 st[18];

	if (path && is_own(t, path) && mm_sys2(__NR_fstat, (s32)c->a[0], st) == 0) {
		c->made = MM_FD_OWN;
		c->ino = (u32)st[3] & 07777;
	}
	return mm_app_call(t);
}

void mm_effect_bind(struct mm_thread *t, s64 ret)
{
	struct mm_call *c = &t->call;
	const char *path = name_bound(c);
	s64 own;

	if (mm_is_leader(t->proc) || ret != 0 || c->made != MM_FD_OWN)
		return;
	c->rules = 0;
	if ((t->proc->flags & MM_START_FS_SHARED) || !path || !is_own(t, path))
		mm_disbelieve(t, path ? path : "");
	own = mm_sys4(__NR_mknodat, MM_AT_FDCWD, path, S_IFSOCK | (c->ino & 07777), 0);
	if (own != ret && mm_rule_data(t->proc, c->nr, c->rules) != MM_DATA_OWN)
		mm_diverge(t, MM_WHY_RESULT);
}
