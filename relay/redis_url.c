#include "relay/redis_url.h"

#include "relay/number.h"

#include <string.h>

int
redis_url_parse(struct redis_url *out, const char *text, struct err *err)
{
	static const char scheme[] = "redis://";
	const char *rest = text + sizeof(scheme) - 1, *colon;
	size_t len, host_len;
	uint64_t n;

	*out = (struct redis_url){ .port = 6379 };
	if (strncmp(text, "rediss://", 9) == 0)
		return err_set(err, ERR_UNSUPPORTED,
		    "Debian's hiredis has no TLS: use redis:// on a network of "
		    "its own, or through stunnel");
	if (strncmp(text, scheme, sizeof(scheme) - 1) != 0)
		goto bad;
	len = strcspn(rest, "/");
	if (rest[len] == '/') {
		if (!number_parse(&n, span_str(rest + len + 1), 65535))
			goto bad;
		out->db = (unsigned)n;
	}
	colon = memrchr(rest, ':', len);
	host_len = colon != NULL ? (size_t)(colon - rest) : len;
	if (colon != NULL) {
		if (!number_parse(
			&n, span_of(colon + 1, len - host_len - 1), UINT16_MAX))
			goto bad;
		out->port = (uint16_t)n;
	}
	if (host_len == 0 || host_len >= sizeof(out->host) ||
	    memchr(rest, '@', host_len) != NULL || out->port == 0)
		goto bad;
	memcpy(out->host, rest, host_len);
	return 0;
bad:
	return err_set(err, ERR_USAGE,
	    "want redis://HOST[:PORT][/DB] (the password goes to "
	    "cluster.password-file)");
}
