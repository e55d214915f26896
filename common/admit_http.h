#ifndef COMMON_ADMIT_HTTP_H
#define COMMON_ADMIT_HTTP_H

#include "common/admit.h"
#include "common/http_head.h"
#include "common/log.h"

/*
 * Who posts?  What a host's request and its connection show, for admit.h; the
 * same for a relay and for an agent that listens.
 */

struct ssl_st;

struct admit_from {
	struct ssl_st *ssl; /* NULL: no certificate counts */
	struct source source;
	const struct log_subject *subject;
};

/**
 * admit_http(identity, hosts, from, head):
 * ${identity} becomes the host-identity.  False: answer 401; why is logged,
 * and ${identity} is empty.
 */
bool admit_http(char identity[ADMIT_IDENTITY_MAX + 1],
    const struct admit_hosts *hosts, const struct admit_from *from,
    const struct http_head *head);

/** admit_repeats(head): does a field that is read stand there twice? */
bool admit_repeats(const struct http_head *head);

/** admit_json(head): is the body JSON, by its fields?  False: answer 415.
 * Parameters do not matter.  source docs/protocol.md 3 */
bool admit_json(const struct http_head *head);

#define ADMIT_WORDS_LEN 32
/** admit_words(w, hosts): what hosts may show, as in .well-known
 * (docs/protocol.md 2): "mtls","bearer". */
void admit_words(struct writer *w, const struct admit_hosts *hosts);

#endif
