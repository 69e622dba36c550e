/* SPDX-License-Identifier: Apache-2.0 */
/* sendmsg(2) and recvmsg(2): a header, a name, a vector and control data, all behind one pointer. */
#include "monitor.h"
#include "table.gen.h"
#include <linux/errno.h>

struct cmsg {
	u64 bytes;
	s32 level, type;
};

struct iov {
	u64 at, bytes;
};

#define SCM_RIGHTS_LEVEL 1
#define SCM_RIGHTS_TYPE 1
#define CMSG_CLOEXEC 0x40000000u /* MSG_CMSG_CLOEXEC */
#define CONTROL_MAX 4096u

/* A descriptor to be sent away. Not to be are: the monitor's, and what the receiver would read past the comparison. */
static void refuse_to_pass(struct mm_thread *t, u32 fd)
{
	if (mm_fd_is_own(t->proc, fd))
		mm_refuse(&t->call, -EBADF);
	mm_fd_elsewhere(t->proc, fd);
	if (!mm_fd_differs(t->proc, fd))
		return;
	if (mm_is_leader(t->proc))
		mm_event(t->proc, "sendmsg: a memory object (memfd_create) or a list of mappings was not passed on (EPERM)", NULL);
	mm_refuse(&t->call, -EPERM);
}

/* Control data without padding. */
static void describe_control(struct mm_thread *t, const u8 *control, u64 bytes)
{
	struct mm_call *c = &t->call;

	for (u64 at = 0; at + sizeof(struct cmsg) <= bytes;) {
		struct cmsg head;

		memcpy(&head, control + at, sizeof(head));
		if (head.bytes < sizeof(head) || head.bytes > bytes - at)
			break;
		mm_item_value(c, 1, (u64)(u32)head.level << 32 | (u32)head.type);
		mm_item_digest(t, 1, control + at + sizeof(head), head.bytes - sizeof(head));
		if (head.level == SCM_RIGHTS_LEVEL && head.type == SCM_RIGHTS_TYPE)
			for (u64 i = sizeof(head); i + 4 <= head.bytes; i += 4)
				refuse_to_pass(t, *(const u32 *)(control + at + i));
		at += MM_UP(head.bytes, 8);
	}
}

static u64 take_vector(struct mm_thread *t, struct mm_msghdr *m)
{
	struct mm_call *c = &t->call;
	struct iov *iov = mm_stage(t, m->iov_count * sizeof(*iov));
	u64 total = 0;

	if (!iov || mm_in(t, iov, m->iov, m->iov_count * sizeof(*iov)) != m->iov_count * sizeof(*iov)) {
		mm_refuse(c, -EFAULT);
		return 0;
	}
	for (u64 i = 0; i < m->iov_count; i++) {
		if ((s64)iov[i].bytes < 0)
			mm_refuse(c, -EINVAL);
		if (mm_touches_monitor(t->proc, iov[i].at, iov[i].bytes))
			mm_refuse(c, -EFAULT);
		iov[i].bytes = MM_MIN(iov[i].bytes, MM_MMAP_MAX - total);
		total += iov[i].bytes;
	}
	m->iov = (u64)iov;
	return total;
}

static void describe_send(struct mm_thread *t, struct mm_msghdr *m, u64 total)
{
	struct mm_call *c = &t->call;
	struct iov *iov = (struct iov *)m->iov;

	if (m->name && m->name_bytes) {
		m->name = (u64)mm_address(t, 1, m->name, MM_MIN(m->name_bytes, 128));
		if (!m->name)
			mm_refuse(c, -EFAULT);
	}
	if (m->control && m->control_bytes) {
		u8 *control = mm_stage(t, MM_MIN(m->control_bytes, CONTROL_MAX));

		if (m->control_bytes > CONTROL_MAX)
			mm_refuse(c, -ENOBUFS);
		else if (mm_in(t, control, m->control, m->control_bytes) != m->control_bytes)
			mm_refuse(c, -EFAULT);
		else
			describe_control(t, control, m->control_bytes);
		m->control = (u64)control;
	}
	if (c->exempt || !total || c->refuse)
		return;
	u8 *copy = mm_stage(t, total);
	u64 done = 0;

	if (!copy) {
		mm_refuse(c, -ENOMEM);
		return;
	}
	for (u64 i = 0; i < m->iov_count; i++) {
		u64 got = mm_in(t, copy + done, iov[i].at, iov[i].bytes);

		if (got < iov[i].bytes) {
			done += got;
			break; /* the kernel meets the same address */
		}
		iov[i].at = (u64)copy + done;
		done += got;
	}
	mm_item_digest(t, 1, copy, done);
}

static void describe_receive(struct mm_thread *t, struct mm_msghdr *m, u64 total)
{
	struct mm_call *c = &t->call;

	mm_item_value(c, 1, total);
	mm_item_value(c, 1, m->name ? m->name_bytes : 0);
	mm_item_value(c, 1, m->control ? m->control_bytes : 0);
	if (m->control_bytes > CONTROL_MAX)
		m->control_bytes = CONTROL_MAX;
	mm_out_add(t, MM_OUT_IOV, 1, m->iov, total)->pieces = m->iov_count;
	mm_out_add(t, MM_OUT_SET, 1, m->name, m->name_bytes);
	mm_out_add(t, MM_OUT_SET, 1, m->control, m->control_bytes);
	mm_out_add(t, MM_OUT_STAGED, 1, c->x[1], sizeof(*m));
	memcpy(c->small, m, sizeof(*m)); /* the kernel changes lengths and flags in our copy */
}

/*
 * A header that has been copied to the staging area: what it leads to is copied, checked and described in its turn. The result is
 * how many bytes its vector names.
 */
u64 mm_describe_header(struct mm_thread *t, struct mm_msghdr *m, int sends)
{
	struct mm_call *c = &t->call;
	u64 total = 0;

	if (m->iov_count > 1024) { /* UIO_MAXIOV */
		mm_refuse(c, -EMSGSIZE);
		return 0;
	}
	if (mm_touches_monitor(t->proc, m->name, m->name_bytes) || mm_touches_monitor(t->proc, m->control, m->control_bytes))
		mm_refuse(c, -EFAULT);
	if (m->iov_count)
		total = take_vector(t, m);
	if (c->refuse)
		return 0;
	if (sends)
		describe_send(t, m, total);
	else
		describe_receive(t, m, total);
	return total;
}

void mm_describe_msg(struct mm_thread *t)
{
	struct mm_call *c = &t->call;
	struct mm_msghdr *m = mm_stage(t, sizeof(*m));

	if (mm_in(t, m, c->a[1], sizeof(*m)) != sizeof(*m)) {
		mm_refuse(c, mm_fd(t->proc, (u32)c->a[0]) ? -EFAULT : -EBADF);
		return;
	}
	c->x[1] = (u64)m;
	mm_describe_header(t, m, c->nr == MM_NR_sendmsg);
}

/* Between the end of one control message and the next the kernel leaves what the program had there; that is not for the others. */
static void blank_padding(struct mm_thread *t, u64 control, u64 bytes)
{
	struct cmsg head;
	u64 zero = 0;

	for (u64 at = 0; at + sizeof(head) <= bytes && mm_in(t, &head, control + at, sizeof(head)) == sizeof(head);) {
		if (head.bytes < sizeof(head) || head.bytes > bytes - at)
			break;
		mm_out(t, control + at + head.bytes, &zero, MM_MIN(MM_UP(head.bytes, 8) - head.bytes, bytes - at - head.bytes));
		at += MM_UP(head.bytes, 8);
	}
}

/* A TCP socket asked to throw data away counts it and writes nothing (tcp(7), MSG_TRUNC). */
void mm_collect_thrown_away(struct mm_thread *t, s64 ret)
{
	struct mm_call *c = &t->call;
	u32 protocol = 0, bytes = sizeof(protocol);

	if (ret <= 0 || !c->nout || !(c->a[c->nr == MM_NR_recvmsg ? 2 : 3] & 0x20 /* MSG_TRUNC */) ||
	    mm_sys5(__NR_getsockopt, c->x[0], 1, 38 /* SO_PROTOCOL */, &protocol, &bytes) < 0)
		return;
	if (protocol == 6 || protocol == 262 /* IPPROTO_MPTCP */)
		mm_blank(t, &c->outs[0], c->outs[0].bytes);
}

/* The leader: what recvmsg wrote, in the order in which describe_receive listed it. */
void mm_collect_msg(struct mm_thread *t, s64 ret)
{
	struct mm_call *c = &t->call;
	const struct mm_msghdr *m = (const struct mm_msghdr *)c->x[1];
	struct mm_outbuf *o = c->outs;

	if (ret < 0)
		return;
	o[1].bytes = MM_MIN(m->name_bytes, o[1].room);
	o[2].bytes = MM_MIN(m->control_bytes, o[2].room);
	blank_padding(t, o[2].at, o[2].bytes);
	o[3].bytes = sizeof(*m);
}

/* Received descriptors get their entries, and in a follower placeholders; then the program sees lengths and flags. */
void mm_effect_msg(struct mm_thread *t, s64 ret)
{
	struct mm_call *c = &t->call;
	const struct mm_msghdr *m = (const struct mm_msghdr *)c->x[1];
	struct mm_msghdr *user = (struct mm_msghdr *)c->a[1];
	const struct mm_msghdr *asked = (const struct mm_msghdr *)c->small;
	u8 control[CONTROL_MAX];
	u64 n;

	if (ret < 0)
		return;
	n = asked->control ? MM_MIN(m->control_bytes, asked->control_bytes) : 0;
	if (n && mm_in(t, control, asked->control, n) != n)
		mm_diverge(t, MM_WHY_STREAM);
	for (u64 at = 0; at + sizeof(struct cmsg) <= n;) {
		struct cmsg head;

		memcpy(&head, control + at, sizeof(head));
		if (head.bytes < sizeof(head) || head.bytes > n - at)
			break;
		if (head.level == SCM_RIGHTS_LEVEL && head.type == SCM_RIGHTS_TYPE)
			for (u64 i = sizeof(head); i + 4 <= head.bytes; i += 4) {
				u32 fd = *(u32 *)(control + at + i);

				mm_fd_make(t, fd, MM_FD_LEADER, MM_KIND_OTHER);
				mm_fd_elsewhere(t->proc, fd);
				if (mm_hold(t, fd, (c->a[2] & CMSG_CLOEXEC) != 0, NULL) < 0)
					mm_diverge(t, MM_WHY_TAKEN);
			}
		at += MM_UP(head.bytes, 8);
	}
	mm_out(t, (u64)&user->name_bytes, &m->name_bytes, 4);
	mm_out(t, (u64)&user->control_bytes, &m->control_bytes, 8);
	mm_out(t, (u64)&user->flags, &m->flags, 4);
}
