#ifndef RELAY_PARCEL_H
#define RELAY_PARCEL_H

#include "common/err.h"
#include "common/frame.h"
#include "common/span.h"
#include "common/tls.h"
#include "common/tally.h"

/*
 * What a relay and the one that takes its place say to each other over a Unix
 * socket of packets: one parcel each, big-endian.  Pure.
 *
 *   HELLO   -> version:4            the new one asks
 *   OFFER   <- ticket keys:80 session:8 kinds:1*   one byte a socket passed
 *   GO      ->                      the new one serves; move the agents
 *   HANDED  <-                      no new connection is accepted here
 *   JOB     <- slot:4 generation:8 due-ms:4 method:1 source:16
 *              path:2+ headers:2+ body:4+
 *   CANCEL  <- slot:4 generation:8
 *   ANSWER  -> slot:4 generation:8 problem:2 status:2 headers:2+ body:4+
 *   CHANGED -> what:1               rights are not what they were
 *
 * A JOB is a host's request whose agent has moved already.
 */

#define PARCEL_VERSION 2u
#define PARCEL_MAX (96 * 1024)
#define PARCEL_ANSWERED 0xffffu /* no problem: the agent's own answer */
#define PARCEL_ANSWER_HEADERS_MAX 16384

enum parcel_kind {
	PARCEL_HELLO = 1,
	PARCEL_OFFER,
	PARCEL_GO,
	PARCEL_HANDED,
	PARCEL_JOB,
	PARCEL_CANCEL,
	PARCEL_ANSWER,
	PARCEL_CHANGED
};

/* What the operator changed at the new relay; both files are the old one's,
 * too. */
enum parcel_change {
	PARCEL_REGISTRY = 1, /* keys, tokens, tenants, UUIDs */
	PARCEL_SETUP         /* the configuration */
};

struct parcel {
	enum parcel_kind kind;
	uint32_t version;        /* HELLO */
	struct span ticket_keys; /* OFFER: TLS_TICKET_KEYS_LEN bytes */
	uint64_t session;        /* OFFER: numbers of tunnels go on from here */
	struct span kinds;       /* OFFER: enum inherit_kind each */
	uint32_t slot;           /* JOB, CANCEL, ANSWER */
	uint64_t generation;
	uint32_t due_ms; /* JOB */
	bool post;
	struct source source;
	struct span path;
	struct span headers; /* JOB, ANSWER: as in frames */
	struct span body;
	uint16_t problem; /* ANSWER: enum problem, or PARCEL_ANSWERED */
	uint16_t status;
	enum parcel_change change; /* CHANGED */
};

/** parcel_put(w, p): ${w} fails if it is short. */
void parcel_put(struct writer *w, const struct parcel *p);

/**
 * parcel_parse(out, in, err):
 *   lifetime  ${out} holds spans into ${in}
 *   errors    ERR_MALFORMED: not one whole parcel, or over a limit
 */
int parcel_parse(struct parcel *out, struct span in, struct err *err);

#endif
