#ifndef AGENT_CLI_CHAIN_PRINT_H
#define AGENT_CLI_CHAIN_PRINT_H

#include "agent/sev/sev.h"

/* The member "schema" of either kind of JSON. */
#define CHAIN_PRINT_VERDICT "attest-agent.chain-verify/1"
#define CHAIN_PRINT_CERTS "attest-agent.chain-show/1"

/**
 * chain_print_verdict(trusted, v, why, json):
 * Say on stdout what sev_chain_verify() found; ${why} only if not trusted.
 *   returns  0, or -1 without memory
 */
int chain_print_verdict(
    bool trusted, const struct sev_verdict *v, const char *why, bool json);

/** chain_print_certs(chain, json, err): every certificate, for a person. */
int chain_print_certs(
    const struct sev_chain *chain, bool json, struct err *err);

#endif
