#include "relay/relay.h"

#include "common/clock.h"
#include "common/log.h"
#include "common/secret.h"
#include "relay/claim.h"
#include "relay/directory.h"
#include "relay/worker.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

int
relay_init(struct relay *r, struct relay_setup *setup, struct err *err)
{
	pthread_condattr_t clock;

	memset(r, 0, sizeof(*r));
	pthread_mutex_init(&r->taking_lock, NULL);
	pthread_condattr_init(&clock);
	pthread_condattr_setclock(&clock, CLOCK_MONOTONIC);
	pthread_cond_init(&r->all_taken, &clock);
	pthread_condattr_destroy(&clock);
	relay_use(r, setup_hold(setup));
	/* Rises over restarts too, without a file to remember it. */
	atomic_init(&r->next_session, clock_wall_ms() << 20);
	if (route_table_new(&r->routes, err) != 0 ||
	    keyring_new(&r->keyring, err) != 0 ||
	    tally_new(&r->tally, err) != 0 ||
	    throttle_init(&r->enrolments, err) != 0 ||
	    accounts_new(&r->accounts, err) != 0 ||
	    tenants_bind(setup->tenants, r->accounts, err) != 0) {
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
	relay_close_state(r);
	accounts_free(r->accounts);
	setup_drop(r->setup);
	pthread_cond_destroy(&r->all_taken);
	pthread_mutex_destroy(&r->taking_lock);
	secret_wipe(r->ticket_keys, sizeof(r->ticket_keys));
	memset(r, 0, sizeof(*r));
}

void
relay_setup_sent(struct relay *r)
{
	pthread_mutex_lock(&r->taking_lock);
	r->to_take++;
	pthread_mutex_unlock(&r->taking_lock);
}

void
relay_setup_taken(struct relay *r)
{
	pthread_mutex_lock(&r->taking_lock);
	if (--r->to_take == 0)
		pthread_cond_signal(&r->all_taken);
	pthread_mutex_unlock(&r->taking_lock);
}

bool
relay_await_taken(struct relay *r, unsigned ms)
{
	struct timespec until;
	bool all;
	int rc = 0;

	clock_gettime(CLOCK_MONOTONIC, &until);
	until.tv_sec += ms / 1000;
	until.tv_nsec += (long)(ms % 1000) * 1000000;
	if (until.tv_nsec >= 1000000000) {
		until.tv_sec++;
		until.tv_nsec -= 1000000000;
	}
	pthread_mutex_lock(&r->taking_lock);
	while (r->to_take > 0 && rc != ETIMEDOUT)
		rc = pthread_cond_timedwait(
		    &r->all_taken, &r->taking_lock, &until);
	all = r->to_take == 0;
	pthread_mutex_unlock(&r->taking_lock);
	return all;
}

int
relay_open_state(struct relay *r, struct err *err)
{
	const char *folder = r->setup->config.state;

	if (registry_open(&r->registry, folder, r->accounts, err) != 0)
		return -1;
	if (folder[0] == '\0')
		log_warn(NULL,
		    "state is \"\": what attest-relayctl changes is forgotten "
		    "at the end");
	relay_apply_limits(r);
	return 0;
}

void
relay_close_state(struct relay *r)
{
	registry_close(r->registry);
	r->registry = NULL;
}

void
relay_apply_limits(struct relay *r)
{
	const struct relay_limits *l = &r->setup->config.limits;
	const uint32_t max[ACCOUNT_KINDS] = {
		[ACCOUNT_TUNNELS] = (uint32_t)l->tenant_tunnels,
		[ACCOUNT_CLAIMS] = (uint32_t)l->tenant_claims,
		[ACCOUNT_STREAMS] = (uint32_t)l->tenant_streams,
	};
	uint32_t count = accounts_count(r->accounts);

	for (uint32_t i = 0; i < count; i++) {
		struct account *account = accounts_get(r->accounts, i);
		struct tenant_rules rules = { 0 };
		struct account_limits *own = &rules.limits;

		/* One that is no tenant any more keeps the default for what
		 * is still ending. */
		claim_tenant(r->setup->tenants, r->registry, account, &rules);
		for (int k = 0; k < ACCOUNT_KINDS; k++)
			if (own->max[k] == 0)
				own->max[k] = max[k];
		if (own->requests == 0)
			own->requests = (uint32_t)l->tenant_requests;
		if (own->memory == 0)
			own->memory = l->tenant_memory;
		account_set_limits(account, own);
	}
}

void
relay_judge(struct relay *r)
{
	relay_apply_limits(r);
	for (size_t i = 0; i < r->worker_count; i++) {
		struct message *m = calloc(1, sizeof(*m));

		if (m == NULL)
			abort(); /* who was revoked would stay */
		m->kind = MESSAGE_JUDGE;
		loop_post(r->workers[i]->loop, &m->mail);
	}
}

void
relay_use(struct relay *r, struct relay_setup *setup)
{
	setup_drop(r->setup);
	r->setup = setup;
	r->loaded = time(NULL);
	atomic_store(&r->watermark, setup->config.limits.memory / 5 * 4);
}

uint64_t
relay_next_session(struct relay *r)
{
	uint64_t last, next, clock_of_all;

	if (r->directory == NULL)
		return atomic_fetch_add(&r->next_session, 1) + 1;
	clock_of_all =
	    (clock_wall_ms() + (uint64_t)directory_ahead_ms(r->directory))
	    << 20;
	last = atomic_load(&r->next_session);
	do
		next = clock_of_all > last ? clock_of_all : last + 1;
	while (!atomic_compare_exchange_weak(&r->next_session, &last, next));
	return next;
}

bool
relay_overloaded(struct relay *r)
{
	return atomic_load_explicit(&r->memory, memory_order_relaxed) >=
	    atomic_load_explicit(&r->watermark, memory_order_relaxed);
}

void
relay_charge_anyway(struct relay *r, size_t len)
{
	atomic_fetch_add(&r->memory, len);
}

bool
relay_charge(struct relay *r, size_t len)
{
	uint64_t before = atomic_fetch_add(&r->memory, len);

	if (before + len <=
	    atomic_load_explicit(&r->watermark, memory_order_relaxed))
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

static bool
take_places(struct relay *relay, struct source source, bool public)
{
	const struct relay_limits *l = &relay->setup->config.limits;

	if (!has_place(relay, public))
		return false;
	if (!tally_take(relay->tally, TALLY_CONNECTIONS, source_one(source),
		(uint32_t)l->connections_per_address))
		return false;
	if (tally_take(relay->tally, TALLY_HANDSHAKES, source_block(source),
		(uint32_t)l->handshakes_per_block))
		return true;
	tally_give(relay->tally, TALLY_CONNECTIONS, source_one(source));
	return false;
}

bool
peer_admit(
    struct peer *p, struct relay *relay, struct source source, bool public)
{
	*p =
	    (struct peer){ .relay = relay, .source = source, .public = public };
	if (!take_places(relay, source, public)) {
		counter_add(&relay->counters.rejections[REJECT_CONNECTIONS], 1);
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
