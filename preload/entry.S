/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Ways in.
 *
 * mm_start: the ELF entry in executable mode. The kernel's stack holds argc, argv, envp and the auxiliary vector.
 *
 * mm_handler: every signal handler that the kernel knows, SIGSYS of Syscall User Dispatch among them. It runs on the thread's
 * alternate stack, which lies in the thread's slot below its block, so the block is found by rounding the stack pointer up to
 * the slot (MM_SLOT, MM_BLOCK in block.h). The program's AC and NT flags are cleared; DF, TF and RF the kernel has cleared.
 *
 * mm_leave_to: the last step of the start: to the program's first instruction with the registers that the ABI gives it.
 *
 * mm_copy: copies with `rep movsb` at mm_copy_insn; a fault there continues at mm_copy_done (signals.c), and what rcx still
 * holds is what was not copied.
 */
	.include "scrub.inc"
	.text
	.globl mm_start, mm_handler, mm_leave_to, mm_copy, mm_copy_insn, mm_copy_done, mm_preload
	.hidden mm_handler, mm_leave_to, mm_copy, mm_copy_insn, mm_copy_done

mm_start:
	xor %ebp, %ebp
	mov %rsp, %rdi
	and $-16, %rsp
	call mm_boot
	ud2

/* The library's constructor (DT_INIT): glibc passes argc, argv, envp, musl nothing. */
mm_preload:
	push %r15
	call mm_preload_main
	pop %r15
	ret

	.p2align 4
mm_handler:
	sub $8, %rsp
	pushfq
	andl $~0x44000, (%rsp)
	popfq
	mov %rsp, %rcx
	and $-0x40000, %rcx /* MM_SLOT */
	add $(0x40000 - 0x18000), %rcx /* MM_SLOT - MM_BLOCK */
	xor %ebp, %ebp
	call mm_on_signal
	mov %rsp, %rdx
	and $-0x40000, %rdx
	add $(0x40000 - 0x18000), %rdx
	scrub %rdx
	add $8, %rsp
	ret /* to mm_return */

/* void mm_leave_to(uint64_t ip, uint64_t sp) */
mm_leave_to:
	mov %rsi, %rsp
	push %rdi
	xor %eax, %eax
	xor %ebx, %ebx
	xor %ecx, %ecx
	xor %edx, %edx
	xor %esi, %esi
	xor %edi, %edi
	xor %ebp, %ebp
	xor %r8d, %r8d
	xor %r9d, %r9d
	xor %r10d, %r10d
	xor %r11d, %r11d
	xor %r12d, %r12d
	xor %r13d, %r13d
	xor %r14d, %r14d
	xor %r15d, %r15d
	ret

/* uint64_t mm_copy(void *to, const void *from, uint64_t bytes): bytes that were NOT copied */
mm_copy:
	mov %rdx, %rcx
mm_copy_insn:
	rep movsb
mm_copy_done:
	mov %rcx, %rax
	ret

	.section .note.GNU-stack,"",@progbits
