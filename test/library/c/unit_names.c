/* SPDX-License-Identifier: Apache-2.0 */
/* names.c: names that variants draw differently. What may differ is the drawn part alone, and only where a file is made anew. */
#include <string.h>

#include "harness.h"
#include "unit.h"
#include <asm/unistd_64.h>
#include <fcntl.h>

#define NEW (O_WRONLY | O_CREAT | O_EXCL)

/* The form of a call by a path, which lies in the program's memory at 4096. */
struct form {
	u32 n;
	u8 bytes[MM_FORM_MAX];
};

static struct form by_path(long nr, const char *path, u64 c, u64 d)
{
	struct form f = {0};
	u64 at = (u64)user + 4096;
	int opens = nr == __NR_openat;

	memcpy((void *)at, path, strlen(path) + 1);
	T->regs = (struct mm_regs){.ax = (u64)nr, .di = opens ? -100ul : at, .si = opens ? at : c, .dx = c, .r10 = d};
	mm_canonical(T);
	mm_describe(T);
	f.n = T->call.out.rec.form;
	memcpy(f.bytes, T->call.out.form, f.n);
	mm_unstage(T);
	return f;
}

static int same(struct form a, struct form b)
{
	return a.n == b.n && !memcmp(a.bytes, b.bytes, a.n);
}

/* `m.pyc.` and the address of something in the program's memory. */
static const char *named(u64 offset)
{
	static char names[4][64];
	static u32 next;
	char *name = names[next++ % 4];

	snprintf(name, 64, "/d/m.pyc.%lu", (u64)user + offset);
	return name;
}

/* A follower opens a file anew under its own name, and the leader says what it has drawn. */
static enum outcome take(const char *own, u64 mode, const char *leaders, s64 ret)
{
	by_path(__NR_openat, own, NEW, mode);
	memset(T->call.digest, 0, sizeof(T->call.digest));
	memcpy(T->call.digest, leaders, strlen(leaders));
	return RUN(mm_name_take(T, ret));
}

static void addresses_are_not_compared(void)
{
	const char *one = named(0), *two = named(64);
	char other[64], more[64];

	CHECK(same(by_path(__NR_openat, one, NEW, 0644), by_path(__NR_openat, two, NEW, 0644)));
	CHECK(T->call.drawn && T->call.drawn_arg == 1 && !strcmp(T->call.path, two), "carried out as the leader's own");
	CHECK(same(by_path(__NR_openat, one, NEW, 0600), by_path(__NR_openat, two, NEW, 0600)), "also where six may be drawn");
	CHECK(!same(by_path(__NR_openat, one, NEW, 0644), by_path(__NR_openat, two, NEW, 0600)), "the mode");
	CHECK(!same(by_path(__NR_openat, one, O_WRONLY | O_CREAT, 0644), by_path(__NR_openat, two, O_WRONLY | O_CREAT, 0644)));
	CHECK(!same(by_path(__NR_openat, one, O_WRONLY | O_EXCL, 0644), by_path(__NR_openat, two, O_WRONLY | O_EXCL, 0644)));
	CHECK(!same(by_path(__NR_unlink, one, 0, 0), by_path(__NR_unlink, two, 0, 0)), "a name that was never made");

	/* another name before the digits, and what stands for them, spelled out */
	memcpy(other, two, strlen(two) + 1);
	other[3] = 'n';
	CHECK(!same(by_path(__NR_openat, one, NEW, 0644), by_path(__NR_openat, other, NEW, 0644)));
	CHECK(!same(by_path(__NR_openat, one, NEW, 0644), by_path(__NR_openat, "/d/m.pyc.", NEW, 0644)));
	snprintf(more, sizeof(more), "%s.x", two);
	CHECK(!same(by_path(__NR_openat, more, NEW, 0644), by_path(__NR_openat, one, NEW, 0644)) && !T->call.path2[0]);
}

/* Digits that say something else than where an object lies are data like any other. */
static void other_digits_are_compared(void)
{
	char name[64];
	u64 at = (u64)user;
	const char *const table[] = {"/d/m.20240101",
				     "/d/m.20240101123456",
				     "/d/m.1700000000000000",
				     "/d/m.00140737488352",
				     "/d/140737488351232",
				     "/d/m.140737488351232222222",
				     "/d/m.0",
				     ".140737488351232"};

	for (u32 i = 0; i < sizeof(table) / sizeof(table[0]); i++) {
		by_path(__NR_openat, table[i], NEW, 0644);
		CHECK(!T->call.drawn, "%s", table[i]);
	}
	const u64 wrong[] = {(u64)secret, (u64)user_end, at + 4, at + 1};

	for (u32 i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
		snprintf(name, sizeof(name), "/d/m.pyc.%lu", wrong[i]);
		by_path(__NR_openat, name, NEW, 0644);
		CHECK(!T->call.drawn, "%lx: the monitor's memory, none, no object's place", wrong[i]);
	}
	snprintf(name, sizeof(name), "/d/m-%lu", at);
	by_path(__NR_openat, name, NEW, 0644);
	CHECK(!T->call.drawn, "not behind a dot");
	snprintf(name, sizeof(name), "/d/m.0%lu", at);
	by_path(__NR_openat, name, NEW, 0644);
	CHECK(!T->call.drawn, "not as a number is written");
}

/* From then on the follower's name is the leader's, longer or shorter, on shared files also in what is carried out. */
static void names_are_translated(void)
{
	static const char *const drawn[] = {"140737488351232", "94148573634560", "12345678901"};

	for (u32 shared = 0; shared < 2; shared++)
		for (u32 i = 0; i < 3; i++) {
			const char *own = named(i * 8);
			char leaders[64], more[80];
			struct form f;

			fresh(MM_FOLLOWER);
			P->flags = shared ? MM_START_FS_SHARED : 0;
			snprintf(leaders, sizeof(leaders), "/d/m.pyc.%s", drawn[i]);
			CHECK(take(own, 0644, drawn[i], 3) == RETURNED);
			CHECK(!strcmp(T->call.path, shared ? leaders : own), "opened %s", T->call.path);
			CHECK(!strcmp((char *)user + 4096, own), "what the program said is no template");
			f = by_path(__NR_unlink, own, 0, 0);
			CHECK(!strcmp(T->call.path, shared ? leaders : own) && !strcmp(T->call.shown, leaders));
			CHECK(same(f, by_path(__NR_unlink, leaders, 0, 0)));
			/* only the very file */
			snprintf(more, sizeof(more), "%s1", own);
			by_path(__NR_unlink, more, 0, 0);
			CHECK(!strcmp(T->call.shown, more));

			/* drawn anew: the old meaning does not count, and is forgotten where both draw the same */
			CHECK(take(own, 0644, drawn[(i + 1) % 3], 3) == RETURNED);
			by_path(__NR_unlink, own, 0, 0);
			CHECK(!strcmp(T->call.shown + 9, drawn[(i + 1) % 3]));
			CHECK(take(own, 0644, own + 9, 3) == RETURNED);
			by_path(__NR_unlink, own, 0, 0);
			CHECK(!strcmp(T->call.shown, own) && !strcmp(T->call.path, own));

			CHECK(take(own, 0644, drawn[i], -EEXIST) == RETURNED);
			by_path(__NR_unlink, own, 0, 0);
			CHECK(!strcmp(T->call.shown, own), "nothing was made");
		}
}

static void leaders_that_lie(void)
{
	static const char *const lies[] = {"",           "1", "1234567890", "1234567890123456", "0123456789012", "12345678901/../",
					   "1234567890a"};

	for (u32 i = 0; i < sizeof(lies) / sizeof(lies[0]); i++) {
		fresh(MM_FOLLOWER);
		CHECK(take(named(0), 0644, lies[i], 3) == DIVERGED && said_reason == MM_WHY_STREAM, "'%s'", lies[i]);
	}
	fresh(MM_FOLLOWER);
	CHECK(take("/d/tmp.abcdef", 0600, "../../", 3) == DIVERGED && said_reason == MM_WHY_STREAM);
}

/* The table is bounded, and many names of one kind do not push out those of the other. */
static void many_names(void)
{
	fresh(MM_FOLLOWER);
	CHECK(take("/d/tmp.abcdef", 0600, "ABCDEF", 3) == RETURNED);
	CHECK(!strcmp((char *)user + 4096, "/d/tmp.ABCDEF"), "the template");
	for (u32 i = 0; i < 1000; i++)
		CHECK(take(named(i * 8), 0644, "140737488351232", 3) == RETURNED);
	by_path(__NR_unlink, "/d/tmp.abcdef", 0, 0);
	CHECK(!strcmp(T->call.path, "/d/tmp.ABCDEF"));
	by_path(__NR_unlink, named(999 * 8), 0, 0);
	CHECK(!strcmp(T->call.path, "/d/m.pyc.140737488351232"));
	by_path(__NR_unlink, named(0), 0, 0);
	CHECK(!strcmp(T->call.path, named(0)), "forgotten");
}

/* Folders and what is made in them, under names of both kinds. */
static void in_folders(void)
{
	char own[64];

	for (u32 shared = 0; shared < 2; shared++) {
		fresh(MM_FOLLOWER);
		P->flags = shared ? MM_START_FS_SHARED : 0;
		by_path(__NR_mkdir, "/d/tmp.abcdef", 0700, 0);
		memcpy(T->call.digest, "ABCDEF", 6);
		T->call.a[2] = 0700;
		mm_name_take(T, 0);
		snprintf(own, sizeof(own), "/d/tmp.abcdef/m.%lu", (u64)user);
		CHECK(take(own, 0644, "140737488351232", 3) == RETURNED);
		by_path(__NR_unlink, own, 0, 0);
		CHECK(!strcmp(T->call.shown, "/d/tmp.ABCDEF/m.140737488351232"), "%s", T->call.shown);
	}
}

const struct unit name_units[] = {{"addresses-in-names", addresses_are_not_compared},
				  {"other-digits-in-names", other_digits_are_compared},
				  {"names-translated", names_are_translated},
				  {"names-of-a-lying-leader", leaders_that_lie},
				  {"many-names", many_names},
				  {"names-in-folders", in_folders},
				  {NULL, NULL}};
