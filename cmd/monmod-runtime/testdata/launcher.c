/*
 * Stands in for the library where only its place in the container is tested: says its token on the socket that it is given,
 * then runs the program after "--".
 */
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

int main(int argc, char **argv)
{
	struct sockaddr_un at = {.sun_family = AF_UNIX};

	if (argc < 7 || strcmp(argv[1], "--socket") || strcmp(argv[3], "--token") || strcmp(argv[5], "--"))
		return 64;
	strncpy(at.sun_path, argv[2], sizeof at.sun_path - 1);
	int s = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);
	if (s < 0 || connect(s, (struct sockaddr *)&at, sizeof at) || send(s, argv[4], strlen(argv[4]), 0) < 0) {
		perror("say hello");
		return 69;
	}
	execvp(argv[6], argv + 6);
	perror(argv[6]);
	return 127;
}
