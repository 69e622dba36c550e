/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The way in by the kernel module (include/monmod/kmod.h).
 *
 * mm_kmod_entry: a call of the program. rsp is the thread's block, into which the module has written rax (the number), rsp, r15,
 * rip and the flags; the other registers are the program's. The stack below the block is empty. The way out restores them all;
 * rcx and r11 become what `syscall` leaves in them, so rcx can carry the address to go on at. The load of rsp is the last
 * access to memory. What cannot leave so (a handler's frame, a single step) leaves by rt_sigreturn: mm_leave_by.
 *
 * mm_key_entry: the same with a protection key. It closes the key, behind which nothing of the block can be read, so the last registers
 * come from the exit page, which is the program's: another thread that changes it leads nobody but the program astray. The stack
 * pointer is that page for a moment; a signal there goes to the alternate stack. mm_key_out to mm_key_out_end can begin anew at
 * any point. mm_key_ret is where rt_sigreturn leads in the program's place (mm_close): all registers are there but those that stand
 * on the exit page, and the address to go on at lies on the program's stack, below what it may use (the red zone, 128 bytes).
 *
 * mm_pages_entry: the same where the module hides the monitor's pages: it leaves by a call, which restores all registers from the block.
 *
 * mm_kmod_handler: every signal handler that the kernel knows. The kernel enters it with the program's r15 and with all keys closed, so it begins by a call
 * that the module answers by letting it in, once for each signal that was really delivered; the number means nothing.
 */
	.include "scrub.inc"
	.text
	.globl mm_key_entry, mm_pages_entry, mm_key_out, mm_key_out_end, mm_key_ret, mm_key_ret_end, mm_kmod_entry, mm_kmod_handler, mm_kmod_announce, mm_leave_by
	.hidden mm_key_entry, mm_pages_entry, mm_key_out, mm_key_out_end, mm_key_ret, mm_key_ret_end, mm_kmod_entry, mm_kmod_handler, mm_kmod_announce, mm_leave_by

	/* What the module has not kept of the program's registers; then one call in C. */
	.macro enter
	mov %rbx, 8(%rsp)
	mov %rdx, 24(%rsp)
	mov %rsi, 32(%rsp)
	mov %rdi, 40(%rsp)
	mov %rbp, 48(%rsp)
	mov %r8, 64(%rsp)
	mov %r9, 72(%rsp)
	mov %r10, 80(%rsp)
	mov %r12, 96(%rsp)
	mov %r13, 104(%rsp)
	mov %r14, 112(%rsp)
	mov 128(%rsp), %rcx
	mov 136(%rsp), %r11
	mov %rcx, 16(%rsp)
	mov %r11, 88(%rsp)
	mov %rsp, %rdi
	xor %ebp, %ebp
	call mm_kmod_call
	.endm

	/* All but rax, rcx, rdx, r11, r15 and rsp. */
	.macro restore
	mov 8(%rsp), %rbx
	mov 32(%rsp), %rsi
	mov 40(%rsp), %rdi
	mov 48(%rsp), %rbp
	mov 64(%rsp), %r8
	mov 72(%rsp), %r9
	mov 80(%rsp), %r10
	mov 96(%rsp), %r12
	mov 104(%rsp), %r13
	mov 112(%rsp), %r14
	.endm

	/* Closes the key. Who jumps to the instruction with a value of his own gets no further. */
	.macro close
	xor %ecx, %ecx
	xor %edx, %edx
	mov $0x55555554, %eax /* MM_KMOD_PKRU_CLOSED */
	wrpkru
	test $4, %al
	jnz 1f
	ud2
1:
	.endm

	.p2align 6
mm_kmod_entry:
	enter
	scrub %rsp
	restore
	mov (%rsp), %rax
	mov 24(%rsp), %rdx
	mov 136(%rsp), %r11
	push %r11
	popfq
	mov 128(%rsp), %rcx
	mov 120(%rsp), %r15 /* the token ends here */
	mov 56(%rsp), %rsp
	jmp *%rcx

	.p2align 6
mm_key_entry:
	enter
	restore
	mov 160(%rsp), %r11 /* the exit page */
	mov 136(%rsp), %rax
	mov 128(%rsp), %rcx
	mov %rax, (%r11)
	mov %rcx, 8(%r11)
	mov 24(%rsp), %rax
	mov (%rsp), %rcx
	mov %rax, 16(%r11)
	mov %rcx, 24(%r11)
	mov 56(%rsp), %rax
	mov %rax, 32(%r11)
	mov 120(%rsp), %r15
	mov %r11, %rsp
mm_key_out:
	close
	popfq
	pop %rcx
	pop %rdx
	pop %rax
	mov (%rsp), %rsp
	jmp *%rcx
mm_key_out_end:

	.p2align 4
mm_key_ret:
	close
	pop %rcx
	pop %rdx
	pop %rax
	popfq
	mov (%rsp), %rsp
	ret $128
mm_key_ret_end:

	.p2align 6
mm_pages_entry:
	enter
	jmp mm_hide

	.p2align 4
mm_kmod_handler:
	mov $-1, %eax
	syscall
mm_kmod_announce:
	jmp mm_handler

/* void mm_leave_by(u8 *frame): rt_sigreturn finds the frame at rsp, behind the restorer's address that is popped already */
mm_leave_by:
	mov %rdi, %rsp
	mov %rsp, %rdx
	and $-0x40000, %rdx
	add $(0x40000 - 0x18000), %rdx
	scrub %rdx
	jmp mm_return

	.section .note.GNU-stack,"",@progbits
