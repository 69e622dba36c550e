/* SPDX-License-Identifier: Apache-2.0 */
/* What the files of special calls (special.c, control.c, epoll.c, process.c) share. */
#ifndef MONMOD_SPECIAL_H
#define MONMOD_SPECIAL_H

#include "monitor.h"

void mm_by_leader(struct mm_thread *t);
void mm_by_descriptor(struct mm_thread *t, u64 number);
void *mm_take(struct mm_thread *t, int i, u64 n, int compare);
void mm_value(struct mm_thread *t, int i);

/* control.c: fcntl, ioctl */
void mm_describe_fcntl(struct mm_thread *t);
void mm_describe_ioctl(struct mm_thread *t);

/* epoll.c */
void mm_describe_epoll_ctl(struct mm_thread *t);
s64 mm_execute_epoll_ctl(struct mm_thread *t);
void mm_effect_epoll_ctl(struct mm_thread *t, s64 ret);
void mm_describe_epoll_wait(struct mm_thread *t);
s64 mm_execute_epoll_wait(struct mm_thread *t);
void mm_effect_epoll_wait(struct mm_thread *t, s64 ret);

/* sigvalues.c: what the program attaches to its signals */
void mm_describe_timer(struct mm_thread *t);
void mm_describe_queue(struct mm_thread *t, int i);
void mm_effect_value(struct mm_thread *t, s64 ret);
void mm_describe_sigwait(struct mm_thread *t);
s64 mm_execute_sigwait(struct mm_thread *t);
void mm_effect_sigwait(struct mm_thread *t, s64 ret);

/* process.c: what a process is and may do */
void mm_describe_prctl(struct mm_thread *t);
void mm_describe_arch_prctl(struct mm_thread *t);
void mm_describe_limit(struct mm_thread *t);
void mm_describe_capset(struct mm_thread *t);

#endif
