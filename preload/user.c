/* SPDX-License-Identifier: Apache-2.0 */
/* The program's memory: every access of the monitor to it, checked against the monitor's own and caught when it faults. */
#include "monitor.h"

#define USER_TOP 0x7ffffffff000ul /* TASK_SIZE_MAX, arch/x86/include/asm/page_64_types.h */

/* A range that wraps is answered by the kernel (EFAULT), one that reaches into the monitor is not let through. */
int mm_touches_monitor(const struct mm_proc *p, u64 at, u64 bytes)
{
	u64 end = at + bytes;

	if (end < at)
		end = ~0ul;
	return bytes && at < p->reservation.to && end > p->reservation.from;
}

static u64 reach(const struct mm_thread *t, u64 at, u64 bytes)
{
	if (at >= USER_TOP)
		return 0;
	bytes = MM_MIN(bytes, USER_TOP - at);
	if (!mm_touches_monitor(t->proc, at, bytes))
		return bytes;
	return at < t->proc->reservation.from ? t->proc->reservation.from - at : 0;
}

u64 mm_in(const struct mm_thread *t, void *to, u64 from, u64 bytes)
{
	u64 can = reach(t, from, bytes);

	return can - mm_copy(to, (const void *)from, can);
}

u64 mm_out(const struct mm_thread *t, u64 to, const void *from, u64 bytes)
{
	u64 can = reach(t, to, bytes);

	return can - mm_copy((void *)to, from, can);
}

s64 mm_in_path(const struct mm_thread *t, char *to, u64 from)
{
	u64 n = 0;

	while (n < 4096) {
		/* never beyond the page in which the string may end */
		u64 piece = MM_MIN(4096 - n, MM_PAGE - (from + n) % MM_PAGE);
		u64 got = mm_in(t, to + n, from + n, piece);

		for (u64 i = 0; i < got; i++)
			if (!to[n + i])
				return (s64)(n + i);
		if (got < piece)
			return -EFAULT;
		n += got;
	}
	return -ENAMETOOLONG;
}
