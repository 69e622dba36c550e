/* SPDX-License-Identifier: Apache-2.0 */
/* What armed programs may do, and when they end: `life NAME` runs one check. */
#include "client.h"

uint64_t before[16], after[16], flags_before, flags_after, red_before[16], red_after[16];
uint8_t vectors_before[256], vectors_after[256];
extern char probe_end[];
void probe(void);

/* getppid with every register, the flags and the red zone filled. Order: rbx rdx rsi rdi rbp r8 r9 r10 r12 r13 r14 r15 rsp rax rcx r11 */
__asm__(
    ".text\n"
    "probe:\n"
    "	push %rbx\n	push %rbp\n	push %r12\n	push %r13\n	push %r14\n	push %r15\n"
    ".irp i,0,1,2,3,4,5,6,7,8,9,10,11,12,13,14,15\n"
    "	movdqu vectors_before+16*\\i(%rip), %xmm\\i\n"
    "	mov red_before+8*\\i(%rip), %rax\n"
    "	mov %rax, -128+8*\\i-8(%rsp)\n"
    ".endr\n"
    "	mov before(%rip), %rbx\n	mov before+8(%rip), %rdx\n	mov before+16(%rip), %rsi\n	mov before+24(%rip), %rdi\n"
    "	mov before+32(%rip), %rbp\n	mov before+40(%rip), %r8\n	mov before+48(%rip), %r9\n	mov before+56(%rip), %r10\n"
    "	mov before+64(%rip), %r12\n	mov before+72(%rip), %r13\n	mov before+80(%rip), %r14\n	mov before+88(%rip), %r15\n"
    "	mov %rsp, before+96(%rip)\n"
    "	pushq flags_before(%rip)\n	popfq\n	lea -8(%rsp), %rsp\n"
    "	mov $110, %eax\n"
    "	syscall\n"
    "probe_end:\n"
    "	mov %rbx, after(%rip)\n	mov %rdx, after+8(%rip)\n	mov %rsi, after+16(%rip)\n	mov %rdi, after+24(%rip)\n"
    "	mov %rbp, after+32(%rip)\n	mov %r8, after+40(%rip)\n	mov %r9, after+48(%rip)\n	mov %r10, after+56(%rip)\n"
    "	mov %r12, after+64(%rip)\n	mov %r13, after+72(%rip)\n	mov %r14, after+80(%rip)\n	mov %r15, after+88(%rip)\n"
    "	lea 8(%rsp), %rsp\n"
    "	mov %rsp, after+96(%rip)\n	mov %rax, after+104(%rip)\n	mov %rcx, after+112(%rip)\n	mov %r11, after+120(%rip)\n"
    ".irp i,0,1,2,3,4,5,6,7,8,9,10,11,12,13,14,15\n"
    "	movdqu %xmm\\i, vectors_after+16*\\i(%rip)\n"
    "	mov -128+8*\\i-8(%rsp), %rax\n"
    "	mov %rax, red_after+8*\\i(%rip)\n"
    ".endr\n"
    "	pushfq\n	popq flags_after(%rip)\n	cld\n"
    "	pop %r15\n	pop %r14\n	pop %r13\n	pop %r12\n	pop %rbp\n	pop %rbx\n"
    "	ret\n");

static int same_registers(void)
{
	for (unsigned int i = 0; i < 16; i++) {
		before[i] = 0x1111111111111111u * (i + 1);
		red_before[i] = 0x0101010101010101u * (i + 7);
	}
	for (unsigned int i = 0; i < 256; i++)
		vectors_before[i] = (uint8_t)(i * 7 + 3);
	flags_before = 0xed7; /* C P A Z S D O, and interrupts */
	for (int n = 0; n < 100; n++) {
		probe();
		for (unsigned int i = 0; i < 13; i++)
			check(before[i] == after[i]);
		check((pid_t)after[13] == getppid() && after[14] == (uint64_t)probe_end && after[15] == flags_before &&
		      flags_after == flags_before);
		check(!memcmp(red_before, red_after, 128) && !memcmp(vectors_before, vectors_after, 256));
	}
	return 0;
}

static void registers(void)
{
	check(same_registers() == 0); /* as natively */
	check(ends(start(MM_KMOD_GUARD_TOKEN, same_registers)) == 0);
	check(ends(start(MM_KMOD_GUARD_NONE, same_registers)) == 0);
}

/* Numbers that there are not, and such as look like others'. */
static int nosys(void)
{
	static const long gap = 399, x32 = 0x40000000, wide = 0x100000000;
	const long numbers[] = {
	    -1, -512, gap, 1 << 20, 0x7fffffff, 0x80000000, x32 | SYS_getppid, x32 | 520, wide | SYS_getppid, wide | gap};
	for (unsigned int i = 0; i < sizeof(numbers) / sizeof(*numbers); i++) {
		long r = raw(numbers[i], 0, 0, 0, 0, 0, 0);

		check(r == ((numbers[i] & 0xffffffff) == SYS_getppid ? getppid() : -ENOSYS)); /* the kernel reads 32 bits */
	}
	return 0;
}

static void numbers(void)
{
	check(nosys() == 0);
	check(ends(start(MM_KMOD_GUARD_TOKEN, nosys)) == 0);
}

/* 0 where a call at a gate from outside has killed the child, so that it was armed. */
static int child_is_armed(void)
{
	pid_t pid = fork();

	if (!pid)
		_exit((int)client_call(SYS_getppid, 0, 0, 0) == getppid() ? 1 : 2);
	return ends(pid) == 128 + SIGKILL ? 0 : 1;
}

static int forks(void)
{
	char *shared = memory + MEMORY - SLOT;
	pid_t self = getpid(), pid;

	*shared = 1;
	pid = fork();
	if (!pid) {
		check(*shared == 1 && getppid() == self && number_in("armed") == 2);
		*shared = 2;
		check(same_registers() == 0);
		check(child_is_armed() == 0);
		_exit(7);
	}
	check(ends(pid) == 7 && *shared == 1);
	return child_is_armed();
}

static void forked(void)
{
	struct mm_kmod_violation v;

	check(ends(start(MM_KMOD_GUARD_TOKEN, forks)) == 0);
	for (int i = 0; i < 2; i++) {
		v = violation();
		check(v.offence == MM_KMOD_GATE && v.nr == SYS_getppid && v.pid > 0);
	}
	check(violation().offence == 0);
}

static char stack[65536] __attribute__((aligned(16)));
static volatile long seen;

static void in_thread(void)
{
	long r = raw(SYS_getppid, 0, 0, 0, 0, 0, 0);

	for (int i = 0; i < 1000; i++)
		if (raw(SYS_getppid, 0, 0, 0, 0, 0, 0) != r)
			r = -1;
	seen = r;
	for (;;)
		raw(SYS_exit, 0, 0, 0, 0, 0, 0);
}

static int makes_thread(void)
{
	pid_t parent = getppid();

	seen = 0;
	check(next(1) == 0);
	check(thread(in_thread, stack + sizeof(stack)) > 0);
	while (!seen)
		check(getppid() == parent);
	return seen == parent ? 0 : 1;
}

/* A process that was forked from an armed one has no descriptor of its own. */
static int makes_thread_in_child(void)
{
	pid_t pid = fork();

	if (!pid)
		_exit(makes_thread());
	return ends(pid);
}

static void threads(void)
{
	check(ends(start(MM_KMOD_GUARD_TOKEN, makes_thread)) == 0);
	check(ends(start(MM_KMOD_GUARD_TOKEN, makes_thread_in_child)) == 0);
	check(violation().offence == 0);
}

static int makes_stray_thread(void)
{
	thread(in_thread, stack + sizeof(stack));
	sleep(10);
	return 0;
}

static int vforks(void)
{
	pid_t pid = vfork();

	if (!pid)
		_exit(7);
	return ends(pid);
}

static int vforks_well(void)
{
	check(next(1) == 0);
	check(vforks() == 7);
	check(next(1) == 0);
	return vforks() == 7 ? 0 : 1;
}

static void vforked(void)
{
	check(ends(start(MM_KMOD_GUARD_TOKEN, vforks_well)) == 0);
	check(violation().offence == 0);
}

static void strays(void)
{
	struct mm_kmod_violation v;
	pid_t pid = start(MM_KMOD_GUARD_TOKEN, makes_stray_thread);

	check(ends(pid) == 128 + SIGKILL);
	v = violation();
	check(v.offence == MM_KMOD_CHILD && v.pid == (uint32_t)pid);
	pid = start(MM_KMOD_GUARD_TOKEN, vforks);
	check(ends(pid) == 128 + SIGKILL); /* what its child ended by */
	v = violation();
	check(v.offence == MM_KMOD_CHILD && v.pid != (uint32_t)pid);
}

static int executes(void)
{
	execl("/bin/true", "true", (char *)NULL);
	return 1;
}

static int executes_itself(void)
{
	execl("/proc/self/exe", "life", "fresh", (char *)NULL);
	return 1;
}

static void executed(void)
{
	struct mm_kmod_library library = {MM_KMOD_VERSION, open("/proc/self/exe", O_PATH)};
	struct mm_kmod_violation v;
	pid_t pid = start(MM_KMOD_GUARD_TOKEN, executes_itself);

	check(ends(pid) == 128 + SIGKILL && violation().offence == MM_KMOD_EXEC); /* nothing is registered yet */
	check(ioctl(session, MM_KMOD_IOC_LIBRARY, &library) == 0);
	check(ioctl(session, MM_KMOD_IOC_LIBRARY, &library) == -1 && errno == EBUSY);
	pid = start(MM_KMOD_GUARD_TOKEN, executes);
	check(ends(pid) == 128 + SIGKILL);
	v = violation();
	check(v.offence == MM_KMOD_EXEC && v.pid == (uint32_t)pid);
	check(ends(start(MM_KMOD_GUARD_TOKEN, executes_itself)) == 0);
	check(violation().offence == 0);
}

/* What an armed program executed: it is not armed any more, and may be again. */
static void fresh(void)
{
	check(number_in("armed") == 0);
	check(ends(start(MM_KMOD_GUARD_TOKEN, same_registers)) == 0);
}

static int exits(void)
{
	return number_in("armed") == 1 ? 0 : 1;
}

static void dropped(void)
{
	check(number_in("armed") == 0);
	check(ends(start(MM_KMOD_GUARD_TOKEN, exits)) == 0);
	check(number_in("armed") == 0);
}

static void sleeper(void)
{
	ends(start(MM_KMOD_GUARD_TOKEN, waits));
}

static void closed(void)
{
	pid_t pid = start(MM_KMOD_GUARD_TOKEN, waits), supervisor;
	int end[2];
	char c;

	until_armed(1);
	close(session);
	check(ends(pid) == 128 + SIGKILL && number_in("armed") == 0);
	check(pipe(end) == 0);
	supervisor = fork();
	if (!supervisor) {
		open_session();
		start(MM_KMOD_GUARD_TOKEN, waits);
		waits();
	}
	close(end[1]);
	until_armed(1);
	kill(supervisor, SIGKILL);
	check(ends(supervisor) == 128 + SIGKILL);
	check(read(end[0], &c, 1) == 0); /* nobody is left */
}

/* A descriptor that outlives its session arms nothing. */
static void late(void)
{
	pid_t pid;

	open_arming(MM_KMOD_GUARD_TOKEN);
	close(session);
	pid = fork();
	if (!pid) {
		map_memory();
		arm();
		_exit(0);
	}
	check(ends(pid) == 128 + SIGKILL && number_in("armed") == 0);
}

static int breaks(void)
{
	return (int)client_call(SYS_getppid, 0, 0, 0);
}

/* The reader is outside of the killed process's PID namespace. */
static void namespace(void)
{
	pid_t pid;

	check(unshare(CLONE_NEWPID) == 0);
	pid = start(MM_KMOD_GUARD_TOKEN, breaks);
	check(ends(pid) == 128 + SIGKILL && violation().pid == (uint32_t)pid);
}

/* The reader is the namespace's first process. */
static void inside(void)
{
	pid_t pid = start(MM_KMOD_GUARD_TOKEN, breaks);

	check(getpid() == 1 && pid == 2 && ends(pid) == 128 + SIGKILL && violation().pid == 2);
}

static int forks_at_limit(void)
{
	pid_t pid = fork();

	return !pid ? 0 : ends(pid);
}

static void switches(void)
{
	struct mm_kmod_info info = {.version = MM_KMOD_VERSION};
	pid_t pid;

	check(ioctl(session, MM_KMOD_IOC_INFO, &info) == 0 && info.active == 1 && (info.guards & 3) == 3);
	open_arming(MM_KMOD_GUARD_TOKEN);
	map_memory();
	set("active", "0");
	check(ioctl(session, MM_KMOD_IOC_INFO, &info) == 0 && info.active == 0);
	check(arm() == -1 && errno == EPERM);
	set("active", "1");
	set("limit", "1");
	pid = start(MM_KMOD_GUARD_TOKEN, waits);
	until_armed(1);
	open_arming(MM_KMOD_GUARD_TOKEN);
	map_memory();
	check(arm() == -1 && errno == EAGAIN);
	set("reset", "1");
	check(ends(pid) == 128 + SIGKILL && violation().offence == MM_KMOD_RESET);
	check(ends(start(MM_KMOD_GUARD_TOKEN, forks_at_limit)) == 128 + SIGKILL && violation().offence == MM_KMOD_CHILD);
	set("limit", "0");
	check(number_in("armed") == 0);
}

static int is_signalled(void)
{
	for (int i = 0; i < 100; i++) {
		signals = 0;
		check(handle(SIGUSR1) == 0);
		check(kill(getpid(), SIGUSR1) == 0 && signals == SIGUSR1);
		check(raise(SIGUSR1) == 0);
	}
	return child_is_armed();
}

static void signalled(void)
{
	check(ends(start(MM_KMOD_GUARD_TOKEN, is_signalled)) == 0);
	check(ends(start(MM_KMOD_GUARD_NONE, is_signalled)) == 1);
}

/* Programs that use Syscall User Dispatch themselves. */
#define PR_SET_SYSCALL_USER_DISPATCH 59
static volatile char selector;
static volatile int sigsys, sigsys_nr;

static void on_sigsys(int signal, siginfo_t *info, void *context)
{
	(void)signal;
	(void)context;
	selector = 0;
	sigsys++;
	sigsys_nr = info->si_syscall;
}

static void sud(void)
{
	static const char code[] = "\xb8\x6e\x00\x00\x00\x0f\x05\xc3"; /* mov $110, %eax; syscall; ret */
	struct sigaction sa = {.sa_sigaction = on_sigsys, .sa_flags = SA_SIGINFO};
	pid_t armed = start(MM_KMOD_GUARD_TOKEN, waits), pid;

	until_armed(1);
	check(sigaction(SIGSYS, &sa, NULL) == 0);
	pid = fork();
	if (!pid) { /* by the selector */
		check(prctl(PR_SET_SYSCALL_USER_DISPATCH, 1, 0, 0, &selector) == 0);
		for (int i = 0; i < 100; i++) {
			selector = 1;
			getppid();
			check(selector == 0 && sigsys == i + 1 && sigsys_nr == SYS_getppid);
			check(getppid() == getppid() && sigsys == i + 1);
		}
		_exit(0);
	}
	check(ends(pid) == 0);
	pid = fork();
	if (!pid) { /* by the range: what lies below a page of its own */
		char *page = mmap((void *)0x10000000, PAGE, PROT_READ | PROT_WRITE | PROT_EXEC,
				  MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0);

		check(page != MAP_FAILED);
		memcpy(page, code, sizeof(code));
		check(prctl(PR_SET_SYSCALL_USER_DISPATCH, 1, 0, page, NULL) == 0);
		((void (*)(void))page)();
		check(sigsys == 1 && sigsys_nr == SYS_getppid);
		_exit(0);
	}
	check(ends(pid) == 0);
	open_arming(MM_KMOD_GUARD_TOKEN); /* who uses it cannot be armed */
	map_memory();
	check(prctl(PR_SET_SYSCALL_USER_DISPATCH, 1, 0, 0, &selector) == 0 && arm() == -1 && errno == EALREADY);
	check(kill(armed, SIGKILL) == 0 && ends(armed) == 128 + SIGKILL);
}

static const struct named_check all[] = {
    {"registers", registers}, {"numbers", numbers},   {"forked", forked},       {"threads", threads}, {"vforked", vforked},
    {"strays", strays},       {"executed", executed}, {"dropped", dropped},     {"closed", closed},   {"namespace", namespace},
    {"inside", inside},       {"switches", switches}, {"signalled", signalled}, {"sud", sud},         {"fresh", fresh},
    {"late", late},           {"sleeper", sleeper},
};

int main(int argc, char **argv)
{
	return run_check(all, sizeof(all) / sizeof(*all), argc, argv);
}
