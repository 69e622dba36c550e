/* Does what the first letters of the file `role` say. Each host has a role of its own: a rule says that the file differs. */
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

static void say(const char *text)
{
	if (write(1, text, strlen(text)) < 0)
		_exit(3);
}

int main(void)
{
	char role[6] = {0};
	volatile int *volatile nowhere = (volatile int *)16;
	int fd = open("role", O_RDONLY);

	if (fd < 0 || read(fd, role, 5) != 5)
		return 2;
	close(fd);
	say("begin\n");
	if (!strcmp(role, "fault"))
		*nowhere = 1;
	while (!strcmp(role, "spins"))
		;
	while (!strcmp(role, "works")) {
		struct timespec moment = {0, 1000000};

		nanosleep(&moment, NULL);
		if (access("stop", F_OK) == 0)
			break;
	}
	if (!strcmp(role, "exits"))
		return 5;
	say(strcmp(role, "other") ? "end\n" : "END\n");
	return 0;
}
