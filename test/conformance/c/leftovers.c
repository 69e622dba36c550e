/*
 * What a program leaves in the parts of structures that mean nothing, such as padding: here an address, which differs between
 * variants. It is not compared, and what the kernel does not overwrite does not reach another variant.
 */
#include "check.h"

#include <dirent.h>
#include <fcntl.h>
#include <net/if.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/un.h>
#include <time.h>

/* stain fills memory with an address of this variant. */
static void stain(void *p, size_t n)
{
	uint64_t here = (uint64_t)(uintptr_t)&p;
	for (size_t i = 0; i < n; i++)
		((char *)p)[i] = (char)(here >> i % 8 * 8);
}

/* own tells whether every byte is the stain that this variant has left there, or none. */
static int own(const void *p, const void *was, size_t n)
{
	for (size_t i = 0; i < n; i++)
		if (((const char *)p)[i] && ((const char *)p)[i] != ((const char *)was)[i])
			return 0;
	return 1;
}

CASE(registers, NORMAL, "prctl")
{
	T(raw(SYS_prctl, 3 /* PR_GET_DUMPABLE */, &stain, &stain, &stain, &stain));
	TOK(raw(SYS_prctl, 30 /* PR_GET_TIMERSLACK */, &stain, &stain, &stain, &stain));
}

CASE(interfaces, NORMAL, "ioctl socket")
{
	struct ifreq r, was;
	int s = (int)T(socket(AF_INET, SOCK_DGRAM, 0));
	stain(&was, sizeof was);
	strcpy(was.ifr_name, "lo");
	r = was;
	T(ioctl(s, SIOCGIFINDEX, &r));
	say("number %d, the rest its own %d", r.ifr_ifindex, own((char *)&r + 20, (char *)&was + 20, sizeof r - 20));
	r = was;
	r.ifr_ifindex = 1;
	stain(r.ifr_name, sizeof r.ifr_name);
	T(ioctl(s, SIOCGIFNAME, &r));
	say("name %s", r.ifr_name);
	r = was;
	r.ifr_name[0] = '?';
	T(ioctl(s, SIOCGIFFLAGS, &r));
	T(ioctl(s, SIOCGIFINDEX, LOW));
}

CASE(addresses, NORMAL, "sendmsg sendto bind connect")
{
	struct sockaddr_in in;
	struct sockaddr_un un;
	struct iovec v = { "x", 1 };
	struct msghdr m = { .msg_name = &un, .msg_namelen = sizeof un, .msg_iov = &v, .msg_iovlen = 1 };
	stain(&in, sizeof in);
	in.sin_family = AF_INET;
	in.sin_port = htons(9);
	in.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	stain(&un, sizeof un);
	un.sun_family = AF_UNIX;
	strcpy(un.sun_path, "s");
	int here = (int)T(socket(AF_UNIX, SOCK_DGRAM, 0)), from = (int)T(socket(AF_UNIX, SOCK_DGRAM, 0));
	T(bind(here, (struct sockaddr *)&un, sizeof un));
	T(sendmsg(from, &m, 0));
	T(sendto(from, "y", 1, 0, (struct sockaddr *)&un, sizeof un));
	T(connect(from, (struct sockaddr *)&un, sizeof un));
	int s = (int)T(socket(AF_INET, SOCK_DGRAM, 0));
	m.msg_name = &in;
	m.msg_namelen = sizeof in;
	T(sendmsg(s, &m, 0));
	T(sendto(s, "y", 1, 0, (struct sockaddr *)&in, sizeof in));
}

/* An address without a family, which ends an association, and one of a family that has padding inside. */
CASE(addresses_of_no_family, NORMAL, "connect bind sendto socket")
{
	struct sockaddr_in in = { .sin_family = AF_INET, .sin_port = htons(9), .sin_addr = { htonl(INADDR_LOOPBACK) } };
	struct { uint16_t family, pad; uint32_t port, groups; } nl; /* struct sockaddr_nl */
	struct sockaddr_un un;
	int s = (int)T(socket(AF_INET, SOCK_DGRAM, 0)), u = (int)T(socket(AF_UNIX, SOCK_DGRAM, 0));
	T(connect(s, (struct sockaddr *)&in, sizeof in));
	T(send(s, "x", 1, 0));
	stain(&un, sizeof un);
	un.sun_family = AF_UNSPEC;
	T(connect(s, (struct sockaddr *)&un, sizeof in));
	T(send(s, "x", 1, 0));
	T(connect(u, (struct sockaddr *)&un, sizeof un));
	T(connect(s, (struct sockaddr *)&un, 2));
	T(connect(s, (struct sockaddr *)&un, 1));
	in.sin_family = AF_UNSPEC; /* elsewhere it is one of AF_INET, or none */
	T(bind(s, (struct sockaddr *)&in, sizeof in));
	T(sendto(s, "x", 1, 0, (struct sockaddr *)&in, sizeof in));
	int n = (int)T(socket(AF_NETLINK, SOCK_RAW, 0));
	stain(&nl, sizeof nl);
	nl.family = AF_NETLINK;
	nl.port = nl.groups = 0;
	T(bind(n, (struct sockaddr *)&nl, sizeof nl));
	T(connect(n, (struct sockaddr *)&un, sizeof nl));
}

/* Values that are longer than what the kernel reads of them. */
CASE(long_values, NORMAL, "setsockopt socket")
{
	struct ifreq r;
	struct ip_mreqn m[2];
	struct linger l[2];
	struct timeval t[2];
	char name[32], *last = edge(sizeof(int));
	int number[16], s = (int)T(socket(AF_INET, SOCK_STREAM, 0)), u = (int)T(socket(AF_INET, SOCK_DGRAM, 0));
	int six = socket(AF_INET6, SOCK_STREAM, 0);
	socklen_t n = sizeof name;
	stain(number, sizeof number);
	number[0] = 1;
	T(setsockopt(s, SOL_SOCKET, SO_REUSEADDR, number, sizeof number));
	T(setsockopt(s, IPPROTO_TCP, TCP_NODELAY, number, sizeof number));
	T(setsockopt(s, IPPROTO_IP, IP_TTL, number, sizeof number));
	if (six >= 0)
		T(setsockopt(six, IPPROTO_IPV6, IPV6_V6ONLY, number, sizeof number));
	memcpy(last, number, sizeof(int)); /* nothing can be read behind it */
	T(setsockopt(s, SOL_SOCKET, SO_KEEPALIVE, last, 64));
	T(setsockopt(s, SOL_SOCKET, SO_KEEPALIVE, last + 1, 64));
	T(setsockopt(s, SOL_SOCKET, SO_KEEPALIVE, last, 3));
	stain(l, sizeof l);
	l[0] = (struct linger){ 1, 2 };
	T(setsockopt(s, SOL_SOCKET, SO_LINGER, l, sizeof l));
	stain(t, sizeof t);
	t[0] = (struct timeval){ 3, 0 };
	T(setsockopt(s, SOL_SOCKET, SO_RCVTIMEO, t, sizeof t));
	stain(name, sizeof name);
	strcpy(name, "reno");
	T(setsockopt(s, IPPROTO_TCP, TCP_CONGESTION, name, sizeof name));
	strcpy(name, "none");
	T(setsockopt(s, IPPROTO_TCP, TCP_CONGESTION, name, 4));
	T(getsockopt(s, IPPROTO_TCP, TCP_CONGESTION, name, &n));
	say("%s", name);
	char *end = edge(5);
	strcpy(end, "reno");
	T(setsockopt(s, IPPROTO_TCP, TCP_CONGESTION, end, 16));
	T(setsockopt(s, IPPROTO_TCP, TCP_CONGESTION, end, 3));
	T(setsockopt(s, IPPROTO_TCP, TCP_CONGESTION, LOW, 3));
	T(setsockopt(s, SOL_SOCKET, SO_BINDTODEVICE, end, 16));
	stain(&r, sizeof r);
	strcpy(r.ifr_name, "lo");
	T(setsockopt(u, SOL_SOCKET, SO_BINDTODEVICE, &r, sizeof r));
	n = sizeof name;
	T(getsockopt(u, SOL_SOCKET, SO_BINDTODEVICE, name, &n));
	say("%u %s", n, name);
	stain(m, sizeof m);
	m[0] = (struct ip_mreqn){ { htonl(0xe0000005) }, { htonl(INADDR_LOOPBACK) }, 1 };
	T(setsockopt(u, IPPROTO_IP, IP_ADD_MEMBERSHIP, m, sizeof m));
	stain(&m[0].imr_ifindex, sizeof(int));
	T(setsockopt(u, IPPROTO_IP, IP_DROP_MEMBERSHIP, m, 11));
}

CASE(timers_without_a_signal, NORMAL, "timer_create timer_settime timer_delete")
{
	struct sigevent e;
	struct itimerspec soon = { .it_value = { 0, 1 } };
	int id;
	stain(&e, sizeof e);
	e.sigev_notify = SIGEV_NONE;
	T(raw(SYS_timer_create, CLOCK_MONOTONIC, &e, &id));
	T(raw(SYS_timer_settime, id, 0, &soon, NULL));
	T(raw(SYS_timer_delete, id));
}

CASE(locks, NORMAL, "fcntl")
{
	struct flock l, was;
	make_file("f", 10);
	int fd = (int)T(open("f", O_RDWR));
	stain(&was, sizeof was);
	was.l_type = F_WRLCK;
	was.l_whence = SEEK_SET;
	was.l_start = was.l_len = 0;
	l = was;
	T(fcntl(fd, F_GETLK, &l));
	say("type %d, padding its own %d", l.l_type, own((char *)&l + 4, (char *)&was + 4, 4));
	T(fcntl(fd, F_SETLK, &was));
	say("process its own %d", l.l_pid == was.l_pid);
	T(fcntl(fd, F_OFD_GETLK, &l));
	l = was;
	l.l_pid = 0;
	T(fcntl(fd, F_OFD_GETLK, &l));
	say("type %d", l.l_type);
}

CASE(flags_and_capabilities, NORMAL, "ioctl capget")
{
	uint32_t header[2] = { 0x19980330, 0 }, data[6], was[6];
	uint64_t flags = 0, before;
	stain(was, sizeof was);
	memcpy(data, was, sizeof data);
	T(raw(SYS_capget, header, data));
	say("the rest its own %d", own(data + 3, was + 3, 12));
	int fd = (int)T(open(".", O_RDONLY));
	stain(&before, sizeof before);
	flags = before = before << 16 | 0xffff;
	int result = ioctl(fd, 0x80086601 /* FS_IOC_GETFLAGS */, &flags);
	say("the upper half its own %d", result < 0 || flags >> 32 == before >> 32);
}

CASE(between_messages, NORMAL, "recvmsg sendmsg socketpair")
{
	char control[24] __attribute__((aligned(8))) = { 0 }, was[24], b[4];
	struct iovec v = { "x", 1 };
	struct msghdr m = { .msg_iov = &v, .msg_iovlen = 1, .msg_control = control, .msg_controllen = sizeof control };
	struct cmsghdr *c = CMSG_FIRSTHDR(&m);
	int s[2];
	T(socketpair(AF_UNIX, SOCK_STREAM, 0, s));
	c->cmsg_len = CMSG_LEN(sizeof(int));
	c->cmsg_level = SOL_SOCKET;
	c->cmsg_type = SCM_RIGHTS;
	stain(control + 20, 4);
	T(sendmsg(s[0], &m, 0));
	stain(was, sizeof was);
	memcpy(control, was, sizeof was);
	v = (struct iovec){ b, sizeof b };
	T(recvmsg(s[1], &m, 0));
	say("control %zu, padding its own %d", (size_t)m.msg_controllen, own(control + 20, was + 20, 4));
}

CASE(thrown_away, NORMAL, "recvfrom accept4")
{
	struct sockaddr_in a = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	socklen_t n = sizeof a;
	char b[16], was[16];
	int l = (int)T(socket(AF_INET, SOCK_STREAM, 0)), s = (int)T(socket(AF_INET, SOCK_STREAM, 0));
	T(bind(l, (struct sockaddr *)&a, sizeof a));
	T(listen(l, 1));
	T(getsockname(l, (struct sockaddr *)&a, &n));
	T(connect(s, (struct sockaddr *)&a, sizeof a));
	int t = (int)T(accept4(l, NULL, NULL, 0));
	T(write(s, "0123456789abcdef", 16));
	stain(was, sizeof was);
	memcpy(b, was, sizeof b);
	T(recv(t, b, sizeof b, MSG_TRUNC | MSG_WAITALL));
	say("its own %d", own(b, was, sizeof b));
}

CASE(entries, NORMAL, "getdents64")
{
	static char b[4096], was[4096];
	make_file("a", 1);
	make_file("longer", 1);
	int fd = (int)T(open(".", O_RDONLY | O_DIRECTORY)), good = 1;
	stain(was, sizeof was);
	memcpy(b, was, sizeof b);
	long n = raw(SYS_getdents64, fd, b, sizeof b);
	for (long at = 0; at < n;) {
		struct dirent64 *e = (struct dirent64 *)(b + at);
		size_t end = offsetof(struct dirent64, d_name) + strlen(e->d_name) + 1;
		good &= own(b + at + end, was + at + end, e->d_reclen - end);
		at += e->d_reclen;
	}
	say("some %d, behind names its own %d", n > 0, good);
}
