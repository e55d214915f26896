#ifndef LAUNCH_START_H
#define LAUNCH_START_H

#include "launch/outcome.h"

/** start_libvirt(argc, argv): a guest of libvirt, from its definition to
 * running with its secret, or no guest. */
enum outcome start_libvirt(int argc, char **argv);

#endif
