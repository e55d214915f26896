#ifndef TESTS_UNIT_SEV_CHAIN_JUDGE_H
#define TESTS_UNIT_SEV_CHAIN_JUDGE_H

#include "tests/unit/sev/fixture.h"

#define NAPLES "certs/naples/"
#define SYNTHETIC "certs/synthetic-a/"

/* Offsets of the certificates in a full chain. */
#define PDH_AT 0
#define PEK_AT 2084
#define OCA_AT 4168
#define CEK_AT 6252
#define CA_AT 8336

/** chain_judge(v, blob, trust, err): parse, which must work, and verify. */
int chain_judge(struct sev_verdict *v, struct span blob,
    const struct sev_trust *trust, struct err *err);

/**
 * chain_wants(name, blob, trust, check, says):
 * The verdict on ${blob} is ${check}, and its words have ${says} if not NULL.
 */
void chain_wants(const char *name, struct span blob,
    const struct sev_trust *trust, enum sev_check check, const char *says);

#endif
