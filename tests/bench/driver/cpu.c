#include "tests/bench/driver/cpu.h"

#include <dirent.h>
#include <stdio.h>

uint64_t
cpu_us(int pid)
{
	unsigned long long ns, total = 0;
	struct dirent *entry;
	char path[320];
	FILE *file;
	DIR *dir;

	snprintf(path, sizeof(path), "/proc/%d/task", pid);
	dir = opendir(path);
	if (dir == NULL)
		return 0;
	while ((entry = readdir(dir)) != NULL) {
		if (entry->d_name[0] == '.')
			continue;
		snprintf(path, sizeof(path), "/proc/%d/task/%s/schedstat", pid,
		    entry->d_name);
		file = fopen(path, "r");
		if (file == NULL)
			continue;
		if (fscanf(file, "%llu", &ns) == 1)
			total += ns;
		fclose(file);
	}
	closedir(dir);
	return total / 1000;
}
