/* SPDX-License-Identifier: Apache-2.0 */
/* What is asked of the module: `arguments bad` has wrong ones, each answered by its error, `random` all kinds, `bomb` too much. */
#include "client.h"

static void answers(const char *what, int fd, unsigned long verb, void *argument, int error)
{
	errno = 0;
	if (ioctl(fd, verb, argument) != -1 || errno != error) {
		printf("%s: %s instead of %s\n", what, strerrorname_np(errno), strerrorname_np(error));
		exit(1);
	}
}

#define bad(error, change)                                            \
	do {                                                          \
		struct mm_kmod_arm a = arm_of(block(0));              \
		change;                                               \
		answers(#change, arming, MM_KMOD_IOC_ARM, &a, error); \
	} while (0)

/* What is to be executable newer kernels refuse by themselves. */
static void is_mapped(int error, size_t bytes, int flags, int protection, off_t at)
{
	void *p = mmap(NULL, bytes, protection, flags, arming, at);

	if (p != MAP_FAILED || (errno != error && !(protection & PROT_EXEC && errno == EPERM))) {
		printf("mmap of %zu bytes at %ld: %s\n", bytes, (long)at, p == MAP_FAILED ? strerrorname_np(errno) : "done");
		exit(1);
	}
}

/* Where processes end: with page tables of five levels an address has nine bits more. */
static uint64_t top(void)
{
	uint64_t high = (uint64_t)mmap((void *)(1ul << 50), PAGE, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	return (1ul << (high >> 47 ? 56 : 47)) - PAGE;
}

static void bad_arguments(void)
{
	const int both = PROT_READ | PROT_WRITE;
	struct mm_kmod_info info = {.version = 2};
	struct mm_kmod_library library = {MM_KMOD_VERSION, -1}, old = {0, 0};
	struct mm_kmod_arming new = {2, 0}, unknown = {MM_KMOD_VERSION, 4}, huge = {MM_KMOD_VERSION, 0xffffffff};
	struct mm_kmod_next n;
	pid_t pid;

	answers("info of another version", session, MM_KMOD_IOC_INFO, &info, EPROTO);
	answers("info nowhere", session, MM_KMOD_IOC_INFO, NULL, EFAULT);
	answers("info in the kernel", session, MM_KMOD_IOC_INFO, (void *)0xffffffff81000000, EFAULT);
	answers("library of another version", session, MM_KMOD_IOC_LIBRARY, &old, EPROTO);
	answers("library without a file", session, MM_KMOD_IOC_LIBRARY, &library, EBADF);
	answers("library nowhere", session, MM_KMOD_IOC_LIBRARY, NULL, EFAULT);
	answers("arming of another version", session, MM_KMOD_IOC_ARMING, &new, EPROTO);
	answers("arming with another guard", session, MM_KMOD_IOC_ARMING, &unknown, EINVAL);
	answers("arming with a guard that is no bit", session, MM_KMOD_IOC_ARMING, &huge, EINVAL);
	answers("a verb of an arming descriptor's", session, MM_KMOD_IOC_ARM, &new, ENOTTY);
	open_arming(MM_KMOD_GUARD_TOKEN);
	answers("a session's verb", arming, MM_KMOD_IOC_INFO, &info, ENOTTY);
	bad(EINVAL, (void)a); /* nothing is mapped: there is no block */
	is_mapped(EINVAL, PAGE, MAP_PRIVATE, both, 0);
	is_mapped(EINVAL, PAGE, MAP_SHARED, both | PROT_EXEC, 0);
	is_mapped(EINVAL, PAGE, MAP_SHARED, both, 64 << 20);
	is_mapped(EINVAL, (64 << 20) + PAGE, MAP_SHARED, both, 0);
	is_mapped(EINVAL, 2 * PAGE, MAP_SHARED, both, (64 << 20) - PAGE);
	map_memory();
	is_mapped(EBUSY, PAGE, MAP_SHARED, both, 0);
	is_mapped(EBUSY, MEMORY, MAP_SHARED, both, MEMORY - PAGE);
	pid = fork();
	if (!pid) { /* not this process's */
		is_mapped(EBUSY, PAGE, MAP_SHARED, both, MEMORY);
		bad(EPERM, (void)a);
		exit(0);
	}
	check(ends(pid) == 0);
	answers("arm nowhere", arming, MM_KMOD_IOC_ARM, NULL, EFAULT);
	bad(EPROTO, a.version = 0);
	bad(EPROTO, a.version = 2);
	bad(EINVAL, a.pad = 1);
	bad(EINVAL, a.gates++);
	bad(EINVAL, a.gates = 0);
	bad(EINVAL, a.gates_bytes = 0);
	bad(EINVAL, a.gates_bytes = -PAGE);
	bad(EINVAL, a.gates_bytes = -a.gates);
	bad(EINVAL, a.gates_bytes = 1);
	bad(EINVAL, a.gates = 0xffffffff81000000);
	bad(EINVAL, a.gates = top());
	bad(EINVAL, a.entry = a.gates);
	bad(EINVAL, a.entry = a.gates + a.gates_bytes - 1);
	bad(EINVAL, a.entry = 0xffffffff81000000);
	bad(EINVAL, a.announce = a.gates);
	bad(EINVAL, a.announce = a.gates + a.gates_bytes - 1);
	bad(EINVAL, a.block = 0);
	bad(EINVAL, a.block++);
	bad(EINVAL, a.block += 8);
	bad(EINVAL, a.block = (uint64_t)memory - PAGE);
	bad(EINVAL, a.block = (uint64_t)memory + MEMORY);
	bad(EINVAL, a.block = 0xffff888000000000);
	bad(EINVAL, a.block = 0xfffffffffffff000);
	n = (struct mm_kmod_next){MM_KMOD_VERSION, 0, block(1)};
	answers("next before it is armed", arming, MM_KMOD_IOC_NEXT, &n, ESRCH);
	check(arm() == 0);
	bad(EALREADY, (void)a);
	n.block = block(0);
	answers("its own block for the next", arming, MM_KMOD_IOC_NEXT, &n, EINVAL);
	n.block = block(1) + 1;
	answers("half a block for the next", arming, MM_KMOD_IOC_NEXT, &n, EINVAL);
	n = (struct mm_kmod_next){MM_KMOD_VERSION, 1, block(1)};
	answers("next with a flag", arming, MM_KMOD_IOC_NEXT, &n, EINVAL);
	n = (struct mm_kmod_next){0, 0, block(1)};
	answers("next of another version", arming, MM_KMOD_IOC_NEXT, &n, EPROTO);
	is_mapped(EBUSY, PAGE, MAP_SHARED, both, MEMORY);
	check(violation().offence == 0);
}

static uint64_t state;

static uint64_t any(uint64_t below)
{
	state ^= state << 13;
	state ^= state >> 7;
	state ^= state << 17;
	return below ? (state >> 11) % below : state;
}

/* An address or a number that is worth a try. */
static uint64_t value(void)
{
	switch (any(9)) {
	case 0:
		return any(4);
	case 1:
		return block((unsigned int)any(BLOCKS));
	case 2:
		return (uint64_t)memory + any(MEMORY) - PAGE;
	case 3:
		return (uint64_t)client_gates + any(2) * PAGE;
	case 4:
		return (uint64_t)client_entry;
	case 5:
		return any(64) * PAGE;
	case 6:
		return 0xffff800000000000 | any(0);
	case 7:
		return -any(64) * PAGE;
	}
	return any(0);
}

static void one(const int *fds)
{
	static const unsigned long verbs[] = {MM_KMOD_IOC_INFO, MM_KMOD_IOC_LIBRARY, MM_KMOD_IOC_ARMING, MM_KMOD_IOC_ARM,
					      MM_KMOD_IOC_NEXT};
	struct mm_kmod_arm a = arm_of(block((unsigned int)any(BLOCKS)));
	uint64_t *words = (uint64_t *)&a, addresses[3] = {(uint64_t)words, value(), 0};
	int fd = fds[any(3)];
	long r;

	words[0] = any(8) ? 1 : value();
	if (any(3))
		words[1 + any(6)] = value();
	switch (any(8)) {
	case 0:
		r = (long)mmap(any(2) ? NULL : (void *)(value() & ~0xfff), any(20) * PAGE, (int)any(8),
			       any(4) ? MAP_SHARED : (int)any(64), fd, (off_t)(any(2) ? any(20) * PAGE : value()));
		break;
	case 1:
		if (!any(8))
			munmap(memory + any(MEMORY), any(MEMORY));
		else
			madvise(memory + any(8) * PAGE, any(2) ? MEMORY : PAGE, (int)any(26));
		break;
	case 2:
		mremap(memory + any(8) * PAGE, any(3) * PAGE, any(8) * PAGE, (int)any(8), 0x30000000);
		break;
	default:
		r = ioctl(fd, any(16) ? verbs[any(5)] : any(0), (void *)addresses[any(16) ? 0 : any(3)]);
		if (r > 2)
			close((int)r);
	}
	if (!any(16)) {
		pid_t pid = fork();

		if (!pid) {
			memory[any(MEMORY)] = 1;
			_exit(0);
		}
		waitpid(pid, NULL, 0);
	}
}

/* Processes of 100 tries each: many are killed, or lose their way. */
static void random_arguments(const char *seed)
{
	for (int round = 0; round < 200; round++) {
		pid_t pid = fork();

		if (!pid) {
			const int fds[] = {session, arming, 1};
			int mine[3];

			state = (strtoull(seed, NULL, 10) + 1) * 0x9e3779b97f4a7c15 + (uint64_t)round;
			alarm(2);
			open_arming((uint32_t)any(2));
			map_memory();
			memcpy(mine, fds, sizeof(mine));
			mine[1] = arming;
			for (int i = 0; i < 100; i++)
				one(mine);
			_exit(0);
		}
		ends(pid);
		while (violation().offence)
			;
	}
	while (number_in("armed"))
		usleep(1000);
}

static int forks_on(void)
{
	for (int depth = 0; depth < 9; depth++)
		fork(); /* who is refused dies, who asked goes on */
	usleep(1000);
	return 0;
}

static void bomb(void)
{
	long armed, most = 0;
	pid_t pid;

	set("limit", "20");
	check(prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0) == 0);
	pid = start(MM_KMOD_GUARD_TOKEN, forks_on);
	do {
		armed = number_in("armed");
		most = armed > most ? armed : most;
	} while (waitpid(-1, NULL, WNOHANG) >= 0);
	set("limit", "0");
	check(pid > 0 && most <= 20 && number_in("armed") == 0);
	check(violation().offence == MM_KMOD_CHILD);
	printf("%ld at most: ", most);
}

int main(int argc, char **argv)
{
	check(argc > 1);
	open_session();
	if (!strcmp(argv[1], "bad"))
		bad_arguments();
	else if (!strcmp(argv[1], "random"))
		random_arguments(argv[2]);
	else
		bomb();
	printf("ok\n");
	return 0;
}
