#include <string.h>

#include "agent/json.h"
#include "agent/net/service.h"

/* The JSON of /launch and /validate: a good one gives whole messages, a bad
 * one a problem, and a pointer only where protocol.md 9 has one. */

int LLVMFuzzerInitialize(int *argc, char ***argv);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int
LLVMFuzzerInitialize(int *argc, char ***argv)
{
	(void)argc;
	(void)argv;
	json_setup();
	return 0;
}

static void
check(enum problem p, const char pointer[SERVICE_POINTER_LEN])
{
	if (memchr(pointer, '\0', SERVICE_POINTER_LEN) == NULL)
		__builtin_trap();
	if ((p == PROBLEM_INVALID_FIELD) != (pointer[0] == '/'))
		__builtin_trap();
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct vault_launch launch;
	struct vault_validate validate;
	char pointer[SERVICE_POINTER_LEN];
	struct span body = span_of(data, size);
	enum problem p;

	p = service_read_launch(&launch, pointer, body);
	check(p, pointer);
	if (p == PROBLEM_COUNT &&
	    (launch.chain_len > sizeof(launch.chain) ||
		memchr(launch.host_claims, '\0', sizeof(launch.host_claims)) ==
		    NULL))
		__builtin_trap();
	check(service_read_validate(&validate, pointer, body), pointer);
	return 0;
}
