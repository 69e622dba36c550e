/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Names of temporary files. mkstemp(3) and mkdtemp(3) of glibc draw six characters from the clock and the address of a
 * variable, so variants with different stacks ask for different names; mktemp(1) does the same with more, ln(1) with links.
 * Where a call looks like theirs (O_CREAT|O_EXCL and mode 0600, or a directory of mode 0700, with that many letters or digits
 * at the end), these are left out of the comparison; the leader sends its own with the result, and a follower says the leader's
 * name from then on, whenever the program says its own.
 */
#include "monitor.h"
#include "siphash.h"
#include "table.gen.h"
#include <linux/errno.h>

#define SUFFIX 6u        /* of mkstemp(3) */
#define LONGEST 10u      /* of mktemp(1) */
#define CREATE_NEW 0300u /* O_CREAT | O_EXCL */

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

/*
 * Does this call make a file, directory or link of a drawn name? Gives the number of the argument that holds it (never the
 * first one), or 0.
 */
static int makes_temporary(const struct mm_call *c, const char *path, u64 n)
{
	if (!drawn(path, n))
		return 0;
	switch (c->nr) {
	case MM_NR_openat:
		return (c->a[2] & CREATE_NEW) == CREATE_NEW && (u32)c->a[3] == 0600;
	case MM_NR_mkdirat:
		return (u32)c->a[2] == 0700;
	case MM_NR_symlinkat:
		return path == c->path2 && of_coreutils(path, n) ? 2 : 0;
	case MM_NR_linkat:
		return path == c->path2 && of_coreutils(path, n) ? 3 : 0;
	}
	return 0;
}

/* The path of a call that may be a drawn name: the last one. */
static char *last_path(struct mm_call *c)
{
	return c->paths > 1 ? c->path2 : c->path;
}

/* The path as it is compared, in `shown` (4096 bytes). Where files are shared it is also the one that is carried out. */
void mm_name_shown(struct mm_thread *t, char *path, u64 n, char *shown)
{
	struct mm_proc *p = t->proc;

	memcpy(shown, path, n + 1);
	for (u32 i = 0; i < MM_NAMES; i++) {
		const struct mm_name *name = &p->names[i];

		if (!name->bytes || name->bytes > n || memcmp(path, name->own, name->bytes) ||
		    (path[name->bytes] && path[name->bytes] != '/'))
			continue;
		memcpy(shown + name->bytes - name->drawn, name->leaders, name->drawn);
		if (p->flags & MM_START_FS_SHARED)
			memcpy(path, shown, n + 1);
		break;
	}
	if (makes_temporary(&t->call, path, n))
		memset(shown + n - drawn(path, n), 'X', drawn(path, n));
}

/* After the call: the leader sends what it drew, a follower remembers it beside its own. */
void mm_name_send(struct mm_thread *t)
{
	struct mm_call *c = &t->call;
	const char *path = last_path(c);
	u64 n = strlen(path);

	if (makes_temporary(c, path, n))
		memcpy(c->digest, path + n - drawn(path, n), drawn(path, n));
}

void mm_name_take(struct mm_thread *t, s64 ret)
{
	struct mm_proc *p = t->proc;
	struct mm_call *c = &t->call;
	char *path = last_path(c);
	u64 n = strlen(path);
	struct mm_name *name = &p->names[p->names_next % MM_NAMES];
	u64 k = drawn(path, n);
	int arg = makes_temporary(c, path, n);

	if (ret < 0 || !arg || n >= sizeof(name->own) || !memcmp(path + n - k, c->digest, k))
		return;
	for (u64 i = 0; i < k; i++) /* anything else would lead to another folder */
		if (!is_drawn(c->digest[i]))
			mm_diverge(t, MM_WHY_STREAM);
	/*
	 * The string that the program gave is the template of mkstemp(3), which it may print or look at afterwards. On one file
	 * system it becomes the leader's name; where it cannot be written, or there are copies, the table translates.
	 */
	if (p->flags & MM_START_FS_SHARED)
		mm_out(t, c->a[arg] + n - k, c->digest, k);
	p->names_next++;
	memcpy(name->own, path, n);
	memcpy(name->leaders, c->digest, k);
	name->bytes = n;
	name->drawn = k;
	if (p->flags & MM_START_FS_SHARED)
		memcpy(path + n - k, c->digest, k);
}
