#ifndef LAUNCH_QEMU_H
#define LAUNCH_QEMU_H

#include "launch/outcome.h"

/* Plain QEMU: what libvirt would do, over QMP. */

/** qemu_start(argc, argv): probe the host, ask the owner, start the guest
 * paused, have it judged, give it its secret, let it run; then stay until it
 * ends.  Whatever fails, no guest is left. */
enum outcome qemu_start(int argc, char **argv);

/** qemu_fetch(argc, argv): print what this host would send. */
enum outcome qemu_fetch(int argc, char **argv);

#endif
