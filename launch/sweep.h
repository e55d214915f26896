#ifndef LAUNCH_SWEEP_H
#define LAUNCH_SWEEP_H

#include "launch/outcome.h"
#include "launch/report.h"

/**
 * sweep_folder(report, folder, patience_s, err):
 * End each launch of that folder whose launcher and guard are both gone
 * (launch/record.h); at most ${patience_s} for each.  From a process with one
 * thread.
 *   returns  OUTCOME_UNREACHABLE: libvirt did not answer for one at least;
 *            OUTCOME_CONFIG: a record cannot be read
 */
enum outcome sweep_folder(const struct report *report, int folder,
    unsigned patience_s, struct err *err);

/** sweep(argc, argv): the command. */
enum outcome sweep(int argc, char **argv);

#endif
