/* SPDX-License-Identifier: Apache-2.0 */
/* How memory becomes executable where a protection key guards the monitor (code.h). */
#include "code.h"
#include "monitor.h"
#include <linux/errno.h>
#include <linux/mman.h>

#define PROT_RW (PROT_READ | PROT_WRITE)
#define EDGE 2u /* bytes of an instruction that opens the key, but the last */

int mm_code_guarded(const struct mm_proc *p)
{
	return (p->flags & MM_START_CODE) != 0;
}

/* May there be such a mapping at all? What can be written while it is executable cannot be looked at first. */
s64 mm_code_check(const struct mm_proc *p, u64 prot, u64 flags)
{
	if (!mm_code_guarded(p) || !(prot & PROT_EXEC) || !((prot & PROT_WRITE) || (flags & MAP_TYPE) != MAP_PRIVATE))
		return 0;
	mm_event(
	    p,
	    "memory that can be written and executed, or is executable and shared, was refused (EACCES): code written there could "
	    "open the monitor's protection key; a program that cannot do without runs with `guard: weak` in the group's file",
	    NULL);
	return -EACCES;
}

/* Do the last bytes before an edge between two mappings and the first behind it open the key? */
int mm_code_spans(const struct mm_thread *t, u64 edge)
{
	u8 around[2 * EDGE] = {0};

	mm_in(t, around, edge - EDGE, EDGE);
	mm_in(t, around + EDGE, edge, EDGE);
	return mm_opens_key(around, sizeof(around), 0) < sizeof(around);
}

static void name_of(const struct mm_code *c, char path[512])
{
	s64 n = c->fd < 0 ? -1 : mm_link_read(c->p, c->fd, path, 511);

	if (n < 0)
		memcpy(path, "memory", n = 6);
	path[n] = 0;
}

static s64 refuse(const struct mm_code *c)
{
	char path[512];

	name_of(c, path);
	mm_event(c->p,
		 "code was refused (EACCES) because it can open the monitor's protection key (WRPKRU, XRSTOR) and could not be "
		 "changed with certainty; `guard: weak` in the group's file runs it as it is: ",
		 path);
	return -EACCES;
}

/* Takes out of the copy what opens the key, and makes the stubs executable that it then jumps to. */
static s64 clean(struct mm_code *c)
{
	s64 r = mm_rewrite(c);

	if (r < 0 || (c->stubs && !mm_stubs_sound(c)))
		r = refuse(c);
	if (c->stubs) {
		if (r < 0)
			mm_sys2(__NR_munmap, c->stubs, MM_PAGE);
		else
			r = mm_sys3(__NR_mprotect, c->stubs, MM_PAGE, PROT_READ | PROT_EXEC);
	}
	return r;
}

/* Do the new bytes go on from, or into, what lies beside them? */
static int edges_open(const struct mm_thread *t, const struct mm_code *c)
{
	u8 before[2 * EDGE] = {0}, behind[2 * EDGE] = {0};

	mm_in(t, before, c->at - EDGE, EDGE);
	memcpy(before + EDGE, c->bytes, EDGE);
	memcpy(behind, c->bytes + c->n - EDGE, EDGE);
	mm_in(t, behind + EDGE, c->at + c->n, EDGE);
	return mm_opens_key(before, sizeof(before), 0) < sizeof(before) || mm_opens_key(behind, sizeof(behind), 0) < sizeof(behind);
}

/*
 * Fills anonymous memory at c->bytes = c->at with so many bytes of the file and makes it executable. What lies behind the file's end
 * reads as zeros, where natively whole pages are SIGBUS. Without a thread (at the start) there are no neighbours but the image's own.
 */
s64 mm_code_map(const struct mm_thread *t, struct mm_code *c, u64 bytes, u64 prot)
{
	s64 got = 0, r;

	for (u64 done = 0; done < bytes; done += (u64)got) {
		got = mm_sys4(__NR_pread64, c->fd, c->bytes + done, bytes - done, c->offset + done);
		if (got == -EINTR)
			got = 0;
		else if (got <= 0)
			break;
	}
	r = got < 0 ? got : clean(c);
	if (r >= 0 && t && edges_open(t, c))
		r = refuse(c);
	return r < 0 ? r : mm_sys3(__NR_mprotect, c->at, c->n, prot);
}

static s64 copy_in(struct mm_thread *t, const struct mm_code *c)
{
	for (u64 done = 0; done < c->n; done += MM_PAGE)
		if (mm_in(t, c->bytes + done, c->at + done, MM_PAGE) != MM_PAGE)
			return -EACCES; /* behind a file's end, memory that may not be read, or that is not the program's */
	return 0;
}

static s64 take_over(struct mm_thread *t, struct mm_code *c, u64 prot)
{
	s64 r = copy_in(t, c);

	if (r < 0) { /* says what is wrong with the range; what may not be read yet can be now */
		r = mm_sys3(__NR_mprotect, c->at, c->n, PROT_READ);
		if (r >= 0)
			r = copy_in(t, c);
	}
	if (r >= 0)
		r = clean(c);
	if (r >= 0 && edges_open(t, c))
		r = refuse(c);
	if (r >= 0)
		r = mm_sys3(__NR_mprotect, c->bytes, c->n, prot);
	if (r >= 0)
		r = mm_sys5(__NR_mremap, c->bytes, c->n, c->n, 3 /* MAYMOVE, FIXED */, c->at);
	return mm_failed(r) ? r : 0;
}

/* mprotect(2) that makes code of what the program has written: of a copy, which takes its place. Where it is refused all stays as it was. */
s64 mm_code_protect(struct mm_thread *t, u64 at, u64 bytes, u64 prot)
{
	struct mm_code c = {.p = t->proc, .at = at, .n = MM_UP(bytes, MM_PAGE), .fd = -1};
	s64 r = mm_code_check(t->proc, prot, MAP_PRIVATE);

	if (r < 0)
		return r;
	if (!c.n || at % MM_PAGE)
		return mm_sys3(__NR_mprotect, at, bytes, prot); /* which says so */
	r = mm_sys6(__NR_mmap, 0, c.n, PROT_RW, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (mm_failed(r))
		return r;
	c.bytes = (u8 *)r;
	r = take_over(t, &c, prot | PROT_READ);
	if (r < 0)
		mm_sys2(__NR_munmap, c.bytes, c.n);
	return r;
}

/* Code that may be executed and not read has a key of the kernel's on it, and could not be looked at later, by its neighbours. */
u64 mm_code_rights(const struct mm_proc *p, u64 prot)
{
	return mm_code_guarded(p) && (prot & PROT_EXEC) ? prot | PROT_READ : prot;
}

/* Processors with APX have further encodings of these instructions (the prefix d5). */
int mm_code_known(void)
{
	u32 low, high;

	__asm__ volatile("xgetbv" : "=a"(low), "=d"(high) : "c"(0));
	return !(low >> 19 & 1);
}
