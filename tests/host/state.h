#ifndef HOST_STATE_H
#define HOST_STATE_H

#include "common/secret.h"
#include "tests/psp/psp.h"

/*
 * A measured guest between two runs of this program, as a JSON file:
 *   argv     the words that step-launch was given
 *   launch   request and answer, each as the text that went over the wire
 *   guest    policy, tek, tik, digest, measure, mnonce (hex)
 */
struct state {
	char **argv; /* owned; argv[0] is not an option */
	int argc;
	struct secret request, answer; /* owned, of /launch */
	struct psp_guest_state guest;
};

/** state_words(s, argc, argv, err): keep a copy of the words. */
int state_words(struct state *s, int argc, char **argv, struct err *err);

/** state_load(s, path, err): errors ERR_IO, ERR_MALFORMED */
int state_load(struct state *s, const char *path, struct err *err);

/** state_text(out, s, err): the file's text, owned. */
int state_text(struct secret *out, const struct state *s, struct err *err);

void state_free(struct state *s);

#endif
