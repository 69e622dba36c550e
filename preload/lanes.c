/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Streams and index pages (include/monmod/arena.h). The leader appends records and waits for what followers have compared;
 * a follower takes records and says how far it is. Nobody takes a lock; who sleeps does so on the other's bell, at most
 * NAP at a time, so that a lost wake-up costs time and never hangs.
 */
#include "monitor.h"
#include <linux/futex.h>
#include <linux/time_types.h>

#define NAP_NS 100000000

#define load(p) __atomic_load_n(p, __ATOMIC_ACQUIRE)
#define store(p, v) __atomic_store_n(p, v, __ATOMIC_RELEASE)
#define fence() __atomic_thread_fence(__ATOMIC_SEQ_CST)

static void sleep_on(const volatile u32 *bell, u32 seen)
{
	struct __kernel_timespec nap = {0, NAP_NS};

	mm_sys4(__NR_futex, bell, FUTEX_WAIT, seen, &nap);
}

static void ring(volatile u32 *bell)
{
	store(bell, *bell + 1);
	mm_sys3(__NR_futex, bell, FUTEX_WAKE, 0x7fffffff);
}

/*
 * Looking is worth it only where the one that is waited for runs, on another processor. Where other programs keep both busy,
 * looking takes the time from it, so who had to sleep after all looks less long the next time, and who need not longer.
 */
#define LEAST(spin) ((spin) / 32)

static void waited(struct mm_proc *p, u32 spun, u32 slept)
{
	p->counters->waits += spun != 0;
	p->counters->sleeps += slept;
	if (slept)
		p->patience = p->patience / 2 < LEAST(p->spin) ? LEAST(p->spin) : p->patience / 2;
	else if (spun)
		p->patience = MM_MIN(p->patience * 2, p->spin);
}

void mm_check_end(struct mm_thread *t)
{
	if (load(&t->proc->control->state) == MM_STATE_ENDING)
		mm_end(t);
}

int mm_lives(const struct mm_proc *p, u32 slot)
{
	return load(&p->control->live) >> slot & 1;
}

/* The leader */

void mm_flush(struct mm_thread *t)
{
	struct mm_proc *p = t->proc;
	int asleep = 0;

	if (t->published == t->head)
		return;
	t->published = t->head;
	store(&p->stream->head, t->head);
	fence();
	for (u32 i = 0; i < p->followers; i++)
		asleep |= load(&p->index[i]->waits) != 0;
	if (asleep)
		ring(&p->stream->bell);
}

/* Waits until `done` holds for follower i; the progress it looks at is in the follower's index page. */
#define AWAIT(t, i, done)                                    \
	do {                                                 \
		struct mm_proc *p_ = (t)->proc;              \
		volatile struct mm_index *x_ = p_->index[i]; \
		u32 spun_ = 0, slept_ = 0;                   \
		while (!(done)) {                            \
			if (spun_++ < p_->patience) {        \
				__builtin_ia32_pause();      \
				continue;                    \
			}                                    \
			u32 seen_ = load(&x_->bell);         \
			store(&p_->stream->waits, 1);        \
			fence();                             \
			if (!(done)) {                       \
				sleep_on(&x_->bell, seen_);  \
				slept_ = 1;                  \
			}                                    \
			store(&p_->stream->waits, 0);        \
			mm_check_end(t);                     \
			if (!mm_lives(p_, i))                \
				break;                       \
		}                                            \
		waited(p_, spun_, slept_);                   \
	} while (0)

void mm_await_compared(struct mm_thread *t, u64 seq)
{
	mm_flush(t);
	for (u32 i = 0; i < t->proc->followers; i++)
		if (mm_lives(t->proc, i))
			AWAIT(t, i, load(&x_->compared) >= seq);
}

/* Until every follower has carried the call out, not only compared it. */
void mm_await_done(struct mm_thread *t, u64 seq)
{
	mm_flush(t);
	for (u32 i = 0; i < t->proc->followers; i++)
		if (mm_lives(t->proc, i))
			AWAIT(t, i, load(&x_->done) >= seq);
}

u8 *mm_reserve(struct mm_thread *t, u32 bytes)
{
	struct mm_proc *p = t->proc;

	for (u32 i = 0; i < p->followers; i++) {
		if (!mm_lives(p, i))
			continue;
		if (t->head + bytes - load(&p->index[i]->tail) > p->ring_size)
			mm_flush(t);
		AWAIT(t, i, t->head + bytes - load(&x_->tail) <= p_->ring_size);
	}
	return p->ring + (t->head & (p->ring_size - 1));
}

void mm_commit(struct mm_thread *t, u32 bytes)
{
	t->head += bytes;
}

/* A follower */

static void tell(struct mm_proc *p)
{
	fence();
	if (load(&p->stream->waits))
		ring(&p->mine->bell);
}

/*
 * The next record. Its header is copied and checked, so that a leader that changes its stream later changes nothing; the
 * bytes behind it are to be copied by the caller before they are parsed.
 */
const struct mm_rec *mm_next(struct mm_thread *t, struct mm_rec *copy)
{
	struct mm_proc *p = t->proc;
	u32 spun = 0, slept = 0;
	u64 head;

	while ((head = load(&p->stream->head)) == t->head) {
		if (spun++ < p->patience) {
			__builtin_ia32_pause();
			continue;
		}
		u32 seen = load(&p->stream->bell);
		store(&p->mine->waits, 1);
		fence();
		if (load(&p->stream->head) == t->head) {
			sleep_on(&p->stream->bell, seen);
			slept = 1;
		}
		store(&p->mine->waits, 0);
		mm_check_end(t);
	}
	waited(p, spun, slept);

	u64 have = head - t->head;
	const u8 *at = p->ring + (t->head & (p->ring_size - 1));

	if (have > p->ring_size || have < sizeof(*copy))
		goto senseless;
	memcpy(copy, at, sizeof(*copy));
	if (copy->size < sizeof(*copy) || copy->size % 8 || copy->size > MM_REC_MAX || copy->size > have ||
	    copy->form > copy->size - sizeof(*copy) || copy->form > MM_FORM_MAX || copy->form % 8)
		goto senseless;
	return (const struct mm_rec *)at;
senseless:
	copy->form = 0; /* it may be the record that the report shows */
	mm_diverge(t, MM_WHY_STREAM);
	mm_end(t);
}

void mm_consume(struct mm_thread *t, u32 bytes)
{
	t->head += bytes;
	store(&t->proc->mine->tail, t->head);
	tell(t->proc);
}

void mm_mark_compared(struct mm_thread *t, u64 seq)
{
	store(&t->proc->mine->compared, seq);
	tell(t->proc);
}

void mm_mark_done(struct mm_thread *t, u64 seq)
{
	store(&t->proc->mine->done, seq);
	tell(t->proc);
}

/* Both: the last forms, for the report. Longer ones are kept in part. */
void mm_remember(struct mm_thread *t, const struct mm_rec *rec, const u8 *form)
{
	struct mm_past *past = &t->history[t->history_next++ % MM_HISTORY];
	u32 n = MM_MIN(rec->form, MM_HISTORY_BYTES);

	past->rec = *rec;
	past->rec.form = n;
	past->rec.size = sizeof(*rec) + n;
	memcpy(past->form, form, n);
}
