/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Functions whose bytes hold those of WRPKRU (0f 01 ef) or XRSTOR (0f ae 28 …) without being either, in the ways in which
 * compilers produce them. Each takes rdi and rsi.
 */
	.macro function name
	.globl \name
	.type \name, @function
	.p2align 4
\name:
	.cfi_startproc
	.endm
	.macro end name
	.cfi_endproc
	.size \name, . - \name
	.endm

	.text
	/* rol $15, %r8d; add %ebp, %edi: the end of one and all of the next, as in hash functions */
	function pair
	push %rbp
	mov %edi, %r8d
	mov %esi, %ebp
	xor %edi, %edi
	.byte 0x41, 0xc1, 0xc0, 0x0f
	.byte 0x01, 0xef
	lea (%r8, %rdi), %rax
	pop %rbp
	ret
	end pair

	/* distances of data: the second begins with the bytes of XRSTOR */
	function lea
	nop
	.byte 0x48, 0x8d, 0x05
	.long 0x0028ae0f /* 0f ae 28 00 */
lea_from:
	ret
	end lea

	function load
	xor %eax, %eax
	.byte 0x48, 0x8b, 0x05
	.long 0x002dae0f
load_from:
	ret
	end load

	/* a jump far away, and one that is taken over it */
	function jump
	cmp $100, %rdi
	ja 1f
	.byte 0xe9
	.long 0x002fae0f
jump_from:
1:	xor %eax, %eax
	ret
	end jump

	function looped
	push %rbp
	xor %eax, %eax
	mov %edi, %ecx
1:	lea (%rax, %rsi), %rax
	dec %ecx
	jnz 1b
	mov %eax, %r8d
	xor %edi, %edi
	xor %ebp, %ebp
	ror $15, %r8d
	.byte 0x41, 0xc1, 0xc0, 0x0f
	.byte 0x01, 0xef
	lea (%r8, %rdi), %rax
	pop %rbp
	ret
	end looped

	/* where the distances above lead */
	.org lea_from + 0x0028ae0f
	.byte 1
	.org load_from + 0x002dae0f
	.quad 0x1122334455667788
	.org jump_from + 0x002fae0f
jumped:
	.cfi_startproc
	lea 7(%rdi), %rax
	ret
	.cfi_endproc

	.section .note.GNU-stack,"",@progbits
