#include "common/admit_http.h"

#include <strings.h>

#include "common/tls_peer.h"

bool
admit_http(char identity[ADMIT_IDENTITY_MAX + 1],
    const struct admit_hosts *hosts, const struct admit_from *from,
    const struct http_head *head)
{
	struct admit_shown shown = { .source = from->source };
	char name[TLS_PEER_NAME_MAX + 1];
	struct err err;

	shown.authorization_count =
	    http_get(head, "authorization", &shown.authorization);
	if (hosts->mtls && from->ssl != NULL &&
	    tls_peer_name(from->ssl, name, sizeof(name)))
		shown.peer_name = name;
	if (admit_host(identity, hosts, &shown, &err) == 0)
		return true;
	identity[0] = '\0';
	log_debug(from->subject, "not authenticated: %s", err.msg);
	return false;
}

bool
admit_repeats(const struct http_head *head)
{
	static const char *const once[] = { "content-type", "accept",
		"idempotency-key", "cookie", "request-id" };
	struct span value;

	for (size_t i = 0; i < sizeof(once) / sizeof(once[0]); i++)
		if (http_get(head, once[i], &value) > 1)
			return true;
	return false;
}

bool
admit_json(const struct http_head *head)
{
	static const char json[] = "application/json";
	struct span value;
	size_t n = sizeof(json) - 1;

	if (http_get(head, "content-encoding", &value) > 0)
		return false;
	if (http_get(head, "content-type", &value) == 0)
		return true;
	if (value.len < n || strncasecmp((const char *)value.ptr, json, n) != 0)
		return false;
	return value.len == n || value.ptr[n] == ';' || value.ptr[n] == ' ' ||
	    value.ptr[n] == '\t';
}

void
admit_words(struct writer *w, const struct admit_hosts *hosts)
{
	const struct {
		bool may;
		const char *word;
	} ways[] = { { hosts->mtls, "\"mtls\"" },
		{ hosts->bearer, "\"bearer\"" },
		{ hosts->networks != NULL, "\"networks\"" } };
	const char *between = "";

	for (size_t i = 0; i < sizeof(ways) / sizeof(ways[0]); i++) {
		if (!ways[i].may)
			continue;
		writer_put(w, span_str(between));
		writer_put(w, span_str(ways[i].word));
		between = ",";
	}
}
