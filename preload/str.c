/* SPDX-License-Identifier: Apache-2.0 */
/* The few functions that a C compiler expects to find; the library links against nothing. */
#include "sys.h"

void *memcpy(void *to, const void *from, size_t n)
{
	void *r = to;

	__asm__ volatile("rep movsb" : "+D"(to), "+S"(from), "+c"(n) : : "memory");
	return r;
}

void *memmove(void *to, const void *from, size_t n)
{
	u8 *t = to;
	const u8 *f = from;

	if ((u64)t - (u64)f >= n)
		return memcpy(to, from, n);
	while (n--)
		t[n] = f[n];
	return to;
}

void *memset(void *to, int c, size_t n)
{
	void *r = to;

	__asm__ volatile("rep stosb" : "+D"(to), "+c"(n) : "a"(c) : "memory");
	return r;
}

int memcmp(const void *a, const void *b, size_t n)
{
	const u8 *x = a, *y = b;

	for (; n >= 8; n -= 8, x += 8, y += 8)
		if (*(const u64 *)x != *(const u64 *)y)
			break;
	for (; n; n--, x++, y++)
		if (*x != *y)
			return *x - *y;
	return 0;
}

size_t strlen(const char *s)
{
	size_t n = 0;

	while (s[n])
		n++;
	return n;
}

void mm_decimal(char to[MM_DECIMAL], u64 n)
{
	u32 digits = 1;

	for (u64 x = n; x >= 10; x /= 10)
		digits++;
	for (u32 i = digits; i--; n /= 10)
		to[i] = '0' + n % 10;
	to[digits] = 0;
}

void mm_fd_link(char to[MM_FD_LINK], u64 fd)
{
	static const char folder[] = "/proc/self/fd/";

	memcpy(to, folder, sizeof(folder) - 1);
	mm_decimal(to + sizeof(folder) - 1, fd);
}
