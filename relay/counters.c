#include "relay/counters.h"

#include "common/tunnel.h"

const unsigned counter_statuses[COUNTER_STATUSES] = { 200, 201, 202, 204, 304,
	400, 401, 403, 404, 405, 409, 410, 411, 413, 414, 415, 417, 421, 422,
	425, 426, 429, 431, 500, 501, 502, 503, 504, 505, 507, 508, 0 };

const char *const counter_ends[END_KINDS] = { "closed", "drained", "protocol",
	"revoked", "limits", "timeout", "superseded", "lost" };

const char *const counter_rejections[REJECT_KINDS] = { "connections",
	"handshake", "hello", "tunnel", "host", "overload" };

const uint64_t counter_bounds_us[COUNTER_BUCKETS] = { 500, 1000, 2500, 5000,
	10000, 25000, 50000, 100000, 250000, 500000, 1000000, 5000000, 20000000,
	60000000 };

void
histogram_add(struct histogram *h, uint64_t us)
{
	size_t i = 0;

	while (i < COUNTER_BUCKETS && us > counter_bounds_us[i])
		i++;
	counter_add(&h->buckets[i], 1);
	counter_add(&h->sum_us, us);
}

void
counters_request(struct counters *c, enum path_kind kind, unsigned status,
    enum counter_origin origin, uint64_t us)
{
	size_t i = 0;

	while (i < COUNTER_STATUSES - 1 && counter_statuses[i] != status)
		i++;
	counter_add(&c->requests[kind][i][origin], 1);
	histogram_add(&c->request_us, us);
}

enum counter_end
counter_end_of(unsigned code)
{
	static const struct {
		unsigned code;
		enum counter_end end;
	} table[] = {
		{ TUNNEL_CLOSE_OK, END_CLOSED },
		{ TUNNEL_CLOSE_DRAINING, END_DRAINED },
		{ TUNNEL_CLOSE_UNTRUSTED, END_REVOKED },
		{ TUNNEL_CLOSE_LIMITS, END_LIMITS },
		{ TUNNEL_CLOSE_TIMEOUT, END_TIMEOUT },
		{ TUNNEL_CLOSE_SUPERSEDED, END_SUPERSEDED },
		{ TUNNEL_CLOSE_LOST, END_LOST },
	};

	for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++)
		if (table[i].code == code)
			return table[i].end;
	return END_PROTOCOL;
}

/* A struct of counters is an array of them: no member is anything else. */
_Static_assert(
    sizeof(struct counters) % sizeof(_Atomic uint64_t) == 0, "counters only");

void
counters_sum(struct counters *out, const struct counters *in)
{
	_Atomic uint64_t *to = (_Atomic uint64_t *)out;
	const _Atomic uint64_t *from = (const _Atomic uint64_t *)in;

	for (size_t i = 0; i < sizeof(*in) / sizeof(*from); i++)
		counter_add(&to[i],
		    atomic_load_explicit(&from[i], memory_order_relaxed));
}
