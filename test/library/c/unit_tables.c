/* SPDX-License-Identifier: Apache-2.0 */
/* descriptors.c: descriptors, open descriptions and epoll registrations. */
#include "harness.h"
#include "unit.h"

static void descriptors(void)
{
	mm_fd_make(T, 3, MM_FD_LEADER, MM_KIND_FILE);
	mm_fd_copy(P, 3, 7);
	CHECK(mm_fd(P, 7)->ofd == mm_fd(P, 3)->ofd && P->ofds[mm_fd(P, 3)->ofd].refs == 2);
	mm_fd_drop(P, 3);
	CHECK(!mm_fd(P, 3) && mm_fd(P, 7));
	mm_fd_make(T, 3, MM_FD_OWN, MM_KIND_FILE);
	CHECK(mm_fd(P, 3)->ofd != mm_fd(P, 7)->ofd);
	u32 was = mm_fd(P, 7)->ofd;
	mm_fd_drop(P, 7);
	mm_fd_drop(P, 7); /* closed already */
	mm_fd_make(T, 8, MM_FD_OWN, MM_KIND_FILE);
	CHECK(mm_fd(P, 8)->ofd == was, "descriptions are used again");
	mm_fd_copy(P, 8, 3); /* dup2 over an open one */
	CHECK(mm_fd(P, 3)->ofd == was && P->ofds[was].refs == 2);
	mm_fd_copy(P, 3, 3);
	CHECK(P->ofds[was].refs == 2);
	CHECK(!mm_fd(P, MM_FD_CAP) && !mm_fd(P, ~0ul) && !mm_fd(P, 4));
	mm_fd_drop(P, ~0ul);
	mm_fd_copy(P, 3, MM_FD_CAP);
	mm_fd_copy(P, MM_FD_CAP, 3);
	mm_fd_copy(P, 100, 9); /* of one that the tables do not know: nothing is known of the copy either */
	CHECK(!mm_fd(P, 9) && P->ofds[0].refs <= 2);
}

static void taken(void)
{
	mm_fd_make(T, 3, MM_FD_LEADER, MM_KIND_FILE);
	CHECK(RUN(mm_fd_make(T, 3, MM_FD_LEADER, MM_KIND_FILE)) == DIVERGED && said_reason == MM_WHY_TAKEN);
}

static void too_high(void)
{
	CHECK(RUN(mm_fd_make(T, MM_FD_CAP, MM_FD_LEADER, MM_KIND_FILE)) == EXITED && said_type == MM_MSG_TRACE);
	CHECK(exit_status == MM_EXIT_DIVERGED);
}

/* No call gives the number of a descriptor of the monitor's; a stream that says so would have it replaced. */
static void own_numbers(void)
{
	for (u32 i = 0; i < MM_OWN_FDS; i++) {
		fresh(MM_FOLLOWER);
		CHECK(RUN(mm_fd_make(T, P->own_first + i, MM_FD_LEADER, MM_KIND_FILE)) == DIVERGED, "own descriptor %u", i);
	}
	CHECK(!mm_fd_is_own(P, P->own_first - 1) && mm_fd_is_own(P, P->own_first) && !mm_fd_is_own(P, P->own_first + MM_OWN_FDS));
	CHECK(!mm_fd_is_own(P, ~0ul));
}

static void registrations(void)
{
	mm_fd_make(T, 3, MM_FD_LEADER, MM_KIND_EPOLL);
	mm_fd_make(T, 4, MM_FD_LEADER, MM_KIND_SOCKET);
	mm_fd_make(T, 5, MM_FD_LEADER, MM_KIND_SOCKET);
	u64 four = mm_token_add(T, 3, 4, 0x1111), five = mm_token_add(T, 3, 5, 0x2222);

	CHECK(mm_token_of(P, four)->data == 0x1111 && mm_token_of(P, five)->data == 0x2222);
	CHECK(mm_token_find(P, 3, 4) == mm_token_of(P, four) && !mm_token_find(P, 4, 3) && !mm_token_find(P, 3, 9));
	mm_fd_copy(P, 4, 6);
	CHECK(!mm_token_find(P, 3, 6), "registered by number and description (epoll(7))");
	u64 six = mm_token_add(T, 3, 6, 0x3333);

	mm_fd_drop(P, 4);
	CHECK(mm_token_of(P, four), "its description is still open as 6");
	mm_fd_make(T, 4, MM_FD_LEADER, MM_KIND_SOCKET);
	CHECK(!mm_token_find(P, 3, 4), "another description under the old number");
	mm_fd_drop(P, 6);
	CHECK(!mm_token_of(P, four) && !mm_token_of(P, six), "the last descriptor is gone");
	u64 again = mm_token_add(T, 3, 4, 0x4444);

	CHECK((u32)again == (u32)four || (u32)again == (u32)six);
	CHECK(!mm_token_of(P, four) && !mm_token_of(P, six) && mm_token_of(P, again), "generations tell old events from new");
	CHECK(!mm_token_of(P, ~0ul) && !mm_token_of(P, (u64)P->token_top) && !mm_token_of(P, 1ul << 32 | 7));
	mm_token_drop(P, mm_token_of(P, again));
	CHECK(!mm_token_find(P, 3, 4) && !mm_token_of(P, again) && mm_token_of(P, five));
}

/* Registrations go with their epoll too: one that makes an epoll for every request must not run out of them. */
static void epolls(void)
{
	mm_fd_make(T, 4, MM_FD_LEADER, MM_KIND_SOCKET);
	for (int i = 0; i < 100; i++) {
		mm_fd_make(T, 3, MM_FD_LEADER, MM_KIND_EPOLL);
		mm_fd_copy(P, 3, 5);
		u64 token = mm_token_add(T, 3, 4, 1);

		mm_fd_drop(P, 3);
		CHECK(mm_token_of(P, token), "the epoll is still open as 5");
		mm_fd_drop(P, 5);
		CHECK(!mm_token_of(P, token));
	}
	CHECK(P->token_top == 1, "%u", P->token_top);
}

/* What others may have open too stays registered when it is closed here, until the epoll is. */
static void elsewhere(void)
{
	mm_fd_make(T, 3, MM_FD_LEADER, MM_KIND_EPOLL);
	mm_fd_make(T, 4, MM_FD_LEADER, MM_KIND_SOCKET);
	mm_fd_elsewhere(P, 4);
	mm_fd_elsewhere(P, 99);
	u32 ofd = mm_fd(P, 4)->ofd;
	u64 one = mm_token_add(T, 3, 4, 0x1111), two = mm_token_add(T, 3, 4, 0x2222);

	mm_fd_drop(P, 4);
	CHECK(mm_token_of(P, one) && mm_token_of(P, two));
	mm_fd_make(T, 4, MM_FD_LEADER, MM_KIND_SOCKET);
	CHECK(mm_fd(P, 4)->ofd != ofd, "its description is still in use");
	CHECK(!mm_token_find(P, 3, 4), "another one under its number");
	mm_fd_elsewhere(P, 4);
	CHECK(mm_token_find(P, 3, 4), "it may have come back");
	u64 own = mm_token_add(T, 3, 4, 0x3333);

	CHECK(mm_token_find(P, 3, 4) == mm_token_of(P, own));
	mm_token_drop(P, mm_token_of(P, own));
	mm_fd_drop(P, 4);
	mm_token_drop(P, mm_token_of(P, one));
	CHECK(!mm_token_of(P, one) && mm_token_of(P, two));
	mm_fd_drop(P, 3);
	CHECK(!mm_token_of(P, two));
	u32 top = P->ofd_top;

	for (u64 fd = 3; fd < 6; fd++)
		mm_fd_make(T, fd, MM_FD_LEADER, MM_KIND_OTHER);
	CHECK(P->ofd_top == top && mm_fd(P, 3)->ofd != mm_fd(P, 4)->ofd && mm_fd(P, 4)->ofd != mm_fd(P, 5)->ofd &&
		  mm_fd(P, 3)->ofd != mm_fd(P, 5)->ofd,
	      "descriptions are free again, each once");
}

/* A program that hands on what it watches, for ever, does not run out of registrations. */
static void handed_on(void)
{
	u64 last = 0;

	mm_fd_make(T, 3, MM_FD_LEADER, MM_KIND_EPOLL);
	mm_fd_make(T, 5, MM_FD_LEADER, MM_KIND_SOCKET);
	u64 kept = mm_token_add(T, 3, 5, 0x5555);

	for (u32 i = 0; i < MM_TOKEN_CAP + 10; i++) {
		mm_fd_make(T, 4, MM_FD_LEADER, MM_KIND_SOCKET);
		mm_fd_elsewhere(P, 4);
		last = mm_token_add(T, 3, 4, i);
		mm_fd_drop(P, 4);
	}
	CHECK(mm_token_of(P, last) && mm_token_of(P, kept) && P->token_top == MM_TOKEN_CAP && P->ofd_top <= MM_OFD_CAP);
}

const struct unit table_units[] = {
    {"descriptors", descriptors},  {"descriptor-taken", taken},      {"descriptor-too-high", too_high},
    {"own-numbers", own_numbers},  {"registrations", registrations}, {"epolls-closed", epolls},
    {"open-elsewhere", elsewhere}, {"handed-on", handed_on},         {NULL, NULL}};
