#ifndef LAUNCH_CHECK_H
#define LAUNCH_CHECK_H

#include "launch/outcome.h"

/** check_service(argc, argv): can this host reach the service, does TLS hold,
 * and is it let in?  No VM is needed, no session is opened. */
enum outcome check_service(int argc, char **argv);

#endif
