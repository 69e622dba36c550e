// SPDX-License-Identifier: GPL-2.0
/*
 * Where the kernel calls us.
 *
 *   syscall_user_dispatch()          replaced for armed tasks: runs for tasks alone that have the work bit set, so that others
 *                                    pay nothing; programs that use Syscall User Dispatch themselves get the original
 *   security_ptrace_access_check()   answers -EPERM to who would write into an armed task
 *   emulate_vsyscall() and the like  refused in armed tasks: calls by the vsyscall page are no system calls to the processor
 *   tracepoints                      fork, exec, exit, signal delivery
 *
 * ftrace callbacks run where the function begins. They change nothing but the instruction pointer.
 */
#define pr_fmt(fmt) KBUILD_MODNAME ": " fmt
#include <linux/binfmts.h>
#include <linux/capability.h>
#include <linux/ftrace.h>
#include <linux/module.h>
#include <linux/ptrace.h>
#include <linux/signal.h>
#include <linux/tracepoint.h>
#include <linux/user_namespace.h>
#include <asm/trap_pf.h>
#include <asm/vsyscall.h>
#include "compat.h"
#include "monmod.h"

#define argument(fregs, n) ((n) ? monmod_registers(fregs)->si : monmod_registers(fregs)->di)
#define go_to(fregs, to) (monmod_registers(fregs)->ip = (unsigned long)(to))

/* What was found here is handed on in the place of the second argument, which syscall_user_dispatch() does not have. */
static void notrace on_dispatch(unsigned long ip, unsigned long parent, struct ftrace_ops *ops, struct ftrace_regs *fregs)
{
	struct monmod_task *t = monmod_find(current);

	if (!t)
		return;
	monmod_registers(fregs)->si = (unsigned long)t;
	go_to(fregs, monmod_syscall);
}

static notrace int deny_access(struct task_struct *child, unsigned int mode)
{
	return -EPERM;
}

static void notrace on_access(unsigned long ip, unsigned long parent, struct ftrace_ops *ops, struct ftrace_regs *fregs)
{
	struct task_struct *child = (struct task_struct *)argument(fregs, 0);
	unsigned int mode = argument(fregs, 1);

	if (!(mode & PTRACE_MODE_ATTACH) || likely(!atomic_read(&monmod_armed)))
		return;
	if (monmod_find(child) && !ns_capable_noaudit(&init_user_ns, CAP_SYS_PTRACE))
		go_to(fregs, deny_access);
}

static notrace bool deny_vsyscall(unsigned long error, struct pt_regs *regs, unsigned long at)
{
	struct monmod_task *t = monmod_find(current);

	if (t)
		monmod_violation(t->space->session, current, MM_KMOD_VSYSCALL, regs, -1);
	return true; /* killed: no need for a fault as well */
}

static void notrace on_vsyscall(unsigned long ip, unsigned long parent, struct ftrace_ops *ops, struct ftrace_regs *fregs)
{
	if (argument(fregs, 0) & X86_PF_INSTR && monmod_find(current)) /* others are accesses to data: a fault */
		go_to(fregs, deny_vsyscall);
}

#ifdef MONMOD_VSYSCALL_GP
static notrace bool deny_vsyscall_gp(struct pt_regs *regs)
{
	return deny_vsyscall(X86_PF_INSTR, regs, regs->ip);
}

static void notrace on_vsyscall_gp(unsigned long ip, unsigned long parent, struct ftrace_ops *ops, struct ftrace_regs *fregs)
{
	const struct pt_regs *regs = (struct pt_regs *)argument(fregs, 0);

	if ((regs->ip & PAGE_MASK) == VSYSCALL_ADDR && monmod_find(current))
		go_to(fregs, deny_vsyscall_gp);
}
#endif

/* Replaced for good: `echo 0 >/proc/sys/kernel/ftrace_enabled` is answered EBUSY. */
#define OPS(f) { .func = (f), .flags = FTRACE_OPS_FL_IPMODIFY | FTRACE_OPS_FL_PERMANENT }

static struct {
	char *function;
	struct ftrace_ops ops;
} replaced[] = {
	{ "syscall_user_dispatch", OPS(on_dispatch) },
	{ "security_ptrace_access_check", OPS(on_access) },
	{ MONMOD_VSYSCALL, OPS(on_vsyscall) },
#ifdef MONMOD_VSYSCALL_GP
	{ MONMOD_VSYSCALL_GP, OPS(on_vsyscall_gp) },
#endif
};

static void on_fork(void *data, struct task_struct *parent, struct task_struct *child)
{
	monmod_forked(parent, child);
}

static void on_exec(void *data, struct task_struct *task, pid_t old, struct linux_binprm *bprm)
{
	monmod_executed(task, file_inode(bprm->file));
}

/* Newer kernels hand over one more argument, which a probe need not take. */
static void on_exit(void *data, struct task_struct *task)
{
	monmod_exited(task);
}

static void on_signal(void *data, int signo, struct kernel_siginfo *info, struct k_sigaction *ka)
{
	struct monmod_task *t = monmod_find(current);

	if (t && (unsigned long)ka->sa.sa_handler == t->handler) {
		t->signals++;
		monmod_before_frame(t->space);
	}
}

static struct {
	const char *name;
	void *probe;
	struct tracepoint *at;
} probes[] = {
	{ "sched_process_fork", on_fork },
	{ "sched_process_exec", on_exec },
	{ "sched_process_exit", on_exit },
	{ "signal_deliver", on_signal },
};

static void look(struct tracepoint *tp, void *data)
{
	for (int i = 0; i < ARRAY_SIZE(probes); i++)
		if (!strcmp(tp->name, probes[i].name))
			probes[i].at = tp;
}

static void remove(int nreplaced, int nprobes)
{
	while (nreplaced-- > 0)
		unregister_ftrace_function(&replaced[nreplaced].ops);
	while (nprobes-- > 0)
		tracepoint_probe_unregister(probes[nprobes].at, probes[nprobes].probe, NULL);
	tracepoint_synchronize_unregister();
}

int monmod_hooks_add(void)
{
	int i, k, err;

	for_each_kernel_tracepoint(look, NULL);
	for (i = 0; i < ARRAY_SIZE(probes); i++) {
		err = probes[i].at ? tracepoint_probe_register(probes[i].at, probes[i].probe, NULL) : -ENOENT;
		if (err) {
			pr_err("cannot watch the tracepoint %s (%d): this kernel cannot be used with backend kmod, sud needs no module\n",
			       probes[i].name, err);
			remove(0, i);
			return err;
		}
	}
	for (k = 0; k < ARRAY_SIZE(replaced); k++) {
		struct ftrace_ops *ops = &replaced[k].ops;

		err = ftrace_set_filter(ops, replaced[k].function, strlen(replaced[k].function), 1);
		if (!err) {
			err = register_ftrace_function(ops);
			if (err)
				ftrace_free_filter(ops);
		}
		if (err) {
			pr_err("cannot replace %s() (%d): it is inlined, not traceable or replaced by a livepatch; sud needs no module\n",
			       replaced[k].function, err);
			remove(k, i);
			return err;
		}
	}
	return 0;
}

void monmod_hooks_remove(void)
{
	remove(ARRAY_SIZE(replaced), ARRAY_SIZE(probes));
	for (int i = 0; i < ARRAY_SIZE(replaced); i++)
		ftrace_free_filter(&replaced[i].ops);
}
