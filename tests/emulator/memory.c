#include "tests/emulator/memory.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

static int
open_memory(pid_t pid)
{
	char folder[64], path[384], to[256];
	struct dirent *entry;
	int found = -1;
	DIR *all;

	(void)snprintf(folder, sizeof(folder), "/proc/%d/fd", (int)pid);
	all = opendir(folder);
	while (found < 0 && all != NULL && (entry = readdir(all)) != NULL) {
		ssize_t n;

		(void)snprintf(
		    path, sizeof(path), "%s/%s", folder, entry->d_name);
		n = readlink(path, to, sizeof(to) - 1);
		if (n <= 0)
			continue;
		to[n] = '\0';
		if (strncmp(to, "/memfd:memory-backend-memfd", 27) == 0)
			found = open(path, O_RDWR | O_CLOEXEC);
	}
	if (all != NULL)
		(void)closedir(all);
	return found;
}

int
memory_put(pid_t pid, uint64_t address, struct span data, struct err *err)
{
	int fd = open_memory(pid);
	int rc = -1;

	if (fd < 0)
		return err_set(err, ERR_NOT_FOUND, "guest memory: no memfd");
	if (pwrite(fd, data.ptr, data.len, (off_t)address) == (ssize_t)data.len)
		rc = 0;
	else
		err_set(err, ERR_IO, "guest memory: %s", strerror(errno));
	(void)close(fd);
	return rc;
}
