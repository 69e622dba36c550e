/* A web server in one poll loop: no fork, no thread. Built against each C library, so that each one's ways of starting and of
 * making calls is tried under load. Usage: server PORT FOLDER. SIGTERM ends it with 0. */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/sendfile.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

enum { MAX_CONNECTIONS = 256, REQUEST_MAX = 4096 };

struct connection {
	int fd;
	char request[REQUEST_MAX];
	size_t got;
	char head[512]; /* what is left of the answer's head */
	size_t head_len, head_sent;
	int file; /* what is left of its body; -1: none */
	off_t file_at, file_size;
};

static struct connection connections[MAX_CONNECTIONS];
static int connection_count;
static volatile sig_atomic_t ending;

static void on_term(int sig)
{
	(void)sig;
	ending = 1;
}

static void die(const char *what)
{
	perror(what);
	exit(1);
}

static int busy(const struct connection *c)
{
	return c->head_sent < c->head_len || c->file >= 0;
}

static void drop(struct connection *c)
{
	if (c->file >= 0)
		close(c->file);
	close(c->fd);
	*c = connections[--connection_count];
}

static void answer(struct connection *c, const char *status, off_t length)
{
	c->head_len = snprintf(c->head, sizeof c->head,
			       "HTTP/1.1 %s\r\nServer: monmod-test\r\nContent-Length: %lld\r\n\r\n", status, (long long)length);
	c->head_sent = 0;
}

/* Takes one whole request from the buffer, if there is one, and prepares its answer. */
static int parse(struct connection *c, int root)
{
	char *end = memmem(c->request, c->got, "\r\n\r\n", 4);
	if (!end)
		return c->got == REQUEST_MAX ? -1 : 0;
	char method[8], path[1024];
	size_t used = end + 4 - c->request;
	end[2] = 0;
	if (sscanf(c->request, "%7s /%1023s", method, path) != 2 || strstr(path, "..")) {
		answer(c, "400 Bad Request", 0);
	} else {
		struct stat st;
		int fd = openat(root, path, O_RDONLY | O_CLOEXEC);
		if (fd < 0 || fstat(fd, &st) || !S_ISREG(st.st_mode)) {
			answer(c, "404 Not Found", 0);
			if (fd >= 0)
				close(fd);
		} else {
			answer(c, "200 OK", st.st_size);
			if (strcmp(method, "HEAD") == 0 || st.st_size == 0) {
				close(fd);
			} else {
				c->file = fd;
				c->file_at = 0;
				c->file_size = st.st_size;
			}
		}
	}
	c->got -= used;
	memmove(c->request, c->request + used, c->got);
	return 1;
}

/* Sends until the socket takes no more. Small files are read and written, large ones go by sendfile. */
static int push(struct connection *c)
{
	while (c->head_sent < c->head_len) {
		ssize_t n = send(c->fd, c->head + c->head_sent, c->head_len - c->head_sent, MSG_NOSIGNAL | (c->file >= 0 ? MSG_MORE : 0));
		if (n < 0)
			return errno == EAGAIN ? 0 : -1;
		c->head_sent += n;
	}
	while (c->file >= 0) {
		ssize_t n;
		if (c->file_size <= 65536) {
			char block[8192];
			ssize_t have = pread(c->file, block, sizeof block, c->file_at);
			if (have <= 0)
				return -1;
			n = send(c->fd, block, have, MSG_NOSIGNAL);
			if (n > 0)
				c->file_at += n;
		} else {
			n = sendfile(c->fd, c->file, &c->file_at, 1 << 20);
		}
		if (n < 0)
			return errno == EAGAIN ? 0 : -1;
		if (n == 0)
			return -1;
		if (c->file_at == c->file_size) {
			close(c->file);
			c->file = -1;
		}
	}
	return 1;
}

static int serve(struct connection *c, int root, short events)
{
	if (events & POLLIN && !busy(c)) {
		ssize_t n = read(c->fd, c->request + c->got, REQUEST_MAX - c->got);
		if (n < 0 && errno != EAGAIN)
			return -1;
		if (n == 0)
			return -1;
		if (n > 0)
			c->got += n;
	} else if (events & (POLLERR | POLLHUP)) {
		return -1;
	}
	for (;;) {
		int sent = busy(c) ? push(c) : 1;
		if (sent <= 0)
			return sent;
		int parsed = parse(c, root);
		if (parsed <= 0)
			return parsed;
	}
}

int main(int argc, char **argv)
{
	if (argc != 3) {
		fprintf(stderr, "usage: %s PORT FOLDER\n", argv[0]);
		return 64;
	}
	struct sigaction sa = { .sa_handler = on_term };
	sigaction(SIGTERM, &sa, NULL);
	sigset_t blocked, waiting;
	sigemptyset(&blocked);
	sigaddset(&blocked, SIGTERM);
	sigprocmask(SIG_BLOCK, &blocked, &waiting);

	int root = open(argv[2], O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (root < 0)
		die(argv[2]);
	int one = 1, listener = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	struct sockaddr_in addr = { .sin_family = AF_INET, .sin_port = htons(atoi(argv[1])), .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	setsockopt(listener, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one);
	if (listener < 0 || bind(listener, (struct sockaddr *)&addr, sizeof addr) || listen(listener, 128))
		die("listen");

	while (!ending) {
		struct pollfd fds[MAX_CONNECTIONS + 1];
		fds[0] = (struct pollfd){ .fd = listener, .events = connection_count < MAX_CONNECTIONS ? POLLIN : 0 };
		int n = connection_count;
		for (int i = 0; i < n; i++)
			fds[i + 1] = (struct pollfd){ .fd = connections[i].fd, .events = busy(&connections[i]) ? POLLOUT : POLLIN };
		if (ppoll(fds, n + 1, NULL, &waiting) < 0) {
			if (errno == EINTR)
				continue;
			die("poll");
		}
		/* Backwards: drop() moves the last one, which was served already, into the gap. */
		for (int i = n - 1; i >= 0; i--)
			if (fds[i + 1].revents && serve(&connections[i], root, fds[i + 1].revents) < 0)
				drop(&connections[i]);
		if (fds[0].revents & POLLIN) {
			int fd = accept4(listener, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
			if (fd >= 0)
				connections[connection_count++] = (struct connection){ .fd = fd, .file = -1 };
			else if (errno != EAGAIN && errno != ECONNABORTED && errno != EINTR)
				die("accept");
		}
	}
	return 0;
}
