/* SPDX-License-Identifier: GPL-2.0 */
/* What the parts of the module offer each other. */
#ifndef MONMOD_MODULE_H
#define MONMOD_MODULE_H

#include <linux/list.h>
#include <linux/kref.h>
#include <linux/mm_types.h>
#include <linux/mutex.h>
#include <linux/rcupdate.h>
#include <linux/sched.h>
#include <linux/spinlock.h>
#include <linux/wait.h>
#include <linux/workqueue.h>
#include <monmod/kmod.h>

#define MONMOD_VIOLATIONS 64u /* kept per session until they are read */
#define MONMOD_RANGES 8u		/* mappings of one space */
#define MONMOD_HOT 32u
#define MONMOD_PAGES_MAX (64u << 20 >> PAGE_SHIFT)

/* An open /dev/monmod. Arming descriptors, spaces and tasks hold references; `closed` is final. */
struct monmod_session {
	struct kref refs;
	spinlock_t spaces_lock;
	struct list_head spaces; /* spaces_lock */
	struct inode *library;	 /* held; NULL: armed tasks may execute nothing. Set once */
	struct list_head tasks; /* tasks_lock */
	bool closed;		/* tasks_lock */
	spinlock_t violations_lock;
	unsigned int first, count; /* violations_lock */
	struct mm_kmod_violation violations[MONMOD_VIOLATIONS];
	struct pid *pids[MONMOD_VIOLATIONS];
	wait_queue_head_t readers;
};

/* The monitor's memory of one process (struct mm). A fork makes a copy of it. */
struct monmod_space {
	struct kref refs;
	struct monmod_session *session;
	struct list_head node; /* session->spaces_lock */
	struct mm_struct *mm;  /* compared only, never used */
	u32 guard;
	u64 token;
	bool keyed;	       /* mmap_lock: it has the key */
	bool sealed;	       /* spaces_lock: a thread is armed, nothing more is mapped */
	unsigned int mappings; /* spaces_lock: that live */
	unsigned int nranges;  /* spaces_lock */
	struct monmod_range {
		unsigned long at, first, pages;
		struct vm_area_struct *vma; /* mmap_lock; MM_KMOD_GUARD_PAGES */
		unsigned long low, high;    /* pages_lock: the pages that are in the page table lie in low … high - 1 */
	} ranges[MONMOD_RANGES];
	/* MM_KMOD_GUARD_PAGES: what the monitor uses in most calls. pages_lock */
	unsigned int nhot;
	struct monmod_hot {
		unsigned int range, page;
	} hot[MONMOD_HOT];
	struct page **pages; /* MONMOD_PAGES_MAX; filled under pages_lock, never taken away */
	struct mutex pages_lock;
};

/* An armed thread. Found by its task under RCU; its fields but `signals` and `next` do not change. */
struct monmod_task {
	struct hlist_node node; /* tasks_lock, RCU */
	struct list_head peers; /* tasks_lock */
	struct task_struct *task;
	struct monmod_space *space;
	unsigned long gates, gates_bytes, entry, handler, announce;
	struct mm_kmod_block *block; /* the kernel's address of … */
	unsigned long block_at;	     /* … the thread's */
	u64 next; /* block of the next thread made, 0: none. Written by the thread itself */
	unsigned int signals; /* handlers that were entered and have not announced themselves. The thread's own */
	struct rcu_work free;
};

/* main.c */
extern struct workqueue_struct *monmod_wq;

/* hooks.c: where the kernel calls us */
int monmod_hooks_add(void);
void monmod_hooks_remove(void);

/* dispatch.c: one call */
bool monmod_syscall(struct pt_regs *regs, struct monmod_task *t);
DECLARE_PER_CPU(u64, monmod_entries);
u64 monmod_entries_sum(void);

/* tasks.c: who is armed */
extern atomic_t monmod_armed;
extern unsigned int monmod_limit;
extern bool monmod_active;
struct monmod_task *monmod_find(const struct task_struct *task);
int monmod_arm(struct monmod_space *space, const struct mm_kmod_arm *arm);
int monmod_next(struct monmod_space *space, u64 block);
void monmod_forked(struct task_struct *parent, struct task_struct *child);
void monmod_executed(struct task_struct *task, struct inode *image);
void monmod_exited(struct task_struct *task);
void monmod_kill_all(struct monmod_session *only, u32 offence);

/* guard.c: who is inside */
u32 monmod_guards(void);
bool monmod_inside(const struct monmod_space *space, const struct pt_regs *regs);
void monmod_let_in(struct monmod_space *space, struct pt_regs *regs);
void monmod_shut_out(struct monmod_space *space);
int monmod_take_key(struct monmod_space *space, unsigned long *flags);
void monmod_before_frame(const struct monmod_space *space);

/* memory.c */
struct monmod_space *monmod_space_new(struct monmod_session *session, u32 guard);
void monmod_space_put(struct monmod_space *space);
struct monmod_space *monmod_space_of(struct monmod_session *session, struct mm_struct *mm);
int monmod_space_map(struct monmod_space *space, struct vm_area_struct *vma);
struct mm_kmod_block *monmod_block(struct monmod_space *space, unsigned long at);
int monmod_block_make(struct monmod_space *space, unsigned long at);
void monmod_space_seal(struct monmod_space *space);

/* pages.c: MM_KMOD_GUARD_PAGES */
bool monmod_pages_may_see(struct monmod_space *space, const struct vm_fault *vmf);
vm_fault_t monmod_pages_fault(struct monmod_space *space, struct vm_fault *vmf, struct page *page);
void monmod_pages_mapped(struct monmod_space *space, unsigned long at, struct vm_area_struct *vma);
void monmod_pages_show(struct monmod_space *space);
void monmod_pages_hide(struct monmod_space *space);

/* session.c */
int monmod_device_add(void);
void monmod_device_remove(void);
void monmod_session_get(struct monmod_session *s);
void monmod_session_put(struct monmod_session *s);
void monmod_violation(struct monmod_session *s, struct task_struct *task, u32 offence, const struct pt_regs *regs, u64 nr);
extern atomic64_t monmod_violations;

/* sysfs.c */
int monmod_sysfs_add(void);
void monmod_sysfs_remove(void);

#endif
