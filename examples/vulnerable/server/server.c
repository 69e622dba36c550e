/*
 * A small note server with honest bugs: what the attack suite and the demo attack.
 *
 * One thread, one client at a time, no fork. A request is a line; where it ends in a length, that many raw bytes follow:
 *
 *   GREET <n>   a name of n bytes             -> "hello"
 *   NOTE <n>    a text of n bytes, kept       -> "noted"
 *   SHOW        the note, as it is rendered   -> the text
 *   ECHO <text> the rest of the line          -> the text
 *   PLUGIN <n>  machine code, staged          -> "staged"
 *   RUN, EXPORT run the plugin, send the secret file: with -m (maintenance) only
 *   QUIT        ends the connection
 *
 * Every mistake is marked BUG and is one that servers have had. Nothing here may be copied into a program that is to be used.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

enum { LINE_SIZE = 512, NAME_SIZE = 64, NOTE_SIZE = 128, PLUGIN_SIZE = 64 * 1024 };

struct note {
	char text[NOTE_SIZE];
	void (*render)(const struct note *note);
};

/* What exploits look up by name is not static, so that its symbol stays in the file. */
void render_plain(const struct note *note);
struct note note = { .render = render_plain };
int client = -1;

static char reply[2 * LINE_SIZE];
static unsigned char *plugin;
static const char *secret = "/etc/secret";
static bool maintenance;

static void fail(const char *doing)
{
	fprintf(stderr, "vulnerable-server: %s: %s\n", doing, strerror(errno));
	exit(1);
}

/* Nothing has to be saved. A flag instead would be missed by an accept that starts just after the flag was looked at. */
static void stop(int signal)
{
	(void)signal;
	_exit(0);
}

/* Reads exactly n bytes; false at the end of the connection. */
static bool receive(void *to, size_t n)
{
	for (char *at = to; n > 0;) {
		ssize_t got = read(client, at, n);
		if (got <= 0)
			return false;
		at += got;
		n -= (size_t)got;
	}
	return true;
}

static bool receive_line(char line[LINE_SIZE])
{
	for (size_t n = 0; n < LINE_SIZE; n++) {
		if (!receive(line + n, 1))
			return false;
		if (line[n] == '\n') {
			line[n] = '\0';
			return true;
		}
	}
	return false;
}

static bool send_all(const char *from, size_t n)
{
	while (n > 0) {
		ssize_t sent = write(client, from, n);
		if (sent <= 0)
			return false;
		from += sent;
		n -= (size_t)sent;
	}
	return true;
}

/* Maintenance: sends the secret file to the client. The prize of the attacks that stay inside the program. */
__attribute__((noinline)) void export_secret(void)
{
	char content[256];
	int fd = open(secret, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return;
	ssize_t n = read(fd, content, sizeof content);
	if (n > 0)
		send_all(content, (size_t)n);
	close(fd);
}

void render_plain(const struct note *n)
{
	snprintf(reply, sizeof reply, "%.*s\n", NOTE_SIZE, n->text);
}

__attribute__((noinline)) static bool greet(size_t n)
{
	char name[NAME_SIZE];

	/* BUG: the length is the client's word. A longer name runs over the return address. */
	if (!receive(name, n))
		return false;
	strcpy(reply, "hello\n");
	return true;
}

static bool keep_note(size_t n)
{
	/* BUG: the bound is that of the whole struct, so the last bytes of a long text are the function pointer. */
	if (n > sizeof note)
		return false;
	if (!receive(&note, n))
		return false;
	strcpy(reply, "noted\n");
	return true;
}

static void echo(const char *text)
{
	/* BUG: the client's text is the format. */
	size_t n = (size_t)snprintf(reply, sizeof reply - 1, text);
	if (n > sizeof reply - 2)
		n = sizeof reply - 2;
	strcpy(reply + n, "\n");
}

static bool stage_plugin(size_t n)
{
	/* BUG: anybody's bytes are put into executable memory before anybody asks whether they may run. */
	if (n > PLUGIN_SIZE || !receive(plugin, n))
		return false;
	strcpy(reply, "staged\n");
	return true;
}

/* One request; false ends the connection. */
static bool serve(const char *line)
{
	size_t n;

	reply[0] = '\0';
	if (sscanf(line, "GREET %zu", &n) == 1) {
		if (!greet(n))
			return false;
	} else if (sscanf(line, "NOTE %zu", &n) == 1) {
		if (!keep_note(n))
			return false;
	} else if (sscanf(line, "PLUGIN %zu", &n) == 1) {
		if (!stage_plugin(n))
			return false;
	} else if (!strcmp(line, "SHOW")) {
		note.render(&note);
	} else if (!strncmp(line, "ECHO ", 5)) {
		echo(line + 5);
	} else if (!strcmp(line, "QUIT")) {
		return false;
	} else if (maintenance && !strcmp(line, "RUN")) {
		((void (*)(void))plugin)();
	} else if (maintenance && !strcmp(line, "EXPORT")) {
		export_secret();
	} else {
		strcpy(reply, "error: unknown request, or not in maintenance\n");
	}
	return send_all(reply, strlen(reply));
}

static int listen_on(const char *address, int port)
{
	struct sockaddr_in in = { .sin_family = AF_INET, .sin_port = htons((uint16_t)port) };
	socklen_t size = sizeof in;
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

	if (fd < 0)
		fail("making a socket");
	if (inet_pton(AF_INET, address, &in.sin_addr) != 1) {
		errno = EINVAL;
		fail("reading the address of -a");
	}
	setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &(int){ 1 }, sizeof(int));
	if (bind(fd, (struct sockaddr *)&in, sizeof in) || listen(fd, 8))
		fail("listening");
	if (getsockname(fd, (struct sockaddr *)&in, &size))
		fail("asking for the port");
	printf("listening on %s:%d\n", address, ntohs(in.sin_port));
	fflush(stdout);
	return fd;
}

int main(int argc, char **argv)
{
	const char *address = "127.0.0.1";
	int port = 0;

	for (int c; (c = getopt(argc, argv, "a:p:s:m")) != -1;) {
		switch (c) {
		case 'a': address = optarg; break;
		case 'p': port = atoi(optarg); break;
		case 's': secret = optarg; break;
		case 'm': maintenance = true; break;
		default:
			fprintf(stderr, "usage: %s [-a address] [-p port] [-s secret-file] [-m]\n", argv[0]);
			return 64;
		}
	}

	sigaction(SIGTERM, &(struct sigaction){ .sa_handler = stop }, NULL);
	sigaction(SIGINT, &(struct sigaction){ .sa_handler = stop }, NULL);
	sigaction(SIGPIPE, &(struct sigaction){ .sa_handler = SIG_IGN }, NULL);

	/* BUG: memory that is writable and executable at once. */
	plugin = mmap(NULL, PLUGIN_SIZE, PROT_READ | PROT_WRITE | PROT_EXEC, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (plugin == MAP_FAILED)
		fail("mapping the plugin buffer");

	int listener = listen_on(address, port);
	for (;;) {
		char line[LINE_SIZE];

		client = accept(listener, NULL, NULL);
		if (client < 0) {
			if (errno == ECONNABORTED)
				continue;
			fail("accepting a client");
		}
		while (receive_line(line) && serve(line))
			;
		close(client);
	}
}
