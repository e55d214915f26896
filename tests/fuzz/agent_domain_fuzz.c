#include "tests/fuzz/agent_form.h"

/* A libvirt domain. */

int
LLVMFuzzerInitialize(int *argc, char ***argv)
{
	(void)argc;
	(void)argv;
	json_setup();
	return 0;
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	form_judge(register_domain, data, size);
	return 0;
}
