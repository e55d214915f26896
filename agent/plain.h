#ifndef AGENT_PLAIN_H
#define AGENT_PLAIN_H

/** plain(text): whatever is not printable ASCII becomes '?', in place: for
 * words of hosts and relays on their way to an owner's terminal, log or JSON
 * (docs/threat-model.md T30).  Returns ${text}. */
char *plain(char *text);

#endif
