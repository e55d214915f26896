#ifndef RELAY_SETUP_CLUSTER_H
#define RELAY_SETUP_CLUSTER_H

#include "relay/setup.h"

/*
 * The part of the setup about other relays (docs/operations.md, "Several
 * relays").
 */

/** setup_cluster(s, report): check the section `cluster`, read its files. */
void setup_cluster(struct relay_setup *s, struct conf_report *report);

/** setup_cluster_free(s): wipe and release. */
void setup_cluster_free(struct relay_setup *s);

#endif
