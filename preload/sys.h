/* SPDX-License-Identifier: Apache-2.0 */
/* The monitor's own system calls, all through the gate. Results are the kernel's: negative error numbers. */
#ifndef MONMOD_SYS_H
#define MONMOD_SYS_H

#include <asm/unistd_64.h>
#include <linux/errno.h>
#include <stddef.h>
#include <stdint.h>

/* Nothing is exported, and nothing goes through a table of addresses. */
#pragma GCC visibility push(hidden)

typedef uint8_t u8;
typedef uint16_t u16;
typedef uint32_t u32;
typedef uint64_t u64;
typedef int64_t s64;
typedef int32_t s32;

long mm_gate(long nr, u64 a, u64 b, u64 c, u64 d, u64 e, u64 f);

#define mm_sys0(nr) mm_gate(nr, 0, 0, 0, 0, 0, 0)
#define mm_sys1(nr, a) mm_gate(nr, (u64)(a), 0, 0, 0, 0, 0)
#define mm_sys2(nr, a, b) mm_gate(nr, (u64)(a), (u64)(b), 0, 0, 0, 0)
#define mm_sys3(nr, a, b, c) mm_gate(nr, (u64)(a), (u64)(b), (u64)(c), 0, 0, 0)
#define mm_sys4(nr, a, b, c, d) mm_gate(nr, (u64)(a), (u64)(b), (u64)(c), (u64)(d), 0, 0)
#define mm_sys5(nr, a, b, c, d, e) mm_gate(nr, (u64)(a), (u64)(b), (u64)(c), (u64)(d), (u64)(e), 0)
#define mm_sys6(nr, a, b, c, d, e, f) mm_gate(nr, (u64)(a), (u64)(b), (u64)(c), (u64)(d), (u64)(e), (u64)(f))

/* The kernel answers calls that return addresses with -4095 … -1 on failure. */
static inline int mm_failed(long r)
{
	return (u64)r > (u64)-4096;
}

void *memcpy(void *to, const void *from, size_t n);
void *memmove(void *to, const void *from, size_t n);
void *memset(void *to, int c, size_t n);
int memcmp(const void *a, const void *b, size_t n);
size_t strlen(const char *s);

#define MM_DECIMAL 24u
void mm_decimal(char to[MM_DECIMAL], u64 n);

#define MM_FD_LINK 40u
void mm_fd_link(char to[MM_FD_LINK], u64 fd); /* "/proc/self/fd/N", for the start; afterwards: links.c */

#define MM_MIN(a, b) ((a) < (b) ? (a) : (b))
#define MM_UP(n, to) (((n) + (to)-1) & ~((u64)(to)-1))

#endif
