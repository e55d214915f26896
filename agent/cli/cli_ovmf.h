#ifndef AGENT_CLI_CLI_OVMF_H
#define AGENT_CLI_CLI_OVMF_H

/**
 * cli_ovmf(argc, argv):
 * `attest-agent ovmf show`: what a firmware offers; ${argv}[0] is the verb.
 *   returns  0 shown, 1 no OVMF table, 2 usage or unreadable
 */
int cli_ovmf(int argc, char **argv);

#endif
