#ifndef HOST_STEP_H
#define HOST_STEP_H

#include "tests/host/host.h"

/*
 * A launch in several processes, so that a test can do something in between.
 * A state file is JSON: the words of the command line, request and answer of
 * /launch, and the guest's context in the secure processor.
 */

/** step_run(verb, argc, argv, err): step-launch, step-start, step-validate
 * or step-open; HOST_USAGE for any other. */
enum outcome step_run(const char *verb, int argc, char **argv, struct err *err);

#endif
