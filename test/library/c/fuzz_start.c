/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A hostile supervisor: its START message and what comes with it, the sections of the start state, and an image as the
 * program. The input is the message, then the state, then the file. Nothing is mapped outside of what was reserved.
 */
#include <string.h>
#include <sys/mman.h>

#include "harness.h"
#include "boot.h"

#define STATE_MAX 8192u
#define IMAGE_MAX (1ul << 24)

static const u8 *message, *state, *file;
static u64 message_bytes, state_bytes, file_bytes;
static u32 descriptors;
static int refuses;
static u8 *blob, *image;
static u64 image_bytes;

static long receive(u64 at)
{
	struct {
		u64 name;
		u32 name_bytes, pad;
		struct {
			u8 *at;
			u64 bytes;
		} * iov;
		u64 iov_count, control, control_bytes;
	} *h = (void *)at;
	u64 bytes = refuses ? MM_MIN(message_bytes + state_bytes, h->iov[1].bytes) : sizeof(struct mm_msg_start);
	struct mm_msg head = {MM_MSG_MAGIC, MM_ABI_VERSION, refuses ? MM_MSG_FATAL : MM_MSG_START, (u32)bytes, 0};
	u32 n = MM_MIN(descriptors, (u32)(h->control_bytes - 16) / 4);
	u64 *control = (u64 *)h->control;

	memcpy(h->iov[0].at, &head, sizeof(head));
	memcpy(h->iov[1].at, message, bytes); /* the state stands behind the message */
	control[0] = 16 + 4 * n;
	control[1] = 1ul << 32 | 1;
	for (u32 i = 0; i < n; i++)
		((s32 *)(control + 2))[i] = 1000 + (s32)i;
	h->control_bytes = n ? 16 + MM_UP(4 * n, 8) : 0;
	return (long)(sizeof(head) + bytes);
}

/* Mappings go where they may go, and fixed ones only into what was reserved before. */
static long map(const u64 a[6])
{
	if (a[3] & MAP_FIXED) {
		if (a[0] < (u64)image || a[0] - (u64)image > image_bytes ||
		    MM_UP(a[1], MM_PAGE) > image_bytes - (a[0] - (u64)image))
			abort();
		mprotect((void *)a[0], MM_UP(a[1], MM_PAGE), PROT_READ | PROT_WRITE);
		return (long)a[0];
	}
	if (!(a[3] & MAP_ANONYMOUS))
		return (long)blob;
	if (!a[1] || a[1] > IMAGE_MAX)
		return -ENOMEM;
	if (a[2] == PROT_NONE && image)
		return -ENOMEM;
	void *at = mmap(NULL, a[1], (int)a[2], MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);

	if (at == MAP_FAILED)
		return -ENOMEM;
	if (a[2] == PROT_NONE) {
		image = at;
		image_bytes = MM_UP(a[1], MM_PAGE);
	} else {
		munmap(at, a[1]); /* the stack: an address, and one that is readable while it is built */
		at = mmap(at, a[1], PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED | MAP_NORESERVE, -1, 0);
	}
	return (long)at;
}

static int supervisor(long nr, const u64 a[6], long *result)
{
	*result = 0;
	switch (nr) {
	case __NR_exit_group:
		return 0;
	case __NR_recvmsg:
		*result = receive(a[1]);
		break;
	case __NR_sendmsg:
	case __NR_sendto:
		*result = 1;
		break;
	case __NR_fstat:
		memset((void *)a[1], 0, 144);
		((u64 *)a[1])[3] = 0100000;
		((u64 *)a[1])[6] = state_bytes;
		break;
	case __NR_mmap:
		*result = map(a);
		break;
	case __NR_pread64:
		if (a[3] < file_bytes) {
			*result = (long)MM_MIN(a[2], file_bytes - a[3]);
			memcpy((void *)a[1], file + a[3], (u64)*result);
		}
		break;
	case __NR_prlimit64:
		if (a[3])
			((u64 *)a[3])[0] = ((u64 *)a[3])[1] = 1024;
		break;
	case __NR_readlinkat:
		*result = -ENOENT;
		break;
	case __NR_openat:
	case __NR_open:
	case __NR_memfd_create:
		*result = 9;
		break;
	case __NR_dup3:
		*result = (long)a[1];
		break;
	case __NR_write:
		*result = (long)a[2];
		break;
	case __NR_getpid:
	case __NR_gettid:
		*result = 1234;
		break;
	}
	return 1;
}

static void start(struct mm_boot *b)
{
	mm_boot_hello(b);
	/* as mm_boot_layout has it copied */
	P->role = b->start.role;
	P->followers = b->start.followers;
	P->flags = b->start.flags;
	mm_boot_state(b);
	mm_rules_of(P, "/etc/passwd");
	mm_rule_check(P, 1, ~0u);
	mm_boot_find(b);
	mm_boot_load(b);
	mm_boot_stack(b);
}

int LLVMFuzzerTestOneInput(const u8 *data, size_t size)
{
	static char *words[] = {"program", NULL}, *none[] = {NULL};
	static u64 auxv[1][2];
	struct mm_boot *b;

	if (size < 4 + sizeof(struct mm_msg_start))
		return 0;
	descriptors = data[0];
	refuses = data[3] & 1;
	message = data + 4;
	message_bytes = sizeof(struct mm_msg_start);
	state = message + message_bytes;
	state_bytes = MM_MIN((u64)(data[1] | data[2] << 8) % STATE_MAX, size - 4 - message_bytes);
	file = state + state_bytes;
	file_bytes = (u64)(data + size - file);
	fresh(MM_FOLLOWER);
	blob = malloc(state_bytes); /* of its exact size, so that what reads on is seen */
	memcpy(blob, state, state_bytes);
	b = calloc(1, sizeof(*b));
	b->socket = -1;
	b->auxv = auxv;
	b->argv = b->program = words;
	b->argc = b->program_count = 1;
	b->envp = none;
	b->proc = P;
	b->thread = T;
	hook = supervisor;
	image = NULL;
	RUN(start(b));
	hook = NULL;
	if (image)
		munmap(image, image_bytes);
	free(b);
	free(blob);
	return 0;
}
