#ifndef AGENT_CLI_CLI_DIGEST_H
#define AGENT_CLI_CLI_DIGEST_H

/**
 * cli_digest(argc, argv):
 * `attest-agent digest`: print the launch digest; ${argv}[0] is the verb.
 *   returns  0 printed, 2 usage, unreadable or unsupported
 */
int cli_digest(int argc, char **argv);

#endif
