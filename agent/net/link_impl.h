#ifndef AGENT_NET_LINK_IMPL_H
#define AGENT_NET_LINK_IMPL_H

/* What link.c, link_claim.c and link_stream.c share. */

#include "agent/net/link.h"
#include "common/buf.h"
#include "common/log.h"

enum link_claim_state {
	LINK_NAME_ASKED,
	LINK_NAME_OK,
	LINK_NAME_DENIED,
	LINK_NAME_AGAIN, /* denied, and to be asked for once more */
	LINK_NAME_STANDBY
};

struct link_name {
	struct uuid vm;
	bool shared; /* claimed in ordered mode, with ${rank} */
	uint16_t rank;
	enum link_claim_state state;
	bool told; /* that it was denied */
};

struct link {
	const struct link_config *config;
	uint64_t id;
	struct ws_link *ws;    /* NULL once it is closed */
	struct tunnel *tunnel; /* NULL until it is open */
	struct log_subject subject;
	struct link_facts facts;
	struct link_name *names; /* owned: what was claimed here */
	size_t name_count;
	size_t asked;       /* of them without an answer */
	size_t claims_open; /* CLAIMs without an answer */
	bool claims_wait;   /* more names than may be asked for at once */
	uint64_t ask_at_ms; /* for what was denied, once more; 0: nothing was */
	uint32_t ask_ms;    /* how long that was to wait */
	uint32_t max_claims;
	bool welcome; /* WELCOME came */
	bool ready;   /* and every claim was answered once */
	bool retired;
	bool leaving;         /* the relay said GOAWAY */
	uint64_t close_at_ms; /* done, if the relay does not close; 0: not */
	size_t notices;
	unsigned code; /* why the tunnel ended, before the transport did */
	char why[160];
};

/* A body on its way in, or an answer on its way out, of one stream. */
struct link_stream {
	struct buf body;
	size_t sent;
	struct service_request head; /* spans into ${text} */
	char *text;                  /* owned */
	bool answering;
};

void link_stream_free(struct link_stream *s);

/** link_now_ms(l): by the clock's boot time. */
uint64_t link_now_ms(const struct link *l);

/** link_claim_denied(l): ask once more for what was denied. */
void link_claim_denied(struct link *l);

/* Callbacks of the tunnel, for streams. */
void link_on_request(
    void *arg, uint32_t stream, const struct frame_request *request, bool end);
void link_on_data(
    void *arg, uint32_t stream, void *user, struct span bytes, bool end);
void link_on_reset(
    void *arg, uint32_t stream, void *user, uint32_t code, struct span text);
void link_on_writable(void *arg, uint32_t stream, void *user);
/* And for claims. */
void link_on_claimed(
    void *arg, uint32_t number, const struct frame_claimed *claimed);

#endif
