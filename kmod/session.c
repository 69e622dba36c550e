// SPDX-License-Identifier: GPL-2.0
/* /dev/monmod: sessions, arming descriptors, and what is said of violations. See include/monmod/kmod.h. */
#define pr_fmt(fmt) KBUILD_MODNAME ": " fmt
#include <linux/anon_inodes.h>
#include <linux/file.h>
#include <linux/fs.h>
#include <linux/miscdevice.h>
#include <linux/module.h>
#include <linux/pid.h>
#include <linux/pid_namespace.h>
#include <linux/poll.h>
#include <linux/ratelimit.h>
#include <linux/sched/signal.h>
#include <linux/slab.h>
#include <linux/uaccess.h>
#include "monmod.h"
#include "trace.h"

static_assert(MM_KMOD_IOC_INFO == _IOWR('M', 1, struct mm_kmod_info));
static_assert(MM_KMOD_IOC_LIBRARY == _IOW('M', 2, struct mm_kmod_library));
static_assert(MM_KMOD_IOC_ARMING == _IOW('M', 3, struct mm_kmod_arming));
static_assert(MM_KMOD_IOC_ARM == _IOW('M', 4, struct mm_kmod_arm));
static_assert(MM_KMOD_IOC_NEXT == _IOW('M', 5, struct mm_kmod_next));

atomic64_t monmod_violations = ATOMIC64_INIT(0);

static const char *const words[] = {
	[MM_KMOD_GATE] = "a call at the monitor's gate from outside",
	[MM_KMOD_COMPAT] = "a 32-bit call",
	[MM_KMOD_EXEC] = "another image executed",
	[MM_KMOD_UNMAPPED] = "the monitor's memory unmapped",
	[MM_KMOD_SIGNAL] = "a handler entered without a signal",
	[MM_KMOD_CHILD] = "a child that could not be armed",
	[MM_KMOD_VSYSCALL] = "a call by the vsyscall page",
	[MM_KMOD_CLOSED] = "its session ended",
	[MM_KMOD_RESET] = "reset by the operator",
};

/* Sessions */

void monmod_session_get(struct monmod_session *s)
{
	kref_get(&s->refs);
}

static void release_session(struct kref *refs)
{
	struct monmod_session *s = container_of(refs, struct monmod_session, refs);

	for (; s->count; s->count--, s->first++)
		put_pid(s->pids[s->first % MONMOD_VIOLATIONS]);
	iput(s->library);
	kfree(s);
}

void monmod_session_put(struct monmod_session *s)
{
	kref_put(&s->refs, release_session);
}

/*
 * Kills a task and says why. Callers may hold tasks_lock and must not sleep. The newest violations are lost when nobody reads.
 * regs: the program's, or NULL.
 */
void monmod_violation(struct monmod_session *s, struct task_struct *task, u32 offence, const struct pt_regs *regs, u64 nr)
{
	struct mm_kmod_violation v = { .offence = offence, .nr = nr, .ip = regs ? regs->ip : 0, .sp = regs ? regs->sp : 0 };
	unsigned long irq;

	send_sig(SIGKILL, task, 1);
	trace_monmod_violation(task_tgid_nr(task), offence, nr, v.ip);
	if (offence != MM_KMOD_CLOSED) {
		atomic64_inc(&monmod_violations);
		pr_warn_ratelimited("%s[%d] killed: %s\n", task->comm, task_tgid_nr(task), words[offence]);
	}
	spin_lock_irqsave(&s->violations_lock, irq);
	if (s->count < MONMOD_VIOLATIONS) {
		unsigned int i = (s->first + s->count++) % MONMOD_VIOLATIONS;

		s->violations[i] = v;
		s->pids[i] = get_pid(task_tgid(task));
	}
	spin_unlock_irqrestore(&s->violations_lock, irq);
	wake_up_interruptible(&s->readers);
}

/* The oldest one that was not read. False: there is none. */
static bool next_violation(struct monmod_session *s, struct mm_kmod_violation *v)
{
	struct pid *pid = NULL;
	unsigned long irq;

	spin_lock_irqsave(&s->violations_lock, irq);
	if (s->count) {
		unsigned int i = s->first % MONMOD_VIOLATIONS;

		*v = s->violations[i];
		pid = s->pids[i];
		s->first++;
		s->count--;
	}
	spin_unlock_irqrestore(&s->violations_lock, irq);
	if (!pid)
		return false;
	v->pid = pid_vnr(pid);
	put_pid(pid);
	return true;
}

static ssize_t session_read(struct file *file, char __user *to, size_t bytes, loff_t *offset)
{
	struct monmod_session *s = file->private_data;
	struct mm_kmod_violation v;
	int err;

	if (bytes < sizeof(v))
		return -EINVAL;
	while (!next_violation(s, &v)) {
		if (file->f_flags & O_NONBLOCK)
			return -EAGAIN;
		err = wait_event_interruptible(s->readers, READ_ONCE(s->count));
		if (err)
			return err;
	}
	return copy_to_user(to, &v, sizeof(v)) ? -EFAULT : sizeof(v);
}

static __poll_t session_poll(struct file *file, poll_table *table)
{
	struct monmod_session *s = file->private_data;

	poll_wait(file, &s->readers, table);
	return READ_ONCE(s->count) ? EPOLLIN | EPOLLRDNORM : 0;
}

static int session_open(struct inode *inode, struct file *file)
{
	struct monmod_session *s = kzalloc(sizeof(*s), GFP_KERNEL_ACCOUNT);

	if (!s)
		return -ENOMEM;
	kref_init(&s->refs);
	spin_lock_init(&s->spaces_lock);
	spin_lock_init(&s->violations_lock);
	INIT_LIST_HEAD(&s->spaces);
	INIT_LIST_HEAD(&s->tasks);
	init_waitqueue_head(&s->readers);
	file->private_data = s;
	return nonseekable_open(inode, file);
}

static int session_release(struct inode *inode, struct file *file)
{
	struct monmod_session *s = file->private_data;

	monmod_kill_all(s, MM_KMOD_CLOSED);
	monmod_session_put(s);
	return 0;
}

/* Arming descriptors */

static int arming_mmap(struct file *file, struct vm_area_struct *vma)
{
	return monmod_space_map(file->private_data, vma);
}

static long do_arm(struct monmod_space *space, const void __user *from)
{
	struct mm_kmod_arm arm;

	if (copy_from_user(&arm, from, sizeof(arm)))
		return -EFAULT;
	if (arm.version != MM_KMOD_VERSION)
		return -EPROTO;
	return monmod_arm(space, &arm);
}

static long do_next(struct monmod_space *space, const void __user *from)
{
	struct mm_kmod_next next;

	if (copy_from_user(&next, from, sizeof(next)))
		return -EFAULT;
	if (next.version != MM_KMOD_VERSION)
		return -EPROTO;
	return next.pad ? -EINVAL : monmod_next(space, next.block);
}

static long arming_ioctl(struct file *file, unsigned int verb, unsigned long arg)
{
	struct monmod_space *space = file->private_data;

	switch (verb) {
	case MM_KMOD_IOC_ARM:
		if (READ_ONCE(space->nranges) && space->mm != current->mm)
			return -EPERM; /* it was passed on to, or inherited by, another process */
		return do_arm(space, (void __user *)arg);
	case MM_KMOD_IOC_NEXT:
		return do_next(space, (void __user *)arg);
	}
	return -ENOIOCTLCMD;
}

static int arming_release(struct inode *inode, struct file *file)
{
	monmod_space_put(file->private_data);
	return 0;
}

static const struct file_operations arming_operations = {
	.owner = THIS_MODULE,
	.mmap = arming_mmap,
	.unlocked_ioctl = arming_ioctl,
	.release = arming_release,
};

/* Verbs of a session */

static long do_info(void __user *at)
{
	struct mm_kmod_info info;

	if (copy_from_user(&info, at, sizeof(info)))
		return -EFAULT;
	if (info.version != MM_KMOD_VERSION)
		return -EPROTO;
	info = (struct mm_kmod_info){ .version = MM_KMOD_VERSION, .guards = monmod_guards(), .active = READ_ONCE(monmod_active) };
	return copy_to_user(at, &info, sizeof(info)) ? -EFAULT : 0;
}

static long do_library(struct monmod_session *s, const void __user *from)
{
	struct mm_kmod_library library;
	struct inode *inode;
	struct file *file;

	if (copy_from_user(&library, from, sizeof(library)))
		return -EFAULT;
	if (library.version != MM_KMOD_VERSION)
		return -EPROTO;
	file = fget_raw(library.fd);
	if (!file)
		return -EBADF;
	inode = igrab(file_inode(file));
	fput(file);
	if (!inode)
		return -ESTALE;
	if (cmpxchg(&s->library, NULL, inode)) {
		iput(inode);
		return -EBUSY;
	}
	return 0;
}

static long do_arming(struct monmod_session *s, const void __user *from)
{
	struct mm_kmod_arming arming;
	struct monmod_space *space;
	int fd;

	if (copy_from_user(&arming, from, sizeof(arming)))
		return -EFAULT;
	if (arming.version != MM_KMOD_VERSION)
		return -EPROTO;
	if (arming.guard > 31 || !(monmod_guards() >> arming.guard & 1))
		return -EINVAL;
	space = monmod_space_new(s, arming.guard);
	if (!space)
		return -ENOMEM;
	fd = anon_inode_getfd("[monmod]", &arming_operations, space, O_RDWR | O_CLOEXEC);
	if (fd < 0)
		monmod_space_put(space);
	return fd;
}

static long session_ioctl(struct file *file, unsigned int verb, unsigned long arg)
{
	struct monmod_session *s = file->private_data;

	switch (verb) {
	case MM_KMOD_IOC_INFO:
		return do_info((void __user *)arg);
	case MM_KMOD_IOC_LIBRARY:
		return do_library(s, (void __user *)arg);
	case MM_KMOD_IOC_ARMING:
		return do_arming(s, (void __user *)arg);
	}
	return -ENOIOCTLCMD;
}

static const struct file_operations session_operations = {
	.owner = THIS_MODULE,
	.open = session_open,
	.release = session_release,
	.read = session_read,
	.poll = session_poll,
	.unlocked_ioctl = session_ioctl,
};

/* Root's: what others may reach of a module is what they may attack. An administrator can give the node to others. */
static struct miscdevice device = {
	.minor = MISC_DYNAMIC_MINOR,
	.name = "monmod",
	.fops = &session_operations,
	.mode = 0600,
};

int monmod_device_add(void)
{
	return misc_register(&device);
}

void monmod_device_remove(void)
{
	misc_deregister(&device);
}
