/* SPDX-License-Identifier: GPL-2.0 */
/*
 * What kernels differ in. Kbuild looks for it in the kernel's headers and defines MONMOD_HAS_*: a distribution's kernel may have
 * more, or less, than its version says.
 */
#ifndef MONMOD_COMPAT_H
#define MONMOD_COMPAT_H

#include <linux/ftrace.h>
#include <linux/mm.h>

/* The registers of a function that is being replaced: what ftrace hands over is opaque in newer kernels. */
#ifdef MONMOD_HAS_OPAQUE_FTRACE_REGS
#define monmod_registers(fregs) (&arch_ftrace_regs(fregs)->regs)
#else
#define monmod_registers(fregs) (&(fregs)->regs)
#endif

/* The flags of a mapping, which newer kernels have written by calls: these keep readers out that hold its own lock. */
static inline void monmod_vm_flags(struct vm_area_struct *vma, unsigned long set, unsigned long clear)
{
#ifdef MONMOD_HAS_VM_FLAGS_MOD
	vm_flags_mod(vma, set, clear);
#else
	vma->vm_flags = (vma->vm_flags | set) & ~clear;
#endif
}

/* Takes pages of ours out of a mapping. The kernel's function was given another name. */
static inline void monmod_zap(struct vm_area_struct *vma, unsigned long from, unsigned long bytes)
{
#ifdef MONMOD_HAS_ZAP_SPECIAL
	zap_special_vma_range(vma, from, bytes);
#else
	zap_vma_ptes(vma, from, bytes);
#endif
}

/* A signal's frame is written with every key open, or by older kernels with the program's own PKRU. */
#ifdef MONMOD_HAS_OPEN_FRAMES
#define MONMOD_FRAMES_ARE_OPEN true
#else
#define MONMOD_FRAMES_ARE_OPEN false
#endif

/* Accesses to the vsyscall page are page faults, or (LASS) general protection faults, for which newer kernels have a function each. */
#ifdef MONMOD_HAS_VSYSCALL_PF_AND_GP
#define MONMOD_VSYSCALL "emulate_vsyscall_pf"
#define MONMOD_VSYSCALL_GP "emulate_vsyscall_gp"
#else
#define MONMOD_VSYSCALL "emulate_vsyscall"
#endif

#endif
