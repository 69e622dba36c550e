/* SPDX-License-Identifier: Apache-2.0 */
/* The reservation: one range of addresses for all that is the monitor's, with guard pages between the parts (block.h). */
#include "boot.h"
#include "monitor.h"
#include "table.gen.h"
#include <monmod/kmod.h>
#include <linux/errno.h>
#include <linux/mman.h>

#ifndef __NR_mseal
#define __NR_mseal 462 /* Linux 6.10 */
#endif

struct plan {
	u64 at;
};

static u64 part(struct plan *p, u64 bytes, u64 align)
{
	u64 at = MM_UP(p->at + MM_PAGE, align); /* a guard page in front */

	p->at = MM_UP(at + bytes, MM_PAGE);
	return at;
}

static void protect(const struct mm_boot *b, u64 at, u64 bytes, int how)
{
	s64 r = b->start.flags & MM_START_KEY ? mm_sys4(__NR_pkey_mprotect, at, MM_UP(bytes, MM_PAGE), how, MM_KMOD_KEY)
					      : mm_sys3(__NR_mprotect, at, MM_UP(bytes, MM_PAGE), how);

	if (r < 0)
		mm_boot_fail(b, 70, r, "laying out the monitor's memory:", "out of address space or memory (ulimit -v?)");
}

static void back(const struct mm_boot *b, u64 at, u64 bytes)
{
	protect(b, at, bytes, PROT_READ | PROT_WRITE);
}

/* What must be nobody else's: memory of the module's where there is one, at the offset that it has in the reservation. */
static void keep(const struct mm_boot *b, s64 base, u64 offset, u64 bytes)
{
	s64 r;

	if (b->arming < 0) {
		back(b, base + offset, bytes);
		return;
	}
	r = mm_sys6(__NR_mmap, base + offset, MM_UP(bytes, MM_PAGE), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_FIXED, b->arming,
		    offset);

	if (mm_failed(r))
		mm_boot_fail(b, 70, r, "mapping the module's memory for the monitor:", "refused; `dmesg` may say more");
}

void *mm_boot_map(const struct mm_boot *b, u64 at, u64 bytes, int fd, int writable, u64 offset)
{
	s64 r = mm_sys6(__NR_mmap, at, bytes, writable ? PROT_READ | PROT_WRITE : PROT_READ, MAP_SHARED | MAP_FIXED, fd, offset);

	if (mm_failed(r))
		mm_boot_fail(b, 70, r, "mapping the arena:", "the supervisor's memory object was refused");
	if (b->start.flags & MM_START_KEY)
		protect(b, at, bytes, writable ? PROT_READ | PROT_WRITE : PROT_READ);
	return (void *)r;
}

void mm_boot_layout(struct mm_boot *b)
{
	u64 image = (u64)(mm_image_end - mm_image_start);
	u32 followers = b->start.followers;
	struct plan plan = {0};
	u64 image_at = part(&plan, image, MM_PAGE);
	u64 proc_at = part(&plan, sizeof(struct mm_proc), MM_PAGE);
	u64 fds_at = part(&plan, MM_FD_CAP * sizeof(struct mm_fd), MM_PAGE);
	u64 ofds_at = part(&plan, MM_OFD_CAP * sizeof(struct mm_ofd), MM_PAGE);
	u64 tokens_at = part(&plan, MM_TOKEN_CAP * sizeof(struct mm_token), MM_PAGE);
	u64 control_at = part(&plan, MM_PAGE, MM_PAGE);
	u64 stream = part(&plan, MM_PAGE + 2 * (u64)b->start.ring_size, MM_PAGE);
	u64 index_at = part(&plan, MM_MAX_FOLLOWERS * MM_PAGE, MM_PAGE);
	u64 stage_at = part(&plan, MM_STAGE, MM_PAGE);
	u64 blob_at = part(&plan, b->blob_bytes, MM_PAGE);
	u64 exit_at = part(&plan, MM_PAGE, MM_PAGE);
	u64 slot_at = part(&plan, MM_SLOT, MM_SLOT);
	u64 total = plan.at + 2 * MM_PAGE + MM_SLOT;
	u64 flags = MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE;
	s64 base = mm_sys6(__NR_mmap, b->start.bases.monitor, total, PROT_NONE,
			   b->start.bases.monitor ? flags | MAP_FIXED_NOREPLACE : flags, -1, 0);

	if (mm_failed(base))
		mm_boot_fail(b, 70, base, "reserving the monitor's memory:", "no room at the address that was chosen");
	/* slots are aligned to their size, whatever the base is */
	slot_at = MM_UP((u64)base + slot_at, MM_SLOT) - (u64)base;
	keep(b, base, proc_at, sizeof(struct mm_proc)); /* first: this is what takes a protection key */
	back(b, base + image_at, image);
	memcpy((void *)(base + image_at), mm_image_start, image);
	protect(b, base + image_at, image, PROT_READ | PROT_EXEC);
	mm_sys3(__NR_mprotect, base + exit_at, MM_PAGE, PROT_READ | PROT_WRITE);
	keep(b, base, fds_at, MM_FD_CAP * sizeof(struct mm_fd));
	keep(b, base, ofds_at, MM_OFD_CAP * sizeof(struct mm_ofd));
	keep(b, base, tokens_at, MM_TOKEN_CAP * sizeof(struct mm_token));
	back(b, base + stage_at, MM_STAGE);
	back(b, base + blob_at, b->blob_bytes);
	memcpy((void *)(base + blob_at), b->blob, b->blob_bytes);
	protect(b, base + blob_at, b->blob_bytes, PROT_READ);
	mm_sys2(__NR_munmap, b->blob, b->blob_bytes);
	b->blob = (const u8 *)(base + blob_at);
	keep(b, base, slot_at + MM_PAGE, MM_SLOT - MM_PAGE);

	struct mm_proc *p = (struct mm_proc *)(base + proc_at);
	struct mm_thread *t = (struct mm_thread *)(base + slot_at + MM_SLOT - MM_BLOCK);

	b->proc = p;
	b->thread = t;
	t->proc = p;
	t->exit_page = base + exit_at;
	p->role = b->start.role;
	p->id = b->start.id;
	p->slot = b->start.slot;
	p->followers = followers;
	p->flags = b->start.flags;
	p->spin = p->patience = b->start.spin;
	p->ring_size = b->start.ring_size;
	p->key[0] = b->start.key[0];
	p->key[1] = b->start.key[1];
	p->reservation = (struct mm_range){base, base + total};
	p->slide = base + (s64)image_at - (s64)(u64)mm_image_start;
	p->fds = (struct mm_fd *)(base + fds_at);
	p->ofds = (struct mm_ofd *)(base + ofds_at);
	p->tokens = (struct mm_token *)(base + tokens_at);
	p->stage = (u8 *)(base + stage_at);
	p->stage_end = p->stage + MM_STAGE;
	p->mmap_next = b->start.bases.mmap;
	p->control = mm_boot_map(b, base + control_at, MM_PAGE, b->fds[0], 0, 0);
	p->stream = (struct mm_stream *)(base + stream);
	p->ring = (u8 *)(base + stream + MM_PAGE);
	for (u32 i = 0; i < MM_MAX_FOLLOWERS; i++)
		p->index[i] = (struct mm_index *)(base + index_at + i * MM_PAGE);
	p->mine = p->index[0];
	p->counters = (struct mm_counters *)(b->start.role == MM_LEADER ? &p->stream->counters : &p->mine->counters);
}

/* Nobody changes the reservation's mappings again, by whatever way a call gets past us. Older kernels have no such call. */
void mm_boot_seal(const struct mm_boot *b)
{
	const struct mm_range *r = &b->proc->reservation;
	s64 error = mm_sys3(__NR_mseal, r->from, r->to - r->from, 0);

	if (error < 0 && error != -ENOSYS && error != -EPERM) /* EPERM: a container's profile that knows no such call */
		mm_boot_fail(b, 70, error, "sealing the monitor's memory:", "refused by the kernel");
}
