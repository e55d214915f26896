#include "relay/metrics.h"

#include "relay/worker.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <time.h>

#define PREFIX "attest_relay_"

static void
family(FILE *out, const char *name, const char *type, const char *help)
{
	fprintf(out, "# HELP " PREFIX "%s %s\n# TYPE " PREFIX "%s %s\n", name,
	    help, name, type);
}

/* A family of one. */
static void
gauge(FILE *out, const char *name, const char *help, double value)
{
	family(out, name, "gauge", help);
	fprintf(out, PREFIX "%s %.15g\n", name, value);
}

static void
counter(FILE *out, const char *name, const char *help, uint64_t value)
{
	family(out, name, "counter", help);
	fprintf(out, PREFIX "%s %llu\n", name, (unsigned long long)value);
}

static void
histogram(
    FILE *out, const char *name, const char *help, const struct histogram *h)
{
	uint64_t sum = 0;

	family(out, name, "histogram", help);
	for (size_t i = 0; i < COUNTER_BUCKETS; i++) {
		sum += h->buckets[i];
		fprintf(out, PREFIX "%s_bucket{le=\"%g\"} %llu\n", name,
		    (double)counter_bounds_us[i] / 1e6,
		    (unsigned long long)sum);
	}
	sum += h->buckets[COUNTER_BUCKETS];
	fprintf(out,
	    PREFIX "%s_bucket{le=\"+Inf\"} %llu\n" PREFIX "%s_sum %.6f\n" PREFIX
		   "%s_count %llu\n",
	    name, (unsigned long long)sum, name, (double)h->sum_us / 1e6, name,
	    (unsigned long long)sum);
}

static void
requests(FILE *out, const struct counters *c)
{
	static const char *const origins[] = { "agent", "relay" };
	char code[16];

	family(out, "requests_total", "counter",
	    "Requests answered, by resource, status and who answered.");
	for (size_t k = 0; k < PATH_KINDS; k++) {
		for (size_t i = 0; i < COUNTER_STATUSES; i++) {
			snprintf(code, sizeof(code),
			    counter_statuses[i] != 0 ? "%u" : "other",
			    counter_statuses[i]);
			for (size_t o = 0; o < COUNTER_ORIGINS; o++)
				if (c->requests[k][i][o] != 0)
					fprintf(out,
					    PREFIX
					    "requests_total{route=\"%s\","
					    "code=\"%s\",origin=\"%s\"} %llu\n",
					    path_name((enum path_kind)k), code,
					    origins[o],
					    (unsigned long long)
						c->requests[k][i][o]);
		}
	}
}

static void
by_reason(FILE *out, const char *name, const char *help,
    const char *const words[], const _Atomic uint64_t values[], size_t count)
{
	family(out, name, "counter", help);
	for (size_t i = 0; i < count; i++)
		fprintf(out, PREFIX "%s{reason=\"%s\"} %llu\n", name, words[i],
		    (unsigned long long)values[i]);
}

enum per_tenant { TUNNELS, CLAIMS, STREAMS, MEMORY, REFUSED };

static uint64_t
value_of(const struct account *a, enum per_tenant what)
{
	switch (what) {
	case TUNNELS:
		return atomic_load(&a->held[ACCOUNT_TUNNELS]);
	case CLAIMS:
		return atomic_load(&a->held[ACCOUNT_CLAIMS]);
	case STREAMS:
		return atomic_load(&a->held[ACCOUNT_STREAMS]);
	case MEMORY:
		return atomic_load(&a->memory);
	case REFUSED:
		return atomic_load(&a->refused);
	}
	return 0;
}

/* Names of tenants are letters, digits and -._, so they need no escapes. */
static void
tenants(FILE *out, struct relay *r, enum per_tenant what, const char *name,
    const char *type, const char *help)
{
	const struct account *a;

	family(out, name, type, help);
	for (uint32_t i = 0; i < accounts_count(r->accounts); i++) {
		a = accounts_get(r->accounts, i);
		if (a != NULL)
			fprintf(out, PREFIX "%s{tenant=\"%s\"} %llu\n", name,
			    a->name, (unsigned long long)value_of(a, what));
	}
}

static void
accounts(FILE *out, struct relay *r)
{
	tenants(out, r, TUNNELS, "tunnels", "gauge", "Agents with a tunnel.");
	tenants(out, r, CLAIMS, "claims", "gauge",
	    "UUIDs that are served by a tunnel.");
	tenants(out, r, STREAMS, "streams", "gauge",
	    "Requests under way on tunnels.");
	tenants(out, r, MEMORY, "tenant_memory_bytes", "gauge",
	    "Bytes of bodies under way.");
	tenants(out, r, REFUSED, "quota_refused_total", "counter",
	    "Refusals over a quota of the tenant.");
}

static void
now(FILE *out, struct relay *r)
{
	const struct relay_setup *s = r->setup;
	time_t clock = time(NULL);

	gauge(out, "connections", "Open connections.",
	    atomic_load(&r->connections));
	family(out, "handshakes", "gauge", "TLS handshakes under way.");
	fprintf(out,
	    PREFIX "handshakes{listener=\"internal\"} %u\n" PREFIX
		   "handshakes{listener=\"public\"} %u\n",
	    atomic_load(&r->handshakes[0]), atomic_load(&r->handshakes[1]));
	gauge(out, "held_requests", "Requests that wait for an agent.",
	    atomic_load(&r->held));
	gauge(out, "memory_bytes", "Bytes charged for connections and bodies.",
	    (double)atomic_load(&r->memory));
	gauge(out, "memory_limit_bytes", "limits.memory.",
	    (double)s->config.limits.memory);
	gauge(out, "draining", "1 after SIGTERM or a take-over.",
	    atomic_load(&r->draining) ? 1 : 0);
	family(out, "cert_expiry_seconds", "gauge",
	    "Time until the certificate ends.");
	fprintf(out,
	    PREFIX "cert_expiry_seconds{listener=\"public\"} %lld\n" PREFIX
		   "cert_expiry_seconds{listener=\"internal\"} %lld\n",
	    (long long)tls_identity_seconds(s->public),
	    (long long)tls_identity_seconds(s->internal));
	family(out, "reloads_total", "counter", "Reloads of relay.yaml.");
	fprintf(out,
	    PREFIX "reloads_total{result=\"good\"} %llu\n" PREFIX
		   "reloads_total{result=\"bad\"} %llu\n",
	    (unsigned long long)r->reloads[0],
	    (unsigned long long)r->reloads[1]);
	gauge(out, "config_age_seconds", "Since relay.yaml was last loaded.",
	    (double)(clock - r->loaded));
}

static void
process(FILE *out, const struct relay *r)
{
	struct rusage u = { 0 };

	getrusage(RUSAGE_SELF, &u);
	family(out, "build_info", "gauge", "Always 1.");
	fprintf(out, PREFIX "build_info{version=\"%s\",tls=\"%s\"} 1\n",
	    ATTEST_VERSION, tls_library());
	gauge(out, "workers", "Threads that serve.", (double)r->worker_count);
	family(out, "cpu_seconds_total", "counter", "Processor time spent.");
	fprintf(out, PREFIX "cpu_seconds_total %.6f\n",
	    (double)u.ru_utime.tv_sec + (double)u.ru_stime.tv_sec +
		(double)(u.ru_utime.tv_usec + u.ru_stime.tv_usec) / 1e6);
	gauge(out, "resident_max_bytes", "Most memory that was ever resident.",
	    (double)u.ru_maxrss * 1024);
}

char *
metrics_text(struct relay *r, size_t *len, struct err *err)
{
	struct counters *sum = calloc(1, sizeof(*sum));
	char *text = NULL;
	FILE *out = open_memstream(&text, len);

	if (sum == NULL || out == NULL) {
		free(sum);
		if (out != NULL)
			fclose(out);
		free(text);
		err_set(err, ERR_MEMORY, "no memory for metrics");
		return NULL;
	}
	counters_sum(sum, &r->counters);
	for (size_t i = 0; i < r->worker_count; i++)
		counters_sum(sum, &r->workers[i]->counters);
	process(out, r);
	now(out, r);
	accounts(out, r);
	requests(out, sum);
	histogram(out, "request_seconds",
	    "From the end of a request's head to its answer.",
	    &sum->request_us);
	histogram(out, "wait_seconds",
	    "From a request's head to the first tunnel that took it.",
	    &sum->wait_us);
	counter(out, "body_received_bytes_total", "Bytes of requests' bodies.",
	    sum->body_in);
	counter(out, "body_sent_bytes_total", "Bytes of answers' bodies.",
	    sum->body_out);
	counter(out, "host_moves_total",
	    "Hosts' connections that moved to the worker of their tunnel.",
	    sum->moves);
	counter(out, "tunnels_made_total", "Agents that were let in.",
	    sum->tunnels);
	by_reason(out, "reconnects_total",
	    "Tunnels that ended, so that their agents come back.", counter_ends,
	    sum->ends, END_KINDS);
	by_reason(out, "rejected_total", "Who was not let in.",
	    counter_rejections, sum->rejections, REJECT_KINDS);
	free(sum);
	if (ferror(out) != 0) {
		fclose(out);
		free(text);
		err_set(err, ERR_MEMORY, "no memory for metrics");
		return NULL;
	}
	fclose(out);
	return text;
}

bool
metrics_ready(const struct relay *r)
{
	return !atomic_load(&r->draining) && !atomic_load(&r->successor) &&
	    atomic_load(&r->memory) < atomic_load(&r->watermark);
}
