/* SPDX-License-Identifier: Apache-2.0 */
/* Who may look at armed programs, and who may not: `watch NAME` runs one check. */
#include "client.h"
#include <linux/perf_event.h>

static void traced(void)
{
	pid_t pid = fork();

	if (!pid) {
		check(ptrace(PTRACE_TRACEME, 0, 0, 0) == 0);
		open_arming(MM_KMOD_GUARD_TOKEN);
		map_memory();
		check(arm() == -1 && errno == EBUSY);
		_exit(0);
	}
	check(ends(pid) == 0);
}

static int opens(const char *what, pid_t pid, int how)
{
	char path[64];
	int fd;

	snprintf(path, sizeof(path), "/proc/%d/%s", pid, what);
	fd = open(path, how);
	if (fd >= 0)
		close(fd);
	return fd >= 0;
}

static int attach(pid_t pid)
{
	if (ptrace(PTRACE_SEIZE, pid, 0, 0))
		return -errno;
	kill(pid, SIGKILL);
	return 0;
}

/* By the same user, who has no capability. */
static void attached(void)
{
	static char byte; /* lies where the child's does */
	struct iovec local = {&byte, 1}, remote = {&byte, 1};
	pid_t pid;

	check(setgid(1000) == 0 && setuid(1000) == 0 && prctl(PR_SET_DUMPABLE, 1, 0, 0, 0) == 0);
	pid = fork();
	if (!pid)
		waits();
	check(opens("mem", pid, O_RDWR) && process_vm_writev(pid, &local, 1, &remote, 1, 0) == 1);
	check(attach(pid) == 0 && ends(pid) == 128 + SIGKILL); /* as natively */
	pid = start(MM_KMOD_GUARD_TOKEN, waits);
	until_armed(1);
	check(attach(pid) == -EPERM);
	check(ptrace(PTRACE_ATTACH, pid, 0, 0) == -1 && errno == EPERM);
	check(process_vm_writev(pid, &local, 1, &remote, 1, 0) == -1 && errno == EPERM);
	check(!opens("mem", pid, O_RDWR));
	check(opens("status", pid, O_RDONLY) && opens("cmdline", pid, O_RDONLY) && opens("stat", pid, O_RDONLY) &&
	      opens("maps", pid, O_RDONLY));
	check(kill(pid, SIGKILL) == 0 && ends(pid) == 128 + SIGKILL);
}

/*
 * By who has CAP_SYS_PTRACE: as natively. The program makes its calls by the gate, so each is seen there too; the monitor's memory
 * is nobody's to read by way of the kernel.
 */
static char **its_memory;

static int asks(void)
{
	if (its_memory)
		*its_memory = memory;
	for (;;)
		check(getppid() > 0);
}

static void watched(void)
{
	int status, stops = 0;
	pid_t pid;

	its_memory = mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	pid = start(MM_KMOD_GUARD_TOKEN, asks);
	until_armed(1);
	while (!*(char *volatile *)its_memory)
		usleep(1000);
	check(ptrace(PTRACE_SEIZE, pid, 0, PTRACE_O_TRACESYSGOOD) == 0 && ptrace(PTRACE_INTERRUPT, pid, 0, 0) == 0);
	for (; stops < 20; stops++) {
		check(waitpid(pid, &status, __WALL) == pid && WIFSTOPPED(status));
		errno = 0;
		check(ptrace(PTRACE_PEEKDATA, pid, *its_memory, 0) == -1 && errno == EIO);
		check(ptrace(PTRACE_SYSCALL, pid, 0, 0) == 0);
	}
	check(waitpid(pid, &status, __WALL) == pid && ptrace(PTRACE_DETACH, pid, 0, 0) == 0);
	check(number_in("armed") == 1 && violation().offence == 0);
	check(kill(pid, SIGKILL) == 0 && ends(pid) == 128 + SIGKILL);
}

/* As perf record does: samples of the program's time, with its registers and stack, taken wherever it is. */
static void profiled(void)
{
	struct perf_event_attr attr = {
	    .type = PERF_TYPE_SOFTWARE,
	    .config = PERF_COUNT_SW_TASK_CLOCK,
	    .size = sizeof(attr),
	    .sample_period = 100000, /* ns */
	    .sample_type =
		PERF_SAMPLE_IP | PERF_SAMPLE_TID | PERF_SAMPLE_CALLCHAIN | PERF_SAMPLE_REGS_USER | PERF_SAMPLE_STACK_USER,
	    .sample_regs_user = 0xff0fff, /* all but segments */
	    .sample_stack_user = 8192,
	};
	struct perf_event_mmap_page *ring;
	pid_t pid = start(MM_KMOD_GUARD_TOKEN, asks);
	int fd;

	until_armed(1);
	fd = (int)syscall(SYS_perf_event_open, &attr, pid, -1, -1, 0);
	check(fd >= 0);
	ring = mmap(NULL, 65 * PAGE, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	check(ring != MAP_FAILED);
	for (int n = 0; n < 200; n++) {
		usleep(10000);
		check(kill(pid, 0) == 0 && waitpid(pid, NULL, WNOHANG) == 0);
		if (__atomic_load_n(&ring->data_head, __ATOMIC_ACQUIRE) > 20 * 8192ul)
			break;
		ring->data_tail = ring->data_head;
	}
	check(ring->data_head > 0);
	check(number_in("armed") == 1 && violation().offence == 0);
	check(kill(pid, SIGKILL) == 0 && ends(pid) == 128 + SIGKILL);
}

static const struct named_check all[] = {{"traced", traced}, {"attached", attached}, {"watched", watched}, {"profiled", profiled}};

int main(int argc, char **argv)
{
	return run_check(all, sizeof(all) / sizeof(*all), argc, argv);
}
