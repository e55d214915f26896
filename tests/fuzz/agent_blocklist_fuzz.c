#include <stddef.h>
#include <stdint.h>

#include "agent/blocklist.h"
#include "agent/cli/secret_command.h"

/* A CEK block-list: whole fingerprints or none.  And as text lies at hand, a
 * command line for secrets. */

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct secret_command command;
	char line[2048];
	struct secret keys = { 0 };
	struct err err = { 0 };
	size_t len = size < sizeof(line) ? size : sizeof(line) - 1;
	size_t i;

	if (blocklist_parse(&keys, span_of(data, size), &err) == 0 &&
	    keys.len % SEV_SHA256_LEN != 0)
		__builtin_trap();
	secret_free(&keys);
	for (i = 0; i < len; i++)
		line[i] = (char)data[i];
	line[len] = '\0';
	if (secret_command_parse(&command, line, &err) == 0 &&
	    (command.count == 0 || command.words[command.count] != NULL))
		__builtin_trap();
	return 0;
}
