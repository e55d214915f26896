#ifndef HOST_SERVE_H
#define HOST_SERVE_H

#include "tests/host/options.h"

/*
 * One machine for a test that speaks HTTP itself: JSON objects, one a line,
 * from standard input, an object for each to standard output.
 *
 *   {"do":"request"}                        -> {"request": body of /launch}
 *   {"do":"start","answer":TEXT}            -> {"guest": N, "request": body of
 *                                               /validate}
 *   {"do":"open","guest":N,"answer":TEXT}   -> {"secret": TEXT}
 *   {"do":"end","guest":N}                  -> {}
 *
 * TEXT is an answer as it came over the wire.  What fails gives {"error":
 * TEXT, "outcome": N}, N of enum outcome.  Guests live as long as the process.
 */

/** serve_run(argc, argv, err): until the end of the input; HOST_OK, or
 * HOST_USAGE. */
enum outcome serve_run(int argc, char **argv, struct err *err);

#endif
