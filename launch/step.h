#ifndef LAUNCH_STEP_H
#define LAUNCH_STEP_H

#include "launch/outcome.h"

/* One POST each, JSON in and JSON out, for managers that do the rest. */

enum outcome step_launch(int argc, char **argv);
enum outcome step_validate(int argc, char **argv);

#endif
