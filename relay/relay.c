#include "relay/relay.h"

#include "common/clock.h"
#include "relay/worker.h"

#include <stdlib.h>
#include <string.h>

#define IN_MAX (2 * HTTP_HEAD_MAX)
#define HOST_OUT_MAX (256 * 1024)
#define HOST_OUT_LOW (64 * 1024)
#define TUNNEL_OUT_MAX (2 * 1024 * 1024) /* twice the window and frames */
#define TUNNEL_OUT_LOW (256 * 1024)
#define LINGER_MS 2000
#define RATE_MIN 512 /* bytes a second */

static void
fill_settings(struct relay *r)
{
	const struct relay_timeouts *t = &r->setup->config.timeouts;

	r->host_settings = (struct http_settings){
		.conn = { .handshake_ms = (uint32_t)t->handshake,
		    .stall_ms = (uint32_t)t->stall,
		    .linger_ms = LINGER_MS,
		    .in_max = IN_MAX,
		    .out_max = HOST_OUT_MAX,
		    .out_low = HOST_OUT_LOW },
		.head_ms = (uint32_t)t->head,
		.body_ms = (uint32_t)t->body,
		.rate_after_ms = (uint32_t)t->body / 2,
		.rate_min = RATE_MIN,
		.idle_ms = (uint32_t)t->idle,
	};
	r->tunnel_settings = r->host_settings.conn;
	r->tunnel_settings.in_max = LOOP_SCRATCH_LEN;
	r->tunnel_settings.out_max = TUNNEL_OUT_MAX;
	r->tunnel_settings.out_low = TUNNEL_OUT_LOW;
}

int
relay_init(struct relay *r, const struct relay_setup *setup, struct err *err)
{
	const struct relay_config *c = &setup->config;
	size_t tenants = tenants_count(setup->tenants);

	memset(r, 0, sizeof(*r));
	r->setup = setup;
	r->hosts = (struct admit_hosts){
		.mtls = (c->host_auth & RELAY_AUTH_MTLS) != 0,
		.bearer = (c->host_auth & RELAY_AUTH_BEARER) != 0,
		.tokens = setup->tokens,
		.token_count = setup->token_count,
	};
	fill_settings(r);
	/* Rises over restarts too, without a file to remember it. */
	atomic_init(&r->next_session, clock_wall_ms() << 20);
	r->tenant_claims = calloc(tenants + 1, sizeof(*r->tenant_claims));
	if (r->tenant_claims == NULL)
		return err_set(err, ERR_MEMORY, "no memory for tenants");
	if (route_table_new(&r->routes, err) != 0 ||
	    keyring_new(&r->keyring, tenants, err) != 0 ||
	    tally_new(&r->tally, err) != 0) {
		relay_fini(r);
		return -1;
	}
	return 0;
}

void
relay_fini(struct relay *r)
{
	route_table_free(r->routes);
	keyring_free(r->keyring);
	tally_free(r->tally);
	free(r->tenant_claims);
	memset(r, 0, sizeof(*r));
}

static uint64_t
watermark(const struct relay *r)
{
	return r->setup->config.limits.memory / 5 * 4;
}

bool
relay_overloaded(struct relay *r)
{
	return atomic_load_explicit(&r->memory, memory_order_relaxed) >=
	    watermark(r);
}

bool
relay_charge(struct relay *r, size_t len)
{
	uint64_t before = atomic_fetch_add(&r->memory, len);

	if (before + len <= watermark(r))
		return true;
	atomic_fetch_sub(&r->memory, len);
	return false;
}

void
relay_discharge(struct relay *r, size_t len)
{
	atomic_fetch_sub(&r->memory, len);
}

static bool
has_place(struct relay *relay, bool public)
{
	const struct relay_limits *l = &relay->setup->config.limits;
	uint64_t connections = (uint64_t)l->connections;
	uint64_t memory = l->memory;

	if (public) {
		connections -= connections / 8;
		memory -= memory / 4; /* under the watermark of requests */
	}
	return atomic_load(&relay->connections) < connections &&
	    atomic_load(&relay->memory) + RELAY_CONNECTION_COST <= memory;
}

bool
peer_admit(
    struct peer *p, struct relay *relay, struct source source, bool public)
{
	const struct relay_limits *l = &relay->setup->config.limits;

	*p =
	    (struct peer){ .relay = relay, .source = source, .public = public };
	if (!has_place(relay, public))
		return false;
	if (!tally_take(relay->tally, TALLY_CONNECTIONS, source_one(source),
		(uint32_t)l->connections_per_address))
		return false;
	if (!tally_take(relay->tally, TALLY_HANDSHAKES, source_block(source),
		(uint32_t)l->handshakes_per_block)) {
		tally_give(relay->tally, TALLY_CONNECTIONS, source_one(source));
		return false;
	}
	atomic_fetch_add(&relay->connections, 1);
	atomic_fetch_add(&relay->handshakes[public], 1);
	atomic_fetch_add(&relay->memory, RELAY_CONNECTION_COST);
	p->counted = true;
	p->handshaking = true;
	return true;
}

void
peer_settled(struct peer *p)
{
	if (!p->handshaking)
		return;
	p->handshaking = false;
	tally_give(p->relay->tally, TALLY_HANDSHAKES, source_block(p->source));
	atomic_fetch_sub(&p->relay->handshakes[p->public], 1);
}

void
peer_gone(struct peer *p)
{
	peer_settled(p);
	if (!p->counted)
		return;
	p->counted = false;
	tally_give(p->relay->tally, TALLY_CONNECTIONS, source_one(p->source));
	atomic_fetch_sub(&p->relay->connections, 1);
	atomic_fetch_sub(&p->relay->memory, RELAY_CONNECTION_COST);
}
