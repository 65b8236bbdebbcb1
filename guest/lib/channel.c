// SPDX-License-Identifier: GPL-2.0
/* Talks to the host, and reads the kernel command line that it has set. */
#include "channel.h"

#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static void channel_lost(void)
{
	fprintf(stderr, "guest: the channel to the host is gone\n");
	_exit(2);
}

void say(const char *fmt, ...)
{
	char line[LINE_MAX_LEN];
	size_t len, done = 0;
	va_list args;
	char *nl;

	va_start(args, fmt);
	vsnprintf(line, sizeof(line) - 1, fmt, args);
	va_end(args);

	while ((nl = strchr(line, '\n')))
		*nl = ' ';
	len = strlen(line);
	line[len++] = '\n';
	while (done < len) {
		ssize_t n = write(CHANNEL_FD, line + done, len - done);

		if (n <= 0)
			channel_lost();
		done += n;
	}
}

void hear(char *line, size_t size)
{
	size_t len = 0;

	while (len < size - 1) {
		if (read(CHANNEL_FD, line + len, 1) != 1)
			channel_lost();
		if (line[len] == '\n')
			break;
		len++;
	}
	line[len] = '\0';
}

bool cmdline_get(const char *key, char *value, size_t size)
{
	char text[4096], *word, *save = NULL;
	size_t len = strlen(key);
	ssize_t n;
	int fd;

	fd = open("/proc/cmdline", O_RDONLY | O_CLOEXEC);
	n = fd < 0 ? -1 : read(fd, text, sizeof(text) - 1);
	close(fd);
	if (n < 0)
		return false;
	text[n] = '\0';

	for (word = strtok_r(text, " \n", &save); word;
	     word = strtok_r(NULL, " \n", &save)) {
		if (strncmp(word, key, len) || word[len] != '=')
			continue;
		snprintf(value, size, "%s", word + len + 1);
		return true;
	}
	return false;
}
