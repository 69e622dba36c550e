/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Names of temporary files. mkstemp(3) and mkdtemp(3) of glibc draw six characters from the clock and the address of a
 * variable, so variants with different stacks ask for different names; mktemp(1) does the same with more, ln(1) with links.
 * Where a call looks like theirs (O_CREAT|O_EXCL and mode 0600, or a directory of mode 0700, with that many letters or digits
 * at the end), these are left out of the comparison; the leader sends its own with the result, and a follower says the leader's
 * name from then on, whenever the program says its own.
 *
 * Python writes what it compiled to `m.pyc.ADDRESS`, with O_CREAT|O_EXCL and any mode, and renames it to `m.pyc`: the decimal
 * digits of an object's address, more of them in one variant than in another. Digits count as such only where the variant that
 * says them has memory at that place, so that they carry nothing but its layout.
 */
#include "monitor.h"
#include "siphash.h"
#include "table.gen.h"
#include <linux/errno.h>

#define SUFFIX 6u        /* of mkstemp(3) */
#define LONGEST 10u      /* of mktemp(1) */
#define CREATE_NEW 0300u /* O_CREAT | O_EXCL */

/*
 * Digits of an address. Fewer than these are places that only heaps of fixed programs lie at, and dates; more are beyond the
 * memory of a program.
 */
#define ADDRESS_MIN 11u
#define ADDRESS_MAX 15u
_Static_assert(ADDRESS_MIN > LONGEST, "the number of characters says what was drawn");
_Static_assert(ADDRESS_MAX < sizeof(((struct mm_result *)0)->digest), "the leader's are sent there, with their end");

static int is_drawn(u8 s)
{
	return (s >= '0' && s <= '9') || (s >= 'a' && s <= 'z') || (s >= 'A' && s <= 'Z');
}

/*
 * How many characters at the end of a path may be drawn: six, or all that follow a dot, dash or underscore where mktemp(1) was
 * asked for up to ten. 0: none.
 */
static u64 drawn(const char *path, u64 n)
{
	u64 run = 0;

	while (run < n && run <= LONGEST && is_drawn(path[n - 1 - run]))
		run++;
	if (run < SUFFIX || n <= SUFFIX)
		return 0;
	if (run > LONGEST || run == n)
		return SUFFIX;
	char before = path[n - 1 - run];

	return before == '.' || before == '-' || before == '_' ? run : SUFFIX;
}

/*
 * The same functions ask for eight random bytes when what they drew would be unfair, which with one name in twenty happens in
 * one variant alone. So this call is not in the stream: its bytes come from the session's key and the place in the stream, the
 * same in every variant that asks there.
 */
int mm_name_draws(const struct mm_call *c)
{
	return c->a[1] == 8 && (u32)c->a[2] == 1 /* GRND_NONBLOCK */;
}

s64 mm_name_draw(struct mm_thread *t)
{
	struct mm_proc *p = t->proc;
	struct mm_sip sip;
	u64 place[2] = {t->seq, 0};
	u8 out[16];

	place[1] = p->draw_seq == t->seq ? ++p->draws : (p->draws = 0);
	p->draw_seq = t->seq;
	mm_sip_init(&sip, p->key);
	mm_sip_add(&sip, "getrandom", 9);
	mm_sip_add(&sip, place, sizeof(place));
	mm_sip_end(&sip, out);
	return mm_out(t, t->call.a[0], out, 8) == 8 ? 8 : -EFAULT;
}

/* `CuXXXXXX`: what ln and cp of coreutils put in the place of a link that they replace. */
static int of_coreutils(const char *path, u64 n)
{
	return n >= SUFFIX + 2 && !memcmp(path + n - SUFFIX - 2, "Cu", 2) && (n == SUFFIX + 2 || path[n - SUFFIX - 3] == '/');
}

/* How many digits at the end of a path, behind a dot, are written as an address is. 0: none. */
static u64 digits(const char *path, u64 n)
{
	u64 run = 0;

	while (run < n && run <= ADDRESS_MAX && path[n - 1 - run] >= '0' && path[n - 1 - run] <= '9')
		run++;
	return run < ADDRESS_MIN || run > ADDRESS_MAX || run == n || path[n - 1 - run] != '.' || path[n - run] == '0' ? 0 : run;
}

/* How many digits at the end of a path are the address of something in the program's memory: objects are aligned. */
static u64 address(const struct mm_thread *t, const char *path, u64 n)
{
	u64 run = digits(path, n), at = 0, object;

	for (u64 i = n - run; i < n; i++)
		at = at * 10 + (u64)(path[i] - '0');
	return run && at % sizeof(object) == 0 && mm_in(t, &object, at, sizeof(object)) == sizeof(object) ? run : 0;
}

/*
 * Does this call make a file, directory or link of a drawn name? Gives how many characters at its end were drawn, or 0, and
 * the number of the argument that holds it.
 */
static u64 temporary(const struct mm_thread *t, const char *path, u64 n, u32 *arg)
{
	const struct mm_call *c = &t->call;
	u64 k;

	*arg = 1;
	switch (c->nr) {
	case MM_NR_openat:
		if ((c->a[2] & CREATE_NEW) != CREATE_NEW)
			return 0;
		k = address(t, path, n);
		return k || (u32)c->a[3] != 0600 ? k : drawn(path, n);
	case MM_NR_mkdirat:
		return (u32)c->a[2] == 0700 ? drawn(path, n) : 0;
	case MM_NR_symlinkat:
		*arg = 2;
		return path == c->path2 && of_coreutils(path, n) ? drawn(path, n) : 0;
	case MM_NR_linkat:
		*arg = 3;
		return path == c->path2 && of_coreutils(path, n) ? drawn(path, n) : 0;
	}
	return 0;
}

static int is_address(u64 k)
{
	return k >= ADDRESS_MIN;
}

/* The path of a call that may be a drawn name: the last one. */
static char *last_path(struct mm_call *c)
{
	return c->paths > 1 ? c->path2 : c->path;
}

/* In `path` (4096 bytes), the leader's name for a folder, or (`whole`) for the very file. Gives its new length. */
static u64 translate(const struct mm_proc *p, char *path, u64 n, int whole)
{
	for (u32 i = 0; i < MM_NAMES; i++) {
		const struct mm_name *name = &p->names[i];

		if (!name->bytes || name->bytes > n || memcmp(path, name->own, name->bytes) ||
		    path[name->bytes] != (whole ? 0 : '/') || n - name->drawn + name->leads >= 4096)
			continue;
		u64 head = name->bytes - name->drawn;

		memmove(path + head + name->leads, path + name->bytes, n - name->bytes + 1);
		memcpy(path + head, name->leaders, name->leads);
		return n - name->drawn + name->leads;
	}
	return n;
}

/* A path that makes nothing of a drawn name: in `path` (4096 bytes), as the leader says it. Gives its new length. */
u64 mm_name_leaders(const struct mm_proc *p, char *path, u64 n)
{
	return translate(p, path, translate(p, path, n, 0), 1);
}

/*
 * Describes a path as it is compared. Where files are shared, the leader's names in it are also the ones that are carried out.
 * A name that this call draws stays what it is until the leader has sent its own.
 */
void mm_name_describe(struct mm_thread *t, int i, char *path, u64 n)
{
	struct mm_proc *p = t->proc;
	struct mm_call *c = &t->call;
	char *shown = c->shown;
	u64 k = temporary(t, path, n, &c->drawn_arg);

	c->drawn = (u32)k;
	memcpy(shown, path, n + 1);
	n = k ? translate(p, shown, n, 0) : mm_name_leaders(p, shown, n);
	if (p->flags & MM_START_FS_SHARED)
		memcpy(path, shown, n + 1);
	if (is_address(k)) { /* as many digits as it happens to have: what stands for them is no part of a path */
		n -= k;
		shown[n] = 0;
	} else {
		memset(shown + n - k, 'X', k);
	}
	if (c->exempt)
		return;
	mm_item_digest(t, i, shown, n);
	if (is_address(k))
		mm_item(c, i, MM_ITEM_PTR, NULL, 0, 0);
}

/* After the call: the leader sends what it drew, a follower remembers it beside its own. */
void mm_name_send(struct mm_thread *t)
{
	struct mm_call *c = &t->call;
	const char *path = last_path(c);

	if (c->drawn)
		memcpy(c->digest, path + strlen(path) - c->drawn, c->drawn);
}

/* How many characters the leader has drawn where this variant drew `k`. Anything else would lead to another folder. */
static u64 leads(struct mm_thread *t, u64 k)
{
	const char *digest = (const char *)t->call.digest;
	char name[1 + ADDRESS_MAX + 1] = ".";

	if (is_address(k)) {
		memcpy(name + 1, digest, ADDRESS_MAX);
		k = strlen(name + 1);
		if (digest[ADDRESS_MAX] || digits(name, 1 + k) != k || !k)
			mm_diverge(t, MM_WHY_STREAM);
		return k;
	}
	for (u64 i = 0; i < k; i++)
		if (!is_drawn(digest[i]))
			mm_diverge(t, MM_WHY_STREAM);
	return k;
}

/* The place in the table for an own name: the one that it has, else the next of its kind where it is to have one. */
static struct mm_name *place(struct mm_proc *p, const char *own, u64 bytes, u64 k, int make)
{
	const u32 others = MM_NAMES - MM_NAMES_ADDRESS;

	for (u32 i = 0; i < MM_NAMES; i++)
		if (p->names[i].bytes == bytes && !memcmp(p->names[i].own, own, bytes))
			return &p->names[i];
	if (!make)
		return NULL;
	return is_address(k) ? &p->names[others + p->names_next_address++ % MM_NAMES_ADDRESS] : &p->names[p->names_next++ % others];
}

void mm_name_take(struct mm_thread *t, s64 ret)
{
	struct mm_proc *p = t->proc;
	struct mm_call *c = &t->call;
	char *path = last_path(c), own[sizeof(p->names->own)];
	u64 n = strlen(path), k = c->drawn, lead, head;
	struct mm_name *name;
	int same;

	if (ret < 0 || !k)
		return;
	lead = leads(t, k);
	head = strlen(c->shown) - (is_address(k) ? 0 : k); /* with the leader's names of folders */
	if (head + k >= sizeof(own))
		return;
	memcpy(own, c->shown, head);
	memcpy(own + head, path + n - k, k);
	same = lead == k && !memcmp(path + n - k, c->digest, k);
	name = place(p, own, head + k, k, !same);
	if (name)
		name->bytes = 0; /* whatever it meant before */
	if (same)
		return;
	/*
	 * The string that the program gave is the template of mkstemp(3), which it may print or look at afterwards. On one file
	 * system it becomes the leader's name; where it cannot be written, or there are copies, the table translates. What ends
	 * with an address is no template.
	 */
	if ((p->flags & MM_START_FS_SHARED) && !is_address(k))
		mm_out(t, c->a[c->drawn_arg] + n - k, c->digest, k);
	memcpy(name->own, own, head + k);
	memcpy(name->leaders, c->digest, lead);
	name->bytes = head + k;
	name->drawn = k;
	name->leads = lead;
	if (p->flags & MM_START_FS_SHARED) {
		memcpy(path + n - k, c->digest, lead);
		path[n - k + lead] = 0;
	}
}
