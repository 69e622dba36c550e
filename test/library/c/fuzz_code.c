/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A hostile file whose code is taken over: its ELF headers and unwind table, and its bytes as instructions. The input is the file,
 * behind two bytes that say where in it the code begins, in units of 16. What is accepted opens no key.
 */
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "code.h"
#include "harness.h"
#include "insn.h"

int LLVMFuzzerTestOneInput(const u8 *data, size_t size);

static void instruction(const u8 *b, u64 n)
{
	struct mm_insn i;

	if (mm_insn(b, n, &i) && (!i.bytes || i.bytes > 15 || i.bytes > n || (i.rip_at && i.rip_at + 4 > i.bytes) ||
				  (i.jump_at && i.jump_at + i.jump_how > i.bytes)))
		abort();
}

int LLVMFuzzerTestOneInput(const u8 *data, size_t size)
{
	static int fd = -1;
	struct mm_code c = {0};
	u64 skip;
	u8 *bytes;

	if (size < 3)
		return 0;
	if (fd < 0) {
		fresh(MM_LEADER);
		fd = memfd_create("file", 0);
	}
	skip = ((u64)data[0] | (u64)data[1] << 8) % (size / 16 + 1) * 16;
	data += 2;
	size -= 2;
	skip = MM_MIN(skip, size - 1);
	if (ftruncate(fd, 0) || pwrite(fd, data, size, 0) != (ssize_t)size)
		abort();
	bytes = malloc(size - skip); /* of its exact size: the sanitizer sees what reaches beyond */
	memcpy(bytes, data + skip, size - skip);
	for (u64 i = 0; i < MM_MIN(size - skip, 64); i++)
		instruction(bytes + i, size - skip - i);
	P->mmap_next = 0;
	c = (struct mm_code){
	    .p = P, .bytes = bytes, .at = (u64)bytes, .n = size - skip, .fd = fd, .offset = skip, .low = (u64)bytes & ~0xffffful};
	if (mm_rewrite(&c) == 0 && mm_opens_key(bytes, c.n, 0) != c.n)
		abort();
	if (c.stubs)
		munmap(c.stubs, MM_PAGE);
	free(bytes);
	return 0;
}
