#ifndef COMMON_TALLY_H
#define COMMON_TALLY_H

#include "common/err.h"

#include <stdbool.h>
#include <stdint.h>

struct sockaddr;

/*
 * How much of something each source holds right now: connections of an
 * address, handshakes of a block of addresses, requests that wait.  Safe from
 * every thread.
 */

/* Where a peer comes from: IPv4 as ::ffff:a.b.c.d. */
struct source {
	uint8_t addr[16];
};

/** source_of(sa): all zeros for other families. */
struct source source_of(const struct sockaddr *sa);

/** source_one(s): who counts as one peer: an IPv4 address, an IPv6 /64. */
struct source source_one(struct source s);

/** source_block(s): whom one operator rules: an IPv4 /24, an IPv6 /48. */
struct source source_block(struct source s);

#define SOURCE_TEXT_LEN 46
/** source_text(out, s): for people.  Returns ${out}. */
char *source_text(char out[SOURCE_TEXT_LEN], struct source s);

/* The sources whose first bits are the same. */
struct source_net {
	struct source base;
	unsigned bits; /* of the 128 */
};

/** source_net_parse(out, text, err): "10.0.0.0/8", "2001:db8::/32", or one
 * address.  errors ERR_MALFORMED: no address, prefix too long, or bits set
 * behind it */
int source_net_parse(struct source_net *out, const char *text, struct err *err);

bool source_in(struct source s, const struct source_net *net);

enum tally_kind { TALLY_CONNECTIONS, TALLY_HANDSHAKES, TALLY_HELD };

struct tally;

/** tally_new(out, err): errors ERR_MEMORY, ERR_INTERNAL */
int tally_new(struct tally **out, struct err *err);
void tally_free(struct tally *t);

/** tally_take(t, kind, source, max): one more, unless there are ${max}. */
bool tally_take(
    struct tally *t, enum tally_kind kind, struct source source, uint32_t max);

/** tally_give(t, kind, source): one less; never more often than taken. */
void tally_give(struct tally *t, enum tally_kind kind, struct source source);

/** tally_count(t, kind, source): for tests and status. */
uint32_t tally_count(
    struct tally *t, enum tally_kind kind, struct source source);

#endif
