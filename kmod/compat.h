/* SPDX-License-Identifier: GPL-2.0 */
/*
 * What kernels differ in. Kbuild looks for it in the kernel's headers and defines MONMOD_HAS_*: a distribution's kernel may have
 * more, or less, than its version says.
 */
#ifndef MONMOD_COMPAT_H
#define MONMOD_COMPAT_H

#include <linux/ftrace.h>
#include <linux/mm.h>

/* The registers of a function that is being replaced: what ftrace hands over became opaque with 6.12. */
#ifdef MONMOD_HAS_OPAQUE_FTRACE_REGS
#define monmod_registers(fregs) (&arch_ftrace_regs(fregs)->regs)
#else
#define monmod_registers(fregs) (&(fregs)->regs)
#endif

/* The flags of a mapping, which are written by calls since 6.3: these keep readers out that hold its own lock. */
static inline void monmod_vm_flags(struct vm_area_struct *vma, unsigned long set, unsigned long clear)
{
#ifdef MONMOD_HAS_VM_FLAGS_MOD
	vm_flags_mod(vma, set, clear);
#else
	vma->vm_flags = (vma->vm_flags | set) & ~clear;
#endif
}

/* Takes pages of ours out of a mapping; it has another name since 7.1. */
static inline void monmod_zap(struct vm_area_struct *vma, unsigned long from, unsigned long bytes)
{
#ifdef MONMOD_HAS_ZAP_SPECIAL
	zap_special_vma_range(vma, from, bytes);
#else
	zap_vma_ptes(vma, from, bytes);
#endif
}

/* A signal's frame is written with every key open since 6.12, and with the program's own PKRU before. */
#ifdef MONMOD_HAS_OPEN_FRAMES
#define MONMOD_FRAMES_ARE_OPEN true
#else
#define MONMOD_FRAMES_ARE_OPEN false
#endif

/* The vsyscall page: an access to it is one function's, or a page fault's and (LASS) a general protection fault's since 6.19. */
#ifdef MONMOD_HAS_VSYSCALL_PF_AND_GP
#define MONMOD_VSYSCALL "emulate_vsyscall_pf"
#define MONMOD_VSYSCALL_GP "emulate_vsyscall_gp"
#else
#define MONMOD_VSYSCALL "emulate_vsyscall"
#endif

#endif
