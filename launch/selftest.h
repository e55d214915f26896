#ifndef LAUNCH_SELFTEST_H
#define LAUNCH_SELFTEST_H

#include "launch/outcome.h"

/** selftest(argc, argv): what this host can do of a launch, step by step, as far
 * as it goes without an owner. */
enum outcome selftest(int argc, char **argv);

#endif
