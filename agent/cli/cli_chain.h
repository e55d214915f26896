#ifndef AGENT_CLI_CLI_CHAIN_H
#define AGENT_CLI_CLI_CHAIN_H

/**
 * cli_chain(argc, argv):
 * `attest-agent chain verify|show`; ${argv}[0] is the verb.
 *   returns  the exit status: 0 verified or shown, 1 not trusted, 2 usage or
 *            unreadable
 */
int cli_chain(int argc, char **argv);

#endif
