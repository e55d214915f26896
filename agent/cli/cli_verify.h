#ifndef AGENT_CLI_CLI_VERIFY_H
#define AGENT_CLI_CLI_VERIFY_H

/**
 * cli_verify(argc, argv):
 * `attest-agent verify`: judge a launch measurement; ${argv}[0] is the verb.
 *   returns  as virt-qemu-sev-validate: 0 match, 1 mismatch, 2
 *            unsupported usage
 */
int cli_verify(int argc, char **argv);

#endif
