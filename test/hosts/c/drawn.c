/* SPDX-License-Identifier: Apache-2.0 */
/* A socket in a folder whose name was drawn: bound, used and removed by names below it. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

int main(void)
{
	char folder[] = "drawn-XXXXXX", other[64];
	struct sockaddr_un at = {.sun_family = AF_UNIX};
	int s = socket(AF_UNIX, SOCK_STREAM, 0), c = socket(AF_UNIX, SOCK_STREAM, 0);
	struct stat st;

	if (!mkdtemp(folder))
		return 1;
	snprintf(at.sun_path, sizeof(at.sun_path), "%s/socket", folder);
	snprintf(other, sizeof(other), "%s/other", folder);
	if (bind(s, (struct sockaddr *)&at, sizeof(at)) < 0 || listen(s, 1) < 0 ||
	    connect(c, (struct sockaddr *)&at, (socklen_t)(sizeof(at.sun_family) + strlen(at.sun_path))) < 0)
		return 2;
	if (chmod(at.sun_path, 0600) < 0 || stat(at.sun_path, &st) < 0 || rename(at.sun_path, other) < 0 || unlink(other) < 0 ||
	    rmdir(folder) < 0)
		return 3;
	printf("%o\n", (unsigned)st.st_mode);
	return 0;
}
