/* Unix sockets: addresses in the file system; descriptors and credentials in messages. */
#include "check.h"

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <sys/un.h>

static const struct sockaddr_un here = { AF_UNIX, "sock" };

CASE(unix_stream, NORMAL, "socket bind listen connect accept getsockname getpeername unlink")
{
	struct sockaddr_un a;
	struct stat s;
	socklen_t n = sizeof a;
	char b[32];
	T(socket(AF_UNIX, SOCK_STREAM, 0));
	T(bind(3, (struct sockaddr *)&here, sizeof here));
	T(bind(3, (struct sockaddr *)&here, sizeof here));
	T(stat("sock", &s));
	say("a socket %d", S_ISSOCK(s.st_mode));
	T(socket(AF_UNIX, SOCK_STREAM, 0));
	T(connect(4, (struct sockaddr *)&here, sizeof here));
	T(listen(3, 4));
	T(connect(4, (struct sockaddr *)&here, sizeof here));
	T(accept(3, (struct sockaddr *)&a, &n));
	say("unnamed peer, length %u", n);
	n = sizeof a;
	T(getsockname(5, (struct sockaddr *)&a, &n));
	say("name %s length %u", a.sun_path, n);
	n = sizeof a;
	T(getpeername(4, (struct sockaddr *)&a, &n));
	say("name %s length %u", a.sun_path, n);
	T(write(4, "unix", 4));
	show("got", b, T(read(5, b, sizeof b)));
	struct { int pid, uid, gid; } who;
	n = sizeof who;
	T(getsockopt(5, SOL_SOCKET, SO_PEERCRED, &who, &n));
	say("own pid %d uid %d gid %d", who.pid == getpid(), who.uid, who.gid);
	T(close(4));
	T(read(5, b, 1));
	signal(SIGPIPE, SIG_IGN);
	T(write(5, "x", 1));
	signal(SIGPIPE, SIG_DFL);
	T(unlink("sock"));
	T(socket(AF_UNIX, SOCK_STREAM, 0));
	T(connect(4, (struct sockaddr *)&here, sizeof here));
	T(socket(AF_UNIX, SOCK_DGRAM, 0));
	T(bind(6, (struct sockaddr *)&here, 1));
	T(bind(6, (struct sockaddr *)&here, 200));
}

CASE(unix_pair, NORMAL, "socketpair setsockopt write read sendto recvfrom shutdown")
{
	int s[2];
	char b[64], *p;
	int room = 100000; /* what kernels have by themselves takes long to fill and empty */
	T(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, s));
	T(setsockopt(s[0], SOL_SOCKET, SO_SNDBUF, &room, sizeof room));
	T(read(s[0], b, 1));
	T(write(s[0], "abc", 3));
	T(send(s[0], "def", 3, 0));
	show("joined", b, T(read(s[1], b, sizeof b)));
	/* A source whose second page is missing: nothing is sent, unlike on a pipe or file. */
	p = edge(4096);
	T(raw(SYS_write, s[0], p, 8192));
	T(recv(s[1], b, sizeof b, 0));
	T(write(s[0], "0123456789", 10));
	T(raw(SYS_read, s[1], edge(4), 10));
	T(recv(s[1], b, sizeof b, MSG_DONTWAIT));
	long sent = 0, r;
	while ((r = write(s[0], frozen(4096, 'q'), 4096)) > 0)
		sent += r;
	say("full: %s, %s", errno_name(errno), sent > 65536 ? "much" : "little");
	static char sink[1000];
	while ((r = read(s[1], sink, sizeof sink)) > 0)
		sent -= r;
	say("empty: %s, left %ld", errno_name(errno), sent);
	T(shutdown(s[0], SHUT_WR));
	T(read(s[1], b, 1));
	T(shutdown(s[1], SHUT_RD));
	T(socketpair(AF_UNIX, SOCK_SEQPACKET, 0, s));
	T(send(s[0], "packet one", 10, 0));
	T(send(s[0], "two", 3, 0));
	show("cut", b, T(recv(s[1], b, 4, 0)));
	show("next", b, T(recv(s[1], b, sizeof b, 0)));
	T(socketpair(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0, s));
	T(send(s[0], "", 0, 0));
	T(recv(s[1], b, sizeof b, 0));
	T(fcntl(s[1], F_GETFD));
}

CASE(unix_datagram, NORMAL, "socket bind sendto recvfrom connect")
{
	struct sockaddr_un a, hidden = { AF_UNIX, "\0conformance-none" };
	socklen_t n = sizeof a;
	char b[32];
	T(socket(AF_UNIX, SOCK_DGRAM, 0));
	T(bind(3, (struct sockaddr *)&here, sizeof here));
	T(socket(AF_UNIX, SOCK_DGRAM, 0));
	T(sendto(4, "letter", 6, 0, (struct sockaddr *)&here, sizeof here));
	show("got", b, T(recvfrom(3, b, sizeof b, 0, (struct sockaddr *)&a, &n)));
	say("sender length %u", n);
	T(sendto(4, "x", 1, 0, (struct sockaddr *)&hidden, 20));
	T(bind(4, (struct sockaddr *)&here, sizeof(sa_family_t)));
	n = sizeof a;
	T(getsockname(4, (struct sockaddr *)&a, &n));
	say("a name was chosen: %d", n > sizeof(sa_family_t) && a.sun_path[0] == 0);
	T(connect(4, (struct sockaddr *)&here, sizeof here));
	T(send(4, "again", 5, 0));
	T(recv(3, b, sizeof b, 0));
}

/* pass sends one byte with `count` descriptors over `s`; the result is sendmsg's. */
static long pass(int s, const int *fds, size_t count)
{
	char room[CMSG_SPACE(8 * sizeof(int))] __attribute__((aligned(8))) = { 0 };
	struct iovec v = { "d", 1 };
	struct msghdr m = { .msg_iov = &v, .msg_iovlen = 1, .msg_control = room,
			    .msg_controllen = CMSG_SPACE(count * sizeof(int)) };
	struct cmsghdr *c = CMSG_FIRSTHDR(&m);
	c->cmsg_level = SOL_SOCKET;
	c->cmsg_type = SCM_RIGHTS;
	c->cmsg_len = CMSG_LEN(count * sizeof(int));
	memcpy(CMSG_DATA(c), fds, count * sizeof(int));
	return sendmsg(s, &m, 0);
}

/* take receives what pass sent, into room for `bytes` of control data, and tells what came. */
static void take(int s, size_t bytes, int flags)
{
	char room[256] __attribute__((aligned(8))) = { 0 }, b[8];
	struct iovec v = { b, sizeof b };
	struct msghdr m = { .msg_iov = &v, .msg_iovlen = 1, .msg_control = room, .msg_controllen = bytes };
	long n = recvmsg(s, &m, flags);
	say("recvmsg = %ld %s flags %#x control %zu", n, n < 0 ? errno_name(errno) : "OK",
	    m.msg_flags & ~MSG_CMSG_CLOEXEC, (size_t)m.msg_controllen);
	for (struct cmsghdr *c = CMSG_FIRSTHDR(&m); c; c = CMSG_NXTHDR(&m, c)) {
		int fds[8] = { 0 };
		size_t count = (c->cmsg_len - CMSG_LEN(0)) / sizeof(int);
		memcpy(fds, CMSG_DATA(c), count * sizeof(int));
		say("level %d type %d", c->cmsg_level, c->cmsg_type);
		for (size_t i = 0; i < count && c->cmsg_type == SCM_RIGHTS; i++)
			say("descriptor %d, close-on-exec %d", fds[i], fcntl(fds[i], F_GETFD));
		if (c->cmsg_type == SCM_CREDENTIALS)
			say("own pid %d uid %d gid %d", fds[0] == getpid(), fds[1], fds[2]);
	}
}

CASE(rights, NORMAL, "sendmsg recvmsg socketpair read")
{
	int s[2], p[2], one = 1;
	char b[32];
	make_file("f", 20);
	T(socketpair(AF_UNIX, SOCK_STREAM, 0, s));
	T(open("f", O_RDONLY));
	T(pipe(p));
	T(pass(s[0], &(int){ 5 }, 1));
	take(s[1], 64, 0);
	show("passed file", b, T(read(8, b, 5)));
	T(lseek(5, 0, SEEK_CUR));
	T(pass(s[0], p, 2));
	take(s[1], 64, MSG_CMSG_CLOEXEC);
	T(write(10, "through a passed pipe", 21));
	show("own end", b, T(read(p[0], b, sizeof b)));
	/* Room for one of two. */
	T(pass(s[0], p, 2));
	take(s[1], CMSG_LEN(sizeof(int)), 0);
	T(pass(s[0], p, 2));
	take(s[1], 0, 0);
	T(pass(s[0], &(int){ 99 }, 1));
	T(pass(s[0], &s[1], 1));
	take(s[1], 64, 0);
	T(setsockopt(s[1], SOL_SOCKET, SO_PASSCRED, &one, sizeof one));
	T(write(s[0], "c", 1));
	take(s[1], 64, 0);
}

/* watch waits for an event and tells it. */
static void watch(int epoll)
{
	struct epoll_event e = { 0 };
	int n = epoll_wait(epoll, &e, 1, 0);
	say("%d events, %#x, data %d", n, n > 0 ? e.events : 0, n > 0 ? e.data.fd : 0);
}

/* What is closed here and open elsewhere, if only in a message, stays registered. */
CASE(watched_and_passed, NORMAL, "sendmsg recvmsg epoll_ctl epoll_wait close")
{
	int s[2], p[2], epoll = epoll_create1(0);
	struct epoll_event e = { EPOLLIN, { .fd = 4242 } };
	T(socketpair(AF_UNIX, SOCK_STREAM, 0, s));
	T(pipe(p));
	T(epoll_ctl(epoll, EPOLL_CTL_ADD, p[0], &e));
	T(pass(s[0], p, 1));
	T(close(p[0]));
	watch(epoll);
	T(write(p[1], "x", 1));
	watch(epoll);
	take(s[1], 64, 0); /* by the number that it had */
	watch(epoll);
	e.data.fd = 4343;
	T(epoll_ctl(epoll, EPOLL_CTL_ADD, p[0], &e));
	T(epoll_ctl(epoll, EPOLL_CTL_MOD, p[0], &e));
	watch(epoll);
	T(epoll_ctl(epoll, EPOLL_CTL_DEL, p[0], NULL));
	watch(epoll);
	T(epoll_ctl(epoll, EPOLL_CTL_DEL, p[0], NULL));
	T(close(epoll));
}

CASE(message_errors, NORMAL, "sendmsg recvmsg")
{
	int s[2];
	char b[16] = { 0 };
	struct iovec v = { "data", 4 }, bad = { LOW, 4 };
	struct msghdr m = { .msg_iov = &v, .msg_iovlen = 1 };
	T(socketpair(AF_UNIX, SOCK_DGRAM | SOCK_NONBLOCK, 0, s));
	T(raw(SYS_sendmsg, s[0], LOW, 0));
	T(raw(SYS_sendmsg, s[0], NULL, 0));
	T(raw(SYS_recvmsg, s[1], LOW, 0));
	T(raw(SYS_recvmsg, s[1], &m, 0));
	T(sendmsg(99, &m, 0));
	T(sendmsg(0, &m, 0));
	T(recvmsg(99, &m, 0));
	m.msg_iovlen = 2000;
	T(raw(SYS_sendmsg, s[0], &m, 0));
	m.msg_iovlen = 1;
	m.msg_iov = &bad;
	T(raw(SYS_sendmsg, s[0], &m, 0));
	m.msg_iov = LOW;
	T(raw(SYS_sendmsg, s[0], &m, 0));
	m.msg_iov = &v;
	m.msg_control = LOW;
	m.msg_controllen = 32;
	T(raw(SYS_sendmsg, s[0], &m, 0));
	m.msg_control = b;
	m.msg_controllen = 4;
	T(raw(SYS_sendmsg, s[0], &m, 0));
	m.msg_control = NULL;
	m.msg_controllen = 0;
	m.msg_name = LOW;
	m.msg_namelen = 16;
	T(raw(SYS_sendmsg, s[0], &m, 0));
	m.msg_name = NULL;
	m.msg_namelen = 0;
	T(raw(SYS_sendmsg, GARBAGE(s[0]), &m, GARBAGE(0)));
	v.iov_base = b;
	v.iov_len = 2;
	T(recvmsg(s[1], &m, 0));
	say("flags %#x", m.msg_flags);
	v.iov_len = sizeof b;
	T(recvmsg(s[1], &m, MSG_TRUNC));
}
