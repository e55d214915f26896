#include "tests/fuzz/agent_form.h"

/* A registration in YAML. */

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
	form_judge(register_yaml, data, size);
	return 0;
}
