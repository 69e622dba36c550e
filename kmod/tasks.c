// SPDX-License-Identifier: GPL-2.0
/*
 * Who is armed. A table of states by task: readers look under RCU, writers hold tasks_lock. A state is made when a thread arms
 * itself or when an armed thread makes another, and goes when its thread exits or executes another image. Each pins the module.
 */
#define pr_fmt(fmt) KBUILD_MODNAME ": " fmt
#include <linux/hashtable.h>
#include <linux/module.h>
#include <linux/sched/signal.h>
#include <linux/sched/task.h>
#include <linux/slab.h>
#include <linux/thread_info.h>
#include <linux/entry-common.h>
#include "monmod.h"
#include "trace.h"

static DEFINE_SPINLOCK(tasks_lock);
static DEFINE_HASHTABLE(table, 12);

atomic_t monmod_armed = ATOMIC_INIT(0);

unsigned int monmod_limit;
module_param_named(limit, monmod_limit, uint, 0644);
MODULE_PARM_DESC(limit, "armed threads at most; 0: as many as there is memory for");

bool monmod_active = true;
module_param_named(active, monmod_active, bool, 0644);
MODULE_PARM_DESC(active, "no: nothing more can be armed");

/* The state of a task, valid as long as the task runs (its own), or under RCU. */
notrace struct monmod_task *monmod_find(const struct task_struct *task)
{
	struct monmod_task *t, *found = NULL;

	preempt_disable_notrace(); /* a read-side section of RCU, and cheaper than rcu_read_lock() on preemptible kernels */
	hash_for_each_possible_rcu(table, t, node, (unsigned long)task) {
		if (t->task == task) {
			found = t;
			break;
		}
	}
	preempt_enable_notrace();
	return found;
}

static void free_state(struct work_struct *work)
{
	struct monmod_task *t = container_of(to_rcu_work(work), struct monmod_task, free);

	put_task_struct(t->task);
	monmod_space_put(t->space);
	kfree(t);
	module_put(THIS_MODULE); /* destroy_workqueue() waits for us */
}

/* Counts one more armed task, if the limit allows it. */
static bool count_one(void)
{
	unsigned int limit = READ_ONCE(monmod_limit);
	int n = atomic_read(&monmod_armed);

	do {
		if (limit && n >= limit)
			return false;
	} while (!atomic_try_cmpxchg(&monmod_armed, &n, n + 1));
	return true;
}

/* Takes over the caller's reference to the space, also when it fails. */
static struct monmod_task *new_state(struct task_struct *task, struct monmod_space *space, gfp_t how)
{
	struct monmod_task *t = NULL;

	if (count_one()) {
		t = kzalloc(sizeof(*t), how);
		if (!t)
			atomic_dec(&monmod_armed);
	}
	if (!t) {
		monmod_space_put(space);
		return NULL;
	}
	__module_get(THIS_MODULE); /* a descriptor of ours holds the module already */
	get_task_struct(task);
	t->task = task;
	t->space = space;
	INIT_RCU_WORK(&t->free, free_state);
	return t;
}

/* False: its session is closed, the task must not go on. */
static bool enter(struct monmod_task *t)
{
	struct monmod_session *s = t->space->session;
	bool open;

	spin_lock(&tasks_lock);
	open = !s->closed;
	hash_add_rcu(table, &t->node, (unsigned long)t->task);
	list_add(&t->peers, &s->tasks);
	spin_unlock(&tasks_lock);
	trace_monmod_armed(task_pid_nr(t->task), t->space->guard, true);
	return open;
}

static void leave(struct monmod_task *t)
{
	spin_lock(&tasks_lock);
	hash_del_rcu(&t->node);
	list_del(&t->peers);
	spin_unlock(&tasks_lock);
	trace_monmod_armed(task_pid_nr(t->task), t->space->guard, false);
	atomic_dec(&monmod_armed);
	queue_rcu_work(monmod_wq, &t->free);
}

/*
 * Sets what makes the kernel call syscall_user_dispatch() for the task. The range is kept as the original has it, so that a
 * call that nobody redirected would be a signal, not a way out. A sysctl that forbids Syscall User Dispatch is not asked.
 */
static void mark(struct task_struct *task, const struct monmod_task *t)
{
	task->syscall_dispatch.selector = NULL;
	task->syscall_dispatch.offset = t->gates;
	task->syscall_dispatch.len = t->gates_bytes;
	task->syscall_dispatch.on_dispatch = false;
	set_task_syscall_work(task, SYSCALL_USER_DISPATCH);
}

/* With the mutex held under which others ask whether they may trace us: who attaches has done so before, or finds us armed. */
static int arm_current(struct monmod_space *space, const struct mm_kmod_arm *arm)
{
	struct monmod_task *t;
	int err;

	if (!READ_ONCE(monmod_active))
		return -EPERM;
	if (current->ptrace)
		return -EBUSY; /* who traces already could write what it likes */
	if (monmod_find(current) || test_task_syscall_work(current, SYSCALL_USER_DISPATCH))
		return -EALREADY;
	if ((arm->gates | arm->gates_bytes) & ~PAGE_MASK || !arm->gates || !arm->gates_bytes ||
	    arm->gates_bytes > TASK_SIZE_MAX || arm->gates > TASK_SIZE_MAX - arm->gates_bytes || arm->entry >= TASK_SIZE_MAX ||
	    arm->entry - arm->gates < arm->gates_bytes || arm->announce - arm->gates < arm->gates_bytes || arm->pad)
		return -EINVAL;
	err = monmod_block_make(space, arm->block);
	if (err)
		return err;
	monmod_space_seal(space);
	kref_get(&space->refs);
	t = new_state(current, space, GFP_KERNEL_ACCOUNT);
	if (!t)
		return -EAGAIN;
	t->gates = arm->gates;
	t->gates_bytes = arm->gates_bytes;
	t->entry = arm->entry;
	t->handler = arm->handler;
	t->announce = arm->announce;
	t->block = monmod_block(space, arm->block);
	t->block_at = arm->block;
	mark(current, t);
	if (!enter(t)) {
		monmod_violation(space->session, current, MM_KMOD_CLOSED, NULL, -1);
		return -EOWNERDEAD;
	}
	monmod_shut_out(space);
	return 0;
}

int monmod_arm(struct monmod_space *space, const struct mm_kmod_arm *arm)
{
	struct mutex *guard = &current->signal->cred_guard_mutex;
	int err;

	if (mutex_lock_interruptible(guard))
		return -ERESTARTNOINTR;
	err = arm_current(space, arm);
	mutex_unlock(guard);
	return err;
}

int monmod_next(struct monmod_space *space, u64 at)
{
	struct monmod_task *t = monmod_find(current);
	int err;

	if (!t || t->space->session != space->session)
		return -ESRCH;
	space = t->space; /* a forked process has its parent's descriptor, and a space without one */
	if (at == t->block_at)
		return -EINVAL;
	err = monmod_block_make(space, at);
	if (err)
		return err;
	t->next = at;
	return 0;
}

/* A new task is armed before its first instruction, or has none. It is not running yet; preemption may be off. */
void monmod_forked(struct task_struct *parent, struct task_struct *child)
{
	struct monmod_task *of = monmod_find(parent), *t;
	struct monmod_space *space;
	unsigned long at;
	struct mm_kmod_block *block;

	if (!of)
		return;
	if (child->mm == parent->mm) {
		at = of->next; /* threads share the memory, not the block */
		of->next = 0;
		kref_get(&of->space->refs);
		space = of->space;
	} else {
		at = of->block_at;
		space = monmod_space_of(of->space->session, child->mm);
	}
	if (!space)
		goto cannot;
	block = at ? monmod_block(space, at) : NULL;
	if (!block) {
		monmod_space_put(space);
		goto cannot;
	}
	t = new_state(child, space, GFP_ATOMIC | __GFP_ACCOUNT);
	if (!t)
		goto cannot;
	t->gates = of->gates;
	t->gates_bytes = of->gates_bytes;
	t->entry = of->entry;
	t->handler = of->handler;
	t->announce = of->announce;
	t->block = block;
	t->block_at = at;
	mark(child, t);
	if (!enter(t))
		monmod_violation(space->session, child, MM_KMOD_CLOSED, NULL, -1);
	return;
cannot:
	monmod_violation(of->space->session, child, MM_KMOD_CHILD, NULL, -1);
}

/* The kernel has disarmed the task. Only the library may follow, which arms itself again. */
void monmod_executed(struct task_struct *task, struct inode *image)
{
	struct monmod_task *t = monmod_find(task);

	if (!t)
		return;
	if (READ_ONCE(t->space->session->library) != image)
		monmod_violation(t->space->session, task, MM_KMOD_EXEC, NULL, -1);
	leave(t);
}

void monmod_exited(struct task_struct *task)
{
	struct monmod_task *t = monmod_find(task);

	if (t)
		leave(t);
}

/* Kills what is armed, of one session or (NULL) all. A session is closed by it. */
void monmod_kill_all(struct monmod_session *only, u32 offence)
{
	struct monmod_task *t;
	int bucket;

	spin_lock(&tasks_lock);
	if (only) {
		only->closed = true;
		list_for_each_entry(t, &only->tasks, peers)
			monmod_violation(only, t->task, offence, NULL, -1);
	} else {
		hash_for_each(table, bucket, t, node)
			monmod_violation(t->space->session, t->task, offence, NULL, -1);
	}
	spin_unlock(&tasks_lock);
}
