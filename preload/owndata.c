/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What every variant reads from files of its own. The data itself does not travel: its digest goes with the leader's result,
 * and a follower that has read something else diverges.
 */
#include "monitor.h"
#include "siphash.h"
#include "table.gen.h"
#include <linux/fcntl.h>
#include <linux/mman.h>

#define PIECE 8192u
#define TRANSFER_MAX (256ul << 10)
#define MAPPED_MAX (64ul << 20) /* of a mapping; what lies behind shows itself by what the program does with it */

/* A stretch of a file, as far as it goes. */
static void digest_file(struct mm_thread *t, u64 fd, u64 offset, u64 bytes)
{
	struct mm_sip sip;
	u8 piece[PIECE];

	mm_sip_init(&sip, t->proc->key);
	while (bytes) {
		s64 got = mm_sys4(__NR_pread64, fd, piece, MM_MIN(bytes, PIECE), offset);

		if (got <= 0)
			break;
		mm_sip_add(&sip, piece, got);
		offset += got;
		bytes -= got;
	}
	mm_sip_end(&sip, t->call.digest);
}

static void digest_output(struct mm_thread *t, u64 bytes)
{
	const struct mm_outbuf *o = &t->call.outs[0];
	struct mm_sip sip;
	u8 piece[PIECE];

	bytes = MM_MIN(bytes, o->room);
	mm_sip_init(&sip, t->proc->key);
	for (u64 at = 0, n; at < bytes; at += n) {
		n = MM_MIN(bytes - at, PIECE);
		mm_fetch(t, o, at, piece, n);
		mm_sip_add(&sip, piece, n);
	}
	mm_sip_end(&sip, t->call.digest);
}

/*
 * What a transfer is about to take from an own file is compared first: it may go where it cannot be called back from. The range
 * begins where the pointer says that it was given, else at the file's position; a program comes back for what is behind it.
 */
void mm_digest_transfer(struct mm_thread *t, int in, int offset, int count)
{
	struct mm_call *c = &t->call;
	s64 at = 0;

	if (c->a[offset]) {
		if (mm_in(t, &at, c->a[offset], 8) != 8)
			return; /* EFAULT */
	} else {
		at = mm_sys3(__NR_lseek, (u32)c->a[in], 0, 1);
	}
	c->x[count] = MM_MIN(c->a[count], TRANSFER_MAX);
	if (at >= 0)
		digest_file(t, (u32)c->a[in], at, c->x[count]);
	mm_item(c, in, MM_ITEM_BYTES, c->digest, sizeof(c->digest), sizeof(c->digest));
	t->proc->counters->bytes_compared += c->x[count];
	memset(c->digest, 0, sizeof(c->digest));
}

/* Does the leader's call differ from ours in nothing but what a transfer is to take? That was described last of all. */
int mm_other_data(struct mm_thread *t)
{
	const struct mm_call *c = &t->call;
	const u32 last = sizeof(c->digest), n = c->out.rec.form;
	const struct mm_fd *from;

	if (c->nr != MM_NR_sendfile && c->nr != MM_NR_splice && c->nr != MM_NR_copy_file_range)
		return 0;
	from = mm_fd(t->proc, (u32)c->a[c->nr == MM_NR_sendfile]);
	return from && from->klass == MM_FD_OWN && t->proc->ofds[from->ofd].data == MM_OWN_COMPARED && n == c->peer.rec.form &&
	       n >= last && !memcmp(c->out.form, c->peer.form, n - last);
}

/* Fills the call's digest; all zeros where nothing of an own file was read. */
void mm_digest_own(struct mm_thread *t, s64 ret)
{
	struct mm_call *c = &t->call;

	memset(c->digest, 0, sizeof(c->digest));
	if (c->refuse || mm_failed(ret) || !c->file || t->proc->ofds[c->file - 1].data != MM_OWN_COMPARED)
		return;
	switch (c->nr) {
	case MM_NR_read:
	case MM_NR_pread64:
	case MM_NR_readv:
	case MM_NR_preadv:
	case MM_NR_preadv2:
		if (ret > 0 && c->nout)
			digest_output(t, ret);
		break;
	case MM_NR_mmap:
		if ((c->a[3] & MAP_TYPE) == MAP_PRIVATE || !(c->a[2] & PROT_WRITE))
			digest_file(t, (u32)c->a[4], c->a[5], MM_MIN(c->a[1], MAPPED_MAX));
		break;
	}
}

/* A follower: `leaders` is what came with the result, the call's digest what this variant has read itself. */
void mm_compare_own(struct mm_thread *t, const u8 leaders[16])
{
	struct mm_call *c = &t->call;

	if (!memcmp(c->digest, leaders, sizeof(c->digest)))
		return;
	mm_diverge(t, c->nr == MM_NR_mmap && (c->a[2] & PROT_EXEC) ? MM_WHY_CODE : MM_WHY_DATA);
	mm_end(t);
}
