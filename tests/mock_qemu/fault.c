#include "tests/mock_qemu/fault.h"

#include <stdlib.h>
#include <string.h>

const char *
fault(const char *command)
{
	const char *words = getenv("MOCK_QEMU_FAULT");
	size_t len = strlen(command);

	if (words == NULL || strncmp(words, command, len) != 0 ||
	    words[len] != '=')
		return NULL;
	return words + len + 1;
}

bool
fault_is(const char *command, const char *name)
{
	const char *words = fault(command);

	return words != NULL && strcmp(words, name) == 0;
}
