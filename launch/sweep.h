#ifndef LAUNCH_SWEEP_H
#define LAUNCH_SWEEP_H

#include "launch/outcome.h"
#include "launch/report.h"

struct sweep_rule {
	const struct report *report;
	unsigned each_s; /* for the guest of one launch */
	unsigned all_s;  /* 0: as long as it takes */
};

/**
 * sweep_folder(rule, folder, err):
 * End each launch of that folder whose launcher and guard are both gone
 * (launch/record.h).  From a process with one thread.
 *   returns  OUTCOME_UNREACHABLE: libvirt did not answer for one at least;
 *            OUTCOME_CONFIG: a record cannot be read
 */
enum outcome sweep_folder(
    const struct sweep_rule *rule, int folder, struct err *err);

/** sweep(argc, argv): the command. */
enum outcome sweep(int argc, char **argv);

#endif
