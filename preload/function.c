/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Where functions begin, from the sorted table that exceptions are unwound by (.eh_frame_hdr, Linux Standard Base Core, "Exception
 * Frames"). Nothing of the file is believed beyond its bounds: a lie makes a function be not found, or found where it is not, and
 * then its instructions are not what is looked for there.
 */
#include "code.h"
#include <linux/elf.h>

#define PHDRS 64u
#define EH_FRAME 0x6474e550u /* PT_GNU_EH_FRAME */
#define UDATA4 0x03
#define FROM_TABLE_SDATA4 0x3b
#define FROM_HERE_SDATA4 0x1b
#define LARGEST (1ul << 20)

struct file {
	s64 fd;
	Elf64_Ehdr eh;
	Elf64_Phdr ph[PHDRS];
};

static int get(const struct file *f, u64 offset, void *to, u64 n)
{
	return mm_sys4(__NR_pread64, f->fd, to, n, offset) == (s64)n;
}

/* Between offsets in the file and the addresses that its tables speak of; ~0: there is none. */
static u64 address(const struct file *f, u64 offset)
{
	for (u32 i = 0; i < f->eh.e_phnum; i++)
		if (f->ph[i].p_type == PT_LOAD && offset - f->ph[i].p_offset < f->ph[i].p_filesz)
			return offset - f->ph[i].p_offset + f->ph[i].p_vaddr;
	return ~0ul;
}

static u64 offset_of(const struct file *f, u64 at)
{
	for (u32 i = 0; i < f->eh.e_phnum; i++)
		if (f->ph[i].p_type == PT_LOAD && at - f->ph[i].p_vaddr < f->ph[i].p_filesz)
			return at - f->ph[i].p_vaddr + f->ph[i].p_offset;
	return ~0ul;
}

static int open_elf(struct file *f, s64 fd)
{
	f->fd = fd;
	return fd >= 0 && get(f, 0, &f->eh, sizeof(f->eh)) && !memcmp(f->eh.e_ident, "\177ELF\2\1", 6) &&
	       f->eh.e_phentsize == sizeof(f->ph[0]) && f->eh.e_phnum && f->eh.e_phnum <= PHDRS &&
	       get(f, f->eh.e_phoff, f->ph, f->eh.e_phnum * sizeof(f->ph[0]));
}

int mm_function(s64 fd, u64 offset, struct mm_function *found)
{
	struct file f;
	struct {
		u8 version, frame, count_how, table_how;
		s32 to_frame;
		u32 count;
	} head;
	struct {
		s32 begin, frame;
	} entry;
	struct {
		u32 bytes, cie;
		s32 begin;
		u32 size;
	} frame;
	u64 table = 0, where, low = 0, high;

	if (!open_elf(&f, fd))
		return 0;
	for (u32 i = 0; i < f.eh.e_phnum; i++)
		if (f.ph[i].p_type == EH_FRAME)
			table = f.ph[i].p_offset;
	where = address(&f, offset);
	if (!table || where == ~0ul || !get(&f, table, &head, sizeof(head)) || head.version != 1 ||
	    head.frame != FROM_HERE_SDATA4 || head.count_how != UDATA4 || head.table_how != FROM_TABLE_SDATA4)
		return 0;
	u64 base = address(&f, table);

	for (high = head.count; low < high;) { /* the first that begins behind `where` */
		u64 middle = (low + high) / 2;

		if (!get(&f, table + sizeof(head) + middle * sizeof(entry), &entry, sizeof(entry)))
			return 0;
		if (base + (u64)(s64)entry.begin <= where)
			low = middle + 1;
		else
			high = middle;
	}
	if (!low || !get(&f, table + sizeof(head) + (low - 1) * sizeof(entry), &entry, sizeof(entry)) ||
	    !get(&f, offset_of(&f, base + (u64)(s64)entry.frame), &frame, sizeof(frame)))
		return 0;
	u64 begin = base + (u64)(s64)entry.begin;

	/* the frame says the same, so its numbers are encoded as they are taken for */
	if (base + (u64)(s64)entry.frame + 8 + (u64)(s64)frame.begin != begin || frame.size > LARGEST ||
	    where - begin >= frame.size)
		return 0;
	found->from = offset - (where - begin);
	found->to = found->from + frame.size;
	return 1;
}
