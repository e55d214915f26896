#ifndef RELAY_DIRECTORY_SCRIPT_H
#define RELAY_DIRECTORY_SCRIPT_H

/*
 * What is done in Redis at one go, in Lua: all decisions about who owns what
 * (docs/protocol.md 16.2).  Numbers of sessions are 20 decimal digits, as
 * Lua's own numbers hold 53 bits only: compared as texts.
 */

enum directory_script {
	/* node, incarnation, address, again -> 2, or 1: again, and it is there
	 * still */
	SCRIPT_JOIN,
	/* node, incarnation, session, key, boot, slot, mode, rank,
	 * capabilities, lease-ms, fence-ms, certain, bind, grace-ms
	 * -> 0 no, 1 yes, 2 older, 3 ask again soon, 4 yes, and bound just
	 * now */
	SCRIPT_CLAIM,
	/* node, key, session -> 1, or 0: it was not there */
	SCRIPT_WITHDRAW,
	/* node, most -> preferred key or "", then node, address, session, key,
	 * mode, rank, capabilities of each other relay that serves it */
	SCRIPT_FIND,
	/* key, ms -> 1 */
	SCRIPT_PREFER,
	/* key, or "" for whosever it is -> 1, or 0: it was not bound to it */
	SCRIPT_RELEASE,
	DIRECTORY_SCRIPTS
};

#define DIRECTORY_PREFIX "attest-relay:"

/** directory_script_text(s): its source. */
const char *directory_script_text(enum directory_script s);

#endif
