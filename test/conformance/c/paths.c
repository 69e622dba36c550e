/* Names in the file system: making, removing, renaming, linking, listing, and where a process stands. */
#include "check.h"

#include <dirent.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/inotify.h>
#include <sys/stat.h>

CASE(folders, NORMAL, "mkdir mkdirat rmdir unlinkat")
{
	T(mkdir("d", 0755));
	T(mkdir("d", 0755));
	T(mkdir("d/e/f", 0755));
	T(mkdir("", 0755));
	T(raw(SYS_mkdir, LOW, 0755));
	T(raw(SYS_mkdir, "g", GARBAGE(0700)));
	long fd = T(open("d", O_RDONLY | O_DIRECTORY));
	T(mkdirat((int)fd, "e", 0700));
	T(mkdirat((int)fd, "e", 0700));
	T(mkdirat(99, "e", 0700));
	T(raw(SYS_mkdirat, GARBAGE(AT_FDCWD), "h", 0755));
	T(raw(SYS_mkdirat, AT_FDCWD, NULL, 0755));
	T(rmdir("d"));
	T(rmdir("absent"));
	T(rmdir("."));
	T(raw(SYS_rmdir, KERNEL));
	make_file("file", 1);
	T(rmdir("file"));
	T(mkdir("file/x", 0755));
	T(unlinkat((int)fd, "e", 0));
	T(unlinkat((int)fd, "e", AT_REMOVEDIR));
	T(rmdir("d"));
	T(rmdir("g"));
	T(openat((int)fd, "after", O_CREAT | O_RDWR, 0600));
}

CASE(unlinking, NORMAL, "unlink unlinkat read")
{
	char b[16];
	make_file("f", 10);
	T(open("f", O_RDWR));
	T(unlink("f"));
	T(unlink("f"));
	show("still there", b, T(read(3, b, 10)));
	T(write(3, "xyz", 3));
	struct stat s;
	T(fstat(3, &s));
	say("size %ld links %ld", (long)s.st_size, (long)s.st_nlink);
	T(mkdir("d", 0755));
	T(unlink("d"));
	T(unlink(""));
	T(raw(SYS_unlink, LOW));
	make_file("g", 1);
	T(unlinkat(AT_FDCWD, "g", 0));
	T(unlinkat(AT_FDCWD, "g", 0));
	T(unlinkat(AT_FDCWD, "g", 0x40));
	T(unlinkat(99, "g", 0));
	T(raw(SYS_unlinkat, AT_FDCWD, WILD, 0));
}

CASE(renaming, NORMAL, "rename renameat renameat2")
{
	make_file("a", 1);
	make_file("b", 2);
	T(mkdir("d", 0755));
	T(mkdir("full", 0755));
	make_file("full/x", 1);
	T(rename("a", "c"));
	T(rename("a", "c"));
	T(rename("c", "b"));
	T(access("c", F_OK));
	T(rename("b", "d"));
	T(rename("d", "b"));
	T(rename("d", "full"));
	T(rename("d", "d/inside"));
	T(rename("b", "absent/b"));
	T(raw(SYS_rename, LOW, "x"));
	T(raw(SYS_rename, "b", NULL));
	T(open("d", O_RDONLY | O_DIRECTORY));
	T(renameat(AT_FDCWD, "b", 3, "b"));
	T(renameat(99, "b", 3, "b"));
	T(raw(SYS_renameat, 3, "b", AT_FDCWD, "e"));
	T(raw(SYS_renameat, 3, LOW, AT_FDCWD, "e"));
	make_file("g", 3);
	T(raw(SYS_renameat2, AT_FDCWD, "e", AT_FDCWD, "g", 1 /* RENAME_NOREPLACE */));
	T(raw(SYS_renameat2, AT_FDCWD, "e", AT_FDCWD, "g", 2 /* RENAME_EXCHANGE */));
	struct stat s;
	T(stat("e", &s));
	say("size %ld", (long)s.st_size);
	T(raw(SYS_renameat2, AT_FDCWD, "e", AT_FDCWD, "g", 99));
	T(raw(SYS_renameat2, AT_FDCWD, "e", AT_FDCWD, LOW, 0));
	T(raw(SYS_renameat2, AT_FDCWD, "e", 99, "f", 0));
	T(raw(SYS_renameat2, GARBAGE(AT_FDCWD), "e", GARBAGE(AT_FDCWD), "f", GARBAGE(0)));
}

CASE(links, NORMAL, "link linkat symlink symlinkat readlink readlinkat")
{
	struct stat s;
	char b[64];
	make_file("f", 5);
	T(link("f", "hard"));
	T(stat("f", &s));
	say("links %ld", (long)s.st_nlink);
	T(link("f", "hard"));
	T(link("absent", "x"));
	T(link(".", "x"));
	T(raw(SYS_link, LOW, "x"));
	T(linkat(AT_FDCWD, "f", AT_FDCWD, "hard2", 0));
	T(linkat(99, "f", AT_FDCWD, "hard3", 0));
	T(linkat(AT_FDCWD, "f", AT_FDCWD, "hard3", 1 << 4));
	T(raw(SYS_linkat, AT_FDCWD, "f", AT_FDCWD, LOW, 0));
	T(open("f", O_RDONLY));
	T(linkat(3, "", AT_FDCWD, "hard4", AT_EMPTY_PATH));
	T(symlink("target/of/link", "soft"));
	T(symlink("x", "soft"));
	T(symlink("", "empty"));
	T(raw(SYS_symlink, LOW, "y"));
	T(raw(SYS_symlink, "y", NULL));
	T(symlinkat("f", AT_FDCWD, "soft2"));
	T(symlinkat("f", 99, "soft3"));
	T(raw(SYS_symlinkat, LOW, AT_FDCWD, "soft3"));
	memset(b, '#', sizeof b);
	T(readlink("soft", b, sizeof b));
	show("target", b, 16);
	memset(b, '#', sizeof b);
	T(readlink("soft", b, 6));
	show("cut", b, 8);
	T(readlink("f", b, sizeof b));
	T(readlink("absent", b, sizeof b));
	T(raw(SYS_readlink, "soft", b, 0));
	T(raw(SYS_readlink, "soft", b, -1));
	T(raw(SYS_readlink, "soft", LOW, 64));
	T(raw(SYS_readlink, "soft", edge(3), 64));
	T(raw(SYS_readlink, LOW, b, 64));
	T(readlinkat(AT_FDCWD, "soft2", b, sizeof b));
	T(readlinkat(99, "soft2", b, sizeof b));
	T(raw(SYS_readlinkat, AT_FDCWD, "soft2", LOW, 64));
	T(open("soft", O_PATH | O_NOFOLLOW));
	T(readlinkat(4, "", b, sizeof b));
	T(lstat("soft", &s));
	say("link %d size %ld", S_ISLNK(s.st_mode), (long)s.st_size);
	T(stat("soft", &s));
}

CASE(standing, NORMAL, "getcwd chdir fchdir mkdir")
{
	char b[PATH_MAX], start[PATH_MAX];
	T(getcwd(start, sizeof start) == start);
	size_t n = strlen(start);
	T(mkdir("d", 0755));
	T(mkdir("d/e", 0755));
	T(open(".", O_RDONLY | O_DIRECTORY));
	T(chdir("d/e"));
	T(raw(SYS_getcwd, b, sizeof b) == (long)n + 5);
	say("below: %s", b + n);
	T(chdir(".."));
	T(getcwd(b, sizeof b) == b);
	say("below: %s", b + n);
	T(raw(SYS_getcwd, b, 2));
	T(raw(SYS_getcwd, b, 0));
	T(raw(SYS_getcwd, LOW, 4096));
	T(raw(SYS_getcwd, NULL, 4096));
	T(raw(SYS_getcwd, edge(3), 4096));
	T(chdir("absent"));
	T(raw(SYS_chdir, LOW));
	T(raw(SYS_chdir, NULL));
	T(open("g", O_CREAT | O_RDWR, 0600));
	T(chdir("g"));
	T(fchdir(4));
	T(fchdir(99));
	T(fchdir(3));
	T(access("d/g", F_OK));
	T(chdir("d"));
	T(raw(SYS_fchdir, GARBAGE(3)));
	/* A folder that is gone. */
	T(chdir("d/e"));
	T(rmdir("../e"));
	T(raw(SYS_getcwd, b, sizeof b));
	T(access("x", F_OK));
	T(fchdir(3));
}

static int by_name(const void *a, const void *b)
{
	return strcmp(*(const char *const *)a, *(const char *const *)b);
}

CASE(listing, NORMAL, "getdents64 lseek")
{
	char *names[64], b[4096], small[16];
	size_t n = 0;
	for (int i = 0; i < 12; i++) {
		char name[16];
		snprintf(name, sizeof name, "name%02d", i * 7 % 12);
		make_file(name, (size_t)i);
	}
	T(mkdir("sub", 0755));
	DIR *d = opendir(".");
	struct dirent *e;
	while ((e = readdir(d)) != NULL && n < COUNT(names)) {
		if (e->d_type == DT_DIR)
			say("a folder");
		names[n++] = strdup(e->d_name);
	}
	qsort(names, n, sizeof *names, by_name);
	for (size_t i = 0; i < n; i++)
		say("%s", names[i]);
	rewinddir(d);
	for (n = 0; readdir(d) != NULL;)
		n++;
	say("again %zu", n);
	closedir(d);
	T(open(".", O_RDONLY | O_DIRECTORY));
	T(raw(SYS_getdents64, 3, small, sizeof small));
	T(raw(SYS_getdents64, 3, LOW, 4096));
	T(raw(SYS_getdents64, 3, b, 100) > 0);
	long total = 0, got;
	T(lseek(3, 0, SEEK_SET));
	while ((got = raw(SYS_getdents64, 3, b, 120)) > 0)
		for (long at = 0; at < got; at += *(unsigned short *)(b + at + 16))
			total++;
	say("entries %ld, then %ld", total, got);
	T(raw(SYS_getdents64, 99, b, sizeof b));
	T(open("name01", O_RDONLY));
	T(raw(SYS_getdents64, 4, b, sizeof b));
	T(raw(SYS_getdents64, GARBAGE(3), b, GARBAGE(sizeof b)));
}

CASE(fifos, NORMAL, "mknod mknodat openat read write")
{
	char b[16];
	struct stat s;
	T(mkfifo("p", 0640));
	T(mknod("q", S_IFIFO | 0600, 0));
	T(raw(SYS_mknod, "q", S_IFIFO | 0600, 0));
	T(mknodat(AT_FDCWD, "r", S_IFREG | 0600, 0));
	T(raw(SYS_mknodat, 99, "s", S_IFIFO, 0));
	T(raw(SYS_mknod, LOW, S_IFIFO, 0));
	T(raw(SYS_mknodat, AT_FDCWD, NULL, S_IFIFO, 0));
	T(mknod("bad", S_IFDIR | 0600, 0));
	T(stat("p", &s));
	say("fifo %d mode %o", S_ISFIFO(s.st_mode), s.st_mode & 07777);
	T(open("p", O_WRONLY | O_NONBLOCK));
	T(open("p", O_RDONLY | O_NONBLOCK));
	T(read(3, b, 4));
	T(open("p", O_WRONLY));
	T(write(4, "through", 7));
	show("got", b, T(read(3, b, sizeof b)));
	T(read(3, b, sizeof b));
	T(close(4));
	T(read(3, b, sizeof b));
	T(open("q", O_RDWR));
	T(write(4, "own", 3));
	T(read(4, b, 2));
	T(lseek(4, 0, SEEK_SET));
}

CASE(watching, NORMAL, "inotify_init inotify_init1 inotify_add_watch inotify_rm_watch read")
{
	char b[1024] __attribute__((aligned(8)));
	T(inotify_init1(IN_NONBLOCK | IN_CLOEXEC));
	T(inotify_init1(1 << 30));
	T(read(3, b, sizeof b));
	T(inotify_add_watch(3, ".", IN_CREATE | IN_DELETE | IN_MOVED_FROM | IN_MOVED_TO));
	T(inotify_add_watch(3, "absent", IN_CREATE));
	T(inotify_add_watch(3, ".", 0));
	T(inotify_add_watch(99, ".", IN_CREATE));
	T(inotify_add_watch(0, ".", IN_CREATE));
	T(raw(SYS_inotify_add_watch, 3, LOW, IN_CREATE));
	make_file("f", 1);
	T(rename("f", "g"));
	T(unlink("g"));
	T(read(3, b, 4));
	T(raw(SYS_read, 3, LOW, 512));
	long n = T(read(3, b, sizeof b));
	uint32_t cookie = 0;
	for (long at = 0; at < n;) {
		struct inotify_event *e = (struct inotify_event *)(b + at);
		say("event %#x of watch %d name %s cookie %s", e->mask, e->wd, e->len ? e->name : "",
		    !e->cookie ? "none" : e->cookie == cookie ? "as before" : "new");
		cookie = e->cookie;
		at += (long)(sizeof *e + e->len);
	}
	T(inotify_rm_watch(3, 1));
	T(inotify_rm_watch(3, 1));
	T(inotify_rm_watch(99, 1));
	n = T(read(3, b, sizeof b));
	say("mask %#x", ((struct inotify_event *)b)->mask);
	T(raw(SYS_inotify_init));
}
