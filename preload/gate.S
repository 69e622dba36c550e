/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The gates: the only `syscall` instructions of the library, on a page of their own that Syscall User Dispatch lets pass.
 *
 *   mm_gate      the monitor's own calls
 *   mm_app_gate  the program's call, made on its behalf
 *   mm_return    rt_sigreturn, where the kernel's frame for our handlers ends
 *   mm_hide      the last call where the module hides the monitor's pages: the program goes on as the block says
 *
 * mm_app_gate, for calls that may sleep, tests for a waiting signal before it enters the kernel. A signal between test and
 * `syscall` would be slept over, so the handler (signals.c) moves a thread found between mm_app_test and mm_app_syscall to
 * mm_app_eintr: the call was not made, and is made after the program's handler, as if the signal had come just before it.
 */
	.section .gates,"ax",@progbits
	.globl mm_gate, mm_app_gate, mm_app_test, mm_app_syscall, mm_app_eintr, mm_return, mm_hide
	.hidden mm_gate, mm_app_gate, mm_app_test, mm_app_syscall, mm_app_eintr, mm_return, mm_hide

/* long mm_gate(nr, a, b, c, d, e, f) */
mm_gate:
	mov %rdi, %rax
	mov %rsi, %rdi
	mov %rdx, %rsi
	mov %rcx, %rdx
	mov %r8, %r10
	mov %r9, %r8
	mov 8(%rsp), %r9
	syscall
	ret

/* long mm_app_gate(const uint32_t *kick, long nr, const uint64_t args[6]) */
mm_app_gate:
	push %rbx
	mov %rdi, %rbx
	mov %rsi, %rax
	mov %rdx, %r11
	mov 0(%r11), %rdi
	mov 8(%r11), %rsi
	mov 16(%r11), %rdx
	mov 24(%r11), %r10
	mov 32(%r11), %r8
	mov 40(%r11), %r9
mm_app_test:
	cmpl $0, (%rbx)
	jne mm_app_eintr
mm_app_syscall:
	syscall
	pop %rbx
	ret
mm_app_eintr:
	mov $-512, %rax /* MM_NOT_MADE */
	pop %rbx
	ret

mm_return:
	mov $15, %eax /* rt_sigreturn */
	syscall
	ud2

mm_hide:
	mov $-2, %eax /* MM_KMOD_LEAVE */
	syscall
	ud2

	.section .note.GNU-stack,"",@progbits
