/*
 * What every conformance program shares: cases with a name, and steps that print one line each.
 *
 * A program prints only what is the same in every native run (relations instead of addresses, process
 * numbers, inode numbers and times), so that native and monitored output can be compared byte for byte.
 * What it hands to the kernel is initialised to the last byte: stacks differ from variant to variant.
 * Nothing of the tested calls themselves lives here.
 */
#ifndef CONFORMANCE_CHECK_H
#define CONFORMANCE_CHECK_H

#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif

#include <errno.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

enum kind {
	NORMAL,  /* must leave the process as it found it: `all` runs these one after the other */
	ALONE,   /* changes the process for good or ends it: only run by name */
	REFUSED, /* monitored, every EXPECT step must fail as it says; natively anything goes */
	ENDS,    /* not supported under the monitor: it must end the program and name the call */
};

struct test_case {
	const char *name;
	enum kind kind;
	const char *calls; /* the system calls that the case makes on purpose, by their kernel names */
	void (*run)(void);
};

/* CASE defines and registers a case; a body follows it. The list of calls is what coverage is counted by. */
#define CASE(id, how, made)                                                                          \
	static void run_##id(void);                                                                  \
	static const struct test_case case_##id = { #id, how, made, run_##id };                      \
	static const struct test_case *const entry_##id __attribute__((used, section("test_cases"))) \
		= &case_##id;                                                                        \
	static void run_##id(void)

/* T does one step and prints "expression = result ERRNO"; its value is the result. */
#define T(expr)                               \
	({                                    \
		errno = 0;                    \
		long r_ = (long)(expr);       \
		print_result(#expr, r_, 0);   \
		r_;                           \
	})

/* TOK is T for results that differ from run to run: anything but an error prints as "ok". */
#define TOK(expr)                             \
	({                                    \
		errno = 0;                    \
		long r_ = (long)(expr);       \
		print_result(#expr, r_, 1);   \
		r_;                           \
	})

/* TP is TOK for calls that return an address. */
#define TP(expr)                              \
	({                                    \
		errno = 0;                    \
		void *r_ = (void *)(expr);    \
		print_result(#expr, r_ == (void *)-1 ? -1 : 0, 1); \
		r_;                           \
	})

/* TE is for functions that return the error number itself (the posix_ family, pthread style). */
#define TE(expr) say("%s = %s", #expr, errno_name((int)(expr)))

/* EXPECT is a step of a REFUSED case: `names` lists the errors ("ENOSYS|EPERM") that monitoring must give. */
#define EXPECT(names, expr)                              \
	({                                               \
		errno = 0;                               \
		long r_ = (long)(expr);                  \
		print_expected(#expr, r_, names);        \
		r_;                                      \
	})

/* raw makes a call past the libc, every argument widened the same way in each build. */
#define RAW_CALL(nr, a, b, c, d, e, f, ...) \
	syscall((long)(nr), (long)(a), (long)(b), (long)(c), (long)(d), (long)(e), (long)(f))
#define raw(...) RAW_CALL(__VA_ARGS__, 0, 0, 0, 0, 0, 0, 0)

/* GARBAGE fills the upper half of a register that the kernel reads as a 32-bit argument. */
#define GARBAGE(x) ((long)((uint64_t)(uint32_t)(x) | 0x5a5a5a5a00000000ull))

/* Addresses that never point anywhere: below mmap_min_addr, in the kernel's half, not canonical. */
#define LOW ((void *)16)
#define KERNEL ((void *)0xffff888000000000ull)
#define WILD ((void *)0x0123456789abcdefull)

/* COUNT is the number of elements of an array. */
#define COUNT(a) (sizeof(a) / sizeof((a)[0]))

/* say prints one line, prefixed with the case's name. errno survives. */
void say(const char *format, ...) __attribute__((format(printf, 1, 2)));

/* show prints `n` bytes of `data`, unprintable ones as \xNN, runs of 8 and more equal bytes as c{n}. */
void show(const char *what, const void *data, long n);

/* errno_name gives the symbolic name of an error number, "OK" for 0. */
const char *errno_name(int number);

/* edge gives `n` accessible bytes (zeroes) with an inaccessible page right behind them. Never freed. */
char *edge(size_t n);

/* frozen is edge for memory that can be read only, filled with the byte `c`. */
char *frozen(size_t n, char c);

/* make_file writes a file of `n` bytes "abc…zabc…" and leaves it closed. Failure ends the program. */
void make_file(const char *path, size_t n);

/* now gives CLOCK_MONOTONIC in nanoseconds. */
int64_t now(void);

void print_result(const char *text, long result, int masked);
void print_expected(const char *text, long result, const char *names);

#endif
