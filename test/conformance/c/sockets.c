/* Internet sockets on loopback, both ends in one process: the life of connections and datagrams. */
#include "check.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/uio.h>

/* loopback gives the loopback address with a port, which the kernel chooses where it is 0. */
static struct sockaddr_in loopback(int port)
{
	return (struct sockaddr_in){ .sin_family = AF_INET,
				     .sin_port = htons((uint16_t)port),
				     .sin_addr = { htonl(INADDR_LOOPBACK) } };
}

/* listener makes a listening socket at a free port and stores its address. */
static int listener(struct sockaddr_in *at)
{
	socklen_t n = sizeof *at;
	int fd = socket(AF_INET, SOCK_STREAM, 0);
	*at = loopback(0);
	if (fd < 0 || bind(fd, (struct sockaddr *)at, sizeof *at) != 0 || listen(fd, 8) != 0 ||
	    getsockname(fd, (struct sockaddr *)at, &n) != 0) {
		say("no listener: %s", errno_name(errno));
		_exit(99);
	}
	return fd;
}

/* ready waits until the descriptor has what is asked for: loopback may deliver a little later. */
static void ready(int fd, short events)
{
	struct pollfd p = { fd, events, 0 };
	if (poll(&p, 1, 5000) != 1)
		say("descriptor %d did not get ready", fd);
}

CASE(stream, NORMAL, "socket bind listen accept accept4 connect getsockname getpeername read write close")
{
	struct sockaddr_in at, peer, own;
	socklen_t n = sizeof peer;
	char b[64];
	T(listener(&at));
	T(socket(AF_INET, SOCK_STREAM, IPPROTO_TCP));
	T(connect(4, (struct sockaddr *)&at, sizeof at));
	T(accept(3, (struct sockaddr *)&peer, &n));
	say("peer family %d length %u loopback %d", peer.sin_family, n, peer.sin_addr.s_addr == at.sin_addr.s_addr);
	n = sizeof own;
	T(getsockname(4, (struct sockaddr *)&own, &n));
	say("ports agree %d", own.sin_port == peer.sin_port);
	n = sizeof own;
	T(getpeername(4, (struct sockaddr *)&own, &n));
	say("ports agree %d", own.sin_port == at.sin_port);
	T(write(4, "request", 7));
	show("got", b, T(read(5, b, sizeof b)));
	T(write(5, "response", 8));
	show("got", b, T(read(4, b, sizeof b)));
	T(connect(4, (struct sockaddr *)&at, sizeof at));
	T(close(4));
	T(read(5, b, sizeof b));
	T(close(5));
	T(socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
	T(connect(4, (struct sockaddr *)&at, sizeof at));
	T(accept4(3, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC));
	T(fcntl(5, F_GETFD));
	T(fcntl(5, F_GETFL) & O_NONBLOCK);
	T(read(5, b, 1));
	T(raw(SYS_accept4, 3, NULL, NULL, 1 << 30));
	T(raw(SYS_accept, 99, NULL, NULL));
	T(raw(SYS_accept4, 0, NULL, NULL, 0));
	T(fcntl(3, F_SETFL, O_NONBLOCK));
	T(accept(3, NULL, NULL));
	T(raw(SYS_accept4, GARBAGE(3), NULL, NULL, GARBAGE(0)));
	T(shutdown(4, SHUT_WR));
	ready(5, POLLIN);
	T(read(5, b, 1));
	T(write(5, "half", 4));
	show("half open", b, T(read(4, b, sizeof b)));
}

CASE(socket_errors, NORMAL, "socket bind listen connect accept getsockname getpeername shutdown socketpair")
{
	struct sockaddr_in at = loopback(0), other = loopback(0);
	socklen_t n;
	int pair[2];
	T(socket(AF_INET, 77, 0));
	T(socket(4242, SOCK_STREAM, 0));
	T(socket(AF_INET, SOCK_STREAM, IPPROTO_UDP));
	T(raw(SYS_socket, GARBAGE(AF_INET), GARBAGE(SOCK_STREAM), GARBAGE(0)));
	T(bind(3, (struct sockaddr *)&at, 3));
	T(bind(3, (struct sockaddr *)&at, (socklen_t)-1));
	T(raw(SYS_bind, 3, LOW, sizeof at));
	T(raw(SYS_bind, 3, &at, 1 << 20));
	T(bind(99, (struct sockaddr *)&at, sizeof at));
	T(bind(0, (struct sockaddr *)&at, sizeof at));
	other.sin_addr.s_addr = htonl(0x08080808);
	T(bind(3, (struct sockaddr *)&other, sizeof other));
	T(bind(3, (struct sockaddr *)&at, sizeof at));
	T(bind(3, (struct sockaddr *)&at, sizeof at));
	T(listen(99, 1));
	T(listen(0, 1));
	T(listen(3, 1));
	n = sizeof at;
	T(getsockname(3, (struct sockaddr *)&at, &n));
	T(socket(AF_INET, SOCK_STREAM, 0));
	T(bind(4, (struct sockaddr *)&at, sizeof at));
	T(getpeername(4, (struct sockaddr *)&other, &n));
	T(shutdown(4, SHUT_RD));
	T(shutdown(4, 99));
	T(shutdown(99, SHUT_RD));
	T(shutdown(0, SHUT_RD));
	T(accept(4, NULL, NULL));
	T(raw(SYS_connect, 4, LOW, sizeof at));
	T(connect(4, (struct sockaddr *)&at, 2));
	T(connect(99, (struct sockaddr *)&at, sizeof at));
	T(connect(0, (struct sockaddr *)&at, sizeof at));
	n = sizeof at;
	T(raw(SYS_getsockname, 3, LOW, &n));
	T(raw(SYS_getsockname, 3, &other, LOW));
	T(raw(SYS_getsockname, 3, &other, NULL));
	n = 4;
	T(getsockname(3, (struct sockaddr *)&other, &n));
	say("full length %u", n);
	n = (socklen_t)-1;
	T(getsockname(3, (struct sockaddr *)&other, &n));
	T(getsockname(99, (struct sockaddr *)&other, &n));
	T(getsockname(0, (struct sockaddr *)&other, &n));
	T(getpeername(99, (struct sockaddr *)&other, &n));
	T(raw(SYS_getpeername, 4, LOW, LOW));
	/* A connection is accepted with a bad place for the peer's address: the descriptor is lost. */
	T(connect(4, (struct sockaddr *)&at, sizeof at));
	n = sizeof at;
	T(raw(SYS_accept, 3, LOW, &n));
	T(fcntl(3, F_SETFL, O_NONBLOCK));
	T(raw(SYS_accept, 3, LOW, &n));
	/* No one listens at a port that was just given back. */
	T(close(3));
	T(socket(AF_INET, SOCK_STREAM, 0));
	T(connect(3, (struct sockaddr *)&at, sizeof at));
	T(socketpair(AF_INET, SOCK_STREAM, 0, pair));
	T(raw(SYS_socketpair, AF_UNIX, SOCK_STREAM, 0, LOW));
	T(raw(SYS_socketpair, AF_UNIX, SOCK_STREAM, 99, pair));
}

CASE(connect_nonblocking, NORMAL, "socket connect poll getsockopt accept")
{
	struct sockaddr_in at;
	int error = -1;
	socklen_t n = sizeof error;
	T(listener(&at));
	T(socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0));
	T(connect(4, (struct sockaddr *)&at, sizeof at));
	ready(4, POLLOUT);
	T(getsockopt(4, SOL_SOCKET, SO_ERROR, &error, &n));
	say("error %d length %u", error, n);
	T(connect(4, (struct sockaddr *)&at, sizeof at));
	T(connect(4, (struct sockaddr *)&at, sizeof at));
	T(accept(3, NULL, NULL));
	T(close(3));
	T(socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0));
	T(connect(3, (struct sockaddr *)&at, sizeof at));
	ready(3, POLLOUT);
	T(getsockopt(3, SOL_SOCKET, SO_ERROR, &error, &n));
	say("error %s", errno_name(error));
	T(getsockopt(3, SOL_SOCKET, SO_ERROR, &error, &n));
	say("error %s", errno_name(error));
}

CASE(options, NORMAL, "setsockopt getsockopt")
{
	int one = 1, v = -1;
	socklen_t n = sizeof v;
	struct linger l = { 1, 5 };
	struct timeval t = { 0, 20000 };
	char b[4];
	T(socket(AF_INET, SOCK_STREAM, 0));
	T(setsockopt(3, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one));
	T(getsockopt(3, SOL_SOCKET, SO_REUSEADDR, &v, &n));
	say("value %d length %u", v, n);
	T(setsockopt(3, SOL_SOCKET, SO_REUSEPORT, &one, sizeof one));
	T(setsockopt(3, SOL_SOCKET, SO_KEEPALIVE, &one, sizeof one));
	T(setsockopt(3, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one));
	T(setsockopt(3, IPPROTO_TCP, TCP_CORK, &one, sizeof one));
	T(setsockopt(3, IPPROTO_TCP, TCP_DEFER_ACCEPT, &one, sizeof one));
	T(setsockopt(3, IPPROTO_TCP, TCP_KEEPIDLE, &one, sizeof one));
	T(setsockopt(3, SOL_SOCKET, SO_LINGER, &l, sizeof l));
	T(setsockopt(3, SOL_SOCKET, SO_SNDBUF, (v = 8192, &v), sizeof v));
	T(getsockopt(3, SOL_SOCKET, SO_SNDBUF, &v, &n));
	say("value %d", v);
	T(getsockopt(3, SOL_SOCKET, SO_TYPE, &v, &n));
	say("value %d", v);
	T(getsockopt(3, SOL_SOCKET, SO_ACCEPTCONN, &v, &n));
	say("value %d", v);
	T(getsockopt(3, SOL_SOCKET, SO_DOMAIN, &v, &n));
	say("value %d", v);
	T(getsockopt(3, SOL_SOCKET, SO_ERROR, &v, &n));
	say("value %d", v);
	v = -1;
	n = 2;
	T(getsockopt(3, SOL_SOCKET, SO_TYPE, &v, &n));
	say("value %#x length %u", (unsigned)v, n);
	n = sizeof v;
	T(getsockopt(3, 99, 1, &v, &n));
	T(getsockopt(3, SOL_SOCKET, 9999, &v, &n));
	T(setsockopt(3, SOL_SOCKET, 9999, &one, sizeof one));
	T(setsockopt(3, SOL_SOCKET, SO_REUSEADDR, &one, 1));
	T(setsockopt(99, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one));
	T(setsockopt(0, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one));
	T(getsockopt(99, SOL_SOCKET, SO_REUSEADDR, &v, &n));
	T(getsockopt(0, SOL_SOCKET, SO_REUSEADDR, &v, &n));
	T(raw(SYS_setsockopt, 3, SOL_SOCKET, SO_REUSEADDR, LOW, 4));
	T(raw(SYS_setsockopt, 3, SOL_SOCKET, SO_REUSEADDR, &one, -1));
	T(raw(SYS_getsockopt, 3, SOL_SOCKET, SO_TYPE, LOW, &n));
	T(raw(SYS_getsockopt, 3, SOL_SOCKET, SO_TYPE, &v, LOW));
	n = (socklen_t)-1;
	T(raw(SYS_getsockopt, 3, SOL_SOCKET, SO_TYPE, &v, &n));
	n = sizeof v;
	T(raw(SYS_getsockopt, GARBAGE(3), GARBAGE(SOL_SOCKET), GARBAGE(SO_TYPE), &v, &n));
	T(socket(AF_INET, SOCK_DGRAM, 0));
	T(setsockopt(4, SOL_SOCKET, SO_RCVTIMEO, &t, sizeof t));
	T(recv(4, b, 4, 0));
	T(setsockopt(4, SOL_SOCKET, SO_BROADCAST, &one, sizeof one));
	struct tcp_info info;
	n = sizeof info;
	T(getsockopt(3, IPPROTO_TCP, TCP_INFO, &info, &n));
	say("state %d", info.tcpi_state);
}

CASE(datagrams, NORMAL, "sendto recvfrom connect getsockname")
{
	struct sockaddr_in at = loopback(0), from;
	socklen_t n = sizeof at;
	char b[64];
	T(socket(AF_INET, SOCK_DGRAM, 0));
	T(bind(3, (struct sockaddr *)&at, sizeof at));
	T(getsockname(3, (struct sockaddr *)&at, &n));
	T(socket(AF_INET, SOCK_DGRAM, 0));
	T(sendto(4, "datagram", 8, 0, (struct sockaddr *)&at, sizeof at));
	n = sizeof from;
	show("got", b, T(recvfrom(3, b, sizeof b, 0, (struct sockaddr *)&from, &n)));
	say("from loopback %d length %u", from.sin_addr.s_addr == at.sin_addr.s_addr, n);
	T(sendto(3, "answer", 6, 0, (struct sockaddr *)&from, n));
	show("cut", b, T(recvfrom(4, b, 3, 0, NULL, NULL)));
	T(sendto(4, "", 0, 0, (struct sockaddr *)&at, sizeof at));
	T(recvfrom(3, b, sizeof b, 0, NULL, NULL));
	T(sendto(4, "again", 5, 0, (struct sockaddr *)&at, sizeof at));
	ready(3, POLLIN);
	show("peeked", b, T(recvfrom(3, b, sizeof b, MSG_PEEK, NULL, NULL)));
	/* A length without an address is not looked at: it may lie anywhere. */
	static const socklen_t fixed = 7;
	show("peeked", b, T(recvfrom(3, b, sizeof b, MSG_PEEK, NULL, (socklen_t *)&fixed)));
	T(recvfrom(3, b, 2, MSG_TRUNC, NULL, NULL));
	T(recvfrom(3, b, sizeof b, MSG_DONTWAIT, NULL, NULL));
	T(raw(SYS_recvfrom, 3, LOW, 8, MSG_DONTWAIT, NULL, NULL));
	T(sendto(4, "x", 1, 0, NULL, 0));
	T(connect(4, (struct sockaddr *)&at, sizeof at));
	T(send(4, "connected", 9, 0));
	/* Into memory that ends: the datagram is lost. */
	T(raw(SYS_recvfrom, 3, edge(4), 64, 0, NULL, NULL));
	T(recvfrom(3, b, sizeof b, MSG_DONTWAIT, NULL, NULL));
	T(raw(SYS_sendto, 4, LOW, 10, 0, NULL, 0));
	T(raw(SYS_sendto, 4, edge(10), 20, 0, NULL, 0));
	T(raw(SYS_sendto, 4, "x", 1, 0, LOW, 16));
	T(raw(SYS_sendto, 4, "x", 1, 0, &at, 1 << 20));
	T(raw(SYS_sendto, 4, frozen(100000, 'd'), 100000, 0, NULL, 0));
	T(sendto(99, "x", 1, 0, NULL, 0));
	T(sendto(0, "x", 1, 0, NULL, 0));
	T(recvfrom(99, b, 1, 0, NULL, NULL));
	T(recvfrom(0, b, 1, 0, NULL, NULL));
	T(raw(SYS_sendto, GARBAGE(4), "g", 1, GARBAGE(0), NULL, GARBAGE(0)));
	show("got", b, T(raw(SYS_recvfrom, GARBAGE(3), b, 64, GARBAGE(0), NULL, NULL)));
	n = sizeof from;
	T(raw(SYS_recvfrom, 3, b, 64, MSG_DONTWAIT, &from, &n));
}

/* lengths tells what sendmmsg says of each message. */
static void lengths(const struct mmsghdr *m, int n)
{
	for (int i = 0; i < n; i++)
		say("message %d: %u bytes", i, m[i].msg_len);
}

CASE(batches, NORMAL, "sendmmsg recvfrom connect")
{
	struct sockaddr_in at = loopback(0), nobody = loopback(1);
	socklen_t n = sizeof at;
	char b[64];
	struct iovec v[4] = { { "one", 3 }, { "tw", 2 }, { "oo", 2 }, { LOW, 4 } };
	struct mmsghdr m[3] = { 0 }, *most = calloc(1100, sizeof *most);
	for (int i = 0; i < 3; i++) {
		m[i].msg_hdr.msg_name = &at;
		m[i].msg_hdr.msg_namelen = sizeof at;
		m[i].msg_hdr.msg_iov = &v[i];
		m[i].msg_hdr.msg_iovlen = 1;
		m[i].msg_len = 77;
	}
	m[1].msg_hdr.msg_iovlen = 2;
	T(socket(AF_INET, SOCK_DGRAM, 0));
	T(bind(3, (struct sockaddr *)&at, sizeof at));
	T(getsockname(3, (struct sockaddr *)&at, &n));
	T(socket(AF_INET, SOCK_DGRAM, 0));
	T(sendmmsg(4, m, 2, 0));
	lengths(m, 3);
	for (int i = 0; i < 2; i++)
		show("got", b, T(recv(3, b, sizeof b, 0)));
	/* What is wrong with a message ends the batch in front of it. */
	m[2].msg_hdr.msg_iov = &v[3];
	T(sendmmsg(4, m, 3, MSG_NOSIGNAL));
	lengths(m, 3);
	T(sendmmsg(4, m + 2, 1, 0));
	m[2].msg_hdr.msg_iovlen = 2000;
	T(sendmmsg(4, m + 1, 2, 0));
	T(sendmmsg(4, m + 2, 1, 0));
	m[2].msg_hdr.msg_iovlen = 0;
	m[0].msg_hdr.msg_name = LOW;
	T(sendmmsg(4, m, 3, 0));
	m[0].msg_hdr.msg_name = NULL;
	T(sendmmsg(4, m, 3, 0));
	T(connect(4, (struct sockaddr *)&at, sizeof at));
	m[1].msg_hdr.msg_name = NULL;
	T(raw(SYS_sendmmsg, GARBAGE(4), m, GARBAGE(3), GARBAGE(0)));
	lengths(m, 3);
	for (int i = 0; i < 7; i++)
		show("got", b, T(recv(3, b, sizeof b, MSG_DONTWAIT)));
	/* An array that ends in the middle of an entry: what it says is sent, how much of it is not said. */
	struct mmsghdr *short_one = (struct mmsghdr *)edge(sizeof *m + sizeof m->msg_hdr);
	memcpy(short_one, m, sizeof *m + sizeof m->msg_hdr);
	T(raw(SYS_sendmmsg, 4, short_one, 3, 0));
	T(raw(SYS_sendmmsg, 4, short_one + 1, 1, 0));
	for (int i = 0; i < 4; i++)
		show("got", b, T(recv(3, b, sizeof b, MSG_DONTWAIT)));
	T(raw(SYS_sendmmsg, 4, LOW, 1, 0));
	T(raw(SYS_sendmmsg, 4, LOW, 0, 0));
	T(sendmmsg(99, m, 1, 0));
	T(sendmmsg(0, m, 1, 0));
	T(sendmmsg(0, m, 0, 0));
	/* More than a call takes. */
	for (int i = 0; i < 1100; i++)
		most[i] = m[i % 2];
	T(sendmmsg(4, most, 1100, 0));
	say("the last length %u, behind it %u", most[1023].msg_len, most[1024].msg_len == m[0].msg_len);
	/* Where nobody listens, what came of one datagram is the error of the next. */
	T(connect(4, (struct sockaddr *)&nobody, sizeof nobody));
	T(sendmmsg(4, m, 1, 0));
	T(sendmmsg(4, m, 2, 0));
	free(most);
}

CASE(refused_datagram, NORMAL, "sendto recvfrom")
{
	struct sockaddr_in at = loopback(0);
	socklen_t n = sizeof at;
	char b[8];
	T(socket(AF_INET, SOCK_DGRAM, 0));
	T(bind(3, (struct sockaddr *)&at, sizeof at));
	T(getsockname(3, (struct sockaddr *)&at, &n));
	T(close(3));
	T(socket(AF_INET, SOCK_DGRAM, 0));
	T(connect(3, (struct sockaddr *)&at, sizeof at));
	T(send(3, "x", 1, 0));
	T(recv(3, b, sizeof b, 0));
}

CASE(ipv6, NORMAL, "socket bind listen connect accept getpeername setsockopt sendto recvfrom")
{
	struct sockaddr_in6 at = { .sin6_family = AF_INET6, .sin6_addr = IN6ADDR_LOOPBACK_INIT }, peer;
	socklen_t n = sizeof at;
	int one = 1;
	char b[INET6_ADDRSTRLEN];
	T(socket(AF_INET6, SOCK_STREAM, 0));
	T(setsockopt(3, IPPROTO_IPV6, IPV6_V6ONLY, &one, sizeof one));
	T(bind(3, (struct sockaddr *)&at, sizeof at));
	T(listen(3, 4));
	T(getsockname(3, (struct sockaddr *)&at, &n));
	T(socket(AF_INET6, SOCK_STREAM, 0));
	T(connect(4, (struct sockaddr *)&at, sizeof at));
	n = sizeof peer;
	T(accept(3, (struct sockaddr *)&peer, &n));
	say("peer %s length %u", inet_ntop(AF_INET6, &peer.sin6_addr, b, sizeof b), n);
	T(send(4, "six", 3, 0));
	show("got", b, T(recv(5, b, sizeof b, 0)));
	n = sizeof peer;
	T(getpeername(5, (struct sockaddr *)&peer, &n));
	T(bind(4, (struct sockaddr *)&at, 20));
	T(socket(AF_INET6, SOCK_DGRAM, 0));
	T(sendto(6, "x", 1, MSG_DONTWAIT, (struct sockaddr *)&at, 16));
}

CASE(stream_flow, NORMAL, "setsockopt sendto recvfrom sendmsg recvmsg shutdown")
{
	struct sockaddr_in at;
	char b[64], *big = frozen(65536, 'z');
	T(listener(&at));
	T(socket(AF_INET, SOCK_STREAM, 0));
	T(connect(4, (struct sockaddr *)&at, sizeof at));
	T(accept(3, NULL, NULL));
	T(send(4, "one", 3, MSG_NOSIGNAL));
	T(send(4, "two", 3, MSG_MORE));
	T(send(4, "three", 5, 0));
	memset(b, 0, sizeof b);
	T(recv(5, b, 11, MSG_WAITALL));
	show("all", b, 11);
	T(recv(5, b, 1, MSG_DONTWAIT));
	struct iovec out[2] = { { "head", 4 }, { "body", 4 } }, in[2] = { { b, 3 }, { b + 10, 20 } };
	struct msghdr m = { .msg_iov = out, .msg_iovlen = 2 };
	T(sendmsg(4, &m, 0));
	m.msg_iov = in;
	ready(5, POLLIN);
	T(recvmsg(5, &m, 0));
	show("first", b, 3);
	show("second", b + 10, 5);
	say("flags %#x", m.msg_flags);
	/* Fill the connection without blocking, then drain it: the sums agree. What kernels have by themselves takes long to fill. */
	int room = 200000;
	T(setsockopt(4, SOL_SOCKET, SO_SNDBUF, &room, sizeof room));
	T(setsockopt(5, SOL_SOCKET, SO_RCVBUF, &room, sizeof room));
	long sent = 0, got = 0, r;
	T(fcntl(4, F_SETFL, O_NONBLOCK));
	T(fcntl(5, F_SETFL, O_NONBLOCK));
	for (int rounds = 0; rounds < 3; rounds++) {
		while ((r = send(4, big, 65536, 0)) > 0)
			sent += r;
		say("full: %s", errno_name(errno));
		while (got < sent) {
			ready(5, POLLIN);
			static char sink[65536];
			if ((r = recv(5, sink, sizeof sink, 0)) <= 0)
				break;
			got += r;
		}
		say("drained %d", got == sent);
		ready(4, POLLOUT);
	}
	T(shutdown(4, SHUT_RDWR));
	ready(5, POLLIN);
	T(recv(5, b, 1, 0));
	signal(SIGPIPE, SIG_IGN);
	T(send(4, "x", 1, 0));
	T(send(4, "x", 1, MSG_NOSIGNAL));
	signal(SIGPIPE, SIG_DFL);
}

/* A reset connection: data unread at close. */
CASE(reset, NORMAL, "socket setsockopt close recvfrom sendto")
{
	struct sockaddr_in at;
	struct linger l = { 1, 0 };
	char b[8];
	T(listener(&at));
	T(socket(AF_INET, SOCK_STREAM, 0));
	T(connect(4, (struct sockaddr *)&at, sizeof at));
	T(accept(3, NULL, NULL));
	T(setsockopt(5, SOL_SOCKET, SO_LINGER, &l, sizeof l));
	T(close(5));
	ready(4, POLLIN);
	T(recv(4, b, sizeof b, 0));
	T(recv(4, b, sizeof b, 0));
	T(send(4, "x", 1, MSG_NOSIGNAL));
}
