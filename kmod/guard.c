// SPDX-License-Identifier: GPL-2.0
/*
 * Who is inside the monitor: the thread whose r15 holds the token, or whose PKRU has the monitor's key open. Nobody but this file
 * lets a thread in; it leaves by itself, or, where it is pages that are shown to it and hidden, by a call.
 *
 * The kernel opens no key for itself: what it writes for a thread it writes with that thread's PKRU, which is live at all times
 * (arch/x86/include/asm/pkru.h).
 */
#include <linux/cpufeature.h>
#include <linux/pkeys.h>
#include <linux/sched.h>
#include <asm/pkru.h>
#include "compat.h"
#include "monmod.h"

#define KEY_BITS (3u << (2 * MM_KMOD_KEY))
#define PKRU_OPEN (MM_KMOD_PKRU_CLOSED & ~KEY_BITS)

u32 monmod_guards(void)
{
	u32 guards = 1u << MM_KMOD_GUARD_NONE | 1u << MM_KMOD_GUARD_TOKEN | 1u << MM_KMOD_GUARD_PAGES;

	if (arch_pkeys_enabled())
		guards |= 1u << MM_KMOD_GUARD_KEY;
	return guards;
}

notrace bool monmod_inside(const struct monmod_space *space, const struct pt_regs *regs)
{
	switch (space->guard) {
	case MM_KMOD_GUARD_KEY:
		return !(rdpkru() & KEY_BITS);
	case MM_KMOD_GUARD_TOKEN:
	case MM_KMOD_GUARD_PAGES:
		return regs->r15 == space->token;
	}
	return true;
}

notrace void monmod_let_in(struct monmod_space *space, struct pt_regs *regs)
{
	switch (space->guard) {
	case MM_KMOD_GUARD_KEY:
		write_pkru(PKRU_OPEN);
		break;
	case MM_KMOD_GUARD_PAGES:
		monmod_pages_show(space);
		fallthrough;
	case MM_KMOD_GUARD_TOKEN:
		regs->r15 = space->token;
	}
}

/* The calling thread is armed: it has the key open since it mapped the monitor's memory. */
notrace void monmod_shut_out(struct monmod_space *space)
{
	if (space->guard == MM_KMOD_GUARD_KEY)
		write_pkru(MM_KMOD_PKRU_CLOSED);
	else if (space->guard == MM_KMOD_GUARD_PAGES)
		monmod_pages_hide(space);
}

/* For a mapping that is being made (mmap_lock is held): the key goes into its flags, and is open for who maps. */
int monmod_take_key(struct monmod_space *space, unsigned long *flags)
{
	int key;

	if (space->guard != MM_KMOD_GUARD_KEY)
		return 0;
	if (!space->keyed) {
		key = mm_pkey_alloc(current->mm);
		if (key < 0)
			return -ENOSPC;
		if (key != MM_KMOD_KEY) {
			mm_pkey_free(current->mm, key);
			return -ENOSPC; /* the library's closing value knows one key */
		}
		space->keyed = true;
		write_pkru(PKRU_OPEN);
	}
	*flags |= (unsigned long)MM_KMOD_KEY << VM_PKEY_SHIFT;
	return 0;
}

/*
 * A handler of ours is about to be entered, and its frame lies in the monitor's memory. Where the kernel writes it with the program's
 * own PKRU, we open that; it sets PKRU anew when the frame is there. What the frame then says of PKRU is forced by the library.
 */
void monmod_before_frame(const struct monmod_space *space)
{
	if (!MONMOD_FRAMES_ARE_OPEN && space->guard == MM_KMOD_GUARD_KEY)
		write_pkru(PKRU_OPEN);
}
