#include "textflag.h"

// What is added to the eventfd.
DATA one<>+0(SB)/8, $1
GLOBL one<>(SB), RODATA, $8

// Called by the kernel, as C: write(descriptor, &one, 8). There is nobody to tell of an error, and all registers are put back
// at the end.
TEXT caught<>(SB), NOSPLIT|NOFRAME|TOPFRAME, $0
	MOVL	·descriptor(SB), DI
	LEAQ	one<>(SB), SI
	MOVL	$8, DX
	MOVL	$1, AX	// write
	SYSCALL
	RET

// Where it returns to.
TEXT back<>(SB), NOSPLIT|NOFRAME|TOPFRAME, $0
	MOVL	$15, AX	// rt_sigreturn
	SYSCALL
	INT	$3	// not reached

// func handler() uintptr
TEXT ·handler(SB), NOSPLIT, $0-8
	LEAQ	caught<>(SB), AX
	MOVQ	AX, ret+0(FP)
	RET

// func restorer() uintptr
TEXT ·restorer(SB), NOSPLIT, $0-8
	LEAQ	back<>(SB), AX
	MOVQ	AX, ret+0(FP)
	RET
