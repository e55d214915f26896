#include "relay/access.h"

#include <stdio.h>
#include <string.h>

#define FIELDS_MAX 12

static const char *
resource_of(const struct host *h, const struct http_done *d,
    char uuid[UUID_TEXT_LEN + 1])
{
	snprintf(uuid, UUID_TEXT_LEN + 1, "-");
	if (!d->understood)
		return "-";
	if (h->path.kind != PATH_NONE && h->path.forward[0] != '\0')
		uuid_format(uuid, &h->path.uuid);
	return path_name(h->path.kind);
}

void
access_log(const struct host *h, const struct http_done *d)
{
	char uuid[UUID_TEXT_LEN + 1], ms[24], status[8], in[24], out[24];
	const char *resource = resource_of(h, d, uuid);
	const char *host =
	    d->understood && h->identity[0] != '\0' ? h->identity : "none";
	struct log_field fields[FIELDS_MAX] = {
		{ "method", d->method, false },
		{ "resource", resource, false },
		{ "uuid", uuid, false },
		{ "status", status, true },
		{ "origin", d->origin, false },
		{ "ms", ms, true },
		{ "in", in, true },
		{ "out", out, true },
		{ "id", d->id, false },
		{ "host", host, false },
		{ "why", d->why, false },
	};

	snprintf(status, sizeof(status), "%u", d->status);
	snprintf(ms, sizeof(ms), "%llu.%03llu",
	    (unsigned long long)d->us / 1000, (unsigned long long)d->us % 1000);
	snprintf(in, sizeof(in), "%zu", d->in_len);
	snprintf(out, sizeof(out), "%zu", d->out_len);
	log_fields(&h->subject, fields, d->why != NULL ? 11 : 10,
	    "%s %s %s %s %s %sms in=%s out=%s id=%s host=%s%s%s", d->method,
	    resource, uuid, status, d->origin, ms, in, out, d->id, host,
	    d->why != NULL ? " why=" : "", d->why != NULL ? d->why : "");
}

void
access_count(struct host *h, const struct http_done *d)
{
	struct counters *c = &h->worker->counters;
	bool agent = strcmp(d->origin, "agent") == 0;

	counters_request(c, d->understood ? h->path.kind : PATH_NONE, d->status,
	    agent ? COUNTER_AGENT : COUNTER_RELAY, d->us);
	counter_add(&c->body_in, d->in_len);
	counter_add(&c->body_out, d->out_len);
	if (!agent && d->status == 401)
		counter_add(&c->rejections[REJECT_HOST], 1);
	if (!agent && (d->status == 503 || d->status == 429))
		counter_add(&c->rejections[REJECT_OVERLOAD], 1);
}
