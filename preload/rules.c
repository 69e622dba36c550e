/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The group's exceptions by call and path. Paths of calls are looked at by the leader, as it has resolved them; what it found
 * travels as a set of bits, one per rule that has a path, so that a path that changes meanwhile makes no difference.
 */
#include "monitor.h"
#include "table.gen.h"
#include <linux/errno.h>
#include <linux/fcntl.h>

/* `*` stands for anything within a component, `**` as a component for any number of them. */
static int matches(const char *pattern, const char *end, const char *path)
{
	for (; pattern < end; pattern++, path++) {
		if (end - pattern >= 3 && !memcmp(pattern, "/**", 3) && (end - pattern == 3 || pattern[3] == '/')) {
			for (;;) {
				if (matches(pattern + 3, end, path))
					return 1;
				if (*path != '/')
					return 0;
				do
					path++;
				while (*path && *path != '/');
			}
		}
		if (*pattern == '*') {
			for (;; path++) {
				if (matches(pattern + 1, end, path))
					return 1;
				if (!*path || *path == '/')
					return 0;
			}
		}
		if (*pattern != *path)
			return 0;
	}
	return !*path;
}

/* The rule at `*at`, which moves on; NULL behind the last. The supervisor made them, but a length is checked all the same. */
static const struct mm_rule *next(const struct mm_proc *p, const u8 **at)
{
	const struct mm_rule *r = (const struct mm_rule *)*at;
	u64 left = p->rules_bytes - (u64)(*at - p->rules);

	if (left < sizeof(*r) || MM_UP((u64)r->bytes, 8) > left - sizeof(*r))
		return NULL;
	*at += sizeof(*r) + MM_UP(r->bytes, 8);
	return r;
}

/* Which rules an absolute path meets: bit i for the i-th rule that has a path. */
u32 mm_rules_of(const struct mm_proc *p, const char *path)
{
	const u8 *at = p->rules;
	const struct mm_rule *r;
	u32 met = 0, bit = 1;

	while ((r = next(p, &at))) {
		const char *pattern = (const char *)(r + 1);

		if (!r->bytes)
			continue;
		if (matches(pattern, pattern + r->bytes, path))
			met |= bit;
		bit <<= 1;
	}
	return met;
}

/* What the first rule says that is for the call and for what was met. */
static int first(const struct mm_proc *p, u16 nr, u32 met, int data)
{
	const u8 *at = p->rules;
	const struct mm_rule *r;

	while ((r = next(p, &at))) {
		int here = !r->bytes || (met & 1);

		if (r->bytes)
			met >>= 1;
		if (here && (r->nr == 0xffff || r->nr == nr) && (data ? r->data : r->check))
			return data ? r->data : r->check;
	}
	return 0;
}

int mm_rule_check(const struct mm_proc *p, u16 nr, u32 met)
{
	return first(p, nr, met, 0);
}

int mm_rule_data(const struct mm_proc *p, u16 nr, u32 met)
{
	return first(p, nr, met, 1);
}

/* What rules with a path say of `check` for such calls: bit MM_CHECK_EXEMPT, bit MM_CHECK_COMPARE. */
static int may_say(const struct mm_proc *p, u16 nr)
{
	const u8 *at = p->rules;
	const struct mm_rule *r;
	int said = 0;

	while ((r = next(p, &at)))
		if (r->bytes && r->check && (r->nr == 0xffff || r->nr == nr))
			said |= 1 << r->check;
	return said;
}

/* The absolute path of what a descriptor is open on. 0: it has none. */
int mm_fd_name(struct mm_proc *p, u64 fd, char name[MM_NAME])
{
	s64 n = mm_link_read(p, fd, name, MM_NAME - 1);

	if (n <= 0 || name[0] != '/')
		return 0;
	name[n] = 0;
	return 1;
}

/*
 * Finds what a path means, without touching it: its place, or that of the folder where it would be. The caller closes the
 * descriptor. -ENOENT: it leads nowhere.
 */
s64 mm_place_open(struct mm_thread *t, s32 dir, const char *path, int follow, char name[MM_NAME])
{
	u64 end = strlen(path), at, have;
	char parent[MM_NAME];
	s64 fd;

	if (!end)
		return -ENOENT;
	fd = mm_sys4(__NR_openat, dir, path, O_PATH | O_CLOEXEC | (follow ? 0 : O_NOFOLLOW), 0);
	if (fd >= 0) {
		if (!mm_fd_name(t->proc, fd, name))
			name[0] = 0;
		return fd;
	}
	while (end > 1 && path[end - 1] == '/')
		end--;
	for (at = end; at && path[at - 1] != '/';)
		at--;
	memcpy(parent, at ? path : ".", at ? at : 1);
	parent[at ? at : 1] = 0;
	fd = mm_sys4(__NR_openat, dir, parent, O_PATH | O_CLOEXEC | O_DIRECTORY, 0);
	if (fd < 0)
		return -ENOENT;
	if (!mm_fd_name(t->proc, fd, name)) {
		name[0] = 0;
		return fd;
	}
	have = strlen(name);
	if (have == 1)
		have = 0; /* the root */
	if (have + 1 + end - at >= MM_NAME) {
		name[0] = 0;
		return fd;
	}
	name[have] = '/';
	memcpy(name + have + 1, path + at, end - at);
	name[have + 1 + end - at] = 0;
	return fd;
}

/* The same for the n-th path of a call. -ENOENT also where it has no such path. Only a first one may lead through a link. */
s64 mm_path_open(struct mm_thread *t, int n, char name[MM_NAME])
{
	struct mm_call *c = &t->call;
	const struct mm_arg *args = c->row->args;
	int follow = !n && mm_follows_links(c), copies = 0;

	for (int i = 0; i < c->row->nargs; i++) {
		if ((args[i].kind & ~MM_A_OPT) != MM_A_PATH)
			continue;
		const char *path = copies++ ? c->path2 : c->path;
		s32 dir = MM_AT_FDCWD;

		if (i && args[i - 1].kind == MM_A_DIRFD)
			dir = (s32)c->a[i - 1];
		else if (i || (c->row->nargs > 1 && args[1].kind == MM_A_DIRFD))
			continue; /* the name of an attribute, the text of a link */
		if (n--)
			continue;
		return mm_place_open(t, dir, path, follow, name);
	}
	return -ENOENT;
}

/* The leader: what the rules say of a call's paths. Two paths are exempt where both are, and compared where one is. */
static int check_paths(struct mm_thread *t)
{
	struct mm_call *c = &t->call;
	char name[MM_NAME];
	int said = 0, which = 0;
	s64 fd;

	for (; (fd = mm_path_open(t, which, name)) >= 0; which++) {
		int one = mm_rule_check(t->proc, c->nr, mm_rules_of(t->proc, name));

		mm_sys1(__NR_close, fd);
		if (one == MM_CHECK_COMPARE)
			return one;
		said = which && said != one ? 0 : one;
	}
	return which ? said : mm_rule_check(t->proc, c->nr, c->file ? t->proc->ofds[c->file - 1].rules : 0);
}

/* Is it for the paths of this call to say whether it is compared? Then it is described whole, and mm_exempt_by_path decides. */
int mm_path_decides(struct mm_thread *t)
{
	struct mm_call *c = &t->call;

	return (c->row->klass == MM_C_BYPATH || c->nr == MM_NR_openat) && may_say(t->proc, c->nr);
}

/* Takes the values out of a form; descriptors and room for output stay. */
static void drop_values(struct mm_call *c)
{
	u32 keep = 0;

	for (u32 at = 0; at < c->out.rec.form;) {
		const struct mm_item *item = (const struct mm_item *)(c->out.form + at);
		u32 bytes = sizeof(*item) + MM_UP(item->bytes, 8);
		int kind = c->row->args[item->arg].kind & ~MM_A_OPT;

		if (kind == MM_A_FD || kind == MM_A_DIRFD || kind == MM_A_OUT || kind == MM_A_OUTRET) {
			memmove(c->out.form + keep, item, bytes);
			keep += bytes;
		}
		at += bytes;
	}
	c->out.rec.form = keep;
}

/*
 * Behind the description of a call by path. A follower takes the leader's word for which rule it met, as its own look would
 * come too late, but no other word than the rules have.
 */
void mm_exempt_by_path(struct mm_thread *t, int policy)
{
	struct mm_call *c = &t->call;
	struct mm_rec rec;
	int said;

	if (mm_is_leader(t->proc)) {
		said = check_paths(t);
		c->exempt = said ? said == MM_CHECK_EXEMPT : policy;
	} else {
		mm_next(t, &rec);
		c->exempt = policy;
		if (rec.kind == MM_REC_CALL && rec.nr == c->nr &&
		    may_say(t->proc, c->nr) & (1 << (policy ? MM_CHECK_COMPARE : MM_CHECK_EXEMPT)))
			c->exempt = (rec.flags & MM_RF_EXEMPT) != 0;
	}
	if (c->exempt)
		drop_values(c);
}
