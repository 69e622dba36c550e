/* SPDX-License-Identifier: Apache-2.0 */
/* str.c, user.c and the rules of files.c. */
#include "harness.h"
#include "unit.h"

/* str.c under the names that it is built with here; the rest of the library uses the sanitizer's. */
void *str_memcpy(void *to, const void *from, size_t n);
void *str_memmove(void *to, const void *from, size_t n);
void *str_memset(void *to, int c, size_t n);
int str_memcmp(const void *a, const void *b, size_t n);
size_t str_strlen(const char *s);

static void copies(void)
{
	u8 a[64], b[64];

	for (u32 n = 0; n < 40; n++)
		for (u32 from = 0; from < 24; from++)
			for (u32 to = 0; to < 24; to++) {
				for (u32 i = 0; i < 64; i++)
					a[i] = b[i] = (u8)i;
				str_memmove(a + to, a + from, n);
				for (u32 i = 0; i < 64; i++)
					if (a[i] != (i >= to && i < to + n ? i - to + from : i)) {
						CHECK(0, "memmove(%u, %u, %u) at %u", to, from, n, i);
						return;
					}
				str_memcpy(b + 32, a, MM_MIN(n, 32));
				CHECK(!str_memcmp(b + 32, a, MM_MIN(n, 32)));
			}
	str_memset(a, 0xab, 63);
	CHECK(a[0] == 0xab && a[62] == 0xab && a[63] != 0xab);
}

static void comparisons(void)
{
	u8 a[32], b[32];

	memset(a, 0x80, sizeof(a));
	memset(b, 0x80, sizeof(b));
	for (u32 n = 0; n <= 32; n++)
		for (u32 i = 0; i < 32; i++) {
			b[i] = 0x81;
			int r = str_memcmp(a, b, n);
			CHECK(i < n ? r < 0 : r == 0, "n %u differs at %u: %d", n, i, r);
			CHECK(i < n ? str_memcmp(b, a, n) > 0 : 1);
			b[i] = 0x80;
		}
	CHECK(str_strlen("") == 0 && str_strlen("monmod") == 6);
}

static void links(void)
{
	static const struct {
		u64 fd;
		const char *want;
	} table[] = {{0, "/proc/self/fd/0"},
		     {9, "/proc/self/fd/9"},
		     {10, "/proc/self/fd/10"},
		     {4095, "/proc/self/fd/4095"},
		     {~0ul, "/proc/self/fd/18446744073709551615"}};

	for (u32 i = 0; i < sizeof(table) / sizeof(table[0]); i++) {
		char *link = malloc(MM_FD_LINK);

		mm_fd_link(link, table[i].fd);
		CHECK(!memcmp(link, table[i].want, strlen(table[i].want) + 1), "%s", link);
		free(link);
	}
}

static void touching(void)
{
	u64 from = P->reservation.from, to = P->reservation.to;
	const struct {
		u64 at, bytes;
		int touches;
	} table[] = {
	    {from - 8, 8, 0},  {from - 8, 9, 1}, {from, 0, 0},         {from, 1, 1}, {to - 1, 1, 1},
	    {to, 100, 0},      {to, ~0ul, 0},    {0, ~0ul, 1},         {0, from, 0}, {from - 1, ~0ul, 1},
	    {to - 1, ~0ul, 1}, {~0ul, 16, 0},    {from - 16, -8ul, 1},
	};

	for (u32 i = 0; i < sizeof(table) / sizeof(table[0]); i++)
		CHECK(mm_touches_monitor(P, table[i].at, table[i].bytes) == table[i].touches, "row %u", i);
}

static void copying(void)
{
	u8 to[64];

	memset(user_end - 32, 'u', 32);
	CHECK(mm_in(T, to, (u64)user_end - 32, 32) == 32);
	CHECK(mm_in(T, to, (u64)user_end - 32, 64) == 32, "stops at the reservation");
	CHECK(mm_in(T, to, (u64)user_end, 1) == 0);
	CHECK(mm_in(T, to, (u64)secret, 8) == 0, "readable, but the monitor's");
	CHECK(mm_out(T, (u64)secret, to, 8) == 0 && secret[0] == 0x5e);
	CHECK(mm_out(T, (u64)user_end - 4, to, 8) == 4);
	CHECK(mm_in(T, to, 0, 8) == 0);
	CHECK(mm_in(T, to, ~0ul - 3, 8) == 0, "at the end of the address space");
	CHECK(mm_in(T, to, 1ul << 47, 8) == 0, "not canonical");
	CHECK(mm_out(T, 0xffffffff81000000, to, 8) == 0, "the kernel's");
	CHECK(mm_in(T, to, (u64)user - 8, 16) <= 8, "memory that is not there may end the copy");
}

static void paths(void)
{
	char *path = malloc(4096);

	memcpy(user, "/etc/passwd", 12);
	CHECK(mm_in_path(T, path, (u64)user) == 11 && !memcmp(path, "/etc/passwd", 12));
	memcpy(user_end - 4, "/ab", 4);
	CHECK(mm_in_path(T, path, (u64)user_end - 4) == 3, "ends with the last byte");
	memcpy(user_end - 4, "/abc", 4);
	CHECK(mm_in_path(T, path, (u64)user_end - 4) == -EFAULT, "runs into the reservation");
	CHECK(mm_in_path(T, path, (u64)secret) == -EFAULT);
	CHECK(mm_in_path(T, path, 0) == -EFAULT && mm_in_path(T, path, ~0ul) == -EFAULT);
	memset(user + 100, 'x', 8192);
	CHECK(mm_in_path(T, path, (u64)user + 100) == -ENAMETOOLONG);
	user[100 + 4095] = 0;
	CHECK(mm_in_path(T, path, (u64)user + 100) == 4095);
	free(path);
}

static u8 *rule(u8 *at, u16 nr, u8 check, u8 data, const char *pattern)
{
	struct mm_rule r = {nr, check, data, (u32)strlen(pattern)};

	memcpy(at, &r, sizeof(r));
	memcpy(at + sizeof(r), pattern, r.bytes);
	return at + sizeof(r) + MM_UP(r.bytes, 8);
}

static void rules(void)
{
	static const struct {
		const char *pattern, *path;
		int meets;
	} table[] = {
	    {"/a", "/a", 1},
	    {"/a", "/ab", 0},
	    {"/ab", "/a", 0},
	    {"/var/*/log", "/var/x/log", 1},
	    {"/var/*/log", "/var/x/y/log", 0},
	    {"/var/**/log", "/var/x/y/log", 1},
	    {"/var/**/log", "/var/log", 1},
	    {"/var/**", "/var", 1},
	    {"/var/**", "/var/a/b", 1},
	    {"/var/**", "/variable", 0},
	    {"/**", "/any/thing", 1},
	    {"/*.db", "/x.db.db", 1},
	    {"/*.db-shm", "/x.db", 0},
	    {"/*", "/", 1},
	    {"/*", "", 0},
	};

	for (u32 i = 0; i < sizeof(table) / sizeof(table[0]); i++) {
		u8 *bytes = calloc(1, 256), *end = rule(bytes, 7, 2, 1, table[i].pattern);
		u32 met;

		P->rules = bytes;
		P->rules_bytes = (u64)(end - bytes);
		met = mm_rules_of(P, table[i].path);
		CHECK(met == (u32)table[i].meets, "%s %s", table[i].pattern, table[i].path);
		CHECK(mm_rule_check(P, 7, met) == 2 * table[i].meets && mm_rule_data(P, 7, met) == table[i].meets);
		CHECK(!mm_rule_check(P, 8, met), "another call");
		free(bytes);
	}
}

/* The first rule that says something decides; rules without a path have no bit. */
static void rule_order(void)
{
	u8 *bytes = calloc(1, 256), *at = bytes;

	at = rule(at, 7, 0, 1, "/a");
	at = rule(at, 9, 1, 0, "");
	at = rule(at, 0xffff, 2, 2, "/*");
	P->rules = bytes;
	P->rules_bytes = (u64)(at - bytes);
	CHECK(mm_rules_of(P, "/a") == 3 && mm_rules_of(P, "/b") == 2 && mm_rules_of(P, "/a/b") == 0);
	CHECK(mm_rule_data(P, 7, 3) == 1 && mm_rule_check(P, 7, 3) == 2 && mm_rule_data(P, 7, 2) == 2);
	CHECK(mm_rule_check(P, 9, 3) == 1 && mm_rule_check(P, 9, 0) == 1 && mm_rule_check(P, 7, 0) == 0);
	free(bytes);
}

/* Lengths that reach out of the section end the search; none is followed. */
static void broken_rules(void)
{
	static const u32 lengths[] = {9, 16, 0x7fffffff, 0x80000000, 0xfffffff8, 0xfffffff9, 0xfffffffb, 0xffffffff};

	for (u32 i = 0; i < sizeof(lengths) / sizeof(lengths[0]); i++)
		for (u64 room = 0; room <= 16; room++) {
			struct mm_rule r = {0xffff, 1, 1, lengths[i]};
			u8 *bytes = malloc(room);

			memcpy(bytes, &r, MM_MIN(room, sizeof(r)));
			memset(bytes + MM_MIN(room, sizeof(r)), '*', room - MM_MIN(room, sizeof(r)));
			P->rules = bytes;
			P->rules_bytes = room;
			CHECK(!mm_rules_of(P, "/a") && !mm_rule_check(P, 7, ~0u), "length %#x in %lu bytes", lengths[i], room);
			free(bytes);
		}
}

const struct unit text_units[] = {{"copies", copies},
				  {"comparisons", comparisons},
				  {"links", links},
				  {"touching", touching},
				  {"copying", copying},
				  {"paths", paths},
				  {"rules", rules},
				  {"rule-order", rule_order},
				  {"broken-rules", broken_rules},
				  {NULL, NULL}};
