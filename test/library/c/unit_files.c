/* SPDX-License-Identifier: Apache-2.0 */
/* A follower under a leader that lies about files: files.c and mappings.c. What a follower can see itself it does not believe. */
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "harness.h"
#include "unit.h"
#include <asm/unistd_64.h>

#define RULE(check, data) "\xff\xff" check data "\x08\0\0\0/other/*"

static char folder[] = "/tmp/unit-files-XXXXXX";
static char path[64];
static struct stat st;
static struct mm_mount mount;

/* A file with some text, and a follower whose own mounts say that it is its own, or that all files are shared. */
static void follow(u32 flags, const char *rules, u32 bytes)
{
	int fd;

	fresh(MM_FOLLOWER);
	P->flags = flags;
	P->rules = (const u8 *)rules;
	P->rules_bytes = bytes;
	fd = open(path, O_CREAT | O_TRUNC | O_WRONLY, 0600);
	if (fd < 0 || write(fd, "what it holds", 13) != 13 || fstat(fd, &st) < 0)
		abort();
	close(fd);
	mount = (struct mm_mount){.dev = st.st_dev, .klass = MM_FD_OWN};
	if (!flags) {
		P->mounts = &mount;
		P->mounts_count = 1;
	}
	hook = NULL;
}

static void begin(void)
{
	strcpy(folder + strlen(folder) - 6, "XXXXXX");
	if (!mkdtemp(folder))
		abort();
	snprintf(path, sizeof(path), "%s/f", folder);
}

static void end(void)
{
	unlink(path);
	rmdir(folder);
}

/* The leader's answer to the call for which put_call has just been made. */
static void answer(s64 ret, int made, int made_kind, u32 rules)
{
	struct {
		struct mm_rec rec;
		struct mm_result result;
	} r = {.rec = {.size = sizeof(r), .kind = MM_REC_RESULT, .nr = T->call.nr, .seq = T->seq + 1},
	       .result = {
		   .ret = ret, .made = (u8)made, .made_kind = (u8)made_kind, .rules = rules, .dev = st.st_dev, .ino = st.st_ino}};

	put(&r, sizeof(r));
}

/* The number that the next descriptor of this process gets. */
static s64 lowest(void)
{
	int fd = open("/dev/null", O_RDONLY);

	close(fd);
	return fd;
}

static int hold(long nr, const u64 a[6], long *result)
{
	if (nr != __NR_dup3 || !mm_fd_is_own(P, a[0]))
		return 0;
	*result = (long)a[1]; /* the placeholder of what is not there */
	return 1;
}

/* Whose a file is. */
static void whose(void)
{
	static const char maps[] = "/proc/self/maps", differs[] = RULE("\0", "\2"), own[] = RULE("\0", "\3");
	const struct {
		const char *name, *path, *rules;
		u32 flags;
		int made, kind;
		enum outcome how;
	} table[] = {
	    {"shared, as it is", path, NULL, MM_START_FS_SHARED, MM_FD_SHARED, MM_KIND_FILE, RETURNED},
	    {"shared, said to be the leader's", path, NULL, MM_START_FS_SHARED, MM_FD_LEADER, MM_KIND_FILE, RETURNED},
	    {"shared, said to be everyone's own", path, NULL, MM_START_FS_SHARED, MM_FD_OWN, MM_KIND_FILE, DIVERGED},
	    {"shared, said to be everyone's own by a rule", path, own, MM_START_FS_SHARED, MM_FD_OWN, MM_KIND_FILE, DIVERGED},
	    {"shared, said to be a list of mappings", path, NULL, MM_START_FS_SHARED, MM_FD_PRIVATE, 1, DIVERGED},
	    {"a list of mappings", maps, NULL, MM_START_FS_SHARED, MM_FD_PRIVATE, 1, RETURNED},
	    {"a list of mappings of no name", maps, NULL, MM_START_FS_SHARED, MM_FD_PRIVATE, 0, DIVERGED},
	    {"a list of mappings of another name", maps, NULL, MM_START_FS_SHARED, MM_FD_PRIVATE, 2, DIVERGED},
	    {"own, as it is", path, NULL, 0, MM_FD_OWN, MM_KIND_FILE, RETURNED},
	    {"own, said to be the leader's", path, NULL, 0, MM_FD_LEADER, MM_KIND_FILE, DIVERGED},
	    {"own, said to be a device of the leader's", path, NULL, 0, MM_FD_LEADER, MM_KIND_OTHER, DIVERGED},
	    {"own, said to be shared", path, NULL, 0, MM_FD_SHARED, MM_KIND_FILE, DIVERGED},
	    {"own, with rules for others", path, differs, 0, MM_FD_OWN, MM_KIND_FILE, RETURNED},
	    {"the leader's, said to be own", "/proc/self/comm", NULL, 0, MM_FD_OWN, MM_KIND_FILE, DIVERGED},
	    {"the leader's, as it is", "/proc/self/comm", NULL, 0, MM_FD_LEADER, MM_KIND_FILE, RETURNED},
	    {"not here", "/tmp/unit-files-none", NULL, 0, MM_FD_LEADER, MM_KIND_FILE, RETURNED},
	};

	begin();
	for (u32 i = 0; i < sizeof(table) / sizeof(table[0]); i++) {
		follow(table[i].flags, table[i].rules, table[i].rules ? 16 : 0);
		strcpy((char *)user, table[i].path);
		hook = hold;
		s64 number = lowest();

		put_call(__NR_openat, MM_AT_FDCWD, (u64)user, O_RDONLY, 0, 0, 0);
		answer(number, table[i].made, table[i].kind, table[i].rules != NULL);
		enum outcome how = call(__NR_openat, MM_AT_FDCWD, (u64)user, O_RDONLY, 0, 0, 0);

		CHECK(how == table[i].how && (how == RETURNED || said_reason == MM_WHY_STREAM), "%s: %d, reason %u", table[i].name,
		      how, said_reason);
		if (how == RETURNED) {
			const struct mm_ofd *file = &P->ofds[P->fds[number].ofd];

			if (table[i].made == MM_FD_SHARED || table[i].made == MM_FD_OWN)
				CHECK(!file->rules, "%s: the leader's rules are believed", table[i].name);
			if (table[i].made == MM_FD_OWN)
				CHECK(file->data == MM_OWN_COMPARED, "%s: data %u", table[i].name, file->data);
		}
		close((int)number);
	}
	end();
}

/* A rule that exempts some files exempts no other file because the leader says so. */
static void rules_of_shared(void)
{
	struct {
		struct mm_rule rule;
		char pattern[8];
	} exempt = {{.nr = MM_NR_write, .check = MM_CHECK_EXEMPT, .bytes = 8}, "/other/*"};

	begin();
	follow(MM_START_FS_SHARED, (const char *)&exempt, sizeof(exempt));
	strcpy((char *)user, path);
	s64 number = lowest();

	put_call(__NR_openat, MM_AT_FDCWD, (u64)user, O_RDWR, 0, 0, 0);
	answer(number, MM_FD_SHARED, MM_KIND_FILE, 1);
	CHECK(call(__NR_openat, MM_AT_FDCWD, (u64)user, O_RDWR, 0, 0, 0) == RETURNED);
	put_call(__NR_write, (u64)number, (u64)user, 8, 0, 0, 0);
	CHECK(!T->call.exempt, "a write to a file that meets no rule");
	close((int)number);
	end();
}

/* A call by name that the leader says everyone makes: not to a file that is not this variant's own. */
static void names(void)
{
	const struct {
		const char *name;
		u32 flags;
		u64 dev;
		enum outcome how;
		int left;
	} table[] = {
	    {"own", 0, 0, RETURNED, 0},
	    {"on another file system", 0, 1, DIVERGED, 1},
	    {"shared", MM_START_FS_SHARED, 0, DIVERGED, 1},
	};

	begin();
	for (u32 i = 0; i < sizeof(table) / sizeof(table[0]); i++) {
		follow(table[i].flags, NULL, 0);
		if (table[i].dev)
			mount.klass = MM_FD_LEADER;
		strcpy((char *)user, path);
		put_call(__NR_unlink, (u64)user, 0, 0, 0, 0, 0);
		answer(0, MM_FD_OWN, 0, 0);
		enum outcome how = call(__NR_unlink, (u64)user, 0, 0, 0, 0, 0);

		CHECK(how == table[i].how, "%s: %d", table[i].name, how);
		CHECK((access(path, F_OK) == 0) == table[i].left, "%s", table[i].name);
	}
	end();
}

/* A name that the leader says a socket is bound to: nothing but a socket's file is made of it, and that only where it is own. */
static void bound(void)
{
	const struct {
		const char *name;
		u32 flags;
		int klass, family;
		enum outcome how;
		u32 mode; /* of what is there afterwards, 0: nothing */
	} table[] = {
	    {"own", 0, MM_FD_OWN, 1, RETURNED, S_IFSOCK | 0750},
	    {"on another file system", 0, MM_FD_LEADER, 1, DIVERGED, 0},
	    {"shared", MM_START_FS_SHARED, MM_FD_OWN, 1, DIVERGED, 0},
	    {"no name", 0, MM_FD_OWN, 2, DIVERGED, 0},
	};
	mode_t old = umask(027);

	begin();
	for (u32 i = 0; i < sizeof(table) / sizeof(table[0]); i++) {
		u64 bytes = 2 + strlen(path);

		unlink(path);
		follow(table[i].flags, NULL, 0);
		unlink(path);
		mount.klass = (u32)table[i].klass;
		*(u16 *)user = (u16)table[i].family;
		strcpy((char *)user + 2, path);
		put_call(__NR_bind, 5, (u64)user, bytes, 0, 0, 0);
		st.st_ino = S_IFBLK | 0777;
		answer(0, MM_FD_OWN, 0, 0);
		enum outcome how = call(__NR_bind, 5, (u64)user, bytes, 0, 0, 0);

		CHECK(how == table[i].how, "%s: %d", table[i].name, how);
		CHECK((lstat(path, &st) == 0 ? st.st_mode : 0) == table[i].mode, "%s", table[i].name);
	}
	umask(old);
	end();
}

/* A folder that is not here: only where it is the leader's, and what is named from there is not looked for in this variant's own. */
static void elsewhere(void)
{
	const struct {
		const char *name;
		long nr;
		int made;
		enum outcome how;
		const char *opens;
	} table[] = {
	    {"the leader's", __NR_chdir, MM_FD_LEADER, RETURNED, "f"},
	    {"own", __NR_chdir, MM_FD_OWN, DIVERGED, NULL},
	    {"shared", __NR_chdir, MM_FD_SHARED, DIVERGED, NULL},
	    {"nobody's", __NR_chdir, MM_FD_NONE, DIVERGED, NULL},
	    {"the leader's root", __NR_chroot, MM_FD_LEADER, RETURNED, path},
	    {"an own root", __NR_chroot, MM_FD_OWN, DIVERGED, NULL},
	};

	begin();
	for (u32 i = 0; i < sizeof(table) / sizeof(table[0]); i++) {
		follow(0, NULL, 0);
		if (chdir(folder) < 0)
			abort();
		strcpy((char *)user, "/tmp/unit-files-none");
		put_call(table[i].nr, (u64)user, 0, 0, 0, 0, 0);
		answer(0, table[i].made, 0, 0);
		enum outcome how = call(table[i].nr, (u64)user, 0, 0, 0, 0, 0);

		CHECK(how == table[i].how, "%s: %d", table[i].name, how);
		if (how != RETURNED)
			continue;
		hook = hold;
		s64 number = lowest();

		strcpy((char *)user, table[i].opens);
		put_call(__NR_openat, MM_AT_FDCWD, (u64)user, O_RDONLY, 0, 0, 0);
		answer(number, MM_FD_LEADER, MM_KIND_FILE, 0);
		CHECK(call(__NR_openat, MM_AT_FDCWD, (u64)user, O_RDONLY, 0, 0, 0) == RETURNED, "%s: a file", table[i].name);
		hook = NULL;
	}
	if (chdir("/") < 0)
		abort();
	end();
}

static int passed; /* what the leader passes */

static int pass(long nr, const u64 a[6], long *result)
{
	if (nr != __NR_recvmsg || a[0] != (u64)mm_own(P, MM_FD_PASS))
		return 0;
	struct {
		u64 name;
		u32 name_bytes, pad;
		struct {
			u64 *at, bytes;
		} * iov;
		u64 iov_count;
		struct {
			u64 bytes;
			s32 level, type, fd;
		} * control;
	} *h = (void *)a[1];

	*h->iov->at = T->seq;
	h->control->bytes = 20;
	h->control->type = 1;
	h->control->fd = dup(passed);
	*result = 8;
	return 1;
}

/* Data beside code: from this variant's own look at the file, whatever descriptor the leader passes. */
static void data_beside_code(void)
{
	const struct {
		const char *name;
		int same; /* the placeholder is of the file that the leader has opened */
		const char *maps;
	} table[] = {{"the same file", 1, "what it holds"}, {"another file here", 0, "what the leader passes"}};

	begin();
	for (u32 i = 0; i < sizeof(table) / sizeof(table[0]); i++) {
		int number, others = open("/tmp", O_TMPFILE | O_RDWR, 0600);

		follow(MM_START_FS_SHARED, NULL, 0);
		number = open(path, O_PATH);
		T->call.dev = st.st_dev;
		T->call.ino = st.st_ino + !table[i].same;
		mm_fd_make(T, (u64)number, MM_FD_SHARED, MM_KIND_FILE);
		if (write(others, "what the leader passes", 22) != 22)
			abort();
		passed = others;
		hook = pass;
		put_call(__NR_mmap, 0, 4096, 3, 2 /* MAP_PRIVATE */, (u64)number, 0);
		answer(0x1000, 0, 0, 0);
		CHECK(call(__NR_mmap, 0, 4096, 3, 2, (u64)number, 0) == RETURNED, "%s", table[i].name);
		CHECK(T->regs.ax > 4096 && T->regs.ax < ~4095ul && !strcmp((char *)T->regs.ax, table[i].maps), "%s", table[i].name);
		close(number);
		close(others);
	}
	end();
}

const struct unit file_units[] = {{"whose-file", whose},
				  {"rules-of-shared", rules_of_shared},
				  {"own-by-name", names},
				  {"bound", bound},
				  {"elsewhere", elsewhere},
				  {"data-beside-code", data_beside_code},
				  {NULL, NULL}};
