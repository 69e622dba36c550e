// SPDX-License-Identifier: GPL-2.0
/*
 * monmod: system calls of armed tasks go on in the monitor of their own process, without a signal.
 *
 * hooks.c stands where Syscall User Dispatch looks at a call; dispatch.c sends it on; tasks.c knows who is armed, through fork,
 * exec and exit; memory.c gives the monitor memory; session.c is /dev/monmod; sysfs.c is /sys/kernel/monmod.
 */
#define pr_fmt(fmt) KBUILD_MODNAME ": " fmt
#include <linux/module.h>
#include "monmod.h"

#define CREATE_TRACE_POINTS
#include "trace.h"

struct workqueue_struct *monmod_wq;

static int __init monmod_init(void)
{
	int err;

	monmod_wq = alloc_workqueue("monmod", WQ_UNBOUND, 0);
	if (!monmod_wq)
		return -ENOMEM;
	err = monmod_sysfs_add();
	if (err)
		goto no_sysfs;
	err = monmod_hooks_add();
	if (err)
		goto no_hooks;
	err = monmod_device_add();
	if (err)
		goto no_device;
	pr_info("module loaded\n");
	return 0;
no_device:
	monmod_hooks_remove();
no_hooks:
	monmod_sysfs_remove();
no_sysfs:
	destroy_workqueue(monmod_wq);
	return err;
}

static void __exit monmod_exit(void)
{
	monmod_device_remove();
	monmod_hooks_remove();
	monmod_sysfs_remove();
	rcu_barrier(); /* states of tasks that are on their way to the queue */
	destroy_workqueue(monmod_wq);
	pr_info("module unloaded\n");
}

module_init(monmod_init);
module_exit(monmod_exit);
MODULE_DESCRIPTION("Forwards system calls of monitored programs to their in-process monitor");
MODULE_AUTHOR("The monmod authors");
MODULE_LICENSE("GPL");
MODULE_VERSION("1");
