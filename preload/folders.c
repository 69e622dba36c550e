/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The working folder and the root. The leader goes there first and says whose the folder is; a follower goes to its own by the
 * same name. Where it has none, as of a folder below the leader's /tmp in memory, it stays where it is and remembers that it is
 * elsewhere: from then on it looks for what the program names from there at a place that cannot be, as it would find nothing by
 * the whole path either.
 *
 * A folder's descriptor that the program was given has no counterpart in any follower. With `fs: own` whatever is reached from it
 * by name is the leader's, wherever it lies.
 */
#include "monitor.h"
#include "table.gen.h"
#include <linux/errno.h>

#define NOWHERE 258u /* "/…/", with a name in it that no file system takes */

/* Is argument i a path that leads somewhere, and from which folder? Not the name of an attribute or object, the text of a link. */
static int is_place(const struct mm_call *c, int i, s32 *dir)
{
	const struct mm_arg *args = c->row->args;

	*dir = MM_AT_FDCWD;
	if ((args[i].kind & ~MM_A_OPT) != MM_A_PATH)
		return 0;
	if (i && args[i - 1].kind == MM_A_DIRFD) {
		*dir = (s32)c->a[i - 1];
		return 1;
	}
	return !i && !(c->row->nargs > 1 && args[1].kind == MM_A_DIRFD) && c->nr != MM_NR_memfd_create;
}

/* A follower: does the path begin at a folder that only the leader has? */
int mm_is_elsewhere(const struct mm_proc *p, s32 dir, const char *path)
{
	return path[0] == '/' ? p->root_elsewhere : path[0] && dir == MM_AT_FDCWD && p->cwd_elsewhere;
}

/* Is this the descriptor of a folder that the program did not open itself? */
static int is_given(struct mm_proc *p, s32 dir)
{
	const struct mm_fd *fd = mm_fd(p, (u32)dir);

	return fd && fd->klass == MM_FD_LEADER && fd->kind != MM_KIND_DIR;
}

/* A path of the program's, behind its comparison. A follower makes of it what is to be looked for here; it holds 4096 bytes. */
void mm_seek_path(struct mm_thread *t, int i, char *path)
{
	u64 n = strlen(path);
	s32 dir;

	if (!is_place(&t->call, i, &dir))
		return;
	if (n && path[0] != '/' && (dir == MM_AT_FDCWD ? t->proc->cwd_given : (u32)is_given(t->proc, dir)))
		t->call.given = 1;
	if (mm_is_leader(t->proc) || !mm_is_elsewhere(t->proc, dir, path))
		return;
	if (n >= 4096 - NOWHERE) /* its end still says what was drawn; it is too long to be found anywhere */
		n = 0;
	else
		memmove(path + NOWHERE, path, n + 1);
	path[0] = '/';
	memset(path + 1, 'x', NOWHERE - 2);
	if (n)
		path[NOWHERE - 1] = '/';
}

s64 mm_execute_folder(struct mm_thread *t)
{
	s64 ret = mm_app_call(t);

	if (ret == 0)
		t->call.made = mm_class_of_folder(t->proc, t->call.nr == MM_NR_chroot ? "/" : ".");
	return ret;
}

void mm_effect_folder(struct mm_thread *t, s64 ret)
{
	struct mm_call *c = &t->call;
	struct mm_proc *p = t->proc;
	u32 *elsewhere = c->nr == MM_NR_chroot ? &p->root_elsewhere : &p->cwd_elsewhere;
	int lost = c->nr == MM_NR_fchdir || mm_is_elsewhere(p, MM_AT_FDCWD, "x") || p->root_elsewhere;

	if (mm_failed(ret))
		return;
	if (ret != 0)
		mm_diverge(t, MM_WHY_STREAM);
	if (c->nr == MM_NR_fchdir)
		p->cwd_given = (u32)is_given(p, (s32)c->a[0]);
	else if (c->nr == MM_NR_chdir && !c->given)
		p->cwd_given = 0;
	if (mm_is_leader(p))
		return;
	if (p->cwd_given && c->nr != MM_NR_chroot) {
		*elsewhere = 1;
		return;
	}
	*elsewhere = mm_repeat(t) != 0;
	/* to what it has itself a follower goes; of a shared folder it may lack the way that the leader went */
	if (*elsewhere && c->made != MM_FD_LEADER && !(c->made == MM_FD_SHARED && lost))
		mm_diverge(t, MM_WHY_RESULT);
}
